//! Listpack: the packed list of Redis 7 and later (format section 9.1).
//!
//! ```text
//! | total bytes, u32 LE | count, u16 LE | entry | entry | ... | FF |
//! entry: | encoding and data: n bytes | n, base 128, most significant group first |
//! ```
//!
//! The number behind each entry is what makes the list walkable from its end. A count of 65535 means "at least that
//! many": [`Listpack::len`] then walks.

use super::error::EncodingError;
use super::item::{Item, parse_canonical_i64};

/// A listpack whose every entry was checked, or is [trusted](Listpack::trusted).
///
/// ```
/// use rdb::encoding::{Item, Listpack};
/// let list = Listpack::new(b"\x0D\0\0\0\x02\0\x81a\x02\x81b\x02\xFF")?;
/// assert_eq!(list.iter().next_back(), Some(Item::Str(b"b")));
/// # Ok::<_, rdb::encoding::EncodingError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Listpack<'a> {
    bytes: &'a [u8],
}

/// Where an entry begins, as a byte offset. Holds until the list is changed; a stale or foreign `Pos` is memory-safe
/// and its meaning unspecified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pos(pub(super) u32);

pub(super) const HEADER: usize = 6;
pub(super) const END: u8 = 0xFF;
/// The count that stands for "walk the list".
pub(super) const COUNT_UNKNOWN: u16 = u16::MAX;

impl<'a> Listpack<'a> {
    /// Checks a blob in one pass: size, end mark, every entry and its back-length, count. O(entries).
    ///
    /// # Errors
    /// The first rule that the bytes break, and where.
    pub fn new(bytes: &'a [u8]) -> Result<Self, EncodingError> {
        let Some((&header, _)) = bytes.split_first_chunk::<HEADER>() else {
            return Err(EncodingError::Truncated { offset: 0 });
        };
        let [s0, s1, s2, s3, c0, c1] = header;
        let claimed = u64::from(u32::from_le_bytes([s0, s1, s2, s3]));
        let actual = bytes.len() as u64;
        if claimed != actual {
            return Err(EncodingError::Size { claimed, actual });
        }
        let end = bytes.len() - 1;
        if bytes.len() == HEADER || bytes.last() != Some(&END) {
            return Err(EncodingError::Terminator { offset: end });
        }
        let mut at = HEADER;
        let mut count = 0_u64;
        while at < end {
            at = check_entry(bytes, at, end)?;
            count += 1;
        }
        let claimed = u16::from_le_bytes([c0, c1]);
        if claimed != COUNT_UNKNOWN && u64::from(claimed) != count {
            return Err(EncodingError::Count { claimed: claimed.into(), actual: count });
        }
        Ok(Self { bytes })
    }

    /// Takes bytes that came out of a checked `Listpack` or a [`ListpackBuf`](super::ListpackBuf) before, without
    /// looking at them: O(1). If they did not, accessors answer something or stop early, and stay memory-safe and
    /// free of panics.
    #[inline]
    pub fn trusted(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The blob.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many entries there are. O(1) below 65535 entries, else O(entries).
    #[inline]
    pub fn len(&self) -> usize {
        match self.bytes {
            [_, _, _, _, c0, c1, ..] => match u16::from_le_bytes([*c0, *c1]) {
                COUNT_UNKNOWN => self.iter().count(),
                count => count.into(),
            },
            _ => 0,
        }
    }

    /// Whether there is no entry. O(1).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.len() <= HEADER + 1
    }

    /// The entries, from either end.
    #[inline]
    pub fn iter(&self) -> ListpackIter<'a> {
        ListpackIter { walk: self.walk(HEADER) }
    }

    /// The entries with their places, from either end.
    #[inline]
    pub fn iter_with_pos(&self) -> ListpackPosIter<'a> {
        ListpackPosIter { walk: self.walk(HEADER) }
    }

    /// The entries from `pos` to the end, from either end.
    #[inline]
    pub fn iter_at(&self, pos: Pos) -> ListpackIter<'a> {
        ListpackIter { walk: self.walk(pos.offset()) }
    }

    /// The entries from `pos` to the end with their places, from either end.
    #[inline]
    pub fn iter_with_pos_at(&self, pos: Pos) -> ListpackPosIter<'a> {
        ListpackPosIter { walk: self.walk(pos.offset()) }
    }

    /// The entry at `pos`; `None` at the end.
    #[inline]
    pub fn at(&self, pos: Pos) -> Option<Item<'a>> {
        decode(self.bytes, pos.offset()).map(|(item, _)| item)
    }

    /// The first entry.
    #[inline]
    pub fn first(&self) -> Option<Pos> {
        (!self.is_empty()).then_some(Pos::at(HEADER))
    }

    /// The last entry.
    #[inline]
    pub fn last(&self) -> Option<Pos> {
        self.prev(self.end())
    }

    /// The place behind the last entry: where [`ListpackBuf::insert`](super::ListpackBuf::insert) appends.
    #[inline]
    pub fn end(&self) -> Pos {
        Pos::at(self.bytes.len().saturating_sub(1))
    }

    /// The entry behind the one at `pos`; `None` if that is the last.
    #[inline]
    pub fn next(&self, pos: Pos) -> Option<Pos> {
        let next = skip(self.bytes, pos.offset())?;
        (next < self.end().offset()).then_some(Pos::at(next))
    }

    /// The entry before `pos`, which may be [`end`](Self::end); `None` if there is none.
    #[inline]
    pub fn prev(&self, pos: Pos) -> Option<Pos> {
        step_back(self.bytes, pos.offset()).map(Pos::at)
    }

    /// The place of the entry `index`; negative ones count from the end, -1 being the last. Walks from the nearer
    /// end.
    pub fn seek(&self, index: i64) -> Option<Pos> {
        let len = i64::try_from(self.len()).ok()?;
        let from_front = if index < 0 { len.checked_add(index)? } else { index };
        if from_front < 0 || from_front >= len {
            return None;
        }
        if from_front <= len / 2 {
            let mut at = HEADER;
            for _ in 0..from_front {
                at = skip(self.bytes, at)?;
            }
            (at < self.end().offset()).then_some(Pos::at(at))
        } else {
            let mut at = self.end();
            for _ in from_front..len {
                at = self.prev(at)?;
            }
            Some(at)
        }
    }

    /// The entry `index`; negative ones count from the end.
    #[inline]
    pub fn get(&self, index: i64) -> Option<Item<'a>> {
        self.at(self.seek(index)?)
    }

    /// The first entry that equals `needle`, looking at entries 0, `skip + 1`, `2 * (skip + 1)`, ...: a hash looks
    /// for fields with a `skip` of 1.
    #[inline]
    pub fn find(&self, needle: &[u8], skip: usize) -> Option<Pos> {
        self.find_at(Pos::at(HEADER), needle, skip)
    }

    /// The same, beginning with the entry at `pos`.
    pub fn find_at(&self, pos: Pos, needle: &[u8], skip: usize) -> Option<Pos> {
        let integer = parse_canonical_i64(needle);
        let end = self.end().offset();
        let mut at = pos.offset();
        while at < end {
            let (item, size) = decode(self.bytes, at)?;
            let found = match item {
                Item::Str(s) => s == needle,
                Item::Int(v) => integer == Some(v),
            };
            if found {
                return Some(Pos::at(at));
            }
            at = at.checked_add(size)?.checked_add(back_length_width(size))?;
            for _ in 0..skip {
                if at >= end {
                    return None;
                }
                at = self::skip(self.bytes, at)?;
            }
        }
        None
    }

    #[inline]
    fn walk(&self, front: usize) -> Walk<'a> {
        Walk { bytes: self.bytes, front, back: self.bytes.len().saturating_sub(1) }
    }
}

impl<'a> IntoIterator for Listpack<'a> {
    type Item = Item<'a>;
    type IntoIter = ListpackIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Iterator over the entries of a [`Listpack`].
#[derive(Debug, Clone)]
pub struct ListpackIter<'a> {
    walk: Walk<'a>,
}

impl<'a> Iterator for ListpackIter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        self.walk.next().map(|(_, item)| item)
    }
}

impl DoubleEndedIterator for ListpackIter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.walk.next_back().map(|(_, item)| item)
    }
}

impl std::iter::FusedIterator for ListpackIter<'_> {}

/// Iterator over the entries of a [`Listpack`] and their places.
#[derive(Debug, Clone)]
pub struct ListpackPosIter<'a> {
    walk: Walk<'a>,
}

impl<'a> Iterator for ListpackPosIter<'a> {
    type Item = (Pos, Item<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.walk.next().map(|(at, item)| (Pos::at(at), item))
    }
}

impl DoubleEndedIterator for ListpackPosIter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.walk.next_back().map(|(at, item)| (Pos::at(at), item))
    }
}

impl std::iter::FusedIterator for ListpackPosIter<'_> {}

impl Pos {
    /// Blobs are at most 4 GiB - 1 long: their header says so.
    #[inline]
    pub(super) fn at(offset: usize) -> Self {
        Self(u32::try_from(offset).unwrap_or(u32::MAX))
    }

    #[inline]
    pub(super) fn offset(self) -> usize {
        self.0 as usize
    }
}

/// What is left between two ends. On bytes that are no listpack it stops at the first nonsense.
#[derive(Debug, Clone)]
struct Walk<'a> {
    bytes: &'a [u8],
    front: usize,
    /// Just behind the last entry not yet seen.
    back: usize,
}

impl<'a> Walk<'a> {
    #[inline]
    fn next(&mut self) -> Option<(usize, Item<'a>)> {
        if self.front >= self.back {
            return None;
        }
        let at = self.front;
        let Some((item, size)) = decode(self.bytes, at) else {
            self.front = self.back;
            return None;
        };
        // `decode` found all of the entry's bytes, so the sum is far from overflowing.
        self.front = at + size + back_length_width(size);
        Some((at, item))
    }

    #[inline]
    fn next_back(&mut self) -> Option<(usize, Item<'a>)> {
        if self.front >= self.back {
            return None;
        }
        let found = step_back(self.bytes, self.back)
            .filter(|at| *at >= self.front)
            .and_then(|at| decode(self.bytes, at).map(|(item, _)| (at, item)));
        self.back = found.map_or(self.front, |(at, _)| at);
        found
    }
}

/// The entry at `at` and the size of its encoding and data.
#[inline]
pub(super) fn decode(bytes: &[u8], at: usize) -> Option<(Item<'_>, usize)> {
    let (&first, rest) = bytes.get(at..)?.split_first()?;
    Some(match first {
        0..=0x7F => (Item::Int(first.into()), 1),
        0x80..=0xBF => {
            let len = usize::from(first & 0x3F);
            (Item::Str(rest.get(..len)?), 1 + len)
        }
        0xC0..=0xDF => {
            let raw = u16::from_be_bytes([first & 0x1F, *rest.first()?]);
            // Sign-extend 13 bits.
            (Item::Int(i64::from((raw << 3).cast_signed() >> 3)), 2)
        }
        0xE0..=0xEF => {
            let len = usize::from(u16::from_be_bytes([first & 0x0F, *rest.first()?]));
            (Item::Str(rest.get(1..1 + len)?), 2 + len)
        }
        0xF0 => {
            let (len, rest) = rest.split_first_chunk::<4>()?;
            let len = u32::from_le_bytes(*len) as usize;
            (Item::Str(rest.get(..len)?), len.checked_add(5)?)
        }
        0xF1 => (Item::Int(i16::from_le_bytes(*rest.first_chunk()?).into()), 3),
        0xF2 => {
            let [a, b, c] = *rest.first_chunk::<3>()?;
            (Item::Int(i64::from(i32::from_le_bytes([0, a, b, c]) >> 8)), 4)
        }
        0xF3 => (Item::Int(i32::from_le_bytes(*rest.first_chunk()?).into()), 5),
        0xF4 => (Item::Int(i64::from_le_bytes(*rest.first_chunk()?)), 9),
        0xF5..=END => return None,
    })
}

/// Size of the encoding and data of the entry at `at`, which may end beyond the bytes.
#[inline]
fn entry_size(bytes: &[u8], at: usize) -> Option<usize> {
    let (&first, rest) = bytes.get(at..)?.split_first()?;
    Some(match first {
        0..=0x7F => 1,
        0x80..=0xBF => 1 + usize::from(first & 0x3F),
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 2 + usize::from(u16::from_be_bytes([first & 0x0F, *rest.first()?])),
        0xF0 => (u32::from_le_bytes(*rest.first_chunk()?) as usize).checked_add(5)?,
        0xF1 => 3,
        0xF2 => 4,
        0xF3 => 5,
        0xF4 => 9,
        0xF5..=END => return None,
    })
}

/// Where the entry behind the one at `at` begins.
#[inline]
pub(super) fn skip(bytes: &[u8], at: usize) -> Option<usize> {
    let size = entry_size(bytes, at)?;
    at.checked_add(size)?.checked_add(back_length_width(size))
}

/// Where the entry begins that ends just before `at`.
#[inline]
fn step_back(bytes: &[u8], at: usize) -> Option<usize> {
    let entries = bytes.get(HEADER..at)?;
    // Nearly always one byte.
    let &last = entries.last()?;
    if last < 0x80 {
        return at.checked_sub(1 + usize::from(last)).filter(|at| *at >= HEADER);
    }
    let mut size = 0_usize;
    for (index, &byte) in entries.iter().rev().take(5).enumerate() {
        size |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return at.checked_sub(index + 1)?.checked_sub(size).filter(|at| *at >= HEADER);
        }
    }
    None
}

/// How many bytes a back-length takes. The bounds are one below what base 128 could hold: an entry of 16383 bytes
/// has three bytes behind it in every server (checked against Redis 7.0.15).
#[inline]
pub(super) fn back_length_width(size: usize) -> usize {
    match size {
        0..=127 => 1,
        128..=16_382 => 2,
        16_383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    }
}

/// The back-length of an entry: the last `width` bytes of the array.
pub(super) fn back_length(size: usize) -> ([u8; 5], usize) {
    let width = back_length_width(size);
    let group = |index: usize| {
        let more = if index + 1 == width { 0 } else { 0x80 };
        (size >> (7 * index)) as u8 & 0x7F | more
    };
    ([group(4), group(3), group(2), group(1), group(0)], width)
}

/// Checks the entry at `at` and answers where the next one begins, at most `end`.
#[inline]
fn check_entry(bytes: &[u8], at: usize, end: usize) -> Result<usize, EncodingError> {
    let Some(size) = entry_size(bytes, at) else {
        let known = bytes.get(at).is_some_and(|first| *first < 0xF5);
        return Err(if known {
            EncodingError::Truncated { offset: at }
        } else {
            EncodingError::Entry { offset: at }
        });
    };
    // `size` may be up to 4 GiB + 4: compare with what is left instead of adding.
    let width = back_length_width(size);
    let left = end.saturating_sub(at);
    if left < width || size > left - width {
        return Err(EncodingError::Truncated { offset: at });
    }
    let next = at + size + width;
    let good = if width == 1 {
        bytes.get(next - 1).is_some_and(|byte| usize::from(*byte) == size)
    } else {
        let (expected, width) = back_length(size);
        bytes.get(next - width..next) == expected.get(5 - width..)
    };
    if good { Ok(next) } else { Err(EncodingError::BackLength { offset: at }) }
}
