//! XSETID, and what a primary says of producers (Redis 8.6): XCFGSET and XIDMPRECORD.

use super::id;
use crate::args::Args;
use crate::command::options::within;
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::reply::Reply;
use crate::txn::Txn;
use crate::value::Stream;
use crate::value::stream::MIN_ID;
use crate::view::Viewer;

pub(super) fn xsetid(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    const TOO_SMALL: CommandError =
        CommandError::err("The ID specified in XSETID is smaller than the target stream top item");
    let key = args.at(1);
    let last = id::strict(args.at(2), 0)?;
    let (mut added, mut deleted, mut i) = (None, None, 3);
    while i < args.len() {
        if args.is(i, "entriesadded") && i + 1 < args.len() {
            let n = u64::try_from(args.int(i + 1)?);
            added = Some(n.map_err(|_| CommandError::err("entries_added must be positive"))?);
        } else if args.is(i, "maxdeletedid") && i + 1 < args.len() {
            let id = id::strict(args.at(i + 1), 0)?;
            if last < id {
                return Err(CommandError::err(
                    "The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
            deleted = Some(id);
        } else {
            return Err(CommandError::Syntax);
        }
        i += 2;
    }
    txn.reap(key);
    let minds_deleted = txn.viewer() == Viewer::Client && txn.differences().setid_minds_deleted;
    let Some(mut stream) = txn.typed_mut::<Stream>(key)? else { return Err(CommandError::NoSuchKey) };
    if minds_deleted && last < stream.log.max_deleted_id {
        return Err(CommandError::err(
            "The ID specified in XSETID is smaller than current max_deleted_entry_id",
        ));
    }
    if !stream.is_empty() {
        if last < stream.log.last_live_id() {
            return Err(TOO_SMALL);
        }
        if added.is_some_and(|n| n < stream.len() as u64) {
            return Err(CommandError::err(
                "The entries_added specified in XSETID is smaller than the target stream length",
            ));
        }
    }
    let log = &mut stream.log;
    log.last_id = last;
    log.entries_added = added.unwrap_or(log.entries_added);
    log.max_deleted_id = deleted.filter(|id| *id != MIN_ID).unwrap_or(log.max_deleted_id);
    drop(stream);
    txn.changed(Class::Stream, "xsetid", key);
    out.ok();
    Ok(())
}

pub(super) fn xcfgset(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    let (mut duration, mut most, mut i) = (None, None, 2);
    while i < args.len() {
        let (setting, greatest) = if args.is(i, "idmp-duration") && i + 1 < args.len() {
            (&mut duration, 86_400)
        } else if args.is(i, "idmp-maxsize") && i + 1 < args.len() {
            (&mut most, 10_000)
        } else {
            return Err(CommandError::Syntax);
        };
        *setting = u64::try_from(within(args.at(i + 1), 1, greatest, "value is out of range")?).ok();
        i += 2;
    }
    txn.reap(key);
    let Some(mut stream) = txn.typed_mut::<Stream>(key)? else { return Err(CommandError::NoSuchKey) };
    let changed = stream.producers.get_or_insert_default().configure(duration, most);
    drop(stream);
    if changed {
        txn.changed(Class::Stream, "xcfgset", key);
    }
    out.ok();
    Ok(())
}

pub(super) fn xidmprecord(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, producer, name) = (args.at(1), args.at(2), args.at(3));
    let id = id::strict(args.at(4), 0)?;
    txn.reap(key);
    let Some(mut stream) = txn.typed_mut::<Stream>(key)? else { return Err(CommandError::NoSuchKey) };
    let producers = stream.producers.get_or_insert_default();
    match producers.find(producer, name) {
        Some(known) if known == id => {}
        Some(_) => {
            return Err(CommandError::err(
                "The specified IDMP producer-id/idempotent-id pair maps to a different stream ID",
            ));
        }
        None => producers.record(producer, name, id),
    }
    drop(stream);
    txn.changed(Class::Stream, "xidmprecord", key);
    out.ok();
    Ok(())
}
