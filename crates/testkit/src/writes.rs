//! Everyday writes of every type at random, the same from the same seed.
//!
//! Keys come from small pools, one a type, so that writes meet each other's results; now and then a command is sent
//! to a key of another type. The commands and options are those the server knows.

mod collections;
mod keyspace;
mod streams;
mod strings;

use std::collections::BTreeMap;
use std::fmt;

use crate::batch::{Batch, Command, cmd, shown};
use crate::known::Known;
use crate::random::Random;
use crate::{Client, Reply};

/// What became of each command.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// By name: how often it was done, and how often refused (a key of another type, a full counter).
    pub commands: BTreeMap<String, (u64, u64)>,
}

impl Tally {
    /// Commands answered without an error; those inside `MULTI` are not counted.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.commands.values().map(|(done, _)| done).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.commands
            .iter()
            .try_for_each(|(name, (done, refused))| writeln!(f, "{name}: {done} done, {refused} refused"))
    }
}

/// Sends `count` random writes (transactions count as one), pipelined, in databases 0 to 3, and says what became of
/// them. Prints the seed, which a failing test then shows. The connection is left in database 0.
///
/// The commands depend only on the seed, the server's version and the streams it holds at the beginning; expiry
/// times that are short depend on the clock as well.
///
/// # Panics
/// When the connection fails, or the server calls a command malformed.
#[track_caller]
pub fn random_writes(client: &mut Client, seed: u64, count: usize) -> Tally {
    eprintln!("random_writes: seed {seed}, {count} writes");
    let known = Known::of(client);
    let mut writer = Writer {
        next_id: streams::first_free_id(client),
        random: Random::new(seed),
        known,
        db: 0,
        ids: Vec::new(),
    };
    client.call(&["SELECT", "0"]).ok();
    let mut tally = Tally::default();
    let mut batch = Batch::new(client, |command: &Command, reply: &Reply| {
        if let Some(text) = malformed(reply) {
            panic!("seed {seed}: {} gave {text}", shown(command));
        }
        if reply.as_bytes() == Some(b"QUEUED") {
            return;
        }
        let name = command.first().map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default();
        let (done, refused) = tally.commands.entry(name).or_default();
        *if reply.is_error() { refused } else { done } += 1;
    });
    for _ in 0..count {
        writer.step(&mut |command| batch.push(command));
    }
    batch.push(cmd!["SELECT", 0]);
    batch.flush();
    drop(batch);
    tally
}

/// An error that is our mistake and not the data's, also inside the answer to `EXEC`.
fn malformed(reply: &Reply) -> Option<String> {
    match reply {
        Reply::Error(text) => {
            let lower = text.to_ascii_lowercase();
            let ours =
                ["syntax", "unknown", "wrong number of arguments", "unsupported", "execabort", "unbalanced"];
            ours.iter().any(|word| lower.contains(word)).then(|| text.clone())
        }
        Reply::Array(items) => items.iter().find_map(malformed),
        _ => None,
    }
}

/// Invents commands.
struct Writer {
    random: Random,
    known: Known,
    /// The selected database.
    db: usize,
    /// Ids of our own streams only grow, over all streams.
    next_id: u64,
    /// The last ids given out, with their streams, for those who claim and acknowledge.
    ids: Vec<(String, String)>,
}

/// Pools of keys: what they hold, and how many there are.
#[derive(Clone, Copy)]
enum Pool {
    Text,
    Counter,
    Bits,
    Log,
    List,
    Set,
    Hash,
    Sorted,
    Geo,
    Stream,
    /// Streams whose ids the server makes.
    Clocked,
}

impl Pool {
    const ALL: [Self; 11] = [
        Self::Text,
        Self::Counter,
        Self::Bits,
        Self::Log,
        Self::List,
        Self::Set,
        Self::Hash,
        Self::Sorted,
        Self::Geo,
        Self::Stream,
        Self::Clocked,
    ];

    fn name_and_size(self) -> (&'static str, usize) {
        match self {
            Self::Text => ("text", 200),
            Self::Counter => ("counter", 40),
            Self::Bits => ("bits", 30),
            Self::Log => ("log", 20),
            Self::List => ("list", 60),
            Self::Set => ("set", 60),
            Self::Hash => ("hash", 80),
            Self::Sorted => ("sorted", 60),
            Self::Geo => ("geo", 10),
            Self::Stream => ("stream", streams::STREAMS),
            Self::Clocked => ("clocked", 5),
        }
    }
}

impl Writer {
    /// One write, or one transaction.
    fn step(&mut self, push: &mut dyn FnMut(Command)) {
        if self.random.one_in(40) {
            push(cmd!["MULTI"]);
            for _ in 0..=self.random.below(5) {
                push(self.write());
            }
            push(if self.random.one_in(20) { cmd!["DISCARD"] } else { cmd!["EXEC"] });
        } else if self.random.one_in(50) {
            self.db = if self.random.one_in(2) { 0 } else { self.random.below(4) };
            push(cmd!["SELECT", self.db]);
        } else if self.random.one_in(20_000) {
            // Never database 0, so that there is always something to compare.
            push(cmd!["SELECT", 3]);
            push(if self.random.one_in(2) { cmd!["FLUSHDB"] } else { cmd!["FLUSHDB", "ASYNC"] });
            push(cmd!["SELECT", self.db]);
        } else {
            push(self.write());
        }
    }

    fn write(&mut self) -> Command {
        match self.random.below(100) {
            0..22 => self.string_write(),
            22..30 => self.counter_write(),
            30..35 => self.bit_write(),
            35..37 => self.log_write(),
            37..48 => self.list_write(),
            48..57 => self.set_write(),
            57..68 => self.hash_write(),
            68..79 => self.sorted_write(),
            79..80 => self.geo_write(),
            80..90 => self.stream_write(),
            90..98 => self.keyspace_write(),
            _ => self.script(),
        }
    }

    /// A key of a pool; one in a hundred belongs to another.
    fn key(&mut self, pool: Pool) -> String {
        let pool = if self.random.one_in(100) { self.random.pick(&Pool::ALL) } else { pool };
        let (name, size) = pool.name_and_size();
        format!("w:{name}:{}", self.random.below(size))
    }

    /// Small enough that values repeat, in the pools of members and fields.
    fn member(&mut self) -> Vec<u8> {
        match self.random.below(4) {
            0 => self.random.within(-50..=200).to_string().into_bytes(),
            1 => self.random.value(),
            _ => format!("member {}", self.random.below(150)).into_bytes(),
        }
    }

    fn members(&mut self) -> Vec<Vec<u8>> {
        (0..=self.random.below(6)).map(|_| self.member()).collect()
    }

    /// A command, a key and members.
    fn with_members(&mut self, name: &str, pool: Pool) -> Command {
        let mut command = cmd![name, self.key(pool)];
        command.extend(self.members());
        command
    }

    /// An index in or near a small list.
    fn index(&mut self) -> i64 {
        self.random.within(-30..=30)
    }
}
