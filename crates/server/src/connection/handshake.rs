//! Who speaks, in which dialect, to which database.

use resp::Protocol;
use store::command::Flags;
use store::{Args, CommandError, CommandResult, Family, Reply};

use super::{CONTROLS_TRANSACTION, NO_AUTH, Out, rows};
use crate::session::{After, Ground, Replies, Session};
use crate::upstream::Login;

rows! { "connection";
    /// Authenticates the connection.
    "auth" -2 [Flags::FAST, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT, NO_AUTH], since "1.0.0" => auth;
    /// Returns the given string.
    "echo" 2 [Flags::FAST, Flags::LOADING, Flags::STALE], since "1.0.0" => echo;
    /// Handshakes with the Redis server.
    "hello" -1 [Flags::FAST, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT, NO_AUTH], since "6.0.0" => hello;
    /// Returns the server's liveliness response.
    "ping" -1 [Flags::FAST], since "1.0.0" => ping;
    /// Closes the connection.
    "quit" -1 [Flags::FAST, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT, NO_AUTH, CONTROLS_TRANSACTION], since "1.0.0" => quit;
    /// Resets the connection.
    "reset" 1 [Flags::FAST, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT, NO_AUTH, CONTROLS_TRANSACTION], since "6.2.0" => reset;
    /// Changes the selected database.
    "select" 2 [Flags::FAST, Flags::LOADING, Flags::STALE], since "1.0.0" => select;
}

const WRONGPASS: CommandError =
    CommandError::coded("WRONGPASS invalid username-password pair or user is disabled.");

/// `words`: the user, if it was named, and the password.
fn log_in(session: &mut Session, command: &'static str, user: &[u8], words: &[&[u8]]) -> CommandResult {
    let password = words.last().copied().unwrap_or_default();
    match session.engine.acl.get(user).filter(|user| user.enabled && user.has_password(password)) {
        Some(user) => {
            session.become_user(user);
            session.authenticated = true;
            session.login = Login::new(words);
            Ok(())
        }
        None => {
            session.engine.log_denial(session.id, "auth", "toplevel", command.into(), user);
            Err(WRONGPASS)
        }
    }
}

fn auth(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    match args.len() {
        2 if session.engine.acl.get(b"default").is_some_and(|user| user.no_password) => {
            return Err(CommandError::err(
                "AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
            ));
        }
        2 => log_in(session, "AUTH", b"default", &[args.at(1)])?,
        3 => log_in(session, "AUTH", args.at(1), &[args.at(1), args.at(2)])?,
        _ => return Err(CommandError::Syntax),
    }
    out.simple("OK");
    Ok(())
}

fn echo(_: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    out.bulk(args.at(1));
    Ok(())
}

fn ping(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    match args.len() {
        1 | 2 if session.is_listening() && session.protocol == Protocol::Resp2 => {
            out.encoder().array(2);
            out.bulk(b"pong");
            out.bulk(args.at(1));
        }
        1 => out.simple("PONG"),
        2 => out.bulk(args.at(1)),
        _ => return Err(CommandError::Arity("ping".into())),
    }
    Ok(())
}

fn quit(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    session.after = After::Close;
    out.simple("OK");
    Ok(())
}

fn reset(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    session.transaction = None;
    session.forget_watch();
    session.db = session.engine.options.default_database;
    session.speak(Protocol::Resp2);
    session.forget_subscriptions();
    out.set_protocol(Protocol::Resp2);
    session.authenticated = session.become_default();
    session.track(None);
    session.engine.clients.update(session.id, |client| client.name.clear());
    if session.replies() == Replies::Off {
        session.set_replies(Replies::On);
    }
    out.simple("RESET");
    Ok(())
}

fn select(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let db = args.int_of_32_bits(1)?;
    let known = session.engine.keyspace.databases();
    let Some(db) = u32::try_from(db).ok().filter(|db| *db < known) else {
        return Err(CommandError::err("DB index is out of range"));
    };
    session.db = db;
    out.simple("OK");
    Ok(())
}

fn hello(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let mut protocol = session.protocol;
    if args.len() > 1 {
        protocol = match args.int(1) {
            Ok(2) => Protocol::Resp2,
            Ok(3) => Protocol::Resp3,
            Ok(_) => return Err(CommandError::coded("NOPROTO unsupported protocol version")),
            Err(_) => return Err(CommandError::err("Protocol version is not an integer or out of range")),
        };
    }
    let (mut i, mut name) = (2, None);
    while i < args.len() {
        if args.is(i, "auth") && i + 2 < args.len() {
            log_in(session, "HELLO", args.at(i + 1), &[args.at(i + 1), args.at(i + 2)])?;
            i += 3;
        } else if args.is(i, "setname") && i + 1 < args.len() {
            name = Some(super::client::checked_name(args.at(i + 1))?);
            i += 2;
        } else {
            let option = String::from_utf8_lossy(args.at(i)).into_owned();
            return Err(CommandError::Err(format!("Syntax error in HELLO option '{option}'").into()));
        }
    }
    if !session.authenticated {
        let hints = session.engine.compat().differences().hello_hints_at_protocol;
        let text = format!(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO {}AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
            if hints { "<proto> " } else { "" }
        );
        return Err(CommandError::Coded(text.into()));
    }
    if let Some(name) = name {
        session.engine.clients.update(session.id, |client| client.name = name);
    }
    session.speak(protocol);
    out.set_protocol(protocol);
    let role = if session.engine.is_writable() { "master" } else { "replica" };
    out.encoder().map(7);
    let personality = session.engine.compat().differences();
    let server = match personality.family {
        Family::Redis => "redis",
        Family::Valkey => "valkey",
    };
    for (field, value) in [("server", server), ("version", personality.version)] {
        out.bulk(field.as_bytes());
        out.bulk(value.as_bytes());
    }
    out.bulk(b"proto");
    out.integer(if protocol == Protocol::Resp3 { 3 } else { 2 });
    out.bulk(b"id");
    out.integer(i64::try_from(session.id).unwrap_or(i64::MAX));
    let mode = if session.engine.is_alone_in_cluster() { "cluster" } else { "standalone" };
    for (field, value) in [("mode", mode), ("role", role)] {
        out.bulk(field.as_bytes());
        out.bulk(value.as_bytes());
    }
    out.bulk(b"modules");
    super::odds::list_modules(session.engine.compat(), out);
    Ok(())
}
