//! A full sync over two connections: the dump over the second one, the stream over the first, at once.
//!
//! ```text
//! Redis 8    first                            second
//!            < +RDBCHANNELSYNC 6              > AUTH
//!            < stream..  (held here)          > REPLCONF capa eof rdb-only 1 rdb-channel 1 main-ch-client-id 6 ..
//!                                             > PSYNC ? -1
//!                                             < +FULLRESYNC id offset, $EOF:<mark>, dump, mark
//!
//! Valkey 8   < +DUALCHANNELSYNC               > AUTH
//!                                             > REPLCONF capa eof rdb-only 1 rdb-channel 1 .. version ..
//!                                             > SYNC
//!            > REPLCONF set-rdb-client-id 9   < $ENDOFF:offset id db 9
//!            > PSYNC id offset+1              < $EOF:<mark>, dump, mark
//!            < +CONTINUE, stream.. (held)
//! ```
//!
//! The primary keeps nothing for us while the dump travels: what it would have to buffer lies here.

use crate::error::LinkError;
use crate::handshake::{Family, Step, authenticate, check, encode, position, refused, unexpected};
use crate::line::{LINE_LIMIT, LineReader};
use crate::options::LinkOptions;
use crate::position::Position;
use crate::transfer::{Loaded, Transfer};
use bytes::BytesMut;
use rdb::Visitor;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// The state of both connections.
pub(crate) struct Channels<L> {
    family: Family,
    first: First,
    second: Second<L>,
    /// Bytes of the stream that came before the dump was complete.
    held: BytesMut,
    /// Valkey: what PSYNC will ask for once the two connections know each other.
    request: Option<(String, String)>,
    /// For the second connection.
    pub(crate) out: BytesMut,
    /// When the last byte came over the second connection, or since when it is wanted.
    pub(crate) last_byte: Duration,
}

/// The connection of the stream.
enum First {
    /// Valkey: the other one must say its id before this one goes on.
    Waits,
    /// Replies to these are missing.
    Asks(LineReader, VecDeque<Step>),
    Streams,
}

/// The connection of the dump.
enum Second<L> {
    Wanted,
    Asks(LineReader, VecDeque<Step>),
    Loads(Box<Transfer<L>>),
    Complete(Box<Loaded<L>>),
}

/// What the second connection has brought.
pub(crate) enum News {
    Nothing,
    /// The dump will stand for this; make it a loader and call [`Channels::load`].
    Granted(Position, Option<u32>),
    Complete,
}

impl<L: Visitor> Channels<L> {
    pub(crate) fn new(family: Family, now: Duration) -> Self {
        let first = if family == Family::Valkey { First::Waits } else { First::Streams };
        let (held, out) = (BytesMut::new(), BytesMut::new());
        Self { family, first, second: Second::Wanted, held, request: None, out, last_byte: now }
    }

    /// Whether the second connection is to be open.
    pub(crate) fn wants_second(&self) -> bool {
        !matches!(self.second, Second::Complete(_))
    }

    /// Whether the stream has begun and waits here.
    pub(crate) fn is_holding(&self) -> bool {
        matches!(self.first, First::Streams)
    }

    /// What the two are doing, by what is missing.
    pub(crate) fn step(&self) -> Step {
        match (&self.first, &self.second) {
            (First::Asks(_, awaited), _) | (_, Second::Asks(_, awaited)) => {
                awaited.front().copied().unwrap_or(Step::DumpRequest)
            }
            _ => Step::DumpChannel,
        }
    }

    /// The dump, while it is read.
    pub(crate) fn transfer(&self) -> Option<&Transfer<L>> {
        match &self.second {
            Second::Loads(transfer) => Some(transfer),
            _ => None,
        }
    }

    /// The second connection is open.
    pub(crate) fn connected(&mut self, now: Duration, options: &LinkOptions) {
        self.last_byte = now;
        self.out.clear();
        let mut awaited = VecDeque::new();
        if authenticate(options, &mut self.out) {
            awaited.push_back(Step::Auth);
        }
        let port = options.listening_port.to_string();
        let mut request: Vec<&[u8]> =
            vec![b"REPLCONF", b"capa", b"eof", b"rdb-only", b"1", b"rdb-channel", b"1"];
        if let Family::Redis(id) = &self.family {
            request.extend([&b"main-ch-client-id"[..], id.as_bytes()]);
        }
        request.extend([&b"listening-port"[..], port.as_bytes()]);
        if self.family == Family::Valkey {
            request.extend([&b"version"[..], options.version.as_bytes()]);
        }
        if let Some(address) = &options.ip_address {
            request.extend([&b"ip-address"[..], address.as_bytes()]);
        }
        encode(&mut self.out, &request);
        awaited.push_back(Step::DumpChannel);
        self.second = Second::Asks(LineReader::default(), awaited);
    }

    /// The second connection has ended. Harmless once the dump is complete.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.second, Second::Complete(_))
    }

    /// Bytes of the second connection.
    pub(crate) fn feed_second(
        &mut self,
        bytes: &mut &[u8],
        first_out: &mut BytesMut,
    ) -> Result<News, LinkError> {
        loop {
            match &mut self.second {
                // Nothing was asked, so nothing was answered.
                Second::Wanted => return Err(unexpected(Step::DumpChannel, bytes)),
                Second::Asks(lines, awaited) => {
                    let step = awaited.front().copied().unwrap_or(Step::DumpRequest);
                    let Some(line) = next_line(lines, bytes, step)? else { return Ok(News::Nothing) };
                    if line.is_empty() {
                        continue;
                    }
                    if step != Step::DumpRequest {
                        check(step, line)?;
                        awaited.pop_front();
                        if awaited.is_empty() {
                            match self.family {
                                Family::Redis(_) => encode(&mut self.out, &[b"PSYNC", b"?", b"-1"]),
                                Family::Valkey => self.out.extend_from_slice(b"SYNC\r\n"),
                            }
                            awaited.push_back(Step::DumpRequest);
                        }
                        continue;
                    }
                    let Grant { position, db, id } = granted(&self.family, line)?;
                    if let Some(id) = id {
                        encode(first_out, &[b"REPLCONF", b"set-rdb-client-id", id.as_bytes()]);
                        let (replid, next) =
                            (position.replid.to_string(), position.offset.after(1).to_string());
                        // PSYNC waits for the reply, as in every handshake.
                        self.first = First::Asks(LineReader::default(), VecDeque::from([Step::TieChannels]));
                        self.request = Some((replid, next));
                    }
                    return Ok(News::Granted(position, db));
                }
                Second::Loads(transfer) => {
                    if bytes.is_empty() || !transfer.feed(bytes)? {
                        return Ok(News::Nothing);
                    }
                    let Second::Loads(transfer) = std::mem::replace(&mut self.second, Second::Wanted) else {
                        return Ok(News::Nothing);
                    };
                    self.second = Second::Complete(Box::new(transfer.finish()));
                    return Ok(News::Complete);
                }
                // What follows the mark is nobody's.
                Second::Complete(_) => return Ok(News::Nothing),
            }
        }
    }

    /// The loader for the dump that was granted.
    pub(crate) fn load(&mut self, position: Position, stream_db: Option<u32>, loader: L) {
        self.second = Second::Loads(Box::new(Transfer::new(position, stream_db, loader)));
    }

    /// Bytes of the first connection.
    pub(crate) fn feed_first(&mut self, mut bytes: &[u8], out: &mut BytesMut) -> Result<(), LinkError> {
        loop {
            match &mut self.first {
                First::Waits if bytes.iter().all(|byte| *byte == b'\n') => return Ok(()),
                First::Waits => return Err(unexpected(Step::DumpChannel, bytes)),
                First::Asks(lines, awaited) => {
                    let step = awaited.front().copied().unwrap_or(Step::Psync);
                    let Some(line) = next_line(lines, &mut bytes, step)? else { return Ok(()) };
                    if line.is_empty() {
                        continue;
                    }
                    if step == Step::TieChannels {
                        check(step, line)?;
                        let Some((replid, next)) = self.request.take() else { continue };
                        encode(out, &[b"PSYNC", replid.as_bytes(), next.as_bytes()]);
                        *awaited = VecDeque::from([Step::Psync]);
                        continue;
                    }
                    if let Some(error) = line.strip_prefix(b"-") {
                        return Err(refused(step, error));
                    }
                    if !line.starts_with(b"+CONTINUE") {
                        return Err(unexpected(step, line));
                    }
                    self.first = First::Streams;
                }
                First::Streams => {
                    self.held.extend_from_slice(bytes);
                    return Ok(());
                }
            }
        }
    }

    /// Whether dump and stream are both there.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_done() && self.is_holding()
    }

    /// The dump and the beginning of the stream.
    pub(crate) fn finish(self) -> Option<(Loaded<L>, BytesMut)> {
        match self.second {
            Second::Complete(loaded) => Some((*loaded, self.held)),
            _ => None,
        }
    }
}

fn next_line<'a>(
    lines: &'a mut LineReader,
    bytes: &mut &[u8],
    step: Step,
) -> Result<Option<&'a [u8]>, LinkError> {
    lines.next_line(bytes).map_err(|_| LinkError::LineTooLong { step, limit: LINE_LIMIT })
}

/// The word before the dump.
struct Grant {
    position: Position,
    /// The database that the stream has selected.
    db: Option<u32>,
    /// What Valkey calls this connection.
    id: Option<Arc<str>>,
}

fn granted(family: &Family, line: &[u8]) -> Result<Grant, LinkError> {
    let step = Step::DumpRequest;
    if let Some(error) = line.strip_prefix(b"-") {
        return Err(refused(step, error));
    }
    let mut words = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let text = |word: &[u8]| std::str::from_utf8(word).ok().map(ToOwned::to_owned);
    let mut read = || match family {
        Family::Redis(_) => {
            if words.next()? != b"+FULLRESYNC" {
                return None;
            }
            let (id, offset) = (words.next()?, words.next()?);
            Some(Grant { position: position(id, offset)?, db: None, id: None })
        }
        Family::Valkey => {
            let offset = words.next()?.strip_prefix(b"$ENDOFF:")?;
            let position = position(words.next()?, offset)?;
            // -1: the stream has selected none, and will say so.
            let db = text(words.next()?)?.parse::<i64>().ok()?;
            let id = text(words.next()?)?;
            Some(Grant { position, db: u32::try_from(db).ok(), id: Some(id.into()) })
        }
    };
    read().ok_or_else(|| unexpected(step, line))
}
