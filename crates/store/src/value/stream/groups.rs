//! Consumer groups: what was delivered, to whom, and what is not yet acknowledged.

use std::sync::Arc;

use rdb::StreamId;

use crate::value::sorted::Sorted;

/// What the counts of a shared name take.
const COUNTS: usize = 16;

/// The groups of a stream, by name.
#[derive(Debug, Default, Clone)]
pub struct Groups {
    by_name: Sorted<Box<[u8]>, Group>,
    /// Heap bytes of the names and of what the groups have.
    bytes: usize,
}

impl Groups {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Heap bytes, O(1).
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.bytes + self.by_name.allocated()
    }

    /// A group.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&Group> {
        self.by_name.get(name)
    }

    /// Groups and their names, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &Group)> {
        self.by_name.iter().map(|(name, group)| (&**name, group))
    }

    /// Adds a group; false if there is one of that name.
    pub fn create(&mut self, name: &[u8], group: Group) -> bool {
        if self.by_name.contains_key(name) {
            return false;
        }
        self.bytes += name.len() + group.allocated();
        self.by_name.insert(name.into(), group);
        true
    }

    /// Removes a group; whether it was there.
    pub fn destroy(&mut self, name: &[u8]) -> bool {
        let Some(group) = self.by_name.remove(name) else { return false };
        self.bytes = self.bytes.saturating_sub(name.len() + group.allocated());
        true
    }

    /// Changes a group, if it is there, and accounts for the memory.
    pub fn edit<R>(&mut self, name: &[u8], f: impl FnOnce(&mut Group) -> R) -> Option<R> {
        let group = self.by_name.get_mut(name)?;
        let before = group.allocated();
        let result = f(group);
        self.bytes = (self.bytes + group.allocated()).saturating_sub(before);
        Some(result)
    }
}

/// A group: every entry goes to one of its consumers.
#[derive(Debug, Default, Clone)]
pub struct Group {
    /// The last id delivered.
    pub last_id: StreamId,
    /// How many entries were read, if that is known.
    pub entries_read: Option<u64>,
    pending: Sorted<StreamId, Pending>,
    consumers: Sorted<Arc<[u8]>, Consumer>,
    name_bytes: usize,
}

/// A delivery that was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// To whom.
    pub consumer: Arc<[u8]>,
    /// Unix milliseconds of the last delivery.
    pub delivery_ms: i64,
    /// Deliveries so far.
    pub count: u64,
}

/// A consumer of a group.
#[derive(Debug, Default, Clone)]
pub struct Consumer {
    /// Unix milliseconds of its last attempt to get entries.
    pub seen_ms: i64,
    /// Unix milliseconds when it last got some; `None`: never.
    pub active_ms: Option<i64>,
    pending: Sorted<StreamId, ()>,
}

impl Consumer {
    /// Ids of its pending entries.
    #[must_use]
    pub fn pending(&self) -> &Sorted<StreamId, ()> {
        &self.pending
    }
}

impl Group {
    /// A group without consumers.
    #[must_use]
    pub fn new(last_id: StreamId, entries_read: Option<u64>) -> Self {
        Self { last_id, entries_read, ..Self::default() }
    }

    /// Heap bytes, O(1).
    fn allocated(&self) -> usize {
        // What is pending stands once more with its consumer, by id alone.
        let owned = self.pending.allocated() / size_of::<(StreamId, Pending)>() * size_of::<StreamId>();
        self.pending.allocated() + owned + self.consumers.allocated() + self.name_bytes
    }

    /// Pending entries, by id.
    #[must_use]
    pub fn pending(&self) -> &Sorted<StreamId, Pending> {
        &self.pending
    }

    /// How many consumers there are.
    #[must_use]
    pub fn consumer_count(&self) -> usize {
        self.consumers.len()
    }

    /// Consumers and their names, by name.
    pub fn consumers(&self) -> impl ExactSizeIterator<Item = (&[u8], &Consumer)> {
        self.consumers.iter().map(|(name, consumer)| (&**name, consumer))
    }

    /// A consumer.
    #[must_use]
    pub fn consumer(&self, name: &[u8]) -> Option<&Consumer> {
        self.consumers.get(name)
    }

    /// Makes a consumer, seen now; false if there is one of that name.
    pub fn create_consumer(&mut self, name: &[u8], now: i64) -> bool {
        if self.consumers.contains_key(name) {
            return false;
        }
        self.name_bytes += COUNTS + name.len();
        self.consumers.insert(name.into(), Consumer { seen_ms: now, ..Consumer::default() });
        true
    }

    /// Notes when a consumer was seen, and whether it got something.
    pub fn touch(&mut self, name: &[u8], now: i64, active: bool) {
        if let Some(consumer) = self.consumers.get_mut(name) {
            consumer.seen_ms = now;
            if active {
                consumer.active_ms = Some(now);
            }
        }
    }

    pub(super) fn set_active(&mut self, name: &[u8], active_ms: Option<i64>) {
        if let Some(consumer) = self.consumers.get_mut(name) {
            consumer.active_ms = active_ms;
        }
    }

    /// Removes a consumer with what is pending for it; how much that was.
    pub fn delete_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let consumer = self.consumers.remove(name)?;
        self.name_bytes = self.name_bytes.saturating_sub(COUNTS + name.len());
        for id in consumer.pending.keys() {
            self.pending.remove(id);
        }
        Some(consumer.pending.len())
    }

    /// Makes an entry pending for a consumer, which is there, whoever had it before.
    pub fn assign(&mut self, id: StreamId, name: &[u8], delivery_ms: i64, count: u64) {
        let Some((name, consumer)) = self
            .consumers
            .get_key_value(name)
            .map(|(name, _)| name.clone())
            .and_then(|name| self.consumers.get_mut(&name).map(|consumer| (name, consumer)))
        else {
            return;
        };
        consumer.pending.insert(id, ());
        let old = self.pending.insert(id, Pending { consumer: Arc::clone(&name), delivery_ms, count });
        if let Some(old) = old.filter(|old| old.consumer != name)
            && let Some(loser) = self.consumers.get_mut(&old.consumer)
        {
            loser.pending.remove(&id);
        }
    }

    /// Counts one more delivery of an entry to the consumer that has it.
    pub fn deliver_again(&mut self, id: StreamId, now: i64) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.delivery_ms = now;
            pending.count = pending.count.saturating_add(1);
        }
    }

    /// Acknowledges an entry; whether it was pending.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(old) = self.pending.remove(&id) else { return false };
        if let Some(consumer) = self.consumers.get_mut(&old.consumer) {
            consumer.pending.remove(&id);
        }
        true
    }
}
