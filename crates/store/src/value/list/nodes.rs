//! A deque of nodes.

use std::collections::VecDeque;

use rdb::encoding::{Item, ListpackBuf};

use super::End;
use super::node::{Bound, Node, shrink};

/// Nodes, none of them empty, and what they hold together.
#[derive(Debug, Clone, Default)]
pub(super) struct Nodes {
    nodes: VecDeque<Node>,
    len: usize,
    /// Heap bytes of the nodes.
    bytes: usize,
}

impl Nodes {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn allocated(&self) -> usize {
        self.bytes + self.nodes.capacity() * size_of::<Node>()
    }

    pub(super) fn node(&self, at: usize) -> Option<&Node> {
        self.nodes.get(at)
    }

    /// The only node's listpack, if it is small again.
    pub(super) fn take_small(&mut self, bound: Bound) -> Option<ListpackBuf> {
        match self.nodes.make_contiguous() {
            [Node::Packed(list, count)] if bound.admits_again(list.bytes_len(), *count as usize) => {
                Some(std::mem::take(list))
            }
            _ => None,
        }
    }

    pub(super) fn iter(&self) -> std::collections::vec_deque::Iter<'_, Node> {
        self.nodes.iter()
    }

    /// The node of an element and its place there, found from the nearer end.
    pub(super) fn seek(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len {
            return None;
        }
        if index <= self.len / 2 {
            let mut rest = index;
            for (at, node) in self.nodes.iter().enumerate() {
                match rest.checked_sub(node.len()) {
                    Some(beyond) => rest = beyond,
                    None => return Some((at, rest)),
                }
            }
        } else {
            let mut before = self.len;
            for (at, node) in self.nodes.iter().enumerate().rev() {
                before = before.checked_sub(node.len())?;
                if index >= before {
                    return Some((at, index - before));
                }
            }
        }
        None
    }

    pub(super) fn append(&mut self, node: Node) {
        self.insert_node(self.nodes.len(), node);
    }

    pub(super) fn push(&mut self, end: End, element: &[u8], bound: Bound) {
        let at = if end == End::Left { 0 } else { self.nodes.len().saturating_sub(1) };
        if !self.nodes.is_empty() && self.change(at, |node| node.push(end, element, bound)) {
            return;
        }
        let at = if end == End::Left { 0 } else { self.nodes.len() };
        self.insert_node(at, Node::of(element, bound));
    }

    pub(super) fn pop<R>(&mut self, end: End, f: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        let at = if end == End::Left { 0 } else { self.nodes.len().checked_sub(1)? };
        let node = self.nodes.get_mut(at)?;
        let before = node.heap();
        let Node::Packed(list, count) = node else {
            return match self.remove_node(at)? {
                Node::Plain(element) => Some(f(Item::Str(&element))),
                Node::Packed(..) => None,
            };
        };
        let view = list.as_listpack();
        let place = if end == End::Left { view.first()? } else { view.last()? };
        let result = f(view.at(place)?);
        list.remove(place);
        *count -= 1;
        if list.is_empty() {
            self.nodes.remove(at);
            self.bytes -= before;
        } else {
            shrink(list);
            self.bytes = self.bytes - before + list.heap_bytes();
        }
        self.len -= 1;
        Some(result)
    }

    pub(super) fn set(&mut self, index: usize, element: &[u8], bound: Bound) -> bool {
        let Some((at, offset)) = self.seek(index) else { return false };
        if !self.change(at, |node| node.set(offset, element, bound)) {
            self.insert(index, End::Right, element, bound);
            let is_left = self.nodes.get(at).is_some_and(|node| node.len() > 1);
            self.remove_range(index, 1);
            if is_left && bound.is_large(element) {
                // Around the new one, which stands behind what is left.
                let new = self.seek(index).map_or(at, |(at, _)| at);
                self.merge_around(new, bound);
            }
        }
        true
    }

    /// Inserts an element beside the one at `pivot`: on which side. Nodes come out as those of the real servers, whose
    /// number decides when a list is a single listpack again: a full node is split at the pivot, the element goes to
    /// the half that leaves it, and neighbours that fit into one node become one.
    pub(super) fn insert(&mut self, pivot: usize, side: End, element: &[u8], bound: Bound) {
        let Some((at, offset)) = self.seek(pivot) else { return };
        let len = self.nodes.get(at).map_or(0, Node::len);
        let is_behind = usize::from(side == End::Right);
        let place = offset + is_behind;
        let is_large = bound.is_large(element);
        if !is_large && self.change(at, |node| node.insert(place, element, bound)) {
            return;
        }
        if place == 0 || place == len {
            // At an edge: in the neighbour there, or in a node of its own.
            let (neighbour, end) = if place == 0 {
                (at.checked_sub(1), End::Right)
            } else {
                (Some(at + 1).filter(|next| *next < self.nodes.len()), End::Left)
            };
            let taken = !is_large
                && neighbour.is_some_and(|at| self.change(at, |node| node.push(end, element, bound)));
            if !taken {
                self.insert_node(at + is_behind, Node::of(element, bound));
            }
            return;
        }
        let before = self.heap_of(at);
        let tail = self.nodes.get_mut(at).and_then(|node| node.split_off(place));
        self.bytes = self.bytes - before + self.heap_of(at);
        if let Some(tail) = tail {
            self.len -= tail.len();
            self.insert_node(at + 1, tail);
        }
        if is_large {
            self.insert_node(at + 1, Node::of(element, bound));
            return;
        }
        // The half with the pivot stays as it is; the other takes the element even if it grows beyond its bound.
        let (taker, end) = if is_behind == 1 { (at + 1, End::Left) } else { (at, End::Right) };
        if !self.change(taker, |node| node.push_anyway(end, element)) {
            self.insert_node(at + 1, Node::of(element, bound));
        }
        self.merge_around(at + 1 - is_behind, bound);
    }

    /// Merges the pairs of nodes on both sides of this one, and it with its neighbours, where one node may hold both.
    fn merge_around(&mut self, mut center: usize, bound: Bound) {
        if center >= 2 && self.merge(center - 2, bound) {
            center -= 1;
        }
        self.merge(center + 1, bound);
        if center >= 1 && self.merge(center - 1, bound) {
            center -= 1;
        }
        self.merge(center, bound);
    }

    /// Makes a node and the next one a single node, if the bound allows it.
    fn merge(&mut self, at: usize, bound: Bound) -> bool {
        let fit = match (self.nodes.get(at), self.nodes.get(at + 1)) {
            (Some(Node::Packed(a, m)), Some(Node::Packed(b, n))) => {
                bound.admits_both(a.bytes_len() + b.bytes_len(), (m + n) as usize)
            }
            _ => false,
        };
        if !fit {
            return false;
        }
        let Some(next) = self.remove_node(at + 1) else { return false };
        self.change(at, |node| node.append(next));
        true
    }

    pub(super) fn remove_range(&mut self, index: usize, count: usize) {
        let Some((mut at, mut offset)) = self.seek(index) else { return };
        let mut left = count.min(self.len - index);
        while left > 0 {
            let Some(len) = self.nodes.get(at).map(Node::len) else { return };
            let here = left.min(len - offset);
            if here == len {
                self.remove_node(at);
            } else {
                self.change(at, |node| node.remove_range(offset, here));
                at += 1;
            }
            left -= here;
            offset = 0;
        }
    }

    pub(super) fn remove_equal(&mut self, element: &[u8], from: End, most: usize) -> usize {
        let mut removed = 0;
        let mut at = if from == End::Left { 0 } else { self.nodes.len() };
        while removed < most {
            if from == End::Right {
                let Some(before) = at.checked_sub(1) else { break };
                at = before;
            }
            let gone = match self.nodes.get(at) {
                None => break,
                Some(Node::Plain(plain)) => {
                    let equal = **plain == *element;
                    if equal {
                        self.remove_node(at);
                    }
                    removed += usize::from(equal);
                    equal
                }
                Some(Node::Packed(..)) => {
                    removed += self.change(at, |node| node.remove_equal(element, from, most - removed));
                    let empty = self.nodes.get(at).is_some_and(|node| node.len() == 0);
                    if empty {
                        self.remove_node(at);
                    }
                    empty
                }
            };
            at += usize::from(from == End::Left && !gone);
        }
        removed
    }

    fn heap_of(&self, at: usize) -> usize {
        self.nodes.get(at).map_or(0, Node::heap)
    }

    /// Changes a node and keeps the accounts.
    fn change<R: Default>(&mut self, at: usize, f: impl FnOnce(&mut Node) -> R) -> R {
        let Some(node) = self.nodes.get_mut(at) else { return R::default() };
        let (len, bytes) = (node.len(), node.heap());
        let result = f(node);
        self.len = self.len - len + node.len();
        self.bytes = self.bytes - bytes + node.heap();
        result
    }

    fn insert_node(&mut self, at: usize, node: Node) {
        self.len += node.len();
        self.bytes += node.heap();
        self.nodes.insert(at, node);
    }

    fn remove_node(&mut self, at: usize) -> Option<Node> {
        let node = self.nodes.remove(at)?;
        self.len -= node.len();
        self.bytes -= node.heap();
        if self.nodes.capacity() > 16 && self.nodes.len() < self.nodes.capacity() / 4 {
            self.nodes.shrink_to(self.nodes.len() * 2);
        }
        Some(node)
    }
}
