//! What tests of a replica beside a real primary share.
#![allow(
    dead_code,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "each test binary uses its part, and fails by panicking"
)]

use std::time::Duration;

use replica::{Backoff, Builder, Replica, Status};
use testkit::{Client, Running};

/// Ends a test that hangs; nothing is measured by it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Settings for a test: it comes back at once.
pub fn builder(url: impl Into<String>) -> Builder {
    let backoff = Backoff { base: Duration::from_millis(10), cap: Duration::from_millis(100) };
    Replica::builder().master(url).listen("127.0.0.1:0").reconnect(backoff)
}

pub async fn start(builder: Builder) -> Replica {
    let replica = builder.start().await.unwrap();
    ready(&replica).await;
    replica
}

pub async fn ready(replica: &Replica) {
    match tokio::time::timeout(PATIENCE, replica.ready()).await {
        Ok(ready) => ready.unwrap(),
        Err(_) => panic!("never ready: {:?}", replica.status()),
    }
}

/// Waits for something that the link's state shows.
pub async fn until(replica: &Replica, what: &str, holds: impl Fn(&Status) -> bool) -> Status {
    let mut link = replica.watch_link();
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            let status = replica.status();
            if holds(&status) {
                return status;
            }
            link.changed().await.unwrap();
        }
    });
    match found.await {
        Ok(status) => status,
        Err(_) => panic!("{what} never came: {:?}", replica.status()),
    }
}

/// One line of INFO replication.
pub fn info(client: &mut Client, section: &str, name: &str) -> String {
    let text = client.call(&["INFO", section]).text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim));
    line.unwrap_or_else(|| panic!("{name} is not in {text}")).to_owned()
}

/// Waits until the replica holds everything that the primary has written.
pub async fn caught_up(primary: &mut Client, replica: &Replica) {
    let offset: u64 = info(primary, "replication", "master_repl_offset").parse().unwrap();
    let replid = info(primary, "replication", "master_replid");
    let holds = |status: &Status| {
        status.phase.is_streaming()
            && status.position.is_some_and(|p| p.replid.to_string() == replid && p.offset.0 >= offset)
    };
    until(replica, &format!("offset {offset}"), holds).await;
    // The link's state is published a moment after the data: the offset that readers see counts.
    replica.wait_for_offset(offset, PATIENCE).await.unwrap();
}

pub fn client_of(replica: &Replica) -> Client {
    Client::connect(replica.local_addr().unwrap()).unwrap()
}

/// Breaks every link of the primary, and waits until ours is back without a dump.
pub async fn cut(primary: &Running, replica: &Replica) {
    let before = replica.status().partial_syncs;
    assert_eq!(primary.client().call(&["CLIENT", "KILL", "TYPE", "replica"]).int(), 1);
    until(replica, "a partial resync", |status| status.partial_syncs > before && status.is_connected()).await;
}

/// Fails unless both hold the same. Some servers keep consumers that have nothing pending from their
/// replicas, real ones too: that does not count.
pub fn assert_equal(real: &mut Client, ours: &mut Client) {
    let mut found = testkit::differences(real, ours);
    found.retain(|difference| difference.what != "idle consumer");
    let shown: Vec<String> = found.iter().take(20).map(ToString::to_string).collect();
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), shown.join("\n"));
}
