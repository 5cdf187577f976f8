//! Every write command from several connections at once, against a real primary, with the link cut now and
//! then: in the end nothing differs.
//!
//! Three primaries for a moment each; `REPLICA_SOAK=600` runs all six side by side for so many seconds, or
//! `REPLICA_PRIMARY` (`R8_2`, as the test prints them) alone. `SEED` chooses
//! other writes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use testkit::{Client, Random, Running, Server, fill_every_type, random_writes};

mod support;
use support::{assert_equal, builder, caught_up, client_of, start};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// What `random_writes` leaves out: clients that wait, values that travel as payloads, everything flushed.
fn odd_writes(client: &mut Client, random: &mut Random) {
    for _ in 0..40 {
        let key = |random: &mut Random, name: &str, count: usize| format!("w:{name}:{}", random.below(count));
        match random.below(8) {
            0 | 1 => {
                let name = [("text", 200), ("list", 60), ("hash", 80), ("sorted", 60), ("set", 60)];
                let (name, count) = random.pick(&name);
                let dump = client.call(&["DUMP", &key(random, name, count)]);
                if let Some(payload) = dump.as_bytes() {
                    let copy = format!("restored:{}", random.below(100));
                    let ttl = if random.one_in(3) { "300000" } else { "0" };
                    let args: [&[u8]; 5] = [b"RESTORE", copy.as_bytes(), ttl.as_bytes(), payload, b"REPLACE"];
                    // A server of 9.1.2 refuses some payloads of its own: then nothing happens on either side.
                    drop(client.call(&args));
                }
            }
            2 => drop(client.call(&["RPUSH", &key(random, "list", 60), "for", "those", "who", "wait"])),
            3 => drop(client.call(&["ZADD", &key(random, "sorted", 60), "1", "a", "2", "b"])),
            4 => drop(client.call(&["SWAPDB", "2", "3"])),
            5 | 6 => functions(client, random),
            _ if random.one_in(40) => drop(client.call(&["FLUSHALL"])),
            _ => drop(client.call(&["SET", &key(random, "text", 200), "x", "PX", "40"])),
        }
    }
}

/// Libraries come, change and go while their functions are called; older primaries refuse, which is fine.
fn functions(client: &mut Client, random: &mut Random) {
    let library = format!("lib{}", random.below(3));
    match random.below(8) {
        0 => {
            let body = random.pick(&[
                "redis.call('SET', keys[1], args[1]) return redis.call('APPEND', keys[1], 'more')",
                "redis.call('HSET', keys[1], 'f', args[1]) redis.call('HINCRBY', keys[1], 'n', 1)",
                "for i = 1, 5 do redis.call('ZADD', keys[1], i, args[1] .. i) end",
                "redis.call('DEL', keys[1]) redis.call('RPUSH', keys[1], args[1]) return redis.call('LPOP', keys[1])",
                "redis.set_repl(redis.REPL_AOF) redis.set_repl(redis.REPL_ALL) redis.call('INCR', keys[1])",
            ]);
            let code = format!(
                "#!lua name={library}\nredis.register_function('f_{library}', function(keys, args) {body} end)"
            );
            client.call(&["FUNCTION", "LOAD", "REPLACE", &code]);
        }
        1 if random.one_in(4) => drop(client.call(&["FUNCTION", "DELETE", &library])),
        2 if random.one_in(8) => {
            if let Some(payload) = client.call(&["FUNCTION", "DUMP"]).as_bytes() {
                let args: [&[u8]; 4] = [b"FUNCTION", b"RESTORE", payload, b"REPLACE"];
                client.call(&args);
            }
        }
        _ => {
            let key = format!("called:{}", random.below(50));
            client.call(&["FCALL", &format!("f_{library}"), "1", &key, "value"]);
        }
    }
}

/// Waits for elements that others push, again and again.
fn wait_for_elements(primary: &Running, seed: u64, stop: &AtomicBool) -> u64 {
    let (mut client, mut random, mut served) = (primary.client(), Random::new(seed), 0);
    while !stop.load(Ordering::Relaxed) {
        let list = |random: &mut Random| format!("w:list:{}", random.below(60));
        let (a, b, c) = (list(&mut random), list(&mut random), format!("w:sorted:{}", random.below(60)));
        let reply = match random.below(4) {
            0 => client.call(&["BLPOP", &a, &b, "0.05"]),
            1 => client.call(&["BRPOP", &a, "0.05"]),
            2 => client.call(&["BRPOPLPUSH", &a, &b, "1"]),
            _ => client.call(&["BZPOPMIN", &c, "0.05"]),
        };
        served += u64::from(!reply.is_error());
    }
    served
}

async fn converge(server: Server, time: Duration) {
    let seed = number("SEED").unwrap_or(1);
    println!("{server:?}: seed {seed}");
    let primary = Arc::new(
        server.builder().config("repl-diskless-sync-delay", "0").config("repl-backlog-size", "64mb").start(),
    );
    let mut real = primary.client();
    fill_every_type(&mut real, seed, 500);
    let replica = start(builder(primary.url())).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3_u64)
        .map(|n| {
            let (primary, stop) = (Arc::clone(&primary), Arc::clone(&stop));
            thread::spawn(move || {
                let mut client = primary.client();
                let mut random = Random::new(seed * 100 + n);
                let mut round = 0;
                // Streams of explicit ids would meet: one connection writes them, the others do odd things.
                while !stop.load(Ordering::Relaxed) || round == 0 {
                    if n == 0 {
                        random_writes(&mut client, seed * 1000 + round, 500);
                    } else {
                        odd_writes(&mut client, &mut random);
                    }
                    round += 1;
                }
                0
            })
        })
        .chain((0..2_u64).map(|n| {
            let (primary, stop) = (Arc::clone(&primary), Arc::clone(&stop));
            thread::spawn(move || wait_for_elements(&primary, seed * 10_000 + n, &stop))
        }))
        .collect();
    let (begun, mut cuts) = (Instant::now(), 0);
    while begun.elapsed() < time {
        tokio::time::sleep((time / 4).min(Duration::from_secs(5))).await;
        real.call(&["CLIENT", "KILL", "TYPE", "replica"]);
        cuts += 1;
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.join().unwrap();
    }
    caught_up(&mut real, &replica).await;
    let status = replica.status();
    println!(
        "{server:?}: {} commands applied, {cuts} cuts, {} partial and {} full syncs",
        status.commands_applied, status.partial_syncs, status.full_syncs
    );
    let divergence = replica.engine().divergence();
    assert_eq!(status.diverged, 0, "{:?} {:?}", divergence.by_name(), divergence.last_reason());
    assert_eq!(status.full_syncs, 1, "{status:?}");
    tokio::task::block_in_place(|| assert_equal(&mut real, &mut client_of(&replica)));
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_differs_in_the_end() {
    match number("REPLICA_SOAK") {
        Some(seconds) => {
            let only = std::env::var("REPLICA_PRIMARY").ok();
            let is_wanted = |server: &Server| only.as_ref().is_none_or(|only| format!("{server:?}") == *only);
            let run = |server| tokio::spawn(converge(server, Duration::from_secs(seconds)));
            let all: Vec<_> = Server::ALL.into_iter().filter(is_wanted).map(run).collect();
            for one in all {
                one.await.unwrap();
            }
        }
        None => {
            for server in [Server::R6_2, Server::R8_2, Server::V9_1] {
                converge(server, Duration::from_secs(2)).await;
            }
        }
    }
}
