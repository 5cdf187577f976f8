//! What an engine may do and what it tells scripts about itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::flavour::Flavour;
use crate::limit::Clock;

/// Where `redis.log` writes.
pub type LogSink = Arc<dyn Fn(LogLevel, &[u8]) + Send + Sync>;

/// Called now and then while a script runs, on its thread: see [`Options::pulse`].
pub type Pulse = Arc<dyn Fn() + Send + Sync>;

/// The levels of `redis.log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// `LOG_DEBUG`
    Debug,
    /// `LOG_VERBOSE`
    Verbose,
    /// `LOG_NOTICE`
    Notice,
    /// `LOG_WARNING`
    Warning,
}

/// How to build an [`Engine`](crate::Engine).
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// Bytes that the interpreter may hold while Lua code runs; 0 for no limit. Default 256 MiB.
    pub memory_limit: usize,
    /// How long one script may run, by the clock given; default: for ever, as in Redis.
    pub time_limit: Option<(Duration, Clock)>,
    /// The longest string that `string.rep` makes. Default 64 MiB.
    pub max_string: usize,
    /// Compiled scripts to keep; the least recently used goes first. Default: all, as Redis 7.0.
    pub max_scripts: Option<usize>,
    /// Which server scripts believe to run on. Default Redis 7.0.15.
    pub flavour: Flavour,
    /// Whether a table without a list is answered as an array of its keys and values, in no order. The servers answer
    /// an empty array, which is the default.
    pub pairs: bool,
    /// For `os.clock` where the flavour has it, and for the time that a library may take to load. Default: the clock
    /// of the time limit, if there is one.
    pub clock: Option<Clock>,
    /// Where `redis.log` writes; default: nowhere.
    pub log: Option<LogSink>,
    /// Called after some 50 us of work each: where a script that takes long may let others go on. Default: nothing
    /// is.
    pub pulse: Option<Pulse>,
}

impl Options {
    pub(crate) fn clock(&self) -> Option<&Clock> {
        self.time_limit.as_ref().map(|(_, clock)| clock).or(self.clock.as_ref())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memory_limit: 256 << 20,
            time_limit: None,
            max_string: 64 << 20,
            max_scripts: None,
            flavour: Flavour::default(),
            pairs: false,
            clock: None,
            log: None,
            pulse: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("memory_limit", &self.memory_limit)
            .field("time_limit", &self.time_limit.as_ref().map(|(limit, _)| limit))
            .field("max_string", &self.max_string)
            .field("max_scripts", &self.max_scripts)
            .field("flavour", &self.flavour)
            .field("pairs", &self.pairs)
            .finish_non_exhaustive()
    }
}
