//! One side of a comparison: a server, or the primaries of a cluster together.

use std::collections::BTreeMap;

use replica::Address;
use resp::Value;

use super::read::{self, Key};
use crate::Failure;
use crate::connection::Connection;

const SLOTS: usize = 16384;

/// Where keys are read.
pub struct Source<'a> {
    address: Address,
    tls: &'a crate::tls::Args,
    /// One, or the primaries of a cluster by where they are.
    nodes: Vec<((String, u16), Connection)>,
    /// Of a cluster: which of them has a slot.
    owners: Vec<Option<usize>>,
}

impl<'a> Source<'a> {
    /// Connects to a server (`redis://`), or to every primary of a cluster (`redis-cluster://`).
    pub fn open(url: &str, tls: &'a crate::tls::Args) -> Result<Self, Failure> {
        let address = Address::parse(url)?;
        let mut source = Self { address, tls, nodes: Vec::new(), owners: Vec::new() };
        if source.is_cluster() {
            source.learn()?;
        } else {
            let place = (source.address.host.clone(), source.address.port);
            source.nodes.push((place, Connection::open(url, tls)?));
        }
        Ok(source)
    }

    fn is_cluster(&self) -> bool {
        !self.address.cluster.is_empty()
    }

    fn connect(&self, place: &(String, u16)) -> Result<Connection, Failure> {
        let (host, port) = place.clone();
        Connection::to(&Address { host, port, ..self.address.clone() }, self.tls)
    }

    /// Asks the cluster who has which slot now.
    pub fn learn(&mut self) -> Result<(), Failure> {
        if !self.is_cluster() {
            return Ok(());
        }
        let mut failure: Failure = "no node of the cluster was named".into();
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
    fn take(&mut self, reply: &Value, asked: &(String, u16)) -> Result<(), Failure> {
        let Value::Array(ranges) = reply else { return Err("CLUSTER SLOTS answered another shape".into()) };
        let mut owners = vec![None; SLOTS];
        for range in ranges {
            let Some((first, last, host, port)) = range_of(range) else {
                return Err("CLUSTER SLOTS answered another shape".into());
            };
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
            let slots = owners.get_mut(first..=last).ok_or("CLUSTER SLOTS names slots that are none")?;
            slots.fill(Some(index));
        }
        self.owners = owners;
        Ok(())
    }

    /// Those that have slots.
    fn serving(&mut self) -> impl Iterator<Item = &mut Connection> {
        let owners = &self.owners;
        let nodes = self.nodes.iter_mut().enumerate();
        let serves = |index: usize| owners.is_empty() || owners.contains(&Some(index));
        nodes.filter(move |(index, _)| serves(*index)).map(|(_, (_, connection))| connection)
    }

    /// Databases with how many keys each.
    pub fn databases(&mut self) -> Result<BTreeMap<u32, u64>, Failure> {
        let mut all = BTreeMap::new();
        for node in self.serving() {
            for (db, keys) in read::databases(node)? {
                *all.entry(db).or_default() += keys;
            }
        }
        Ok(all)
    }

    /// What a copy of ours says that it keeps.
    pub fn filter(&mut self) -> Result<replica::Filter, Failure> {
        self.serving().next().map_or_else(|| Ok(replica::Filter::default()), read::filter)
    }

    /// The database that is read from now on. Old clusters know one alone, and no SELECT of another.
    pub fn select(&mut self, db: u32) -> Result<(), Failure> {
        if self.is_cluster() && db == 0 {
            return Ok(());
        }
        self.nodes.iter_mut().try_for_each(|(_, node)| read::select(node, db))
    }

    /// Every key of the database, once.
    pub fn keys(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        let mut keys = Vec::new();
        for node in self.serving() {
            keys.append(&mut read::keys(node)?);
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// What stands at each of these keys, as the owner of its slot has it.
    pub fn values(&mut self, keys: &[Vec<u8>]) -> Result<Vec<Key>, Failure> {
        let Self { nodes, owners, .. } = self;
        if owners.is_empty() {
            let [(_, node)] = nodes.as_mut_slice() else { return Err("nobody to read from".into()) };
            return read::values(node, keys);
        }
        let mut by_node: BTreeMap<usize, (Vec<usize>, Vec<Vec<u8>>)> = BTreeMap::new();
        for (at, key) in keys.iter().enumerate() {
            let slot = server::cluster_slot(key);
            let owner = owners[usize::from(slot)].ok_or_else(|| format!("nobody has slot {slot}"))?;
            let (places, wanted) = by_node.entry(owner).or_default();
            places.push(at);
            wanted.push(key.clone());
        }
        let mut found: Vec<Option<Key>> = keys.iter().map(|_| None).collect();
        for (owner, (places, wanted)) in by_node {
            for (at, key) in places.into_iter().zip(read::values(&mut nodes[owner].1, &wanted)?) {
                found[at] = Some(key);
            }
        }
        found.into_iter().collect::<Option<_>>().ok_or_else(|| "a reply is missing".into())
    }
}

/// First and last slot, and where their primary is.
fn range_of(range: &Value) -> Option<(usize, usize, String, u16)> {
    let Value::Array(items) = range else { return None };
    let [Value::Integer(first), Value::Integer(last), Value::Array(primary), ..] = items.as_slice() else {
        return None;
    };
    let [host, Value::Integer(port), ..] = primary.as_slice() else { return None };
    let host = host.as_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
    Some((usize::try_from(*first).ok()?, usize::try_from(*last).ok()?, host, u16::try_from(*port).ok()?))
}
