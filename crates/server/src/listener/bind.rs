//! Takes the places where a listener listens.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
#[cfg(unix)]
use std::path::PathBuf;

use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use tokio::net::TcpListener;

use super::endpoint::{Endpoint, Listening};
#[cfg(feature = "tls")]
use super::tls::ServerTls;

/// A socket that listens.
pub(super) enum Bound {
    Tcp(TcpListener),
    #[cfg(feature = "tls")]
    Tls(TcpListener, ServerTls),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener, PathBuf),
}

impl Endpoint {
    /// Listens there; nothing if it is a host that may be missing, and is.
    pub(super) async fn bind(&self, backlog: u32) -> io::Result<Option<(Bound, Listening)>> {
        match self {
            Self::Tcp(place) => {
                let Some((socket, listening)) = tcp(place, "tcp", backlog).await? else { return Ok(None) };
                Ok(Some((Bound::Tcp(socket), listening)))
            }
            #[cfg(feature = "tls")]
            Self::Tls(place, tls) => {
                let Some((socket, listening)) = tcp(place, "tls", backlog).await? else { return Ok(None) };
                Ok(Some((Bound::Tls(socket, tls.clone()), listening)))
            }
            #[cfg(unix)]
            Self::Unix(path, permissions) => {
                let socket = unix(path, *permissions)?;
                let bind = path.display().to_string();
                let listening = Listening { kind: "unix", bind, port: 0, permissions: *permissions };
                Ok(Some((Bound::Unix(socket, path.clone()), listening)))
            }
            #[cfg(not(unix))]
            Self::Unix(..) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "there are no Unix sockets on this system"))
            }
        }
    }
}

async fn tcp(place: &str, kind: &'static str, backlog: u32) -> io::Result<Option<(TcpListener, Listening)>> {
    let (host, port) = place.rsplit_once(':').ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{place}: host:port is wanted"))
    })?;
    let port: u16 = port
        .parse()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("{place}: {port:?} is no port")))?;
    let (may_be_missing, name) = match host.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, host),
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let addresses: Vec<SocketAddr> = match name {
        "" | "*" => vec![(Ipv4Addr::UNSPECIFIED, port).into()],
        "::*" => vec![(Ipv6Addr::UNSPECIFIED, port).into()],
        name => match tokio::net::lookup_host((name, port)).await {
            Ok(addresses) => addresses.collect(),
            Err(_) if may_be_missing => Vec::new(),
            Err(error) => return Err(io::Error::new(error.kind(), format!("{place}: {error}"))),
        },
    };
    let mut failed = None;
    for address in addresses {
        match listen(address, backlog) {
            Ok(socket) => {
                let port = socket.local_addr()?.port();
                let bind = if host.is_empty() { "*".to_owned() } else { host.replace(['[', ']'], "") };
                return Ok(Some((socket, Listening { kind, bind, port, permissions: 0 })));
            }
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) if may_be_missing && is_absence(&error) => Ok(None),
        None if may_be_missing => Ok(None),
        Some(error) => Err(io::Error::new(error.kind(), format!("{place}: {error}"))),
        None => Err(io::Error::new(io::ErrorKind::NotFound, format!("{place}: there is no such host"))),
    }
}

/// The address is not this machine's, or its kind is not spoken here.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || error.raw_os_error().is_some_and(|_| error.to_string().contains("not supported"))
}

fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // So that every interface of IPv4 can be had beside it.
        socket.set_only_v6(true)?;
    }
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

#[cfg(unix)]
fn unix(path: &std::path::Path, permissions: u32) -> io::Result<tokio::net::UnixListener> {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    // What is no socket stays: then the address is in use.
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        std::fs::remove_file(path).map_err(named)?;
    }
    let socket = tokio::net::UnixListener::bind(path).map_err(named)?;
    if permissions != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(permissions)).map_err(named)?;
    }
    Ok(socket)
}
