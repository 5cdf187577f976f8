//! Floating point text, as scores and increments are printed.
//!
//! Two families disagree on everything that is no short integer:
//!
//! | value | up to Redis 7.0 (`%.17g`) | Redis 7.2 and later, Valkey |
//! |---|---|---|
//! | 0.1 | `0.10000000000000001` | `0.1` |
//! | 1e17 | `1e+17` | `100000000000000000` |
//! | 1e-7 | `9.9999999999999995e-08` | `1e-7` |
//! | 12345.678901234567 | `12345.678901234567` | `1.2345678901234567e+4` |
//!
//! Compared on a hundred thousand scores: the first family agrees with Redis 7.0.15 on every one, the second with
//! Redis 8.2.3, Valkey 8.1.8 and Valkey 9.1.2, also where their digit generator (`grisu.rs`) misses the shortest or the
//! nearest digits, such as `99999999999999990000000` for 1e23.
//!
//! Minus zero is `-0`, as all of them print it; but a sorted set in a listpack keeps integral scores as integers,
//! so there it reads `0`.

use std::io::Write as _;

use super::{grisu, write_i64};
use crate::encode::Output;

/// How a double is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DoubleFormat {
    /// C's `%.17g`: Redis up to 7.0. Always enough digits, often more than enough.
    #[default]
    Digits17,
    /// Few digits that read back as the same number: Redis 7.2 and later, and Valkey.
    Shortest,
    /// As [`Shortest`](Self::Shortest), but integers have no form of their own: 1e17 is `1e+17`. Nothing on the wire
    /// is printed so; DEBUG DIGEST hashes it.
    ShortestOfAll,
}

/// Appends `value` as a score is printed; infinities are `inf` and `-inf`, not-a-number is `nan`
/// (or `-nan` with seventeen digits).
pub fn format_f64<B: Output>(out: &mut B, value: f64, format: DoubleFormat) {
    if !value.is_finite() {
        // C prints the sign of what is no number, and 0/0 has it on x86-64.
        if value.is_nan() && value.is_sign_negative() && format == DoubleFormat::Digits17 {
            return out.put(b"-nan");
        }
        return out.put(non_finite(value));
    }
    // Exact below 10^17, and what both families print; the cast cannot cut.
    #[expect(clippy::cast_possible_truncation, reason = "in range, and compared below")]
    let integer = value as i64;
    #[expect(clippy::cast_precision_loss, reason = "that is the question")]
    let is_integer = integer as f64 == value && !(value == 0.0 && value.is_sign_negative());
    match format {
        DoubleFormat::Digits17 if is_integer && integer.unsigned_abs() < 10u64.pow(17) => {
            write_i64(out, integer)
        }
        DoubleFormat::Digits17 => Decimal::of_17_digits(value).write_g(out),
        // 2^62: at 2^62 itself still exact, above it rounded to the shortest digits.
        DoubleFormat::Shortest if is_integer && integer.unsigned_abs() <= 1 << 62 => write_i64(out, integer),
        DoubleFormat::Shortest | DoubleFormat::ShortestOfAll => Decimal::shortest(value).write_short(out),
    }
}

/// Appends `value` for people: never an exponent, 17 decimals, zeros at the end cut off (`%.17f`).
///
/// INCRBYFLOAT and HINCRBYFLOAT print so, but compute in C's `long double`, which has 64 bits of mantissa on
/// x86-64: there 0.1 prints as `0.1`, from a double it prints as `0.10000000000000001`.
pub fn format_human_f64<B: Output>(out: &mut B, value: f64) {
    if !value.is_finite() {
        return out.put(non_finite(value));
    }
    let text = format!("{value:.17}");
    match text.trim_end_matches('0').trim_end_matches('.') {
        "-0" => out.put(b"0"),
        text => out.put(text.as_bytes()),
    }
}

fn non_finite(value: f64) -> &'static [u8] {
    if value.is_nan() {
        b"nan"
    } else if value > 0.0 {
        b"inf"
    } else {
        b"-inf"
    }
}

/// `0.d1 d2 d3 ... * 10^point`, without zeros at the end.
struct Decimal {
    negative: bool,
    digits: [u8; 24],
    len: usize,
    point: i32,
}

impl Decimal {
    fn of_17_digits(value: f64) -> Self {
        let mut text = [0u8; 32];
        let mut rest = &mut text[..];
        // "-d.dddddddddddddddde-308" is 24 bytes; writing cannot fail.
        let _ = write!(rest, "{value:.16e}");
        let unused = rest.len();
        Self::read(text.get(..text.len().saturating_sub(unused)).unwrap_or_default())
    }

    fn shortest(value: f64) -> Self {
        if value == 0.0 {
            return Self::read(if value.is_sign_negative() { b"-0" } else { b"0" });
        }
        let (digits, scale) = grisu::digits(value.abs());
        let mut this = Self::read(itoa::Buffer::new().format(digits).as_bytes());
        this.negative = value < 0.0;
        this.point += scale;
        this
    }

    /// Takes any decimal spelling apart.
    fn read(text: &[u8]) -> Self {
        let mut this = Self { negative: false, digits: [b'0'; 24], len: 0, point: 0 };
        let mut seen_point = false;
        let mut rest = text;
        while let [byte, after @ ..] = rest {
            match byte {
                b'-' => this.negative = true,
                b'.' => seen_point = true,
                b'e' | b'E' => {
                    let exponent = std::str::from_utf8(after).ok().and_then(|text| text.parse::<i32>().ok());
                    this.point += exponent.unwrap_or(0);
                    break;
                }
                digit => {
                    let leading_zero = this.len == 0 && *digit == b'0';
                    if !leading_zero && let Some(slot) = this.digits.get_mut(this.len) {
                        *slot = *digit;
                        this.len += 1;
                    }
                    this.point += match (seen_point, leading_zero) {
                        (false, false) => 1,
                        (true, true) => -1,
                        _ => 0,
                    };
                }
            }
            rest = after;
        }
        while this.len > 0 && this.digits.get(this.len - 1) == Some(&b'0') {
            this.len -= 1;
        }
        this
    }

    /// C's `%.17g`.
    fn write_g<B: Output>(&self, out: &mut B) {
        if self.len == 0 {
            self.sign(out);
            return out.put(b"0");
        }
        let exponent = self.point - 1;
        if (-4..17).contains(&exponent) { self.plain(out) } else { self.scientific(out, 2) }
    }

    /// Plain while it is short, by the rules of Redis 7.2.
    fn write_short<B: Output>(&self, out: &mut B) {
        if self.len == 0 {
            self.sign(out);
            return out.put(b"0");
        }
        let len = i32::try_from(self.len).unwrap_or(0);
        // Value = digits as an integer * 10^scale.
        let scale = self.point - len;
        let magnitude = (self.point - 1).abs();
        let plain = if scale >= 0 { magnitude < len + 7 } else { scale > -7 || magnitude < 4 };
        if plain { self.plain(out) } else { self.scientific(out, 1) }
    }

    fn sign<B: Output>(&self, out: &mut B) {
        if self.negative {
            out.put(b"-");
        }
    }

    fn digits(&self, from: usize, to: usize) -> &[u8] {
        self.digits.get(from..to).unwrap_or_default()
    }

    fn plain<B: Output>(&self, out: &mut B) {
        self.sign(out);
        match usize::try_from(self.point) {
            Ok(point) if point >= self.len => {
                out.put(self.digits(0, self.len));
                (self.len..point).for_each(|_| out.put(b"0"));
            }
            Ok(point) if point > 0 => {
                out.put(self.digits(0, point));
                out.put(b".");
                out.put(self.digits(point, self.len));
            }
            _ => {
                out.put(b"0.");
                (self.point..0).for_each(|_| out.put(b"0"));
                out.put(self.digits(0, self.len));
            }
        }
    }

    fn scientific<B: Output>(&self, out: &mut B, exponent_digits: usize) {
        self.sign(out);
        out.put(self.digits(0, 1));
        if self.len > 1 {
            out.put(b".");
            out.put(self.digits(1, self.len));
        }
        let exponent = self.point - 1;
        out.put(if exponent < 0 { b"e-" } else { b"e+" });
        if exponent.unsigned_abs() < 10 && exponent_digits > 1 {
            out.put(b"0");
        }
        write_i64(out, i64::from(exponent.unsigned_abs()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: f64, format: DoubleFormat) -> String {
        let mut out = Vec::new();
        format_f64(&mut out, value, format);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn scores_print_as_redis_7_0_15_and_8_2_3_print_them() {
        // value, Redis 7.0.15, Redis 8.2.3 and Valkey 8.1.8 and 9.1.2
        let cases = [
            (1e300, "1.0000000000000001e+300", "1e+300"),
            (0.1, "0.10000000000000001", "0.1"),
            (3.0, "3", "3"),
            (1e16, "10000000000000000", "10000000000000000"),
            (1e17, "1e+17", "100000000000000000"),
            (1e18, "1e+18", "1000000000000000000"),
            (1e19, "1e+19", "1e+19"),
            (1e21, "1e+21", "1e+21"),
            (0.0, "0", "0"),
            (f64::INFINITY, "inf", "inf"),
            (f64::NEG_INFINITY, "-inf", "-inf"),
            (0.0001, "0.0001", "0.0001"),
            (0.00001, "1.0000000000000001e-05", "0.00001"),
            (0.000001, "9.9999999999999995e-07", "0.000001"),
            (1e-7, "9.9999999999999995e-08", "1e-7"),
            (1.5e-5, "1.5e-05", "0.000015"),
            (1.5e-6, "1.5e-06", "1.5e-6"),
            (1.2345678901234567e-3, "0.0012345678901234567", "0.0012345678901234567"),
            (1.2345678901234567e-4, "0.00012345678901234567", "1.2345678901234567e-4"),
            (123456.789, "123456.789", "123456.789"),
            (f64::MAX, "1.7976931348623157e+308", "1.7976931348623157e+308"),
            (5e-324, "4.9406564584124654e-324", "5e-324"),
            (1.2345678901234567e17, "1.2345678901234566e+17", "123456789012345664"),
            (1.2345678901234567e20, "1.2345678901234567e+20", "123456789012345670000"),
            (1.2345678901234567e23, "1.2345678901234567e+23", "123456789012345670000000"),
            (1e23, "9.9999999999999992e+22", "99999999999999990000000"),
            (1.2345678901234567e24, "1.2345678901234568e+24", "1.2345678901234568e+24"),
            (9223372036854774784.0, "9.2233720368547748e+18", "9223372036854775000"),
            (4611686018427387904.0, "4.6116860184273879e+18", "4611686018427387904"),
        ];
        for (value, old, new) in cases {
            assert_eq!(text(value, DoubleFormat::Digits17), old, "{value:e}");
            assert_eq!(text(value, DoubleFormat::Shortest), new, "{value:e}");
        }
    }

    #[test]
    fn both_forms_read_back_as_the_same_double() {
        let mut bits = 1u64;
        for _ in 0..20_000 {
            bits = bits.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let value = f64::from_bits(bits);
            if value.is_finite() {
                for format in [DoubleFormat::Digits17, DoubleFormat::Shortest] {
                    let text = text(value, format);
                    assert_eq!(crate::parse_f64(text.as_bytes()), Some(value), "{text}");
                }
            }
        }
    }

    #[test]
    fn human_text_has_no_exponent() {
        let text = |value| {
            let mut out = Vec::new();
            format_human_f64(&mut out, value);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(5200.0), "5200");
        assert_eq!(text(10.5), "10.5");
        assert_eq!(text(1e17), "100000000000000000");
        assert_eq!(text(1e-17), "0.00000000000000001");
        assert_eq!(text(-0.0), "0");
        assert_eq!(text(1e300).len(), 301);
    }
}
