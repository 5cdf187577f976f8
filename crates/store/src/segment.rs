//! A table of at most 448 neighbours in hash order.

use std::sync::atomic::AtomicU32;

use hashbrown::HashTable;
use hashbrown::hash_table::OccupiedEntry;

use crate::entry::Entry;
use crate::hash::KeyHash;

/// A fuller segment splits: 7/8 of 512 slots.
pub(crate) const FULL: usize = 448;

/// The table takes a tag from the top seven bits and the bucket from the low ones. Inside a segment the
/// top bits are all alike, so the hash is turned until both come from bits that differ.
#[inline]
fn turned(hash: u64) -> u64 {
    hash.rotate_left(40)
}

/// The entries whose hash begins with the same bits.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    /// How many bits below the shard's the entries share.
    pub(crate) depth: u8,
    /// The last snapshot that has taken it (see `snapshot.rs`).
    pub(crate) epoch: AtomicU32,
    table: HashTable<Entry>,
}

impl Segment {
    pub(crate) fn new(depth: u8) -> Self {
        Self { depth, epoch: AtomicU32::new(0), table: HashTable::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Places for entries.
    pub(crate) fn slots(&self) -> usize {
        self.table.num_buckets()
    }

    /// Slots and tags, in bytes.
    pub(crate) fn allocated(&self) -> usize {
        self.table.allocation_size()
    }

    #[inline]
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<&Entry> {
        self.table.find(turned(hash), |e| e.key() == key)
    }

    #[inline]
    pub(crate) fn find_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut Entry> {
        self.table.find_mut(turned(hash), |e| e.key() == key)
    }

    #[inline]
    pub(crate) fn occupied(&mut self, hash: u64, key: &[u8]) -> Option<OccupiedEntry<'_, Entry>> {
        self.table.find_entry(turned(hash), |e| e.key() == key).ok()
    }

    /// Puts in an entry whose key is not there.
    #[inline]
    pub(crate) fn insert(&mut self, hash: u64, entry: Entry, hasher: &KeyHash) -> &mut Entry {
        self.table.insert_unique(turned(hash), entry, |e| turned(hasher.hash(e.key()))).into_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.table.iter()
    }

    /// Moves the upper half, by the bit after the shared ones, into a new segment.
    pub(crate) fn split(&mut self, hasher: &KeyHash, bit: u32) -> Self {
        let epoch = AtomicU32::new(*self.epoch.get_mut());
        let mut upper = Self { depth: self.depth + 1, epoch, table: HashTable::with_capacity(FULL / 2) };
        let mut lower = HashTable::with_capacity(FULL / 2);
        for entry in self.table.drain() {
            let hash = hasher.hash(entry.key());
            let table = if hash >> bit & 1 == 1 { &mut upper.table } else { &mut lower };
            table.insert_unique(turned(hash), entry, |e| turned(hasher.hash(e.key())));
        }
        self.depth += 1;
        self.table = lower;
        upper
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tag trap: without the turn, a miss in a segment compares a dozen keys.
    #[test]
    fn a_miss_compares_almost_no_key() {
        let hasher = KeyHash::new(7);
        let mut segment = Segment::new(8);
        let mut n = 0_u32;
        while segment.len() < FULL {
            let key = n.to_le_bytes();
            let hash = hasher.hash(&key);
            if hash >> 48 == 0 {
                segment.insert(hash, Entry::inline(&key, b"", None), &hasher);
            }
            n += 1;
            if n.is_multiple_of(1 << 22) {
                break;
            }
        }
        let (mut compared, mut looked) = (0, 0);
        for m in n..n + (1 << 22) {
            let hash = hasher.hash(&m.to_le_bytes());
            if hash >> 48 == 0 {
                looked += 1;
                let _ = segment.table.find(turned(hash), |_| {
                    compared += 1;
                    false
                });
            }
        }
        assert!(looked > 10, "{looked}");
        assert!(compared * 2 < looked, "{compared} keys compared in {looked} misses");
    }
}
