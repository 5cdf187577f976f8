//! BITFIELD: integers of 1 to 64 bits at any bit of a string.

use super::{failed, offset};
use crate::args::{Args, is_word};
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::number;
use crate::reply::Reply;
use crate::txn::Txn;
use crate::view::View;

#[derive(Clone, Copy)]
struct Type {
    signed: bool,
    bits: u32,
}

#[derive(Clone, Copy)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy)]
enum Action {
    Get,
    Set(i64),
    Add(i64, Overflow),
}

struct Operation {
    kind: Type,
    at: u64,
    action: Action,
}

impl Type {
    fn parse(text: &[u8]) -> Result<Self, CommandError> {
        const BAD: CommandError = CommandError::err(
            "Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
        );
        let signed = match text.first() {
            Some(b'i') => true,
            Some(b'u') => false,
            _ => return Err(BAD),
        };
        let most = if signed { 64 } else { 63 };
        let bits = number::parse_i64(&text[1..]).filter(|n| (1..=most).contains(n)).ok_or(BAD)?;
        Ok(Self { signed, bits: bits as u32 })
    }

    fn bounds(self) -> (i128, i128) {
        if self.signed {
            (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1)
        } else {
            (0, (1 << self.bits) - 1)
        }
    }

    fn read(self, bytes: &[u8], at: u64) -> i64 {
        let mut raw = 0_u64;
        for i in at..at + u64::from(self.bits) {
            let byte = bytes.get((i / 8) as usize).copied().unwrap_or(0);
            raw = raw << 1 | u64::from(byte >> (7 - i % 8) & 1);
        }
        self.wrap(i128::from(raw))
    }

    fn write(self, bytes: &mut Vec<u8>, at: u64, value: i64) {
        let last = ((at + u64::from(self.bits) - 1) / 8) as usize;
        if bytes.len() <= last {
            bytes.resize(last + 1, 0);
        }
        for i in 0..u64::from(self.bits) {
            let (place, mask) = (((at + i) / 8) as usize, 0x80_u8 >> ((at + i) % 8));
            if value >> (u64::from(self.bits) - 1 - i) & 1 == 1 {
                bytes[place] |= mask;
            } else {
                bytes[place] &= !mask;
            }
        }
    }

    /// The low bits of `n`, as this type reads them.
    fn wrap(self, n: i128) -> i64 {
        let low = n & ((1_i128 << self.bits) - 1);
        let negative = self.signed && low >> (self.bits - 1) & 1 == 1;
        (if negative { low - (1_i128 << self.bits) } else { low }) as i64
    }

    /// As [`Self::fit`], for SET. The real server takes what lies too far below a signed type for too high, because
    /// its distance from the highest value overflows.
    fn fit_set(self, n: i128, overflow: Overflow) -> Option<i64> {
        let (_, high) = self.bounds();
        match overflow {
            Overflow::Saturate if self.signed && self.bits < 64 && high - n > i128::from(i64::MAX) => {
                Some(high as i64)
            }
            overflow => self.fit(n, overflow),
        }
    }

    /// `n` in this type; `None` where an overflow is to fail.
    fn fit(self, n: i128, overflow: Overflow) -> Option<i64> {
        let (low, high) = self.bounds();
        if (low..=high).contains(&n) {
            return Some(n as i64);
        }
        match overflow {
            Overflow::Wrap => Some(self.wrap(n)),
            Overflow::Saturate => Some(n.clamp(low, high) as i64),
            Overflow::Fail => None,
        }
    }
}

fn parse(view: &View<'_>, args: Args<'_>) -> Result<Vec<(Operation, Overflow)>, CommandError> {
    let (mut found, mut overflow, mut i) = (Vec::new(), Overflow::Wrap, 2);
    while let Some(word) = args.get(i) {
        let left = args.len() - i - 1;
        let wants = if is_word(word, "get") && left >= 2 {
            2
        } else if (is_word(word, "set") || is_word(word, "incrby")) && left >= 3 {
            3
        } else if is_word(word, "overflow") && left >= 1 {
            overflow = match args.at(i + 1) {
                w if is_word(w, "wrap") => Overflow::Wrap,
                w if is_word(w, "sat") => Overflow::Saturate,
                w if is_word(w, "fail") => Overflow::Fail,
                _ => return Err(CommandError::err("Invalid OVERFLOW type specified")),
            };
            i += 2;
            continue;
        } else {
            return Err(CommandError::Syntax);
        };
        let kind = Type::parse(args.at(i + 1))?;
        let at = offset(view, args.at(i + 2), Some(kind.bits))?;
        let action = match wants {
            2 => Action::Get,
            _ if is_word(word, "set") => Action::Set(args.int(i + 3)?),
            _ => Action::Add(args.int(i + 3)?, overflow),
        };
        found.push((Operation { kind, at, action }, overflow));
        i += wants + 1;
    }
    Ok(found)
}

pub(super) fn bitfield_ro(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let operations = parse(view, args)?;
    if operations.iter().any(|(op, _)| !matches!(op.action, Action::Get)) {
        return Err(CommandError::err("BITFIELD_RO only supports the GET subcommand"));
    }
    let bytes = view.string(args.at(1))?.unwrap_or_default();
    out.array(operations.len());
    for (op, _) in operations {
        out.integer(op.kind.read(bytes, op.at));
    }
    Ok(())
}

pub(super) fn bitfield(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let key = args.at(1);
    let operations = parse(txn, args)?;
    if operations.iter().all(|(op, _)| matches!(op.action, Action::Get)) {
        return read_all(txn, key, &operations, out);
    }
    txn.string(key)?;
    out.array(operations.len());
    let mut bytes = txn.string_mut(key)?;
    // The string grows to the furthest write, even if that then fails, as in the real server.
    let writes = operations.iter().filter(|(op, _)| !matches!(op.action, Action::Get));
    let furthest = writes.map(|(op, _)| op.at + u64::from(op.kind.bits) - 1).max().unwrap_or(0);
    let needed = (furthest / 8) as usize + 1;
    let grown = bytes.len() < needed;
    if grown {
        bytes.resize(needed, 0);
    }
    let mut changed = false;
    for (Operation { kind, at, action }, overflow) in operations {
        let old = kind.read(&bytes, at);
        let (new, answer) = match action {
            Action::Get => (None, Some(old)),
            Action::Set(n) => {
                let n = if kind.signed { i128::from(n) } else { i128::from(n as u64) };
                let new = kind.fit_set(n, overflow);
                (new, new.map(|_| old))
            }
            Action::Add(n, overflow) => {
                let new = kind.fit(i128::from(old) + i128::from(n), overflow);
                (new, new)
            }
        };
        if let Some(new) = new {
            kind.write(&mut bytes, at, new);
            changed |= grown || new != old;
        }
        match answer {
            Some(n) => out.integer(n),
            None => failed(out),
        }
    }
    drop(bytes);
    if changed {
        txn.changed(Class::String, "setbit", key);
    } else if grown {
        // The real server tells nobody, and its replicas lack the zeros; ours get them.
        txn.changed_quietly();
    }
    Ok(())
}

fn read_all(
    view: &View<'_>,
    key: &[u8],
    operations: &[(Operation, Overflow)],
    out: &mut dyn Reply,
) -> CommandResult {
    let bytes = view.string(key)?.unwrap_or_default();
    out.array(operations.len());
    for (op, _) in operations {
        out.integer(op.kind.read(bytes, op.at));
    }
    Ok(())
}
