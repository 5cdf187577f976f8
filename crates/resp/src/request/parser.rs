//! The hot part: finds the arguments of a request in a slice, and remembers how far it came.
//!
//! ```text
//! *3\r\n $3\r\nSET\r\n $13\r\nkey:000000001\r\n $64\r\n....
//! ^ frame start                                        ^ pos: everything before it is done
//!        left = 3 ------- 2 ----------------- 1        body: the payload awaited, once its header is read
//! ```
//!
//! A frame begins at the first byte of the slice; positions are relative to it, so the caller may move the bytes
//! between calls as long as the frame stays at the front. Two things make it fast: headers of up to three digits
//! are matched as patterns, without a search for the line's end, and the spans go to a vector that is reused.
//!
//! As in the servers, a header's line ends at CR, and the byte behind it and the two behind a payload are
//! skipped unseen, unless the [`Dialect`] minds them. (Checked against Redis 7.0.15: `*1\rx$4\rxPINGxx` is a PING.)
//! A replica that were stricter than its primary would count another offset.
//!
//! The servers look for a client's line ends with functions that stop at NUL: a line with one in it never ends.

use super::dialect::Dialect;
use super::frame::{RequestRef, Span};
use super::inline;
use crate::number::parse_i64;
use crate::{Limits, ProtocolError};

/// Who is talking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// A client: inline commands are served, empty lines and `*0` are passed over.
    #[default]
    Client,
    /// A primary: an inline command means that the two sides lost each other. Empty lines and `*0` count in the
    /// replication offset, so they are given out as requests without arguments.
    Stream,
}

/// Finds requests in a slice that the caller owns.
///
/// ```
/// use resp::{Limits, Mode, RequestParser};
///
/// let mut parser = RequestParser::new(Limits::requests(), Mode::Client);
/// let bytes = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n";
/// assert_eq!(parser.parse(&bytes[..10])?, None);
/// let len = parser.parse(bytes)?.unwrap();
/// assert_eq!(parser.request(&bytes[..len]).arg(1), Some(&b"k"[..]));
/// assert_eq!(parser.parse(&bytes[len..])?, Some(6));
/// # Ok::<(), resp::ProtocolError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RequestParser {
    limits: Limits,
    frame_len: usize,
    mode: Mode,
    authenticated: bool,
    dialect: Dialect,
    /// Everything before this is parsed.
    pos: usize,
    /// Everything before this holds no end of the line that begins at `pos`.
    searched: usize,
    /// Arguments still to come; zero at the start of a frame.
    left: u64,
    /// The payload whose header is parsed and whose end is not yet here.
    body: Option<Span>,
    spans: Vec<Span>,
    /// The words of an inline command with quotes.
    text: Vec<u8>,
    escaped: bool,
    failed: Option<ProtocolError>,
}

/// Requests with more arguments than this give the memory of their spans back.
pub(super) const KEPT_SPANS: usize = 4096;
/// Before AUTH.
const UNAUTHENTICATED_ELEMENTS: u64 = 10;
/// Before AUTH.
const UNAUTHENTICATED_BULK_LEN: u64 = 16384;
/// Header lines of legal numbers are never longer, so a smaller line limit would forbid RESP itself.
const SHORTEST_LINE_LIMIT: usize = 32;

/// Positions are 32 bits wide.
fn frame_len(longest: u64) -> usize {
    usize::try_from(longest.min(u64::from(u32::MAX))).unwrap_or(usize::MAX)
}

impl RequestParser {
    /// A parser at the start of a request. Line limits below 32 bytes mean 32.
    pub fn new(limits: Limits, mode: Mode) -> Self {
        let limits = Limits { line_len: limits.line_len.max(SHORTEST_LINE_LIMIT), ..limits };
        Self {
            limits,
            frame_len: frame_len(limits.frame_len),
            mode,
            authenticated: true,
            dialect: Dialect::default(),
            pos: 0,
            searched: 0,
            left: 0,
            body: None,
            spans: Vec::new(),
            text: Vec::new(),
            escaped: false,
            failed: None,
        }
    }

    /// Whether the small limits before AUTH apply. They do not at first.
    pub const fn set_authenticated(&mut self, authenticated: bool) {
        self.authenticated = authenticated;
    }

    /// Reads as that server does; as Redis at first.
    pub const fn set_dialect(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    /// Changes [`Limits::bulk_len`] and [`Limits::frame_len`]; what was found already stays good.
    pub fn set_limits(&mut self, bulk_len: u64, longest: u64) {
        self.limits.bulk_len = bulk_len;
        self.frame_len = frame_len(longest);
    }

    /// Who is talking.
    #[inline]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Looks at `bytes`, which begin with the first byte of a request: the same bytes as in the last call and
    /// perhaps more, until a length is returned; then those behind that length.
    ///
    /// Returns the length of the request once it is whole. Each byte is looked at once, however often this is
    /// called; `O(arguments)` for the part that is new.
    ///
    /// # Errors
    /// The peer broke the protocol. The same error is repeated for ever.
    #[inline]
    pub fn parse(&mut self, bytes: &[u8]) -> Result<Option<usize>, ProtocolError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let parsed = self.advance(bytes);
        if let Err(error) = parsed {
            self.failed = Some(error);
        }
        parsed
    }

    /// The request found last; `wire` are its bytes, as many as [`parse`](Self::parse) said.
    #[inline]
    pub fn request<'a>(&'a self, wire: &'a [u8]) -> RequestRef<'a> {
        RequestRef::new(wire, self.unescaped().unwrap_or(wire), &self.spans)
    }

    /// Where the arguments of the request found last lie.
    #[inline]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// What the spans point into, if it is not the wire form.
    #[inline]
    pub(super) fn unescaped(&self) -> Option<&[u8]> {
        self.escaped.then_some(&self.text)
    }

    /// How many more bytes are certainly needed; zero if that is not known. A hint for reading, not a claim to
    /// allocate by.
    pub fn missing(&self, bytes: &[u8]) -> usize {
        self.body.map_or(0, |body| (body.range().end + 2).saturating_sub(bytes.len()))
    }

    #[inline]
    fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, ProtocolError> {
        if self.left == 0 {
            match bytes.first() {
                None => return Ok(None),
                Some(b'*') => match self.multibulk(bytes)? {
                    None => return Ok(None),
                    Some((0, end)) => return Ok(Some(self.finish(end))),
                    Some((elements, end)) => {
                        self.left = elements;
                        self.pos = end;
                    }
                },
                Some(_) => return self.inline(bytes),
            }
        }
        self.arguments(bytes)
    }

    #[inline]
    fn arguments(&mut self, bytes: &[u8]) -> Result<Option<usize>, ProtocolError> {
        let mut pos = self.pos;
        let mut left = self.left;
        let minds_line_ends = self.dialect.minds_line_ends();
        loop {
            let body = match self.body.take() {
                Some(body) => body,
                None => {
                    let rest = bytes.get(pos..).unwrap_or_default();
                    let (len, start) = match short_header(b'$', rest) {
                        Some((len, header)) if len <= self.limits.bulk_len => (len, pos + header),
                        _ => {
                            (self.pos, self.left) = (pos, left);
                            match self.bulk(bytes)? {
                                Some(found) => found,
                                None => return Ok(None),
                            }
                        }
                    };
                    self.span(start, len)?
                }
            };
            let end = body.range().end + 2;
            if bytes.len() < end {
                (self.pos, self.left, self.body) = (pos, left, Some(body));
                return Ok(None);
            }
            if minds_line_ends && bytes.get(body.range().end..end) != Some(b"\r\n") {
                return Err(ProtocolError::InvalidLineEnd);
            }
            self.spans.push(body);
            pos = end;
            left -= 1;
            if left == 0 {
                return Ok(Some(self.finish(end)));
            }
        }
    }

    /// A payload of `len` bytes at `start`, if it and its line end fit into a frame.
    #[inline]
    fn span(&self, start: usize, len: u64) -> Result<Span, ProtocolError> {
        let end = usize::try_from(len).ok().and_then(|len| start.checked_add(len));
        match end {
            Some(end) if end < self.frame_len.saturating_sub(1) => {
                match (u32::try_from(start), u32::try_from(end)) {
                    (Ok(start), Ok(end)) => Ok(Span::new(start, end)),
                    _ => Err(ProtocolError::FrameTooLong),
                }
            }
            _ => Err(ProtocolError::FrameTooLong),
        }
    }

    /// The next call begins a new frame; what was found stays readable until then.
    #[inline]
    const fn finish(&mut self, end: usize) -> usize {
        self.pos = 0;
        self.searched = 0;
        self.left = 0;
        end
    }

    #[inline]
    fn begin(&mut self) {
        self.spans.clear();
        self.escaped = false;
        if self.spans.capacity() > KEPT_SPANS {
            self.spans = Vec::new();
        }
    }

    /// Number of arguments, and where the first begins.
    #[inline]
    fn multibulk(&mut self, bytes: &[u8]) -> Result<Option<(u64, usize)>, ProtocolError> {
        self.begin();
        if let Some((elements, end)) = short_header(b'*', bytes)
            && elements <= self.limits.elements.min(UNAUTHENTICATED_ELEMENTS)
        {
            return Ok(Some((elements, end)));
        }
        let Some((line, end)) = self.header(bytes, ProtocolError::MultibulkCountTooLong)? else {
            return Ok(None);
        };
        self.check_line_end(bytes, end)?;
        let count = line.get(1..).and_then(parse_i64).ok_or(ProtocolError::InvalidMultibulkLength)?;
        // `*-1` and `*0` command nothing and are no error.
        let count = u64::try_from(count).unwrap_or(0);
        if count > self.limits.elements {
            return Err(ProtocolError::InvalidMultibulkLength);
        }
        if count > UNAUTHENTICATED_ELEMENTS && !self.authenticated {
            return Err(ProtocolError::UnauthenticatedMultibulkLength);
        }
        Ok(Some((count, end)))
    }

    /// Length of the argument whose header is at `pos`, and where it begins.
    #[cold]
    fn bulk(&mut self, bytes: &[u8]) -> Result<Option<(u64, usize)>, ProtocolError> {
        let Some((line, end)) = self.header(bytes, ProtocolError::BulkCountTooLong)? else {
            return Ok(None);
        };
        let digits = match line {
            [b'$', digits @ ..] => digits,
            [other, ..] => return Err(ProtocolError::ExpectedBulk(*other)),
            [] => return Err(ProtocolError::ExpectedBulk(b'\r')),
        };
        self.check_line_end(bytes, end)?;
        let len = parse_i64(digits).and_then(|len| u64::try_from(len).ok());
        let len = len.filter(|&len| len <= self.limits.bulk_len).ok_or(ProtocolError::InvalidBulkLength)?;
        if len > UNAUTHENTICATED_BULK_LEN && !self.authenticated {
            return Err(ProtocolError::UnauthenticatedBulkLength);
        }
        Ok(Some((len, end)))
    }

    /// The line at `pos` up to CR, and where the next begins.
    fn header<'b>(
        &mut self,
        bytes: &'b [u8],
        too_long: ProtocolError,
    ) -> Result<Option<(&'b [u8], usize)>, ProtocolError> {
        let Some(cr) = self.find(b'\r', bytes, too_long)? else { return Ok(None) };
        if bytes.len() < cr + 2 {
            return Ok(None);
        }
        self.searched = 0;
        Ok(Some((bytes.get(self.pos..cr).unwrap_or_default(), cr + 2)))
    }

    /// Whether the line before `end` ends as the dialect wants it.
    fn check_line_end(&self, bytes: &[u8], end: usize) -> Result<(), ProtocolError> {
        let is_good = !self.dialect.minds_line_ends() || bytes.get(end - 1) == Some(&b'\n');
        if is_good { Ok(()) } else { Err(ProtocolError::InvalidLineEnd) }
    }

    /// Where the line that begins at `pos` has its `end` byte. The search resumes where the last one stopped.
    fn find(
        &mut self,
        end: u8,
        bytes: &[u8],
        too_long: ProtocolError,
    ) -> Result<Option<usize>, ProtocolError> {
        let from = self.searched.max(self.pos);
        let limit = self.pos.saturating_add(self.limits.line_len).saturating_add(1);
        let window = bytes.get(from..bytes.len().min(limit)).unwrap_or_default();
        // Valkey looks for the end of a header's line beyond a NUL.
        let is_header = end == b'\r';
        let stops_at_nul = self.mode == Mode::Client && !(is_header && self.dialect.minds_line_ends());
        let found = match stops_at_nul {
            true => memchr::memchr2(end, 0, window),
            false => memchr::memchr(end, window),
        };
        // From a NUL the next search begins, and finds it again.
        self.searched = found.map_or(bytes.len(), |at| from + at);
        match found.filter(|&at| window.get(at) == Some(&end)) {
            Some(at) => Ok(Some(from + at)),
            None if bytes.len() >= limit => Err(too_long),
            None => Ok(None),
        }
    }

    #[cold]
    fn inline(&mut self, bytes: &[u8]) -> Result<Option<usize>, ProtocolError> {
        self.begin();
        if self.mode == Mode::Stream {
            return match bytes {
                [b'\n', ..] => Ok(Some(self.finish(1))),
                [b'\r', b'\n', ..] => Ok(Some(self.finish(2))),
                [b'\r'] => Ok(None),
                _ => Err(ProtocolError::InlineFromPrimary),
            };
        }
        let Some(lf) = self.find(b'\n', bytes, ProtocolError::InlineTooLong)? else { return Ok(None) };
        let line = bytes.get(..lf).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if lf >= self.frame_len {
            return Err(ProtocolError::FrameTooLong);
        }
        let split = if inline::is_plain(line, self.dialect) {
            inline::split_plain(line, &mut self.spans)
        } else {
            self.escaped = true;
            self.text.clear();
            inline::split(line, self.dialect, &mut self.text, &mut self.spans)
        };
        split.ok_or(ProtocolError::UnbalancedQuotes)?;
        Ok(Some(self.finish(lf + 1)))
    }
}

/// A header of `kind` with one to three digits: the number, and the length of the line with its end.
///
/// Anything else, such as a longer number, another line end, an error, or too few bytes, is `None` and takes the slow path.
#[inline(always)]
pub(crate) fn short_header(kind: u8, bytes: &[u8]) -> Option<(u64, usize)> {
    let digit = |byte: u8| u64::from(byte - b'0');
    match *bytes {
        [first, a @ b'0'..=b'9', b'\r', b'\n', ..] if first == kind => Some((digit(a), 4)),
        [first, a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', b'\n', ..] if first == kind => {
            Some((digit(a) * 10 + digit(b), 5))
        }
        [first, a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'\r', b'\n', ..] if first == kind => {
            Some((digit(a) * 100 + digit(b) * 10 + digit(c), 6))
        }
        _ => None,
    }
}
