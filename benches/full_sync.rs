//! A whole full sync, process beside process: `replica serve` and Valkey 9.1.2 as replicas of one Redis 7.0.15.
//!
//! `cargo bench -p replica-benches --bench full_sync` prints seconds, resident megabytes and their ratios.
//! `KEYS` (default 1000000) and `ROUNDS` (default 3) are environment variables.

use std::thread::sleep;
use std::time::{Duration, Instant};

use measure::{Process, binary, median, number};
use testkit::{Client, Server, fill_every_type};

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
        let process = Process::ours(&binary, &["--master", primary.url().as_str()]);
        let mut client = Client::connect(process.address()).expect("it listens");
        let time = synced(&mut client).duration_since(begun).as_secs_f64();
        ours.push((time, process.resident() as f64 / 1e6));
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
