//! Changing sets.

use super::look::drawn;
use crate::args::Args;
use crate::command::options::positive;
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::random::Random;
use crate::reply::{Aggregate, Null, Reply};
use crate::txn::{Txn, check_key};
use crate::value::Set;

pub(super) fn sadd(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, limits) = (args.at(1), txn.limits());
    let guess = txn.differences().guesses_by_number;
    let mut guard = txn.typed_or_new::<Set>(key)?;
    let set = &mut *guard;
    if guess {
        set.make_room_for(args.from(2), limits);
    }
    let added = args.from(2).iter().filter(|member| set.insert(member, limits)).count();
    drop(guard);
    if added > 0 {
        txn.changed(Class::Set, "sadd", key);
    }
    out.count(added);
    Ok(())
}

/// Removes members; how many were there.
fn remove(txn: &mut Txn<'_>, key: &[u8], members: &[&[u8]]) -> Result<usize, CommandError> {
    let Some(mut guard) = txn.typed_mut::<Set>(key)? else { return Ok(0) };
    let set = &mut *guard;
    let removed = members.iter().filter(|member| set.remove(member)).count();
    let vanishes = guard.will_vanish();
    drop(guard);
    if removed > 0 {
        txn.changed(Class::Set, "srem", key);
        if vanishes {
            txn.notify(Class::Generic, "del", key);
        }
    }
    Ok(removed)
}

pub(super) fn srem(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let removed = remove(txn, args.at(1), args.from(2))?;
    out.count(removed);
    Ok(())
}

pub(super) fn smove(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (from, to, member) = (args.at(1), args.at(2), args.at(3));
    let Some(entry) = txn.entry(from) else {
        out.integer(0);
        return Ok(());
    };
    let same = entry.key() == to;
    let there = txn.typed::<Set>(from)?.is_some_and(|set| set.contains(member));
    txn.typed::<Set>(to)?;
    if there && !same {
        let limits = txn.limits();
        // A key too long is refused before anything has changed.
        check_key(to)?;
        remove(txn, from, &[member])?;
        if txn.typed_or_new::<Set>(to)?.insert(member, limits) {
            txn.changed(Class::Set, "sadd", to);
        }
    }
    out.integer(there.into());
    Ok(())
}

pub(super) fn spop(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let count = args.get(2).map(positive).transpose()?;
    let mut random = Random::new(txn);
    let Some(set) = txn.typed::<Set>(key)? else {
        match count {
            Some(_) => out.aggregate(Aggregate::Set, 0),
            None => out.null(Null::Bulk),
        }
        return Ok(());
    };
    let wanted = i64::try_from(count.unwrap_or(1)).unwrap_or(i64::MAX);
    let members: Vec<Vec<u8>> = drawn(set, wanted, &mut random).into_iter().map(|m| m.to_vec()).collect();
    let all = members.len() == set.len();
    if all {
        txn.remove(key);
    } else if let Some(mut guard) = txn.typed_mut::<Set>(key)? {
        let set = &mut *guard;
        for member in &members {
            set.remove(member);
        }
    }
    if !members.is_empty() {
        txn.changed(Class::Set, "spop", key);
        if all {
            txn.notify(Class::Generic, "del", key);
        }
        // Chance must not differ between replicas: they are told who went.
        if all && count.is_some() {
            txn.rewrite_to_drop(key);
        } else if txn.has_replicas() {
            for some in members.chunks(PROPAGATED) {
                let mut parts: Vec<&[u8]> = vec![b"SREM", key];
                parts.extend(some.iter().map(Vec::as_slice));
                txn.rewrite(&parts);
            }
        } else {
            txn.rewrite_to_nothing();
        }
    }
    match count {
        Some(_) => {
            out.aggregate(Aggregate::Set, members.len());
            members.iter().for_each(|member| out.bulk(member));
        }
        None => out.bulk_or_null(members.first().map(Vec::as_slice)),
    }
    Ok(())
}

/// Members named in one command to replicas.
const PROPAGATED: usize = 1024;
