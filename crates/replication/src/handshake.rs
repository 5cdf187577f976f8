//! From a fresh connection to the answer to PSYNC.
//!
//! ```text
//! PING ->  wait  ->  AUTH, REPLCONF.. (together)  ->  wait for each  ->  PSYNC  ->  wait
//!   any error but                AUTH: an error ends it      +FULLRESYNC id offset
//!   NOAUTH, NOPERM ends it       REPLCONF: errors are fine   +CONTINUE [id]
//! ```
//!
//! The password goes out only after something that answers like a server has answered PING. PSYNC
//! waits for every earlier reply: servers refuse it while a reply is pending.

use crate::error::LinkError;
use crate::line::{LINE_LIMIT, LineReader};
use crate::options::LinkOptions;
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
    /// Not a request: the wait for `$<length>` or `$EOF:<mark>` after a full resync was granted.
    Dump,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ping => "PING",
            Self::Auth => "AUTH",
            Self::ListeningPort => "REPLCONF listening-port",
            Self::IpAddress => "REPLCONF ip-address",
            Self::Capabilities => "REPLCONF capa",
            Self::Version => "REPLCONF version",
            Self::Psync => "PSYNC",
            Self::Dump => "the dump",
        })
    }
}

/// The primary's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// `+FULLRESYNC <replid> <offset>`: a dump follows, then the stream from the offset on.
    FullResync(Position),
    /// `+CONTINUE [replid]`: the stream follows from where it broke off.
    Continue(Option<ReplId>),
}

/// The state of a handshake.
#[derive(Debug)]
pub(crate) struct Handshake {
    /// Requests sent whose replies are missing, oldest first.
    awaited: VecDeque<Step>,
    /// What PSYNC asks for; `None` asks for everything.
    position: Option<Position>,
    lines: LineReader,
}

impl Handshake {
    /// Begins with a PING.
    pub(crate) fn start(position: Option<Position>, out: &mut BytesMut) -> Self {
        encode(out, &[b"PING"]);
        Self { awaited: VecDeque::from([Step::Ping]), position, lines: LineReader::default() }
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
                return decide(line, self.position.is_some()).map(Some);
            }
            check(step, line)?;
            self.awaited.pop_front();
            if step == Step::Ping {
                self.introduce(options, out);
            }
            if self.awaited.is_empty() {
                self.request_sync(out);
            }
        }
    }

    fn introduce(&mut self, options: &LinkOptions, out: &mut BytesMut) {
        if let Some(credentials) = &options.credentials {
            match &credentials.user {
                Some(user) => {
                    encode(out, &[b"AUTH", user.as_bytes(), credentials.password.as_bytes()]);
                }
                None => encode(out, &[b"AUTH", credentials.password.as_bytes()]),
            }
            self.awaited.push_back(Step::Auth);
        }
        let port = options.listening_port.to_string();
        encode(out, &[b"REPLCONF", b"listening-port", port.as_bytes()]);
        self.awaited.push_back(Step::ListeningPort);
        if let Some(address) = &options.ip_address {
            encode(out, &[b"REPLCONF", b"ip-address", address.as_bytes()]);
            self.awaited.push_back(Step::IpAddress);
        }
        encode(out, &[b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"]);
        encode(out, &[b"REPLCONF", b"version", options.version.as_bytes()]);
        self.awaited.extend([Step::Capabilities, Step::Version]);
    }

    fn request_sync(&mut self, out: &mut BytesMut) {
        match self.position {
            Some(Position { replid, offset }) => {
                let (replid, next) = (replid.to_string(), offset.after(1).to_string());
                encode(out, &[b"PSYNC", replid.as_bytes(), next.as_bytes()]);
            }
            None => encode(out, &[b"PSYNC", b"?", b"-1"]),
        }
        self.awaited.push_back(Step::Psync);
    }
}

/// Whether the handshake goes on after `line`.
fn check(step: Step, line: &[u8]) -> Result<(), LinkError> {
    let Some(error) = line.strip_prefix(b"-") else {
        return if line.starts_with(b"+") { Ok(()) } else { Err(unexpected(step, line)) };
    };
    let harmless = match step {
        Step::Ping => [&b"NOAUTH"[..], b"NOPERM", b"ERR operation not permitted"]
            .iter()
            .any(|known| error.starts_with(known)),
        Step::Auth => false,
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
fn decide(line: &[u8], asked_to_continue: bool) -> Result<Outcome, LinkError> {
    let step = Step::Psync;
    if let Some(error) = line.strip_prefix(b"-") {
        return Err(refused(step, error));
    }
    let mut words = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let outcome = match words.next() {
        Some(b"+FULLRESYNC") => (|| {
            let replid = ReplId::parse(words.next()?)?;
            let offset = std::str::from_utf8(words.next()?).ok()?.parse::<i64>().ok()?;
            Some(Outcome::FullResync(Position { replid, offset: Offset(u64::try_from(offset).ok()?) }))
        })(),
        Some(b"+CONTINUE") if asked_to_continue => match words.next() {
            None => Some(Outcome::Continue(None)),
            Some(word) => ReplId::parse(word).map(|replid| Outcome::Continue(Some(replid))),
        },
        _ => None,
    };
    outcome.ok_or_else(|| unexpected(step, line))
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
        let full = decide(format!("+FULLRESYNC {ID} 1000").as_bytes(), false).unwrap();
        assert_eq!(full, Outcome::FullResync(Position { replid: id, offset: Offset(1000) }));
        assert_eq!(decide(b"+CONTINUE", true).unwrap(), Outcome::Continue(None));
        let line = format!("+CONTINUE {ID}");
        assert_eq!(decide(line.as_bytes(), true).unwrap(), Outcome::Continue(Some(id)));
        for bad in ["+FULLRESYNC", "+FULLRESYNC x 1", &format!("+FULLRESYNC {ID} -1"), "+OK", "$5"] {
            let error = decide(bad.as_bytes(), true).unwrap_err();
            assert!(matches!(error, LinkError::UnexpectedReply { step: Step::Psync, .. }), "{bad}: {error}");
        }
    }

    #[test]
    fn continue_without_a_position_is_no_answer() {
        let error = decide(b"+CONTINUE", false).unwrap_err();
        assert!(matches!(error, LinkError::UnexpectedReply { .. }));
    }
}
