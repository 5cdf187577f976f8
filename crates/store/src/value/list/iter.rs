//! Walking a list from either end.

use std::collections::vec_deque;

use rdb::encoding::{Item, ListpackIter};

use super::node::Node;
use super::{List, Repr};

/// Iterator over elements, from either end.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    front: Option<NodeIter<'a>>,
    nodes: vec_deque::Iter<'a, Node>,
    back: Option<NodeIter<'a>>,
}

#[derive(Debug, Clone)]
enum NodeIter<'a> {
    Packed(ListpackIter<'a>),
    Plain(std::option::IntoIter<Item<'a>>),
}

impl<'a> Elements<'a> {
    pub(super) fn new(list: &'a List, from: usize) -> Self {
        match &list.0 {
            Repr::Packed(list) => {
                let view = list.as_listpack();
                let at = if from == 0 { view.first() } else { view.seek(from as i64) };
                let items = view.iter_at(at.unwrap_or_else(|| view.end()));
                Self { front: Some(NodeIter::Packed(items)), nodes: vec_deque::Iter::default(), back: None }
            }
            Repr::Nodes(nodes) => {
                let mut walk = nodes.iter();
                let Some((at, offset)) = nodes.seek(from) else {
                    return Self { front: None, nodes: vec_deque::Iter::default(), back: None };
                };
                if at > 0 {
                    walk.nth(at - 1);
                }
                let front = walk.next().map(|node| NodeIter::of(node, offset));
                Self { front, nodes: walk, back: None }
            }
        }
    }
}

impl<'a> NodeIter<'a> {
    fn of(node: &'a Node, from: usize) -> Self {
        match node {
            Node::Packed(list, _) if from == 0 => Self::Packed(list.iter()),
            Node::Packed(list, _) => {
                let view = list.as_listpack();
                Self::Packed(view.iter_at(view.seek(from as i64).unwrap_or_else(|| view.end())))
            }
            Node::Plain(element) => Self::Plain((from == 0).then_some(Item::Str(element)).into_iter()),
        }
    }

    fn next(&mut self) -> Option<Item<'a>> {
        match self {
            Self::Packed(items) => items.next(),
            Self::Plain(item) => item.next(),
        }
    }

    fn next_back(&mut self) -> Option<Item<'a>> {
        match self {
            Self::Packed(items) => items.next_back(),
            Self::Plain(item) => item.next_back(),
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        loop {
            if let Some(item) = self.front.as_mut().and_then(NodeIter::next) {
                return Some(item);
            }
            match self.nodes.next() {
                Some(node) => self.front = Some(NodeIter::of(node, 0)),
                None => return self.back.as_mut()?.next(),
            }
        }
    }
}

impl DoubleEndedIterator for Elements<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.back.as_mut().and_then(NodeIter::next_back) {
                return Some(item);
            }
            match self.nodes.next_back() {
                Some(node) => self.back = Some(NodeIter::of(node, 0)),
                None => return self.front.as_mut()?.next_back(),
            }
        }
    }
}

impl std::iter::FusedIterator for Elements<'_> {}
