//! Libraries of functions: loaded, kept with the data set, told to replicas.

use std::sync::Arc;

use lua::Policy;
use rdb::{EntryMeta, Reject, Visitor, Want};
use store::{Args, CommandError, CommandResult};

use crate::engine::Engine;

fn failed(error: lua::Error) -> CommandError {
    CommandError::Coded(String::from_utf8_lossy(&error.line()).into_owned().into())
}

/// Runs `change`, and then the data set carries the libraries that there are.
fn changing<R>(engine: &Engine, change: impl FnOnce() -> Result<R, CommandError>) -> Result<R, CommandError> {
    let result = change()?;
    let sources =
        engine.scripts.functions().libraries().iter().map(|library| Arc::from(&*library.code)).collect();
    engine.keyspace.set_functions(sources);
    Ok(result)
}

/// FUNCTION LOAD; the library's name.
pub(crate) fn load(engine: &Engine, code: &[u8], replace: bool) -> Result<String, CommandError> {
    let load = || engine.scripts.with(|interpreter| interpreter.load_library(code, replace)).map_err(failed);
    changing(engine, load)
}

/// FUNCTION DELETE.
pub(crate) fn delete(engine: &Engine, name: &[u8]) -> CommandResult {
    changing(engine, || engine.scripts.functions().delete(name).map_err(failed))
}

/// FUNCTION FLUSH.
pub(crate) fn flush(engine: &Engine) -> CommandResult {
    changing(engine, || {
        engine.scripts.flush_functions();
        Ok(())
    })
}

/// FUNCTION DUMP.
pub(crate) fn dump(engine: &Engine) -> Result<Vec<u8>, CommandError> {
    let libraries = engine.scripts.functions().libraries();
    let codes = libraries.iter().map(|library| &*library.code);
    rdb::payload::encode_functions(engine.compat().dump_version(), codes)
        .map_err(|error| CommandError::Err(error.to_string().into()))
}

/// FUNCTION RESTORE.
pub(crate) fn restore(engine: &Engine, payload: &[u8], policy: Policy) -> CommandResult {
    let mut sources = Sources::default();
    rdb::payload::decode_functions(payload, rdb::payload::Policy::default(), &mut sources)
        .map_err(|_| CommandError::err("DUMP payload version or checksum are wrong"))?;
    let codes: Vec<&[u8]> = sources.0.iter().map(Vec::as_slice).collect();
    let load = || {
        let loaded = engine.scripts.with(|interpreter| interpreter.load_libraries(&codes, policy));
        loaded.map_err(failed)
    };
    changing(engine, load)
}

/// The sources in a payload.
#[derive(Debug, Default)]
struct Sources(Vec<Vec<u8>>);

impl Visitor for Sources {
    fn entry(&mut self, _: &[u8], _: &EntryMeta) -> Result<Want, Reject> {
        Ok(Want::Skip)
    }

    fn function(&mut self, code: &[u8]) -> Result<(), Reject> {
        self.0.push(code.to_vec());
        Ok(())
    }
}

/// After a full sync or a load: the libraries are those that the dump carried. One that cannot be loaded is counted
/// as divergence.
pub(crate) fn adopt(engine: &Engine) {
    engine.scripts.flush_functions();
    for code in engine.keyspace.functions() {
        let loaded = engine.scripts.with(|interpreter| interpreter.load_library(&code, false));
        if let Err(error) = loaded {
            engine.divergence.count(b"function", &failed(error));
        }
    }
}

/// Which policy the word names.
pub(crate) fn policy(word: &[u8]) -> Option<Policy> {
    [("append", Policy::Append), ("replace", Policy::Replace), ("flush", Policy::Flush)]
        .into_iter()
        .find_map(|(name, policy)| word.eq_ignore_ascii_case(name.as_bytes()).then_some(policy))
}

/// A FUNCTION command of a primary's stream.
pub(crate) fn apply(engine: &Engine, args: Args<'_>) -> CommandResult {
    if args.is(1, "load") && args.len() >= 3 {
        let replace = args.len() > 3 && args.is(2, "replace");
        load(engine, args.at(args.len() - 1), replace).map(|_| ())
    } else if args.is(1, "delete") && args.len() == 3 {
        delete(engine, args.at(2))
    } else if args.is(1, "flush") {
        flush(engine)
    } else if args.is(1, "restore") && args.len() >= 3 {
        let policy = args.get(3).and_then(policy).unwrap_or(Policy::Append);
        restore(engine, args.at(2), policy)
    } else {
        Ok(())
    }
}
