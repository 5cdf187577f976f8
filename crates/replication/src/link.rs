//! The replica's side of the protocol as a machine: bytes and time in, bytes and calls out.
//!
//! ```text
//!          handle_connected               +FULLRESYNC                 dump complete
//!  Down ------------------> Handshake ------------------> Transfer ------------------> Stream
//!   ^                           |                                                        ^ |
//!   |                           `------------------------- +CONTINUE --------------------' |
//!   `---------- handle_closed, an error of handle_bytes or handle_timeout -----------------'
//! ```
//!
//! Where the primary offers it and whoever drives the link can ([`LinkOptions::two_channels`]), the dump
//! comes over a second connection: `channels.rs`.

use crate::channels::{Channels, News};
use crate::error::{Doing, LinkError, Recovery};
use crate::handshake::{Handshake, Outcome, encode};
use crate::options::{Credentials, LinkOptions};
use crate::position::{Offset, Position, ReplId};
use crate::stream::Stream;
use crate::target::Target;
use crate::transfer::{Loaded, Transfer};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;
use tracing::Span;

/// One replica's link to its primary, over any number of connections.
///
/// Methods come in four sorts, and only `handle_*` and `poll_*` change anything:
/// - `handle_*`: something happened: [`handle_connected`](Self::handle_connected),
///   [`handle_bytes`](Self::handle_bytes), [`handle_closed`](Self::handle_closed),
///   [`handle_timeout`](Self::handle_timeout). An error means: close the connection, wait, connect
///   again; [`LinkError::recovery`] says how hopeful to be. The link has gone down by itself then.
/// - `poll_*`: what is to be done: [`poll_transmit`](Self::poll_transmit) (bytes for the primary),
///   [`poll_event`](Self::poll_event), [`poll_timeout`](Self::poll_timeout). Poll them after every
///   `handle_*`, until they answer `None`.
/// - getters: [`phase`](Self::phase), [`position`](Self::position), [`counters`](Self::counters)...
/// - commands: [`resume`](Self::resume), [`acknowledge`](Self::acknowledge).
///
/// `now` is the time since any fixed instant, and never decreases.
pub struct Link<T: Target> {
    options: LinkOptions,
    state: State<T::Loader>,
    /// What the target holds, and the database selected at that point of the stream.
    history: Option<(Position, u32)>,
    out: BytesMut,
    events: VecDeque<Event>,
    /// When the last byte came from the primary.
    last_byte: Duration,
    /// When the next ACK, or newline while loading, is due.
    next_sign: Duration,
    /// When the last full sync was complete.
    synced_at: Option<Duration>,
    /// Full syncs over two connections that failed, since one came to a good end.
    channel_failures: u32,
    /// The primary has no word for its history: it wants no ACK, and nothing can be continued.
    nameless: bool,
    counters: Counters,
    /// Of the full sync that goes on.
    sync: Span,
}

enum State<L> {
    Down,
    Handshake(Handshake),
    Transfer(Box<Transfer<L>>),
    Channels(Box<Channels<L>>),
    Stream(Box<Stream>),
}

/// So many full syncs over two connections may fail in a row before one connection has to do.
const CHANNEL_TRIES: u32 = 2;

/// Time between two ACKs after a full sync while nothing of the stream has come. A primary that sends its dump
/// without a file waits for an ACK before it sends the stream, and forgets one that comes before it has seen its
/// child end.
const EAGER: Duration = Duration::from_millis(20);

/// What happened on a link, for a log, a status line or a test.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The primary granted a full resync; the dump will stand for this position. `None`: it was asked by
    /// SYNC, and does not say.
    FullSyncStarted(Option<Position>),
    /// The dump was complete and good, and the target has taken it over. The stream follows.
    FullSyncFinished {
        /// What the target now holds.
        position: Position,
        /// Length of the dump in bytes.
        received: u64,
    },
    /// The primary continues the stream where it broke off.
    Resumed {
        /// Where the stream goes on, under its present id.
        position: Position,
        /// The id before, if the primary gave the history a new one.
        previous: Option<ReplId>,
    },
}

/// Where a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkPhase {
    /// Not connected.
    Down,
    /// Greeting the primary, or waiting for its answer to PSYNC.
    Handshake,
    /// A full sync: waiting for the dump, or loading it as it arrives.
    Transfer {
        /// Bytes of the dump so far; 0 until its first byte.
        received: u64,
        /// Its length, where the primary told.
        total: Option<u64>,
    },
    /// Following.
    Streaming,
}

/// Sums since the link was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Bytes received, of every kind.
    pub bytes_received: u64,
    /// Commands handed to the target.
    pub commands_applied: u64,
    /// Full syncs completed.
    pub full_syncs: u64,
    /// Times the stream was continued without a dump.
    pub partial_syncs: u64,
    /// Connections made.
    pub connections: u64,
    /// Full syncs whose dump came over a connection of its own.
    pub two_channel_syncs: u64,
}

impl Counters {
    /// The sums of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            bytes_received: self.bytes_received + other.bytes_received,
            commands_applied: self.commands_applied + other.commands_applied,
            full_syncs: self.full_syncs + other.full_syncs,
            partial_syncs: self.partial_syncs + other.partial_syncs,
            connections: self.connections + other.connections,
            two_channel_syncs: self.two_channel_syncs + other.two_channel_syncs,
        }
    }
}

impl<T: Target> Link<T> {
    /// A link that is down and knows no history: its first sync will be a full one.
    #[must_use]
    pub fn new(options: LinkOptions) -> Self {
        Self {
            options,
            state: State::Down,
            history: None,
            out: BytesMut::new(),
            events: VecDeque::new(),
            last_byte: Duration::ZERO,
            next_sign: Duration::ZERO,
            synced_at: None,
            channel_failures: 0,
            nameless: false,
            counters: Counters::default(),
            sync: Span::none(),
        }
    }

    /// Declares that the target already holds the data of `position`, and that `db` is selected at
    /// that point of the stream (a dump's aux fields `repl-id`, `repl-offset`, `repl-stream-db` say
    /// both). The next handshake asks to continue from there.
    pub fn resume(&mut self, position: Position, db: u32) {
        self.history = Some((position, db));
    }

    /// Changes the settings; what is said to the primary changes at the next connection.
    pub fn set_options(&mut self, options: LinkOptions) {
        self.options = options;
    }

    /// Changes who we are from the next connection on.
    pub fn set_credentials(&mut self, credentials: Credentials) {
        self.options.credentials = Some(credentials);
    }

    /// Declares that the target's data belong to no history worth asking for: the next sync is a full one.
    pub fn forget(&mut self) {
        self.history = None;
    }

    /// A connection is open: greet the primary.
    pub fn handle_connected(&mut self, now: Duration) {
        self.out.clear();
        self.last_byte = now;
        self.nameless = false;
        self.counters.connections += 1;
        let two_channels = self.options.two_channels && self.channel_failures < CHANNEL_TRIES;
        self.state = State::Handshake(Handshake::start(self.position(), two_channels, &mut self.out));
    }

    /// Whether a second connection to the same primary is wanted now: open one, call
    /// [`handle_dump_connected`](Self::handle_dump_connected), and close it when this answers false.
    #[must_use]
    pub fn wants_dump_channel(&self) -> bool {
        matches!(&self.state, State::Channels(channels) if channels.wants_second())
    }

    /// Whether bytes of the stream have to wait for the dump. They are kept if they are handed over; a
    /// driver that keeps them itself can put a bound on them.
    #[must_use]
    pub fn is_holding_stream(&self) -> bool {
        matches!(&self.state, State::Channels(channels) if channels.is_holding())
    }

    /// The second connection is open.
    pub fn handle_dump_connected(&mut self, now: Duration) {
        if let State::Channels(channels) = &mut self.state {
            channels.connected(now, &self.options);
        }
    }

    /// Bytes came over the second connection.
    ///
    /// # Errors
    /// Both connections are of no more use.
    pub fn handle_dump_bytes(
        &mut self,
        now: Duration,
        mut bytes: &[u8],
        target: &mut T,
    ) -> Result<(), LinkError> {
        self.counters.bytes_received += bytes.len() as u64;
        let result = self.consume_dump(now, &mut bytes, target);
        target.settled();
        result.inspect_err(|error| self.fail(error))
    }

    /// The second connection is closed.
    ///
    /// # Errors
    /// It was still needed: close the other, too.
    pub fn handle_dump_closed(&mut self) -> Result<(), LinkError> {
        if !self.wants_dump_channel() {
            return Ok(());
        }
        let error = LinkError::Closed { doing: self.doing() };
        self.fail(&error);
        Err(error)
    }

    /// Bytes to be sent over the second connection.
    pub fn poll_dump_transmit(&mut self) -> Option<Bytes> {
        let State::Channels(channels) = &mut self.state else { return None };
        (!channels.out.is_empty()).then(|| channels.out.split().freeze())
    }

    /// Bytes came from the primary, in any chunks.
    ///
    /// # Errors
    /// The connection is of no more use: see [`LinkError::recovery`]. The rest of `bytes` is lost.
    pub fn handle_bytes(&mut self, now: Duration, bytes: &[u8], target: &mut T) -> Result<(), LinkError> {
        self.last_byte = now;
        self.counters.bytes_received += bytes.len() as u64;
        let result = self.consume(now, bytes, target);
        target.settled();
        let result = match result {
            Ok(()) if target.wants_full_sync() => Err(LinkError::Overtaken),
            other => other,
        };
        result.inspect_err(|error| self.fail(error))
    }

    /// The connection is closed, whoever did it. Answers with the error that this is.
    pub fn handle_closed(&mut self, _now: Duration) -> LinkError {
        let error = LinkError::Closed { doing: self.doing() };
        self.fail(&error);
        error
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come. Calling early does nothing.
    ///
    /// # Errors
    /// The primary has been silent for too long.
    pub fn handle_timeout(&mut self, now: Duration) -> Result<(), LinkError> {
        let Some((since, patience)) = self.patience() else { return Ok(()) };
        if now >= since.saturating_add(patience) {
            let error = LinkError::Timeout { doing: self.doing(), after: patience };
            self.fail(&error);
            return Err(error);
        }
        if now >= self.next_sign {
            match &self.state {
                State::Transfer(_) => self.out.extend_from_slice(b"\n"),
                State::Channels(channels) if channels.is_holding() => self.out.extend_from_slice(b"\n"),
                State::Stream(stream) if !self.nameless => encode_ack(&mut self.out, stream.applied()),
                State::Down | State::Handshake(_) | State::Channels(_) | State::Stream(_) => {}
            }
            self.next_sign = now.saturating_add(self.ack_pause(now));
        }
        Ok(())
    }

    /// Bytes to be sent to the primary.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        (!self.out.is_empty()).then(|| self.out.split().freeze())
    }

    /// The next thing worth telling.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let (since, patience) = self.patience()?;
        let silence = since.saturating_add(patience);
        match self.state {
            State::Transfer(_) | State::Channels(_) | State::Stream(_) => Some(silence.min(self.next_sign)),
            State::Down | State::Handshake(_) => Some(silence),
        }
    }

    /// Queues an ACK of what has been applied, if the stream flows. For a farewell: the primary then
    /// knows how far this replica came.
    pub fn acknowledge(&mut self) {
        if let State::Stream(stream) = &self.state {
            encode_ack(&mut self.out, stream.applied());
        }
    }

    /// Where the link is.
    #[must_use]
    pub fn phase(&self) -> LinkPhase {
        match &self.state {
            State::Down => LinkPhase::Down,
            State::Handshake(_) => LinkPhase::Handshake,
            State::Transfer(transfer) => {
                LinkPhase::Transfer { received: transfer.received(), total: transfer.total() }
            }
            State::Channels(channels) => match channels.transfer() {
                Some(transfer) => {
                    LinkPhase::Transfer { received: transfer.received(), total: transfer.total() }
                }
                None => LinkPhase::Transfer { received: 0, total: None },
            },
            State::Stream(_) => LinkPhase::Streaming,
        }
    }

    /// What the target holds: `None` before the first full sync, and after a corrupt stream.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        let (mut position, _) = self.history?;
        if let State::Stream(stream) = &self.state {
            position.offset = stream.applied();
        }
        Some(position)
    }

    /// The database that the stream has selected at [`position`](Self::position).
    #[must_use]
    pub fn stream_db(&self) -> Option<u32> {
        match &self.state {
            State::Stream(stream) => Some(stream.db()),
            _ => self.history.map(|(_, db)| db),
        }
    }

    /// How far the stream has been received; ahead of the applied offset inside a transaction or a
    /// command that has not arrived whole.
    #[must_use]
    pub fn read_offset(&self) -> Option<Offset> {
        match &self.state {
            State::Stream(stream) => Some(stream.received()),
            _ => self.position().map(|position| position.offset),
        }
    }

    /// Sums since the link was made.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut counters = self.counters;
        if let State::Stream(stream) = &self.state {
            counters.commands_applied += stream.commands();
        }
        counters
    }

    /// What the link is doing, in the words of its errors.
    #[must_use]
    pub fn doing(&self) -> Doing {
        match &self.state {
            State::Down => Doing::Idle,
            State::Handshake(handshake) => Doing::Handshake(handshake.step()),
            State::Channels(channels) if channels.transfer().is_none() => Doing::Handshake(channels.step()),
            State::Transfer(_) | State::Channels(_) => Doing::Transfer,
            State::Stream(_) => Doing::Streaming,
        }
    }

    fn consume_dump(&mut self, now: Duration, bytes: &mut &[u8], target: &mut T) -> Result<(), LinkError> {
        loop {
            let State::Channels(channels) = &mut self.state else { return Ok(()) };
            channels.last_byte = now;
            match self.sync.in_scope(|| channels.feed_second(bytes, &mut self.out))? {
                News::Nothing => return Ok(()),
                News::Granted(position, db) => {
                    self.sync = sync_span(Some(position), 2);
                    self.sync.in_scope(|| tracing::info!("full sync granted, over two connections"));
                    channels.load(position, db, target.begin_full_sync());
                    self.last_byte = now;
                    self.events.push_back(Event::FullSyncStarted(Some(position)));
                }
                News::Complete => return self.finish_channels(now, target),
            }
        }
    }

    /// Goes on to the stream when both connections have brought their part.
    fn finish_channels(&mut self, now: Duration, target: &mut T) -> Result<(), LinkError> {
        if !matches!(&self.state, State::Channels(channels) if channels.is_ready()) {
            return Ok(());
        }
        let State::Channels(channels) = std::mem::replace(&mut self.state, State::Down) else {
            return Ok(());
        };
        let Some((loaded, held)) = channels.finish() else { return Ok(()) };
        self.counters.two_channel_syncs += 1;
        self.last_byte = now;
        self.finish_full_sync(now, loaded, target);
        self.consume(now, &held, target)
    }

    fn consume(&mut self, now: Duration, mut bytes: &[u8], target: &mut T) -> Result<(), LinkError> {
        loop {
            match &mut self.state {
                State::Down => return Ok(()),
                State::Handshake(handshake) => {
                    let Some(outcome) = handshake.feed(&mut bytes, &self.options, &mut self.out)? else {
                        return Ok(());
                    };
                    match outcome {
                        Outcome::FullResync(position) => {
                            let transfer = Transfer::new(position, None, target.begin_full_sync());
                            self.begin_full_sync(now, Some(position), transfer);
                        }
                        Outcome::Sync(refusal) => {
                            tracing::warn!(%refusal, "the primary knows no PSYNC: asked by SYNC");
                            let transfer = Transfer::of_sync(refusal, target.begin_full_sync());
                            self.begin_full_sync(now, None, transfer);
                        }
                        Outcome::Continue(replid) => self.continue_stream(now, replid, target),
                        Outcome::Channels(family) => {
                            tracing::debug!(?family, "a second connection will bring the dump");
                            self.state = State::Channels(Box::new(Channels::new(family, now)));
                            self.next_sign = now.saturating_add(self.options.ack_interval);
                        }
                    }
                }
                State::Transfer(transfer) => {
                    if !self.sync.in_scope(|| transfer.feed(&mut bytes))? {
                        return Ok(());
                    }
                    let State::Transfer(transfer) = std::mem::replace(&mut self.state, State::Down) else {
                        return Ok(());
                    };
                    self.finish_full_sync(now, transfer.finish(), target);
                }
                State::Channels(channels) => {
                    channels.feed_first(bytes, &mut self.out)?;
                    return self.finish_channels(now, target);
                }
                State::Stream(stream) => return stream.feed(bytes, target, &mut self.out),
            }
        }
    }

    fn begin_full_sync(&mut self, now: Duration, position: Option<Position>, transfer: Transfer<T::Loader>) {
        self.sync = sync_span(position, 1);
        self.sync.in_scope(|| tracing::info!("full sync granted"));
        self.state = State::Transfer(Box::new(transfer));
        self.next_sign = now.saturating_add(self.options.ack_interval);
        self.events.push_back(Event::FullSyncStarted(position));
    }

    fn finish_full_sync(&mut self, now: Duration, loaded: Loaded<T::Loader>, target: &mut T) {
        self.nameless = loaded.position.is_none();
        // A primary without a history gets one here, so that the offset still tells how far we are.
        let position =
            loaded.position.unwrap_or_else(|| Position { replid: ReplId::random(), offset: Offset(0) });
        let db = loaded.stream_db.unwrap_or(0);
        let sync = std::mem::replace(&mut self.sync, Span::none());
        sync.record("bytes", loaded.received);
        sync.in_scope(|| {
            target.finish_full_sync(loaded.loader, position.replid, position.offset);
            tracing::info!(%position, bytes = loaded.received, "full sync finished");
        });
        self.counters.full_syncs += 1;
        self.channel_failures = 0;
        self.events.push_back(Event::FullSyncFinished { position, received: loaded.received });
        self.synced_at = Some(now);
        self.follow(now, position, db);
        self.next_sign = now.saturating_add(self.ack_pause(now));
    }

    /// How long until the next ACK.
    fn ack_pause(&self, now: Duration) -> Duration {
        let usual = self.options.ack_interval;
        let is_new = |at: Duration| now < at.saturating_add(usual) && self.last_byte <= at;
        if self.synced_at.is_some_and(is_new) { usual.min(EAGER) } else { usual }
    }

    fn continue_stream(&mut self, now: Duration, replid: Option<ReplId>, target: &mut T) {
        // The handshake admits a +CONTINUE only where it sent a position.
        let Some((mut position, db)) = self.history else { return };
        let previous = replid.filter(|&new| new != position.replid).map(|new| {
            target.replid_changed(new);
            std::mem::replace(&mut position.replid, new)
        });
        tracing::info!(%position, ?previous, "stream continued");
        self.counters.partial_syncs += 1;
        self.events.push_back(Event::Resumed { position, previous });
        self.follow(now, position, db);
    }

    /// The stream begins: tell the primary at once how far we are. After a `$EOF:` dump it waits for
    /// just that.
    fn follow(&mut self, now: Duration, position: Position, db: u32) {
        self.history = Some((position, db));
        self.state = State::Stream(Box::new(Stream::new(position.offset, db)));
        if !self.nameless {
            encode_ack(&mut self.out, position.offset);
        }
        self.next_sign = now.saturating_add(self.options.ack_interval);
    }

    /// Goes down and keeps what survives a connection: position and selected database, unless `error`
    /// has made them worthless. An unfinished command or transaction is dropped: it will be repeated.
    fn fail(&mut self, error: &LinkError) {
        self.sync = Span::none();
        self.history = match error.recovery() {
            Recovery::Resync => None,
            _ if self.nameless => None,
            Recovery::Resume | Recovery::GiveUp => self.position().zip(self.stream_db()),
        };
        if let State::Channels(_) = self.state {
            self.channel_failures = match error {
                // It would be refused again.
                LinkError::Refused { .. } => CHANNEL_TRIES,
                _ => self.channel_failures + 1,
            };
        }
        self.counters = self.counters();
        self.state = State::Down;
        self.out.clear();
    }

    /// Since when the primary is silent, and how long it may be.
    fn patience(&self) -> Option<(Duration, Duration)> {
        let options = &self.options;
        Some(match &self.state {
            State::Down => return None,
            State::Handshake(handshake) if handshake.asked() => (self.last_byte, options.sync_timeout),
            State::Handshake(_) => (self.last_byte, options.handshake_timeout),
            State::Transfer(_) => (self.last_byte, options.sync_timeout),
            // The stream may be full of life while the dump has died.
            State::Channels(channels) => (channels.last_byte, options.sync_timeout),
            State::Stream(stream) if stream.is_between_commands() => (self.last_byte, options.idle_timeout),
            State::Stream(_) => (self.last_byte, options.read_timeout),
        })
    }
}

impl<T: Target> fmt::Debug for Link<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("phase", &self.phase())
            .field("position", &self.position())
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

/// `REPLCONF ACK <offset>`, the only command a replica sends once the stream flows.
pub(crate) fn encode_ack(out: &mut BytesMut, offset: Offset) {
    encode(out, &[b"REPLCONF", b"ACK", offset.to_string().as_bytes()]);
}

/// A full sync, for those who trace: from what the dump stands for to how many bytes it had.
fn sync_span(position: Option<Position>, connections: u8) -> Span {
    let span = tracing::info_span!(
        "full_sync",
        position = tracing::field::Empty,
        connections,
        bytes = tracing::field::Empty
    );
    if let Some(position) = position {
        span.record("position", tracing::field::display(position));
    }
    span
}
