//! XDEL, XDELEX and XACKDEL.

use super::id;
use super::trim::references;
use crate::args::Args;
use crate::command::options::within;
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::reply::Reply;
use crate::txn::Txn;
use crate::value::Stream;
use crate::value::stream::{References, StreamId};

pub(super) fn xdel(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    txn.reap(key);
    if txn.typed::<Stream>(key)?.is_none() {
        out.integer(0);
        return Ok(());
    }
    let ids: Vec<StreamId> = args.from(2).iter().map(|text| id::strict(text, 0)).collect::<Result<_, _>>()?;
    let mut gone = 0;
    if let Some(mut stream) = txn.typed_mut::<Stream>(key)? {
        gone = ids.into_iter().filter(|id| stream.log.delete(*id)).count();
    }
    if gone > 0 {
        txn.changed(Class::Stream, "xdel", key);
    }
    out.count(gone);
    Ok(())
}

/// `[KEEPREF | DELREF | ACKED] IDS n id ...` from `at` on, in any order; of several IDS the last counts.
fn options<'a>(args: Args<'a>, mut at: usize) -> Result<(References, &'a [&'a [u8]]), CommandError> {
    let (mut what, mut ids): (Option<References>, &[&[u8]]) = (None, &[]);
    while let Some(word) = args.get(at) {
        if let Some(references) = references(word).filter(|_| what.is_none()) {
            what = Some(references);
            at += 1;
        } else if args.is(at, "ids") && at + 1 < args.len() {
            let n = within(args.at(at + 1), 1, i64::MAX, "Number of IDs must be a positive integer")?;
            let n = usize::try_from(n).unwrap_or(usize::MAX);
            ids = args
                .from(at + 2)
                .get(..n)
                .ok_or(CommandError::err("The `numids` parameter must match the number of arguments"))?;
            at += 2 + n;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    if ids.is_empty() { Err(CommandError::Syntax) } else { Ok((what.unwrap_or_default(), ids)) }
}

/// The answer for an entry that is not there.
const ABSENT: i64 = -1;
/// That it is gone now.
const GONE: i64 = 1;
/// That it stays since groups refer to it.
const STAYS: i64 = 2;

fn answer(out: &mut dyn Reply, answers: &[i64]) {
    out.array(answers.len());
    answers.iter().for_each(|answer| out.integer(*answer));
}

pub(super) fn xdelex(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    txn.reap(key);
    let is_there = txn.typed::<Stream>(key)?.is_some();
    let (what, texts) = options(args, 2)?;
    if !is_there {
        answer(out, &vec![ABSENT; texts.len()]);
        return Ok(());
    }
    let ids: Vec<StreamId> = texts.iter().map(|text| id::strict(text, 0)).collect::<Result<_, _>>()?;
    let (mut answers, mut changed) = (Vec::with_capacity(ids.len()), false);
    if let Some(mut stream) = txn.typed_mut::<Stream>(key)? {
        for id in ids {
            answers.push(if what == References::Acknowledged && stream.is_referenced(id) {
                STAYS
            } else {
                // What groups hold of an entry that is gone already goes as well.
                let forgotten = what == References::Delete && stream.forget(id);
                let gone = stream.log.delete(id);
                changed |= gone || forgotten;
                if gone { GONE } else { ABSENT }
            });
        }
    }
    if changed {
        txn.changed(Class::Stream, "xdel", key);
    }
    answer(out, &answers);
    Ok(())
}

pub(super) fn xackdel(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, name) = (args.at(1), args.at(2));
    txn.reap(key);
    let is_there = txn.typed::<Stream>(key)?.is_some_and(|stream| stream.groups.get(name).is_some());
    let (what, texts) = options(args, 3)?;
    if !is_there {
        answer(out, &vec![ABSENT; texts.len()]);
        return Ok(());
    }
    let ids: Vec<StreamId> = texts.iter().map(|text| id::strict(text, 0)).collect::<Result<_, _>>()?;
    let (mut answers, mut acknowledged, mut deleted) = (Vec::with_capacity(ids.len()), false, false);
    if let Some(mut stream) = txn.typed_mut::<Stream>(key)? {
        for id in ids {
            if !stream.groups.edit(name, |group| group.acknowledge(id)).unwrap_or(false) {
                answers.push(ABSENT);
                continue;
            }
            acknowledged = true;
            if what == References::Acknowledged && stream.is_referenced(id) {
                answers.push(STAYS);
                continue;
            }
            if what == References::Delete {
                stream.forget(id);
            }
            deleted |= stream.log.delete(id);
            answers.push(GONE);
        }
    }
    if deleted {
        txn.changed(Class::Stream, "xdel", key);
    } else if acknowledged {
        txn.changed_quietly();
    }
    answer(out, &answers);
    Ok(())
}
