//! The table `redis`: what scripts may ask of the server.

use crate::call::Verdict;
use crate::current;
use crate::error::Stop;
use crate::number;
use crate::options::LogLevel;
use crate::raw::{Body, Frame, Kind, Raise};
use crate::reply::ReplyBuilder;
use crate::sandbox::World;
use crate::script::Digest;

const FUNCTIONS: &[(&str, Body)] = &[
    ("call", call),
    ("pcall", pcall),
    ("error_reply", error_reply),
    ("status_reply", status_reply),
    ("sha1hex", sha1hex),
    ("setresp", setresp),
    ("set_repl", set_repl),
    ("acl_check_cmd", acl_check_cmd),
    ("log", log),
];

/// What scripts have and functions do not. Scripts replicate by effect since Redis 7.0; the debugger of redis-cli is
/// not attached.
const OF_SCRIPTS: &[(&str, Body)] = &[
    ("replicate_commands", |frame| answer_bool(frame, true)),
    ("breakpoint", |frame| answer_bool(frame, false)),
    ("debug", |_| Ok(0)),
];

const LEVELS: [(&str, i32); 4] =
    [("LOG_DEBUG", 0), ("LOG_VERBOSE", 1), ("LOG_NOTICE", 2), ("LOG_WARNING", 3)];

const REPLICATION: [(&str, i32); 5] =
    [("REPL_NONE", 0), ("REPL_AOF", 1), ("REPL_SLAVE", 2), ("REPL_REPLICA", 2), ("REPL_ALL", 3)];

/// Pushes the table.
pub(crate) fn push(frame: &mut Frame<'_>, world: World) {
    frame.push_table(0, 32);
    frame.set_functions(FUNCTIONS);
    if world == World::Scripts {
        frame.set_functions(OF_SCRIPTS);
    }
    levels(frame);
    numbers(frame, &REPLICATION);
    versions(frame);
}

/// The levels of `log`, into the table on top.
pub(crate) fn levels(frame: &mut Frame<'_>) {
    numbers(frame, &LEVELS);
}

fn numbers(frame: &mut Frame<'_>, all: &[(&str, i32)]) {
    for (name, n) in all {
        frame.push_number(f64::from(*n));
        frame.set_field(-2, name.as_bytes());
    }
}

/// Which server this is, into the table on top.
pub(crate) fn versions(frame: &mut Frame<'_>) {
    let flavour = frame.host().options.flavour;
    version(frame, "REDIS", flavour.redis_version);
    if let Some(valkey) = flavour.valkey_version {
        version(frame, "VALKEY", valkey);
        frame.push_bytes(b"valkey");
        frame.set_field(-2, b"SERVER_NAME");
    }
}

fn version(frame: &mut Frame<'_>, family: &str, [major, minor, patch]: [u8; 3]) {
    frame.push_bytes(format!("{major}.{minor}.{patch}").as_bytes());
    frame.set_field(-2, format!("{family}_VERSION").as_bytes());
    frame.push_number(f64::from(u32::from(major) << 16 | u32::from(minor) << 8 | u32::from(patch)));
    frame.set_field(-2, format!("{family}_VERSION_NUM").as_bytes());
}

fn answer_bool(frame: &Frame<'_>, b: bool) -> Result<usize, Raise> {
    frame.push_bool(b);
    Ok(1)
}

fn call(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if !command(frame)? {
        return Ok(1);
    }
    // Raised afresh, so that catching it shows the line alone.
    frame.get_field(-1, "err");
    Err(Raise::Line(frame.text(-1).unwrap_or_default().to_vec()))
}

fn pcall(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    match command(frame) {
        Ok(_) => Ok(1),
        Err(Raise::Line(line)) => {
            frame.push_error(&line);
            Ok(1)
        }
        Err(other) => Err(other),
    }
}

/// Arguments that need no allocation.
const INLINE: usize = 8;

/// Runs the command that the arguments are, and pushes its reply; whether that is an error.
fn command(frame: &mut Frame<'_>) -> Result<bool, Raise> {
    with_arguments(frame, |frame, args| {
        frame.reserve(8)?;
        current::with(|now| {
            let mut builder = ReplyBuilder::new(frame.reborrow(), now.run.resp3);
            now.call.call(args, &mut builder);
            builder.finish()
        })
    })
}

/// Hands the arguments as bytes to `use_them`.
fn with_arguments<'l, R>(
    frame: &mut Frame<'l>,
    use_them: impl FnOnce(&mut Frame<'l>, &[&[u8]]) -> Result<R, Raise>,
) -> Result<R, Raise> {
    let count = frame.args();
    if count == 0 {
        let text = format!(
            "ERR Please specify at least one argument for {}",
            frame.host().options.flavour.this_call
        );
        return Err(Raise::Line(text.into_bytes()));
    }
    let mut inline: [&[u8]; INLINE] = [&[]; INLINE];
    if let Some(texts) = inline.get_mut(..count) {
        let are_texts = texts.iter_mut().zip(1..).all(|(slot, index)| {
            let text = frame.arg(index);
            *slot = text.unwrap_or_default();
            text.is_some()
        });
        if are_texts {
            return use_them(frame, texts);
        }
    }
    let mut numbers = Vec::new();
    for index in 1..=count {
        if let Some(n) = frame.number(index as i32) {
            let mut text = Vec::with_capacity(24);
            if frame.host().options.flavour.shortest_numbers {
                number::push_shortest(&mut text, n);
            } else {
                number::push_g17(&mut text, n);
            }
            numbers.push(text);
        } else if frame.kind(index as i32) != Kind::String {
            let what = frame.host().options.flavour.arguments;
            return Err(Raise::line(&format!("ERR {what} must be strings or integers")));
        }
    }
    let mut spelled = numbers.iter();
    let all: Vec<&[u8]> = (1..=count)
        .map(|index| match frame.arg(index) {
            Some(text) => text,
            None => spelled.next().map(Vec::as_slice).unwrap_or_default(),
        })
        .collect();
    use_them(frame, &all)
}

const WRONG: &[u8] = b"ERR wrong number or type of arguments";

fn error_reply(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    match only_string(frame) {
        Some(text) => frame.push_error(&with_code(text)),
        None => frame.push_error(WRONG),
    }
    Ok(1)
}

fn status_reply(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    match only_string(frame) {
        Some(text) => {
            frame.push_table(0, 1);
            frame.push_bytes(text);
            frame.set_field(-2, b"ok");
        }
        None => frame.push_error(WRONG),
    }
    Ok(1)
}

fn only_string<'l>(frame: &Frame<'l>) -> Option<&'l [u8]> {
    if frame.args() == 1 { frame.arg(1) } else { None }
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

fn sha1hex(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.args() != 1 {
        return Err(Raise::line("ERR wrong number of arguments"));
    }
    let text = frame.arg_or_number(1).unwrap_or_default();
    frame.push_bytes(Digest::of(&text).to_hex().as_bytes());
    Ok(1)
}

fn wants(frame: &Frame<'_>, name: &str, what: &str) -> Raise {
    Raise::line(&format!("ERR {}.{name}() requires {what}.", frame.host().options.flavour.api))
}

fn setresp(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.args() != 1 {
        return Err(wants(frame, "setresp", "one argument"));
    }
    let resp3 = match frame.to_number(1).map(number::truncate) {
        Some(2) => false,
        Some(3) => true,
        _ => return Err(Raise::line("ERR RESP version must be 2 or 3.")),
    };
    current::with(|now| {
        now.run.resp3 = resp3;
        Ok(0)
    })
}

fn set_repl(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.args() != 1 {
        return Err(wants(frame, "set_repl", frame.host().options.flavour.set_repl_wants));
    }
    match frame.to_number(1).map_or(0, number::truncate) {
        flags @ 0..=3 => current::with(|now| {
            now.call.set_replication(flags & 2 != 0);
            Ok(0)
        }),
        _ => Err(Raise::line(
            "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.",
        )),
    }
}

fn acl_check_cmd(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let verdict = with_arguments(frame, |_, args| current::with(|now| Ok(now.call.may_call(args))))?;
    match verdict {
        Verdict::Yes => answer_bool(frame, true),
        Verdict::No => answer_bool(frame, false),
        Verdict::Unknown => {
            let api = frame.host().options.flavour.api;
            Err(Raise::line(&format!("ERR Invalid command passed to {api}.acl_check_cmd()")))
        }
    }
}

pub(crate) fn log(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.args() < 2 {
        return Err(wants(frame, "log", "two arguments or more"));
    }
    let Some(level) = frame.number(1).map(number::truncate) else {
        return Err(Raise::line("ERR First argument must be a number (log level)."));
    };
    let level = match level {
        0 => LogLevel::Debug,
        1 => LogLevel::Verbose,
        2 => LogLevel::Notice,
        3 => LogLevel::Warning,
        _ => return Err(Raise::line(frame.host().options.flavour.bad_level)),
    };
    let Some(sink) = &frame.host().options.log else { return Ok(0) };
    if !current::with(|now| Ok(now.call.may_be_seen()))? {
        frame.stop(Stop::GivenUp);
        return Err(Raise::Stop);
    }
    let mut line = Vec::new();
    for index in 2..=frame.args() {
        let Some(text) = frame.arg_or_number(index) else { continue };
        if !line.is_empty() {
            line.push(b' ');
        }
        line.extend_from_slice(&text);
    }
    sink(level, &line);
    Ok(0)
}
