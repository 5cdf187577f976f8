//! EVAL and SCRIPT.

use store::command::Flags;
use store::{Args, CommandError, CommandResult, Family, Reply};

use super::{Out, RUNS_SCRIPT, container, help, rows};
use crate::reply::RespReply;
use crate::scripts::{self, Mode, Refused, Script, Which};
use crate::session::{Ground, Session};

rows! { "scripting";
    /// Executes a server-side Lua script.
    "eval" -3 [Flags::NOSCRIPT, Flags::STALE, Flags::MAY_REPLICATE, Flags::MOVABLE_KEYS, RUNS_SCRIPT], since "2.6.0" => eval;
    /// Executes a read-only server-side Lua script.
    "eval_ro" -3 [Flags::NOSCRIPT, Flags::STALE, Flags::MOVABLE_KEYS, RUNS_SCRIPT], since "7.0.0" => eval_ro;
    /// Executes a server-side Lua script by SHA1 digest.
    "evalsha" -3 [Flags::NOSCRIPT, Flags::STALE, Flags::MAY_REPLICATE, Flags::MOVABLE_KEYS, RUNS_SCRIPT], since "2.6.0" => evalsha;
    /// Executes a read-only server-side Lua script by SHA1 digest.
    "evalsha_ro" -3 [Flags::NOSCRIPT, Flags::STALE, Flags::MOVABLE_KEYS, RUNS_SCRIPT], since "7.0.0" => evalsha_ro;
    /// A container for Lua scripts management commands.
    "script" -2 [Flags::CONTAINER], since "2.6.0" => container;
    /// Returns helpful text about the different subcommands.
    "script|help" 2 [Flags::LOADING, Flags::STALE], since "5.0.0" => help;
    /// Sets the debug mode of server-side Lua scripts.
    "script|debug" 3 [Flags::NOSCRIPT], since "3.2.0" valkey "3.2.0" => debug;
    /// Determines whether server-side Lua scripts exist in the script cache.
    "script|exists" -3 [Flags::NOSCRIPT], since "2.6.0" => exists;
    /// Removes all server-side Lua scripts from the script cache.
    "script|flush" -2 [Flags::NOSCRIPT, Flags::MAY_REPLICATE], since "2.6.0" => flush;
    /// Terminates a server-side Lua script during execution.
    "script|kill" 2 [Flags::NOSCRIPT], since "2.6.0" => kill;
    /// Loads a server-side Lua script to the script cache.
    "script|load" 3 [Flags::NOSCRIPT, Flags::STALE, Flags::MAY_REPLICATE], since "2.6.0" => load;
    /// Show server-side Lua script in the script cache.
    "script|show" 3 [Flags::NOSCRIPT], valkey "8.0.0" => show;
}

fn refuse(session: &Session, error: &lua::Error) -> CommandError {
    if *error == lua::Error::NoScript {
        return CommandError::coded(session.engine.scripts.no_script());
    }
    CommandError::Raw(error.line().into())
}

/// What messages call this server.
pub(super) fn server_name(session: &Session) -> &'static str {
    match session.engine.compat().family() {
        Family::Redis => "Redis",
        Family::Valkey => "Valkey",
    }
}

/// Runs a script or function with the keys and arguments of the command.
pub(super) fn run(
    session: &mut Session,
    which: Which<'_>,
    args: Args<'_>,
    mode: Mode,
    out: &mut RespReply<'_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    let count = args.int(2);
    let keys = match which {
        Which::Function(name) => {
            // A function is looked for first, and has words of its own.
            if session.engine.scripts.functions().find(name).is_none() {
                return Err(refuse(session, &lua::Error::NoFunction));
            }
            count.map_err(|_| CommandError::err("Bad number of keys provided"))?
        }
        Which::Source(_) | Which::Digest(_) => count?,
    };
    if keys > i64::try_from(args.len() - 3).unwrap_or(i64::MAX) {
        return Err(CommandError::err("Number of keys can't be greater than number of args"));
    }
    let keys = usize::try_from(keys).map_err(|_| CommandError::err("Number of keys can't be negative"))?;
    let (keys, argv) = args.from(3).split_at(keys);
    // Brought up to date; from here on it is only looked at, without a count of its own.
    session.current_user();
    let session = &*session;
    let script = Script {
        which,
        keys,
        argv,
        mode,
        user: Some(&session.user),
        client: session.id,
        tracks: session.tracks_reads(),
        start: session.start(),
        command: args.all(),
        rehearses: false,
    };
    scripts::run(&session.engine, script, session.db, out, ground).map_err(|refused| match refused {
        Refused::Script(error) => refuse(session, &error),
        Refused::Line(line) => CommandError::coded(line),
        Refused::Command(error) => error,
        Refused::Busy => session.engine.busy(),
    })
}

/// The script that EVALSHA names.
fn digest(session: &Session, args: Args<'_>) -> Result<Which<'static>, CommandError> {
    if args.at(1).len() != 40 {
        return Err(refuse(session, &lua::Error::NoScript));
    }
    Ok(Which::Digest(lua::Digest::from_hex(args.at(1))))
}

fn eval(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    run(session, Which::Source(args.at(1)), args, Mode::May, out, ground)
}

fn eval_ro(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    run(session, Which::Source(args.at(1)), args, Mode::ReadOnly, out, ground)
}

fn evalsha(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    run(session, digest(session, args)?, args, Mode::May, out, ground)
}

fn evalsha_ro(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    run(session, digest(session, args)?, args, Mode::ReadOnly, out, ground)
}

fn load(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let digest = session
        .engine
        .scripts
        .with(|engine| engine.load(args.at(2)))
        .map_err(|error| refuse(session, &error))?;
    out.bulk(digest.as_bytes());
    Ok(())
}

fn exists(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    out.encoder().array(args.len() - 2);
    for digest in args.from(2) {
        out.integer(session.engine.scripts.known().exists(digest).into());
    }
    Ok(())
}

fn flush(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    if args.len() > 3 || args.len() == 3 && !args.is(2, "sync") && !args.is(2, "async") {
        return Err(CommandError::err("SCRIPT FLUSH only support SYNC|ASYNC option"));
    }
    session.engine.scripts.flush();
    out.simple("OK");
    Ok(())
}

fn kill(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    session.engine.scripts.running.kill(false, server_name(session))?;
    out.simple("OK");
    Ok(())
}

fn show(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let scripts = session.engine.scripts.known();
    let found = lua::Digest::from_hex(args.at(2)).and_then(|digest| scripts.find(digest));
    out.bulk(found.ok_or_else(|| refuse(session, &lua::Error::NoScript))?.source());
    Ok(())
}

/// There is no debugger: it can be off.
fn debug(_: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    if args.is(2, "no") {
        out.simple("OK");
        Ok(())
    } else if args.is(2, "yes") || args.is(2, "sync") {
        Err(CommandError::err("the Lua debugger is not available"))
    } else {
        Err(CommandError::err("Use SCRIPT DEBUG YES/SYNC/NO"))
    }
}
