//! When fields die: the commands of Redis 7.4, answered as 8.2 does.

use crate::args::{Args, is_word};
use crate::command::expire::Unit;
use crate::command::options::within;
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::number;
use crate::reply::Reply;
use crate::txn::Txn;
use crate::value::Hash;
use crate::view::{View, Viewer};

/// The latest deadline that Redis takes from a client: 46 bits. A primary's stream may hold later ones (Valkey).
const LATEST: i64 = (1 << 46) - 1;

/// What stands behind `FIELDS numfields` at `at`.
pub(super) fn named<'a>(
    args: Args<'a>,
    at: usize,
    not_a_number: &'static str,
) -> Result<&'a [&'a [u8]], CommandError> {
    if !args.is(at, "fields") {
        return Err(CommandError::err("Mandatory argument FIELDS is missing or not at the right position"));
    }
    let n = within(args.at(at + 1), 1, i64::MAX, not_a_number)?;
    let fields = args.from(at + 2);
    if fields.len() as i64 != n {
        return Err(CommandError::err("The `numfields` parameter must match the number of arguments"));
    }
    Ok(fields)
}

pub(super) const NOT_A_NUMBER: &str = "Number of fields must be a positive integer";

/// A time argument as Unix milliseconds. 0 is allowed: it has passed.
pub(super) fn deadline(txn: &Txn<'_>, text: &[u8], unit: Unit, command: &str) -> Result<i64, CommandError> {
    let n = number::parse_i64(text).ok_or(CommandError::NotAnInteger)?;
    if n < 0 {
        return Err(CommandError::err("invalid expire time, must be >= 0"));
    }
    let at = match unit {
        Unit::In(ms) => n.checked_mul(ms).and_then(|n| n.checked_add(txn.now())),
        Unit::At(ms) => n.checked_mul(ms),
    };
    at.filter(|at| *at <= LATEST || txn.viewer() == Viewer::Stream)
        .ok_or_else(|| CommandError::Err(format!("invalid expire time in '{command}' command").into()))
}

/// Whether a deadline has passed already, so that the field goes at once. The primary says so itself (HDEL).
pub(super) fn has_passed(txn: &Txn<'_>, at: i64) -> bool {
    txn.is_past(Some(at))
}

/// The conditions of HEXPIRE.
#[derive(Clone, Copy)]
enum Only {
    Always,
    Without,
    With,
    Later,
    Sooner,
}

impl Only {
    fn parse(word: &[u8]) -> Option<Self> {
        let words = [("nx", Self::Without), ("xx", Self::With), ("gt", Self::Later), ("lt", Self::Sooner)];
        words.into_iter().find_map(|(name, only)| is_word(word, name).then_some(only))
    }

    /// No deadline lies in infinity.
    fn allows(self, old: Option<i64>, new: i64) -> bool {
        match self {
            Self::Always => true,
            Self::Without => old.is_none(),
            Self::With => old.is_some(),
            Self::Later => old.is_some_and(|old| new > old),
            Self::Sooner => old.is_none_or(|old| new < old),
        }
    }
}

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

/// Answers for each field: -2 no such field, 0 the condition forbids it, 1 set, 2 gone since the time has passed.
fn set(txn: &mut Txn<'_>, args: Args<'_>, unit: Unit, command: &str, out: &mut dyn Reply) -> CommandResult {
    let (key, time) = (args.at(1), txn.field_time());
    txn.reap(key);
    txn.typed::<Hash>(key)?;
    let at = deadline(txn, args.at(2), unit, command)?;
    let only = Only::parse(args.at(3));
    let fields =
        named(args, 3 + usize::from(only.is_some()), "Parameter `numFields` should be greater than 0")?;
    let passed = has_passed(txn, at);
    let (mut answers, mut done): (Vec<i64>, Vec<&[u8]>) = (Vec::new(), Vec::new());
    let mut vanishes = false;
    match txn.typed_mut::<Hash>(key)? {
        None => answers.resize(fields.len(), -2),
        Some(mut hash) => {
            for field in fields {
                let answer = match hash.get(field, time).map(|found| found.expire_ms) {
                    None => -2,
                    Some(old) if !only.unwrap_or(Only::Always).allows(old, at) => 0,
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
        let condition = only.map(|_| args.at(3));
        rewrite(txn, b"HPEXPIREAT", key, Some(at), condition, &done);
    }
    tell(out, &answers);
    Ok(())
}

fn tell(out: &mut dyn Reply, answers: &[i64]) {
    out.array(answers.len());
    answers.iter().for_each(|answer| out.integer(*answer));
}

/// Tells of fields that are gone: replicas by HDEL, which needs no clock.
pub(super) fn gone(txn: &mut Txn<'_>, key: &[u8], fields: &[&[u8]], vanishes: bool) {
    txn.changed(Class::Hash, "hdel", key);
    if vanishes {
        txn.notify(Class::Generic, "del", key);
    }
    let mut parts: Vec<&[u8]> = vec![b"HDEL", key];
    parts.extend(fields);
    txn.rewrite(&parts);
}

/// `name key [deadline] [condition] FIELDS n field ...` for replicas.
pub(super) fn rewrite(
    txn: &mut Txn<'_>,
    name: &[u8],
    key: &[u8],
    at: Option<i64>,
    condition: Option<&[u8]>,
    fields: &[&[u8]],
) {
    let (mut at_text, mut count) = (itoa::Buffer::new(), itoa::Buffer::new());
    let mut parts: Vec<&[u8]> = vec![name, key];
    parts.extend(at.map(|at| at_text.format(at).as_bytes()));
    parts.extend(condition);
    parts.extend([b"FIELDS", count.format(fields.len()).as_bytes()]);
    parts.extend(fields);
    txn.rewrite(&parts);
}

pub(super) fn hpersist(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (key, time) = (args.at(1), txn.field_time());
    txn.reap(key);
    txn.typed::<Hash>(key)?;
    let fields = named(args, 2, NOT_A_NUMBER)?;
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
    tell(out, &answers);
    Ok(())
}

/// For each field: -2 no such field, -1 no deadline, else what `f` makes of it.
fn look(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply, f: impl Fn(i64) -> i64) -> CommandResult {
    let hash = view.typed::<Hash>(args.at(1))?;
    let fields = named(args, 2, NOT_A_NUMBER)?;
    out.array(fields.len());
    for field in fields {
        let found = hash.and_then(|hash| hash.get(field, view.field_time()));
        out.integer(found.map_or(-2, |found| found.expire_ms.map_or(-1, &f)));
    }
    Ok(())
}

pub(super) fn httl(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    look(view, args, out, |at| at.saturating_sub(view.now()).saturating_add(999) / 1000)
}

pub(super) fn hpttl(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    look(view, args, out, |at| at.saturating_sub(view.now()))
}

pub(super) fn hexpiretime(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    look(view, args, out, |at| at.saturating_add(999) / 1000)
}

pub(super) fn hpexpiretime(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    look(view, args, out, |at| at)
}
