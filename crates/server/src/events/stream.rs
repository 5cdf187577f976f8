//! One subscriber's events.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use replication::LinkStatus;
use store::{ShardSet, View, Viewer};
use tokio::sync::watch;
use tokio_util::sync::ReusableBoxFuture;

use super::contents::kind_of;
use super::ring::Item;
use super::{Cause, Change, Contents, Event, EventFilter};
use crate::engine::Engine;

/// Events taken from the ring, and keys from the data set, in one go.
const AT_ONCE: usize = 256;

/// The events of a data set, in order. Take them by [`next`](Self::next), or as a [`Stream`].
///
/// It holds no lock between two calls. While a bracket is open, each few hundred keys hold off the writer for the
/// moment in which they are copied.
pub struct Events {
    engine: Arc<Engine>,
    filter: Arc<EventFilter>,
    /// The number of the next event to take.
    next: u64,
    ready: VecDeque<Event>,
    bracket: Option<Bracket>,
    link: Link,
    news: watch::Receiver<u64>,
    waiting: Option<ReusableBoxFuture<'static, ()>>,
}

/// A walk over the data set.
#[derive(Debug)]
struct Bracket {
    /// Databases that are left, the present one last.
    dbs: Vec<u32>,
    cursor: u64,
}

/// What was last told of the link.
#[derive(Debug)]
struct Link {
    status: Option<watch::Receiver<LinkStatus>>,
    up: bool,
    full_syncs: u64,
}

impl Engine {
    /// The changes of the data set, from now on or from a position; see [`EventFilter`].
    #[must_use]
    pub fn events(self: &Arc<Self>, filter: EventFilter) -> Events {
        let filter = Arc::new(filter);
        // No write happens meanwhile, so that the ring, the data and the position are one.
        let still = self.keyspace.still();
        let news = self.events.news.subscribe();
        self.events.subscribe(&filter, self.position());
        let ring = self.events.ring.lock();
        let resumed = filter.since.map(|position| ring.after(position));
        let next = resumed.flatten().unwrap_or_else(|| ring.end());
        drop(ring);
        drop(still);
        let link = Link { status: self.link.read().clone(), up: false, full_syncs: 0 };
        let mut events = Events {
            engine: Arc::clone(self),
            filter,
            next,
            ready: VecDeque::new(),
            bracket: None,
            link,
            news,
            waiting: None,
        };
        match resumed {
            Some(Some(_)) => {}
            Some(None) => {
                events.ready.push_back(Event::Lagged { missed: 0 });
                events.open_bracket();
            }
            None if events.filter.without_snapshot => {}
            None => events.open_bracket(),
        }
        events
    }
}

impl Events {
    /// The next event; `None` when there will be no more. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The next event, if there is one now.
    pub fn try_next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if !(self.look_at_link() || self.take_from_ring() || self.take_from_data()) {
                return None;
            }
        }
    }

    /// Tells whether the link has gone up or down; whether there was news.
    fn look_at_link(&mut self) -> bool {
        let Some(status) = &mut self.link.status else { return false };
        let status = status.borrow_and_update();
        let up = status.phase.is_streaming();
        if up == self.link.up {
            return false;
        }
        let full_syncs = status.counters.full_syncs;
        let event = if up {
            Event::LinkUp { resumed: full_syncs == self.link.full_syncs }
        } else {
            let reason =
                status.down_reason().map_or_else(|| "not following".into(), |r| r.to_string().into());
            Event::LinkDown { reason }
        };
        (self.link.up, self.link.full_syncs) = (up, full_syncs);
        drop(status);
        self.ready.push_back(event);
        true
    }

    /// Takes what the ring has; whether that was anything.
    fn take_from_ring(&mut self) -> bool {
        let ring = self.engine.events.ring.lock();
        if self.next < ring.first() {
            let missed = ring.first() - self.next;
            self.next = ring.first();
            drop(ring);
            self.ready.push_back(Event::Lagged { missed });
            if !self.filter.without_snapshot || self.bracket.is_some() {
                self.open_bracket();
            }
            return true;
        }
        let items: Vec<_> = (self.next..).map_while(|number| ring.get(number)).take(AT_ONCE).collect();
        drop(ring);
        self.next += items.len() as u64;
        let mut told = false;
        for (item, position) in &items {
            match &**item {
                Item::Change(change, was) => {
                    if self.filter.wants(change, was) {
                        let mut change = (**change).clone();
                        // Others may have asked for more.
                        change.before = change.before.filter(|_| self.filter.before);
                        change.after = change.after.filter(|_| self.filter.after);
                        self.ready.push_back(Event::Change(change));
                        told = true;
                    }
                }
                // Nothing of it was for us: there is nothing to end.
                Item::Commit if told => {
                    self.ready.push_back(Event::Commit { position: *position });
                    told = false;
                }
                Item::Commit => {}
                Item::Anew => self.open_bracket(),
            }
        }
        if told {
            // The rest of this commit is still to come, and must end it.
            self.unended(items.last().map(|(_, position)| *position));
        }
        !items.is_empty()
    }

    /// The items taken end within a commit: takes the rest of it.
    fn unended(&mut self, position: Option<replication::Position>) {
        let ring = self.engine.events.ring.lock();
        while let Some((item, at)) = ring.get(self.next).filter(|(_, at)| Some(*at) == position) {
            self.next += 1;
            match &*item {
                Item::Change(change, was) if self.filter.wants(change, was) => {
                    let mut change = (**change).clone();
                    change.before = change.before.filter(|_| self.filter.before);
                    change.after = change.after.filter(|_| self.filter.after);
                    self.ready.push_back(Event::Change(change));
                }
                Item::Commit => {
                    self.ready.push_back(Event::Commit { position: at });
                    return;
                }
                _ => {}
            }
        }
    }

    fn open_bracket(&mut self) {
        // Before the first full sync there is nothing to show; its end opens one.
        let Some(position) = self.engine.position() else { return };
        let keyspace = &self.engine.keyspace;
        let dbs = keyspace.existing().map(|(db, _)| db).filter(|db| self.filter.has_database(*db));
        let mut dbs: Vec<u32> = dbs.collect();
        dbs.reverse();
        self.bracket = Some(Bracket { dbs, cursor: 0 });
        self.ready.push_back(Event::SyncStarted { position });
    }

    /// Takes some keys out of the data set if a bracket is open; whether one was.
    fn take_from_data(&mut self) -> bool {
        let Some(bracket) = &mut self.bracket else { return false };
        let engine = &self.engine;
        let _still = engine.keyspace.still();
        if engine.events.ring.lock().end() != self.next {
            // What has changed before comes before.
            return true;
        }
        let Some(position) = engine.position() else { return false };
        let Some(db) = bracket.dbs.last().copied() else {
            self.bracket = None;
            self.ready.push_back(Event::SyncFinished { position });
            return true;
        };
        let view = View::new(&engine.keyspace, &ShardSet::none(), Viewer::Client, db);
        let (filter, ready, now) = (&self.filter, &mut self.ready, view.now());
        bracket.cursor = view.scan(db, bracket.cursor, AT_ONCE, |entry| {
            let kind = kind_of(entry);
            if view.is_past(entry.expire()) || !filter.names(db, entry.key()) || !filter.has_kind(kind) {
                return;
            }
            ready.push_back(Event::SnapshotKey(Change {
                db,
                key: Bytes::copy_from_slice(entry.key()),
                what: "snapshot",
                command: None,
                cause: Cause::Snapshot,
                kind: Some(kind),
                before: None,
                after: filter.after.then(|| Arc::new(Contents::of(entry, now))),
                position,
            }));
        });
        if bracket.cursor == 0 {
            bracket.dbs.pop();
        }
        true
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let this = self.get_mut();
        loop {
            if let Some(event) = this.try_next() {
                return Poll::Ready(Some(event));
            }
            if this.engine.events.is_closed() {
                return Poll::Ready(None);
            }
            // What comes between the look and the wait has changed what the receivers have seen.
            if let Some(waiting) = &mut this.waiting {
                ready!(waiting.poll(cx));
                this.waiting = None;
                continue;
            }
            let (mut news, next) = (this.news.clone(), this.next);
            let (mut link, up) = (this.link.status.clone(), this.link.up);
            let engine = Arc::clone(&this.engine);
            this.waiting = Some(ReusableBoxFuture::new(async move {
                let linked = async {
                    let turned = match &mut link {
                        Some(link) => link.wait_for(|status| status.phase.is_streaming() != up).await.is_ok(),
                        None => false,
                    };
                    if !turned {
                        std::future::pending::<()>().await;
                    }
                };
                let told = async {
                    drop(news.wait_for(|end| *end > next || engine.events.is_closed()).await);
                };
                tokio::select! {
                    () = told => {}
                    () = linked => {}
                }
            }));
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("filter", &self.filter)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.engine.events.unsubscribe(&self.filter);
    }
}
