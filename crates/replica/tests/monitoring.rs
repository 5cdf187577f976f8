//! MONITOR on a replica: the primary's stream as a real replica shows it, and that of every shard of a cluster.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use testkit::{Client, Cluster, Server, wait_until_caught_up};

mod support;
use support::{builder, caught_up, client_of, info, start};

const WRITES: &[&str] = &[
    "SET a 1",
    "SELECT 3",
    "HSET h f v g w",
    "MULTI",
    "INCR n",
    "LPUSH l a b c",
    "EXEC",
    "SPOP nothing",
    "SADD s a",
    "SPOP s",
    "EVAL redis.call('SET',KEYS[1],ARGV[1]) 1 k v",
    "SET x 1 EX 1000",
    "SET last 1",
];

/// A client that monitors already.
fn monitor(mut client: Client) -> Client {
    assert_eq!(client.call_for_bytes(&["MONITOR"]).unwrap(), b"+OK\r\n");
    client
}

/// The database, the address and the commands that are shown until one names `last`; without PING, which comes when it
/// likes, and what clients say.
fn seen(monitor: &mut Client, last: &str, from: &str) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let line = String::from_utf8(monitor.receive_line().unwrap()).unwrap();
        let (_, shown) = line.trim_end().split_once(' ').unwrap();
        if shown.contains(from) && !shown.contains("\"PING\"") && !shown.contains("\"ping\"") {
            seen.push(shown.to_owned());
        }
        if shown.contains(last) {
            return seen;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_shows_its_primarys_stream() {
    for server in [Server::R7_0, Server::R8_2, Server::V9_1] {
        let primary = server.start_with(&["--repl-diskless-sync-delay", "0"]);
        let sibling = server.start_with(&["--replicaof", "127.0.0.1", &primary.port().to_string()]);
        let ours = start(builder(primary.url())).await;
        let mut client = primary.client();
        wait_until_caught_up(&mut client, &mut sibling.client());
        caught_up(&mut client, &ours).await;

        let [mut theirs, mut mine] = [sibling.client(), client_of(&ours)].map(monitor);
        for line in WRITES {
            client.line(line);
        }
        let from = format!(" {}]", primary.addr());
        let theirs = tokio::task::block_in_place(|| seen(&mut theirs, "\"last\"", &from));
        let mine = tokio::task::block_in_place(|| seen(&mut mine, "\"last\"", &from));
        assert!(theirs.len() >= WRITES.len() - 3, "{server:?}: {theirs:#?}");
        assert_eq!(theirs, mine, "{server:?}");
        ours.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_cluster_shows_every_shards_stream() {
    let cluster = Cluster::start(Server::R7_0, 3, false);
    let seeds: Vec<String> = cluster.running().map(|node| node.addr()).collect();
    let ours = start(builder(format!("redis-cluster://{}", seeds.join(",")))).await;
    let mut monitor = monitor(client_of(&ours));
    let mut client = cluster.client();
    for (at, node) in cluster.primaries().into_iter().enumerate() {
        // Any key that is this node's.
        let key = (0..).map(|n| format!("k{n}")).find(|key| {
            let reply = node.client().call(&["SET", key, &format!("shard {at}")]);
            !matches!(reply, testkit::Reply::Error(_))
        });
        let key = key.unwrap();
        let from = format!(" {}]", node.addr());
        let seen = tokio::task::block_in_place(|| seen(&mut monitor, &format!("\"shard {at}\""), &from));
        assert_eq!(seen.last().unwrap(), &format!("[0 {}] \"SET\" \"{key}\" \"shard {at}\"", node.addr()));
        assert_eq!(info(&mut node.client(), "replication", "connected_slaves"), "1");
    }
    assert!(client.call(&["GET", "k0"]).is_some());
    ours.shutdown().await.unwrap();
}
