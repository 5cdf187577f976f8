//! The keyspace of one moment as a dump, while writes go on: no fork, no second copy.
//!
//! ```text
//!  cut: the writer stands still, the epoch is raised                              O(1)
//!
//!  line of segments   [5][5][5][4][4][5][4][4]   4: older than the cut, still to be taken
//!                               ^         ^
//!           walker, in hash order         a writer about to touch this one takes it first
//!                        \               /
//!                         pieces: strings by their counts, collections encoded
//!                                  |
//!                            encoder -> sink
//! ```
//!
//! A segment carries the epoch at which it was last taken (a shard too, for all of its segments). Whoever
//! raises it takes the segment, under the shard's lock, so each entry is taken once and as it was at the cut.
//! Contents that leave the line as a whole (FLUSHALL, a full sync) are handed to the snapshot and die with it;
//! SWAPDB only changes where the walker looks.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};
use rdb::{EncodeError, EncodeOptions, Encoder, KeyMeta, Version};

use crate::access::Told;
use crate::entry::{EntryRef, InlineStr, ValueRef};
use crate::keyspace::{Keyspace, MAX_DATABASES};
use crate::save::{Aux, save_value};
use crate::shard::{SHARD_BITS, SHARDS, Segment, Shard};
use crate::txn::Writer;
use crate::value::Value;

/// What to do when the sink is slower than the writes that force pieces upon it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The writer waits before its next transaction: for a file.
    Wait,
    /// The snapshot is given up: for a replica, which may be slow for ever.
    GiveUp,
}

/// How a snapshot is taken.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotOptions {
    /// What the dump is written as. Hash fields that expire take Redis 12's form where this has none.
    pub version: Version,
    /// Compression and checksum.
    pub encode: EncodeOptions,
    /// Bytes that writes may force upon the snapshot ahead of its sink.
    pub limit: usize,
    /// What happens beyond.
    pub overflow: Overflow,
    /// Bytes that the sink gets at a time, about.
    pub piece: usize,
    /// Whether [asides](crate::ASIDES) are a part of it. A dump that has some is loaded by a [`Loader`](crate::Loader)
    /// [that takes them](crate::Loader::taking_asides), and by nobody else.
    pub asides: bool,
}

impl SnapshotOptions {
    /// For a file: the writer waits when it is 64 MiB ahead.
    #[must_use]
    pub fn new(version: Version) -> Self {
        let encode = EncodeOptions::default();
        Self { version, encode, limit: 64 << 20, overflow: Overflow::Wait, piece: 256 << 10, asides: false }
    }

    /// The snapshot is given up when writes are `limit` bytes ahead of the sink.
    #[must_use]
    pub fn giving_up_at(self, limit: usize) -> Self {
        Self { limit, overflow: Overflow::GiveUp, ..self }
    }
}

/// Why a snapshot has not been written.
#[derive(Debug, PartialEq, Eq)]
pub enum SnapshotError<E> {
    /// The version of the dump cannot say something.
    Encode(EncodeError),
    /// Writes were too far ahead of the sink ([`Overflow::GiveUp`]).
    Overflow,
    /// The sink did not take it.
    Sink(E),
}

impl<E: fmt::Display> fmt::Display for SnapshotError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encode(why) => why.fmt(f),
            Self::Overflow => f.write_str("writes were too far ahead of the snapshot's receiver"),
            Self::Sink(why) => why.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for SnapshotError<E> {}

/// Snapshots of a keyspace: the one being taken, and figures of all.
#[derive(Debug, Default)]
pub struct Snapshots {
    epoch: AtomicU32,
    running: AtomicBool,
    capture: Mutex<Option<Arc<Capture>>>,
    taken_by_writer: Arc<AtomicU64>,
    stalls: AtomicU64,
}

impl Snapshots {
    /// Segments that a writer had to take before it could touch them.
    #[must_use]
    pub fn taken_by_writer(&self) -> u64 {
        self.taken_by_writer.load(Ordering::Relaxed)
    }

    /// How often the writer waited for a snapshot's sink.
    #[must_use]
    pub fn writer_stalls(&self) -> u64 {
        self.stalls.load(Ordering::Relaxed)
    }

    /// Whether a snapshot is being taken.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    /// The epoch of the last cut: contents that are new to the keyspace carry it.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Acquire)
    }

    /// What a transaction must show its segments to before it touches them; waits for room there.
    pub(crate) fn admit(&self) -> Option<Arc<Capture>> {
        let capture = self.current()?;
        capture.wait_for_room(self);
        Some(capture)
    }

    #[inline]
    pub(crate) fn current(&self) -> Option<Arc<Capture>> {
        if !self.is_running() {
            return None;
        }
        self.capture.lock().clone()
    }
}

/// What writer and walker share.
#[derive(Debug)]
pub(crate) struct Capture {
    epoch: u32,
    options: SnapshotOptions,
    told: Told,
    taken_by_writer: Arc<AtomicU64>,
    state: Mutex<State>,
    room: Condvar,
    /// Nobody will write what is taken: the walker is done, or the snapshot was given up.
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    places: Vec<Place>,
    taken: VecDeque<Piece>,
    /// Bytes that wait in `taken`.
    waiting: usize,
    by_writer: u64,
    detached: Vec<(u32, usize, Shard)>,
    overflowed: bool,
}

/// Where the contents of a database of the cut are now.
#[derive(Debug)]
struct Place {
    db: u32,
    now: u32,
}

impl State {
    /// The database of the cut whose contents are now in `now`.
    fn origin(&self, now: u32) -> Option<u32> {
        self.places.iter().find(|p| p.now == now).map(|p| p.db)
    }

    fn place(&self, db: u32) -> Option<u32> {
        self.places.iter().find(|p| p.db == db).map(|p| p.now)
    }
}

/// One segment as it was at the cut.
#[derive(Debug)]
struct Piece {
    db: u32,
    items: Vec<Item>,
}

enum Item {
    /// A string kept in place: its whole entry, by its count.
    Inline(InlineStr),
    Raw {
        key: Box<[u8]>,
        meta: KeyMeta,
        value: Arc<Vec<u8>>,
    },
    /// Collections of the segment, as records of the dump.
    Records(Result<Vec<u8>, EncodeError>),
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inline(_) => "Inline",
            Self::Raw { .. } => "Raw",
            Self::Records(_) => "Records",
        })
    }
}

impl Item {
    fn weight(&self) -> usize {
        match self {
            Self::Inline(string) => string.entry().allocated(),
            Self::Raw { key, value, .. } => key.len() + value.len(),
            Self::Records(bytes) => bytes.as_ref().map_or(0, Vec::len),
        }
    }
}

impl Capture {
    /// A writer is about to touch the segment of `hash`, in a shard that it holds alone.
    pub(crate) fn before_write(&self, db: u32, shard: &Shard, hash: u64) {
        let Some(segment) = shard.take_turn(hash, self.epoch) else { return };
        if self.closed.load(Ordering::Acquire) || segment.len() == 0 {
            return;
        }
        let items = self.items(segment);
        let mut state = self.state.lock();
        let Some(db) = state.origin(db) else { return };
        state.waiting += items.iter().map(Item::weight).sum::<usize>();
        state.taken.push_back(Piece { db, items });
        state.by_writer += 1;
        self.taken_by_writer.fetch_add(1, Ordering::Relaxed);
        if state.waiting > self.options.limit && self.options.overflow == Overflow::GiveUp {
            state.overflowed = true;
            state.taken.clear();
            self.closed.store(true, Ordering::Release);
        }
    }

    /// A shard that the caller holds alone is about to be touched anywhere.
    pub(crate) fn before_all(&self, db: u32, index: usize, shard: &Shard) {
        let mut at = Some((index as u64) << (64 - SHARD_BITS));
        while let Some(hash) = at {
            self.before_write(db, shard, hash);
            at = shard.line_from(hash).and_then(|(_, next)| next);
        }
    }

    /// A shard's contents leave database `db` as a whole. Answers them if the snapshot has no use for them.
    pub(crate) fn before_drop(&self, db: u32, index: usize, shard: Shard) -> Option<Shard> {
        if self.closed.load(Ordering::Acquire) || !shard.is_older(self.epoch) {
            return Some(shard);
        }
        let mut state = self.state.lock();
        let Some(db) = state.origin(db) else { return Some(shard) };
        state.detached.push((db, index, shard));
        None
    }

    /// Two databases have exchanged their contents; every shard of both is held.
    pub(crate) fn swapped(&self, a: u32, b: u32) {
        for place in &mut self.state.lock().places {
            match place.now {
                now if now == a => place.now = b,
                now if now == b => place.now = a,
                _ => {}
            }
        }
    }

    /// Waits until the sink has caught up.
    fn wait_for_room(&self, figures: &Snapshots) {
        if self.options.overflow == Overflow::GiveUp {
            return;
        }
        let full =
            |state: &mut State| state.waiting > self.options.limit && !self.closed.load(Ordering::Acquire);
        let mut state = self.state.lock();
        if full(&mut state) {
            figures.stalls.fetch_add(1, Ordering::Relaxed);
            self.room.wait_while(&mut state, full);
        }
    }

    /// The segment's entries; collections are encoded, since a writer may change them afterwards.
    fn items(&self, segment: &Segment) -> Vec<Item> {
        let mut items = Vec::with_capacity(segment.len());
        let mut records: Option<Records> = None;
        for entry in segment.iter() {
            match entry.value() {
                ValueRef::Inline(_) => items.extend(entry.share().map(Item::Inline)),
                ValueRef::Owned(Value::Raw(value)) => items.push(Item::Raw {
                    key: entry.key().into(),
                    meta: self.told.meta(entry),
                    value: Arc::clone(value),
                }),
                ValueRef::Owned(_) => {
                    records.get_or_insert_with(|| Records::new(&self.options, self.told)).add(entry)
                }
            }
        }
        items.extend(records.map(|records| Item::Records(records.finish())));
        items
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // Taking the lock orders this before the check of whoever is about to wait.
        drop(self.state.lock());
        self.room.notify_all();
    }
}

/// Records without the dump around them.
struct Records {
    options: SnapshotOptions,
    told: Told,
    done: Result<Vec<u8>, EncodeError>,
    encoder: Option<Encoder>,
}

impl Records {
    fn new(options: &SnapshotOptions, told: Told) -> Self {
        Self { options: *options, told, done: Ok(Vec::new()), encoder: None }
    }

    fn add(&mut self, entry: EntryRef<'_>) {
        let Ok(done) = &mut self.done else { return };
        let mut attempt =
            Self::encode(&mut self.encoder, self.options.version, &self.options, self.told, entry);
        for later in [Version::REDIS_12, Version::REDIS_13] {
            if matches!(attempt, Err(EncodeError::FieldExpiry(_) | EncodeError::Producers)) {
                // Servers that know such values know them in a dump of any version.
                attempt = Self::encode(&mut None, later, &self.options, self.told, entry);
            }
        }
        match attempt {
            Ok(record) if done.is_empty() => *done = record,
            Ok(record) => done.extend_from_slice(&record),
            Err(why) => self.done = Err(why),
        }
    }

    fn encode(
        kept: &mut Option<Encoder>,
        version: Version,
        options: &SnapshotOptions,
        told: Told,
        entry: EntryRef<'_>,
    ) -> Result<Vec<u8>, EncodeError> {
        let mut encoder = match kept.take() {
            Some(encoder) => encoder,
            None => Encoder::records(version, options.encode.without_checksum())?,
        };
        save_value(entry, encoder.entry(entry.key(), told.meta(entry)))?;
        let record = encoder.take();
        *kept = Some(encoder);
        Ok(record)
    }

    fn finish(self) -> Result<Vec<u8>, EncodeError> {
        self.done
    }
}

/// A cut, to be written out once. Dropping it gives it up.
#[derive(Debug)]
pub struct Snapshot {
    keyspace: Arc<Keyspace>,
    capture: Arc<Capture>,
    functions: Vec<Arc<[u8]>>,
    /// Database, keys and keys that expire, at the cut.
    sizes: Vec<(u32, usize, usize)>,
}

impl Writer {
    /// Cuts a snapshot: everything before is in it, nothing after. `None` while another one is being taken.
    pub fn cut(&mut self, options: SnapshotOptions) -> Option<Snapshot> {
        let keyspace = Arc::clone(self.keyspace());
        // Holds off a full sync's exchange of contents, which needs no writer.
        let still = keyspace.still();
        let snapshots = keyspace.snapshots();
        let mut current = snapshots.capture.lock();
        if current.is_some() {
            return None;
        }
        let epoch = snapshots.epoch.fetch_add(1, Ordering::AcqRel) + 1;
        let sizes: Vec<_> = keyspace
            .all_existing()
            .filter(|(index, _)| options.asides || *index < MAX_DATABASES)
            .map(|(index, db)| (index, db.counts()))
            .filter(|(_, counts)| counts.keys > 0)
            .map(|(index, counts)| (index, counts.keys, counts.expires))
            .collect();
        let functions = keyspace.functions();
        let places = sizes.iter().map(|(db, ..)| Place { db: *db, now: *db }).collect();
        let capture = Arc::new(Capture {
            epoch,
            options,
            told: Told::of(&keyspace),
            taken_by_writer: Arc::clone(&snapshots.taken_by_writer),
            state: Mutex::new(State { places, ..State::default() }),
            room: Condvar::new(),
            closed: AtomicBool::new(false),
        });
        *current = Some(Arc::clone(&capture));
        snapshots.running.store(true, Ordering::Release);
        drop(current);
        drop(still);
        Some(Snapshot { keyspace, capture, functions, sizes })
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.capture.close();
        let snapshots = self.keyspace.snapshots();
        snapshots.running.store(false, Ordering::Release);
        snapshots.capture.lock().take();
    }
}

impl Snapshot {
    /// Keys of the cut.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.sizes.iter().map(|(_, keys, _)| keys).sum()
    }

    /// Writes the dump, piece by piece, to `sink`; no lock is held while that works. Takes as long as it
    /// takes: run it on a thread of its own.
    ///
    /// # Errors
    /// [`SnapshotError`]; the dump is worthless then.
    pub fn write<E>(
        self,
        aux: Aux<'_>,
        sink: impl FnMut(Vec<u8>) -> Result<(), E>,
    ) -> Result<(), SnapshotError<E>> {
        let options = self.capture.options;
        let dump = Encoder::new(options.version, options.encode).map_err(SnapshotError::Encode)?;
        let mut walk = Walk { snapshot: &self, dump, sink, selected: None };
        for (name, value) in aux {
            walk.dump.aux(name.as_bytes(), value.as_bytes());
        }
        for code in &self.functions {
            walk.dump.function(code).map_err(SnapshotError::Encode)?;
        }
        walk.everything()?;
        let Walk { dump, mut sink, .. } = walk;
        sink(dump.finish()).map_err(SnapshotError::Sink)
    }

    /// Takes the segment at `at` of a shard of database `db` of the cut, unless it is taken already;
    /// answers where the shard's line goes on.
    fn step(&self, db: u32, index: usize, at: u64) -> (Option<Piece>, Option<u64>) {
        loop {
            let place = self.capture.state.lock().place(db);
            let Some((place, found)) = place.and_then(|now| Some((now, self.keyspace.db(now)?))) else {
                return (None, None);
            };
            let shard = found.shard(index).read();
            // A SWAPDB may have come between; while the shard is held, none can.
            if self.capture.state.lock().place(db) == Some(place) {
                return self.take(db, &shard, at);
            }
        }
    }

    fn take(&self, db: u32, shard: &Shard, at: u64) -> (Option<Piece>, Option<u64>) {
        let segment = shard.take_turn(at, self.capture.epoch).filter(|segment| segment.len() > 0);
        let piece = segment.map(|segment| Piece { db, items: self.capture.items(segment) });
        (piece, shard.line_from(at).and_then(|(_, next)| next))
    }
}

/// The walk along the line.
struct Walk<'s, S> {
    snapshot: &'s Snapshot,
    dump: Encoder,
    sink: S,
    selected: Option<u32>,
}

impl<E, S: FnMut(Vec<u8>) -> Result<(), E>> Walk<'_, S> {
    fn everything(&mut self) -> Result<(), SnapshotError<E>> {
        let snapshot = self.snapshot;
        for (db, ..) in &snapshot.sizes {
            for index in 0..SHARDS {
                let mut at = Some((index as u64) << (64 - SHARD_BITS));
                while let Some(here) = at {
                    self.settle()?;
                    let (piece, next) = snapshot.step(*db, index, here);
                    if let Some(piece) = piece {
                        self.put(piece)?;
                    }
                    at = next;
                }
            }
        }
        self.settle()
    }

    /// Writes what writers have forced upon the snapshot.
    fn settle(&mut self) -> Result<(), SnapshotError<E>> {
        let capture = &self.snapshot.capture;
        loop {
            let mut state = capture.state.lock();
            if state.overflowed {
                return Err(SnapshotError::Overflow);
            }
            if let Some(piece) = state.taken.pop_front() {
                state.waiting -= piece.items.iter().map(Item::weight).sum::<usize>();
                drop(state);
                capture.room.notify_all();
                self.put(piece)?;
            } else if let Some((db, index, shard)) = state.detached.pop() {
                drop(state);
                let mut at = Some((index as u64) << (64 - SHARD_BITS));
                while let Some(here) = at {
                    let (piece, next) = self.snapshot.take(db, &shard, here);
                    if let Some(piece) = piece {
                        self.put(piece)?;
                    }
                    at = next;
                }
            } else {
                return Ok(());
            }
        }
    }

    fn put(&mut self, piece: Piece) -> Result<(), SnapshotError<E>> {
        self.select(piece.db);
        for item in piece.items {
            match item {
                Item::Inline(string) => {
                    let entry = string.entry();
                    self.dump.entry(entry.key(), self.snapshot.capture.told.meta(entry)).string(&string);
                }
                Item::Raw { key, meta, value } => {
                    self.dump.entry(&key, meta).string(&value);
                }
                Item::Records(records) => self.dump.append(&records.map_err(SnapshotError::Encode)?),
            }
            if self.dump.buffered() >= self.snapshot.capture.options.piece {
                (self.sink)(self.dump.take()).map_err(SnapshotError::Sink)?;
            }
        }
        Ok(())
    }

    /// Says to which database the next records belong; its size comes the first time.
    fn select(&mut self, db: u32) {
        if self.selected == Some(db) {
            return;
        }
        self.selected = Some(db);
        self.dump.select_db(db.into());
        if let Some((_, keys, expires)) = self.snapshot.sizes.iter().find(|(index, ..)| *index == db) {
            self.dump.resize_db(*keys as u64, *expires as u64);
        }
    }
}
