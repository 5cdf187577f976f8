//! Integers, as strictly as servers read them.

use crate::encode::Output;

/// Reads a signed decimal integer in its one canonical spelling.
///
/// No `+`, no space, no leading zero, no `-0`, nothing behind: a text is accepted only if printing the number
/// gives it back. Lengths on the wire and string values that count as integers follow this rule (`INCR` on
/// `"01"` is an error). Checked against Redis 7.0.15.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    // 19 digits cannot overflow a u64, and no i64 has more.
    if digits.len() > 19 {
        return None;
    }
    let value = match digits {
        [b'0'] if !negative => 0,
        [b'1'..=b'9', ..] => digits.iter().try_fold(0u64, |value, byte| {
            let digit = byte.wrapping_sub(b'0');
            (digit <= 9).then(|| value * 10 + u64::from(digit))
        })?,
        _ => return None,
    };
    if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

/// Appends the canonical decimal text of `value`.
#[inline]
pub fn write_i64<B: Output>(out: &mut B, value: i64) {
    out.put(itoa::Buffer::new().format(value).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_is_a_number() {
        for bad in ["", "-", "+1", "01", "-01", "-0", "00", " 1", "1 ", "1x", "0x1", "1.0", "--1", "\u{0}"] {
            assert_eq!(parse_i64(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn the_whole_range_is_read_and_one_more_is_refused() {
        for value in [0, 1, -1, 9, 10, 99, i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1, 1 << 53] {
            let mut text = Vec::new();
            write_i64(&mut text, value);
            assert_eq!(text, value.to_string().into_bytes());
            assert_eq!(parse_i64(&text), Some(value));
        }
        assert_eq!(parse_i64(b"9223372036854775808"), None);
        assert_eq!(parse_i64(b"-9223372036854775809"), None);
        assert_eq!(parse_i64(b"9999999999999999999"), None);
        assert_eq!(parse_i64(b"18446744073709551616"), None);
        assert_eq!(parse_i64(b"10000000000000000000000"), None);
    }
}
