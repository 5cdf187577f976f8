//! The RDB format of Redis and Valkey: bytes in, visitor calls out.
pub mod crc64;
mod decode;
mod encode;
pub mod encoding;
mod error;
mod filter;
#[cfg(feature = "json")]
pub mod json;
pub mod lzf;
pub mod payload;
#[cfg(feature = "json")]
mod score;
pub mod stat;
mod transcode;
mod version;
mod visitor;

pub use decode::{Decoder, Options, Progress};
pub use encode::{EncodeError, EncodeOptions, Encoder, KeyMeta, ListNode, StreamEncoder, ValueEncoder};
pub use error::{Error, ErrorKind};
pub use filter::Filter;
pub use transcode::Transcoder;
pub use version::{Flavour, Version};
pub use visitor::{EntryMeta, Kind, Part, Reject, StreamId, StreamIdmp, StreamMeta, Visitor, Want};
