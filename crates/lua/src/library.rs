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
    ("rep", rep),
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
