//! Strings as arrays of bits; bit 0 is the highest of the first byte.

use std::sync::Arc;

use crate::args::{Args, is_word};
use crate::command::{Keys, commands};
use crate::error::{CommandError, CommandResult};
use crate::event::Class;
use crate::number;
use crate::reply::{Null, Reply};
use crate::txn::{Expiry, Txn};
use crate::value::Value;
use crate::view::{View, Viewer};

mod field;

commands! { Bitmap;
    /// Counts the number of set bits (population counting) in a string.
    read "bitcount" -2 [] Keys::one(1), since "2.6.0", cost "O(N)" => bitcount;
    /// Performs arbitrary bitfield integer operations on strings.
    write "bitfield" -2 [DENYOOM] Keys::one(1), since "3.2.0", cost "O(1) for each subcommand specified" => field::bitfield;
    /// Performs arbitrary read-only bitfield integer operations on strings.
    read "bitfield_ro" -2 [FAST] Keys::one(1), since "6.0.0", cost "O(1) for each subcommand specified" => field::bitfield_ro;
    /// Performs bitwise operations on multiple strings, and stores the result.
    write "bitop" -4 [DENYOOM] Keys::from(2), since "2.6.0", cost "O(N)" => bitop;
    /// Finds the first set (1) or clear (0) bit in a string.
    read "bitpos" -3 [] Keys::one(1), since "2.8.7", cost "O(N)" => bitpos;
    /// Returns a bit value by offset.
    read "getbit" 3 [FAST] Keys::one(1), since "2.2.0", cost "O(1)" => getbit;
    /// Sets or clears the bit at offset of the string value. Creates the key if it doesn't exist.
    write "setbit" 4 [DENYOOM] Keys::one(1), since "2.2.0", cost "O(1)" => setbit;
}

const BAD_OFFSET: CommandError = CommandError::err("bit offset is not an integer or out of range");

/// A bit's place. With `#`, it counts fields of `width` bits.
fn offset(view: &View<'_>, text: &[u8], width: Option<u32>) -> Result<u64, CommandError> {
    let (text, scale) = match (text.strip_prefix(b"#"), width) {
        (Some(rest), Some(width)) => (rest, u64::from(width)),
        _ => (text, 1),
    };
    let n = number::parse_i64(text).and_then(|n| u64::try_from(n).ok()).ok_or(BAD_OFFSET)?;
    let most = (view.limits().max_bulk() as u64).saturating_mul(8);
    n.checked_mul(scale).filter(|n| *n < most).ok_or(BAD_OFFSET)
}

fn setbit(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    const BAD_BIT: CommandError = CommandError::err("bit is not an integer or out of range");
    let key = args.at(1);
    let at = offset(txn, args.at(2), None)?;
    let on = match args.int(3) {
        Ok(0) => false,
        Ok(1) => true,
        _ => return Err(BAD_BIT),
    };
    txn.string(key)?;
    let mut value = txn.string_mut(key)?;
    let (byte, mask) = ((at / 8) as usize, 0x80 >> (at % 8));
    let grown = value.len() <= byte;
    if grown {
        value.resize(byte + 1, 0);
    }
    let old = value[byte] & mask != 0;
    if on {
        value[byte] |= mask;
    } else {
        value[byte] &= !mask;
    }
    drop(value);
    if grown || old != on {
        txn.changed(Class::String, "setbit", key);
    }
    out.integer(old.into());
    Ok(())
}

fn getbit(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let at = offset(view, args.at(2), None)?;
    let byte = view.string(args.at(1))?.and_then(|bytes| bytes.get((at / 8) as usize).copied()).unwrap_or(0);
    out.integer((byte >> (7 - at % 8) & 1).into());
    Ok(())
}

/// A range of bits, from BITCOUNT's and BITPOS' arguments: inclusive, `None` if it is empty.
fn range(length: usize, start: i64, end: i64, in_bits: bool) -> Option<(u64, u64)> {
    let total = length as i64 * if in_bits { 8 } else { 1 };
    let place = |n: i64| if n < 0 { (total + n).max(0) } else { n };
    let (start, end) = (place(start), place(end).min(total - 1));
    if start > end {
        return None;
    }
    let (start, end) = (start as u64, end as u64);
    Some(if in_bits { (start, end) } else { (start * 8, end * 8 + 7) })
}

/// Set bits from `first` to `last`, both included and inside.
fn count(bytes: &[u8], first: u64, last: u64) -> u64 {
    let (from, to) = ((first / 8) as usize, (last / 8) as usize);
    let whole: u64 = bytes[from..=to]
        .chunks(8)
        .map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from(u64::from_le_bytes(word).count_ones())
        })
        .sum();
    let before = bytes[from] & !(0xff_u8 >> (first % 8));
    let after = bytes[to] & !(0xff_u32 << (7 - last % 8)) as u8;
    whole - u64::from(before.count_ones()) - u64::from(after.count_ones())
}

fn unit(args: Args<'_>, at: usize) -> Result<bool, CommandError> {
    match args.get(at) {
        None => Ok(false),
        Some(word) if is_word(word, "bit") => Ok(true),
        Some(word) if is_word(word, "byte") => Ok(false),
        Some(_) => Err(CommandError::Syntax),
    }
}

/// BITCOUNT's range: its ends, whether they count bits, and whether there is nothing in it whatever the length.
fn bitcount_range(view: &View<'_>, args: Args<'_>) -> Result<(i64, i64, bool, bool), CommandError> {
    match args.len() {
        2 => Ok((0, -1, false, false)),
        3 if view.differences().bitcount_from => Ok((args.int(2)?, -1, false, false)),
        4 | 5 => {
            let start = args.int(2)?;
            if view.differences().bitcount_unit_first {
                unit(args, 4)?;
            }
            let end = args.int(3)?;
            let empty = start < 0 && end < 0 && start > end;
            // Answered before the unit is looked at; BITPOS has no such shortcut.
            if empty && !view.differences().bit_ranges_first {
                return Ok((start, end, false, true));
            }
            Ok((start, end, unit(args, 4)?, empty))
        }
        _ => Err(CommandError::Syntax),
    }
}

fn bitcount(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    if view.differences().bit_ranges_first {
        bitcount_range(view, args)?;
    }
    let Some(bytes) = view.string(args.at(1))? else {
        out.integer(0);
        return Ok(());
    };
    let (start, end, in_bits, empty) = bitcount_range(view, args)?;
    let place = if empty { None } else { range(bytes.len(), start, end, in_bits) };
    out.integer(place.map_or(0, |(first, last)| count(bytes, first, last)) as i64);
    Ok(())
}

/// BITPOS' range: its start, its end if it has one, and whether they count bits.
fn bitpos_range(args: Args<'_>) -> Result<(i64, Option<i64>, bool), CommandError> {
    match args.len() {
        3 => Ok((0, None, false)),
        4 => Ok((args.int(3)?, None, false)),
        5 | 6 => {
            let start = args.int(3)?;
            let in_bits = unit(args, 5)?;
            Ok((start, Some(args.int(4)?), in_bits))
        }
        _ => Err(CommandError::Syntax),
    }
}

fn bitpos(view: &View<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let wanted = args.int(2)?;
    if wanted != 0 && wanted != 1 {
        return Err(CommandError::err("The bit argument must be 1 or 0."));
    }
    let wanted = wanted == 1;
    if view.differences().bit_ranges_first {
        bitpos_range(args)?;
    }
    let Some(bytes) = view.string(args.at(1))? else {
        out.integer(if wanted { -1 } else { 0 });
        return Ok(());
    };
    let (start, end, in_bits) = bitpos_range(args)?;
    let found = range(bytes.len(), start, end.unwrap_or(-1), in_bits).and_then(|(first, last)| {
        let bit = |at: u64| bytes[(at / 8) as usize] >> (7 - at % 8) & 1 == 1;
        let skipped = if wanted { 0x00 } else { 0xff };
        let mut at = first;
        while at <= last {
            // Whole bytes that cannot hold it pass at once.
            if at % 8 == 0 && at + 7 <= last && bytes[(at / 8) as usize] == skipped {
                at += 8;
            } else if bit(at) == wanted {
                return Some(at as i64);
            } else {
                at += 1;
            }
        }
        // Beyond the end lie zeros, unless the caller has set an end.
        (!wanted && end.is_none()).then_some(last as i64 + 1)
    });
    out.integer(found.unwrap_or(-1));
    Ok(())
}

/// What BITOP makes of its sources.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Join {
    And,
    Or,
    Xor,
    Not,
    /// In the first, and in none of the others.
    Diff,
    /// In one of the others, and not in the first.
    Diff1,
    /// In the first, and in one of the others.
    AndOr,
    /// In exactly one.
    One,
}

const JOINS: [(&str, Join); 8] = [
    ("and", Join::And),
    ("or", Join::Or),
    ("xor", Join::Xor),
    ("not", Join::Not),
    ("diff", Join::Diff),
    ("diff1", Join::Diff1),
    ("andor", Join::AndOr),
    ("one", Join::One),
];

impl Join {
    /// How many sources it must have, if that is not any number, and what is said otherwise.
    fn refuses(self, sources: usize) -> Option<CommandError> {
        let text = match self {
            Self::Not if sources != 1 => "BITOP NOT must be called with a single source key.",
            Self::Diff if sources < 2 => "BITOP DIFF must be called with at least two source keys.",
            Self::Diff1 if sources < 2 => "BITOP DIFF1 must be called with at least two source keys.",
            Self::AndOr if sources < 2 => "BITOP ANDOR must be called with at least two source keys.",
            _ => return None,
        };
        Some(CommandError::err(text))
    }

    /// Its result; sources end in zeros.
    fn of(self, sources: &[&[u8]]) -> Vec<u8> {
        let (first, rest) = (sources[0], &sources[1..]);
        let longest = sources.iter().map(|s| s.len()).max().unwrap_or(0);
        let fold = |mut out: Vec<u8>, sources: &[&[u8]], f: fn(u8, u8) -> u8| {
            out.resize(longest, 0);
            for source in sources {
                let padded = source.iter().copied().chain(std::iter::repeat(0));
                out.iter_mut().zip(padded).for_each(|(a, b)| *a = f(*a, b));
            }
            out
        };
        match self {
            Self::And => fold(first.to_vec(), rest, |a, b| a & b),
            Self::Or => fold(first.to_vec(), rest, |a, b| a | b),
            Self::Xor => fold(first.to_vec(), rest, |a, b| a ^ b),
            Self::Not => first.iter().map(|byte| !byte).collect(),
            Self::Diff => fold(first.to_vec(), rest, |a, b| a & !b),
            Self::Diff1 => fold(fold(Vec::new(), rest, |a, b| a | b), &[first], |a, b| a & !b),
            Self::AndOr => fold(fold(Vec::new(), rest, |a, b| a | b), &[first], |a, b| a & b),
            Self::One => {
                let (mut once, mut more) = (vec![0; longest], vec![0; longest]);
                for source in sources {
                    for ((once, more), byte) in once.iter_mut().zip(&mut more).zip(*source) {
                        *more |= *once & byte;
                        *once ^= byte;
                    }
                }
                once.iter_mut().zip(more).for_each(|(once, more)| *once &= !more);
                once
            }
        }
    }
}

fn bitop(txn: &mut Txn<'_>, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
    let (name, to, from) = (args.at(1), args.at(2), args.from(3));
    let newer = txn.viewer() == Viewer::Stream || txn.differences().bitop_differences;
    let known = if newer { &JOINS[..] } else { &JOINS[..4] };
    let found = known.iter().find(|(known, _)| is_word(name, known));
    let (_, join) = *found.ok_or(CommandError::Syntax)?;
    if let Some(error) = join.refuses(from.len()) {
        return Err(error);
    }
    let mut sources: Vec<&[u8]> = Vec::with_capacity(from.len());
    for key in from {
        sources.push(txn.string(key)?.unwrap_or_default());
    }
    let result = join.of(&sources);
    let longest = result.len();
    if result.is_empty() {
        if txn.remove(to) {
            txn.changed(Class::Generic, "del", to);
        }
    } else {
        txn.set_value(to, Value::Raw(Arc::new(result)), Expiry::Never)?;
        txn.changed(Class::String, "set", to);
    }
    out.count(longest);
    Ok(())
}

/// What BITFIELD answers where an overflow was to fail.
fn failed(out: &mut dyn Reply) {
    out.null(Null::Bulk);
}
