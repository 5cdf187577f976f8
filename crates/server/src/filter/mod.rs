//! Only the part that is wanted: what a filter keeps, and how it is written down.
//!
//! ```text
//! dump   --> rdb::Filter --> loader      a value that is not wanted is skipped, not built
//! stream --> Sieve (stream.rs) --> writer    a command that is not wanted is not run; its bytes count
//! ```

mod stream;

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use store::value::Kind;

pub(crate) use stream::{Ruling, Sieve};

/// What a replica keeps of its primary's data. Empty, it keeps everything; each sort of condition that is
/// given must hold, and of several prefixes and patterns together one is enough.
///
/// Written down it is a line of words, each a condition: `db=0,1 prefix=user: type=hash,zset slot=0-5460`. Of a cluster,
/// shards that have nothing to give are not followed at all: none of these slots, or none of these nodes.
///
/// ```
/// use server::Filter;
///
/// let users = Filter::new().databases([0, 1]).prefixes(["user:"]);
/// assert_eq!(users.to_string(), "db=0,1 prefix=user:");
/// assert_eq!("db=0,1 prefix=user:".parse(), Ok(users.clone()));
/// assert!(users.keeps_key(0, b"user:1") && !users.keeps_key(0, b"session:1"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    databases: Vec<u32>,
    prefixes: Vec<Vec<u8>>,
    patterns: Vec<Vec<u8>>,
    kinds: Vec<Kind>,
    slots: Vec<RangeInclusive<u16>>,
    shards: Vec<String>,
    commands: Vec<String>,
    blocked: Vec<String>,
}

/// A filter that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("filter: {0}")]
pub struct InvalidFilter(String);

/// What a filter can choose among, by the names that TYPE answers.
const KINDS: [Kind; 6] = [Kind::String, Kind::List, Kind::Set, Kind::Zset, Kind::Hash, Kind::Stream];

/// The kind of this name, if a filter can choose it.
fn kind_of(name: &str) -> Option<Kind> {
    KINDS.into_iter().find(|kind| kind.name() == name)
}

impl Filter {
    /// Keeps everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps only these databases.
    #[must_use]
    pub fn databases(mut self, databases: impl IntoIterator<Item = u32>) -> Self {
        self.databases.extend(databases);
        self
    }

    /// Keeps only keys that begin with one of these, or match a pattern.
    #[must_use]
    pub fn prefixes<P: Into<Vec<u8>>>(mut self, prefixes: impl IntoIterator<Item = P>) -> Self {
        self.prefixes.extend(prefixes.into_iter().map(Into::into));
        self
    }

    /// Keeps only keys that match one of these patterns (those of KEYS), or begin with a prefix.
    #[must_use]
    pub fn patterns<P: Into<Vec<u8>>>(mut self, patterns: impl IntoIterator<Item = P>) -> Self {
        self.patterns.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Keeps only values of these kinds.
    #[must_use]
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.kinds.extend(kinds);
        self
    }

    /// Keeps no values that only modules understand.
    pub(crate) fn without_modules(mut self) -> Self {
        if self.kinds.is_empty() {
            self.kinds.extend(KINDS);
        }
        self.kinds.retain(|kind| *kind != Kind::Module);
        self
    }

    /// Keeps only keys of these cluster slots.
    #[must_use]
    pub fn slots(mut self, slots: impl IntoIterator<Item = RangeInclusive<u16>>) -> Self {
        self.slots.extend(slots);
        self
    }

    /// Of a cluster, keeps only what the shards of these nodes have, whichever slots those are. A node is named by its id
    /// or by `host:port`, and stands for its shard whether it is the primary there or not.
    #[must_use]
    pub fn shards<N: Into<String>>(mut self, nodes: impl IntoIterator<Item = N>) -> Self {
        self.shards.extend(nodes.into_iter().map(Into::into));
        self
    }

    /// Of the stream, applies only these commands, by the names that stand there. The copy is then no copy
    /// of anything the primary ever held: what these commands alone make of the dump.
    #[must_use]
    pub fn commands<C: AsRef<str>>(mut self, commands: impl IntoIterator<Item = C>) -> Self {
        self.commands.extend(commands.into_iter().map(|name| name.as_ref().to_ascii_lowercase()));
        self
    }

    /// Of the stream, applies every command but these. See [`commands`](Self::commands).
    #[must_use]
    pub fn block_commands<C: AsRef<str>>(mut self, commands: impl IntoIterator<Item = C>) -> Self {
        self.blocked.extend(commands.into_iter().map(|name| name.as_ref().to_ascii_lowercase()));
        self
    }

    /// Whether it keeps everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether commands of the stream are left out by their names: then keys differ from the primary's by what those did.
    #[must_use]
    pub fn chooses_commands(&self) -> bool {
        !self.commands.is_empty() || !self.blocked.is_empty()
    }

    /// Whether keys of this database are kept at all.
    #[must_use]
    pub fn keeps_database(&self, db: u32) -> bool {
        self.databases.is_empty() || self.databases.contains(&db)
    }

    /// Whether this key is kept, as far as its name tells.
    #[must_use]
    pub fn keeps_key(&self, db: u32, key: &[u8]) -> bool {
        let named = self.prefixes.is_empty() && self.patterns.is_empty()
            || self.prefixes.iter().any(|prefix| key.starts_with(prefix))
            || self.patterns.iter().any(|pattern| store::glob::matches(pattern, key));
        named && self.keeps_database(db) && (self.slots.is_empty() || self.keeps_slot(slot(key)))
    }

    /// Whether it chooses among the shards of a cluster.
    #[must_use]
    pub fn names_shards(&self) -> bool {
        !self.shards.is_empty()
    }

    /// Whether a shard is kept that has a node of this name: its id, or `host:port`.
    #[must_use]
    pub fn keeps_shard(&self, node: &str) -> bool {
        self.shards.is_empty() || self.shards.iter().any(|known| known == node)
    }

    /// Whether it chooses among slots.
    pub(crate) fn names_slots(&self) -> bool {
        !self.slots.is_empty()
    }

    /// Whether a key of this slot may be kept.
    #[must_use]
    pub fn keeps_slot(&self, slot: u16) -> bool {
        self.slots.is_empty() || self.slots.iter().any(|range| range.contains(&slot))
    }

    /// Whether values of this kind are kept.
    #[must_use]
    pub fn keeps_kind(&self, kind: Kind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// Whether values of the kind that TYPE calls so are kept.
    #[must_use]
    pub fn keeps_type(&self, name: &str) -> bool {
        kind_of(name).is_none_or(|kind| self.keeps_kind(kind))
    }

    /// Whether this command of the stream is to be looked at.
    pub(crate) fn keeps_command(&self, name: &[u8]) -> bool {
        let is = |known: &String| known.as_bytes().eq_ignore_ascii_case(name);
        (self.commands.is_empty() || self.commands.iter().any(is)) && !self.blocked.iter().any(is)
    }

    pub(crate) fn looks_at_kinds(&self) -> bool {
        !self.kinds.is_empty()
    }

    /// A visitor that passes on what is kept.
    pub(crate) fn before<V: rdb::Visitor>(&self, inner: V) -> rdb::Filter<V> {
        let mut filter = rdb::Filter::new(inner);
        if !self.databases.is_empty() {
            filter = filter.databases(self.databases.iter().map(|db| u64::from(*db)));
        }
        if !self.kinds.is_empty() {
            filter = filter.kinds(self.kinds.clone());
        }
        if !self.prefixes.is_empty() || !self.patterns.is_empty() || !self.slots.is_empty() {
            // Databases are looked at above.
            let names = Self { databases: Vec::new(), ..self.clone() };
            filter = filter.keys(move |key, _| names.keeps_key(0, key));
        }
        filter
    }
}

/// The cluster slot of a key: of the part between the first `{` and the next `}`, if there is any.
#[must_use]
pub fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|b| *b == b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        rest.get(..rest.iter().position(|b| *b == b'}')?).filter(|tag| !tag.is_empty())
    });
    let step = |crc: u16, byte: &u8| crc << 8 ^ CRC16[usize::from((crc >> 8) as u8 ^ byte)];
    tag.unwrap_or(key).iter().fold(0, step) % 16384
}

/// What CRC-16 (XMODEM, the polynomial 0x1021) makes of each byte.
const CRC16: [u16; 256] = {
    let mut table = [0_u16; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = ((byte as u16) << 8, 0);
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = |all: &[Vec<u8>]| all.iter().map(|text| escape(text)).collect::<Vec<_>>();
        let numbers = self.databases.iter().map(ToString::to_string).collect();
        let kinds =
            KINDS.into_iter().filter(|kind| self.kinds.contains(kind)).map(|kind| kind.name().to_owned());
        let slots = self.slots.iter().map(|range| format!("{}-{}", range.start(), range.end()));
        let conditions = [
            ("db", numbers),
            ("prefix", bytes(&self.prefixes)),
            ("pattern", bytes(&self.patterns)),
            ("type", kinds.collect()),
            ("slot", slots.collect()),
            ("shard", self.shards.clone()),
            ("command", self.commands.clone()),
            ("block", self.blocked.clone()),
        ];
        let mut first = true;
        for (name, values) in conditions.iter().filter(|(_, values)| !values.is_empty()) {
            let space = if std::mem::take(&mut first) { "" } else { " " };
            write!(f, "{space}{name}={}", values.join(","))?;
        }
        Ok(())
    }
}

/// Percent escapes for what would end a value or a line.
fn escape(text: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'%' | b',');
    text.iter()
        .map(|byte| if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let hex = tail.get(..2).filter(|_| *byte == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(escaped) => {
                out.push(escaped);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    out
}

impl FromStr for Filter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        let invalid = |what: String| InvalidFilter(what);
        let mut filter = Self::new();
        for word in text.split_whitespace() {
            let (name, values) =
                word.split_once('=').ok_or_else(|| invalid(format!("{word:?} is no condition")))?;
            for value in values.split(',') {
                let wrong = || invalid(format!("{value:?} cannot be a {name}"));
                filter = match name {
                    "db" => filter.databases([value.parse().map_err(|_| wrong())?]),
                    "prefix" => filter.prefixes([unescape(value)]),
                    "pattern" => filter.patterns([unescape(value)]),
                    "type" => filter.kinds([kind_of(value).ok_or_else(wrong)?]),
                    "slot" => {
                        let (first, last) = value.split_once('-').unwrap_or((value, value));
                        let slot = |text: &str| text.parse().ok().filter(|slot| *slot < 16384);
                        let range = slot(first).zip(slot(last)).filter(|(first, last)| first <= last);
                        let (first, last) = range.ok_or_else(wrong)?;
                        filter.slots([first..=last])
                    }
                    "shard" if !value.is_empty() => filter.shards([value]),
                    "command" => filter.commands([value]),
                    "block" => filter.block_commands([value]),
                    _ => return Err(invalid(format!("{name:?} is no condition"))),
                };
            }
        }
        Ok(filter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_can_be_written_down_and_read_again() {
        let text = "db=0,3 prefix=user:,a%2cb%20c pattern=*x? type=list,hash slot=0-5460 shard=07c3,[::1]:7 command=set block=del";
        let filter: Filter = text.parse().unwrap();
        assert_eq!(filter.to_string(), text);
        assert!(filter.prefixes.contains(&b"a,b c".to_vec()));
        assert!("".parse::<Filter>().unwrap().is_empty());
        for wrong in ["db=x", "type=tree", "slot=9-3", "slot=16384", "colour=red", "db"] {
            assert!(wrong.parse::<Filter>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_sort_of_condition_must_hold() {
        let filter = Filter::new().databases([1]).prefixes(["user:"]).patterns(["*:name"]);
        assert!(filter.keeps_key(1, b"user:7") && filter.keeps_key(1, b"app:name"));
        assert!(!filter.keeps_key(0, b"user:7") && !filter.keeps_key(1, b"app:7"));
        // The slots of the reference.
        assert_eq!((slot(b"a"), slot(b"b"), slot(b"x{b}y"), slot(b"{}b")), (15495, 3300, 3300, slot(b"{}b")));
    }
}
