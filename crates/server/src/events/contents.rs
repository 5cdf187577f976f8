//! A value as a subscriber gets it: a copy that nobody changes any more.

use bytes::Bytes;
use store::value::stream::StreamId;
use store::value::{Kind, Value};
use store::{EntryRef, ValueRef};

/// A whole value, apart from the data set.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Contents {
    /// A string.
    String(Bytes),
    /// A list's elements in order.
    List(Vec<Bytes>),
    /// A set's members in no order.
    Set(Vec<Bytes>),
    /// A sorted set's members with their scores, lowest first.
    Zset(Vec<(Bytes, f64)>),
    /// A hash's fields and values in no order.
    Hash(Vec<(Bytes, Bytes)>),
    /// A stream's entries, oldest first.
    Stream(Vec<(StreamId, Vec<(Bytes, Bytes)>)>),
    /// A module's value, as dumps have it.
    Module(Bytes),
}

pub(crate) fn kind_of(entry: EntryRef<'_>) -> Kind {
    match entry.value() {
        ValueRef::Inline(_) => Kind::String,
        ValueRef::Owned(value) => value.kind(),
    }
}

impl Contents {
    /// Copies an entry's value; fields of hashes that have expired by `now` are left out.
    #[must_use]
    pub fn of(entry: EntryRef<'_>, now: i64) -> Self {
        let bytes = |item: &rdb::encoding::Item<'_>| Bytes::from(item.to_vec());
        match entry.value() {
            ValueRef::Inline(text) => Self::String(Bytes::copy_from_slice(text)),
            ValueRef::Owned(Value::Raw(text)) => Self::String(Bytes::copy_from_slice(text)),
            ValueRef::Owned(Value::List(list)) => Self::List(list.iter().map(|item| bytes(&item)).collect()),
            ValueRef::Owned(Value::Set(set)) => Self::Set(set.iter().map(|item| bytes(&item)).collect()),
            ValueRef::Owned(Value::Zset(zset)) => {
                Self::Zset(zset.iter().map(|(member, score)| (bytes(&member), score)).collect())
            }
            ValueRef::Owned(Value::Hash(hash)) => {
                let fields = hash.iter(now);
                Self::Hash(fields.map(|(field, found)| (bytes(&field), bytes(&found.value))).collect())
            }
            ValueRef::Owned(Value::Stream(stream)) => {
                let text = |text: &[u8]| Bytes::copy_from_slice(text);
                let entries = stream.log.iter().map(|entry| {
                    let fields =
                        entry.fields().map(|(field, value)| (text(&field.to_vec()), text(&value.to_vec())));
                    (entry.id(), fields.collect())
                });
                Self::Stream(entries.collect())
            }
            ValueRef::Owned(Value::Module(bytes)) => Self::Module(Bytes::copy_from_slice(bytes)),
        }
    }

    /// What TYPE would say.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::String(_) => Kind::String,
            Self::List(_) => Kind::List,
            Self::Set(_) => Kind::Set,
            Self::Zset(_) => Kind::Zset,
            Self::Hash(_) => Kind::Hash,
            Self::Stream(_) => Kind::Stream,
            Self::Module(_) => Kind::Module,
        }
    }

    /// The bytes of a string.
    #[must_use]
    pub fn as_string(&self) -> Option<&Bytes> {
        if let Self::String(bytes) = self { Some(bytes) } else { None }
    }

    /// The value of a field, if it is a hash that has it.
    #[must_use]
    pub fn field(&self, name: impl AsRef<[u8]>) -> Option<&Bytes> {
        let Self::Hash(fields) = self else { return None };
        fields.iter().find(|(field, _)| *field == name.as_ref()).map(|(_, value)| value)
    }

    /// Bytes, roughly.
    pub(super) fn weight(&self) -> usize {
        let list = |items: &[Bytes]| items.iter().map(|item| item.len() + 32).sum();
        let pairs = |items: &[(Bytes, Bytes)]| items.iter().map(|(a, b)| a.len() + b.len() + 64).sum();
        match self {
            Self::String(bytes) | Self::Module(bytes) => bytes.len(),
            Self::List(items) | Self::Set(items) => list(items),
            Self::Zset(items) => items.iter().map(|(member, _)| member.len() + 40).sum(),
            Self::Hash(items) => pairs(items),
            Self::Stream(entries) => entries.iter().map(|(_, fields)| 40 + pairs(fields)).sum::<usize>(),
        }
    }
}
