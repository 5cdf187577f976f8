//! The binary as a copy of a cluster, ended by SIGKILL and by SIGTERM while slots move: after each start the copy is
//! served at once, every shard goes on where it was, and the data are the cluster's.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use support::Ours;
use testkit::{Client, Cluster, Random, Running, Server, TempDir, eventually};

const KEYS: usize = 2000;
/// Keys of which every shard has some: what was written to them last tells how far a copy is.
const MARKS: usize = 40;

/// Copies a cluster, and keeps the copy.
fn keeping(master: &str, file: &Path, interval: &str) -> Ours {
    let file = file.to_str().unwrap();
    Ours::serve(&["--master", master, "--persist-interval", interval, "--persist", file])
}

fn terminate(ours: Ours) {
    ours.terminate();
    assert!(ours.has_ended_well());
}

fn info(client: &mut Client, section: &str, name: &str) -> String {
    let text = client.call(&["INFO", section]).text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim));
    line.unwrap_or_else(|| panic!("{name} is not in {text}")).to_owned()
}

/// Full syncs that each node has given.
fn full_syncs(cluster: &Cluster) -> Vec<u64> {
    cluster.nodes.iter().map(|node| info(&mut node.client(), "stats", "sync_full").parse().unwrap()).collect()
}

fn url(cluster: &Cluster) -> String {
    format!("redis-cluster://{}", cluster.nodes[0].addr())
}

/// So many random writes.
fn write(cluster: &Cluster, random: &mut Random, count: usize) {
    let mut client = cluster.client();
    for _ in 0..count {
        let n = random.below(KEYS);
        let (key, value) = (format!("k{n}"), random.below(1_000_000).to_string());
        let _ = match (n % 4, random.below(8)) {
            (_, 0) => client.call(&["DEL", &key]),
            (0, _) => client.call(&["SET", &key, &value]),
            (1, _) => client.call(&["RPUSH", &key, &value]),
            (2, _) => client.call(&["HSET", &key, &format!("f{}", random.below(9)), &value]),
            _ => client.call(&["INCR", &key]),
        };
    }
}

fn contents(client: &mut Client) -> BTreeMap<String, String> {
    let keys = client.call(&["KEYS", "*"]).strings();
    let texts = keys.into_iter().map(|key| String::from_utf8(key).unwrap());
    let value = |key: String| {
        let value = match client.call(&["TYPE", &key]).text().as_str() {
            "list" => format!("{:?}", client.call(&["LRANGE", &key, "0", "-1"])),
            "hash" => {
                let fields = client.call(&["HGETALL", &key]).strings();
                let pairs: BTreeMap<&[u8], &[u8]> =
                    fields.chunks(2).map(|pair| (&*pair[0], &*pair[1])).collect();
                format!("{pairs:?}")
            }
            _ => format!("{:?}", client.call(&["GET", &key])),
        };
        (key, value)
    };
    texts.map(value).collect()
}

/// Waits until ours has all that the cluster has, and nothing else.
fn compare(cluster: &Cluster, ours: &Ours, round: usize) {
    let (mut client, round) = (cluster.client(), round.to_string());
    for n in 0..MARKS {
        assert!(client.call(&["SET", &format!("mark{n}"), &round]).is_some());
    }
    let mut wanted = BTreeMap::new();
    for node in cluster.primaries() {
        for (key, value) in contents(&mut node.client()) {
            assert!(wanted.insert(key.clone(), value).is_none(), "two shards have {key}");
        }
    }
    assert!(wanted.len() > 100 + MARKS);
    let mut ours = ours.client();
    eventually("every shard is here", || {
        (0..MARKS).all(|n| {
            let reply = ours.call(&["GET", &format!("mark{n}")]);
            !reply.is_null() && !reply.is_error() && reply.text() == round
        })
    });
    let mut differing = Vec::new();
    // What has moved is in its place when the nodes have been asked.
    eventually("the same contents", || {
        let found = contents(&mut ours);
        let differs = |key: &&String| wanted.get(*key) != found.get(*key);
        let now: Vec<String> = wanted.keys().chain(found.keys()).filter(differs).cloned().collect();
        if now != differing && !now.is_empty() {
            println!("{} keys are different", now.len());
        }
        differing = now;
        differing.is_empty()
    });
}

/// Ours is there at once, with what it had, and says whether that is stale.
fn is_served(ours: &Ours) {
    let mut client = ours.client();
    assert!(client.call(&["DBSIZE"]).int() > 100);
    assert_eq!(info(&mut client, "replication", "replica_warm_start"), "restored");
}

fn moves(cluster: &Cluster, server: Server) {
    let [first, second, third] = [0, 1, 2].map(|n| &cluster.nodes[n]);
    for slot in 0..12 {
        cluster.move_slot(slot, first, second);
    }
    for slot in 0..6 {
        cluster.move_slot(slot, second, third);
    }
    for slot in 0..3 {
        cluster.move_slot(slot, third, first);
    }
    if server == Server::V9_1 {
        cluster.migrate_slots(11_000, 11_500, third, first);
        cluster.migrate_slots(11_000, 11_200, first, second);
        cluster.migrate_slots(11_000, 11_100, second, third);
    }
}

fn goes_on(server: Server, seed: u64) {
    println!("seed {seed}");
    let dir = TempDir::new(&format!("{server:?}"));
    let file = dir.file("copy.rdb");
    let cluster = Cluster::start(server, 3, false);
    let [first, second, third] = [0, 1, 2].map(|n| &cluster.nodes[n]);
    let backlog = |node: &Running, size: &str| {
        node.client().call(&["CONFIG", "SET", "repl-backlog-size", size]).ok();
    };
    cluster.nodes.iter().for_each(|node| backlog(node, "64mb"));
    let mut random = Random::new(seed);
    write(&cluster, &mut random, 4000);
    let ours = keeping(&url(&cluster), &file, "0.02");
    compare(&cluster, &ours, 1);
    eventually("a file", || file.exists());
    assert_eq!(full_syncs(&cluster), [1, 1, 1]);

    // Killed while it saves all the time under writes, and slots are on their way.
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (is_over, cluster) = (&is_over, &cluster);
        scope.spawn(move || {
            let mut random = Random::new(seed + 1);
            while !is_over.load(Ordering::Acquire) {
                write(cluster, &mut random, 50);
            }
        });
        let before = fs::metadata(&file).unwrap().modified().unwrap();
        for slot in 6000..6020 {
            cluster.move_slot(slot, second, third);
        }
        eventually("another file", || fs::metadata(&file).unwrap().modified().unwrap() > before);
        let killer = scope.spawn(move || drop(ours));
        for slot in 6000..6010 {
            cluster.move_slot(slot, third, second);
        }
        killer.join().unwrap();
        is_over.store(true, Ordering::Release);
    });
    write(&cluster, &mut random, 500);
    moves(&cluster, server);
    write(&cluster, &mut random, 500);
    let ours = keeping(&url(&cluster), &file, "0");
    is_served(&ours);
    compare(&cluster, &ours, 6);
    assert_eq!(full_syncs(&cluster), [1, 1, 1], "every shard went on where it was");

    // Ended as one should; one shard's backlog does not reach back.
    terminate(ours);
    moves_back(&cluster);
    write(&cluster, &mut random, 500);
    backlog(first, "16kb");
    let mut client = cluster.client();
    for n in 0..3000 {
        client.call(&["SET", &format!("k{}", n % 200 * 4), &format!("{n:0200}")]);
    }
    let ours = keeping(&url(&cluster), &file, "0");
    is_served(&ours);
    compare(&cluster, &ours, 7);
    assert_eq!(full_syncs(&cluster), [2, 1, 1], "one shard was synced anew, alone");
    terminate(ours);

    // What is torn, or another's, is refused for a reason.
    let good = fs::read(&file).unwrap();
    fs::write(&file, &good[..good.len() / 2]).unwrap();
    let ours = keeping(&url(&cluster), &file, "0");
    compare(&cluster, &ours, 8);
    assert_eq!(info(&mut ours.client(), "replication", "replica_warm_start"), "refused");
    let reason = info(&mut ours.client(), "replication", "replica_warm_start_reason");
    assert!(reason.contains("breaks off"), "{reason}");
    assert_eq!(full_syncs(&cluster), [3, 2, 2]);
    terminate(ours);

    let alone = server.start();
    let ours = keeping(&alone.url(), &file, "0");
    let reason = info(&mut ours.client(), "replication", "replica_warm_start_reason");
    assert!(reason.contains("it is the copy of a cluster"), "{reason}");
    drop(ours);
    let other = Cluster::start(server, 1, false);
    write(&other, &mut random, 1000);
    let ours = keeping(&url(&other), &file, "0");
    is_served_or_refused(&ours);
    compare(&other, &ours, 9);
    let reason = info(&mut ours.client(), "replication", "replica_warm_start_reason");
    assert!(reason.contains("another cluster"), "{reason}");
}

fn is_served_or_refused(ours: &Ours) {
    let how = info(&mut ours.client(), "replication", "replica_warm_start");
    assert!(["restored", "refused"].contains(&how.as_str()), "{how}");
}

fn moves_back(cluster: &Cluster) {
    let [first, second, third] = [0, 1, 2].map(|n| &cluster.nodes[n]);
    for slot in 6..12 {
        cluster.move_slot(slot, second, first);
    }
    for slot in 3..6 {
        cluster.move_slot(slot, third, first);
    }
}

#[test]
fn a_copy_of_a_cluster_of_redis_7_0_goes_on() {
    goes_on(Server::R7_0, 1);
}

#[test]
fn a_copy_of_a_cluster_of_valkey_9_1_goes_on() {
    goes_on(Server::V9_1, 2);
}
