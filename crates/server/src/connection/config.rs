//! CONFIG: the settings that exist here, under their usual names.

use store::command::Flags;
use store::{Args, CommandError, CommandResult, Reply};

use super::{rows, unknown_subcommand};
use crate::engine::Engine;
use crate::reply::RespReply;
use crate::session::{Ground, Session};

rows! { "server";
    /// A container for server configuration commands.
    "config" -2 [Flags::CONTAINER], since "2.0.0", cost "Depends on subcommand." => unknown_subcommand;
    /// Returns the effective values of configuration parameters.
    "config|get" -3 [Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "2.0.0", cost "O(N) when N is the number of configuration parameters provided" => get;
    /// Resets the server's statistics.
    "config|resetstat" 2 [Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "2.0.0", cost "O(1)" => resetstat;
    /// Sets configuration parameters in-flight.
    "config|set" -4 [Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "2.0.0", cost "O(N) when N is the number of configuration parameters provided" => set;
}

/// Every setting with its value, sorted by nothing.
fn settings(engine: &Engine) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for (name, old_name, value) in engine.keyspace.limits().iter() {
        all.push((name.to_owned(), value.to_string()));
        all.extend(old_name.map(|old| (old.to_owned(), value.to_string())));
    }
    let yes = |b: bool| if b { "yes" } else { "no" }.to_owned();
    let seconds = |d: std::time::Duration| d.as_secs().to_string();
    let own = [
        ("databases", engine.keyspace.databases().to_string()),
        ("port", engine.options.port.to_string()),
        ("requirepass", engine.password.read().clone().unwrap_or_default()),
        ("repl-backlog-size", engine.options.backlog.size.to_string()),
        ("repl-ping-replica-period", seconds(engine.options.ping_interval)),
        ("repl-timeout", seconds(engine.options.replication_timeout)),
        ("replica-read-only", yes(true)),
        ("slave-read-only", yes(true)),
        // Nothing here evicts, and nothing is written behind the caller's back.
        ("maxmemory", "0".to_owned()),
        ("maxmemory-policy", "noeviction".to_owned()),
        ("appendonly", yes(false)),
        ("save", String::new()),
        ("timeout", "0".to_owned()),
        ("maxclients", "10000".to_owned()),
        ("cluster-enabled", yes(false)),
        ("notify-keyspace-events", engine.notifications.text()),
    ];
    all.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
    all.extend(engine.link_settings().list().into_iter().map(|(name, value)| (name.to_owned(), value)));
    all
}

fn get(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let found: Vec<(String, String)> = settings(&session.engine)
        .into_iter()
        .filter(|(name, _)| {
            args.from(2).iter().any(|p| store::glob::matches(&p.to_ascii_lowercase(), name.as_bytes()))
        })
        .collect();
    out.encoder().map(found.len());
    for (name, value) in &found {
        out.bulk(name.as_bytes());
        out.bulk(value.as_bytes());
    }
    Ok(())
}

fn set(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::Arity("config|set".into()));
    }
    let engine = &session.engine;
    let known = settings(engine);
    let pairs =
        || args.from(2).chunks_exact(2).map(|p| (String::from_utf8_lossy(p[0]).to_ascii_lowercase(), p[1]));
    // All or nothing: look at every pair before the first change.
    for (name, value) in pairs() {
        if !known.iter().any(|(n, _)| *n == name) {
            let text = format!("Unknown option or number of arguments for CONFIG SET - '{name}'");
            return Err(CommandError::Err(text.into()));
        }
        let is_limit =
            engine.keyspace.limits().iter().any(|(n, old, _)| n == name || old == Some(name.as_str()));
        if is_limit && memory(value).is_none() {
            let text = format!(
                "CONFIG SET failed (possibly related to argument '{name}') - argument couldn't be parsed into an integer"
            );
            return Err(CommandError::Err(text.into()));
        }
        if name == "notify-keyspace-events" {
            if !crate::notify::Notifications::default().set(value) {
                return Err(CommandError::err(
                    "CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - Invalid event class character. Use 'Ag$lshzxeKEtmdn'.",
                ));
            }
            continue;
        }
        match engine.link_settings().set(&name, value) {
            Some(Ok(())) => continue,
            Some(Err(why)) => {
                let text = format!("CONFIG SET failed (possibly related to argument '{name}') - {why}");
                return Err(CommandError::Err(text.into()));
            }
            None => {}
        }
        if !is_limit && name != "requirepass" {
            let text = format!(
                "CONFIG SET failed (possibly related to argument '{name}') - can't set immutable config"
            );
            return Err(CommandError::Err(text.into()));
        }
    }
    let of_link = |name: &str| engine.link_settings().list().iter().any(|(known, _)| *known == name);
    if pairs().any(|(name, _)| of_link(&name)) {
        engine.change_link_settings(|settings| {
            for (name, value) in pairs() {
                let _ = settings.set(&name, value);
            }
        });
    }
    for (name, value) in pairs() {
        if of_link(&name) {
            continue;
        }
        if name == "notify-keyspace-events" {
            engine.notifications.set(value);
        } else if name == "requirepass" {
            let text = String::from_utf8_lossy(value).into_owned();
            *engine.password.write() = (!text.is_empty()).then_some(text);
        } else if let Some(n) = memory(value) {
            engine.keyspace.limits().set(&name, n);
        }
    }
    out.simple("OK");
    Ok(())
}

/// A number with an optional unit, as `512mb`.
pub(super) fn memory(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.to_ascii_lowercase();
    let digits = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let unit = match &text[digits..] {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    text[..digits].parse::<i64>().ok()?.checked_mul(unit)
}

fn resetstat(
    session: &mut Session,
    _: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    session.engine.stats.reset();
    out.simple("OK");
    Ok(())
}
