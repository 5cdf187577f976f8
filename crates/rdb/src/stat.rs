//! Figures of a dump: what `replica rdb stat` shows.

use std::collections::BTreeMap;
use std::fmt;

use crate::version::Version;
use crate::visitor::{EntryMeta, Kind, Part, Reject, Visitor, Want};

/// Counts keys by kind, encoding, size and expiry.
///
/// ```
/// use rdb::{Decoder, Kind, stat::Stat};
///
/// let mut stat = Stat::default();
/// Decoder::default().feed(b"REDIS0003\xFE\0\0\x01k\x02hi\xFF", &mut stat)?;
/// assert_eq!((stat.keys(), stat.kind(Kind::String).keys, stat.expiring()), (1, 1, 0));
/// # Ok::<_, rdb::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Stat {
    version: Option<Version>,
    aux: Vec<(Vec<u8>, Vec<u8>)>,
    databases: BTreeMap<u64, u64>,
    kinds: [Figures; Kind::ALL.len()],
    encodings: BTreeMap<(u8, &'static str), Figures>,
    /// Keys by the power of two that their value's size is below.
    sizes: Vec<u64>,
    expiring: u64,
    expiring_fields: u64,
    earliest_expiry: Option<i64>,
    latest_expiry: Option<i64>,
    functions: u64,
    module_aux: u64,
    entry: Entry,
}

/// Figures of a group of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Figures {
    /// Keys.
    pub keys: u64,
    /// Elements, members, fields or entries; 1 for a string.
    pub elements: u64,
    /// Bytes of the keys.
    pub key_bytes: u64,
    /// Bytes of the values' elements as clients see them; packed blobs count as they are.
    pub value_bytes: u64,
    /// Bytes of the largest value.
    pub largest: u64,
}

impl Figures {
    fn add(&mut self, entry: &Entry) {
        self.keys += 1;
        self.elements = self.elements.saturating_add(entry.elements);
        self.key_bytes += entry.key_bytes;
        self.value_bytes = self.value_bytes.saturating_add(entry.bytes);
        self.largest = self.largest.max(entry.bytes);
    }
}

#[derive(Debug)]
struct Entry {
    db: u64,
    kind: Kind,
    type_byte: u8,
    key_bytes: u64,
    elements: u64,
    bytes: u64,
}

impl Default for Entry {
    fn default() -> Self {
        Self { db: 0, kind: Kind::String, type_byte: 0, key_bytes: 0, elements: 0, bytes: 0 }
    }
}

impl Stat {
    /// The dump's version, once its header has been read.
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// The AUX fields in order.
    pub fn aux_fields(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.aux
    }

    /// All keys.
    pub fn keys(&self) -> u64 {
        self.kinds.iter().map(|figures| figures.keys).sum()
    }

    /// Databases that hold keys, and how many.
    pub fn databases(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.databases.iter().map(|(db, keys)| (*db, *keys))
    }

    /// Figures of a kind.
    pub fn kind(&self, kind: Kind) -> Figures {
        Kind::ALL
            .iter()
            .zip(&self.kinds)
            .find(|(k, _)| **k == kind)
            .map_or_else(Figures::default, |(_, f)| *f)
    }

    /// Kinds that occur: name and figures.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, Figures)> + '_ {
        Kind::ALL
            .iter()
            .zip(&self.kinds)
            .filter(|(_, figures)| figures.keys > 0)
            .map(|(kind, f)| (kind.name(), *f))
    }

    /// Encodings that occur: type byte, name and figures.
    pub fn encodings(&self) -> impl Iterator<Item = (u8, &'static str, Figures)> + '_ {
        self.encodings.iter().map(|((byte, name), figures)| (*byte, *name, *figures))
    }

    /// Keys by size of value: how many are below this power of two and not below the one before.
    pub fn sizes(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let bounds = (0_u32..).map(|power| 1_u64.checked_shl(power).unwrap_or(u64::MAX));
        bounds.zip(&self.sizes).filter(|(_, keys)| **keys > 0).map(|(bound, keys)| (bound, *keys))
    }

    /// Keys that expire.
    pub fn expiring(&self) -> u64 {
        self.expiring
    }

    /// Hash fields that expire.
    pub fn expiring_fields(&self) -> u64 {
        self.expiring_fields
    }

    /// Unix milliseconds of the first and last expiry of a key.
    pub fn expiry_range(&self) -> Option<(i64, i64)> {
        self.earliest_expiry.zip(self.latest_expiry)
    }

    /// Function libraries.
    pub fn functions(&self) -> u64 {
        self.functions
    }

    /// Auxiliary records of modules.
    pub fn module_aux_records(&self) -> u64 {
        self.module_aux
    }

    fn count(&mut self, elements: usize, bytes: usize) {
        self.entry.elements = self.entry.elements.saturating_add(elements as u64);
        self.entry.bytes = self.entry.bytes.saturating_add(bytes as u64);
    }
}

impl Visitor for Stat {
    fn header(&mut self, version: Version) {
        self.version = Some(version);
    }

    fn aux(&mut self, name: &[u8], value: &[u8]) {
        self.aux.push((name.to_vec(), value.to_vec()));
    }

    fn function(&mut self, _: &[u8]) -> Result<(), Reject> {
        self.functions += 1;
        Ok(())
    }

    fn module_aux(&mut self, _: &[u8]) {
        self.module_aux += 1;
    }

    fn entry(&mut self, key: &[u8], meta: &EntryMeta) -> Result<Want, Reject> {
        if let Some(ms) = meta.expire_ms {
            self.expiring += 1;
            self.earliest_expiry = Some(self.earliest_expiry.map_or(ms, |earliest| earliest.min(ms)));
            self.latest_expiry = Some(self.latest_expiry.map_or(ms, |latest| latest.max(ms)));
        }
        self.entry = Entry {
            db: meta.db,
            kind: meta.kind,
            type_byte: meta.type_byte,
            key_bytes: key.len() as u64,
            elements: 0,
            bytes: 0,
        };
        Ok(Want::Packed)
    }

    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        match part {
            Part::String { bytes, offset, .. } => self.count(usize::from(offset == 0), bytes.len()),
            Part::Element(bytes) | Part::PlainNode(bytes) => self.count(1, bytes.len()),
            Part::Slot { value, .. } => self.count(1, value.len()),
            Part::Member { member, .. } => self.count(1, member.len().saturating_add(8)),
            Part::Field { field, value, expire_ms } => {
                self.expiring_fields += u64::from(expire_ms.is_some());
                self.count(1, field.len().saturating_add(value.len()));
            }
            Part::Listpack(list) => {
                let pairs = matches!(self.entry.kind, Kind::Hash | Kind::Zset);
                self.count(list.len() / if pairs { 2 } else { 1 }, list.as_bytes().len());
            }
            Part::ListpackEx(list) => {
                let expiring = list.iter().skip(2).step_by(3).filter(|item| item.as_int() != Some(0)).count();
                self.expiring_fields += expiring as u64;
                self.count(list.len() / 3, list.as_bytes().len());
            }
            Part::Ziplist(list) => {
                let pairs = matches!(self.entry.kind, Kind::Hash | Kind::Zset);
                self.count(list.len() / if pairs { 2 } else { 1 }, list.as_bytes().len());
            }
            Part::Intset(set) => self.count(set.len(), set.as_bytes().len()),
            Part::Zipmap(map) => self.count(map.len(), map.as_bytes().len()),
            Part::StreamNode { listpack, .. } => self.count(0, listpack.as_bytes().len()),
            Part::StreamMeta(meta) => self.entry.elements = meta.length,
            Part::Module { bytes, last } => self.count(usize::from(last), bytes.len()),
            _ => {}
        }
        Ok(())
    }

    fn entry_end(&mut self) -> Result<(), Reject> {
        let entry = &self.entry;
        if let Some((_, figures)) =
            Kind::ALL.iter().zip(&mut self.kinds).find(|(kind, _)| **kind == entry.kind)
        {
            figures.add(entry);
        }
        let flavour = self.version.map(|version| version.flavour);
        let encoding = (entry.type_byte, encoding_name(entry.type_byte, flavour));
        self.encodings.entry(encoding).or_default().add(entry);
        *self.databases.entry(entry.db).or_default() += 1;
        let power = u64::BITS.saturating_sub(entry.bytes.leading_zeros()) as usize;
        if self.sizes.len() <= power {
            self.sizes.resize(power + 1, 0);
        }
        if let Some(keys) = self.sizes.get_mut(power) {
            *keys += 1;
        }
        Ok(())
    }
}

/// What the type byte of a value is called (format section 8).
pub fn encoding_name(type_byte: u8, flavour: Option<crate::Flavour>) -> &'static str {
    let valkey = flavour == Some(crate::Flavour::Valkey);
    match type_byte {
        0 => "string",
        1 => "list",
        2 => "set",
        3 => "zset (text scores)",
        4 => "hash",
        5 => "zset",
        6 | 7 => "module",
        9 => "hash zipmap",
        10 => "list ziplist",
        11 => "set intset",
        12 => "zset ziplist",
        13 => "hash ziplist",
        14 => "list quicklist of ziplists",
        15 | 19 | 21 | 26 | 27 => "stream listpacks",
        16 => "hash listpack",
        17 => "zset listpack",
        18 => "list quicklist of listpacks",
        20 => "set listpack",
        22 | 24 if valkey || type_byte == 24 => "hash with field expiry",
        22 => "hash with field expiry (pre-release)",
        23 => "hash listpack with field expiry (pre-release)",
        25 => "hash listpack with field expiry",
        28 => "array",
        29..=32 => "hash by template",
        33 => "gcra",
        _ => "unknown",
    }
}

impl fmt::Display for Stat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(version) = self.version {
            writeln!(f, "{version}")?;
        }
        for (name, value) in &self.aux {
            writeln!(f, "  {}: {}", name.escape_ascii(), value.escape_ascii())?;
        }
        writeln!(f, "{} keys, {} function libraries", self.keys(), self.functions)?;
        for (db, keys) in self.databases() {
            writeln!(f, "  db {db}: {keys}")?;
        }
        let head = ["keys", "elements", "key bytes", "value bytes", "largest"];
        let [keys, elements, key_bytes, value_bytes, largest] = head;
        writeln!(
            f,
            "{:<46}{keys:>12}{elements:>12}{key_bytes:>14}{value_bytes:>14}{largest:>12}",
            "by type"
        )?;
        for (name, figures) in self.kinds() {
            row(f, name, &figures)?;
        }
        writeln!(f, "by encoding")?;
        for (byte, name, figures) in self.encodings() {
            row(f, &format!("{byte} {name}"), &figures)?;
        }
        writeln!(f, "by size of value")?;
        for (bound, keys) in self.sizes() {
            writeln!(f, "  {:<44}{keys:>12}", format!("below {bound} bytes"))?;
        }
        writeln!(f, "expiring\n  {:<44}{:>12}", "keys", self.expiring)?;
        writeln!(f, "  {:<44}{:>12}", "hash fields", self.expiring_fields)?;
        if let Some((first, last)) = self.expiry_range() {
            writeln!(f, "  first at {first}, last at {last} (Unix milliseconds)")?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, figures: &Figures) -> fmt::Result {
    let Figures { keys, elements, key_bytes, value_bytes, largest } = figures;
    writeln!(f, "  {name:<44}{keys:>12}{elements:>12}{key_bytes:>14}{value_bytes:>14}{largest:>12}")
}
