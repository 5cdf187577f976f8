//! XINFO.

use super::group::{bad_subcommand, no_group};
use super::id;
use super::range::{Direction, reply_range, take};
use crate::args::Args;
use crate::compat::Lag;
use crate::error::{CommandError, CommandResult};
use crate::reply::{Aggregate, Null, Reply};
use crate::value::Stream;
use crate::value::stream::{Group, MAX_ID, MIN_ID};
use crate::view::View;

fn found<'v>(view: &'v View<'_>, key: &[u8]) -> Result<&'v Stream, CommandError> {
    view.typed::<Stream>(key)?.ok_or(CommandError::NoSuchKey)
}

fn count_or_null(n: Option<u64>, out: &mut dyn Reply) {
    match n {
        Some(n) => out.integer(i64::try_from(n).unwrap_or(i64::MAX)),
        None => out.null(Null::Bulk),
    }
}

fn integer_or_null(n: Option<i64>, out: &mut dyn Reply) {
    match n {
        Some(n) => out.integer(n),
        None => out.null(Null::Bulk),
    }
}

/// How many entries a group has still to read, where that can be told.
fn lag(view: &View<'_>, stream: &Stream, group: &Group) -> Option<i64> {
    let (log, rule) = (&stream.log, view.differences().lag);
    let added = log.entries_added;
    if rule == Lag::Redis8 && added > 0 {
        if stream.is_empty() {
            return Some(0);
        }
        let first = log.first_id();
        if group.last_id < first && log.max_deleted_id < first {
            return Some(log.len().cast_signed());
        }
    }
    let among_left = rule != Lag::Valkey;
    let read = match group.entries_read {
        _ if added == 0 => Some(0),
        Some(read) if !log.may_have_gaps_from(group.last_id, among_left) => Some(read),
        _ => log.added_up_to(group.last_id, among_left),
    };
    // XSETID can make it negative.
    read.map(|read| added.wrapping_sub(read).cast_signed())
}

pub(super) fn groups(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let stream = found(view, args.at(2))?;
    out.array(stream.groups.len());
    for (name, group) in stream.groups.iter() {
        out.aggregate(Aggregate::Map, 6);
        out.bulk(b"name");
        out.bulk(name);
        out.bulk(b"consumers");
        out.count(group.consumers().len());
        out.bulk(b"pending");
        out.count(group.pending().len());
        out.bulk(b"last-delivered-id");
        id::reply(group.last_id, out);
        out.bulk(b"entries-read");
        count_or_null(group.entries_read, out);
        out.bulk(b"lag");
        integer_or_null(lag(view, stream, group), out);
    }
    Ok(())
}

pub(super) fn consumers(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, name) = (args.at(2), args.at(3));
    let group = found(view, key)?.groups.get(name).ok_or_else(|| no_group(key, name, "xgroup"))?;
    let tells_active = view.differences().consumers_exist_when_named;
    out.array(group.consumers().len());
    for (name, consumer) in group.consumers() {
        out.aggregate(Aggregate::Map, 3 + usize::from(tells_active));
        out.bulk(b"name");
        out.bulk(name);
        out.bulk(b"pending");
        out.count(consumer.pending().len());
        out.bulk(b"idle");
        out.integer(view.now().saturating_sub(consumer.seen_ms).max(0));
        if tells_active {
            out.bulk(b"inactive");
            out.integer(consumer.active_ms.map_or(-1, |at| view.now().saturating_sub(at).max(0)));
        }
    }
    Ok(())
}

pub(super) fn stream(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let stream = found(view, args.at(2))?;
    let full = match args.len() {
        3 => None,
        4 if args.is(3, "full") => Some(10),
        6 if args.is(3, "full") && args.is(4, "count") => {
            Some(args.int(5)?).map(|n| if n < 0 { 10 } else { n })
        }
        _ => return Err(bad_subcommand("XINFO", args)),
    };
    out.aggregate(Aggregate::Map, if full.is_some() { 9 } else { 10 });
    out.bulk(b"length");
    out.count(stream.len());
    out.bulk(b"radix-tree-keys");
    out.count(stream.log.nodes().len());
    out.bulk(b"radix-tree-nodes");
    out.count(stream.log.radix_tree_nodes());
    out.bulk(b"last-generated-id");
    id::reply(stream.log.last_id, out);
    out.bulk(b"max-deleted-entry-id");
    id::reply(stream.log.max_deleted_id, out);
    out.bulk(b"entries-added");
    count_or_null(Some(stream.log.entries_added), out);
    out.bulk(b"recorded-first-entry-id");
    id::reply(stream.log.first_id(), out);
    let Some(count) = full else {
        out.bulk(b"groups");
        out.count(stream.groups.len());
        for (name, direction) in [("first-entry", Direction::Up), ("last-entry", Direction::Down)] {
            out.bulk(name.as_bytes());
            match take(stream, MIN_ID, MAX_ID, direction, Some(1)).first() {
                Some(entry) => entry.reply(out),
                None => out.null(Null::Bulk),
            }
        }
        return Ok(());
    };
    let count = usize::try_from(count).ok().filter(|n| *n > 0);
    out.bulk(b"entries");
    reply_range(stream, MIN_ID, MAX_ID, Direction::Up, count, out);
    out.bulk(b"groups");
    out.array(stream.groups.len());
    for (name, group) in stream.groups.iter() {
        full_group(view, stream, (name, group), count.unwrap_or(usize::MAX), out);
    }
    Ok(())
}

fn full_group(
    view: &View<'_>,
    stream: &Stream,
    (name, group): (&[u8], &Group),
    count: usize,
    out: &mut dyn Reply,
) {
    let tells_active = view.differences().consumers_exist_when_named;
    out.aggregate(Aggregate::Map, 7);
    out.bulk(b"name");
    out.bulk(name);
    out.bulk(b"last-delivered-id");
    id::reply(group.last_id, out);
    out.bulk(b"entries-read");
    count_or_null(group.entries_read, out);
    out.bulk(b"lag");
    integer_or_null(lag(view, stream, group), out);
    out.bulk(b"pel-count");
    out.count(group.pending().len());
    out.bulk(b"pending");
    out.array(group.pending().len().min(count));
    for (id, pending) in group.pending().iter().take(count) {
        out.array(4);
        id::reply(*id, out);
        out.bulk(&pending.consumer);
        out.integer(pending.delivery_ms);
        out.integer(i64::try_from(pending.count).unwrap_or(i64::MAX));
    }
    out.bulk(b"consumers");
    out.array(group.consumers().len());
    for (name, consumer) in group.consumers() {
        out.aggregate(Aggregate::Map, 4 + usize::from(tells_active));
        out.bulk(b"name");
        out.bulk(name);
        out.bulk(b"seen-time");
        out.integer(consumer.seen_ms);
        if tells_active {
            out.bulk(b"active-time");
            out.integer(consumer.active_ms.unwrap_or(-1));
        }
        out.bulk(b"pel-count");
        out.count(consumer.pending().len());
        out.bulk(b"pending");
        out.array(consumer.pending().len().min(count));
        for id in consumer.pending().keys().take(count) {
            let (ms, deliveries) = group.pending().get(id).map_or((0, 0), |p| (p.delivery_ms, p.count));
            out.array(3);
            id::reply(*id, out);
            out.integer(ms);
            out.integer(i64::try_from(deliveries).unwrap_or(i64::MAX));
        }
    }
}
