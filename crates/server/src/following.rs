//! Whom an engine follows: the link it owns, REPLICAOF, promotion, and the settings by their usual names.
//!
//! ```text
//!                  follow, REPLICAOF HOST PORT
//!   primary  <---------------------------------->  replica  --- REPLICAOF HOST PORT --> replica of another
//!                  REPLICAOF NO ONE
//! ```
//!
//! Each change begins a new *term*. The link carries the number of the term it works for, and what it
//! delivers for an earlier one is dropped: once a client has its `+OK`, nothing of the old primary is
//! applied any more.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use replication::{
    Credentials, Driver, DriverConfig, Handle, LinkError, LinkStatus, Offset, Position, Primary, ReplId,
};
use store::{Family, SettingKind};
use tokio::sync::watch;

use crate::engine::Engine;
use crate::role::Role;
use crate::settings::{INT, Row, any_text};
use crate::target::EngineTarget;
use crate::upstream::{Writes, WritesAs};

/// The link of an engine.
#[derive(Debug, Default)]
pub(crate) struct Following {
    driver: Mutex<Option<Handle<EngineTarget>>>,
    /// Who watches the links of a cluster that was left: he is told of the next one.
    told: Mutex<Option<Arc<watch::Sender<LinkStatus>>>>,
    /// How to treat whatever primary there will be.
    template: Mutex<Option<DriverConfig>>,
    /// Grows with each change of role or primary.
    term: AtomicU64,
    pub(crate) settings: RwLock<LinkSettings>,
    /// Whether those ask more of a command than to run: every command looks.
    is_particular: AtomicBool,
}

impl Following {
    /// Whether the settings hide stale data, or send writes on.
    #[inline]
    pub(crate) fn is_particular(&self) -> bool {
        self.is_particular.load(Ordering::Acquire)
    }

    pub(crate) fn term(&self) -> u64 {
        self.term.load(Ordering::Acquire)
    }

    /// The state of the next link goes there, too.
    pub(crate) fn tell(&self, told: Arc<watch::Sender<LinkStatus>>) {
        *self.told.lock() = Some(told);
    }

    fn pass_on(&self, mut link: watch::Receiver<LinkStatus>) {
        let Some(told) = self.told.lock().take() else { return };
        told.send_replace(link.borrow_and_update().clone());
        // Whoever says REPLICAOF does it in a runtime.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                while link.changed().await.is_ok() {
                    told.send_replace(link.borrow_and_update().clone());
                }
            });
        }
    }
}

/// What a replica says of itself, and to its primary. All of it can be changed by CONFIG SET.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LinkSettings {
    /// `replica-priority`: 0, the default, is never promoted by a Sentinel.
    pub priority: u32,
    /// `replica-announced`: whether Sentinels tell clients of this replica. Default no.
    pub announced: bool,
    /// `replica-announce-ip`: what to tell the primary instead of the connection's address.
    pub announce_ip: Option<String>,
    /// `replica-announce-port`: what to tell the primary instead of the listener's port; 0: that one.
    pub announce_port: u16,
    /// `replica-serve-stale-data`: whether clients may read while the link is down.
    pub serve_stale: bool,
    /// `replica-writes`: what happens to the writes of clients.
    pub writes: Writes,
    /// `replica-writes-as`: under which name they run on the primary.
    pub writes_as: WritesAs,
    /// `masteruser`.
    pub user: Option<String>,
    /// `masterauth`.
    pub password: Option<String>,
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self {
            priority: 0,
            announced: false,
            announce_ip: None,
            announce_port: 0,
            serve_stale: true,
            writes: Writes::default(),
            writes_as: WritesAs::default(),
            user: None,
            password: None,
        }
    }
}

fn text(text: &Option<String>) -> String {
    text.clone().unwrap_or_default()
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// What a replica says of itself, for CONFIG.
pub(crate) const SETTINGS: &[Row] = &[
    Row::number(
        "replica-priority",
        INT,
        |engine| engine.link_settings().priority.into(),
        |engine, n| engine.change_link_settings(|s| s.priority = u32::try_from(n).unwrap_or(0)),
    )
    .once("slave-priority"),
    Row::switch(
        "replica-announced",
        |engine| engine.link_settings().announced.into(),
        |engine, on| engine.change_link_settings(|s| s.announced = on != 0),
    ),
    Row::text(
        "replica-announce-ip",
        |engine| text(&engine.link_settings().announce_ip),
        any_text,
        |engine, ip| engine.change_link_settings(|s| s.announce_ip = some(ip)),
    )
    .once("slave-announce-ip"),
    Row::number(
        "replica-announce-port",
        SettingKind::Integer(0, u16::MAX as i64),
        |engine| engine.link_settings().announce_port.into(),
        |engine, n| engine.change_link_settings(|s| s.announce_port = u16::try_from(n).unwrap_or(0)),
    )
    .once("slave-announce-port"),
    Row::switch(
        "replica-serve-stale-data",
        |engine| engine.link_settings().serve_stale.into(),
        |engine, on| engine.change_link_settings(|s| s.serve_stale = on != 0),
    )
    .once("slave-serve-stale-data"),
    Row::text(
        "replica-writes",
        |engine| engine.link_settings().writes.name().to_owned(),
        |text, _| {
            let known = Writes::named(text.as_bytes()).map(|_| ());
            known.ok_or_else(|| {
                "argument(s) must be one of the following: reject, forward, forward-and-wait".to_owned()
            })
        },
        |engine, text| {
            engine.change_link_settings(|s| s.writes = Writes::named(text.as_bytes()).unwrap_or_default());
        },
    ),
    Row::text(
        "replica-writes-as",
        |engine| engine.link_settings().writes_as.name().to_owned(),
        |text, _| {
            let known = WritesAs::named(text.as_bytes()).map(|_| ());
            known.ok_or_else(|| "argument(s) must be one of the following: client, link".to_owned())
        },
        |engine, text| {
            engine
                .change_link_settings(|s| s.writes_as = WritesAs::named(text.as_bytes()).unwrap_or_default());
        },
    ),
    user("masteruser").only(Family::Redis),
    user("primaryuser").once("masteruser").only(Family::Valkey),
    password("masterauth").only(Family::Redis),
    password("primaryauth").once("masterauth").only(Family::Valkey),
];

const fn user(name: &'static str) -> Row {
    Row::text(
        name,
        |engine| text(&engine.link_settings().user),
        any_text,
        |engine, user| engine.change_link_settings(|s| s.user = some(user)),
    )
}

const fn password(name: &'static str) -> Row {
    Row::text(
        name,
        |engine| text(&engine.link_settings().password),
        any_text,
        |engine, password| engine.change_link_settings(|s| s.password = some(password)),
    )
}

impl Engine {
    /// Follows the primary of `config` from now on, which also is the pattern for those that REPLICAOF will
    /// name. Answers with the state of the link, now and later.
    ///
    /// # Errors
    /// A thread that cannot be had.
    pub fn follow(self: &Arc<Self>, config: DriverConfig) -> io::Result<watch::Receiver<LinkStatus>> {
        let (host, port) = (config.host.clone(), config.port);
        self.take_pattern(config);
        self.replicate(&host, port)?;
        // Where it stood at the start is no place to go on from later.
        if let Some(template) = &mut *self.following.template.lock() {
            template.resume = None;
        }
        Ok(self.link.read().clone().unwrap_or_else(|| unreachable!("`replicate` has just made a link")))
    }

    /// As [`follow`](Self::follow), of a primary that nobody knows yet: [`replicate`](Self::replicate) will say.
    ///
    /// # Errors
    /// A thread that cannot be had.
    pub fn follow_later(self: &Arc<Self>, config: DriverConfig) -> io::Result<watch::Receiver<LinkStatus>> {
        let mut driver = self.following.driver.lock();
        let mut pattern = config.clone();
        pattern.resume = None;
        self.take_pattern(pattern);
        let started = Driver::spawn_idle(config, EngineTarget::of_term(Arc::clone(self), self.next_term()))?;
        let link = started.watch();
        self.watch_link(link.clone());
        *driver = Some(started);
        Ok(link)
    }

    /// Whoever was to name the primary does not, for this reason: so the link is down.
    pub(crate) fn lack_primary(&self, reason: LinkError) {
        let driver = self.following.driver.lock();
        let nobody_is_named = matches!(self.role(), Role::Replica { host, .. } if host.is_empty());
        if let Some(driver) = driver.as_ref().filter(|_| nobody_is_named) {
            driver.pause_for(reason);
        }
    }

    /// How to treat every primary that will be named.
    pub(crate) fn take_pattern(&self, config: DriverConfig) {
        if let Some(Credentials { user, password }) = &config.link.credentials {
            let mut settings = self.following.settings.write();
            settings.user.clone_from(user);
            settings.password = Some(password.clone());
        }
        *self.following.template.lock() = Some(config);
    }

    /// Follows another primary, or begins to follow one: REPLICAOF HOST PORT. The data stay until the new
    /// primary has sent its own, and are continued where it knows their history.
    ///
    /// # Errors
    /// A thread that cannot be had.
    pub fn replicate(self: &Arc<Self>, host: &str, port: u16) -> io::Result<()> {
        let mut driver = self.following.driver.lock();
        let (term, held) = {
            let mut writing = self.writing.lock();
            let was_primary = self.is_writable();
            self.role.set(Role::Replica { host: host.to_owned(), port });
            let held = if was_primary {
                self.blocked.unblock_writes();
                // What was written here is a history like any other: the new primary may know it.
                self.begin_history(&mut writing.primary);
                let held = (writing.primary.position(), writing.primary.stream_db().unwrap_or(0));
                writing.primary.forget_stream_db();
                Some(Some(held))
            } else {
                // The database that the stream has selected stays selected: a dump taken now has to say so.
                None
            };
            (self.next_term(), held)
        };
        match &*driver {
            Some(driver) => driver.follow_as(term, host, port, held),
            None => {
                let mut config = self.link_config(host, port);
                if let Some(held) = held {
                    config.resume = config.resume.or(held);
                }
                let started = Driver::spawn(config, EngineTarget::of_term(Arc::clone(self), term))?;
                self.watch_link(started.watch());
                self.following.pass_on(started.watch());
                *driver = Some(started);
            }
        }
        Ok(())
    }

    /// Stops following and becomes a primary with the data as they are: REPLICAOF NO ONE. Replicas of the
    /// old primary can continue here.
    pub fn promote(&self) {
        self.leave_cluster();
        let driver = self.following.driver.lock();
        let mut writing = self.writing.lock();
        if self.is_writable() {
            return;
        }
        self.next_term();
        let held =
            self.position().unwrap_or_else(|| Position { replid: ReplId::random(), offset: Offset(0) });
        if writing.primary.position() != held {
            writing.primary = Primary::new(held, self.options.backlog);
        }
        writing.primary.change_id(ReplId::random());
        self.role.set(Role::Primary);
        self.publish_position(writing.primary.position());
        if let Some(driver) = &*driver {
            driver.pause();
        }
        tracing::info!(position = %writing.primary.position(), "promoted: this is a primary now");
    }

    /// Ends the link, with a last acknowledgement. The role stays.
    pub async fn unfollow(&self) {
        let driver = self.following.driver.lock().take();
        if let Some(driver) = driver {
            driver.shutdown().await;
        }
        for link in self.cluster().map(|cluster| cluster.take_links()).unwrap_or_default() {
            link.shutdown().await;
        }
    }

    /// As [`unfollow`](Self::unfollow), without waiting.
    pub fn stop_following(&self) {
        drop(self.following.driver.lock().take());
        drop(self.cluster().map(|cluster| cluster.take_links()));
    }

    /// What this replica says of itself.
    #[must_use]
    pub fn link_settings(&self) -> LinkSettings {
        self.following.settings.read().clone()
    }

    /// Changes that. What is told to the primary is told at the next connection.
    pub fn change_link_settings(&self, change: impl FnOnce(&mut LinkSettings)) {
        {
            let mut settings = self.following.settings.write();
            change(&mut settings);
            let is_particular = !settings.serve_stale || settings.writes != Writes::Reject;
            self.following.is_particular.store(is_particular, Ordering::Release);
        }
        let driver = self.following.driver.lock();
        if let (Some(driver), Role::Replica { host, port }) = (&*driver, self.role()) {
            driver.set_link_options(self.link_config(&host, port).link);
        }
    }

    /// Whether clients must not read: the link is down, and stale data are not to be served.
    pub(crate) fn is_stale(&self) -> bool {
        if !self.following.is_particular() || self.is_writable() || self.following.settings.read().serve_stale
        {
            return false;
        }
        let link = self.link.read();
        !link.as_ref().is_some_and(|link| link.borrow().phase.is_streaming())
    }

    /// Who we are to the primary, as of now.
    pub fn know_credentials(&self, credentials: &Credentials) {
        let mut settings = self.following.settings.write();
        settings.user.clone_from(&credentials.user);
        settings.password = Some(credentials.password.clone());
    }

    /// An empty data set stands for this position, at which the stream has selected this database: what comes from
    /// there on is all that is wanted.
    pub fn begin_at(&self, position: Position, db: u32) {
        let mut writing = self.writing.lock();
        writing.primary.restart(position, Some(db));
        self.publish_position(position);
    }

    fn next_term(&self) -> u64 {
        self.following.term.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The pattern, filled in for one primary.
    pub(crate) fn link_config(&self, host: &str, port: u16) -> DriverConfig {
        let mut config = self.following.template.lock().clone().unwrap_or_else(|| {
            let mut config = DriverConfig::new(host, port);
            config.link.listening_port = self.port();
            config
        });
        host.clone_into(&mut config.host);
        config.port = port;
        let settings = self.following.settings.read();
        config.link.credentials =
            settings.password.clone().map(|password| Credentials { user: settings.user.clone(), password });
        if settings.announce_port != 0 {
            config.link.listening_port = settings.announce_port;
        }
        if settings.announce_ip.is_some() {
            config.link.ip_address.clone_from(&settings.announce_ip);
        }
        config
    }
}
