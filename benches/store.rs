//! The keyspace inside the process. Ids are those of the architecture: `store/operation/case/threads`.
//!
//! `cargo bench -p replica-benches --bench store`; `MANY` (default 5000000) is the size of the largest keyspace.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use store::{Expiry, Keyspace, Loader, Policy, ShardSet, ValueRef, View, Viewer, Writer};

#[global_allocator]
static ALLOCATOR: measure::Allocator = measure::Allocator;

fn many() -> usize {
    std::env::var("MANY").ok().and_then(|text| text.parse().ok()).unwrap_or(5_000_000)
}

fn key(n: usize) -> [u8; 16] {
    // Written in two pieces, as whoever has a key does: bytes one by one would stall the reads that follow.
    let mut key = *b"key:key:........";
    key[8..].copy_from_slice(&(n as u64).to_le_bytes());
    key
}

/// A keyspace of 16-byte keys with 64-byte values.
fn filled(keys: usize) -> (Arc<Keyspace>, Writer) {
    let (keyspace, mut writer) = Keyspace::new(16);
    let mut n = 0;
    while n < keys {
        let mut txn = writer.begin(&ShardSet::everything(), Viewer::Stream, 0);
        for _ in 0..(keys - n).min(100_000) {
            txn.set_string(&key(n), &[b'v'; 64], Expiry::Never).unwrap();
            n += 1;
        }
    }
    (keyspace, writer)
}

/// Numbers below `n` in no order, the same at every run.
struct Places(u64);

impl Places {
    fn next(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((u128::from(self.0) * n as u128) >> 64) as usize
    }
}

fn read(keyspace: &Keyspace, key: &[u8]) -> u8 {
    keyspace.with(0, key, |entry| match entry.map(store::EntryRef::value) {
        Some(ValueRef::Inline(bytes)) => bytes[bytes.len() - 1],
        _ => panic!("every key is there"),
    })
}

/// Time in which `threads` threads make `reads` reads each.
fn reading(keyspace: &Arc<Keyspace>, keys: usize, threads: u64, reads: u64) -> Duration {
    let go = Arc::new(std::sync::Barrier::new(threads as usize + 1));
    let workers: Vec<_> = (0..threads)
        .map(|seed| {
            let (keyspace, go) = (Arc::clone(keyspace), Arc::clone(&go));
            std::thread::spawn(move || {
                let mut places = Places(seed * 77 + 5);
                go.wait();
                let begun = Instant::now();
                for _ in 0..reads {
                    black_box(read(&keyspace, &key(places.next(keys))));
                }
                begun.elapsed()
            })
        })
        .collect();
    go.wait();
    let times: Vec<Duration> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
    times.iter().sum::<Duration>() / threads as u32
}

fn gets(c: &mut Criterion) {
    let mut group = c.benchmark_group("store");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group.bench_function("get/loop/none/1t", |b| {
        let mut places = Places(5);
        b.iter(|| black_box(key(places.next(10_000))));
    });
    for (name, keys) in [("1k", 1000), ("10k", 10_000), ("100k", 100_000), ("1M", 1_000_000), ("5M", many())]
    {
        if keys > many() {
            continue;
        }
        let (keyspace, _writer) = filled(keys);
        for threads in [1, 2] {
            group.bench_function(format!("get/hit/{name}/{threads}t"), |b| {
                b.iter_custom(|n| reading(&keyspace, keys, threads, n));
            });
        }
        let mut places = Places(9);
        group.bench_function(format!("get/miss/{name}/1t"), |b| {
            b.iter(|| keyspace.with(0, &key(keys + places.next(keys)), |entry| entry.is_some()));
        });
        drop(keyspace);
    }
    group.finish();
}

fn sets(c: &mut Criterion) {
    let mut group = c.benchmark_group("store");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    let keys = many().min(4_000_000);
    let (keyspace, mut writer) = filled(keys);
    for readers in [0, 1] {
        let stop = Arc::new(AtomicBool::new(false));
        let reading: Vec<_> = (0..readers)
            .map(|_| {
                let (keyspace, stop) = (Arc::clone(&keyspace), Arc::clone(&stop));
                std::thread::spawn(move || {
                    let mut places = Places(1);
                    while !stop.load(Ordering::Relaxed) {
                        black_box(read(&keyspace, &key(places.next(keys))));
                    }
                })
            })
            .collect();
        let mut places = Places(3);
        let case = if readers == 0 { "4M" } else { "4M-while-reading" };
        group.bench_function(format!("set/overwrite/{case}/1t"), |b| {
            b.iter(|| {
                let key = key(places.next(keys));
                let mut set = ShardSet::none();
                set.add(&keyspace, 0, &key);
                let mut txn = writer.begin(&set, Viewer::Stream, 0);
                txn.set_string(&key, &[b'w'; 64], Expiry::Never).unwrap();
            });
        });
        stop.store(true, Ordering::Relaxed);
        reading.into_iter().for_each(|reader| reader.join().unwrap());
    }
    let swapped = Loader::new(&keyspace).finish();
    let mut other = Some(keyspace.swap_contents(swapped, || ()));
    group.bench_function("swap/1db/256sh/1t", |b| {
        b.iter(|| other = other.take().map(|loaded| keyspace.swap_contents(loaded, || ())));
    });
    group.finish();
}

fn scans(c: &mut Criterion) {
    let mut group = c.benchmark_group("store");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    let (keyspace, _writer) = filled(many().min(1_000_000));
    for count in [10, 100] {
        let mut cursor = 0;
        group.bench_function(format!("scan/count{count}/1M/1t"), |b| {
            b.iter(|| {
                let view = View::new(&keyspace, &ShardSet::none(), Viewer::Client, 0);
                cursor = view.scan(0, cursor, count, |entry| {
                    black_box(entry.key());
                });
            });
        });
    }
    group.finish();
}

/// What noting the use of a key costs a command, by policy.
fn uses(c: &mut Criterion) {
    let mut group = c.benchmark_group("store");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    let (keyspace, _writer) = filled(10_000);
    let mut places = Places(5);
    let mut look = || {
        let key = key(places.next(10_000));
        let mut set = ShardSet::none();
        set.add(&keyspace, 0, &key);
        View::new(&keyspace, &set, Viewer::Client, 0).entry(&key).is_some()
    };
    group.bench_function("view/unnoted/10k/1t", |b| b.iter(|| store::access::without_touch(&mut look)));
    for policy in ["noeviction", "allkeys-lru", "allkeys-lfu"] {
        keyspace.limits().set("maxmemory-policy", Policy::named(policy).unwrap() as i64);
        group.bench_function(format!("view/{policy}/10k/1t"), |b| b.iter(&mut look));
    }
    group.finish();
}

criterion_group!(benches, gets, uses, sets, scans);
criterion_main!(benches);
