//! The large form of sets and hashes: a directory over small tables, in the order of the members' hashes.
//!
//! ```text
//! hash, 64 bits:  | d: directory index | rest: slot and tag |
//! ```
//!
//! A full segment splits on its next bit, so growing never rehashes the whole (the pause of a large table),
//! and SCAN walks the line of hashes: its cursor is the next 48-bit prefix, and whoever is there throughout
//! is met exactly once, whatever splits meanwhile. Databases are built the same way (`shard.rs`).

use std::sync::LazyLock;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;

use crate::hash::KeyHash;

/// What a table holds, found by its name.
pub(super) trait Named {
    /// The member or field.
    fn name(&self) -> &[u8];
    /// Bytes on the heap.
    fn heap(&self) -> usize;
    /// When it goes by itself: readers must look twice at such a one, and the table counts them.
    fn deadline(&self) -> Option<i64> {
        None
    }
}

impl Named for Box<[u8]> {
    fn name(&self) -> &[u8] {
        self
    }

    fn heap(&self) -> usize {
        self.len()
    }
}

/// Members by hash. Names are unique.
#[derive(Debug, Clone)]
pub(super) struct Table<T> {
    bits: u8,
    directory: Vec<u32>,
    segments: Vec<Segment<T>>,
    /// No fewer than the buckets of the largest segment: of one that has seen many come and go, or is as deep as
    /// segments get.
    widest: usize,
    len: usize,
    expiring: usize,
    /// No later than the soonest deadline of a member.
    soonest: i64,
    /// Heap bytes of the members.
    members: usize,
    /// Heap bytes of the segments' slots.
    slots: usize,
}

#[derive(Debug, Clone)]
struct Segment<T> {
    depth: u8,
    table: HashTable<T>,
}

/// The hash of members of all tables: seeded once a process, since members come from the network.
fn hash_of(name: &[u8]) -> u64 {
    static HASHER: LazyLock<KeyHash> = LazyLock::new(KeyHash::random);
    HASHER.hash(name)
}

/// hashbrown takes its tag from the top bits, which all members of a segment share: turn them away.
fn turned(hash: u64) -> u64 {
    hash.rotate_left(40)
}

fn turned_hash_of<T: Named>(member: &T) -> u64 {
    turned(hash_of(member.name()))
}

impl<T: Named> Table<T> {
    pub(super) fn new() -> Self {
        let first = Segment { depth: 0, table: HashTable::new() };
        Self {
            bits: 0,
            directory: vec![0],
            segments: vec![first],
            widest: 0,
            len: 0,
            expiring: 0,
            soonest: i64::MAX,
            members: 0,
            slots: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Members that expire.
    pub(super) fn expiring(&self) -> usize {
        self.expiring
    }

    /// No later than the soonest deadline of a member, if one has a deadline.
    pub(super) fn soonest(&self) -> Option<i64> {
        (self.expiring > 0).then_some(self.soonest)
    }

    /// Some deadlines are gone: the soonest is looked for. O(members)
    pub(super) fn passed(&mut self) {
        self.soonest = self.iter().filter_map(Named::deadline).min().unwrap_or(i64::MAX);
    }

    /// Heap bytes: members, slots and directory.
    pub(super) fn allocated(&self) -> usize {
        self.members
            + self.slots
            + self.directory.capacity() * size_of::<u32>()
            + self.segments.capacity() * size_of::<Segment<T>>()
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&T> {
        let hash = hash_of(name);
        self.segments.get(self.segment_of(hash))?.table.find(turned(hash), |m| m.name() == name)
    }

    /// Puts a member in, in place of the one of the same name, which is answered.
    pub(super) fn insert(&mut self, member: T) -> Option<T> {
        let hash = hash_of(member.name());
        self.members += member.heap();
        if let Some(deadline) = member.deadline() {
            self.expiring += 1;
            self.soonest = self.soonest.min(deadline);
        }
        let at = self.make_room(hash);
        let table = &mut self.segments[at].table;
        let before = table.allocation_size();
        let same = |m: &T| m.name() == member.name();
        match table.entry(turned(hash), same, turned_hash_of) {
            Slot::Occupied(mut place) => {
                let old = std::mem::replace(place.get_mut(), member);
                self.members -= old.heap();
                self.expiring -= usize::from(old.deadline().is_some());
                Some(old)
            }
            Slot::Vacant(place) => {
                place.insert(member);
                let table = &self.segments[at].table;
                self.slots += table.allocation_size() - before;
                self.widest = self.widest.max(table.num_buckets());
                self.len += 1;
                None
            }
        }
    }

    /// Takes the member of this name out.
    pub(super) fn remove(&mut self, name: &[u8]) -> Option<T> {
        let hash = hash_of(name);
        let at = self.segment_of(hash);
        let place = self.segments.get_mut(at)?.table.find_entry(turned(hash), |m| m.name() == name).ok()?;
        let (member, _) = place.remove();
        self.members -= member.heap();
        self.expiring -= usize::from(member.deadline().is_some());
        self.len -= 1;
        if self.segments.len() > 8 && self.len < self.segments.len() * FULL / 16 {
            self.rebuild();
        }
        Some(member)
    }

    /// Places for members.
    pub(super) fn slots(&self) -> usize {
        self.segments.iter().map(|s| s.table.num_buckets()).sum()
    }

    /// Members in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.segments.iter().flat_map(|s| s.table.iter())
    }

    /// A member, each as likely as the others. `below(n)` draws a number below `n`.
    pub(super) fn random(&self, below: &mut dyn FnMut(usize) -> usize) -> Option<&T> {
        if self.len == 0 {
            return None;
        }
        // A bucket of a segment, drawn again if it is empty or if the segment is smaller than others are.
        for _ in 0..64 {
            let segment = &self.segments[below(self.segments.len())];
            let bucket = below(self.widest);
            if bucket < segment.table.num_buckets()
                && let Some(member) = segment.table.get_bucket(bucket)
            {
                return Some(member);
            }
        }
        // Thinly populated: count.
        let mut index = below(self.len);
        for segment in &self.segments {
            match index.checked_sub(segment.table.len()) {
                Some(rest) => index = rest,
                None => return segment.table.iter().nth(index),
            }
        }
        None
    }

    /// Calls `f` with at least `count` members (if so many are left) from `cursor` on; answers the next cursor,
    /// 0 at the end. Members whose cursors are equal go together.
    pub(super) fn scan<'t>(&'t self, cursor: u64, count: usize, mut f: impl FnMut(&'t T)) -> u64 {
        let Some(mut at) = cursor.checked_shl(DROPPED).filter(|at| at >> DROPPED == cursor) else { return 0 };
        let mut left = count.max(1);
        loop {
            let segment = &self.segments[self.segment_of(at)];
            let prefix = |m: &T| hash_of(m.name()) >> DROPPED;
            let mut found: Vec<(u64, &T)> = Vec::with_capacity(segment.table.len());
            found.extend(segment.table.iter().map(|m| (prefix(m), m)).filter(|(h, _)| *h >= at >> DROPPED));
            if found.len() > left {
                let (_, (pivot, _), _) = found.select_nth_unstable_by_key(left, |(h, _)| *h);
                // The first left over opens the next step; its equals come along if nobody precedes them.
                let mut next = *pivot;
                if found.iter().all(|(h, _)| *h >= next) {
                    next += 1;
                }
                found.into_iter().filter(|(h, _)| *h < next).for_each(|(_, m)| f(m));
                return next.checked_shl(DROPPED).map_or(0, |n| n >> DROPPED);
            }
            left -= found.len();
            found.into_iter().for_each(|(_, m)| f(m));
            let width = 64 - u32::from(segment.depth);
            let next = (at.checked_shr(width).unwrap_or(0) + 1).checked_shl(width).filter(|n| *n != 0);
            match next {
                None => return 0,
                Some(next) if left == 0 => return next >> DROPPED,
                Some(next) => at = next,
            }
        }
    }

    fn segment_of(&self, hash: u64) -> usize {
        let index = hash >> 1 >> (63 - u32::from(self.bits));
        self.directory.get(index as usize).map_or(usize::MAX, |at| *at as usize)
    }

    /// The segment for a hash, split if it was full.
    fn make_room(&mut self, hash: u64) -> usize {
        loop {
            let at = self.segment_of(hash);
            if self.segments[at].table.len() < FULL || self.segments[at].depth >= DEEPEST {
                return at;
            }
            self.split(at, hash);
        }
    }

    fn split(&mut self, at: usize, hash: u64) {
        let depth = self.segments[at].depth;
        if depth == self.bits {
            self.directory = self.directory.iter().flat_map(|index| [*index, *index]).collect();
            self.bits += 1;
        }
        let bit = 63 - u32::from(depth);
        let old = &mut self.segments[at];
        self.slots -= old.table.allocation_size();
        let halves = old.table.iter().filter(|m| hash_of(m.name()) >> bit & 1 == 1).count();
        let mut upper = HashTable::with_capacity(halves);
        let mut lower = HashTable::with_capacity(old.table.len() - halves);
        for member in old.table.drain() {
            let hash = hash_of(member.name());
            let table = if hash >> bit & 1 == 1 { &mut upper } else { &mut lower };
            table.insert_unique(turned(hash), member, turned_hash_of);
        }
        self.slots += upper.allocation_size() + lower.allocation_size();
        self.widest = self.widest.max(upper.num_buckets()).max(lower.num_buckets());
        *old = Segment { depth: depth + 1, table: lower };
        let new = self.segments.len() as u32;
        self.segments.push(Segment { depth: depth + 1, table: upper });
        // The directory entries of the old segment are a run; its upper half now belongs to the new one.
        let run = 1_usize << (self.bits - depth);
        let index = (hash >> 1 >> (63 - u32::from(self.bits))) as usize;
        let start = index / run * run;
        self.directory[start + run / 2..start + run].fill(new);
    }

    /// Starts anew when nearly everybody has gone.
    fn rebuild(&mut self) {
        let old = std::mem::replace(self, Self::new());
        for mut segment in old.segments {
            for member in segment.table.drain() {
                self.insert(member);
            }
        }
    }
}

/// Bits of a cursor: clients in any language can hold it.
const CURSOR_BITS: u32 = 48;
const DROPPED: u32 = 64 - CURSOR_BITS;
/// A fuller segment splits: 7/8 of its buckets.
const FULL: usize = 448;
/// Segments stop splitting at this depth and simply grow: equal hashes would split for ever.
const DEEPEST: u8 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: u32) -> Box<[u8]> {
        n.to_string().into_bytes().into()
    }

    #[test]
    fn members_are_found_replaced_and_removed_through_splits_and_rebuilds() {
        let mut table = Table::new();
        for n in 0..20_000 {
            assert!(table.insert(name(n)).is_none());
        }
        assert!(table.segments.len() > 40);
        assert!(table.insert(name(7)).is_some());
        assert_eq!((table.len(), table.iter().count()), (20_000, 20_000));
        let honest = |t: &Table<Box<[u8]>>| {
            let slots: usize = t.segments.iter().map(|s| s.table.allocation_size()).sum();
            (t.slots, t.members) == (slots, t.iter().map(|m| m.len()).sum())
        };
        assert!(honest(&table));
        for n in 0..19_990 {
            assert_eq!(table.remove(&name(n)).as_deref(), Some(&*name(n)));
        }
        assert!(table.remove(b"0").is_none());
        assert!(honest(&table) && table.segments.len() < 16);
        for n in 19_990..20_000 {
            assert!(table.get(&name(n)).is_some());
        }
    }

    #[test]
    fn a_scan_meets_whoever_stays_exactly_once_while_others_come_and_go() {
        let mut table = Table::new();
        (0..3000).for_each(|n| drop(table.insert(name(n))));
        for count in [1, 10, 5000] {
            let mut seen = std::collections::HashMap::new();
            let (mut cursor, mut other) = (0, 100_000);
            loop {
                cursor = table.scan(cursor, count, |m| *seen.entry(m.clone()).or_insert(0) += 1);
                if cursor == 0 {
                    break;
                }
                // Up to three times as many come as were there; then the walk may end.
                for _ in 0..if other < 109_000 { 10 } else { 0 } {
                    table.insert(name(other));
                    other += 1;
                }
                table.remove(&name(other - 5));
            }
            (0..3000).for_each(|n| assert_eq!(seen.get(&name(n)), Some(&1)));
            (100_000..other).for_each(|n| drop(table.remove(&name(n))));
        }
    }

    #[test]
    fn chance_treats_all_members_alike() {
        for n in [10_u32, 3000] {
            let mut table = Table::new();
            (0..n).for_each(|n| drop(table.insert(name(n))));
            let mut state = 1_u64;
            let mut below = |n: usize| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ((u128::from(state >> 32) * n as u128) >> 32) as usize
            };
            let mut seen = vec![0_u32; n as usize];
            for _ in 0..n * 100 {
                let member = table.random(&mut below).unwrap();
                seen[std::str::from_utf8(member).unwrap().parse::<usize>().unwrap()] += 1;
            }
            // 100 each on average, with a deviation of 10.
            assert!(seen.iter().all(|times| (40..180).contains(times)), "{seen:?}");
        }
    }
}
