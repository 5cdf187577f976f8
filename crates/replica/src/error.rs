//! What can go wrong, and whether to try again.

use std::io;

use ::store::CommandError;
use ::store::value::Kind;
use replication::{Doing, LinkError, Position, Step};

use crate::consistency::{Bound, Freshness};
use crate::convert::ConvertError;

/// Any error of this crate. What each means and what to do: docs/troubleshooting.md.
///
/// ```
/// # use replica::{Replica, Standalone};
/// # #[tokio::main]
/// # async fn main() -> Result<(), replica::Error> {
/// # let primary = Standalone::start("127.0.0.1:0").await?;
/// # let replica = Replica::connect(&primary.url()).await?;
/// use replica::{Error, cmd};
///
/// match replica.write(cmd!("SETX", "k", "v")).await {
///     Ok((reply, at)) => println!("{reply:?} at {at}"),
///     Err(error) if error.is_retryable() => println!("again later: {error}"),
///     Err(Error::Server { code, message }) => assert!(code == "ERR", "{message}"), // the primary's own words
///     Err(error) => println!("while {:?}: {error}", error.phase()),
/// }
/// # replica.shutdown().await
/// # }
/// ```
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
    /// The string is not what was asked for.
    #[error("{0}")]
    Convert(#[from] ConvertError),
    /// Only the primary writes; see [`Replica::write`](crate::Replica::write).
    #[error("a replica is read-only")]
    ReadOnly,
    /// The primary answered with an error.
    #[error("{code} {message}")]
    Server {
        /// Its first word: `ERR`, `WRONGTYPE`, `NOPERM`, `LOADING`.
        code: String,
        /// The rest.
        message: String,
    },
    /// A write did not get through to the primary, or its reply not back.
    #[error("not written: {0}")]
    Upstream(#[from] server::UpstreamError),
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
    #[error("replication: {source}")]
    Replication {
        /// What went wrong.
        source: LinkError,
        /// How often it was tried again.
        retries: u64,
    },
    /// There is no complete data set yet.
    #[error("the first sync is not complete")]
    NotSynced,
    /// The data are not as fresh as was required.
    #[error("the data are too old: wanted {wanted}")]
    TooStale {
        /// What was required.
        wanted: Bound,
        /// How fresh they are.
        freshness: Box<Freshness>,
    },
    /// The data set goes on from another history, which will never reach this position: the primary lost what it had,
    /// or another took its place that did not have it.
    #[error("the history of {position} has ended")]
    HistoryEnded {
        /// What was waited for.
        position: Position,
    },
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
    /// A comparison did not come to its end.
    #[error("not compared: {0}")]
    NotCompared(#[source] io::Error),
    /// A command's error.
    #[error("{0}")]
    Command(CommandError),
}

/// What a replica was doing when something went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorPhase {
    /// Reading its settings.
    Configure,
    /// Taking a socket or a thread.
    Start,
    /// Reaching the primary.
    Connect,
    /// Greeting it, and asking for the data.
    Handshake,
    /// Taking the whole data set.
    FullSync,
    /// Following the stream.
    Stream,
    /// Reading a key.
    Read,
    /// Running a command.
    Command,
    /// Saving.
    Save,
    /// Nothing any more.
    Closed,
}

impl Error {
    /// An error line of the primary.
    pub(crate) fn of_server(line: &[u8]) -> Self {
        let line = String::from_utf8_lossy(line);
        let (code, message) = line.split_once(' ').unwrap_or((&line, ""));
        Self::Server { code: code.to_owned(), message: message.to_owned() }
    }

    /// A command's error, or the one that says that only the primary writes.
    pub(crate) fn of_command(error: CommandError) -> Self {
        if error.bytes().starts_with(b"READONLY ") { Self::ReadOnly } else { Self::Command(error) }
    }

    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::NotSynced | Self::TooStale { .. } => true,
            Self::Replication { source, .. } => source.is_retryable(),
            Self::Server { code, .. } => {
                matches!(code.as_str(), "LOADING" | "BUSY" | "TRYAGAIN" | "MASTERDOWN" | "NOREPLICAS" | "OOM")
            }
            // What may have been done already is not to be done again by itself.
            Self::Upstream(error) => error.is_unsent(),
            _ => false,
        }
    }

    /// What was being done.
    #[must_use]
    pub fn phase(&self) -> ErrorPhase {
        match self {
            Self::Config(_) => ErrorPhase::Configure,
            Self::Io { .. } => ErrorPhase::Start,
            Self::Replication { source, .. } => match source {
                LinkError::Unreachable { .. } | LinkError::NoPrimary { .. } | LinkError::Tls { .. } => {
                    ErrorPhase::Connect
                }
                LinkError::Refused { step: Step::Dump, .. } => ErrorPhase::FullSync,
                LinkError::Lost { doing, .. }
                | LinkError::Closed { doing }
                | LinkError::Timeout { doing, .. } => match doing {
                    Doing::Transfer => ErrorPhase::FullSync,
                    Doing::Streaming => ErrorPhase::Stream,
                    _ => ErrorPhase::Handshake,
                },
                LinkError::Dump { .. }
                | LinkError::DumpLength { .. }
                | LinkError::DumpUnfinished { .. }
                | LinkError::MarkMismatch { .. } => ErrorPhase::FullSync,
                LinkError::Stream { .. } | LinkError::Overtaken => ErrorPhase::Stream,
                _ => ErrorPhase::Handshake,
            },
            Self::NotSynced => ErrorPhase::FullSync,
            Self::TooStale { .. } | Self::HistoryEnded { .. } | Self::Timeout { .. } => ErrorPhase::Stream,
            Self::Save(_) => ErrorPhase::Save,
            Self::Closed => ErrorPhase::Closed,
            Self::WrongKind { .. } | Self::Convert(_) | Self::NotCompared(_) => ErrorPhase::Read,
            Self::ReadOnly | Self::Command(_) | Self::Server { .. } | Self::Upstream(_) => {
                ErrorPhase::Command
            }
        }
    }

    /// How often it was tried again, where that was done.
    #[must_use]
    pub fn retries(&self) -> u64 {
        if let Self::Replication { retries, .. } = self { *retries } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the guide calls each error. A new one does not compile until it is told of there.
    fn in_the_guide(error: &Error) -> &'static str {
        match error {
            Error::WrongKind { .. } => "`the key holds a .., not a ..`",
            Error::Convert(_) => "`not a number of type ..`",
            Error::ReadOnly => "`a replica is read-only`",
            Error::Server { .. } => "the primary's own answer (`Server`)",
            Error::Upstream(_) => "`not written: ..`",
            Error::Config(_) => "`configuration: ..`",
            Error::Io { .. } => "other `Io`",
            Error::Replication { .. } => "`replication: ..` from `ready`",
            Error::NotSynced => "`the first sync is not complete`",
            Error::TooStale { .. } => "`the data are too old: wanted ..`",
            Error::HistoryEnded { .. } => "`the history of .. has ended`",
            Error::Closed => "`the replica is closed`",
            Error::Timeout { .. } => "`timed out: ..`",
            Error::Save(_) => "`not saved: ..`",
            Error::NotCompared(_) => "`not compared: ..`",
            Error::Command(_) => "what a client would get (`Command`)",
        }
    }

    #[test]
    fn the_guide_tells_of_every_error() {
        let guide = include_str!("../../../docs/troubleshooting.md");
        let freshness = Box::new(Freshness {
            position: None,
            received: None,
            behind_bytes: 0,
            age: None,
            silence: None,
            connected: false,
        });
        let position = Position { replid: replication::ReplId::random(), offset: replication::Offset(1) };
        for error in [
            Error::WrongKind { wanted: Kind::Hash, found: Kind::List },
            Error::Convert(ConvertError { wanted: "a number of type u8", reason: String::new() }),
            Error::ReadOnly,
            Error::of_server(b"NOPERM no"),
            Error::Upstream(server::UpstreamError::NoPrimary),
            Error::Config(String::new()),
            Error::Io { what: "listening", source: io::Error::other("") },
            Error::NotSynced,
            Error::TooStale { wanted: Bound::Synced, freshness },
            Error::HistoryEnded { position },
            Error::Closed,
            Error::Timeout { what: "" },
            Error::NotCompared(io::Error::other("")),
            Error::Command(CommandError::Syntax),
        ] {
            let words = in_the_guide(&error);
            assert!(guide.contains(words), "{words}");
            // What it says is what the guide shows, up to the part that differs each time.
            let said = words.trim_matches('`').split("..").next().unwrap_or_default();
            if words.starts_with('`') && !words.ends_with("`Io`") {
                let said = said.split('`').next().unwrap_or_default();
                assert!(error.to_string().starts_with(said), "{said}: {error}");
            }
        }
    }
}
