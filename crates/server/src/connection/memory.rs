//! MEMORY: the shapes and texts of the real servers, with the numbers of this one.

use store::command::Flags;
use store::{
    Args, CommandError, CommandResult, Compat, EntryRef, Family, Null, Reply, ShardSet, View, Viewer,
};

use super::{Out, container, help, rows};
use crate::memory::{Usage, ratio};
use crate::session::{Ground, Session};

rows! { "server";
    /// A container for memory diagnostics commands.
    "memory" -2 [Flags::CONTAINER], since "4.0.0" => container;
    /// Outputs a memory problems report.
    "memory|doctor" 2 [], since "4.0.0" => doctor;
    /// Returns helpful text about the different subcommands.
    "memory|help" 2 [Flags::LOADING, Flags::STALE], since "4.0.0" => help;
    /// Returns the allocator statistics.
    "memory|malloc-stats" 2 [], since "4.0.0" => malloc_stats;
    /// Asks the allocator to release memory.
    "memory|purge" 2 [], since "4.0.0" => purge;
    /// Returns details about memory usage.
    "memory|stats" 2 [], since "4.0.0" => stats;
    /// Estimates the memory usage of a key.
    "memory|usage" -3 [Flags::LOCKS_ALL], since "4.0.0" => usage;
}

/// `MEMORY USAGE key [SAMPLES n]`. Values here know their size: there is nothing to sample.
fn usage(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    let mut i = 3;
    while i < args.len() {
        if !args.is(i, "samples") || i + 1 >= args.len() || args.int(i + 1)? < 0 {
            return Err(CommandError::Syntax);
        }
        i += 2;
    }
    let key = args.at(2);
    // Its share of the table is a slot and a tag at two thirds of load.
    let weigh = |view: &View<'_>| view.peek(key).map(|entry| EntryRef::weight(entry) + 14);
    let bytes = if let Ground::Txn(txn) = ground {
        txn.select(session.db);
        weigh(txn)
    } else {
        let mut set = ShardSet::none();
        set.add(&session.engine.keyspace, session.db, key);
        weigh(&View::new(&session.engine.keyspace, &set, Viewer::Client, session.db))
    };
    match bytes {
        Some(bytes) => out.integer(i64::try_from(bytes).unwrap_or(i64::MAX)),
        None => out.null(Null::Bulk),
    }
    Ok(())
}

/// A value of MEMORY STATS.
enum Number {
    Whole(usize),
    Ratio(f64),
    Tables { main: usize, expires: usize },
}

fn stats(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, ground: &mut Ground<'_, '_>) -> CommandResult {
    let engine = &session.engine;
    let compat = engine.keyspace.compat();
    let fields = fields(&session.usage(ground), compat, engine.keyspace.databases());
    out.encoder().map(fields.len());
    for (name, number) in fields {
        out.bulk(name.as_bytes());
        match number {
            Number::Whole(n) => out.integer(i64::try_from(n).unwrap_or(i64::MAX)),
            Number::Ratio(ratio) => out.double(ratio),
            Number::Tables { main, expires } => {
                let old = compat == Compat::Redis70;
                out.encoder().map(if old { 3 } else { 2 });
                out.bulk(b"overhead.hashtable.main");
                out.integer(i64::try_from(main).unwrap_or(i64::MAX));
                out.bulk(b"overhead.hashtable.expires");
                out.integer(i64::try_from(expires).unwrap_or(i64::MAX));
                if old {
                    out.bulk(b"overhead.hashtable.slot-to-keys");
                    out.integer(0);
                }
            }
        }
    }
    Ok(())
}

/// The fields that a server of this kind, with so many databases, has, in its order.
fn fields(usage: &Usage, compat: Compat, databases: u32) -> Vec<(String, Number)> {
    use Number::{Ratio, Tables, Whole};
    let recent = !matches!(compat, Compat::Redis70 | Compat::Redis72);
    let (redis_82, valkey_91) = (compat == Compat::Redis82, compat == Compat::Valkey91);
    let mut fields: Vec<(String, Number)> = Vec::new();
    let mut add = |wanted: bool, name: &str, number: Number| {
        if wanted {
            fields.push((name.to_owned(), number));
        }
    };
    let used = usage.used();
    add(true, "peak.allocated", Whole(usage.peak));
    add(true, "total.allocated", Whole(used));
    add(true, "startup.allocated", Whole(0));
    add(true, "replication.backlog", Whole(usage.backlog));
    add(valkey_91, "replicas.repl.buffer", Whole(0));
    add(redis_82, "replica.fullsync.buffer", Whole(0));
    add(true, "clients.slaves", Whole(0));
    add(true, "clients.normal", Whole(0));
    add(true, "cluster.links", Whole(0));
    add(valkey_91, "cluster.slot_import", Whole(0));
    add(valkey_91, "cluster.slot_export", Whole(0));
    add(true, "aof.buffer", Whole(0));
    add(true, "lua.caches", Whole(0));
    add(true, "functions.caches", Whole(0));
    add(redis_82, "script.VMs", Whole(0));
    let mut dbs = usage.dbs.iter().peekable();
    for index in 0..databases {
        let db = dbs.next_if(|db| db.index == index);
        // Valkey 8.1 names the empty ones too.
        let is_named = compat == Compat::Valkey81 || db.is_some_and(|db| db.counts.keys > 0);
        let main = db.map_or(0, |db| db.tables);
        add(is_named, &format!("db.{index}"), Tables { main, expires: 0 });
    }
    add(recent, "overhead.db.hashtable.lut", Whole(0));
    add(recent, "overhead.db.hashtable.rehashing", Whole(0));
    add(true, "overhead.total", Whole(usage.overhead()));
    add(recent, "db.dict.rehashing.count", Whole(0));
    add(true, "keys.count", Whole(usage.keys));
    add(true, "keys.bytes-per-key", Whole(used.checked_div(usage.keys).unwrap_or(0)));
    add(true, "dataset.bytes", Whole(usage.payload));
    add(true, "dataset.percentage", Ratio(100.0 * ratio(usage.payload, used)));
    add(true, "peak.percentage", Ratio(100.0 * ratio(used, usage.peak)));
    // The allocator is the program's own choice and is not asked: what it holds is what the process has.
    add(true, "allocator.allocated", Whole(used));
    add(true, "allocator.active", Whole(usage.resident));
    add(true, "allocator.resident", Whole(usage.resident));
    add(recent, "allocator.muzzy", Whole(0));
    add(true, "allocator-fragmentation.ratio", Ratio(1.0));
    add(true, "allocator-fragmentation.bytes", Whole(0));
    add(true, "allocator-rss.ratio", Ratio(1.0));
    add(true, "allocator-rss.bytes", Whole(0));
    add(true, "rss-overhead.ratio", Ratio(1.0));
    add(true, "rss-overhead.bytes", Whole(0));
    add(true, "fragmentation", Ratio(usage.ratio()));
    add(true, "fragmentation.bytes", Whole(usage.resident.saturating_sub(used)));
    fields
}

/// Below this many bytes the doctor finds nothing worth a word.
const TINY: usize = 5 << 20;

fn doctor(
    session: &mut Session,
    _: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    let usage = session.usage(ground);
    let name = match session.engine.keyspace.compat().family() {
        Family::Redis => "Redis",
        Family::Valkey => "Valkey",
    };
    out.verbatim("txt", diagnosis(&usage, name, session.engine.options.allocator.name).as_bytes());
    Ok(())
}

fn diagnosis(usage: &Usage, name: &str, allocator: &str) -> String {
    if usage.used() < TINY {
        return "Hi Sam, this instance is empty or is using very little memory, my issues detector can't be used in these conditions. Please, leave for your mission on Earth and fill it with some data. The new Sam and I will be back to our programming as soon as I finished rebooting.\n".to_owned();
    }
    let mut issues = String::new();
    if ratio(usage.peak, usage.used()) > 1.5 {
        issues.push_str(&format!(" * Peak memory: In the past this instance used more than 150% the memory that is currently using. The allocator is normally not able to release memory after a peak, so you can expect to see a big fragmentation ratio, however this is actually harmless and is only due to the memory peak, and if the {name} instance Resident Set Size (RSS) is currently bigger than expected, the memory will be used as soon as you fill the {name} instance with more data. If the memory peak was only occasional and you want to try to reclaim memory, please try the MEMORY PURGE command, otherwise the only other option is to shutdown and restart the instance.\n\n"));
    }
    // Ten megabytes are what a process takes that holds nothing.
    if usage.ratio() > 1.4 && usage.resident.saturating_sub(usage.used()) > 10 << 20 {
        issues.push_str(&format!(" * High total RSS: This instance has a memory fragmentation and RSS overhead greater than 1.4 (this means that the Resident Set Size of the {name} process is much larger than the sum of the logical allocations {name} performed). This problem is usually due either to a large peak memory (check if there is a peak memory entry above in the report) or may result from a workload that causes the allocator to fragment memory a lot. If the problem is a large peak memory, then there is no issue. Otherwise, make sure you are using the Jemalloc allocator and not the default libc malloc. Note: The currently used allocator is \"{allocator}\".\n\n"));
    }
    if issues.is_empty() {
        return "Hi Sam, I can't find any memory issue in your instance. I can only account for what occurs on this base.\n".to_owned();
    }
    format!(
        "Sam, I detected a few issues in this {name} instance memory implants:\n\n{issues}I'm here to keep you safe, Sam. I want to help you.\n"
    )
}

/// The allocator is the program's own choice; it is not asked.
fn malloc_stats(_: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    out.bulk(b"Stats not supported for the current allocator");
    Ok(())
}

/// The allocator gives back what it has kept for the next who asks.
fn purge(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    (session.engine.options.allocator.give_back)(true);
    out.simple("OK");
    Ok(())
}
