//! Which shard's copy of a key is shown: the rule by which several data sets are one keyspace.
//!
//! Each shard's stream is applied to all that this shard holds, whether its slots are its own or not. What is shown
//! lies in the database; what a shard holds and does not show lies aside, in databases of its own that nobody can name.
//!
//! ```text
//!   slot   owner = holder                   the shard's commands run in the database
//!          owner, not this shard            they run aside
//!          importing, or owner != holder    in motion: the keys go aside, the command runs there, and then
//!                                           each key is settled: the copy that is to be shown comes back
//! ```
//!
//! * The *owner* of a slot is who the cluster says it is.
//! * While a slot is *imported* key by key, keys that the owner no longer has are shown as the importing shard has
//!   them, and once they are, they carry its label and that stays so, also when it deletes them: time does not run
//!   backwards when one link is ahead of the other.
//! * The *holder* is whose copies are in the database where no label says otherwise. After a change of owner, the new
//!   owner's copies take their places one by one, and what the old one has beyond them goes aside; then the new owner is
//!   the holder.
//!
//! All of it is looked at and changed with the writer in hand.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use store::command::Command;
use store::{ASIDES, Args, Entry, MAX_DATABASES, Txn};

use super::nodes::SLOTS;
use crate::filter::slot;

/// The number of a shard.
pub(crate) type ShardId = u16;

/// No shard.
pub(super) const NOBODY: ShardId = ShardId::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) owner: ShardId,
    pub(super) holder: ShardId,
    pub(super) importing: ShardId,
    /// It has changed its owner, or an import has ended: not everything in the database is the owner's for sure.
    pub(super) untidy: bool,
    /// Of the last claim that a node has made: one with a higher epoch is the younger.
    pub(super) epoch: u64,
    /// In which round of questions a stream, and no node yet, has said who owns it. 0: a node has said it.
    pub(super) since: u64,
}

impl Slot {
    fn is_settled(self) -> bool {
        !self.untidy && self.importing == NOBODY
    }
}

/// Where a command of a shard runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Shown,
    Aside,
    /// Some of its keys are in motion.
    Motion,
}

/// Some of the slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SlotSet(Box<[bool]>);

impl SlotSet {
    pub(super) fn of(ranges: &[RangeInclusive<u16>]) -> Self {
        let mut set = Self(vec![false; SLOTS.into()].into());
        let within = ranges.iter().cloned().flatten().filter(|slot| *slot < SLOTS);
        within.for_each(|slot| set.0[usize::from(slot)] = true);
        set
    }

    /// All the others.
    fn complement(&self) -> Self {
        Self(self.0.iter().map(|has| !has).collect())
    }

    pub(super) fn has(&self, slot: u16) -> bool {
        self.0[usize::from(slot)]
    }

    /// Keeps those that are in the other, too; whether any went.
    pub(super) fn narrow(&mut self, other: &Self) -> bool {
        let before = self.0.clone();
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine &= *theirs);
        self.0 != before
    }
}

/// The slots, and the keys that are not where their slots say.
#[derive(Debug)]
pub(crate) struct Slots {
    pub(super) slots: Box<[Slot]>,
    /// Keys in the database that are not the holder's copy, by database.
    pub(super) labels: HashMap<u32, HashMap<Box<[u8]>, ShardId>>,
    /// Where a shard's copies lie aside, by shard and database.
    pub(super) asides: HashMap<(ShardId, u32), u32>,
    /// Imports of whole ranges, by shard and name: nothing of them is shown before they are complete.
    pub(super) imports: HashMap<(ShardId, Vec<u8>), Vec<RangeInclusive<u16>>>,
}

impl Default for Slots {
    fn default() -> Self {
        let unassigned =
            Slot { owner: NOBODY, holder: NOBODY, importing: NOBODY, untidy: false, epoch: 0, since: 0 };
        Self {
            slots: vec![unassigned; SLOTS.into()].into(),
            labels: HashMap::new(),
            asides: HashMap::new(),
            imports: HashMap::new(),
        }
    }
}

impl Slots {
    // ---- who has what

    pub(super) fn owner(&self, slot: u16) -> ShardId {
        self.slots[usize::from(slot)].owner
    }

    /// Whether a claim of this epoch, made when the nodes were asked in this round, is to be believed.
    pub(super) fn is_open(&self, slot: u16, to: ShardId, epoch: u64, round: u64) -> bool {
        let slot = self.slots[usize::from(slot)];
        slot.owner == to
            || slot.owner == NOBODY
            || slot.epoch < epoch
                && slot.since == 0
            // What a stream has said may be newer than what was asked in the same round, and older than any later one.
            || slot.epoch <= epoch && slot.since != 0 && slot.since < round
    }

    /// Claims count anew: these slots were those of another cluster.
    pub(super) fn doubt_all(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.epoch = 0);
    }

    pub(super) fn importing(&self, slot: u16) -> ShardId {
        self.slots[usize::from(slot)].importing
    }

    /// Slots that are taken over key by key, and by whom.
    pub(super) fn all_imports(&self) -> HashMap<u16, ShardId> {
        let imports = (0..SLOTS).map(|slot| (slot, self.importing(slot)));
        imports.filter(|(_, by)| *by != NOBODY).collect()
    }

    /// The ranges that a shard owns.
    pub(super) fn ranges(&self, shard: ShardId) -> Vec<RangeInclusive<u16>> {
        let mut ranges: Vec<RangeInclusive<u16>> = Vec::new();
        for slot in (0..SLOTS).filter(|slot| self.owner(*slot) == shard) {
            match ranges.last_mut() {
                Some(last) if *last.end() + 1 == slot => *last = *last.start()..=slot,
                _ => ranges.push(slot..=slot),
            }
        }
        ranges
    }

    /// Whether a shard has no part in any slot.
    pub(super) fn is_without(&self, shard: ShardId) -> bool {
        self.slots.iter().all(|slot| ![slot.owner, slot.holder, slot.importing].contains(&shard))
    }

    fn at(&self, key: &[u8]) -> Slot {
        self.slots[usize::from(slot(key))]
    }

    fn label(&self, db: u32, key: &[u8]) -> Option<ShardId> {
        self.labels.get(&db)?.get(key).copied()
    }

    fn set_label(&mut self, db: u32, key: &[u8], shard: Option<ShardId>) {
        match shard {
            Some(shard) => drop(self.labels.entry(db).or_default().insert(key.into(), shard)),
            None => {
                if let Some(labels) = self.labels.get_mut(&db) {
                    labels.remove(key);
                }
            }
        }
    }

    /// Whose copy of this key is in the database, if any is.
    fn copy_of(&self, db: u32, key: &[u8]) -> ShardId {
        self.label(db, key).unwrap_or_else(|| self.at(key).holder)
    }

    /// Whose copy of this key is shown.
    fn shown(&self, txn: &Txn<'_>, db: u32, key: &[u8]) -> Option<ShardId> {
        txn.has(db, key).then(|| self.copy_of(db, key))
    }

    /// Where this shard's copies of a database's keys lie that are not shown.
    pub(super) fn aside(&mut self, shard: ShardId, db: u32) -> u32 {
        if let Some(known) = self.asides.get(&(shard, db)) {
            return *known;
        }
        // Places of shards that are gone are used again.
        let is_free = |at: &u32| self.asides.values().all(|used| used != at);
        let last = MAX_DATABASES + ASIDES - 1;
        let place = (MAX_DATABASES..last).find(is_free).unwrap_or_else(|| {
            tracing::error!(
                "more shards and databases than can be kept apart: this copy is not the cluster's"
            );
            last
        });
        self.asides.insert((shard, db), place);
        place
    }

    /// Where anything of a shard lies aside: the database that it belongs to, and the place.
    pub(super) fn asides_of(&self, shard: ShardId) -> Vec<(u32, u32)> {
        self.asides.iter().filter(|((of, _), _)| *of == shard).map(|((_, db), aside)| (*db, *aside)).collect()
    }

    // ---- running a command

    /// Where a command of `shard` runs.
    pub(super) fn route(&self, shard: ShardId, row: &Command, args: Args<'_>) -> Route {
        let mut route = None;
        row.keys.each(args, |key| {
            let slot = self.at(key);
            let one = match slot.is_settled() {
                true if slot.owner == shard => Route::Shown,
                true => Route::Aside,
                false => Route::Motion,
            };
            route = Some(if route.is_none_or(|known| known == one) { one } else { Route::Motion });
        });
        route.unwrap_or(Route::Shown)
    }

    /// Lets `run` run a command in the place aside, with its keys there as the shard has them, and shows of them
    /// afterwards what is to be shown.
    pub(super) fn in_motion<'a>(
        &mut self,
        txn: &mut Txn<'_>,
        shard: ShardId,
        row: &Command,
        args: Args<'a>,
        run: impl FnOnce(&mut Txn<'_>),
    ) {
        let db = txn.db();
        let aside = self.aside(shard, db);
        let mut keys: Vec<&'a [u8]> = Vec::new();
        row.keys.each(args, |key| keys.push(key));
        for key in &keys {
            self.hold(txn, db, key, aside);
            if self.shown(txn, db, key) == Some(shard) {
                txn.transfer(key, db, aside);
            }
        }
        txn.in_db(aside, run);
        for key in &keys {
            self.settle(txn, db, key);
        }
        txn.retell(aside, db, |key| self.copy_of(db, key) == shard);
    }

    /// Takes every place where a copy of this key may be.
    fn hold(&mut self, txn: &mut Txn<'_>, db: u32, key: &[u8], also: u32) {
        let slot = self.at(key);
        let shards = [Some(slot.owner), Some(slot.holder), Some(slot.importing), self.label(db, key)];
        let mut places = vec![db, also];
        for shard in shards.into_iter().flatten().filter(|shard| *shard != NOBODY) {
            places.push(self.aside(shard, db));
        }
        txn.hold_in(places, key);
    }

    /// Puts the copy that is to be shown where it is seen.
    pub(super) fn settle(&mut self, txn: &mut Txn<'_>, db: u32, key: &[u8]) {
        let slot = self.at(key);
        self.hold(txn, db, key, db);
        let now = self.shown(txn, db, key);
        let passed = slot.importing != NOBODY && self.label(db, key) == Some(slot.importing);
        let mut has =
            |shard: ShardId| shard != NOBODY && (now == Some(shard) || txn.has(self.aside(shard, db), key));
        let wanted = if passed {
            has(slot.importing).then_some(slot.importing)
        } else if has(slot.owner) {
            Some(slot.owner)
        } else if has(slot.importing) {
            Some(slot.importing)
        } else {
            None
        };
        if now == wanted {
            return;
        }
        if let Some(now) = now.filter(|now| *now != NOBODY) {
            let aside = self.aside(now, db);
            txn.transfer(key, db, aside);
        }
        let label = wanted.filter(|wanted| *wanted == slot.importing || *wanted != slot.holder);
        let label = if passed { Some(slot.importing) } else { label };
        if let Some(wanted) = wanted {
            let aside = self.aside(wanted, db);
            txn.transfer(key, aside, db);
        }
        self.set_label(db, key, label);
        txn.replaced(db, key);
    }

    // ---- changes of owners

    /// The shard owns the slot by a claim of this epoch.
    pub(super) fn give(&mut self, slot: u16, to: ShardId, epoch: u64) {
        // What it has brought already lies aside, and has to be shown first.
        let has_brought = self.asides.keys().any(|(of, _)| *of == to);
        let slot = &mut self.slots[usize::from(slot)];
        let is_younger = epoch > slot.epoch;
        slot.epoch = slot.epoch.max(epoch);
        slot.since = 0;
        // What somebody else imports is on its way from this owner.
        if is_younger && slot.importing == to {
            slot.importing = NOBODY;
        }
        if slot.owner == to {
            return;
        }
        slot.owner = to;
        if slot.holder == NOBODY && !has_brought {
            slot.holder = to;
        } else {
            slot.untidy = true;
        }
    }

    /// The shard owns the slot, its stream says, until a node is asked in a later round.
    pub(super) fn give_for_now(&mut self, slot: u16, to: ShardId, round: u64) {
        let known = self.slots[usize::from(slot)].epoch;
        self.give(slot, to, known);
        let slot = &mut self.slots[usize::from(slot)];
        slot.since = round.max(1);
        if slot.importing == to {
            slot.importing = NOBODY;
        }
    }

    /// The shard takes over the slot key by key; answers whether that is new.
    pub(super) fn import(&mut self, slot: u16, by: ShardId) -> bool {
        let slot = &mut self.slots[usize::from(slot)];
        if slot.importing == by {
            return false;
        }
        // It has lost the slot since, to who imported it, and gets it back.
        if slot.owner == by && slot.importing != NOBODY {
            slot.owner = slot.importing;
            slot.untidy = true;
        }
        slot.importing = by;
        true
    }

    /// Nobody takes it over any more, and what the importing shard has shown is its owner's again.
    pub(super) fn stop_import(&mut self, slot: u16) {
        let slot = &mut self.slots[usize::from(slot)];
        slot.importing = NOBODY;
        slot.untidy = true;
    }

    /// Slots in which not everything may be the owner's.
    pub(super) fn moved(&self) -> HashSet<u16> {
        (0..SLOTS).filter(|slot| self.slots[usize::from(*slot)].untidy).collect()
    }

    /// Everything in the database is the owner's, of these slots with these owners.
    pub(super) fn finish(&mut self, slots: &HashMap<u16, ShardId>) {
        for (at, owner) in slots {
            let slot = &mut self.slots[usize::from(*at)];
            if slot.owner == *owner {
                slot.holder = *owner;
                slot.untidy = false;
            }
        }
        let all = &self.slots;
        for labels in self.labels.values_mut() {
            labels.retain(|key, shard| {
                let at = slot(key);
                let slot = all[usize::from(at)];
                !slots.contains_key(&at) || slot.untidy || slot.importing == *shard
            });
        }
        self.labels.retain(|_, labels| !labels.is_empty());
    }

    /// A shard is no more. Answers the places aside that are to be emptied.
    pub(super) fn forget(&mut self, shard: ShardId) -> Vec<u32> {
        let places = self.asides_of(shard).into_iter().map(|(_, aside)| aside).collect();
        self.asides.retain(|(of, _), _| *of != shard);
        self.imports.retain(|(of, _), _| *of != shard);
        places
    }

    // ---- imports of whole ranges

    pub(super) fn begin_import(&mut self, shard: ShardId, name: &[u8], ranges: Vec<RangeInclusive<u16>>) {
        self.imports.insert((shard, name.to_vec()), ranges);
    }

    pub(super) fn end_import(&mut self, shard: ShardId, name: &[u8]) -> Vec<RangeInclusive<u16>> {
        self.imports.remove(&(shard, name.to_vec())).unwrap_or_default()
    }

    /// Whether a shard imports this slot as a part of a range.
    pub(super) fn is_in_import(&self, shard: ShardId, slot: u16) -> bool {
        let mut mine = self.imports.iter().filter(|((by, _), _)| *by == shard);
        mine.any(|(_, ranges)| ranges.iter().any(|range| range.contains(&slot)))
    }

    // ---- all of a shard's keys

    /// Deletes what a shard holds: of these databases (or all), in these slots (or all).
    pub(super) fn clear(
        &mut self,
        txn: &mut Txn<'_>,
        shard: ShardId,
        only_db: Option<u32>,
        only: Option<&SlotSet>,
    ) {
        let is_meant = |at: u16| only.is_none_or(|slots| slots.has(at));
        let mut dbs: Vec<u32> = txn.keyspace().existing().map(|(db, _)| db).collect();
        dbs.retain(|db| only_db.is_none_or(|only| only == *db));
        for db in dbs {
            txn.hold_all_of(db);
            let mut gone: Vec<Box<[u8]>> = Vec::new();
            txn.retain(db, |key| {
                let keeps = !is_meant(slot(key)) || self.copy_of(db, key) != shard;
                if !keeps {
                    gone.push(key.into());
                }
                keeps
            });
            for key in gone {
                self.set_label(db, &key, None);
                txn.replaced(db, &key);
            }
        }
        for (db, aside) in self.asides_of(shard) {
            if only_db.is_none_or(|only| only == db) {
                txn.hold_all_of(aside);
                txn.retain(aside, |key| !is_meant(slot(key)));
            }
        }
        self.show_imports(txn);
    }

    /// Shows what importing shards have of keys that nobody shows.
    pub(super) fn show_imports(&mut self, txn: &mut Txn<'_>) {
        let importing: HashSet<ShardId> =
            self.slots.iter().map(|slot| slot.importing).filter(|shard| *shard != NOBODY).collect();
        for shard in importing {
            for (db, aside) in self.asides_of(shard) {
                txn.hold_all_of(aside);
                let mut keys: Vec<Box<[u8]>> = Vec::new();
                txn.for_each(aside, |entry| {
                    if self.at(entry.key()).importing == shard {
                        keys.push(entry.key().into());
                    }
                });
                for key in &keys {
                    self.settle(txn, db, key);
                }
            }
        }
    }

    /// The slots of a shard in which every key that is shown is its copy, and none of its copies is aside.
    pub(super) fn settled(&self, shard: ShardId) -> SlotSet {
        let is_its = |slot: &Slot| slot.is_settled() && slot.owner == shard && slot.holder == shard;
        SlotSet(self.slots.iter().map(is_its).collect())
    }

    /// Deletes what a shard holds, but for the keys in slots that are settled.
    pub(super) fn clear_beside(&mut self, txn: &mut Txn<'_>, shard: ShardId, settled: &SlotSet) {
        for (_, aside) in self.asides_of(shard) {
            txn.hold_all_of(aside);
            txn.flush(aside);
        }
        for labels in self.labels.values_mut() {
            labels.retain(|key, _| !settled.has(slot(key)));
        }
        let mut labels = self.labels.values().flat_map(HashMap::values);
        let holds = |at: u16| !settled.has(at) && self.slots[usize::from(at)].holder == shard;
        if labels.any(|of| *of == shard) || (0..SLOTS).any(holds) {
            self.clear(txn, shard, None, Some(&settled.complement()));
        }
    }

    /// Takes in a key of a shard's data set, and shows it if it is to be shown.
    pub(super) fn take_in(&mut self, txn: &mut Txn<'_>, shard: ShardId, db: u32, entry: Entry) {
        let key: Box<[u8]> = entry.key().into();
        let slot = self.at(&key);
        let is_shown = slot.is_settled() && slot.owner == shard;
        let place = if is_shown { db } else { self.aside(shard, db) };
        txn.hold_in([place], &key);
        // Where databases cannot exist the loader has none either.
        let _ = txn.in_db(place, |txn| txn.attach(entry));
        if !slot.is_settled() {
            self.settle(txn, db, &key);
        }
    }
}

#[cfg(test)]
mod tests {
    use store::{Discard, Keyspace, ShardSet, Viewer, Writer};
    use testkit::Random;

    use super::*;

    const KEYS: usize = 6;

    fn key(n: usize) -> String {
        format!("{{slot}}{n}")
    }

    enum Told {
        Set(usize, u64),
        /// It comes from the other node.
        Restore(usize, u64),
        Del(usize),
    }

    /// Two nodes that have one slot in turns, what they would say in their streams, and their claims with how long the
    /// stream was when they were made.
    #[derive(Default)]
    struct Nodes {
        keys: [std::collections::BTreeMap<usize, u64>; 2],
        streams: [Vec<Told>; 2],
        owner: usize,
        migrates: bool,
        claims: Vec<(usize, usize)>,
        clock: u64,
    }

    impl Nodes {
        /// `is_known`: all claims have been taken in. Nodes are asked often: a slot does not change its owner twice
        /// between two rounds.
        fn step(&mut self, random: &mut Random, is_known: bool) {
            let (from, to) = (self.owner, 1 - self.owner);
            match random.below(12) {
                0 if !self.migrates && is_known => self.migrates = true,
                0..3 if self.migrates && self.keys[from].is_empty() => {
                    self.migrates = false;
                    self.owner = to;
                    self.claims.push((to, self.streams[to].len()));
                }
                0..5 if self.migrates => {
                    let Some((key, value)) = self.keys[from].iter().next().map(|(k, v)| (*k, *v)) else {
                        return;
                    };
                    self.keys[from].remove(&key);
                    self.keys[to].insert(key, value);
                    self.streams[to].push(Told::Restore(key, value));
                    self.streams[from].push(Told::Del(key));
                }
                _ => {
                    let key = random.below(KEYS);
                    let at = if self.migrates && !self.keys[from].contains_key(&key) { to } else { from };
                    if random.below(4) == 0 {
                        if self.keys[at].remove(&key).is_some() {
                            self.streams[at].push(Told::Del(key));
                        }
                    } else {
                        self.clock += 1;
                        self.keys[at].insert(key, self.clock);
                        self.streams[at].push(Told::Set(key, self.clock));
                    }
                }
            }
        }
    }

    struct Copy {
        writer: Writer,
        keyspace: std::sync::Arc<Keyspace>,
        slots: Slots,
        seen: [u64; KEYS],
    }

    impl Copy {
        fn deliver(&mut self, shard: ShardId, told: &Told) {
            let words = match told {
                Told::Set(n, value) | Told::Restore(n, value) => {
                    vec!["SET".to_owned(), key(*n), value.to_string()]
                }
                Told::Del(n) => vec!["DEL".to_owned(), key(*n)],
            };
            let parts: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
            let args = Args::new(&parts);
            let row = store::command::find(args).unwrap();
            if matches!(told, Told::Restore(..)) {
                self.slots.import(slot(args.at(1)), shard);
            }
            let mut set = ShardSet::none();
            row.add_shards(&self.keyspace, 0, args, &mut set);
            let mut txn = self.writer.begin(&set, Viewer::Stream, 0);
            let run = |txn: &mut Txn<'_>| row.write(txn, args, &mut Discard).unwrap();
            match self.slots.route(shard, row, args) {
                Route::Shown => run(&mut txn),
                Route::Aside => {
                    let aside = self.slots.aside(shard, 0);
                    txn.hold_in([aside], args.at(1));
                    txn.in_db(aside, run);
                }
                Route::Motion => self.slots.in_motion(&mut txn, shard, row, args, run),
            }
        }

        fn tidy(&mut self) {
            let at = slot(key(0).as_bytes());
            let owner = self.slots.owner(at);
            let mut txn = self.writer.begin(&ShardSet::none(), Viewer::Stream, 0);
            for n in 0..KEYS {
                self.slots.settle(&mut txn, 0, key(n).as_bytes());
            }
            drop(txn);
            self.slots.finish(&HashMap::from([(at, owner)]));
        }

        fn value(&self, n: usize) -> Option<u64> {
            let blob = self.keyspace.blob(0, key(n).as_bytes()).unwrap()?;
            Some(std::str::from_utf8(&blob).unwrap().parse().unwrap())
        }

        /// What is shown never goes back in time.
        fn look(&mut self, seed: u64) {
            for n in 0..KEYS {
                if let Some(value) = self.value(n) {
                    assert!(value >= self.seen[n], "seed {seed}: {n} went back to {value}");
                    self.seen[n] = value;
                }
            }
        }
    }

    /// Two streams in any order relative to each other, and claims when their time has come.
    #[test]
    fn whatever_the_order_of_streams_nothing_goes_back_and_all_is_there_in_the_end() {
        let at = slot(key(0).as_bytes());
        for seed in 1..=3000_u64 {
            let mut random = Random::new(seed);
            let (keyspace, writer) = Keyspace::new(1);
            let mut copy = Copy { writer, keyspace, slots: Slots::default(), seen: [0; KEYS] };
            copy.slots.give(at, 0, 1);
            let mut nodes = Nodes::default();
            let (mut read, mut claimed, mut epoch) = ([0_usize; 2], 0, 1);
            let mut steps = 80;
            loop {
                match random.below(6) {
                    0 | 1 if steps > 0 => {
                        steps -= 1;
                        nodes.step(&mut random, claimed == nodes.claims.len());
                    }
                    2 => copy.tidy(),
                    3 => {
                        if let Some((to, length)) = nodes.claims.get(claimed)
                            && read[*to] >= *length
                        {
                            claimed += 1;
                            epoch += 1;
                            copy.slots.give(at, ShardId::try_from(*to).unwrap(), epoch);
                        }
                    }
                    side => {
                        let side = side % 2;
                        if let Some(told) = nodes.streams[side].get(read[side]) {
                            copy.deliver(ShardId::try_from(side).unwrap(), told);
                            read[side] += 1;
                        }
                    }
                }
                copy.look(seed);
                let all_read = (0..2).all(|side| read[side] == nodes.streams[side].len());
                if steps == 0 && all_read && claimed == nodes.claims.len() {
                    break;
                }
            }
            // The nodes say of themselves what they import, too.
            if nodes.migrates {
                copy.slots.import(at, ShardId::try_from(1 - nodes.owner).unwrap());
            }
            copy.tidy();
            for n in 0..KEYS {
                let truth = nodes.keys.iter().find_map(|keys| keys.get(&n)).copied();
                assert_eq!(copy.value(n), truth, "seed {seed}: key {n}");
            }
            assert!(copy.keyspace.counts().keys <= KEYS);
        }
    }
}
