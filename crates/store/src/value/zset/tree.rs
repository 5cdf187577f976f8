//! The order of a large sorted set: a B+tree by score, then member, that knows how many stand below each branch.
//!
//! ```text
//!            | least key, count | least key, count | ...      inner: up to 32 children
//!                  |                   |
//!     | score id | score id | ... |  | score id | ... |       leaf: up to 64 elements
//! ```
//!
//! Scores stand in the nodes, so a search looks at a member (through its id, in the arena) only between equal
//! scores. Counts turn a rank into a place and a place into a rank in O(log n), and every range into two ranks.
//!
//! A full leaf at either edge of the tree is left full and a new one begun beside it, so dumps, which come in
//! descending order, and logs, which ascend, fill leaves completely: 12 bytes an element, about 17 at random.
//!
//! Invariants: `least` of a child is its first key exactly (never a removed element's: ids are used again); no node
//! but the root is empty; all leaves are at the same height.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::arena::Arena;

const LEAF: usize = 64;
const FAN: usize = 32;

type Path = SmallVec<[(u32, usize); 8]>;

#[derive(Debug)]
struct Leaf {
    len: usize,
    scores: [f64; LEAF],
    ids: [u32; LEAF],
}

#[derive(Debug)]
struct Inner {
    len: usize,
    scores: [f64; FAN],
    ids: [u32; FAN],
    children: [u32; FAN],
    counts: [u32; FAN],
}

/// Ids in the order of (score, member).
#[derive(Debug)]
pub(super) struct Tree {
    #[expect(clippy::vec_box, reason = "the vector moves when it grows, 768 bytes a leaf should not")]
    leaves: Vec<Box<Leaf>>,
    #[expect(clippy::vec_box, reason = "as for the leaves")]
    inners: Vec<Box<Inner>>,
    free_leaves: Vec<u32>,
    free_inners: Vec<u32>,
    root: u32,
    /// Inner levels above the leaves.
    height: usize,
    len: usize,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self {
            leaves: vec![Leaf::boxed()],
            inners: Vec::new(),
            free_leaves: Vec::new(),
            free_inners: Vec::new(),
            root: 0,
            height: 0,
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Heap bytes, O(1).
    pub(super) fn allocated(&self) -> usize {
        self.leaves.len() * size_of::<Leaf>()
            + self.inners.len() * size_of::<Inner>()
            + (self.leaves.capacity() + self.inners.capacity()) * size_of::<usize>()
            + (self.free_leaves.capacity() + self.free_inners.capacity()) * size_of::<u32>()
    }

    // ---- looking

    /// How many elements, from the first on, satisfy `is`; it must hold for a prefix.
    pub(super) fn below(&self, mut is: impl FnMut(f64, u32) -> bool) -> usize {
        let (mut rank, mut node) = (0, self.root);
        for _ in 0..self.height {
            let inner = &self.inners[node as usize];
            let child = inner.below(&mut is).saturating_sub(1);
            rank += inner.counts[..child].iter().map(|n| *n as usize).sum::<usize>();
            node = inner.children[child];
        }
        rank + self.leaves[node as usize].below(&mut is)
    }

    /// The rank of an element, or where it would stand.
    pub(super) fn rank(&self, score: f64, member: &[u8], arena: &Arena) -> usize {
        self.below(|s, id| order(s, id, score, member, arena) == Ordering::Less)
    }

    /// Scores and ids of the leaf with the element of this rank, and its place there.
    pub(super) fn leaf(&self, mut rank: usize) -> (&[f64], &[u32], usize) {
        let mut node = self.root;
        for _ in 0..self.height {
            let inner = &self.inners[node as usize];
            let mut child = 0;
            while child + 1 < inner.len && rank >= inner.counts[child] as usize {
                rank -= inner.counts[child] as usize;
                child += 1;
            }
            node = inner.children[child];
        }
        let leaf = &self.leaves[node as usize];
        (&leaf.scores[..leaf.len], &leaf.ids[..leaf.len], rank)
    }

    /// The element of this rank.
    pub(super) fn get(&self, rank: usize) -> Option<(f64, u32)> {
        let (scores, ids, at) = self.leaf(rank);
        Some((*scores.get(at)?, *ids.get(at)?))
    }

    // ---- changing

    /// Adds an element that is not there.
    pub(super) fn insert(&mut self, score: f64, id: u32, arena: &Arena) {
        let member = arena.member(id);
        let mut path = Path::new();
        let (mut node, mut first, mut last) = (self.root, true, true);
        for _ in 0..self.height {
            let inner = &mut self.inners[node as usize];
            let after = inner.below(|s, i| order(s, i, score, member, arena) == Ordering::Less);
            let child = after.saturating_sub(1);
            if after == 0 {
                (inner.scores[0], inner.ids[0]) = (score, id);
            }
            inner.counts[child] += 1;
            first &= child == 0;
            last &= child + 1 == inner.len;
            path.push((node, child));
            node = inner.children[child];
        }
        self.len += 1;
        let leaf = &mut self.leaves[node as usize];
        let at = leaf.below(|s, i| order(s, i, score, member, arena) == Ordering::Less);
        if leaf.len < LEAF {
            leaf.insert(at, score, id);
            return;
        }
        let mut right = Leaf::boxed();
        if last && at == LEAF {
            right.insert(0, score, id);
        } else if first && at == 0 {
            std::mem::swap(leaf, &mut right);
            leaf.insert(0, score, id);
        } else {
            right.take_upper(leaf, LEAF / 2);
            if at <= LEAF / 2 {
                leaf.insert(at, score, id);
            } else {
                right.insert(at - LEAF / 2, score, id);
            }
        }
        let left_count = leaf.len as u32;
        let branch = Branch { least: right.key(0), child: 0, count: right.len as u32 };
        let child = place(&mut self.leaves, &mut self.free_leaves, right);
        self.insert_branches(path, node, left_count, Branch { child, ..branch });
    }

    /// Puts a node that split off beside the node it came from, which keeps `left_count`; and so on upwards.
    fn insert_branches(&mut self, mut path: Path, mut left: u32, mut left_count: u32, mut new: Branch) {
        while let Some((node, child)) = path.pop() {
            let inner = &mut self.inners[node as usize];
            inner.counts[child] = left_count;
            if inner.len < FAN {
                inner.insert(child + 1, new);
                return;
            }
            let mut right = Inner::boxed();
            right.take_upper(inner, FAN / 2);
            if child < FAN / 2 {
                inner.insert(child + 1, new);
            } else {
                right.insert(child + 1 - FAN / 2, new);
            }
            left = node;
            left_count = inner.count();
            let branch = Branch { least: right.key(0), child: 0, count: right.count() };
            let child = place(&mut self.inners, &mut self.free_inners, right);
            new = Branch { child, ..branch };
        }
        let mut root = Inner::boxed();
        let least = if self.height == 0 {
            self.leaves[left as usize].key(0)
        } else {
            self.inners[left as usize].key(0)
        };
        root.insert(0, Branch { least, child: left, count: left_count });
        root.insert(1, new);
        self.root = place(&mut self.inners, &mut self.free_inners, root);
        self.height += 1;
    }

    /// Removes an element; whether it was there. Its record must still be in the arena.
    pub(super) fn remove(&mut self, score: f64, member: &[u8], arena: &Arena) -> bool {
        let mut path = Path::new();
        let mut node = self.root;
        for _ in 0..self.height {
            let inner = &self.inners[node as usize];
            let after = inner.below(|s, i| order(s, i, score, member, arena) != Ordering::Greater);
            let Some(child) = after.checked_sub(1) else { return false };
            path.push((node, child));
            node = inner.children[child];
        }
        let leaf = &mut self.leaves[node as usize];
        let at = leaf.below(|s, i| order(s, i, score, member, arena) == Ordering::Less);
        if at == leaf.len || order(leaf.scores[at], leaf.ids[at], score, member, arena) != Ordering::Equal {
            return false;
        }
        leaf.remove(at);
        self.len -= 1;
        for (level, (node, child)) in path.into_iter().rev().enumerate() {
            self.settle(level, node, child);
        }
        while self.height > 0 && self.inners[self.root as usize].len == 1 {
            self.free_inners.push(self.root);
            self.root = self.inners[self.root as usize].children[0];
            self.height -= 1;
        }
        true
    }

    /// After a removal below `child` of the inner node `node`, whose children are leaves if `level` is 0: restores
    /// count and key, and joins neighbours that have become small.
    fn settle(&mut self, level: usize, node: u32, child: usize) {
        let inner = &mut self.inners[node as usize];
        inner.counts[child] -= 1;
        if inner.counts[child] == 0 {
            self.forget(level, inner_child(&self.inners, node, child));
            self.inners[node as usize].remove(child);
            return;
        }
        let (least, fill, full) = self.shape(level, inner_child(&self.inners, node, child));
        let inner = &mut self.inners[node as usize];
        (inner.scores[child], inner.ids[child]) = least;
        if fill >= full / 4 {
            return;
        }
        let len = inner.len;
        for left in [Some(child), child.checked_sub(1)].into_iter().flatten().filter(|left| left + 1 < len) {
            let (a, b) = (inner_child(&self.inners, node, left), inner_child(&self.inners, node, left + 1));
            if self.shape(level, a).1 + self.shape(level, b).1 <= full / 4 * 3 {
                self.join(level, a, b);
                let inner = &mut self.inners[node as usize];
                inner.counts[left] += inner.counts[left + 1];
                inner.remove(left + 1);
                return;
            }
        }
    }

    /// Least key, elements or children, and how many there could be.
    fn shape(&self, level: usize, node: u32) -> ((f64, u32), usize, usize) {
        if level == 0 {
            let leaf = &self.leaves[node as usize];
            (leaf.key(0), leaf.len, LEAF)
        } else {
            let inner = &self.inners[node as usize];
            (inner.key(0), inner.len, FAN)
        }
    }

    /// Moves all of `right` behind `left`.
    fn join(&mut self, level: usize, left: u32, right: u32) {
        if level == 0 {
            let mut from = std::mem::replace(&mut self.leaves[right as usize], Leaf::boxed());
            self.leaves[left as usize].take_upper(&mut from, 0);
        } else {
            let mut from = std::mem::replace(&mut self.inners[right as usize], Inner::boxed());
            self.inners[left as usize].take_upper(&mut from, 0);
        }
        self.forget(level, right);
    }

    fn forget(&mut self, level: usize, node: u32) {
        if level == 0 {
            self.leaves[node as usize].len = 0;
            self.free_leaves.push(node);
        } else {
            self.inners[node as usize].len = 0;
            self.free_inners.push(node);
        }
    }
}

fn inner_child(inners: &[Box<Inner>], node: u32, child: usize) -> u32 {
    inners[node as usize].children[child]
}

/// Puts a node into a free place or a new one.
fn place<T>(nodes: &mut Vec<Box<T>>, free: &mut Vec<u32>, node: Box<T>) -> u32 {
    match free.pop() {
        Some(index) => {
            nodes[index as usize] = node;
            index
        }
        None => {
            nodes.push(node);
            (nodes.len() - 1) as u32
        }
    }
}

/// How the element (score, id) stands to the sought one.
#[inline]
fn order(s: f64, id: u32, score: f64, member: &[u8], arena: &Arena) -> Ordering {
    // No score is NaN.
    match s.partial_cmp(&score) {
        Some(Ordering::Equal) | None => arena.member(id).cmp(member),
        Some(unequal) => unequal,
    }
}

/// What an inner node knows of a child.
#[derive(Debug, Clone, Copy)]
struct Branch {
    least: (f64, u32),
    child: u32,
    count: u32,
}

impl Leaf {
    fn boxed() -> Box<Self> {
        Box::new(Self { len: 0, scores: [0.0; LEAF], ids: [0; LEAF] })
    }

    fn key(&self, at: usize) -> (f64, u32) {
        (self.scores[at], self.ids[at])
    }

    #[inline]
    fn below(&self, is: impl FnMut(f64, u32) -> bool) -> usize {
        partition(&self.scores[..self.len], &self.ids[..self.len], is)
    }

    fn insert(&mut self, at: usize, score: f64, id: u32) {
        self.scores.copy_within(at..self.len, at + 1);
        self.ids.copy_within(at..self.len, at + 1);
        (self.scores[at], self.ids[at]) = (score, id);
        self.len += 1;
    }

    fn remove(&mut self, at: usize) {
        self.scores.copy_within(at + 1..self.len, at);
        self.ids.copy_within(at + 1..self.len, at);
        self.len -= 1;
    }

    /// Appends what `left` has from `from` on.
    fn take_upper(&mut self, left: &mut Self, from: usize) {
        let (n, at) = (left.len - from, self.len);
        self.scores[at..at + n].copy_from_slice(&left.scores[from..left.len]);
        self.ids[at..at + n].copy_from_slice(&left.ids[from..left.len]);
        self.len += n;
        left.len = from;
    }
}

impl Inner {
    fn boxed() -> Box<Self> {
        Box::new(Self { len: 0, scores: [0.0; FAN], ids: [0; FAN], children: [0; FAN], counts: [0; FAN] })
    }

    fn key(&self, at: usize) -> (f64, u32) {
        (self.scores[at], self.ids[at])
    }

    fn count(&self) -> u32 {
        self.counts[..self.len].iter().sum()
    }

    #[inline]
    fn below(&self, is: impl FnMut(f64, u32) -> bool) -> usize {
        partition(&self.scores[..self.len], &self.ids[..self.len], is)
    }

    fn insert(&mut self, at: usize, new: Branch) {
        self.scores.copy_within(at..self.len, at + 1);
        self.ids.copy_within(at..self.len, at + 1);
        self.children.copy_within(at..self.len, at + 1);
        self.counts.copy_within(at..self.len, at + 1);
        (self.scores[at], self.ids[at]) = new.least;
        self.children[at] = new.child;
        self.counts[at] = new.count;
        self.len += 1;
    }

    fn remove(&mut self, at: usize) {
        self.scores.copy_within(at + 1..self.len, at);
        self.ids.copy_within(at + 1..self.len, at);
        self.children.copy_within(at + 1..self.len, at);
        self.counts.copy_within(at + 1..self.len, at);
        self.len -= 1;
    }

    fn take_upper(&mut self, left: &mut Self, from: usize) {
        let (n, at) = (left.len - from, self.len);
        self.scores[at..at + n].copy_from_slice(&left.scores[from..left.len]);
        self.ids[at..at + n].copy_from_slice(&left.ids[from..left.len]);
        self.children[at..at + n].copy_from_slice(&left.children[from..left.len]);
        self.counts[at..at + n].copy_from_slice(&left.counts[from..left.len]);
        self.len += n;
        left.len = from;
    }
}

/// How many pairs, from the first on, satisfy `is`.
#[inline]
fn partition(scores: &[f64], ids: &[u32], mut is: impl FnMut(f64, u32) -> bool) -> usize {
    let (mut low, mut high) = (0, scores.len().min(ids.len()));
    while low < high {
        let middle = low.midpoint(high);
        if is(scores[middle], ids[middle]) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
impl Tree {
    /// Panics unless the invariants hold.
    pub(super) fn check(&self) {
        fn walk(tree: &Tree, level: usize, node: u32) -> ((f64, u32), u32) {
            if level == 0 {
                let leaf = &tree.leaves[node as usize];
                assert!(leaf.len > 0 || tree.height == 0, "no leaf is empty");
                return (leaf.key(0), leaf.len as u32);
            }
            let inner = &tree.inners[node as usize];
            assert!(inner.len > usize::from(level == tree.height), "the root has two children, others one");
            for at in 0..inner.len {
                let (least, count) = walk(tree, level - 1, inner.children[at]);
                assert_eq!((inner.key(at), inner.counts[at]), (least, count));
            }
            (inner.key(0), inner.count())
        }
        assert_eq!(walk(self, self.height, self.root).1 as usize, self.len);
    }
}
