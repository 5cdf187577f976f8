//! What OBJECT ENCODING calls a value: the names of the server that we claim to be.

use crate::compat::{Differences, Family};
use crate::entry::{EntryRef, ValueRef};
use crate::number::parse_i64;
use crate::value::Value;

/// Which strings stand beside their header, and so are `embstr` rather than `raw`.
#[derive(Debug, Clone, Copy)]
pub enum Embedded {
    /// Those of at most so many bytes.
    Short(usize),
    /// Those that fit, with their key, into one allocation.
    WithKey {
        /// Bytes of the header.
        header: usize,
        /// Bytes of an expiry, if it takes room.
        expiry: usize,
        /// Bytes of the allocation.
        room: usize,
    },
}

impl Embedded {
    fn admits(self, key: usize, value: usize, expires: bool) -> bool {
        match self {
            Self::Short(most) => value <= most,
            Self::WithKey { header, expiry, room } => {
                // Keys of up to 31 bytes have a header of one byte, longer ones of three; values always of three.
                // Both end in a zero, and one byte tells the size of the key's header.
                let key = key + if key < 32 { 3 } else { 5 };
                header + if expires { expiry } else { 0 } + key + value + 4 <= room
            }
        }
    }
}

impl EntryRef<'_> {
    /// The name of the encoding that a server with these differences would have chosen.
    #[must_use]
    pub fn encoding(self, like: &Differences) -> &'static str {
        match self.value() {
            ValueRef::Inline(bytes) if parse_i64(bytes).is_some() => "int",
            ValueRef::Inline(bytes)
                if like.embedded.admits(self.key().len(), bytes.len(), self.expire().is_some()) =>
            {
                "embstr"
            }
            ValueRef::Inline(_) | ValueRef::Owned(Value::Raw(_) | Value::Module(_)) => "raw",
            ValueRef::Owned(Value::List(_)) if !like.small_lists => "quicklist",
            ValueRef::Owned(Value::List(v)) => v.encoding(),
            ValueRef::Owned(Value::Set(v)) => match v.encoding() {
                "listpack" if !like.small_sets => "hashtable",
                name => name,
            },
            ValueRef::Owned(Value::Zset(v)) => v.encoding(),
            ValueRef::Owned(Value::Hash(v)) => match v.encoding() {
                "listpackex" if like.family == Family::Valkey => "hashtable",
                name => name,
            },
            ValueRef::Owned(Value::Stream(v)) => v.encoding(),
        }
    }
}
