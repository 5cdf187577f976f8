//! INFO, section by section.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use replication::Phase;
use store::{Compat, Family};

use crate::cluster::phase_name;
use crate::engine::Engine;
use crate::listener::Listening;
use crate::memory::{Usage, of_the_machine, ratio};
use crate::observed::spelled_percentile;
use crate::pubsub::Kind;
use crate::role::Role;
use crate::saving::WarmStart;

/// What the sections tell of: the engine, and what had to be counted beforehand.
struct Subject<'a> {
    engine: &'a Engine,
    usage: &'a Usage,
    /// No lock is held, so that keys may be walked over.
    is_free: bool,
}

impl std::ops::Deref for Subject<'_> {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        self.engine
    }
}

type Section = fn(&Subject<'_>, &mut String) -> std::fmt::Result;

/// Whether a personality has a section.
type Has = fn(Compat) -> bool;

/// When a section is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Always, unless others are named.
    Usually,
    /// With all, or by its name.
    Asked,
    /// By its name alone, for it costs a walk over all keys.
    Named,
}

/// The sections by their titles; their names are those without blanks.
const SECTIONS: [(&str, When, Has, Section); 16] = [
    ("Server", When::Usually, everybody, server),
    ("Clients", When::Usually, everybody, clients),
    ("Memory", When::Usually, everybody, memory),
    ("Persistence", When::Usually, everybody, persistence),
    ("Threads", When::Usually, |compat| compat == Compat::Redis82, threads),
    ("Stats", When::Usually, everybody, stats),
    ("Replication", When::Usually, everybody, replication),
    ("CPU", When::Usually, everybody, cpu),
    // There are none: the title stands by itself.
    ("Modules", When::Usually, everybody, |_, _| Ok(())),
    ("Commandstats", When::Asked, everybody, commandstats),
    ("Errorstats", When::Usually, everybody, errorstats),
    ("Latencystats", When::Asked, everybody, latencystats),
    ("Cluster", When::Usually, everybody, cluster),
    ("Scripting Engines", When::Asked, |compat| compat == Compat::Valkey91, scripting_engines),
    ("Keyspace", When::Usually, everybody, keyspace),
    ("Keysizes", When::Named, |compat| compat == Compat::Redis82, key_sizes),
];

fn everybody(_: Compat) -> bool {
    true
}

/// The text of these sections; of all if none is named. `is_free`: the caller holds no lock of the keyspace.
pub(crate) fn text(engine: &Engine, usage: &Usage, is_free: bool, wanted: &[String]) -> String {
    let subject = Subject { engine, usage, is_free };
    let everything = wanted.iter().any(|w| matches!(w.as_str(), "all" | "everything"));
    let usual = wanted.is_empty() || wanted.iter().any(|w| w == "default");
    let mut text = String::new();
    for (title, when, is_known, section) in SECTIONS {
        let name = title.to_ascii_lowercase().replace(' ', "");
        let is_wanted = match when {
            When::Usually => everything || usual,
            When::Asked => everything,
            When::Named => false,
        };
        if is_known(engine.compat()) && (is_wanted || wanted.contains(&name)) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            // Writing to a string cannot fail.
            let _ = write!(text, "# {title}\r\n").and_then(|()| section(&subject, &mut text));
        }
    }
    text
}

macro_rules! line {
    ($out:expr, $($field:tt)*) => { write!($out, $($field)*).and_then(|()| $out.write_str("\r\n"))? };
}

fn server(engine: &Subject<'_>, out: &mut String) -> std::fmt::Result {
    let uptime = engine.uptime().as_secs();
    let personality = engine.compat().differences();
    line!(out, "redis_version:{}", personality.redis_version);
    let mode = match personality.family {
        Family::Redis => "redis_mode",
        Family::Valkey => {
            line!(out, "server_name:valkey");
            line!(out, "valkey_version:{}", personality.version);
            line!(out, "valkey_release_stage:ga");
            "server_mode"
        }
    };
    // No commit and no changes are known; the identity is the version's.
    line!(out, "redis_git_sha1:00000000");
    line!(out, "redis_git_dirty:0");
    line!(out, "redis_build_id:{:x}", rdb::crc64::checksum(env!("CARGO_PKG_VERSION").as_bytes()));
    // Ours: who is behind it.
    line!(out, "replica_version:{}", env!("CARGO_PKG_VERSION"));
    line!(out, "{mode}:{}", if engine.is_alone_in_cluster() { "cluster" } else { "standalone" });
    line!(out, "os:{} {}", std::env::consts::OS, std::env::consts::ARCH);
    line!(out, "arch_bits:{}", usize::BITS);
    line!(out, "monotonic_clock:POSIX clock_gettime");
    line!(out, "multiplexing_api:{}", if cfg!(target_os = "linux") { "epoll" } else { "kqueue" });
    if personality.family == Family::Redis {
        line!(out, "atomicvar_api:c11-builtin");
    }
    // As servers say that another compiler has built.
    line!(out, "gcc_version:0.0.0");
    line!(out, "process_id:{}", std::process::id());
    line!(out, "process_supervised:no");
    line!(out, "run_id:{}", engine.run_id());
    line!(out, "tcp_port:{}", engine.port());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    line!(out, "server_time_usec:{}", now.as_micros());
    line!(out, "uptime_in_seconds:{uptime}");
    line!(out, "uptime_in_days:{}", uptime / 86_400);
    let hz = engine.keyspace.limits().hz();
    line!(out, "hz:{hz}");
    line!(out, "configured_hz:{hz}");
    if personality.family == Family::Valkey {
        line!(out, "clients_hz:{hz}");
    }
    // The lower bits of the seconds.
    line!(out, "lru_clock:{}", now.as_secs() & 0xff_ffff);
    line!(out, "executable:{}", std::env::current_exe().unwrap_or_default().display());
    let file = engine.configuration_file().map(|path| path.display().to_string());
    line!(out, "config_file:{}", file.unwrap_or_default());
    // Threads that only read and write for another one: there are none.
    line!(out, "io_threads_active:0");
    if personality.family == Family::Valkey {
        line!(out, "availability_zone:");
    }
    if personality.info_listeners {
        listeners(&engine.listening.read(), out)?;
    }
    Ok(())
}

/// One line for all that listen at one port.
fn listeners(places: &[Listening], out: &mut String) -> std::fmt::Result {
    let mut known: Vec<(&str, u16)> = Vec::new();
    for place in places {
        if known.contains(&(place.kind, place.port)) && place.kind != "unix" {
            continue;
        }
        let here = places.iter().filter(|other| (other.kind, other.port) == (place.kind, place.port));
        write!(out, "listener{}:name={}", known.len(), place.kind)?;
        match place.kind {
            "unix" => write!(out, ",bind={}", place.bind)?,
            _ => here.into_iter().try_for_each(|other| write!(out, ",bind={}", other.bind))?,
        }
        line!(out, "{}", if place.port > 0 { format!(",port={}", place.port) } else { String::new() });
        known.push((place.kind, place.port));
    }
    Ok(())
}

fn clients(engine: &Subject<'_>, out: &mut String) -> std::fmt::Result {
    let compat = engine.compat();
    line!(out, "connected_clients:{}", engine.clients.len().saturating_sub(engine.replicas.len()));
    line!(out, "cluster_connections:0");
    line!(out, "maxclients:{}", engine.client_limits.clients.get());
    let (query, replies) = engine.clients.biggest_buffers();
    line!(out, "client_recent_max_input_buffer:{query}");
    line!(out, "client_recent_max_output_buffer:{replies}");
    let (blocked, keys) = engine.blocked.counts();
    line!(out, "blocked_clients:{blocked}");
    line!(out, "tracking_clients:{}", engine.tracking.counts().0);
    let (timed, groups) = engine.blocked.details();
    let (watching, watched) = engine.watchers.counts();
    let told_of_watchers = !matches!(compat, Compat::Redis70 | Compat::Redis72);
    if told_of_watchers {
        line!(out, "pubsub_clients:{}", engine.pubsub.clients());
        line!(out, "watching_clients:{watching}");
    }
    line!(out, "clients_in_timeout_table:{timed}");
    if told_of_watchers {
        line!(out, "total_watched_keys:{watched}");
    }
    if compat != Compat::Redis70 {
        line!(out, "total_blocking_keys:{keys}");
        line!(out, "total_blocking_keys_on_nokey:{groups}");
    }
    if compat.family() == Family::Valkey {
        let pause = engine.pausing.state();
        line!(out, "paused_reason:{}", if pause.is_some() { "client_pause" } else { "none" });
        let actions = pause.map_or("none", |(all, _)| if all { "all" } else { "write" });
        line!(out, "paused_actions:{actions}");
        line!(out, "paused_timeout_milliseconds:{}", pause.map_or(0, |(_, left)| left.as_millis()));
    }
    Ok(())
}

/// All threads as one: which client is served by which is nowhere counted.
fn threads(engine: &Subject<'_>, out: &mut String) -> std::fmt::Result {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (reads, writes) = (read(&engine.stats.reads), read(&engine.stats.writes));
    line!(out, "io_thread_0:clients={},reads={reads},writes={writes}", engine.clients.len());
    Ok(())
}

fn scripting_engines(engine: &Subject<'_>, out: &mut String) -> std::fmt::Result {
    let (eval, called) = engine.scripts.memory();
    let used = eval + called;
    let sources = engine.scripts.known().stats().source_bytes + engine.scripts.functions().source_bytes();
    line!(out, "engines_count:1");
    line!(out, "engines_total_used_memory:{used}");
    line!(out, "engines_total_memory_overhead:{sources}");
    line!(out, "engine_0:name=LUA,module=lua,abi_version=4,used_memory={used},memory_overhead={sources}");
    Ok(())
}

fn key_sizes(engine: &Subject<'_>, out: &mut String) -> std::fmt::Result {
    if engine.is_free {
        for sizes in engine.key_sizes() {
            line!(out, "{sizes}");
        }
    }
    Ok(())
}

fn memory(engine: &Subject<'_>, out: &mut String) -> std::fmt::Result {
    let usage = engine.usage;
    let limits = engine.keyspace.limits();
    let compat = engine.keyspace.compat();
    let valkey_91 = compat == Compat::Valkey91;
    let recent = !matches!(compat, Compat::Redis70 | Compat::Redis72);
    let (used, rss) = (usage.used(), usage.resident);
    let machine = of_the_machine();
    let limit = usize::try_from(limits.max_memory()).unwrap_or(0);
    line!(out, "used_memory:{used}");
    line!(out, "used_memory_human:{}", human(used));
    line!(out, "used_memory_rss:{rss}");
    line!(out, "used_memory_rss_human:{}", human(rss));
    line!(out, "used_memory_peak:{}", usage.peak);
    line!(out, "used_memory_peak_human:{}", human(usage.peak));
    if compat == Compat::Redis82 {
        line!(out, "used_memory_peak_time:{}", usage.peak_time);
    }
    line!(out, "used_memory_peak_perc:{:.2}%", 100.0 * ratio(used, usage.peak));
    line!(out, "used_memory_overhead:{}", usage.overhead());
    line!(out, "used_memory_startup:0");
    line!(out, "used_memory_dataset:{}", usage.payload);
    line!(out, "used_memory_dataset_perc:{:.2}%", 100.0 * ratio(usage.payload, used));
    // The allocator is not asked: what it holds is what the process has.
    line!(out, "allocator_allocated:{used}");
    line!(out, "allocator_active:{rss}");
    line!(out, "allocator_resident:{rss}");
    if recent {
        line!(out, "allocator_muzzy:0");
    }
    line!(out, "total_system_memory:{machine}");
    line!(out, "total_system_memory_human:{}", human(machine));
    scripts(engine, out)?;
    line!(out, "maxmemory:{limit}");
    line!(out, "maxmemory_human:{}", human(limit));
    line!(out, "maxmemory_policy:{}", limits.policy().name());
    line!(out, "allocator_frag_ratio:1.00");
    line!(out, "allocator_frag_bytes:0");
    line!(out, "allocator_rss_ratio:1.00");
    line!(out, "allocator_rss_bytes:0");
    line!(out, "rss_overhead_ratio:1.00");
    line!(out, "rss_overhead_bytes:0");
    line!(out, "mem_fragmentation_ratio:{:.2}", usage.ratio());
    line!(out, "mem_fragmentation_bytes:{}", rss.saturating_sub(used));
    line!(out, "mem_not_counted_for_evict:{}", usage.backlog);
    line!(out, "mem_replication_backlog:{}", usage.backlog);
    line!(out, "mem_total_replication_buffers:{}", usage.backlog);
    if compat == Compat::Redis82 {
        line!(out, "mem_replica_full_sync_buffer:0");
    }
    if valkey_91 {
        line!(out, "mem_replicas_repl_buffer:0");
    }
    line!(out, "mem_clients_slaves:0");
    line!(out, "mem_clients_normal:0");
    line!(out, "mem_cluster_links:0");
    if valkey_91 {
        line!(out, "mem_cluster_slot_import:0");
        line!(out, "mem_cluster_slot_export:0");
    }
    line!(out, "mem_aof_buffer:0");
    line!(out, "mem_allocator:{}", engine.options.allocator.name);
    if recent {
        line!(out, "mem_overhead_db_hashtable_rehashing:0");
    }
    line!(out, "active_defrag_running:0");
    line!(out, "lazyfree_pending_objects:0");
    line!(out, "lazyfreed_objects:0");
    Ok(())
}

/// What scripts and functions take.
fn scripts(engine: &Subject<'_>, out: &mut String) -> std::fmt::Result {
    let (eval, called) = engine.scripts.memory();
    let (known, functions) = (engine.scripts.known().stats(), engine.scripts.functions());
    let (libraries, count) = functions.count();
    let sources = known.source_bytes + functions.source_bytes();
    line!(out, "used_memory_lua:{eval}");
    line!(out, "used_memory_vm_eval:{eval}");
    line!(out, "used_memory_lua_human:{}", human(eval));
    line!(out, "used_memory_scripts_eval:{}", known.source_bytes);
    line!(out, "number_of_cached_scripts:{}", known.scripts);
    line!(out, "number_of_functions:{count}");
    line!(out, "number_of_libraries:{libraries}");
    line!(out, "used_memory_vm_functions:{called}");
    line!(out, "used_memory_vm_total:{}", eval + called);
    line!(out, "used_memory_vm_total_human:{}", human(eval + called));
    line!(out, "used_memory_functions:{}", functions.source_bytes());
    line!(out, "used_memory_scripts:{sources}");
    line!(out, "used_memory_scripts_human:{}", human(sources));
    Ok(())
}

/// Resident set of this process in bytes, where the system tells.
#[must_use]
pub fn resident_bytes() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<usize>().ok().map(|kib| kib * 1024)
}

fn human(bytes: usize) -> String {
    let bytes = bytes as f64;
    match bytes {
        b if b < 1024.0 => format!("{b}B"),
        b if b < 1024.0 * 1024.0 => format!("{:.2}K", b / 1024.0),
        b if b < 1024.0 * 1024.0 * 1024.0 => format!("{:.2}M", b / 1024.0 / 1024.0),
        b => format!("{:.2}G", b / 1024.0 / 1024.0 / 1024.0),
    }
}

fn persistence(engine: &Subject<'_>, out: &mut String) -> std::fmt::Result {
    let syncing = matches!(phase(engine), Some(Phase::Transfer { .. }));
    line!(out, "loading:{}", u8::from(!engine.is_loaded()));
    line!(out, "async_loading:{}", u8::from(engine.is_loaded() && syncing));
    // No process is forked, so that none has pages of its own.
    for name in ["current_cow_peak", "current_cow_size", "current_cow_size_age"] {
        line!(out, "{name}:0");
    }
    line!(out, "current_fork_perc:0.00");
    line!(out, "current_save_keys_processed:0");
    line!(out, "current_save_keys_total:0");
    let saving = engine.saving.figures();
    let seconds = |time: Option<std::time::Duration>| {
        time.map_or(-1, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
    };
    line!(out, "rdb_changes_since_last_save:{}", saving.changes);
    line!(out, "rdb_bgsave_in_progress:{}", u8::from(saving.background.is_some()));
    line!(out, "rdb_last_save_time:{}", saving.last_save);
    line!(out, "rdb_last_bgsave_status:{}", if saving.last_good { "ok" } else { "err" });
    line!(out, "rdb_last_bgsave_time_sec:{}", seconds(saving.last_took));
    line!(out, "rdb_current_bgsave_time_sec:{}", seconds(saving.background));
    line!(out, "rdb_saves:{}", saving.saves);
    line!(out, "rdb_last_cow_size:0");
    line!(out, "rdb_last_load_keys_expired:0");
    line!(out, "rdb_last_load_keys_loaded:{}", saving.keys_loaded);
    line!(out, "aof_enabled:0");
    line!(out, "aof_rewrite_in_progress:0");
    line!(out, "aof_rewrite_scheduled:0");
    line!(out, "aof_last_rewrite_time_sec:-1");
    line!(out, "aof_current_rewrite_time_sec:-1");
    line!(out, "aof_last_bgrewrite_status:ok");
    line!(out, "aof_rewrites:0");
    line!(out, "aof_rewrites_consecutive_failures:0");
    line!(out, "aof_last_write_status:ok");
    line!(out, "aof_last_cow_size:0");
    line!(out, "module_fork_in_progress:0");
    line!(out, "module_fork_last_cow_size:0");
    if engine.compat() == Compat::Valkey91 {
        line!(out, "slot_migration_fork_in_progress:0");
    }
    Ok(())
}

fn commandstats(engine: &Subject<'_>, out: &mut String) -> std::fmt::Result {
    for (name, counts) in engine.observed.tallies.all() {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (calls, nanos) = (read(&counts.calls), read(&counts.nanos));
        line!(
            out,
            "cmdstat_{name}:calls={calls},usec={},usec_per_call={:.2},rejected_calls={},failed_calls={}",
            nanos / 1000,
            if calls == 0 { 0.0 } else { nanos as f64 / 1000.0 / calls as f64 },
            read(&counts.rejected),
            read(&counts.failed)
        );
    }
    Ok(())
}

fn errorstats(engine: &Subject<'_>, out: &mut String) -> std::fmt::Result {
    for (word, count) in engine.observed.errors.all() {
        line!(out, "errorstat_{word}:count={count}");
    }
    Ok(())
}

fn latencystats(engine: &Subject<'_>, out: &mut String) -> std::fmt::Result {
    if engine.observed.tallies.keeps_times.get() == 0 {
        return Ok(());
    }
    let percentiles = engine.observed.percentiles.get();
    for (name, counts) in engine.observed.tallies.all() {
        if counts.has_times() {
            let told = percentiles.iter().map(|percent| {
                format!("p{}={:.3}", spelled_percentile(*percent), counts.percentile(*percent))
            });
            line!(out, "latency_percentiles_usec_{name}:{}", told.collect::<Vec<_>>().join(","));
        }
    }
    Ok(())
}

/// Counters of threads that read for another one, and of what else there is only elsewhere.
const PREFETCHES: &[&str] = &["io_threaded_total_prefetch_batches", "io_threaded_total_prefetch_entries"];
const VALKEY_THREADS: &[&str] =
    &["io_threaded_accept_processed", "io_threaded_freed_objects", "io_threaded_poll_processed"];
const VALKEY_91: &[&str] = &[
    "total_net_cluster_slot_import_bytes",
    "total_net_cluster_slot_export_bytes",
    "acl_access_denied_tls_cert",
];

fn stats(engine: &Subject<'_>, out: &mut String) -> std::fmt::Result {
    let s = &engine.stats;
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    line!(out, "total_connections_received:{}", read(&s.connections));
    line!(out, "total_commands_processed:{}", read(&s.commands) + read(&s.applied));
    let [commands, received, sent, link_received, link_sent] = engine.rates.each();
    let compat = engine.compat();
    let is_70 = compat == Compat::Redis70;
    line!(out, "instantaneous_ops_per_sec:{commands}");
    line!(out, "total_net_input_bytes:{}", read(&s.bytes_in));
    line!(out, "total_net_output_bytes:{}", read(&s.bytes_out));
    line!(out, "instantaneous_input_kbps:{:.2}", received as f64 / 1024.0);
    line!(out, "total_net_repl_input_bytes:{}", engine.link_bytes());
    line!(out, "total_net_repl_output_bytes:{}", read(&s.replication_bytes_out));
    line!(out, "instantaneous_output_kbps:{:.2}", sent as f64 / 1024.0);
    line!(out, "instantaneous_input_repl_kbps:{:.2}", link_received as f64 / 1024.0);
    line!(out, "instantaneous_output_repl_kbps:{:.2}", link_sent as f64 / 1024.0);
    line!(out, "total_reads_processed:{}", read(&s.reads));
    line!(out, "total_writes_processed:{}", read(&s.writes));
    let limits = &engine.client_limits;
    line!(out, "rejected_connections:{}", read(&limits.rejected));
    line!(out, "evicted_clients:{}", read(&limits.evicted));
    if !is_70 {
        line!(out, "client_query_buffer_limit_disconnections:{}", read(&limits.query_exceeded));
        line!(out, "client_output_buffer_limit_disconnections:{}", read(&limits.output.exceeded));
        let log = engine.acl.log.lock();
        for (name, reason) in
            [("auth", "auth"), ("cmd", "command"), ("key", "key"), ("channel", "channel"), ("db", "database")]
        {
            if reason != "database" || compat == Compat::Valkey91 {
                line!(out, "acl_access_denied_{name}:{}", log.denied(reason));
            }
        }
    }
    line!(out, "expired_keys:{}", read(&s.expired_keys));
    line!(out, "total_error_replies:{}", engine.observed.errors.sum());
    match engine.keyspace.compat() {
        Compat::Redis74 | Compat::Redis82 => line!(out, "expired_subkeys:{}", read(&s.expired_fields)),
        Compat::Valkey91 => line!(out, "expired_fields:{}", read(&s.expired_fields)),
        _ => {}
    }
    line!(out, "evicted_keys:{}", read(&s.evicted_keys));
    if engine.scripts.evicts() {
        line!(out, "evicted_scripts:{}", engine.scripts.known().stats().evicted);
    }
    line!(out, "sync_full:{}", read(&s.full_syncs_served));
    line!(out, "sync_partial_ok:{}", read(&s.partial_syncs_served));
    line!(out, "sync_partial_err:0");
    line!(out, "keyspace_hits:{}", read(&s.keyspace_hits));
    line!(out, "keyspace_misses:{}", read(&s.keyspace_misses));
    line!(out, "pubsub_channels:{}", engine.pubsub.channels(Kind::Channel).len());
    line!(out, "pubsub_patterns:{}", engine.pubsub.channels(Kind::Pattern).len());
    line!(out, "pubsubshard_channels:{}", engine.pubsub.channels(Kind::Shard).len());
    line!(out, "expired_stale_perc:0.00");
    if compat == Compat::Valkey91 {
        line!(out, "expired_keys_with_volatile_items_stale_perc:0.00");
    }
    // No process is forked, nothing moved about in memory, no connection kept for MIGRATE; no thread reads for another
    // one, no cycle of expiry or eviction has a time that it may exceed; buffers of replies are not made other than
    // they have to be; payloads are looked at whole, always.
    for name in [
        "expired_time_cap_reached_count",
        "expire_cycle_cpu_milliseconds",
        "total_eviction_exceeded_time",
        "current_eviction_exceeded_time",
        "unexpected_error_replies",
        "dump_payload_sanitizations",
        "io_threaded_reads_processed",
        "io_threaded_writes_processed",
        "reply_buffer_shrinks",
        "reply_buffer_expands",
        "latest_fork_usec",
        "total_forks",
        "migrate_cached_sockets",
        "slave_expires_tracked_keys",
        "active_defrag_hits",
        "active_defrag_misses",
        "active_defrag_key_hits",
        "active_defrag_key_misses",
        "total_active_defrag_time",
        "current_active_defrag_time",
    ] {
        line!(out, "{name}:0");
    }
    // Nor is there one loop in which everything happens, or slots that go to other servers.
    let others: &[&[&str]] = match compat {
        Compat::Redis70 | Compat::Redis72 => &[],
        Compat::Valkey81 => &[PREFETCHES, VALKEY_THREADS],
        Compat::Valkey91 => &[PREFETCHES, VALKEY_THREADS, VALKEY_91],
        _ => &[PREFETCHES],
    };
    for name in others.iter().copied().flatten() {
        line!(out, "{name}:0");
    }
    let (_, keys, prefixes) = engine.tracking.counts();
    line!(out, "tracking_total_keys:{keys}");
    line!(out, "tracking_total_items:{keys}");
    line!(out, "tracking_total_prefixes:{prefixes}");
    // Ours: commands of the primary's stream, and those that could not be applied.
    line!(out, "replicated_commands_applied:{}", read(&s.applied));
    line!(out, "replicated_commands_diverged:{}", engine.divergence.total());
    if let Some(link) = engine.link.read().as_ref().map(|link| link.borrow().clone()) {
        line!(out, "replication_connections:{}", link.counters.connections);
        line!(out, "replication_full_syncs:{}", link.counters.full_syncs);
        line!(out, "replication_two_channel_syncs:{}", link.counters.two_channel_syncs);
        line!(out, "replication_partial_syncs:{}", link.counters.partial_syncs);
        for (kind, count) in link.failures.iter().filter(|(_, count)| *count > 0) {
            line!(out, "replication_failures_{}:{count}", kind.name());
        }
    }
    Ok(())
}

impl Engine {
    /// Bytes that the link to the primary has received.
    pub(crate) fn link_bytes(&self) -> u64 {
        self.link.read().as_ref().map_or(0, |link| link.borrow().counters.bytes_received)
    }
}

fn phase(engine: &Engine) -> Option<Phase> {
    engine.link.read().as_ref().map(|link| link.borrow().phase.clone())
}

/// The state of the link in ROLE's words.
pub(crate) fn link_state(engine: &Engine) -> &'static str {
    match phase(engine) {
        Some(Phase::Streaming) => "connected",
        Some(Phase::Transfer { .. }) => "sync",
        Some(Phase::Handshake) => "handshake",
        Some(Phase::Connecting) => "connecting",
        _ => "connect",
    }
}

fn replication(engine: &Subject<'_>, out: &mut String) -> std::fmt::Result {
    let role = engine.role();
    if let Role::Replica { host, port } = &role {
        replica_part(engine, host, *port, out)?;
    } else {
        line!(out, "role:master");
    }
    if let Some(writes) = engine.forwards() {
        let upstream = &engine.upstream;
        line!(out, "replica_writes:{}", writes.name());
        line!(out, "replica_writes_forwarded:{}", upstream.forwarded.load(Ordering::Relaxed));
        line!(out, "replica_writes_failed:{}", upstream.failed.load(Ordering::Relaxed));
        line!(out, "replica_writes_unseen:{}", upstream.unseen.load(Ordering::Relaxed));
    }
    line!(out, "connected_slaves:{}", engine.replicas.len());
    let mut replicas: Vec<_> = engine.replicas.iter().map(|r| (*r.key(), r.value().clone())).collect();
    replicas.sort_by_key(|(id, _)| *id);
    let (least, max_lag) = {
        let serving = engine.serving.read();
        (serving.min_replicas, serving.max_lag)
    };
    if least > 0 && max_lag > std::time::Duration::ZERO {
        line!(out, "min_slaves_good_slaves:{}", engine.good_replicas(max_lag));
    }
    for (n, (_, r)) in replicas.iter().enumerate() {
        let lag = r.lag().as_secs();
        line!(out, "slave{n}:ip={},port={},state={},offset={},lag={lag}", r.ip, r.port, r.state, r.acked);
    }
    let position = engine.position();
    let history = &engine.usage.history;
    let previous = history.previous;
    line!(out, "master_failover_state:no-failover");
    let replid = position.map_or(replication::ReplId::ZERO, |p| p.replid);
    line!(out, "master_replid:{replid}");
    line!(out, "master_replid2:{}", previous.map_or(replication::ReplId::ZERO, |p| p.replid));
    line!(out, "master_repl_offset:{}", position.map_or(0, |p| p.offset.0));
    line!(out, "second_repl_offset:{}", previous.map_or(-1, |p| i64::try_from(p.offset.0 + 1).unwrap_or(-1)));
    let active =
        engine.is_loaded() && (role != Role::Primary || !engine.replicas.is_empty() || history.length > 0);
    line!(out, "repl_backlog_active:{}", u8::from(active));
    line!(out, "repl_backlog_size:{}", engine.serving.read().backlog);
    line!(out, "repl_backlog_first_byte_offset:{}", history.first_byte_offset);
    line!(out, "repl_backlog_histlen:{}", history.length);
    Ok(())
}

fn replica_part(engine: &Engine, host: &str, port: u16, out: &mut String) -> std::fmt::Result {
    let link = engine.link.read().as_ref().map(|link| link.borrow().clone());
    let phase = link.as_ref().map(|link| &link.phase);
    let up = matches!(phase, Some(Phase::Streaming));
    let silent = link
        .as_ref()
        .and_then(|l| l.last_io)
        .map_or(-1, |at| i64::try_from(at.elapsed().as_secs()).unwrap_or(-1));
    line!(out, "role:slave");
    line!(out, "master_host:{host}");
    line!(out, "master_port:{port}");
    line!(out, "master_link_status:{}", if up { "up" } else { "down" });
    line!(out, "master_last_io_seconds_ago:{}", if up { silent } else { -1 });
    line!(out, "master_sync_in_progress:{}", u8::from(matches!(phase, Some(Phase::Transfer { .. }))));
    let read = link.as_ref().and_then(|l| l.read_offset).map_or(0, |o| o.0);
    let applied = engine.position().map_or(0, |p| p.offset.0);
    line!(out, "slave_read_repl_offset:{}", read.max(applied));
    line!(out, "slave_repl_offset:{applied}");
    let buffered = link.as_ref().map(|link| link.buffered).unwrap_or_default();
    line!(out, "replica_full_sync_buffer_size:{}", buffered.bytes);
    line!(out, "replica_full_sync_buffer_peak:{}", buffered.peak);
    if let Some(Phase::Transfer { received, total }) = phase {
        let total_bytes = total.map_or(-1, |t| i64::try_from(t).unwrap_or(i64::MAX));
        line!(out, "master_sync_total_bytes:{total_bytes}");
        line!(out, "master_sync_read_bytes:{received}");
        line!(
            out,
            "master_sync_left_bytes:{}",
            total.map_or(-1, |t| i64::try_from(t.saturating_sub(*received)).unwrap_or(-1))
        );
        line!(out, "master_sync_last_io_seconds_ago:{silent}");
    }
    if let (false, Some(link)) = (up, &link) {
        line!(out, "master_link_down_since_seconds:{}", link.phase_since.elapsed().as_secs());
    }
    if engine.options.persist {
        // Ours: how it began.
        match engine.warm_start() {
            WarmStart::None => line!(out, "replica_warm_start:none"),
            WarmStart::Restored { position, keys } => {
                line!(out, "replica_warm_start:restored");
                line!(out, "replica_warm_start_offset:{}", position.offset);
                line!(out, "replica_warm_start_keys:{keys}");
            }
            WarmStart::Refused(reason) => {
                line!(out, "replica_warm_start:refused");
                line!(out, "replica_warm_start_reason:{}", reason.replace(['\r', '\n'], " "));
            }
        }
        line!(out, "replica_stale:{}", u8::from(engine.is_loaded() && !up));
    }
    let settings = engine.link_settings();
    line!(out, "slave_priority:{}", settings.priority);
    line!(out, "slave_read_only:1");
    line!(out, "replica_announced:{}", u8::from(settings.announced));
    if let Some(filter) = engine.filter_status() {
        line!(out, "replica_filter:{}", filter.filter);
        line!(out, "replica_filter_commands_dropped:{}", filter.commands_dropped);
        line!(out, "replica_filter_commands_changed:{}", filter.commands_changed);
        line!(out, "replica_filter_keys_lost:{}", filter.keys_lost);
    }
    Ok(())
}

fn cpu(engine: &Subject<'_>, out: &mut String) -> std::fmt::Result {
    let (system, user) = cpu_seconds().unwrap_or_default();
    line!(out, "used_cpu_sys:{system:.6}");
    line!(out, "used_cpu_user:{user:.6}");
    // No process is forked.
    line!(out, "used_cpu_sys_children:0.000000");
    line!(out, "used_cpu_user_children:0.000000");
    let main = format!("/proc/self/task/{}/stat", std::process::id());
    if let Some((system, user)) = seconds_of(&main) {
        line!(out, "used_cpu_sys_main_thread:{system:.6}");
        line!(out, "used_cpu_user_main_thread:{user:.6}");
        if engine.compat() == Compat::Valkey91 {
            line!(out, "used_active_time_main_thread:{:.6}", system + user);
        }
    }
    Ok(())
}

/// Seconds of processor time of this process: system and user. The kernel counts in hundredths.
pub(crate) fn cpu_seconds() -> Option<(f64, f64)> {
    seconds_of("/proc/self/stat")
}

fn seconds_of(stat: &str) -> Option<(f64, f64)> {
    let text = std::fs::read_to_string(stat).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let seconds = |i: usize| fields.get(i)?.parse::<f64>().ok().map(|ticks| ticks / 100.0);
    Some((seconds(12)?, seconds(11)?))
}

fn cluster(engine: &Subject<'_>, out: &mut String) -> std::fmt::Result {
    line!(out, "cluster_enabled:{}", u8::from(engine.is_alone_in_cluster()));
    // Ours: the shards that are followed, each with its link.
    for shard in engine.shards() {
        let slots: usize = shard.slots.iter().map(ExactSizeIterator::len).sum();
        let (host, port) = &shard.primary;
        let (replid, offset) = match shard.position {
            Some(held) => (held.replid.to_string(), held.offset.to_string()),
            None => ("-".to_owned(), "-".to_owned()),
        };
        let (n, phase) = (shard.number, phase_name(&shard.link.phase));
        write!(out, "shard{n}:host={host},port={port},slots={slots},link={phase}")?;
        write!(out, ",id={replid},offset={offset},behind={}", shard.behind_bytes)?;
        let counters = &shard.link.counters;
        write!(out, ",full_syncs={},partial_syncs={}", counters.full_syncs, counters.partial_syncs)?;
        line!(out, ",keys_aside={}", shard.keys_aside);
    }
    Ok(())
}

fn keyspace(engine: &Subject<'_>, out: &mut String) -> std::fmt::Result {
    for db in &engine.usage.dbs {
        let (n, counts) = (db.index, db.counts);
        if counts.keys > 0 {
            line!(out, "db{n}:keys={},expires={},avg_ttl=0", counts.keys, counts.expires);
        }
    }
    Ok(())
}
