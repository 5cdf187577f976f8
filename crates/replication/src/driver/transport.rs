//! A connection to the primary, whatever lies under it.

use crate::driver::DriverConfig;
use crate::error::LinkError;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What comes from the primary.
pub type Incoming = Box<dyn AsyncRead + Send + Unpin>;
/// What goes to it.
pub type Outgoing = Box<dyn AsyncWrite + Send + Unpin>;

/// Both directions of a connection.
pub struct Transport {
    /// What comes from the primary.
    pub incoming: Incoming,
    /// What goes to it.
    pub outgoing: Outgoing,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Transport")
    }
}

/// Resolves the primary's name, connects to the first of its addresses that answers (or has the caller's
/// connector do it), and agrees on TLS if that is wanted.
///
/// # Errors
/// None of them answers in time, or no agreement on TLS.
pub async fn connect(config: &DriverConfig) -> Result<Transport, LinkError> {
    let address: Arc<str> = format!("{}:{}", config.host, config.port).into();
    let unreachable =
        |reason: String| LinkError::Unreachable { address: Arc::clone(&address), reason: reason.into() };
    let silent = || unreachable(format!("no answer for {} s", config.connect_timeout.as_secs_f32()));
    tracing::debug!(%address, "connecting");
    if let Some(connector) = &config.connector {
        let connecting = connector.connect(&config.host, config.port);
        let connection = match timeout(config.connect_timeout, connecting).await {
            Ok(connected) => connected.map_err(|error| unreachable(error.to_string()))?,
            Err(_) => return Err(silent()),
        };
        return secured(config, connection, Arc::clone(&address)).await.unwrap_or_else(|| Err(silent()));
    }
    let connecting = TcpStream::connect((config.host.as_str(), config.port));
    let socket = match timeout(config.connect_timeout, connecting).await {
        Ok(connected) => connected.map_err(|error| unreachable(error.to_string()))?,
        Err(_) => return Err(silent()),
    };
    socket.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
    #[cfg(feature = "tls")]
    if config.tls.is_some() {
        return secured(config, socket, Arc::clone(&address)).await.unwrap_or_else(|| Err(silent()));
    }
    let (incoming, outgoing) = socket.into_split();
    Ok(Transport { incoming: Box::new(incoming), outgoing: Box::new(outgoing) })
}

/// The connection, inside TLS if that is wanted; `None` if the other side does not answer.
async fn secured<S>(
    config: &DriverConfig,
    socket: S,
    address: Arc<str>,
) -> Option<Result<Transport, LinkError>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    #[cfg(feature = "tls")]
    if let Some(tls) = &config.tls {
        let wrapped = timeout(config.connect_timeout, tls.wrap(&config.host, socket)).await.ok()?;
        return Some(wrapped.map(halves).map_err(|error| LinkError::Tls {
            address,
            // What rustls finds wrong is invalid data; all else is the connection's trouble.
            broken: error.kind() != std::io::ErrorKind::InvalidData,
            reason: error.to_string().into(),
        }));
    }
    #[cfg(not(feature = "tls"))]
    drop((config, address));
    Some(Ok(halves(socket)))
}

fn halves<S: AsyncRead + AsyncWrite + Send + 'static>(stream: S) -> Transport {
    let (incoming, outgoing) = tokio::io::split(stream);
    Transport { incoming: Box::new(incoming), outgoing: Box::new(outgoing) }
}
