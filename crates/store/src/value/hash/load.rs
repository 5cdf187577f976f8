//! Hashes as dumps bring them.

use rdb::encoding::{Item, Listpack, ListpackBuf, Ziplist, Zipmap};

use super::{FieldExpiry, Hash, Repr, deadline_of};
use crate::limits::Limits;

impl Hash {
    /// Becomes this listpack.
    pub fn load_listpack(&mut self, all: Listpack<'_>, limits: &Limits) {
        if within(all, 2, limits) {
            self.0 = Repr::Packed(ListpackBuf::from_listpack(all));
            return;
        }
        self.make_table();
        let mut items = all.iter();
        while let (Some(field), Some(value)) = (items.next(), items.next()) {
            self.insert_items(field, value, None, limits);
        }
    }

    /// Becomes this listpack of triples.
    pub fn load_listpack_ex(&mut self, all: Listpack<'_>, limits: &Limits) {
        if within(all, 3, limits) {
            self.0 = Repr::Expiring(Box::new(ListpackBuf::from_listpack(all)));
            return;
        }
        self.make_table();
        let mut items = all.iter();
        while let (Some(field), Some(value), deadline @ Some(_)) = (items.next(), items.next(), items.next())
        {
            self.insert_items(field, value, deadline_of(deadline), limits);
        }
    }

    /// Becomes this ziplist.
    pub fn load_ziplist(&mut self, all: Ziplist<'_>, limits: &Limits) {
        self.expect(all.len() as u64 / 2, limits);
        let mut items = all.iter();
        while let (Some(field), Some(value)) = (items.next(), items.next()) {
            self.insert_items(field, value, None, limits);
        }
    }

    /// Becomes this zipmap.
    pub fn load_zipmap(&mut self, all: Zipmap<'_>, limits: &Limits) {
        for (field, value) in all {
            self.insert(field, value, None, limits);
        }
    }

    /// So many fields may follow: a claim. It spares a detour, and allocates nothing.
    pub fn expect(&mut self, n: u64, limits: &Limits) {
        if i64::try_from(n).unwrap_or(i64::MAX) > limits.hash_entries() {
            self.make_table();
        } else if let Repr::Packed(list) = &mut self.0
            && list.is_empty()
        {
            // Growing by eighths is for those that live on.
            *list = ListpackBuf::with_capacity(usize::try_from(n).unwrap_or(0).saturating_mul(64).min(4096));
        }
    }

    /// Sets a field; whether it is new.
    pub fn insert(&mut self, field: &[u8], value: &[u8], expire_ms: Option<i64>, limits: &Limits) -> bool {
        self.set(field, value, FieldExpiry::Set(expire_ms), i64::MIN, limits)
    }

    fn insert_items(&mut self, field: Item<'_>, value: Item<'_>, expire_ms: Option<i64>, limits: &Limits) {
        self.insert(field.to_bytes(&mut [0; 20]), value.to_bytes(&mut [0; 20]), expire_ms, limits);
    }
}

/// Whether a blob may stay as it is: short enough, and no field twice (a dump may be crafted).
fn within(all: Listpack<'_>, stride: usize, limits: &Limits) -> bool {
    let fields = all.len() / stride;
    if fields as i64 > limits.hash_entries() {
        return false;
    }
    let texts = |index: &usize| index % stride < 2;
    let longest = all.iter().enumerate().filter(|(i, _)| texts(i)).map(|(_, item)| item.len()).max();
    if longest.unwrap_or(0) as i64 > limits.hash_value() {
        return false;
    }
    super::super::all_differ(all.iter().step_by(stride), fields)
}
