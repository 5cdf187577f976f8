//! Replies: what servers send to clients, in RESP2 and RESP3.
//!
//! `parser` turns bytes into a flat tape of tokens; `tree` is the owned form; `decoder` adds the buffer.

mod decoder;
mod parser;
mod scalar;
mod tree;

pub use decoder::ValueDecoder;
pub use parser::{Kind, Token, ValueParser};
pub use tree::{Attributed, Value};
