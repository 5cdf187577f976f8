//! Several sets: intersection, union, difference.

use rdb::encoding::Item;

use crate::args::Args;
use crate::command::options::{numkeys, within};
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::limits::Limits;
use crate::reply::{Aggregate, Reply};
use crate::txn::{Expiry, Txn};
use crate::value::{Set, Value};
use crate::view::{View, Viewer};

/// What is made of the sets.
#[derive(Clone, Copy)]
enum Operation {
    Intersection,
    Union,
    Difference,
}

/// The sets at `keys`; `None` where there is none. One of another kind refuses all.
fn sets<'a>(view: &'a View<'_>, keys: &[&[u8]]) -> Result<Vec<Option<&'a Set>>, CommandError> {
    keys.iter().map(|key| view.typed::<Set>(key)).collect()
}

/// Calls `f` with the members that all sets have until it answers false.
fn intersect<'a>(sets: &[Option<&'a Set>], mut f: impl FnMut(Item<'a>) -> bool) {
    let Some(mut sets) = sets.iter().copied().collect::<Option<Vec<&Set>>>() else { return };
    sets.sort_by_key(|set| set.len());
    let Some((smallest, others)) = sets.split_first() else { return };
    for member in smallest.iter() {
        if in_all(others, member) && !f(member) {
            return;
        }
    }
}

fn in_all(sets: &[&Set], member: Item<'_>) -> bool {
    let mut buf = [0; 20];
    let text = member.to_bytes(&mut buf);
    sets.iter().all(|set| set.contains(text))
}

fn combine(sets: &[Option<&Set>], operation: Operation, limits: &Limits) -> Set {
    let mut result = Set::default();
    let mut insert = |member: Item<'_>| result.insert(member.to_bytes(&mut [0; 20]), limits);
    match operation {
        Operation::Intersection => intersect(sets, |member| {
            insert(member);
            true
        }),
        Operation::Union => {
            for member in sets.iter().flatten().flat_map(|set| set.iter()) {
                insert(member);
            }
        }
        Operation::Difference => {
            if let Some((Some(first), others)) = sets.split_first() {
                for member in first.iter() {
                    let mut buf = [0; 20];
                    let text = member.to_bytes(&mut buf);
                    if !others.iter().flatten().any(|set| set.contains(text)) {
                        insert(member);
                    }
                }
            }
        }
    }
    result
}

fn tell(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply, operation: Operation) -> CommandResult {
    let sets = sets(view, args.from(1))?;
    let result = combine(&sets, operation, view.limits());
    out.aggregate(Aggregate::Set, result.len());
    for member in result.iter() {
        out.bulk(member.to_bytes(&mut [0; 20]));
    }
    Ok(())
}

pub(super) fn sinter(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    tell(view, args, out, Operation::Intersection)
}

pub(super) fn sunion(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    tell(view, args, out, Operation::Union)
}

pub(super) fn sdiff(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    tell(view, args, out, Operation::Difference)
}

pub(super) fn sintercard(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (n, rest) = numkeys(args, 1)?;
    let Some((keys, options)) = rest.split_at_checked(n) else {
        return Err(CommandError::err("Number of keys can't be greater than number of args"));
    };
    let mut limit = 0;
    for option in options.chunks(2) {
        match option {
            [word, n] if word.eq_ignore_ascii_case(b"limit") => {
                limit = within(n, 0, i64::MAX, "LIMIT can't be negative")?;
            }
            _ => return Err(CommandError::Syntax),
        }
    }
    let mut found = 0;
    intersect(&sets(view, keys)?, |_| {
        found += 1;
        found != limit
    });
    out.integer(found);
    Ok(())
}

fn store(
    txn: &mut Txn<'_>,
    args: Args<'_>,
    out: &mut dyn Reply,
    operation: Operation,
    event: &'static str,
) -> CommandResult {
    let (target, keys) = (args.at(1), args.from(2));
    // Before 7.0 a primary did not look beyond the first key that is not there: what is behind it may be no set.
    let known = match operation {
        Operation::Intersection if txn.viewer() == Viewer::Stream => {
            let missing = keys.iter().position(|key| !txn.exists(key));
            missing.map_or(keys, |at| &keys[..=at])
        }
        _ => keys,
    };
    let result = combine(&sets(txn, known)?, operation, txn.limits());
    let len = result.len();
    if len > 0 {
        txn.set_value(target, Value::Set(result), Expiry::Never)?;
        txn.changed(Class::Set, event, target);
    } else if txn.remove(target) {
        txn.changed(Class::Generic, "del", target);
    }
    out.count(len);
    Ok(())
}

pub(super) fn sinterstore(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    store(txn, args, out, Operation::Intersection, "sinterstore")
}

pub(super) fn sunionstore(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    store(txn, args, out, Operation::Union, "sunionstore")
}

pub(super) fn sdiffstore(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    store(txn, args, out, Operation::Difference, "sdiffstore")
}
