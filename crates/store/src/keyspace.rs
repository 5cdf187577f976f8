//! All databases, the gate before them, and what they share.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::RwLock;

use crate::blob::Blob;
use crate::clock::CoarseClock;
use crate::compat::{Compat, CompatCell};
use crate::db::Db;
use crate::entry::EntryRef;
use crate::gate::{Gate, Still};
use crate::hash::KeyHash;
use crate::limits::Limits;
use crate::load::Loaded;
use crate::lock::ShardSet;
use crate::shard::{Cell, Counts, SHARDS, Shard, shard_of};
use crate::snapshot::Snapshots;
use crate::txn::Writer;
use crate::view::{View, Viewer};

/// Databases that can ever exist in one keyspace. A primary may have more than we announce: we grow up to
/// here, and refuse beyond.
pub const MAX_DATABASES: u32 = 4096;

/// Databases beyond [`MAX_DATABASES`] that no client can name and nothing counts or saves: where a copy of a cluster
/// keeps what its shards hold and do not show (see [`Txn::transfer`](crate::Txn::transfer)).
pub const ASIDES: u32 = 1024;

/// Shards of a database, unless fewer are asked for ([`Keyspace::with_shards`]).
pub const MAX_SHARDS: usize = SHARDS;

/// Keys of [`Keyspace::blobs`] whose cache misses overlap.
const AHEAD: usize = 16;

/// Every database of a server, readable from any thread.
///
/// Reads of short strings take no lock, others lock one shard for their duration. There is one [`Writer`]; it takes the gate, then the shards
/// of its keys in order, so that a group of writes appears at once.
#[derive(Debug)]
pub struct Keyspace {
    pub(crate) gate: Gate,
    dbs: Box<[OnceLock<Db>]>,
    databases: AtomicU32,
    hasher: KeyHash,
    limits: Limits,
    /// Bytes of entries and values, as of the last transaction.
    account: Arc<AtomicI64>,
    compat: CompatCell,
    clock: CoarseClock,
    functions: RwLock<Vec<Arc<[u8]>>>,
    snapshots: Snapshots,
}

impl Keyspace {
    /// An empty keyspace that announces `databases` databases (at least 1, at most [`MAX_DATABASES`]),
    /// and its only writer. Each database has [`MAX_SHARDS`] shards.
    #[must_use]
    pub fn new(databases: u32) -> (Arc<Self>, Writer) {
        Self::with_shards(databases, MAX_SHARDS)
    }

    /// The same with so many shards a database, each with a lock of its own and a table of its own: rounded up to a
    /// power of two, at least 1 and at most [`MAX_SHARDS`]. Fewer take less memory in databases of few keys, and make
    /// readers wait for the writer more often.
    #[must_use]
    pub fn with_shards(databases: u32, shards: usize) -> (Arc<Self>, Writer) {
        let keyspace = Arc::new(Self {
            gate: Gate::new(),
            dbs: std::iter::repeat_with(OnceLock::new).take((MAX_DATABASES + ASIDES) as usize).collect(),
            databases: AtomicU32::new(databases.clamp(1, MAX_DATABASES)),
            hasher: KeyHash::random().with_shards(shards),
            limits: Limits::default(),
            account: Arc::default(),
            compat: CompatCell::new(Compat::default()),
            clock: CoarseClock::default(),
            functions: RwLock::default(),
            snapshots: Snapshots::default(),
        });
        let writer = Writer::of(Arc::clone(&keyspace));
        (keyspace, writer)
    }

    /// How many shards of each database have keys.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.hasher.shards()
    }

    /// How many databases SELECT offers; grows when a primary uses more.
    #[must_use]
    pub fn databases(&self) -> u32 {
        self.databases.load(Ordering::Relaxed)
    }

    /// The database, if anything was ever written to it.
    #[inline]
    #[must_use]
    pub fn db(&self, index: u32) -> Option<&Db> {
        self.dbs.get(index as usize)?.get()
    }

    /// The database, made if need be; `None` beyond [`MAX_DATABASES`] and [`ASIDES`].
    pub(crate) fn db_or_new(&self, index: u32) -> Option<&Db> {
        let db = self.dbs.get(index as usize)?.get_or_init(Db::default);
        if index < MAX_DATABASES {
            self.databases.fetch_max(index + 1, Ordering::Relaxed);
        }
        Some(db)
    }

    /// Databases that exist, in order; [`ASIDES`] are none.
    pub fn existing(&self) -> impl Iterator<Item = (u32, &Db)> {
        (0..).zip(self.dbs.iter()).take(MAX_DATABASES as usize).filter_map(|(i, db)| Some((i, db.get()?)))
    }

    /// The same with [`ASIDES`].
    pub(crate) fn all_existing(&self) -> impl Iterator<Item = (u32, &Db)> {
        (0..).zip(self.dbs.iter()).filter_map(|(i, db)| Some((i, db.get()?)))
    }

    /// Calls `f` with the entry of `key`, expired or not. A short string is read without a lock, and what `f` sees
    /// of it stays as it is; other values under their shard's lock. `f` must not come back to this keyspace.
    #[inline]
    pub fn with<R>(&self, db: u32, key: &[u8], f: impl FnOnce(Option<EntryRef<'_>>) -> R) -> R {
        let Some(db) = self.db(db) else { return f(None) };
        let hash = self.hasher.hash(key);
        db.shard(shard_of(hash)).with(hash, key, f)
    }

    /// The string at `key`, owned without a copy; `Err` if it holds another kind.
    ///
    /// # Errors
    /// [`WrongType`](crate::CommandError::WrongType)
    pub fn blob(&self, db: u32, key: &[u8]) -> Result<Option<Blob>, crate::CommandError> {
        let now = || self.clock.now();
        self.with(db, key, |entry| match entry {
            Some(entry) if entry.expire().is_none_or(|at| at >= now()) => Blob::of(entry).map(Some),
            _ => Ok(None),
        })
    }

    /// The strings at several keys, all of one moment; one that holds another kind counts as missing. What the next
    /// keys need is fetched from memory while those before are read.
    pub fn blobs<K: AsRef<[u8]>>(&self, db: u32, keys: &[K]) -> Vec<Option<Blob>> {
        if self.db(db).is_none() {
            return keys.iter().map(|_| None).collect();
        }
        let hashes: Vec<u64> = keys.iter().map(|key| self.hasher.hash(key.as_ref())).collect();
        let mut set = ShardSet::none();
        hashes.iter().for_each(|hash| set.add_shard(db, shard_of(*hash)));
        let view = View::new(self, &set, Viewer::Client, db);
        let mut found = Vec::with_capacity(keys.len());
        for (keys, hashes) in keys.chunks(AHEAD).zip(hashes.chunks(AHEAD)) {
            hashes.iter().for_each(|hash| view.approach(*hash));
            hashes.iter().for_each(|hash| view.approach_entry(*hash));
            let pairs = keys.iter().zip(hashes);
            found.extend(pairs.map(|(key, hash)| Blob::of(view.peek_hashed(*hash, key.as_ref())?).ok()));
        }
        found
    }

    /// Holds off every write until dropped: what is read meanwhile is one state. Do not take it twice on
    /// one thread.
    #[must_use]
    pub fn still(&self) -> Still<'_> {
        self.gate.still()
    }

    /// For the writer, before it begins: waits until no reader holds off writes, but not for longer than this.
    pub fn wait_for_readers(&self, patience: Duration) -> bool {
        !self.gate.is_held() || self.gate.write_within(patience).is_some()
    }

    /// The hash of keys.
    #[must_use]
    pub fn hasher(&self) -> &KeyHash {
        &self.hasher
    }

    /// Thresholds between encodings.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Which server we claim to be. The stream of a primary is applied whatever it is.
    #[inline]
    #[must_use]
    pub fn compat(&self) -> Compat {
        self.compat.get()
    }

    /// Claims to be another server from now on.
    pub fn set_compat(&self, compat: Compat) {
        self.limits.adopt(self.compat.get(), compat);
        self.compat.set(compat);
    }

    /// The time by which keys expire; somebody must tick it.
    #[must_use]
    pub fn clock(&self) -> &CoarseClock {
        &self.clock
    }

    /// Sources of the function libraries that the data set carries.
    #[must_use]
    pub fn functions(&self) -> Vec<Arc<[u8]>> {
        self.functions.read().clone()
    }

    /// Replaces them; what was written to a snapshot already stays there.
    pub fn set_functions(&self, sources: Vec<Arc<[u8]>>) {
        *self.functions.write() = sources;
    }

    /// Snapshots being taken, and figures of those taken.
    #[must_use]
    pub fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    /// Keys and bytes of all databases.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.existing().map(|(_, db)| db.counts()).fold(Counts::default(), Counts::plus)
    }

    pub(crate) fn account(&self) -> &Arc<AtomicI64> {
        &self.account
    }

    /// Bytes of entries and values, without asking every shard.
    #[must_use]
    pub fn payload(&self) -> usize {
        usize::try_from(self.account.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Bytes of tables and directories of all databases.
    #[must_use]
    pub fn overhead(&self) -> usize {
        self.existing().map(|(_, db)| db.overhead()).sum()
    }

    /// Replaces everything by what a loader built, at once: the gate, every shard's lock in order, the
    /// exchange, `publish` (to publish the position in the same moment), unlock. The old contents are
    /// answered, so that the caller can drop them elsewhere.
    pub fn swap_contents(&self, loaded: Loaded, publish: impl FnOnce()) -> Loaded {
        let Loaded { mut dbs, mut functions } = loaded;
        for index in (0..).zip(&dbs).filter_map(|(i, db)| db.as_ref().map(|_| i)) {
            self.db_or_new(index);
        }
        let _gate = self.gate.write();
        let capture = self.snapshots.current();
        let existing: Vec<_> = self.all_existing().collect();
        let mut guards: Vec<Vec<_>> =
            existing.iter().map(|(_, db)| db.shards().iter().map(Cell::write).collect()).collect();
        for ((index, _), guards) in existing.iter().zip(&mut guards) {
            if dbs.len() <= *index as usize {
                dbs.resize_with(*index as usize + 1, || None);
            }
            let new = dbs[*index as usize].get_or_insert_with(empty_shards);
            for (at, (guard, shard)) in guards.iter_mut().zip(new.iter_mut()).enumerate() {
                std::mem::swap(&mut **guard, shard);
                guard.renew(self.snapshots.epoch());
                if let Some(capture) = &capture {
                    let old = std::mem::take(shard);
                    *shard = capture.before_drop(*index, at, old).unwrap_or_default();
                }
            }
        }
        let bytes: usize = guards.iter().flatten().map(|shard| shard.counts().bytes).sum();
        self.account.store(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::Relaxed);
        std::mem::swap(&mut *self.functions.write(), &mut functions);
        publish();
        Loaded { dbs, functions }
    }
}

pub(crate) fn empty_shards() -> Box<[Shard]> {
    std::iter::repeat_with(Shard::default).take(SHARDS).collect()
}
