//! Commands on keys of any type, and on whole databases.

use crate::args::{Args, in_text, is_word};
use crate::command::{Keys, commands, container, help};
use crate::entry::{Entry, EntryRef, ValueRef};
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::glob;
use crate::number;
use crate::policy::Policy;
use crate::reply::{Null, Reply};
use crate::txn::{Sweep, Txn};
use crate::view::View;

commands! { Generic;
    /// Copies the value of a key to a new key.
    write "copy" -3 [DENYOOM LOCKS_ALL] Keys::two(1), since "6.2.0", cost "O(N) worst case for collections, where N is the number of nested items. O(1) for string values." => copy;
    /// Returns the number of keys in the database.
    read "dbsize" 1 [FAST] Keys::None, since "1.0.0", cost "O(1)" => dbsize;
    /// Deletes one or more keys.
    write "del" -2 [BRIEF] Keys::from(1), since "1.0.0", cost "O(N) where N is the number of keys that will be removed." => del;
    /// Determines whether one or more keys exist.
    read "exists" -2 [FAST] Keys::from(1), since "1.0.0", cost "O(N) where N is the number of keys to check." => exists;
    /// Removes all keys from all databases.
    write "flushall" -1 [LOCKS_ALL] Keys::None, since "1.0.0", cost "O(N) where N is the total number of keys in all databases" => flushall;
    /// Remove all keys from the current database.
    write "flushdb" -1 [LOCKS_ALL] Keys::None, since "1.0.0", cost "O(N) where N is the number of keys in the selected database" => flushdb;
    /// Returns all key names that match a pattern.
    read "keys" 2 [] Keys::None, since "1.0.0", cost "O(N) with N being the number of keys in the database, under the assumption that the key names in the database and the given pattern have limited length." => keys;
    /// Moves a key to another database.
    write "move" 3 [FAST LOCKS_ALL] Keys::one(1), since "1.0.0", cost "O(1)" => move_key;
    /// A container for object introspection commands.
    read "object" -2 [CONTAINER] Keys::None, since "2.2.3", cost "Depends on subcommand." => container;
    /// Returns the internal encoding of a Redis object.
    read "object|encoding" 3 [] Keys::one(2), since "2.2.3", cost "O(1)" => object_encoding;
    /// Returns the logarithmic access frequency counter of a Redis object.
    read "object|freq" 3 [] Keys::one(2), since "4.0.0", cost "O(1)" => object_freq;
    /// Returns helpful text about the different subcommands.
    read "object|help" 2 [LOADING STALE] Keys::None, since "6.2.0", cost "O(1)" => help;
    /// Returns the time since the last access to a Redis object.
    read "object|idletime" 3 [] Keys::one(2), since "2.2.3", cost "O(1)" => object_idletime;
    /// Returns the reference count of a value of a key.
    read "object|refcount" 3 [] Keys::one(2), since "2.2.3", cost "O(1)" => object_refcount;
    /// Returns a random key name from the database.
    read "randomkey" 1 [] Keys::None, since "1.0.0", cost "O(1)" => randomkey;
    /// Renames a key and overwrites the destination.
    write "rename" 3 [] Keys::two(1), since "1.0.0", cost "O(1)" => rename;
    /// Renames a key only when the target key name doesn't exist.
    write "renamenx" 3 [FAST] Keys::two(1), since "1.0.0", cost "O(1)" => renamenx;
    /// Iterates over the key names in the database.
    read "scan" -2 [] Keys::None, since "2.8.0", cost "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection." => scan;
    /// Swaps two Redis databases.
    write "swapdb" 3 [FAST LOCKS_ALL] Keys::None, since "4.0.0", cost "O(N) where N is the count of clients watching or blocking on keys from both databases." => swapdb;
    /// Returns the number of existing keys out of those specified after updating the time they were last accessed.
    read "touch" -2 [FAST] Keys::from(1), since "3.2.1", cost "O(N) where N is the number of keys that will be touched." => touch;
    /// Determines the type of value stored at a key.
    read "type" 2 [FAST] Keys::one(1), since "1.0.0", cost "O(1)" => type_of;
    /// Asynchronously deletes one or more keys.
    write "unlink" -2 [FAST] Keys::from(1), since "4.0.0", cost "O(1) for each key removed regardless of its size. Then the command does O(N) work in a different thread in order to reclaim memory, where N is the number of allocations the deleted objects where composed of." => del;
}

fn del(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let mut gone = 0;
    for key in args.from(1) {
        if txn.remove(key) {
            txn.changed(Class::Generic, "del", key);
            gone += 1;
        }
    }
    out.count(gone);
    Ok(())
}

fn exists(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    out.count(args.from(1).iter().filter(|key| view.peek(key).is_some()).count());
    Ok(())
}

/// TOUCH counts as a use even for a client that has said CLIENT NO-TOUCH.
fn touch(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let found = args.from(1).iter().filter_map(|key| view.peek(key));
    out.count(found.inspect(|entry| view.uses().touch(*entry)).count());
    Ok(())
}

fn type_of(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    out.simple(view.peek(args.at(1)).map_or("none", EntryRef::type_name));
    Ok(())
}

fn rename(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    rename_to(txn, args.at(1), args.at(2), true)?;
    out.ok();
    Ok(())
}

fn renamenx(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let moved = rename_to(txn, args.at(1), args.at(2), false)?;
    out.integer(moved.into());
    Ok(())
}

fn rename_to(txn: &mut Txn<'_>, from: &[u8], to: &[u8], replace: bool) -> Result<bool, CommandError> {
    if !txn.exists(from) {
        return Err(CommandError::NoSuchKey);
    }
    if from == to {
        return Ok(false);
    }
    let replaced = txn.type_name(to);
    if replaced.is_some() {
        if !replace {
            return Ok(false);
        }
        txn.remove(to);
    }
    if let Some(entry) = txn.detach(from) {
        let expire = entry.as_ref().expire();
        txn.attach(entry.renamed(to, expire))?;
    }
    txn.changed(Class::Generic, "rename_from", from);
    txn.notify(Class::Generic, "rename_to", to);
    txn.tell_overwritten(to, replaced);
    Ok(true)
}

const BAD_DB: CommandError = CommandError::err("DB index is out of range");

/// The argument as the number of a database, which may not exist.
fn db_number(text: &[u8], error: CommandError) -> Result<i32, CommandError> {
    number::parse_i64(text).and_then(|n| i32::try_from(n).ok()).ok_or(error)
}

fn existing_db(txn: &Txn<'_>, n: i32) -> Result<u32, CommandError> {
    u32::try_from(n).ok().filter(|n| *n < txn.keyspace().databases()).ok_or(BAD_DB)
}

fn move_key(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    let to = existing_db(txn, args.int_of_32_bits(2)?)?;
    if to == txn.db() {
        return Err(CommandError::err("source and destination objects are the same"));
    }
    let taken = txn.in_db(to, |txn| {
        txn.reap(key);
        txn.exists(key)
    });
    if taken || !txn.exists(key) {
        out.integer(0);
        return Ok(());
    }
    if let Some(entry) = txn.detach(key) {
        let expire = entry.as_ref().expire();
        txn.in_db(to, |txn| txn.attach(entry.renamed(key, expire)))?;
    }
    txn.changed(Class::Generic, "move_from", key);
    txn.in_db(to, |txn| txn.notify(Class::Generic, "move_to", key));
    out.integer(1);
    Ok(())
}

fn copy(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (from, to) = (args.at(1), args.at(2));
    let (mut db, mut replace, mut i) = (txn.db(), false, 3);
    while let Some(word) = args.get(i) {
        if is_word(word, "replace") {
            replace = true;
        } else if is_word(word, "db") && i + 1 < args.len() {
            i += 1;
            db = existing_db(txn, args.int_of_32_bits(i)?)?;
        } else {
            return Err(CommandError::Syntax);
        }
        i += 1;
    }
    if db == txn.db() && from == to {
        return Err(CommandError::err("source and destination objects are the same"));
    }
    let Some(copied) = txn.entry(from).map(|entry| match entry.value() {
        ValueRef::Inline(bytes) => Entry::inline(to, bytes, entry.expire()),
        ValueRef::Owned(value) => Entry::owned(to, Box::new(value.clone()), entry.expire()),
    }) else {
        out.integer(0);
        return Ok(());
    };
    let done = txn.in_db(db, |txn| {
        txn.reap(to);
        let replaced = txn.type_name(to);
        if replaced.is_some() {
            if !replace {
                return Ok(false);
            }
            txn.remove(to);
        }
        txn.attach(copied)?;
        txn.changed(Class::Generic, "copy_to", to);
        txn.tell_overwritten(to, replaced);
        Ok(true)
    })?;
    out.integer(done.into());
    Ok(())
}

fn flush_options(args: Args<'_>) -> CommandResult {
    let good = args.len() == 1 || args.len() == 2 && (args.is(1, "sync") || args.is(1, "async"));
    if good { Ok(()) } else { Err(CommandError::Syntax) }
}

fn flushdb(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    flush_options(args)?;
    let db = txn.db();
    txn.flush(db);
    txn.swept(Sweep::Flushed(db));
    out.ok();
    Ok(())
}

fn flushall(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    flush_options(args)?;
    let dbs: Vec<u32> = txn.keyspace().existing().map(|(db, _)| db).collect();
    for db in dbs {
        txn.flush(db);
    }
    txn.swept(Sweep::FlushedAll);
    out.ok();
    Ok(())
}

fn swapdb(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let first = db_number(args.at(1), CommandError::err("invalid first DB index"))?;
    let second = db_number(args.at(2), CommandError::err("invalid second DB index"))?;
    let (first, second) = (existing_db(txn, first)?, existing_db(txn, second)?);
    txn.swap(first, second)?;
    txn.swept(Sweep::Swapped(first, second));
    out.ok();
    Ok(())
}

fn dbsize(view: &View<'_>, _: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let mut keys = 0;
    for shard in 0..crate::shard::SHARDS {
        keys += view.with_shard(view.db(), shard, |s| s.counts().keys).unwrap_or(0);
    }
    out.count(keys);
    Ok(())
}

fn keys(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let mut found: Vec<Box<[u8]>> = Vec::new();
    view.for_each(view.db(), |entry| {
        if glob::selects(args.at(1), entry.key()) {
            found.push(entry.key().into());
        }
    });
    out.array(found.len());
    for key in &found {
        out.bulk(key);
    }
    Ok(())
}

fn scan(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let cursor = cursor(view, args.at(1))?;
    let (mut pattern, mut count, mut kind, mut i) = (None, 10, None, 2);
    while let Some(word) = args.get(i) {
        if i + 1 >= args.len() {
            return Err(CommandError::Syntax);
        }
        if is_word(word, "count") {
            count = args.int(i + 1)?;
            if count < 1 {
                return Err(CommandError::Syntax);
            }
        } else if is_word(word, "match") {
            pattern = Some(args.at(i + 1)).filter(|p| *p != b"*");
        } else if is_word(word, "type") {
            let name = args.at(i + 1);
            let known = ["string", "list", "set", "zset", "hash", "stream"].iter().any(|k| is_word(name, k));
            if !known && view.differences().scan_knows_types {
                let name = in_text(name);
                return Err(CommandError::Err(format!("unknown type name '{name}'").into()));
            }
            kind = Some(name);
        } else {
            return Err(CommandError::Syntax);
        }
        i += 2;
    }
    let mut found: Vec<Box<[u8]>> = Vec::new();
    let next = view.scan(view.db(), cursor, usize::try_from(count).unwrap_or(usize::MAX), |entry| {
        let wanted = !view.is_past(entry.expire())
            && kind.is_none_or(|kind| is_word(kind, entry.type_name()))
            && pattern.is_none_or(|pattern| glob::selects(pattern, entry.key()));
        if wanted {
            found.push(entry.key().into());
        }
    });
    out.array(2);
    out.bulk(itoa::Buffer::new().format(next).as_bytes());
    out.array(found.len());
    for key in &found {
        out.bulk(key);
    }
    Ok(())
}

/// A cursor of the SCAN family, as far as C's `strtoul` reads it. What is refused depends on the personality: a
/// space before it, or a minus before a small number and nothing at all.
pub(crate) fn cursor(view: &View<'_>, text: &[u8]) -> Result<u64, CommandError> {
    const BAD: CommandError = CommandError::err("invalid cursor");
    let strict = view.differences().strict_cursors;
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if strict && number::parse_i64(text).is_some_and(|n| n < 0) {
        return Err(BAD);
    }
    let trimmed = if strict { text.trim_ascii_start() } else { text };
    let digits = match trimmed {
        [] if text.is_empty() && !strict => return Ok(0),
        [b'-' | b'+', digits @ ..] => digits,
        digits => digits,
    };
    let n = std::str::from_utf8(digits).ok().filter(|t| t.starts_with(|c: char| c.is_ascii_digit()));
    let n: u64 = n.and_then(|t| t.parse().ok()).ok_or(BAD)?;
    Ok(if trimmed.starts_with(b"-") { n.wrapping_neg() } else { n })
}

fn randomkey(view: &View<'_>, _: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let mut random = crate::random::Random::new(view);
    // A place on the line, and the first key from there on that lives; a second round from the start.
    for start in [random.next() >> 16, 0] {
        let mut at = start;
        loop {
            let mut found: Option<Box<[u8]>> = None;
            at = view.scan(view.db(), at, 1, |entry| {
                if !view.is_past(entry.expire()) {
                    found.get_or_insert_with(|| entry.key().into());
                }
            });
            if let Some(key) = found {
                out.bulk(&key);
                return Ok(());
            }
            if at == 0 {
                break;
            }
        }
    }
    out.null(Null::Bulk);
    Ok(())
}

fn object_encoding(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    match view.peek(args.at(2)) {
        Some(entry) => out.bulk(entry.encoding(view.differences()).as_bytes()),
        None => out.null(Null::Bulk),
    }
    Ok(())
}

fn object_refcount(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    match view.peek(args.at(2)) {
        Some(entry) => out.integer(refcount(view, entry)),
        None => out.null(Null::Bulk),
    }
    Ok(())
}

/// Old servers share small integers, which then have no count of their own, unless they need each value's access
/// bits for themselves.
pub(crate) fn refcount(view: &View<'_>, entry: EntryRef<'_>) -> i64 {
    let needs_bits = view.limits().max_memory() > 0
        && !matches!(
            view.limits().policy(),
            Policy::NoEviction | Policy::AllKeysRandom | Policy::VolatileRandom | Policy::VolatileTtl
        );
    let is_small = match entry.value() {
        ValueRef::Inline(bytes) => number::parse_i64(bytes).is_some_and(|n| (0..10_000).contains(&n)),
        ValueRef::Owned(_) => false,
    };
    if is_small && view.differences().shares_integers && !needs_bits { i32::MAX.into() } else { 1 }
}

fn object_idletime(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let Some(entry) = view.peek(args.at(2)) else {
        out.null(Null::Bulk);
        return Ok(());
    };
    if view.limits().policy().is_lfu() {
        return Err(CommandError::err(
            "An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    out.integer(view.uses().idle(entry).into());
    Ok(())
}

fn object_freq(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let Some(entry) = view.peek(args.at(2)) else {
        out.null(Null::Bulk);
        return Ok(());
    };
    if !view.limits().policy().is_lfu() {
        return Err(CommandError::err(
            "An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    out.integer(view.uses().frequency(entry).into());
    Ok(())
}
