//! Who could go to make room: keys drawn by chance, with how well they could be spared.

use crate::access::Clock;
use crate::entry::EntryRef;
use crate::keyspace::Keyspace;
use crate::policy::Policy;
use crate::shard::{SHARD_BITS, SHARDS};

/// A key that could go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its database.
    pub db: u32,
    /// The key.
    pub key: Box<[u8]>,
    /// How well it could be spared, by the policy.
    pub score: u64,
}

impl Keyspace {
    /// Draws a key of a database by a random number, among those that may go by this policy; `None` if there is none.
    #[must_use]
    pub fn candidate(&self, db: u32, policy: Policy, draw: u64) -> Option<Candidate> {
        let shards = self.db(db)?;
        let first = (draw >> (64 - SHARD_BITS)) as usize;
        (first..first + SHARDS).find_map(|index| {
            let index = index % SHARDS;
            let shard = shards.shard(index).read();
            let entry = match policy {
                Policy::VolatileTtl => shard.first_due(self.hasher(), index),
                policy if policy.is_volatile() => shard.any_expiring(draw, self.hasher(), index),
                _ => shard.any(draw),
            }?;
            Some(Candidate { db, key: entry.key().into(), score: self.score(policy, entry) })
        })
    }

    fn score(&self, policy: Policy, entry: EntryRef<'_>) -> u64 {
        let uses = Clock::new(self, self.clock().now());
        match policy {
            Policy::AllKeysLru | Policy::VolatileLru => uses.idle(entry).into(),
            Policy::AllKeysLfu | Policy::VolatileLfu => u64::from(255 - uses.frequency(entry).min(255)),
            Policy::VolatileTtl => u64::MAX - entry.expire().map_or(0, |at| u64::try_from(at).unwrap_or(0)),
            Policy::AllKeysRandom | Policy::VolatileRandom | Policy::NoEviction => 0,
        }
    }
}
