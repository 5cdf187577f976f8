//! Who is connected.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use dashmap::DashMap;
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
    /// The user that it is.
    pub(crate) user: Box<[u8]>,
    /// Who is told of changes of what it reads, if anybody: 0 itself.
    pub(crate) redirect: Option<u64>,
    pub(crate) outbox: Option<Arc<Outbox>>,
    pub(crate) stop: CancellationToken,
}

impl Client {
    /// One line of CLIENT LIST.
    pub(crate) fn line(&self, is_blocked: bool) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut flags = String::new();
        let listens = self.listens != (0, 0, 0);
        for (letter, is_so) in [
            ('S', self.is_replica),
            ('P', listens),
            ('x', self.queued.is_some()),
            ('b', is_blocked),
            ('t', self.redirect.is_some()),
        ] {
            flags.extend(is_so.then_some(letter));
        }
        if flags.is_empty() {
            flags.push('N');
        }
        let (channels, patterns, shards) = self.listens;
        format!(
            "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={flags} db={} sub={channels} psub={patterns} ssub={shards} multi={} qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd={} user={} redir={} resp={} lib-name={} lib-ver={}\n",
            self.id,
            self.addr,
            self.local,
            text(&self.name),
            self.since.elapsed().as_secs(),
            self.active.elapsed().as_secs(),
            self.db,
            self.queued.map_or(-1, |n| i64::try_from(n).unwrap_or(i64::MAX)),
            self.command,
            text(&self.user),
            self.redirect.map_or(-1, |id| i64::try_from(id).unwrap_or(i64::MAX)),
            self.resp,
            text(&self.library),
            text(&self.library_version),
        )
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
