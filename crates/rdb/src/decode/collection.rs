//! Collections that stand in the dump element by element, and the skipping of what is not wanted.

use super::cursor::{Cursor, Read, Stop, corrupt};
use super::packed::{Blob, EMPTY_MAX, Shape, emit, parse_score};
use super::{Decoder, State};
use crate::error::ErrorKind;
use crate::visitor::{Kind, Part, Visitor, Want};

/// How the elements of a plain collection stand in the dump.
#[derive(Debug, Clone, Copy)]
pub(super) enum PlainShape {
    /// Strings.
    Element,
    /// Members with scores as text (type 3).
    MemberText,
    /// Members with scores as binary64.
    Member,
    /// Fields with values.
    Field,
    /// Expiry as an absolute time, field, value (pre-release 22).
    FieldAt,
    /// Expiry relative to a base, field, value (24).
    FieldFrom(i64),
    /// Field, value, absolute expiry (Valkey 22).
    FieldUntil,
    /// Array elements (28).
    Slot(Want),
}

/// Something that can be skipped without a look inside.
#[derive(Debug, Clone, Copy)]
pub(super) enum Atom {
    String,
    Len,
    Fixed(u64),
    /// A score as text: a length byte that may mean a special value.
    Score,
}

pub(super) const STRING: [Atom; 1] = [Atom::String];

impl PlainShape {
    pub(super) fn atoms(self) -> &'static [Atom] {
        match self {
            Self::Element | Self::Slot(_) => &STRING,
            Self::MemberText => &[Atom::String, Atom::Score],
            Self::Member => &[Atom::String, Atom::Fixed(8)],
            Self::Field => &[Atom::String, Atom::String],
            Self::FieldAt | Self::FieldFrom(_) => &[Atom::Len, Atom::String, Atom::String],
            Self::FieldUntil => &[Atom::String, Atom::String, Atom::Fixed(8)],
        }
    }
}

/// A sequence of atoms, repeated.
#[derive(Debug)]
pub(super) struct Skim {
    atoms: &'static [Atom],
    at: usize,
    left: u64,
}

impl Skim {
    pub(super) fn new(atoms: &'static [Atom], left: u64) -> Self {
        Self { atoms, at: 0, left }
    }
}

/// Elements still to come.
#[derive(Debug)]
pub(super) struct Plain {
    shape: PlainShape,
    left: u64,
}

impl Plain {
    pub(super) fn new(shape: PlainShape, left: u64) -> Self {
        Self { shape, left }
    }
}

/// Quicklist nodes still to come.
#[derive(Debug)]
pub(super) struct Nodes {
    /// Nodes say what they contain (type 18).
    tagged: bool,
    left: u64,
    /// Unknown until a node is found that is not empty.
    want: Option<Want>,
}

impl Nodes {
    pub(super) fn new(tagged: bool, left: u64) -> Self {
        Self { tagged, left, want: None }
    }
}

impl Decoder {
    pub(super) fn skim(&mut self, cur: &mut Cursor<'_>) -> Read<()> {
        let State::Skim(skim) = &mut self.state else { return Ok(()) };
        while skim.left > 0 {
            let Some(atom) = skim.atoms.get(skim.at) else {
                skim.at = 0;
                skim.left -= 1;
                continue;
            };
            let body = match *atom {
                Atom::String => cur.head()?.body(),
                Atom::Len => {
                    cur.len()?;
                    0
                }
                Atom::Fixed(n) => n,
                Atom::Score => match cur.u8()? {
                    253..=255 => 0,
                    n => n.into(),
                },
            };
            skim.at += 1;
            let passed = cur.up_to(body).len() as u64;
            cur.commit();
            if passed < body {
                self.skip = body - passed;
                return Ok(());
            }
        }
        self.next_record();
        Ok(())
    }

    pub(super) fn plain<V: Visitor + ?Sized>(&mut self, cur: &mut Cursor<'_>, visitor: &mut V) -> Read<()> {
        let State::Plain(plain) = &mut self.state else { return Ok(()) };
        let (first, second) = (&mut self.first, &mut self.second);
        let shape = plain.shape;
        while plain.left > 0 {
            match shape {
                PlainShape::Element => {
                    let element = cur.str()?;
                    visitor.part(Part::Element(first.of(element)?))?;
                }
                PlainShape::Member => {
                    let member = cur.str()?;
                    let score = f64::from_le_bytes(cur.array()?);
                    if score.is_nan() {
                        return Err(ErrorKind::Score.into());
                    }
                    visitor.part(Part::Member { member: first.of(member)?, score })?;
                }
                PlainShape::MemberText => {
                    let member = cur.str()?;
                    let score = match cur.u8()? {
                        253 => return Err(ErrorKind::Score.into()),
                        254 => f64::INFINITY,
                        255 => f64::NEG_INFINITY,
                        n => parse_score(cur.take(n.into())?).ok_or(ErrorKind::Score)?,
                    };
                    visitor.part(Part::Member { member: first.of(member)?, score })?;
                }
                PlainShape::Field => {
                    let (field, value) = (cur.str()?, cur.str()?);
                    let (field, value) = (first.of(field)?, second.of(value)?);
                    visitor.part(Part::Field { field, value, expire_ms: None })?;
                }
                PlainShape::FieldAt | PlainShape::FieldFrom(_) => {
                    let ttl = cur.len()?;
                    let (field, value) = (cur.str()?, cur.str()?);
                    let expire_ms = match (ttl, shape) {
                        (0, _) => None,
                        (ttl, PlainShape::FieldFrom(base)) => Some(field_expiry(
                            i64::try_from(ttl - 1).ok().and_then(|ttl| base.checked_add(ttl)),
                        )?),
                        (ttl, _) => Some(field_expiry(i64::try_from(ttl).ok())?),
                    };
                    let (field, value) = (first.of(field)?, second.of(value)?);
                    visitor.part(Part::Field { field, value, expire_ms })?;
                }
                PlainShape::FieldUntil => {
                    let (field, value) = (cur.str()?, cur.str()?);
                    let expire_ms = match cur.i64()? {
                        -1 => None,
                        ms if ms < 0 => return Err(ErrorKind::FieldExpiry.into()),
                        ms => Some(ms),
                    };
                    let (field, value) = (first.of(field)?, second.of(value)?);
                    visitor.part(Part::Field { field, value, expire_ms })?;
                }
                PlainShape::Slot(want) => {
                    let index = cur.len()?;
                    let text;
                    let value = match cur.len()? {
                        0 => {
                            let value = cur.str()?;
                            first.of(value)?
                        }
                        1 => {
                            text = cur.i64()?.to_string();
                            text.as_bytes()
                        }
                        2 => {
                            // Debug adds ".0" to what would look like an integer.
                            text = format!("{:?}", f64::from_le_bytes(cur.array()?));
                            text.as_bytes()
                        }
                        3 => {
                            let value = cur.str()?;
                            first.of(value)?
                        }
                        _ => return corrupt("unknown kind of array element"),
                    };
                    if want != Want::Skip {
                        visitor.part(Part::Slot { index, value })?;
                    }
                }
            }
            cur.commit();
            plain.left -= 1;
        }
        if matches!(shape, PlainShape::Slot(Want::Skip)) {
            self.next_record();
            return Ok(());
        }
        self.finish(visitor)
    }

    pub(super) fn nodes<V: Visitor + ?Sized>(&mut self, cur: &mut Cursor<'_>, visitor: &mut V) -> Read<()> {
        let State::Nodes(nodes) = &mut self.state else { return Ok(()) };
        while nodes.left > 0 {
            let plain = match nodes.tagged.then(|| cur.len()).transpose()? {
                Some(1) => true,
                Some(2) | None => false,
                Some(_) => return corrupt("unknown kind of quicklist node"),
            };
            let mark = cur.pos();
            let head = cur.head()?;
            if head.unpacked() == 0 {
                return corrupt("a quicklist node of no bytes");
            }
            let shape = if nodes.tagged { Shape::Listpack(Blob::List) } else { Shape::Ziplist(Blob::List) };
            if !plain && head.unpacked() <= EMPTY_MAX {
                let blob = cur.body(head)?;
                if shape.is_empty(self.first.of(blob)?)? {
                    nodes.left -= 1;
                    cur.commit();
                    continue;
                }
            }
            cur.rewind(mark);
            let want = match nodes.want {
                Some(want) => want,
                None => {
                    let byte = if nodes.tagged { 18 } else { 14 };
                    let meta = self.entry.meta(byte, Kind::List);
                    let want = visitor.entry(&self.entry.key, &meta)?;
                    if want == Want::Packed {
                        visitor.part(Part::Count(nodes.left))?;
                    }
                    nodes.want = Some(want);
                    want
                }
            };
            let head = cur.head()?;
            if want == Want::Skip {
                let passed = cur.up_to(head.body()).len() as u64;
                nodes.left -= 1;
                cur.commit();
                if passed < head.body() {
                    self.skip = head.body() - passed;
                    return Ok(());
                }
                continue;
            }
            // Should bytes lack, the node is read again from its start; the key is not announced again.
            let blob = cur.body(head)?;
            let bytes = self.first.of(blob)?;
            match (plain, want) {
                (true, Want::Packed) => visitor.part(Part::PlainNode(bytes))?,
                (true, _) => visitor.part(Part::Element(bytes))?,
                (false, want) => emit(shape, bytes, want, visitor)?,
            }
            nodes.left -= 1;
            cur.commit();
        }
        match nodes.want {
            None => self.drop_empty(cur),
            Some(Want::Skip) => {
                self.next_record();
                Ok(())
            }
            Some(_) => self.finish(visitor),
        }
    }
}

/// Redis keeps field expiries in 48 bits.
fn field_expiry(ms: Option<i64>) -> Read<i64> {
    match ms {
        Some(ms) if (0..=FIELD_EXPIRY_MAX).contains(&ms) => Ok(ms),
        _ => Err(Stop::from(ErrorKind::FieldExpiry)),
    }
}

pub(crate) const FIELD_EXPIRY_MAX: i64 = 0x0000_FFFF_FFFF_FFFF;
