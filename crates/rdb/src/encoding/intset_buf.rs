//! An intset that is built and changed in place, to the byte as servers do.

use super::error::Full;
use super::intset::{HEADER, Intset, IntsetIter};

/// An owned intset. 24 bytes beside the blob; an empty one allocates nothing.
///
/// The width grows with the first integer that needs it and never shrinks, as in servers.
///
/// ```
/// use rdb::encoding::IntsetBuf;
/// let mut set = IntsetBuf::new();
/// assert!(set.insert(70000)?);
/// assert!(set.insert(1)?);
/// assert!(!set.insert(1)?);
/// assert!(set.remove(70000));
/// assert_eq!(set.as_bytes(), b"\x04\0\0\0\x01\0\0\0\x01\0\0\0");
/// # Ok::<_, rdb::encoding::Full>(())
/// ```
#[derive(Clone, Default)]
pub struct IntsetBuf {
    /// The blob; empty stands for [`EMPTY`].
    bytes: Vec<u8>,
}

const EMPTY: [u8; HEADER] = [2, 0, 0, 0, 0, 0, 0, 0];
const MAX_BYTES: usize = 1 << 30;

impl IntsetBuf {
    /// An empty set, two bytes an integer.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// A copy of a checked set.
    pub fn from_intset(set: Intset<'_>) -> Self {
        Self { bytes: set.as_bytes().to_vec() }
    }

    /// The set, for reading. O(1).
    #[inline]
    pub fn as_intset(&self) -> Intset<'_> {
        Intset::trusted(self.as_bytes())
    }

    /// The blob.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        if self.bytes.is_empty() { &EMPTY } else { &self.bytes }
    }

    /// Size of the blob in bytes.
    #[inline]
    pub fn bytes_len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Bytes on the heap, spare room included.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// How many integers there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.as_intset().len()
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.as_intset().is_empty()
    }

    /// The integers in ascending order, from either end.
    #[inline]
    pub fn iter(&self) -> IntsetIter<'_> {
        self.as_intset().iter()
    }

    /// Whether the set holds `value`. O(log n).
    #[inline]
    pub fn contains(&self, value: i64) -> bool {
        self.as_intset().contains(value)
    }

    /// The integer `index`, in ascending order. O(1).
    #[inline]
    pub fn get(&self, index: usize) -> Option<i64> {
        self.as_intset().get(index)
    }

    /// Adds `value`; false if it was there. O(n).
    ///
    /// # Errors
    /// [`Full`] beyond 1 GiB.
    pub fn insert(&mut self, value: i64) -> Result<bool, Full> {
        let Err(index) = self.as_intset().position(value) else { return Ok(false) };
        let (set, needed) = (self.as_intset(), width_of(value));
        if (set.len() + 1).saturating_mul(set.width().max(needed)) > MAX_BYTES - HEADER {
            return Err(Full);
        }
        if needed > set.width() {
            self.widen(needed);
        }
        let width = self.as_intset().width();
        if self.bytes.is_empty() {
            self.bytes.reserve_exact(HEADER + width);
            self.bytes.extend_from_slice(&EMPTY);
        } else if self.bytes.capacity() - self.bytes.len() < width {
            self.bytes.reserve_exact((self.bytes.len() / 8).max(width).next_multiple_of(width));
        }
        let (at, len) = (HEADER + index * width, self.bytes.len());
        let le = value.to_le_bytes();
        self.bytes.extend_from_slice(le.get(..width).unwrap_or_default());
        if at < len {
            self.bytes.copy_within(at..len, at + width);
            if let (Some(place), Some(le)) = (self.bytes.get_mut(at..at + width), le.get(..width)) {
                place.copy_from_slice(le);
            }
        }
        self.write_header(width);
        Ok(true)
    }

    /// Removes `value`; false if it was not there. O(n).
    pub fn remove(&mut self, value: i64) -> bool {
        let Ok(index) = self.as_intset().position(value) else { return false };
        let width = self.as_intset().width();
        let at = HEADER + index * width;
        self.bytes.drain(at..at + width);
        self.write_header(width);
        true
    }

    /// Gives spare room back.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }

    fn widen(&mut self, width: usize) {
        let set = self.as_intset();
        let mut wide = Vec::with_capacity(HEADER + (set.len() + 1) * width);
        wide.extend_from_slice(&EMPTY);
        for value in set {
            wide.extend_from_slice(value.to_le_bytes().get(..width).unwrap_or_default());
        }
        self.bytes = wide;
        self.write_header(width);
    }

    fn write_header(&mut self, width: usize) {
        let count = (self.bytes.len() - HEADER) / width;
        if let Some((header, _)) = self.bytes.split_first_chunk_mut::<HEADER>() {
            let [c0, c1, c2, c3] = (count as u32).to_le_bytes();
            *header = [width as u8, 0, 0, 0, c0, c1, c2, c3];
        }
    }
}

impl std::fmt::Debug for IntsetBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl PartialEq for IntsetBuf {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for IntsetBuf {}

impl<'a> IntoIterator for &'a IntsetBuf {
    type Item = i64;
    type IntoIter = IntsetIter<'a>;

    fn into_iter(self) -> IntsetIter<'a> {
        self.iter()
    }
}

fn width_of(value: i64) -> usize {
    match value {
        -0x8000..=0x7FFF => 2,
        -0x8000_0000..=0x7FFF_FFFF => 4,
        _ => 8,
    }
}
