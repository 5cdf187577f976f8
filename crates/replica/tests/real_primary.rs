//! A replica of ours beside the real primary that it follows, read by an independent client.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use replica::{Compat, Replica};
use testkit::{Client, Server, assert_equal, fill_every_type, random_writes};

async fn follow(primary: &testkit::Running) -> Replica {
    let replica = Replica::builder().master(primary.url()).listen("127.0.0.1:0").start().await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), replica.ready()).await.unwrap().unwrap();
    replica
}

/// Waits until the replica holds everything that the primary has written.
async fn caught_up(primary: &mut Client, replica: &Replica) {
    let info = primary.call(&["INFO", "replication"]).text();
    let offset =
        info.lines().find_map(|l| l.strip_prefix("master_repl_offset:")).unwrap().trim().parse().unwrap();
    replica.wait_for_offset(offset, Duration::from_secs(60)).await.unwrap();
}

fn client_of(replica: &Replica) -> Client {
    Client::connect(replica.local_addr().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_arrives_equal_and_stays_equal_under_random_writes() {
    let seed = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(7);
    println!("seed {seed}");
    let primary = Server::R7_0.start_with(&["--repl-diskless-sync-delay", "0"]);
    let mut real = primary.client();
    fill_every_type(&mut real, seed, 3000);
    let replica = follow(&primary).await;
    let mut ours = client_of(&replica);
    caught_up(&mut real, &replica).await;
    assert_equal(&mut real, &mut ours);
    for round in 0..5 {
        random_writes(&mut real, seed + round, 3000);
        caught_up(&mut real, &replica).await;
        let diverged = replica.engine().divergence().by_name();
        assert!(diverged.is_empty(), "not applied: {diverged:?}");
        assert_equal(&mut real, &mut ours);
    }
    assert_eq!(replica.status().full_syncs, 1);
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_and_restarted_primary_is_followed_again() {
    let mut primary = Server::R7_0.start_with(&["--repl-diskless-sync-delay", "0"]);
    let mut real = primary.client();
    fill_every_type(&mut real, 3, 500);
    let replica = follow(&primary).await;
    real.call(&["SAVE"]);
    primary.kill();
    let name = "fresh";
    let before = replica.db(0).len();
    assert!(before > 0, "the old data keep serving");
    primary.restart();
    let mut real = primary.client();
    real.call(&["SET", name, "1"]);
    let mut offset = replica.engine().watch_offset();
    let followed = async {
        while replica.db(0).get(name).unwrap().is_none() {
            offset.changed().await.unwrap();
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), followed).await;
    assert!(in_time.is_ok(), "{:?}", replica.status());
    caught_up(&mut real, &replica).await;
    assert_equal(&mut real, &mut client_of(&replica));
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_fails_readiness_instead_of_hanging() {
    let primary = Server::R7_0.start_with(&["--requirepass", "right"]);
    let master = format!("redis://:wrong@127.0.0.1:{}", primary.port());
    let replica = Replica::builder().master(master).start().await.unwrap();
    let ready = tokio::time::timeout(Duration::from_secs(30), replica.ready()).await.unwrap();
    let error = ready.unwrap_err();
    assert!(!error.is_retryable());
    assert!(error.to_string().contains("WRONGPASS"), "{error}");
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_what_its_primary_is_unless_it_was_told() {
    for (server, compat) in [
        (Server::R6_2, Compat::Redis70),
        (Server::R7_0, Compat::Redis70),
        (Server::R8_2, Compat::Redis82),
        (Server::V8_1, Compat::Valkey81),
        (Server::V9_1, Compat::Valkey91),
    ] {
        let primary = server.start_with(&["--repl-diskless-sync-delay", "0"]);
        let replica = follow(&primary).await;
        assert_eq!(replica.engine().compat(), compat, "{server:?}");
        replica.shutdown().await.unwrap();
    }
    // What it was told concerns its clients alone: a field that expires is no command of theirs, and is there.
    let primary = Server::R8_2.start_with(&["--repl-diskless-sync-delay", "0"]);
    let mut real = primary.client();
    let told = Replica::builder().master(primary.url()).listen("127.0.0.1:0").compat(Compat::Valkey81);
    let replica = told.start().await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), replica.ready()).await.unwrap().unwrap();
    real.line("HSET h f v").ok();
    real.line("HPEXPIREAT h 4102444800000 FIELDS 1 f").ok();
    caught_up(&mut real, &replica).await;
    assert_eq!(replica.engine().divergence().total(), 0);
    let mut ours = client_of(&replica);
    assert!(ours.line("HPEXPIRETIME h FIELDS 1 f").error().starts_with("ERR unknown command 'HPEXPIRETIME'"));
    replica.engine().set_compat(Compat::Redis82);
    assert_eq!(ours.line("HPEXPIRETIME h FIELDS 1 f"), real.line("HPEXPIRETIME h FIELDS 1 f"));
    replica.shutdown().await.unwrap();
}
