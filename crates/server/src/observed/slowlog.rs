//! The last commands that were slow, large, or had large replies: SLOWLOG, and Valkey's COMMANDLOG.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use store::Args;

use super::{Threshold, redacted};

/// Arguments kept of a command, and bytes kept of an argument.
const MOST_ARGS: usize = 32;
const MOST_BYTES: usize = 128;

/// Which of the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Slow,
    LargeRequest,
    LargeReply,
}

/// A command that is remembered.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    pub(crate) id: u64,
    /// Seconds since 1970.
    pub(crate) at: i64,
    /// Microseconds, or bytes.
    pub(crate) amount: u64,
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) addr: String,
    pub(crate) name: Vec<u8>,
}

/// One of the logs.
#[derive(Debug)]
pub(crate) struct Log {
    /// From where on a command is kept; below 0: never.
    pub(crate) threshold: Threshold,
    pub(crate) most: Threshold,
    next: AtomicU64,
    entries: Mutex<VecDeque<Logged>>,
}

impl Log {
    /// Keeps 128 commands of at least so much.
    pub(crate) fn new(threshold: i64) -> Self {
        Self {
            threshold: Threshold::new(threshold),
            most: Threshold::new(128),
            next: AtomicU64::new(0),
            entries: Mutex::default(),
        }
    }

    #[inline]
    pub(crate) fn wants(&self, amount: u64) -> bool {
        u64::try_from(self.threshold.get()).is_ok_and(|least| amount >= least)
    }

    pub(crate) fn add(&self, amount: u64, args: Args<'_>, (addr, name): (String, Vec<u8>)) {
        let most = usize::try_from(self.most.get()).unwrap_or(0);
        let entry = Logged {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            at: crate::engine::unix_ms() / 1000,
            amount,
            args: shortened(&redacted(args)),
            addr,
            name,
        };
        let mut entries = self.entries.lock();
        entries.push_front(entry);
        entries.truncate(most);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.lock().len()
    }

    pub(crate) fn clear(&self) {
        self.entries.lock().clear();
    }

    /// The newest first.
    pub(crate) fn newest(&self, most: usize) -> Vec<Logged> {
        self.entries.lock().iter().take(most).cloned().collect()
    }
}

fn shortened(args: &[&[u8]]) -> Vec<Vec<u8>> {
    let kept = if args.len() > MOST_ARGS { MOST_ARGS - 1 } else { args.len() };
    let mut all: Vec<Vec<u8>> = args[..kept]
        .iter()
        .map(|arg| match arg.len().checked_sub(MOST_BYTES) {
            Some(more) if more > 0 => {
                [&arg[..MOST_BYTES], format!("... ({more} more bytes)").as_bytes()].concat()
            }
            _ => arg.to_vec(),
        })
        .collect();
    if kept < args.len() {
        all.push(format!("... ({} more arguments)", args.len() - kept).into_bytes());
    }
    all
}
