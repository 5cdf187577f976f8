//! Sets as dumps bring them.

use rdb::encoding::{Intset, IntsetBuf, Item, Listpack, ListpackBuf};

use super::{Repr, Set};
use crate::limits::Limits;

impl Set {
    /// Becomes this listpack.
    pub fn load_listpack(&mut self, all: Listpack<'_>, limits: &Limits) {
        let n = all.len();
        let longest = all.iter().map(|item| item.len()).max().unwrap_or(0);
        let short = n as i64 <= limits.set_entries() && longest as i64 <= limits.set_value();
        // A dump may be crafted: a member that stands twice sends it the long way.
        if short && super::super::all_differ(all.iter(), n) {
            self.0 = Repr::Packed(ListpackBuf::from_listpack(all));
            return;
        }
        for item in all {
            self.insert(item.to_bytes(&mut [0; 20]), limits);
        }
    }

    /// Becomes this intset.
    pub fn load_intset(&mut self, all: Intset<'_>, limits: &Limits) {
        if all.len() as i64 <= limits.set_intset_entries() {
            self.0 = Repr::Ints(IntsetBuf::from_intset(all));
            return;
        }
        self.make_table();
        for n in all {
            self.insert(Item::Int(n).to_bytes(&mut [0; 20]), limits);
        }
    }

    /// So many members may follow: a claim. It spares a detour, and allocates nothing.
    pub fn expect(&mut self, n: u64, limits: &Limits) {
        if i64::try_from(n).unwrap_or(i64::MAX) > limits.set_entries().max(limits.set_intset_entries()) {
            self.make_table();
        }
    }
}
