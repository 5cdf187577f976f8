//! Reads from bytes that may end anywhere.

use crate::encoding::Item;
use crate::error::ErrorKind;

/// Why a unit could not be read.
#[derive(Debug)]
pub(super) enum Stop {
    /// The unit has at least this many bytes, counted from its first: never more than it has, so that whoever
    /// collects them never takes a byte of the next.
    Need(usize),
    /// It is wrong. Boxed to keep results in registers on the hot path.
    Fail(Box<ErrorKind>),
}

pub(super) type Read<T> = Result<T, Stop>;

impl From<ErrorKind> for Stop {
    #[cold]
    fn from(kind: ErrorKind) -> Self {
        Self::Fail(Box::new(kind))
    }
}

impl From<crate::encoding::EncodingError> for Stop {
    #[cold]
    fn from(error: crate::encoding::EncodingError) -> Self {
        ErrorKind::Packed(error).into()
    }
}

impl From<crate::lzf::LzfError> for Stop {
    #[cold]
    fn from(error: crate::lzf::LzfError) -> Self {
        ErrorKind::Lzf(error).into()
    }
}

impl From<crate::visitor::Reject> for Stop {
    #[cold]
    fn from(reject: crate::visitor::Reject) -> Self {
        ErrorKind::Rejected(reject.0).into()
    }
}

/// A broken rule of the format.
#[cold]
pub(super) fn corrupt<T>(rule: &'static str) -> Read<T> {
    Err(ErrorKind::Corrupt(rule).into())
}

/// A place in a slice, and the place where the current unit began.
///
/// A unit is what is handled at once: an element, a pair, an opcode with its arguments. Its parser reads it whole,
/// acts, and then calls [`commit`](Self::commit). If bytes lack it stops before it has acted, and is run again from the
/// start of the unit with more of them.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    buf: &'a [u8],
    pos: usize,
    start: usize,
}

/// The head of a string: how many bytes follow and what they are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Head {
    /// Bytes as they are.
    Raw(u64),
    /// An integer of 1, 2 or 4 bytes.
    Int(usize),
    /// LZF: packed and unpacked size.
    Lzf(u64, u64),
}

impl Head {
    /// How many bytes of body follow in the dump.
    #[inline]
    pub(super) fn body(self) -> u64 {
        match self {
            Self::Raw(n) | Self::Lzf(n, _) => n,
            Self::Int(n) => n as u64,
        }
    }

    /// Upper bound of the string's size.
    #[inline]
    pub(super) fn unpacked(self) -> u64 {
        match self {
            Self::Raw(n) | Self::Lzf(_, n) => n,
            Self::Int(_) => 11,
        }
    }
}

/// A string as it stands in the dump.
#[derive(Debug, Clone, Copy)]
pub(super) enum Str<'a> {
    Raw(&'a [u8]),
    Int(i32),
    Lzf(&'a [u8], usize),
}

impl<'a> Cursor<'a> {
    pub(super) fn new(buf: &'a [u8]) -> Self {
        Self { buf, pos: 0, start: 0 }
    }

    /// Where the reader is.
    pub(super) fn pos(&self) -> usize {
        self.pos
    }

    /// Everything before is done with.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// The unit was handled.
    #[inline]
    pub(super) fn commit(&mut self) {
        self.start = self.pos;
    }

    /// Goes back to an earlier place of the same unit.
    #[inline]
    pub(super) fn rewind(&mut self, pos: usize) {
        self.pos = pos;
    }

    /// What is left.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.buf.get(self.pos..).unwrap_or_default()
    }

    /// The bytes from `from` to here.
    #[inline]
    pub(super) fn since(&self, from: usize) -> &'a [u8] {
        self.buf.get(from..self.pos).unwrap_or_default()
    }

    /// At most `n` bytes, fewer if there are not as many.
    #[inline]
    pub(super) fn up_to(&mut self, n: u64) -> &'a [u8] {
        let rest = self.rest();
        let n = usize::try_from(n).unwrap_or(usize::MAX).min(rest.len());
        self.pos += n;
        rest.get(..n).unwrap_or_default()
    }

    #[cold]
    fn need(&self, end: usize) -> Stop {
        Stop::Need(end.saturating_sub(self.start))
    }

    #[inline]
    pub(super) fn take(&mut self, n: u64) -> Read<&'a [u8]> {
        let n = usize::try_from(n).unwrap_or(usize::MAX);
        let end = self.pos.saturating_add(n);
        match self.buf.get(self.pos..end) {
            Some(bytes) => {
                self.pos = end;
                Ok(bytes)
            }
            None => Err(self.need(end)),
        }
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        match self.buf.get(self.pos..).and_then(|rest| rest.first_chunk::<N>()) {
            Some(bytes) => {
                self.pos += N;
                Ok(*bytes)
            }
            None => Err(self.need(self.pos.saturating_add(N))),
        }
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Read<u8> {
        match self.buf.get(self.pos) {
            Some(byte) => {
                self.pos += 1;
                Ok(*byte)
            }
            None => Err(self.need(self.pos.saturating_add(1))),
        }
    }

    #[inline]
    pub(super) fn i64(&mut self) -> Read<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// A length (format section 3), in any of its forms.
    #[inline]
    pub(super) fn len(&mut self) -> Read<u64> {
        let first = self.u8()?;
        match first >> 6 {
            0 => Ok(first.into()),
            1 => Ok(u64::from(first & 0x3F) << 8 | u64::from(self.u8()?)),
            _ => self.long_len(first),
        }
    }

    fn long_len(&mut self, first: u8) -> Read<u64> {
        match first {
            0x80 => Ok(u32::from_be_bytes(self.array()?).into()),
            0x81 => Ok(u64::from_be_bytes(self.array()?)),
            byte => Err(ErrorKind::Length { byte }.into()),
        }
    }

    /// The head of a string (format section 4).
    #[inline]
    pub(super) fn head(&mut self) -> Read<Head> {
        let first = self.u8()?;
        match first >> 6 {
            0 => Ok(Head::Raw(first.into())),
            1 => Ok(Head::Raw(u64::from(first & 0x3F) << 8 | u64::from(self.u8()?))),
            2 => Ok(Head::Raw(self.long_len(first)?)),
            _ => self.special_head(first),
        }
    }

    fn special_head(&mut self, first: u8) -> Read<Head> {
        match first {
            0xC0 => Ok(Head::Int(1)),
            0xC1 => Ok(Head::Int(2)),
            0xC2 => Ok(Head::Int(4)),
            0xC3 => {
                let packed = self.len()?;
                let unpacked = self.len()?;
                crate::lzf::check_ratio(packed, unpacked)?;
                Ok(Head::Lzf(packed, unpacked))
            }
            byte => Err(ErrorKind::StringEncoding { byte }.into()),
        }
    }

    /// A whole string.
    #[inline]
    pub(super) fn str(&mut self) -> Read<Str<'a>> {
        let head = self.head()?;
        self.body(head)
    }

    /// The string whose head was just read.
    #[inline]
    pub(super) fn body(&mut self, head: Head) -> Read<Str<'a>> {
        match head {
            Head::Raw(n) => Ok(Str::Raw(self.take(n)?)),
            Head::Int(1) => Ok(Str::Int(i8::from_le_bytes(self.array()?).into())),
            Head::Int(2) => Ok(Str::Int(i16::from_le_bytes(self.array()?).into())),
            Head::Int(_) => Ok(Str::Int(i32::from_le_bytes(self.array()?))),
            Head::Lzf(packed, unpacked) => {
                // The ratio bounds it by the size of the bytes, which are in memory.
                Ok(Str::Lzf(self.take(packed)?, usize::try_from(unpacked).unwrap_or(usize::MAX)))
            }
        }
    }
}

/// Where a string that does not stand in the dump as it is gets its bytes.
#[derive(Debug, Default)]
pub(super) struct Text {
    digits: [u8; 20],
    unpacked: Vec<u8>,
}

impl Text {
    /// The string's bytes: lent from the dump if they stand there.
    #[inline]
    pub(super) fn of<'s>(&'s mut self, string: Str<'s>) -> Read<&'s [u8]> {
        match string {
            Str::Raw(bytes) => Ok(bytes),
            Str::Int(value) => Ok(Item::Int(value.into()).to_bytes(&mut self.digits)),
            Str::Lzf(packed, len) => {
                if self.unpacked.len() < len {
                    // At most 88 times what has arrived.
                    crate::lzf::check_ratio(packed.len() as u64, len as u64)?;
                    self.unpacked.resize(len, 0);
                }
                let out = self.unpacked.get_mut(..len).unwrap_or_default();
                crate::lzf::decompress_into(packed, out)?;
                Ok(out)
            }
        }
    }

    /// Gives back what one unusually large string took.
    pub(super) fn trim(&mut self) {
        if self.unpacked.capacity() > KEPT {
            self.unpacked = Vec::new();
        }
    }
}

/// Empties a buffer and gives its memory back if it has become large.
pub(super) fn trim(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > KEPT {
        *buffer = Vec::new();
    }
}

/// Capacity that is kept between units.
const KEPT: usize = 1 << 18;
