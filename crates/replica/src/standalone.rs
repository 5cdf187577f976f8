//! A primary of our own: a writable server in this process, which replicas (ours and real ones) can follow.

use std::net::SocketAddr;
use std::sync::Arc;

use ::store::{Args, CommandError, Recorded, Recorder};
use resp::Value;
use server::{Endpoint, Engine, Listener, Options, Role, housekeeper};

use crate::caller::Caller;
use crate::db::Db;
use crate::error::Error;
use crate::script::Script;

/// A writable server without a primary. Dropping it stops it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), replica::Error> {
/// let primary = replica::Standalone::start("127.0.0.1:0").await?;
/// primary.command(&["SET", "greeting", "hello"])?;
/// assert_eq!(primary.db(0).get("greeting")?.unwrap(), b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Standalone {
    engine: Arc<Engine>,
    listener: Listener,
}

impl Drop for Standalone {
    fn drop(&mut self) {
        // A client may have sent REPLICAOF.
        self.engine.stop_following();
    }
}

impl Standalone {
    /// Starts an empty server that listens at `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// A socket or thread that cannot be had.
    pub async fn start(address: &str) -> Result<Self, Error> {
        Self::start_with(Engine::new(Role::Primary, Options::default()), address).await
    }

    /// The same with an engine of the caller's.
    ///
    /// # Errors
    /// A socket or thread that cannot be had.
    pub async fn start_with(engine: Arc<Engine>, address: &str) -> Result<Self, Error> {
        housekeeper::spawn(&engine).map_err(|source| Error::Io { what: "starting a thread", source })?;
        let listener = Listener::open(Arc::clone(&engine), &[Endpoint::Tcp(address.to_owned())]).await;
        let listener = listener.map_err(|source| Error::Io { what: "listening", source })?;
        Ok(Self { engine, listener })
    }

    /// Runs a data command in database 0, as a client would, and answers its reply.
    ///
    /// # Errors
    /// [`Error::Command`]
    pub fn command(&self, args: &[impl AsRef<[u8]>]) -> Result<Recorded, Error> {
        self.command_in(0, args)
    }

    /// Runs a data command in another database.
    ///
    /// # Errors
    /// [`Error::Command`]
    pub fn command_in(&self, db: u32, args: &[impl AsRef<[u8]>]) -> Result<Recorded, Error> {
        let parts: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        if parts.is_empty() {
            return Err(Error::Command(CommandError::Syntax));
        }
        let mut reply = Recorder::default();
        self.engine.execute(db, Args::new(&parts), &mut reply).map_err(Error::Command)?;
        reply.finish().ok_or(Error::Command(CommandError::err("the command answered nothing")))
    }

    /// Runs any command as a client would, without a socket: scripts, functions, INFO.
    ///
    /// # Errors
    /// [`Error::Command`]
    pub fn call(&self, args: &[impl AsRef<[u8]>]) -> Result<Value, Error> {
        let parts: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        self.engine.call(&parts).map_err(Error::Command)
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

    /// A read handle for a database.
    #[must_use]
    pub fn db(&self, index: u32) -> Db {
        Db::new(Arc::clone(self.engine.keyspace()), index)
    }

    /// The engine behind it, for advanced use.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// The address for [`Builder::master`](crate::Builder::master).
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.local_addr())
    }

    /// Stops listening and ends the connections, replies in flight first.
    pub async fn shutdown(&self) {
        self.listener.shutdown().await;
    }
}
