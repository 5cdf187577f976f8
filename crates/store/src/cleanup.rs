//! How eagerly a writable keyspace looks for what has expired.

use std::fmt;
use std::str::FromStr;

/// Settings of the clean-up of expired keys. Each cycle visits the shards that have something due, and takes in a
/// round up to [`sample_size`](Self::sample_size) of a shard's keys; it goes on with another round while more than
/// [`expired_threshold`](Self::expired_threshold) of them had indeed expired.
///
/// ```
/// use store::Cleanup;
///
/// assert_eq!("low-latency".parse(), Ok(Cleanup::LOW_LATENCY));
/// let own = Cleanup { sample_size: 30, ..Cleanup::DEFAULT };
/// assert_eq!(own.to_string(), "30 4 10 25");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cleanup {
    /// Keys looked at in a round of one shard.
    pub sample_size: usize,
    /// Rounds in a cycle.
    pub max_rounds: usize,
    /// Keys removed under one lock.
    pub batch_size: usize,
    /// The share of expired keys, 0 to 1, above which another round follows.
    pub expired_threshold: f64,
}

impl Cleanup {
    /// For most data sets.
    pub const DEFAULT: Self = Self::new(20, 4, 10, 0.25);
    /// For some thousand keys.
    pub const SMALL_DATASET: Self = Self::new(10, 2, 5, 0.50);
    /// For some hundred thousand keys.
    pub const MEDIUM_DATASET: Self = Self::new(25, 5, 12, 0.30);
    /// For millions of keys.
    pub const LARGE_DATASET: Self = Self::new(50, 8, 25, 0.15);
    /// Memory comes back as soon as possible.
    pub const BEST_PERFORMANCE: Self = Self::new(100, 10, 50, 0.10);
    /// Locks are held as briefly as possible.
    pub const LOW_LATENCY: Self = Self::new(15, 3, 8, 0.40);

    const fn new(sample_size: usize, max_rounds: usize, batch_size: usize, expired_threshold: f64) -> Self {
        Self { sample_size, max_rounds, batch_size, expired_threshold }
    }

    /// The same with the eagerness of `active-expire-effort`, 1 to 10: each step takes a quarter more keys.
    #[must_use]
    pub fn with_effort(self, effort: i64) -> Self {
        let steps = usize::try_from(effort.clamp(1, 10) - 1).unwrap_or(0);
        let sample_size = self.sample_size + self.sample_size * steps / 4;
        Self {
            sample_size,
            expired_threshold: (self.expired_threshold - 0.01 * steps as f64).max(0.0),
            ..self
        }
    }
}

/// The presets by name.
const PRESETS: [(&str, Cleanup); 6] = [
    ("default", Cleanup::DEFAULT),
    ("small-dataset", Cleanup::SMALL_DATASET),
    ("medium-dataset", Cleanup::MEDIUM_DATASET),
    ("large-dataset", Cleanup::LARGE_DATASET),
    ("best-performance", Cleanup::BEST_PERFORMANCE),
    ("low-latency", Cleanup::LOW_LATENCY),
];

/// Most keys of a round or rounds of a cycle that a text may ask for.
const MOST: usize = 1_000_000;

/// No preset, and no four numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidCleanup;

impl InvalidCleanup {
    /// What is expected.
    pub const TEXT: &str = "argument must be default, small-dataset, medium-dataset, large-dataset, best-performance, low-latency, or four numbers: keys of a round, rounds of a cycle, keys of a batch, percentage";
}

impl fmt::Display for InvalidCleanup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::TEXT)
    }
}

impl std::error::Error for InvalidCleanup {}

/// A preset's name, or `20 4 10 25`: keys of a round, rounds, keys of a batch, percentage.
impl fmt::Display for Cleanup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = PRESETS.iter().find(|(_, preset)| preset == self) {
            return f.write_str(name);
        }
        let Self { sample_size, max_rounds, batch_size, expired_threshold } = self;
        write!(f, "{sample_size} {max_rounds} {batch_size} {}", expired_threshold * 100.0)
    }
}

impl FromStr for Cleanup {
    type Err = InvalidCleanup;

    fn from_str(text: &str) -> Result<Self, InvalidCleanup> {
        let text = text.trim().to_ascii_lowercase();
        if let Some((_, preset)) = PRESETS.iter().find(|(name, _)| *name == text) {
            return Ok(*preset);
        }
        let mut words = text.split_ascii_whitespace();
        let mut number = || -> Result<usize, InvalidCleanup> {
            let n = words.next().and_then(|word| word.parse().ok());
            n.filter(|n| (1..=MOST).contains(n)).ok_or(InvalidCleanup)
        };
        let (sample_size, max_rounds, batch_size) = (number()?, number()?, number()?);
        let percentage: f64 = words.next().and_then(|word| word.parse().ok()).ok_or(InvalidCleanup)?;
        if !(0.0..=100.0).contains(&percentage) || words.next().is_some() {
            return Err(InvalidCleanup);
        }
        Ok(Self::new(sample_size, max_rounds, batch_size, percentage / 100.0))
    }
}

impl Default for Cleanup {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_tell_what_they_are_made_of() {
        for (name, preset) in PRESETS {
            assert_eq!((preset.to_string().as_str(), name.to_uppercase().parse()), (name, Ok(preset)));
        }
        let own: Cleanup = "30 2 7 12.5".parse().unwrap_or_default();
        assert_eq!(own, Cleanup::new(30, 2, 7, 0.125));
        assert_eq!(own.to_string(), "30 2 7 12.5");
        assert_eq!("20 4 10 25".parse(), Ok(Cleanup::DEFAULT));
        for bad in [
            "",
            "fast",
            "1 2 3",
            "1 2 3 4 5",
            "0 1 1 1",
            "1 1 1 101",
            "1 1 1 NaN",
            "-1 1 1 1",
            "2000000 1 1 1",
        ] {
            assert_eq!(bad.parse::<Cleanup>(), Err(InvalidCleanup), "{bad}");
        }
    }
}
