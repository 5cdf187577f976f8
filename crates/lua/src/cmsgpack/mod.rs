//! `cmsgpack`: MessagePack, with the choices of Redis' own library.

mod pack;
mod unpack;

use crate::raw::{Body, Frame};

const FUNCTIONS: &[(&str, Body)] = &[
    ("pack", pack::pack),
    ("unpack", unpack::unpack),
    ("unpack_one", unpack::unpack_one),
    ("unpack_limit", unpack::unpack_limit),
];

/// Pushes the library.
pub(crate) fn push(frame: &mut Frame<'_>, copyright: &str) {
    frame.push_table(0, 8);
    frame.set_functions(FUNCTIONS);
    for (name, text) in [
        ("_NAME", "cmsgpack"),
        ("_VERSION", "lua-cmsgpack 0.4.0"),
        ("_COPYRIGHT", copyright),
        ("_DESCRIPTION", "MessagePack C implementation for Lua"),
    ] {
        frame.push_bytes(text.as_bytes());
        frame.set_field(-2, name.as_bytes());
    }
}
