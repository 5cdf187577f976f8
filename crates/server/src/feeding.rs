//! A connection that has become a replica's: the snapshot, then the stream.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use replication::{Feed, FeedEvent, FeedState};
use resp::RequestDecoder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::attached::AttachedReplica;
use crate::engine::Engine;
use crate::listener::{Address, Socket};
use crate::snapshot;
use crate::syncing::{Piece, Start, Wanted};

/// One replica's connection, from its PSYNC to its end.
pub(crate) struct Feeding {
    pub(crate) engine: Arc<Engine>,
    pub(crate) id: u64,
    pub(crate) peer: Address,
    pub(crate) stream: Socket,
    pub(crate) decoder: RequestDecoder,
    pub(crate) stop: CancellationToken,
}

/// Where the dump is.
enum Dump {
    /// None is wanted, or it has been sent.
    None,
    /// It has been asked for.
    Asked(oneshot::Receiver<Start>),
    /// It comes in pieces; they are held back for a replica that must be told the length first.
    Coming { pieces: mpsc::Receiver<Piece>, held: Option<Vec<Bytes>> },
}

/// What came of it.
enum Next {
    Start(Option<Start>),
    Piece(Option<Piece>),
}

impl Dump {
    async fn next(&mut self) -> Next {
        match self {
            Self::None => std::future::pending().await,
            Self::Asked(start) => Next::Start(start.await.ok()),
            Self::Coming { pieces, .. } => Next::Piece(pieces.recv().await),
        }
    }
}

impl Feeding {
    /// Serves the replica until either side ends it.
    pub(crate) async fn run(mut self, mut feed: Box<Feed>) {
        self.engine.clients.update(self.id, |client| client.is_replica = true);
        let reason = self.converse(&mut feed).await;
        self.engine.replicas.remove(&self.id);
        feed.detach(&mut self.engine.writing.lock().primary);
        let _ = self.stream.shutdown().await;
        let peer = self.peer.spell(self.engine.compat());
        tracing::info!(peer, %reason, "replica detached");
    }

    async fn converse(&mut self, feed: &mut Box<Feed>) -> String {
        let mut stream_end = self.engine.watch_offset();
        let mut dump = Dump::None;
        let mut told = None;
        loop {
            while let Some(event) = feed.poll_event() {
                self.on_event(feed, &event, &mut dump);
            }
            stream_end.borrow_and_update();
            if let Err(reason) = self.transmit(feed).await {
                return reason;
            }
            self.tell(feed, &mut told);
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
                next = dump.next() => if let Err(reason) = self.on_dump(feed, next, &mut dump) { return reason },
                () = tokio::time::sleep(wait.min(Duration::from_secs(1))) => {
                    let now = self.engine.uptime();
                    let good = feed.handle_timeout(now);
                    let good = good.and_then(|()| feed.check(now, &self.engine.writing.lock().primary));
                    if let Err(error) = good {
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
        let acked = feed.acked().map(|(offset, _)| offset);
        while let Some(request) = self.decoder.next_ref().map_err(|error| error.to_string())? {
            let parts: Vec<&[u8]> = request.iter().collect();
            if parts.is_empty() {
                continue;
            }
            let mut writing = self.engine.writing.lock();
            feed.handle_request(now, &parts, &mut writing.primary).map_err(|error| error.to_string())?;
        }
        if feed.acked().map(|(offset, _)| offset) != acked {
            self.tell(feed, &mut None);
            self.engine.acks.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    async fn transmit(&mut self, feed: &mut Feed) -> Result<(), String> {
        loop {
            let own = feed.poll_reply();
            let next = match own {
                Some(bytes) => Some(bytes),
                None => {
                    let next = feed.poll_transmit(&mut self.engine.writing.lock().primary);
                    next.map_err(|error| error.to_string())?
                }
            };
            let Some(bytes) = next else { return Ok(()) };
            let patience = self.engine.serving.read().timeout;
            let writing = async {
                self.stream.write_all(&bytes).await?;
                if self.stream.has_to_be_flushed() { self.stream.flush().await } else { Ok(()) }
            };
            let written = tokio::select! {
                () = self.stop.cancelled() => return Err("the server stops, or the client was killed".to_owned()),
                written = tokio::time::timeout(patience, writing) => written,
            };
            match written {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(error.to_string()),
                Err(_) => return Err(format!("the replica took nothing for {} s", patience.as_secs())),
            }
            let stats = &self.engine.stats;
            for counter in [&stats.bytes_out, &stats.replication_bytes_out] {
                counter.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
        }
    }

    fn on_event(&self, feed: &Feed, event: &FeedEvent, dump: &mut Dump) {
        match event {
            FeedEvent::SnapshotWanted => {
                self.engine.stats.full_syncs_served.fetch_add(1, Ordering::Relaxed);
                let replica = feed.replica();
                let wanted = Wanted { version: snapshot::version_for(replica), filter: replica.filter };
                *dump = Dump::Asked(self.engine.want_dump(wanted));
            }
            FeedEvent::Continued(_) => {
                self.engine.stats.partial_syncs_served.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    fn on_dump(&self, feed: &mut Feed, next: Next, dump: &mut Dump) -> Result<(), String> {
        match (next, &mut *dump) {
            (Next::Start(Some(start)), _) => {
                feed.begin_snapshot_at(start.join);
                let by_mark = feed.replica().eof && self.engine.serving.read().diskless;
                if by_mark {
                    feed.announce(None).map_err(|error| error.to_string())?;
                }
                *dump = Dump::Coming { pieces: start.pieces, held: (!by_mark).then(Vec::new) };
            }
            (Next::Piece(Some(Piece::Bytes(bytes))), Dump::Coming { held, .. }) => match held {
                Some(held) => held.push(bytes),
                None => feed.snapshot_bytes(bytes),
            },
            (Next::Piece(Some(Piece::End(Ok(())))), Dump::Coming { held, .. }) => {
                if let Some(held) = held.take() {
                    let length = held.iter().map(Bytes::len).sum::<usize>();
                    feed.announce(Some(length as u64)).map_err(|error| error.to_string())?;
                    held.into_iter().for_each(|bytes| feed.snapshot_bytes(bytes));
                }
                feed.end_snapshot();
                *dump = Dump::None;
            }
            (Next::Piece(Some(Piece::End(Err(reason)))), _) => return Err(reason.to_string()),
            _ => return Err("the snapshot was given up".to_owned()),
        }
        Ok(())
    }

    /// Publishes the replica's state for INFO, ROLE and WAIT, where it has changed.
    fn tell(&self, feed: &Feed, told: &mut Option<(FeedState, Option<(replication::Offset, Duration)>)>) {
        let acked = feed.acked();
        let state = (feed.state(), acked);
        if told.replace(state) == Some(state) {
            return;
        }
        let said = feed.replica();
        let now = self.engine.uptime();
        self.engine.replicas.insert(
            self.id,
            AttachedReplica {
                ip: said.ip_address.clone().unwrap_or_else(|| match &self.peer {
                    Address::Ip(addr) => addr.ip().to_string(),
                    Address::Unix(path) => path.to_string(),
                }),
                port: said.listening_port.unwrap_or(0),
                state: feed.state(),
                acked: acked.map_or(0, |(offset, _)| offset.0),
                acked_at: acked.and_then(|(_, at)| Instant::now().checked_sub(now.saturating_sub(at))),
            },
        );
    }
}
