//! MULTI, EXEC and WATCH.

use store::command::Flags;
use store::{Args, CommandError, CommandResult};

use super::{CONTROLS_TRANSACTION, Out, rows};
use crate::reply::RespReply;
use crate::session::{Ground, Session};

rows! { "transactions";
    /// Discards a transaction.
    "discard" 1 [Flags::FAST, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT, CONTROLS_TRANSACTION], since "2.0.0" => discard;
    /// Executes all commands in a transaction.
    "exec" 1 [Flags::LOADING, Flags::STALE, Flags::NOSCRIPT, CONTROLS_TRANSACTION], since "1.2.0" => exec;
    /// Starts a transaction.
    "multi" 1 [Flags::FAST, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT, CONTROLS_TRANSACTION], since "1.2.0" => multi;
    /// Forgets about watched keys of a transaction.
    "unwatch" 1 [Flags::FAST, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "2.2.0" => unwatch;
    /// Monitors changes to keys to determine the execution of a transaction.
    "watch" -2 [Flags::FAST, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT, CONTROLS_TRANSACTION], since "2.2.0" => watch;
}

fn ok(out: &mut RespReply<'_>) -> CommandResult {
    store::Reply::simple(out, "OK");
    Ok(())
}

fn multi(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    session.begin_transaction()?;
    ok(out)
}

fn exec(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    session.exec(out)
}

fn discard(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    if session.transaction.take().is_none() {
        return Err(CommandError::err("DISCARD without MULTI"));
    }
    session.forget_watch();
    ok(out)
}

fn watch(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    if session.transaction.is_some() {
        return Err(CommandError::err("WATCH inside MULTI is not allowed"));
    }
    let (engine, db) = (&session.engine, session.db);
    let watch = session.watch.get_or_insert_with(|| engine.watchers.begin());
    for key in args.from(1) {
        engine.watchers.add(watch, db, key, || engine.held(db, key));
    }
    if session.forward_watch(args) { Ok(()) } else { ok(out) }
}

fn unwatch(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    session.forget_watch();
    ok(out)
}
