//! A script's result, as Redis turns it into a reply.

use crate::answer::{Aggregate, ScriptReply};
use crate::error::one_line;
use crate::number;
use crate::raw::{Frame, Kind, Raise};

/// Tables nest at most so deep; deeper ones (such as a table inside itself) end in an error, as in Redis, whose
/// own bound is the interpreter's stack.
const MAX_DEPTH: usize = 500;

/// Writes the value on top to `out`. Metatables are not asked, as in Redis.
pub(crate) fn write(frame: &mut Frame<'_>, resp3: bool, out: &mut dyn ScriptReply) {
    write_at(frame, resp3, out, 0);
}

fn write_at(frame: &mut Frame<'_>, resp3: bool, out: &mut dyn ScriptReply, depth: usize) {
    match frame.kind(-1) {
        Kind::String => out.bulk(frame.text(-1).unwrap_or_default()),
        Kind::Number => out.integer(number::truncate(frame.number(-1).unwrap_or_default())),
        Kind::Boolean if resp3 => out.boolean(frame.truth(-1)),
        Kind::Boolean if frame.truth(-1) => out.integer(1),
        Kind::Table if depth >= MAX_DEPTH || frame.reserve(8).is_err() => {
            out.error(b"ERR reached lua stack limit");
        }
        Kind::Table => {
            let base = frame.top();
            write_table(frame, resp3, out, depth);
            frame.cut(base);
        }
        _ => out.null(),
    }
}

/// The text in a field of the table on top, with line ends as blanks.
fn line(frame: &mut Frame<'_>, field: &str) -> Option<Vec<u8>> {
    frame.get_field(-1, field);
    let line = frame.text(-1).map(|text| {
        let mut line = text.to_vec();
        one_line(&mut line);
        line
    });
    frame.pop(1);
    line
}

/// What is left of a text where the servers take it as one of C's.
pub(crate) fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn write_table(frame: &mut Frame<'_>, resp3: bool, out: &mut dyn ScriptReply, depth: usize) {
    if let Some(line) = line(frame, "err") {
        return out.error(until_nul(&line));
    }
    if let Some(status) = line(frame, "ok") {
        return out.simple(until_nul(&status));
    }
    frame.get_field(-1, "double");
    if let Some(n) = frame.number(-1) {
        return out.double(n);
    }
    frame.pop(1);
    for (field, shape) in [("map", Aggregate::Map), ("set", Aggregate::Set)] {
        frame.get_field(-1, field);
        if frame.kind(-1) == Kind::Table {
            return write_pairs(frame, shape, resp3, out, depth);
        }
        frame.pop(1);
    }
    if let Some(digits) = line(frame, "big_number") {
        let cut = frame.host().options.flavour.cuts_big_numbers;
        return out.big_number(if cut { until_nul(&digits) } else { &digits });
    }
    frame.get_field(-1, "verbatim_string");
    if frame.kind(-1) == Kind::Table {
        frame.get_field(-1, "string");
        frame.get_field(-2, "format");
        if let (Some(text), Some(format)) = (frame.text(-2), frame.text(-1)) {
            let format = until_nul(format);
            let format = std::array::from_fn::<u8, 3, _>(|at| format.get(at).copied().unwrap_or(b' '));
            return out.verbatim(&format, text);
        }
        frame.pop(2);
    }
    frame.pop(1);
    write_list(frame, resp3, out, depth);
}

/// The map or set on top.
fn write_pairs(
    frame: &mut Frame<'_>,
    shape: Aggregate,
    resp3: bool,
    out: &mut dyn ScriptReply,
    depth: usize,
) {
    let mut len = 0;
    let counted = frame.walk(-1, |_| {
        len += 1;
        Ok::<_, Raise>(())
    });
    out.aggregate(shape, if counted.is_ok() { len } else { 0 });
    let shown = frame.walk(-1, |frame| {
        frame.push_copy(-2);
        write_at(frame, resp3, out, depth + 1);
        frame.pop(1);
        if shape == Aggregate::Map {
            write_at(frame, resp3, out, depth + 1);
        }
        Ok::<_, Raise>(())
    });
    debug_assert_eq!(counted.is_ok(), shown.is_ok());
}

/// The elements up to the first nil. The length goes first on the wire, so they are counted before.
fn write_list(frame: &mut Frame<'_>, resp3: bool, out: &mut dyn ScriptReply, depth: usize) {
    let mut len = 0;
    loop {
        frame.get_index(-1, len + 1);
        let ended = frame.kind(-1) == Kind::Nil;
        frame.pop(1);
        if ended {
            break;
        }
        len += 1;
    }
    if len == 0 && frame.host().options.pairs {
        return write_keys_and_values(frame, resp3, out, depth);
    }
    out.aggregate(Aggregate::Array, len);
    for index in 1..=len {
        frame.get_index(-1, index);
        write_at(frame, resp3, out, depth + 1);
        frame.pop(1);
    }
}

/// Everything in the table on top, as a list of keys and values.
fn write_keys_and_values(frame: &mut Frame<'_>, resp3: bool, out: &mut dyn ScriptReply, depth: usize) {
    let mut pairs = 0;
    let counted = frame.walk(-1, |_| {
        pairs += 1;
        Ok::<_, Raise>(())
    });
    out.aggregate(Aggregate::Array, if counted.is_ok() { pairs * 2 } else { 0 });
    let shown = frame.walk(-1, |frame| {
        frame.push_copy(-2);
        write_at(frame, resp3, out, depth + 1);
        frame.pop(1);
        write_at(frame, resp3, out, depth + 1);
        Ok::<_, Raise>(())
    });
    debug_assert_eq!(counted.is_ok(), shown.is_ok());
}
