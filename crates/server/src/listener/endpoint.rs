//! Where a listener listens.

use std::path::PathBuf;

#[cfg(feature = "tls")]
use super::tls::ServerTls;

/// A place to listen at.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Endpoint {
    /// `host:port`, or `:port` for every IPv4 interface; port 0 takes a free one. A host that begins with `-` is
    /// left out if this machine does not have it; `*` and `::*` are every interface.
    Tcp(String),
    /// The same with TLS.
    #[cfg(feature = "tls")]
    Tls(String, ServerTls),
    /// A Unix socket at this path, with these permissions unless they are 0. A socket that is there already, left
    /// by another run, is replaced.
    Unix(PathBuf, u32),
}

/// What INFO and CONFIG GET tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listening {
    /// `tcp`, `tls` or `unix`.
    pub(crate) kind: &'static str,
    /// The host as it was given, or the path.
    pub(crate) bind: String,
    /// 0 for a Unix socket.
    pub(crate) port: u16,
    /// Of a Unix socket.
    pub(crate) permissions: u32,
}
