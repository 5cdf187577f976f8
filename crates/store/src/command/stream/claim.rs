//! XCLAIM and XAUTOCLAIM: entries change hands.

use super::group::no_group;
use super::id;
use super::range::{Taken, start};
use crate::args::{Args, in_text};
use crate::error::{CommandError, CommandResult};
use crate::reply::Reply;
use crate::txn::Txn;
use crate::value::Stream;
use crate::value::stream::{Group, MIN_ID, StreamId};
use crate::view::Viewer;

/// Tells replicas that `consumer` has an entry now.
pub(super) fn propagate(txn: &mut Txn<'_>, key: &[u8], group: &[u8], consumer: &[u8], id: StreamId) {
    if !txn.has_replicas() {
        return;
    }
    let told = txn.typed::<Stream>(key).ok().flatten().and_then(|stream| stream.groups.get(group)).map(|g| {
        let pending = g.pending().get(&id);
        let (ms, count) = pending.map_or_else(|| (txn.now(), 1), |p| (p.delivery_ms, p.count));
        (ms.to_string(), count.to_string(), id::text(g.last_id))
    });
    let Some((ms, count, last)) = told else { return };
    let id = id::text(id);
    txn.rewrite(&[
        b"XCLAIM",
        key,
        group,
        consumer,
        b"0",
        id.as_bytes(),
        b"TIME",
        ms.as_bytes(),
        b"RETRYCOUNT",
        count.as_bytes(),
        b"FORCE",
        b"JUSTID",
        b"LASTID",
        last.as_bytes(),
    ]);
}

/// Tells replicas how far a group has come.
pub(super) fn propagate_position(txn: &mut Txn<'_>, key: &[u8], group: &[u8]) {
    let told = txn.typed::<Stream>(key).ok().flatten().and_then(|stream| stream.groups.get(group));
    let Some((last, read)) = told.map(|group| (id::text(group.last_id), group.entries_read)) else { return };
    let read = read.map_or_else(|| "-1".to_owned(), |n| n.to_string());
    txn.rewrite(&[b"XGROUP", b"SETID", key, group, last.as_bytes(), b"ENTRIESREAD", read.as_bytes()]);
}

/// Notes that a consumer was seen, if need be for the first time.
fn meet(group: &mut Group, consumer: &[u8], now: i64) {
    group.create_consumer(consumer, now);
    group.touch(consumer, now, false);
}

/// XCLAIM's options.
struct Options {
    idle_since: Option<i64>,
    retry_count: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: Option<StreamId>,
}

impl Options {
    fn parse(txn: &Txn<'_>, args: Args<'_>, from: usize) -> Result<Self, CommandError> {
        let now = txn.now();
        let mut o = Self { idle_since: None, retry_count: None, force: false, just_id: false, last_id: None };
        let mut i = from;
        while i < args.len() {
            let more = i + 1 < args.len();
            if args.is(i, "force") {
                o.force = true;
            } else if args.is(i, "justid") {
                o.just_id = true;
            } else if args.is(i, "idle") && more {
                i += 1;
                let idle =
                    args.int(i).map_err(|_| CommandError::err("Invalid IDLE option argument for XCLAIM"))?;
                o.idle_since = Some(now.saturating_sub(idle));
            } else if args.is(i, "time") && more {
                i += 1;
                o.idle_since = Some(
                    args.int(i).map_err(|_| CommandError::err("Invalid TIME option argument for XCLAIM"))?,
                );
            } else if args.is(i, "retrycount") && more {
                i += 1;
                let count = args
                    .int(i)
                    .map_err(|_| CommandError::err("Invalid RETRYCOUNT option argument for XCLAIM"))?;
                // A negative one is as none.
                o.retry_count = u64::try_from(count).ok();
            } else if args.is(i, "lastid") && more {
                i += 1;
                o.last_id = Some(id::strict(args.at(i), 0)?);
            } else {
                let option = in_text(args.at(i)).into_owned();
                return Err(CommandError::Err(format!("Unrecognized XCLAIM option '{option}'").into()));
            }
            i += 1;
        }
        // A time in the future, or before 1970, is now; but a primary's clock is right, whatever ours says.
        if txn.viewer() == Viewer::Client {
            o.idle_since = o.idle_since.map(|at| if (0..=now).contains(&at) { at } else { now });
        }
        Ok(o)
    }
}

pub(super) fn xclaim(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, name, consumer) = (args.at(1), args.at(2), args.at(3));
    let now = txn.now();
    txn.reap(key);
    if txn.typed::<Stream>(key)?.and_then(|stream| stream.groups.get(name)).is_none() {
        return Err(no_group(key, name, ""));
    }
    let min_idle =
        args.int(4).map_err(|_| CommandError::err("Invalid min-idle-time argument for XCLAIM"))?.max(0);
    let mut ids = Vec::new();
    while let Some(id) = args.get(5 + ids.len()).and_then(|text| id::strict(text, 0).ok()) {
        ids.push(id);
    }
    let options = Options::parse(txn, args, 5 + ids.len())?;
    let mut claimed: Vec<(StreamId, Option<Taken>)> = Vec::new();
    let mut gone: Vec<StreamId> = Vec::new();
    let mut moved = false;
    let named = txn.differences().consumers_exist_when_named;
    if let Some(mut stream) = txn.typed_mut::<Stream>(key)? {
        let Stream { log, groups, .. } = &mut *stream;
        let take_over = |group: &mut Group| {
            if let Some(last) = options.last_id.filter(|last| *last > group.last_id) {
                group.last_id = last;
                moved = true;
            }
            if named {
                meet(group, consumer, now);
            }
            for id in ids {
                let pending = group.pending().get(&id).map(|p| (p.delivery_ms, p.count));
                let Some(entry) = log.find(id) else {
                    // An entry that was deleted cannot be claimed; it is pending no longer.
                    if group.acknowledge(id) {
                        gone.push(id);
                    }
                    continue;
                };
                let (delivered, count) = match pending {
                    Some(found) => found,
                    None if options.force => (i64::MIN, 1),
                    None => continue,
                };
                if pending.is_some() && min_idle > 0 && now.saturating_sub(delivered) < min_idle {
                    continue;
                }
                meet(group, consumer, now);
                group.touch(consumer, now, true);
                let count =
                    options.retry_count.unwrap_or_else(|| count.saturating_add(u64::from(!options.just_id)));
                group.assign(id, consumer, options.idle_since.unwrap_or(now), count);
                claimed.push((id, Some(Taken::of(&entry))));
            }
        };
        groups.edit(name, take_over);
    }
    finish(txn, key, name, consumer, &claimed, &gone, moved);
    out.array(claimed.len());
    for (id, entry) in &claimed {
        match entry {
            Some(entry) if !options.just_id => entry.reply(out),
            _ => id::reply(*id, out),
        }
    }
    Ok(())
}

/// Counts and propagates what has been claimed and what was found gone.
fn finish(
    txn: &mut Txn<'_>,
    key: &[u8],
    group: &[u8],
    consumer: &[u8],
    claimed: &[(StreamId, Option<Taken>)],
    gone: &[StreamId],
    moved: bool,
) {
    if claimed.is_empty() && gone.is_empty() && !moved {
        return;
    }
    txn.changed_quietly();
    if claimed.is_empty() && gone.is_empty() {
        propagate_position(txn, key, group);
        return;
    }
    for id in gone {
        propagate(txn, key, group, consumer, *id);
    }
    for (id, _) in claimed {
        propagate(txn, key, group, consumer, *id);
    }
}

pub(super) fn xautoclaim(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, name, consumer) = (args.at(1), args.at(2), args.at(3));
    let now = txn.now();
    let min_idle =
        args.int(4).map_err(|_| CommandError::err("Invalid min-idle-time argument for XAUTOCLAIM"))?.max(0);
    let from = start(args.at(5))?;
    let (mut count, mut just_id, mut i) = (100_usize, false, 6);
    while i < args.len() {
        if args.is(i, "count") && i + 1 < args.len() {
            let n = args.int(i + 1).ok().filter(|n| (1..=i64::MAX / 64).contains(n));
            count = usize::try_from(n.ok_or(CommandError::err("COUNT must be > 0"))?).unwrap_or(usize::MAX);
            i += 2;
        } else if args.is(i, "justid") {
            just_id = true;
            i += 1;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    txn.reap(key);
    if txn.typed::<Stream>(key)?.and_then(|stream| stream.groups.get(name)).is_none() {
        return Err(no_group(key, name, ""));
    }
    let mut claimed: Vec<(StreamId, Option<Taken>)> = Vec::new();
    let (mut gone, mut next) = (Vec::new(), MIN_ID);
    let named = txn.differences().consumers_exist_when_named;
    if let Some(mut stream) = txn.typed_mut::<Stream>(key)? {
        let Stream { log, groups, .. } = &mut *stream;
        let sweep = |group: &mut Group| {
            if named {
                meet(group, consumer, now);
            }
            let (mut attempts, mut left) = (count.saturating_mul(10), count);
            let ids: Vec<StreamId> =
                group.pending().range(from..).map(|(id, _)| *id).take(attempts.saturating_add(1)).collect();
            for id in ids {
                if left == 0 || attempts == 0 {
                    next = id;
                    break;
                }
                attempts -= 1;
                let Some(entry) = log.find(id) else {
                    group.acknowledge(id);
                    gone.push(id);
                    left -= 1;
                    continue;
                };
                let Some((delivered, deliveries)) =
                    group.pending().get(&id).map(|p| (p.delivery_ms, p.count))
                else {
                    continue;
                };
                if min_idle > 0 && now.saturating_sub(delivered) < min_idle {
                    continue;
                }
                meet(group, consumer, now);
                group.touch(consumer, now, true);
                group.assign(
                    id,
                    consumer,
                    now,
                    if just_id { deliveries } else { deliveries.saturating_add(1) },
                );
                claimed.push((id, Some(Taken::of(&entry))));
                left -= 1;
            }
        };
        groups.edit(name, sweep);
    }
    finish(txn, key, name, consumer, &claimed, &gone, false);
    out.array(3);
    id::reply(next, out);
    out.array(claimed.len());
    for (id, entry) in &claimed {
        match entry {
            Some(entry) if !just_id => entry.reply(out),
            _ => id::reply(*id, out),
        }
    }
    out.array(gone.len());
    gone.iter().for_each(|id| id::reply(*id, out));
    Ok(())
}
