//! Walking a database in hash order by a cursor without state.
//!
//! The cursor is the next 48-bit hash prefix; 0 begins and ends. Hashes never change, so a key that is
//! there throughout is met exactly once, whatever splits, swaps or resyncs happen meanwhile.

use crate::entry::EntryRef;
use crate::shard::{BELOW_TAG, SHARD_BITS, SHARDS, shard_of};
use crate::view::View;

/// Bits of a cursor: clients in any language can hold it.
const CURSOR_BITS: u32 = 48;
const DROPPED: u32 = 64 - CURSOR_BITS;

impl View<'_> {
    /// Calls `f` with at least `count` entries (if so many are left) of database `db` from `cursor` on,
    /// hidden ones included; answers the next cursor, 0 at the end. Each shard is locked in its turn.
    pub fn scan(&self, db: u32, cursor: u64, count: usize, mut f: impl FnMut(EntryRef<'_>)) -> u64 {
        let Some(mut at) = cursor.checked_shl(DROPPED).filter(|at| at >> DROPPED == cursor) else { return 0 };
        let mut left = count.max(1);
        loop {
            let shard = shard_of(at);
            let next = self
                .with_shard(db, shard, |shard| shard.step(at, &mut left, self.keyspace().hasher(), &mut f));
            let next_shard = || (shard + 1 < SHARDS).then(|| (shard as u64 + 1) << (64 - SHARD_BITS));
            match next.flatten().or_else(next_shard) {
                None => return 0,
                Some(next) if left == 0 => return next >> DROPPED,
                Some(next) => at = next,
            }
        }
    }
}

impl crate::shard::Shard {
    /// One segment's entries from `at` on, in order, until `left` is used up; the hash to go on with, or
    /// `None` at the end of the shard. Entries whose cursors are equal go together.
    fn step(
        &self,
        at: u64,
        left: &mut usize,
        hasher: &crate::hash::KeyHash,
        f: &mut impl FnMut(EntryRef<'_>),
    ) -> Option<u64> {
        let (segment, mut next) = self.line_from(at)?;
        // By the tags alone, so that only the keys of those who may be among the first are touched.
        let mut near: Vec<(u64, EntryRef<'_>)> =
            segment.tagged(at).filter(|(place, _)| *place >= at >> BELOW_TAG).collect();
        if near.len() > *left {
            near.select_nth_unstable_by_key(*left, |(place, _)| *place);
            let last = near[*left].0;
            near.retain(|(place, _)| *place <= last);
            let after = (last + 1) << BELOW_TAG;
            next = Some(after).filter(|after| shard_of(*after) == shard_of(at));
        }
        let mut found: Vec<(u64, EntryRef<'_>)> = near
            .into_iter()
            .map(|(_, e)| (hasher.hash(e.key()) >> DROPPED, e))
            .filter(|(h, _)| *h >= at >> DROPPED)
            .collect();
        if found.len() > *left {
            found.select_nth_unstable_by_key(*left, |(h, _)| *h);
            // The first that is left over, with all its equals, opens the next step.
            let pivot = found[*left].0;
            found.retain(|(h, _)| *h < pivot);
            if !found.is_empty() {
                *left = 0;
                found.into_iter().for_each(|(_, e)| f(e));
                return Some(pivot << DROPPED);
            }
            return self.step_equal(at, pivot, left, hasher, f);
        }
        *left -= found.len();
        found.into_iter().for_each(|(_, e)| f(e));
        next
    }

    /// More entries share one cursor than a step wants: they go together all the same.
    fn step_equal(
        &self,
        at: u64,
        equal: u64,
        left: &mut usize,
        hasher: &crate::hash::KeyHash,
        f: &mut impl FnMut(EntryRef<'_>),
    ) -> Option<u64> {
        let (segment, next) = self.line_from(at)?;
        *left = 0;
        segment.iter().filter(|e| hasher.hash(e.key()) >> DROPPED == equal).for_each(f);
        let following = (equal + 1).checked_shl(DROPPED).filter(|n| n >> DROPPED == equal + 1);
        match (following, next) {
            (Some(following), Some(next)) => Some(following.min(next)),
            (Some(following), None) if shard_of(following) == shard_of(at) => Some(following),
            (_, next) => next,
        }
    }
}
