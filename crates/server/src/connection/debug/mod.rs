//! DEBUG: what test suites look at, and the switches they turn. One row a form.
//!
//! A form that is not in the table answers as one that the real server lacks: that includes those whose purpose is
//! to crash it, since nothing that a client sends ends this process.

mod digest;
mod inspect;
mod protocol;
mod switches;

use store::command::Flags;
use store::{Args, CommandError, CommandResult, Compat, ShardSet, View, Viewer};

use super::{help, rows};
use crate::connection::Out;
use crate::reply::RespReply;
use crate::session::{Ground, Session};

rows! { "server";
    /// A container for debugging commands.
    "debug" -2 [Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT, Flags::LOCKS_ALL], since "1.0.0" => debug;
}

/// A form of DEBUG.
struct Form {
    /// In lower case.
    name: &'static str,
    /// Arguments behind the name: at least, at most.
    args: (usize, usize),
    /// Which servers have it.
    known: fn(Compat) -> bool,
    run: Run,
}

/// What a form runs.
type Run = fn(&mut Session, Args<'_>, &mut RespReply<'_>, &mut Ground<'_, '_>) -> CommandResult;

const ALL: fn(Compat) -> bool = |_| true;
const NOT_70: fn(Compat) -> bool = |compat| compat != Compat::Redis70;

const fn form(name: &'static str, args: (usize, usize), known: fn(Compat) -> bool, run: Run) -> Form {
    Form { name, args, known, run }
}

const MANY: usize = usize::MAX;

static FORMS: [Form; 27] = [
    form("change-repl-id", (0, 0), ALL, switches::change_repl_id),
    form("dict-resizing", (1, 1), NOT_70, switches::dict_resizing),
    form("digest", (0, 0), ALL, digest::digest),
    form("digest-value", (0, MANY), ALL, digest::digest_value),
    form("error", (1, 1), ALL, protocol::error),
    form("help", (0, 0), ALL, help),
    form("htstats", (1, 1), ALL, inspect::htstats),
    form("htstats", (2, 2), NOT_70, inspect::htstats),
    form("htstats-key", (1, 1), ALL, inspect::htstats_key),
    form("htstats-key", (2, 2), NOT_70, inspect::htstats_key),
    form("leak", (1, 1), ALL, switches::leak),
    form("listpack", (1, 1), ALL, inspect::listpack),
    form("log", (1, 1), ALL, switches::log),
    form("object", (1, 1), ALL, inspect::object),
    form("object", (2, MANY), is_valkey, inspect::object),
    form("pause-cron", (1, 1), ALL, switches::pause_cron),
    form("populate", (1, 3), ALL, switches::populate),
    form("protocol", (1, 1), ALL, protocol::protocol),
    form("quicklist", (1, 2), ALL, inspect::quicklist),
    form("quicklist-packed-threshold", (1, 1), ALL, switches::packed_threshold),
    form("reload", (0, MANY), ALL, switches::reload),
    form("replicate", (1, MANY), ALL, switches::replicate),
    form("sdslen", (1, 1), ALL, inspect::sdslen),
    form("set-active-expire", (1, 1), ALL, switches::set_active_expire),
    form("set-skip-checksum-validation", (1, 1), ALL, switches::skip_checksum),
    form("sleep", (1, 1), ALL, switches::sleep),
    form("structsize", (0, 0), ALL, inspect::structsize),
];

fn is_valkey(compat: Compat) -> bool {
    compat.differences().family == store::Family::Valkey
}

fn debug(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    if !session.may(session.engine.options.debug_command) {
        return Err(CommandError::err(
            "DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
        ));
    }
    let compat = session.engine.keyspace.compat();
    let count = args.len() - 2;
    let form = FORMS.iter().find(|form| {
        let (least, most) = form.args;
        args.is(1, form.name) && (least..=most).contains(&count) && (form.known)(compat)
    });
    match form {
        Some(form) => (form.run)(session, args, out, ground),
        None => Err(unknown(args)),
    }
}

fn unknown(args: Args<'_>) -> CommandError {
    let name = store::as_c_string(args.at(1), 128);
    let text: [&[u8]; 3] =
        [b"ERR unknown subcommand or wrong number of arguments for '", name, b"'. Try DEBUG HELP."];
    CommandError::Raw(text.concat().into())
}

/// A number as C's `atoi` reads it: what is none counts as 0.
fn lenient(text: &[u8]) -> i64 {
    let sign = text.first().is_some_and(|byte| matches!(byte, b'-' | b'+'));
    let digits = text[usize::from(sign)..].iter().take_while(|byte| byte.is_ascii_digit());
    let n = digits.fold(0_i64, |n, digit| n.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if text.starts_with(b"-") { -n } else { n }
}

/// Calls `f` with a view that holds `keys`, on ground that is held already or taken here. What has expired and is
/// still there is shown.
fn with_view<R>(
    session: &Session,
    ground: &mut Ground<'_, '_>,
    keys: &[&[u8]],
    f: impl FnOnce(&View<'_>) -> R,
) -> R {
    if let Ground::Txn(txn) = ground {
        txn.select(session.db);
        return f(txn);
    }
    let keyspace = &session.engine.keyspace;
    let mut set = ShardSet::none();
    keys.iter().for_each(|key| set.add(keyspace, session.db, key));
    f(&View::new(keyspace, &set, Viewer::Stream, session.db))
}
