//! Requests that stand one behind the other, found at once.

use super::frame::{RequestRef, Span};
use super::parser::KEPT_SPANS;

/// Where requests were found: the lengths of all, and the arguments of all.
#[derive(Debug, Default)]
pub(super) struct Found {
    frames: Vec<Frame>,
    spans: Vec<Span>,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    wire_len: usize,
    spans: usize,
}

impl Found {
    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.spans.clear();
        self.spans.shrink_to(KEPT_SPANS);
    }

    pub(super) const fn len(&self) -> usize {
        self.frames.len()
    }

    pub(super) fn add(&mut self, wire_len: usize, spans: &[Span]) {
        self.frames.push(Frame { wire_len, spans: spans.len() });
        self.spans.extend_from_slice(spans);
    }

    pub(super) fn in_wire<'a>(&'a self, wire: &'a [u8]) -> Run<'a> {
        Run { wire, frames: &self.frames, spans: &self.spans }
    }
}

/// Requests that came one behind the other, borrowed from the buffer they were read into; see
/// [`RequestDecoder::next_run`](crate::RequestDecoder::next_run).
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    wire: &'a [u8],
    frames: &'a [Frame],
    spans: &'a [Span],
}

impl<'a> Run<'a> {
    /// How many requests.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The bytes of all, as they came.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.wire
    }

    /// The requests in order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = RequestRef<'a>> + use<'a> {
        let (mut wire, mut spans) = (self.wire, self.spans);
        self.frames.iter().map(move |frame| {
            let (one, others) = wire.split_at_checked(frame.wire_len).unwrap_or_default();
            let (its, theirs) = spans.split_at_checked(frame.spans).unwrap_or_default();
            (wire, spans) = (others, theirs);
            RequestRef::new(one, one, its)
        })
    }
}
