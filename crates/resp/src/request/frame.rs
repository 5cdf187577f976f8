//! One request: its wire bytes, and where its arguments lie in them.

use std::fmt;
use std::iter::FusedIterator;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// Where an argument lies: a range of 32-bit positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The bytes from `start` up to `end`.
    #[inline]
    pub const fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }

    /// The same as a range for slicing.
    #[inline]
    pub const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Number of bytes.
    #[inline]
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether it covers nothing.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// A request borrowed from the buffer it was read into.
///
/// Positions of the arguments refer to [`text`](Self::text), which is the wire form itself, except for an
/// inline command with quotes: its words are unescaped into a text of their own.
#[derive(Clone, Copy)]
pub struct RequestRef<'a> {
    wire: &'a [u8],
    text: &'a [u8],
    spans: &'a [Span],
}

impl<'a> RequestRef<'a> {
    #[inline]
    pub(super) const fn new(wire: &'a [u8], text: &'a [u8], spans: &'a [Span]) -> Self {
        Self { wire, text, spans }
    }

    /// Number of arguments, the command's name included. Zero for bytes that command nothing, see
    /// [`Mode::Stream`](crate::Mode::Stream).
    #[inline]
    pub const fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no argument at all.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The argument at `index`; 0 is the command's name.
    #[inline]
    pub fn arg(&self, index: usize) -> Option<&'a [u8]> {
        self.text.get(self.spans.get(index)?.range())
    }

    /// All arguments in order.
    #[inline]
    pub fn iter(&self) -> Args<'a> {
        Args { text: self.text, spans: self.spans.iter() }
    }

    /// Exactly the bytes consumed from the stream. Sums to the replication offset.
    #[inline]
    pub const fn wire_len(&self) -> usize {
        self.wire.len()
    }

    /// The bytes as they came, for forwarding.
    #[inline]
    pub const fn raw(&self) -> &'a [u8] {
        self.wire
    }

    /// What [`spans`](Self::spans) point into.
    #[inline]
    pub const fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Where the arguments lie in [`text`](Self::text).
    #[inline]
    pub const fn spans(&self) -> &'a [Span] {
        self.spans
    }

    /// A copy that owns its bytes. To keep a request without copying, take it with
    /// [`RequestDecoder::next`](crate::RequestDecoder::next) instead.
    pub fn to_owned(&self) -> Request {
        Request::join(self.wire, self.text, self.spans)
    }
}

impl<'a> IntoIterator for RequestRef<'a> {
    type Item = &'a [u8];
    type IntoIter = Args<'a>;

    fn into_iter(self) -> Args<'a> {
        self.iter()
    }
}

impl fmt::Debug for RequestRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|arg| arg.escape_ascii().to_string())).finish()
    }
}

/// The arguments of a request, in order.
#[derive(Debug, Clone)]
pub struct Args<'a> {
    text: &'a [u8],
    spans: std::slice::Iter<'a, Span>,
}

impl<'a> Iterator for Args<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.text.get(self.spans.next()?.range())
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl ExactSizeIterator for Args<'_> {}
impl FusedIterator for Args<'_> {}

/// A request that shares the buffer it was read into.
///
/// Cloning counts a reference. Up to six arguments live in the value itself; more take one allocation. It keeps
/// alive the whole read buffer that its frame is a part of: copy out what is to be kept for long.
#[derive(Clone)]
pub struct Request {
    /// The wire form, followed by the unescaped text of an inline command with quotes.
    frame: Bytes,
    wire_len: u32,
    text_start: u32,
    spans: Spans,
}

const INLINE_SPANS: usize = 6;

#[derive(Clone)]
enum Spans {
    Few(u8, [Span; INLINE_SPANS]),
    Many(Arc<[Span]>),
}

impl Spans {
    #[inline]
    fn new(spans: &[Span]) -> Self {
        let mut few = [Span::default(); INLINE_SPANS];
        match (few.get_mut(..spans.len()), u8::try_from(spans.len())) {
            (Some(head), Ok(len)) => {
                head.copy_from_slice(spans);
                Self::Few(len, few)
            }
            _ => Self::Many(spans.into()),
        }
    }

    #[inline]
    fn as_slice(&self) -> &[Span] {
        match self {
            Self::Few(len, few) => few.get(..usize::from(*len)).unwrap_or_default(),
            Self::Many(many) => many,
        }
    }
}

impl Request {
    /// `frame` is the wire form alone, and the spans point into it.
    #[inline]
    pub(super) fn new(frame: Bytes, spans: &[Span]) -> Self {
        // The parser refuses frames beyond 32 bits.
        let wire_len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        Self { frame, wire_len, text_start: 0, spans: Spans::new(spans) }
    }

    pub(super) fn join(wire: &[u8], text: &[u8], spans: &[Span]) -> Self {
        let wire_len = u32::try_from(wire.len()).unwrap_or(u32::MAX);
        if std::ptr::eq(wire, text) {
            return Self::new(Bytes::copy_from_slice(wire), spans);
        }
        Self { frame: [wire, text].concat().into(), wire_len, text_start: wire_len, spans: Spans::new(spans) }
    }

    /// The borrowed form, for code that takes both.
    #[inline]
    pub fn as_ref(&self) -> RequestRef<'_> {
        RequestRef::new(
            self.frame.get(..self.wire_len as usize).unwrap_or_default(),
            self.frame.get(self.text_start as usize..).unwrap_or_default(),
            self.spans.as_slice(),
        )
    }

    /// Number of arguments, the command's name included.
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.as_slice().len()
    }

    /// Whether these bytes command nothing, see [`Mode::Stream`](crate::Mode::Stream).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The argument at `index`; 0 is the command's name.
    #[inline]
    pub fn arg(&self, index: usize) -> Option<&[u8]> {
        self.as_ref().arg(index)
    }

    /// The argument at `index` as a slice of the shared buffer.
    pub fn arg_bytes(&self, index: usize) -> Option<Bytes> {
        let range = self.spans.as_slice().get(index)?.range();
        let start = self.text_start as usize;
        self.arg(index)?;
        Some(self.frame.slice(range.start + start..range.end + start))
    }

    /// All arguments in order.
    #[inline]
    pub fn iter(&self) -> Args<'_> {
        self.as_ref().iter()
    }

    /// Exactly the bytes consumed from the stream. Sums to the replication offset.
    #[inline]
    pub const fn wire_len(&self) -> usize {
        self.wire_len as usize
    }

    /// The bytes as they came, for forwarding.
    #[inline]
    pub fn raw(&self) -> &[u8] {
        self.as_ref().raw()
    }

    /// The bytes as they came, as a slice of the shared buffer.
    pub fn raw_bytes(&self) -> Bytes {
        self.frame.slice(..self.frame.len().min(self.wire_len as usize))
    }
}

impl<'a> IntoIterator for &'a Request {
    type Item = &'a [u8];
    type IntoIter = Args<'a>;

    fn into_iter(self) -> Args<'a> {
        self.iter()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl PartialEq for Request {
    /// Equal bytes on the wire; equal arguments follow.
    fn eq(&self, other: &Self) -> bool {
        self.raw() == other.raw()
    }
}

impl Eq for Request {}
