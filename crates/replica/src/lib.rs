//! Your Redis or Valkey data set, inside your process.
//!
//! ```text
//! primary == PSYNC ==> link -> writer -> keyspace <- your reads (function calls)
//!                                            ^
//!                                            `------ RESP clients, scripts
//! ```
//!
//! A [`Replica`] connects to a primary as a replica does, takes the full data set and every later write,
//! and keeps it in memory, equal to the primary. Reads are plain functions: no `async`, never blocked by
//! a sync in progress.
//!
#![cfg_attr(feature = "server", doc = "```")]
#![cfg_attr(not(feature = "server"), doc = "```ignore")]
//! # #[tokio::main]
//! # async fn main() -> Result<(), replica::Error> {
//! # let primary = replica::Standalone::start("127.0.0.1:0").await?;
//! # primary.command(&["SET", "user:1:name", "Ada"])?;
//! # let address = primary.url(); // redis://127.0.0.1:6379
//! let replica = replica::Replica::builder()
//!     .master(address)
//!     .listen("127.0.0.1:0") // optional: redis-cli reads the copy
//!     .start()
//!     .await?;
//! replica.ready().await?;
//!
//! let db = replica.db(0);
//! if let Some(name) = db.get("user:1:name")? {
//!     println!("{name}");
//! }
//! replica.shutdown().await
//! # }
//! ```
//!
//! What is there:
//!
//! | | |
//! | --- | --- |
//! | reads | [`Db`]: strings as [`Blob`]s without a copy, typed handles, scans; [`View`] for what belongs together |
//! | how new they are | [`Replica::freshness`], [`require`](Replica::require), [`write`](Replica::write) and [`wait_for`](Replica::wait_for) |
//! | Lua on the data | [`Replica::script`], [`call`](Replica::call) |
//! | what changes | [`Replica::events`], [`watch`](Replica::watch), [`watch_status`](Replica::watch_status) |
//! | figures | [`Replica::metrics`], [`Recorder`], spans and events of `tracing` |
//! | a part of the data | [`Filter`] |
//! | after a restart | [`Builder::persist`]; a dump anywhere: [`Replica::save_to`] |
//! | without async | `blocking`, the same names |
//!
//! # Features
//!
//! On by default: `server` ([`Builder::listen`]: RESP clients, replicas), `lua` (scripts and functions), `tls`
//! (`rediss://`). Without them it is the smallest reader in a process: `default-features = false`. More: `blocking`,
//! `serde` (`Json<T>`), `regex` ([`Matching`] by regular expressions).

mod address;
#[cfg(feature = "blocking")]
pub mod blocking;
mod builder;
mod caller;
mod cmd;
mod consistency;
mod convert;
mod credentials;
mod db;
mod error;
mod handle;
mod info;
mod log;
mod recorder;
mod route;
mod script;
#[cfg(feature = "server")]
mod standalone;
mod store;
mod typed;
mod verify;
mod view;

pub use crate::store::{DatabaseInfo, Store};
pub use ::store::value::Kind;
pub use ::store::value::stream::StreamId;
pub use ::store::{Blob, Cleanup, Compat, Matching, Recorded};
pub use address::{Address, Service};
pub use builder::Builder;
pub use caller::Caller;
pub use cmd::{Cmd, ToArg};
pub use consistency::{Bound, Fresh, Freshness};
#[cfg(feature = "serde")]
pub use convert::Json;
pub use convert::{ConvertError, FromReply, FromValue};
pub use credentials::Credentials;
pub use db::{Db, Scan, Ttl};
pub use error::{Error, ErrorPhase};
pub use handle::{Replica, States, Status};
pub use info::Info;
pub use log::LogLine;
pub use recorder::Recorder;
pub use replication::{
    Backoff, Buffered, Connecting, Connection, Connector, FailureKind, Failures, LinkError, LinkStatus,
    Offset, Phase, Position, ReplId,
};
#[cfg(feature = "tls")]
pub use replication::{Profile, Tls, TlsBuilder, TlsError, TlsVersion};
pub use resp::Value;
pub use script::{Script, ScriptCall};
#[cfg(feature = "server")]
pub use server::Listener;
pub use server::{
    Allocator, Cause, Change, Configuration, ConfigurationError, Contents, Event, EventFilter, Events,
    Filter, FilterStatus, InvalidFilter, KeyWatch, Limit, Metric, MetricKind, Metrics, Sample, SaveError,
    SaveProgress, ShardStatus, Sink, UnknownTypes, UpstreamError, WarmStart, Writes, WritesAs,
};
#[cfg(feature = "tls")]
pub use server::{ClientCertificates, ServerTls, ServerTlsBuilder, ServerTlsError};
#[cfg(feature = "server")]
pub use standalone::Standalone;
pub use typed::{HashRef, ListRef, SetRef, StreamEntry, StreamGroup, StreamRef, ZsetRef};
pub use verify::{Report, Verify, Wire};
pub use view::{View, ViewDb};

/// The examples of the README and of the guides are compiled with those of the code.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
    #[doc = include_str!("../../../docs/cluster.md")]
    struct Cluster;
    #[doc = include_str!("../../../docs/migrating.md")]
    struct Migrating;
}
