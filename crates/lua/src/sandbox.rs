//! An interpreter that scripts cannot leave, and the parts of its library that are ours.

use mlua::chunk::ChunkMode;
use mlua::{Either, Function, Lua, LuaOptions, LuaString, MultiValue, StdLib, Table, Value};

use crate::api;
use crate::current::{self, Fault};
use crate::error::{Raised, Stop};
use crate::limit::KillSwitch;
use crate::number;
use crate::options::Options;
use crate::random::Random;

/// The name of our own Lua code, whose frames are not the script's.
const PRELUDE: &str = "=redis_prelude";

/// A new interpreter and what a run needs of it.
pub(crate) struct Sandbox {
    pub(crate) lua: Lua,
    xpcall: Function,
    handler: Function,
    /// Behind the globals: only here can they change.
    globals: Table,
}

impl Sandbox {
    /// Puts the arguments where the next script finds them.
    pub(crate) fn set_arguments(&self, keys: Table, argv: Table) -> mlua::Result<()> {
        self.globals.raw_set("KEYS", keys)?;
        self.globals.raw_set("ARGV", argv)
    }

    /// Runs `script` to its result; `false` with what is left of an error that [`handler`] saw. Called from here
    /// and not from Lua, the script is the outermost function there is, as in Redis.
    pub(crate) fn run(&self, script: &Function) -> mlua::Result<(bool, Value)> {
        self.xpcall.call((script, &self.handler))
    }
}

/// Builds one.
pub(crate) fn build(options: &Options, switch: &KillSwitch) -> mlua::Result<Sandbox> {
    // Lua's own pcall and xpcall, whose handler sees the stack as it was. A panic of ours that a script catches
    // travels as an error value, and goes on as a panic when the prelude hands that value back to Rust.
    let lua = Lua::new_with(
        StdLib::TABLE | StdLib::STRING | StdLib::MATH,
        LuaOptions::new().catch_rust_panics(true),
    )?;
    let host = lua.create_table()?;
    host.raw_set("redis", api::build(&lua, options)?)?;
    host.raw_set("valkey", options.valkey)?;
    host.raw_set("to_table", lua.create_function(to_table)?)?;
    host.raw_set("is_stop", lua.create_function(|_, value: Value| Ok(stop_of(&value).is_some()))?)?;
    host.raw_set("loadstring", lua.create_function(loadstring)?)?;
    let (max_string, max_source) = (options.max_string, options.max_string);
    host.raw_set("rep", lua.create_function(move |lua, args: MultiValue| rep(lua, args, max_string))?)?;
    host.raw_set("load", lua.create_function(move |lua, args: MultiValue| load(lua, args, max_source))?)?;
    host.raw_set("random", lua.create_function(random)?)?;
    host.raw_set("randomseed", lua.create_function(randomseed)?)?;

    let prelude = lua.load(include_str!("prelude.lua")).set_name(PRELUDE).set_mode(ChunkMode::Text);
    let raw = lua.globals();
    let (proxy, globals): (Table, Table) = prelude.call((&raw, host))?;
    lua.set_globals(proxy)?;
    switch.install(&lua, options.time_limit.as_ref().map(|(_, clock)| clock.clone()))?;
    let (xpcall, handler) = (raw.raw_get("xpcall")?, lua.create_function(handler)?);
    Ok(Sandbox { lua, xpcall, handler, globals })
}

/// Compiles text. Bytecode is refused with the message that the text parser has for its first byte.
pub(crate) fn compile(lua: &Lua, source: &[u8], name: &str) -> mlua::Result<Function> {
    let mut guarded = Vec::new();
    let text = if source.first() == Some(&0x1b) {
        guarded.push(b' ');
        guarded.extend_from_slice(source);
        &guarded
    } else {
        source
    };
    lua.load(text).set_name(name).set_mode(ChunkMode::Text).into_function()
}

/// The parser's message.
pub(crate) fn syntax_message(error: &mlua::Error) -> String {
    match error {
        mlua::Error::SyntaxError { message, .. } => message.clone(),
        other => other.to_string(),
    }
}

fn stop_of(value: &Value) -> Option<Stop> {
    match value {
        Value::Error(error) => match Raised::of(error) {
            Some(Raised::Stop(stop)) => Some(*stop),
            _ => None,
        },
        _ => None,
    }
}

/// What a script sees when it catches an error of ours.
fn to_table(lua: &Lua, value: Value) -> mlua::Result<Value> {
    let Value::Error(error) = &value else { return Ok(value) };
    match Raised::of(error) {
        Some(Raised::Stop(stop)) => Err(mlua::Error::external(Raised::Stop(*stop))),
        Some(Raised::Line(line)) => api::error_table(lua, line).map(Value::Table),
        Some(Raised::Text(text)) => lua.create_string(text).map(Value::String),
        None => lua.create_string(error.to_string()).map(Value::String),
    }
}

/// Runs where an uncaught error was raised, while its frames are still there.
fn handler(lua: &Lua, value: Value) -> mlua::Result<()> {
    let message = match &value {
        Value::Error(error) => match Raised::of(error) {
            Some(Raised::Stop(stop)) => {
                let stop = *stop;
                return current::with(|now| {
                    now.run.fault = Some(Fault::Stopped(stop));
                    Ok(())
                });
            }
            Some(Raised::Line(line)) => line.clone(),
            Some(Raised::Text(text)) => with_err(text),
            None => with_err(error.to_string().as_bytes()),
        },
        Value::Table(table) => match table.get::<Value>("err") {
            Ok(Value::String(line)) => line.as_bytes().to_vec(),
            // A server of 7.0.15 dies of this.
            _ => b"ERR unknown error".to_vec(),
        },
        other => match lua.coerce_string(other.clone())? {
            Some(text) => with_err(&text.as_bytes()),
            None => with_err(other.to_string().unwrap_or_default().as_bytes()),
        },
    };
    let place = place(lua);
    current::with(|now| {
        now.run.fault = Some(Fault::Message(message, place));
        Ok(())
    })
}

fn with_err(text: &[u8]) -> Vec<u8> {
    [b"ERR ", text].concat()
}

/// Source and line of the function that raised an error, or of its caller if it is not written in Lua.
fn place(lua: &Lua) -> Option<(String, i64)> {
    let mut skipped_native = false;
    let mut level = 1;
    loop {
        let frame = lua.inspect_stack(level, |frame| {
            let source = frame.source();
            let name = source.source.map(|name| name.into_owned()).unwrap_or_default();
            let line = frame.current_line().and_then(|line| i64::try_from(line).ok()).unwrap_or(-1);
            (name, source.what == "C", line)
        })?;
        let (name, native, line) = frame;
        if name != PRELUDE {
            if !native || skipped_native {
                return Some((name, line));
            }
            skipped_native = true;
        }
        level += 1;
    }
}

/// An error with the place of the calling script in front, as luaL_error makes.
fn complain(lua: &Lua, text: &str) -> mlua::Error {
    let place = caller(lua);
    mlua::Error::external(Raised::Text(format!("{place}{text}").into_bytes()))
}

/// `name:line: ` of the function that called ours; nothing if it is not written in Lua.
fn caller(lua: &Lua) -> String {
    let place = lua.inspect_stack(1, |frame| {
        let line = frame.current_line()?;
        let name = frame.source().short_src?.into_owned();
        Some(format!("{name}:{line}: "))
    });
    place.flatten().unwrap_or_default()
}

fn bad_argument(lua: &Lua, position: usize, name: &str, expected: &str, args: &MultiValue) -> mlua::Error {
    let method = lua.inspect_stack(0, |frame| frame.names().name_what == Some("method")).unwrap_or(false);
    let got = args.get(position - 1).map_or("no value", Value::type_name);
    let got = if got == "integer" { "number" } else { got };
    // The object before the colon does not count.
    let position = if method { position - 1 } else { position };
    if position == 0 {
        return complain(lua, &format!("calling '{name}' on bad self ({expected} expected, got {got})"));
    }
    complain(lua, &format!("bad argument #{position} to '{name}' ({expected} expected, got {got})"))
}

fn loadstring(lua: &Lua, args: MultiValue) -> mlua::Result<MultiValue> {
    let source = match args.front() {
        Some(value @ (Value::String(_) | Value::Integer(_) | Value::Number(_))) => {
            lua.coerce_string(value.clone())?
        }
        _ => None,
    };
    let Some(source) = source else { return Err(bad_argument(lua, 1, "loadstring", "string", &args)) };
    let bytes = source.as_bytes();
    let name = match args.get(1) {
        Some(Value::String(name)) => name.to_string_lossy(),
        _ => String::from_utf8_lossy(&bytes).into_owned(),
    };
    compiled(lua, &bytes, &name)
}

fn load(lua: &Lua, args: MultiValue, max_source: usize) -> mlua::Result<MultiValue> {
    let Some(Value::Function(pieces)) = args.front() else {
        return Err(bad_argument(lua, 1, "load", "function", &args));
    };
    let name = match args.get(1) {
        Some(Value::String(name)) => name.to_string_lossy(),
        _ => "=(load)".to_owned(),
    };
    let mut source = Vec::new();
    loop {
        let piece: Value = match pieces.call(()) {
            Ok(piece) => piece,
            Err(error) => match Raised::of(&error) {
                Some(Raised::Stop(stop)) => return Err(mlua::Error::external(Raised::Stop(*stop))),
                _ => return refused(lua, plain_message(&error).as_bytes()),
            },
        };
        match lua.coerce_string(piece.clone())? {
            _ if piece.is_nil() => break,
            None => {
                let place = caller(lua);
                return refused(lua, format!("{place}reader function must return a string").as_bytes());
            }
            Some(text) if text.as_bytes().is_empty() => break,
            Some(text) => source.extend_from_slice(&text.as_bytes()),
        }
        if source.len() > max_source {
            return refused(lua, b"chunk too large");
        }
    }
    compiled(lua, &source, &name)
}

/// The message without mlua's traceback.
fn plain_message(error: &mlua::Error) -> String {
    let text = match error {
        mlua::Error::RuntimeError(text) => text.clone(),
        mlua::Error::CallbackError { cause, .. } => cause.to_string(),
        other => other.to_string(),
    };
    text.split("\nstack traceback:").next().unwrap_or_default().to_owned()
}

fn compiled(lua: &Lua, source: &[u8], name: &str) -> mlua::Result<MultiValue> {
    // The name passes through C; what follows a NUL would be an error there.
    let name = name.split('\0').next().unwrap_or_default();
    match compile(lua, source, name) {
        Ok(function) => Ok(MultiValue::from_iter([Value::Function(function)])),
        Err(error) => refused(lua, syntax_message(&error).as_bytes()),
    }
}

fn refused(lua: &Lua, message: &[u8]) -> mlua::Result<MultiValue> {
    Ok(MultiValue::from_iter([Value::Nil, Value::String(lua.create_string(message)?)]))
}

/// `string.rep` with a bound; C's has none but memory, and takes its time for an empty string.
fn rep(lua: &Lua, args: MultiValue, max_string: usize) -> mlua::Result<LuaString> {
    let text = match args.front() {
        Some(value @ (Value::String(_) | Value::Integer(_) | Value::Number(_))) => {
            lua.coerce_string(value.clone())?
        }
        _ => None,
    };
    let Some(text) = text else { return Err(bad_argument(lua, 1, "rep", "string", &args)) };
    let times = match args.get(1) {
        Some(value) => lua.coerce_number(value.clone())?,
        None => None,
    };
    let Some(times) = times else { return Err(bad_argument(lua, 2, "rep", "number", &args)) };
    let bytes = text.as_bytes();
    let times = usize::try_from(number::truncate(times)).unwrap_or(0);
    match bytes.len().checked_mul(times) {
        Some(len) if len <= max_string => lua.create_string(bytes.repeat(times)),
        _ => Err(complain(lua, "resulting string too large")),
    }
}

fn random(lua: &Lua, args: MultiValue) -> mlua::Result<f64> {
    let bound = |index: usize| match args.get(index).map(|value| lua.coerce_number(value.clone())) {
        Some(Ok(Some(n))) => Ok(n.trunc()),
        _ => Err(bad_argument(lua, index + 1, "random", "number", &args)),
    };
    let (low, high) = match args.len() {
        0 => return current::with(|now| Ok(now.run.random.next_unit())),
        1 => (1.0, bound(0)?),
        2 => (bound(0)?, bound(1)?),
        _ => return Err(complain(lua, "wrong number of arguments")),
    };
    if low > high {
        let text = format!("bad argument #{} to 'random' (interval is empty)", args.len());
        return Err(complain(lua, &text));
    }
    current::with(|now| Ok((now.run.random.next_unit() * (high - low + 1.0)).floor() + low))
}

fn randomseed(lua: &Lua, args: MultiValue) -> mlua::Result<()> {
    let seed = match args.front() {
        Some(value) => lua.coerce_number(value.clone())?,
        None => None,
    };
    let Some(seed) = seed else { return Err(bad_argument(lua, 1, "randomseed", "number", &args)) };
    current::with(|now| {
        now.run.random = Random::seeded(seed as i32);
        Ok(())
    })
}

/// For one key or argument: text goes onto Lua's stack at once, other bytes through a handle.
pub(crate) fn argument(bytes: &[u8]) -> Either<&str, Bytes<'_>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Either::Left(text),
        Err(_) => Either::Right(Bytes(bytes)),
    }
}

/// Bytes that become a Lua string.
pub(crate) struct Bytes<'a>(&'a [u8]);

impl mlua::IntoLua for Bytes<'_> {
    fn into_lua(self, lua: &Lua) -> mlua::Result<Value> {
        lua.create_string(self.0).map(Value::String)
    }
}

/// The text of an error that reached the runner without the handler, such as one about memory.
pub(crate) fn bare_text(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => with_err(&LuaString::as_bytes(text)),
        Value::Error(error) => with_err(plain_message(error).as_bytes()),
        _ => b"ERR error in error handling".to_vec(),
    }
}
