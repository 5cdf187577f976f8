//! Ours in the middle of a chain, at its head and behind itself, with real servers on the other sides.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use replica::{Replica, Standalone};
use testkit::{Client, Running, Server, differences, fill_every_type, random_writes, wait_until_caught_up};

/// What a replica cannot learn from its primary, consumers that have nothing pending, is no difference here.
#[track_caller]
fn assert_equal(a: &mut Client, b: &mut Client) {
    let mut found = differences(a, b);
    found.retain(|difference| difference.what != "idle consumer");
    let first: Vec<String> = found.iter().take(20).map(ToString::to_string).collect();
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), first.join("\n"));
}

const PATIENCE: Duration = Duration::from_secs(60);

async fn follow(url: String) -> Replica {
    let replica = Replica::builder().master(url).listen("127.0.0.1:0").start().await.unwrap();
    tokio::time::timeout(PATIENCE, replica.ready()).await.unwrap().unwrap();
    replica
}

fn url_of(replica: &Replica) -> String {
    format!("redis://{}", replica.local_addr().unwrap())
}

fn client_of(replica: &Replica) -> Client {
    Client::connect(replica.local_addr().unwrap()).unwrap()
}

fn behind(server: Server, port: u16) -> Running {
    server.start_with(&["--replicaof", "127.0.0.1", &port.to_string(), "--save", ""])
}

fn info(client: &mut Client, name: &str) -> String {
    let text = client.call(&["INFO", "everything"]).text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in INFO")).trim().to_owned()
}

fn seed() -> u64 {
    std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(11)
}

/// Runs what blocks without holding up the tasks that serve it.
fn blocking<R>(f: impl FnOnce() -> R) -> R {
    tokio::task::block_in_place(f)
}

/// real -> ours -> two real ones. Both links of the chain are cut under writes; each side is continued.
async fn in_the_middle(top: Server, below: [Server; 2]) {
    let seed = seed();
    println!("{top:?}, seed {seed}");
    let primary = top.start_with(&["--repl-diskless-sync-delay", "0", "--repl-backlog-size", "64mb"]);
    let mut real = primary.client();
    fill_every_type(&mut real, seed, 1000);
    blocking(|| random_writes(&mut real, seed, 500));
    let replica = follow(primary.url()).await;
    let mut ours = client_of(&replica);
    let port = replica.local_addr().unwrap().port();
    blocking(|| {
        let replicas = below.map(|server| behind(server, port));
        // Writes while they load.
        random_writes(&mut real, seed + 1, 1500);
        let mut ends = replicas.each_ref().map(Running::client);
        for end in &mut ends {
            wait_until_caught_up(&mut real, end);
        }
        for round in 0..3 {
            // Cut ours from its primary, then our replicas from us.
            real.line("CLIENT KILL TYPE replica").ok();
            random_writes(&mut real, seed + 10 + round, 400);
            ours.line("CLIENT KILL TYPE replica").ok();
            random_writes(&mut real, seed + 20 + round, 400);
            for end in &mut ends {
                wait_until_caught_up(&mut real, end);
            }
        }
        for end in &mut ends {
            assert_eq!(info(end, "master_replid"), info(&mut real, "master_replid"));
            assert_equal(&mut real, end);
        }
        assert_equal(&mut real, &mut ours);
        // Full syncs: one for us, one for each of ours. Everything else was continued.
        assert_eq!(info(&mut real, "sync_full"), "1");
        assert_eq!(info(&mut ours, "sync_full"), "2");
        let continued: u64 = info(&mut ours, "sync_partial_ok").parse().unwrap();
        assert!(continued >= 2, "{continued}");
        assert_eq!(replica.engine().divergence().total(), 0);
    });
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_redis_7_0() {
    in_the_middle(Server::R7_0, [Server::R7_0, Server::V9_1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_redis_8_2() {
    in_the_middle(Server::R8_2, [Server::R8_2, Server::R8_2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_valkey_9_1() {
    in_the_middle(Server::V9_1, [Server::V9_1, Server::V9_1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_behind_ours_and_a_replica_that_skips_a_generation() {
    let seed = seed();
    let primary = Server::R7_0.start_with(&["--repl-diskless-sync-delay", "0"]);
    let mut real = primary.client();
    fill_every_type(&mut real, seed, 500);
    let first = follow(primary.url()).await;
    let second = follow(url_of(&first)).await;
    let last = blocking(|| {
        random_writes(&mut real, seed, 1000);
        let last = behind(Server::R7_0, second.local_addr().unwrap().port());
        random_writes(&mut real, seed + 1, 1000);
        let mut end = last.client();
        wait_until_caught_up(&mut real, &mut end);
        // Ids and offsets are those of the top, so the last one can go on anywhere.
        real.line("SET before:moving 1").ok();
        wait_until_caught_up(&mut real, &mut end);
        end.call(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]).ok();
        real.line("SET after:moving 1").ok();
        wait_until_caught_up(&mut real, &mut end);
        assert_eq!(info(&mut real, "sync_full"), "1");
        (last, end)
    });
    let (_last, mut end) = last;
    blocking(|| {
        let mut ours = client_of(&second);
        wait_until_caught_up(&mut real, &mut ours);
        assert_equal(&mut real, &mut end);
        assert_equal(&mut real, &mut ours);
        assert_eq!(info(&mut client_of(&first), "sync_full"), "1");
        assert_eq!(second.status().full_syncs, 1);
    });
    second.shutdown().await.unwrap();
    first.shutdown().await.unwrap();
}

/// A full sync of ours ends what our replicas hold; without a link we serve none.
#[tokio::test(flavor = "multi_thread")]
async fn another_history_reaches_the_end_of_the_chain_and_no_link_means_no_master() {
    let mut primary = Server::R7_0.start_with(&["--repl-diskless-sync-delay", "0"]);
    let mut real = primary.client();
    real.line("SET k old").ok();
    let replica = follow(primary.url()).await;
    let mut ours = client_of(&replica);
    blocking(|| {
        let last = behind(Server::R7_0, replica.local_addr().unwrap().port());
        let mut end = last.client();
        wait_until_caught_up(&mut real, &mut end);
        primary.kill();
        // The link is down before long; then PSYNC is refused until it is up.
        let refused = loop {
            let mut asking = client_of(&replica);
            asking.send(&["PSYNC", "?", "-1"]);
            asking.flush().unwrap();
            let line = asking.receive_line().unwrap();
            if line.starts_with(b"-") {
                break line;
            }
        };
        assert_eq!(refused, b"-NOMASTERLINK Can't SYNC while not connected with my master");
        primary.restart();
        let mut real = primary.client();
        real.line("SET k new").ok();
        wait_until_caught_up(&mut real, &mut ours);
        wait_until_caught_up(&mut real, &mut end);
        // Offsets of two histories may be alike before the new one has come down the chain.
        let begin = std::time::Instant::now();
        while info(&mut end, "master_replid") != info(&mut real, "master_replid") {
            assert!(begin.elapsed().as_secs() < 60, "the new history never arrived");
        }
        wait_until_caught_up(&mut real, &mut end);
        assert_equal(&mut real, &mut end);
    });
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writable_server_of_ours_is_a_complete_master() {
    for (compat, servers) in [
        (replica::Compat::Redis82, [Server::R8_2, Server::R8_2]),
        (replica::Compat::Valkey91, [Server::V9_1, Server::V9_1]),
    ] {
        let seed = seed();
        println!("{compat}, seed {seed}");
        let primary = Standalone::start("127.0.0.1:0").await.unwrap();
        primary.engine().set_compat(compat);
        let mut ours = Client::connect(primary.local_addr()).unwrap();
        blocking(|| {
            random_writes(&mut ours, seed, 1000);
            ours.line("HSET h f v").ok();
            ours.line("HPEXPIREAT h 4102444800000 FIELDS 1 f").ok();
            let port = primary.local_addr().port();
            let replicas = servers.map(|server| behind(server, port));
            random_writes(&mut ours, seed + 1, 1500);
            let mut ends = replicas.each_ref().map(Running::client);
            for end in &mut ends {
                wait_until_caught_up(&mut ours, end);
            }
            ours.line("CLIENT KILL TYPE replica").ok();
            random_writes(&mut ours, seed + 2, 1000);
            for end in &mut ends {
                wait_until_caught_up(&mut ours, end);
                assert_equal(&mut ours, end);
            }
            assert_eq!(info(&mut ours, "sync_full"), "2");
            assert_eq!(info(&mut ours, "sync_partial_ok"), "2");
            assert_eq!(ours.line("WAIT 2 30000").int(), 2);
            ours.line("SET waited 1").ok();
            assert_eq!(ours.line("WAIT 2 30000").int(), 2);
            assert_eq!(ours.line("WAIT 3 10").int(), 2);
            ours.line("CONFIG SET min-replicas-to-write 3").ok();
            assert_eq!(ours.line("SET k v").error(), "NOREPLICAS Not enough good replicas to write.");
            ours.line("CONFIG SET min-replicas-to-write 2").ok();
            ours.line("SET k v").ok();
        });
    }
}

/// A dump that is sent with its length, to a replica that was told nothing of marks.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_may_come_with_its_length() {
    let primary = Standalone::start("127.0.0.1:0").await.unwrap();
    let mut ours = Client::connect(primary.local_addr()).unwrap();
    blocking(|| {
        ours.line("CONFIG SET repl-diskless-sync no").ok();
        random_writes(&mut ours, seed(), 500);
        let last = behind(Server::V9_1, primary.local_addr().port());
        random_writes(&mut ours, seed() + 1, 500);
        let mut end = last.client();
        wait_until_caught_up(&mut ours, &mut end);
        assert_equal(&mut ours, &mut end);
        let log = last.log();
        assert!(log.contains("receiving") && !log.contains("streamed from master with EOF"), "{log}");
    });
}
