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
mod builder;
mod db;
mod error;
mod handle;
mod standalone;

pub use address::Address;
pub use builder::Builder;
pub use db::{Db, HashRef, ListRef, Scan, SetRef, StreamEntry, StreamRef, Ttl, ZsetRef};
pub use error::Error;
pub use handle::{Replica, Status};
pub use replication::{
    Backoff, Buffered, FailureKind, Failures, LinkError, LinkStatus, Offset, Phase, Position, ReplId,
};
#[cfg(feature = "tls")]
pub use replication::{Profile, Tls, TlsBuilder, TlsError, TlsVersion};
pub use resp::Value;
#[cfg(feature = "tls")]
pub use server::{ClientCertificates, ServerTls, ServerTlsBuilder, ServerTlsError};
pub use server::{
    Configuration, ConfigurationError, Filter, FilterStatus, InvalidFilter, Limit, Listener, Metric,
    MetricKind, Metrics, Recorder, Sample, SaveError, UpstreamError, WarmStart, Writes, WritesAs,
};
pub use standalone::Standalone;
pub use store::value::Kind;
pub use store::value::stream::StreamId;
pub use store::{Blob, Cleanup, Compat, Recorded};
