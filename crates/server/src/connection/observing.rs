//! SLOWLOG, COMMANDLOG, LATENCY and MONITOR: what the server remembers of commands.

use std::fmt::Write as _;

use store::command::Flags;
use store::{Args, CommandError, CommandResult, Family, Reply};

use super::{ADMIN, ADMIN_OR_SCRIPT, Out, container, help, rows};
use crate::observed::{Event, Log, LogKind};
use crate::session::{Ground, Session};

rows! { "server";
    "commandlog" -2 [Flags::CONTAINER], valkey "8.1.0" => container;
    "commandlog|get" 4 [ADMIN_OR_SCRIPT], valkey "8.1.0" => commandlog_get;
    "commandlog|help" 2 [Flags::LOADING, Flags::STALE], valkey "8.1.0" => help;
    "commandlog|len" 3 [ADMIN_OR_SCRIPT], valkey "8.1.0" => commandlog_len;
    "commandlog|reset" 3 [ADMIN_OR_SCRIPT], valkey "8.1.0" => commandlog_reset;
    "latency" -2 [Flags::CONTAINER], since "2.8.13" => container;
    "latency|doctor" 2 [ADMIN], since "2.8.13" => doctor;
    "latency|graph" 3 [ADMIN], since "2.8.13" => graph;
    "latency|help" 2 [Flags::LOADING, Flags::STALE], since "2.8.13" => help;
    "latency|histogram" -2 [ADMIN], since "7.0.0" => histogram;
    "latency|history" 3 [ADMIN], since "2.8.13" => history;
    "latency|latest" 2 [ADMIN], since "2.8.13" => latest;
    "latency|reset" -2 [ADMIN], since "2.8.13" => reset;
    "monitor" 1 [ADMIN], since "1.0.0" => monitor;
    "slowlog" -2 [Flags::CONTAINER], since "2.2.12" => container;
    "slowlog|get" -2 [ADMIN_OR_SCRIPT], since "2.2.12" => slowlog_get;
    "slowlog|help" 2 [Flags::LOADING, Flags::STALE], since "6.2.0" => help;
    "slowlog|len" 2 [ADMIN_OR_SCRIPT], since "2.2.12" => slowlog_len;
    "slowlog|reset" 2 [ADMIN_OR_SCRIPT], since "2.2.12" => slowlog_reset;
}

fn signed(n: impl TryInto<i64>) -> i64 {
    n.try_into().unwrap_or(i64::MAX)
}

// ---- logs

fn log(session: &Session, kind: LogKind) -> &Log {
    &session.engine.observed.logs[kind as usize]
}

/// How many are wanted; `-1`: all.
fn count(args: Args<'_>, at: usize) -> Result<usize, CommandError> {
    let wrong = CommandError::err("count should be greater than or equal to -1");
    match args.int(at) {
        Ok(-1) => Ok(usize::MAX),
        Ok(n) => usize::try_from(n).map_err(|_| wrong),
        Err(_) => Err(wrong),
    }
}

fn kind(args: Args<'_>, at: usize) -> Result<LogKind, CommandError> {
    match () {
        () if args.is(at, "slow") => Ok(LogKind::Slow),
        () if args.is(at, "large-request") => Ok(LogKind::LargeRequest),
        () if args.is(at, "large-reply") => Ok(LogKind::LargeReply),
        () => Err(CommandError::err("type should be one of the following: slow, large-request, large-reply")),
    }
}

fn tell(log: &Log, most: usize, out: Out<'_, '_>) {
    let entries = log.newest(most);
    out.encoder().array(entries.len());
    for entry in entries {
        out.encoder().array(6);
        out.integer(signed(entry.id));
        out.integer(entry.at);
        out.integer(signed(entry.amount));
        out.encoder().array(entry.args.len());
        entry.args.iter().for_each(|arg| out.bulk(arg));
        out.bulk(entry.addr.as_bytes());
        out.bulk(&entry.name);
    }
}

fn slowlog_get(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let most = match args.len() {
        2 => 10,
        3 => count(args, 2)?,
        _ => return Err(CommandError::subcommand_syntax(args)),
    };
    tell(log(session, LogKind::Slow), most, out);
    Ok(())
}

fn slowlog_len(
    session: &mut Session,
    _: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    out.integer(signed(log(session, LogKind::Slow).len()));
    Ok(())
}

fn slowlog_reset(
    session: &mut Session,
    _: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    log(session, LogKind::Slow).clear();
    out.simple("OK");
    Ok(())
}

fn commandlog_get(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let kind = kind(args, 3)?;
    tell(log(session, kind), count(args, 2)?, out);
    Ok(())
}

fn commandlog_len(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    out.integer(signed(log(session, kind(args, 2)?).len()));
    Ok(())
}

fn commandlog_reset(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    log(session, kind(args, 2)?).clear();
    out.simple("OK");
    Ok(())
}

// ---- latency

fn histogram(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    session.hand_over();
    let tallies = &session.engine.observed.tallies;
    let all = tallies.all();
    let wanted = |name: &str| {
        let container = name.split('|').next().unwrap_or_default();
        let is = |arg: &&[u8]| [name, container].iter().any(|n| arg.eq_ignore_ascii_case(n.as_bytes()));
        args.len() == 2 || args.from(2).iter().any(is)
    };
    let found: Vec<_> = all
        .iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, counts)| (name, counts.histogram()))
        .filter(|(_, steps)| !steps.is_empty())
        .collect();
    out.encoder().map(found.len());
    for (name, steps) in found {
        out.bulk(name.as_bytes());
        out.encoder().map(2);
        out.bulk(b"calls");
        out.integer(steps.last().map_or(0, |(_, calls)| signed(*calls)));
        out.bulk(b"histogram_usec");
        out.encoder().map(steps.len());
        for (micros, calls) in steps {
            out.integer(signed(micros));
            out.integer(signed(calls));
        }
    }
    Ok(())
}

fn event(session: &Session, name: &[u8]) -> Option<(&'static str, Event)> {
    let mut all = session.engine.observed.latency.all().into_iter();
    all.find(|(kind, _)| name.eq_ignore_ascii_case(kind.as_bytes()))
}

fn latest(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let all = session.engine.observed.latency.all();
    out.encoder().array(all.len());
    for (kind, event) in all {
        let (at, millis) = event.moments.back().copied().unwrap_or_default();
        out.encoder().array(4);
        out.bulk(kind.as_bytes());
        out.integer(at);
        out.integer(signed(millis));
        out.integer(signed(event.most));
    }
    Ok(())
}

fn history(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let moments = event(session, args.at(2)).map(|(_, event)| event.moments).unwrap_or_default();
    out.encoder().array(moments.len());
    for (at, millis) in moments {
        out.encoder().array(2);
        out.integer(at);
        out.integer(signed(millis));
    }
    Ok(())
}

fn reset(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let latency = &session.engine.observed.latency;
    let gone = match args.from(2) {
        [] => latency.forget(None),
        kinds => kinds.iter().map(|kind| latency.forget(Some(kind))).sum(),
    };
    out.integer(signed(gone));
    Ok(())
}

/// A bar for each moment, the newest at the right.
fn graph(session: &mut Session, args: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    const ROWS: u64 = 4;
    let Some((kind, event)) = event(session, args.at(2)) else {
        let name = String::from_utf8_lossy(args.at(2)).into_owned();
        return Err(CommandError::Err(format!("No samples available for event '{name}'").into()));
    };
    let times = || event.moments.iter().map(|(_, millis)| *millis);
    let (high, low) = (times().max().unwrap_or(0), times().min().unwrap_or(0));
    let mut text = format!("{kind} - high {high} ms, low {low} ms (all time high {} ms)\n", event.most);
    text.push_str(&"-".repeat(80));
    text.push('\n');
    for row in (0..ROWS).rev() {
        let is_there = |millis: u64| (millis - low) * ROWS > row * (high - low).max(1) || row == 0;
        text.extend(times().map(|millis| if is_there(millis) { '#' } else { ' ' }));
        text.push('\n');
    }
    out.verbatim("txt", text.as_bytes());
    Ok(())
}

fn doctor(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let compat = session.engine.compat();
    let server = match compat.family() {
        Family::Redis => "Redis",
        Family::Valkey => "Valkey",
    };
    let latency = &session.engine.observed.latency;
    let events = latency.all();
    let mut text = String::new();
    if latency.threshold.get() == 0 {
        let advice = compat.differences().latency_advice;
        text = format!(
            "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this {server} instance. You may use \"CONFIG SET latency-monitor-threshold <milliseconds>.\" in order to enable it.{advice}\n"
        );
    } else if events.is_empty() {
        let [begin, end] = compat.differences().latency_fine;
        text = format!(
            "{begin} latency spike was observed during the lifetime of this {server} instance, not in the slightest bit.{end}\n"
        );
    } else {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "Dave, I have observed latency spikes in this {server} instance. You don't mind talking about it, do you Dave?\n"
        );
        for (at, (kind, event)) in events.iter().enumerate() {
            let spikes = event.moments.len().max(1) as u64;
            let average = event.moments.iter().map(|(_, millis)| millis).sum::<u64>() / spikes;
            let _ = writeln!(
                text,
                "{}. {kind}: {spikes} latency spikes (average {average}ms). Worst all time event {}ms.",
                at + 1,
                event.most
            );
        }
    }
    out.verbatim("txt", text.as_bytes());
    Ok(())
}

// ---- all of them

fn monitor(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    session.engine.observed.monitors.add(&session.outbox);
    session.engine.clients.update(session.id, |client| client.is_monitor = true);
    out.simple("OK");
    Ok(())
}
