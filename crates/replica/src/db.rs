//! Reading a database: plain functions.

use std::sync::Arc;
use std::time::Duration;

use ::store::value::{Kind, Value};
use ::store::{Blob, CommandError, EntryRef, Keyspace, Matching, Pattern, ShardSet, ValueRef, View, Viewer};

use crate::convert::FromValue;
use crate::error::Error;
use crate::typed::{HashRef, ListRef, Place, SetRef, StreamRef, ZsetRef};

/// One database of a replica. Cheap to clone; reads what is there at the moment of each call.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), replica::Error> {
/// # let primary = replica::Standalone::start("127.0.0.1:0").await?;
/// # primary.command(&["SET", "name", "Ada"])?;
/// # primary.command(&["RPUSH", "todo", "read", "write"])?;
/// # let db = primary.db(0);
/// use replica::{Error, Kind, Ttl};
///
/// assert_eq!(db.get("name")?.unwrap(), b"Ada"); // or None
/// assert_eq!(db.list("todo")?.map(|todo| todo.len()), Some(2));
/// assert!(matches!(db.get("todo"), Err(Error::WrongKind { found: Kind::List, .. })));
/// assert_eq!((db.kind("name"), db.ttl("name")), (Some(Kind::String), Ttl::Persistent));
/// # Ok(())
/// # }
/// ```
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

impl Ttl {
    /// Of what may be there, with its deadline if it has one.
    pub(crate) fn of(found: Option<Option<i64>>, now: i64) -> Self {
        match found {
            None => Self::Missing,
            Some(None) => Self::Persistent,
            Some(Some(at)) => Self::ExpiresIn(Duration::from_millis(u64::try_from(at - now).unwrap_or(0))),
        }
    }
}

/// Which keys a scan is for.
///
/// ```
/// use replica::{Kind, Matching, Scan};
///
/// let users = Scan::all().matching("user:*").kind(Kind::Hash).by(Matching::Automaton);
/// # drop(users);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Scan {
    pattern: Option<Vec<u8>>,
    matching: Matching,
    kind: Option<Kind>,
}

/// A scan with its pattern prepared.
struct Wanted {
    pattern: Option<Pattern>,
    kind: Option<Kind>,
}

impl Wanted {
    fn has(&self, entry: EntryRef<'_>) -> bool {
        self.kind.is_none_or(|kind| kind == kind_of(entry))
            && self.pattern.as_ref().is_none_or(|pattern| pattern.selects(entry.key()))
    }
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

    /// How to compare keys with the pattern: the answers are the same, the speed is not. For a listing of millions of
    /// keys, [`Matching::Simple`] or [`Matching::Automaton`] are faster.
    #[must_use]
    pub fn by(mut self, matching: Matching) -> Self {
        self.matching = matching;
        self
    }

    fn prepared(&self) -> Wanted {
        let pattern = self.pattern.as_ref().map(|pattern| Pattern::new(pattern, self.matching));
        Wanted { pattern, kind: self.kind }
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

    /// The string at `key`, owned without a copy; `Bytes::from` makes it one of those, without a copy either.
    ///
    /// # Errors
    /// [`Error::WrongKind`] if the key holds another kind.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Blob>, Error> {
        self.keyspace
            .blob(self.index, key.as_ref())
            .map_err(|error| self.wrong_kind(&error, key.as_ref(), Kind::String))
    }

    /// The strings at several keys, all of one moment; a key of another kind counts as missing, as MGET has it. What
    /// the next keys need is fetched from memory while those before are read. One moment costs the locks of their
    /// shards: where it does not matter and the data are small, [`get`](Self::get) for each is cheaper.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), replica::Error> {
    /// # let primary = replica::Standalone::start("127.0.0.1:0").await?;
    /// primary.call(&["MSET", "a", "1", "b", "2"])?;
    /// let found = primary.db(0).get_many(["a", "nothing", "b"]);
    /// assert_eq!(found[0].as_deref(), Some(&b"1"[..]));
    /// assert!(found[1].is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_many<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Vec<Option<Blob>> {
        self.keyspace.blobs(self.index, &keys.into_iter().collect::<Vec<K>>())
    }

    /// The string at `key`, read as something else: a number, a `String`, a `bool`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), replica::Error> {
    /// # let primary = replica::Standalone::start("127.0.0.1:0").await?;
    /// primary.command(&["SET", "visits", "42"])?;
    /// assert_eq!(primary.db(0).get_as::<u64>("visits")?, Some(42));
    /// assert!(primary.db(0).get_as::<bool>("visits").is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::WrongKind`], or [`Error::Convert`] if it is none.
    pub fn get_as<T: FromValue>(&self, key: impl AsRef<[u8]>) -> Result<Option<T>, Error> {
        self.get(key)?.map(|blob| T::from_blob(blob).map_err(Error::Convert)).transpose()
    }

    /// Calls `f` with the string at `key`, borrowed: no copy, no count, one short lock. `f` must not read
    /// from this replica again. `None` if the key is missing or holds another kind.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), replica::Error> {
    /// # let primary = replica::Standalone::start("127.0.0.1:0").await?;
    /// primary.command(&["SET", "page", "<html>"])?;
    /// let length = primary.db(0).with("page", |page| page.map_or(0, <[u8]>::len));
    /// assert_eq!(length, 6);
    /// # Ok(())
    /// # }
    /// ```
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

    /// How many of these keys are there, at one moment; one that is named twice counts twice, as EXISTS has it.
    pub fn exists_many<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> usize {
        let keys: Vec<K> = keys.into_iter().collect();
        let mut set = ShardSet::none();
        if self.keyspace.db(self.index).is_some() {
            keys.iter().for_each(|key| set.add(&self.keyspace, self.index, key.as_ref()));
        }
        let view = View::new(&self.keyspace, &set, Viewer::Client, self.index);
        keys.iter().filter(|key| view.peek(key.as_ref()).is_some()).count()
    }

    /// What kind of value the key holds.
    #[must_use]
    pub fn kind(&self, key: impl AsRef<[u8]>) -> Option<Kind> {
        self.entry(key.as_ref(), |entry| entry.map(kind_of))
    }

    /// How long the key has to live.
    #[must_use]
    pub fn ttl(&self, key: impl AsRef<[u8]>) -> Ttl {
        let now = self.now();
        self.entry(key.as_ref(), |entry| Ttl::of(entry.map(EntryRef::expire), now))
    }

    /// The database's number.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    pub(crate) fn now(&self) -> i64 {
        self.keyspace.clock().now()
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
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), replica::Error> {
    /// # let primary = replica::Standalone::start("127.0.0.1:0").await?;
    /// use replica::{Kind, Scan};
    ///
    /// primary.call(&["MSET", "user:1", "Ada", "user:2", "Grace", "visits", "7"])?;
    /// let db = primary.db(0);
    /// let mut users: Vec<_> = db.scan(Scan::all().matching("user:*").kind(Kind::String)).collect();
    /// users.sort_unstable();
    /// assert_eq!(users, [b"user:1", b"user:2"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn scan(&self, wanted: Scan) -> impl Iterator<Item = Vec<u8>> + '_ {
        let wanted = wanted.prepared();
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
                    if !view.is_past(entry.expire()) && wanted.has(entry) {
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

    pub(crate) fn entry<R>(&self, key: &[u8], f: impl FnOnce(Option<EntryRef<'_>>) -> R) -> R {
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
