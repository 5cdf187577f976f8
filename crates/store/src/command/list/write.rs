//! Changing lists within.

use super::range;
use crate::args::Args;
use crate::command::options::BELOW_LEAST;
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::reply::Reply;
use crate::txn::Txn;
use crate::value::List;
use crate::value::list::End;
use crate::view::Viewer;

pub(super) fn lset(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, limits) = (args.at(1), txn.limits());
    let cut = txn.differences().lset_index_of_32_bits;
    let mut list = txn.typed_mut::<List>(key)?.ok_or(CommandError::NoSuchKey)?;
    let index = args.int(2)?;
    let index = if cut { i64::from(index as i32) } else { index };
    if !list.set(index, args.at(3), limits) {
        return Err(CommandError::IndexOutOfRange);
    }
    list.settle(limits);
    drop(list);
    txn.changed(Class::List, "lset", key);
    out.ok();
    Ok(())
}

pub(super) fn linsert(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, pivot, limits) = (args.at(1), args.at(3), txn.limits());
    let behind = args.is(2, "after");
    if !behind && !args.is(2, "before") {
        return Err(CommandError::Syntax);
    }
    let Some(mut list) = txn.typed_mut::<List>(key)? else {
        out.integer(0);
        return Ok(());
    };
    list.make_room(args.at(4), limits);
    let Some(place) = list.iter().position(|item| item.eq_bytes(pivot)) else {
        out.integer(-1);
        return Ok(());
    };
    list.insert(place, if behind { End::Right } else { End::Left }, args.at(4), limits);
    let len = list.len();
    drop(list);
    txn.changed(Class::List, "linsert", key);
    out.count(len);
    Ok(())
}

pub(super) fn lrem(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, limits) = (args.at(1), txn.limits());
    let count = args.int(2)?;
    if count < txn.differences().least_place && txn.viewer() == Viewer::Client {
        return Err(BELOW_LEAST);
    }
    let Some(mut list) = txn.typed_mut::<List>(key)? else {
        out.integer(0);
        return Ok(());
    };
    let most =
        if count == 0 { usize::MAX } else { usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX) };
    let removed = list.remove(args.at(3), if count < 0 { End::Right } else { End::Left }, most);
    if removed > 0 {
        list.settle(limits);
    }
    let vanishes = list.will_vanish();
    drop(list);
    if removed > 0 {
        txn.changed(Class::List, "lrem", key);
    }
    if vanishes {
        txn.notify(Class::Generic, "del", key);
    }
    out.count(removed);
    Ok(())
}

pub(super) fn ltrim(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, limits) = (args.at(1), txn.limits());
    let (start, end) = (args.int(2)?, args.int(3)?);
    let cut = match txn.typed_mut::<List>(key)? {
        None => None,
        Some(mut list) => {
            let len = list.len();
            let (first, count) = range(start, end, len);
            list.remove_range(first + count, len - first - count);
            list.remove_range(0, first);
            list.settle(limits);
            Some((len, count, list.will_vanish()))
        }
    };
    if let Some((len, count, vanishes)) = cut {
        // Told even if nothing was cut off, but then it is no change.
        if count < len {
            txn.changed(Class::List, "ltrim", key);
        } else {
            txn.notify(Class::List, "ltrim", key);
        }
        if vanishes {
            txn.notify(Class::Generic, "del", key);
        }
    }
    out.ok();
    Ok(())
}
