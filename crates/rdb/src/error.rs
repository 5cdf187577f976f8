//! Why a dump was refused, and where.

use std::fmt;

use crate::encoding::EncodingError;
use crate::lzf::LzfError;
use crate::version::{Flavour, Version};

/// A dump that cannot be read, or that the visitor refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Bytes between the start of the dump and the place at which it was found.
    pub offset: u64,
    /// The key whose value it was found in.
    pub key: Option<Box<[u8]>>,
    /// What is wrong.
    pub kind: ErrorKind,
}

/// What is wrong with a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The first nine bytes are not `REDIS` or `VALKEY` and digits.
    Magic,
    /// A version that is not known.
    UnsupportedVersion(Version),
    /// A record begins with a byte that no known server writes; nothing says how long it is.
    UnknownType {
        /// The byte.
        byte: u8,
    },
    /// A record of which only the name is known, in this flavour.
    Unsupported {
        /// The byte.
        byte: u8,
        /// The flavour that gives the byte its meaning.
        flavour: Flavour,
    },
    /// No length begins with this byte where one has to stand.
    Length {
        /// The byte.
        byte: u8,
    },
    /// No string begins with this byte.
    StringEncoding {
        /// The byte.
        byte: u8,
    },
    /// A compressed string does not decompress to the size that it claims.
    Lzf(LzfError),
    /// A packed blob is malformed.
    Packed(EncodingError),
    /// A packed blob does not hold whole pairs (or, with field expiry, triples).
    Incomplete {
        /// How many elements it holds.
        elements: u64,
    },
    /// A score is not a number.
    Score,
    /// The time at which a hash field expires is out of range.
    FieldExpiry,
    /// A module's value contains an opcode whose size is unknown.
    ModuleOpcode(u64),
    /// A rule of the format is broken.
    Corrupt(&'static str),
    /// The checksum is not that of the bytes.
    Checksum {
        /// What the dump says.
        stored: u64,
        /// What its bytes give.
        computed: u64,
    },
    /// The visitor refused.
    Rejected(&'static str),
    /// The decoder was fed after it had failed.
    Failed,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => {
                f.write_str("not an RDB: the first nine bytes are neither REDISnnnn nor VALKEYnnn")
            }
            Self::UnsupportedVersion(version) => write!(f, "{version} is not supported"),
            Self::UnknownType { byte } => write!(f, "unknown record type {byte}"),
            Self::Unsupported { byte, flavour } => {
                write!(f, "the layout of {flavour:?} record type {byte} is not known")
            }
            Self::Length { byte } => write!(f, "byte {byte:#04x} where a length has to stand"),
            Self::StringEncoding { byte } => write!(f, "unknown string encoding {byte:#04x}"),
            Self::Lzf(error) => write!(f, "corrupt compressed string: {error}"),
            Self::Packed(error) => write!(f, "corrupt packed value: {error}"),
            Self::Incomplete { elements } => {
                write!(f, "a packed value of {elements} elements does not divide evenly")
            }
            Self::Score => f.write_str("a score is not a number"),
            Self::FieldExpiry => f.write_str("a field's expiry is out of range"),
            Self::ModuleOpcode(opcode) => write!(f, "unknown module opcode {opcode}"),
            Self::Corrupt(rule) => f.write_str(rule),
            Self::Checksum { stored, computed } => {
                write!(f, "checksum is {computed:016x}, the dump says {stored:016x}")
            }
            Self::Rejected(reason) => write!(f, "refused: {reason}"),
            Self::Failed => f.write_str("the decoder has failed before"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {}", self.offset)?;
        if let Some(key) = &self.key {
            // A key may be megabytes; a line should stay one.
            let shown = key.get(..KEY_SHOWN).unwrap_or(key);
            let more = if shown.len() < key.len() { "..." } else { "" };
            write!(f, ", key \"{}{more}\"", shown.escape_ascii())?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            ErrorKind::Packed(error) => Some(error),
            ErrorKind::Lzf(error) => Some(error),
            _ => None,
        }
    }
}

/// How much of a key a message shows.
const KEY_SHOWN: usize = 128;
