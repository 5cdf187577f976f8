//! Ids of entries as text.

use crate::error::CommandError;
use crate::reply::Reply;
use crate::value::stream::{MAX_ID, MIN_ID, StreamId};

/// The error for what is no id.
pub(super) const INVALID: CommandError =
    CommandError::err("Invalid stream ID specified as stream command argument");

fn number(text: &[u8]) -> Option<u64> {
    // Leading zeros and a plus sign are allowed, as strtoull does.
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `ms` and, if given, `seq`.
pub(super) fn parts(text: &[u8]) -> Option<(u64, Option<&[u8]>)> {
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
