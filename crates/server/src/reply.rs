//! Answers as RESP bytes.

use resp::{DoubleFormat, Encoder, Protocol};
use store::{Aggregate, CommandError, Null, Reply};

use crate::outbox::Outbox;

/// Appends replies to a connection's output.
#[derive(Debug)]
pub struct RespReply<'a> {
    out: &'a mut Vec<u8>,
    protocol: Protocol,
    doubles: DoubleFormat,
}

impl<'a> RespReply<'a> {
    /// Replies in `protocol`, with doubles as `doubles` says, appended to `out`.
    pub fn new(out: &'a mut Vec<u8>, protocol: Protocol, doubles: DoubleFormat) -> Self {
        Self { out, protocol, doubles }
    }

    /// The encoder, for what [`Reply`] has no word for.
    pub(crate) fn encoder(&mut self) -> Encoder<'_> {
        Encoder::new(self.out, self.protocol).with_doubles(self.doubles)
    }

    /// Bytes of output so far.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// Forgets what came since there were so many bytes.
    pub(crate) fn take_back(&mut self, len: usize) {
        self.out.truncate(len);
    }

    /// What others have said to this client, before what follows.
    pub(crate) fn pushes(&mut self, outbox: &Outbox) {
        outbox.drain_into(self.out);
    }

    /// HELLO answers in the protocol that it has just chosen.
    pub(crate) fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }
}

impl Reply for RespReply<'_> {
    fn null(&mut self, form: Null) {
        match form {
            Null::Bulk => self.encoder().null(),
            Null::Array => self.encoder().null_array(),
        }
    }

    fn simple(&mut self, status: &str) {
        self.encoder().simple(status.as_bytes());
    }

    fn bulk(&mut self, bytes: &[u8]) {
        self.encoder().bulk(bytes);
    }

    fn integer(&mut self, n: i64) {
        self.encoder().integer(n);
    }

    fn double(&mut self, n: f64) {
        self.encoder().double(n);
    }

    fn human_double(&mut self, n: f64) {
        self.encoder().human_double(n);
    }

    fn boolean(&mut self, b: bool) {
        self.encoder().boolean(b);
    }

    fn aggregate(&mut self, kind: Aggregate, len: usize) {
        match kind {
            Aggregate::Array => self.encoder().array(len),
            Aggregate::Map => self.encoder().map(len),
            Aggregate::Set => self.encoder().set(len),
        }
    }

    fn error(&mut self, error: &CommandError) {
        // Line ends that an argument brought along are trimmed, as the real servers do.
        let text = error.bytes();
        let end = text.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
        self.encoder().error(&text[..end]);
    }

    fn verbatim(&mut self, format: &str, text: &[u8]) {
        let format = format.as_bytes().try_into().unwrap_or(*b"txt");
        self.encoder().verbatim(format, text);
    }

    fn is_resp3(&self) -> bool {
        self.protocol == Protocol::Resp3
    }
}
