//! Strings as values: SET's whole grammar, counters, ranges.

use crate::args::{Args, is_word};
use crate::command::expire::{Unit, deadline};
use crate::command::{Keys, commands};
use crate::entry::EntryRef;
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::number;
use crate::reply::{Null, Reply};
use crate::txn::{Expiry, Txn};
use crate::view::{View, Viewer};

commands! { String;
    /// Appends a string to the value of a key. Creates the key if it doesn't exist.
    write "append" 3 [FAST DENYOOM] Keys::one(1), since "2.0.0", cost "O(1)" => append;
    /// Decrements the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.
    write "decr" 2 [FAST DENYOOM] Keys::one(1), since "1.0.0", cost "O(1)" => decr;
    /// Decrements a number from the integer value of a key. Uses 0 as initial value if the key doesn't exist.
    write "decrby" 3 [FAST DENYOOM] Keys::one(1), since "1.0.0", cost "O(1)" => decrby;
    /// Deletes a string, if its value or digest is the given one, or is not.
    write "delex" -2 [FAST] Keys::one(1), since "8.4.0", cost "O(1) for IFEQ/IFNE, O(N) for IFDEQ/IFDNE where N is the length of the string value." => delex;
    /// Delete key if value matches string.
    write "delifeq" 3 [FAST] Keys::one(1), valkey "9.0.0", cost "O(1)" => delifeq;
    /// Returns the string value of a key.
    read "get" 2 [FAST] Keys::one(1), since "1.0.0", cost "O(1)" => get;
    /// Returns the string value of a key after deleting the key.
    write "getdel" 2 [FAST] Keys::one(1), since "6.2.0", cost "O(1)" => getdel;
    /// Returns the string value of a key after setting its expiration time.
    write "getex" -2 [FAST] Keys::one(1), since "6.2.0", cost "O(1)" => getex;
    /// Returns a substring of the string stored at a key.
    read "getrange" 4 [] Keys::one(1), since "2.4.0", cost "O(N) where N is the length of the returned string." => getrange;
    /// Returns the previous string value of a key after setting it to a new value.
    write "getset" 3 [FAST DENYOOM] Keys::one(1), since "1.0.0", cost "O(1)" => getset;
    /// Increments the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.
    write "incr" 2 [FAST DENYOOM] Keys::one(1), since "1.0.0", cost "O(1)" => incr;
    /// Increments the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist.
    write "incrby" 3 [FAST DENYOOM] Keys::one(1), since "1.0.0", cost "O(1)" => incrby;
    /// Increment the floating point value of a key by a number. Uses 0 as initial value if the key doesn't exist.
    write "incrbyfloat" 3 [FAST DENYOOM] Keys::one(1), since "2.6.0", cost "O(1)" => incrbyfloat;
    /// Finds the longest common substring.
    read "lcs" -3 [] Keys::two(1), since "7.0.0", cost "O(N*M) where N and M are the lengths of s1 and s2, respectively" => lcs;
    /// Atomically returns the string values of one or more keys.
    read "mget" -2 [FAST] Keys::from(1), since "1.0.0", cost "O(N) where N is the number of keys to retrieve." => mget;
    /// Atomically creates or modifies the string values of one or more keys.
    write "mset" -3 [DENYOOM BRIEF] Keys::Range { first: 1, last: -1, step: 2 }, since "1.0.1", cost "O(N) where N is the number of keys to set." => mset;
    /// Atomically sets multiple string keys with an optional shared expiration in a single operation. Supports flags for conditional set based on existence.
    write "msetex" -4 [DENYOOM MOVABLE_KEYS] Keys::By(msetex_keys), since "8.4.0" valkey "9.1.0", cost "O(N) where N is the number of keys to set." => msetex;
    /// Atomically modifies the string values of one or more keys only when all keys don't exist.
    write "msetnx" -3 [DENYOOM] Keys::Range { first: 1, last: -1, step: 2 }, since "1.0.1", cost "O(N) where N is the number of keys to set." => msetnx;
    /// Sets both string value and expiration time in milliseconds of a key. The key is created if it doesn't exist.
    write "psetex" 4 [DENYOOM BRIEF] Keys::one(1), since "2.6.0", cost "O(1)" => psetex;
    /// Sets the string value of a key, ignoring its type. The key is created if it doesn't exist.
    write "set" -3 [DENYOOM BRIEF] Keys::one(1), since "1.0.0", cost "O(1)" => set;
    /// Sets the string value and expiration time of a key. Creates the key if it doesn't exist.
    write "setex" 4 [DENYOOM BRIEF] Keys::one(1), since "2.0.0", cost "O(1)" => setex;
    /// Set the string value of a key only when the key doesn't exist.
    write "setnx" 3 [FAST DENYOOM] Keys::one(1), since "1.0.0", cost "O(1)" => setnx;
    /// Overwrites a part of a string value with another by an offset. Creates the key if it doesn't exist.
    write "setrange" 4 [DENYOOM] Keys::one(1), since "2.2.0", cost "O(1), not counting the time taken to copy the new string in place." => setrange;
    /// Returns the length of a string value.
    read "strlen" 2 [FAST] Keys::one(1), since "2.2.0", cost "O(1)" => strlen;
    /// Returns a substring from a string value.
    read "substr" 4 [] Keys::one(1), since "1.0.0", cost "O(N) where N is the length of the returned string." => getrange;
}

const TOO_LONG: CommandError = CommandError::err("string exceeds maximum allowed size (proto-max-bulk-len)");
const OVERFLOW: CommandError = CommandError::err("increment or decrement would overflow");

fn append(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, tail) = (args.at(1), args.at(2));
    let length = match txn.string(key)? {
        None => {
            txn.set_string(key, tail, Expiry::Never)?;
            tail.len()
        }
        Some(old) => {
            check_length(txn, old.len(), tail.len())?;
            let mut value = txn.string_mut(key)?;
            value.extend_from_slice(tail);
            value.len()
        }
    };
    txn.changed(Class::String, "append", key);
    out.count(length);
    Ok(())
}

fn check_length(txn: &Txn<'_>, at: usize, more: usize) -> Result<usize, CommandError> {
    let end = at.checked_add(more).filter(|end| *end as u64 <= txn.limits().max_bulk() as u64);
    end.ok_or(TOO_LONG)
}

fn incr(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    add(txn, args.at(1), 1, out)
}

fn decr(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    add(txn, args.at(1), -1, out)
}

fn incrby(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    add(txn, args.at(1), args.int(2)?, out)
}

fn decrby(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let by = args.int(2)?.checked_neg().ok_or(CommandError::err("decrement would overflow"))?;
    add(txn, args.at(1), by, out)
}

fn add(txn: &mut Txn<'_>, key: &[u8], by: i64, out: &mut dyn Reply) -> CommandResult {
    let old = match txn.string(key)? {
        None => 0,
        Some(text) => number::parse_i64(text).ok_or(CommandError::NotAnInteger)?,
    };
    let new = old.checked_add(by).ok_or(OVERFLOW)?;
    txn.update_string(key, itoa::Buffer::new().format(new).as_bytes())?;
    txn.changed(Class::String, "incrby", key);
    out.integer(new);
    Ok(())
}

fn incrbyfloat(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    let old = txn.string(key)?.unwrap_or(b"0");
    let new = number::add_decimals(old, args.at(2))?;
    txn.update_string(key, new.as_bytes())?;
    txn.changed(Class::String, "incrbyfloat", key);
    txn.rewrite(&[b"SET", key, new.as_bytes(), b"KEEPTTL"]);
    out.bulk(new.as_bytes());
    Ok(())
}

fn get(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    out.bulk_or_null(view.string(args.at(1))?);
    Ok(())
}

fn mget(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    out.array(args.len() - 1);
    for key in args.from(1) {
        out.bulk_or_null(view.string(key).unwrap_or(None));
    }
    Ok(())
}

fn strlen(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    out.count(view.string(args.at(1))?.map_or(0, <[u8]>::len));
    Ok(())
}

fn getrange(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (start, end) = (args.int(2)?, args.int(3)?);
    let text = view.string(args.at(1))?.unwrap_or_default();
    out.bulk(slice(text, start, end));
    Ok(())
}

/// Bytes `start..=end`, negative places counted from the end, clamped.
fn slice(text: &[u8], start: i64, end: i64) -> &[u8] {
    if start < 0 && end < 0 && start > end {
        return b"";
    }
    let length = text.len() as i64;
    let place = |n: i64| if n < 0 { (length + n).max(0) } else { n };
    let (start, end) = (place(start), place(end).min(length - 1));
    if start > end || length == 0 { b"" } else { &text[start as usize..=end as usize] }
}

fn getdel(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    let value = txn.string(key)?;
    out.bulk_or_null(value);
    if value.is_some() {
        txn.remove(key);
        txn.changed(Class::Generic, "del", key);
        txn.rewrite(&[b"DEL", key]);
    }
    Ok(())
}

fn getset(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    out.bulk_or_null(txn.string(key)?);
    txn.set_string(key, args.at(2), Expiry::Never)?;
    txn.changed(Class::String, "set", key);
    txn.rewrite(&[b"SET", key, args.at(2)]);
    Ok(())
}

const UNITS: [(&str, Unit); 4] =
    [("ex", Unit::In(1000)), ("px", Unit::In(1)), ("exat", Unit::At(1000)), ("pxat", Unit::At(1))];

/// Who parses options, which decides what may come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asker {
    Set,
    Getex,
    Msetex,
}

/// The options that SET, GETEX and MSETEX share.
#[derive(Default)]
struct Options<'a> {
    nx: bool,
    xx: bool,
    /// IFEQ and its like: in a primary's stream it held, so that only clients ask.
    only_if: Option<&'a [u8]>,
    get: bool,
    keep: bool,
    persist: bool,
    /// The place of the time, its text and its unit.
    time: Option<(usize, &'a [u8], Unit)>,
}

impl<'a> Options<'a> {
    fn parse(txn: &Txn<'_>, args: Args<'a>, from: usize, asker: Asker) -> Result<Self, CommandError> {
        let streamed = txn.viewer() == Viewer::Stream;
        let conditions: &[&str] = match asker {
            Asker::Set if streamed => &["ifeq", "ifne", "ifdeq", "ifdne"],
            Asker::Set if txn.differences().set_if_equal => &["ifeq"],
            _ => &[],
        };
        let sets = asker != Asker::Getex;
        let mut o = Self::default();
        let mut i = from;
        while let Some(word) = args.get(i) {
            let unit = UNITS.into_iter().find_map(|(name, unit)| is_word(word, name).then_some(unit));
            // The same unit may come again, another may not; the last one counts. (A Valkey's own rewriting of
            // MSETEX mixes them.)
            let time_free =
                streamed || !o.keep && !o.persist && o.time.is_none_or(|(_, _, old)| Some(old) == unit);
            let is_condition = conditions.iter().any(|name| is_word(word, name));
            if sets && is_word(word, "nx") && !o.xx && o.only_if.is_none() {
                o.nx = true;
            } else if sets && is_word(word, "xx") && !o.nx && o.only_if.is_none() {
                o.xx = true;
            } else if is_condition && !o.nx && !o.xx && o.only_if.is_none() && args.len() > i + 1 {
                i += 1;
                o.only_if = args.get(i);
            } else if asker == Asker::Set && is_word(word, "get") {
                o.get = true;
            } else if sets && is_word(word, "keepttl") && o.time.is_none() && !o.persist {
                o.keep = true;
            } else if !sets && is_word(word, "persist") && o.time.is_none() && !o.keep {
                o.persist = true;
            } else if let (Some(unit), true, Some(n)) = (unit, time_free, args.get(i + 1)) {
                o.time = Some((i, n, unit));
                i += 1;
            } else {
                return Err(CommandError::Syntax);
            }
            i += 1;
        }
        Ok(o)
    }

    fn deadline(&self, txn: &Txn<'_>, command: &'static str) -> Result<Option<i64>, CommandError> {
        self.time.map(|(_, n, unit)| deadline(n, unit, txn.now(), command)).transpose()
    }

    fn expiry(&self, at: Option<i64>) -> Expiry {
        match at {
            Some(at) => Expiry::At(at),
            None if self.keep => Expiry::Keep,
            None => Expiry::Never,
        }
    }
}

fn set(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, value) = (args.at(1), args.at(2));
    if args.len() == 3 {
        txn.set_string(key, value, Expiry::Never)?;
        txn.changed(Class::String, "set", key);
        out.ok();
        return Ok(());
    }
    let options = Options::parse(txn, args, 3, Asker::Set)?;
    let at = options.deadline(txn, "set")?;
    let streamed = txn.viewer() == Viewer::Stream;
    let equal = match options.only_if {
        Some(wanted) if !streamed => txn.string(key)? == Some(wanted),
        _ => true,
    };
    if options.get {
        out.bulk_or_null(txn.string(key)?);
    }
    let found = txn.exists(key);
    if options.nx && found || options.xx && !found || !equal {
        if !options.get {
            out.null(Null::Bulk);
        }
        return Ok(());
    }
    if at.is_some_and(|at| at <= txn.now()) && !streamed && txn.differences().set_drops_past {
        if txn.remove(key) {
            txn.changed(Class::Generic, "del", key);
            txn.rewrite_to_drop(key);
        }
        if !options.get {
            out.ok();
        }
        return Ok(());
    }
    txn.set_string(key, value, options.expiry(at))?;
    txn.changed(Class::String, "set", key);
    let as_it_came =
        txn.differences().set_keeps_pxat && matches!(options.time, Some((_, _, unit)) if unit == Unit::At(1));
    if let Some(at) = at {
        txn.notify(Class::Generic, "expire", key);
        if !as_it_came {
            rewrite_with_deadline(txn, key, value, at);
        }
    } else if options.get {
        let options = args.from(3).iter().copied().filter(|a| !is_word(a, "get"));
        let kept: Vec<&[u8]> = args.all()[..3].iter().copied().chain(options).collect();
        txn.rewrite(&kept);
    }
    if !options.get {
        out.ok();
    }
    Ok(())
}

fn rewrite_with_deadline(txn: &mut Txn<'_>, key: &[u8], value: &[u8], at: i64) {
    if txn.has_replicas() {
        txn.rewrite(&[b"SET", key, value, b"PXAT", itoa::Buffer::new().format(at).as_bytes()]);
    }
}

fn setex(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    set_for(txn, args, Unit::In(1000), "setex", out)
}

fn psetex(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    set_for(txn, args, Unit::In(1), "psetex", out)
}

fn set_for(
    txn: &mut Txn<'_>,
    args: Args<'_>,
    unit: Unit,
    command: &'static str,
    out: &mut dyn Reply,
) -> CommandResult {
    let (key, value) = (args.at(1), args.at(3));
    let at = deadline(args.at(2), unit, txn.now(), command)?;
    txn.set_string(key, value, Expiry::At(at))?;
    txn.changed(Class::String, "set", key);
    txn.notify(Class::Generic, "expire", key);
    rewrite_with_deadline(txn, key, value, at);
    out.ok();
    Ok(())
}

fn setnx(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    let free = !txn.exists(key);
    if free {
        txn.set_string(key, args.at(2), Expiry::Never)?;
        txn.changed(Class::String, "set", key);
    }
    out.integer(free.into());
    Ok(())
}

fn getex(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    let options = Options::parse(txn, args, 2, Asker::Getex)?;
    if txn.differences().getex_time_first {
        options.deadline(txn, "getex")?;
    }
    let Some(value) = txn.string(key)? else {
        out.null(Null::Bulk);
        return Ok(());
    };
    let at = options.deadline(txn, "getex")?;
    out.bulk(value);
    if let Some(at) = at {
        if txn.is_too_late(at) {
            txn.remove(key);
            txn.changed(Class::Generic, "del", key);
            txn.rewrite_to_drop(key);
        } else {
            txn.set_expire(key, Some(at));
            txn.changed(Class::Generic, "expire", key);
            txn.rewrite(&[b"PEXPIREAT", key, itoa::Buffer::new().format(at).as_bytes()]);
        }
    } else if options.persist && txn.entry(key).and_then(EntryRef::expire).is_some() {
        txn.set_expire(key, None);
        txn.changed(Class::Generic, "persist", key);
        txn.rewrite(&[b"PERSIST", key]);
    }
    Ok(())
}

fn pairs<'a>(args: Args<'a>) -> Result<impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone, CommandError> {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::Arity(String::from_utf8_lossy(args.at(0)).to_ascii_lowercase().into()));
    }
    Ok(args.from(1).chunks_exact(2).map(|pair| (pair[0], pair[1])))
}

fn mset(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    for (key, value) in pairs(args)? {
        txn.set_string(key, value, Expiry::Never)?;
        txn.changed(Class::String, "set", key);
    }
    out.ok();
    Ok(())
}

fn msetnx(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let pairs = pairs(args)?;
    for (key, _) in pairs.clone() {
        if txn.exists(key) {
            out.integer(0);
            return Ok(());
        }
    }
    for (key, value) in pairs {
        txn.set_string(key, value, Expiry::Never)?;
        txn.changed(Class::String, "set", key);
    }
    out.integer(1);
    Ok(())
}

/// MSETEX: as many pairs as the number before them says.
fn msetex_keys(args: Args<'_>, place: &mut dyn FnMut(usize)) {
    let pairs = number::parse_i64(args.at(1)).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    (0..pairs).map(|i| 2 + i * 2).take_while(|at| *at < args.len()).for_each(place);
}

fn msetex(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let count = number::parse_i64(args.at(1)).filter(|n| (1..=i64::from(i32::MAX / 2)).contains(n));
    let count = count.ok_or(CommandError::err("invalid numkeys value or out of range"))? as usize;
    let end = 2 + count * 2;
    if end > args.len() {
        return Err(CommandError::Syntax);
    }
    let options = Options::parse(txn, args, end, Asker::Msetex)?;
    let at = options.deadline(txn, "msetex")?;
    let pairs = || args.all()[2..end].chunks_exact(2).map(|pair| (pair[0], pair[1]));
    if options.nx && pairs().any(|(key, _)| txn.exists(key))
        || options.xx && !pairs().all(|(key, _)| txn.exists(key))
    {
        out.integer(0);
        return Ok(());
    }
    for (key, value) in pairs() {
        txn.set_string(key, value, options.expiry(at))?;
        txn.changed(Class::String, "set", key);
        if at.is_some() {
            txn.notify(Class::Generic, "expire", key);
        }
    }
    if let (Some(at), Some((place, ..))) = (at, options.time)
        && txn.has_replicas()
    {
        let mut number = itoa::Buffer::new();
        let mut told: Vec<&[u8]> = args.all().to_vec();
        told[place] = b"PXAT";
        told[place + 1] = number.format(at).as_bytes();
        txn.rewrite(&told);
    }
    out.integer(1);
    Ok(())
}

fn delifeq(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    let equal = txn.string(key)? == Some(args.at(2));
    if equal {
        txn.remove(key);
        txn.changed(Class::Generic, "del", key);
        txn.rewrite(&[b"DEL", key]);
    }
    out.integer(equal.into());
    Ok(())
}

/// Comes in streams alone, where a condition has held already.
fn delex(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    let found = txn.remove(key);
    if found {
        txn.changed(Class::Generic, "del", key);
        txn.rewrite(&[b"DEL", key]);
    }
    out.integer(found.into());
    Ok(())
}

fn setrange(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, patch) = (args.at(1), args.at(3));
    let offset = args.int(2)?;
    let offset = usize::try_from(offset).map_err(|_| CommandError::err("offset is out of range"))?;
    let old = txn.string(key)?.map(<[u8]>::len);
    if patch.is_empty() {
        out.count(old.unwrap_or(0));
        return Ok(());
    }
    let end = check_length(txn, offset, patch.len())?;
    let mut value = txn.string_mut(key)?;
    if value.len() < end {
        value.resize(end, 0);
    }
    value[offset..end].copy_from_slice(patch);
    let length = value.len();
    drop(value);
    txn.changed(Class::String, "setrange", key);
    out.count(length);
    Ok(())
}

fn lcs(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let not_strings = |_| CommandError::err("The specified keys must contain string values");
    let a = view.string(args.at(1)).map_err(not_strings)?.unwrap_or_default();
    let b = view.string(args.at(2)).map_err(not_strings)?.unwrap_or_default();
    let (mut length_only, mut ranges, mut with_length, mut shortest) = (false, false, false, 0);
    let mut i = 3;
    while let Some(word) = args.get(i) {
        if is_word(word, "idx") {
            ranges = true;
        } else if is_word(word, "len") {
            length_only = true;
        } else if is_word(word, "withmatchlen") {
            with_length = true;
        } else if is_word(word, "minmatchlen") && args.len() > i + 1 {
            i += 1;
            shortest = args.int(i)?.max(0);
        } else {
            return Err(CommandError::Syntax);
        }
        i += 1;
    }
    if ranges && length_only {
        return Err(CommandError::err("If you want both the length and indexes, please just use IDX."));
    }
    if a.len() as u64 >= u64::from(u32::MAX) - 1 || b.len() as u64 >= u64::from(u32::MAX) - 1 {
        return Err(CommandError::err("String too long for LCS"));
    }
    let cells = (a.len() as u64 + 1).saturating_mul(b.len() as u64 + 1);
    if cells.saturating_mul(4) > view.limits().max_bulk() as u64 {
        return Err(CommandError::err(
            "Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    let (common, found) = longest_common(a, b);
    if length_only {
        out.count(common.len());
    } else if ranges {
        let kept = found.iter().filter(|r| r.length as i64 >= shortest);
        out.aggregate(crate::reply::Aggregate::Map, 2);
        out.bulk(b"matches");
        out.array(kept.clone().count());
        for r in kept {
            out.array(if with_length { 3 } else { 2 });
            for start in [r.a, r.b] {
                out.array(2);
                out.count(start);
                out.count(start + r.length - 1);
            }
            if with_length {
                out.count(r.length);
            }
        }
        out.bulk(b"len");
        out.count(common.len());
    } else {
        out.bulk(&common);
    }
    Ok(())
}

/// A run that both strings share.
struct Run {
    a: usize,
    b: usize,
    length: usize,
}

/// The longest common subsequence, and its runs from the last to the first.
fn longest_common(a: &[u8], b: &[u8]) -> (Vec<u8>, Vec<Run>) {
    let width = b.len() + 1;
    let mut table = vec![0_u32; (a.len() + 1) * width];
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            table[i * width + j] = if a[i - 1] == b[j - 1] {
                table[(i - 1) * width + j - 1] + 1
            } else {
                table[(i - 1) * width + j].max(table[i * width + j - 1])
            };
        }
    }
    let (mut i, mut j) = (a.len(), b.len());
    let mut common = Vec::with_capacity(table[i * width + j] as usize);
    let mut runs: Vec<Run> = Vec::new();
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            common.push(a[i - 1]);
            match runs.last_mut() {
                Some(run) if run.a == i && run.b == j => {
                    run.a -= 1;
                    run.b -= 1;
                    run.length += 1;
                }
                _ => runs.push(Run { a: i - 1, b: j - 1, length: 1 }),
            }
            i -= 1;
            j -= 1;
        } else if table[(i - 1) * width + j] > table[i * width + j - 1] {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    common.reverse();
    (common, runs)
}
