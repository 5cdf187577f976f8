//! One of 256 parts of a database: a directory over segments in hash order.
//!
//! ```text
//! hash, 64 bits:  | 8: shard | d: directory index | rest: slot and tag |
//! ```
//!
//! A full segment splits on its next bit; the directory doubles by copying small indices. Two neighbours that would
//! fill less than half of one become one again, so deletions give memory back and never leave a long empty line.
//!
//! What is here needs the shard's lock. `cell.rs` has the reads that do without: they walk `directory` and the
//! buckets it leads to, so whatever those readers may see is retired to the graveyard instead of freed.

mod array;
mod cell;
mod fetch;
pub(crate) mod protocol;
mod table;

use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use array::Array;
pub(crate) use cell::{Cell, Exclusive, approach};
pub(crate) use table::BELOW_TAG;
use table::{Bucket, TAG_BITS, Table, fetch_bucket, fetch_entry};

use crate::deadlines::Deadlines;
use crate::entry::{Entry, EntryRef, ValueRef};
use crate::exchange::Pending;
use crate::graveyard::{self, Gone};
use crate::hash::KeyHash;
use crate::value::Value;

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
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            keys: self.keys + other.keys,
            expires: self.expires + other.expires,
            bytes: self.bytes + other.bytes,
        }
    }

    fn add(&mut self, entry: EntryRef<'_>) {
        self.keys += 1;
        self.expires += usize::from(entry.expire().is_some());
        self.bytes += entry.weight();
    }

    fn forget(&mut self, entry: EntryRef<'_>) {
        self.keys -= 1;
        self.expires -= usize::from(entry.expire().is_some());
        self.bytes = self.bytes.saturating_sub(entry.weight());
    }
}

/// When an entry is due: it, or the first of its fields.
fn due_at(entry: EntryRef<'_>) -> Option<i64> {
    let fields = match entry.value() {
        ValueRef::Owned(value) => value.next_deadline(),
        ValueRef::Inline(_) => None,
    };
    entry.expire().into_iter().chain(fields).min()
}

/// A segment with more entries splits: 15/16 of 512 slots.
const FULL: usize = 480;
/// With so many entries expected on average, few segments split.
const MEAN: usize = FULL - 48;
/// Neighbours with fewer entries between them become one segment.
const MERGED: usize = 192;

/// The entries whose hash begins with the same bits.
#[derive(Debug)]
pub(crate) struct Segment {
    /// How many bits below the shard's the entries share.
    depth: u8,
    /// The last snapshot that has taken it (see `snapshot.rs`).
    epoch: AtomicU32,
    table: Table,
}

impl Segment {
    fn new(depth: u8, epoch: u32, table: Table) -> Self {
        Self { depth, epoch: AtomicU32::new(epoch), table }
    }

    fn is_older(&self, epoch: u32) -> bool {
        self.epoch.load(Ordering::Relaxed) < epoch
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = EntryRef<'_>> {
        self.table.iter()
    }

    /// Entries with the upper 24 bits of their hashes, for any hash of this shard.
    pub(crate) fn tagged(&self, hash: u64) -> impl Iterator<Item = (u64, EntryRef<'_>)> {
        let shard = (shard_of(hash) as u64) << TAG_BITS;
        self.table.tagged().map(move |(tag, entry)| (shard | tag as u64, entry))
    }

    fn shown(&self) -> *mut Bucket {
        self.table.buckets().shown(self.table.buckets().len() - 1)
    }
}

/// Keys whose hashes share their top eight bits.
#[derive(Debug)]
pub struct Shard {
    bits: u8,
    /// The last snapshot that has taken all of it (see `snapshot.rs`).
    epoch: AtomicU32,
    /// For each prefix of `bits` bits, the buckets of its segment, as readers without a lock see them.
    directory: Array<AtomicPtr<Bucket>>,
    /// For each prefix its segment.
    owners: Vec<u32>,
    segments: Vec<Segment>,
    counts: Counts,
    /// When its keys, and fields of its hashes, are due.
    deadlines: Deadlines,
    /// Whether readers without a lock may be inside.
    shown: bool,
    /// What is to be done before anybody looks at it.
    pending: Option<Box<Pending>>,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            bits: 0,
            epoch: AtomicU32::new(0),
            directory: Array::none(),
            owners: Vec::new(),
            segments: Vec::new(),
            counts: Counts::default(),
            deadlines: Deadlines::default(),
            shown: false,
            pending: None,
        }
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        if self.shown && !self.segments.is_empty() {
            let directory = std::mem::replace(&mut self.directory, Array::none());
            let contents = (directory, std::mem::take(&mut self.segments));
            graveyard::retire(Box::new(contents), self.counts.bytes);
        }
    }
}

/// Where an entry stands, to change it.
#[derive(Debug)]
pub(crate) struct Place<'s> {
    shard: &'s mut Shard,
    hash: u64,
    slot: usize,
}

impl Place<'_> {
    pub(crate) fn get(&self) -> Option<EntryRef<'_>> {
        self.shard.segments[self.shard.segment_of(self.hash)].table.at(self.slot)
    }

    /// The value, unless it is a string in place.
    pub(crate) fn value_mut(&mut self) -> Option<&mut Value> {
        let at = self.shard.segment_of(self.hash);
        self.shard.segments[at].table.value_mut(self.slot)
    }

    /// The entry weighed so much before its value was changed.
    pub(crate) fn weigh_again(&mut self, before: usize) {
        let after = self.get().map_or(0, EntryRef::weight);
        self.shard.counts.bytes = (self.shard.counts.bytes + after).saturating_sub(before);
    }

    /// A field is due that was not expected before.
    pub(crate) fn expect(&mut self, before: Option<i64>, hasher: &KeyHash) {
        let due = self.get().and_then(|entry| match entry.value() {
            ValueRef::Owned(value) => value.next_deadline(),
            ValueRef::Inline(_) => None,
        });
        if let Some(due) = due {
            self.shard.expect(self.hash, due, before, hasher);
        }
    }

    pub(crate) fn remove(self, hasher: &KeyHash) -> Option<Gone> {
        let at = self.shard.segment_of(self.hash);
        let gone = self.shard.segments[at].table.remove(self.slot, hasher)?;
        self.shard.counts.forget(gone.as_ref());
        self.shard.shrink(self.hash, hasher);
        Some(gone)
    }
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
        self.owners.capacity() * size_of::<u32>()
            + self.directory.len() * size_of::<AtomicPtr<Bucket>>()
            + self.segments.capacity() * size_of::<Segment>()
            + self.segments.iter().map(|segment| segment.table.allocated()).sum::<usize>()
            + self.deadlines.allocated()
    }

    /// The entry of `key`.
    #[inline]
    #[must_use]
    pub fn get(&self, hash: u64, key: &[u8]) -> Option<EntryRef<'_>> {
        Some(self.find(hash, key)?.1)
    }

    /// The slot and the entry of `key`.
    #[inline]
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<(usize, EntryRef<'_>)> {
        self.segments.get(self.segment_of(hash))?.table.find(hash, key)
    }

    /// Places for keys.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.segments.iter().map(|segment| segment.table.slots()).sum()
    }

    /// Has the slots come that a lookup of this hash begins with.
    #[inline]
    pub(crate) fn approach(&self, hash: u64) {
        if let Some(segment) = self.segments.get(self.segment_of(hash)) {
            fetch_bucket(segment.table.buckets().as_slice(), hash);
        }
    }

    /// Has the entry come that a lookup of this hash most likely ends at.
    #[inline]
    pub(crate) fn approach_entry(&self, hash: u64) {
        if let Some(segment) = self.segments.get(self.segment_of(hash)) {
            fetch_entry(segment.table.buckets().as_slice(), hash);
        }
    }

    // ---- every change goes through one of these

    /// The place of a slot that [`find`](Self::find) has named for this hash.
    #[inline]
    pub(crate) fn place_at(&mut self, hash: u64, slot: usize) -> Place<'_> {
        Place { shard: self, hash, slot }
    }

    /// Puts in an entry, in place of any with the same key; answers the old one.
    pub(crate) fn insert(&mut self, hash: u64, entry: Entry, hasher: &KeyHash) -> Option<Gone> {
        self.counts.add(entry.as_ref());
        if let Some(due) = due_at(entry.as_ref()) {
            self.expect(hash, due, self.get(hash, entry.key()).and_then(due_at), hasher);
        }
        let at = self.segment_of(hash);
        if let Some(segment) = self.segments.get_mut(at)
            && let Some((slot, _)) = segment.table.find(hash, entry.key())
        {
            let old = segment.table.replace(slot, entry)?;
            self.counts.forget(old.as_ref());
            return Some(old);
        }
        self.make_room(hash, hasher).table.insert(hash, entry);
        None
    }

    /// Takes out the entry of `key`.
    pub(crate) fn remove(&mut self, hash: u64, key: &[u8], hasher: &KeyHash) -> Option<Gone> {
        let (slot, _) = self.find(hash, key)?;
        self.place_at(hash, slot).remove(hasher)
    }

    /// Sets the expiry of `key`; `None` if it is not there or has it already, else what it was before.
    pub(crate) fn set_expire(
        &mut self,
        hash: u64,
        key: &[u8],
        expire: Option<i64>,
        hasher: &KeyHash,
    ) -> Option<Gone> {
        let at = self.segment_of(hash);
        let table = &mut self.segments.get_mut(at)?.table;
        let (slot, entry) = table.find(hash, key)?;
        if entry.expire() == expire {
            return None;
        }
        self.counts.forget(entry);
        let before = due_at(entry);
        let old = table.set_expire(slot, expire);
        if let Some(entry) = table.at(slot) {
            self.counts.add(entry);
        }
        if let Some(expire) = expire {
            self.expect(hash, expire, before, hasher);
        }
        old
    }

    // ---- when keys are due

    /// A key, or a field of it, is due at `due`; it was expected at `before` already.
    pub(crate) fn expect(&mut self, hash: u64, due: i64, before: Option<i64>, hasher: &KeyHash) {
        if before.is_some_and(|before| before <= due) {
            return;
        }
        self.deadlines.add(due, hash);
        if self.deadlines.is_untidy(self.counts.expires) {
            let mut deadlines = std::mem::take(&mut self.deadlines);
            let shard = hash >> (64 - SHARD_BITS) << (64 - SHARD_BITS);
            deadlines.tidy_up(|low| due_at(self.by_hash(shard | low, hasher)?));
            self.deadlines = deadlines;
        }
    }

    /// Whether anything may be due.
    pub(crate) fn is_due(&self, now: i64) -> bool {
        self.deadlines.is_due(now)
    }

    /// Takes out a hash that is due, without the bits of the shard.
    pub(crate) fn pop_due(&mut self, now: i64) -> Option<u64> {
        self.deadlines.pop(now)
    }

    /// The entry of this hash, whatever its key.
    pub(crate) fn by_hash(&self, hash: u64, hasher: &KeyHash) -> Option<EntryRef<'_>> {
        self.segments.get(self.segment_of(hash))?.table.find_hash(hash, hasher)
    }

    /// Any entry: the one that `draw` (a random number) falls on, or a neighbour.
    pub(crate) fn any(&self, draw: u64) -> Option<EntryRef<'_>> {
        let hash = draw << SHARD_BITS >> SHARD_BITS;
        let segment = self.segments.get(self.segment_of(hash)).filter(|s| s.table.len() > 0);
        let segment = segment.or_else(|| self.segments.iter().find(|s| s.table.len() > 0))?;
        let slots = segment.table.slots();
        let start = usize::try_from(draw >> 8 & 0xFFFF).unwrap_or(0) % slots.max(1);
        (start..slots).chain(0..start).find_map(|slot| segment.table.at(slot))
    }

    /// Any entry that expires.
    pub(crate) fn any_expiring(&self, draw: u64, hasher: &KeyHash, shard: usize) -> Option<EntryRef<'_>> {
        if self.counts.expires == 0 {
            return None;
        }
        let top = (shard as u64) << (64 - SHARD_BITS);
        let place = usize::try_from(draw >> 16).unwrap_or(0);
        let mut found = self.deadlines.starting_at(place).filter_map(|low| self.by_hash(top | low, hasher));
        found.find(|entry| entry.expire().is_some())
    }

    /// The entry that is due first, or one whose deadline has been moved away since.
    pub(crate) fn first_due(&self, hasher: &KeyHash, shard: usize) -> Option<EntryRef<'_>> {
        let top = (shard as u64) << (64 - SHARD_BITS);
        let first = self.by_hash(top | self.deadlines.first()?, hasher);
        first.filter(|entry| entry.expire().is_some()).or_else(|| self.any_expiring(0, hasher, shard))
    }

    /// Gives all its entries away. No reader may have seen it.
    pub(crate) fn empty(&mut self, mut take: impl FnMut(Entry)) {
        debug_assert!(!self.shown, "readers may see its entries");
        self.segments.iter_mut().for_each(|segment| segment.table.empty(&mut take));
        *self = Self::default();
    }

    /// Leaves a note of what is to be done before anybody looks at it.
    pub(crate) fn leave(&mut self, pending: Pending) {
        self.pending = Some(Box::new(pending));
    }

    // ---- the line of segments

    /// Entries in no order.
    pub fn iter(&self) -> impl Iterator<Item = EntryRef<'_>> {
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
        segment.is_older(epoch).then(|| {
            segment.epoch.store(epoch, Ordering::Relaxed);
            segment
        })
    }

    /// Whether the snapshot of this epoch has not taken all of it.
    pub(crate) fn is_older(&self, epoch: u32) -> bool {
        self.epoch.load(Ordering::Relaxed) < epoch
            && self.segments.iter().any(|segment| segment.is_older(epoch) && segment.table.len() > 0)
    }

    /// Its contents are younger than the cut of this epoch.
    pub(crate) fn renew(&mut self, epoch: u32) {
        *self.epoch.get_mut() = epoch;
    }

    #[inline]
    fn index_of(&self, hash: u64) -> usize {
        prefix(hash, self.bits.into())
    }

    #[inline]
    fn segment_of(&self, hash: u64) -> usize {
        self.owners.get(self.index_of(hash)).map_or(usize::MAX, |at| *at as usize)
    }

    /// The directory's entries of a segment: a run.
    fn run_of(&self, hash: u64, depth: u8) -> std::ops::Range<usize> {
        let run = 1_usize << (self.bits - depth);
        let start = self.index_of(hash) / run * run;
        start..start + run
    }

    /// Makes room for so many keys to come, if there are none.
    pub(crate) fn announce(&mut self, keys: usize) {
        if !self.segments.is_empty() {
            return;
        }
        while keys >> self.bits > MEAN && self.bits < DEEPEST {
            self.bits += 1;
        }
        let mean = keys >> self.bits;
        // Nearly all segments get no more than two standard deviations above the mean.
        let each = mean + 2 * mean.isqrt();
        let count = 1 << self.bits;
        self.segments = (0..count).map(|_| Segment::new(self.bits, 0, Table::for_entries(each))).collect();
        self.owners = (0..count as u32).collect();
        self.directory = Array::new(count, |at| AtomicPtr::new(self.segments[at].shown()));
    }

    fn make_room(&mut self, hash: u64, hasher: &KeyHash) -> &mut Segment {
        if self.segments.is_empty() {
            self.segments.push(Segment::new(0, 0, Table::for_entries(0)));
            self.owners = vec![0];
            let first = self.segments[0].shown();
            self.directory = Array::new(1, |_| AtomicPtr::new(first));
        }
        loop {
            let at = self.segment_of(hash);
            let segment = &self.segments[at];
            if segment.table.len() >= FULL && segment.depth < DEEPEST {
                self.split(at, hash, hasher);
            } else if segment.table.is_full() {
                self.resize(at, hash, hasher);
            } else {
                return &mut self.segments[at];
            }
        }
    }

    /// Gives a segment a table of the size that suits it.
    fn resize(&mut self, at: usize, hash: u64, hasher: &KeyHash) {
        let mut table = Table::for_entries(self.segments[at].table.len());
        self.segments[at].table.deal(hasher, std::slice::from_mut(&mut table), true, |_| 0);
        let old = std::mem::replace(&mut self.segments[at].table, table);
        self.show(at, self.run_of(hash, self.segments[at].depth));
        self.let_go(old.into_buckets());
    }

    fn split(&mut self, at: usize, hash: u64, hasher: &KeyHash) {
        let depth = self.segments[at].depth;
        if depth == self.bits {
            self.owners = self.owners.iter().flat_map(|index| [*index, *index]).collect();
            self.bits += 1;
            self.renew_directory();
        }
        let bit = 63 - SHARD_BITS - u32::from(depth);
        let upper = |hash: u64| (hash >> bit & 1) as usize;
        let old = &mut self.segments[at].table;
        let by_tag = u32::from(depth) < TAG_BITS;
        let above = if by_tag {
            // The tags tell, and the entries need not be fetched for it.
            old.tagged().filter(|(tag, _)| tag >> (TAG_BITS - 1 - u32::from(depth)) & 1 == 1).count()
        } else {
            old.iter().filter(|entry| upper(hasher.hash(entry.key())) == 1).count()
        };
        let mut halves = [Table::for_entries(old.len() - above), Table::for_entries(above)];
        old.deal(hasher, &mut halves, by_tag, upper);
        let [lower, upper] = halves;
        let old = std::mem::replace(&mut self.segments[at].table, lower);
        self.segments[at].depth += 1;
        let new = self.segments.len();
        let epoch = *self.segments[at].epoch.get_mut();
        self.segments.push(Segment::new(depth + 1, epoch, upper));
        let run = self.run_of(hash, depth);
        let middle = run.start + run.len() / 2;
        self.owners[middle..run.end].fill(new as u32);
        self.show(at, run.start..middle);
        self.show(new, middle..run.end);
        self.let_go(old.into_buckets());
    }

    /// After a removal: a smaller table, or one segment where two have become small.
    fn shrink(&mut self, hash: u64, hasher: &KeyHash) {
        let at = self.segment_of(hash);
        if !self.segments[at].table.is_sparse() {
            return;
        }
        if !self.merge(at, hash, hasher) {
            self.resize(at, hash, hasher);
        }
    }

    /// Makes a segment and its neighbour one, if they are small.
    fn merge(&mut self, at: usize, hash: u64, hasher: &KeyHash) -> bool {
        let depth = self.segments[at].depth;
        if depth == 0 {
            return false;
        }
        let run = self.run_of(hash, depth);
        let beside = self.owners[run.start ^ run.len()] as usize;
        let len = self.segments[at].table.len() + self.segments[beside].table.len();
        // A snapshot that has taken one of them must not meet its entries again in the other.
        let epochs = [at, beside].map(|at| self.segments[at].epoch.load(Ordering::Relaxed));
        if self.segments[beside].depth != depth || len > MERGED || epochs[0] != epochs[1] {
            return false;
        }
        let mut table = Table::for_entries(len);
        for from in [at, beside] {
            self.segments[from].table.deal(hasher, std::slice::from_mut(&mut table), true, |_| 0);
        }
        let old = std::mem::replace(&mut self.segments[at].table, table);
        self.segments[at].depth -= 1;
        let run = self.run_of(hash, depth - 1);
        self.owners[run.clone()].fill(at as u32);
        self.show(at, run);
        self.let_go(old.into_buckets());
        let old = self.segments.swap_remove(beside);
        self.let_go(old.table.into_buckets());
        let moved = self.segments.len() as u32;
        self.owners.iter_mut().filter(|owner| **owner == moved).for_each(|owner| *owner = beside as u32);
        let deepest = self.segments.iter().map(|segment| segment.depth).max().unwrap_or(0);
        if deepest < self.bits {
            let step = 1 << (self.bits - deepest);
            self.owners = self.owners.iter().step_by(step).copied().collect();
            self.bits = deepest;
            self.renew_directory();
        }
        true
    }

    /// Has a part of the directory lead to a segment's buckets.
    fn show(&self, at: usize, run: std::ops::Range<usize>) {
        let shown = self.segments[at].shown();
        for place in &self.directory.as_slice()[run] {
            place.store(shown, Ordering::Release);
        }
    }

    fn renew_directory(&mut self) {
        let shown = |index: usize| AtomicPtr::new(self.segments[self.owners[index] as usize].shown());
        let new = Array::new(self.owners.len(), shown);
        let old = std::mem::replace(&mut self.directory, new);
        self.let_go(old);
    }

    /// Frees what readers may be walking, when they are done.
    fn let_go<T: Send + Sync + 'static>(&self, old: Array<T>) {
        if self.shown {
            let bytes = old.len() * size_of::<T>();
            graveyard::retire(Box::new(old), bytes);
        }
    }
}

/// The `bits` bits of a hash that follow the shard's.
#[inline]
fn prefix(hash: u64, bits: u32) -> usize {
    (hash << SHARD_BITS >> 1 >> (63 - bits)) as usize
}

#[cfg(test)]
#[path = "tests.rs"]
mod readers;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "too many keys; the tests of tables and readers go the same ways")]
    fn room_for_expected_keys_is_a_shard_as_any() {
        let hasher = KeyHash::new(2);
        for expected in [0, 1, 400, 4000] {
            let mut shard = Shard::default();
            shard.announce(expected);
            let segments = shard.segments.len();
            assert_eq!(segments, if expected < 4000 { 1 } else { 16 });
            // Half and twice as many as expected come.
            let come = expected * 2 + 10;
            let keys: Vec<[u8; 4]> =
                (0..).map(u32::to_le_bytes).filter(|k| shard_of(hasher.hash(k)) == 7).take(come).collect();
            for (n, key) in keys.iter().enumerate() {
                assert!(shard.insert(hasher.hash(key), Entry::inline(key, b"v", None), &hasher).is_none());
                assert!(n > expected / 2 || shard.segments.len() == segments);
            }
            assert!(keys.iter().all(|key| shard.get(hasher.hash(key), key).is_some()));
            // A second time changes nothing.
            shard.announce(1_000_000);
            assert_eq!(shard.iter().count(), come);
            for key in &keys {
                assert!(shard.remove(hasher.hash(key), key, &hasher).is_some());
            }
            assert_eq!((shard.counts(), shard.segments.len()), (Counts::default(), 1));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "too many keys; the tests of tables and readers go the same ways")]
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
        for (left, key) in (0..keys.len()).rev().zip(&keys) {
            assert!(shard.remove(hasher.hash(key), key, &hasher).is_some());
            assert_eq!(shard.counts().keys, left);
            if left % 256 == 0 {
                for key in &keys[keys.len() - left..] {
                    assert_eq!(shard.get(hasher.hash(key), key).unwrap().key(), key);
                }
            }
        }
        assert_eq!(shard.counts(), Counts::default());
        assert_eq!((shard.segments.len(), shard.bits, shard.directory.len()), (1, 0, 1));
    }
}
