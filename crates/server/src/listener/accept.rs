//! The sockets that listen, and who comes to them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::engine::Engine;

use super::address::Address;
use super::bind::Bound;
use super::connection::Connection;
use super::endpoint::Endpoint;
use super::socket::Socket;

/// A client that agrees on TLS has so long for it.
#[cfg(feature = "tls")]
const HANDSHAKE: Duration = Duration::from_secs(60);
/// So long somebody who is refused may take to take in why.
const REFUSAL: Duration = Duration::from_secs(1);

/// A running listener, at one place or at many. Dropping it stops accepting and ends its connections.
#[derive(Debug)]
pub struct Listener {
    addrs: Vec<SocketAddr>,
    /// Files of Unix sockets.
    files: Vec<std::path::PathBuf>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Listener {
    /// Accepts clients of `engine` at `addr`; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(engine: Arc<Engine>, addr: impl ToSocketAddrs) -> io::Result<Self> {
        let mut failed = None;
        for addr in tokio::net::lookup_host(addr).await? {
            match Self::open(Arc::clone(&engine), &[Endpoint::Tcp(addr.to_string())]).await {
                Ok(listener) => return Ok(listener),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no such host")))
    }

    /// Accepts clients of `engine` at all of these places.
    ///
    /// # Errors
    /// One of them cannot be had, or all of them may be missing and are.
    pub async fn open(engine: Arc<Engine>, endpoints: &[Endpoint]) -> io::Result<Self> {
        let (mut bound, mut places) = (Vec::new(), Vec::new());
        for endpoint in endpoints {
            if let Some((socket, place)) = endpoint.bind(engine.options.tcp_backlog).await? {
                bound.push(socket);
                places.push(place);
            }
        }
        if bound.is_empty() && !endpoints.is_empty() {
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "none of the addresses is here"));
        }
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        crate::pulse::spawn(&engine, stop.clone())?;
        engine.listening.write().append(&mut places);
        let mut listener = Self { addrs: Vec::new(), files: Vec::new(), stop, tasks };
        for socket in bound {
            match &socket {
                Bound::Tcp(socket) => listener.addrs.push(socket.local_addr()?),
                #[cfg(feature = "tls")]
                Bound::Tls(socket, _) => listener.addrs.push(socket.local_addr()?),
                #[cfg(unix)]
                Bound::Unix(_, path) => {
                    tracing::info!(path = %path.display(), "listening");
                    listener.files.push(path.clone());
                }
            }
            let (engine, stop, tasks) = (Arc::clone(&engine), listener.stop.clone(), listener.tasks.clone());
            listener.tasks.spawn(accept(engine, socket, stop, tasks));
        }
        for addr in &listener.addrs {
            tracing::info!(%addr, "listening");
        }
        Ok(listener)
    }

    /// Where it listens first; `0.0.0.0:0` if there are Unix sockets only.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addrs.first().copied().unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into())
    }

    /// Every address, with and without TLS, in the order in which they were asked for.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// The Unix sockets.
    #[must_use]
    pub fn local_paths(&self) -> &[std::path::PathBuf] {
        &self.files
    }

    /// Stops accepting, lets replies in flight finish, and ends the connections.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.cancel();
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
    }
}

async fn accept(engine: Arc<Engine>, bound: Bound, stop: CancellationToken, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = take(&engine, &bound) => accepted,
        };
        match accepted {
            Ok(newcomer) => newcomer.welcome(&engine, &stop, &tasks),
            Err(error) => {
                // Out of descriptors, most likely: wait for some to come back.
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Who has come.
struct Newcomer {
    socket: Fresh,
    peer: Address,
    local: Address,
}

/// A connection that may have to agree on TLS first.
enum Fresh {
    Ready(Socket),
    #[cfg(feature = "tls")]
    Tls(TcpStream, tokio_rustls::TlsAcceptor),
}

/// The next one who comes.
async fn take(engine: &Engine, bound: &Bound) -> io::Result<Newcomer> {
    let ends = |stream: &TcpStream, peer: SocketAddr| {
        let _ = stream.set_nodelay(true);
        keep_alive(stream, engine.client_limits.keepalive.get());
        (Address::Ip(peer), Address::Ip(stream.local_addr().unwrap_or(peer)))
    };
    match bound {
        Bound::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            let (peer, local) = ends(&stream, peer);
            Ok(Newcomer { socket: Fresh::Ready(Socket::Tcp(stream)), peer, local })
        }
        #[cfg(feature = "tls")]
        Bound::Tls(listener, tls) => {
            let (stream, peer) = listener.accept().await?;
            let (peer, local) = ends(&stream, peer);
            Ok(Newcomer { socket: Fresh::Tls(stream, tls.acceptor()), peer, local })
        }
        #[cfg(unix)]
        Bound::Unix(listener, path) => {
            let (stream, _) = listener.accept().await?;
            let name = Address::Unix(path.display().to_string().into());
            Ok(Newcomer { socket: Fresh::Ready(Socket::Unix(stream)), peer: name.clone(), local: name })
        }
    }
}

/// Lets the system find out about peers that are gone without a word (`tcp-keepalive`): after so many seconds of
/// silence, three times.
fn keep_alive(stream: &TcpStream, seconds: i64) {
    let Some(time) = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0) else { return };
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(time));
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))]
    let keepalive = keepalive.with_interval(Duration::from_secs((time / 3).max(1))).with_retries(3);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

impl Newcomer {
    /// Serves it, or tells it why not.
    fn welcome(self, engine: &Arc<Engine>, stop: &CancellationToken, tasks: &TaskTracker) {
        let Self { socket, peer, local } = self;
        if let Some(why) = engine.refusal(&peer) {
            engine.client_limits.rejected.fetch_add(1, Ordering::Relaxed);
            tasks.spawn(refuse(socket, why));
            return;
        }
        engine.stats.connections.fetch_add(1, Ordering::Relaxed);
        let server_stop = stop.clone();
        let stop = stop.child_token();
        let (id, record) = engine.clients.add(peer.clone(), local, stop.clone());
        let span = tracing::debug_span!("client", id, addr = %peer.spell(engine.compat()));
        let engine = Arc::clone(engine);
        let serving = async move {
            if let Some(stream) = socket.ready(&stop).await {
                Connection::new(&engine, id, record, peer, stream, stop, server_stop).run().await;
            }
            engine.observed.monitors.remove(id);
            engine.clients.remove(id);
        };
        tasks.spawn(serving.instrument(span));
    }
}

impl Fresh {
    /// The connection, once both sides have agreed; none if they do not.
    #[cfg_attr(not(feature = "tls"), expect(clippy::unused_async, reason = "it waits where there is TLS"))]
    async fn ready(self, stop: &CancellationToken) -> Option<Socket> {
        #[cfg(not(feature = "tls"))]
        let _ = stop;
        match self {
            Self::Ready(socket) => Some(socket),
            #[cfg(feature = "tls")]
            Self::Tls(stream, acceptor) => {
                let agreed = tokio::select! {
                    () = stop.cancelled() => return None,
                    agreed = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)) => agreed,
                };
                match agreed {
                    Ok(Ok(stream)) => Some(Socket::Tls(Box::new(stream))),
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "TLS: no agreement with a client");
                        None
                    }
                    Err(_) => None,
                }
            }
        }
    }
}

/// Says why and hangs up; over TLS without a word, for there is no agreement yet.
async fn refuse(socket: Fresh, why: String) {
    async fn tell(mut stream: impl AsyncWrite + Unpin, why: &str) {
        let told = async {
            if stream.write_all(why.as_bytes()).await.is_ok() {
                let _ = stream.shutdown().await;
            }
        };
        let _ = tokio::time::timeout(REFUSAL, told).await;
    }
    match socket {
        Fresh::Ready(stream) => tell(stream, &why).await,
        #[cfg(feature = "tls")]
        Fresh::Tls(..) => {}
    }
}
