//! A stream, piece by piece.

use super::EncodeError;
use super::bytes::Bytes;
use crate::encoding::Listpack;
use crate::visitor::{StreamId, StreamIdmp, StreamMeta};

/// Writes a stream in the order of the format: nodes, figures, for each group its pending entries and
/// consumers, then the producers.
/// The counts announced must be the counts that follow.
///
/// ```text
/// node* figures (group pending* consumers (consumer owned*)*)* producers (producer iid*)* counters
/// ```
#[derive(Debug)]
pub struct StreamEncoder<'e> {
    type_byte: u8,
    out: &'e mut Bytes,
}

impl<'e> StreamEncoder<'e> {
    pub(super) fn new(type_byte: u8, out: &'e mut Bytes) -> Self {
        Self { type_byte, out }
    }

    fn id(&mut self, id: StreamId) {
        self.out.len(id.ms);
        self.out.len(id.seq);
    }

    fn raw_id(&mut self, id: StreamId) {
        self.out.raw(&id.ms.to_be_bytes());
        self.out.raw(&id.seq.to_be_bytes());
    }

    /// A node; they ascend.
    pub fn node(&mut self, id: StreamId, listpack: Listpack<'_>) {
        self.out.len(16);
        self.raw_id(id);
        self.out.string(listpack.as_bytes());
    }

    /// What stands behind the nodes, and how many groups follow. Version 9 cannot say all of it.
    pub fn figures(&mut self, meta: &StreamMeta, groups: usize) {
        self.out.len(meta.length);
        self.id(meta.last_id);
        if self.type_byte >= 19 {
            self.id(meta.first_id);
            self.id(meta.max_deleted_id);
            self.out.len(meta.entries_added);
        }
        self.out.len(groups as u64);
    }

    /// A group and how many pending entries follow.
    pub fn group(&mut self, name: &[u8], last_id: StreamId, entries_read: Option<u64>, pending: usize) {
        self.out.string(name);
        self.id(last_id);
        if self.type_byte >= 19 {
            self.out.len(entries_read.unwrap_or(u64::MAX));
        }
        self.out.len(pending as u64);
    }

    /// A pending entry of the group; they ascend.
    pub fn pending(&mut self, id: StreamId, delivery_ms: i64, count: u64) {
        self.raw_id(id);
        self.out.raw(&delivery_ms.to_le_bytes());
        self.out.len(count);
    }

    /// How many consumers the group has: after its pending entries, also if there are none.
    pub fn consumers(&mut self, consumers: usize) {
        self.out.len(consumers as u64);
    }

    /// A consumer and how many of the group's pending entries are its own: their ids follow.
    pub fn consumer(&mut self, name: &[u8], seen_ms: i64, active_ms: Option<i64>, owned: usize) {
        self.out.string(name);
        self.out.raw(&seen_ms.to_le_bytes());
        if self.type_byte >= 21 {
            self.out.raw(&active_ms.unwrap_or(-1).to_le_bytes());
        }
        self.out.len(owned as u64);
    }

    /// A pending entry of the consumer.
    pub fn owned(&mut self, id: StreamId) {
        self.raw_id(id);
    }

    /// Settings of idempotent producers and how many follow: after the groups, also if there are none.
    ///
    /// # Errors
    /// [`EncodeError::Producers`] if there are any, and the version cannot say so (before Redis 8.6).
    pub fn producers(&mut self, settings: &StreamIdmp, producers: usize) -> Result<(), EncodeError> {
        if self.type_byte >= 26 {
            self.out.len(settings.duration_seconds);
            self.out.len(settings.max_entries);
            self.out.len(producers as u64);
        } else if producers > 0 {
            return Err(EncodeError::Producers);
        }
        Ok(())
    }

    /// A producer and how many names it has given to entries: they follow, oldest first.
    pub fn producer(&mut self, name: &[u8], iids: usize) {
        if self.type_byte >= 26 {
            self.out.string(name);
            self.out.len(iids as u64);
        }
    }

    /// A name that the producer gave to an entry.
    pub fn iid(&mut self, iid: &[u8], id: StreamId) {
        if self.type_byte >= 26 {
            self.out.string(iid);
            self.id(id);
        }
    }

    /// What producers did so far: the end of the stream.
    pub fn counters(&mut self, figures: &StreamIdmp) {
        if self.type_byte >= 26 {
            self.out.len(figures.iids_added);
            self.out.len(figures.duplicates);
        }
    }
}
