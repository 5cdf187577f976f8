//! Moving entries between a database and its [asides](crate::ASIDES): what a copy of several primaries needs.

use crate::entry::EntryRef;
use crate::event::Class;
use crate::lock::ShardSet;
use crate::shard::SHARDS;
use crate::txn::Txn;

impl Txn<'_> {
    /// Whether `key` is in database `db`, expired or not. Its shard must be held.
    #[must_use]
    pub fn has(&self, db: u32, key: &[u8]) -> bool {
        self.entry_even_expired(db, key).is_some()
    }

    /// Takes the shards of `key` in these databases, too.
    pub fn hold_in(&mut self, dbs: impl IntoIterator<Item = u32>, key: &[u8]) {
        let mut set = ShardSet::none();
        dbs.into_iter().for_each(|db| set.add(self.keyspace(), db, key));
        self.hold(&set);
    }

    /// Takes every shard of this database, too.
    pub fn hold_all_of(&mut self, db: u32) {
        let mut set = ShardSet::none();
        (0..SHARDS).for_each(|shard| set.add_shard(db, shard));
        self.hold(&set);
    }

    /// Moves a key with all that is known of it; whether it was there. What was in its place is gone.
    pub fn transfer(&mut self, key: &[u8], from: u32, to: u32) -> bool {
        let Some(gone) = self.in_db(from, |txn| txn.detach(key)) else { return false };
        let entry = gone.again();
        // Where databases cannot exist nothing could have been moved to before.
        self.in_db(to, |txn| txn.attach(entry)).is_ok()
    }

    /// Deletes the keys of a database that `keep` does not want. The database must be held.
    pub fn retain(&mut self, db: u32, mut keep: impl FnMut(&[u8]) -> bool) {
        for index in 0..SHARDS {
            let mut doomed: Vec<Box<[u8]>> = Vec::new();
            let collect = |entry: EntryRef<'_>| {
                if !keep(entry.key()) {
                    doomed.push(entry.key().into());
                }
            };
            self.with_shard(db, index, |shard| shard.iter().for_each(collect));
            self.in_db(db, |txn| {
                for key in &doomed {
                    txn.remove(key);
                }
            });
        }
    }

    /// Changes that were told of in database `from` are told of in `to` instead, those of keys that `told` names; the
    /// others not at all.
    pub fn retell(&mut self, from: u32, to: u32, mut told: impl FnMut(&[u8]) -> bool) {
        if let Some(changes) = &mut self.changes {
            changes.retain_mut(|change| {
                if change.db != from {
                    return true;
                }
                change.db = to;
                told(&change.key)
            });
        }
    }

    /// Tells those who watch that a key has another value, or none, though no command changed it.
    pub fn replaced(&mut self, db: u32, key: &[u8]) {
        let event = if self.has(db, key) { "restore" } else { "del" };
        self.in_db(db, |txn| txn.notify(Class::Generic, event, key));
    }
}
