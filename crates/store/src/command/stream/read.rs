//! XREAD and XREADGROUP, served at once or not at all: waiting is the server's.

use std::ops::Bound;

use super::claim::{propagate, propagate_position};
use super::group::no_group;
use super::id;
use super::range::{Direction, Taken, reply_range, take};
use crate::args::{Args, is_word};
use crate::compat::{Lag, ReadPlus};
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::reply::{Aggregate, Null, Reply};
use crate::txn::Txn;
use crate::value::Stream;
use crate::value::stream::{Consumer, Group, MAX_ID, MIN_ID, StreamId, next_id, previous_id};
use crate::view::View;

/// The arguments before and behind STREAMS.
struct Asked<'a> {
    count: Option<usize>,
    group: Option<(&'a [u8], &'a [u8])>,
    no_ack: bool,
    keys: &'a [&'a [u8]],
    ids: &'a [&'a [u8]],
}

impl<'a> Asked<'a> {
    fn parse(view: &View<'_>, args: Args<'a>, is_group: bool) -> Result<Self, CommandError> {
        let mut asked = Self { count: None, group: None, no_ack: false, keys: &[], ids: &[] };
        let mut i = 1;
        while let Some(word) = args.get(i) {
            let more = args.len() - i - 1;
            if is_word(word, "block") && more > 0 {
                let ms = args
                    .int(i + 1)
                    .map_err(|_| CommandError::err("timeout is not an integer or out of range"))?;
                if ms < 0 {
                    return Err(CommandError::err("timeout is negative"));
                }
                i += 2;
            } else if is_word(word, "count") && more > 0 {
                asked.count = usize::try_from(args.int(i + 1)?).ok().filter(|n| *n > 0);
                i += 2;
            } else if is_word(word, "streams") && more > 0 {
                let rest = args.from(i + 1);
                if !rest.len().is_multiple_of(2) {
                    let [read, read_group] = view.differences().unbalanced_streams;
                    return Err(CommandError::err(if is_group { read_group } else { read }));
                }
                (asked.keys, asked.ids) = rest.split_at(rest.len() / 2);
                break;
            } else if is_word(word, "group") && more >= 2 {
                if !is_group {
                    return Err(CommandError::err(
                        "The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                asked.group = Some((args.at(i + 1), args.at(i + 2)));
                i += 3;
            } else if is_word(word, "noack") {
                if !is_group {
                    return Err(CommandError::err(
                        "The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                asked.no_ack = true;
                i += 1;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if asked.keys.is_empty() {
            return Err(CommandError::Syntax);
        }
        if is_group && asked.group.is_none() {
            return Err(CommandError::err("Missing GROUP option for XREADGROUP"));
        }
        Ok(asked)
    }
}

/// What one stream gave.
type Found<'a> = (&'a [u8], Vec<Given>);

/// An entry, or the id of one that has been deleted since it was delivered.
enum Given {
    Entry(Taken),
    Deleted(StreamId),
}

/// What stands before the streams: nothing if there are none.
fn head(streams: usize, out: &mut dyn Reply) {
    if streams == 0 {
        out.null(Null::Array);
    } else if out.is_resp3() {
        out.aggregate(Aggregate::Map, streams);
    } else {
        out.array(streams);
    }
}

/// What stands before a stream's entries.
fn pair(key: &[u8], out: &mut dyn Reply) {
    if !out.is_resp3() {
        out.array(2);
    }
    out.bulk(key);
}

fn reply(found: &[Found<'_>], out: &mut dyn Reply) {
    head(found.len(), out);
    for (key, entries) in found {
        pair(key, out);
        out.array(entries.len());
        for entry in entries {
            match entry {
                Given::Entry(entry) => entry.reply(out),
                Given::Deleted(id) => {
                    out.array(2);
                    id::reply(*id, out);
                    out.null(Null::Array);
                }
            }
        }
    }
}

pub(super) fn xread(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let asked = Asked::parse(view, args, false)?;
    let mut starts = Vec::with_capacity(asked.keys.len());
    let plus = view.differences().read_plus;
    for (key, text) in asked.keys.iter().zip(asked.ids) {
        let stream = view.typed::<Stream>(key)?;
        let last = stream.map_or(MIN_ID, |stream| stream.log.last_id);
        starts.push(match *text {
            b"$" => last,
            // The id before it, so that it is the next.
            b"+" if plus == ReadPlus::LastId => previous_id(last).unwrap_or(MAX_ID),
            b"+" if plus == ReadPlus::LastEntry => {
                let last = stream.and_then(|stream| previous_id(stream.log.last_live_id()));
                last.unwrap_or(MAX_ID)
            }
            b">" => {
                return Err(CommandError::err(
                    "The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
                ));
            }
            text => id::strict(text, 0)?,
        });
    }
    let mut found: Vec<(&[u8], &Stream, StreamId)> = Vec::new();
    for (key, after) in asked.keys.iter().zip(starts) {
        let (Some(stream), Some(from)) = (view.typed::<Stream>(key)?, next_id(after)) else { continue };
        if stream.log.range(from, MAX_ID).next().is_some() {
            found.push((key, stream, from));
        }
    }
    head(found.len(), out);
    for (key, stream, from) in found {
        pair(key, out);
        reply_range(stream, from, MAX_ID, Direction::Up, asked.count, out);
    }
    Ok(())
}

pub(super) fn xreadgroup(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let asked = Asked::parse(txn, args, true)?;
    let (group, consumer) = asked.group.unwrap_or_default();
    let mut starts: Vec<Option<StreamId>> = Vec::with_capacity(asked.keys.len());
    for (key, text) in asked.keys.iter().zip(asked.ids) {
        txn.reap(key);
        if txn.typed::<Stream>(key)?.and_then(|stream| stream.groups.get(group)).is_none() {
            return Err(no_group(key, group, "in XREADGROUP with GROUP option"));
        }
        starts.push(match *text {
            b">" => None,
            b"$" => {
                return Err(CommandError::err(
                    "The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.",
                ));
            }
            b"+" if txn.differences().read_plus != ReadPlus::Refused => {
                return Err(CommandError::err(
                    "The + ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The + ID would just return an empty result set.",
                ));
            }
            text => Some(id::strict(text, 0)?),
        });
    }
    // A stream that gets no command of its own must not go out verbatim.
    txn.rewrite_to_nothing();
    let mut found: Vec<Found<'_>> = Vec::new();
    for (key, start) in asked.keys.iter().zip(starts) {
        match start {
            None => {
                let entries = deliver(txn, key, group, consumer, &asked)?;
                if !entries.is_empty() {
                    found.push((key, entries));
                }
            }
            Some(after) => found.push((key, history(txn, key, group, consumer, after, asked.count)?)),
        }
    }
    reply(&found, out);
    Ok(())
}

/// Notes that a consumer was seen; whether it is new.
fn meet(txn: &mut Txn<'_>, key: &[u8], group: &[u8], consumer: &[u8]) -> Result<bool, CommandError> {
    let now = txn.now();
    let mut is_new = false;
    if let Some(mut stream) = txn.typed_mut::<Stream>(key)? {
        let come = |group: &mut Group| {
            let is_new = group.create_consumer(consumer, now);
            group.touch(consumer, now, false);
            is_new
        };
        is_new = stream.groups.edit(group, come).unwrap_or(false);
    }
    if is_new {
        txn.changed(Class::Stream, "xgroup-createconsumer", key);
    }
    Ok(is_new)
}

/// Tells replicas of a consumer that no XCLAIM will tell them of. (Real servers do so with NOACK only; then a
/// replica lacks a consumer that got nothing yet.)
fn propagate_consumer(txn: &mut Txn<'_>, key: &[u8], group: &[u8], consumer: &[u8]) {
    txn.rewrite(&[b"XGROUP", b"CREATECONSUMER", key, group, consumer]);
}

/// New entries for a consumer.
fn deliver(
    txn: &mut Txn<'_>,
    key: &[u8],
    group_name: &[u8],
    consumer: &[u8],
    asked: &Asked<'_>,
) -> Result<Vec<Given>, CommandError> {
    let stream = txn.typed::<Stream>(key)?;
    let last = stream.and_then(|stream| stream.groups.get(group_name)).map_or(MAX_ID, |group| group.last_id);
    let given = match (stream, next_id(last)) {
        (Some(stream), Some(from)) => take(stream, from, MAX_ID, Direction::Up, asked.count),
        _ => Vec::new(),
    };
    if given.is_empty() && !txn.differences().consumers_exist_when_named {
        return Ok(Vec::new());
    }
    if meet(txn, key, group_name, consumer)? && (asked.no_ack || given.is_empty()) {
        propagate_consumer(txn, key, group_name, consumer);
    }
    if given.is_empty() {
        return Ok(Vec::new());
    }
    let (now, lag) = (txn.now(), txn.differences().lag);
    let among_left = lag != Lag::Valkey;
    if let Some(mut stream) = txn.typed_mut::<Stream>(key)? {
        let Stream { log, groups, .. } = &mut *stream;
        groups.edit(group_name, |group| {
            for entry in &given {
                // What a group has read is counted on unless something may be missing: from the entry on in Redis
                // 7.0, later from where the group stands, which must not be before the first entry.
                let counts_on = if lag == Lag::Redis70 {
                    !log.may_have_gaps_from(entry.id, among_left)
                } else {
                    group.last_id >= log.first_id() && !log.may_have_gaps_from(group.last_id, among_left)
                };
                let counted = group.entries_read.filter(|_| counts_on);
                group.entries_read = counted.map_or_else(
                    || log.added_up_to(entry.id, among_left),
                    |read| Some(read.saturating_add(1)),
                );
                group.last_id = entry.id;
                if !asked.no_ack {
                    group.assign(entry.id, consumer, now, 1);
                }
            }
            group.touch(consumer, now, !asked.no_ack);
        });
    }
    txn.changed_quietly();
    if !asked.no_ack {
        given.iter().for_each(|entry| propagate(txn, key, group_name, consumer, entry.id));
    }
    // Redis up to 7.2 leaves this out, and its replicas cannot tell the group's lag.
    propagate_position(txn, key, group_name);
    Ok(given.into_iter().map(Given::Entry).collect())
}

/// What a consumer was given before and has not acknowledged.
fn history(
    txn: &mut Txn<'_>,
    key: &[u8],
    group_name: &[u8],
    consumer: &[u8],
    after: StreamId,
    count: Option<usize>,
) -> Result<Vec<Given>, CommandError> {
    if meet(txn, key, group_name, consumer)? {
        propagate_consumer(txn, key, group_name, consumer);
    }
    let now = txn.now();
    let Some(mut stream) = txn.typed_mut::<Stream>(key)? else { return Ok(Vec::new()) };
    let Stream { log, groups, .. } = &mut *stream;
    let give = |group: &mut Group| {
        let pending = group.consumer(consumer).map(Consumer::pending);
        let behind = pending
            .into_iter()
            .flat_map(|ids| ids.range((Bound::Excluded(after), Bound::Unbounded)))
            .map(|(id, ())| id);
        let ids: Vec<StreamId> = behind.take(count.unwrap_or(usize::MAX)).copied().collect();
        let mut given = Vec::with_capacity(ids.len());
        for id in ids {
            given.push(match log.find(id) {
                Some(entry) => {
                    group.deliver_again(id, now);
                    Given::Entry(Taken::of(&entry))
                }
                None => Given::Deleted(id),
            });
        }
        given
    };
    Ok(groups.edit(group_name, give).unwrap_or_default())
}
