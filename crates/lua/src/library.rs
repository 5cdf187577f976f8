//! The functions of Lua's own library that are ours: those that would hang, reach out, or tell too much.

use std::borrow::Cow;

use crate::current;
use crate::number;
use crate::pattern;
use crate::random::Random;
use crate::raw::{Body, Frame, Kind, Raise};

/// For the prelude, which puts them in place.
pub(crate) const FUNCTIONS: &[(&str, Body)] = &[
    ("loadstring", loadstring),
    ("compile", compile),
    ("called", called),
    ("rep", rep),
    ("unpack", unpack),
    ("random", random),
    ("randomseed", randomseed),
    ("find", pattern::find),
    ("match", pattern::matching),
    ("search", pattern::search),
    ("gsub", pattern::gsub),
];

/// The table `os`.
pub(crate) const OS: &[(&str, Body)] = &[("clock", |frame| {
    let now = frame.host().options.clock().map_or(0.0, |clock| clock().as_secs_f64());
    frame.push_number(now);
    Ok(1)
})];

fn loadstring(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let source = frame.want_text(1, "loadstring")?;
    let name = match frame.args() {
        2.. if frame.kind(2) != Kind::Nil => frame.want_text(2, "loadstring")?,
        _ => source.clone(),
    };
    compiled(frame, &source, &name)
}

/// By what name the prelude's function was called, two levels up (with a second argument: one), as C's functions tell
/// it. The first argument is for a tail call, which leaves no name.
fn called(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let level = if frame.args() > 1 { 1 } else { 2 };
    let name = frame.place(level).and_then(|place| place.name);
    let is_tail = || frame.place(level + 1).is_some_and(|place| place.source == "=(tail call)");
    match name {
        Some(name) if !name.is_empty() => frame.push_bytes(name.as_bytes()),
        _ if is_tail() => frame.push_bytes(frame.arg(1).unwrap_or_default()),
        _ => frame.push_bytes(b"?"),
    }
    Ok(1)
}

/// For `load`: all the pieces, and the name.
fn compile(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let (source, name) = (frame.arg(1).unwrap_or_default(), frame.arg(2).unwrap_or_default());
    compiled(frame, source, name)
}

fn compiled(frame: &Frame<'_>, source: &[u8], name: &[u8]) -> Result<usize, Raise> {
    if source.len() > frame.host().options.max_string {
        frame.push_nil();
        frame.push_bytes(b"chunk too large");
        return Ok(2);
    }
    match frame.compile(source, name) {
        Ok(()) => Ok(1),
        Err(()) => {
            let message = frame.text(-1).unwrap_or_default().to_vec();
            frame.push_nil();
            frame.push_bytes(&message);
            Ok(2)
        }
    }
}

/// `string.rep` with a bound; C's has none but memory, and takes its time for an empty string.
fn rep(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let text: Cow<'_, [u8]> = frame.want_text(1, "rep")?;
    let times = usize::try_from(number::truncate(frame.want_number(2, "rep")?)).unwrap_or(0);
    match text.len().checked_mul(times) {
        Some(len) if len <= frame.host().options.max_string => {
            frame.check_work(len)?;
            frame.push_bytes(&text.repeat(times));
            Ok(1)
        }
        _ => Err(Raise::text("resulting string too large")),
    }
}

/// `unpack`; C's takes no count for a small one when the bounds lie at both ends of what an `int` holds, and then
/// writes far beyond its stack.
fn unpack(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.args() == 0 || frame.kind(1) != Kind::Table {
        return Err(frame.wrong_type(1, "unpack", "table"));
    }
    let bound = |position: usize| match frame.args() >= position && frame.kind(position as i32) != Kind::Nil {
        // An `int`, as C cuts it.
        true => frame.want_number(position, "unpack").map(|n| Some(number::truncate(n) as i32)),
        false => Ok(None),
    };
    let first = bound(2)?.unwrap_or(1);
    let last = match bound(3)? {
        Some(last) => last,
        None => i32::try_from(frame.len(1)).unwrap_or(i32::MAX),
    };
    let count = (i64::from(last) - i64::from(first) + 1).max(0) as usize;
    frame.reserve(count).map_err(|_| Raise::text("too many results to unpack"))?;
    for n in first..=last {
        frame.get_at(1, n);
    }
    Ok(count)
}

fn random(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let bound = |position: usize| frame.want_number(position, "random").map(f64::trunc);
    let unit = || current::with(|now| Ok(now.run.random.next_unit()));
    let (low, high) = match frame.args() {
        0 => {
            frame.push_number(unit()?);
            return Ok(1);
        }
        1 => (1.0, bound(1)?),
        2 => (bound(1)?, bound(2)?),
        _ => return Err(Raise::text("wrong number of arguments")),
    };
    if low > high {
        return Err(frame.bad_argument(frame.args(), "random", "interval is empty"));
    }
    frame.push_number((unit()? * (high - low + 1.0)).floor() + low);
    Ok(1)
}

fn randomseed(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let seed = frame.want_number(1, "randomseed")?;
    current::with(|now| {
        now.run.random = Random::seeded(seed as i32);
        Ok(0)
    })
}
