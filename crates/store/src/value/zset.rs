//! Sorted sets: a listpack, or an order-statistics tree beside a table.

use rdb::encoding::{Listpack, Ziplist};

use crate::limits::Limits;

/// A sorted set.
#[derive(Debug, Default, Clone)]
pub struct Zset {}

impl Zset {
    /// Members.
    #[must_use]
    pub fn len(&self) -> usize {
        0
    }
    /// No members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        true
    }
    /// The name of the form, as OBJECT ENCODING tells it.
    #[must_use]
    pub fn encoding(&self) -> &'static str { "skiplist" }
    /// Heap bytes, O(1).
    #[must_use]
    pub fn allocated(&self) -> usize {
        0
    }
    /// Becomes this listpack.
    pub fn load_listpack(&mut self, all: Listpack<'_>, limits: &Limits) {
        let _ = (all, limits);
    }
    /// Becomes this ziplist.
    pub fn load_ziplist(&mut self, all: Ziplist<'_>, limits: &Limits) {
        let _ = (all, limits);
    }
    /// So many members may follow: a claim.
    pub fn expect(&mut self, n: u64, limits: &Limits) {
        let _ = (n, limits);
    }
    /// Adds or moves a member; whether it is new.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: &Limits) -> bool {
        let _ = (member, score, limits);
        false
    }
}
