//! The dump of a full resync: header, RDB bytes, and the mark behind them.
//!
//! ```text
//! \n \n ..  $<length>\r\n       RDB (length bytes)         | stream
//! \n \n ..  $EOF:<40 bytes>\r\n RDB (ends by itself) mark  | stream
//! ```
//!
//! The decoder stops at the dump's checksum, so the mark needs no search: it has to follow at once.

use crate::error::LinkError;
use crate::handshake::{Step, refused, unexpected};
use crate::line::{LINE_LIMIT, LineReader};
use crate::position::{Offset, Position, ReplId};
use rdb::{EntryMeta, Part, Reject, Version, Visitor, Want};
use resp::BulkHeader;
use std::sync::Arc;

/// The state of a transfer. `L` is the target's loader.
pub(crate) struct Transfer<L> {
    /// What the dump stands for, where the primary has told (the answer to SYNC does not).
    position: Option<Position>,
    /// Why PSYNC was refused, if this is the answer to SYNC.
    refusal: Option<Arc<str>>,
    phase: Phase,
    lines: LineReader,
    decoder: rdb::Decoder,
    loader: L,
    heard: Heard,
    /// Bytes of the dump received.
    received: u64,
}

/// What the dump says about the stream behind it.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    stream_db: Option<u32>,
    replid: Option<ReplId>,
    offset: Option<Offset>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Header,
    Body(BulkHeader),
    /// The mark, and how many bytes of it have matched.
    Mark([u8; 40], usize),
}

/// A transfer that came to a good end.
pub(crate) struct Loaded<L> {
    pub(crate) loader: L,
    /// `None`: the primary does not tell, not even in the dump. Its history cannot be continued.
    pub(crate) position: Option<Position>,
    /// The database in which the stream begins, where the dump says so (a chained primary's does).
    pub(crate) stream_db: Option<u32>,
    pub(crate) received: u64,
}

impl<L: Visitor> Transfer<L> {
    /// For a dump that stands for `position`; the stream has `stream_db` selected, unless the dump knows
    /// better.
    pub(crate) fn new(position: Position, stream_db: Option<u32>, loader: L) -> Self {
        Self { position: Some(position), ..Self::nameless(stream_db, None, loader) }
    }

    /// For the answer to SYNC, after a PSYNC that was refused so.
    pub(crate) fn of_sync(refusal: Arc<str>, loader: L) -> Self {
        Self::nameless(None, Some(refusal), loader)
    }

    fn nameless(stream_db: Option<u32>, refusal: Option<Arc<str>>, loader: L) -> Self {
        Self {
            position: None,
            refusal,
            phase: Phase::Header,
            lines: LineReader::default(),
            decoder: rdb::Decoder::default(),
            loader,
            heard: Heard { stream_db, ..Heard::default() },
            received: 0,
        }
    }

    /// Bytes of the dump received so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// The dump's length in bytes, where the primary announced one.
    pub(crate) fn total(&self) -> Option<u64> {
        match self.phase {
            Phase::Body(BulkHeader::Length(total)) => Some(total),
            _ => None,
        }
    }

    /// Takes the transfer's part off the front of `bytes`. Answers true at its end; call
    /// [`finish`](Self::finish) then. What is left in `bytes` belongs to the stream.
    pub(crate) fn feed(&mut self, bytes: &mut &[u8]) -> Result<bool, LinkError> {
        loop {
            match self.phase {
                Phase::Header => match self.header(bytes)? {
                    Some(framing) => self.phase = Phase::Body(framing),
                    None => return Ok(false),
                },
                Phase::Body(framing) => {
                    if bytes.is_empty() || !self.body(framing, bytes)? {
                        return Ok(false);
                    }
                    match framing {
                        BulkHeader::Length(_) => return Ok(true),
                        BulkHeader::Eof(mark) => self.phase = Phase::Mark(mark, 0),
                    }
                }
                Phase::Mark(mark, matched) => {
                    let wanted = mark.get(matched..).unwrap_or_default();
                    let (head, tail) = bytes.split_at(wanted.len().min(bytes.len()));
                    if !wanted.starts_with(head) {
                        return Err(LinkError::MarkMismatch { received: self.received });
                    }
                    *bytes = tail;
                    self.phase = Phase::Mark(mark, matched + head.len());
                    return Ok(head.len() == wanted.len());
                }
            }
        }
    }

    pub(crate) fn finish(self) -> Loaded<L> {
        let Self { loader, position, heard, received, .. } = self;
        // Of a dump that answers SYNC these fields are the only trace of the history, and exact: they name
        // the moment from which the primary has kept the stream for us.
        let told = || Some(Position { replid: heard.replid?, offset: heard.offset? });
        Loaded { loader, position: position.or_else(told), stream_db: heard.stream_db, received }
    }

    fn header(&mut self, bytes: &mut &[u8]) -> Result<Option<BulkHeader>, LinkError> {
        let step = Step::Dump;
        loop {
            let line = self
                .lines
                .next_line(bytes)
                .map_err(|_| LinkError::LineTooLong { step, limit: LINE_LIMIT })?;
            let Some(line) = line else { return Ok(None) };
            if line.is_empty() {
                continue;
            }
            if let Some(error) = line.strip_prefix(b"-").or_else(|| line.strip_prefix(b"$-")) {
                return Err(match &self.refusal {
                    None => refused(step, error),
                    // The first refusal is the one that means something.
                    Some(first) => {
                        refused(Step::Psync, &[first.as_bytes(), b" (and SYNC: ", error, b")"].concat())
                    }
                });
            }
            let whole = [line, b"\r\n"].concat();
            let Ok((_, Some(framing))) = BulkHeader::scan(&whole) else { return Err(unexpected(step, line)) };
            tracing::debug!(?framing, "dump begins");
            return Ok(Some(framing));
        }
    }

    /// Feeds the decoder. True at the end of the dump.
    fn body(&mut self, framing: BulkHeader, bytes: &mut &[u8]) -> Result<bool, LinkError> {
        let left = match framing {
            BulkHeader::Length(total) => total.saturating_sub(self.received),
            BulkHeader::Eof(_) => u64::MAX,
        };
        let take = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let (ours, rest) = bytes.split_at(take);
        let mut tap = Tap { inner: &mut self.loader, heard: &mut self.heard };
        let progress =
            self.decoder.feed(ours, &mut tap).map_err(|error| LinkError::Dump { error: Arc::new(error) })?;
        let used = match progress {
            rdb::Progress::Done { consumed } => consumed,
            _ => ours.len(),
        };
        self.received += used as u64;
        let done = matches!(progress, rdb::Progress::Done { .. });
        if let BulkHeader::Length(claimed) = framing {
            // The decoder's end and the announced one must be the same byte.
            match (done, self.received == claimed) {
                (true, false) => return Err(LinkError::DumpLength { claimed, used: self.received }),
                (false, true) => return Err(LinkError::DumpUnfinished { claimed }),
                _ => {}
            }
        }
        *bytes = if done { bytes.get(used..).unwrap_or_default() } else { rest };
        Ok(done)
    }
}

/// Overhears the fields about the stream on the way to the loader.
struct Tap<'a, L> {
    inner: &'a mut L,
    heard: &'a mut Heard,
}

impl<L: Visitor> Visitor for Tap<'_, L> {
    fn header(&mut self, version: Version) {
        self.inner.header(version);
    }

    fn aux(&mut self, name: &[u8], value: &[u8]) {
        let text = || std::str::from_utf8(value).ok();
        match name {
            b"repl-stream-db" => {
                self.heard.stream_db = text().and_then(|text| text.parse().ok()).or(self.heard.stream_db);
            }
            b"repl-id" => self.heard.replid = ReplId::parse(value),
            b"repl-offset" => {
                self.heard.offset = text().and_then(|text| text.parse().ok()).map(Offset);
            }
            _ => {}
        }
        self.inner.aux(name, value);
    }

    fn select_db(&mut self, db: u64) {
        self.inner.select_db(db);
    }

    fn resize_db(&mut self, keys: u64, expires: u64) {
        self.inner.resize_db(keys, expires);
    }

    fn function(&mut self, code: &[u8]) -> Result<(), Reject> {
        self.inner.function(code)
    }

    fn module_aux(&mut self, bytes: &[u8]) {
        self.inner.module_aux(bytes);
    }

    fn entry(&mut self, key: &[u8], meta: &EntryMeta) -> Result<Want, Reject> {
        self.inner.entry(key, meta)
    }

    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        self.inner.part(part)
    }

    fn entry_end(&mut self) -> Result<(), Reject> {
        self.inner.entry_end()
    }

    fn end(&mut self) -> Result<(), Reject> {
        self.inner.end()
    }
}
