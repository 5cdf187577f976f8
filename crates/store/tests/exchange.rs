//! A part of the keys is exchanged for others: at once for who looks, with all that belongs to it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rdb::{Decoder, Version};
use store::{Args, Discard, Keyspace, Loaded, Loader, ShardSet, View, Viewer, Writer, command};
use testkit::Random;

fn run(writer: &mut Writer, db: u32, line: &str) {
    let parts: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let args = Args::new(&parts);
    let row = command::find(args).unwrap();
    let mut set = ShardSet::none();
    row.add_shards(&Arc::clone(writer.keyspace()), db, args, &mut set);
    row.write(&mut writer.begin(&set, Viewer::Stream, db), args, &mut Discard).unwrap();
}

/// What was loaded from the dump of a server on which these commands had been run.
fn loaded(keyspace: &Arc<Keyspace>, lines: &[(u32, String)]) -> Loaded {
    let (elsewhere, mut writer) = Keyspace::new(4);
    lines.iter().for_each(|(db, line)| run(&mut writer, *db, line));
    let mut dump = Vec::new();
    store::save::save(&elsewhere, Version::REDIS_12, &[], |piece| dump.extend(piece)).unwrap();
    let mut loader = Loader::new(keyspace);
    Decoder::default().feed(&dump, &mut loader).unwrap();
    loader.finish()
}

/// Keys that are exchanged.
fn is_part(key: &[u8]) -> bool {
    key.starts_with(b"part")
}

fn exchange(writer: &mut Writer, lines: &[(u32, String)]) {
    let loaded = loaded(&Arc::clone(writer.keyspace()), lines);
    writer.begin(&ShardSet::none(), Viewer::Stream, 0).exchange(loaded, is_part);
}

/// Every key with its expiry and its digest, by database.
fn contents(keyspace: &Keyspace) -> BTreeMap<(u32, Vec<u8>), (Option<i64>, String)> {
    let mut all = BTreeMap::new();
    for (db, _) in keyspace.existing() {
        let view = View::new(keyspace, &ShardSet::none(), Viewer::Stream, db);
        view.for_each(db, |entry| {
            let value = format!("{:?}", entry.value());
            assert!(all.insert((db, entry.key().to_vec()), (entry.expire(), value)).is_none());
        });
    }
    all
}

/// What the counters say, against what is there.
fn check_accounts(keyspace: &Keyspace) {
    let (mut keys, mut expires, mut bytes) = (0, 0, 0);
    for (db, _) in keyspace.existing() {
        View::new(keyspace, &ShardSet::none(), Viewer::Stream, db).for_each(db, |entry| {
            keys += 1;
            expires += usize::from(entry.expire().is_some());
            bytes += entry.weight();
        });
    }
    let counts = keyspace.counts();
    assert_eq!((counts.keys, counts.expires, counts.bytes), (keys, expires, bytes));
    assert_eq!(keyspace.payload(), bytes);
}

fn random_line(random: &mut Random, name: &str, keys: usize) -> (u32, String) {
    let (db, n) = (random.below(3) as u32, random.below(keys));
    let value = random.below(1_000_000);
    let line = match n % 4 {
        0 => format!("SET {name}{n} {value} PXAT {}", 4_000_000_000_000_u64 + value as u64),
        1 => format!("HSET {name}{n} field{} {value}", value % 5),
        _ => format!("SET {name}{n} {value}"),
    };
    (db, line)
}

/// Whoever comes first to a shard does its work: readers of one key or many, writers, another exchange, nobody.
#[test]
fn afterwards_the_part_is_as_it_was_loaded_and_the_rest_as_it_was() {
    let chosen = std::env::var("SEED").ok().and_then(|text| text.parse().ok());
    let any = || std::hash::RandomState::new().build_hasher().finish() >> 32;
    for seed in [1, chosen.unwrap_or_else(any)] {
        println!("SEED={seed}");
        exchanges(seed);
    }
}

fn exchanges(seed: u64) {
    let mut random = Random::new(seed);
    for round in 0..if cfg!(miri) { 2 } else { 24 } {
        let keys = [3, 60, 4000][round % 3];
        let (keyspace, mut writer) = Keyspace::new(4);
        let mut wanted: BTreeMap<(u32, Vec<u8>), (Option<i64>, String)> = BTreeMap::new();
        for _ in 0..3 {
            for _ in 0..keys {
                let name = random.pick(&["part", "rest"]);
                let (db, line) = random_line(&mut random, name, keys);
                run(&mut writer, db, &line);
            }
            let rest = contents(&keyspace);
            let lines: Vec<_> =
                (0..random.below(2 * keys)).map(|_| random_line(&mut random, "part", keys)).collect();
            let (other, mut other_writer) = Keyspace::new(4);
            lines.iter().for_each(|(db, line)| run(&mut other_writer, *db, line));
            wanted = contents(&other);
            wanted.extend(rest.into_iter().filter(|((_, key), _)| !is_part(key)));
            exchange(&mut writer, &lines);
            match random.below(4) {
                0 => keyspace.settle(),
                1 => {
                    let (db, line) = random_line(&mut random, "rest", keys);
                    run(&mut writer, db, &line);
                    run(&mut writer, db, &format!("DEL {}", line.split(' ').nth(1).unwrap()));
                    let key = line.split(' ').nth(1).unwrap().as_bytes().to_vec();
                    wanted.remove(&(db, key));
                }
                2 => assert_eq!(keyspace.counts().keys, wanted.len(), "seed {seed}"),
                _ => {}
            }
        }
        assert!(contents(&keyspace) == wanted, "seed {seed}, round {round}");
        for (db, key) in wanted.keys() {
            assert!(keyspace.with(*db, key, |entry| entry.is_some()), "seed {seed}");
        }
        check_accounts(&keyspace);
        exchange(&mut writer, &[]);
        assert_eq!(keyspace.counts().keys, wanted.keys().filter(|(_, key)| !is_part(key)).count());
        check_accounts(&keyspace);
    }
}

/// Each key of the part says which exchange it came by, and so do readers of all kinds, beside a writer to the rest.
#[test]
fn all_of_an_exchange_is_seen_or_nothing_of_it() {
    let (keys, rounds) = if cfg!(miri) { (6, 4) } else { (3000, 30) };
    let (keyspace, mut writer) = Keyspace::new(1);
    let lines = |round: usize| -> Vec<(u32, String)> {
        // Some keys are not there in every second one.
        let is_there = |n: &usize| round.is_multiple_of(2) || !n.is_multiple_of(3);
        (0..keys).filter(is_there).map(|n| (0, format!("SET part{n} {round}"))).collect()
    };
    (0..keys).for_each(|n| run(&mut writer, 0, &format!("SET rest{n} {n}")));
    exchange(&mut writer, &lines(0));
    let (begun, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let seen = AtomicU64::new(0);
    let number = |blob: &[u8]| std::str::from_utf8(blob).unwrap().parse::<u64>().unwrap();
    std::thread::scope(|scope| {
        let (keyspace, begun, done, seen) = (&keyspace, &begun, &done, &seen);
        // One after the other, without a lock: time does not go back, whatever key is asked for.
        scope.spawn(move || {
            let mut random = Random::new(1);
            let mut last = 0;
            while !done.load(Ordering::Acquire) {
                let key = format!("part{}", random.below(keys));
                match keyspace.blob(0, key.as_bytes()).unwrap() {
                    Some(blob) => {
                        let round = number(&blob);
                        assert!(round >= last, "{key} went from {last} back to {round}");
                        seen.fetch_add(u64::from(round > last), Ordering::Relaxed);
                        last = round;
                    }
                    // It is not there in odd ones alone; the next may have begun since.
                    None => last += u64::from(last.is_multiple_of(2)),
                }
                assert!(last <= begun.load(Ordering::Acquire));
                let rest = random.below(keys);
                let blob = keyspace.blob(0, format!("rest{rest}").as_bytes()).unwrap().unwrap();
                assert_eq!(number(&blob), rest as u64);
            }
        });
        // Many at once: all of one exchange.
        scope.spawn(move || {
            let mut random = Random::new(2);
            while !done.load(Ordering::Acquire) {
                let names: Vec<String> = (0..8).map(|_| format!("part{}", random.below(keys))).collect();
                let found = keyspace.blobs(0, &names);
                let mut rounds: Vec<u64> = found.iter().flatten().map(|blob| number(blob)).collect();
                rounds.dedup();
                assert!(rounds.len() <= 1, "{names:?}: {rounds:?}");
            }
        });
        scope.spawn(move || {
            while !done.load(Ordering::Acquire) {
                // Everything: nobody writes while it is looked at.
                let _still = keyspace.still();
                let all = contents(keyspace);
                let parts = all.iter().filter(|((_, key), _)| is_part(key));
                let mut values: Vec<&String> = parts.map(|(_, (_, value))| value).collect();
                values.dedup();
                assert_eq!(values.len(), 1);
            }
        });
        for round in 1..=rounds {
            let lines = lines(round);
            begun.store(round as u64, Ordering::Release);
            exchange(&mut writer, &lines);
            if round % 3 == 0 {
                keyspace.settle();
            }
            (0..20).for_each(|n| run(&mut writer, 0, &format!("SET rest{n} {n}")));
        }
        done.store(true, Ordering::Release);
    });
    println!("{} exchanges were seen", seen.load(Ordering::Relaxed));
    keyspace.settle();
    check_accounts(&keyspace);
}
