//! MONITOR: clients that see every command that is run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::RwLock;
use store::Args;

use super::redacted;
use crate::outbox::Outbox;

/// Who sees every command.
#[derive(Debug, Default)]
pub(crate) struct Monitors {
    count: AtomicUsize,
    outboxes: RwLock<Vec<Arc<Outbox>>>,
}

/// Whose command it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Teller<'a> {
    /// A client's, at this address.
    Client(&'a str),
    /// A script's.
    Script,
}

impl Monitors {
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::Acquire) != 0
    }

    /// One more; false if it is there already.
    pub(crate) fn add(&self, outbox: &Arc<Outbox>) -> bool {
        let mut outboxes = self.outboxes.write();
        if outboxes.iter().any(|known| known.id == outbox.id) {
            return false;
        }
        outboxes.push(Arc::clone(outbox));
        self.count.store(outboxes.len(), Ordering::Release);
        true
    }

    pub(crate) fn remove(&self, client: u64) {
        if self.any() {
            let mut outboxes = self.outboxes.write();
            outboxes.retain(|known| known.id != client);
            self.count.store(outboxes.len(), Ordering::Release);
        }
    }

    pub(crate) fn tell(&self, line: &[u8]) {
        for outbox in self.outboxes.read().iter().filter(|outbox| !outbox.is_silent()) {
            outbox.push(|encoder| encoder.raw(line));
        }
    }
}

/// `+1712345678.123456 [0 127.0.0.1:1234] "get" "key"`, with its end.
pub(crate) fn line(db: u32, who: Teller<'_>, args: Args<'_>) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let who = match who {
        Teller::Client(addr) => addr,
        Teller::Script => "lua",
    };
    let mut line = format!("+{}.{:06} [{db} {who}]", now.as_secs(), now.subsec_micros()).into_bytes();
    for arg in redacted(args) {
        line.extend_from_slice(b" \"");
        for byte in arg {
            match byte {
                b'\\' | b'"' => line.extend_from_slice(&[b'\\', *byte]),
                b'\n' => line.extend_from_slice(b"\\n"),
                b'\r' => line.extend_from_slice(b"\\r"),
                b'\t' => line.extend_from_slice(b"\\t"),
                7 => line.extend_from_slice(b"\\a"),
                8 => line.extend_from_slice(b"\\b"),
                b' '..=b'~' => line.push(*byte),
                _ => line.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
            }
        }
        line.push(b'"');
    }
    line.extend_from_slice(b"\r\n");
    line
}
