//! The keyspace: every data type and its commands, in memory, for many readers and one writer.
//!
//! ```text
//! Writer --begin--> Txn: the gate, the shards of its keys -- rows of `command` --> values
//!                                                              ^
//! Keyspace --with, blob, View--> Entry: key, expiry, value ----'   any thread, one shard's lock
//!
//! rdb::Decoder --> Loader --> Loaded --> Keyspace::swap_contents
//! ```
//!
//! It knows no network, starts no thread but one to free what is large, and reads no clock: time is what [`CoarseClock`] was last told.
//!
//! ```
//! use store::{Args, Keyspace, Recorded, Recorder, ShardSet, Viewer, command};
//!
//! let (keyspace, mut writer) = Keyspace::new(16);
//!
//! // A command is a row of the table, found by its name; it tells which shards it needs.
//! let args = Args::new(&[b"SET", b"greeting", b"hello"]);
//! let row = command::find(args).expect("SET is a command");
//! let mut set = ShardSet::none();
//! row.add_shards(&keyspace, 0, args, &mut set);
//! let mut reply = Recorder::default();
//! row.write(&mut writer.begin(&set, Viewer::Client, 0), args, &mut reply)?;
//! assert_eq!(reply.finish(), Some(Recorded::Simple("OK".to_owned())));
//!
//! // Any thread reads it; the blob shares the store's bytes.
//! assert_eq!(keyspace.blob(0, b"greeting")?.expect("just set"), b"hello");
//! # Ok::<(), store::CommandError>(())
//! ```
pub mod access;
mod ahead;
mod args;
mod aside;
mod blob;
mod cleanup;
mod clock;
pub mod command;
mod compat;
mod db;
mod deadlines;
pub mod digest;
mod encoding;
mod entry;
mod error;
mod event;
mod evict;
mod exchange;
mod extended;
mod gate;
pub mod glob;
pub mod graveyard;
mod hash;
mod keyspace;
mod limits;
mod load;
mod lock;
mod matching;
pub mod number;
mod policy;
mod random;
mod reply;
pub mod save;
mod scan;
mod seats;
mod shard;
pub mod snapshot;
mod sync;
mod txn;
pub mod value;
mod view;

pub use ahead::Ahead;
pub use args::{Args, is_word};
pub use blob::Blob;
pub use cleanup::{Cleanup, InvalidCleanup};
pub use clock::CoarseClock;
pub use compat::{
    AclTexts, ClientFilters, Compat, Differences, Family, Fields, Lag, ReadPlus, Release, RowChange,
    Sanitizing, Since, SortNumbers, UnknownCompat,
};
pub use db::Db;
pub use encoding::Embedded;
pub use entry::{Entry, EntryRef, MAX_INLINE, MAX_KEY, ValueRef};
pub use error::{CommandError, CommandResult, as_c_string};
pub use event::{Change, Class, Effect};
pub use evict::Candidate;
pub use gate::Still;
pub use hash::KeyHash;
pub use keyspace::{ASIDES, Keyspace, MAX_DATABASES, MAX_SHARDS};
pub use limits::{Limits, Setting, SettingKind};
pub use load::{Loaded, Loader, Weigher, Weight};
pub use lock::ShardSet;
pub use matching::{Matching, Pattern};
pub use policy::Policy;
pub use reply::{Aggregate, Discard, Null, Recorded, Recorder, Reply};
pub use shard::{Counts, Shard};
pub use snapshot::{Snapshot, SnapshotOptions};
pub use txn::{Asides, Expiry, Removed, Sweep, Txn, ValueMut, Writer};
pub use view::{Typed, View, Viewer};
