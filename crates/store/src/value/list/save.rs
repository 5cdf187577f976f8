//! Lists on their way into a dump: nodes as they are.

use rdb::{ListNode, ValueEncoder};

use super::node::Node;
use super::{List, Repr};

impl List {
    /// Writes the elements.
    pub fn save(&self, out: ValueEncoder<'_>) {
        match &self.0 {
            Repr::Packed(list) => out.list([ListNode::Packed(list.as_listpack())]),
            Repr::Nodes(nodes) => out.list(nodes.iter().map(|node| match node {
                Node::Packed(list, _) => ListNode::Packed(list.as_listpack()),
                Node::Plain(element) => ListNode::Plain(element),
            })),
        }
    }
}
