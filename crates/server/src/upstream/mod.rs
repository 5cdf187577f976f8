//! Writes that a replica passes on to its primary.
//!
//! ```text
//!  client -- SET k v --> session --> pool of connections --> primary
//!         <-- reply ----                             <-- reply
//!                          `-- forward-and-wait: until the stream has brought the effect
//! ```
//!
//! A replica refuses writes unless it is told to forward them ([`Writes`]). What is forwarded is checked against the
//! client's own rights here, and runs under the client's own name there ([`WritesAs`]): connections are kept by login,
//! and one that a client's command was lost on is not used again.

mod conn;
mod forward;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use replication::{LinkError, Offset, Position, ReplId};
use resp::{Protocol, Value, ValueDecoder};

use crate::engine::Engine;
use crate::histories::Held;
use crate::role::Role;
pub(crate) use conn::Conn;
pub(crate) use forward::Pinned;

/// Connections kept for each login while nobody needs them.
const KEPT: usize = 16;
/// And for so long.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// How long a reply may take that no blocking command holds up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a replica does with a write of a client (`replica-writes`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Writes {
    /// Refuses it: `READONLY`, as a real replica.
    #[default]
    Reject,
    /// Passes it on to the primary, and the primary's reply back.
    Forward,
    /// As [`Forward`](Self::Forward), and the reply comes once the effect can be read here: a client reads its own
    /// writes.
    ForwardAndWait,
}

impl Writes {
    const NAMES: [(&'static str, Self); 3] =
        [("reject", Self::Reject), ("forward", Self::Forward), ("forward-and-wait", Self::ForwardAndWait)];

    /// The one of this name.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        named(&Self::NAMES, name)
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_of(&Self::NAMES, self)
    }
}

/// Under which name a forwarded write runs on the primary (`replica-writes-as`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WritesAs {
    /// The client's: what it has given to AUTH or HELLO here is given to the primary. One that has given nothing is
    /// the primary's user `default` without a password.
    #[default]
    Client,
    /// The replication link's own.
    Link,
}

impl WritesAs {
    const NAMES: [(&'static str, Self); 2] = [("client", Self::Client), ("link", Self::Link)];

    /// The one of this name.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        named(&Self::NAMES, name)
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        name_of(&Self::NAMES, self)
    }
}

fn named<T: Copy>(names: &[(&str, T)], name: &[u8]) -> Option<T> {
    names.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}

fn name_of<T: PartialEq>(names: &[(&'static str, T)], value: T) -> &'static str {
    names.iter().find(|(_, known)| *known == value).map_or("", |(name, _)| name)
}

/// What is given to AUTH; nothing for whoever has not been asked.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Login(Option<Arc<[Vec<u8>]>>);

impl Login {
    /// The arguments of AUTH: a password, or a user and a password.
    pub(crate) fn new(words: &[&[u8]]) -> Self {
        Self(Some(words.iter().map(|word| word.to_vec()).collect()))
    }

    fn words(&self) -> Option<&[Vec<u8>]> {
        self.0.as_deref()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Login(..)" } else { "Login" })
    }
}

/// Why a write did not get through to the primary, or its reply not back.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// This server has no primary.
    #[error("this server follows nobody")]
    NoPrimary,
    /// The primary cannot be reached. Nothing was sent.
    #[error("{0}")]
    Unreachable(#[from] LinkError),
    /// The primary does not let this user in. Nothing was sent.
    #[error("{0}")]
    Refused(String),
    /// The connection ended after the command was sent and before its reply came: it may have run.
    #[error("the connection to the primary ended before its reply, the write may have been done: {0}")]
    Lost(String),
    /// The reply is that the primary does not say how far its history goes; the command has run.
    #[error("the primary does not tell its offset: {0}")]
    NoPosition(String),
    /// The data set is of another history by now, in which that position means nothing.
    #[error("the data set has another history than that of {0}")]
    OtherHistory(Position),
}

impl UpstreamError {
    /// Whether it is certain that the primary has not run the command.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::NoPrimary | Self::Unreachable(_) | Self::Refused(_))
    }

    /// The line for a client.
    fn line(&self) -> String {
        match self {
            Self::Refused(line) => line.clone(),
            Self::NoPrimary | Self::Unreachable(_) => {
                format!("MASTERDOWN The write could not be forwarded: {self}")
            }
            _ => format!("ERR {self}"),
        }
    }
}

/// The connections to the primary, and what went over them.
#[derive(Debug, Default)]
pub(crate) struct Upstream {
    idle: Mutex<Idle>,
    pub(crate) forwarded: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// Writes whose effect was not here in time, or could not be waited for.
    pub(crate) unseen: AtomicU64,
}

#[derive(Debug, Default)]
struct Idle {
    /// To which primary these lead: the term of the link.
    term: u64,
    conns: HashMap<(Login, Place), Vec<(Conn, Instant)>>,
}

/// Host and port of a primary.
pub(crate) type Place = (String, u16);

impl Idle {
    fn turn_to(&mut self, term: u64) {
        if self.term != term {
            self.term = term;
            self.conns.clear();
        }
        let now = Instant::now();
        self.conns.retain(|_, conns| {
            conns.retain(|(_, since)| now.duration_since(*since) < KEPT_FOR);
            !conns.is_empty()
        });
    }
}

impl Engine {
    /// What happens to a client's write: this is a replica that forwards it, or nobody does.
    pub(crate) fn forwards(&self) -> Option<Writes> {
        if !self.following.is_particular() || self.is_writable() {
            return None;
        }
        let writes = self.following.settings.read().writes;
        (writes != Writes::Reject).then_some(writes)
    }

    /// The login of the replication link.
    pub(crate) fn link_login(&self) -> Login {
        let settings = self.following.settings.read();
        let Some(password) = &settings.password else { return Login::default() };
        let user = settings.user.as_ref().map(String::as_bytes);
        Login::new(&user.into_iter().chain([password.as_bytes()]).collect::<Vec<_>>())
    }

    /// Whose keys these commands are about: of a cluster, the shard that has the first of them.
    fn primary_of(&self, requests: &[&[&[u8]]]) -> Result<Place, UpstreamError> {
        let Role::Replica { host, port } = self.role() else { return Err(UpstreamError::NoPrimary) };
        let Some(cluster) = self.cluster() else { return Ok((host, port)) };
        let mut first = None;
        for request in requests.iter().filter(|request| !request.is_empty()) {
            let args = store::Args::new(request);
            if let Some(row) = store::command::find(args) {
                row.keys.each(args, |key| {
                    first.get_or_insert_with(|| crate::filter::slot(key));
                });
            } else if args.len() > 3 && ["eval", "evalsha", "fcall"].iter().any(|name| args.is(0, name)) {
                first = first.or_else(|| Some(crate::filter::slot(args.at(3))));
            }
        }
        cluster.primary_of(first).ok_or(UpstreamError::NoPrimary)
    }

    /// A connection to this primary under this login: one that is kept, or a new one.
    async fn reach_primary(&self, login: &Login, place: &Place) -> Result<Conn, UpstreamError> {
        let term = self.following.term();
        loop {
            let kept = {
                let mut idle = self.upstream.idle.lock();
                idle.turn_to(term);
                idle.conns.get_mut(&(login.clone(), place.clone())).and_then(Vec::pop)
            };
            match kept {
                Some((mut conn, _)) => {
                    if conn.is_alive() {
                        return Ok(conn);
                    }
                }
                None => break,
            }
        }
        Conn::open(&self.link_config(&place.0, place.1), login, term).await
    }

    /// Runs commands, all sent at once, on this connection or one to the primary that has their keys; in a cluster, goes
    /// where the reply to the first sends it.
    async fn converse(
        &self,
        login: &Login,
        conn: Option<Conn>,
        db: u32,
        protocol: Protocol,
        requests: &[&[&[u8]]],
        blocks: bool,
    ) -> Result<(Vec<Vec<u8>>, Conn), UpstreamError> {
        // Somebody who watches keys there stays there.
        let may_turn = conn.is_none();
        let mut conn = match conn {
            Some(conn) => conn,
            None => self.reach_primary(login, &self.primary_of(requests)?).await?,
        };
        let (mut asking, mut moves) = (None, if self.cluster().is_some() { MOVES } else { 0 });
        loop {
            let all: Vec<&[&[u8]]> = asking.into_iter().chain(requests.iter().copied()).collect();
            let call = conn.call(db, protocol, &all);
            let mut replies = if blocks { call.await? } else { in_time(call).await? };
            replies.drain(..all.len() - requests.len());
            let elsewhere = moved(&replies[0], conn.place()).or_else(|| {
                let of_transaction = may_turn.then(|| moved_as_a_whole(&replies, conn.place()))?;
                of_transaction.map(|place| (place, false))
            });
            match elsewhere.filter(|_| moves > 0) {
                Some((place, asks)) => {
                    self.keep(login.clone(), conn);
                    conn = self.reach_primary(login, &place).await?;
                    asking = asks.then_some(ASKING);
                    moves -= 1;
                }
                None => return Ok((replies, conn)),
            }
        }
    }

    /// A connection that is in order is kept for the next.
    fn keep(&self, login: Login, conn: Conn) {
        let mut idle = self.upstream.idle.lock();
        idle.turn_to(self.following.term());
        if conn.term() == idle.term {
            let kept = idle.conns.entry((login, conn.place().clone())).or_default();
            if kept.len() < KEPT {
                kept.push((conn, Instant::now()));
            }
        }
    }

    /// Where the primary's history ends now, at the earliest.
    async fn primary_position(&self, place: &Place) -> Result<Position, UpstreamError> {
        let login = self.link_login();
        let mut conn = self.reach_primary(&login, place).await?;
        let request: [&[u8]; 2] = [b"INFO", b"replication"];
        let reply = in_time(conn.call(0, Protocol::Resp2, &[&request])).await?;
        let position = position_of(&reply[0]);
        self.keep(login, conn);
        position.ok_or_else(|| {
            UpstreamError::NoPosition(
                String::from_utf8_lossy(&reply[0]).trim_end().chars().take(200).collect(),
            )
        })
    }

    /// Runs a command on the primary under the link's own login, whatever `replica-writes` says, and tells where the
    /// history stands behind it: once [`reach`](Self::reach) has that position, its effect is visible here. It may be
    /// dropped at any time; the command may have run then.
    ///
    /// # Errors
    /// The primary cannot be reached, or was lost before the reply. An error reply of the primary is a value.
    pub async fn write_through(
        &self,
        db: u32,
        command: &[impl AsRef<[u8]> + Sync],
    ) -> Result<(Value, Position), UpstreamError> {
        let login = self.link_login();
        let command: Vec<&[u8]> = command.iter().map(AsRef::as_ref).collect();
        let ask: [&[u8]; 2] = [b"INFO", b"replication"];
        // It may be one that blocks.
        let conversed = self.converse(&login, None, db, Protocol::Resp3, &[&command, &ask], true).await;
        let (replies, conn) = conversed.inspect_err(|error| {
            if !error.is_unsent() {
                count(&self.upstream.failed);
            }
        })?;
        count(&self.upstream.forwarded);
        let mut decoder = ValueDecoder::new(resp::Limits::replies());
        decoder.feed(&replies[0]);
        let reply = decoder.next().ok().flatten();
        let reply = reply.ok_or_else(|| UpstreamError::Lost("half a reply".to_owned()))?;
        let position = position_of(&replies[1])
            .ok_or_else(|| UpstreamError::NoPosition(String::from_utf8_lossy(&replies[1]).into_owned()))?;
        // What the command has done to the connection (SELECT, CLIENT REPLY) is not for the next.
        let touches_data = store::command::find(store::Args::new(&command)).is_some();
        if touches_data {
            self.keep(login, conn);
        }
        Ok((reply, position))
    }

    /// Waits until everything up to `at` can be read here.
    ///
    /// # Errors
    /// [`UpstreamError::OtherHistory`]: the data set was replaced by one of a history that does not contain it.
    pub async fn reach(&self, at: Position) -> Result<(), UpstreamError> {
        let mut offsets = self.watch_offset();
        loop {
            offsets.borrow_and_update();
            match self.holds(at) {
                Held::Yes => return Ok(()),
                Held::Never => return Err(UpstreamError::OtherHistory(at)),
                Held::NotYet => {}
            }
            if offsets.changed().await.is_err() {
                return Err(UpstreamError::NoPrimary);
            }
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What a primary that answers at all answers by then.
async fn in_time<T>(reply: impl Future<Output = Result<T, UpstreamError>>) -> Result<T, UpstreamError> {
    match tokio::time::timeout(PATIENCE, reply).await {
        Ok(reply) => reply,
        Err(_) => Err(UpstreamError::Lost(format!("no reply for {} s", PATIENCE.as_secs()))),
    }
}

/// What a node wants to hear that is about to get the key.
const ASKING: &[&[u8]] = &[b"ASKING"];
/// So often one goes where one is sent.
const MOVES: u32 = 8;

/// Where a reply of this node sends the client, and whether it has to ask there first.
fn moved(reply: &[u8], here: &Place) -> Option<(Place, bool)> {
    let line = std::str::from_utf8(reply).ok()?.trim_end();
    let (asks, rest) = match line.strip_prefix("-ASK ") {
        Some(rest) => (true, rest),
        None => (false, line.strip_prefix("-MOVED ")?),
    };
    let (host, port) = rest.split_once(' ')?.1.rsplit_once(':')?;
    // A node that does not know its own address leaves it out.
    let host = if host.is_empty() { &here.0 } else { host };
    Some(((host.to_owned(), port.parse().ok()?), asks))
}

/// Where the replies to a transaction send the whole of it: a command was refused for its slot, and so nothing has run.
/// A slot on its way takes no transactions: they are refused until it is there.
fn moved_as_a_whole(replies: &[Vec<u8>], here: &Place) -> Option<Place> {
    let (last, queued) = replies.split_last()?;
    if !last.starts_with(b"-EXECABORT ") {
        return None;
    }
    queued.iter().find_map(|reply| moved(reply, here)).filter(|(_, asks)| !asks).map(|(place, _)| place)
}

/// The id and the offset in the reply to INFO replication.
pub(crate) fn position_of(reply: &[u8]) -> Option<Position> {
    let text = std::str::from_utf8(reply).ok()?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(str::trim)
    };
    let replid = ReplId::parse(field("master_replid")?.as_bytes())?;
    Some(Position { replid, offset: Offset(field("master_repl_offset")?.parse().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the guide shows of each error. A new one does not compile without.
    fn in_the_guide(error: &UpstreamError) -> &'static str {
        match error {
            UpstreamError::NoPrimary => "this server follows nobody",
            UpstreamError::Unreachable(_) => "cannot connect to ",
            UpstreamError::Refused(_) => "NOPERM ",
            UpstreamError::Lost(_) => {
                "the connection to the primary ended before its reply, the write may have been done: "
            }
            UpstreamError::NoPosition(_) => "the primary does not tell its offset: ",
            UpstreamError::OtherHistory(_) => "the data set has another history than that of ",
        }
    }

    #[test]
    fn the_guide_tells_of_every_error() {
        let guide = include_str!("../../../../docs/troubleshooting.md");
        let unreachable = LinkError::Unreachable { address: "a:1".into(), reason: "refused".into() };
        let position = Position { replid: ReplId::random(), offset: Offset(1) };
        for error in [
            UpstreamError::NoPrimary,
            UpstreamError::Unreachable(unreachable),
            UpstreamError::Refused("NOPERM no".to_owned()),
            UpstreamError::Lost(String::new()),
            UpstreamError::NoPosition(String::new()),
            UpstreamError::OtherHistory(position),
        ] {
            let words = in_the_guide(&error);
            assert!(guide.contains(&format!("`{words}")), "{words}");
            assert!(error.to_string().starts_with(words), "{words}: {error}");
        }
    }
}
