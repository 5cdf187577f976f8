//! Which server we claim to be: every difference between the personalities, as data, in this one place.
//!
//! A handler never asks "which version am I"; it asks for the one property that it needs:
//! `view.differences().property`. A new difference is a new field of [`Differences`], with a value in each of the
//! rows below. What a primary's stream may contain does not depend on any of it.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// A server, by family and version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Compat {
    /// Redis 7.0.15.
    Redis70,
    /// Redis 7.2.
    Redis72,
    /// Redis 7.4.
    Redis74,
    /// Redis 8.2.3.
    #[default]
    Redis82,
    /// Valkey 8.1.8.
    Valkey81,
    /// Valkey 9.1.2.
    Valkey91,
}

/// The two families of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Redis.
    Redis,
    /// Valkey.
    Valkey,
}

/// What one personality does that another does not.
#[derive(Debug)]
#[non_exhaustive]
pub struct Differences {
    /// The name that `--compat` takes.
    pub name: &'static str,
    /// The family.
    pub family: Family,
    /// `redis_version` of INFO and HELLO (a Valkey claims to be a Redis 7.2.4 there).
    pub redis_version: &'static str,
    /// The version of the server itself.
    pub version: &'static str,
}

static ROWS: [Differences; 6] = [
    Differences { name: "redis-7.0", family: Family::Redis, redis_version: "7.0.15", version: "7.0.15" },
    Differences { name: "redis-7.2", family: Family::Redis, redis_version: "7.2.5", version: "7.2.5" },
    Differences { name: "redis-7.4", family: Family::Redis, redis_version: "7.4.2", version: "7.4.2" },
    Differences { name: "redis-8.2", family: Family::Redis, redis_version: "8.2.3", version: "8.2.3" },
    Differences { name: "valkey-8.1", family: Family::Valkey, redis_version: "7.2.4", version: "8.1.8" },
    Differences { name: "valkey-9.1", family: Family::Valkey, redis_version: "7.2.4", version: "9.1.2" },
];

impl Compat {
    /// Every personality, oldest first within its family.
    pub const ALL: [Self; 6] =
        [Self::Redis70, Self::Redis72, Self::Redis74, Self::Redis82, Self::Valkey81, Self::Valkey91];

    /// Its properties.
    #[inline]
    #[must_use]
    pub fn differences(self) -> &'static Differences {
        &ROWS[self as usize]
    }

    /// The name that `--compat` takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.differences().name
    }
}

impl fmt::Display for Compat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compat {
    type Err = UnknownCompat;

    fn from_str(name: &str) -> Result<Self, UnknownCompat> {
        Self::ALL.into_iter().find(|c| c.name() == name).ok_or_else(|| UnknownCompat(name.to_owned()))
    }
}

/// No personality has this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCompat(String);

impl fmt::Display for UnknownCompat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown personality '{}': one of {}", self.0, Compat::ALL.map(Compat::name).join(", "))
    }
}

impl std::error::Error for UnknownCompat {}

/// A personality that can change while threads read it.
#[derive(Debug, Default)]
pub(crate) struct CompatCell(AtomicU8);

impl CompatCell {
    pub(crate) fn new(compat: Compat) -> Self {
        Self(AtomicU8::new(compat as u8))
    }

    #[inline]
    pub(crate) fn get(&self) -> Compat {
        Compat::ALL[usize::from(self.0.load(Relaxed)) % Compat::ALL.len()]
    }

    pub(crate) fn set(&self, compat: Compat) {
        self.0.store(compat as u8, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_personality() {
        for compat in Compat::ALL {
            assert_eq!(compat.name().parse(), Ok(compat));
            let cell = CompatCell::new(compat);
            assert_eq!(cell.get(), compat);
        }
        assert!("redis-3".parse::<Compat>().is_err());
    }
}
