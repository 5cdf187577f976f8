//! The limit of memory: what goes when there is no room, and who is refused.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use store::{Candidate, CommandError, Policy};

use crate::engine::Engine;

/// Candidates that are kept from one time to the next.
const POOL: usize = 16;

/// What a replica does when its data are larger than `maxmemory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Limit {
    /// Says so, in the log and in INFO. The data stay equal to the primary's.
    #[default]
    Report,
    /// Stops following the primary.
    Stop,
    /// Removes the keys that were not used for the longest time. The data are no longer equal to the primary's.
    EvictLru,
}

impl Limit {
    const NAMES: [(&str, Self); 3] =
        [("report", Self::Report), ("stop", Self::Stop), ("evict-lru", Self::EvictLru)];

    /// Its name, as `replica-memory-limit` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, limit)| *limit == self).map_or("", |(name, _)| name)
    }

    /// The choice of this name.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        let known = Self::NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
        known.map(|(_, limit)| *limit)
    }
}

/// Who could go next.
#[derive(Debug)]
pub(crate) struct Evicting {
    limit: RwLock<Limit>,
    pool: Mutex<Pool>,
    random: AtomicU64,
    /// Bytes of tables, as of the last housekeeping.
    tables: AtomicUsize,
}

/// Candidates left over, all by one policy: the scores of two cannot be compared.
#[derive(Debug)]
struct Pool {
    policy: Policy,
    candidates: Vec<Candidate>,
}

impl Default for Pool {
    fn default() -> Self {
        Self { policy: Policy::NoEviction, candidates: Vec::new() }
    }
}

impl Evicting {
    pub(crate) fn new(limit: Limit) -> Self {
        Self {
            limit: RwLock::new(limit),
            pool: Mutex::default(),
            random: AtomicU64::new(0),
            tables: AtomicUsize::new(0),
        }
    }

    fn draw(&self) -> u64 {
        // A Weyl sequence, mixed (splitmix64).
        let mut z = self.random.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }
}

/// The refusal of a command that needs room where there is none.
pub(crate) const OOM: CommandError =
    CommandError::coded("OOM command not allowed when used memory > 'maxmemory'.");

impl Engine {
    /// Bytes of the data set and its tables.
    pub(crate) fn used(&self) -> usize {
        self.keyspace.payload() + self.evicting.tables.load(Ordering::Relaxed)
    }

    /// Looks how large the tables are.
    pub(crate) fn measure_tables(&self) {
        self.evicting.tables.store(self.keyspace.overhead(), Ordering::Relaxed);
    }

    /// Whether the data are larger than they may be.
    pub(crate) fn is_over_limit(&self) -> bool {
        let limit = self.keyspace.limits().max_memory();
        limit > 0 && self.used() as u64 > limit.unsigned_abs()
    }

    /// What a replica does when its data are larger than `maxmemory`.
    #[must_use]
    pub fn memory_limit(&self) -> Limit {
        *self.evicting.limit.read()
    }

    /// Changes that.
    pub fn set_memory_limit(&self, limit: Limit) {
        *self.evicting.limit.write() = limit;
        self.over_limit.store(false, Ordering::Relaxed);
    }

    /// Removes keys by the policy until there is room, or for as long as a client may be kept waiting; whether
    /// there is room now, or soon will be.
    pub(crate) fn make_room(&self) -> bool {
        if !self.is_over_limit() || !self.is_writable() {
            return true;
        }
        self.measure_tables();
        let policy = self.keyspace.limits().policy();
        if policy == Policy::NoEviction {
            return !self.is_over_limit();
        }
        self.evict_by(policy, patience(self.keyspace.limits().tenacity()))
    }

    /// Removes up to so many keys, as this policy chooses them; how many went. For a primary.
    pub fn evict_some(&self, policy: Policy, most: usize) -> usize {
        let mut gone = 0;
        while gone < most {
            let Some(next) = self.next_to_go(policy) else { break };
            let shard = (self.keyspace.hasher().hash(&next.key) >> 56) as usize;
            gone += usize::from(self.transact_apart(next.db, shard, |txn| txn.evict(&next.key)));
        }
        gone
    }

    /// For so long at most, if a time is given.
    fn evict_by(&self, policy: Policy, patience: Option<Duration>) -> bool {
        let begin = Instant::now();
        let mut gone = 0_u32;
        while self.is_over_limit() {
            let Some(next) = self.next_to_go(policy) else { return false };
            let shard = (self.keyspace.hasher().hash(&next.key) >> 56) as usize;
            // One that was left over may have been told to stay since.
            self.transact_apart(next.db, shard, |txn| {
                let stays = |entry: store::EntryRef<'_>| policy.is_volatile() && entry.expire().is_none();
                if !txn.peek(&next.key).is_some_and(stays) {
                    txn.evict(&next.key);
                }
            });
            gone += 1;
            if gone.is_multiple_of(16) {
                self.measure_tables();
                if patience.is_some_and(|patience| begin.elapsed() > patience) {
                    // Housekeeping goes on with it.
                    return true;
                }
            }
        }
        true
    }

    /// The best of those drawn now and of those left over from before.
    fn next_to_go(&self, policy: Policy) -> Option<Candidate> {
        let keyspace = &self.keyspace;
        let draws = usize::try_from(keyspace.limits().samples()).unwrap_or(5).clamp(1, 64);
        let dbs: Vec<u32> = keyspace.existing().map(|(db, _)| db).collect();
        let draw = |db| keyspace.candidate(db, policy, self.evicting.draw());
        if matches!(policy, Policy::AllKeysRandom | Policy::VolatileRandom) {
            let first = usize::try_from(self.evicting.draw() >> 32).unwrap_or(0) % dbs.len().max(1);
            return dbs.iter().cycle().skip(first).take(dbs.len()).find_map(|db| draw(*db));
        }
        let mut pool = self.evicting.pool.lock();
        if pool.policy != policy {
            *pool = Pool { policy, candidates: Vec::new() };
        }
        let pool = &mut pool.candidates;
        for db in dbs {
            let drawn: Vec<Candidate> = (0..draws).map_while(|_| draw(db)).collect();
            for candidate in drawn {
                pool.retain(|known| (known.db, &known.key) != (candidate.db, &candidate.key));
                pool.push(candidate);
            }
        }
        pool.sort_by_key(|candidate| candidate.score);
        let surplus = pool.len().saturating_sub(POOL);
        pool.drain(..surplus);
        pool.pop()
    }

    /// What housekeeping does about the limit, in a quarter of `period` at most.
    pub(crate) fn watch_memory(&self, period: Duration) {
        let patience = Some(period / 4);
        self.measure_tables();
        if !self.is_over_limit() {
            self.over_limit.store(false, Ordering::Relaxed);
            return;
        }
        let policy = self.keyspace.limits().policy();
        if self.is_writable() {
            if policy != Policy::NoEviction {
                self.evict_by(policy, patience);
            }
            return;
        }
        let ignores = self.keyspace.limits().ignore_memory_as_replica() != 0;
        match self.memory_limit() {
            Limit::Report if ignores => {
                if !self.over_limit.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        used = self.used(),
                        "the data of the primary are larger than the limit of memory"
                    );
                }
            }
            Limit::Stop => {
                if !self.over_limit.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        used = self.used(),
                        "the limit of memory is exceeded: no longer following"
                    );
                    self.stop_following();
                }
            }
            Limit::EvictLru => {
                self.evict_by(Policy::AllKeysLru, patience);
            }
            Limit::Report if policy != Policy::NoEviction => {
                self.evict_by(policy, patience);
            }
            Limit::Report => {}
        }
    }
}

/// How long a client may wait, by `maxmemory-eviction-tenacity`: up to 10 half a millisecond in steps of a tenth of
/// it, from there on longer by 15 % with each step, at 100 as long as it takes.
fn patience(tenacity: i64) -> Option<Duration> {
    match tenacity {
        ..=10 => Some(Duration::from_micros(50 * tenacity.max(0).unsigned_abs())),
        11..100 => {
            let steps = i32::try_from(tenacity - 10).unwrap_or(0);
            Some(Duration::from_secs_f64(0.0005 * 1.15_f64.powi(steps)))
        }
        _ => None,
    }
}
