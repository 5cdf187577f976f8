//! The stream, process beside process: how fast `replica serve` and Valkey 9.1.2 apply it, and how far
//! behind a replica is while its primary takes 100 000 writes a second.
//!
//! `cargo bench -p replica-benches --bench follow` prints wall and processor seconds with their ratios, also of a
//! replica that feeds two others, then the lag (`-- speed` and `-- lag` do one of them). `WRITES` (default 2000000), `ROUNDS` (default 3) and `LAG_SECONDS` (default 5) are environment
//! variables. The same bytes come from a scripted primary for both, so that nothing of a primary is measured.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use measure::{Process, binary, median, number, sub_replica, wants};
use testkit::{Server, cpu_time_of};

#[global_allocator]
static ALLOCATOR: measure::Allocator = measure::Allocator;

fn start_ours(binary: &Path, port: u16) -> Process {
    Process::ours(binary, &["--master", &format!("redis://127.0.0.1:{port}")])
}

/// So many SETs over as many keys, as the stream carries them.
fn stream(writes: usize) -> Vec<u8> {
    let mut out = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n".to_vec();
    for n in 0..writes {
        // Neighbours in time are no neighbours in the table.
        let key = n.wrapping_mul(2_654_435_761) % writes;
        out.extend_from_slice(
            format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:{key:012}\r\n$16\r\nvalue:{n:010}\r\n").as_bytes(),
        );
    }
    out
}

/// Greets a replica, gives it an empty data set and the stream, and answers how long it took until it
/// acknowledged the end, with the processor time of the process `pid` meanwhile.
fn feed(listener: &TcpListener, pid: u32, stream: &[u8], synced: impl FnOnce()) -> (Duration, Duration) {
    let (mut socket, _) = listener.accept().expect("a replica comes");
    socket.set_nodelay(true).expect("a socket");
    let mut reader = BufReader::new(socket.try_clone().expect("a socket"));
    loop {
        let words = request(&mut reader);
        let name = words.first().map(|word| word.to_ascii_uppercase()).unwrap_or_default();
        match name.as_str() {
            "PING" => socket.write_all(b"+PONG\r\n").expect("it reads"),
            "PSYNC" => break,
            _ => socket.write_all(b"+OK\r\n").expect("it reads"),
        }
    }
    let dump = b"REDIS0009\xff\0\0\0\0\0\0\0\0";
    let head = format!("+FULLRESYNC {} 0\r\n${}\r\n", "a".repeat(40), dump.len());
    socket.write_all(&[head.as_bytes(), dump].concat()).expect("it reads");
    // The first ACK: the data set is there.
    while request(&mut reader).get(1).is_none_or(|word| word != "ACK") {}
    synced();
    // Whatever it does about that is done by then.
    sleep(Duration::from_millis(300));
    let (begun, cpu) = (Instant::now(), cpu_time_of(pid).expect("it runs"));
    let end = stream.len() as u64;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            socket.write_all(stream).expect("it reads");
            socket.write_all(b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n").expect("it reads");
        });
        loop {
            let words = request(&mut reader);
            if words.get(1).is_some_and(|word| word == "ACK")
                && words
                    .get(2)
                    .and_then(|offset| offset.parse::<u64>().ok())
                    .is_some_and(|offset| offset >= end)
            {
                break;
            }
        }
    });
    (begun.elapsed(), cpu_time_of(pid).expect("it runs") - cpu)
}

/// One request of a replica; newlines between them are signs of life.
fn request(reader: &mut BufReader<TcpStream>) -> Vec<String> {
    let line = |reader: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).expect("it speaks") > 0, "the replica left");
        line.trim_end().to_owned()
    };
    loop {
        let head = line(reader);
        let Some(count) = head.strip_prefix('*').and_then(|count| count.parse::<usize>().ok()) else {
            continue;
        };
        return (0..count)
            .map(|_| {
                let length: usize = line(reader)[1..].parse().expect("a length");
                let mut word = vec![0; length + 2];
                reader.read_exact(&mut word).expect("a word");
                String::from_utf8_lossy(&word[..length]).into_owned()
            })
            .collect();
    }
}

fn speed(binary: &Path, writes: usize, rounds: usize) {
    let stream = stream(writes);
    let mut all: [(Vec<f64>, Vec<f64>); 3] = Default::default();
    for _ in 0..rounds {
        for (who, (walls, cpus)) in all.iter_mut().enumerate() {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let port = listener.local_addr().expect("bound").port();
            let (wall, cpu) = if who == 0 {
                let valkey = Server::V9_1.start();
                valkey.client().call(&["REPLICAOF", "127.0.0.1", &port.to_string()]);
                feed(&listener, valkey.pid(), &stream, || ())
            } else {
                let ours = start_ours(binary, port);
                let subs = if who == 1 { 0 } else { 2 };
                feed(&listener, ours.pid(), &stream, || (0..subs).for_each(|_| sub_replica(&ours)))
            };
            walls.push(wall.as_secs_f64());
            cpus.push(cpu.as_secs_f64());
        }
    }
    let [(their_wall, their_cpu), (wall, cpu), (fed_wall, fed_cpu)] =
        all.map(|(walls, cpus)| (median(walls), median(cpus)));
    println!("{writes} SETs of the stream, median of {rounds} rounds");
    println!("Valkey 9.1.2   {their_wall:.3} s wall  {their_cpu:.3} s processor");
    println!(
        "replica serve  {wall:.3} s wall  {cpu:.3} s processor  ({:.0} ns a command): {:.2} of the wall time, {:.2} of the processor time",
        cpu * 1e9 / writes as f64,
        wall / their_wall,
        cpu / their_cpu
    );
    println!(
        "the same while it feeds two  {fed_wall:.3} s wall  {fed_cpu:.3} s processor: {:.2} and {:.2} of itself without",
        fed_wall / wall,
        fed_cpu / cpu
    );
}

/// Writes at a steady pace; the last write of each millisecond is a probe. How long after the primary's
/// reply does a reader of the copy see it?
fn lag(seconds: usize) {
    let primary = Server::V9_1.start();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let replica = runtime.block_on(async {
        let replica = replica::Replica::connect(&primary.url()).await.expect("it syncs");
        replica.ready().await.expect("it syncs");
        replica
    });
    let done = Arc::new(AtomicBool::new(false));
    let batches = seconds * 1000;
    let replied: Arc<Vec<AtomicU64>> = Arc::new((0..batches).map(|_| AtomicU64::new(0)).collect());
    let started = Instant::now();
    let nanos = move || u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let watcher = {
        let (done, db) = (Arc::clone(&done), replica.db(0));
        spawn(move || {
            let mut seen: Vec<u64> = vec![0; batches];
            let mut next = 0;
            while next < batches && !done.load(Ordering::Relaxed) {
                let value = db.get("probe").expect("a string");
                let at = nanos();
                let now = value.and_then(|v| std::str::from_utf8(&v).ok()?.parse::<usize>().ok());
                while now.is_some_and(|now| next <= now) && next < batches {
                    seen[next] = at;
                    next += 1;
                }
                sleep(Duration::from_micros(100));
            }
            seen
        })
    };
    let mut client = primary.client();
    for batch in 0..batches {
        let set = |key: String, value: String| vec!["SET".to_owned(), key, value];
        let mut commands: Vec<Vec<String>> = (0..99)
            .map(|n| set(format!("key:{}", (batch * 99 + n) % 1_000_000), "value".to_owned()))
            .collect();
        commands.push(set("probe".to_owned(), batch.to_string()));
        client.pipeline(&commands);
        replied[batch].store(nanos(), Ordering::Relaxed);
        let due = Duration::from_millis(batch as u64 + 1);
        sleep(due.saturating_sub(started.elapsed()));
    }
    let took = started.elapsed();
    sleep(Duration::from_secs(1));
    done.store(true, Ordering::Relaxed);
    let seen = watcher.join().expect("it watches");
    let mut lags: Vec<f64> = seen
        .iter()
        .zip(replied.iter())
        .map(|(seen, replied)| seen.saturating_sub(replied.load(Ordering::Relaxed)) as f64 / 1e6)
        .collect();
    lags.sort_by(f64::total_cmp);
    let at = |share: f64| lags[((lags.len() - 1) as f64 * share) as usize];
    println!(
        "{:.0} writes a second for {seconds} s: lag p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, most {:.2} ms",
        (batches * 100) as f64 / took.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

fn main() {
    if wants("speed") {
        speed(&binary(), number("WRITES", 2_000_000), number("ROUNDS", 3));
    }
    if wants("lag") {
        lag(number("LAG_SECONDS", 5));
    }
}
