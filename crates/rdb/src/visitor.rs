//! What a dump says, in the order in which it says it.

use crate::encoding::{Intset, Listpack, Ziplist, Zipmap};
use crate::version::Version;

/// The kind of a value, as `TYPE` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A byte string (HyperLogLogs and bitmaps are strings too).
    String,
    /// A list.
    List,
    /// A set.
    Set,
    /// A sorted set (geo data is a sorted set too).
    Zset,
    /// A hash, with or without expiring fields.
    Hash,
    /// A stream.
    Stream,
    /// A module's value: opaque, framed by module opcodes.
    Module,
    /// A sparse array (Redis 8.8; known at second hand).
    Array,
    /// A rate limiter's state (a compile-time option of Redis 8.8; known at second hand): one number.
    Gcra,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::String,
        Self::List,
        Self::Set,
        Self::Zset,
        Self::Hash,
        Self::Stream,
        Self::Module,
        Self::Array,
        Self::Gcra,
    ];

    /// Its name, as TYPE answers it (`module` for all that modules bring).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::Zset => "zset",
            Self::Hash => "hash",
            Self::Stream => "stream",
            Self::Module => "module",
            Self::Array => "array",
            Self::Gcra => "gcra",
        }
    }
}

/// What precedes a value: everything that a filter can decide by.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct EntryMeta {
    /// The database selected by the last SELECTDB; 0 before the first.
    pub db: u64,
    /// The kind of the value.
    pub kind: Kind,
    /// The type byte as it stands in the dump (0 to 33).
    pub type_byte: u8,
    /// Unix milliseconds at which the key expires; may lie in the past.
    pub expire_ms: Option<i64>,
    /// Seconds since the last access, written under an LRU policy.
    pub idle_seconds: Option<u64>,
    /// LFU counter, 0 to 255, written under an LFU policy.
    pub freq: Option<u8>,
    /// Where its record begins in the dump, the expiry and the like before the key included.
    pub offset: u64,
}

/// How the visitor wants the value of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Not at all: the bytes are skipped, nothing is built, no `part` and no `entry_end` follow.
    Skip,
    /// Packed blobs as they are ([`Part::Listpack`], [`Part::Ziplist`], ...), the rest as elements.
    Packed,
    /// Elements only: blobs are unpacked into [`Part::Element`], [`Part::Member`], [`Part::Field`],
    /// [`Part::StreamEntry`].
    Elements,
}

/// A stream id, ordered as streams are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StreamId {
    /// Unix milliseconds, or whatever the writer chose.
    pub ms: u64,
    /// Sequence number within the millisecond.
    pub seq: u64,
}

/// The figures of a stream, after its nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StreamMeta {
    /// Live entries.
    pub length: u64,
    /// The last id generated.
    pub last_id: StreamId,
    /// The first live id; 0-0 if the dump's version does not say (type 15).
    pub first_id: StreamId,
    /// The highest id ever deleted; 0-0 if the dump's version does not say.
    pub max_deleted_id: StreamId,
    /// Entries ever added; equals `length` if the dump's version does not say.
    pub entries_added: u64,
}

/// The settings and counters of idempotent producers (Redis 8.6, type 26).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StreamIdmp {
    /// How long an iid is remembered, in seconds.
    pub duration_seconds: u64,
    /// How many iids are remembered a producer.
    pub max_entries: u64,
    /// Iids added, all time.
    pub iids_added: u64,
    /// Duplicates detected, all time.
    pub duplicates: u64,
}

impl StreamIdmp {
    /// What Redis 8.6 writes for a stream without producers.
    #[must_use]
    pub const fn of_none() -> Self {
        Self { duration_seconds: 100, max_entries: 100, iids_added: 0, duplicates: 0 }
    }
}

/// A piece of a value. Pieces come in the order of the dump; large values come in many.
#[derive(Debug)]
#[non_exhaustive]
pub enum Part<'a> {
    /// A piece of a string value. Pieces follow each other without a gap; the value is complete when
    /// `offset + bytes.len() == total`. A string of up to 64 KiB (compressed as well as plain) comes as one piece. `total` is a claim of the
    /// dump until then: allocate as the pieces arrive.
    String {
        /// Where this piece begins in the value.
        offset: u64,
        /// The piece; empty only if `total` is 0.
        bytes: &'a [u8],
        /// Length of the whole value in bytes.
        total: u64,
    },
    /// How many elements, members, fields or quicklist nodes follow: a claim, a hint at best.
    Count(u64),
    /// An element of a list (in order), or of a set; the number of a rate limiter as decimal text.
    Element(&'a [u8]),
    /// An element of a sparse array.
    Slot {
        /// Its index.
        index: u64,
        /// Its value, as a client sees it.
        value: &'a [u8],
    },
    /// A member of a sorted set. The score is never NaN.
    Member {
        /// The member.
        member: &'a [u8],
        /// Its score.
        score: f64,
    },
    /// A field of a hash.
    Field {
        /// The field's name.
        field: &'a [u8],
        /// Its value.
        value: &'a [u8],
        /// Unix milliseconds at which the field expires.
        expire_ms: Option<i64>,
    },
    /// Packed: a whole hash, sorted set or set, or a list node. Pairs are complete; a sorted set's
    /// scores are numbers. Elements alternate field, value or member, score; a set or list node has
    /// plain elements.
    Listpack(Listpack<'a>),
    /// Packed: a whole hash as field, value, absolute expiry in ms (0: none) triples (Redis 7.4+).
    ListpackEx(Listpack<'a>),
    /// Packed: the old form of a hash, sorted set or list node.
    Ziplist(Ziplist<'a>),
    /// Packed: a set of integers.
    Intset(Intset<'a>),
    /// Packed: the oldest form of a hash.
    Zipmap(Zipmap<'a>),
    /// Packed: a quicklist node that is one large element.
    PlainNode(&'a [u8]),
    /// Packed: a stream node; the listpack's items have been checked for structure.
    StreamNode {
        /// Base id of the node.
        id: StreamId,
        /// The node (format section 11.2).
        listpack: Listpack<'a>,
    },
    /// A live entry of a stream, in order of ids.
    StreamEntry {
        /// The entry's id.
        id: StreamId,
        /// Field, value, field, value, ...
        fields: &'a [&'a [u8]],
    },
    /// After the nodes or entries of a stream.
    StreamMeta(StreamMeta),
    /// A consumer group; its pending entries, consumers and their ids follow.
    Group {
        /// The group's name.
        name: &'a [u8],
        /// Last delivered id.
        last_id: StreamId,
        /// Entries read, if the dump knows.
        entries_read: Option<u64>,
    },
    /// A pending entry of the last group.
    Pending {
        /// The entry's id.
        id: StreamId,
        /// Unix milliseconds of the last delivery.
        delivery_ms: i64,
        /// Deliveries so far.
        count: u64,
    },
    /// A consumer of the last group.
    Consumer {
        /// The consumer's name.
        name: &'a [u8],
        /// Unix milliseconds when it was last seen.
        seen_ms: i64,
        /// Unix milliseconds when it last got or claimed an entry; `None`: never.
        active_ms: Option<i64>,
    },
    /// A pending entry (named before by [`Part::Pending`]) that the last consumer owns.
    ConsumerPending(StreamId),
    /// Settings of idempotent producers, after the groups and after every [`Part::StreamIid`].
    StreamIdmp(StreamIdmp),
    /// An idempotent producer's remembered iid.
    StreamIid {
        /// The producer.
        producer: &'a [u8],
        /// The iid.
        iid: &'a [u8],
        /// The entry that it stands for.
        id: StreamId,
    },
    /// A piece of a module value, from the module id to the terminating 0, verbatim.
    Module {
        /// The next bytes of the value.
        bytes: &'a [u8],
        /// Whether these are the last.
        last: bool,
    },
}

/// The name of a function library, in the first line of its source: `#!lua name=...`. Empty if there is none.
pub fn library_name(code: &[u8]) -> &[u8] {
    let line = code.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.split(u8::is_ascii_whitespace).find_map(|word| word.strip_prefix(b"name=")).unwrap_or_default()
}

/// A visitor's refusal of a part, with its reason; the decoder adds the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reject(pub &'static str);

impl Reject {
    /// The dump has what its reader does not want to keep, and the next dump will have it, too.
    pub const MODULE: Self = Self("a value that only a module understands");
}

/// Receives the contents of a dump from [`Decoder`](crate::Decoder).
///
/// Calls come from the thread that feeds the decoder, in the order of the dump: `header` first; for
/// each key `entry`, and unless it answered [`Want::Skip`] any number of `part`, then `entry_end`;
/// `end` last, after the checksum was found good. If the dump breaks off or is corrupt, `end` never
/// comes and everything received is to be dropped.
pub trait Visitor {
    /// The magic has been read.
    fn header(&mut self, version: Version) {
        let _ = version;
    }

    /// A record begins at this offset of the dump: an opcode or a key. What came before it is complete. Where a dump
    /// comes in pieces, a record may begin twice.
    fn record(&mut self, offset: u64) {
        let _ = offset;
    }

    /// An AUX field (format section 7). Unknown names are to be ignored.
    fn aux(&mut self, name: &[u8], value: &[u8]) {
        let _ = (name, value);
    }

    /// Keys of database `db` follow. Database 0 is implied before the first call.
    fn select_db(&mut self, db: u64) {
        let _ = db;
    }

    /// The dump claims `keys` keys, `expires` of them with expiry, in this database: a hint.
    fn resize_db(&mut self, keys: u64, expires: u64) {
        let _ = (keys, expires);
    }

    /// The source of a function library.
    ///
    /// # Errors
    /// A refusal ends the decoding.
    fn function(&mut self, code: &[u8]) -> Result<(), Reject> {
        let _ = code;
        Ok(())
    }

    /// A module's auxiliary record, from the module id to the terminating 0, verbatim.
    fn module_aux(&mut self, bytes: &[u8]) {
        let _ = bytes;
    }

    /// A key begins.
    ///
    /// # Errors
    /// A refusal ends the decoding.
    fn entry(&mut self, key: &[u8], meta: &EntryMeta) -> Result<Want, Reject>;

    /// A piece of the value of the last entry.
    ///
    /// # Errors
    /// A refusal ends the decoding.
    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        let _ = part;
        Ok(())
    }

    /// The value of the last entry is complete.
    ///
    /// # Errors
    /// A refusal ends the decoding.
    fn entry_end(&mut self) -> Result<(), Reject> {
        Ok(())
    }

    /// The dump is complete and its checksum good (or absent).
    ///
    /// # Errors
    /// A refusal of the whole dump.
    fn end(&mut self) -> Result<(), Reject> {
        Ok(())
    }
}
