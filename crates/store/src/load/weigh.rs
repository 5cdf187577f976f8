//! What the entries of a dump would take here, without keeping them.

use std::sync::Arc;

use rdb::{EntryMeta, Part, Reject, Visitor, Want};

use super::Building;
use crate::entry::{Entry, MAX_INLINE, MAX_KEY};
use crate::keyspace::Keyspace;
use crate::value::Value;

/// A slot of the table at two thirds of load, as MEMORY USAGE counts it.
const SLOT: usize = 14;

/// Builds a value at a time from the parts of a dump, and tells its weight.
///
/// Whoever is the decoder's visitor passes `entry` and `part` on to it, and asks at the end of each entry.
#[derive(Debug)]
pub struct Weigher {
    keyspace: Arc<Keyspace>,
    key: Vec<u8>,
    expire: Option<i64>,
    building: Building,
}

impl Default for Weigher {
    fn default() -> Self {
        let (keyspace, _) = Keyspace::new(1);
        Self { keyspace, key: Vec::new(), expire: None, building: Building::Nothing }
    }
}

/// What an entry comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight {
    /// Bytes, as MEMORY USAGE tells them.
    pub bytes: usize,
    /// Elements, members, fields or entries; bytes of a string.
    pub len: usize,
}

impl Weigher {
    /// The entry is complete: what it comes to. `None` if it is of a kind that this keyspace does not know.
    #[must_use]
    pub fn weigh(&mut self) -> Option<Weight> {
        let building = std::mem::replace(&mut self.building, Building::Nothing);
        if let Building::String { bytes } = &building
            && bytes.len() <= MAX_INLINE
        {
            let weight = Entry::inline(&self.key, bytes, self.expire).weight();
            return Some(Weight { bytes: weight + SLOT, len: bytes.len() });
        }
        let value = building.finish(self.keyspace.limits())?;
        let len = match &value {
            Value::Raw(bytes) => bytes.len(),
            Value::List(list) => list.len(),
            Value::Set(set) => set.len(),
            Value::Zset(zset) => zset.len(),
            Value::Hash(hash) => hash.len(),
            Value::Stream(stream) => stream.len(),
            Value::Module(bytes) => bytes.len(),
        };
        let weight = Entry::owned(&self.key, Box::new(value), self.expire).weight();
        Some(Weight { bytes: weight + SLOT, len })
    }
}

impl Visitor for Weigher {
    fn entry(&mut self, key: &[u8], meta: &EntryMeta) -> Result<Want, Reject> {
        if key.len() > MAX_KEY {
            return Err(Reject("a key longer than this keyspace holds"));
        }
        self.key.clear();
        self.key.extend_from_slice(key);
        self.expire = meta.expire_ms;
        self.building = Building::of(meta.kind).unwrap_or(Building::Nothing);
        Ok(Want::Packed)
    }

    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        self.building.part(part, self.keyspace.limits())
    }
}
