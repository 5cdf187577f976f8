//! Sets: an intset, a listpack, or a table of members.
//!
//! A set of integers is an intset up to `set-max-intset-entries`; else a listpack while it has at most
//! `set-max-listpack-entries` members of at most `set-max-listpack-value` bytes (Redis 7.2; before, there were
//! no listpack sets, which a limit of 0 entries gives back); else a table. No set ever goes back.
//!
//! A table of few members is a listpack all the same, and a table to the outside alone: it takes a third of a table's
//! memory, and a walk through it no longer than a hash.

mod load;
mod save;

use rdb::encoding::{IntsetBuf, Item, ListpackBuf, ListpackIter, encoded_size, parse_canonical_i64};

use crate::limits::Limits;
use crate::value::table::Table;
use crate::value::wide;

/// No integer takes more bytes in a listpack.
const INTEGER: usize = 12;

/// A set.
#[derive(Debug, Clone)]
pub struct Set(Repr);

#[derive(Debug, Clone)]
enum Repr {
    Ints(IntsetBuf),
    Packed(ListpackBuf),
    /// A table to the outside: few members, of which some are long.
    Wide(ListpackBuf),
    Table(Box<Table<Box<[u8]>>>),
}

impl Default for Set {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Set {
    /// Without members, without memory.
    pub(crate) const EMPTY: Self = Self(Repr::Ints(IntsetBuf::new()));

    /// Members. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Ints(ints) => ints.len(),
            Repr::Packed(list) | Repr::Wide(list) => list.len(),
            Repr::Table(table) => table.len(),
        }
    }

    /// No members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Heap bytes, O(1).
    #[must_use]
    pub fn allocated(&self) -> usize {
        match &self.0 {
            Repr::Ints(ints) => ints.heap_bytes(),
            Repr::Packed(list) | Repr::Wide(list) => list.heap_bytes(),
            Repr::Table(table) => size_of::<Table<Box<[u8]>>>() + table.allocated(),
        }
    }

    /// The encoding that OBJECT ENCODING names.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Repr::Ints(_) => "intset",
            Repr::Packed(_) => "listpack",
            Repr::Wide(_) | Repr::Table(_) => "hashtable",
        }
    }

    /// Members and places of the hash table, if it is one.
    #[must_use]
    pub fn table_size(&self) -> Option<(usize, usize)> {
        match &self.0 {
            Repr::Ints(_) | Repr::Packed(_) => None,
            Repr::Wide(list) => Some((list.len(), list.len())),
            Repr::Table(table) => Some((table.len(), table.slots())),
        }
    }

    /// Whether `member` is among them. O(log n) in an intset, O(n) in a listpack, else O(1).
    #[must_use]
    pub fn contains(&self, member: &[u8]) -> bool {
        match &self.0 {
            Repr::Ints(ints) => parse_canonical_i64(member).is_some_and(|n| ints.contains(n)),
            Repr::Packed(list) | Repr::Wide(list) => list.as_listpack().find(member, 0).is_some(),
            Repr::Table(table) => table.get(member).is_some(),
        }
    }

    /// Members in the order of the encoding.
    #[must_use]
    pub fn iter(&self) -> Members<'_> {
        Members(match &self.0 {
            Repr::Ints(ints) => Walk::Ints(ints.iter()),
            Repr::Packed(list) | Repr::Wide(list) => Walk::Packed(list.iter()),
            Repr::Table(table) => Walk::Table(Box::new(table.iter())),
        })
    }

    /// Calls `f` with members from `cursor` on, at least `count` if so many are left; answers the next cursor, 0 at
    /// the end. A packed set goes whole. A member that stays throughout is met, whatever else changes.
    pub fn scan<'s>(&'s self, cursor: u64, count: usize, mut f: impl FnMut(Item<'s>)) -> u64 {
        if let Repr::Table(table) = &self.0 {
            return table.scan(cursor, count, |member| f(Item::Str(member)));
        }
        self.iter().for_each(f);
        0
    }

    /// A member, each as likely as the others. `below(n)` draws a number below `n`.
    #[must_use]
    pub fn random(&self, below: &mut dyn FnMut(usize) -> usize) -> Option<Item<'_>> {
        match &self.0 {
            Repr::Ints(ints) => ints.get(below(ints.len())).map(Item::Int),
            Repr::Packed(list) | Repr::Wide(list) => {
                list.as_listpack().get(i64::try_from(below(list.len())).ok()?)
            }
            Repr::Table(table) => table.random(below).map(|member| Item::Str(member)),
        }
    }

    /// Gets ready for so many members, of which some may be here already: what could not take them all, were they new
    /// and alone, becomes a table.
    pub fn make_room_for(&mut self, members: &[&[u8]], limits: &Limits) {
        let count = members.len() as i64;
        let is_new = self.is_empty();
        let starts_with_integer = members.first().is_some_and(|first| parse_canonical_i64(first).is_some());
        match &self.0 {
            Repr::Ints(_) if count <= limits.set_intset_entries() && (starts_with_integer || !is_new) => {}
            Repr::Ints(_) if is_new && count <= limits.set_entries() => {
                if starts_with_integer {
                    self.make_packed();
                }
            }
            Repr::Packed(_) if count <= limits.set_entries() => {}
            _ => {
                let bytes = members.iter().map(|member| encoded_size(member)).sum();
                self.make_wide_or_table(members.len(), bytes);
            }
        }
    }

    /// Adds a member; whether it is new.
    pub fn insert(&mut self, member: &[u8], limits: &Limits) -> bool {
        self.put(member, false, limits)
    }

    /// Adds a member that is certainly not there.
    pub(crate) fn add(&mut self, member: &[u8], limits: &Limits) {
        self.put(member, true, limits);
    }

    fn put(&mut self, member: &[u8], is_new: bool, limits: &Limits) -> bool {
        let integer = parse_canonical_i64(member);
        match (&mut self.0, integer) {
            (Repr::Ints(ints), Some(n)) => {
                if ints.contains(n) {
                    return false;
                }
                if (ints.len() as i64) < limits.set_intset_entries() {
                    return ints.insert(n).unwrap_or(false);
                }
                // As real servers do: too many integers go to a table, however short.
                self.make_wide_or_table(1, INTEGER);
            }
            (Repr::Ints(ints), None) => {
                let longest = ints.iter().next().into_iter().chain(ints.iter().next_back());
                let longest = longest.map(|n| Item::Int(n).len()).max().unwrap_or(0).max(member.len());
                if self.may_pack(longest, limits) {
                    self.make_packed();
                } else {
                    self.make_wide_or_table(1, encoded_size(member));
                }
            }
            (Repr::Packed(list), _) => {
                if !is_new && list.as_listpack().find(member, 0).is_some() {
                    return false;
                }
                if !self.may_pack(member.len(), limits) {
                    self.make_wide_or_table(1, encoded_size(member));
                }
            }
            (Repr::Wide(list), _) => {
                if !is_new && list.as_listpack().find(member, 0).is_some() {
                    return false;
                }
                self.make_wide_or_table(1, encoded_size(member));
            }
            (Repr::Table(_), _) => {}
        }
        match &mut self.0 {
            Repr::Ints(_) => false,
            Repr::Packed(list) | Repr::Wide(list) => list.push(member).is_ok(),
            Repr::Table(table) => {
                (is_new || table.get(member).is_none()) && table.insert(member.into()).is_none()
            }
        }
    }

    /// Gives back what growing has reserved: the set is complete.
    pub fn shrink(&mut self) {
        if let Repr::Packed(list) | Repr::Wide(list) = &mut self.0 {
            list.shrink();
        }
    }

    /// Removes a member; whether it was there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.0 {
            Repr::Ints(ints) => parse_canonical_i64(member).is_some_and(|n| ints.remove(n)),
            Repr::Packed(list) | Repr::Wide(list) => {
                let at = list.as_listpack().find(member, 0);
                at.map(|at| list.remove(at)).is_some()
            }
            Repr::Table(table) => table.remove(member).is_some(),
        }
    }

    /// Whether one more member may go into a listpack, the longest having `longest` bytes.
    fn may_pack(&self, longest: usize, limits: &Limits) -> bool {
        let bytes = match &self.0 {
            Repr::Ints(ints) => ints.len().saturating_mul(INTEGER),
            Repr::Packed(list) => list.bytes_len(),
            Repr::Wide(_) | Repr::Table(_) => return false,
        };
        (self.len() as i64) < limits.set_entries()
            && longest as i64 <= limits.set_value()
            && bytes.saturating_add(longest) < ListpackBuf::MAX_BYTES - 64
    }

    /// Becomes a table to the outside that takes so many members, of so many bytes, more.
    fn make_wide_or_table(&mut self, members: usize, bytes: usize) {
        let here = match &self.0 {
            Repr::Ints(ints) => ints.len().saturating_mul(INTEGER),
            Repr::Packed(list) | Repr::Wide(list) => list.bytes_len(),
            Repr::Table(_) => return,
        };
        if !wide::is_wide(self.len().saturating_add(members), here.saturating_add(bytes)) {
            return self.make_table();
        }
        if matches!(self.0, Repr::Ints(_)) {
            self.make_packed();
        }
        if let Repr::Packed(list) = &mut self.0 {
            self.0 = Repr::Wide(std::mem::take(list));
        }
    }

    fn make_packed(&mut self) {
        let mut list = ListpackBuf::new();
        for item in self.iter() {
            let done = list.push_item(item);
            debug_assert!(done.is_ok(), "`may_pack` has seen to it");
        }
        self.0 = Repr::Packed(list);
    }

    fn make_table(&mut self) {
        if matches!(self.0, Repr::Table(_)) {
            return;
        }
        let mut table = Table::new();
        for item in self.iter() {
            table.insert(item.to_bytes(&mut [0; 20]).into());
        }
        self.0 = Repr::Table(Box::new(table));
    }
}

/// Iterator over the members of a [`Set`].
pub struct Members<'a>(Walk<'a>);

enum Walk<'a> {
    Ints(rdb::encoding::IntsetIter<'a>),
    Packed(ListpackIter<'a>),
    Table(Box<dyn Iterator<Item = &'a Box<[u8]>> + 'a>),
}

impl<'a> Iterator for Members<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        match &mut self.0 {
            Walk::Ints(ints) => ints.next().map(Item::Int),
            Walk::Packed(items) => items.next(),
            Walk::Table(members) => members.next().map(|m| Item::Str(m)),
        }
    }
}

impl std::fmt::Debug for Members<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Members").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
