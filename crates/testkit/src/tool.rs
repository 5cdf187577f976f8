//! The command line tools of the Debian package `redis-tools`.

use std::path::PathBuf;

use crate::FetchError;
use crate::fetch::{self, Source};

/// A tool of Redis 7.0.15.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tool {
    /// `redis-cli`
    Cli,
    /// `redis-benchmark`
    Benchmark,
}

impl Tool {
    /// The program on disk, fetched if it is not there yet.
    ///
    /// # Errors
    /// When it cannot be had; the text says how to get it by hand.
    pub fn fetch(self) -> Result<PathBuf, FetchError> {
        let (key, program) = match self {
            Self::Cli => ("redis-cli-7.0", "redis-cli"),
            Self::Benchmark => ("redis-benchmark-7.0", "redis-benchmark"),
        };
        fetch::program(&fetch::Wanted {
            key,
            name: format!("{program} 7.0.15"),
            version: "7.0.15",
            banner: format!("{program} 7.0.15"),
            source: Source::Debian { program },
        })
    }
}
