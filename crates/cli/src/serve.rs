//! `replica serve`: a live copy, or a writable server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use replica::Replica;
use server::{DebugCommand, Engine, Listener, Options, Role, housekeeper};
use store::Compat;

use crate::{Failure, runtime};

/// Arguments of `replica serve`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["master", "standalone"])))]
pub struct Args {
    /// The primary to follow: redis://user:password@host:port, or host:port.
    #[arg(long, value_name = "URL")]
    master: Option<String>,
    /// No primary: a writable server that replicas can follow.
    #[arg(long)]
    standalone: bool,
    /// Where to listen: host:port, or :port for every interface; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6380")]
    listen: String,
    /// A dump file to begin with.
    #[arg(long, value_name = "FILE", requires = "standalone")]
    load: Option<PathBuf>,
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
    /// How many databases SELECT offers; grows if the primary uses more.
    #[arg(long, default_value_t = 16)]
    databases: u32,
    /// Which server to be for clients: redis-7.0, redis-7.2, redis-7.4, redis-8.2, valkey-8.1 or valkey-9.1. Default:
    /// what the primary is; redis-8.2 without one.
    #[arg(long, value_name = "NAME")]
    compat: Option<Compat>,
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

/// Runs until it is told to stop.
pub fn run(args: Args) -> Result<(), Failure> {
    runtime()?.block_on(async {
        match args.master.clone() {
            Some(master) => follow(args, master).await,
            None => stand_alone(args).await,
        }
    })
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
    builder = builder.filter(args.filter.build()?);
    if let Some(bytes) = args.rate_limit {
        builder = builder.rate_limit(bytes);
    }
    if tls {
        builder = builder.tls(args.tls.build()?);
    }
    let replica = builder.start().await?;
    if let Some(addr) = replica.local_addr() {
        println!("serving on {addr}");
    }
    tokio::select! {
        () = stop() => {}
        ready = replica.ready() => match ready {
            Ok(()) => {
                let keys: usize = (0..args.databases).map(|db| replica.db(db).len()).sum();
                tracing::info!(keys, "synced");
                stop().await;
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
    options.allocator = "mimalloc";
    options.debug_command = args.enable_debug_command.into();
    options.port = listen.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0);
    let engine = Engine::new(Role::Primary, options);
    engine.load_users()?;
    if let Some(path) = &args.load {
        load(&engine, path)?;
    }
    housekeeper::spawn(&engine)?;
    let listener = Listener::bind(Arc::clone(&engine), listen.as_str()).await?;
    println!("serving on {}", listener.local_addr());
    stop().await;
    tracing::info!("stopping");
    listener.shutdown().await;
    Ok(())
}

fn load(engine: &Arc<Engine>, path: &Path) -> Result<(), Failure> {
    let mut loader = store::Loader::new(engine.keyspace());
    crate::rdb::read(path, &mut loader, false)?;
    tracing::info!(keys = loader.keys(), path = %path.display(), "loaded");
    engine.load(loader.finish());
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
