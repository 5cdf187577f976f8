//! A cluster of real servers on this machine.

use std::time::{Duration, Instant};

use crate::running::Builder;
use crate::{Client, Reply, Running, Server};

/// Slots of a cluster.
const SLOTS: u16 = 16384;

/// Servers that form a cluster: shards of a primary and its replicas.
#[derive(Debug)]
pub struct Cluster {
    /// All nodes; those with a shard come first, a primary for each.
    pub nodes: Vec<Running>,
}

/// Waits for something of servers that have no way to tell that it is there.
///
/// # Panics
/// After a minute.
#[track_caller]
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "not in a minute: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn start(server: Server) -> Running {
    as_node(server.builder()).start()
}

fn as_node(builder: Builder) -> Builder {
    let settings =
        [("cluster-enabled", "yes"), ("cluster-node-timeout", "5000"), ("repl-diskless-sync-delay", "0")];
    settings.into_iter().fold(builder, |builder, (name, value)| builder.config(name, value))
}

/// Says it again while it is refused: a Valkey wants its replicas to be there.
#[track_caller]
fn insist(client: &mut Client, words: &[&str]) {
    eventually(&words.join(" "), || !client.call(words).is_error());
}

fn is_primary(client: &mut Client) -> bool {
    client.call(&["INFO", "replication"]).text().contains("role:master")
}

/// A node's name.
///
/// # Panics
/// If it is in no cluster.
#[must_use]
pub fn id_of(node: &Running) -> String {
    node.client().call(&["CLUSTER", "MYID"]).text()
}

impl Cluster {
    /// So many shards of one primary each, with the slots spread over them, and a replica for each if wanted.
    ///
    /// # Panics
    /// If they do not agree within a minute.
    #[must_use]
    pub fn start(server: Server, shards: u16, with_replicas: bool) -> Self {
        Self::start_with(server, shards, with_replicas, |builder| builder)
    }

    /// The same with more settings for each node.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_with(
        server: Server,
        shards: u16,
        with_replicas: bool,
        set: impl Fn(Builder) -> Builder,
    ) -> Self {
        let start = || set(as_node(server.builder())).start();
        let mut nodes: Vec<Running> = (0..shards).map(|_| start()).collect();
        for (n, node) in (0..shards).zip(&nodes) {
            let slot = |n: u16| u32::from(SLOTS) * u32::from(n) / u32::from(shards);
            let (first, last) = (slot(n).to_string(), (slot(n + 1) - 1).to_string());
            let mut client = node.client();
            client.call(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]).ok();
            client.call(&["CLUSTER", "SET-CONFIG-EPOCH", &(n + 1).to_string()]).ok();
        }
        if with_replicas {
            nodes.extend((0..shards).map(|_| start()));
        }
        let cluster = Self { nodes };
        cluster.nodes[1..].iter().for_each(|node| cluster.meet(node));
        cluster.agree();
        if with_replicas {
            for shard in 0..usize::from(shards) {
                let primary = id_of(&cluster.nodes[shard]);
                let mut client = cluster.nodes[usize::from(shards) + shard].client();
                eventually("a replica", || !client.call(&["CLUSTER", "REPLICATE", &primary]).is_error());
            }
            eventually("links of the replicas", || {
                cluster.nodes[usize::from(shards)..].iter().all(|node| {
                    node.client().call(&["INFO", "replication"]).text().contains("master_link_status:up")
                })
            });
        }
        cluster
    }

    /// One more primary, without slots. Answers its index.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn add(&mut self) -> usize {
        self.nodes.push(start(self.nodes[0].server()));
        self.meet(&self.nodes[self.nodes.len() - 1]);
        self.agree();
        self.nodes.len() - 1
    }

    /// Lets a node come back on another port with its data, and waits until all know.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn relocate(&mut self, index: usize) {
        self.nodes[index].shutdown(true);
        self.nodes[index].restart_elsewhere();
        self.meet(&self.nodes[index]);
        self.agree();
    }

    /// Stops a node for good, and lets the others forget it.
    ///
    /// # Panics
    /// If they refuse.
    pub fn remove(&mut self, index: usize) {
        let id = id_of(&self.nodes[index]);
        self.nodes[index].kill();
        for node in self.running() {
            node.client().call(&["CLUSTER", "FORGET", &id]).ok();
        }
    }

    fn meet(&self, node: &Running) {
        let Some(other) = self.running().find(|other| other.port() != node.port()) else { return };
        // That of the bus follows from it, and the bus speaks TLS where there is any.
        let port = other.tls_port().unwrap_or_else(|| other.port());
        node.client().call(&["CLUSTER", "MEET", "127.0.0.1", &port.to_string()]).ok();
    }

    /// The nodes that run.
    pub fn running(&self) -> impl Iterator<Item = &Running> {
        self.nodes.iter().filter(|node| node.runs())
    }

    /// Waits until all that run know each other and all slots.
    fn agree(&self) {
        let count = self.running().count();
        eventually("all nodes agree", || {
            self.running().all(|node| {
                let mut client = node.client();
                let known = client.call(&["CLUSTER", "NODES"]).text();
                let is_well = |line: &&str| !line.contains("handshake") && !line.contains("fail");
                known.lines().filter(is_well).count() == count
                    && client.call(&["CLUSTER", "INFO"]).text().contains("cluster_state:ok")
            })
        });
    }

    /// The primaries that run, as they say themselves.
    #[must_use]
    pub fn primaries(&self) -> Vec<&Running> {
        self.running().filter(|node| is_primary(&mut node.client())).collect()
    }

    /// Moves a slot key by key, as `redis-cli --cluster reshard` does.
    ///
    /// # Panics
    /// If a node refuses.
    pub fn move_slot(&self, slot: u16, from: &Running, to: &Running) {
        let slot = slot.to_string();
        let (source, target) = (id_of(from), id_of(to));
        let (mut source_client, mut target_client) = (from.client(), to.client());
        insist(&mut target_client, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]);
        insist(&mut source_client, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]);
        loop {
            let keys = source_client.call(&["CLUSTER", "GETKEYSINSLOT", &slot, "10"]).strings();
            if keys.is_empty() {
                break;
            }
            let port = to.port().to_string();
            let head = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            let mut words: Vec<Vec<u8>> = head.iter().map(|word| word.as_bytes().to_vec()).collect();
            words.extend(keys);
            // NOKEY: they have been deleted meanwhile.
            let reply = source_client.call(&words);
            assert!(!reply.is_error(), "MIGRATE: {reply:?}");
        }
        let words = ["CLUSTER", "SETSLOT", &slot, "NODE", &target];
        insist(&mut target_client, &words);
        // A primary that has heard that its last slot is gone has become a replica, and takes no such order.
        let mut is_told = || !source_client.call(&words).is_error() || !is_primary(&mut source_client);
        eventually("the source knows", &mut is_told);
        for node in self.primaries() {
            // The others hear of it anyway.
            let _ = node.client().call(&words);
        }
    }

    /// Moves a range of slots in one piece, as Valkey 9 can, and waits for the end.
    ///
    /// # Panics
    /// If a node refuses, or it fails each time.
    pub fn migrate_slots(&self, first: u16, last: u16, from: &Running, to: &Running) {
        let target = id_of(to);
        let (first, last) = (first.to_string(), last.to_string());
        let mut client = from.client();
        let mut begin = || {
            client.call(&["CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", &first, &last, "NODE", &target]).ok();
        };
        begin();
        let mut observer = from.client();
        eventually("a migration in one piece", || {
            let jobs = observer.call(&["CLUSTER", "GETSLOTMIGRATIONS"]);
            let state = jobs.array().first().and_then(|job| job.field("state")).map(|state| state.text());
            match state.as_deref() {
                Some("success") => true,
                Some("failed" | "cancelled") => {
                    begin();
                    false
                }
                _ => false,
            }
        });
    }

    /// A client that finds the node of each key.
    #[must_use]
    pub fn client(&self) -> ClusterClient {
        ClusterClient { ports: self.running().map(Running::port).collect(), clients: Vec::new(), next: 0 }
    }
}

/// Goes where it is told to go.
#[derive(Debug)]
pub struct ClusterClient {
    ports: Vec<u16>,
    clients: Vec<(u16, Client)>,
    next: usize,
}

impl ClusterClient {
    fn at(&mut self, port: u16) -> Option<&mut Client> {
        let known = self.clients.iter().position(|(known, _)| *known == port);
        let index = match known {
            Some(index) => index,
            None => {
                let client = Client::connect(("127.0.0.1", port)).ok()?;
                self.clients.push((port, client));
                self.clients.len() - 1
            }
        };
        Some(&mut self.clients[index].1)
    }

    /// Runs a command for one key wherever that lives now. `None`: nobody could be reached, or the cluster is down; the
    /// command may have run.
    pub fn call(&mut self, command: &[&str]) -> Option<Reply> {
        let (mut port, mut asking) = (self.ports[self.next % self.ports.len()], false);
        for _ in 0..16 {
            let client = self.at(port)?;
            if std::mem::take(&mut asking) {
                client.try_call(&["ASKING"]).ok()?;
            }
            let Ok(reply) = client.try_call(command) else {
                self.clients.retain(|(known, _)| *known != port);
                self.next += 1;
                return None;
            };
            if !reply.is_error() {
                return Some(reply);
            }
            let text = reply.error().to_owned();
            let words: Vec<&str> = text.split(' ').collect();
            let named = || words.get(2).and_then(|place| place.rsplit_once(':')?.1.parse().ok());
            match words[0] {
                "MOVED" => port = named()?,
                "ASK" => {
                    port = named()?;
                    asking = true;
                }
                "CLUSTERDOWN" | "TRYAGAIN" | "LOADING" | "READONLY" => return None,
                _ => return Some(reply),
            }
        }
        None
    }
}
