//! The form for many members: records in an arena, found by hash through the index and in order through the tree.

use std::sync::LazyLock;

use super::arena::Arena;
use super::index::Index;
use super::tree::Tree;
use crate::hash::KeyHash;

/// Members are hashed alike in all sorted sets, so that a cursor stays good when a set is replaced.
static HASH: LazyLock<KeyHash> = LazyLock::new(KeyHash::random);

#[inline]
fn hash(member: &[u8]) -> u32 {
    (HASH.hash(member) >> 32) as u32
}

/// Members with scores, by name, rank and score.
#[derive(Debug)]
pub(super) struct Large {
    arena: Arena,
    index: Index,
    tree: Tree,
}

impl Clone for Large {
    fn clone(&self) -> Self {
        self.rebuilt()
    }
}

impl Large {
    pub(super) fn new() -> Self {
        Self { arena: Arena::new(), index: Index::default(), tree: Tree::new() }
    }

    pub(super) fn reserve(&mut self, members: usize) {
        self.index.reserve(members);
    }

    pub(super) fn len(&self) -> usize {
        self.tree.len()
    }

    /// Places for members in the index.
    pub(super) fn slots(&self) -> usize {
        self.index.allocated() / size_of::<(u32, u32)>()
    }

    /// Heap bytes, O(1).
    pub(super) fn allocated(&self) -> usize {
        size_of::<Self>() + self.arena.allocated() + self.index.allocated() + self.tree.allocated()
    }

    fn find(&self, hash: u32, member: &[u8]) -> Option<u32> {
        self.index.find(hash, |id| self.arena.member(id) == member)
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.find(hash(member), member).map(|id| self.arena.score(id))
    }

    pub(super) fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        Some((self.tree.rank(score, member, &self.arena), score))
    }

    /// How many elements, from the first on, satisfy `is`; it must hold for a prefix.
    pub(super) fn below(&self, mut is: impl FnMut(f64, &[u8]) -> bool) -> usize {
        self.tree.below(|score, id| is(score, self.arena.member(id)))
    }

    /// Adds or moves a member; whether it is new.
    pub(super) fn insert(&mut self, member: &[u8], score: f64) -> bool {
        let hash = hash(member);
        if let Some(id) = self.find(hash, member) {
            let before = self.arena.score(id);
            if before != score {
                self.tree.remove(before, member, &self.arena);
                self.arena.set_score(id, score);
                self.tree.insert(score, id, &self.arena);
            }
            return false;
        }
        let Some(id) = self.arena.add(score, member) else { return false };
        self.tree.insert(score, id, &self.arena);
        self.index.insert(hash, id);
        true
    }

    /// Removes a member; its score if it was there.
    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let Self { arena, index, tree } = self;
        let id = index.remove(hash(member), |id| arena.member(id) == member)?;
        let score = arena.score(id);
        tree.remove(score, member, arena);
        arena.remove(id);
        self.tidy();
        Some(score)
    }

    /// Removes the element of this rank; whether there is one.
    pub(super) fn remove_rank(&mut self, rank: usize) -> bool {
        let Self { arena, index, tree } = self;
        let Some((score, id)) = tree.get(rank) else { return false };
        let member = arena.member(id);
        index.remove(hash(member), |other| other == id);
        tree.remove(score, member, arena);
        arena.remove(id);
        self.tidy();
        true
    }

    fn tidy(&mut self) {
        if self.arena.is_wasteful() {
            *self = self.rebuilt();
        }
    }

    /// The same set without dead bytes, members lying in order.
    pub(super) fn rebuilt(&self) -> Self {
        let mut new = Self::new();
        new.index.reserve(self.len());
        let mut rank = 0;
        while rank < self.len() {
            let (scores, ids, at) = self.tree.leaf(rank);
            for (score, id) in scores.iter().zip(ids).skip(at) {
                let member = self.arena.member(*id);
                if let Some(id) = new.arena.add(*score, member) {
                    new.tree.insert(*score, id, &new.arena);
                    new.index.insert(hash(member), id);
                }
            }
            rank += (ids.len() - at).max(1);
        }
        new
    }

    /// Calls `f` with at least `count` members (if so many are left) from the cursor on, in hash order; the next
    /// cursor, 0 at the end.
    pub(super) fn scan(&self, cursor: u32, count: usize, mut f: impl FnMut(&[u8], f64)) -> u32 {
        self.index.scan(cursor, count, |id| f(self.arena.member(id), self.arena.score(id)))
    }

    /// The elements of `len` ranks from `from` on, upwards or downwards.
    pub(super) fn range(&self, from: usize, len: usize, down: bool) -> Run<'_> {
        Run { set: self, leaf: (&[], &[]), at: 0, rank: from, left: len, down }
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        self.tree.check();
    }
}

/// Elements in order. A leaf is looked up by rank when the one before it is used up: once in about 50 elements.
#[derive(Debug, Clone)]
pub(super) struct Run<'a> {
    set: &'a Large,
    leaf: (&'a [f64], &'a [u32]),
    at: usize,
    rank: usize,
    left: usize,
    down: bool,
}

impl<'a> Run<'a> {
    pub(super) fn left(&self) -> usize {
        self.left
    }
}

impl<'a> Iterator for Run<'a> {
    type Item = (&'a [u8], f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        if self.at >= self.leaf.0.len() {
            let (scores, ids, at) = self.set.tree.leaf(self.rank);
            (self.leaf, self.at) = ((scores, ids), at);
        }
        let (score, id) = (*self.leaf.0.get(self.at)?, *self.leaf.1.get(self.at)?);
        self.left -= 1;
        if self.down {
            self.rank = self.rank.wrapping_sub(1);
            self.at = self.at.wrapping_sub(1);
        } else {
            self.rank += 1;
            self.at += 1;
        }
        Some((self.set.arena.member(id), score))
    }
}
