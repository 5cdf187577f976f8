//! `redis.register_function`, and the little that a library sees while it is loaded.

use super::{Function, is_name};
use crate::api;
use crate::raw::{Frame, Kept, Kind, Raise};
use crate::shebang::Flags;

/// A function that a library being loaded has registered, with its callback.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) function: Function,
    pub(crate) callback: Kept,
}

/// Pushes the table `redis` of the time of loading.
pub(crate) fn push_load_api(frame: &mut Frame<'_>) {
    frame.push_table(0, 16);
    frame.set_functions(&[("register_function", register_function), ("log", api::log)]);
    api::levels(frame);
    api::versions(frame);
}

fn register_function(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let api = frame.host().options.flavour.api;
    let err = |text: String| Raise::Line(format!("ERR {text}").into_bytes());
    if frame.host().registered.borrow().is_none() {
        return Err(err(format!("{api}.register_function can only be called on FUNCTION LOAD command")));
    }
    frame.reserve(8)?;
    let function = match frame.args() {
        1 => named(frame, api).map_err(err)?,
        2 => positional(frame, api).map_err(err)?,
        _ => return Err(err(format!("wrong number of arguments to {api}.register_function"))),
    };
    // The callback is on top.
    let whole = |text: &str| {
        // Valkey passes these two on as they are.
        if frame.host().options.flavour.many_engines {
            Raise::Whole(text.as_bytes().to_vec())
        } else {
            err(text.to_owned())
        }
    };
    if !is_name(function.name.as_bytes()) {
        let what = if frame.host().options.flavour.many_engines { "Function" } else { "Library" };
        return Err(whole(&format!(
            "{what} names can only contain letters, numbers, or underscores(_) and must be at least one character long"
        )));
    }
    let known = |all: &Vec<Registered>| all.iter().any(|known| known.function.name == function.name);
    if frame.host().registered.borrow().as_ref().is_some_and(known) {
        return Err(whole("Function already exists in the library"));
    }
    let callback = frame.keep();
    if let Some(all) = frame.host().registered.borrow_mut().as_mut() {
        all.push(Registered { function, callback });
    }
    Ok(0)
}

/// The text at `index`, if it is a string or a number.
fn text(frame: &Frame<'_>, index: i32) -> Option<Vec<u8>> {
    frame.to_text(index).map(|text| text.into_owned())
}

fn name(bytes: Vec<u8>) -> String {
    // What is no UTF-8 is no name either, and refused as such.
    String::from_utf8(bytes).unwrap_or_default()
}

fn positional(frame: &Frame<'_>, api: &str) -> Result<Function, String> {
    let Some(bytes) = text(frame, 1) else {
        return Err(format!("first argument to {api}.register_function must be a string"));
    };
    if frame.kind(2) != Kind::Function {
        return Err(format!("second argument to {api}.register_function must be a function"));
    }
    frame.push_copy(2);
    Ok(Function { name: name(bytes), description: None, flags: Flags { declared: true, ..Flags::default() } })
}

fn named(frame: &mut Frame<'_>, api: &str) -> Result<Function, String> {
    if frame.kind(1) != Kind::Table {
        return Err(format!(
            "calling {api}.register_function with a single argument is only applicable to Lua table (representing named arguments)."
        ));
    }
    let (mut found_name, mut description, mut callback) = (None, None, false);
    let mut flags = Flags { declared: true, ..Flags::default() };
    let must = |what: &str, be: &str| {
        Problem(format!("{what} argument given to {api}.register_function must be a {be}"))
    };
    // The callback is looked up again below: what is pushed here goes.
    let walked = frame.walk(1, |frame| {
        let Some(key) = text(frame, -2) else {
            let text = format!("named argument key given to {api}.register_function is not a string");
            return Err(Problem(text));
        };
        match &key.to_ascii_lowercase()[..] {
            b"function_name" => {
                found_name = Some(name(text(frame, -1).ok_or_else(|| must("function_name", "string"))?));
            }
            b"description" => {
                description = Some(text(frame, -1).ok_or_else(|| must("description", "string"))?);
            }
            b"callback" => {
                if frame.kind(-1) != Kind::Function {
                    return Err(must("callback", "function"));
                }
                callback = true;
            }
            b"flags" => {
                if frame.kind(-1) != Kind::Table {
                    return Err(Problem(format!(
                        "flags argument to {api}.register_function must be a table representing function flags"
                    )));
                }
                flags = read_flags(frame)?;
            }
            _ => return Err(Problem(format!("unknown argument given to {api}.register_function"))),
        }
        Ok(())
    });
    walked.map_err(|Problem(text)| text)?;
    let Some(name) = found_name else {
        return Err(format!("{api}.register_function must get a function name argument"));
    };
    if !callback {
        return Err(format!("{api}.register_function must get a callback argument"));
    }
    let base = frame.top();
    frame.get_field(1, "callback");
    if frame.kind(-1) != Kind::Function {
        // The key was spelled in another case: find it again.
        frame.cut(base);
        let found = frame.walk(1, |frame| match text(frame, -2) {
            Some(key) if key.eq_ignore_ascii_case(b"callback") => {
                Err(Problem(String::from_utf8_lossy(&key).into_owned()))
            }
            _ => Ok(()),
        });
        if let Err(Problem(key)) = found {
            frame.get_field(1, &key);
        }
    }
    Ok(Function { name, description, flags })
}

struct Problem(String);

impl From<Raise> for Problem {
    fn from(_: Raise) -> Self {
        Self("stack overflow".to_owned())
    }
}

/// The flags in the list on top.
fn read_flags(frame: &mut Frame<'_>) -> Result<Flags, Problem> {
    let mut flags = Flags { declared: true, ..Flags::default() };
    frame.reserve(2)?;
    for index in 1.. {
        frame.get_index(-1, index);
        let done = frame.kind(-1) == Kind::Nil;
        let known = frame.text(-1).is_some_and(|flag| flags.set(flag));
        frame.pop(1);
        if done {
            break;
        }
        if !known {
            return Err(Problem("unknown flag given".to_owned()));
        }
    }
    Ok(flags)
}
