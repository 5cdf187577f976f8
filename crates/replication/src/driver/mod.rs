//! The link on a real socket and a real clock.
//!
//! A driver owns one operating system thread with a tokio runtime of its own. Loading a dump
//! and applying the stream are plain work that may take the thread for seconds; on a thread of their
//! own they cannot hold up a task of the host's runtime, and the host needs no runtime at all.
//!
//! ```text
//! Driver::spawn --> thread { connect -> Link <-> socket -> wait (backoff) -> connect .. }
//!       |                       |                              ^
//!       `-> Handle <- status ---'                              |
//!              |----- follow: another primary, at once        -'
//!              `----- stop: last ACK, close, hand the target back
//! ```
//!
//! The runtime has a worker besides: it empties the socket while the thread is busy (`pump.rs`).

mod backoff;
mod config;
mod handle;
mod orders;
mod pump;
mod run;
mod status;
#[cfg(feature = "tls")]
pub(crate) mod tls;
mod transport;

pub use backoff::Backoff;
pub use config::{Connecting, Connection, Connector, CredentialsProvider, DriverConfig};
pub use handle::{Driver, Handle};
pub use status::{Buffered, LinkStatus, Phase};
pub use transport::{Incoming, Outgoing, Transport, connect};
