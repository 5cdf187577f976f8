//! An element of a packed list: a byte string, or an integer that stands for its decimal text.

/// An element of a listpack or ziplist.
///
/// Writers store a string as an integer when it is the canonical decimal of a 64-bit integer, so the two forms
/// are the same value to a client. Compare with [`Item::eq_bytes`], not with `==`, unless the form matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// Bytes as they are.
    Str(&'a [u8]),
    /// Stands for its canonical decimal text.
    Int(i64),
}

impl<'a> Item<'a> {
    /// The bytes that a client sees. Integers are printed into `buf`; strings are lent from the blob.
    ///
    /// ```
    /// use rdb::encoding::Item;
    /// assert_eq!(Item::Int(-42).to_bytes(&mut [0; 20]), b"-42");
    /// assert_eq!(Item::Str(b"abc").to_bytes(&mut [0; 20]), b"abc");
    /// ```
    #[inline]
    pub fn to_bytes<'b>(&self, buf: &'b mut [u8; 20]) -> &'b [u8]
    where
        'a: 'b,
    {
        match *self {
            Self::Str(s) => s,
            Self::Int(v) => print_i64(v, buf),
        }
    }

    /// The same, in a vector of its own.
    pub fn to_vec(&self) -> Vec<u8> {
        self.to_bytes(&mut [0; 20]).to_vec()
    }

    /// Length in bytes of what a client sees.
    #[inline]
    pub fn len(&self) -> usize {
        match *self {
            Self::Str(s) => s.len(),
            Self::Int(v) => decimal_len(v),
        }
    }

    /// Whether a client sees the empty string.
    #[inline]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Str([]))
    }

    /// Whether a client sees exactly these bytes.
    #[inline]
    pub fn eq_bytes(&self, bytes: &[u8]) -> bool {
        match *self {
            Self::Str(s) => s == bytes,
            Self::Int(v) => bytes.len() <= 20 && parse_canonical_i64(bytes) == Some(v),
        }
    }

    /// The integer that the text stands for, in either form; `None` if it is not a canonical 64-bit decimal.
    #[inline]
    pub fn as_int(&self) -> Option<i64> {
        match *self {
            Self::Str(s) => parse_canonical_i64(s),
            Self::Int(v) => Some(v),
        }
    }
}

/// The integer of which `text` is the canonical decimal: no sign but a needed `-`, no leading zero, 64 bits.
///
/// Exactly these strings are stored as integers in listpacks (checked against Redis 7.0.15).
///
/// ```
/// use rdb::encoding::parse_canonical_i64;
/// assert_eq!(parse_canonical_i64(b"-9223372036854775808"), Some(i64::MIN));
/// assert_eq!(parse_canonical_i64(b"-0"), None);
/// assert_eq!(parse_canonical_i64(b"007"), None);
/// ```
#[inline]
pub fn parse_canonical_i64(text: &[u8]) -> Option<i64> {
    // Most strings that are no integer show it at their first byte.
    let (negative, digits) = match text {
        [b'1'..=b'9', ..] => (false, text),
        [b'0'] => return Some(0),
        [b'-', digits @ ..] if matches!(digits.first(), Some(b'1'..=b'9')) => (true, digits),
        _ => return None,
    };
    if digits.len() > 19 {
        return None;
    }
    // 19 digits are below 10^19 and so fit a u64.
    let mut magnitude = 0_u64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

fn print_i64(value: i64, buf: &mut [u8; 20]) -> &[u8] {
    let mut rest = value.unsigned_abs();
    let mut at = buf.len();
    // A u64 has at most 20 digits, an i64 19 and a sign: the iterator never runs dry.
    for slot in buf.iter_mut().rev() {
        at = at.saturating_sub(1);
        *slot = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at = at.saturating_sub(1);
        if let Some(slot) = buf.get_mut(at) {
            *slot = b'-';
        }
    }
    buf.get(at..).unwrap_or_default()
}

fn decimal_len(value: i64) -> usize {
    let magnitude = value.unsigned_abs();
    usize::from(value < 0) + magnitude.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_canonical_decimals_are_integers() {
        for text in
            ["", "-", "-0", "+1", "01", " 1", "1 ", "1a", "9223372036854775808", "-9223372036854775809"]
        {
            assert_eq!(parse_canonical_i64(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_canonical_i64(b"99999999999999999999"), None);
        for value in [0, 1, -1, 9, 10, i64::MAX, i64::MIN] {
            assert_eq!(parse_canonical_i64(value.to_string().as_bytes()), Some(value));
        }
    }

    proptest! {
        #[test]
        fn integers_print_and_parse_as_std_does(value: i64, shift in 0..64_u32) {
            let value = value >> shift;
            let text = value.to_string();
            let item = Item::Int(value);
            prop_assert_eq!(item.to_vec(), text.as_bytes());
            prop_assert_eq!(item.len(), text.len());
            prop_assert!(item.eq_bytes(text.as_bytes()));
            prop_assert_eq!(parse_canonical_i64(text.as_bytes()), Some(value));
        }

        #[test]
        fn parsing_agrees_with_parse_then_print(text in "[-+0-9 a]{0,21}") {
            let expected = text.parse::<i64>().ok().filter(|v| v.to_string() == text);
            prop_assert_eq!(parse_canonical_i64(text.as_bytes()), expected);
        }
    }
}
