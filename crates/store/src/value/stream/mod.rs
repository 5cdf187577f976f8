//! Streams: entries by id, and the groups that consume them.
//!
//! ```text
//! Stream --- Log ---- Sorted<base id, node>        a node: a listpack of entries that share field names
//!    |        '------ last id, highest deleted id, entries ever added
//!    '------ Groups - Sorted<name, Group>
//!                        |-- last delivered id, entries read
//!                        |-- pending: Sorted<id, (consumer, when, how often)>
//!                        '-- consumers: Sorted<name, (seen, active, own pending ids)>
//! ```
//!
//! The log and the groups are apart because most operations read one while they change the other.

mod groups;
mod load;
mod log;
mod producers;
mod references;
mod save;
#[cfg(test)]
mod tests;

pub use groups::{Consumer, Group, Groups, Pending};
pub use load::StreamLoader;
pub use log::{Log, Trim};
pub use producers::{Producers, name_of};
pub use rdb::StreamId;
pub use references::References;

/// The largest id.
pub const MAX_ID: StreamId = StreamId { ms: u64::MAX, seq: u64::MAX };
/// The smallest id, which no entry has.
pub const MIN_ID: StreamId = StreamId { ms: 0, seq: 0 };

/// A stream.
#[derive(Debug, Default, Clone)]
pub struct Stream {
    /// The entries.
    pub log: Log,
    /// The groups.
    pub groups: Groups,
    /// What producers have named; few streams have any.
    pub producers: Option<Box<Producers>>,
}

impl Stream {
    /// Entries.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.log.len()).unwrap_or(usize::MAX)
    }

    /// Whether there is no entry; such a stream stays a key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    /// The name that OBJECT ENCODING tells.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        "stream"
    }

    /// Heap bytes, O(1).
    #[must_use]
    pub fn allocated(&self) -> usize {
        let producers = self.producers.as_ref().map_or(0, |producers| producers.allocated());
        size_of::<Self>() + self.log.allocated() + self.groups.allocated() + producers
    }
}

/// The id after this one; none after the largest.
#[must_use]
pub fn next_id(id: StreamId) -> Option<StreamId> {
    match (id.ms, id.seq) {
        (u64::MAX, u64::MAX) => None,
        (ms, u64::MAX) => Some(StreamId { ms: ms + 1, seq: 0 }),
        (ms, seq) => Some(StreamId { ms, seq: seq + 1 }),
    }
}

/// The id before this one; none before 0-0.
#[must_use]
pub fn previous_id(id: StreamId) -> Option<StreamId> {
    match (id.ms, id.seq) {
        (0, 0) => None,
        (ms, 0) => Some(StreamId { ms: ms - 1, seq: u64::MAX }),
        (ms, seq) => Some(StreamId { ms, seq: seq - 1 }),
    }
}
