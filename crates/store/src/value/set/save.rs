//! Sets on their way into a dump: packed ones as they are, tables without a copy.

use rdb::ValueEncoder;

use super::{Repr, Set};

impl Set {
    /// Writes the members.
    pub fn save(&self, out: ValueEncoder<'_>) {
        match &self.0 {
            Repr::Ints(ints) => out.set_intset(ints.as_intset()),
            Repr::Packed(list) => out.set_listpack(list.as_listpack()),
            Repr::Table(table) => out.set(table.len(), table.iter().map(|member| &**member)),
        }
    }
}
