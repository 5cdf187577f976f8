//! DEBUG forms that change something.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use replication::ReplId;
use store::{Args, CommandError, CommandResult, Expiry, Reply, ShardSet};

use super::lenient;
use crate::connection::Out;
use crate::reply::RespReply;
use crate::saving::{Reload, ReloadError};
use crate::session::{After, Ground, Session, Wait};
use crate::settings::memory_value;

/// Answers OK.
fn ok(out: &mut RespReply<'_>) -> CommandResult {
    out.simple("OK");
    Ok(())
}

pub(super) fn set_active_expire(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    session.engine.blocked_expiry.store(lenient(args.at(2)) == 0, Ordering::Relaxed);
    ok(out)
}

/// Nothing that happens by itself happens: no expiry, no PING.
pub(super) fn pause_cron(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    session.engine.paused.store(lenient(args.at(2)) != 0, Ordering::Relaxed);
    ok(out)
}

/// Tables here grow segment by segment and have nothing to suspend.
pub(super) fn dict_resizing(
    _: &mut Session,
    _: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    ok(out)
}

/// What is not freed here would be a leak to no test: the answer alone matters.
pub(super) fn leak(_: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    ok(out)
}

pub(super) fn log(
    _: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(args.at(2)));
    ok(out)
}

/// Stops every read and write of data for some seconds, as a busy real server would.
pub(super) fn sleep(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    let seconds = store::number::parse_f64(args.at(2)).filter(|s| *s > 0.0).unwrap_or(0.0);
    let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO);
    match ground {
        Ground::Free => {
            session.engine.transact(&ShardSet::everything(), session.db, |_| std::thread::sleep(time));
        }
        _ => std::thread::sleep(time),
    }
    // Whoever kept the time may have waited, too.
    session.engine.tick();
    ok(out)
}

pub(super) fn change_repl_id(
    session: &mut Session,
    _: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    if matches!(ground, Ground::Txn(_)) {
        return Err(CommandError::err("DEBUG CHANGE-REPL-ID cannot be part of a transaction here"));
    }
    let mut writing = session.engine.writing.lock();
    writing.primary.change_id(ReplId::random());
    writing.primary.forget_previous();
    if session.engine.is_writable() {
        session.engine.publish_position(writing.primary.position());
    }
    drop(writing);
    ok(out)
}

pub(super) fn replicate(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    match ground {
        Ground::Txn(txn) => {
            txn.select(session.db);
            txn.rewrite(args.from(2));
        }
        _ if session.engine.is_writable() => {
            session.engine.transact(&ShardSet::none(), session.db, |txn| txn.rewrite(args.from(2)));
        }
        _ => return Err(CommandError::err("this server has no stream of its own")),
    }
    ok(out)
}

pub(super) fn packed_threshold(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let size = memory_value(args.at(2)).filter(|size| (0..4 << 30).contains(size));
    let size =
        size.ok_or(CommandError::err("argument must be a memory value bigger than 1 and smaller than 4gb"))?;
    session.engine.keyspace.limits().set_packed_threshold(if size == 0 { 1 << 30 } else { size });
    ok(out)
}

pub(super) fn skip_checksum(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    session.engine.keyspace.limits().set_skip_checksum(lenient(args.at(2)) != 0);
    ok(out)
}

/// Keys made at a time, between which others get their turn.
const PORTION: u64 = 1000;

/// Makes keys `prefix:0`, `prefix:1` and so on, where there is none. Replicas are not told.
pub(super) fn populate(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    const RANGE: CommandError = CommandError::err("value is out of range, must be positive");
    let positive = |i: usize| args.int(i).ok().and_then(|n| u64::try_from(n).ok()).ok_or(RANGE);
    let count = positive(2)?;
    let size = if args.len() > 4 { positive(4)? } else { 0 };
    let prefix = if args.len() > 3 { args.at(3) } else { b"key" };
    if i64::try_from(size).is_ok_and(|size| size > session.engine.keyspace.limits().max_bulk()) {
        return Err(RANGE);
    }
    if !session.engine.is_writable() {
        return Err(CommandError::coded("READONLY You can't write against a read only replica."));
    }
    let key = |n: u64| [prefix, b":", n.to_string().as_bytes()].concat();
    let make = |txn: &mut store::Txn<'_>, n: u64| -> CommandResult {
        let key = key(n);
        if txn.exists(&key) {
            return Ok(());
        }
        let mut value = format!("value:{n}").into_bytes();
        if let Some(size) = usize::try_from(size).ok().filter(|size| *size > 0) {
            value.resize(size, 0);
        }
        txn.set_string(&key, &value, Expiry::Never)
    };
    if let Ground::Txn(txn) = ground {
        txn.select(session.db);
        (0..count).try_for_each(|n| make(txn, n))?;
        return ok(out);
    }
    let mut from = 0;
    while from < count {
        let portion = from..count.min(from + PORTION);
        from = portion.end;
        let mut set = ShardSet::none();
        portion.clone().for_each(|n| set.add(&session.engine.keyspace, session.db, &key(n)));
        session.engine.transact(&set, session.db, |txn| portion.clone().try_for_each(|n| make(txn, n)))?;
    }
    ok(out)
}

/// Through a dump and back, with no write in between.
pub(super) fn reload(
    session: &mut Session,
    args: Args<'_>,
    _: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    let mut how = Reload { save: true, flush: true, merge: false };
    for option in args.from(2) {
        match option.to_ascii_lowercase().as_slice() {
            b"merge" => how.merge = true,
            b"noflush" => how.flush = false,
            b"nosave" => how.save = false,
            _ => {
                return Err(CommandError::err(
                    "DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
                ));
            }
        }
    }
    if !matches!(ground, Ground::Free) {
        return Err(CommandError::err("DEBUG RELOAD cannot be part of a transaction here"));
    }
    let engine = Arc::clone(&session.engine);
    if !how.save && !engine.is_writable() {
        return Err(CommandError::err("DEBUG RELOAD NOSAVE would make this replica differ from its primary"));
    }
    session.after = After::Wait(Wait(Box::pin(async move {
        let Ok(turn) = Arc::clone(&engine.syncs.turn).acquire_owned().await else { return Vec::new() };
        let tells_of_logs = engine.compat().differences().reload_tells_of_logs;
        let reloaded = tokio::task::spawn_blocking(move || {
            let reloaded = engine.reload(how);
            drop(turn);
            reloaded
        });
        match reloaded.await {
            Ok(Ok(())) => b"+OK\r\n".to_vec(),
            Ok(Err(error @ ReloadError::Save(_))) => format!("-ERR {error}\r\n").into_bytes(),
            failed => {
                tracing::error!(?failed, "no reload");
                let logs = if tells_of_logs { ", check server logs." } else { "" };
                format!("-ERR Error trying to load the RDB dump{logs}\r\n").into_bytes()
            }
        }
    })));
    Ok(())
}
