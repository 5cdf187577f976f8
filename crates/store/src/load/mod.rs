//! From a dump to a private data set, without a lock.

mod insert;
mod weigh;

use std::sync::Arc;

use insert::Inserter;
use rdb::{EntryMeta, Kind, Part, Reject, Visitor, Want};

use crate::access::Clock;
use crate::compat::{Compat, Family};
use crate::entry::{Entry, MAX_INLINE, MAX_KEY};
use crate::keyspace::{ASIDES, Keyspace, MAX_DATABASES};
use crate::limits::Limits;
use crate::shard::Shard;
use crate::value::seen::Seen;
use crate::value::stream::StreamLoader;
use crate::value::zset::Gathered;
use crate::value::{Hash, List, Set, Value, Zset};

pub use weigh::{Weigher, Weight};

/// The contents of a keyspace, apart from any keyspace.
#[derive(Debug, Default)]
pub struct Loaded {
    pub(crate) dbs: Vec<Option<Box<[Shard]>>>,
    pub(crate) functions: Vec<Arc<[u8]>>,
}

impl Loaded {
    /// Keys of all databases.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.dbs.iter().flatten().flat_map(|shards| shards.iter()).map(|s| s.counts().keys).sum()
    }
}

/// The value being built: of a dump's entry, or of RESTORE's payload.
#[derive(Debug)]
pub(crate) enum Building {
    Nothing,
    String {
        bytes: Vec<u8>,
    },
    List(List),
    Set(Set, Seen),
    Zset(Zset),
    /// A sorted set of few members.
    Members(Box<Gathered>),
    Hash(Hash, Seen),
    Stream(Box<StreamLoader>),
    Module(Vec<u8>),
}

impl Building {
    /// A value of this kind, still without parts.
    pub(crate) fn of(kind: Kind) -> Result<Self, Reject> {
        Ok(match kind {
            Kind::String => Self::String { bytes: Vec::new() },
            Kind::List => Self::List(List::default()),
            Kind::Set => Self::Set(Set::default(), Seen::default()),
            Kind::Zset => Self::Zset(Zset::default()),
            Kind::Hash => Self::Hash(Hash::default(), Seen::default()),
            Kind::Stream => Self::Stream(Box::default()),
            Kind::Module => Self::Module(Vec::new()),
            _ => return Err(Reject("a kind of value that this keyspace does not know")),
        })
    }

    /// A piece of it.
    pub(crate) fn part(&mut self, part: Part<'_>, limits: &Limits) -> Result<(), Reject> {
        if let (Self::Zset(_), &Part::Count(claim)) = (&*self, &part)
            && let Some(few) = Gathered::of(claim, limits)
        {
            *self = Self::Members(Box::new(few));
            return Ok(());
        }
        match (self, part) {
            (Self::String { bytes }, Part::String { bytes: piece, .. }) => bytes.extend_from_slice(piece),
            (Self::List(list), Part::Listpack(node)) => list.push_node(node),
            (Self::List(list), Part::Ziplist(node)) => list.push_ziplist(node, limits),
            (Self::List(list), Part::PlainNode(element)) => list.push_plain(element),
            (Self::List(list), Part::Element(element)) => list.push_back(element, limits),
            (Self::Set(set, _), Part::Listpack(all)) => set.load_listpack(all, limits),
            (Self::Set(set, _), Part::Intset(all)) => set.load_intset(all, limits),
            (Self::Set(set, _), Part::Count(n)) => set.expect(n, limits),
            (Self::Set(set, seen), Part::Element(member)) => {
                if seen.is_first(member) {
                    set.add(member, limits);
                } else {
                    set.insert(member, limits);
                }
            }
            (Self::Members(few), Part::Member { member, score }) => few.push(member, score),
            (Self::Zset(zset), Part::Listpack(all)) => zset.load_listpack(all, limits),
            (Self::Zset(zset), Part::Ziplist(all)) => zset.load_ziplist(all, limits),
            (Self::Zset(zset), Part::Count(n)) => zset.expect(n, limits),
            (Self::Zset(zset), Part::Member { member, score }) => {
                zset.load_member(member, score, limits);
            }
            (Self::Hash(hash, _), Part::Listpack(all)) => hash.load_listpack(all, limits),
            (Self::Hash(hash, _), Part::ListpackEx(all)) => hash.load_listpack_ex(all, limits),
            (Self::Hash(hash, _), Part::Ziplist(all)) => hash.load_ziplist(all, limits),
            (Self::Hash(hash, _), Part::Zipmap(all)) => hash.load_zipmap(all, limits),
            (Self::Hash(hash, _), Part::Count(n)) => hash.expect(n, limits),
            (Self::Hash(hash, seen), Part::Field { field, value, expire_ms }) => {
                if seen.is_first(field) {
                    hash.add(field, value, expire_ms, limits);
                } else {
                    hash.insert(field, value, expire_ms, limits);
                }
            }
            (Self::Stream(stream), part) => stream.part(part)?,
            (Self::Module(bytes), Part::Module { bytes: piece, .. }) => bytes.extend_from_slice(piece),
            // Counts and whatever a later decoder may add are no contents.
            _ => {}
        }
        Ok(())
    }

    /// The value, without spare room; `None` if it was taken already.
    pub(crate) fn finish(self, limits: &Limits) -> Option<Value> {
        Some(match self {
            Self::Nothing => return None,
            Self::String { mut bytes } => {
                // It came in pieces, and grew by doubling.
                bytes.shrink_to_fit();
                Value::Raw(Arc::new(bytes))
            }
            Self::List(v) => Value::List(v),
            Self::Set(mut v, _) => {
                v.shrink();
                Value::Set(v)
            }
            Self::Zset(mut v) => {
                v.pack(limits);
                v.shrink();
                Value::Zset(v)
            }
            Self::Members(few) => Value::Zset(few.finish(limits)),
            Self::Hash(mut v, _) => {
                v.shrink();
                Value::Hash(v)
            }
            Self::Stream(v) => Value::Stream(Box::new(v.finish())),
            Self::Module(v) => Value::Module(v.into()),
        })
    }
}

/// Builds a data set from the calls of a decoder. Expired keys are kept: the primary decides when they
/// die. A key that comes twice is refused, as real servers do; a field or member that comes twice keeps
/// its last value.
#[derive(Debug)]
pub struct Loader {
    limits: Arc<Keyspace>,
    inserter: Inserter,
    loaded: Loaded,
    db: u32,
    key: Vec<u8>,
    expire: Option<i64>,
    /// How long it was idle, and how often used, if the dump told.
    used: (Option<u64>, Option<u8>),
    building: Building,
    stream_db: Option<u32>,
    origin: Option<Compat>,
    /// AUX fields, if they are wanted.
    notes: Option<Vec<Note>>,
    merging: bool,
    refuses_modules: bool,
    /// Databases that there may be.
    databases: u32,
}

/// An AUX field: its name and its value.
type Note = (Box<[u8]>, Box<[u8]>);

impl Loader {
    /// A loader whose data set can be swapped into `keyspace`.
    #[must_use]
    pub fn new(keyspace: &Arc<Keyspace>) -> Self {
        Self {
            limits: Arc::clone(keyspace),
            inserter: Inserter::new(keyspace),
            loaded: Loaded::default(),
            db: 0,
            key: Vec::new(),
            expire: None,
            used: (None, None),
            building: Building::Nothing,
            stream_db: None,
            origin: None,
            notes: None,
            merging: false,
            refuses_modules: false,
            databases: MAX_DATABASES,
        }
    }

    /// Keeps the AUX fields, to be asked for by [`notes`](Self::notes).
    #[must_use]
    pub fn keeping_notes(self) -> Self {
        Self { notes: Some(Vec::new()), ..self }
    }

    /// Of a key that comes again, takes the later value.
    #[must_use]
    pub fn merging(self) -> Self {
        Self { merging: true, inserter: self.inserter.merging(), ..self }
    }

    /// Refuses a dump that has values which only modules understand.
    #[must_use]
    pub fn refusing_modules(self) -> Self {
        Self { refuses_modules: true, ..self }
    }

    /// Takes [asides](crate::ASIDES), too.
    #[must_use]
    pub fn taking_asides(self) -> Self {
        Self { databases: MAX_DATABASES + ASIDES, ..self }
    }

    /// The AUX fields, if they were to be kept.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        self.notes.as_deref().unwrap_or_default()
    }

    /// The data set. There is none before the decoder's `end`.
    #[must_use]
    pub fn finish(self) -> Loaded {
        Loaded { dbs: self.inserter.into_loaded().dbs, functions: self.loaded.functions }
    }

    /// The database that the primary's stream has selected, if the dump told.
    #[must_use]
    pub fn stream_db(&self) -> Option<u32> {
        self.stream_db
    }

    /// The personality of the server that wrote the dump, if it told.
    #[must_use]
    pub fn origin(&self) -> Option<Compat> {
        self.origin
    }

    /// Keys taken so far.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.inserter.taken()
    }

    fn insert(&mut self, entry: Entry) -> Result<(), Reject> {
        self.note_use(&entry);
        self.inserter.insert(self.db, entry)
    }

    fn note_use(&self, entry: &Entry) {
        let uses = Clock::new(&self.limits, self.limits.clock().now());
        entry.as_ref().set_access(uses.told(self.used.0, self.used.1));
    }
}

impl Visitor for Loader {
    fn aux(&mut self, name: &[u8], value: &[u8]) {
        if let Some(notes) = &mut self.notes {
            notes.push((name.into(), value.into()));
        }
        if name.eq_ignore_ascii_case(b"repl-stream-db") {
            self.stream_db = crate::number::parse_i64(value).and_then(|n| u32::try_from(n).ok());
            return;
        }
        let family = match name {
            b"redis-ver" => Family::Redis,
            b"valkey-ver" => Family::Valkey,
            _ => return,
        };
        self.origin = std::str::from_utf8(value).ok().map(|version| Compat::nearest(family, version));
    }

    fn select_db(&mut self, db: u64) {
        // Beyond what can exist, `entry` refuses.
        self.db = u32::try_from(db).unwrap_or(u32::MAX);
    }

    fn resize_db(&mut self, keys: u64, _: u64) {
        if self.db < self.databases {
            self.inserter.expect(self.db as usize, keys);
        }
    }

    fn function(&mut self, code: &[u8]) -> Result<(), Reject> {
        if !(self.merging && self.loaded.functions.iter().any(|known| **known == *code)) {
            self.loaded.functions.push(code.into());
        }
        Ok(())
    }

    fn entry(&mut self, key: &[u8], meta: &EntryMeta) -> Result<Want, Reject> {
        if self.db >= self.databases {
            return Err(Reject("a database number beyond what this keyspace holds"));
        }
        if key.len() > MAX_KEY {
            return Err(Reject("a key longer than this keyspace holds"));
        }
        if self.refuses_modules && meta.kind == Kind::Module {
            return Err(Reject::MODULE);
        }
        self.key.clear();
        self.key.extend_from_slice(key);
        self.expire = meta.expire_ms;
        self.used = (meta.idle_seconds, meta.freq);
        self.building = Building::of(meta.kind)?;
        Ok(Want::Packed)
    }

    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        if let (Building::String { .. }, Part::String { offset: 0, bytes, total }) = (&self.building, &part)
            && bytes.len() as u64 == *total
            && bytes.len() <= MAX_INLINE
        {
            let entry = Entry::inline(&self.key, bytes, self.expire);
            self.building = Building::Nothing;
            return self.insert(entry);
        }
        self.building.part(part, self.limits.limits())
    }

    fn entry_end(&mut self) -> Result<(), Reject> {
        let building = std::mem::replace(&mut self.building, Building::Nothing);
        if let Building::String { bytes } = &building
            && bytes.len() <= MAX_INLINE
        {
            let entry = Entry::inline(&self.key, bytes, self.expire);
            return self.insert(entry);
        }
        if matches!(building, Building::Nothing) {
            return Ok(());
        }
        let entry = Entry::owned(&self.key, Box::new(Value::EMPTY), self.expire);
        self.note_use(&entry);
        self.inserter.insert_unfinished(self.db, entry, building)
    }

    fn end(&mut self) -> Result<(), Reject> {
        self.inserter.settle()
    }
}
