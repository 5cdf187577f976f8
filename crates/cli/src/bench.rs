//! `replica bench`: what a read costs in this process, from the served copy, and from the primary.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use replica::{Db, Replica, Scan, Standalone};
use resp::Value;

use crate::{Failure, runtime};
use replica::Wire;

/// Arguments of `replica bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The primary whose strings are read: redis://user:password@host:port. Default: one of our own in this process,
    /// filled with --keys.
    #[arg(long, value_name = "URL")]
    master: Option<String>,
    /// Keys of the primary in this process.
    #[arg(long, value_name = "N", default_value_t = 100_000, conflicts_with = "master")]
    keys: u64,
    /// Bytes of their values.
    #[arg(long, value_name = "N", default_value_t = 64, conflicts_with = "master")]
    value_size: usize,
    /// Which database to read.
    #[arg(long, value_name = "N", default_value_t = 0)]
    db: u32,
    /// Connections to the served copy, and to the primary.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Requests sent at a time in the second measurement of each server.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    pipeline: u16,
    /// Seconds of each measurement.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    seconds: f64,
    #[command(flatten)]
    tls: crate::tls::Args,
}

/// Most keys that are read.
const KEYS: usize = 1 << 20;
/// One read in so many is timed in process: the clock costs as much as the read.
const TIMED: u64 = 64;

/// Measures and prints a table.
pub fn run(args: &Args) -> Result<(), Failure> {
    let runtime = runtime()?;
    let time = Duration::try_from_secs_f64(args.seconds)?;
    let (primary, replica) = runtime.block_on(start(args))?;
    let db = replica.db(args.db);
    let keys: Vec<Vec<u8>> =
        db.scan(Scan::all().kind(replica::Kind::String)).take(KEYS).map(|key| key.to_vec()).collect();
    if keys.is_empty() {
        return Err(format!("database {} has no strings to read", args.db).into());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    say!(
        "{} strings of database {}; this machine has {cores} cores, for clients and servers alike",
        keys.len(),
        args.db
    );
    say!("{:<44}{:>14}{:>12}{:>12}{:>12}", "", "reads/s", "p50", "p99", "p99.9");
    let mut threads = vec![1];
    threads.extend((cores > 1).then_some(cores));
    for threads in threads {
        let words = if threads == 1 { "thread" } else { "threads" };
        let measured =
            measure(threads, time, |_| Ok(()), |(), random, stop| in_process(&db, &keys, random, stop))?;
        measured.print(&format!("in process, {threads} {words}"));
    }
    let served = replica.local_addr().ok_or("the copy is not served")?.to_string();
    let master = match (&args.master, &primary) {
        (Some(url), _) => url.clone(),
        (None, Some(primary)) => primary.url(),
        (None, None) => return Err("no primary".into()),
    };
    for (name, url) in [("copy", &served), ("primary", &master)] {
        for depth in [1, usize::from(args.pipeline)] {
            let open = |_| {
                let mut connection = crate::connection::open(url, &args.tls)?;
                connection.ask(&["SELECT", &args.db.to_string()])?;
                Ok(connection)
            };
            let connections = usize::from(args.connections);
            let measured = measure(connections, time, open, |connection, random, stop| {
                over_tcp(connection, &keys, depth, random, stop)
            })?;
            let deep = if depth > 1 { format!(", {depth} at a time") } else { String::new() };
            measured.print(&format!("{name}, {connections} connections{deep}"));
            if args.pipeline == 1 {
                break;
            }
        }
    }
    runtime.block_on(async {
        replica.shutdown().await?;
        if let Some(primary) = primary {
            primary.shutdown().await;
        }
        Ok(())
    })
}

async fn start(args: &Args) -> Result<(Option<Standalone>, Replica), Failure> {
    let (primary, url) = match &args.master {
        Some(url) => (None, url.clone()),
        None => {
            let primary = Standalone::start("127.0.0.1:0").await?;
            let value = "x".repeat(args.value_size);
            for n in 0..args.keys {
                primary.command_in(args.db, &["SET", &format!("bench:{n:012}"), &value])?;
            }
            let url = primary.url();
            (Some(primary), url)
        }
    };
    let mut builder = Replica::builder().master(&url).listen("127.0.0.1:0");
    if replica::Address::parse(&url)?.tls {
        builder = builder.tls(args.tls.build()?);
    }
    let replica = builder.start().await?;
    replica.ready().await?;
    Ok((primary, replica))
}

/// What came out.
struct Measured {
    reads: u64,
    took: Duration,
    /// Nanoseconds of a round trip, or of a read in process.
    times: Histogram<u32>,
}

impl Measured {
    fn print(&self, name: &str) {
        let [half, most, nearly_all] =
            [50.0, 99.0, 99.9].map(|percent| self.times.value_at_percentile(percent));
        say!(
            "{name:<44}{:>14.0}{:>12}{:>12}{:>12}",
            self.reads as f64 / self.took.as_secs_f64(),
            nanos(half),
            nanos(most),
            nanos(nearly_all)
        );
    }
}

fn nanos(n: u64) -> String {
    match n as f64 {
        n if n < 1e3 => format!("{n:.0} ns"),
        n if n < 1e6 => format!("{:.1} us", n / 1e3),
        n => format!("{:.2} ms", n / 1e6),
    }
}

fn histogram() -> Result<Histogram<u32>, Failure> {
    Ok(Histogram::new_with_bounds(1, 60_000_000_000, 3)?)
}

/// So many threads for so long, from the moment when all are ready.
fn measure<T>(
    threads: usize,
    time: Duration,
    open: impl Fn(usize) -> Result<T, Failure> + Sync,
    read: impl Fn(&mut T, &mut Random, &AtomicBool) -> Result<(u64, Histogram<u32>), Failure> + Sync,
) -> Result<Measured, Failure> {
    let (barrier, stop) = (Barrier::new(threads + 1), AtomicBool::new(false));
    let (mut reads, mut times) = (0, histogram()?);
    let took = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|n| {
                let (open, read, barrier, stop) = (&open, &read, &barrier, &stop);
                scope.spawn(move || {
                    let opened = open(n);
                    barrier.wait();
                    read(&mut opened?, &mut Random(0x9E37_79B9_7F4A_7C15 ^ (n as u64 + 1)), stop)
                })
            })
            .collect();
        barrier.wait();
        let began = Instant::now();
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        for worker in workers {
            let (n, of) = worker.join().map_err(|_| "a thread failed")??;
            reads += n;
            times.add(of)?;
        }
        Ok::<_, Failure>(began.elapsed())
    })?;
    Ok(Measured { reads, took, times })
}

fn in_process(
    db: &Db,
    keys: &[Vec<u8>],
    random: &mut Random,
    stop: &AtomicBool,
) -> Result<(u64, Histogram<u32>), Failure> {
    let (mut reads, mut times) = (0, histogram()?);
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..TIMED - 1 {
            std::hint::black_box(db.get(random.pick(keys).as_slice())?);
        }
        let key = random.pick(keys).as_slice();
        let began = Instant::now();
        std::hint::black_box(db.get(key)?);
        times.saturating_record(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1));
        reads += TIMED;
    }
    Ok((reads, times))
}

fn over_tcp(
    connection: &mut Wire,
    keys: &[Vec<u8>],
    depth: usize,
    random: &mut Random,
    stop: &AtomicBool,
) -> Result<(u64, Histogram<u32>), Failure> {
    let (mut reads, mut times) = (0, histogram()?);
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..depth {
            connection.push(&[&b"GET"[..], random.pick(keys)]);
        }
        let began = Instant::now();
        let replies = connection.flush()?;
        times.saturating_record(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1));
        if let Some(Value::Error(text)) = replies.iter().find(|reply| matches!(reply, Value::Error(_))) {
            return Err(String::from_utf8_lossy(text).into_owned().into());
        }
        reads += replies.len() as u64;
    }
    Ok((reads, times))
}

/// Numbers without rhyme (xorshift).
struct Random(u64);

impl Random {
    fn pick<'k>(&mut self, keys: &'k [Vec<u8>]) -> &'k Vec<u8> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let at = (u128::from(self.0) * keys.len() as u128) >> 64;
        &keys[at as usize]
    }
}
