//! Deadlines of fields.

use rdb::encoding::{Item, ListpackBuf};

use super::{Hash, Repr, Row, write_deadline};
use crate::value::table::Table;

impl Hash {
    /// Sets or clears the deadline of a field; whether the field is there, hidden or not.
    pub fn set_expire(&mut self, field: &[u8], expire: Option<i64>) -> bool {
        let Some((_, old)) = self.find(field) else { return false };
        if old == expire {
            return true;
        }
        self.make_expiring();
        let at = self.find(field).and_then(|(at, _)| at);
        match (&mut self.0, at) {
            (Repr::Expiring(list), Some(at)) => {
                list.as_listpack().next(at).is_some_and(|at| write_deadline(list, at, expire))
            }
            (Repr::Table(table), _) => reinsert(table, field, expire),
            _ => false,
        }
    }

    /// Whether a field has a deadline. O(1) in a table, else O(fields).
    #[must_use]
    pub fn has_deadlines(&self) -> bool {
        match &self.0 {
            Repr::Packed(_) | Repr::Wide(_) => false,
            Repr::Expiring(_) => self.iter(i64::MIN).any(|(_, field)| field.expire_ms.is_some()),
            Repr::Table(table) => table.expiring() > 0,
        }
    }

    /// The soonest deadline. O(fields) if a field may have one.
    #[must_use]
    pub fn next_expiry(&self) -> Option<i64> {
        match &self.0 {
            Repr::Packed(_) | Repr::Wide(_) => None,
            Repr::Table(table) if table.expiring() == 0 => None,
            _ => self.iter(i64::MIN).filter_map(|(_, field)| field.expire_ms).min(),
        }
    }

    /// No later than the soonest deadline. O(1) in a table, else O(fields).
    #[must_use]
    pub fn soonest(&self) -> Option<i64> {
        match &self.0 {
            Repr::Packed(_) | Repr::Wide(_) => None,
            Repr::Expiring(_) => self.next_expiry(),
            Repr::Table(table) => table.soonest(),
        }
    }

    /// Removes up to `most` fields whose deadline is at or before `time`, and calls `f` with each.
    pub fn expire_until(&mut self, time: i64, most: usize, mut f: impl FnMut(&[u8])) -> usize {
        if !self.may_hide(time) {
            return 0;
        }
        let past: Vec<Vec<u8>> = self
            .iter(i64::MIN)
            .filter(|(_, field)| field.expire_ms.is_some_and(|at| at <= time))
            .take(most)
            .map(|(name, _)| name.to_vec())
            .collect();
        for name in &past {
            self.remove(name);
            f(name);
        }
        if let Repr::Table(table) = &mut self.0
            && past.len() < most
        {
            table.passed();
        }
        past.len()
    }

    /// Takes the form that Redis gives to a hash once a deadline was asked for, set or not.
    pub fn expect_deadlines(&mut self) {
        if let Repr::Packed(_) = &self.0 {
            self.make_expiring();
        }
    }

    /// A packed hash gets room for deadlines.
    pub(super) fn make_expiring(&mut self) {
        if let Repr::Wide(_) = &self.0 {
            self.make_table();
        }
        let Repr::Packed(list) = &self.0 else { return };
        let pairs = list.len() / 2;
        if !list.fits(pairs.saturating_mul(16)) {
            self.make_table();
            return;
        }
        let mut triples = ListpackBuf::with_capacity(list.bytes_len() + 2 * pairs);
        let mut done = Ok(());
        for (index, item) in list.iter().enumerate() {
            done = done.and_then(|()| match item {
                Item::Str(text) => triples.push(text),
                Item::Int(n) => triples.push_int(n),
            });
            if index % 2 == 1 {
                done = done.and_then(|()| triples.push_int(0));
            }
        }
        debug_assert!(done.is_ok(), "room has been checked");
        self.0 = Repr::Expiring(Box::new(triples));
    }
}

/// An entry whose size changes leaves the table and comes back, so that its accounts stay right.
fn reinsert(table: &mut Table<Row>, field: &[u8], expire: Option<i64>) -> bool {
    let Some(Row(mut entry)) = table.remove(field) else { return false };
    table.insert(Row(entry.with_expire(expire)));
    true
}
