//! Reading by ids.

use rdb::encoding::NodeEntry;

use super::id;
use crate::args::Args;
use crate::error::{CommandError, CommandResult};
use crate::reply::{Null, Reply};
use crate::value::Stream;
use crate::value::stream::{StreamId, next_id, previous_id};
use crate::view::View;

/// An entry taken out of its node, to be written when its number is known.
pub(super) struct Taken {
    pub(super) id: StreamId,
    fields: Vec<Vec<u8>>,
}

impl Taken {
    pub(super) fn of(entry: &NodeEntry<'_>) -> Self {
        let fields = entry.fields().flat_map(|(field, value)| [field.to_vec(), value.to_vec()]).collect();
        Self { id: entry.id(), fields }
    }

    pub(super) fn reply(&self, out: &mut dyn Reply) {
        out.array(2);
        id::reply(self.id, out);
        out.array(self.fields.len());
        self.fields.iter().for_each(|field| out.bulk(field));
    }
}

/// Order in which entries are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Oldest first.
    Up,
    /// Newest first.
    Down,
}

/// Up to `count` entries (all if `None`) from `start` to `end`.
pub(super) fn take(
    stream: &Stream,
    start: StreamId,
    end: StreamId,
    direction: Direction,
    count: Option<usize>,
) -> Vec<Taken> {
    if start > end {
        return Vec::new();
    }
    let count = count.unwrap_or(usize::MAX);
    match direction {
        Direction::Up => stream.log.range(start, end).take(count).map(|e| Taken::of(&e)).collect(),
        Direction::Down => stream.log.range_reversed(start, end).take(count).map(|e| Taken::of(&e)).collect(),
    }
}

/// Writes what [`take`] takes, without taking it: the entries are walked once to be counted and once to be written.
pub(super) fn reply_range(
    stream: &Stream,
    start: StreamId,
    end: StreamId,
    direction: Direction,
    count: Option<usize>,
    out: &mut dyn Reply,
) {
    if start > end {
        out.array(0);
        return;
    }
    let count = count.unwrap_or(usize::MAX);
    match direction {
        Direction::Up => {
            let entries = || stream.log.range(start, end).take(count);
            out.array(entries().count());
            entries().for_each(|entry| reply_entry(&entry, out));
        }
        Direction::Down => {
            let entries = || stream.log.range_reversed(start, end).take(count);
            out.array(entries().count());
            entries().for_each(|entry| reply_entry(&entry, out));
        }
    }
}

/// Writes an id, its fields and their values.
fn reply_entry(entry: &NodeEntry<'_>, out: &mut dyn Reply) {
    out.array(2);
    id::reply(entry.id(), out);
    out.array(entry.fields().len() * 2);
    let mut digits = [0; 20];
    for (field, value) in entry.fields() {
        out.bulk(field.to_bytes(&mut digits));
        out.bulk(value.to_bytes(&mut digits));
    }
}

pub(super) fn xlen(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    out.count(view.typed::<Stream>(args.at(1))?.map_or(0, Stream::len));
    Ok(())
}

/// The start of a range; `(` leaves the id itself out.
pub(super) fn start(text: &[u8]) -> Result<StreamId, CommandError> {
    match text.strip_prefix(b"(") {
        None => id::bound(text, 0),
        Some(text) => {
            next_id(id::strict(text, 0)?).ok_or(CommandError::err("invalid start ID for the interval"))
        }
    }
}

/// The end of a range.
pub(super) fn end(text: &[u8]) -> Result<StreamId, CommandError> {
    match text.strip_prefix(b"(") {
        None => id::bound(text, u64::MAX),
        Some(text) => previous_id(id::strict(text, u64::MAX)?)
            .ok_or(CommandError::err("invalid end ID for the interval")),
    }
}

pub(super) fn xrange(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (start, end) = (start(args.at(2))?, end(args.at(3))?);
    range(view, args, start, end, Direction::Up, out)
}

pub(super) fn xrevrange(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    // The real server reads the start first, which is the second here.
    let start = start(args.at(3))?;
    let end = end(args.at(2))?;
    range(view, args, start, end, Direction::Down, out)
}

fn range(
    view: &View<'_>,
    args: Args<'_>,
    start: StreamId,
    end: StreamId,
    direction: Direction,
    out: &mut dyn Reply,
) -> CommandResult {
    let (mut count, mut i) = (None, 4);
    while i < args.len() {
        if !args.is(i, "count") || i + 1 >= args.len() {
            return Err(CommandError::Syntax);
        }
        count = Some(usize::try_from(args.int(i + 1)?.max(0)).unwrap_or(usize::MAX));
        i += 2;
    }
    let Some(stream) = view.typed::<Stream>(args.at(1))? else {
        out.array(0);
        return Ok(());
    };
    if count == Some(0) {
        out.null(Null::Array);
        return Ok(());
    }
    reply_range(stream, start, end, direction, count, out);
    Ok(())
}
