//! What a key's value comes to, whatever its encoding, and in whatever order its elements are.

use ::rdb::{EntryMeta, Kind, Part, Reject, StreamId, StreamIdmp, Visitor, Want, library_name};
use sha2::{Digest as _, Sha256};

/// A key, or a function library.
#[derive(Debug)]
pub struct Found<'a> {
    /// `None`: a library.
    pub db: Option<u64>,
    pub key: &'a [u8],
    /// Of database and key.
    pub name: u128,
    pub value: Value,
}

/// A value's digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    kind: Option<Kind>,
    expire_ms: Option<i64>,
    contents: u128,
    /// Of the expiry of fields; few keys have any.
    fields: u64,
    bookkeeping: u64,
}

impl Value {
    /// What differs first.
    pub fn difference(&self, other: &Self, ignore_bookkeeping: bool) -> Option<&'static str> {
        match () {
            () if self.kind != other.kind => Some("type"),
            () if self.contents != other.contents => Some("value"),
            () if self.expire_ms != other.expire_ms => Some("expiry"),
            () if self.fields != other.fields => Some("field-expiry"),
            () if !ignore_bookkeeping && self.bookkeeping != other.bookkeeping => Some("bookkeeping"),
            () => None,
        }
    }
}

/// A visitor that tells of each key.
pub struct Digests<F> {
    tell: F,
    /// Whether values are looked at.
    values: bool,
    key: Vec<u8>,
    db: u64,
    value: Value,
    /// Strings and lists: their bytes in order.
    running: Sha256,
    /// The others: the sum of their elements.
    sum: u128,
    group: Vec<u8>,
    consumer: Vec<u8>,
}

impl<F: FnMut(Found<'_>) -> Result<(), Reject>> Digests<F> {
    /// Tells of each key with its value's digest.
    pub fn new(tell: F) -> Self {
        Self {
            tell,
            values: true,
            key: Vec::new(),
            db: 0,
            value: Value { kind: None, expire_ms: None, contents: 0, fields: 0, bookkeeping: 0 },
            running: Sha256::new(),
            sum: 0,
            group: Vec::new(),
            consumer: Vec::new(),
        }
    }

    /// Tells of each key without looking at its value.
    pub fn names(tell: F) -> Self {
        Self { values: false, ..Self::new(tell) }
    }

    fn append(&mut self, bytes: &[u8]) {
        self.running.update((bytes.len() as u64).to_le_bytes());
        self.running.update(bytes);
    }

    fn add(&mut self, parts: &[&[u8]]) {
        self.sum = self.sum.wrapping_add(digest(parts));
    }

    fn note(&mut self, parts: &[&[u8]]) {
        let [low, ..] = halves(digest(parts));
        self.value.bookkeeping = self.value.bookkeeping.wrapping_add(low);
    }

    fn note_producers(&mut self, idmp: &StreamIdmp) {
        let StreamIdmp { duration_seconds, max_entries, iids_added, duplicates, .. } = *idmp;
        let numbers = [duration_seconds, max_entries, iids_added, duplicates].map(u64::to_le_bytes);
        self.note(&[b"idmp", numbers.as_flattened()]);
    }
}

/// Of several byte strings, so that no two sequences of them are alike.
fn digest(parts: &[&[u8]]) -> u128 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    first(hasher)
}

fn first(hasher: Sha256) -> u128 {
    let digest = hasher.finalize();
    digest.iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

fn halves(digest: u128) -> [u64; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    [digest as u64, (digest >> 64) as u64]
}

fn bytes(id: StreamId) -> [u8; 16] {
    let mut both = [0; 16];
    both[..8].copy_from_slice(&id.ms.to_le_bytes());
    both[8..].copy_from_slice(&id.seq.to_le_bytes());
    both
}

impl<F: FnMut(Found<'_>) -> Result<(), Reject>> Visitor for Digests<F> {
    fn function(&mut self, code: &[u8]) -> Result<(), Reject> {
        let (key, contents) = (library_name(code), digest(&[code]));
        let value = Value { kind: None, expire_ms: None, contents, fields: 0, bookkeeping: 0 };
        (self.tell)(Found { db: None, key, name: digest(&[b"function", key]), value })
    }

    fn entry(&mut self, key: &[u8], meta: &EntryMeta) -> Result<Want, Reject> {
        if !self.values {
            let value = Value { kind: None, expire_ms: None, contents: 0, fields: 0, bookkeeping: 0 };
            let name = digest(&[&meta.db.to_le_bytes(), key]);
            (self.tell)(Found { db: Some(meta.db), key, name, value })?;
            return Ok(Want::Skip);
        }
        self.key.clear();
        self.key.extend_from_slice(key);
        self.db = meta.db;
        let kind = Some(meta.kind);
        self.value = Value { kind, expire_ms: meta.expire_ms, contents: 0, fields: 0, bookkeeping: 0 };
        self.sum = 0;
        Ok(Want::Elements)
    }

    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        match part {
            Part::String { bytes, .. } | Part::Module { bytes, .. } => self.running.update(bytes),
            Part::Element(element) if self.value.kind == Some(Kind::List) => self.append(element),
            Part::Element(element) => self.add(&[element]),
            Part::Slot { index, value } => self.add(&[&index.to_le_bytes(), value]),
            Part::Member { member, score } => self.add(&[member, &score.to_le_bytes()]),
            Part::Field { field, value, expire_ms } => {
                self.add(&[field, value]);
                if let Some(ms) = expire_ms {
                    let [low, ..] = halves(digest(&[field, &ms.to_le_bytes()]));
                    self.value.fields = self.value.fields.wrapping_add(low);
                }
            }
            Part::StreamEntry { id, fields } => {
                self.append(&bytes(id));
                self.running.update((fields.len() as u64).to_le_bytes());
                fields.iter().for_each(|field| self.append(field));
            }
            Part::StreamMeta(meta) => {
                self.add(&[b"last", &bytes(meta.last_id)]);
                let added = meta.entries_added.to_le_bytes();
                self.note(&[b"figures", &bytes(meta.max_deleted_id), &added]);
            }
            Part::Group { name, last_id, entries_read } => {
                self.group.clear();
                self.group.extend_from_slice(name);
                self.add(&[b"group", name, &bytes(last_id)]);
                if let Some(read) = entries_read {
                    self.note(&[b"read", name, &read.to_le_bytes()]);
                }
            }
            Part::Pending { id, delivery_ms, count } => {
                let group = std::mem::take(&mut self.group);
                let (time, count) = (delivery_ms.to_le_bytes(), count.to_le_bytes());
                self.add(&[b"pending", &group, &bytes(id), &time, &count]);
                self.group = group;
            }
            Part::Consumer { name, seen_ms, active_ms } => {
                self.consumer.clear();
                self.consumer.extend_from_slice(name);
                let group = std::mem::take(&mut self.group);
                self.add(&[b"consumer", &group, name]);
                let active = active_ms.unwrap_or(-1).to_le_bytes();
                self.note(&[b"seen", &group, name, &seen_ms.to_le_bytes(), &active]);
                self.group = group;
            }
            Part::ConsumerPending(id) => {
                let (group, consumer) = (std::mem::take(&mut self.group), std::mem::take(&mut self.consumer));
                self.add(&[b"owned", &group, &consumer, &bytes(id)]);
                (self.group, self.consumer) = (group, consumer);
            }
            // Where there are none, older versions say nothing of them.
            Part::StreamIdmp(idmp) if idmp != StreamIdmp::of_none() => self.note_producers(&idmp),
            Part::StreamIid { producer, iid, id } => self.note(&[b"iid", producer, iid, &bytes(id)]),
            _ => {}
        }
        Ok(())
    }

    fn entry_end(&mut self) -> Result<(), Reject> {
        let ordered = first(std::mem::take(&mut self.running));
        self.value.contents = ordered.wrapping_add(self.sum);
        let name = digest(&[&self.db.to_le_bytes(), &self.key]);
        (self.tell)(Found { db: Some(self.db), key: &self.key, name, value: self.value })
    }
}
