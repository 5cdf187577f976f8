//! Builds ziplists: for tests and for specimens of old dumps. Servers from 7.0 on write listpacks.

use super::error::Full;
use super::item::parse_canonical_i64;
use super::ziplist::HEADER;

/// A ziplist under construction.
///
/// ```
/// use rdb::encoding::{Ziplist, ZiplistBuf};
/// let mut list = ZiplistBuf::new();
/// list.push(b"a")?;
/// list.push(b"300")?;
/// assert_eq!(Ziplist::new(list.as_bytes()).unwrap().len(), 2);
/// # Ok::<_, rdb::encoding::Full>(())
/// ```
#[derive(Debug, Clone)]
pub struct ZiplistBuf {
    bytes: Vec<u8>,
    last: usize,
    count: usize,
}

const EMPTY: [u8; HEADER + 1] = [11, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0xFF];

impl Default for ZiplistBuf {
    fn default() -> Self {
        Self { bytes: EMPTY.to_vec(), last: HEADER, count: 0 }
    }
}

impl ZiplistBuf {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// The blob.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends an entry: as an integer if `element` is a canonical 64-bit decimal.
    ///
    /// # Errors
    /// [`Full`] beyond 1 GiB.
    pub fn push(&mut self, element: &[u8]) -> Result<(), Full> {
        if element.len() > (1 << 30) - self.bytes.len().min(1 << 30) {
            return Err(Full);
        }
        let at = self.bytes.len() - 1;
        let previous = if self.count == 0 { 0 } else { at - self.last };
        self.bytes.pop();
        if previous < 254 {
            self.bytes.push(previous as u8);
        } else {
            self.bytes.push(0xFE);
            self.bytes.extend_from_slice(&(previous as u32).to_le_bytes());
        }
        match parse_canonical_i64(element) {
            Some(value) => self.integer(value),
            None => self.string(element),
        }
        self.bytes.push(0xFF);
        self.last = at;
        self.count += 1;
        self.write_header();
        Ok(())
    }

    fn integer(&mut self, value: i64) {
        let le = value.to_le_bytes();
        let (encoding, width) = match value {
            0..=12 => (0xF1 + value as u8, 0),
            -0x80..=0x7F => (0xFE, 1),
            -0x8000..=0x7FFF => (0xC0, 2),
            -0x80_0000..=0x7F_FFFF => (0xF0, 3),
            -0x8000_0000..=0x7FFF_FFFF => (0xD0, 4),
            _ => (0xE0, 8),
        };
        self.bytes.push(encoding);
        self.bytes.extend_from_slice(le.get(..width).unwrap_or_default());
    }

    fn string(&mut self, string: &[u8]) {
        let len = string.len();
        match len {
            0..=63 => self.bytes.push(len as u8),
            64..=16_383 => self.bytes.extend_from_slice(&(0x4000 | len as u16).to_be_bytes()),
            _ => {
                self.bytes.push(0x80);
                self.bytes.extend_from_slice(&(len as u32).to_be_bytes());
            }
        }
        self.bytes.extend_from_slice(string);
    }

    fn write_header(&mut self) {
        let size = (self.bytes.len() as u32).to_le_bytes();
        let last = (self.last as u32).to_le_bytes();
        let count = u16::try_from(self.count).unwrap_or(u16::MAX).to_le_bytes();
        let fields = size.into_iter().chain(last).chain(count);
        for (place, byte) in self.bytes.iter_mut().zip(fields) {
            *place = byte;
        }
    }
}
