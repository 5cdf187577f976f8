//! Sums of decimals as INCRBYFLOAT makes them: the servers compute with x86's 80-bit numbers and print them
//! with 17 decimals, so that is what a replica's text must come from. Integers do it here, on any machine.
//!
//! ```text
//! value = mantissa * 2^exponent      mantissa: 64 bits, the top one set unless the exponent is the least
//! ```
//!
//! Every step is exact and then rounded once, to the nearest, to the even one of two.

use std::cmp::Ordering;

/// The least exponent: 2^-16445 is the smallest number above 0.
const LEAST: i32 = -16445;
/// The greatest exponent of a whole mantissa.
const MOST: i32 = 16383 - 63;
/// Texts from this length on are no numbers to the servers.
const TOO_LONG: usize = 5 * 1024;
/// Decimal places that are printed, and their power of ten.
const PLACES: usize = 17;
const SCALE: u128 = 100_000_000_000_000_000;

/// An 80-bit floating-point number that is not NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extended {
    negative: bool,
    size: Size,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Infinite,
    Finite { mantissa: u64, exponent: i32 },
}

const ZERO: Size = Size::Finite { mantissa: 0, exponent: LEAST };

impl Extended {
    /// The number that all of `text` says, as C's `strtold` reads it; no space, no NaN, and nothing that is
    /// too large or too small to be told from infinity or zero.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() >= TOO_LONG {
            return None;
        }
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let size = if rest.eq_ignore_ascii_case(b"inf") || rest.eq_ignore_ascii_case(b"infinity") {
            Size::Infinite
        } else {
            let size = match rest {
                [b'0', b'x' | b'X', digits @ ..] => hexadecimal(digits)?,
                digits => decimal(digits)?,
            };
            if size == Size::Infinite {
                return None;
            }
            size
        };
        Some(Self { negative, size })
    }

    pub(crate) fn is_finite(self) -> bool {
        self.size != Size::Infinite
    }

    /// The sum; `None` if it is not finite.
    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        let (Size::Finite { mantissa: a, exponent: e }, Size::Finite { mantissa: b, exponent: f }) =
            (self.size, other.size)
        else {
            return None;
        };
        let ((large, a, e), (small, b, f)) =
            if (e, a) >= (f, b) { ((self, a, e), (other, b, f)) } else { ((other, b, f), (self, a, e)) };
        // The larger one stands 62 bits up: room for a carry above, and for what rounding asks below.
        let down = e.abs_diff(f);
        let (a, b) = (u128::from(a) << 62, u128::from(b) << 62);
        let (part, lost) = if down < 128 { (b >> down, b & !(u128::MAX << down) != 0) } else { (0, b != 0) };
        let sum = if large.negative == small.negative { a + part } else { a - part - u128::from(lost) };
        match rounded(sum, e - 62, lost) {
            Size::Infinite => None,
            size => Some(Self { negative: large.negative, size }),
        }
    }

    /// With 17 decimal places, less the zeros at the end: `%.17Lf`, trimmed. Infinities do not get here.
    pub(crate) fn text(self) -> String {
        let Size::Finite { mantissa, exponent } = self.size else { return "inf".to_owned() };
        let (mut whole, mut fraction) = (String::new(), 0);
        if exponent >= 0 {
            whole = Natural::from(u128::from(mantissa)).shifted(exponent.unsigned_abs()).text();
        } else {
            let down = exponent.unsigned_abs();
            let mut integer = if down < 64 { mantissa >> down } else { 0 };
            let rest = if down < 64 { mantissa & !(u64::MAX << down) } else { mantissa };
            // Below 2^121; with 2^127 or more as denominator it is nearer to 0 than to 1.
            let scaled = u128::from(rest) * SCALE;
            if down < 127 {
                fraction = half_even(scaled >> down, scaled & !(u128::MAX << down), 1 << (down - 1), false);
            }
            if fraction == SCALE {
                (integer, fraction) = (integer + 1, 0);
            }
            whole.push_str(itoa::Buffer::new().format(integer));
        }
        let mut text = String::with_capacity(whole.len() + PLACES + 2);
        if self.negative && (whole != "0" || fraction != 0) {
            text.push('-');
        }
        text.push_str(&whole);
        if fraction != 0 {
            let digits = format!(".{fraction:0PLACES$}");
            text.push_str(digits.trim_end_matches('0'));
        }
        text
    }
}

/// `quotient`, or one more if what is left over (`rest`, `more` beyond it) is above half, or half and odd.
fn half_even(quotient: u128, rest: u128, half: u128, more: bool) -> u128 {
    let up = match rest.cmp(&half) {
        Ordering::Less => false,
        Ordering::Equal => more || quotient & 1 == 1,
        Ordering::Greater => true,
    };
    quotient + u128::from(up)
}

/// `value * 2^exponent`, and a little more if `more`, as the nearest number there is. `value` has at least 66
/// bits, or `more` is false.
fn rounded(value: u128, exponent: i32, more: bool) -> Size {
    if value == 0 {
        return ZERO;
    }
    let bits = 128 - value.leading_zeros() as i32;
    let to = (exponent + bits - 64).max(LEAST);
    let (mut mantissa, mut to) = match to - exponent {
        down @ 1..128 => {
            let rest = value & !(u128::MAX << down);
            (half_even(value >> down, rest, 1 << (down - 1), more), to)
        }
        128.. => return ZERO,
        // Fewer bits than a mantissa has.
        up => (value << up.unsigned_abs(), to),
    };
    if mantissa >> 64 != 0 {
        (mantissa, to) = (mantissa >> 1, to + 1);
    }
    match u64::try_from(mantissa) {
        Ok(0) => ZERO,
        Ok(mantissa) if to <= MOST => Size::Finite { mantissa, exponent: to },
        _ => Size::Infinite,
    }
}

/// The digits before and after the point, where the point stands, and what follows them.
fn digits(text: &[u8], is_digit: fn(&u8) -> bool) -> Option<(Vec<u8>, usize, &[u8])> {
    let before = text.iter().take_while(|byte| is_digit(byte)).count();
    let (whole, mut rest) = text.split_at(before);
    let mut all = whole.to_vec();
    if let [b'.', behind @ ..] = rest {
        let after = behind.iter().take_while(|byte| is_digit(byte)).count();
        let (fraction, end) = behind.split_at(after);
        all.extend_from_slice(fraction);
        rest = end;
    }
    let places = all.len() - before;
    (!all.is_empty()).then_some((all, places, rest))
}

/// An exponent, which must be all that is left; far beyond what matters it stays where it is.
fn exponent(text: &[u8], mark: u8) -> Option<i32> {
    let [first, rest @ ..] = text else { return Some(0) };
    if first.to_ascii_lowercase() != mark {
        return None;
    }
    let (negative, digits) = match rest {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let n = digits.iter().fold(0, |n: i32, digit| (n * 10 + i32::from(digit - b'0')).min(1_000_000));
    Some(if negative { -n } else { n })
}

fn hexadecimal(text: &[u8]) -> Option<Size> {
    let (all, places, rest) = digits(text, u8::is_ascii_hexdigit)?;
    let mut power = exponent(rest, b'p')? - 4 * i32::try_from(places).ok()?;
    let (mut value, mut more) = (0_u128, false);
    for digit in all {
        let digit = u128::from(char::from(digit).to_digit(16)?);
        if value >> 120 == 0 {
            value = value << 4 | digit;
        } else {
            more |= digit != 0;
            power += 4;
        }
    }
    let size = rounded(value, power, more);
    // Too small to be told from zero is an error, zero is not.
    (value == 0 || size != ZERO).then_some(size)
}

fn decimal(text: &[u8]) -> Option<Size> {
    let (mut all, places, rest) = digits(text, u8::is_ascii_digit)?;
    let mut power = exponent(rest, b'e')? - i32::try_from(places).ok()?;
    let zeros = all.iter().rev().take_while(|digit| **digit == b'0').count();
    all.truncate(all.len() - zeros);
    power += i32::try_from(zeros).ok()?;
    let zeros = all.iter().take_while(|digit| **digit == b'0').count();
    let all = &all[zeros..];
    if all.is_empty() {
        return Some(ZERO);
    }
    // The place of the first digit tells what is out of reach before anything large is computed.
    let first = power + i32::try_from(all.len()).ok()?;
    if !(-4960..=4940).contains(&first) {
        return None;
    }
    let (mut above, mut below) = (Natural::of_decimal(all), Natural::from(1));
    if power >= 0 { &mut above } else { &mut below }.times_ten_to(power.unsigned_abs());
    // A quotient of 66 or 67 bits.
    let up = 66 - (above.bits() - below.bits());
    if up >= 0 {
        above = above.shifted(up.unsigned_abs());
    } else {
        below = below.shifted(up.unsigned_abs());
    }
    let (quotient, more) = above.divided_by(below);
    let size = rounded(quotient, -up, more);
    (size != ZERO).then_some(size)
}

/// A natural number of any length, lowest word first, no zeros on top.
#[derive(Debug, Clone)]
struct Natural(Vec<u32>);

impl From<u128> for Natural {
    fn from(mut n: u128) -> Self {
        let mut words = Vec::with_capacity(4);
        while n != 0 {
            words.push(n as u32);
            n >>= 32;
        }
        Self(words)
    }
}

impl Natural {
    fn of_decimal(digits: &[u8]) -> Self {
        let mut n = Self(Vec::new());
        for piece in digits.chunks(9) {
            let value = piece.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
            n.times(10_u32.pow(piece.len() as u32), value);
        }
        n
    }

    /// `self * by + plus`
    fn times(&mut self, by: u32, plus: u32) {
        let mut carry = u64::from(plus);
        for word in &mut self.0 {
            carry += u64::from(*word) * u64::from(by);
            *word = carry as u32;
            carry >>= 32;
        }
        if carry != 0 {
            self.0.push(carry as u32);
        }
    }

    fn times_ten_to(&mut self, power: u32) {
        (0..power / 9).for_each(|_| self.times(1_000_000_000, 0));
        self.times(10_u32.pow(power % 9), 0);
    }

    fn bits(&self) -> i32 {
        let top = self.0.last().map_or(0, |word| 32 - word.leading_zeros());
        (self.0.len().saturating_sub(1) as u32 * 32 + top).cast_signed()
    }

    fn shifted(&self, up: u32) -> Self {
        let mut words = vec![0; up as usize / 32];
        let mut carry = 0;
        for word in &self.0 {
            let wide = u64::from(*word) << (up % 32) | carry;
            words.push(wide as u32);
            carry = wide >> 32;
        }
        if carry != 0 {
            words.push(carry as u32);
        }
        Self(words)
    }

    /// The quotient, which has at most 68 bits, and whether something is left over.
    fn divided_by(mut self, by: Self) -> (u128, bool) {
        let mut by = by.shifted(67);
        let mut quotient = 0;
        for _ in 0..68 {
            quotient <<= 1;
            if self.is_at_least(&by) {
                self.minus(&by);
                quotient |= 1;
            }
            by.halve();
        }
        (quotient, !self.0.is_empty())
    }

    fn is_at_least(&self, other: &Self) -> bool {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev())).is_ge()
    }

    /// Takes off a number that is not larger.
    fn minus(&mut self, other: &Self) {
        let mut borrow = false;
        for (i, word) in self.0.iter_mut().enumerate() {
            let off = other.0.get(i).copied().unwrap_or(0);
            let (first, a) = word.overflowing_sub(off);
            let (second, b) = first.overflowing_sub(borrow.into());
            (*word, borrow) = (second, a || b);
        }
        self.trim();
    }

    fn halve(&mut self) {
        let mut carry = 0;
        for word in self.0.iter_mut().rev() {
            (*word, carry) = (*word >> 1 | carry, *word << 31);
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn text(mut self) -> String {
        let mut pieces = Vec::new();
        while !self.0.is_empty() {
            let mut rest = 0;
            for word in self.0.iter_mut().rev() {
                let wide = rest << 32 | u64::from(*word);
                *word = (wide / 1_000_000_000) as u32;
                rest = wide % 1_000_000_000;
            }
            pieces.push(rest);
            self.trim();
        }
        let mut text = pieces.pop().unwrap_or(0).to_string();
        for piece in pieces.iter().rev() {
            text.push_str(&format!("{piece:09}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(a: &str, b: &str) -> Option<String> {
        Some(Extended::parse(a.as_bytes())?.plus(Extended::parse(b.as_bytes())?)?.text())
    }

    #[test]
    fn sums_are_those_of_the_real_server() {
        // Asked of INCRBYFLOAT of Redis 7.0.15 on x86-64.
        for (a, b, expected) in [
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("0.1", "0.2", "0.3"),
            ("3", "1.2345678901234567890123", "4.23456789012345679"),
            ("1e18", "0.5", "1000000000000000000.5"),
            ("9007199254740993", "0", "9007199254740993"),
            ("0x10", "0x.8p1", "17"),
            ("-1e-18", "0", "0"),
            ("-1", "1", "0"),
            ("-80.235", "0", "-80.235"),
        ] {
            assert_eq!(sum(a, b).as_deref(), Some(expected), "{a} + {b}");
        }
        assert_eq!(sum("1e4932", "0").map(|text| text.len()), Some(4933));
    }

    #[test]
    fn what_is_no_number_or_beyond_reach_is_refused() {
        for text in [
            "",
            " 1",
            "1 ",
            "nan",
            "1e",
            "0x",
            "0xg",
            "1.2.3",
            ".",
            "e5",
            "1e5000",
            "1e-5000",
            "1e999999999999",
            "--1",
            "1_0",
        ] {
            assert_eq!(Extended::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(sum("inf", "1"), None);
        assert_eq!(sum("1.18e4932", "1.18e4932"), None);
    }

    #[test]
    fn a_half_goes_to_the_even_neighbour() {
        // 2^64 + 1 lies between two numbers, and so does 2^64 + 3.
        assert_eq!(sum("18446744073709551617", "0").as_deref(), Some("18446744073709551616"));
        assert_eq!(sum("18446744073709551619", "0").as_deref(), Some("18446744073709551620"));
        assert_eq!(sum("18446744073709551616", "1").as_deref(), Some("18446744073709551616"));
        assert_eq!(sum("18446744073709551616", "1.0000001").as_deref(), Some("18446744073709551618"));
        assert_eq!(sum("18446744073709551616", "-0.5").as_deref(), Some("18446744073709551616"));
        assert_eq!(sum("18446744073709551616", "-0.5000001").as_deref(), Some("18446744073709551615"));
    }
}
