//! Typed reads of a replica that follows a primary of our own, through real sockets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::Bound;
use std::time::Duration;

use replica::{Error, Kind, Matching, Replica, Scan, Standalone, StreamId, Ttl};

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
    assert_eq!(z.range_by_score(1.5..=9.0).len(), 2);
    assert_eq!(db.hash("h").unwrap().unwrap().get("g"), Some(b"w".to_vec()));
    let entries =
        db.stream("x").unwrap().unwrap().range(StreamId { ms: 5, seq: 2 }..StreamId { ms: 9, seq: 0 });
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

#[tokio::test(flavor = "multi_thread")]
async fn ranges_and_conversions_read_as_the_commands_do() {
    let (_primary, replica) = pair(&[
        &["ZADD", "z", "1", "a", "2", "b", "2", "c", "3", "d"],
        &["HSET", "h", "f", "1", "g", "2"],
        &["RPUSH", "l", "x", "y", "z"],
        &["SET", "n", "42"],
        &["SET", "f", "1.5"],
        &["SET", "yes", "true"],
        &["XADD", "s", "1-1", "k", "v"],
        &["XADD", "s", "2-1", "k", "w"],
        &["XADD", "s", "3-1", "k", "x"],
        &["XGROUP", "CREATE", "s", "g", "1-1"],
        &["XREADGROUP", "GROUP", "g", "who", "COUNT", "1", "STREAMS", "s", ">"],
    ])
    .await;
    let db = replica.db(0);
    let names = |found: Vec<(Vec<u8>, f64)>| -> String {
        found.into_iter().map(|(member, _)| String::from_utf8(member).unwrap()).collect()
    };
    let z = db.zset("z").unwrap().unwrap();
    for (found, expected) in [
        (z.range_by_rank(..), "abcd"),
        (z.range_by_rank(1..=2), "bc"),
        (z.range_by_rank(2..99), "cd"),
        (z.range_by_rank(9..), ""),
        (z.rev_range_by_rank(..2), "dc"),
        (z.rev_range_by_rank(3..), "a"),
        (z.range_by_score(2.0..3.0), "bc"),
        (z.range_by_score(2.0..), "bcd"),
        (z.range_by_score((Bound::Excluded(1.0), Bound::Included(2.0))), "bc"),
        (z.rev_range_by_score(..=2.0), "cba"),
        (z.range_by_score(5.0..1.0), ""),
    ] {
        assert_eq!(names(found), expected);
    }
    assert_eq!((z.rank("d"), z.rev_rank("d"), z.rev_rank("none")), (Some(3), Some(0), None));
    assert_eq!((z.count_by_score(2.0..=2.0), z.iter().count()), (2, 4));
    let h = db.hash("h").unwrap().unwrap();
    assert!(h.contains("f") && !h.contains("x"));
    assert_eq!(h.get_many(["g", "x", "f"]), [Some(b"2".to_vec()), None, Some(b"1".to_vec())]);
    assert_eq!((h.field_ttl("f"), h.field_ttl("x")), (Ttl::Persistent, Ttl::Missing));
    assert_eq!(h.iter().count(), 2);
    assert_eq!(db.list("l").unwrap().unwrap().iter().collect::<Vec<_>>(), [b"x", b"y", b"z"]);
    let s = db.stream("s").unwrap().unwrap();
    let id = |ms| StreamId { ms, seq: 1 };
    assert_eq!((s.range(..).len(), s.range(id(2)..).len(), s.range(id(1)..id(3)).len()), (3, 2, 2));
    assert_eq!(s.rev_range(..=id(2))[0].0, id(2));
    assert_eq!((s.range((Bound::Excluded(id(1)), Bound::Unbounded)).len(), s.last_id()), (2, Some(id(3))));
    assert!(s.range(id(3)..id(1)).is_empty());
    let groups = s.groups();
    assert_eq!((&groups[0].name[..], groups[0].last_id, groups[0].pending), (&b"g"[..], id(2), 1));
    assert_eq!(groups[0].consumers, [("who".into(), 1)]);
    assert_eq!(db.get_as::<i32>("n").unwrap(), Some(42));
    assert_eq!(db.get_as::<f64>("f").unwrap(), Some(1.5));
    assert_eq!(db.get_as::<bool>("yes").unwrap(), Some(true));
    assert_eq!(db.get_as::<String>("none").unwrap(), None);
    assert!(matches!(db.get_as::<u8>("f"), Err(Error::Convert(_))));
    assert!(matches!(db.get_as::<u8>("l"), Err(Error::WrongKind { .. })));
    assert_eq!(db.exists_many(["n", "none", "n", "l"]), 3);
    for way in [Matching::Glob, Matching::Simple, Matching::Automaton] {
        assert_eq!(db.scan(Scan::all().matching("[a-l]").by(way)).count(), 3, "{way:?}");
    }
    let databases = replica.databases();
    assert_eq!((databases.len(), databases[0].index, databases[0].keys), (1, 0, 7));
    assert!(replica.store().memory() > 0);
    replica.shutdown().await.unwrap();
}

/// Writes of one transaction in two databases are seen together or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_view_nothing_is_half_seen() {
    let (primary, replica) = pair(&[]).await;
    let writer = tokio::task::spawn_blocking(move || {
        let mut client = testkit::Client::connect(primary.local_addr()).unwrap();
        for i in 0..3000 {
            client.pipeline(&[
                vec!["MULTI"],
                vec!["SET", "a", &format!("{i}")],
                vec!["SELECT", "1"],
                vec!["SET", "b", &format!("{i}")],
                vec!["SELECT", "0"],
                vec!["RPUSH", "l", "x"],
                vec!["EXEC"],
            ]);
        }
        primary
    });
    let (mut seen, mut last) = (0, None);
    while last != Some(2999) {
        let view = replica.view();
        let a = view.db(0).get_as::<usize>("a").unwrap();
        let b = view.db(1).get_as::<usize>("b").unwrap();
        let l = view.db(0).list("l").unwrap().map(|list| list.len() - 1);
        assert_eq!((a, a), (b, l));
        drop(view);
        seen += usize::from(a != last);
        last = a;
        std::thread::yield_now();
    }
    assert!(seen > 10, "{seen} states seen");
    drop(writer.await.unwrap());
    replica.shutdown().await.unwrap();
}
