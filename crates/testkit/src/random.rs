//! Random numbers that come again from the same seed, on every machine.

use std::ops::RangeInclusive;

/// `SplitMix64` by Guy Steele, Doug Lea and Christine Flood: one addition and three mixing steps a number.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    #[allow(clippy::should_implement_trait, reason = "not an iterator: it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in the range, both ends included.
    pub fn within(&mut self, range: RangeInclusive<i64>) -> i64 {
        let span = range.end().wrapping_sub(*range.start()).cast_unsigned().wrapping_add(1);
        let offset = if span == 0 { self.next() } else { self.next() % span };
        range.start().wrapping_add(offset.cast_signed())
    }

    /// An index below `count`, or 0.
    pub fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(count.max(1)).unwrap_or(u64::MAX)).unwrap_or(0)
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times.max(1))
    }

    /// One of them.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Text that does not compress, for sizes below LZF's interest it hardly matters.
    pub fn text(&mut self, len: usize) -> Vec<u8> {
        const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
        (0..len).map(|_| self.pick(LETTERS)).collect()
    }

    /// Any bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(len);
        bytes
    }

    /// An integer of any width, so that every packed width occurs.
    pub fn integer(&mut self) -> i64 {
        let bits = self.below(64);
        self.next().cast_signed() >> bits
    }

    /// A score: integers, fractions, tiny, huge, and now and then an infinity. Not the negative zero: of it and zero,
    /// `ZUNIONSTORE ... MIN` takes whichever its sorting puts first, on a replica perhaps the other.
    pub fn score(&mut self) -> String {
        match self.below(12) {
            0..4 => self.within(-1000..=1000).to_string(),
            4..7 => format!("{}.{}", self.within(-1000..=1000), self.below(1000)),
            7 => self.integer().to_string(),
            8 => format!("{}e-{}", self.within(1..=999), self.below(300)),
            9 => format!("{}e{}", self.within(-999..=999), self.below(300)),
            10 => format!("{}", f64::from(u32::try_from(self.below(1 << 30)).unwrap_or(0)) / 7.0),
            _ => self.pick(&["inf", "-inf", "0", "1.7976931348623157e308"]).to_owned(),
        }
    }

    /// A string value of the kinds that servers keep differently: integers, short (embedded), long, compressible,
    /// binary, empty.
    pub fn value(&mut self) -> Vec<u8> {
        match self.below(16) {
            0..4 => self.integer().to_string().into_bytes(),
            4..9 => {
                let len = self.below(44);
                self.text(len)
            }
            9..12 => {
                let len = self.below(200);
                self.text(len)
            }
            12 => {
                let len = self.below(1000);
                b"compressible ".iter().copied().cycle().take(len).collect()
            }
            13 => Vec::new(),
            14 => self.score().into_bytes(),
            _ => {
                let len = self.below(300);
                self.bytes(len)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (mut a, mut b) = (Random::new(7), Random::new(7));
        assert!((0..100).all(|_| a.value() == b.value()));
        assert_ne!(Random::new(7).next(), Random::new(8).next());
    }

    #[test]
    fn numbers_stay_within_their_range() {
        let mut random = Random::new(1);
        assert!((0..1000).all(|_| (-3..=3).contains(&random.within(-3..=3))));
        let _ = random.within(i64::MIN..=i64::MAX);
    }
}
