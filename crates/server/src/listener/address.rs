//! Where a client comes from, and where it has come to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use store::Compat;

/// One end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Ip(SocketAddr),
    /// The Unix socket at this path: both ends are called after it.
    Unix(Arc<str>),
}

impl Address {
    /// As CLIENT LIST and its filters spell it.
    pub(crate) fn spell(&self, compat: Compat) -> String {
        match self {
            Self::Ip(addr) => addr.to_string(),
            Self::Unix(path) if compat.differences().unix_in_brackets => format!("[{path}:0]:0"),
            Self::Unix(path) => format!("{path}:0"),
        }
    }

    /// As MONITOR spells it.
    pub(crate) fn spell_for_monitors(&self) -> String {
        match self {
            Self::Ip(addr) => addr.to_string(),
            Self::Unix(path) => format!("unix:{path}"),
        }
    }

    pub(crate) fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(addr) => Some(addr.ip()),
            Self::Unix(_) => None,
        }
    }

    pub(crate) fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// Whether it is on this machine, for DEBUG and protected settings.
    pub(crate) fn is_local(&self) -> bool {
        self.ip().is_none_or(|ip| ip.to_canonical().is_loopback())
    }

    /// The same for protected mode: an old server knows two addresses only.
    pub(crate) fn is_trusted(&self, compat: Compat) -> bool {
        if compat.differences().trusts_whole_loopback {
            return self.is_local();
        }
        self.ip().is_none_or(|ip| match ip.to_canonical() {
            IpAddr::V4(ip) => ip == std::net::Ipv4Addr::LOCALHOST,
            IpAddr::V6(ip) => ip.is_loopback(),
        })
    }
}
