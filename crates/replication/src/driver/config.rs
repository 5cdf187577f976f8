//! What a driver needs to know.

use crate::driver::Backoff;
use crate::options::LinkOptions;
use crate::position::Position;
use std::time::Duration;

/// Where the primary is, and how to treat it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DriverConfig {
    /// Name or address of the primary. A name is resolved at every connection, and every address it
    /// has is tried.
    pub host: String,
    /// Port of the primary.
    pub port: u16,
    /// What the link says, and its timeouts.
    pub link: LinkOptions,
    /// TLS, if the primary wants it.
    #[cfg(feature = "tls")]
    pub tls: Option<crate::Tls>,
    /// How long resolving and connecting may take together, and agreeing on TLS after that.
    pub connect_timeout: Duration,
    /// How long the primary may leave what we send unread.
    pub write_timeout: Duration,
    /// How long to wait between connections.
    pub backoff: Backoff,
    /// Bytes read from the socket at a time.
    pub read_buffer: usize,
    /// Bytes that may wait here, received and not yet applied. Beyond them the socket is left unread, and the
    /// primary buffers.
    pub buffer_limit: usize,
    /// Most bytes a second that a full sync may take from the network.
    pub rate_limit: Option<u64>,
    /// What the target already holds, and the database selected at that point: see
    /// [`Link::resume`](crate::Link::resume).
    pub resume: Option<(Position, u32)>,
}

impl DriverConfig {
    /// The settings of a real replica, for a primary at `host` and `port`.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            link: LinkOptions { two_channels: true, ..LinkOptions::default() },
            #[cfg(feature = "tls")]
            tls: None,
            connect_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
            backoff: Backoff::default(),
            read_buffer: 256 * 1024,
            buffer_limit: 256 << 20,
            rate_limit: None,
            resume: None,
        }
    }
}
