//! The groups of rows, and those rows that are nobody's in particular.

use std::sync::atomic::Ordering;
use std::time::Duration;

use store::{Cleanup, Family, InvalidCleanup, SettingKind};

use super::{Row, any_text};
use crate::engine::Engine;
use crate::evicting::Limit;
use crate::notify::Notifications;
use crate::observed::{LogKind, Percentiles, Threshold};

/// All rows.
pub(super) static GROUPS: &[&[Row]] = &[
    SERVER,
    CLIENTS,
    OBSERVED,
    crate::following::SETTINGS,
    crate::saving::SETTINGS,
    crate::serving::SETTINGS,
    #[cfg(feature = "tls")]
    crate::tls_settings::SETTINGS,
];

/// Everything from 0, as far as an `int` goes.
pub(crate) const INT: SettingKind = SettingKind::Integer(0, i32::MAX as i64);
const FROM_0: SettingKind = SettingKind::Integer(0, i64::MAX);
const FROM_LESS: SettingKind = SettingKind::Integer(-1, i64::MAX);

/// A number that stands somewhere by itself.
macro_rules! of {
    ($name:literal, $kind:expr, $of:expr) => {
        Row::number(
            $name,
            $kind,
            |engine| {
                let of: fn(&Engine) -> &Threshold = $of;
                of(engine).get()
            },
            |engine, n| {
                let of: fn(&Engine) -> &Threshold = $of;
                of(engine).set(n);
            },
        )
    };
}

/// The hosts, or the paths, of listeners of some kinds.
fn places(engine: &Engine, is_it: fn(&str) -> bool) -> Vec<String> {
    let listening = engine.listening.read();
    let mut all = Vec::new();
    for place in listening.iter().filter(|place| is_it(place.kind)) {
        if !all.contains(&place.bind) {
            all.push(place.bind.clone());
        }
    }
    all
}

/// The port of the first listener of a kind; 0 if there is none.
pub(crate) fn port_of(engine: &Engine, kind: &str) -> u16 {
    engine.listening.read().iter().find(|place| place.kind == kind).map_or(0, |place| place.port)
}

/// Milliseconds, or `no`.
fn grace(value: &str) -> Option<Option<Duration>> {
    if value.eq_ignore_ascii_case("no") {
        return Some(None);
    }
    value.parse().ok().map(|ms| Some(Duration::from_millis(ms)))
}

const SERVER: &[Row] = &[
    Row::number(
        "acllog-max-len",
        FROM_0,
        |engine| i64::try_from(engine.acl.log.lock().most).unwrap_or(i64::MAX),
        |engine, most| engine.acl.log.lock().most = usize::try_from(most).unwrap_or(usize::MAX),
    ),
    Row::immutable("aclfile", |engine| {
        engine.acl.file().map(|path| path.display().to_string()).unwrap_or_default()
    }),
    Row::text(
        "active-expire-cleanup",
        |engine| engine.cleanup().to_string(),
        |text, _| text.parse::<Cleanup>().map(|_| ()).map_err(|_| InvalidCleanup::TEXT.to_owned()),
        |engine, text| engine.set_cleanup(text.parse().unwrap_or_default()),
    ),
    Row::as_it_is("activedefrag", "no"),
    Row::as_it_is("appendonly", "no"),
    Row::number(
        "busy-reply-threshold",
        FROM_0,
        |engine| i64::try_from(engine.scripts.running.patience().as_millis()).unwrap_or(i64::MAX),
        |engine, ms| engine.scripts.running.set_patience(Duration::from_millis(ms.unsigned_abs())),
    )
    .once("lua-time-limit"),
    Row::immutable("cluster-enabled", |engine| {
        if engine.is_alone_in_cluster() { "yes" } else { "no" }.to_owned()
    }),
    Row::text(
        "cluster-topology",
        |engine| if engine.is_alone_in_cluster() { "copy" } else { "off" }.to_owned(),
        |text, _| match text {
            "copy" | "off" => Ok(()),
            _ => Err("argument(s) must be one of the following: off, copy".to_owned()),
        },
        |engine, text| engine.shows_topology.store(text == "copy", Ordering::Relaxed),
    ),
    Row::immutable("databases", |engine| engine.keyspace.databases().to_string()),
    Row::immutable("disable-thp", |engine| {
        if engine.options.disable_huge_pages == Some(true) { "yes" } else { "no" }.to_owned()
    }),
    Row::immutable("enable-debug-command", |engine| engine.options.debug_command.name().to_owned()),
    Row::immutable("enable-protected-configs", |engine| engine.options.protected_configs.name().to_owned()),
    Row::as_it_is("list-compress-depth", "0"),
    Row::text(
        "notify-keyspace-events",
        |engine| engine.notifications.text(),
        |text, like| match Notifications::default().set(text.as_bytes(), like) {
            true => Ok(()),
            false => Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".to_owned()),
        },
        |engine, text| {
            engine.notifications.set(text.as_bytes(), engine.compat().differences());
        },
    ),
    Row::text(
        "replica-memory-limit",
        |engine| engine.memory_limit().name().to_owned(),
        |text, _| {
            let known = Limit::named(text.as_bytes()).map(|_| ());
            known
                .ok_or_else(|| "argument(s) must be one of the following: report, stop, evict-lru".to_owned())
        },
        |engine, text| engine.set_memory_limit(Limit::named(text.as_bytes()).unwrap_or_default()),
    ),
    Row::as_it_is("replica-read-only", "yes").once("slave-read-only"),
    Row::text(
        "replica-reclaim-expired",
        |engine| match *engine.reclaim_expired.read() {
            None => "no".to_owned(),
            Some(grace) => grace.as_millis().to_string(),
        },
        |text, _| grace(text).map(|_| ()).ok_or_else(|| "argument must be 'no' or milliseconds".to_owned()),
        |engine, text| *engine.reclaim_expired.write() = grace(text).flatten(),
    ),
    Row::text(
        "requirepass",
        |engine| engine.password.read().clone().unwrap_or_default(),
        any_text,
        |engine, text| engine.set_password(Some(text.to_owned())),
    ),
];

/// Bytes, or a percentage of `maxmemory`, which is a negative number.
fn share(text: &str) -> Result<i64, String> {
    let wrong = || "argument must be a memory or percent value".to_owned();
    if let Some(percent) = text.strip_suffix('%') {
        return match percent.parse::<i64>() {
            Ok(0..=100) => Ok(-percent.parse::<i64>().unwrap_or_default()),
            Ok(101..) => Err("percentage argument must be less or equal to 100".to_owned()),
            _ => Err(wrong()),
        };
    }
    super::memory_value(text.as_bytes()).ok_or_else(wrong)
}

const CLIENTS: &[Row] = &[
    Row::immutable("bind", |engine| places(engine, |kind| kind != "unix").join(" ")).of_words(),
    Row::immutable("port", |engine| engine.port().to_string()),
    Row::immutable("tls-port", |engine| port_of(engine, "tls").to_string()),
    Row::immutable("unixsocket", |engine| places(engine, |kind| kind == "unix").concat()),
    Row::immutable("unixsocketperm", |engine| {
        let listening = engine.listening.read();
        let unix = listening.iter().find(|place| place.kind == "unix");
        unix.map_or_else(|| "0".to_owned(), |place| format!("{:o}", place.permissions))
    }),
    Row::immutable("tcp-backlog", |engine| engine.options.tcp_backlog.to_string()),
    Row::switch(
        "protected-mode",
        |engine| engine.client_limits.protected.load(Ordering::Relaxed).into(),
        |engine, on| engine.client_limits.protected.store(on != 0, Ordering::Relaxed),
    ),
    of!("maxclients", SettingKind::Integer(1, u32::MAX as i64), |engine| &engine.client_limits.clients),
    of!("timeout", INT, |engine| &engine.client_limits.idle),
    of!("tcp-keepalive", INT, |engine| &engine.client_limits.keepalive),
    of!("client-query-buffer-limit", SettingKind::Bytes(1 << 20), |engine| &engine.client_limits.query),
    Row::text(
        "maxmemory-clients",
        |engine| match engine.client_limits.memory.get() {
            percent if percent < 0 => format!("{}%", percent.unsigned_abs()),
            bytes => bytes.to_string(),
        },
        |text, _| share(text).map(|_| ()),
        |engine, text| engine.client_limits.memory.set(share(text).unwrap_or_default()),
    ),
    Row::text(
        "client-output-buffer-limit",
        crate::client_limits::output_limits,
        |text, _| crate::client_limits::parse_output_limits(text).map(|_| ()),
        crate::client_limits::set_output_limits,
    )
    .of_words(),
];

const OBSERVED: &[Row] = &[
    Row::switch(
        "latency-tracking",
        |engine| engine.observed.tallies.keeps_times.get(),
        |engine, on| engine.observed.tallies.keeps_times.set(on),
    ),
    Row::text(
        "latency-tracking-info-percentiles",
        |engine| engine.observed.percentiles.text(),
        |text, _| Percentiles::parse(text).map(|_| ()),
        |engine, text| engine.observed.percentiles.set(Percentiles::parse(text).unwrap_or_default()),
    )
    .of_words(),
    Row::number(
        "tracking-table-max-keys",
        SettingKind::Count,
        |engine| engine.tracking.most.get(),
        |engine, most| {
            engine.tracking.most.set(most);
            engine.tracking.keep_within_limit(None, &engine.clients);
        },
    ),
    of!("latency-monitor-threshold", FROM_0, |engine| &engine.observed.latency.threshold),
    of!("slowlog-log-slower-than", FROM_LESS, |engine| log(engine, LogKind::Slow).0),
    of!("slowlog-max-len", FROM_0, |engine| log(engine, LogKind::Slow).1),
    of!("commandlog-execution-slower-than", FROM_LESS, |engine| log(engine, LogKind::Slow).0)
        .only(Family::Valkey),
    of!("commandlog-slow-execution-max-len", FROM_0, |engine| log(engine, LogKind::Slow).1)
        .only(Family::Valkey),
    of!("commandlog-request-larger-than", FROM_LESS, |engine| log(engine, LogKind::LargeRequest).0)
        .only(Family::Valkey),
    of!("commandlog-large-request-max-len", FROM_0, |engine| log(engine, LogKind::LargeRequest).1)
        .only(Family::Valkey),
    of!("commandlog-reply-larger-than", FROM_LESS, |engine| log(engine, LogKind::LargeReply).0)
        .only(Family::Valkey),
    of!("commandlog-large-reply-max-len", FROM_0, |engine| log(engine, LogKind::LargeReply).1)
        .only(Family::Valkey),
];

/// Which commands a log keeps, and how many of them.
fn log(engine: &Engine, kind: LogKind) -> (&Threshold, &Threshold) {
    let log = &engine.observed.logs[kind as usize];
    (&log.threshold, &log.most)
}
