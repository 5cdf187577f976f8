//! Settings of an engine.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use replication::BacklogLimits;
use store::{Cleanup, Compat, Policy};

use crate::evicting::Limit;

/// The program's allocator, as far as a server has to do with it.
#[derive(Debug, Clone, Copy)]
pub struct Allocator {
    /// Its name, for INFO.
    pub name: &'static str,
    /// Has it give back to the system what has been free for a while; with `true`, all that is free.
    pub give_back: fn(bool),
}

impl Default for Allocator {
    /// The system's, which is not asked for anything.
    fn default() -> Self {
        Self { name: "libc", give_back: |_| {} }
    }
}

/// What an engine is made with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// How many databases SELECT offers. A primary that uses more makes it grow.
    pub databases: u32,
    /// How many shards a database has, each with a lock of its own; at most and by default [`store::MAX_SHARDS`].
    pub shards: usize,
    /// Which server the engine claims to be; `None`: a primary is the default personality, a replica takes that of
    /// the server whose dump it loads.
    pub compat: Option<Compat>,
    /// What clients must give to AUTH, if anything.
    pub password: Option<String>,
    /// The file of users (`aclfile`): read by [`Engine::load_users`](crate::Engine::load_users), written by ACL SAVE.
    pub acl_file: Option<PathBuf>,
    /// Size of the stream kept for replicas that come back.
    pub backlog: BacklogLimits,
    /// Time between the PINGs that a primary sends to its replicas.
    pub ping_interval: Duration,
    /// How long a replica or a primary may be silent.
    pub replication_timeout: Duration,
    /// What a replica keeps of its primary's data.
    pub filter: crate::filter::Filter,
    /// The port that clients use, as INFO and replicas tell it; 0 if there is none.
    pub port: u16,
    /// Clients from elsewhere are turned away while nobody needs a password (`protected-mode`). Default: they are, as
    /// with the real servers.
    pub protected_mode: bool,
    /// Most clients at a time (`maxclients`).
    pub max_clients: u32,
    /// A client that says nothing for so long is hung up on (`timeout`); zero: it is not.
    pub idle_timeout: Duration,
    /// After so much silence the system looks whether a client is still there (`tcp-keepalive`); zero: it does not.
    pub tcp_keepalive: Duration,
    /// How many clients may wait to be accepted (`tcp-backlog`).
    pub tcp_backlog: u32,
    /// Whether the whole process does without pages of 2 MiB (`disable-thp`), on Linux. Default: nobody touches that,
    /// since it concerns the program around the library; the binary says yes, as the real servers do.
    pub disable_huge_pages: Option<bool>,
    /// Longest run of a script before it can be killed, and is reported as busy.
    pub script_time_limit: Duration,
    /// Who may use DEBUG (`enable-debug-command`).
    pub debug_command: DebugCommand,
    /// Who may change `dir` and `dbfilename` (`enable-protected-configs`).
    pub protected_configs: DebugCommand,
    /// Bytes that the data may take; 0: no limit (`maxmemory`).
    pub max_memory: u64,
    /// Which keys go first when a primary has no room (`maxmemory-policy`).
    pub policy: Policy,
    /// How eagerly a primary looks for what has expired (`active-expire-cleanup`).
    pub cleanup: Cleanup,
    /// What a replica does when its data are larger than `maxmemory`.
    pub memory_limit: Limit,
    /// Whether a replica removes what has expired before its primary says so, and how long after the deadline (clocks
    /// differ). Default: it does not, it only hides it.
    pub reclaim_expired: Option<Duration>,
    /// The program's allocator.
    pub allocator: Allocator,
    /// Where dumps are saved (`dir`); none: nothing is saved.
    pub dir: Option<PathBuf>,
    /// The dump's name (`dbfilename`).
    pub dbfilename: String,
    /// So many seconds and changes after which the data set is saved by itself (`save`).
    pub save_points: Vec<(u64, u64)>,
    /// Whether strings in dumps are compressed (`rdbcompression`).
    pub rdb_compression: bool,
    /// Whether dumps have a checksum (`rdbchecksum`).
    pub rdb_checksum: bool,
    /// A replica: the data set is saved at the end, and the next run goes on from there.
    pub persist: bool,
    /// So many [events](crate::Engine::events) are kept for subscribers to come, which may go on from a position; 0:
    /// none before somebody subscribes.
    pub keep_events: usize,
    /// The database in which connections begin.
    pub default_database: u32,
    /// Whether clients may read before a replica's first sync is complete.
    pub serve_while_loading: bool,
    /// What a replica does with values that only a module understands.
    pub unknown_types: UnknownTypes,
    /// Told of every command of a primary's stream that was applied.
    pub applied: Option<Applied>,
    /// And while it runs, whenever it has changed and so much time has passed.
    pub persist_every: Option<Duration>,
}

/// What a replica does with values that only a module of the primary's understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum UnknownTypes {
    /// Keeps them as they are.
    #[default]
    Keep,
    /// Leaves them out, as a [filter](crate::Filter) does.
    Skip,
    /// Refuses the whole data set: the sync fails, and says so.
    Refuse,
}

/// A function that is told of commands, with the time that each took.
#[derive(Clone)]
pub struct Applied(Arc<Tell>);

type Tell = dyn Fn(&str, Duration) + Send + Sync;

impl Applied {
    /// Calls `f` on the thread that applies the stream.
    pub fn new(f: impl Fn(&str, Duration) + Send + Sync + 'static) -> Self {
        Self(Arc::new(f))
    }

    pub(crate) fn tell(&self, command: &str, took: Duration) {
        (self.0)(command, took);
    }
}

impl fmt::Debug for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Applied")
    }
}

/// Who may use DEBUG, or change protected settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DebugCommand {
    /// Nobody.
    #[default]
    No,
    /// Everybody.
    Yes,
    /// Clients on this machine.
    Local,
}

impl DebugCommand {
    /// The word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Yes => "yes",
            Self::Local => "local",
        }
    }
}

impl Options {
    /// What a replica keeps, once what it does not understand is left out if that is wanted.
    pub(crate) fn filter_with_types(&self) -> crate::filter::Filter {
        let filter = self.filter.clone();
        if self.unknown_types == UnknownTypes::Skip { filter.without_modules() } else { filter }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            databases: 16,
            shards: store::MAX_SHARDS,
            compat: None,
            password: None,
            acl_file: None,
            backlog: BacklogLimits::default(),
            ping_interval: Duration::from_secs(10),
            replication_timeout: Duration::from_secs(60),
            filter: crate::filter::Filter::default(),
            port: 0,
            protected_mode: true,
            max_clients: 10_000,
            idle_timeout: Duration::ZERO,
            tcp_keepalive: Duration::from_secs(300),
            tcp_backlog: 511,
            disable_huge_pages: None,
            script_time_limit: Duration::from_secs(5),
            debug_command: DebugCommand::No,
            protected_configs: DebugCommand::No,
            max_memory: 0,
            policy: Policy::NoEviction,
            cleanup: Cleanup::default(),
            memory_limit: Limit::default(),
            reclaim_expired: None,
            allocator: Allocator::default(),
            dir: None,
            dbfilename: "dump.rdb".to_owned(),
            save_points: Vec::new(),
            rdb_compression: true,
            rdb_checksum: true,
            persist: false,
            persist_every: None,
            keep_events: 0,
            default_database: 0,
            serve_while_loading: false,
            unknown_types: UnknownTypes::default(),
            applied: None,
        }
    }
}
