//! Events of a cluster's copy: an index kept from them equals the data set, while slots move, a shard is synced anew, and
//! when it has fallen behind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use replica::{EventFilter, Replica};
use testkit::{Cluster, Random, Running, Server};

#[path = "support/index.rs"]
mod index;
mod support;
use index::{Index, equal, keep};
use support::{builder, start, until};

/// More events than are kept for a subscriber.
const MANY: usize = 70_000;

fn write(cluster: &Cluster, seed: u64, count: usize) {
    let (mut client, mut random) = (cluster.client(), Random::new(seed));
    for _ in 0..count {
        let n = random.below(2000);
        let (key, value) = (format!("k{n}"), random.below(1_000_000).to_string());
        let reply = match (n % 3, random.below(8)) {
            (_, 0) => client.call(&["DEL", &key]),
            (0, _) => client.call(&["SET", &key, &value]),
            (1, _) => client.call(&["RPUSH", &key, &value]),
            _ => client.call(&["SADD", &key, &value]),
        };
        assert!(reply.is_some_and(|reply| !reply.is_error()));
    }
}

/// A key of a slot that this node has.
fn key_of(node: &Running) -> String {
    let mut client = node.client();
    let is_here = |key: &String| !client.call(&["GET", key]).is_error();
    (0..1000).map(|n| format!("of{n}")).find(is_here).unwrap()
}

/// Another history of a shard.
async fn sync_anew(node: &Running, replica: &Replica) {
    let before = replica.status().full_syncs;
    node.client().call(&["DEBUG", "CHANGE-REPL-ID"]).ok();
    node.client().call(&["CLIENT", "KILL", "TYPE", "replica"]);
    until(replica, "a full sync", |status| status.full_syncs > before && status.is_connected()).await;
}

async fn an_index_of_a_cluster(server: Server) {
    let cluster = tokio::task::block_in_place(|| Cluster::start(server, 3, false));
    let [first, second, third] = [0, 1, 2].map(|n| &cluster.nodes[n]);
    tokio::task::block_in_place(|| write(&cluster, 1, 2000));
    let replica = start(builder(format!("redis-cluster://{}", first.addr()))).await;
    let everything = EventFilter::new().with_before();
    let index = Arc::<Mutex<Index>>::default();
    let task = keep(&index, replica.events(everything.clone().with_after()));
    // Slots move under writes.
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            scope.spawn(|| write(&cluster, 2, 3000));
            for slot in 0..100 {
                cluster.move_slot(slot, first, second);
            }
        });
    });
    equal(&index, &replica, &everything).await;
    // A shard has lost keys while it was another history, and nobody writes any more.
    let brackets = index.lock().unwrap().brackets;
    sync_anew(second, &replica).await;
    equal(&index, &replica, &everything).await;
    testkit::eventually("a bracket", || index.lock().unwrap().brackets > brackets);
    assert_eq!(index.lock().unwrap().missed, 0);
    // The index is taken up again after more than is kept, while slots move.
    let held = Arc::<Mutex<Index>>::default();
    let late = replica.events(everything.clone().with_after());
    let key = key_of(third);
    let writes: Vec<Vec<String>> =
        (0..MANY).map(|n| vec!["SET".to_owned(), key.clone(), n.to_string()]).collect();
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut client = third.client();
                writes.chunks(1000).for_each(|some| drop(client.pipeline(some)));
            });
            for slot in 100..150 {
                cluster.move_slot(slot, first, second);
            }
        });
        let mut ours = support::client_of(&replica);
        let last = (MANY - 1).to_string();
        testkit::eventually("the last write", || ours.call(&["GET", &key]).text() == last);
    });
    let late = keep(&held, late);
    tokio::task::block_in_place(|| write(&cluster, 3, 500));
    equal(&held, &replica, &everything).await;
    equal(&index, &replica, &everything).await;
    let (missed, brackets) = {
        let held = held.lock().unwrap();
        (held.missed, held.brackets)
    };
    println!("{server:?}: {missed} events were missed, {brackets} brackets");
    assert!(missed > 1000 && brackets >= 2, "{missed} missed, {brackets} brackets");
    replica.shutdown().await.unwrap();
    for task in [task, late] {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_from_events_equals_a_cluster_of_redis() {
    an_index_of_a_cluster(Server::R8_2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_from_events_equals_a_cluster_of_valkey() {
    an_index_of_a_cluster(Server::V9_1).await;
}
