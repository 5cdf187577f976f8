//! One of 256 parts of a database: a directory over segments in hash order.
//!
//! ```text
//! hash, 64 bits:  | 8: shard | d: directory index | rest: slot and tag |
//! ```
//!
//! A full segment splits on its next bit; the directory doubles by copying small indices.

use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::hash_table::OccupiedEntry;

use crate::entry::{Entry, ValueRef};
use crate::hash::KeyHash;
use crate::segment::{FULL, Segment};

/// Bits of the hash that choose the shard.
pub(crate) const SHARD_BITS: u32 = 8;
/// Shards a database.
pub(crate) const SHARDS: usize = 1 << SHARD_BITS;
/// Segments stop splitting at this depth and simply grow: equal hashes would split for ever.
const DEEPEST: u8 = 24;

/// The shard of a hash.
#[inline]
pub(crate) fn shard_of(hash: u64) -> usize {
    (hash >> (64 - SHARD_BITS)) as usize
}

/// What a shard holds, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Keys, expired ones included.
    pub keys: usize,
    /// Keys with an expiry.
    pub expires: usize,
    /// Bytes of entries and values, without tables.
    pub bytes: usize,
}

impl Counts {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            keys: self.keys + other.keys,
            expires: self.expires + other.expires,
            bytes: self.bytes + other.bytes,
        }
    }

    fn add(&mut self, entry: &Entry) {
        self.keys += 1;
        self.expires += usize::from(entry.expire().is_some());
        self.bytes += entry.weight();
    }

    pub(crate) fn forget(&mut self, entry: &Entry) {
        self.keys -= 1;
        self.expires -= usize::from(entry.expire().is_some());
        self.bytes = self.bytes.saturating_sub(entry.weight());
    }
}

impl Entry {
    /// Heap bytes of the entry and its value.
    #[inline]
    #[must_use]
    pub fn weight(&self) -> usize {
        self.allocated()
            + match self.value() {
                ValueRef::Inline(_) => 0,
                ValueRef::Owned(value) => value.allocated(),
            }
    }
}

/// Keys whose hashes share their top eight bits.
#[derive(Debug, Default)]
pub struct Shard {
    bits: u8,
    /// The last snapshot that has taken all of it (see `snapshot.rs`).
    epoch: AtomicU32,
    directory: Vec<u32>,
    segments: Vec<Segment>,
    counts: Counts,
}

impl Shard {
    /// Keys and bytes.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Bytes of tables and directory.
    #[must_use]
    pub fn overhead(&self) -> usize {
        self.directory.capacity() * size_of::<u32>()
            + self.segments.capacity() * size_of::<Segment>()
            + self.segments.iter().map(Segment::allocated).sum::<usize>()
    }

    /// Places for keys.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.segments.iter().map(Segment::slots).sum()
    }

    /// The entry of `key`.
    #[inline]
    #[must_use]
    pub fn get(&self, hash: u64, key: &[u8]) -> Option<&Entry> {
        self.segments.get(self.segment_of(hash))?.find(hash, key)
    }

    /// The place of `key`, with the counters beside it.
    #[inline]
    pub(crate) fn occupied(
        &mut self,
        hash: u64,
        key: &[u8],
    ) -> Option<(OccupiedEntry<'_, Entry>, &mut Counts)> {
        let at = self.segment_of(hash);
        Some((self.segments.get_mut(at)?.occupied(hash, key)?, &mut self.counts))
    }

    /// Puts in an entry, in place of any with the same key; answers the old one.
    pub(crate) fn insert(&mut self, hash: u64, entry: Entry, hasher: &KeyHash) -> Option<Entry> {
        self.counts.add(&entry);
        let at = self.segment_of(hash);
        if let Some(old) = self.segments.get_mut(at).and_then(|s| s.find_mut(hash, entry.key())) {
            let old = std::mem::replace(old, entry);
            self.counts.forget(&old);
            return Some(old);
        }
        self.make_room(hash, hasher).insert(hash, entry, hasher);
        None
    }

    /// Takes out the entry of `key`.
    pub(crate) fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        let (place, counts) = self.occupied(hash, key)?;
        let (entry, _) = place.remove();
        counts.forget(&entry);
        Some(entry)
    }

    /// Sets the expiry of `key`; false if it is not there.
    pub(crate) fn set_expire(&mut self, hash: u64, key: &[u8], expire: Option<i64>) -> bool {
        let Some((mut place, counts)) = self.occupied(hash, key) else { return false };
        let entry = place.get_mut();
        counts.forget(entry);
        entry.set_expire(expire);
        counts.add(entry);
        true
    }

    /// Entries in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.segments.iter().flat_map(Segment::iter)
    }

    /// Segments in hash order; each with the first hash after it (`None`: the shard ends there).
    pub(crate) fn line_from(&self, hash: u64) -> Option<(&Segment, Option<u64>)> {
        let segment = self.segments.get(self.segment_of(hash))?;
        let width = 64 - SHARD_BITS - u32::from(segment.depth);
        let first = if width == 64 { 0 } else { hash >> width };
        let next = (first + 1).checked_shl(width).filter(|n| *n != 0 && n >> width == first + 1);
        Some((segment, next.filter(|n| shard_of(*n) == shard_of(hash))))
    }

    /// The segment of `hash` if the snapshot of this epoch has not taken it; it counts as taken from now on.
    pub(crate) fn take_turn(&self, hash: u64, epoch: u32) -> Option<&Segment> {
        if self.epoch.load(Ordering::Relaxed) >= epoch {
            return None;
        }
        let Some(segment) = self.segments.get(self.segment_of(hash)) else {
            // What comes to be here is younger than the cut.
            self.epoch.store(epoch, Ordering::Relaxed);
            return None;
        };
        // The shard's lock orders these: whoever writes holds it alone, the walker shares it with readers.
        (segment.epoch.load(Ordering::Relaxed) < epoch).then(|| {
            segment.epoch.store(epoch, Ordering::Relaxed);
            segment
        })
    }

    /// Whether the snapshot of this epoch has not taken all of it.
    pub(crate) fn is_older(&self, epoch: u32) -> bool {
        self.epoch.load(Ordering::Relaxed) < epoch
            && self.segments.iter().any(|s| s.epoch.load(Ordering::Relaxed) < epoch && s.len() > 0)
    }

    /// Its contents are younger than the cut of this epoch.
    pub(crate) fn renew(&mut self, epoch: u32) {
        *self.epoch.get_mut() = epoch;
    }

    #[inline]
    fn segment_of(&self, hash: u64) -> usize {
        let index = hash << SHARD_BITS >> 1 >> (63 - u32::from(self.bits));
        self.directory.get(index as usize).map_or(usize::MAX, |at| *at as usize)
    }

    fn make_room(&mut self, hash: u64, hasher: &KeyHash) -> &mut Segment {
        if self.segments.is_empty() {
            self.segments.push(Segment::new(0));
            self.directory = vec![0];
        }
        loop {
            let at = self.segment_of(hash);
            if self.segments[at].len() < FULL || self.segments[at].depth >= DEEPEST {
                return &mut self.segments[at];
            }
            self.split(at, hash, hasher);
        }
    }

    fn split(&mut self, at: usize, hash: u64, hasher: &KeyHash) {
        let depth = self.segments[at].depth;
        if depth == self.bits {
            self.directory = self.directory.iter().flat_map(|index| [*index, *index]).collect();
            self.bits += 1;
        }
        let upper = self.segments[at].split(hasher, 63 - SHARD_BITS - u32::from(depth));
        let new = self.segments.len() as u32;
        self.segments.push(upper);
        // The directory entries of the old segment are a run; its upper half now belongs to the new one.
        let run = 1_usize << (self.bits - depth);
        let index = (hash << SHARD_BITS >> 1 >> (63 - u32::from(self.bits))) as usize;
        let start = index / run * run;
        self.directory[start + run / 2..start + run].fill(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_keep_every_key_findable_and_the_line_ordered() {
        let hasher = KeyHash::new(1);
        let mut shard = Shard::default();
        let keys: Vec<[u8; 4]> =
            (0..1_000_000_u32).map(u32::to_le_bytes).filter(|k| shard_of(hasher.hash(k)) == 3).collect();
        for key in &keys {
            assert!(shard.insert(hasher.hash(key), Entry::inline(key, b"v", None), &hasher).is_none());
        }
        assert!(shard.segments.len() > 4);
        assert_eq!(shard.counts().keys, keys.len());
        for key in &keys {
            assert_eq!(shard.get(hasher.hash(key), key).unwrap().key(), key);
        }
        let (mut at, mut seen) = (Some(3 << 56), 0);
        while let Some(hash) = at {
            let (segment, next) = shard.line_from(hash).unwrap();
            for e in segment.iter() {
                let h = hasher.hash(e.key());
                assert!(h >= hash && next.is_none_or(|n| h < n));
                seen += 1;
            }
            at = next;
        }
        assert_eq!(seen, keys.len());
        for key in &keys {
            assert!(shard.remove(hasher.hash(key), key).is_some());
        }
        assert_eq!(shard.counts(), Counts::default());
    }
}
