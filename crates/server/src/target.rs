//! The engine as the place where a replication link delivers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use replication::{Batch, Offset, Position, ReplId, Target};
use store::{Args, CommandResult, Discard, Loader, ShardSet, Txn, Viewer, command};

use crate::engine::Engine;
use crate::pubsub::Kind;

/// Applies a primary's data set and stream to an engine.
#[derive(Debug)]
pub struct EngineTarget {
    engine: Arc<Engine>,
    /// Which of the engine's terms the link works for.
    term: u64,
}

impl EngineTarget {
    /// For this engine, which must be a replica's.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        let term = engine.following.term();
        Self { engine, term }
    }

    pub(crate) fn of_term(engine: Arc<Engine>, term: u64) -> Self {
        Self { engine, term }
    }

    /// Whether the engine follows somebody else by now, or nobody. To be asked with the writer in hand.
    fn is_outdated(&self) -> bool {
        self.term != self.engine.following.term()
    }
}

/// Commands of the stream that concern no key: their effects are elsewhere, or nowhere.
fn is_no_data(name: &[u8]) -> bool {
    [&b"ping"[..], b"replconf", b"select"].iter().any(|n| name.eq_ignore_ascii_case(n))
}

impl Target for EngineTarget {
    type Loader = Loader;

    fn begin_full_sync(&mut self) -> Loader {
        Loader::new(&self.engine.keyspace)
    }

    fn finish_full_sync(&mut self, loader: Loader, replid: ReplId, offset: Offset) {
        self.engine.follow_compat(loader.origin());
        let loaded = loader.finish();
        let mut writing = self.engine.writing.lock();
        if self.is_outdated() {
            return;
        }
        let publish = || {
            self.engine.everything_changed();
            self.engine.publish_position(Position { replid, offset });
        };
        let old = self.engine.keyspace.swap_contents(loaded, publish);
        self.engine.serve_blocked(&mut writing);
        drop(writing);
        // Freeing millions of entries takes a while: not on the thread that follows the stream.
        let _ = std::thread::Builder::new().name("graveyard".to_owned()).spawn(move || drop(old));
    }

    fn redirected(&mut self, term: u64) {
        self.term = term;
    }

    fn replid_changed(&mut self, replid: ReplId) {
        let _writing = self.engine.writing.lock();
        if self.is_outdated() {
            return;
        }
        if let Some(held) = self.engine.position() {
            self.engine.publish_position(Position { replid, ..held });
        }
    }

    fn apply(&mut self, batch: Batch<'_>) {
        let engine = &*self.engine;
        let mut parts: Vec<&[u8]> = Vec::with_capacity(8);
        let mut set = ShardSet::none();
        let mut db = batch.db;
        for request in batch.commands {
            parts.clear();
            parts.extend(request.iter());
            let args = Args::new(&parts);
            if args.is(0, "select") {
                db = selected(args).unwrap_or(db);
            } else if let Some(row) = command::find(args) {
                row.add_shards(&engine.keyspace, db, args, &mut set);
            }
        }
        let mut writing = engine.writing.lock();
        if self.is_outdated() {
            return;
        }
        let mut txn = writing.writer.begin(&set, Viewer::Stream, batch.db);
        engine.observe(&mut txn, |txn| {
            for request in batch.commands {
                parts.clear();
                parts.extend(request.iter());
                let args = Args::new(&parts);
                if args.is(0, "select") {
                    if let Some(db) = selected(args) {
                        txn.select(db);
                    }
                } else if let Some(kind) = message(args) {
                    engine.settle(txn);
                    engine.publish(kind, args);
                } else if let Err(why) = run(txn, args) {
                    engine.divergence.count(args.at(0), &why);
                }
            }
        });
        drop(txn);
        engine.stats.applied.fetch_add(batch.commands.len() as u64, Ordering::Relaxed);
        // With the writer still in hand: whoever is promoted next knows of this batch.
        engine.publish_offset(batch.end);
        engine.serve_blocked(&mut writing);
        drop(writing);
    }

    fn advance(&mut self, end: Offset) {
        let _writing = self.engine.writing.lock();
        if !self.is_outdated() {
            self.engine.publish_offset(end);
        }
    }
}

/// A message for those who listen, if it is one.
fn message(args: Args<'_>) -> Option<Kind> {
    let is = |name| args.len() == 3 && args.is(0, name);
    is("publish").then_some(Kind::Channel).or_else(|| is("spublish").then_some(Kind::Shard))
}

fn selected(args: Args<'_>) -> Option<u32> {
    args.int(1).ok().and_then(|n| u32::try_from(n).ok())
}

fn run(txn: &mut Txn<'_>, args: Args<'_>) -> CommandResult {
    match command::find(args) {
        Some(row) => row.check_arity(args).and_then(|()| row.write(txn, args, &mut Discard)),
        None if is_no_data(args.at(0)) => Ok(()),
        None => Err(command::unknown(args)),
    }
}
