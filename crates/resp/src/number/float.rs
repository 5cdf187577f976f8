//! Floating point text, as scores and increments are read.

/// Reads a double as Redis reads a score: what C's `strtod` accepts, and nothing around it.
///
/// Decimal (`1`, `+.5`, `5.`, `1e5`), hexadecimal (`0x1.8p1`) and infinities in any case. `None` for NaN, for an
/// empty text, for white space, and for numbers that overflow or vanish (`1e400`, `1e-400`); subnormals are
/// fine. Checked against Redis 7.0.15 and 8.2.3 and Valkey 8.1.8; Valkey 9.1.2 no longer takes hexadecimal.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let unsigned = match text {
        [b'+' | b'-', unsigned @ ..] => unsigned,
        unsigned => unsigned,
    };
    if let [b'0', b'x' | b'X', digits @ ..] = unsigned {
        let value = hexadecimal(digits)?;
        return Some(if text.first() == Some(&b'-') { -value } else { value });
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    if value.is_nan() {
        return None;
    }
    // Out of range is an error here, whereas std answers infinity or zero.
    if value.is_infinite() && unsigned.first().is_some_and(u8::is_ascii_digit_or_point) {
        return None;
    }
    if value == 0.0 && mantissa_is_nonzero(unsigned) {
        return None;
    }
    Some(value)
}

trait DigitOrPoint {
    fn is_ascii_digit_or_point(&self) -> bool;
}

impl DigitOrPoint for u8 {
    fn is_ascii_digit_or_point(&self) -> bool {
        self.is_ascii_digit() || *self == b'.'
    }
}

fn mantissa_is_nonzero(unsigned: &[u8]) -> bool {
    unsigned
        .iter()
        .take_while(|byte| !matches!(byte, b'e' | b'E'))
        .any(|byte| byte.is_ascii_digit() && *byte != b'0')
}

/// What follows `0x`: hexadecimal digits with an optional point and an optional binary exponent in decimal.
fn hexadecimal(text: &[u8]) -> Option<f64> {
    // The leading 60 or more bits, then one sticky bit: enough to round once, correctly.
    let mut mantissa = 0u64;
    let mut exponent = 0i64;
    let mut digits = 0usize;
    let mut point = false;
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        match char::from(*byte).to_digit(16) {
            Some(digit) => {
                digits += 1;
                if mantissa >> 59 == 0 {
                    mantissa = mantissa << 4 | u64::from(digit);
                    exponent -= if point { 4 } else { 0 };
                } else {
                    mantissa |= u64::from(digit != 0);
                    exponent += if point { 0 } else { 4 };
                }
            }
            None if *byte == b'.' && !point => point = true,
            None => break,
        }
        rest = after;
    }
    if digits == 0 {
        return None;
    }
    let written = match rest {
        [] => 0,
        [b'p' | b'P', text @ ..] => binary_exponent(text)?,
        _ => return None,
    };
    if mantissa == 0 {
        return Some(0.0);
    }
    let value = assemble(mantissa, exponent.saturating_add(written));
    (value.is_finite() && value != 0.0).then_some(value)
}

fn binary_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Saturation is far outside of what a double holds.
    let value = digits.iter().fold(0i64, |value, byte| {
        value.saturating_mul(10).saturating_add(i64::from(byte.wrapping_sub(b'0')))
    });
    Some(if negative { value.saturating_neg() } else { value })
}

/// `mantissa * 2^exponent`, rounded to nearest, ties to even. The mantissa is not zero.
fn assemble(mantissa: u64, exponent: i64) -> f64 {
    let shift = i64::from(mantissa.leading_zeros());
    let mantissa = mantissa << mantissa.leading_zeros();
    // Value = mantissa / 2^63 * 2^top, with 1 <= mantissa / 2^63 < 2.
    let top = exponent.saturating_sub(shift).saturating_add(63);
    if top > 1023 {
        return f64::INFINITY;
    }
    // 11 bits fall off a normal double, more off a subnormal one.
    let drop = 11 + (-1022i64).saturating_sub(top).max(0);
    let (kept, half_way) = match u32::try_from(drop) {
        Ok(drop @ ..=63) => (mantissa >> drop, (mantissa << (64 - drop)).cmp(&(1 << 63))),
        Ok(64) => (0, mantissa.cmp(&(1 << 63))),
        _ => return 0.0,
    };
    let up = half_way.is_gt() || (half_way.is_eq() && kept & 1 == 1);
    let kept = kept + u64::from(up);
    // The implicit bit of a normal number adds one to the exponent field; so does a carry.
    let field = u64::try_from(top.max(-1022) + 1022).unwrap_or(0);
    f64::from_bits((field << 52) + kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_texts_are_those_of_redis_7_0_15() {
        let cases = [
            ("inf", f64::INFINITY),
            ("+inf", f64::INFINITY),
            ("-INF", f64::NEG_INFINITY),
            ("Infinity", f64::INFINITY),
            ("-infinity", f64::NEG_INFINITY),
            ("+1", 1.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("-.5", -0.5),
            ("1e5", 1e5),
            ("0e999", 0.0),
            ("01", 1.0),
            ("00", 0.0),
            ("5e-324", 5e-324),
            ("2.5e-324", 5e-324),
            ("1e-320", 1e-320),
            ("0x10", 16.0),
            ("0X1P3", 8.0),
            ("0x1.8p1", 3.0),
            ("0x.8", 0.5),
            ("0x1p-2", 0.25),
            ("-0x1p4", -16.0),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x1.fffffffffffff7fp1023", f64::MAX),
            ("0x1p-1074", 5e-324),
            ("0x1.1p-1075", 5e-324),
            ("0x0p99999", 0.0),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.00000000000018p0", 1.0000000000000004),
            ("0x1.000000000000080001p0", 1.0000000000000002),
            ("0x1p+0001", 2.0),
        ];
        for (text, value) in cases {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text:?}");
        }
    }

    #[test]
    fn refused_texts_are_those_of_redis_7_0_15() {
        let cases = [
            "infinit",
            "nan",
            "-nan",
            "NaN",
            "nan(1)",
            "",
            " 1",
            "1 ",
            "--1",
            ".",
            "1e",
            "1e+",
            "0x",
            "0x.",
            "0xp1",
            "0x1p",
            "1e400",
            "-1e400",
            "1e-400",
            "2e-324",
            "0x1p1024",
            "0x1.fffffffffffff8p1023",
            "0x1p-1075",
            "0x1p-1076",
            "1_0",
            "1,0",
            "1d",
            "1f",
            "\t1",
            "0b1",
            "1e5.5",
            "1\0",
            "+",
            "-",
            "0x1p99999999999999999999",
            "0x1p-99999999999999999999",
            "0x1.2.3",
        ];
        for text in cases {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn hexadecimal_mantissas_of_any_length_round_once() {
        let long = format!("0x1.{}1", "0".repeat(5000));
        assert_eq!(parse_f64(long.as_bytes()), Some(1.0));
        let long = format!("0x1.00000000000008{}1", "0".repeat(5000));
        assert_eq!(parse_f64(long.as_bytes()), Some(1.0000000000000002));
        let long = format!("0x1{}p-4000", "0".repeat(1000));
        assert_eq!(parse_f64(long.as_bytes()), Some(1.0));
    }
}
