//! The engine as the place where a replication link delivers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use replication::{Batch, Offset, Position, ReplId, Target};
use resp::RequestRef;
use smallvec::SmallVec;
use store::command::Command;
use store::{Ahead, Args, CommandResult, Discard, Loader, ShardSet, Txn, Viewer, command};

use crate::engine::{Engine, Writing};
use crate::filter::Ruling;
use crate::options::UnknownTypes;
use crate::pubsub::Kind;
use crate::{functions, scripts};

/// Applies a primary's data set and stream to an engine.
#[derive(Debug)]
pub struct EngineTarget {
    engine: Arc<Engine>,
    /// Which of the engine's terms the link works for.
    term: u64,
    /// The filter cannot follow: see [`Target::wants_full_sync`].
    overtaken: bool,
    ahead: Ahead,
}

impl EngineTarget {
    /// For this engine, which must be a replica's.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        let term = engine.following.term();
        Self::of_term(engine, term)
    }

    pub(crate) fn of_term(engine: Arc<Engine>, term: u64) -> Self {
        Self { engine, term, overtaken: false, ahead: Ahead::default() }
    }

    /// Whether the engine follows somebody else by now, or nobody. To be asked with the writer in hand.
    fn is_outdated(&self) -> bool {
        self.term != self.engine.following.term()
    }
}

/// Commands of the stream that concern no key: their effects are elsewhere, or nowhere.
pub(crate) fn is_no_data(name: &[u8]) -> bool {
    [&b"ping"[..], b"replconf", b"select"].iter().any(|n| name.eq_ignore_ascii_case(n))
}

impl EngineTarget {
    /// Has come from memory what the commands will need.
    fn prepare(&mut self, db: u32, calls: &[Call<'_>]) {
        let engine = &*self.engine;
        if calls.len() > 1 && Ahead::pays(&engine.keyspace) && engine.sieve.is_idle() {
            for call in calls {
                if let Some(row) = call.row {
                    self.ahead.add(&engine.keyspace, db, row, Args::new(call.parts));
                }
            }
            self.ahead.approach(&engine.keyspace);
        }
    }
}

impl Target for EngineTarget {
    type Loader = rdb::Filter<Loader>;

    fn begin_full_sync(&mut self) -> Self::Loader {
        self.engine.stream_loader()
    }

    fn finish_full_sync(&mut self, loader: Self::Loader, replid: ReplId, offset: Offset) {
        let loader = loader.into_inner();
        self.engine.follow_compat(loader.origin());
        let selected = loader.stream_db().unwrap_or(0);
        let loaded = loader.finish();
        let mut writing = self.engine.writing.lock();
        if self.is_outdated() {
            return;
        }
        let publish = || {
            self.engine.sieve.forget();
            self.engine.everything_changed();
            // Replicas of ours held another history: they go, and ask anew.
            let position = Position { replid, offset };
            writing.primary.restart(position, Some(selected));
            self.engine.publish_position(position);
            self.engine.saving.changed(1);
        };
        let old = self.engine.keyspace.swap_contents(loaded, publish);
        functions::adopt(&self.engine);
        self.engine.serve_blocked(&mut writing);
        drop(writing);
        // Freeing millions of entries takes a while: not on the thread that follows the stream.
        let _ = std::thread::Builder::new().name("graveyard".to_owned()).spawn(move || drop(old));
    }

    fn redirected(&mut self, term: u64) {
        self.term = term;
    }

    fn replid_changed(&mut self, replid: ReplId) {
        let mut writing = self.engine.writing.lock();
        if self.is_outdated() {
            return;
        }
        if let Some(held) = self.engine.position() {
            writing.primary.follow_id(replid);
            self.engine.publish_position(Position { replid, ..held });
        }
    }

    fn apply(&mut self, batch: Batch<'_>) {
        let mut words = Vec::new();
        let calls = take_apart(&batch, &mut words);
        self.prepare(batch.db, &calls);
        let mut writing = self.engine.writing.lock();
        if self.term != self.engine.following.term() {
            return;
        }
        // A command that takes its time keeps others out of the data no longer than it must.
        let mut rest = batch;
        for calls in calls.chunk_by(|call, _| batch.transaction || call.is_brief()) {
            let (here, behind) = rest.split_at(calls.len());
            self.overtaken |= self.engine.apply(&mut writing, here, calls);
            rest = behind;
        }
        self.engine.serve_blocked(&mut writing);
    }

    fn gathers(&self) -> usize {
        // Whoever waits for a key is served after every command.
        if self.engine.blocked.any() { 1 } else { Ahead::COMMANDS }
    }

    fn settled(&mut self) {
        self.engine.wake_followers();
    }

    fn wants_full_sync(&mut self) -> bool {
        std::mem::take(&mut self.overtaken)
    }

    fn advance(&mut self, end: Offset, selected: u32, raw: &[u8]) {
        let mut writing = self.engine.writing.lock();
        if !self.is_outdated() {
            self.engine.show_stream(|| self.engine.primary_address(), selected, raw);
            writing.primary.pass_on(raw, selected);
            self.engine.publish_offset_quietly(end);
        }
    }
}

impl Engine {
    /// Builds what a primary's dump holds, as far as it is wanted.
    pub(crate) fn stream_loader(self: &Arc<Self>) -> rdb::Filter<Loader> {
        let mut loader = Loader::new(&self.keyspace);
        if self.options.unknown_types == UnknownTypes::Refuse {
            loader = loader.refusing_modules();
        }
        self.sieve.filter.before(loader)
    }

    /// Applies a transaction, or commands that stand one behind the other. Answers whether the filter was overtaken.
    fn apply(self: &Arc<Self>, writing: &mut Writing, batch: Batch<'_>, calls: &[Call<'_>]) -> bool {
        let Writing { writer, primary } = writing;
        let mut overtaken = false;
        // What appears at once.
        let together = if batch.transaction { calls.len() } else { 1 };
        let mut txn = writer.begin(&ShardSet::none(), Viewer::Stream, batch.db);
        let mut rest = batch;
        for calls in calls.chunks(together.max(1)) {
            let (here, behind) = rest.split_at(calls.len());
            rest = behind;
            txn.turn_to(&self.shards_of(batch.db, calls));
            self.observe(&mut txn, |txn| {
                for call in calls {
                    self.apply_call(txn, call, &mut overtaken);
                }
            });
            self.commit_events(here.end);
        }
        self.show_stream(|| self.primary_address(), batch.db, batch.raw);
        // Said while nobody can see the last of it yet.
        self.publish_offset_quietly(batch.end);
        drop(txn);
        // With the writer still in hand: whoever is promoted next knows of this batch, and a snapshot is cut before
        // all of it or behind it.
        primary.pass_on(batch.raw, batch.selected);
        self.stats.applied.fetch_add(batch.commands.len() as u64, Ordering::Relaxed);
        self.saving.changed(batch.commands.len());
        overtaken
    }

    fn apply_call(self: &Arc<Self>, txn: &mut Txn<'_>, call: &Call<'_>, overtaken: &mut bool) {
        let args = Args::new(call.parts);
        if !self.sieve.is_idle() && !sift(self, txn, call.row, args, overtaken) {
            // Done in another form, or not wanted.
        } else if let Some(row) = call.row {
            run_in(self, txn, row, args);
        } else if args.is(0, "select") {
            txn.select(selected(args).unwrap_or_else(|| txn.db()));
        } else if let Some(kind) = message(args) {
            self.settle(txn);
            self.publish(kind, args);
        } else if scripts::is_of_stream(args) {
            self.events.before(txn, None, args);
            let db = txn.db();
            if let Err(why) = scripts::apply(self, txn, db, args) {
                self.divergence.count(args.at(0), &why);
            }
        } else if !is_no_data(args.at(0)) {
            self.divergence.count(args.at(0), &command::unknown(args));
        }
    }

    /// The shards that these commands touch, the first of them in this database.
    pub(crate) fn shards_of(&self, mut db: u32, calls: &[Call<'_>]) -> ShardSet {
        let mut set = ShardSet::none();
        for call in calls {
            let args = Args::new(call.parts);
            if let Some(row) = call.row {
                if self.sieve.is_idle() || self.sieve.concerns(db, Some(row), args) {
                    row.add_shards(&self.keyspace, db, args, &mut set);
                }
            } else if args.is(0, "select") {
                db = selected(args).unwrap_or(db);
            } else if scripts::is_of_stream(args) {
                set.add_everything();
            }
        }
        set
    }
}

/// The commands of a batch with their rows.
pub(crate) fn take_apart<'w, 'a>(
    batch: &Batch<'a>,
    words: &'w mut Vec<&'a [u8]>,
) -> SmallVec<[Call<'w>; Ahead::COMMANDS]> {
    words.reserve(batch.commands.iter().map(RequestRef::len).sum());
    batch.commands.iter().for_each(|request| words.extend(request.iter()));
    let mut rest = words.as_slice();
    let call = |request: &RequestRef<'a>| {
        let (parts, behind) = rest.split_at(request.len());
        rest = behind;
        Call { row: command::find(Args::new(parts)), parts }
    };
    batch.commands.iter().map(call).collect()
}

/// Lets the filter decide about a command, and does what it says. Answers whether the command itself runs.
pub(crate) fn sift(
    engine: &Engine,
    txn: &mut Txn<'_>,
    row: Option<&Command>,
    args: Args<'_>,
    overtaken: &mut bool,
) -> bool {
    if args.is(0, "select") {
        return true;
    }
    match engine.sieve.rule(txn, row, args) {
        Ruling::Run => return true,
        Ruling::Drop => {}
        Ruling::Resync => {
            engine.sieve.overtake();
            *overtaken = true;
        }
        Ruling::Instead(commands) => {
            for (db, command) in commands {
                let parts: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
                let args = Args::new(&parts);
                let Some(row) = command::find(args) else { continue };
                txn.in_db(db, |txn| run_in(engine, txn, row, args));
            }
        }
    }
    false
}

/// A message for those who listen, if it is one.
pub(crate) fn message(args: Args<'_>) -> Option<Kind> {
    let is = |name| args.len() == 3 && args.is(0, name);
    is("publish").then_some(Kind::Channel).or_else(|| is("spublish").then_some(Kind::Shard))
}

/// A command of the stream with its row.
pub(crate) struct Call<'a> {
    pub(crate) row: Option<&'static Command>,
    pub(crate) parts: &'a [&'a [u8]],
}

impl Call<'_> {
    /// Whether others may go with it into one transaction.
    fn is_brief(&self) -> bool {
        self.row.is_some_and(|row| row.is_brief(Args::new(self.parts)))
    }
}

pub(crate) fn selected(args: Args<'_>) -> Option<u32> {
    args.int(1).ok().and_then(|n| u32::try_from(n).ok())
}

/// Runs a command of the stream; that it could not be run is counted.
pub(crate) fn run_in(engine: &Engine, txn: &mut Txn<'_>, row: &Command, args: Args<'_>) {
    let (told, dirty) = (engine.events.any(), txn.dirty());
    if told {
        engine.events.before(txn, Some(row), args);
    }
    let began = engine.options.applied.as_ref().map(|applied| (applied, Instant::now()));
    if let Err(why) = run(txn, row, args) {
        engine.divergence.count(args.at(0), &why);
    }
    if let Some((applied, began)) = began {
        applied.tell(row.name, began.elapsed());
    }
    if told {
        engine.settle_command(txn, row, args, dirty);
    }
}

fn run(txn: &mut Txn<'_>, row: &Command, args: Args<'_>) -> CommandResult {
    row.check_arity(args)?;
    row.write(txn, args, &mut Discard)
}
