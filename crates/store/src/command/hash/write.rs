//! Changing hashes.

use super::grammar::is_valkey;
use super::tell::{self, reap};
use crate::args::Args;
use crate::compat::Fields;
use crate::entry::MAX_KEY;
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::number;
use crate::reply::Reply;
use crate::txn::Txn;
use crate::value::Hash;
use crate::value::hash::FieldExpiry;

const LONG_FIELD: CommandError = CommandError::err("field is longer than this keyspace can hold");

/// Sets all pairs from `args[2]` on; how many fields are new.
fn put(txn: &mut Txn<'_>, args: Args<'_>, name: &'static str) -> Result<i64, CommandError> {
    let pairs = args.from(2).as_chunks::<2>();
    if !pairs.1.is_empty() {
        return Err(CommandError::Arity(name.into()));
    }
    if pairs.0.iter().any(|[field, _]| field.len() > MAX_KEY) {
        return Err(LONG_FIELD);
    }
    let (time, limits) = (txn.field_time(), txn.limits());
    let mut hash = txn.typed_or_new::<Hash>(args.at(1))?;
    let hash = &mut *hash;
    let mut new = 0;
    for [field, value] in pairs.0 {
        new += i64::from(hash.set(field, value, FieldExpiry::Set(None), time, limits));
    }
    Ok(new)
}

pub(super) fn hset(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let new = put(txn, args, "hset")?;
    txn.changed(Class::Hash, "hset", args.at(1));
    out.integer(new);
    Ok(())
}

pub(super) fn hmset(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    put(txn, args, "hmset")?;
    txn.changed(Class::Hash, "hset", args.at(1));
    out.ok();
    Ok(())
}

pub(super) fn hsetnx(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, field) = (args.at(1), args.at(2));
    txn.reap(key);
    reap(txn, key, [field].iter());
    let hash = txn.typed::<Hash>(key)?;
    let there = hash.is_some_and(|hash| hash.get(field, txn.field_time()).is_some());
    let told = tells_results(txn, hash);
    if !there {
        put(txn, args, "hsetnx")?;
        txn.changed(Class::Hash, "hset", key);
        if told {
            txn.rewrite(&[b"HSET", key, field, args.at(3)]);
        }
    }
    out.integer((!there).into());
    Ok(())
}

/// Whether replicas are told what became of a field instead of the command: in Valkey, once a field of the hash has
/// a deadline.
fn tells_results(txn: &Txn<'_>, hash: Option<&Hash>) -> bool {
    txn.differences().fields == Fields::Valkey && hash.is_some_and(Hash::has_deadlines)
}

pub(super) fn hdel(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    // Redis counts those that have expired and were not yet removed, Valkey does not.
    let time = if is_valkey(txn) { txn.field_time() } else { i64::MIN };
    let Some(mut hash) = txn.typed_mut::<Hash>(key)? else {
        out.integer(0);
        return Ok(());
    };
    let (mut removed, mut counted) = (false, 0);
    for field in args.from(2) {
        let gone = hash.remove(field);
        removed |= gone.is_some();
        counted += i64::from(gone.is_some_and(|expire| expire.is_none_or(|at| at > time)));
    }
    let vanishes = hash.will_vanish();
    drop(hash);
    if removed {
        txn.changed(Class::Hash, "hdel", key);
        if vanishes {
            txn.notify(Class::Generic, "del", key);
        }
    }
    out.integer(counted);
    Ok(())
}

/// The text of a field to count on, and its deadline.
fn current<'t>(
    txn: &'t mut Txn<'_>,
    args: Args<'_>,
) -> Result<(Option<rdb::encoding::Item<'t>>, Option<i64>), CommandError> {
    if args.at(2).len() > MAX_KEY {
        return Err(LONG_FIELD);
    }
    txn.reap(args.at(1));
    reap(txn, args.at(1), [args.at(2)].iter());
    let hash = txn.typed::<Hash>(args.at(1))?;
    let field = hash.and_then(|hash| hash.get(args.at(2), txn.field_time()));
    Ok((field.map(|field| field.value), field.and_then(|field| field.expire_ms)))
}

fn replace(txn: &mut Txn<'_>, args: Args<'_>, value: &[u8]) -> CommandResult {
    let (time, limits) = (txn.field_time(), txn.limits());
    let mut hash = txn.typed_or_new::<Hash>(args.at(1))?;
    hash.set(args.at(2), value, FieldExpiry::Keep, time, limits);
    Ok(())
}

pub(super) fn hincrby(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let by = args.int(3)?;
    let (old, expires) = current(txn, args)?;
    let old = match old {
        None => 0,
        Some(item) => item.as_int().ok_or(CommandError::err("hash value is not an integer"))?,
    };
    let new = old.checked_add(by).ok_or(CommandError::err("increment or decrement would overflow"))?;
    let (mut text, told) = (itoa::Buffer::new(), tells_results(txn, txn.typed::<Hash>(args.at(1))?));
    let text = text.format(new).as_bytes();
    replace(txn, args, text)?;
    txn.changed(Class::Hash, "hincrby", args.at(1));
    if told {
        tell::result(txn, args, text, expires);
    }
    out.integer(new);
    Ok(())
}

pub(super) fn hincrbyfloat(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    if !number::is_finite_decimal(args.at(3)).ok_or(CommandError::NotAFloat)? {
        return Err(CommandError::err("value is NaN or Infinity"));
    }
    let (old, expires) = current(txn, args)?;
    let old = old.map_or_else(|| b"0".to_vec(), |item| item.to_vec());
    if number::is_finite_decimal(&old).is_none() {
        return Err(CommandError::err("hash value is not a float"));
    }
    let new = number::add_decimals(&old, args.at(3))?;
    replace(txn, args, new.as_bytes())?;
    txn.changed(Class::Hash, "hincrbyfloat", args.at(1));
    tell::result(txn, args, new.as_bytes(), expires);
    out.bulk(new.as_bytes());
    Ok(())
}
