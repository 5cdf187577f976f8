//! An index that is kept from events, and what it has to be.
#![allow(
    dead_code,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "each test binary uses its part, and fails by panicking"
)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use replica::{Cause, Change, Contents, Event, EventFilter, Events, Kind, Position, Replica};

use crate::support::PATIENCE;

type Key = (u32, Vec<u8>);

/// What has no order gets one.
fn sorted(contents: &Contents) -> Contents {
    let mut contents = contents.clone();
    match &mut contents {
        Contents::Set(members) => members.sort(),
        Contents::Hash(fields) => fields.sort(),
        _ => {}
    }
    contents
}

/// Everything by key, as events tell it.
#[derive(Debug, Default)]
pub struct Index {
    pub values: BTreeMap<Key, Contents>,
    last: HashMap<Key, Position>,
    seen: Option<HashSet<Key>>,
    pub brackets: u32,
    pub downs: u32,
    pub commits: u32,
    /// Events that it was told it has missed.
    pub missed: u64,
}

impl Index {
    pub fn take(&mut self, event: Event) {
        match event {
            Event::SyncStarted { .. } => {
                self.seen = Some(HashSet::new());
                self.brackets += 1;
            }
            Event::SnapshotKey(change) => {
                assert_eq!(change.cause, Cause::Snapshot);
                assert!(self.seen.is_some(), "a snapshot's key outside its bracket");
                self.change(change);
            }
            Event::Change(change) => {
                assert_eq!(change.cause, Cause::Primary);
                self.check_before(&change);
                self.change(change);
            }
            Event::SyncFinished { .. } => {
                let seen = self.seen.take().expect("a bracket that is open");
                self.values.retain(|key, _| seen.contains(key));
            }
            Event::Commit { .. } => self.commits += 1,
            Event::LinkDown { .. } => self.downs += 1,
            Event::LinkUp { .. } => {}
            Event::Lagged { missed } => self.missed += missed,
            other => panic!("{other:?}"),
        }
    }

    /// What a change says was before is what the one before it has left. Fields of hashes expire by themselves, and
    /// the parts of one commit tell of it as a whole.
    fn check_before(&self, change: &Change) {
        let key = (change.db, change.key.to_vec());
        if let (Some(before), Some(known)) = (&change.before, self.values.get(&key))
            && before.kind() != Kind::Hash
            && self.seen.is_none()
            && self.last.get(&key).is_some_and(|at| at.offset < change.position.offset)
        {
            assert_eq!(sorted(before), *known, "before {change:?}");
        }
    }

    fn change(&mut self, change: Change) {
        let key = (change.db, change.key.to_vec());
        if let Some(seen) = &mut self.seen {
            seen.insert(key.clone());
        }
        self.last.insert(key.clone(), change.position);
        match change.after {
            Some(after) => {
                assert_eq!(change.kind, Some(after.kind()));
                self.values.insert(key, sorted(&after));
            }
            None => {
                assert_eq!(change.kind, None);
                self.values.remove(&key);
            }
        }
    }
}

/// What a bracket shows.
fn contents(replica: &Replica, filter: EventFilter) -> BTreeMap<Key, Contents> {
    let mut events = replica.events(filter.with_after());
    let mut index = Index::default();
    while let Some(event) = events.try_next() {
        let end = matches!(event, Event::SyncFinished { .. });
        index.take(event);
        if end {
            break;
        }
    }
    index.values
}

pub fn keep(index: &Arc<Mutex<Index>>, mut events: Events) -> tokio::task::JoinHandle<()> {
    let index = Arc::clone(index);
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            index.lock().unwrap().take(event);
        }
    })
}

/// The index is behind the data by what it has not taken yet.
pub async fn equal(index: &Mutex<Index>, replica: &Replica, filter: &EventFilter) {
    let begun = Instant::now();
    loop {
        let wanted = contents(replica, filter.clone());
        let found = index.lock().unwrap().values.clone();
        if wanted == found {
            return;
        }
        if begun.elapsed() > PATIENCE {
            let differ: Vec<_> = wanted
                .keys()
                .chain(found.keys())
                .filter(|key| wanted.get(*key) != found.get(*key))
                .map(|key| (key.0, key.1.escape_ascii().to_string(), wanted.get(key), found.get(key)))
                .take(5)
                .collect();
            panic!("{} keys, {} in the index: {differ:#?}", wanted.len(), found.len());
        }
        tokio::task::yield_now().await;
    }
}
