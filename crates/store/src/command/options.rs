//! Arguments that several groups read alike.

use crate::args::{Args, is_word};
use crate::command::generic::cursor;
use crate::error::CommandError;
use crate::glob;
use crate::number;
use crate::view::View;

/// An integer of a range; whatever else stands there is told by the same text.
pub(super) fn within(
    text: &[u8],
    least: i64,
    most: i64,
    otherwise: &'static str,
) -> Result<i64, CommandError> {
    let n = number::parse_i64(text).filter(|n| (least..=most).contains(n));
    n.ok_or_else(|| CommandError::err(otherwise))
}

/// A count of 0 or more.
pub(super) fn positive(text: &[u8]) -> Result<usize, CommandError> {
    let n = within(text, 0, i64::MAX, "value is out of range, must be positive")?;
    Ok(usize::try_from(n).unwrap_or(usize::MAX))
}

/// The error for the one integer that has no opposite.
pub(super) const BELOW_LEAST: CommandError = CommandError::err(
    "value is out of range, value must between -9223372036854775807 and 9223372036854775807",
);

/// The count of SRANDMEMBER and HRANDFIELD: negative ones allow repetition.
pub(super) fn signed_count(text: &[u8]) -> Result<i64, CommandError> {
    let n = number::parse_i64(text).ok_or(CommandError::NotAnInteger)?;
    if n == i64::MIN {
        return Err(BELOW_LEAST);
    }
    if n < -MOST_REPEATED {
        return Err(CommandError::err("value is out of range"));
    }
    Ok(n)
}

/// Real servers go on until memory ends; nobody wants so many.
const MOST_REPEATED: i64 = 1 << 27;

/// `cursor [MATCH pattern] [COUNT count]` of HSCAN, SSCAN and ZSCAN.
#[derive(Debug)]
pub(super) struct ScanOptions<'a> {
    pattern: Option<&'a [u8]>,
    /// How many elements to visit.
    pub(super) count: usize,
    /// NOVALUES or NOSCORES: names alone.
    pub(super) names_only: bool,
}

/// Whose walk it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walk {
    Hash,
    Set,
    Zset,
}

impl<'a> ScanOptions<'a> {
    /// What stands behind the cursor. A key that is not there is answered before this is looked at.
    pub(super) fn parse(view: &View<'_>, args: Args<'a>, walk: Walk) -> Result<Self, CommandError> {
        let mut this = Self { pattern: None, count: 10, names_only: false };
        let mut i = 3;
        while let Some(word) = args.get(i) {
            if (view.differences().scan_novalues && is_word(word, "novalues"))
                || (view.differences().scan_noscores && is_word(word, "noscores"))
            {
                let of_hash = is_word(word, "novalues");
                if walk != if of_hash { Walk::Hash } else { Walk::Zset } {
                    return Err(CommandError::err(if of_hash {
                        "NOVALUES option can only be used in HSCAN"
                    } else {
                        "NOSCORES option can only be used in ZSCAN"
                    }));
                }
                this.names_only = true;
                i += 1;
                continue;
            }
            let Some(value) = args.get(i + 1) else { return Err(CommandError::Syntax) };
            if is_word(word, "count") {
                let count = args.int(i + 1)?;
                this.count = usize::try_from(count).ok().filter(|n| *n > 0).ok_or(CommandError::Syntax)?;
            } else if is_word(word, "match") {
                this.pattern = Some(value).filter(|p| *p != b"*");
            } else {
                return Err(CommandError::Syntax);
            }
            i += 2;
        }
        Ok(this)
    }

    /// The cursor.
    pub(super) fn cursor(view: &View<'_>, args: Args<'_>) -> Result<u64, CommandError> {
        cursor(view, args.at(2))
    }

    /// Whether an element is wanted.
    pub(super) fn wants(&self, element: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::selects(pattern, element))
    }
}

/// Where keys stand that follow their number at `count`, and what follows them.
///
/// # Errors
/// No number, or one below 1.
pub(super) fn numkeys<'a>(args: Args<'a>, count: usize) -> Result<(usize, &'a [&'a [u8]]), CommandError> {
    let n = within(args.at(count), 1, i64::MAX, "numkeys should be greater than 0")?;
    Ok((usize::try_from(n).unwrap_or(usize::MAX), args.from(count + 1)))
}

/// Checks the timeout of a blocking command: seconds, 0 for ever. How long is the server's care.
pub(super) fn check_timeout(view: &View<'_>, text: &[u8]) -> Result<(), CommandError> {
    let seconds =
        number::parse_f64(text).ok_or(CommandError::err("timeout is not a float or out of range"))?;
    let ms = seconds * 1000.0;
    let checked = view.differences().timeouts_checked;
    if ms.ceil() < 0.0 || !checked && ms >= i64::MAX as f64 {
        // Redis 7.0 converts without a check, and so finds the too large ones negative.
        return Err(CommandError::err("timeout is negative"));
    }
    if checked && ms >= (i64::MAX - view.now()) as f64 {
        return Err(CommandError::err("timeout is out of range"));
    }
    Ok(())
}
