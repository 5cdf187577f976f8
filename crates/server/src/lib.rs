//! Wiring: the engine that owns a data set, the sessions that serve it, the listener before them.
//!
//! ```text
//! sockets -> Listener -> Session -> rows of the store, or of the connection -> reply bytes
//!                                \
//! primary -> replication::Driver -> EngineTarget -> Engine { keyspace, writer, history, counters }
//! ```
//!
#![cfg_attr(feature = "listener", doc = "```")]
#![cfg_attr(not(feature = "listener"), doc = "```ignore")]
//! use server::{Engine, Listener, Options, Role};
//!
//! # #[tokio::main]
//! # async fn main() -> std::io::Result<()> {
//! let engine = Engine::new(Role::Primary, Options::default());
//! server::housekeeper::spawn(&engine)?;
//! let listener = Listener::bind(engine, "127.0.0.1:0").await?;
//! println!("redis-cli -p {}", listener.local_addr().port());
//! # Ok(())
//! # }
//! ```
//!
//! Without the feature `listener` there are no sockets for clients and replicas: who is in the process reads. Without
//! `lua`, scripts and functions are kept and passed on, and not run. Both are on by default.
#![cfg_attr(not(feature = "listener"), allow(dead_code, reason = "what only clients with a socket ask for"))]

mod acl;
mod attached;
mod blocked;
mod caller;
mod census;
mod changes;
mod client_limits;
mod clients;
mod cluster;
mod connection;
mod engine;
mod events;
mod evicting;
mod expiring;
#[cfg(feature = "listener")]
mod feeding;
mod filter;
mod following;
mod functions;
mod histories;
pub mod housekeeper;
pub mod huge_pages;
mod info;
mod interpreters;
mod keysizes;
mod listener;
mod memory;
mod metrics;
mod migrating;
mod notify;
mod observed;
mod options;
mod outbox;
mod page;
mod pausing;
mod pubsub;
#[cfg(feature = "listener")]
mod pulse;
mod rates;
mod reply;
mod role;
mod running;
mod saving;
mod scripted;
mod scripts;
mod sentinel;
mod serving;
mod session;
mod settings;
mod snapshot;
mod stopping;
mod syncing;
mod target;
#[cfg(feature = "tls")]
mod tls_settings;
mod tracking;
mod upstream;
mod watch;
mod yielding;

pub use acl::UsersError;
pub use caller::Caller;
pub use census::{BigKey, Census, OfType, SlowCommand};
pub use cluster::{SavedCluster, ShardStatus};
pub use engine::{Divergence, Engine, FilterStatus, Stats, unix_ms};
pub use events::{Cause, Change, Contents, Event, EventFilter, Events, KeyWatch};
pub use evicting::Limit;
pub use filter::{Filter, InvalidFilter, slot as cluster_slot};
pub use following::LinkSettings;
pub use histories::Held;
pub use info::resident_bytes;
pub use listener::Endpoint;
#[cfg(feature = "listener")]
pub use listener::Listener;
#[cfg(feature = "tls")]
pub use listener::{ClientCertificates, ServerTls, ServerTlsBuilder, ServerTlsError};
pub use metrics::{Metric, MetricKind, Metrics, Sample, Sink};
pub use options::{Allocator, Applied, DebugCommand, Options, UnknownTypes};
pub use page::commands_page;
pub use reply::RespReply;
pub use role::Role;
pub use saving::{LoadError, SaveError, SaveProgress, WarmStart, parse_points as parse_save_points};
pub use sentinel::Sentinels;
pub use settings::{Configuration, ConfigurationError, Directive, EndpointsError, Startup, memory_value};
pub use stopping::{Close, CloseError};
pub use target::EngineTarget;
#[cfg(feature = "tls")]
pub use tls_settings::TlsSettingsError;
pub use upstream::{UpstreamError, Writes, WritesAs};
