//! Commands of the connection and the server, called by scripts: they run in a session of their own, and what it
//! would send goes to Lua.

use std::sync::Arc;

use lua::{Refusal, ReplyBuilder};
use resp::{Limits, Protocol, Value, ValueDecoder};
use store::command::Flags;
use store::command::description::{Description, describe};
use store::{Args, Compat, Reply as _, ShardSet};

use crate::connection;
use crate::engine::Engine;
use crate::reply::RespReply;
use crate::session::{Ground, Session};

/// Runs a command that is not one of data; `db` is the script's database.
pub(crate) fn call(
    engine: &Arc<Engine>,
    db: &mut u32,
    args: Args<'_>,
    out: &mut ReplyBuilder<'_>,
    ground: &mut Ground<'_, '_>,
    may_write: bool,
) {
    let compat = engine.compat();
    let Some(row) = connection::find_for(compat, args) else {
        return match refusal(compat, args) {
            Refusal::UnknownCommand
                if compat.differences().scripts_name_subcommands && is_subcommand(compat, args) =>
            {
                out.error(&connection::unknown(compat, args).bytes());
            }
            why => out.refuse(why),
        };
    };
    if row.check_arity(args).is_err() {
        return out.refuse(Refusal::WrongArity);
    }
    if row.flags.has(Flags::NOSCRIPT) {
        return out.refuse(Refusal::NotAllowed);
    }
    if row.flags.has(Flags::MAY_REPLICATE) && !may_write {
        return out.refuse(Refusal::ReadOnlyScript);
    }
    if let (Ground::Txn(txn), true) = (&mut *ground, row.flags.has(Flags::LOCKS_ALL)) {
        txn.hold(&ShardSet::everything());
    }
    let protocol = if out.is_resp3() { Protocol::Resp3 } else { Protocol::Resp2 };
    let mut session = Session::of_the_house(engine);
    (session.db, session.protocol) = (*db, protocol);
    let mut bytes = Vec::new();
    let mut reply = RespReply::new(&mut bytes, protocol, engine.compat().differences().doubles);
    if let Err(error) = (row.handler)(&mut session, args, &mut reply, ground) {
        reply.error(&error);
    }
    *db = session.db;
    let mut decoder = ValueDecoder::new(Limits::replies());
    decoder.feed(&bytes);
    match decoder.next() {
        Ok(Some(value)) => retell(&value, out),
        // None of these commands answers nothing, or what is no reply.
        _ => out.null(),
    }
}

/// What the real server would say to a command that we do not have.
fn refusal(compat: Compat, args: Args<'_>) -> Refusal {
    let Some(description) = description_of(compat, args) else { return Refusal::UnknownCommand };
    let arity = description.field("arity").and_then(|arity| arity.parse::<i64>().ok()).unwrap_or(-1);
    let count = i64::try_from(args.len()).unwrap_or(i64::MAX);
    if (arity >= 0 && count != arity) || count < -arity {
        return Refusal::WrongArity;
    }
    let noscript = description.words("flags").any(|flag| flag == "noscript");
    if noscript { Refusal::NotAllowed } else { Refusal::UnknownCommand }
}

/// What the real server has under this name; a container's subcommand if one is named.
pub(crate) fn description_of(compat: Compat, args: Args<'_>) -> Option<&'static Description> {
    let name = |at: usize| args.get(at).map(|word| String::from_utf8_lossy(word).to_ascii_lowercase());
    let container = name(0)?;
    match name(1) {
        Some(sub) if is_subcommand(compat, args) => describe(compat, &format!("{container}|{sub}")),
        _ => describe(compat, &container),
    }
}

fn is_subcommand(compat: Compat, args: Args<'_>) -> bool {
    let container = String::from_utf8_lossy(args.at(0)).to_ascii_lowercase();
    args.len() > 1 && describe(compat, &format!("{container}|help")).is_some()
}

fn retell(value: &Value, out: &mut ReplyBuilder<'_>) {
    match value {
        Value::Simple(text) => out.simple(text),
        Value::Error(line) | Value::BulkError(line) => out.error(line),
        Value::Integer(n) => out.integer(*n),
        Value::Bulk(bytes) => out.bulk(bytes),
        Value::Chunks(chunks) => out.bulk(&chunks.concat()),
        Value::Boolean(b) => out.boolean(*b),
        Value::Double(n) => out.double(*n),
        Value::BigNumber(digits) => out.big_number(digits),
        Value::Verbatim { format, text } => out.verbatim(format, text),
        Value::Array(items) | Value::Push(items) => {
            out.array(items.len());
            items.iter().for_each(|item| retell(item, out));
        }
        Value::Set(items) => {
            out.set(items.len());
            items.iter().for_each(|item| retell(item, out));
        }
        Value::Map(pairs) => {
            out.map(pairs.len());
            for (key, value) in pairs {
                retell(key, out);
                retell(value, out);
            }
        }
        Value::Attributed(inner) => retell(&inner.value, out),
        // `Value` may grow.
        _ => out.null(),
    }
}
