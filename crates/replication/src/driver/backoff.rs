//! How long to wait before the next connection.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Waiting times that double from `base` up to `cap`, each varied by up to a fifth so that many
/// replicas of one primary do not return in step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait. Real replicas always wait one second.
    pub base: Duration,
    /// The longest.
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_secs(1), cap: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// The wait after `failures` failures in a row (1 at least).
    pub(crate) fn wait(&self, failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.base.saturating_mul(doubled).min(self.cap)
    }

    /// `wait`, varied by a fifth up or down.
    pub(crate) fn jittered(&self, failures: u32) -> Duration {
        // Freshly keyed hashers are the standard library's source of randomness.
        let parts = RandomState::new().hash_one(failures) % 401;
        self.wait(failures).saturating_mul(800 + u32::try_from(parts).unwrap_or(200)) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap() {
        let backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(5) };
        let waits: Vec<u64> = [1, 2, 3, 4, 40, u32::MAX].map(|n| backoff.wait(n).as_secs()).into();
        assert_eq!(waits, [1, 2, 4, 5, 5, 5]);
    }

    #[test]
    fn jitter_stays_within_a_fifth() {
        let backoff = Backoff::default();
        for failures in 1..200 {
            let (plain, varied) = (backoff.wait(failures), backoff.jittered(failures));
            assert!(varied >= plain * 4 / 5 && varied <= plain * 6 / 5, "{plain:?} {varied:?}");
        }
    }
}
