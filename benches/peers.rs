//! What a read costs, by the way in which a program has the data at hand: from the server over loopback, from the
//! client-side cache of redis-rs, from a cache of its own (moka), from a bare map (dashmap), and from a replica in
//! process. One run, one primary, the same keys in the same order.
//!
//! `cargo bench -p replica-benches --bench peers` prints the table of docs/performance.md. `KEYS` (default 100000) and
//! `SECONDS` of each measurement (default 2) are environment variables.

use std::num::NonZeroUsize;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dashmap::DashMap;
use redis::AsyncCommands as _;
use testkit::Server;

/// Keys that `get_many` is asked for.
const AT_ONCE: usize = 64;
const VALUE: usize = 64;
/// A clock is asked for once in so many reads.
const TURN: usize = 64;

fn number(name: &str, default: f64) -> f64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Keys without rhyme (xorshift).
struct Order<'k> {
    keys: &'k [Vec<u8>],
    state: u64,
}

impl<'k> Order<'k> {
    fn new(keys: &'k [Vec<u8>], thread: usize) -> Self {
        Self { keys, state: 0x9E37_79B9_7F4A_7C15 ^ (thread as u64 + 1) }
    }

    fn next(&mut self) -> &'k [u8] {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        &self.keys[self.state as usize % self.keys.len()]
    }
}

/// Reads a second of so many threads; each makes its own reader, which answers how long the value was.
fn measure<R>(keys: &[Vec<u8>], threads: usize, time: Duration, reader: impl Fn() -> R + Sync) -> f64
where
    R: FnMut(&[u8]) -> usize,
{
    let (ready, stop) = (Barrier::new(threads + 1), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let (ready, stop, reader) = (&ready, &stop, &reader);
                scope.spawn(move || {
                    let (mut read, mut order) = (reader(), Order::new(keys, thread));
                    // What is cached at first use is cached before it counts.
                    keys.iter().for_each(|key| assert_eq!(read(key), VALUE, "a value is missing"));
                    ready.wait();
                    let (began, mut reads) = (Instant::now(), 0_u64);
                    while !stop.load(Ordering::Relaxed) {
                        for _ in 0..TURN {
                            assert_eq!(std::hint::black_box(read(order.next())), VALUE, "a value is missing");
                        }
                        reads += TURN as u64;
                    }
                    reads as f64 / began.elapsed().as_secs_f64()
                })
            })
            .collect();
        ready.wait();
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        workers.into_iter().map(|worker| worker.join().expect("a reader ends")).sum()
    })
}

fn row(name: &str, rates: &[f64], base: f64) {
    let cells: Vec<String> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
    println!("| {name} | {} | {:.0} ns | {:.3} |", cells.join(" | "), 1e9 / rates[0], rates[0] / base);
}

fn main() {
    // `cargo test` and `cargo bench -- --test` only want to know that it starts.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let (count, time) = (number("KEYS", 100_000.0) as usize, Duration::from_secs_f64(number("SECONDS", 2.0)));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let primary = Server::R8_2.start();
    let mut client = primary.client();
    let keys: Vec<Vec<u8>> = (0..count).map(|n| format!("key:{n:012}").into_bytes()).collect();
    let value = [b'x'; VALUE];
    for chunk in keys.chunks(1000) {
        let commands: Vec<Vec<&[u8]>> = chunk.iter().map(|key| vec![&b"SET"[..], key, &value]).collect();
        client.pipeline(&commands);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let replica = runtime.block_on(replica::Replica::connect(&primary.url())).expect("a copy");
    let db = replica.db(0);
    let map: DashMap<Vec<u8>, Bytes> =
        keys.iter().map(|key| (key.clone(), Bytes::copy_from_slice(&value))).collect();
    let cache: moka::sync::Cache<Vec<u8>, Bytes> = moka::sync::Cache::new(count as u64 * 2);
    keys.iter().for_each(|key| cache.insert(key.clone(), Bytes::copy_from_slice(&value)));
    cache.run_pending_tasks();

    let each = |reader: &dyn Fn(usize) -> f64| -> Vec<f64> {
        let mut rates = vec![reader(1)];
        rates.extend((cores > 1).then(|| reader(cores)));
        rates
    };
    let copy = each(&|threads| {
        measure(&keys, threads, time, || {
            |key: &[u8]| db.get(key).expect("a string").map_or(0, |blob| blob.len())
        })
    });
    let base = copy[0];
    println!("{count} keys of 16 bytes, values of {VALUE}; {cores} cores\n");
    let columns = if cores > 1 { format!("1 thread | {cores} threads") } else { "1 thread".to_owned() };
    println!("| read from | reads a second, {columns} | a read | of ours |");
    println!("| --- | {} --- | --- |", "--- | ".repeat(copy.len()));
    row("a replica in process, `db.get`", &copy, base);
    let db = &db;
    let many = each(&|threads| {
        measure(&keys, threads, time, || {
            let mut asked: Vec<[u8; 16]> = Vec::with_capacity(AT_ONCE);
            move |key: &[u8]| {
                asked.push(key.try_into().expect("16 bytes"));
                if asked.len() == AT_ONCE {
                    let found = db.get_many(&asked);
                    assert!(found.iter().all(|blob| blob.as_ref().is_some_and(|blob| blob.len() == VALUE)));
                    asked.clear();
                }
                VALUE
            }
        })
    });
    row("the same, 64 at once by `db.get_many`", &many, base);
    let bare = each(&|threads| {
        measure(&keys, threads, time, || |key: &[u8]| map.get(key).map_or(0, |value| value.clone().len()))
    });
    row("`dashmap` of `Bytes`, bare", &bare, base);
    let cached = each(&|threads| {
        measure(&keys, threads, time, || |key: &[u8]| cache.get(key).map_or(0, |value| value.len()))
    });
    row("`moka::sync`, all keys cached", &cached, base);

    let url = format!("{}/?protocol=resp3", primary.url());
    let tracked = each(&|threads| {
        measure(&keys, threads, time, || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let size = NonZeroUsize::new(count * 2).expect("some keys");
            let caching = redis::caching::CacheConfig::new().set_size(size);
            let config = redis::AsyncConnectionConfig::new().set_cache_config(caching);
            let client = redis::Client::open(url.as_str()).expect("an address");
            let connected = client.get_multiplexed_async_connection_with_config(&config);
            let mut connection = runtime.block_on(connected).expect("a connection");
            move |key: &[u8]| {
                let value: Vec<u8> = runtime.block_on(connection.get(key)).expect("a string");
                value.len()
            }
        })
    });
    row("redis-rs with its client-side cache, all keys cached", &tracked, base);
    let loopback = each(&|threads| {
        measure(&keys, threads, time, || {
            let client = redis::Client::open(primary.url()).expect("an address");
            let mut connection = client.get_connection().expect("a connection");
            move |key: &[u8]| {
                let value: Vec<u8> = redis::cmd("GET").arg(key).query(&mut connection).expect("a string");
                value.len()
            }
        })
    });
    row("redis-rs over loopback, one request at a time", &loopback, base);
    runtime.block_on(replica.shutdown()).expect("it stops");
}
