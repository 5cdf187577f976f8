//! Entries and the groups that still refer to them.

use super::{Stream, StreamId, Trim};

/// What becomes of the references that groups hold to an entry that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum References {
    /// They stay.
    #[default]
    Keep,
    /// They go too.
    Delete,
    /// The entry stays until every group has delivered it and had it acknowledged.
    Acknowledged,
}

impl Stream {
    /// Whether a group has yet to deliver an entry, or to see it acknowledged. O(groups).
    #[must_use]
    pub fn is_referenced(&self, id: StreamId) -> bool {
        self.groups.iter().any(|(_, group)| id > group.last_id || group.pending().contains_key(&id))
    }

    /// Takes an entry out of what is pending in any group; whether it was in one.
    pub fn forget(&mut self, id: StreamId) -> bool {
        let holders: Vec<Vec<u8>> = self
            .groups
            .iter()
            .filter(|(_, group)| group.pending().contains_key(&id))
            .map(|(name, _)| name.to_vec())
            .collect();
        for name in &holders {
            self.groups.edit(name, |group| group.acknowledge(id));
        }
        !holders.is_empty()
    }

    /// Removes the oldest entries; how many. See [`Log::trim`](super::Log::trim). Unless references stay, servers
    /// trim nothing if it need not be exact.
    pub fn trim(&mut self, to: Trim, exact: bool, limit: u64, references: References) -> u64 {
        if references == References::Keep {
            return self.log.trim(to, exact, limit);
        }
        if !exact {
            return 0;
        }
        let beyond = match to {
            Trim::MaxLen(most) => self.log.len().saturating_sub(most),
            Trim::MinId(_) => u64::MAX,
        };
        let may_go = |id: &StreamId| !matches!(to, Trim::MinId(least) if *id >= least);
        let ids = self.log.iter().map(|entry| entry.id()).take_while(may_go);
        let going: Vec<StreamId> = ids
            .filter(|id| references == References::Delete || !self.is_referenced(*id))
            .take(usize::try_from(beyond).unwrap_or(usize::MAX))
            .collect();
        if references == References::Delete {
            for id in &going {
                self.forget(*id);
            }
            return self.log.trim(to, exact, 0);
        }
        for id in &going {
            self.log.take_out(*id);
        }
        going.len() as u64
    }
}
