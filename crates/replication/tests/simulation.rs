//! A link against our own primary, in memory, on an invented clock, with cuts at any byte.
//!
//! Whatever happens on the way: in the end the replica has applied exactly what the primary wrote after
//! the last dump, each command once and in order, and both name the same position.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use replication::testing::{Call, Recorder};
use replication::{
    BacklogLimits, Feed, FeedEvent, FeedOptions, Link, LinkOptions, Offset, Position, Primary, ReplId,
};
use resp::{Limits, RequestDecoder};
use std::collections::VecDeque;
use std::time::Duration;

#[derive(Debug, Clone)]
enum Action {
    /// So many commands in a database, as a group or one by one.
    Write {
        db: u32,
        count: usize,
        group: bool,
    },
    Ping,
    GetAck,
    /// The primary makes the snapshot that was asked for.
    Snapshot,
    ToReplica(usize),
    ToPrimary(usize),
    Cut,
    Pass(u64),
    Promote,
    /// The replica's process ends and comes back with what it had saved.
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0..3_u32, 1..4_usize, any::<bool>())
            .prop_map(|(db, count, group)| Action::Write { db, count, group }),
        1 => Just(Action::Ping),
        1 => Just(Action::GetAck),
        4 => Just(Action::Snapshot),
        8 => (1..200_usize).prop_map(Action::ToReplica),
        8 => (1..200_usize).prop_map(Action::ToPrimary),
        1 => Just(Action::Cut),
        2 => (100..3000_u64).prop_map(Action::Pass),
        1 => Just(Action::Promote),
        1 => Just(Action::Restart),
    ]
}

struct World {
    now: Duration,
    link: Link<Recorder>,
    target: Recorder,
    primary: Primary,
    /// Every data command written: its text with the database, and the offset after it.
    written: Vec<(String, Offset)>,
    connection: Option<Connection>,
}

struct Connection {
    feed: Feed,
    requests: RequestDecoder,
    to_replica: VecDeque<u8>,
    to_primary: VecDeque<u8>,
    snapshot_wanted: bool,
}

impl World {
    fn new(backlog: usize) -> Self {
        let position = Position { replid: ReplId::parse(&[b'a'; 40]).expect("an id"), offset: Offset(0) };
        let limits = BacklogLimits { size: backlog, hard_limit: backlog * 4 };
        Self {
            now: Duration::ZERO,
            link: Link::new(LinkOptions::default()),
            target: Recorder::default(),
            primary: Primary::new(position, limits),
            written: Vec::new(),
            connection: None,
        }
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::Write { db, count, group } => {
                let names: Vec<String> = (0..count).map(|i| format!("c{}", self.written.len() + i)).collect();
                if group {
                    self.primary.transaction(|writer| {
                        for name in &names {
                            writer.command(db, &[b"SET", name.as_bytes(), b"x"]);
                        }
                    });
                    let end = self.primary.position().offset;
                    self.written.extend(names.into_iter().map(|name| (format!("{db} SET {name} x"), end)));
                } else {
                    for name in names {
                        self.primary.command(db, &[b"SET", name.as_bytes(), b"x"]);
                        self.written.push((format!("{db} SET {name} x"), self.primary.position().offset));
                    }
                }
            }
            Action::Ping => self.primary.ping(),
            Action::GetAck => self.primary.getack(),
            Action::Snapshot => self.snapshot(),
            Action::ToReplica(count) => self.deliver_to_replica(count),
            Action::ToPrimary(count) => self.deliver_to_primary(count),
            Action::Cut => self.cut(),
            Action::Pass(millis) => {
                self.now += Duration::from_millis(millis);
                if self.link.handle_timeout(self.now).is_err() {
                    self.cut();
                }
                if self.connection.as_mut().is_some_and(|c| c.feed.handle_timeout(self.now).is_err()) {
                    self.cut();
                }
            }
            Action::Restart => {
                self.cut();
                let saved = self.link.position().zip(self.link.stream_db());
                self.link = Link::new(LinkOptions::default());
                if let Some((position, db)) = saved {
                    self.link.resume(position, db);
                }
            }
            Action::Promote => {
                // The id depends on how far the history has come, so that each is new.
                let digits = format!("{:040x}", self.primary.position().offset.0 + 1);
                self.primary.change_id(digits.parse().expect("hex"));
                self.cut();
            }
        }
        self.connect();
        self.flush();
    }

    fn connect(&mut self) {
        if self.connection.is_some() {
            return;
        }
        self.link.handle_connected(self.now);
        self.connection = Some(Connection {
            feed: Feed::new(self.now, FeedOptions::default()),
            requests: RequestDecoder::stream(Limits::requests()),
            to_replica: VecDeque::new(),
            to_primary: VecDeque::new(),
            snapshot_wanted: false,
        });
    }

    fn cut(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.link.handle_closed(self.now);
            connection.feed.detach(&mut self.primary);
        }
    }

    /// Moves what both sides want to send into the pipes.
    fn flush(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        while let Some(bytes) = self.link.poll_transmit() {
            connection.to_primary.extend(bytes);
        }
        loop {
            match connection.feed.poll_transmit(&mut self.primary) {
                Ok(Some(bytes)) => connection.to_replica.extend(bytes),
                Ok(None) => break,
                Err(_) => return self.cut(),
            }
        }
        while let Some(event) = connection.feed.poll_event() {
            connection.snapshot_wanted |= event == FeedEvent::SnapshotWanted;
        }
        while self.link.poll_event().is_some() {}
    }

    /// The dump holds one key, which counts the commands written so far.
    fn snapshot(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        if !std::mem::take(&mut connection.snapshot_wanted) {
            return;
        }
        connection.feed.begin_snapshot(&mut self.primary);
        connection.feed.announce(None).expect("the link knows marks");
        let count = self.written.len().to_string();
        let mut dump = b"REDIS0009\xfe\x00\x00\x01n".to_vec();
        dump.push(u8::try_from(count.len()).expect("short"));
        dump.extend_from_slice(count.as_bytes());
        dump.extend_from_slice(b"\xff\0\0\0\0\0\0\0\0");
        for piece in dump.chunks(7) {
            connection.feed.snapshot_bytes(Bytes::copy_from_slice(piece));
        }
        connection.feed.end_snapshot();
    }

    fn deliver_to_replica(&mut self, count: usize) {
        let Some(connection) = &mut self.connection else { return };
        let bytes: Vec<u8> = connection.to_replica.drain(..count.min(connection.to_replica.len())).collect();
        if bytes.is_empty() {
            return;
        }
        let fed = self.link.handle_bytes(self.now, &bytes, &mut self.target);
        fed.expect("our primary breaks no rule");
    }

    fn deliver_to_primary(&mut self, count: usize) {
        let Some(connection) = &mut self.connection else { return };
        let bytes: Vec<u8> = connection.to_primary.drain(..count.min(connection.to_primary.len())).collect();
        connection.requests.feed(&bytes);
        while let Some(request) = connection.requests.next_ref().expect("our link breaks no rule") {
            let args: Vec<&[u8]> = request.iter().collect();
            match args.first() {
                None => connection.feed.handle_sign_of_life(self.now),
                Some(&b"PING") => connection.to_replica.extend(b"+PONG\r\n"),
                Some(_) => {
                    let handled = connection.feed.handle_request(self.now, &args, &mut self.primary);
                    handled.expect("our link sends only REPLCONF and PSYNC");
                }
            }
        }
    }

    /// Lets everything arrive.
    fn settle(&mut self) {
        for _ in 0..200 {
            for action in [Action::ToPrimary(usize::MAX), Action::Snapshot, Action::ToReplica(usize::MAX)] {
                self.act(&action);
            }
            if self.link.position() == Some(self.primary.position()) {
                return;
            }
            self.act(&Action::Pass(1000));
        }
        panic!("never equal: {:?}, the primary is at {}", self.link, self.primary.position());
    }

    fn check(&self) {
        let mut applied: Vec<String> = Vec::new();
        let mut expected: Vec<String> = Vec::new();
        let mut last = Offset(0);
        for call in &self.target.calls {
            match call {
                Call::FullSync { position, keys } => {
                    let known = self.written.iter().filter(|(_, end)| *end <= position.offset).count();
                    assert_eq!(keys[0].2, known.to_string().into_bytes(), "the dump is that of the cut");
                    applied.clear();
                    expected = self.written.iter().skip(known).map(|(text, _)| text.clone()).collect();
                    last = position.offset;
                }
                Call::Apply { db, commands, transaction, end } => {
                    assert!(*end > last, "offsets only grow");
                    assert_eq!(*transaction, commands.len() > 1);
                    last = *end;
                    let mut db = *db;
                    for command in commands {
                        let words: Vec<String> =
                            command.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
                        if words[0] == "SELECT" {
                            db = words[1].parse().expect("a number");
                        } else {
                            applied.push(format!("{db} {}", words.join(" ")));
                        }
                    }
                }
                Call::Advance(end) => {
                    assert!(*end > last, "offsets only grow");
                    last = *end;
                }
                _ => {}
            }
        }
        assert_eq!(applied, expected);
        assert_eq!(last, self.primary.position().offset);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        // `SIMULATIONS=100000` for a night.
        cases: std::env::var("SIMULATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(2000),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_replica_ends_where_the_primary_is(
        backlog in prop_oneof![Just(64_usize), Just(500), Just(100_000)],
        actions in prop::collection::vec(action(), 0..120),
    ) {
        let mut world = World::new(backlog);
        for action in &actions {
            world.act(action);
        }
        world.settle();
        world.check();
    }
}

#[test]
fn a_long_backlog_makes_every_reconnection_partial() {
    let mut world = World::new(100_000);
    world.settle();
    for round in 0..50 {
        world.act(&Action::Write { db: round % 3, count: 3, group: round % 2 == 0 });
        // PING, then REPLCONF, then PSYNC: each waits for the answer to the one before.
        for received in [usize::MAX, usize::MAX, 60 + round as usize * 3] {
            world.act(&Action::ToPrimary(usize::MAX));
            world.act(&Action::ToReplica(received));
        }
        world.act(&Action::Cut);
    }
    world.settle();
    world.check();
    assert_eq!(world.link.counters().full_syncs, 1);
    assert!(world.link.counters().partial_syncs > 40, "{:?}", world.link);
}
