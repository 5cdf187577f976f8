//! Producers that name their entries (Redis 8.6): an entry that comes twice is added once. No server that we claim to
//! be offers it to clients, but a primary's stream and dump may bring it, and what it remembers is kept.

use std::collections::{BTreeMap, VecDeque};

use rdb::StreamId;

/// What a remembered name costs beside its bytes.
const NAME: usize = size_of::<(Box<[u8]>, StreamId)>() * 4 / 3;
/// What a producer costs beside its name.
const PRODUCER: usize = (size_of::<Box<[u8]>>() + size_of::<Names>()) * 3 / 2;

/// Names of entries, oldest first.
type Names = VecDeque<(Box<[u8]>, StreamId)>;

/// What the producers of a stream have named.
#[derive(Debug, Clone)]
pub struct Producers {
    /// How long a name is remembered, in seconds.
    pub duration_seconds: u64,
    /// How many names of a producer are remembered.
    pub max_entries: u64,
    /// Names ever added.
    pub added: u64,
    /// Duplicates ever recognised.
    pub duplicates: u64,
    by_name: BTreeMap<Box<[u8]>, Names>,
    bytes: usize,
}

impl Default for Producers {
    fn default() -> Self {
        Self {
            duration_seconds: 100,
            max_entries: 100,
            added: 0,
            duplicates: 0,
            by_name: BTreeMap::new(),
            bytes: 0,
        }
    }
}

impl Producers {
    /// Heap bytes, O(1).
    #[must_use]
    pub fn allocated(&self) -> usize {
        size_of::<Self>() + self.bytes
    }

    /// Producers that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Producers by name, each with its names of entries, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], impl ExactSizeIterator<Item = (&[u8], StreamId)>)> {
        self.by_name
            .iter()
            .map(|(producer, names)| (&**producer, names.iter().map(|(name, id)| (&**name, *id))))
    }

    /// The entry that a producer's name stands for. O(names of the producer).
    #[must_use]
    pub fn find(&self, producer: &[u8], name: &[u8]) -> Option<StreamId> {
        let names = self.by_name.get(producer)?;
        names.iter().rev().find(|(known, _)| **known == *name).map(|(_, id)| *id)
    }

    /// Remembers a name as a dump tells it: nothing is counted or forgotten.
    pub fn load(&mut self, producer: &[u8], name: &[u8], id: StreamId) {
        if !self.by_name.contains_key(producer) {
            self.bytes += PRODUCER + producer.len();
            self.by_name.insert(producer.into(), Names::new());
        }
        if let Some(names) = self.by_name.get_mut(producer) {
            names.push_back((name.into(), id));
            self.bytes += NAME + name.len();
        }
    }

    /// Remembers the name of a new entry, and forgets what is too old beside it or too many.
    pub fn record(&mut self, producer: &[u8], name: &[u8], id: StreamId) {
        if self.find(producer, name).is_some() {
            return;
        }
        self.load(producer, name, id);
        self.added = self.added.saturating_add(1);
        let oldest = id.ms.saturating_sub(self.duration_seconds.saturating_mul(1000));
        let most = usize::try_from(self.max_entries).unwrap_or(usize::MAX);
        let Some(names) = self.by_name.get_mut(producer) else { return };
        while names.len() > most || names.front().is_some_and(|(_, id)| id.ms < oldest) {
            if let Some((name, _)) = names.pop_front() {
                self.bytes = self.bytes.saturating_sub(NAME + name.len());
            }
        }
    }

    /// Sets how long and how many; a change forgets every name. Whether there was one.
    pub fn configure(&mut self, duration_seconds: Option<u64>, max_entries: Option<u64>) -> bool {
        let duration_seconds = duration_seconds.unwrap_or(self.duration_seconds);
        let max_entries = max_entries.unwrap_or(self.max_entries);
        if (duration_seconds, max_entries) == (self.duration_seconds, self.max_entries) {
            return false;
        }
        (self.duration_seconds, self.max_entries) = (duration_seconds, max_entries);
        self.by_name.clear();
        self.bytes = 0;
        true
    }
}

/// The name of an entry that is named by what it holds, in whatever order. Which hash real servers take is not known
/// to us; a primary says itself which entries it found to be duplicates.
#[must_use]
pub fn name_of<'f>(fields: impl Iterator<Item = (&'f [u8], &'f [u8])>) -> [u8; 16] {
    // FNV-1a, the sums of all pairs: order does not matter.
    let mut sum = 0_u128;
    for (field, value) in fields {
        let lengths = (field.len() as u64).to_le_bytes();
        let bytes = lengths.iter().chain(field).chain(value);
        sum = sum.wrapping_add(bytes.fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash: u128, byte| {
            (hash ^ u128::from(*byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013B)
        }));
    }
    sum.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(ms: u64) -> StreamId {
        StreamId { ms, seq: 0 }
    }

    #[test]
    fn names_are_remembered_up_to_a_number_and_an_age() {
        let mut producers = Producers::default();
        producers.configure(Some(10), Some(3));
        for ms in 1..=5 {
            producers.record(b"p", ms.to_string().as_bytes(), id(ms));
        }
        producers.record(b"q", b"5", id(6));
        assert_eq!(producers.find(b"p", b"2"), None);
        assert_eq!(producers.find(b"p", b"3"), Some(id(3)));
        assert_eq!((producers.len(), producers.added), (2, 6));
        producers.record(b"p", b"late", id(10_004));
        assert_eq!(producers.find(b"p", b"3"), None);
        assert_eq!(producers.find(b"p", b"4"), Some(id(4)));
        assert!(!producers.configure(Some(10), None));
        assert!(producers.configure(None, Some(4)));
        assert!(producers.is_empty());
        assert_eq!(producers.allocated(), Producers::default().allocated());
        assert_eq!(producers.added, 7);
    }

    #[test]
    fn the_order_of_fields_is_no_part_of_a_name() {
        let pairs: [(&[u8], &[u8]); 2] = [(b"a", b"1"), (b"b", b"2")];
        let turned: [(&[u8], &[u8]); 2] = [(b"b", b"2"), (b"a", b"1")];
        let other: [(&[u8], &[u8]); 2] = [(b"a", b"2"), (b"b", b"1")];
        assert_eq!(name_of(pairs.into_iter()), name_of(turned.into_iter()));
        assert_ne!(name_of(pairs.into_iter()), name_of(other.into_iter()));
    }
}
