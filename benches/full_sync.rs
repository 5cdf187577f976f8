//! A whole full sync, process beside process: `replica serve` and Valkey 9.1.2 as replicas of one Redis 7.0.15.
//!
//! `cargo bench -p replica-benches --bench full_sync` prints seconds, resident megabytes and their ratios.
//! `KEYS` (default 1000000) and `ROUNDS` (default 3) are environment variables.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use testkit::{Client, Running, Server, fill_every_type, rss_bytes_of};

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Builds the binary as users do, and says where it is.
fn binary() -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let built = Command::new(cargo).args(["build", "--release", "-p", "replica-cli"]).status();
    assert!(built.is_ok_and(|status| status.success()), "the binary does not build");
    let here = std::env::current_exe().expect("a bench has a path");
    here.ancestors().nth(2).expect("target/release/deps/bench").join("replica")
}

struct Ours(Child, String);

impl Drop for Ours {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_ours(binary: &PathBuf, primary: &Running) -> Ours {
    let master = format!("redis://127.0.0.1:{}", primary.port());
    let mut child = Command::new(binary)
        .args(["serve", "--master", &master, "--listen", "127.0.0.1:0"])
        .env("RUST_LOG", "warn")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut line = String::new();
    let out = child.stdout.take().expect("piped above");
    BufReader::new(out).read_line(&mut line).expect("it says where it serves");
    let address = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
    Ours(child, address)
}

/// Waits for the link to be up, and answers when that was.
fn synced(client: &mut Client) -> Instant {
    loop {
        let info = client.call(&["INFO", "replication"]).text();
        if info.contains("master_link_status:up") {
            return Instant::now();
        }
        sleep(Duration::from_millis(2));
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let (keys, rounds) = (number("KEYS", 1_000_000), number("ROUNDS", 3));
    let binary = binary();
    let primary = Server::R7_0.start_with(&["--repl-diskless-sync-delay", "0"]);
    let mut client = primary.client();
    fill_every_type(&mut client, 1, keys);
    println!("primary: Redis 7.0.15, {:.0} MB resident", primary.rss_bytes() as f64 / 1e6);
    let (mut theirs, mut swap, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        for (config, results) in [("disabled", &mut theirs), ("swapdb", &mut swap)] {
            let valkey = Server::V9_1.start_with(&["--repl-diskless-load", config]);
            let mut client = valkey.client();
            let begun = Instant::now();
            client.call(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
            let time = synced(&mut client).duration_since(begun).as_secs_f64();
            results.push((time, valkey.rss_bytes() as f64 / 1e6));
        }
        let begun = Instant::now();
        let process = start_ours(&binary, &primary);
        let mut client = Client::connect(process.1.as_str()).expect("it listens");
        let time = synced(&mut client).duration_since(begun).as_secs_f64();
        ours.push((time, rss_bytes_of(process.0.id()).unwrap_or(0) as f64 / 1e6));
    }
    let middle = |all: &[(f64, f64)]| {
        (median(all.iter().map(|x| x.0).collect()), median(all.iter().map(|x| x.1).collect()))
    };
    let (mine, plain, swapped) = (middle(&ours), middle(&theirs), middle(&swap));
    println!("{keys} keys of every type, median of {rounds} rounds");
    println!("replica serve                     {:6.2} s  {:6.0} MB", mine.0, mine.1);
    for (name, them) in [("Valkey 9.1.2, diskless load off", plain), ("Valkey 9.1.2, swapdb", swapped)] {
        println!(
            "{name:<32}  {:6.2} s  {:6.0} MB   ours: {:.2} of the time, {:.2} of the memory",
            them.0,
            them.1,
            mine.0 / them.0,
            mine.1 / them.1
        );
    }
}
