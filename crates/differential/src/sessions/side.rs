//! One side of a comparison: a server, the connections that take part, and one that watches.
//!
//! A server of one thread does what has come in the order in which it has come, but for what comes within one look at
//! its sockets. So whatever a connection said before a PING of the watcher's is done, and written, when that PING and
//! another one are answered; a few more let those go on who were woken by it. That holds for connections that cannot be
//! asked themselves too: those that are silent, blocked, or in the middle of a request.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::steps::{ID_MARKS, NAMES, Step};
use crate::Command;
use crate::command::words;
use crate::tree::Tree;
use crate::wire::Wire;

/// How many PINGs it takes until everything is said.
const ROUND_TRIPS: usize = 4;
/// What one side has said is waited for so long on the other.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A server and its clients.
#[derive(Debug)]
pub(super) struct Side {
    addr: String,
    watcher: Wire,
    connections: [Option<Connection>; NAMES.len()],
}

/// A client, and what it has got since the last comparison.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    id: i64,
    got: Vec<u8>,
    is_over: bool,
}

impl Connection {
    fn new(addr: &str) -> io::Result<Self> {
        let mut wire = Wire::connect(addr, false)?;
        let id = Tree::parse(&wire.ask(&words("CLIENT ID"))?).integer();
        let id = id.ok_or_else(|| io::Error::other("a connection without an id"))?;
        let stream = wire.into_socket();
        stream.set_nonblocking(true)?;
        Ok(Self { stream, id, got: Vec::new(), is_over: false })
    }

    /// Takes what has come.
    fn drain(&mut self) {
        let mut piece = [0; 1 << 14];
        while !self.is_over {
            match self.stream.read(&mut piece) {
                Ok(0) => self.is_over = true,
                Ok(n) => self.got.extend_from_slice(&piece[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.is_over = true,
            }
        }
        self.forget_modules();
    }

    /// HELLO tells of the modules, which are another matter.
    fn forget_modules(&mut self) {
        let find = |bytes: &[u8], word: &[u8]| bytes.windows(word.len()).position(|at| at == word);
        const LIST: &[u8] = b"$7\r\nmodules\r\n*1\r\n";
        const LAST: &[u8] = b"$4\r\nargs\r\n*0\r\n";
        while let Some(begin) = find(&self.got, LIST) {
            let Some(end) = find(&self.got[begin..], LAST) else { return };
            let none = b"$7\r\nmodules\r\n*0\r\n".iter().copied();
            self.got.splice(begin..begin + end + LAST.len(), none);
        }
    }

    /// Waits until it has got so many bytes, and is over if it should be; for a while.
    fn wait_for(&mut self, length: usize, is_over: bool, patience: Duration) -> io::Result<()> {
        if self.got.len() >= length && (self.is_over || !is_over) {
            return Ok(());
        }
        self.stream.set_nonblocking(false)?;
        self.stream.set_read_timeout(Some(patience))?;
        let mut piece = [0; 1 << 14];
        while !self.is_over && (self.got.len() < length || is_over) {
            match self.stream.read(&mut piece) {
                Ok(0) => self.is_over = true,
                Ok(n) => self.got.extend_from_slice(&piece[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.is_over = error.kind() == io::ErrorKind::ConnectionReset;
                    break;
                }
            }
        }
        self.stream.set_nonblocking(true)
    }
}

impl Side {
    pub(super) fn new(addr: String) -> io::Result<Self> {
        let watcher = Wire::connect(&addr, false)?;
        Ok(Self { addr, watcher, connections: Default::default() })
    }

    /// What the watcher says.
    pub(super) fn ask(&mut self, command: &[Vec<u8>]) -> io::Result<Vec<u8>> {
        self.watcher.ask(command)
    }

    /// Waits until the server has said all that it has to say.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        let ping: Command = words("PING");
        for _ in 0..ROUND_TRIPS {
            self.ask(&ping)?;
        }
        Ok(())
    }

    /// All clients leave.
    pub(super) fn hang_up(&mut self) {
        self.connections = Default::default();
    }

    /// Uses up the id of one connection, and answers it.
    pub(super) fn burn(&self) -> io::Result<i64> {
        Connection::new(&self.addr).map(|connection| connection.id)
    }

    /// Does a step, and waits for what comes of it.
    pub(super) fn take(&mut self, step: &Step) -> io::Result<()> {
        match step {
            Step::Say(who, bytes) => {
                if self.connections[*who].is_none() {
                    self.connections[*who] = Some(Connection::new(&self.addr)?);
                }
                let bytes = self.with_ids(bytes);
                if let Some(connection) = &mut self.connections[*who] {
                    // The other end may be gone; both sides see that.
                    let _ = connection.stream.write_all(&bytes);
                }
            }
            Step::Leave(who) => self.connections[*who] = None,
        }
        self.settle()?;
        self.connections.iter_mut().flatten().for_each(Connection::drain);
        Ok(())
    }

    /// Bytes in which the marks of connections are their ids.
    fn with_ids(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for byte in bytes {
            match byte.checked_sub(ID_MARKS).map(usize::from).filter(|n| *n < NAMES.len()) {
                Some(n) => {
                    let id = self.connections[n].as_ref().map_or(0, |connection| connection.id);
                    out.extend_from_slice(id.to_string().as_bytes());
                }
                None => out.push(*byte),
            }
        }
        out
    }
}

/// Compares what every connection has got; who got different things, and which.
pub(super) fn compare(
    theirs: &mut Side,
    ours: &mut Side,
    patience: Duration,
) -> io::Result<Option<[String; 3]>> {
    for ((a, b), name) in theirs.connections.iter_mut().zip(&mut ours.connections).zip(NAMES) {
        let (Some(one), Some(other)) = (&mut *a, &mut *b) else { continue };
        one.wait_for(other.got.len(), other.is_over, patience)?;
        other.wait_for(one.got.len(), one.is_over, patience)?;
        if !is_same(&one.got, &other.got) || one.is_over != other.is_over {
            let text = |connection: &Connection| {
                let end = if connection.is_over { " <end>" } else { "" };
                format!("{}{end}", connection.got.escape_ascii())
            };
            return Ok(Some([name.to_string(), text(one), text(other)]));
        }
        one.got.clear();
        other.got.clear();
        // Who was hung up on comes again.
        if one.is_over {
            (*a, *b) = (None, None);
        }
    }
    Ok(None)
}

/// The same bytes; or the same lines, for what hash tables give out in an order of their own (UNSUBSCRIBE from all,
/// PUBSUB CHANNELS), and for invalidations, which real servers send behind all that a pipeline is answered.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    let lines = |bytes: &[u8]| {
        let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        lines.sort();
        lines
    };
    let has_no_order = |bytes: &[u8]| {
        [&b"unsubscribe\r\n"[..], b"channel:", b"invalidate\r\n"]
            .iter()
            .any(|word| bytes.windows(word.len()).any(|w| w == *word))
    };
    a == b || a.len() == b.len() && has_no_order(a) && lines(a) == lines(b)
}
