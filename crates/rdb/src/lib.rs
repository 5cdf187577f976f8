//! The RDB format of Redis and Valkey: bytes in, visitor calls out.
pub mod crc64;
pub mod encoding;
pub mod lzf;
mod version;
mod visitor;

pub use version::{Flavour, Version};
pub use visitor::{EntryMeta, Kind, Part, Reject, StreamId, StreamIdmp, StreamMeta, Visitor, Want};
