//! DEBUG forms that show how something is kept.

use std::fmt::Write as _;

use store::value::Value;
use store::{
    Args, CommandError, CommandResult, Compat, EntryRef, Family, MAX_DATABASES, Reply, ValueRef, View,
};

use super::{lenient, with_view};
use crate::connection::Out;
use crate::session::{Ground, Session};

/// Calls `f` with the entry of the key that the command names, expired or not.
fn entry<R>(
    session: &Session,
    ground: &mut Ground<'_, '_>,
    args: Args<'_>,
    f: impl FnOnce(&View<'_>, EntryRef<'_>) -> Result<R, CommandError>,
) -> Result<R, CommandError> {
    let key = args.at(2);
    with_view(session, ground, &[key], |view| {
        let entry = view.entry_even_expired(view.db(), key).ok_or(CommandError::NoSuchKey)?;
        f(view, entry)
    })
}

/// `DEBUG OBJECT key [fast]`
pub(super) fn object(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    let fast = args.len() == 4 && args.is(3, "fast");
    let text = entry(session, ground, args, |view, entry| Ok(describe(view, entry, fast)))?;
    out.simple(&text);
    Ok(())
}

fn describe(view: &View<'_>, entry: EntryRef<'_>, fast: bool) -> String {
    let like = view.differences();
    let (bits, use_) = (entry.access(), view.use_of(entry));
    let lfu = view.limits().policy().is_lfu();
    let encoding = entry.encoding(like);
    let mut text =
        format!("Value at:{:p} refcount:{} encoding:{encoding}", entry.key().as_ptr(), view.refcount(entry));
    // Writing to a string cannot fail.
    let _ = (|| {
        if !fast {
            write!(text, " serializedlength:{}", entry.serialized_length(view.keyspace().compat()))?;
        }
        let compat = view.keyspace().compat();
        if !(lfu && compat == Compat::Valkey91) {
            write!(text, " lru:{bits} lru_seconds_idle:{}", use_.idle_seconds)?;
        }
        if compat == Compat::Valkey81 || lfu && compat == Compat::Valkey91 {
            let (freq, minutes) = if lfu { (use_.frequency, bits >> 8) } else { (0, bits >> 8) };
            write!(text, " lfu_freq:{freq} lfu_access_time_minutes:{minutes}")?;
        }
        if let ValueRef::Owned(Value::List(list)) = entry.value()
            && encoding == "quicklist"
        {
            let (nodes, bytes) = list.nodes();
            let average = list.len() as f64 / nodes as f64;
            write!(text, " ql_nodes:{nodes} ql_avg_node:{average:.2}")?;
            write!(text, " ql_listpack_max:{} ql_compressed:0", view.limits().list_size())?;
            if !fast {
                write!(text, " ql_uncompressed_size:{bytes}")?;
            }
        }
        std::fmt::Result::Ok(())
    })();
    text
}

/// `DEBUG SDSLEN key`
pub(super) fn sdslen(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    let text = entry(session, ground, args, |view, entry| {
        let (length, spare, apart) = match entry.value() {
            _ if entry.encoding(view.differences()) == "int" => return Err(NO_STRING),
            ValueRef::Inline(bytes) => (bytes.len(), 0, 0),
            ValueRef::Owned(value @ Value::Raw(bytes)) => {
                (bytes.len(), bytes.capacity() - bytes.len(), value.allocated())
            }
            ValueRef::Owned(_) => return Err(NO_STRING),
        };
        let (key, whole) = (entry.key().len(), entry.allocated());
        Ok(match view.differences().family {
            Family::Redis => format!(
                "key_sds_len:{key}, key_sds_avail:0, key_zmalloc: {whole}, val_sds_len:{length}, val_sds_avail:{spare}, val_zmalloc: {apart}"
            ),
            Family::Valkey => format!(
                "key_sds_len:{key} key_sds_avail:0 obj_alloc:{whole} val_sds_len:{length} val_sds_avail:{spare} val_alloc:{apart}"
            ),
        })
    })?;
    out.simple(&text);
    Ok(())
}

const NO_STRING: CommandError = CommandError::err("Not an sds encoded string.");

/// `DEBUG LISTPACK key`: its structure goes to the log.
pub(super) fn listpack(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    entry(session, ground, args, |view, entry| {
        if !entry.encoding(view.differences()).starts_with("listpack") {
            return Err(CommandError::err("Not a listpack encoded object."));
        }
        let (elements, bytes) = (elements(entry), entry.serialized_length(view.keyspace().compat()));
        tracing::info!(key = %entry.key().escape_ascii(), elements, bytes, "a listpack");
        Ok(())
    })?;
    out.simple("Listpack structure printed on stdout");
    Ok(())
}

fn elements(entry: EntryRef<'_>) -> usize {
    match entry.value() {
        ValueRef::Owned(Value::List(v)) => v.len(),
        ValueRef::Owned(Value::Set(v)) => v.len(),
        ValueRef::Owned(Value::Zset(v)) => 2 * v.len(),
        ValueRef::Owned(Value::Hash(v)) => 2 * v.len(),
        _ => 0,
    }
}

/// `DEBUG QUICKLIST key [1]`: its structure goes to the log.
pub(super) fn quicklist(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    let full = args.len() == 4 && lenient(args.at(3)) != 0;
    entry(session, ground, args, |view, entry| match entry.value() {
        ValueRef::Owned(Value::List(list)) if entry.encoding(view.differences()) == "quicklist" => {
            let (nodes, bytes) = list.nodes();
            tracing::info!(key = %entry.key().escape_ascii(), elements = list.len(), nodes, bytes, "a quicklist");
            if full {
                list.iter().enumerate().for_each(|(n, element)| {
                    tracing::info!("{n}: {}", element.to_vec().escape_ascii());
                });
            }
            Ok(())
        }
        _ => Err(CommandError::err("Not a quicklist encoded object.")),
    })?;
    out.simple("Quicklist structure printed on stdout");
    Ok(())
}

/// `DEBUG STRUCTSIZE`: ours, where there is something of the kind.
pub(super) fn structsize(
    _: &mut Session,
    _: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let (object, slot, length) = (size_of::<Value>(), size_of::<EntryRef<'_>>(), size_of::<u32>());
    let text = format!(
        "bits:{} robj:{object} dictentry:{slot} sdshdr5:{length} sdshdr8:{length} sdshdr16:{length} sdshdr32:{length} sdshdr64:{length} ",
        usize::BITS
    );
    out.bulk(text.as_bytes());
    Ok(())
}

/// `DEBUG HTSTATS db [full]`
pub(super) fn htstats(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    let keyspace = &session.engine.keyspace;
    let db = u32::try_from(args.int(2)?).ok().filter(|db| *db < keyspace.databases().min(MAX_DATABASES));
    let db = db.ok_or(CommandError::err("Out of range database"))?;
    let full = args.len() == 4 && args.is(3, "full");
    let compat = keyspace.compat();
    let (mut keys, mut expires, mut slots) = (0, 0, 0);
    with_view(session, ground, &[], |view| {
        for shard in 0..256 {
            view.with_shard(db, shard, |shard| {
                keys += shard.counts().keys;
                expires += shard.counts().expires;
                slots += shard.slots();
            });
        }
    });
    let mut text = String::from("[Dictionary HT]\n");
    table(&mut text, keys, slots, full, compat);
    text.push_str("[Expires HT]\n");
    table(&mut text, expires, expires.next_power_of_two(), full, compat);
    out.verbatim("txt", text.as_bytes());
    Ok(())
}

/// `DEBUG HTSTATS-KEY key [full]`
pub(super) fn htstats_key(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    let full = args.len() == 4 && args.is(3, "full");
    let compat = session.engine.keyspace.compat();
    let (members, slots) = entry(session, ground, args, |view, entry| {
        let (size, members) = match entry.value() {
            ValueRef::Owned(Value::Set(v)) => (v.table_size(), v.len()),
            ValueRef::Owned(Value::Zset(v)) => (v.table_size(), v.len()),
            ValueRef::Owned(Value::Hash(v)) => (v.table_size(), v.len()),
            _ => (None, 0),
        };
        // What this server would keep in a table, and we do not.
        let is_table = entry.encoding(view.differences()) == "hashtable";
        size.or_else(|| is_table.then_some((members, members))).ok_or(CommandError::err(
            "The value stored at the specified key is not represented using an hash table",
        ))
    })?;
    let mut text = String::new();
    table(&mut text, members, slots, full, compat);
    out.verbatim("txt", text.as_bytes());
    Ok(())
}

/// The figures of one table. Each slot here holds one member at most: no chain is longer.
fn table(text: &mut String, members: usize, slots: usize, full: bool, compat: Compat) {
    let old = compat == Compat::Redis70;
    if members == 0 {
        if old {
            text.push_str(
                "Hash table 0 stats (main hash table):\nNo stats available for empty dictionaries\n",
            );
        }
        return;
    }
    let noun = if compat.differences().family == Family::Redis { "elements" } else { "entries" };
    let share = |n: usize| n as f64 * 100.0 / slots.max(1) as f64;
    let free = slots.saturating_sub(members);
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "Hash table 0 stats (main hash table):\n table size: {slots}\n number of {noun}: {members}\n"
    );
    if compat == Compat::Valkey91 {
        text.push_str(" rehashing index: -1\n");
    }
    let _ = match compat.differences().family {
        _ if !full && !old => Ok(()),
        Family::Redis => write!(
            text,
            " different slots: {members}\n max chain length: 1\n avg chain length (counted): 1.00\n avg chain length (computed): 1.00\n Chain length distribution:\n   0: {free} ({:.2}%)\n   1: {members} ({:.2}%)\n",
            share(free),
            share(members)
        ),
        Family::Valkey => write!(
            text,
            " top-level buckets: {slots}\n child buckets: 0\n max chain length: 0\n avg chain length: {}\n chain length distribution:\n   0: {slots} (100.00%)\n",
            if compat == Compat::Valkey91 { "0.000000" } else { "0.00" }
        ),
    };
}
