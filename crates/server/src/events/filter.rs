//! Which events a subscriber wants.

use replication::Position;
use store::value::Kind;

use super::{Change, Was};

/// What to be told of. By default: of every key, without values, beginning with what there is.
///
/// ```
/// use server::EventFilter;
///
/// let users = EventFilter::new().database(0).prefix("user:").with_after();
/// # drop(users);
/// ```
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    databases: Vec<u32>,
    prefixes: Vec<Box<[u8]>>,
    kinds: Vec<Kind>,
    pub(super) before: bool,
    pub(super) after: bool,
    pub(super) without_snapshot: bool,
    pub(super) since: Option<Position>,
}

impl EventFilter {
    /// Everything, without values.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only this database; call again for several.
    #[must_use]
    pub fn database(mut self, db: u32) -> Self {
        self.databases.push(db);
        self
    }

    /// Only keys that begin so; call again for several.
    #[must_use]
    pub fn prefix(mut self, prefix: impl AsRef<[u8]>) -> Self {
        self.prefixes.push(prefix.as_ref().into());
        self
    }

    /// Only keys that hold this kind of value now, held it before, or may have; call again for several. So whoever
    /// keeps something derived from hashes hears when a hash goes, or becomes a string.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kinds.push(kind);
        self
    }

    /// With the value from before the change. It is copied while the change is made: ask for it only where it is
    /// needed, and with a [`prefix`](Self::prefix).
    #[must_use]
    pub fn with_before(mut self) -> Self {
        self.before = true;
        self
    }

    /// With the value after the change; the same holds.
    #[must_use]
    pub fn with_after(mut self) -> Self {
        self.after = true;
        self
    }

    /// Only what happens from now on: no bracket at the beginning, and none after events were missed.
    #[must_use]
    pub fn without_snapshot(mut self) -> Self {
        self.without_snapshot = true;
        self
    }

    /// Goes on behind this position (that of a [`Commit`](super::Event::Commit)) instead of beginning with what there
    /// is. If the events since then are no longer kept, that is said by [`Lagged`](super::Event::Lagged), and a
    /// bracket follows.
    #[must_use]
    pub fn since(mut self, position: Position) -> Self {
        self.since = Some(position);
        self
    }

    /// Whether what was before has to be looked at.
    pub(super) fn wants_before(&self) -> bool {
        self.before || !self.kinds.is_empty()
    }

    /// Whether it is about this key, whatever it holds.
    pub(super) fn names(&self, db: u32, key: &[u8]) -> bool {
        self.has_database(db)
            && (self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| key.starts_with(prefix)))
    }

    pub(super) fn has_database(&self, db: u32) -> bool {
        self.databases.is_empty() || self.databases.contains(&db)
    }

    /// Whether it is about values of this kind.
    pub(super) fn has_kind(&self, kind: Kind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    pub(super) fn wants(&self, change: &Change, was: &Was) -> bool {
        self.names(change.db, &change.key)
            && (self.kinds.is_empty()
                || change.kind.is_some_and(|kind| self.has_kind(kind))
                || match was {
                    Was::Unknown => true,
                    Was::Known(kind, _) => kind.is_some_and(|kind| self.has_kind(kind)),
                })
    }
}
