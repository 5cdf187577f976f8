//! XGROUP and XACK.

use super::id;
use crate::args::{Args, in_text};
use crate::compat::Lag;
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::reply::Reply;
use crate::txn::Txn;
use crate::value::Stream;
use crate::value::stream::{Group, StreamId};

/// The error for a group that is not there.
pub(super) fn no_group(key: &[u8], group: &[u8], what: &str) -> CommandError {
    let (key, group) = (in_text(key), in_text(group));
    CommandError::Coded(
        match what {
            "" => format!("NOGROUP No such key '{key}' or consumer group '{group}'"),
            "xgroup" => format!("NOGROUP No such consumer group '{group}' for key name '{key}'"),
            what => format!("NOGROUP No such key '{key}' or consumer group '{group}' {what}"),
        }
        .into(),
    )
}

const NO_KEY: CommandError = CommandError::err(
    "The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.",
);

pub(super) fn xack(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, name) = (args.at(1), args.at(2));
    txn.reap(key);
    if txn.typed::<Stream>(key)?.and_then(|stream| stream.groups.get(name)).is_none() {
        out.integer(0);
        return Ok(());
    }
    let ids: Vec<StreamId> = args.from(3).iter().map(|text| id::strict(text, 0)).collect::<Result<_, _>>()?;
    let mut done = 0;
    if let Some(mut stream) = txn.typed_mut::<Stream>(key)? {
        let count = |group: &mut Group| ids.into_iter().filter(|id| group.acknowledge(*id)).count();
        done = stream.groups.edit(name, count).unwrap_or(0);
    }
    if done > 0 {
        txn.changed_quietly();
    }
    out.count(done);
    Ok(())
}

/// An id or `$`.
fn position(stream: Option<&Stream>, text: &[u8]) -> Result<StreamId, CommandError> {
    if text == b"$" {
        Ok(stream.map_or(crate::value::stream::MIN_ID, |stream| stream.log.last_id))
    } else {
        id::strict(text, 0)
    }
}

/// The options of CREATE and SETID: whether to make the stream, and how many entries were read.
fn options(args: Args<'_>, is_create: bool) -> Result<(bool, Option<u64>), CommandError> {
    let (mut make, mut read, mut i) = (false, None, 5);
    while i < args.len() {
        if is_create && args.is(i, "mkstream") {
            make = true;
            i += 1;
        } else if args.is(i, "entriesread") && i + 1 < args.len() {
            let n = args.int(i + 1)?;
            if n < -1 {
                return Err(CommandError::err("value for ENTRIESREAD must be positive or -1"));
            }
            read = u64::try_from(n).ok();
            i += 2;
        } else {
            return Err(bad_subcommand("XGROUP", args));
        }
    }
    Ok((make, read))
}

/// The error for arguments that a subcommand does not know.
pub(super) fn bad_subcommand(container: &str, args: Args<'_>) -> CommandError {
    let name = String::from_utf8_lossy(args.at(1));
    let text = format!("unknown subcommand or wrong number of arguments for '{name}'. Try {container} HELP.");
    CommandError::Err(text.into())
}

pub(super) fn create(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, name) = (args.at(2), args.at(3));
    let (make, read) = options(args, true)?;
    txn.reap(key);
    let stream = txn.typed::<Stream>(key)?;
    if stream.is_none() && !make {
        return Err(NO_KEY);
    }
    if args.len() > 8 {
        return Err(bad_subcommand("XGROUP", args));
    }
    let last_id = position(stream, args.at(4))?;
    if stream.is_some_and(|stream| stream.groups.get(name).is_some()) {
        return Err(CommandError::coded("BUSYGROUP Consumer Group name already exists"));
    }
    let limits_read = txn.differences().lag == Lag::Redis8;
    let mut stream = txn.typed_or_new::<Stream>(key)?;
    let read = if limits_read { read.map(|read| read.min(stream.log.entries_added)) } else { read };
    stream.groups.create(name, Group::new(last_id, read));
    drop(stream);
    txn.changed(Class::Stream, "xgroup-create", key);
    out.ok();
    Ok(())
}

/// Runs `f` on a group that must be there.
fn with_group<R>(
    txn: &mut Txn<'_>,
    args: Args<'_>,
    f: impl FnOnce(&mut Group, i64) -> R,
) -> Result<R, CommandError> {
    let (key, name) = (args.at(2), args.at(3));
    let now = txn.now();
    let Some(mut stream) = txn.typed_mut::<Stream>(key)? else { return Err(NO_KEY) };
    stream.groups.edit(name, |group| f(group, now)).ok_or_else(|| no_group(key, name, "xgroup"))
}

pub(super) fn set_id(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(2);
    let (_, read) = options(args, false)?;
    txn.reap(key);
    let stream = txn.typed::<Stream>(key)?.ok_or(NO_KEY)?;
    if stream.groups.get(args.at(3)).is_none() {
        return Err(no_group(key, args.at(3), "xgroup"));
    }
    // Here, and not in CREATE, `-` and `+` are ids.
    let last_id = match args.at(4) {
        b"-" | b"+" => id::bound(args.at(4), 0)?,
        text => position(Some(stream), text)?,
    };
    let added = stream.log.entries_added;
    let read = if txn.differences().lag == Lag::Redis8 { read.map(|read| read.min(added)) } else { read };
    with_group(txn, args, |group, _| {
        group.last_id = last_id;
        group.entries_read = read;
    })?;
    txn.changed(Class::Stream, "xgroup-setid", key);
    out.ok();
    Ok(())
}

pub(super) fn destroy(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(2);
    let gone = match txn.typed_mut::<Stream>(key)? {
        None => return Err(NO_KEY),
        Some(mut stream) => stream.groups.destroy(args.at(3)),
    };
    if gone {
        txn.changed(Class::Stream, "xgroup-destroy", key);
    }
    out.integer(gone.into());
    Ok(())
}

pub(super) fn create_consumer(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let made = with_group(txn, args, |group, now| group.create_consumer(args.at(4), now))?;
    if made {
        txn.changed(Class::Stream, "xgroup-createconsumer", args.at(2));
    }
    out.integer(made.into());
    Ok(())
}

pub(super) fn delete_consumer(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let gone = with_group(txn, args, |group, _| group.delete_consumer(args.at(4)))?;
    if gone.is_some() {
        txn.changed(Class::Stream, "xgroup-delconsumer", args.at(2));
    }
    out.count(gone.unwrap_or(0));
    Ok(())
}
