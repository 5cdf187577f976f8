//! A command's reply, written directly as Lua values.

use std::fmt::Display;
use std::io::Write as _;

use mlua::{Lua, Table, Value};

use crate::number;

/// Receives one reply for `redis.call` and turns it into the Lua value that Redis would give the script.
///
/// The order of calls is the wire's: a scalar, or the header of an aggregate followed by as many replies as it
/// announces (a map: twice as many). Everything lands in its Lua table at once; there is no tree between.
/// Running out of memory is remembered and raised in the script after the reply.
#[derive(Debug)]
pub struct ReplyBuilder<'lua> {
    lua: &'lua Lua,
    resp3: bool,
    root: Option<Value>,
    open: Vec<Frame>,
    fault: Option<mlua::Error>,
    failed: bool,
}

/// An aggregate that still misses elements.
#[derive(Debug)]
struct Frame {
    table: Table,
    shape: Shape,
    done: usize,
    left: usize,
    key: Option<Value>,
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    List,
    Map,
    Set,
}

impl<'lua> ReplyBuilder<'lua> {
    pub(crate) fn new(lua: &'lua Lua, resp3: bool) -> Self {
        Self { lua, resp3, root: None, open: Vec::new(), fault: None, failed: false }
    }

    /// Whether the script asked for RESP3 with `redis.setresp(3)`; some commands nest differently there.
    pub fn is_resp3(&self) -> bool {
        self.resp3
    }

    /// Nothing, in any of the wire's forms: `false` in RESP2, `nil` in RESP3.
    pub fn null(&mut self) {
        let value = if self.resp3 { Value::Nil } else { Value::Boolean(false) };
        self.place(value);
    }

    /// A status such as `OK`: a table with the field `ok`.
    pub fn simple(&mut self, status: &[u8]) {
        self.single("ok", status);
    }

    /// An error line without the leading dash, code first (`WRONGTYPE Operation ...`).
    pub fn error(&mut self, line: &[u8]) {
        let top = self.open.is_empty();
        let table = self.single("err", line);
        if top {
            self.failed = true;
            if let Some(table) = table {
                let set = table.raw_set("ignore_error_stats_update", true);
                self.note(set);
            }
        }
    }

    /// As [`ReplyBuilder::error`], from anything that displays as the line.
    pub fn error_display(&mut self, line: &dyn Display) {
        let mut text = Vec::with_capacity(80);
        // Writing to a Vec cannot fail.
        let _ = write!(text, "{line}");
        self.error(&text);
    }

    /// A byte string.
    pub fn bulk(&mut self, bytes: &[u8]) {
        match self.lua.create_string(bytes) {
            Ok(text) => self.place(Value::String(text)),
            Err(fault) => self.lost(fault),
        }
    }

    /// An integer. Lua's numbers are doubles: beyond 2^53 it rounds, as in Redis.
    pub fn integer(&mut self, n: i64) {
        self.place(Value::Number(n as f64));
    }

    /// A double: `{double=n}` in RESP3, text with 17 digits (as Redis 7.0 prints) in RESP2.
    pub fn double(&mut self, n: f64) {
        if self.resp3 {
            self.resp3_double(n);
        } else {
            let mut text = Vec::with_capacity(24);
            number::push_g17(&mut text, n);
            self.bulk(&text);
        }
    }

    /// As [`ReplyBuilder::double`] for those who print numbers in their own way; `text` is for RESP2.
    pub fn double_as(&mut self, n: f64, text: &[u8]) {
        if self.resp3 {
            self.resp3_double(n);
        } else {
            self.bulk(text);
        }
    }

    /// A truth value: 1 or 0 in RESP2.
    pub fn boolean(&mut self, b: bool) {
        let value = if self.resp3 { Value::Boolean(b) } else { Value::Number(f64::from(u8::from(b))) };
        self.place(value);
    }

    /// A number of any size in decimal.
    pub fn big_number(&mut self, digits: &[u8]) {
        if self.resp3 {
            self.single("big_number", digits);
        } else {
            self.bulk(digits);
        }
    }

    /// Text with its format of three letters; a byte string in RESP2.
    pub fn verbatim(&mut self, format: &[u8], text: &[u8]) {
        if !self.resp3 {
            return self.bulk(text);
        }
        let built = (|| {
            let inner = self.lua.create_table_with_capacity(0, 2)?;
            inner.raw_set("format", self.lua.create_string(format)?)?;
            inner.raw_set("string", self.lua.create_string(text)?)?;
            let outer = self.lua.create_table_with_capacity(0, 1)?;
            outer.raw_set("verbatim_string", inner)?;
            Ok(outer)
        })();
        self.place_table(built);
    }

    /// The header of an array; `len` replies follow.
    pub fn array(&mut self, len: usize) {
        self.begin(Shape::List, None, len, len);
    }

    /// The header of a map; `len` pairs follow. A flat array in RESP2.
    pub fn map(&mut self, len: usize) {
        let count = len.saturating_mul(2);
        if self.resp3 {
            self.begin(Shape::Map, Some("map"), len, count);
        } else {
            self.begin(Shape::List, None, count, count);
        }
    }

    /// The header of a set; `len` replies follow. An array in RESP2.
    pub fn set(&mut self, len: usize) {
        if self.resp3 {
            self.begin(Shape::Set, Some("set"), len, len);
        } else {
            self.begin(Shape::List, None, len, len);
        }
    }

    /// The value, and whether the whole reply is an error.
    pub(crate) fn finish(self) -> mlua::Result<(Value, bool)> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok((self.root.unwrap_or(Value::Nil), self.failed)),
        }
    }

    fn resp3_double(&mut self, n: f64) {
        let built = (|| {
            let table = self.lua.create_table_with_capacity(0, 1)?;
            table.raw_set("double", n)?;
            Ok(table)
        })();
        self.place_table(built);
    }

    fn single(&mut self, field: &str, bytes: &[u8]) -> Option<Table> {
        let built = (|| {
            let table = self.lua.create_table_with_capacity(0, 1)?;
            table.raw_set(field, self.lua.create_string(bytes)?)?;
            Ok(table)
        })();
        self.place_table(built)
    }

    fn begin(&mut self, shape: Shape, field: Option<&str>, hint: usize, count: usize) {
        // The count is the caller's word: it presizes a little, the rest grows as elements come.
        const PRESIZED: usize = 1024;
        let hint = hint.min(PRESIZED);
        let built = (|| {
            let inner = match shape {
                Shape::List => self.lua.create_table_with_capacity(hint, 0)?,
                Shape::Map | Shape::Set => self.lua.create_table_with_capacity(0, hint)?,
            };
            let outer = match field {
                Some(field) => {
                    let outer = self.lua.create_table_with_capacity(0, 1)?;
                    outer.raw_set(field, &inner)?;
                    outer
                }
                None => inner.clone(),
            };
            Ok((inner, outer))
        })();
        match built {
            Ok((inner, outer)) => {
                self.place(Value::Table(outer));
                if count > 0 {
                    self.open.push(Frame { table: inner, shape, done: 0, left: count, key: None });
                }
            }
            Err(fault) => self.lost(fault),
        }
    }

    fn place_table(&mut self, built: mlua::Result<Table>) -> Option<Table> {
        match built {
            Ok(table) => {
                self.place(Value::Table(table.clone()));
                Some(table)
            }
            Err(fault) => {
                self.lost(fault);
                None
            }
        }
    }

    fn place(&mut self, value: Value) {
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(value);
            return;
        };
        frame.done += 1;
        frame.left -= 1;
        let set = match frame.shape {
            Shape::List => frame.table.raw_set(frame.done, value),
            Shape::Map => match frame.key.take() {
                None => {
                    frame.key = Some(value);
                    Ok(())
                }
                Some(key) if is_key(&key) => frame.table.raw_set(key, value),
                Some(_) => Ok(()),
            },
            Shape::Set if is_key(&value) => frame.table.raw_set(value, true),
            Shape::Set => Ok(()),
        };
        if frame.left == 0 {
            self.open.pop();
        }
        self.note(set);
    }

    fn lost(&mut self, fault: mlua::Error) {
        self.note(Err(fault));
        self.place(Value::Nil);
    }

    fn note(&mut self, result: mlua::Result<()>) {
        if let Err(fault) = result
            && self.fault.is_none()
        {
            self.fault = Some(fault);
        }
    }
}

/// Lua refuses nil and NaN as keys.
fn is_key(value: &Value) -> bool {
    match value {
        Value::Nil => false,
        Value::Number(n) => !n.is_nan(),
        _ => true,
    }
}
