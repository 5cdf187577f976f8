//! A value, in the form that its version's readers know.

use super::bytes::Bytes;
use super::{EncodeError, StreamEncoder};
use crate::decode::FIELD_EXPIRY_MAX;
use crate::encoding::{Intset, Item, Listpack};
use crate::version::{Flavour, Version};
use crate::visitor::{StreamIdmp, StreamMeta};

/// A node of a list.
#[derive(Debug, Clone, Copy)]
pub enum ListNode<'a> {
    /// Some elements.
    Packed(Listpack<'a>),
    /// One element, too large to be packed.
    Plain(&'a [u8]),
}

/// Writes one value: exactly one of its methods is to be called.
#[derive(Debug)]
#[must_use = "a key without a value corrupts the dump"]
pub struct ValueEncoder<'e> {
    version: Version,
    out: &'e mut Bytes,
    /// Stands between the type and the value; a DUMP payload has none.
    key: Option<&'e [u8]>,
}

impl<'e> ValueEncoder<'e> {
    pub(crate) fn new(version: Version, out: &'e mut Bytes, key: Option<&'e [u8]>) -> Self {
        Self { version, out, key }
    }

    /// The version being written.
    pub fn version(&self) -> Version {
        self.version
    }

    fn head(&mut self, type_byte: u8) {
        self.out.u8(type_byte);
        if let Some(key) = self.key {
            self.out.string(key);
        }
    }

    fn head_len(&mut self, type_byte: u8, len: usize) {
        self.head(type_byte);
        self.out.len(len as u64);
    }

    /// A string.
    pub fn string(mut self, value: &[u8]) {
        self.head(0);
        self.out.string(value);
    }

    /// A list by nodes. Version 9 gets it element by element.
    pub fn list<'a, I>(mut self, nodes: I)
    where
        I: IntoIterator<Item = ListNode<'a>, IntoIter: Clone>,
    {
        let nodes = nodes.into_iter();
        if self.version.number >= 10 {
            self.head_len(18, nodes.clone().count());
            for node in nodes {
                let (container, bytes) = match node {
                    ListNode::Plain(element) => (1, element),
                    ListNode::Packed(list) => (2, list.as_bytes()),
                };
                self.out.len(container);
                self.out.string(bytes);
            }
            return;
        }
        let elements = nodes.clone().map(|node| match node {
            ListNode::Plain(_) => 1,
            ListNode::Packed(list) => list.len(),
        });
        self.head_len(1, elements.sum());
        for node in nodes {
            match node {
                ListNode::Plain(element) => self.out.string(element),
                ListNode::Packed(list) => list.iter().for_each(|item| self.out.item(item)),
            }
        }
    }

    /// A list element by element: `len` of them.
    pub fn list_elements<'a>(self, len: usize, elements: impl IntoIterator<Item = &'a [u8]>) {
        self.elements(1, len, elements);
    }

    /// A set element by element: `len` of them, no two equal.
    pub fn set<'a>(self, len: usize, elements: impl IntoIterator<Item = &'a [u8]>) {
        self.elements(2, len, elements);
    }

    fn elements<'a>(mut self, byte: u8, len: usize, elements: impl IntoIterator<Item = &'a [u8]>) {
        self.head_len(byte, len);
        for element in elements {
            self.out.string(element);
        }
    }

    /// A set of integers.
    pub fn set_intset(mut self, set: Intset<'_>) {
        self.head(11);
        self.out.string(set.as_bytes());
    }

    /// A small set. Versions before 11 get it element by element.
    pub fn set_listpack(mut self, list: Listpack<'_>) {
        if self.version.number >= 11 {
            self.blob(20, list);
        } else {
            self.head_len(2, list.len());
            list.iter().for_each(|item| self.out.item(item));
        }
    }

    /// A sorted set member by member: `len` of them, no two equal, no score NaN.
    pub fn zset<'a>(mut self, len: usize, members: impl IntoIterator<Item = (&'a [u8], f64)>) {
        self.head_len(5, len);
        for (member, score) in members {
            self.out.string(member);
            self.out.raw(&score.to_le_bytes());
        }
    }

    /// A small sorted set: member, score, ..., ascending. Version 9 gets it member by member.
    pub fn zset_listpack(mut self, list: Listpack<'_>) {
        if self.version.number >= 10 {
            return self.blob(17, list);
        }
        self.head_len(5, list.len() / 2);
        let mut items = list.iter();
        while let (Some(member), Some(score)) = (items.next(), items.next()) {
            self.out.item(member);
            self.out.raw(&score_of(score).to_le_bytes());
        }
    }

    /// A hash field by field: `len` of them, no two equal.
    pub fn hash<'a>(mut self, len: usize, fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) {
        self.head_len(4, len);
        for (field, value) in fields {
            self.out.string(field);
            self.out.string(value);
        }
    }

    /// A small hash: field, value, ... Version 9 gets it field by field.
    pub fn hash_listpack(mut self, list: Listpack<'_>) {
        if self.version.number >= 10 {
            return self.blob(16, list);
        }
        self.head_len(4, list.len() / 2);
        list.iter().for_each(|item| self.out.item(item));
    }

    /// A hash whose fields may expire: field, value, Unix milliseconds.
    ///
    /// # Errors
    /// [`EncodeError::FieldExpiry`] if one does and the version cannot say so or not say that time. Nothing is written then but what
    /// [`Encoder::entry`](crate::Encoder::entry) wrote: the dump is to be given up.
    pub fn hash_fields<'a, I>(mut self, len: usize, fields: I) -> Result<(), EncodeError>
    where
        I: IntoIterator<Item = (&'a [u8], &'a [u8], Option<i64>), IntoIter: Clone>,
    {
        let fields = fields.into_iter();
        let Some(earliest) = fields.clone().filter_map(|(_, _, expire_ms)| expire_ms).min() else {
            self.hash(len, fields.map(|(field, value, _)| (field, value)));
            return Ok(());
        };
        let latest = fields.clone().filter_map(|(_, _, expire_ms)| expire_ms).max().unwrap_or(earliest);
        match (self.version.flavour, self.version.number) {
            _ if earliest < 0 => return Err(EncodeError::FieldExpiry(self.version)),
            // Redis keeps these times in 48 bits; Valkey does not, so a value of its may be out of range.
            (Flavour::Redis, 12..) if latest <= FIELD_EXPIRY_MAX => {
                self.head(24);
                self.out.raw(&earliest.to_le_bytes());
                self.out.len(len as u64);
                for (field, value, expire_ms) in fields {
                    self.out.len(expire_ms.map_or(0, |ms| ms.abs_diff(earliest).saturating_add(1)));
                    self.out.string(field);
                    self.out.string(value);
                }
            }
            (Flavour::Valkey, _) => {
                self.head_len(22, len);
                for (field, value, expire_ms) in fields {
                    self.out.string(field);
                    self.out.string(value);
                    self.out.raw(&expire_ms.unwrap_or(-1).to_le_bytes());
                }
            }
            _ => return Err(EncodeError::FieldExpiry(self.version)),
        }
        Ok(())
    }

    /// A small hash whose fields may expire: triples of field, value, and Unix milliseconds or 0, in that order of
    /// expiry with the zeros last. Versions other than Redis 12 get it field by field.
    ///
    /// # Errors
    /// As [`hash_fields`](Self::hash_fields).
    pub fn hash_listpack_ex(mut self, list: Listpack<'_>) -> Result<(), EncodeError> {
        let triples = || {
            let mut items = list.iter();
            std::iter::from_fn(move || {
                let (field, value) = (items.next()?, items.next()?);
                Some((field, value, items.next()?.as_int().filter(|ms| *ms > 0)))
            })
        };
        let earliest = triples().filter_map(|(_, _, expire_ms)| expire_ms).min();
        match (self.version.flavour, self.version.number, earliest) {
            (Flavour::Redis, 12.., _) => {
                self.head(25);
                self.out.raw(&earliest.unwrap_or(0).to_le_bytes());
                self.out.string(list.as_bytes());
            }
            (_, _, None) => {
                self.head_len(4, list.len() / 3);
                for (field, value, _) in triples() {
                    self.out.item(field);
                    self.out.item(value);
                }
            }
            (Flavour::Valkey, _, Some(_)) => {
                self.head_len(22, list.len() / 3);
                for (field, value, expire_ms) in triples() {
                    self.out.item(field);
                    self.out.item(value);
                    self.out.raw(&expire_ms.unwrap_or(-1).to_le_bytes());
                }
            }
            _ => return Err(EncodeError::FieldExpiry(self.version)),
        }
        Ok(())
    }

    /// A stream of so many nodes: they follow, then the figures, then the groups, by calls on what this returns.
    pub fn stream(mut self, nodes: usize) -> StreamEncoder<'e> {
        let byte = match self.version.number {
            ..=9 => 15,
            10 => 19,
            13.. if self.version.flavour == Flavour::Redis => 26,
            _ => 21,
        };
        self.head_len(byte, nodes);
        StreamEncoder::new(byte, self.out)
    }

    /// A stream without groups.
    pub fn stream_without_groups<'a>(
        self,
        nodes: impl ExactSizeIterator<Item = (crate::StreamId, Listpack<'a>)>,
        meta: &StreamMeta,
    ) {
        let mut stream = self.stream(nodes.len());
        for (id, node) in nodes {
            stream.node(id, node);
        }
        stream.figures(meta, 0);
        // None of them: every version can say that.
        let _ = stream.producers(&StreamIdmp::of_none(), 0);
        stream.counters(&StreamIdmp::of_none());
    }

    /// A module's value, from the module id to the terminating 0.
    pub fn module(mut self, bytes: &[u8]) {
        self.head(7);
        self.out.raw(bytes);
    }

    fn blob(&mut self, byte: u8, list: Listpack<'_>) {
        self.head(byte);
        self.out.string(list.as_bytes());
    }
}

fn score_of(item: Item<'_>) -> f64 {
    match item {
        #[expect(clippy::cast_precision_loss, reason = "servers round a score of more than 53 bits likewise")]
        Item::Int(value) => value as f64,
        Item::Str(text) => crate::decode::parse_score(text).unwrap_or_default(),
    }
}
