//! INFO, TIME and their like.

use store::command::Flags;
use store::{Args, CommandError, CommandResult, Reply};

use super::{rows, unknown_subcommand};
use crate::engine::unix_ms;
use crate::info;
use crate::reply::RespReply;
use crate::session::{Ground, Session};

rows! { "server";
    /// Returns information and statistics about the server.
    "info" -1 [Flags::LOADING, Flags::STALE], since "1.0.0", cost "O(1)" => info;
    /// Returns the Unix timestamp of the last successful save to disk.
    "lastsave" 1 [Flags::FAST, Flags::LOADING, Flags::STALE], since "1.0.0", cost "O(1)" => lastsave;
    /// A container for memory diagnostics commands.
    "memory" -2 [Flags::CONTAINER], since "4.0.0", cost "Depends on subcommand." => unknown_subcommand;
    /// Estimates the memory usage of a key.
    "memory|usage" -3 [], since "4.0.0", cost "O(N) where N is the number of samples." => memory_usage;
    /// Returns the server time.
    "time" 1 [Flags::FAST, Flags::LOADING, Flags::STALE], since "2.6.0", cost "O(1)" => time;
}

fn info(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let sections: Vec<String> =
        args.from(1).iter().map(|s| String::from_utf8_lossy(s).to_ascii_lowercase()).collect();
    out.verbatim("txt", info::text(&session.engine, &sections).as_bytes());
    Ok(())
}

fn time(_: &mut Session, _: Args<'_>, out: &mut RespReply<'_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let micros =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_micros());
    out.encoder().array(2);
    out.bulk((micros / 1_000_000).to_string().as_bytes());
    out.bulk((micros % 1_000_000).to_string().as_bytes());
    Ok(())
}

fn lastsave(
    session: &mut Session,
    _: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let uptime = i64::try_from(session.engine.uptime().as_secs()).unwrap_or(0);
    out.integer(unix_ms() / 1000 - uptime);
    Ok(())
}

fn memory_usage(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    if args.len() != 3 && !(args.len() == 5 && args.is(3, "samples") && args.int(4)? >= 0) {
        return Err(CommandError::Syntax);
    }
    let now = session.engine.keyspace.clock().now();
    let weight = session.engine.keyspace.with(session.db, args.at(2), |entry| {
        entry.filter(|e| e.expire().is_none_or(|at| at > now)).map(store::EntryRef::weight)
    });
    match weight {
        // Its share of the table is a slot and a tag at two thirds of load.
        Some(bytes) => out.integer(i64::try_from(bytes + 14).unwrap_or(i64::MAX)),
        None => out.null(store::Null::Bulk),
    }
    Ok(())
}
