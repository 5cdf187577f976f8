//! A function's view of Lua's stack.

use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_int};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::slice;

use mlua::ffi;

use super::state::{Ground, Kept, enter, pcall, stop_mark, xpcall};
use super::{Body, Memory, lua};
use crate::error::Stop;
use crate::host::Host;
use crate::number;

/// What to raise in Lua.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Raise {
    /// A text with the place of the caller in front, as Lua's own functions raise.
    Text(Vec<u8>),
    /// A text as it is.
    Bare(Vec<u8>),
    /// An error reply: a table with the line in the field `err`.
    Line(Vec<u8>),
    /// A text that whoever runs the code passes on as it is.
    Whole(Vec<u8>),
    /// The script is stopped, and nothing catches it.
    Stop,
}

impl Raise {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into().into_bytes())
    }

    pub(crate) fn line(line: &str) -> Self {
        Self::Line(line.as_bytes().to_vec())
    }

    pub(crate) fn memory() -> Self {
        Self::Bare(b"not enough memory".to_vec())
    }
}

/// The types of Lua's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Beyond the arguments.
    None,
    Nil,
    Boolean,
    /// A bare address, such as `cjson.null`.
    Light,
    Number,
    String,
    Table,
    Function,
    Userdata,
    Thread,
}

impl Kind {
    /// As Lua's messages call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "no value",
            Self::Nil => "nil",
            Self::Boolean => "boolean",
            Self::Light | Self::Userdata => "userdata",
            Self::Number => "number",
            Self::String => "string",
            Self::Table => "table",
            Self::Function => "function",
            Self::Thread => "thread",
        }
    }
}

/// Where a function on the call stack stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The chunk's name with its mark (`@user_script`).
    pub(crate) source: String,
    /// As messages show it.
    pub(crate) short: String,
    /// -1 where there are no lines.
    pub(crate) line: i64,
    /// Whether it is not written in Lua.
    pub(crate) native: bool,
    /// What its caller calls it, if that is known.
    pub(crate) name: Option<String>,
    /// Whether it was called with a colon.
    pub(crate) method: bool,
}

/// Lua's stack, as a function of ours sees it. Indexes count from 1, or from the top as -1. The first `args` values
/// stay until the function returns, so what is borrowed from them outlives other borrows.
pub(crate) struct Frame<'l> {
    state: *mut ffi::lua_State,
    ground: &'l Ground,
    args: c_int,
    lua: PhantomData<&'l mut ffi::lua_State>,
}

impl<'l> Frame<'l> {
    pub(super) fn new(
        state: *mut ffi::lua_State,
        ground: &'l Ground,
        args: c_int,
        lua: PhantomData<&'l mut ffi::lua_State>,
    ) -> Self {
        Self { state, ground, args, lua }
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.ground.memory
    }

    pub(crate) fn host(&self) -> &'l Host {
        &self.ground.host
    }

    /// The same stack, for somebody who lets go of it first.
    #[allow(clippy::needless_pass_by_ref_mut, reason = "the other frame changes the stack")]
    pub(crate) fn reborrow(&mut self) -> Frame<'_> {
        Frame { state: self.state, ground: self.ground, args: self.args, lua: PhantomData }
    }

    /// After a piece of work that was to bring `pending` bytes into Lua: whether there is memory for them, and time.
    #[inline]
    pub(crate) fn check_work(&self, pending: usize) -> Result<(), Raise> {
        if self.ground.memory.would_exceed(pending) {
            return Err(Raise::memory());
        }
        if let Some(stop) = self.ground.host.verdict_after_work() {
            self.ground.stopped.set(Some(stop));
            return Err(Raise::Stop);
        }
        Ok(())
    }

    /// The script ends when what runs now has raised [`Raise::Stop`].
    pub(crate) fn stop(&self, why: Stop) {
        self.ground.stopped.set(Some(why));
    }

    /// Whether the script has to end, asked at once.
    pub(crate) fn check_now(&self) -> Result<(), Raise> {
        match self.ground.host.verdict() {
            None => Ok(()),
            Some(stop) => {
                self.ground.stopped.set(Some(stop));
                Err(Raise::Stop)
            }
        }
    }

    /// How many arguments there are.
    pub(crate) fn args(&self) -> usize {
        self.args as usize
    }

    /// The index of the top.
    pub(crate) fn top(&self) -> i32 {
        lua!(lua_gettop(self.state))
    }

    /// Makes room for `n` more values.
    pub(crate) fn reserve(&self, n: usize) -> Result<(), Raise> {
        let n = c_int::try_from(n).unwrap_or(c_int::MAX);
        if lua!(lua_checkstack(self.state, n)) == 0 {
            return Err(Raise::text("stack overflow"));
        }
        Ok(())
    }

    /// Room for one more; the caller has asked with [`Frame::reserve`] unless the twenty that Lua grants suffice.
    #[inline]
    fn room(&self) {
        debug_assert!(self.top() < i32::MAX);
    }

    /// An error if more memory is held than scripts may hold.
    #[inline]
    pub(crate) fn check_memory(&self) -> Result<(), Raise> {
        if self.ground.memory.is_over() { Err(Raise::memory()) } else { Ok(()) }
    }

    // ---- looking

    #[inline]
    pub(crate) fn kind(&self, index: i32) -> Kind {
        match lua!(lua_type(self.state, index)) {
            ffi::LUA_TNIL => Kind::Nil,
            ffi::LUA_TBOOLEAN => Kind::Boolean,
            ffi::LUA_TLIGHTUSERDATA => Kind::Light,
            ffi::LUA_TNUMBER => Kind::Number,
            ffi::LUA_TSTRING => Kind::String,
            ffi::LUA_TTABLE => Kind::Table,
            ffi::LUA_TFUNCTION => Kind::Function,
            ffi::LUA_TUSERDATA => Kind::Userdata,
            ffi::LUA_TTHREAD => Kind::Thread,
            _ => Kind::None,
        }
    }

    /// The number at `index`, if it is one.
    #[inline]
    pub(crate) fn number(&self, index: i32) -> Option<f64> {
        (self.kind(index) == Kind::Number).then(|| lua!(lua_tonumber(self.state, index)))
    }

    /// The number at `index`, or the one that its text spells.
    pub(crate) fn to_number(&self, index: i32) -> Option<f64> {
        (lua!(lua_isnumber(self.state, index)) != 0).then(|| lua!(lua_tonumber(self.state, index)))
    }

    pub(crate) fn truth(&self, index: i32) -> bool {
        lua!(lua_toboolean(self.state, index)) != 0
    }

    pub(crate) fn is_null(&self, index: i32) -> bool {
        self.kind(index) == Kind::Light && lua!(lua_touserdata(self.state, index)).is_null()
    }

    /// The bytes of the string at `index`, if it is one.
    #[inline]
    pub(crate) fn text(&self, index: i32) -> Option<&[u8]> {
        self.bytes(index)
    }

    /// The bytes of an argument, if it is a string.
    #[inline]
    pub(crate) fn arg(&self, index: usize) -> Option<&'l [u8]> {
        // The arguments stay, and Lua does not move strings.
        if index == 0 || index > self.args() { None } else { self.bytes(index as i32) }
    }

    /// An argument that is a string, or a number in Lua's own spelling.
    pub(crate) fn arg_or_number(&self, index: usize) -> Option<Cow<'l, [u8]>> {
        if let Some(text) = self.arg(index) {
            return Some(Cow::Borrowed(text));
        }
        if index == 0 || index > self.args() {
            return None;
        }
        self.number(index as i32).map(|n| Cow::Owned(number::g14(n)))
    }

    /// The value at `index` as text, if it is a string or a number.
    pub(crate) fn to_text(&self, index: i32) -> Option<Cow<'_, [u8]>> {
        match self.text(index) {
            Some(text) => Some(Cow::Borrowed(text)),
            None => self.number(index).map(|n| Cow::Owned(number::g14(n))),
        }
    }

    #[inline]
    fn bytes<'a>(&self, index: i32) -> Option<&'a [u8]> {
        // A number would be changed in place.
        if self.kind(index) != Kind::String {
            return None;
        }
        let mut len = 0;
        let start = lua!(lua_tolstring(self.state, index, &mut len));
        // SAFETY: a string of Lua's: `len` bytes that neither move nor change while they are on the stack, and the
        // callers tie the borrow to that.
        Some(unsafe { slice::from_raw_parts(start.cast::<u8>(), len) })
    }

    // ---- pushing

    pub(crate) fn push_nil(&self) {
        self.room();
        lua!(lua_pushnil(self.state));
    }

    pub(crate) fn push_bool(&self, b: bool) {
        self.room();
        lua!(lua_pushboolean(self.state, c_int::from(b)));
    }

    #[inline]
    pub(crate) fn push_number(&self, n: f64) {
        self.room();
        lua!(lua_pushnumber(self.state, n));
    }

    #[inline]
    pub(crate) fn push_bytes(&self, bytes: &[u8]) {
        self.room();
        lua!(lua_pushlstring_(self.state, bytes.as_ptr().cast(), bytes.len()));
    }

    /// `cjson.null`
    pub(crate) fn push_null(&self) {
        self.room();
        lua!(lua_pushlightuserdata(self.state, std::ptr::null_mut()));
    }

    pub(crate) fn push_stop(&self) {
        self.room();
        lua!(lua_pushlightuserdata(self.state, stop_mark()));
    }

    pub(crate) fn push_copy(&self, index: i32) {
        self.room();
        lua!(lua_pushvalue(self.state, index));
    }

    /// A new table with room for a list of `list` and `fields` others; more than a few are not taken at their word.
    #[inline]
    pub(crate) fn push_table(&self, list: usize, fields: usize) {
        const PRESIZED: usize = 4096;
        self.room();
        lua!(lua_createtable(self.state, list.min(PRESIZED) as c_int, fields.min(PRESIZED) as c_int));
    }

    pub(crate) fn push_function(&self, body: Body) {
        self.push_closure(body, 0);
    }

    /// A function with the `upvalues` values on top as its own; they go.
    pub(crate) fn push_closure(&self, body: Body, upvalues: usize) {
        self.room();
        lua!(lua_pushlightuserdata(self.state, body as *mut _));
        lua!(lua_insert(self.state, -1 - upvalues as c_int));
        lua!(lua_pushcclosure(self.state, enter, upvalues as c_int + 1));
    }

    /// Pushes the value that [`Frame::push_closure`] gave to the running function.
    pub(crate) fn push_upvalue(&self, n: usize) {
        self.room();
        lua!(lua_pushvalue(self.state, ffi::lua_upvalueindex(n as c_int + 1)));
    }

    pub(crate) fn push_globals(&self) {
        self.room();
        lua!(lua_pushvalue(self.state, ffi::LUA_GLOBALSINDEX));
    }

    /// The table on top becomes what scripts see as their globals.
    pub(crate) fn set_globals(&mut self) {
        lua!(lua_replace(self.state, ffi::LUA_GLOBALSINDEX));
    }

    /// Compiles text and pushes the function, or the message. Bytecode is refused with the message that the text
    /// parser has for its first byte.
    pub(crate) fn compile(&self, source: &[u8], name: &[u8]) -> Result<(), ()> {
        let mut guarded = Vec::new();
        let text = if source.first() == Some(&0x1b) {
            guarded.push(b' ');
            guarded.extend_from_slice(source);
            &guarded
        } else {
            source
        };
        let mut name = name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        name.push(0);
        self.room();
        let (start, len) = (text.as_ptr().cast::<c_char>(), text.len());
        let status = lua!(luaL_loadbuffer(self.state, start, len, name.as_ptr().cast()));
        if status == 0 { Ok(()) } else { Err(()) }
    }

    // ---- taking away, and tables

    /// Removes the topmost `n`, but no argument.
    pub(crate) fn pop(&mut self, n: usize) {
        let top = (self.top() - n as c_int).max(self.args);
        lua!(lua_settop(self.state, top));
    }

    /// Removes all above `top`, but no argument.
    pub(crate) fn cut(&mut self, top: i32) {
        if top < self.top() {
            lua!(lua_settop(self.state, top.max(self.args)));
        }
    }

    /// Moves the value on top to `index`, which is not an argument's.
    pub(crate) fn insert(&mut self, index: i32) {
        if index > self.args || index < 0 {
            lua!(lua_insert(self.state, index));
        }
    }

    /// Pushes `table[n]`.
    #[inline]
    pub(crate) fn get_index(&self, table: i32, n: usize) {
        self.get_at(table, c_int::try_from(n).unwrap_or(c_int::MAX));
    }

    /// Pushes `table[n]`.
    #[inline]
    pub(crate) fn get_at(&self, table: i32, n: i32) {
        self.room();
        lua!(lua_rawgeti_(self.state, table, n));
    }

    /// How long the table at `index` is.
    pub(crate) fn len(&self, index: i32) -> usize {
        lua!(lua_objlen(self.state, index))
    }

    /// Pushes `table[name]`.
    pub(crate) fn get_field(&self, table: i32, name: &str) {
        let table = self.absolute(table);
        self.push_bytes(name.as_bytes());
        lua!(lua_rawget_(self.state, table));
    }

    /// Replaces the key on top by nothing, and answers what `table` has for it: its kind (`false` counts as nil),
    /// and its text in `text`.
    pub(crate) fn take_looked_up(&self, table: i32, text: &mut Vec<u8>) -> Kind {
        lua!(lua_rawget_(self.state, table));
        let kind = match self.kind(-1) {
            Kind::Boolean if !self.truth(-1) => Kind::Nil,
            kind => kind,
        };
        if let Some(found) = self.to_text(-1) {
            text.extend_from_slice(&found);
        }
        // What was pushed before stays: only the value goes.
        lua!(lua_settop(self.state, -2));
        kind
    }

    /// `table[n] = top`, which goes.
    #[inline]
    pub(crate) fn set_index(&mut self, table: i32, n: usize) {
        let n = c_int::try_from(n).unwrap_or(c_int::MAX);
        lua!(lua_rawseti_(self.state, table, n));
    }

    /// `table[name] = top`, which goes.
    pub(crate) fn set_field(&mut self, table: i32, name: &[u8]) {
        let table = self.absolute(table);
        self.push_bytes(name);
        lua!(lua_insert(self.state, -2));
        lua!(lua_rawset(self.state, table));
    }

    /// `table[key] = top` with the key below; both go. A key that Lua refuses is dropped with its value.
    pub(crate) fn set_pair(&mut self, table: i32) {
        let good = match self.kind(-2) {
            Kind::Nil | Kind::None => false,
            Kind::Number => !lua!(lua_tonumber(self.state, -2)).is_nan(),
            _ => true,
        };
        if good {
            lua!(lua_rawset(self.state, table));
        } else {
            self.pop(2);
        }
    }

    /// Shows each key (at -2) and value (at -1) of the table at `table`. `f` may push; what it pushed goes.
    pub(crate) fn walk<E: From<Raise>>(
        &mut self,
        table: i32,
        mut f: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let table = self.absolute(table);
        self.reserve(3)?;
        let base = self.top();
        self.push_nil();
        while lua!(lua_next(self.state, table)) != 0 {
            let shown = f(self);
            if let Err(error) = shown {
                self.cut(base);
                return Err(error);
            }
            self.cut(base + 1);
        }
        Ok(())
    }

    /// The same place counted from below.
    pub(crate) fn absolute(&self, index: i32) -> i32 {
        if index < 0 && index > ffi::LUA_REGISTRYINDEX { self.top() + index + 1 } else { index }
    }

    // ---- errors

    /// Where the function `level` calls up stands; 0 is the running one.
    pub(crate) fn place(&self, level: i32) -> Option<Place> {
        let mut record = MaybeUninit::<ffi::lua_Debug>::zeroed();
        if lua!(lua_getstack(self.state, level, record.as_mut_ptr())) == 0 {
            return None;
        }
        lua!(lua_getinfo(self.state, c"Sln".as_ptr(), record.as_mut_ptr()));
        // SAFETY: every field is a number, an array of numbers or a pointer, for which zero is a value.
        let record = unsafe { record.assume_init() };
        let (source, what) = (c_text(record.source), c_text(record.what));
        let short: Vec<u8> =
            record.short_src.iter().take_while(|c| **c != 0).map(|c| c.cast_unsigned()).collect();
        Some(Place {
            short: String::from_utf8_lossy(&short).into_owned(),
            line: i64::from(record.currentline),
            native: what == "C",
            name: (!record.name.is_null()).then(|| c_text(record.name)),
            method: c_text(record.namewhat) == "method",
            source,
        })
    }

    pub(super) fn push_raised(&mut self, raise: Raise) {
        // The stack may be full; nothing above the arguments is needed any more.
        self.cut(self.args);
        match raise {
            Raise::Text(text) => {
                let place = self.place(self.called() + 1).filter(|place| place.line > 0);
                let mut whole =
                    place.map_or_else(Vec::new, |p| format!("{}:{}: ", p.short, p.line).into_bytes());
                whole.extend_from_slice(&text);
                self.push_bytes(&whole);
            }
            Raise::Bare(text) => self.push_bytes(&text),
            Raise::Whole(text) => {
                self.push_bytes(&text);
                self.host().whole.replace(Some(text));
            }
            Raise::Line(line) => self.push_error(&line),
            Raise::Stop => self.push_stop(),
        }
    }

    /// What scripts see of an error reply.
    pub(crate) fn push_error(&mut self, line: &[u8]) {
        self.push_table(0, 2);
        self.push_bytes(line);
        self.set_field(-2, b"err");
    }

    /// Where the function stands that the script called: ours, or the prelude's function around it.
    fn called(&self) -> i32 {
        i32::from(self.place(1).is_some_and(|place| place.source == crate::sandbox::PRELUDE))
    }

    /// Puts `pcall` and `xpcall` into the table on top.
    pub(crate) fn set_protected_calls(&mut self) {
        for (name, call) in [(&b"pcall"[..], pcall as ffi::lua_CFunction), (b"xpcall", xpcall)] {
            lua!(lua_pushcclosure(self.state, call, 0));
            self.set_field(-2, name);
        }
    }

    /// As luaL_argerror words it; `name` where the call does not tell one.
    pub(crate) fn bad_argument(&self, position: usize, name: &str, detail: &str) -> Raise {
        let level = self.called();
        let place = self.place(level);
        let method = place.as_ref().is_some_and(|place| place.method);
        let name = match place.and_then(|place| place.name) {
            Some(called) if level == 0 => called,
            _ if level == 0 => "?".to_owned(),
            _ => name.to_owned(),
        };
        // The object before the colon does not count.
        if method && position == 1 {
            return Raise::text(format!("calling '{name}' on bad self ({detail})"));
        }
        let position = if method { position.saturating_sub(1) } else { position };
        Raise::text(format!("bad argument #{position} to '{name}' ({detail})"))
    }

    /// As luaL_typerror words it.
    pub(crate) fn wrong_type(&self, position: usize, name: &str, expected: &str) -> Raise {
        let got = if position > self.args() { Kind::None } else { self.kind(position as i32) };
        self.bad_argument(position, name, &format!("{expected} expected, got {}", got.name()))
    }

    /// The argument as text, or what Lua's functions say.
    pub(crate) fn want_text(&self, position: usize, name: &str) -> Result<Cow<'l, [u8]>, Raise> {
        self.arg_or_number(position).ok_or_else(|| self.wrong_type(position, name, "string"))
    }

    /// The argument as a number, or what Lua's functions say.
    pub(crate) fn want_number(&self, position: usize, name: &str) -> Result<f64, Raise> {
        let number = if position > self.args() { None } else { self.to_number(position as i32) };
        number.ok_or_else(|| self.wrong_type(position, name, "number"))
    }

    /// Keeps the value on top of the stack, which goes.
    pub(crate) fn keep(&mut self) -> Kept {
        Kept(lua!(luaL_ref(self.state, ffi::LUA_REGISTRYINDEX)))
    }

    /// Puts functions into the table on top.
    pub(crate) fn set_functions(&mut self, functions: &[(&str, Body)]) {
        for (name, body) in functions {
            self.push_function(*body);
            self.set_field(-2, name.as_bytes());
        }
    }
}

fn c_text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: Lua's debug interface gives texts that end in NUL and live as long as their function, which runs.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
