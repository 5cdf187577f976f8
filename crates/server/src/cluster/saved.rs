//! A copy of a cluster in a file: what the dump says besides the keys, and how a start goes on from it.
//!
//! | field of the dump | what it says |
//! | --- | --- |
//! | `repl-id`, `repl-offset` | the name that the whole was given here, and the bytes of all streams |
//! | `replica-shard` | number, host, port, id, offset, database of the stream, and the nodes seen in it |
//! | `replica-slots` | first and last; owner, holder and importing shard; whether it is untidy; the claim's epoch |
//! | `replica-aside` | a shard, a database, and where its keys lie that are not shown |
//! | `replica-label` | a database, a shard, and a key in it that is not the holder's copy |
//! | `replica-import` | a shard, the name of an import in one piece, and its ranges |
//!
//! `-` stands for what there is not. Keys aside are in databases beyond those that anybody can name: a dump that has
//! some is loaded by us alone.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use replication::{Offset, Position};
use store::{ASIDES, MAX_DATABASES};

use super::nodes::SLOTS;
use super::slots::{NOBODY, ShardId, Slot, Slots};
use super::{Cluster, Shard};

/// A note of a dump.
type Note = (&'static str, String);

/// What an earlier run has saved of a cluster, for [`Engine::follow_cluster`](crate::Engine::follow_cluster).
#[derive(Debug)]
pub struct SavedCluster {
    pub(super) whole: Position,
    pub(super) shards: Vec<Shard>,
    pub(super) slots: Slots,
}

fn shard_text(shard: ShardId) -> String {
    if shard == NOBODY { "-".to_owned() } else { shard.to_string() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.len().is_multiple_of(2).then(|| digits.as_bytes().chunks(2).map(byte).collect())?
}

impl Cluster {
    /// Where the whole stands, under the name that it has here.
    pub(crate) fn whole(&self) -> Position {
        Position { replid: self.history, offset: Offset(self.total.load(Ordering::Acquire)) }
    }

    /// What a dump says of it. To be called with the writer in hand, as the dump is cut.
    pub(crate) fn notes(&self) -> Vec<Note> {
        let mut notes: Vec<Note> = Vec::new();
        for shard in self.all() {
            let (host, port) = shard.place.lock().clone();
            let (replid, offset) = match shard.position().filter(|_| shard.loaded.load(Ordering::Acquire)) {
                Some(held) => (held.replid.to_string(), held.offset.to_string()),
                None => ("-".to_owned(), "-".to_owned()),
            };
            let members: Vec<String> = shard.members.lock().iter().cloned().collect();
            let (db, members) = (shard.stream_db.load(Ordering::Acquire), members.join(","));
            let text = format!("{} {host} {port} {replid} {offset} {db} {members}", shard.index);
            notes.push(("replica-shard", text));
        }
        self.slots.lock().notes(&mut notes);
        notes
    }
}

impl Slots {
    fn notes(&self, notes: &mut Vec<Note>) {
        let mut first: u16 = 0;
        for run in self.slots.chunk_by(|a, b| a == b) {
            let last = first + u16::try_from(run.len() - 1).unwrap_or(0);
            let slot = run[0];
            let [owner, holder, importing] = [slot.owner, slot.holder, slot.importing].map(shard_text);
            let (untidy, epoch) = (u8::from(slot.untidy), slot.epoch);
            let text = format!("{first} {last} {owner} {holder} {importing} {untidy} {epoch}");
            notes.push(("replica-slots", text));
            first = last.saturating_add(1);
        }
        for ((shard, db), place) in &self.asides {
            notes.push(("replica-aside", format!("{shard} {db} {place}")));
        }
        for (db, labels) in &self.labels {
            let label = |key: &[u8], shard: ShardId| format!("{db} {shard} {}", hex(key));
            notes.extend(labels.iter().map(|(key, shard)| ("replica-label", label(key, *shard))));
        }
        for ((shard, name), ranges) in &self.imports {
            let ranges: Vec<String> =
                ranges.iter().map(|range| format!("{}-{}", range.start(), range.end())).collect();
            notes.push(("replica-import", format!("{shard} {}. {}", hex(name), ranges.join(","))));
        }
    }
}

/// The words of a field.
struct Words<'a>(std::str::Split<'a, char>);

impl<'a> Words<'a> {
    fn word(&mut self) -> Option<&'a str> {
        self.0.next()
    }

    fn number<T: FromStr>(&mut self) -> Option<T> {
        self.word()?.parse().ok()
    }

    fn shard(&mut self) -> Option<ShardId> {
        match self.word()? {
            "-" => Some(NOBODY),
            text => text.parse().ok().filter(|shard| *shard != NOBODY),
        }
    }

    fn slot(&mut self) -> Option<u16> {
        self.number().filter(|slot| *slot < SLOTS)
    }

    fn db(&mut self) -> Option<u32> {
        self.number().filter(|db| *db < MAX_DATABASES)
    }
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-')?;
    let slot = |text: &str| text.parse::<u16>().ok().filter(|slot| *slot < SLOTS);
    Some(slot(first)?..=slot(last)?)
}

fn shard(words: &mut Words<'_>) -> Option<Shard> {
    let index = words.shard().filter(|index| *index != NOBODY)?;
    let shard = Shard::new(index, (words.word()?.to_owned(), words.number()?));
    let (replid, offset) = (words.word()?, words.word()?);
    shard.stream_db.store(words.number()?, Ordering::Relaxed);
    if replid != "-" {
        let offset = offset.parse().ok().filter(|offset| i64::try_from(*offset).is_ok())?;
        *shard.replid.lock() = Some(replid.parse().ok()?);
        shard.offset.store(offset, Ordering::Relaxed);
        shard.loaded.store(true, Ordering::Relaxed);
        shard.wanted.store(true, Ordering::Relaxed);
    }
    let members = words.word()?.split(',').filter(|id| !id.is_empty());
    *shard.members.lock() = members.map(str::to_owned).collect();
    Some(shard)
}

impl SavedCluster {
    pub(crate) fn new(whole: Position) -> Self {
        Self { whole, shards: Vec::new(), slots: Slots::default() }
    }

    /// Takes a field of the dump; `None`: it makes no sense.
    pub(crate) fn take(&mut self, name: &[u8], text: &str) -> Option<()> {
        let words = &mut Words(text.split(' '));
        let slots = &mut self.slots;
        match name {
            b"replica-shard" => self.shards.push(shard(words)?),
            b"replica-slots" => {
                let (first, last) = (words.slot()?, words.slot()?);
                let (owner, holder, importing) = (words.shard()?, words.shard()?, words.shard()?);
                let (untidy, epoch) = (words.number::<u8>()? != 0, words.number()?);
                let slot = Slot { owner, holder, importing, untidy, epoch, since: 0 };
                slots.slots.get_mut(usize::from(first)..=usize::from(last))?.fill(slot);
            }
            b"replica-aside" => {
                let (shard, db) = (words.shard()?, words.db()?);
                let is_one = |place: &u32| (MAX_DATABASES..MAX_DATABASES + ASIDES).contains(place);
                slots.asides.insert((shard, db), words.number().filter(is_one)?);
            }
            b"replica-label" => {
                let (db, shard, key) = (words.db()?, words.shard()?, bytes_of(words.word()?)?);
                slots.labels.entry(db).or_default().insert(key.into(), shard);
            }
            b"replica-import" => {
                let (shard, name) = (words.shard()?, bytes_of(words.word()?.strip_suffix('.')?)?);
                let ranges = words.word()?.split(',').filter(|text| !text.is_empty());
                slots.imports.insert((shard, name), ranges.map(range).collect::<Option<_>>()?);
            }
            _ => {}
        }
        Some(())
    }

    /// Whether every shard that anything is said of is one.
    pub(crate) fn is_whole(&self) -> bool {
        let known: HashSet<ShardId> = self.shards.iter().map(|shard| shard.index).collect();
        let is_known = |shard: &ShardId| known.contains(shard);
        let slots = &self.slots;
        known.len() == self.shards.len()
            && !known.is_empty()
            && slots.slots.iter().all(|slot| {
                [slot.owner, slot.holder, slot.importing].iter().all(|s| *s == NOBODY || is_known(s))
            })
            && slots.asides.keys().all(|(shard, _)| is_known(shard))
            && slots.asides.values().collect::<HashSet<_>>().len() == slots.asides.len()
            && slots.labels.values().flat_map(HashMap::values).all(is_known)
            && slots.imports.keys().all(|(shard, _)| is_known(shard))
    }

    pub(super) fn into_parts(self) -> (Position, HashMap<ShardId, Arc<Shard>>, Slots) {
        let Self { whole, shards, slots } = self;
        (whole, shards.into_iter().map(|shard| (shard.index, Arc::new(shard))).collect(), slots)
    }
}

#[cfg(test)]
mod tests {
    use replication::ReplId;

    use super::*;

    fn some() -> Cluster {
        let cluster = Cluster::new(ReplId::random(), None);
        for (index, offset) in [(0, Some(77)), (1, None)] {
            let shard = Shard::new(index, ("::1".to_owned(), 7000 + index));
            *shard.members.lock() = HashSet::from([format!("node{index}"), "b".repeat(40)]);
            if let Some(offset) = offset {
                *shard.replid.lock() = Some(ReplId::random());
                shard.offset.store(offset, Ordering::Relaxed);
                shard.loaded.store(true, Ordering::Relaxed);
                shard.stream_db.store(3, Ordering::Relaxed);
            }
            cluster.shards.lock().insert(index, Arc::new(shard));
        }
        let mut slots = cluster.slots.lock();
        (0..8000).for_each(|slot| slots.give(slot, 0, 4));
        (8000..SLOTS).for_each(|slot| slots.give(slot, 1, 5));
        slots.give(17, 1, 6);
        slots.import(18, 1);
        slots.aside(1, 0);
        slots.aside(1, 9);
        slots.labels.entry(9).or_default().insert((*b"a \xffkey\n").into(), 1);
        slots.labels.entry(0).or_default().insert((*b"").into(), 0);
        slots.begin_import(1, b"", vec![5..=9, 11..=11]);
        slots.begin_import(0, b"name", Vec::new());
        drop(slots);
        cluster
    }

    fn read(whole: Position, notes: &[Note]) -> Option<SavedCluster> {
        let mut saved = SavedCluster::new(whole);
        notes.iter().try_for_each(|(name, text)| saved.take(name.as_bytes(), text))?;
        saved.is_whole().then_some(saved)
    }

    #[test]
    fn what_is_written_is_read() {
        let cluster = some();
        let mut notes = cluster.notes();
        let saved = read(cluster.whole(), &notes).unwrap();
        let again = Cluster::new(ReplId::random(), Some(saved));
        assert_eq!(again.whole(), cluster.whole());
        let mut read_notes = again.notes();
        // Sets have no order.
        for notes in [&mut notes, &mut read_notes] {
            for (_, text) in notes.iter_mut() {
                let mut words: Vec<&str> = text.split([' ', ',']).collect();
                words.sort_unstable();
                *text = words.join(" ");
            }
            notes.sort();
        }
        assert_eq!(notes, read_notes);
        assert_eq!(*again.slots.lock().slots, *cluster.slots.lock().slots);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let cluster = some();
        let notes = cluster.notes();
        for at in 0..notes.len() {
            let mut damaged = notes.clone();
            while damaged[at].1.pop().is_some() {
                // It is refused, or a shorter number is a number as well: nothing else happens.
                let _ = read(cluster.whole(), &damaged);
            }
        }
        for (name, text) in [
            ("replica-slots", "5 16384 0 0 - 0 1"),
            ("replica-slots", "9 5 0 0 - 0 1"),
            ("replica-slots", "5 9 7 0 - 0 1"),
            ("replica-slots", "5 9 0 0 65535 0 1"),
            ("replica-aside", "0 0 4095"),
            ("replica-aside", "0 0 5120"),
            ("replica-label", "0 0 abc"),
            ("replica-label", "4096 0 ab"),
            ("replica-import", "0 ab 1-2"),
            ("replica-import", "0 ab. 1-99999"),
            ("replica-shard", "0 host 1 - - 0 id"),
            ("replica-shard", "2 host 1 xyz 1 0 id"),
            ("replica-shard", "2 host 99999 - - 0 id"),
        ] {
            let mut notes = notes.clone();
            notes.push((name, text.to_owned()));
            assert!(read(cluster.whole(), &notes).is_none(), "{name} {text}");
        }
    }
}
