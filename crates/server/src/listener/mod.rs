//! The listener: sockets of every kind, and one task a connection.

#[cfg(feature = "listener")]
mod accept;
mod address;
#[cfg(feature = "listener")]
mod bind;
#[cfg(feature = "listener")]
mod connection;
mod endpoint;
#[cfg(feature = "listener")]
mod socket;
#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "listener")]
pub use accept::Listener;
pub(crate) use address::Address;
pub use endpoint::Endpoint;
pub(crate) use endpoint::Listening;
#[cfg(feature = "listener")]
pub(crate) use socket::Socket;
#[cfg(feature = "tls")]
pub use tls::{ClientCertificates, ServerTls, ServerTlsBuilder, ServerTlsError};
