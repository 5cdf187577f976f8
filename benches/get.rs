//! `db.get` of the facade, at sizes with goals: the value is owned, and no memory is asked for.
//!
//! `cargo bench -p replica-benches --bench get` prints the table of docs/performance.md: the median of `ROUNDS` (default
//! 7), each over a million reads of keys in no order. `MANY` (default 5000000) is the larger size.

use std::hint::black_box;
use std::time::Instant;

use measure::{Allocator, median, number};
use replica::{Db, Replica, Standalone};
use testkit::Counting;

#[global_allocator]
static ALLOCATOR: Counting<Allocator> = Counting(Allocator);

const FEW: usize = 10_000;
const READS: usize = 1_000_000;
const VALUE: usize = 64;

fn key(n: usize) -> [u8; 16] {
    // Written in two pieces, as whoever has a key does: bytes one by one would stall the reads that follow.
    let mut key = *b"key:key:........";
    key[8..].copy_from_slice(&(n as u64).to_le_bytes());
    key
}

/// Numbers below `n` in no order, the same at every run.
struct Places(u64);

impl Places {
    fn next(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((u128::from(self.0) * n as u128) >> 64) as usize
    }
}

/// Nanoseconds a read, and allocations of all.
fn measure(keys: usize, rounds: usize, mut read: impl FnMut(&[u8]) -> usize) -> (f64, u64) {
    let mut places = Places(5);
    let mut round = || {
        let began = Instant::now();
        for _ in 0..READS {
            assert_eq!(black_box(read(&key(places.next(keys)))), VALUE, "a value is missing");
        }
        began.elapsed().as_nanos() as f64 / READS as f64
    };
    round();
    let mut times = vec![0.0; rounds];
    let before = Counting::<Allocator>::count();
    times.fill_with(&mut round);
    let allocations = Counting::<Allocator>::count() - before;
    (median(times), allocations)
}

fn of(db: &Db, keys: usize, rounds: usize) {
    let get = measure(keys, rounds, |key| db.get(key).expect("a string").map_or(0, |blob| blob.len()));
    let with = measure(keys, rounds, |key| db.with(key, |value| value.map_or(0, <[u8]>::len)));
    let miss = measure(keys, rounds, |key| {
        let mut other: [u8; 16] = key.try_into().expect("16 bytes");
        other[0] = b'n';
        db.get(other).expect("nothing").map_or(VALUE, |blob| blob.len())
    });
    let reads = READS * rounds;
    for (name, (time, allocations)) in [("`db.get`", get), ("`db.with`", with), ("`db.get`, a miss", miss)] {
        println!("| {keys} | {name} | {time:.1} ns | {allocations} of {reads} reads |");
    }
}

fn main() {
    // `cargo test` and `cargo bench -- --test` only want to know that it starts.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let (many, rounds) = (number("MANY", 5_000_000), number("ROUNDS", 7));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    println!("| keys | read | a read | allocations |\n| --- | --- | --- | --- |");
    for keys in [FEW, many] {
        let primary = runtime.block_on(Standalone::start("127.0.0.1:0")).expect("a primary");
        for n in 0..keys {
            primary.command(&[&b"SET"[..], &key(n), &[b'v'; VALUE]]).expect("written");
        }
        let replica = runtime.block_on(Replica::connect(&primary.url())).expect("a copy");
        of(&replica.db(0), keys, rounds);
        runtime.block_on(replica.shutdown()).expect("it stops");
        runtime.block_on(primary.shutdown());
    }
}
