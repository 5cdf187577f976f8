//! Intset: a sorted array of integers, all of one width (format section 9.3).
//!
//! ```text
//! | width, u32 LE: 2, 4 or 8 | count, u32 LE | integer | integer | ...   strictly ascending, LE
//! ```

use super::error::EncodingError;

/// An intset whose size and order were checked.
///
/// ```
/// use rdb::encoding::Intset;
/// let set = Intset::new(b"\x02\0\0\0\x02\0\0\0\xFF\xFF\x07\0")?;
/// assert!(set.iter().eq([-1, 7]));
/// # Ok::<_, rdb::encoding::EncodingError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Intset<'a> {
    bytes: &'a [u8],
}

pub(super) const HEADER: usize = 8;

impl<'a> Intset<'a> {
    /// Checks a blob: width, size, strict order. O(n).
    ///
    /// # Errors
    /// The first rule that the bytes break, and where.
    pub fn new(bytes: &'a [u8]) -> Result<Self, EncodingError> {
        let Some((&[w0, w1, w2, w3, c0, c1, c2, c3], integers)) = bytes.split_first_chunk::<HEADER>() else {
            return Err(EncodingError::Truncated { offset: 0 });
        };
        let width = u32::from_le_bytes([w0, w1, w2, w3]);
        if !matches!(width, 2 | 4 | 8) {
            return Err(EncodingError::Width { claimed: width });
        }
        let claimed = HEADER as u64 + u64::from(width) * u64::from(u32::from_le_bytes([c0, c1, c2, c3]));
        if claimed != bytes.len() as u64 {
            return Err(EncodingError::Size { claimed, actual: bytes.len() as u64 });
        }
        let disorder = match width {
            2 => first_disorder(integers.as_chunks().0.iter().map(|chunk| i16::from_le_bytes(*chunk))),
            4 => first_disorder(integers.as_chunks().0.iter().map(|chunk| i32::from_le_bytes(*chunk))),
            _ => first_disorder(integers.as_chunks().0.iter().map(|chunk| i64::from_le_bytes(*chunk))),
        };
        match disorder {
            Some(index) => Err(EncodingError::Order { index }),
            None => Ok(Self { bytes }),
        }
    }

    /// Takes bytes that came out of a checked `Intset` or an [`IntsetBuf`](super::IntsetBuf) before: O(1). If they
    /// did not, accessors answer something, and stay memory-safe and free of panics.
    #[inline]
    pub fn trusted(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The blob.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many integers there are. O(1).
    #[inline]
    pub fn len(&self) -> usize {
        self.integers().len() / self.width()
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.integers().is_empty()
    }

    /// Bytes an integer takes: 2, 4 or 8.
    #[inline]
    pub fn width(&self) -> usize {
        match self.bytes.first() {
            Some(4) => 4,
            Some(8) => 8,
            _ => 2,
        }
    }

    /// The integer `index`, in ascending order. O(1).
    #[inline]
    pub fn get(&self, index: usize) -> Option<i64> {
        let width = self.width();
        let place = self.integers().get(index.checked_mul(width)?..)?.get(..width)?;
        Some(match width {
            2 => i16::from_le_bytes(*place.first_chunk()?).into(),
            4 => i32::from_le_bytes(*place.first_chunk()?).into(),
            _ => i64::from_le_bytes(*place.first_chunk()?),
        })
    }

    /// Whether the set holds `value`. O(log n).
    #[inline]
    pub fn contains(&self, value: i64) -> bool {
        self.position(value).is_ok()
    }

    /// The index of `value`, or where it would be inserted. O(log n).
    ///
    /// # Errors
    /// The insertion point, if the set does not hold `value`.
    pub fn position(&self, value: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle) {
                Some(found) if found == value => return Ok(middle),
                Some(found) if found < value => low = middle + 1,
                _ => high = middle,
            }
        }
        Err(low)
    }

    /// The integers in ascending order, from either end.
    #[inline]
    pub fn iter(&self) -> IntsetIter<'a> {
        IntsetIter { set: *self, front: 0, back: self.len() }
    }

    #[inline]
    fn integers(&self) -> &'a [u8] {
        self.bytes.get(HEADER..).unwrap_or_default()
    }
}

impl<'a> IntoIterator for Intset<'a> {
    type Item = i64;
    type IntoIter = IntsetIter<'a>;

    fn into_iter(self) -> IntsetIter<'a> {
        self.iter()
    }
}

/// Iterator over the integers of an [`Intset`].
#[derive(Debug, Clone)]
pub struct IntsetIter<'a> {
    set: Intset<'a>,
    front: usize,
    back: usize,
}

impl Iterator for IntsetIter<'_> {
    type Item = i64;

    #[inline]
    fn next(&mut self) -> Option<i64> {
        if self.front == self.back {
            return None;
        }
        self.front += 1;
        self.set.get(self.front - 1)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.back - self.front, Some(self.back - self.front))
    }

    #[inline]
    fn nth(&mut self, n: usize) -> Option<i64> {
        self.front = self.front.saturating_add(n).min(self.back);
        self.next()
    }
}

impl DoubleEndedIterator for IntsetIter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<i64> {
        if self.front == self.back {
            return None;
        }
        self.back -= 1;
        self.set.get(self.back)
    }
}

impl ExactSizeIterator for IntsetIter<'_> {}
impl std::iter::FusedIterator for IntsetIter<'_> {}

fn first_disorder<T: Ord>(mut integers: impl Iterator<Item = T>) -> Option<usize> {
    let mut last = integers.next()?;
    for (index, value) in integers.enumerate() {
        if value <= last {
            return Some(index + 1);
        }
        last = value;
    }
    None
}
