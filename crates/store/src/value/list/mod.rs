//! Lists: one listpack, or a deque of nodes as quicklists are.
//!
//! ```text
//! Packed   one listpack                                              short lists: no more than their bytes
//! Nodes    [listpack, n] [listpack, n] [plain element] [listpack, n]  each within `list-max-listpack-size`
//! ```
//!
//! Counts stand beside the nodes, so an index is found by walking nodes from the nearer end, then one listpack.
//! An element that alone exceeds the size of a node is a node of its own, as it is.

mod iter;
mod node;
mod nodes;
mod save;

pub use iter::Elements;

use rdb::encoding::{Item, Listpack, ListpackBuf, Ziplist};

use self::node::{Bound, Node};
use self::nodes::Nodes;
use crate::limits::Limits;

/// A list.
#[derive(Debug, Clone)]
pub struct List(Repr);

#[derive(Debug, Clone)]
enum Repr {
    Packed(ListpackBuf),
    Nodes(Box<Nodes>),
}

impl Default for List {
    fn default() -> Self {
        Self(Repr::Packed(ListpackBuf::new()))
    }
}

/// An end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The head.
    Left,
    /// The tail.
    Right,
}

impl List {
    /// Elements. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Packed(list) => list.len(),
            Repr::Nodes(nodes) => nodes.len(),
        }
    }

    /// No elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Repr::Packed(list) => list.is_empty(),
            Repr::Nodes(nodes) => nodes.len() == 0,
        }
    }

    /// Heap bytes, O(1).
    #[must_use]
    pub fn allocated(&self) -> usize {
        match &self.0 {
            Repr::Packed(list) => list.heap_bytes(),
            Repr::Nodes(nodes) => size_of::<Nodes>() + nodes.allocated(),
        }
    }

    /// The encoding that OBJECT ENCODING names. (Redis 7.0 calls all lists quicklists.)
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Repr::Packed(_) => "listpack",
            Repr::Nodes(_) => "quicklist",
        }
    }

    /// Nodes, and the bytes of all of them.
    #[must_use]
    pub fn nodes(&self) -> (usize, usize) {
        match &self.0 {
            Repr::Packed(list) => (1, list.bytes_len()),
            Repr::Nodes(nodes) => (nodes.iter().count(), nodes.iter().map(Node::bytes).sum()),
        }
    }

    /// The element at `index`; negative ones count from the end, -1 being the last.
    #[must_use]
    pub fn get(&self, index: i64) -> Option<Item<'_>> {
        let index = place(index, self.len())?;
        match &self.0 {
            Repr::Packed(list) => list.as_listpack().get(i64::try_from(index).ok()?),
            Repr::Nodes(nodes) => {
                let (node, offset) = nodes.seek(index)?;
                nodes.node(node)?.get(offset)
            }
        }
    }

    /// Elements from the head, or from the tail by `rev`.
    #[must_use]
    pub fn iter(&self) -> Elements<'_> {
        Elements::new(self, 0)
    }

    /// Elements from `index` (from the head) to the tail.
    #[must_use]
    pub fn iter_from(&self, index: usize) -> Elements<'_> {
        Elements::new(self, index)
    }

    /// Adds an element at an end. O(bytes of a node) on the left, O(1) on the right.
    pub fn push(&mut self, end: End, element: &[u8], limits: &Limits) {
        let bound = Bound::of(limits);
        if let Repr::Packed(list) = &mut self.0 {
            if bound.admits(list.bytes_len(), list.len(), element) && node::push(list, end, element) {
                return;
            }
            self.make_nodes();
        }
        if let Repr::Nodes(nodes) = &mut self.0 {
            nodes.push(end, element, bound);
        }
    }

    /// Takes an element from an end and calls `f` with it.
    pub fn pop<R>(&mut self, end: End, f: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        match &mut self.0 {
            Repr::Packed(list) => {
                let view = list.as_listpack();
                let at = if end == End::Left { view.first()? } else { view.last()? };
                let result = f(view.at(at)?);
                list.remove(at);
                Some(result)
            }
            Repr::Nodes(nodes) => nodes.pop(end, f),
        }
    }

    /// After elements went: becomes one listpack again, if it is small enough.
    pub fn settle(&mut self, limits: &Limits) {
        if let Repr::Nodes(nodes) = &mut self.0
            && nodes.iter().len() == 1
            && let Some(list) = nodes.take_small(Bound::of(limits))
        {
            self.0 = Repr::Packed(list);
        }
    }

    /// Becomes a list of nodes if one listpack cannot take another such element. The real servers do it before they
    /// look whether there is a place for it.
    pub fn make_room(&mut self, element: &[u8], limits: &Limits) {
        if let Repr::Packed(list) = &self.0
            && !Bound::of(limits).admits(list.bytes_len(), list.len(), element)
        {
            self.make_nodes();
        }
    }

    /// Replaces the element at `index`; false if there is none.
    pub fn set(&mut self, index: i64, element: &[u8], limits: &Limits) -> bool {
        let bound = Bound::of(limits);
        self.make_room(element, limits);
        let Some(index) = place(index, self.len()) else { return false };
        if let Repr::Packed(list) = &mut self.0 {
            let at = list.as_listpack().seek(index as i64);
            if let Some(at) = at {
                return list.replace(at, element).is_ok();
            }
            self.make_nodes();
        }
        match &mut self.0 {
            Repr::Packed(_) => false,
            Repr::Nodes(nodes) => nodes.set(index, element, bound),
        }
    }

    /// Inserts an element beside the one at `pivot`, on its left or its right.
    pub fn insert(&mut self, pivot: usize, side: End, element: &[u8], limits: &Limits) {
        let bound = Bound::of(limits);
        if let Repr::Packed(list) = &mut self.0 {
            let view = list.as_listpack();
            let at =
                view.seek((pivot + usize::from(side == End::Right)) as i64).unwrap_or_else(|| view.end());
            if bound.admits(list.bytes_len(), list.len(), element) && list.insert(at, element).is_ok() {
                return;
            }
            self.make_nodes();
        }
        if let Repr::Nodes(nodes) = &mut self.0 {
            nodes.insert(pivot, side, element, bound);
        }
    }

    /// Removes up to `most` elements that equal `element`, looking from an end; how many.
    pub fn remove(&mut self, element: &[u8], from: End, most: usize) -> usize {
        match &mut self.0 {
            Repr::Packed(list) => node::remove_equal(list, element, from, most),
            Repr::Nodes(nodes) => nodes.remove_equal(element, from, most),
        }
    }

    /// Removes `count` elements from `index` on.
    pub fn remove_range(&mut self, index: usize, count: usize) {
        match &mut self.0 {
            Repr::Packed(list) => {
                if let Some(at) = list.as_listpack().seek(index as i64) {
                    list.remove_range(at, count);
                }
            }
            Repr::Nodes(nodes) => nodes.remove_range(index, count),
        }
    }

    /// Appends a node as it came.
    pub fn push_node(&mut self, node: Listpack<'_>) {
        if node.is_empty() {
            return;
        }
        let node = ListpackBuf::from_listpack(node);
        match &mut self.0 {
            Repr::Packed(list) if list.is_empty() => *list = node,
            Repr::Packed(_) => {
                self.make_nodes();
                self.append(Node::packed(node));
            }
            Repr::Nodes(nodes) => nodes.append(Node::packed(node)),
        }
    }

    /// Appends an old node, converted.
    pub fn push_ziplist(&mut self, node: Ziplist<'_>, limits: &Limits) {
        for item in node {
            self.push_back(item.to_bytes(&mut [0; 20]), limits);
        }
    }

    /// Appends one large element.
    pub fn push_plain(&mut self, element: &[u8]) {
        self.make_nodes();
        self.append(Node::Plain(element.into()));
    }

    /// Appends an element.
    pub fn push_back(&mut self, element: &[u8], limits: &Limits) {
        self.push(End::Right, element, limits);
    }

    fn append(&mut self, node: Node) {
        if let Repr::Nodes(nodes) = &mut self.0 {
            nodes.append(node);
        }
    }

    fn make_nodes(&mut self) {
        if let Repr::Packed(list) = &mut self.0 {
            let mut nodes = Nodes::default();
            if !list.is_empty() {
                nodes.append(Node::packed(std::mem::take(list)));
            }
            self.0 = Repr::Nodes(Box::new(nodes));
        }
    }
}

/// An index that may count from the end, as one from the head.
fn place(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { (len as i64).checked_add(index)? } else { index };
    usize::try_from(index).ok().filter(|index| *index < len)
}

#[cfg(test)]
mod tests;
