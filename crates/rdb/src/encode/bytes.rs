//! Lengths and strings, written (format sections 3 and 4).

use crate::encoding::{Item, parse_canonical_i64};
use crate::lzf::Compressor;

/// A buffer that knows the primitives of the format.
#[derive(Debug)]
pub(crate) struct Bytes {
    pub(crate) buf: Vec<u8>,
    /// Present if strings are to be compressed.
    compressor: Option<Compressor>,
    packed: Vec<u8>,
}

impl Bytes {
    pub(crate) fn new(compress: bool) -> Self {
        Self { buf: Vec::new(), compressor: compress.then(Compressor::new), packed: Vec::new() }
    }

    #[inline]
    pub(crate) fn u8(&mut self, byte: u8) {
        self.buf.push(byte);
    }

    #[inline]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "each arm is entered only by values that fit")]
    pub(crate) fn len(&mut self, n: u64) {
        match n {
            0..=0x3F => self.u8(n as u8),
            0x40..=0x3FFF => self.raw(&(n as u16 | 0x4000).to_be_bytes()),
            0x4000..=0xFFFF_FFFF => {
                self.u8(0x80);
                self.raw(&(n as u32).to_be_bytes());
            }
            _ => {
                self.u8(0x81);
                self.raw(&n.to_be_bytes());
            }
        }
    }

    /// A string in the shortest of its forms: integer, compressed, or as it is.
    #[inline]
    pub(crate) fn string(&mut self, bytes: &[u8]) {
        if bytes.len() <= 11 {
            if let Some(value) = parse_canonical_i64(bytes).and_then(|value| i32::try_from(value).ok()) {
                return self.int(value);
            }
        } else if bytes.len() > 20 && self.compressed(bytes) {
            return;
        }
        self.len(bytes.len() as u64);
        self.raw(bytes);
    }

    fn int(&mut self, value: i32) {
        if let Ok(value) = i8::try_from(value) {
            self.u8(0xC0);
            self.raw(&value.to_le_bytes());
        } else if let Ok(value) = i16::try_from(value) {
            self.u8(0xC1);
            self.raw(&value.to_le_bytes());
        } else {
            self.u8(0xC2);
            self.raw(&value.to_le_bytes());
        }
    }

    fn compressed(&mut self, bytes: &[u8]) -> bool {
        let Some(compressor) = &mut self.compressor else { return false };
        self.packed.clear();
        if !compressor.compress(bytes, &mut self.packed) {
            return false;
        }
        let packed = std::mem::take(&mut self.packed);
        self.u8(0xC3);
        self.len(packed.len() as u64);
        self.len(bytes.len() as u64);
        self.raw(&packed);
        self.packed = packed;
        true
    }

    /// An element of a packed list as a string of its own.
    #[inline]
    pub(crate) fn item(&mut self, item: Item<'_>) {
        self.string(item.to_bytes(&mut [0; 20]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_their_shortest_form() {
        let mut out = Bytes::new(false);
        for n in [63, 64, 16383, 16384, 0xFFFF_FFFF, 0x1_0000_0000] {
            out.len(n);
        }
        let expected = b"\x3F\x40\x40\x7F\xFF\x80\0\0\x40\0\x80\xFF\xFF\xFF\xFF\x81\0\0\0\x01\0\0\0\0";
        assert_eq!(out.buf, expected);
    }

    #[test]
    fn only_canonical_32_bit_decimals_become_integers() {
        for (text, form) in [
            (&b"-5"[..], &b"\xC0\xFB"[..]),
            (b"1000", b"\xC1\xE8\x03"),
            (b"-2147483648", b"\xC2\0\0\0\x80"),
            (b"2147483648", b"\x0A2147483648"),
            (b"007", b"\x03007"),
            (b"", b"\0"),
        ] {
            let mut out = Bytes::new(false);
            out.string(text);
            assert_eq!(out.buf, form);
        }
    }
}
