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
use crate::position::Position;
use rdb::{EntryMeta, Part, Reject, Version, Visitor, Want};
use resp::BulkHeader;
use std::sync::Arc;

/// The state of a transfer. `L` is the target's loader.
pub(crate) struct Transfer<L> {
    /// What the dump stands for.
    position: Position,
    phase: Phase,
    lines: LineReader,
    decoder: rdb::Decoder,
    loader: L,
    stream_db: Option<u32>,
    /// Bytes of the dump received.
    received: u64,
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
    pub(crate) position: Position,
    /// The database in which the stream begins, where the dump says so (a chained primary's does).
    pub(crate) stream_db: Option<u32>,
    pub(crate) received: u64,
}

impl<L: Visitor> Transfer<L> {
    pub(crate) fn new(position: Position, loader: L) -> Self {
        Self {
            position,
            phase: Phase::Header,
            lines: LineReader::default(),
            decoder: rdb::Decoder::default(),
            loader,
            stream_db: None,
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
        let Self { loader, position, stream_db, received, .. } = self;
        Loaded { loader, position, stream_db, received }
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
                return Err(refused(step, error));
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
        let mut tap = Tap { inner: &mut self.loader, stream_db: &mut self.stream_db };
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

/// Overhears `repl-stream-db` on the way to the loader.
struct Tap<'a, L> {
    inner: &'a mut L,
    stream_db: &'a mut Option<u32>,
}

impl<L: Visitor> Visitor for Tap<'_, L> {
    fn header(&mut self, version: Version) {
        self.inner.header(version);
    }

    fn aux(&mut self, name: &[u8], value: &[u8]) {
        if name == b"repl-stream-db" {
            *self.stream_db = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
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

    fn end(&mut self) {
        self.inner.end();
    }
}
