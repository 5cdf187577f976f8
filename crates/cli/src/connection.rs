//! A blocking connection that pipelines.

use std::net::TcpStream;
use std::time::Duration;

use replica::Address;
use resp::{Encoder, Limits, Protocol, Value, ValueDecoder};

use crate::Failure;

/// A server that says nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes in both directions.
trait Stream: std::io::Read + std::io::Write {}

impl<T: std::io::Read + std::io::Write> Stream for T {}

/// A connection to a server.
pub struct Connection {
    stream: Box<dyn Stream>,
    decoder: ValueDecoder,
    out: Vec<u8>,
    pending: usize,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects and logs in.
    pub fn open(url: &str, tls: &crate::tls::Args) -> Result<Self, Failure> {
        let address = Address::parse(url)?;
        if address.service.is_some() || !address.cluster.is_empty() {
            return Err("a server's own address is needed here, not that of Sentinels or a cluster".into());
        }
        Self::to(&address, tls)
    }

    /// The same of an address that was read already: to its host and port.
    pub fn to(address: &Address, tls: &crate::tls::Args) -> Result<Self, Failure> {
        let Address { host, user, password, tls: secure, .. } = address;
        let stream: Box<dyn Stream> = if address.unix.is_some() {
            socket(address)?
        } else if *secure {
            let tls = tls.build()?;
            let session = rustls::ClientConnection::new(tls.client_config(), tls.server_name(host)?)?;
            Box::new(rustls::StreamOwned::new(session, tcp(address)?))
        } else {
            Box::new(tcp(address)?)
        };
        let decoder = ValueDecoder::new(Limits::replies());
        let mut connection =
            Self { stream, decoder, out: Vec::new(), pending: 0, buffer: vec![0; 256 * 1024] };
        if let Some(password) = password {
            let words: Vec<&str> =
                ["AUTH"].into_iter().chain(user.as_deref()).chain([password.as_str()]).collect();
            connection.ask(&words)?;
        }
        Ok(connection)
    }

    /// Queues a command.
    pub fn push(&mut self, args: &[impl AsRef<[u8]>]) {
        Encoder::new(&mut self.out, Protocol::Resp2).command(args);
        self.pending += 1;
    }

    /// Sends what is queued and answers the replies in order; errors among them stay values.
    pub fn flush(&mut self) -> Result<Vec<Value>, Failure> {
        // The peer may fill its output buffer before it has read all of ours: its replies wait in the
        // socket meanwhile, which is enough for the batches that are sent here.
        self.stream.write_all(&self.out)?;
        self.stream.flush()?;
        self.out.clear();
        let mut replies = Vec::with_capacity(self.pending);
        while replies.len() < self.pending {
            if let Some(value) = self.decoder.next()? {
                replies.push(value);
                continue;
            }
            let n = self.stream.read(&mut self.buffer)?;
            if n == 0 {
                return Err("the server closed the connection".into());
            }
            self.decoder.feed(&self.buffer[..n]);
        }
        self.pending = 0;
        Ok(replies)
    }

    /// One command and its reply; an error reply is a failure.
    pub fn ask(&mut self, args: &[impl AsRef<[u8]>]) -> Result<Value, Failure> {
        self.push(args);
        match self.flush()?.pop() {
            Some(Value::Error(text)) => Err(String::from_utf8_lossy(&text).into_owned().into()),
            Some(value) => Ok(value),
            None => Err("no reply".into()),
        }
    }
}

/// To the first of the places in the address that answers.
fn tcp(address: &Address) -> Result<TcpStream, Failure> {
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
    Err(failed.join("; ").into())
}

#[cfg(unix)]
fn socket(address: &Address) -> Result<Box<dyn Stream>, Failure> {
    let stream = std::os::unix::net::UnixStream::connect(&address.host)
        .map_err(|error| format!("{}: {error}", address.host))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(Box::new(stream))
}

#[cfg(not(unix))]
fn socket(_: &Address) -> Result<Box<dyn Stream>, Failure> {
    Err("there are no Unix sockets on this system".into())
}
