//! Replies of both sides in one form: a tree as the chosen protocol shapes it.

use store::number::{DoubleFormat, format_f64};
use store::{Aggregate, CommandError, Null, Recorded, Recorder, Reply};

/// Receives our reply and shapes it as RESP2 or RESP3 would.
#[derive(Debug)]
pub struct Shaped {
    inner: Recorder,
    resp3: bool,
    doubles: DoubleFormat,
    touched: bool,
}

impl Shaped {
    pub fn new(resp3: bool, doubles: DoubleFormat) -> Self {
        Self { inner: Recorder::default(), resp3, doubles, touched: false }
    }

    pub fn finish(self) -> Recorded {
        self.inner.finish().expect("a handler writes one whole reply")
    }

    pub fn is_untouched(&self) -> bool {
        !self.touched
    }

    fn inner(&mut self) -> &mut Recorder {
        self.touched = true;
        &mut self.inner
    }
}

impl Reply for Shaped {
    fn null(&mut self, form: Null) {
        let form = if self.resp3 { Null::Bulk } else { form };
        self.inner().null(form);
    }
    fn simple(&mut self, status: &str) {
        self.inner().simple(status);
    }
    fn bulk(&mut self, bytes: &[u8]) {
        self.inner().bulk(bytes);
    }
    fn integer(&mut self, n: i64) {
        self.inner().integer(n);
    }
    fn double(&mut self, n: f64) {
        if self.resp3 {
            return self.inner().double(n);
        }
        let mut text = Vec::new();
        format_f64(&mut text, n, self.doubles);
        self.inner().bulk(&text);
    }
    fn boolean(&mut self, b: bool) {
        if self.resp3 { self.inner().boolean(b) } else { self.inner().integer(b.into()) }
    }
    fn aggregate(&mut self, kind: Aggregate, len: usize) {
        match kind {
            Aggregate::Map if !self.resp3 => self.inner().aggregate(Aggregate::Array, len * 2),
            Aggregate::Set if !self.resp3 => self.inner().aggregate(Aggregate::Array, len),
            kind => self.inner().aggregate(kind, len),
        }
    }
    fn error(&mut self, error: &CommandError) {
        self.inner().error(error);
    }
    fn is_resp3(&self) -> bool {
        self.resp3
    }
}

/// The real server's reply from its bytes.
pub fn parse(bytes: &[u8]) -> Recorded {
    let mut rest = bytes;
    let reply = one(&mut rest);
    assert!(rest.is_empty(), "more than one reply");
    reply
}

fn one(rest: &mut &[u8]) -> Recorded {
    let line = line(rest);
    let (kind, text) = (line[0], &line[1..]);
    let string = || String::from_utf8_lossy(text).into_owned();
    let number = || string().parse::<i64>().expect("a number");
    match kind {
        b'+' => Recorded::Simple(string()),
        b'-' => Recorded::Error(string()),
        b':' => Recorded::Integer(number()),
        b'_' => Recorded::Null(Null::Bulk),
        b',' => Recorded::Double(string().parse().expect("a double")),
        b'#' => Recorded::Boolean(text == b"t"),
        b'$' if text == b"-1" => Recorded::Null(Null::Bulk),
        b'*' if text == b"-1" => Recorded::Null(Null::Array),
        b'$' => Recorded::Bulk(take(rest, number()).to_vec()),
        b'=' => Recorded::Bulk(take(rest, number())[4..].to_vec()),
        b'*' => many(rest, Aggregate::Array, number()),
        b'~' => many(rest, Aggregate::Set, number()),
        b'%' => many(rest, Aggregate::Map, number() * 2),
        other => panic!("a reply of kind {}", char::from(other)),
    }
}

fn many(rest: &mut &[u8], kind: Aggregate, n: i64) -> Recorded {
    Recorded::Aggregate(kind, (0..n).map(|_| one(rest)).collect())
}

fn line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.windows(2).position(|two| two == b"\r\n").expect("a whole line");
    let line = &rest[..end];
    *rest = &rest[end + 2..];
    line
}

fn take<'a>(rest: &mut &'a [u8], n: i64) -> &'a [u8] {
    let n = usize::try_from(n).expect("a length");
    let text = &rest[..n];
    *rest = &rest[n + 2..];
    text
}
