//! A copy of a whole cluster of three shards: what its primaries produce against what is applied, and how long readers
//! wait while one shard is synced anew.
//!
//! `cargo bench -p replica-benches --bench shards` does both (`-- apply` and `-- hold` do one of them), with Valkey
//! 9.1.2 or, if `SERVER` is 70, Redis 7.0.15. `SECONDS` (default 10) and `KEYS` (of each shard, default 300000) are
//! environment variables. One shard has a real replica besides, which does a third of the work.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use measure::{Process, binary, number, wants};
use testkit::{Client, Cluster, Random, Running, Server};

#[global_allocator]
static ALLOCATOR: measure::Allocator = measure::Allocator;

/// Commands that a writer sends before it waits for their replies.
const AT_ONCE: usize = 100;

fn server() -> Server {
    if number("SERVER", 91) == 70 { Server::R7_0 } else { Server::V9_1 }
}

fn follow(cluster: &Cluster) -> Process {
    let ours =
        Process::ours(&binary(), &["--master", &format!("redis-cluster://{}", cluster.nodes[0].addr())]);
    let mut client = ours.client();
    testkit::eventually("it is complete", || !client.call(&["DBSIZE"]).is_error());
    ours
}

/// A tag whose slot belongs to this shard of three.
fn tag(cluster: &Cluster, shard: usize) -> String {
    let mut client = cluster.nodes[shard].client();
    let is_here = |tag: &String| !client.call(&["GET", &format!("{{{tag}}}")]).is_error();
    (0..1000).map(|n| n.to_string()).find(is_here).unwrap()
}

/// The offset of a primary's stream.
fn produced(client: &mut Client) -> u64 {
    let info = client.call(&["INFO", "replication"]).text();
    let line = info.lines().find_map(|line| line.strip_prefix("master_repl_offset:"));
    line.unwrap().trim().parse().unwrap()
}

/// The offsets of all streams, as far as they are applied here.
fn applied(client: &mut Client) -> u64 {
    let info = client.call(&["INFO", "cluster"]).text();
    let offsets = info.lines().filter(|line| line.starts_with("shard")).filter_map(|line| {
        line.split(',')
            .find_map(|word| word.strip_prefix("offset="))
            .and_then(|text| text.parse::<u64>().ok())
    });
    offsets.sum()
}

/// Random writes to one shard until it is told to stop, so many a second at most.
fn write(
    node: &Running,
    tag: String,
    seed: u64,
    pace: usize,
    stop: &Arc<AtomicBool>,
    count: &Arc<AtomicU64>,
) -> std::thread::JoinHandle<()> {
    let (mut client, stop, count) = (node.client(), Arc::clone(stop), Arc::clone(count));
    spawn(move || {
        let mut random = Random::new(seed);
        let begun = Instant::now();
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            let commands: Vec<Vec<String>> = (0..AT_ONCE)
                .map(|_| {
                    let n = random.below(50_000);
                    let key = format!("{{{tag}}}key:{n}");
                    let value = format!("value:{:010}", random.below(1_000_000_000));
                    let words: &[&str] = match n % 5 {
                        0 => &["HSET", &key, "field", &value],
                        1 => &["INCR", &key],
                        2 if random.below(4) == 0 => &["DEL", &key],
                        _ => &["SET", &key, &value],
                    };
                    words.iter().map(|word| (*word).to_owned()).collect()
                })
                .collect();
            client.pipeline(&commands);
            sent += AT_ONCE;
            count.fetch_add(AT_ONCE as u64, Ordering::Relaxed);
            if pace > 0 {
                let due = Duration::from_secs_f64(sent as f64 / pace as f64);
                sleep(due.saturating_sub(begun.elapsed()));
            }
        }
    })
}

fn apply(pace: usize, seconds: usize) {
    let cluster = Cluster::start(server(), 3, false);
    let ours = follow(&cluster);
    let real = Process::theirs(server(), None);
    let (host, port) = ("127.0.0.1", cluster.nodes[0].port().to_string());
    let mut real_client = real.client();
    real_client.call(&["REPLICAOF", host, &port]).ok();
    testkit::eventually("a real replica of one shard", || {
        real_client.call(&["INFO", "replication"]).text().contains("master_link_status:up")
    });
    let mut primaries: Vec<Client> = cluster.nodes.iter().map(Running::client).collect();
    let mut client = ours.client();
    let all = |primaries: &mut Vec<Client>| primaries.iter_mut().map(produced).sum::<u64>();
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (from, cpu, real_cpu) = (all(&mut primaries), ours.cpu(), real.cpu());
    let begun = Instant::now();
    let writers: Vec<_> = (0..3)
        .map(|shard| {
            write(&cluster.nodes[shard], tag(&cluster, shard), shard as u64 + 1, pace / 3, &stop, &count)
        })
        .collect();
    // What is produced is asked for last: what is behind is not made smaller than it is.
    let mut behind: Vec<u64> = Vec::new();
    while begun.elapsed() < Duration::from_secs(seconds as u64) {
        let here = applied(&mut client);
        behind.push(all(&mut primaries).saturating_sub(here));
        sleep(Duration::from_millis(50));
    }
    stop.store(true, Ordering::Relaxed);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let took = begun.elapsed().as_secs_f64();
    let (end, drained) = (all(&mut primaries), Instant::now());
    while applied(&mut client) < end {
        sleep(Duration::from_millis(1));
    }
    let drained = drained.elapsed().as_secs_f64();
    let commands = count.load(Ordering::Relaxed) as f64;
    let megabytes = (end - from) as f64 / 1e6;
    let half = behind.len() / 2;
    let most = |part: &[u64]| part.iter().copied().max().unwrap_or(0) as f64 / 1e3;
    let (cpu, real_cpu) = ((ours.cpu() - cpu).as_secs_f64(), (real.cpu() - real_cpu).as_secs_f64());
    println!(
        "{}, {:.0} commands and {:.2} MB a second produced; applied after their end within {:.0} ms: {:.0} commands and {:.2} MB a second",
        if pace == 0 {
            "as fast as three writers can".to_owned()
        } else {
            format!("{pace} commands a second")
        },
        commands / took,
        megabytes / took,
        drained * 1e3,
        commands / (took + drained),
        megabytes / (took + drained),
    );
    println!(
        "  behind: at most {:.0} kB in the first half, {:.0} kB in the second",
        most(&behind[..half]),
        most(&behind[half..])
    );
    println!(
        "  CPU: ours {cpu:.2} s ({:.0} ns a command); a real replica of one shard {real_cpu:.2} s, three times that {:.2} s: {:.2}",
        cpu * 1e9 / commands,
        real_cpu * 3.0,
        cpu / (real_cpu * 3.0)
    );
}

/// The longest that a reader of another shard's key waits, by socket, and how many reads there were.
fn read_until(ours: &Process, key: &str, mut is_over: impl FnMut() -> bool) -> (Duration, u64) {
    let stop = Arc::new(AtomicBool::new(false));
    let (ended, mut client, key) = (Arc::clone(&stop), ours.client(), key.to_owned());
    let reader = spawn(move || {
        let (mut longest, mut reads) = (Duration::ZERO, 0_u64);
        while !ended.load(Ordering::Relaxed) {
            let begun = Instant::now();
            client.call(&["GET", &key]);
            longest = longest.max(begun.elapsed());
            reads += 1;
        }
        (longest, reads)
    });
    while !is_over() {
        sleep(Duration::from_millis(5));
    }
    stop.store(true, Ordering::Relaxed);
    reader.join().unwrap()
}

fn hold(keys: usize) {
    let cluster = Cluster::start(server(), 3, false);
    let tags: Vec<String> = (0..3).map(|shard| tag(&cluster, shard)).collect();
    for (node, tag) in cluster.nodes.iter().zip(&tags) {
        let mut client = node.client();
        for first in (0..keys).step_by(10_000) {
            let set = |n: usize| vec!["SET".to_owned(), format!("{{{tag}}}key:{n}"), format!("{n:064}")];
            client.pipeline(&(first..(first + 10_000).min(keys)).map(set).collect::<Vec<_>>());
        }
    }
    let ours = follow(&cluster);
    let mut client = ours.client();
    testkit::eventually("all keys", || client.call(&["DBSIZE"]).int() == (3 * keys) as i64);
    let of_another = format!("{{{}}}key:1", tags[1]);
    let begun = Instant::now();
    let (quiet, quiet_reads) = read_until(&ours, &of_another, || begun.elapsed() > Duration::from_secs(3));
    let syncs = |client: &mut Client| {
        let info = client.call(&["INFO", "stats"]).text();
        let line = info.lines().find_map(|line| line.strip_prefix("replication_full_syncs:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    let before = syncs(&mut client);
    let mut node = cluster.nodes[0].client();
    node.call(&["DEBUG", "CHANGE-REPL-ID"]).ok();
    node.call(&["CLIENT", "KILL", "TYPE", "replica"]);
    let begun = Instant::now();
    let (longest, reads) = read_until(&ours, &of_another, || syncs(&mut client) > before);
    println!(
        "{keys} keys in each of three shards; one is synced anew in {:.2} s: a reader of another shard waits {:.2} ms at most ({reads} reads), {:.2} ms without a sync ({quiet_reads} reads)",
        begun.elapsed().as_secs_f64(),
        longest.as_secs_f64() * 1e3,
        quiet.as_secs_f64() * 1e3
    );
}

fn main() {
    if wants("apply") {
        apply(30_000, number("SECONDS", 10));
        apply(0, number("SECONDS", 10));
    }
    if wants("hold") {
        hold(number("KEYS", 300_000));
    }
}
