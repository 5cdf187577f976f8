//! Typed values and their operations, one type a file. Commands, scripts, the loader and in-process
//! readers all use these operations; they know nothing of keys, locks, replies or expiry of keys.

use std::sync::Arc;

pub mod hash;
pub mod hyperloglog;
pub mod list;
pub(crate) mod seen;
pub mod set;
pub mod sorted;
pub mod stream;
mod table;
mod wide;
pub mod zset;

pub use hash::Hash;
pub use list::List;
pub use rdb::Kind;
pub use set::Set;
pub use stream::Stream;
pub use zset::Zset;

/// A value that does not stand in its entry.
#[derive(Debug, Clone)]
pub enum Value {
    /// A string that is long or has been changed in place (APPEND, SETRANGE, SETBIT ...). Shared with
    /// readers by its count; a writer copies it if anybody still reads.
    Raw(Arc<Vec<u8>>),
    /// A list.
    List(List),
    /// A set.
    Set(Set),
    /// A sorted set.
    Zset(Zset),
    /// A hash.
    Hash(Hash),
    /// A stream.
    Stream(Box<Stream>),
    /// A module's value, verbatim from the module id to the terminating 0 (RDB section 12).
    Module(Box<[u8]>),
}

impl Value {
    /// What a value leaves behind when it moves.
    pub(crate) const EMPTY: Self = Self::Set(Set::EMPTY);

    /// The kind that TYPE names.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Raw(_) => Kind::String,
            Self::List(_) => Kind::List,
            Self::Set(_) => Kind::Set,
            Self::Zset(_) => Kind::Zset,
            Self::Hash(_) => Kind::Hash,
            Self::Stream(_) => Kind::Stream,
            Self::Module(_) => Kind::Module,
        }
    }

    /// Whether it is a collection without elements, which must not stay in the keyspace.
    #[must_use]
    pub fn is_vacant(&self) -> bool {
        match self {
            Self::List(v) => v.is_empty(),
            Self::Set(v) => v.is_empty(),
            Self::Zset(v) => v.is_empty(),
            Self::Hash(v) => v.is_empty(),
            Self::Raw(_) | Self::Stream(_) | Self::Module(_) => false,
        }
    }

    /// When the first of its fields is due, or a little earlier; O(1) for large values.
    #[must_use]
    pub fn next_deadline(&self) -> Option<i64> {
        if let Self::Hash(hash) = self { hash.soonest() } else { None }
    }

    /// Bytes on the heap, the box of the value itself included; O(1).
    #[must_use]
    pub fn allocated(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Raw(v) => size_of::<Vec<u8>>() + 16 + v.capacity(),
                Self::List(v) => v.allocated(),
                Self::Set(v) => v.allocated(),
                Self::Zset(v) => v.allocated(),
                Self::Hash(v) => v.allocated(),
                Self::Stream(v) => v.allocated(),
                Self::Module(v) => v.len(),
            }
    }
}

/// Whether no two of `n` items are equal: dumps are not trusted in that.
fn all_differ<'a>(items: impl Iterator<Item = rdb::encoding::Item<'a>> + Clone, n: usize) -> bool {
    use std::hash::{BuildHasher, Hasher};
    if n <= 8 {
        let mut rest = items;
        while let Some(first) = rest.next() {
            if rest.clone().any(|other| other == first) {
                return false;
            }
        }
        return true;
    }
    // An item's form follows from its text, so forms can be compared. 64-bit hashes: two different items that
    // collide only cost a detour.
    let state = foldhash::fast::FixedState::with_seed(n as u64);
    let mut hashes: Vec<u64> = items
        .map(|item| {
            let mut hasher = state.build_hasher();
            match item {
                rdb::encoding::Item::Str(text) => hasher.write(text),
                rdb::encoding::Item::Int(n) => hasher.write_i64(n),
            }
            hasher.finish()
        })
        .collect();
    hashes.sort_unstable();
    hashes.windows(2).all(|pair| pair[0] != pair[1])
}
