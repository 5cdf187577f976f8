//! The command stream: bytes to batches, with the offset counted to the byte.
//!
//! ```text
//! read offset      |--------------------------------------->|       bytes received
//! applied offset   |----------------->|                             commands done
//!                   SET.. SET.. PING   MULTI SET.. DEL.. EX(EC)     jumps at EXEC
//! ```

use crate::error::LinkError;
use crate::link::encode_ack;
use crate::position::Offset;
use crate::target::{Batch, Target};
use bytes::BytesMut;
use resp::{Limits, Request, RequestDecoder, RequestRef};
use smallvec::SmallVec;

/// Room for so many commands stays between transactions.
const QUEUE_KEPT: usize = 1024;
/// And room for so many of their bytes.
const RAW_KEPT: usize = 64 * 1024;

/// The state of the stream on one connection.
#[derive(Debug)]
pub(crate) struct Stream {
    decoder: RequestDecoder,
    received: Offset,
    applied: Offset,
    /// Selected at the applied offset.
    db: u32,
    transaction: Option<Transaction>,
    /// The commands of the open transaction; kept for its memory.
    queue: Vec<Request>,
    /// Its bytes from MULTI on.
    raw: Vec<u8>,
    commands: u64,
}

/// An open MULTI.
#[derive(Debug, Clone, Copy)]
struct Transaction {
    /// What a SELECT inside has selected; it counts only from EXEC on.
    db: Option<u32>,
}

/// What a command is to the link.
enum Meaning {
    /// Nothing at all: a bare newline.
    Nothing,
    /// PING, and REPLCONF other than GETACK: a sign of life.
    Life,
    GetAck,
    Select(u32),
    Multi,
    Exec,
    Discard,
    /// The target's business.
    Data,
}

impl Stream {
    pub(crate) fn new(offset: Offset, db: u32) -> Self {
        Self {
            decoder: RequestDecoder::stream(Limits::stream()),
            received: offset,
            applied: offset,
            db,
            transaction: None,
            queue: Vec::new(),
            raw: Vec::new(),
            commands: 0,
        }
    }

    /// Bytes applied.
    pub(crate) fn applied(&self) -> Offset {
        self.applied
    }

    /// Bytes received.
    pub(crate) fn received(&self) -> Offset {
        self.received
    }

    /// The database selected at the applied offset.
    pub(crate) fn db(&self) -> u32 {
        self.db
    }

    /// Whether nothing has begun: no command, no transaction.
    pub(crate) fn is_between_commands(&self) -> bool {
        self.received == self.applied
    }

    /// Commands handed to the target.
    pub(crate) fn commands(&self) -> u64 {
        self.commands
    }

    pub(crate) fn feed<T: Target>(
        &mut self,
        bytes: &[u8],
        target: &mut T,
        out: &mut BytesMut,
    ) -> Result<(), LinkError> {
        self.received = self.received.after(bytes.len() as u64);
        self.decoder.feed(bytes);
        loop {
            let more = match self.transaction {
                None => self.bare(target, out)?,
                Some(open) => self.grouped(open, target, out)?,
            };
            if !more {
                return Ok(());
            }
        }
    }

    /// Handles what comes next outside a transaction: commands of data as far as there are any, or one that is the
    /// link's own business. Nothing is copied on the way.
    fn bare<T: Target>(&mut self, target: &mut T, out: &mut BytesMut) -> Result<bool, LinkError> {
        let offset = self.applied;
        let is_data = |command: &RequestRef<'_>| matches!(Meaning::of(command), Meaning::Data);
        let run = self.decoder.next_run(target.gathers(), is_data);
        let run = run.map_err(|error| LinkError::Stream { offset, error })?;
        if !run.is_empty() {
            let commands: SmallVec<[RequestRef<'_>; 32]> = run.iter().collect();
            let (db, raw) = (self.db, run.raw());
            let end = offset.after(raw.len() as u64);
            self.commands += commands.len() as u64;
            self.applied = end;
            target.apply(Batch { db, commands: &commands, transaction: false, end, selected: db, raw });
            return Ok(true);
        }
        let Some(command) = self.decoder.next_ref().map_err(|error| LinkError::Stream { offset, error })?
        else {
            return Ok(false);
        };
        let length = command.wire_len() as u64;
        let end = offset.after(length);
        match Meaning::of(&command) {
            Meaning::Data | Meaning::Exec | Meaning::Discard => {
                self.commands += 1;
                self.applied = end;
                let (db, raw) = (self.db, command.raw());
                let commands = &[command];
                target.apply(Batch { db, commands, transaction: false, end, selected: db, raw });
                return Ok(true);
            }
            Meaning::Multi => {
                // The applied offset stays before MULTI until EXEC.
                self.transaction = Some(Transaction { db: None });
                self.raw.clear();
                self.raw.extend_from_slice(command.raw());
                return Ok(true);
            }
            Meaning::Select(db) => self.db = db,
            // The answer leaves out the question.
            Meaning::GetAck => encode_ack(out, offset),
            Meaning::Nothing | Meaning::Life => {}
        }
        self.applied = end;
        target.advance(end, self.db, command.raw());
        Ok(true)
    }

    /// Handles the next command of an open transaction.
    fn grouped<T: Target>(
        &mut self,
        mut open: Transaction,
        target: &mut T,
        out: &mut BytesMut,
    ) -> Result<bool, LinkError> {
        let offset = self.applied;
        let next = self.decoder.next().map_err(|error| LinkError::Stream { offset, error })?;
        let Some(command) = next else { return Ok(false) };
        self.raw.extend_from_slice(command.raw());
        match Meaning::of(&command.as_ref()) {
            Meaning::Exec => {
                self.execute(open, target);
                return Ok(true);
            }
            Meaning::Discard => {
                self.queue.clear();
                self.execute(Transaction { db: None }, target);
                return Ok(true);
            }
            Meaning::Select(db) => {
                open.db = Some(db);
                self.queue.push(command);
            }
            Meaning::Data => self.queue.push(command),
            Meaning::GetAck => encode_ack(out, offset),
            // MULTI cannot be nested; servers log that and go on.
            Meaning::Nothing | Meaning::Life | Meaning::Multi => {}
        }
        self.transaction = Some(open);
        Ok(true)
    }

    /// Ends a transaction: its commands are one batch.
    fn execute<T: Target>(&mut self, open: Transaction, target: &mut T) {
        let end = self.applied.after(self.raw.len() as u64);
        let selected = open.db.unwrap_or(self.db);
        self.applied = end;
        self.transaction = None;
        if self.queue.is_empty() {
            target.advance(end, self.db, &self.raw);
        } else {
            let commands: SmallVec<[RequestRef<'_>; 8]> = self.queue.iter().map(Request::as_ref).collect();
            self.commands += commands.len() as u64;
            let (db, raw) = (self.db, &self.raw[..]);
            target.apply(Batch { db, commands: &commands, transaction: true, end, selected, raw });
            drop(commands);
            self.db = selected;
        }
        self.queue.clear();
        // One large transaction must not hold its memory for ever.
        self.queue.shrink_to(QUEUE_KEPT);
        self.raw.clear();
        self.raw.shrink_to(RAW_KEPT);
    }
}

impl Meaning {
    #[inline]
    fn of(command: &RequestRef<'_>) -> Self {
        let Some(name) = command.arg(0) else { return Self::Nothing };
        // Most commands part from these by their length and first letter.
        match (name.len(), name.first().map_or(0, u8::to_ascii_uppercase)) {
            (4, b'P') if name.eq_ignore_ascii_case(b"PING") => Self::Life,
            (4, b'E') if name.eq_ignore_ascii_case(b"EXEC") => Self::Exec,
            (5, b'M') if name.eq_ignore_ascii_case(b"MULTI") => Self::Multi,
            (6, b'S') if name.eq_ignore_ascii_case(b"SELECT") => Self::select(command),
            (7, b'D') if name.eq_ignore_ascii_case(b"DISCARD") => Self::Discard,
            (8, b'R') if name.eq_ignore_ascii_case(b"REPLCONF") => {
                match command.arg(1).is_some_and(|option| option.eq_ignore_ascii_case(b"GETACK")) {
                    true => Self::GetAck,
                    false => Self::Life,
                }
            }
            _ => Self::Data,
        }
    }

    /// A SELECT that names no database is the target's to count as an error, and selects nothing.
    fn select(command: &RequestRef<'_>) -> Self {
        let db =
            command.arg(1).and_then(|text| std::str::from_utf8(text).ok()).and_then(|text| text.parse().ok());
        match db {
            Some(db) if command.len() == 2 => Self::Select(db),
            _ => Self::Data,
        }
    }
}
