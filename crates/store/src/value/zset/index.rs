//! Record ids by hash, kept in hash order: lookup, and a walk whose cursor survives growth.
//!
//! A slot's home is its hash scaled to the capacity, so homes ascend with hashes. Slots are filled in the order of
//! their hashes, each at its home or right of it, without a gap between the two (linear probing; ordering by hash
//! is Robin Hood's rule with the hash's top bits as the home):
//!
//! ```text
//! hash      05  07  08  4A      99  9B          F2
//!         | 05 | 07 | 08 | 4A |  | 99 | 9B |  |  | F2 | (room for those pushed beyond the last home)
//! ```
//!
//! Growing is one pass over neighbours, without looking at a member; any capacity will do, so it grows by a quarter
//! and stays 68 to 85 % full: 9.4 to 11.8 bytes a member. A slot tells a stranger by 32 bits of hash before anybody
//! looks at its member.

/// A slot that holds nothing.
const EMPTY: (u32, u32) = (0, u32::MAX);
const SMALLEST: usize = 16;
/// A claim of members reserves no more than this.
const MAX_RESERVED: usize = 1 << 16;

/// Hash and id, in order of the hash.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// As many as homes, and a few more at the end.
    slots: Vec<(u32, u32)>,
    homes: usize,
    len: usize,
}

impl Index {
    /// Heap bytes, O(1).
    pub(super) fn allocated(&self) -> usize {
        self.slots.capacity() * size_of::<(u32, u32)>()
    }

    /// Makes room for so many, up to a bound: the number may be a lie.
    pub(super) fn reserve(&mut self, n: usize) {
        let homes = (n.min(MAX_RESERVED) * 20).div_ceil(17).max(SMALLEST);
        if homes > self.homes {
            self.resize(homes);
        }
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.homes as u64) >> 32) as usize
    }

    /// The id with this hash for which `is` holds.
    #[inline]
    pub(super) fn find(&self, hash: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        self.place(hash, is).map(|place| self.slots[place].1)
    }

    #[inline]
    fn place(&self, hash: u32, is: impl Fn(u32) -> bool) -> Option<usize> {
        let mut place = self.home(hash);
        loop {
            let slot = *self.slots.get(place)?;
            if slot == EMPTY || slot.0 > hash {
                return None;
            }
            if slot.0 == hash && is(slot.1) {
                return Some(place);
            }
            place += 1;
        }
    }

    /// Adds an id that is not there.
    pub(super) fn insert(&mut self, hash: u32, id: u32) {
        if (self.len + 1) * 20 > self.homes * 17 {
            self.resize((self.homes + self.homes / 4).max(SMALLEST));
        }
        let mut place = self.home(hash);
        while self.slots.get(place).is_some_and(|slot| *slot != EMPTY && slot.0 <= hash) {
            place += 1;
        }
        let mut gap = place;
        while self.slots.get(gap).is_some_and(|slot| *slot != EMPTY) {
            gap += 1;
        }
        if gap >= self.slots.len() {
            self.slots.push(EMPTY);
            gap = self.slots.len() - 1;
        }
        self.slots.copy_within(place..gap, place + 1);
        self.slots[place] = (hash, id);
        self.len += 1;
    }

    /// Removes the id with this hash for which `is` holds.
    pub(super) fn remove(&mut self, hash: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        let place = self.place(hash, is)?;
        let id = self.slots[place].1;
        // Those that stand right of their homes move back by one, up to the first that does not.
        let mut end = place + 1;
        while self.slots.get(end).is_some_and(|slot| *slot != EMPTY && self.home(slot.0) < end) {
            end += 1;
        }
        self.slots.copy_within(place + 1..end, place);
        self.slots[end - 1] = EMPTY;
        self.len -= 1;
        Some(id)
    }

    fn resize(&mut self, homes: usize) {
        let old = std::mem::take(&mut self.slots);
        self.homes = homes;
        self.slots = Vec::with_capacity(homes + 16);
        self.slots.resize(homes, EMPTY);
        let mut next = 0;
        for slot in old.into_iter().filter(|slot| *slot != EMPTY) {
            next = self.home(slot.0).max(next);
            if next >= self.slots.len() {
                self.slots.push(EMPTY);
            }
            self.slots[next] = slot;
            next += 1;
        }
    }

    /// Calls `f` with at least `count` ids (if so many are left) whose hash is `cursor` or above, in order; equal
    /// hashes go together. Answers the hash to go on with, 0 at the end. Who is there throughout is met once.
    pub(super) fn scan(&self, cursor: u32, count: usize, mut f: impl FnMut(u32)) -> u32 {
        let mut met = 0;
        let mut last = None;
        for (hash, id) in self.slots[self.home(cursor).min(self.slots.len())..].iter().copied() {
            if (hash, id) == EMPTY || hash < cursor {
                continue;
            }
            if met >= count.max(1) && last != Some(hash) {
                return hash;
            }
            f(id);
            met += 1;
            last = Some(hash);
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn equals_a_map_and_stays_in_order(
            ops in prop::collection::vec((prop::bool::weighted(0.6), 0..200_u32, any::<bool>()), 0..600),
        ) {
            let mut index = Index::default();
            let mut model = BTreeMap::new();
            for (add, n, top) in ops {
                // Clusters, and the end of the range.
                let hash = if top { u32::MAX - n / 3 } else { (n / 2).wrapping_mul(0x0100_0001) };
                let id = n * 2 + u32::from(top);
                if add {
                    if model.insert(id, hash).is_none() {
                        index.insert(hash, id);
                    }
                } else {
                    let there = model.remove(&id);
                    prop_assert_eq!(index.remove(hash, |i| i == id), there.map(|_| id));
                }
                prop_assert_eq!(index.len, model.len());
            }
            for (id, hash) in &model {
                prop_assert_eq!(index.find(*hash, |i| i == *id), Some(*id));
            }
            let hashes: Vec<u32> = index.slots.iter().filter(|s| **s != EMPTY).map(|s| s.0).collect();
            prop_assert!(hashes.is_sorted());
            let mut seen = Vec::new();
            let mut cursor = 0;
            loop {
                cursor = index.scan(cursor, 3, |id| seen.push(id));
                if cursor == 0 {
                    break;
                }
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, model.keys().copied().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_walk_meets_lasting_ids_once_while_it_grows() {
        let hash = |id: u32| id.wrapping_mul(0x9E37_79B1);
        let mut index = Index::default();
        (0..100).for_each(|id| index.insert(hash(id), id));
        let (mut met, mut cursor, mut next) = (Vec::new(), 0, 100);
        loop {
            cursor = index.scan(cursor, 7, |id| met.push(id));
            if cursor == 0 {
                break;
            }
            (next..next + 50).for_each(|id| index.insert(hash(id), id));
            next += 50;
        }
        met.retain(|id| *id < 100);
        met.sort_unstable();
        assert_eq!(met, (0..100).collect::<Vec<_>>());
    }
}
