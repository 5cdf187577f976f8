//! Lists: a deque of listpack nodes, as quicklists are.

use rdb::encoding::{Listpack, Ziplist};

use crate::limits::Limits;

/// A list.
#[derive(Debug, Default, Clone)]
pub struct List {}

impl List {
    /// Elements.
    #[must_use]
    pub fn len(&self) -> usize {
        0
    }
    /// No elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        true
    }
    /// The name of the form, as OBJECT ENCODING tells it.
    #[must_use]
    pub fn encoding(&self) -> &'static str { "quicklist" }
    /// Heap bytes, O(1).
    #[must_use]
    pub fn allocated(&self) -> usize {
        0
    }
    /// Appends a node as it came.
    pub fn push_node(&mut self, node: Listpack<'_>) {
        let _ = node;
    }
    /// Appends an old node, converted.
    pub fn push_ziplist(&mut self, node: Ziplist<'_>, limits: &Limits) {
        let _ = (node, limits);
    }
    /// Appends one large element.
    pub fn push_plain(&mut self, element: &[u8]) {
        let _ = element;
    }
    /// Appends an element.
    pub fn push_back(&mut self, element: &[u8], limits: &Limits) {
        let _ = (element, limits);
    }
}
