//! A connection that has become a replica's: the snapshot, then the stream.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use replication::{Feed, FeedEvent, FeedOptions, FeedState, Position};
use resp::RequestDecoder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::snapshot;

/// A replica of ours, for INFO and ROLE.
#[derive(Debug, Clone)]
pub(crate) struct AttachedReplica {
    pub(crate) ip: String,
    pub(crate) port: u16,
    pub(crate) state: String,
    pub(crate) online: bool,
    pub(crate) acked: u64,
    pub(crate) acked_at: Option<Instant>,
}

impl Engine {
    pub(crate) fn feed_options(&self) -> FeedOptions {
        let mut options = FeedOptions::default();
        options.timeout = self.options.replication_timeout;
        options
    }
}

/// One replica's connection, from its PSYNC to its end.
pub(crate) struct Feeding {
    pub(crate) engine: Arc<Engine>,
    pub(crate) id: u64,
    pub(crate) peer: SocketAddr,
    pub(crate) stream: TcpStream,
    pub(crate) decoder: RequestDecoder,
    pub(crate) stop: CancellationToken,
}

impl Feeding {
    /// Serves the replica until either side ends it.
    pub(crate) async fn run(mut self, mut feed: Box<Feed>) {
        self.engine.clients.update(self.id, |client| client.is_replica = true);
        let reason = self.converse(&mut feed).await;
        self.engine.replicas.remove(&self.id);
        feed.detach(&mut self.engine.writing.lock().primary);
        tracing::info!(peer = %self.peer, %reason, "replica detached");
    }

    async fn converse(&mut self, feed: &mut Box<Feed>) -> String {
        let mut stream_end = self.engine.stream_end.subscribe();
        loop {
            while let Some(event) = feed.poll_event() {
                if let Err(reason) = self.on_event(feed, &event).await {
                    return reason;
                }
            }
            stream_end.borrow_and_update();
            if let Err(reason) = self.transmit(feed).await {
                return reason;
            }
            self.tell(feed);
            let now = self.engine.uptime();
            let wait = feed.poll_timeout().map_or(Duration::from_secs(1), |at| at.saturating_sub(now));
            tokio::select! {
                () = self.stop.cancelled() => return "the server stops, or the client was killed".to_owned(),
                changed = stream_end.changed() => if changed.is_err() { return "the server ended".to_owned() },
                read = self.stream.read_buf(self.decoder.buffer_mut()) => match read {
                    Ok(0) => return "the replica closed the connection".to_owned(),
                    Ok(_) => if let Err(reason) = self.listen(feed) { return reason },
                    Err(error) => return error.to_string(),
                },
                () = tokio::time::sleep(wait) => {
                    if let Err(error) = feed.handle_timeout(self.engine.uptime()) {
                        return error.to_string();
                    }
                }
            }
        }
    }

    /// Takes in what the replica says: ACKs, and newlines while it loads.
    fn listen(&mut self, feed: &mut Feed) -> Result<(), String> {
        let now = self.engine.uptime();
        feed.handle_sign_of_life(now);
        while let Some(request) = self.decoder.next_ref().map_err(|error| error.to_string())? {
            let parts: Vec<&[u8]> = request.iter().collect();
            if parts.is_empty() {
                continue;
            }
            let mut writing = self.engine.writing.lock();
            feed.handle_request(now, &parts, &mut writing.primary).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    async fn transmit(&mut self, feed: &mut Feed) -> Result<(), String> {
        loop {
            let next = feed.poll_transmit(&mut self.engine.writing.lock().primary);
            let Some(bytes) = next.map_err(|error| error.to_string())? else { return Ok(()) };
            self.stream.write_all(&bytes).await.map_err(|error| error.to_string())?;
            self.engine.stats.bytes_out.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
    }

    async fn on_event(&mut self, feed: &mut Box<Feed>, event: &FeedEvent) -> Result<(), String> {
        match event {
            FeedEvent::SnapshotWanted => {
                self.engine.stats.full_syncs_served.fetch_add(1, Ordering::Relaxed);
                self.snapshot(feed).await
            }
            FeedEvent::Continued(_) => {
                self.engine.stats.partial_syncs_served.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Cuts a snapshot and hands it over. Writes wait while it is encoded; the encoding happens on a
    /// thread where it holds up no other connection.
    async fn snapshot(&mut self, feed: &mut Box<Feed>) -> Result<(), String> {
        let engine = Arc::clone(&self.engine);
        let mut borrowed =
            std::mem::replace(feed, Box::new(Feed::new(engine.uptime(), engine.feed_options())));
        let made = tokio::task::spawn_blocking(move || {
            let mut writing = engine.writing.lock();
            let position: Position = borrowed.begin_snapshot(&mut writing.primary);
            let dump = snapshot::dump(&engine.keyspace, Some(position));
            (borrowed, dump)
        });
        let (returned, dump) = made.await.map_err(|error| error.to_string())?;
        *feed = returned;
        let dump: Vec<Bytes> = dump.map_err(|error| error.to_string())?;
        let length: usize = dump.iter().map(Bytes::len).sum();
        let eof = feed.replica().eof;
        feed.announce((!eof).then_some(length as u64)).map_err(|error| error.to_string())?;
        for bytes in dump {
            feed.snapshot_bytes(bytes);
            self.transmit(feed).await?;
        }
        feed.end_snapshot();
        Ok(())
    }

    /// Publishes the replica's state for INFO and ROLE.
    fn tell(&self, feed: &Feed) {
        let said = feed.replica();
        let now = self.engine.uptime();
        let acked = feed.acked();
        self.engine.replicas.insert(
            self.id,
            AttachedReplica {
                ip: said.ip_address.clone().unwrap_or_else(|| self.peer.ip().to_string()),
                port: said.listening_port.unwrap_or(0),
                state: feed.state().to_string(),
                online: feed.state() == FeedState::Online,
                acked: acked.map_or(0, |(offset, _)| offset.0),
                acked_at: acked.and_then(|(_, at)| Instant::now().checked_sub(now.saturating_sub(at))),
            },
        );
    }
}
