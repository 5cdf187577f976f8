//! Keys that commands are about to ask for. What a lookup costs is mostly waiting for memory, and those who know
//! their next commands (a pipeline, a primary's stream) can wait for many keys at once.

use smallvec::SmallVec;

use crate::args::Args;
use crate::command::Command;
use crate::keyspace::Keyspace;
use crate::shard::{approach, shard_of};

/// What fits in a core's cache needs no preparation.
const LARGE: usize = 1 << 20;

/// Hashes of keys that come soon, with their databases.
#[derive(Debug, Default)]
pub struct Ahead(SmallVec<[(u32, u64); 32]>);

impl Ahead {
    /// How many commands it pays to look ahead.
    pub const COMMANDS: usize = 32;

    /// Whether preparing lookups in this keyspace pays.
    #[must_use]
    pub fn pays(keyspace: &Keyspace) -> bool {
        keyspace.payload() > LARGE
    }

    /// This command comes soon.
    pub fn add(&mut self, keyspace: &Keyspace, db: u32, row: &Command, args: Args<'_>) {
        if self.0.len() < Self::COMMANDS * 2 && row.check_arity(args).is_ok() {
            row.keys.each(args, |key| self.0.push((db, keyspace.hasher().hash(key))));
        }
    }

    /// That were all: has the memory behind them come into the cache.
    pub fn approach(&mut self, keyspace: &Keyspace) {
        let cell = |(db, hash): &(u32, u64)| Some((keyspace.db(*db)?.shard(shard_of(*hash)), *hash));
        approach(self.0.iter().filter_map(cell));
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Expiry, ShardSet, Viewer};

    #[test]
    fn looking_ahead_changes_nothing_and_survives_writers() {
        let (keyspace, mut writer) = Keyspace::new(2);
        let row = crate::command::find(Args::new(&[b"mget", b"k"])).unwrap();
        let count = if cfg!(miri) { 300_u32 } else { 30_000 };
        std::thread::scope(|scope| {
            let ahead = scope.spawn(|| {
                let mut ahead = Ahead::default();
                for n in 0..count {
                    let (a, b) = (n.to_le_bytes(), (n / 2).to_le_bytes());
                    ahead.add(&keyspace, n % 3, row, Args::new(&[b"MGET", &a, &b]));
                    if n % 7 == 0 {
                        ahead.approach(&keyspace);
                    }
                }
            });
            for n in 0..count {
                let key = (n % (count / 2)).to_le_bytes();
                let mut set = ShardSet::none();
                set.add(&keyspace, 0, &key);
                let mut txn = writer.begin(&set, Viewer::Stream, 0);
                txn.set_string(&key, b"value", Expiry::Never).unwrap();
                if n % 5 == 0 {
                    txn.remove(&key);
                }
            }
            ahead.join().unwrap();
        });
        assert!(keyspace.counts().keys > 0);
    }
}
