//! String values that are too long to wait for.

use super::cursor::{Cursor, Head, Read, Stop};
use super::{Decoder, State};
use crate::lzf::LzfStream;
use crate::visitor::{Part, Visitor};

/// A string value of which some pieces have been handed on.
#[derive(Debug)]
pub(super) struct Pieces {
    /// Bytes of the dump still to come.
    left: u64,
    /// Bytes of the value handed on.
    offset: u64,
    total: u64,
    lzf: Option<LzfStream>,
}

impl Pieces {
    pub(super) fn new(head: Head) -> Read<Self> {
        let lzf = match head {
            Head::Lzf(packed, unpacked) => Some(LzfStream::new(packed, unpacked)?),
            _ => None,
        };
        Ok(Self { left: head.body(), offset: 0, total: head.unpacked(), lzf })
    }
}

impl Decoder {
    pub(super) fn string_pieces<V: Visitor + ?Sized>(
        &mut self,
        cur: &mut Cursor<'_>,
        visitor: &mut V,
    ) -> Read<()> {
        let State::String(pieces) = &mut self.state else { return Ok(()) };
        let mut input = cur.up_to(pieces.left);
        if input.is_empty() && pieces.left > 0 {
            return Err(Stop::Need(1));
        }
        pieces.left = pieces.left.saturating_sub(input.len() as u64);
        let total = pieces.total;
        match &mut pieces.lzf {
            None => {
                visitor.part(Part::String { offset: pieces.offset, bytes: input, total })?;
                pieces.offset = pieces.offset.saturating_add(input.len() as u64);
            }
            Some(stream) => {
                loop {
                    let bytes = stream.decode(&mut input)?;
                    if bytes.is_empty() {
                        break;
                    }
                    visitor.part(Part::String { offset: pieces.offset, bytes, total })?;
                    pieces.offset = pieces.offset.saturating_add(bytes.len() as u64);
                }
                if pieces.left == 0 {
                    stream.finish()?;
                    // Nothing at all: the one piece that may be empty.
                    if total == 0 {
                        visitor.part(Part::String { offset: 0, bytes: &[], total })?;
                    }
                }
            }
        }
        cur.commit();
        if pieces.left == 0 {
            self.finish(visitor)?;
        }
        Ok(())
    }
}
