//! What expires in a writable keyspace goes by itself, and when somebody looks for it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use store::{Cleanup, ShardSet, Txn};

use crate::engine::{Engine, append_each};

impl Engine {
    /// How eagerly expired keys are removed.
    #[must_use]
    pub fn cleanup(&self) -> Cleanup {
        *self.cleanup.read()
    }

    /// Changes that.
    pub fn set_cleanup(&self, cleanup: Cleanup) {
        *self.cleanup.write() = cleanup;
    }

    /// A cycle of the clean-up: removes some of what has expired, in a quarter of `period` at most. Only a primary
    /// decides that; a replica does it if it was told to reclaim memory early.
    pub(crate) fn expire_some(&self, period: Duration) {
        if self.blocked_expiry.load(Ordering::Relaxed) || !self.is_loaded() {
            return;
        }
        let grace = match (self.is_writable(), *self.reclaim_expired.read()) {
            (true, _) => 0,
            (false, Some(grace)) => i64::try_from(grace.as_millis()).unwrap_or(i64::MAX),
            (false, None) => return,
        };
        let cleanup = self.cleanup().with_effort(self.keyspace.limits().expire_effort());
        let now = self.keyspace.clock().now().saturating_sub(grace);
        let end = Instant::now() + period / 4;
        let dbs: Vec<u32> = self.keyspace.existing().map(|(db, _)| db).collect();
        // Where the last cycle ran out of time, this one goes on.
        let first = self.expiry_cursor.load(Ordering::Relaxed);
        for turn in 0..256 {
            let shard = (first + turn) % 256;
            for db in &dbs {
                if self.keyspace.db(*db).is_some_and(|db| db.is_due(shard, now)) {
                    self.expire_in(*db, shard, now, cleanup);
                }
            }
            // The clock goes on meanwhile.
            self.tick();
            if Instant::now() >= end {
                self.expiry_cursor.store((shard + 1) % 256, Ordering::Relaxed);
                return;
            }
        }
    }

    fn expire_in(&self, db: u32, shard: usize, now: i64, cleanup: Cleanup) {
        for _ in 0..cleanup.max_rounds {
            let (mut looked, mut reaped) = (0, 0);
            while looked < cleanup.sample_size {
                let most = cleanup.batch_size.clamp(1, cleanup.sample_size - looked);
                let (l, r) = self.transact_apart(db, shard, |txn| txn.reap_due(shard, most, now));
                looked += l;
                reaped += r;
                if l < most {
                    return;
                }
            }
            if (reaped as f64) <= cleanup.expired_threshold * looked as f64 {
                return;
            }
        }
    }

    /// Runs `f` as the only writer of one shard. Its effects appear at once here, and go to the history one by one,
    /// as those of the real servers' own removals do; a replica tells nobody.
    pub(crate) fn transact_apart<R>(&self, db: u32, shard: usize, f: impl FnOnce(&mut Txn<'_>) -> R) -> R {
        let mut set = ShardSet::none();
        set.add_shard(db, shard);
        let mut writing = self.writing.lock();
        let writing = &mut *writing;
        let mut txn = writing.writer.begin(&set, store::Viewer::Client, db);
        let tells = self.is_writable() && !writing.primary.is_dormant();
        if tells {
            txn.collect_effects();
        }
        let result = self.observe(&mut txn, f);
        self.stats.count(txn.take_removed());
        let effects = txn.take_effects();
        if tells && !effects.is_empty() {
            append_each(&mut writing.primary, &effects);
        }
        self.commit_events(writing.primary.position().offset);
        drop(txn);
        if tells && !effects.is_empty() {
            self.publish_offset(writing.primary.position().offset);
        }
        result
    }
}
