//! Who is connected.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use dashmap::DashMap;
use store::Compat;
use tokio_util::sync::CancellationToken;

use crate::outbox::Outbox;

/// What CLIENT LIST tells of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) id: u64,
    pub(crate) addr: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) name: Vec<u8>,
    pub(crate) library: Vec<u8>,
    pub(crate) library_version: Vec<u8>,
    pub(crate) since: Instant,
    pub(crate) active: Instant,
    pub(crate) db: u32,
    pub(crate) command: &'static str,
    pub(crate) resp: u8,
    pub(crate) queued: Option<usize>,
    /// Channels, patterns and shard channels it listens to.
    pub(crate) listens: (usize, usize, usize),
    pub(crate) is_replica: bool,
    /// Sees every command.
    pub(crate) is_monitor: bool,
    pub(crate) no_evict: bool,
    /// Keys that it watches.
    pub(crate) watches: usize,
    /// What it says that it can (CLIENT CAPA).
    pub(crate) capabilities: &'static str,
    /// Bytes received and sent, commands run.
    pub(crate) traffic: (u64, u64, u64),
    /// The user that it is.
    pub(crate) user: Box<[u8]>,
    /// Who is told of changes of what it reads, if anybody: 0 itself.
    pub(crate) redirect: Option<u64>,
    pub(crate) outbox: Option<Arc<Outbox>>,
    pub(crate) stop: CancellationToken,
}

impl Client {
    /// Its letters in CLIENT LIST.
    pub(crate) fn flags(&self, is_blocked: bool) -> String {
        let mut flags = String::new();
        let listens = self.listens != (0, 0, 0);
        for (letter, is_so) in [
            ('O', self.is_monitor),
            ('S', self.is_replica),
            ('P', listens),
            ('x', self.queued.is_some()),
            ('b', is_blocked),
            ('t', self.redirect.is_some()),
            ('r', self.capabilities.contains('r')),
            ('e', self.no_evict),
        ] {
            flags.extend(is_so.then_some(letter));
        }
        if flags.is_empty() {
            flags.push('N');
        }
        flags
    }

    /// One line of CLIENT LIST, with the fields that the personality has.
    pub(crate) fn line(&self, compat: Compat, is_blocked: bool) -> String {
        let mut line = String::new();
        for name in compat.differences().client_fields.split(' ') {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(name);
            line.push('=');
            line.push_str(&self.field(name, is_blocked));
        }
        line.push('\n');
        line
    }

    /// What cannot be known here is 0.
    fn field(&self, name: &str, is_blocked: bool) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (channels, patterns, shards) = self.listens;
        let (received, sent, commands) = self.traffic;
        match name {
            "id" => self.id.to_string(),
            "addr" => self.addr.to_string(),
            "laddr" => self.local.to_string(),
            "fd" => "-1".to_owned(),
            "name" => text(&self.name),
            "age" => self.since.elapsed().as_secs().to_string(),
            "idle" => self.active.elapsed().as_secs().to_string(),
            "flags" => self.flags(is_blocked),
            "capa" => self.capabilities.to_owned(),
            "db" => self.db.to_string(),
            "sub" => channels.to_string(),
            "psub" => patterns.to_string(),
            "ssub" => shards.to_string(),
            "multi" => self.queued.map_or(-1, |n| i64::try_from(n).unwrap_or(i64::MAX)).to_string(),
            "watch" => self.watches.to_string(),
            "events" => "r".to_owned(),
            "cmd" => self.command.to_owned(),
            "user" => text(&self.user),
            "redir" => self.redirect.map_or(-1, |id| i64::try_from(id).unwrap_or(i64::MAX)).to_string(),
            "resp" => self.resp.to_string(),
            "lib-name" => text(&self.library),
            "lib-ver" => text(&self.library_version),
            "tot-net-in" => received.to_string(),
            "tot-net-out" => sent.to_string(),
            "tot-cmds" => commands.to_string(),
            _ => "0".to_owned(),
        }
    }
}

/// Every connection, by id.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    next: AtomicU64,
    all: DashMap<u64, Client>,
}

impl Clients {
    pub(crate) fn add(&self, addr: SocketAddr, local: SocketAddr, stop: CancellationToken) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let now = Instant::now();
        self.all.insert(
            id,
            Client {
                id,
                addr,
                local,
                name: Vec::new(),
                library: Vec::new(),
                library_version: Vec::new(),
                since: now,
                active: now,
                db: 0,
                command: "NULL",
                resp: 2,
                queued: None,
                listens: (0, 0, 0),
                is_replica: false,
                is_monitor: false,
                no_evict: false,
                watches: 0,
                capabilities: "",
                traffic: (0, 0, 0),
                user: b"default"[..].into(),
                redirect: None,
                outbox: None,
                stop,
            },
        );
        id
    }

    pub(crate) fn remove(&self, id: u64) {
        self.all.remove(&id);
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn get(&self, id: u64) -> Option<Client> {
        self.all.get(&id).map(|c| c.clone())
    }

    /// Where to put what others have to say to a client, if it is there.
    pub(crate) fn outbox(&self, id: u64) -> Option<Arc<Outbox>> {
        self.all.get(&id).and_then(|client| client.outbox.clone())
    }

    /// Ends the connections of a user, but for one.
    pub(crate) fn hang_up_on(&self, user: &[u8], but: u64) {
        self.all.iter().filter(|c| *c.user == *user && c.id != but).for_each(|c| c.stop.cancel());
    }

    pub(crate) fn update(&self, id: u64, f: impl FnOnce(&mut Client)) {
        if let Some(mut client) = self.all.get_mut(&id) {
            f(&mut client);
        }
    }

    /// All, oldest first.
    pub(crate) fn list(&self) -> Vec<Client> {
        let mut all: Vec<Client> = self.all.iter().map(|c| c.clone()).collect();
        all.sort_by_key(|c| c.id);
        all
    }
}
