//! One attached replica, seen from the primary.
//!
//! ```text
//!             PSYNC                begin_snapshot             end_snapshot         REPLCONF ACK
//!  Handshake ------> WaitSnapshot ----------------> SendBulk --------------> WaitAck ---------> Online
//!      |                                               `---- (dump with a length) ----------------^
//!      `-------------------- PSYNC that can be continued -----------------------------------------'
//! ```

use crate::position::{Offset, Position, ReplId};
use crate::primary::{HoldId, Join, Primary, Psync};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// Stream bytes handed out at a time.
const CHUNK: usize = 64 * 1024;

/// The primary's side of one replica's connection, without the socket.
///
/// Hand it every `REPLCONF`, `PSYNC` and bare newline that the connection brings; send what
/// [`poll_transmit`](Self::poll_transmit) answers, after every call and after every append to the
/// [`Primary`]; and give it to [`detach`](Self::detach) at the end. The snapshot is yours to make:
///
/// 1. [`FeedEvent::SnapshotWanted`] comes.
/// 2. At the cut, with no write in between, call [`begin_snapshot`](Self::begin_snapshot). The dump
///    stands for the position that it answers; what is appended later reaches the replica after it.
/// 3. [`announce`](Self::announce) the framing, hand over the bytes by
///    [`snapshot_bytes`](Self::snapshot_bytes) while [`snapshot_pending`](Self::snapshot_pending) is
///    small enough for your taste, then call [`end_snapshot`](Self::end_snapshot).
///
/// `now` is the time since any fixed instant, and never decreases.
#[derive(Debug)]
pub struct Feed {
    options: FeedOptions,
    state: FeedState,
    replica: Replica,
    acked: Option<(Offset, Duration)>,
    last_byte: Duration,
    next_sign: Duration,
    /// The stream up to here has been handed out.
    sent: Offset,
    hold: Option<HoldId>,
    /// The primary's generation when this replica was attached.
    generation: Option<u64>,
    /// Since when the replica lags by more than the soft limit.
    lagging: Option<Duration>,
    /// It came by SYNC: it knows no history, and gives no signs of life.
    nameless: bool,
    mark: [u8; 40],
    framed_by_mark: bool,
    out: BytesMut,
    snapshot: VecDeque<Bytes>,
    pending: usize,
    events: VecDeque<FeedEvent>,
}

/// Settings of a [`Feed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeedOptions {
    /// How long a replica may be silent (`repl-timeout`).
    pub timeout: Duration,
    /// Time between the newlines that a waiting replica gets.
    pub keepalive: Duration,
    /// How many bytes of the stream a replica may lag for [`soft_time`](Self::soft_time); 0: any. (The hard
    /// limit is the backlog's.)
    pub soft_limit: u64,
    /// For how long it may lag by more than that.
    pub soft_time: Duration,
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            keepalive: Duration::from_secs(1),
            soft_limit: 64 << 20,
            soft_time: Duration::from_secs(60),
        }
    }
}

/// What a replica has said about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Replica {
    /// `REPLCONF listening-port`.
    pub listening_port: Option<u16>,
    /// `REPLCONF ip-address`: to be shown instead of the peer address.
    pub ip_address: Option<String>,
    /// `REPLCONF version`.
    pub version: Option<String>,
    /// `REPLCONF capa eof`: it understands dumps that end with a mark.
    pub eof: bool,
    /// `REPLCONF capa psync2`: it understands a new id in `+CONTINUE`.
    pub psync2: bool,
    /// `REPLCONF capa rdb-channel-repl`: it is a Redis 8.
    pub rdb_channel: bool,
    /// `REPLCONF rdb-only 1`: it wants the dump, and no stream.
    pub rdb_only: bool,
    /// `REPLCONF rdb-filter-only`: what the dump is to hold, instead of everything.
    pub filter: Option<Filter>,
}

/// What a dump is to hold (`REPLCONF rdb-filter-only`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Nothing but its header.
    Nothing,
    /// Function libraries.
    Functions,
}

/// How far a replica has come, as INFO names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedState {
    /// It has not asked for anything yet.
    Handshake,
    /// It waits for a snapshot to begin.
    WaitSnapshot,
    /// It is being sent the snapshot.
    SendBulk,
    /// It has the snapshot and loads it; the stream begins with its first ACK.
    WaitAck,
    /// It follows the stream.
    Online,
}

impl fmt::Display for FeedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "handshake",
            Self::WaitSnapshot => "wait_bgsave",
            Self::SendBulk | Self::WaitAck => "send_bulk",
            Self::Online => "online",
        })
    }
}

/// What the owner of a feed has to do, or may want to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeedEvent {
    /// A snapshot is to be made: see [`Feed`].
    SnapshotWanted,
    /// The replica is continued from this offset, without a snapshot.
    Continued(Offset),
    /// The replica has loaded its snapshot and follows.
    Online,
}

/// Why a replica must be disconnected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// The backlog no longer holds what the replica needs next.
    #[error("the replica fell behind the backlog")]
    Overrun,
    /// It lagged for too long.
    #[error("the replica lagged by more than the soft limit for too long")]
    Lagging,
    /// The history goes on under another id, or is another: the replica must ask again.
    #[error("the history has changed: the replica must ask for its place in it")]
    HistoryChanged,
    /// It has the dump and wanted nothing else.
    #[error("the replica has the dump that it wanted")]
    Satisfied,
    /// Nothing came from the replica for too long.
    #[error("no byte from the replica for {} s", after.as_secs_f32())]
    Timeout {
        /// How long the feed waited.
        after: Duration,
    },
    /// The replica sent a command that it must not send once attached.
    #[error("an attached replica sent a command other than REPLCONF")]
    NotReplconf,
    /// The replica never announced `capa eof`, and the dump's length is not known.
    #[error("the replica needs a dump of known length")]
    LengthNeeded,
}

impl Feed {
    /// A connection that sent its first `REPLCONF` or `PSYNC`.
    #[must_use]
    pub fn new(now: Duration, options: FeedOptions) -> Self {
        Self {
            options,
            state: FeedState::Handshake,
            replica: Replica::default(),
            acked: None,
            last_byte: now,
            next_sign: now,
            sent: Offset(0),
            hold: None,
            generation: None,
            lagging: None,
            nameless: false,
            mark: [0; 40],
            framed_by_mark: false,
            out: BytesMut::new(),
            snapshot: VecDeque::new(),
            pending: 0,
            events: VecDeque::new(),
        }
    }

    /// A request from the replica: `REPLCONF` or `PSYNC`, with its arguments.
    ///
    /// # Errors
    /// The connection is to be closed.
    pub fn handle_request(
        &mut self,
        now: Duration,
        args: &[&[u8]],
        primary: &mut Primary,
    ) -> Result<(), FeedError> {
        self.last_byte = now;
        match args {
            [name, options @ ..] if name.eq_ignore_ascii_case(b"REPLCONF") => {
                self.handle_replconf(now, options);
                Ok(())
            }
            [name, replid, offset]
                if self.state == FeedState::Handshake && name.eq_ignore_ascii_case(b"PSYNC") =>
            {
                self.psync(now, replid, offset, primary);
                Ok(())
            }
            [name] if self.state == FeedState::Handshake && name.eq_ignore_ascii_case(b"SYNC") => {
                self.nameless = true;
                self.want_snapshot(now);
                Ok(())
            }
            // PSYNC .. FAILOVER asks us to take over; PSYNC twice, or anything else, is not ours.
            [name, ..] if self.state == FeedState::Handshake && name.eq_ignore_ascii_case(b"PSYNC") => {
                self.reply("-ERR syntax error\r\n");
                Ok(())
            }
            _ => Err(FeedError::NotReplconf),
        }
    }

    /// A bare newline, or any other byte, came from the replica: it is alive.
    pub fn handle_sign_of_life(&mut self, now: Duration) {
        self.last_byte = now;
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come.
    ///
    /// # Errors
    /// The replica has been silent for too long.
    pub fn handle_timeout(&mut self, now: Duration) -> Result<(), FeedError> {
        if self.state == FeedState::WaitSnapshot && now >= self.next_sign {
            self.out.extend_from_slice(b"\n");
            self.next_sign = now + self.options.keepalive;
        }
        if self.watched() && now >= self.last_byte + self.options.timeout {
            return Err(FeedError::Timeout { after: self.options.timeout });
        }
        Ok(())
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        match self.state {
            FeedState::WaitSnapshot => Some(self.next_sign),
            _ => self.watched().then(|| self.last_byte + self.options.timeout),
        }
    }

    /// The next thing to do or to tell.
    pub fn poll_event(&mut self) -> Option<FeedEvent> {
        self.events.pop_front()
    }

    /// The next bytes to send, 64 KiB of the stream at most; `None` until something happens.
    ///
    /// # Errors
    /// The replica is too slow: what it needs next is gone.
    pub fn poll_transmit(&mut self, primary: &mut Primary) -> Result<Option<Bytes>, FeedError> {
        if self.generation.is_some_and(|generation| generation != primary.generation()) {
            return Err(FeedError::HistoryChanged);
        }
        if let Some(bytes) = self.poll_reply() {
            return Ok(Some(bytes));
        }
        if self.replica.rdb_only && matches!(self.state, FeedState::WaitAck | FeedState::Online) {
            return Err(FeedError::Satisfied);
        }
        if self.state != FeedState::Online {
            return Ok(None);
        }
        let bytes = primary.backlog().after(self.sent, CHUNK).ok_or(FeedError::Overrun)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.sent = self.sent.after(bytes.len() as u64);
        if let Some(hold) = self.hold {
            primary.move_hold(hold, Some(self.sent));
        }
        Ok(Some(bytes))
    }

    /// The next bytes to send that are no stream: replies, and the dump. Needs no primary.
    pub fn poll_reply(&mut self) -> Option<Bytes> {
        if !self.out.is_empty() {
            return Some(self.out.split().freeze());
        }
        let piece = self.snapshot.pop_front()?;
        self.pending = self.pending.saturating_sub(piece.len());
        Some(piece)
    }

    /// Whether the replica keeps up; to be asked now and then.
    ///
    /// # Errors
    /// It lags too much ([`FeedError::Lagging`]), or has to ask again ([`FeedError::HistoryChanged`]).
    pub fn check(&mut self, now: Duration, primary: &Primary) -> Result<(), FeedError> {
        let Some(generation) = self.generation else { return Ok(()) };
        if generation != primary.generation() {
            return Err(FeedError::HistoryChanged);
        }
        let lag = primary.position().offset.since(self.sent);
        if self.replica.rdb_only || self.options.soft_limit == 0 || lag <= self.options.soft_limit {
            self.lagging = None;
            return Ok(());
        }
        let since = *self.lagging.get_or_insert(now);
        if now >= since + self.options.soft_time { Err(FeedError::Lagging) } else { Ok(()) }
    }

    /// The snapshot is being cut, at the primary's present position: everything before is in it,
    /// nothing after. The next command of the stream will say its database.
    pub fn begin_snapshot(&mut self, primary: &mut Primary) -> Position {
        let position = primary.position();
        primary.forget_stream_db();
        let join = primary.join();
        self.begin_snapshot_at(join);
        position
    }

    /// The same for a cut that was made elsewhere, for several replicas at once.
    pub fn begin_snapshot_at(&mut self, join: Join) {
        let Join { position, hold, generation } = join;
        self.sent = position.offset;
        self.hold = Some(hold);
        self.generation = Some(generation);
        if !self.nameless {
            self.reply(&format!("+FULLRESYNC {} {}\r\n", position.replid, position.offset));
        }
        self.state = FeedState::SendBulk;
    }

    /// Says how the dump will be framed: by its length in bytes, or (`None`) by a mark at its end.
    ///
    /// # Errors
    /// [`FeedError::LengthNeeded`] if the replica does not know marks.
    pub fn announce(&mut self, length: Option<u64>) -> Result<(), FeedError> {
        match length {
            Some(length) => self.reply(&format!("${length}\r\n")),
            None if !self.replica.eof => return Err(FeedError::LengthNeeded),
            None => {
                let mark = ReplId::random().to_string();
                self.reply(&format!("$EOF:{mark}\r\n"));
                self.mark = mark.as_bytes().try_into().unwrap_or([b'0'; 40]);
            }
        }
        self.framed_by_mark = length.is_none();
        Ok(())
    }

    /// The next bytes of the dump.
    pub fn snapshot_bytes(&mut self, bytes: Bytes) {
        self.pending += bytes.len();
        self.snapshot.push_back(bytes);
    }

    /// Bytes of the dump that have not been handed out: stop making more while this is large.
    #[must_use]
    pub fn snapshot_pending(&self) -> usize {
        self.pending
    }

    /// The dump is complete.
    pub fn end_snapshot(&mut self) {
        if self.framed_by_mark {
            self.snapshot_bytes(Bytes::copy_from_slice(&self.mark));
            self.state = FeedState::WaitAck;
        } else {
            self.state = FeedState::Online;
        }
    }

    /// The connection is gone: lets go of the backlog.
    pub fn detach(self, primary: &mut Primary) {
        if let Some(hold) = self.hold
            && self.generation == Some(primary.generation())
        {
            primary.move_hold(hold, None);
        }
    }

    /// How far the replica has come.
    #[must_use]
    pub fn state(&self) -> FeedState {
        self.state
    }

    /// What the replica has said about itself.
    #[must_use]
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// The highest offset that the replica has acknowledged, and when it last acknowledged any.
    #[must_use]
    pub fn acked(&self) -> Option<(Offset, Duration)> {
        self.acked
    }

    /// A `REPLCONF` from the replica, by what follows its name; [`poll_reply`](Self::poll_reply) has the answer. Needs
    /// no primary.
    pub fn handle_replconf(&mut self, now: Duration, options: &[&[u8]]) {
        self.last_byte = now;
        if !options.len().is_multiple_of(2) {
            return self.answer("-ERR syntax error\r\n");
        }
        for pair in options.chunks_exact(2) {
            let &[option, value] = pair else { continue };
            let text = || String::from_utf8_lossy(value).into_owned();
            match option.to_ascii_lowercase().as_slice() {
                b"listening-port" => match text().parse() {
                    Ok(port) => self.replica.listening_port = Some(port),
                    Err(_) => return self.answer("-ERR value is not an integer or out of range\r\n"),
                },
                b"ip-address" => self.replica.ip_address = Some(text()),
                b"version" => self.replica.version = Some(text()),
                b"capa" => {
                    self.replica.eof |= value.eq_ignore_ascii_case(b"eof");
                    self.replica.psync2 |= value.eq_ignore_ascii_case(b"psync2");
                    self.replica.rdb_channel |= value.eq_ignore_ascii_case(b"rdb-channel-repl");
                }
                b"rdb-only" => match text().parse::<i64>() {
                    Ok(wanted) => self.replica.rdb_only = wanted != 0,
                    Err(_) => return self.answer("-ERR value is not an integer or out of range\r\n"),
                },
                b"rdb-filter-only" => match filter(&text()) {
                    Ok(filter) => self.replica.filter = Some(filter),
                    Err(unknown) => {
                        return self
                            .answer(&format!("-ERR Unsupported rdb-filter-only option: {unknown}\r\n"));
                    }
                },
                b"ack" => return self.acknowledged(now, &text()),
                b"fack" | b"getack" => return,
                _ => {
                    let name: String =
                        String::from_utf8_lossy(option).chars().filter(|c| !c.is_control()).collect();
                    return self.answer(&format!("-ERR Unrecognized REPLCONF option: {name}\r\n"));
                }
            }
        }
        self.answer("+OK\r\n");
    }

    fn acknowledged(&mut self, now: Duration, offset: &str) {
        let Ok(offset) = offset.parse() else { return };
        let highest = self.acked.map_or(Offset(offset), |(before, _)| before.max(Offset(offset)));
        self.acked = Some((highest, now));
        // An ACK before the last byte of the dump has left cannot mean that it was loaded.
        if self.state == FeedState::WaitAck && self.snapshot.is_empty() {
            self.state = FeedState::Online;
            self.events.push_back(FeedEvent::Online);
        }
    }

    fn psync(&mut self, now: Duration, replid: &[u8], offset: &[u8], primary: &mut Primary) {
        let Some(offset) = std::str::from_utf8(offset).ok().and_then(|text| text.parse().ok()) else {
            return self.reply("-ERR value is not an integer or out of range\r\n");
        };
        if self.replica.filter.is_some() && !self.replica.eof {
            return self.reply("-ERR Filtered replica requires EOF capability\r\n");
        }
        match primary.psync(replid, offset) {
            // Without psync2 a replica would not learn a new id, and ask for the old one ever after.
            Psync::Continue { from, replid: id }
                if self.replica.psync2 || ReplId::parse(replid) == Some(id) =>
            {
                match self.replica.psync2 {
                    true => self.reply(&format!("+CONTINUE {id}\r\n")),
                    false => self.reply("+CONTINUE\r\n"),
                }
                self.sent = from;
                self.hold = Some(primary.hold(from));
                self.generation = Some(primary.generation());
                self.state = FeedState::Online;
                self.events.push_back(FeedEvent::Continued(from));
            }
            _ => self.want_snapshot(now),
        }
    }

    fn want_snapshot(&mut self, now: Duration) {
        self.state = FeedState::WaitSnapshot;
        self.next_sign = now + self.options.keepalive;
        self.events.push_back(FeedEvent::SnapshotWanted);
    }

    /// Answers a REPLCONF, unless the replica is attached: from PSYNC on, nothing is answered.
    fn answer(&mut self, line: &str) {
        if self.state == FeedState::Handshake {
            self.reply(line);
        }
    }

    fn reply(&mut self, line: &str) {
        self.out.extend_from_slice(line.as_bytes());
    }

    /// Whether the replica is expected to give signs of life: it is while it has something to say.
    fn watched(&self) -> bool {
        !self.nameless && matches!(self.state, FeedState::WaitAck | FeedState::Online)
    }
}

/// What `rdb-filter-only` names: a list, of which only `functions` is known.
fn filter(list: &str) -> Result<Filter, String> {
    let mut filter = Filter::Nothing;
    for word in list.split_whitespace() {
        if !word.eq_ignore_ascii_case("functions") {
            return Err(word.chars().filter(|c| !c.is_control()).collect());
        }
        filter = Filter::Functions;
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primary::BacklogLimits;

    const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const NOW: Duration = Duration::ZERO;

    fn pair() -> (Feed, Primary) {
        let position = Position { replid: ID.parse().unwrap(), offset: Offset(10) };
        let limits = BacklogLimits { size: 1000, hard_limit: 1000 };
        (Feed::new(NOW, FeedOptions::default()), Primary::new(position, limits))
    }

    fn request(feed: &mut Feed, primary: &mut Primary, line: &str) -> String {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        feed.handle_request(NOW, &args, primary).unwrap();
        sent(feed, primary)
    }

    fn sent(feed: &mut Feed, primary: &mut Primary) -> String {
        let mut text = String::new();
        while let Some(bytes) = feed.poll_transmit(primary).unwrap() {
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
        text
    }

    #[test]
    fn the_stream_waits_for_the_ack_after_a_marked_dump() {
        let (mut feed, mut primary) = pair();
        assert_eq!(request(&mut feed, &mut primary, "REPLCONF capa eof capa psync2"), "+OK\r\n");
        assert_eq!(request(&mut feed, &mut primary, "PSYNC ? -1"), "");
        assert_eq!(feed.poll_event(), Some(FeedEvent::SnapshotWanted));
        assert_eq!(feed.begin_snapshot(&mut primary), primary.position());
        feed.announce(None).unwrap();
        primary.pass_on(b"STREAM", 0);
        feed.snapshot_bytes(Bytes::from_static(b"DUMP"));
        feed.end_snapshot();
        assert_eq!(request(&mut feed, &mut primary, "REPLCONF ACK 10").matches("STREAM").count(), 0);
        assert_eq!(feed.state(), FeedState::WaitAck, "an ACK before the dump has left means nothing");
        assert_eq!(request(&mut feed, &mut primary, "REPLCONF ACK 10"), "STREAM");
        assert_eq!(feed.state(), FeedState::Online);
    }

    #[test]
    fn a_dump_with_a_length_is_followed_by_the_stream_at_once() {
        let (mut feed, mut primary) = pair();
        request(&mut feed, &mut primary, "PSYNC ? -1");
        feed.begin_snapshot(&mut primary);
        assert_eq!(feed.announce(None), Err(FeedError::LengthNeeded));
        feed.announce(Some(4)).unwrap();
        feed.snapshot_bytes(Bytes::from_static(b"DUMP"));
        feed.end_snapshot();
        primary.pass_on(b"S", 0);
        assert_eq!(sent(&mut feed, &mut primary), format!("+FULLRESYNC {ID} 10\r\n$4\r\nDUMPS"));
    }

    #[test]
    fn a_known_position_is_continued_and_its_id_named() {
        let (mut feed, mut primary) = pair();
        primary.pass_on(b"abcdef", 0);
        request(&mut feed, &mut primary, "REPLCONF capa psync2");
        assert_eq!(
            request(&mut feed, &mut primary, &format!("PSYNC {ID} 14")),
            format!("+CONTINUE {ID}\r\ndef")
        );
        assert_eq!(feed.poll_event(), Some(FeedEvent::Continued(Offset(13))));
    }

    #[test]
    fn a_waiting_replica_gets_newlines_and_a_silent_one_is_dropped() {
        let (mut feed, mut primary) = pair();
        request(&mut feed, &mut primary, "PSYNC ? -1");
        feed.handle_timeout(Duration::from_secs(1)).unwrap();
        assert_eq!(sent(&mut feed, &mut primary), "\n");
        feed.begin_snapshot(&mut primary);
        feed.announce(Some(0)).unwrap();
        feed.end_snapshot();
        assert_eq!(feed.poll_timeout(), Some(Duration::from_secs(60)));
        feed.handle_sign_of_life(Duration::from_secs(5));
        assert_eq!(feed.handle_timeout(Duration::from_secs(64)), Ok(()));
        assert!(feed.handle_timeout(Duration::from_secs(65)).is_err());
    }

    #[test]
    fn a_replica_behind_the_backlog_is_told_so() {
        let (mut feed, mut primary) = pair();
        request(&mut feed, &mut primary, &format!("PSYNC {ID} 11"));
        primary.pass_on(&[b'x'; 1001], 0);
        assert_eq!(feed.poll_transmit(&mut primary), Err(FeedError::Overrun));
    }

    #[test]
    fn the_backlog_stays_open_for_a_replica_that_is_still_being_fed_and_no_longer() {
        let (mut feed, _) = pair();
        let position = Position { replid: ID.parse().unwrap(), offset: Offset(10) };
        let limits = BacklogLimits { size: 10, hard_limit: 1 << 20 };
        let mut primary = Primary::new(position, limits);
        request(&mut feed, &mut primary, "PSYNC ? -1");
        feed.begin_snapshot(&mut primary);
        primary.pass_on(&vec![b'x'; 2 * CHUNK], 0);
        feed.announce(Some(0)).unwrap();
        feed.end_snapshot();
        feed.poll_transmit(&mut primary).unwrap().expect("the header");
        assert_eq!(feed.poll_transmit(&mut primary).unwrap().map(|bytes| bytes.len()), Some(CHUNK));
        primary.pass_on(b"y", 0);
        assert_eq!(sent(&mut feed, &mut primary).len(), CHUNK + 1);
        assert_eq!(primary.backlog().len(), 10);
        primary.pass_on(&[b'z'; 50], 0);
        feed.detach(&mut primary);
        assert_eq!(primary.backlog().len(), 10);
    }

    #[test]
    fn replconf_answers_as_servers_do() {
        let (mut feed, mut primary) = pair();
        let unknown = "-ERR Unrecognized REPLCONF option: rumour\r\n";
        assert_eq!(request(&mut feed, &mut primary, "REPLCONF rumour 1"), unknown);
        assert_eq!(request(&mut feed, &mut primary, "REPLCONF capa"), "-ERR syntax error\r\n");
        request(&mut feed, &mut primary, "replconf listening-port 7000 ip-address 10.0.0.1 version 9.1.2");
        let replica = feed.replica();
        assert_eq!((replica.listening_port, replica.ip_address.as_deref()), (Some(7000), Some("10.0.0.1")));
        assert_eq!(replica.version.as_deref(), Some("9.1.2"));
    }
}
