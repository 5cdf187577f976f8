//! What can go wrong, and whether to try again.

use std::io;

use store::CommandError;
use store::value::Kind;

/// Any error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key holds another kind of value than was asked for.
    #[error("the key holds a {found:?}, not a {wanted:?}")]
    WrongKind {
        /// What was asked for.
        wanted: Kind,
        /// What is there.
        found: Kind,
    },
    /// An option or URL makes no sense.
    #[error("configuration: {0}")]
    Config(String),
    /// A socket or thread of our own cannot be had.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The first data set cannot be had: the primary refused us, or sent what cannot be understood.
    #[error("replication: {0}")]
    Replication(#[from] replication::LinkError),
    /// The replica was shut down.
    #[error("the replica is closed")]
    Closed,
    /// Something took longer than the option allows.
    #[error("timed out: {what}")]
    Timeout {
        /// What was waited for.
        what: &'static str,
    },
    /// The data set could not be saved.
    #[error("not saved: {0}")]
    Save(#[from] server::SaveError),
    /// A command's error.
    #[error("{0}")]
    Command(CommandError),
}

impl Error {
    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Timeout { .. } => true,
            Self::Replication(error) => error.is_retryable(),
            _ => false,
        }
    }
}
