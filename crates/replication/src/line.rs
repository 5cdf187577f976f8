//! Lines that arrive in pieces: the replies of the handshake and the header of a transfer.

/// Longer lines are not replies.
pub(crate) const LINE_LIMIT: usize = 16 * 1024;

/// Collects bytes up to a newline.
#[derive(Debug, Default)]
pub(crate) struct LineReader {
    /// The beginning of a line whose end has not arrived.
    partial: Vec<u8>,
    /// Whether `partial` was handed out and is to be dropped at the next call.
    taken: bool,
}

/// The line exceeds [`LINE_LIMIT`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl LineReader {
    /// Takes one line off the front of `bytes`, without its line end; `None` if it goes on.
    /// An empty line is a primary's sign of life and comes out as such.
    pub(crate) fn next_line<'a>(&'a mut self, bytes: &mut &[u8]) -> Result<Option<&'a [u8]>, TooLong> {
        if std::mem::take(&mut self.taken) {
            self.partial.clear();
        }
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let (head, tail) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
        if self.partial.len() + head.len() > LINE_LIMIT {
            return Err(TooLong);
        }
        self.partial.extend_from_slice(head);
        *bytes = tail;
        if end.is_none() {
            return Ok(None);
        }
        self.taken = true;
        let line = self.partial.strip_suffix(b"\n").unwrap_or(&self.partial);
        Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_however_they_arrive() {
        let input = b"\n+PONG\r\n\r\n-ERR no\r\n";
        let wanted: [&[u8]; 4] = [b"", b"+PONG", b"", b"-ERR no"];
        for step in 1..=input.len() {
            let (mut reader, mut lines) = (LineReader::default(), Vec::new());
            for mut chunk in input.chunks(step) {
                while let Some(line) = reader.next_line(&mut chunk).unwrap() {
                    lines.push(line.to_vec());
                }
                assert!(chunk.is_empty());
            }
            assert_eq!(lines, wanted, "chunks of {step}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused_and_not_hoarded() {
        let (mut reader, junk) = (LineReader::default(), vec![b'x'; LINE_LIMIT]);
        assert_eq!(reader.next_line(&mut &junk[..]), Ok(None));
        assert_eq!(reader.next_line(&mut &b"x"[..]), Err(TooLong));
    }
}
