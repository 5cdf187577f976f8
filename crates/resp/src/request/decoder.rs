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
        wants: impl FnMut(&RequestRef<'_>) -> bool,
    ) -> Result<Run<'_>, ProtocolError> {
        self.release();
        let Self { parser, buffer, found, together, .. } = self;
        self.lent = find_run(parser, found, together, buffer, most, wants)?;
        Ok(self.together.in_wire(self.buffer.get(..self.lent).unwrap_or_default()))
    }

    /// The same where the bytes lie that have just come, without a copy of them. Only for as long as nothing is
    /// [buffered](Self::buffered): otherwise there is none. What is behind the run has still to be fed, or to be looked at
    /// by another call.
    ///
    /// ```
    /// use resp::{Limits, RequestDecoder};
    ///
    /// let mut decoder = RequestDecoder::stream(Limits::stream());
    /// let came = b"*2\r\n$3\r\nDEL\r\n$1\r\na\r\n*2\r\n$3\r\nDEL\r\n$1";
    /// let run = decoder.next_run_of(came, 32, |_| true)?;
    /// assert_eq!((run.len(), run.raw().len()), (1, 20));
    /// decoder.feed(&came[20..]);
    /// decoder.feed(b"\r\nb\r\n");
    /// assert_eq!(decoder.next_ref()?.unwrap().arg(1), Some(&b"b"[..]));
    /// # Ok::<(), resp::ProtocolError>(())
    /// ```
    ///
    /// # Errors
    /// As [`next_run`](Self::next_run).
    pub fn next_run_of<'r>(
        &'r mut self,
        bytes: &'r [u8],
        most: usize,
        wants: impl FnMut(&RequestRef<'_>) -> bool,
    ) -> Result<Run<'r>, ProtocolError> {
        self.release();
        let Self { parser, buffer, found, together, .. } = self;
        let most = if buffer.is_empty() { most } else { 0 };
        let length = find_run(parser, found, together, bytes, most, wants)?;
        // The one behind it may not be fed as a whole: it is looked for once more.
        *found = None;
        Ok(self.together.in_wire(bytes.get(..length).unwrap_or_default()))
    }

    /// Takes back what has been fed last and not been given out, for who has these bytes still, and goes on with
    /// [`next_run_of`](Self::next_run_of) from there. Answers how many they are.
    pub fn unfeed(&mut self) -> usize {
        self.release();
        let count = self.buffer.len();
        self.buffer.clear();
        count
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

/// Puts the requests at the front of `bytes` together, as far as they are whole and wanted; answers how long they are.
fn find_run(
    parser: &mut RequestParser,
    found: &mut Option<usize>,
    together: &mut Found,
    bytes: &[u8],
    most: usize,
    mut wants: impl FnMut(&RequestRef<'_>) -> bool,
) -> Result<usize, ProtocolError> {
    together.clear();
    let mut at = 0;
    while together.len() < most {
        let rest = bytes.get(at..).unwrap_or_default();
        let parsed = match found.take() {
            None => parser.parse(rest),
            found => Ok(found),
        };
        let length = match parsed {
            Ok(Some(length)) => length,
            Ok(None) => break,
            Err(error) if together.len() == 0 => return Err(error),
            // It is repeated when its turn has come.
            Err(_) => break,
        };
        let request = parser.request(rest.get(..length).unwrap_or_default());
        if request.is_empty() || parser.unescaped().is_some() || !wants(&request) {
            *found = Some(length);
            break;
        }
        together.add(length, request.spans());
        at += length;
    }
    Ok(at)
}
