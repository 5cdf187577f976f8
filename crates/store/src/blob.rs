//! An owned string that shares the store's bytes.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use crate::entry::{EntryRef, InlineStr, ValueRef};
use crate::error::CommandError;
use crate::value::Value;

/// A string value as it was when it was read: counted, not copied, and never changed by later writes.
///
/// It keeps the memory of that one value alive, nothing else.
#[derive(Clone)]
pub struct Blob(Repr);

#[derive(Clone)]
enum Repr {
    Inline(InlineStr),
    Raw(Arc<Vec<u8>>),
}

impl Blob {
    /// The string of an entry.
    pub(crate) fn of(entry: EntryRef<'_>) -> Result<Self, CommandError> {
        match entry.value() {
            ValueRef::Inline(_) => {
                entry.share().map(|s| Self(Repr::Inline(s))).ok_or(CommandError::WrongType)
            }
            ValueRef::Owned(Value::Raw(bytes)) => Ok(Self(Repr::Raw(Arc::clone(bytes)))),
            ValueRef::Owned(_) => Err(CommandError::WrongType),
        }
    }
}

impl Deref for Blob {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline(bytes) => bytes,
            Repr::Raw(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Without a copy: the bytes stay where they are.
impl From<Blob> for Bytes {
    fn from(blob: Blob) -> Self {
        Self::from_owner(blob)
    }
}

impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for Blob {
    fn eq(&self, other: &T) -> bool {
        **self == *other.as_ref()
    }
}

impl Eq for Blob {}

impl Hash for Blob {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Display for Blob {
    /// The text, with U+FFFD where it is not UTF-8.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self))
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.escape_ascii())
    }
}
