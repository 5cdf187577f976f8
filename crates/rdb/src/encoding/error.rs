//! What can be wrong with a packed blob, and where.

use std::fmt;

/// Why a blob is not what it claims to be. Offsets count from the blob's first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodingError {
    /// The bytes end inside the header or inside the entry that begins at `offset`.
    Truncated {
        /// Where the header or entry begins.
        offset: usize,
    },
    /// The header's size is not the size of the blob.
    Size {
        /// What the header says.
        claimed: u64,
        /// How many bytes there are.
        actual: u64,
    },
    /// The end mark `FF` is missing, or not where the entries end.
    Terminator {
        /// Where it was expected.
        offset: usize,
    },
    /// No entry begins with this byte, or it is written in a form that no writer uses.
    Entry {
        /// Where the entry begins.
        offset: usize,
    },
    /// The entry's back-length (in a ziplist, its previous length) is wrong: backward walks would derail.
    BackLength {
        /// Where the entry begins.
        offset: usize,
    },
    /// The header's count is not the number of entries.
    Count {
        /// What the header says.
        claimed: u64,
        /// How many entries there are.
        actual: u64,
    },
    /// A ziplist's offset of the last entry is not that.
    Tail {
        /// What the header says.
        claimed: u64,
    },
    /// An intset's width is not 2, 4 or 8.
    Width {
        /// What the header says.
        claimed: u32,
    },
    /// An intset does not ascend strictly.
    Order {
        /// The first integer that is not above the one before it.
        index: usize,
    },
    /// A stream node's elements do not form a master entry and items.
    StreamItem {
        /// Where the item begins in the listpack.
        offset: usize,
        /// Which rule it breaks.
        rule: &'static str,
    },
}

impl fmt::Display for EncodingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { offset } => write!(f, "the bytes end inside the entry at offset {offset}"),
            Self::Size { claimed, actual } => write!(f, "header claims {claimed} bytes, there are {actual}"),
            Self::Terminator { offset } => write!(f, "no end mark at offset {offset}"),
            Self::Entry { offset } => write!(f, "invalid entry at offset {offset}"),
            Self::BackLength { offset } => write!(f, "wrong back-length at the entry at offset {offset}"),
            Self::Count { claimed, actual } => {
                write!(f, "header claims {claimed} entries, there are {actual}")
            }
            Self::Tail { claimed } => write!(f, "no last entry at offset {claimed}"),
            Self::Width { claimed } => write!(f, "integer width {claimed} is not 2, 4 or 8"),
            Self::Order { index } => write!(f, "integer {index} is not above the one before it"),
            Self::StreamItem { offset, rule } => write!(f, "stream node: {rule}, at offset {offset}"),
        }
    }
}

impl std::error::Error for EncodingError {}

/// A builder refused to grow past the 1 GiB at which writers stop; it is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a packed value may not exceed 1 GiB")
    }
}

impl std::error::Error for Full {}
