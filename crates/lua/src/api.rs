//! The table `redis`: what scripts may ask of the server.

use mlua::{BorrowedBytes, Lua, LuaString, MultiValue, Table, Value};

use crate::current;
use crate::error::Raised;
use crate::number;
use crate::options::{LogLevel, Options};
use crate::reply::ReplyBuilder;
use crate::script::Digest;

/// Builds the table.
pub(crate) fn build(lua: &Lua, options: &Options) -> mlua::Result<Table> {
    let redis = lua.create_table()?;
    constants(lua, &redis, options)?;
    let memory_limit = options.memory_limit;
    redis.raw_set(
        "call",
        lua.create_function(move |lua, args: MultiValue| {
            let (value, failed) = command(lua, args, memory_limit)?;
            if failed { Err(mlua::Error::external(Raised::Line(line_of(&value)))) } else { Ok(value) }
        })?,
    )?;
    redis.raw_set(
        "pcall",
        lua.create_function(move |lua, args: MultiValue| match command(lua, args, memory_limit) {
            Ok((value, _)) => Ok(value),
            Err(error) => match Raised::of(&error) {
                Some(Raised::Line(line)) => error_table(lua, line).map(Value::Table),
                _ => Err(error),
            },
        })?,
    )?;
    replies(lua, &redis)?;
    switches(lua, &redis)?;
    logging(lua, &redis, options)?;
    Ok(redis)
}

fn constants(lua: &Lua, redis: &Table, options: &Options) -> mlua::Result<()> {
    for (name, n) in [
        ("LOG_DEBUG", 0),
        ("LOG_VERBOSE", 1),
        ("LOG_NOTICE", 2),
        ("LOG_WARNING", 3),
        ("REPL_NONE", 0),
        ("REPL_AOF", 1),
        ("REPL_SLAVE", 2),
        ("REPL_REPLICA", 2),
        ("REPL_ALL", 3),
    ] {
        redis.raw_set(name, n)?;
    }
    let [major, minor, patch] = options.version;
    redis.raw_set("REDIS_VERSION", lua.create_string(format!("{major}.{minor}.{patch}"))?)?;
    let packed = i64::from(major) << 16 | i64::from(minor) << 8 | i64::from(patch);
    redis.raw_set("REDIS_VERSION_NUM", packed)
}

/// `redis.call` and `redis.pcall`: the value, and whether it is an error.
fn command(lua: &Lua, args: MultiValue, memory_limit: usize) -> mlua::Result<(Value, bool)> {
    if args.is_empty() {
        return Err(Raised::line("ERR Please specify at least one argument for this redis lib call"));
    }
    // Commands copy what they keep, and Lua strings stay where they are: borrowed as long as `texts` lives.
    let mut texts = [const { None }; INLINE];
    let mut more = Vec::new();
    let count = args.len();
    for (index, value) in args.into_iter().enumerate() {
        let text = match value {
            Value::String(text) => Text::Lua(text.as_bytes()),
            // From here on seventeen digits do not print as an integer any more.
            Value::Integer(n) if n.unsigned_abs() < 100_000_000_000_000_000 => {
                Text::Number(small(|out| number::push_integer(out, n)))
            }
            Value::Integer(n) => Text::Number(small(|out| number::push_g17(out, n as f64))),
            Value::Number(n) => Text::Number(small(|out| number::push_g17(out, n))),
            _ => {
                return Err(Raised::line("ERR Lua redis lib command arguments must be strings or integers"));
            }
        };
        match texts.get_mut(index) {
            Some(slot) => *slot = Some(text),
            None => more.push(text),
        }
    }
    let mut inline: [&[u8]; INLINE] = [&[]; INLINE];
    for (slot, text) in inline.iter_mut().zip(&texts) {
        if let Some(text) = text {
            *slot = text.bytes();
        }
    }
    let joined: Vec<&[u8]>;
    let bytes = if more.is_empty() {
        inline.get(..count).unwrap_or_default()
    } else {
        joined = inline.into_iter().chain(more.iter().map(Text::bytes)).collect();
        &joined
    };
    current::with(|now| {
        // While Rust builds the reply, allocations need no protection against Lua's own memory error; the limit
        // holds again for the next instruction of the script.
        if memory_limit > 0 {
            lua.set_memory_limit(0)?;
        }
        let mut builder = ReplyBuilder::new(lua, now.run.resp3);
        now.call.call(bytes, &mut builder);
        let done = builder.finish();
        if memory_limit > 0 {
            lua.set_memory_limit(memory_limit)?;
        }
        done
    })
}

/// Arguments that need no allocation.
const INLINE: usize = 8;

enum Text {
    Lua(BorrowedBytes),
    Number(Vec<u8>),
}

impl Text {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Lua(bytes) => bytes,
            Self::Number(bytes) => bytes,
        }
    }
}

fn small(print: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(24);
    print(&mut out);
    out
}

/// The line of an error reply.
fn line_of(value: &Value) -> Vec<u8> {
    let line = match value {
        Value::Table(table) => table.raw_get::<LuaString>("err").ok(),
        _ => None,
    };
    line.map(|line| line.as_bytes().to_vec()).unwrap_or_default()
}

/// What scripts see of an error.
pub(crate) fn error_table(lua: &Lua, line: &[u8]) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 2)?;
    table.raw_set("err", lua.create_string(line)?)?;
    Ok(table)
}

fn replies(lua: &Lua, redis: &Table) -> mlua::Result<()> {
    const WRONG: &[u8] = b"ERR wrong number or type of arguments";
    redis.raw_set(
        "error_reply",
        lua.create_function(|lua, args: MultiValue| match only_string(&args) {
            Some(text) => error_table(lua, &with_code(&text.as_bytes())),
            None => error_table(lua, WRONG),
        })?,
    )?;
    redis.raw_set(
        "status_reply",
        lua.create_function(|lua, args: MultiValue| match only_string(&args) {
            Some(text) => {
                let table = lua.create_table_with_capacity(0, 1)?;
                table.raw_set("ok", text)?;
                Ok(table)
            }
            None => error_table(lua, WRONG),
        })?,
    )?;
    redis.raw_set(
        "sha1hex",
        lua.create_function(|lua, args: MultiValue| {
            let (1, Some(value)) = (args.len(), args.front()) else {
                return Err(Raised::line("ERR wrong number of arguments"));
            };
            let text = lua.coerce_string(value.clone())?;
            let digest = text.map_or_else(|| Digest::of(b""), |text| Digest::of(&text.as_bytes()));
            lua.create_string(digest.to_hex())
        })?,
    )
}

fn only_string(args: &MultiValue) -> Option<&LuaString> {
    match (args.len(), args.front()) {
        (1, Some(Value::String(text))) => Some(text),
        _ => None,
    }
}

/// `-CODE text` and `CODE text` keep their code, a single word gets `ERR`.
fn with_code(text: &[u8]) -> Vec<u8> {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let mut line = Vec::with_capacity(text.len() + 4);
    if !text.contains(&b' ') {
        line.extend_from_slice(b"ERR ");
    }
    line.extend_from_slice(text);
    line
}

fn switches(lua: &Lua, redis: &Table) -> mlua::Result<()> {
    redis.raw_set(
        "setresp",
        lua.create_function(|lua, args: MultiValue| {
            let (1, Some(value)) = (args.len(), args.front()) else {
                return Err(Raised::line("ERR redis.setresp() requires one argument."));
            };
            let resp3 = match lua.coerce_number(value.clone())?.map(number::truncate) {
                Some(2) => false,
                Some(3) => true,
                _ => return Err(Raised::line("ERR RESP version must be 2 or 3.")),
            };
            current::with(|now| {
                now.run.resp3 = resp3;
                Ok(())
            })
        })?,
    )?;
    redis.raw_set(
        "set_repl",
        lua.create_function(|lua, args: MultiValue| {
            let (1, Some(value)) = (args.len(), args.front()) else {
                return Err(Raised::line("ERR redis.set_repl() requires two arguments."));
            };
            match lua.coerce_number(value.clone())?.map_or(0, number::truncate) {
                0..=3 => Ok(()),
                _ => Err(Raised::line(
                    "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
                )),
            }
        })?,
    )?;
    // Scripts replicate by effect since Redis 7.0; the debugger of redis-cli is not attached.
    redis.raw_set("replicate_commands", lua.create_function(|_, _: MultiValue| Ok(true))?)?;
    redis.raw_set("breakpoint", lua.create_function(|_, _: MultiValue| Ok(false))?)?;
    redis.raw_set("debug", lua.create_function(|_, _: MultiValue| Ok(()))?)
}

fn logging(lua: &Lua, redis: &Table, options: &Options) -> mlua::Result<()> {
    let sink = options.log.clone();
    redis.raw_set(
        "log",
        lua.create_function(move |lua, args: MultiValue| {
            if args.len() < 2 {
                return Err(Raised::line("ERR redis.log() requires two arguments or more."));
            }
            let level = match args.front() {
                Some(Value::Integer(n)) => *n,
                Some(Value::Number(n)) => number::truncate(*n),
                _ => return Err(Raised::line("ERR First argument must be a number (log level).")),
            };
            let level = match level {
                0 => LogLevel::Debug,
                1 => LogLevel::Verbose,
                2 => LogLevel::Notice,
                3 => LogLevel::Warning,
                _ => return Err(Raised::line("ERR Invalid debug level.")),
            };
            let Some(sink) = &sink else { return Ok(()) };
            let mut line = Vec::new();
            for value in args.iter().skip(1) {
                let Some(text) = lua.coerce_string(value.clone())? else { continue };
                if !line.is_empty() {
                    line.push(b' ');
                }
                line.extend_from_slice(&text.as_bytes());
            }
            sink(level, &line);
            Ok(())
        })?,
    )
}
