//! The hash of keys: 64 bits, seeded, the same for the life of the process.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use crate::shard::{SHARD_BITS, SHARDS};

/// Hashes keys and members.
#[derive(Debug, Clone)]
pub struct KeyHash {
    state: FixedState,
    /// The bits that hashes may have: without some of the shard's, so that only every so many-th shard is used.
    mask: u64,
}

impl KeyHash {
    /// A hash by `seed`. Keys come from the network: take a seed that nobody can guess.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: FixedState::with_seed(seed), mask: u64::MAX }
    }

    /// The same for so many shards: rounded up to a power of two, and at most 256. Those used stand at equal
    /// distances, so that whoever begins at any shard and takes the next with keys is as likely to meet one as another.
    #[must_use]
    pub fn with_shards(self, shards: usize) -> Self {
        let bits = shards.clamp(1, SHARDS).next_power_of_two().trailing_zeros();
        Self { mask: !(u64::MAX >> bits & !(u64::MAX >> SHARD_BITS)), ..self }
    }

    /// How many shards it leads to.
    #[must_use]
    pub fn shards(&self) -> usize {
        1 << (self.mask >> (64 - SHARD_BITS)).count_ones()
    }

    /// A hash by a seed of the operating system's.
    #[must_use]
    pub fn random() -> Self {
        Self::new(std::hash::RandomState::new().build_hasher().finish())
    }

    /// The hash of `key`.
    #[inline]
    #[must_use]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.state.build_hasher();
        hasher.write(key);
        hasher.finish() & self.mask
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::shard::shard_of;

    #[test]
    fn hashes_lead_to_so_many_shards_at_equal_distances() {
        for (asked, given) in [(0, 1), (1, 1), (2, 2), (3, 4), (64, 64), (100, 128), (256, 256), (1000, 256)]
        {
            let hasher = KeyHash::random().with_shards(asked);
            assert_eq!(hasher.shards(), given);
            let met: HashSet<usize> =
                (0..20_000_u32).map(|n| shard_of(hasher.hash(&n.to_le_bytes()))).collect();
            assert_eq!(met, (0..SHARDS).step_by(SHARDS / given).collect());
        }
    }
}
