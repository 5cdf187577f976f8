//! Whole processes beside each other: `replica serve --standalone`, Valkey 9.1.2 and Redis 8.2.3, in one run.
//!
//! ```text
//! cargo bench -p replica-benches --bench whole_process              all
//! cargo bench -p replica-benches --bench whole_process -- loading   resident memory, load time (wall and CPU)
//! cargo bench -p replica-benches --bench whole_process -- prepare   only makes the dumps to load
//! cargo bench -p replica-benches --bench whole_process -- commands  CPU a command on collections of a million
//! ```
//!
//! `KEYS` (default 5000000), `MIXED` (default 1000000), `MEMBERS` (default 1000000) and `ROUNDS` (default 3) are
//! environment variables, as is `ONLY` (the beginning of a command's name).
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::ffi::OsStr;
use std::path::Path;
use std::time::Instant;

use measure::{Process, binary, median, number, wants};
use rdb::{EncodeOptions, Encoder, KeyMeta, Version};
use testkit::{Client, Server, fill_every_type};

const OURS: &str = "replica";
const RIVALS: [(&str, Server); 2] = [("Valkey 9.1.2", Server::V9_1), ("Redis 8.2.3", Server::R8_2)];

fn ours(binary: &Path) -> Process {
    Process::ours(binary, &["--standalone"])
}

// ---- memory and loading

/// Keys of 16 bytes with values of 64, as a dump.
fn strings(keys: usize, file: &Path) {
    let mut dump = Encoder::new(Version::REDIS_10, EncodeOptions::default().without_compression()).unwrap();
    dump.select_db(0);
    dump.resize_db(keys as u64, 0);
    let mut out = std::fs::File::create(file).unwrap();
    let mut state = 1_u64;
    for n in 0..keys {
        let mut value = [0; 64];
        for word in value.chunks_exact_mut(8) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            word.copy_from_slice(&(state | 0x8080_8080_8080_8080).to_le_bytes());
        }
        dump.entry(format!("key:{n:012}").as_bytes(), KeyMeta::default()).string(&value);
        if dump.buffered() > 1 << 20 {
            std::io::Write::write_all(&mut out, &dump.take()).unwrap();
        }
    }
    std::io::Write::write_all(&mut out, &dump.finish()).unwrap();
}

/// The test kit's keys of every type, as Redis 7.0 dumps them.
fn mixed(keys: usize, file: &Path) {
    let mut primary = Server::R7_0.start();
    fill_every_type(&mut primary.client(), 1, keys);
    primary.client().call(&["SAVE"]);
    std::fs::copy(primary.dir().join("dump.rdb"), file).unwrap();
    primary.kill();
}

fn loading(binary: &Path, measure: bool) {
    // Kept from run to run: making them takes longer than loading them.
    let dir = binary.parent().unwrap().join("whole_process");
    std::fs::create_dir_all(&dir).unwrap();
    for (name, keys, make) in [
        ("16-byte keys, 64-byte values", number("KEYS", 5_000_000), strings as fn(usize, &Path)),
        ("keys of every type", number("MIXED", 1_000_000), mixed),
    ] {
        if keys == 0 {
            continue;
        }
        let file = dir.join(format!("{}-{keys}.rdb", name.replace(' ', "-")));
        if !file.exists() {
            let unfinished = dir.join("unfinished");
            make(keys, &unfinished);
            std::fs::rename(&unfinished, &file).unwrap();
        }
        if !measure {
            continue;
        }
        println!("\n{keys} {name}: {:.0} MB as a dump", file.metadata().unwrap().len() as f64 / 1e6);
        let mut rows: Vec<(&str, [f64; 3])> = Vec::new();
        for who in 0..=RIVALS.len() {
            let (mut wall, mut cpu, mut resident) = (Vec::new(), Vec::new(), Vec::new());
            let mut title = OURS;
            for _ in 0..number("ROUNDS", 3) {
                let begun = Instant::now();
                let process = match who.checked_sub(1) {
                    None => {
                        let load = [OsStr::new("--standalone"), OsStr::new("--load"), file.as_os_str()];
                        Process::ours(binary, &load)
                    }
                    Some(rival) => {
                        title = RIVALS[rival].0;
                        Process::theirs(RIVALS[rival].1, Some(&file))
                    }
                };
                let mut client = process.client();
                wall.push(begun.elapsed().as_secs_f64());
                cpu.push(process.cpu().as_secs_f64());
                let there = (0..16).map(|db: u32| {
                    client.call(&["SELECT", &db.to_string()]);
                    client.call(&["DBSIZE"]).int()
                });
                assert!(there.sum::<i64>() as usize * 10 >= keys * 9, "not loaded");
                resident.push(process.resident() as f64);
            }
            rows.push((title, [median(resident), median(wall), median(cpu)]));
        }
        println!(
            "{:<14} {:>9} {:>11} {:>8} {:>8}    ours is: memory, wall, CPU",
            "", "resident", "bytes a key", "wall", "CPU"
        );
        let ours = rows[0].1;
        for (title, [resident, wall, cpu]) in rows {
            println!(
                "{title:<14} {:>6.0} MB {:>11.1} {wall:>6.2} s {cpu:>6.2} s    {:.2} {:.2} {:.2}",
                resident / 1e6,
                resident / keys as f64,
                ours[0] / resident,
                ours[1] / wall,
                ours[2] / cpu
            );
        }
    }
}

// ---- commands on collections of a million

/// Numbers in no order, each of them once.
fn shuffled(n: usize, of: usize) -> usize {
    // A step that shares no divisor with any round size.
    (n * 7_368_787) % of
}

type Make = fn(usize, usize) -> Vec<String>;

/// A command's name, how many of it in percent of the members, and its arguments by number and size of the collection.
///
/// A SCAN's cursor, its third word, is put in by [`run`]: the cursors of a walk, which each server chooses for itself.
const COMMANDS: [(&str, usize, Make); 23] = [
    ("ZADD", 100, |n, of| {
        words(&["ZADD", "zset", &shuffled(n, of).to_string(), &format!("member:{:08}", shuffled(n, of))])
    }),
    ("ZADD again", 50, |n, of| {
        words(&["ZADD", "zset", &(n % of).to_string(), &format!("member:{:08}", shuffled(n, of))])
    }),
    ("ZSCORE", 50, |n, of| words(&["ZSCORE", "zset", &format!("member:{:08}", shuffled(n * 3, of))])),
    ("ZRANK", 50, |n, of| words(&["ZRANK", "zset", &format!("member:{:08}", shuffled(n * 3, of))])),
    ("ZRANGE 100", 5, |n, of| {
        words(&["ZRANGE", "zset", &shuffled(n, of).to_string(), &(shuffled(n, of) + 99).to_string()])
    }),
    ("ZRANGEBYSCORE 100", 5, |n, of| {
        words(&["ZRANGEBYSCORE", "zset", &shuffled(n, of).to_string(), "+inf", "LIMIT", "0", "100"])
    }),
    ("ZSCAN 100", 5, |_, _| words(&["ZSCAN", "zset", "0", "COUNT", "100"])),
    ("HSET", 100, |n, of| {
        words(&["HSET", "hash", &format!("field:{:08}", shuffled(n, of)), "some value of it"])
    }),
    ("HSET again", 50, |n, of| {
        words(&["HSET", "hash", &format!("field:{:08}", shuffled(n, of)), "another value"])
    }),
    ("HGET", 50, |n, of| words(&["HGET", "hash", &format!("field:{:08}", shuffled(n * 3, of))])),
    ("HSCAN 100", 5, |_, _| words(&["HSCAN", "hash", "0", "COUNT", "100"])),
    ("LPUSH", 100, |n, _| words(&["LPUSH", "list", &format!("element:{n:08}")])),
    ("LRANGE 100 head", 5, |_, _| words(&["LRANGE", "list", "0", "99"])),
    ("LRANGE 100 deep", 5, |n, of| {
        words(&["LRANGE", "list", &shuffled(n, of).to_string(), &(shuffled(n, of) + 99).to_string()])
    }),
    ("LINDEX", 5, |n, of| words(&["LINDEX", "list", &shuffled(n, of).to_string()])),
    ("SADD", 100, |n, of| words(&["SADD", "set", &format!("member:{:08}", shuffled(n, of))])),
    ("SISMEMBER", 50, |n, of| words(&["SISMEMBER", "set", &format!("member:{:08}", shuffled(n * 3, of))])),
    ("SRANDMEMBER 10", 5, |_, _| words(&["SRANDMEMBER", "set", "10"])),
    ("SSCAN 100", 5, |_, _| words(&["SSCAN", "set", "0", "COUNT", "100"])),
    ("XADD", 100, |n, _| {
        words(&["XADD", "stream", &format!("{}-1", n + 1), "field", "some value", "other", "value"])
    }),
    ("XRANGE 100", 5, |n, of| {
        words(&["XRANGE", "stream", &(shuffled(n, of) + 1).to_string(), "+", "COUNT", "100"])
    }),
    ("XREVRANGE 100", 5, |n, of| {
        words(&["XREVRANGE", "stream", &(shuffled(n, of) + 1).to_string(), "-", "COUNT", "100"])
    }),
    ("RPOP", 50, |_, _| words(&["RPOP", "list"])),
];

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The cursors of a walk through a collection by this command, the first included.
fn walk(client: &mut Client, command: &[String]) -> Vec<String> {
    let mut cursors = vec!["0".to_owned()];
    loop {
        let mut command = command.to_vec();
        command[2].clone_from(&cursors[cursors.len() - 1]);
        match client.call(&command).array()[0].text() {
            end if end == "0" => return cursors,
            next => cursors.push(next),
        }
    }
}

/// Microseconds of the server's CPU for each command, and its resident memory before and after what builds.
fn run(process: &Process, members: usize) -> Vec<(f64, f64)> {
    let mut client = process.client();
    let only = std::env::var("ONLY").unwrap_or_default();
    COMMANDS
        .iter()
        .map(|(name, percent, make)| {
            let builds = *percent == 100;
            if !name.starts_with(only.as_str()) && !builds {
                return (f64::NAN, 0.0);
            }
            let count = members * percent / 100;
            let scans = name.contains("SCAN");
            let cursors = if scans { walk(&mut client, &make(0, members)) } else { Vec::new() };
            let (before, resident) = (process.thread_time(), process.resident());
            let mut n = 0;
            while n < count {
                let mut batch: Vec<Vec<String>> = (n..count.min(n + 50)).map(|n| make(n, members)).collect();
                if scans {
                    for (command, at) in batch.iter_mut().zip(n..) {
                        command[2].clone_from(&cursors[at % cursors.len()]);
                    }
                }
                n += batch.len();
                for reply in client.pipeline(&batch) {
                    assert!(!matches!(reply, testkit::Reply::Error(_)), "{name}: {reply:?}");
                }
            }
            let cpu = (process.thread_time() - before).as_secs_f64() * 1e6 / count as f64;
            let grown = process.resident().saturating_sub(resident);
            (cpu, if builds { grown as f64 / members as f64 } else { 0.0 })
        })
        .collect()
}

/// The median of each figure of several rounds.
fn medians(rounds: &[Vec<(f64, f64)>]) -> Vec<(f64, f64)> {
    let of =
        |i: usize, part: fn(&(f64, f64)) -> f64| median(rounds.iter().map(|round| part(&round[i])).collect());
    (0..COMMANDS.len()).map(|i| (of(i, |figures| figures.0), of(i, |figures| figures.1))).collect()
}

fn commands(binary: &Path) {
    let members = number("MEMBERS", 1_000_000);
    println!(
        "\ncollections of {members}: microseconds of server CPU a command, pipelines of 50 (resident bytes a member)"
    );
    println!("{:<18} {:>18} {:>18} {:>18}   ours is", "", OURS, RIVALS[0].0, RIVALS[1].0);
    let mut rounds: [Vec<Vec<(f64, f64)>>; 3] = Default::default();
    for _ in 0..number("ROUNDS", 3) {
        rounds[0].push(run(&ours(binary), members));
        for (rounds, (_, server)) in rounds[1..].iter_mut().zip(RIVALS) {
            rounds.push(run(&Process::theirs(server, None), members));
        }
    }
    let [ours, valkey, redis] = rounds.map(|rounds| medians(&rounds));
    for (i, (name, ..)) in COMMANDS.iter().enumerate() {
        if ours[i].0.is_nan() {
            continue;
        }
        let cell = |(cpu, bytes): (f64, f64)| {
            if bytes > 0.0 { format!("{cpu:.2} ({bytes:.0} B)") } else { format!("{cpu:.2}") }
        };
        println!(
            "{name:<18} {:>18} {:>18} {:>18}   {:.2} {:.2}",
            cell(ours[i]),
            cell(valkey[i]),
            cell(redis[i]),
            ours[i].0 / valkey[i].0,
            ours[i].0 / redis[i].0
        );
    }
}

fn main() {
    let binary = binary();
    if std::env::args().any(|arg| arg == "prepare") {
        return loading(&binary, false);
    }
    if wants("loading") {
        loading(&binary, true);
    }
    if wants("commands") {
        commands(&binary);
    }
}
