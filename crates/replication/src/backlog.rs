//! The last bytes of a stream, kept so that a replica may continue after a broken connection.
//!
//! ```text
//!        start                                    end
//!          |<------------ the backlog ------------>|
//!  ..gone..|b b b b b b b b b b b b b b b b b b b b|
//!                    ^ a replica at this offset gets what is right of it
//! ```

use crate::position::Offset;
use std::collections::VecDeque;

/// A window over the end of a stream.
///
/// The memory grows with the stream up to the configured size. A replica that is still being fed
/// older bytes can hold the window open past that size: see [`retain`](Self::retain).
#[derive(Debug)]
pub struct Backlog {
    bytes: VecDeque<u8>,
    /// The offset before the first byte kept.
    start: Offset,
    size: usize,
    /// Bytes behind this offset are still wanted by somebody.
    retained: Option<Offset>,
    /// How far the window may grow for their sake.
    hard_limit: usize,
}

impl Backlog {
    /// An empty backlog of a stream that stands at `offset`. It keeps the last `size` bytes, and up
    /// to `hard_limit` while somebody is being fed from it.
    #[must_use]
    pub fn new(offset: Offset, size: usize, hard_limit: usize) -> Self {
        Self { bytes: VecDeque::new(), start: offset, size, retained: None, hard_limit: hard_limit.max(size) }
    }

    /// Appends stream bytes; the oldest make room.
    pub fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.trim();
    }

    /// Declares the lowest offset from which somebody still has to be fed. The window stays open that
    /// far back, within the hard limit.
    pub fn retain(&mut self, lowest: Option<Offset>) {
        self.retained = lowest;
        self.trim();
    }

    /// Everything after `offset`, in two pieces; `None` if that is gone, or has not been yet.
    #[must_use]
    pub fn after(&self, offset: Offset) -> Option<(&[u8], &[u8])> {
        if !self.covers(offset) {
            return None;
        }
        let skip = usize::try_from(offset.since(self.start)).ok()?;
        let (front, back) = self.bytes.as_slices();
        Some(match front.get(skip..) {
            Some(front) => (front, back),
            None => (back.get(skip.saturating_sub(front.len())..)?, &[]),
        })
    }

    /// Whether a replica that has everything up to `offset` can be continued from here.
    #[must_use]
    pub fn covers(&self, offset: Offset) -> bool {
        self.start <= offset && offset <= self.end()
    }

    /// The offset after the last byte: the stream's present offset.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.start.after(self.bytes.len() as u64)
    }

    /// The number of the first byte kept, counted from 1 as INFO's `repl_backlog_first_byte_offset` is.
    #[must_use]
    pub fn first_byte_offset(&self) -> u64 {
        self.start.after(1).0
    }

    /// How many bytes are kept (INFO's `repl_backlog_histlen`).
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The configured size (INFO's `repl_backlog_size`).
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.bytes.capacity()
    }

    /// Changes the sizes given to [`new`](Self::new).
    pub fn resize(&mut self, size: usize, hard_limit: usize) {
        (self.size, self.hard_limit) = (size, hard_limit.max(size));
        self.trim();
    }

    /// The sizes.
    #[must_use]
    pub fn limits(&self) -> crate::BacklogLimits {
        crate::BacklogLimits { size: self.size, hard_limit: self.hard_limit }
    }

    fn trim(&mut self) {
        let wanted = self.retained.map_or(0, |lowest| {
            usize::try_from(self.end().since(lowest)).unwrap_or(usize::MAX).min(self.hard_limit)
        });
        let excess = self.bytes.len().saturating_sub(self.size.max(wanted));
        self.bytes.drain(..excess);
        self.start = self.start.after(excess as u64);
        if self.bytes.capacity() / 4 > self.size.max(self.bytes.len()) {
            self.bytes.shrink_to(self.size.max(self.bytes.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(backlog: &Backlog, offset: u64) -> Option<Vec<u8>> {
        backlog.after(Offset(offset)).map(|(a, b)| [a, b].concat())
    }

    #[test]
    fn the_last_bytes_are_kept_and_no_more() {
        let mut backlog = Backlog::new(Offset(100), 4, 4);
        assert_eq!(joined(&backlog, 100), Some(vec![]));
        backlog.append(b"abc");
        backlog.append(b"defg");
        assert_eq!((backlog.end(), backlog.len(), backlog.first_byte_offset()), (Offset(107), 4, 104));
        assert_eq!(joined(&backlog, 103), Some(b"defg".to_vec()));
        assert_eq!(joined(&backlog, 106), Some(b"g".to_vec()));
        assert_eq!(joined(&backlog, 107), Some(vec![]));
        assert_eq!(joined(&backlog, 102), None);
        assert_eq!(joined(&backlog, 108), None);
    }

    #[test]
    fn a_reader_holds_the_window_open_within_the_hard_limit() {
        let mut backlog = Backlog::new(Offset(0), 2, 6);
        backlog.retain(Some(Offset(0)));
        backlog.append(b"abcdef");
        assert_eq!(joined(&backlog, 0), Some(b"abcdef".to_vec()));
        backlog.append(b"g");
        assert_eq!(joined(&backlog, 0), None);
        assert_eq!(joined(&backlog, 1), Some(b"bcdefg".to_vec()));
        backlog.retain(None);
        assert_eq!((backlog.len(), backlog.end()), (2, Offset(7)));
    }

    #[test]
    fn slices_are_right_wherever_the_ring_wraps() {
        let stream: Vec<u8> = (0..=255).cycle().take(2000).collect();
        for step in [1, 3, 7, 64, 100] {
            let mut backlog = Backlog::new(Offset(0), 50, 50);
            for chunk in stream.chunks(step) {
                backlog.append(chunk);
                let end = usize::try_from(backlog.end().0).unwrap();
                for back in 0..=backlog.len() {
                    let from = end - back;
                    assert_eq!(joined(&backlog, from as u64).as_deref(), stream.get(from..end));
                }
            }
        }
    }
}
