//! Counting distinct elements.

use crate::args::{Args, in_text, is_word};
use crate::command::{Keys, commands};
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::reply::Reply;
use crate::txn::{Expiry, Txn};
use crate::value::hyperloglog as hll;
use crate::view::{View, Viewer};

commands! { HyperLogLog;
    /// An internal command for testing HyperLogLog values.
    read "pfselftest" 1 [ADMIN] Keys::None, since "2.8.9", cost "N/A" => pfselftest;
    /// Adds elements to a HyperLogLog key. Creates the key if it doesn't exist.
    write "pfadd" -2 [FAST DENYOOM] Keys::one(1), since "2.8.9", cost "O(1) to add every element." => pfadd;
    /// Returns the approximated cardinality of the set(s) observed by the HyperLogLog key(s).
    either "pfcount" -2 [MAY_REPLICATE] Keys::from(1), since "2.8.9", cost "O(1) with a very small average constant time when called with a single key. O(N) with N being the number of keys, and much bigger constant times, when called with multiple keys." => (pfcount, pfcount_and_keep);
    /// Internal commands for debugging HyperLogLog values.
    write "pfdebug" 3 [DENYOOM ADMIN] Keys::one(2), since "2.8.9", cost "N/A" => pfdebug;
    /// Merges one or more HyperLogLog values into a single key.
    write "pfmerge" -2 [DENYOOM] Keys::from(1), since "2.8.9", cost "O(N) to merge N HyperLogLogs, but with high constant times." => pfmerge;
}

const NOT_HLL: CommandError = CommandError::coded("WRONGTYPE Key is not a valid HyperLogLog string value.");
const CORRUPT: CommandError = CommandError::coded("INVALIDOBJ Corrupted HLL object detected");

fn corrupt(_: hll::Corrupt) -> CommandError {
    CORRUPT
}

/// The HyperLogLog at `key`.
fn look<'v>(view: &'v View<'_>, key: &[u8]) -> Result<Option<&'v [u8]>, CommandError> {
    match view.string(key)? {
        Some(bytes) if !hll::is_valid(bytes) => Err(NOT_HLL),
        found => Ok(found),
    }
}

fn rules(view: &View<'_>) -> hll::Rules {
    let sparse_limit = usize::try_from(view.limits().hll_sparse_bytes()).unwrap_or(0);
    hll::Rules { sparse_limit, passes_over_excess: view.viewer() == Viewer::Stream }
}

fn pfadd(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    let is_new = look(txn, key)?.is_none();
    let rules = rules(txn);
    if is_new {
        txn.set_string(key, &hll::empty(), Expiry::Never)?;
    }
    let mut changed = is_new;
    if args.len() > 2 {
        let mut bytes = txn.string_mut(key)?;
        for element in args.from(2) {
            changed |= hll::add(&mut bytes, element, rules).map_err(corrupt)?;
        }
    }
    if changed {
        hll::set_cached(&mut txn.string_mut(key)?, None);
        txn.changed(Class::String, "pfadd", key);
    }
    out.integer(changed.into());
    Ok(())
}

/// The registers of several keys together.
fn union(view: &View<'_>, keys: &[&[u8]]) -> Result<(Box<[u8]>, bool), CommandError> {
    let mut all: Box<[u8]> = vec![0; 1 << 14].into();
    let mut any_dense = false;
    for key in keys {
        if let Some(bytes) = look(view, key)? {
            any_dense |= bytes[4] == 0;
            let excess = rules(view).passes_over_excess;
            let registers = hll::registers(bytes, excess).map_err(corrupt)?;
            all.iter_mut().zip(&registers).for_each(|(a, b)| *a = (*a).max(*b));
        }
    }
    Ok((all, any_dense))
}

fn pfcount(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    if args.len() == 2
        && let Some(count) = look(view, args.at(1))?.and_then(hll::cached)
    {
        out.integer(i64::try_from(count).unwrap_or(i64::MAX));
        return Ok(());
    }
    let (registers, _) = union(view, args.from(1))?;
    out.integer(i64::try_from(hll::count(&registers)).unwrap_or(i64::MAX));
    Ok(())
}

/// The same, and the count is kept in the value: a write in disguise, which replicas must repeat.
fn pfcount_and_keep(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    if args.len() == 2 {
        let stale = match look(txn, key)? {
            Some(bytes) if hll::cached(bytes).is_none() => {
                Some(hll::registers(bytes, false).map_err(corrupt)?)
            }
            _ => None,
        };
        if let Some(registers) = stale {
            hll::set_cached(&mut txn.string_mut(key)?, Some(hll::count(&registers)));
            txn.changed_unheard(key);
        }
    }
    pfcount(txn, args, out)
}

fn pfdebug(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (what, key) = (args.at(1), args.at(2));
    let Some(bytes) = look(txn, key)? else {
        return Err(CommandError::err("The specified key does not exist"));
    };
    let is_sparse = bytes[4] != 0;
    if is_word(what, "getreg") || is_word(what, "todense") {
        let registers = hll::registers(bytes, false).map_err(corrupt)?;
        if is_sparse {
            let mut bytes = txn.string_mut(key)?;
            hll::to_dense(&mut bytes, false).map_err(corrupt)?;
            drop(bytes);
            txn.changed_quietly();
        }
        if is_word(what, "todense") {
            out.integer(is_sparse.into());
        } else {
            out.array(registers.len());
            registers.iter().for_each(|register| out.integer((*register).into()));
        }
    } else if is_word(what, "decode") {
        if !is_sparse {
            return Err(CommandError::err("HLL encoding is not sparse"));
        }
        out.bulk(hll::runs(bytes).as_bytes());
    } else if is_word(what, "encoding") {
        out.simple(if is_sparse { "sparse" } else { "dense" });
    } else {
        let name = in_text(what);
        return Err(CommandError::Err(format!("Unknown PFDEBUG subcommand '{name}'").into()));
    }
    Ok(())
}

fn pfselftest(_: &View<'_>, _: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    match hll::self_test() {
        Ok(()) => out.ok(),
        Err(text) => return Err(CommandError::Err(format!("TESTFAILED {text}").into())),
    }
    Ok(())
}

fn pfmerge(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    let (registers, any_dense) = union(txn, args.from(1))?;
    let rules = rules(txn);
    if txn.string(key)?.is_none() {
        txn.set_string(key, &hll::empty(), Expiry::Never)?;
    }
    let mut bytes = txn.string_mut(key)?;
    if any_dense {
        hll::to_dense(&mut bytes, rules.passes_over_excess).map_err(corrupt)?;
    }
    hll::merge(&mut bytes, &registers, rules).map_err(corrupt)?;
    hll::set_cached(&mut bytes, None);
    drop(bytes);
    txn.changed(Class::String, "pfadd", key);
    out.ok();
    Ok(())
}
