//! Commands that concern the connection or the server, one row each, as the store has for data.

use std::sync::LazyLock;

use store::command::Flags;
use store::{Args, CommandError, CommandResult, Compat, Since};

use crate::reply::RespReply;
use crate::session::{Ground, Session};

mod client;
mod command;
mod config;
mod debug;
mod function;
mod handshake;
mod memory;
mod pubsub;
mod replication;
mod script;
mod server;
mod transaction;

/// Runs before AUTH.
pub(crate) const NO_AUTH: Flags = Flags::server(0);
/// Is not queued by MULTI.
pub(crate) const CONTROLS_TRANSACTION: Flags = Flags::server(1);
/// Is refused inside MULTI.
pub(crate) const NO_MULTI: Flags = Flags::server(2);
/// Runs a script, whose keys may be anywhere.
pub(crate) const RUNS_SCRIPT: Flags = Flags::server(3);

/// Changes what a client listens to: the only commands of a listening RESP2 client, with PING, QUIT and RESET.
pub(crate) const LISTENS: Flags = Flags::server(4);

/// Is heard while a script has the data for itself.
pub(crate) const KILLS: Flags = Flags::server(5);

/// What a row runs.
pub(crate) type Handler =
    fn(&mut Session, Args<'_>, &mut RespReply<'_>, &mut Ground<'_, '_>) -> CommandResult;

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// Lower case; `container|sub` for a subcommand.
    pub(crate) name: &'static str,
    pub(crate) group: &'static str,
    pub(crate) arity: i16,
    pub(crate) flags: Flags,
    pub(crate) since: Since,
    pub(crate) cost: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) handler: Handler,
}

/// Declares a group's table: `"name" arity [FLAGS], since "x", cost "y" => handler;`, with `since "x" valkey "z"` or
/// `valkey "z"` as in the store's tables.
macro_rules! rows {
    ($group:literal; $($(#[doc = $summary:literal])+ $name:literal $arity:literal [$($flag:expr),*],
        $(since $since:literal)? $(valkey $valkey:literal)?, cost $cost:literal => $handler:path;)*) => {
        pub(super) const TABLE: &[$crate::connection::Row] = &[$($crate::connection::Row {
            name: $name,
            group: $group,
            arity: $arity,
            flags: store::command::Flags::NONE$(.with($flag))*,
            since: $crate::connection::rows!(@since $($since)? / $($valkey)?),
            cost: $cost,
            summary: concat!($($summary),+),
            handler: $handler,
        }),*];
    };
    (@since $redis:literal /) => { store::Since::new(Some($redis), None) };
    (@since / $valkey:literal) => { store::Since::new(None, Some($valkey)) };
    (@since $redis:literal / $valkey:literal) => { store::Since::new(Some($redis), Some($valkey)) };
}
pub(crate) use config::memory;
use rows;

static GROUPS: [&[Row]; 12] = [
    client::TABLE,
    command::TABLE,
    config::TABLE,
    debug::TABLE,
    function::TABLE,
    handshake::TABLE,
    memory::TABLE,
    pubsub::TABLE,
    replication::TABLE,
    script::TABLE,
    server::TABLE,
    transaction::TABLE,
];

/// Every row.
pub(crate) fn all() -> impl Iterator<Item = &'static Row> {
    GROUPS.iter().copied().flatten()
}

static INDEX: LazyLock<std::collections::HashMap<&'static str, &'static Row>> =
    LazyLock::new(|| all().map(|row| (row.name, row)).collect());

/// The row that `args` names, its subcommand's if it has one, among those that this personality has.
pub(crate) fn find_for(compat: Compat, args: Args<'_>) -> Option<&'static Row> {
    let name = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_ascii_lowercase);
    let container = name(args.at(0))?;
    let get = |name: &str| INDEX.get(name).copied().filter(|row| row.since.includes(compat));
    let row = get(&container)?;
    if row.flags.has(Flags::CONTAINER) && args.len() > 1 {
        let sub = name(args.at(1)).and_then(|sub| get(&format!("{container}|{sub}")));
        return Some(sub.unwrap_or(row));
    }
    Some(row)
}

impl Row {
    pub(crate) fn check_arity(&self, args: Args<'_>) -> Result<(), CommandError> {
        let wanted = usize::from(self.arity.unsigned_abs());
        let good = if self.arity < 0 { args.len() >= wanted } else { args.len() == wanted };
        if good { Ok(()) } else { Err(CommandError::Arity(self.name.into())) }
    }
}

/// What a container answers to a subcommand that it does not have.
fn unknown_subcommand(
    _: &mut Session,
    args: Args<'_>,
    _: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let container = String::from_utf8_lossy(args.at(0)).to_ascii_uppercase();
    let name = String::from_utf8_lossy(&args.at(1)[..args.at(1).len().min(128)]).into_owned();
    Err(CommandError::Err(format!("unknown subcommand '{name}'. Try {container} HELP.").into()))
}

/// Writes the help of a container: its own lines, and the two that all have.
fn write_help(session: &Session, out: &mut RespReply<'_>, lines: &[&str]) {
    out.encoder().array(lines.len() + 2);
    lines.iter().for_each(|line| store::Reply::simple(out, line));
    store::Reply::simple(out, "HELP");
    store::Reply::simple(out, session.engine.keyspace.compat().differences().help);
}
