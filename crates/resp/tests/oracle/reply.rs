//! Replies.

use bytes::Bytes;
use nom::Parser;
use nom::bytes::streaming::take;
use resp::{Attributed, Limits, ProtocolError, Value};

use super::{Outcome, Parsed, fail, run};

/// All replies of `input`, with the length of each on the wire.
pub fn replies(input: &[u8], limits: Limits) -> Outcome<(usize, Value)> {
    run(input, |input| Grammar { frame: input, limits }.value(input, 0))
}

#[derive(Clone, Copy)]
struct Grammar<'a> {
    frame: &'a [u8],
    limits: Limits,
}

enum Item {
    Value(Value),
    End,
}

impl<'a> Grammar<'a> {
    fn value(self, input: &'a [u8], depth: usize) -> Parsed<'a, Value> {
        match self.item(input, depth)? {
            (rest, Item::Value(value)) => Ok((rest, value)),
            (_, Item::End) => fail(ProtocolError::UnexpectedEnd),
        }
    }

    fn line(self, input: &'a [u8]) -> Parsed<'a, (u8, &'a [u8])> {
        match input.iter().position(|byte| b"\r\n".contains(byte)) {
            None if input.len() > self.limits.line_len => fail(ProtocolError::InvalidLine),
            None => Err(nom::Err::Incomplete(nom::Needed::Unknown)),
            Some(at) if at > self.limits.line_len => fail(ProtocolError::InvalidLine),
            Some(at) => match (&input[at..], &input[..at]) {
                ([b'\r'], _) => Err(nom::Err::Incomplete(nom::Needed::new(1))),
                ([b'\r', b'\n', rest @ ..], [kind, text @ ..]) => {
                    self.fits(rest, 0)?;
                    Ok((rest, (*kind, text)))
                }
                _ => fail(ProtocolError::InvalidLine),
            },
        }
    }

    /// The frame may reach `more` bytes into `rest`.
    fn fits(self, rest: &[u8], more: u64) -> Parsed<'static, ()> {
        let len = (self.frame.len() - rest.len()) as u64 + more;
        if len > self.limits.frame_len.min(u32::MAX.into()) {
            return fail(ProtocolError::FrameTooLong);
        }
        Ok((b"", ()))
    }

    fn payload(self, input: &'a [u8], len: u64) -> Parsed<'a, Bytes> {
        self.fits(input, len + 2)?;
        let (rest, (payload, end)) = (take(len), take(2usize)).parse(input)?;
        if end != b"\r\n" {
            return fail(ProtocolError::MissingTerminator);
        }
        Ok((rest, Bytes::copy_from_slice(payload)))
    }

    fn item(self, input: &'a [u8], depth: usize) -> Parsed<'a, Item> {
        let (rest, (kind, text)) = self.line(input)?;
        let string = || Bytes::copy_from_slice(text);
        let scalar = ProtocolError::InvalidScalar(kind);
        let length = ProtocolError::InvalidLength(kind);
        let text_str = String::from_utf8_lossy(text);
        let digits = text_str.trim_start_matches(['+', '-']);
        let signs = text.len() - digits.len().min(text.len());
        let all_digits = signs <= 1 && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let value = match kind {
            b'+' => Value::Simple(string()),
            b'-' => Value::Error(string()),
            b':' => match text_str.parse() {
                Ok(value) => Value::Integer(value),
                Err(_) => return fail(scalar),
            },
            b'_' if text.is_empty() => Value::Null,
            b'#' if text == b"t" => Value::Boolean(true),
            b'#' if text == b"f" => Value::Boolean(false),
            b'(' if all_digits => Value::BigNumber(string()),
            b',' => match &*text_str {
                "inf" | "+inf" => Value::Double(f64::INFINITY),
                "-inf" => Value::Double(f64::NEG_INFINITY),
                "nan" | "-nan" => Value::Double(f64::NAN),
                other if other.contains(['i', 'n', 'I', 'N']) => return fail(scalar),
                other => match other.parse() {
                    Ok(value) => Value::Double(value),
                    Err(_) => return fail(scalar),
                },
            },
            b'_' | b'#' | b'(' => return fail(scalar),
            b'.' if text.is_empty() => return Ok((rest, Item::End)),
            b'.' => return fail(ProtocolError::UnexpectedEnd),
            b'$' | b'*' | b'%' | b'~' if text == b"?" => return self.streamed(kind, rest, depth),
            b'$' if text == b"-1" => Value::NullBulk,
            b'*' if text == b"-1" => Value::NullArray,
            b'$' | b'!' | b'=' | b'*' | b'%' | b'~' | b'>' | b'|' => {
                let is_string = b"$!=".contains(&kind);
                let limit =
                    if is_string { self.limits.bulk_len } else { self.limits.elements.min(u32::MAX.into()) };
                let len = match text_str.parse::<u64>() {
                    Ok(len) if len <= limit && len.to_string() == text_str && len <= i64::MAX as u64 => len,
                    _ => return fail(length),
                };
                return if is_string {
                    self.counted_string(kind, len, rest)
                } else {
                    self.counted_aggregate(kind, len, rest, depth)
                };
            }
            other => return fail(ProtocolError::UnknownType(other)),
        };
        Ok((rest, Item::Value(value)))
    }

    fn counted_string(self, kind: u8, len: u64, input: &'a [u8]) -> Parsed<'a, Item> {
        let (rest, payload) = self.payload(input, len)?;
        let value = match kind {
            b'!' => Value::BulkError(payload),
            b'$' => Value::Bulk(payload),
            _ if payload.len() < 4 => return fail(ProtocolError::InvalidLength(b'=')),
            _ if payload[3] != b':' => return fail(ProtocolError::InvalidScalar(b'=')),
            _ => Value::Verbatim { format: [payload[0], payload[1], payload[2]], text: payload.slice(4..) },
        };
        Ok((rest, Item::Value(value)))
    }

    fn counted_aggregate(self, kind: u8, len: u64, input: &'a [u8], depth: usize) -> Parsed<'a, Item> {
        if depth >= self.limits.depth {
            return fail(ProtocolError::TooDeep);
        }
        let count = if b"%|".contains(&kind) { len * 2 } else { len };
        let mut values = Vec::new();
        let mut rest = input;
        for _ in 0..count {
            let (behind, value) = self.value(rest, depth + 1)?;
            values.push(value);
            rest = behind;
        }
        if kind == b'|' {
            let (rest, value) = self.value(rest, depth + 1)?;
            let attributed = Attributed { attributes: pairs(values), value };
            return Ok((rest, Item::Value(Value::Attributed(Box::new(attributed)))));
        }
        Ok((rest, Item::Value(aggregate(kind, values))))
    }

    fn streamed(self, kind: u8, input: &'a [u8], depth: usize) -> Parsed<'a, Item> {
        if kind == b'$' {
            return self.chunks(input);
        }
        if depth >= self.limits.depth {
            return fail(ProtocolError::TooDeep);
        }
        let most = self.limits.elements.min(u32::MAX.into()) * if kind == b'%' { 2 } else { 1 };
        let mut values = Vec::new();
        let mut rest = input;
        loop {
            match self.item(rest, depth + 1)? {
                (_, Item::End) if kind == b'%' && values.len() % 2 == 1 => {
                    return fail(ProtocolError::UnexpectedEnd);
                }
                (rest, Item::End) => return Ok((rest, Item::Value(aggregate(kind, values)))),
                (behind, Item::Value(value)) => {
                    values.push(value);
                    rest = behind;
                }
            }
            if values.len() as u64 > most {
                return fail(ProtocolError::InvalidLength(kind));
            }
        }
    }

    fn chunks(self, input: &'a [u8]) -> Parsed<'a, Item> {
        let mut chunks = Vec::new();
        let mut rest = input;
        loop {
            let (behind, (kind, text)) = self.line(rest)?;
            if kind != b';' {
                return fail(ProtocolError::UnknownType(kind));
            }
            let text = String::from_utf8_lossy(text);
            let len = match text.parse::<u64>() {
                Ok(len)
                    if len <= self.limits.bulk_len && len.to_string() == text && len <= i64::MAX as u64 =>
                {
                    len
                }
                _ => return fail(ProtocolError::InvalidLength(b';')),
            };
            if len == 0 {
                return Ok((behind, Item::Value(Value::Chunks(chunks))));
            }
            let (behind, chunk) = self.payload(behind, len)?;
            chunks.push(chunk);
            rest = behind;
            if chunks.len() as u64 > self.limits.elements.min(u32::MAX.into()) {
                return fail(ProtocolError::InvalidLength(b'$'));
            }
        }
    }
}

fn aggregate(kind: u8, values: Vec<Value>) -> Value {
    match kind {
        b'*' => Value::Array(values),
        b'~' => Value::Set(values),
        b'>' => Value::Push(values),
        _ => Value::Map(pairs(values)),
    }
}

fn pairs(values: Vec<Value>) -> Vec<(Value, Value)> {
    let mut values = values.into_iter();
    std::iter::from_fn(|| Some((values.next()?, values.next()?))).collect()
}

/// Equal, where NaN equals itself.
pub fn same<T: PartialEq + std::fmt::Debug>(left: &T, right: &T) -> bool {
    left == right || format!("{left:?}") == format!("{right:?}")
}
