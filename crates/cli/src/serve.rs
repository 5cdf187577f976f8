//! `replica serve`: a live copy, or a writable server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use replica::{Credentials, Replica};
use server::{Close, Configuration, Endpoint, Engine, Listener, Options, Role, housekeeper};
use store::Compat;

use crate::{Failure, runtime_of};

/// The port without a configuration file; with one it is that of the real servers.
const PORT: &str = "6380";
const PORT_OF_FILE: &str = "6379";

/// Arguments of `replica serve`. Those that have the name of a setting hold over the configuration file.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A configuration file in the grammar of redis.conf.
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// The same.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The primary to follow: redis://user:password@host:port, host:port (`replicaof` of a file is the same), several
    /// of them after commas for the first that answers, unix:///path for a socket of this machine, or
    /// redis-sentinel://host:port,host:port/name for whom those Sentinels name, or redis-cluster://host:port,host:port
    /// for every shard of the cluster of these nodes. (Other users of this machine see arguments: prefer the
    /// variable where there is a password in it.)
    #[arg(
        long,
        value_name = "URL",
        env = "REPLICA_MASTER",
        hide_env_values = true,
        conflicts_with = "standalone"
    )]
    master: Option<String>,
    /// No primary: a writable server that replicas can follow.
    #[arg(long)]
    standalone: bool,
    /// Where to listen: host:port, or :port for every interface; port 0 takes a free one. May be repeated.
    /// [default: 127.0.0.1:6380]
    #[arg(long, value_name = "ADDR")]
    listen: Vec<String>,
    /// Shards of a database, each with a lock and a table of its own; rounded up to a power of two.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), default_value_t = 256)]
    shards: u16,
    /// Threads that serve clients. Default: half of the cores.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=128))]
    io_threads: Option<u16>,
    /// A dump file to begin with.
    #[arg(long, value_name = "FILE", conflicts_with = "master")]
    load: Option<PathBuf>,
    /// Keeps the copy in this file: the next start serves it at once and asks the primary for the rest only.
    #[arg(long, value_name = "FILE", conflicts_with = "standalone")]
    persist: Option<PathBuf>,
    /// Seconds between two savings of it while it changes; 0: only at the end.
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, requires = "persist")]
    persist_interval: f64,
    /// The user of the Sentinels of a redis-sentinel:// address, if they want one.
    #[arg(long, value_name = "NAME", requires = "sentinel_password")]
    sentinel_user: Option<String>,
    /// And the password. (Other users of this machine see arguments: prefer the variable.)
    #[arg(long, value_name = "PASSWORD", env = "REPLICA_SENTINEL_PASSWORD", hide_env_values = true)]
    sentinel_password: Option<String>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    tls: crate::tls::Args,
    #[command(flatten)]
    filter: crate::filter::Args,
    /// Most bytes a second that a full sync may take from the network.
    #[arg(long, value_name = "BYTES", conflicts_with = "standalone")]
    rate_limit: Option<u64>,
    /// Serves /metrics, /healthz, /readyz and a page that shows how it goes, without any login: host:port, or :port for
    /// every interface.
    #[cfg(feature = "http")]
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// How stale the data may be for /readyz to say that they are ready: seconds since the primary was heard of. Primaries
    /// send something every 10 seconds at least.
    #[cfg(feature = "http")]
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, requires = "http")]
    ready_within: f64,
    /// Which server to be for clients: redis-7.0, redis-7.2, redis-7.4, redis-8.2, valkey-8.1 or valkey-9.1. Default:
    /// what the primary is; redis-8.2 without one.
    #[arg(long, value_name = "NAME")]
    compat: Option<Compat>,
}

/// Declares the arguments that are settings, and how they become lines of the configuration.
macro_rules! settings {
    ($($(#[$doc:meta])* $field:ident $name:literal $value:literal;)*) => {
        /// Settings by their names.
        #[derive(Debug, clap::Args)]
        #[group(skip)]
        struct Settings {
            $($(#[$doc])* #[arg(long = $name, value_name = $value)] $field: Option<String>,)*
            /// What clients must give to AUTH. (Other users of this machine see arguments: prefer the variable.)
            #[arg(long, value_name = "PASSWORD", env = "REPLICA_PASSWORD", hide_env_values = true)]
            requirepass: Option<String>,
            /// Lets Sentinels tell clients of this replica.
            #[arg(long)]
            replica_announced: bool,
            /// Any other setting: --set "hash-max-listpack-entries 64". May be repeated.
            #[arg(long, value_name = "SETTING")]
            set: Vec<String>,
        }

        impl Settings {
            /// Says all of it behind what the configuration says.
            fn push_to(&self, configuration: &mut Configuration) {
                let mut say = |name: &str, value: &str| {
                    if WORDS.contains(&name) && !value.is_empty() {
                        configuration.push(name, value.split_ascii_whitespace());
                    } else {
                        configuration.push(name, [value]);
                    }
                };
                $(if let Some(value) = &self.$field {
                    say($name, value);
                })*
                if let Some(password) = &self.requirepass {
                    say("requirepass", password);
                }
                if self.replica_announced {
                    say("replica-announced", "yes");
                }
                for setting in &self.set {
                    let (name, value) = setting.split_once([' ', '=']).unwrap_or((setting, ""));
                    say(name, value.trim());
                }
            }
        }
    };
}

/// Settings of several words.
const WORDS: [&str; 4] = ["bind", "save", "client-output-buffer-limit", "replicaof"];

settings! {
    /// Hosts to listen at, with --port, --tls-port or both: "127.0.0.1 -::1"; * is every interface.
    bind "bind" "HOSTS";
    /// The port at those hosts; 0: none.
    port "port" "PORT";
    /// The port for TLS; 0: none.
    tls_port "tls-port" "PORT";
    /// The server's certificate (PEM), with its chain.
    tls_cert_file "tls-cert-file" "FILE";
    /// Its key (PEM).
    tls_key_file "tls-key-file" "FILE";
    /// Certificates (PEM) of the authorities that sign clients' certificates.
    tls_ca_cert_file "tls-ca-cert-file" "FILE";
    /// Whether clients must show a certificate: no, optional, yes. [default: yes]
    tls_auth_clients "tls-auth-clients" "CHOICE";
    /// TLSv1.2, TLSv1.3 or both.
    tls_protocols "tls-protocols" "NAMES";
    /// A Unix socket to listen at.
    unixsocket "unixsocket" "PATH";
    /// Its permissions, as 770.
    unixsocketperm "unixsocketperm" "MODE";
    /// Turns away clients from elsewhere while nobody needs a password: yes or no. [default: yes]
    protected_mode "protected-mode" "CHOICE";
    /// Most clients at a time. [default: 10000]
    maxclients "maxclients" "N";
    /// Hangs up on clients who say nothing for so long; 0: does not. [default: 0]
    timeout "timeout" "SECONDS";
    /// Silence after which the system looks whether a client is still there; 0: never. [default: 300]
    tcp_keepalive "tcp-keepalive" "SECONDS";
    /// How many clients may wait to be accepted. [default: 511]
    tcp_backlog "tcp-backlog" "N";
    /// Does without pages of 2 MiB, on Linux: yes or no. [default: yes]
    disable_thp "disable-thp" "CHOICE";
    /// What may wait for clients who do not read: class, hard limit, soft limit, seconds; and the next class.
    client_output_buffer_limit "client-output-buffer-limit" "LIMITS";
    /// Where SAVE and BGSAVE write, and where a dump is looked for at the start. Default: the working directory,
    /// and no dump is looked for.
    dir "dir" "DIR";
    /// The name of the dump in that directory. [default: dump.rdb]
    dbfilename "dbfilename" "NAME";
    /// Saves by itself: pairs of seconds and changes, as "3600 1 300 100".
    save "save" "POINTS";
    /// Who may set `dir` and `dbfilename`: no, yes or local. [default: no]
    enable_protected_configs "enable-protected-configs" "WHO";
    /// The file of users (ACL LOAD and ACL SAVE), read at the start.
    aclfile "aclfile" "FILE";
    /// Chance to be promoted by a Sentinel: 0, the default, is never.
    replica_priority "replica-priority" "N";
    /// What a replica does with the writes of clients: reject, forward (to the primary), or forward-and-wait (until the
    /// effect can be read here). [default: reject]
    replica_writes "replica-writes" "CHOICE";
    /// Under which name forwarded writes run on the primary: client (with what it gave to AUTH here), or link.
    /// [default: client]
    replica_writes_as "replica-writes-as" "NAME";
    /// What clients of clusters are told: copy (this server is the one node and has every slot), or off (this is no
    /// cluster). [default: off]
    cluster_topology "cluster-topology" "CHOICE";
    /// How many databases SELECT offers; grows if the primary uses more. [default: 16]
    databases "databases" "N";
    /// Bytes that the data may take, as 512mb; 0: no limit. [default: 0]
    maxmemory "maxmemory" "BYTES";
    /// Which keys go first when there is no room: noeviction, allkeys-lru, volatile-ttl ... [default: noeviction]
    maxmemory_policy "maxmemory-policy" "POLICY";
    /// What a replica does when its data are larger than that: report, stop or evict-lru. [default: report]
    replica_memory_limit "replica-memory-limit" "CHOICE";
    /// Removes what has expired so many milliseconds after its deadline instead of waiting for the primary to do it.
    replica_reclaim_expired "replica-reclaim-expired" "MS";
    /// How eagerly expired keys are looked for: default, small-dataset, medium-dataset, large-dataset,
    /// best-performance, low-latency, or four numbers: keys of a round, rounds, keys of a batch, percentage.
    active_expire_cleanup "active-expire-cleanup" "PRESET";
    /// Who may use DEBUG: no, yes or local. [default: no]
    enable_debug_command "enable-debug-command" "WHO";
}

/// The whole configuration: the file, and the command line over it.
fn configuration(args: &Args) -> Result<Configuration, Failure> {
    let mut configuration = match args.file.as_ref().or(args.config.as_ref()) {
        Some(path) => Configuration::read(path)?,
        None => Configuration::default(),
    };
    args.settings.push_to(&mut configuration);
    complete(&mut configuration, args);
    Ok(configuration)
}

/// What holds if nobody says it: where to listen, and what the program decides for its process.
fn complete(configuration: &mut Configuration, args: &Args) {
    let has_file = args.file.is_some() || args.config.is_some();
    let says = |name| configuration.last(name).is_some();
    let elsewhere = says("tls-port") || says("unixsocket") || !args.listen.is_empty();
    if !says("port") && (has_file && args.listen.is_empty() || !elsewhere) {
        let port = if has_file { PORT_OF_FILE } else { PORT };
        configuration.push("port", [port]);
    }
    if configuration.last("disable-thp").is_none() {
        configuration.push("disable-thp", ["yes"]);
    }
    if configuration.last("bind").is_none() {
        let hosts: &[&str] = if has_file { &["*", "-::*"] } else { &["127.0.0.1"] };
        configuration.push("bind", hosts);
    }
}

/// Tells whoever started it where clients may come.
fn tell(listener: &Listener) {
    for addr in listener.local_addrs() {
        say!("serving on {addr}");
    }
    for path in listener.local_paths() {
        say!("serving on {}", path.display());
    }
}

/// Runs until it is told to stop.
pub fn run(args: Args) -> Result<(), Failure> {
    let configuration = configuration(&args)?;
    let has_file = args.file.is_some() || args.config.is_some();
    let threads = args.io_threads.map_or_else(crate::half_of_the_cores, usize::from);
    runtime_of(threads)?.block_on(async {
        let startup = configuration.startup(&mut Options::default())?;
        let named = startup.primary.map(|(host, port)| match host.contains(':') {
            true => format!("redis://[{host}]:{port}"),
            false => format!("redis://{host}:{port}"),
        });
        match args.master.clone().or(named) {
            Some(_) if args.standalone => Err("a standalone server has no `replicaof`".into()),
            Some(master) => follow(args, configuration, master).await,
            None if args.standalone || has_file => stand_alone(args, configuration).await,
            None => Err("--master URL, --standalone or a configuration file is needed".into()),
        }
    })
}

/// Opens the HTTP port, if one is wanted.
#[cfg(feature = "http")]
async fn open_http(addr: Option<&String>, ready_within: f64, engine: &Arc<Engine>) -> Result<(), Failure> {
    if let Some(addr) = addr {
        let within = Duration::try_from_secs_f64(ready_within)?;
        let bound = crate::http::serve(addr, Arc::clone(engine), within).await?;
        say!("http on {bound}");
    }
    Ok(())
}

async fn follow(args: Args, configuration: Configuration, master: String) -> Result<(), Failure> {
    let tls = replica::Address::parse(&master)?.tls;
    let mut builder = Replica::builder().master(master).allocator(crate::giving_back::ITSELF);
    builder = builder.shards(args.shards.into());
    for address in &args.listen {
        builder = builder.listen(address);
    }
    if let Some(compat) = args.compat {
        builder = builder.compat(compat);
    }
    if let Some(password) = args.sentinel_password {
        builder = builder.sentinel_credentials(match args.sentinel_user {
            Some(user) => Credentials::user(user, password),
            None => Credentials::password(password),
        });
    }
    builder = builder.filter(args.filter.build()?);
    if let Some(bytes) = args.rate_limit {
        builder = builder.rate_limit(bytes);
    }
    if tls {
        builder = builder.tls(args.tls.build()?);
    }
    if let Some(file) = &args.persist {
        let interval = Duration::try_from_secs_f64(args.persist_interval)?;
        builder = builder.persist(file).persist_every(Some(interval).filter(|time| !time.is_zero()));
    }
    builder = builder.configuration(configuration);
    let replica = builder.start().await?;
    let mut shutdown = replica.engine().watch_stop();
    if let Some(listener) = replica.listener() {
        tell(listener);
    }
    #[cfg(feature = "http")]
    open_http(args.http.as_ref(), args.ready_within, replica.engine()).await?;
    let ended = async {
        tokio::select! {
            () = stop() => {}
            _ = shutdown.wait_for(|stop| *stop) => {}
        }
    };
    tokio::pin!(ended);
    tokio::select! {
        () = &mut ended => {}
        ready = replica.ready() => match ready {
            Ok(()) => {
                let keys: usize = (0..replica.engine().keyspace().databases()).map(|db| replica.db(db).len()).sum();
                tracing::info!(keys, "synced");
                ended.await;
            }
            Err(error) => {
                let _ = replica.shutdown().await;
                return Err(error.into());
            }
        }
    }
    tracing::info!("stopping");
    replica.shutdown().await?;
    Ok(())
}

async fn stand_alone(args: Args, configuration: Configuration) -> Result<(), Failure> {
    let mut options = Options::default();
    let startup = configuration.startup(&mut options)?;
    options.compat = args.compat;
    options.shards = args.shards.into();
    options.allocator = crate::giving_back::ITSELF;
    options.dir = Some(std::fs::canonicalize(".")?);
    let engine = Engine::new(Role::Primary, options);
    engine.configure(&configuration)?;
    engine.load_users()?;
    let has_file = args.file.is_some() || args.config.is_some();
    let dump = || engine.dump_file().filter(|dump| dump.exists());
    let looks = has_file || configuration.last("dir").is_some();
    if let Some(path) = args.load.or_else(|| looks.then(dump).flatten()) {
        let keys = engine.load_file(&path)?;
        tracing::info!(keys, path = %path.display(), "loaded");
    }
    let mut shutdown = engine.watch_stop();
    housekeeper::spawn(&engine)?;
    let mut endpoints: Vec<Endpoint> = args.listen.iter().cloned().map(Endpoint::Tcp).collect();
    endpoints.extend(engine.endpoints(&startup)?);
    let listener = Listener::open(Arc::clone(&engine), &endpoints).await?;
    tell(&listener);
    #[cfg(feature = "http")]
    open_http(args.http.as_ref(), args.ready_within, &engine).await?;
    loop {
        tokio::select! {
            () = stop() => {}
            _ = shutdown.wait_for(|stop| *stop) => break,
        }
        tracing::info!("stopping");
        match engine.close(Close::default()).await {
            Ok(()) => break,
            // As the real servers: what would be lost is worth another signal.
            Err(error) => tracing::error!(%error, "going on"),
        }
    }
    listener.shutdown().await;
    Ok(())
}

/// Until the user or the system wants us to end.
async fn stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
