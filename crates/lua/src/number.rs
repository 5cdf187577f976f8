//! Numbers as C's `%.17g` prints them, which is how Redis hands Lua numbers to commands.

use std::io::Write as _;

/// Appends `n` as `printf("%.17g")` does.
pub(crate) fn push_g17(out: &mut Vec<u8>, n: f64) {
    push_g(out, n, 17);
}

/// `n` as Lua spells it.
pub(crate) fn g14(n: f64) -> Vec<u8> {
    let mut out = Vec::with_capacity(20);
    push_g(&mut out, n, 14);
    out
}

/// Appends `n` as `printf("%.*g", digits)` does; `digits` is within 1 and 17.
pub(crate) fn push_g(out: &mut Vec<u8>, n: f64, digits: usize) {
    if n.is_nan() {
        // glibc shows the sign bit of the NaN; 0/0 on x86-64 has it set.
        out.extend_from_slice(if n.is_sign_negative() { b"-nan" } else { b"nan" });
        return;
    }
    if n.is_infinite() {
        out.extend_from_slice(if n < 0.0 { b"-inf" } else { b"inf" });
        return;
    }
    // 2^53 bounds the integers that need no digits beyond the seventeen.
    let whole = if digits >= 16 { 9_007_199_254_740_992.0 } else { 10f64.powi(digits as i32) };
    if n.fract() == 0.0 && n.abs() < whole && !(n == 0.0 && n.is_sign_negative()) {
        push_integer(out, n as i64);
        return;
    }
    let scientific = format!("{n:.0$e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, all) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let all: String = all.chars().filter(|c| *c != '.').collect();
    let kept = all.trim_end_matches('0');
    let kept = if kept.is_empty() { "0" } else { kept };
    out.extend_from_slice(sign.as_bytes());
    if !(-4..digits as i32).contains(&exponent) {
        let (first, rest) = kept.split_at(1);
        out.extend_from_slice(first.as_bytes());
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest.as_bytes());
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        // Writing to a Vec cannot fail.
        let _ = write!(out, "e{sign}{:02}", exponent.unsigned_abs());
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', exponent.unsigned_abs() as usize - 1));
        out.extend_from_slice(kept.as_bytes());
    } else {
        let whole = exponent as usize + 1;
        if kept.len() <= whole {
            out.extend_from_slice(kept.as_bytes());
            out.extend(std::iter::repeat_n(b'0', whole - kept.len()));
        } else {
            let (before, after) = kept.split_at(whole);
            out.extend_from_slice(before.as_bytes());
            out.push(b'.');
            out.extend_from_slice(after.as_bytes());
        }
    }
}

/// Appends `n` in decimal.
pub(crate) fn push_integer(out: &mut Vec<u8>, n: i64) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{n}");
}

/// Appends `n` as Redis 7.2 and later hand numbers of Lua to commands: integers plainly, the rest in the fewest
/// digits that lead back.
pub(crate) fn push_shortest(out: &mut Vec<u8>, n: f64) {
    const WHOLE: f64 = 4_611_686_018_427_387_904.0;
    if n.abs() <= WHOLE && n.fract() == 0.0 {
        return push_integer(out, n as i64);
    }
    if !n.is_finite() {
        return push_g17(out, n);
    }
    let text = format!("{n:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let count = digits.len() as i32;
    // The power of ten of the last digit.
    let last = exponent - count + 1;
    if mantissa.starts_with('-') {
        out.push(b'-');
    }
    if last >= 0 && exponent < count + 7 {
        out.extend_from_slice(&digits);
        out.extend(std::iter::repeat_n(b'0', last as usize));
    } else if last < 0 && (last > -7 || exponent.abs() < 4) {
        if exponent < 0 {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', exponent.unsigned_abs() as usize - 1));
            out.extend_from_slice(&digits);
        } else {
            let (whole, fraction) = digits.split_at(exponent as usize + 1);
            out.extend_from_slice(whole);
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
    } else {
        let (first, rest) = digits.split_at(1);
        out.extend_from_slice(first);
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest);
        }
        // Writing to a Vec cannot fail.
        let _ = write!(out, "e{exponent:+}");
    }
}

/// Appends a double reply's text: as the two above, but the negative zero keeps its sign.
pub(crate) fn push_double(out: &mut Vec<u8>, n: f64, shortest: bool) {
    if !shortest {
        push_g17(out, n);
    } else if n == 0.0 && n.is_sign_negative() {
        out.extend_from_slice(b"-0");
    } else {
        push_shortest(out, n);
    }
}

/// What C's cast from double to int gives on x86-64: the smallest integer for all that do not fit.
pub(crate) fn truncate_32(n: f64) -> i32 {
    if (-2_147_483_649.0..2_147_483_648.0).contains(&n) && n > -2_147_483_649.0 { n as i32 } else { i32::MIN }
}

/// What C's cast from double to unsigned 64 bits gives on x86-64, negative numbers through the signed cast.
pub(crate) fn truncate_unsigned(n: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    if n >= HALF { truncate(n - HALF).cast_unsigned() ^ (1 << 63) } else { truncate(n).cast_unsigned() }
}

/// What C's cast from double to long long gives on x86-64: the smallest integer for all that do not fit.
pub(crate) fn truncate(n: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&n) { n as i64 } else { i64::MIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g17_prints_as_glibc_does() {
        let cases: [(f64, &str); 14] = [
            (3.0, "3"),
            (-0.0, "-0"),
            (0.1, "0.10000000000000001"),
            (1.5, "1.5"),
            (1e20, "1e+20"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1e-5, "1.0000000000000001e-05"),
            (0.0001, "0.0001"),
            (12345.678, "12345.678"),
            (1e100, "1e+100"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
        ];
        for (n, text) in cases {
            let mut out = Vec::new();
            push_g17(&mut out, n);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }

    #[test]
    fn the_shortest_text_is_that_of_redis_8() {
        let cases: [(f64, &str); 10] = [
            (0.1, "0.1"),
            (1e17, "100000000000000000"),
            (1e20, "1e+20"),
            (123_456_789_012_345_678.0, "123456789012345680"),
            (-0.0, "0"),
            (1e-5, "0.00001"),
            (0.000_012_34, "1.234e-5"),
            (9_223_372_036_854_775_808.0, "9223372036854776000"),
            (5e-324, "5e-324"),
            (-12_345_678.9, "-12345678.9"),
        ];
        for (n, text) in cases {
            let mut out = Vec::new();
            push_shortest(&mut out, n);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }

    #[test]
    fn truncation_saturates_to_the_smallest() {
        assert_eq!(truncate(3.99), 3);
        assert_eq!(truncate(-3.99), -3);
        assert_eq!(truncate(1e30), i64::MIN);
        assert_eq!(truncate(f64::NAN), i64::MIN);
        assert_eq!(truncate(9_223_372_036_854_775_808.0), i64::MIN);
    }
}
