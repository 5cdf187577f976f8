//! A script's result, as Redis turns it into a reply.

use mlua::{Table, Value};

use crate::error::one_line;
use crate::number;

/// Where a script's reply goes: scalars, and headers followed by their elements (a map: key, value, key, value).
///
/// The receiver knows its client's protocol; a script that asked for `redis.setresp(3)` may send any shape to a
/// RESP2 client, which gets maps and sets as arrays, doubles and big numbers as strings, truth values as 1 and 0.
pub trait ScriptReply {
    /// Nothing.
    fn null(&mut self);
    /// A status; no line ends inside.
    fn simple(&mut self, status: &[u8]);
    /// An error line, code first; no line ends inside.
    fn error(&mut self, line: &[u8]);
    /// A byte string.
    fn bulk(&mut self, bytes: &[u8]);
    /// An integer.
    fn integer(&mut self, n: i64);
    /// A double.
    fn double(&mut self, n: f64);
    /// A truth value; only scripts under RESP3 send it.
    fn boolean(&mut self, b: bool);
    /// The header of `len` elements, or of `len` pairs.
    fn aggregate(&mut self, shape: Aggregate, len: usize);
    /// A number of any size in decimal.
    fn big_number(&mut self, digits: &[u8]) {
        self.bulk(digits);
    }
    /// Text with its format of three letters.
    fn verbatim(&mut self, format: &[u8], text: &[u8]) {
        let _ = format;
        self.bulk(text);
    }
}

/// The shapes that have elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// An array.
    Array,
    /// Pairs.
    Map,
    /// A set.
    Set,
}

/// Tables nest at most so deep; deeper ones (such as a table inside itself) end in an error, as in Redis, whose
/// own bound is the interpreter's stack.
const MAX_DEPTH: usize = 500;

/// Writes `value` to `out`. Metatables are not asked, as in Redis.
pub(crate) fn write(value: &Value, resp3: bool, out: &mut dyn ScriptReply) -> mlua::Result<()> {
    write_at(value, resp3, out, 0)
}

fn write_at(value: &Value, resp3: bool, out: &mut dyn ScriptReply, depth: usize) -> mlua::Result<()> {
    match value {
        Value::String(text) => out.bulk(&text.as_bytes()),
        Value::Integer(n) => out.integer(*n),
        Value::Number(n) => out.integer(number::truncate(*n)),
        Value::Boolean(b) if resp3 => out.boolean(*b),
        Value::Boolean(true) => out.integer(1),
        Value::Table(_) if depth >= MAX_DEPTH => out.error(b"ERR reached lua stack limit"),
        Value::Table(table) => write_table(table, resp3, out, depth)?,
        _ => out.null(),
    }
    Ok(())
}

fn write_table(table: &Table, resp3: bool, out: &mut dyn ScriptReply, depth: usize) -> mlua::Result<()> {
    if let Value::String(line) = table.raw_get::<Value>("err")? {
        let mut line = line.as_bytes().to_vec();
        one_line(&mut line);
        out.error(&line);
        return Ok(());
    }
    if let Value::String(status) = table.raw_get::<Value>("ok")? {
        let mut status = status.as_bytes().to_vec();
        one_line(&mut status);
        out.simple(&status);
        return Ok(());
    }
    match table.raw_get::<Value>("double")? {
        Value::Number(n) => {
            out.double(n);
            return Ok(());
        }
        Value::Integer(n) => {
            out.double(n as f64);
            return Ok(());
        }
        _ => {}
    }
    if let Value::Table(map) = table.raw_get::<Value>("map")? {
        out.aggregate(Aggregate::Map, map.pairs::<Value, Value>().count());
        for pair in map.pairs::<Value, Value>() {
            let (key, value) = pair?;
            write_at(&key, resp3, out, depth + 1)?;
            write_at(&value, resp3, out, depth + 1)?;
        }
        return Ok(());
    }
    if let Value::Table(set) = table.raw_get::<Value>("set")? {
        out.aggregate(Aggregate::Set, set.pairs::<Value, Value>().count());
        for pair in set.pairs::<Value, Value>() {
            write_at(&pair?.0, resp3, out, depth + 1)?;
        }
        return Ok(());
    }
    if let Value::String(digits) = table.raw_get::<Value>("big_number")? {
        let mut digits = digits.as_bytes().to_vec();
        one_line(&mut digits);
        out.big_number(&digits);
        return Ok(());
    }
    if let Value::Table(inner) = table.raw_get::<Value>("verbatim_string")?
        && let (Value::String(text), Value::String(format)) =
            (inner.raw_get("string")?, inner.raw_get("format")?)
    {
        out.verbatim(&format.as_bytes(), &text.as_bytes());
        return Ok(());
    }
    write_list(table, resp3, out, depth)
}

/// The elements up to the first nil. The length goes first on the wire, so they are counted before.
fn write_list(table: &Table, resp3: bool, out: &mut dyn ScriptReply, depth: usize) -> mlua::Result<()> {
    let mut len = 0;
    while !table.raw_get::<Value>(len + 1)?.is_nil() {
        len += 1;
    }
    out.aggregate(Aggregate::Array, len);
    for index in 1..=len {
        write_at(&table.raw_get(index)?, resp3, out, depth + 1)?;
    }
    Ok(())
}
