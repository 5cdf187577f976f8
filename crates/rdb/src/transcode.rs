//! From the decoder straight to the encoder: a dump in another version, or as RESTORE commands.

use crate::commands::command;
use crate::encode::{EncodeError, EncodeOptions, Encoder, KeyMeta, ListNode};
use crate::encoding::{Listpack, ListpackBuf};
use crate::version::Version;
use crate::visitor::{EntryMeta, Kind, Part, Reject, StreamId, StreamIdmp, StreamMeta, Visitor, Want};

/// Writes what it is told as a dump of another version. Holds one value at a time.
///
/// Packed blobs stay as they are where the version's readers know them. Idempotent producers are dropped
/// where the version has none.
///
/// ```
/// use rdb::{Decoder, EncodeOptions, Transcoder, Version};
///
/// let mut to = Transcoder::new(Version::REDIS_11, EncodeOptions::default().without_checksum())?;
/// Decoder::default().feed(b"REDIS0003\xFE\0\0\x01k\x02hi\xFF", &mut to)?;
/// assert_eq!(to.finish(), b"REDIS0011\xFE\0\0\x01k\x02hi\xFF\0\0\0\0\0\0\0\0");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Transcoder {
    to: Encoder,
    key: Vec<u8>,
    meta: KeyMeta,
    kind: Kind,
    value: Value,
    refused: Option<EncodeError>,
}

/// A value at hand, in whatever pieces it came.
#[derive(Debug, Default)]
struct Value {
    bytes: Vec<u8>,
    elements: Vec<Vec<u8>>,
    members: Vec<(Vec<u8>, f64)>,
    fields: Vec<(Vec<u8>, Vec<u8>, Option<i64>)>,
    blob: Option<(Blob, Vec<u8>)>,
    nodes: Vec<(bool, Vec<u8>)>,
    stream_nodes: Vec<(StreamId, Vec<u8>)>,
    figures: StreamMeta,
    groups: Vec<Group>,
    idmp: Option<StreamIdmp>,
    producers: Vec<Producer>,
}

#[derive(Debug, Default)]
struct Producer {
    name: Vec<u8>,
    iids: Vec<(Vec<u8>, StreamId)>,
}

#[derive(Debug, Clone, Copy)]
enum Blob {
    Listpack,
    ListpackEx,
    Intset,
}

#[derive(Debug, Default)]
struct Group {
    name: Vec<u8>,
    last_id: StreamId,
    entries_read: Option<u64>,
    pending: Vec<(StreamId, i64, u64)>,
    consumers: Vec<Consumer>,
}

#[derive(Debug, Default)]
struct Consumer {
    name: Vec<u8>,
    seen_ms: i64,
    active_ms: Option<i64>,
    owned: Vec<StreamId>,
}

impl Transcoder {
    /// Begins a dump of this version.
    ///
    /// # Errors
    /// [`EncodeError::Version`].
    pub fn new(version: Version, options: EncodeOptions) -> Result<Self, EncodeError> {
        Ok(Self {
            to: Encoder::new(version, options)?,
            key: Vec::new(),
            meta: KeyMeta::default(),
            kind: Kind::String,
            value: Value::default(),
            refused: None,
        })
    }

    /// Takes the bytes written since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        self.to.take()
    }

    /// Ends the dump: the bytes written since the last [`take`](Self::take).
    pub fn finish(self) -> Vec<u8> {
        self.to.finish()
    }

    /// Why the decoder was refused.
    pub fn refused(&self) -> Option<EncodeError> {
        self.refused
    }

    fn refuse(&mut self, error: EncodeError) -> Reject {
        self.refused = Some(error);
        Reject("the version to be written cannot say this")
    }
}

impl Visitor for Transcoder {
    fn aux(&mut self, name: &[u8], value: &[u8]) {
        self.to.aux(name, value);
    }

    fn select_db(&mut self, db: u64) {
        self.to.select_db(db);
    }

    fn resize_db(&mut self, keys: u64, expires: u64) {
        self.to.resize_db(keys, expires);
    }

    fn function(&mut self, code: &[u8]) -> Result<(), Reject> {
        self.to.function(code).map_err(|error| self.refuse(error))
    }

    fn module_aux(&mut self, bytes: &[u8]) {
        self.to.module_aux(bytes);
    }

    fn entry(&mut self, key: &[u8], meta: &EntryMeta) -> Result<Want, Reject> {
        if matches!(meta.kind, Kind::Array | Kind::Gcra) {
            return Err(self.refuse(EncodeError::Kind));
        }
        self.key.clear();
        self.key.extend_from_slice(key);
        self.meta = meta.into();
        self.kind = meta.kind;
        self.value = Value::default();
        Ok(Want::Packed)
    }

    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        self.value.take(&part, self.kind)
    }

    fn entry_end(&mut self) -> Result<(), Reject> {
        let value = std::mem::take(&mut self.value);
        let entry = self.to.entry(&self.key, self.meta);
        value.put(self.kind, entry).map_err(|error| self.refuse(error))
    }
}

impl Value {
    fn take(&mut self, part: &Part<'_>, kind: Kind) -> Result<(), Reject> {
        let group = self.groups.last_mut();
        match *part {
            Part::String { bytes, .. } | Part::Module { bytes, .. } => self.bytes.extend_from_slice(bytes),
            Part::Element(element) => self.elements.push(element.to_vec()),
            Part::Member { member, score } => self.members.push((member.to_vec(), score)),
            Part::Field { field, value, expire_ms } => {
                self.fields.push((field.to_vec(), value.to_vec(), expire_ms));
            }
            Part::Listpack(list) if kind == Kind::List => self.nodes.push((false, list.as_bytes().to_vec())),
            Part::PlainNode(element) => self.nodes.push((true, element.to_vec())),
            Part::Listpack(list) => self.blob = Some((Blob::Listpack, list.as_bytes().to_vec())),
            Part::ListpackEx(list) => self.blob = Some((Blob::ListpackEx, list.as_bytes().to_vec())),
            Part::Intset(set) => self.blob = Some((Blob::Intset, set.as_bytes().to_vec())),
            // The same items in the newer form; the encoder takes it apart again for readers that do not know it.
            Part::Ziplist(list) => {
                let mut packed = ListpackBuf::with_capacity(list.as_bytes().len());
                if list.iter().try_for_each(|item| packed.push_item(item)).is_err() {
                    return Err(Reject("a ziplist too large to become a listpack"));
                }
                match kind {
                    Kind::List => self.nodes.push((false, packed.into_bytes())),
                    _ => self.blob = Some((Blob::Listpack, packed.into_bytes())),
                }
            }
            Part::Zipmap(map) => {
                self.fields.extend(map.iter().map(|(field, value)| (field.to_vec(), value.to_vec(), None)));
            }
            Part::StreamNode { id, listpack } => self.stream_nodes.push((id, listpack.as_bytes().to_vec())),
            Part::StreamMeta(figures) => self.figures = figures,
            Part::StreamIdmp(idmp) => self.idmp = Some(idmp),
            Part::StreamIid { producer, iid, id } => {
                if self.producers.last().is_none_or(|last| last.name != producer) {
                    self.producers.push(Producer { name: producer.to_vec(), iids: Vec::new() });
                }
                if let Some(last) = self.producers.last_mut() {
                    last.iids.push((iid.to_vec(), id));
                }
            }
            Part::Group { name, last_id, entries_read } => {
                self.groups.push(Group { name: name.to_vec(), last_id, entries_read, ..Group::default() });
            }
            Part::Pending { id, delivery_ms, count } => {
                group.into_iter().for_each(|group| group.pending.push((id, delivery_ms, count)));
            }
            Part::Consumer { name, seen_ms, active_ms } => {
                let consumer = Consumer { name: name.to_vec(), seen_ms, active_ms, owned: Vec::new() };
                if let Some(group) = group {
                    group.consumers.push(consumer);
                }
            }
            Part::ConsumerPending(id) => {
                group.and_then(|group| group.consumers.last_mut()).into_iter().for_each(|c| c.owned.push(id));
            }
            _ => {}
        }
        Ok(())
    }

    fn put(self, kind: Kind, to: crate::ValueEncoder<'_>) -> Result<(), EncodeError> {
        // The blobs come from the decoder, which has checked them.
        let elements = || self.elements.iter().map(Vec::as_slice);
        match (kind, &self.blob) {
            (Kind::String, _) => to.string(&self.bytes),
            (Kind::Module, _) => to.module(&self.bytes),
            (Kind::List, _) if self.nodes.is_empty() => to.list_elements(self.elements.len(), elements()),
            (Kind::List, _) => to.list(self.nodes.iter().map(|(plain, bytes)| match plain {
                true => ListNode::Plain(bytes),
                false => ListNode::Packed(Listpack::trusted(bytes)),
            })),
            (Kind::Set, Some((Blob::Intset, set))) => to.set_intset(crate::encoding::Intset::trusted(set)),
            (Kind::Set, Some((_, list))) => to.set_listpack(Listpack::trusted(list)),
            (Kind::Set, None) => to.set(self.elements.len(), elements()),
            (Kind::Zset, Some((_, list))) => to.zset_listpack(Listpack::trusted(list)),
            (Kind::Zset, None) => {
                to.zset(
                    self.members.len(),
                    self.members.iter().map(|(member, score)| (member.as_slice(), *score)),
                );
            }
            (Kind::Hash, Some((Blob::ListpackEx, list))) => to.hash_listpack_ex(Listpack::trusted(list))?,
            (Kind::Hash, Some((_, list))) => to.hash_listpack(Listpack::trusted(list)),
            (Kind::Hash, None) => to.hash_fields(
                self.fields.len(),
                self.fields.iter().map(|(field, value, ms)| (field.as_slice(), value.as_slice(), *ms)),
            )?,
            (Kind::Stream, _) => self.put_stream(to),
            (Kind::Array | Kind::Gcra, _) => return Err(EncodeError::Kind),
        }
        Ok(())
    }

    fn put_stream(&self, to: crate::ValueEncoder<'_>) {
        let mut to = to.stream(self.stream_nodes.len());
        for (id, node) in &self.stream_nodes {
            to.node(*id, Listpack::trusted(node));
        }
        to.figures(&self.figures, self.groups.len());
        for group in &self.groups {
            to.group(&group.name, group.last_id, group.entries_read, group.pending.len());
            for (id, delivery_ms, count) in &group.pending {
                to.pending(*id, *delivery_ms, *count);
            }
            to.consumers(group.consumers.len());
            for consumer in &group.consumers {
                to.consumer(&consumer.name, consumer.seen_ms, consumer.active_ms, consumer.owned.len());
                consumer.owned.iter().for_each(|id| to.owned(*id));
            }
        }
        let idmp = self.idmp.unwrap_or(StreamIdmp::of_none());
        if to.producers(&idmp, self.producers.len()).is_err() {
            return;
        }
        for producer in &self.producers {
            to.producer(&producer.name, producer.iids.len());
            producer.iids.iter().for_each(|(iid, id)| to.iid(iid, *id));
        }
        to.counters(&idmp);
    }
}

/// Writes a dump as RESTORE commands (RESP, as `redis-cli --pipe` takes them), with values in the form of a version
/// that the server reads: nothing is lost, but for what that version cannot say. Holds one value at a time.
///
/// ```
/// use rdb::{Decoder, Restores, Version};
///
/// let mut commands = Restores::new(Version::REDIS_11)?;
/// Decoder::default().feed(b"REDIS0003\xFE\0\0\x01k\x02hi\xFF", &mut commands)?;
/// let begin = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*5\r\n$7\r\nRESTORE\r\n$1\r\nk\r\n$1\r\n0\r\n$14\r\n\0\x02hi\x0B\0";
/// assert!(commands.take().starts_with(begin));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Restores {
    version: Version,
    replace: bool,
    out: Vec<u8>,
    selected: Option<u64>,
    key: Vec<u8>,
    meta: KeyMeta,
    kind: Kind,
    value: Value,
    refused: Option<EncodeError>,
}

impl Restores {
    /// Commands for servers that read values of this version.
    ///
    /// # Errors
    /// [`EncodeError::Version`].
    pub fn new(version: Version) -> Result<Self, EncodeError> {
        crate::encode::check_version(version)?;
        Ok(Self {
            version,
            replace: false,
            out: Vec::new(),
            selected: None,
            key: Vec::new(),
            meta: KeyMeta::default(),
            kind: Kind::String,
            value: Value::default(),
            refused: None,
        })
    }

    /// Takes the place of keys, and function libraries, of the same name.
    pub fn replacing(mut self) -> Self {
        self.replace = true;
        self
    }

    /// Takes the bytes written since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Why the decoder was refused.
    pub fn refused(&self) -> Option<EncodeError> {
        self.refused
    }

    fn refuse(&mut self, error: EncodeError) -> Reject {
        self.refused = Some(error);
        Reject("the version to be written cannot say this")
    }
}

impl Visitor for Restores {
    fn function(&mut self, code: &[u8]) -> Result<(), Reject> {
        if self.version.number < 10 {
            return Err(self.refuse(EncodeError::Functions(self.version)));
        }
        if self.replace {
            command(&mut self.out, &[b"FUNCTION", b"LOAD", b"REPLACE", code]);
        } else {
            command(&mut self.out, &[b"FUNCTION", b"LOAD", code]);
        }
        Ok(())
    }

    fn entry(&mut self, key: &[u8], meta: &EntryMeta) -> Result<Want, Reject> {
        if matches!(meta.kind, Kind::Array | Kind::Gcra) {
            return Err(self.refuse(EncodeError::Kind));
        }
        if self.selected != Some(meta.db) {
            command(&mut self.out, &[b"SELECT", meta.db.to_string().as_bytes()]);
            self.selected = Some(meta.db);
        }
        self.key.clear();
        self.key.extend_from_slice(key);
        self.meta = meta.into();
        self.kind = meta.kind;
        self.value = Value::default();
        Ok(Want::Packed)
    }

    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        self.value.take(&part, self.kind)
    }

    fn entry_end(&mut self) -> Result<(), Reject> {
        let value = std::mem::take(&mut self.value);
        let payload = crate::payload::encode(self.version, |to| value.put(self.kind, to));
        let payload = payload.map_err(|error| self.refuse(error))?;
        // 0 is no expiry at all.
        let expire = self.meta.expire_ms.map_or(0, |ms| ms.max(1)).to_string();
        let mut args: Vec<&[u8]> = vec![b"RESTORE", &self.key, expire.as_bytes(), &payload, b"ABSTTL"];
        if self.replace {
            args.push(b"REPLACE");
        }
        let (idle, freq) =
            (self.meta.idle_seconds.map(|n| n.to_string()), self.meta.freq.map(|n| n.to_string()));
        if let Some(idle) = &idle {
            args.extend([&b"IDLETIME"[..], idle.as_bytes()]);
        } else if let Some(freq) = &freq {
            args.extend([&b"FREQ"[..], freq.as_bytes()]);
        }
        command(&mut self.out, &args);
        Ok(())
    }
}
