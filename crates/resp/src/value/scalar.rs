//! The texts of RESP3's scalar types.

use crate::ProtocolError;
use crate::number::parse_i64;

/// `:` allows a plus sign and leading zeros, which lengths do not.
pub(super) fn integer(text: &[u8]) -> Result<i64, ProtocolError> {
    let error = ProtocolError::InvalidScalar(b':');
    let (sign, digits) = match text {
        [sign @ (b'+' | b'-'), digits @ ..] => (*sign, digits),
        digits => (b'+', digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(error);
    }
    digits
        .iter()
        .map(|byte| i64::from(byte.wrapping_sub(b'0')))
        .try_fold(0i64, |value, digit| {
            let value = value.checked_mul(10)?;
            if sign == b'-' { value.checked_sub(digit) } else { value.checked_add(digit) }
        })
        .ok_or(error)
}

/// `inf`, `-inf`, `nan` (old servers: `-nan`) or a decimal number.
pub(super) fn double(text: &[u8]) -> Result<f64, ProtocolError> {
    match text {
        b"inf" | b"+inf" => return Ok(f64::INFINITY),
        b"-inf" => return Ok(f64::NEG_INFINITY),
        b"nan" | b"-nan" => return Ok(f64::NAN),
        _ => {}
    }
    let number = text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    let value = std::str::from_utf8(text).ok().filter(|_| number).and_then(|text| text.parse().ok());
    value.ok_or(ProtocolError::InvalidScalar(b','))
}

/// `t` or `f`.
pub(super) fn boolean(text: &[u8]) -> Result<bool, ProtocolError> {
    match text {
        b"t" => Ok(true),
        b"f" => Ok(false),
        _ => Err(ProtocolError::InvalidScalar(b'#')),
    }
}

/// Decimal digits, as many as you like, perhaps behind a sign.
pub(super) fn big_number(text: &[u8]) -> Result<(), ProtocolError> {
    let digits = match text {
        [b'+' | b'-', digits @ ..] => digits,
        digits => digits,
    };
    let valid = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if valid { Ok(()) } else { Err(ProtocolError::InvalidScalar(b'(')) }
}

/// What a length may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes or elements follow.
    Known(u64),
    /// `-1`: RESP2's nulls.
    Null,
    /// `?`: until an end marker.
    Streamed,
}

/// The length behind the type byte `kind`.
pub(super) fn length(kind: u8, text: &[u8], limit: u64) -> Result<Length, ProtocolError> {
    let error = ProtocolError::InvalidLength(kind);
    if text == b"?" {
        return if matches!(kind, b'$' | b'*' | b'%' | b'~') { Ok(Length::Streamed) } else { Err(error) };
    }
    match parse_i64(text).ok_or(error)? {
        -1 if matches!(kind, b'$' | b'*') => Ok(Length::Null),
        len => u64::try_from(len).ok().filter(|&len| len <= limit).map(Length::Known).ok_or(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_numbers_or_the_three_words() {
        assert_eq!(double(b"1.5e3"), Ok(1500.0));
        assert_eq!(double(b"-inf"), Ok(f64::NEG_INFINITY));
        assert!(double(b"nan").unwrap().is_nan());
        for bad in [&b""[..], b"infinity", b"Inf", b"1e", b"0x1", b" 1", b"e", b"."] {
            assert_eq!(double(bad), Err(ProtocolError::InvalidScalar(b',')));
        }
    }

    #[test]
    fn integers_keep_to_64_bits() {
        assert_eq!(integer(b"+007"), Ok(7));
        assert_eq!(integer(b"-9223372036854775808"), Ok(i64::MIN));
        for bad in [&b""[..], b"+", b"9223372036854775808", b"1 ", b"--1"] {
            assert_eq!(integer(bad), Err(ProtocolError::InvalidScalar(b':')));
        }
    }

    #[test]
    fn only_four_types_can_be_streamed() {
        assert_eq!(length(b'*', b"?", 9), Ok(Length::Streamed));
        assert_eq!(length(b'>', b"?", 9), Err(ProtocolError::InvalidLength(b'>')));
        assert_eq!(length(b'$', b"-1", 9), Ok(Length::Null));
        assert_eq!(length(b'%', b"-1", 9), Err(ProtocolError::InvalidLength(b'%')));
        assert_eq!(length(b'$', b"10", 9), Err(ProtocolError::InvalidLength(b'$')));
    }
}
