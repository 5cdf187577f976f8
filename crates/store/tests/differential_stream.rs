//! Stream commands beside a real Redis 7.0.15.
//!
//! Clocks differ by a millisecond or two, so times are compared in coarse steps, and ids made from the clock are
//! chosen by our side and given to the real server.

mod support;

use rdb::Version;
use store::{Recorded, command};
use support::{Command, Pair, Random, for_seeds, words};
use testkit::Server;

const STEPS: usize = 5000;
const KEYS: [&str; 4] = ["s1", "s2", "s3", "auto"];

struct Generator {
    random: Random,
    /// Grows with the steps: ids stand around it, so that some are behind, some among and some before the entries.
    at: i64,
    now: i64,
}

impl Generator {
    fn one_in(&mut self, n: usize) -> bool {
        self.random.one_in(n)
    }

    fn pick(&mut self, items: &[&str]) -> String {
        self.random.pick(items).to_owned()
    }

    fn key(&mut self) -> String {
        match self.random.below(40) {
            0 => "string".into(),
            1 => "none".into(),
            2 => "auto".into(),
            _ => self.pick(&["s1", "s1", "s2", "s3"]),
        }
    }

    fn group(&mut self) -> String {
        if self.one_in(40) { "g9".into() } else { self.pick(&["g1", "g1", "g2"]) }
    }

    fn consumer(&mut self) -> String {
        self.pick(&["c1", "c1", "c2", "c3", "d"])
    }

    fn id(&mut self) -> String {
        let ms = (self.at - self.random.within(-2, 30)).max(0);
        match self.random.below(60) {
            0 => self.pick(&[
                "0",
                "0-0",
                "0-1",
                "-",
                "+",
                "$",
                "x",
                "",
                "1-x",
                "-1",
                "18446744073709551615",
                "1-",
                "007-01",
                "5-5-5",
                "18446744073709551616",
                "*",
                "1-*",
                "(1",
            ]),
            1..20 => ms.to_string(),
            _ => format!("{ms}-{}", self.random.below(4)),
        }
    }

    fn bound(&mut self, open: &str) -> String {
        match self.random.below(6) {
            0 | 1 => open.into(),
            2 => format!("({}", self.id()),
            _ => self.id(),
        }
    }

    fn new_id(&mut self) -> String {
        match self.random.below(30) {
            0 => self.id(),
            1..4 => self.at.to_string(),
            4..10 => format!("{}-{}", self.at, self.random.below(9)),
            10..15 => format!("{}-*", self.at - self.random.within(-1, 1)),
            _ => format!("{}-*", self.at),
        }
    }

    fn trim(&mut self) -> String {
        let how = self.pick(&["", "=", "~", "~", "~"]);
        let mut text = if self.one_in(2) {
            format!("MAXLEN {how} {}", self.random.pick(&["20", "20", "9", "3", "0", "-1", "x"]))
        } else {
            let id = self.id();
            format!("MINID {how} {id}")
        };
        if self.one_in(4) {
            text = format!("{text} LIMIT {}", self.random.pick(&["0", "5", "10", "100", "-1", "x"]));
        }
        if self.one_in(40) {
            text = format!("{text} {}", self.random.pick(&["MAXLEN 5", "MINID 0", "LIMIT", "MAXLEN"]));
        }
        text
    }

    fn fields(&mut self) -> String {
        match self.random.below(12) {
            0..6 => format!("a {} b {}", self.random.below(9), self.random.below(9)),
            6 | 7 => "a 1".into(),
            8 => "b 1 a 2".into(),
            9 => format!("long {}", "v".repeat(self.random.below(300))).trim_end().into(),
            10 => "7 -9223372036854775808 n 007 e x".into(),
            _ => "f v g".into(),
        }
    }

    fn ids(&mut self, most: usize) -> String {
        (0..=self.random.below(most)).map(|_| self.id()).collect::<Vec<_>>().join(" ")
    }

    fn idle(&mut self) -> String {
        self.pick(&["0", "0", "0", "0", "500000", "2000000", "-5", "x"])
    }

    fn streams(&mut self, group: bool) -> String {
        let n = 1 + self.random.below(3);
        let keys: Vec<String> = (0..n).map(|_| self.key()).collect();
        let ids: Vec<String> = (0..n)
            .map(|_| match (self.random.below(4), group) {
                (0, true) => "0".into(),
                (1, true) => self.id(),
                (_, true) => ">".into(),
                (0, false) => self.pick(&["$", "$", "$", ">"]),
                _ => self.id(),
            })
            .collect();
        let drop = usize::from(self.one_in(60));
        format!("STREAMS {} {}", keys.join(" "), ids[..n - drop].join(" "))
    }

    fn command(&mut self) -> Command {
        let (k, g, c) = (self.key(), self.group(), self.consumer());
        let line = match self.random.below(100) {
            0..26 => {
                let options = match self.random.below(8) {
                    0 | 1 => self.trim(),
                    2 => "NOMKSTREAM".into(),
                    _ => String::new(),
                };
                let (id, fields) = (self.new_id(), self.fields());
                format!("XADD {k} {options} {id} {fields}")
            }
            26..29 => {
                let options = if self.one_in(3) { self.trim() } else { String::new() };
                format!("XADD auto {options} * {}", self.fields())
            }
            29..32 => format!("XTRIM {k} {}", self.trim()),
            32..37 => format!("XDEL {k} {}", self.ids(4)),
            37 => format!("XLEN {k}"),
            38..42 => {
                let (a, b) = (self.bound("-"), self.bound("+"));
                let count =
                    self.pick(&["", "", "COUNT 2", "COUNT 0", "COUNT -1", "COUNT x", "COUNT", "BAD 1"]);
                if self.one_in(2) {
                    format!("XRANGE {k} {a} {b} {count}")
                } else {
                    format!("XREVRANGE {k} {b} {a} {count}")
                }
            }
            42..45 => {
                let options = self.pick(&[
                    "",
                    "",
                    "COUNT 2",
                    "BLOCK 1",
                    "COUNT 3 BLOCK 0",
                    "COUNT -1",
                    "COUNT x",
                    "NOACK",
                    "BLOCK -1",
                    "GROUP g1 c1",
                    "BAD",
                ]);
                format!("XREAD {options} {}", self.streams(false))
            }
            45..60 => {
                let options = self.pick(&[
                    "",
                    "",
                    "COUNT 1",
                    "COUNT 2",
                    "COUNT 2",
                    "COUNT 5",
                    "NOACK",
                    "NOACK COUNT 2",
                    "BLOCK 5",
                    "COUNT 0",
                    "BAD",
                ]);
                format!("XREADGROUP GROUP {g} {c} {options} {}", self.streams(true))
            }
            60..64 => format!("XACK {k} {g} {}", self.ids(5)),
            64..69 => {
                let (a, b) = (self.bound("-"), self.bound("+"));
                let tail = match self.random.below(5) {
                    0 | 1 => String::new(),
                    2 => format!("{a} {b} {}", self.random.pick(&["3", "100", "0", "-1", "x"])),
                    3 => format!("{a} {b} 10 {c}"),
                    _ => format!("IDLE {} {a} {b} 10 {}", self.idle(), if self.one_in(2) { &c } else { "" }),
                };
                format!("XPENDING {k} {g} {tail}")
            }
            69..75 => {
                let now = self.now;
                let mut options = String::new();
                for _ in 0..self.random.below(3) {
                    options.push(' ');
                    options += &match self.random.below(9) {
                        0 => "FORCE".into(),
                        1 => "JUSTID".into(),
                        2 => format!("IDLE {}", self.random.pick(&["1000000", "0", "-1", "x"])),
                        3 => format!(
                            "TIME {}",
                            self.random.pick(&[now - 1_000_000, now - 3_000_000, -1, 99_999_999_999_999])
                        ),
                        4 => format!("RETRYCOUNT {}", self.random.pick(&["0", "7", "-1", "x"])),
                        5 => format!("LASTID {}", self.id()),
                        6 => "FORCE JUSTID".into(),
                        7 => "BAD".into(),
                        _ => "force".into(),
                    };
                }
                format!("XCLAIM {k} {g} {c} {} {}{options}", self.idle(), self.ids(4))
            }
            75..79 => {
                let start = if self.one_in(2) { "0-0".into() } else { self.bound("-") };
                let options = self.pick(&[
                    "",
                    "COUNT 1",
                    "COUNT 2",
                    "COUNT 3 JUSTID",
                    "JUSTID",
                    "COUNT 0",
                    "COUNT x",
                    "BAD",
                ]);
                format!("XAUTOCLAIM {k} {g} {c} {} {start} {options}", self.idle())
            }
            79..83 => {
                let id = self.pick(&["$", "0", "0", "0-0", "5"]);
                let id = if self.one_in(3) { self.id() } else { id };
                let options = self.pick(&[
                    "",
                    "",
                    "MKSTREAM",
                    "ENTRIESREAD 3",
                    "MKSTREAM ENTRIESREAD -1",
                    "ENTRIESREAD -2",
                    "ENTRIESREAD x",
                    "BAD",
                ]);
                format!("XGROUP CREATE {k} {g} {id} {options}")
            }
            83..85 => {
                let id = if self.one_in(3) { self.pick(&["$", "0"]) } else { self.id() };
                let options = self.pick(&[
                    "",
                    "",
                    "ENTRIESREAD 3",
                    "ENTRIESREAD -1",
                    "ENTRIESREAD -2",
                    "MKSTREAM",
                    "BAD",
                ]);
                format!("XGROUP SETID {k} {g} {id} {options}")
            }
            85 if self.one_in(3) => format!("XGROUP DESTROY {k} {g}"),
            85 | 86 => format!("XGROUP CREATECONSUMER {k} {g} {c}"),
            87 => format!("XGROUP DELCONSUMER {k} {g} {c}"),
            88..92 => format!("XINFO GROUPS {k}"),
            92 => format!("XINFO CONSUMERS {k} {g}"),
            93..95 => format!("XINFO STREAM {k}"),
            95 | 96 => format!(
                "XINFO STREAM {k} {}",
                self.pick(&[
                    "FULL",
                    "FULL COUNT 2",
                    "FULL COUNT 0",
                    "FULL COUNT -1",
                    "FULL COUNT x",
                    "FULL COUNT",
                    "BAD"
                ])
            ),
            97 => {
                let id = if self.one_in(2) { self.id() } else { (self.at + 1).to_string() };
                let options = self.pick(&[
                    "",
                    "",
                    "ENTRIESADDED 100",
                    "ENTRIESADDED 1",
                    "ENTRIESADDED -1",
                    "MAXDELETEDID 3-0",
                    "ENTRIESADDED 200 MAXDELETEDID 0-0",
                    "MAXDELETEDID 99999-0",
                    "BAD",
                ]);
                format!("XSETID {k} {id} {options}")
            }
            98 => self.pick(&[
                "XGROUP BAD",
                "XINFO BAD",
                "XGROUP CREATE s1",
                "XINFO HELP",
                "XGROUP HELP",
                "XINFO STREAM",
                "XREAD COUNT 1",
                "XINFO GROUPS s1 x",
                "XGROUP DESTROY s1",
            ]),
            _ if self.one_in(8) => format!("DEL {k}"),
            _ => format!("XLEN {k}"),
        };
        let mut c = words(&line);
        if self.one_in(150) {
            c.push(b"extra".to_vec());
        }
        c
    }
}

/// Times and spans in steps of a hundred seconds.
fn coarse(reply: Recorded) -> Recorded {
    match reply {
        Recorded::Integer(n) if n > 1_000_000_000 => Recorded::Integer((n + 50_000) / 100_000),
        Recorded::Aggregate(kind, items) => {
            Recorded::Aggregate(kind, items.into_iter().map(coarse).collect())
        }
        other => other,
    }
}

/// The span of XPENDING's entries and the `idle` of XINFO CONSUMERS can be a few milliseconds.
fn without_spans(name: &[u8], reply: Recorded) -> Recorded {
    let Recorded::Aggregate(kind, items) = reply else { return reply };
    let strip = |item: Recorded| match item {
        Recorded::Aggregate(kind, mut parts) => {
            let span = if name == b"XPENDING" { 2 } else { 5 };
            if let Some(Recorded::Integer(n)) = parts.get_mut(span) {
                *n = (*n + 50_000) / 100_000;
            }
            Recorded::Aggregate(kind, parts)
        }
        other => other,
    };
    Recorded::Aggregate(kind, items.into_iter().map(strip).collect())
}

fn comparable(command: &Command, reply: Recorded) -> Recorded {
    let name = command[0].to_ascii_uppercase();
    let consumers = command.get(1).is_some_and(|sub| sub.eq_ignore_ascii_case(b"consumers"));
    let spans = (name == b"XPENDING" && command.len() > 3) || (name == b"XINFO" && consumers);
    match reply {
        reply @ Recorded::Aggregate(..) if spans => without_spans(&name, reply),
        reply => coarse(reply),
    }
}

/// Runs a command on both sides; ids that our clock made are given to the real server.
fn step(pair: &mut Pair, command: &Command, context: &str) {
    let ours = pair.ours(command);
    let mut theirs_gets = command.clone();
    if let (true, Recorded::Bulk(id), Some(star)) =
        (command[0] == b"XADD", &ours, theirs_gets.iter_mut().find(|arg| *arg == b"*"))
    {
        star.clone_from(id);
    }
    let theirs = pair.real(&theirs_gets);
    let (ours, theirs) = (comparable(command, ours), comparable(command, theirs));
    assert_eq!(ours, theirs, "{context}: {} (ours, theirs)", support::shown(command));
}

/// What a DUMP payload says, but for times.
fn shape(payload: &Recorded) -> Vec<String> {
    struct Told(Vec<String>);
    impl rdb::Visitor for Told {
        fn entry(&mut self, _: &[u8], _: &rdb::EntryMeta) -> Result<rdb::Want, rdb::Reject> {
            Ok(rdb::Want::Packed)
        }
        fn part(&mut self, part: rdb::Part<'_>) -> Result<(), rdb::Reject> {
            self.0.push(match part {
                rdb::Part::StreamNode { id, listpack } => {
                    format!("node {id:?} {}", listpack.as_bytes().escape_ascii())
                }
                rdb::Part::Pending { id, count, .. } => format!("pending {id:?} {count}"),
                rdb::Part::Consumer { name, .. } => format!("consumer {}", name.escape_ascii()),
                other => format!("{other:?}"),
            });
            Ok(())
        }
    }
    let Recorded::Bulk(payload) = payload else { return vec![format!("{payload:?}")] };
    let mut told = Told(Vec::new());
    rdb::payload::decode(payload, rdb::payload::Policy::default(), &mut told).expect("a payload");
    told.0
}

#[test]
fn stream_commands_answer_as_a_real_server_does() {
    let mut pair = Pair::start(Server::R7_0);
    for (round, (entries, bytes)) in [(100, 4096), (4, 4096), (0, 200), (3, 60)].into_iter().enumerate() {
        for_seeds(&[round as u64 + 1], |seed, random| {
            let resp3 = seed % 2 == 1;
            let settings = [("stream-node-max-entries", entries), ("stream-node-max-bytes", bytes)];
            let context = format!("seed {seed}");
            pair.reset(&context, resp3, &settings);
            pair.check(&words("SET string value"));
            for key in ["s1", "s2"] {
                pair.check(&words(&format!("XGROUP CREATE {key} g1 0 MKSTREAM")));
            }
            let mut generator = Generator { random, at: 1, now: 0 };
            for number in 0..STEPS {
                generator.at = 1 + number as i64 / 12;
                generator.now = pair.tick();
                let command = generator.command();
                step(&mut pair, &command, &format!("{context}, resp3 {resp3}, {settings:?}, step {number}"));
            }
            for key in KEYS {
                for line in [format!("XINFO STREAM {key}"), format!("XINFO STREAM {key} FULL COUNT 0")] {
                    step(&mut pair, &words(&line), &context);
                }
                pair.check_at_follower(&words(&format!("XINFO STREAM {key}")));
                pair.check_at_follower(&words(&format!("XINFO GROUPS {key}")));
                for group in ["g1", "g2", "g9"] {
                    pair.check_at_follower(&words(&format!("XPENDING {key} {group}")));
                }
            }
            for key in KEYS {
                let dump = words(&format!("DUMP {key}"));
                let (ours, theirs) = pair.both(&dump);
                assert_eq!(shape(&ours), shape(&theirs), "{context}: DUMP {key} (ours, theirs)");
            }
            pair.check_contents();
            pair.check_saved(Server::R7_0, Version { flavour: rdb::Flavour::Redis, number: 10 });
        });
    }
}

#[test]
fn rows_tell_what_command_info_tells() {
    let real = Server::R8_2.start();
    let mut client = real.client();
    let ours = |row: &&command::Command| {
        row.group == command::Group::Stream
            && !row.name.contains('|')
            && row.since.includes(store::Compat::Redis82)
    };
    for row in command::all().filter(ours) {
        let info = client.call(&["COMMAND", "INFO", row.name]);
        let info = &info.array()[0];
        assert_eq!(info.array()[1].int(), i64::from(row.arity), "arity of {}", row.name);
        let flags = format!("{:?}", info.array()[2]);
        assert_eq!(flags.contains("fast"), row.flags.has(command::Flags::FAST), "{} fast", row.name);
        assert_eq!(flags.contains("denyoom"), row.flags.has(command::Flags::DENYOOM), "{} denyoom", row.name);
        assert_eq!(
            flags.contains("blocking"),
            row.flags.has(command::Flags::BLOCKING),
            "{} blocking",
            row.name
        );
        assert_eq!(
            flags.contains("movablekeys"),
            row.flags.has(command::Flags::MOVABLE_KEYS),
            "{} keys",
            row.name
        );
        assert_eq!(
            flags.contains("write"),
            row.is_write() && !row.flags.has(command::Flags::CONTAINER),
            "{}",
            row.name
        );
    }
}
