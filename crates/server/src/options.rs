//! Settings of an engine.

use std::time::Duration;

use replication::BacklogLimits;
use store::Compat;

/// What an engine is made with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// How many databases SELECT offers. A primary that uses more makes it grow.
    pub databases: u32,
    /// Which server the engine claims to be; `None`: a primary is the default personality, a replica takes that of
    /// the server whose dump it loads.
    pub compat: Option<Compat>,
    /// What clients must give to AUTH, if anything.
    pub password: Option<String>,
    /// The file of users (`aclfile`): read by [`Engine::load_users`](crate::Engine::load_users), written by ACL SAVE.
    pub acl_file: Option<std::path::PathBuf>,
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
    /// Longest run of a script before it can be killed, and is reported as busy.
    pub script_time_limit: Duration,
    /// Who may use DEBUG (`enable-debug-command`).
    pub debug_command: DebugCommand,
    /// The name of the program's allocator, for INFO.
    pub allocator: &'static str,
}

/// Who may use DEBUG.
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

impl Default for Options {
    fn default() -> Self {
        Self {
            databases: 16,
            compat: None,
            password: None,
            acl_file: None,
            backlog: BacklogLimits::default(),
            ping_interval: Duration::from_secs(10),
            replication_timeout: Duration::from_secs(60),
            filter: crate::filter::Filter::default(),
            port: 0,
            script_time_limit: Duration::from_secs(5),
            debug_command: DebugCommand::No,
            allocator: "libc",
        }
    }
}
