//! Values that are one packed blob, or nodes that are: checked as a whole, then handed on as they are or unpacked.

use super::collection::FIELD_EXPIRY_MAX;
use super::cursor::{Cursor, Read, Stop};
use super::{Decoder, State};
use crate::encoding::{Intset, Item, Listpack, Ziplist, Zipmap};
use crate::error::ErrorKind;
use crate::visitor::{Part, Visitor, Want};

/// Which view a blob needs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    Listpack(Blob),
    /// Hash fields with expiry: triples.
    ListpackEx,
    Ziplist(Blob),
    Intset,
    Zipmap,
}

/// What the elements of a blob are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blob {
    /// A list or a set.
    List,
    Hash,
    Zset,
}

/// No empty blob is larger (a ziplist has 11 bytes), and no larger blob is empty.
pub(super) const EMPTY_MAX: u64 = 11;

impl Shape {
    /// Whether the blob has no element. An empty intset or zipmap does not count as such: servers refuse them.
    pub(super) fn is_empty(self, blob: &[u8]) -> Read<bool> {
        match self {
            Self::Listpack(_) | Self::ListpackEx => Ok(Listpack::new(blob)?.is_empty()),
            Self::Ziplist(_) => Ok(Ziplist::new(blob)?.is_empty()),
            Self::Intset if Intset::new(blob)?.is_empty() => {
                super::cursor::corrupt("an intset without elements")
            }
            Self::Zipmap if Zipmap::new(blob)?.is_empty() => {
                super::cursor::corrupt("a zipmap without fields")
            }
            Self::Intset | Self::Zipmap => Ok(false),
        }
    }
}

impl Decoder {
    pub(super) fn blob<V: Visitor + ?Sized>(&mut self, cur: &mut Cursor<'_>, visitor: &mut V) -> Read<()> {
        let State::Blob(shape, want) = self.state else { return Ok(()) };
        let blob = cur.str()?;
        emit(shape, self.first.of(blob)?, want, visitor)?;
        cur.commit();
        self.finish(visitor)
    }
}

/// Checks a blob and hands it on.
pub(super) fn emit<V: Visitor + ?Sized>(shape: Shape, blob: &[u8], want: Want, visitor: &mut V) -> Read<()> {
    let packed = want == Want::Packed;
    match shape {
        Shape::Listpack(content) => {
            let list = Listpack::new(blob)?;
            if packed {
                check(content, list.iter())?;
                visitor.part(Part::Listpack(list))?;
            } else {
                unpack(content, list.iter(), visitor)?;
            }
        }
        Shape::Ziplist(content) => {
            let list = Ziplist::new(blob)?;
            if packed {
                check(content, list.iter())?;
                visitor.part(Part::Ziplist(list))?;
            } else {
                unpack(content, list.iter(), visitor)?;
            }
        }
        Shape::ListpackEx => {
            let list = Listpack::new(blob)?;
            if packed {
                let mut items = list.iter();
                while let Some((_, _, _)) = triple(&mut items, list)? {}
                visitor.part(Part::ListpackEx(list))?;
            } else {
                let (mut a, mut b) = ([0; 20], [0; 20]);
                let mut items = list.iter();
                while let Some((field, value, expire_ms)) = triple(&mut items, list)? {
                    let (field, value) = (field.to_bytes(&mut a), value.to_bytes(&mut b));
                    visitor.part(Part::Field { field, value, expire_ms })?;
                }
            }
        }
        Shape::Intset => {
            let set = Intset::new(blob)?;
            if packed {
                visitor.part(Part::Intset(set))?;
            } else {
                let mut digits = [0; 20];
                for value in set.iter() {
                    visitor.part(Part::Element(Item::Int(value).to_bytes(&mut digits)))?;
                }
            }
        }
        Shape::Zipmap => {
            let map = Zipmap::new(blob)?;
            if packed {
                visitor.part(Part::Zipmap(map))?;
            } else {
                for (field, value) in map.iter() {
                    visitor.part(Part::Field { field, value, expire_ms: None })?;
                }
            }
        }
    }
    Ok(())
}

/// What a blob must be beyond well-formed: whole pairs, scores that are numbers.
fn check<'a>(content: Blob, mut items: impl Iterator<Item = Item<'a>>) -> Read<()> {
    match content {
        Blob::List => Ok(()),
        Blob::Hash => match items.count() {
            n if n % 2 == 0 => Ok(()),
            n => Err(ErrorKind::Incomplete { elements: n as u64 }.into()),
        },
        Blob::Zset => {
            let mut elements = 0_u64;
            while items.next().is_some() {
                let Some(score) = items.next() else {
                    return Err(ErrorKind::Incomplete { elements: elements + 1 }.into());
                };
                score_of(score)?;
                elements += 2;
            }
            Ok(())
        }
    }
}

fn unpack<'a, V: Visitor + ?Sized>(
    content: Blob,
    mut items: impl Iterator<Item = Item<'a>>,
    visitor: &mut V,
) -> Read<()> {
    let (mut a, mut b) = ([0; 20], [0; 20]);
    let mut elements = 0_u64;
    while let Some(item) = items.next() {
        elements += 1;
        let first = item.to_bytes(&mut a);
        if content == Blob::List {
            visitor.part(Part::Element(first))?;
            continue;
        }
        let Some(item) = items.next() else { return Err(ErrorKind::Incomplete { elements }.into()) };
        elements += 1;
        if content == Blob::Hash {
            let value = item.to_bytes(&mut b);
            visitor.part(Part::Field { field: first, value, expire_ms: None })?;
        } else {
            visitor.part(Part::Member { member: first, score: score_of(item)? })?;
        }
    }
    Ok(())
}

type Triple<'a> = (Item<'a>, Item<'a>, Option<i64>);

fn triple<'a>(items: &mut impl Iterator<Item = Item<'a>>, list: Listpack<'a>) -> Read<Option<Triple<'a>>> {
    let Some(field) = items.next() else { return Ok(None) };
    let (Some(value), Some(expiry)) = (items.next(), items.next()) else {
        return Err(ErrorKind::Incomplete { elements: list.iter().count() as u64 }.into());
    };
    match expiry.as_int() {
        Some(0) => Ok(Some((field, value, None))),
        Some(ms) if (1..=FIELD_EXPIRY_MAX).contains(&ms) => Ok(Some((field, value, Some(ms)))),
        _ => Err(ErrorKind::FieldExpiry.into()),
    }
}

#[inline]
fn score_of(item: Item<'_>) -> Read<f64> {
    match item {
        #[expect(clippy::cast_precision_loss, reason = "servers round a score of more than 53 bits likewise")]
        Item::Int(value) => Ok(value as f64),
        Item::Str(text) => parse_score(text).ok_or_else(|| Stop::from(ErrorKind::Score)),
    }
}

/// A score as text: what `strtod` makes of it, NaN excepted.
pub(crate) fn parse_score(text: &[u8]) -> Option<f64> {
    let score: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (!score.is_nan()).then_some(score)
}
