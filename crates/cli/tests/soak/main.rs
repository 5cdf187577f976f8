//! Clients at the edges, of a copy of a real primary and of a writable server: with all of them gone, nothing is left.
//!
//! ```text
//! a round:  edges run side by side  ->  all leave  ->  quiet: one client, the tasks of the beginning, equal data
//!           a probe is answered throughout             the resident memory of quiet moments stays flat
//! ```
//!
//! A few short rounds; `REPLICA_SOAK=3600` makes it an hour of long ones, and `SEED` other ones. `REPLICA_SOAK_LOG` is
//! a file that the figures of every round are appended to, too; `REPLICA_SOAK_EDGES` names the edges to run alone, with
//! commas between them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod edges;
mod figures;
mod inquest;
#[path = "../support/mod.rs"]
mod support;
mod writer;

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use edges::{EDGES, Place};
use figures::{Figures, peak_of};
use support::Ours;
use testkit::{Client, Random, Server, wait_until_caught_up};

/// Rounds of a long run are at most so long, so that there are many quiet moments.
const ROUND: Duration = Duration::from_secs(90);
/// Fewer would not show whether anything grows.
const ROUNDS: u32 = 3;
/// Ends a wait for something that never comes; nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(300);
/// With fewer quiet moments nothing can be said of the memory.
const LONG: usize = 9;
/// Rounds after which everything has been seen once.
const WARM_UP: usize = 2;
/// Resident memory may differ by so much between quiet moments, and by a part of all.
const SLACK: u64 = 8 << 20;

/// A server under test, and what was seen of it.
struct Side {
    name: &'static str,
    ours: Ours,
    place: Place,
    baseline: Figures,
    /// Resident memory in quiet moments.
    quiet: Vec<u64>,
}

/// What happened in an edge.
#[derive(Default)]
struct Tally {
    /// To its end.
    done: AtomicU64,
    /// The server hung up, which it may.
    ended: AtomicU64,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Prints a line of the report, and keeps it where it was asked for.
fn tell(line: &str) {
    eprintln!("{line}");
    let file =
        std::env::var_os("REPLICA_SOAK_LOG").map(|path| File::options().create(true).append(true).open(path));
    if let Some(Ok(mut file)) = file {
        let _ = writeln!(file, "{line}");
    }
}

impl Side {
    fn new(name: &'static str, ours: Ours, primary: Option<String>) -> Self {
        let place = Place { addr: ours.addr.clone(), primary };
        let baseline = Figures::of(&ours);
        Self { name, ours, place, baseline, quiet: Vec::new() }
    }

    /// Waits until all clients are gone, and their tasks.
    fn wait_until_quiet(&self) -> Figures {
        let began = Instant::now();
        loop {
            let now = Figures::of(&self.ours);
            if now.clients == self.baseline.clients
                && now.others == self.baseline.others
                && now.tasks <= self.baseline.tasks
            {
                return self.wait_until_given_back(now);
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{}: never quiet again: {now:?}, at the beginning {:?}\n{}",
                self.name,
                self.baseline,
                self.ours.client().line("CLIENT LIST").text()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Side {
    /// Waits until the memory that the clients took is the system's again: what is free goes back a moment later. If it
    /// never does, the figures show it.
    fn wait_until_given_back(&self, mut now: Figures) -> Figures {
        // What a visitor would have taken away that was killed before.
        self.place.tidy().unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let Some(least) = self.quiet.iter().skip(WARM_UP).min() else { return now };
        let began = Instant::now();
        while now.resident > with_slack(*least) && began.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(100));
            now = Figures::of(&self.ours);
        }
        now
    }
}

/// Whether a server has said nothing for too long.
fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// Ends the test with all that is known of all servers.
fn give_up(what: &str, error: &io::Error, sides: &[Side]) -> ! {
    let text: String = sides.iter().map(|side| inquest::report(side.name, &side.ours, &side.place)).collect();
    tell(&format!("{what}: {error}\n{text}"));
    panic!("{what}: {error}");
}

/// Runs one edge over and over.
fn run(
    edge: &(&str, edges::Edge),
    of: usize,
    sides: &[Side],
    mut random: Random,
    stop: &AtomicBool,
    tally: &Tally,
) {
    let (name, edge) = edge;
    while !stop.load(Ordering::Relaxed) {
        match edge(&sides[of].place, &mut random) {
            Ok(()) => tally.done.fetch_add(1, Ordering::Relaxed),
            Err(error) if is_late(&error) => give_up(&format!("{name}, {}", sides[of].name), &error, sides),
            Err(_) => tally.ended.fetch_add(1, Ordering::Relaxed),
        };
        // Some rest, so that every edge has its turn on a small machine.
        thread::sleep(Duration::from_millis(random.below(20) as u64));
    }
}

/// Asks again and again, on a connection that stays and on new ones; answers how often, and the slowest.
fn probe(addr: &str, kept: &mut Client, stop: &AtomicBool) -> io::Result<(u64, Duration)> {
    let (mut count, mut slowest) = (0, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        assert_eq!(kept.try_call(&["PING"])?.text(), "PONG");
        assert_eq!(edges::patient(addr)?.try_call(&["ECHO", "x"])?.text(), "x");
        slowest = slowest.max(began.elapsed());
        count += 1;
        thread::sleep(Duration::from_millis(25));
    }
    Ok((count, slowest))
}

#[test]
fn clients_at_the_edges_leave_nothing_behind() {
    let total = Duration::from_secs(number("REPLICA_SOAK").unwrap_or(6));
    let seed = number("SEED").unwrap_or(1);
    let round_length = ROUND.min(total / ROUNDS);
    let primary = Server::V9_1.start_with(&["--databases", "16"]);
    // Who asks for a dump gets it at once.
    let at_once = ["--set", "repl-diskless-sync-delay 0"];
    let following = Ours::serve(&["--master", &primary.url(), at_once[0], at_once[1]]);
    following.until("/readyz", 200);
    let standalone = Ours::serve(&["--standalone", at_once[0], at_once[1]]);
    let [mut probe_following, mut probe_standalone] =
        [&following, &standalone].map(|ours| edges::patient(&ours.addr).unwrap());
    for probe in [&mut probe_following, &mut probe_standalone] {
        assert_eq!(probe.line("PING").text(), "PONG");
    }
    let mut sides =
        [Side::new("following", following, Some(primary.addr())), Side::new("standalone", standalone, None)];
    let chosen = std::env::var("REPLICA_SOAK_EDGES").ok();
    let is_chosen = |name: &str| chosen.as_ref().is_none_or(|names| names.split(',').any(|one| one == name));
    let edges: Vec<_> = EDGES.iter().filter(|(name, _)| is_chosen(name)).collect();
    for side in &sides {
        writer::fill(&side.place);
    }
    wait_until_caught_up(&mut primary.client(), &mut sides[0].ours.client());
    let tallies: Vec<[Tally; 2]> = edges.iter().map(|_| Default::default()).collect();
    let began = Instant::now();
    tell(&format!("# seed {seed}, {} s in rounds of {} s", total.as_secs(), round_length.as_secs()));
    for side in &sides {
        tell(&format!("{}: {:?}", side.name, side.baseline));
    }
    let mut round = 0_u64;
    while began.elapsed() < total {
        round += 1;
        let (stop, all_left) = (AtomicBool::new(false), AtomicBool::new(false));
        let (stop, all_left) = (&stop, &all_left);
        let (probed, peaks) = thread::scope(|scope| {
            let all = &sides[..];
            let probes = [(0, &mut probe_following), (1, &mut probe_standalone)].map(|(n, kept)| {
                scope.spawn(move || {
                    let probed = probe(&all[n].place.addr, kept, all_left);
                    probed
                        .unwrap_or_else(|error| give_up(&format!("the probe, {}", all[n].name), &error, all))
                })
            });
            let mut others = Vec::new();
            for (n, side) in sides.iter().enumerate() {
                let place = &side.place;
                for (edge_number, edge) in edges.iter().enumerate() {
                    let random = Random::new(seed ^ round << 32 ^ (edge_number as u64) << 8 ^ n as u64);
                    let tally = &tallies[edge_number][n];
                    others.push(scope.spawn(move || run(edge, n, all, random, stop, tally)));
                }
                let random = Random::new(seed ^ round << 32 ^ 77);
                others.push(scope.spawn(move || {
                    if let Err(error) = writer::write(place, random, stop) {
                        give_up(&format!("the writer, {}", all[n].name), &error, all);
                    }
                }));
            }
            let peaks: Vec<_> =
                sides.iter().map(|side| scope.spawn(move || peak_of(side.ours.pid(), all_left))).collect();
            thread::sleep(round_length);
            stop.store(true, Ordering::Relaxed);
            let failed = others.into_iter().filter_map(|edge| edge.join().err()).next();
            all_left.store(true, Ordering::Relaxed);
            if let Some(failure) = failed {
                std::panic::resume_unwind(failure);
            }
            (
                probes.map(|probe| probe.join().unwrap()),
                peaks.into_iter().map(|peak| peak.join().unwrap()).collect::<Vec<u64>>(),
            )
        });
        for (n, side) in sides.iter_mut().enumerate() {
            let quiet = side.wait_until_quiet();
            side.quiet.push(quiet.resident);
            let (count, slowest) = probed[n];
            tell(&format!(
                "{:>5} s, round {round}, {}: resident {:.1} MB quiet, {:.1} MB at most; tasks {}, clients {}; probe {count} times, slowest {} ms",
                began.elapsed().as_secs(),
                side.name,
                quiet.resident as f64 / 1e6,
                peaks[n] as f64 / 1e6,
                quiet.tasks,
                quiet.clients,
                slowest.as_millis()
            ));
        }
        let (mut real, mut mine) = (primary.client(), sides[0].ours.client());
        wait_until_caught_up(&mut real, &mut mine);
        assert_eq!(mine.line("DBSIZE"), real.line("DBSIZE"), "keys of the copy and of the primary");
    }
    for ((name, _), tallies) in edges.iter().zip(&tallies) {
        let [following, standalone] = tallies
            .each_ref()
            .map(|tally| (tally.done.load(Ordering::Relaxed), tally.ended.load(Ordering::Relaxed)));
        tell(&format!("{name}: {following:?} following, {standalone:?} standalone (done, hung up on)"));
        assert!(following.0 > 0 && standalone.0 > 0, "{name} never came to its end");
    }
    for side in &sides {
        assert!(
            side.quiet.len() < LONG || is_flat(&side.quiet),
            "{}: resident memory of quiet moments grows: {:?}",
            side.name,
            side.quiet
        );
    }
}

/// Whether each quiet moment of the last third has hardly more than the least of the second; the first warms up.
fn is_flat(quiet: &[u64]) -> bool {
    let third = quiet.len() / 3;
    let least = quiet[third..2 * third].iter().min().copied().unwrap_or_default();
    quiet[2 * third..].iter().all(|last| *last <= with_slack(least))
}

/// What is about as much.
fn with_slack(bytes: u64) -> u64 {
    bytes + bytes / 10 + SLACK
}
