//! Replies as a flat tape of tokens over a slice the caller owns.
//!
//! ```text
//! %1\r\n +k\r\n *?\r\n :1\r\n :2\r\n .\r\n      a map whose value is a streamed array
//!
//! tape   Map 1, Simple "k", Array 2, Integer 1, Integer 2
//! open   [Map: 0 of 2] .. [Map: 1 of 2][Array: ?] .. [Map: 1 of 2]     (stack of aggregates not yet full)
//! ```
//!
//! Streamed forms get their count once their end is seen, so whoever reads the tape meets counted ones alone.
//! An attribute is an aggregate of its pairs and one element more, the value that it describes.

use super::scalar::{self, Length};
use crate::request::{Span, short_header};
use crate::{Limits, ProtocolError};

/// The aggregate types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `*`: elements.
    Array,
    /// `%`: pairs.
    Map,
    /// `~`: elements.
    Set,
    /// `>`: elements, outside the order of requests.
    Push,
    /// `|`: pairs, then the value that they describe.
    Attribute,
    /// `$?`: chunks of one string.
    Chunks,
}

/// One entry of the tape. Spans refer to the frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Token {
    /// `+`
    Simple(Span),
    /// `-`
    Error(Span),
    /// `:`
    Integer(i64),
    /// `$`, and the `;` parts of a streamed string.
    Bulk(Span),
    /// `$-1`
    NullBulk,
    /// `*-1`
    NullArray,
    /// `_`
    Null,
    /// `#`
    Boolean(bool),
    /// `,`
    Double(f64),
    /// `(`
    BigNumber(Span),
    /// `!`
    BulkError(Span),
    /// `=`: three letters, a colon, and the text.
    Verbatim(Span),
    /// An aggregate of so many elements or pairs, whose tokens follow.
    Aggregate(Kind, u32),
}

/// Finds replies in a slice that the caller owns.
#[derive(Debug, Clone)]
pub struct ValueParser {
    limits: Limits,
    frame_len: usize,
    /// Everything before this is parsed.
    pos: usize,
    /// Everything before this holds no end of the line that begins at `pos`.
    searched: usize,
    /// The payload whose header is parsed, and its type.
    body: Option<(u8, Span)>,
    open: Vec<Open>,
    tape: Vec<Token>,
    failed: Option<ProtocolError>,
}

/// An aggregate that is not full.
#[derive(Debug, Clone, Copy)]
struct Open {
    kind: Kind,
    /// Its place on the tape.
    token: usize,
    seen: u64,
    /// `None` while it is streamed.
    total: Option<u64>,
}

/// What one line brought.
enum Step {
    /// A whole value.
    Leaf(Token),
    /// The header of a payload.
    Body(u8, u64),
    /// The header of an aggregate.
    Open(Kind, Option<u64>),
    /// The end of what is streamed.
    Close,
}

/// Replies with more tokens than this give the memory back.
const KEPT_TOKENS: usize = 4096;
/// Of text.
const VERBATIM_PREFIX: u64 = 4;

impl ValueParser {
    /// A parser at the start of a reply. Line limits below 32 bytes mean 32.
    pub fn new(limits: Limits) -> Self {
        let limits = Limits {
            line_len: limits.line_len.max(32),
            // Counts on the tape are 32 bits wide.
            elements: limits.elements.min(u64::from(u32::MAX)),
            ..limits
        };
        let frame_len = usize::try_from(limits.frame_len.min(u64::from(u32::MAX))).unwrap_or(usize::MAX);
        Self {
            limits,
            frame_len,
            pos: 0,
            searched: 0,
            body: None,
            open: Vec::new(),
            tape: Vec::new(),
            failed: None,
        }
    }

    /// Looks at `bytes`, which begin with the first byte of a reply: the same bytes as in the last call and
    /// perhaps more, until a length is returned; then those behind that length.
    ///
    /// Returns the length of the reply once it is whole. Each byte is looked at once.
    ///
    /// # Errors
    /// The peer broke the protocol. The same error is repeated for ever.
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

    /// The tape of the reply found last.
    pub fn tokens(&self) -> &[Token] {
        &self.tape
    }

    /// Whether the next byte begins a reply.
    pub const fn at_start(&self) -> bool {
        self.pos == 0
    }

    fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, ProtocolError> {
        if self.pos == 0 && self.body.is_none() {
            self.tape.clear();
            if self.tape.capacity() > KEPT_TOKENS {
                self.tape = Vec::new();
            }
        }
        loop {
            if self.body.is_none() {
                self.short_bulk(bytes);
            }
            let whole = match self.body {
                Some((kind, span)) => {
                    let end = span.range().end;
                    let Some(terminator) = bytes.get(end..end + 2) else { return Ok(None) };
                    if terminator != b"\r\n" {
                        return Err(ProtocolError::MissingTerminator);
                    }
                    self.body = None;
                    self.pos = end + 2;
                    let payload = bytes.get(span.range()).unwrap_or_default();
                    self.tape.push(payload_token(kind, span, payload)?);
                    true
                }
                None => {
                    let Some((line, next)) = self.line(bytes)? else { return Ok(None) };
                    if next > self.frame_len {
                        return Err(ProtocolError::FrameTooLong);
                    }
                    let step = self.step(line)?;
                    self.pos = next;
                    self.take(step)?
                }
            };
            if whole && self.fill()? {
                let len = self.pos;
                self.pos = 0;
                self.searched = 0;
                return Ok(Some(len));
            }
        }
    }

    /// Reads the header of a bulk below 1000 bytes without a search for its end. Whatever is not quite that, or
    /// breaks a limit, is left to the general way.
    #[inline]
    fn short_bulk(&mut self, bytes: &[u8]) {
        let rest = bytes.get(self.pos..).unwrap_or_default();
        let Some((len, header)) = short_header(b'$', rest) else { return };
        let in_chunks = self.open.last().is_some_and(|open| open.kind == Kind::Chunks);
        if in_chunks || len > self.limits.bulk_len || rest.get(header - 1) != Some(&b'\n') {
            return;
        }
        let before = self.pos;
        self.pos += header;
        match self.payload(b'$', len) {
            Ok(()) => self.searched = 0,
            Err(_) => self.pos = before,
        }
    }

    /// The span of the line at `pos`, and where the next begins.
    fn line<'b>(&mut self, bytes: &'b [u8]) -> Result<Option<(Line<'b>, usize)>, ProtocolError> {
        let from = self.searched.max(self.pos);
        let limit = self.pos.saturating_add(self.limits.line_len).saturating_add(1);
        let window = bytes.get(from..bytes.len().min(limit)).unwrap_or_default();
        let Some(at) = memchr::memchr2(b'\r', b'\n', window) else {
            if bytes.len() >= limit {
                return Err(ProtocolError::InvalidLine);
            }
            self.searched = bytes.len();
            return Ok(None);
        };
        let end = from + at;
        self.searched = end;
        match (bytes.get(end), bytes.get(end + 1)) {
            (Some(b'\r'), Some(b'\n')) => {}
            (Some(b'\r'), None) => return Ok(None),
            _ => return Err(ProtocolError::InvalidLine),
        }
        self.searched = 0;
        let line = bytes.get(self.pos..end).unwrap_or_default();
        let Some((&kind, text)) = line.split_first() else { return Err(ProtocolError::InvalidLine) };
        let span = match (u32::try_from(self.pos + 1), u32::try_from(end)) {
            (Ok(start), Ok(end)) => Span::new(start, end),
            _ => return Err(ProtocolError::FrameTooLong),
        };
        Ok(Some((Line { kind, text, span }, end + 2)))
    }

    /// What the line means where it stands.
    fn step(&self, line: Line<'_>) -> Result<Step, ProtocolError> {
        let Line { kind, text, span } = line;
        let in_chunks = self.open.last().is_some_and(|open| open.kind == Kind::Chunks);
        if in_chunks != (kind == b';') {
            return Err(ProtocolError::UnknownType(kind));
        }
        let token = match kind {
            b'+' => Token::Simple(span),
            b'-' => Token::Error(span),
            b':' => Token::Integer(scalar::integer(text)?),
            b',' => Token::Double(scalar::double(text)?),
            b'#' => Token::Boolean(scalar::boolean(text)?),
            b'(' => scalar::big_number(text).map(|()| Token::BigNumber(span))?,
            b'_' if text.is_empty() => Token::Null,
            b'_' => return Err(ProtocolError::InvalidScalar(kind)),
            b'.' if text.is_empty() => return Ok(Step::Close),
            b'.' => return Err(ProtocolError::UnexpectedEnd),
            b'$' | b'!' | b'=' | b';' => {
                return Ok(match scalar::length(kind, text, self.limits.bulk_len)? {
                    Length::Known(0) if kind == b';' => Step::Close,
                    Length::Known(len) => Step::Body(kind, len),
                    Length::Null => Step::Leaf(Token::NullBulk),
                    Length::Streamed => Step::Open(Kind::Chunks, None),
                });
            }
            b'*' | b'%' | b'~' | b'>' | b'|' => {
                let aggregate = match kind {
                    b'*' => Kind::Array,
                    b'%' => Kind::Map,
                    b'~' => Kind::Set,
                    b'>' => Kind::Push,
                    _ => Kind::Attribute,
                };
                return Ok(match scalar::length(kind, text, self.limits.elements)? {
                    Length::Known(len) => Step::Open(aggregate, Some(len)),
                    Length::Null => Step::Leaf(Token::NullArray),
                    Length::Streamed => Step::Open(aggregate, None),
                });
            }
            other => return Err(ProtocolError::UnknownType(other)),
        };
        Ok(Step::Leaf(token))
    }

    /// Records the step; whether it completed a value.
    fn take(&mut self, step: Step) -> Result<bool, ProtocolError> {
        match step {
            Step::Leaf(token) => {
                self.tape.push(token);
                Ok(true)
            }
            Step::Body(kind, len) => self.payload(kind, len).map(|()| false),
            Step::Open(kind, count) => {
                if kind != Kind::Chunks && self.open.len() >= self.limits.depth {
                    return Err(ProtocolError::TooDeep);
                }
                let total = count.map(|count| match kind {
                    Kind::Map => count.saturating_mul(2),
                    Kind::Attribute => count.saturating_mul(2).saturating_add(1),
                    _ => count,
                });
                let token = self.tape.len();
                self.tape.push(Token::Aggregate(kind, u32::try_from(count.unwrap_or(0)).unwrap_or(u32::MAX)));
                if total == Some(0) {
                    return Ok(true);
                }
                self.open.push(Open { kind, token, seen: 0, total });
                Ok(false)
            }
            Step::Close => {
                let open = self.open.pop().filter(|open| open.total.is_none());
                let open = open.ok_or(ProtocolError::UnexpectedEnd)?;
                let count = match open.kind {
                    Kind::Map if open.seen % 2 == 1 => return Err(ProtocolError::UnexpectedEnd),
                    Kind::Map => open.seen / 2,
                    _ => open.seen,
                };
                if let Some(token) = self.tape.get_mut(open.token) {
                    *token = Token::Aggregate(open.kind, u32::try_from(count).unwrap_or(u32::MAX));
                }
                Ok(true)
            }
        }
    }

    /// Expects a payload at `pos`, if it and its line end fit into a frame.
    fn payload(&mut self, kind: u8, len: u64) -> Result<(), ProtocolError> {
        let end = usize::try_from(len).ok().and_then(|len| self.pos.checked_add(len));
        let end = end.filter(|&end| end < self.frame_len.saturating_sub(1));
        let end = end.and_then(|end| u32::try_from(end).ok()).ok_or(ProtocolError::FrameTooLong)?;
        let start = u32::try_from(self.pos).map_err(|_| ProtocolError::FrameTooLong)?;
        self.body = Some((kind, Span::new(start, end)));
        Ok(())
    }

    /// Counts a whole value in the aggregates around it; whether that completed the reply.
    fn fill(&mut self) -> Result<bool, ProtocolError> {
        while let Some(open) = self.open.last_mut() {
            open.seen = open.seen.saturating_add(1);
            match open.total {
                Some(total) if open.seen == total => {}
                Some(_) => return Ok(false),
                None => {
                    let (kind, per_count) = match open.kind {
                        Kind::Map => (b'%', 2),
                        Kind::Set => (b'~', 1),
                        Kind::Chunks => (b'$', 1),
                        _ => (b'*', 1),
                    };
                    if open.seen > self.limits.elements.saturating_mul(per_count) {
                        return Err(ProtocolError::InvalidLength(kind));
                    }
                    return Ok(false);
                }
            }
            self.open.pop();
        }
        Ok(true)
    }
}

/// A line without its end.
struct Line<'b> {
    kind: u8,
    text: &'b [u8],
    span: Span,
}

fn payload_token(kind: u8, span: Span, payload: &[u8]) -> Result<Token, ProtocolError> {
    match kind {
        b'!' => Ok(Token::BulkError(span)),
        b'=' if payload.get(3) == Some(&b':') => Ok(Token::Verbatim(span)),
        b'=' if u64::try_from(payload.len()).is_ok_and(|len| len < VERBATIM_PREFIX) => {
            Err(ProtocolError::InvalidLength(b'='))
        }
        b'=' => Err(ProtocolError::InvalidScalar(b'=')),
        _ => Ok(Token::Bulk(span)),
    }
}
