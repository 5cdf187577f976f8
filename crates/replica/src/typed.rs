//! Handles of collections: each call reads the key as it is then.

use std::collections::Bound as End;
use std::ops::RangeBounds;

use ::store::value::stream::{self, StreamId};
use ::store::value::zset::ScoreBounds;
use ::store::value::{Hash, List, Set, Stream, Zset};
use ::store::{EntryRef, Typed, ValueRef};
use bytes::Bytes;

use crate::db::{Db, Ttl};

/// A key of a database, looked up again at every call.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) db: Db,
    pub(crate) key: Vec<u8>,
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
        self.db.now()
    }
}

/// A hash. Each call reads it as it is then; a hash that has gone has no fields.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), replica::Error> {
/// # let primary = replica::Standalone::start("127.0.0.1:0").await?;
/// primary.command(&["HSET", "user:1", "name", "Ada", "born", "1815"])?;
/// if let Some(user) = primary.db(0).hash("user:1")? {
///     assert_eq!(user.get("name").as_deref(), Some(&b"Ada"[..]));
///     for (field, value) in user.iter() {
///         println!("{}: {}", field.escape_ascii(), value.escape_ascii());
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct HashRef(pub(crate) Place);

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

    /// Whether it has a field.
    #[must_use]
    pub fn contains(&self, field: impl AsRef<[u8]>) -> bool {
        let now = self.0.now();
        self.0.read(|hash: &Hash| hash.get(field.as_ref(), now).is_some())
    }

    /// The values of several fields, all of one moment.
    pub fn get_many<F: AsRef<[u8]>>(&self, fields: impl IntoIterator<Item = F>) -> Vec<Option<Vec<u8>>> {
        let now = self.0.now();
        let fields: Vec<F> = fields.into_iter().collect();
        let found = self.0.read(|hash: &Hash| {
            let get = |field: &F| hash.get(field.as_ref(), now).map(|found| found.value.to_vec());
            Some(fields.iter().map(get).collect())
        });
        found.unwrap_or_else(|| vec![None; fields.len()])
    }

    /// How long a field has to live.
    #[must_use]
    pub fn field_ttl(&self, field: impl AsRef<[u8]>) -> Ttl {
        let now = self.0.now();
        let found = self.0.read(|hash: &Hash| hash.get(field.as_ref(), now).map(|found| found.expire_ms));
        Ttl::of(found, now)
    }

    /// Fields and values as they are now; what is written while it runs does not show.
    pub fn iter(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + use<> {
        self.to_vec().into_iter()
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
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), replica::Error> {
/// # let primary = replica::Standalone::start("127.0.0.1:0").await?;
/// primary.command(&["RPUSH", "log", "a", "b", "c", "d"])?;
/// let log = primary.db(0).list("log")?.unwrap();
/// assert_eq!(log.index(-1).as_deref(), Some(&b"d"[..]));
/// assert_eq!(log.range(-3, -2), [b"b", b"c"]); // as LRANGE counts
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ListRef(pub(crate) Place);

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

    /// Elements in order as they are now.
    pub fn iter(&self) -> impl Iterator<Item = Vec<u8>> + use<> {
        self.range(0, -1).into_iter()
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
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), replica::Error> {
/// # let primary = replica::Standalone::start("127.0.0.1:0").await?;
/// primary.command(&["SADD", "admins", "ada", "grace"])?;
/// let admins = primary.db(0).set("admins")?.unwrap();
/// assert!(admins.contains("ada") && !admins.contains("eve"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SetRef(pub(crate) Place);

impl SetRef {
    /// Whether it has this member.
    #[must_use]
    pub fn contains(&self, member: impl AsRef<[u8]>) -> bool {
        self.0.read(|set: &Set| set.contains(member.as_ref()))
    }

    /// Members in no order, as they are now.
    pub fn iter(&self) -> impl Iterator<Item = Vec<u8>> + use<> {
        self.to_vec().into_iter()
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
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), replica::Error> {
/// # let primary = replica::Standalone::start("127.0.0.1:0").await?;
/// primary.command(&["ZADD", "scores", "10", "ada", "7", "charles", "12", "grace"])?;
/// let scores = primary.db(0).zset("scores")?.unwrap();
/// assert_eq!((scores.score("ada"), scores.rev_rank("ada")), (Some(10.0), Some(1)));
/// assert_eq!(scores.rev_range_by_rank(..1), [(b"grace".to_vec(), 12.0)]); // the best
/// assert_eq!(scores.count_by_score(8.0..), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ZsetRef(pub(crate) Place);

impl ZsetRef {
    /// The score of a member.
    #[must_use]
    pub fn score(&self, member: impl AsRef<[u8]>) -> Option<f64> {
        self.0.read(|zset: &Zset| zset.score(member.as_ref()))
    }

    /// How many members come before this one, lowest score first.
    #[must_use]
    pub fn rank(&self, member: impl AsRef<[u8]>) -> Option<usize> {
        self.0.read(|zset: &Zset| zset.rank(member.as_ref()).map(|(rank, _)| rank))
    }

    /// How many members come before this one, highest score first.
    #[must_use]
    pub fn rev_rank(&self, member: impl AsRef<[u8]>) -> Option<usize> {
        self.0.read(|zset: &Zset| zset.rank(member.as_ref()).map(|(rank, _)| zset.len() - 1 - rank))
    }

    /// Members with scores by rank, lowest score first, all of one moment: `..`, `0..10`, `5..=7`.
    #[must_use]
    pub fn range_by_rank(&self, ranks: impl RangeBounds<usize>) -> Vec<(Vec<u8>, f64)> {
        self.0.read(|zset: &Zset| pairs(zset.range(clamped(&ranks, zset.len()))))
    }

    /// Members with scores by rank, highest score first: rank 0 is the highest.
    #[must_use]
    pub fn rev_range_by_rank(&self, ranks: impl RangeBounds<usize>) -> Vec<(Vec<u8>, f64)> {
        self.0.read(|zset: &Zset| {
            let ranks = clamped(&ranks, zset.len());
            pairs(zset.range_down(zset.len() - ranks.end..zset.len() - ranks.start))
        })
    }

    /// Members whose score lies in a range, lowest first, all of one moment: `..`, `1.0..=2.0`, or
    /// `(Bound::Excluded(1.0), Bound::Unbounded)`.
    #[must_use]
    pub fn range_by_score(&self, scores: impl RangeBounds<f64>) -> Vec<(Vec<u8>, f64)> {
        self.0.read(|zset: &Zset| pairs(zset.range(bounds(&scores).ranks(zset))))
    }

    /// The same, highest first.
    #[must_use]
    pub fn rev_range_by_score(&self, scores: impl RangeBounds<f64>) -> Vec<(Vec<u8>, f64)> {
        self.0.read(|zset: &Zset| pairs(zset.range_down(bounds(&scores).ranks(zset))))
    }

    /// How many members have a score in a range; O(log n).
    #[must_use]
    pub fn count_by_score(&self, scores: impl RangeBounds<f64>) -> usize {
        self.0.read(|zset: &Zset| bounds(&scores).ranks(zset).len())
    }

    /// Members with scores as they are now, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = (Vec<u8>, f64)> + use<> {
        self.range_by_rank(..).into_iter()
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

fn pairs<'z>(elements: impl Iterator<Item = (rdb::encoding::Item<'z>, f64)>) -> Vec<(Vec<u8>, f64)> {
    elements.map(|(member, score)| (member.to_vec(), score)).collect()
}

fn clamped(ranks: &impl RangeBounds<usize>, len: usize) -> std::ops::Range<usize> {
    let start = match ranks.start_bound() {
        End::Included(at) => *at,
        End::Excluded(at) => at.saturating_add(1),
        End::Unbounded => 0,
    };
    let end = match ranks.end_bound() {
        End::Included(at) => at.saturating_add(1),
        End::Excluded(at) => *at,
        End::Unbounded => len,
    };
    let end = end.min(len);
    start.min(end)..end
}

fn bounds(scores: &impl RangeBounds<f64>) -> ScoreBounds {
    let (min, above_min) = match scores.start_bound() {
        End::Included(at) => (*at, false),
        End::Excluded(at) => (*at, true),
        End::Unbounded => (f64::NEG_INFINITY, false),
    };
    let (max, below_max) = match scores.end_bound() {
        End::Included(at) => (*at, false),
        End::Excluded(at) => (*at, true),
        End::Unbounded => (f64::INFINITY, false),
    };
    ScoreBounds { min, above_min, max, below_max }
}

/// A stream. Each call reads it as it is then.
#[derive(Debug, Clone)]
pub struct StreamRef(pub(crate) Place);

/// An entry of a stream: its id and its fields with values.
pub type StreamEntry = (StreamId, Vec<(Vec<u8>, Vec<u8>)>);

/// A consumer group of a stream, as far as a replica knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamGroup {
    /// Its name.
    pub name: Bytes,
    /// The last entry that it was given.
    pub last_id: StreamId,
    /// How many entries were given and not yet acknowledged.
    pub pending: usize,
    /// Its consumers, each with how many entries it has and has not acknowledged.
    pub consumers: Vec<(Bytes, usize)>,
}

impl StreamRef {
    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.read(Stream::len)
    }

    /// The id of the last entry that was ever added.
    #[must_use]
    pub fn last_id(&self) -> Option<StreamId> {
        self.0.read(|stream: &Stream| Some(stream.log.last_id))
    }

    /// Entries with ids in a range, oldest first, all of one moment: `..`, `from..=to`, `from..`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), replica::Error> {
    /// # let primary = replica::Standalone::start("127.0.0.1:0").await?;
    /// use replica::StreamId;
    ///
    /// primary.command(&["XADD", "log", "5-1", "level", "info"])?;
    /// primary.command(&["XADD", "log", "6-0", "level", "warn"])?;
    /// let log = primary.db(0).stream("log")?.unwrap();
    /// let since = log.range(StreamId { ms: 6, seq: 0 }..);
    /// assert_eq!(since[0].1, [(b"level".to_vec(), b"warn".to_vec())]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn range(&self, ids: impl RangeBounds<StreamId>) -> Vec<StreamEntry> {
        self.read_range(&ids, |stream, start, end| stream.log.range(start, end).map(entry).collect())
    }

    /// The same, newest first.
    #[must_use]
    pub fn rev_range(&self, ids: impl RangeBounds<StreamId>) -> Vec<StreamEntry> {
        self.read_range(&ids, |stream, start, end| stream.log.range_reversed(start, end).map(entry).collect())
    }

    fn read_range(
        &self,
        ids: &impl RangeBounds<StreamId>,
        f: impl FnOnce(&Stream, StreamId, StreamId) -> Vec<StreamEntry>,
    ) -> Vec<StreamEntry> {
        let start = match ids.start_bound() {
            End::Included(id) => Some(*id),
            End::Excluded(id) => stream::next_id(*id),
            End::Unbounded => Some(stream::MIN_ID),
        };
        let end = match ids.end_bound() {
            End::Included(id) => Some(*id),
            End::Excluded(id) => stream::previous_id(*id),
            End::Unbounded => Some(stream::MAX_ID),
        };
        match (start, end) {
            (Some(start), Some(end)) if start <= end => self.0.read(|stream: &Stream| f(stream, start, end)),
            _ => Vec::new(),
        }
    }

    /// Its consumer groups.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), replica::Error> {
    /// # let primary = replica::Standalone::start("127.0.0.1:0").await?;
    /// primary.command(&["XADD", "jobs", "1-1", "do", "it"])?;
    /// primary.command(&["XGROUP", "CREATE", "jobs", "workers", "0"])?;
    /// primary.call(&["XREADGROUP", "GROUP", "workers", "w1", "STREAMS", "jobs", ">"])?;
    /// let groups = primary.db(0).stream("jobs")?.unwrap().groups();
    /// assert_eq!((&groups[0].name[..], groups[0].pending), (&b"workers"[..], 1));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn groups(&self) -> Vec<StreamGroup> {
        self.0.read(|stream: &Stream| {
            let consumers = |group: &stream::Group| {
                let each = group.consumers();
                each.map(|(name, known)| (Bytes::copy_from_slice(name), known.pending().len())).collect()
            };
            let groups = stream.groups.iter().map(|(name, group)| StreamGroup {
                name: Bytes::copy_from_slice(name),
                last_id: group.last_id,
                pending: group.pending().len(),
                consumers: consumers(group),
            });
            groups.collect()
        })
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn entry(entry: rdb::encoding::NodeEntry<'_>) -> StreamEntry {
    let fields = entry.fields().map(|(field, value)| (field.to_vec(), value.to_vec()));
    (entry.id(), fields.collect())
}
