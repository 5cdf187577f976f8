//! Streams: listpack nodes by id, and consumer groups.

use rdb::{Part, Reject};

/// A stream.
#[derive(Debug, Default, Clone)]
pub struct Stream {}

impl Stream {
    /// Heap bytes, O(1).
    #[must_use]
    pub fn allocated(&self) -> usize {
        0
    }
}

/// Builds a stream from the parts of a dump.
#[derive(Debug, Default, Clone)]
pub struct StreamLoader {}

impl StreamLoader {
    /// The next part.
    ///
    /// # Errors
    /// A part that contradicts what came before.
    pub fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        let _ = part;
        Ok(())
    }
    /// The stream.
    #[must_use]
    pub fn finish(self) -> Stream {
        Stream {}
    }
}
