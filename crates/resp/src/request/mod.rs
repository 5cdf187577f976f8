//! Requests: what clients send to servers, and primaries to replicas.
//!
//! `parser` finds ranges in a slice and owns no bytes; `decoder` adds the buffer; `inline` splits the
//! human-typed form; `frame` is what comes out, `run` several of them at once.

mod decoder;
mod dialect;
mod frame;
mod inline;
mod parser;
mod run;

pub use decoder::RequestDecoder;
pub use dialect::Dialect;
pub use frame::{Args, Request, RequestRef, Span};
pub(crate) use parser::short_header;
pub use parser::{Mode, RequestParser};
pub use run::Run;
