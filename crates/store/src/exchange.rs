//! Exchanging a part of all keys for others: at once for readers, though it takes long.
//!
//! ```text
//!   exchange: every shard held    each gets a note of what is to be done    O(shards)
//!   afterwards: whoever wants a shard next does first what its note says, alone with that shard
//! ```
//!
//! Until then nobody looks at the shard: its version stays odd, which sends readers without a lock to the lock, and
//! there they find the note (`shard/cell.rs`). So all of the exchange is seen or nothing of it, and a reader waits for
//! one shard's work at most, also of keys that are no part of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::entry::Entry;
use crate::graveyard;
use crate::hash::KeyHash;
use crate::keyspace::{Keyspace, MAX_DATABASES};
use crate::load::Loaded;
use crate::shard::{SHARD_BITS, SHARDS, Shard};
use crate::snapshot::Capture;
use crate::txn::Txn;

/// Which keys are exchanged.
type Part = dyn Fn(&[u8]) -> bool + Send + Sync;

/// What the notes of one exchange have in common.
struct Exchange {
    part: Box<Part>,
    hasher: KeyHash,
    account: Arc<AtomicI64>,
    /// The snapshot that was being taken, and the epoch of the last one.
    capture: Option<Arc<Capture>>,
    epoch: u32,
}

/// What is to be done with a shard before anybody looks at it.
pub(crate) struct Pending {
    exchange: Arc<Exchange>,
    db: u32,
    index: usize,
    new: Shard,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("db", &self.db).field("index", &self.index).finish_non_exhaustive()
    }
}

impl Pending {
    /// Takes out the keys of the part, and puts in the new ones. The shard is held alone.
    pub(crate) fn settle(self, shard: &mut Shard) {
        let Self { exchange, db, index, mut new } = self;
        let Exchange { part, hasher, account, capture, epoch } = &*exchange;
        if let Some(capture) = capture {
            capture.before_all(db, index, shard);
        }
        let before = shard.counts().bytes;
        if shard.counts().keys == 0 {
            new.renew(*epoch);
            *shard = new;
        } else {
            let is_gone = |key: &[u8]| part(key) && new.get(hasher.hash(key), key).is_none();
            let doomed: Vec<Box<[u8]>> =
                shard.iter().map(|entry| entry.key()).filter(|key| is_gone(key)).map(Into::into).collect();
            let mut gone: Vec<_> =
                doomed.iter().filter_map(|key| shard.remove(hasher.hash(key), key, hasher)).collect();
            new.empty(|entry| gone.extend(shard.insert(hasher.hash(entry.key()), entry, hasher)));
            graveyard::bury(gone.into_iter());
        }
        let bytes = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        account.fetch_add(bytes(shard.counts().bytes) - bytes(before), Ordering::Relaxed);
    }
}

impl Loaded {
    /// Takes out the entries whose keys are not wanted, with their databases. O(keys).
    pub fn take_out(
        &mut self,
        keyspace: &Keyspace,
        mut is_wanted: impl FnMut(&[u8]) -> bool,
    ) -> Vec<(u32, Entry)> {
        let hasher = keyspace.hasher();
        let mut out = Vec::new();
        for (db, shards) in (0..).zip(&mut self.dbs) {
            for shard in shards.iter_mut().flat_map(|shards| shards.iter_mut()) {
                let keys: Vec<Box<[u8]>> = shard
                    .iter()
                    .map(|entry| entry.key())
                    .filter(|key| !is_wanted(key))
                    .map(Into::into)
                    .collect();
                for key in keys {
                    let gone = shard.remove(hasher.hash(&key), &key, hasher);
                    out.extend(gone.map(|gone| (db, gone.again())));
                }
            }
        }
        out
    }

    /// Sources of the function libraries that came with it.
    #[must_use]
    pub fn functions(&self) -> &[Arc<[u8]>] {
        &self.functions
    }
}

impl Txn<'_> {
    /// Ends the transaction, and has the keys that are a `part` replaced, in every database, by what a loader has built,
    /// of which all keys are. Readers see it at once, with what the transaction has done. O(databases); the work itself
    /// is done shard by shard when somebody wants to look there, or by [`Keyspace::settle`].
    pub fn exchange(mut self, loaded: Loaded, part: impl Fn(&[u8]) -> bool + Send + Sync + 'static) {
        let keyspace = self.keyspace();
        let mut dbs = loaded.dbs;
        let existing: Vec<u32> = keyspace.existing().map(|(db, _)| db).collect();
        let last = existing.last().map_or(0, |last| *last as usize + 1);
        dbs.resize_with(dbs.len().max(last).min(MAX_DATABASES as usize), || None);
        let exchange = Arc::new(Exchange {
            part: Box::new(part),
            hasher: keyspace.hasher().clone(),
            account: Arc::clone(keyspace.account()),
            capture: self.capture.clone(),
            epoch: keyspace.snapshots().epoch(),
        });
        for (db, shards) in (0..).zip(dbs) {
            if shards.is_none() && !existing.contains(&db) {
                continue;
            }
            self.hold_all_of(db);
            let mut news = shards.into_iter().flat_map(IntoIterator::into_iter);
            for index in 0..SHARDS {
                let new = news.next().unwrap_or_default();
                let Some(shard) = self.view.held.get_mut(keyspace, db << SHARD_BITS | index as u32) else {
                    continue;
                };
                if shard.counts().keys + new.counts().keys > 0 {
                    shard.leave(Pending { exchange: Arc::clone(&exchange), db, index, new });
                }
            }
        }
    }
}

impl Keyspace {
    /// Does what exchanges have left to do, if there is anything, with one shard held at a time. O(keys) then.
    pub fn settle(&self) {
        for (_, db) in self.existing() {
            db.shards().iter().for_each(|shard| drop(shard.read()));
        }
    }
}
