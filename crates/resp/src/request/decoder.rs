//! The parser with a buffer to read into.

use bytes::{Buf, BytesMut};

use super::dialect::Dialect;
use super::frame::{Request, RequestRef};
use super::parser::{Mode, RequestParser};
use super::run::{Found, Run};
use crate::{Limits, ProtocolError};

/// Reads requests out of one growing buffer.
///
/// Fill it with [`feed`](Self::feed), or read a socket straight into [`buffer_mut`](Self::buffer_mut); then call
/// [`next_ref`](Self::next_ref) (borrows, counts no reference) or [`next`](Self::next) (shares the buffer) until
/// it answers `None`.
#[derive(Debug)]
pub struct RequestDecoder {
    parser: RequestParser,
    buffer: BytesMut,
    /// Length of the request handed out by reference; dropped when the buffer is next touched.
    lent: usize,
    /// Length of a request that is found already: the next one to give out.
    found: Option<usize>,
    together: Found,
}

impl RequestDecoder {
    /// A decoder for what clients send.
    pub fn new(limits: Limits) -> Self {
        Self::with_buffer(limits, Mode::Client, BytesMut::new())
    }

    /// A decoder for a primary's command stream.
    pub fn stream(limits: Limits) -> Self {
        Self::with_buffer(limits, Mode::Stream, BytesMut::new())
    }

    /// A decoder that begins with bytes another reader left over, such as the end of a transfer.
    pub fn with_buffer(limits: Limits, mode: Mode, buffer: BytesMut) -> Self {
        let parser = RequestParser::new(limits, mode);
        Self { parser, buffer, lent: 0, found: None, together: Found::default() }
    }

    /// Whether the small limits before AUTH apply (10 arguments, 16384 bytes each). They do not at first.
    pub const fn set_authenticated(&mut self, authenticated: bool) {
        self.parser.set_authenticated(authenticated);
    }

    /// Reads as that server does; as Redis at first.
    pub const fn set_dialect(&mut self, dialect: Dialect) {
        self.parser.set_dialect(dialect);
    }

    /// Changes [`Limits::bulk_len`] and [`Limits::frame_len`]; what was found already stays good.
    pub fn set_limits(&mut self, bulk_len: u64, frame_len: u64) {
        self.parser.set_limits(bulk_len, frame_len);
    }

    /// Appends bytes from the peer.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer_mut().extend_from_slice(bytes);
    }

    /// The buffer, to append to. Changing what is already in it confuses the decoder.
    pub fn buffer_mut(&mut self) -> &mut BytesMut {
        self.release();
        &mut self.buffer
    }

    /// Bytes received and not yet given out.
    pub fn buffered(&self) -> usize {
        self.buffer.len().saturating_sub(self.lent)
    }

    /// Gives back what has not been given out, for another reader. May begin in the middle of a request.
    pub fn into_buffer(mut self) -> BytesMut {
        self.release();
        self.buffer
    }

    /// The next request, sharing the buffer; `None` until one is whole.
    ///
    /// # Errors
    /// The peer broke the protocol. The same error is repeated for ever.
    #[expect(clippy::should_implement_trait, reason = "None means not yet, so it is no iterator")]
    pub fn next(&mut self) -> Result<Option<Request>, ProtocolError> {
        let Some(wire_len) = self.parse()? else { return Ok(None) };
        let wire = self.buffer.split_to(wire_len).freeze();
        let request = match self.parser.unescaped() {
            None => Request::new(wire, self.parser.spans()),
            Some(text) => Request::join(&wire, text, self.parser.spans()),
        };
        Ok(Some(request))
    }

    /// The next request, borrowed; `None` until one is whole.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    #[inline]
    pub fn next_ref(&mut self) -> Result<Option<RequestRef<'_>>, ProtocolError> {
        let Some(wire_len) = self.parse()? else { return Ok(None) };
        self.lent = wire_len;
        let wire = self.buffer.get(..wire_len).unwrap_or_default();
        Ok(Some(self.parser.request(wire)))
    }

    /// The next requests that are whole, as far as `wants` says so, at most `most` of them. None: not yet, or the
    /// next one is not wanted, or was quoted by hand; [`next_ref`](Self::next_ref) has it, without another search.
    ///
    /// # Errors
    /// As [`next`](Self::next), after the requests that stood before.
    pub fn next_run(
        &mut self,
        most: usize,
        mut wants: impl FnMut(&RequestRef<'_>) -> bool,
    ) -> Result<Run<'_>, ProtocolError> {
        self.release();
        self.together.clear();
        let mut at = 0;
        while self.together.len() < most {
            let rest = self.buffer.get(at..).unwrap_or_default();
            let parsed = match self.found.take() {
                None => self.parser.parse(rest),
                found => Ok(found),
            };
            let length = match parsed {
                Ok(Some(length)) => length,
                Ok(None) => break,
                Err(error) if self.together.len() == 0 => return Err(error),
                // It is repeated when its turn has come.
                Err(_) => break,
            };
            let request = self.parser.request(rest.get(..length).unwrap_or_default());
            if request.is_empty() || self.parser.unescaped().is_some() || !wants(&request) {
                self.found = Some(length);
                break;
            }
            self.together.add(length, request.spans());
            at += length;
        }
        self.lent = at;
        Ok(self.together.in_wire(self.buffer.get(..at).unwrap_or_default()))
    }

    #[inline]
    fn parse(&mut self) -> Result<Option<usize>, ProtocolError> {
        loop {
            self.release();
            let parsed = match self.found.take() {
                None => self.parser.parse(&self.buffer)?,
                found => found,
            };
            match parsed {
                // Clients may send nothings (`*0`, empty lines); nobody wants to see them.
                Some(wire_len) if self.parser.spans().is_empty() && self.parser.mode() == Mode::Client => {
                    self.lent = wire_len;
                }
                parsed => return Ok(parsed),
            }
        }
    }

    #[inline]
    fn release(&mut self) {
        if self.lent != 0 {
            self.buffer.advance(self.lent.min(self.buffer.len()));
            self.lent = 0;
        }
    }
}
