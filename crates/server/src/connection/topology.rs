//! The topology that a copy shows to clients of clusters: one node, this one, which has every slot.
//!
//! A client that is told so sends everything here: reads are answered by the copy, whichever shard of which cluster the
//! keys come from, and writes go the way of `replica-writes`. Nobody is ever sent elsewhere by MOVED or ASK.
//!
//! The node is a primary in what it tells, since clients read from replicas only at times, and of slots that have a
//! primary. Its address is `replica-announce-ip` and `replica-announce-port` where these are set, else that by which the
//! client has come.

use store::{Aggregate, Args, CommandError, CommandResult, Reply, ShardSet, View, Viewer};

use super::Out;
use super::cluster::DISABLED;
use crate::engine::Engine;
use crate::filter::slot;
use crate::session::{Ground, Session};

const LAST_SLOT: u16 = 16383;
/// What a node's bus would listen at lies so far above its port.
const BUS: u32 = 10_000;

impl Engine {
    /// Whether clients are told that this is a cluster of one node.
    pub(crate) fn is_alone_in_cluster(&self) -> bool {
        self.shows_topology.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// How this node is called and reached.
struct Node {
    id: String,
    host: String,
    port: u16,
    offset: i64,
}

impl Node {
    fn of(session: &Session) -> Result<Self, CommandError> {
        let engine = &session.engine;
        if !engine.is_alone_in_cluster() {
            return Err(DISABLED);
        }
        let settings = engine.link_settings();
        let local = session.record.lock().local.ip();
        let host = settings.announce_ip.or_else(|| local.map(|ip| ip.to_canonical().to_string()));
        let port = Some(settings.announce_port).filter(|port| *port != 0);
        Ok(Self {
            id: engine.run_id(),
            host: host.unwrap_or_else(|| "127.0.0.1".to_owned()),
            port: port.unwrap_or_else(|| engine.port()),
            offset: i64::try_from(engine.stream_offset()).unwrap_or(i64::MAX),
        })
    }
}

/// CLUSTER MYID, and MYSHARDID: the shard is the node.
pub(super) fn myid(
    session: &mut Session,
    _: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    out.bulk(Node::of(session)?.id.as_bytes());
    Ok(())
}

pub(super) fn nodes(
    session: &mut Session,
    _: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let Node { id, host, port, .. } = Node::of(session)?;
    let bus = u32::from(port) + BUS;
    let line = format!("{id} {host}:{port}@{bus} myself,master - 0 0 1 connected 0-{LAST_SLOT}\n");
    out.verbatim("txt", line.as_bytes());
    Ok(())
}

pub(super) fn info(
    session: &mut Session,
    _: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    Node::of(session)?;
    let fields = [
        ("cluster_state", "ok"),
        ("cluster_slots_assigned", "16384"),
        ("cluster_slots_ok", "16384"),
        ("cluster_slots_pfail", "0"),
        ("cluster_slots_fail", "0"),
        ("cluster_known_nodes", "1"),
        ("cluster_size", "1"),
        ("cluster_current_epoch", "1"),
        ("cluster_my_epoch", "1"),
        ("cluster_stats_messages_sent", "0"),
        ("cluster_stats_messages_received", "0"),
        ("total_cluster_links_buffer_limit_exceeded", "0"),
    ];
    let text: String = fields.iter().map(|(name, value)| format!("{name}:{value}\r\n")).collect();
    out.verbatim("txt", text.as_bytes());
    Ok(())
}

pub(super) fn slots(
    session: &mut Session,
    _: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let Node { id, host, port, .. } = Node::of(session)?;
    out.encoder().array(1);
    out.encoder().array(3);
    out.integer(0);
    out.integer(LAST_SLOT.into());
    out.encoder().array(4);
    out.bulk(host.as_bytes());
    out.integer(port.into());
    out.bulk(id.as_bytes());
    out.encoder().array(0);
    Ok(())
}

pub(super) fn shards(
    session: &mut Session,
    _: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let Node { id, host, port, offset } = Node::of(session)?;
    out.encoder().array(1);
    out.aggregate(Aggregate::Map, 2);
    out.bulk(b"slots");
    out.encoder().array(2);
    out.integer(0);
    out.integer(LAST_SLOT.into());
    out.bulk(b"nodes");
    out.encoder().array(1);
    out.aggregate(Aggregate::Map, 7);
    out.bulk(b"id");
    out.bulk(id.as_bytes());
    out.bulk(b"port");
    out.integer(port.into());
    for (name, value) in [("ip", &*host), ("endpoint", &*host), ("role", "master")] {
        out.bulk(name.as_bytes());
        out.bulk(value.as_bytes());
    }
    out.bulk(b"replication-offset");
    out.integer(offset);
    out.bulk(b"health");
    out.bulk(b"online");
    Ok(())
}

/// CLUSTER LINKS and GETSLOTMIGRATIONS: a node alone has none.
pub(super) fn none(
    session: &mut Session,
    _: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    Node::of(session)?;
    out.encoder().array(0);
    Ok(())
}

pub(super) fn replicas(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    if Node::of(session)?.id.as_bytes() != args.at(2) {
        let name = String::from_utf8_lossy(args.at(2));
        return Err(CommandError::Err(format!("Unknown node {name}").into()));
    }
    out.encoder().array(0);
    Ok(())
}

fn slot_of(args: Args<'_>) -> Result<u16, CommandError> {
    let number = std::str::from_utf8(args.at(2)).ok().and_then(|text| text.parse::<u16>().ok());
    number.filter(|slot| *slot <= LAST_SLOT).ok_or(CommandError::err("Invalid slot"))
}

/// Looks at every key: there is no index of slots.
fn keys_in(
    session: &Session,
    wanted: u16,
    ground: &Ground<'_, '_>,
    mut each: impl FnMut(&[u8]),
) -> CommandResult {
    if matches!(ground, Ground::Txn(_)) {
        return Err(CommandError::err(
            "the keys of a slot are not looked for within a transaction or a script",
        ));
    }
    let view = View::new(session.engine.keyspace(), &ShardSet::none(), Viewer::Client, session.db);
    view.for_each(session.db, |entry| {
        if slot(entry.key()) == wanted {
            each(entry.key());
        }
    });
    Ok(())
}

pub(super) fn countkeysinslot(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    Node::of(session)?;
    let mut count: i64 = 0;
    keys_in(session, slot_of(args)?, ground, |_| count += 1)?;
    out.integer(count);
    Ok(())
}

pub(super) fn getkeysinslot(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    Node::of(session)?;
    let most = std::str::from_utf8(args.at(3)).ok().and_then(|text| text.parse::<usize>().ok());
    let most = most.ok_or(CommandError::err("Invalid number of keys"))?;
    let mut keys: Vec<Vec<u8>> = Vec::new();
    keys_in(session, slot_of(args)?, ground, |key| {
        if keys.len() < most {
            keys.push(key.to_vec());
        }
    })?;
    out.encoder().array(keys.len());
    keys.iter().for_each(|key| out.bulk(key));
    Ok(())
}
