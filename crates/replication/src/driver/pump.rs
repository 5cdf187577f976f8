//! The socket, drained by a task of its own: a primary's output buffer stays empty while the data set is
//! busy with what came before.
//!
//! ```text
//! socket --> task on the runtime's worker --> buffer (bounded) --> link, on the driver's thread
//!                   ^                            |
//!                   `-- waits while it is full --'   the rest stays in the socket, then at the primary
//! ```

use crate::driver::transport::{Incoming, Outgoing, Transport};
use bytes::{Buf as _, BytesMut};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Emptied chunks that are kept to be filled again.
const KEPT: usize = 16;

/// What every connection of a driver shares.
#[derive(Debug)]
pub(crate) struct Gauge {
    /// Most bytes that may wait in one buffer.
    limit: usize,
    peak: AtomicUsize,
    /// Milliseconds from the driver's start to the last byte received, plus one; 0: none yet.
    last_byte: AtomicU64,
    started: Instant,
    /// Bytes a second while a full sync runs; 0: as they come.
    rate: u64,
}

impl Gauge {
    pub(crate) fn new(started: Instant, limit: usize, rate: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            limit: limit.max(1),
            peak: AtomicUsize::new(0),
            last_byte: AtomicU64::new(0),
            started,
            rate: rate.unwrap_or(0),
        })
    }

    /// The most that ever waited in one buffer.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// When the last byte was received.
    pub(crate) fn last_byte(&self) -> Option<Instant> {
        let millis = self.last_byte.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.started + Duration::from_millis(millis))
    }

    fn received(&self, waiting: usize) {
        self.peak.fetch_max(waiting, Ordering::Relaxed);
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.last_byte.store(millis + 1, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct Shared {
    arrived: Mutex<Arrived>,
    /// Bytes received and not yet consumed.
    waiting: AtomicUsize,
    /// Whether a dump comes this way: only then the rate limit holds.
    limited: AtomicBool,
    /// Something arrived, or nothing will any more.
    news: Notify,
    /// There is room again.
    room: Notify,
}

#[derive(Debug, Default)]
struct Arrived {
    chunks: VecDeque<BytesMut>,
    /// Emptied ones: memory that has been touched is cheaper than new memory.
    spare: Vec<BytesMut>,
    end: Option<End>,
}

/// How the connection ended.
#[derive(Debug, Clone)]
pub(crate) enum End {
    Closed,
    Broken(Arc<io::Error>),
}

/// One connection: bytes in by a pump, bytes out directly.
pub(crate) struct Line {
    shared: Arc<Shared>,
    gauge: Arc<Gauge>,
    /// Chunks that were taken together, none of them empty.
    current: VecDeque<BytesMut>,
    emptied: Vec<BytesMut>,
    /// When `current` was taken: nothing that had arrived by then is left behind.
    taken: Instant,
    pub(crate) out: Outgoing,
    task: JoinHandle<()>,
}

impl Line {
    /// Starts to drain a connection.
    pub(crate) fn start(transport: Transport, gauge: &Arc<Gauge>, chunk: usize) -> Self {
        let Transport { incoming, outgoing } = transport;
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(drain(incoming, Arc::clone(&shared), Arc::clone(gauge), chunk));
        Self {
            shared,
            gauge: Arc::clone(gauge),
            current: VecDeque::new(),
            emptied: Vec::new(),
            taken: Instant::now(),
            out: outgoing,
            task,
        }
    }

    /// Bytes received and not yet consumed.
    pub(crate) fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    /// Whether a dump comes this way: only then the rate limit holds.
    pub(crate) fn limit_rate(&self, limited: bool) {
        self.shared.limited.store(limited, Ordering::Relaxed);
    }

    /// Ends when there are bytes to take, or the connection is over.
    pub(crate) async fn ready(&self) {
        loop {
            // Registered before looking, so that nothing that comes in between is missed.
            let news = self.shared.news.notified();
            if !self.current.is_empty()
                || self.lock(|arrived| !arrived.chunks.is_empty() || arrived.end.is_some())
            {
                return;
            }
            news.await;
        }
    }

    /// The next bytes, `most` at most. Empty: look at [`end`](Self::end).
    pub(crate) fn bytes(&mut self, most: usize) -> &[u8] {
        if self.current.is_empty() {
            self.taken = Instant::now();
            let (current, emptied) = (&mut self.current, &mut self.emptied);
            let mut arrived = self.shared.arrived.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(current, &mut arrived.chunks);
            arrived.spare.append(emptied);
            arrived.spare.truncate(KEPT);
        }
        self.current.front().map(|chunk| chunk.get(..most).unwrap_or(chunk)).unwrap_or_default()
    }

    /// `count` of those bytes are done with. Answers the moment by which everything received is, if that is so.
    pub(crate) fn consume(&mut self, count: usize) -> Option<Instant> {
        if let Some(chunk) = self.current.front_mut() {
            chunk.advance(count.min(chunk.len()));
            if chunk.is_empty()
                && let Some(mut chunk) = self.current.pop_front()
                && self.emptied.len() < KEPT
            {
                chunk.clear();
                self.emptied.push(chunk);
            }
        }
        let before = self.shared.waiting.fetch_sub(count, Ordering::AcqRel);
        if before >= self.gauge.limit {
            self.shared.room.notify_one();
        }
        self.current.is_empty().then_some(self.taken)
    }

    /// How the connection ended, once everything it brought is consumed.
    pub(crate) fn end(&self) -> Option<End> {
        if !self.current.is_empty() {
            return None;
        }
        self.lock(|arrived| arrived.end.clone().filter(|_| arrived.chunks.is_empty()))
    }

    fn lock<R>(&self, f: impl FnOnce(&mut Arrived) -> R) -> R {
        f(&mut self.shared.arrived.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn drain(mut incoming: Incoming, shared: Arc<Shared>, gauge: Arc<Gauge>, chunk: usize) {
    let mut scratch = BytesMut::with_capacity(chunk);
    let mut free_at = Instant::now();
    let end = loop {
        loop {
            let room = shared.room.notified();
            if shared.waiting.load(Ordering::Acquire) < gauge.limit {
                break;
            }
            room.await;
        }
        let limited = gauge.rate > 0 && shared.limited.load(Ordering::Relaxed);
        let most = if limited {
            sleep_until(free_at).await;
            // A twentieth of a second's worth at a time.
            usize::try_from(gauge.rate / 20).unwrap_or(chunk).clamp(512, chunk)
        } else {
            chunk
        };
        scratch.reserve(most);
        let read = match (&mut incoming).take(most as u64).read_buf(&mut scratch).await {
            Ok(0) => break End::Closed,
            Ok(count) => count,
            Err(error) => break End::Broken(Arc::new(error)),
        };
        if limited {
            let spent = Duration::from_nanos((read as u64).saturating_mul(1_000_000_000) / gauge.rate);
            free_at = free_at.max(Instant::now()) + spent;
        }
        // Counted before it can be seen, so that nobody consumes what has not been counted.
        gauge.received(shared.waiting.fetch_add(read, Ordering::AcqRel) + read);
        {
            let mut arrived = shared.arrived.lock().unwrap_or_else(PoisonError::into_inner);
            match arrived.chunks.back_mut() {
                Some(last) if last.capacity() - last.len() >= read => {
                    last.extend_from_slice(&scratch);
                    scratch.clear();
                }
                _ => {
                    let next = arrived.spare.pop().unwrap_or_default();
                    arrived.chunks.push_back(std::mem::replace(&mut scratch, next));
                }
            }
        }
        shared.news.notify_one();
    };
    shared.arrived.lock().unwrap_or_else(PoisonError::into_inner).end = Some(end);
    shared.news.notify_one();
}
