//! The replicas of this server: who they are, and how far.

use std::time::{Duration, Instant};

use replication::{FeedOptions, FeedState};

use crate::engine::Engine;

/// A replica of ours, for INFO, ROLE and WAIT.
#[derive(Debug, Clone)]
pub(crate) struct AttachedReplica {
    pub(crate) ip: String,
    pub(crate) port: u16,
    pub(crate) state: FeedState,
    pub(crate) acked: u64,
    pub(crate) acked_at: Option<Instant>,
}

impl AttachedReplica {
    pub(crate) fn is_online(&self) -> bool {
        self.state == FeedState::Online
    }

    /// How long ago it said how far it is.
    pub(crate) fn lag(&self) -> Duration {
        self.acked_at.map_or(Duration::ZERO, |at| at.elapsed())
    }
}

impl Engine {
    pub(crate) fn feed_options(&self) -> FeedOptions {
        let serving = self.serving.read();
        let mut options = FeedOptions::default();
        options.timeout = serving.timeout;
        options.soft_limit = serving.output_soft;
        options.soft_time = serving.output_soft_time;
        options
    }

    /// How many replicas have acknowledged everything up to `offset`.
    pub(crate) fn count_acked(&self, offset: u64) -> usize {
        self.replicas.iter().filter(|replica| replica.is_online() && replica.acked >= offset).count()
    }

    /// Whether writes have to be refused: `min-replicas-to-write` and `min-replicas-max-lag`.
    pub(crate) fn lacks_replicas(&self) -> bool {
        let (least, lag) = {
            let serving = self.serving.read();
            (serving.min_replicas, serving.max_lag)
        };
        least > 0 && lag > Duration::ZERO && self.is_writable() && self.good_replicas(lag) < least
    }

    /// Online replicas that have been heard of lately enough.
    pub(crate) fn good_replicas(&self, lag: Duration) -> usize {
        self.replicas.iter().filter(|replica| replica.is_online() && replica.lag() <= lag).count()
    }
}
