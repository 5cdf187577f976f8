//! FUNCTION and FCALL.

use lua::Policy;
use store::command::Flags;
use store::{Args, CommandError, CommandResult, Reply, as_c_string};

use super::script::{self, server_name};
use super::{Out, RUNS_SCRIPT, container, help, rows};
use crate::functions;
use crate::scripts::{Mode, Which};
use crate::session::{Ground, Session};

rows! { "scripting";
    /// Invokes a function.
    "fcall" -3 [Flags::NOSCRIPT, Flags::STALE, Flags::MOVABLE_KEYS, RUNS_SCRIPT], since "7.0.0" valkey "7.0.0" => fcall;
    /// Invokes a read-only function.
    "fcall_ro" -3 [Flags::NOSCRIPT, Flags::STALE, Flags::MOVABLE_KEYS, RUNS_SCRIPT], since "7.0.0" valkey "7.0.0" => fcall_ro;
    /// A container for function commands.
    "function" -2 [Flags::CONTAINER], since "7.0.0" valkey "7.0.0" => container;
    /// Deletes a library and its functions.
    "function|delete" 3 [Flags::NOSCRIPT], since "7.0.0" valkey "7.0.0" => delete;
    /// Dumps all libraries into a serialized binary payload.
    "function|dump" 2 [Flags::NOSCRIPT], since "7.0.0" valkey "7.0.0" => dump;
    /// Deletes all libraries and functions.
    "function|flush" -2 [Flags::NOSCRIPT], since "7.0.0" valkey "7.0.0" => flush;
    /// Returns helpful text about the different subcommands.
    "function|help" 2 [Flags::LOADING, Flags::STALE], since "7.0.0" valkey "7.0.0" => help;
    /// Terminates a function during execution.
    "function|kill" 2 [Flags::NOSCRIPT], since "7.0.0" valkey "7.0.0" => kill;
    /// Returns information about all libraries.
    "function|list" -2 [Flags::NOSCRIPT], since "7.0.0" valkey "7.0.0" => list;
    /// Creates a library.
    "function|load" -3 [Flags::DENYOOM, Flags::NOSCRIPT], since "7.0.0" valkey "7.0.0" => load;
    /// Restores all libraries from a payload.
    "function|restore" -3 [Flags::DENYOOM, Flags::NOSCRIPT], since "7.0.0" valkey "7.0.0" => restore;
    /// Returns information about a function during execution.
    "function|stats" 2 [Flags::NOSCRIPT], since "7.0.0" valkey "7.0.0" => stats;
}

fn fcall(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    script::run(session, Which::Function(args.at(1)), args, Mode::May, out, ground)
}

fn fcall_ro(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    script::run(session, Which::Function(args.at(1)), args, Mode::ReadOnly, out, ground)
}

/// Makes a change of the libraries as the primary, and tells replicas.
fn change<R>(
    session: &Session,
    args: Args<'_>,
    ground: &mut Ground<'_, '_>,
    change: impl FnOnce() -> Result<R, CommandError>,
) -> Result<R, CommandError> {
    if !session.engine.is_writable() {
        return Err(CommandError::coded("READONLY You can't write against a read only replica."));
    }
    session.engine.tell_replicas(args, ground, change)
}

fn load(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    let mut replace = false;
    for index in 2..args.len() - 1 {
        if !args.is(index, "replace") {
            let word = as_c_string(args.at(index), usize::MAX);
            let text = format!("Unknown option given: {}", String::from_utf8_lossy(word));
            return Err(CommandError::Err(text.into()));
        }
        replace = true;
    }
    let code = args.at(args.len() - 1);
    let name = change(session, args, ground, || functions::load(&session.engine, code, replace))?;
    out.bulk(name.as_bytes());
    Ok(())
}

fn delete(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    change(session, args, ground, || functions::delete(&session.engine, args.at(2)))?;
    out.simple("OK");
    Ok(())
}

fn wrong_count(args: Args<'_>) -> CommandError {
    let name = String::from_utf8_lossy(args.at(1));
    let text = format!("unknown subcommand or wrong number of arguments for '{name}'. Try FUNCTION HELP.");
    CommandError::Err(text.into())
}

fn flush(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    if args.len() > 3 {
        return Err(wrong_count(args));
    }
    if args.len() == 3 && !args.is(2, "sync") && !args.is(2, "async") {
        return Err(CommandError::err("FUNCTION FLUSH only supports SYNC|ASYNC option"));
    }
    change(session, args, ground, || functions::flush(&session.engine))?;
    out.simple("OK");
    Ok(())
}

fn dump(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    out.bulk(&functions::dump(&session.engine)?);
    Ok(())
}

fn restore(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    if args.len() > 4 {
        return Err(wrong_count(args));
    }
    let policy = match args.get(3) {
        None => Policy::Append,
        Some(word) => functions::policy(word).ok_or_else(|| {
            CommandError::err("Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.")
        })?,
    };
    change(session, args, ground, || functions::restore(&session.engine, args.at(2), policy))?;
    out.simple("OK");
    Ok(())
}

fn list(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let (mut pattern, mut with_code, mut index) = (None, false, 2);
    while index < args.len() {
        if !with_code && args.is(index, "withcode") {
            with_code = true;
        } else if pattern.is_none() && args.is(index, "libraryname") {
            index += 1;
            let given = args.get(index);
            pattern = Some(given.ok_or_else(|| CommandError::err("library name argument was not given"))?);
        } else {
            let argument = as_c_string(args.at(index), usize::MAX);
            // Blanks for line ends: 7.0 leaves those at the end in place here, and later servers send them raw.
            let argument: Vec<u8> = argument
                .iter()
                .map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte })
                .collect();
            let text = format!("Unknown argument {}", String::from_utf8_lossy(&argument));
            return Err(CommandError::Err(text.into()));
        }
        index += 1;
    }
    let mut libraries = session.engine.scripts.functions().libraries();
    libraries.retain(|library| pattern.is_none_or(|p| store::glob::matches(p, library.name.as_bytes())));
    out.encoder().array(libraries.len());
    for library in libraries {
        out.encoder().map(if with_code { 4 } else { 3 });
        out.bulk(b"library_name");
        out.bulk(library.name.as_bytes());
        out.bulk(b"engine");
        out.bulk(b"LUA");
        out.bulk(b"functions");
        out.encoder().array(library.functions.len());
        for function in &library.functions {
            out.encoder().map(3);
            out.bulk(b"name");
            out.bulk(function.name.as_bytes());
            out.bulk(b"description");
            match &function.description {
                Some(text) => out.bulk(text),
                None => out.null(store::Null::Bulk),
            }
            out.bulk(b"flags");
            let flags: Vec<_> = function.flags.names().collect();
            out.encoder().set(flags.len());
            flags.into_iter().for_each(|flag| out.simple(flag));
        }
        if with_code {
            out.bulk(b"library_code");
            out.bulk(&library.code);
        }
    }
    Ok(())
}

fn stats(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let scripts = &session.engine.scripts;
    if scripts.running.is_script_alone() {
        return Err(scripts.running.busy(server_name(session)));
    }
    out.encoder().map(2);
    out.bulk(b"running_script");
    match scripts.running.function() {
        None => out.null(store::Null::Bulk),
        Some(function) => {
            out.encoder().map(3);
            out.bulk(b"name");
            out.bulk(function.command.get(1).map(Vec::as_slice).unwrap_or_default());
            out.bulk(b"command");
            out.encoder().array(function.command.len());
            function.command.iter().for_each(|word| out.bulk(word));
            out.bulk(b"duration_ms");
            out.integer(i64::try_from(function.millis).unwrap_or(i64::MAX));
        }
    }
    let (libraries, count) = scripts.functions().count();
    out.bulk(b"engines");
    out.encoder().map(1);
    out.bulk(b"LUA");
    out.encoder().map(2);
    out.bulk(b"libraries_count");
    out.integer(libraries as i64);
    out.bulk(b"functions_count");
    out.integer(count as i64);
    Ok(())
}

fn kill(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    session.engine.scripts.running.kill(true, server_name(session))?;
    out.simple("OK");
    Ok(())
}
