//! A write: the gate, the shards of its keys, and what it did.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLockWriteGuard;
use smallvec::SmallVec;

use crate::access;
use crate::compat::Family;
use crate::entry::{Entry, EntryRef, MAX_INLINE, ValueRef};
use crate::error::CommandError;
use crate::event::{Change, Class, Effect};
use crate::graveyard::{self, Gone};
use crate::hash::KeyHash;
use crate::keyspace::Keyspace;
use crate::lock::{Held, ShardSet, shard_id};
use crate::shard::{Place, SHARD_BITS, SHARDS, Shard};
use crate::snapshot::Capture;
use crate::value::{Hash, Value};
use crate::view::{Typed, View, Viewer};

/// The right to write to a keyspace. There is one.
#[derive(Debug)]
pub struct Writer {
    keyspace: Arc<Keyspace>,
}

impl Writer {
    pub(crate) fn of(keyspace: Arc<Keyspace>) -> Self {
        Self { keyspace }
    }

    /// The keyspace written to.
    #[must_use]
    pub fn keyspace(&self) -> &Arc<Keyspace> {
        &self.keyspace
    }

    /// Takes the gate and the shards of `set`; everything done until the transaction is dropped appears
    /// to readers at once. `viewer` is [`Viewer::Stream`] for a primary's stream, [`Viewer::Client`] where
    /// this keyspace is itself the primary.
    pub fn begin(&mut self, set: &ShardSet, viewer: Viewer, db: u32) -> Txn<'_> {
        self.begin_patiently(set, viewer, db, None::<(Duration, fn())>)
    }

    /// As [`begin`](Self::begin); where readers hold off the writer for longer than a time, something is done before
    /// it waits on.
    pub fn begin_patiently(
        &mut self,
        set: &ShardSet,
        viewer: Viewer,
        db: u32,
        patience: Option<(Duration, impl FnOnce())>,
    ) -> Txn<'_> {
        let capture = self.keyspace.snapshots().admit();
        let gate = match patience {
            None => self.keyspace.gate.write(),
            Some((patience, waits_on)) => self.keyspace.gate.write_within(patience).unwrap_or_else(|| {
                waits_on();
                self.keyspace.gate.write()
            }),
        };
        let held = Held::exclusive(&self.keyspace, set);
        let view = View::with_held(&self.keyspace, held, viewer, db);
        Txn {
            view,
            dead: Dead::default(),
            dead_shards: Vec::new(),
            dirty: 0,
            rewritten: false,
            effects: None,
            changes: None,
            capture,
            sweeps: Vec::new(),
            outdated: Vec::new(),
            tells: Asides::default(),
            removed: Removed::default(),
            _gate: gate,
        }
    }
}

/// What to do with the expiry of a key that gets a new value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// Leave it as it is.
    Keep,
    /// No expiry.
    Never,
    /// Unix milliseconds.
    At(i64),
}

/// A change of keys that it does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// This database was emptied (FLUSHDB).
    Flushed(u32),
    /// Every database was emptied (FLUSHALL).
    FlushedAll,
    /// Two databases have each other's keys (SWAPDB).
    Swapped(u32, u32),
}

/// A group of writes that appears at once. Reads as a [`View`] does.
#[derive(Debug)]
pub struct Txn<'k> {
    pub(crate) view: View<'k>,
    /// Entries taken out, buried after the locks.
    dead: Dead,
    dead_shards: Vec<Shard>,
    dirty: u64,
    rewritten: bool,
    effects: Option<Vec<Effect>>,
    pub(crate) changes: Option<Vec<Change>>,
    /// The snapshot being taken: it sees each segment before this transaction touches it.
    pub(crate) capture: Option<Arc<Capture>>,
    sweeps: Vec<Sweep>,
    /// Keys whose values changed though no event tells of it.
    outdated: Vec<(u32, Box<[u8]>)>,
    /// What it is told beside changes.
    tells: Asides,
    removed: Removed,
    _gate: RwLockWriteGuard<'k, ()>,
}

/// What is told beside changes, to who asks for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asides {
    /// [`Class::New`]
    pub new: bool,
    /// [`Class::Miss`]
    pub misses: bool,
    /// [`Class::Overwritten`] and [`Class::TypeChanged`]
    pub overwriting: bool,
}

/// What was removed though nobody asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Keys whose time had come.
    pub expired_keys: u64,
    /// Fields whose time had come.
    pub expired_fields: u64,
    /// Keys that made room.
    pub evicted_keys: u64,
}

impl<'k> Deref for Txn<'k> {
    type Target = View<'k>;

    fn deref(&self) -> &View<'k> {
        &self.view
    }
}

impl<'k> Txn<'k> {
    /// Takes the shards of `set`, too, for what comes next: a command may touch only what is held.
    pub fn hold(&mut self, set: &ShardSet) {
        let keyspace = self.view.keyspace();
        self.view.held.add_exclusive(keyspace, set);
    }

    /// Lets go of the shards that are held, so that what was done in them appears to those who read one key, and
    /// takes those of `set` for what comes next. Whoever holds the gate sees nothing before the transaction is
    /// dropped.
    pub fn turn_to(&mut self, set: &ShardSet) {
        let keyspace = self.view.keyspace();
        self.view.held.turn_to(keyspace, set);
    }

    /// Selects a database for what follows.
    pub fn select(&mut self, db: u32) {
        self.view.select(db);
    }

    /// Runs `f` with another database selected.
    pub fn in_db<R>(&mut self, db: u32, f: impl FnOnce(&mut Self) -> R) -> R {
        let before = self.view.db();
        self.view.select(db);
        let result = f(self);
        self.view.select(before);
        result
    }

    // ---- what it did

    /// Collects the commands that replicas must apply to follow: for a keyspace that is a primary.
    pub fn collect_effects(&mut self) {
        self.effects.get_or_insert_default();
    }

    /// Collects what happened to which key.
    pub fn collect_changes(&mut self) {
        self.changes.get_or_insert_default();
    }

    /// Has asides told among the changes that are collected.
    pub fn tell_asides(&mut self, tells: Asides) {
        self.tells = tells;
    }

    /// Whether it is told of keys that are looked for in vain.
    pub(crate) fn tells_misses(&self) -> bool {
        self.tells.misses
    }

    /// Takes the effects collected so far.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        self.effects.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// How many effects have been collected, for [`Txn::forget_effects`].
    #[must_use]
    pub fn effects(&self) -> usize {
        self.effects.as_ref().map_or(0, Vec::len)
    }

    /// Replicas are not told of what came after the first `kept` effects.
    pub fn forget_effects(&mut self, kept: usize) {
        if let Some(effects) = &mut self.effects {
            effects.truncate(kept);
        }
    }

    /// Takes the changes collected so far.
    pub fn take_changes(&mut self) -> Vec<Change> {
        self.changes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes the changes of unnamed keys since this was last asked.
    pub fn take_sweeps(&mut self) -> Vec<Sweep> {
        std::mem::take(&mut self.sweeps)
    }

    /// Takes the keys, each with its database, that [`Txn::changed_unheard`] was called for since this was last asked.
    pub fn take_outdated(&mut self) -> Vec<(u32, Box<[u8]>)> {
        std::mem::take(&mut self.outdated)
    }

    /// Changes so far, as the real server counts them.
    #[must_use]
    pub fn dirty(&self) -> u64 {
        self.dirty
    }

    /// A handler changed `key`: counts it, and tells those who watch.
    pub fn changed(&mut self, class: Class, event: &'static str, key: &[u8]) {
        self.dirty += 1;
        self.notify(class, event, key);
    }

    /// Tells those who watch, without counting a change (the `del` that follows a last pop).
    pub fn notify(&mut self, class: Class, event: &'static str, key: &[u8]) {
        let db = self.view.db();
        if let Some(changes) = &mut self.changes {
            changes.push(Change { db, key: key.into(), class, event });
        }
    }

    /// A change that no event tells of, though the value is another (PFCOUNT's cache): whoever watches the key, or has
    /// a copy of it, learns of it.
    pub fn changed_unheard(&mut self, key: &[u8]) {
        self.dirty += 1;
        if self.changes.is_some() {
            self.outdated.push((self.view.db(), key.into()));
        }
    }

    /// A change that nobody is told of, but that replicas repeat (XACK).
    pub fn changed_quietly(&mut self) {
        self.dirty += 1;
    }

    /// A change that concerns no single key.
    pub fn swept(&mut self, sweep: Sweep) {
        self.sweeps.push(sweep);
        self.dirty += 1;
    }

    /// Replicas get this command instead of the one that the client sent; call again for several.
    pub fn rewrite(&mut self, args: &[&[u8]]) {
        self.rewritten = true;
        self.precede(args);
    }

    /// Replicas get this command before the one at hand.
    pub fn precede(&mut self, args: &[&[u8]]) {
        let db = self.view.db();
        if let Some(effects) = &mut self.effects {
            effects.push(Effect { db, args: args.iter().map(|a| (*a).into()).collect() });
        }
    }

    /// Replicas get the removal of this key instead: `DEL`, or `UNLINK` where the personality frees in the background.
    pub fn rewrite_to_drop(&mut self, key: &[u8]) {
        self.rewrite(&[self.view.differences().drops_by.as_bytes(), key]);
    }

    /// Replicas get nothing for this command, though it changed something.
    pub fn rewrite_to_nothing(&mut self) {
        self.rewritten = true;
    }

    /// Whether anybody collects effects: spares handlers the work of building a rewriting.
    #[must_use]
    pub fn has_replicas(&self) -> bool {
        self.effects.is_some()
    }

    /// Brackets a handler: its command goes to replicas as it came if it changed something and did not say
    /// otherwise.
    pub(crate) fn run(
        &mut self,
        args: &[&[u8]],
        handler: impl FnOnce(&mut Self) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let before = self.dirty;
        let db = self.view.db();
        self.rewritten = false;
        let result = handler(self);
        if self.dirty != before
            && !self.rewritten
            && let Some(effects) = &mut self.effects
        {
            effects.push(Effect { db, args: args.iter().map(|a| (*a).into()).collect() });
        }
        result
    }

    // ---- writing

    fn shard(&mut self, key: &[u8]) -> Result<(u64, &mut Shard), CommandError> {
        let keyspace = self.view.keyspace();
        let hash = keyspace.hasher().hash(key);
        let db = self.view.db();
        let shard = self.view.held.get_mut(keyspace, shard_id(db, hash));
        let shard = shard.ok_or(CommandError::err("DB index is out of range"))?;
        if let Some(capture) = &self.capture {
            capture.before_write(db, shard, hash);
        }
        Ok((hash, shard))
    }

    /// In a writable keyspace, removes the key if its time has come, as a real primary does before a
    /// command writes to it, and tells replicas by a DEL. Every access below does it.
    pub fn reap(&mut self, key: &[u8]) {
        if self.view.viewer() == Viewer::Stream {
            return;
        }
        let hash = self.view.keyspace().hasher().hash(key);
        let shard = self.view.held.get(shard_id(self.view.db(), hash));
        let entry = shard.filter(|shard| shard.counts().expires > 0).and_then(|shard| shard.get(hash, key));
        if entry.is_some_and(|entry| self.view.is_past(entry.expire())) {
            self.expire_now(key);
        }
    }

    /// The hash of a key and the slot where its entry stands. One whose time has come is removed instead.
    fn seek(&mut self, key: &[u8]) -> Option<(u64, usize)> {
        let keyspace = self.view.keyspace();
        let hash = keyspace.hasher().hash(key);
        let shard = self.view.held.get_mut(keyspace, shard_id(self.view.db(), hash))?;
        let (slot, entry) = shard.find(hash, key)?;
        let expire = entry.expire();
        if self.view.is_past(expire) {
            self.expire_now(key);
            return None;
        }
        Some((hash, slot))
    }

    /// Removes a key whose time has come.
    pub fn expire_now(&mut self, key: &[u8]) {
        let lazy = self.view.limits().lazy_expire() != 0;
        if self.take(key).is_some() {
            self.removed.expired_keys += 1;
            self.tell_removal(lazy, key);
            self.notify(Class::Expired, "expired", key);
        }
    }

    /// Removes a key to make room; whether it was there.
    pub fn evict(&mut self, key: &[u8]) -> bool {
        let lazy = self.view.limits().lazy_eviction() != 0;
        if self.take(key).is_none() {
            return false;
        }
        self.removed.evicted_keys += 1;
        self.tell_removal(lazy, key);
        self.notify(Class::Evicted, "evicted", key);
        true
    }

    fn tell_removal(&mut self, lazy: bool, key: &[u8]) {
        let db = self.view.db();
        let name: &[u8] = if lazy { b"UNLINK" } else { b"DEL" };
        if let Some(effects) = &mut self.effects {
            effects.push(Effect { db, args: vec![name.into(), key.into()] });
        }
    }

    /// What was removed though nobody asked, since the last time of asking.
    pub fn take_removed(&mut self) -> Removed {
        std::mem::take(&mut self.removed)
    }

    /// Looks at up to `most` keys of a shard (which this transaction holds) that are due, and removes what has
    /// expired by `now`: keys, and fields of hashes. Answers how many were looked at, and how many of them gave
    /// something.
    pub fn reap_due(&mut self, shard: usize, most: usize, now: i64) -> (usize, usize) {
        let keyspace = self.view.keyspace();
        let (db, hasher) = (self.view.db(), keyspace.hasher());
        let id = db << SHARD_BITS | (shard % SHARDS) as u32;
        let top = ((shard % SHARDS) as u64) << (64 - SHARD_BITS);
        let (mut looked, mut reaped) = (0, 0);
        while looked < most {
            let Some(held) = self.view.held.get_mut(keyspace, id) else { break };
            let Some(low) = held.pop_due(now) else { break };
            looked += 1;
            let Some(entry) = held.by_hash(top | low, hasher) else { continue };
            let (key, expire): (Box<[u8]>, _) = (entry.key().into(), entry.expire());
            if expire.is_some_and(|at| at <= now) {
                self.expire_now(&key);
                reaped += 1;
                continue;
            }
            let (fields, left) = self.reap_fields(&key, now);
            reaped += usize::from(fields > 0);
            let due = expire.into_iter().chain(left).min();
            if let (Some(due), Some(held)) = (due, self.view.held.get_mut(keyspace, id)) {
                held.expect(top | low, due, None, hasher);
            }
        }
        (looked, reaped)
    }

    /// Removes the fields of a hash whose time has come; how many, and when to look again.
    fn reap_fields(&mut self, key: &[u8], now: i64) -> (usize, Option<i64>) {
        let db = self.view.db();
        let mut gone: Vec<Box<[u8]>> = Vec::new();
        let (mut again, mut vanishes) = (None, false);
        if let Ok(Some(mut hash)) = self.typed_mut::<Hash>(key) {
            if hash.soonest().is_none_or(|at| at > now) {
                return (0, hash.soonest());
            }
            again = if hash.expire_until(now, FIELDS_AT_ONCE, |field| gone.push(field.into()))
                == FIELDS_AT_ONCE
            {
                // Nobody waits for all fields of a large hash; the others are due still.
                hash.soonest()
            } else {
                // A large hash is not walked through again for every single field.
                let pause = now.saturating_add(i64::try_from(hash.len() / 500).unwrap_or(0));
                hash.soonest().map(|at| at.max(pause))
            };
            vanishes = hash.will_vanish();
        }
        if gone.is_empty() {
            return (0, again);
        }
        self.removed.expired_fields += gone.len() as u64;
        let valkey = self.view.differences().family == Family::Valkey;
        if let Some(effects) = &mut self.effects {
            let hdel = |fields: &[Box<[u8]>]| {
                let mut args = vec![b"HDEL"[..].into(), key.into()];
                args.extend_from_slice(fields);
                Effect { db, args }
            };
            effects.extend(gone.chunks(if valkey { FIELDS_AT_ONCE } else { 1 }).map(hdel));
            if valkey && vanishes {
                effects.push(Effect { db, args: vec![b"UNLINK"[..].into(), key.into()] });
            }
        }
        self.notify(Class::Hash, "hexpired", key);
        if vanishes {
            self.notify(Class::Generic, "del", key);
        }
        (gone.len(), again)
    }

    /// Takes an entry out of the keyspace, expired or not.
    fn take(&mut self, key: &[u8]) -> Option<()> {
        let hasher = self.view.keyspace().hasher();
        let (hash, shard) = self.shard(key).ok()?;
        let gone = shard.remove(hash, key, hasher)?;
        self.dead.0.push(gone);
        Some(())
    }

    /// Deletes a key; whether it was there. Its memory is freed after the locks are released.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        self.reap(key);
        self.take(key).is_some()
    }

    /// Takes an entry out, to put it elsewhere.
    pub fn detach(&mut self, key: &[u8]) -> Option<Gone> {
        self.reap(key);
        let hasher = self.view.keyspace().hasher();
        let (hash, shard) = self.shard(key).ok()?;
        shard.remove(hash, key, hasher)
    }

    /// Puts an entry under its own key, replacing any.
    ///
    /// # Errors
    /// If the selected database cannot exist.
    pub fn attach(&mut self, entry: Entry) -> Result<(), CommandError> {
        self.put(entry, false)
    }

    /// Tells that `key` holds another value than the one, of the type `before`, that it had.
    pub(crate) fn tell_overwritten(&mut self, key: &[u8], before: Option<&'static str>) {
        if self.tells.overwriting
            && let Some(before) = before
        {
            self.notify(Class::Overwritten, "overwritten", key);
            if self.view.type_name(key).is_some_and(|now| now != before) {
                self.notify(Class::TypeChanged, "type_changed", key);
            }
        }
    }

    /// Attaches an entry; `over` if what was there counts as overwritten, not as changed in place.
    fn put(&mut self, entry: Entry, over: bool) -> Result<(), CommandError> {
        let hasher = self.view.keyspace().hasher();
        let (uses, lfu, tells) = (self.view.uses(), self.view.limits().policy().is_lfu(), self.tells);
        let (hash, shard) = self.shard(entry.key())?;
        // What moved here keeps what is known of its use, and a counter is inherited by what takes a key's place.
        if entry.as_ref().access() == 0 {
            let heir = if lfu { shard.get(hash, entry.key()).map(EntryRef::access) } else { None };
            entry.as_ref().set_access(heir.unwrap_or_else(|| uses.fresh()));
        }
        let over = over && tells.overwriting;
        let key: Option<Box<[u8]>> = (tells.new || over).then(|| entry.key().into());
        let old = shard.insert(hash, entry, hasher);
        match (key, &old) {
            (Some(key), None) if tells.new => self.notify(Class::New, "new", &key),
            (Some(key), Some(old)) if over => self.tell_overwritten(&key, Some(old.as_ref().type_name())),
            _ => {}
        }
        self.dead.0.extend(old);
        Ok(())
    }

    fn expiry_of(&mut self, key: &[u8], expiry: Expiry) -> Option<i64> {
        match expiry {
            Expiry::Keep => {
                self.reap(key);
                self.view.entry(key).and_then(EntryRef::expire)
            }
            Expiry::Never => None,
            Expiry::At(ms) => Some(ms),
        }
    }

    /// Stores a string, whatever was there.
    ///
    /// # Errors
    /// A key that is too long, or a database that cannot exist.
    pub fn set_string(&mut self, key: &[u8], value: &[u8], expiry: Expiry) -> Result<(), CommandError> {
        let entry = self.string_entry(key, value, expiry)?;
        self.put(entry, true)
    }

    /// Stores what became of the string at `key`, which keeps its expiry.
    ///
    /// # Errors
    /// A key that is too long, or a database that cannot exist.
    pub fn update_string(&mut self, key: &[u8], value: &[u8]) -> Result<(), CommandError> {
        let entry = self.string_entry(key, value, Expiry::Keep)?;
        self.put(entry, false)
    }

    fn string_entry(&mut self, key: &[u8], value: &[u8], expiry: Expiry) -> Result<Entry, CommandError> {
        let expire = self.expiry_of(key, expiry);
        check_key(key)?;
        Ok(if value.len() <= MAX_INLINE {
            Entry::inline(key, value, expire)
        } else {
            Entry::owned(key, Box::new(Value::Raw(Arc::new(value.to_vec()))), expire)
        })
    }

    /// Stores any value, whatever was there. A vacant collection removes the key instead.
    ///
    /// # Errors
    /// A key that is too long, or a database that cannot exist.
    pub fn set_value(&mut self, key: &[u8], value: Value, expiry: Expiry) -> Result<(), CommandError> {
        let expire = self.expiry_of(key, expiry);
        check_key(key)?;
        if value.is_vacant() {
            self.take(key);
            return Ok(());
        }
        self.put(Entry::owned(key, Box::new(value), expire), true)
    }

    /// Sets or clears the expiry of a key; whether the key is there.
    pub fn set_expire(&mut self, key: &[u8], expire: Option<i64>) -> bool {
        self.reap(key);
        let hasher = self.view.keyspace().hasher();
        let Ok((hash, shard)) = self.shard(key) else { return false };
        if shard.get(hash, key).is_none() {
            return false;
        }
        let old = shard.set_expire(hash, key, expire, hasher);
        self.dead.0.extend(old);
        true
    }

    /// The collection of type `T` at `key`, to change. When the guard is dropped, the memory is accounted
    /// and a collection left without elements is removed from the keyspace (see
    /// [`ValueMut::will_vanish`]).
    ///
    /// # Errors
    /// [`CommandError::WrongType`]
    pub fn typed_mut<T: Typed>(&mut self, key: &[u8]) -> Result<Option<ValueMut<'_, T>>, CommandError> {
        let Some((hash, slot)) = self.seek(key) else { return Ok(None) };
        self.typed_at(hash, slot)
    }

    /// The collection in a slot.
    fn typed_at<T: Typed>(
        &mut self,
        hash: u64,
        slot: usize,
    ) -> Result<Option<ValueMut<'_, T>>, CommandError> {
        let Self { view, dead, capture, .. } = self;
        let id = shard_id(view.db(), hash);
        let keyspace = view.keyspace();
        let db = view.db();
        let uses = view.uses();
        let Some(shard) = view.held.get_mut(keyspace, id) else { return Ok(None) };
        if let Some(capture) = capture {
            capture.before_write(db, shard, hash);
        }
        let mut place = shard.place_at(hash, slot);
        if place.value_mut().and_then(T::of_mut).is_none() {
            return Err(CommandError::WrongType);
        }
        let before = place.get().map_or(0, EntryRef::weight);
        let due = place.value_mut().and_then(|value| value.next_deadline());
        if let (true, Some(entry)) = (access::touches(), place.get()) {
            uses.touch(entry);
        }
        Ok(Some(ValueMut {
            place: Some(place),
            before,
            due,
            dead,
            hasher: keyspace.hasher(),
            of: PhantomData,
        }))
    }

    /// The same, made without elements if the key is not there.
    ///
    /// # Errors
    /// [`CommandError::WrongType`], a key that is too long, or a database that cannot exist.
    pub fn typed_or_new<T: Typed>(&mut self, key: &[u8]) -> Result<ValueMut<'_, T>, CommandError> {
        let found = match self.seek(key) {
            None => {
                check_key(key)?;
                self.attach(Entry::owned(key, Box::new(T::vacant()), None))?;
                self.seek(key)
            }
            found => found,
        };
        let no_database = CommandError::err("DB index is out of range");
        let Some((hash, slot)) = found else { return Err(no_database) };
        self.typed_at(hash, slot)?.ok_or(no_database)
    }

    /// The string at `key`, to change in place; made empty if the key is not there.
    ///
    /// # Errors
    /// [`CommandError::WrongType`], a key that is too long, or a database that cannot exist.
    pub fn string_mut(&mut self, key: &[u8]) -> Result<ValueMut<'_, Vec<u8>>, CommandError> {
        self.reap(key);
        let in_place = match self.view.entry(key) {
            None => Some((Vec::new(), None)),
            Some(entry) => match entry.value() {
                ValueRef::Inline(bytes) => Some((bytes.to_vec(), entry.expire())),
                ValueRef::Owned(_) => None,
            },
        };
        if let Some((bytes, expire)) = in_place {
            check_key(key)?;
            self.attach(Entry::owned(key, Box::new(Value::Raw(Arc::new(bytes))), expire))?;
        }
        self.typed_mut(key)?.ok_or(CommandError::err("DB index is out of range"))
    }

    /// Deletes every key of a database; how many there were.
    pub fn flush(&mut self, db: u32) -> usize {
        let mut keys = 0;
        if self.view.keyspace().db(db).is_none() {
            return 0;
        }
        for index in 0..SHARDS as u32 {
            if let Ok(shard) = self.held_mut(db, index) {
                keys += shard.counts().keys;
                let shard = std::mem::take(shard);
                self.dead_shards.extend(match &self.capture {
                    Some(capture) => capture.before_drop(db, index as usize, shard),
                    None => Some(shard),
                });
            }
        }
        keys
    }

    /// Exchanges the contents of two databases.
    ///
    /// # Errors
    /// If one of them cannot exist.
    pub fn swap(&mut self, a: u32, b: u32) -> Result<(), CommandError> {
        if a == b {
            return Ok(());
        }
        for shard in 0..SHARDS as u32 {
            let mut first = std::mem::take(self.held_mut(a, shard)?);
            std::mem::swap(&mut first, self.held_mut(b, shard)?);
            *self.held_mut(a, shard)? = first;
        }
        if let Some(capture) = &self.capture {
            capture.swapped(a, b);
        }
        Ok(())
    }

    pub(crate) fn held_mut(&mut self, db: u32, shard: u32) -> Result<&mut Shard, CommandError> {
        let keyspace = self.view.keyspace();
        let id = db << SHARD_BITS | shard;
        self.view.held.get_mut(keyspace, id).ok_or(CommandError::err("DB index is out of range"))
    }
}

/// Fields that go in one step; also what one HDEL of a Valkey names at most.
const FIELDS_AT_ONCE: usize = 1024;

pub(crate) fn check_key(key: &[u8]) -> Result<(), CommandError> {
    if key.len() > crate::entry::MAX_KEY {
        return Err(CommandError::err("key is longer than this keyspace can hold"));
    }
    Ok(())
}

impl Typed for Vec<u8> {
    fn of(value: &Value) -> Option<&Self> {
        if let Value::Raw(bytes) = value { Some(bytes) } else { None }
    }
    fn of_mut(value: &mut Value) -> Option<&mut Self> {
        if let Value::Raw(bytes) = value { Some(Arc::make_mut(bytes)) } else { None }
    }
    fn vacant() -> Value {
        Value::Raw(Arc::default())
    }
}

/// Entries taken out of the keyspace.
#[derive(Debug, Default)]
struct Dead(SmallVec<[Gone; 2]>);

impl Drop for Dead {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            graveyard::bury(self.0.drain(..));
        }
    }
}

/// A value being changed. Dropping it settles the accounts.
#[derive(Debug)]
pub struct ValueMut<'t, T: Typed> {
    place: Option<Place<'t>>,
    before: usize,
    /// When a field was due before.
    due: Option<i64>,
    dead: &'t mut Dead,
    hasher: &'t KeyHash,
    of: PhantomData<T>,
}

impl<T: Typed> ValueMut<'_, T> {
    /// Whether the collection has no elements now, so that its key goes when this guard does.
    #[must_use]
    pub fn will_vanish(&self) -> bool {
        let value = self.place.as_ref().and_then(Place::get).map(EntryRef::value);
        matches!(value, Some(ValueRef::Owned(value)) if value.is_vacant())
    }
}

impl<T: Typed> Deref for ValueMut<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        let value = self.place.as_ref().and_then(Place::get).map(EntryRef::value);
        match value {
            Some(ValueRef::Owned(value)) => T::of(value),
            _ => None,
        }
        .expect("typed_mut made it for a value of this type, and it is there until dropped")
    }
}

impl<T: Typed> DerefMut for ValueMut<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        let value = self.place.as_mut().and_then(Place::value_mut);
        value
            .and_then(T::of_mut)
            .expect("typed_mut made it for a value of this type, and it is there until dropped")
    }
}

impl<T: Typed> Drop for ValueMut<'_, T> {
    fn drop(&mut self) {
        let vacant = self.will_vanish();
        let Some(mut place) = self.place.take() else { return };
        place.weigh_again(self.before);
        if vacant {
            self.dead.0.extend(place.remove(self.hasher));
        } else {
            place.expect(self.due, self.hasher);
        }
    }
}
