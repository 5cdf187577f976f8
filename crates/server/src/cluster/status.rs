//! All links as one, for those who ask how the replica is doing; and each for itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use replication::{Counters, LinkError, LinkStatus, Offset, Phase, Recovery};

use super::{Cluster, Shard, ShardStatus};
use crate::engine::Engine;

/// The state of its link, or of one that there will be.
fn link_of(shard: &Shard) -> LinkStatus {
    let status = shard.link.lock().as_ref().map(replication::Handle::status);
    status.unwrap_or_else(|| {
        let place = shard.place.lock();
        LinkStatus::new(&place.0, place.1)
    })
}

impl Cluster {
    pub(super) fn shard_status(&self, engine: &Engine) -> Vec<ShardStatus> {
        let status = |shard: &Arc<Shard>| {
            let (host, port) = shard.place.lock().clone();
            let link = link_of(shard);
            let (slots, asides) = {
                let slots = self.slots.lock();
                (slots.ranges(shard.index), slots.asides_of(shard.index))
            };
            let held = asides.iter().filter_map(|(_, aside)| engine.keyspace().db(*aside));
            let position = shard.position();
            let received = link.read_offset.map_or(0, |offset| offset.0);
            ShardStatus {
                number: shard.index,
                slots,
                primary: (host, port),
                behind_bytes: received.saturating_sub(position.map_or(0, |position| position.offset.0)),
                position,
                keys_aside: held.map(|db| db.counts().keys).sum(),
                link,
            }
        };
        let mut all: Vec<ShardStatus> = self.wanted().iter().map(status).collect();
        all.sort_by_key(|shard| shard.slots.first().map_or(u16::MAX, |range| *range.start()));
        all
    }

    /// A shard has left; what its link has counted stays.
    pub(super) fn let_go(&self, shard: &Shard) {
        let counted = link_of(shard).counters;
        let mut shards = self.shards.lock();
        shards.remove(&shard.index);
        let mut left = self.left.lock();
        *left = left.plus(counted);
    }

    /// Tells how all links together are doing.
    pub(super) fn publish(&self) {
        let (shards, left) = {
            let shards = self.shards.lock();
            (shards.values().cloned().collect::<Vec<_>>(), *self.left.lock())
        };
        let links: Vec<LinkStatus> =
            shards.iter().filter(|shard| shard.is_wanted()).map(|shard| link_of(shard)).collect();
        let total = self.total.load(Ordering::Acquire);
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        self.status.send_modify(|all| merge(all, &links, left, total));
    }

    /// No node answers.
    pub(super) fn unreachable(&self, reason: LinkError, retry_in: std::time::Duration) {
        self.status.send_modify(|all| all.set_phase(Phase::Down { reason, retry_in }));
    }
}

fn merge(all: &mut LinkStatus, links: &[LinkStatus], left: Counters, total: u64) {
    let Some(first) = links.first() else { return };
    all.set_phase(phase(links));
    let sum = |field: fn(&LinkStatus) -> u64| links.iter().map(field).sum::<u64>();
    all.counters = links.iter().map(|link| link.counters).fold(left, Counters::plus);
    let behind = sum(|link| {
        let applied = link.position.map_or(0, |position| position.offset.0);
        link.read_offset.map_or(0, |read| read.0.saturating_sub(applied))
    });
    all.read_offset = Some(Offset(total + behind));
    // The oldest of all: nothing is newer than its oldest part.
    all.last_io = oldest(links.iter().map(|link| link.last_io));
    all.level_at = oldest(links.iter().map(|link| link.level_at));
    all.connected_at = links.iter().filter_map(|link| link.connected_at).max();
    all.disconnected_at = links.iter().filter_map(|link| link.disconnected_at).max();
    all.sync_began = links.iter().filter_map(|link| link.sync_began).max();
    all.last_sync = links.iter().filter_map(|link| link.last_sync).max();
    all.buffered.bytes = links.iter().map(|link| link.buffered.bytes).sum();
    all.buffered.peak = links.iter().map(|link| link.buffered.peak).sum();
    all.buffered.limit = links.iter().map(|link| link.buffered.limit).sum();
    all.primary = first.primary.clone();
}

/// `None` if one of them is.
fn oldest<T: Ord>(mut moments: impl Iterator<Item = Option<T>>) -> Option<T> {
    moments.try_fold(None, |oldest: Option<T>, moment| {
        let moment = moment?;
        Some(Some(match oldest {
            Some(oldest) => oldest.min(moment),
            None => moment,
        }))
    })?
}

/// What keeps the whole from being up to date: the worst of all, and transfers together.
fn phase(links: &[LinkStatus]) -> Phase {
    let severity = |link: &LinkStatus| match &link.phase {
        Phase::Down { reason, .. } if reason.recovery() == Recovery::GiveUp => 6,
        Phase::Transfer { .. } => 5,
        Phase::Down { .. } => 4,
        Phase::Handshake => 3,
        Phase::Connecting => 2,
        Phase::Idle | Phase::Stopped => 1,
        _ => 0,
    };
    let Some(worst) = links.iter().max_by_key(|link| severity(link)) else { return Phase::Connecting };
    if let Phase::Transfer { .. } = worst.phase {
        let parts = links.iter().filter_map(|link| match link.phase {
            Phase::Transfer { received, total } => Some((received, total)),
            _ => None,
        });
        let add = |(sum, whole): (u64, Option<u64>), (received, total): (u64, Option<u64>)| {
            (sum + received, whole.zip(total).map(|(a, b)| a + b))
        };
        let (received, total) = parts.fold((0, Some(0)), add);
        return Phase::Transfer { received, total };
    }
    worst.phase.clone()
}

/// What a link does, in a word.
pub(crate) fn phase_name(phase: &Phase) -> &'static str {
    match phase {
        Phase::Connecting => "connecting",
        Phase::Handshake => "handshake",
        Phase::Transfer { .. } => "transfer",
        Phase::Streaming => "streaming",
        Phase::Down { .. } => "down",
        Phase::Idle => "idle",
        _ => "stopped",
    }
}
