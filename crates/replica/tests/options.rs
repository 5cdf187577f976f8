//! Options of the builder, each by what it does.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use replica::{
    Connector, Credentials, Error, ErrorPhase, Event, EventFilter, Recorder, Replica, UnknownTypes,
};
use testkit::{Client, Server};

mod support;
use store::ShardSet;
use support::{PATIENCE, assert_equal, builder, caught_up, client_of, start, until};

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_asked_for_before_each_connection() {
    let primary = Server::R7_0.builder().config("requirepass", "first").start();
    let mut real = Client::connect(primary.addr()).unwrap();
    real.line("AUTH first").ok();
    real.line("SET k 1").ok();
    let secret = Arc::new(Mutex::new("first".to_owned()));
    let asked = Arc::new(AtomicUsize::new(0));
    let credentials = Credentials::provider({
        let (secret, asked) = (Arc::clone(&secret), Arc::clone(&asked));
        move || {
            asked.fetch_add(1, Ordering::Relaxed);
            Credentials::user("default", secret.lock().unwrap().clone())
        }
    });
    let replica = start(builder(format!("redis://:wrong@{}", primary.addr())).credentials(credentials)).await;
    assert!(asked.load(Ordering::Relaxed) >= 1);
    // The secret changes: the next connection has the new one.
    real.line("CONFIG SET requirepass second").ok();
    *secret.lock().unwrap() = "second".to_owned();
    let before = replica.status().partial_syncs;
    real.line("CLIENT KILL TYPE replica").ok();
    until(&replica, "the stream again", |status| status.partial_syncs > before && status.is_connected())
        .await;
    replica.shutdown().await.unwrap();
    // A wrong one is an error, not a wait; and it is told what was being done.
    let wrong = builder(primary.url()).credentials(Credentials::password("none")).start().await.unwrap();
    let error = tokio::time::timeout(PATIENCE, wrong.ready()).await.unwrap().unwrap_err();
    assert!(!error.is_retryable() && error.phase() == ErrorPhase::Handshake, "{error:?}");
    assert!(!format!("{:?}", Credentials::user("ann", "s3cret")).contains("s3cret"));
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transport_is_the_callers_if_he_wants() {
    let primary = Server::V8_1.start();
    let mut real = primary.client();
    real.line("SET k v").ok();
    let (address, used) = (primary.addr(), Arc::new(AtomicUsize::new(0)));
    let connector = Connector::new({
        let used = Arc::clone(&used);
        move |host, port| {
            let address = address.clone();
            used.fetch_add(1, Ordering::Relaxed);
            async move {
                assert_eq!((host.as_str(), port), ("no.such.host", 1));
                let mut socket = tokio::net::TcpStream::connect(address).await?;
                // No socket that tokio knows, but bytes both ways.
                let (near, mut far) = tokio::io::duplex(4096);
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut far, &mut socket).await });
                Ok(near)
            }
        }
    });
    let replica = start(builder("no.such.host:1").connector(connector)).await;
    assert_eq!(replica.db(0).get("k").unwrap().unwrap(), b"v");
    real.line("SET k w").ok();
    caught_up(&mut real, &replica).await;
    assert_eq!(replica.db(0).get("k").unwrap().unwrap(), b"w");
    assert!(used.load(Ordering::Relaxed) >= 1);
    replica.shutdown().await.unwrap();
}

#[derive(Default)]
struct Counts {
    syncs: AtomicU64,
    commands: Mutex<Vec<String>>,
    bytes: AtomicU64,
    keys: AtomicU64,
    memory: AtomicU64,
    reconnections: AtomicU64,
    errors: Mutex<Vec<String>>,
}

struct Counting(Arc<Counts>);

impl Recorder for Counting {
    fn record_sync_duration(&self, _: Duration) {
        self.0.syncs.fetch_add(1, Ordering::Relaxed);
    }
    fn record_command_processed(&self, command: &str, _: Duration) {
        self.0.commands.lock().unwrap().push(command.to_owned());
    }
    fn record_network_bytes(&self, bytes: u64) {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
    fn record_key_count(&self, keys: u64) {
        self.0.keys.store(keys, Ordering::Relaxed);
    }
    fn record_memory_usage(&self, bytes: u64) {
        self.0.memory.store(bytes, Ordering::Relaxed);
    }
    fn record_reconnection(&self) {
        self.0.reconnections.fetch_add(1, Ordering::Relaxed);
    }
    fn record_error(&self, kind: &str) {
        self.0.errors.lock().unwrap().push(kind.to_owned());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorder_hears_of_everything() {
    let primary = Server::R7_0.start();
    let mut real = primary.client();
    real.line("SET k 1").ok();
    let counts = Arc::<Counts>::default();
    let replica = start(builder(primary.url()).metrics(Counting(Arc::clone(&counts))).name("counted")).await;
    assert_eq!(replica.name(), Some("counted"));
    assert!(real.line("CLIENT LIST TYPE replica").text().contains("name=counted"));
    let synced = Arc::new(AtomicUsize::new(0));
    let ready = replica.on_ready({
        let synced = Arc::clone(&synced);
        move |outcome| {
            outcome.unwrap();
            synced.fetch_add(1, Ordering::Relaxed);
        }
    });
    ready.await.unwrap();
    assert_eq!(synced.load(Ordering::Relaxed), 1);
    real.line("SET k 2").ok();
    real.line("CLIENT KILL TYPE replica").ok();
    until(&replica, "the stream again", |status| status.partial_syncs == 1 && status.is_connected()).await;
    real.line("LPUSH l x").ok();
    caught_up(&mut real, &replica).await;
    assert_eq!(*counts.commands.lock().unwrap(), ["set", "lpush"]);
    let told = async {
        loop {
            let seen = [&counts.syncs, &counts.bytes, &counts.keys, &counts.memory, &counts.reconnections];
            let seen = seen.map(|count| count.load(Ordering::Relaxed));
            if seen.iter().all(|count| *count > 0)
                && seen[2] == 2
                && *counts.errors.lock().unwrap() == ["lost"]
            {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    let status = replica.status();
    assert!(status.last_sync >= status.sync_began && status.connected_at > status.disconnected_at);
    assert_eq!((status.keys, status.full_syncs, status.partial_syncs, status.reconnects), (2, 1, 1, 1));
    assert!(status.bytes_received > 0 && status.memory > 0 && status.commands_applied >= 2);
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_begin_where_they_are_told_and_may_read_before_the_first_sync() {
    let loading = builder("127.0.0.1:1").serve_while_loading(true).default_database(5).start().await.unwrap();
    let mut client = client_of(&loading);
    tokio::task::block_in_place(|| {
        assert_eq!(client.line("GET k").ok(), testkit::Reply::Null);
        assert!(client.line("CLIENT LIST").text().contains(" db=5 "));
        client.line("RESET").ok();
        assert!(client.line("CLIENT LIST").text().contains(" db=5 "));
    });
    let waiting = builder("127.0.0.1:1").start().await.unwrap();
    let mut client = client_of(&waiting);
    tokio::task::block_in_place(|| {
        assert_eq!(client.line("GET k").error(), "LOADING Redis is loading the dataset in memory");
    });
    let silent = builder("127.0.0.1:1").server(false).start().await.unwrap();
    assert_eq!(silent.local_addr(), None);
    for shards in [0, 257, usize::MAX] {
        let error = builder("127.0.0.1:1").shards(shards).start().await.unwrap_err();
        assert!(matches!(error, Error::Config(_)) && error.phase() == ErrorPhase::Configure);
    }
}

/// The same data in few shards and in many; and few are what they say.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_has_as_many_shards_as_one_asks_for() {
    let primary = Server::V8_1.builder().config("enable-debug-command", "yes").start();
    let mut real = primary.client();
    real.line("DEBUG POPULATE 3000 key 20").ok();
    for (asked, given) in [(1, 1), (3, 4), (64, 64), (256, 256)] {
        let replica = start(builder(primary.url()).shards(asked)).await;
        real.line("SADD set a b c").ok();
        real.line("EXPIRE key:7 1000").ok();
        real.line(&format!("DEL key:{asked}")).ok();
        caught_up(&mut real, &replica).await;
        assert_equal(&mut real, &mut client_of(&replica));
        let keyspace = replica.store().keyspace().clone();
        assert_eq!(keyspace.shards(), given);
        let sets: std::collections::HashSet<String> = (0..10_000)
            .map(|n| {
                let mut set = ShardSet::none();
                set.add(&keyspace, 0, format!("key:{n}").as_bytes());
                format!("{set:?}")
            })
            .collect();
        assert_eq!(sets.len(), given, "locks for so many keys");
        assert_eq!(replica.db(0).scan(replica::Scan::all()).count(), replica.db(0).len());
        replica.shutdown().await.unwrap();
    }
}

/// A data set of nothing but what comes behind a position.
#[tokio::test(flavor = "multi_thread")]
async fn one_can_go_on_from_a_position_without_its_data() {
    let primary = Server::R7_0.start();
    let mut real = primary.client();
    real.line("SET before 1").ok();
    let first = start(builder(primary.url())).await;
    real.line("SELECT 2").ok();
    real.line("SET before 1").ok();
    caught_up(&mut real, &first).await;
    let status = until(&first, "a database", |status| status.stream_db == Some(2)).await;
    let (position, database) = (status.position.unwrap(), status.stream_db.unwrap());
    first.shutdown().await.unwrap();
    drop(first);
    real.line("SET behind 1").ok();
    let second = builder(primary.url()).resume(position, database).keep_events(1000).start().await.unwrap();
    tokio::time::timeout(PATIENCE, second.ready()).await.unwrap().unwrap();
    caught_up(&mut real, &second).await;
    assert_eq!((second.status().full_syncs, second.status().partial_syncs), (0, 1));
    assert!(
        second.db(2).exists("behind") && !second.db(2).exists("before") && !second.db(0).exists("before")
    );
    let mut events = second.events(EventFilter::new().since(position));
    let change = loop {
        match events.next().await.unwrap() {
            Event::Change(change) => break change,
            Event::LinkUp { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((change.db, &change.key[..]), (2, &b"behind"[..]));
    second.shutdown().await.unwrap();
}

/// `redis-8.2` has no module type at hand, so a dump is made by hand: a value of type 7 with an unsigned and no more.
#[tokio::test(flavor = "multi_thread")]
async fn values_of_modules_are_kept_left_out_or_refused() {
    let dump = {
        let mut dump = b"REDIS0011\xfa\x09redis-ver\x057.0.0\xfe\x00\x00\x01k\x01v".to_vec();
        dump.extend(b"\x07\x01m\x81");
        dump.extend(&module_id("test-type", 0).to_be_bytes());
        dump.extend(b"\x02\x05\x00\xff");
        dump.extend([0; 8]);
        dump
    };
    let serve = || {
        let engine = server::Engine::new(server::Role::Primary, server::Options::default());
        let mut loader = store::Loader::new(engine.keyspace());
        let mut decoder = rdb::Decoder::new(rdb::Options::default());
        decoder.feed(&dump, &mut loader).unwrap();
        engine.load(loader.finish());
        replica::Standalone::start_with(engine, "127.0.0.1:0")
    };
    let primary = serve().await.unwrap();
    let kept = start(builder(primary.url())).await;
    assert_eq!((kept.db(0).len(), kept.db(0).kind("m")), (2, Some(replica::Kind::Module)));
    let skipped = start(builder(primary.url()).unknown_types(UnknownTypes::Skip)).await;
    assert_eq!((skipped.db(0).len(), skipped.db(0).kind("m")), (1, None));
    let refused = builder(primary.url()).unknown_types(UnknownTypes::Refuse).start().await.unwrap();
    let error = tokio::time::timeout(PATIENCE, refused.ready()).await.unwrap().unwrap_err();
    assert!(error.phase() == ErrorPhase::FullSync && !error.is_retryable(), "{error}");
    assert!(error.to_string().contains("a value that only a module understands"), "{error}");
}

/// Nine letters of six bits each, and a version.
fn module_id(name: &str, version: u64) -> u64 {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = |letter| LETTERS.iter().position(|other| *other == letter).unwrap() as u64;
    name.bytes().fold(0, |id, letter| id << 6 | place(letter)) << 10 | version
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_the_log_come_to_a_function() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let settings = Replica::builder().master("127.0.0.1:1").on_log({
        let lines = Arc::clone(&lines);
        move |line| lines.lock().unwrap().push(line.to_string())
    });
    let replica = settings.start().await.unwrap();
    until(&replica, "a failure", |status| status.failures.total() > 0).await;
    let lines = lines.lock().unwrap();
    assert!(lines.iter().any(|line| line.contains("link down") && line.contains("127.0.0.1:1")), "{lines:?}");
}
