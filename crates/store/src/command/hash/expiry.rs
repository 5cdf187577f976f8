//! When fields die: HEXPIRE, HPERSIST, HTTL and their kin.

use super::grammar::{Expire, Mismatch, has_passed, is_valkey, named};
use super::tell::{gone, reap, rewrite};
use crate::args::Args;
use crate::command::expire::Unit;
use crate::compat::Fields;
use crate::error::CommandResult;
use crate::event::Class;
use crate::reply::Reply;
use crate::txn::Txn;
use crate::value::Hash;
use crate::view::View;

pub(super) fn hexpire(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    set(txn, args, Unit::In(1000), "hexpire", out)
}

pub(super) fn hpexpire(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    set(txn, args, Unit::In(1), "hpexpire", out)
}

pub(super) fn hexpireat(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    set(txn, args, Unit::At(1000), "hexpireat", out)
}

pub(super) fn hpexpireat(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    set(txn, args, Unit::At(1), "hpexpireat", out)
}

/// The time by which commands on deadlines hide fields: Redis still finds those that have expired and were not yet
/// removed, and gives them a new life.
fn finding_time(txn: &mut Txn<'_>, key: &[u8], fields: &[&[u8]]) -> i64 {
    if is_valkey(txn) {
        reap(txn, key, fields.iter());
        txn.field_time()
    } else {
        i64::MIN
    }
}

/// Answers for each field: -2 no such field, 0 the condition forbids it, 1 set, 2 gone since the time has passed.
fn set(txn: &mut Txn<'_>, args: Args<'_>, unit: Unit, command: &str, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    txn.reap(key);
    let Expire { at, only, told, fields } = Expire::parse(txn, args, unit, command)?;
    let time = finding_time(txn, key, fields);
    let passed = has_passed(txn, at);
    let (mut answers, mut done): (Vec<i64>, Vec<&[u8]>) = (Vec::new(), Vec::new());
    let (mut vanishes, redis) = (false, txn.differences().fields != Fields::Valkey);
    match txn.typed_mut::<Hash>(key)? {
        None => answers.resize(fields.len(), -2),
        Some(mut hash) => {
            if redis {
                hash.expect_deadlines();
            }
            for field in fields {
                let answer = match hash.get(field, time).map(|found| found.expire_ms) {
                    None => -2,
                    Some(old) if !only.allows(old, at) => 0,
                    Some(_) if passed => {
                        hash.remove(field);
                        2
                    }
                    Some(_) => {
                        hash.set_expire(field, Some(at));
                        1
                    }
                };
                if answer > 0 {
                    done.push(field);
                }
                answers.push(answer);
            }
            vanishes = hash.will_vanish();
        }
    }
    if !done.is_empty() && passed {
        gone(txn, key, &done, vanishes);
    } else if !done.is_empty() {
        txn.changed(Class::Hash, "hexpire", key);
        let fields = if txn.differences().fields == Fields::Valkey { fields } else { &done };
        rewrite(txn, b"HPEXPIREAT", key, Some(at), told, fields);
    }
    answer(out, &answers);
    Ok(())
}

fn answer(out: &mut dyn Reply, answers: &[i64]) {
    out.array(answers.len());
    answers.iter().for_each(|answer| out.integer(*answer));
}

pub(super) fn hpersist(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    txn.reap(key);
    let fields = named(txn, args, Mismatch::Told)?;
    let time = finding_time(txn, key, fields);
    let mut answers = vec![-2; fields.len()];
    if let Some(mut hash) = txn.typed_mut::<Hash>(key)? {
        for (field, answer) in fields.iter().zip(&mut answers) {
            *answer = match hash.get(field, time).map(|found| found.expire_ms) {
                None => -2,
                Some(None) => -1,
                Some(Some(_)) => {
                    hash.set_expire(field, None);
                    1
                }
            };
        }
    }
    if answers.contains(&1) {
        txn.changed(Class::Hash, "hpersist", key);
    }
    answer(out, &answers);
    Ok(())
}

/// For each field: -2 no such field, -1 no deadline, else what `f` makes of it.
fn look(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply, f: impl Fn(i64) -> i64) -> CommandResult {
    let fields = named(view, args, Mismatch::Syntax)?;
    let hash = view.typed::<Hash>(args.at(1))?;
    out.array(fields.len());
    for field in fields {
        let found = hash.and_then(|hash| hash.get(field, view.field_time()));
        out.integer(found.map_or(-2, |found| found.expire_ms.map_or(-1, &f)));
    }
    Ok(())
}

/// Whole seconds: Redis rounds up, Valkey to the nearest.
fn seconds(view: &View<'_>, ms: i64) -> i64 {
    let more = if view.differences().fields == Fields::Valkey { 500 } else { 999 };
    ms.saturating_add(more) / 1000
}

pub(super) fn httl(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    look(view, args, out, |at| seconds(view, at.saturating_sub(view.now())))
}

pub(super) fn hpttl(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    look(view, args, out, |at| at.saturating_sub(view.now()))
}

pub(super) fn hexpiretime(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    look(view, args, out, |at| seconds(view, at))
}

pub(super) fn hpexpiretime(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    look(view, args, out, |at| at)
}
