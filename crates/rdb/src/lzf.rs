//! LZF, the compression of long strings in dumps (format section 4.1).
//!
//! ```text
//! 000LLLLL               L + 1 literal bytes follow
//! LLLooooo x             copy L + 2 bytes (L = 1..6) from o * 256 + x + 1 bytes back
//! 111ooooo n x           copy n + 9 bytes, likewise
//! ```
//!
//! Three entries: [`decompress`] where the input is at hand, [`LzfStream`] where it arrives in pieces and the output
//! need not be held, [`compress`] for the writer. All are safe code; what makes the decoder fast is that literal runs
//! and back references are copied in fixed blocks of 16 or 32 bytes (which compile to vector moves) that may spill past
//! the item into output that the next items overwrite.

use std::fmt;

mod compress;
mod stream;

pub use compress::{Compressor, compress};
pub use stream::LzfStream;

/// Why compressed bytes are not what they claim to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LzfError {
    /// The claimed length cannot come out of that many bytes: no item yields more than 88 times its size.
    Bomb {
        /// Length of the compressed bytes.
        input: u64,
        /// Claimed length of the output.
        output: u64,
    },
    /// The input ends inside an item.
    Truncated {
        /// How much had been put out.
        output: u64,
    },
    /// A back reference goes further back than the output reaches.
    Distance {
        /// How much had been put out.
        output: u64,
    },
    /// The output would exceed the claimed length.
    Overlong {
        /// The claimed length.
        claimed: u64,
    },
    /// The input ends before the claimed length is reached.
    Short {
        /// The claimed length.
        claimed: u64,
        /// What there is.
        actual: u64,
    },
}

impl fmt::Display for LzfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Bomb { input, output } => write!(f, "{input} LZF bytes cannot yield {output}"),
            Self::Truncated { output } => write!(f, "LZF input ends inside an item, after {output} bytes"),
            Self::Distance { output } => {
                write!(f, "LZF reference before the beginning, after {output} bytes")
            }
            Self::Overlong { claimed } => write!(f, "LZF output exceeds the claimed {claimed} bytes"),
            Self::Short { claimed, actual } => {
                write!(f, "LZF output is {actual} bytes, claimed are {claimed}")
            }
        }
    }
}

impl std::error::Error for LzfError {}

/// The longest that one item yields for each of its bytes: 264 from 3.
const EXPANSION_MAX: u64 = 88;

/// Whether `input` compressed bytes can yield `output` at all. To be asked before anything is allocated.
///
/// # Errors
/// [`LzfError::Bomb`].
pub fn check_ratio(input: u64, output: u64) -> Result<(), LzfError> {
    if output > input.saturating_mul(EXPANSION_MAX) {
        return Err(LzfError::Bomb { input, output });
    }
    Ok(())
}

/// Decompresses `input` into a new vector of exactly `output_len` bytes.
///
/// Allocates `output_len`, which is at most 88 times the bytes received.
///
/// ```
/// let packed = b"\x01aa\xE0\x1B\x00\x01aa";
/// assert_eq!(rdb::lzf::decompress(packed, 40)?, vec![b'a'; 40]);
/// # Ok::<_, rdb::lzf::LzfError>(())
/// ```
///
/// # Errors
/// Any [`LzfError`].
pub fn decompress(input: &[u8], output_len: usize) -> Result<Vec<u8>, LzfError> {
    check_ratio(input.len() as u64, output_len as u64)?;
    let mut out = vec![0; output_len];
    decompress_into(input, &mut out)?;
    Ok(out)
}

/// Decompresses `input` into `out`, which it must fill exactly. What `out` holds after an error is unspecified.
///
/// # Errors
/// Any [`LzfError`].
pub fn decompress_into(input: &[u8], out: &mut [u8]) -> Result<(), LzfError> {
    check_ratio(input.len() as u64, out.len() as u64)?;
    let (mut rest, mut at) = (input, 0_usize);
    while let Some((&control, after)) = rest.split_first() {
        if control < 32 {
            let len = usize::from(control) + 1;
            // A block of 32 when both sides have it, else exactly.
            match (after.first_chunk::<32>(), out.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<32>)) {
                (Some(from), Some(to)) => *to = *from,
                _ => {
                    let from = after.get(..len).ok_or(LzfError::Truncated { output: at as u64 })?;
                    let claimed = out.len() as u64;
                    out.get_mut(at..at + len).ok_or(LzfError::Overlong { claimed })?.copy_from_slice(from);
                }
            }
            rest = after.get(len..).unwrap_or_default();
            at += len;
        } else {
            let (len, low, after) = match (control >> 5, after) {
                (7, [more, low, after @ ..]) => (usize::from(*more) + 9, *low, after),
                (short @ 1..=6, [low, after @ ..]) => (usize::from(short) + 2, *low, after),
                _ => return Err(LzfError::Truncated { output: at as u64 }),
            };
            let distance = usize::from(u16::from_be_bytes([control & 0x1F, low])) + 1;
            let from = at.checked_sub(distance).ok_or(LzfError::Distance { output: at as u64 })?;
            copy_back(out, from, at, len)?;
            rest = after;
            at += len;
        }
    }
    if at == out.len() {
        Ok(())
    } else {
        Err(LzfError::Short { claimed: out.len() as u64, actual: at as u64 })
    }
}

/// Copies `len` bytes from `from` to `at` > `from` as if byte by byte: an overlap repeats.
#[inline]
fn copy_back(out: &mut [u8], from: usize, at: usize, len: usize) -> Result<(), LzfError> {
    let distance = at - from;
    let end = at + len;
    if end > out.len() {
        return Err(LzfError::Overlong { claimed: out.len() as u64 });
    }
    if distance >= 16 && out.len() - end >= 16 {
        // Blocks do not overlap their source; the last may spill up to 15 bytes past `end`.
        let mut done = 0;
        while done < len {
            if let Some(block) = out.get(from + done..).and_then(<[u8]>::first_chunk::<16>) {
                let block = *block;
                if let Some(to) = out.get_mut(at + done..).and_then(<[u8]>::first_chunk_mut::<16>) {
                    *to = block;
                }
            }
            done += 16;
        }
    } else if distance == 1 {
        let byte = out.get(from).copied().unwrap_or_default();
        if let Some(to) = out.get_mut(at..end) {
            to.fill(byte);
        }
    } else {
        // Each round doubles what may be copied at once.
        let mut done = 0;
        while done < len {
            let step = (distance + done).min(len - done);
            out.copy_within(from..from + step, at + done);
            done += step;
        }
    }
    Ok(())
}
