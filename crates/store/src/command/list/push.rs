//! Both ends of one list.

use super::{pop_event, push_event};
use crate::args::Args;
use crate::command::options::positive;
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::reply::{Null, Reply};
use crate::txn::Txn;
use crate::value::List;
use crate::value::list::End;

fn push(
    txn: &mut Txn<'_>,
    args: Args<'_>,
    out: &mut dyn Reply,
    end: End,
    only_if_there: bool,
) -> CommandResult {
    let (key, limits) = (args.at(1), txn.limits());
    if only_if_there && txn.typed::<List>(key)?.is_none() {
        out.integer(0);
        return Ok(());
    }
    let mut guard = txn.typed_or_new::<List>(key)?;
    let list = &mut *guard;
    for element in args.from(2) {
        list.push(end, element, limits);
    }
    let len = list.len();
    drop(guard);
    txn.changed(Class::List, push_event(end), key);
    out.count(len);
    Ok(())
}

pub(super) fn lpush(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    push(txn, args, out, End::Left, false)
}

pub(super) fn rpush(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    push(txn, args, out, End::Right, false)
}

pub(super) fn lpushx(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    push(txn, args, out, End::Left, true)
}

pub(super) fn rpushx(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    push(txn, args, out, End::Right, true)
}

pub(super) fn lpop(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    pop(txn, args, out, End::Left)
}

pub(super) fn rpop(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    pop(txn, args, out, End::Right)
}

fn pop(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply, end: End) -> CommandResult {
    let key = args.at(1);
    if args.len() > 3 {
        return Err(CommandError::Arity(pop_event(end).into()));
    }
    let count = args.get(2).map(positive).transpose()?;
    let Some(list) = txn.typed::<List>(key)? else {
        out.null(if count.is_some() { Null::Array } else { Null::Bulk });
        return Ok(());
    };
    let len = list.len();
    if let Some(count) = count {
        out.array(count.min(len));
    }
    take(txn, key, end, count.unwrap_or(1), out)
}

/// Pops up to `count` elements of a list that is there, and answers each.
pub(super) fn take(
    txn: &mut Txn<'_>,
    key: &[u8],
    end: End,
    count: usize,
    out: &mut dyn Reply,
) -> CommandResult {
    let limits = txn.limits();
    let Some(mut guard) = txn.typed_mut::<List>(key)? else { return Ok(()) };
    let list = &mut *guard;
    let mut taken = 0;
    while taken < count && list.pop(end, |item| out.bulk(item.to_bytes(&mut [0; 20]))).is_some() {
        taken += 1;
    }
    list.settle(limits);
    let vanishes = guard.will_vanish();
    drop(guard);
    if taken > 0 {
        popped(txn, key, end, vanishes);
    }
    Ok(())
}

/// Tells of a pop.
pub(super) fn popped(txn: &mut Txn<'_>, key: &[u8], end: End, vanishes: bool) {
    txn.changed(Class::List, pop_event(end), key);
    if vanishes {
        txn.notify(Class::Generic, "del", key);
    }
}
