//! One database: 256 shards, each behind its own lock.

use crate::shard::{Cell, Counts, SHARDS};

/// A numbered database.
#[derive(Debug)]
pub struct Db {
    shards: Box<[Cell]>,
}

impl Default for Db {
    fn default() -> Self {
        Self { shards: std::iter::repeat_with(Cell::default).take(SHARDS).collect() }
    }
}

impl Db {
    /// A shard with its lock; `index` is below 256.
    #[inline]
    pub(crate) fn shard(&self, index: usize) -> &Cell {
        &self.shards[index % SHARDS]
    }

    pub(crate) fn shards(&self) -> &[Cell] {
        &self.shards
    }

    /// Whether a shard has keys or fields that are due; `index` is below 256.
    #[must_use]
    pub fn is_due(&self, index: usize, now: i64) -> bool {
        self.shard(index).read().is_due(now)
    }

    /// Keys and bytes of all shards, each counted at its own moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shards.iter().map(|s| s.read().counts()).fold(Counts::default(), Counts::plus)
    }

    /// Bytes of tables and directories.
    #[must_use]
    pub fn overhead(&self) -> usize {
        SHARDS * size_of::<Cell>() + self.shards.iter().map(|s| s.read().overhead()).sum::<usize>()
    }
}
