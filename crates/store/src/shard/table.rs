//! Slots in buckets of one cache line, which readers without a lock may walk while a writer changes them.
//!
//! ```text
//! slot, 64 bits:  | 16: tag, the hash bits after the shard's | 45: pointer to an entry | 3: how far from home |
//! bucket: 8 slots, filled from the first on; an entry whose bucket is full goes to the next
//! ```
//!
//! The tag stands beside the pointer, so that a lookup touches one line of slots and one entry. Since it holds the
//! bits by which segments split and by which SCAN orders, both seldom need the keys.
//!
//! Invariants:
//! 1. A word in a slot is null or comes from [`Word::of`]: the table owns that entry.
//! 2. Each bucket between an entry's home and the bucket it stands in is full.
//! 3. Slots change only while the caller has the table to itself but for readers that will look again
//!    (`protocol.rs`), and what leaves a table they can see is freed only through the graveyard.
#![expect(unsafe_code, reason = "words that are tag and pointer at once; see docs/unsafe.md")]
#![expect(clippy::needless_pass_by_ref_mut, reason = "slots are atomics, but changes are for who is alone")]

use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::array::Array;
use super::fetch::fetch;
use crate::entry::{Entry, EntryRef};
use crate::graveyard::Gone;
use crate::hash::KeyHash;
use crate::value::Value;

const _: () = assert!(usize::BITS == 64, "tags stand in pointers' upper bits");

/// Slots of a bucket.
const SLOTS: usize = 8;
const FAR: usize = 7;
const TAG_AT: u32 = 48;
pub(super) const TAG_BITS: u32 = 16;
/// Bits of the hash below the tag's.
pub(crate) const BELOW_TAG: u32 = 64 - super::SHARD_BITS - TAG_BITS;

/// A cache line of slots.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Bucket([AtomicPtr<()>; SLOTS]);

impl Bucket {
    fn empty() -> Self {
        Self(std::array::from_fn(|_| AtomicPtr::default()))
    }

    #[inline]
    fn get(&self, slot: usize) -> Word {
        Word(self.0[slot].load(Ordering::Acquire))
    }

    fn set(&self, slot: usize, word: Word) {
        self.0[slot].store(word.0, Ordering::Release);
    }

    fn is_full(&self) -> bool {
        !self.get(SLOTS - 1).is_null()
    }
}

/// What stands in a slot.
#[derive(Debug, Clone, Copy)]
struct Word(*mut ());

impl Word {
    const NULL: Self = Self(std::ptr::null_mut());

    fn of(entry: Entry, tag: usize) -> Self {
        let raw = entry.into_raw().as_ptr();
        assert!(
            raw.addr() >> TAG_AT == 0 && raw.addr() & FAR == 0,
            "an address that leaves no room for a tag"
        );
        Self(raw.map_addr(|at| at | tag << TAG_AT))
    }

    fn is_null(self) -> bool {
        self.0.is_null()
    }

    fn tag(self) -> usize {
        self.0.addr() >> TAG_AT
    }

    fn away(self) -> usize {
        self.0.addr() & FAR
    }

    fn with_away(self, away: usize) -> Self {
        Self(self.0.map_addr(|at| at & !FAR | away.min(FAR)))
    }

    fn raw(self) -> Option<NonNull<()>> {
        NonNull::new(self.0.map_addr(|at| at & ((1 << TAG_AT) - 1) & !FAR))
    }

    /// # Safety
    /// The entry lives during `'a`, and nobody changes its value.
    #[inline]
    unsafe fn entry<'a>(self) -> Option<EntryRef<'a>> {
        // SAFETY: invariant 1, and the caller's promise.
        self.raw().map(|raw| unsafe { EntryRef::from_raw(raw) })
    }

    /// # Safety
    /// The slot that held it does not any more, or is never looked at again.
    unsafe fn into_entry(self) -> Option<Entry> {
        // SAFETY: invariant 1; with the caller's promise the only one made of it.
        self.raw().map(|raw| unsafe { Entry::from_raw(raw) })
    }
}

/// The tag of a hash.
#[inline]
fn tag_of(hash: u64) -> usize {
    (hash >> BELOW_TAG) as usize & ((1 << TAG_BITS) - 1)
}

/// Buckets that stand together: a key's place among them is the hash's lowest bits, which of such groups is its own
/// the tag says. So a word's new home in a table of another size follows from the word and from where it stands, and
/// its entry need not be fetched.
const GROUP: usize = 16;

/// The bucket where a key's way begins. Where the last group lacks a bucket, it may be the missing one, which counts
/// as full.
#[inline]
fn home_of(hash: u64, buckets: usize) -> usize {
    let place = hash as usize % GROUP;
    if buckets < GROUP {
        return place % buckets.max(1);
    }
    // The golden ratio's share of 16 bits: it spreads also those tags that begin alike, as a segment's do.
    let spread = tag_of(hash).wrapping_mul(40503) % (1 << TAG_BITS);
    ((spread * buckets.div_ceil(GROUP)) >> TAG_BITS) * GROUP + place
}

/// How many steps lead round: the missing bucket counts.
fn way_round(buckets: usize) -> usize {
    if buckets < GROUP { buckets } else { buckets.next_multiple_of(GROUP) }
}

/// What [`home_of`] and [`tag_of`] need of the hash of a word, from where it stands.
fn known_of(word: Word, at: usize, buckets: usize) -> Option<u64> {
    if buckets < GROUP || word.away() >= FAR {
        return None;
    }
    let home = at + way_round(buckets) - word.away();
    Some((word.tag() as u64) << BELOW_TAG | (home % GROUP) as u64)
}

/// The place and the entry of `key`.
///
/// # Safety
/// The entries that the buckets lead to live during `'a`, and nobody changes their values while one is used.
#[inline]
pub(crate) unsafe fn find<'a>(buckets: &[Bucket], hash: u64, key: &[u8]) -> Option<(usize, EntryRef<'a>)> {
    // SAFETY: the caller's promise.
    unsafe { find_by(buckets, hash, |entry| entry.key() == key) }
}

/// The place and the entry that `is`, among those of this hash and a few others.
///
/// # Safety
/// As for [`find`].
#[inline]
unsafe fn find_by<'a>(
    buckets: &[Bucket],
    hash: u64,
    is: impl Fn(EntryRef<'a>) -> bool,
) -> Option<(usize, EntryRef<'a>)> {
    let (tag, mut at) = (tag_of(hash), home_of(hash, buckets.len()));
    for _ in 0..buckets.len() {
        at = if at >= buckets.len() { 0 } else { at };
        let bucket = buckets.get(at)?;
        let words: [Word; SLOTS] = std::array::from_fn(|slot| bucket.get(slot));
        // All tags at once: where among the slots a key stands is what no branch predicts.
        let mut alike = words
            .iter()
            .enumerate()
            .fold(0, |bits, (slot, word)| bits | u32::from(word.tag() == tag) << slot);
        while alike != 0 {
            let slot = alike.trailing_zeros() as usize % SLOTS;
            // SAFETY: the caller's promise.
            if let Some(entry) = unsafe { words[slot].entry() }
                && is(entry)
            {
                return Some((at * SLOTS + slot, entry));
            }
            alike &= alike - 1;
        }
        if words[SLOTS - 1].is_null() {
            return None;
        }
        at += 1;
    }
    None
}

/// Has the bucket come where a lookup of this hash begins.
#[inline]
pub(crate) fn fetch_bucket(buckets: &[Bucket], hash: u64) {
    if let Some(bucket) = buckets.get(home_of(hash, buckets.len())) {
        fetch(bucket);
    }
}

/// Has the entries come that a lookup of this hash most likely finds.
#[inline]
pub(crate) fn fetch_entry(buckets: &[Bucket], hash: u64) {
    let tag = tag_of(hash);
    let Some(bucket) = buckets.get(home_of(hash, buckets.len())) else { return };
    for word in (0..SLOTS).map(|slot| bucket.get(slot)).filter(|word| word.tag() == tag) {
        if let Some(entry) = word.raw() {
            fetch(entry.as_ptr());
        }
    }
}

/// A table and the entries in it.
#[derive(Debug)]
pub(crate) struct Table {
    buckets: Array<Bucket>,
    len: usize,
}

impl Table {
    /// Room for `entries` and some more.
    pub(crate) fn for_entries(entries: usize) -> Self {
        Self { buckets: Array::new(buckets_for(entries), |_| Bucket::empty()), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn buckets(&self) -> &Array<Bucket> {
        &self.buckets
    }

    pub(crate) fn slots(&self) -> usize {
        self.buckets.len() * SLOTS
    }

    /// Bytes of slots.
    pub(crate) fn allocated(&self) -> usize {
        self.buckets.len() * size_of::<Bucket>()
    }

    /// Whether one more entry is better put into a larger table.
    pub(crate) fn is_full(&self) -> bool {
        self.len >= most(self.buckets.len())
    }

    /// Whether much less would do.
    pub(crate) fn is_sparse(&self) -> bool {
        self.buckets.len() > 1 && self.len * 4 < self.buckets.len() * SLOTS
    }

    #[inline]
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<(usize, EntryRef<'_>)> {
        // SAFETY: the table owns its entries, and what changes their values needs `&mut self`.
        unsafe { find(self.buckets.as_slice(), hash, key) }
    }

    /// The entry of this hash, whatever its key.
    pub(crate) fn find_hash(&self, hash: u64, hasher: &KeyHash) -> Option<EntryRef<'_>> {
        // SAFETY: as in `find`.
        let found =
            unsafe { find_by(self.buckets.as_slice(), hash, |entry| hasher.hash(entry.key()) == hash) };
        found.map(|(_, entry)| entry)
    }

    fn word(&self, place: usize) -> Word {
        self.buckets.as_slice()[place / SLOTS].get(place % SLOTS)
    }

    fn set(&self, place: usize, word: Word) {
        self.buckets.as_slice()[place / SLOTS].set(place % SLOTS, word);
    }

    pub(crate) fn at(&self, place: usize) -> Option<EntryRef<'_>> {
        // SAFETY: as in `find`.
        unsafe { self.word(place).entry() }
    }

    /// The value of a place, unless it is a string in place.
    pub(crate) fn value_mut(&mut self, place: usize) -> Option<&mut Value> {
        // SAFETY: the table owns the entry, `&mut self` is exclusive, and readers without a lock look at no value.
        self.word(place).raw().and_then(|raw| unsafe { EntryRef::value_mut(raw) })
    }

    /// Puts another entry of the same key in a place.
    pub(crate) fn replace(&mut self, place: usize, entry: Entry) -> Option<Gone> {
        let old = self.word(place);
        self.set(place, Word::of(entry, old.tag()).with_away(old.away()));
        // SAFETY: the slot holds the new one.
        unsafe { old.into_entry() }.map(Gone::new)
    }

    /// Sets the expiry of a place, by a new entry, since readers may be looking at the old one.
    pub(crate) fn set_expire(&mut self, place: usize, expire: Option<i64>) -> Option<Gone> {
        let old = self.word(place);
        // SAFETY: the slot gets a new one before anything else happens.
        let mut gone = unsafe { old.into_entry() }.map(Gone::new)?;
        let new = gone.with_expire(expire);
        self.set(place, Word::of(new, old.tag()).with_away(old.away()));
        Some(gone)
    }

    /// Puts in an entry whose key is not there; `is_full` has been asked.
    pub(crate) fn insert(&mut self, hash: u64, entry: Entry) {
        self.put(hash, Word::of(entry, tag_of(hash)));
    }

    fn put(&mut self, hash: u64, word: Word) {
        let buckets = self.buckets.as_slice();
        let around = way_round(buckets.len());
        let mut at = home_of(hash, buckets.len());
        let mut away = 0;
        let bucket = loop {
            match buckets.get(at) {
                Some(bucket) if !bucket.is_full() => break bucket,
                _ => {}
            }
            assert!(away < around, "the caller makes room");
            away += 1;
            at = if at + 1 >= around { 0 } else { at + 1 };
        };
        let slot = (0..SLOTS).find(|slot| bucket.get(*slot).is_null()).unwrap_or(SLOTS - 1);
        bucket.set(slot, word.with_away(away));
        self.len += 1;
    }

    /// Takes out the entry of a place.
    pub(crate) fn remove(&mut self, place: usize, hasher: &KeyHash) -> Option<Gone> {
        let old = self.word(place);
        if old.is_null() {
            return None;
        }
        self.len -= 1;
        let count = self.buckets.len();
        let mut hole = place;
        // Whoever would rather stand at the hole comes back, so that no bucket before an entry has room.
        while let Some((from, away)) = self.follower(hole, hasher) {
            self.set(hole, self.word(from).with_away(away));
            hole = from;
        }
        let bucket = &self.buckets.as_slice()[hole / SLOTS % count];
        let last = (0..SLOTS).rev().find(|slot| !bucket.get(*slot).is_null()).unwrap_or(0);
        bucket.set(hole % SLOTS, bucket.get(last));
        bucket.set(last, Word::NULL);
        // SAFETY: no slot holds it any more.
        unsafe { old.into_entry() }.map(Gone::new)
    }

    /// An entry of a later bucket that may stand in the bucket of `hole`, and how far from home it is there.
    fn follower(&self, hole: usize, hasher: &KeyHash) -> Option<(usize, usize)> {
        let buckets = self.buckets.as_slice();
        let at = hole / SLOTS;
        if !buckets[at].is_full() {
            return None;
        }
        let around = way_round(buckets.len());
        for step in 1..around {
            let next = (at + step) % around;
            let Some(bucket) = buckets.get(next) else { continue };
            for slot in 0..SLOTS {
                let word = bucket.get(slot);
                if word.is_null() {
                    return None;
                }
                let away = if word.away() < FAR { word.away() } else { self.distance(next, word, hasher) };
                if away >= step {
                    return Some((next * SLOTS + slot, away - step));
                }
            }
        }
        None
    }

    /// How far from home a word stands that cannot say so itself.
    fn distance(&self, bucket: usize, word: Word, hasher: &KeyHash) -> usize {
        let count = self.buckets.len();
        let around = way_round(count);
        // SAFETY: the table owns the entry.
        let entry = unsafe { word.entry() };
        entry.map_or(0, |entry| (bucket + around - home_of(hasher.hash(entry.key()), count)) % around)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = EntryRef<'_>> {
        self.tagged().map(|(_, entry)| entry)
    }

    /// Entries with the 16 hash bits that follow the shard's.
    pub(crate) fn tagged(&self) -> impl Iterator<Item = (usize, EntryRef<'_>)> {
        let words = self.buckets.as_slice().iter().flat_map(|bucket| (0..SLOTS).map(|slot| bucket.get(slot)));
        // SAFETY: the table owns its entries.
        words.filter_map(|word| unsafe { word.entry() }.map(|entry| (word.tag(), entry)))
    }

    /// Has its entries go where `table_of` says by their hashes, or, if it looks `by_tag` alone, by what their tags
    /// tell of them. What is left holds none; readers may still walk it.
    pub(crate) fn deal(
        &mut self,
        hasher: &KeyHash,
        tables: &mut [Self],
        by_tag: bool,
        table_of: impl Fn(u64) -> usize,
    ) {
        let buckets = self.buckets.as_slice();
        for (at, bucket) in buckets.iter().enumerate() {
            for word in (0..SLOTS).map(|slot| bucket.get(slot)) {
                let known = if by_tag { known_of(word, at, buckets.len()) } else { None };
                let hash_of = |entry: EntryRef<'_>| known.unwrap_or_else(|| hasher.hash(entry.key()));
                // SAFETY: the table owns its entries, before and after.
                if let Some(hash) = unsafe { word.entry() }.map(hash_of) {
                    tables[table_of(hash)].put(hash, word);
                }
            }
        }
        self.len = 0;
    }

    /// Gives all its entries away. Only where no reader is.
    pub(crate) fn empty(&mut self, mut take: impl FnMut(Entry)) {
        if std::mem::take(&mut self.len) == 0 {
            return;
        }
        for bucket in self.buckets.as_slice() {
            for slot in 0..SLOTS {
                let word = bucket.get(slot);
                bucket.set(slot, Word::NULL);
                // SAFETY: no slot holds it any more.
                if let Some(entry) = unsafe { word.into_entry() } {
                    take(entry);
                }
            }
        }
    }

    /// Frees the slots; the entries have gone elsewhere.
    pub(crate) fn into_buckets(mut self) -> Array<Bucket> {
        self.len = 0;
        std::mem::replace(&mut self.buckets, Array::none())
    }
}

impl Drop for Table {
    /// Only where no reader is: a shard that has been shown goes through the graveyard.
    fn drop(&mut self) {
        self.empty(drop);
    }
}

/// The most entries that so many buckets take before a larger table is better.
fn most(buckets: usize) -> usize {
    let slots = buckets * SLOTS;
    slots - slots / 16
}

/// Buckets with room for `entries` and at least one more.
fn buckets_for(entries: usize) -> usize {
    let mut buckets = 1;
    while most(buckets) <= entries {
        buckets = next_size(buckets);
    }
    buckets
}

/// Doubled, with a stop half way where slots are a notable part of the memory: one bucket before it, since allocators
/// that have no such size aligned to a line look for one with a line to spare.
fn next_size(buckets: usize) -> usize {
    if buckets.is_power_of_two() && buckets >= 32 {
        buckets / 2 * 3 - 1
    } else {
        (buckets + 1).next_power_of_two()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(table: &Table, hasher: &KeyHash) {
        let buckets = table.buckets.as_slice();
        let mut len = 0;
        for (at, bucket) in buckets.iter().enumerate() {
            let filled = (0..SLOTS).take_while(|slot| !bucket.get(*slot).is_null()).count();
            assert!((filled..SLOTS).all(|slot| bucket.get(slot).is_null()), "filled from the first slot on");
            for slot in 0..filled {
                let (word, entry) = (bucket.get(slot), table.at(at * SLOTS + slot).unwrap());
                let hash = hasher.hash(entry.key());
                let home = home_of(hash, buckets.len());
                let around = way_round(buckets.len());
                let away = (at + around - home) % around;
                assert_eq!((word.tag(), word.away()), (tag_of(hash), away.min(FAR)));
                let is_full = |at: usize| buckets.get(at % around).is_none_or(Bucket::is_full);
                assert!((0..away).all(|step| is_full(home + step)));
                if let Some(known) = known_of(word, at, buckets.len()) {
                    assert_eq!((tag_of(known), home_of(known, 128)), (tag_of(hash), home_of(hash, 128)));
                }
            }
            len += filled;
        }
        assert_eq!(len, table.len());
    }

    #[test]
    fn entries_are_found_in_tables_of_every_size_while_others_come_and_go() {
        let rounds = if cfg!(miri) { 60 } else { 3000 };
        for size in [1, 7, 60, 200, 350, 470, 700] {
            let hasher = KeyHash::new(size as u64);
            let mut table = Table::for_entries(size);
            let mut there = std::collections::BTreeMap::new();
            let mut state = size as u64;
            for round in 0..rounds {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let key = ((state >> 33) % (size as u64 * 2)).to_le_bytes();
                let hash = hasher.hash(&key);
                let value = [round as u8];
                let found = table.find(hash, &key);
                let place = found.map(|(place, _)| place);
                assert_eq!(found.map(|(_, e)| e.key().to_vec()), there.get(&key).map(|_| key.to_vec()));
                match place {
                    Some(place) if state >> 62 == 0 => {
                        assert!(table.replace(place, Entry::inline(&key, &value, None)).is_some());
                    }
                    Some(place) => {
                        assert_eq!(table.remove(place, &hasher).unwrap().as_ref().key(), key);
                        there.remove(&key);
                    }
                    None if there.len() < size => {
                        table.insert(hash, Entry::inline(&key, &value, None));
                        there.insert(key, value);
                    }
                    None => {}
                }
                if round % 50 == 0 {
                    checked(&table, &hasher);
                }
            }
            checked(&table, &hasher);
            crate::graveyard::sweep();
        }
    }

    #[test]
    fn entries_far_from_home_are_found_and_come_back() {
        // All of one home: a hash that is no hash. They are told apart by their keys alone.
        let hasher = KeyHash::new(1);
        let mut table = Table::for_entries(200);
        let keys: Vec<[u8; 2]> = (0..150_u16).map(u16::to_le_bytes).collect();
        for key in &keys {
            table.insert(5 << BELOW_TAG, Entry::inline(key, b"", None));
        }
        for key in &keys {
            assert!(table.find(5 << BELOW_TAG, key).is_some());
        }
        let (place, _) = table.find(5 << BELOW_TAG, &keys[149]).unwrap();
        assert_eq!(table.word(place).away(), FAR);
        assert!(table.remove(place, &hasher).is_some());
    }

    #[test]
    fn sizes_grow_by_a_third_or_half_once_they_matter() {
        let mut sizes = vec![1];
        while sizes[sizes.len() - 1] < 64 {
            sizes.push(next_size(sizes[sizes.len() - 1]));
        }
        assert_eq!(sizes, [1, 2, 4, 8, 16, 32, 47, 64]);
        assert!((0..2000).all(|n| most(buckets_for(n)) > n));
    }
}
