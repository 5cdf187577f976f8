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
//! With a `store` (the feature of this name, on by default), everything is there already:
//!
#![cfg_attr(all(feature = "store", feature = "vm"), doc = "```")]
#![cfg_attr(not(all(feature = "store", feature = "vm")), doc = "```ignore")]
//! use lua::testing::Recorder;
//! use lua::{Engine, Options, StoreCall};
//!
//! let (_, mut writer) = store::Keyspace::new(16);
//! let mut engine = Engine::new(Options::default())?;
//! let mut reply = Recorder::default();
//! let source = b"redis.call('SET', KEYS[1], ARGV[1]) return redis.call('INCR', KEYS[1])";
//! engine.eval(source, &[b"key"], &[b"41"], &mut StoreCall::new(&mut writer, 0), &mut reply)?;
//! assert_eq!(reply.bytes(), b":42\r\n");
//! # Ok::<(), lua::Error>(())
//! ```
//!
//! Without the feature `vm` (on by default) there is no interpreter, and nothing to compile for it: sources and
//! libraries are kept, counted and passed on, and whatever would run one says that it cannot.
#![cfg_attr(not(feature = "vm"), allow(dead_code, reason = "what the interpreter alone asks for"))]

#[cfg(not(feature = "vm"))]
mod absent;
mod answer;
#[cfg(feature = "vm")]
mod api;
#[cfg(feature = "vm")]
mod bit;
mod call;
#[cfg(feature = "vm")]
mod cjson;
#[cfg(feature = "vm")]
mod cmsgpack;
#[cfg(feature = "vm")]
mod current;
#[cfg(feature = "vm")]
mod engine;
mod error;
#[cfg(feature = "vm")]
mod fcall;
mod flavour;
mod functions;
#[cfg(feature = "vm")]
mod host;
#[cfg(feature = "vm")]
mod library;
mod limit;
#[cfg(feature = "vm")]
mod number;
#[cfg(feature = "store")]
mod on_store;
mod options;
#[cfg(feature = "vm")]
mod pattern;
#[cfg(feature = "vm")]
mod random;
#[cfg(feature = "vm")]
mod raw;
#[cfg(feature = "vm")]
mod reply;
#[cfg(feature = "vm")]
mod result;
#[cfg(feature = "vm")]
mod sandbox;
mod script;
mod shebang;
#[cfg(feature = "vm")]
mod structs;
#[cfg(feature = "vm")]
pub mod testing;
mod words;

#[cfg(not(feature = "vm"))]
pub use absent::{Engine, ReplyBuilder};
pub use answer::{Aggregate, ScriptReply};
pub use call::{Call, Verdict};
#[cfg(feature = "vm")]
pub use engine::Engine;
pub use error::Error;
pub use flavour::{Flavour, Refusal};
pub use functions::{Function, Functions, Library, Policy};
pub use limit::{Clock, KillSwitch};
#[cfg(feature = "store")]
pub use on_store::{StoreCall, StoreReply};
pub use options::{LogLevel, LogSink, Options, Pulse};
#[cfg(feature = "vm")]
pub use reply::ReplyBuilder;
pub use script::{Digest, Habit, Script, Scripts, Stats};
pub use shebang::Flags;
