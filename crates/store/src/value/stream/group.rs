//! Consumer groups: who has been given what, and has not acknowledged it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::StreamId;

/// A consumer group.
#[derive(Debug, Clone)]
pub struct Group {
    /// The last id delivered.
    pub last_id: StreamId,
    /// Entries read, if known.
    pub entries_read: Option<u64>,
    pending: BTreeMap<StreamId, Pending>,
    consumers: BTreeMap<Arc<[u8]>, Consumer>,
}

/// An entry that was delivered and not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Who has it.
    pub consumer: Arc<[u8]>,
    /// Unix milliseconds of the last delivery.
    pub delivery_ms: i64,
    /// Deliveries so far.
    pub count: u64,
}

/// A reader in a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consumer {
    /// Unix milliseconds when it was last seen.
    pub seen_ms: i64,
    /// Unix milliseconds when it last got or claimed something.
    pub active_ms: Option<i64>,
    owned: BTreeSet<StreamId>,
}

impl Consumer {
    /// Ids of its pending entries, in order.
    pub fn owned(&self) -> impl ExactSizeIterator<Item = StreamId> + '_ {
        self.owned.iter().copied()
    }

    /// Ids of its pending entries after this one.
    pub fn owned_after(&self, id: StreamId) -> impl Iterator<Item = StreamId> + '_ {
        self.owned.range((std::ops::Bound::Excluded(id), std::ops::Bound::Unbounded)).copied()
    }
}

impl Group {
    pub(super) fn new(last_id: StreamId, entries_read: Option<u64>) -> Self {
        Self { last_id, entries_read, pending: BTreeMap::new(), consumers: BTreeMap::new() }
    }

    pub(super) fn allocated(&self) -> usize {
        let pending = size_of::<(StreamId, Pending)>() + size_of::<StreamId>();
        let consumer = size_of::<(Arc<[u8]>, Consumer)>() + 48;
        (self.pending.len() * pending + self.consumers.len() * consumer) * 3 / 2 + 64
    }

    /// Pending entries in order.
    pub fn pending(&self) -> impl DoubleEndedIterator<Item = (StreamId, &Pending)> + ExactSizeIterator {
        self.pending.iter().map(|(id, pending)| (*id, pending))
    }

    /// Pending entries from `start` to `end`.
    pub fn pending_range(&self, start: StreamId, end: StreamId) -> impl Iterator<Item = (StreamId, &Pending)> {
        let end = end.max(start);
        self.pending.range(start..=end).map(|(id, pending)| (*id, pending))
    }

    /// A pending entry.
    #[must_use]
    pub fn find(&self, id: StreamId) -> Option<&Pending> {
        self.pending.get(&id)
    }

    /// Consumers by name.
    pub fn consumers(&self) -> impl ExactSizeIterator<Item = (&[u8], &Consumer)> {
        self.consumers.iter().map(|(name, consumer)| (&**name, consumer))
    }

    /// A consumer.
    #[must_use]
    pub fn consumer(&self, name: &[u8]) -> Option<&Consumer> {
        self.consumers.get(name)
    }

    /// Makes a consumer unless there is one of that name; whether it is new.
    pub fn create_consumer(&mut self, name: &[u8], now: i64) -> bool {
        let is_new = !self.consumers.contains_key(name);
        if is_new {
            self.consumers.insert(name.into(), Consumer { seen_ms: now, ..Consumer::default() });
        }
        is_new
    }

    /// Notes that a consumer was here.
    pub fn seen(&mut self, name: &[u8], now: i64, active: bool) {
        if let Some(consumer) = self.consumers.get_mut(name) {
            consumer.seen_ms = now;
            if active {
                consumer.active_ms = Some(now);
            }
        }
    }

    /// Sets when a consumer was seen and active, as a dump tells.
    pub(super) fn set_times(&mut self, name: &[u8], seen_ms: i64, active_ms: Option<i64>) {
        if let Some(consumer) = self.consumers.get_mut(name) {
            consumer.seen_ms = seen_ms;
            consumer.active_ms = active_ms;
        }
    }

    /// Removes a consumer with its pending entries; how many those were, `None` if there is no such consumer.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let consumer = self.consumers.remove(name)?;
        for id in &consumer.owned {
            self.pending.remove(id);
        }
        Some(consumer.owned.len())
    }

    /// Gives an entry to a consumer (which must exist), whoever had it before.
    pub fn give(&mut self, id: StreamId, consumer: &[u8], delivery_ms: i64, count: u64) {
        self.acknowledge(id);
        let Some((name, _)) = self.consumers.get_key_value(consumer) else { return };
        let name = Arc::clone(name);
        if let Some(consumer) = self.consumers.get_mut(consumer) {
            consumer.owned.insert(id);
        }
        self.pending.insert(id, Pending { consumer: name, delivery_ms, count });
    }

    /// An entry is no longer pending; whether it was.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else { return false };
        if let Some(consumer) = self.consumers.get_mut(&pending.consumer) {
            consumer.owned.remove(&id);
        }
        true
    }
}
