//! Which keys go first when there is no room, and what is noted of a key's use for that.
//!
//! An entry carries 24 bits, as in the real servers. By which policy is set they mean
//!
//! ```text
//! LRU    | seconds, 24 bits                                    | of the last use
//! LFU    | minutes, 16 bits           | counter, 8 bits        | of the last decay; about the logarithm of the uses
//! ```
//!
//! The bits of one policy make no sense to the other; after a change they come right as keys are used.

/// The choices of `maxmemory-policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Among keys with an expiry, the one not used for the longest time.
    VolatileLru,
    /// Among keys with an expiry, the one least used.
    VolatileLfu,
    /// Any key with an expiry.
    VolatileRandom,
    /// The key that expires first.
    VolatileTtl,
    /// The key not used for the longest time.
    AllKeysLru,
    /// The key least used.
    AllKeysLfu,
    /// Any key.
    AllKeysRandom,
    /// None: writes are refused.
    #[default]
    NoEviction,
}

impl Policy {
    /// Their names, in the order in which the servers tell them.
    pub const NAMES: [&'static str; 8] = [
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "noeviction",
    ];

    const ALL: [Self; 8] = [
        Self::VolatileLru,
        Self::VolatileLfu,
        Self::VolatileRandom,
        Self::VolatileTtl,
        Self::AllKeysLru,
        Self::AllKeysLfu,
        Self::AllKeysRandom,
        Self::NoEviction,
    ];

    pub(crate) fn at(place: i64) -> Self {
        usize::try_from(place).ok().and_then(|at| Self::ALL.get(at)).copied().unwrap_or(Self::NoEviction)
    }

    /// The policy of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let place = Self::NAMES.iter().position(|known| known.eq_ignore_ascii_case(name))?;
        Some(Self::ALL[place])
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Whether keys without an expiry stay.
    #[must_use]
    pub fn is_volatile(self) -> bool {
        matches!(self, Self::VolatileLru | Self::VolatileLfu | Self::VolatileRandom | Self::VolatileTtl)
    }

    /// Whether the bits of an entry count its uses, rather than tell the time of the last.
    #[inline]
    #[must_use]
    pub fn is_lfu(self) -> bool {
        matches!(self, Self::VolatileLfu | Self::AllKeysLfu)
    }
}
