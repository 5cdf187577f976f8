//! The reply parser with a buffer to read into.

use bytes::{Buf, BytesMut};

use super::parser::ValueParser;
use super::tree::Value;
use crate::{Limits, ProtocolError};

/// Reads replies out of one growing buffer.
///
/// ```
/// use resp::{Limits, Value, ValueDecoder};
///
/// let mut decoder = ValueDecoder::new(Limits::replies());
/// decoder.feed(b"*2\r\n:1\r\n$3\r\nf");
/// assert_eq!(decoder.next()?, None);
/// decoder.feed(b"oo\r\n");
/// assert_eq!(decoder.next()?, Some(Value::Array(vec![Value::Integer(1), Value::Bulk("foo".into())])));
/// # Ok::<(), resp::ProtocolError>(())
/// ```
#[derive(Debug)]
pub struct ValueDecoder {
    parser: ValueParser,
    buffer: BytesMut,
    keepalives: bool,
}

impl ValueDecoder {
    /// A decoder with an empty buffer.
    pub fn new(limits: Limits) -> Self {
        Self { parser: ValueParser::new(limits), buffer: BytesMut::new(), keepalives: false }
    }

    /// Passes over newlines between replies: a primary sends them while it prepares its answer to PSYNC.
    #[must_use]
    pub const fn with_keepalives(mut self) -> Self {
        self.keepalives = true;
        self
    }

    /// Appends bytes from the peer.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The buffer, to append to. Changing what is already in it confuses the decoder.
    pub const fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Bytes received and not yet given out.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Gives back what has not been given out, for another reader.
    pub fn into_buffer(self) -> BytesMut {
        self.buffer
    }

    /// The next reply; `None` until one is whole.
    ///
    /// # Errors
    /// The peer broke the protocol. The same error is repeated for ever.
    #[expect(clippy::should_implement_trait, reason = "None means not yet, so it is no iterator")]
    pub fn next(&mut self) -> Result<Option<Value>, ProtocolError> {
        if self.keepalives && self.parser.at_start() {
            let newlines = self.buffer.iter().take_while(|byte| **byte == b'\n').count();
            self.buffer.advance(newlines);
        }
        let Some(len) = self.parser.parse(&self.buffer)? else { return Ok(None) };
        let frame = self.buffer.split_to(len).freeze();
        Ok(Value::from_tape(&frame, self.parser.tokens()))
    }
}
