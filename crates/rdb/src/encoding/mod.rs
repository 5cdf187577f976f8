//! Packed encodings, one file each: checked views over borrowed bytes and owned builders.
mod intset; mod listpack; mod ziplist; mod zipmap;
pub use intset::Intset;
pub use listpack::Listpack;
pub use ziplist::Ziplist;
pub use zipmap::Zipmap;
