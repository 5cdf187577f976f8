//! How new what is read is, and waiting for what is newer.
//!
//! A replica is behind its primary by what is on its way. Whoever needs more than that asks for it: by a position
//! ([`Replica::wait_for`]), which is exact, or by age or bytes ([`Replica::require`]), which are what this side can
//! see: what the primary itself has not sent yet is known to nobody here.

use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};

use replication::Position;
use server::Held;

use crate::db::Db;
use crate::error::Error;
use crate::handle::Replica;

/// How far the data set has come, seen from here, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Freshness {
    /// What a read that starts now sees at least.
    pub position: Option<Position>,
    /// How far the stream has been received.
    pub received: Option<u64>,
    /// Bytes of the stream received and not yet applied.
    pub behind_bytes: u64,
    /// Everything that had been received so long ago is applied; `None` before the first sync. An idle primary says
    /// something every 10 s only (`repl-ping-replica-period`), so this grows that far while nothing is amiss.
    pub age: Option<Duration>,
    /// Since the last byte from the primary.
    pub silence: Option<Duration>,
    /// Whether the stream flows.
    pub connected: bool,
}

/// How fresh data must be, for [`Replica::require`].
///
/// ```
/// # use replica::{Replica, Standalone};
/// # #[tokio::main]
/// # async fn main() -> Result<(), replica::Error> {
/// # let primary = Standalone::start("127.0.0.1:0").await?;
/// # let replica = Replica::connect(&primary.url()).await?;
/// use replica::{Bound, Error};
///
/// match replica.require(Bound::WithinBytes(64 * 1024)) {
///     Ok(data) => println!("{} keys", data.len()),
///     Err(Error::TooStale { freshness, .. }) => println!("behind by {}: ask the primary", freshness.behind_bytes),
///     Err(error) => return Err(error),
/// }
/// # replica.shutdown().await
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bound {
    /// There is a complete data set, however old.
    Synced,
    /// Everything up to this position is there. Exact.
    AtLeast(Position),
    /// Everything that had been received so long ago is applied, and the stream flows.
    WithinTime(Duration),
    /// At most so many bytes of the stream have been received and not yet applied, and it flows.
    WithinBytes(u64),
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Synced => f.write_str("a complete data set"),
            Self::AtLeast(position) => write!(f, "everything up to {position}"),
            Self::WithinTime(time) => write!(f, "at most {} s behind", time.as_secs_f32()),
            Self::WithinBytes(bytes) => write!(f, "at most {bytes} bytes behind"),
        }
    }
}

/// Data that were as fresh as was [required](Replica::require) when this was made; reads through it can only see
/// newer ones. It has the methods of [`Db`], for database 0; [`db`](Self::db) gives the others.
#[derive(Debug, Clone)]
pub struct Fresh<'r> {
    replica: &'r Replica,
    first: Db,
    freshness: Freshness,
}

impl Fresh<'_> {
    /// A read handle for a database.
    #[must_use]
    pub fn db(&self, index: u32) -> Db {
        self.replica.db(index)
    }

    /// How fresh they were.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        self.freshness
    }
}

impl Deref for Fresh<'_> {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.first
    }
}

impl Replica {
    /// How far the data set has come.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        // In this order: what is applied in between makes it look fresher received than it is, not applied.
        let link = self.link();
        let position = self.position();
        let now = Instant::now();
        let since = |moment: Option<Instant>| moment.map(|moment| now.saturating_duration_since(moment));
        let received = link.read_offset.map(|offset| offset.0);
        let applied = position.map_or(0, |position| position.offset.0);
        let (level, io) = (link.level_at, link.last_io);
        Freshness {
            position,
            received: received.map(|received| received.max(applied)),
            behind_bytes: received.map_or(0, |received| received.saturating_sub(applied)),
            age: position.and_then(|_| since(level)),
            silence: since(io),
            connected: link.phase.is_streaming(),
        }
    }

    /// The data, if they are fresh enough.
    ///
    /// ```
    /// # use replica::{Replica, Standalone};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), replica::Error> {
    /// # let primary = Standalone::start("127.0.0.1:0").await?;
    /// # primary.command(&["SET", "price", "5"])?;
    /// # let replica = Replica::connect(&primary.url()).await?;
    /// use replica::Bound;
    /// use std::time::Duration;
    ///
    /// let fresh = replica.require(Bound::WithinTime(Duration::from_secs(15)))?;
    /// assert_eq!(fresh.get("price")?.unwrap(), b"5");
    /// # replica.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotSynced`], [`Error::TooStale`], or [`Error::HistoryEnded`] for a position that will never come.
    pub fn require(&self, bound: Bound) -> Result<Fresh<'_>, Error> {
        let freshness = self.freshness();
        if freshness.position.is_none() {
            return Err(Error::NotSynced);
        }
        let enough = match bound {
            Bound::Synced => true,
            Bound::AtLeast(position) => match self.engine().holds(position) {
                Held::Never => return Err(Error::HistoryEnded { position }),
                held => held == Held::Yes,
            },
            Bound::WithinTime(time) => freshness.connected && freshness.age.is_some_and(|age| age <= time),
            Bound::WithinBytes(bytes) => freshness.connected && freshness.behind_bytes <= bytes,
        };
        if !enough {
            return Err(Error::TooStale { wanted: bound, freshness: Box::new(freshness) });
        }
        Ok(Fresh { replica: self, first: self.db(0), freshness })
    }

    /// Waits until everything up to a position is there: one that [`write`](Self::write) answered, or that another
    /// replica of the same primary has come to. Put a timeout around it: a primary that is gone may never send it.
    ///
    /// ```
    /// # use replica::{Replica, Standalone, cmd};
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), replica::Error> {
    /// # let primary = Standalone::start("127.0.0.1:0").await?;
    /// # let (one, other) = (Replica::connect(&primary.url()).await?, Replica::connect(&primary.url()).await?);
    /// let (_, at) = one.write(cmd!("SET", "visits", 1)).await?;
    /// other.wait_for(at).await?; // a position means the same to every replica of a primary
    /// assert_eq!(other.db(0).get_as::<u32>("visits")?, Some(1));
    /// # one.shutdown().await?;
    /// # other.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::HistoryEnded`] if it will never come, [`Error::Closed`].
    pub async fn wait_for(&self, position: Position) -> Result<(), Error> {
        let mut applied = self.engine().watch_offset();
        let mut link = self.watch_link();
        loop {
            applied.borrow_and_update();
            let stopped = matches!(link.borrow_and_update().phase, replication::Phase::Stopped);
            match self.engine().holds(position) {
                Held::Yes => return Ok(()),
                Held::Never => return Err(Error::HistoryEnded { position }),
                Held::NotYet if stopped => return Err(Error::Closed),
                Held::NotYet => {}
            }
            // The link wakes us where another history begins at the very same offset.
            tokio::select! {
                changed = applied.changed() => changed.map_err(|_| Error::Closed)?,
                changed = link.changed() => changed.map_err(|_| Error::Closed)?,
            }
        }
    }
}
