//! One shard's link, as the place where it delivers.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use replication::{Batch, Offset, Position, ReplId, Target};
use store::command::{self, Command};
use store::{Args, Discard, Loader, ShardSet, Txn, Viewer};

use super::nodes::SLOTS;
use super::slots::{Route, SlotSet, Slots};
use super::{Cluster, Shard};
use crate::engine::Engine;
use crate::events::kind_of;
use crate::filter::slot;
use crate::target::{is_no_data, message, run_in, selected, sift, take_apart};
use crate::{functions, scripts};

/// Applies what a shard sends.
#[derive(Debug)]
pub(crate) struct ShardTarget {
    engine: Arc<Engine>,
    cluster: Arc<Cluster>,
    shard: Arc<Shard>,
    overtaken: bool,
}

impl ShardTarget {
    pub(super) fn new(engine: Arc<Engine>, cluster: Arc<Cluster>, shard: Arc<Shard>) -> Self {
        Self { engine, cluster, shard, overtaken: false }
    }

    /// The stream has come to `end`, by so many bytes. To be called with the writer in hand.
    fn advanced(&self, end: Offset, selected: u32, bytes: usize) {
        self.shard.offset.store(end.0, Ordering::Release);
        self.shard.stream_db.store(selected, Ordering::Release);
        let total = self.cluster.total.fetch_add(bytes as u64, Ordering::AcqRel) + bytes as u64;
        if self.engine.is_loaded() {
            self.engine.publish_offset_quietly(Offset(total));
        }
    }

    fn run(&self, txn: &mut Txn<'_>, slots: &mut Slots, row: &Command, args: Args<'_>, overtaken: &mut bool) {
        let (engine, me) = (&*self.engine, self.shard.index);
        match row.name {
            "flushall" => return slots.clear(txn, me, None, None),
            "flushdb" => return slots.clear(txn, me, Some(txn.db()), None),
            // The key comes from another shard, which shows it until it has gone there.
            "restore-asking" => drop(slots.import(slot(args.at(1)), me)),
            _ => {}
        }
        let idle = engine.sieve.is_idle();
        match slots.route(me, row, args) {
            Route::Shown => {
                if idle || sift(engine, txn, Some(row), args, overtaken) {
                    run_in(engine, txn, row, args);
                }
            }
            Route::Aside | Route::Motion if !idle && !engine.sieve.concerns(txn.db(), Some(row), args) => {}
            Route::Aside => {
                let is_import = |key| slots.is_in_import(me, slot(key));
                let mut explained = matches!(row.name, "del" | "unlink");
                row.keys.each(args, |key| explained |= is_import(key));
                if !explained {
                    // The slot may be its own by now.
                    self.shard.doubt.store(self.cluster.round.load(Ordering::Acquire), Ordering::Release);
                    self.cluster.hurry.notify_one();
                }
                let db = txn.db();
                let aside = slots.aside(me, db);
                row.keys.each(args, |key| txn.hold_in([aside], key));
                txn.in_db(aside, |txn| run_aside(engine, txn, row, args));
                txn.retell(aside, db, |_| false);
            }
            Route::Motion => slots.in_motion(txn, me, row, args, |txn| run_aside(engine, txn, row, args)),
        }
    }

    /// CLUSTER of a stream: what the shard does with slots.
    fn cluster(&self, txn: &mut Txn<'_>, slots: &mut Slots, args: Args<'_>, at: Offset) {
        let me = self.shard.index;
        if args.is(1, "flushslot") {
            let slot = SlotSet::of(&ranges(&[args.at(2), args.at(2)]));
            slots.clear(txn, me, None, Some(&slot));
        } else if args.is(1, "syncslots") {
            let option = |name: &str| {
                let at = (2..args.len()).find(|at| args.is(*at, name))?;
                args.get(at + 1)
            };
            if args.is(2, "establish") {
                let first =
                    (2..args.len()).find(|at| args.is(*at, "slotsrange")).map_or(args.len(), |at| at + 1);
                let words: Vec<&[u8]> = (first..args.len()).map(|at| args.at(at)).collect();
                slots.begin_import(me, option("name").unwrap_or_default(), ranges(&words));
            } else if args.is(2, "finish") {
                let done = slots.end_import(me, option("name").unwrap_or_default());
                if option("state").is_some_and(|state| state.eq_ignore_ascii_case(b"success")) {
                    // If the nodes were asked after this, they have said who owns it now.
                    let is_news = self.shard.asked.lock().is_none_or(|asked| {
                        Some(asked.replid) != *self.shard.replid.lock() || asked.offset < at
                    });
                    let round = self.cluster.round.load(Ordering::Acquire);
                    for slot in done.into_iter().flatten().filter(|_| is_news) {
                        slots.give_for_now(slot, me, round);
                    }
                    self.cluster.hurry.notify_one();
                } else {
                    slots.clear(txn, me, None, Some(&SlotSet::of(&done)));
                }
            }
        }
    }
}

/// Pairs of words as ranges of slots; what is none is left out.
fn ranges(words: &[&[u8]]) -> Vec<RangeInclusive<u16>> {
    let number =
        |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<u16>().ok().filter(|slot| *slot < SLOTS);
    words.chunks_exact(2).filter_map(|pair| Some(number(pair[0])?..=number(pair[1])?)).collect()
}

/// Runs a command where nobody sees it.
fn run_aside(engine: &Engine, txn: &mut Txn<'_>, row: &Command, args: Args<'_>) {
    if let Err(why) = row.check_arity(args).and_then(|()| row.write(txn, args, &mut Discard)) {
        engine.divergence.count(args.at(0), &why);
    }
    // The filter looks at what is shown before a command runs: here it can only look at what has come of it.
    let filter = &engine.sieve.filter;
    if filter.looks_at_kinds() {
        row.keys.each(args, |key| {
            let db = txn.db();
            if txn.entry_even_expired(db, key).is_some_and(|entry| !filter.keeps_kind(kind_of(entry))) {
                txn.remove(key);
            }
        });
    }
}

/// Every shard's primary has the libraries, and every stream tells of them.
fn function(engine: &Engine, args: Args<'_>) {
    if args.is(1, "load") && args.len() >= 3 {
        if let Err(why) = functions::load(engine, args.at(args.len() - 1), true) {
            engine.divergence.count(args.at(0), &why);
        }
    } else if args.is(1, "restore") && args.len() >= 3 {
        if let Err(why) = functions::restore(engine, args.at(2), lua::Policy::Replace) {
            engine.divergence.count(args.at(0), &why);
        }
    } else {
        // What another stream has deleted already is no error.
        let _ = functions::apply(engine, args);
    }
}

impl Target for ShardTarget {
    type Loader = rdb::Filter<Loader>;

    fn begin_full_sync(&mut self) -> Self::Loader {
        self.engine.stream_loader()
    }

    fn finish_full_sync(&mut self, loader: Self::Loader, replid: ReplId, offset: Offset) {
        let engine = &*self.engine;
        let me = self.shard.index;
        let loader = loader.into_inner();
        engine.follow_compat(loader.origin());
        let stream_db = loader.stream_db().unwrap_or(0);
        let mut loaded = loader.finish();
        let libraries = loaded.functions().to_vec();
        // What is in settled slots changes its place at once, whatever it is; the rest key by key.
        let keyspace = engine.keyspace();
        let mut settled = self.cluster.slots.lock().settled(me);
        let mut others = loaded.take_out(keyspace, |key| settled.has(slot(key)));
        let mut writing = engine.writing.lock();
        if self.shard.gone.load(Ordering::Acquire) {
            return;
        }
        let mut slots = self.cluster.slots.lock();
        if settled.narrow(&slots.settled(me)) {
            others.extend(loaded.take_out(keyspace, |key| settled.has(slot(key))));
        }
        let mut txn = writing.writer.begin(&ShardSet::none(), Viewer::Stream, 0);
        if self.shard.loaded.load(Ordering::Acquire) {
            slots.clear_beside(&mut txn, me, &settled);
        }
        for (db, entry) in others {
            slots.take_in(&mut txn, me, db, entry);
        }
        drop(slots);
        engine.everything_changed();
        self.shard.turn_to(Position { replid, offset }, false);
        self.shard.stream_db.store(stream_db, Ordering::Release);
        self.shard.loaded.store(true, Ordering::Release);
        self.cluster.tell(engine);
        txn.exchange(loaded, move |key| settled.has(slot(key)));
        for code in libraries {
            if let Err(why) = functions::load(engine, &code, true) {
                engine.divergence.count(b"function", &why);
            }
        }
        engine.saving.changed(1);
        engine.serve_blocked(&mut writing);
        drop(writing);
        keyspace.settle();
        self.cluster.check_complete(engine);
    }

    fn replid_changed(&mut self, replid: ReplId) {
        let offset = Offset(self.shard.offset.load(Ordering::Acquire));
        self.shard.turn_to(Position { replid, offset }, true);
    }

    fn apply(&mut self, batch: Batch<'_>) {
        let engine = &*self.engine;
        let mut words = Vec::new();
        let calls = take_apart(&batch, &mut words);
        let set = engine.shards_of(batch.db, &calls);
        let mut overtaken = false;
        let mut writing = engine.writing.lock();
        if self.shard.gone.load(Ordering::Acquire) {
            return;
        }
        let mut slots = self.cluster.slots.lock();
        let mut txn = writing.writer.begin(&set, Viewer::Stream, batch.db);
        engine.observe(&mut txn, |txn| {
            for call in &calls {
                let args = Args::new(call.parts);
                if let Some(row) = call.row {
                    self.run(txn, &mut slots, row, args, &mut overtaken);
                } else if args.is(0, "select") {
                    txn.select(selected(args).unwrap_or_else(|| txn.db()));
                } else if let Some(kind) = message(args) {
                    engine.settle(txn);
                    engine.publish(kind, args);
                } else if args.is(0, "function") {
                    function(engine, args);
                } else if scripts::is_of_stream(args) {
                    let db = txn.db();
                    if let Err(why) = scripts::apply(&self.engine, txn, db, args) {
                        engine.divergence.count(args.at(0), &why);
                    }
                } else if args.is(0, "cluster") {
                    self.cluster(txn, &mut slots, args, batch.end);
                } else if args.is(0, "trimslots") {
                    let words: Vec<&[u8]> = (3..args.len()).map(|at| args.at(at)).collect();
                    slots.clear(txn, self.shard.index, None, Some(&SlotSet::of(&ranges(&words))));
                } else if !is_no_data(args.at(0)) {
                    engine.divergence.count(args.at(0), &command::unknown(args));
                }
            }
        });
        drop(slots);
        self.advanced(batch.end, batch.selected, batch.raw.len());
        engine.commit_events(Offset(self.cluster.total.load(Ordering::Acquire)));
        engine.show_stream(|| self.shard.address(), batch.db, batch.raw);
        drop(txn);
        engine.stats.applied.fetch_add(batch.commands.len() as u64, Ordering::Relaxed);
        engine.saving.changed(batch.commands.len());
        engine.serve_blocked(&mut writing);
        self.overtaken |= overtaken;
    }

    fn settled(&mut self) {
        self.engine.wake_followers();
    }

    fn wants_full_sync(&mut self) -> bool {
        std::mem::take(&mut self.overtaken)
    }

    fn advance(&mut self, end: Offset, selected: u32, raw: &[u8]) {
        let _writing = self.engine.writing.lock();
        if !self.shard.gone.load(Ordering::Acquire) {
            self.engine.show_stream(|| self.shard.address(), selected, raw);
            self.advanced(end, selected, raw.len());
        }
    }
}
