//! WATCH: who must learn that a key was touched.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use dashmap::DashMap;

/// One client's WATCH: ends with EXEC, UNWATCH or the connection.
#[derive(Debug)]
pub(crate) struct Watch {
    touched: Arc<AtomicBool>,
    registry: Weak<Registry>,
}

impl Watch {
    /// Whether any watched key changed since.
    pub(crate) fn is_touched(&self) -> bool {
        self.touched.load(Ordering::Acquire)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(registry) = self.registry.upgrade() {
            registry.clients.fetch_sub(1, Ordering::AcqRel);
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
        Watch { touched: Arc::default(), registry: Arc::downgrade(&self.0) }
    }

    pub(crate) fn add(&self, watch: &Watch, db: u32, key: &[u8]) {
        let mut clients = self.0.keys.entry((db, key.into())).or_default();
        clients.retain(|client| client.strong_count() > 0);
        clients.push(Arc::downgrade(&watch.touched));
    }

    /// Whether anybody watches.
    pub(crate) fn any(&self) -> bool {
        self.0.clients.load(Ordering::Acquire) != 0
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
