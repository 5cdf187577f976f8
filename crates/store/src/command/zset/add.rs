//! ZADD, ZINCRBY, ZREM.

use crate::args::{Args, is_word};
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::reply::{Null, Reply};
use crate::txn::Txn;
use crate::value::Zset;
use crate::view::View;

/// What may happen to members.
#[derive(Debug, Clone, Copy, Default)]
struct Rules {
    /// Only new ones.
    nx: bool,
    /// Only those that are there.
    xx: bool,
    /// Only to a higher score.
    gt: bool,
    /// Only to a lower score.
    lt: bool,
    /// The reply counts changed ones too.
    ch: bool,
    /// The score is an increment.
    incr: bool,
}

/// What happened to a member.
enum Outcome {
    Kept,
    Nothing(f64),
    Updated(f64),
    Added(f64),
}

pub(in crate::command) fn zadd(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let mut rules = Rules::default();
    let mut first = 2;
    while let Some(word) = args.get(first) {
        match word {
            w if is_word(w, "nx") => rules.nx = true,
            w if is_word(w, "xx") => rules.xx = true,
            w if is_word(w, "ch") => rules.ch = true,
            w if is_word(w, "incr") => rules.incr = true,
            w if is_word(w, "gt") => rules.gt = true,
            w if is_word(w, "lt") => rules.lt = true,
            _ => break,
        }
        first += 1;
    }
    let pairs = args.from(first);
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    if rules.nx && rules.xx {
        return Err(CommandError::err("XX and NX options at the same time are not compatible"));
    }
    if (rules.gt || rules.lt) && rules.nx || (rules.gt && rules.lt) {
        return Err(CommandError::err("GT, LT, and/or NX options at the same time are not compatible"));
    }
    if rules.incr && pairs.len() > 2 {
        return Err(CommandError::err("INCR option supports a single increment-element pair"));
    }
    add(txn, args, first, rules, out)
}

pub(super) fn zincrby(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    add(txn, args, 2, Rules { incr: true, ..Rules::default() }, out)
}

/// Whether so many pairs, or members as long, make the set a large one before any is added: some servers guess.
fn guessed_large(view: &View<'_>, pairs: &[&[u8]]) -> bool {
    let (guess, limits) = (view.differences(), view.limits());
    let is_above = |n: usize, most: i64| i64::try_from(n).is_ok_and(|n| n > most);
    guess.guesses_by_number && is_above(pairs.len() / 2, limits.zset_entries())
        || guess.zadd_guesses_by_length
            && pairs.iter().skip(1).step_by(2).any(|member| is_above(member.len(), limits.zset_value()))
}

/// Adds the pairs of score and member from the argument `first` on.
fn add(txn: &mut Txn<'_>, args: Args<'_>, first: usize, rules: Rules, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    let pairs = args.from(first).chunks_exact(2);
    for i in 0..pairs.len() {
        txn.float(args.at(first + 2 * i))?;
    }
    if rules.xx && txn.typed::<Zset>(key)?.is_none() {
        if rules.incr {
            out.null(Null::Bulk);
        } else {
            out.integer(0);
        }
        return Ok(());
    }
    let limits = txn.limits();
    let is_large = guessed_large(txn, args.from(first));
    let mut set = txn.typed_or_new::<Zset>(key)?;
    if is_large {
        set.unpack();
    }
    let (mut added, mut updated, mut score) = (0, 0, None);
    for (i, pair) in pairs.enumerate() {
        let outcome = one(&set, pair[1], args.float(first + 2 * i)?, rules)?;
        match outcome {
            Outcome::Kept => {}
            Outcome::Nothing(s) => score = Some(s),
            Outcome::Updated(s) | Outcome::Added(s) => {
                score = Some(s);
                if set.insert(pair[1], s, limits) {
                    added += 1;
                } else {
                    updated += 1;
                }
            }
        }
    }
    drop(set);
    if added + updated > 0 {
        txn.changed(Class::Zset, if rules.incr { "zincr" } else { "zadd" }, key);
    }
    match (rules.incr, score) {
        (true, Some(score)) => out.double(score),
        (true, None) => out.null(Null::Bulk),
        (false, _) => out.integer(if rules.ch { added + updated } else { added }),
    }
    Ok(())
}

/// What the rules make of one pair. Only an increment can fail, and then it is the only pair.
fn one(set: &Zset, member: &[u8], score: f64, rules: Rules) -> Result<Outcome, CommandError> {
    let Some(before) = set.score(member) else {
        return Ok(if rules.xx { Outcome::Kept } else { Outcome::Added(score) });
    };
    if rules.nx {
        return Ok(Outcome::Kept);
    }
    let after = if rules.incr { before + score } else { score };
    if after.is_nan() {
        return Err(CommandError::err("resulting score is not a number (NaN)"));
    }
    if (rules.lt && after >= before) || (rules.gt && after <= before) {
        return Ok(Outcome::Kept);
    }
    Ok(if after == before { Outcome::Nothing(after) } else { Outcome::Updated(after) })
}

pub(super) fn zrem(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    let Some(mut set) = txn.typed_mut::<Zset>(key)? else {
        out.integer(0);
        return Ok(());
    };
    let removed = args.from(2).iter().filter(|member| set.remove(member).is_some()).count();
    let vanishes = set.will_vanish();
    drop(set);
    removed_some(txn, key, "zrem", removed, vanishes);
    out.count(removed);
    Ok(())
}

/// Tells of a removal, and that the key went with its last member.
pub(super) fn removed_some(
    txn: &mut Txn<'_>,
    key: &[u8],
    event: &'static str,
    removed: usize,
    vanished: bool,
) {
    if removed > 0 {
        txn.changed(Class::Zset, event, key);
        if vanished {
            txn.notify(Class::Generic, "del", key);
        }
    }
}
