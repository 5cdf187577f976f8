//! What others have to say to a client: messages, invalidations, what it monitors. They append, its connection
//! sends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use resp::{Encoder, Protocol};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How much may wait for a client that does not read: more ends the connection
/// (`client-output-buffer-limit`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutputLimit {
    /// Bytes that end it at once; 0: none.
    pub(crate) hard: u64,
    /// Bytes that end it if so much waits for longer than `patience`; 0: none.
    pub(crate) soft: u64,
    pub(crate) patience: Duration,
}

/// The limits of a class of clients.
#[derive(Debug)]
pub(crate) struct ClassLimit {
    hard: AtomicU64,
    soft: AtomicU64,
    seconds: AtomicU64,
}

impl ClassLimit {
    const fn new(hard: u64, soft: u64, seconds: u64) -> Self {
        Self { hard: AtomicU64::new(hard), soft: AtomicU64::new(soft), seconds: AtomicU64::new(seconds) }
    }

    pub(crate) fn get(&self) -> OutputLimit {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let patience = Duration::from_secs(read(&self.seconds));
        OutputLimit { hard: read(&self.hard), soft: read(&self.soft), patience }
    }

    pub(crate) fn set(&self, limit: OutputLimit) {
        self.hard.store(limit.hard, Ordering::Relaxed);
        self.soft.store(limit.soft, Ordering::Relaxed);
        self.seconds.store(limit.patience.as_secs(), Ordering::Relaxed);
    }
}

/// The limits of all classes but replicas, whose buffer is the backlog.
#[derive(Debug)]
pub(crate) struct OutputLimits {
    pub(crate) normal: ClassLimit,
    pub(crate) pubsub: ClassLimit,
    /// Clients hung up on.
    pub(crate) exceeded: AtomicU64,
}

impl Default for OutputLimits {
    fn default() -> Self {
        Self {
            normal: ClassLimit::new(0, 0, 0),
            pubsub: ClassLimit::new(32 << 20, 8 << 20, 60),
            exceeded: AtomicU64::new(0),
        }
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
    /// Whether something may wait: each command of the connection looks.
    is_filled: AtomicBool,
    /// Bytes that the connection has taken and not yet sent.
    unsent: AtomicUsize,
    is_resp3: AtomicBool,
    /// The client listens to channels: it is of another class.
    listens: AtomicBool,
    /// The client wants no replies.
    silent: AtomicBool,
    filled: Notify,
    limits: Arc<OutputLimits>,
    stop: CancellationToken,
}

impl Outbox {
    /// An empty one; `stop` ends the connection.
    pub(crate) fn new(id: u64, limits: Arc<OutputLimits>, stop: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            id,
            waiting: Mutex::default(),
            is_filled: AtomicBool::new(false),
            unsent: AtomicUsize::new(0),
            is_resp3: AtomicBool::new(false),
            listens: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            filled: Notify::new(),
            limits,
            stop,
        })
    }

    pub(crate) fn set_protocol(&self, protocol: Protocol) {
        self.is_resp3.store(protocol == Protocol::Resp3, Ordering::Relaxed);
    }

    pub(crate) fn is_resp3(&self) -> bool {
        self.is_resp3.load(Ordering::Relaxed)
    }

    pub(crate) fn set_listens(&self, listens: bool) {
        self.listens.store(listens, Ordering::Relaxed);
    }

    /// Whether the client listens to any channel.
    pub(crate) fn listens(&self) -> bool {
        self.listens.load(Ordering::Relaxed)
    }

    pub(crate) fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }

    /// Whether the client gets messages and pushes alone, and no replies, of which what MONITOR shows is one.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// The limit of the client's class.
    pub(crate) fn limit(&self) -> OutputLimit {
        let class = if self.listens() { &self.limits.pubsub } else { &self.limits.normal };
        class.get()
    }

    /// Bytes that wait here, and bytes that wait in the connection.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.waiting.lock().bytes.len(), self.unsent.load(Ordering::Relaxed))
    }

    /// The connection has so many bytes that the client does not take.
    pub(crate) fn set_unsent(&self, bytes: usize) {
        self.unsent.store(bytes, Ordering::Relaxed);
        if bytes == 0 {
            self.waiting.lock().over_since = None;
        }
    }

    /// Appends what `write` encodes, in the client's protocol.
    pub(crate) fn push(&self, write: impl FnOnce(&mut Encoder<'_>)) {
        let protocol = if self.is_resp3() { Protocol::Resp3 } else { Protocol::Resp2 };
        let mut waiting = self.waiting.lock();
        write(&mut Encoder::new(&mut waiting.bytes, protocol));
        self.is_filled.store(true, Ordering::Release);
        // A client that is no listener, but gets messages (it monitors, or tracks), has no limit with the real
        // servers unless somebody sets one: here that of the listeners holds then.
        let limit = match self.limit() {
            OutputLimit { hard: 0, soft: 0, .. } => self.limits.pubsub.get(),
            limit => limit,
        };
        if self.is_over(&mut waiting, limit, Instant::now) {
            waiting.bytes = Vec::new();
            drop(waiting);
            self.hang_up();
            return;
        }
        drop(waiting);
        self.filled.notify_one();
    }

    fn is_over(&self, waiting: &mut Waiting, limit: OutputLimit, now: impl Fn() -> Instant) -> bool {
        let size = (waiting.bytes.len() + self.unsent.load(Ordering::Relaxed)) as u64;
        let over = limit.soft != 0 && size > limit.soft;
        let since = over.then(|| waiting.over_since.unwrap_or_else(&now));
        waiting.over_since = since;
        limit.hard != 0 && size > limit.hard
            || since.is_some_and(|since| now().saturating_duration_since(since) > limit.patience)
    }

    /// Hangs up if too much has been waiting for too long, though nobody says more.
    pub(crate) fn look(&self, now: Instant) {
        let limit = self.limit();
        if limit.soft != 0 && self.is_over(&mut self.waiting.lock(), limit, || now) {
            self.hang_up();
        }
    }

    /// Ends the connection of a client that does not read what it asked for.
    pub(crate) fn hang_up(&self) {
        if !self.stop.is_cancelled() {
            tracing::warn!(client = self.id, "a client does not read what it asked for: hung up");
            self.limits.exceeded.fetch_add(1, Ordering::Relaxed);
            self.stop.cancel();
        }
    }

    /// Moves what waits to the end of `out`; whether there was anything.
    pub(crate) fn drain_into(&self, out: &mut Vec<u8>) -> bool {
        if !self.is_filled.load(Ordering::Acquire) {
            return false;
        }
        let mut waiting = self.waiting.lock();
        self.is_filled.store(false, Ordering::Relaxed);
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
