//! What a session sends upstream: writes, scripts that may write, transactions with either, and WATCH.
//!
//! WATCH goes there as well, on a connection that stays this client's until EXEC, DISCARD or UNWATCH; its reply comes
//! once everything before it can be read here. So a transaction that goes by what was read here fails if anything has
//! changed since on the primary.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use resp::Protocol;
use smallvec::SmallVec;
use store::{Args, CommandError};

use super::{Conn, Login, Place, UpstreamError, Writes, WritesAs, count};
use crate::connection;
use crate::engine::Engine;
use crate::scripts::{self, Which};
use crate::session::{After, Found, Session, Wait};

/// How long the effect of a forwarded write may take to get here. Then the reply goes out without it: the write was
/// done, and an error would make the client do it again.
const EFFECT_PATIENCE: Duration = Duration::from_secs(10);

/// The connection on which the primary watches keys for a client.
pub(crate) type Pinned = Arc<Mutex<Option<Conn>>>;

type Owned = Vec<Box<[u8]>>;

fn owned(args: Args<'_>) -> Owned {
    args.all().iter().map(|arg| (*arg).into()).collect()
}

/// A conversation with the primary on a client's behalf.
struct Errand {
    engine: Arc<Engine>,
    login: Login,
    db: u32,
    protocol: Protocol,
    writes: Writes,
}

impl Errand {
    /// Runs commands on this connection or one of the pool. The reply to the last one is the client's.
    async fn run(
        &self,
        conn: Option<Conn>,
        requests: &[Owned],
        blocks: bool,
    ) -> Result<(Vec<u8>, Conn), UpstreamError> {
        let requests: Vec<Vec<&[u8]>> =
            requests.iter().map(|request| request.iter().map(AsRef::as_ref).collect()).collect();
        let requests: Vec<&[&[u8]]> = requests.iter().map(Vec::as_slice).collect();
        let conversed = self.engine.converse(&self.login, conn, self.db, self.protocol, &requests, blocks);
        let (mut replies, conn) = conversed.await?;
        Ok((replies.pop().unwrap_or_default(), conn))
    }

    /// Waits until what has been done on the primary can be read here.
    async fn see_effect(&self, place: &Place) -> Result<(), UpstreamError> {
        let at = self.engine.primary_position(place).await?;
        match tokio::time::timeout(EFFECT_PATIENCE, self.engine.reach(at)).await {
            Ok(reached) => reached,
            Err(_) => Err(UpstreamError::Lost(format!("the effect is not here after {EFFECT_PATIENCE:?}"))),
        }
    }

    /// A write, or a whole transaction, with everything around it; the bytes of the reply.
    async fn write(self, conn: Option<Conn>, requests: Vec<Owned>, blocks: bool) -> Vec<u8> {
        let upstream = &self.engine.upstream;
        let (reply, conn) = match self.run(conn, &requests, blocks).await {
            Ok(done) => done,
            Err(error) => {
                count(&upstream.failed);
                tracing::warn!(%error, "a write was not forwarded");
                return refusal(&error);
            }
        };
        count(&upstream.forwarded);
        let place = conn.place().clone();
        self.engine.keep(self.login.clone(), conn);
        if self.writes == Writes::ForwardAndWait
            && !reply.starts_with(b"-")
            && let Err(error) = self.see_effect(&place).await
        {
            count(&upstream.unseen);
            tracing::warn!(%error, "the effect of a forwarded write was not waited for");
        }
        reply
    }

    async fn watch(self, conn: Option<Conn>, request: Owned, pinned: Pinned) -> Vec<u8> {
        let watched = async {
            let (reply, conn) = self.run(conn, &[request], false).await?;
            if !reply.starts_with(b"-") {
                self.see_effect(conn.place()).await?;
            }
            Ok::<_, UpstreamError>((reply, conn))
        };
        match watched.await {
            Ok((reply, conn)) => {
                *pinned.lock() = Some(conn);
                reply
            }
            Err(error) => refusal(&error),
        }
    }
}

fn refusal(error: &UpstreamError) -> Vec<u8> {
    let mut out = Vec::new();
    resp::Encoder::new(&mut out, Protocol::Resp2).error(error.line().as_bytes());
    out
}

impl Session {
    fn errand(&self, writes: Writes) -> Errand {
        let link = self.engine.following.settings.read().writes_as == WritesAs::Link;
        Errand {
            engine: Arc::clone(&self.engine),
            login: if link { self.engine.link_login() } else { self.login.clone() },
            db: self.db,
            protocol: self.protocol,
            writes,
        }
    }

    fn wait_for(&mut self, reply: impl Future<Output = Vec<u8>> + Send + 'static) {
        self.after = After::Wait(Wait(Box::pin(reply)));
    }

    /// Whether the primary has to run this command: it writes, or is a script that might.
    pub(crate) fn is_for_primary(&self, found: &Found, args: Args<'_>) -> bool {
        let which = match found.name() {
            "function|load" | "function|delete" | "function|flush" | "function|restore" => return true,
            "eval" => Which::Source(args.at(1)),
            "evalsha" => Which::Digest(lua::Digest::from_hex(args.at(1))),
            "fcall" => Which::Function(args.at(1)),
            _ => return found.is_write(),
        };
        !scripts::flags(&self.engine, which).is_ok_and(|flags| flags.no_writes)
    }

    /// Lets the primary run a command; its reply comes later.
    pub(crate) fn forward(&mut self, writes: Writes, found: &Found, args: Args<'_>) {
        let blocks = found.flags().has(store::command::Flags::BLOCKING);
        let request = self.with_source(found, args).unwrap_or_else(|| owned(args));
        let errand = self.errand(writes);
        self.wait_for(errand.write(None, vec![request], blocks));
    }

    /// A script that was loaded here is known by its digest here alone.
    fn with_source(&self, found: &Found, args: Args<'_>) -> Option<Owned> {
        if found.name() != "evalsha" {
            return None;
        }
        let digest = lua::Digest::from_hex(args.at(1))?;
        let source = self.engine.scripts.known().find(digest)?.source().into();
        let mut request = owned(args);
        request[0] = (*b"EVAL").into();
        request[1] = source;
        Some(request)
    }

    /// Lets the primary run what was queued, and everything that goes with it; false if all of it can run here.
    pub(crate) fn forward_transaction(
        &mut self,
        queued: &[SmallVec<[&[u8]; 8]>],
        pinned: Option<Pinned>,
    ) -> Result<bool, CommandError> {
        let Some(writes) = self.forwards() else { return Ok(false) };
        let compat = self.engine.compat();
        let mut requests: Vec<Owned> = vec![vec![(*b"MULTI").into()]];
        let (mut is_needed, mut obstacle) = (false, None);
        for parts in queued {
            let args = Args::new(parts);
            let Some(found) = Found::named(compat, args) else { continue };
            is_needed |= self.is_for_primary(&found, args);
            if changes_connection(&found) {
                obstacle.get_or_insert_with(|| found.name());
            }
            requests.push(self.with_source(&found, args).unwrap_or_else(|| owned(args)));
        }
        if !is_needed {
            return Ok(false);
        }
        if let Some(name) = obstacle {
            let text = format!(
                "EXECABORT Transaction discarded because of: '{name}' cannot go to the primary with its writes"
            );
            return Err(CommandError::Coded(text.into()));
        }
        requests.push(vec![(*b"EXEC").into()]);
        let conn = pinned.and_then(|pinned| pinned.lock().take());
        let errand = self.errand(writes);
        self.wait_for(errand.write(conn, requests, false));
        Ok(true)
    }

    /// WATCH on the primary; false if this server does not forward.
    pub(crate) fn forward_watch(&mut self, args: Args<'_>) -> bool {
        let Some(writes) = self.forwards() else { return false };
        let pinned = Arc::clone(self.pinned.get_or_insert_default());
        let conn = pinned.lock().take();
        let errand = self.errand(writes);
        self.wait_for(errand.watch(conn, owned(args), pinned));
        true
    }

    /// Nothing is watched any more.
    pub(crate) fn forget_watch(&mut self) {
        self.watch = None;
        self.pinned = None;
    }
}

/// Whether a command is about the client's own connection, which is not the one to the primary.
fn changes_connection(found: &Found) -> bool {
    match found {
        Found::Data(_) => false,
        Found::Connection(row) => {
            let about_data = row.flags.has(connection::RUNS_SCRIPT)
                || row.name.starts_with("function|")
                || matches!(row.name, "ping" | "echo" | "time" | "publish" | "spublish");
            !about_data
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_one_line() {
        let error = UpstreamError::Lost("it was closed".to_owned());
        let line = refusal(&error);
        assert!(line.starts_with(b"-ERR the connection to the primary ended before its reply"));
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
}
