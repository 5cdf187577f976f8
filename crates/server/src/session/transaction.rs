//! MULTI and EXEC: what is queued, and how it runs with nobody else's write in between.

use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;
use store::command::Flags;
use store::{Args, CommandError, CommandResult, Compat, ShardSet};

use super::{Found, Ground, Replies, Session};
use crate::connection;
use crate::memory::Usage;
use crate::reply::RespReply;
use crate::watch::Watch;

/// A request, borrowed from where it is queued.
type Queued<'a> = SmallVec<[&'a [u8]; 8]>;

/// The commands since MULTI.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    queued: Vec<Vec<Box<[u8]>>>,
    /// What they take.
    pub(super) bytes: usize,
    /// Something was refused: EXEC will be, too.
    pub(super) broken: bool,
}

impl Transaction {
    pub(crate) fn len(&self) -> usize {
        self.queued.len()
    }

    pub(super) fn push(&mut self, args: Args<'_>) {
        self.queued.push(args.all().iter().map(|a| (*a).into()).collect());
        self.bytes += args.all().iter().map(|arg| arg.len() + size_of::<Box<[u8]>>()).sum::<usize>();
    }

    fn requests(&self) -> impl Iterator<Item = Queued<'_>> {
        self.queued.iter().map(|parts| parts.iter().map(AsRef::as_ref).collect())
    }

    /// Whether one of the queued commands is like this.
    pub(super) fn any(&self, compat: Compat, is: impl Fn(&Found) -> bool) -> bool {
        self.requests().any(|parts| Found::named(compat, Args::new(&parts)).is_some_and(|found| is(&found)))
    }
}

impl Session {
    pub(crate) fn begin_transaction(&mut self) -> CommandResult {
        if self.transaction.is_some() {
            return Err(CommandError::err("MULTI calls can not be nested"));
        }
        self.transaction = Some(Transaction::default());
        Ok(())
    }

    /// Runs what was queued, with nobody else's write in between.
    pub(crate) fn exec(&mut self, out: &mut RespReply<'_>) -> CommandResult {
        let Some(transaction) = self.transaction.take() else {
            return Err(CommandError::err("EXEC without MULTI"));
        };
        let watched = self.watch.take();
        // Dropped on every way out but one.
        let pinned = self.pinned.take();
        if transaction.broken {
            return Err(CommandError::coded("EXECABORT Transaction discarded because of previous errors."));
        }
        let start = out.len();
        let give_up = |session: &Self, out: &mut RespReply<'_>| {
            store::Reply::null(out, store::Null::Array);
            session.hush_reply(out, start);
            Ok(())
        };
        if watched.as_ref().is_some_and(Watch::is_touched) {
            return give_up(self, out);
        }
        let queued: Vec<Queued<'_>> = transaction.requests().collect();
        if self.forward_transaction(&queued, pinned)? {
            return Ok(());
        }
        let engine = Arc::clone(&self.engine);
        // Again where nobody can write any more.
        let is_void = || watched.as_ref().is_some_and(|watch| watch.is_touched() || engine.is_overdue(watch));
        let begin = |session: &Self, out: &mut RespReply<'_>| {
            store::Reply::aggregate(out, store::Aggregate::Array, queued.len());
            session.hush_reply(out, start);
        };
        let asks = |parts: &Queued<'_>| {
            let args = Args::new(parts);
            args.is(0, "info") || args.is(0, "memory")
        };
        self.usage = queued.iter().any(asks).then(|| Usage::of(&engine));
        if engine.is_writable() {
            let set = self.shards_of(&queued);
            let mut writing = engine.lock_writing()?;
            if is_void() {
                return give_up(self, out);
            }
            begin(self, out);
            engine.transact_in(&mut writing, &set, self.db, |txn| {
                self.run_queued(&queued, out, &mut Ground::Txn(txn));
            });
            engine.serve_blocked(&mut writing);
        } else {
            let _still = engine.keyspace.still();
            if is_void() {
                return give_up(self, out);
            }
            begin(self, out);
            self.run_queued(&queued, out, &mut Ground::Still(engine.keyspace.clock().now()));
        }
        Ok(())
    }

    /// Everything that the queued commands may touch.
    fn shards_of(&self, queued: &[Queued<'_>]) -> ShardSet {
        let (mut set, mut db) = (ShardSet::none(), self.db);
        for parts in queued {
            let args = Args::new(parts);
            if args.is(0, "select") {
                db = args.int(1).ok().and_then(|n| u32::try_from(n).ok()).unwrap_or(db);
            }
            match Found::named(self.engine.compat(), args) {
                Some(Found::Data(row)) => row.add_shards(&self.engine.keyspace, db, args, &mut set),
                // A script, whose keys may be anywhere, and whatever else looks at data on its own.
                Some(Found::Connection(row))
                    if row.flags.has(connection::RUNS_SCRIPT) || row.flags.has(Flags::LOCKS_ALL) =>
                {
                    set.add_everything();
                }
                Some(Found::Connection(_)) | None => {}
            }
        }
        set
    }

    /// As [`hush`](Self::hush), of a reply.
    fn hush_reply(&self, out: &mut RespReply<'_>, begin: usize) {
        if self.replies == Replies::Off {
            out.take_back(begin);
        }
    }

    fn run_queued(&mut self, queued: &[Queued<'_>], out: &mut RespReply<'_>, ground: &mut Ground<'_, '_>) {
        for parts in queued {
            let args = Args::new(parts);
            let (start, begin) = (Instant::now(), out.len());
            let (name, result) = match self.admit(args, true) {
                Ok(found) => (Some(found.name()), self.run(&found, args, out, ground)),
                Err(refused) => (None, Err(refused.error)),
            };
            let went_well = result.is_ok();
            if let Err(error) = result {
                store::Reply::error(out, &error);
                self.engine.observed.errors.count(&error.bytes());
            }
            if let Some(name) = name {
                self.account(name, args, start, out.len().saturating_sub(begin), went_well);
            }
            self.hush_reply(out, begin);
        }
    }
}
