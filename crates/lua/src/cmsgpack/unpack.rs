//! Bytes to values.

use crate::number;
use crate::raw::{Frame, Kind, Raise};

pub(super) fn unpack(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    run(frame, 0, 0, "unpack")
}

pub(super) fn unpack_one(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let offset = optional(frame, 2, "unpack_one")?;
    run(frame, 1, offset, "unpack_one")
}

pub(super) fn unpack_limit(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let limit = number::truncate(frame.want_number(2, "unpack_limit")?);
    let offset = optional(frame, 3, "unpack_limit")?;
    run(frame, limit, offset, "unpack_limit")
}

fn optional(frame: &Frame<'_>, position: usize, name: &str) -> Result<i64, Raise> {
    if position > frame.args() || frame.kind(position as i32) == Kind::Nil {
        return Ok(0);
    }
    Ok(number::truncate(frame.want_number(position, name)?))
}

/// Without limit and offset: all values. Else at most `limit`, and before them where to go on.
fn run(frame: &mut Frame<'_>, limit: i64, offset: i64, name: &str) -> Result<usize, Raise> {
    let bytes = frame.want_text(1, name)?;
    let len = bytes.len();
    if offset < 0 || limit < 0 {
        // Messages print 32 bits.
        let offset = offset as i32;
        let text = format!("Invalid request to unpack with offset of {offset} and limit of {len}.");
        return Err(Raise::text(text));
    }
    let Some(rest) = bytes.get(offset as usize..) else {
        let offset = offset as i32;
        return Err(Raise::text(format!("Start offset {offset} greater than input length {len}.")));
    };
    let all = limit == 0 && offset == 0;
    let limit = if all { usize::MAX } else { limit as usize };
    let first = frame.top() + 1;
    let mut input = Input { rest };
    let mut count = 0;
    while !input.rest.is_empty() && count < limit {
        value(frame, &mut input)?;
        count += 1;
    }
    if !all {
        let next = if input.rest.is_empty() { -1.0 } else { (len - input.rest.len()) as f64 };
        frame.reserve(1)?;
        frame.push_number(next);
        frame.insert(first);
        count += 1;
    }
    Ok(count)
}

struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Raise> {
        let (taken, rest) =
            self.rest.split_at_checked(n).ok_or_else(|| Raise::text("Missing bytes in input."))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Raise> {
        Ok(self.take(N)?.try_into().unwrap_or([0; N]))
    }

    /// A number of `N` bytes.
    fn len<const N: usize>(&mut self) -> Result<usize, Raise> {
        Ok(self.array::<N>()?.iter().fold(0, |all, byte| all << 8 | usize::from(*byte)))
    }
}

/// Pushes the next value.
fn value(frame: &mut Frame<'_>, input: &mut Input<'_>) -> Result<(), Raise> {
    const FULL: &str =
        "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)";
    let [mark] = input.array()?;
    frame.reserve(1).map_err(|_| Raise::text(FULL))?;
    frame.check_memory()?;
    let n = match mark {
        0xc0 => {
            frame.push_nil();
            return Ok(());
        }
        0xc2 | 0xc3 => {
            frame.push_bool(mark == 0xc3);
            return Ok(());
        }
        0x00..=0x7f | 0xe0.. => f64::from(mark.cast_signed()),
        0xca => f64::from(f32::from_be_bytes(input.array()?)),
        0xcb => f64::from_be_bytes(input.array()?),
        0xcc => f64::from(u8::from_be_bytes(input.array()?)),
        0xcd => f64::from(u16::from_be_bytes(input.array()?)),
        0xce => f64::from(u32::from_be_bytes(input.array()?)),
        // Beyond 2^63 the original goes through a signed integer.
        0xcf | 0xd3 => i64::from_be_bytes(input.array()?) as f64,
        0xd0 => f64::from(i8::from_be_bytes(input.array()?)),
        0xd1 => f64::from(i16::from_be_bytes(input.array()?)),
        0xd2 => f64::from(i32::from_be_bytes(input.array()?)),
        0xa0..=0xbf | 0xd9..=0xdb => {
            let len = match mark {
                0xd9 => input.len::<1>()?,
                0xda => input.len::<2>()?,
                0xdb => input.len::<4>()?,
                _ => usize::from(mark & 31),
            };
            frame.push_bytes(input.take(len)?);
            return Ok(());
        }
        0x90..=0x9f => return array(frame, input, usize::from(mark & 15)),
        0xdc => {
            let len = input.len::<2>()?;
            return array(frame, input, len);
        }
        0xdd => {
            let len = input.len::<4>()?;
            return array(frame, input, len);
        }
        0x80..=0x8f => return map(frame, input, usize::from(mark & 15)),
        0xde => {
            let len = input.len::<2>()?;
            return map(frame, input, len);
        }
        0xdf => {
            let len = input.len::<4>()?;
            return map(frame, input, len);
        }
        0xc1 | 0xc4..=0xc9 | 0xd4..=0xd8 => return Err(Raise::text("Bad data format in input.")),
    };
    frame.push_number(n);
    Ok(())
}

fn room(frame: &Frame<'_>, name: &str) -> Result<(), Raise> {
    frame.reserve(1).map_err(|_| Raise::text(format!("stack overflow (in function {name})")))
}

fn array(frame: &mut Frame<'_>, input: &mut Input<'_>, len: usize) -> Result<(), Raise> {
    frame.push_table(0, 0);
    let table = frame.top();
    room(frame, "mp_decode_to_lua_array")?;
    for index in 1..=len {
        // The original has the index on the stack here, which bounds how deep a stack of Lua's can go.
        frame.push_number(index as f64);
        value(frame, input)?;
        frame.set_pair(table);
    }
    Ok(())
}

fn map(frame: &mut Frame<'_>, input: &mut Input<'_>, len: usize) -> Result<(), Raise> {
    frame.push_table(0, 0);
    let table = frame.top();
    room(frame, "mp_decode_to_lua_hash")?;
    for _ in 0..len {
        value(frame, input)?;
        match frame.kind(-1) {
            Kind::Nil => nil_key(frame, input, "table index is nil")?,
            Kind::Number if frame.number(-1).is_some_and(f64::is_nan) => {
                nil_key(frame, input, "table index is NaN")?;
            }
            _ => {}
        }
        value(frame, input)?;
        frame.set_pair(table);
    }
    Ok(())
}

/// A key that Lua refuses; the value is read first, whose errors come first.
fn nil_key(frame: &mut Frame<'_>, input: &mut Input<'_>, text: &str) -> Result<(), Raise> {
    value(frame, input)?;
    Err(Raise::Bare(text.as_bytes().to_vec()))
}
