//! A map in the order of its keys: a few entries in a row, many in a tree.
//!
//! A node of the standard library's tree has room for eleven entries, however many there are: a stream of one node and
//! one group took 3 KiB of such rooms.

use std::borrow::Borrow;
use std::collections::{BTreeMap, btree_map};
use std::ops::{Bound, RangeBounds};
use std::slice;

/// So many entries stand in a row at most: finding and moving so few takes no longer than a step in a tree.
const FEW: usize = 8;
/// A tree of so many becomes a row again.
const FEW_AGAIN: usize = 4;

/// A map in the order of its keys, small while it has few of them.
#[derive(Debug, Clone)]
pub struct Sorted<K, V>(Form<K, V>);

#[derive(Debug, Clone)]
enum Form<K, V> {
    Few(Vec<(K, V)>),
    Many(BTreeMap<K, V>),
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self(Form::Few(Vec::new()))
    }
}

impl<K: Ord, V> Sorted<K, V> {
    /// Entries. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Few(row) => row.len(),
            Form::Many(tree) => tree.len(),
        }
    }

    /// No entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Heap bytes beside what keys and values have of their own: exact of a row, of a tree as it is on average, whose
    /// nodes are two thirds full. O(1).
    #[must_use]
    pub fn allocated(&self) -> usize {
        match &self.0 {
            Form::Few(row) => row.capacity() * size_of::<(K, V)>(),
            Form::Many(tree) => tree.len() * size_of::<(K, V)>() * 3 / 2,
        }
    }

    /// The value of a key. O(log n), as all that follows unless it says otherwise.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.get_key_value(key).map(|(_, value)| value)
    }

    /// The same with the key as it stands here.
    #[must_use]
    pub fn get_key_value<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        match &self.0 {
            Form::Few(row) => {
                place(row, key).ok().and_then(|at| row.get(at)).map(|(key, value)| (key, value))
            }
            Form::Many(tree) => tree.get_key_value(key),
        }
    }

    /// The value of a key, to change.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        match &mut self.0 {
            Form::Few(row) => place(row, key).ok().and_then(|at| row.get_mut(at)).map(|(_, value)| value),
            Form::Many(tree) => tree.get_mut(key),
        }
    }

    /// Whether the key is there.
    #[must_use]
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// Sets a value; the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if let Form::Few(row) = &mut self.0 {
            match place(row, &key) {
                Ok(at) => return row.get_mut(at).map(|(_, old)| std::mem::replace(old, value)),
                Err(at) if row.len() < FEW => {
                    if row.len() == row.capacity() {
                        row.reserve_exact(if row.len() < 2 { 1 } else { 2 });
                    }
                    row.insert(at, (key, value));
                    return None;
                }
                Err(_) => self.0 = Form::Many(std::mem::take(row).into_iter().collect()),
            }
        }
        match &mut self.0 {
            Form::Few(_) => None,
            Form::Many(tree) => tree.insert(key, value),
        }
    }

    /// Takes a key out; its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        match &mut self.0 {
            Form::Few(row) => {
                let (_, value) = place(row, key).ok().map(|at| row.remove(at))?;
                if row.len() <= row.capacity() / 2 {
                    row.shrink_to_fit();
                }
                Some(value)
            }
            Form::Many(tree) => {
                let value = tree.remove(key)?;
                if tree.len() <= FEW_AGAIN {
                    self.0 = Form::Few(std::mem::take(tree).into_iter().collect());
                }
                Some(value)
            }
        }
    }

    /// The entries, in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, K, V> {
        match &self.0 {
            Form::Few(row) => Iter::Few(row.iter()),
            Form::Many(tree) => Iter::Many(tree.iter()),
        }
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator {
        self.iter().map(|(_, value)| value)
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator {
        self.iter().map(|(key, _)| key)
    }

    /// The first entry.
    #[must_use]
    pub fn first_key_value(&self) -> Option<(&K, &V)> {
        self.iter().next()
    }

    /// The last entry.
    #[must_use]
    pub fn last_key_value(&self) -> Option<(&K, &V)> {
        self.iter().next_back()
    }

    /// The first value, to change.
    pub fn first_mut(&mut self) -> Option<&mut V> {
        match &mut self.0 {
            Form::Few(row) => row.first_mut().map(|(_, value)| value),
            Form::Many(tree) => tree.first_entry().map(btree_map::OccupiedEntry::into_mut),
        }
    }

    /// The last value, to change.
    pub fn last_mut(&mut self) -> Option<&mut V> {
        match &mut self.0 {
            Form::Few(row) => row.last_mut().map(|(_, value)| value),
            Form::Many(tree) => tree.last_entry().map(btree_map::OccupiedEntry::into_mut),
        }
    }

    /// The entry of this key or of the last one before it.
    #[must_use]
    pub fn up_to(&self, key: &K) -> Option<(&K, &V)> {
        self.range((Bound::Unbounded, Bound::Included(key))).next_back()
    }

    /// The same, to change.
    pub fn up_to_mut(&mut self, key: &K) -> Option<(&K, &mut V)> {
        match &mut self.0 {
            Form::Few(row) => {
                let end = row.partition_point(|(k, _)| k <= key);
                row.get_mut(end.checked_sub(1)?).map(|(key, value)| (&*key, value))
            }
            Form::Many(tree) => tree.range_mut::<K, _>((Bound::Unbounded, Bound::Included(key))).next_back(),
        }
    }

    /// The entries of a range, in order.
    ///
    /// # Panics
    /// If the range ends before it starts.
    pub fn range<'s>(&'s self, range: impl RangeBounds<K>) -> Range<'s, K, V> {
        match &self.0 {
            Form::Few(row) => {
                let from = match range.start_bound() {
                    Bound::Unbounded => 0,
                    Bound::Included(key) => row.partition_point(|(k, _)| k < key),
                    Bound::Excluded(key) => row.partition_point(|(k, _)| k <= key),
                };
                let to = match range.end_bound() {
                    Bound::Unbounded => row.len(),
                    Bound::Included(key) => row.partition_point(|(k, _)| k <= key),
                    Bound::Excluded(key) => row.partition_point(|(k, _)| k < key),
                };
                Range::Few(row.get(from..to).unwrap_or_default().iter())
            }
            Form::Many(tree) => Range::Many(tree.range(range)),
        }
    }
}

impl<'a, K: Ord, V> IntoIterator for &'a Sorted<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Where a key stands in a row, or would.
fn place<K: Borrow<Q>, V, Q: Ord + ?Sized>(row: &[(K, V)], key: &Q) -> Result<usize, usize> {
    row.binary_search_by(|(k, _)| k.borrow().cmp(key))
}

macro_rules! walk {
    ($(#[$doc:meta])* $name:ident, $many:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name<'a, K, V> {
            /// Of a row.
            Few(slice::Iter<'a, (K, V)>),
            /// Of a tree.
            Many(btree_map::$many<'a, K, V>),
        }

        impl<'a, K, V> Iterator for $name<'a, K, V> {
            type Item = (&'a K, &'a V);

            fn next(&mut self) -> Option<Self::Item> {
                match self {
                    Self::Few(row) => row.next().map(|(key, value)| (key, value)),
                    Self::Many(tree) => tree.next(),
                }
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                match self {
                    Self::Few(row) => row.size_hint(),
                    Self::Many(tree) => tree.size_hint(),
                }
            }
        }

        impl<K, V> DoubleEndedIterator for $name<'_, K, V> {
            fn next_back(&mut self) -> Option<Self::Item> {
                match self {
                    Self::Few(row) => row.next_back().map(|(key, value)| (key, value)),
                    Self::Many(tree) => tree.next_back(),
                }
            }
        }
    };
}

walk!(
    /// The entries of a [`Sorted`].
    Iter,
    Iter
);
walk!(
    /// The entries of a range of a [`Sorted`].
    Range,
    Range
);

impl<K, V> ExactSizeIterator for Iter<'_, K, V> {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Up and down across the change of form.
        #[test]
        fn it_agrees_with_a_tree(ops in proptest::collection::vec((0..4_u8, 0..20_u8, any::<u16>()), 0..200)) {
            let (mut sorted, mut tree) = (Sorted::default(), BTreeMap::new());
            for (op, key, value) in ops {
                match op {
                    0 | 1 => prop_assert_eq!(sorted.insert(key, value), tree.insert(key, value)),
                    2 => prop_assert_eq!(sorted.remove(&key), tree.remove(&key)),
                    _ => {
                        if let Some(last) = sorted.last_mut() {
                            *last = value;
                        }
                        if let Some(mut last) = tree.last_entry() {
                            *last.get_mut() = value;
                        }
                        prop_assert_eq!(sorted.first_mut(), tree.values_mut().next());
                    }
                }
                prop_assert!(sorted.iter().eq(tree.iter()));
                prop_assert!(sorted.iter().rev().eq(tree.iter().rev()));
                prop_assert_eq!((sorted.len(), sorted.is_empty()), (tree.len(), tree.is_empty()));
                prop_assert_eq!(sorted.get(&key), tree.get(&key));
                prop_assert_eq!(sorted.contains_key(&key), tree.contains_key(&key));
                prop_assert_eq!(sorted.up_to(&key), tree.range(..=key).next_back());
                prop_assert_eq!(
                    sorted.up_to_mut(&key).map(|(k, v)| (*k, *v)),
                    tree.range(..=key).next_back().map(|(k, v)| (*k, *v))
                );
                let (from, to) = (key / 2, key);
                prop_assert!(sorted.range(from..=to).eq(tree.range(from..=to)));
                prop_assert!(sorted.range(from..).rev().eq(tree.range(from..).rev()));
                prop_assert_eq!((sorted.first_key_value(), sorted.last_key_value()),
                    (tree.first_key_value(), tree.last_key_value()));
            }
        }
    }

    #[test]
    fn a_few_take_what_they_need() {
        let mut sorted = Sorted::default();
        sorted.insert(1_u64, 2_u64);
        assert_eq!(sorted.allocated(), 16);
        sorted.remove(&1);
        assert_eq!(sorted.allocated(), 0);
    }
}
