//! When keys are due: a heap for each shard, so that expiry costs what expires and nothing else.
//!
//! A key that expires stands here at least once, no later than its deadline; one that never expires costs nothing.
//! What stands here is a hint: who takes it out looks the key up by its hash, and puts it back if its deadline has
//! been moved away. So moving a deadline further costs nothing, and moving it back costs one more place; when twice
//! as many places as after the last tidying are taken, those that mean nothing any more are thrown out.
//!
//! ```text
//! | deadline in units of 64 ms, 40 bits | the hash below its shard, 56 bits |     12 bytes a key
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::shard::SHARD_BITS;

/// Milliseconds in a unit, as a power of two.
const UNIT: u32 = 6;
/// Bits of a hash that the shard does not know already.
const HASH_BITS: u32 = 64 - SHARD_BITS;
/// Beyond it, some two thousand years, all deadlines are one.
const MOST: u64 = (1 << 40) - 1;
/// Nobody tidies up for fewer places.
const FEW: usize = 64;

/// A deadline and a hash, ordered by deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due([u32; 3]);

impl Due {
    fn new(unit: u64, hash: u64) -> Self {
        let low = hash & ((1 << HASH_BITS) - 1);
        Self([(unit >> 8) as u32, ((unit & 0xFF) << 24 | low >> 32) as u32, low as u32])
    }

    fn unit(self) -> u64 {
        u64::from(self.0[0]) << 8 | u64::from(self.0[1] >> 24)
    }

    fn hash(self) -> u64 {
        u64::from(self.0[1] & 0xFF_FFFF) << 32 | u64::from(self.0[2])
    }
}

fn unit_of(ms: i64) -> u64 {
    u64::try_from(ms >> UNIT).unwrap_or(0).min(MOST)
}

/// The deadlines of a shard's keys.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    heap: BinaryHeap<Reverse<Due>>,
    /// Places after the last tidying.
    tidy: usize,
}

impl Deadlines {
    /// The key of this hash is due then.
    pub(crate) fn add(&mut self, ms: i64, hash: u64) {
        self.heap.push(Reverse(Due::new(unit_of(ms), hash)));
    }

    /// Takes out the hash of a key that is due at `now`, without the bits of the shard.
    pub(crate) fn pop(&mut self, now: i64) -> Option<u64> {
        let Reverse(due) = *self.heap.peek()?;
        // Not the unit that has only begun: not all of its deadlines have passed.
        if due.unit() >= unit_of(now) {
            return None;
        }
        self.heap.pop();
        Some(due.hash())
    }

    /// Whether anything is due.
    pub(crate) fn is_due(&self, now: i64) -> bool {
        self.heap.peek().is_some_and(|Reverse(due)| due.unit() < unit_of(now))
    }

    /// The hash of the one that is due first.
    pub(crate) fn first(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(due)| due.hash())
    }

    /// Hashes from a place on, going round: for who wants any keys that expire.
    pub(crate) fn starting_at(&self, place: usize) -> impl Iterator<Item = u64> {
        let all = self.heap.as_slice();
        let (before, after) = all.split_at(place.checked_rem(all.len()).unwrap_or(0));
        after.iter().chain(before).map(|Reverse(due)| due.hash())
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether it is worth a tidying, where so many keys expire.
    pub(crate) fn is_untidy(&self, expiring: usize) -> bool {
        self.heap.len() > 2 * self.tidy.max(expiring) + FEW
    }

    /// Keeps one place for each hash of which `deadline` knows when it is due.
    pub(crate) fn tidy_up(&mut self, deadline: impl Fn(u64) -> Option<i64>) {
        let mut hashes: Vec<u64> = self.heap.drain().map(|Reverse(due)| due.hash()).collect();
        hashes.sort_unstable();
        hashes.dedup();
        let kept =
            hashes.into_iter().filter_map(|hash| Some(Reverse(Due::new(unit_of(deadline(hash)?), hash))));
        self.heap = kept.collect();
        self.heap.shrink_to_fit();
        self.tidy = self.heap.len();
    }

    /// Bytes on the heap.
    pub(crate) fn allocated(&self) -> usize {
        self.heap.capacity() * size_of::<Due>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_order_and_not_before_its_time() {
        let mut deadlines = Deadlines::default();
        let hashes: Vec<u64> =
            (1..200).map(|n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> SHARD_BITS).collect();
        for (n, hash) in hashes.iter().enumerate() {
            deadlines.add(1_000_000 + 100 * n as i64, *hash);
        }
        assert_eq!(deadlines.pop(1_000_000), None);
        let mut seen = 0;
        for now in (1_000_000..1_030_000).step_by(100) {
            while let Some(hash) = deadlines.pop(now) {
                assert_eq!(hash, hashes[seen]);
                assert!(1_000_000 + 100 * (seen as i64) < now);
                seen += 1;
            }
        }
        assert_eq!(seen, hashes.len());
        deadlines.add(i64::MAX, 5);
        deadlines.add(i64::MIN, 6);
        assert_eq!(deadlines.pop(1_000), Some(6));
        assert_eq!(deadlines.pop(i64::MAX), None);
    }

    #[test]
    fn tidying_keeps_one_place_for_who_still_expires() {
        let mut deadlines = Deadlines::default();
        for round in 0..10 {
            (0..20).for_each(|hash| deadlines.add(1000 - round, hash));
        }
        assert!(deadlines.is_untidy(0));
        deadlines.tidy_up(|hash| (hash % 2 == 0).then_some(5000));
        assert_eq!(deadlines.len(), 10);
        assert!(!deadlines.is_untidy(0) && !deadlines.is_due(5000) && deadlines.is_due(5100));
    }
}
