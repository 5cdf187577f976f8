//! How replicas of this server are treated, by the usual names. All of it can be changed by CONFIG SET.

use std::time::Duration;

use replication::BacklogLimits;
use store::SettingKind;

use crate::engine::Engine;
use crate::options::Options;
use crate::outbox::OutputLimit;
use crate::settings::{INT, Row};

/// Settings of the primary's side.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    /// `repl-backlog-size`.
    pub(crate) backlog: usize,
    /// `repl-backlog-ttl`. A backlog is never given up here: this is for show.
    backlog_ttl: Duration,
    /// `repl-ping-replica-period`.
    pub(crate) ping_interval: Duration,
    /// `repl-timeout`.
    pub(crate) timeout: Duration,
    /// `repl-diskless-sync`: dumps end with a mark; otherwise their length comes first.
    pub(crate) diskless: bool,
    /// `repl-diskless-sync-delay`: how long to wait for others who want the same dump.
    pub(crate) sync_delay: Duration,
    /// `min-replicas-to-write`.
    pub(crate) min_replicas: usize,
    /// `min-replicas-max-lag`.
    pub(crate) max_lag: Duration,
    /// `client-output-buffer-limit replica`: hard limit (0: none), soft limit, and its time.
    output_hard: usize,
    pub(crate) output_soft: u64,
    pub(crate) output_soft_time: Duration,
}

impl Serving {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            backlog: options.backlog.size,
            backlog_ttl: Duration::from_secs(3600),
            ping_interval: options.ping_interval,
            timeout: options.replication_timeout,
            diskless: true,
            sync_delay: Duration::ZERO,
            min_replicas: 0,
            max_lag: Duration::from_secs(10),
            output_hard: options.backlog.hard_limit,
            output_soft: 64 << 20,
            output_soft_time: Duration::from_secs(60),
        }
    }

    /// Bytes that a replica may lag at most; never less than the backlog.
    pub(crate) fn output_hard_limit(&self) -> usize {
        if self.output_hard == 0 { usize::MAX } else { self.output_hard.max(self.backlog) }
    }

    pub(crate) fn limits(&self) -> BacklogLimits {
        BacklogLimits { size: self.backlog, hard_limit: self.output_hard_limit() }
    }

    /// How much may wait for a replica.
    pub(crate) fn output(&self) -> OutputLimit {
        OutputLimit { hard: self.output_hard as u64, soft: self.output_soft, patience: self.output_soft_time }
    }

    pub(crate) fn set_output(&mut self, limit: OutputLimit) {
        self.output_hard = usize::try_from(limit.hard).unwrap_or(usize::MAX);
        self.output_soft = limit.soft;
        self.output_soft_time = limit.patience;
    }
}

const fn time(name: &'static str, least: i64, get: fn(&Engine) -> i64, set: fn(&Engine, i64)) -> Row {
    Row::number(name, SettingKind::Integer(least, i32::MAX as i64), get, set)
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

fn of_seconds(n: i64) -> Duration {
    Duration::from_secs(n.unsigned_abs())
}

/// How replicas are treated, for CONFIG.
pub(crate) const SETTINGS: &[Row] = &[
    Row::number(
        "repl-backlog-size",
        SettingKind::Bytes(1),
        |engine| i64::try_from(engine.serving.read().backlog).unwrap_or(i64::MAX),
        |engine, n| engine.change_serving(|s| s.backlog = usize::try_from(n).unwrap_or(usize::MAX)),
    ),
    time(
        "repl-backlog-ttl",
        0,
        |engine| seconds(engine.serving.read().backlog_ttl),
        |engine, n| engine.change_serving(|s| s.backlog_ttl = of_seconds(n)),
    ),
    time(
        "repl-ping-replica-period",
        1,
        |engine| seconds(engine.serving.read().ping_interval),
        |engine, n| engine.change_serving(|s| s.ping_interval = of_seconds(n)),
    )
    .once("repl-ping-slave-period"),
    time(
        "repl-timeout",
        1,
        |engine| seconds(engine.serving.read().timeout),
        |engine, n| engine.change_serving(|s| s.timeout = of_seconds(n)),
    ),
    Row::switch(
        "repl-diskless-sync",
        |engine| engine.serving.read().diskless.into(),
        |engine, on| engine.change_serving(|s| s.diskless = on != 0),
    ),
    time(
        "repl-diskless-sync-delay",
        0,
        |engine| seconds(engine.serving.read().sync_delay),
        |engine, n| engine.change_serving(|s| s.sync_delay = of_seconds(n)),
    ),
    Row::number(
        "min-replicas-to-write",
        INT,
        |engine| i64::try_from(engine.serving.read().min_replicas).unwrap_or(i64::MAX),
        |engine, n| engine.change_serving(|s| s.min_replicas = usize::try_from(n).unwrap_or(usize::MAX)),
    )
    .once("min-slaves-to-write"),
    time(
        "min-replicas-max-lag",
        0,
        |engine| seconds(engine.serving.read().max_lag),
        |engine, n| engine.change_serving(|s| s.max_lag = of_seconds(n)),
    )
    .once("min-slaves-max-lag"),
];
