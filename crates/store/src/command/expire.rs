//! When keys die.

use crate::args::{Args, in_text, is_word};
use crate::command::{Keys, commands};
use crate::entry::EntryRef;
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::number;
use crate::reply::Reply;
use crate::txn::Txn;
use crate::view::View;

commands! { Generic;
    /// Sets the expiration time of a key in seconds.
    write "expire" -3 [FAST] Keys::one(1), since "1.0.0", cost "O(1)" => expire;
    /// Sets the expiration time of a key to a Unix timestamp.
    write "expireat" -3 [FAST] Keys::one(1), since "1.2.0", cost "O(1)" => expireat;
    /// Returns the expiration time of a key as a Unix timestamp.
    read "expiretime" 2 [FAST] Keys::one(1), since "7.0.0", cost "O(1)" => expiretime;
    /// Removes the expiration time of a key.
    write "persist" 2 [FAST] Keys::one(1), since "2.2.0", cost "O(1)" => persist;
    /// Sets the expiration time of a key in milliseconds.
    write "pexpire" -3 [FAST] Keys::one(1), since "2.6.0", cost "O(1)" => pexpire;
    /// Sets the expiration time of a key to a Unix milliseconds timestamp.
    write "pexpireat" -3 [FAST] Keys::one(1), since "2.6.0", cost "O(1)" => pexpireat;
    /// Returns the expiration time of a key as a Unix milliseconds timestamp.
    read "pexpiretime" 2 [FAST] Keys::one(1), since "7.0.0", cost "O(1)" => pexpiretime;
    /// Returns the expiration time in milliseconds of a key.
    read "pttl" 2 [FAST] Keys::one(1), since "2.6.0", cost "O(1)" => pttl;
    /// Returns the expiration time in seconds of a key.
    read "ttl" 2 [FAST] Keys::one(1), since "1.0.0", cost "O(1)" => ttl;
}

/// How a time is given; the number is the unit in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// From now on.
    In(i64),
    /// Since 1970.
    At(i64),
}

fn invalid(command: &'static str) -> CommandError {
    CommandError::Err(format!("invalid expire time in '{command}' command").into())
}

/// A time argument of SET and its like as Unix milliseconds; must be positive.
pub(crate) fn deadline(
    text: &[u8],
    unit: Unit,
    now: i64,
    command: &'static str,
) -> Result<i64, CommandError> {
    let n = number::parse_i64(text).ok_or(CommandError::NotAnInteger)?;
    if n <= 0 {
        return Err(invalid(command));
    }
    absolute(n, unit, now).filter(|at| *at > 0).ok_or_else(|| invalid(command))
}

fn absolute(n: i64, unit: Unit, now: i64) -> Option<i64> {
    match unit {
        Unit::In(ms) => n.checked_mul(ms)?.checked_add(now),
        Unit::At(ms) => n.checked_mul(ms),
    }
}

fn expire(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    set(txn, args, Unit::In(1000), "expire", out)
}

fn pexpire(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    set(txn, args, Unit::In(1), "pexpire", out)
}

fn expireat(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    set(txn, args, Unit::At(1000), "expireat", out)
}

fn pexpireat(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    set(txn, args, Unit::At(1), "pexpireat", out)
}

/// The conditions of EXPIRE.
#[derive(Default)]
struct Only {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Only {
    fn parse(args: Args<'_>, from: usize) -> Result<Self, CommandError> {
        let mut only = Self::default();
        for word in args.from(from) {
            match () {
                () if is_word(word, "nx") => only.nx = true,
                () if is_word(word, "xx") => only.xx = true,
                () if is_word(word, "gt") => only.gt = true,
                () if is_word(word, "lt") => only.lt = true,
                () => {
                    return Err(CommandError::Err(format!("Unsupported option {}", in_text(word)).into()));
                }
            }
        }
        if only.nx && (only.xx || only.gt || only.lt) {
            return Err(CommandError::err("NX and XX, GT or LT options at the same time are not compatible"));
        }
        if only.gt && only.lt {
            return Err(CommandError::err("GT and LT options at the same time are not compatible"));
        }
        Ok(only)
    }

    /// No expiry counts as one that lies in infinity.
    fn allows(&self, old: Option<i64>, new: i64) -> bool {
        !(self.nx && old.is_some()
            || self.xx && old.is_none()
            || self.gt && old.is_none_or(|old| new <= old)
            || self.lt && old.is_some_and(|old| new >= old))
    }
}

fn set(
    txn: &mut Txn<'_>,
    args: Args<'_>,
    unit: Unit,
    command: &'static str,
    out: &mut dyn Reply,
) -> CommandResult {
    let key = args.at(1);
    let only = Only::parse(args, 3)?;
    let n = args.int(2)?;
    let at = absolute(n, unit, txn.now()).ok_or_else(|| invalid(command))?;
    if !txn.entry(key).is_some_and(|entry| only.allows(entry.expire(), at)) {
        out.integer(0);
        return Ok(());
    }
    if txn.is_too_late(at) {
        txn.remove(key);
        txn.changed(Class::Generic, "del", key);
        txn.rewrite_to_drop(key);
    } else {
        txn.set_expire(key, Some(at));
        txn.changed(Class::Generic, "expire", key);
        if txn.has_replicas() {
            let text = itoa::Buffer::new().format(at).to_owned();
            let mut parts: Vec<&[u8]> = vec![b"PEXPIREAT", key, text.as_bytes()];
            parts.extend(args.from(3));
            txn.rewrite(&parts);
        }
    }
    out.integer(1);
    Ok(())
}

fn persist(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    let had = txn.entry(key).and_then(EntryRef::expire).is_some();
    if had {
        txn.set_expire(key, None);
        txn.changed(Class::Generic, "persist", key);
    }
    out.integer(had.into());
    Ok(())
}

/// -2: no key; -1: no expiry; else what `f` makes of the deadline.
fn tell(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply, f: impl Fn(i64) -> i64) -> CommandResult {
    out.integer(match view.peek(args.at(1)).map(EntryRef::expire) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => f(at),
    });
    Ok(())
}

fn ttl(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    tell(view, args, out, |at| (at.saturating_sub(view.now()).max(0) + 500) / 1000)
}

fn pttl(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    tell(view, args, out, |at| at.saturating_sub(view.now()).max(0))
}

fn expiretime(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    tell(view, args, out, |at| at / 1000 + i64::from(at % 1000 >= 500))
}

fn pexpiretime(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    tell(view, args, out, |at| at)
}
