//! Walking a hash.

use rdb::encoding::{Item, ListpackIter};

use super::{Field, Hash, Repr, Row, deadline_of};

/// Iterator over fields and what is known of them.
pub struct Fields<'a> {
    walk: Walk<'a>,
    time: i64,
}

enum Walk<'a> {
    Packed(ListpackIter<'a>),
    Expiring(ListpackIter<'a>),
    Table(Box<dyn Iterator<Item = &'a Row> + 'a>),
}

impl<'a> Fields<'a> {
    pub(super) fn new(hash: &'a Hash, time: i64) -> Self {
        let walk = match &hash.0 {
            Repr::Packed(list) | Repr::Wide(list) => Walk::Packed(list.iter()),
            Repr::Expiring(list) => Walk::Expiring(list.iter()),
            Repr::Table(table) => Walk::Table(Box::new(table.iter())),
        };
        Self { walk, time }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Item<'a>, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (name, field) = match &mut self.walk {
                Walk::Packed(items) => {
                    return Some((items.next()?, Field { value: items.next()?, expire_ms: None }));
                }
                Walk::Expiring(items) => {
                    let (name, value) = (items.next()?, items.next()?);
                    (name, Field { value, expire_ms: deadline_of(items.next()) })
                }
                Walk::Table(entries) => {
                    let Row(entry) = entries.next()?;
                    (Item::Str(entry.key()), Field::of(entry))
                }
            };
            if let Some(field) = field.unless_past(self.time) {
                return Some((name, field));
            }
        }
    }
}

impl std::fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fields").field("time", &self.time).finish_non_exhaustive()
    }
}
