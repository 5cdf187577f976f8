//! COMMAND: what the tables have, told as the real server of our personality tells it.

use store::command::description::{self, KeyError};
use store::command::{self as data, Flags};
use store::{Args, CommandError, CommandResult, Null, Reply};

use super::{help, rows};
use crate::connection::Out;
use crate::session::{Ground, Session};
use crate::settings::Meaning;

mod telling;

pub(crate) use telling::listed;

rows! { "server";
    /// Returns detailed information about all commands.
    "command" -1 [Flags::CONTAINER, Flags::LOADING, Flags::STALE], since "2.8.13" => everything;
    /// Returns a count of commands.
    "command|count" 2 [Flags::LOADING, Flags::STALE], since "2.8.13" => count;
    /// Returns documentary information about one, multiple or all commands.
    "command|docs" -2 [Flags::LOADING, Flags::STALE], since "7.0.0" => docs;
    /// Extracts the key names from an arbitrary command.
    "command|getkeys" -3 [Flags::LOADING, Flags::STALE], since "2.8.13" => getkeys;
    /// Extracts the key names and access flags for an arbitrary command.
    "command|getkeysandflags" -3 [Flags::LOADING, Flags::STALE], since "7.0.0" => getkeysandflags;
    /// Returns helpful text about the different subcommands.
    "command|help" 2 [Flags::LOADING, Flags::STALE], since "5.0.0" => help;
    /// Returns information about one, multiple or all commands.
    "command|info" -2 [Flags::LOADING, Flags::STALE], since "2.8.13" => info;
    /// Returns a list of command names.
    "command|list" -2 [Flags::LOADING, Flags::STALE], since "7.0.0" => list;
}

/// What is listed, but for what `rename-command` has taken away.
fn known(session: &Session) -> Vec<&'static str> {
    let mut all: Vec<&str> = listed(session.engine.compat()).collect();
    if let Some(renames) = session.engine.renames() {
        all.retain(|name| !renames.is_gone(name));
    }
    all
}

/// Commands that are no subcommands.
fn top(session: &Session) -> Vec<&'static str> {
    let mut all = known(session);
    all.retain(|name| !name.contains('|'));
    all
}

/// The name of a command or a `container|sub` that is listed, whatever the case.
fn named(session: &Session, name: &[u8]) -> Option<&'static str> {
    let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
    let name =
        match session.engine.renames().map_or(Meaning::Itself, |renames| renames.meaning(name.as_bytes())) {
            Meaning::Itself => name,
            Meaning::Another(command) => command.to_owned(),
            Meaning::Nothing => return None,
        };
    known(session).into_iter().find(|listed| *listed == name)
}

fn everything(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let compat = session.engine.compat();
    let all = top(session);
    out.encoder().array(all.len());
    all.iter().for_each(|name| telling::info(compat, name, out));
    Ok(())
}

fn count(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    out.integer(i64::try_from(top(session).len()).unwrap_or(i64::MAX));
    Ok(())
}

fn info(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    if args.len() == 2 {
        return everything(session, args, out, ground);
    }
    let compat = session.engine.compat();
    out.encoder().array(args.len() - 2);
    for name in args.from(2) {
        match named(session, name) {
            Some(name) => telling::info(compat, name, out),
            None => out.null(Null::Bulk),
        }
    }
    Ok(())
}

fn docs(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let compat = session.engine.compat();
    let found: Vec<&str> = match args.from(2) {
        [] => top(session),
        names => names.iter().filter_map(|name| named(session, name)).collect(),
    };
    out.encoder().map(found.len());
    found.iter().for_each(|name| telling::docs(compat, name, out));
    Ok(())
}

fn list(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let compat = session.engine.compat();
    let mut names = known(session);
    match args.len() {
        2 => {}
        5 if args.is(2, "filterby") => {
            let wanted = args.at(4);
            if args.is(3, "pattern") {
                let wanted = wanted.to_ascii_lowercase();
                names.retain(|name| store::glob::matches(&wanted, name.as_bytes()));
            } else if args.is(3, "aclcat") {
                names.retain(|name| {
                    description::describe(compat, name).is_some_and(|description| {
                        description.words("acl").any(|word| word.as_bytes().eq_ignore_ascii_case(wanted))
                    })
                });
            } else if args.is(3, "module") {
                // Nothing here comes from a module.
                names.clear();
            } else {
                return Err(CommandError::Syntax);
            }
        }
        _ => return Err(CommandError::Syntax),
    }
    out.encoder().array(names.len());
    names.iter().for_each(|name| out.bulk(name.as_bytes()));
    Ok(())
}

/// The keys of the call behind the first two arguments, as the real server finds them.
fn keys<'a>(session: &Session, args: Args<'a>) -> Result<Vec<(&'a [u8], &'static str)>, CommandError> {
    let compat = session.engine.compat();
    let mut parts = args.from(2).to_vec();
    if let (Some(renames), [name, ..]) = (session.engine.renames(), parts.as_mut_slice()) {
        match renames.meaning(name) {
            Meaning::Itself => {}
            Meaning::Another(command) => *name = command.as_bytes(),
            Meaning::Nothing => *name = b"",
        }
    }
    let asked = Args::new(&parts);
    let data = data::find_for(compat, asked).map(|row| (row.name, row.check_arity(asked)));
    let connection = || super::find_for(compat, asked).map(|row| (row.name, row.check_arity(asked)));
    let (name, arity) = data.or_else(connection).ok_or(CommandError::err("Invalid command specified"))?;
    let keys = description::keys(compat, name, asked);
    if keys == Err(KeyError::NoKeys) {
        return Err(CommandError::err("The command has no key arguments"));
    }
    arity.map_err(|_| CommandError::err("Invalid number of arguments specified for command"))?;
    let keys = keys.map_err(|_| CommandError::err("Invalid arguments specified for command"))?;
    Ok(keys.iter().map(|key| (args.at(2 + key.at), key.flags)).collect())
}

fn getkeys(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let keys = keys(session, args)?;
    out.encoder().array(keys.len());
    keys.iter().for_each(|(key, _)| out.bulk(key));
    Ok(())
}

fn getkeysandflags(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let keys = keys(session, args)?;
    out.encoder().array(keys.len());
    for (key, flags) in keys {
        out.encoder().array(2);
        out.bulk(key);
        telling::words(flags.split_ascii_whitespace(), "", out);
    }
    Ok(())
}
