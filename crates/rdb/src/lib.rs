//! The RDB format of Redis and Valkey: bytes in, visitor calls out, and back.
//!
//! Reads every version that Redis (1 to 16) and Valkey (80, 81) have written, whole dumps as well as DUMP payloads, from
//! bytes in pieces of any size and in constant memory. Knows no file, no socket, no runtime and no clock.
//!
//! ```text
//!  bytes --> Decoder --> Filter --> a Visitor: json::JsonLines, stat::Stat, Transcoder, Commands, yours
//!              |                       |
//!          encoding::*  lzf  crc64     '--> Encoder --> bytes
//! ```
//!
//! - [`Decoder`] parses; a [`Visitor`] is told what it found, and says key by key what it wants: nothing, packed blobs
//!   as they are, or elements.
//! - [`Encoder`] writes whole dumps (Redis 9 to 12, Valkey 80), [`payload`] what DUMP and RESTORE exchange.
//! - [`encoding`] has the packed values themselves: checked views and owned builders.
//!
//! Input is not trusted: what is wrong with it comes back as an [`Error`] with its place, and memory is taken as bytes
//! arrive, never as they claim.
//!
//! ```
//! use rdb::{Decoder, EncodeOptions, Encoder, EntryMeta, KeyMeta, Part, Reject, Version, Visitor, Want};
//!
//! #[derive(Default)]
//! struct Largest(Vec<u8>, u64);
//!
//! impl Visitor for Largest {
//!     fn entry(&mut self, key: &[u8], _: &EntryMeta) -> Result<Want, Reject> {
//!         self.0 = key.to_vec();
//!         Ok(Want::Elements)
//!     }
//!     fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
//!         if let Part::String { total, .. } = part {
//!             self.1 = self.1.max(total);
//!         }
//!         Ok(())
//!     }
//! }
//!
//! let mut dump = Encoder::new(Version::REDIS_11, EncodeOptions::default())?;
//! dump.entry(b"page", KeyMeta::default()).string(&[b'x'; 5000]);
//! let dump = dump.finish();
//!
//! let (mut decoder, mut largest) = (Decoder::default(), Largest::default());
//! for chunk in dump.chunks(10) {
//!     decoder.feed(chunk, &mut largest)?;
//! }
//! assert_eq!(largest.1, 5000);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
mod commands;
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
mod score;
pub mod stat;
mod transcode;
mod version;
mod visitor;

pub use commands::Commands;
pub use decode::{Decoder, Options, Progress};
pub use encode::{EncodeError, EncodeOptions, Encoder, KeyMeta, ListNode, StreamEncoder, ValueEncoder};
pub use error::{Error, ErrorKind};
pub use filter::Filter;
pub use transcode::{Restores, Transcoder};
pub use version::{Flavour, Version};
pub use visitor::{
    EntryMeta, Kind, Part, Reject, StreamId, StreamIdmp, StreamMeta, Visitor, Want, library_name,
};
