//! A filter on the stream: which commands run, and in what form.
//!
//! A key is *inside* or *outside* by its database and name. The rules for a command:
//!
//! | its keys | what happens |
//! | --- | --- |
//! | all outside | dropped |
//! | all inside | runs |
//! | DEL, UNLINK, MSET and their like on both sides | runs for the keys inside |
//! | a key moves from inside to outside (RENAME, MOVE, LMOVE, SMOVE, ..) | it is removed here |
//! | a member moves in (SMOVE) | it is added: the command tells it |
//! | a value comes in from outside (RENAME, COPY, LMOVE, ZUNIONSTORE, BITOP, SORT STORE, ..) | the key is *lost* |
//! | SWAPDB of a database inside and one outside | a full sync |
//!
//! A lost key's value cannot be known from the stream. It is removed, counted, and absent until a command
//! replaces or deletes it as a whole: missing, but never wrong.
//!
//! Kinds: a command of a kind that is not kept runs only as the deletion of what it replaces.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use store::command::{Command, Group};
use store::value::Kind;
use store::{Args, Txn};

use super::Filter;

/// A filter at work.
#[derive(Debug, Default)]
pub(crate) struct Sieve {
    pub(crate) filter: Filter,
    lost: Mutex<HashSet<(u32, Box<[u8]>)>>,
    /// A command has changed what cannot be followed: the copy is wrong until the next full sync.
    overtaken: AtomicBool,
    /// Commands of the stream that were not run.
    pub(crate) dropped: AtomicU64,
    /// Commands that ran in another form.
    pub(crate) changed: AtomicU64,
}

/// What is to be done with a command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    Run,
    Drop,
    /// These instead, each in its database.
    Instead(Vec<(u32, Vec<Vec<u8>>)>),
    /// Nothing but a full sync brings the copy in order again.
    Resync,
}

/// Where the result of a command goes, and what it is made of.
struct Flow<'a> {
    target: (u32, &'a [u8]),
    sources: Vec<(u32, &'a [u8])>,
}

impl Sieve {
    pub(crate) fn new(filter: Filter) -> Self {
        Self { filter, ..Self::default() }
    }

    /// Whether there is anything to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.filter.is_empty()
    }

    /// How many keys are lost.
    pub(crate) fn lost(&self) -> usize {
        self.lost.lock().len()
    }

    /// Which keys are lost.
    pub(crate) fn lost_keys(&self) -> Vec<(u32, Vec<u8>)> {
        self.lost.lock().iter().map(|(db, key)| (*db, key.to_vec())).collect()
    }

    /// A new data set is there.
    pub(crate) fn forget(&self) {
        self.lost.lock().clear();
        self.overtaken.store(false, Ordering::Relaxed);
    }

    /// Only a full sync brings the copy in order again.
    pub(crate) fn overtake(&self) {
        self.overtaken.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_overtaken(&self) -> bool {
        self.overtaken.load(Ordering::Relaxed)
    }

    /// These were lost when the data set was saved.
    pub(crate) fn lose_again(&self, keys: Vec<(u32, Box<[u8]>)>) {
        self.lost.lock().extend(keys);
    }

    /// Whether a command can matter at all: before any lock is taken for it.
    pub(crate) fn concerns(&self, db: u32, row: Option<&Command>, args: Args<'_>) -> bool {
        if !self.filter.keeps_command(args.at(0)) {
            return false;
        }
        let Some(row) = row else { return true };
        let (mut any, mut none) = (false, true);
        row.keys.each(args, |key| {
            none = false;
            any |= self.filter.keeps_key(db, key);
        });
        // MOVE and COPY have their other key in another database.
        any || none || args.is(0, "move") || args.is(0, "copy")
    }

    /// Decides about a command. Whatever it may touch is held by `txn`.
    pub(crate) fn rule(&self, txn: &Txn<'_>, row: Option<&Command>, args: Args<'_>) -> Ruling {
        let ruling = self.decide(txn, row, args);
        match &ruling {
            Ruling::Run => {}
            Ruling::Drop => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
            Ruling::Instead(_) | Ruling::Resync => {
                self.changed.fetch_add(1, Ordering::Relaxed);
            }
        }
        ruling
    }

    fn decide(&self, txn: &Txn<'_>, row: Option<&Command>, args: Args<'_>) -> Ruling {
        let db = txn.db();
        if !self.concerns(db, row, args) {
            return Ruling::Drop;
        }
        let Some(row) = row else { return Ruling::Run };
        let mut keys: Vec<&[u8]> = Vec::new();
        row.keys.each(args, |key| keys.push(key));
        match row.name {
            "flushall" => {
                self.lost.lock().clear();
                return Ruling::Run;
            }
            "flushdb" => {
                self.lost.lock().retain(|(other, _)| *other != db);
                return if self.filter.keeps_database(db) { Ruling::Run } else { Ruling::Drop };
            }
            "swapdb" => return self.swap(args),
            "del" | "unlink" => return self.delete(db, row, &keys),
            "mset" | "msetnx" => return self.set_many(db, args),
            "msetex" => return self.msetex(db, args),
            "smove" => return self.smove(db, args),
            "lmove" | "blmove" | "rpoplpush" | "brpoplpush" => {
                if let Some(ruling) = self.lmove(db, row, args) {
                    return ruling;
                }
            }
            _ => {}
        }
        if keys.is_empty() {
            return Ruling::Run;
        }
        if let Some(flow) = flow(db, row, args, &keys) {
            return self.flows(txn, row, args, &flow);
        }
        self.in_place(db, row, args, &keys)
    }

    /// A command whose keys stay where they are.
    fn in_place(&self, db: u32, row: &Command, args: Args<'_>, keys: &[&[u8]]) -> Ruling {
        let inside: Vec<&[u8]> = keys.iter().copied().filter(|key| self.filter.keeps_key(db, key)).collect();
        let replaces = replaces(row, args);
        if !self.keeps_result(row, args) {
            return if replaces { self.remove(db, &inside) } else { Ruling::Drop };
        }
        if inside.len() < keys.len() {
            // Nothing tells which part is whose.
            return self.lose(db, &inside);
        }
        if replaces {
            self.found(db, &inside);
            return Ruling::Run;
        }
        // What the stream changes, but nobody knows here.
        if inside.iter().any(|key| self.is_lost(db, key)) { self.lose(db, &inside) } else { Ruling::Run }
    }

    /// A command whose result goes to one key, made of others.
    fn flows(&self, txn: &Txn<'_>, row: &Command, args: Args<'_>, flow: &Flow<'_>) -> Ruling {
        let (to, target) = flow.target;
        let inside = |(db, key): &(u32, &[u8])| self.filter.keeps_key(*db, key);
        let moves = matches!(row.name, "rename" | "renamenx" | "move");
        let source = flow.sources.first().copied();
        let leaves = |ruling: Ruling| match (moves, source) {
            (true, Some((from, key))) if inside(&(from, key)) => {
                self.found(from, &[key]);
                let delete = (from, vec![b"DEL".to_vec(), key.to_vec()]);
                match ruling {
                    Ruling::Instead(mut all) => {
                        all.push(delete);
                        Ruling::Instead(all)
                    }
                    _ => Ruling::Instead(vec![delete]),
                }
            }
            _ => ruling,
        };
        if !inside(&flow.target) {
            return leaves(Ruling::Drop);
        }
        // The kind travels with the value: if it is none of ours, there is nothing here.
        let carries = moves || row.name == "copy";
        if carries && source.is_some_and(|s| inside(&s) && !self.is_lost(s.0, s.1)) {
            if self.filter.looks_at_kinds()
                && source.is_some_and(|(from, key)| txn.entry_in(from, key).is_none())
            {
                return leaves(self.remove(to, &[target]));
            }
            self.found(to, &[target]);
            return Ruling::Run;
        }
        if !carries && !self.keeps_result(row, args) {
            return self.remove(to, &[target]);
        }
        let known = flow.sources.iter().all(|s| inside(s) && !self.is_lost(s.0, s.1));
        if known && self.knows_kinds(row) && !looks_elsewhere(row, args) {
            self.found(to, &[target]);
            return Ruling::Run;
        }
        leaves(self.lose(to, &[target]))
    }

    fn swap(&self, args: Args<'_>) -> Ruling {
        let number = |at| std::str::from_utf8(args.at(at)).ok().and_then(|text| text.parse::<u32>().ok());
        let Some((a, b)) = number(1).zip(number(2)) else { return Ruling::Run };
        match (self.filter.keeps_database(a), self.filter.keeps_database(b)) {
            (false, false) => Ruling::Drop,
            (true, true) => {
                let mut lost = self.lost.lock();
                *lost = lost
                    .drain()
                    .map(|(db, key)| {
                        (
                            if db == a {
                                b
                            } else if db == b {
                                a
                            } else {
                                db
                            },
                            key,
                        )
                    })
                    .collect();
                Ruling::Run
            }
            _ => Ruling::Resync,
        }
    }

    fn delete(&self, db: u32, row: &Command, keys: &[&[u8]]) -> Ruling {
        let inside: Vec<&[u8]> = keys.iter().copied().filter(|key| self.filter.keeps_key(db, key)).collect();
        self.found(db, &inside);
        if inside.len() == keys.len() {
            return Ruling::Run;
        }
        let mut command = vec![row.name.as_bytes().to_vec()];
        command.extend(inside.iter().map(|key| key.to_vec()));
        Ruling::Instead(vec![(db, command)])
    }

    fn set_many(&self, db: u32, args: Args<'_>) -> Ruling {
        let pairs = || args.from(1).chunks_exact(2);
        let mut command = vec![b"MSET".to_vec()];
        let mut inside = Vec::new();
        for pair in pairs().filter(|pair| self.filter.keeps_key(db, pair[0])) {
            inside.push(pair[0]);
            command.extend(pair.iter().map(|part| part.to_vec()));
        }
        if !self.filter.keeps_kind(Kind::String) {
            return self.remove(db, &inside);
        }
        self.found(db, &inside);
        if inside.len() == pairs().count() { Ruling::Run } else { Ruling::Instead(vec![(db, command)]) }
    }

    fn msetex(&self, db: u32, args: Args<'_>) -> Ruling {
        let count = std::str::from_utf8(args.at(1)).ok().and_then(|text| text.parse::<usize>().ok());
        let Some(count) = count.filter(|n| n.checked_mul(2).is_some_and(|n| n + 2 <= args.len())) else {
            return Ruling::Run;
        };
        let (pairs, options) = args.from(2).split_at(count * 2);
        let kept: Vec<&[&[u8]]> =
            pairs.chunks_exact(2).filter(|pair| self.filter.keeps_key(db, pair[0])).collect();
        let inside: Vec<&[u8]> = kept.iter().map(|pair| pair[0]).collect();
        if !self.filter.keeps_kind(Kind::String) {
            return self.remove(db, &inside);
        }
        self.found(db, &inside);
        if kept.len() == count {
            return Ruling::Run;
        }
        let mut command = vec![b"MSETEX".to_vec(), kept.len().to_string().into_bytes()];
        command.extend(kept.iter().flat_map(|pair| pair.iter()).map(|part| part.to_vec()));
        // It was done, so its conditions held; for a part of the keys they might not.
        let condition = |word: &&&[u8]| word.eq_ignore_ascii_case(b"nx") || word.eq_ignore_ascii_case(b"xx");
        command.extend(options.iter().filter(|word| !condition(word)).map(|part| part.to_vec()));
        Ruling::Instead(vec![(db, command)])
    }

    fn smove(&self, db: u32, args: Args<'_>) -> Ruling {
        if !self.filter.keeps_kind(Kind::Set) {
            return Ruling::Drop;
        }
        let (from, to, member) = (args.at(1), args.at(2), args.at(3));
        let good = |key: &[u8]| self.filter.keeps_key(db, key) && !self.is_lost(db, key);
        let command = |name: &str, key: &[u8]| vec![name.as_bytes().to_vec(), key.to_vec(), member.to_vec()];
        match (good(from), good(to)) {
            (true, true) => Ruling::Run,
            (true, false) => Ruling::Instead(vec![(db, command("SREM", from))]),
            (false, true) => Ruling::Instead(vec![(db, command("SADD", to))]),
            (false, false) => Ruling::Drop,
        }
    }

    /// `None`: it runs as any other.
    fn lmove(&self, db: u32, row: &Command, args: Args<'_>) -> Option<Ruling> {
        if !self.filter.keeps_kind(Kind::List) {
            return Some(Ruling::Drop);
        }
        let (from, to) = (args.at(1), args.at(2));
        let inside = |key: &[u8]| self.filter.keeps_key(db, key);
        let good = |key: &[u8]| inside(key) && !self.is_lost(db, key);
        let left = matches!(row.name, "lmove" | "blmove") && args.is(3, "left");
        let pop = if left { "LPOP" } else { "RPOP" };
        let pop = || (db, vec![pop.as_bytes().to_vec(), from.to_vec()]);
        match (good(from), good(to)) {
            (true, true) => None,
            (true, false) => Some(Ruling::Instead(vec![pop()])),
            (false, _) if inside(to) => Some(self.lose(db, &[to])),
            (false, _) => Some(Ruling::Drop),
        }
    }

    /// Whether values of the kind that the command makes are kept.
    fn keeps_result(&self, row: &Command, args: Args<'_>) -> bool {
        let kind = match row.group {
            Group::String | Group::Bitmap | Group::HyperLogLog => Kind::String,
            Group::List => Kind::List,
            Group::Set => Kind::Set,
            Group::SortedSet | Group::Geo => Kind::Zset,
            Group::Hash => Kind::Hash,
            Group::Stream => Kind::Stream,
            Group::Generic => match row.name {
                "sort" => Kind::List,
                "restore" | "restore-asking" => match payload_kind(args.at(3)) {
                    Some(kind) => kind,
                    None => return true,
                },
                _ => return true,
            },
            #[expect(unreachable_patterns, reason = "families may be added")]
            _ => return true,
        };
        self.filter.keeps_kind(kind)
    }

    /// Whether a source that is not here cannot be of a kind that is not kept.
    fn knows_kinds(&self, row: &Command) -> bool {
        let all = |kinds: &[Kind]| kinds.iter().all(|kind| self.filter.keeps_kind(*kind));
        match row.name {
            "zunionstore" | "zinterstore" | "zdiffstore" => all(&[Kind::Set, Kind::Zset]),
            "sort" => all(&[Kind::List, Kind::Set, Kind::Zset]),
            _ => true,
        }
    }

    fn is_lost(&self, db: u32, key: &[u8]) -> bool {
        let lost = self.lost.lock();
        !lost.is_empty() && lost.contains(&(db, Box::from(key)))
    }

    /// These are known again, or gone.
    fn found(&self, db: u32, keys: &[&[u8]]) {
        let mut lost = self.lost.lock();
        if !lost.is_empty() {
            for key in keys {
                lost.remove(&(db, Box::from(*key)));
            }
        }
    }

    fn lose(&self, db: u32, keys: &[&[u8]]) -> Ruling {
        self.lost.lock().extend(keys.iter().map(|key| (db, Box::from(*key))));
        deletion(db, keys)
    }

    fn remove(&self, db: u32, keys: &[&[u8]]) -> Ruling {
        self.found(db, keys);
        deletion(db, keys)
    }
}

fn deletion(db: u32, keys: &[&[u8]]) -> Ruling {
    if keys.is_empty() {
        return Ruling::Drop;
    }
    let mut command = vec![b"DEL".to_vec()];
    command.extend(keys.iter().map(|key| key.to_vec()));
    Ruling::Instead(vec![(db, command)])
}

/// Whether a command gives its keys a value that does not depend on what they held. (SETNX and RESTORE
/// without REPLACE are in the stream only if there was nothing.)
fn replaces(row: &Command, args: Args<'_>) -> bool {
    match row.name {
        "set" => !args.from(3).iter().any(|word| word.eq_ignore_ascii_case(b"keepttl")),
        "setex" | "psetex" | "setnx" | "getset" | "restore" | "restore-asking" => true,
        _ => false,
    }
}

/// Where a command's result goes, if it goes anywhere.
fn flow<'a>(db: u32, row: &Command, args: Args<'a>, keys: &[&'a [u8]]) -> Option<Flow<'a>> {
    let here = |keys: &[&'a [u8]]| keys.iter().map(|key| (db, *key)).collect::<Vec<_>>();
    let after = |word: &str, from: usize| {
        let words = args.from(from);
        words
            .iter()
            .position(|found| found.eq_ignore_ascii_case(word.as_bytes()))
            .and_then(|at| words.get(at + 1))
    };
    let number = |text: &&[u8]| std::str::from_utf8(text).ok().and_then(|text| text.parse::<u32>().ok());
    let flow = match row.name {
        "rename" | "renamenx" => Flow { target: (db, args.at(2)), sources: vec![(db, args.at(1))] },
        "move" => Flow { target: (number(&args.at(2))?, args.at(1)), sources: vec![(db, args.at(1))] },
        "copy" => {
            let to = after("db", 3).and_then(number).unwrap_or(db);
            Flow { target: (to, args.at(2)), sources: vec![(db, args.at(1))] }
        }
        "sunionstore" | "sinterstore" | "sdiffstore" | "zunionstore" | "zinterstore" | "zdiffstore"
        | "zrangestore" | "geosearchstore" => {
            let (target, sources) = (args.at(1), keys.iter().copied().filter(|key| *key != args.at(1)));
            let mut sources: Vec<&[u8]> = sources.collect();
            // A target that is a source as well stands twice.
            if keys.iter().filter(|key| **key == target).count() > 1 {
                sources.push(target);
            }
            Flow { target: (db, target), sources: here(&sources) }
        }
        "bitop" => Flow { target: (db, args.at(2)), sources: here(args.from(3)) },
        // What was there stays in.
        "pfmerge" => Flow { target: (db, args.at(1)), sources: here(args.from(1)) },
        "sort" => Flow { target: (db, after("store", 2)?), sources: vec![(db, args.at(1))] },
        "georadius" | "georadiusbymember" => {
            let target = after("store", 5).or_else(|| after("storedist", 5))?;
            Flow { target: (db, target), sources: vec![(db, args.at(1))] }
        }
        _ => return None,
    };
    Some(flow)
}

/// Whether SORT reads keys that its arguments do not name.
fn looks_elsewhere(row: &Command, args: Args<'_>) -> bool {
    row.name == "sort" && args.from(2).iter().any(|word| word.contains(&b'*'))
}

/// The kind of a RESTORE's value, by its first byte.
fn payload_kind(payload: &[u8]) -> Option<Kind> {
    Some(match payload.first()? {
        0 => Kind::String,
        1 | 10 | 14 | 18 => Kind::List,
        2 | 11 | 20 => Kind::Set,
        3 | 5 | 12 | 17 => Kind::Zset,
        4 | 9 | 13 | 16 | 22..=25 => Kind::Hash,
        15 | 19 | 21 | 26 => Kind::Stream,
        _ => return None,
    })
}
