//! A replica of ours that asks real Sentinels whom to follow.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use replica::{Credentials, Phase, Replica};
use testkit::{Client, Running, Server, assert_equal, eventually, random_writes};

mod support;
use support::{client_of, info, until};

const NAME: &str = "service";

fn primary_port(sentinel: &mut Client) -> u16 {
    let reply = sentinel.call(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]);
    reply.array()[1].text().parse().unwrap()
}

struct Group {
    servers: Vec<Running>,
    sentinels: Vec<Running>,
}

impl Group {
    /// A primary with two replicas, and three Sentinels who know each other.
    fn start() -> Self {
        let primary = Server::R7_0.start();
        let port = primary.port().to_string();
        let follow = ["--replicaof", &format!("127.0.0.1 {port}")];
        let replicas = [0, 1].map(|_| Server::R7_0.start_with(&follow));
        let sentinels: Vec<Running> =
            (0..3).map(|_| Server::R7_0.builder().watching(NAME, &primary).start()).collect();
        let [first, second] = replicas;
        for sentinel in &sentinels {
            let mut client = sentinel.client();
            eventually("everybody is known", || {
                let master = client.call(&["SENTINEL", "MASTER", NAME]);
                let says = |name: &str| master.field(name).unwrap().text();
                says("num-slaves") == "2" && says("num-other-sentinels") == "2"
            });
        }
        Self { servers: vec![primary, first, second], sentinels }
    }

    /// Addresses for ours: the first of them has never been there.
    fn url(&self) -> String {
        let ports: Vec<String> = self.sentinels[..2].iter().map(Running::addr).collect();
        format!("redis-sentinel://127.0.0.1:1,{}/{NAME}", ports.join(","))
    }

    fn primary(&self, sentinel: usize) -> &Running {
        let port = primary_port(&mut self.sentinels[sentinel].client());
        self.servers.iter().find(|server| server.port() == port).unwrap()
    }
}

/// Waits until there is another primary than this, and no Sentinel has a hand in it any more: while one has, it hangs up
/// on clients.
fn settled(group: &Group, before: u16) {
    for sentinel in group.sentinels.iter().filter(|sentinel| sentinel.runs()) {
        let mut client = sentinel.client();
        eventually("another primary", || {
            let flags = client.call(&["SENTINEL", "MASTER", NAME]).field("flags").unwrap().text();
            primary_port(&mut client) != before && !flags.contains("failover")
        });
    }
    let running = group.sentinels.iter().position(Running::runs).unwrap();
    eventually("that it is one", || {
        info(&mut group.primary(running).client(), "replication", "role") == "master"
    });
}

/// Does something with the primary, again if a connection was cut: Sentinels hang up on the clients of every server that
/// they give another role or primary, ours among them.
fn with_primary(group: &Group, sentinel: usize, mut f: impl FnMut(&mut Client)) {
    let attempt = |f: &mut dyn FnMut(&mut Client)| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(&mut group.primary(sentinel).client())))
    };
    for _ in 0..3 {
        match attempt(&mut f) {
            Ok(()) => return,
            Err(why) if why.downcast_ref::<String>().is_some_and(|text| text.contains("no reply to")) => {}
            Err(why) => std::panic::resume_unwind(why),
        }
    }
    f(&mut group.primary(sentinel).client());
}

/// Waits until ours follows this one and holds all that it has.
async fn caught_up(primary: &Running, replica: &Replica) {
    let port = primary.port();
    let mut client = primary.client();
    let follows = async {
        let mut link = replica.watch_link();
        while link.borrow_and_update().primary.1 != port || !link.borrow().phase.is_streaming() {
            link.changed().await.unwrap();
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), follows).await;
    assert!(in_time.is_ok(), "{:?}", replica.status());
    let offset = info(&mut client, "replication", "master_repl_offset").parse().unwrap();
    replica.wait_for_offset(offset, Duration::from_secs(60)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn failovers_are_followed_and_a_lost_sentinel_is_missed_by_nobody() {
    let failovers: u64 =
        std::env::var("REPLICA_FAILOVERS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let mut group = Group::start();
    let replica = Replica::builder().master(group.url()).listen("127.0.0.1:0").start().await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), replica.ready()).await.unwrap().unwrap();
    random_writes(&mut group.primary(0).client(), 1, 1000);
    for n in 0..failovers {
        let before = group.primary(0).port();
        caught_up(group.primary(0), &replica).await;
        let mut sentinel = group.sentinels[0].client();
        eventually("the Sentinels are ready for a failover", || {
            !sentinel.call(&["SENTINEL", "FAILOVER", NAME]).is_error()
        });
        settled(&group, before);
        let primary = group.primary(0);
        assert_ne!(primary.port(), replica.local_addr().unwrap().port(), "ours was promoted");
        with_primary(&group, 0, |primary| drop(random_writes(primary, 100 + n, 300)));
        caught_up(group.primary(0), &replica).await;
        with_primary(&group, 0, |primary| assert_equal(primary, &mut client_of(&replica)));
    }
    let status = replica.status();
    println!("{failovers} failovers: {} full syncs, {} partial", status.full_syncs, status.partial_syncs);
    // Sentinels publish through the old primary while the new one is there already: then its history ends beyond what
    // the new one knows, and a replica, a real one too, has to take everything. But once each, and nothing else.
    assert_eq!(status.full_syncs + status.partial_syncs, 1 + failovers, "{status:?}");

    // The one that we were told of first dies, and so does the primary.
    let died = group.primary(1).port();
    group.sentinels[0].kill();
    group.servers.iter_mut().find(|server| server.port() == died).unwrap().kill();
    settled(&group, died);
    with_primary(&group, 2, |primary| drop(random_writes(primary, 200, 300)));
    caught_up(group.primary(2), &replica).await;
    with_primary(&group, 2, |primary| assert_equal(primary, &mut client_of(&replica)));
    replica.shutdown().await.unwrap();
}

/// A failover that is asked of this Sentinel, whether others are there or not.
fn force_failover(group: &Group, sentinel: usize) {
    let before = group.primary(sentinel).port();
    let mut client = group.sentinels[sentinel].client();
    eventually("the Sentinel is ready for a failover", || {
        !client.call(&["SENTINEL", "FAILOVER", NAME]).is_error()
    });
    settled(group, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_sentinels_are_missed_by_nobody_and_heard_again() {
    let mut group = Group::start();
    let replica = Replica::builder().master(group.url()).listen("127.0.0.1:0").start().await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), replica.ready()).await.unwrap().unwrap();
    // Each of them is listened to, the one that was not named as well.
    for sentinel in &group.sentinels {
        let mut client = sentinel.client();
        eventually("it is listened to", || client.call(&["CLIENT", "LIST"]).text().contains(" sub=1 "));
    }
    // Two of three, those that were named: the third is known from them.
    group.sentinels[0].kill();
    group.sentinels[1].kill();
    random_writes(&mut group.primary(2).client(), 1, 300);
    force_failover(&group, 2);
    with_primary(&group, 2, |primary| drop(random_writes(primary, 2, 300)));
    caught_up(group.primary(2), &replica).await;
    with_primary(&group, 2, |primary| assert_equal(primary, &mut client_of(&replica)));

    // All of them: the primary that was followed is followed.
    let port = group.primary(2).port();
    group.sentinels[2].kill();
    let primary = group.servers.iter().find(|server| server.port() == port).unwrap();
    random_writes(&mut primary.client(), 3, 300);
    primary.client().call(&["CLIENT", "KILL", "TYPE", "replica"]);
    primary.client().call(&["SET", "meanwhile", "1"]).ok();
    caught_up(primary, &replica).await;
    assert_equal(&mut primary.client(), &mut client_of(&replica));

    // One is back, and the next failover is followed.
    group.sentinels[1].restart();
    force_failover(&group, 1);
    with_primary(&group, 1, |primary| drop(random_writes(primary, 4, 300)));
    caught_up(group.primary(1), &replica).await;
    with_primary(&group, 1, |primary| assert_equal(primary, &mut client_of(&replica)));
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_named_has_to_be_a_primary() {
    let primary = Server::R7_0.start();
    primary.client().call(&["SET", "k", "of the primary"]).ok();
    let named = Server::R7_0.start_with(&["--replicaof", &format!("127.0.0.1 {}", primary.port())]);
    let sentinel = Server::R7_0.builder().watching(NAME, &named).start();
    let url = format!("redis-sentinel://{}/{NAME}", sentinel.addr());
    let replica = Replica::builder().master(url).start().await.unwrap();
    let reason = format!("127.0.0.1:{}, which does not say that it is one", named.port());
    until(&replica, "the reason", |status| format!("{:?}", status.phase).contains(&reason)).await;
    assert!(!replica.status().synced());
    named.client().call(&["REPLICAOF", "NO", "ONE"]).ok();
    named.client().call(&["SET", "k", "of the named"]).ok();
    tokio::time::timeout(Duration::from_secs(60), replica.ready()).await.unwrap().unwrap();
    caught_up(&named, &replica).await;
    assert_eq!(replica.db(0).get("k").unwrap().unwrap(), "of the named");
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_sentinels_from_answering_is_told() {
    let primary = Server::R7_0.start();
    let sentinel = Server::R7_0.builder().watching(NAME, &primary).config("requirepass", "watched").start();
    let builder =
        |name: &str| Replica::builder().master(format!("redis-sentinel://{}/{name}", sentinel.addr()));
    let wrong = builder(NAME).sentinel_credentials(Credentials::password("guessed"));
    for (builder, words) in [(builder(NAME), "NOAUTH"), (wrong, "WRONGPASS")] {
        let replica = builder.start().await.unwrap();
        let ready = tokio::time::timeout(Duration::from_secs(60), replica.ready()).await.unwrap();
        let error = ready.unwrap_err();
        assert!(!error.is_retryable() && error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains(&sentinel.addr()), "{error}");
    }
    let right = || Credentials::password("watched");
    let unknown = builder("nobody").sentinel_credentials(right()).start().await.unwrap();
    let down = until(&unknown, "a reason", |status| matches!(status.phase, Phase::Down { .. })).await;
    assert!(format!("{:?}", down.phase).contains("No such master with that name"), "{down:?}");
    let replica = builder(NAME).sentinel_credentials(right()).start().await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), replica.ready()).await.unwrap().unwrap();
}
