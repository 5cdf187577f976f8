//! The same without async, for programs that have no runtime: one thread of its own drives everything.
//!
//! ```
//! use replica::blocking::{Replica, Standalone};
//!
//! # fn main() -> Result<(), replica::Error> {
//! let primary = Standalone::start("127.0.0.1:0")?;
//! primary.command(&["SET", "greeting", "hello"])?;
//! let replica = Replica::connect(&primary.url())?;
//! let (_, at) = replica.write(replica::cmd!("SET", "more", 1))?;
//! replica.wait_for(at, std::time::Duration::from_secs(10))?;
//! assert_eq!(replica.db(0).get("greeting")?.unwrap(), b"hello");
//! replica.shutdown()
//! # }
//! ```
//!
//! What never waits (reads, [`status`](crate::Replica::status), [`position`](crate::Replica::position),
//! [`view`](crate::Replica::view)) is that of [`crate::Replica`], which stands behind it. Do not call what waits from
//! within a tokio runtime: there, use the other one.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use replication::Position;
use resp::Value;
use server::{Event, EventFilter, SaveProgress};
use tokio::runtime::{Builder as RuntimeBuilder, Handle};
use tokio::sync::oneshot;

use crate::builder::Builder;
use crate::cmd::Cmd;
use crate::error::Error;
use crate::handle::Status;
use crate::store::Store;
use crate::verify::Report;

/// A thread with a runtime.
#[derive(Debug)]
struct Driving {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Driving {
    fn start() -> Result<Arc<Self>, Error> {
        let thread = |source| Error::Io { what: "starting a thread", source };
        let runtime = RuntimeBuilder::new_current_thread().enable_all().build().map_err(thread)?;
        let (handle, (stop, stopped)) = (runtime.handle().clone(), oneshot::channel());
        let driver = thread::Builder::new().name("replica-blocking".to_owned()).spawn(move || {
            // Ends when the sender is dropped.
            let _ = runtime.block_on(stopped);
        });
        Ok(Arc::new(Self { handle, stop: Some(stop), thread: Some(driver.map_err(thread)?) }))
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) =
            self.thread.take().filter(|thread| thread.thread().id() != thread::current().id())
        {
            let _ = thread.join();
        }
    }
}

/// A data set that follows a primary; see [`crate::Replica`]. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Replica {
    // Before its runtime: what it stops by being dropped still runs there.
    replica: crate::Replica,
    driving: Arc<Driving>,
}

impl Deref for Replica {
    type Target = crate::Replica;

    fn deref(&self) -> &crate::Replica {
        &self.replica
    }
}

impl Builder {
    /// [`start`](Self::start) for programs without a runtime.
    ///
    /// # Errors
    /// As there.
    pub fn start_blocking(self) -> Result<Replica, Error> {
        let driving = Driving::start()?;
        let replica = driving.handle.block_on(self.start())?;
        Ok(Replica { replica, driving })
    }
}

impl Replica {
    /// Settings, to be completed and [started](Builder::start_blocking).
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A replica of the primary at `address`, with its first data set complete.
    ///
    /// # Errors
    /// As [`Builder::start`] and [`ready`](Self::ready).
    pub fn connect(address: &str) -> Result<Self, Error> {
        let replica = Self::builder().master(address).start_blocking()?;
        replica.ready()?;
        Ok(replica)
    }

    /// [`crate::Replica::ready`]
    ///
    /// # Errors
    /// As there.
    pub fn ready(&self) -> Result<(), Error> {
        self.driving.handle.block_on(self.replica.ready())
    }

    /// [`ready`](Self::ready), for so long at most.
    ///
    /// # Errors
    /// As there, and [`Error::Timeout`].
    pub fn ready_within(&self, patience: Duration) -> Result<(), Error> {
        self.within(patience, "the first sync", self.replica.ready())
    }

    /// [`crate::Replica::wait_for`], for so long at most.
    ///
    /// # Errors
    /// As there, and [`Error::Timeout`].
    pub fn wait_for(&self, position: Position, patience: Duration) -> Result<(), Error> {
        self.within(patience, "a position", self.replica.wait_for(position))
    }

    /// [`crate::Replica::write`]
    ///
    /// # Errors
    /// As there.
    pub fn write(&self, cmd: Cmd) -> Result<(Value, Position), Error> {
        self.driving.handle.block_on(self.replica.write(cmd))
    }

    /// [`crate::Replica::save`]
    ///
    /// # Errors
    /// As there.
    pub fn save(&self) -> Result<(), Error> {
        self.driving.handle.block_on(self.replica.save())
    }

    /// [`crate::Replica::save_to`]
    ///
    /// # Errors
    /// As there.
    pub fn save_to(&self, path: impl Into<PathBuf>) -> Result<Position, Error> {
        self.driving.handle.block_on(self.replica.save_to(path))
    }

    /// [`crate::Replica::save_to_with`]
    ///
    /// # Errors
    /// As there.
    pub fn save_to_with(
        &self,
        path: impl Into<PathBuf>,
        progress: impl FnMut(SaveProgress) + Send + 'static,
    ) -> Result<Position, Error> {
        self.driving.handle.block_on(self.replica.save_to_with(path, progress))
    }

    /// [`crate::Replica::verify`]
    ///
    /// # Errors
    /// As there.
    pub fn verify(&self) -> Result<Report, Error> {
        self.driving.handle.block_on(self.replica.verify())
    }

    /// [`crate::Replica::wait_for_offset`]
    ///
    /// # Errors
    /// As there.
    pub fn wait_for_offset(&self, offset: u64, patience: Duration) -> Result<(), Error> {
        self.driving.handle.block_on(self.replica.wait_for_offset(offset, patience))
    }

    /// [`crate::Replica::into_store`]
    #[must_use]
    pub fn into_store(self) -> Store {
        let Self { replica, driving } = self;
        driving.handle.block_on(replica.into_store())
    }

    /// [`crate::Replica::events`]: an iterator that waits.
    #[must_use]
    pub fn events(&self, filter: EventFilter) -> Events {
        Events { events: self.replica.events(filter), driving: Arc::clone(&self.driving) }
    }

    /// [`crate::Replica::watch_status`]: an iterator that waits.
    #[must_use]
    pub fn watch_status(&self) -> States {
        States { states: self.replica.watch_status(), driving: Arc::clone(&self.driving) }
    }

    /// [`crate::Replica::watch`]
    #[must_use]
    pub fn watch(&self, db: u32, key: impl AsRef<[u8]>) -> KeyWatch {
        KeyWatch { watch: self.replica.watch(db, key), driving: Arc::clone(&self.driving) }
    }

    /// [`crate::Replica::shutdown`]
    ///
    /// # Errors
    /// As there.
    pub fn shutdown(&self) -> Result<(), Error> {
        self.driving.handle.block_on(self.replica.shutdown())
    }

    fn within<T>(
        &self,
        patience: Duration,
        what: &'static str,
        waiting: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let waiting = async { tokio::time::timeout(patience, waiting).await };
        self.driving.handle.block_on(waiting).map_err(|_| Error::Timeout { what })?
    }
}

/// The events of a data set; see [`crate::Events`]. Waits for each.
#[derive(Debug)]
pub struct Events {
    events: crate::Events,
    driving: Arc<Driving>,
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.driving.handle.block_on(self.events.next())
    }
}

/// The states of a replica, one after another; see [`crate::States`]. Waits for each.
#[derive(Debug)]
pub struct States {
    states: crate::States,
    driving: Arc<Driving>,
}

impl Iterator for States {
    type Item = Status;

    fn next(&mut self) -> Option<Status> {
        self.driving.handle.block_on(self.states.next())
    }
}

/// One key, watched; see [`crate::KeyWatch`].
#[derive(Debug)]
pub struct KeyWatch {
    watch: crate::KeyWatch,
    driving: Arc<Driving>,
}

impl KeyWatch {
    /// Waits until the key has been written since the last call (or the beginning). False: there will be no more
    /// changes.
    pub fn changed(&mut self) -> bool {
        self.driving.handle.block_on(self.watch.changed())
    }
}

impl Deref for KeyWatch {
    type Target = crate::KeyWatch;

    fn deref(&self) -> &crate::KeyWatch {
        &self.watch
    }
}

/// A writable server without a primary; see [`crate::Standalone`].
#[cfg(feature = "server")]
#[derive(Debug)]
pub struct Standalone {
    standalone: crate::Standalone,
    driving: Arc<Driving>,
}

#[cfg(feature = "server")]
impl Deref for Standalone {
    type Target = crate::Standalone;

    fn deref(&self) -> &crate::Standalone {
        &self.standalone
    }
}

#[cfg(feature = "server")]
impl Standalone {
    /// Starts an empty server that listens at `address`.
    ///
    /// # Errors
    /// A socket or thread that cannot be had.
    pub fn start(address: &str) -> Result<Self, Error> {
        let driving = Driving::start()?;
        let standalone = driving.handle.block_on(crate::Standalone::start(address))?;
        Ok(Self { standalone, driving })
    }

    /// Stops listening and ends the connections.
    pub fn shutdown(&self) {
        self.driving.handle.block_on(self.standalone.shutdown());
    }
}
