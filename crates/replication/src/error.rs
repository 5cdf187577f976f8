//! What can go wrong on a link, where, and what to do about it.

use crate::handshake::Step;
use crate::position::Offset;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why a link broke.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// No connection could be made.
    #[error("cannot connect to {address}: {reason}")]
    Unreachable {
        /// Host and port as configured.
        address: Arc<str>,
        /// The operating system's, or the resolver's, words.
        reason: Arc<str>,
    },
    /// The two sides cannot agree on TLS: an unknown certificate, another name, no common version.
    #[error("no TLS with {address}: {reason}")]
    Tls {
        /// Host and port as configured.
        address: Arc<str>,
        /// The TLS library's words.
        reason: Arc<str>,
        /// Whether the connection broke meanwhile, which another try may cure.
        broken: bool,
    },
    /// Whoever was asked whom to follow leads to no primary: Sentinels, or the nodes of a cluster.
    #[error("nobody to follow ({asked}: {reason})")]
    NoPrimary {
        /// Who was asked last, or what.
        asked: Arc<str>,
        /// What the answer was, or why there was none.
        reason: Arc<str>,
    },
    /// The connection broke while being read or written.
    #[error("connection lost ({doing}): {reason}")]
    Lost {
        /// What the link was doing.
        doing: Doing,
        /// The operating system's words.
        reason: Arc<str>,
    },
    /// Somebody here asked for another connection: REPLICAOF, or a change of the settings.
    #[error("left for another primary")]
    Redirected,
    /// The target cannot follow what the primary did; a full sync brings it in order.
    #[error("the data set cannot follow what the primary did: a full sync is needed")]
    Overtaken,
    /// The primary closed the connection.
    #[error("the primary closed the connection ({doing})")]
    Closed {
        /// What the link was doing.
        doing: Doing,
    },
    /// The primary was silent for too long.
    #[error("no byte from the primary for {} s ({doing})", after.as_secs_f32())]
    Timeout {
        /// What the link was doing.
        doing: Doing,
        /// How long it waited.
        after: Duration,
    },
    /// The primary answered a step of the handshake, or PSYNC, or the wait for the dump, with an error.
    #[error("the primary refused {step}: {reply}")]
    Refused {
        /// What was asked.
        step: Step,
        /// The error line, without the leading `-`.
        reply: Arc<str>,
    },
    /// The primary answered something that the protocol does not know.
    #[error("unexpected reply to {step}: {line:?}")]
    UnexpectedReply {
        /// What was asked.
        step: Step,
        /// The line, shortened to its beginning.
        line: Arc<str>,
    },
    /// A line of the handshake had no end.
    #[error("a reply to {step} is longer than {limit} bytes")]
    LineTooLong {
        /// What was asked.
        step: Step,
        /// The limit in bytes.
        limit: usize,
    },
    /// The dump is corrupt, or holds what this version cannot read.
    #[error("bad dump: {error}")]
    Dump {
        /// The decoder's finding, with its place.
        error: Arc<rdb::Error>,
    },
    /// The dump ended before its `$<length>` said.
    #[error("the dump has {used} bytes, {claimed} were announced")]
    DumpLength {
        /// The announced length.
        claimed: u64,
        /// What the decoder used.
        used: u64,
    },
    /// The dump goes on where it should end by its `$<length>`.
    #[error("the dump does not end with the {claimed} bytes announced")]
    DumpUnfinished {
        /// The announced length.
        claimed: u64,
    },
    /// The bytes after a `$EOF:` dump are not the mark that was announced.
    #[error("the dump of {received} bytes does not end with its mark")]
    MarkMismatch {
        /// Length of the dump.
        received: u64,
    },
    /// The stream is not a sequence of RESP arrays.
    #[error("bad stream after offset {offset}: {error}")]
    Stream {
        /// The offset of the last good command.
        offset: Offset,
        /// The decoder's finding.
        error: resp::ProtocolError,
    },
}

impl LinkError {
    /// What to do next.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Unreachable { .. }
            | Self::Tls { broken: true, .. }
            | Self::Lost { .. }
            | Self::Redirected
            | Self::Closed { .. }
            | Self::Timeout { .. } => Recovery::Resume,
            Self::Tls { broken: false, .. } => Recovery::GiveUp,
            Self::NoPrimary { reason, .. } => match Refusal::of(reason) {
                Refusal::Access => Recovery::GiveUp,
                _ if reason.starts_with("ERR AUTH") => Recovery::GiveUp,
                Refusal::Transient | Refusal::Other => Recovery::Resume,
            },
            // One connection will do: Valkey wants the right to SYNC for the second.
            Self::Refused { step: Step::DumpChannel | Step::DumpRequest | Step::TieChannels, .. } => {
                Recovery::Resume
            }
            Self::Refused { step, reply } => match Refusal::of(reply) {
                Refusal::Transient => Recovery::Resume,
                Refusal::Access => Recovery::GiveUp,
                // A server without a cluster will not have one tomorrow.
                Refusal::Other if matches!(step, Step::Auth | Step::ClusterNodes) => Recovery::GiveUp,
                Refusal::Other => Recovery::Resume,
            },
            Self::UnexpectedReply { .. } | Self::LineTooLong { .. } => Recovery::Resume,
            // The primary is newer than this decoder: its next dump will be, too.
            Self::Dump { error } if unreadable(&error.kind) => Recovery::GiveUp,
            Self::Dump { .. }
            | Self::DumpLength { .. }
            | Self::DumpUnfinished { .. }
            | Self::MarkMismatch { .. }
            | Self::Overtaken
            | Self::Stream { .. } => Recovery::Resync,
        }
    }

    /// Whether another try may succeed without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.recovery() != Recovery::GiveUp
    }

    /// Its sort, for counting.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Unreachable { .. } | Self::NoPrimary { .. } => FailureKind::Unreachable,
            Self::Tls { .. } => FailureKind::Tls,
            Self::Lost { .. } | Self::Closed { .. } => FailureKind::Lost,
            Self::Redirected => FailureKind::Redirected,
            Self::Overtaken => FailureKind::Overtaken,
            Self::Timeout { .. } => FailureKind::Silent,
            Self::Refused { reply, .. } => match Refusal::of(reply) {
                Refusal::Transient => FailureKind::NotReady,
                Refusal::Access => FailureKind::Denied,
                Refusal::Other => FailureKind::Refused,
            },
            Self::UnexpectedReply { .. } | Self::LineTooLong { .. } => FailureKind::Refused,
            Self::Dump { error } if unreadable(&error.kind) => FailureKind::UnreadableDump,
            Self::Dump { .. }
            | Self::DumpLength { .. }
            | Self::DumpUnfinished { .. }
            | Self::MarkMismatch { .. } => FailureKind::CorruptDump,
            Self::Stream { .. } => FailureKind::CorruptStream,
        }
    }
}

/// The sort of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// No connection.
    Unreachable,
    /// No agreement on TLS.
    Tls,
    /// The connection broke or was closed.
    Lost,
    /// We left.
    Redirected,
    /// Silence for longer than the timeouts allow.
    Silent,
    /// The primary is not ready: `-LOADING`, `-NOMASTERLINK`, `-MASTERDOWN` and their like.
    NotReady,
    /// A wrong password, or missing rights.
    Denied,
    /// Another error reply, or one that the protocol does not know.
    Refused,
    /// A dump that is damaged.
    CorruptDump,
    /// A dump that is whole, but newer than this decoder.
    UnreadableDump,
    /// A stream that is no sequence of commands.
    CorruptStream,
    /// A stream that a filtered copy cannot follow.
    Overtaken,
}

impl FailureKind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Unreachable,
        Self::Tls,
        Self::Lost,
        Self::Redirected,
        Self::Silent,
        Self::NotReady,
        Self::Denied,
        Self::Refused,
        Self::CorruptDump,
        Self::UnreadableDump,
        Self::CorruptStream,
        Self::Overtaken,
    ];

    /// A word for metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Lost => "lost",
            Self::Redirected => "redirected",
            Self::Silent => "silent",
            Self::NotReady => "not_ready",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::CorruptDump => "corrupt_dump",
            Self::UnreadableDump => "unreadable_dump",
            Self::CorruptStream => "corrupt_stream",
            Self::Overtaken => "overtaken",
        }
    }
}

/// How often a link failed, by the sort of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures([u64; FailureKind::ALL.len()]);

impl Failures {
    /// How often so.
    #[must_use]
    pub fn of(&self, kind: FailureKind) -> u64 {
        self.iter().find(|(other, _)| *other == kind).map_or(0, |(_, count)| count)
    }

    /// Every sort with its count.
    pub fn iter(&self) -> impl Iterator<Item = (FailureKind, u64)> + '_ {
        FailureKind::ALL.into_iter().zip(self.0)
    }

    /// All together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn add(&mut self, kind: FailureKind) {
        for (other, count) in FailureKind::ALL.iter().zip(&mut self.0) {
            *count += u64::from(*other == kind);
        }
    }
}

/// What to do after a [`LinkError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recovery {
    /// Connect again and continue where the stream broke off.
    Resume,
    /// Connect again, but the history is not to be trusted: ask for a full resync. The link has
    /// forgotten its position already.
    Resync,
    /// Trying again will not help until somebody changes something (a password, an ACL).
    GiveUp,
}

/// What a link was doing when it broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Doing {
    /// Waiting for the answer to a step of the handshake.
    Handshake(Step),
    /// Waiting for the dump, or reading it.
    Transfer,
    /// Following the stream.
    Streaming,
    /// Nothing: no connection was open.
    Idle,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(step) => write!(f, "handshake, {step}"),
            Self::Transfer => f.write_str("full sync"),
            Self::Streaming => f.write_str("streaming"),
            Self::Idle => f.write_str("not connected"),
        }
    }
}

/// Whether a dump is refused for what it is, not for damage.
fn unreadable(kind: &rdb::ErrorKind) -> bool {
    match kind {
        rdb::ErrorKind::UnsupportedVersion(_) | rdb::ErrorKind::Unsupported { .. } => true,
        rdb::ErrorKind::Rejected(reason) => *reason == rdb::Reject::MODULE.0,
        _ => false,
    }
}

/// The sort of an error line, told by its first word alone.
enum Refusal {
    /// The primary is not ready now.
    Transient,
    /// We are not allowed to.
    Access,
    Other,
}

impl Refusal {
    fn of(reply: &str) -> Self {
        match reply.split(' ').next().unwrap_or_default() {
            "LOADING" | "NOMASTERLINK" | "MASTERDOWN" | "BUSY" | "TRYAGAIN" | "CLUSTERDOWN" | "MISCONF"
            | "UNBLOCKED" => Self::Transient,
            "NOAUTH" | "NOPERM" | "WRONGPASS" | "DENIED" => Self::Access,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(step: Step, reply: &str) -> Recovery {
        LinkError::Refused { step, reply: reply.into() }.recovery()
    }

    #[test]
    fn wrong_credentials_are_not_retried_as_if_transient() {
        let wrong = "WRONGPASS invalid username-password pair or user is disabled.";
        assert_eq!(refused(Step::Auth, wrong), Recovery::GiveUp);
        assert_eq!(refused(Step::Psync, "NOPERM this user has no permissions"), Recovery::GiveUp);
        assert_eq!(refused(Step::Psync, "NOAUTH Authentication required."), Recovery::GiveUp);
        assert_eq!(refused(Step::Auth, "ERR AUTH <password> called without any"), Recovery::GiveUp);
    }

    #[test]
    fn a_primary_that_is_not_ready_keeps_the_position() {
        assert_eq!(refused(Step::Ping, "LOADING Redis is loading the dataset in memory"), Recovery::Resume);
        assert_eq!(refused(Step::Psync, "NOMASTERLINK Can't SYNC while not connected"), Recovery::Resume);
        assert_eq!(refused(Step::Ping, "MASTERDOWN Link with MASTER is down"), Recovery::Resume);
        let loading = LinkError::Refused { step: Step::Ping, reply: "LOADING Redis is loading".into() };
        assert!(loading.is_retryable());
        let mut failures = Failures::default();
        failures.add(loading.kind());
        failures.add(loading.kind());
        assert_eq!((failures.of(FailureKind::NotReady), failures.total()), (2, 2));
        assert_eq!(
            refused(Step::Psync, "ERR SYNC and PSYNC are invalid with pending output"),
            Recovery::Resume
        );
    }

    /// What the guide shows of each error, up to the first part that differs. A new one does not compile without.
    fn in_the_guide(error: &LinkError) -> &'static str {
        match error {
            LinkError::Unreachable { .. } => "cannot connect to ",
            LinkError::Tls { .. } => "no TLS with ",
            LinkError::NoPrimary { .. } => "nobody to follow (",
            LinkError::Lost { .. } => "connection lost (",
            LinkError::Redirected => "left for another primary",
            LinkError::Overtaken => "the data set cannot follow what the primary did: a full sync is needed",
            LinkError::Closed { .. } => "the primary closed the connection (",
            LinkError::Timeout { .. } => "no byte from the primary for ",
            LinkError::Refused { .. } => "the primary refused ",
            LinkError::UnexpectedReply { .. } => "unexpected reply to ",
            LinkError::LineTooLong { .. } => "a reply to ",
            LinkError::Dump { .. } => "bad dump: ",
            LinkError::DumpLength { .. } => "the dump has ",
            LinkError::DumpUnfinished { .. } => "the dump does not end with ",
            LinkError::MarkMismatch { .. } => "the dump of ",
            LinkError::Stream { .. } => "bad stream after offset ",
        }
    }

    #[test]
    fn the_guide_tells_of_every_error() {
        let guide = include_str!("../../../docs/troubleshooting.md");
        let words = || Arc::from("words");
        let damaged =
            rdb::Decoder::default().feed(b"nonsense!", &mut rdb::stat::Stat::default()).unwrap_err();
        let mut decoder = resp::RequestDecoder::new(resp::Limits::requests());
        decoder.feed(b"*1\r\n!\r\n");
        for error in [
            LinkError::Unreachable { address: words(), reason: words() },
            LinkError::Tls { address: words(), reason: words(), broken: false },
            LinkError::NoPrimary { asked: words(), reason: words() },
            LinkError::Lost { doing: Doing::Transfer, reason: words() },
            LinkError::Redirected,
            LinkError::Overtaken,
            LinkError::Closed { doing: Doing::Streaming },
            LinkError::Timeout { doing: Doing::Streaming, after: Duration::from_secs(1) },
            LinkError::Refused { step: Step::Psync, reply: words() },
            LinkError::UnexpectedReply { step: Step::Psync, line: words() },
            LinkError::LineTooLong { step: Step::Psync, limit: 1 },
            LinkError::Dump { error: Arc::new(damaged) },
            LinkError::DumpLength { claimed: 1, used: 2 },
            LinkError::DumpUnfinished { claimed: 1 },
            LinkError::MarkMismatch { received: 1 },
            LinkError::Stream { offset: Offset(1), error: decoder.next().unwrap_err() },
        ] {
            let words = in_the_guide(&error);
            assert!(guide.contains(&format!("`{words}")), "{words}");
            assert!(error.to_string().starts_with(words), "{words}: {error}");
        }
    }
}
