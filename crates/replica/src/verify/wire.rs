//! A blocking connection that pipelines: to a server, or to an engine in this process.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use resp::{Encoder, Limits, Protocol, Value, ValueDecoder};
use server::Engine;

#[cfg(feature = "tls")]
use crate::Tls;
use crate::address::Address;

/// A reply that takes longer than this will not come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes read at a time.
const READ_SIZE: usize = 256 * 1024;

/// Bytes in both directions.
trait Stream: io::Read + io::Write + Send {}

impl<T: io::Read + io::Write + Send> Stream for T {}

/// A server, and what is on its way to it and back.
struct Socket {
    stream: Box<dyn Stream>,
    decoder: ValueDecoder,
    out: Vec<u8>,
    pending: usize,
    buffer: Vec<u8>,
}

/// Where commands go, and their replies come from.
enum Way {
    Socket(Box<Socket>),
    Process { caller: Box<server::Caller>, replies: Vec<Value> },
}

/// A blocking connection that pipelines, for tools.
pub struct Wire(Way);

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

/// How a server is reached besides its address: by TLS, or not.
#[derive(Debug, Clone, Default)]
pub(crate) struct How {
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
}

impl Wire {
    /// Connects to the host and port of an address, and logs in. Without `tls`, one that says `rediss://` is reached by
    /// the settings that suit most.
    ///
    /// # Errors
    /// The socket's, those of TLS, and a login that is refused.
    #[cfg(feature = "tls")]
    pub fn open(address: &Address, tls: Option<&Tls>) -> io::Result<Self> {
        Self::to(address, &How { tls: tls.cloned() })
    }

    pub(crate) fn to(address: &Address, how: &How) -> io::Result<Self> {
        let Address { host, user, password, .. } = address;
        if host.is_empty() {
            return Err(io::Error::other("a server's own address is needed here, not that of Sentinels"));
        }
        let stream = match address.unix {
            Some(_) => unix(address)?,
            None => secured(tcp(address)?, address, how)?,
        };
        let mut connection = Self(Way::Socket(Box::new(Socket {
            stream,
            decoder: ValueDecoder::new(Limits::replies()),
            out: Vec::new(),
            pending: 0,
            buffer: vec![0; READ_SIZE],
        })));
        if let Some(password) = password {
            let words: Vec<&str> =
                ["AUTH"].into_iter().chain(user.as_deref()).chain([password.as_str()]).collect();
            connection.ask(&words)?;
        }
        Ok(connection)
    }

    /// To an engine in this process.
    pub(crate) fn within(engine: &Arc<Engine>) -> io::Result<Self> {
        let caller = Box::new(server::Caller::new(engine));
        let mut connection = Self(Way::Process { caller, replies: Vec::new() });
        connection.ask(&["HELLO", "2"])?;
        Ok(connection)
    }

    /// Queues a command.
    pub fn push(&mut self, args: &[impl AsRef<[u8]>]) {
        match &mut self.0 {
            Way::Socket(socket) => {
                Encoder::new(&mut socket.out, Protocol::Resp2).command(args);
                socket.pending += 1;
            }
            Way::Process { caller, replies } => {
                let words: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
                let reply = caller.call(&words);
                replies.push(reply.unwrap_or_else(|error| Value::Error(error.bytes().to_vec().into())));
            }
        }
    }

    /// Sends what is queued and answers the replies in order; errors among them stay values.
    ///
    /// # Errors
    /// The socket's, and bytes that are no replies.
    pub fn flush(&mut self) -> io::Result<Vec<Value>> {
        let Socket { stream, decoder, out, pending, buffer } = match &mut self.0 {
            Way::Socket(socket) => &mut **socket,
            Way::Process { replies, .. } => return Ok(std::mem::take(replies)),
        };
        // The peer may fill its output buffer before it has read all of ours: its replies wait in the
        // socket meanwhile, which is enough for the batches that are sent here.
        stream.write_all(out)?;
        stream.flush()?;
        out.clear();
        let mut replies = Vec::with_capacity(*pending);
        while replies.len() < *pending {
            if let Some(value) = decoder.next().map_err(io::Error::other)? {
                replies.push(value);
                continue;
            }
            let n = stream.read(buffer)?;
            if n == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
            }
            decoder.feed(&buffer[..n]);
        }
        *pending = 0;
        Ok(replies)
    }

    /// One command and its reply.
    ///
    /// # Errors
    /// As [`flush`](Self::flush), and a reply that is an error.
    pub fn ask(&mut self, args: &[impl AsRef<[u8]>]) -> io::Result<Value> {
        self.push(args);
        match self.flush()?.pop() {
            Some(Value::Error(text)) => Err(io::Error::other(String::from_utf8_lossy(&text).into_owned())),
            Some(value) => Ok(value),
            None => Err(io::Error::other("no reply")),
        }
    }
}

/// To the first of the places in the address that answers.
fn tcp(address: &Address) -> io::Result<TcpStream> {
    let mut failed = Vec::new();
    for (host, port) in [(address.host.clone(), address.port)].iter().chain(&address.others) {
        match TcpStream::connect((host.as_str(), *port)) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) => failed.push(format!("{host}:{port}: {error}")),
        }
    }
    Err(io::Error::other(failed.join("; ")))
}

#[cfg(unix)]
fn unix(address: &Address) -> io::Result<Box<dyn Stream>> {
    let stream = std::os::unix::net::UnixStream::connect(&address.host)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", address.host)))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(Box::new(stream))
}

#[cfg(not(unix))]
fn unix(_: &Address) -> io::Result<Box<dyn Stream>> {
    Err(io::Error::other("there are no Unix sockets on this system"))
}

#[cfg(feature = "tls")]
fn secured(stream: TcpStream, address: &Address, how: &How) -> io::Result<Box<dyn Stream>> {
    if !address.tls {
        return Ok(Box::new(stream));
    }
    let tls = match how.tls.clone() {
        Some(tls) => tls,
        None => Tls::builder("").build().map_err(io::Error::other)?,
    };
    let name = tls.server_name(&address.host).map_err(io::Error::other)?;
    let session = rustls::ClientConnection::new(tls.client_config(), name).map_err(io::Error::other)?;
    Ok(Box::new(rustls::StreamOwned::new(session, stream)))
}

#[cfg(not(feature = "tls"))]
fn secured(stream: TcpStream, address: &Address, _: &How) -> io::Result<Box<dyn Stream>> {
    if address.tls {
        return Err(io::Error::other("this build has no TLS: feature `tls`"));
    }
    Ok(Box::new(stream))
}
