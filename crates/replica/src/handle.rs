//! A running replica.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use replication::{Buffered, Failures, LinkStatus, Phase, Position, Recovery};
use resp::Value;
use server::{Engine, FilterStatus, Listener, Metrics, WarmStart};

use crate::address::Address;
use crate::builder::Builder;
use crate::db::Db;
use crate::error::Error;

/// A data set that follows a primary. Cheap to clone; the last clone dropped stops it.
#[derive(Debug, Clone)]
pub struct Replica {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    engine: Arc<Engine>,
    listener: Option<Listener>,
    closed: AtomicBool,
    link: tokio::sync::watch::Receiver<LinkStatus>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.engine.stop_following();
    }
}

/// How a replica is doing, at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Status {
    /// What the link does.
    pub phase: Phase,
    /// Which history the data set holds, and how much of it; `None` before the first sync.
    pub position: Option<Position>,
    /// Bytes of the stream received, and not all applied yet.
    pub received_offset: Option<u64>,
    /// Bytes received from the primary, of every kind.
    pub bytes_received: u64,
    /// Commands of the stream applied.
    pub commands_applied: u64,
    /// Commands of the stream that could not be applied: 0, or the data set differs from the primary's.
    pub diverged: u64,
    /// Full syncs completed.
    pub full_syncs: u64,
    /// Times the stream was continued without a full sync.
    pub partial_syncs: u64,
    /// Connections after the first.
    pub reconnects: u64,
    /// When the last byte came from the primary.
    pub last_io: Option<Instant>,
    /// Host and port of the primary.
    pub primary: (Arc<str>, u16),
    /// Bytes received and not yet applied.
    pub buffered: Buffered,
    /// How often a connection failed, by reason.
    pub failures: Failures,
    /// Full syncs whose dump came over a connection of its own, so that the primary buffered nothing.
    pub two_channel_syncs: u64,
    /// How it began: with a saved data set ([`Builder::persist`]), or why not.
    pub warm_start: WarmStart,
    /// What is kept of the primary's data, and what that did to the stream; `None`: everything is kept.
    pub filter: Option<FilterStatus>,
}

impl Status {
    /// Whether there is a complete data set to read.
    #[must_use]
    pub fn synced(&self) -> bool {
        self.position.is_some()
    }

    /// Whether the data may be behind the primary by more than what is on its way: they are there, and the
    /// stream does not flow.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.synced() && !self.is_connected()
    }

    /// Whether the stream flows.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.phase.is_streaming()
    }

    /// How much of a running full sync has arrived, 0 to 1; `None` if none runs or its size is unknown.
    #[must_use]
    pub fn fraction(&self) -> Option<f64> {
        match self.phase {
            Phase::Transfer { received, total: Some(total) } if total > 0 => {
                Some(received as f64 / total as f64)
            }
            _ => None,
        }
    }
}

impl Replica {
    /// Settings, to be completed and [started](Builder::start).
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A replica of the primary at `address`, with its first data set complete.
    ///
    /// # Errors
    /// As [`Builder::start`] and [`ready`](Self::ready).
    pub async fn connect(address: &str) -> Result<Self, Error> {
        let replica = Self::builder().master(address).start().await?;
        replica.ready().await?;
        Ok(replica)
    }

    pub(crate) fn new(
        engine: Arc<Engine>,
        listener: Option<Listener>,
        link: tokio::sync::watch::Receiver<LinkStatus>,
    ) -> Self {
        Self { inner: Arc::new(Inner { engine, listener, closed: AtomicBool::new(false), link }) }
    }

    /// Leaves the primary and becomes one, with the data as they are: REPLICAOF NO ONE. Clients may write
    /// then.
    pub fn promote(&self) {
        self.inner.engine.promote();
    }

    /// Leaves the primary for another: REPLICAOF HOST PORT. The data stay until the new primary has sent its
    /// own, and are continued where it knows their history. User, password and TLS stay as they are.
    ///
    /// # Errors
    /// [`Error::Config`], or a thread that cannot be had.
    pub fn follow(&self, address: &str) -> Result<(), Error> {
        let address = Address::parse(address)?;
        let followed = self.inner.engine.replicate(&address.host, address.port);
        followed.map_err(|source| Error::Io { what: "starting a thread", source })
    }

    /// Waits until there is a complete data set: a saved one is there at the start, and
    /// [stale](Status::is_stale) until the primary is. Dropping the future is harmless.
    ///
    /// # Errors
    /// What waiting will not cure: a wrong password, a dump that cannot be understood, a shutdown. A
    /// primary that cannot be reached is waited for; put a timeout around this call to bound it.
    pub async fn ready(&self) -> Result<(), Error> {
        let mut link = self.inner.link.clone();
        loop {
            if self.inner.engine.is_loaded() {
                return Ok(());
            }
            match &link.borrow_and_update().phase {
                Phase::Stopped => return Err(Error::Closed),
                Phase::Down { reason, .. } if reason.recovery() == Recovery::GiveUp => {
                    return Err(reason.clone().into());
                }
                _ => {}
            }
            if link.changed().await.is_err() {
                return Err(Error::Closed);
            }
        }
    }

    /// Waits until the data set holds everything up to `offset` of its history, in bytes.
    ///
    /// # Errors
    /// [`Error::Timeout`]
    pub async fn wait_for_offset(&self, offset: u64, timeout: Duration) -> Result<(), Error> {
        let mut seen = self.inner.engine.watch_offset();
        let waiting = seen.wait_for(|applied| *applied >= offset);
        match tokio::time::timeout(timeout, waiting).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Error::Closed),
            Err(_) => Err(Error::Timeout { what: "the replica has not come so far" }),
        }
    }

    /// A read handle for a database.
    #[must_use]
    pub fn db(&self, index: u32) -> Db {
        Db::new(Arc::clone(self.inner.engine.keyspace()), index)
    }

    /// Runs any command as a client would, without a socket: scripts, functions, INFO.
    ///
    /// ```no_run
    /// # fn run(replica: &replica::Replica) -> Result<(), replica::Error> {
    /// let sum = replica.call(&["EVAL", "return redis.call('GET', KEYS[1]) + ARGV[1]", "1", "n", "2"])?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Command`]
    pub fn call(&self, args: &[impl AsRef<[u8]>]) -> Result<Value, Error> {
        let parts: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        self.inner.engine.call(&parts).map_err(Error::Command)
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        let link = self.inner.link.borrow().clone();
        Status {
            position: self.inner.engine.position(),
            received_offset: link.read_offset.map(|o| o.0),
            bytes_received: link.counters.bytes_received,
            commands_applied: link.counters.commands_applied,
            diverged: self.inner.engine.divergence().total(),
            full_syncs: link.counters.full_syncs,
            partial_syncs: link.counters.partial_syncs,
            reconnects: link.reconnects(),
            last_io: link.last_io,
            primary: link.primary,
            buffered: link.buffered,
            failures: link.failures,
            two_channel_syncs: link.counters.two_channel_syncs,
            warm_start: self.inner.engine.warm_start(),
            filter: self.inner.engine.filter_status(),
            phase: link.phase,
        }
    }

    /// All figures at this moment; their `Display` is what Prometheus reads.
    ///
    /// ```no_run
    /// # fn run(replica: &replica::Replica) {
    /// let metrics = replica.metrics();
    /// if metrics.value("replica_link_up", &[]) == Some(0.0) {
    ///     eprintln!("{metrics}");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.inner.engine.metrics()
    }

    /// Wakes at every change of the link's state; see [`status`](Self::status).
    #[must_use]
    pub fn watch_link(&self) -> tokio::sync::watch::Receiver<LinkStatus> {
        self.inner.link.clone()
    }

    /// Which history the data set holds, and how much of it: every effect up to here is visible to a read
    /// that starts afterwards. `None` before the first sync.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.inner.engine.position()
    }

    /// The engine behind it, for advanced use.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.inner.engine
    }

    /// Where RESP clients are served, if [`Builder::listen`] was given.
    #[must_use]
    pub fn listener(&self) -> Option<&Listener> {
        self.inner.listener.as_ref()
    }

    /// The first address where RESP clients are served, if [`Builder::listen`] was given.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.inner.listener.as_ref().map(Listener::local_addr)
    }

    /// Saves the data set to the file of [`Builder::persist`]; others read and write on meanwhile.
    ///
    /// # Errors
    /// [`Error::Save`]; the file is what it was before.
    pub async fn save(&self) -> Result<(), Error> {
        Ok(self.inner.engine.save().await?)
    }

    /// Stops following and serving, in order, and saves the data set if it has a file; the data stay readable
    /// through the handles that exist.
    ///
    /// # Errors
    /// [`Error::Closed`] if it was shut down before, [`Error::Save`].
    pub async fn shutdown(&self) -> Result<(), Error> {
        if self.inner.closed.swap(true, Ordering::AcqRel) {
            return Err(Error::Closed);
        }
        if let Some(listener) = &self.inner.listener {
            listener.shutdown().await;
        }
        self.inner.engine.unfollow().await;
        if self.inner.engine.is_unsaved() && self.inner.engine.is_loaded() {
            self.save().await?;
        }
        Ok(())
    }
}
