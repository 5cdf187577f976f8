//! Values to bytes.

use crate::number;
use crate::raw::{Frame, Kind, Raise};

/// A table nested deeper becomes nil: so a table inside itself ends.
const MAX_NESTING: usize = 16;

pub(super) fn pack(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.args() == 0 {
        return Err(frame.bad_argument(0, "pack", "MessagePack pack needs input."));
    }
    let mut out = Vec::new();
    for index in 1..=frame.args() {
        frame.reserve(1)?;
        frame.push_copy(index as i32);
        value(frame, &mut out, 0)?;
        frame.pop(1);
    }
    frame.push_bytes(&out);
    Ok(1)
}

/// Appends the value on top.
fn value(frame: &mut Frame<'_>, out: &mut Vec<u8>, level: usize) -> Result<(), Raise> {
    match frame.kind(-1) {
        Kind::String => string(out, frame.text(-1).unwrap_or_default()),
        Kind::Boolean => out.push(if frame.truth(-1) { 0xc3 } else { 0xc2 }),
        Kind::Number => float_or_integer(out, frame.number(-1).unwrap_or_default()),
        Kind::Table if level < MAX_NESTING => {
            frame.check_work(out.len())?;
            return table(frame, out, level);
        }
        _ => out.push(0xc0),
    }
    Ok(())
}

fn table(frame: &mut Frame<'_>, out: &mut Vec<u8>, level: usize) -> Result<(), Raise> {
    let table = frame.top();
    frame.reserve(4)?;
    if let Some(len) = list_len(frame)? {
        header(out, len, [0x90, 0xdc]);
        for index in 1..=len {
            frame.get_index(table, index);
            value(frame, out, level + 1)?;
            frame.pop(1);
        }
        return Ok(());
    }
    let mut len = 0;
    frame.walk(table, |_| {
        len += 1;
        Ok::<_, Raise>(())
    })?;
    header(out, len, [0x80, 0xde]);
    frame.walk(table, |frame| {
        frame.reserve(1)?;
        frame.push_copy(-2);
        value(frame, out, level + 1)?;
        frame.pop(1);
        value(frame, out, level + 1)
    })
}

/// The length of the table on top, if its keys are 1 to that.
fn list_len(frame: &mut Frame<'_>) -> Result<Option<usize>, Raise> {
    struct NoList;
    impl From<Raise> for NoList {
        fn from(_: Raise) -> Self {
            Self
        }
    }
    let (mut count, mut max) = (0usize, 0.0f64);
    let walked = frame.walk(-1, |frame| match frame.number(-2) {
        Some(n) if n > 0.0 && f64::from(number::truncate_32(n)) == n => {
            max = max.max(n);
            count += 1;
            Ok(())
        }
        _ => Err(NoList),
    });
    Ok((walked.is_ok() && max == count as f64).then_some(count))
}

/// An array's or a map's: up to fifteen in the mark itself.
fn header(out: &mut Vec<u8>, len: usize, [small, wide]: [u8; 2]) {
    match len {
        0..=15 => out.push(small | len as u8),
        16..=0xffff => {
            out.push(wide);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(wide + 1);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
    }
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        len @ 0..=31 => out.push(0xa0 | len as u8),
        len @ 32..=0xff => out.extend_from_slice(&[0xd9, len as u8]),
        len @ 0x100..=0xffff => {
            out.push(0xda);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(0xdb);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

fn float_or_integer(out: &mut Vec<u8>, n: f64) {
    let whole = number::truncate(n);
    if n.is_finite() && whole as f64 == n && n < 9_223_372_036_854_775_808.0 {
        return integer(out, whole);
    }
    let short = n as f32;
    if f64::from(short) == n {
        out.push(0xca);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&n.to_be_bytes());
    }
}

/// In the fewest bytes.
fn integer(out: &mut Vec<u8>, n: i64) {
    match n {
        -32..=127 => out.push(n as u8),
        128..=0xff => out.extend_from_slice(&[0xcc, n as u8]),
        0x100..=0xffff => {
            out.push(0xcd);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xce);
            out.extend_from_slice(&(n as u32).to_be_bytes());
        }
        0x1_0000_0000.. => {
            out.push(0xcf);
            out.extend_from_slice(&n.to_be_bytes());
        }
        -128..=-33 => out.extend_from_slice(&[0xd0, n as u8]),
        -0x8000..=-129 => {
            out.push(0xd1);
            out.extend_from_slice(&(n as i16).to_be_bytes());
        }
        -0x8000_0000..=-0x8001 => {
            out.push(0xd2);
            out.extend_from_slice(&(n as i32).to_be_bytes());
        }
        _ => {
            out.push(0xd3);
            out.extend_from_slice(&n.to_be_bytes());
        }
    }
}
