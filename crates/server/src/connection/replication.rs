//! ROLE, and what a replica of ours says.

use replication::Feed;
use store::command::Flags;
use store::{Args, CommandError, CommandResult, Reply};

use super::{NO_MULTI, rows};
use crate::engine::Role;
use crate::reply::RespReply;
use crate::session::{After, Ground, Session};

rows! { "server";
    /// An internal command for configuring the replication stream.
    "replconf" -1 [Flags::ADMIN, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT, NO_MULTI], since "3.0.0", cost "O(1)" => replconf;
    /// An internal command used in replication.
    "psync" -3 [Flags::ADMIN, Flags::NOSCRIPT, NO_MULTI], since "2.8.0", cost "O(1)" => replconf;
    /// Configures a server as replica of another, or promotes it to a master.
    "replicaof" 3 [Flags::ADMIN, Flags::STALE, Flags::NOSCRIPT], since "5.0.0", cost "O(1)" => replicaof;
    /// Sets a server as a replica of another, or promotes it to being a master.
    "slaveof" 3 [Flags::ADMIN, Flags::STALE, Flags::NOSCRIPT], since "1.0.0", cost "O(1)" => replicaof;
    /// Returns the replication role.
    "role" 1 [Flags::FAST, Flags::LOADING, Flags::STALE, Flags::NOSCRIPT], since "2.8.12", cost "O(1)" => role;
}

/// REPLCONF and PSYNC alike go to the connection's feed; after a PSYNC the connection is its alone.
fn replconf(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let engine = &session.engine;
    let is_psync = args.is(0, "psync");
    if is_psync && !engine.is_writable() && !engine.sieve.is_idle() {
        return Err(CommandError::err("this replica keeps only a part of the data: attach to its primary"));
    }
    if is_psync && !engine.is_writable() {
        return Err(CommandError::err(
            "this replica does not serve replicas of its own: attach to its primary",
        ));
    }
    let options = engine.feed_options();
    let feed = session.feed.get_or_insert_with(|| Box::new(Feed::new(engine.uptime(), options)));
    let mut writing = engine.writing.lock();
    let primary = &mut writing.primary;
    feed.handle_request(engine.uptime(), args.all(), primary)
        .map_err(|why| CommandError::Err(why.to_string().into()))?;
    if is_psync {
        drop(writing);
        if let Some(feed) = session.feed.take() {
            session.after = After::Feed(feed);
        }
        return Ok(());
    }
    while let Ok(Some(bytes)) = feed.poll_transmit(primary) {
        out.encoder().raw(&bytes);
    }
    Ok(())
}

/// Promotes on purpose, or follows another primary.
fn replicaof(
    session: &mut Session,
    args: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let engine = &session.engine;
    if args.is(1, "no") && args.is(2, "one") {
        engine.promote();
        out.simple("OK");
        return Ok(());
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

fn role(
    session: &mut Session,
    _: Args<'_>,
    out: &mut RespReply<'_>,
    _: &mut Ground<'_, '_>,
) -> CommandResult {
    let engine = &session.engine;
    let offset = |o: u64| i64::try_from(o).unwrap_or(i64::MAX);
    match engine.role() {
        Role::Primary => {
            let replicas: Vec<_> =
                engine.replicas.iter().map(|r| r.value().clone()).filter(|r| r.online).collect();
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
