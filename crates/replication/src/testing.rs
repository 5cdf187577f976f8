//! A target that remembers what it was told, for tests of links and of what stands on them.

use crate::position::{Offset, Position, ReplId};
use crate::target::{Batch, Target};
use rdb::{EntryMeta, Part, Reject, Visitor, Want};

/// What reached a target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// A dump was complete.
    FullSync {
        /// What it stands for.
        position: Position,
        /// Its string keys with database and value; other kinds have an empty value.
        keys: Vec<(u64, Vec<u8>, Vec<u8>)>,
    },
    /// The history has a new id.
    ReplIdChanged(ReplId),
    /// A batch.
    Apply {
        /// The database before its first command.
        db: u32,
        /// Each command's arguments.
        commands: Vec<Vec<Vec<u8>>>,
        /// Whether it was a transaction.
        transaction: bool,
        /// The offset after it.
        end: Offset,
    },
    /// The offset moved without a command.
    Advance(Offset),
}

/// A [`Target`] that keeps every call.
#[derive(Debug, Default)]
pub struct Recorder {
    /// What came, in order.
    pub calls: Vec<Call>,
    /// Full syncs that began, finished or not.
    pub begun: usize,
    /// The bytes of the stream, as they are passed on to replicas of this one.
    pub raw: Vec<u8>,
}

impl Recorder {
    /// The calls as lines of text, for comparisons that a human reads: `apply db=0 end=41 SET k v`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.calls.iter().map(Call::line).collect()
    }

    /// Every command applied, in order, as its words with the database in front: `0 SET k v`.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        let mut all = Vec::new();
        for call in &self.calls {
            if let Call::Apply { db, commands, .. } = call {
                all.extend(commands.iter().map(|command| format!("{db} {}", words(command))));
            }
        }
        all
    }
}

impl Call {
    fn line(&self) -> String {
        match self {
            Self::FullSync { position, keys } => {
                let keys: Vec<String> = keys
                    .iter()
                    .map(|(db, key, value)| format!("{db}/{}={}", key.escape_ascii(), value.escape_ascii()))
                    .collect();
                format!("full-sync {position} [{}]", keys.join(" "))
            }
            Self::ReplIdChanged(replid) => format!("replid-changed {replid}"),
            Self::Apply { db, commands, transaction, end } => {
                let commands: Vec<String> = commands.iter().map(|command| words(command)).collect();
                let verb = if *transaction { "transaction" } else { "apply" };
                format!("{verb} db={db} end={end} {}", commands.join("; "))
            }
            Self::Advance(end) => format!("advance end={end}"),
        }
    }
}

fn words(command: &[Vec<u8>]) -> String {
    let words: Vec<String> = command.iter().map(|arg| arg.escape_ascii().to_string()).collect();
    words.join(" ")
}

/// The loader of a [`Recorder`].
#[derive(Debug, Default)]
pub struct RecordedDump {
    keys: Vec<(u64, Vec<u8>, Vec<u8>)>,
    ended: bool,
}

impl Target for Recorder {
    type Loader = RecordedDump;

    fn begin_full_sync(&mut self) -> RecordedDump {
        self.begun += 1;
        RecordedDump::default()
    }

    fn finish_full_sync(&mut self, loader: RecordedDump, replid: ReplId, offset: Offset) {
        assert!(loader.ended, "a dump that has not ended must not be taken over");
        self.calls.push(Call::FullSync { position: Position { replid, offset }, keys: loader.keys });
    }

    fn replid_changed(&mut self, replid: ReplId) {
        self.calls.push(Call::ReplIdChanged(replid));
    }

    fn gathers(&self) -> usize {
        5
    }

    fn apply(&mut self, batch: Batch<'_>) {
        if !batch.transaction && batch.commands.len() > 1 {
            // Whole each, as if they had come alone.
            let (first, others) = batch.split_at(1);
            self.apply(first);
            return self.apply(others);
        }
        self.raw.extend_from_slice(batch.raw);
        self.calls.push(Call::Apply {
            db: batch.db,
            commands: batch
                .commands
                .iter()
                .map(|command| command.iter().map(<[u8]>::to_vec).collect())
                .collect(),
            transaction: batch.transaction,
            end: batch.end,
        });
    }

    fn advance(&mut self, end: Offset, _: u32, raw: &[u8]) {
        self.raw.extend_from_slice(raw);
        self.calls.push(Call::Advance(end));
    }
}

impl Visitor for RecordedDump {
    fn entry(&mut self, key: &[u8], meta: &EntryMeta) -> Result<Want, Reject> {
        self.keys.push((meta.db, key.to_vec(), Vec::new()));
        Ok(Want::Elements)
    }

    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        if let (Part::String { bytes, .. }, Some((_, _, value))) = (part, self.keys.last_mut()) {
            value.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Reject> {
        self.ended = true;
        Ok(())
    }
}
