//! Streams: nodes, figures, consumer groups, idempotent producers (format section 11).
//!
//! ```text
//! Nodes --> Figures --> Groups --> Pending --> Consumers --> Owned --.
//!                         ^  ^                     ^-----------------'
//!                         |  '--- Released <--- (after the last consumer; type 27)
//!                         v
//!                       Settings --> Producers --> Iids --> Counters --> end     (types 26, 27)
//! ```

use super::cursor::{Cursor, Read, corrupt, trim};
use super::{Decoder, State};
use crate::encoding::{Item, Listpack, StreamNode};
use crate::visitor::{Part, StreamId, StreamIdmp, StreamMeta, Visitor, Want};

/// What a type of stream has beyond type 15.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamType {
    /// First id, highest deleted id, entries added, and the groups' entries read (19 and later).
    figures: bool,
    /// When consumers were active (21 and later).
    active: bool,
    /// Idempotent producers (26 and later).
    idmp: bool,
    /// Pending entries that a consumer has released (27).
    released: bool,
}

impl StreamType {
    pub(super) fn of(byte: u8) -> Self {
        Self { figures: byte >= 19, active: byte >= 21, idmp: byte >= 26, released: byte >= 27 }
    }
}

/// A stream of which parts have been handed on.
#[derive(Debug)]
pub(super) struct Stream {
    layout: StreamType,
    want: Want,
    phase: Phase,
    /// Items left in the phase.
    left: u64,
    groups: u64,
    consumers: u64,
    producers: u64,
    last_node: Option<StreamId>,
    /// Ids pending in the group, ascending, and whether a consumer was found that owns them. Every one has arrived
    /// with more bytes than it takes here.
    pending: Vec<(StreamId, bool)>,
    ascending: bool,
    producer: Vec<u8>,
    idmp: StreamIdmp,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Start,
    Nodes,
    Figures,
    Groups,
    Pending,
    Consumers,
    Owned,
    Released,
    Settings,
    Producers,
    Iids,
    Counters,
}

impl Stream {
    pub(super) fn new(layout: StreamType, want: Want) -> Self {
        Self {
            layout,
            want,
            phase: Phase::Start,
            left: 0,
            groups: 0,
            consumers: 0,
            producers: 0,
            last_node: None,
            pending: Vec::new(),
            ascending: true,
            producer: Vec::new(),
            idmp: StreamIdmp::default(),
        }
    }

    fn wanted(&self) -> bool {
        self.want != Want::Skip
    }

    fn enter(&mut self, phase: Phase, left: u64) {
        self.phase = phase;
        self.left = left;
    }

    /// Sorts the pending ids if they did not come in order, and finds doubles.
    fn settle_pending(&mut self) -> Read<()> {
        if !self.ascending {
            self.pending.sort_unstable_by_key(|(id, _)| *id);
        }
        if self.pending.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a == b)) {
            return corrupt("a group has a pending entry twice");
        }
        Ok(())
    }

    fn own(&mut self, id: StreamId) -> Read<()> {
        let found = self.pending.binary_search_by_key(&id, |(id, _)| *id).ok();
        match found.and_then(|index| self.pending.get_mut(index)) {
            Some((_, owned @ false)) => *owned = true,
            Some(_) => return corrupt("a pending entry has two consumers"),
            None => return corrupt("a consumer's entry is not pending in its group"),
        }
        Ok(())
    }
}

impl Decoder {
    pub(super) fn stream<V: Visitor + ?Sized>(&mut self, cur: &mut Cursor<'_>, visitor: &mut V) -> Read<()> {
        let State::Stream(stream) = &mut self.state else { return Ok(()) };
        let text = &mut self.first;
        loop {
            let wanted = stream.wanted();
            match stream.phase {
                Phase::Start => {
                    let nodes = cur.len()?;
                    stream.enter(Phase::Nodes, nodes);
                }
                Phase::Nodes if stream.left == 0 => stream.enter(Phase::Figures, 0),
                Phase::Nodes if !wanted => {
                    // Key and listpack, two strings of which nothing need be kept.
                    cur.str()?;
                    let body = cur.head()?.body();
                    stream.left -= 1;
                    stream.last_node = Some(StreamId::default());
                    let passed = cur.up_to(body).len() as u64;
                    if passed < body {
                        cur.commit();
                        self.skip = body - passed;
                        return Ok(());
                    }
                }
                Phase::Nodes => {
                    let (key, blob) = (cur.str()?, cur.str()?);
                    let Ok(&key) = <&[u8; 16]>::try_from(text.of(key)?) else {
                        return corrupt("a stream node's id does not have 16 bytes");
                    };
                    let id = raw_id(key);
                    if stream.last_node.is_some_and(|last| last >= id) {
                        return corrupt("stream nodes do not ascend");
                    }
                    node(id, text.of(blob)?, stream.want, visitor)?;
                    stream.last_node = Some(id);
                    stream.left -= 1;
                }
                Phase::Figures => {
                    let length = cur.len()?;
                    let last_id = read_id(cur)?;
                    let mut meta =
                        StreamMeta { length, last_id, entries_added: length, ..Default::default() };
                    if stream.layout.figures {
                        meta.first_id = read_id(cur)?;
                        meta.max_deleted_id = read_id(cur)?;
                        meta.entries_added = cur.len()?;
                    }
                    stream.groups = cur.len()?;
                    if length > 0 && stream.last_node.is_none() {
                        return corrupt("a stream has entries but no node");
                    }
                    if wanted {
                        visitor.part(Part::StreamMeta(meta))?;
                    }
                    stream.enter(Phase::Groups, 0);
                }
                Phase::Groups if stream.groups == 0 => {
                    stream.pending = Vec::new();
                    if !stream.layout.idmp {
                        break;
                    }
                    stream.enter(Phase::Settings, 0);
                }
                Phase::Groups => {
                    let name = cur.str()?;
                    let last_id = read_id(cur)?;
                    let entries_read = match stream.layout.figures {
                        true => Some(cur.len()?).filter(|read| *read != u64::MAX),
                        false => None,
                    };
                    let pending = cur.len()?;
                    if wanted {
                        visitor.part(Part::Group { name: text.of(name)?, last_id, entries_read })?;
                    }
                    stream.groups -= 1;
                    stream.pending.clear();
                    stream.ascending = true;
                    stream.enter(Phase::Pending, pending);
                }
                Phase::Pending if stream.left == 0 => {
                    stream.consumers = cur.len()?;
                    if wanted {
                        stream.settle_pending()?;
                    }
                    stream.enter(Phase::Consumers, 0);
                }
                Phase::Pending => {
                    let id = raw_id(cur.array()?);
                    let delivery_ms = cur.i64()?;
                    let count = cur.len()?;
                    if wanted {
                        stream.ascending &= stream.pending.last().is_none_or(|(last, _)| *last < id);
                        stream.pending.push((id, false));
                        visitor.part(Part::Pending { id, delivery_ms, count })?;
                    }
                    stream.left -= 1;
                }
                Phase::Consumers if stream.consumers == 0 => {
                    let released = if stream.layout.released { cur.len()? } else { 0 };
                    stream.enter(Phase::Released, released);
                }
                Phase::Consumers => {
                    let name = cur.str()?;
                    let seen_ms = cur.i64()?;
                    let active_ms = match stream.layout.active {
                        true => Some(cur.i64()?).filter(|ms| *ms != -1),
                        false => Some(seen_ms),
                    };
                    let owned = cur.len()?;
                    if wanted {
                        visitor.part(Part::Consumer { name: text.of(name)?, seen_ms, active_ms })?;
                    }
                    stream.consumers -= 1;
                    stream.enter(Phase::Owned, owned);
                }
                Phase::Owned if stream.left == 0 => stream.enter(Phase::Consumers, 0),
                Phase::Owned => {
                    let id = raw_id(cur.array()?);
                    if wanted {
                        stream.own(id)?;
                        visitor.part(Part::ConsumerPending(id))?;
                    }
                    stream.left -= 1;
                }
                Phase::Released if stream.left == 0 => stream.enter(Phase::Groups, 0),
                Phase::Released => {
                    let id = raw_id(cur.array()?);
                    if wanted && stream.pending.binary_search_by_key(&id, |(id, _)| *id).is_err() {
                        return corrupt("a released entry is not pending in its group");
                    }
                    stream.left -= 1;
                }
                Phase::Settings => {
                    stream.idmp.duration_seconds = cur.len()?;
                    stream.idmp.max_entries = cur.len()?;
                    stream.producers = cur.len()?;
                    if !(1..=86400).contains(&stream.idmp.duration_seconds)
                        || !(1..=10000).contains(&stream.idmp.max_entries)
                    {
                        return corrupt("settings of idempotent producers are out of range");
                    }
                    stream.enter(Phase::Producers, 0);
                }
                Phase::Producers if stream.producers == 0 => stream.enter(Phase::Counters, 0),
                Phase::Producers => {
                    let name = cur.str()?;
                    let iids = cur.len()?;
                    trim(&mut stream.producer);
                    stream.producer.extend_from_slice(text.of(name)?);
                    stream.producers -= 1;
                    stream.enter(Phase::Iids, iids);
                }
                Phase::Iids if stream.left == 0 => stream.enter(Phase::Producers, 0),
                Phase::Iids => {
                    let iid = cur.str()?;
                    let id = read_id(cur)?;
                    if wanted {
                        let (producer, iid) = (stream.producer.as_slice(), text.of(iid)?);
                        visitor.part(Part::StreamIid { producer, iid, id })?;
                    }
                    stream.left -= 1;
                }
                Phase::Counters => {
                    stream.idmp.iids_added = cur.len()?;
                    stream.idmp.duplicates = cur.len()?;
                    if wanted {
                        visitor.part(Part::StreamIdmp(stream.idmp))?;
                    }
                    break;
                }
            }
            cur.commit();
        }
        cur.commit();
        if stream.wanted() {
            self.finish(visitor)
        } else {
            self.next_record();
            Ok(())
        }
    }
}

/// Checks a node and hands on itself or its live entries.
fn node<V: Visitor + ?Sized>(id: StreamId, blob: &[u8], want: Want, visitor: &mut V) -> Read<()> {
    let listpack = Listpack::new(blob)?;
    if listpack.is_empty() {
        return corrupt("an empty stream node");
    }
    let node = StreamNode::new(id, listpack)?;
    if want == Want::Packed {
        return Ok(visitor.part(Part::StreamNode { id, listpack })?);
    }
    let mut items: Vec<Item<'_>> = Vec::new();
    let mut digits: Vec<[u8; 20]> = Vec::new();
    let mut fields: Vec<&[u8]> = Vec::new();
    for entry in node.iter() {
        items.clear();
        items.extend(entry.fields().flat_map(|(name, value)| [name, value]));
        digits.resize(items.len(), [0; 20]);
        let mut lent = recycle(fields);
        lent.extend(items.iter().zip(&mut digits).map(|(item, digits)| item.to_bytes(digits)));
        visitor.part(Part::StreamEntry { id: entry.id(), fields: &lent })?;
        fields = recycle(lent);
    }
    Ok(())
}

/// The same allocation for references of another lifetime. (An in-place collect: the closure never runs.)
fn recycle<'a>(mut fields: Vec<&[u8]>) -> Vec<&'a [u8]> {
    fields.clear();
    fields.into_iter().map(|_| -> &'a [u8] { &[] }).collect()
}

/// An id as two lengths.
fn read_id(cur: &mut Cursor<'_>) -> Read<StreamId> {
    Ok(StreamId { ms: cur.len()?, seq: cur.len()? })
}

/// An id as 16 bytes, big endian.
fn raw_id(bytes: [u8; 16]) -> StreamId {
    let both = u128::from_be_bytes(bytes);
    let (ms, seq) = ((both >> 64) as u64, both as u64);
    StreamId { ms, seq }
}
