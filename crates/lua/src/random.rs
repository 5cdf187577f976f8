//! `math.random` as Redis 7.0 has it: the 48-bit generator of POSIX, started once, running on across scripts.

/// The same numbers on every machine and after every start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Random(u64);

const MASK: u64 = (1 << 48) - 1;

impl Default for Random {
    fn default() -> Self {
        Self(0x1234_abcd_330e)
    }
}

impl Random {
    pub(crate) fn seeded(seed: i32) -> Self {
        Self(u64::from(seed as u32) << 16 | 0x330e)
    }

    /// Within 0 and 1, the latter excluded.
    pub(crate) fn next_unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(0x5_deec_e66d).wrapping_add(0xb) & MASK;
        let bits = self.0 >> 17;
        const MAX: u64 = i32::MAX as u64;
        (bits % MAX) as f64 / MAX as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_are_those_of_the_server() {
        let mut random = Random::default();
        let mut below = |n: f64| (random.next_unit() * n).floor() + 1.0;
        assert_eq!((below(1000.0), below(1000.0), below(1000.0)), (397.0, 841.0, 354.0));
        let mut random = Random::seeded(0);
        assert_eq!((random.next_unit() * 1000.0).floor() + 1.0, 171.0);
        let mut random = Random::seeded(5);
        assert_eq!((random.next_unit() * 1000.0).floor() + 1.0, 525.0);
    }
}
