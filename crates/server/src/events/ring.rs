//! The last events, numbered, in bounded memory.

use std::collections::VecDeque;
use std::sync::Arc;

use replication::Position;

use super::{Change, Was};

/// Events kept while somebody subscribes, unless more are asked for.
const LEAST: usize = 65_536;
/// Bytes of keys and values kept at most.
const MOST_BYTES: usize = 64 << 20;

/// An event as the ring holds it.
#[derive(Debug)]
pub(super) enum Item {
    Change(Box<Change>, Was),
    /// Any key may have changed.
    Anew,
    Commit,
}

impl Item {
    fn weight(&self) -> usize {
        let of = |contents: &Option<Arc<super::Contents>>| contents.as_ref().map_or(0, |c| c.weight());
        match self {
            Self::Change(change, _) => 200 + change.key.len() + of(&change.before) + of(&change.after),
            Self::Anew | Self::Commit => 100,
        }
    }
}

#[derive(Debug)]
pub(super) struct Ring {
    items: VecDeque<(Arc<Item>, Position)>,
    /// The number of the first item.
    first: u64,
    /// Where the data set stood before the first item.
    floor: Option<Position>,
    bytes: usize,
    most: usize,
}

impl Ring {
    pub(super) fn new(kept: usize) -> Self {
        Self { items: VecDeque::new(), first: 0, floor: None, bytes: 0, most: kept.max(LEAST) }
    }

    /// Somebody begins to listen, when the data set stands here.
    pub(super) fn begin(&mut self, position: Option<Position>) {
        self.clear();
        self.floor = position;
    }

    /// The data set stands here, and nothing has been told of it yet.
    pub(super) fn stand(&mut self, position: Position) {
        if self.items.is_empty() {
            self.floor = Some(position);
        }
    }

    pub(super) fn clear(&mut self) {
        self.first = self.end();
        (self.items, self.floor, self.bytes) = (VecDeque::new(), None, 0);
    }

    pub(super) fn push(&mut self, item: Item, position: Position) {
        self.bytes += item.weight();
        self.items.push_back((Arc::new(item), position));
        while self.items.len() > self.most || self.bytes > MOST_BYTES {
            let Some((gone, at)) = self.items.pop_front() else { break };
            self.bytes -= gone.weight();
            self.first += 1;
            self.floor = Some(at);
        }
    }

    /// The number of the next event.
    pub(super) fn end(&self) -> u64 {
        self.first + self.items.len() as u64
    }

    /// The number of the oldest one that is still here.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The event with this number.
    pub(super) fn get(&self, number: u64) -> Option<(Arc<Item>, Position)> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.items.get(at).map(|(item, position)| (Arc::clone(item), *position))
    }

    /// The number of the first event behind a position; `None` if what came in between is not kept.
    pub(super) fn after(&self, position: Position) -> Option<u64> {
        let reaches = |at: &Position| at.replid == position.replid && at.offset <= position.offset;
        if let Some(at) = self.items.iter().rposition(|(_, at)| reaches(at)) {
            return Some(self.first + at as u64 + 1);
        }
        self.floor.as_ref().filter(|floor| reaches(floor)).map(|_| self.first)
    }
}

#[cfg(test)]
mod tests {
    use replication::{Offset, ReplId};

    use super::*;

    #[test]
    fn positions_are_found_while_they_last() {
        let replid = ReplId::random();
        let at = |offset| Position { replid, offset: Offset(offset) };
        let mut ring = Ring { most: 4, ..Ring::new(0) };
        assert_eq!(ring.after(at(10)), None);
        ring.begin(Some(at(10)));
        assert_eq!((ring.after(at(10)), ring.after(at(9)), ring.after(at(11))), (Some(0), None, Some(0)));
        for offset in [20, 20, 30, 30] {
            ring.push(Item::Commit, at(offset));
        }
        assert_eq!((ring.after(at(19)), ring.after(at(20)), ring.after(at(30))), (Some(0), Some(2), Some(4)));
        ring.push(Item::Commit, at(40));
        // The first half of 20 is gone: one may go on behind all of it, not before.
        assert_eq!((ring.first(), ring.end()), (1, 5));
        assert_eq!((ring.after(at(19)), ring.after(at(20)), ring.after(at(30))), (None, Some(2), Some(4)));
        assert_eq!(ring.after(Position { replid: ReplId::random(), offset: Offset(30) }), None);
        assert!(ring.get(0).is_none() && ring.get(1).is_some() && ring.get(5).is_none());
    }
}
