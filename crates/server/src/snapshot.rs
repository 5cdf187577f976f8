//! The data set as a dump, for replicas.

use bytes::Bytes;
use rdb::{EncodeError, Version};
use replication::Position;
use store::{Family, Keyspace, save};

use crate::engine::unix_ms;

/// Encodes everything as it is at this moment. The caller holds the writer, so that nothing changes meanwhile.
///
/// # Errors
/// A value that the dump's version cannot express.
pub fn dump(keyspace: &Keyspace, position: Option<Position>) -> Result<Vec<Bytes>, EncodeError> {
    // What Redis 7.0 and every later server can load; only fields with expiry and producers of streams need more.
    let mut result = encode(keyspace, position, Version::REDIS_10);
    for version in [Version::REDIS_12, Version::REDIS_13] {
        if let Err(EncodeError::FieldExpiry(_) | EncodeError::Producers) = result {
            result = encode(keyspace, position, version);
        }
    }
    result
}

fn encode(
    keyspace: &Keyspace,
    position: Option<Position>,
    version: Version,
) -> Result<Vec<Bytes>, EncodeError> {
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
    ];
    if let Some(position) = position {
        aux.push(("repl-stream-db", "0".to_owned()));
        aux.push(("repl-id", position.replid.to_string()));
        aux.push(("repl-offset", position.offset.to_string()));
    }
    aux.push(("aof-base", "0".to_owned()));
    let mut pieces = Vec::new();
    save::save(keyspace, version, &aux, |piece| pieces.push(Bytes::from(piece)))?;
    Ok(pieces)
}
