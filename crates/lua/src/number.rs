//! Numbers as C's `%.17g` prints them, which is how Redis hands Lua numbers to commands.

use std::io::Write as _;

/// Appends `n` as `printf("%.17g")` does.
pub(crate) fn push_g17(out: &mut Vec<u8>, n: f64) {
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
    if n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0 && !(n == 0.0 && n.is_sign_negative()) {
        push_integer(out, n as i64);
        return;
    }
    let scientific = format!("{n:.16e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits: String = digits.chars().filter(|c| *c != '.').collect();
    let kept = digits.trim_end_matches('0');
    let kept = if kept.is_empty() { "0" } else { kept };
    out.extend_from_slice(sign.as_bytes());
    if !(-4..17).contains(&exponent) {
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
    fn truncation_saturates_to_the_smallest() {
        assert_eq!(truncate(3.99), 3);
        assert_eq!(truncate(-3.99), -3);
        assert_eq!(truncate(1e30), i64::MIN);
        assert_eq!(truncate(f64::NAN), i64::MIN);
        assert_eq!(truncate(9_223_372_036_854_775_808.0), i64::MIN);
    }
}
