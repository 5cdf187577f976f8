//! One data set with its writer, its history, and everything that counts.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dashmap::DashMap;
use parking_lot::{Mutex, MutexGuard, RwLock};
use replication::{LinkStatus, Offset, Position, Primary, ReplId};
use resp::Value;
use store::command::{Command, Handler};
use store::{
    Args, Cleanup, CommandError, CommandResult, Compat, Effect, Family, Keyspace, Removed, Reply, ShardSet,
    Txn, View, Viewer, Writer,
};
use tokio::sync::watch;

use crate::acl::{Acl, UsersError};
use crate::blocked::Blocked;
use crate::caller::Caller;
use crate::client_limits::ClientLimits;
use crate::clients::Clients;
use crate::events::Hub;
use crate::evicting::Evicting;
use crate::histories::Left;
use crate::interpreters::Scripts;
use crate::listener::Listening;
use crate::memory::{Peak, Usage};
use crate::notify::Notifications;
use crate::observed::Observed;
use crate::options::Options;
use crate::pausing::Pausing;
use crate::pubsub::PubSub;
use crate::rates::Rates;
use crate::role::{Role, Roles};
use crate::session::Ground;
use crate::settings::Configured;
use crate::tracking::Tracking;
use crate::watch::Watchers;
use crate::yielding::{self, Lock};

/// The writer with what must move in step with it.
#[derive(Debug)]
pub(crate) struct Writing {
    pub(crate) writer: Writer,
    /// The history that this engine writes as a primary.
    pub(crate) primary: Primary,
}

/// Counters, each on its own.
#[derive(Debug, Default)]
pub struct Stats {
    /// Connections accepted.
    pub connections: AtomicU64,
    /// Commands run for clients.
    pub commands: AtomicU64,
    /// Commands of the primary's stream applied.
    pub applied: AtomicU64,
    /// Bytes read from clients.
    pub bytes_in: AtomicU64,
    /// Bytes written to clients.
    pub bytes_out: AtomicU64,
    /// Bytes of those that went to replicas.
    pub replication_bytes_out: AtomicU64,
    /// Times that something was read from a client.
    pub reads: AtomicU64,
    /// Times that something was written to a client.
    pub writes: AtomicU64,
    /// Keys removed because their time had come.
    pub expired_keys: AtomicU64,
    /// Fields of hashes removed because their time had come.
    pub expired_fields: AtomicU64,
    /// Keys removed to make room.
    pub evicted_keys: AtomicU64,
    /// Keys that reading commands found.
    pub keyspace_hits: AtomicU64,
    /// Keys that reading commands looked for in vain.
    pub keyspace_misses: AtomicU64,
    /// Full syncs served to replicas.
    pub full_syncs_served: AtomicU64,
    /// Partial syncs served to replicas.
    pub partial_syncs_served: AtomicU64,
}

impl Stats {
    /// Counts what was removed though nobody asked.
    pub(crate) fn count(&self, removed: Removed) {
        let counters = [&self.expired_keys, &self.expired_fields, &self.evicted_keys];
        for (counter, n) in
            counters.into_iter().zip([removed.expired_keys, removed.expired_fields, removed.evicted_keys])
        {
            if n != 0 {
                counter.fetch_add(n, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn reset(&self) {
        let Self {
            connections,
            commands,
            applied,
            bytes_in,
            bytes_out,
            replication_bytes_out,
            reads,
            writes,
            expired_keys,
            expired_fields,
            evicted_keys,
            keyspace_hits,
            keyspace_misses,
            full_syncs_served,
            partial_syncs_served,
        } = self;
        for counter in [
            connections,
            commands,
            applied,
            bytes_in,
            bytes_out,
            replication_bytes_out,
            reads,
            writes,
            expired_keys,
            expired_fields,
            evicted_keys,
            keyspace_hits,
            keyspace_misses,
            full_syncs_served,
            partial_syncs_served,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

/// Commands of the stream that this replica could not apply: by name, how often.
#[derive(Debug, Default)]
pub struct Divergence {
    total: AtomicU64,
    by_name: DashMap<String, u64>,
    /// Why, the last time.
    reason: Mutex<Option<String>>,
}

impl Divergence {
    /// How many commands in all. 0: the data set is the primary's.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Names and counts, most first.
    #[must_use]
    pub fn by_name(&self) -> Vec<(String, u64)> {
        let mut all: Vec<_> = self.by_name.iter().map(|e| (e.key().clone(), *e.value())).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all
    }

    /// Which command could not be applied last, and why.
    #[must_use]
    pub fn last_reason(&self) -> Option<String> {
        self.reason.lock().clone()
    }

    pub(crate) fn count(&self, name: &[u8], why: &CommandError) {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        tracing::warn!(command = %name, %why, "a command of the stream could not be applied: the data sets may differ");
        self.total.fetch_add(1, Ordering::Relaxed);
        *self.reason.lock() = Some(format!("{name}: {why}"));
        *self.by_name.entry(name).or_default() += 1;
    }
}

/// What a filtered copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilterStatus {
    /// What is kept.
    pub filter: crate::filter::Filter,
    /// Commands of the stream that were not run.
    pub commands_dropped: u64,
    /// Commands that ran for a part of their keys, or in another form.
    pub commands_changed: u64,
    /// Keys that would be kept, but whose value was made from what is not: absent until they are written
    /// anew.
    pub keys_lost: usize,
}

/// Everything behind the listener: shared by sessions, the replication link and in-process readers.
#[derive(Debug)]
pub struct Engine {
    pub(crate) keyspace: Arc<Keyspace>,
    pub(crate) writing: Lock<Writing>,
    pub(crate) role: Roles,
    pub(crate) options: Options,
    pub(crate) clients: Clients,
    pub(crate) client_limits: ClientLimits,
    /// Where the listeners listen.
    pub(crate) listening: RwLock<Vec<Listening>>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Mutex<crate::tls_settings::TlsSettings>,
    /// Where its configuration comes from, and what that has renamed.
    pub(crate) configured: OnceLock<Configured>,
    pub(crate) scripts: Scripts,
    /// The servers that keys are handed to.
    pub(crate) targets: crate::migrating::Targets,
    pub(crate) stats: Stats,
    pub(crate) rates: Rates,
    pub(crate) divergence: Divergence,
    pub(crate) replicas: DashMap<u64, crate::attached::AttachedReplica>,
    pub(crate) link: RwLock<Option<watch::Receiver<LinkStatus>>>,
    pub(crate) following: crate::following::Following,
    pub(crate) upstream: crate::upstream::Upstream,
    /// The cluster that this is a copy of.
    pub(crate) cluster: RwLock<Option<Arc<crate::cluster::Cluster>>>,
    /// Clients are told that this is a cluster of one node (`cluster-topology`).
    pub(crate) shows_topology: AtomicBool,
    pub(crate) sieve: crate::filter::Sieve,
    pub(crate) serving: RwLock<crate::serving::Serving>,
    pub(crate) syncs: crate::syncing::Syncs,
    pub(crate) saving: crate::saving::Saving,
    pub(crate) stopping: crate::stopping::Stopping,
    /// Grows with every ACK that says something new.
    pub(crate) acks: watch::Sender<u64>,
    /// Grows with the history, so that feeds wake.
    pub(crate) stream_end: watch::Sender<u64>,
    position: RwLock<Option<Position>>,
    /// Histories that this data set has left.
    pub(crate) left: Left,
    applied: AtomicU64,
    loaded: AtomicBool,
    pub(crate) watchers: Watchers,
    pub(crate) blocked: Blocked,
    pub(crate) pubsub: Arc<PubSub>,
    pub(crate) notifications: Notifications,
    pub(crate) acl: Acl,
    pub(crate) tracking: Arc<Tracking>,
    pub(crate) events: Hub,
    pub(crate) observed: Observed,
    pub(crate) pausing: Pausing,
    /// The password of the default user, as it was set (`requirepass`).
    pub(crate) password: RwLock<Option<String>>,
    pub(crate) blocked_expiry: AtomicBool,
    pub(crate) cleanup: RwLock<Cleanup>,
    /// How long after its deadline a replica removes a key by itself, if it does.
    pub(crate) reclaim_expired: RwLock<Option<Duration>>,
    pub(crate) evicting: Evicting,
    /// Whether the limit of memory was found exceeded, and somebody was told.
    pub(crate) over_limit: AtomicBool,
    /// DEBUG PAUSE-CRON: nothing happens by itself.
    pub(crate) paused: AtomicBool,
    pub(crate) expiry_cursor: AtomicUsize,
    pub(crate) peak: Peak,
    /// For scripts that ask while they hold all locks themselves.
    pub(crate) last_usage: Mutex<Usage>,
    started: Instant,
    run_id: ReplId,
}

impl Engine {
    /// An empty engine. A replica answers LOADING until its first sync.
    #[must_use]
    pub fn new(role: Role, options: Options) -> Arc<Self> {
        if let Some(disabled) = options.disable_huge_pages {
            crate::huge_pages::disable(disabled);
        }
        let (keyspace, writer) = Keyspace::with_shards(options.databases, options.shards);
        let position = Position { replid: ReplId::random(), offset: Offset(0) };
        let is_primary = role == Role::Primary;
        let history = if is_primary { Primary::dormant } else { Primary::new };
        let primary = history(position, options.backlog);
        let engine = Self {
            keyspace,
            writing: Lock::new(Writing { writer, primary }),
            role: Roles::new(role),
            clients: Clients::default(),
            client_limits: ClientLimits::new(&options),
            listening: RwLock::default(),
            #[cfg(feature = "tls")]
            tls: Mutex::default(),
            configured: OnceLock::new(),
            scripts: Scripts::new(options.script_time_limit, options.compat.unwrap_or_default()),
            targets: crate::migrating::Targets::default(),
            stats: Stats::default(),
            rates: Rates::default(),
            divergence: Divergence::default(),
            replicas: DashMap::new(),
            link: RwLock::new(None),
            following: crate::following::Following::default(),
            upstream: crate::upstream::Upstream::default(),
            cluster: RwLock::default(),
            shows_topology: AtomicBool::new(false),
            sieve: crate::filter::Sieve::new(options.filter_with_types()),
            serving: RwLock::new(crate::serving::Serving::new(&options)),
            syncs: crate::syncing::Syncs::default(),
            saving: crate::saving::Saving::new(&options),
            stopping: crate::stopping::Stopping::default(),
            acks: watch::Sender::new(0),
            stream_end: watch::Sender::new(0),
            position: RwLock::new(is_primary.then_some(position)),
            left: Left::default(),
            applied: AtomicU64::new(0),
            loaded: AtomicBool::new(is_primary),
            watchers: Watchers::default(),
            blocked: Blocked::default(),
            pubsub: Arc::default(),
            notifications: Notifications::default(),
            acl: Acl::new(options.compat.unwrap_or_default(), options.acl_file.clone()),
            tracking: Arc::default(),
            events: Hub::new(options.keep_events),
            observed: Observed::default(),
            pausing: Pausing::default(),
            password: RwLock::default(),
            blocked_expiry: AtomicBool::new(false),
            cleanup: RwLock::new(options.cleanup),
            reclaim_expired: RwLock::new(options.reclaim_expired),
            evicting: Evicting::new(options.memory_limit),
            over_limit: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            expiry_cursor: AtomicUsize::new(0),
            peak: Peak::default(),
            last_usage: Mutex::default(),
            started: Instant::now(),
            run_id: ReplId::random(),
            options,
        };
        engine.set_compat(engine.options.compat.unwrap_or_default());
        engine.set_password(engine.options.password.clone());
        let limits = engine.keyspace.limits();
        limits.set("maxmemory", i64::try_from(engine.options.max_memory).unwrap_or(i64::MAX));
        limits.set("maxmemory-policy", engine.options.policy as i64);
        engine.tick();
        Arc::new(engine)
    }

    /// Which server this one claims to be.
    #[must_use]
    pub fn compat(&self) -> Compat {
        self.keyspace.compat()
    }

    /// Claims to be another server from now on.
    pub fn set_compat(&self, compat: Compat) {
        if compat != self.compat() {
            tracing::info!(%compat, "personality");
        }
        self.keyspace.set_compat(compat);
        self.scripts.set_compat(compat);
        self.acl.compile(compat);
    }

    /// Gives the default user this password alone, or lets everybody be it (`requirepass`).
    pub(crate) fn set_password(&self, password: Option<String>) {
        let password = password.filter(|text| !text.is_empty());
        let rules = match &password {
            Some(text) => vec![b"resetpass".to_vec(), format!(">{text}").into_bytes()],
            None => vec![b"nopass".to_vec()],
        };
        // None of these can be wrong.
        let _ = self.acl.set(b"default", &rules, self.compat());
        *self.password.write() = password;
    }

    /// Takes the users from their file (`aclfile`), if there is one.
    ///
    /// # Errors
    /// The file, or all of its lines that are wrong; the users stay as they are then.
    pub fn load_users(&self) -> Result<(), UsersError> {
        self.acl.file().map_or(Ok(()), |path| self.acl.load(path, self.compat()))
    }

    /// A replica is what its primary is, unless it was told.
    pub(crate) fn follow_compat(&self, primary: Option<Compat>) {
        if let (None, Some(compat)) = (self.options.compat, primary) {
            self.set_compat(compat);
        }
    }

    /// The port that clients use; 0 if there is none.
    pub(crate) fn port(&self) -> u16 {
        let listening = self.listening.read();
        listening.iter().find(|place| place.kind == "tcp").map_or(self.options.port, |place| place.port)
    }

    /// The data.
    #[must_use]
    pub fn keyspace(&self) -> &Arc<Keyspace> {
        &self.keyspace
    }

    /// Who decides.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role.get()
    }

    /// Whether clients may write.
    #[must_use]
    #[inline]
    pub fn is_writable(&self) -> bool {
        self.role.is_primary()
    }

    /// The cluster that this is a copy of, if it is one.
    pub(crate) fn cluster(&self) -> Option<Arc<crate::cluster::Cluster>> {
        self.cluster.read().clone()
    }

    /// Whether there is a data set to read.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    /// What could not be applied.
    #[must_use]
    pub fn divergence(&self) -> &Divergence {
        &self.divergence
    }

    /// What is kept of the primary's data, if not all of it.
    #[must_use]
    pub fn filter_status(&self) -> Option<FilterStatus> {
        let sieve = &self.sieve;
        (!sieve.is_idle()).then(|| FilterStatus {
            filter: sieve.filter.clone(),
            commands_dropped: sieve.dropped.load(Ordering::Relaxed),
            commands_changed: sieve.changed.load(Ordering::Relaxed),
            keys_lost: sieve.lost(),
        })
    }

    /// Keys of a filtered copy whose value cannot be known, with their databases.
    #[must_use]
    pub fn lost_keys(&self) -> Vec<(u32, Vec<u8>)> {
        self.sieve.lost_keys()
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Since when the engine runs.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// 40 hex digits that name this run.
    #[must_use]
    pub fn run_id(&self) -> String {
        self.run_id.to_string()
    }

    /// How much of which history the data set holds. Every effect up to here is visible to a read that
    /// starts afterwards. `None` before a replica's first sync.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        let held = (*self.position.read())?;
        Some(Position { offset: Offset(self.applied.load(Ordering::Acquire)), ..held })
    }

    /// The offset of the history, without its id.
    #[inline]
    pub(crate) fn stream_offset(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    /// Asks every replica how far it is, as WAIT does.
    pub(crate) fn ask_for_acks(&self) {
        let mut writing = self.writing.lock();
        if self.is_writable() {
            writing.primary.getack();
            self.publish_offset(writing.primary.position().offset);
        }
    }

    pub(crate) fn publish_offset(&self, offset: Offset) {
        self.publish_offset_quietly(offset);
        self.wake_followers();
    }

    /// Whoever reads sees it; whoever waits is woken by [`wake_followers`](Self::wake_followers).
    pub(crate) fn publish_offset_quietly(&self, offset: Offset) {
        self.applied.store(offset.0, Ordering::Release);
    }

    pub(crate) fn wake_followers(&self) {
        // Whoever comes at this moment looks at the offset after it has been counted.
        fence(Ordering::SeqCst);
        if self.stream_end.receiver_count() == 0 {
            return;
        }
        let offset = self.applied.load(Ordering::Acquire);
        self.stream_end.send_if_modified(|seen| std::mem::replace(seen, offset) != offset);
    }

    pub(crate) fn publish_position(&self, position: Position) {
        let before = self.position.write().replace(position);
        if let Some(before) = before.filter(|before| before.replid != position.replid) {
            self.left.leave(before.replid);
        }
        self.events.stand(position);
        self.events.commit(position);
        self.publish_offset(position.offset);
        self.loaded.store(true, Ordering::Release);
    }

    /// The same though the offset has not grown: something else that is waited for may be there.
    pub(crate) fn wake_all_followers(&self) {
        self.stream_end.send_modify(|_| {});
    }

    /// Changes how replicas are treated.
    pub(crate) fn change_serving(&self, change: impl FnOnce(&mut crate::serving::Serving)) {
        let limits = {
            let mut serving = self.serving.write();
            change(&mut serving);
            serving.limits()
        };
        self.writing.lock().primary.set_limits(limits);
    }

    /// Whether the stream of the primary flows.
    pub(crate) fn link_is_up(&self) -> bool {
        self.link.read().as_ref().is_some_and(|link| link.borrow().phase.is_streaming())
    }

    /// Follows the state of a replication link, for INFO and ROLE.
    pub fn watch_link(&self, link: watch::Receiver<LinkStatus>) {
        *self.link.write() = Some(link);
    }

    /// A receiver of the offset that is visible to readers; it wakes whenever that grows.
    #[must_use]
    pub fn watch_offset(&self) -> watch::Receiver<u64> {
        let receiver = self.stream_end.subscribe();
        // Nobody may have been told of what came before.
        self.wake_followers();
        receiver
    }

    /// Sets the keyspace's clock to the system's. The housekeeper does it each millisecond.
    pub fn tick(&self) {
        self.keyspace.clock().set(unix_ms());
    }

    /// Runs a data command as a client's, from inside the process.
    ///
    /// # Errors
    /// The command's own; nothing has been written to `out` then.
    pub fn execute(&self, db: u32, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
        let row =
            store::command::find_for(self.compat(), args).ok_or_else(|| store::command::unknown(args))?;
        row.check_arity(args)?;
        if row.is_write() && !self.is_writable() {
            return Err(CommandError::coded("READONLY You can't write against a read only replica."));
        }
        self.run(row, db, args, out)
    }

    /// Runs any command as a client without a connection would, scripts included; its reply in RESP3. For many of
    /// them, keep a [`Caller`].
    ///
    /// # Errors
    /// The command's own, or that it would wait.
    pub fn call(self: &Arc<Self>, args: &[&[u8]]) -> Result<Value, CommandError> {
        Caller::new(self).call(args)
    }

    /// Runs an admitted command on ground of its own.
    pub(crate) fn run(&self, row: &Command, db: u32, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
        match row.handler {
            Handler::Read(_) => self.look(row, db, args, out),
            Handler::Either(..) if !self.is_writable() => self.read(row, db, args, out),
            Handler::Either(..) | Handler::Write(_) => self.write(row, db, args, out),
        }
    }

    /// Runs a reading command on ground of its own. In a primary, what it finds expired goes.
    fn look(&self, row: &Command, db: u32, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
        let shards = || {
            let mut set = ShardSet::none();
            row.add_shards(&self.keyspace, db, args, &mut set);
            set
        };
        let (result, met) = self.glance(row, db, args, out, None).unwrap_or_else(|| {
            let view = View::new(&self.keyspace, &shards(), Viewer::Client, db);
            let result = row.read(&view, args, out);
            self.tell_misses(row, &view, args);
            (result, view.met_expired())
        });
        if met && self.is_writable() {
            self.transact(&shards(), db, |txn| row.keys.each(args, |key| txn.reap(key)));
        }
        result
    }

    /// Runs a reading command without a lock, if it can be: what became of it, and whether it met what has expired.
    fn glance(
        &self,
        row: &Command,
        db: u32,
        args: Args<'_>,
        out: &mut dyn Reply,
        now: Option<i64>,
    ) -> Option<(CommandResult, bool)> {
        let key = row.glances_at(args)?;
        if self.tells_misses() {
            return None;
        }
        let read = |view: &mut View<'_>| {
            now.into_iter().for_each(|now| view.set_now(now));
            (row.read(view, args, out), view.met_expired())
        };
        View::glance(&self.keyspace, Viewer::Client, db, key, read)
    }

    /// Runs a reading command.
    pub(crate) fn read(&self, row: &Command, db: u32, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
        self.read_at(row, db, args, out, None).0
    }

    /// The same, if `now` is given at that time; and whether it met what has expired.
    pub(crate) fn read_at(
        &self,
        row: &Command,
        db: u32,
        args: Args<'_>,
        out: &mut dyn Reply,
        now: Option<i64>,
    ) -> (CommandResult, bool) {
        if let Some(done) = self.glance(row, db, args, out, now) {
            return done;
        }
        let mut set = ShardSet::none();
        row.add_shards(&self.keyspace, db, args, &mut set);
        let mut view = View::until(&self.keyspace, &set, Viewer::Client, db, None);
        while view.is_none() {
            let end = Some(Instant::now() + self.patience());
            view = View::until(&self.keyspace, &set, Viewer::Client, db, end);
            if view.is_none()
                && let Err(busy) = self.check_busy()
            {
                return (Err(busy), false);
            }
        }
        view.map_or((Ok(()), false), |mut view| {
            now.into_iter().for_each(|now| view.set_now(now));
            let result = row.read(&view, args, out);
            self.tell_misses(row, &view, args);
            (result, view.met_expired())
        })
    }

    /// How long one waits for a lock before one looks who has it.
    fn patience(&self) -> Duration {
        self.scripts.running.patience().max(Duration::from_millis(1))
    }

    /// An error if a script has had the data for itself for so long that nobody waits for it any more.
    pub(crate) fn check_busy(&self) -> CommandResult {
        let running = &self.scripts.running;
        if running.is_somebody_alone() && !running.wait() { Err(self.busy()) } else { Ok(()) }
    }

    /// The same, for who has waited for so long himself: scripts that only read hold off writes, too.
    fn check_overdue(&self) -> CommandResult {
        self.check_busy()?;
        if self.scripts.running.is_anybody_there() { Err(self.busy()) } else { Ok(()) }
    }

    /// What is said where a script or a function does not end.
    pub(crate) fn busy(&self) -> CommandError {
        self.scripts.running.busy(match self.compat().family() {
            Family::Redis => "Redis",
            Family::Valkey => "Valkey",
        })
    }

    /// The writer, for a client's command: an error instead of waiting for a script without an end.
    pub(crate) fn lock_writing(&self) -> Result<MutexGuard<'_, Writing>, CommandError> {
        let writing = loop {
            match self.writing.try_lock_for(self.patience()) {
                Some(writing) => break writing,
                None => self.check_overdue()?,
            }
        };
        let readers_are_gone = |patience| self.keyspace.wait_for_readers(patience);
        if !readers_are_gone(yielding::PATIENCE) {
            yielding::leave();
            while !readers_are_gone(self.patience()) {
                self.check_overdue()?;
            }
        }
        self.stopping.check()?;
        Ok(writing)
    }

    /// Runs a command that may write, as the primary, and hands its effects to the history.
    ///
    /// # Errors
    /// The command's own.
    pub fn write(&self, row: &Command, db: u32, args: Args<'_>, out: &mut dyn Reply) -> CommandResult {
        let mut set = ShardSet::none();
        row.add_shards(&self.keyspace, db, args, &mut set);
        self.write_with(&set, db, |txn| {
            self.events.before(txn, Some(row), args);
            row.write(txn, args, out)
        })
    }

    /// As [`write`](Self::write), for what is no row of the store's.
    pub(crate) fn write_with(
        &self,
        set: &ShardSet,
        db: u32,
        f: impl FnOnce(&mut Txn<'_>) -> CommandResult,
    ) -> CommandResult {
        let mut writing = self.lock_writing()?;
        let result = self.transact_in(&mut writing, set, db, f);
        self.serve_blocked(&mut writing);
        result
    }

    /// Runs `f` as the only writer; its effects appear at once and go to the history as one.
    pub(crate) fn transact<R>(&self, set: &ShardSet, db: u32, f: impl FnOnce(&mut Txn<'_>) -> R) -> R {
        let mut writing = self.writing.lock();
        let result = self.transact_in(&mut writing, set, db, f);
        self.serve_blocked(&mut writing);
        result
    }

    /// The same for who holds the writer already, and serves those who wait afterwards.
    pub(crate) fn transact_in<R>(
        &self,
        writing: &mut Writing,
        set: &ShardSet,
        db: u32,
        f: impl FnOnce(&mut Txn<'_>) -> R,
    ) -> R {
        let Writing { writer, primary } = writing;
        let mut txn =
            writer.begin_patiently(set, Viewer::Client, db, Some((yielding::PATIENCE, yielding::leave)));
        if !primary.is_dormant() {
            txn.collect_effects();
        }
        let result = self.observe(&mut txn, f);
        self.stats.count(txn.take_removed());
        let effects = txn.take_effects();
        let changes = usize::try_from(txn.dirty()).unwrap_or(usize::MAX);
        if self.events.is_pending() {
            append(primary, &effects);
            self.commit_events(primary.position().offset);
            drop(txn);
        } else {
            drop(txn);
            append(primary, &effects);
        }
        if changes > 0 {
            self.saving.changed(changes);
        }
        if !effects.is_empty() {
            self.publish_offset(primary.position().offset);
        }
        result
    }

    /// Makes a change that is no key's, with nobody's write in between, and tells replicas of it.
    pub(crate) fn tell_replicas<R>(
        &self,
        args: Args<'_>,
        ground: &mut Ground<'_, '_>,
        change: impl FnOnce() -> Result<R, CommandError>,
    ) -> Result<R, CommandError> {
        if let Ground::Txn(txn) = ground {
            let result = change()?;
            txn.rewrite(args.all());
            return Ok(result);
        }
        let mut writing = self.writing.lock();
        let result = change()?;
        writing.primary.command(0, args.all());
        self.publish_offset(writing.primary.position().offset);
        Ok(result)
    }

    /// The first replica is coming: from here on there is a history.
    pub(crate) fn begin_history(&self, primary: &mut Primary) {
        if primary.is_dormant() {
            primary.wake(ReplId::random());
            self.publish_position(primary.position());
        }
    }

    pub(crate) fn ping_interval(&self) -> Duration {
        self.serving.read().ping_interval
    }

    /// Tells replicas that the primary is alive.
    pub(crate) fn ping_replicas(&self) {
        if self.is_writable() && !self.replicas.is_empty() {
            let mut writing = self.writing.lock();
            writing.primary.ping();
            self.publish_offset(writing.primary.position().offset);
        }
    }
}

/// Effects that belong to nothing but themselves, each alone: removals that nobody asked for. A hash that vanishes
/// with its last field is told of in one piece.
pub(crate) fn append_each(primary: &mut Primary, effects: &[Effect]) {
    let mut rest = effects;
    while !rest.is_empty() {
        let one = match rest {
            [first, second, ..]
                if *first.args[0] == *b"HDEL"
                    && *second.args[0] == *b"UNLINK"
                    && first.args[1] == second.args[1] =>
            {
                2
            }
            _ => 1,
        };
        let (head, tail) = rest.split_at(one);
        append(primary, head);
        rest = tail;
    }
}

/// Effects of one group, as the stream carries them.
fn append(primary: &mut Primary, effects: &[Effect]) {
    let args = |effect: &Effect, f: &mut dyn FnMut(&[&[u8]])| {
        let parts: Vec<&[u8]> = effect.args.iter().map(AsRef::as_ref).collect();
        f(&parts);
    };
    match effects {
        [] => {}
        [one] => args(one, &mut |parts| primary.command(one.db, parts)),
        many => primary.transaction(|stream| {
            for effect in many {
                args(effect, &mut |parts| stream.command(effect.db, parts));
            }
        }),
    }
}

/// Unix milliseconds of the system's clock.
#[must_use]
pub fn unix_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}
