//! CLIENT.

use std::time::Duration;

use store::command::Flags;
use store::{Args, CommandError, CommandResult, Family, Null, Reply};

use super::{LOOK, Out, client_filter, container, help, rows};
use crate::session::{After, Ground, Replies, Session};

rows! { "connection";
    /// A container for client connection commands.
    "client" -2 [Flags::CONTAINER], since "2.4.0" => container;
    /// Returns helpful text about the different subcommands.
    "client|help" 2 [Flags::LOADING, Flags::STALE], since "5.0.0" => help;
    /// Returns the name of the connection.
    "client|getname" 2 [Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "2.6.9" => getname;
    /// Returns the unique client ID of the connection.
    "client|id" 2 [Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "5.0.0" => id;
    /// Returns information about the connection.
    "client|info" 2 [Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "6.2.0" => info;
    /// Terminates open connections.
    "client|kill" -3 [Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "2.4.0" => kill;
    /// Lists open connections.
    "client|list" -2 [Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "2.4.0" => list;
    /// Sets information specific to the client or connection.
    "client|setinfo" 4 [Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "7.2.0" => setinfo;
    /// Sets the connection name.
    "client|setname" 3 [Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "2.6.9" => setname;
    "client|capa" -3 [LOOK], valkey "8.0.0" => capa;
    "client|import-source" 3 [LOOK], valkey "8.1.0" => import_source;
    "client|pause" -3 [Flags::ADMIN, LOOK], since "3.0.0" => pause;
    "client|reply" 3 [LOOK], since "3.2.0" => reply;
    "client|unpause" 2 [Flags::ADMIN, LOOK], since "6.2.0" => unpause;
    /// Unblocks a client blocked by a blocking command from a different connection.
    "client|unblock" -3 [Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "5.0.0" => unblock;
    /// Controls whether commands sent by the client affect the LRU/LFU of accessed keys.
    "client|no-touch" 3 [Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "7.2.0" => no_touch;
    /// Sets the client eviction mode of the connection.
    "client|no-evict" 3 [Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "7.0.0" => no_evict;
}

/// A name without spaces and control characters.
pub(super) fn checked_name(name: &[u8]) -> Result<Vec<u8>, CommandError> {
    if name.iter().all(|b| (b'!'..=b'~').contains(b)) {
        return Ok(name.to_vec());
    }
    Err(CommandError::err("Client names cannot contain spaces, newlines or special characters."))
}

fn getname(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    match session.engine.clients.get(session.id).map(|client| client.name).filter(|name| !name.is_empty()) {
        Some(name) => out.bulk(&name),
        None => out.null(Null::Bulk),
    }
    Ok(())
}

fn setname(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let name = checked_name(args.at(2))?;
    session.engine.clients.update(session.id, |client| client.name = name);
    out.simple("OK");
    Ok(())
}

fn setinfo(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let (option, value) = (args.at(2), args.at(3).to_vec());
    let shown = String::from_utf8_lossy(option).into_owned();
    if !value.iter().all(|b| (b'!'..=b'~').contains(b)) {
        let text = format!("{shown} cannot contain spaces, newlines or special characters.");
        return Err(CommandError::Err(text.into()));
    }
    if args.is(2, "lib-name") {
        session.engine.clients.update(session.id, |client| client.library = value);
    } else if args.is(2, "lib-ver") {
        session.engine.clients.update(session.id, |client| client.library_version = value);
    } else {
        return Err(CommandError::Err(format!("Unrecognized option '{shown}'").into()));
    }
    out.simple("OK");
    Ok(())
}

fn no_touch(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    session.no_touch = match () {
        () if args.is(2, "on") => true,
        () if args.is(2, "off") => false,
        () => return Err(CommandError::Syntax),
    };
    out.simple("OK");
    Ok(())
}

fn no_evict(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let on = args.is(2, "on");
    if !on && !args.is(2, "off") {
        return Err(CommandError::Syntax);
    }
    session.engine.clients.update(session.id, |client| client.no_evict = on);
    out.simple("OK");
    Ok(())
}

/// What is not known means nothing.
fn capa(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    if args.from(2).iter().any(|name| name.eq_ignore_ascii_case(b"redirect")) {
        session.engine.clients.update(session.id, |client| client.capabilities = "r");
    }
    out.simple("OK");
    Ok(())
}

fn import_source(_: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    match () {
        () if args.is(2, "on") => Err(CommandError::err("Server is not in import mode")),
        () if args.is(2, "off") => {
            out.simple("OK");
            Ok(())
        }
        () => Err(CommandError::err("Server is not in import mode")),
    }
}

fn pause(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let all = match args.len() {
        3 => true,
        4 if args.is(3, "all") => true,
        4 if args.is(3, "write") => false,
        4 => return Err(CommandError::err("CLIENT PAUSE mode must be WRITE or ALL")),
        _ => return Err(CommandError::subcommand_syntax(args)),
    };
    let millis = args.int(2).map_err(|_| CommandError::err("timeout is not an integer or out of range"))?;
    let millis = u64::try_from(millis).map_err(|_| CommandError::err("timeout is negative"))?;
    session.engine.pausing.begin(Duration::from_millis(millis), all);
    out.simple("OK");
    Ok(())
}

fn unpause(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    session.engine.pausing.end();
    out.simple("OK");
    Ok(())
}

fn reply(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    match () {
        () if args.is(2, "on") => {
            session.set_replies(Replies::On);
            out.simple("OK");
        }
        () if args.is(2, "off") => session.set_replies(Replies::Off),
        () if args.is(2, "skip") && session.replies() != Replies::Off => {
            session.set_replies(Replies::SkipNext);
        }
        () if args.is(2, "skip") => {}
        () => return Err(CommandError::Syntax),
    }
    Ok(())
}

fn unblock(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let compat = session.engine.compat();
    let error = match args.get(3) {
        None => None,
        // What follows is minded by one family.
        Some(_) if args.len() > 4 && compat.family() == Family::Valkey => None,
        Some(_) if args.len() > 4 => return Err(CommandError::subcommand_syntax(args)),
        Some(_) if args.is(3, "timeout") => None,
        Some(_) if args.is(3, "error") => Some("UNBLOCKED client unblocked via CLIENT UNBLOCK"),
        Some(_) => return Err(CommandError::err("CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
    };
    let id = args.int(2)?;
    let done = u64::try_from(id).is_ok_and(|id| session.engine.blocked.unblock(id, error));
    out.integer(i64::from(done));
    Ok(())
}

fn id(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    out.integer(i64::try_from(session.id).unwrap_or(i64::MAX));
    Ok(())
}

fn info(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    session.note_itself("client|info");
    let line = session
        .engine
        .clients
        .get(session.id)
        .map(|client| client.line(session.engine.compat(), false))
        .unwrap_or_default();
    out.verbatim("txt", line.as_bytes());
    Ok(())
}

fn list(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    session.note_itself("client|list");
    let engine = &session.engine;
    let wanted = client_filter::of_list(session, args)?;
    let text: String = engine
        .clients
        .list()
        .iter()
        .filter(|client| wanted.matches(client, session))
        .map(|client| client.line(engine.compat(), engine.blocked.has(client.id)))
        .collect();
    out.verbatim("txt", text.as_bytes());
    Ok(())
}

fn kill(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let clients = session.engine.clients.list();
    if args.len() == 3 {
        let compat = session.engine.compat();
        let victim = clients.iter().find(|c| c.addr.spell(compat).as_bytes() == args.at(2));
        victim.ok_or(CommandError::err("No such client"))?.stop.cancel();
        out.simple("OK");
        return Ok(());
    }
    let wanted = client_filter::of_kill(session, args)?;
    let victims: Vec<_> = clients.iter().filter(|client| wanted.matches(client, session)).collect();
    for victim in &victims {
        if victim.id == session.id {
            session.after = After::Close;
        } else {
            victim.stop.cancel();
        }
    }
    out.integer(i64::try_from(victims.len()).unwrap_or(i64::MAX));
    Ok(())
}
