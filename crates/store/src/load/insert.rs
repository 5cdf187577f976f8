//! Putting what a dump holds into tables. For all but small dumps a thread of its own does that, and finishes the
//! collections, while the decoder reads the next entries.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rdb::Reject;

use super::{Building, Loaded};
use crate::entry::{Entry, ValueRef};
use crate::hash::KeyHash;
use crate::keyspace::{Keyspace, empty_shards};
use crate::shard::{SHARDS, Shard, shard_of};

/// Entries that are put in together, so that their cache misses overlap.
const BATCH: usize = 256;
/// Batches on the way to the thread.
const WAITING: usize = 16;
/// Dumps with fewer keys are not worth a thread.
const FEW: u64 = 16 * 1024;
/// Keys that a dump may announce and be believed: their slots take less than 100 MB. More of them make room
/// as they come.
const BELIEVED: u64 = 8 * 1024 * 1024;

/// An entry, its database and its hash.
#[derive(Debug)]
struct Item {
    db: usize,
    hash: u64,
    entry: Entry,
}

/// Entries that go together.
#[derive(Debug, Default)]
struct Batch {
    items: Vec<Item>,
    /// Values to be finished, with the index of the item whose entry still has none.
    unfinished: Vec<(usize, Building)>,
}

/// What is to be done with the tables.
#[derive(Debug)]
enum Work {
    Put(Batch),
    /// A database is about to get so many keys.
    Expect(usize, u64),
}

/// The tables being filled.
#[derive(Debug)]
struct Tables {
    keyspace: Arc<Keyspace>,
    loaded: Loaded,
    /// Of a key that comes again, the later value is taken.
    merging: bool,
}

impl Tables {
    fn work(&mut self, work: Work) -> Result<(), Reject> {
        match work {
            Work::Put(batch) => self.insert(batch),
            Work::Expect(db, keys) => {
                self.expect(db, keys);
                Ok(())
            }
        }
    }

    fn expect(&mut self, db: usize, keys: u64) {
        let used = self.keyspace.shards();
        for shard in self.shards(db).iter_mut().step_by(SHARDS / used) {
            shard.announce(keys as usize / used);
        }
    }

    fn shards(&mut self, db: usize) -> &mut [Shard] {
        if self.loaded.dbs.len() <= db {
            self.loaded.dbs.resize_with(db + 1, || None);
        }
        self.loaded.dbs[db].get_or_insert_with(empty_shards)
    }

    fn insert(&mut self, batch: Batch) -> Result<(), Reject> {
        let Batch { mut items, unfinished } = batch;
        let limits = self.keyspace.limits();
        for (at, building) in unfinished {
            if let (Some(value), Some(place)) = (building.finish(limits), items[at].entry.value_mut()) {
                *place = value;
            }
        }
        for item in &items {
            self.shards(item.db)[shard_of(item.hash)].approach(item.hash);
        }
        for Item { db, hash, entry } in items {
            let Some(Some(shards)) = self.loaded.dbs.get_mut(db) else { continue };
            if matches!(entry.as_ref().value(), ValueRef::Owned(value) if value.is_vacant()) {
                continue;
            }
            let old = shards[shard_of(hash)].insert(hash, entry, self.keyspace.hasher());
            if old.is_some() && !self.merging {
                return Err(Reject("the key stands twice in its database"));
            }
        }
        Ok(())
    }

    fn work_all(mut self, work: &Receiver<Work>) -> Result<Self, Reject> {
        work.iter().try_for_each(|work| self.work(work))?;
        Ok(self)
    }
}

#[derive(Debug)]
enum Place {
    Here(Tables),
    Thread(SyncSender<Work>, JoinHandle<Result<Tables, Reject>>),
    /// It failed, and said so.
    Nowhere,
}

/// Takes entries one by one.
#[derive(Debug)]
pub(super) struct Inserter {
    hasher: KeyHash,
    batch: Batch,
    place: Place,
    taken: u64,
    believed: u64,
}

impl Inserter {
    pub(super) fn new(keyspace: &Arc<Keyspace>) -> Self {
        let tables = Tables { keyspace: Arc::clone(keyspace), loaded: Loaded::default(), merging: false };
        Self {
            hasher: keyspace.hasher().clone(),
            batch: Batch::default(),
            place: Place::Here(tables),
            taken: 0,
            believed: 0,
        }
    }

    /// Of a key that comes again, takes the later value.
    pub(super) fn merging(mut self) -> Self {
        if let Place::Here(tables) = &mut self.place {
            tables.merging = true;
        }
        self
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Puts an entry in, now or a little later: a refusal may concern an earlier one.
    pub(super) fn insert(&mut self, db: u32, entry: Entry) -> Result<(), Reject> {
        let hash = self.hasher.hash(entry.key());
        self.batch.items.push(Item { db: db as usize, hash, entry });
        self.taken += 1;
        if self.batch.items.len() >= BATCH { self.hand_on() } else { Ok(()) }
    }

    /// The same for an entry that has no value yet: this one, once it is finished.
    pub(super) fn insert_unfinished(&mut self, db: u32, entry: Entry, value: Building) -> Result<(), Reject> {
        self.batch.unfinished.push((self.batch.items.len(), value));
        self.insert(db, entry)
    }

    /// A database is about to get so many keys, the dump says: tables of the right size need not grow.
    pub(super) fn expect(&mut self, db: usize, keys: u64) {
        let keys = keys.min(BELIEVED - self.believed);
        if keys < FEW {
            return;
        }
        self.believed += keys;
        match &mut self.place {
            Place::Here(tables) => tables.expect(db, keys),
            Place::Thread(sender, _) => {
                // If it has ended, the next batch is told why.
                let _ = sender.send(Work::Expect(db, keys));
            }
            Place::Nowhere => {}
        }
    }

    fn hand_on(&mut self) -> Result<(), Reject> {
        let batch = std::mem::replace(
            &mut self.batch,
            Batch { items: Vec::with_capacity(BATCH), unfinished: Vec::with_capacity(BATCH) },
        );
        match &mut self.place {
            Place::Here(tables) => {
                tables.insert(batch)?;
                if self.taken >= FEW {
                    self.take_a_thread();
                }
                Ok(())
            }
            Place::Thread(sender, _) => match sender.send(Work::Put(batch)) {
                Ok(()) => Ok(()),
                // It has ended, which only a refusal makes it do.
                Err(_) => self.settle(),
            },
            Place::Nowhere => Ok(()),
        }
    }

    fn take_a_thread(&mut self) {
        let Place::Here(tables) = std::mem::replace(&mut self.place, Place::Nowhere) else { return };
        let (sender, work) = sync_channel(WAITING);
        // The tables go along by a channel, so that they stay if there is no thread to be had.
        let (tables_to, tables_for) = sync_channel::<Tables>(1);
        let run = move || match tables_for.recv() {
            Ok(tables) => tables.work_all(&work),
            Err(_) => Err(Reject("the loading thread got no tables")),
        };
        self.place = match std::thread::Builder::new().name("loader".to_owned()).spawn(run) {
            Ok(thread) => match tables_to.send(tables) {
                Ok(()) => Place::Thread(sender, thread),
                Err(back) => Place::Here(back.0),
            },
            Err(_) => Place::Here(tables),
        };
    }

    /// Puts in all that it has been given. More may follow: another dump.
    pub(super) fn settle(&mut self) -> Result<(), Reject> {
        let rest = std::mem::take(&mut self.batch);
        let mut tables = match std::mem::replace(&mut self.place, Place::Nowhere) {
            Place::Here(tables) => tables,
            Place::Thread(sender, thread) => {
                drop(sender);
                thread.join().unwrap_or(Err(Reject("the loading thread ended before its time")))?
            }
            Place::Nowhere => return Err(Reject("the dump was refused before")),
        };
        tables.insert(rest)?;
        self.place = Place::Here(tables);
        Ok(())
    }

    /// What it has put in, if it has settled since.
    pub(super) fn into_loaded(self) -> Loaded {
        match self.place {
            Place::Here(tables) => tables.loaded,
            Place::Thread(..) | Place::Nowhere => Loaded::default(),
        }
    }
}
