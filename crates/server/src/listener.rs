//! The TCP listener: one task a connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use resp::{Encoder, Limits, Protocol, RequestDecoder};
use smallvec::SmallVec;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::Engine;
use crate::feeding::Feeding;
use crate::session::{After, Session, Wait};

/// Replies wait for each other up to this size, then they are sent although more requests are at hand.
const FLUSH_AT: usize = 256 * 1024;
/// Bytes read from a client at a time.
const READ_SIZE: usize = 16 * 1024;
/// A client whose command waits may send so much ahead.
const READ_WHILE_WAITING: usize = 1024 * 1024;
/// A connection that has needed larger buffers gives them back when it falls silent.
const KEEP_BUFFER: usize = 64 * 1024;

/// A running listener. Dropping it stops accepting and ends its connections.
#[derive(Debug)]
pub struct Listener {
    addr: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Listener {
    /// Accepts clients of `engine` at `addr`; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(engine: Arc<Engine>, addr: impl ToSocketAddrs) -> io::Result<Self> {
        let socket = TcpListener::bind(addr).await?;
        let addr = socket.local_addr()?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        crate::pulse::spawn(&engine, stop.clone())?;
        tasks.spawn(accept(engine, socket, stop.clone(), tasks.clone()));
        tracing::info!(%addr, "listening");
        Ok(Self { addr, stop, tasks })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops accepting, lets replies in flight finish, and ends the connections.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(engine: Arc<Engine>, socket: TcpListener, stop: CancellationToken, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                engine.stats.connections.fetch_add(1, Ordering::Relaxed);
                let _ = stream.set_nodelay(true);
                let local = stream.local_addr().unwrap_or(peer);
                let stop = stop.child_token();
                let id = engine.clients.add(peer, local, stop.clone());
                let engine = Arc::clone(&engine);
                tasks.spawn(async move {
                    Connection {
                        session: Session::new(Arc::clone(&engine), id, stop.clone()),
                        peer,
                        stream,
                        stop,
                        held: None,
                        received: 0,
                    }
                    .run()
                    .await;
                    engine.observed.monitors.remove(id);
                    engine.clients.remove(id);
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: wait for some to come back.
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

struct Connection {
    session: Session,
    peer: SocketAddr,
    stream: TcpStream,
    stop: CancellationToken,
    /// A request that waits for the end of a pause.
    held: Option<Vec<Box<[u8]>>>,
    /// Bytes read and not yet counted as the client's.
    received: usize,
}

impl Connection {
    async fn run(mut self) {
        let mut decoder = RequestDecoder::new(Limits::requests());
        let mut out: Vec<u8> = Vec::new();
        decoder.set_authenticated(self.session.authenticated);
        loop {
            decoder.buffer_mut().reserve(READ_SIZE);
            let read = tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.session.outbox.filled() => {
                    self.session.outbox.drain_into(&mut out);
                    if !self.send(&mut out).await {
                        return;
                    }
                    continue;
                }
                read = self.stream.read_buf(decoder.buffer_mut()) => read,
            };
            match read {
                Ok(0) | Err(_) => return,
                Ok(n) => {
                    self.received += n;
                    self.session.engine.stats.bytes_in.fetch_add(n as u64, Ordering::Relaxed);
                }
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
        }
    }

    /// Runs every complete request and sends the replies; false when the connection is to end.
    async fn answer(&mut self, decoder: &mut RequestDecoder, out: &mut Vec<u8>) -> bool {
        loop {
            let more = self.run_some(decoder, out);
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
                    tokio::select! {
                        () = self.stop.cancelled() => return false,
                        () = engine.pausing.over(end) => {}
                    }
                }
                More::Later => return true,
                More::Never => {
                    let _ = self.stream.shutdown().await;
                    return false;
                }
            }
        }
    }

    /// Sends what there is; false if the client is gone.
    async fn send(&mut self, out: &mut Vec<u8>) -> bool {
        if !out.is_empty() {
            self.session.engine.stats.bytes_out.fetch_add(out.len() as u64, Ordering::Relaxed);
            if self.stream.write_all(out).await.is_err() {
                return false;
            }
            out.clear();
        }
        true
    }

    /// Waits for a reply that takes its time: reads on, but runs nothing; false if the connection is to end.
    async fn wait(&mut self, mut wait: Wait, decoder: &mut RequestDecoder, out: &mut Vec<u8>) -> bool {
        loop {
            let has_room = decoder.buffer_mut().len() < READ_WHILE_WAITING;
            decoder.buffer_mut().reserve(READ_SIZE);
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
                read = self.stream.read_buf(decoder.buffer_mut()), if has_room => match read {
                    Ok(0) | Err(_) => return false,
                    Ok(n) => {
                        self.received += n;
                        self.session.engine.stats.bytes_in.fetch_add(n as u64, Ordering::Relaxed);
                    }
                },
            }
        }
    }

    fn run_some(&mut self, decoder: &mut RequestDecoder, out: &mut Vec<u8>) -> More {
        let (begin, mut count) = (out.len(), 0);
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
                    Err(error) => {
                        Encoder::new(out, Protocol::Resp2).protocol_error(&error);
                        break More::Never;
                    }
                };
                let parts: SmallVec<[&[u8]; 8]> = request.iter().collect();
                if parts.is_empty() {
                    continue;
                }
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
        if count > 0 {
            self.session.note_command();
        }
        let received = std::mem::take(&mut self.received);
        self.session.note_traffic(count, received, out.len().saturating_sub(begin));
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
