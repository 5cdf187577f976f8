//! Ids of entries as text.

use crate::error::CommandError;
use crate::reply::Reply;
use crate::value::stream::{MAX_ID, MIN_ID, StreamId};

/// The error for what is no id.
pub(super) const INVALID: CommandError =
    CommandError::err("Invalid stream ID specified as stream command argument");

/// What C's `strtoull` makes of all of a text: spaces may precede, and a sign, which may even be a minus where it is
/// not the first.
fn number(text: &[u8]) -> Option<u64> {
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'\x0b';
    let spaces = text.iter().take_while(|byte| is_space(byte)).count();
    let (minus, digits) = match &text[spaces..] {
        [b'-', digits @ ..] if spaces > 0 => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let n: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if minus { n.wrapping_neg() } else { n })
}

/// The longest text that is looked at.
const LONGEST: usize = 127;

/// `ms` and, if given, `seq`, of what stands before the first zero byte.
pub(super) fn parts(text: &[u8]) -> Option<(u64, Option<&[u8]>)> {
    if text.len() > LONGEST {
        return None;
    }
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut halves = text.splitn(2, |byte| *byte == b'-');
    Some((number(halves.next()?)?, halves.next()))
}

/// An id; a missing sequence number becomes `seq`.
pub(super) fn strict(text: &[u8], seq: u64) -> Result<StreamId, CommandError> {
    let (ms, given) = parts(text).ok_or(INVALID)?;
    let seq = given.map_or(Some(seq), number).ok_or(INVALID)?;
    Ok(StreamId { ms, seq })
}

/// The same, with `-` and `+` for the ends.
pub(super) fn bound(text: &[u8], seq: u64) -> Result<StreamId, CommandError> {
    match text {
        b"-" => Ok(MIN_ID),
        b"+" => Ok(MAX_ID),
        text => strict(text, seq),
    }
}

/// The sequence number of an explicit id.
pub(super) fn sequence(text: &[u8]) -> Result<u64, CommandError> {
    number(text).ok_or(INVALID)
}

/// `ms-seq`.
pub(super) fn text(id: StreamId) -> String {
    format!("{}-{}", id.ms, id.seq)
}

/// Writes an id.
pub(super) fn reply(id: StreamId, out: &mut dyn Reply) {
    let (mut first, mut second) = (itoa::Buffer::new(), itoa::Buffer::new());
    let (ms, seq) = (first.format(id.ms).as_bytes(), second.format(id.seq).as_bytes());
    // Two numbers of 20 digits at most, and what stands between them.
    let mut text = [b'-'; 41];
    let end = ms.len() + 1 + seq.len();
    text[..ms.len()].copy_from_slice(ms);
    text[ms.len() + 1..end].copy_from_slice(seq);
    out.bulk(&text[..end]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_strtoull_reads_them() {
        let id = |ms, seq| Ok(StreamId { ms, seq });
        for (text, read) in [
            ("1", id(1, 0)),
            (" \t1", id(1, 0)),
            ("+1-+2", id(1, 2)),
            ("007-07", id(7, 7)),
            ("1- 2", id(1, 2)),
            ("7- -5", id(7, u64::MAX - 4)),
            ("1\0-2", id(1, 0)),
            ("18446744073709551615", id(u64::MAX, 0)),
        ] {
            assert_eq!(strict(text.as_bytes(), 0), read, "{text:?}");
        }
        let long = format!("{}1", "0".repeat(127));
        for text in
            ["", "-", "1-", "-1", " -1", "1--1", "+ 1", "1 ", "0x1", "1-*", "18446744073709551616", &long]
        {
            assert_eq!(strict(text.as_bytes(), 0), Err(INVALID), "{text:?}");
        }
    }
}
