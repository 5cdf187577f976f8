//! The entries of a stream: nodes by their base id, split where real servers split them, so that trimming with `~`
//! and DUMP come out equal.

use rdb::StreamId;
use rdb::encoding::{Full, NodeEntry, StreamNodeBuf};

use super::MIN_ID;
use crate::limits::Limits;
use crate::value::sorted::Sorted;

/// The entries of a stream, in order.
#[derive(Debug, Default, Clone)]
pub struct Log {
    nodes: Sorted<StreamId, StreamNodeBuf>,
    /// Live entries.
    length: u64,
    /// Heap bytes of the nodes' listpacks.
    bytes: usize,
    /// The last id generated, whether or not its entry is still there.
    pub last_id: StreamId,
    /// The highest id that was ever deleted by name; 0-0: none.
    pub max_deleted_id: StreamId,
    /// Entries ever added.
    pub entries_added: u64,
}

/// How far to trim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trim {
    /// Keep so many entries.
    MaxLen(u64),
    /// Keep entries from this id on.
    MinId(StreamId),
}

impl Log {
    /// Live entries.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Heap bytes, O(1).
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.bytes + self.nodes.allocated()
    }

    /// The nodes, in order.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &StreamNodeBuf> {
        self.nodes.values()
    }

    /// The first live id; 0-0 if there is none.
    #[must_use]
    pub fn first_id(&self) -> StreamId {
        self.iter().next().map_or(MIN_ID, |entry| entry.id())
    }

    /// The last live id; 0-0 if there is none. It may be below [`Log::last_id`].
    #[must_use]
    pub fn last_live_id(&self) -> StreamId {
        self.reversed().next().map_or(MIN_ID, |entry| entry.id())
    }

    /// The live entries.
    pub fn iter(&self) -> impl Iterator<Item = NodeEntry<'_>> {
        self.nodes.values().flat_map(|node| node.as_node().iter())
    }

    /// The live entries, last first.
    pub fn reversed(&self) -> impl Iterator<Item = NodeEntry<'_>> {
        self.nodes.values().rev().flat_map(|node| node.as_node().iter().rev())
    }

    /// The nodes that may hold ids of a range, which is not empty.
    fn nodes_of(
        &self,
        start: StreamId,
        end: StreamId,
    ) -> impl DoubleEndedIterator<Item = (&StreamId, &StreamNodeBuf)> {
        let from = self.nodes.up_to(&start).map_or(start, |(base, _)| *base);
        // A range that ends before it starts would panic.
        self.nodes.range(from..=end.max(from))
    }

    /// The live entries from `start` to `end`, both included. O(log nodes + entries of a node + entries returned).
    pub fn range(&self, start: StreamId, end: StreamId) -> impl Iterator<Item = NodeEntry<'_>> {
        self.nodes_of(start, end)
            .flat_map(|(_, node)| node.as_node().iter())
            .skip_while(move |entry| entry.id() < start)
            .take_while(move |entry| entry.id() <= end)
    }

    /// The same, last first.
    pub fn range_reversed(&self, start: StreamId, end: StreamId) -> impl Iterator<Item = NodeEntry<'_>> {
        self.nodes_of(start, end)
            .rev()
            .flat_map(|(_, node)| node.as_node().iter().rev())
            .skip_while(move |entry| entry.id() > end)
            .take_while(move |entry| entry.id() >= start)
    }

    /// The live entry of an id.
    #[must_use]
    pub fn find(&self, id: StreamId) -> Option<NodeEntry<'_>> {
        self.nodes.up_to(&id).and_then(|(_, node)| node.as_node().find(id))
    }

    /// Appends an entry; `id` is to be above [`Log::last_id`].
    ///
    /// # Errors
    /// [`Full`]: fields and values beyond 1 GiB.
    pub fn append<'f, F>(&mut self, id: StreamId, fields: F, limits: &Limits) -> Result<(), Full>
    where
        F: Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
    {
        let payload =
            fields.clone().fold(0_usize, |n, (f, v)| n.saturating_add(f.len()).saturating_add(v.len()));
        let max_bytes = usize::try_from(limits.stream_bytes()).unwrap_or_default();
        let max_entries = u64::try_from(limits.stream_entries()).unwrap_or_default();
        let takes = |node: &&mut StreamNodeBuf| node.takes(payload, max_bytes, max_entries);
        if let Some(node) = self.nodes.last_mut().filter(takes) {
            let before = node.heap_bytes();
            node.append(id, fields)?;
            self.bytes = (self.bytes + node.heap_bytes()).saturating_sub(before);
        } else {
            let node = StreamNodeBuf::new(id, fields)?;
            if let Some(last) = self.nodes.last_mut() {
                // It will not grow any more.
                let before = last.heap_bytes();
                last.shrink();
                self.bytes = (self.bytes + last.heap_bytes()).saturating_sub(before);
            }
            self.bytes += node.heap_bytes();
            self.nodes.insert(id, node);
        }
        self.length += 1;
        self.entries_added = self.entries_added.saturating_add(1);
        self.last_id = id;
        Ok(())
    }

    /// Takes a whole node behind the others.
    pub(super) fn push_node(&mut self, node: StreamNodeBuf) {
        self.length = self.length.saturating_add(node.len());
        self.bytes += node.heap_bytes();
        if let Some(old) = self.nodes.insert(node.base(), node) {
            self.length = self.length.saturating_sub(old.len());
            self.bytes = self.bytes.saturating_sub(old.heap_bytes());
        }
    }

    fn drop_node(&mut self, base: StreamId) {
        if let Some(node) = self.nodes.remove(&base) {
            self.length = self.length.saturating_sub(node.len());
            self.bytes = self.bytes.saturating_sub(node.heap_bytes());
        }
    }

    /// Deletes an entry by name; whether it was there. O(log nodes + entries of a node).
    pub fn delete(&mut self, id: StreamId) -> bool {
        let was_there = self.take_out(id);
        if was_there {
            self.max_deleted_id = self.max_deleted_id.max(id);
        }
        was_there
    }

    /// The same for an entry that is trimmed away, which leaves no gap.
    pub(super) fn take_out(&mut self, id: StreamId) -> bool {
        let Some((&base, node)) = self.nodes.up_to_mut(&id) else { return false };
        let before = node.heap_bytes();
        if !node.delete(id) {
            return false;
        }
        self.length = self.length.saturating_sub(1);
        self.bytes = (self.bytes + node.heap_bytes()).saturating_sub(before);
        if node.is_empty() {
            self.drop_node(base);
        }
        true
    }

    /// Removes the oldest entries; how many. If `exact` is not set, only whole nodes go, and no node that would make
    /// it more than `limit` (0: no limit).
    pub fn trim(&mut self, to: Trim, exact: bool, limit: u64) -> u64 {
        let mut removed = 0_u64;
        while let Some((&base, node)) = self.nodes.first_key_value() {
            if matches!(to, Trim::MaxLen(most) if self.length <= most) {
                break;
            }
            let live = node.len();
            if limit != 0 && removed.saturating_add(live) > limit {
                break;
            }
            let whole = match to {
                Trim::MaxLen(most) => self.length.saturating_sub(live) >= most,
                Trim::MinId(least) => {
                    node.as_node().iter_with_deleted().next_back().is_none_or(|entry| entry.id() < least)
                }
            };
            if whole {
                self.drop_node(base);
                removed += live;
                continue;
            }
            if exact {
                removed += self.trim_first_node(to);
            }
            break;
        }
        removed
    }

    fn trim_first_node(&mut self, to: Trim) -> u64 {
        let Some(node) = self.nodes.first_mut() else { return 0 };
        let count = match to {
            Trim::MaxLen(most) => self.length.saturating_sub(most),
            Trim::MinId(least) => node.as_node().iter().take_while(|entry| entry.id() < least).count() as u64,
        };
        let before = node.heap_bytes();
        let removed = node.delete_oldest(count);
        self.bytes = (self.bytes + node.heap_bytes()).saturating_sub(before);
        self.length = self.length.saturating_sub(removed);
        removed
    }

    // ---- the counters of groups

    /// Whether an entry at or behind `start` may have been deleted by name; of those before the first that is left
    /// not, if `among_left`.
    #[must_use]
    pub fn may_have_gaps_from(&self, start: StreamId, among_left: bool) -> bool {
        let deleted = self.max_deleted_id;
        let left = !among_left || self.first_id() <= deleted;
        self.length > 0 && deleted != MIN_ID && start <= deleted && left
    }

    /// How many entries were added up to `id`, if that can be told without counting: not where entries may have been
    /// deleted by name among those that are left, nor anywhere behind `id` unless only those matter.
    #[must_use]
    pub fn added_up_to(&self, id: StreamId, among_left: bool) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        if id == self.last_id || (self.length == 0 && id < self.last_id) {
            return Some(self.entries_added);
        }
        if id > self.last_id {
            return None;
        }
        let first = self.first_id();
        let deleted = self.max_deleted_id;
        let behind = !among_left && id != MIN_ID && deleted > id;
        if behind || deleted != MIN_ID && deleted >= first {
            return None;
        }
        let before_first = self.entries_added.saturating_sub(self.length);
        match id.cmp(&first) {
            std::cmp::Ordering::Less => Some(before_first),
            std::cmp::Ordering::Equal => Some(before_first.saturating_add(1)),
            std::cmp::Ordering::Greater => None,
        }
    }

    /// How many nodes a radix tree of the nodes' ids has: what XINFO STREAM tells.
    #[must_use]
    pub fn radix_tree_nodes(&self) -> usize {
        let keys: Vec<[u8; 16]> = self.nodes.keys().map(|id| raw(*id)).collect();
        radix_nodes(&keys, 0)
    }
}

fn raw(id: StreamId) -> [u8; 16] {
    (u128::from(id.ms) << 64 | u128::from(id.seq)).to_be_bytes()
}

/// Nodes below a place of the tree where all of `keys`, which ascend, share their first `depth` bytes: one for what
/// they share beyond that, one where they branch, one at each end.
fn radix_nodes(keys: &[[u8; 16]], depth: usize) -> usize {
    let ([first, ..], [.., last]) = (keys, keys) else { return 1 };
    let shared = first[depth..].iter().zip(&last[depth..]).take_while(|(a, b)| a == b).count();
    if keys.len() == 1 {
        return usize::from(shared > 0) + 1;
    }
    let branch = depth + shared;
    let below: usize =
        keys.chunk_by(|a, b| a[branch] == b[branch]).map(|keys| radix_nodes(keys, branch + 1)).sum();
    usize::from(shared > 0) + 1 + below
}
