//! Lua's C interface, made safe: the only module of this crate with `unsafe`.
//!
//! What a cached script costs is what crossing into Lua costs, so scripts, commands and libraries cross by the
//! shortest way: functions of ours are plain C functions that get a [`Frame`], a view of Lua's stack.
//!
//! Lua reports errors by jumping over whoever called it, which no destructor survives. Four rules keep that away
//! from Rust:
//!
//! 1. While Rust code runs, the memory limit is lifted ([`Memory::lift`]), so that no allocation fails.
//! 2. [`Frame`] offers only operations that raise nothing else: raw access with keys that are neither nil nor NaN,
//!    no metamethods, no conversion in place, stack room asked for first.
//! 3. Lua code is entered through a protected call only, and with the limit in force.
//! 4. A function of ours answers an error as a value; [`enter`] raises it when everything of Rust's is gone.
//!
//! A panic is carried around Lua in the same way: [`enter`] keeps it and stops the script, [`State::run`] lets it go on.

#![allow(unsafe_code, reason = "the crossing into Lua; see the rules above")]

mod frame;
mod memory;
mod state;

pub(crate) use frame::{Frame, Kind, Raise};
pub(crate) use memory::Memory;
pub(crate) use state::{Failed, Kept, State};

/// A function that Lua can call: how many values on top of the stack are its results, or what to raise.
pub(crate) type Body = fn(&mut Frame<'_>) -> Result<usize, Raise>;

/// Calls into Lua's interface, with the reason why they may be made in one place.
macro_rules! lua {
    ($name:ident($($arg:expr),* $(,)?)) => {{
        // SAFETY: a `Frame` or `State` exists, so the interpreter lives and belongs to this thread; the memory
        // limit is lifted, so allocation does not fail; what else the function asks for (indexes that exist, room
        // on the stack, keys that are allowed) is checked by the method around.
        unsafe { mlua::ffi::$name($($arg),*) }
    }};
}
use lua;
