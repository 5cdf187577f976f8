//! Sets: an intset, a listpack or a table.

use rdb::encoding::{Intset, Listpack};

use crate::limits::Limits;

/// A set.
#[derive(Debug, Default, Clone)]
pub struct Set {}

impl Set {
    /// Without members, without memory.
    pub(crate) const EMPTY: Self = Self {};
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
    /// Becomes this intset.
    pub fn load_intset(&mut self, all: Intset<'_>, limits: &Limits) {
        let _ = (all, limits);
    }
    /// So many members may follow: a claim.
    pub fn expect(&mut self, n: u64, limits: &Limits) {
        let _ = (n, limits);
    }
    /// Adds a member; whether it is new.
    pub fn insert(&mut self, member: &[u8], limits: &Limits) -> bool {
        let _ = (member, limits);
        false
    }
}
