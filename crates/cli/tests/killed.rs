//! The binary, killed by SIGKILL at random moments while it follows a writing primary and saves all the time. After
//! each start: never a wrong value, and a full sync only where it must be.
//!
//! `KILLS=50` for so many under each of three primaries, `SEED=random` or `SEED=n` for others.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use support::Ours;
use testkit::{
    Client, Random, Running, Server, TempDir, fill_every_type, random_writes, wait_until_caught_up,
};

/// Copies a primary, and keeps the copy.
fn keeping(url: &str, file: &Path, interval: &str, log: &Path) -> Ours {
    let file = file.to_str().unwrap();
    serve(&["--master", url, "--persist-interval", interval, "--persist", file], log)
}

fn serve(args: &[&str], log: &Path) -> Ours {
    Ours::serve_logging(args, File::options().create(true).append(true).open(log).unwrap())
}

/// Writes until it is told to stop, and stands still while somebody compares.
struct Writing {
    stop: AtomicBool,
    /// Held during each batch.
    batch: Mutex<()>,
    /// Held by whoever wants the next batch not to begin.
    turn: Mutex<()>,
    round: AtomicU64,
}

impl Writing {
    fn run(&self, primary: &Running, seed: u64) {
        let mut client = primary.client();
        while !self.stop.load(Ordering::Acquire) {
            drop(self.turn.lock().unwrap());
            let _batch = self.batch.lock().unwrap();
            let round = self.round.fetch_add(1, Ordering::AcqRel) + 1;
            random_writes(&mut client, seed + round, 60);
            let n = round.to_string();
            // Equal in every state that there ever was.
            client.call(&["MSET", "pair:a", &n, "pair:b", &n]).ok();
        }
    }

    fn round(&self) -> u64 {
        self.round.load(Ordering::Acquire)
    }

    fn standing_still<R>(&self, f: impl FnOnce() -> R) -> R {
        let _turn = self.turn.lock().unwrap();
        let _batch = self.batch.lock().unwrap();
        f()
    }
}

/// Where a saved copy stands in its history.
fn saved_offset(file: &Path) -> Option<u64> {
    #[derive(Default)]
    struct Place(Option<u64>);

    impl rdb::Visitor for Place {
        fn aux(&mut self, name: &[u8], value: &[u8]) {
            if name == b"repl-offset" {
                self.0 = std::str::from_utf8(value).unwrap().parse().ok();
            }
        }

        fn entry(&mut self, _: &[u8], _: &rdb::EntryMeta) -> Result<rdb::Want, rdb::Reject> {
            Ok(rdb::Want::Skip)
        }
    }

    let mut place = Place::default();
    rdb::Decoder::default().feed(&fs::read(file).ok()?, &mut place).unwrap();
    place.0
}

fn number(client: &mut Client, section: &str, name: &str) -> u64 {
    let text = client.call(&["INFO", section]).text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).trim().parse().unwrap()
}

/// What can be said of any state, however old: what was written together is there together, and nothing is there
/// that has not been written yet.
fn check_state(ours: &mut Client, writing: &Writing) {
    let pair = ours.call(&["MGET", "pair:a", "pair:b"]);
    let [a, b] = pair.array() else { panic!("{pair:?}") };
    assert_eq!(a, b, "a state that never was");
    let (seen, written) = (if a.is_null() { 0 } else { a.text().parse().unwrap() }, writing.round());
    assert!(seen <= written, "{seen} here, {written} rounds at the primary");
}

#[derive(Debug, Default)]
struct Counts {
    kills: u64,
    while_saving: u64,
    before_synced: u64,
    cold_starts: u64,
    warm_starts: u64,
    beyond_the_backlog: u64,
    compared: u64,
}

fn killed(server: Server, kills: u64, seed: u64) {
    println!("{server:?}, seed {seed}");
    let dir = TempDir::new(&format!("killed-{server:?}"));
    let (file, log) = (dir.file("copy.rdb"), dir.file("log"));
    let temporary = PathBuf::from(format!("{}.tmp", file.display()));
    let primary = server.start_with(&["--repl-backlog-size", "256mb"]);
    let mut real = primary.client();
    fill_every_type(&mut real, seed, 1500);
    let writing = Arc::new(Writing {
        stop: AtomicBool::new(false),
        batch: Mutex::new(()),
        turn: Mutex::default(),
        round: AtomicU64::new(0),
    });
    let mut random = Random::new(seed);
    let mut counts = Counts::default();
    std::thread::scope(|scope| {
        let _end = Stop(&writing);
        scope.spawn(|| writing.run(&primary, seed));
        // Full syncs that there may be: one for each start from which the backlog is out of reach.
        let mut allowed = 0;
        while counts.kills < kills {
            let warm = file.exists();
            *(if warm { &mut counts.warm_starts } else { &mut counts.cold_starts }) += 1;
            let first = number(&mut real, "replication", "repl_backlog_first_byte_offset");
            let reached = saved_offset(&file).is_some_and(|offset| offset + 1 >= first);
            counts.beyond_the_backlog += u64::from(warm && !reached);
            allowed += u64::from(!reached);
            let ours = keeping(&primary.url(), &file, "0.01", &log);
            let mut client = ours.client();
            if warm {
                // Served at once, whether the primary is there or not.
                check_state(&mut client, &writing);
            }
            let early = random.below(3) == 0;
            if !early {
                writing.standing_still(|| {
                    wait_until_caught_up(&mut real, &mut client);
                    let mut found = testkit::differences(&mut real, &mut client);
                    found.retain(|difference| difference.what != "idle consumer");
                    assert!(found.is_empty(), "{:?}\n{}", found.first(), tail(&log));
                });
                counts.compared += 1;
                let full = number(&mut real, "stats", "sync_full");
                assert!(full <= allowed, "{full} full syncs, {allowed} allowed\n{}", tail(&log));
            }
            // The moment of the kill is what is tried: after so many more rounds of writes.
            let moment = writing.round() + u64::try_from(random.below(100)).unwrap();
            testkit::eventually("so many more writes", || writing.round() >= moment);
            drop(ours);
            counts.kills += 1;
            counts.while_saving += u64::from(temporary.exists());
            counts.before_synced += u64::from(early);
            if counts.kills % 10 == 4 {
                // So much that no backlog holds it.
                writing.standing_still(|| {
                    real.call(&["CONFIG", "SET", "repl-backlog-size", "16kb"]).ok();
                    real.call(&["SET", "large", &"x".repeat(100_000)]).ok();
                    for n in 0..100 {
                        real.call(&["SET", "small", &format!("{n:01000}")]).ok();
                    }
                    real.call(&["CONFIG", "SET", "repl-backlog-size", "256mb"]).ok();
                });
            }
        }
        let (full, partial) =
            (number(&mut real, "stats", "sync_full"), number(&mut real, "stats", "sync_partial_ok"));
        println!("{counts:?}, full syncs: {full} of at most {allowed}, partial: {partial}");
        assert!(full <= allowed);
        assert!(partial > 0 && counts.compared > 0);
    });
}

/// Ends the writing, also when a check fails.
struct Stop<'w>(&'w Writing);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Release);
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn seed() -> u64 {
    match variable("SEED").as_deref() {
        Some("random") => {
            u64::from(std::process::id()) << 20
                | u64::from(std::time::Instant::now().elapsed().subsec_nanos())
        }
        Some(text) => text.parse().unwrap(),
        None => 4,
    }
}

/// Ends a process of ours by a signal, or otherwise, and waits for it.
fn ended(ours: Ours, how: impl FnOnce(&Ours)) -> bool {
    how(&ours);
    ours.has_ended_well()
}

/// SHUTDOWN by a client: the connection ends without a reply.
fn shut_down(ours: &Ours, how: &[&str]) {
    let mut client = ours.client();
    let words: Vec<&str> = ["SHUTDOWN"].iter().chain(how).copied().collect();
    assert!(client.try_call(&words).is_err());
}

#[test]
fn signals_and_shutdown_save_the_copy_and_nosave_does_not() {
    let dir = TempDir::new("ended");
    let (file, log) = (dir.file("copy.rdb"), dir.file("log"));
    let primary = Server::R8_2.start();
    let mut real = primary.client();
    let start = |real: &mut Client, key: &str| {
        real.call(&["SET", key, "v"]).ok();
        let ours = keeping(&primary.url(), &file, "0", &log);
        wait_until_caught_up(real, &mut ours.client());
        ours
    };
    assert!(ended(start(&mut real, "a"), |ours| shut_down(ours, &["NOSAVE"])));
    assert!(!file.exists());
    assert!(ended(start(&mut real, "b"), Ours::terminate));
    let after_signal = saved_offset(&file).unwrap();
    assert!(ended(start(&mut real, "c"), |ours| shut_down(ours, &[])));
    let after_shutdown = saved_offset(&file).unwrap();
    assert!(after_shutdown > after_signal);
    assert!(ended(start(&mut real, "d"), |ours| shut_down(ours, &["NOSAVE", "NOW"])));
    assert_eq!(saved_offset(&file), Some(after_shutdown));
    assert_eq!(number(&mut real, "stats", "sync_full"), 2);
    assert_eq!(number(&mut real, "stats", "sync_partial_ok"), 2);
}

#[test]
fn a_standalone_server_comes_back_with_its_data() {
    let dir = TempDir::new("alone");
    let log = dir.file("log");
    let place = dir.path().to_str().unwrap();
    let start = || serve(&["--standalone", "--dir", place, "--save", "3600 1"], &log);
    let ours = start();
    let mut client = ours.client();
    fill_every_type(&mut client, 3, 500);
    let keys = client.call(&["DBSIZE"]).int();
    assert!(ended(ours, Ours::terminate));
    let ours = start();
    assert_eq!(ours.client().call(&["DBSIZE"]).int(), keys);
    ours.client().call(&["SET", "one", "more"]).ok();
    assert!(ended(ours, |ours| shut_down(ours, &[])));
    let ours = start();
    assert_eq!(ours.client().call(&["DBSIZE"]).int(), keys + 1);
}

#[test]
fn no_kill_makes_a_value_wrong() {
    let seed = seed();
    match variable("KILLS") {
        None => killed(Server::V9_1, 6, seed),
        Some(kills) => {
            for server in [Server::R7_0, Server::R8_2, Server::V9_1] {
                killed(server, kills.parse().unwrap(), seed);
            }
        }
    }
}
