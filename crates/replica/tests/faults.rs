//! Between a real primary and our replica sits a proxy that breaks everything a network can break. After
//! each fault: the two are equal, or the replica has said clearly why not and still serves what it had; and
//! there is no full sync where the backlog reaches.
//!
//! `REPLICA_FAULTS=20` makes twenty times as many tries; `SEED` chooses others.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use replica::{Builder, FailureKind, Replica, Status};
use testkit::{Course, Fault, Plan, Proxy, Random, Running, Server, fill_every_type, random_writes};

mod support;
use support::{assert_equal, caught_up, client_of, ready, start, until};

fn times(count: usize) -> usize {
    let factor = std::env::var("REPLICA_FAULTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    count * factor
}

fn random(name: &str) -> Random {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(11);
    println!("{name}: seed {seed}");
    Random::new(seed)
}

/// A primary that is small, holds every type, and pings every second.
fn small(server: Server, args: &[(&str, &str)]) -> (Running, Proxy) {
    let mut primary =
        server.builder().config("repl-diskless-sync-delay", "0").config("repl-ping-replica-period", "1");
    for (name, value) in args {
        primary = primary.config(name, value);
    }
    let primary = primary.start();
    fill_every_type(&mut primary.client(), 1, 60);
    let proxy = Proxy::start(primary.addr().parse().unwrap());
    (primary, proxy)
}

/// Impatient, so that silence is found out within a test's time.
fn builder(proxy: &Proxy) -> Builder {
    let patience = Duration::from_millis(2500);
    support::builder(format!("redis://{}", proxy.addr()))
        .sync_timeout(patience)
        .idle_timeout(patience)
        .read_timeout(patience)
}

async fn equal(primary: &Running, replica: &Replica) {
    let mut real = primary.client();
    caught_up(&mut real, replica).await;
    assert_equal(&mut real, &mut client_of(replica));
}

/// What became of many tries.
#[derive(Debug, Default)]
struct Counts {
    tries: usize,
    partial: u64,
    full: u64,
    failures: u64,
}

impl Counts {
    fn add(&mut self, status: &Status) {
        self.tries += 1;
        self.partial += status.partial_syncs;
        self.full += status.full_syncs;
        self.failures += status.failures.total();
    }
}

/// How many bytes the primary sends until the dump is whole.
async fn measure(primary: &Running, proxy: &Proxy) -> u64 {
    let replica = start(builder(proxy)).await;
    equal(primary, &replica).await;
    replica.shutdown().await.unwrap();
    proxy.heard().len() as u64
}

async fn first_syncs_are_cut(server: Server, args: &[(&str, &str)]) {
    let (primary, proxy) = small(server, args);
    let mut random = random("cuts");
    let length = measure(&primary, &proxy).await;
    let mut counts = Counts::default();
    for n in 0..times(15) {
        let at = if n < 6 { n as u64 * 17 } else { random.below(usize::try_from(length).unwrap()) as u64 };
        let fault = if random.one_in(3) { Fault::Reset } else { Fault::Close };
        let forth = random.one_in(4);
        // A second connection, where there is one, is cut as well.
        let plan = if forth { Plan::forth(at % 300, fault) } else { Plan::back(at, fault) };
        proxy.plan_once(plan);
        let replica = start(builder(&proxy)).await;
        equal(&primary, &replica).await;
        counts.add(&replica.status());
        replica.shutdown().await.unwrap();
    }
    println!("{server:?} {args:?}: first syncs cut: {counts:?}");
    assert!(counts.failures as usize >= counts.tries / 2, "the faults must have been met: {counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn first_syncs_from_memory_are_cut() {
    first_syncs_are_cut(Server::R7_0, &[("repl-diskless-sync", "yes")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn first_syncs_from_disk_are_cut() {
    first_syncs_are_cut(Server::R6_0, &[("repl-diskless-sync", "no")]).await;
}

/// Either of two connections is cut, at any place.
async fn either_channel_is_cut(server: Server, args: &[(&str, &str)]) {
    let (primary, proxy) = small(server, args);
    let mut random = random("channels");
    let length = measure(&primary, &proxy).await;
    let mut counts = Counts::default();
    let mut two = 0;
    for n in 0..times(8) {
        let at = random.below(usize::try_from(length).unwrap() + 100) as u64;
        let first = proxy.connections();
        let faulty = first + (n as u64 % 2);
        proxy.plan(move |number| {
            if number == faulty {
                Plan::back(at % if faulty == first { 300 } else { u64::MAX }, Fault::Close)
            } else {
                Plan::pass()
            }
        });
        let replica = start(builder(&proxy)).await;
        random_writes(&mut primary.client(), n as u64, 20);
        equal(&primary, &replica).await;
        counts.add(&replica.status());
        two += replica.status().two_channel_syncs;
        replica.shutdown().await.unwrap();
    }
    println!("{server:?}: either channel cut: {counts:?}, {two} syncs over two channels");
    assert!(two as usize >= counts.tries / 2 && counts.failures > 0, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn either_channel_of_redis_8_is_cut() {
    either_channel_is_cut(Server::R8_2, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn either_channel_of_valkey_9_is_cut() {
    either_channel_is_cut(Server::V9_1, &[("dual-channel-replication-enabled", "yes")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_at_random_bytes_needs_no_second_dump() {
    let (primary, proxy) = small(Server::R7_0, &[("repl-backlog-size", "64mb")]);
    let mut random = random("stream");
    let replica = start(builder(&proxy)).await;
    let cuts = times(40) as u64;
    let first = proxy.connections();
    let places: Vec<u64> = (0..cuts).map(|_| 40 + random.below(40_000) as u64).collect();
    let twice = random.one_in(2);
    proxy.plan(move |number| match places.get(usize::try_from(number - first).unwrap()) {
        Some(&at) if number % 5 == 4 => Plan { twice, ..Plan::back(at, Fault::Reset) },
        Some(&at) => Plan::back(at, Fault::Close),
        None => Plan::pass(),
    });
    proxy.cut();
    let writer = tokio::task::spawn_blocking(move || {
        let mut client = primary.client();
        let mut rounds = 0;
        while proxy.connections() < first + cuts {
            random_writes(&mut client, 100 + rounds, 400);
            rounds += 1;
        }
        (primary, proxy)
    });
    let (primary, proxy) = writer.await.unwrap();
    equal(&primary, &replica).await;
    let status = replica.status();
    println!(
        "stream cut: {} connections, {} partial, {} full",
        proxy.connections(),
        status.partial_syncs,
        status.full_syncs
    );
    assert_eq!(status.full_syncs, 1, "{status:?}");
    assert!(status.partial_syncs >= cuts / 2, "{status:?}");
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_dump_is_refused_and_the_old_data_stay() {
    let (primary, proxy) = small(Server::R7_0, &[("repl-diskless-sync", "no")]);
    let mut random = random("damage");
    let replica = start(builder(&proxy)).await;
    equal(&primary, &replica).await;
    let sync = proxy.heard();
    let magic = sync.windows(6).position(|w| w == b"REDIS0").unwrap();
    let mut real = primary.client();
    real.call(&["SET", "old", "data"]).ok();
    caught_up(&mut real, &replica).await;
    let mut refused = 0;
    for _ in 0..times(12) {
        // Another history: only a dump will do, and a bit of it is wrong.
        real.call(&["DEBUG", "CHANGE-REPL-ID"]).ok();
        let at = magic + random.below(sync.len() - magic - 200);
        proxy.plan_once(Plan::back(at as u64, Fault::Flip(1 << random.below(8))));
        let before = replica.status().failures;
        let full = replica.status().full_syncs;
        proxy.cut();
        let corrupt = |status: &Status| {
            [
                FailureKind::CorruptDump,
                FailureKind::UnreadableDump,
                FailureKind::Silent,
                FailureKind::CorruptStream,
            ]
            .iter()
            .map(|kind| status.failures.of(*kind) - before.of(*kind))
            .sum::<u64>()
        };
        until(&replica, "a refusal", |status| corrupt(status) > 0).await;
        assert_eq!(replica.db(0).get("old").unwrap().unwrap(), b"data");
        until(&replica, "a good dump", |status| status.full_syncs == full + 1 && status.is_connected()).await;
        refused += 1;
    }
    equal(&primary, &replica).await;
    println!("{refused} damaged dumps, {refused} refused: {:?}", replica.status().failures);
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_in_the_handshake_is_refused() {
    let (primary, proxy) = small(Server::R7_0, &[]);
    let mut random = random("garbage");
    let mut counts = Counts::default();
    let garbage: [&[u8]; 6] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"$-1\r\n",
        b"\x15\x03\x01\x00\x02\x02\x28\r\n",
        b"+CONTINUE\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        &[b'x'; 40_000],
    ];
    for n in 0..times(9) {
        let at = [0, 7, 12, 22][random.below(4)];
        proxy.plan_once(Plan::back(at, Fault::Insert(garbage[n % garbage.len()].to_vec())));
        let replica = start(builder(&proxy)).await;
        equal(&primary, &replica).await;
        counts.add(&replica.status());
        replica.shutdown().await.unwrap();
    }
    println!("garbage in the handshake: {counts:?}");
    assert!(counts.failures as usize >= counts.tries / 2, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_are_found_out() {
    let (primary, proxy) = small(Server::R7_0, &[]);
    let mut real = primary.client();
    let replica = start(builder(&proxy)).await;
    for n in 0..times(2) {
        // The next connection goes silent some way into the stream; the present one is cut.
        proxy.plan_once(Plan::back(120 + n as u64 * 31, Fault::Stall));
        proxy.cut();
        let before = replica.status().failures.of(FailureKind::Silent);
        random_writes(&mut real, n as u64, 100);
        until(&replica, "the silence", |status| status.failures.of(FailureKind::Silent) > before).await;
        equal(&primary, &replica).await;
    }
    let status = replica.status();
    assert_eq!(status.full_syncs, 1, "{status:?}");
    replica.shutdown().await.unwrap();

    // Silence in the handshake, and within the dump.
    for at in [30, 400] {
        proxy.plan_once(Plan::back(at, Fault::Stall));
        let replica = builder(&proxy).start().await.unwrap();
        until(&replica, "the silence", |status| status.failures.of(FailureKind::Silent) > 0).await;
        ready(&replica).await;
        equal(&primary, &replica).await;
        replica.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_line_is_no_fault() {
    let (primary, proxy) = small(Server::R7_0, &[]);
    // A byte at a time; then in small pieces with pauses, twice to the primary.
    let dribble = Course { chunk: 1, ..Course::default() };
    let slow = Course { chunk: 512, pause: Duration::from_millis(3), ..Course::default() };
    for plan in [
        Plan { back: dribble.clone(), forth: dribble, twice: false },
        Plan { back: slow.clone(), forth: slow, twice: true },
    ] {
        proxy.plan_once(plan);
        let replica = start(builder(&proxy)).await;
        random_writes(&mut primary.client(), 5, 100);
        equal(&primary, &replica).await;
        let status = replica.status();
        assert_eq!((status.full_syncs, status.failures.total()), (1, 0), "{status:?}");
        replica.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_primary_at_the_same_address_is_synced_in_full() {
    let (primary, proxy) = small(Server::R7_0, &[]);
    let (other, _) = small(Server::V9_1, &[]);
    random_writes(&mut other.client(), 9, 300);
    let replica = start(builder(&proxy)).await;
    equal(&primary, &replica).await;
    proxy.retarget(other.addr().parse().unwrap());
    proxy.cut();
    until(&replica, "the other's dump", |status| status.full_syncs == 2 && status.is_connected()).await;
    equal(&other, &replica).await;
    assert_eq!(replica.status().full_syncs, 2);
    replica.shutdown().await.unwrap();
}
