//! One connection's state, without its socket: requests in, reply bytes out.

mod admission;
mod found;
mod transaction;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use replication::Feed;
use resp::Protocol;
use store::command::{Command, Flags, Handler};
use store::{Args, CommandError, CommandResult, ShardSet, Txn};
use tokio_util::sync::CancellationToken;

pub(crate) use self::found::Found;
pub(crate) use self::transaction::Transaction;
use crate::acl::User;
use crate::blocked::{self, Waiter};
use crate::clients::{Buffers, Client, Record};
use crate::connection;
use crate::engine::Engine;
use crate::listener::Address;
use crate::memory::Usage;
use crate::observed::{self, Ran, Tally, Teller};
use crate::outbox::Outbox;
use crate::pubsub::Subscriptions;
use crate::reply::RespReply;
use crate::settings::Meaning;
use crate::tracking::{self, Mode, Tracked};
use crate::upstream::{Login, Pinned, Writes};
use crate::watch::Watch;

/// What the connection does after a request.
#[derive(Debug)]
pub(crate) enum After {
    /// Goes on.
    Nothing,
    /// Sends what is left and hangs up.
    Close,
    /// Hangs up; replies that are not sent yet never will be.
    Vanish,
    /// Becomes a replica's feed.
    Feed(Box<Feed>),
    /// Runs nothing more until this answers, with the bytes of the reply.
    Wait(Wait),
}

/// A reply that takes its time.
pub(crate) struct Wait(pub(crate) Pin<Box<dyn Future<Output = Vec<u8>> + Send>>);

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wait")
    }
}

/// A client's conversation.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) engine: Arc<Engine>,
    pub(crate) id: u64,
    /// What others see of it.
    pub(crate) record: Arc<Record>,
    pub(crate) db: u32,
    pub(crate) protocol: Protocol,
    pub(crate) authenticated: bool,
    pub(crate) after: After,
    /// A replica in the making: it has sent REPLCONF and will send PSYNC.
    pub(crate) feed: Option<Box<Feed>>,
    pub(crate) transaction: Option<Transaction>,
    pub(crate) watch: Option<Watch>,
    /// Where the primary watches for it.
    pub(crate) pinned: Option<Pinned>,
    /// What it has given to AUTH, for a primary that is to know it.
    pub(crate) login: Login,
    /// Memory as it was before a transaction took its locks.
    usage: Option<Usage>,
    /// CLIENT NO-TOUCH: reading is no use of a key.
    pub(crate) no_touch: bool,
    /// What others have to say to this client.
    pub(crate) outbox: Arc<Outbox>,
    subscriptions: Option<Box<Subscriptions>>,
    /// Who it is, as of so many changes of users.
    pub(crate) user: Arc<User>,
    acl_changes: u64,
    /// How it is told of changes of what it reads, if it asked for that.
    pub(crate) tracking: Option<Tracked>,
    /// Its last command.
    last: &'static str,
    /// What it has counted and not handed over.
    tally: Tally,
    /// When the command before this one ended, if it was of the same batch.
    mark: Option<Instant>,
    /// Whether it gets replies (CLIENT REPLY).
    replies: Replies,
    /// CLIENT CACHING was its last command, or the last before MULTI.
    caching_asked: bool,
    /// The offset after the client's last write, for WAIT.
    pub(crate) written: u64,
    /// The command of this request has been given another name, or none.
    is_nameless: bool,
}

/// The id of callers inside the process; those of connections begin at 1.
const HOUSE: u64 = 0;

/// Whether a client gets replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Replies {
    #[default]
    On,
    Off,
    /// None to CLIENT REPLY SKIP, and none to what follows.
    SkipNext,
    /// None to this one.
    Skip,
}

/// A command that was refused, before it ran or by itself.
struct Refused {
    /// Empty if there is no such command.
    name: &'static str,
    ran: bool,
    error: CommandError,
}

/// What already stands still around a command.
pub(crate) enum Ground<'a, 'k> {
    /// Nothing: the command takes its own locks.
    Free,
    /// The gate is held shared: no write can come in between. Time stands still, too, at these Unix milliseconds.
    Still(i64),
    /// Everything that the command may touch is held by this transaction.
    Txn(&'a mut Txn<'k>),
}

impl Session {
    pub(crate) fn new(engine: Arc<Engine>, id: u64, record: Arc<Record>, stop: CancellationToken) -> Self {
        let (user, acl_changes) = (engine.acl.default_user(), engine.acl.changes());
        let outbox = Outbox::new(id, Arc::clone(&engine.client_limits.output), stop);
        let first_db = engine.options.default_database;
        record.lock().outbox = Some(Arc::clone(&outbox));
        Self {
            engine,
            id,
            record,
            db: first_db,
            protocol: Protocol::Resp2,
            authenticated: user.is_open(),
            after: After::Nothing,
            feed: None,
            transaction: None,
            watch: None,
            pinned: None,
            login: Login::default(),
            usage: None,
            no_touch: false,
            outbox,
            subscriptions: None,
            user,
            acl_changes,
            tracking: None,
            last: "NULL",
            tally: Tally::default(),
            mark: None,
            replies: Replies::default(),
            caching_asked: false,
            written: 0,
            is_nameless: false,
        }
    }

    /// For whoever holds the engine: no connection, and every right.
    pub(crate) fn of_the_house(engine: &Arc<Engine>) -> Self {
        let (nowhere, stop) = (Address::Unix("".into()), CancellationToken::new());
        let record = Client::new(HOUSE, nowhere.clone(), nowhere, stop.clone());
        let mut session = Self::new(Arc::clone(engine), HOUSE, Arc::new(Record::new(record)), stop);
        session.db = 0;
        (session.authenticated, session.user) = (true, engine.acl.everything());
        session
    }

    /// What happens to its writes on a replica that passes them on. Whoever calls from inside the process has no
    /// connection to wait on for the primary's reply: its writes are refused.
    pub(crate) fn forwards(&self) -> Option<Writes> {
        self.engine.forwards().filter(|_| self.id != HOUSE)
    }

    /// Puts the command's own name where `rename-command` has given it another.
    pub(crate) fn call_by_its_name(&mut self, request: &mut [&[u8]]) {
        self.is_nameless = false;
        if let (Some(renames), [name, ..]) = (self.engine.renames(), request) {
            match renames.meaning(name) {
                Meaning::Itself => {}
                Meaning::Another(command) => *name = command.as_bytes(),
                Meaning::Nothing => self.is_nameless = true,
            }
        }
    }

    /// Whether the reply to what runs is left out.
    pub(crate) fn is_silent(&self) -> bool {
        self.replies != Replies::On
    }

    pub(crate) fn replies(&self) -> Replies {
        self.replies
    }

    /// Gets replies, or gets none, from now on.
    pub(crate) fn set_replies(&mut self, replies: Replies) {
        self.replies = replies;
        self.outbox.set_silent(replies == Replies::Off);
    }

    /// Takes back what was appended to `out` since it ended at `begin`, if nothing is to be said.
    fn hush(&self, out: &mut Vec<u8>, begin: usize) {
        if matches!(self.replies, Replies::Off | Replies::Skip) {
            out.truncate(begin);
        }
    }

    /// Runs one request and appends its reply to `out`.
    pub(crate) fn execute(&mut self, request: &[&[u8]], out: &mut Vec<u8>) {
        let args = Args::new(request);
        let begin = out.len();
        let start = *self.mark.get_or_insert_with(Instant::now);
        if self.replies == Replies::SkipNext {
            self.replies = Replies::Skip;
        }
        let mut reply = RespReply::new(out, self.protocol, self.engine.compat().differences().doubles);
        let before = self.engine.stream_offset();
        tracking::speaks(self.id);
        let mut in_parts = false;
        match self.dispatch(args, &mut reply) {
            Ok(None) => {}
            Ok(Some(ran)) => {
                // Each of its commands has been hushed, or not, by itself.
                in_parts = ran == "exec";
                let replied = out.len() - begin;
                self.account(ran, args, start, replied, true);
            }
            Err(Refused { name, ran, error }) => {
                store::Reply::error(&mut reply, &error);
                self.engine.observed.errors.count(&error.bytes());
                if ran {
                    self.account(name, args, start, out.len() - begin, false);
                } else if !name.is_empty() {
                    self.engine.observed.tallies.of(name).rejected.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        if !in_parts {
            self.hush(out, begin);
        }
        if self.is_silent()
            && let After::Wait(wait) = &mut self.after
        {
            let answer = std::mem::replace(wait, Wait(Box::pin(std::future::ready(Vec::new()))));
            wait.0 = Box::pin(async move {
                answer.0.await;
                Vec::new()
            });
        }
        if self.replies == Replies::Skip {
            self.replies = Replies::On;
        }
        tracking::speaks(0);
        if self.caching_asked && self.transaction.is_none() && !args.is(0, "client") {
            self.caching_asked = false;
        }
        // What this very command made others say, or itself, comes behind its reply.
        self.outbox.drain_into(out);
        // Another client's write may be taken for this one's: then WAIT waits for a little more.
        let after = self.engine.stream_offset();
        if after != before {
            self.written = after;
        }
        self.tally.commands += 1;
    }

    /// Counts what has run, and keeps it if it was slow or large.
    fn account(
        &mut self,
        name: &'static str,
        args: Args<'_>,
        start: Instant,
        replied: usize,
        went_well: bool,
    ) {
        let end = Instant::now();
        self.mark = Some(end);
        let nanos = u64::try_from((end - start).as_nanos()).unwrap_or(u64::MAX);
        let engine = &self.engine;
        self.tally.count(&engine.observed.tallies, name, nanos);
        if !went_well {
            engine.observed.tallies.of(name).failed.fetch_add(1, Ordering::Relaxed);
        }
        self.last = name;
        let ran = Ran { name, args, nanos, sizes: (args.all().iter().map(|arg| arg.len()).sum(), replied) };
        engine.observed.log(&ran, engine.compat(), || {
            let client = self.record.lock();
            (client.addr.spell(engine.compat()), client.name.clone())
        });
    }

    /// A batch of requests begins, or has ended: what was counted is handed over.
    pub(crate) fn settle(&mut self) {
        self.mark = None;
        self.hand_over();
        self.tally.rest();
    }

    /// What was counted can be seen by all.
    pub(crate) fn hand_over(&mut self) {
        let commands = std::mem::take(&mut self.tally.commands);
        if commands > 0 {
            self.engine.stats.commands.fetch_add(commands, Ordering::Relaxed);
        }
        let (hits, misses) = store::access::take_counted();
        if hits + misses > 0 {
            self.engine.stats.keyspace_hits.fetch_add(hits, Ordering::Relaxed);
            self.engine.stats.keyspace_misses.fetch_add(misses, Ordering::Relaxed);
        }
        self.tally.hand_over(&self.engine.observed.tallies);
    }

    /// What was counted is forgotten (CONFIG RESETSTAT).
    pub(crate) fn forget_counts(&mut self) {
        self.tally = Tally::default();
    }

    /// When the command that runs began, or the one before it.
    pub(crate) fn start(&self) -> Instant {
        self.mark.unwrap_or_else(Instant::now)
    }

    /// A request that comes by itself begins: no other has ended just now.
    pub(crate) fn begin_alone(&mut self) {
        self.mark = None;
    }

    /// The name of the command that ran; none if it was queued.
    fn dispatch(&mut self, args: Args<'_>, out: &mut RespReply<'_>) -> Result<Option<&'static str>, Refused> {
        if self.no_touch {
            return store::access::without_touch(|| self.dispatch_touching(args, out));
        }
        self.dispatch_touching(args, out)
    }

    fn dispatch_touching(
        &mut self,
        args: Args<'_>,
        out: &mut RespReply<'_>,
    ) -> Result<Option<&'static str>, Refused> {
        let found = match self.admit(args, false) {
            Ok(found) => found,
            // A browser that was sent here by somebody else's page: what it says next may be commands.
            Err(_) if args.is(0, "post") || args.is(0, "host:") => {
                tracing::warn!(client = self.id, "somebody speaks HTTP: hung up");
                self.after = After::Vanish;
                return Ok(None);
            }
            Err(Refused { error, name, .. }) if args.is(0, "exec") => {
                self.transaction = None;
                self.forget_watch();
                let why = error.bytes();
                let why = why.strip_prefix(b"ERR ").unwrap_or(&why);
                let text = [b"EXECABORT Transaction discarded because of: ", why].concat();
                return Err(Refused { name, ran: false, error: CommandError::Raw(text.into()) });
            }
            Err(error) => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.broken = true;
                }
                return Err(error);
            }
        };
        match &mut self.transaction {
            Some(transaction) if !found.flags().has(connection::CONTROLS_TRANSACTION) => {
                transaction.push(args);
                store::Reply::simple(out, "QUEUED");
                Ok(None)
            }
            _ => {
                let (name, ran) = (found.name(), true);
                if let Some(writes) = self.forwards()
                    && self.is_for_primary(&found, args)
                {
                    self.forward(writes, &found, args);
                    return Ok(Some(name));
                }
                let result = self.run(&found, args, out, &mut Ground::Free);
                result.map(|()| Some(name)).map_err(|error| Refused { name, ran, error })
            }
        }
    }

    /// Runs an admitted command on the ground that is held already.
    fn run(
        &mut self,
        found: &Found,
        args: Args<'_>,
        out: &mut RespReply<'_>,
        ground: &mut Ground<'_, '_>,
    ) -> CommandResult {
        let is_watched = self.engine.observed.monitors.any();
        // A script comes before what it calls; everything else is shown when it is done.
        let is_script = found.flags().has(connection::RUNS_SCRIPT);
        if is_watched && is_script {
            self.show(args);
        }
        let tracks = self.tracks_reads() && matches!(found, Found::Data(row) if !row.is_write());
        if tracks {
            self.engine.remember_reads(self.id, found.name(), args);
        }
        let result = self.run_untracked(found, args, out, ground);
        if tracks {
            self.engine.remember_reads(self.id, found.name(), args);
        }
        if is_watched && !is_script && observed::is_shown(self.engine.compat(), found.name()) {
            self.show(args);
        }
        result
    }

    fn run_untracked(
        &mut self,
        found: &Found,
        args: Args<'_>,
        out: &mut RespReply<'_>,
        ground: &mut Ground<'_, '_>,
    ) -> CommandResult {
        match (found, ground) {
            (Found::Data(row), Ground::Txn(txn)) => {
                txn.select(self.db);
                row.write(txn, args, out)
            }
            (Found::Data(row), Ground::Free) if row.flags.has(Flags::BLOCKING) => {
                self.run_blocking(row, args, out)
            }
            (Found::Data(row), Ground::Still(now)) => {
                self.engine.read_at(row, self.db, args, out, Some(*now)).0
            }
            (Found::Data(row), _) => self.engine.run(row, self.db, args, out),
            (Found::Connection(row), ground) => (row.handler)(self, args, out, ground),
        }
    }

    /// Runs a command that waits if it finds nothing.
    fn run_blocking(
        &mut self,
        row: &'static Command,
        args: Args<'_>,
        out: &mut RespReply<'_>,
    ) -> CommandResult {
        let engine = Arc::clone(&self.engine);
        let Some(patience) = blocked::patience(row, args) else {
            return engine.run(row, self.db, args, out);
        };
        let mut bytes = Vec::new();
        let mut reply = RespReply::new(&mut bytes, self.protocol, engine.compat().differences().doubles);
        // Nobody may write between finding nothing and beginning to wait.
        let mut nothing = Vec::new();
        resp::Encoder::new(&mut nothing, self.protocol).null_array();
        let (number, answer) = if matches!(row.handler, Handler::Read(_)) {
            let _still = engine.keyspace.still();
            engine.read(row, self.db, args, &mut reply)?;
            if !blocked::is_nothing(&bytes) {
                out.encoder().raw(&bytes);
                return Ok(());
            }
            self.wait_for_keys(row, args, &nothing, patience.is_some())
        } else {
            let mut writing = engine.lock_writing()?;
            let mut set = ShardSet::none();
            row.add_shards(&engine.keyspace, self.db, args, &mut set);
            engine.transact_in(&mut writing, &set, self.db, |txn| row.write(txn, args, &mut reply))?;
            engine.serve_blocked(&mut writing);
            if !blocked::is_nothing(&bytes) {
                out.encoder().raw(&bytes);
                return Ok(());
            }
            self.wait_for_keys(row, args, &nothing, patience.is_some())
        };
        // Held by the wait whether it ever begins or not: a client may be gone before.
        let ticket = blocked::Ticket::new(engine, number);
        self.after = After::Wait(Wait(Box::pin(async move {
            let mut answer = answer;
            let in_time = match patience {
                None => (&mut answer).await.ok(),
                Some(patience) => tokio::time::timeout(patience, &mut answer).await.ok().and_then(Result::ok),
            };
            drop(ticket);
            // It may have been served in the moment in which its time was over.
            in_time.or_else(|| answer.try_recv().ok()).unwrap_or(nothing)
        })));
        Ok(())
    }

    fn wait_for_keys(
        &self,
        row: &'static Command,
        args: Args<'_>,
        nothing: &[u8],
        is_timed: bool,
    ) -> (u64, tokio::sync::oneshot::Receiver<Vec<u8>>) {
        self.engine.blocked.enter(Waiter {
            client: self.id,
            db: self.db,
            protocol: self.protocol,
            row,
            args: blocked::settled(&self.engine, row, self.db, args),
            nothing: nothing.to_vec(),
            is_timed,
        })
    }

    /// Shows a command to those who see all.
    fn show(&self, args: Args<'_>) {
        let addr = self.record.lock().addr.spell_for_monitors();
        let who = Teller::Client(&addr);
        self.engine.observed.monitors.tell(&observed::monitor_line(self.db, who, args));
    }

    /// Whether it has to wait for CLIENT PAUSE with this command, and until when.
    pub(crate) fn paused(&self, request: &[&[u8]]) -> Option<Instant> {
        self.engine.pausing.until(|| {
            let args = Args::new(request);
            let compat = self.engine.compat();
            let writes = |found: &Found| found.is_write() || found.flags().has(Flags::MAY_REPLICATE);
            match &self.transaction {
                Some(transaction) => args.is(0, "exec") && transaction.any(compat, writes),
                None => Found::named(compat, args).is_some_and(|found| writes(&found)),
            }
        })
    }

    /// Who it is, as of now.
    pub(crate) fn current_user(&mut self) -> &Arc<User> {
        let changes = self.engine.acl.changes();
        if changes != self.acl_changes {
            self.acl_changes = changes;
            // One who is gone is about to be hung up on.
            if let Some(user) = self.engine.acl.get(&self.user.name) {
                self.user = user;
            }
        }
        &self.user
    }

    pub(crate) fn become_user(&mut self, user: Arc<User>) {
        self.record.lock().user = user.name.clone();
        self.acl_changes = self.engine.acl.changes();
        self.user = user;
    }

    /// Is who everybody is at first; whether that needs no password.
    pub(crate) fn become_default(&mut self) -> bool {
        self.login = Login::default();
        self.become_user(self.engine.acl.default_user());
        self.user.is_open()
    }

    /// Is told, or is no longer told, of changes of what it reads.
    pub(crate) fn track(&mut self, mode: Option<Mode>) {
        if mode.is_none() && self.tracking.is_none() {
            return;
        }
        match (&mut self.tracking, mode) {
            (Some(tracked), Some(mode)) => tracked.change(&self.outbox, mode),
            (tracked, mode) => {
                *tracked = mode.map(|mode| Tracked::begin(&self.engine.tracking, &self.outbox, mode));
            }
        }
        self.record.lock().tracking = self.tracking.as_ref().map(Tracked::shown);
    }

    /// CLIENT CACHING: about the command that comes next.
    pub(crate) fn cache_next(&mut self) {
        self.caching_asked = true;
    }

    pub(crate) fn caching_asked(&self) -> bool {
        self.caching_asked
    }

    pub(crate) fn tracks_reads(&self) -> bool {
        self.tracking.as_ref().is_some_and(|mode| {
            let asked = self.caching_asked;
            let wanted = if mode.opt_in { asked } else { !(mode.opt_out && asked) };
            !mode.broadcast && wanted
        })
    }

    /// Speaks this protocol from now on.
    pub(crate) fn speak(&mut self, protocol: Protocol) {
        self.protocol = protocol;
        self.outbox.set_protocol(protocol);
    }

    /// What it listens to, to change it.
    pub(crate) fn subscriptions(&mut self) -> &mut Subscriptions {
        self.subscriptions
            .get_or_insert_with(|| Box::new(Subscriptions::new(&self.engine.pubsub, &self.outbox)))
    }

    /// Whether it listens to anything.
    pub(crate) fn is_listening(&self) -> bool {
        self.subscriptions.as_ref().is_some_and(|subscriptions| subscriptions.any())
    }

    pub(crate) fn forget_subscriptions(&mut self) {
        self.subscriptions = None;
    }

    /// What the memory goes to: now, or where locks are held already, as it was before that (for a script: when
    /// somebody last asked).
    pub(crate) fn usage(&self, ground: &Ground<'_, '_>) -> Usage {
        match (ground, &self.usage) {
            (Ground::Free, _) => Usage::of(&self.engine),
            (_, Some(before)) => before.clone(),
            (_, None) => self.engine.last_usage.lock().clone(),
        }
    }

    /// This one is about to tell of it.
    pub(crate) fn note_itself(&mut self, command: &'static str) {
        self.last = command;
        self.note_state(&mut self.record.lock());
    }

    /// What came and went in a batch, and what CLIENT LIST tells of it.
    pub(crate) fn note(&self, commands: u64, received: usize, sent: usize, buffers: Buffers) {
        let mut client = self.record.lock();
        client.traffic.0 += received as u64;
        client.traffic.1 += sent as u64;
        client.traffic.2 += commands;
        client.buffers = buffers;
        if commands > 0 {
            self.note_state(&mut client);
        } else if received > 0 {
            client.active = Instant::now();
        }
    }

    fn note_state(&self, client: &mut Client) {
        client.active = self.mark.unwrap_or_else(Instant::now);
        client.command = self.last;
        client.db = self.db;
        client.resp = if self.protocol == Protocol::Resp3 { 3 } else { 2 };
        client.queued = self.transaction.as_ref().map(Transaction::len);
        client.queued_bytes = self.transaction.as_ref().map_or(0, |transaction| transaction.bytes);
        client.listens =
            self.subscriptions.as_ref().map_or((0, 0, 0), |subscriptions| subscriptions.counts());
        client.watches = self.watch.as_ref().map_or(0, Watch::len);
        client.no_touch = self.no_touch;
        self.outbox.set_listens(client.listens != (0, 0, 0));
    }
}
