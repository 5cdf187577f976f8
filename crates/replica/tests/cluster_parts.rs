//! Copies of a part of a cluster: some slots, or some shards. What has nothing to give is not followed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use replica::{Builder, Filter, Replica, cmd};
use testkit::{Cluster, Running, Server, eventually, id_of};

mod support;
use support::{ready, start, until};

const KEYS: usize = 3000;

fn fill(cluster: &Cluster, round: &str) {
    let mut client = cluster.client();
    for n in 0..KEYS {
        eventually("a write", || client.call(&["SET", &format!("k{n}"), round]).is_some());
    }
}

fn builder(cluster: &Cluster, filter: Filter) -> Builder {
    let last = cluster.running().last().unwrap();
    support::builder(format!("redis-cluster://{}", last.addr())).filter(filter)
}

/// Whether somebody follows this node who is no node of the cluster.
fn is_followed(node: &Running, replica: &Replica) -> bool {
    let port = replica.local_addr().unwrap().port();
    node.client().call(&["INFO", "replication"]).text().contains(&format!("port={port},"))
}

fn keys_in(slots: &[RangeInclusive<u16>]) -> BTreeSet<String> {
    let names = (0..KEYS).map(|n| format!("k{n}"));
    let has = |slot: u16| slots.iter().any(|range| range.contains(&slot));
    names.filter(|name| has(server::cluster_slot(name.as_bytes()))).collect()
}

/// Waits until these keys are there and no others, with what was written last.
fn holds(replica: &Replica, wanted: &BTreeSet<String>, round: &str) {
    assert!(!wanted.is_empty() && wanted.len() < KEYS);
    let db = replica.db(0);
    eventually("these keys alone", || {
        db.len() == wanted.len()
            && wanted.iter().all(|key| db.get(key.as_str()).unwrap().is_some_and(|value| value == round))
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_followed_where_they_are() {
    for server in [Server::R7_0, Server::V9_1] {
        let cluster = Cluster::start(server, 3, false);
        let [first, second, third] = [0, 1, 2].map(|n| &cluster.nodes[n]);
        fill(&cluster, "1");
        let slots = 0..=2000;
        let replica = start(builder(&cluster, Filter::new().slots([slots.clone()]))).await;
        let wanted = keys_in(&[slots]);
        holds(&replica, &wanted, "1");
        assert_eq!(replica.shards().len(), 1);
        assert!(is_followed(first, &replica) && !is_followed(second, &replica));
        // Slots that are kept go where nobody was followed; others do not matter.
        for slot in 100..120 {
            cluster.move_slot(slot, first, second);
        }
        cluster.move_slot(4000, first, third);
        fill(&cluster, "2");
        holds(&replica, &wanted, "2");
        let report = replica.verify().await.unwrap();
        assert_eq!((report.total(), report.keys), (0, wanted.len() as u64), "{:?}", report.examples);
        eventually("two shards", || replica.shards().len() == 2 && is_followed(second, &replica));
        assert!(!is_followed(third, &replica));
        if server == Server::V9_1 {
            cluster.migrate_slots(0, 99, first, third);
            fill(&cluster, "3");
            holds(&replica, &wanted, "3");
            assert!(is_followed(third, &replica));
        }
        replica.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_is_followed_by_the_name_of_a_node() {
    for server in [Server::R7_0, Server::V9_1] {
        let mut cluster = Cluster::start(server, 3, true);
        fill(&cluster, "1");
        // Of the second shard, its replica.
        let name = id_of(&cluster.nodes[4]);
        let replica = start(builder(&cluster, Filter::new().shards([name]))).await;
        holds(&replica, &keys_in(&[5461..=10921]), "1");
        assert_eq!(replica.shards().len(), 1);
        assert!(is_followed(&cluster.nodes[1], &replica) && !is_followed(&cluster.nodes[0], &replica));
        // Slots go and come.
        let [first, second, third] = [0, 1, 2].map(|n| &cluster.nodes[n]);
        for slot in 5500..5520 {
            cluster.move_slot(slot, second, first);
        }
        for slot in 11000..11020 {
            cluster.move_slot(slot, third, second);
        }
        let now = keys_in(&[5461..=5499, 5520..=10921, 11000..=11019]);
        holds(&replica, &now, "1");
        fill(&cluster, "2");
        holds(&replica, &now, "2");
        let report = replica.verify().await.unwrap();
        assert_eq!((report.total(), report.keys), (0, now.len() as u64), "{:?}", report.examples);
        // Writes go anywhere; those that are not kept are not waited for in vain.
        let elsewhere = (0..KEYS).map(|n| format!("k{n}")).find(|key| !now.contains(key)).unwrap();
        let (_, at) = replica.write(cmd!("SET", &elsewhere, "2")).await.unwrap();
        eventually("an answer", || {
            let waiting = std::time::Duration::from_millis(200);
            tokio::task::block_in_place(|| {
                let waited = tokio::time::timeout(waiting, replica.wait_for(at));
                tokio::runtime::Handle::current().block_on(waited).is_ok_and(|waited| waited.is_err())
            })
        });
        // The shard goes on under its replica, which is alone with the name then.
        cluster.nodes[1].kill();
        eventually("a new primary", || cluster.primaries().len() == 3);
        eventually("it is followed", || is_followed(&cluster.nodes[4], &replica));
        fill(&cluster, "3");
        holds(&replica, &now, "3");
        replica.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_keeps_no_shard_says_so() {
    let cluster = Cluster::start(Server::V9_1, 1, false);
    let replica = builder(&cluster, Filter::new().shards(["127.0.0.1:1"])).start().await.unwrap();
    let wanted = "the filter keeps none of the shards";
    until(&replica, "the reason", |status| format!("{:?}", status.phase).contains(wanted)).await;
    assert!(!replica.status().synced());
    replica.shutdown().await.unwrap();
    let named = builder(&cluster, Filter::new().shards([cluster.nodes[0].addr()]));
    let replica = named.start().await.unwrap();
    ready(&replica).await;
    replica.shutdown().await.unwrap();
    let alone = support::builder("redis://127.0.0.1:1").filter(Filter::new().shards(["x"])).start().await;
    assert!(alone.unwrap_err().to_string().contains("copies of clusters"));
}
