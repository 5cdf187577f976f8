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
//! ```no_run
//! # async fn run() -> Result<(), replica::Error> {
//! let replica = replica::Replica::builder()
//!     .master("redis://127.0.0.1:6379")
//!     .listen("127.0.0.1:6380") // optional: redis-cli -p 6380 reads the copy
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
mod log;
mod recorder;
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
pub use convert::{ConvertError, FromValue};
pub use credentials::Credentials;
pub use db::{Db, Scan, Ttl};
pub use error::{Error, ErrorPhase};
pub use handle::{Replica, States, Status};
pub use log::LogLine;
pub use recorder::Recorder;
pub use replication::{
    Backoff, Buffered, Connecting, Connection, Connector, FailureKind, Failures, LinkError, LinkStatus,
    Offset, Phase, Position, ReplId,
};
#[cfg(feature = "tls")]
pub use replication::{Profile, Tls, TlsBuilder, TlsError, TlsVersion};
pub use resp::Value;
pub use server::{
    Allocator, Cause, Change, Configuration, ConfigurationError, Contents, Event, EventFilter, Events,
    Filter, FilterStatus, InvalidFilter, KeyWatch, Limit, Listener, Metric, MetricKind, Metrics, Sample,
    SaveError, ShardStatus, Sink, UnknownTypes, UpstreamError, WarmStart, Writes, WritesAs,
};
#[cfg(feature = "tls")]
pub use server::{ClientCertificates, ServerTls, ServerTlsBuilder, ServerTlsError};
pub use standalone::Standalone;
pub use typed::{HashRef, ListRef, SetRef, StreamEntry, StreamGroup, StreamRef, ZsetRef};
pub use verify::{Report, Verify, Wire};
pub use view::{View, ViewDb};

/// The examples of the guide to clusters are compiled with those of the code.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/cluster.md")]
struct ClusterGuide;
