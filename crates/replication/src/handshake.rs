//! From a fresh connection to the answer to PSYNC.
//!
//! ```text
//! PING ->  wait  ->  AUTH, REPLCONF.. (together)  ->  wait for each  ->  PSYNC  ->  wait
//!   any error but                AUTH: an error ends it      +FULLRESYNC id offset
//!   NOAUTH, NOPERM ends it       REPLCONF: errors are fine   +CONTINUE [id]
//!                                                            +RDBCHANNELSYNC, +DUALCHANNELSYNC
//!                                                            -ERR: it knows no PSYNC -> SYNC
//! ```
//!
//! The password goes out only after something that answers like a server has answered PING. PSYNC
//! waits for every earlier reply: servers refuse it while a reply is pending.

use crate::error::LinkError;
use crate::line::{LINE_LIMIT, LineReader};
use crate::options::{Credentials, LinkOptions};
use crate::position::{Offset, Position, ReplId};
use bytes::BytesMut;
use resp::encode_command;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// A request of the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// `PING`.
    Ping,
    /// `AUTH [user] password`.
    Auth,
    /// `CLIENT SETNAME <name>`.
    ClientName,
    /// `REPLCONF listening-port <port>`.
    ListeningPort,
    /// `REPLCONF ip-address <address>`.
    IpAddress,
    /// `REPLCONF capa eof capa psync2`.
    Capabilities,
    /// `REPLCONF version <version>`.
    Version,
    /// `PSYNC <replid> <offset>`.
    Psync,
    /// Of a second connection: `REPLCONF rdb-channel 1` and what belongs to it.
    DumpChannel,
    /// Of a second connection: the request for the dump.
    DumpRequest,
    /// `REPLCONF set-rdb-client-id <id>`: ties the stream to the second connection.
    TieChannels,
    /// `CLUSTER NODES`, of whoever looks for the primaries to follow.
    ClusterNodes,
    /// Not a request: the wait for `$<length>` or `$EOF:<mark>` after a full resync was granted.
    Dump,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ping => "PING",
            Self::Auth => "AUTH",
            Self::ClientName => "CLIENT SETNAME",
            Self::ListeningPort => "REPLCONF listening-port",
            Self::IpAddress => "REPLCONF ip-address",
            Self::Capabilities => "REPLCONF capa",
            Self::Version => "REPLCONF version",
            Self::Psync => "PSYNC",
            Self::DumpChannel => "REPLCONF rdb-channel",
            Self::DumpRequest => "the second connection's request",
            Self::TieChannels => "REPLCONF set-rdb-client-id",
            Self::ClusterNodes => "CLUSTER NODES",
            Self::Dump => "the dump",
        })
    }
}

/// The primary's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// `+FULLRESYNC <replid> <offset>`: a dump follows, then the stream from the offset on.
    FullResync(Position),
    /// `+CONTINUE [replid]`: the stream follows from where it broke off.
    Continue(Option<ReplId>),
    /// A dump will come over a second connection, the stream over this one.
    Channels(Family),
    /// It knows no PSYNC, for the reason it gave: SYNC, and a dump without a word before it.
    Sync(Arc<str>),
}

/// Whose form of the second connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Family {
    /// `+RDBCHANNELSYNC <client id>` of Redis 8: the stream flows already; the other connection names us
    /// by this id.
    Redis(Arc<str>),
    /// `+DUALCHANNELSYNC` of Valkey 8: the stream begins when we name the other connection's id.
    Valkey,
}

/// The state of a handshake.
#[derive(Debug)]
pub(crate) struct Handshake {
    /// Requests sent whose replies are missing, oldest first.
    awaited: VecDeque<Step>,
    /// What PSYNC asks for; `None` asks for everything.
    position: Option<Position>,
    /// Whether a second connection is offered.
    two_channels: bool,
    lines: LineReader,
}

impl Handshake {
    /// Begins with a PING.
    pub(crate) fn start(position: Option<Position>, two_channels: bool, out: &mut BytesMut) -> Self {
        encode(out, &[b"PING"]);
        let awaited = VecDeque::from([Step::Ping]);
        Self { awaited, position, two_channels, lines: LineReader::default() }
    }

    /// The request whose reply is awaited.
    pub(crate) fn step(&self) -> Step {
        self.awaited.front().copied().unwrap_or(Step::Psync)
    }

    /// Whether PSYNC has been sent: from then on the primary may prepare a dump before it answers.
    pub(crate) fn asked(&self) -> bool {
        self.step() == Step::Psync
    }

    /// Takes replies off the front of `bytes` until they are used up or the primary has decided.
    pub(crate) fn feed(
        &mut self,
        bytes: &mut &[u8],
        options: &LinkOptions,
        out: &mut BytesMut,
    ) -> Result<Option<Outcome>, LinkError> {
        loop {
            let step = self.step();
            let line = self
                .lines
                .next_line(bytes)
                .map_err(|_| LinkError::LineTooLong { step, limit: LINE_LIMIT })?;
            let Some(line) = line else { return Ok(None) };
            if line.is_empty() {
                continue;
            }
            tracing::trace!(%step, reply = %String::from_utf8_lossy(line), "handshake reply");
            if step == Step::Psync {
                let outcome = decide(line, self.position.is_some(), self.two_channels)?;
                if let Outcome::Sync(_) = outcome {
                    encode(out, &[b"SYNC"]);
                }
                return Ok(Some(outcome));
            }
            check(step, line)?;
            self.awaited.pop_front();
            if step == Step::Ping {
                self.introduce(options, out);
            }
            if self.awaited.is_empty() {
                self.request_sync(options, out);
            }
        }
    }

    fn introduce(&mut self, options: &LinkOptions, out: &mut BytesMut) {
        if authenticate(options, out) {
            self.awaited.push_back(Step::Auth);
        }
        if let Some(name) = &options.client_name {
            encode(out, &[b"CLIENT", b"SETNAME", name.as_bytes()]);
            self.awaited.push_back(Step::ClientName);
        }
        let port = options.listening_port.to_string();
        encode(out, &[b"REPLCONF", b"listening-port", port.as_bytes()]);
        self.awaited.push_back(Step::ListeningPort);
        if let Some(address) = &options.ip_address {
            encode(out, &[b"REPLCONF", b"ip-address", address.as_bytes()]);
            self.awaited.push_back(Step::IpAddress);
        }
        let capabilities: [&[u8]; 9] = [
            b"REPLCONF",
            b"capa",
            b"eof",
            b"capa",
            b"psync2",
            b"capa",
            b"rdb-channel-repl",
            b"capa",
            b"dual-channel",
        ];
        let told = if self.two_channels { capabilities.len() } else { 5 };
        encode(out, capabilities.get(..told).unwrap_or_default());
        encode(out, &[b"REPLCONF", b"version", options.version.as_bytes()]);
        self.awaited.extend([Step::Capabilities, Step::Version]);
    }

    fn request_sync(&mut self, options: &LinkOptions, out: &mut BytesMut) {
        let psync = options.psync_command.as_bytes();
        match self.position {
            Some(Position { replid, offset }) => {
                let (replid, next) = (replid.to_string(), offset.after(1).to_string());
                encode(out, &[psync, replid.as_bytes(), next.as_bytes()]);
            }
            None => encode(out, &[psync, b"?", b"-1"]),
        }
        self.awaited.push_back(Step::Psync);
    }
}

/// Logs in, if there is anything to say.
pub(crate) fn authenticate(options: &LinkOptions, out: &mut BytesMut) -> bool {
    let Some(Credentials { user, password }) = &options.credentials else { return false };
    match user {
        Some(user) => encode(out, &[b"AUTH", user.as_bytes(), password.as_bytes()]),
        None => encode(out, &[b"AUTH", password.as_bytes()]),
    }
    true
}

/// Whether the handshake goes on after `line`.
pub(crate) fn check(step: Step, line: &[u8]) -> Result<(), LinkError> {
    let Some(error) = line.strip_prefix(b"-") else {
        return if line.starts_with(b"+") { Ok(()) } else { Err(unexpected(step, line)) };
    };
    let harmless = match step {
        Step::Ping => [&b"NOAUTH"[..], b"NOPERM", b"ERR operation not permitted"]
            .iter()
            .any(|known| error.starts_with(known)),
        // On the second connection everything matters.
        Step::Auth | Step::DumpChannel | Step::DumpRequest | Step::TieChannels => false,
        // An option unknown to the primary is not worth a link; missing rights would show at PSYNC.
        _ => true,
    };
    if harmless {
        tracing::debug!(%step, reply = %String::from_utf8_lossy(error), "error reply ignored");
        return Ok(());
    }
    Err(refused(step, error))
}

/// Reads the answer to PSYNC. `asked_to_continue` tells whether a position was sent: without one, a
/// `+CONTINUE` has nothing to continue.
fn decide(line: &[u8], asked_to_continue: bool, two_channels: bool) -> Result<Outcome, LinkError> {
    let step = Step::Psync;
    if let Some(error) = line.strip_prefix(b"-") {
        // As real replicas do: whoever knows no PSYNC is asked the old way. Not where the same question
        // would do at another moment, or where no form of it would be allowed.
        let other = error.starts_with(b"ERR ") && !error.ends_with(b"pending output");
        return if other {
            Ok(Outcome::Sync(String::from_utf8_lossy(error).into()))
        } else {
            Err(refused(step, error))
        };
    }
    let mut words = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let outcome = match words.next() {
        Some(b"+FULLRESYNC") => {
            words.next().zip(words.next()).and_then(|(id, at)| position(id, at)).map(Outcome::FullResync)
        }
        Some(b"+RDBCHANNELSYNC") if two_channels => words
            .next()
            .and_then(|id| std::str::from_utf8(id).ok())
            .map(|id| Outcome::Channels(Family::Redis(id.into()))),
        Some(b"+DUALCHANNELSYNC") if two_channels => Some(Outcome::Channels(Family::Valkey)),
        Some(b"+CONTINUE") if asked_to_continue => match words.next() {
            None => Some(Outcome::Continue(None)),
            Some(word) => ReplId::parse(word).map(|replid| Outcome::Continue(Some(replid))),
        },
        _ => None,
    };
    outcome.ok_or_else(|| unexpected(step, line))
}

/// A position as it stands on the wire.
pub(crate) fn position(replid: &[u8], offset: &[u8]) -> Option<Position> {
    let replid = ReplId::parse(replid)?;
    let offset =
        std::str::from_utf8(offset).ok()?.parse::<u64>().ok().filter(|n| i64::try_from(*n).is_ok())?;
    Some(Position { replid, offset: Offset(offset) })
}

pub(crate) fn refused(step: Step, error: &[u8]) -> LinkError {
    LinkError::Refused { step, reply: String::from_utf8_lossy(error).into() }
}

pub(crate) fn unexpected(step: Step, line: &[u8]) -> LinkError {
    let shown = line.get(..100).unwrap_or(line);
    LinkError::UnexpectedReply { step, line: Arc::from(String::from_utf8_lossy(shown)) }
}

/// Appends a request as an array of bulk strings.
pub(crate) fn encode(out: &mut BytesMut, args: &[&[u8]]) {
    encode_command(out, args);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    #[test]
    fn psync_answers_are_read_strictly() {
        let id = ReplId::parse(ID.as_bytes()).unwrap();
        let full = decide(format!("+FULLRESYNC {ID} 1000").as_bytes(), false, false).unwrap();
        assert_eq!(full, Outcome::FullResync(Position { replid: id, offset: Offset(1000) }));
        assert_eq!(decide(b"+CONTINUE", true, false).unwrap(), Outcome::Continue(None));
        let line = format!("+CONTINUE {ID}");
        assert_eq!(decide(line.as_bytes(), true, false).unwrap(), Outcome::Continue(Some(id)));
        for bad in [
            "+FULLRESYNC",
            "+FULLRESYNC x 1",
            &format!("+FULLRESYNC {ID} -1"),
            "+OK",
            "$5",
            "+DUALCHANNELSYNC",
        ] {
            let error = decide(bad.as_bytes(), true, false).unwrap_err();
            assert!(matches!(error, LinkError::UnexpectedReply { step: Step::Psync, .. }), "{bad}: {error}");
        }
    }

    #[test]
    fn continue_without_a_position_is_no_answer() {
        let error = decide(b"+CONTINUE", false, true).unwrap_err();
        assert!(matches!(error, LinkError::UnexpectedReply { .. }));
    }
}
