//! Opcodes, and the heads of key records (format sections 5 and 6).

use super::collection::{Nodes, Plain, PlainShape, Skim};
use super::cursor::{Cursor, Read, Str, corrupt};
use super::module::{Module, Sink};
use super::packed::{Blob, Shape};
use super::stream::{Stream, StreamType};
use super::string::Pieces;
use super::{Decoder, Pause, State};
use crate::error::ErrorKind;
use crate::version::Flavour;
use crate::visitor::{Kind, Part, Visitor, Want};

impl Decoder {
    /// Records until one asks for another state.
    pub(super) fn records<V: Visitor + ?Sized>(
        &mut self,
        cur: &mut Cursor<'_>,
        visitor: &mut V,
    ) -> Read<Option<Pause>> {
        while matches!(self.state, State::Record) && self.skip == 0 {
            let here = self.offset.saturating_add(cur.start() as u64);
            let byte = cur.u8()?;
            visitor.record(here);
            let before_a_key = match byte {
                0xFC | 0xFD | 0xF8 | 0xF9 => true,
                0xF3 => self.flavour() == Flavour::Redis,
                byte => byte < FIRST_OPCODE,
            };
            if before_a_key {
                self.entry.began.get_or_insert(here);
            }
            if byte == 0 {
                self.string_record(cur, visitor)?;
            } else if byte < FIRST_OPCODE {
                self.key_record(byte, cur, visitor)?;
            } else if byte == 0xFF {
                cur.commit();
                // Versions below 5 end here.
                if self.version.is_some_and(|version| version.has_checksum()) {
                    self.state = State::Checksum;
                    return Ok(Some(Pause::Eof));
                }
                self.state = State::Done;
                visitor.end()?;
            } else {
                self.opcode(byte, cur, visitor)?;
            }
        }
        Ok(None)
    }

    fn opcode<V: Visitor + ?Sized>(&mut self, byte: u8, cur: &mut Cursor<'_>, visitor: &mut V) -> Read<()> {
        match (byte, self.flavour()) {
            (0xFE, _) => {
                let db = cur.len()?;
                self.entry.db = db;
                visitor.select_db(db);
            }
            (0xFD, _) => {
                let seconds = i32::from_le_bytes(cur.array()?);
                self.entry.expire_ms = Some(i64::from(seconds).saturating_mul(1000));
            }
            (0xFC, _) => self.entry.expire_ms = Some(cur.i64()?),
            (0xFB, _) => {
                let (keys, expires) = (cur.len()?, cur.len()?);
                visitor.resize_db(keys, expires);
            }
            (0xFA, _) => {
                let (name, value) = (cur.str()?, cur.str()?);
                visitor.aux(self.first.of(name)?, self.second.of(value)?);
                self.trim_texts();
            }
            (0xF9, _) => self.entry.freq = Some(cur.u8()?),
            (0xF8, _) => self.entry.idle_seconds = Some(cur.len()?),
            (0xF7, _) => self.state = State::Module(Module::new(Sink::Aux(Vec::new()))),
            (0xF5, _) => {
                let code = cur.str()?;
                visitor.function(self.first.of(code)?)?;
                self.trim_texts();
            }
            (0xF4, _) => {
                let (_slot, _keys, _expires) = (cur.len()?, cur.len()?, cur.len()?);
            }
            (0xF3, Flavour::Redis) => self.key_meta(cur)?,
            (0xF3, Flavour::Valkey) => {
                let name = cur.str()?;
                let ranges = cur.len()?;
                if self.first.of(name)?.len() != 40 {
                    return corrupt("a slot import's name does not have 40 bytes");
                }
                self.state = State::Ranges(ranges);
            }
            (0xF2, Flavour::Redis) => return self.template_definition(cur),
            (0xF2 | 0xF6, flavour) => return Err(ErrorKind::Unsupported { byte, flavour }.into()),
            _ => return Err(ErrorKind::UnknownType { byte }.into()),
        }
        cur.commit();
        Ok(())
    }

    /// A function library among others.
    pub(super) fn library<V: Visitor + ?Sized>(&mut self, cur: &mut Cursor<'_>, visitor: &mut V) -> Read<()> {
        match cur.u8()? {
            0xF5 => self.opcode(0xF5, cur, visitor),
            byte => Err(ErrorKind::UnknownType { byte }.into()),
        }
    }

    fn trim_texts(&mut self) {
        self.first.trim();
        self.second.trim();
    }

    pub(super) fn flavour(&self) -> Flavour {
        self.version.map_or(Flavour::Redis, |version| version.flavour)
    }

    /// Metadata of modules for the next key: framed like module values, and skipped.
    pub(super) fn key_meta(&mut self, cur: &mut Cursor<'_>) -> Read<()> {
        let classes = cur.len()?;
        if classes > 7 {
            return corrupt("key metadata of more than 7 classes");
        }
        if classes > 0 {
            self.state = State::Module(Module::new(Sink::Meta { classes }));
        }
        Ok(())
    }

    /// Slot ranges of a running import (Valkey 9): checked and dropped.
    pub(super) fn ranges(&mut self, cur: &mut Cursor<'_>) -> Read<()> {
        let State::Ranges(left) = &mut self.state else { return Ok(()) };
        while *left > 0 {
            let (first, last) = (cur.len()?, cur.len()?);
            if first > last || last >= 16384 {
                return corrupt("not a range of slots");
            }
            cur.commit();
            *left -= 1;
        }
        self.state = State::Record;
        Ok(())
    }

    /// The most frequent record by far: handled in one go if it is there as a whole.
    #[inline]
    fn string_record<V: Visitor + ?Sized>(&mut self, cur: &mut Cursor<'_>, visitor: &mut V) -> Read<()> {
        let key = cur.str()?;
        let Str::Raw(key) = key else {
            self.entry.set_key(self.first.of(key)?);
            return self.string_value(cur, visitor);
        };
        let mark = cur.pos();
        let head = cur.head()?;
        let Ok(value) = cur.body(head) else {
            cur.rewind(mark);
            self.entry.set_key(key);
            return self.string_value(cur, visitor);
        };
        let meta = self.entry.meta(0, Kind::String);
        let result = (|| {
            if visitor.entry(key, &meta)? != Want::Skip {
                let bytes = self.first.of(value)?;
                visitor.part(Part::String { offset: 0, bytes, total: bytes.len() as u64 })?;
                visitor.entry_end()?;
            }
            Ok(())
        })();
        if result.is_err() {
            self.entry.set_key(key);
            return result;
        }
        cur.commit();
        self.next_record();
        Ok(())
    }

    /// A string value behind its key, of which a part may be missing.
    fn string_value<V: Visitor + ?Sized>(&mut self, cur: &mut Cursor<'_>, visitor: &mut V) -> Read<()> {
        let head = cur.head()?;
        let mark = cur.pos();
        let long = head.body() > super::WHOLE || head.unpacked() > super::WHOLE;
        match cur.body(head) {
            Ok(value) => {
                if self.announce(0, Kind::String, visitor)? == Want::Skip {
                    self.next_record();
                } else {
                    let bytes = self.first.of(value)?;
                    visitor.part(Part::String { offset: 0, bytes, total: bytes.len() as u64 })?;
                    self.finish(visitor)?;
                }
            }
            Err(stop) if !long => return Err(stop),
            Err(_) => {
                cur.rewind(mark);
                if self.announce(0, Kind::String, visitor)? == Want::Skip {
                    self.skip = head.body();
                    self.next_record();
                } else {
                    self.state = State::String(Pieces::new(head)?);
                }
            }
        }
        cur.commit();
        Ok(())
    }

    fn key_record<V: Visitor + ?Sized>(
        &mut self,
        byte: u8,
        cur: &mut Cursor<'_>,
        visitor: &mut V,
    ) -> Read<()> {
        if byte > LAST_TYPE || byte == 8 {
            return Err(ErrorKind::UnknownType { byte }.into());
        }
        let key = cur.str()?;
        self.entry.set_key(self.first.of(key)?);
        self.value(byte, cur, visitor)
    }

    /// The value of a DUMP payload: a type byte, no key.
    pub(super) fn payload_value<V: Visitor + ?Sized>(
        &mut self,
        cur: &mut Cursor<'_>,
        visitor: &mut V,
    ) -> Read<()> {
        match cur.u8()? {
            0 => self.string_value(cur, visitor),
            0xF3 if self.flavour() == Flavour::Redis => {
                self.key_meta(cur)?;
                cur.commit();
                Ok(())
            }
            8 => Err(ErrorKind::UnknownType { byte: 8 }.into()),
            byte if byte <= LAST_TYPE => self.value(byte, cur, visitor),
            byte => Err(ErrorKind::UnknownType { byte }.into()),
        }
    }

    /// The head of a value. The key is announced as soon as it is certain that the value is not an empty collection:
    /// those were left by old bugs, and servers drop them without a word (format section 8.4).
    fn value<V: Visitor + ?Sized>(&mut self, byte: u8, cur: &mut Cursor<'_>, visitor: &mut V) -> Read<()> {
        use PlainShape as P;
        use Shape as S;
        let flavour = self.flavour();
        match (byte, flavour) {
            (1, _) => self.plain_value(byte, Kind::List, P::Element, cur, visitor),
            (2, _) => self.plain_value(byte, Kind::Set, P::Element, cur, visitor),
            (3, _) => self.plain_value(byte, Kind::Zset, P::MemberText, cur, visitor),
            (4, _) => self.plain_value(byte, Kind::Hash, P::Field, cur, visitor),
            (5, _) => self.plain_value(byte, Kind::Zset, P::Member, cur, visitor),
            (7, _) => {
                let want = self.announce(byte, Kind::Module, visitor)?;
                let sink = if want == Want::Skip { Sink::Nowhere } else { Sink::Part };
                self.state = State::Module(Module::new(sink));
                cur.commit();
                Ok(())
            }
            (9, _) => self.blob_value(byte, Kind::Hash, S::Zipmap, cur, visitor),
            (10, _) => self.blob_value(byte, Kind::List, S::Ziplist(Blob::List), cur, visitor),
            (11, _) => self.blob_value(byte, Kind::Set, S::Intset, cur, visitor),
            (12, _) => self.blob_value(byte, Kind::Zset, S::Ziplist(Blob::Zset), cur, visitor),
            (13, _) => self.blob_value(byte, Kind::Hash, S::Ziplist(Blob::Hash), cur, visitor),
            (14 | 18, _) => {
                let left = cur.len()?;
                self.state = State::Nodes(Nodes::new(byte == 18, left));
                cur.commit();
                Ok(())
            }
            (15 | 19 | 21 | 26 | 27, _) => {
                let want = self.announce(byte, Kind::Stream, visitor)?;
                self.state = State::Stream(Box::new(Stream::new(StreamType::of(byte), want)));
                cur.commit();
                Ok(())
            }
            (16, _) => self.blob_value(byte, Kind::Hash, S::Listpack(Blob::Hash), cur, visitor),
            (17, _) => self.blob_value(byte, Kind::Zset, S::Listpack(Blob::Zset), cur, visitor),
            (20, _) => self.blob_value(byte, Kind::Set, S::Listpack(Blob::List), cur, visitor),
            (22, Flavour::Redis) => self.plain_value(byte, Kind::Hash, P::FieldAt, cur, visitor),
            (22, Flavour::Valkey) => self.plain_value(byte, Kind::Hash, P::FieldUntil, cur, visitor),
            (23, Flavour::Redis) => self.blob_value(byte, Kind::Hash, S::ListpackEx, cur, visitor),
            (24, _) => {
                let base = cur.i64()?;
                self.plain_value(byte, Kind::Hash, P::FieldFrom(base), cur, visitor)
            }
            (25, _) => {
                // The earliest expiry, which may be stale: the triples say it themselves.
                cur.i64()?;
                self.blob_value(byte, Kind::Hash, S::ListpackEx, cur, visitor)
            }
            (28, _) => self.array_value(cur, visitor),
            (29..=32, _) => self.template_value(byte, cur, visitor),
            (33, _) => {
                let number = cur.len()?;
                if self.announce(byte, Kind::Gcra, visitor)? == Want::Skip {
                    self.next_record();
                } else {
                    visitor.part(Part::Element(number.to_string().as_bytes()))?;
                    self.finish(visitor)?;
                }
                cur.commit();
                Ok(())
            }
            _ => Err(ErrorKind::Unsupported { byte, flavour }.into()),
        }
    }

    fn plain_value<V: Visitor + ?Sized>(
        &mut self,
        byte: u8,
        kind: Kind,
        shape: PlainShape,
        cur: &mut Cursor<'_>,
        visitor: &mut V,
    ) -> Read<()> {
        let count = cur.len()?;
        if count == 0 {
            return self.drop_empty(cur);
        }
        if self.announce(byte, kind, visitor)? == Want::Skip {
            self.state = State::Skim(Skim::new(shape.atoms(), count));
        } else {
            visitor.part(Part::Count(count))?;
            self.state = State::Plain(Plain::new(shape, count));
        }
        cur.commit();
        Ok(())
    }

    fn array_value<V: Visitor + ?Sized>(&mut self, cur: &mut Cursor<'_>, visitor: &mut V) -> Read<()> {
        let count = cur.len()?;
        if count == 0 {
            return corrupt("an array without elements");
        }
        match cur.len()? {
            0 => {}
            1 => {
                cur.len()?;
            }
            _ => return corrupt("an array's cursor is neither there nor absent"),
        }
        // What an element takes is known only from its tag: it is read even if it is not wanted.
        let want = self.announce(28, Kind::Array, visitor)?;
        if want != Want::Skip {
            visitor.part(Part::Count(count))?;
        }
        self.state = State::Plain(Plain::new(PlainShape::Slot(want), count));
        cur.commit();
        Ok(())
    }

    fn blob_value<V: Visitor + ?Sized>(
        &mut self,
        byte: u8,
        kind: Kind,
        shape: Shape,
        cur: &mut Cursor<'_>,
        visitor: &mut V,
    ) -> Read<()> {
        let mark = cur.pos();
        let head = cur.head()?;
        if head.unpacked() <= super::packed::EMPTY_MAX {
            let blob = cur.body(head)?;
            if shape.is_empty(self.first.of(blob)?)? {
                return self.drop_empty(cur);
            }
        }
        cur.rewind(mark);
        let want = self.announce(byte, kind, visitor)?;
        self.state = match want {
            Want::Skip => State::Skim(Skim::new(&super::collection::STRING, 1)),
            want => State::Blob(shape, want),
        };
        cur.commit();
        Ok(())
    }

    /// An empty collection: the key does not exist. RESTORE, however, refuses it.
    pub(super) fn drop_empty(&mut self, cur: &mut Cursor<'_>) -> Read<()> {
        if self.single {
            return corrupt("a value without elements");
        }
        cur.commit();
        self.next_record();
        Ok(())
    }
}

/// Record bytes from here are opcodes.
const FIRST_OPCODE: u8 = 242;
/// The highest value type known.
const LAST_TYPE: u8 = 33;
