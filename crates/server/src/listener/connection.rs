//! One connection: reads requests, runs them, sends replies and what others have to say.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use resp::{Encoder, Limits, Protocol, ProtocolError, RequestDecoder};
use smallvec::SmallVec;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::{Address, Socket};
use crate::clients::{Buffers, Record};
use crate::engine::Engine;
use crate::feeding::Feeding;
use crate::session::{After, Session, Wait};

/// Replies wait for each other up to this size, then they are sent although more requests are at hand.
const FLUSH_AT: usize = 256 * 1024;
/// So many requests at a time are a pipeline.
const MANY: u64 = 4;
/// Bytes read from a client at a time.
const READ_SIZE: usize = 16 * 1024;
/// A client whose command waits may send so much ahead.
const READ_WHILE_WAITING: usize = 1024 * 1024;
/// A connection that has needed larger buffers gives them back when it falls silent.
const KEEP_BUFFER: usize = 8 * 1024;
/// The real servers count only what does not fit into a buffer of this size.
const UNCOUNTED: usize = 16 * 1024;
/// When the server stops, a client has so long to take the replies in flight.
const LAST_WORDS: Duration = Duration::from_secs(1);

pub(super) struct Connection {
    session: Session,
    peer: Address,
    stream: Socket,
    /// This connection ends.
    stop: CancellationToken,
    /// All of them end.
    server_stop: CancellationToken,
    /// A request that waits for the end of a pause.
    held: Option<Vec<Box<[u8]>>>,
    /// Bytes read and not yet counted as the client's.
    received: usize,
    /// How many requests came at a time, the last time.
    batch: u64,
}

/// Reads what has come. A connection that waits has no buffer: what comes first goes through the thread's.
///
/// Nothing is lost if it is dropped halfway.
async fn read(stream: &mut Socket, buffer: &mut BytesMut) -> io::Result<usize> {
    thread_local!(static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_SIZE]));
    if !buffer.is_empty() {
        buffer.reserve(READ_SIZE);
        return stream.read_buf(buffer).await;
    }
    poll_fn(|context| {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut room = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut room))?;
            buffer.extend_from_slice(room.filled());
            Poll::Ready(Ok(room.filled().len()))
        })
    })
    .await
}

impl Connection {
    pub(super) fn new(
        engine: &Arc<Engine>,
        id: u64,
        record: Arc<Record>,
        peer: Address,
        stream: Socket,
        stop: CancellationToken,
        server_stop: CancellationToken,
    ) -> Self {
        let session = Session::new(Arc::clone(engine), id, record, stop.clone());
        Self { session, peer, stream, stop, server_stop, held: None, received: 0, batch: 0 }
    }

    pub(super) async fn run(mut self) {
        let mut decoder = RequestDecoder::new(Limits::requests());
        let mut out: Vec<u8> = Vec::new();
        self.set_limits(&mut decoder);
        let stop = self.stop.clone();
        let mut stopped = pin!(stop.cancelled());
        while !self.stop.is_cancelled() {
            let read = tokio::select! {
                biased;
                read = read(&mut self.stream, decoder.buffer_mut()) => read,
                () = &mut stopped => return,
                () = self.session.outbox.filled() => {
                    self.session.outbox.drain_into(&mut out);
                    if !self.send(&mut out).await {
                        return;
                    }
                    continue;
                }
            };
            match read {
                Ok(0) | Err(_) => return,
                Ok(n) => self.count_received(n),
            }
            if !self.answer(&mut decoder, &mut out).await {
                return;
            }
            if let After::Feed(feed) = std::mem::replace(&mut self.session.after, After::Nothing) {
                let Self { session, peer, stream, stop, .. } = self;
                let (engine, id) = (Arc::clone(&session.engine), session.id);
                Feeding { engine, id, peer, stream, decoder, stop }.run(feed).await;
                return;
            }
            if out.capacity() > KEEP_BUFFER {
                out = Vec::new();
            }
            let buffer = decoder.buffer_mut();
            if buffer.is_empty() && buffer.capacity() > KEEP_BUFFER {
                *buffer = BytesMut::new();
            }
        }
    }

    fn count_received(&mut self, n: usize) {
        self.received += n;
        let stats = &self.session.engine.stats;
        stats.bytes_in.fetch_add(n as u64, Ordering::Relaxed);
        stats.reads.fetch_add(1, Ordering::Relaxed);
    }

    /// What this client may send, as of now.
    fn set_limits(&self, decoder: &mut RequestDecoder) {
        let engine = &self.session.engine;
        let size = |n: i64| u64::try_from(n).unwrap_or(u64::MAX);
        decoder.set_authenticated(self.session.authenticated);
        decoder.set_dialect(engine.compat().differences().dialect);
        decoder.set_limits(size(engine.keyspace.limits().max_bulk()), size(engine.client_limits.query.get()));
    }

    /// Runs every complete request and sends the replies; false when the connection is to end.
    async fn answer(&mut self, decoder: &mut RequestDecoder, out: &mut Vec<u8>) -> bool {
        loop {
            let more = self.run_some(decoder, out);
            let hard = self.session.outbox.limit().hard;
            if hard != 0 && out.len().saturating_sub(UNCOUNTED) as u64 > hard {
                self.session.outbox.hang_up();
                return false;
            }
            // Whoever else has something to say is heard first: then all replies go out in a row, and wake their
            // readers once. For single requests it does not pay.
            if self.batch >= MANY {
                tokio::task::yield_now().await;
            }
            if !self.send(out).await {
                return false;
            }
            match more {
                More::Now => {}
                More::After(wait) => {
                    if !self.wait(wait, decoder, out).await {
                        return false;
                    }
                }
                More::Paused(end) => {
                    let engine = Arc::clone(&self.session.engine);
                    let over = Box::pin(async move {
                        engine.pausing.over(end).await;
                        Vec::new()
                    });
                    if !self.wait(Wait(over), decoder, out).await {
                        return false;
                    }
                }
                More::Later => return true,
                More::Never => {
                    let _ = tokio::time::timeout(LAST_WORDS, self.stream.shutdown()).await;
                    return false;
                }
            }
        }
    }

    /// Sends what there is; false if the client is gone, or is to go.
    async fn send(&mut self, out: &mut Vec<u8>) -> bool {
        if out.is_empty() {
            return true;
        }
        let mut sent = 0;
        let mut last_words = false;
        while sent < out.len() {
            let rest = out.get(sent..).unwrap_or_default();
            let patience = async {
                self.session.outbox.set_unsent(rest.len());
                self.stop.cancelled().await;
                // Killed: at once. The whole server stops: what was done is told.
                if self.server_stop.is_cancelled() && !last_words {
                    tokio::time::sleep(LAST_WORDS).await;
                }
            };
            let written = tokio::select! {
                biased;
                written = self.stream.write(rest) => written,
                () = patience => return false,
            };
            match written {
                Ok(0) | Err(_) => return false,
                Ok(n) => sent += n,
            }
            last_words = self.server_stop.is_cancelled() && sent < out.len();
        }
        if self.stream.has_to_be_flushed() {
            let flushed = tokio::select! {
                biased;
                flushed = self.stream.flush() => flushed.is_ok(),
                () = self.stop.cancelled() => false,
            };
            if !flushed {
                return false;
            }
        }
        let stats = &self.session.engine.stats;
        stats.bytes_out.fetch_add(sent as u64, Ordering::Relaxed);
        stats.writes.fetch_add(1, Ordering::Relaxed);
        self.session.outbox.set_unsent(0);
        out.clear();
        true
    }

    /// Waits for a reply that takes its time: reads on, but runs nothing; false if the connection is to end.
    async fn wait(&mut self, mut wait: Wait, decoder: &mut RequestDecoder, out: &mut Vec<u8>) -> bool {
        loop {
            let has_room = decoder.buffered() < READ_WHILE_WAITING;
            tokio::select! {
                () = self.stop.cancelled() => return false,
                reply = &mut wait.0 => {
                    out.extend_from_slice(&reply);
                    self.session.outbox.drain_into(out);
                    return true;
                }
                () = self.session.outbox.filled() => {
                    self.session.outbox.drain_into(out);
                    if !self.send(out).await {
                        return false;
                    }
                }
                read = read(&mut self.stream, decoder.buffer_mut()), if has_room => match read {
                    Ok(0) | Err(_) => return false,
                    Ok(n) => self.count_received(n),
                },
            }
        }
    }

    fn run_some(&mut self, decoder: &mut RequestDecoder, out: &mut Vec<u8>) -> More {
        let (begin, mut count) = (out.len(), 0);
        self.set_limits(decoder);
        self.session.settle();
        let more = loop {
            if let Some(held) = self.held.take() {
                let parts: SmallVec<[&[u8]; 8]> = held.iter().map(AsRef::as_ref).collect();
                let paused = self.session.paused(&parts);
                if paused.is_none() {
                    self.session.execute(&parts, out);
                }
                drop(parts);
                if let Some(end) = paused {
                    self.held = Some(held);
                    break More::Paused(end);
                }
            } else {
                let request = match decoder.next_ref() {
                    Ok(Some(request)) => request,
                    Ok(None) => break More::Later,
                    Err(ProtocolError::FrameTooLong) => {
                        // As the real servers: not a word.
                        let exceeded = &self.session.engine.client_limits.query_exceeded;
                        exceeded.fetch_add(1, Ordering::Relaxed);
                        break More::Never;
                    }
                    Err(error) => {
                        if !self.session.is_silent() {
                            Encoder::new(out, Protocol::Resp2).protocol_error(&error);
                        }
                        break More::Never;
                    }
                };
                let mut parts: SmallVec<[&[u8]; 8]> = request.iter().collect();
                if parts.is_empty() {
                    continue;
                }
                self.session.call_by_its_name(&mut parts);
                if let Some(end) = self.session.paused(&parts) {
                    self.held = Some(parts.iter().map(|part| (*part).into()).collect());
                    break More::Paused(end);
                }
                self.session.execute(&parts, out);
            }
            count += 1;
            decoder.set_authenticated(self.session.authenticated);
            match &self.session.after {
                After::Nothing => {}
                After::Close => break More::Never,
                After::Vanish => {
                    out.clear();
                    break More::Never;
                }
                After::Feed(_) => break More::Later,
                After::Wait(_) => {
                    if let After::Wait(wait) = std::mem::replace(&mut self.session.after, After::Nothing) {
                        break More::After(wait);
                    }
                }
            }
            if out.len() >= FLUSH_AT {
                break More::Now;
            }
        };
        // As the real servers: behind all replies to what has come at once.
        let engine = &self.session.engine;
        engine.tracking.broadcast(&engine.clients);
        self.session.outbox.drain_into(out);
        let received = std::mem::take(&mut self.received);
        let buffered = decoder.buffered();
        let buffers = Buffers {
            query: buffered,
            query_free: decoder.buffer_mut().capacity().saturating_sub(buffered),
            out: out.capacity(),
        };
        self.batch = count;
        self.session.note(count, received, out.len().saturating_sub(begin), buffers);
        self.session.settle();
        more
    }
}

/// Whether requests are left.
enum More {
    Now,
    /// Once this one has its reply.
    After(Wait),
    /// At this moment, or when the pause ends.
    Paused(Instant),
    Later,
    Never,
}
