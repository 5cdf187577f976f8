//! Doubles: a little keyspace behind [`Call`], and a [`ScriptReply`] that records the wire's bytes.

use std::collections::HashMap;

use crate::answer::{Aggregate, ScriptReply};
use crate::call::Call;
use crate::flavour::{Flavour, Refusal};
use crate::number;
use crate::reply::ReplyBuilder;

/// Strings in a map: PING, ECHO, GET, SET, DEL, EXISTS, INCR, INCRBY, MGET, EXPIRE (which only answers).
#[derive(Debug, Default)]
pub struct MapCall {
    /// The data.
    pub strings: HashMap<Vec<u8>, Vec<u8>>,
    /// How many commands came.
    pub calls: usize,
}

impl Call for MapCall {
    fn call(&mut self, args: &[&[u8]], out: &mut ReplyBuilder<'_>) {
        self.calls += 1;
        let Some((name, rest)) = args.split_first() else { return out.null() };
        let mut upper = [0; 8];
        let Some(upper) = upper.get_mut(..name.len()) else { return out.refuse(Refusal::UnknownCommand) };
        upper.copy_from_slice(name);
        upper.make_ascii_uppercase();
        match (&*upper, rest) {
            (b"PING", []) => out.simple(b"PONG"),
            (b"ECHO", [text]) => out.bulk(text),
            (b"GET", [key]) => match self.strings.get(*key) {
                Some(value) => out.bulk(value),
                None => out.null(),
            },
            (b"SET", [key, value, ..]) => {
                self.strings.insert(key.to_vec(), value.to_vec());
                out.simple(b"OK");
            }
            (b"DEL", keys) => {
                let gone = keys.iter().filter(|key| self.strings.remove(**key).is_some()).count();
                out.integer(gone as i64);
            }
            (b"EXISTS", keys) => {
                out.integer(keys.iter().filter(|key| self.strings.contains_key(**key)).count() as i64);
            }
            (b"INCR", [key]) => self.add(key, b"1", out),
            (b"INCRBY", [key, by]) => self.add(key, by, out),
            (b"EXPIRE", [key, _]) => out.integer(i64::from(self.strings.contains_key(*key))),
            (b"MGET", keys) => {
                out.array(keys.len());
                for key in keys {
                    match self.strings.get(*key) {
                        Some(value) => out.bulk(value),
                        None => out.null(),
                    }
                }
            }
            (b"PING" | b"ECHO" | b"GET" | b"SET" | b"INCR" | b"INCRBY" | b"EXPIRE", _) => {
                out.refuse(Refusal::WrongArity)
            }
            _ => out.refuse(Refusal::UnknownCommand),
        }
    }
}

impl MapCall {
    fn add(&mut self, key: &[u8], by: &[u8], out: &mut ReplyBuilder<'_>) {
        let parse = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<i64>().ok();
        let old = self.strings.get(key).map_or(Some(0), |value| parse(value));
        match old.zip(parse(by)).and_then(|(old, by)| old.checked_add(by)) {
            Some(sum) => {
                self.strings.insert(key.to_vec(), sum.to_string().into_bytes());
                out.integer(sum);
            }
            None => out.error(b"ERR value is not an integer or out of range"),
        }
    }
}

/// Writes a script's reply as bytes of RESP2, or of RESP3.
#[derive(Debug, Default)]
pub struct Recorder {
    bytes: Vec<u8>,
    resp3: bool,
    flavour: Flavour,
}

impl Recorder {
    /// For a client that said HELLO 3.
    pub fn resp3() -> Self {
        Self { resp3: true, ..Self::default() }
    }

    /// Prints doubles as this server does.
    #[must_use]
    pub fn flavour(self, flavour: Flavour) -> Self {
        Self { flavour, ..self }
    }

    /// What was written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets what was written.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    fn line(&mut self, mark: u8, text: &[u8]) {
        self.bytes.push(mark);
        self.bytes.extend_from_slice(text);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn header(&mut self, mark: u8, n: i64) {
        let mut text = Vec::with_capacity(20);
        number::push_integer(&mut text, n);
        self.line(mark, &text);
    }
}

impl ScriptReply for Recorder {
    fn null(&mut self) {
        self.bytes.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    fn simple(&mut self, status: &[u8]) {
        self.line(b'+', status);
    }

    fn error(&mut self, line: &[u8]) {
        self.line(b'-', line);
    }

    fn bulk(&mut self, bytes: &[u8]) {
        self.header(b'$', bytes.len() as i64);
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn integer(&mut self, n: i64) {
        self.header(b':', n);
    }

    fn double(&mut self, n: f64) {
        let mut text = Vec::with_capacity(24);
        number::push_double(&mut text, n, self.flavour.shortest_numbers);
        if self.resp3 { self.line(b',', &text) } else { self.bulk(&text) }
    }

    fn boolean(&mut self, b: bool) {
        if self.resp3 { self.line(b'#', if b { b"t" } else { b"f" }) } else { self.integer(i64::from(b)) }
    }

    fn aggregate(&mut self, shape: Aggregate, len: usize) {
        let (mark, len) = match (shape, self.resp3) {
            (Aggregate::Map, true) => (b'%', len),
            (Aggregate::Map, false) => (b'*', len * 2),
            (Aggregate::Set, true) => (b'~', len),
            (Aggregate::Set | Aggregate::Array, _) => (b'*', len),
        };
        self.header(mark, len as i64);
    }

    fn big_number(&mut self, digits: &[u8]) {
        if self.resp3 { self.line(b'(', digits) } else { self.bulk(digits) }
    }

    fn verbatim(&mut self, format: &[u8], text: &[u8]) {
        if self.resp3 {
            self.header(b'=', text.len() as i64 + 4);
            self.bytes.extend_from_slice(format);
            self.line(b':', text);
        } else {
            self.bulk(text);
        }
    }
}
