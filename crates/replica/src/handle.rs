//! A running replica.

#[cfg(feature = "server")]
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use replication::{Buffered, Failures, LinkStatus, Phase, Position, Recovery};
use resp::Value;
#[cfg(feature = "server")]
use server::Listener;
use server::{
    Engine, EventFilter, Events, FilterStatus, KeyWatch, Metrics, SaveProgress, ShardStatus, WarmStart,
};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::address::Address;
use crate::builder::Builder;
use crate::caller::Caller;
use crate::cmd::Cmd;
use crate::db::Db;
use crate::error::Error;
use crate::script::Script;
use crate::store::{DatabaseInfo, Store};
use crate::verify::How;
use crate::view::View;

/// A data set that follows a primary. Cheap to clone; the last clone dropped stops it.
///
/// ```
/// # use replica::{Replica, Standalone};
/// # #[tokio::main]
/// # async fn main() -> Result<(), replica::Error> {
/// # let primary = Standalone::start("127.0.0.1:0").await?;
/// # primary.command(&["SET", "user:1:name", "Ada"])?;
/// # let address = primary.url(); // redis://127.0.0.1:6379
/// let replica = Replica::connect(&address).await?;
///
/// // Any thread reads, with or without a runtime.
/// let there = replica.clone();
/// let reader = std::thread::spawn(move || there.db(0).get_as::<String>("user:1:name"));
/// assert_eq!(reader.join().unwrap()?.as_deref(), Some("Ada"));
///
/// let status = replica.status();
/// assert!(status.is_connected() && status.diverged == 0);
/// replica.shutdown().await
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Replica {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    engine: Arc<Engine>,
    #[cfg(feature = "server")]
    listener: Option<Listener>,
    closed: AtomicBool,
    /// Where its tasks run: callers may be threads without one.
    runtime: Handle,
    link: watch::Receiver<LinkStatus>,
    name: Option<String>,
    /// Where its primary was at first; without the login, which the link's settings have.
    met: Address,
    how: How,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.engine.stop_following();
        self.engine.close_events();
    }
}

/// How a replica is doing, at one moment. The position is exact; what the link counts (bytes, commands, syncs) is as of its
/// last read from the socket, and may be a little behind.
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
    /// Keys of all databases.
    pub keys: usize,
    /// Bytes that the data take.
    pub memory: usize,
    /// Times the stream was continued without a full sync.
    pub partial_syncs: u64,
    /// Connections after the first.
    pub reconnects: u64,
    /// Since when the stream has flowed, of this connection or the last one that came so far.
    pub connected_at: Option<SystemTime>,
    /// When the stream last ceased to flow.
    pub disconnected_at: Option<SystemTime>,
    /// When the last full sync began.
    pub sync_began: Option<SystemTime>,
    /// When the last full sync was complete.
    pub last_sync: Option<SystemTime>,
    /// The database that the stream has selected, for [`Builder::resume`].
    pub stream_db: Option<u32>,
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

/// The states of a replica, one after another; see [`Replica::watch_status`].
#[derive(Debug)]
pub struct States {
    link: watch::Receiver<LinkStatus>,
    inner: Weak<Inner>,
}

impl States {
    /// The state after the next change; states that followed each other in between are left out. At first the
    /// present one. `None` once the replica has ended.
    pub async fn next(&mut self) -> Option<Status> {
        self.link.changed().await.ok()?;
        self.link.mark_unchanged();
        self.inner.upgrade().map(|inner| Replica { inner }.status())
    }
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
        #[cfg(feature = "server")] listener: Option<Listener>,
        link: watch::Receiver<LinkStatus>,
        name: Option<String>,
        met: Address,
        how: How,
    ) -> Self {
        let inner = Inner {
            engine,
            #[cfg(feature = "server")]
            listener,
            closed: AtomicBool::new(false),
            runtime: Handle::current(),
            link,
            name,
            met,
            how,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Turns RESP clients away, replies in flight first.
    async fn stop_serving(&self) {
        #[cfg(feature = "server")]
        if let Some(listener) = &self.inner.listener {
            listener.shutdown().await;
        }
    }

    /// Its name, if [`Builder::name`] gave it one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.inner.name.as_deref()
    }

    /// Whether the stream of the primary flows.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.inner.link.borrow().phase.is_streaming()
    }

    /// Calls `f` once there is a complete data set: at once if there is one already. `f` runs on a task of its own.
    ///
    /// ```
    /// # use replica::{Replica, Standalone};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), replica::Error> {
    /// # let primary = Standalone::start("127.0.0.1:0").await?;
    /// let replica = Replica::builder().master(primary.url()).start().await?;
    /// let told = replica.on_ready(|outcome| println!("ready: {outcome:?}"));
    /// # told.await.unwrap();
    /// # replica.shutdown().await
    /// # }
    /// ```
    pub fn on_ready(&self, f: impl FnOnce(Result<(), Error>) + Send + 'static) -> JoinHandle<()> {
        let ready = self.readiness();
        self.inner.runtime.spawn(async move { f(ready.await) })
    }

    /// Calls `f` after each full sync from now on, the first included if it is still to come.
    ///
    /// ```
    /// # use replica::{Replica, Standalone};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), replica::Error> {
    /// # let primary = Standalone::start("127.0.0.1:0").await?;
    /// let replica = Replica::builder().master(primary.url()).start().await?;
    /// let task = replica.on_sync(|position| println!("all data as of {position}"));
    /// # replica.ready().await?;
    /// task.abort(); // no more of it
    /// # replica.shutdown().await
    /// # }
    /// ```
    pub fn on_sync(&self, mut f: impl FnMut(Position) + Send + 'static) -> JoinHandle<()> {
        let (mut link, engine) = (self.inner.link.clone(), Arc::downgrade(&self.inner.engine));
        let mut seen = link.borrow_and_update().counters.full_syncs;
        self.inner.runtime.spawn(async move {
            while link.changed().await.is_ok() {
                let syncs = link.borrow_and_update().counters.full_syncs;
                if syncs > std::mem::replace(&mut seen, syncs)
                    && let Some(position) = engine.upgrade().and_then(|engine| engine.position())
                {
                    f(position);
                }
            }
        })
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
        if address.service.is_some()
            || address.unix.is_some()
            || !address.cluster.is_empty()
            || !address.others.is_empty()
        {
            return Err(Error::Config(
                "Sentinels, clusters, Unix sockets and lists are named at the start, by Builder::master"
                    .to_owned(),
            ));
        }
        if !self.shards().is_empty() {
            return Err(Error::Config("a copy of a cluster follows its shards: promote it first".to_owned()));
        }
        let followed = self.inner.engine.replicate(&address.host, address.port);
        followed.map_err(|source| Error::Io { what: "starting a thread", source })
    }

    /// Waits until there is a complete data set: a saved one is there at the start, and
    /// [stale](Status::is_stale) until the primary is. Dropping the future is harmless.
    ///
    /// ```
    /// # use replica::{Error, Replica};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Error> {
    /// use std::time::Duration;
    /// use tokio::time::timeout;
    ///
    /// let replica = Replica::builder().master("redis://127.0.0.1:1").start().await?;
    /// match timeout(Duration::from_millis(50), replica.ready()).await {
    ///     Ok(Ok(())) => println!("ready"),
    ///     Ok(Err(error)) => return Err(error), // nobody cures it by waiting
    ///     Err(_) => println!("not yet: {:?}", replica.status().phase),
    /// }
    /// # assert!(!replica.status().synced());
    /// # replica.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// What waiting will not cure: a wrong password, a dump that cannot be understood, a shutdown. A
    /// primary that cannot be reached is waited for; put a timeout around this call to bound it.
    pub async fn ready(&self) -> Result<(), Error> {
        self.readiness().await
    }

    fn readiness(&self) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let (mut link, engine) = (self.inner.link.clone(), Arc::downgrade(&self.inner.engine));
        async move {
            loop {
                if engine.upgrade().ok_or(Error::Closed)?.is_loaded() {
                    return Ok(());
                }
                {
                    let status = link.borrow_and_update();
                    match &status.phase {
                        Phase::Stopped => return Err(Error::Closed),
                        Phase::Down { reason, .. } if reason.recovery() == Recovery::GiveUp => {
                            let retries = status.failures.total().saturating_sub(1);
                            return Err(Error::Replication { source: reason.clone(), retries });
                        }
                        _ => {}
                    }
                }
                if link.changed().await.is_err() {
                    return Err(Error::Closed);
                }
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

    /// Runs a command on the primary, and tells where its history stands behind it: once that is
    /// [waited for](Self::wait_for), what was written can be read here. Connections are kept for the next, with the
    /// login, TLS and transport of the link.
    ///
    /// ```
    /// # use replica::Standalone;
    /// use replica::{Replica, cmd};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), replica::Error> {
    /// # let primary = Standalone::start("127.0.0.1:0").await?;
    /// # let replica = Replica::connect(&primary.url()).await?;
    /// let (_, at) = replica.write(cmd!("SET", "user:1:name", "Ada")).await?;
    /// replica.wait_for(at).await?; // now every local read sees it
    /// assert_eq!(replica.db(0).get("user:1:name")?.unwrap(), b"Ada");
    /// # replica.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Server`] if the primary answers with an error, [`Error::Upstream`] if it cannot be reached, or was lost
    /// before it answered: then [`UpstreamError::is_unsent`](crate::UpstreamError::is_unsent) tells whether the
    /// command may have run.
    pub async fn write(&self, cmd: Cmd) -> Result<(Value, Position), Error> {
        let (reply, position) = self.inner.engine.write_through(cmd.db(), cmd.words()).await?;
        match reply {
            Value::Error(line) => Err(Error::of_server(&line)),
            reply => Ok((reply, position)),
        }
    }

    /// The whole data set at one moment, so that nothing is half seen. The writer waits while it lives: be brief.
    ///
    /// ```
    /// # use replica::{Replica, Standalone};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), replica::Error> {
    /// # let primary = Standalone::start("127.0.0.1:0").await?;
    /// # primary.call(&["MSET", "debit", "5", "credit", "5"])?;
    /// # let replica = Replica::connect(&primary.url()).await?;
    /// let balanced = {
    ///     let view = replica.view();
    ///     view.db(0).get_as::<i64>("debit")? == view.db(0).get_as::<i64>("credit")?
    /// };
    /// assert!(balanced);
    /// # replica.shutdown().await
    /// # }
    /// ```
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View::new(&self.inner.engine)
    }

    /// The data set with its figures; for reads, [`db`](Self::db) is enough.
    #[must_use]
    pub fn store(&self) -> Store {
        Store { engine: Arc::clone(&self.inner.engine) }
    }

    /// The databases that hold keys, in order.
    #[must_use]
    pub fn databases(&self) -> Vec<DatabaseInfo> {
        self.store().databases()
    }

    /// Stops following and serving, and leaves the data as a store that can be written to. Other clones of this
    /// replica still read the same data.
    ///
    /// ```
    /// # use replica::{Replica, Standalone};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), replica::Error> {
    /// # let primary = Standalone::start("127.0.0.1:0").await?;
    /// # primary.command(&["SET", "k", "1"])?;
    /// let replica = Replica::connect(&primary.url()).await?;
    /// assert!(matches!(replica.store().command(0, &["INCR", "k"]), Err(replica::Error::ReadOnly)));
    /// let store = replica.into_store().await;
    /// store.command(0, &["INCR", "k"])?;
    /// assert_eq!(store.db(0).get_as::<u64>("k")?, Some(2));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn into_store(self) -> Store {
        if !self.inner.closed.swap(true, Ordering::AcqRel) {
            self.stop_serving().await;
        }
        self.inner.engine.promote();
        self.inner.engine.unfollow().await;
        self.store()
    }

    /// Runs any command as a client would, without a socket: scripts, functions, INFO.
    ///
    /// ```
    /// # use replica::{Replica, Standalone, Value};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), replica::Error> {
    /// # let primary = Standalone::start("127.0.0.1:0").await?;
    /// # primary.command(&["SET", "n", "40"])?;
    /// # let replica = Replica::connect(&primary.url()).await?;
    /// let sum = replica.call(&["EVAL", "return redis.call('GET', KEYS[1]) + ARGV[1]", "1", "n", "2"])?;
    /// assert_eq!(sum, Value::Integer(42));
    /// # replica.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Command`]
    pub fn call(&self, args: &[impl AsRef<[u8]>]) -> Result<Value, Error> {
        let parts: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        self.inner.engine.call(&parts).map_err(Error::of_command)
    }

    /// A conversation for many such calls.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller::new(server::Caller::new(&self.inner.engine))
    }

    /// The shards of a cluster that is followed, by their slots, each with its position; empty for any other replica.
    ///
    /// ```no_run
    /// # fn run(replica: &replica::Replica) {
    /// for shard in replica.shards() {
    ///     println!("{:?} of {:?}: {} bytes behind", shard.slots, shard.primary, shard.behind_bytes);
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn shards(&self) -> Vec<ShardStatus> {
        self.inner.engine.shards()
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
            connected_at: link.connected_at,
            disconnected_at: link.disconnected_at,
            sync_began: link.sync_began,
            last_sync: link.last_sync,
            stream_db: link.stream_db,
            keys: self.inner.engine.keyspace().counts().keys,
            memory: self.inner.engine.keyspace().payload(),
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
    /// ```
    /// # use replica::{Replica, Standalone};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), replica::Error> {
    /// # let primary = Standalone::start("127.0.0.1:0").await?;
    /// # primary.command(&["SET", "k", "v"])?;
    /// # let replica = Replica::connect(&primary.url()).await?;
    /// let metrics = replica.metrics();
    /// assert_eq!(metrics.value("replica_keys", &[("db", "0")]), Some(1.0));
    /// assert!(metrics.to_string().contains("replica_keys{db=\"0\"} 1"));
    /// # replica.shutdown().await
    /// # }
    /// ```
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.inner.engine.metrics()
    }

    /// Where the data come from now, with the link's login.
    pub(crate) fn whom(&self) -> Address {
        let settings = self.inner.engine.link_settings();
        let (host, port) = self.inner.link.borrow().primary.clone();
        let met = &self.inner.met;
        let is_there_still = (&*host, port) == (met.host.as_str(), met.port);
        Address {
            host: host.to_string(),
            port,
            others: if is_there_still { met.others.clone() } else { Vec::new() },
            unix: met.unix.clone().filter(|_| is_there_still),
            user: settings.user,
            password: settings.password,
            tls: met.tls,
            service: None,
            cluster: self.shards().into_iter().map(|shard| shard.primary).collect(),
        }
    }

    /// How to speak TLS to them.
    pub(crate) fn how(&self) -> How {
        self.inner.how.clone()
    }

    pub(crate) fn link(&self) -> LinkStatus {
        self.inner.link.borrow().clone()
    }

    /// What happens to the data, and to the link: a bounded stream. It begins with what there is (a bracket) unless
    /// the filter says otherwise. It costs nothing while nobody asks for it.
    ///
    /// ```
    /// use replica::{Event, EventFilter, Replica, Standalone};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), replica::Error> {
    /// let primary = Standalone::start("127.0.0.1:0").await?;
    /// let replica = Replica::connect(&primary.url()).await?;
    /// let mut events = replica.events(EventFilter::new().prefix("user:").with_after().without_snapshot());
    /// primary.command(&["SET", "other", "x"])?;
    /// primary.command(&["SET", "user:1", "Ada"])?;
    /// while let Some(event) = events.next().await {
    ///     if let Event::Change(change) = event {
    ///         assert_eq!((&change.key[..], change.what, change.command), (&b"user:1"[..], "set", Some("set")));
    ///         assert_eq!(change.after.unwrap().as_string().unwrap(), "Ada");
    ///         break;
    ///     }
    /// }
    /// # replica.shutdown().await
    /// # }
    /// ```
    #[must_use]
    pub fn events(&self, filter: EventFilter) -> Events {
        self.inner.engine.events(filter)
    }

    /// Watches one key: wakes when it is written.
    ///
    /// ```
    /// # use replica::{Replica, Standalone};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), replica::Error> {
    /// # let primary = Standalone::start("127.0.0.1:0").await?;
    /// # let replica = Replica::connect(&primary.url()).await?;
    /// let mut flag = replica.watch(0, "feature:dark-mode");
    /// primary.command(&["SET", "feature:dark-mode", "on"])?;
    /// assert!(flag.changed().await);
    /// assert_eq!(replica.db(0).get("feature:dark-mode")?.unwrap(), b"on");
    /// # replica.shutdown().await
    /// # }
    /// ```
    #[must_use]
    pub fn watch(&self, db: u32, key: impl AsRef<[u8]>) -> KeyWatch {
        self.inner.engine.watch_key(db, key.as_ref())
    }

    /// Wakes at every change of the link's state; see [`status`](Self::status).
    #[must_use]
    pub fn watch_link(&self) -> watch::Receiver<LinkStatus> {
        self.inner.link.clone()
    }

    /// The state, now and at every change of the link: a stream of [`Status`]. It ends with the replica.
    ///
    /// ```
    /// # use replica::{Replica, Standalone};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), replica::Error> {
    /// # let primary = Standalone::start("127.0.0.1:0").await?;
    /// let replica = Replica::builder().master(primary.url()).start().await?;
    /// let mut states = replica.watch_status();
    /// while !states.next().await.is_some_and(|status| status.is_connected()) {}
    /// # replica.shutdown().await
    /// # }
    /// ```
    #[must_use]
    pub fn watch_status(&self) -> States {
        let mut link = self.inner.link.clone();
        link.mark_changed();
        States { link, inner: Arc::downgrade(&self.inner) }
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
    #[cfg(feature = "server")]
    #[must_use]
    pub fn listener(&self) -> Option<&Listener> {
        self.inner.listener.as_ref()
    }

    /// The first address where RESP clients are served, if [`Builder::listen`] was given.
    #[cfg(feature = "server")]
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

    /// Saves the data set as it is now to any file, as a dump for the servers that this replica is like
    /// ([`Builder::compat`]), and answers its position. It is written to `PATH.tmp`, made durable, and renamed: `path` is the old file or the new one, also
    /// after a crash. Others read and write on meanwhile; a dropped future leaves the old file.
    ///
    /// ```
    /// # use replica::{Replica, Standalone};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let primary = Standalone::start("127.0.0.1:0").await?;
    /// # primary.command(&["SET", "k", "v"])?;
    /// # let replica = Replica::connect(&primary.url()).await?;
    /// # let path = std::env::temp_dir().join(format!("save_to-{}.rdb", std::process::id()));
    /// let position = replica.save_to(&path).await?;
    /// assert_eq!(Some(position.replid), replica.position().map(|now| now.replid));
    /// assert!(std::fs::read(&path)?.starts_with(b"REDIS"));
    /// # std::fs::remove_file(&path)?;
    /// # Ok(replica.shutdown().await?)
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Save`]; the file is what it was before.
    pub async fn save_to(&self, path: impl Into<PathBuf>) -> Result<Position, Error> {
        self.save_to_with(path, |_| {}).await
    }

    /// The same, and tells after each piece how far it is. `progress` runs on the thread that writes.
    ///
    /// # Errors
    /// As [`save_to`](Self::save_to).
    pub async fn save_to_with(
        &self,
        path: impl Into<PathBuf>,
        progress: impl FnMut(SaveProgress) + Send + 'static,
    ) -> Result<Position, Error> {
        Ok(self.inner.engine.save_to(path.into(), progress).await?)
    }

    /// A Lua script, compiled, to be run on the data set: as in [`call`](Self::call), what it may do is what a client
    /// of this replica may.
    ///
    /// ```
    /// # use replica::{Replica, Standalone};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), replica::Error> {
    /// # let primary = Standalone::start("127.0.0.1:0").await?;
    /// # primary.command(&["SET", "n", "40"])?;
    /// # let replica = Replica::connect(&primary.url()).await?;
    /// let sum = replica.script("return redis.call('GET', KEYS[1]) + ARGV[1]")?;
    /// assert_eq!(sum.key("n").arg(2).eval::<i64>()?, 42);
    /// # replica.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Command`]: it does not compile, or this build has no Lua.
    pub fn script(&self, source: impl AsRef<[u8]>) -> Result<Script, Error> {
        Script::load(&self.inner.engine, source.as_ref())
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
        self.stop_serving().await;
        self.inner.engine.unfollow().await;
        self.inner.engine.close_events();
        if self.inner.engine.is_unsaved() && self.inner.engine.is_loaded() {
            self.save().await?;
        }
        Ok(())
    }
}
