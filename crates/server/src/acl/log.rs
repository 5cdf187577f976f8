//! What was denied to whom: ACL LOG.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// The same denial within this time is counted, not told again.
const TOGETHER: Duration = Duration::from_secs(60);

/// One denial, or several of the same.
#[derive(Debug, Clone)]
pub(crate) struct LogEntry {
    pub(crate) id: u64,
    pub(crate) count: u64,
    /// `command`, `key`, `channel`, `auth`, `database`.
    pub(crate) reason: &'static str,
    /// `toplevel`, `multi`, `lua`.
    pub(crate) context: &'static str,
    pub(crate) object: Vec<u8>,
    pub(crate) username: Vec<u8>,
    pub(crate) client: String,
    pub(crate) at: Instant,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
}

/// The last denials, newest first.
#[derive(Debug)]
pub(crate) struct Log {
    /// Entries kept (`acllog-max-len`): looked at when one is added.
    pub(crate) most: usize,
    next: u64,
    /// How often something was denied since the start, by reason.
    denied: BTreeMap<&'static str, u64>,
    entries: VecDeque<LogEntry>,
}

impl Default for Log {
    fn default() -> Self {
        Self { most: 128, next: 0, denied: BTreeMap::new(), entries: VecDeque::new() }
    }
}

impl Log {
    /// Adds a denial; its id and count are given here.
    pub(crate) fn add(&mut self, mut entry: LogEntry) {
        *self.denied.entry(entry.reason).or_default() += 1;
        let same = self.entries.iter().position(|known| {
            known.reason == entry.reason
                && known.context == entry.context
                && known.object == entry.object
                && known.username == entry.username
                && known.at.elapsed() < TOGETHER
        });
        if let Some(mut known) = same.and_then(|at| self.entries.remove(at)) {
            known.count += 1;
            (known.client, known.at, known.updated_ms) = (entry.client, entry.at, entry.updated_ms);
            self.entries.push_front(known);
            return;
        }
        (entry.id, entry.count) = (self.next, 1);
        self.next += 1;
        self.entries.push_front(entry);
        self.entries.truncate(self.most);
    }

    /// How often something was denied for this reason.
    pub(crate) fn denied(&self, reason: &str) -> u64 {
        self.denied.get(reason).copied().unwrap_or(0)
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn newest(&self, most: usize) -> Vec<LogEntry> {
        self.entries.iter().take(most).cloned().collect()
    }
}
