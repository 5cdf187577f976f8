//! RESP2 and RESP3, requests and replies: an incremental codec that owns no socket, clock or task.
//!
//! ```text
//!             feed                 next / next_ref
//! socket --> BytesMut --> RequestParser --> Request: ranges over one shared Bytes, nothing copied
//!                    \--> ValueParser ---> Value: a reply tree whose strings are slices of the frame
//!
//! Encoder --> Vec<u8> or BytesMut --> socket
//! ```
//!
//! Not enough bytes yet is not an error: decoders answer `Ok(None)`, remember where they stand and continue
//! after the next refill without looking at any byte again. The result never depends on how the bytes were cut.
//! A length on the wire is a claim; nothing is allocated for it before its bytes arrive.
//!
//! ```
//! use resp::{Encoder, Limits, Protocol, RequestDecoder};
//!
//! let mut decoder = RequestDecoder::new(Limits::requests());
//! decoder.feed(b"*2\r\n$3\r\nGET\r\n$5\r\nhe");
//! assert!(decoder.next_ref()?.is_none());
//! decoder.feed(b"llo\r\nPING 'inline too'\r\n");
//!
//! let get = decoder.next()?.expect("one whole request");
//! assert_eq!((get.arg(0), get.arg(1), get.wire_len()), (Some(&b"GET"[..]), Some(&b"hello"[..]), 24));
//! let ping = decoder.next_ref()?.expect("another");
//! assert_eq!(ping.iter().collect::<Vec<_>>(), [&b"PING"[..], b"inline too"]);
//!
//! let mut out = Vec::new();
//! Encoder::new(&mut out, Protocol::Resp2).bulk(b"world");
//! assert_eq!(out, b"$5\r\nworld\r\n");
//! # Ok::<(), resp::ProtocolError>(())
//! ```
//!
//! The number rules of the servers ([`parse_i64`], [`parse_f64`], [`DoubleFormat`]) live here because they are rules
//! about text on the wire.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::cast_possible_truncation))]

mod encode;
mod error;
mod limits;
mod number;
mod request;
mod transfer;
mod value;

pub use encode::{Encoder, Output, Protocol, encode_command};
pub use error::ProtocolError;
pub use limits::Limits;
pub use number::{DoubleFormat, format_f64, format_human_f64, parse_f64, parse_i64, write_i64};
pub use request::{Args, Dialect, Mode, Request, RequestDecoder, RequestParser, RequestRef, Run, Span};
pub use transfer::BulkHeader;
pub use value::{Attributed, Kind, Token, Value, ValueDecoder, ValueParser};
