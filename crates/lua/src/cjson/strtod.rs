//! Numbers as C reads them: decimal, hexadecimal, infinity and NaN.

/// The number at the start of `text`, and its length.
pub(super) fn strtod(text: &[u8]) -> Option<(f64, usize)> {
    let negative = text.first() == Some(&b'-');
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let rest = text.get(sign..).unwrap_or_default();
    let (n, len) = magnitude(rest)?;
    Some((if negative { -n } else { n }, sign + len))
}

fn magnitude(text: &[u8]) -> Option<(f64, usize)> {
    let begins = |word: &[u8]| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    if begins(b"infinity") {
        return Some((f64::INFINITY, 8));
    }
    if begins(b"inf") {
        return Some((f64::INFINITY, 3));
    }
    if begins(b"nan") {
        return Some((f64::NAN, 3 + nan_tag(text.get(3..).unwrap_or_default())));
    }
    if begins(b"0x")
        && let Some((n, len)) = hexadecimal(text.get(2..).unwrap_or_default())
    {
        return Some((n, 2 + len));
    }
    decimal(text)
}

/// The length of `(letters)` after `nan`.
fn nan_tag(text: &[u8]) -> usize {
    let Some(inside) = text.strip_prefix(b"(") else { return 0 };
    let len = inside.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    if inside.get(len) == Some(&b')') { len + 2 } else { 0 }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// The length of an exponent with the letter `mark`, and its value.
fn exponent(text: &[u8], mark: u8) -> (usize, i32) {
    if text.first().map(u8::to_ascii_lowercase) != Some(mark) {
        return (0, 0);
    }
    let sign = usize::from(matches!(text.get(1), Some(b'-' | b'+')));
    let number = text.get(1 + sign..).unwrap_or_default();
    let len = digits(number);
    if len == 0 {
        return (0, 0);
    }
    let value = number[..len]
        .iter()
        .fold(0i32, |all, digit| all.saturating_mul(10).saturating_add(i32::from(digit - b'0')));
    (1 + sign + len, if text.get(1) == Some(&b'-') { -value } else { value })
}

fn decimal(text: &[u8]) -> Option<(f64, usize)> {
    let whole = digits(text);
    let mut len = whole;
    let mut fraction = 0;
    if text.get(whole) == Some(&b'.') {
        fraction = digits(text.get(whole + 1..).unwrap_or_default());
        len += 1 + fraction;
    }
    if whole + fraction == 0 {
        return None;
    }
    len += exponent(text.get(len..).unwrap_or_default(), b'e').0;
    let number = std::str::from_utf8(text.get(..len)?).ok()?.parse().ok()?;
    Some((number, len))
}

fn hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    let (mut mantissa, mut scale, mut len, mut any, mut point) = (0u64, 0i32, 0, false, false);
    for &byte in text {
        match char::from(byte).to_digit(16) {
            Some(digit) => {
                any = true;
                if mantissa >> 60 == 0 {
                    mantissa = mantissa << 4 | u64::from(digit);
                    scale -= if point { 4 } else { 0 };
                } else {
                    // What does not fit counts as "a little more".
                    mantissa |= u64::from(digit != 0);
                    scale += if point { 0 } else { 4 };
                }
            }
            None if byte == b'.' && !point => point = true,
            None => break,
        }
        len += 1;
    }
    if !any {
        return None;
    }
    let (more, by) = exponent(text.get(len..).unwrap_or_default(), b'p');
    Some((scaled(mantissa as f64, scale.saturating_add(by)), len + more))
}

/// `n * 2^by` in steps that do not overflow before the result does.
fn scaled(mut n: f64, mut by: i32) -> f64 {
    while by != 0 && n != 0.0 && n.is_finite() {
        let step = by.clamp(-1000, 1000);
        n *= 2f64.powi(step);
        by -= step;
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_glibc_reads_them() {
        let cases: [(&str, f64, usize); 12] = [
            ("12.5e1x", 125.0, 6),
            (".5", 0.5, 2),
            ("5.", 5.0, 2),
            ("1e", 1.0, 1),
            ("1e+", 1.0, 1),
            ("-0x10", -16.0, 5),
            ("0x.8p1", 1.0, 6),
            ("0x", 0.0, 1),
            ("0xg", 0.0, 1),
            ("1e999", f64::INFINITY, 5),
            ("-Infinity", f64::NEG_INFINITY, 9),
            ("0xffffffffffffffffff", 4_722_366_482_869_645_213_695.0, 20),
        ];
        for (text, n, len) in cases {
            assert_eq!(strtod(text.as_bytes()), Some((n, len)), "{text}");
        }
        assert!(strtod(b"nan(x)").is_some_and(|(n, len)| n.is_nan() && len == 6));
        assert_eq!(strtod(b"-"), None);
        assert_eq!(strtod(b"."), None);
    }
}
