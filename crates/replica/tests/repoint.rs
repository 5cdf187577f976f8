//! REPLICAOF and its like: promoted on purpose, pointed elsewhere, followed through a failover.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use replica::{FailureKind, Replica};
use testkit::{Server, fill_every_type, random_writes};

mod support;
use support::{assert_equal, builder, caught_up, client_of, info, start, until};

fn two_servers(server: Server) -> (testkit::Running, testkit::Running) {
    let primary = server.builder().config("repl-diskless-sync-delay", "0").start();
    let second = primary.start_replica();
    (primary, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_of_the_primary_is_followed_without_a_dump() {
    let (primary, second) = two_servers(Server::R7_0);
    let mut real = primary.client();
    fill_every_type(&mut real, 1, 300);
    let replica = start(builder(primary.url())).await;
    caught_up(&mut real, &replica).await;
    let mut ours = client_of(&replica);
    // The other one is promoted; we are pointed to it, as a Sentinel would.
    testkit::wait_until_caught_up(&mut real, &mut second.client());
    let mut promoted = second.client();
    promoted.call(&["REPLICAOF", "NO", "ONE"]).ok();
    random_writes(&mut promoted, 2, 500);
    ours.call(&["SLAVEOF", "127.0.0.1", &second.port().to_string()]).ok();
    caught_up(&mut promoted, &replica).await;
    assert_equal(&mut promoted, &mut ours);
    let status = replica.status();
    assert_eq!((status.full_syncs, status.partial_syncs), (1, 1), "{status:?}");
    assert_eq!(status.failures.of(FailureKind::Redirected), 1);
    assert_eq!(info(&mut ours, "replication", "master_port"), second.port().to_string());
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_failover_command_of_the_primary_is_followed_at_the_same_address() {
    let (primary, second) = two_servers(Server::R7_0);
    let mut real = primary.client();
    fill_every_type(&mut real, 3, 300);
    let replica = start(builder(primary.url())).await;
    caught_up(&mut real, &replica).await;
    let second_port = second.port().to_string();
    real.call(&["FAILOVER", "TO", "127.0.0.1", &second_port]).ok();
    // The primary has become a replica of the other: it goes on sending us the stream, under a new id.
    until(&replica, "the new id", |status| status.partial_syncs >= 1 && status.is_connected()).await;
    let mut promoted = second.client();
    random_writes(&mut promoted, 4, 500);
    caught_up(&mut promoted, &replica).await;
    assert_equal(&mut promoted, &mut client_of(&replica));
    assert_eq!(replica.status().full_syncs, 1);
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn promoted_it_takes_writes_and_its_old_primary_can_follow_it() {
    let primary = Server::R7_0.builder().config("repl-diskless-sync-delay", "0").start();
    let mut real = primary.client();
    fill_every_type(&mut real, 5, 300);
    let replica = start(builder(primary.url())).await;
    caught_up(&mut real, &replica).await;
    let mut ours = client_of(&replica);
    assert!(ours.call(&["SET", "a", "1"]).is_error());
    ours.call(&["REPLICAOF", "no", "one"]).ok();
    ours.call(&["SET", "a", "1"]).ok();
    assert_eq!(info(&mut ours, "replication", "role"), "master");
    let id = info(&mut real, "replication", "master_replid");
    assert_eq!(info(&mut ours, "replication", "master_replid2"), id);
    // Nothing of the old primary comes in any more.
    real.call(&["SET", "only there", "1"]).ok();
    until(&replica, "rest", |status| matches!(status.phase, replica::Phase::Idle)).await;
    assert_eq!(ours.call(&["EXISTS", "only there"]).int(), 0);
    // And back again: what was written here is not the primary's, so only a dump will do.
    ours.call(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]).ok();
    caught_up(&mut real, &replica).await;
    assert_equal(&mut real, &mut ours);
    assert_eq!(replica.status().full_syncs, 2);
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_are_told_to_leave_it_alone_unless_it_is_said_otherwise() {
    let primary = Server::R7_0.builder().config("repl-diskless-sync-delay", "0").start();
    let replica = start(builder(primary.url())).await;
    let mut ours = client_of(&replica);
    let said = |client: &mut testkit::Client| {
        (info(client, "replication", "slave_priority"), info(client, "replication", "replica_announced"))
    };
    assert_eq!(said(&mut ours), ("0".to_owned(), "0".to_owned()));
    let set = ["CONFIG", "SET", "replica-priority", "7", "replica-announced", "yes"];
    ours.call(&set).ok();
    assert_eq!(said(&mut ours), ("7".to_owned(), "1".to_owned()));
    let refused = ours.call(&["CONFIG", "SET", "replica-priority", "-1"]);
    assert!(refused.is_error(), "{refused:?}");
    let other = start(builder(primary.url()).priority(3).announced(true)).await;
    assert_eq!(said(&mut client_of(&other)), ("3".to_owned(), "1".to_owned()));
    // The primary shows the port that we serve.
    let shown = real_port(&primary, &replica);
    assert!(shown, "{}", primary.client().call(&["INFO", "replication"]).text());
    for replica in [replica, other] {
        replica.shutdown().await.unwrap();
    }
}

fn real_port(primary: &testkit::Running, replica: &Replica) -> bool {
    let port = format!("port={},", replica.local_addr().unwrap().port());
    primary.client().call(&["INFO", "replication"]).text().contains(&port)
}

#[tokio::test(flavor = "multi_thread")]
async fn replicaof_and_stale_data_answer_as_a_real_replica_does() {
    let real = Server::R7_0.start();
    let standalone = replica::Standalone::start("127.0.0.1:0").await.unwrap();
    let mut clients = [real.client(), testkit::Client::connect(standalone.local_addr()).unwrap()];
    let nowhere = testkit::free_port().to_string();
    let script: Vec<Vec<&str>> = vec![
        vec!["REPLICAOF", "a", "b"],
        vec!["REPLICAOF", "127.0.0.1", "99999"],
        vec!["REPLICAOF", "127.0.0.1", "-1"],
        vec!["REPLICAOF", "NO", "ONE"],
        vec!["SLAVEOF", "no", "one"],
        vec!["REPLICAOF", "x"],
        vec!["SET", "k", "v"],
        vec!["REPLICAOF", "127.0.0.1", &nowhere],
        vec!["REPLICAOF", "127.0.0.1", &nowhere],
        vec!["GET", "k"],
        vec!["SET", "k", "w"],
        vec!["CONFIG", "SET", "replica-serve-stale-data", "no"],
        vec!["GET", "k"],
        vec!["PING"],
        vec!["SET", "k", "w"],
        vec!["CONFIG", "SET", "replica-serve-stale-data", "maybe"],
        vec!["CONFIG", "SET", "replica-priority", "x"],
        vec!["CONFIG", "SET", "replica-priority", "-1"],
        vec!["CONFIG", "GET", "replica-serve-stale-data"],
        vec!["CONFIG", "SET", "masterauth", "pw", "masteruser", "me"],
        vec!["CONFIG", "GET", "masterauth"],
        vec!["CONFIG", "GET", "masteruser"],
        vec!["REPLICAOF", "NO", "ONE"],
        vec!["GET", "k"],
        vec!["SET", "k", "w"],
    ];
    for command in script {
        let [theirs, ours] = clients.each_mut().map(|client| client.call(&command));
        assert_eq!(theirs, ours, "{command:?}");
    }
}
