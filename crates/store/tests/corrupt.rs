//! RESTORE of broken payloads: each byte changed in several ways, each length cut, with the checksum left wrong and
//! with it made good. Refused whole, or taken for a value that can be read, written, dumped and deleted.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use store::{Args, Counts, Keyspace, Recorded, Recorder, ShardSet, View, Viewer, Writer, command};

struct Db {
    keyspace: Arc<Keyspace>,
    writer: Writer,
}

impl Db {
    fn new() -> Self {
        let (keyspace, writer) = Keyspace::new(1);
        keyspace.clock().set(1000);
        Self { keyspace, writer }
    }

    fn run(&mut self, parts: &[&[u8]]) -> Recorded {
        let args = Args::new(parts);
        let row = command::find(args).unwrap();
        let mut set = ShardSet::none();
        row.add_shards(&self.keyspace, 0, args, &mut set);
        let mut out = Recorder::default();
        match row.write(&mut self.writer.begin(&set, Viewer::Client, 0), args, &mut out) {
            Ok(()) => out.finish().unwrap(),
            Err(error) => Recorded::Error(error.to_string()),
        }
    }

    fn line(&mut self, line: &str) -> Recorded {
        let parts: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        self.run(&parts)
    }

    fn dump(&mut self, key: &[u8]) -> Vec<u8> {
        match self.run(&[b"DUMP", key]) {
            Recorded::Bulk(payload) => payload,
            other => panic!("no dump: {other:?}"),
        }
    }

    /// The accounts must equal what is there.
    fn recount(&self) -> Counts {
        let view = View::new(&self.keyspace, &ShardSet::none(), Viewer::Stream, 0);
        let (mut cursor, mut keys, mut bytes) = (0, 0, 0);
        loop {
            cursor = view.scan(0, cursor, 100, |entry| {
                keys += 1;
                bytes += entry.weight();
            });
            if cursor == 0 {
                break;
            }
        }
        let counts = self.keyspace.counts();
        assert_eq!((counts.keys, counts.bytes), (keys, bytes), "accounts, recount");
        counts
    }
}

/// How a value is read whole, and a few writes to it; the key is `k`.
fn lines(kind: &str) -> (&'static str, &'static [&'static str]) {
    match kind {
        "string" => {
            ("GET k", &["APPEND k x", "PFCOUNT k", "PFADD k a", "SETRANGE k 3 y", "GETRANGE k -5 -1"])
        }
        "list" => (
            "LRANGE k 0 -1",
            &["LPUSH k a", "LINDEX k 3", "LINSERT k BEFORE b x", "LREM k 0 c", "LSET k -1 q", "RPOP k"],
        ),
        "set" => ("SMEMBERS k", &["SISMEMBER k 2", "SADD k 9 nine", "SREM k 1", "SPOP k 2"]),
        "zset" => (
            "ZRANGE k 0 -1 WITHSCORES",
            &["ZRANK k b", "ZADD k 1.5 b", "ZINCRBY k 2 a", "ZRANGEBYSCORE k 1 2", "ZREM k a", "ZPOPMIN k 2"],
        ),
        "hash" => (
            "HGETALL k",
            &[
                "HGET k b",
                "HSET k b 2 new 3",
                "HPEXPIRE k 5000 FIELDS 1 b",
                "HPERSIST k FIELDS 1 c",
                "HDEL k a",
            ],
        ),
        "stream" => (
            "XRANGE k - +",
            &[
                "XINFO STREAM k FULL",
                "XREADGROUP GROUP g c STREAMS k >",
                "XREADGROUP GROUP g c STREAMS k 0",
                "XAUTOCLAIM k g d 0 0",
                "XACK k g 1-1 1-2",
                "XDEL k 1-2",
                "XADD k * f v",
                "XTRIM k MAXLEN 2",
            ],
        ),
        other => panic!("no type {other}"),
    }
}

/// What was taken must be a value like any other.
fn use_value(db: &mut Db, payload: &[u8]) {
    let shown = || payload.escape_ascii().to_string();
    let Recorded::Simple(kind) = db.line("TYPE k") else { panic!("no type") };
    let (read, writes) = lines(&kind);
    let before = db.line(read);
    assert!(!matches!(before, Recorded::Error(_)), "{}: {before:?}", shown());
    let again = db.dump(b"k");
    let answer = db.run(&[b"RESTORE", b"k", b"0", &again, b"REPLACE"]);
    assert_eq!(answer, Recorded::Simple("OK".into()), "what was taken, dumped: {}", shown());
    assert_eq!(sorted(db.line(read)), sorted(before), "what was taken, dumped: {}", shown());
    db.line("OBJECT ENCODING k");
    db.recount();
    writes.iter().for_each(|line| drop(db.line(line)));
    db.recount();
    db.line("DEL k");
}

/// Sets and hashes have no order; who has one keeps it all the same.
fn sorted(reply: Recorded) -> Vec<String> {
    match reply {
        Recorded::Aggregate(_, items) => {
            let mut all: Vec<String> = items.iter().map(|item| format!("{item:?}")).collect();
            all.sort();
            all
        }
        one => vec![format!("{one:?}")],
    }
}

/// Refused, nothing has changed; taken, it is used. Answers whether it was taken.
fn offer(db: &mut Db, payload: &[u8]) -> bool {
    let before = db.keyspace.counts();
    match db.run(&[b"RESTORE", b"k", b"0", payload]) {
        Recorded::Simple(ok) if ok == "OK" => {
            use_value(db, payload);
            assert_eq!(db.recount(), before, "{}", payload.escape_ascii());
            true
        }
        Recorded::Error(text) => {
            let known = ["ERR DUMP payload version or checksum are wrong", "ERR Bad data format"];
            assert!(known.contains(&text.as_str()), "{text}: {}", payload.escape_ascii());
            assert_eq!(db.keyspace.counts(), before, "{}", payload.escape_ascii());
            // Neither does it replace what is there.
            assert_eq!(db.run(&[b"RESTORE", b"there", b"0", payload, b"REPLACE"]), Recorded::Error(text));
            assert_eq!(db.line("GET there"), Recorded::Bulk(b"still".to_vec()));
            false
        }
        other => panic!("{other:?}"),
    }
}

/// The checksum made good.
fn sealed(payload: &[u8]) -> Vec<u8> {
    let mut out = payload[..payload.len() - 8].to_vec();
    out.extend_from_slice(&rdb::crc64::checksum(&out).to_le_bytes());
    out
}

/// Offers every broken form of a payload; how many were taken, of how many.
fn break_all(payload: &[u8]) -> (usize, usize) {
    let mut db = Db::new();
    db.line("SET there still");
    let (mut taken, mut offered) = (0, 0);
    let value = payload.len() - 10;
    for at in 0..payload.len() {
        let changes = (0..8).map(|bit| 1_u8 << bit).chain([0xff, 0x55, payload[at], !payload[at]]);
        for change in changes.filter(|change| *change != 0) {
            let mut broken = payload.to_vec();
            broken[at] ^= change;
            assert!(!offer(&mut db, &broken), "a wrong checksum: {}", broken.escape_ascii());
            if at < payload.len() - 8 {
                taken += usize::from(offer(&mut db, &sealed(&broken)));
                offered += 1;
            }
        }
    }
    for length in 0..payload.len() {
        assert!(!offer(&mut db, &payload[..length]), "cut at {length}: {}", payload.escape_ascii());
        if length < value {
            let cut = [&payload[..length], &payload[value..]].concat();
            assert!(!offer(&mut db, &cut), "a value cut at {length}: {}", payload.escape_ascii());
            assert!(!offer(&mut db, &sealed(&cut)), "a value cut at {length}: {}", payload.escape_ascii());
            let mut longer = payload.to_vec();
            longer.insert(length, 0);
            taken += usize::from(offer(&mut db, &sealed(&longer)));
            offered += 1;
        }
    }
    (taken, offered)
}

/// Names of settings with values.
type Settings = &'static [(&'static str, i64)];

/// What makes a value, under which settings; the key is `k`.
const VALUES: &[(Settings, &[&str])] = &[
    (&[], &["SET k value"]),
    (&[], &["SET k -12345"]),
    (&[], &["SET k 5000000000"]),
    (&[], &["SETRANGE k 200 xyzxyz"]),
    (&[], &["PFADD k a b c d e f"]),
    (&[], &["RPUSH k a b c 1 -200 70000 5000000000 abcdefghijklmnopqrstuvwxyz"]),
    (&[("list-max-listpack-size", 2)], &["RPUSH k a b c 1 2 3 4"]),
    (&[], &["SADD k 1 2 3"]),
    (&[], &["SADD k 1 70000 -5"]),
    (&[], &["SADD k 1 5000000000"]),
    (&[], &["SADD k a b 1 2"]),
    (&[("set-max-listpack-entries", 0), ("set-max-intset-entries", 0)], &["SADD k a b 1 2"]),
    (&[], &["ZADD k 1 a 2 b 2.5 c -inf d"]),
    (&[("zset-max-listpack-entries", 0)], &["ZADD k 1 a 2 b 2.5 c inf d"]),
    (&[], &["HSET k a 1 b two c 3.5"]),
    (&[("hash-max-listpack-entries", 0)], &["HSET k a 1 b two c 3.5"]),
    (&[], &["HSET k a 1 b two", "HPEXPIREAT k 99999999999 FIELDS 1 a"]),
    (&[("hash-max-listpack-entries", 0)], &["HSET k a 1 b two", "HPEXPIREAT k 99999999999 FIELDS 1 a"]),
    (&[], &["XADD k 1-1 f v", "XADD k 1-2 f w", "XADD k 2-1 g 1 h 2"]),
    (
        &[("stream-node-max-entries", 2)],
        &[
            "XADD k 1-1 f v",
            "XADD k 1-2 f w",
            "XADD k 2-1 g 1",
            "XADD k 2-2 g 1",
            "XDEL k 1-2",
            "XGROUP CREATE k g 0",
            "XGROUP CREATE k empty $",
            "XREADGROUP GROUP g c COUNT 2 STREAMS k >",
            "XREADGROUP GROUP g d COUNT 1 STREAMS k >",
        ],
    ),
    (&[], &["XGROUP CREATE k g $ MKSTREAM", "XGROUP CREATECONSUMER k g c"]),
];

#[test]
fn broken_payloads_are_refused_whole_or_hold_a_value() {
    let (mut taken, mut offered) = (0, 0);
    for (limits, makers) in VALUES {
        eprintln!("{makers:?}");
        let mut db = Db::new();
        for (name, value) in *limits {
            assert!(db.keyspace.limits().set(name, *value), "no setting {name}");
        }
        for line in *makers {
            let answer = db.line(line);
            assert!(!matches!(answer, Recorded::Error(_)), "{line}: {answer:?}");
        }
        let payload = db.dump(b"k");
        assert!(offer(&mut Db::with_there(), &payload), "{makers:?}");
        let (some, all) = break_all(&payload);
        // Some changes lie in the text of an element, and some in what must not change.
        assert!(some < all, "{makers:?}: every change was taken");
        (taken, offered) = (taken + some, offered + all);
    }
    eprintln!("{taken} of {offered} with a good checksum were taken");
}

impl Db {
    fn with_there() -> Self {
        let mut db = Self::new();
        db.line("SET there still");
        db
    }
}
