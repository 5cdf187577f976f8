//! Chance for command generators, the same for the same seed.

use std::hash::{BuildHasher, Hasher};

/// `SplitMix64`.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap_or(0)
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn within(&mut self, least: i64, most: i64) -> i64 {
        least + (self.next() % (most - least + 1).unsigned_abs()).cast_signed()
    }

    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// Runs `f` with some fixed seeds and one that nobody chose, each printed.
pub fn for_seeds(fixed: &[u64], f: impl FnMut(u64, Random)) {
    let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let chosen = given.unwrap_or_else(|| std::hash::RandomState::new().build_hasher().finish());
    let seeds: Vec<u64> = fixed.iter().copied().chain([chosen]).collect();
    for_these_seeds(&seeds, f);
}

/// The same with these seeds alone.
pub fn for_these_seeds(seeds: &[u64], mut f: impl FnMut(u64, Random)) {
    for seed in seeds {
        eprintln!("seed {seed}");
        f(*seed, Random::new(*seed));
    }
}
