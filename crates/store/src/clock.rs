//! Time as the keyspace knows it: a word that somebody else ticks.

use std::sync::atomic::{AtomicI64, Ordering};

/// Unix milliseconds, set from outside; read only where a key carries an expiry.
#[derive(Debug, Default)]
pub struct CoarseClock(AtomicI64);

impl CoarseClock {
    /// Sets the time, in Unix milliseconds.
    pub fn set(&self, unix_ms: i64) {
        self.0.store(unix_ms, Ordering::Relaxed);
    }

    /// The time last set, in Unix milliseconds.
    #[inline]
    #[must_use]
    pub fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}
