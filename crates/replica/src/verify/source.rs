//! One side of a comparison: a server, or the primaries of a cluster together.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use resp::Value;
use server::Engine;

use super::read::{self, Key};
use super::wire::{How, Wire};
use crate::Filter;
use crate::address::Address;

const SLOTS: usize = 16384;

/// Where keys are read.
pub(super) struct Source {
    address: Address,
    how: How,
    /// Of a cluster: the shards that count.
    filter: Filter,
    /// One, or the primaries of a cluster by where they are.
    nodes: Vec<((String, u16), Wire)>,
    /// Of a cluster: which of them has a slot.
    owners: Vec<Option<usize>>,
}

impl Source {
    /// Connects to a server (`redis://`), or to every primary of a cluster (`redis-cluster://`) that this filter keeps.
    pub(super) fn open(address: Address, how: How, filter: Filter) -> io::Result<Self> {
        let mut source = Self { address, how, filter, nodes: Vec::new(), owners: Vec::new() };
        if source.is_cluster() {
            source.learn()?;
        } else {
            let connection = Wire::to(&source.address, &source.how)?;
            source.nodes.push(((source.address.host.clone(), source.address.port), connection));
        }
        Ok(source)
    }

    /// Reads an engine in this process.
    pub(super) fn within(engine: &Arc<Engine>) -> io::Result<Self> {
        let address = Address::parse("127.0.0.1").map_err(io::Error::other)?;
        let nodes = vec![((String::new(), 0), Wire::within(engine)?)];
        Ok(Self { address, how: How::default(), filter: Filter::default(), nodes, owners: Vec::new() })
    }

    fn is_cluster(&self) -> bool {
        !self.address.cluster.is_empty()
    }

    fn connect(&self, place: &(String, u16)) -> io::Result<Wire> {
        let (host, port) = place.clone();
        Wire::to(&Address { host, port, ..self.address.clone() }, &self.how)
    }

    /// Asks the cluster who has which slot now.
    pub(super) fn learn(&mut self) -> io::Result<()> {
        if !self.is_cluster() {
            return Ok(());
        }
        let mut failure = io::Error::other("no node of the cluster was named");
        let mut places: Vec<(String, u16)> = self.nodes.iter().map(|(place, _)| place.clone()).collect();
        places.extend(self.address.cluster.iter().cloned());
        for place in places {
            let asked = self.connect(&place).and_then(|mut node| node.ask(&["CLUSTER", "SLOTS"]));
            match asked.and_then(|reply| self.take(&reply, &place)) {
                Ok(()) => return Ok(()),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Takes in a reply of this node to CLUSTER SLOTS.
    fn take(&mut self, reply: &Value, asked: &(String, u16)) -> io::Result<()> {
        let Value::Array(ranges) = reply else {
            return Err(io::Error::other("CLUSTER SLOTS answered another shape"));
        };
        let mut owners = vec![None; SLOTS];
        for range in ranges {
            let Some((first, last, nodes)) = range_of(range) else {
                return Err(io::Error::other("CLUSTER SLOTS answered another shape"));
            };
            let is_kept = |node: &Node| {
                let (host, port) = &node.place;
                self.filter.keeps_shard(&node.id) || self.filter.keeps_shard(&format!("{host}:{port}"))
            };
            if !nodes.iter().any(is_kept) {
                continue;
            }
            let Some(Node { place: (host, port), .. }) = nodes.into_iter().next() else { continue };
            let host = if host.is_empty() { asked.0.clone() } else { host };
            let place = (host, port);
            let known = self.nodes.iter().position(|(known, _)| *known == place);
            let index = match known {
                Some(index) => index,
                None => {
                    let connection = self.connect(&place)?;
                    self.nodes.push((place, connection));
                    self.nodes.len() - 1
                }
            };
            let slots = owners
                .get_mut(first..=last)
                .ok_or_else(|| io::Error::other("CLUSTER SLOTS names slots that are none"))?;
            slots.fill(Some(index));
        }
        self.owners = owners;
        Ok(())
    }

    /// Those that have slots.
    fn serving(&mut self) -> impl Iterator<Item = &mut Wire> {
        let owners = &self.owners;
        let nodes = self.nodes.iter_mut().enumerate();
        let serves = |index: usize| owners.is_empty() || owners.contains(&Some(index));
        nodes.filter(move |(index, _)| serves(*index)).map(|(_, (_, connection))| connection)
    }

    /// Databases with how many keys each.
    pub(super) fn databases(&mut self) -> io::Result<BTreeMap<u32, u64>> {
        let mut all = BTreeMap::new();
        for node in self.serving() {
            for (db, keys) in read::databases(node)? {
                *all.entry(db).or_default() += keys;
            }
        }
        Ok(all)
    }

    /// What a copy of ours says that it keeps.
    pub(super) fn filter(&mut self) -> io::Result<Filter> {
        self.serving().next().map_or_else(|| Ok(Filter::default()), read::filter)
    }

    /// The database that is read from now on. Old clusters know one alone, and no SELECT of another.
    pub(super) fn select(&mut self, db: u32) -> io::Result<()> {
        if self.is_cluster() && db == 0 {
            return Ok(());
        }
        self.nodes.iter_mut().try_for_each(|(_, node)| read::select(node, db))
    }

    /// Every key of the database, once.
    pub(super) fn keys(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut keys = Vec::new();
        for node in self.serving() {
            keys.append(&mut read::keys(node)?);
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// What stands at each of these keys, as the owner of its slot has it.
    pub(super) fn values(&mut self, keys: &[Vec<u8>]) -> io::Result<Vec<Key>> {
        let Self { nodes, owners, .. } = self;
        if owners.is_empty() {
            let [(_, node)] = nodes.as_mut_slice() else {
                return Err(io::Error::other("nobody to read from"));
            };
            return read::values(node, keys);
        }
        let mut by_node: BTreeMap<usize, (Vec<usize>, Vec<Vec<u8>>)> = BTreeMap::new();
        for (at, key) in keys.iter().enumerate() {
            let slot = server::cluster_slot(key);
            // Of a shard that is not kept: it should not be anywhere.
            let Some(owner) = owners[usize::from(slot)] else { continue };
            let (places, wanted) = by_node.entry(owner).or_default();
            places.push(at);
            wanted.push(key.clone());
        }
        let mut found: Vec<Key> = keys.iter().map(|_| Key::none()).collect();
        for (owner, (places, wanted)) in by_node {
            for (at, key) in places.into_iter().zip(read::values(&mut nodes[owner].1, &wanted)?) {
                found[at] = key;
            }
        }
        Ok(found)
    }
}

/// A node as CLUSTER SLOTS tells of it.
struct Node {
    place: (String, u16),
    id: String,
}

/// First and last slot, and the nodes that have them: the primary comes first.
fn range_of(range: &Value) -> Option<(usize, usize, Vec<Node>)> {
    let Value::Array(items) = range else { return None };
    let [Value::Integer(first), Value::Integer(last), nodes @ ..] = items.as_slice() else { return None };
    let text = |value: &Value| value.as_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let node = |node: &Value| {
        let Value::Array(words) = node else { return None };
        let [host, Value::Integer(port), more @ ..] = words.as_slice() else { return None };
        let place = (text(host).unwrap_or_default(), u16::try_from(*port).ok()?);
        Some(Node { place, id: more.first().and_then(text).unwrap_or_default() })
    };
    let nodes: Vec<Node> = nodes.iter().map(node).collect::<Option<_>>()?;
    Some((usize::try_from(*first).ok()?, usize::try_from(*last).ok()?, nodes))
}
