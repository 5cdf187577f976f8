//! Reading a database: plain functions.

use std::sync::Arc;
use std::time::Duration;

use store::value::stream::StreamId;
use store::value::{Hash, Kind, List, Set, Stream, Value, Zset};
use store::{Blob, CommandError, EntryRef, Keyspace, ShardSet, Typed, ValueRef, View, Viewer};

use crate::error::Error;

/// One database of a replica. Cheap to clone; reads what is there at the moment of each call.
#[derive(Debug, Clone)]
pub struct Db {
    keyspace: Arc<Keyspace>,
    index: u32,
}

/// How long a key has to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// There is no such key.
    Missing,
    /// It does not expire.
    Persistent,
    /// It expires after this time.
    ExpiresIn(Duration),
}

/// Which keys a scan is for.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    pattern: Option<Vec<u8>>,
    kind: Option<Kind>,
}

impl Scan {
    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Keys that match a pattern, as KEYS has them (`user:*`).
    #[must_use]
    pub fn matching(mut self, pattern: impl AsRef<[u8]>) -> Self {
        self.pattern = Some(pattern.as_ref().to_vec());
        self
    }

    /// Keys that hold this kind of value.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    fn wants(&self, entry: EntryRef<'_>) -> bool {
        self.kind.is_none_or(|kind| kind == kind_of(entry))
            && self.pattern.as_ref().is_none_or(|p| store::glob::selects(p, entry.key()))
    }
}

fn kind_of(entry: EntryRef<'_>) -> Kind {
    match entry.value() {
        ValueRef::Inline(_) => Kind::String,
        ValueRef::Owned(value) => value.kind(),
    }
}

impl Db {
    pub(crate) fn new(keyspace: Arc<Keyspace>, index: u32) -> Self {
        Self { keyspace, index }
    }

    /// The string at `key`, owned without a copy.
    ///
    /// # Errors
    /// [`Error::WrongKind`] if the key holds another kind.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Blob>, Error> {
        self.keyspace
            .blob(self.index, key.as_ref())
            .map_err(|error| self.wrong_kind(&error, key.as_ref(), Kind::String))
    }

    /// The strings at several keys, all of one moment; a key of another kind counts as missing, as MGET has it.
    pub fn get_many<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Vec<Option<Blob>> {
        self.keyspace.blobs(self.index, &keys.into_iter().collect::<Vec<K>>())
    }

    /// Calls `f` with the string at `key`, borrowed: no copy, no count, one short lock. `f` must not read
    /// from this replica again. `None` if the key is missing or holds another kind.
    pub fn with<R>(&self, key: impl AsRef<[u8]>, f: impl FnOnce(Option<&[u8]>) -> R) -> R {
        self.entry(key.as_ref(), |entry| {
            f(entry.and_then(|entry| match entry.value() {
                ValueRef::Inline(bytes) => Some(bytes),
                ValueRef::Owned(Value::Raw(bytes)) => Some(bytes),
                ValueRef::Owned(_) => None,
            }))
        })
    }

    /// Whether the key is there.
    #[must_use]
    pub fn exists(&self, key: impl AsRef<[u8]>) -> bool {
        self.entry(key.as_ref(), |entry| entry.is_some())
    }

    /// What kind of value the key holds.
    #[must_use]
    pub fn kind(&self, key: impl AsRef<[u8]>) -> Option<Kind> {
        self.entry(key.as_ref(), |entry| entry.map(kind_of))
    }

    /// How long the key has to live.
    #[must_use]
    pub fn ttl(&self, key: impl AsRef<[u8]>) -> Ttl {
        let now = self.keyspace.clock().now();
        self.entry(key.as_ref(), |entry| match entry.map(EntryRef::expire) {
            None => Ttl::Missing,
            Some(None) => Ttl::Persistent,
            Some(Some(at)) => Ttl::ExpiresIn(Duration::from_millis(u64::try_from(at - now).unwrap_or(0))),
        })
    }

    /// How many keys there are, those included that have expired and wait for the primary to delete them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keyspace.db(self.index).map_or(0, |db| db.counts().keys)
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keys, a few hundred at a time under a short lock. A key that is there throughout comes exactly
    /// once, whatever is written meanwhile.
    pub fn scan(&self, wanted: Scan) -> impl Iterator<Item = Vec<u8>> + '_ {
        let mut next = Some(0);
        let mut ready: std::vec::IntoIter<Vec<u8>> = Vec::new().into_iter();
        std::iter::from_fn(move || {
            loop {
                if let Some(key) = ready.next() {
                    return Some(key);
                }
                let cursor = next?;
                let view = View::new(&self.keyspace, &ShardSet::none(), Viewer::Client, self.index);
                let mut found = Vec::new();
                let after = view.scan(self.index, cursor, 256, |entry| {
                    if !view.is_past(entry.expire()) && wanted.wants(entry) {
                        found.push(entry.key().to_vec());
                    }
                });
                next = (after != 0).then_some(after);
                ready = found.into_iter();
            }
        })
    }

    /// The hash at `key`; `None` if there is no key.
    ///
    /// # Errors
    /// [`Error::WrongKind`]
    pub fn hash(&self, key: impl AsRef<[u8]>) -> Result<Option<HashRef>, Error> {
        Ok(self.place(key.as_ref(), Kind::Hash)?.map(HashRef))
    }

    /// The list at `key`; `None` if there is no key.
    ///
    /// # Errors
    /// [`Error::WrongKind`]
    pub fn list(&self, key: impl AsRef<[u8]>) -> Result<Option<ListRef>, Error> {
        Ok(self.place(key.as_ref(), Kind::List)?.map(ListRef))
    }

    /// The set at `key`; `None` if there is no key.
    ///
    /// # Errors
    /// [`Error::WrongKind`]
    pub fn set(&self, key: impl AsRef<[u8]>) -> Result<Option<SetRef>, Error> {
        Ok(self.place(key.as_ref(), Kind::Set)?.map(SetRef))
    }

    /// The sorted set at `key`; `None` if there is no key.
    ///
    /// # Errors
    /// [`Error::WrongKind`]
    pub fn zset(&self, key: impl AsRef<[u8]>) -> Result<Option<ZsetRef>, Error> {
        Ok(self.place(key.as_ref(), Kind::Zset)?.map(ZsetRef))
    }

    /// The stream at `key`; `None` if there is no key.
    ///
    /// # Errors
    /// [`Error::WrongKind`]
    pub fn stream(&self, key: impl AsRef<[u8]>) -> Result<Option<StreamRef>, Error> {
        Ok(self.place(key.as_ref(), Kind::Stream)?.map(StreamRef))
    }

    fn place(&self, key: &[u8], wanted: Kind) -> Result<Option<Place>, Error> {
        match self.kind(key) {
            None => Ok(None),
            Some(found) if found == wanted => Ok(Some(Place { db: self.clone(), key: key.to_vec() })),
            Some(found) => Err(Error::WrongKind { wanted, found }),
        }
    }

    fn entry<R>(&self, key: &[u8], f: impl FnOnce(Option<EntryRef<'_>>) -> R) -> R {
        let now = || self.keyspace.clock().now();
        self.keyspace
            .with(self.index, key, |entry| f(entry.filter(|e| e.expire().is_none_or(|at| at > now()))))
    }

    fn wrong_kind(&self, error: &CommandError, key: &[u8], wanted: Kind) -> Error {
        match (error, self.kind(key)) {
            (CommandError::WrongType, Some(found)) => Error::WrongKind { wanted, found },
            _ => Error::Command(error.clone()),
        }
    }
}

/// A key of a database, looked up again at every call.
#[derive(Debug, Clone)]
struct Place {
    db: Db,
    key: Vec<u8>,
}

impl Place {
    /// Calls `f` with the value, or answers the default if it is gone or has become another kind.
    fn read<T: Typed, R: Default>(&self, f: impl FnOnce(&T) -> R) -> R {
        self.db.entry(&self.key, |entry| match entry.map(EntryRef::value) {
            Some(ValueRef::Owned(value)) => T::of(value).map(f).unwrap_or_default(),
            _ => R::default(),
        })
    }

    fn now(&self) -> i64 {
        self.db.keyspace.clock().now()
    }
}

/// A hash. Each call reads it as it is then; a hash that has gone has no fields.
#[derive(Debug, Clone)]
pub struct HashRef(Place);

impl HashRef {
    /// The value of a field.
    #[must_use]
    pub fn get(&self, field: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let now = self.0.now();
        self.0.read(|hash: &Hash| hash.get(field.as_ref(), now).map(|found| found.value.to_vec()))
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let now = self.0.now();
        self.0.read(|hash: &Hash| hash.visible(now))
    }

    /// Whether it has gone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fields and values, all of one moment.
    #[must_use]
    pub fn to_vec(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let now = self.0.now();
        self.0.read(|hash: &Hash| {
            hash.iter(now).map(|(field, found)| (field.to_vec(), found.value.to_vec())).collect()
        })
    }
}

/// A list. Each call reads it as it is then; a list that has gone has no elements.
#[derive(Debug, Clone)]
pub struct ListRef(Place);

impl ListRef {
    /// The element at `index`, counted from the end if negative (-1: the last).
    #[must_use]
    pub fn index(&self, index: i64) -> Option<Vec<u8>> {
        self.0.read(|list: &List| list.get(index).map(|item| item.to_vec()))
    }

    /// Elements `start` to `end` inclusive, all of one moment.
    #[must_use]
    pub fn range(&self, start: i64, end: i64) -> Vec<Vec<u8>> {
        self.0.read(|list: &List| {
            let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
            let place = |n: i64| if n < 0 { (length + n).max(0) } else { n };
            let (start, end) = (place(start), if end < 0 { length + end } else { end.min(length - 1) });
            let count = usize::try_from(end - start + 1).unwrap_or(0);
            list.iter_from(usize::try_from(start).unwrap_or(0))
                .take(count)
                .map(|item| item.to_vec())
                .collect()
        })
    }

    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.read(List::len)
    }

    /// Whether it has gone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A set. Each call reads it as it is then; a set that has gone has no members.
#[derive(Debug, Clone)]
pub struct SetRef(Place);

impl SetRef {
    /// Whether it has this member.
    #[must_use]
    pub fn contains(&self, member: impl AsRef<[u8]>) -> bool {
        self.0.read(|set: &Set| set.contains(member.as_ref()))
    }

    /// Members in no order, all of one moment.
    #[must_use]
    pub fn to_vec(&self) -> Vec<Vec<u8>> {
        self.0.read(|set: &Set| set.iter().map(|item| item.to_vec()).collect())
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.read(Set::len)
    }

    /// Whether it has gone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A sorted set. Each call reads it as it is then; one that has gone has no members.
#[derive(Debug, Clone)]
pub struct ZsetRef(Place);

impl ZsetRef {
    /// The score of a member.
    #[must_use]
    pub fn score(&self, member: impl AsRef<[u8]>) -> Option<f64> {
        self.0.read(|zset: &Zset| zset.score(member.as_ref()))
    }

    /// How many members come before this one.
    #[must_use]
    pub fn rank(&self, member: impl AsRef<[u8]>) -> Option<usize> {
        self.0.read(|zset: &Zset| zset.rank(member.as_ref()).map(|(rank, _)| rank))
    }

    /// Members with scores by rank, lowest score first, all of one moment.
    #[must_use]
    pub fn range_by_rank(&self, ranks: std::ops::Range<usize>) -> Vec<(Vec<u8>, f64)> {
        self.0.read(|zset: &Zset| {
            let ranks = ranks.start.min(zset.len())..ranks.end.min(zset.len());
            zset.range(ranks).map(|(member, score)| (member.to_vec(), score)).collect()
        })
    }

    /// Members with a score from `low` to `high` inclusive, all of one moment.
    #[must_use]
    pub fn range_by_score(&self, low: f64, high: f64) -> Vec<(Vec<u8>, f64)> {
        self.0.read(|zset: &Zset| {
            let start = zset.below(|score, _| score < low);
            let end = zset.below(|score, _| score <= high);
            zset.range(start..end.max(start)).map(|(member, score)| (member.to_vec(), score)).collect()
        })
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.read(Zset::len)
    }

    /// Whether it has gone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A stream. Each call reads it as it is then.
#[derive(Debug, Clone)]
pub struct StreamRef(Place);

/// An entry of a stream: its id and its fields with values.
pub type StreamEntry = (StreamId, Vec<(Vec<u8>, Vec<u8>)>);

impl StreamRef {
    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.read(Stream::len)
    }

    /// Entries from `start` to `end`, both included, oldest first, all of one moment.
    #[must_use]
    pub fn range(&self, start: StreamId, end: StreamId) -> Vec<StreamEntry> {
        if start > end {
            return Vec::new();
        }
        self.0.read(|stream: &Stream| {
            let entries = stream.log.range(start, end);
            entries
                .map(|e| {
                    (e.id(), e.fields().map(|(field, value)| (field.to_vec(), value.to_vec())).collect())
                })
                .collect()
        })
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
