//! Growth from nothing to 20 million keys: the longest single insert, and the longest single read meanwhile.
//!
//! `cargo bench -p replica-benches --bench growth`; `KEYS` (default 20000000). A machine that takes the core away from
//! a thread makes any maximum long: the gaps of a loop that does nothing are printed beside it.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use store::{Expiry, Keyspace, ShardSet, Viewer};

#[global_allocator]
static ALLOCATOR: measure::Allocator = measure::Allocator;

/// Times in nanoseconds, counted by powers of the eighth root of two.
struct Times {
    counts: Vec<u64>,
    longest: u64,
}

impl Times {
    fn new() -> Self {
        Self { counts: vec![0; 64 * 8], longest: 0 }
    }

    fn add(&mut self, since: Instant) {
        let ns = since.elapsed().as_nanos() as u64;
        self.longest = self.longest.max(ns);
        let class = if ns < 8 { ns } else { (u64::from(ns.ilog2()) - 2) * 8 + (ns >> (ns.ilog2() - 3) & 7) };
        self.counts[class as usize] += 1;
    }

    fn at(&self, share: f64) -> u64 {
        let all: u64 = self.counts.iter().sum();
        let mut left = (all as f64 * share) as u64;
        for (class, count) in (0_u64..).zip(&self.counts) {
            if *count > left {
                return if class < 8 { class } else { (8 + class % 8) << (class / 8 - 1) };
            }
            left -= count;
        }
        self.longest
    }

    fn print(&self, what: &str) {
        println!(
            "{what:<28} median {:>6} ns  p99.99 {:>8} ns  longest {:>10} ns",
            self.at(0.5),
            self.at(0.9999),
            self.longest
        );
    }
}

fn main() {
    let keys: usize = std::env::var("KEYS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000_000);
    let (keyspace, mut writer) = Keyspace::new(1);
    let (done, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let reader = {
        let (keyspace, done, written) = (Arc::clone(&keyspace), Arc::clone(&done), Arc::clone(&written));
        std::thread::spawn(move || {
            let (mut reads, mut gaps) = (Times::new(), Times::new());
            let mut state = 1_u64;
            while !done.load(Ordering::Relaxed) {
                let there = written.load(Ordering::Acquire);
                if there == 0 {
                    continue;
                }
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let key = ((state >> 33) as usize % there).to_le_bytes();
                let begun = Instant::now();
                let found = keyspace.with(0, &key, |entry| entry.is_some());
                reads.add(begun);
                assert!(found);
                let begun = Instant::now();
                std::hint::black_box(&key);
                gaps.add(begun);
            }
            (reads, gaps)
        })
    };
    let mut inserts = Times::new();
    let all = Instant::now();
    for n in 0..keys {
        let key = n.to_le_bytes();
        let begun = Instant::now();
        let mut set = ShardSet::none();
        set.add(&keyspace, 0, &key);
        let mut txn = writer.begin(&set, Viewer::Stream, 0);
        txn.set_string(&key, b"value", Expiry::Never).unwrap();
        drop(txn);
        inserts.add(begun);
        written.store(n + 1, Ordering::Release);
    }
    let took = all.elapsed();
    done.store(true, Ordering::Relaxed);
    let (reads, gaps) = reader.join().unwrap();
    println!(
        "0 to {keys} keys in {:.1} s, {} reads meanwhile",
        took.as_secs_f64(),
        reads.counts.iter().sum::<u64>()
    );
    inserts.print("insert");
    reads.print("read meanwhile");
    gaps.print("nothing at all (the machine)");
}
