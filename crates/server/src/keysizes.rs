//! How long values are, by type: INFO keysizes.

use std::collections::BTreeMap;

use store::value::Value;
use store::{EntryRef, ShardSet, ValueRef, View, Viewer};

use crate::engine::Engine;

/// Keys looked at before other threads are given a chance.
const STEP: usize = 1024;
/// The types that are told of, as INFO names them and what of them is counted.
const TYPES: [&str; 5] = ["strings_sizes", "lists_items", "sets_items", "zsets_items", "hashes_items"];

/// Keys by the length of their values, each bin up to twice the one before; those of nothing are in bin 0, those of 1
/// in bin 1.
type Bins = BTreeMap<u32, u64>;

/// The place among [`TYPES`], and the length.
fn measure(entry: EntryRef<'_>) -> Option<(usize, u64)> {
    let (place, length) = match entry.value() {
        ValueRef::Inline(bytes) => (0, bytes.len()),
        ValueRef::Owned(Value::Raw(bytes)) => (0, bytes.len()),
        ValueRef::Owned(Value::List(list)) => (1, list.len()),
        ValueRef::Owned(Value::Set(set)) => (2, set.len()),
        ValueRef::Owned(Value::Zset(zset)) => (3, zset.len()),
        ValueRef::Owned(Value::Hash(hash)) => (4, hash.len()),
        ValueRef::Owned(Value::Stream(_) | Value::Module(_)) => return None,
    };
    Some((place, length as u64))
}

/// The least length of a bin, as INFO spells it.
fn spelled(bin: u32) -> String {
    match bin {
        0 => "0".to_owned(),
        1..=10 => (1_u64 << (bin - 1)).to_string(),
        11..=20 => format!("{}K", 1_u64 << (bin - 11)),
        21..=30 => format!("{}M", 1_u64 << (bin - 21)),
        31..=40 => format!("{}G", 1_u64 << (bin - 31)),
        _ => format!("{}T", 1_u64 << (bin - 41).min(23)),
    }
}

impl Engine {
    /// The lines of INFO keysizes. It walks over all keys, a shard's lock for a moment each: not within a transaction.
    pub(crate) fn key_sizes(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (db, _) in self.keyspace.existing() {
            let mut all: [Bins; TYPES.len()] = Default::default();
            let view = View::new(&self.keyspace, &ShardSet::none(), Viewer::Client, db);
            let mut cursor = 0;
            loop {
                cursor = view.scan(db, cursor, STEP, |entry| {
                    if let Some((place, length)) = measure(entry)
                        && let Some(bins) = all.get_mut(place)
                    {
                        *bins.entry(u64::BITS - length.leading_zeros()).or_default() += 1;
                    }
                });
                if cursor == 0 {
                    break;
                }
                std::thread::yield_now();
            }
            for (name, bins) in TYPES.iter().zip(&all).filter(|(_, bins)| !bins.is_empty()) {
                let bins: Vec<String> =
                    bins.iter().map(|(bin, keys)| format!("{}={keys}", spelled(*bin))).collect();
                lines.push(format!("db{db}_distrib_{name}:{}", bins.join(",")));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_named_by_their_least_length() {
        let bin = |length: u64| spelled(u64::BITS - length.leading_zeros());
        let names = [0, 1, 2, 3, 4, 512, 1023, 1024, 2047, 2048, 1 << 20, 1 << 30].map(bin);
        assert_eq!(names, ["0", "1", "2", "2", "4", "512", "512", "1K", "1K", "2K", "1M", "1G"]);
    }
}
