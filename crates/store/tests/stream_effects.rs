//! What replicas are told of stream commands, and what is applied that only a primary's stream says.

use std::sync::Arc;

use store::{Args, CommandError, Keyspace, Recorded, Recorder, ShardSet, Viewer, Writer, command};

const NOW: i64 = 1_700_000_000_000;

struct Server {
    keyspace: Arc<Keyspace>,
    writer: Writer,
    viewer: Viewer,
}

impl Server {
    fn new(viewer: Viewer) -> Self {
        let (keyspace, writer) = Keyspace::new(1);
        keyspace.clock().set(NOW);
        Self { keyspace, writer, viewer }
    }

    fn run(&mut self, line: &str) -> (Result<Recorded, CommandError>, Vec<String>) {
        let parts: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let args = Args::new(&parts);
        let row = command::find(args).expect("a command");
        row.check_arity(args).expect("its arity");
        let mut set = ShardSet::none();
        row.add_shards(&self.keyspace, 0, args, &mut set);
        let mut txn = self.writer.begin(&set, self.viewer, 0);
        txn.collect_effects();
        let mut out = Recorder::default();
        let result = row.write(&mut txn, args, &mut out);
        let told = txn.take_effects().into_iter().map(|effect| {
            effect
                .args
                .iter()
                .map(|arg| String::from_utf8_lossy(arg).into_owned())
                .collect::<Vec<_>>()
                .join(" ")
        });
        let told = told.collect();
        (result.map(|()| out.finish().expect("a reply")), told)
    }

    fn told(&mut self, line: &str) -> Vec<String> {
        let (reply, told) = self.run(line);
        reply.expect("no error");
        told
    }

    fn reply(&mut self, line: &str) -> Recorded {
        self.run(line).0.expect("no error")
    }
}

#[test]
fn ids_and_trimming_become_exact_on_their_way_to_replicas() {
    let mut primary = Server::new(Viewer::Client);
    assert_eq!(primary.told("XADD x * f v"), [format!("XADD x {NOW}-0 f v")]);
    assert_eq!(primary.told(&format!("XADD x {NOW}-* f v")), [format!("XADD x {NOW}-1 f v")]);
    assert_eq!(primary.told("XADD x MAXLEN ~ 1000 * f v"), [format!("XADD x MAXLEN = 3 {NOW}-2 f v")]);
    assert_eq!(
        primary.told("XADD x MINID ~ 5 LIMIT 10 * f v"),
        [format!("XADD x MINID = {NOW}-0 LIMIT 10 {NOW}-3 f v")]
    );
    assert_eq!(primary.told("XADD x MAXLEN 2 * f v"), [format!("XADD x MAXLEN 2 {NOW}-4 f v")]);
    assert_eq!(primary.told("XADD none NOMKSTREAM * f v"), [""; 0]);
    assert_eq!(primary.told("XTRIM x MAXLEN ~ 0 LIMIT 1"), [""; 0]);
    assert_eq!(primary.told("XTRIM x MAXLEN ~ 0"), ["XTRIM x MAXLEN = 0"]);
    assert_eq!(primary.told("XDEL x 1-1"), [""; 0]);
}

#[test]
fn deliveries_go_out_as_claims_and_a_new_position() {
    let mut primary = Server::new(Viewer::Client);
    for line in ["XADD x 1-1 f v", "XADD x 2-1 f v", "XADD x 3-1 f v", "XGROUP CREATE x g 0"] {
        assert_eq!(primary.told(line), [line]);
    }
    assert_eq!(
        primary.told("XREADGROUP GROUP g c COUNT 1 STREAMS x >"),
        [
            format!("XCLAIM x g c 0 1-1 TIME {NOW} RETRYCOUNT 1 FORCE JUSTID LASTID 1-1"),
            "XGROUP SETID x g 1-1 ENTRIESREAD 1".to_owned(),
        ]
    );
    assert_eq!(
        primary.told("XREADGROUP GROUP g d COUNT 1 NOACK STREAMS x >"),
        ["XGROUP CREATECONSUMER x g d", "XGROUP SETID x g 2-1 ENTRIESREAD 2"]
    );
    assert_eq!(primary.told("XREADGROUP GROUP g c STREAMS x 0"), [""; 0]);
    assert_eq!(
        primary.told("XCLAIM x g d 0 1-1"),
        [format!("XCLAIM x g d 0 1-1 TIME {NOW} RETRYCOUNT 3 FORCE JUSTID LASTID 2-1")]
    );
    assert_eq!(primary.told("XCLAIM x g d 999999 1-1 LASTID 3-1"), ["XGROUP SETID x g 3-1 ENTRIESREAD 2"]);
    assert_eq!(primary.told("XDEL x 1-1"), ["XDEL x 1-1"]);
    let gone = primary.told("XAUTOCLAIM x g c 0 0");
    assert_eq!(gone.len(), 1);
    assert!(gone[0].starts_with("XCLAIM x g c 0 1-1 TIME "), "{gone:?}");
    assert_eq!(primary.told("XACK x g 1-1"), [""; 0]);
}

#[test]
fn a_primarys_stream_may_limit_an_exact_trim_and_claims_what_is_not_pending() {
    let mut replica = Server::new(Viewer::Stream);
    for ms in 1..=9 {
        replica.reply(&format!("XADD x {ms}-0 f v"));
    }
    replica.reply("XADD x MINID = 4-0 LIMIT 1 10-0 f v");
    assert_eq!(replica.reply("XLEN x"), Recorded::Integer(7));
    replica.reply("XADD x MAXLEN = 3 11-0 f v");
    assert_eq!(replica.reply("XLEN x"), Recorded::Integer(3));
    replica.reply("XGROUP CREATE x g 0");
    replica.reply(&format!("XCLAIM x g c 0 9-0 TIME {} RETRYCOUNT 4 FORCE JUSTID LASTID 9-0", NOW - 5000));
    replica.reply("XGROUP SETID x g 9-0 ENTRIESREAD 9");
    let Recorded::Aggregate(_, pending) = replica.reply("XPENDING x g - + 9") else { panic!("an array") };
    let Recorded::Aggregate(_, entry) = &pending[0] else { panic!("an array") };
    assert_eq!(entry[2..], [Recorded::Integer(5000), Recorded::Integer(4)]);
    replica.reply("XDEL x 9-0");
    replica.reply(&format!("XCLAIM x g c 0 9-0 TIME {NOW} RETRYCOUNT 4 FORCE JUSTID LASTID 9-0"));
    assert_eq!(replica.reply("XPENDING x g - + 9"), Recorded::Aggregate(store::Aggregate::Array, vec![]));
    replica.reply("XSETID x 20-0 ENTRIESADDED 50 MAXDELETEDID 9-0");
    assert!(replica.run("XADD x 20-0 f v").0.is_err());
}

#[test]
fn an_intersection_of_an_old_primary_does_not_look_beyond_a_key_that_is_not_there() {
    let mut replica = Server::new(Viewer::Stream);
    for line in ["SADD a x", "SADD target y", "SET text z"] {
        replica.reply(line);
    }
    assert_eq!(replica.reply("SINTERSTORE target a missing text"), Recorded::Integer(0));
    assert_eq!(replica.reply("EXISTS target"), Recorded::Integer(0));
    assert!(replica.run("SINTERSTORE target a text missing").0.is_err());
    let mut primary = Server::new(Viewer::Client);
    primary.reply("SET text z");
    assert!(primary.run("SINTERSTORE target missing text").0.is_err());
}
