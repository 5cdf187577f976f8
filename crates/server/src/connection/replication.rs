//! ROLE, and what a replica of ours says.

use std::sync::Arc;

use replication::Feed;
use store::command::Flags;
use store::{Args, CommandError, CommandResult, Reply};

use super::rows;
use crate::connection::Out;
use crate::engine::Engine;
use crate::role::Role;
use crate::session::{After, Ground, Session, Wait};

rows! { "server";
    /// An internal command for configuring the replication stream.
    "replconf" -1 [Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT, Flags::NO_MULTI], since "3.0.0" => replconf;
    /// An internal command used in replication.
    "psync" -3 [Flags::ADMIN, Flags::NOSCRIPT, Flags::NO_MULTI], since "2.8.0" => replconf;
    /// Configures a server as replica of another, or promotes it to a master.
    "replicaof" 3 [Flags::ADMIN, Flags::STALE, Flags::NOSCRIPT], since "5.0.0" => replicaof;
    /// Sets a server as a replica of another, or promotes it to being a master.
    "slaveof" 3 [Flags::ADMIN, Flags::STALE, Flags::NOSCRIPT], since "1.0.0" => replicaof;
    /// An internal command used in replication.
    "sync" 1 [Flags::ADMIN, Flags::NOSCRIPT, Flags::NO_MULTI], since "1.0.0" => replconf;
    /// Blocks until the asynchronous replication of all preceding write commands sent by the connection is completed.
    "wait" 3 [], since "3.0.0" => wait;
    /// Blocks until all of the preceding write commands sent by the connection are written to the append-only file of the master and/or replicas.
    "waitaof" 4 [], since "7.2.0" => waitaof;
    /// Returns the replication role.
    "role" 1 [Flags::FAST, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "2.8.12" => role;
}

/// REPLCONF and PSYNC alike go to the connection's feed; after a PSYNC the connection is its alone.
fn replconf(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let engine = &session.engine;
    let is_psync = args.is(0, "psync") || args.is(0, "sync");
    if is_psync && !engine.is_writable() && !engine.sieve.is_idle() {
        return Err(CommandError::err("this replica keeps only a part of the data: attach to its primary"));
    }
    if is_psync && !engine.is_writable() && engine.cluster().is_some() {
        return Err(CommandError::err("this replica is a copy of a cluster: attach to its shards"));
    }
    if is_psync && !engine.is_writable() && !engine.link_is_up() {
        return Err(CommandError::coded("NOMASTERLINK Can't SYNC while not connected with my master"));
    }
    let options = engine.feed_options();
    let feed = session.feed.get_or_insert_with(|| Box::new(Feed::new(engine.uptime(), options)));
    if !is_psync {
        // Without the writer's lock: a script that has been running for long may hold it.
        feed.handle_replconf(engine.uptime(), args.from(1));
        while let Some(bytes) = feed.poll_reply() {
            out.encoder().raw(&bytes);
        }
        return Ok(());
    }
    let mut writing = engine.writing.lock();
    let primary = &mut writing.primary;
    engine.begin_history(primary);
    feed.handle_request(engine.uptime(), args.all(), primary)
        .map_err(|why| CommandError::Err(why.to_string().into()))?;
    drop(writing);
    if let Some(feed) = session.feed.take() {
        session.after = After::Feed(feed);
    }
    Ok(())
}

/// Promotes on purpose, or follows another primary.
fn replicaof(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let engine = &session.engine;
    if args.is(1, "no") && args.is(2, "one") {
        engine.promote();
        out.simple("OK");
        return Ok(());
    }
    if engine.cluster().is_some() {
        return Err(CommandError::err("REPLICAOF not allowed in cluster mode."));
    }
    let port = std::str::from_utf8(args.at(2)).ok().and_then(|text| text.parse::<u16>().ok());
    let port = port.ok_or_else(|| CommandError::err("Invalid master port"))?;
    let host = String::from_utf8_lossy(args.at(1)).into_owned();
    if engine.role() == (Role::Replica { host: host.clone(), port }) {
        out.simple("OK Already connected to specified master");
        return Ok(());
    }
    engine.replicate(&host, port).map_err(|error| CommandError::Err(error.to_string().into()))?;
    out.simple("OK");
    Ok(())
}

/// How many replicas have the client's last write; waits for them if they are not enough.
fn wait(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    let engine = &session.engine;
    if !engine.is_writable() {
        return Err(CommandError::err(
            "WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.",
        ));
    }
    let replicas = usize::try_from(args.int(1)?.max(0)).unwrap_or(usize::MAX);
    let timeout = wait_timeout(args.at(2))?;
    let offset = session.written;
    let now = engine.count_acked(offset);
    if now >= replicas || !matches!(ground, Ground::Free) {
        out.integer(i64::try_from(now).unwrap_or(i64::MAX));
        return Ok(());
    }
    let waiting = until_acked(Arc::clone(engine), offset, replicas, timeout);
    engine.ask_for_acks();
    session.after =
        After::Wait(Wait(Box::pin(async move { format!(":{}\r\n", waiting.await).into_bytes() })));
    Ok(())
}

/// Nothing here is written to an append-only file, and no replica of ours can say that it did: the honest
/// answer is 0 of each, at the end of the time.
fn waitaof(
    session: &mut Session,
    args: Args<'_>,
    out: Out<'_, '_>,
    ground: &mut Ground<'_, '_>,
) -> CommandResult {
    let engine = &session.engine;
    let local = args.int(1)?;
    if !(0..=1).contains(&local) {
        return Err(CommandError::err("value is out of range, value must between 0 and 1"));
    }
    let replicas = usize::try_from(args.int(2)?)
        .map_err(|_| CommandError::err("value is out of range, must be positive"))?;
    let timeout = wait_timeout(args.at(3))?;
    if !engine.is_writable() {
        return Err(CommandError::err(
            "WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local and are not propagated.",
        ));
    }
    if local > 0 {
        return Err(CommandError::err(
            "WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
        ));
    }
    if replicas == 0 || !matches!(ground, Ground::Free) {
        out.encoder().array(2);
        out.integer(0);
        out.integer(0);
        return Ok(());
    }
    let waiting = until_acked(Arc::clone(engine), u64::MAX, replicas, timeout);
    session.after = After::Wait(Wait(Box::pin(async move {
        waiting.await;
        b"*2\r\n:0\r\n:0\r\n".to_vec()
    })));
    Ok(())
}

/// Waits until so many replicas have come so far, or the time is over; answers how many have.
async fn until_acked(
    engine: Arc<Engine>,
    offset: u64,
    replicas: usize,
    timeout: Option<std::time::Duration>,
) -> usize {
    let mut acks = engine.acks.subscribe();
    let enough = async {
        loop {
            acks.borrow_and_update();
            if engine.count_acked(offset) >= replicas || acks.changed().await.is_err() {
                return;
            }
        }
    };
    match timeout {
        Some(time) => drop(tokio::time::timeout(time, enough).await),
        None => enough.await,
    }
    engine.count_acked(offset)
}

/// Milliseconds, 0 meaning for ever.
fn wait_timeout(text: &[u8]) -> Result<Option<std::time::Duration>, CommandError> {
    let ms = store::number::parse_i64(text)
        .ok_or_else(|| CommandError::err("timeout is not an integer or out of range"))?;
    match u64::try_from(ms) {
        Ok(0) => Ok(None),
        Ok(ms) => Ok(Some(std::time::Duration::from_millis(ms))),
        Err(_) => Err(CommandError::err("timeout is negative")),
    }
}

fn role(session: &mut Session, _: Args<'_>, out: Out<'_, '_>, _: &mut Ground<'_, '_>) -> CommandResult {
    let engine = &session.engine;
    let offset = |o: u64| i64::try_from(o).unwrap_or(i64::MAX);
    match engine.role() {
        Role::Primary => {
            let replicas: Vec<_> =
                engine.replicas.iter().map(|r| r.value().clone()).filter(|r| r.is_online()).collect();
            out.encoder().array(3);
            out.bulk(b"master");
            out.integer(offset(engine.position().map_or(0, |p| p.offset.0)));
            out.encoder().array(replicas.len());
            for replica in replicas {
                out.encoder().array(3);
                out.bulk(replica.ip.as_bytes());
                out.bulk(replica.port.to_string().as_bytes());
                out.bulk(replica.acked.to_string().as_bytes());
            }
        }
        Role::Replica { host, port } => {
            let state = crate::info::link_state(engine);
            out.encoder().array(5);
            out.bulk(b"slave");
            out.bulk(host.as_bytes());
            out.integer(port.into());
            out.bulk(state.as_bytes());
            out.integer(if state == "connected" {
                offset(engine.position().map_or(0, |p| p.offset.0))
            } else {
                -1
            });
        }
    }
    Ok(())
}
