//! Ziplist: the packed list of Redis up to 6.2 (format section 9.2).
//!
//! ```text
//! | total bytes, u32 LE | offset of the last entry, u32 LE | count, u16 LE | entry | ... | FF |
//! entry: | size of the entry before | encoding | data |
//! ```
//!
//! The size of the entry before takes one byte below 254, else five. Servers leave five in place when the entry before
//! shrinks, so the long form of a short size is legal.

use super::error::EncodingError;
use super::item::Item;

/// A ziplist whose every entry was checked.
///
/// ```
/// use rdb::encoding::{Item, Ziplist};
/// let list = Ziplist::new(b"\x12\0\0\0\x0D\0\0\0\x02\0\0\x01a\x03\xC0\x2C\x01\xFF")?;
/// assert!(list.iter().eq([Item::Str(b"a"), Item::Int(300)]));
/// # Ok::<_, rdb::encoding::EncodingError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Ziplist<'a> {
    bytes: &'a [u8],
    len: usize,
    /// Where the last entry begins; 0 if there is none.
    last: usize,
}

pub(super) const HEADER: usize = 10;

impl<'a> Ziplist<'a> {
    /// Checks a blob in one pass: size, end mark, every entry and its previous length, last offset, count.
    ///
    /// # Errors
    /// The first rule that the bytes break, and where.
    pub fn new(bytes: &'a [u8]) -> Result<Self, EncodingError> {
        let Some(&[s0, s1, s2, s3, t0, t1, t2, t3, c0, c1]) = bytes.first_chunk::<HEADER>() else {
            return Err(EncodingError::Truncated { offset: 0 });
        };
        let (claimed, actual) = (u64::from(u32::from_le_bytes([s0, s1, s2, s3])), bytes.len() as u64);
        if claimed != actual {
            return Err(EncodingError::Size { claimed, actual });
        }
        let end = bytes.len() - 1;
        if bytes.len() == HEADER || bytes.last() != Some(&0xFF) {
            return Err(EncodingError::Terminator { offset: end });
        }
        let entries = bytes.get(..end).unwrap_or_default();
        let (mut at, mut last, mut previous, mut len) = (HEADER, 0, 0, 0);
        while at < end {
            let entry = decode(entries, at).map_err(|unknown| match unknown {
                true => EncodingError::Entry { offset: at },
                false => EncodingError::Truncated { offset: at },
            })?;
            if entry.previous != previous {
                return Err(EncodingError::BackLength { offset: at });
            }
            (last, previous, len) = (at, entry.size, len + 1);
            at += entry.size;
        }
        let tail = u32::from_le_bytes([t0, t1, t2, t3]);
        // Of an empty list it is the offset of the end mark.
        if tail as usize != if len == 0 { HEADER } else { last } {
            return Err(EncodingError::Tail { claimed: tail.into() });
        }
        let claimed = u16::from_le_bytes([c0, c1]);
        if claimed != u16::MAX && usize::from(claimed) != len {
            return Err(EncodingError::Count { claimed: claimed.into(), actual: len as u64 });
        }
        Ok(Self { bytes, len, last })
    }

    /// The blob.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many entries there are. O(1).
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entries, from either end.
    #[inline]
    pub fn iter(&self) -> ZiplistIter<'a> {
        ZiplistIter { bytes: self.bytes, front: HEADER, back: self.last, left: self.len }
    }
}

impl<'a> IntoIterator for Ziplist<'a> {
    type Item = Item<'a>;
    type IntoIter = ZiplistIter<'a>;

    fn into_iter(self) -> ZiplistIter<'a> {
        self.iter()
    }
}

/// Iterator over the entries of a [`Ziplist`].
#[derive(Debug, Clone)]
pub struct ZiplistIter<'a> {
    bytes: &'a [u8],
    front: usize,
    /// Where the last entry not yet seen begins.
    back: usize,
    left: usize,
}

impl<'a> Iterator for ZiplistIter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        self.left = self.left.checked_sub(1)?;
        let entry = decode(self.bytes, self.front).ok()?;
        self.front += entry.size;
        Some(entry.item)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl DoubleEndedIterator for ZiplistIter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let entry = decode(self.bytes, self.back).ok()?;
        self.back = self.back.saturating_sub(entry.previous);
        Some(entry.item)
    }
}

impl ExactSizeIterator for ZiplistIter<'_> {}
impl std::iter::FusedIterator for ZiplistIter<'_> {}

struct Entry<'a> {
    /// Size of the entry before, as this one says.
    previous: usize,
    item: Item<'a>,
    /// Size of all of this entry.
    size: usize,
}

/// The entry at `at`.
///
/// # Errors
/// Whether the encoding is unknown; else the bytes end too early.
#[inline]
fn decode(bytes: &[u8], at: usize) -> Result<Entry<'_>, bool> {
    let entry = bytes.get(at..).ok_or(false)?;
    let (previous, rest) = match entry {
        [0xFE, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        [0xFE, ..] | [] => return Err(false),
        [0xFF, ..] => return Err(true),
        [short, rest @ ..] => (usize::from(*short), rest),
    };
    let (&encoding, rest) = rest.split_first().ok_or(false)?;
    let (item, rest) =
        item(encoding, rest).ok_or(matches!(encoding, 0xC1..=0xCF | 0xD1..=0xDF | 0xE1..=0xEF | 0xFF))?;
    Ok(Entry { previous, item, size: entry.len() - rest.len() })
}

#[inline]
fn item(encoding: u8, rest: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let (len, rest) = match encoding {
        0x00..=0x3F => (usize::from(encoding), rest),
        0x40..=0x7F => {
            let (&low, rest) = rest.split_first()?;
            (usize::from(u16::from_be_bytes([encoding & 0x3F, low])), rest)
        }
        0x80..=0xBF => {
            let (len, rest) = rest.split_first_chunk()?;
            (u32::from_be_bytes(*len) as usize, rest)
        }
        _ => {
            let (value, width) = match encoding {
                0xC0 => (i64::from(i16::from_le_bytes(*rest.first_chunk()?)), 2),
                0xD0 => (i64::from(i32::from_le_bytes(*rest.first_chunk()?)), 4),
                0xE0 => (i64::from_le_bytes(*rest.first_chunk()?), 8),
                0xF0 => {
                    let [a, b, c] = *rest.first_chunk()?;
                    (i64::from(i32::from_le_bytes([0, a, b, c]) >> 8), 3)
                }
                0xFE => (i64::from(rest.first()?.cast_signed()), 1),
                0xF1..=0xFD => (i64::from(encoding & 0x0F) - 1, 0),
                _ => return None,
            };
            return Some((Item::Int(value), rest.get(width..)?));
        }
    };
    let (string, rest) = rest.split_at_checked(len)?;
    Some((Item::Str(string), rest))
}
