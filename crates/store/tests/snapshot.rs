//! A snapshot taken under writes is the keyspace at the cut, entry by entry, expiry included.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rdb::{Decoder, EntryMeta, Part, Reject, Version, Visitor, Want};
use store::snapshot::{Overflow, SnapshotError};
use store::{Args, Discard, Keyspace, Loaded, Loader, ShardSet, SnapshotOptions, Viewer, Writer, command};

/// What a dump holds: under database and key, everything that a decoder says of it.
#[derive(Debug, Default, PartialEq)]
struct Contents {
    entries: BTreeMap<(u64, Vec<u8>), String>,
    functions: Vec<Vec<u8>>,
    db: u64,
    open: Option<(Vec<u8>, String)>,
}

impl Contents {
    fn of(dump: &[u8]) -> Self {
        let mut contents = Self::default();
        let mut decoder = Decoder::default();
        let progress = decoder.feed(dump, &mut contents).unwrap();
        assert!(matches!(progress, rdb::Progress::Done { .. }), "{progress:?}");
        contents.db = 0;
        contents
    }
}

impl Visitor for Contents {
    fn select_db(&mut self, db: u64) {
        self.db = db;
    }
    fn function(&mut self, code: &[u8]) -> Result<(), Reject> {
        self.functions.push(code.to_vec());
        Ok(())
    }
    fn entry(&mut self, key: &[u8], meta: &EntryMeta) -> Result<Want, Reject> {
        self.open = Some((key.to_vec(), format!("{:?} {:?}", meta.kind, meta.expire_ms)));
        Ok(Want::Packed)
    }
    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        if let Some((_, text)) = &mut self.open {
            text.push_str(&format!(" {part:?}"));
        }
        Ok(())
    }
    fn entry_end(&mut self) -> Result<(), Reject> {
        let (key, text) = self.open.take().unwrap();
        let before = self.entries.insert((self.db, key), text);
        before.map_or(Ok(()), |_| Err(Reject("an entry stands twice in the dump")))
    }
}

/// Small, seeded, good enough.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn run(writer: &mut Writer, db: u32, line: &str) {
    let parts: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let args = Args::new(&parts);
    let row = command::find(args).unwrap_or_else(|| panic!("{line}"));
    let keyspace = Arc::clone(writer.keyspace());
    let mut set = ShardSet::none();
    row.add_shards(&keyspace, db, args, &mut set);
    // Refusals (another type, an id that is too small) are part of the storm.
    let _ = row.write(&mut writer.begin(&set, Viewer::Stream, db), args, &mut Discard);
}

/// One write of any kind; keys collide across types on purpose.
fn storm(writer: &mut Writer, random: &mut Random) {
    let db = u32::try_from(random.below(3)).unwrap();
    let key = format!("k{}", random.below(400));
    let other = format!("k{}", random.below(400));
    let n = random.below(1000);
    let line = match random.below(40) {
        0..4 => format!("SET {key} value-{n}"),
        4 => format!("SET {key} {} PXAT {}", "long".repeat(n as usize * 6), 4_000_000_000_000 + n),
        5 => format!("APPEND {key} more-{n}"),
        6 => format!("SETRANGE {key} {n} x"),
        7 => format!("SETBIT {key} {n} 1"),
        8 => format!("PEXPIREAT {key} {}", 4_000_000_000_000 + n),
        9 => format!("PEXPIREAT {key} {n}"),
        10 => format!("PERSIST {key}"),
        11 => format!("DEL {key} {other}"),
        12 => format!("RENAME {key} {other}"),
        13 => format!("COPY {key} {other} DB {} REPLACE", random.below(4)),
        14 => format!("MOVE {key} {}", random.below(4)),
        15..18 => format!("HSET h{key} f{n} v{n} g{} w", n / 10),
        18 => format!("HDEL h{key} f{n} g{n}"),
        19 => format!("HPEXPIREAT h{key} {} FIELDS 1 g{}", 4_000_000_000_000 + n, n / 10),
        20..22 => format!("RPUSH l{key} e{n} {n} e"),
        22 => format!("LPOP l{key} 2"),
        23..25 => format!("SADD s{key} {n} {}", n * 7),
        25 => format!("SADD s{key} word{n}"),
        26 => format!("SREM s{key} {n}"),
        27..29 => format!("ZADD z{key} {n} m{} 1.5 o{n}", n / 5),
        29 => format!("ZREM z{key} m{}", n / 5),
        30..32 => format!("XADD x{key} MAXLEN 50 {}-{n} f v{n}", random.below(1 << 40)),
        32 => format!("XGROUP CREATE x{key} g{} 0 MKSTREAM", n % 3),
        33 => format!("XREADGROUP GROUP g{} c{} COUNT 2 STREAMS x{key} >", n % 3, n % 2),
        34 => format!("XACK x{key} g0 1-1"),
        35 => format!("MSET {key} a {other} b"),
        36 => format!("BITOP NOT {key} {other}"),
        37 => format!("SUNIONSTORE s{other} s{key} s{other}"),
        38 if n < 200 => format!("SWAPDB {} {}", random.below(4), random.below(4)),
        39 if n < 40 => "FLUSHDB".to_owned(),
        39 if n < 60 => "FLUSHALL".to_owned(),
        39 if n < 90 => return full_sync(writer, n),
        39 if n < 200 => return exchange(writer, n),
        _ => format!("SET fresh{n} v"),
    };
    run(writer, db, &line);
}

/// What a replica loads in a full sync.
fn synced(writer: &Writer, n: u64) -> Loaded {
    let (_, mut elsewhere) = Keyspace::new(4);
    (0..n).for_each(|i| run(&mut elsewhere, u32::try_from(i % 2).unwrap(), &format!("SET k{i} synced")));
    let mut loader = Loader::new(writer.keyspace());
    Decoder::default().feed(&at_rest(&mut elsewhere), &mut loader).unwrap();
    loader.finish()
}

/// Replaces everything, as a replica's full sync does.
fn full_sync(writer: &Writer, n: u64) {
    drop(writer.keyspace().swap_contents(synced(writer, n), || ()));
}

/// Replaces the keys that end in an odd digit, as a full sync of one shard does, and does not wait for the work.
fn exchange(writer: &mut Writer, n: u64) {
    let is_odd = |key: &[u8]| key.last().is_some_and(|byte| byte % 2 == 1);
    let mut loaded = synced(writer, n);
    loaded.take_out(writer.keyspace(), is_odd);
    writer.begin(&ShardSet::none(), Viewer::Stream, 0).exchange(loaded, is_odd);
}

fn options() -> SnapshotOptions {
    let mut options = SnapshotOptions::new(Version::REDIS_11).giving_up_at(usize::MAX);
    options.piece = 600;
    options
}

/// A snapshot during which nobody writes.
fn at_rest(writer: &mut Writer) -> Vec<u8> {
    let mut dump = Vec::new();
    let sink = |piece: Vec<u8>| {
        dump.extend(piece);
        Ok::<_, Infallible>(())
    };
    writer.cut(options()).unwrap().write(&[], sink).unwrap();
    dump
}

/// The same by the plain way along the shards, which knows nothing of epochs.
fn plain(keyspace: &Keyspace) -> Contents {
    let mut dump = Vec::new();
    store::save::save(keyspace, Version::REDIS_12, &[], |piece| dump.extend(piece)).unwrap();
    Contents::of(&dump)
}

/// Everything in one thread: between any two pieces of the dump come some writes, the same from the same seed.
#[test]
fn a_snapshot_between_writes_is_the_keyspace_at_the_cut() {
    let (first, count) = seeds(60);
    let mut met = 0;
    for seed in first..first + count {
        eprintln!("seed {seed}");
        let mut random = Random(seed);
        let (keyspace, mut writer) = Keyspace::new(4);
        (0..1500).for_each(|_| storm(&mut writer, &mut random));
        for _ in 0..3 {
            let wanted = plain(&keyspace);
            let every = random.below(30);
            let (mut dump, mut forced) = (Vec::new(), 0);
            writer
                .cut(options())
                .unwrap()
                .write(&[], |piece| {
                    dump.extend(piece);
                    (0..every).for_each(|_| storm(&mut writer, &mut random));
                    forced = keyspace.snapshots().taken_by_writer();
                    Ok::<_, Infallible>(())
                })
                .unwrap();
            let found = Contents::of(&dump);
            assert_eq!(found.entries.len(), wanted.entries.len(), "seed {seed}");
            assert_eq!(found, wanted, "seed {seed}");
            met += u64::from(forced > 0);
        }
    }
    // A single storm may miss every old segment: where the keys lie depends on the seed of the hash.
    eprintln!("{met} of {} storms met a segment that was still to be taken", 3 * count);
    assert!(count < 10 || met > count, "too few storms met an old segment");
}

/// Two threads, and enough keys for segments to split on both sides of the walker.
#[test]
fn a_snapshot_beside_a_writing_thread_is_the_keyspace_at_the_cut() {
    let (seed, _) = seeds(1);
    let mut random = Random(seed);
    let (keyspace, mut writer) = Keyspace::with_shards(4, 1 << random.below(9));
    (0..150_000).for_each(|n| run(&mut writer, 0, &format!("SET key:{n} {n}")));
    (0..3000).for_each(|_| storm(&mut writer, &mut random));
    let mut forced = 0;
    for round in 0..4 {
        let wanted = plain(&keyspace);
        let snapshot = writer.cut(SnapshotOptions::new(Version::REDIS_11)).unwrap();
        assert!(writer.cut(SnapshotOptions::new(Version::REDIS_11)).is_none(), "one at a time");
        let done = AtomicBool::new(false);
        let before = keyspace.snapshots().taken_by_writer();
        let dump = std::thread::scope(|scope| {
            let walker = scope.spawn(|| {
                let mut dump = Vec::new();
                let sink = |piece| {
                    dump.extend::<Vec<u8>>(piece);
                    Ok::<_, Infallible>(())
                };
                let result = snapshot.write(&[], sink);
                done.store(true, Ordering::Release);
                result.map(|()| dump)
            });
            while !done.load(Ordering::Acquire) {
                let n = random.below(400_000);
                run(&mut writer, 0, &format!("SET key:{n} changed"));
                run(&mut writer, 0, &format!("SET new:{round}:{n} v"));
                storm(&mut writer, &mut random);
            }
            walker.join().unwrap().unwrap()
        });
        forced += keyspace.snapshots().taken_by_writer() - before;
        let found = Contents::of(&dump);
        assert_eq!(found.entries.len(), wanted.entries.len(), "seed {seed}");
        assert!(found == wanted, "seed {seed}: the dump is not the keyspace at the cut");
    }
    assert!(forced > 0, "the writer met no segment that was still to be taken");
}

#[test]
fn functions_and_consumers_are_part_of_it() {
    let (_, mut elsewhere) = Keyspace::new(1);
    run(&mut elsewhere, 0, "XADD x 1-1 f v");
    run(&mut elsewhere, 0, "XGROUP CREATE x g 0");
    run(&mut elsewhere, 0, "XREADGROUP GROUP g c COUNT 1 STREAMS x >");
    let mut dump = rdb::Encoder::new(Version::REDIS_11, rdb::EncodeOptions::default()).unwrap();
    dump.function(b"#!lua name=l\nredis.register_function('f', function() end)").unwrap();
    let mut bytes = dump.take();
    // Without the magic (9) and the end (9).
    let rest = at_rest(&mut elsewhere);
    bytes.extend(&rest[9..rest.len() - 8]);
    bytes.extend([0; 8]);
    let (keyspace, mut writer) = Keyspace::new(1);
    let mut loader = Loader::new(&keyspace);
    Decoder::default().feed(&bytes, &mut loader).unwrap();
    drop(keyspace.swap_contents(loader.finish(), || ()));
    let found = Contents::of(&at_rest(&mut writer));
    assert_eq!(found, plain(&keyspace));
    assert_eq!(found.functions.len(), 1);
    let stream = &found.entries[&(0, b"x".to_vec())];
    assert!(stream.contains("Consumer") && stream.contains("Group"), "{stream}");
}

#[test]
fn one_whose_receiver_is_too_slow_is_given_up_and_the_next_works() {
    let (keyspace, mut writer) = Keyspace::new(1);
    (0..2000).for_each(|n| run(&mut writer, 0, &format!("SET k{n} {}", "x".repeat(200))));
    let mut slow = options().giving_up_at(10_000);
    assert_eq!(slow.overflow, Overflow::GiveUp);
    slow.piece = 100;
    let mut pieces = 0;
    let result = writer.cut(slow).unwrap().write(&[], |_| {
        pieces += 1;
        (0..200).for_each(|n| run(&mut writer, 0, &format!("SET k{n} y")));
        Ok::<_, Infallible>(())
    });
    assert_eq!(result, Err(SnapshotError::Overflow));
    assert!(!keyspace.snapshots().is_running());
    let wanted = plain(&keyspace);
    assert_eq!(Contents::of(&at_rest(&mut writer)), wanted);
}

#[test]
fn a_writer_waits_for_a_slow_file() {
    let (keyspace, mut writer) = Keyspace::new(1);
    (0..2000).for_each(|n| run(&mut writer, 0, &format!("SET k{n} {}", "x".repeat(200))));
    let wanted = plain(&keyspace);
    let mut slow = SnapshotOptions::new(Version::REDIS_11);
    (slow.limit, slow.piece) = (5000, 100);
    let snapshot = writer.cut(slow).unwrap();
    let dump = std::thread::scope(|scope| {
        let figures = keyspace.snapshots();
        let walker = scope.spawn(move || {
            let mut dump = Vec::new();
            let sink = |piece| {
                dump.extend::<Vec<u8>>(piece);
                // The file takes nothing until the writer waits for it.
                while figures.writer_stalls() == 0 {
                    std::thread::yield_now();
                }
                Ok::<_, Infallible>(())
            };
            snapshot.write(&[], sink).unwrap();
            dump
        });
        (0..2000).for_each(|n| run(&mut writer, 0, &format!("SET k{n} y")));
        walker.join().unwrap()
    });
    assert!(Contents::of(&dump) == wanted);
}

/// The first seed and how many: `SNAPSHOT_SEED` for one, `SNAPSHOT_SEEDS` for more than usual.
fn seeds(usual: u64) -> (u64, u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("SNAPSHOT_SEED") {
        Some(seed) => (seed, 1),
        None => {
            let first = std::hash::RandomState::new().build_hasher().finish();
            (first >> 32, number("SNAPSHOT_SEEDS").unwrap_or(usual))
        }
    }
}
