//! The hash of keys: 64 bits, seeded, the same for the life of the process.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

/// Hashes keys and members.
#[derive(Debug, Clone)]
pub struct KeyHash(FixedState);

impl KeyHash {
    /// A hash by `seed`. Keys come from the network: take a seed that nobody can guess.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(FixedState::with_seed(seed))
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
        let mut hasher = self.0.build_hasher();
        hasher.write(key);
        hasher.finish()
    }
}
