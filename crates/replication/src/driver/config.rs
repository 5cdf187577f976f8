//! What a driver needs to know.

use crate::driver::Backoff;
use crate::options::{Credentials, LinkOptions};
use crate::position::Position;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// A source of credentials: a file, a vault, an environment that changes.
#[derive(Clone)]
pub struct CredentialsProvider(Arc<dyn Fn() -> Credentials + Send + Sync>);

impl CredentialsProvider {
    /// Asks `ask` before each connection. It runs on the link's own thread, which it may block for a moment.
    pub fn new(ask: impl Fn() -> Credentials + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// The credentials of this moment.
    #[must_use]
    pub fn get(&self) -> Credentials {
        (self.0)()
    }
}

impl fmt::Debug for CredentialsProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialsProvider")
    }
}

/// Bytes both ways: a socket, a pipe, a tunnel.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// What a [`Connector`] answers.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Connection>>> + Send>>;

/// The caller's way to a primary: a Unix socket, a proxy, an SSH tunnel, a network in a test.
///
/// ```
/// use replication::Connector;
///
/// let through_a_proxy = Connector::new(|host, port| async move {
///     let stream = tokio::net::TcpStream::connect("proxy:1080").await?;
///     // .. tells the proxy about `host` and `port` ..
///     drop((host, port));
///     Ok(stream)
/// });
/// # drop(through_a_proxy);
/// ```
#[derive(Clone)]
pub struct Connector(Arc<dyn Fn(String, u16) -> Connecting + Send + Sync>);

impl Connector {
    /// Calls `connect` with host and port for each connection, on the link's runtime.
    pub fn new<F, C>(connect: impl Fn(String, u16) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<C>> + Send + 'static,
        C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self(Arc::new(move |host, port| {
            let connecting = connect(host, port);
            Box::pin(async move {
                let connection: Box<dyn Connection> = Box::new(connecting.await?);
                Ok(connection)
            })
        }))
    }

    pub(crate) fn connect(&self, host: &str, port: u16) -> Connecting {
        (self.0)(host.to_owned(), port)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

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
    /// Who we are, asked anew before each connection: for secrets that change. `None`: `link.credentials` always.
    pub credentials: Option<CredentialsProvider>,
    /// How to reach the primary, if not by TCP. TLS, if wanted, comes on top.
    pub connector: Option<Connector>,
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
            credentials: None,
            connector: None,
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
