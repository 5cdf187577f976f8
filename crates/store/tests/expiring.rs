//! What expires goes at a cost of what expires; what replicas are told of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use store::{
    Args, Compat, Discard, Expiry, Keyspace, Null, Recorded, Recorder, Removed, ShardSet, View, Viewer,
    Writer, command,
};

fn new(compat: Compat) -> (Arc<Keyspace>, Writer) {
    let (keyspace, writer) = Keyspace::new(4);
    keyspace.set_compat(compat);
    keyspace.clock().set(1_000_000);
    (keyspace, writer)
}

fn run(writer: &mut Writer, line: &str) {
    let parts: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let args = Args::new(&parts);
    let row = command::find(args).unwrap();
    let mut set = ShardSet::none();
    row.add_shards(&writer.keyspace().clone(), 0, args, &mut set);
    row.write(&mut writer.begin(&set, Viewer::Client, 0), args, &mut Discard).unwrap();
}

/// Reaps everything that is due: the effects as words, and what was counted.
fn reap(writer: &mut Writer) -> (Vec<String>, Removed) {
    let (mut told, mut all) = (Vec::new(), Removed::default());
    for shard in 0..256 {
        let mut set = ShardSet::none();
        set.add_shard(0, shard);
        let mut txn = writer.begin(&set, Viewer::Client, 0);
        txn.collect_effects();
        let now = txn.now();
        while txn.reap_due(shard, 10, now).0 == 10 {}
        let removed = txn.take_removed();
        all.expired_keys += removed.expired_keys;
        all.expired_fields += removed.expired_fields;
        for effect in txn.take_effects() {
            let words: Vec<_> = effect.args.iter().map(|arg| String::from_utf8_lossy(arg)).collect();
            told.push(words.join(" "));
        }
    }
    told.sort();
    (told, all)
}

#[test]
fn keys_go_when_they_are_due_and_not_before() {
    for (compat, word) in [(Compat::Redis82, "DEL"), (Compat::Valkey91, "UNLINK")] {
        let (keyspace, mut writer) = new(compat);
        run(&mut writer, "SET stays 1");
        run(&mut writer, "SET a 1 PX 1000");
        run(&mut writer, "SET later 1 PX 1000");
        run(&mut writer, "PEXPIRE later 50000");
        run(&mut writer, "SET sooner 1 PX 90000");
        run(&mut writer, "PEXPIRE sooner 1000");
        run(&mut writer, "SET kept 1 PX 1000");
        run(&mut writer, "PERSIST kept");
        run(&mut writer, "RPUSH moved 1");
        run(&mut writer, "PEXPIRE moved 1000");
        run(&mut writer, "RENAME moved elsewhere");
        run(&mut writer, "SET gone 1 PX 1000");
        run(&mut writer, "DEL gone");
        assert_eq!(reap(&mut writer).0, [""; 0]);
        keyspace.clock().set(1_002_000);
        let (told, removed) = reap(&mut writer);
        assert_eq!(told, ["a", "elsewhere", "sooner"].map(|key| format!("{word} {key}")));
        assert_eq!((removed.expired_keys, keyspace.counts().keys), (3, 3));
        keyspace.clock().set(1_060_000);
        assert_eq!(reap(&mut writer).0, [format!("{word} later")]);
        assert_eq!(reap(&mut writer).1, Removed::default());
    }
}

#[test]
fn fields_go_and_replicas_are_told_in_the_words_of_each_family() {
    for compat in [Compat::Redis82, Compat::Valkey91] {
        let (keyspace, mut writer) = new(compat);
        let valkey = compat == Compat::Valkey91;
        run(&mut writer, "HSET h a 1 b 2 c 3");
        run(&mut writer, "HPEXPIRE h 1000 FIELDS 2 a b");
        run(&mut writer, "HSET whole x 1");
        run(&mut writer, "HPEXPIRE whole 1000 FIELDS 1 x");
        let many: String = (0..600).map(|n| format!(" field{n} value")).collect();
        run(&mut writer, &format!("HSET large{many}"));
        run(&mut writer, "HPEXPIRE large 1000 FIELDS 1 field7");
        run(&mut writer, "HPEXPIRE large 9000 FIELDS 1 field8");
        keyspace.clock().set(1_002_000);
        let (told, removed) = reap(&mut writer);
        let expected: &[&str] = if valkey {
            &["HDEL h a b", "HDEL large field7", "HDEL whole x", "UNLINK whole"]
        } else {
            &["HDEL h a", "HDEL h b", "HDEL large field7", "HDEL whole x"]
        };
        assert_eq!(
            (told.as_slice(), removed.expired_fields),
            (expected.map_to_strings().as_slice(), 4),
            "{compat}"
        );
        assert_eq!(keyspace.counts().keys, 2);
        keyspace.clock().set(1_020_000);
        assert_eq!(reap(&mut writer).0, ["HDEL large field8"]);
    }
}

trait Strings {
    fn map_to_strings(&self) -> Vec<String>;
}

impl Strings for [&str] {
    fn map_to_strings(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}

#[test]
fn what_never_expires_costs_nothing_and_what_does_little() {
    let (keyspace, mut writer) = new(Compat::Redis82);
    let mut fill = |from: u32, expiry: Expiry| {
        for n in from..from + 50_000 {
            let key = n.to_string();
            let mut set = ShardSet::none();
            set.add(&keyspace, 0, key.as_bytes());
            writer.begin(&set, Viewer::Client, 0).set_string(key.as_bytes(), b"v", expiry).unwrap();
        }
        keyspace.overhead()
    };
    let plain = fill(0, Expiry::Never);
    let (again, moved) = (fill(0, Expiry::Never), fill(0, Expiry::At(5_000_000)));
    assert_eq!(plain, again);
    let each = (moved - plain) as f64 / 50_000.0;
    assert!((12.0..26.0).contains(&each), "{each} bytes a key that expires");
    // Sessions that are prolonged again and again, and such as are cut short.
    let mut most = 0;
    for round in 0..40 {
        most = most.max(fill(0, Expiry::At(5_000_000 + 1000 * round)));
        most = most.max(fill(0, Expiry::At(4_000_000 - 1000 * round)));
    }
    let each = (most - plain) as f64 / 50_000.0;
    assert!(each < 80.0, "{each} bytes a key that expires, when deadlines move all the time");
    assert_eq!(keyspace.payload(), keyspace.counts().bytes);
}

#[test]
fn keys_and_fields_live_through_the_millisecond_of_their_deadline() {
    let (keyspace, mut writer) = new(Compat::Redis82);
    run(&mut writer, "SET key v PXAT 1000010");
    run(&mut writer, "HSET hash f v g w");
    run(&mut writer, "HPEXPIREAT hash 1000010 FIELDS 1 f");
    for (now, there) in [(1_000_009, true), (1_000_010, true), (1_000_011, false)] {
        keyspace.clock().set(now);
        assert_eq!(keyspace.blob(0, b"key").unwrap().is_some(), there, "at {now}");
        for (line, reply) in [("GET key", "v"), ("HGET hash f", "v")] {
            let parts: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let args = Args::new(&parts);
            let row = command::find(args).unwrap();
            let mut set = ShardSet::none();
            row.add_shards(&keyspace, 0, args, &mut set);
            let mut recorder = Recorder::default();
            row.read(&View::new(&keyspace, &set, Viewer::Client, 0), args, &mut recorder).unwrap();
            let recorded = recorder.finish().unwrap();
            let expected = if there { Recorded::Bulk(reply.into()) } else { Recorded::Null(Null::Bulk) };
            assert_eq!(recorded, expected, "{line} at {now}");
        }
    }
}
