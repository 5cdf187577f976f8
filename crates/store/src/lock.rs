//! Which shards a command needs, and holding them in order.
//!
//! Lock order: the gate, then shards. The writer takes the gate alone, and then shards as it comes to need them. A
//! reader of one key waits for its shard and holds nothing else. A reader of several takes them if it need not wait;
//! else it lets go of all, waits at the gate until no writer is there, and takes them then. So nobody who waits for a
//! shard that a writer holds has a shard in hand.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use parking_lot::RwLockReadGuard;
use smallvec::SmallVec;

use crate::keyspace::Keyspace;
use crate::shard::{Exclusive, SHARD_BITS, SHARDS, Shard, shard_of};

/// Database and shard in one number, ordered as locks are.
pub(crate) type ShardId = u32;

pub(crate) fn shard_id(db: u32, hash: u64) -> ShardId {
    db << SHARD_BITS | shard_of(hash) as u32
}

/// The shards that a command, or a group of commands, may touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardSet {
    shards: SmallVec<[ShardId; 4]>,
    everything: bool,
}

impl ShardSet {
    /// No shard.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Every shard of every database that exists.
    #[must_use]
    pub fn everything() -> Self {
        Self { shards: SmallVec::new(), everything: true }
    }

    /// Adds the shard of `key`.
    pub fn add(&mut self, keyspace: &Keyspace, db: u32, key: &[u8]) {
        if !self.everything {
            let id = shard_id(db, keyspace.hasher().hash(key));
            if let Err(at) = self.shards.binary_search(&id) {
                self.shards.insert(at, id);
            }
        }
    }

    /// Adds a whole shard; `shard` is below 256.
    pub fn add_shard(&mut self, db: u32, shard: usize) {
        let id = db << SHARD_BITS | (shard % SHARDS) as u32;
        if !self.everything
            && let Err(at) = self.shards.binary_search(&id)
        {
            self.shards.insert(at, id);
        }
    }

    /// Adds everything.
    pub fn add_everything(&mut self) {
        *self = Self::everything();
    }

    /// At most one shard.
    fn is_one(&self) -> bool {
        !self.everything && self.shards.len() <= 1
    }

    /// Whether every shard is meant.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.everything
    }
}

#[derive(Debug)]
enum Guard<'k> {
    Shared(RwLockReadGuard<'k, Shard>),
    Exclusive(Exclusive<'k>),
}

/// The guards of a set, sorted.
#[derive(Debug, Default)]
pub(crate) struct Held<'k> {
    guards: SmallVec<[(ShardId, Guard<'k>); 1]>,
    /// For whose accounts the shards are held exclusively, and what they weighed at first.
    account: Option<&'k AtomicI64>,
    before: i64,
    /// What those that are held no more have gained.
    gained: i64,
}

/// What the shards have gained while they were held goes to the keyspace's account.
impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(account) = self.account {
            let gained = self.gained + weight(&self.guards) - self.before;
            if gained != 0 {
                account.fetch_add(gained, Ordering::Relaxed);
            }
        }
    }
}

fn weight(guards: &[(ShardId, Guard<'_>)]) -> i64 {
    let of = |guard: &Guard<'_>| match guard {
        Guard::Exclusive(shard) => i64::try_from(shard.counts().bytes).unwrap_or(i64::MAX),
        Guard::Shared(_) => 0,
    };
    guards.iter().map(|(_, guard)| of(guard)).sum()
}

impl<'k> Held<'k> {
    pub(crate) fn shared(keyspace: &'k Keyspace, set: &ShardSet) -> Self {
        let take = || {
            Self::take(keyspace, set, |db, shard| {
                keyspace.db(db).map(|d| Guard::Shared(d.shard(shard).read()))
            })
        };
        if set.is_one() {
            return take();
        }
        Self::shared_at_once(keyspace, set, None).unwrap_or_else(|| {
            // Whoever asks may hold the gate already.
            let _gate = keyspace.gate.still_again();
            take()
        })
    }

    /// As [`shared`](Self::shared), but gives up where a lock cannot be had by a moment; at once if there is none.
    pub(crate) fn shared_until(keyspace: &'k Keyspace, set: &ShardSet, end: Option<Instant>) -> Option<Self> {
        if set.is_one() {
            return Self::shared_at_once(keyspace, set, end);
        }
        Self::shared_at_once(keyspace, set, None).or_else(|| {
            let _gate = keyspace.gate.still_again_until(end?)?;
            Some(Self::shared(keyspace, set))
        })
    }

    /// With a moment, only for a single shard: it waits with what it has in hand.
    fn shared_at_once(keyspace: &'k Keyspace, set: &ShardSet, end: Option<Instant>) -> Option<Self> {
        let missed = Cell::new(false);
        let held = Self::take(keyspace, set, |db, shard| {
            let cell = keyspace.db(db)?.shard(shard);
            let guard = if missed.get() { None } else { cell.read_until(end) };
            missed.set(missed.get() || guard.is_none());
            guard.map(Guard::Shared)
        });
        (!missed.get()).then_some(held)
    }

    pub(crate) fn exclusive(keyspace: &'k Keyspace, set: &ShardSet) -> Self {
        let mut held = Self::take(keyspace, set, |db, shard| {
            keyspace.db_or_new(db).map(|d| Guard::Exclusive(d.shard(shard).write()))
        });
        held.account = Some(&**keyspace.account());
        held.before = weight(&held.guards);
        held
    }

    /// Lets go of everything, and takes `set` instead. Only the writer may, with the gate in hand.
    pub(crate) fn turn_to(&mut self, keyspace: &'k Keyspace, set: &ShardSet) {
        self.gained += weight(&self.guards) - self.before;
        self.before = 0;
        self.guards.clear();
        self.add_exclusive(keyspace, set);
    }

    /// Takes what of `set` is not held yet. Only the writer may, with the gate in hand.
    pub(crate) fn add_exclusive(&mut self, keyspace: &'k Keyspace, set: &ShardSet) {
        if set.everything {
            for (db, found) in keyspace.existing() {
                for shard in 0..SHARDS {
                    let id = db << SHARD_BITS | shard as u32;
                    if let Err(at) = self.position(id) {
                        let shard = found.shard(shard).write();
                        self.before += i64::try_from(shard.counts().bytes).unwrap_or(i64::MAX);
                        self.guards.insert(at, (id, Guard::Exclusive(shard)));
                    }
                }
            }
        }
        for id in &set.shards {
            // Taken, unless there can be no such database.
            let _ = self.get_mut(keyspace, *id);
        }
    }

    fn take(keyspace: &'k Keyspace, set: &ShardSet, lock: impl Fn(u32, usize) -> Option<Guard<'k>>) -> Self {
        let one = |id: ShardId| Some((id, lock(id >> SHARD_BITS, id as usize % SHARDS)?));
        let guards = if set.everything {
            keyspace
                .existing()
                .flat_map(|(db, _)| (0..SHARDS as u32).map(move |s| db << SHARD_BITS | s))
                .filter_map(one)
                .collect()
        } else {
            set.shards.iter().filter_map(|id| one(*id)).collect()
        };
        Self { guards, account: None, before: 0, gained: 0 }
    }

    #[inline]
    fn position(&self, id: ShardId) -> Result<usize, usize> {
        if let [(only, _)] = self.guards.as_slice()
            && *only == id
        {
            return Ok(0);
        }
        self.guards.binary_search_by_key(&id, |(id, _)| *id)
    }

    #[inline]
    pub(crate) fn get(&self, id: ShardId) -> Option<&Shard> {
        match &self.guards[self.position(id).ok()?].1 {
            Guard::Shared(shard) => Some(shard),
            Guard::Exclusive(shard) => Some(shard),
        }
    }

    /// The shard, to write. One that is not held (a database that came to be under a lock of everything)
    /// is locked now.
    #[inline]
    pub(crate) fn get_mut(&mut self, keyspace: &'k Keyspace, id: ShardId) -> Option<&mut Shard> {
        let at = match self.position(id) {
            Ok(at) => at,
            Err(at) => {
                let shard = keyspace.db_or_new(id >> SHARD_BITS)?.shard(id as usize % SHARDS).write();
                self.before += i64::try_from(shard.counts().bytes).unwrap_or(i64::MAX);
                self.guards.insert(at, (id, Guard::Exclusive(shard)));
                at
            }
        };
        match &mut self.guards[at].1 {
            Guard::Exclusive(shard) => Some(shard),
            Guard::Shared(_) => None,
        }
    }
}
