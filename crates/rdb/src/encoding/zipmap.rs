//! Zipmap: the packed hash of Redis 2.4 and earlier (format section 9.4). Read only; nothing writes it any more.
//!
//! ```text
//! | count, u8; 254 and more: unknown | pair | pair | ... | FF |
//! pair: | length | field | length | free, u8 | value | `free` unused bytes |
//! length: one byte below 254, else FE and a u32 LE
//! ```

use super::error::EncodingError;

/// A zipmap whose every pair was checked.
///
/// ```
/// use rdb::encoding::Zipmap;
/// let map = Zipmap::new(b"\x01\x01f\x02\x00vv\xFF")?;
/// assert!(map.iter().eq([(&b"f"[..], &b"vv"[..])]));
/// # Ok::<_, rdb::encoding::EncodingError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Zipmap<'a> {
    bytes: &'a [u8],
    len: usize,
}

impl<'a> Zipmap<'a> {
    /// Checks a blob: every pair, end mark, count. O(pairs). An empty map passes; servers refuse it as a hash.
    ///
    /// # Errors
    /// The first rule that the bytes break, and where.
    pub fn new(bytes: &'a [u8]) -> Result<Self, EncodingError> {
        let Some(&claimed) = bytes.first() else {
            return Err(EncodingError::Truncated { offset: 0 });
        };
        let mut at = 1;
        let mut len = 0_usize;
        while let Some(next) = check_pair(bytes, at)? {
            at = next;
            len += 1;
        }
        if at + 1 != bytes.len() {
            return Err(EncodingError::Size { claimed: at as u64 + 1, actual: bytes.len() as u64 });
        }
        if claimed < 254 && usize::from(claimed) != len {
            return Err(EncodingError::Count { claimed: claimed.into(), actual: len as u64 });
        }
        Ok(Self { bytes, len })
    }

    /// The blob.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many pairs there are. O(1).
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Fields with their values.
    #[inline]
    pub fn iter(&self) -> ZipmapIter<'a> {
        ZipmapIter { rest: self.bytes.get(1..).unwrap_or_default(), left: self.len }
    }
}

impl<'a> IntoIterator for Zipmap<'a> {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = ZipmapIter<'a>;

    fn into_iter(self) -> ZipmapIter<'a> {
        self.iter()
    }
}

/// Iterator over the pairs of a [`Zipmap`].
#[derive(Debug, Clone)]
pub struct ZipmapIter<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for ZipmapIter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (field, value, rest) = pair(self.rest)?;
        self.rest = rest;
        self.left = self.left.saturating_sub(1);
        Some((field, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for ZipmapIter<'_> {}
impl std::iter::FusedIterator for ZipmapIter<'_> {}

/// Where the pair behind the one at `at` begins; `None` at the end mark.
fn check_pair(bytes: &[u8], at: usize) -> Result<Option<usize>, EncodingError> {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.first() {
        None => Err(EncodingError::Terminator { offset: at }),
        Some(0xFF) => Ok(None),
        Some(_) => match pair(rest) {
            Some((_, _, behind)) => Ok(Some(bytes.len() - behind.len())),
            None => Err(EncodingError::Truncated { offset: at }),
        },
    }
}

fn pair(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (field_len, rest) = length(bytes)?;
    let (field, rest) = rest.split_at_checked(field_len)?;
    let (value_len, rest) = length(rest)?;
    let (&free, rest) = rest.split_first()?;
    let (value, rest) = rest.split_at_checked(value_len)?;
    Some((field, value, rest.get(usize::from(free)..)?))
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    match first {
        0..=253 => Some((first.into(), rest)),
        254 => {
            let (len, rest) = rest.split_first_chunk::<4>()?;
            let len = u32::from_le_bytes(*len) as usize;
            // The long form of a short length is corrupt.
            (len >= 254).then_some((len, rest))
        }
        255 => None,
    }
}
