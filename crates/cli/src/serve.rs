//! `replica serve`: a live copy, or a writable server.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use replica::Replica;
use server::{Close, DebugCommand, Engine, Limit, Listener, Options, Role, Writes, WritesAs, housekeeper};
use store::{Cleanup, Compat, Policy};

use crate::{Failure, runtime_of};

/// Arguments of `replica serve`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["master", "standalone"])))]
pub struct Args {
    /// The primary to follow: redis://user:password@host:port, or host:port. (Other users of this machine see arguments:
    /// prefer the variable where there is a password in it.)
    #[arg(long, value_name = "URL", env = "REPLICA_MASTER", hide_env_values = true)]
    master: Option<String>,
    /// No primary: a writable server that replicas can follow.
    #[arg(long)]
    standalone: bool,
    /// Where to listen: host:port, or :port for every interface; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6380")]
    listen: String,
    /// Threads that serve clients. Default: half of the cores.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=128))]
    io_threads: Option<u16>,
    /// A dump file to begin with.
    #[arg(long, value_name = "FILE", requires = "standalone")]
    load: Option<PathBuf>,
    /// Where SAVE and BGSAVE write, and where a dump is looked for at the start. Default: the working directory,
    /// and no dump is looked for.
    #[arg(long, value_name = "DIR", requires = "standalone")]
    dir: Option<PathBuf>,
    /// The name of the dump in that directory.
    #[arg(long, value_name = "NAME", default_value = "dump.rdb", requires = "standalone")]
    dbfilename: String,
    /// Saves by itself: pairs of seconds and changes, as "3600 1 300 100".
    #[arg(long, value_name = "POINTS", default_value = "", value_parser = save_points, requires = "standalone")]
    save: SavePoints,
    /// Who may set `dir` and `dbfilename`.
    #[arg(long, value_enum, default_value_t = Debug::No, value_name = "WHO")]
    enable_protected_configs: Debug,
    /// Keeps the copy in this file: the next start serves it at once and asks the primary for the rest only.
    #[arg(long, value_name = "FILE", requires = "master")]
    persist: Option<PathBuf>,
    /// Seconds between two savings of it while it changes; 0: only at the end.
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, requires = "persist")]
    persist_interval: f64,
    /// What clients must give to AUTH. (Other users of this machine see arguments: prefer the variable.)
    #[arg(long, value_name = "PASSWORD", env = "REPLICA_PASSWORD", hide_env_values = true)]
    requirepass: Option<String>,
    /// The file of users (ACL LOAD and ACL SAVE), read at the start.
    #[arg(long, value_name = "FILE")]
    aclfile: Option<PathBuf>,
    #[command(flatten)]
    tls: crate::tls::Args,
    #[command(flatten)]
    filter: crate::filter::Args,
    /// Most bytes a second that a full sync may take from the network.
    #[arg(long, value_name = "BYTES", requires = "master")]
    rate_limit: Option<u64>,
    /// Chance to be promoted by a Sentinel: 0 is never.
    #[arg(long, value_name = "N", default_value_t = 0)]
    replica_priority: u32,
    /// Lets Sentinels tell clients of this replica.
    #[arg(long)]
    replica_announced: bool,
    /// What a replica does with the writes of clients: reject, forward (to the primary), or forward-and-wait (until
    /// the effect can be read here).
    #[arg(long, value_name = "CHOICE", default_value = "reject", value_parser = writes, requires = "master")]
    replica_writes: Writes,
    /// Under which name forwarded writes run on the primary: client (with what it gave to AUTH here), or link.
    #[arg(long, value_name = "NAME", default_value = "client", value_parser = writes_as, requires = "master")]
    replica_writes_as: WritesAs,
    /// How many databases SELECT offers; grows if the primary uses more.
    #[arg(long, default_value_t = 16)]
    databases: u32,
    /// Which server to be for clients: redis-7.0, redis-7.2, redis-7.4, redis-8.2, valkey-8.1 or valkey-9.1. Default:
    /// what the primary is; redis-8.2 without one.
    #[arg(long, value_name = "NAME")]
    compat: Option<Compat>,
    /// Bytes that the data may take, as 512mb; 0: no limit.
    #[arg(long, value_name = "BYTES", default_value = "0", value_parser = bytes)]
    maxmemory: u64,
    /// Which keys go first when there is no room: noeviction, allkeys-lru, volatile-ttl ...
    #[arg(long, value_name = "POLICY", default_value = "noeviction", value_parser = policy, conflicts_with = "master")]
    maxmemory_policy: Policy,
    /// What a replica does when its data are larger than that: report, stop or evict-lru.
    #[arg(long, value_name = "CHOICE", default_value = "report", value_parser = limit)]
    replica_memory_limit: Limit,
    /// Removes what has expired so many milliseconds after its deadline instead of waiting for the primary to do it.
    #[arg(long, value_name = "MS", requires = "master")]
    replica_reclaim_expired: Option<u64>,
    /// How eagerly expired keys are looked for: default, small-dataset, medium-dataset, large-dataset,
    /// best-performance, low-latency, or four numbers: keys of a round, rounds, keys of a batch, percentage.
    #[arg(long, value_name = "PRESET", default_value = "default")]
    active_expire_cleanup: Cleanup,
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
    /// Who may use DEBUG.
    #[arg(long, value_enum, default_value_t = Debug::No)]
    enable_debug_command: Debug,
}

/// Who may use DEBUG.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Debug {
    /// Nobody.
    No,
    /// Everybody.
    Yes,
    /// Clients on this machine.
    Local,
}

impl From<Debug> for DebugCommand {
    fn from(who: Debug) -> Self {
        match who {
            Debug::No => Self::No,
            Debug::Yes => Self::Yes,
            Debug::Local => Self::Local,
        }
    }
}

/// Pairs of seconds and changes.
#[derive(Debug, Clone)]
struct SavePoints(Vec<(u64, u64)>);

fn save_points(text: &str) -> Result<SavePoints, String> {
    let points = server::parse_save_points(text).ok_or("pairs of seconds and changes are wanted")?;
    Ok(SavePoints(points))
}

fn bytes(text: &str) -> Result<u64, String> {
    let bytes = server::memory_value(text.as_bytes()).and_then(|n| u64::try_from(n).ok());
    bytes.ok_or_else(|| "a number of bytes with an optional unit, as 512mb".to_owned())
}

fn policy(text: &str) -> Result<Policy, String> {
    Policy::named(text).ok_or_else(|| format!("one of {}", Policy::NAMES.join(", ")))
}

fn limit(text: &str) -> Result<Limit, String> {
    Limit::named(text.as_bytes()).ok_or_else(|| "report, stop or evict-lru".to_owned())
}

fn writes(text: &str) -> Result<Writes, String> {
    Writes::named(text.as_bytes()).ok_or_else(|| "reject, forward or forward-and-wait".to_owned())
}

fn writes_as(text: &str) -> Result<WritesAs, String> {
    WritesAs::named(text.as_bytes()).ok_or_else(|| "client or link".to_owned())
}

/// Runs until it is told to stop.
pub fn run(args: Args) -> Result<(), Failure> {
    let threads = args.io_threads.map_or_else(crate::half_of_the_cores, usize::from);
    runtime_of(threads)?.block_on(async {
        match args.master.clone() {
            Some(master) => follow(args, master).await,
            None => stand_alone(args).await,
        }
    })
}

/// Opens the HTTP port, if one is wanted.
#[cfg(feature = "http")]
async fn open_http(addr: Option<&String>, ready_within: f64, engine: &Arc<Engine>) -> Result<(), Failure> {
    if let Some(addr) = addr {
        let within = Duration::try_from_secs_f64(ready_within)?;
        let bound = crate::http::serve(addr, Arc::clone(engine), within).await?;
        println!("http on {bound}");
    }
    Ok(())
}

async fn follow(args: Args, master: String) -> Result<(), Failure> {
    let tls = replica::Address::parse(&master)?.tls;
    let mut builder = Replica::builder().master(master).listen(&args.listen).databases(args.databases);
    if let Some(password) = args.requirepass {
        builder = builder.server_password(password);
    }
    if let Some(path) = args.aclfile {
        builder = builder.acl_file(path);
    }
    if let Some(compat) = args.compat {
        builder = builder.compat(compat);
    }
    builder = builder.priority(args.replica_priority).announced(args.replica_announced);
    builder = builder.writes(args.replica_writes).writes_as(args.replica_writes_as);
    builder = builder.filter(args.filter.build()?);
    builder = builder.max_memory(args.maxmemory).on_memory_limit(args.replica_memory_limit);
    builder = builder.cleanup(args.active_expire_cleanup);
    if let Some(ms) = args.replica_reclaim_expired {
        builder = builder.reclaim_expired(Duration::from_millis(ms));
    }
    if let Some(bytes) = args.rate_limit {
        builder = builder.rate_limit(bytes);
    }
    if tls {
        builder = builder.tls(args.tls.build()?);
    }
    if let Some(file) = args.persist {
        let interval = Duration::try_from_secs_f64(args.persist_interval)?;
        builder = builder.persist(file).persist_every(Some(interval).filter(|time| !time.is_zero()));
    }
    let replica = builder.start().await?;
    let mut shutdown = replica.engine().watch_stop();
    if let Some(addr) = replica.local_addr() {
        println!("serving on {addr}");
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
                let keys: usize = (0..args.databases).map(|db| replica.db(db).len()).sum();
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

async fn stand_alone(args: Args) -> Result<(), Failure> {
    let listen = if args.listen.starts_with(':') { format!("0.0.0.0{}", args.listen) } else { args.listen };
    let mut options = Options::default();
    options.databases = args.databases;
    options.compat = args.compat;
    options.password = args.requirepass;
    options.acl_file = args.aclfile;
    options.max_memory = args.maxmemory;
    options.policy = args.maxmemory_policy;
    options.memory_limit = args.replica_memory_limit;
    options.cleanup = args.active_expire_cleanup;
    options.allocator = "mimalloc";
    options.debug_command = args.enable_debug_command.into();
    options.port = listen.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0);
    options.protected_configs = args.enable_protected_configs.into();
    let dir = std::fs::canonicalize(args.dir.as_deref().unwrap_or_else(|| Path::new(".")))?;
    options.dbfilename = args.dbfilename;
    options.save_points = args.save.0;
    let dump = dir.join(&options.dbfilename);
    options.dir = Some(dir);
    let engine = Engine::new(Role::Primary, options);
    engine.load_users()?;
    let begin = args.load.or_else(|| args.dir.is_some().then_some(dump).filter(|dump| dump.exists()));
    if let Some(path) = begin {
        let keys = engine.load_file(&path)?;
        tracing::info!(keys, path = %path.display(), "loaded");
    }
    let mut shutdown = engine.watch_stop();
    housekeeper::spawn(&engine)?;
    let listener = Listener::bind(Arc::clone(&engine), listen.as_str()).await?;
    println!("serving on {}", listener.local_addr());
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
