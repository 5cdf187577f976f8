//! Where a handler writes its answer.

use crate::error::CommandError;

/// The shape of an aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// An array of `len` replies.
    Array,
    /// `len` pairs of replies; a flat array of twice as many in RESP2.
    Map,
    /// A set of `len` replies; an array in RESP2.
    Set,
}

/// The forms of nothing, which RESP2 tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Null {
    /// `$-1`
    Bulk,
    /// `*-1`
    Array,
}

/// Receives one reply: a scalar, or an aggregate's header followed by its elements' replies.
///
/// A handler that answers `Err` has written nothing; its caller writes the error.
pub trait Reply {
    /// Nothing.
    fn null(&mut self, form: Null);
    /// A status without CR or LF.
    fn simple(&mut self, status: &str);
    /// A byte string.
    fn bulk(&mut self, bytes: &[u8]);
    /// An integer.
    fn integer(&mut self, n: i64);
    /// A double: its own type in RESP3, the text of a score in RESP2.
    fn double(&mut self, n: f64);
    /// A double for people, as places are told: 17 decimals at most, no exponent.
    fn human_double(&mut self, n: f64) {
        if self.is_resp3() {
            return self.double(n);
        }
        let mut text = Vec::with_capacity(24);
        crate::number::format_human_f64(&mut text, n);
        self.bulk(&text);
    }
    /// A truth value; 1 or 0 in RESP2.
    fn boolean(&mut self, b: bool);
    /// The header of an aggregate whose elements follow.
    fn aggregate(&mut self, kind: Aggregate, len: usize);
    /// An error inside a larger reply (EXEC, scripts).
    fn error(&mut self, error: &CommandError);
    /// Text with a format of three letters (`txt`); a byte string in RESP2.
    fn verbatim(&mut self, format: &str, text: &[u8]) {
        let _ = format;
        self.bulk(text);
    }
    /// Whether the receiver understands RESP3: some replies have another nesting there.
    fn is_resp3(&self) -> bool {
        false
    }
}

impl dyn Reply + '_ {
    /// An array's header.
    pub fn array(&mut self, len: usize) {
        self.aggregate(Aggregate::Array, len);
    }

    /// `+OK`
    pub fn ok(&mut self) {
        self.simple("OK");
    }

    /// A length or count.
    pub fn count(&mut self, n: usize) {
        self.integer(i64::try_from(n).unwrap_or(i64::MAX));
    }

    /// A string or nothing.
    pub fn bulk_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(Null::Bulk),
        }
    }
}

/// Discards everything: what the primary's stream does with replies.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl Reply for Discard {
    fn null(&mut self, _: Null) {}
    fn simple(&mut self, _: &str) {}
    fn bulk(&mut self, _: &[u8]) {}
    fn integer(&mut self, _: i64) {}
    fn double(&mut self, _: f64) {}
    fn boolean(&mut self, _: bool) {}
    fn aggregate(&mut self, _: Aggregate, _: usize) {}
    fn error(&mut self, _: &CommandError) {}
}

/// A reply as a tree: the recording double for tests, and for callers that look before they pass on.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    /// Nothing.
    Null(Null),
    /// A status.
    Simple(String),
    /// A byte string.
    Bulk(Vec<u8>),
    /// An integer.
    Integer(i64),
    /// A double.
    Double(f64),
    /// A truth value.
    Boolean(bool),
    /// An aggregate; a map's pairs are flat.
    Aggregate(Aggregate, Vec<Self>),
    /// An error, as a client would read it.
    Error(String),
}

/// Builds a [`Recorded`] from the calls of [`Reply`].
#[derive(Debug, Default)]
pub struct Recorder {
    open: Vec<(Aggregate, usize, Vec<Recorded>)>,
    done: Option<Recorded>,
}

impl Recorder {
    /// The reply, if one is complete.
    #[must_use]
    pub fn finish(self) -> Option<Recorded> {
        if self.open.is_empty() { self.done } else { None }
    }

    fn push(&mut self, mut value: Recorded) {
        loop {
            let Some((kind, left, mut items)) = self.open.pop() else {
                self.done = Some(value);
                return;
            };
            items.push(value);
            if left > 1 {
                self.open.push((kind, left - 1, items));
                return;
            }
            value = Recorded::Aggregate(kind, items);
        }
    }
}

impl Reply for Recorder {
    fn null(&mut self, form: Null) {
        self.push(Recorded::Null(form));
    }
    fn simple(&mut self, status: &str) {
        self.push(Recorded::Simple(status.to_owned()));
    }
    fn bulk(&mut self, bytes: &[u8]) {
        self.push(Recorded::Bulk(bytes.to_vec()));
    }
    fn integer(&mut self, n: i64) {
        self.push(Recorded::Integer(n));
    }
    fn double(&mut self, n: f64) {
        self.push(Recorded::Double(n));
    }
    fn boolean(&mut self, b: bool) {
        self.push(Recorded::Boolean(b));
    }
    fn aggregate(&mut self, kind: Aggregate, len: usize) {
        let items = if kind == Aggregate::Map { len * 2 } else { len };
        if items == 0 {
            self.push(Recorded::Aggregate(kind, Vec::new()));
        } else {
            self.open.push((kind, items, Vec::new()));
        }
    }
    fn error(&mut self, error: &CommandError) {
        self.push(Recorded::Error(error.to_string()));
    }
}
