//! The text of ranges: `(1.5`, `-inf`, `[member`, `+`.

use crate::error::CommandError;
use crate::number::parse_f64;
use crate::value::zset::{LexBound, LexBounds, ScoreBounds};
use crate::view::{View, Viewer};

/// Two ends of a range of scores.
///
/// # Errors
/// `min or max is not a float`
pub(super) fn scores(view: &View<'_>, min: &[u8], max: &[u8]) -> Result<ScoreBounds, CommandError> {
    let decimal = view.differences().decimal_ends && view.viewer() == Viewer::Client;
    let end = |text| score(text, decimal).ok_or(CommandError::err("min or max is not a float"));
    let ((min, above_min), (max, below_max)) = (end(min)?, end(max)?);
    Ok(ScoreBounds { min, above_min, max, below_max })
}

/// One end, and whether it is left out. This is read by `strtod` alone in real servers: an empty text is 0, space
/// may precede, what overflows is infinite, and the text ends at a zero byte (checked with Redis 7.0.15). Where only
/// decimals are read, no space may precede.
fn score(text: &[u8], decimal: bool) -> Option<(f64, bool)> {
    let (text, open) = match text {
        [b'(', rest @ ..] => (rest, true),
        all => (all, false),
    };
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some((0.0, open));
    }
    if decimal && text.iter().any(|byte| byte.is_ascii_whitespace() || matches!(byte, b'x' | b'X')) {
        return None;
    }
    let text = text.trim_ascii_start();
    let lenient = || {
        let decimal = text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
        std::str::from_utf8(text).ok().filter(|_| decimal)?.parse().ok()
    };
    parse_f64(text).or_else(lenient).map(|value| (value, open))
}

/// Two ends of a range of members.
///
/// # Errors
/// `min or max not valid string range item`
pub(super) fn lex<'a>(min: &'a [u8], max: &'a [u8]) -> Result<LexBounds<'a>, CommandError> {
    let end = |text: &'a [u8]| match text {
        [b'-'] => Ok(LexBound::Least),
        [b'+'] => Ok(LexBound::Greatest),
        [b'[', member @ ..] => Ok(LexBound::Including(member)),
        [b'(', member @ ..] => Ok(LexBound::Excluding(member)),
        _ => Err(CommandError::err("min or max not valid string range item")),
    };
    Ok(LexBounds { min: end(min)?, max: end(max)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_read_as_strtod_reads_them() {
        assert_eq!(score(b"", false), Some((0.0, false)));
        assert_eq!(score(b"(", false), Some((0.0, true)));
        assert_eq!(score(b"( 1", false), Some((1.0, true)));
        assert_eq!(score(b" \t-0x1p3", false), Some((-8.0, false)));
        assert_eq!(score(b"1e999", false), Some((f64::INFINITY, false)));
        assert_eq!(score(b"(-1e999", false), Some((f64::NEG_INFINITY, true)));
        assert_eq!(score(b"1e-999", false), Some((0.0, false)));
        assert_eq!(score(b"+inf", false), Some((f64::INFINITY, false)));
        assert_eq!(score(b"2\0x", false), Some((2.0, false)));
        assert_eq!(score(b"", true), Some((0.0, false)));
        assert_eq!(score(b"(1e999", true), Some((f64::INFINITY, true)));
        for text in [" 1", "( 1", "0x1"] {
            assert_eq!(score(text.as_bytes(), true), None, "{text:?}");
        }
        for text in ["nan", " ", "1 ", "((1", "[1", "x", "1x"] {
            assert_eq!(score(text.as_bytes(), false), None, "{text:?}");
        }
    }
}
