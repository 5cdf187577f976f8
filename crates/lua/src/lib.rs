//! Lua scripts as Redis runs them, over any keyspace.
//!
//! ```text
//! EVAL source keys args --> Engine --(redis.call)--> Call     commands, implemented by you
//!                             |                       |
//!                        ScriptReply <-- result    ReplyBuilder <-- the command's reply
//! ```
//!
//! An [`Engine`] holds one sandboxed Lua 5.1 interpreter. Commands reach the world through [`Call`], the
//! script's result leaves through [`ScriptReply`]. Sources live in [`Scripts`], which the engines of a pool
//! share. Nothing here reads a clock or a socket.
//!
//! ```
//! use lua::testing::{MapCall, Recorder};
//! use lua::{Engine, Options};
//!
//! let mut engine = Engine::new(Options::default())?;
//! let mut data = MapCall::default();
//! let mut reply = Recorder::default();
//! let source = b"redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])";
//! engine.eval(source, &[b"key"], &[b"value"], &mut data, &mut reply)?;
//! assert_eq!(reply.bytes(), b"$5\r\nvalue\r\n");
//! # Ok::<(), lua::Error>(())
//! ```

mod answer;
mod api;
mod bit;
mod call;
mod cjson;
mod cmsgpack;
mod current;
mod engine;
mod error;
mod fcall;
mod flavour;
mod functions;
mod host;
mod library;
mod limit;
mod number;
mod options;
mod pattern;
mod random;
mod raw;
mod reply;
mod sandbox;
mod script;
mod shebang;
mod structs;
pub mod testing;
mod words;

pub use answer::{Aggregate, ScriptReply};
pub use call::{Call, Verdict};
pub use engine::Engine;
pub use error::Error;
pub use flavour::{Flavour, Refusal};
pub use functions::{Function, Functions, Library, Policy};
pub use limit::{Clock, KillSwitch};
pub use options::{LogLevel, LogSink, Options};
pub use reply::ReplyBuilder;
pub use script::{Digest, Script, Scripts, Stats};
pub use shebang::Flags;
