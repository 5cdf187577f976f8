//! Values to text.

use super::settings::{NULL, OFF, Settings};
use crate::number;
use crate::raw::{Frame, Kind, Raise};

pub(super) fn encode(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.args() != 1 {
        return Err(frame.bad_argument(1, "encode", "expected 1 argument"));
    }
    let settings = super::settings(frame)?;
    let mut out = Vec::new();
    value(frame, &mut out, &settings, 0)?;
    frame.push_bytes(&out);
    Ok(1)
}

fn refuse(frame: &Frame<'_>, index: i32, reason: &str) -> Raise {
    Raise::text(format!("Cannot serialise {}: {reason}", frame.kind(index).name()))
}

/// Appends the value on top.
fn value(frame: &mut Frame<'_>, out: &mut Vec<u8>, settings: &Settings, depth: i32) -> Result<(), Raise> {
    match frame.kind(-1) {
        Kind::String => string(out, frame.text(-1).unwrap_or_default()),
        Kind::Number => float(frame, out, settings)?,
        Kind::Boolean => out.extend_from_slice(if frame.truth(-1) { b"true" } else { b"false" }),
        Kind::Nil => out.extend_from_slice(b"null"),
        Kind::Light if frame.is_null(-1) => out.extend_from_slice(b"null"),
        Kind::Table => table(frame, out, settings, depth + 1)?,
        _ => return Err(refuse(frame, -1, "type not supported")),
    }
    Ok(())
}

fn table(frame: &mut Frame<'_>, out: &mut Vec<u8>, settings: &Settings, depth: i32) -> Result<(), Raise> {
    if depth > settings.encode_depth || frame.reserve(3).is_err() {
        return Err(Raise::text(format!("Cannot serialise, excessive nesting ({depth})")));
    }
    frame.check_work(out.len())?;
    let table = frame.top();
    if let Some(len) = list_len(frame, settings)? {
        out.push(b'[');
        for index in 1..=len {
            if index > 1 {
                out.push(b',');
                // A few elements may stand for any number of places.
                if index.is_multiple_of(1024) {
                    frame.check_work(out.len())?;
                }
            }
            frame.get_index(table, index);
            value(frame, out, settings, depth)?;
            frame.pop(1);
        }
        out.push(b']');
        return Ok(());
    }
    out.push(b'{');
    let mut first = true;
    frame.walk(table, |frame| {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        match frame.kind(-2) {
            Kind::String => string(out, frame.text(-2).unwrap_or_default()),
            Kind::Number => {
                out.push(b'"');
                frame.push_copy(-2);
                float(frame, out, settings)?;
                frame.pop(1);
                out.push(b'"');
            }
            _ => return Err(refuse(frame, -2, "table key must be a number or string")),
        }
        out.push(b':');
        value(frame, out, settings, depth)
    })?;
    out.push(b'}');
    Ok(())
}

/// Why a table is no array.
enum NoArray {
    Keys,
    Raised(Raise),
}

impl From<Raise> for NoArray {
    fn from(raise: Raise) -> Self {
        Self::Raised(raise)
    }
}

/// How many places the table on top has as an array; none for an object, and an empty table is one.
fn list_len(frame: &mut Frame<'_>, settings: &Settings) -> Result<Option<usize>, Raise> {
    let (mut max, mut items) = (0i32, 0i32);
    let walked = frame.walk(-1, |frame| match frame.number(-2) {
        Some(n) if n >= 1.0 && n.floor() == n => {
            if n > f64::from(max) {
                max = number::truncate_32(n);
            }
            items = items.saturating_add(1);
            Ok(())
        }
        _ => Err(NoArray::Keys),
    });
    match walked {
        Ok(()) => {}
        Err(NoArray::Keys) => return Ok(None),
        Err(NoArray::Raised(raise)) => return Err(raise),
    }
    let ratio = settings.sparse_ratio;
    if ratio > 0 && max > items.wrapping_mul(ratio) && max > settings.sparse_safe {
        if settings.sparse_convert == 0 {
            return Err(refuse(frame, -1, "excessively sparse array"));
        }
        return Ok(None);
    }
    Ok(usize::try_from(max).ok().filter(|len| *len > 0))
}

/// The number on top.
fn float(frame: &Frame<'_>, out: &mut Vec<u8>, settings: &Settings) -> Result<(), Raise> {
    let n = frame.number(-1).unwrap_or_default();
    if !n.is_finite() {
        match settings.encode_invalid {
            OFF => return Err(refuse(frame, -1, "must not be NaN or Inf")),
            NULL => {
                out.extend_from_slice(b"null");
                return Ok(());
            }
            _ if n.is_nan() => {
                out.extend_from_slice(b"nan");
                return Ok(());
            }
            _ => {}
        }
    }
    number::push_g(out, n, settings.precision as usize);
    Ok(())
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' | b'/' => out.extend_from_slice(&[b'\\', byte]),
            8 => out.extend_from_slice(b"\\b"),
            9 => out.extend_from_slice(b"\\t"),
            10 => out.extend_from_slice(b"\\n"),
            12 => out.extend_from_slice(b"\\f"),
            13 => out.extend_from_slice(b"\\r"),
            0..32 | 127 => {
                out.extend_from_slice(b"\\u00");
                out.push(DIGITS[usize::from(byte >> 4)]);
                out.push(DIGITS[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
