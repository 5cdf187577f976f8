//! Hashes: a listpack, or a table of entries.
//!
//! ```text
//! Packed     field, value, field, value, ...            small, in order of insertion
//! Expiring   field, value, deadline, field, ...         the same once a field has expired or may; 0: never
//! Wide       field, value, field, value, ...            few but long: a table to the outside, at two thirds of its memory
//! Table      Entry { field, value, deadline }           large; one allocation a field
//! ```
//!
//! Deadlines are Unix milliseconds. Operations take the time by which to hide fields: one whose deadline is at
//! or before it is not there for `get` and `iter`, and [`Hash::set`] counts it as new. `i64::MIN` hides none.

mod expiry;
mod iter;
mod load;
mod save;

pub use iter::Fields;

use rdb::encoding::{Item, ListpackBuf, Pos};

use crate::entry::{Entry, MAX_INLINE, MAX_KEY, ValueRef};
use crate::limits::Limits;
use crate::value::Value;
use crate::value::table::{Named, Table};
use crate::value::wide;

/// A hash.
#[derive(Debug, Default, Clone)]
pub struct Hash(Repr);

#[derive(Debug, Clone)]
enum Repr {
    Packed(ListpackBuf),
    Wide(ListpackBuf),
    Expiring(Box<ListpackBuf>),
    Table(Box<Table<Row>>),
}

impl Default for Repr {
    fn default() -> Self {
        Self::Packed(ListpackBuf::new())
    }
}

/// A field that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its value.
    pub value: Item<'a>,
    /// Unix milliseconds at which it expires.
    pub expire_ms: Option<i64>,
}

impl<'a> Field<'a> {
    fn unless_past(self, time: i64) -> Option<Self> {
        self.expire_ms.is_none_or(|at| at > time).then_some(self)
    }

    fn of(entry: &'a Entry) -> Self {
        Self { value: Item::Str(value_of(entry)), expire_ms: entry.expire() }
    }
}

/// What to do with the deadline of a field that gets a new value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldExpiry {
    /// Leave it as it is.
    Keep,
    /// This one, or none.
    Set(Option<i64>),
}

impl Hash {
    /// Fields, expired ones included. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Packed(list) | Repr::Wide(list) => list.len() / 2,
            Repr::Expiring(list) => list.len() / 3,
            Repr::Table(table) => table.len(),
        }
    }

    /// No fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Repr::Packed(list) | Repr::Wide(list) => list.is_empty(),
            Repr::Expiring(list) => list.is_empty(),
            Repr::Table(table) => table.len() == 0,
        }
    }

    /// Heap bytes, O(1).
    #[must_use]
    pub fn allocated(&self) -> usize {
        match &self.0 {
            Repr::Packed(list) | Repr::Wide(list) => list.heap_bytes(),
            Repr::Expiring(list) => size_of::<ListpackBuf>() + list.heap_bytes(),
            Repr::Table(table) => size_of::<Table<Row>>() + table.allocated(),
        }
    }

    /// The encoding that OBJECT ENCODING names.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Repr::Packed(_) => "listpack",
            Repr::Expiring(_) => "listpackex",
            Repr::Wide(_) | Repr::Table(_) => "hashtable",
        }
    }

    /// Fields and places of the hash table, if it is one.
    #[must_use]
    pub fn table_size(&self) -> Option<(usize, usize)> {
        match &self.0 {
            Repr::Table(table) => Some((table.len(), table.slots())),
            Repr::Wide(list) => Some((list.len() / 2, list.len() / 2)),
            Repr::Packed(_) | Repr::Expiring(_) => None,
        }
    }

    /// The field, unless its deadline is at or before `time`. O(1) in a table, else O(fields).
    #[must_use]
    pub fn get(&self, field: &[u8], time: i64) -> Option<Field<'_>> {
        match &self.0 {
            Repr::Packed(list) | Repr::Wide(list) => {
                let list = list.as_listpack();
                let value = list.at(list.next(list.find(field, 1)?)?)?;
                Some(Field { value, expire_ms: None })
            }
            Repr::Expiring(list) => {
                let list = list.as_listpack();
                let at = list.next(list.find(field, 2)?)?;
                let deadline = list.next(at).and_then(|at| list.at(at));
                Field { value: list.at(at)?, expire_ms: deadline_of(deadline) }.unless_past(time)
            }
            Repr::Table(table) => table.get(field).map(|row| Field::of(&row.0))?.unless_past(time),
        }
    }

    /// Fields whose deadline is not at or before `time`, in the order of the encoding.
    #[must_use]
    pub fn iter(&self, time: i64) -> Fields<'_> {
        Fields::new(self, time)
    }

    /// Fields that [`iter`](Self::iter) gives. O(1) unless fields expire.
    #[must_use]
    pub fn visible(&self, time: i64) -> usize {
        match &self.0 {
            Repr::Packed(_) | Repr::Wide(_) => self.len(),
            _ if !self.may_hide(time) => self.len(),
            _ => self.iter(time).count(),
        }
    }

    /// Whether fields may be hidden at `time`. O(1).
    #[must_use]
    pub fn may_hide(&self, time: i64) -> bool {
        time != i64::MIN
            && match &self.0 {
                Repr::Packed(_) | Repr::Wide(_) => false,
                Repr::Expiring(_) => true,
                Repr::Table(table) => table.expiring() > 0,
            }
    }

    /// Calls `f` with fields from `cursor` on, at least `count` if so many are left; answers the next cursor, 0 at
    /// the end. A packed hash goes whole. A field that stays throughout is met, whatever else changes.
    pub fn scan<'h, F>(&'h self, cursor: u64, count: usize, time: i64, mut f: F) -> u64
    where
        F: FnMut(Item<'h>, Item<'h>),
    {
        if let Repr::Table(table) = &self.0 {
            return table.scan(cursor, count, |Row(entry)| {
                if let Some(field) = Field::of(entry).unless_past(time) {
                    f(Item::Str(entry.key()), field.value);
                }
            });
        }
        self.iter(time).for_each(|(field, found)| f(field, found.value));
        0
    }

    /// A field, each as likely as the others, hidden ones included. `below(n)` draws a number below `n`.
    #[must_use]
    pub fn random(&self, below: &mut dyn FnMut(usize) -> usize) -> Option<(Item<'_>, Field<'_>)> {
        match &self.0 {
            Repr::Packed(list) | Repr::Wide(list) => packed_at(list, below(self.len()), 2),
            Repr::Expiring(list) => packed_at(list, below(self.len()), 3),
            Repr::Table(table) => {
                let Row(entry) = table.random(below)?;
                Some((Item::Str(entry.key()), Field::of(entry)))
            }
        }
    }

    /// Sets a field; whether it is new to a viewer who hides deadlines at or before `time`. A field longer than
    /// [`MAX_KEY`] is not taken.
    pub fn set(
        &mut self,
        field: &[u8],
        value: &[u8],
        expiry: FieldExpiry,
        time: i64,
        limits: &Limits,
    ) -> bool {
        let old = self.find(field);
        self.put(field, value, expiry, old, time, limits)
    }

    /// Adds a field that is certainly not there.
    pub(crate) fn add(&mut self, field: &[u8], value: &[u8], expire: Option<i64>, limits: &Limits) {
        self.put(field, value, FieldExpiry::Set(expire), None, i64::MIN, limits);
    }

    /// Sets a field that `find` has found, or not.
    fn put(
        &mut self,
        field: &[u8],
        value: &[u8],
        expiry: FieldExpiry,
        old: Option<(Option<Pos>, Option<i64>)>,
        time: i64,
        limits: &Limits,
    ) -> bool {
        if field.len() > MAX_KEY {
            return false;
        }
        let is_new = old.is_none_or(|(_, expire)| expire.is_some_and(|at| at <= time));
        let expire = match expiry {
            FieldExpiry::Set(expire) => expire,
            FieldExpiry::Keep if is_new => None,
            FieldExpiry::Keep => old.and_then(|(_, expire)| expire),
        };
        let form = std::mem::discriminant(&self.0);
        if expire.is_some() {
            self.make_expiring();
        }
        let long = field.len().max(value.len());
        self.make_room(field.len() + value.len(), long as i64 > limits.hash_value());
        let place = if std::mem::discriminant(&self.0) == form {
            old.and_then(|(at, _)| at)
        } else {
            old.and_then(|_| self.find(field)).and_then(|(at, _)| at)
        };
        let done = match (&mut self.0, place) {
            (Repr::Packed(list) | Repr::Wide(list), Some(at)) => list.replace(at, value).is_ok(),
            (Repr::Expiring(list), Some(at)) => {
                list.replace(at, value).is_ok()
                    && list.as_listpack().next(at).is_some_and(|at| write_deadline(list, at, expire))
            }
            (Repr::Packed(list) | Repr::Wide(list), None) => {
                list.push(field).is_ok() && list.push(value).is_ok()
            }
            (Repr::Expiring(list), None) => {
                list.push(field).is_ok()
                    && list.push(value).is_ok()
                    && list.push_int(expire.unwrap_or(0)).is_ok()
            }
            (Repr::Table(table), _) => {
                table.insert(Row::new(field, value, expire));
                true
            }
        };
        debug_assert!(done, "`fits` has seen to it");
        if self.len() as i64 > limits.hash_entries() {
            self.make_room(0, true);
        }
        is_new
    }

    /// Removes a field, hidden or not; its deadline if it was there.
    pub fn remove(&mut self, field: &[u8]) -> Option<Option<i64>> {
        let (_, expire) = self.find(field)?;
        match &mut self.0 {
            Repr::Packed(list) | Repr::Wide(list) => {
                let at = list.as_listpack().find(field, 1)?;
                list.remove_range(at, 2);
            }
            Repr::Expiring(list) => {
                let at = list.as_listpack().find(field, 2)?;
                list.remove_range(at, 3);
            }
            Repr::Table(table) => {
                table.remove(field)?;
            }
        }
        Some(expire)
    }

    /// Where the value stands, if packed, and the deadline.
    fn find(&self, field: &[u8]) -> Option<(Option<Pos>, Option<i64>)> {
        match &self.0 {
            Repr::Packed(list) | Repr::Wide(list) => {
                let list = list.as_listpack();
                Some((list.next(list.find(field, 1)?), None))
            }
            Repr::Expiring(list) => {
                let list = list.as_listpack();
                let at = list.next(list.find(field, 2)?)?;
                Some((Some(at), deadline_of(list.next(at).and_then(|at| list.at(at)))))
            }
            Repr::Table(table) => table.get(field).map(|row| (None, row.0.expire())),
        }
    }

    /// Takes a form that has room for so many bytes more; `beyond` the limits of the small forms, one that servers
    /// call a table.
    fn make_room(&mut self, bytes: usize, beyond: bool) {
        let is_wide = |list: &ListpackBuf| wide::is_wide(list.len() / 2, list.bytes_len() + bytes);
        match &mut self.0 {
            Repr::Packed(list) if beyond && is_wide(list) => self.0 = Repr::Wide(std::mem::take(list)),
            Repr::Packed(list) if !beyond && list.fits(bytes + 64) => {}
            Repr::Expiring(list) if !beyond && list.fits(bytes + 64) => {}
            Repr::Wide(list) if is_wide(list) => {}
            _ => self.make_table(),
        }
    }

    /// Gives back what growing has reserved: the hash is complete.
    pub fn shrink(&mut self) {
        match &mut self.0 {
            Repr::Packed(list) | Repr::Wide(list) => list.shrink(),
            Repr::Expiring(list) => list.shrink(),
            Repr::Table(_) => {}
        }
    }

    fn make_table(&mut self) {
        if matches!(self.0, Repr::Table(_)) {
            return;
        }
        let mut table = Table::new();
        for (field, found) in self.iter(i64::MIN) {
            let value = found.value;
            table.insert(Row::new(
                field.to_bytes(&mut [0; 20]),
                value.to_bytes(&mut [0; 20]),
                found.expire_ms,
            ));
        }
        self.0 = Repr::Table(Box::new(table));
    }
}

/// A field in a table: name, value and deadline in one allocation unless the value is long.
#[derive(Debug)]
struct Row(Entry);

impl Row {
    fn new(field: &[u8], value: &[u8], expire: Option<i64>) -> Self {
        Self(if value.len() <= MAX_INLINE {
            Entry::inline(field, value, expire)
        } else {
            Entry::owned(field, Box::new(Value::Raw(std::sync::Arc::new(value.to_vec()))), expire)
        })
    }
}

impl Clone for Row {
    fn clone(&self) -> Self {
        Self::new(self.0.key(), value_of(&self.0), self.0.expire())
    }
}

impl Named for Row {
    fn name(&self) -> &[u8] {
        self.0.key()
    }

    fn heap(&self) -> usize {
        self.0.weight()
    }

    fn deadline(&self) -> Option<i64> {
        self.0.expire()
    }
}

fn value_of(entry: &Entry) -> &[u8] {
    match entry.value() {
        ValueRef::Inline(bytes) => bytes,
        ValueRef::Owned(Value::Raw(bytes)) => bytes,
        ValueRef::Owned(_) => &[],
    }
}

fn packed_at(list: &ListpackBuf, index: usize, stride: usize) -> Option<(Item<'_>, Field<'_>)> {
    let list = list.as_listpack();
    let mut items = list.iter_at(list.seek(i64::try_from(index * stride).ok()?)?);
    let (field, value) = (items.next()?, items.next()?);
    let deadline = if stride == 3 { items.next() } else { None };
    Some((field, Field { value, expire_ms: deadline_of(deadline) }))
}

fn deadline_of(item: Option<Item<'_>>) -> Option<i64> {
    item?.as_int().filter(|at| *at != 0)
}

fn write_deadline(list: &mut ListpackBuf, at: Pos, expire: Option<i64>) -> bool {
    list.replace_int(at, expire.unwrap_or(0)).is_ok()
}

#[cfg(test)]
mod tests;
