//! CLIENT.

use store::command::Flags;
use store::{Args, CommandError, CommandResult, Null, Reply};

use super::{container, help, rows};
use crate::reply::RespReply;
use crate::session::{Ground, Session};

rows! { "connection";
    /// A container for client connection commands.
    "client" -2 [Flags::CONTAINER], since "2.4.0", cost "Depends on subcommand." => container;
    /// Returns helpful text about the different subcommands.
    "client|help" 2 [Flags::LOADING, Flags::STALE], since "5.0.0", cost "O(1)" => help;
    /// Returns the name of the connection.
    "client|getname" 2 [Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "2.6.9", cost "O(1)" => getname;
    /// Returns the unique client ID of the connection.
    "client|id" 2 [Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "5.0.0", cost "O(1)" => id;
    /// Returns information about the connection.
    "client|info" 2 [Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "6.2.0", cost "O(1)" => info;
    /// Terminates open connections.
    "client|kill" -3 [Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "2.4.0", cost "O(N) where N is the number of client connections" => kill;
    /// Lists open connections.
    "client|list" -2 [Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "2.4.0", cost "O(N) where N is the number of client connections" => list;
    /// Sets information specific to the client or connection.
    "client|setinfo" 4 [Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "7.2.0", cost "O(1)" => setinfo;
    /// Sets the connection name.
    "client|setname" 3 [Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "2.6.9", cost "O(1)" => setname;
    /// Unblocks a client blocked by a blocking command from a different connection.
    "client|unblock" -3 [Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "5.0.0", cost "O(log N) where N is the number of client connections" => unblock;
    /// Sets the client eviction mode of the connection.
    "client|no-evict" 3 [Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "7.0.0", cost "O(1)" => no_evict;
}

/// A name without spaces and control characters.
pub(super) fn checked_name(name: &[u8]) -> Result<Vec<u8>, CommandError> {
    if name.iter().all(|b| (b'!'..=b'~').contains(b)) {
        return Ok(name.to_vec());
    }
    Err(CommandError::err("Client names cannot contain spaces, newlines or special characters."))
}

fn getname(
    session: &mut Session,
    _: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    match session.engine.clients.get(session.id).map(|client| client.name).filter(|name| !name.is_empty()) {
        Some(name) => out.bulk(&name),
        None => out.null(Null::Bulk),
    }
    Ok(())
}

fn setname(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let name = checked_name(args.at(2))?;
    session.engine.clients.update(session.id, |client| client.name = name);
    out.simple("OK");
    Ok(())
}

fn setinfo(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
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

fn no_evict(
    _: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    if !args.is(2, "on") && !args.is(2, "off") {
        return Err(CommandError::Syntax);
    }
    out.simple("OK");
    Ok(())
}

fn unblock(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let error = match args.get(3) {
        None => None,
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

fn id(session: &mut Session, _: Args<'_>, out: &mut RespReply<'_>, _: &mut Ground<'_, '_>) -> CommandResult {
    out.integer(i64::try_from(session.id).unwrap_or(i64::MAX));
    Ok(())
}

fn info(
    session: &mut Session,
    _: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let line = session.engine.clients.get(session.id).map(|client| client.line(false)).unwrap_or_default();
    out.verbatim("txt", line.as_bytes());
    Ok(())
}

fn list(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let clients = session.engine.clients.list();
    let wanted: Box<dyn Fn(&crate::clients::Client) -> bool> = match args.len() {
        2 => Box::new(|_| true),
        4 if args.is(2, "type") => match args.at(3).to_ascii_lowercase().as_slice() {
            b"normal" => Box::new(|c| !c.is_replica),
            b"replica" | b"slave" => Box::new(|c| c.is_replica),
            b"pubsub" => Box::new(|c| c.listens != (0, 0, 0)),
            b"master" => Box::new(|_| false),
            other => {
                let other = String::from_utf8_lossy(other).into_owned();
                return Err(CommandError::Err(format!("Unknown client type '{other}'").into()));
            }
        },
        n if n >= 4 && args.is(2, "id") => {
            let ids: Result<Vec<i64>, _> = (3..n).map(|i| args.int(i)).collect();
            let ids = ids.map_err(|_| CommandError::err("Invalid client ID"))?;
            Box::new(move |c| ids.iter().any(|id| u64::try_from(*id).is_ok_and(|id| id == c.id)))
        }
        _ => return Err(CommandError::Syntax),
    };
    let blocked = &session.engine.blocked;
    let text: String = clients.iter().filter(|c| wanted(c)).map(|c| c.line(blocked.has(c.id))).collect();
    out.verbatim("txt", text.as_bytes());
    Ok(())
}

fn kill(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let clients = session.engine.clients.list();
    if args.len() == 3 {
        let victim = clients.iter().find(|c| c.addr.to_string().as_bytes() == args.at(2));
        victim.ok_or(CommandError::err("No such client"))?.stop.cancel();
        out.simple("OK");
        return Ok(());
    }
    if args.len().is_multiple_of(2) {
        let mut victims = clients;
        let mut spare_me = true;
        for i in (2..args.len()).step_by(2) {
            if args.is(i, "id") {
                let id = args.int(i + 1).ok().filter(|id| *id > 0).and_then(|id| u64::try_from(id).ok());
                let id = id.ok_or(CommandError::err("client-id should be greater than 0"))?;
                victims.retain(|c| c.id == id);
            } else if args.is(i, "addr") {
                victims.retain(|c| c.addr.to_string().as_bytes() == args.at(i + 1));
            } else if args.is(i, "laddr") {
                victims.retain(|c| c.local.to_string().as_bytes() == args.at(i + 1));
            } else if args.is(i, "type") {
                let replicas = args.is(i + 1, "replica") || args.is(i + 1, "slave");
                victims.retain(|c| c.is_replica == replicas);
            } else if args.is(i, "skipme") {
                spare_me = args.is(i + 1, "yes");
            } else {
                return Err(CommandError::Syntax);
            }
        }
        victims.retain(|c| !(spare_me && c.id == session.id));
        victims.iter().for_each(|c| c.stop.cancel());
        out.integer(i64::try_from(victims.len()).unwrap_or(i64::MAX));
        return Ok(());
    }
    Err(CommandError::Syntax)
}
