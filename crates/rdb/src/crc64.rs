//! The checksum of dumps: CRC-64/REDIS, also called Jones (format section 15).

/// A running checksum.
///
/// Long pieces go through carry-less multiplication; pieces shorter than it takes to warm that up go through eight
/// tables, made at compile time.
///
/// ```
/// use rdb::crc64::{Crc64, checksum};
/// let mut crc = Crc64::new();
/// crc.update(b"1234");
/// crc.update(b"56789");
/// assert_eq!(crc.value(), 0xE9C6_D914_C4B8_D9CA);
/// assert_eq!(crc.value(), checksum(b"123456789"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Crc64 {
    state: u64,
}

/// From here on the vector code is faster.
const LONG: usize = 128;
const POLYNOMIAL_REFLECTED: u64 = 0x95AC_9329_AC4B_C9B5;

impl Crc64 {
    /// The checksum of nothing.
    #[inline]
    pub const fn new() -> Self {
        Self { state: 0 }
    }

    /// Continues a checksum that stood at `value`.
    #[inline]
    pub const fn resume(value: u64) -> Self {
        Self { state: value }
    }

    /// Takes the next bytes.
    #[inline]
    pub fn update(&mut self, bytes: &[u8]) {
        self.state = if bytes.len() < LONG { short(self.state, bytes) } else { long(self.state, bytes) };
    }

    /// The checksum so far.
    #[inline]
    pub const fn value(&self) -> u64 {
        self.state
    }
}

/// The checksum of all of `bytes`.
#[inline]
pub fn checksum(bytes: &[u8]) -> u64 {
    let mut crc = Crc64::new();
    crc.update(bytes);
    crc.value()
}

fn long(state: u64, bytes: &[u8]) -> u64 {
    let mut digest = crc_fast::Digest::new_with_init_state(crc_fast::CrcAlgorithm::Crc64Redis, state);
    digest.update(bytes);
    digest.finalize()
}

#[inline]
fn short(mut state: u64, bytes: &[u8]) -> u64 {
    let [t0, t1, t2, t3, t4, t5, t6, t7] = &TABLES;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let [a, b, c, d, e, f, g, h] = (state ^ u64::from_le_bytes(*word)).to_le_bytes();
        state = look(t7, a)
            ^ look(t6, b)
            ^ look(t5, c)
            ^ look(t4, d)
            ^ look(t3, e)
            ^ look(t2, f)
            ^ look(t1, g)
            ^ look(t0, h);
    }
    for byte in rest {
        state = look(t0, state as u8 ^ byte) ^ (state >> 8);
    }
    state
}

#[inline]
#[expect(clippy::indexing_slicing, reason = "a byte cannot exceed a table of 256")]
fn look(table: &[u64; 256], byte: u8) -> u64 {
    table[usize::from(byte)]
}

/// Table n is the effect of a byte that n zero bytes follow.
static TABLES: [[u64; 256]; 8] = tables();

#[expect(clippy::indexing_slicing, reason = "runs at compile time: an index out of range would not compile")]
const fn tables() -> [[u64; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL_REFLECTED } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = tables[0][(before & 0xFF) as usize] ^ (before >> 8);
            byte += 1;
        }
        table += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bitwise(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0, |crc, byte| {
            (0..8).fold(crc ^ u64::from(*byte), |crc: u64, _| {
                if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL_REFLECTED } else { crc >> 1 }
            })
        })
    }

    #[test]
    fn the_check_value_is_the_published_one() {
        assert_eq!(checksum(b"123456789"), 0xE9C6_D914_C4B8_D9CA);
        assert_eq!(bitwise(b"123456789"), 0xE9C6_D914_C4B8_D9CA);
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_bitwise_checksum(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let (mut crc, mut at) = (Crc64::new(), 0);
            for cut in cuts.into_iter().chain([bytes.len()]) {
                crc.update(&bytes[at..cut]);
                at = cut;
            }
            prop_assert_eq!(crc.value(), bitwise(&bytes));
        }
    }
}
