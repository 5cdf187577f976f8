//! `struct`: values to and from the bytes of C structures.

use crate::number;
use crate::raw::{Body, Frame, Raise};

pub(crate) const FUNCTIONS: &[(&str, Body)] = &[("pack", pack), ("unpack", unpack), ("size", size)];

/// The widest integer that a format may ask for.
const MAX_INTEGER: usize = 32;
/// The alignment that a bare `!` asks for.
const MAX_ALIGN: usize = 8;

/// One option of a format, and how many bytes it stands for.
struct Item {
    option: u8,
    size: usize,
    /// Bytes to skip before it.
    pad: usize,
}

/// Reads a format from left to right.
struct Format<'a> {
    rest: &'a [u8],
    big: bool,
    align: usize,
}

impl<'a> Format<'a> {
    fn new(text: &'a [u8]) -> Self {
        // As text of C, a format ends at a NUL.
        Self { rest: text.split(|byte| *byte == 0).next().unwrap_or_default(), big: false, align: 1 }
    }

    /// The next option at `at` bytes from the start.
    fn next(&mut self, at: usize) -> Result<Option<Item>, Raise> {
        let Some((&option, rest)) = self.rest.split_first() else { return Ok(None) };
        self.rest = rest;
        let size = match option {
            b'b' | b'B' | b'x' => 1,
            b'h' | b'H' => 2,
            b'l' | b'L' | b'T' | b'd' => 8,
            b'f' => 4,
            b'c' => self.number(1)?,
            b'i' | b'I' => {
                let size = self.number(4)?;
                if size > MAX_INTEGER {
                    let text = format!("integral size {size} is larger than limit of {MAX_INTEGER}");
                    return Err(Raise::text(text));
                }
                size
            }
            _ => 0,
        };
        let pad = if size == 0 || option == b'c' {
            0
        } else {
            let to = size.min(self.align);
            to.wrapping_sub(at & (to - 1)) & (to - 1)
        };
        Ok(Some(Item { option, size, pad }))
    }

    fn number(&mut self, default: usize) -> Result<usize, Raise> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (text, rest) = self.rest.split_at(digits);
        self.rest = rest;
        if text.is_empty() {
            return Ok(default);
        }
        let mut n = 0i32;
        for digit in text {
            let next = n.checked_mul(10).and_then(|n| n.checked_add(i32::from(digit - b'0')));
            n = next.ok_or_else(|| Raise::text("integral size overflow"))?;
        }
        Ok(n as usize)
    }

    /// Options that set something.
    fn control(&mut self, option: u8, frame: &Frame<'_>, name: &str) -> Result<(), Raise> {
        match option {
            b' ' => {}
            b'>' => self.big = true,
            b'<' => self.big = false,
            b'!' => {
                let align = self.number(MAX_ALIGN)?;
                if !align.is_power_of_two() {
                    return Err(Raise::text(format!("alignment {align} is not a power of 2")));
                }
                self.align = align;
            }
            other => {
                let mut detail = b"invalid format option '".to_vec();
                detail.push(other);
                detail.push(b'\'');
                return Err(bad(frame, 1, name, &detail));
            }
        }
        Ok(())
    }
}

/// As [`Frame::bad_argument`], with a detail that need not be text.
fn bad(frame: &Frame<'_>, position: usize, name: &str, detail: &[u8]) -> Raise {
    match frame.bad_argument(position, name, "\0") {
        Raise::Text(text) => {
            let at = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
            let (before, after) = text.split_at(at);
            Raise::Text([before, detail, after.get(1..).unwrap_or_default()].concat())
        }
        other => other,
    }
}

fn pack(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let text = frame.want_text(1, "pack")?;
    let mut format = Format::new(&text);
    let mut out = Vec::new();
    let mut position = 2;
    while let Some(Item { option, size, pad }) = format.next(out.len())? {
        if frame.memory().would_exceed(out.len()) {
            return Err(Raise::memory());
        }
        out.resize(out.len() + pad, 0);
        match option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let n = number_at(frame, position)?;
                position += 1;
                push_integer(&mut out, number::truncate_unsigned(n), size, format.big);
            }
            b'x' => out.push(0),
            b'f' => {
                let n = number_at(frame, position)? as f32;
                position += 1;
                out.extend_from_slice(&if format.big { n.to_be_bytes() } else { n.to_le_bytes() });
            }
            b'd' => {
                let n = number_at(frame, position)?;
                position += 1;
                out.extend_from_slice(&if format.big { n.to_be_bytes() } else { n.to_le_bytes() });
            }
            b'c' | b's' => {
                let missing = || missing(frame, position, "string");
                let bytes = frame.arg_or_number(position).ok_or_else(missing)?;
                position += 1;
                let size = if size == 0 { bytes.len() } else { size };
                let Some(bytes) = bytes.get(..size) else {
                    // The position has moved on already, in the original too.
                    return Err(frame.bad_argument(position, "pack", "string too short"));
                };
                out.extend_from_slice(bytes);
                if option == b's' {
                    out.push(0);
                }
            }
            other => format.control(other, frame, "pack")?,
        }
    }
    frame.push_bytes(&out);
    Ok(1)
}

fn number_at(frame: &Frame<'_>, position: usize) -> Result<f64, Raise> {
    if position > frame.args() {
        return Err(missing(frame, position, "number"));
    }
    frame.want_number(position, "pack")
}

/// The original has a nil behind its arguments.
fn missing(frame: &Frame<'_>, position: usize, expected: &str) -> Raise {
    if position > frame.args() {
        return frame.bad_argument(position, "pack", &format!("{expected} expected, got nil"));
    }
    frame.wrong_type(position, "pack", expected)
}

/// The low `size` bytes of `value`; beyond eight there are zeros.
fn push_integer(out: &mut Vec<u8>, value: u64, size: usize, big: bool) {
    let mut bytes = [0; MAX_INTEGER];
    bytes[..8].copy_from_slice(&value.to_le_bytes());
    let bytes = &mut bytes[..size];
    if big {
        bytes.reverse();
    }
    out.extend_from_slice(bytes);
}

fn unpack(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let text = frame.want_text(1, "unpack")?;
    let data = frame.want_text(2, "unpack")?;
    let start = match frame.args() {
        3.. if frame.kind(3) != crate::raw::Kind::Nil => number::truncate(frame.want_number(3, "unpack")?),
        _ => 1,
    };
    // As the original takes the position as a size, only 0 is not "greater".
    if start == 0 {
        return Err(frame.bad_argument(3, "unpack", "offset must be 1 or greater"));
    }
    let mut at = (start.cast_unsigned() as usize).wrapping_sub(1);
    let mut format = Format::new(&text);
    let mut count = 0usize;
    // The last number, for `c0`.
    while let Some(Item { option, mut size, pad }) = format.next(at)? {
        at = at.wrapping_add(pad);
        let short = || frame.bad_argument(2, "unpack", "data string too short");
        let mut bytes = at.checked_add(size).and_then(|end| data.get(at..end)).ok_or_else(short)?;
        frame.reserve(2).map_err(|_| Raise::text("stack overflow (too many results)"))?;
        match option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                frame.push_number(integer(bytes, option.is_ascii_lowercase(), format.big));
                count += 1;
            }
            b'x' => {}
            b'f' => {
                let bytes: [u8; 4] = bytes.try_into().unwrap_or_default();
                let n = if format.big { f32::from_be_bytes(bytes) } else { f32::from_le_bytes(bytes) };
                frame.push_number(f64::from(n));
                count += 1;
            }
            b'd' => {
                let bytes: [u8; 8] = bytes.try_into().unwrap_or_default();
                frame.push_number(if format.big {
                    f64::from_be_bytes(bytes)
                } else {
                    f64::from_le_bytes(bytes)
                });
                count += 1;
            }
            b'c' => {
                if size == 0 {
                    let known = if count == 0 { None } else { frame.to_number(-1) };
                    let Some(known) = known else {
                        return Err(Raise::text("format 'c0' needs a previous size"));
                    };
                    frame.pop(1);
                    count -= 1;
                    size = number::truncate_unsigned(known) as usize;
                    let end = at.checked_add(size);
                    let found = end.and_then(|end| data.get(at..end));
                    bytes = found.ok_or_else(|| frame.bad_argument(2, "unpack", "data string too short"))?;
                }
                frame.push_bytes(bytes);
                count += 1;
            }
            b's' => {
                let rest = data.get(at..).unwrap_or_default();
                let Some(len) = rest.iter().position(|byte| *byte == 0) else {
                    return Err(Raise::text("unfinished string in data"));
                };
                frame.push_bytes(&rest[..len]);
                size = len + 1;
                count += 1;
            }
            other => format.control(other, frame, "unpack")?,
        }
        at += size;
    }
    frame.push_number((at as f64) + 1.0);
    Ok(count + 1)
}

/// The number in `bytes`; of more than eight, the low 64 bits.
fn integer(bytes: &[u8], signed: bool, big: bool) -> f64 {
    let join = |all: u64, byte: &u8| all << 8 | u64::from(*byte);
    let all = if big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) };
    if !signed {
        return all as f64;
    }
    // The shift's width wraps, as the processor's does.
    let mask = u64::MAX << ((bytes.len() * 8).wrapping_sub(1) % 64);
    (if all & mask == 0 { all } else { all | mask }).cast_signed() as f64
}

fn size(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let text = frame.want_text(1, "size")?;
    let mut format = Format::new(&text);
    let mut total = 0usize;
    while let Some(Item { option, size, pad }) = format.next(total)? {
        total += pad;
        if option == b's' {
            return Err(frame.bad_argument(1, "size", "option 's' has no fixed size"));
        }
        if option == b'c' && size == 0 {
            return Err(frame.bad_argument(1, "size", "option 'c0' has no fixed size"));
        }
        if !option.is_ascii_alphanumeric() {
            format.control(option, frame, "size")?;
        }
        total = total.wrapping_add(size);
    }
    frame.push_number(total as f64);
    Ok(1)
}
