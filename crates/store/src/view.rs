//! A read: the shards it holds, the time, and whether what has expired is hidden.

use std::cell::Cell;
use std::time::Instant;

use crate::access::{self, Lookups};
use crate::compat::Differences;
use crate::entry::{EntryRef, ValueRef};
use crate::error::CommandError;
use crate::keyspace::Keyspace;
use crate::limits::Limits;
use crate::lock::{Held, ShardSet, shard_id};
use crate::number;
use crate::shard::{SHARD_BITS, SHARDS, Shard, shard_of};
use crate::value::{Hash, List, Set, Stream, Value, Zset};

/// On whose behalf a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// A client: what has expired is hidden. In a writable keyspace, a write removes it.
    Client,
    /// The primary's stream: it decides itself when a key dies, so what has expired is still there.
    Stream,
}

/// The read side of a command.
#[derive(Debug)]
pub struct View<'k> {
    keyspace: &'k Keyspace,
    pub(crate) held: Held<'k>,
    /// Instead of shards, the one key that it sees.
    only: Option<Only<'k>>,
    now: i64,
    viewer: Viewer,
    db: u32,
    met_expired: Cell<bool>,
    lookups: Cell<Lookups>,
}

#[derive(Debug, Clone, Copy)]
struct Only<'k> {
    key: &'k [u8],
    entry: Option<EntryRef<'k>>,
}

impl<'k> View<'k> {
    /// Holds `set` for reading until dropped, in database `db`.
    #[must_use]
    pub fn new(keyspace: &'k Keyspace, set: &ShardSet, viewer: Viewer, db: u32) -> Self {
        Self::with_held(keyspace, Held::shared(keyspace, set), viewer, db)
    }

    /// As [`new`](Self::new), but `None` if somebody writes there, or if a moment is given, until then.
    #[must_use]
    pub fn until(
        keyspace: &'k Keyspace,
        set: &ShardSet,
        viewer: Viewer,
        db: u32,
        end: Option<Instant>,
    ) -> Option<Self> {
        let held = Held::shared_until(keyspace, set, end)?;
        Some(Self::with_held(keyspace, held, viewer, db))
    }

    /// Calls `f` with a view of nothing but `key`, without a lock. `None`, and `f` was not called, if somebody writes
    /// there, or if its value is one that can be read under a lock only. `f` must not come back to the keyspace.
    #[inline]
    pub fn glance<R>(
        keyspace: &Keyspace,
        viewer: Viewer,
        db: u32,
        key: &[u8],
        f: impl FnOnce(&mut View<'_>) -> R,
    ) -> Option<R> {
        let hash = keyspace.hasher().hash(key);
        let shard = keyspace.db(db)?.shard(shard_of(hash));
        let seen = shard.glance(hash, key, |entry| {
            let mut view = View::with_held(keyspace, Held::default(), viewer, db);
            view.only = Some(Only { key, entry });
            f(&mut view)
        });
        seen.ok()
    }

    pub(crate) fn with_held(keyspace: &'k Keyspace, held: Held<'k>, viewer: Viewer, db: u32) -> Self {
        Self {
            keyspace,
            held,
            only: None,
            now: keyspace.clock().now(),
            viewer,
            db,
            met_expired: Cell::new(false),
            lookups: Cell::default(),
        }
    }

    /// Unix milliseconds, the same throughout the command.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.now
    }

    /// Judges by another time than the clock's: that of the script or the transaction to which the command belongs.
    pub fn set_now(&mut self, now: i64) {
        self.now = now;
    }

    /// The selected database.
    #[must_use]
    pub fn db(&self) -> u32 {
        self.db
    }

    /// Selects a database.
    pub fn select(&mut self, db: u32) {
        self.db = db;
    }

    /// On whose behalf the command runs.
    #[must_use]
    pub fn viewer(&self) -> Viewer {
        self.viewer
    }

    /// The keyspace, for what needs no key.
    #[must_use]
    pub fn keyspace(&self) -> &'k Keyspace {
        self.keyspace
    }

    /// Thresholds between encodings.
    #[must_use]
    pub fn limits(&self) -> &'k Limits {
        self.keyspace.limits()
    }

    /// What the personality that clients see does differently from others.
    #[inline]
    #[must_use]
    pub fn differences(&self) -> &'static Differences {
        self.keyspace.compat().differences()
    }

    /// A double, as this server reads one. A primary's stream is read by the widest rules.
    ///
    /// # Errors
    /// [`CommandError::NotAFloat`]
    pub fn float(&self, text: &[u8]) -> Result<f64, CommandError> {
        let is_hex = || text.iter().any(|byte| matches!(byte, b'x' | b'X'));
        if self.differences().decimal_floats && self.viewer == Viewer::Client && is_hex() {
            return Err(CommandError::NotAFloat);
        }
        number::parse_f64(text).ok_or(CommandError::NotAFloat)
    }

    /// Whether this viewer takes a deadline for past. With the real servers a key lives through the millisecond of its
    /// deadline (seen on Redis 7.0.15, 8.2.3 and Valkey 9.1.2), and so does a field.
    #[inline]
    #[must_use]
    pub fn is_past(&self, expire: Option<i64>) -> bool {
        match expire {
            Some(at) => self.viewer == Viewer::Client && at < self.now,
            None => false,
        }
    }

    /// Whether a deadline that is set now has no future: in a primary, what gets it goes at once.
    #[inline]
    #[must_use]
    pub fn is_too_late(&self, deadline: i64) -> bool {
        self.viewer == Viewer::Client && deadline <= self.now
    }

    /// The time for hiding hash fields: those that expire at or before it. The stream sees all.
    #[must_use]
    pub fn field_time(&self) -> i64 {
        if self.viewer == Viewer::Client { self.now - 1 } else { i64::MIN }
    }

    /// The entry of a key of the command, unless it is hidden.
    #[inline]
    #[must_use]
    pub fn entry(&self, key: &[u8]) -> Option<EntryRef<'_>> {
        self.entry_in(self.db, key)
    }

    /// The same in another database.
    #[inline]
    #[must_use]
    pub fn entry_in(&self, db: u32, key: &[u8]) -> Option<EntryRef<'_>> {
        let entry = self.look_for(db, key)?;
        if access::touches() {
            self.uses().touch(entry);
        }
        Some(entry)
    }

    #[inline]
    fn look_for(&self, db: u32, key: &[u8]) -> Option<EntryRef<'_>> {
        self.judge(self.entry_even_expired(db, key))
    }

    /// What was found, unless it is hidden; counted.
    #[inline]
    fn judge<'v>(&'v self, found: Option<EntryRef<'v>>) -> Option<EntryRef<'v>> {
        let entry = found.filter(|entry| !self.is_past(entry.expire()));
        let Lookups { hits, misses } = self.lookups.get();
        if entry.is_some() {
            self.lookups.set(Lookups { hits: hits.wrapping_add(1), misses });
        } else {
            self.lookups.set(Lookups { hits, misses: misses.wrapping_add(1) });
            self.met_expired.set(self.met_expired.get() || found.is_some());
        }
        entry
    }

    /// How many keys were looked for since it was last asked.
    pub(crate) fn take_lookups(&self) -> Lookups {
        self.lookups.take()
    }

    /// The entry of a key of the command, unless it is hidden; that is no use of it.
    #[must_use]
    pub fn peek(&self, key: &[u8]) -> Option<EntryRef<'_>> {
        self.look_for(self.db, key)
    }

    /// Whether something that has expired was looked for: a primary then removes it.
    #[must_use]
    pub fn met_expired(&self) -> bool {
        self.met_expired.get()
    }

    /// What is known of an entry's use.
    #[must_use]
    pub fn use_of(&self, entry: EntryRef<'_>) -> access::Use {
        let uses = self.uses();
        access::Use { idle_seconds: uses.idle(entry), frequency: uses.frequency(entry) }
    }

    /// References to the value, as OBJECT REFCOUNT tells.
    #[must_use]
    pub fn refcount(&self, entry: EntryRef<'_>) -> i64 {
        crate::command::refcount(self, entry)
    }

    /// How uses of keys are noted.
    #[inline]
    pub(crate) fn uses(&self) -> access::Clock<'k> {
        access::Clock::new(self.keyspace, self.now)
    }

    /// The entry of a key of the command, hidden or not.
    #[inline]
    #[must_use]
    pub fn entry_even_expired(&self, db: u32, key: &[u8]) -> Option<EntryRef<'_>> {
        if let Some(only) = self.only {
            debug_assert!(db == self.db && key == only.key, "a view of one key was asked for another");
            return only.entry.filter(|_| key == only.key);
        }
        let hash = self.keyspace.hasher().hash(key);
        self.held.get(shard_id(db, hash))?.get(hash, key)
    }

    /// As [`peek`](Self::peek), for a key whose hash is known.
    #[inline]
    pub(crate) fn peek_hashed(&self, hash: u64, key: &[u8]) -> Option<EntryRef<'_>> {
        self.judge(self.held.get(shard_id(self.db, hash)).and_then(|shard| shard.get(hash, key)))
    }

    /// Touches where a lookup of this hash begins, so that the cache misses of several overlap.
    #[inline]
    pub(crate) fn approach(&self, hash: u64) {
        if let Some(shard) = self.held.get(shard_id(self.db, hash)) {
            shard.approach(hash);
        }
    }

    /// Touches where it ends.
    #[inline]
    pub(crate) fn approach_entry(&self, hash: u64) {
        if let Some(shard) = self.held.get(shard_id(self.db, hash)) {
            shard.approach_entry(hash);
        }
    }

    /// Whether the key is there and not hidden.
    #[must_use]
    pub fn exists(&self, key: &[u8]) -> bool {
        self.entry(key).is_some()
    }

    /// The name of the type of what is at `key`.
    #[must_use]
    pub fn type_name(&self, key: &[u8]) -> Option<&'static str> {
        self.entry(key).map(EntryRef::type_name)
    }

    /// The string at `key`.
    ///
    /// # Errors
    /// [`CommandError::WrongType`]
    #[inline]
    pub fn string(&self, key: &[u8]) -> Result<Option<&[u8]>, CommandError> {
        match self.entry(key).map(EntryRef::value) {
            None => Ok(None),
            Some(ValueRef::Inline(bytes)) => Ok(Some(bytes)),
            Some(ValueRef::Owned(Value::Raw(bytes))) => Ok(Some(bytes)),
            Some(_) => Err(CommandError::WrongType),
        }
    }

    /// The collection of type `T` at `key`.
    ///
    /// # Errors
    /// [`CommandError::WrongType`]
    pub fn typed<T: Typed>(&self, key: &[u8]) -> Result<Option<&T>, CommandError> {
        match self.entry(key).map(EntryRef::value) {
            None => Ok(None),
            Some(ValueRef::Owned(value)) => T::of(value).map(Some).ok_or(CommandError::WrongType),
            Some(ValueRef::Inline(_)) => Err(CommandError::WrongType),
        }
    }

    /// Calls `f` with a shard, held already or locked for the call.
    pub fn with_shard<R>(&self, db: u32, shard: usize, f: impl FnOnce(&Shard) -> R) -> Option<R> {
        if let Some(held) = self.held.get(db << SHARD_BITS | (shard % SHARDS) as u32) {
            return Some(f(held));
        }
        let guard = self.keyspace.db(db)?.shard(shard).read();
        Some(f(&guard))
    }

    /// Calls `f` with every key of a database that this viewer sees, in no order.
    pub fn for_each(&self, db: u32, mut f: impl FnMut(EntryRef<'_>)) {
        for shard in 0..SHARDS {
            self.with_shard(db, shard, |shard| {
                shard.iter().filter(|e| !self.is_past(e.expire())).for_each(&mut f);
            });
        }
    }
}

/// A type that lives in a [`Value`].
pub trait Typed: Sized {
    /// The value as this type.
    fn of(value: &Value) -> Option<&Self>;
    /// The value as this type, to change.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    /// A new value without elements.
    fn vacant() -> Value;
}

macro_rules! typed {
    ($($type:ident: $pattern:pat => $inner:expr, $vacant:expr;)*) => {$(
        impl Typed for $type {
            fn of(value: &Value) -> Option<&Self> {
                if let $pattern = value { Some($inner) } else { None }
            }
            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                if let $pattern = value { Some($inner) } else { None }
            }
            fn vacant() -> Value {
                $vacant
            }
        }
    )*};
}

typed! {
    List: Value::List(v) => v, Value::List(List::default());
    Set: Value::Set(v) => v, Value::Set(Set::default());
    Zset: Value::Zset(v) => v, Value::Zset(Zset::default());
    Hash: Value::Hash(v) => v, Value::Hash(Hash::default());
    Stream: Value::Stream(v) => v, Value::Stream(Box::default());
}
