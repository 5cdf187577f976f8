//! What happens to the data, for those in this process who want to know: the data set as a stream of changes.
//!
//! ```text
//!  a transaction --note--> pending --commit (its position)--> ring --> Events, one a subscriber
//!                                                              |           |  keeps its place by number
//!                                        the oldest go first --'           `- reads the data set itself for a bracket
//! ```
//!
//! A subscriber that falls so far behind that the ring has dropped what it had not seen is told so; nobody ever waits
//! for one. While nobody subscribes, nothing is noted.

mod contents;
mod filter;
mod key;
mod ring;
mod stream;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use replication::Position;
use store::command::Command;
use store::value::Kind;
use store::{Args, Class, Txn};
use tokio::sync::watch;

pub use contents::Contents;
pub(crate) use contents::kind_of;
pub use filter::EventFilter;
pub use key::KeyWatch;
pub use stream::Events;

use ring::{Item, Ring};

/// Something that happened to the data set, or to the link that feeds it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A bracket opens: what there is now comes as [`SnapshotKey`](Self::SnapshotKey)s, with the changes that happen
    /// meanwhile in their places between them. It comes at the beginning, and whenever any key may have changed: a
    /// full sync, FLUSHALL, SWAPDB. If one opens inside another, the first is void.
    SyncStarted {
        /// What the data set held then.
        position: Position,
    },
    /// A key that is there.
    SnapshotKey(Change),
    /// The bracket closes: what has come in it neither as a snapshot's key nor as a change is no longer there.
    SyncFinished {
        /// What the data set held then.
        position: Position,
    },
    /// A command changed a key.
    Change(Change),
    /// All changes up to this position have come: what a reader saw appear at once is complete. Resume from here, unless
    /// a bracket is open: then its end is where everything has come. What changes nothing for the filter (a PING of
    /// the primary, too) has no such event: who waits for a position waits for
    /// [that](crate::Engine::reach), and takes what there is then by [`try_next`](Events::try_next).
    Commit {
        /// What the data set held then.
        position: Position,
    },
    /// The stream of the primary flows.
    LinkUp {
        /// Whether it goes on where it stopped; otherwise a full sync came first.
        resumed: bool,
    },
    /// The stream of the primary does not flow any more; the data stay as they are.
    LinkDown {
        /// Why.
        reason: Arc<str>,
    },
    /// So many events were dropped, since they were not taken in time (0: unknown, because the position to resume from
    /// is no longer kept). Unless the filter is [`without_snapshot`](EventFilter::without_snapshot), a bracket
    /// follows, which brings everything in order.
    Lagged {
        /// Events of every kind, those included that the filter would have left out.
        missed: u64,
    },
}

/// What happened to one key.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Change {
    /// The database.
    pub db: u32,
    /// The key.
    pub key: Bytes,
    /// What happened, by the name that keyspace notifications have for it: `set`, `lpush`, `del`, `expire`.
    pub what: &'static str,
    /// The command that did it, in lower case; `None` for a snapshot's key, and where several did at once.
    pub command: Option<&'static str>,
    /// On whose behalf.
    pub cause: Cause,
    /// What the key holds now; `None`: it is gone.
    pub kind: Option<Kind>,
    /// The value before, if the filter asks for it; `None` too if there was none or it is not known.
    pub before: Option<Arc<Contents>>,
    /// The value now, if the filter asks for it.
    pub after: Option<Arc<Contents>>,
    /// Where the data set stood when readers saw it.
    pub position: Position,
}

impl Change {
    /// Whether the key is gone.
    #[must_use]
    pub fn is_removal(&self) -> bool {
        self.kind.is_none()
    }
}

/// Why a key changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The primary's stream said so.
    Primary,
    /// It was there when a bracket was open.
    Snapshot,
    /// A client wrote here: to a standalone server, or a promoted replica.
    Client,
    /// Its time had come, and nobody above had to say so.
    Expired,
    /// It made room.
    Evicted,
}

/// What was at a key before a command.
#[derive(Debug, Clone, Default)]
pub(crate) enum Was {
    #[default]
    Unknown,
    Known(Option<Kind>, Option<Arc<Contents>>),
}

/// Who watches, and what is told.
#[derive(Debug)]
pub(crate) struct Hub {
    /// Subscribers; one more if the events are kept for those to come.
    wanted: AtomicUsize,
    filters: RwLock<Vec<Arc<EventFilter>>>,
    ring: Mutex<Ring>,
    pending: Mutex<Pending>,
    is_pending: AtomicBool,
    /// How many events there have been.
    news: watch::Sender<u64>,
    closed: AtomicBool,
    keeps: bool,
    keys: key::Keys,
}

/// What the transaction at hand has done so far.
#[derive(Debug, Default)]
struct Pending {
    items: Vec<(Change, Was)>,
    /// Any key may have changed, after so many of the items.
    anew: Option<usize>,
    command: Option<&'static str>,
    before: HashMap<(u32, Bytes), Was>,
}

/// What a key holds now, and that itself if somebody asked.
type AsItIs = (Option<Kind>, Option<Arc<Contents>>);

impl Hub {
    /// Keeps `kept` events for those who come later, if any.
    pub(crate) fn new(kept: usize) -> Self {
        Self {
            wanted: AtomicUsize::new(usize::from(kept > 0)),
            filters: RwLock::default(),
            ring: Mutex::new(Ring::new(kept)),
            pending: Mutex::default(),
            is_pending: AtomicBool::new(false),
            news: watch::Sender::new(0),
            closed: AtomicBool::new(false),
            keeps: kept > 0,
            keys: key::Keys::default(),
        }
    }

    /// Whether anybody wants to know.
    pub(crate) fn any(&self) -> bool {
        self.wants_events() || self.keys.any()
    }

    fn wants_events(&self) -> bool {
        self.wanted.load(Ordering::Acquire) != 0
    }

    /// A command is about to run: what its keys hold may have to be known later. None: something else is.
    pub(crate) fn before(&self, txn: &Txn<'_>, row: Option<&Command>, args: Args<'_>) {
        if !self.wants_events() {
            return;
        }
        let filters = self.filters.read();
        let mut pending = self.pending.lock();
        pending.command = row.map(|row| row.name);
        pending.before.clear();
        let Some(row) = row else { return };
        if !filters.iter().any(|filter| filter.wants_before()) {
            return;
        }
        let db = txn.db();
        row.keys.each(args, |key| {
            if !filters.iter().any(|filter| filter.wants_before() && filter.names(db, key)) {
                return;
            }
            let entry = txn.entry_even_expired(db, key);
            let contents = filters.iter().any(|filter| filter.before && filter.names(db, key));
            let now = txn.keyspace().clock().now();
            let was = Was::Known(
                entry.map(kind_of),
                entry.filter(|_| contents).map(|entry| Arc::new(Contents::of(entry, now))),
            );
            pending.before.insert((db, Bytes::copy_from_slice(key)), was);
        });
    }

    /// A command has run, and told nobody of what it did.
    pub(crate) fn quietly(&self, txn: &Txn<'_>, row: &Command, args: Args<'_>, cause: Cause) {
        let db = txn.db();
        let mut touched = Vec::new();
        row.keys.each(args, |key| {
            touched.push(store::Change { db, key: key.into(), class: Class::Generic, event: row.name });
        });
        self.note(txn, &touched, cause);
    }

    /// Keys were changed by the transaction at hand.
    pub(crate) fn note(&self, txn: &Txn<'_>, changes: &[store::Change], cause: Cause) {
        self.keys.touch(changes);
        if changes.is_empty() || !self.wants_events() {
            return;
        }
        let filters = self.filters.read();
        let mut pending = self.pending.lock();
        let now = txn.keyspace().clock().now();
        // Several events of one key in a row share its value.
        let mut last: Option<(&store::Change, AsItIs)> = None;
        for change in changes {
            let (kind, after) = match &last {
                Some((known, as_it_is)) if known.key == change.key && known.db == change.db => {
                    as_it_is.clone()
                }
                _ => {
                    let entry = txn.entry_even_expired(change.db, &change.key);
                    let wanted =
                        filters.iter().any(|filter| filter.after && filter.names(change.db, &change.key));
                    let after = entry.filter(|_| wanted).map(|entry| Arc::new(Contents::of(entry, now)));
                    (entry.map(kind_of), after)
                }
            };
            let key = Bytes::copy_from_slice(&change.key);
            let was = pending.before.get(&(change.db, key.clone())).cloned().unwrap_or_default();
            let before = if let Was::Known(_, contents) = &was { contents.clone() } else { None };
            let cause = match change.class {
                Class::Expired => Cause::Expired,
                Class::Evicted => Cause::Evicted,
                _ => cause,
            };
            let told = Change {
                db: change.db,
                key,
                what: change.event,
                command: pending.command,
                cause,
                kind,
                before,
                after: after.clone(),
                position: UNKNOWN,
            };
            pending.items.push((told, was));
            last = Some((change, (kind, after)));
        }
        self.is_pending.store(true, Ordering::Release);
    }

    /// Any key may have changed.
    pub(crate) fn anew(&self) {
        self.keys.touch_all();
        if self.wants_events() {
            let mut pending = self.pending.lock();
            // What was told before is in the bracket as well.
            pending.anew = Some(pending.items.len());
            self.is_pending.store(true, Ordering::Release);
        }
    }

    /// The data set stands at a position to which no event has led.
    pub(crate) fn stand(&self, position: Position) {
        if self.wants_events() {
            self.ring.lock().stand(position);
        }
    }

    /// Whether something waits for [`commit`](Self::commit).
    pub(crate) fn is_pending(&self) -> bool {
        self.is_pending.load(Ordering::Acquire)
    }

    /// What was noted is visible to readers as soon as the caller lets go of its locks, at this position.
    pub(crate) fn commit(&self, position: Position) {
        if !self.is_pending.swap(false, Ordering::AcqRel) {
            return;
        }
        let Pending { items, anew, .. } = std::mem::take(&mut *self.pending.lock());
        let mut ring = self.ring.lock();
        let mut count = 0;
        for (mut change, was) in items {
            if anew == Some(count) {
                ring.push(Item::Anew, position);
            }
            change.position = position;
            ring.push(Item::Change(Box::new(change), was), position);
            count += 1;
        }
        if anew == Some(count) {
            ring.push(Item::Anew, position);
        }
        ring.push(Item::Commit, position);
        let end = ring.end();
        drop(ring);
        self.news.send_replace(end);
    }

    /// Nothing will happen any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.news.send_modify(|_| ());
        self.keys.touch_all();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn subscribe(&self, filter: &Arc<EventFilter>, position: Option<Position>) {
        self.filters.write().push(Arc::clone(filter));
        if self.wanted.fetch_add(1, Ordering::AcqRel) == 0 {
            self.ring.lock().begin(position);
        }
    }

    fn unsubscribe(&self, filter: &Arc<EventFilter>) {
        self.filters.write().retain(|other| !Arc::ptr_eq(other, filter));
        if self.wanted.fetch_sub(1, Ordering::AcqRel) == 1 && !self.keeps {
            self.ring.lock().clear();
        }
    }
}

/// Until it is committed.
const UNKNOWN: Position = Position { replid: replication::ReplId::ZERO, offset: replication::Offset(0) };
