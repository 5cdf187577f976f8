//! Settings, and the start.

use std::time::Duration;

use replication::{Credentials, Driver, DriverConfig};
use server::{Engine, EngineTarget, Listener, Options, Role, housekeeper};
use store::Compat;

use crate::address::Address;
use crate::error::Error;
use crate::handle::Replica;

/// Settings of a [`Replica`]; made by [`Replica::builder`].
#[derive(Debug, Clone)]
pub struct Builder {
    master: Option<String>,
    credentials: Option<Credentials>,
    listen: Option<String>,
    server_password: Option<String>,
    databases: u32,
    compat: Option<Compat>,
    sync_timeout: Duration,
    connect_timeout: Duration,
    read_timeout: Duration,
    ack_interval: Duration,
}

impl Default for Builder {
    fn default() -> Self {
        let link = replication::LinkOptions::default();
        Self {
            master: None,
            credentials: None,
            listen: None,
            server_password: None,
            databases: 16,
            compat: None,
            sync_timeout: link.sync_timeout,
            connect_timeout: Duration::from_secs(5),
            read_timeout: link.read_timeout,
            ack_interval: link.ack_interval,
        }
    }
}

impl Builder {
    /// The primary: `redis://user:password@host:port` or `host:port`. Required.
    #[must_use]
    pub fn master(mut self, address: impl Into<String>) -> Self {
        self.master = Some(address.into());
        self
    }

    /// User and password for the primary, instead of those in the address.
    #[must_use]
    pub fn credentials(mut self, user: Option<String>, password: impl Into<String>) -> Self {
        self.credentials = Some(Credentials { user, password: password.into() });
        self
    }

    /// Serves the copy to RESP clients at this address; `:6380` means every interface, port 0 a free port
    /// (see [`Replica::local_addr`]).
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// What RESP clients must give to AUTH.
    #[must_use]
    pub fn server_password(mut self, password: impl Into<String>) -> Self {
        self.server_password = Some(password.into());
        self
    }

    /// How many databases SELECT offers to RESP clients; grows if the primary uses more. Default 16.
    #[must_use]
    pub fn databases(mut self, databases: u32) -> Self {
        self.databases = databases;
        self
    }

    /// Which server RESP clients see: versions, commands, texts. Default: what the primary is. The stream is applied
    /// whatever this is.
    #[must_use]
    pub fn compat(mut self, compat: Compat) -> Self {
        self.compat = Some(compat);
        self
    }

    /// How long the primary may be silent during a full sync: progress, not the total. Default 60 s.
    #[must_use]
    pub fn sync_timeout(mut self, timeout: Duration) -> Self {
        self.sync_timeout = timeout;
        self
    }

    /// How long connecting may take. Default 5 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long the stream may be silent. Default 60 s; primaries ping every 10 s.
    #[must_use]
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// Time between two acknowledgements to the primary. Default 1 s, as real replicas.
    #[must_use]
    pub fn ack_interval(mut self, interval: Duration) -> Self {
        self.ack_interval = interval;
        self
    }

    /// Starts the link and the listener. Does not wait for the primary: see [`Replica::ready`].
    ///
    /// # Errors
    /// [`Error::Config`], or a socket or thread that cannot be had.
    pub async fn start(self) -> Result<Replica, Error> {
        let master = self.master.as_deref().ok_or_else(|| Error::Config("no primary given".to_owned()))?;
        let address = Address::parse(master)?;
        let mut options = Options::default();
        options.databases = self.databases;
        options.compat = self.compat;
        options.password = self.server_password;
        let role = Role::Replica { host: address.host.clone(), port: address.port };
        let engine = Engine::new(role, options);
        housekeeper::spawn(&engine).map_err(|source| Error::Io { what: "starting a thread", source })?;
        let listener = match &self.listen {
            None => None,
            Some(listen) => {
                let listen =
                    if listen.starts_with(':') { format!("0.0.0.0{listen}") } else { listen.clone() };
                let bound = Listener::bind(engine.clone(), listen.as_str()).await;
                Some(bound.map_err(|source| Error::Io { what: "listening", source })?)
            }
        };
        let mut config = DriverConfig::new(address.host, address.port);
        config.connect_timeout = self.connect_timeout;
        config.link.credentials = self.credentials.or_else(|| {
            let user = address.user;
            address.password.map(|password| Credentials { user, password })
        });
        config.link.listening_port = listener.as_ref().map_or(0, |l| l.local_addr().port());
        config.link.sync_timeout = self.sync_timeout;
        config.link.read_timeout = self.read_timeout;
        config.link.ack_interval = self.ack_interval;
        let driver = Driver::spawn(config, EngineTarget::new(engine.clone()));
        let driver = driver.map_err(|source| Error::Io { what: "starting a thread", source })?;
        engine.watch_link(driver.watch());
        Ok(Replica::new(engine, listener, driver))
    }
}
