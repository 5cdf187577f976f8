//! Warm restarts: a replica goes on where it was, or says why not and asks for everything.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use replica::{Builder, Filter, Replica, WarmStart};
use server::{Engine, Options, Role};
use testkit::{Server, TempDir, fill_every_type, free_port, random_writes, wait_until_caught_up};

mod support;
use support::{assert_equal, builder, caught_up, client_of, info, start, until};

/// Saves at the end and on demand only.
fn keeping(url: impl Into<String>, file: &Path) -> Builder {
    builder(url).persist(file).persist_every(None)
}

fn syncs(client: &mut testkit::Client) -> (u32, u32) {
    let count = |client: &mut _, name| info(client, "stats", name).parse().unwrap();
    (count(client, "sync_full"), count(client, "sync_partial_ok"))
}

async fn goes_on(server: Server) {
    let dir = TempDir::new(&format!("goes-on-{server:?}"));
    let primary = server.start_with(&["--repl-backlog-size", "64mb"]);
    let mut real = primary.client();
    fill_every_type(&mut real, 1, 800);
    random_writes(&mut real, 1, 800);
    let first = start(keeping(primary.url(), &dir.file("copy.rdb"))).await;
    assert_eq!(first.status().warm_start, WarmStart::None);
    // The stream has another database selected than the first.
    real.line("SELECT 3").ok();
    real.line("SET where three").ok();
    caught_up(&mut real, &first).await;
    let position = first.position().unwrap();
    first.shutdown().await.unwrap();
    // What comes meanwhile does not select a database anew.
    real.call(&["SET", "where", "still three"]).ok();
    real.line("SELECT 0").ok();
    random_writes(&mut real, 2, 800);

    // Nobody is there yet: the copy is served as it was, and says that it is stale.
    let second = start(keeping(format!("redis://127.0.0.1:{}", free_port()), &dir.file("copy.rdb"))).await;
    let status = second.status();
    assert!(status.synced() && status.is_stale(), "{status:?}");
    assert!(matches!(status.warm_start, WarmStart::Restored { position: saved, .. } if saved == position));
    assert_eq!(second.db(3).get("where").unwrap().unwrap(), b"three");
    let mut ours = client_of(&second);
    assert_eq!(info(&mut ours, "replication", "replica_warm_start"), "restored");
    assert_eq!(info(&mut ours, "replication", "replica_stale"), "1");
    assert_eq!(info(&mut ours, "replication", "master_link_status"), "down");
    ours.line("CONFIG SET replica-serve-stale-data no").ok();
    assert!(ours.line("GET where").error().starts_with("MASTERDOWN "));
    ours.line("CONFIG SET replica-serve-stale-data yes").ok();

    let before = syncs(&mut real);
    second.follow(&primary.url()).unwrap();
    caught_up(&mut real, &second).await;
    assert_eq!(syncs(&mut real), (before.0, before.1 + 1), "a partial resync and no dump");
    assert_eq!(second.status().full_syncs, 0);
    assert!(!second.status().is_stale());
    assert_equal(&mut real, &mut ours);
    random_writes(&mut real, 3, 300);
    caught_up(&mut real, &second).await;
    assert_equal(&mut real, &mut ours);
    second.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_of_redis_7_0_goes_on_where_it_was() {
    goes_on(Server::R7_0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_of_redis_8_2_goes_on_where_it_was() {
    goes_on(Server::R8_2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_of_valkey_9_1_goes_on_where_it_was() {
    goes_on(Server::V9_1).await;
}

/// A small file, with a position.
fn small(dir: &TempDir) -> Vec<u8> {
    let mut options = Options::default();
    options.dir = Some(dir.path().to_owned());
    let engine = Engine::new(Role::Primary, options);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for command in [&["SET", "key", "value"][..], &["RPUSH", "list", "a", "b"], &["HSET", "hash", "f", "v"]] {
        let parts: Vec<&[u8]> = command.iter().map(|word| word.as_bytes()).collect();
        engine.execute(0, store::Args::new(&parts), &mut store::Discard).unwrap();
    }
    runtime.block_on(engine.save()).unwrap();
    fs::read(dir.file("dump.rdb")).unwrap()
}

fn follower(file: &Path, filter: &str) -> Arc<Engine> {
    let mut options = Options::default();
    options.dir = file.parent().map(Path::to_owned);
    options.dbfilename = file.file_name().unwrap().to_str().unwrap().to_owned();
    options.persist = true;
    options.filter = filter.parse().unwrap();
    Engine::new(Role::Replica { host: "127.0.0.1".to_owned(), port: 1 }, options)
}

/// Why a file is refused; nothing of it is there then.
fn refused(engine: &Arc<Engine>, file: &Path, bytes: &[u8]) -> String {
    fs::write(file, bytes).unwrap();
    assert_eq!(engine.restore(), None);
    assert!(!engine.is_loaded() && engine.position().is_none());
    assert_eq!(engine.keyspace().counts().keys, 0);
    match engine.warm_start() {
        WarmStart::Refused(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_truncation_and_every_flipped_bit_is_refused() {
    let dir = TempDir::new("damage");
    let good = small(&dir);
    let engine = follower(&dir.file("copy.rdb"), "");
    for length in 0..good.len() {
        refused(&engine, &dir.file("copy.rdb"), &good[..length]);
    }
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let reason = refused(&engine, &dir.file("copy.rdb"), &bad);
        assert!(reason.contains("copy.rdb"), "{reason}");
    }
    println!("{} truncations and {} flipped bits refused", good.len(), good.len() * 8);
    let longer = [&good[..], b"x"].concat();
    assert!(refused(&engine, &dir.file("copy.rdb"), &longer).ends_with("there are bytes behind the dump"));
    fs::write(dir.file("copy.rdb"), &good).unwrap();
    assert!(engine.restore().is_some());
    assert_eq!(engine.keyspace().counts().keys, 3);
}

/// A dump with these fields and nothing else.
fn dump_with(fields: &[(&str, &str)], options: rdb::EncodeOptions) -> Vec<u8> {
    let mut dump = rdb::Encoder::new(rdb::Version::REDIS_10, options).unwrap();
    fields.iter().for_each(|(name, value)| dump.aux(name.as_bytes(), value.as_bytes()));
    dump.finish()
}

#[test]
fn a_file_from_which_nobody_can_go_on_is_refused_with_the_reason() {
    let dir = TempDir::new("foreign");
    let (id, place) = ("0123456789012345678901234567890123456789", ("repl-offset", "77"));
    let good = [("repl-id", id), place];
    let (whole, part) = (follower(&dir.file("copy.rdb"), ""), follower(&dir.file("copy.rdb"), "prefix=a:"));
    let why = |engine: &Arc<Engine>, fields: &[(&str, &str)]| {
        refused(engine, &dir.file("copy.rdb"), &dump_with(fields, rdb::EncodeOptions::default()))
    };
    let plus = |field| [good[0], good[1], field];
    for (reason, expected) in [
        (why(&whole, &[]), "it does not say where it stands"),
        (why(&whole, &[("repl-id", id)]), "it does not say where it stands"),
        (why(&whole, &[("repl-id", "short"), place]), "its field repl-id makes no sense"),
        (why(&whole, &[good[0], ("repl-offset", "-1")]), "its field repl-offset makes no sense"),
        (why(&whole, &plus(("replica-format", "2"))), "its format is 2, that of this version is 1"),
        (
            why(&whole, &plus(("replica-filter", "prefix=b:"))),
            "it keeps prefix=b:, and this replica everything",
        ),
        (
            why(&part, &plus(("replica-filter", "prefix=b:"))),
            "it keeps prefix=b:, and this replica prefix=a:",
        ),
        (why(&part, &good), "it keeps everything, and this replica prefix=a:"),
        (why(&whole, &plus(("replica-diverged", "3"))), "3 commands could not be applied to this copy"),
        (why(&whole, &plus(("replica-previous", "x"))), "its field replica-previous makes no sense"),
        (
            refused(
                &whole,
                &dir.file("copy.rdb"),
                &dump_with(&good, rdb::EncodeOptions::default().without_checksum()),
            ),
            "the dump has no checksum, so that nobody can say whether it is whole",
        ),
        (refused(&whole, &dir.file("copy.rdb"), b"GIF89a, not a dump at all"), "byte"),
    ] {
        assert!(reason.contains(expected), "{reason}\nexpected: {expected}");
    }
    fs::write(dir.file("copy.rdb"), dump_with(&good, rdb::EncodeOptions::default())).unwrap();
    let (position, db) = whole.restore().unwrap();
    assert_eq!((position.to_string(), db), (format!("{id}:77"), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_refusal_comes_a_full_sync_and_the_next_file_is_good() {
    let dir = TempDir::new("refusal");
    let primary = Server::V8_1.start();
    let mut real = primary.client();
    fill_every_type(&mut real, 4, 500);
    let first = start(keeping(primary.url(), &dir.file("copy.rdb"))).await;
    first.save().await.unwrap();
    first.shutdown().await.unwrap();
    let mut bytes = fs::read(dir.file("copy.rdb")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(dir.file("copy.rdb"), bytes).unwrap();
    let second = start(keeping(primary.url(), &dir.file("copy.rdb"))).await;
    assert!(matches!(second.status().warm_start, WarmStart::Refused(_)));
    assert_eq!(info(&mut client_of(&second), "replication", "replica_warm_start"), "refused");
    caught_up(&mut real, &second).await;
    assert_eq!(second.status().full_syncs, 1);
    assert_equal(&mut real, &mut client_of(&second));
    second.shutdown().await.unwrap();
    let third = start(keeping(primary.url(), &dir.file("copy.rdb"))).await;
    caught_up(&mut real, &third).await;
    assert_eq!(third.status().full_syncs, 0);
    assert_equal(&mut real, &mut client_of(&third));
    third.shutdown().await.unwrap();
}

/// The primary's backlog does not reach back so far, or the primary is another: everything anew.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_continued_is_replaced() {
    let dir = TempDir::new("replaced");
    let primary = Server::R7_0.start_with(&["--repl-backlog-size", "16kb"]);
    let mut real = primary.client();
    real.line("SET only here").ok();
    let first = start(keeping(primary.url(), &dir.file("copy.rdb"))).await;
    caught_up(&mut real, &first).await;
    first.shutdown().await.unwrap();
    real.call(&["SET", "large", &"x".repeat(100_000)]).ok();
    assert_eq!(real.line("DEL only").int(), 1);
    real.line("SET small 1").ok();
    let second = start(keeping(primary.url(), &dir.file("copy.rdb"))).await;
    caught_up(&mut real, &second).await;
    assert_eq!(second.status().full_syncs, 1);
    assert_equal(&mut real, &mut client_of(&second));
    second.shutdown().await.unwrap();
    let other = Server::R8_2.start();
    let mut real = other.client();
    fill_every_type(&mut real, 2, 300);
    let third = start(keeping(other.url(), &dir.file("copy.rdb"))).await;
    // A server that nobody has followed names its history only now.
    until(&third, "a full sync", |status| status.full_syncs == 1).await;
    caught_up(&mut real, &third).await;
    assert_eq!(third.status().full_syncs, 1);
    assert_equal(&mut real, &mut client_of(&third));
    third.shutdown().await.unwrap();
}

/// One format for all: a real replica goes on from our file, and we go on from its, and from the primary's own.
#[tokio::test(flavor = "multi_thread")]
async fn real_replicas_and_ours_go_on_from_each_others_files() {
    for server in [Server::R7_0, Server::R8_2, Server::V9_1] {
        let dir = TempDir::new(&format!("exchange-{server:?}"));
        let primary = server.start_with(&["--repl-backlog-size", "64mb"]);
        let mut real = primary.client();
        fill_every_type(&mut real, 5, 500);
        let ours = start(keeping(primary.url(), &dir.file("copy.rdb"))).await;
        random_writes(&mut real, 5, 300);
        caught_up(&mut real, &ours).await;
        ours.shutdown().await.unwrap();
        random_writes(&mut real, 6, 300);
        let before = syncs(&mut real);
        let theirs = server
            .builder()
            .dump(&fs::read(dir.file("copy.rdb")).unwrap())
            .args(&["--replicaof", "127.0.0.1", &primary.port().to_string()])
            .start();
        let mut end = theirs.client();
        wait_until_caught_up(&mut real, &mut end);
        assert_eq!(syncs(&mut real), (before.0, before.1 + 1), "{server:?}: theirs from our file");
        assert_equal(&mut real, &mut end);
        for (whose, saver) in [("theirs", &mut end), ("the primary's", &mut primary.client())] {
            saver.line("SAVE").ok();
            let place = if whose == "theirs" { theirs.dir() } else { primary.dir() };
            fs::copy(place.join("dump.rdb"), dir.file("copy.rdb")).unwrap();
            random_writes(&mut real, 7, 300);
            let before = syncs(&mut real);
            let ours = start(keeping(primary.url(), &dir.file("copy.rdb"))).await;
            caught_up(&mut real, &ours).await;
            assert_eq!(syncs(&mut real), (before.0, before.1 + 1), "{server:?}: ours from {whose} file");
            assert_equal(&mut real, &mut client_of(&ours));
            ours.shutdown().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_part_remembers_what_is_lost() {
    let dir = TempDir::new("part");
    let filter: Filter = "prefix=a:".parse().unwrap();
    let primary = Server::R8_2.start();
    let mut real = primary.client();
    real.line("MSET a:1 one b:1 two").ok();
    let first = start(keeping(primary.url(), &dir.file("copy.rdb")).filter(filter.clone())).await;
    real.line("RENAME b:1 a:2").ok();
    caught_up(&mut real, &first).await;
    assert_eq!(first.engine().lost_keys(), [(0, b"a:2".to_vec())]);
    first.shutdown().await.unwrap();
    // From a lost key nothing can be made.
    assert_eq!(real.line("APPEND a:2 x").int(), 4);
    real.line("SET a:3 x").ok();
    let second = start(keeping(primary.url(), &dir.file("copy.rdb")).filter(filter)).await;
    caught_up(&mut real, &second).await;
    assert_eq!(second.status().full_syncs, 0);
    assert_eq!(second.engine().lost_keys(), [(0, b"a:2".to_vec())]);
    assert!(second.db(0).get("a:2").unwrap().is_none() && second.db(0).get("a:3").unwrap().is_some());
    second.shutdown().await.unwrap();
    // Without the filter the copy is no beginning.
    let third = start(keeping(primary.url(), &dir.file("copy.rdb"))).await;
    caught_up(&mut real, &third).await;
    assert_eq!(third.status().full_syncs, 1);
    assert_equal(&mut real, &mut client_of(&third));
    third.shutdown().await.unwrap();
}

/// The one in the middle of a chain is restarted: those behind it continue if they stand where it can continue
/// them, and are equal in the end either way. The second id is kept, too.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_of_a_replica_are_right_after_its_restart() {
    let dir = TempDir::new("chain");
    let top = Server::V9_1.start();
    fill_every_type(&mut top.client(), 9, 300);
    let primary = top.start_replica();
    let mut real = primary.client();
    real.line("CONFIG SET repl-backlog-size 64mb").ok();
    let port = free_port();
    let middle = || keeping(primary.url(), &dir.file("copy.rdb")).listen(format!("127.0.0.1:{port}"));
    let first = start(middle()).await;
    let behind = tokio::task::block_in_place(|| {
        Server::V9_1.start_with(&["--replicaof", "127.0.0.1", &port.to_string()])
    });
    let mut end = behind.client();
    tokio::task::block_in_place(|| wait_until_caught_up(&mut real, &mut end));
    let old = info(&mut real, "replication", "master_replid");
    // It is promoted: the history goes on under another id, the old one is the second.
    real.line("REPLICAOF NO ONE").ok();
    until(&first, "a partial resync", |status| status.partial_syncs == 1 && status.is_connected()).await;
    caught_up(&mut real, &first).await;
    assert_eq!(info(&mut client_of(&first), "replication", "master_replid2"), old);
    for round in 0..4 {
        let current = if round == 0 { first.clone() } else { start(middle()).await };
        caught_up(&mut real, &current).await;
        assert_eq!(current.status().full_syncs, u64::from(round == 0));
        assert_eq!(info(&mut client_of(&current), "replication", "master_replid2"), old);
        random_writes(&mut real, round, 200);
        if round == 2 {
            // Saved behind what those behind it hold: as after a crash.
            current.save().await.unwrap();
            let saved = fs::read(dir.file("copy.rdb")).unwrap();
            random_writes(&mut real, 100, 200);
            tokio::task::block_in_place(|| wait_until_caught_up(&mut real, &mut end));
            current.shutdown().await.unwrap();
            fs::write(dir.file("copy.rdb"), saved).unwrap();
            continue;
        }
        tokio::task::block_in_place(|| wait_until_caught_up(&mut real, &mut end));
        assert_equal(&mut real, &mut end);
        current.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_interval_saves_and_what_cannot_be_saved_is_told() {
    let dir = TempDir::new("interval");
    let primary = Server::R7_0.start();
    let mut real = primary.client();
    real.line("SET k v").ok();
    let replica: Replica = start(
        builder(primary.url()).persist(dir.file("copy.rdb")).persist_every(Some(std::time::Duration::ZERO)),
    )
    .await;
    caught_up(&mut real, &replica).await;
    let saves = |replica: &Replica| info(&mut client_of(replica), "persistence", "rdb_saves");
    while saves(&replica) == "0" {
        tokio::task::yield_now().await;
    }
    assert!(dir.file("copy.rdb").exists());
    fs::remove_file(dir.file("copy.rdb")).unwrap();
    fs::create_dir(dir.file("copy.rdb")).unwrap();
    real.line("SET k w").ok();
    assert!(matches!(replica.save().await, Err(replica::Error::Save(_))));
    assert!(matches!(replica.shutdown().await, Err(replica::Error::Save(_))));
    until(&replica, "the end", |status| !status.is_connected()).await;
}

/// A filtered copy that cannot follow (half of a SWAPDB) is wrong until its full sync: saved in between, it is no
/// beginning.
#[test]
fn a_copy_that_waits_for_its_full_sync_is_no_beginning() {
    use replication::Target as _;

    let dir = TempDir::new("overtaken");
    let engine = follower(&dir.file("copy.rdb"), "db=0");
    let fields = [
        ("repl-id", "0123456789012345678901234567890123456789"),
        ("repl-offset", "77"),
        ("replica-filter", "db=0"),
    ];
    fs::write(dir.file("copy.rdb"), dump_with(&fields, rdb::EncodeOptions::default())).unwrap();
    let (position, _) = engine.restore().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(engine.save()).unwrap();
    assert!(follower(&dir.file("copy.rdb"), "db=0").restore().is_some());

    let mut link = replication::Link::new(replication::LinkOptions::default());
    let mut target = server::EngineTarget::new(Arc::clone(&engine));
    link.resume(position, 0);
    let now = std::time::Duration::ZERO;
    link.handle_connected(now);
    for answer in ["+PONG\r\n", "+OK\r\n+OK\r\n+OK\r\n", "+CONTINUE\r\n"] {
        link.handle_bytes(now, answer.as_bytes(), &mut target).unwrap();
    }
    let _ = link.handle_bytes(now, b"*3\r\n$6\r\nSWAPDB\r\n$1\r\n0\r\n$1\r\n1\r\n", &mut target);
    target.settled();
    runtime.block_on(engine.save()).unwrap();
    let next = follower(&dir.file("copy.rdb"), "db=0");
    assert_eq!(next.restore(), None);
    assert!(
        matches!(next.warm_start(), WarmStart::Refused(reason) if reason.contains("could not be applied"))
    );
}
