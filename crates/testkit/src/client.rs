//! A small blocking client for both protocols, on the standard library alone.
//!
//! It reads by the obvious grammar, one reply at a time, and knows nothing of our own decoder.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use crate::Reply;

/// A reply that takes longer than this fails the test, rather than hang it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests sent in one go; their replies are read while they are written, so neither side can fill its buffers.
const PIPELINE_BYTES: usize = 1 << 16;
/// Nesting no server of ours answers with.
const MAX_DEPTH: usize = 128;

/// A connection to a server.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
    /// Requests packed by [`Client::send`] wait here for [`Client::flush`].
    outgoing: Vec<u8>,
    /// Bytes of the replies read since it was last emptied, while somebody wants them.
    transcript: Option<Vec<u8>>,
}

impl Client {
    /// Connects to an address such as `("127.0.0.1", 6379)`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let writer = TcpStream::connect(addr)?;
        writer.set_nodelay(true)?;
        writer.set_read_timeout(Some(PATIENCE))?;
        writer.set_write_timeout(Some(PATIENCE))?;
        let reader = BufReader::with_capacity(PIPELINE_BYTES, writer.try_clone()?);
        Ok(Self { reader, writer, outgoing: Vec::new(), transcript: None })
    }

    /// How long to wait for a reply, or for the server to take a request, before the call fails; 60 seconds unless said
    /// otherwise.
    ///
    /// # Errors
    /// When the socket refuses, as it does for zero.
    pub fn set_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        self.writer.set_read_timeout(Some(timeout))?;
        self.writer.set_write_timeout(Some(timeout))
    }

    /// Sends one command and waits for its reply.
    ///
    /// # Panics
    /// When the connection fails; an error reply is a [`Reply::Error`].
    #[track_caller]
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Reply {
        match self.try_call(args) {
            Ok(reply) => reply,
            Err(error) => panic!("no reply to {}: {error}", shown(args)),
        }
    }

    /// As [`Client::call`] for commands whose arguments are not all of one type: words split at spaces.
    ///
    /// # Panics
    /// When the connection fails.
    #[track_caller]
    pub fn line(&mut self, words: &str) -> Reply {
        self.call(&words.split_ascii_whitespace().collect::<Vec<_>>())
    }

    /// Sends one command and waits for its reply.
    ///
    /// # Errors
    /// When the connection fails, the reply is late, or it is not RESP.
    pub fn try_call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<Reply> {
        self.send(args);
        self.flush()?;
        self.receive()
    }

    /// The exact bytes that answer one command.
    ///
    /// # Errors
    /// As [`Client::try_call`].
    pub fn call_for_bytes<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<Vec<u8>> {
        self.transcript = Some(Vec::new());
        let result = self.try_call(args);
        let bytes = self.transcript.take().unwrap_or_default();
        result.map(|_| bytes)
    }

    /// Sends many commands and collects their replies in order.
    ///
    /// # Panics
    /// When the connection fails.
    #[track_caller]
    pub fn pipeline<A: AsRef<[u8]>>(&mut self, commands: &[Vec<A>]) -> Vec<Reply> {
        let mut packed = Vec::new();
        for command in commands {
            pack(&mut packed, command);
        }
        match self.pipeline_bytes(&packed, commands.len()) {
            Ok(replies) => replies,
            Err(error) => panic!("a pipeline of {} commands failed: {error}", commands.len()),
        }
    }

    /// Sends packed requests and collects `count` replies. A second thread writes, so that a pipeline
    /// of any length cannot block on replies nobody reads.
    ///
    /// # Errors
    /// As [`Client::try_call`].
    pub fn pipeline_bytes(&mut self, packed: &[u8], count: usize) -> io::Result<Vec<Reply>> {
        self.flush()?;
        let mut writer = self.writer.try_clone()?;
        thread::scope(|scope| {
            if packed.len() <= PIPELINE_BYTES {
                writer.write_all(packed)?;
            } else {
                scope.spawn(move || writer.write_all(packed));
            }
            (0..count).map(|_| self.receive()).collect()
        })
    }

    /// Packs a command to go out with the next [`Client::flush`]; its reply is then read by [`Client::receive`].
    pub fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        pack(&mut self.outgoing, args);
    }

    /// Packs bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.outgoing.extend_from_slice(bytes);
    }

    /// Writes all that was packed.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn flush(&mut self) -> io::Result<()> {
        let result = self.writer.write_all(&self.outgoing);
        self.outgoing.clear();
        result
    }

    /// Reads one reply.
    ///
    /// # Errors
    /// When the connection fails, the reply is late, or it is not RESP.
    pub fn receive(&mut self) -> io::Result<Reply> {
        self.reply(0)
    }

    /// Reads exactly so many bytes as they come.
    ///
    /// # Errors
    /// When the connection ends before, or the bytes are late.
    pub fn receive_raw(&mut self, count: usize) -> io::Result<Vec<u8>> {
        self.exactly(count)
    }

    /// Reads one line as it comes, without its line end.
    ///
    /// # Errors
    /// When the connection ends before, or the line is late.
    pub fn receive_line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        if let Some(transcript) = &mut self.transcript {
            transcript.extend_from_slice(&line);
        }
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.pop_if(|last| *last == b'\r');
        Ok(line)
    }

    /// True once the other side has closed the connection; waits for that or for data.
    ///
    /// # Errors
    /// When nothing happens in time.
    pub fn at_end(&mut self) -> io::Result<bool> {
        match self.reader.fill_buf() {
            Ok(bytes) => Ok(bytes.is_empty()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn reply(&mut self, depth: usize) -> io::Result<Reply> {
        if depth > MAX_DEPTH {
            return Err(bad("a reply nested too deeply", b""));
        }
        let line = self.receive_line()?;
        let Some((kind, rest)) = line.split_first() else {
            return Err(bad("an empty line where a reply should begin", &line));
        };
        Ok(match kind {
            b'+' => Reply::Simple(rest.to_vec()),
            b'-' => Reply::Error(String::from_utf8_lossy(rest).into_owned()),
            b':' => Reply::Int(number(rest)?),
            b'(' => Reply::BigNumber(rest.to_vec()),
            b'_' => Reply::Null,
            b'#' => Reply::Bool(rest == b"t"),
            b',' => Reply::Double(number(rest)?),
            b'$' => match self.bulk(rest)? {
                Some(bytes) => Reply::Bulk(bytes),
                None => Reply::Null,
            },
            b'!' => Reply::Error(String::from_utf8_lossy(&self.bulk(rest)?.unwrap_or_default()).into_owned()),
            b'=' => {
                let whole = self.bulk(rest)?.unwrap_or_default();
                match whole.split_first_chunk::<3>() {
                    Some((format, [b':', text @ ..])) => Reply::Verbatim(*format, text.to_vec()),
                    _ => return Err(bad("a verbatim string without its format", &whole)),
                }
            }
            b'*' if rest == b"-1" => Reply::Null,
            b'*' => Reply::Array(self.items(rest, depth)?),
            b'~' => Reply::Set(self.items(rest, depth)?),
            b'>' => Reply::Push(self.items(rest, depth)?),
            b'%' => Reply::Map(self.pairs(rest, depth)?),
            b'|' => {
                let attributes = self.pairs(rest, depth)?;
                Reply::Attributed(attributes, Box::new(self.reply(depth + 1)?))
            }
            _ => return Err(bad("a line that begins no reply", &line)),
        })
    }

    fn bulk(&mut self, length: &[u8]) -> io::Result<Option<Vec<u8>>> {
        if length == b"?" {
            let mut whole = Vec::new();
            loop {
                let line = self.receive_line()?;
                let Some(chunk) = line.strip_prefix(b";") else {
                    return Err(bad("a chunk of a streamed string should begin here", &line));
                };
                let size: usize = number(chunk)?;
                if size == 0 {
                    return Ok(Some(whole));
                }
                whole.extend(self.exactly(size)?);
                self.line_end()?;
            }
        }
        if length == b"-1" {
            return Ok(None);
        }
        let bytes = self.exactly(number(length)?)?;
        self.line_end()?;
        Ok(Some(bytes))
    }

    fn items(&mut self, length: &[u8], depth: usize) -> io::Result<Vec<Reply>> {
        let mut items = Vec::new();
        if length == b"?" {
            while !self.at_stream_end()? {
                items.push(self.reply(depth + 1)?);
            }
        } else {
            for _ in 0..number::<usize>(length)? {
                items.push(self.reply(depth + 1)?);
            }
        }
        Ok(items)
    }

    fn pairs(&mut self, length: &[u8], depth: usize) -> io::Result<Vec<(Reply, Reply)>> {
        let mut pairs = Vec::new();
        let count = if length == b"?" { usize::MAX } else { number(length)? };
        while pairs.len() < count {
            if length == b"?" && self.at_stream_end()? {
                break;
            }
            pairs.push((self.reply(depth + 1)?, self.reply(depth + 1)?));
        }
        Ok(pairs)
    }

    /// Takes the `.` that ends a streamed aggregate, if it is next.
    fn at_stream_end(&mut self) -> io::Result<bool> {
        if self.reader.fill_buf()?.first() != Some(&b'.') {
            return Ok(false);
        }
        self.receive_line().map(|_| true)
    }

    fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(count).unwrap_or(u64::MAX);
        let read = self.reader.by_ref().take(limit).read_to_end(&mut bytes)?;
        if let Some(transcript) = &mut self.transcript {
            transcript.extend_from_slice(&bytes);
        }
        if read == count { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn line_end(&mut self) -> io::Result<()> {
        let end = self.exactly(2)?;
        if end == b"\r\n" { Ok(()) } else { Err(bad("a line end should stand here", &end)) }
    }
}

/// Appends a command as an array of bulk strings.
pub(crate) fn pack<A: AsRef<[u8]>>(out: &mut Vec<u8>, args: &[A]) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "*{}\r\n", args.len());
    for arg in args {
        let bytes = arg.as_ref();
        let _ = write!(out, "${}\r\n", bytes.len());
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }
}

fn number<T: std::str::FromStr>(text: &[u8]) -> io::Result<T> {
    let parsed = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| bad("a number should stand here", text))
}

fn bad(what: &str, line: &[u8]) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what}: {}", line.escape_ascii()))
}

fn shown<A: AsRef<[u8]>>(args: &[A]) -> String {
    let words = args.iter().map(|arg| arg.as_ref().escape_ascii().to_string());
    words.collect::<Vec<_>>().join(" ").chars().take(200).collect()
}
