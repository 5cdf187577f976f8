//! Which positions the data set has come past: those of its own history, and of the ones it has left.

use parking_lot::Mutex;
use replication::{Position, ReplId};

use crate::engine::Engine;

/// Histories left that are remembered.
const REMEMBERED: usize = 64;

/// Whether the data hold everything up to a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// They do.
    Yes,
    /// Not yet; or the position is of a history that nobody here has heard of.
    NotYet,
    /// They never will: the data go on from another history, which began before that position.
    Never,
}

/// Histories that the data set has left.
#[derive(Debug, Default)]
pub(crate) struct Left(Mutex<Vec<ReplId>>);

impl Left {
    pub(crate) fn leave(&self, history: ReplId) {
        let mut left = self.0.lock();
        left.retain(|known| *known != history);
        if left.len() == REMEMBERED {
            left.remove(0);
        }
        left.push(history);
    }
}

impl Engine {
    /// Whether the data hold everything up to `at`.
    #[must_use]
    pub fn holds(&self, at: Position) -> Held {
        let Some(held) = self.position() else { return Held::NotYet };
        if let Some(cluster) = self.cluster()
            && at.replid != held.replid
        {
            return cluster.holds(at);
        }
        if held.replid == at.replid {
            return if at.offset <= held.offset { Held::Yes } else { Held::NotYet };
        }
        if !self.left.0.lock().contains(&at.replid) {
            return Held::NotYet;
        }
        // A history that was continued under another name is held as far as both are the same.
        match self.writing.lock().primary.previous() {
            Some(previous) if previous.replid == at.replid && at.offset <= previous.offset => Held::Yes,
            _ => Held::Never,
        }
    }

    /// Ends the [events](Self::events) of everybody: what has happened is still told, and then nothing more.
    pub fn close_events(&self) {
        self.events.close();
    }
}
