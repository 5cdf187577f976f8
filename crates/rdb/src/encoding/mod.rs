//! Packed encodings, one file each: checked views over borrowed bytes and owned builders.
//!
//! ```text
//! Listpack::new(&[u8]) -> Result<Listpack<'_>, EncodingError>   one pass of checks, then accessors never fail
//! ListpackBuf                                                   owns bytes, is always well-formed
//! ```
//!
//! | format | view | builder | met in |
//! |---|---|---|---|
//! | listpack | [`Listpack`] | [`ListpackBuf`] | hashes, lists, sets, sorted sets of Redis 7 and later |
//! | stream node | [`StreamNode`] | [`StreamNodeBuf`] | streams, since Redis 5 |
//! | intset | [`Intset`] | [`IntsetBuf`] | sets of integers, since Redis 2.4 |
//! | ziplist | [`Ziplist`] | [`ZiplistBuf`] | hashes, lists, sorted sets up to Redis 6.2 |
//! | zipmap | [`Zipmap`] | | hashes up to Redis 2.4 |
//!
//! The views are written by hand because they are hot: [`grammar`] says the same in nom, obviously and more slowly (6
//! times for a listpack, 5 for a ziplist: `cargo bench -p replica-benches --bench rdb_encoding`), and every view is
//! compared with it by property tests and fuzzing.
mod error;
pub mod grammar;
mod intset;
mod intset_buf;
mod item;
mod listpack;
mod listpack_buf;
mod stream_node;
mod stream_node_buf;
mod ziplist;
mod ziplist_buf;
mod zipmap;

pub use error::{EncodingError, Full};
pub use intset::{Intset, IntsetIter};
pub use intset_buf::IntsetBuf;
pub use item::{Item, parse_canonical_i64};
pub use listpack::{Listpack, ListpackIter, ListpackPosIter, Pos};
pub use listpack_buf::{ListpackBuf, encoded_int_size, encoded_size};
pub use stream_node::{NodeEntry, NodeEntryFields, NodeIter, StreamNode};
pub use stream_node_buf::StreamNodeBuf;
pub use ziplist::{Ziplist, ZiplistIter};
pub use ziplist_buf::ZiplistBuf;
pub use zipmap::{Zipmap, ZipmapIter};
