//! WATCH: who must learn that a key was touched.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use dashmap::DashMap;
use store::View;

/// One client's WATCH: ends with EXEC, UNWATCH or the connection.
#[derive(Debug)]
pub(crate) struct Watch {
    touched: Arc<AtomicBool>,
    keys: Vec<Watched>,
    registry: Weak<Registry>,
}

impl Watch {
    /// Whether any watched key changed since.
    pub(crate) fn is_touched(&self) -> bool {
        self.touched.load(Ordering::Acquire)
    }

    /// Whether a watched key's time is over that was not when that began.
    pub(crate) fn is_overdue(&self, look: impl Fn(u32, &[u8]) -> Held) -> bool {
        let Some(registry) = self.registry.upgrade() else { return false };
        let lives = |watched: &&Watched| {
            let entries = registry.keys.get(*watched);
            entries.is_some_and(|all| all.iter().any(|e| self.is_of(e) && e.held == Held::Value))
        };
        // No entry is held while keys are looked at.
        let living: Vec<&Watched> = self.keys.iter().filter(lives).collect();
        living.into_iter().any(|(db, key)| look(*db, key) == Held::Expired)
    }

    /// The keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.keys.iter().map(|(db, key)| (*db, &**key))
    }

    fn is_of(&self, entry: &Entry) -> bool {
        std::ptr::eq(entry.client.as_ptr(), Arc::as_ptr(&self.touched))
    }

    /// How many keys it is about.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(registry) = self.registry.upgrade() {
            registry.clients.fetch_sub(1, Ordering::AcqRel);
            for key in &self.keys {
                registry.keys.remove_if_mut(key, |_, entries| {
                    entries.retain(|entry| !self.is_of(entry));
                    entries.is_empty()
                });
            }
        }
    }
}

type Watched = (u32, Box<[u8]>);

/// What there is of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    Nothing,
    Value,
    /// Its time is over, and nobody has taken it away.
    Expired,
}

impl Held {
    /// Of a key that is among those of the view.
    pub(crate) fn of(view: &View<'_>, db: u32, key: &[u8]) -> Self {
        match view.entry_even_expired(db, key) {
            None => Self::Nothing,
            Some(entry) if view.is_past(entry.expire()) => Self::Expired,
            Some(_) => Self::Value,
        }
    }
}

/// A key that a client watches. Until it is touched it stays what it was when that began.
#[derive(Debug)]
struct Entry {
    client: Weak<AtomicBool>,
    held: Held,
}

impl Entry {
    fn touch(&self) {
        if let Some(client) = self.client.upgrade() {
            client.store(true, Ordering::Release);
        }
    }
}

#[derive(Debug, Default)]
struct Registry {
    clients: AtomicUsize,
    keys: DashMap<Watched, Vec<Entry>>,
}

/// Every client's WATCH.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Arc<Registry>);

impl Watchers {
    /// A client begins to watch; add keys by [`add`](Self::add).
    pub(crate) fn begin(&self) -> Watch {
        self.0.clients.fetch_add(1, Ordering::AcqRel);
        Watch { touched: Arc::default(), keys: Vec::new(), registry: Arc::downgrade(&self.0) }
    }

    /// Watches a key more. What there is of it is looked at once changes of it are noticed.
    pub(crate) fn add(&self, watch: &mut Watch, db: u32, key: &[u8], look: impl FnOnce() -> Held) {
        let watched: Watched = (db, key.into());
        if watch.keys.contains(&watched) {
            return;
        }
        let entry = Entry { client: Arc::downgrade(&watch.touched), held: Held::Value };
        self.0.keys.entry(watched.clone()).or_default().push(entry);
        let held = look();
        if let Some(mut entries) = self.0.keys.get_mut(&watched)
            && let Some(entry) = entries.iter_mut().find(|entry| watch.is_of(entry))
        {
            entry.held = held;
        }
        watch.keys.push(watched);
    }

    /// Whether anybody watches.
    pub(crate) fn any(&self) -> bool {
        self.0.clients.load(Ordering::Acquire) != 0
    }

    /// How many clients watch, and how many keys.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.0.clients.load(Ordering::Acquire), self.0.keys.len())
    }

    /// A key changed; `goes`: it is there no more. That what had expired before is taken away changes nothing.
    pub(crate) fn touch(&self, db: u32, key: &[u8], goes: bool) {
        if !self.any() {
            return;
        }
        self.0.keys.remove_if_mut(&(db, key.into()), |_, entries| {
            entries.retain_mut(|entry| {
                let was_over = goes && entry.held == Held::Expired;
                if was_over {
                    entry.held = Held::Nothing;
                } else {
                    entry.touch();
                }
                was_over
            });
            entries.is_empty()
        });
    }

    /// A database, or each, was emptied: that matters to who watches what was there.
    pub(crate) fn flushed(&self, of: Option<u32>) {
        self.each(|(db, _), entry| {
            if of.is_some_and(|flushed| *db != flushed) {
                return true;
            }
            match entry.held {
                Held::Nothing => true,
                Held::Expired => {
                    entry.held = Held::Nothing;
                    true
                }
                Held::Value => false,
            }
        });
    }

    /// Two databases have each other's keys: that matters to who watches what was there, or is now.
    pub(crate) fn swapped(&self, a: u32, b: u32, look: impl Fn(u32, &[u8]) -> Held) {
        self.each(|(db, key), entry| {
            if *db != a && *db != b {
                return true;
            }
            let now = look(*db, key);
            let is_same = match (entry.held, now) {
                (Held::Nothing | Held::Expired, Held::Nothing | Held::Expired) => true,
                (Held::Value, _) | (_, Held::Value) => false,
            };
            entry.held = now;
            is_same
        });
    }

    /// Everything changed.
    pub(crate) fn touch_all(&self) {
        self.each(|_, _| false);
    }

    /// Goes through all entries; those for which `stays` is false are touched.
    fn each(&self, stays: impl Fn(&Watched, &mut Entry) -> bool) {
        self.0.keys.retain(|watched, entries| {
            entries.retain_mut(|entry| {
                let stays = stays(watched, entry);
                if !stays {
                    entry.touch();
                }
                stays
            });
            !entries.is_empty()
        });
    }
}
