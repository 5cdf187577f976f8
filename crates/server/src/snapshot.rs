//! The data set as a dump: for replicas and for files.

use bytes::Bytes;
use rdb::Version;
use replication::{Position, Replica};
use store::snapshot::{Snapshot, SnapshotError};
use store::{Family, Keyspace, SnapshotOptions};

use crate::engine::{Writing, unix_ms};

/// The keyspace at a moment, and where it stands in its history.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) snapshot: Snapshot,
    pub(crate) position: Position,
    /// The database that the stream has selected there.
    pub(crate) stream_db: Option<u32>,
}

impl Cut {
    /// Cuts, with the writer in hand. `None` while another snapshot is being taken.
    pub(crate) fn make(writing: &mut Writing, options: SnapshotOptions) -> Option<Self> {
        let snapshot = writing.writer.cut(options)?;
        Some(Self { snapshot, position: writing.primary.position(), stream_db: writing.primary.stream_db() })
    }

    /// Writes the dump piece by piece, with some fields more than every dump has.
    ///
    /// # Errors
    /// [`SnapshotError`]
    pub(crate) fn write<E>(
        self,
        keyspace: &Keyspace,
        notes: &[(&'static str, String)],
        mut sink: impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), SnapshotError<E>> {
        let personality = keyspace.compat().differences();
        let version_of = match personality.family {
            Family::Redis => "redis-ver",
            Family::Valkey => "valkey-ver",
        };
        let mut aux = vec![
            (version_of, personality.version.to_owned()),
            ("redis-bits", usize::BITS.to_string()),
            ("ctime", (unix_ms() / 1000).to_string()),
            ("used-mem", keyspace.counts().bytes.to_string()),
            ("repl-stream-db", self.stream_db.unwrap_or(0).to_string()),
            ("repl-id", self.position.replid.to_string()),
            ("repl-offset", self.position.offset.to_string()),
            ("aof-base", "0".to_owned()),
        ];
        aux.extend_from_slice(notes);
        self.snapshot.write(&aux, |piece| sink(Bytes::from(piece)))
    }
}

/// What a replica can load, by what it has said of itself. One that has said nothing is a Redis, 7.0 at least.
pub(crate) fn version_for(replica: &Replica) -> Version {
    let major = |version: &String| version.split('.').next().and_then(|n| n.parse::<u32>().ok());
    match replica.version.as_ref().and_then(major) {
        Some(9..) => Version::VALKEY_80,
        Some(_) => Version::REDIS_11,
        None if replica.rdb_channel => Version::REDIS_12,
        None => Version::REDIS_10,
    }
}
