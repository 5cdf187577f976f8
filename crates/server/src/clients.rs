//! Who is connected.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use dashmap::DashMap;
use parking_lot::Mutex;
use store::Compat;
use tokio_util::sync::CancellationToken;

use crate::listener::Address;
use crate::outbox::Outbox;
use crate::tracking::Shown;

/// What is known of a client, shared by its session and those who ask.
pub(crate) type Record = Mutex<Client>;

/// What a connection has set aside, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Buffers {
    /// Received and not yet run.
    pub(crate) query: usize,
    pub(crate) query_free: usize,
    /// For replies.
    pub(crate) out: usize,
}

/// What CLIENT LIST tells of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) id: u64,
    pub(crate) addr: Address,
    pub(crate) local: Address,
    pub(crate) name: Vec<u8>,
    pub(crate) library: Vec<u8>,
    pub(crate) library_version: Vec<u8>,
    pub(crate) since: Instant,
    pub(crate) active: Instant,
    pub(crate) db: u32,
    pub(crate) command: &'static str,
    pub(crate) resp: u8,
    pub(crate) queued: Option<usize>,
    /// Bytes that those commands have.
    pub(crate) queued_bytes: usize,
    pub(crate) buffers: Buffers,
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
    /// How it, or another, is told of changes of what it reads.
    pub(crate) tracking: Option<Shown>,
    /// Reading is no use of a key.
    pub(crate) no_touch: bool,
    pub(crate) outbox: Option<Arc<Outbox>>,
    pub(crate) stop: CancellationToken,
}

impl Client {
    pub(crate) fn new(id: u64, addr: Address, local: Address, stop: CancellationToken) -> Self {
        let now = Instant::now();
        Self {
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
            queued_bytes: 0,
            buffers: Buffers::default(),
            listens: (0, 0, 0),
            is_replica: false,
            is_monitor: false,
            no_evict: false,
            watches: 0,
            capabilities: "",
            traffic: (0, 0, 0),
            user: b"default"[..].into(),
            tracking: None,
            no_touch: false,
            outbox: None,
            stop,
        }
    }

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
        ] {
            flags.extend(is_so.then_some(letter));
        }
        flags.extend(self.tracking.iter().flat_map(Shown::flags).flatten());
        for (letter, is_so) in [('U', self.addr.is_unix()), ('e', self.no_evict), ('T', self.no_touch)] {
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
            line.push_str(&self.field(name, compat, is_blocked));
        }
        line.push('\n');
        line
    }

    /// Bytes that it takes, roughly.
    pub(crate) fn memory(&self) -> u64 {
        /// What a connection takes that has nothing to do: this record, its session, its task.
        const BASE: usize = 2048;
        let (waiting, unsent) = self.outbox.as_ref().map_or((0, 0), |outbox| outbox.sizes());
        let Buffers { query, query_free, out } = self.buffers;
        (BASE + query + query_free + out.max(unsent) + waiting + self.queued_bytes) as u64
    }

    /// What cannot be known here is 0.
    fn field(&self, name: &str, compat: Compat, is_blocked: bool) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (channels, patterns, shards) = self.listens;
        let (received, sent, commands) = self.traffic;
        let (waiting, unsent) = self.outbox.as_ref().map_or((0, 0), |outbox| outbox.sizes());
        match name {
            "id" => self.id.to_string(),
            "addr" => self.addr.spell(compat),
            "laddr" => self.local.spell(compat),
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
            "qbuf" => self.buffers.query.to_string(),
            "qbuf-free" => self.buffers.query_free.to_string(),
            "multi-mem" => self.queued_bytes.to_string(),
            "rbs" | "rbp" => self.buffers.out.to_string(),
            "obl" => unsent.to_string(),
            "oll" => u8::from(waiting > 0).to_string(),
            "omem" => (waiting + unsent).to_string(),
            "tot-mem" => self.memory().to_string(),
            "cmd" => self.command.to_owned(),
            "user" => text(&self.user),
            "redir" => {
                let redirect = self.tracking.as_ref().map(|tracking| tracking.redirect);
                redirect.map_or(-1, |id| i64::try_from(id).unwrap_or(i64::MAX)).to_string()
            }
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
    all: DashMap<u64, Arc<Record>>,
}

impl Clients {
    /// The most that any client has set aside for requests, and for replies that wait, in bytes.
    pub(crate) fn biggest_buffers(&self) -> (usize, usize) {
        let mut most = (0, 0);
        self.each(|client| {
            let waiting = client.outbox.as_ref().map_or(0, |outbox| outbox.sizes().0);
            let Buffers { query, query_free, out } = client.buffers;
            most = (most.0.max(query + query_free), most.1.max(out.max(waiting)));
        });
        most
    }

    /// One more, with its number.
    pub(crate) fn add(&self, addr: Address, local: Address, stop: CancellationToken) -> (u64, Arc<Record>) {
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let record = Arc::new(Mutex::new(Client::new(id, addr, local, stop)));
        self.all.insert(id, Arc::clone(&record));
        (id, record)
    }

    pub(crate) fn remove(&self, id: u64) {
        self.all.remove(&id);
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn get(&self, id: u64) -> Option<Client> {
        self.record(id).map(|client| client.lock().clone())
    }

    fn record(&self, id: u64) -> Option<Arc<Record>> {
        self.all.get(&id).map(|client| Arc::clone(&client))
    }

    /// Where to put what others have to say to a client, if it is there.
    pub(crate) fn outbox(&self, id: u64) -> Option<Arc<Outbox>> {
        self.record(id).and_then(|client| client.lock().outbox.clone())
    }

    /// Ends the connections of a user, but for one.
    pub(crate) fn hang_up_on(&self, user: &[u8], but: u64) {
        self.each(|client| {
            if *client.user == *user && client.id != but {
                client.stop.cancel();
            }
        });
    }

    pub(crate) fn update(&self, id: u64, f: impl FnOnce(&mut Client)) {
        if let Some(client) = self.record(id) {
            f(&mut client.lock());
        }
    }

    pub(crate) fn each(&self, mut f: impl FnMut(&Client)) {
        self.all.iter().for_each(|client| f(&client.lock()));
    }

    /// All, oldest first.
    pub(crate) fn list(&self) -> Vec<Client> {
        let mut all = Vec::with_capacity(self.len());
        self.each(|client| all.push(client.clone()));
        all.sort_by_key(|client| client.id);
        all
    }
}
