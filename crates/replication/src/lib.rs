//! Redis and Valkey replication: the replica's side as a machine without a socket, a driver that gives
//! it one, and the primary's side for replicas of our own.
//!
//! ```text
//!            primary
//!     bytes  |     ^  PING, PSYNC, ACK..
//!            v     |
//!   Driver:  socket, timers, reconnect              (driver/: tokio, its own thread)
//!            |     ^
//!   handle_bytes  poll_transmit, poll_timeout
//!            v     |
//!   Link:    Handshake -> Transfer -> Stream        (no socket, no clock)
//!            |            |           |
//!            |     rdb::Decoder   resp::RequestDecoder
//!            v            v           v
//!   Target:  replid_changed  Loader  apply(Batch)   (yours: the data set)
//! ```
//!
//! The link by itself, fed by hand:
//!
//! ```
//! use replication::{Link, LinkOptions, LinkPhase, testing::Recorder};
//! use std::time::Duration;
//!
//! let (mut link, mut target) = (Link::new(LinkOptions::default()), Recorder::default());
//! let now = Duration::ZERO;
//! link.handle_connected(now);
//! assert_eq!(link.poll_transmit().as_deref(), Some(&b"*1\r\n$4\r\nPING\r\n"[..]));
//! link.handle_bytes(now, b"+PONG\r\n", &mut target)?;
//! link.handle_bytes(now, b"+OK\r\n+OK\r\n+OK\r\n", &mut target)?; // three REPLCONF
//! let asked = link.poll_transmit().expect("REPLCONF and PSYNC");
//! assert!(asked.ends_with(b"*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n"));
//! assert_eq!(link.phase(), LinkPhase::Handshake);
//! # Ok::<(), replication::LinkError>(())
//! ```
//!
//! # Being a primary
//!
//! One [`Primary`] keeps the history: its ids, the stream and the backlog. One [`Feed`] for each
//! attached replica answers its requests, asks for a snapshot when the replica cannot be continued, and
//! hands out the stream. Both are without sockets; the server owns those, and the snapshot's bytes.

mod backlog;
mod channels;
mod driver;
mod error;
mod feed;
mod handshake;
mod line;
mod link;
mod options;
mod position;
mod primary;
mod stream;
mod target;
pub mod testing;
mod transfer;
mod writer;

pub use backlog::Backlog;
#[cfg(feature = "tls")]
pub use driver::tls::{Profile, Tls, TlsBuilder, TlsError, TlsVersion};
pub use driver::{
    Backoff, Buffered, Connecting, Connection, Connector, CredentialsProvider, Driver, DriverConfig, Handle,
    Incoming, LinkStatus, Outgoing, Phase, Transport, connect,
};
pub use error::{Doing, FailureKind, Failures, LinkError, Recovery};
pub use feed::{Feed, FeedError, FeedEvent, FeedOptions, FeedState, Filter, Replica};
pub use handshake::Step;
pub use link::{Counters, Event, Link, LinkPhase};
pub use options::{Credentials, LinkOptions};
pub use position::{InvalidReplId, Offset, Position, ReplId};
pub use primary::{BacklogLimits, Join, Primary, Psync};
pub use target::{Batch, Target};
pub use writer::StreamWriter;
