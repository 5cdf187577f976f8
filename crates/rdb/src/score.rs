//! Scores as text.

use std::io::Write as _;

/// Appends a score as Redis prints it: the shortest decimal that reads back equal; an exponent if the plain form would
/// have seven zeros or more (so `1e+20`, as servers since 7.2 do); `inf` and `-inf`.
pub(crate) fn print_score(score: f64, out: &mut Vec<u8>) {
    if score.is_infinite() {
        out.extend_from_slice(if score > 0.0 { b"inf" } else { b"-inf" });
        return;
    }
    if score == 0.0 {
        out.extend_from_slice(if score.is_sign_negative() { b"-0" } else { b"0" });
        return;
    }
    // Rust's exponent form has the shortest digits: -d.ddde-x.
    let mut text = [0_u8; 32];
    let mut rest = &mut text[..];
    // At most 24 bytes.
    let _ = write!(rest, "{score:e}");
    let left = rest.len();
    let text = text.get(..32 - left).unwrap_or_default();
    let text = match text {
        [b'-', text @ ..] => {
            out.push(b'-');
            text
        }
        text => text,
    };
    let split = text.iter().position(|byte| *byte == b'e').unwrap_or(text.len());
    let (mantissa, exponent) = text.split_at(split);
    let exponent: i32 = std::str::from_utf8(exponent.get(1..).unwrap_or_default())
        .ok()
        .and_then(|exponent| exponent.parse().ok())
        .unwrap_or_default();
    let (whole, fraction) = match mantissa {
        [whole, b'.', fraction @ ..] => (*whole, fraction),
        [whole, ..] => (*whole, &[][..]),
        [] => (b'0', &[][..]),
    };
    let digits = 1 + i32::try_from(fraction.len()).unwrap_or_default();
    // The value is digits * 10^scale.
    let scale = exponent - (digits - 1);
    let zeros = |out: &mut Vec<u8>, n: i32| out.extend((0..n).map(|_| b'0'));
    if scale >= 0 && exponent < digits + 7 {
        out.push(whole);
        out.extend_from_slice(fraction);
        zeros(out, scale);
    } else if scale < 0 && (scale > -7 || exponent.abs() < 4) {
        if exponent < 0 {
            out.extend_from_slice(b"0.");
            zeros(out, -exponent - 1);
            out.push(whole);
            out.extend_from_slice(fraction);
        } else {
            let (before, behind) =
                fraction.split_at_checked(usize::try_from(exponent).unwrap_or_default()).unwrap_or_default();
            out.push(whole);
            out.extend_from_slice(before);
            out.push(b'.');
            out.extend_from_slice(behind);
        }
    } else {
        out.push(whole);
        if !fraction.is_empty() {
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
        out.push(b'e');
        out.push(if exponent < 0 { b'-' } else { b'+' });
        let _ = write!(out, "{}", exponent.abs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_print_as_servers_since_7_2_do() {
        for (score, text) in [
            (1.5, "1.5"),
            (3.0, "3"),
            (-0.0, "-0"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (0.1, "0.1"),
            (1e20, "1e+20"),
            (1e7, "10000000"),
            (1e8, "1e+8"),
            (123_456_789.0, "123456789"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (-2.5e-7, "-2.5e-7"),
            (0.001, "0.001"),
            (3.0e-6, "0.000003"),
            (1e-7, "1e-7"),
            (2.345678901234568, "2.345678901234568"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
        ] {
            let mut out = Vec::new();
            print_score(score, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }
}
