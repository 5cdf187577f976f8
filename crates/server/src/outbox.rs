//! What others have to say to a client: messages, invalidations, what it monitors. They append, its connection
//! sends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use resp::{Encoder, Protocol};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How much may wait for a client that does not read: more ends the connection
/// (`client-output-buffer-limit pubsub`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutputLimit {
    /// Bytes that end it at once; 0: none.
    pub(crate) hard: usize,
    /// Bytes that end it if so much waits for longer than `patience`; 0: none.
    pub(crate) soft: usize,
    pub(crate) patience: Duration,
}

impl Default for OutputLimit {
    fn default() -> Self {
        Self { hard: 32 << 20, soft: 8 << 20, patience: Duration::from_secs(60) }
    }
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// Since when more than the soft limit has been waiting.
    over_since: Option<Instant>,
}

/// The queue of one connection, shared by all who write to it.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) id: u64,
    waiting: Mutex<Waiting>,
    is_resp3: AtomicBool,
    filled: Notify,
    limit: OutputLimit,
    stop: CancellationToken,
}

impl Outbox {
    /// An empty one; `stop` ends the connection.
    pub(crate) fn new(id: u64, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            id,
            waiting: Mutex::default(),
            is_resp3: AtomicBool::new(false),
            filled: Notify::new(),
            limit: OutputLimit::default(),
            stop,
        })
    }

    pub(crate) fn set_protocol(&self, protocol: Protocol) {
        self.is_resp3.store(protocol == Protocol::Resp3, Ordering::Relaxed);
    }

    pub(crate) fn is_resp3(&self) -> bool {
        self.is_resp3.load(Ordering::Relaxed)
    }

    /// Appends what `write` encodes, in the client's protocol.
    pub(crate) fn push(&self, write: impl FnOnce(&mut Encoder<'_>)) {
        let protocol = if self.is_resp3() { Protocol::Resp3 } else { Protocol::Resp2 };
        let mut waiting = self.waiting.lock();
        write(&mut Encoder::new(&mut waiting.bytes, protocol));
        let len = waiting.bytes.len();
        let over = self.limit.soft != 0 && len > self.limit.soft;
        let since = over.then(|| waiting.over_since.unwrap_or_else(Instant::now));
        waiting.over_since = since;
        if (self.limit.hard != 0 && len > self.limit.hard)
            || since.is_some_and(|since| since.elapsed() > self.limit.patience)
        {
            waiting.bytes = Vec::new();
            drop(waiting);
            tracing::warn!(
                client = self.id,
                bytes = len,
                "a client does not read what it asked for: hung up"
            );
            self.stop.cancel();
            return;
        }
        drop(waiting);
        self.filled.notify_one();
    }

    /// Moves what waits to the end of `out`; whether there was anything.
    pub(crate) fn drain_into(&self, out: &mut Vec<u8>) -> bool {
        let mut waiting = self.waiting.lock();
        waiting.over_since = None;
        let any = !waiting.bytes.is_empty();
        out.append(&mut waiting.bytes);
        if waiting.bytes.capacity() > 64 * 1024 {
            waiting.bytes = Vec::new();
        }
        any
    }

    /// Returns when something may have been put in since the last call.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }
}
