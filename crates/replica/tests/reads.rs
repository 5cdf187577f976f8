//! Typed reads of a replica that follows a primary of our own, through real sockets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use replica::{Error, Kind, Replica, Scan, Standalone, StreamId, Ttl};

async fn pair(commands: &[&[&str]]) -> (Standalone, Replica) {
    let primary = Standalone::start("127.0.0.1:0").await.unwrap();
    for command in commands {
        primary.command(command).unwrap();
    }
    let replica = Replica::builder().master(primary.url()).start().await.unwrap();
    tokio::time::timeout(Duration::from_secs(30), replica.ready()).await.unwrap().unwrap();
    (primary, replica)
}

async fn caught_up(primary: &Standalone, replica: &Replica) {
    let end = primary.engine().position().unwrap().offset.0;
    replica.wait_for_offset(end, Duration::from_secs(30)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_read_by_functions() {
    let (primary, replica) = pair(&[
        &["SET", "s", "hello"],
        &["RPUSH", "l", "a", "b", "c"],
        &["SADD", "set", "x", "y"],
        &["ZADD", "z", "1", "one", "2", "two", "3", "three"],
        &["HSET", "h", "f", "v", "g", "w"],
        &["XADD", "x", "5-1", "n", "1"],
        &["XADD", "x", "5-2", "n", "2"],
        &["SET", "short", "lived", "EX", "1000"],
    ])
    .await;
    let db = replica.db(0);
    assert_eq!(db.get("s").unwrap().unwrap(), b"hello");
    assert_eq!(db.with("s", |bytes| bytes.map(<[u8]>::len)), Some(5));
    assert_eq!(db.list("l").unwrap().unwrap().range(-2, -1), [b"b", b"c"]);
    assert_eq!(db.list("l").unwrap().unwrap().index(-3), Some(b"a".to_vec()));
    assert!(db.set("set").unwrap().unwrap().contains("x"));
    let z = db.zset("z").unwrap().unwrap();
    assert_eq!((z.rank("two"), z.score("three")), (Some(1), Some(3.0)));
    assert_eq!(z.range_by_score(1.5, 9.0).len(), 2);
    assert_eq!(db.hash("h").unwrap().unwrap().get("g"), Some(b"w".to_vec()));
    let entries =
        db.stream("x").unwrap().unwrap().range(StreamId { ms: 5, seq: 2 }, StreamId { ms: 9, seq: 0 });
    assert_eq!(entries, [(StreamId { ms: 5, seq: 2 }, vec![(b"n".to_vec(), b"2".to_vec())])]);
    assert!(matches!(db.ttl("short"), Ttl::ExpiresIn(left) if left > Duration::from_secs(900)));
    assert_eq!((db.ttl("s"), db.ttl("nothing")), (Ttl::Persistent, Ttl::Missing));
    assert!(matches!(db.get("l"), Err(Error::WrongKind { wanted: Kind::String, found: Kind::List })));
    let mut keys: Vec<Vec<u8>> = db.scan(Scan::all().matching("s*")).collect();
    keys.sort();
    assert_eq!(keys, [&b"s"[..], b"set", b"short"]);
    assert_eq!(db.scan(Scan::all().kind(Kind::Hash)).count(), 1);
    assert_eq!((db.len(), replica.db(1).len()), (7, 0));
    replica.shutdown().await.unwrap();
    primary.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_follow_and_a_blob_keeps_what_it_was() {
    let (primary, replica) = pair(&[&["SET", "k", "before"]]).await;
    let held = replica.db(0).get("k").unwrap().unwrap();
    primary.command(&["SET", "k", "after"]).unwrap();
    primary.command_in(3, &["INCRBYFLOAT", "n", "10.5"]).unwrap();
    primary.command_in(3, &["SADD", "s", "a", "b", "c"]).unwrap();
    primary.command_in(3, &["SPOP", "s", "2"]).unwrap();
    caught_up(&primary, &replica).await;
    assert_eq!(held, b"before");
    assert_eq!(replica.db(0).get("k").unwrap().unwrap(), b"after");
    assert_eq!(replica.db(3).get("n").unwrap().unwrap(), b"10.5");
    assert_eq!(
        replica.db(3).set("s").unwrap().unwrap().to_vec(),
        primary.db(3).set("s").unwrap().unwrap().to_vec()
    );
    assert_eq!((replica.status().diverged, replica.status().full_syncs), (0, 1));
    replica.shutdown().await.unwrap();
}
