//! Sets on their way into a dump: packed ones as they are, tables without a copy.

use rdb::ValueEncoder;

use super::{Repr, Set};

impl Set {
    /// Writes the members.
    pub fn save(&self, out: ValueEncoder<'_>) {
        match &self.0 {
            Repr::Ints(ints) => out.set_intset(ints.as_intset()),
            Repr::Packed(list) => out.set_listpack(list.as_listpack()),
            // Longer than a reader would keep packed, so it gets what it would make of it.
            Repr::Wide(list) => {
                let members: Vec<Vec<u8>> = list.iter().map(|item| item.to_vec()).collect();
                out.set(members.len(), members.iter().map(Vec::as_slice));
            }
            Repr::Table(table) => out.set(table.len(), table.iter().map(|member| &**member)),
        }
    }
}
