//! The way to a primary that is not at one host: at a Unix socket, or at the first of several places that answers.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use replication::{Connection, Connector};
use tokio::net::TcpStream;

use crate::address::Address;
use crate::error::Error;

/// Where to go in place of the address that stands for all of it.
#[derive(Debug)]
enum Way {
    Socket(PathBuf),
    Places(Vec<(String, u16)>),
}

/// The way there, unless it is the usual one. Who is turned elsewhere later (REPLICAOF) goes there as usual.
pub(crate) fn to(address: &Address, patience: Duration) -> Result<Option<Connector>, Error> {
    let named = (address.host.clone(), address.port);
    let way = match &address.unix {
        Some(_) if cfg!(not(unix)) => {
            return Err(Error::Config("there are no Unix sockets on this system".to_owned()));
        }
        Some(path) => Way::Socket(path.clone()),
        None if address.others.is_empty() => return Ok(None),
        None => Way::Places([std::slice::from_ref(&named), &address.others].concat()),
    };
    let way = Arc::new(way);
    Ok(Some(Connector::new(move |host, port| {
        let way = Arc::clone(&way);
        let is_elsewhere = (&host, port) != (&named.0, named.1);
        async move {
            match &*way {
                _ if is_elsewhere => first(&[(host, port)], patience).await,
                Way::Socket(path) => socket(path).await,
                Way::Places(places) => {
                    first(places, patience / u32::try_from(places.len()).unwrap_or(u32::MAX)).await
                }
            }
        }
    })))
}

/// The first of these places that answers in time.
async fn first(places: &[(String, u16)], each: Duration) -> io::Result<Box<dyn Connection>> {
    let mut failed = Vec::new();
    for (host, port) in places {
        match tokio::time::timeout(each, TcpStream::connect((host.as_str(), *port))).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                tracing::debug!(host, port, "connected");
                return Ok(Box::new(stream));
            }
            Ok(Err(error)) => failed.push(format!("{host}:{port}: {error}")),
            Err(_) => failed.push(format!("{host}:{port}: no answer")),
        }
    }
    Err(io::Error::other(failed.join("; ")))
}

#[cfg(unix)]
async fn socket(path: &std::path::Path) -> io::Result<Box<dyn Connection>> {
    Ok(Box::new(tokio::net::UnixStream::connect(path).await?))
}

#[cfg(not(unix))]
async fn socket(_: &std::path::Path) -> io::Result<Box<dyn Connection>> {
    Err(io::ErrorKind::Unsupported.into())
}
