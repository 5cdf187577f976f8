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
#![cfg_attr(feature = "store", doc = "```")]
#![cfg_attr(not(feature = "store"), doc = "```ignore")]
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
#[cfg(feature = "store")]
mod on_store;
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
#[cfg(feature = "store")]
pub use on_store::{StoreCall, StoreReply};
pub use options::{LogLevel, LogSink, Options, Pulse};
pub use reply::ReplyBuilder;
pub use script::{Digest, Script, Scripts, Stats};
pub use shebang::Flags;
