//! What a server knows about its history, and who may continue it: a primary's own, or that of the primary
//! that a replica follows and passes on.

use crate::backlog::Backlog;
use crate::position::{Offset, Position, ReplId};
use crate::writer::StreamWriter;

/// The primary's history: its ids, its stream, and the backlog of it. One for all replicas.
///
/// Effects go in by [`command`](Self::command) (or, already encoded, by [`pass_on`](Self::pass_on));
/// each replica's [`Feed`](crate::Feed) takes its bytes out of the backlog. Whoever owns both calls
/// the feeds' `poll_transmit` after an append, for instance by waking their tasks.
#[derive(Debug)]
pub struct Primary {
    replid: ReplId,
    /// The history before this one, and the last offset up to which the two are the same.
    previous: Option<Position>,
    backlog: Backlog,
    writer: StreamWriter,
    /// How far each attached feed has come; a free place is `None`.
    holds: Vec<Option<Offset>>,
    /// Grows when those attached must go: they have to learn of another history, or of another id.
    generation: u64,
    /// Nobody has ever asked for this history: nothing is written down.
    dormant: bool,
}

/// Sizes of a primary's backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BacklogLimits {
    /// Bytes kept for replicas that come back (`repl-backlog-size`).
    pub size: usize,
    /// Bytes kept at most while a replica loads its dump or lags (the hard limit of
    /// `client-output-buffer-limit replica`). A replica further behind is disconnected.
    pub hard_limit: usize,
}

impl Default for BacklogLimits {
    fn default() -> Self {
        Self { size: 10 << 20, hard_limit: 256 << 20 }
    }
}

/// The answer to a PSYNC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Psync {
    /// The stream goes on after this offset, under this id.
    Continue {
        /// The offset up to which the replica has everything.
        from: Offset,
        /// The history's present id.
        replid: ReplId,
    },
    /// Only a dump will do. It will stand for the position at the moment of the snapshot.
    Full,
}

/// A replica's place in the history: give it to [`Feed::begin_snapshot_at`](crate::Feed::begin_snapshot_at).
#[derive(Debug, Clone, Copy)]
#[must_use = "the backlog stays open for it until a feed takes it, or it is abandoned"]
pub struct Join {
    /// What the dump stands for.
    pub position: Position,
    pub(crate) hold: HoldId,
    pub(crate) generation: u64,
}

/// Names a reader's hold on the backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HoldId(usize);

impl Primary {
    /// A new history that begins at `position`.
    #[must_use]
    pub fn new(position: Position, limits: BacklogLimits) -> Self {
        Self {
            replid: position.replid,
            previous: None,
            backlog: Backlog::new(position.offset, limits.size, limits.hard_limit),
            writer: StreamWriter::default(),
            holds: Vec::new(),
            generation: 0,
            dormant: false,
        }
    }

    /// The same, but until [`wake`](Self::wake) nothing is written down and the offset stands still, as in the real
    /// servers: most primaries never have a replica.
    #[must_use]
    pub fn dormant(position: Position, limits: BacklogLimits) -> Self {
        Self { dormant: true, ..Self::new(position, limits) }
    }

    /// Whether nothing is written down.
    #[inline]
    #[must_use]
    pub fn is_dormant(&self) -> bool {
        self.dormant
    }

    /// The first replica has come: the history begins here, under this id. What was known by the old one (a saved
    /// file, say) has none.
    pub fn wake(&mut self, replid: ReplId) {
        self.dormant = false;
        self.replid = replid;
        self.previous = None;
    }

    /// Adds a command that changed database `db`.
    pub fn command(&mut self, db: u32, args: &[&[u8]]) {
        if self.dormant {
            return;
        }
        self.writer.command(db, args);
        self.flush();
    }

    /// Adds commands whose effects must be seen at once. Call [`StreamWriter::command`] for each.
    pub fn transaction(&mut self, write: impl FnOnce(&mut StreamWriter)) {
        if self.dormant {
            return;
        }
        self.writer.begin();
        write(&mut self.writer);
        self.writer.commit();
        self.flush();
    }

    /// Adds a PING.
    pub fn ping(&mut self) {
        if self.dormant {
            return;
        }
        self.writer.ping();
        self.flush();
    }

    /// Adds a REPLCONF GETACK: replicas will say how far they are.
    pub fn getack(&mut self) {
        if self.dormant {
            return;
        }
        self.writer.getack();
        self.flush();
    }

    /// Adds bytes that are a stream already, after which it has database `selected` selected: what a
    /// replica passes on of its own primary's.
    pub fn pass_on(&mut self, bytes: &[u8], selected: u32) {
        self.backlog.append(bytes);
        self.writer.assume_db(selected);
    }

    /// Another history from here, of which nothing is known but where it stands: a replica's full sync.
    /// Whoever is attached must be disconnected; its feed says so.
    pub fn restart(&mut self, position: Position, selected: Option<u32>) {
        *self = Self { generation: self.generation + 1, ..Self::new(position, self.limits()) };
        if let Some(db) = selected {
            self.writer.assume_db(db);
        }
    }

    /// Names a history before this one, good up to an offset: a server that starts from a saved data set
    /// under a new id.
    pub fn set_previous(&mut self, previous: Position) {
        self.previous = Some(previous);
    }

    /// Changes the sizes of the backlog (`repl-backlog-size`).
    pub fn set_limits(&mut self, limits: BacklogLimits) {
        self.backlog.resize(limits.size, limits.hard_limit);
    }

    /// The sizes of the backlog.
    #[must_use]
    pub fn limits(&self) -> BacklogLimits {
        self.backlog.limits()
    }

    /// The database that the stream has selected; `None`: the next command will say its own.
    #[must_use]
    pub fn stream_db(&self) -> Option<u32> {
        self.writer.selected()
    }

    /// Makes the next command say its database.
    pub fn forget_stream_db(&mut self) {
        self.writer.forget_db();
    }

    /// Grows whenever those attached have to go.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Decides a `PSYNC <replid> <offset>`. Both are as on the wire: `offset` is the number of the
    /// first byte wanted, counted from 1, and `? -1` asks for a dump.
    #[must_use]
    pub fn psync(&self, replid: &[u8], offset: i64) -> Psync {
        let wanted =
            ReplId::parse(replid).zip(u64::try_from(offset).ok().and_then(|next| next.checked_sub(1)));
        let Some((asked, offset)) = wanted else { return Psync::Full };
        let from = Offset(offset);
        let ours = asked == self.replid
            || self.previous.is_some_and(|previous| asked == previous.replid && from <= previous.offset);
        if ours && self.backlog.covers(from) {
            Psync::Continue { from, replid: self.replid }
        } else {
            Psync::Full
        }
    }

    /// Goes on under a new id from here: a replica that was promoted, or whose own primary did the
    /// same. Replicas of the old history can continue up to this point; those attached must be
    /// disconnected, so that they ask and learn the new id.
    pub fn change_id(&mut self, replid: ReplId) {
        self.dormant = false;
        self.previous = Some(self.position());
        self.replid = replid;
        self.writer.forget_db();
        self.dismiss();
    }

    /// Those who know the id before this one are no longer continued.
    pub fn forget_previous(&mut self) {
        self.previous = None;
    }

    /// As [`change_id`](Self::change_id) for a replica whose primary did so: the stream goes on as it was,
    /// its selected database included.
    pub fn follow_id(&mut self, replid: ReplId) {
        let selected = self.writer.selected();
        self.change_id(replid);
        if let Some(db) = selected {
            self.writer.assume_db(db);
        }
    }

    /// Lets go of everybody attached: their feeds end.
    fn dismiss(&mut self) {
        self.generation += 1;
        self.holds.clear();
        self.backlog.retain(None);
    }

    /// The history's id and the offset of everything appended.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { replid: self.replid, offset: self.backlog.end() }
    }

    /// The history before, and the offset up to which it is this one (INFO prints that plus one as
    /// `second_repl_offset`).
    #[must_use]
    pub fn previous(&self) -> Option<Position> {
        self.previous
    }

    /// The backlog.
    #[must_use]
    pub fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// A replica joins here, by a dump that stands for the present position.
    pub fn join(&mut self) -> Join {
        let position = self.position();
        Join { position, hold: self.hold(position.offset), generation: self.generation }
    }

    /// Lets go of a place that no feed has taken.
    pub fn abandon(&mut self, join: &Join) {
        if join.generation == self.generation {
            self.move_hold(join.hold, None);
        }
    }

    /// Keeps the backlog open from `offset` on.
    pub(crate) fn hold(&mut self, offset: Offset) -> HoldId {
        let id = self.holds.iter().position(Option::is_none).unwrap_or(self.holds.len());
        if id == self.holds.len() {
            self.holds.push(None);
        }
        self.move_hold(HoldId(id), Some(offset));
        HoldId(id)
    }

    /// Moves a hold, or with `None` gives it up.
    pub(crate) fn move_hold(&mut self, id: HoldId, offset: Option<Offset>) {
        if let Some(hold) = self.holds.get_mut(id.0) {
            *hold = offset;
        }
        self.backlog.retain(self.holds.iter().flatten().min().copied());
    }

    fn flush(&mut self) {
        let backlog = &mut self.backlog;
        self.writer.take(|bytes| backlog.append(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &[u8] = &[b'a'; 40];
    const B: &[u8] = &[b'b'; 40];

    fn primary(size: usize) -> Primary {
        let position = Position { replid: ReplId::parse(A).unwrap(), offset: Offset(1000) };
        Primary::new(position, BacklogLimits { size, hard_limit: size })
    }

    fn from(primary: &Primary, replid: &[u8], offset: i64) -> Option<u64> {
        match primary.psync(replid, offset) {
            Psync::Continue { from, .. } => Some(from.0),
            Psync::Full => None,
        }
    }

    #[test]
    fn continues_from_the_backlogs_first_byte_to_one_past_the_present() {
        let mut primary = primary(20);
        primary.pass_on(&[b'x'; 50], 0);
        assert_eq!(from(&primary, A, 1031), Some(1030));
        assert_eq!(from(&primary, A, 1030), None);
        assert_eq!(from(&primary, A, 1051), Some(1050));
        assert_eq!(from(&primary, A, 1052), None);
    }

    #[test]
    fn a_history_that_nobody_asked_for_is_not_written_down() {
        let position = Position { replid: ReplId::parse(A).unwrap(), offset: Offset(1000) };
        let mut primary = Primary::dormant(position, BacklogLimits::default());
        primary.command(0, &[b"SET", b"k", b"v"]);
        primary.transaction(|stream| stream.command(0, &[b"DEL", b"k"]));
        primary.ping();
        primary.getack();
        assert_eq!((primary.position(), primary.backlog().len()), (position, 0));
        primary.wake(ReplId::parse(B).unwrap());
        primary.command(0, &[b"SET", b"k", b"v"]);
        assert!(!primary.is_dormant() && primary.position().offset > Offset(1000));
        assert_eq!(from(&primary, A, 1001), None);
        assert_eq!(from(&primary, B, 1001), Some(1000));
    }

    #[test]
    fn a_replica_without_history_is_never_continued() {
        let primary = primary(20);
        assert_eq!(from(&primary, b"?", -1), None);
        assert_eq!(from(&primary, b"?", 1001), None);
        assert_eq!(from(&primary, A, -1), None);
        assert_eq!(from(&primary, A, i64::MIN), None);
        assert_eq!(from(&primary, B, 1001), None);
    }

    #[test]
    fn the_previous_id_is_good_up_to_the_change() {
        let mut primary = primary(100);
        primary.pass_on(b"xxxxx", 0);
        primary.change_id(ReplId::parse(B).unwrap());
        primary.pass_on(b"yyyyy", 0);
        assert_eq!(from(&primary, A, 1006), Some(1005));
        assert_eq!(from(&primary, A, 1007), None);
        assert_eq!(from(&primary, &B.to_ascii_uppercase(), 1007), Some(1006));
    }
}
