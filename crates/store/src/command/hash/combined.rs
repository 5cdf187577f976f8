//! Value and deadline in one go: HSETEX, HGETEX, HGETDEL.

use super::grammar::{Also, Mismatch, SetRequest, get_and_expire, has_passed, named};
use super::tell::{deleted, gone, reap, rewrite};
use crate::args::Args;
use crate::compat::Fields;
use crate::entry::MAX_KEY;
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::reply::{Null, Reply};
use crate::txn::Txn;
use crate::value::Hash;
use crate::value::hash::FieldExpiry;

/// Answers the value of a field, or nothing.
fn tell(hash: &Hash, field: &[u8], time: i64, out: &mut dyn Reply) {
    match hash.get(field, time) {
        Some(found) => out.bulk(found.value.to_bytes(&mut [0; 20])),
        None => out.null(Null::Bulk),
    }
}

pub(super) fn hgetdel(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    txn.reap(key);
    let fields = named(txn, args, Mismatch::Told)?;
    // A field named twice is answered once: it is gone then.
    out.array(fields.len());
    let (time, mut removed, mut vanishes) = (txn.field_time(), false, false);
    match txn.typed_mut::<Hash>(key)? {
        None => fields.iter().for_each(|_| out.null(Null::Bulk)),
        Some(mut hash) => {
            for field in fields {
                tell(&hash, field, time, out);
                removed |= hash.remove(field).is_some();
            }
            vanishes = hash.will_vanish();
        }
    }
    if removed {
        txn.changed(Class::Hash, "hdel", key);
        if vanishes {
            txn.notify(Class::Generic, "del", key);
        }
        if txn.differences().fields != Fields::Valkey {
            deleted(txn, key, fields);
        }
    }
    Ok(())
}

pub(super) fn hgetex(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    txn.reap(key);
    let (also, fields) = get_and_expire(txn, args)?;
    reap(txn, key, fields.iter());
    let time = txn.field_time();
    let passed = matches!(also, Also::Expire(at) if has_passed(txn, at));
    let (mut done, mut vanishes): (Vec<&[u8]>, bool) = (Vec::new(), false);
    let expects = !matches!(also, Also::Nothing) && txn.differences().fields != Fields::Valkey;
    out.array(fields.len());
    match txn.typed_mut::<Hash>(key)? {
        None => fields.iter().for_each(|_| out.null(Null::Bulk)),
        Some(mut hash) => {
            if expects {
                hash.expect_deadlines();
            }
            // One by one: a field named twice may be gone the second time.
            for field in fields {
                tell(&hash, field, time, out);
                let Some(old) = hash.get(field, time).map(|found| found.expire_ms) else { continue };
                let changed = match also {
                    Also::Nothing => false,
                    Also::Persist => old.is_some() && hash.set_expire(field, None),
                    Also::Expire(_) if passed => hash.remove(field).is_some(),
                    Also::Expire(at) => hash.set_expire(field, Some(at)),
                };
                if changed {
                    done.push(field);
                }
            }
            vanishes = hash.will_vanish();
        }
    }
    if done.is_empty() {
        return Ok(());
    }
    if passed {
        gone(txn, key, &done, vanishes);
        return Ok(());
    }
    let fields = if txn.differences().fields == Fields::Valkey { &done } else { fields };
    match also {
        Also::Expire(at) => {
            txn.changed(Class::Hash, "hexpire", key);
            rewrite(txn, b"HPEXPIREAT", key, Some(at), &[], fields);
        }
        _ => {
            txn.changed(Class::Hash, "hpersist", key);
            rewrite(txn, b"HPERSIST", key, None, &[], fields);
        }
    }
    Ok(())
}

pub(super) fn hsetex(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, limits) = (args.at(1), txn.limits());
    txn.reap(key);
    let request = SetRequest::parse(txn, args)?;
    if request.pairs.iter().any(|[field, _]| field.len() > MAX_KEY) {
        return Err(CommandError::err("field is longer than this keyspace can hold"));
    }
    reap(txn, key, request.pairs.iter().map(|[field, _]| field));
    let time = txn.field_time();
    if !request.allows(txn.typed::<Hash>(key)?, time) {
        out.integer(0);
        return Ok(());
    }
    if request.time.is_some_and(|(_, at)| has_passed(txn, at)) {
        // Set and gone: what stays is that the old ones are gone too.
        set_and_gone(txn, key, &request)?;
        out.integer(1);
        return Ok(());
    }
    let expiry =
        if request.keep { FieldExpiry::Keep } else { FieldExpiry::Set(request.time.map(|(_, at)| at)) };
    let mut hash = txn.typed_or_new::<Hash>(key)?;
    for [field, value] in request.pairs {
        hash.set(field, value, expiry, time, limits);
    }
    drop(hash);
    txn.changed(Class::Hash, "hset", key);
    if request.time.is_some() {
        txn.notify(Class::Hash, "hexpire", key);
    }
    if txn.has_replicas() {
        rewrite_set(txn, args, &request);
    }
    out.integer(1);
    Ok(())
}

/// The time becomes absolute; Valkey leaves out the conditions, which have been met.
fn rewrite_set(txn: &mut Txn<'_>, args: Args<'_>, request: &SetRequest<'_>) {
    let drops = txn.differences().fields == Fields::Valkey;
    let options = args.len() - 2 * request.pairs.len() - 2;
    let condition =
        |at: usize| at < options && ["nx", "xx", "fnx", "fxx"].iter().any(|name| args.is(at, name));
    let mut text = itoa::Buffer::new();
    let mut parts = args.all().to_vec();
    if let Some((place, at)) = request.time {
        parts[place] = b"PXAT";
        parts[place + 1] = text.format(at).as_bytes();
    }
    let mut at = 0;
    parts.retain(|_| {
        at += 1;
        at <= 2 || !(drops && condition(at - 1))
    });
    txn.rewrite(&parts);
}

fn set_and_gone(txn: &mut Txn<'_>, key: &[u8], request: &SetRequest<'_>) -> CommandResult {
    let valkey = txn.differences().fields == Fields::Valkey;
    let (mut told, mut vanishes): (Vec<&[u8]>, bool) = (Vec::new(), false);
    let mut hash = txn.typed_mut::<Hash>(key)?;
    if let Some(hash) = hash.as_mut().filter(|_| !valkey) {
        hash.expect_deadlines();
    }
    for [field, _] in request.pairs {
        let removed = hash.as_mut().is_some_and(|hash| hash.remove(field).is_some());
        // Redis has set them for a moment, and tells of each that it is gone.
        if removed || !valkey {
            told.push(field);
        }
    }
    vanishes |= hash.as_ref().is_some_and(|hash| hash.will_vanish());
    drop(hash);
    if !told.is_empty() {
        gone(txn, key, &told, vanishes);
    }
    Ok(())
}
