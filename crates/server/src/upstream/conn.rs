//! One connection to the primary: commands out, the bytes of their replies back.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, BytesMut};
use replication::{DriverConfig, Transport};
use resp::{Limits, Protocol, ValueParser};
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

use super::{Login, Place, UpstreamError};

/// Bytes read at a time.
const READ_SIZE: usize = 16 * 1024;
/// A connection that has needed a larger buffer gives it back.
const KEEP_BUFFER: usize = 64 * 1024;

/// A connection that is between two commands, or is thrown away.
pub(crate) struct Conn {
    transport: Transport,
    parser: ValueParser,
    buffer: BytesMut,
    db: u32,
    protocol: Protocol,
    term: u64,
    place: Place,
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn").field("db", &self.db).field("term", &self.term).finish_non_exhaustive()
    }
}

impl Conn {
    /// Connects, and logs in if there is something to log in with.
    pub(crate) async fn open(config: &DriverConfig, login: &Login, term: u64) -> Result<Self, UpstreamError> {
        let mut conn = Self {
            transport: replication::connect(config).await?,
            parser: ValueParser::new(Limits::replies()),
            buffer: BytesMut::new(),
            db: 0,
            protocol: Protocol::Resp2,
            term,
            place: (config.host.clone(), config.port),
        };
        if let Some(words) = login.words() {
            let request: Vec<&[u8]> =
                std::iter::once(&b"AUTH"[..]).chain(words.iter().map(Vec::as_slice)).collect();
            let mut out = Vec::new();
            resp::encode_command(&mut out, &request);
            let reply = super::in_time(conn.exchange(&out, 1)).await?;
            accepted(&reply[0])?;
        }
        Ok(conn)
    }

    /// In which term of the link it was opened.
    pub(super) fn term(&self) -> u64 {
        self.term
    }

    /// Where it leads.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Whether the primary has neither hung up nor said something that nobody asked for.
    pub(super) fn is_alive(&mut self) -> bool {
        let mut byte = [0_u8; 1];
        let mut context = Context::from_waker(Waker::noop());
        let read =
            Pin::new(&mut self.transport.incoming).poll_read(&mut context, &mut ReadBuf::new(&mut byte));
        self.buffer.is_empty() && matches!(read, Poll::Pending)
    }

    /// Runs commands in this database and dialect, all sent at once; a reply for each. After an error, or if the
    /// future is dropped, nobody knows where the conversation stands: the connection must be dropped too.
    pub(crate) async fn call(
        &mut self,
        db: u32,
        protocol: Protocol,
        requests: &[&[&[u8]]],
    ) -> Result<Vec<Vec<u8>>, UpstreamError> {
        let mut out = Vec::new();
        let mut asides = 0;
        if self.protocol != protocol {
            let version: &[u8] = if protocol == Protocol::Resp3 { b"3" } else { b"2" };
            resp::encode_command(&mut out, &[b"HELLO", version]);
            asides += 1;
        }
        if self.db != db {
            resp::encode_command(&mut out, &[b"SELECT", db.to_string().as_bytes()]);
            asides += 1;
        }
        for request in requests {
            resp::encode_command(&mut out, request);
        }
        let mut replies = self.exchange(&out, asides + requests.len()).await?;
        (self.db, self.protocol) = (db, protocol);
        for aside in replies.drain(..asides) {
            // The commands may have run, in a place where they do not belong.
            accepted(&aside).map_err(|refused| UpstreamError::Lost(refused.to_string()))?;
        }
        Ok(replies)
    }

    /// The next that comes without being asked for: a message.
    pub(crate) async fn next(&mut self) -> Result<Vec<u8>, UpstreamError> {
        Ok(self.exchange(&[], 1).await?.pop().unwrap_or_default())
    }

    /// Sends bytes and takes so many replies.
    async fn exchange(&mut self, out: &[u8], replies: usize) -> Result<Vec<Vec<u8>>, UpstreamError> {
        let lost = |error: std::io::Error| UpstreamError::Lost(error.to_string());
        self.transport.outgoing.write_all(out).await.map_err(lost)?;
        self.transport.outgoing.flush().await.map_err(lost)?;
        let mut found = Vec::with_capacity(replies);
        while found.len() < replies {
            let parsed = self.parser.parse(&self.buffer);
            match parsed.map_err(|error| UpstreamError::Lost(error.to_string()))? {
                Some(length) => {
                    found.push(self.buffer[..length].to_vec());
                    self.buffer.advance(length);
                }
                None => {
                    self.buffer.reserve(READ_SIZE);
                    if self.transport.incoming.read_buf(&mut self.buffer).await.map_err(lost)? == 0 {
                        return Err(UpstreamError::Lost("it was closed".to_owned()));
                    }
                }
            }
        }
        if self.buffer.is_empty() && self.buffer.capacity() > KEEP_BUFFER {
            self.buffer = BytesMut::new();
        }
        Ok(found)
    }
}

/// Whether the primary has accepted what prepares a connection.
fn accepted(reply: &[u8]) -> Result<(), UpstreamError> {
    match reply.strip_prefix(b"-") {
        Some(line) => Err(UpstreamError::Refused(String::from_utf8_lossy(line).trim_end().to_owned())),
        None => Ok(()),
    }
}
