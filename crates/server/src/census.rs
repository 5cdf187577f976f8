//! What only a walk over all keys can tell: memory by type, and the biggest keys.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

use store::{EntryRef, ShardSet, View, Viewer};

use crate::engine::Engine;

/// Keys looked at before other threads are given a chance.
const STEP: usize = 1024;

/// What a walk found.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Census {
    /// Types that occur, as TYPE names them.
    pub types: Vec<OfType>,
    /// The biggest keys, biggest first.
    pub biggest: Vec<BigKey>,
    /// How long it took.
    pub took: Duration,
}

/// Keys of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OfType {
    /// The type's name.
    pub name: &'static str,
    /// How many there are.
    pub keys: u64,
    /// Their bytes, as MEMORY USAGE tells them but for the tables' share.
    pub bytes: u64,
}

/// A big key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct BigKey {
    /// Its bytes.
    pub bytes: u64,
    /// Its database.
    pub db: u32,
    /// Its name.
    pub key: Vec<u8>,
    /// Its type.
    pub name: &'static str,
}

/// A command that took long, as SLOWLOG remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlowCommand {
    /// Its number.
    pub id: u64,
    /// When it ran, in Unix seconds.
    pub at: i64,
    /// How long, in microseconds.
    pub micros: u64,
    /// Its words, shortened, without passwords.
    pub args: Vec<Vec<u8>>,
    /// The client's address.
    pub client: String,
}

impl Engine {
    /// Walks over all keys, a shard's lock for a moment each: for a thread that may take its time. Keys that come or go
    /// meanwhile may or may not be counted.
    #[must_use]
    pub fn census(&self, biggest: usize) -> Census {
        let began = Instant::now();
        let mut types: BTreeMap<&'static str, (u64, u64)> = BTreeMap::new();
        let mut heap: BinaryHeap<Reverse<BigKey>> = BinaryHeap::new();
        for (db, _) in self.keyspace().existing() {
            let view = View::new(self.keyspace(), &ShardSet::none(), Viewer::Client, db);
            let mut cursor = 0;
            loop {
                cursor = view.scan(db, cursor, STEP, |entry: EntryRef<'_>| {
                    let (name, bytes) = (entry.type_name(), entry.weight() as u64);
                    let sum = types.entry(name).or_default();
                    *sum = (sum.0 + 1, sum.1 + bytes);
                    if heap.len() < biggest || heap.peek().is_some_and(|Reverse(least)| bytes > least.bytes) {
                        heap.push(Reverse(BigKey { bytes, db, key: entry.key().to_vec(), name }));
                        if heap.len() > biggest {
                            heap.pop();
                        }
                    }
                });
                if cursor == 0 {
                    break;
                }
                std::thread::yield_now();
            }
        }
        let mut biggest: Vec<BigKey> = heap.into_iter().map(|Reverse(key)| key).collect();
        biggest.sort_unstable_by(|a, b| b.cmp(a));
        let types = types.into_iter().map(|(name, (keys, bytes))| OfType { name, keys, bytes }).collect();
        Census { types, biggest, took: began.elapsed() }
    }

    /// The last commands that SLOWLOG remembers, the newest first.
    #[must_use]
    pub fn slow_commands(&self, most: usize) -> Vec<SlowCommand> {
        let logged = self.observed.logs.first().map(|log| log.newest(most)).unwrap_or_default();
        let of = |l: crate::observed::Logged| SlowCommand {
            id: l.id,
            at: l.at,
            micros: l.amount,
            args: l.args,
            client: l.addr,
        };
        logged.into_iter().map(of).collect()
    }
}
