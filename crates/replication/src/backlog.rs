//! The last bytes of a stream, kept so that a replica may continue after a broken connection.
//!
//! ```text
//!        start                                    end
//!          |<------------ the backlog ------------>|
//!  ..gone..|b b b b b b b b b b b b b b b b b b b b|
//!                    ^ a replica at this offset gets what is right of it
//! ```
//!
//! The bytes stand in blocks. Whole ones are shared with whoever sends them, so that feeding replicas copies nothing
//! and holds nobody up.

use crate::position::Offset;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// The length of a block.
const BLOCK: usize = 64 * 1024;

/// A window over the end of a stream.
///
/// The memory grows with the stream up to the configured size. A replica that is still being fed
/// older bytes can hold the window open past that size: see [`retain`](Self::retain).
#[derive(Debug)]
pub struct Backlog {
    /// Whole blocks, the oldest first.
    blocks: VecDeque<Bytes>,
    /// What follows them, less than a block.
    tail: BytesMut,
    /// A block's memory, to be used again.
    spare: BytesMut,
    /// So many bytes of the first block, or of the tail if there is none, are no longer kept.
    gone: usize,
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
        let (tail, spare) = (BytesMut::new(), BytesMut::new());
        let hard_limit = hard_limit.max(size);
        Self {
            blocks: VecDeque::new(),
            tail,
            spare,
            gone: 0,
            start: offset,
            size,
            retained: None,
            hard_limit,
        }
    }

    /// Appends stream bytes; the oldest make room.
    pub fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (here, behind) = bytes.split_at(bytes.len().min(BLOCK - self.tail.len()));
            self.tail.extend_from_slice(here);
            bytes = behind;
            if self.tail.len() == BLOCK {
                let next = std::mem::take(&mut self.spare);
                self.blocks.push_back(std::mem::replace(&mut self.tail, next).freeze());
                self.tail.reserve(BLOCK);
                self.trim();
            }
        }
        self.trim();
    }

    /// Declares the lowest offset from which somebody still has to be fed. The window stays open that
    /// far back, within the hard limit.
    pub fn retain(&mut self, lowest: Option<Offset>) {
        self.retained = lowest;
        self.trim();
    }

    /// What comes after `offset`, `most` bytes at most and as far as it stands in one piece: nothing only if nothing has
    /// come yet. `None` if that is gone, or has not been yet.
    #[must_use]
    pub fn after(&self, offset: Offset, most: usize) -> Option<Bytes> {
        if !self.covers(offset) {
            return None;
        }
        let place = usize::try_from(offset.since(self.start)).ok()? + self.gone;
        let (index, at) = (place / BLOCK, place % BLOCK);
        Some(match self.blocks.get(index) {
            Some(block) => block.slice(at..block.len().min(at.saturating_add(most))),
            None => {
                let rest = self.tail.get(at..).unwrap_or_default();
                Bytes::copy_from_slice(rest.get(..most).unwrap_or(rest))
            }
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
        self.start.after(self.len() as u64)
    }

    /// The number of the first byte kept, counted from 1 as INFO's `repl_backlog_first_byte_offset` is.
    #[must_use]
    pub fn first_byte_offset(&self) -> u64 {
        self.start.after(1).0
    }

    /// How many bytes are kept (INFO's `repl_backlog_histlen`).
    #[must_use]
    pub fn len(&self) -> usize {
        self.blocks.len() * BLOCK + self.tail.len() - self.gone
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The configured size (INFO's `repl_backlog_size`).
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.blocks.len() * BLOCK + self.tail.capacity() + self.spare.capacity()
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
        let excess = self.len().saturating_sub(self.size.max(wanted));
        self.start = self.start.after(excess as u64);
        self.gone += excess;
        while self.gone >= BLOCK
            && let Some(block) = self.blocks.pop_front()
        {
            self.gone -= BLOCK;
            // Unless somebody is sending it.
            if let Ok(mut block) = block.try_into_mut() {
                block.clear();
                self.spare = block;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(backlog: &Backlog, offset: u64) -> Option<Vec<u8>> {
        let mut all = backlog.after(Offset(offset), 1)?.to_vec();
        loop {
            let next = backlog.after(Offset(offset + all.len() as u64), 40_000)?;
            if next.is_empty() {
                return Some(all);
            }
            all.extend_from_slice(&next);
        }
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
    fn pieces_are_right_wherever_blocks_begin() {
        let stream: Vec<u8> = (0..=250).cycle().take(10 * BLOCK).collect();
        for (step, size) in
            [(1, 50), (7, 50), (1000, 100), (BLOCK, BLOCK), (30_000, 3 * BLOCK + 5), (3 * BLOCK, 7)]
        {
            let mut backlog = Backlog::new(Offset(0), size, size);
            let mut sending = Vec::new();
            for (n, chunk) in stream.chunks(step).enumerate() {
                backlog.append(chunk);
                let end = usize::try_from(backlog.end().0).unwrap();
                assert_eq!((end, backlog.len()), (stream.len().min((n + 1) * step), size.min(end)));
                if n % (3000 / step + 1) == 0 {
                    for back in [0, 1, backlog.len() / 2, backlog.len()] {
                        let from = end - back;
                        assert!(
                            joined(&backlog, from as u64).as_deref() == stream.get(from..end),
                            "{step}, {size}"
                        );
                    }
                    // What somebody is sending stays as it is, whatever becomes of the window.
                    let from = end - backlog.len();
                    sending.push((from, backlog.after(Offset(from as u64), BLOCK).unwrap()));
                }
            }
            assert!(backlog.allocated() <= size + 4 * BLOCK, "{} for {size}", backlog.allocated());
            assert!(sending.iter().all(|(from, piece)| stream[*from..].starts_with(piece)));
        }
    }
}
