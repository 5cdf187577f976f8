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
use resp::{Limits, Request, RequestDecoder, RequestRef, Run};
use smallvec::SmallVec;

/// Room for so many commands stays between transactions.
const QUEUE_KEPT: usize = 1024;
/// And room for so many of their bytes.
const RAW_KEPT: usize = 64 * 1024;
/// So much is copied at a time where commands cannot be taken where they lie.
const PIECE: usize = 16 * 1024;

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
        mut bytes: &[u8],
        target: &mut T,
        out: &mut BytesMut,
    ) -> Result<(), LinkError> {
        self.received = self.received.after(bytes.len() as u64);
        loop {
            if self.transaction.is_none() {
                bytes = self.in_place(bytes, target)?;
            }
            if bytes.is_empty() {
                return Ok(());
            }
            // A command of the link's own, the rest of one that has begun, or the beginning of one.
            let (here, behind) = bytes.split_at(bytes.len().min(PIECE));
            self.decoder.feed(here);
            while match self.transaction {
                None => self.bare(target, out)?,
                Some(open) => self.grouped(open, target, out)?,
            } {}
            bytes = match self.decoder.buffered() {
                left if left < here.len() && !behind.is_empty() && self.transaction.is_none() => {
                    let (_, rest) = bytes.split_at(here.len() - self.decoder.unfeed());
                    rest
                }
                _ => behind,
            };
        }
    }

    /// Hands over the commands of data at the front of `bytes` where they lie, if nothing else has begun before; answers
    /// what is left.
    fn in_place<'b, T: Target>(
        &mut self,
        mut bytes: &'b [u8],
        target: &mut T,
    ) -> Result<&'b [u8], LinkError> {
        loop {
            let offset = self.applied;
            let run = self.decoder.next_run_of(bytes, target.gathers(), is_data);
            let run = run.map_err(|error| LinkError::Stream { offset, error })?;
            if run.is_empty() {
                return Ok(bytes);
            }
            let (_, rest) = bytes.split_at(run.raw().len());
            bytes = rest;
            self.commands += run.len() as u64;
            self.applied = offset.after(run.raw().len() as u64);
            hand_over(run, self.db, self.applied, target);
        }
    }

    /// Handles what comes next outside a transaction: commands of data as far as there are any, or one that is the
    /// link's own business. Nothing is copied on the way.
    fn bare<T: Target>(&mut self, target: &mut T, out: &mut BytesMut) -> Result<bool, LinkError> {
        let offset = self.applied;
        let run = self.decoder.next_run(target.gathers(), is_data);
        let run = run.map_err(|error| LinkError::Stream { offset, error })?;
        if !run.is_empty() {
            self.commands += run.len() as u64;
            self.applied = offset.after(run.raw().len() as u64);
            hand_over(run, self.db, self.applied, target);
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

fn is_data(command: &RequestRef<'_>) -> bool {
    matches!(Meaning::of(command), Meaning::Data)
}

/// Commands that stand one behind the other, up to `end`.
fn hand_over<T: Target>(run: Run<'_>, db: u32, end: Offset, target: &mut T) {
    let commands: SmallVec<[RequestRef<'_>; 32]> = run.iter().collect();
    target.apply(Batch { db, commands: &commands, transaction: false, end, selected: db, raw: run.raw() });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Recorder;

    struct Random(u64);

    impl Random {
        fn below(&mut self, n: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((u128::from(self.0) * n as u128) >> 64) as usize
        }
    }

    /// What became of a stream that came in pieces of these lengths.
    fn taken(
        stream: &[u8],
        mut length: impl FnMut() -> usize,
    ) -> (Vec<String>, Recorder, [u64; 4], BytesMut) {
        let (mut link, mut target, mut out) =
            (Stream::new(Offset(0), 0), Recorder::default(), BytesMut::new());
        let (mut rest, mut errors) = (stream, Vec::new());
        while !rest.is_empty() && errors.is_empty() {
            let (piece, behind) = rest.split_at(length().clamp(1, rest.len()));
            errors.extend(link.feed(piece, &mut target, &mut out).err().map(|error| error.to_string()));
            rest = behind;
        }
        let figures =
            [link.applied.0, link.commands, u64::from(link.db), u64::from(link.is_between_commands())];
        (errors, target, figures, out)
    }

    /// Commands of data, short and longer than what is copied at a time, between those that are the link's own.
    fn stream(random: &mut Random, broken: bool) -> Vec<u8> {
        let mut stream = Vec::new();
        let mut open = false;
        for n in 0..60 {
            if broken && n == 50 {
                stream.extend_from_slice(b"*1\r\nbroken\r\n");
            }
            let long = [0, 3, 200, PIECE - 40, PIECE, 3 * PIECE][random.below(6)] + random.below(50);
            let value = vec![b'a' + (n % 26) as u8; long];
            let words: &[&[u8]] = match random.below(14) {
                0 => &[b"PING"],
                1 => &[b"SELECT", [&b"1"[..], b"7"][random.below(2)]],
                2 if !open => &[b"MULTI"],
                2 | 3 if open => &[b"EXEC"],
                3 => &[b"REPLCONF", b"GETACK", b"*"],
                4 => &[b"replconf", b"capa", &value],
                5 => {
                    stream.extend_from_slice([&b"\n"[..], b"\r\n", b"*0\r\n"][random.below(3)]);
                    continue;
                }
                _ => &[b"SET", b"key", &value],
            };
            open = if open { words[0] != b"EXEC" } else { words[0] == b"MULTI" };
            resp::encode_command(&mut stream, words);
        }
        stream
    }

    #[test]
    fn what_arrives_together_is_taken_as_what_arrives_in_small_pieces() {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        for seed in (1..20).chain([seed.unwrap_or_else(|| u64::from(std::process::id()))]) {
            println!("SEED={seed}");
            let mut random = Random(seed);
            let broken = random.below(3) == 0;
            let stream = stream(&mut random, broken);
            let (errors, target, figures, out) = taken(&stream, || 97);
            assert_eq!(
                (errors.len(), target.raw.len() as u64),
                (usize::from(broken), figures[0]),
                "seed {seed}: {errors:?}"
            );
            for most in [1000, PIECE, 5 * PIECE, 100 * PIECE] {
                let other = taken(&stream, || 1 + random.below(most));
                assert_eq!((&other.0, other.2, &other.3), (&errors, figures, &out), "seed {seed}, {most}");
                assert!(
                    other.1.lines() == target.lines() && other.1.raw == target.raw,
                    "seed {seed}, {most}"
                );
            }
        }
    }
}
