//! What the memory of an engine goes to, in numbers: for INFO, MEMORY and the limit.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use replication::Position;
use store::{Counts, Db};

use crate::engine::{Engine, unix_ms};
use crate::info::resident_bytes;

/// The most that was ever used, and when.
#[derive(Debug, Default)]
pub(crate) struct Peak {
    bytes: AtomicU64,
    unix_seconds: AtomicI64,
}

impl Peak {
    fn observe(&self, used: usize) -> (usize, i64) {
        let before = self.bytes.fetch_max(used as u64, Ordering::Relaxed);
        if before < used as u64 {
            self.unix_seconds.store(unix_ms() / 1000, Ordering::Relaxed);
        }
        let peak = usize::try_from(before).unwrap_or(used).max(used);
        (peak, self.unix_seconds.load(Ordering::Relaxed))
    }
}

/// A database's part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OfDb {
    pub(crate) index: u32,
    pub(crate) counts: Counts,
    /// Bytes of its tables.
    pub(crate) tables: usize,
}

/// The history's numbers, which the writer's lock guards.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct History {
    pub(crate) previous: Option<Position>,
    pub(crate) first_byte_offset: u64,
    pub(crate) length: usize,
}

/// What can only be counted under locks, at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Usage {
    pub(crate) dbs: Vec<OfDb>,
    pub(crate) history: History,
    /// Entries and values.
    pub(crate) payload: usize,
    /// Tables and directories.
    pub(crate) tables: usize,
    /// The stream kept for replicas.
    pub(crate) backlog: usize,
    /// Keys of all databases.
    pub(crate) keys: usize,
    /// The most that was used.
    pub(crate) peak: usize,
    /// When that was, in Unix seconds.
    pub(crate) peak_time: i64,
    /// What the process has of the machine's memory.
    pub(crate) resident: usize,
}

impl Usage {
    /// Takes locks: not within a transaction.
    pub(crate) fn of(engine: &Engine) -> Self {
        let of_db = |(index, db): (u32, &Db)| OfDb { index, counts: db.counts(), tables: db.overhead() };
        let dbs: Vec<OfDb> = engine.keyspace.existing().map(of_db).collect();
        let counts = dbs.iter().map(|db| db.counts).fold(Counts::default(), Counts::plus);
        let tables = dbs.iter().map(|db| db.tables).sum();
        let writing = engine.writing.lock();
        let history = History {
            previous: writing.primary.previous(),
            first_byte_offset: writing.primary.backlog().first_byte_offset(),
            length: writing.primary.backlog().len(),
        };
        let backlog = writing.primary.backlog().allocated();
        drop(writing);
        let used = counts.bytes + tables + backlog;
        let (peak, peak_time) = engine.peak.observe(used);
        let usage = Self {
            dbs,
            history,
            payload: counts.bytes,
            tables,
            backlog,
            keys: counts.keys,
            peak,
            peak_time,
            resident: resident_bytes().unwrap_or(used),
        };
        engine.last_usage.lock().clone_from(&usage);
        usage
    }

    /// All that is accounted.
    pub(crate) fn used(&self) -> usize {
        self.payload + self.tables + self.backlog
    }

    /// What is no payload.
    pub(crate) fn overhead(&self) -> usize {
        self.tables + self.backlog
    }

    /// Resident memory for each byte that is accounted.
    pub(crate) fn ratio(&self) -> f64 {
        ratio(self.resident, self.used())
    }
}

/// How many times `b` is in `a`.
pub(crate) fn ratio(a: usize, b: usize) -> f64 {
    a as f64 / b.max(1) as f64
}

/// The memory of this machine, where the system tells.
pub(crate) fn of_the_machine() -> usize {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kib.unwrap_or(0) * 1024
}
