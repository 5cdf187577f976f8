//! A copy of real clusters, while slots move, primaries die, and shards come and go.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use replica::{Configuration, Phase, Replica, Status, cmd};
use testkit::{Client, Cluster, Random, Running, Server, eventually};
use tokio::runtime::Handle;
use tokio::sync::watch;

mod support;
use support::{client_of, info, until};

const KEYS: usize = 4000;

/// Writes of all kinds to random keys, until it is told to stop.
struct Writer {
    stop: Arc<AtomicBool>,
    done: watch::Receiver<u64>,
    thread: std::thread::JoinHandle<()>,
}

impl Writer {
    /// Waits for so many more writes.
    async fn goes_on(&mut self, count: u64) {
        let until = *self.done.borrow() + count;
        let reached = self.done.wait_for(|done| *done >= until);
        tokio::time::timeout(Duration::from_secs(60), reached).await.unwrap().unwrap();
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        println!("{} writes", *self.done.borrow());
    }
}

fn write(cluster: &Cluster, seed: u64) -> Writer {
    let stop = Arc::new(AtomicBool::new(false));
    let (mut client, stopped) = (cluster.client(), Arc::clone(&stop));
    let (count, done) = watch::channel(0_u64);
    let thread = std::thread::spawn(move || {
        let mut random = Random::new(seed);
        while !stopped.load(Ordering::Relaxed) {
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
            match reply {
                Some(_) => count.send_modify(|count| *count += 1),
                // Nobody can be reached: others may want the processor.
                None => std::thread::yield_now(),
            }
        }
    });
    Writer { stop, done, thread }
}

/// Id and offset of a primary's history.
fn position(node: &Running) -> (String, u64) {
    let mut client = node.client();
    let offset = info(&mut client, "replication", "master_repl_offset").parse().unwrap();
    (info(&mut client, "replication", "master_replid"), offset)
}

/// The slots that a node says it has.
fn slots_of(node: &Running) -> Vec<RangeInclusive<u16>> {
    let nodes = node.client().call(&["CLUSTER", "NODES"]).text();
    let line = nodes.lines().find(|line| line.contains("myself")).unwrap();
    let ranges = line.split(' ').skip(8).filter(|word| !word.starts_with('['));
    ranges
        .map(|word| {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            first.parse().unwrap()..=last.parse().unwrap()
        })
        .collect()
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
    let wanted: Vec<_> = primaries.iter().map(|node| (node.port(), position(node), slots_of(node))).collect();
    let is_there = || {
        let shards = replica.shards();
        wanted.iter().all(|(port, (replid, offset), slots)| {
            shards.iter().any(|shard| {
                let held = shard.position;
                shard.primary.1 == *port
                    && shard.slots == *slots
                    && shard.keys_aside == 0
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
        let mut ours = client_of(replica);
        let found = contents(&mut ours);
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
    let report = replica.verify().await.unwrap();
    assert_eq!(report.total(), 0, "{:?}", report.examples);
    assert!(report.keys > 100);
}

/// By whom ours comes where its links are to be told from those of the real replicas.
const USER: &str = "ours";

fn let_in(node: &Running) {
    node.client().call(&["ACL", "SETUSER", USER, "on", ">secret", "~*", "&*", "+@all"]).ok();
}

async fn follow(cluster: &Cluster, login: &str) -> Replica {
    let url = format!("redis-cluster://{login}127.0.0.1:1,{}", cluster.nodes[0].addr());
    let mut configuration = Configuration::default();
    configuration.push("enable-debug-command", ["local"]);
    let builder = Replica::builder().master(url).listen("127.0.0.1:0").databases(1);
    let replica = builder.configuration(configuration).start().await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), replica.ready()).await.unwrap().unwrap();
    replica
}

/// Hangs up on our links, and waits until they have gone on.
async fn cut_links(cluster: &Cluster, replica: &Replica) {
    let syncs = |status: &Status| status.partial_syncs + status.full_syncs;
    let before = syncs(&replica.status());
    for node in cluster.primaries() {
        node.client().call(&["CLIENT", "KILL", "USER", USER, "TYPE", "replica"]);
    }
    until(replica, "three links that go on", |status| syncs(status) >= before + 3).await;
}

/// Cuts all links again and again while slots move, three times at least.
fn with_cuts(cluster: &Cluster, replica: &Replica, moves: impl FnOnce() + Send) {
    let mut cuts = 0;
    std::thread::scope(|scope| {
        let moves = scope.spawn(moves);
        tokio::task::block_in_place(|| {
            while !moves.is_finished() || cuts < 3 {
                Handle::current().block_on(cut_links(cluster, replica));
                cuts += 1;
            }
        });
    });
    println!("all links were cut {cuts} times");
}

/// Seen by readers all the while: never anything but numbers that grow.
fn look(replica: &Replica, cluster: &Cluster, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<u64> {
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

/// It follows its shards and nobody else, feeds nobody, and becomes a primary with what it shows.
fn refuses_and_leaves(replica: &Replica) {
    let mut client = client_of(replica);
    let keys = client.call(&["DBSIZE"]).int();
    let refused = client.call(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_eq!(refused.error(), "ERR REPLICAOF not allowed in cluster mode.");
    assert!(client.call(&["PSYNC", "?", "-1"]).error().contains("copy of a cluster"));
    assert!(replica.follow("127.0.0.1:1").is_err());
    client.call(&["REPLICAOF", "NO", "ONE"]).ok();
    assert!(replica.shards().is_empty());
    assert_eq!(client.call(&["DBSIZE"]).int(), keys);
    client.call(&["SET", "mine", "1"]).ok();
    assert!(matches!(replica.status().phase, Phase::Idle), "{:?}", replica.status());
}

/// Whoever watched the links is told of the one that comes.
async fn follows_another(server: Server, replica: &Replica) {
    let primary = server.start();
    let_in(&primary);
    primary.client().call(&["SET", "other", "1"]).ok();
    replica.follow(&primary.url()).unwrap();
    let status = until(replica, "the other's data", |status| {
        status.is_connected() && status.primary.1 == primary.port()
    });
    assert_eq!(status.await.keys, 1);
    assert_eq!(replica.db(0).get_as::<u64>("other").unwrap(), Some(1));
}

/// Commands in one transaction go to the shard of their keys, also when our knowledge of it is old.
fn forwards_transactions(cluster: &Cluster, replica: &Replica) {
    let mut client = client_of(replica);
    client.call(&["CONFIG", "SET", "replica-writes", "forward-and-wait"]).ok();
    for slot in 0..3 {
        cluster.move_slot(16_000 + slot, &cluster.nodes[2], &cluster.nodes[1]);
    }
    for n in 0..2000 {
        let key = format!("multi{n}");
        let at = client.call(&["CLUSTER", "KEYSLOT", &key]);
        if !at.is_error() && !(16_000..16_003).contains(&at.int()) {
            continue;
        }
        client.call(&["MULTI"]).ok();
        client.call(&["SET", &key, "1"]);
        client.call(&["INCR", &key]);
        let reply = client.call(&["EXEC"]);
        assert_eq!(reply.array()[1].int(), 2, "{reply:?}");
        assert_eq!(client.call(&["GET", &key]).text(), "2");
    }
    client.call(&["CONFIG", "SET", "replica-writes", "reject"]).ok();
    for slot in 0..3 {
        cluster.move_slot(16_000 + slot, &cluster.nodes[1], &cluster.nodes[2]);
    }
}

#[tokio::test]
async fn a_server_without_a_cluster_is_no_cluster() {
    let server = Server::V9_1.start();
    let replica =
        Replica::builder().master(format!("redis-cluster://{}", server.addr())).start().await.unwrap();
    let error = tokio::time::timeout(Duration::from_secs(60), replica.ready()).await.unwrap().unwrap_err();
    let text = "the primary refused CLUSTER NODES: ERR This instance has cluster support disabled";
    assert!(error.to_string().contains(text) && !error.is_retryable(), "{error}");
}

/// Every node comes back at another address, one after the other; the seed of ours is none of them any more.
async fn addresses_change(server: Server, seed: u64) {
    let mut cluster = tokio::task::block_in_place(|| Cluster::start(server, 3, false));
    let mut writer = write(&cluster, seed);
    writer.goes_on(1000).await;
    writer.end();
    let replica = follow(&cluster, "").await;
    for index in 0..3 {
        tokio::task::block_in_place(|| cluster.relocate(index));
        let mut writer = write(&cluster, seed + 1);
        writer.goes_on(300).await;
        writer.end();
        compare(&cluster, &replica).await;
    }
    assert_eq!(replica.shards().len(), 3);
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_change_in_redis_7_0_are_followed() {
    addresses_change(Server::R7_0, 11).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_change_in_valkey_9_1_are_followed() {
    addresses_change(Server::V9_1, 12).await;
}

async fn everything(server: Server, seed: u64) {
    println!("seed {seed}");
    let mut cluster = tokio::task::block_in_place(|| Cluster::start(server, 3, true));
    let mut writer = write(&cluster, seed);
    writer.goes_on(500).await;
    cluster.nodes.iter().for_each(let_in);
    let replica = follow(&cluster, &format!("{USER}:secret@")).await;
    let watched = Arc::new(AtomicBool::new(false));
    let watcher = look(&replica, &cluster, &watched);
    let slots: u16 = std::env::var("REPLICA_SLOTS").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    // What comes besides need not be as much.
    let few = slots.min(400) / 2;
    // Slots move, key by key, while all is written to.
    let [first, second, third] = [0, 1, 2].map(|n| &cluster.nodes[n]);
    with_cuts(&cluster, &replica, || {
        for slot in 0..slots {
            cluster.move_slot(slot, first, second);
        }
        for slot in 0..few {
            cluster.move_slot(slot, second, third);
        }
    });
    watched.store(true, Ordering::Relaxed);
    println!("{} values were seen to grow", watcher.join().unwrap());
    writer.end();
    compare(&cluster, &replica).await;

    read_your_writes(&replica, seed).await;
    tokio::task::block_in_place(|| forwards_transactions(&cluster, &replica));

    // Valkey moves slots in one piece, too.
    if server == Server::V9_1 {
        let writer = write(&cluster, seed + 3);
        with_cuts(&cluster, &replica, || {
            cluster.migrate_slots(0, few - 1, third, first);
            for n in 48..56 {
                cluster.migrate_slots(n * 250, n * 250 + 249, third, second);
            }
        });
        writer.end();
        compare(&cluster, &replica).await;
    }

    // A primary dies, and its replica takes over.
    let mut writer = write(&cluster, seed + 1);
    writer.goes_on(500).await;
    let before = replica.status();
    cluster.nodes[0].kill();
    tokio::task::block_in_place(|| eventually("a new primary", || cluster.primaries().len() == 3));
    writer.goes_on(500).await;
    cut_links(&cluster, &replica).await;
    writer.goes_on(500).await;
    writer.end();
    compare(&cluster, &replica).await;
    let after = replica.status();
    println!(
        "failover: {} full, {} partial syncs",
        after.full_syncs - before.full_syncs,
        after.partial_syncs - before.partial_syncs
    );

    // A shard is added, and another one drained.
    let writer = write(&cluster, seed + 2);
    let added = tokio::task::block_in_place(|| cluster.add());
    let_in(&cluster.nodes[added]);
    with_cuts(&cluster, &replica, || {
        for slot in 8000..8000 + few {
            cluster.move_slot(slot, &cluster.nodes[1], &cluster.nodes[added]);
        }
    });
    writer.end();
    compare(&cluster, &replica).await;
    let with_slots = || replica.shards().iter().filter(|shard| !shard.slots.is_empty()).count();
    tokio::task::block_in_place(|| eventually("four shards with slots", || with_slots() == 4));
    let writer = write(&cluster, seed + 4);
    with_cuts(&cluster, &replica, || {
        for slot in 8000..8000 + few {
            cluster.move_slot(slot, &cluster.nodes[added], &cluster.nodes[1]);
        }
    });
    tokio::task::block_in_place(|| {
        cluster.remove(added);
        eventually("three shards", || replica.shards().len() == 3 && with_slots() == 3);
    });
    writer.end();
    compare(&cluster, &replica).await;
    refuses_and_leaves(&replica);
    follows_another(server, &replica).await;
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
