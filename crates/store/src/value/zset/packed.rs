//! The small form: one listpack of member, score, member, score ... in order.

use std::cmp::Ordering;

use rdb::encoding::{Item, Listpack, ListpackBuf, Pos};

use crate::number::{DoubleFormat, format_f64, parse_f64};

/// Integers below this are stored as such, by real servers too.
const INTEGER: f64 = (1_u64 << 62) as f64;

/// The integer as which a listpack keeps a score, if it does.
pub(super) fn as_integer(score: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "in range")]
    (score.abs() < INTEGER && score.fract() == 0.0).then_some(score as i64)
}

/// The score that an entry stands for.
pub(super) fn score_of(item: Item<'_>) -> f64 {
    match item {
        #[expect(clippy::cast_precision_loss, reason = "what reading its text as a double would give")]
        Item::Int(n) => n as f64,
        // Decoders refuse what is no number.
        Item::Str(text) => parse_f64(text).unwrap_or(0.0),
    }
}

/// An element and its place.
pub(super) fn at(list: Listpack<'_>, pos: Pos) -> Option<(Item<'_>, f64, Pos)> {
    let value = list.next(pos)?;
    Some((list.at(pos)?, score_of(list.at(value)?), value))
}

pub(super) fn score(list: Listpack<'_>, member: &[u8]) -> Option<(Pos, f64)> {
    let pos = list.find(member, 1)?;
    at(list, pos).map(|(_, score, _)| (pos, score))
}

pub(super) fn rank(list: Listpack<'_>, member: &[u8]) -> Option<(usize, f64)> {
    let (mut pos, mut rank) = (list.first()?, 0);
    loop {
        let (item, score, value) = at(list, pos)?;
        if item.eq_bytes(member) {
            return Some((rank, score));
        }
        pos = list.next(value)?;
        rank += 1;
    }
}

/// How many elements, from the first on, satisfy `is`, and where the first of the others begins.
pub(super) fn below(list: Listpack<'_>, mut is: impl FnMut(f64, &[u8]) -> bool) -> (usize, Pos) {
    let (mut next, mut rank) = (list.first(), 0);
    while let Some(pos) = next {
        let Some((item, score, value)) = at(list, pos) else { break };
        if !is(score, item.to_bytes(&mut [0; 20])) {
            return (rank, pos);
        }
        next = list.next(value);
        rank += 1;
    }
    (rank, list.end())
}

/// Adds a member that is not there. `Err` if the list is full.
pub(super) fn insert(buf: &mut ListpackBuf, member: &[u8], score: f64) -> Result<(), rdb::encoding::Full> {
    let list = buf.as_listpack();
    // Most lists are built in order, from either end.
    let last = list.last().and_then(|value| Some((list.prev(value)?, value)));
    let above_last = last.is_none_or(|(pos, _)| {
        at(list, pos).is_some_and(|(item, s, _)| precedes(s, item.to_bytes(&mut [0; 20]), score, member))
    });
    let pos = if above_last { list.end() } else { below(list, |s, m| precedes(s, m, score, member)).1 };
    // The score first: the member then goes before it, at the same place.
    put_score(buf, pos, score)?;
    buf.insert(pos, member).inspect_err(|_| buf.remove(pos))
}

/// Adds a member that belongs behind all others. `Err` if the list is full; it may then hold the member alone.
pub(super) fn push(buf: &mut ListpackBuf, member: &[u8], score: f64) -> Result<(), rdb::encoding::Full> {
    buf.push(member)?;
    match as_integer(score) {
        Some(integer) => buf.push_int(integer),
        None => buf.push(&text_of(score)),
    }
}

fn text_of(score: f64) -> Vec<u8> {
    let mut text = Vec::with_capacity(24);
    format_f64(&mut text, score, DoubleFormat::Digits17);
    text
}

fn precedes(s: f64, m: &[u8], score: f64, member: &[u8]) -> bool {
    s.partial_cmp(&score).unwrap_or(Ordering::Equal).then_with(|| m.cmp(member)) == Ordering::Less
}

fn put_score(buf: &mut ListpackBuf, pos: Pos, score: f64) -> Result<(), rdb::encoding::Full> {
    if let Some(integer) = as_integer(score) {
        // -0 becomes 0 here, as in real servers from 7.0 on.
        return buf.insert_int(pos, integer);
    }
    buf.insert(pos, &text_of(score))
}

/// Elements in order, upwards or downwards.
#[derive(Debug, Clone)]
pub(super) struct Run<'a> {
    pub(super) list: Listpack<'a>,
    pub(super) next: Option<Pos>,
    pub(super) left: usize,
    pub(super) down: bool,
}

impl<'a> Run<'a> {
    pub(super) fn new(list: Listpack<'a>, from: usize, len: usize, down: bool) -> Self {
        let next = i64::try_from(from).ok().and_then(|rank| list.seek(rank.checked_mul(2)?));
        Self { list, next, left: len, down }
    }
}

impl<'a> Iterator for Run<'a> {
    type Item = (Item<'a>, f64);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (item, score, value) = at(self.list, self.next?)?;
        self.next = if self.down {
            self.next.and_then(|pos| self.list.prev(pos)).and_then(|value| self.list.prev(value))
        } else {
            self.list.next(value)
        };
        Some((item, score))
    }
}
