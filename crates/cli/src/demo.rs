//! `replica demo`: the whole thing on this machine alone.
//!
//! A primary of our own in this process, filled with data of every type; a replica that follows it through
//! real sockets and PSYNC; writes that go on; a live line; and the proof that both sides are equal.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use replica::{Error, Replica, Standalone};

use crate::{Failure, runtime, verify};

/// Arguments of `replica demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End after the check, with 0 if both sides are equal and 1 if not.
    #[arg(long)]
    once: bool,
    /// Keys to begin with.
    #[arg(long, default_value_t = 100_000)]
    keys: u64,
    /// How long to write before the check, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Where to serve the copy; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: String,
}

/// Runs the demo; false if the two sides differ.
pub fn run(args: &Args) -> Result<bool, Failure> {
    runtime()?.block_on(demo(args))
}

async fn demo(args: &Args) -> Result<bool, Failure> {
    let primary = Arc::new(Standalone::start("127.0.0.1:0").await?);
    say!("primary   {}  (in this process)", primary.local_addr());
    let begun = Instant::now();
    for n in 0..args.keys {
        fill(&primary, n)?;
    }
    say!("filled    {} keys of every type in {:.1?}", keys(&primary), begun.elapsed());

    let begun = Instant::now();
    let replica = Replica::builder().master(primary.url()).listen(&args.listen).start().await?;
    replica.ready().await?;
    let addr = replica.local_addr().ok_or("the replica does not listen")?;
    say!("replica   {addr}  synced in {:.1?}; try: redis-cli -p {}", begun.elapsed(), addr.port());

    loop {
        let wrote = write_for(&primary, &replica, Duration::from_secs(args.seconds)).await?;
        let end = primary.engine().position().map_or(0, |position| position.offset.0);
        replica.wait_for_offset(end, Duration::from_secs(30)).await?;
        let (a, b) = (primary.url(), format!("redis://{addr}"));
        let report =
            tokio::task::spawn_blocking(move || verify::compare(&verify::Args::between(a, b))).await??;
        for example in &report.examples {
            say!("          {example}");
        }
        let diverged = replica.status().diverged;
        let equal = report.total() == 0 && diverged == 0;
        say!(
            "{}     {} keys in {} databases, {wrote} writes followed, {} differences, offset {end}",
            if equal { "equal" } else { "NOT EQUAL" },
            report.keys,
            report.databases,
            report.total() + diverged,
        );
        if args.once || !equal {
            replica.shutdown().await?;
            primary.shutdown().await;
            return Ok(equal);
        }
    }
}

fn keys(primary: &Standalone) -> usize {
    primary.engine().keyspace().counts().keys
}

/// Writes for a while and shows a live line; how many commands were written.
async fn write_for(primary: &Arc<Standalone>, replica: &Replica, time: Duration) -> Result<u64, Failure> {
    let (stop, wrote) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = {
        let (primary, stop, wrote) = (Arc::clone(primary), Arc::clone(&stop), Arc::clone(&wrote));
        tokio::task::spawn_blocking(move || {
            let mut n = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                // A burst and a breath: steady, and no core is taken whole.
                for _ in 0..200 {
                    n += 1;
                    change(&primary, n)?;
                    wrote.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(4));
            }
            Ok::<(), Error>(())
        })
    };
    let (begun, live) = (Instant::now(), std::io::stdout().is_terminal());
    let mut before = 0;
    while begun.elapsed() < time && !writer.is_finished() {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = wrote.load(Ordering::Relaxed);
        let behind = |position: Option<replica::Position>| position.map_or(0, |p| p.offset.0);
        let lag = behind(primary.engine().position()).saturating_sub(behind(replica.position()));
        let line = format!(
            "following {} keys  {:.1} MB received  lag {lag} bytes  {} writes/s",
            (0..2).map(|db| replica.db(db).len()).sum::<usize>(),
            replica.status().bytes_received as f64 / 1e6,
            (now - before) * 2,
        );
        before = now;
        if live {
            crate::output::part(format_args!("\r\x1b[K{line}"));
        } else {
            say!("{line}");
        }
    }
    if live {
        say!("");
    }
    stop.store(true, Ordering::Relaxed);
    writer.await??;
    Ok(wrote.load(Ordering::Relaxed))
}

/// Runs a command given by its words.
fn command(primary: &Standalone, db: u32, words: &[&str]) -> Result<(), Error> {
    primary.command_in(db, words).map(|_| ())
}

/// Key number `n`, of a type that follows from the number.
fn fill(primary: &Standalone, n: u64) -> Result<(), Error> {
    let (id, db) = (n.to_string(), u32::from(n.is_multiple_of(10)));
    let key = |kind: &str| format!("{kind}:{n}");
    let run = |words: &[&str]| command(primary, db, words);
    match n % 10 {
        0 => run(&["SET", &key("string"), &format!("value {n}").repeat(1 + (n % 7) as usize)]),
        1 => run(&["SET", &key("number"), &id, "EX", "86400"]),
        2 => run(&["RPUSH", &key("list"), "a", &id, "c", "4"]),
        3 => run(&["SADD", &key("set"), "red", "green", &id]),
        4 => run(&["SADD", &key("ids"), &id, "7", "70000"]),
        5 => run(&["HSET", &key("hash"), "name", &id, "colour", "blue", "size", "12"]),
        6 => run(&["ZADD", &key("zset"), "1", "one", "2.5", &id, "-inf", "least"]),
        7 => {
            run(&["GEOADD", &key("geo"), "13.361389", "38.115556", "Palermo", "15.087269", "37.502669", &id])
        }
        8 => {
            let stream = key("stream");
            run(&["XADD", &stream, "*", "n", &id])?;
            run(&["XADD", &stream, "*", "n", &id, "more", "yes"])?;
            run(&["XGROUP", "CREATE", &stream, "workers", "0"])?;
            run(&["XREADGROUP", "GROUP", "workers", "w1", "COUNT", "1", "STREAMS", &stream, ">"])
        }
        _ => {
            run(&["PFADD", &key("visitors"), &id, "x", "y"])?;
            run(&["SETBIT", &key("bitmap"), &(n % 5000).to_string(), "1"])
        }
    }
}

/// Write number `n` on what `fill` made.
fn change(primary: &Standalone, n: u64) -> Result<(), Error> {
    let (id, big) = (n.to_string(), "big");
    let run = |words: &[&str]| command(primary, 0, words);
    match n % 14 {
        0 => run(&["INCR", "counter"]),
        1 => run(&["SET", &format!("fresh:{}", n % 5000), &id, "PX", "600000"]),
        2 => run(&["RPUSH", &format!("{big}:list"), &id]),
        3 => run(&["LPOP", &format!("{big}:list")]),
        4 => run(&["SADD", &format!("{big}:set"), &id]),
        5 => run(&["ZADD", &format!("{big}:zset"), &(n % 1000).to_string(), &format!("m{}", n % 3000)]),
        6 => run(&["HSET", &format!("{big}:hash"), &format!("f{}", n % 3000), &id]),
        7 => run(&["XADD", &format!("{big}:stream"), "MAXLEN", "~", "1000", "*", "n", &id]),
        8 => run(&["SPOP", &format!("{big}:set")]),
        9 => run(&["SETRANGE", &format!("{big}:text"), &(n % 4000).to_string(), &id]),
        10 => run(&["DEL", &format!("fresh:{}", n * 7 % 5000)]),
        11 => run(&["INCRBYFLOAT", "sum", "0.5"]),
        12 => run(&["PEXPIRE", &format!("fresh:{}", n * 3 % 5000), "300"]),
        _ => run(&["PFADD", &format!("{big}:visitors"), &id]),
    }
}
