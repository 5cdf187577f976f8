//! An index that Redis does not have, kept in step by events: users by city.
//!
//! `cargo run --example secondary_index [-- --master redis://host:port]`

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;
use replica::{Change, Event, EventFilter, Kind, Position, Replica, cmd};

/// Keys of users by city, and the city that each key is filed under.
#[derive(Default)]
struct ByCity {
    keys: BTreeMap<Bytes, BTreeSet<Bytes>>,
    cities: BTreeMap<Bytes, Bytes>,
    /// Keys that a bracket has shown so far.
    seen: Option<HashSet<Bytes>>,
    /// All of the data set up to here is in the index.
    at: Option<Position>,
}

impl ByCity {
    fn take(&mut self, event: Event) {
        match event {
            // A data set takes the place of another: what does not come between the brackets is gone.
            Event::SyncStarted { .. } => self.seen = Some(HashSet::new()),
            Event::SnapshotKey(change) | Event::Change(change) => self.file(&change),
            Event::SyncFinished { position } => {
                let seen = self.seen.take().unwrap_or_default();
                let gone: Vec<Bytes> =
                    self.cities.keys().filter(|key| !seen.contains(*key)).cloned().collect();
                gone.iter().for_each(|key| self.remove(key));
                self.at = Some(position);
            }
            // Within a bracket there is more to come before all of it is here.
            Event::Commit { position } if self.seen.is_none() => self.at = Some(position),
            // After `Lagged` a bracket follows by itself.
            _ => {}
        }
    }

    fn file(&mut self, change: &Change) {
        if let Some(seen) = &mut self.seen {
            seen.insert(change.key.clone());
        }
        self.remove(&change.key);
        if let Some(city) = change.after.as_ref().and_then(|user| user.field("city")) {
            self.keys.entry(city.clone()).or_default().insert(change.key.clone());
            self.cities.insert(change.key.clone(), city.clone());
        }
    }

    fn remove(&mut self, key: &Bytes) {
        if let Some(city) = self.cities.remove(key)
            && let Some(keys) = self.keys.get_mut(&city)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.keys.remove(&city);
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), replica::Error> {
    let primary = replica_examples::primary(&[
        &["HSET", "user:1", "name", "Ada", "city", "London"],
        &["HSET", "user:2", "name", "Grace", "city", "New York"],
        &["HSET", "user:3", "name", "Alan", "city", "London"],
    ])
    .await?;
    let replica = Replica::connect(primary.url()).await?;
    let filter = EventFilter::new().database(0).prefix("user:").kind(Kind::Hash).with_after();
    let mut events = replica.events(filter);
    let mut index = ByCity::default();

    // Something happens to the data: a move, a newcomer, a removal.
    replica.write(cmd!("HSET", "user:3", "city", "Manchester")).await?;
    replica.write(cmd!("HSET", "user:4", "name", "Edsger", "city", "Rotterdam")).await?;
    let (_, last) = replica.write(cmd!("DEL", "user:2")).await?;

    // An index follows for ever, by `events.next().await`; this one takes what has come by then.
    replica.wait_for(last).await?;
    while let Some(event) = events.try_next() {
        index.take(event);
    }
    if let Some(at) = index.at {
        println!("as of {at}");
    }
    for (city, keys) in &index.keys {
        println!("{}: {keys:?}", String::from_utf8_lossy(city));
    }
    if primary.own().is_some() {
        assert_eq!(index.keys.len(), 3);
        assert!(index.keys[&b"Manchester"[..]].contains(&b"user:3"[..]));
    }
    replica.shutdown().await
}
