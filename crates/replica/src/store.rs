//! The data set itself, apart from where it comes from.

use std::sync::Arc;

use ::store::{Args, Cleanup, CommandError, Keyspace, Recorded, Recorder};
use resp::Value;
use server::Engine;

use crate::caller::Caller;
use crate::db::Db;
use crate::error::Error;
use crate::script::Script;

/// All databases, to read, and to write where nobody else does: in a replica writes answer [`Error::ReadOnly`] until
/// it is [promoted](crate::Replica::promote) or [taken out](crate::Replica::into_store).
///
/// ```
/// # use replica::{Replica, Standalone};
/// # #[tokio::main]
/// # async fn main() -> Result<(), replica::Error> {
/// # let primary = Standalone::start("127.0.0.1:0").await?;
/// # primary.command(&["SET", "k", "1"])?;
/// use replica::{Cleanup, Error};
///
/// let replica = Replica::connect(&primary.url()).await?;
/// assert!(matches!(replica.store().command(0, &["INCR", "k"]), Err(Error::ReadOnly)));
///
/// let store = replica.into_store().await; // follows nobody any more, and keeps the data
/// store.command(0, &["INCR", "k"])?;
/// store.set_cleanup(Cleanup::LOW_LATENCY); // nobody else removes what expires
/// assert_eq!(store.db(0).get_as::<u32>("k")?, Some(2));
/// println!("{} bytes", store.memory());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) engine: Arc<Engine>,
}

/// What a database holds, in figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabaseInfo {
    /// Its number.
    pub index: u32,
    /// How many keys, expired ones included.
    pub keys: usize,
    /// How many of them expire.
    pub expires: usize,
    /// Bytes of entries and values.
    pub bytes: usize,
}

impl Store {
    /// A read handle for a database.
    #[must_use]
    pub fn db(&self, index: u32) -> Db {
        Db::new(Arc::clone(self.engine.keyspace()), index)
    }

    /// The databases that hold keys, in order.
    #[must_use]
    pub fn databases(&self) -> Vec<DatabaseInfo> {
        let existing = self.engine.keyspace().existing().map(|(index, db)| {
            let counts = db.counts();
            DatabaseInfo { index, keys: counts.keys, expires: counts.expires, bytes: counts.bytes }
        });
        existing.filter(|database| database.keys > 0).collect()
    }

    /// Bytes that the data take; in constant time.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.engine.keyspace().payload()
    }

    /// Runs a data command and answers its reply.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::Command`].
    pub fn command(&self, db: u32, args: &[impl AsRef<[u8]>]) -> Result<Recorded, Error> {
        let parts: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        if parts.is_empty() {
            return Err(Error::Command(CommandError::Syntax));
        }
        let mut reply = Recorder::default();
        self.engine.execute(db, Args::new(&parts), &mut reply).map_err(Error::of_command)?;
        reply.finish().ok_or(Error::Command(CommandError::err("the command answered nothing")))
    }

    /// Runs any command as a client would, scripts and INFO included.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::Command`].
    pub fn call(&self, args: &[impl AsRef<[u8]>]) -> Result<Value, Error> {
        let parts: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        self.engine.call(&parts).map_err(Error::of_command)
    }

    /// A Lua script, compiled, to be run on these data.
    ///
    /// # Errors
    /// [`Error::Command`]: it does not compile, or this build has no Lua.
    pub fn script(&self, source: impl AsRef<[u8]>) -> Result<Script, Error> {
        Script::load(&self.engine, source.as_ref())
    }

    /// A conversation for many such calls.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller::new(server::Caller::new(&self.engine))
    }

    /// How eagerly expired keys are removed, where nobody else does that.
    #[must_use]
    pub fn cleanup(&self) -> Cleanup {
        self.engine.cleanup()
    }

    /// Changes that.
    pub fn set_cleanup(&self, cleanup: Cleanup) {
        self.engine.set_cleanup(cleanup);
    }

    /// Removes the keys used longest ago, at most so many; how many went. Only where it can be written to.
    ///
    /// # Errors
    /// [`Error::ReadOnly`]
    pub fn evict_lru(&self, most: usize) -> Result<usize, Error> {
        if !self.engine.is_writable() {
            return Err(Error::ReadOnly);
        }
        Ok(self.engine.evict_some(store::Policy::AllKeysLru, most))
    }

    /// The keyspace, for advanced use.
    #[must_use]
    pub fn keyspace(&self) -> &Arc<Keyspace> {
        self.engine.keyspace()
    }

    /// The engine around it, for advanced use.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }
}
