//! A command's reply, written directly as Lua values.

use std::fmt;
use std::fmt::Display;
use std::io::Write as _;

use crate::error::Stop;
use crate::flavour::Refusal;
use crate::number;
use crate::raw::{Frame, Raise};

/// Receives one reply for `redis.call` and turns it into the Lua value that Redis would give the script.
///
/// The order of calls is the wire's: a scalar, or the header of an aggregate followed by as many replies as it
/// announces (a map: twice as many). Everything lands in its Lua table at once; there is no tree between.
/// Running out of memory is remembered and raised in the script after the reply.
pub struct ReplyBuilder<'lua> {
    frame: Frame<'lua>,
    resp3: bool,
    /// The aggregates that still miss elements, outermost first.
    open: Vec<Open>,
    fault: Option<Raise>,
    failed: bool,
}

/// An aggregate that still misses elements; its table is on Lua's stack.
#[derive(Debug)]
struct Open {
    table: i32,
    shape: Shape,
    done: usize,
    left: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    List,
    /// Inside a table that has it in the field `map`.
    Map,
    /// Inside a table that has it in the field `set`.
    Set,
}

impl fmt::Debug for ReplyBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyBuilder")
            .field("resp3", &self.resp3)
            .field("open", &self.open)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl<'lua> ReplyBuilder<'lua> {
    /// The value ends up on top of the stack of `frame`.
    pub(crate) fn new(frame: Frame<'lua>, resp3: bool) -> Self {
        Self { frame, resp3, open: Vec::new(), fault: None, failed: false }
    }

    /// Whether the script asked for RESP3 with `redis.setresp(3)`; some commands nest differently there.
    pub fn is_resp3(&self) -> bool {
        self.resp3
    }

    /// Nothing, in any of the wire's forms: `false` in RESP2, `nil` in RESP3.
    pub fn null(&mut self) {
        if self.resp3 {
            self.frame.push_nil();
        } else {
            self.frame.push_bool(false);
        }
        self.place();
    }

    /// A status such as `OK`: a table with the field `ok`.
    pub fn simple(&mut self, status: &[u8]) {
        self.single(b"ok", status);
        self.place();
    }

    /// An error line without the leading dash, code first (`WRONGTYPE Operation ...`).
    pub fn error(&mut self, line: &[u8]) {
        self.single(b"err", line);
        if self.open.is_empty() {
            self.failed = true;
            self.frame.push_bool(true);
            self.frame.set_field(-2, b"ignore_error_stats_update");
        }
        self.place();
    }

    /// Ends the run, whatever the script catches, with [`Error::GivenUp`](crate::Error::GivenUp): for hosts that find out
    /// by a command that the script is to be run in another way.
    pub fn give_up(&mut self) {
        self.frame.stop(Stop::GivenUp);
        self.fault = Some(Raise::Stop);
    }

    /// The error for a command that is not run.
    pub fn refuse(&mut self, why: Refusal) {
        self.error(self.frame.host().options.flavour.refusal(why).as_bytes());
    }

    /// As [`ReplyBuilder::error`], from anything that displays as the line.
    pub fn error_display(&mut self, line: &dyn Display) {
        let mut text = Vec::with_capacity(80);
        // Writing to a Vec cannot fail.
        let _ = write!(text, "{line}");
        self.error(&text);
    }

    /// A byte string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.frame.push_bytes(bytes);
        self.place();
    }

    /// An integer. Lua's numbers are doubles: beyond 2^53 it rounds, as in Redis.
    pub fn integer(&mut self, n: i64) {
        self.frame.push_number(n as f64);
        self.place();
    }

    /// A double: `{double=n}` in RESP3, text as the flavour prints numbers in RESP2.
    pub fn double(&mut self, n: f64) {
        if self.resp3 {
            return self.resp3_double(n);
        }
        let mut text = Vec::with_capacity(24);
        number::push_double(&mut text, n, self.frame.host().options.flavour.shortest_numbers);
        self.bulk(&text);
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
        if self.resp3 {
            self.frame.push_bool(b);
        } else {
            self.frame.push_number(f64::from(u8::from(b)));
        }
        self.place();
    }

    /// A number of any size in decimal.
    pub fn big_number(&mut self, digits: &[u8]) {
        if self.resp3 {
            self.single(b"big_number", digits);
            self.place();
        } else {
            self.bulk(digits);
        }
    }

    /// Text with its format of three letters; a byte string in RESP2.
    pub fn verbatim(&mut self, format: &[u8], text: &[u8]) {
        if !self.resp3 {
            return self.bulk(text);
        }
        self.frame.push_table(0, 1);
        self.frame.push_table(0, 2);
        self.frame.push_bytes(format);
        self.frame.set_field(-2, b"format");
        self.frame.push_bytes(text);
        self.frame.set_field(-2, b"string");
        self.frame.set_field(-2, b"verbatim_string");
        self.place();
    }

    /// The header of an array; `len` replies follow.
    pub fn array(&mut self, len: usize) {
        self.begin(Shape::List, len, len);
    }

    /// The header of a map; `len` pairs follow. A flat array in RESP2.
    pub fn map(&mut self, len: usize) {
        let count = len.saturating_mul(2);
        if self.resp3 {
            self.begin(Shape::Map, len, count);
        } else {
            self.begin(Shape::List, count, count);
        }
    }

    /// The header of a set; `len` replies follow. An array in RESP2.
    pub fn set(&mut self, len: usize) {
        let shape = if self.resp3 { Shape::Set } else { Shape::List };
        self.begin(shape, len, len);
    }

    /// Whether the whole reply, now on top of the stack, is an error.
    pub(crate) fn finish(self) -> Result<bool, Raise> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(self.failed),
        }
    }

    fn resp3_double(&mut self, n: f64) {
        self.frame.push_table(0, 1);
        self.frame.push_number(n);
        self.frame.set_field(-2, b"double");
        self.place();
    }

    /// Pushes a table with one field.
    fn single(&mut self, field: &[u8], bytes: &[u8]) {
        self.frame.push_table(0, 1);
        self.frame.push_bytes(bytes);
        self.frame.set_field(-2, field);
    }

    fn begin(&mut self, shape: Shape, hint: usize, count: usize) {
        // What is below, and the scalars to come, need room.
        if let Err(fault) = self.frame.reserve(12) {
            self.note(fault);
        }
        if self.fault.is_some() {
            // The elements are still to come and have to go somewhere: nowhere.
            self.frame.push_nil();
            return self.place();
        }
        match shape {
            Shape::List => self.frame.push_table(hint, 0),
            Shape::Map | Shape::Set => {
                self.frame.push_table(0, 1);
                self.frame.push_table(0, hint);
            }
        }
        let table = self.frame.top();
        self.open.push(Open { table, shape, done: 0, left: count });
        if count == 0 {
            self.close();
        }
    }

    /// The value on top is complete: it goes where it belongs.
    #[inline]
    fn place(&mut self) {
        if !self.open.is_empty() {
            self.place_inside();
        } else if self.fault.is_some() {
            self.frame.pop(1);
        }
    }

    fn place_inside(&mut self) {
        if let Err(fault) = self.frame.check_memory() {
            self.note(fault);
        }
        let Some(open) = self.open.last_mut() else { return };
        open.done += 1;
        open.left -= 1;
        if self.fault.is_some() {
            self.frame.pop(1);
            // A key whose value was lost stays below its table's end until the table goes.
        } else {
            match open.shape {
                Shape::List => self.frame.set_index(open.table, open.done),
                Shape::Map if open.done % 2 == 1 => {}
                Shape::Map => self.frame.set_pair(open.table),
                Shape::Set => {
                    self.frame.push_bool(true);
                    self.frame.set_pair(open.table);
                }
            }
        }
        if open.left == 0 {
            self.close();
        }
    }

    /// The innermost aggregate has its elements, and is one itself.
    fn close(&mut self) {
        let Some(open) = self.open.pop() else { return };
        self.frame.cut(open.table);
        match open.shape {
            Shape::List => {}
            Shape::Map => self.frame.set_field(-2, b"map"),
            Shape::Set => self.frame.set_field(-2, b"set"),
        }
        self.place();
    }

    fn note(&mut self, fault: Raise) {
        if self.fault.is_none() {
            self.fault = Some(fault);
        }
    }
}
