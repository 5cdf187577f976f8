//! Requests of many clients, process beside process: `replica serve --standalone`, Valkey 9.1.2 and Redis 8.2.3 take
//! turns under redis-benchmark.
//!
//! ```text
//! cargo bench -p replica-benches --bench requests                all
//! cargo bench -p replica-benches --bench requests -- single      50 connections, one request at a time
//! cargo bench -p replica-benches --bench requests -- pipelined   50 connections, pipelines of 64
//! cargo bench -p replica-benches --bench requests -- scripts     a cached script with one GET, pipelines of 16
//! cargo bench -p replica-benches --bench requests -- idle        memory of connections that say nothing
//! ```
//!
//! `REQUESTS` (default 200000; 20 times as many in pipelines, 4 times as many scripts), `ROUNDS` (default 5) and `IDLE` (default 10000; two
//! descriptors each are needed) are environment variables.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use measure::{Process, binary, median, number, wants};
use testkit::{Server, Tool};

const NAMES: [&str; 3] = ["replica", "Valkey 9.1.2", "Redis 8.2.3"];

fn servers(binary: &Path) -> [Process; 3] {
    [
        Process::ours(binary, &["--standalone"]),
        Process::theirs(Server::V9_1, None),
        Process::theirs(Server::R8_2, None),
    ]
}

/// What a run of redis-benchmark gave.
struct Run {
    /// Microseconds of the server's processor time for each request.
    cpu: f64,
    per_second: f64,
    p99: f64,
}

/// `test` is a test of redis-benchmark, or a whole command.
fn run(server: &Process, test: &[&str], pipeline: usize, requests: usize) -> Run {
    let before = server.cpu();
    let output = Command::new(Tool::Benchmark.fetch().unwrap())
        .args(["-h", "127.0.0.1", "-p", server.port(), "-c", "50", "-d", "64", "-r", "100000", "--csv"])
        .args(["-n", &requests.to_string(), "-P", &pipeline.to_string()])
        .args(test)
        .output()
        .unwrap();
    let cpu = (server.cpu() - before).as_secs_f64() * 1e6 / requests as f64;
    let text = String::from_utf8(output.stdout).unwrap();
    // "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max..."
    let row: Vec<f64> = text
        .lines()
        .last()
        .unwrap()
        .split(',')
        .filter_map(|cell| cell.trim_matches('"').parse().ok())
        .collect();
    assert_eq!(row.len(), 7, "{text}");
    Run { cpu, per_second: row[0], p99: row[5] }
}

const SCRIPT: &str = "return redis.call('GET', KEYS[1])";

fn compare(binary: &Path, tests: &[(&str, &[&str])], pipeline: usize, requests: usize) {
    println!("\n50 connections, pipelines of {pipeline}: {requests} requests, medians");
    println!(
        "{:<11} {:<14} {:>14} {:>12} {:>9}    ours is: CPU, requests a second, p99",
        "", "", "CPU a request", "a second", "p99"
    );
    let servers = servers(binary);
    for server in &servers {
        drop(server.client().call(&["SCRIPT", "LOAD", SCRIPT]));
        // Whoever comes first finds nothing: all begin with the keys there.
        run(server, &["-t", "set"], 64, 500_000);
    }
    for (name, test) in tests {
        let mut rows: [Vec<Run>; 3] = Default::default();
        for _ in 0..number("ROUNDS", 5) {
            for (runs, server) in rows.iter_mut().zip(&servers) {
                runs.push(run(server, test, pipeline, requests));
            }
        }
        let middle = rows.map(|runs| {
            let of = |f: fn(&Run) -> f64| median(runs.iter().map(f).collect());
            [of(|run| run.cpu), of(|run| run.per_second), of(|run| run.p99)]
        });
        for (who, [cpu, per_second, p99]) in NAMES.into_iter().zip(middle) {
            println!(
                "{name:<11} {who:<14} {cpu:>11.2} us {per_second:>12.0} {p99:>6.2} ms    {:.2} {:.2} {:.2}",
                middle[0][0] / cpu,
                middle[0][1] / per_second,
                middle[0][2] / p99,
            );
        }
    }
}

fn idle(binary: &Path) {
    let count = number("IDLE", 10_000);
    println!("\n{count} connections that have said PING and nothing since: resident bytes each");
    for (name, server) in NAMES.into_iter().zip(servers(binary)) {
        server.client().call(&["CONFIG", "SET", "maxclients", &(count + 100).to_string()]);
        let before = server.resident();
        let connections: Vec<TcpStream> = (0..count)
            .map(|_| {
                let mut stream = TcpStream::connect(server.address()).unwrap();
                stream.write_all(b"PING\r\n").unwrap();
                let mut pong = [0; 7];
                stream.read_exact(&mut pong).unwrap();
                stream
            })
            .collect();
        std::thread::sleep(Duration::from_secs(1));
        let each = server.resident().saturating_sub(before) / count as u64;
        println!("{name:<14} {each:>8}");
        drop(connections);
    }
}

fn main() {
    let binary = binary();
    let count = number("REQUESTS", 200_000);
    let plain: [(&str, &[&str]); 2] = [("SET", &["-t", "set"]), ("GET", &["-t", "get"])];
    if wants("single") {
        compare(&binary, &plain, 1, count);
    }
    if wants("pipelined") {
        compare(&binary, &plain, 64, count * 20);
    }
    if wants("scripts") {
        let sha = lua::Digest::of(SCRIPT.as_bytes()).to_hex();
        let call = |name| [name, sha.as_str(), "1", "key:000000000001", "argument"];
        let (may, read_only) = (call("EVALSHA"), call("EVALSHA_RO"));
        compare(&binary, &[("EVALSHA", &may), ("EVALSHA_RO", &read_only)], 16, count * 4);
    }
    if wants("idle") {
        idle(&binary);
    }
}
