//! CLIENT TRACKING: telling clients that keep copies of values when those are no longer true.
//!
//! ```text
//! a read of a tracking client   -> keys: key -> clients          told once, then forgotten
//! BCAST                         -> prefixes: prefix -> clients   told of every change
//! ```
//!
//! A key is remembered before it is read and again behind it. So a write that comes between them either finds it in
//! the table, or what it made was read; and the telling goes out behind the reply.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dashmap::DashMap;
use parking_lot::{Mutex, RwLock};
use store::Change;

use crate::clients::Clients;
use crate::observed::Threshold;
use crate::outbox::Outbox;

type Key = Box<[u8]>;

/// Where those who are told on another connection's behalf listen.
const CHANNEL: &[u8] = b"__redis__:invalidate";

/// What a client asked for by CLIENT TRACKING ON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mode {
    pub(crate) broadcast: bool,
    pub(crate) prefixes: Vec<Key>,
    pub(crate) opt_in: bool,
    pub(crate) opt_out: bool,
    pub(crate) no_loop: bool,
    /// The client that is told instead.
    pub(crate) redirect: Option<u64>,
}

#[derive(Debug, Clone)]
struct Tracker {
    outbox: Arc<Outbox>,
    redirect: Option<u64>,
    no_loop: bool,
    broken: Arc<AtomicBool>,
}

/// Who is to be told of what.
#[derive(Debug)]
pub(crate) struct Tracking {
    /// Keys remembered at most (`tracking-table-max-keys`; 0: any number). For one more, another is told as changed.
    pub(crate) most: Threshold,
    count: AtomicUsize,
    clients: DashMap<u64, Tracker>,
    keys: DashMap<Key, Vec<u64>>,
    prefixes: RwLock<BTreeMap<Key, Vec<u64>>>,
    /// Keys whose changes are still to be told to prefixes, with the client that changed them.
    changed: Mutex<BTreeMap<Key, u64>>,
}

impl Default for Tracking {
    fn default() -> Self {
        Self {
            most: Threshold::new(1_000_000),
            count: AtomicUsize::new(0),
            clients: DashMap::new(),
            keys: DashMap::new(),
            prefixes: RwLock::default(),
            changed: Mutex::default(),
        }
    }
}

/// A client that is told. Dropping it ends that.
#[derive(Debug)]
pub(crate) struct Tracked {
    tracking: Arc<Tracking>,
    client: u64,
    mode: Mode,
    broken: Arc<AtomicBool>,
}

impl Tracked {
    pub(crate) fn begin(tracking: &Arc<Tracking>, outbox: &Arc<Outbox>, mode: Mode) -> Self {
        let broken = tracking.begin(outbox, &mode);
        Self { tracking: Arc::clone(tracking), client: outbox.id, mode, broken }
    }

    /// Whether it has once been impossible to tell whom it wanted to be told.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// What CLIENT LIST tells of it.
    pub(crate) fn shown(&self) -> Shown {
        let Mode { redirect, broadcast, .. } = self.mode;
        Shown { redirect: redirect.unwrap_or(0), broadcast, broken: Arc::clone(&self.broken) }
    }

    /// Goes on in another way.
    pub(crate) fn change(&mut self, outbox: &Arc<Outbox>, mode: Mode) {
        self.broken = self.tracking.begin(outbox, &mode);
        self.mode = mode;
    }
}

/// What CLIENT LIST tells of a client that tracks.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// Who is told: 0 itself.
    pub(crate) redirect: u64,
    broadcast: bool,
    broken: Arc<AtomicBool>,
}

impl Shown {
    /// Its letters.
    pub(crate) fn flags(&self) -> [Option<char>; 3] {
        let broken = self.broken.load(Ordering::Relaxed);
        [Some('t'), broken.then_some('R'), self.broadcast.then_some('B')]
    }
}

impl Deref for Tracked {
    type Target = Mode;

    fn deref(&self) -> &Mode {
        &self.mode
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.tracking.end(self.client, &self.mode);
    }
}

thread_local! {
    /// The client whose command runs on this thread.
    static SPEAKER: Cell<u64> = const { Cell::new(0) };
}

/// Names the client whose command this thread runs from now on; 0: nobody's.
pub(crate) fn speaks(client: u64) {
    SPEAKER.set(client);
}

impl Tracking {
    /// Whether anybody is to be told of anything.
    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::Acquire) != 0
    }

    /// Clients that track, keys remembered, prefixes.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        (self.count.load(Ordering::Acquire), self.keys.len(), self.prefixes.read().len())
    }

    /// Begins, or goes on in another way; the answer is set when somebody is gone who was to be told.
    fn begin(&self, outbox: &Arc<Outbox>, mode: &Mode) -> Arc<AtomicBool> {
        let broken = Arc::new(AtomicBool::new(false));
        let tracker = Tracker {
            outbox: Arc::clone(outbox),
            redirect: mode.redirect,
            no_loop: mode.no_loop,
            broken: Arc::clone(&broken),
        };
        if self.clients.insert(outbox.id, tracker).is_none() {
            self.count.fetch_add(1, Ordering::AcqRel);
        }
        if mode.broadcast {
            let mut prefixes = self.prefixes.write();
            for prefix in &mode.prefixes {
                let clients = prefixes.entry(prefix.clone()).or_default();
                if !clients.contains(&outbox.id) {
                    clients.push(outbox.id);
                }
            }
        }
        broken
    }

    /// Ends a client's tracking.
    pub(crate) fn end(&self, client: u64, mode: &Mode) {
        if self.clients.remove(&client).is_some() {
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
        if mode.broadcast {
            self.prefixes.write().retain(|_, clients| {
                clients.retain(|id| *id != client);
                !clients.is_empty()
            });
        }
    }

    /// A client reads a key.
    pub(crate) fn remember(&self, client: u64, key: &[u8], clients: &Clients) {
        if let Some(mut known) = self.keys.get_mut(key) {
            if !known.contains(&client) {
                known.push(client);
            }
            return;
        }
        self.keys.entry(key.into()).or_default().push(client);
        self.keep_within_limit(Some(key), clients);
    }

    /// Tells of keys as if they had changed until no more are remembered than may be; not of this one.
    pub(crate) fn keep_within_limit(&self, but: Option<&[u8]>, clients: &Clients) {
        let most = usize::try_from(self.most.get()).unwrap_or(0);
        while most > 0 && self.keys.len() > most {
            let other = self.keys.iter().map(|entry| entry.key().clone()).find(|other| but != Some(other));
            let Some(other) = other else { return };
            self.forget(&other, clients);
        }
    }

    /// Keys changed.
    pub(crate) fn tell(&self, changes: &[&Change], clients: &Clients) {
        if !self.any() {
            return;
        }
        for change in changes {
            self.forget(&change.key, clients);
        }
        if !self.prefixes.read().is_empty() {
            let by = SPEAKER.get();
            self.changed.lock().extend(changes.iter().map(|change| (change.key.clone(), by)));
        }
    }

    /// Tells prefixes of keys that have changed since this was last called, once of each, in the order of their names as the real servers do.
    pub(crate) fn broadcast(&self, clients: &Clients) {
        if !self.any() {
            return;
        }
        let changed = std::mem::take(&mut *self.changed.lock());
        if changed.is_empty() {
            return;
        }
        for (prefix, ids) in self.prefixes.read().iter() {
            for id in ids {
                let spares_own = self.clients.get(id).is_some_and(|tracker| tracker.no_loop);
                let keys: Vec<&[u8]> = changed
                    .iter()
                    .filter(|(key, by)| key.starts_with(prefix) && !(spares_own && *by == id))
                    .map(|(key, _)| &**key)
                    .collect();
                if !keys.is_empty() {
                    self.tell_one(*id, Some(&keys), clients);
                }
            }
        }
    }

    /// Any key may have changed.
    pub(crate) fn tell_everything(&self, clients: &Clients) {
        if !self.any() {
            return;
        }
        self.keys.clear();
        let ids: Vec<u64> = self.clients.iter().map(|entry| *entry.key()).collect();
        for id in ids {
            self.tell_one(id, None, clients);
        }
    }

    fn forget(&self, key: &[u8], clients: &Clients) {
        let Some((_, ids)) = self.keys.remove(key) else { return };
        for id in ids {
            let is_its_own =
                SPEAKER.get() == id && self.clients.get(&id).is_some_and(|tracker| tracker.no_loop);
            if !is_its_own {
                self.tell_one(id, Some(&[key]), clients);
            }
        }
    }

    fn tell_one(&self, id: u64, keys: Option<&[&[u8]]>, clients: &Clients) {
        let Some(tracker) = self.clients.get(&id).map(|tracker| tracker.clone()) else { return };
        let Some(redirect) = tracker.redirect else {
            if tracker.outbox.is_resp3() {
                invalidate(&tracker.outbox, keys);
            }
            return;
        };
        match clients.outbox(redirect) {
            Some(outbox) if outbox.is_resp3() => invalidate(&outbox, keys),
            // In the old protocol only who listens to something can be told.
            Some(outbox) if !outbox.listens() => {}
            Some(outbox) => outbox.push(|encoder| {
                encoder.push(3);
                encoder.bulk(b"message");
                encoder.bulk(CHANNEL);
                list(encoder, keys);
            }),
            None => {
                tracker.broken.store(true, Ordering::Relaxed);
                if tracker.outbox.is_resp3() {
                    tracker.outbox.push(|encoder| {
                        encoder.push(2);
                        encoder.bulk(b"tracking-redir-broken");
                        encoder.integer(i64::try_from(redirect).unwrap_or(i64::MAX));
                    });
                }
            }
        }
    }
}

fn invalidate(outbox: &Outbox, keys: Option<&[&[u8]]>) {
    outbox.push(|encoder| {
        encoder.push(2);
        encoder.bulk(b"invalidate");
        list(encoder, keys);
    });
}

fn list(encoder: &mut resp::Encoder<'_>, keys: Option<&[&[u8]]>) {
    match keys {
        Some(keys) => {
            encoder.array(keys.len());
            keys.iter().for_each(|key| encoder.bulk(key));
        }
        None => encoder.null(),
    }
}

#[cfg(test)]
mod tests {
    use store::Class;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn change(key: &[u8]) -> Change {
        Change { db: 0, key: key.into(), class: Class::String, event: "set" }
    }

    #[test]
    fn a_key_is_told_once_to_those_who_read_it_and_always_to_its_prefix() {
        let (tracking, clients) = (Tracking::default(), Clients::default());
        let outbox = |id| {
            let outbox = Outbox::new(id, Arc::default(), CancellationToken::new());
            outbox.set_protocol(resp::Protocol::Resp3);
            outbox
        };
        let told = |outbox: &Outbox| {
            let mut bytes = Vec::new();
            outbox.drain_into(&mut bytes);
            String::from_utf8(bytes).unwrap()
        };
        let (reader, listener) = (outbox(1), outbox(2));
        tracking.begin(&reader, &Mode::default());
        let mode = Mode { broadcast: true, prefixes: vec![b"u:"[..].into()], ..Mode::default() };
        tracking.begin(&listener, &mode);
        tracking.remember(1, b"u:1", &clients);
        tracking.remember(1, b"u:1", &clients);
        for told_reader in ["$10\r\ninvalidate\r\n*1\r\n$3\r\nu:1\r\n", ""] {
            tracking.tell(&[&change(b"u:1"), &change(b"x"), &change(b"u:1")], &clients);
            assert_eq!(told(&listener), "");
            tracking.tell(&[&change(b"u:1")], &clients);
            tracking.broadcast(&clients);
            assert!(told(&reader).ends_with(told_reader));
            assert_eq!(told(&listener), ">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nu:1\r\n");
        }
        // One more than may be: another is told, and no more than that.
        tracking.most.set(2);
        for key in [&b"a"[..], b"b", b"c"] {
            tracking.remember(1, key, &clients);
        }
        let line = told(&reader);
        assert!(line.ends_with("$1\r\na\r\n") || line.ends_with("$1\r\nb\r\n"), "{line}");
        assert_eq!((line.matches("invalidate").count(), tracking.counts().1), (1, 2));
        tracking.most.set(0);
        (0..9_u8).for_each(|n| tracking.remember(1, &[n], &clients));
        assert_eq!((told(&reader).as_str(), tracking.counts().1), ("", 11));
        tracking.most.set(1);
        tracking.keep_within_limit(None, &clients);
        assert_eq!((told(&reader).matches("invalidate").count(), tracking.counts().1), (10, 1));
        tracking.tell_everything(&clients);
        assert_eq!(told(&reader), ">2\r\n$10\r\ninvalidate\r\n_\r\n");
        tracking.end(2, &mode);
        tracking.end(1, &Mode::default());
        assert_eq!((tracking.any(), tracking.counts()), (false, (0, 0, 0)));
    }
}
