//! Relays: what a primary sends with and without one, what a relay needs, and how far behind a copy is after one hop
//! and after two, beside a chain of real servers in the same run.
//!
//! `cargo bench -p replica-benches --bench relays` (`-- output` and `-- lag` do one of them). `WRITES` (default
//! 300000), `READERS` (default 4) and `LAG_SECONDS` (default 5) are environment variables. All primaries, and the real
//! chain, are Valkey 9.1.2.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use measure::{Process, binary, number, sub_replica, wants};
use testkit::{Client, Server, eventually};

#[global_allocator]
static ALLOCATOR: measure::Allocator = measure::Allocator;

/// Commands that are sent before their replies are waited for.
const AT_ONCE: usize = 1000;
/// Writes of a millisecond while lags are measured; the last of them is the probe.
const PER_MILLISECOND: usize = 10;

fn ours(of: &str) -> Process {
    Process::ours(&binary(), &["--master", &format!("redis://{of}")])
}

fn theirs(of: &str) -> Process {
    let server = Process::theirs(Server::V9_1, None);
    let (host, port) = of.rsplit_once(':').unwrap();
    server.client().call(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).ok();
    server.client().call(&["REPLICAOF", host, port]).ok();
    server
}

fn number_in(client: &mut Client, section: &str, name: &str) -> u64 {
    let info = client.call(&["INFO", section]).text();
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {info}")).trim().parse().unwrap()
}

/// Until what this server holds is all that the primary has.
fn level(primary: &mut Client, server: &Process) {
    let mut client = server.client();
    eventually("a link", || client.call(&["INFO", "replication"]).text().contains("master_link_status:up"));
    let offset = number_in(primary, "replication", "master_repl_offset");
    eventually("all of the stream", || number_in(&mut client, "replication", "slave_repl_offset") >= offset);
}

fn write(primary: &mut Client, writes: usize) {
    for first in (0..writes).step_by(AT_ONCE) {
        let set = |n: usize| vec!["SET".to_owned(), format!("key:{:012}", n % 100_000), format!("{n:064}")];
        primary.pipeline(&(first..first + AT_ONCE).map(set).collect::<Vec<_>>());
    }
}

/// Writes, and says how much the primary has sent for each byte of its stream.
fn output(what: &str, primary: &Process, followers: &[&Process], writes: usize) {
    let mut client = primary.client();
    let counted = |client: &mut Client| {
        (
            number_in(client, "stats", "total_net_repl_output_bytes"),
            number_in(client, "replication", "master_repl_offset"),
        )
    };
    followers.iter().for_each(|follower| level(&mut client, follower));
    let (before, cpu) = (counted(&mut client), primary.cpu());
    write(&mut client, writes);
    followers.iter().for_each(|follower| level(&mut client, follower));
    let after = counted(&mut client);
    let (sent, stream) = ((after.0 - before.0) as f64, (after.1 - before.1) as f64);
    println!(
        "{what}: {:.1} MB of stream, the primary sends {:.1} MB, {:.2} times that; its CPU {:.2} s",
        stream / 1e6,
        sent / 1e6,
        sent / stream,
        (primary.cpu() - cpu).as_secs_f64()
    );
}

fn outputs(readers: usize, writes: usize) {
    {
        let primary = Process::theirs(Server::V9_1, None);
        primary.client().call(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).ok();
        let all: Vec<Process> = (0..readers).map(|_| ours(primary.address())).collect();
        output(
            &format!("{readers} readers at the primary"),
            &primary,
            &all.iter().collect::<Vec<_>>(),
            writes,
        );
    }
    let primary = Process::theirs(Server::V9_1, None);
    primary.client().call(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).ok();
    let relay = ours(primary.address());
    output("a relay without readers", &primary, &[&relay], writes);
    let (alone, begun) = (relay.resident(), relay.cpu());
    output("the same once more", &primary, &[&relay], writes);
    let cpu = (relay.cpu() - begun).as_secs_f64();
    let all: Vec<Process> = (0..readers).map(|_| ours(relay.address())).collect();
    let mut below: Vec<&Process> = all.iter().collect();
    below.push(&relay);
    output(&format!("a relay with {readers} readers"), &primary, &below, writes);
    drop(below);
    drop(all);
    for subs in [1, 10] {
        (0..subs).for_each(|_| sub_replica(&relay));
        let mut client = relay.client();
        eventually("they are there", || number_in(&mut client, "replication", "connected_slaves") >= subs);
        let begun = relay.cpu();
        output("", &primary, &[&relay], writes);
        println!(
            "  the relay feeds {}: {:.1} MB resident (alone {:.1} MB), CPU {:.2} s for the stream (alone {cpu:.2} s)",
            number_in(&mut client, "replication", "connected_slaves"),
            relay.resident() as f64 / 1e6,
            alone as f64 / 1e6,
            (relay.cpu() - begun).as_secs_f64(),
        );
    }
}

/// When each probe was seen, in nanoseconds since `begun`.
fn watch(server: &Process, probes: usize, begun: Instant, stop: &Arc<AtomicBool>) -> JoinHandle<Vec<u128>> {
    let (mut client, stop) = (server.client(), Arc::clone(stop));
    spawn(move || {
        let (mut seen, mut next) = (vec![0; probes], 0);
        while next < probes && !stop.load(Ordering::Relaxed) {
            let reply = client.call(&["GET", "probe"]);
            let at = begun.elapsed().as_nanos();
            let now = if reply.is_null() { None } else { reply.text().parse::<usize>().ok() };
            while now.is_some_and(|now| next <= now) && next < probes {
                seen[next] = at;
                next += 1;
            }
            sleep(Duration::from_micros(200));
        }
        seen
    })
}

fn lag(seconds: usize) {
    let primary = Process::theirs(Server::V9_1, None);
    let mut client = primary.client();
    client.call(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).ok();
    let first = ours(primary.address());
    let their_first = theirs(primary.address());
    level(&mut client, &first);
    level(&mut client, &their_first);
    let (second, their_second) = (ours(first.address()), theirs(their_first.address()));
    level(&mut client, &second);
    level(&mut client, &their_second);
    // What holds a stream up after a dump is over by then.
    write(&mut client, AT_ONCE);
    let chain = [&first, &second, &their_first, &their_second];
    chain.iter().for_each(|server| level(&mut client, server));
    let (probes, begun, stop) = (seconds * 1000, Instant::now(), Arc::new(AtomicBool::new(false)));
    let watching = chain.map(|server| watch(server, probes, begun, &stop));
    let mut written = vec![0; probes];
    for (n, at) in written.iter_mut().enumerate() {
        let set = |key: String, value: String| vec!["SET".to_owned(), key, value];
        let mut commands: Vec<Vec<String>> = (1..PER_MILLISECOND)
            .map(|i| set(format!("key:{}", (n * PER_MILLISECOND + i) % 100_000), "value".to_owned()))
            .collect();
        commands.push(set("probe".to_owned(), n.to_string()));
        client.pipeline(&commands);
        *at = begun.elapsed().as_nanos();
        sleep(Duration::from_millis(n as u64 + 1).saturating_sub(begun.elapsed()));
    }
    let took = begun.elapsed();
    sleep(Duration::from_secs(1));
    stop.store(true, Ordering::Relaxed);
    println!("{:.0} writes a second for {seconds} s", (probes * PER_MILLISECOND) as f64 / took.as_secs_f64());
    let names = ["ours, one hop", "ours, two hops", "Valkey, one hop", "Valkey, two hops"];
    for (name, watching) in names.iter().zip(watching) {
        let seen = watching.join().unwrap();
        let mut lags: Vec<f64> =
            seen.iter().zip(&written).map(|(seen, at)| seen.saturating_sub(*at) as f64 / 1e6).collect();
        lags.sort_by(f64::total_cmp);
        let at = |share: f64| lags[((lags.len() - 1) as f64 * share) as usize];
        println!("  {name:16} p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms", at(0.5), at(0.99), at(1.0));
    }
}

fn main() {
    if wants("output") {
        outputs(number("READERS", 4), number("WRITES", 300_000));
    }
    if wants("lag") {
        lag(number("LAG_SECONDS", 5));
    }
}
