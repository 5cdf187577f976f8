//! What the nodes say, and what follows: which shards there are, where their primaries are, who owns which slot.
//!
//! A node is believed about itself alone; of two that claim a slot, the one with the higher epoch has it. A slot changes
//! its owner here when the new owner's link has come as far as that shard was when it made the claim: then nothing
//! that was seen before is unseen again.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use replication::{Doing, Driver, LinkError, Position, Step};
use resp::{Limits, Protocol, Value, ValueDecoder};
use store::{ShardSet, Viewer};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::nodes::{self, Node, Place, SLOTS};
use super::slots::{NOBODY, ShardId, Slots};
use super::target::ShardTarget;
use super::{Cluster, Shard};
use crate::engine::Engine;
use crate::filter::Filter;
use crate::upstream::{Conn, UpstreamError, position_of};

/// How often the nodes are asked.
const INTERVAL: Duration = Duration::from_secs(1);
/// And while something is amiss, or on its way.
const HASTE: Duration = Duration::from_millis(100);
/// At least so much lies between two rounds.
const BREATH: Duration = Duration::from_millis(10);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long one waits for a link that is a little behind a claim.
const CATCH_UP: Duration = Duration::from_millis(500);
/// So many times nobody may claim to be a shard without slots before it is gone.
const MISSES: u64 = 3;

/// One node's answer.
struct Answer {
    nodes: Vec<Node>,
    position: Option<Position>,
}

impl Answer {
    fn me(&self) -> Option<&Node> {
        self.nodes.iter().find(|node| node.is_me)
    }
}

/// A primary, by its own words.
struct Claim {
    shard: ShardId,
    node: Node,
    position: Option<Position>,
}

/// Slots that are imported key by key, and by whom.
type Imports = HashMap<u16, ShardId>;

/// Asks and obeys until the engine is gone.
pub(super) async fn tend(engine: Weak<Engine>, cluster: Arc<Cluster>, seeds: Vec<Place>) {
    let mut known: HashSet<Place> = seeds.iter().cloned().collect();
    let mut conns: HashMap<Place, Conn> = HashMap::new();
    let hurry = Arc::clone(&cluster.hurry);
    loop {
        let Some(strong) = engine.upgrade() else { return };
        if cluster.closed.load(Ordering::Acquire) {
            return;
        }
        let round = cluster.round.fetch_add(1, Ordering::AcqRel) + 1;
        let imported = cluster.slots.lock().all_imports();
        let (answers, error) = ask_all(&strong, &known, &mut conns).await;
        let mut pause = INTERVAL;
        if answers.is_empty() {
            known.extend(seeds.iter().cloned());
            if let Some(reason) = error {
                pause = if reason.is_retryable() { HASTE } else { INTERVAL };
                // Later, the links tell themselves how they are.
                if cluster.shards.lock().is_empty() {
                    cluster.unreachable(reason, pause);
                }
            }
        } else {
            known = answers.iter().flat_map(|answer| &answer.nodes).filter_map(|n| n.place.clone()).collect();
            let is_settled = cluster.learn(&strong, &answers, &imported, round).await;
            if !is_settled {
                pause = HASTE;
            }
            let (tidied, engine) = (Arc::clone(&cluster), Arc::clone(&strong));
            let _ = tokio::task::spawn_blocking(move || tidied.tidy(&engine)).await;
            cluster.check_complete(&strong);
            cluster.publish();
            if is_settled {
                cluster.learned.store(round, Ordering::Release);
                strong.wake_all_followers();
            }
        }
        drop(strong);
        tokio::time::sleep(BREATH).await;
        let _ = timeout(pause, hurry.notified()).await;
    }
}

/// Asks all nodes at once. An error of one of them says why, if none has answered.
async fn ask_all(
    engine: &Arc<Engine>,
    known: &HashSet<Place>,
    conns: &mut HashMap<Place, Conn>,
) -> (Vec<Answer>, Option<LinkError>) {
    let mut asked = JoinSet::new();
    for place in known {
        let (engine, place, conn) = (Arc::clone(engine), place.clone(), conns.remove(place));
        asked.spawn(async move {
            let answer = timeout(PATIENCE, ask(&engine, &place, conn)).await;
            let answer = answer.unwrap_or_else(|_| Err(lost("no answer in time")));
            (place, answer)
        });
    }
    let (mut answers, mut why): (_, Option<LinkError>) = (Vec::new(), None);
    while let Some(done) = asked.join_next().await {
        match done {
            Ok((place, Ok((answer, conn)))) => {
                conns.insert(place, conn);
                answers.push(answer);
            }
            // What waiting will not cure is what somebody has to be told.
            Ok((_, Err(error))) => {
                if why.as_ref().is_none_or(LinkError::is_retryable) {
                    why = Some(error);
                }
            }
            Err(_) => {}
        }
    }
    (answers, why)
}

fn lost(reason: &str) -> LinkError {
    LinkError::Lost { doing: Doing::Handshake(Step::ClusterNodes), reason: reason.into() }
}

/// What an error at this step is, as a link would tell it.
fn failed(step: Step, error: UpstreamError) -> LinkError {
    match error {
        UpstreamError::Unreachable(reason) => reason,
        UpstreamError::Refused(line) => {
            LinkError::Refused { step, reply: line.trim_start_matches('-').into() }
        }
        other => lost(&other.to_string()),
    }
}

async fn ask(engine: &Engine, place: &Place, conn: Option<Conn>) -> Result<(Answer, Conn), LinkError> {
    let mut conn = match conn {
        Some(conn) => conn,
        None => {
            let opened = Conn::open(&engine.link_config(&place.0, place.1), &engine.link_login(), 0).await;
            opened.map_err(|error| failed(Step::Auth, error))?
        }
    };
    // The position is asked for after the claims: it has come at least as far as they were made.
    let requests: [&[&[u8]]; 2] = [&[b"CLUSTER", b"NODES"], &[b"INFO", b"replication"]];
    let replies = conn.call(0, Protocol::Resp2, &requests).await;
    let replies = replies.map_err(|error| failed(Step::ClusterNodes, error))?;
    let mut decoder = ValueDecoder::new(Limits::replies());
    decoder.feed(&replies[0]);
    let text = match decoder.next().ok().flatten() {
        Some(Value::Error(line)) => {
            let reply = String::from_utf8_lossy(&line).into();
            return Err(LinkError::Refused { step: Step::ClusterNodes, reply });
        }
        Some(value) => String::from_utf8_lossy(value.as_bytes().map_or(&[][..], |bytes| bytes)).into_owned(),
        None => return Err(lost("half a reply")),
    };
    Ok((Answer { nodes: nodes::parse(&text, place), position: position_of(&replies[1]) }, conn))
}

impl Cluster {
    /// Takes in what the nodes say, when they were asked while these slots were imported. Whether everything is as they
    /// say.
    async fn learn(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
        answers: &[Answer],
        imported: &Imports,
        round: u64,
    ) -> bool {
        if self.is_restored.swap(false, Ordering::AcqRel) {
            self.recognise(engine, answers);
        }
        let claims = self.claims(engine, answers);
        let mut is_settled = self.take_owners(engine, &claims, round).await;
        is_settled &= self.take_imports(engine, &claims, imported);
        self.drop_shards(engine, &claims);
        // Every slot that anybody speaks of has its shard.
        let spoken: HashSet<u16> = answers
            .iter()
            .flat_map(|a| &a.nodes)
            .flat_map(|node| node.slots.iter().cloned().flatten())
            .collect();
        let covered = {
            let slots = self.slots.lock();
            !spoken.is_empty() && spoken.iter().all(|slot| slots.owner(*slot) != NOBODY)
        };
        self.covered.fetch_or(covered, Ordering::AcqRel);
        if self.wanted().is_empty() && !claims.is_empty() {
            let (asked, reason) = ("CLUSTER NODES".into(), "the filter keeps none of the shards".into());
            self.unreachable(LinkError::NoPrimary { asked, reason }, INTERVAL);
        }
        is_settled && covered && self.all().iter().all(|shard| shard.is_streaming())
    }

    /// Whether the cluster is the one that was saved: some node of it is known. The data of another one go as soon as
    /// there are others.
    fn recognise(&self, engine: &Engine, answers: &[Answer]) {
        let mut nodes = answers.iter().flat_map(|answer| &answer.nodes);
        let shards = self.all();
        if nodes.any(|node| shards.iter().any(|shard| shard.members.lock().contains(&node.id))) {
            return;
        }
        let reason = "it is the copy of another cluster: none of its nodes is known here";
        tracing::warn!(reason, "the saved data set is refused: a full sync has to follow");
        engine.refuse_saved(reason);
        self.slots.lock().doubt_all();
    }

    /// Finds the shard of each node that says it is a primary, and turns its link there.
    fn claims(self: &Arc<Self>, engine: &Arc<Engine>, answers: &[Answer]) -> Vec<Claim> {
        let mut best: HashMap<ShardId, Claim> = HashMap::new();
        let mut primaries: Vec<(&Answer, &Node)> =
            answers.iter().filter_map(|a| Some((a, a.me()?))).filter(|(_, me)| me.is_primary).collect();
        // A node may be named by two addresses; of the answers one is enough.
        primaries.sort_by(|(_, a), (_, b)| (b.epoch, &b.id).cmp(&(a.epoch, &a.id)));
        primaries.dedup_by(|(_, a), (_, b)| a.id == b.id);
        for (answer, me) in primaries {
            let Some(place) = me.place.clone() else { continue };
            let mut members: HashSet<String> = answer
                .nodes
                .iter()
                .filter(|node| node.primary.as_ref() == Some(&me.id))
                .map(|node| node.id.clone())
                .collect();
            members.insert(me.id.clone());
            let all = self.all();
            let same = all.iter().find(|shard| shard.members.lock().contains(&me.id));
            let shard = same.cloned().unwrap_or_else(|| self.add(place.clone()));
            // Those with the higher epoch have come first.
            if best.contains_key(&shard.index) {
                continue;
            }
            for other in self.all().iter().filter(|other| other.index != shard.index) {
                other.members.lock().retain(|id| !members.contains(id));
            }
            shard.members.lock().extend(members);
            if shard.is_wanted() || wants(&engine.sieve.filter, &shard, me, &answer.nodes) {
                shard.wanted.store(true, Ordering::Release);
                self.turn(engine, &shard, place);
            } else {
                shard.missed.store(0, Ordering::Relaxed);
                *shard.place.lock() = place;
            }
            let claim = Claim { shard: shard.index, node: me.clone(), position: answer.position };
            best.insert(shard.index, claim);
        }
        best.into_values().collect()
    }

    fn add(&self, place: Place) -> Arc<Shard> {
        let mut shards = self.shards.lock();
        let free = (0..NOBODY).find(|index| !shards.contains_key(index)).unwrap_or(0);
        let shard = Arc::new(Shard::new(free, place));
        shards.insert(free, Arc::clone(&shard));
        shard
    }

    /// Lets a shard's link follow this primary.
    fn turn(self: &Arc<Self>, engine: &Arc<Engine>, shard: &Arc<Shard>, place: Place) {
        shard.missed.store(0, Ordering::Relaxed);
        let mut link = shard.link.lock();
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        if let Some(link) = &*link {
            let mut followed = shard.place.lock();
            if *followed != place {
                tracing::info!(shard = shard.index, host = %place.0, port = place.1, "another primary of a shard");
                link.follow(&place.0, place.1);
                *followed = place;
            }
            return;
        }
        tracing::info!(shard = shard.index, host = %place.0, port = place.1, "a shard");
        let mut config = engine.link_config(&place.0, place.1);
        // What was saved of this shard, if anything was.
        config.resume = shard.position().map(|held| (held, shard.stream_db.load(Ordering::Acquire)));
        let target = ShardTarget::new(Arc::clone(engine), Arc::clone(self), Arc::clone(shard));
        match Driver::spawn(config, target) {
            Ok(started) => {
                let (mut changes, cluster) = (started.watch(), Arc::downgrade(self));
                *link = Some(started);
                tokio::spawn(async move {
                    let mut was_streaming = false;
                    while changes.changed().await.is_ok() {
                        let is_streaming = changes.borrow_and_update().phase.is_streaming();
                        let Some(cluster) = cluster.upgrade() else { return };
                        if std::mem::replace(&mut was_streaming, is_streaming) && !is_streaming {
                            cluster.hurry.notify_one();
                        }
                        cluster.publish();
                    }
                });
            }
            Err(error) => tracing::error!(%error, "the link of a shard could not be made"),
        }
    }

    /// Gives slots to those who claim them, once their links have come so far. Whether all is given.
    async fn take_owners(&self, engine: &Arc<Engine>, claims: &[Claim], round: u64) -> bool {
        // Of several that claim a slot only the youngest counts, whether its link has come so far or not.
        let mut youngest: HashMap<u16, (u64, ShardId)> = HashMap::new();
        for claim in claims {
            for slot in claim.node.slots.iter().cloned().flatten() {
                let best = youngest.entry(slot).or_insert((claim.node.epoch, claim.shard));
                *best = (*best).max((claim.node.epoch, claim.shard));
            }
        }
        let mut all = true;
        for claim in claims {
            let Some(shard) = self.shards.lock().get(&claim.shard).cloned() else { continue };
            let (epoch, me) = (claim.node.epoch, claim.shard);
            let claimed: Vec<u16> = claim.node.slots.iter().cloned().flatten().collect();
            let is_mine = |slot: &u16| youngest.get(slot) == Some(&(epoch, me));
            let takes_away = |slots: &Slots| {
                let is_anothers = |slot: &u16| {
                    ![NOBODY, me].contains(&slots.owner(*slot)) && slots.is_open(*slot, me, epoch, round)
                };
                claimed.iter().filter(|slot| is_mine(slot)).any(is_anothers)
            };
            let is_younger = takes_away(&self.slots.lock());
            if is_younger && shard.is_wanted() && !reaches(&shard, claim.position).await {
                all = false;
                continue;
            }
            let _writing = engine.writing.lock();
            let mut slots = self.slots.lock();
            for slot in claimed.into_iter().filter(is_mine) {
                if slots.is_open(slot, me, epoch, round) {
                    slots.give(slot, me, epoch);
                } else {
                    all = false;
                }
            }
            *shard.asked.lock() = claim.position;
        }
        all
    }

    /// Which slots are taken over key by key. Whether none is.
    fn take_imports(&self, engine: &Arc<Engine>, claims: &[Claim], imported: &Imports) -> bool {
        let named: HashMap<u16, ShardId> = claims
            .iter()
            .flat_map(|claim| claim.node.importing.iter().map(|slot| (*slot, claim.shard)))
            .collect();
        let asked: HashSet<ShardId> = claims.iter().map(|claim| claim.shard).collect();
        let mut writing = engine.writing.lock();
        let mut slots = self.slots.lock();
        let (mut is_new, mut none) = (false, true);
        for slot in 0..SLOTS {
            let by = slots.importing(slot);
            match named.get(&slot) {
                Some(shard) if slots.owner(slot) != *shard => {
                    is_new |= slots.import(slot, *shard);
                    none = false;
                }
                None if by != NOBODY => {
                    none = false;
                    // The stream had told of it before the node was asked, and the node knows nothing of it any more,
                    // nor has it got the slot.
                    let is_old = imported.get(&slot) == Some(&by);
                    let is_over = asked.contains(&by) && self.is_level(by) || self.is_lost(by);
                    if is_old && is_over {
                        slots.stop_import(slot);
                    }
                }
                _ => {}
            }
        }
        if is_new {
            let mut txn = writing.writer.begin(&ShardSet::none(), Viewer::Stream, 0);
            engine.observe(&mut txn, |txn| slots.show_imports(txn));
            self.tell(engine);
        }
        none
    }

    /// Whether nothing of a shard's stream waits.
    fn is_level(&self, shard: ShardId) -> bool {
        let shard = self.shards.lock().get(&shard).cloned();
        shard.is_some_and(|shard| {
            let waiting = shard.link.lock().as_ref().map_or(0, |link| link.status().buffered.bytes);
            shard.is_streaming() && waiting == 0
        })
    }

    /// Whether nobody has claimed to be this shard for a while.
    fn is_lost(&self, shard: ShardId) -> bool {
        let shard = self.shards.lock().get(&shard).cloned();
        shard.is_none_or(|shard| shard.missed.load(Ordering::Relaxed) >= MISSES)
    }

    /// Leaves shards that have no slots, and whose primary is none any more.
    fn drop_shards(&self, engine: &Arc<Engine>, claims: &[Claim]) {
        let claimed: HashSet<ShardId> = claims.iter().map(|claim| claim.shard).collect();
        for shard in self.all().iter().filter(|shard| !claimed.contains(&shard.index)) {
            let missed = shard.missed.fetch_add(1, Ordering::Relaxed) + 1;
            if missed < MISSES || !self.slots.lock().is_without(shard.index) {
                continue;
            }
            tracing::info!(shard = shard.index, "a shard has left the cluster");
            shard.gone.store(true, Ordering::Release);
            self.forget(engine, std::iter::once(shard.index));
            self.let_go(shard);
            drop(shard.link.lock().take());
        }
    }
}

/// Whether a filter keeps anything of the shard of this primary, by its slots and by the nodes that it has or has had.
fn wants(filter: &Filter, shard: &Shard, me: &Node, nodes: &[Node]) -> bool {
    let named = || {
        let members = shard.members.lock();
        let places = nodes.iter().filter(|node| members.contains(&node.id)).filter_map(|n| n.place.as_ref());
        let is_at = |(host, port): &Place| filter.keeps_shard(&format!("{host}:{port}"));
        members.iter().any(|id| filter.keeps_shard(id)) || places.into_iter().any(is_at)
    };
    let mut slots = me.slots.iter().cloned().flatten().chain(me.importing.iter().copied());
    (!filter.names_shards() || named())
        && (!filter.names_slots() || slots.any(|slot| filter.keeps_slot(slot)))
}

/// Whether what a shard has brought goes up to this position, now or soon.
async fn reaches(shard: &Shard, position: Option<Position>) -> bool {
    let Some(position) = position else { return false };
    let end = Instant::now() + CATCH_UP;
    loop {
        if shard.holds(position) == Some(crate::histories::Held::Yes) {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
