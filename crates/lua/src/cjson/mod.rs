//! `cjson`: JSON, with the settings, limits and messages of lua-cjson 2.1.0.

mod decode;
mod encode;
mod settings;
mod strtod;

use std::sync::{Mutex, PoisonError};

pub(crate) use settings::Settings;

use crate::raw::{Body, Frame, Kind, Raise};

const FUNCTIONS: &[(&str, Body)] = &[
    ("encode", encode::encode),
    ("decode", decode::decode),
    ("encode_sparse_array", settings::encode_sparse_array),
    ("encode_max_depth", settings::encode_max_depth),
    ("decode_max_depth", settings::decode_max_depth),
    ("encode_number_precision", settings::encode_number_precision),
    ("encode_keep_buffer", settings::encode_keep_buffer),
    ("encode_invalid_numbers", settings::encode_invalid_numbers),
    ("decode_invalid_numbers", settings::decode_invalid_numbers),
    ("new", new),
];

/// The settings of the library that every script sees: they last across scripts, so a pool shares them.
#[derive(Debug, Default)]
pub(crate) struct Shared(Mutex<Settings>);

impl Shared {
    fn get(&self) -> Settings {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, settings: Settings) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = settings;
    }
}

/// Pushes the library that every script sees.
pub(crate) fn push(frame: &mut Frame<'_>) -> Result<(), Raise> {
    frame.push_nil();
    push_with_settings(frame)
}

/// A library with settings of its own.
fn new(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    push_own(frame, &Settings::default());
    push_with_settings(frame)?;
    Ok(1)
}

/// Pushes the library whose settings are on top: a table, or nil for those that all share.
fn push_with_settings(frame: &mut Frame<'_>) -> Result<(), Raise> {
    frame.reserve(6)?;
    let settings = frame.top();
    frame.push_table(0, 16);
    for (name, body) in FUNCTIONS {
        frame.push_copy(settings);
        frame.push_closure(*body, 1);
        frame.set_field(-2, name.as_bytes());
    }
    frame.push_null();
    frame.set_field(-2, b"null");
    for (name, text) in [("_NAME", "cjson"), ("_VERSION", "2.1.0")] {
        frame.push_bytes(text.as_bytes());
        frame.set_field(-2, name.as_bytes());
    }
    Ok(())
}

fn push_own(frame: &mut Frame<'_>, settings: &Settings) {
    frame.push_table(8, 0);
    store_own(frame, settings);
}

/// Into the table on top.
fn store_own(frame: &mut Frame<'_>, settings: &Settings) {
    for (index, n) in settings.numbers().into_iter().enumerate() {
        frame.push_number(f64::from(n));
        frame.set_index(-2, index + 1);
    }
}

/// The settings of the running function's library.
fn settings(frame: &mut Frame<'_>) -> Result<Settings, Raise> {
    frame.reserve(3)?;
    frame.push_upvalue(1);
    let found = if frame.kind(-1) == Kind::Table {
        let mut numbers = [0; settings::COUNT];
        for (index, n) in numbers.iter_mut().enumerate() {
            frame.get_index(-1, index + 1);
            *n = frame.number(-1).unwrap_or_default() as i32;
            frame.pop(1);
        }
        Settings::from_numbers(numbers)
    } else {
        frame.host().cjson.get()
    };
    frame.pop(1);
    Ok(found)
}

fn store(frame: &mut Frame<'_>, settings: &Settings) -> Result<(), Raise> {
    frame.reserve(4)?;
    frame.push_upvalue(1);
    if frame.kind(-1) == Kind::Table {
        store_own(frame, settings);
    } else {
        frame.host().cjson.set(*settings);
    }
    frame.pop(1);
    Ok(())
}
