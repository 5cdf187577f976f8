//! Replies and requests as bytes.

use bytes::BytesMut;

use crate::number::{DoubleFormat, format_f64, format_human_f64, write_i64};

/// Which dialect the peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// What every connection begins with.
    #[default]
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

/// A growing byte buffer: `Vec<u8>` or `BytesMut`.
pub trait Output: sealed::Sealed {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);
}

mod sealed {
    #[expect(unnameable_types, reason = "nobody else shall implement Output")]
    pub trait Sealed {}
    impl Sealed for Vec<u8> {}
    impl Sealed for bytes::BytesMut {}
    impl Sealed for super::ShortText {}
}

impl Output for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Output for BytesMut {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Room for a printed double, whose length must be known before it is sent: at most 25 digits, a sign, a point,
/// and an exponent of five.
#[derive(Debug, Default)]
pub(crate) struct ShortText {
    bytes: [u8; 32],
    len: usize,
}

impl ShortText {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Output for ShortText {
    fn put(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
            self.len = end;
        }
        debug_assert_eq!(self.len, end, "no double prints longer");
    }
}

/// Appends replies to a buffer, in the dialect of the peer. Never fails.
///
/// What RESP2 cannot say is written as Redis writes it to an old client: a map as a flat array, a set and a push
/// as an array, a double, a big number and a verbatim string as a bulk, a boolean as `:1` or `:0`, null as `$-1`.
/// An aggregate is its header here; write the elements next.
///
/// ```
/// use resp::{Encoder, Protocol};
///
/// for (protocol, expected) in [
///     (Protocol::Resp2, &b"*2\r\n$3\r\nttl\r\n$3\r\n1.5\r\n"[..]),
///     (Protocol::Resp3, &b"%1\r\n$3\r\nttl\r\n,1.5\r\n"[..]),
/// ] {
///     let mut out = Vec::new();
///     let mut encoder = Encoder::new(&mut out, protocol);
///     encoder.map(1);
///     encoder.bulk(b"ttl");
///     encoder.double(1.5);
///     assert_eq!(out, expected);
/// }
/// ```
#[derive(Debug)]
pub struct Encoder<'a, B = Vec<u8>> {
    out: &'a mut B,
    protocol: Protocol,
    doubles: DoubleFormat,
}

impl<'a, B: Output> Encoder<'a, B> {
    /// An encoder that appends to `out` and prints doubles as Redis 7.0 does.
    #[inline]
    pub const fn new(out: &'a mut B, protocol: Protocol) -> Self {
        Self { out, protocol, doubles: DoubleFormat::Digits17 }
    }

    /// The same with another way to print doubles.
    #[inline]
    #[must_use]
    pub const fn with_doubles(mut self, doubles: DoubleFormat) -> Self {
        self.doubles = doubles;
        self
    }

    /// The dialect.
    #[inline]
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Nothing: `$-1` or `_`.
    #[inline]
    pub fn null(&mut self) {
        self.out.put(if self.is_resp3() { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// Nothing where an array was asked for: `*-1` or `_`.
    #[inline]
    pub fn null_array(&mut self) {
        self.out.put(if self.is_resp3() { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// A status. CR and LF become spaces.
    #[inline]
    pub fn simple(&mut self, status: &[u8]) {
        self.line(b"+", status);
    }

    /// An error, its code first (`ERR ...`). CR and LF become spaces, as servers do it.
    pub fn error(&mut self, message: &[u8]) {
        self.line(b"-", message);
    }

    /// The error a server answers before it hangs up on a peer that broke the protocol.
    pub fn protocol_error(&mut self, error: &crate::ProtocolError) {
        let mut message = b"ERR ".to_vec();
        error.write_to(&mut message);
        self.error(&message);
    }

    /// A byte string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        write_bulk(self.out, bytes);
    }

    /// A byte string, or null.
    #[inline]
    pub fn bulk_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        self.out.put(b":");
        write_i64(self.out, value);
        self.out.put(b"\r\n");
    }

    /// A double.
    pub fn double(&mut self, value: f64) {
        if self.is_resp3() {
            self.out.put(b",");
            format_f64(self.out, value, self.doubles);
            self.out.put(b"\r\n");
        } else {
            let mut text = ShortText::default();
            format_f64(&mut text, value, self.doubles);
            self.bulk(text.as_bytes());
        }
    }

    /// A double for people: 17 decimals at most, no exponent.
    pub fn human_double(&mut self, value: f64) {
        let mut text = Vec::with_capacity(24);
        format_human_f64(&mut text, value);
        if self.is_resp3() { self.line(b",", &text) } else { self.bulk(&text) }
    }

    /// A truth value.
    #[inline]
    pub fn boolean(&mut self, value: bool) {
        self.out.put(match (self.protocol, value) {
            (Protocol::Resp2, true) => b":1\r\n",
            (Protocol::Resp2, false) => b":0\r\n",
            (Protocol::Resp3, true) => b"#t\r\n",
            (Protocol::Resp3, false) => b"#f\r\n",
        });
    }

    /// A number of any size, in decimal digits.
    pub fn big_number(&mut self, digits: &[u8]) {
        if self.is_resp3() { self.line(b"(", digits) } else { self.bulk(digits) }
    }

    /// Text with a format of three letters, such as `txt` or `mkd`.
    pub fn verbatim(&mut self, format: [u8; 3], text: &[u8]) {
        if !self.is_resp3() {
            return self.bulk(text);
        }
        self.header(b"=", text.len().saturating_add(4));
        self.out.put(&format);
        self.out.put(b":");
        self.out.put(text);
        self.out.put(b"\r\n");
    }

    /// An array of `len` elements, which follow.
    #[inline]
    pub fn array(&mut self, len: usize) {
        self.header(b"*", len);
    }

    /// A map of `pairs` keys and values, which follow in turn.
    #[inline]
    pub fn map(&mut self, pairs: usize) {
        if self.is_resp3() { self.header(b"%", pairs) } else { self.array(pairs.saturating_mul(2)) }
    }

    /// A set of `len` elements, which follow.
    #[inline]
    pub fn set(&mut self, len: usize) {
        self.header(if self.is_resp3() { b"~" } else { b"*" }, len);
    }

    /// A message outside the order of requests, of `len` elements, which follow.
    #[inline]
    pub fn push(&mut self, len: usize) {
        self.header(if self.is_resp3() { b">" } else { b"*" }, len);
    }

    /// Attributes of the reply behind them: `pairs` keys and values, which follow in turn.
    ///
    /// RESP2 has no place for them. `false` says that nothing was written, and nothing of them may follow.
    #[must_use = "in RESP2 the attributes must be left out"]
    pub fn attribute(&mut self, pairs: usize) -> bool {
        if self.is_resp3() {
            self.header(b"|", pairs);
        }
        self.is_resp3()
    }

    /// Bytes that are encoded already.
    #[inline]
    pub fn raw(&mut self, encoded: &[u8]) {
        self.out.put(encoded);
    }

    /// A request: an array of bulks in both dialects.
    pub fn command(&mut self, args: &[impl AsRef<[u8]>]) {
        encode_command(self.out, args);
    }

    #[inline]
    fn is_resp3(&self) -> bool {
        self.protocol == Protocol::Resp3
    }

    #[inline]
    fn header(&mut self, kind: &[u8; 1], len: usize) {
        write_header(self.out, kind, len);
    }

    #[inline]
    fn line(&mut self, kind: &[u8; 1], text: &[u8]) {
        self.out.put(kind);
        let mut rest = text;
        // A line end inside would end the reply early and let its author forge the next one.
        while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
            self.out.put(rest.get(..at).unwrap_or_default());
            self.out.put(b" ");
            rest = rest.get(at.saturating_add(1)..).unwrap_or_default();
        }
        self.out.put(rest);
        self.out.put(b"\r\n");
    }
}

/// Appends a request: an array of bulks.
pub fn encode_command<B: Output>(out: &mut B, args: &[impl AsRef<[u8]>]) {
    write_header(out, b"*", args.len());
    for arg in args {
        write_bulk(out, arg.as_ref());
    }
}

#[inline]
fn write_bulk<B: Output>(out: &mut B, bytes: &[u8]) {
    write_header(out, b"$", bytes.len());
    out.put(bytes);
    out.put(b"\r\n");
}

#[inline]
fn write_header<B: Output>(out: &mut B, kind: &[u8; 1], len: usize) {
    out.put(kind);
    out.put(itoa::Buffer::new().format(len).as_bytes());
    out.put(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(write: impl Fn(&mut Encoder<'_>)) -> (String, String) {
        let text = |protocol| {
            let mut out = Vec::new();
            write(&mut Encoder::new(&mut out, protocol));
            String::from_utf8(out).unwrap()
        };
        (text(Protocol::Resp2), text(Protocol::Resp3))
    }

    #[test]
    fn each_type_has_its_resp2_stand_in() {
        type Case = (fn(&mut Encoder<'_>), &'static str, &'static str);
        let cases: &[Case] = &[
            (|e| e.null(), "$-1\r\n", "_\r\n"),
            (|e| e.null_array(), "*-1\r\n", "_\r\n"),
            (|e| e.simple(b"OK"), "+OK\r\n", "+OK\r\n"),
            (|e| e.error(b"ERR no"), "-ERR no\r\n", "-ERR no\r\n"),
            (|e| e.bulk(b""), "$0\r\n\r\n", "$0\r\n\r\n"),
            (|e| e.integer(i64::MIN), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n"),
            (|e| e.double(0.5), "$3\r\n0.5\r\n", ",0.5\r\n"),
            (|e| e.double(f64::INFINITY), "$3\r\ninf\r\n", ",inf\r\n"),
            (|e| e.double(f64::NAN), "$3\r\nnan\r\n", ",nan\r\n"),
            (|e| e.boolean(true), ":1\r\n", "#t\r\n"),
            (|e| e.boolean(false), ":0\r\n", "#f\r\n"),
            (|e| e.big_number(b"-123"), "$4\r\n-123\r\n", "(-123\r\n"),
            (|e| e.verbatim(*b"txt", b"hi"), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"),
            (|e| e.array(3), "*3\r\n", "*3\r\n"),
            (|e| e.map(3), "*6\r\n", "%3\r\n"),
            (|e| e.set(3), "*3\r\n", "~3\r\n"),
            (|e| e.push(3), "*3\r\n", ">3\r\n"),
            (|e| assert_eq!(e.attribute(1), e.is_resp3()), "", "|1\r\n"),
            (
                |e| e.command(&["GET", "k"]),
                "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
                "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
            ),
        ];
        for (write, resp2, resp3) in cases {
            assert_eq!(both(write), (resp2.to_string(), resp3.to_string()));
        }
    }

    #[test]
    fn a_line_end_in_an_error_cannot_forge_a_reply() {
        assert_eq!(both(|e| e.error(b"ERR a\r\n+OK\n")).0, "-ERR a  +OK \r\n");
    }

    #[test]
    fn the_longest_doubles_fit() {
        let mut bits = 1u64;
        for round in 0..40_000 {
            bits = bits.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            // Half of them in the range where texts are plain and long.
            let value = f64::from_bits(bits);
            let value = if round % 2 == 0 {
                value
            } else {
                (value.to_bits() >> 12) as f64 * 10f64.powi(round % 48 - 24)
            };
            for doubles in [DoubleFormat::Digits17, DoubleFormat::Shortest] {
                let (mut out, mut text) = (Vec::new(), Vec::new());
                Encoder::new(&mut out, Protocol::Resp2).with_doubles(doubles).double(-value);
                format_f64(&mut text, -value, doubles);
                let expected = [format!("${}\r\n", text.len()).as_bytes(), &text, b"\r\n"].concat();
                assert_eq!(out, expected);
            }
        }
    }

    #[test]
    fn both_buffers_receive_the_same() {
        let (mut vec, mut bytes) = (Vec::new(), BytesMut::new());
        Encoder::new(&mut vec, Protocol::Resp3).double(1e300);
        Encoder::new(&mut bytes, Protocol::Resp3).double(1e300);
        assert_eq!(vec, bytes);
    }
}
