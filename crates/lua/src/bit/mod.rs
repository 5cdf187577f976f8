//! `bit`: operations on 32 bits, as the library of LuaJIT's author has them.

use crate::raw::{Body, Frame, Raise};

pub(crate) const FUNCTIONS: &[(&str, Body)] = &[
    ("tobit", tobit),
    ("bnot", bnot),
    ("band", |f| fold(f, "band", |a, b| a & b)),
    ("bor", |f| fold(f, "bor", |a, b| a | b)),
    ("bxor", |f| fold(f, "bxor", |a, b| a ^ b)),
    ("lshift", |f| shift(f, "lshift", |b, n| b << n)),
    ("rshift", |f| shift(f, "rshift", |b, n| b >> n)),
    ("arshift", |f| shift(f, "arshift", |b, n| (b.cast_signed() >> n).cast_unsigned())),
    ("rol", |f| shift(f, "rol", u32::rotate_left)),
    ("ror", |f| shift(f, "ror", u32::rotate_right)),
    ("bswap", bswap),
    ("tohex", tohex),
];

/// The low 32 bits of the nearest integer. Adding 2^52 + 2^51 moves them to the end of the double.
fn bits(frame: &Frame<'_>, position: usize, name: &str) -> Result<u32, Raise> {
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    let n = frame.want_number(position, name)?;
    Ok((n + MAGIC).to_bits() as u32)
}

fn answer(frame: &Frame<'_>, bits: u32) -> Result<usize, Raise> {
    frame.push_number(f64::from(bits.cast_signed()));
    Ok(1)
}

fn tobit(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    answer(frame, bits(frame, 1, "tobit")?)
}

fn bnot(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    answer(frame, !bits(frame, 1, "bnot")?)
}

fn bswap(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    answer(frame, bits(frame, 1, "bswap")?.swap_bytes())
}

fn fold(frame: &Frame<'_>, name: &str, op: fn(u32, u32) -> u32) -> Result<usize, Raise> {
    let mut all = bits(frame, 1, name)?;
    // From the last: the first bad argument that is met is the one that the message names.
    for position in (2..=frame.args()).rev() {
        all = op(all, bits(frame, position, name)?);
    }
    answer(frame, all)
}

fn shift(frame: &Frame<'_>, name: &str, op: fn(u32, u32) -> u32) -> Result<usize, Raise> {
    let (all, by) = (bits(frame, 1, name)?, bits(frame, 2, name)?);
    answer(frame, op(all, by & 31))
}

fn tohex(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let mut all = bits(frame, 1, "tohex")?;
    let count = if frame.args() < 2 { 8 } else { bits(frame, 2, "tohex")?.cast_signed() };
    let digits: &[u8; 16] = if count < 0 { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    let mut text = [0; 8];
    let count = (count.unsigned_abs() as usize).min(8);
    for slot in text.iter_mut().take(count).rev() {
        *slot = digits[(all & 15) as usize];
        all >>= 4;
    }
    frame.push_bytes(&text[..count]);
    Ok(1)
}
