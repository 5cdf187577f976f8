//! Channels, patterns and shard channels: who listens, and telling them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use parking_lot::RwLock;

use crate::outbox::Outbox;

type Name = Box<[u8]>;

/// The three kinds of subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Channel,
    Pattern,
    Shard,
}

impl Kind {
    /// What the confirmations of this kind are called.
    pub(crate) fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Channel => ("subscribe", "unsubscribe"),
            Self::Pattern => ("psubscribe", "punsubscribe"),
            Self::Shard => ("ssubscribe", "sunsubscribe"),
        }
    }
}

/// Every subscription of every client.
#[derive(Debug, Default)]
pub(crate) struct PubSub {
    channels: DashMap<Name, Vec<Arc<Outbox>>>,
    shards: DashMap<Name, Vec<Arc<Outbox>>>,
    /// Every message looks at all of them, in the order in which they came to be.
    patterns: RwLock<Vec<(Name, Vec<Arc<Outbox>>)>>,
    clients: AtomicUsize,
}

/// What one client listens to. Dropping it ends that.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    registry: Arc<PubSub>,
    outbox: Arc<Outbox>,
    channels: HashSet<Name>,
    patterns: HashSet<Name>,
    shards: HashSet<Name>,
}

impl PubSub {
    /// Sends a message to the listeners of a channel and of the patterns that match it; how many.
    pub(crate) fn publish(&self, channel: &[u8], message: &[u8]) -> usize {
        let mut told = 0;
        if let Some(outboxes) = self.channels.get(channel) {
            told += outboxes.len();
            outboxes.iter().for_each(|outbox| tell(outbox, &[b"message", channel, message]));
        }
        for (pattern, outboxes) in self.patterns.read().iter() {
            if store::glob::matches(pattern, channel) {
                told += outboxes.len();
                outboxes.iter().for_each(|outbox| tell(outbox, &[b"pmessage", pattern, channel, message]));
            }
        }
        told
    }

    /// The same for a shard channel, which no pattern matches.
    pub(crate) fn publish_shard(&self, channel: &[u8], message: &[u8]) -> usize {
        self.shards.get(channel).map_or(0, |outboxes| {
            outboxes.iter().for_each(|outbox| tell(outbox, &[b"smessage", channel, message]));
            outboxes.len()
        })
    }

    /// Whether nobody listens to anything.
    pub(crate) fn is_idle(&self) -> bool {
        self.clients.load(Ordering::Acquire) == 0
    }

    /// Clients that listen to something.
    pub(crate) fn clients(&self) -> usize {
        self.clients.load(Ordering::Acquire)
    }

    /// Channels of a kind that somebody listens to.
    pub(crate) fn channels(&self, kind: Kind) -> Vec<Name> {
        let of = |map: &DashMap<Name, Vec<Arc<Outbox>>>| map.iter().map(|e| e.key().clone()).collect();
        match kind {
            Kind::Channel => of(&self.channels),
            Kind::Shard => of(&self.shards),
            Kind::Pattern => self.patterns.read().iter().map(|(name, _)| name.clone()).collect(),
        }
    }

    /// How many listen to one.
    pub(crate) fn listeners(&self, kind: Kind, name: &[u8]) -> usize {
        match kind {
            Kind::Channel => self.channels.get(name).map_or(0, |o| o.len()),
            Kind::Shard => self.shards.get(name).map_or(0, |o| o.len()),
            Kind::Pattern => {
                self.patterns.read().iter().find(|(n, _)| **n == *name).map_or(0, |(_, o)| o.len())
            }
        }
    }

    /// Everything that a client listens to.
    pub(crate) fn of_client(&self, client: u64) -> Vec<(Kind, Name)> {
        let listens = |outboxes: &[Arc<Outbox>]| outboxes.iter().any(|outbox| outbox.id == client);
        let of = |map: &DashMap<Name, Vec<Arc<Outbox>>>, kind| -> Vec<(Kind, Name)> {
            map.iter().filter(|e| listens(e.value())).map(|e| (kind, e.key().clone())).collect()
        };
        let mut all = of(&self.channels, Kind::Channel);
        all.extend(of(&self.shards, Kind::Shard));
        let patterns = self.patterns.read();
        all.extend(
            patterns.iter().filter(|(_, o)| listens(o)).map(|(name, _)| (Kind::Pattern, name.clone())),
        );
        all
    }

    fn add(&self, kind: Kind, name: &[u8], outbox: &Arc<Outbox>) {
        let outbox = Arc::clone(outbox);
        match kind {
            Kind::Channel => self.channels.entry(name.into()).or_default().push(outbox),
            Kind::Shard => self.shards.entry(name.into()).or_default().push(outbox),
            Kind::Pattern => {
                let mut patterns = self.patterns.write();
                match patterns.iter_mut().find(|(n, _)| **n == *name) {
                    Some((_, outboxes)) => outboxes.push(outbox),
                    None => patterns.push((name.into(), vec![outbox])),
                }
            }
        }
    }

    fn remove(&self, kind: Kind, name: &[u8], client: u64) {
        let leave = |outboxes: &mut Vec<Arc<Outbox>>| {
            outboxes.retain(|o| o.id != client);
            outboxes.is_empty()
        };
        match kind {
            Kind::Channel => drop(self.channels.remove_if_mut(name, |_, outboxes| leave(outboxes))),
            Kind::Shard => drop(self.shards.remove_if_mut(name, |_, outboxes| leave(outboxes))),
            Kind::Pattern => {
                self.patterns.write().retain_mut(|(n, outboxes)| **n != *name || !leave(outboxes));
            }
        }
    }
}

/// One message, as an array to RESP2 and as a push to RESP3.
fn tell(outbox: &Outbox, parts: &[&[u8]]) {
    outbox.push(|encoder| {
        encoder.push(parts.len());
        parts.iter().for_each(|part| encoder.bulk(part));
    });
}

impl Subscriptions {
    pub(crate) fn new(registry: &Arc<PubSub>, outbox: &Arc<Outbox>) -> Self {
        Self {
            registry: Arc::clone(registry),
            outbox: Arc::clone(outbox),
            channels: HashSet::new(),
            patterns: HashSet::new(),
            shards: HashSet::new(),
        }
    }

    fn of(&mut self, kind: Kind) -> &mut HashSet<Name> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shards,
        }
    }

    /// Channels, patterns and shard channels.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        (self.channels.len(), self.patterns.len(), self.shards.len())
    }

    /// What the confirmations count: shard channels by themselves, the others together.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        if kind == Kind::Shard { self.shards.len() } else { self.channels.len() + self.patterns.len() }
    }

    /// Whether it listens to anything.
    pub(crate) fn any(&self) -> bool {
        self.counts() != (0, 0, 0)
    }

    pub(crate) fn names(&mut self, kind: Kind) -> Vec<Name> {
        self.of(kind).iter().cloned().collect()
    }

    pub(crate) fn add(&mut self, kind: Kind, name: &[u8]) {
        let was_idle = !self.any();
        if self.of(kind).insert(name.into()) {
            self.registry.add(kind, name, &self.outbox);
        }
        if was_idle {
            self.registry.clients.fetch_add(1, Ordering::AcqRel);
        }
    }

    pub(crate) fn remove(&mut self, kind: Kind, name: &[u8]) {
        if self.of(kind).remove(name) {
            self.registry.remove(kind, name, self.outbox.id);
            if !self.any() {
                self.registry.clients.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }

    /// Ends everything, as RESET does.
    pub(crate) fn clear(&mut self) {
        for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
            for name in self.names(kind) {
                self.remove(kind, &name);
            }
        }
    }
}

impl Drop for Subscriptions {
    fn drop(&mut self) {
        self.clear();
    }
}
