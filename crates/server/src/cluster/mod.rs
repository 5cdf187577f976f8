//! A copy of a cluster: every shard's data in one keyspace, each key once.
//!
//! ```text
//!   nodes   <--- CLUSTER NODES, INFO replication, each second --- steward.rs
//!                                                                    |  links, owners of slots
//!   shard 0 ---- link ----> target.rs --.                            v
//!   shard 1 ---- link ----> target.rs ---+--> slots.rs --> one keyspace
//!   shard 2 ---- link ----> target.rs --'
//! ```
//!
//! Each shard has a link of its own, which is continued on the shard's new primary after a failover. What one of them
//! brings is atomic as it was there; between shards there is no order, as there is none in the cluster.

mod nodes;
mod saved;
mod slots;
mod status;
mod steward;
mod target;

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use replication::{Counters, DriverConfig, Handle, LinkStatus, Offset, Phase, Position, ReplId};
use store::{ShardSet, View, Viewer};
use tokio::sync::{Notify, watch};

use self::nodes::Place;
pub use self::saved::SavedCluster;
use self::slots::{NOBODY, ShardId, Slots};
pub(crate) use self::status::phase_name;
use self::target::ShardTarget;
use crate::engine::Engine;
use crate::histories::Held;
use crate::observed::stream::address;

/// Keys that change their places with the writer held once.
const AT_ONCE: usize = 256;

/// One shard, as it is followed.
#[derive(Debug)]
pub(crate) struct Shard {
    index: ShardId,
    /// The nodes that were seen in it.
    members: Mutex<HashSet<String>>,
    place: Mutex<Place>,
    replid: Mutex<Option<ReplId>>,
    offset: AtomicU64,
    /// The database that its stream has selected there.
    stream_db: AtomicU32,
    /// Where its history was when its primary was asked last, and what that said had been taken in.
    asked: Mutex<Option<Position>>,
    /// Histories that it has left, and how much of them is held.
    left: Mutex<Vec<Position>>,
    loaded: AtomicBool,
    /// The filter keeps something of it: it is followed. Once it is, that stays so.
    wanted: AtomicBool,
    /// It is followed no more: what still comes is dropped.
    gone: AtomicBool,
    link: Mutex<Option<Handle<ShardTarget>>>,
    /// In which round of questions it wrote to a slot that is not known to be its own: what it holds is shown for sure
    /// after a later one. 0: never.
    doubt: AtomicU64,
    /// How often nobody has claimed to be it.
    missed: AtomicU64,
}

impl Shard {
    fn new(index: ShardId, place: Place) -> Self {
        Self {
            index,
            members: Mutex::default(),
            place: Mutex::new(place),
            replid: Mutex::default(),
            offset: AtomicU64::new(0),
            stream_db: AtomicU32::new(0),
            asked: Mutex::default(),
            left: Mutex::default(),
            loaded: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            link: Mutex::default(),
            doubt: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        }
    }

    /// Where its primary is, as MONITOR spells it.
    fn address(&self) -> String {
        let (host, port) = self.place.lock().clone();
        address(&host, port)
    }

    fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Whether nothing of it is missing that it has now or later: it streams, or is not followed at all.
    fn is_streaming(&self) -> bool {
        !self.is_wanted() || self.link.lock().as_ref().is_some_and(|link| link.status().phase.is_streaming())
    }

    /// How much of which history is held.
    fn position(&self) -> Option<Position> {
        let replid = (*self.replid.lock())?;
        Some(Position { replid, offset: Offset(self.offset.load(Ordering::Acquire)) })
    }

    /// The history goes on under another name, or another one begins (`held`: nothing of the old one counts).
    fn turn_to(&self, position: Position, continued: bool) {
        let before = self.replid.lock().replace(position.replid);
        if let Some(replid) = before.filter(|before| *before != position.replid) {
            let offset = if continued { position.offset } else { Offset(0) };
            let mut left = self.left.lock();
            left.retain(|known| known.replid != replid);
            left.push(Position { replid, offset });
            if left.len() > 64 {
                left.remove(0);
            }
        }
        self.offset.store(position.offset.0, Ordering::Release);
    }

    /// Whether what this shard has brought goes up to `at`; `None`: that is not a position of its.
    fn holds(&self, at: Position) -> Option<Held> {
        if !self.is_wanted() {
            let is_its = self.asked.lock().is_some_and(|asked| asked.replid == at.replid);
            return is_its.then_some(Held::Never);
        }
        let held = self.position()?;
        if held.replid == at.replid {
            return Some(if at.offset <= held.offset { Held::Yes } else { Held::NotYet });
        }
        let left = self.left.lock();
        let known = left.iter().find(|known| known.replid == at.replid)?;
        Some(if at.offset <= known.offset { Held::Yes } else { Held::Never })
    }
}

/// A cluster, as it is followed.
#[derive(Debug)]
pub(crate) struct Cluster {
    shards: Mutex<HashMap<ShardId, Arc<Shard>>>,
    /// What the links of shards that have left had counted; changed with `shards` in hand.
    left: Mutex<Counters>,
    slots: Mutex<Slots>,
    /// Bytes of all streams, and one for each change that no stream has told of.
    total: AtomicU64,
    history: ReplId,
    /// Every slot that the cluster serves has its shard here.
    covered: AtomicBool,
    status: Arc<watch::Sender<LinkStatus>>,
    /// Nobody is to be followed any more.
    closed: AtomicBool,
    /// Rounds of questions begun, and the last one after which all was as the nodes had said.
    round: AtomicU64,
    learned: AtomicU64,
    /// Something to do for the steward before its time.
    hurry: Arc<Notify>,
    /// It goes on from a file, and whether that is of this cluster nobody has asked yet.
    is_restored: AtomicBool,
}

/// A shard of a cluster that is copied.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ShardStatus {
    /// What it is called here: a number that it keeps while it is followed, failovers and restarts from a file included.
    pub number: u16,
    /// The slots whose keys are shown as this shard has them.
    pub slots: Vec<RangeInclusive<u16>>,
    /// Host and port of its primary.
    pub primary: (String, u16),
    /// How much of its history is held; `None` before its first sync.
    pub position: Option<Position>,
    /// Bytes of its stream received and not yet applied.
    pub behind_bytes: u64,
    /// Keys of it that are held and not shown: of slots that are on their way.
    pub keys_aside: usize,
    /// Its link.
    pub link: LinkStatus,
}

impl ShardStatus {
    /// How far its keys are behind its primary at most: the time since that was last heard of. `None` before the first
    /// byte.
    #[must_use]
    pub fn lag(&self) -> Option<Duration> {
        self.link.last_io.map(|at| at.elapsed())
    }
}

impl Engine {
    /// Follows every shard of a cluster from now on, in the caller's runtime. `config` tells how to reach a node; its
    /// host and port mean nothing. `saved` is what [`restore_cluster`](Self::restore_cluster) has loaded: every shard goes
    /// on from there. Answers with the state of all links as one.
    pub fn follow_cluster(
        self: &Arc<Self>,
        seeds: Vec<(String, u16)>,
        config: DriverConfig,
        saved: Option<SavedCluster>,
    ) -> watch::Receiver<LinkStatus> {
        let (host, port) = seeds.first().cloned().unwrap_or_default();
        self.take_pattern(config);
        let mut cluster = Cluster::new(ReplId::random(), saved);
        cluster.status = Arc::new(watch::Sender::new(LinkStatus::new(&host, port)));
        let cluster = Arc::new(cluster);
        let status = cluster.status.subscribe();
        self.watch_link(status.clone());
        *self.cluster.write() = Some(Arc::clone(&cluster));
        tokio::spawn(steward::tend(Arc::downgrade(self), cluster, seeds));
        status
    }

    /// The shards of the cluster that is followed, in the order of their slots; empty for any other replica.
    #[must_use]
    pub fn shards(&self) -> Vec<ShardStatus> {
        self.cluster().map(|cluster| cluster.shard_status(self)).unwrap_or_default()
    }

    /// Leaves the cluster with the data as they are shown.
    pub(crate) fn leave_cluster(&self) {
        let Some(cluster) = self.cluster.write().take() else { return };
        drop(cluster.take_links());
        // Who watches the links is told of whoever is followed next.
        cluster.status.send_modify(|all| all.set_phase(Phase::Idle));
        self.following.tell(Arc::clone(&cluster.status));
        cluster.tidy(self);
        let shards = cluster.all();
        cluster.forget(self, shards.iter().map(|shard| shard.index));
    }
}

impl Cluster {
    fn new(name: ReplId, saved: Option<SavedCluster>) -> Self {
        let is_restored = saved.is_some();
        let nothing = || SavedCluster::new(Position { replid: name, offset: Offset(0) });
        let (whole, shards, slots) = saved.unwrap_or_else(nothing).into_parts();
        Self {
            shards: Mutex::new(shards),
            left: Mutex::default(),
            slots: Mutex::new(slots),
            total: AtomicU64::new(whole.offset.0),
            history: whole.replid,
            covered: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            round: AtomicU64::new(0),
            learned: AtomicU64::new(0),
            status: Arc::new(watch::Sender::new(LinkStatus::new("", 0))),
            hurry: Arc::default(),
            is_restored: AtomicBool::new(is_restored),
        }
    }

    fn all(&self) -> Vec<Arc<Shard>> {
        let mut all: Vec<_> = self.shards.lock().values().cloned().collect();
        all.sort_by_key(|shard| shard.index);
        all
    }

    /// Those that are followed.
    fn wanted(&self) -> Vec<Arc<Shard>> {
        self.all().into_iter().filter(|shard| shard.is_wanted()).collect()
    }

    pub(crate) fn holds(&self, at: Position) -> Held {
        let learned = self.learned.load(Ordering::Acquire);
        let held = self.all().iter().find_map(|shard| {
            let held = shard.holds(at)?;
            let is_shown = shard.doubt.load(Ordering::Acquire) < learned.max(1);
            Some(if held == Held::Yes && !is_shown { Held::NotYet } else { held })
        });
        held.unwrap_or(Held::NotYet)
    }

    /// The primary of the shard that owns this slot, or of any.
    pub(crate) fn primary_of(&self, slot: Option<u16>) -> Option<Place> {
        let owner = slot.map(|slot| self.slots.lock().owner(slot)).filter(|owner| *owner != NOBODY);
        let all = self.all();
        let owner = owner.and_then(|owner| all.iter().find(|shard| shard.index == owner));
        owner.or_else(|| all.first()).map(|shard| shard.place.lock().clone())
    }

    /// Ends all links, for good: what they still bring is dropped.
    pub(crate) fn take_links(&self) -> Vec<Handle<ShardTarget>> {
        self.closed.store(true, Ordering::Release);
        self.all().iter().for_each(|shard| shard.gone.store(true, Ordering::Release));
        self.all().iter().filter_map(|shard| shard.link.lock().take()).collect()
    }

    /// Tells subscribers of what no stream has told, at a position of its own. To be called with the writer in hand, before
    /// the locks are released.
    fn tell(&self, engine: &Engine) {
        if engine.is_loaded() && engine.events.is_pending() {
            let total = Offset(self.total.fetch_add(1, Ordering::AcqRel) + 1);
            engine.publish_offset_quietly(total);
            engine.commit_events(total);
        }
    }

    /// Frees what is held of shards that are no more.
    fn forget(&self, engine: &Engine, shards: impl Iterator<Item = ShardId>) {
        let mut writing = engine.writing.lock();
        let places: Vec<u32> = shards.flat_map(|shard| self.slots.lock().forget(shard)).collect();
        let mut txn = writing.writer.begin(&ShardSet::none(), Viewer::Stream, 0);
        for place in places {
            txn.hold_all_of(place);
            txn.flush(place);
        }
    }

    /// The data set is there once every slot's shard is.
    fn check_complete(&self, engine: &Engine) {
        if engine.is_loaded() || !self.covered.load(Ordering::Acquire) {
            return;
        }
        let shards = self.wanted();
        let slots = self.slots.lock();
        let is_there =
            |shard: &Arc<Shard>| shard.loaded.load(Ordering::Acquire) || slots.ranges(shard.index).is_empty();
        if !shards.is_empty() && shards.iter().all(is_there) {
            drop(slots);
            let offset = Offset(self.total.load(Ordering::Acquire));
            engine.publish_position(Position { replid: self.history, offset });
            tracing::info!(shards = shards.len(), "every shard of the cluster is here");
        }
    }

    /// Puts the copies of owners in place of those of former owners, a few with each hold of the writer.
    fn tidy(&self, engine: &Engine) {
        let moved = self.slots.lock().moved();
        if moved.is_empty() {
            return;
        }
        let owners: HashMap<u16, ShardId> = {
            let slots = self.slots.lock();
            moved.iter().map(|slot| (*slot, slots.owner(*slot))).collect()
        };
        let keyspace = engine.keyspace();
        let is_moved = |key: &[u8]| moved.contains(&crate::filter::slot(key));
        let new_owners: HashSet<ShardId> =
            owners.values().copied().filter(|owner| *owner != NOBODY).collect();
        let asides: Vec<(u32, u32)> = {
            let slots = self.slots.lock();
            new_owners.iter().flat_map(|owner| slots.asides_of(*owner)).collect()
        };
        for (db, aside) in asides {
            self.settle_all(engine, db, &keys_of(keyspace, aside, is_moved));
        }
        let dbs: Vec<u32> = keyspace.existing().map(|(db, _)| db).collect();
        for db in dbs {
            self.settle_all(engine, db, &keys_of(keyspace, db, is_moved));
        }
        let _writing = engine.writing.lock();
        self.slots.lock().finish(&owners);
    }

    fn settle_all(&self, engine: &Engine, db: u32, keys: &[Box<[u8]>]) {
        for some in keys.chunks(AT_ONCE) {
            let mut writing = engine.writing.lock();
            let mut slots = self.slots.lock();
            let mut txn = writing.writer.begin(&ShardSet::none(), Viewer::Stream, db);
            engine.observe(&mut txn, |txn| {
                for key in some {
                    slots.settle(txn, db, key);
                }
            });
            self.tell(engine);
            drop(txn);
            engine.serve_blocked(&mut writing);
        }
    }
}

/// The keys of a database that `wanted` wants. Those that come or go meanwhile may be among them, or not.
fn keys_of(keyspace: &Arc<store::Keyspace>, db: u32, wanted: impl Fn(&[u8]) -> bool) -> Vec<Box<[u8]>> {
    let view = View::new(keyspace, &ShardSet::none(), Viewer::Stream, db);
    let mut keys: Vec<Box<[u8]>> = Vec::new();
    view.for_each(db, |entry| {
        if wanted(entry.key()) {
            keys.push(entry.key().into());
        }
    });
    keys
}
