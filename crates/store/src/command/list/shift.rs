//! From one list to another, from the first of several, and the forms that would wait.

use super::push::{popped, take};
use super::{count_option, end, push_event};
use crate::args::Args;
use crate::command::options::{check_timeout, numkeys};
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::reply::{Null, Reply};
use crate::txn::Txn;
use crate::value::List;
use crate::value::list::End;

pub(super) fn lmove(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    shift(txn, args, end(args.at(3))?, end(args.at(4))?, out).map(drop)
}

pub(super) fn rpoplpush(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    shift(txn, args, End::Right, End::Left, out).map(drop)
}

pub(super) fn blmove(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (from, to) = (end(args.at(3))?, end(args.at(4))?);
    check_timeout(txn, args.at(5))?;
    if shift(txn, args, from, to, out)? {
        txn.rewrite(&[b"LMOVE", args.at(1), args.at(2), args.at(3), args.at(4)]);
    }
    Ok(())
}

pub(super) fn brpoplpush(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    check_timeout(txn, args.at(3))?;
    if shift(txn, args, End::Right, End::Left, out)? {
        txn.rewrite(&[b"RPOPLPUSH", args.at(1), args.at(2)]);
    }
    Ok(())
}

/// Moves an element and answers it, or nothing; whether there was one. A target of another kind matters only
/// if there is.
fn shift(
    txn: &mut Txn<'_>,
    args: Args<'_>,
    from: End,
    to: End,
    out: &mut dyn Reply,
) -> Result<bool, CommandError> {
    let (source, target, limits) = (args.at(1), args.at(2), txn.limits());
    let Some(list) = txn.typed::<List>(source)? else {
        out.null(Null::Bulk);
        return Ok(false);
    };
    let element =
        list.get(if from == End::Left { 0 } else { -1 }).map_or_else(Vec::new, |item| item.to_vec());
    txn.typed::<List>(target)?;
    if source == target {
        // In one go: the list must not vanish between the two.
        if let Some(mut list) = txn.typed_mut::<List>(source)? {
            list.pop(from, |_| ());
            list.push(to, &element, limits);
            list.settle(limits);
        }
        txn.changed(Class::List, push_event(to), target);
        popped(txn, source, from, false);
    } else {
        txn.typed_or_new::<List>(target)?.push(to, &element, limits);
        txn.changed(Class::List, push_event(to), target);
        let mut vanishes = false;
        if let Some(mut list) = txn.typed_mut::<List>(source)? {
            list.pop(from, |_| ());
            list.settle(limits);
            vanishes = list.will_vanish();
        }
        popped(txn, source, from, vanishes);
    }
    out.bulk(&element);
    Ok(true)
}

pub(super) fn blpop(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    pop_one(txn, args, End::Left, out)
}

pub(super) fn brpop(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    pop_one(txn, args, End::Right, out)
}

fn pop_one(txn: &mut Txn<'_>, args: Args<'_>, end: End, out: &mut dyn Reply) -> CommandResult {
    let last = args.len() - 1;
    check_timeout(txn, args.at(last))?;
    let Some((key, _)) = first_there(txn, &args.all()[1..last])? else {
        out.null(Null::Array);
        return Ok(());
    };
    out.array(2);
    out.bulk(key);
    take(txn, key, end, 1, out)?;
    txn.rewrite(&[plain(end), key]);
    Ok(())
}

pub(super) fn lmpop(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    pop_many(txn, args, 1, out)
}

pub(super) fn blmpop(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    pop_many(txn, args, 2, out)
}

/// `[timeout] numkeys key [key ...] LEFT|RIGHT [COUNT count]`, the number of keys standing at `at`.
fn pop_many(txn: &mut Txn<'_>, args: Args<'_>, at: usize, out: &mut dyn Reply) -> CommandResult {
    let (n, rest) = numkeys(args, at)?;
    let Some((keys, &[word, ..])) = rest.split_at_checked(n) else { return Err(CommandError::Syntax) };
    let end = end(word)?;
    let count = count_option(args, at + 1 + n + 1)?;
    if at == 2 {
        check_timeout(txn, args.at(1))?;
    }
    let Some((key, len)) = first_there(txn, keys)? else {
        out.null(Null::Array);
        return Ok(());
    };
    let count = count.min(len);
    out.array(2);
    out.bulk(key);
    out.array(count);
    take(txn, key, end, count, out)?;
    txn.rewrite(&[plain(end), key, itoa::Buffer::new().format(count).as_bytes()]);
    Ok(())
}

/// The name that replicas get.
fn plain(end: End) -> &'static [u8] {
    if end == End::Left { b"LPOP" } else { b"RPOP" }
}

/// The first of `keys` that is there, and its length.
///
/// # Errors
/// It holds something else.
fn first_there<'a>(txn: &Txn<'_>, keys: &[&'a [u8]]) -> Result<Option<(&'a [u8], usize)>, CommandError> {
    for key in keys {
        if let Some(list) = txn.typed::<List>(key)? {
            return Ok(Some((key, list.len())));
        }
    }
    Ok(None)
}
