//! The header of a full sync: a bulk string that ends without CR LF.
//!
//! ```text
//! \n \n \n  $1234\r\n           then 1234 bytes, and the command stream right behind
//! \n \n \n  $EOF:<40 bytes>\r\n then bytes until those 40 come again, and the command stream right behind
//! ```
//! The newlines are signs of life while the primary prepares its dump. They do not count in the offset.

use crate::ProtocolError;
use crate::number::parse_i64;

/// How the end of a transfer is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkHeader {
    /// So many bytes.
    Length(u64),
    /// Up to this mark, which is not part of the payload.
    Eof([u8; 40]),
}

/// No legal header is longer; error lines are cut here.
const LONGEST_LINE: usize = 1024;

impl BulkHeader {
    /// Reads keepalive newlines and then a header from the front of `bytes`.
    ///
    /// Returns how many bytes are done with (drop them, whether or not the header is there yet) and the header.
    /// Keeps no state: what is left undone is at most one incomplete line.
    ///
    /// ```
    /// use resp::BulkHeader;
    ///
    /// assert_eq!(BulkHeader::scan(b"\n\n$12"), Ok((2, None)));
    /// assert_eq!(BulkHeader::scan(b"$1234\r\nREDIS"), Ok((7, Some(BulkHeader::Length(1234)))));
    /// ```
    ///
    /// # Errors
    /// [`ProtocolError::TransferRefused`] if an error or a negative length comes instead,
    /// [`ProtocolError::InvalidBulkLength`] for anything else that is no header.
    pub fn scan(bytes: &[u8]) -> Result<(usize, Option<Self>), ProtocolError> {
        let start = bytes.iter().take_while(|byte| **byte == b'\n').count();
        let rest = bytes.get(start..).unwrap_or_default();
        match rest.first() {
            None => return Ok((start, None)),
            Some(b'-') => return Err(ProtocolError::TransferRefused),
            Some(b'$') => {}
            Some(&byte) => return Err(ProtocolError::ExpectedBulk(byte)),
        }
        let Some(end) = memchr::memchr(b'\n', rest) else {
            return if rest.len() > LONGEST_LINE {
                Err(ProtocolError::BulkCountTooLong)
            } else {
                Ok((start, None))
            };
        };
        let line = rest.get(1..end).and_then(|line| line.strip_suffix(b"\r"));
        let line = line.ok_or(ProtocolError::InvalidBulkLength)?;
        let header = match line.strip_prefix(b"EOF:") {
            Some(mark) => Self::Eof(mark.try_into().map_err(|_| ProtocolError::InvalidBulkLength)?),
            None => {
                let len = parse_i64(line).ok_or(ProtocolError::InvalidBulkLength)?;
                Self::Length(u64::try_from(len).map_err(|_| ProtocolError::TransferRefused)?)
            }
        };
        Ok((start.saturating_add(end).saturating_add(1), Some(header)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_gives_the_same_header() {
        let mark = [b'a'; 40];
        let stream = [&b"\n\n$EOF:"[..], &mark, b"\r\nREDIS0011"].concat();
        let whole = stream.len() - 9;
        for cut in 0..stream.len() {
            let (first, header) = BulkHeader::scan(&stream[..cut]).unwrap();
            if header.is_some() {
                assert_eq!((first, header), (whole, Some(BulkHeader::Eof(mark))));
                continue;
            }
            assert!(cut < whole);
            let (second, header) = BulkHeader::scan(&stream[first..]).unwrap();
            assert_eq!((first + second, header), (whole, Some(BulkHeader::Eof(mark))));
        }
    }

    #[test]
    fn what_is_no_header_is_told_from_a_refusal() {
        assert_eq!(BulkHeader::scan(b"-ERR no\r\n"), Err(ProtocolError::TransferRefused));
        assert_eq!(BulkHeader::scan(b"\n$-1\r\n"), Err(ProtocolError::TransferRefused));
        assert_eq!(BulkHeader::scan(b"$x\r\n"), Err(ProtocolError::InvalidBulkLength));
        assert_eq!(BulkHeader::scan(b"$EOF:short\r\n"), Err(ProtocolError::InvalidBulkLength));
        assert_eq!(BulkHeader::scan(b"+OK\r\n"), Err(ProtocolError::ExpectedBulk(b'+')));
        assert_eq!(BulkHeader::scan(&[b'$'; 2000]), Err(ProtocolError::BulkCountTooLong));
        assert_eq!(BulkHeader::scan(b"$0\r\n"), Ok((4, Some(BulkHeader::Length(0)))));
    }
}
