//! From the keyspace to a dump.

use rdb::{EncodeError, EncodeOptions, Encoder, ValueEncoder, Version};

use crate::access::Told;
use crate::entry::{EntryRef, ValueRef};
use crate::keyspace::Keyspace;
use crate::value::{Value, Zset};

/// Bytes of a dump that are handed on at a time.
const PIECE: usize = 256 * 1024;

/// What a dump says of its origin, in AUX fields.
pub type Aux<'a> = &'a [(&'a str, String)];

/// Writes every key of `keyspace`, expired ones included, and its function libraries; `sink` gets the bytes
/// piece by piece. The caller holds the gate ([`Keyspace::still`]) or is the writer, so that the dump is
/// one state.
///
/// # Errors
/// Something that this version of the format cannot say.
pub fn save(
    keyspace: &Keyspace,
    version: Version,
    aux: Aux<'_>,
    mut sink: impl FnMut(Vec<u8>),
) -> Result<(), EncodeError> {
    let mut dump = Encoder::new(version, EncodeOptions::default())?;
    for (name, value) in aux {
        dump.aux(name.as_bytes(), value.as_bytes());
    }
    for code in keyspace.functions() {
        dump.function(&code)?;
    }
    let told = Told::of(keyspace);
    for (index, db) in keyspace.existing() {
        let counts = db.counts();
        if counts.keys == 0 {
            continue;
        }
        dump.select_db(index.into());
        dump.resize_db(counts.keys as u64, counts.expires as u64);
        for shard in db.shards() {
            let shard = shard.read();
            for entry in shard.iter() {
                let value = dump.entry(entry.key(), told.meta(entry));
                save_value(entry, value)?;
                if dump.buffered() >= PIECE {
                    sink(dump.take());
                }
            }
        }
    }
    sink(dump.finish());
    Ok(())
}

/// Writes the value of an entry, as a dump or a DUMP payload holds it.
///
/// # Errors
/// Something that the encoder's version cannot say.
pub fn save_value(entry: EntryRef<'_>, out: ValueEncoder<'_>) -> Result<(), EncodeError> {
    match entry.value() {
        ValueRef::Inline(bytes) => out.string(bytes),
        ValueRef::Owned(value) => match value {
            Value::Raw(bytes) => out.string(bytes),
            Value::List(list) => list.save(out),
            Value::Set(set) => set.save(out),
            Value::Zset(zset) => save_zset(zset, out),
            Value::Hash(hash) => return hash.save(out),
            Value::Stream(stream) => return stream.save(out),
            Value::Module(bytes) => out.module(bytes),
        },
    }
    Ok(())
}

fn save_zset(zset: &Zset, out: ValueEncoder<'_>) {
    if let Some(packed) = zset.as_listpack() {
        return out.zset_listpack(packed);
    }
    let members: Vec<(Vec<u8>, f64)> = zset.iter().map(|(member, score)| (member.to_vec(), score)).collect();
    out.zset(members.len(), members.iter().map(|(member, score)| (member.as_slice(), *score)));
}
