//! What was denied to whom: ACL LOG.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Entries kept (`acllog-max-len`).
pub(crate) const MOST: usize = 128;
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
#[derive(Debug, Default)]
pub(crate) struct Log {
    next: u64,
    entries: VecDeque<LogEntry>,
}

impl Log {
    /// Adds a denial; its id and count are given here.
    pub(crate) fn add(&mut self, mut entry: LogEntry) {
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
        self.entries.truncate(MOST);
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn newest(&self, most: usize) -> Vec<LogEntry> {
        self.entries.iter().take(most).cloned().collect()
    }
}
