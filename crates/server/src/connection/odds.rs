//! What a server is asked that it has little to say to: LOLWUT, MODULE, FAILOVER.

use store::command::Flags;
use store::{Args, CommandError, CommandResult, Compat, Family, Reply};

use super::{ADMIN, Out, container, help, rows};
use crate::session::{Ground, Session};

rows! { "server";
    "failover" -1 [Flags::ADMIN, Flags::NOSCRIPT, Flags::STALE], since "6.2.0" => failover;
    "lolwut" -1 [Flags::FAST], since "5.0.0" => lolwut;
    "module" -2 [Flags::CONTAINER], since "4.0.0" => container;
    "module|help" 2 [Flags::LOADING, Flags::STALE], since "5.0.0" => help;
    "module|list" 2 [Flags::ADMIN, Flags::NOSCRIPT], since "4.0.0" => modules;
    "module|load" -3 [ADMIN], since "4.0.0" => module;
    "module|loadex" -3 [ADMIN], since "7.0.0" => module;
    "module|unload" 3 [ADMIN], since "4.0.0" => module;
}

/// None can be loaded.
fn modules(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    list_modules(session.engine.compat(), out);
    Ok(())
}

/// As MODULE LIST and HELLO do: the one that is built in, where scripts are a module.
pub(super) fn list_modules(compat: Compat, out: Out<'_, '_>) {
    if !compat.differences().scripts_are_a_module {
        return out.encoder().array(0);
    }
    out.encoder().array(1);
    out.encoder().map(4);
    out.bulk(b"name");
    out.bulk(b"lua");
    out.bulk(b"ver");
    out.integer(1);
    out.bulk(b"path");
    out.bulk(b"lua");
    out.bulk(b"args");
    out.encoder().array(0);
}

fn module(_: &mut Session, _: Args<'_>, _: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    Err(CommandError::err(
        "MODULE command not allowed. If the enable-module-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
    ))
}

/// Handing over to a replica is not possible here: what is asked wrongly is told as everywhere, the rest as it is.
fn failover(session: &mut Session, args: Args<'_>, _: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    if args.is(1, "abort") && args.len() == 2 {
        return Err(CommandError::err("No failover in progress."));
    }
    let (mut at, mut to, mut force, mut timeout) = (1, false, false, false);
    while at < args.len() {
        if args.is(at, "to") && at + 2 < args.len() && !to {
            args.int(at + 2)?;
            (to, at) = (true, at + 2);
        } else if args.is(at, "timeout") && at + 1 < args.len() && !timeout {
            if args.int(at + 1)? <= 0 {
                return Err(CommandError::err("FAILOVER timeout must be greater than 0"));
            }
            (timeout, at) = (true, at + 1);
        } else if args.is(at, "force") && !force {
            force = true;
        } else {
            return Err(CommandError::Syntax);
        }
        at += 1;
    }
    let engine = &session.engine;
    Err(CommandError::err(match () {
        () if !engine.is_writable() => "FAILOVER is not valid when server is a replica.",
        () if engine.replicas.is_empty() => "FAILOVER requires connected replicas.",
        () if force && (!timeout || !to) => {
            "FAILOVER with force option requires both a timeout and target HOST and IP."
        }
        () => "FAILOVER is not supported by this server.",
    }))
}

/// A pattern of our own, and the version.
fn lolwut(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    if args.len() > 2 && args.is(1, "version") {
        args.int(2)?;
    }
    let personality = session.engine.compat().differences();
    let server = match personality.family {
        Family::Redis => "Redis",
        Family::Valkey => "Valkey",
    };
    // Rule 90, from one cell: each line is the one above, exclusive-or its neighbours.
    let mut cells = 1_u64 << 32;
    let mut text = String::new();
    for _ in 0..16 {
        text.extend((16..49).map(|bit| if cells >> bit & 1 == 1 { '*' } else { ' ' }));
        text.truncate(text.trim_end().len());
        text.push('\n');
        cells = (cells << 1) ^ (cells >> 1);
    }
    text.push_str(&format!("\n{server} ver. {}\n", personality.version));
    out.verbatim("txt", text.as_bytes());
    Ok(())
}
