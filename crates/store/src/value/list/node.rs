//! One node of a list, and how large it may grow.

use rdb::encoding::{Item, ListpackBuf, encoded_size};

use super::End;
use crate::limits::Limits;

/// Bytes of a listpack without elements: its header and its end.
const EMPTY: usize = 7;

/// Some elements in a row; never none while it is in a list.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// A listpack and its count, which the listpack itself forgets beyond 65534.
    Packed(ListpackBuf, u32),
    /// One large element.
    Plain(Box<[u8]>),
}

/// The size of nodes, by `list-max-listpack-size`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    bytes: usize,
    elements: usize,
    /// Elements from this size on have a node of their own, whatever a node may hold.
    large: usize,
}

impl Bound {
    /// Negative sizes: bytes, without a limit of elements. Positive ones: elements, of 8 KiB together (each
    /// in a node of its own if it is larger).
    pub(super) fn of(limits: &Limits) -> Self {
        let large = usize::try_from(limits.packed_threshold()).unwrap_or(usize::MAX);
        match limits.list_size() {
            n if n >= 0 => {
                Self { bytes: 8192, elements: usize::try_from(n).unwrap_or(usize::MAX).max(1), large }
            }
            n => Self { bytes: 4096 << (n.saturating_neg().clamp(1, 5) - 1), elements: usize::MAX, large },
        }
    }

    /// Whether a listpack of so many bytes and elements may take one more.
    pub(super) fn admits(self, bytes: usize, elements: usize, element: &[u8]) -> bool {
        elements < self.elements
            && element.len() < self.bytes
            && bytes.saturating_add(encoded_size(element)) <= self.bytes
    }

    /// Whether a list of so many bytes and elements is small enough to become a single listpack again: half of what
    /// it may have, so that it does not turn to and fro. A limit of elements alone does not limit bytes.
    pub(super) fn admits_again(self, bytes: usize, elements: usize) -> bool {
        match self.elements {
            usize::MAX => bytes <= self.bytes / 2,
            most => elements <= most / 2,
        }
    }

    /// Whether two listpacks of so many bytes and elements together may be one.
    pub(super) fn admits_both(self, bytes: usize, elements: usize) -> bool {
        // One header and one end less.
        elements <= self.elements && bytes - EMPTY <= self.bytes
    }

    /// Whether an element has a node for itself.
    pub(super) fn is_large(self, element: &[u8]) -> bool {
        element.len() >= self.large.min(self.bytes - 16)
    }
}

impl Node {
    pub(super) fn packed(list: ListpackBuf) -> Self {
        let count = u32::try_from(list.len()).unwrap_or(u32::MAX);
        Self::Packed(list, count)
    }

    /// Its size as the real server counts it.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Packed(list, _) => list.bytes_len(),
            Self::Plain(element) => element.len(),
        }
    }

    /// A node of one element.
    pub(super) fn of(element: &[u8], bound: Bound) -> Self {
        let mut list = ListpackBuf::new();
        if bound.is_large(element) || list.push(element).is_err() {
            return Self::Plain(element.into());
        }
        Self::Packed(list, 1)
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Packed(_, count) => *count as usize,
            Self::Plain(_) => 1,
        }
    }

    pub(super) fn heap(&self) -> usize {
        match self {
            Self::Packed(list, _) => list.heap_bytes(),
            Self::Plain(element) => element.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Item<'_>> {
        match self {
            Self::Packed(list, _) => list.as_listpack().get(i64::try_from(index).ok()?),
            Self::Plain(element) => (index == 0).then_some(Item::Str(element)),
        }
    }

    /// Adds an element before the one at `index` (at most the length) if the bound allows it.
    pub(super) fn insert(&mut self, index: usize, element: &[u8], bound: Bound) -> bool {
        let Self::Packed(list, count) = self else { return false };
        if !bound.admits(list.bytes_len(), *count as usize, element) {
            return false;
        }
        let view = list.as_listpack();
        let at = if index == *count as usize {
            view.end()
        } else {
            view.seek(index as i64).unwrap_or_else(|| view.end())
        };
        if list.insert(at, element).is_err() {
            return false;
        }
        *count += 1;
        true
    }

    pub(super) fn push(&mut self, end: End, element: &[u8], bound: Bound) -> bool {
        let Self::Packed(list, count) = self else { return false };
        let done = bound.admits(list.bytes_len(), *count as usize, element) && push(list, end, element);
        *count += u32::from(done);
        done
    }

    /// Adds an element whatever the bound says; false if a listpack cannot grow so far.
    pub(super) fn push_anyway(&mut self, end: End, element: &[u8]) -> bool {
        let Self::Packed(list, count) = self else { return false };
        let done = push(list, end, element);
        *count += u32::from(done);
        done
    }

    /// Replaces an element unless the new one, or the old one alone, has a node for itself. A node may grow beyond its
    /// bound so.
    pub(super) fn set(&mut self, index: usize, element: &[u8], bound: Bound) -> bool {
        let large = bound.is_large(element);
        match self {
            Self::Plain(old) => {
                if large {
                    *old = element.into();
                }
                large
            }
            Self::Packed(list, _) => {
                let at = list.as_listpack().seek(index as i64);
                !large && at.is_some_and(|at| list.replace(at, element).is_ok())
            }
        }
    }

    /// Removes `n` elements from `index` on, which are there.
    pub(super) fn remove_range(&mut self, index: usize, n: usize) {
        if let Self::Packed(list, count) = self
            && let Some(at) = list.as_listpack().seek(index as i64)
        {
            *count = count.saturating_sub(list.remove_range(at, n) as u32);
            shrink(list);
        }
    }

    /// Splits off what stands from `index` on.
    pub(super) fn split_off(&mut self, index: usize) -> Option<Self> {
        let Self::Packed(list, count) = self else { return None };
        let at = list.as_listpack().seek(index as i64)?;
        let mut tail = ListpackBuf::new();
        for item in list.as_listpack().iter_at(at) {
            tail.push_item(item).ok()?;
        }
        *count = index as u32;
        list.remove_range(at, usize::MAX);
        list.shrink();
        Some(Self::packed(tail))
    }

    /// Adds the elements of another packed node.
    pub(super) fn append(&mut self, other: Self) {
        let (Self::Packed(list, count), Self::Packed(more, _)) = (self, other) else { return };
        for item in more.as_listpack().iter() {
            *count += u32::from(list.push_item(item).is_ok());
        }
    }

    pub(super) fn remove_equal(&mut self, element: &[u8], from: End, most: usize) -> usize {
        // A plain node that goes is removed by its list.
        let Self::Packed(list, count) = self else { return 0 };
        let removed = remove_equal(list, element, from, most);
        *count = count.saturating_sub(removed as u32);
        removed
    }
}

/// Adds an element at an end of a listpack; false if it cannot grow so far.
pub(super) fn push(list: &mut ListpackBuf, end: End, element: &[u8]) -> bool {
    match list.as_listpack().first() {
        Some(first) if end == End::Left => list.insert(first, element).is_ok(),
        _ => list.push(element).is_ok(),
    }
}

/// Removes up to `most` equal elements, looking from an end.
pub(super) fn remove_equal(list: &mut ListpackBuf, element: &[u8], from: End, most: usize) -> usize {
    let mut removed = 0;
    if from == End::Left {
        let mut at = list.as_listpack().first();
        while removed < most
            && let Some(found) = at.and_then(|at| list.as_listpack().find_at(at, element, 0))
        {
            list.remove(found);
            removed += 1;
            at = Some(found);
        }
    } else {
        let mut at = list.as_listpack().last();
        while removed < most
            && let Some(here) = at
        {
            let view = list.as_listpack();
            // What stands before it stays where it is.
            at = view.prev(here);
            if view.at(here).is_some_and(|item| item.eq_bytes(element)) {
                list.remove(here);
                removed += 1;
            }
        }
    }
    if removed > 0 {
        shrink(list);
    }
    removed
}

/// Gives room back once half of it is spare.
pub(super) fn shrink(list: &mut ListpackBuf) {
    if list.heap_bytes() > 64 && list.bytes_len() < list.heap_bytes() / 2 {
        list.shrink();
    }
}
