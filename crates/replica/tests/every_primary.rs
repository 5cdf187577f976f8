//! A replica of ours behind each real primary, in each way that a primary can send its data: from disk or
//! from memory, compressed or not, with and without a checksum, over one connection or two, to a user with
//! no more rights than it takes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use testkit::{Server, fill_every_type, random_writes};

mod support;
use support::{assert_equal, builder, caught_up, client_of, cut, start};

/// A way to send a full sync.
struct Way {
    diskless: bool,
    packed: &'static str,
    two_channels: bool,
}

async fn follow(server: Server, way: &Way) {
    let Way { diskless, packed, two_channels } = *way;
    let mut primary = server
        .builder()
        .config("repl-diskless-sync", if diskless { "yes" } else { "no" })
        .config("repl-diskless-sync-delay", "0")
        .config("rdbcompression", packed)
        .config("rdbchecksum", packed);
    let dual = server.family() == "Valkey" && two_channels;
    if dual {
        primary = primary.config("dual-channel-replication-enabled", "yes");
    }
    let primary = primary.start();
    let mut real = primary.client();
    let seed = u64::from(diskless) * 2 + u64::from(two_channels);
    fill_every_type(&mut real, seed, 1500);
    real.call(&["ACL", "SETUSER", "link", "on", ">s3cret", "+psync", "+replconf", "+ping"]).ok();
    if dual {
        // Valkey asks for the dump by SYNC on the second connection.
        real.call(&["ACL", "SETUSER", "link", "+sync"]).ok();
    }
    let url = format!("redis://link:s3cret@{}", primary.addr());
    let replica = start(builder(url).two_channels(two_channels)).await;
    caught_up(&mut real, &replica).await;
    assert_equal(&mut real, &mut client_of(&replica));
    random_writes(&mut real, seed, 1500);
    cut(&primary, &replica).await;
    random_writes(&mut real, seed + 1, 500);
    caught_up(&mut real, &replica).await;
    assert_equal(&mut real, &mut client_of(&replica));
    let status = replica.status();
    assert_eq!((status.full_syncs, status.partial_syncs, status.diverged), (1, 1, 0), "{status:?}");
    let offered = two_channels && diskless && (server == Server::R8_2 || dual);
    assert_eq!(status.two_channel_syncs, u64::from(offered), "{status:?}");
    replica.shutdown().await.unwrap();
}

async fn every_way(server: Server) {
    for way in [
        Way { diskless: false, packed: "yes", two_channels: false },
        Way { diskless: true, packed: "no", two_channels: true },
        Way { diskless: true, packed: "yes", two_channels: false },
        Way { diskless: false, packed: "no", two_channels: true },
    ] {
        follow(server, &way).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_6_0() {
    every_way(Server::R6_0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_6_2() {
    every_way(Server::R6_2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_7_0() {
    every_way(Server::R7_0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_8_2() {
    every_way(Server::R8_2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn valkey_8_1() {
    every_way(Server::V8_1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn valkey_9_1() {
    every_way(Server::V9_1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_the_right_to_sync_is_served_over_one_connection() {
    let primary = Server::V9_1
        .builder()
        .config("repl-diskless-sync-delay", "0")
        .config("dual-channel-replication-enabled", "yes")
        .start();
    let mut real = primary.client();
    real.call(&["ACL", "SETUSER", "link", "on", ">s3cret", "+psync", "+replconf", "+ping"]).ok();
    real.call(&["SET", "k", "v"]).ok();
    let replica = start(builder(format!("redis://link:s3cret@{}", primary.addr()))).await;
    caught_up(&mut real, &replica).await;
    let status = replica.status();
    assert_eq!((status.full_syncs, status.two_channel_syncs), (1, 0), "{status:?}");
    assert_eq!(status.failures.of(replica::FailureKind::Denied), 1, "{status:?}");
    assert_equal(&mut real, &mut client_of(&replica));
    replica.shutdown().await.unwrap();
}

/// A slow transfer over two connections while the primary is written to: what it would buffer for a replica
/// lies here instead.
async fn the_primary_buffers_nothing(server: Server, dual: bool) {
    let mut primary = server.builder().config("repl-diskless-sync-delay", "0");
    if dual {
        primary = primary.config("dual-channel-replication-enabled", "yes");
    }
    let primary = primary.config("repl-backlog-size", "16kb").config("rdbcompression", "no").start();
    let mut real = primary.client();
    real.call(&["DEBUG", "POPULATE", "20000", "key", "500"]).ok();
    let replica = builder(primary.url()).rate_limit(4 << 20).start().await.unwrap();
    support::until(
        &replica,
        "the dump",
        |status| matches!(status.phase, replica::Phase::Transfer { received, .. } if received > 0),
    )
    .await;
    let value = "x".repeat(10_000);
    let mut most = 0;
    for n in 0..300 {
        real.call(&["SET", &format!("meanwhile:{n}"), &value]).ok();
        let clients = real.call(&["CLIENT", "LIST", "TYPE", "replica"]).text();
        let buffered = clients.split_whitespace().filter_map(|word| word.strip_prefix("omem=")?.parse().ok());
        most = most.max(buffered.max().unwrap_or(0_u64));
    }
    assert!(!replica.status().synced(), "the transfer should outlast the writes: {:?}", replica.status());
    support::ready(&replica).await;
    caught_up(&mut real, &replica).await;
    let status = replica.status();
    println!("{server:?}: the primary buffered {most} bytes at most, we {}", status.buffered.peak);
    assert!(most < 1 << 20, "the primary buffered {most} bytes");
    assert!(status.buffered.peak > 2 << 20, "{status:?}");
    assert_eq!((status.full_syncs, status.two_channel_syncs), (1, 1));
    assert_equal(&mut real, &mut client_of(&replica));
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_8_buffers_nothing_during_a_full_sync() {
    the_primary_buffers_nothing(Server::R8_2, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valkey_9_buffers_nothing_during_a_full_sync() {
    the_primary_buffers_nothing(Server::V9_1, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valkey_8_buffers_nothing_during_a_full_sync() {
    the_primary_buffers_nothing(Server::V8_1, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_loads_is_waited_for() {
    // A replica without its own primary answers NOMASTERLINK, and MASTERDOWN to PING if it is told to.
    let orphan = Server::R7_0.builder();
    let nowhere = testkit::free_port().to_string();
    let orphan = orphan.args(&["--replicaof", "127.0.0.1", &nowhere]).start();
    let replica = builder(orphan.url()).start().await.unwrap();
    let not_ready = |status: &replica::Status| status.failures.of(replica::FailureKind::NotReady);
    support::until(&replica, "NOMASTERLINK", |status| not_ready(status) >= 2).await;
    let mut real = orphan.client();
    real.call(&["CONFIG", "SET", "replica-serve-stale-data", "no"]).ok();
    let before = not_ready(&replica.status());
    support::until(&replica, "MASTERDOWN", |status| {
        let said = format!("{:?}", status.phase);
        not_ready(status) > before && said.contains("MASTERDOWN")
    })
    .await;
    real.call(&["REPLICAOF", "NO", "ONE"]).ok();
    tokio::time::timeout(Duration::from_secs(60), replica.ready()).await.unwrap().unwrap();
    replica.shutdown().await.unwrap();
}
