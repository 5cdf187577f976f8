//! Settings, and the start.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use ::store::{Cleanup, Compat, MAX_SHARDS};
use replication::{Backoff, Connector, CredentialsProvider, DriverConfig, Position};
use server::{
    Allocator, Applied, Configuration, Engine, Filter, Limit, Options, Role, Sentinels, UnknownTypes, Writes,
    WritesAs, housekeeper,
};
#[cfg(feature = "server")]
use server::{Endpoint, Listener};

use crate::address::Address;
use crate::credentials::Credentials;
use crate::error::Error;
use crate::handle::Replica;
use crate::log::{self, LogLine};
use crate::recorder::{self, Recorder};
use crate::route;
use crate::verify::How;

/// Longer than anything runs.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Settings of a [`Replica`]; made by [`Replica::builder`]. Only [`master`](Self::master) is required: what is not said is
/// as a real replica has it.
///
/// ```no_run
/// # async fn run() -> Result<(), replica::Error> {
/// use replica::{Credentials, Filter, Limit, Replica};
/// use std::time::Duration;
///
/// let replica = Replica::builder()
///     .master("redis-sentinel://sentinel-1,sentinel-2/cache")
///     .credentials(Credentials::provider(|| {
///         let secret = std::fs::read_to_string("/run/secrets/cache").unwrap_or_default();
///         Credentials::user("reader", secret.trim_end())
///     }))
///     .filter(Filter::new().databases([0]).prefixes(["user:", "session:"]))
///     .max_memory(2 << 30)
///     .on_memory_limit(Limit::Report) // tell, and stay equal to the primary
///     .persist("/var/lib/app/copy.rdb") // the next start serves this at once
///     .connect_timeout(Duration::from_secs(2))
///     .start()
///     .await?;
/// replica.ready().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Builder {
    master: Option<String>,
    #[cfg(feature = "server")]
    listen: Vec<Endpoint>,
    configuration: Configuration,
    protected_mode: bool,
    max_clients: u32,
    server_password: Option<String>,
    acl_file: Option<PathBuf>,
    databases: u32,
    compat: Option<Compat>,
    priority: u32,
    announced: bool,
    announce_port: u16,
    filter: Filter,
    persist: Option<PathBuf>,
    persist_every: Option<Duration>,
    writes: Writes,
    writes_as: WritesAs,
    sentinel_credentials: Option<Credentials>,
    max_memory: u64,
    memory_limit: Limit,
    reclaim_expired: Option<Duration>,
    cleanup: Cleanup,
    keep_events: usize,
    allocator: Allocator,
    credentials: Option<Credentials>,
    name: Option<String>,
    server: bool,
    default_database: u32,
    serve_while_loading: bool,
    unknown_types: UnknownTypes,
    shards: usize,
    resume: Option<(Position, u32)>,
    recorder: Option<recorder::Shared>,
    on_log: Option<log::Listener>,
    /// All that concerns the link; the address comes at the start.
    link: DriverConfig,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            master: None,
            #[cfg(feature = "server")]
            listen: Vec::new(),
            configuration: Configuration::default(),
            protected_mode: true,
            max_clients: 10_000,
            server_password: None,
            acl_file: None,
            databases: 16,
            compat: None,
            priority: 0,
            announced: false,
            announce_port: 0,
            filter: Filter::new(),
            persist: None,
            persist_every: Some(Duration::from_secs(60)),
            writes: Writes::default(),
            writes_as: WritesAs::default(),
            sentinel_credentials: None,
            max_memory: 0,
            memory_limit: Limit::default(),
            reclaim_expired: None,
            cleanup: Cleanup::default(),
            keep_events: 0,
            allocator: Allocator::default(),
            credentials: None,
            name: None,
            server: true,
            default_database: 0,
            serve_while_loading: false,
            unknown_types: UnknownTypes::default(),
            shards: MAX_SHARDS,
            resume: None,
            recorder: None,
            on_log: None,
            link: DriverConfig::new("", 0),
        }
    }
}

impl Builder {
    /// The primary. Required.
    ///
    /// | address | who it is |
    /// | --- | --- |
    /// | `host:port`, `redis://user:password@host:port` | one server; `rediss://` over TLS |
    /// | `redis://host1,host2:7000` | the first of several that answers, looked for at every connection |
    /// | `unix:///run/redis.sock`, `unix://user:password@/run/redis.sock` | a server of this machine |
    /// | `redis-sentinel://host1,host2/name` | whoever these Sentinels say is the primary |
    /// | `redis-cluster://host1,host2` | every shard of a cluster |
    ///
    /// `valkey://` and `valkeys://` are the same as `redis://` and `rediss://`. What clients say behind the place, a database
    /// (`/2`) and parameters (`?timeout=5`), is read past: every database is followed, and settings are methods here. Of several that answer, the first may be
    /// a replica: then this is a copy of its copy. Where primaries change places, ask Sentinels.
    #[must_use]
    pub fn master(mut self, address: impl Into<String>) -> Self {
        self.master = Some(address.into());
        self
    }

    /// Who we are to the primary, instead of what stands in the address.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// A name for this replica where a program has several: in [`Replica::name`], in the log, and in the primary's
    /// CLIENT LIST unless [`client_name`](Self::client_name) says otherwise.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Whether to listen at all, if [`listen`](Self::listen) gives an address. Default true.
    #[must_use]
    pub fn server(mut self, serves: bool) -> Self {
        self.server = serves;
        self
    }

    /// The database in which connections of RESP clients begin. Default 0.
    #[must_use]
    pub fn default_database(mut self, database: u32) -> Self {
        self.default_database = database;
        self
    }

    /// Lets RESP clients read before the first sync is complete: there is nothing yet, and they are told so instead of
    /// `LOADING`. Later full syncs never keep anybody from reading. Default false.
    #[must_use]
    pub fn serve_while_loading(mut self, serves: bool) -> Self {
        self.serve_while_loading = serves;
        self
    }

    /// What to do with values of types that only a module of the primary's understands. Default: they are kept as
    /// they are, can be seen by TYPE and DUMP, and are passed on to replicas.
    #[must_use]
    pub fn unknown_types(mut self, policy: UnknownTypes) -> Self {
        self.unknown_types = policy;
        self
    }

    /// How many shards a database has, each with a lock and a table of its own; rounded up to a power of two. Default:
    /// 256, which is also the most ([`start`](Self::start) refuses others). Fewer take less memory where there are many
    /// databases of few keys; a reader whose key is not a short string then waits more often for the writer.
    #[must_use]
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = shards;
        self
    }

    /// Goes on from this position without its data: for those who keep what they need elsewhere, and only want what
    /// happens from there on as [events](Replica::events). `database` is the one that the stream had selected there
    /// ([`Status::stream_db`](crate::Status::stream_db)). The data set then begins empty and holds what is written
    /// from there on; if the primary cannot go on from there, a full sync comes. To begin with data, use
    /// [`persist`](Self::persist).
    #[must_use]
    pub fn resume(mut self, position: Position, database: u32) -> Self {
        self.resume = Some((position, database));
        self
    }

    /// How to reach the primary, if not by TCP: a proxy, a tunnel, a socket of another sort, a network in a test. TLS,
    /// if asked for, comes on top.
    #[must_use]
    pub fn connector(mut self, connector: Connector) -> Self {
        self.link.connector = Some(connector);
        self
    }

    /// Tells this recorder what is measured.
    #[must_use]
    pub fn metrics(mut self, recorder: impl Recorder) -> Self {
        self.recorder = Some(recorder::Shared(Arc::new(recorder)));
        self
    }

    /// Hands each line of the log (level INFO and above) to `f`, if the program has no `tracing` subscriber. It
    /// becomes the subscriber of the whole program: the first one counts.
    #[must_use]
    pub fn on_log(mut self, f: impl Fn(&LogLine) + Send + Sync + 'static) -> Self {
        self.on_log = Some(log::Listener(Arc::new(f)));
        self
    }

    /// Whether RESP clients may not write, which is the default. False: what they write is passed on to the primary,
    /// as [`writes`](Self::writes) with [`Writes::Forward`] does; this copy itself is written by nobody else.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.writes = match (read_only, self.writes) {
            (true, _) => Writes::Reject,
            (false, Writes::Reject) => Writes::Forward,
            (false, writes) => writes,
        };
        self
    }

    /// Of the stream, applies every command but these: short for [`filter`](Self::filter) with
    /// [`Filter::block_commands`]. The copy is then not the primary's.
    #[must_use]
    pub fn block_commands<C: AsRef<str>>(mut self, commands: impl IntoIterator<Item = C>) -> Self {
        self.filter = self.filter.block_commands(commands);
        self
    }

    /// Serves the copy to RESP clients at this address; `:6380` means every interface, port 0 a free port
    /// (see [`Replica::local_addr`]). May be called more than once, for several addresses.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen.push(Endpoint::Tcp(address.into()));
        self
    }

    /// The same with TLS.
    #[cfg(all(feature = "server", feature = "tls"))]
    #[must_use]
    pub fn listen_tls(mut self, address: impl Into<String>, tls: server::ServerTls) -> Self {
        self.listen.push(Endpoint::Tls(address.into(), tls));
        self
    }

    /// Serves the copy at a Unix socket, too. A socket that another run has left there is replaced; the file goes when
    /// the replica goes. Where there are no Unix sockets the start fails.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn listen_unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.listen.push(Endpoint::Unix(path.into(), 0));
        self
    }

    /// Whether RESP clients from other machines are turned away while they need no password (`protected-mode`).
    /// Default true, as with the real servers: give a [password](Self::server_password) or
    /// [users](Self::acl_file), or turn it off where the network itself is trusted.
    #[must_use]
    pub fn protected_mode(mut self, on: bool) -> Self {
        self.protected_mode = on;
        self
    }

    /// Most RESP clients at a time (`maxclients`). Default 10000.
    #[must_use]
    pub fn max_clients(mut self, clients: u32) -> Self {
        self.max_clients = clients;
        self
    }

    /// Settings by their names in `redis.conf`: of a file, or [pushed](Configuration::push) one by one. They hold over
    /// what the other methods say. `replicaof` is not looked at: [`master`](Self::master) is.
    #[must_use]
    pub fn configuration(mut self, configuration: Configuration) -> Self {
        self.configuration = configuration;
        self
    }

    /// What RESP clients must give to AUTH.
    #[must_use]
    pub fn server_password(mut self, password: impl Into<String>) -> Self {
        self.server_password = Some(password.into());
        self
    }

    /// The file of users (`aclfile`) that RESP clients may be; read at the start, and by ACL LOAD.
    #[must_use]
    pub fn acl_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.acl_file = Some(path.into());
        self
    }

    /// How many databases SELECT offers to RESP clients; grows if the primary uses more. Default 16.
    #[must_use]
    pub fn databases(mut self, databases: u32) -> Self {
        self.databases = databases;
        self
    }

    /// Which server RESP clients see: versions, commands, texts. Default: what the primary is. The stream is applied
    /// whatever this is.
    #[must_use]
    pub fn compat(mut self, compat: Compat) -> Self {
        self.compat = Some(compat);
        self
    }

    /// How long the primary may be silent during a full sync: progress, not the total. Default 60 s.
    #[must_use]
    pub fn sync_timeout(mut self, timeout: Duration) -> Self {
        self.link.link.sync_timeout = timeout;
        self
    }

    /// How long connecting may take. Default 5 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.link.connect_timeout = timeout;
        self
    }

    /// How long each answer of the primary may take before the dump. Default 5 s.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.link.link.handshake_timeout = timeout;
        self
    }

    /// How long a command of the stream that has begun may wait for its next byte. Default 60 s.
    #[must_use]
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.link.link.read_timeout = timeout;
        self
    }

    /// How long the stream may be silent between commands. Default 60 s; primaries ping every 10 s.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.link.link.idle_timeout = timeout;
        self
    }

    /// How long the primary may leave what we send unread. Default 10 s.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.link.write_timeout = timeout;
        self
    }

    /// Time between two acknowledgements to the primary. Default 1 s, as real replicas; zero turns them off
    /// but for those that the primary asks for, and a real primary then takes the replica for dead.
    #[must_use]
    pub fn ack_interval(mut self, interval: Duration) -> Self {
        self.link.link.ack_interval = if interval.is_zero() { NEVER } else { interval };
        self
    }

    /// The same as [`ack_interval`](Self::ack_interval).
    #[must_use]
    pub fn heartbeat_interval(self, interval: Duration) -> Self {
        self.ack_interval(interval)
    }

    /// How long to wait between connections. Default: 1 s, doubling up to 30 s, each varied by a fifth.
    #[must_use]
    pub fn reconnect(mut self, backoff: Backoff) -> Self {
        self.link.backoff = backoff;
        self
    }

    /// Most bytes a second that a full sync may take from the network; the stream is not limited.
    #[must_use]
    pub fn rate_limit(mut self, bytes: u64) -> Self {
        self.link.rate_limit = Some(bytes);
        self
    }

    /// Bytes that may wait in this process, received and not yet applied. Default 256 MiB. Beyond them the
    /// primary has to buffer; [`Status::buffered`](crate::Status::buffered) shows how many there are.
    #[must_use]
    pub fn buffer_limit(mut self, bytes: usize) -> Self {
        self.link.buffer_limit = bytes;
        self
    }

    /// Whether a full sync may use a second connection where the primary offers it (Redis 8, Valkey 8).
    /// Default true.
    #[must_use]
    pub fn two_channels(mut self, allowed: bool) -> Self {
        self.link.link.two_channels = allowed;
        self
    }

    /// The address to tell the primary instead of the connection's and the listener's.
    #[must_use]
    pub fn announce(mut self, host: impl Into<String>, port: u16) -> Self {
        self.link.link.ip_address = Some(host.into());
        self.announce_port = port;
        self
    }

    /// `replica-priority`: Sentinel never promotes a replica of priority 0, which is the default here.
    #[must_use]
    pub fn priority(mut self, priority: u32) -> Self {
        self.priority = priority;
        self
    }

    /// `replica-announced`: whether Sentinels tell clients of this replica. Default false.
    #[must_use]
    pub fn announced(mut self, announced: bool) -> Self {
        self.announced = announced;
        self
    }

    /// Keeps only a part of the primary's data. The rest costs no memory: see [`Filter`], and
    /// [`Status::filter`](crate::Status::filter) for what it means.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Keeps the data set in this file, so that the next start goes on where this one ended: by
    /// [`Replica::shutdown`], by [`Replica::save`], and from time to time
    /// ([`persist_every`](Self::persist_every)). A start loads it, serves it at once
    /// ([`Status::is_stale`](crate::Status::is_stale) until the primary is there) and asks the primary for what
    /// has come since; a file that is damaged, or of another filter, is refused and a full sync follows
    /// ([`Status::warm_start`](crate::Status::warm_start)). It is a plain dump, which real servers load as well (that of
    /// a cluster only while no slot is on its way). One replica a file. Of a cluster, every shard goes on where it was.
    #[must_use]
    pub fn persist(mut self, file: impl Into<PathBuf>) -> Self {
        self.persist = Some(file.into());
        self
    }

    /// How often to save while it runs, if anything has changed. Default 60 s; `None`: only at the end and on
    /// demand.
    #[must_use]
    pub fn persist_every(mut self, interval: Option<Duration>) -> Self {
        self.persist_every = interval;
        self
    }

    /// User and password for the Sentinels of a `redis-sentinel://` address. Default: none; those of the address are
    /// the primary's.
    #[must_use]
    pub fn sentinel_credentials(mut self, credentials: Credentials) -> Self {
        self.sentinel_credentials = Some(credentials);
        self
    }

    /// What happens to the writes of RESP clients: refused, which is the default, or passed on to the primary.
    #[must_use]
    pub fn writes(mut self, writes: Writes) -> Self {
        self.writes = writes;
        self
    }

    /// Under which name they run there. Default: the client's own.
    #[must_use]
    pub fn writes_as(mut self, name: WritesAs) -> Self {
        self.writes_as = name;
        self
    }

    /// Bytes that the data may take; see [`on_memory_limit`](Self::on_memory_limit) for what happens then. Default 0:
    /// no limit.
    #[must_use]
    pub fn max_memory(mut self, bytes: u64) -> Self {
        self.max_memory = bytes;
        self
    }

    /// What happens when the data are larger than [`max_memory`](Self::max_memory). Default: they stay equal to the
    /// primary's, and the log and INFO say so.
    #[must_use]
    pub fn on_memory_limit(mut self, limit: Limit) -> Self {
        self.memory_limit = limit;
        self
    }

    /// Removes what has expired so long after its deadline (clocks differ) instead of waiting for the primary to say
    /// so. Readers do not see it in either case. Default: waits.
    #[must_use]
    pub fn reclaim_expired(mut self, after: Duration) -> Self {
        self.reclaim_expired = Some(after);
        self
    }

    /// How eagerly expired keys are looked for once the replica is promoted, or if it
    /// [reclaims](Self::reclaim_expired) them.
    #[must_use]
    pub fn cleanup(mut self, cleanup: Cleanup) -> Self {
        self.cleanup = cleanup;
        self
    }

    /// Keeps so many events (at least 65,536 if any, and at most 64 MiB of keys and values) for subscribers to come, so
    /// that they can go on [from a position](crate::EventFilter::since) though nobody listened. Default 0: events are
    /// noted only while somebody [subscribes](Replica::events).
    #[must_use]
    pub fn keep_events(mut self, events: usize) -> Self {
        self.keep_events = events;
        self
    }

    /// The program's allocator: its name for INFO, and how it gives memory back (`MEMORY PURGE`, and once a second what
    /// has been free for a while).
    #[must_use]
    pub fn allocator(mut self, allocator: Allocator) -> Self {
        self.allocator = allocator;
        self
    }

    /// The connection's name in the primary's CLIENT LIST.
    #[must_use]
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.link.link.client_name = Some(name.into());
        self
    }

    /// The word for PSYNC, where the primary's configuration has renamed the command.
    #[must_use]
    pub fn psync_command(mut self, word: impl Into<String>) -> Self {
        self.link.link.psync_command = word.into();
        self
    }

    /// TLS to the primary; `rediss://` in the address without this means [`Tls::builder`](crate::Tls::builder)
    /// with the authorities that browsers know.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: replication::Tls) -> Self {
        self.link.tls = Some(tls);
        self
    }

    /// Starts the link and the listener. Does not wait for the primary: see [`Replica::ready`].
    ///
    /// # Errors
    /// [`Error::Config`], or a socket or thread that cannot be had.
    pub async fn start(self) -> Result<Replica, Error> {
        if let Some(on_log) = self.on_log.clone() {
            log::install(on_log);
        }
        if !(1..=MAX_SHARDS).contains(&self.shards) {
            return Err(Error::Config(format!("{} shards: a database has 1 to {MAX_SHARDS}", self.shards)));
        }
        let master = self.master.as_deref().ok_or_else(|| Error::Config("no primary given".to_owned()))?;
        let address = Address::parse(master)?;
        if !address.cluster.is_empty() && self.resume.is_some() {
            let what = "a copy of a cluster goes on from a file (persist), not from one position";
            return Err(Error::Config(what.to_owned()));
        }
        if self.filter.names_shards() && address.cluster.is_empty() {
            return Err(Error::Config("a filter by shards is for copies of clusters".to_owned()));
        }
        let mut options = Options::default();
        options.databases = self.databases;
        options.shards = self.shards;
        options.filter = self.filter;
        options.compat = self.compat;
        options.password = self.server_password;
        options.acl_file = self.acl_file;
        if let Some(file) = &self.persist {
            let name = file.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            options.dbfilename =
                name.ok_or_else(|| Error::Config(format!("{} names no file", file.display())))?;
            let dir =
                file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
            let dir = std::fs::canonicalize(dir);
            options.dir = Some(dir.map_err(|source| Error::Io { what: "the directory to save to", source })?);
            options.persist = true;
            options.persist_every = self.persist_every;
        }
        options.max_memory = self.max_memory;
        options.memory_limit = self.memory_limit;
        options.reclaim_expired = self.reclaim_expired;
        options.cleanup = self.cleanup;
        options.keep_events = self.keep_events;
        options.allocator = self.allocator;
        options.default_database = self.default_database;
        options.serve_while_loading = self.serve_while_loading;
        options.unknown_types = self.unknown_types;
        options.applied = self.recorder.as_ref().map(|recorder| {
            let recorder = Arc::clone(&recorder.0);
            Applied::new(move |command, took| recorder.record_command_processed(command, took))
        });
        options.protected_mode = self.protected_mode;
        options.max_clients = self.max_clients;
        let startup =
            self.configuration.startup(&mut options).map_err(|error| Error::Config(error.to_string()))?;
        let role = Role::Replica { host: address.host.clone(), port: address.port };
        let engine = Engine::new(role, options);
        engine.change_link_settings(|settings| {
            settings.priority = self.priority;
            settings.announced = self.announced;
            settings.writes = self.writes;
            settings.writes_as = self.writes_as;
            settings.announce_port = self.announce_port;
            settings.announce_ip.clone_from(&self.link.link.ip_address);
        });
        engine.configure(&self.configuration).map_err(|error| Error::Config(error.to_string()))?;
        engine.load_users().map_err(|error| Error::Config(error.to_string()))?;
        housekeeper::spawn(&engine).map_err(|source| Error::Io { what: "starting a thread", source })?;
        #[cfg(feature = "server")]
        let listener = {
            let mut endpoints = self.listen;
            endpoints.extend(engine.endpoints(&startup).map_err(|error| Error::Config(error.to_string()))?);
            if !self.server {
                endpoints.clear();
            }
            match endpoints.as_slice() {
                [] => None,
                endpoints => {
                    let opened = Listener::open(engine.clone(), endpoints).await;
                    Some(opened.map_err(|source| Error::Io { what: "listening", source })?)
                }
            }
        };
        #[cfg(not(feature = "server"))]
        if self.server
            && !engine.endpoints(&startup).map_err(|error| Error::Config(error.to_string()))?.is_empty()
        {
            return Err(Error::Config("this build listens nowhere: feature `server`".to_owned()));
        }
        let (met, mut config) = (Address { user: None, password: None, ..address.clone() }, self.link);
        if config.connector.is_none() {
            config.connector = route::to(&address, config.connect_timeout)?;
        }
        config.host = address.host;
        config.port = address.port;
        let user = address.user;
        let told = address.password.map(|password| replication::Credentials { user, password });
        config.link.credentials = self.credentials.as_ref().map(Credentials::now).or(told);
        if let Some(asked) = self.credentials.filter(Credentials::is_asked) {
            config.credentials = Some(provider(asked, Arc::downgrade(&engine)));
        }
        config.link.client_name = config.link.client_name.or_else(|| self.name.clone());
        let (saved, is_cluster) = (Arc::clone(&engine), !address.cluster.is_empty());
        let restored = tokio::task::spawn_blocking(move || match is_cluster {
            true => (None, saved.restore_cluster()),
            false => (saved.restore(), None),
        });
        let (resume, saved) = restored.await.map_err(|error| Error::Config(error.to_string()))?;
        config.resume = resume;
        if let (None, Some((position, database))) = (config.resume, self.resume) {
            engine.begin_at(position, database);
            config.resume = self.resume;
        }
        #[cfg(feature = "server")]
        {
            config.link.listening_port = listener.as_ref().map_or(0, |l| l.local_addr().port());
        }
        #[cfg(feature = "tls")]
        if startup.tls_replication && config.tls.is_none() {
            let (certificate, key, authorities) =
                engine.tls_files().map_err(|error| Error::Config(error.to_string()))?;
            let mut tls = replication::Tls::builder("").client_cert(certificate, key);
            if let Some(pem) = authorities {
                tls = tls.roots(pem);
            }
            config.tls = Some(tls.build().map_err(|error| Error::Config(error.to_string()))?);
        }
        #[cfg(feature = "tls")]
        if address.tls && config.tls.is_none() {
            let tls = replication::Tls::builder("").build();
            config.tls = Some(tls.map_err(|error| Error::Config(error.to_string()))?);
        }
        #[cfg(not(feature = "tls"))]
        if address.tls {
            return Err(Error::Config("this build has no TLS: feature `tls`".to_owned()));
        }
        #[cfg(feature = "tls")]
        let (met, how) = (Address { tls: config.tls.is_some(), ..met }, How { tls: config.tls.clone() });
        #[cfg(not(feature = "tls"))]
        let how = How {};
        let link = match address.service {
            None if !address.cluster.is_empty() => Ok(engine.follow_cluster(address.cluster, config, saved)),
            None => engine.follow(config),
            Some(service) => {
                let mut sentinels = Sentinels::new(service.name, service.sentinels);
                sentinels.credentials = self.sentinel_credentials.as_ref().map(Credentials::now);
                let how = config.clone();
                let link = engine.follow_later(config);
                engine.heed(sentinels, how);
                link
            }
        };
        let link = link.map_err(|source| Error::Io { what: "starting a thread", source })?;
        if let Some(recorder) = self.recorder {
            tokio::spawn(recorder::tell(recorder.0, Arc::downgrade(&engine), link.clone()));
        }
        Ok(Replica::new(
            engine,
            #[cfg(feature = "server")]
            listener,
            link,
            self.name,
            met,
            how,
        ))
    }
}

/// Asks before each connection, and lets the engine know for those that it makes itself.
fn provider(asked: Credentials, engine: Weak<Engine>) -> CredentialsProvider {
    CredentialsProvider::new(move || {
        let credentials = asked.now();
        if let Some(engine) = engine.upgrade() {
            engine.know_credentials(&credentials);
        }
        credentials
    })
}
