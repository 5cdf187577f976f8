//! Hashes: a listpack or a table, with or without expiring fields.

use rdb::encoding::{Listpack, Ziplist, Zipmap};

use crate::limits::Limits;

/// A hash.
#[derive(Debug, Default, Clone)]
pub struct Hash {}

impl Hash {
    /// Fields, expired ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        0
    }
    /// No fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        true
    }
    /// The name of the form, as OBJECT ENCODING tells it.
    #[must_use]
    pub fn encoding(&self) -> &'static str { "hashtable" }
    /// Heap bytes, O(1).
    #[must_use]
    pub fn allocated(&self) -> usize {
        0
    }
    /// Becomes this listpack.
    pub fn load_listpack(&mut self, all: Listpack<'_>, limits: &Limits) {
        let _ = (all, limits);
    }
    /// Becomes this listpack of triples.
    pub fn load_listpack_ex(&mut self, all: Listpack<'_>, limits: &Limits) {
        let _ = (all, limits);
    }
    /// Becomes this ziplist.
    pub fn load_ziplist(&mut self, all: Ziplist<'_>, limits: &Limits) {
        let _ = (all, limits);
    }
    /// Becomes this zipmap.
    pub fn load_zipmap(&mut self, all: Zipmap<'_>, limits: &Limits) {
        let _ = (all, limits);
    }
    /// So many fields may follow: a claim.
    pub fn expect(&mut self, n: u64, limits: &Limits) {
        let _ = (n, limits);
    }
    /// Sets a field; whether it is new.
    pub fn insert(&mut self, field: &[u8], value: &[u8], expire_ms: Option<i64>, limits: &Limits) -> bool {
        let _ = (field, value, expire_ms, limits);
        false
    }
}
