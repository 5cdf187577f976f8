//! Chance for SPOP, RANDOMKEY and their like: fast, fair, no secret.

use crate::view::View;

/// A generator (wyrand's constants); seeded anew for each command.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// Seeded by the command's time and a counter of the process.
    pub(crate) fn new(view: &View<'_>) -> Self {
        static CALLS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let call = CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut seed = [0; 16];
        seed[..8].copy_from_slice(&view.now().to_le_bytes());
        seed[8..].copy_from_slice(&call.to_le_bytes());
        Self(view.keyspace().hasher().hash(&seed))
    }

    /// 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0xa076_1d64_78bd_642f);
        let wide = u128::from(self.0) * u128::from(self.0 ^ 0xe703_7ed1_a0b4_28db);
        (wide >> 64) as u64 ^ wide as u64
    }

    /// A number below `n`, each as likely as the others to within 2^-32; 0 if `n` is 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

/// `wanted` of the `n` items, in their order, each choice as likely as the others; all of them if that is not
/// less. Knuth's algorithm S: one pass, an item is taken with the chance of what is wanted among what is left.
pub(crate) fn sample<T>(
    items: impl Iterator<Item = T>,
    n: usize,
    wanted: usize,
    below: &mut dyn FnMut(usize) -> usize,
) -> Vec<T> {
    let (mut left, mut wanted) = (n, wanted.min(n));
    let take = |_: &T| {
        let taken = left > 0 && below(left) < wanted;
        left = left.saturating_sub(1);
        wanted -= usize::from(taken);
        taken
    };
    items.filter(take).collect()
}
