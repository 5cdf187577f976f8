//! A reply as a tree whose strings are slices of the frame.

use bytes::Bytes;

use super::parser::{Kind, Token};
use crate::encode::{Encoder, Output};
use crate::request::Span;

/// One reply.
///
/// Strings share the buffer that the reply was read into; keep a copy of what is to outlive it for long.
/// Streamed aggregates come out as counted ones. Two replies with a NaN are never equal, as for `f64`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `+OK`
    Simple(Bytes),
    /// `-ERR ...`, without the minus.
    Error(Bytes),
    /// `:1`
    Integer(i64),
    /// `$3 foo`
    Bulk(Bytes),
    /// `$?`: a string in chunks, none of them empty.
    Chunks(Vec<Bytes>),
    /// `$-1`: RESP2, nothing in place of a string.
    NullBulk,
    /// `*-1`: RESP2, nothing in place of an array.
    NullArray,
    /// `_`: RESP3, nothing.
    Null,
    /// `#t`
    Boolean(bool),
    /// `,1.5`
    Double(f64),
    /// `(12345`: the digits and perhaps a sign.
    BigNumber(Bytes),
    /// `!11 ERR ...`
    BulkError(Bytes),
    /// `=7 txt:foo`
    Verbatim {
        /// `txt`, `mkd`.
        format: [u8; 3],
        /// What stands behind the colon.
        text: Bytes,
    },
    /// `*2`
    Array(Vec<Self>),
    /// `%1`: pairs in the order of the wire, duplicates included.
    Map(Vec<(Self, Self)>),
    /// `~2`: elements in the order of the wire, duplicates included.
    Set(Vec<Self>),
    /// `>2`
    Push(Vec<Self>),
    /// `|1`: a value with attributes in front of it.
    Attributed(Box<Attributed>),
}

/// Attributes, and the value that they describe.
#[derive(Debug, Clone, PartialEq)]
pub struct Attributed {
    /// Pairs in the order of the wire.
    pub attributes: Vec<(Value, Value)>,
    /// The value itself.
    pub value: Value,
}

impl Value {
    /// The value that a whole tape describes. Recursion is as deep as [`Limits::depth`](crate::Limits::depth).
    pub(super) fn from_tape(frame: &Bytes, tape: &[Token]) -> Option<Self> {
        Builder { frame, tape: tape.iter() }.value()
    }

    /// Whether this is one of the three nulls.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::NullBulk | Self::NullArray | Self::Null)
    }

    /// The bytes of any string type that is in one piece, errors excluded.
    pub const fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Simple(text) | Self::Bulk(text) | Self::BigNumber(text) | Self::Verbatim { text, .. } => {
                Some(text)
            }
            _ => None,
        }
    }

    /// The message of either error type.
    pub const fn as_error(&self) -> Option<&Bytes> {
        match self {
            Self::Error(message) | Self::BulkError(message) => Some(message),
            _ => None,
        }
    }

    /// Writes the value as a server would to this peer. RESP2 peers get the stand-ins; attributes are left out.
    pub fn encode<B: Output>(&self, out: &mut Encoder<'_, B>) {
        let resp3 = out.protocol() == crate::Protocol::Resp3;
        match self {
            Self::Simple(text) => out.simple(text),
            Self::Error(message) => out.error(message),
            Self::Integer(value) => out.integer(*value),
            Self::Bulk(text) => out.bulk(text),
            Self::Chunks(chunks) => out.bulk(&chunks.concat()),
            Self::NullBulk | Self::Null => out.null(),
            Self::NullArray => out.null_array(),
            Self::Boolean(value) => out.boolean(*value),
            Self::Double(value) => out.double(*value),
            Self::BigNumber(digits) => out.big_number(digits),
            Self::BulkError(message) if resp3 => {
                out.raw(format!("!{}\r\n", message.len()).as_bytes());
                out.raw(message);
                out.raw(b"\r\n");
            }
            Self::BulkError(message) => out.error(message),
            Self::Verbatim { format, text } => out.verbatim(*format, text),
            Self::Array(values) => {
                out.array(values.len());
                values.iter().for_each(|value| value.encode(out));
            }
            Self::Set(values) => {
                out.set(values.len());
                values.iter().for_each(|value| value.encode(out));
            }
            Self::Push(values) => {
                out.push(values.len());
                values.iter().for_each(|value| value.encode(out));
            }
            Self::Map(pairs) => {
                out.map(pairs.len());
                encode_pairs(pairs, out);
            }
            Self::Attributed(attributed) => {
                if out.attribute(attributed.attributes.len()) {
                    encode_pairs(&attributed.attributes, out);
                }
                attributed.value.encode(out);
            }
        }
    }
}

fn encode_pairs<B: Output>(pairs: &[(Value, Value)], out: &mut Encoder<'_, B>) {
    for (key, value) in pairs {
        key.encode(out);
        value.encode(out);
    }
}

struct Builder<'t> {
    frame: &'t Bytes,
    tape: std::slice::Iter<'t, Token>,
}

impl Builder<'_> {
    fn bytes(&self, span: Span) -> Bytes {
        let range = span.range();
        // The parser's spans lie within its frame; an empty slice beats a panic if a caller mixed them up.
        if range.end <= self.frame.len() && range.start <= range.end {
            self.frame.slice(range)
        } else {
            Bytes::new()
        }
    }

    fn value(&mut self) -> Option<Value> {
        Some(match *self.tape.next()? {
            Token::Simple(span) => Value::Simple(self.bytes(span)),
            Token::Error(span) => Value::Error(self.bytes(span)),
            Token::Integer(value) => Value::Integer(value),
            Token::Bulk(span) => Value::Bulk(self.bytes(span)),
            Token::NullBulk => Value::NullBulk,
            Token::NullArray => Value::NullArray,
            Token::Null => Value::Null,
            Token::Boolean(value) => Value::Boolean(value),
            Token::Double(value) => Value::Double(value),
            Token::BigNumber(span) => Value::BigNumber(self.bytes(span)),
            Token::BulkError(span) => Value::BulkError(self.bytes(span)),
            Token::Verbatim(span) => {
                let mut text = self.bytes(span);
                let prefix = text.split_to(text.len().min(4));
                let format = prefix.get(..3).and_then(|format| format.try_into().ok())?;
                Value::Verbatim { format, text }
            }
            Token::Aggregate(kind, len) => match kind {
                Kind::Array => Value::Array(self.values(len)?),
                Kind::Set => Value::Set(self.values(len)?),
                Kind::Push => Value::Push(self.values(len)?),
                Kind::Map => Value::Map(self.pairs(len)?),
                Kind::Attribute => {
                    let attributes = self.pairs(len)?;
                    Value::Attributed(Box::new(Attributed { attributes, value: self.value()? }))
                }
                Kind::Chunks => Value::Chunks(self.chunks(len)?),
            },
        })
    }

    /// Counts are no claims any more: the tape is whole.
    fn capacity(&self, len: u32) -> usize {
        (len as usize).min(self.tape.len())
    }

    fn values(&mut self, len: u32) -> Option<Vec<Value>> {
        let mut values = Vec::with_capacity(self.capacity(len));
        for _ in 0..len {
            values.push(self.value()?);
        }
        Some(values)
    }

    fn pairs(&mut self, len: u32) -> Option<Vec<(Value, Value)>> {
        let mut pairs = Vec::with_capacity(self.capacity(len));
        for _ in 0..len {
            pairs.push((self.value()?, self.value()?));
        }
        Some(pairs)
    }

    fn chunks(&mut self, len: u32) -> Option<Vec<Bytes>> {
        let mut chunks = Vec::with_capacity(self.capacity(len));
        for _ in 0..len {
            match *self.tape.next()? {
                Token::Bulk(span) => chunks.push(self.bytes(span)),
                _ => return None,
            }
        }
        Some(chunks)
    }
}
