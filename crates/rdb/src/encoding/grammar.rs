//! The packed encodings as nom grammars: short, obviously right, and slow.
//!
//! Nothing in production calls these. Property tests and fuzz targets compare every view with them, on valid and on
//! mutated bytes: a view must accept exactly what its grammar accepts, and show the same elements.

use nom::branch::alt;
use nom::bytes::complete::{tag, take};
use nom::combinator::{all_consuming, map, map_opt, not, peek, verify};
use nom::multi::{length_data, many0};
use nom::number::complete::{be_u16, be_u32, i8, le_i16, le_i24, le_i32, le_i64, le_u16, le_u32, u8};
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};

use super::item::Item;
use crate::visitor::StreamId;

type Bytes<'a> = &'a [u8];
type NomError<'a> = nom::error::Error<Bytes<'a>>;
type Parsed<'a, T> = IResult<Bytes<'a>, T>;

/// The elements of a listpack; `None` if it is none.
pub fn listpack(blob: &[u8]) -> Option<Vec<Item<'_>>> {
    let header = (verify(le_u32, |size| *size as usize == blob.len()), le_u16);
    let entries = many0(listpack_entry);
    let (_, ((_, count), items)) =
        all_consuming(terminated((header, entries), tag(&b"\xFF"[..]))).parse(blob).ok()?;
    (count == u16::MAX || usize::from(count) == items.len()).then_some(items)
}

fn listpack_entry(input: Bytes<'_>) -> Parsed<'_, Item<'_>> {
    let (rest, item) = alt((
        map(verify(u8, |b| *b < 0x80), |b| Item::Int(b.into())),
        map(length_data(map_opt(u8, |b| (b & 0xC0 == 0x80).then_some(b & 0x3F))), Item::Str),
        map(map_opt(be_u16, |w| (w & 0xE000 == 0xC000).then_some(w & 0x1FFF)), |v| {
            Item::Int(if v < 4096 { i64::from(v) } else { i64::from(v) - 8192 })
        }),
        map(length_data(map_opt(be_u16, |w| (w & 0xF000 == 0xE000).then_some(w & 0x0FFF))), Item::Str),
        map(length_data(preceded(tag(&b"\xF0"[..]), le_u32)), Item::Str),
        map(preceded(tag(&b"\xF1"[..]), le_i16), |v| Item::Int(v.into())),
        map(preceded(tag(&b"\xF2"[..]), le_i24), |v| Item::Int(v.into())),
        map(preceded(tag(&b"\xF3"[..]), le_i32), |v| Item::Int(v.into())),
        map(preceded(tag(&b"\xF4"[..]), le_i64), Item::Int),
    ))
    .parse(input)?;
    let back_length = back_length(input.len().saturating_sub(rest.len()));
    let (rest, _) = tag(&back_length[..]).parse(rest)?;
    Ok((rest, item))
}

/// Base 128, least significant group last; a group more than needed where all bits of the groups would be set.
fn back_length(size: usize) -> Vec<u8> {
    let mut groups = vec![(size & 0x7F) as u8];
    let mut left = size >> 7;
    while left > 0 {
        groups.push((left & 0x7F) as u8);
        left >>= 7;
    }
    if groups.len() > 1 && groups.len() < 5 && groups.iter().all(|group| *group == 0x7F) {
        groups.push(0);
    }
    groups.reverse();
    groups.iter().enumerate().map(|(index, group)| if index == 0 { *group } else { group | 0x80 }).collect()
}

/// The elements of a ziplist; `None` if it is none.
pub fn ziplist(blob: &[u8]) -> Option<Vec<Item<'_>>> {
    let header = (verify(le_u32, |size| *size as usize == blob.len()), le_u32, le_u16);
    let entries = many0(ziplist_entry);
    let (_, ((_, last, count), entries)) =
        all_consuming(terminated((header, entries), tag(&b"\xFF"[..]))).parse(blob).ok()?;
    let (mut at, mut previous, mut before) = (10_usize, 0, 10);
    for (claimed, size, _) in &entries {
        if *claimed != previous {
            return None;
        }
        (before, previous, at) = (at, *size, at.saturating_add(*size));
    }
    let items: Vec<_> = entries.into_iter().map(|(_, _, item)| item).collect();
    let good = last as usize == before && (count == u16::MAX || usize::from(count) == items.len());
    good.then_some(items)
}

/// Previous length, own size, value.
fn ziplist_entry(input: Bytes<'_>) -> Parsed<'_, (usize, usize, Item<'_>)> {
    let previous = alt((map(verify(u8, |b| *b < 254), u32::from), preceded(tag(&b"\xFE"[..]), le_u32)));
    let top = |bits: u8| peek(verify(u8, move |b| b >> 6 == bits));
    let value = alt((
        map(length_data(preceded(top(0), u8)), Item::Str),
        map(length_data(preceded(top(1), map(be_u16, |w| w & 0x3FFF))), Item::Str),
        map(length_data(preceded((top(2), u8), be_u32)), Item::Str),
        map(preceded(tag(&b"\xC0"[..]), le_i16), |v| Item::Int(v.into())),
        map(preceded(tag(&b"\xD0"[..]), le_i32), |v| Item::Int(v.into())),
        map(preceded(tag(&b"\xE0"[..]), le_i64), Item::Int),
        map(preceded(tag(&b"\xF0"[..]), le_i24), |v| Item::Int(v.into())),
        map(preceded(tag(&b"\xFE"[..]), i8), |v| Item::Int(v.into())),
        map(verify(u8, |b| (0xF1..=0xFD).contains(b)), |b| Item::Int(i64::from(b & 0x0F).saturating_sub(1))),
    ));
    let (rest, (previous, item)) = (previous, value).parse(input)?;
    Ok((rest, (previous as usize, input.len().saturating_sub(rest.len()), item)))
}

/// The integers of an intset; `None` if it is none.
pub fn intset(blob: &[u8]) -> Option<Vec<i64>> {
    let (integers, (width, count)): (_, (u32, u32)) = header(blob).ok()?;
    let (_, integers): (_, Vec<i64>) = match width {
        2 => all_consuming(many0(map(le_i16::<_, NomError<'_>>, i64::from))).parse(integers).ok()?,
        4 => all_consuming(many0(map(le_i32::<_, NomError<'_>>, i64::from))).parse(integers).ok()?,
        8 => all_consuming(many0(le_i64::<_, NomError<'_>>)).parse(integers).ok()?,
        _ => return None,
    };
    let ascending = integers.windows(2).all(|pair| pair.first() < pair.last());
    (ascending && integers.len() == count as usize).then_some(integers)
}

fn header(input: Bytes<'_>) -> Parsed<'_, (u32, u32)> {
    (le_u32, le_u32).parse(input)
}

/// The pairs of a zipmap; `None` if it is none.
pub fn zipmap(blob: &[u8]) -> Option<Vec<(Bytes<'_>, Bytes<'_>)>> {
    let pairs = many0(preceded(peek(not(tag(&b"\xFF"[..]))), zipmap_pair));
    let (_, (count, pairs)) = all_consuming(terminated((u8, pairs), tag(&b"\xFF"[..]))).parse(blob).ok()?;
    (count >= 254 || usize::from(count) == pairs.len()).then_some(pairs)
}

fn zipmap_pair(input: Bytes<'_>) -> Parsed<'_, (Bytes<'_>, Bytes<'_>)> {
    let (rest, field) = length_data(zipmap_length).parse(input)?;
    let (rest, (length, free)) = (zipmap_length, u8).parse(rest)?;
    let (rest, value) = take(length).parse(rest)?;
    let (rest, _) = take(free).parse(rest)?;
    Ok((rest, (field, value)))
}

fn zipmap_length(input: Bytes<'_>) -> Parsed<'_, u32> {
    let long = preceded(tag(&b"\xFE"[..]), verify(le_u32, |length| *length >= 254));
    alt((map(verify(u8, |b| *b < 254), u32::from), long)).parse(input)
}

/// An entry of a stream node, as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeItem {
    /// The entry's id.
    pub id: StreamId,
    /// Whether it is marked as deleted.
    pub deleted: bool,
    /// Fields with their values.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The entries of a stream node; `None` if its elements form none.
pub fn stream_node(base: StreamId, blob: &[u8]) -> Option<Vec<NodeItem>> {
    let elements = listpack(blob)?;
    let mut elements = elements.iter();
    let live = elements.next()?.as_int()?;
    let deleted = elements.next()?.as_int()?;
    let master = names(elements.next()?.as_int()?, &mut elements)?;
    if elements.next()?.as_int()? != 0 {
        return None;
    }
    let mut items = Vec::new();
    while let Some(flags) = elements.next() {
        let flags = flags.as_int()?;
        let ms = base.ms.wrapping_add_signed(elements.next()?.as_int()?);
        let seq = base.seq.wrapping_add_signed(elements.next()?.as_int()?);
        let (fields, extra): (Vec<_>, usize) = if flags & 2 != 0 {
            let values = names(i64::try_from(master.len()).ok()?, &mut elements)?;
            (master.iter().cloned().zip(values).collect(), 3)
        } else {
            let count = elements.next()?.as_int()?;
            let both = names(count.checked_mul(2)?, &mut elements)?;
            let pairs =
                both.chunks_exact(2).filter_map(|pair| Some((pair.first()?.clone(), pair.last()?.clone())));
            (pairs.collect(), 4)
        };
        let closing = usize::try_from(elements.next()?.as_int()?).ok()?;
        let per_field = if flags & 2 != 0 { 1 } else { 2 };
        if closing != fields.len().checked_mul(per_field)?.checked_add(extra)? {
            return None;
        }
        items.push(NodeItem { id: StreamId { ms, seq }, deleted: flags & 1 != 0, fields });
    }
    let count = |wanted: bool| i64::try_from(items.iter().filter(|item| item.deleted == wanted).count()).ok();
    (count(false)? == live && count(true)? == deleted).then_some(items)
}

fn names<'i, 'a: 'i>(count: i64, elements: &mut impl Iterator<Item = &'i Item<'a>>) -> Option<Vec<Vec<u8>>> {
    let count = usize::try_from(count).ok()?;
    let taken: Vec<_> = elements.take(count).map(Item::to_vec).collect();
    (taken.len() == count).then_some(taken)
}
