//! A dump as JSON lines, one a key.
//!
//! ```text
//! {"db":0,"key":B64,"type":"string","expire_ms":null,"value":B64}
//! list, set   ["B64",...]
//! zset        [["B64","1.5"],...]                       the score as servers since 7.2 print it
//! hash        [["B64 field","B64 value",null],...]      or Unix milliseconds in place of null
//! stream      {"entries":[["1-1",["B64","B64"]],...],"last_id":"1-1","max_deleted_id":"0-0","entries_added":1,
//!              "groups":[{"name":"B64","last_id":"1-1","entries_read":1,
//!                         "pel":[["1-1","B64 consumer",delivery_ms,count],...],
//!                         "consumers":[{"name":"B64","seen_ms":1,"active_ms":1},...]},...]}
//! module      "B64"                                     the raw value, module id to terminating 0
//! array       [[index,"B64"],...]
//! function    "B64"                                     db is -1, key the library's name
//! ```
//!
//! Keys come in the order of the dump, expired or not; what is not known is null.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::score::print_score;
use crate::visitor::{EntryMeta, Kind, Part, Reject, StreamId, StreamMeta, Visitor, Want, library_name};

/// Writes a JSON line for every key (see the [module](self)). Constant memory, but for what is pending in a stream's
/// group.
///
/// ```
/// use rdb::{Decoder, json::JsonLines};
///
/// let mut json = JsonLines::new(Vec::new());
/// Decoder::default().feed(b"REDIS0003\xFE\0\0\x01k\x02hi\xFF", &mut json)?;
/// assert_eq!(json.finish()?, b"{\"db\":0,\"key\":\"aw==\",\"type\":\"string\",\"expire_ms\":null,\"value\":\"aGk=\"}\n");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JsonLines<W> {
    to: W,
    line: Vec<u8>,
    error: Option<io::Error>,
    kind: Kind,
    /// Whether an element has been written, so that a comma is due.
    more: bool,
    /// Bytes of a string in pieces that do not fill a group of three.
    odd: Vec<u8>,
    figures: StreamMeta,
    groups: Vec<Group>,
}

/// A group at hand: its pending entries are written when their owners are known.
#[derive(Debug, Default)]
struct Group {
    name: Vec<u8>,
    last_id: StreamId,
    entries_read: Option<u64>,
    pending: Vec<(StreamId, i64, u64)>,
    consumers: Vec<(Vec<u8>, i64, Option<i64>)>,
    owners: Vec<(StreamId, usize)>,
}

impl<W: Write> JsonLines<W> {
    /// Writes to `to`, in pieces of about 64 KiB.
    pub fn new(to: W) -> Self {
        Self {
            to,
            line: Vec::with_capacity(PIECE * 2),
            error: None,
            kind: Kind::String,
            more: false,
            odd: Vec::new(),
            figures: StreamMeta::default(),
            groups: Vec::new(),
        }
    }

    /// Writes what is left and gives the writer back. It is not flushed.
    ///
    /// # Errors
    /// The first error of the writer. The decoder has then been refused at that place.
    pub fn finish(mut self) -> io::Result<W> {
        if self.error.is_none() {
            self.spill();
        }
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.to),
        }
    }

    /// The error of the writer that made the visitor refuse.
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }

    /// Whether whoever reads the lines has gone away.
    pub fn broken_pipe(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }

    fn spill(&mut self) {
        if let Err(error) = self.to.write_all(&self.line) {
            self.error = Some(error);
        }
        self.line.clear();
    }

    fn check(&mut self) -> Result<(), Reject> {
        if self.line.len() >= PIECE {
            self.spill();
        }
        if self.error.is_some() { Err(Reject("the writer failed")) } else { Ok(()) }
    }

    fn comma(&mut self) {
        if self.more {
            self.line.push(b',');
        }
        self.more = true;
    }

    fn open(&mut self, db: Option<u64>, key: &[u8], kind: &[u8], expire_ms: Option<i64>) {
        let line = &mut self.line;
        line.extend_from_slice(b"{\"db\":");
        match db {
            Some(db) => number(line, db),
            None => line.extend_from_slice(b"-1"),
        }
        line.extend_from_slice(b",\"key\":");
        base64(line, key);
        line.extend_from_slice(b",\"type\":\"");
        line.extend_from_slice(kind);
        line.extend_from_slice(b"\",\"expire_ms\":");
        optional(line, expire_ms);
        line.extend_from_slice(b",\"value\":");
    }

    /// A piece of a value in one string; groups of three may straddle pieces.
    fn piece(&mut self, mut bytes: &[u8], last: bool) {
        if !self.odd.is_empty() {
            let take = (3 - self.odd.len()).min(bytes.len());
            let (head, rest) = bytes.split_at_checked(take).unwrap_or_default();
            self.odd.extend_from_slice(head);
            bytes = rest;
            if self.odd.len() == 3 || last {
                bare_base64(&mut self.line, &self.odd);
                self.odd.clear();
            }
        }
        let whole = if last { bytes.len() } else { bytes.len() - bytes.len() % 3 };
        let (whole, odd) = bytes.split_at_checked(whole).unwrap_or_default();
        bare_base64(&mut self.line, whole);
        self.odd.extend_from_slice(odd);
    }

    fn stream_tail(&mut self) {
        let line = &mut self.line;
        line.extend_from_slice(b"],\"last_id\":");
        stream_id(line, self.figures.last_id);
        line.extend_from_slice(b",\"max_deleted_id\":");
        stream_id(line, self.figures.max_deleted_id);
        line.extend_from_slice(b",\"entries_added\":");
        number(line, self.figures.entries_added);
        line.extend_from_slice(b",\"groups\":[");
        for (index, group) in self.groups.iter_mut().enumerate() {
            if index > 0 {
                line.push(b',');
            }
            group.print(line);
        }
        line.extend_from_slice(b"]}");
        self.groups.clear();
    }
}

impl Group {
    fn print(&mut self, line: &mut Vec<u8>) {
        line.extend_from_slice(b"{\"name\":");
        base64(line, &self.name);
        line.extend_from_slice(b",\"last_id\":");
        stream_id(line, self.last_id);
        line.extend_from_slice(b",\"entries_read\":");
        match self.entries_read {
            Some(read) => number(line, read),
            None => line.extend_from_slice(b"null"),
        }
        line.extend_from_slice(b",\"pel\":[");
        self.owners.sort_unstable();
        for (index, (id, delivery_ms, count)) in self.pending.iter().enumerate() {
            line.extend_from_slice(if index > 0 { b",[" } else { b"[" });
            stream_id(line, *id);
            line.push(b',');
            let owner = self.owners.binary_search_by_key(id, |(id, _)| *id).ok();
            let owner = owner.and_then(|owner| self.owners.get(owner));
            match owner.and_then(|(_, consumer)| self.consumers.get(*consumer)) {
                Some((name, ..)) => base64(line, name),
                None => line.extend_from_slice(b"null"),
            }
            line.push(b',');
            signed(line, *delivery_ms);
            line.push(b',');
            number(line, *count);
            line.push(b']');
        }
        line.extend_from_slice(b"],\"consumers\":[");
        for (index, (name, seen_ms, active_ms)) in self.consumers.iter().enumerate() {
            line.extend_from_slice(if index > 0 { b",{\"name\":" } else { b"{\"name\":" });
            base64(line, name);
            line.extend_from_slice(b",\"seen_ms\":");
            signed(line, *seen_ms);
            line.extend_from_slice(b",\"active_ms\":");
            optional(line, *active_ms);
            line.push(b'}');
        }
        line.extend_from_slice(b"]}");
    }
}

impl<W: Write> Visitor for JsonLines<W> {
    fn function(&mut self, code: &[u8]) -> Result<(), Reject> {
        self.open(None, library_name(code), b"function", None);
        base64(&mut self.line, code);
        self.line.extend_from_slice(b"}\n");
        self.check()
    }

    fn entry(&mut self, key: &[u8], meta: &EntryMeta) -> Result<Want, Reject> {
        let opening: &[u8] = match meta.kind {
            Kind::String | Kind::Module => b"\"",
            Kind::Stream => b"{\"entries\":[",
            Kind::List | Kind::Set | Kind::Zset | Kind::Hash | Kind::Array | Kind::Gcra => b"[",
        };
        self.open(Some(meta.db), key, meta.kind.name().as_bytes(), meta.expire_ms);
        self.line.extend_from_slice(opening);
        self.kind = meta.kind;
        self.more = false;
        Ok(Want::Elements)
    }

    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        match part {
            Part::String { offset: 0, bytes, total } if bytes.len() as u64 == total => {
                bare_base64(&mut self.line, bytes);
            }
            Part::String { offset, bytes, total } => {
                self.piece(bytes, offset.saturating_add(bytes.len() as u64) == total);
            }
            Part::Module { bytes, last } => self.piece(bytes, last),
            Part::Element(element) => {
                self.comma();
                base64(&mut self.line, element);
            }
            Part::Member { member, score } => {
                self.comma();
                self.line.push(b'[');
                base64(&mut self.line, member);
                self.line.extend_from_slice(b",\"");
                print_score(score, &mut self.line);
                self.line.extend_from_slice(b"\"]");
            }
            Part::Field { field, value, expire_ms } => {
                self.comma();
                self.line.push(b'[');
                base64(&mut self.line, field);
                self.line.push(b',');
                base64(&mut self.line, value);
                self.line.push(b',');
                optional(&mut self.line, expire_ms);
                self.line.push(b']');
            }
            Part::Slot { index, value } => {
                self.comma();
                self.line.push(b'[');
                number(&mut self.line, index);
                self.line.push(b',');
                base64(&mut self.line, value);
                self.line.push(b']');
            }
            Part::StreamEntry { id, fields } => {
                self.comma();
                self.line.push(b'[');
                stream_id(&mut self.line, id);
                self.line.extend_from_slice(b",[");
                for (index, bytes) in fields.iter().enumerate() {
                    if index > 0 {
                        self.line.push(b',');
                    }
                    base64(&mut self.line, bytes);
                }
                self.line.extend_from_slice(b"]]");
            }
            Part::StreamMeta(figures) => self.figures = figures,
            Part::Group { name, last_id, entries_read } => {
                self.groups.push(Group { name: name.to_vec(), last_id, entries_read, ..Group::default() });
            }
            Part::Pending { id, delivery_ms, count } => {
                if let Some(group) = self.groups.last_mut() {
                    group.pending.push((id, delivery_ms, count));
                }
            }
            Part::Consumer { name, seen_ms, active_ms } => {
                if let Some(group) = self.groups.last_mut() {
                    group.consumers.push((name.to_vec(), seen_ms, active_ms));
                }
            }
            Part::ConsumerPending(id) => {
                if let Some(group) = self.groups.last_mut() {
                    group.owners.push((id, group.consumers.len().saturating_sub(1)));
                }
            }
            // Hints, what the form has no place for, and packed parts, which are not asked for.
            _ => {}
        }
        self.check()
    }

    fn entry_end(&mut self) -> Result<(), Reject> {
        match self.kind {
            Kind::String | Kind::Module => self.line.push(b'"'),
            Kind::Stream => self.stream_tail(),
            _ => self.line.push(b']'),
        }
        self.line.extend_from_slice(b"}\n");
        self.check()
    }
}

#[inline]
fn base64(line: &mut Vec<u8>, bytes: &[u8]) {
    line.push(b'"');
    bare_base64(line, bytes);
    line.push(b'"');
}

#[inline]
fn bare_base64(line: &mut Vec<u8>, bytes: &[u8]) {
    let at = line.len();
    line.resize(at.saturating_add(bytes.len().div_ceil(3).saturating_mul(4)), 0);
    let room = line.get_mut(at..).unwrap_or_default();
    // The room is what the encoding takes.
    let _ = STANDARD.encode_slice(bytes, room);
}

fn stream_id(line: &mut Vec<u8>, id: StreamId) {
    line.push(b'"');
    number(line, id.ms);
    line.push(b'-');
    number(line, id.seq);
    line.push(b'"');
}

#[inline]
fn number(line: &mut Vec<u8>, value: u64) {
    if value < 10 {
        line.push(b'0' | (value as u8 & 0xF));
        return;
    }
    match i64::try_from(value) {
        Ok(value) => signed(line, value),
        // Writing to a vector does not fail.
        Err(_) => drop(write!(line, "{value}")),
    }
}

#[inline]
fn signed(line: &mut Vec<u8>, value: i64) {
    line.extend_from_slice(crate::encoding::Item::Int(value).to_bytes(&mut [0; 20]));
}

fn optional(line: &mut Vec<u8>, value: Option<i64>) {
    match value {
        Some(value) => signed(line, value),
        None => line.extend_from_slice(b"null"),
    }
}

const PIECE: usize = 64 * 1024;
