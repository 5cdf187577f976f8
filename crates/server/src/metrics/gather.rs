//! Where the figures come from.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use replication::{LinkStatus, Phase};

use super::{MetricKind, Metrics};
use crate::cluster::ShardStatus;
use crate::engine::{Engine, unix_ms};
use crate::info::{cpu_seconds, resident_bytes};
use crate::memory::Usage;
use crate::role::Role;

fn read(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

impl Engine {
    /// All figures at this moment. Waits for a write that runs; not within one.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let (mut m, usage) = (Metrics::default(), Usage::of(self));
        self.about(&mut m);
        let link = self.link_status();
        self.following_figures(&mut m, link.as_ref());
        self.shard_figures(&mut m);
        self.keyspace_figures(&mut m, &usage);
        self.memory_figures(&mut m, &usage);
        self.command_figures(&mut m);
        self.client_figures(&mut m);
        self.saving_figures(&mut m);
        m.metrics.retain(|metric| !metric.samples.is_empty());
        m
    }

    /// What the link to the primary does; `None` if there never was one.
    #[must_use]
    pub fn link_status(&self) -> Option<LinkStatus> {
        self.link.read().as_ref().map(|link| link.borrow().clone())
    }

    /// How far the data are behind the primary at most: the time since the last byte of its stream that has been
    /// applied arrived. Primaries send something every 10 seconds at least. `None` before the first sync, and on a primary.
    #[must_use]
    pub fn staleness(&self) -> Option<Duration> {
        if !self.is_loaded() || self.role() == Role::Primary {
            return None;
        }
        let link = self.link.read();
        let link = link.as_ref()?.borrow();
        Some(link.last_io.map_or_else(|| self.uptime(), |at| at.elapsed()))
    }

    fn about(&self, m: &mut Metrics) {
        let mut info =
            m.gauge("replica_build_info", "Which program this is, and which server it is for clients.");
        let labels =
            vec![("version", env!("CARGO_PKG_VERSION").to_owned()), ("compat", self.compat().to_string())];
        info.sample("", labels, 1.0);
        m.gauge("replica_uptime_seconds", "Time since the start.").is(self.uptime().as_secs_f64());
        m.gauge("replica_is_primary", "1: writable, follows nobody.").is(flag(self.role() == Role::Primary));
        m.gauge("replica_ready", "1: there is a complete data set to read.").is(flag(self.is_loaded()));
        if let Some((system, user)) = cpu_seconds() {
            let mut cpu = m.counter("replica_cpu_seconds_total", "Processor time of the process.");
            cpu.with("mode", "system", system);
            cpu.with("mode", "user", user);
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let tasks = runtime.metrics().num_alive_tasks();
            m.gauge(
                "replica_tasks",
                "Tasks of the runtime that asks: some of the server's own, and one a client.",
            )
            .is(tasks as f64);
        }
    }

    fn following_figures(&self, m: &mut Metrics, link: Option<&LinkStatus>) {
        let applied = self.position().map_or(0, |position| position.offset.0);
        m.gauge("replica_offset_bytes", "How much of its history the data set holds.").is(applied as f64);
        let Some(link) = link else { return };
        let up = link.phase.is_streaming();
        m.gauge("replica_link_up", "1: the primary's stream flows.").is(flag(up));
        let mut phase = m.gauge("replica_link_phase", "1 at what the link does.");
        for (name, is) in [
            ("connecting", matches!(link.phase, Phase::Connecting)),
            ("handshake", matches!(link.phase, Phase::Handshake)),
            ("transfer", matches!(link.phase, Phase::Transfer { .. })),
            ("streaming", up),
            ("down", matches!(link.phase, Phase::Down { .. })),
            ("idle", matches!(link.phase, Phase::Idle)),
            ("stopped", matches!(link.phase, Phase::Stopped)),
        ] {
            phase.with("phase", name, flag(is));
        }
        if let Some(lag) = self.staleness() {
            let help =
                "How far the data are behind the primary at most: time since its stream was last heard of.";
            m.gauge("replica_lag_seconds", help).is(lag.as_secs_f64());
        }
        let received = link.read_offset.map_or(applied, |offset| offset.0.max(applied));
        m.gauge("replica_received_offset_bytes", "How much of its history has been received.")
            .is(received as f64);
        m.gauge("replica_lag_bytes", "Received and not applied yet.").is((received - applied) as f64);
        if let Phase::Transfer { received, total } = link.phase {
            m.gauge("replica_sync_received_bytes", "Of the dump of a full sync that runs.")
                .is(received as f64);
            if let Some(total) = total {
                m.gauge("replica_sync_total_bytes", "Its length, where the primary told.").is(total as f64);
            }
        }
        let counters = &link.counters;
        m.counter("replica_received_bytes_total", "Bytes from the primary, of every kind.")
            .is(counters.bytes_received as f64);
        m.counter("replica_stream_commands_total", "Commands of the primary's stream that were applied.")
            .is(counters.commands_applied as f64);
        m.counter(
            "replica_diverged_commands_total",
            "Commands of the stream that could not be applied: 0, or the data differ from the primary's.",
        )
        .is(self.divergence.total() as f64);
        m.counter("replica_connections_total", "Connections to the primary.").is(counters.connections as f64);
        let mut syncs =
            m.counter("replica_syncs_total", "Times the data set was brought up to date, by how.");
        syncs.with("kind", "full", counters.full_syncs as f64);
        syncs.with("kind", "partial", counters.partial_syncs as f64);
        m.counter("replica_two_channel_syncs_total", "Full syncs over a connection of their own.")
            .is(counters.two_channel_syncs as f64);
        let mut failures = m.counter("replica_link_failures_total", "Connections that failed, by reason.");
        for (kind, count) in link.failures.iter() {
            failures.with("reason", kind.name(), count as f64);
        }
        m.gauge("replica_buffered_bytes", "Between the socket and the data set.")
            .is(link.buffered.bytes as f64);
        m.gauge("replica_buffered_peak_bytes", "The most there ever were.").is(link.buffered.peak as f64);
        m.gauge("replica_buffered_limit_bytes", "Beyond them the socket is not read.")
            .is(link.buffered.limit as f64);
        if let Some(filter) = self.filter_status() {
            m.counter("replica_filter_dropped_commands_total", "Commands of the stream that were not run.")
                .is(filter.commands_dropped as f64);
            m.counter("replica_filter_changed_commands_total", "Commands that ran for a part of their keys.")
                .is(filter.commands_changed as f64);
            m.gauge("replica_filter_lost_keys", "Keys that were made from what is not kept.")
                .is(filter.keys_lost as f64);
        }
    }

    /// Of a cluster that is followed: each shard for itself, by the number that it has here.
    fn shard_figures(&self, m: &mut Metrics) {
        let shards = self.shards();
        if shards.is_empty() {
            return;
        }
        let mut each = |name, help, figure: fn(&ShardStatus) -> f64| {
            let mut gauge = m.gauge(name, help);
            shards.iter().for_each(|shard| gauge.with("shard", shard.number, figure(shard)));
        };
        each("replica_shard_up", "1: the stream of this shard's primary flows.", |shard| {
            flag(shard.link.phase.is_streaming())
        });
        each("replica_shard_slots", "Slots whose keys are shown as this shard has them.", |shard| {
            shard.slots.iter().map(ExactSizeIterator::len).sum::<usize>() as f64
        });
        each("replica_shard_offset_bytes", "How much of this shard's history is held.", |shard| {
            shard.position.map_or(0.0, |held| held.offset.0 as f64)
        });
        each("replica_shard_lag_bytes", "Received of this shard and not applied yet.", |shard| {
            shard.behind_bytes as f64
        });
        let help =
            "How far this shard's keys are behind its primary at most: time since that was last heard of.";
        each("replica_shard_lag_seconds", help, |shard| {
            shard.lag().map_or(f64::INFINITY, |lag| lag.as_secs_f64())
        });
        each("replica_shard_keys_aside", "Keys of this shard that are held and not shown.", |shard| {
            shard.keys_aside as f64
        });
        let help = "Full syncs of this shard.";
        let mut full = m.counter("replica_shard_full_syncs_total", help);
        shards.iter().for_each(|s| full.with("shard", s.number, s.link.counters.full_syncs as f64));
        let help = "Partial syncs of this shard.";
        let mut partial = m.counter("replica_shard_partial_syncs_total", help);
        shards.iter().for_each(|s| partial.with("shard", s.number, s.link.counters.partial_syncs as f64));
    }

    fn keyspace_figures(&self, m: &mut Metrics, usage: &Usage) {
        let mut keys = m.gauge("replica_keys", "Keys of a database.");
        usage.dbs.iter().for_each(|db| keys.with("db", db.index, db.counts.keys as f64));
        let mut expiring = m.gauge("replica_expiring_keys", "Keys of a database that expire.");
        usage.dbs.iter().for_each(|db| expiring.with("db", db.index, db.counts.expires as f64));
        let stats = &self.stats;
        m.counter("replica_expired_keys_total", "Keys removed because their time had come.")
            .is(read(&stats.expired_keys));
        m.counter("replica_expired_fields_total", "Fields of hashes removed because their time had come.")
            .is(read(&stats.expired_fields));
        m.counter("replica_evicted_keys_total", "Keys removed to make room.").is(read(&stats.evicted_keys));
    }

    fn memory_figures(&self, m: &mut Metrics, usage: &Usage) {
        let (eval, functions) = self.scripts.memory();
        let mut memory = m.gauge("replica_memory_bytes", "What the data take, by what it is.");
        memory.with("part", "values", usage.payload as f64);
        memory.with("part", "tables", usage.tables as f64);
        memory.with("part", "backlog", usage.backlog as f64);
        memory.with("part", "scripts", (eval + functions) as f64);
        m.gauge("replica_memory_peak_bytes", "The most that values, tables and backlog ever took.")
            .is(usage.peak as f64);
        m.gauge("replica_memory_limit_bytes", "maxmemory; 0: no limit.")
            .is(self.keyspace.limits().max_memory() as f64);
        if let Some(resident) = resident_bytes() {
            m.gauge("replica_resident_bytes", "What the process has of the machine's memory.")
                .is(resident as f64);
        }
    }

    fn command_figures(&self, m: &mut Metrics) {
        let all = self.observed.tallies.all();
        let mut calls = m.counter("replica_commands_total", "Calls of a command by clients.");
        all.iter().for_each(|(name, counts)| calls.with("cmd", name, read(&counts.calls)));
        let mut rejected =
            m.counter("replica_commands_rejected_total", "Calls that were refused before they ran.");
        all.iter().for_each(|(name, counts)| rejected.with("cmd", name, read(&counts.rejected)));
        let mut failed = m.counter("replica_commands_failed_total", "Calls that ran and answered an error.");
        all.iter().for_each(|(name, counts)| failed.with("cmd", name, read(&counts.failed)));
        let help = "Time that calls of a command took.";
        let mut times = m.family(MetricKind::Summary, "replica_command_duration_seconds", help);
        for (name, counts) in &all {
            if counts.calls.load(Ordering::Relaxed) == 0 {
                continue;
            }
            for (quantile, percent) in [("0.5", 50.0), ("0.99", 99.0), ("0.999", 99.9)] {
                let labels = vec![("cmd", (*name).to_owned()), ("quantile", quantile.to_owned())];
                times.sample("", labels, counts.percentile(percent) / 1e6);
            }
            let label = || vec![("cmd", (*name).to_owned())];
            times.sample("_sum", label(), read(&counts.nanos) / 1e9);
            times.sample("_count", label(), read(&counts.calls));
        }
        let mut errors = m.counter("replica_errors_total", "Error replies by their first word.");
        self.observed.errors.all().iter().for_each(|(word, count)| errors.with("code", word, *count as f64));
        let slow = self.observed.logs.first().map_or(0, crate::observed::Log::len);
        m.gauge("replica_slow_commands", "Commands that SLOWLOG remembers.").is(slow as f64);
    }

    fn client_figures(&self, m: &mut Metrics) {
        let connected = self.clients.len().saturating_sub(self.replicas.len());
        let mut clients = m.gauge("replica_clients", "Clients by what they do; connected are all of them.");
        clients.with("state", "connected", connected as f64);
        clients.with("state", "blocked", self.blocked.counts().0 as f64);
        clients.with("state", "pubsub", self.pubsub.clients() as f64);
        clients.with("state", "tracking", self.tracking.counts().0 as f64);
        m.gauge("replica_replicas", "Replicas that follow this one.").is(self.replicas.len() as f64);
        let stats = &self.stats;
        m.counter("replica_client_connections_total", "Connections of clients.").is(read(&stats.connections));
        m.counter("replica_client_read_bytes_total", "Bytes from clients.").is(read(&stats.bytes_in));
        m.counter("replica_client_written_bytes_total", "Bytes to clients.").is(read(&stats.bytes_out));
        let mut served = m.counter("replica_syncs_served_total", "Replicas brought up to date, by how.");
        served.with("kind", "full", read(&stats.full_syncs_served));
        served.with("kind", "partial", read(&stats.partial_syncs_served));
    }

    fn saving_figures(&self, m: &mut Metrics) {
        let saving = self.saving.figures();
        m.counter("replica_saves_total", "Dumps that were written.").is(saving.saves as f64);
        m.gauge("replica_save_running", "1: a dump is being written.").is(flag(saving.background.is_some()));
        m.gauge("replica_last_save_ok", "1: the last dump was written, or none was tried.")
            .is(flag(saving.last_good));
        let ago = (unix_ms() / 1000).saturating_sub(saving.last_save);
        m.gauge("replica_last_save_age_seconds", "Time since the data were last saved, or since the start.")
            .is(ago as f64);
        m.gauge("replica_unsaved_changes", "Changes since then.").is(saving.changes as f64);
    }
}
