//! One key, watched.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use tokio::sync::watch;

use crate::engine::Engine;

type Key = (u32, Box<[u8]>);

#[derive(Debug, Default)]
pub(super) struct Keys {
    count: AtomicUsize,
    versions: DashMap<Key, watch::Sender<u64>>,
}

impl Keys {
    pub(super) fn any(&self) -> bool {
        self.count.load(Ordering::Acquire) != 0
    }

    pub(super) fn touch(&self, changes: &[store::Change]) {
        if self.any() {
            for change in changes {
                if let Some(version) = self.versions.get(&(change.db, change.key.clone())) {
                    version.send_modify(|version| *version += 1);
                }
            }
        }
    }

    pub(super) fn touch_all(&self) {
        if self.any() {
            self.versions.iter().for_each(|version| version.send_modify(|version| *version += 1));
        }
    }
}

/// Wakes when one key is written. It has no value: read that when it wakes, and miss nothing that is newer.
#[derive(Debug)]
pub struct KeyWatch {
    engine: Arc<Engine>,
    key: Key,
    version: Option<watch::Receiver<u64>>,
}

impl Engine {
    /// Watches a key, whether it is there or not.
    #[must_use]
    pub fn watch_key(self: &Arc<Self>, db: u32, key: &[u8]) -> KeyWatch {
        let keys = &self.events.keys;
        keys.count.fetch_add(1, Ordering::AcqRel);
        let key = (db, Box::from(key));
        let version = keys.versions.entry(key.clone()).or_default().subscribe();
        KeyWatch { engine: Arc::clone(self), key, version: Some(version) }
    }
}

impl KeyWatch {
    /// Waits until the key has been written since the last call (or the beginning). A key that expires is written
    /// when the primary says so. False: there will be no more changes.
    pub async fn changed(&mut self) -> bool {
        let Some(version) = &mut self.version else { return false };
        !self.engine.events.is_closed() && version.changed().await.is_ok() && !self.engine.events.is_closed()
    }

    /// The database.
    #[must_use]
    pub fn db(&self) -> u32 {
        self.key.0
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key.1
    }

    /// A number that grows whenever the key is written.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.as_ref().map_or(0, |version| *version.borrow())
    }
}

impl Drop for KeyWatch {
    fn drop(&mut self) {
        let keys = &self.engine.events.keys;
        self.version = None;
        keys.versions.remove_if(&self.key, |_, version| version.receiver_count() == 0);
        keys.count.fetch_sub(1, Ordering::AcqRel);
    }
}
