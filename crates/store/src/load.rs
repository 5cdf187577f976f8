//! From a dump to a private data set, without a lock.

use std::sync::Arc;

use rdb::{EntryMeta, Kind, Part, Reject, Visitor, Want};

use crate::entry::{Entry, MAX_INLINE, MAX_KEY};
use crate::hash::KeyHash;
use crate::keyspace::{Keyspace, MAX_DATABASES, empty_shards};
use crate::shard::{Shard, shard_of};
use crate::value::stream::StreamLoader;
use crate::value::{Hash, List, Set, Value, Zset};

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

/// The value being built.
#[derive(Debug)]
enum Building {
    Nothing,
    String { bytes: Vec<u8> },
    List(List),
    Set(Set),
    Zset(Zset),
    Hash(Hash),
    Stream(Box<StreamLoader>),
    Module(Vec<u8>),
}

/// Builds a data set from the calls of a decoder. Expired keys are kept: the primary decides when they
/// die. A key that comes twice is refused, as real servers do; a field or member that comes twice keeps
/// its last value.
#[derive(Debug)]
pub struct Loader {
    hasher: KeyHash,
    limits: Arc<Keyspace>,
    loaded: Loaded,
    db: u32,
    key: Vec<u8>,
    expire: Option<i64>,
    building: Building,
    stream_db: Option<u32>,
    keys: u64,
}

impl Loader {
    /// A loader whose data set can be swapped into `keyspace`.
    #[must_use]
    pub fn new(keyspace: &Arc<Keyspace>) -> Self {
        Self {
            hasher: keyspace.hasher().clone(),
            limits: Arc::clone(keyspace),
            loaded: Loaded::default(),
            db: 0,
            key: Vec::new(),
            expire: None,
            building: Building::Nothing,
            stream_db: None,
            keys: 0,
        }
    }

    /// The data set. Complete only after the decoder's `end`.
    #[must_use]
    pub fn finish(self) -> Loaded {
        self.loaded
    }

    /// The database that the primary's stream has selected, if the dump told.
    #[must_use]
    pub fn stream_db(&self) -> Option<u32> {
        self.stream_db
    }

    /// Keys taken so far.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.keys
    }

    fn insert(&mut self, entry: Entry) -> Result<(), Reject> {
        let index = self.db as usize;
        if self.loaded.dbs.len() <= index {
            self.loaded.dbs.resize_with(index + 1, || None);
        }
        let shards = self.loaded.dbs[index].get_or_insert_with(empty_shards);
        let hash = self.hasher.hash(entry.key());
        match shards[shard_of(hash)].insert(hash, entry, &self.hasher) {
            None => {
                self.keys += 1;
                Ok(())
            }
            Some(_) => Err(Reject("the key stands twice in its database")),
        }
    }
}

impl Visitor for Loader {
    fn aux(&mut self, name: &[u8], value: &[u8]) {
        if name.eq_ignore_ascii_case(b"repl-stream-db") {
            self.stream_db = crate::number::parse_i64(value).and_then(|n| u32::try_from(n).ok());
        }
    }

    fn select_db(&mut self, db: u64) {
        // Beyond what can exist, `entry` refuses.
        self.db = u32::try_from(db).unwrap_or(u32::MAX);
    }

    fn function(&mut self, code: &[u8]) -> Result<(), Reject> {
        self.loaded.functions.push(code.into());
        Ok(())
    }

    fn entry(&mut self, key: &[u8], meta: &EntryMeta) -> Result<Want, Reject> {
        if self.db >= MAX_DATABASES {
            return Err(Reject("a database number beyond what this keyspace holds"));
        }
        if key.len() > MAX_KEY {
            return Err(Reject("a key longer than this keyspace holds"));
        }
        self.key.clear();
        self.key.extend_from_slice(key);
        self.expire = meta.expire_ms;
        self.building = match meta.kind {
            Kind::String => Building::String { bytes: Vec::new() },
            Kind::List => Building::List(List::default()),
            Kind::Set => Building::Set(Set::default()),
            Kind::Zset => Building::Zset(Zset::default()),
            Kind::Hash => Building::Hash(Hash::default()),
            Kind::Stream => Building::Stream(Box::default()),
            Kind::Module => Building::Module(Vec::new()),
            _ => return Err(Reject("a kind of value that this keyspace does not know")),
        };
        Ok(Want::Packed)
    }

    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        let limits = self.limits.limits();
        match (&mut self.building, part) {
            (Building::String { bytes }, Part::String { offset, bytes: piece, total }) => {
                if offset == 0 && piece.len() as u64 == total && piece.len() <= MAX_INLINE {
                    let entry = Entry::inline(&self.key, piece, self.expire);
                    self.building = Building::Nothing;
                    return self.insert(entry);
                }
                bytes.extend_from_slice(piece);
            }
            (Building::List(list), Part::Listpack(node)) => list.push_node(node),
            (Building::List(list), Part::Ziplist(node)) => list.push_ziplist(node, limits),
            (Building::List(list), Part::PlainNode(element)) => list.push_plain(element),
            (Building::List(list), Part::Element(element)) => list.push_back(element, limits),
            (Building::Set(set), Part::Listpack(all)) => set.load_listpack(all, limits),
            (Building::Set(set), Part::Intset(all)) => set.load_intset(all, limits),
            (Building::Set(set), Part::Count(n)) => set.expect(n, limits),
            (Building::Set(set), Part::Element(member)) => {
                set.insert(member, limits);
            }
            (Building::Zset(zset), Part::Listpack(all)) => zset.load_listpack(all, limits),
            (Building::Zset(zset), Part::Ziplist(all)) => zset.load_ziplist(all, limits),
            (Building::Zset(zset), Part::Count(n)) => zset.expect(n, limits),
            (Building::Zset(zset), Part::Member { member, score }) => {
                zset.insert(member, score, limits);
            }
            (Building::Hash(hash), Part::Listpack(all)) => hash.load_listpack(all, limits),
            (Building::Hash(hash), Part::ListpackEx(all)) => hash.load_listpack_ex(all, limits),
            (Building::Hash(hash), Part::Ziplist(all)) => hash.load_ziplist(all, limits),
            (Building::Hash(hash), Part::Zipmap(all)) => hash.load_zipmap(all, limits),
            (Building::Hash(hash), Part::Count(n)) => hash.expect(n, limits),
            (Building::Hash(hash), Part::Field { field, value, expire_ms }) => {
                hash.insert(field, value, expire_ms, limits);
            }
            (Building::Stream(stream), part) => stream.part(part)?,
            (Building::Module(bytes), Part::Module { bytes: piece, .. }) => bytes.extend_from_slice(piece),
            // Counts and whatever a later decoder may add are no contents.
            _ => {}
        }
        Ok(())
    }

    fn entry_end(&mut self) -> Result<(), Reject> {
        let value = match std::mem::replace(&mut self.building, Building::Nothing) {
            Building::Nothing => return Ok(()),
            Building::String { bytes } if bytes.len() <= MAX_INLINE => {
                let entry = Entry::inline(&self.key, &bytes, self.expire);
                return self.insert(entry);
            }
            Building::String { bytes } => Value::Raw(Arc::new(bytes)),
            Building::List(v) => Value::List(v),
            Building::Set(v) => Value::Set(v),
            Building::Zset(mut v) => {
                v.shrink();
                Value::Zset(v)
            }
            Building::Hash(mut v) => {
                v.shrink();
                Value::Hash(v)
            }
            Building::Stream(v) => Value::Stream(Box::new(v.finish())),
            Building::Module(v) => Value::Module(v.into()),
        };
        if value.is_vacant() {
            return Ok(());
        }
        let entry = Entry::owned(&self.key, Box::new(value), self.expire);
        self.insert(entry)
    }
}
