//! An interpreter that scripts cannot leave.

use crate::current::{self, Fault};
use crate::error::Error;
use crate::host::Host;
use crate::raw::{Frame, Kept, Raise, State};
use crate::result::until_nul;
use crate::{api, bit, cjson, cmsgpack, functions, library, structs};

/// The name of our own Lua code, whose frames are not the script's.
pub(crate) const PRELUDE: &str = "=redis_prelude";

/// Whose interpreter it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum World {
    Scripts,
    Functions,
}

/// A new interpreter and what a run needs of it.
#[derive(Debug)]
pub(crate) struct Sandbox {
    pub(crate) state: State,
    pub(crate) handler: Kept,
    /// Behind the globals that scripts see: only here can they change.
    pub(crate) globals: Kept,
    /// `KEYS` and `ARGV`, the names.
    pub(crate) lists: [Kept; 2],
    /// Called with true or false: libraries being loaded see next to nothing.
    pub(crate) loading: Kept,
}

/// Builds one.
pub(crate) fn build(host: Host, world: World) -> Result<Sandbox, Error> {
    let failed = |text: &[u8]| Error::Interpreter(String::from_utf8_lossy(text).into_owned());
    let mut state = State::new(host).ok_or_else(|| failed(b"no memory for an interpreter"))?;
    state.open_libraries().map_err(|text| failed(&text))?;
    if state.compile(include_bytes!("prelude.lua"), PRELUDE.as_bytes()).is_err() {
        return Err(failed(state.frame().text(-1).unwrap_or_default()));
    }
    let mut frame = state.frame();
    frame.push_globals();
    push_host(&mut frame, world).map_err(|_| failed(b"no room on the stack"))?;
    if state.run(2, 4, None).is_err() {
        return Err(failed(state.frame().text(-1).unwrap_or_default()));
    }
    let loading = state.keep();
    let handler = state.keep();
    let globals = state.keep();
    state.frame().set_globals();
    let lists = [b"KEYS", b"ARGV"].map(|name| {
        state.frame().push_bytes(name);
        state.keep()
    });
    Ok(Sandbox { state, handler, globals, lists, loading })
}

/// What Rust adds to Lua's library.
fn push_host(frame: &mut Frame<'_>, world: World) -> Result<(), Raise> {
    frame.reserve(16)?;
    let flavour = frame.host().options.flavour;
    frame.push_table(0, 16);
    frame.set_functions(library::FUNCTIONS);
    frame.set_protected_calls();
    frame.set_functions(&[("note", note)]);
    frame.push_stop();
    frame.set_field(-2, b"stop");
    frame.push_number(frame.host().options.max_string as f64);
    frame.set_field(-2, b"max_string");
    frame.push_bool(flavour.valkey_version.is_some());
    frame.set_field(-2, b"valkey");
    api::push(frame, world);
    frame.set_field(-2, b"redis");
    functions::push_load_api(frame);
    frame.set_field(-2, b"load_redis");
    cjson::push(frame)?;
    // Below it lies what its functions' settings are.
    frame.set_field(-3, b"cjson");
    frame.pop(1);
    cmsgpack::push(frame, flavour.copyright);
    frame.set_field(-2, b"cmsgpack");
    for (name, functions) in [("bit", bit::FUNCTIONS), ("struct", structs::FUNCTIONS)] {
        frame.push_table(0, 16);
        frame.set_functions(functions);
        frame.set_field(-2, name.as_bytes());
    }
    if flavour.os {
        frame.push_table(0, 1);
        frame.set_functions(library::OS);
        frame.set_field(-2, b"os");
    }
    Ok(())
}

/// Called by the prelude's handler where an uncaught error was raised, while its frames are still there.
fn note(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let line = until_nul(&frame.arg_or_number(1).unwrap_or_default()).to_vec();
    let place = place(frame);
    current::with(|now| {
        now.run.fault = Some(Fault { line, place });
        Ok(0)
    })
}

/// Source and line of the function that raised an error, or of its caller if it is not written in Lua.
fn place(frame: &Frame<'_>) -> Option<(String, i64)> {
    let (mut skipped_native, mut skipped_ours) = (false, false);
    for level in 1.. {
        let place = frame.place(level)?;
        if place.source == PRELUDE {
            skipped_ours = true;
        } else if !(skipped_ours && place.source == "=(tail call)") {
            // Calls of ours end in tail calls, which are no places.
            if !place.native || skipped_native {
                return Some((place.source, place.line));
            }
            skipped_native = true;
        }
    }
    None
}
