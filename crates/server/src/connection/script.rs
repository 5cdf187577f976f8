//! EVAL and SCRIPT.

use store::command::Flags;
use store::{Args, CommandError, CommandResult, Reply};

use super::{RUNS_SCRIPT, rows, unknown_subcommand};
use crate::reply::RespReply;
use crate::scripts::{self, Mode, Script, Which};
use crate::session::{Ground, Session};

rows! { "scripting";
    /// Executes a server-side Lua script.
    "eval" -3 [Flags::NOSCRIPT, Flags::STALE, Flags::MAY_REPLICATE, Flags::MOVABLE_KEYS, RUNS_SCRIPT], since "2.6.0", cost "Depends on the script that is executed." => eval;
    /// Executes a read-only server-side Lua script.
    "eval_ro" -3 [Flags::NOSCRIPT, Flags::STALE, Flags::MOVABLE_KEYS, RUNS_SCRIPT], since "7.0.0", cost "Depends on the script that is executed." => eval_ro;
    /// Executes a server-side Lua script by SHA1 digest.
    "evalsha" -3 [Flags::NOSCRIPT, Flags::STALE, Flags::MAY_REPLICATE, Flags::MOVABLE_KEYS, RUNS_SCRIPT], since "2.6.0", cost "Depends on the script that is executed." => evalsha;
    /// Executes a read-only server-side Lua script by SHA1 digest.
    "evalsha_ro" -3 [Flags::NOSCRIPT, Flags::STALE, Flags::MOVABLE_KEYS, RUNS_SCRIPT], since "7.0.0", cost "Depends on the script that is executed." => evalsha_ro;
    /// A container for Lua scripts management commands.
    "script" -2 [Flags::CONTAINER], since "2.6.0", cost "Depends on subcommand." => unknown_subcommand;
    /// Determines whether server-side Lua scripts exist in the script cache.
    "script|exists" -3 [Flags::NOSCRIPT], since "2.6.0", cost "O(N) with N being the number of scripts to check (so checking a single script is an O(1) operation)." => exists;
    /// Removes all server-side Lua scripts from the script cache.
    "script|flush" -2 [Flags::NOSCRIPT, Flags::MAY_REPLICATE], since "2.6.0", cost "O(N) with N being the number of scripts in cache" => flush;
    /// Terminates a server-side Lua script during execution.
    "script|kill" 2 [Flags::NOSCRIPT], since "2.6.0", cost "O(1)" => kill;
    /// Loads a server-side Lua script to the script cache.
    "script|load" 3 [Flags::NOSCRIPT, Flags::STALE, Flags::MAY_REPLICATE], since "2.6.0", cost "O(N) with N being the length in bytes of the script body." => load;
}

fn refuse(error: &lua::Error) -> CommandError {
    CommandError::Coded(String::from_utf8_lossy(&error.line()).into_owned().into())
}

fn run(
    session: &Session,
    which: Which<'_>,
    args: Args<'_>,
    mode: Mode,
    out: &mut RespReply<'_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    let keys = args.int(2)?;
    if keys > i64::try_from(args.len() - 3).unwrap_or(i64::MAX) {
        return Err(CommandError::err("Number of keys can't be greater than number of args"));
    }
    let keys = usize::try_from(keys).map_err(|_| CommandError::err("Number of keys can't be negative"))?;
    let (keys, argv) = args.from(3).split_at(keys);
    let script = Script { which, keys, argv, mode };
    scripts::run(&session.engine, script, session.db, out, ground).map_err(|error| refuse(&error))
}

fn eval(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    run(session, Which::Source(args.at(1)), args, Mode::May, out, ground)
}

fn eval_ro(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    run(session, Which::Source(args.at(1)), args, Mode::ReadOnly, out, ground)
}

fn evalsha(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    run(session, Which::Digest(args.at(1)), args, Mode::May, out, ground)
}

fn evalsha_ro(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    run(session, Which::Digest(args.at(1)), args, Mode::ReadOnly, out, ground)
}

fn load(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let digest =
        session.engine.scripts.with(|engine| engine.load(args.at(2))).map_err(|error| refuse(&error))?;
    out.bulk(digest.as_bytes());
    Ok(())
}

fn exists(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    out.encoder().array(args.len() - 2);
    for digest in args.from(2) {
        out.integer(session.engine.scripts.known().exists(digest).into());
    }
    Ok(())
}

fn flush(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    if args.len() > 3 || args.len() == 3 && !args.is(2, "sync") && !args.is(2, "async") {
        return Err(CommandError::err("SCRIPT FLUSH only support SYNC|ASYNC option"));
    }
    session.engine.scripts.known().flush();
    out.simple("OK");
    Ok(())
}

fn kill(
    session: &mut Session,
    _: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    if session.engine.scripts.kill() == 0 {
        return Err(CommandError::coded("NOTBUSY No scripts in execution right now."));
    }
    out.simple("OK");
    Ok(())
}
