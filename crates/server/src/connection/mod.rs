//! Commands that concern the connection or the server, one row each, as the store has for data.

use std::sync::OnceLock;

use store::command::{self as data, Flags, Rows, description};
use store::{Args, CommandError, CommandResult, Compat, Since};

use crate::reply::RespReply;
use crate::session::{Ground, Session};

pub(crate) mod acl;
mod client;
mod client_filter;
mod cluster;
mod command;
mod config;
mod debug;
mod function;
mod handshake;
mod memory;
mod migrate;
mod observing;
mod odds;
mod pubsub;
mod replication;
mod saving;
mod script;
mod server;
mod topology;
mod tracking;
mod transaction;

/// Runs before AUTH.
pub(crate) const NO_AUTH: Flags = Flags::server(0);
/// Is not queued by MULTI.
pub(crate) const CONTROLS_TRANSACTION: Flags = Flags::server(1);
/// Runs a script, whose keys may be anywhere.
pub(crate) const RUNS_SCRIPT: Flags = Flags::server(3);

/// Changes what a client listens to: the only commands of a listening RESP2 client, with PING, QUIT and RESET.
pub(crate) const LISTENS: Flags = Flags::server(4);

/// Is heard while a script has the data for itself. No row says it: [`index`] has it from the real servers.
pub(crate) const HEARD_WHEN_BUSY: Flags = Flags::server(5);

/// Writes data, though it is no row of the store's.
pub(crate) const WRITES: Flags = Flags::server(6);

/// What looks at the connection or the server and is run at any time, but by no script.
const LOOK: Flags = Flags::LOADING.with(Flags::STALE).with(Flags::NOSCRIPT);
/// The same for who keeps the server.
const ADMIN: Flags = LOOK.with(Flags::ADMIN);
/// The same for who keeps the server, by a script or not.
const ADMIN_OR_SCRIPT: Flags = ADMIN.without(Flags::NOSCRIPT);

/// Where the reply goes.
pub(crate) type Out<'a, 'o> = &'a mut RespReply<'o>;

/// What a row runs.
pub(crate) type Handler = fn(&mut Session, Args<'_>, Out<'_, '_>, &mut Ground<'_, '_>) -> CommandResult;

/// A row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Lower case; `container|sub` for a subcommand.
    pub(crate) name: &'static str,
    pub(crate) arity: i16,
    pub(crate) flags: Flags,
    pub(crate) since: Since,
    pub(crate) handler: Handler,
}

/// Declares a group's table: `"name" arity [FLAGS], since "x" => handler;`, with `since "x" valkey "z"` or
/// `valkey "z"` as in the store's tables.
macro_rules! rows {
    ($_group:literal; $($(#[doc = $_summary:literal])* $name:literal $arity:literal [$($flag:expr),*],
        $(since $since:literal)? $(valkey $valkey:literal)? => $handler:path;)*) => {
        pub(super) const TABLE: &[$crate::connection::Row] = &[$($crate::connection::Row {
            name: $name,
            arity: $arity,
            flags: store::command::Flags::NONE$(.with($flag))*,
            since: $crate::connection::rows!(@since $($since)? / $($valkey)?),
            handler: $handler,
        }),*];
    };
    (@since $redis:literal /) => { store::Since::new(Some($redis), None) };
    (@since / $valkey:literal) => { store::Since::new(None, Some($valkey)) };
    (@since $redis:literal / $valkey:literal) => { store::Since::new(Some($redis), Some($valkey)) };
}
use rows;

static GROUPS: [&[Row]; 19] = [
    acl::TABLE,
    client::TABLE,
    cluster::TABLE,
    command::TABLE,
    config::TABLE,
    debug::TABLE,
    function::TABLE,
    handshake::TABLE,
    memory::TABLE,
    migrate::TABLE,
    observing::TABLE,
    odds::TABLE,
    pubsub::TABLE,
    replication::TABLE,
    saving::TABLE,
    script::TABLE,
    server::TABLE,
    tracking::TABLE,
    transaction::TABLE,
];

/// Every row.
pub(crate) fn all() -> impl Iterator<Item = &'static Row> {
    GROUPS.iter().copied().flatten()
}

type Index = Rows<Row>;

/// The rows of a personality, as it has them.
fn index(compat: Compat) -> &'static Index {
    static INDEXES: [OnceLock<Index>; Compat::ALL.len()] = [const { OnceLock::new() }; Compat::ALL.len()];
    INDEXES[compat as usize].get_or_init(|| {
        let rows = all().filter(|row| row.since.includes(compat)).map(|row| {
            let (arity, flags) = compat.differences().row(row.name, row.arity, row.flags);
            let heard = description::describe(compat, row.name)
                .is_some_and(|real| real.words("flags").any(|flag| flag == "allow_busy"));
            let flags = if heard { flags.with(HEARD_WHEN_BUSY) } else { flags };
            (row.name, Row { arity, flags, ..row.clone() })
        });
        rows.collect()
    })
}

/// The row that `args` names, its subcommand's if it has one, as this personality has it.
pub(crate) fn find_for(compat: Compat, args: Args<'_>) -> Option<&'static Row> {
    index(compat).find(args, |row| row.flags.has(Flags::CONTAINER))
}

/// The text for a command that neither table has.
pub(crate) fn unknown(compat: Compat, args: Args<'_>) -> CommandError {
    match find_for(compat, Args::new(&args.all()[..1])) {
        Some(row) if row.flags.has(Flags::CONTAINER) => data::unknown_subcommand(row.name, args),
        _ => data::unknown(args),
    }
}

impl Row {
    pub(crate) fn check_arity(&self, args: Args<'_>) -> Result<(), CommandError> {
        let wanted = usize::from(self.arity.unsigned_abs());
        let good = if self.arity < 0 { args.len() >= wanted } else { args.len() == wanted };
        if good { Ok(()) } else { Err(CommandError::Arity(self.name.into())) }
    }
}

/// The handler of a container: nobody comes here, for a subcommand has its row or is unknown.
fn container(session: &mut Session, args: Args<'_>, _: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    Err(unknown(session.engine.compat(), args))
}

/// The handler of `container|help`.
fn help(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let lines = description::help(session.engine.compat(), args.at(0));
    out.encoder().array(lines.len());
    lines.iter().for_each(|line| store::Reply::simple(out, line));
    Ok(())
}

#[cfg(test)]
mod tests {
    use store::Compat;
    use store::command::Flags;
    use store::command::description::describe;

    use super::all;

    #[test]
    fn scripts_may_call_what_they_may_call_on_the_real_servers() {
        for compat in Compat::ALL {
            let mut seen = 0;
            for row in all().filter(|row| row.since.includes(compat)) {
                let (_, flags) = compat.differences().row(row.name, row.arity, row.flags);
                let Some(description) = describe(compat, row.name) else { continue };
                let noscript = description.words("flags").any(|flag| flag == "noscript");
                assert_eq!(flags.has(Flags::NOSCRIPT), noscript, "{} of {compat:?}", row.name);
                seen += 1;
            }
            assert!(seen > 100, "{seen} rows of {compat:?}");
        }
    }
}
