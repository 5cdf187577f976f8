//! What a peer can do wrong.

use std::fmt;

/// The peer broke the protocol; the connection cannot be read any further.
///
/// Requests fail with the texts of a real server, without its `ERR ` prefix; [`ProtocolError::write_to`] gives
/// the exact bytes. Checked against Redis 7.0.15. Decoders are fused: they repeat their first error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The number after `*` is not a number, or is above [`Limits::elements`](crate::Limits::elements).
    InvalidMultibulkLength,
    /// The number after `$` is not a length, or is above [`Limits::bulk_len`](crate::Limits::bulk_len).
    InvalidBulkLength,
    /// No LF behind the CR of a line, or no CR LF behind an argument (see [`Dialect`](crate::Dialect)).
    InvalidLineEnd,
    /// An argument begins with this byte instead of `$`.
    ExpectedBulk(u8),
    /// No line end within [`Limits::line_len`](crate::Limits::line_len) after `*`.
    MultibulkCountTooLong,
    /// No line end within [`Limits::line_len`](crate::Limits::line_len) after `$`.
    BulkCountTooLong,
    /// No line end within [`Limits::line_len`](crate::Limits::line_len) of an inline command.
    InlineTooLong,
    /// A quote of an inline command is not closed, or its end touches the next word.
    UnbalancedQuotes,
    /// More than 10 arguments before AUTH.
    UnauthenticatedMultibulkLength,
    /// More than 16384 bytes in one argument before AUTH.
    UnauthenticatedBulkLength,
    /// An inline command on a replication link: the two sides no longer agree where they are.
    InlineFromPrimary,
    /// A request or reply would outgrow [`Limits::frame_len`](crate::Limits::frame_len).
    FrameTooLong,
    /// A reply begins with a byte that names no type.
    UnknownType(u8),
    /// A line of a reply is malformed: a bare CR or LF, or longer than allowed.
    InvalidLine,
    /// The text of a number, boolean or null does not follow its grammar.
    InvalidScalar(u8),
    /// The length of this type is malformed or above its limit.
    InvalidLength(u8),
    /// A bulk of a reply is not followed by CR LF.
    MissingTerminator,
    /// Aggregates nest deeper than [`Limits::depth`](crate::Limits::depth).
    TooDeep,
    /// `.` where no streamed aggregate is open, or after a key without a value.
    UnexpectedEnd,
    /// The primary gave up a transfer: an error line or a negative length in place of the header.
    TransferRefused,
}

impl ProtocolError {
    /// Appends the text of an error reply, without `-`, `ERR ` and line end, byte for byte as a server sends it.
    ///
    /// Differs from `Display` in one case: the foreign byte of [`ExpectedBulk`](Self::ExpectedBulk) is copied
    /// raw, even if it is not UTF-8.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        match *self {
            Self::ExpectedBulk(byte) => {
                out.extend_from_slice(b"Protocol error: expected '$', got '");
                out.push(printable(byte));
                out.push(b'\'');
            }
            _ => out.extend_from_slice(self.to_string().as_bytes()),
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        match *self {
            Self::InvalidMultibulkLength => f.write_str("invalid multibulk length"),
            Self::InvalidBulkLength => f.write_str("invalid bulk length"),
            Self::InvalidLineEnd => f.write_str("invalid CRLF in request"),
            Self::ExpectedBulk(byte) => write!(f, "expected '$', got '{}'", char::from(printable(byte))),
            Self::MultibulkCountTooLong => f.write_str("too big mbulk count string"),
            Self::BulkCountTooLong => f.write_str("too big bulk count string"),
            Self::InlineTooLong => f.write_str("too big inline request"),
            Self::UnbalancedQuotes => f.write_str("unbalanced quotes in request"),
            Self::UnauthenticatedMultibulkLength => f.write_str("unauthenticated multibulk length"),
            Self::UnauthenticatedBulkLength => f.write_str("unauthenticated bulk length"),
            Self::InlineFromPrimary => f.write_str("Master using the inline protocol. Desync?"),
            Self::FrameTooLong => f.write_str("query buffer limit exceeded"),
            Self::UnknownType(byte) => write!(f, "unknown reply type '{}'", byte.escape_ascii()),
            Self::InvalidLine => f.write_str("malformed line"),
            Self::InvalidScalar(byte) => write!(f, "malformed value of type '{}'", byte.escape_ascii()),
            Self::InvalidLength(byte) => write!(f, "invalid length of type '{}'", byte.escape_ascii()),
            Self::MissingTerminator => f.write_str("bulk not followed by CRLF"),
            Self::TooDeep => f.write_str("aggregates nest too deep"),
            Self::UnexpectedEnd => f.write_str("unexpected end of a streamed aggregate"),
            Self::TransferRefused => f.write_str("the primary refused the transfer"),
        }
    }
}

impl std::error::Error for ProtocolError {}

/// A line end inside an error reply would end it early; servers put spaces.
fn printable(byte: u8) -> u8 {
    if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_bytes_are_shown_as_redis_7_0_15_shows_them() {
        let text = |byte| {
            let mut out = Vec::new();
            ProtocolError::ExpectedBulk(byte).write_to(&mut out);
            out
        };
        assert_eq!(text(b'x'), b"Protocol error: expected '$', got 'x'");
        assert_eq!(text(b'\r'), b"Protocol error: expected '$', got ' '");
        assert_eq!(text(0xff), b"Protocol error: expected '$', got '\xff'");
        assert_eq!(text(1), b"Protocol error: expected '$', got '\x01'");
    }
}
