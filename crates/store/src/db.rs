//! One database: 256 shards, each behind its own lock.

use parking_lot::RwLock;

use crate::shard::{Counts, SHARDS, Shard};

/// A numbered database.
#[derive(Debug)]
pub struct Db {
    shards: Box<[RwLock<Shard>]>,
}

impl Default for Db {
    fn default() -> Self {
        Self { shards: std::iter::repeat_with(RwLock::default).take(SHARDS).collect() }
    }
}

impl Db {
    /// The lock of a shard; `index` is below 256.
    #[inline]
    pub(crate) fn shard(&self, index: usize) -> &RwLock<Shard> {
        &self.shards[index % SHARDS]
    }

    pub(crate) fn shards(&self) -> &[RwLock<Shard>] {
        &self.shards
    }

    /// Keys and bytes of all shards, each counted at its own moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shards.iter().map(|s| s.read().counts()).fold(Counts::default(), Counts::plus)
    }

    /// Bytes of tables and directories.
    #[must_use]
    pub fn overhead(&self) -> usize {
        SHARDS * size_of::<RwLock<Shard>>() + self.shards.iter().map(|s| s.read().overhead()).sum::<usize>()
    }
}
