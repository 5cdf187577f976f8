//! WATCH: who must learn that a key was touched.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use dashmap::DashMap;

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
                registry.keys.remove_if_mut(key, |_, clients| {
                    clients.retain(|client| !Weak::ptr_eq(client, &Arc::downgrade(&self.touched)));
                    clients.is_empty()
                });
            }
        }
    }
}

type Watched = (u32, Box<[u8]>);

#[derive(Debug, Default)]
struct Registry {
    clients: AtomicUsize,
    keys: DashMap<Watched, Vec<Weak<AtomicBool>>>,
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

    pub(crate) fn add(&self, watch: &mut Watch, db: u32, key: &[u8]) {
        let watched: Watched = (db, key.into());
        if watch.keys.contains(&watched) {
            return;
        }
        self.0.keys.entry(watched.clone()).or_default().push(Arc::downgrade(&watch.touched));
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

    /// A key changed.
    pub(crate) fn touch(&self, db: u32, key: &[u8]) {
        if !self.any() {
            return;
        }
        if let Some((_, clients)) = self.0.keys.remove(&(db, key.into())) {
            touch(&clients);
        }
    }

    /// Everything changed.
    pub(crate) fn touch_all(&self) {
        self.0.keys.retain(|_, clients| {
            touch(clients);
            false
        });
    }
}

fn touch(clients: &[Weak<AtomicBool>]) {
    for client in clients.iter().filter_map(Weak::upgrade) {
        client.store(true, Ordering::Release);
    }
}
