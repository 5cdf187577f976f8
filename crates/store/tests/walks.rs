//! SCAN, HSCAN, SSCAN and ZSCAN: whoever is there from the first step to the last is met at least once, whatever
//! comes and goes meanwhile, and nobody is met who was never there.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use store::{Args, Keyspace, Policy, Recorded, Recorder, ShardSet, View, Viewer, Writer, command};
use testkit::Random;

type Bytes = Vec<u8>;

fn args(parts: &[Bytes]) -> Vec<&[u8]> {
    parts.iter().map(Vec::as_slice).collect()
}

fn words(line: &str) -> Vec<Bytes> {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

/// Runs a write in this database.
fn write(writer: &mut Writer, db: u32, parts: &[Bytes]) -> Recorded {
    let keyspace = Arc::clone(writer.keyspace());
    let parts = args(parts);
    let row = command::find(Args::new(&parts)).unwrap();
    let mut set = ShardSet::none();
    row.add_shards(&keyspace, db, Args::new(&parts), &mut set);
    let mut out = Recorder::default();
    row.write(&mut writer.begin(&set, Viewer::Client, db), Args::new(&parts), &mut out).unwrap();
    out.finish().unwrap()
}

/// Runs a read in database 0.
fn read(keyspace: &Keyspace, parts: &[Bytes]) -> Recorded {
    let parts = args(parts);
    let row = command::find(Args::new(&parts)).unwrap();
    let mut set = ShardSet::none();
    row.add_shards(keyspace, 0, Args::new(&parts), &mut set);
    let mut out = Recorder::default();
    row.read(&View::new(keyspace, &set, Viewer::Client, 0), Args::new(&parts), &mut out).unwrap();
    out.finish().unwrap()
}

fn text(reply: &Recorded) -> Bytes {
    let Recorded::Bulk(text) = reply else { panic!("{reply:?}") };
    text.clone()
}

/// One step of a walk: the next cursor, and whom it met. Behind each stand so many words about it.
fn step(keyspace: &Keyspace, walk: &str, cursor: &[u8], count: usize, about: usize) -> (Bytes, Vec<Bytes>) {
    let mut parts = words(walk);
    parts.push(cursor.to_vec());
    parts.extend(words(&format!("COUNT {count}")));
    let Recorded::Aggregate(_, reply) = read(keyspace, &parts) else { panic!("no walk: {walk}") };
    let [next, Recorded::Aggregate(_, items)] = &reply[..] else { panic!("no step: {reply:?}") };
    (text(next), items.iter().step_by(about + 1).map(text).collect())
}

/// A kind of walk.
struct Kind {
    /// The command up to the cursor.
    walk: &'static str,
    about: usize,
    /// What puts an element there, and what takes it away.
    put: fn(&[u8]) -> Vec<Bytes>,
    take: fn(&[u8]) -> Vec<Bytes>,
}

fn with(line: &str, element: &[u8], more: &[&str]) -> Vec<Bytes> {
    let mut parts = words(line);
    parts.push(element.to_vec());
    parts.extend(more.iter().map(|word| word.as_bytes().to_vec()));
    parts
}

const KINDS: [Kind; 4] = [
    Kind { walk: "SCAN", about: 0, put: |key| with("SET", key, &["v"]), take: |key| with("DEL", key, &[]) },
    Kind {
        walk: "HSCAN k",
        about: 1,
        put: |field| with("HSET k", field, &["v"]),
        take: |field| with("HDEL k", field, &[]),
    },
    Kind {
        walk: "SSCAN k",
        about: 0,
        put: |member| with("SADD k", member, &[]),
        take: |member| with("SREM k", member, &[]),
    },
    Kind {
        walk: "ZSCAN k",
        about: 1,
        put: |member| [words("ZADD k 1"), vec![member.to_vec()]].concat(),
        take: |member| with("ZREM k", member, &[]),
    },
];

/// Elements that packed forms keep as integers and as texts, and that only tables hold.
fn element(name: &str, n: usize) -> Bytes {
    match n % 7 {
        0 => format!("{}{}", if name == "stays" { 1 } else { 2 }, 1_000_003 + n).into_bytes(),
        1 => format!("{name}{n}:{}", "x".repeat(80)).into_bytes(),
        _ => format!("{name}{n}").into_bytes(),
    }
}

/// Both databases hold those who stay; others come by the thousand and go again between the steps.
fn walk_through_changes(kind: &Kind, seed: u64) {
    let mut random = Random::new(seed);
    let (keyspace, mut writer) = Keyspace::with_shards(2, 1 << random.below(9));
    let stay: BTreeSet<Bytes> = (0..1 + random.below(700)).map(|n| element("stays", n)).collect();
    for db in [0, 1] {
        stay.iter().for_each(|one| drop(write(&mut writer, db, &(kind.put)(one))));
    }
    let (mut come, mut here) = (0, [Vec::new(), Vec::new()]);
    let (mut met, mut cursor) = (BTreeSet::new(), b"0".to_vec());
    let mut steps = 0;
    loop {
        let (next, found) = step(&keyspace, kind.walk, &cursor, 1 + random.below(40), kind.about);
        met.extend(found);
        cursor = next;
        steps += 1;
        if cursor == b"0" {
            break;
        }
        // Whoever grows for ever can be walked for ever.
        if steps > 400 {
            continue;
        }
        let db = random.below(2);
        match random.below(8) {
            0 => {
                for _ in 0..random.below(3000) {
                    let one = element("comes", come);
                    come += 1;
                    write(&mut writer, db as u32, &(kind.put)(&one));
                    here[db].push(one);
                }
            }
            1 => {
                for one in here[db].drain(..) {
                    write(&mut writer, db as u32, &(kind.take)(&one));
                }
            }
            2 => {
                write(&mut writer, 0, &words("SWAPDB 0 1"));
                here.swap(0, 1);
            }
            // The same contents in a new place.
            3 if kind.walk != "SCAN" => {
                write(&mut writer, 0, &words("COPY k l REPLACE"));
                write(&mut writer, 0, &words("RENAME l k"));
            }
            _ => {
                for _ in 0..random.below(30) {
                    let one = element("comes", come);
                    come += 1;
                    write(&mut writer, db as u32, &(kind.put)(&one));
                    here[db].push(one);
                }
            }
        }
    }
    let missed: Vec<_> = stay.difference(&met).map(|one| one.escape_ascii().to_string()).collect();
    assert!(missed.is_empty(), "{} seed {seed}: after {steps} steps {missed:?} were not met", kind.walk);
    let known: BTreeSet<Bytes> = (0..come).map(|n| element("comes", n)).chain(stay).collect();
    assert!(met.is_subset(&known), "{} seed {seed}: somebody was met who never was there", kind.walk);
}

#[test]
fn whoever_stays_is_met_while_others_come_and_go_and_databases_are_swapped() {
    let chosen = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    for kind in &KINDS {
        for seed in chosen.map_or(1..13, |seed| seed..seed + 1) {
            walk_through_changes(kind, seed);
        }
    }
}

/// However many shards there are, each key can be drawn.
#[test]
fn chance_meets_every_key_of_many_shards_and_of_few() {
    let mut random = Random::new(1);
    for shards in [1, 4, 64, 256] {
        let (keyspace, mut writer) = Keyspace::with_shards(1, shards);
        assert_eq!(keyspace.shards(), shards);
        let all: BTreeSet<Bytes> = (0..300).map(|n| element("key", n)).collect();
        for key in &all {
            write(&mut writer, 0, &[b"SET".to_vec(), key.clone(), b"1".to_vec()]);
        }
        let draw = |_| keyspace.candidate(0, Policy::AllKeysRandom, random.next()).unwrap().key.into_vec();
        assert_eq!((0..60_000).map(draw).collect::<BTreeSet<_>>(), all, "{shards} shards");
    }
}

/// The same while another thread makes the changes.
#[test]
fn whoever_stays_is_met_while_another_thread_writes() {
    const STAY: usize = 3000;
    const WALKS: usize = 12;
    for kind in &KINDS {
        let (keyspace, mut writer) = Keyspace::new(2);
        let stay: BTreeSet<Bytes> = (0..STAY).map(|n| element("stays", n)).collect();
        for db in [0, 1] {
            stay.iter().for_each(|one| drop(write(&mut writer, db, &(kind.put)(one))));
        }
        let (done, walks) = (&AtomicBool::new(false), &AtomicUsize::new(0));
        let (keyspace, stay) = (&keyspace, &stay);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // Whoever finds fault must not leave the writer at work.
                struct Stop<'a>(&'a AtomicBool);
                impl Drop for Stop<'_> {
                    fn drop(&mut self) {
                        self.0.store(true, Ordering::Release);
                    }
                }
                let _stop = Stop(done);
                for _ in 0..WALKS {
                    let (mut met, mut cursor) = (BTreeSet::new(), b"0".to_vec());
                    loop {
                        let (next, found) = step(keyspace, kind.walk, &cursor, 25, kind.about);
                        met.extend(found);
                        cursor = next;
                        if cursor == b"0" {
                            break;
                        }
                    }
                    let missed = stay.difference(&met).count();
                    assert_eq!(missed, 0, "{}: so many were not met", kind.walk);
                    walks.fetch_add(1, Ordering::Relaxed);
                }
            });
            let mut round = 0;
            while !done.load(Ordering::Acquire) {
                let db = round % 2;
                let others: Vec<Bytes> = (0..4000).map(|n| element("comes", n)).collect();
                for (n, one) in others.iter().enumerate() {
                    write(&mut writer, db, &(kind.put)(one));
                    if n % 1000 == 0 {
                        write(&mut writer, 0, &words("SWAPDB 0 1"));
                        write(&mut writer, 0, &words("SWAPDB 0 1"));
                    }
                }
                write(&mut writer, 0, &words("SWAPDB 0 1"));
                // Where they went by the swap.
                others.iter().for_each(|one| drop(write(&mut writer, 1 - db, &(kind.take)(one))));
                round += 1;
            }
        });
        assert_eq!(walks.load(Ordering::Relaxed), WALKS);
    }
}
