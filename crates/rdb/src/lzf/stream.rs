//! LZF from input in pieces to output in pieces, in constant memory.

use super::{LzfError, check_ratio};

/// How far a back reference reaches.
const WINDOW: usize = 8192;
/// How much is put out at a time, at most, beside the window.
const PIECE: usize = 24 * 1024;

/// Decompresses a string of any length with a buffer of 32 KiB (less for short strings).
///
/// ```
/// use rdb::lzf::LzfStream;
/// let mut stream = LzfStream::new(9, 40)?;
/// let mut out = Vec::new();
/// for mut input in [&b"\x01aa\xE0"[..], b"\x1B\x00\x01aa"] {
///     loop {
///         let piece = stream.decode(&mut input)?;
///         if piece.is_empty() {
///             break;
///         }
///         out.extend_from_slice(piece);
///     }
/// }
/// stream.finish()?;
/// assert_eq!(out, [b'a'; 40]);
/// # Ok::<_, rdb::lzf::LzfError>(())
/// ```
#[derive(Debug, Clone)]
pub struct LzfStream {
    /// Up to `WINDOW` bytes already put out, then those that are not.
    buffer: Box<[u8]>,
    filled: usize,
    /// Bytes before this were put out.
    drained: usize,
    state: State,
    /// Decoded so far, put out or not.
    output: u64,
    claimed: u64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Before a control byte.
    Item,
    /// Inside a literal run: so many bytes are missing.
    Literal(usize),
    /// Before the second byte of a long reference; the distance's high bits.
    Length(u8),
    /// Before the last byte of a reference.
    Distance(u8, usize),
    /// Inside a reference: distance, and how many bytes are missing.
    Copy(usize, usize),
}

impl LzfStream {
    /// A decoder for `input` compressed bytes that claim to yield `output`.
    ///
    /// # Errors
    /// [`LzfError::Bomb`] if they cannot.
    pub fn new(input: u64, output: u64) -> Result<Self, LzfError> {
        check_ratio(input, output)?;
        let size = usize::try_from(output).unwrap_or(usize::MAX).min(WINDOW + PIECE);
        Ok(Self {
            buffer: vec![0; size].into_boxed_slice(),
            filled: 0,
            drained: 0,
            state: State::Item,
            output: 0,
            claimed: output,
        })
    }

    /// Decodes from the front of `input` and shortens it by what was used. The piece is the next of the output; an
    /// empty one says that `input` is used up. Call again until it is.
    ///
    /// # Errors
    /// Any [`LzfError`]; the decoder is then of no further use.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<&[u8], LzfError> {
        if self.filled == self.buffer.len() && self.output < self.claimed {
            self.slide();
        }
        self.fill(input)?;
        let piece = self.buffer.get(self.drained..self.filled).unwrap_or_default();
        self.drained = self.filled;
        Ok(piece)
    }

    /// How much was put out.
    pub fn output(&self) -> u64 {
        self.output
    }

    /// Asserts that the input ended where the output is complete.
    ///
    /// # Errors
    /// [`LzfError::Truncated`] inside an item, [`LzfError::Short`] before the claimed length.
    pub fn finish(&self) -> Result<(), LzfError> {
        if !matches!(self.state, State::Item) {
            Err(LzfError::Truncated { output: self.output })
        } else if self.output != self.claimed {
            Err(LzfError::Short { claimed: self.claimed, actual: self.output })
        } else {
            Ok(())
        }
    }

    /// Decodes until the input is used up or the buffer is full.
    fn fill(&mut self, input: &mut &[u8]) -> Result<(), LzfError> {
        loop {
            match self.state {
                State::Item => {
                    let Some((&control, rest)) = input.split_first() else { return Ok(()) };
                    *input = rest;
                    self.state = match control >> 5 {
                        0 => State::Literal(self.claim(usize::from(control) + 1)?),
                        7 => State::Length(control & 0x1F),
                        len => State::Distance(control & 0x1F, self.claim(usize::from(len) + 2)?),
                    };
                }
                State::Length(high) => {
                    let Some((&more, rest)) = input.split_first() else { return Ok(()) };
                    *input = rest;
                    self.state = State::Distance(high, self.claim(usize::from(more) + 9)?);
                }
                State::Distance(high, len) => {
                    let Some((&low, rest)) = input.split_first() else { return Ok(()) };
                    *input = rest;
                    let distance = usize::from(u16::from_be_bytes([high, low])) + 1;
                    // The buffer holds all of the output, or more of it than a distance can reach.
                    if distance > self.filled {
                        return Err(LzfError::Distance { output: self.output });
                    }
                    self.state = State::Copy(distance, len);
                }
                State::Literal(left) => {
                    let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
                    let n = left.min(room.len()).min(input.len());
                    if let (Some(to), Some((from, rest))) = (room.get_mut(..n), input.split_at_checked(n)) {
                        to.copy_from_slice(from);
                        *input = rest;
                    }
                    self.advance(n);
                    if n < left {
                        self.state = State::Literal(left - n);
                        return Ok(());
                    }
                    self.state = State::Item;
                }
                State::Copy(distance, left) => {
                    let n = left.min(self.buffer.len() - self.filled);
                    super::copy_back(&mut self.buffer, self.filled - distance, self.filled, n)?;
                    self.advance(n);
                    if n < left {
                        self.state = State::Copy(distance, left - n);
                        return Ok(());
                    }
                    self.state = State::Item;
                }
            }
        }
    }

    /// Whether an item of `len` bytes stays within the claimed length, of which `output` is done.
    fn claim(&self, len: usize) -> Result<usize, LzfError> {
        if len as u64 > self.claimed - self.output {
            return Err(LzfError::Overlong { claimed: self.claimed });
        }
        Ok(len)
    }

    fn advance(&mut self, n: usize) {
        self.filled += n;
        self.output += n as u64;
    }

    /// Keeps the window and forgets what is before it.
    fn slide(&mut self) {
        let keep = self.filled.min(WINDOW);
        self.buffer.copy_within(self.filled - keep..self.filled, 0);
        (self.filled, self.drained) = (keep, keep);
    }
}
