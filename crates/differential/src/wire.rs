//! A connection that hands out each reply as the bytes it came in.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::Command;

/// A reply that takes longer fails the comparison, rather than hang it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to a server, for pipelines.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: TcpStream,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
    /// Where the first reply that nobody has taken begins.
    start: usize,
}

impl Wire {
    /// Connects, and speaks this version of the protocol.
    pub(crate) fn connect(addr: &str, resp3: bool) -> io::Result<Self> {
        let socket = TcpStream::connect(addr)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let mut wire = Self { socket, outgoing: Vec::new(), incoming: Vec::new(), start: 0 };
        if resp3 {
            wire.ask(&[b"HELLO".to_vec(), b"3".to_vec()])?;
        }
        Ok(wire)
    }

    /// The connection itself, once all replies have been taken.
    pub(crate) fn into_socket(self) -> TcpStream {
        self.socket
    }

    /// Packs a command, to go out with the next flush.
    pub(crate) fn send(&mut self, command: &[Vec<u8>]) {
        // Writing to a vector cannot fail.
        let _ = write!(self.outgoing, "*{}\r\n", command.len());
        for arg in command {
            let _ = write!(self.outgoing, "${}\r\n", arg.len());
            self.outgoing.extend_from_slice(arg);
            self.outgoing.extend_from_slice(b"\r\n");
        }
    }

    /// Writes all that was packed.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let result = self.socket.write_all(&self.outgoing);
        self.outgoing.clear();
        result
    }

    /// The bytes of the next reply.
    pub(crate) fn receive(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = end_of_reply(&self.incoming, self.start) {
                let reply = self.incoming[self.start..end].to_vec();
                self.start = end;
                return Ok(reply);
            }
            self.incoming.drain(..self.start);
            self.start = 0;
            self.read_more()?;
        }
    }

    /// The next line, without its end, as a primary's answers come before its dump. While that is being made, empty
    /// lines come.
    pub(crate) fn receive_line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = line_end(&self.incoming, self.start) {
                let line = self.incoming[self.start..end].trim_ascii_end().to_vec();
                self.start = end;
                return Ok(line);
            }
            self.read_more()?;
        }
    }

    /// So many bytes as they come.
    pub(crate) fn receive_raw(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.incoming.len() - self.start < count {
            self.read_more()?;
        }
        let bytes = self.incoming[self.start..self.start + count].to_vec();
        self.start += count;
        Ok(bytes)
    }

    /// Sends one command and waits for its reply.
    pub(crate) fn ask(&mut self, command: &[Vec<u8>]) -> io::Result<Vec<u8>> {
        self.send(command);
        self.flush()?;
        self.receive()
    }

    /// Sends many and waits for all their replies.
    pub(crate) fn ask_all(&mut self, commands: &[Command]) -> io::Result<Vec<Vec<u8>>> {
        let mut replies = Vec::with_capacity(commands.len());
        // Replies of one part fit the socket's buffers while the other part is being written.
        for part in commands.chunks(200) {
            part.iter().for_each(|command| self.send(command));
            self.flush()?;
            for _ in part {
                replies.push(self.receive()?);
            }
        }
        Ok(replies)
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut piece = [0; 1 << 16];
        match self.socket.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                self.incoming.extend_from_slice(&piece[..n]);
                Ok(())
            }
        }
    }
}

fn line_end(bytes: &[u8], from: usize) -> Option<usize> {
    let at = bytes[from..].iter().position(|b| *b == b'\n')?;
    Some(from + at + 1)
}

/// Where the reply that begins at `from` ends, if all of it is there.
fn end_of_reply(bytes: &[u8], from: usize) -> Option<usize> {
    let (mut at, mut missing) = (from, 1_u64);
    while missing > 0 {
        let end = line_end(bytes, at)?;
        let number = || std::str::from_utf8(&bytes[at + 1..end - 2]).ok()?.parse::<i64>().ok();
        let many = |each| number().unwrap_or(-1).max(0).unsigned_abs() * each;
        missing -= 1;
        match bytes[at] {
            b'$' | b'=' | b'!' => {
                let len = number().unwrap_or(-1);
                at = end + usize::try_from(len).map_or(0, |len| len + 2);
                if at > bytes.len() {
                    return None;
                }
                continue;
            }
            b'*' | b'~' | b'>' => missing += many(1),
            b'%' => missing += many(2),
            b'|' => missing += many(2) + 1,
            _ => {}
        }
        at = end;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_ends_where_it_ends() {
        for whole in [
            &b"+OK\r\n"[..],
            b"$-1\r\n",
            b"$3\r\na\r\n\r\n",
            b"*2\r\n%1\r\n:1\r\n:2\r\n$0\r\n\r\n",
            b"*-1\r\n",
        ] {
            let mut bytes = whole.to_vec();
            bytes.extend_from_slice(b"+next");
            assert_eq!(end_of_reply(&bytes, 0), Some(whole.len()), "{}", whole.escape_ascii());
            for cut in 0..whole.len() {
                assert_eq!(end_of_reply(&whole[..cut], 0), None, "{}", whole.escape_ascii());
            }
        }
    }
}
