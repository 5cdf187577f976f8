//! ZPOPMIN, ZPOPMAX, ZMPOP, and their blocking forms as long as they need not wait.

use super::add::removed_some;
use crate::args::Args;
use crate::command::options::{check_timeout, positive};
use crate::error::{CommandError, CommandResult};
use crate::number;
use crate::reply::{Null, Reply};
use crate::txn::Txn;
use crate::value::Zset;

/// Which end is popped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Min,
    Max,
}

impl End {
    /// The event, which is the name of the plain command too.
    fn event(self) -> &'static str {
        if self == Self::Min { "zpopmin" } else { "zpopmax" }
    }

    /// The plain command's name, as replicas get it.
    fn command(self) -> &'static [u8] {
        if self == Self::Min { b"ZPOPMIN" } else { b"ZPOPMAX" }
    }
}

/// Pops up to `count` elements of the set at `key`, which is there.
fn take(txn: &mut Txn<'_>, key: &[u8], end: End, count: usize) -> Result<Vec<(Vec<u8>, f64)>, CommandError> {
    let Some(mut set) = txn.typed_mut::<Zset>(key)? else { return Ok(Vec::new()) };
    let len = set.len();
    let count = count.min(len);
    let ranks = if end == End::Min { 0..count } else { len - count..len };
    let elements = if end == End::Min { set.range(ranks.clone()) } else { set.range_down(ranks.clone()) };
    let popped = elements.map(|(member, score)| (member.to_vec(), score)).collect();
    let removed = set.remove_range(ranks);
    let vanishes = set.will_vanish();
    drop(set);
    removed_some(txn, key, end.event(), removed, vanishes);
    Ok(popped)
}

pub(super) fn zpopmin(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    pop(txn, args, out, End::Min)
}

pub(super) fn zpopmax(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    pop(txn, args, out, End::Max)
}

fn pop(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply, end: End) -> CommandResult {
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let mut count = 1;
    if let Some(text) = args.get(2) {
        count = positive(text)?;
    }
    let popped = take(txn, args.at(1), end, count)?;
    let nested = out.is_resp3() && args.len() == 3;
    out.array(if nested { popped.len() } else { popped.len() * 2 });
    for (member, score) in &popped {
        if nested {
            out.array(2);
        }
        out.bulk(member);
        out.double(*score);
    }
    Ok(())
}

/// The first of `keys` that is there.
///
/// # Errors
/// It holds something else.
fn first_there<'a>(txn: &mut Txn<'_>, keys: &[&'a [u8]]) -> Result<Option<&'a [u8]>, CommandError> {
    for key in keys {
        txn.reap(key);
        if txn.typed::<Zset>(key)?.is_some() {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

pub(super) fn zmpop(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let query = Query::parse(args, 1)?;
    query.run(txn, out)
}

pub(super) fn bzmpop(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let query = Query::parse(args, 2)?;
    check_timeout(txn, args.at(1))?;
    query.run(txn, out)
}

/// `numkeys key [key ...] MIN|MAX [COUNT count]`
#[derive(Debug)]
struct Query<'a> {
    keys: &'a [&'a [u8]],
    end: End,
    count: usize,
}

impl<'a> Query<'a> {
    fn parse(args: Args<'a>, number_at: usize) -> Result<Self, CommandError> {
        let positive =
            |at| number::parse_i64(args.at(at)).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
        let keys = positive(number_at).ok_or(CommandError::err("numkeys should be greater than 0"))?;
        let end_at = number_at.saturating_add(keys).saturating_add(1);
        let end = match end_at {
            at if args.is(at, "min") => End::Min,
            at if args.is(at, "max") => End::Max,
            _ => return Err(CommandError::Syntax),
        };
        let mut count = None;
        let mut at = end_at + 1;
        while at < args.len() {
            if count.is_some() || !args.is(at, "count") || at + 1 == args.len() {
                return Err(CommandError::Syntax);
            }
            count = Some(positive(at + 1).ok_or(CommandError::err("count should be greater than 0"))?);
            at += 2;
        }
        Ok(Self { keys: &args.from(number_at + 1)[..keys], end, count: count.unwrap_or(1) })
    }

    fn run(&self, txn: &mut Txn<'_>, out: &mut dyn Reply) -> CommandResult {
        let Some(key) = first_there(txn, self.keys)? else {
            out.null(Null::Array);
            return Ok(());
        };
        let popped = take(txn, key, self.end, self.count)?;
        if txn.has_replicas() {
            txn.rewrite(&[self.end.command(), key, itoa::Buffer::new().format(popped.len()).as_bytes()]);
        }
        out.array(2);
        out.bulk(key);
        out.array(popped.len());
        for (member, score) in &popped {
            out.array(2);
            out.bulk(member);
            out.double(*score);
        }
        Ok(())
    }
}

pub(super) fn bzpopmin(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    blocking_pop(txn, args, out, End::Min)
}

pub(super) fn bzpopmax(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    blocking_pop(txn, args, out, End::Max)
}

fn blocking_pop(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply, end: End) -> CommandResult {
    let last = args.len() - 1;
    check_timeout(txn, args.at(last))?;
    let Some(key) = first_there(txn, &args.all()[1..last])? else {
        out.null(Null::Array);
        return Ok(());
    };
    let popped = take(txn, key, end, 1)?;
    if txn.has_replicas() {
        txn.rewrite(&[end.command(), key]);
    }
    out.array(1 + popped.len() * 2);
    out.bulk(key);
    for (member, score) in &popped {
        out.bulk(member);
        out.double(*score);
    }
    Ok(())
}
