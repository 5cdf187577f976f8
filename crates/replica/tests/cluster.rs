//! A copy of real clusters, while slots move, primaries die, and shards come and go.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use replica::{Configuration, Replica, cmd};
use testkit::{Client, Cluster, Random, Running, Server, eventually};

const KEYS: usize = 4000;

/// Writes of all kinds to random keys, until told to stop. Answers how many were done.
fn write(cluster: &Cluster, seed: u64, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<u64> {
    let (mut client, stop) = (cluster.client(), Arc::clone(stop));
    std::thread::spawn(move || {
        let mut random = Random::new(seed);
        let mut done = 0;
        while !stop.load(Ordering::Relaxed) {
            let n = random.below(KEYS);
            let (key, value) = (format!("k{n}"), random.below(1_000_000).to_string());
            let kind = ["s", "l", "h", "z", "n"][n % 5];
            let reply = match (kind, random.below(10)) {
                (_, 0) => client.call(&["DEL", &key]),
                (_, 1) => client.call(&["EXPIRE", &key, "1000"]),
                ("s", _) => client.call(&["SET", &key, &value]),
                ("l", _) => client.call(&["RPUSH", &key, &value]),
                ("h", _) => client.call(&["HSET", &key, &format!("f{}", random.below(20)), &value]),
                ("z", _) => client.call(&["ZADD", &key, &value, &format!("m{}", random.below(20))]),
                _ => client.call(&["INCR", &key]),
            };
            done += u64::from(reply.is_some());
            if reply.is_none() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        done
    })
}

/// Id and offset of a primary's history.
fn position(node: &Running) -> (String, u64) {
    let info = node.client().call(&["INFO", "replication"]).text();
    let field = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap().trim().to_owned()
    };
    (field("master_replid"), field("master_repl_offset").parse().unwrap())
}

/// Every key with its digest and its deadline.
fn contents(client: &mut Client) -> BTreeMap<Vec<u8>, (String, i64)> {
    let mut keys = Vec::new();
    let mut cursor = "0".to_owned();
    loop {
        let reply = client.call(&["SCAN", &cursor, "COUNT", "1000"]);
        keys.extend(reply.array()[1].strings());
        cursor = reply.array()[0].text();
        if cursor == "0" {
            break;
        }
    }
    keys.sort();
    keys.dedup();
    let ask = |name: &[&str], key: &Vec<u8>| {
        let words = name.iter().map(|word| word.as_bytes().to_vec());
        words.chain([key.clone()]).collect::<Vec<_>>()
    };
    let mut digests: Vec<Vec<Vec<u8>>> =
        keys.iter().map(|key| ask(&["DEBUG", "DIGEST-VALUE"], key)).collect();
    digests.extend(keys.iter().map(|key| ask(&["PEXPIRETIME"], key)));
    let replies = client.pipeline(&digests);
    let (digests, times) = replies.split_at(keys.len());
    let told = digests.iter().zip(times).map(|(digest, time)| (digest.array()[0].text(), time.int()));
    keys.into_iter().zip(told).collect()
}

/// Waits until ours has all that the primaries have, and compares key by key.
async fn compare(cluster: &Cluster, replica: &Replica) {
    let primaries = cluster.primaries();
    let positions: Vec<(u16, (String, u64))> =
        primaries.iter().map(|node| (node.port(), position(node))).collect();
    let is_there = || {
        let shards = replica.shards();
        positions.iter().all(|(port, (replid, offset))| {
            shards.iter().any(|shard| {
                let held = shard.position;
                shard.primary.1 == *port
                    && held.is_some_and(|held| held.replid.to_string() == *replid && held.offset.0 >= *offset)
            })
        })
    };
    tokio::task::block_in_place(|| {
        eventually("every shard is here", is_there);
        let mut wanted: BTreeMap<Vec<u8>, (String, i64)> = BTreeMap::new();
        for node in &primaries {
            for (key, value) in contents(&mut node.client()) {
                assert!(wanted.insert(key.clone(), value).is_none(), "two shards have {key:?}");
            }
        }
        let mut ours = Client::connect(replica.local_addr().unwrap()).unwrap();
        // What has changed its owner settles within a round of questions.
        let mut found = contents(&mut ours);
        for _ in 0..100 {
            if found == wanted {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
            found = contents(&mut ours);
        }
        let differing: Vec<_> = wanted
            .keys()
            .chain(found.keys())
            .filter(|key| wanted.get(*key) != found.get(*key))
            .map(|key| (String::from_utf8_lossy(key).into_owned(), wanted.get(key), found.get(key)))
            .take(5)
            .collect();
        assert!(
            found == wanted,
            "{differing:?} of {} and {}: {:#?}",
            wanted.len(),
            found.len(),
            replica.shards()
        );
        assert!(wanted.len() > 100, "{} keys are no test", wanted.len());
        assert_eq!(ours.call(&["DBSIZE"]).int(), i64::try_from(wanted.len()).unwrap());
    });
    assert_eq!(replica.status().diverged, 0);
}

async fn follow(cluster: &Cluster) -> Replica {
    let url = format!("redis-cluster://127.0.0.1:1,{}", cluster.nodes[0].addr());
    let mut configuration = Configuration::default();
    configuration.push("enable-debug-command", ["local"]);
    let builder = Replica::builder().master(url).listen("127.0.0.1:0").databases(1);
    let replica = builder.configuration(configuration).start().await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), replica.ready()).await.unwrap().unwrap();
    replica
}

/// Hangs up on replicas again and again.
fn cut_links(cluster: &Cluster, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<i64> {
    let (stop, mut clients) =
        (Arc::clone(stop), cluster.primaries().iter().map(|n| n.client()).collect::<Vec<_>>());
    std::thread::spawn(move || {
        let mut cut = 0;
        for n in 0_usize.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let index = n % clients.len();
            cut += clients[index].call(&["CLIENT", "KILL", "TYPE", "replica"]).as_int().unwrap_or(0);
            std::thread::sleep(Duration::from_millis(150));
        }
        cut
    })
}

/// Seen by readers all the while: never anything but numbers that grow.
fn watch(replica: &Replica, cluster: &Cluster, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<u64> {
    let (db, stop, mut client) = (replica.db(0), Arc::clone(stop), cluster.client());
    let written = Arc::new(AtomicU64::new(0));
    let (counted, ended) = (Arc::clone(&written), Arc::clone(&stop));
    let writer = std::thread::spawn(move || {
        let mut n = 0_u64;
        while !ended.load(Ordering::Relaxed) {
            for slot in 0..50 {
                client.call(&["SET", &format!("watched{slot}"), &n.to_string()]);
            }
            counted.store(n, Ordering::Relaxed);
            n += 1;
        }
    });
    std::thread::spawn(move || {
        let mut last = [0_u64; 50];
        let mut seen = 0;
        while !stop.load(Ordering::Relaxed) {
            for (slot, last) in last.iter_mut().enumerate() {
                if let Some(n) = db.get_as::<u64>(&format!("watched{slot}")).unwrap() {
                    assert!(n >= *last, "watched{slot} went from {last} back to {n}");
                    *last = n;
                    seen += 1;
                }
            }
        }
        writer.join().unwrap();
        seen
    })
}

/// Writes through to the shard that has the key, and reads them here at once.
async fn read_your_writes(replica: &Replica, seed: u64) {
    let mut random = Random::new(seed);
    for n in 0..200 {
        let key = format!("mine{}", random.below(1000));
        let (_, at) = replica.write(cmd!("SET", &key, n.to_string())).await.unwrap();
        tokio::time::timeout(Duration::from_secs(10), replica.wait_for(at)).await.unwrap().unwrap();
        assert_eq!(replica.db(0).get_as::<u64>(&key).unwrap(), Some(n));
    }
}

async fn everything(server: Server, seed: u64) {
    println!("seed {seed}");
    let mut cluster = tokio::task::block_in_place(|| Cluster::start(server, 3, true));
    let stop = Arc::new(AtomicBool::new(false));
    let writer = write(&cluster, seed, &stop);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let replica = follow(&cluster).await;
    let watched = Arc::new(AtomicBool::new(false));
    let watcher = watch(&replica, &cluster, &watched);
    let slots: u16 = std::env::var("REPLICA_SLOTS").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    let pause = |stop: &Arc<AtomicBool>, writer: std::thread::JoinHandle<u64>| {
        stop.store(true, Ordering::Relaxed);
        println!("{} writes", writer.join().unwrap());
    };

    // Slots move, key by key, while all is written to.
    let [first, second, third] = [0, 1, 2].map(|n| &cluster.nodes[n]);
    tokio::task::block_in_place(|| {
        for slot in 0..slots {
            cluster.move_slot(slot, first, second);
        }
        for slot in 0..slots / 2 {
            cluster.move_slot(slot, second, third);
        }
    });
    watched.store(true, Ordering::Relaxed);
    println!("{} values were seen to grow", watcher.join().unwrap());
    pause(&stop, writer);
    compare(&cluster, &replica).await;

    read_your_writes(&replica, seed).await;

    // Valkey moves slots in one piece, too.
    if server == Server::V9_1 {
        let stop = Arc::new(AtomicBool::new(false));
        let writer = write(&cluster, seed + 3, &stop);
        let cut = cut_links(&cluster, &stop);
        tokio::task::block_in_place(|| {
            cluster.migrate_slots(0, slots / 2 - 1, third, first);
            cluster.migrate_slots(12_000, 14_000, third, second);
        });
        pause(&stop, writer);
        println!("{} links cut", cut.join().unwrap());
        compare(&cluster, &replica).await;
    }

    // A primary dies, and its replica takes over.
    let stop = Arc::new(AtomicBool::new(false));
    let writer = write(&cluster, seed + 1, &stop);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = replica.status();
    cluster.nodes[0].kill();
    tokio::task::block_in_place(|| eventually("a new primary", || cluster.primaries().len() == 3));
    tokio::time::sleep(Duration::from_secs(1)).await;
    pause(&stop, writer);
    compare(&cluster, &replica).await;
    let after = replica.status();
    println!(
        "failover: {} full, {} partial syncs",
        after.full_syncs - before.full_syncs,
        after.partial_syncs - before.partial_syncs
    );

    // A shard is added, and another one drained.
    let stop = Arc::new(AtomicBool::new(false));
    let writer = write(&cluster, seed + 2, &stop);
    let added = tokio::task::block_in_place(|| cluster.add());
    tokio::task::block_in_place(|| {
        for slot in 8000..8000 + slots {
            cluster.move_slot(slot, &cluster.nodes[1], &cluster.nodes[added]);
        }
    });
    pause(&stop, writer);
    compare(&cluster, &replica).await;
    let with_slots = || replica.shards().iter().filter(|shard| !shard.slots.is_empty()).count();
    tokio::task::block_in_place(|| eventually("four shards with slots", || with_slots() == 4));
    tokio::task::block_in_place(|| {
        for slot in 8000..8000 + slots {
            cluster.move_slot(slot, &cluster.nodes[added], &cluster.nodes[1]);
        }
        cluster.remove(added);
        eventually("three shards", || replica.shards().len() == 3 && with_slots() == 3);
    });
    compare(&cluster, &replica).await;
    assert_eq!(replica.shards().iter().map(|shard| shard.keys_aside).sum::<usize>(), 0);
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_redis_7_0_is_followed() {
    everything(Server::R7_0, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_redis_8_2_is_followed() {
    everything(Server::R8_2, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_valkey_9_1_is_followed() {
    everything(Server::V9_1, 3).await;
}
