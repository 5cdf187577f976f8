//! CONFIG: the settings that exist here, under their usual names.
//!
//! Those of the keyspace are the store's ([`store::Limits`]); the others have a row in [`OWN`]. What a real server can
//! do and this one cannot is told as it is (`appendonly` is `no`): setting such a name to what it is already is fine,
//! anything else is refused.

use std::time::Duration;

use store::command::Flags;
use store::{
    Args, Cleanup, CommandError, CommandResult, Compat, Differences, Family, InvalidCleanup, Limits, Reply,
    Setting, SettingKind,
};

use super::{container, help, rows};
use crate::engine::Engine;
use crate::evicting::Limit;
use crate::notify::Notifications;
use crate::observed::{LogKind, Tally, Threshold};
use crate::reply::RespReply;
use crate::saving::Settings;
use crate::session::{Ground, Session};

rows! { "server";
    /// A container for server configuration commands.
    "config" -2 [Flags::CONTAINER], since "2.0.0", cost "Depends on subcommand." => container;
    /// Returns helpful text about the different subcommands.
    "config|help" 2 [Flags::LOADING, Flags::STALE], since "5.0.0", cost "O(1)" => help;
    /// Returns the effective values of configuration parameters.
    "config|get" -3 [Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "2.0.0", cost "O(N) when N is the number of configuration parameters provided" => get;
    /// Resets the server's statistics.
    "config|resetstat" 2 [Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "2.0.0", cost "O(1)" => resetstat;
    /// Persists the effective configuration to file.
    "config|rewrite" 2 [Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "2.8.0", cost "O(1)" => rewrite;
    /// Sets configuration parameters in-flight.
    "config|set" -4 [Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "2.0.0", cost "O(N) when N is the number of configuration parameters provided" => set;
}

/// A setting that is not the keyspace's.
struct Own {
    name: &'static str,
    old_name: Option<&'static str>,
    /// The only family that has it, if one has not.
    only: Option<Family>,
    get: fn(&Engine) -> String,
    /// How to change it; nobody can if there is no way.
    set: Option<Change>,
}

impl Own {
    fn is_known_to(&self, compat: Compat) -> bool {
        self.only.is_none_or(|family| family == compat.family())
    }
}

/// How a setting is changed: first it is looked at, then done.
struct Change {
    check: fn(&[u8]) -> Result<(), &'static str>,
    set: fn(&Engine, &[u8]),
}

const fn fixed(name: &'static str, get: fn(&Engine) -> String) -> Own {
    Own { name, old_name: None, only: None, get, set: None }
}

const fn renamed(name: &'static str, old_name: &'static str, get: fn(&Engine) -> String) -> Own {
    Own { name, old_name: Some(old_name), only: None, get, set: None }
}

fn yes(_: &Engine) -> String {
    "yes".to_owned()
}

fn no(_: &Engine) -> String {
    "no".to_owned()
}

fn zero(_: &Engine) -> String {
    "0".to_owned()
}

fn millis(value: &[u8]) -> Option<Duration> {
    std::str::from_utf8(value).ok()?.parse().ok().map(Duration::from_millis)
}

/// Text of a setting as a `T`.
fn parsed<T: std::str::FromStr>(value: &[u8]) -> Option<T> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Milliseconds, or `no`.
fn grace(value: &[u8]) -> Option<Option<Duration>> {
    if value.eq_ignore_ascii_case(b"no") { Some(None) } else { millis(value).map(Some) }
}

/// A number of what the server remembers.
macro_rules! threshold {
    ($name:literal, $only:expr, $least:literal, $of:expr) => {
        Own {
            name: $name,
            old_name: None,
            only: $only,
            get: |engine| {
                let of: fn(&Engine) -> &Threshold = $of;
                of(engine).get().to_string()
            },
            set: Some(Change {
                check: |value| match store::number::parse_i64(value) {
                    Some($least..) => Ok(()),
                    Some(_) => Err(concat!(
                        "argument must be between ",
                        $least,
                        " and 9223372036854775807 inclusive"
                    )),
                    None => Err("argument couldn't be parsed into an integer"),
                },
                set: |engine, value| {
                    let of: fn(&Engine) -> &Threshold = $of;
                    of(engine).set(store::number::parse_i64(value).unwrap_or_default());
                },
            }),
        }
    };
}

static OWN: [Own; 30] = [
    threshold!("latency-monitor-threshold", None, 0, |engine| &engine.observed.latency.threshold),
    threshold!("slowlog-log-slower-than", None, -1, |engine| &engine.observed.logs[LogKind::Slow as usize]
        .threshold),
    threshold!("slowlog-max-len", None, 0, |engine| &engine.observed.logs[LogKind::Slow as usize].most),
    threshold!("commandlog-execution-slower-than", Some(Family::Valkey), -1, |engine| {
        &engine.observed.logs[LogKind::Slow as usize].threshold
    }),
    threshold!("commandlog-slow-execution-max-len", Some(Family::Valkey), 0, |engine| {
        &engine.observed.logs[LogKind::Slow as usize].most
    }),
    threshold!("commandlog-request-larger-than", Some(Family::Valkey), -1, |engine| {
        &engine.observed.logs[LogKind::LargeRequest as usize].threshold
    }),
    threshold!("commandlog-large-request-max-len", Some(Family::Valkey), 0, |engine| {
        &engine.observed.logs[LogKind::LargeRequest as usize].most
    }),
    threshold!("commandlog-reply-larger-than", Some(Family::Valkey), -1, |engine| {
        &engine.observed.logs[LogKind::LargeReply as usize].threshold
    }),
    threshold!("commandlog-large-reply-max-len", Some(Family::Valkey), 0, |engine| {
        &engine.observed.logs[LogKind::LargeReply as usize].most
    }),
    fixed("aclfile", |engine| engine.acl.file().map(|path| path.display().to_string()).unwrap_or_default()),
    Own {
        name: "active-expire-cleanup",
        old_name: None,
        only: None,
        get: |engine| engine.cleanup().to_string(),
        set: Some(Change {
            check: |value| parsed::<Cleanup>(value).map(|_| ()).ok_or(InvalidCleanup::TEXT),
            set: |engine, value| engine.set_cleanup(parsed(value).unwrap_or_default()),
        }),
    },
    fixed("activedefrag", no),
    fixed("appendonly", no),
    fixed("cluster-enabled", no),
    fixed("databases", |engine| engine.keyspace.databases().to_string()),
    fixed("enable-debug-command", |engine| engine.options.debug_command.name().to_owned()),
    fixed("enable-protected-configs", |engine| engine.options.protected_configs.name().to_owned()),
    fixed("list-compress-depth", zero),
    fixed("maxclients", |_| "10000".to_owned()),
    fixed("maxmemory-clients", zero),
    fixed("port", |engine| engine.options.port.to_string()),
    Own {
        name: "replica-memory-limit",
        old_name: None,
        only: None,
        get: |engine| engine.memory_limit().name().to_owned(),
        set: Some(Change {
            check: |value| {
                let known = Limit::named(value).map(|_| ());
                known.ok_or("argument(s) must be one of the following: report, stop, evict-lru")
            },
            set: |engine, value| engine.set_memory_limit(Limit::named(value).unwrap_or_default()),
        }),
    },
    renamed("replica-read-only", "slave-read-only", yes),
    Own {
        name: "replica-reclaim-expired",
        old_name: None,
        only: None,
        get: |engine| match *engine.reclaim_expired.read() {
            None => "no".to_owned(),
            Some(grace) => grace.as_millis().to_string(),
        },
        set: Some(Change {
            check: |value| grace(value).map(|_| ()).ok_or("argument must be 'no' or milliseconds"),
            set: |engine, value| *engine.reclaim_expired.write() = grace(value).flatten(),
        }),
    },
    Own {
        name: "requirepass",
        old_name: None,
        only: None,
        get: |engine| engine.password.read().clone().unwrap_or_default(),
        set: Some(Change {
            check: |_| Ok(()),
            set: |engine, value| {
                let text = String::from_utf8_lossy(value).into_owned();
                engine.set_password(Some(text));
            },
        }),
    },
    Own {
        name: "notify-keyspace-events",
        old_name: None,
        only: None,
        get: |engine| engine.notifications.text(),
        set: Some(Change {
            check: |value| match Notifications::default().set(value) {
                true => Ok(()),
                false => Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
            },
            set: |engine, value| {
                engine.notifications.set(value);
            },
        }),
    },
    fixed("tcp-keepalive", zero),
    fixed("timeout", zero),
    Own {
        name: "busy-reply-threshold",
        old_name: Some("lua-time-limit"),
        only: None,
        get: |engine| engine.scripts.running.patience().as_millis().to_string(),
        set: Some(Change {
            check: |value| millis(value).map(|_| ()).ok_or("argument couldn't be parsed into an integer"),
            set: |engine, value| engine.scripts.running.set_patience(millis(value).unwrap_or_default()),
        }),
    },
    fixed("tls-port", zero),
];

/// Every name with its value, sorted.
fn all(engine: &Engine) -> Vec<(&'static str, String)> {
    let compat = engine.keyspace.compat();
    let mut all = Vec::new();
    for (setting, value) in engine.keyspace.limits().iter().filter(|(s, _)| s.is_known_to(compat)) {
        all.push((setting.name, setting.spell(value)));
        all.extend(setting.old_name.map(|old| (old, setting.spell(value))));
    }
    for own in OWN.iter().filter(|own| own.is_known_to(compat)) {
        let value = (own.get)(engine);
        all.extend(own.old_name.map(|old| (old, value.clone())));
        all.push((own.name, value));
    }
    all.extend(engine.link_settings().list());
    all.extend(engine.serving.read().list());
    all.extend(engine.saving.settings.read().list());
    all.sort_unstable_by_key(|(name, _)| *name);
    all
}

fn lower(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_ascii_lowercase()
}

/// A name without a pattern is answered as it was asked.
fn get(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let all = all(&session.engine);
    let patterns = args.from(2);
    let found: Vec<(&[u8], &str)> = all
        .iter()
        .filter_map(|(name, value)| {
            let by =
                patterns.iter().find(|p| store::glob::matches(&p.to_ascii_lowercase(), name.as_bytes()))?;
            let is_pattern = by.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['));
            Some((if is_pattern { name.as_bytes() } else { *by }, value.as_str()))
        })
        .collect();
    out.encoder().map(found.len());
    for (name, value) in found {
        out.bulk(name);
        out.bulk(value.as_bytes());
    }
    Ok(())
}

/// A pair of CONFIG SET.
struct Pair<'a> {
    name: &'a [u8],
    value: &'a [u8],
    what: What,
}

enum What {
    Keyspace(&'static Setting),
    Own(&'static Own),
    /// One of [`LinkSettings`](crate::LinkSettings).
    Link,
    /// One of [`Serving`](crate::serving::Serving).
    Serving,
    /// One of [`Settings`].
    Saving,
}

impl What {
    fn named(name: &str, engine: &Engine) -> Option<Self> {
        let compat = engine.keyspace.compat();
        let setting = Limits::find(name).filter(|setting| setting.is_known_to(compat)).map(Self::Keyspace);
        let is_called = |own: &&Own| own.name == name || own.old_name == Some(name);
        let own = || OWN.iter().filter(|own| own.is_known_to(compat)).find(is_called).map(Self::Own);
        let of_link = || engine.link_settings().list().iter().any(|(known, _)| *known == name);
        let of_serving = || engine.serving.read().list().iter().any(|(known, _)| *known == name);
        let of_saving = || engine.saving.settings.read().list().iter().any(|(known, _)| *known == name);
        let other = || {
            let known = [(of_link(), Self::Link), (of_serving(), Self::Serving), (of_saving(), Self::Saving)];
            known.into_iter().find_map(|(is, what)| is.then_some(what))
        };
        setting.or_else(own).or_else(other)
    }
}

fn failed(name: &[u8], why: &str) -> CommandError {
    let name = String::from_utf8_lossy(name);
    let text = format!("CONFIG SET failed (possibly related to argument '{name}') - {why}");
    CommandError::Err(text.into())
}

/// All or nothing: every pair is looked at before the first change.
fn set(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    let engine = &session.engine;
    let compat = engine.keyspace.compat();
    let mut changes: Vec<Pair<'_>> = Vec::new();
    for pair in args.from(2).chunks_exact(2) {
        let (name, value) = (pair[0], pair[1]);
        let what = What::named(&lower(name), engine).ok_or_else(|| {
            let name = String::from_utf8_lossy(name);
            CommandError::Err(
                format!("Unknown option or number of arguments for CONFIG SET - '{name}'").into(),
            )
        })?;
        if let What::Own(own) = what
            && own.set.is_none()
            && !value.eq_ignore_ascii_case((own.get)(engine).as_bytes())
        {
            return Err(failed(name, "can't set immutable config"));
        }
        if Settings::is_protected(&lower(name)) && !session.may(engine.options.protected_configs) {
            return Err(failed(name, "can't set protected config"));
        }
        if changes.iter().any(|change| change.name.eq_ignore_ascii_case(name)) {
            return Err(failed(name, "duplicate parameter"));
        }
        changes.push(Pair { name, value, what });
    }
    let (mut values, mut link) = (Vec::new(), engine.link_settings());
    let mut serving = engine.serving.read().clone();
    let mut saving = engine.saving.settings.read().clone();
    for change in &changes {
        let name = lower(change.name);
        match change.what {
            What::Keyspace(setting) => {
                let value = read(setting.kind, change.value, compat.differences())
                    .map_err(|why| failed(name.as_bytes(), &why))?;
                values.push((setting.name, value));
            }
            What::Link => {
                if let Some(Err(why)) = link.set(&name, change.value) {
                    return Err(failed(name.as_bytes(), why));
                }
            }
            What::Serving => {
                if let Some(Err(why)) = serving.set(&name, change.value) {
                    return Err(failed(name.as_bytes(), &why));
                }
            }
            What::Saving => {
                if let Some(Err(why)) = saving.set(&name, change.value, compat.differences()) {
                    return Err(failed(name.as_bytes(), &why));
                }
            }
            What::Own(Own { set: Some(Change { check, .. }), .. }) => {
                check(change.value).map_err(|why| failed(name.as_bytes(), why))?;
            }
            What::Own(_) => {}
        }
    }
    if changes.iter().any(|change| matches!(change.what, What::Link)) {
        engine.change_link_settings(|settings| *settings = link);
    }
    if changes.iter().any(|change| matches!(change.what, What::Serving)) {
        engine.change_serving(|settings| *settings = serving);
    }
    if changes.iter().any(|change| matches!(change.what, What::Saving)) {
        *engine.saving.settings.write() = saving;
    }
    for (name, value) in values {
        engine.keyspace.limits().set(name, value);
    }
    engine.measure_tables();
    for change in &changes {
        if let What::Own(Own { set: Some(Change { set, .. }), .. }) = change.what {
            set(engine, change.value);
        }
    }
    out.simple("OK");
    Ok(())
}

/// A value from its text, or what is wrong with it.
fn read(kind: SettingKind, text: &[u8], like: &Differences) -> Result<i64, String> {
    let integer = || store::number::parse_i64(text).ok_or("argument couldn't be parsed into an integer");
    let within = |n: i64, least: i64, most: i64| {
        if (least..=most).contains(&n) {
            return Ok(n);
        }
        Err(format!("argument must be between {least} and {most} inclusive"))
    };
    match kind {
        SettingKind::Integer(least, most) => within(integer()?, least, most),
        SettingKind::Samples => within(integer()?, 1, like.most_samples),
        SettingKind::Count if like.open_ranges => match integer()? {
            n if n >= 0 => Ok(n),
            _ => Err("argument must be greater or equal to 0".to_owned()),
        },
        SettingKind::Count => within(integer()?, 0, i64::MAX),
        SettingKind::Bytes(least) => {
            within(memory_value(text).ok_or("argument must be a memory value")?, least, i64::MAX)
        }
        SettingKind::Switch => match () {
            () if text.eq_ignore_ascii_case(b"yes") => Ok(1),
            () if text.eq_ignore_ascii_case(b"no") => Ok(0),
            () => Err("argument must be 'yes' or 'no'".to_owned()),
        },
        SettingKind::Choice(words) => {
            let place = words.iter().position(|word| text.eq_ignore_ascii_case(word.as_bytes()));
            let place = place.and_then(|at| i64::try_from(at).ok());
            place.ok_or_else(|| format!("argument(s) must be one of the following: {}", words.join(", ")))
        }
    }
}

/// A number of bytes with an optional unit, as `512mb`.
#[must_use]
pub fn memory_value(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
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
    session.tally = Tally::default();
    session.engine.observed.reset_counts();
    out.simple("OK");
    Ok(())
}

fn rewrite(_: &mut Session, _: Args<'_>, _: &mut RespReply<'_>, _: &mut Ground<'_, '_>) -> CommandResult {
    Err(CommandError::err("The server is running without a config file"))
}
