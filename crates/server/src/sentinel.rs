//! Whom to follow, by the word of Sentinels.
//!
//! ```text
//!   Sentinel  <--- SENTINEL MASTER name, each second, and at +switch-master ---  one task for each
//!   Sentinel  <---                                                        ---        |
//!                                                                                    v  the highest epoch wins
//!   primary   <--- ROLE: is it one? ---------------------------------------------  steward --> Engine::replicate
//! ```
//!
//! The Sentinels that are named are the first to be asked; those that they know of are asked too. One that is lost is
//! tried again each second, and missed by nobody as long as another answers.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use replication::{Credentials, DriverConfig, LinkError};
use resp::{Limits, Protocol, Value, ValueDecoder};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::engine::Engine;
use crate::role::Role;
use crate::upstream::{Conn, Login, UpstreamError};

/// How often each Sentinel is asked.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Sentinels of one primary that are believed: more is no group of Sentinels.
const MOST: usize = 64;

/// The Sentinels of one primary.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Sentinels {
    /// What they call the primary.
    pub name: String,
    /// Where the first of them are.
    pub addresses: Vec<(String, u16)>,
    /// What they want to be told before they answer.
    pub credentials: Option<Credentials>,
}

impl Sentinels {
    /// Those at these addresses, who call the primary so.
    #[must_use]
    pub fn new(name: impl Into<String>, addresses: Vec<(String, u16)>) -> Self {
        Self { name: name.into(), addresses, credentials: None }
    }
}

/// What a Sentinel says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    /// Who says it.
    sentinel: (String, u16),
    host: String,
    port: u16,
    epoch: u64,
}

/// What comes of asking.
enum News {
    Told(Told),
    /// No Sentinel answers; what the last one said instead.
    Lost(LinkError),
}

/// What the tasks share.
struct Council {
    sentinels: Sentinels,
    /// How they are reached: TLS, and how long that may take.
    config: DriverConfig,
    known: Mutex<HashSet<(String, u16)>>,
    /// Those of them that do not answer.
    lost: Mutex<HashSet<(String, u16)>>,
    news: mpsc::Sender<News>,
}

impl Engine {
    /// Keeps this replica at the primary that Sentinels name, in the caller's runtime, until the engine is gone. While
    /// it is a primary itself nothing is done; where somebody has said REPLICAOF, that holds until the next failover.
    /// `config` tells how to reach a Sentinel; its host and port mean nothing.
    pub fn heed(self: &Arc<Self>, sentinels: Sentinels, config: DriverConfig) {
        let (news, heard) = mpsc::channel(16);
        let first = sentinels.addresses.clone();
        let council =
            Arc::new(Council { sentinels, config, known: Mutex::default(), lost: Mutex::default(), news });
        for (host, port) in first {
            ask_too(&council, host, port);
        }
        tokio::spawn(steward(Arc::downgrade(self), heard));
    }
}

/// Follows whoever was named last.
async fn steward(engine: Weak<Engine>, mut heard: mpsc::Receiver<News>) {
    let (mut epoch, mut followed) = (0, None);
    // The one before: who leads a failover names it with the new epoch for a moment.
    let mut left = None;
    while let Some(news) = heard.recv().await {
        let Some(engine) = engine.upgrade() else { return };
        let told = match news {
            News::Told(told) => told,
            News::Lost(reason) => {
                engine.lack_primary(reason);
                continue;
            }
        };
        let place = (told.host.clone(), told.port);
        let is_old = told.epoch < epoch || told.epoch == epoch && left.as_ref() == Some(&place);
        if is_old || followed.as_ref() == Some(&place) || engine.is_writable() {
            epoch = epoch.max(told.epoch);
            continue;
        }
        // Sentinels name who will be primary before it is one.
        if !is_primary(&engine, &told.host, told.port).await {
            tracing::debug!(host = %told.host, port = told.port, "named by a Sentinel, and not a primary yet");
            let reason = format!("it names {}:{}, which does not say that it is one", told.host, told.port);
            engine.lack_primary(lacking(&told.sentinel, reason));
            continue;
        }
        // REPLICAOF may have come from the Sentinels themselves meanwhile.
        let already =
            matches!(engine.role(), Role::Replica { host, port } if host == place.0 && port == place.1);
        if !already {
            tracing::info!(host = %told.host, port = told.port, epoch = told.epoch, "Sentinels name a primary");
            if let Err(error) = engine.replicate(&told.host, told.port) {
                tracing::error!(%error, "the link could not be made");
                continue;
            }
        }
        epoch = told.epoch;
        left = followed.replace(place);
    }
}

/// Whether that server says that it is one. Who does not let us ask is believed.
async fn is_primary(engine: &Engine, host: &str, port: u16) -> bool {
    let config = engine.link_config(host, port);
    let asked = async {
        let mut conn = Conn::open(&config, &engine.link_login(), 0).await?;
        conn.call(0, Protocol::Resp2, &[&[b"ROLE"]]).await
    };
    match timeout(PATIENCE, asked).await {
        Ok(Ok(replies)) => match value(&replies[0]) {
            Some(Value::Array(items)) => {
                items.first().and_then(Value::as_bytes).is_some_and(|role| role == "master")
            }
            Some(Value::Error(line)) => line.starts_with(b"NOPERM"),
            _ => false,
        },
        Ok(Err(_)) | Err(_) => false,
    }
}

/// Asks one more Sentinel from now on, unless it is asked already.
fn ask_too(council: &Arc<Council>, host: String, port: u16) {
    let is_new = {
        let mut known = council.known.lock();
        known.len() < MOST && known.insert((host.clone(), port))
    };
    if is_new {
        tokio::spawn(ask(Arc::clone(council), host, port));
    }
}

/// Asks one Sentinel until nobody listens any more.
async fn ask(council: Arc<Council>, host: String, port: u16) {
    let mut was_lost = false;
    let place = (host, port);
    while !council.news.is_closed() {
        // Nobody listens.
        let Err(error) = converse(&council, &place, &mut was_lost).await else { return };
        if !std::mem::replace(&mut was_lost, true) {
            tracing::warn!(host = %place.0, port, %error, "a Sentinel is lost");
        }
        let all_are_lost = {
            let mut lost = council.lost.lock();
            lost.insert(place.clone());
            lost.len() == council.known.lock().len()
        };
        if all_are_lost {
            let _ = council.news.send(News::Lost(lacking(&place, error.to_string()))).await;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn converse(
    council: &Arc<Council>,
    place: &(String, u16),
    was_lost: &mut bool,
) -> Result<(), UpstreamError> {
    let mut config = council.config.clone();
    config.host.clone_from(&place.0);
    config.port = place.1;
    let login = council.sentinels.credentials.as_ref().map(|credentials| {
        let user = credentials.user.as_ref().map(String::as_bytes);
        Login::new(&user.into_iter().chain([credentials.password.as_bytes()]).collect::<Vec<_>>())
    });
    let login = login.unwrap_or_default();
    let lost = || UpstreamError::Lost(format!("no answer for {} s", PATIENCE.as_secs()));
    let mut asked = Conn::open(&config, &login, 0).await?;
    let mut listened = Conn::open(&config, &login, 0).await?;
    listened.call(0, Protocol::Resp2, &[&[b"SUBSCRIBE", b"+switch-master"]]).await?;
    let name = council.sentinels.name.as_bytes();
    loop {
        let requests: [&[&[u8]]; 2] = [&[b"SENTINEL", b"MASTER", name], &[b"SENTINEL", b"SENTINELS", name]];
        let replies =
            timeout(PATIENCE, asked.call(0, Protocol::Resp2, &requests)).await.map_err(|_| lost())??;
        match value(&replies[0]) {
            Some(Value::Error(line)) => {
                return Err(UpstreamError::Refused(String::from_utf8_lossy(&line).into_owned()));
            }
            Some(fields) => {
                *was_lost = false;
                council.lost.lock().remove(place);
                if let Some(told) = told(place, &fields)
                    && council.news.send(News::Told(told)).await.is_err()
                {
                    return Ok(());
                }
            }
            None => return Err(lost()),
        }
        if let Some(Value::Array(others)) = value(&replies[1]) {
            for other in &others {
                if let (Some(host), Some(port)) = (text(other, "ip"), text(other, "port"))
                    && let Ok(port) = port.parse()
                {
                    ask_too(council, host, port);
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            message = listened.next() => drop(message?),
            () = council.news.closed() => return Ok(()),
        }
    }
}

fn value(reply: &[u8]) -> Option<Value> {
    let mut decoder = ValueDecoder::new(Limits::replies());
    decoder.feed(reply);
    decoder.next().ok().flatten()
}

/// A field of a flat list of names and values.
fn text(fields: &Value, name: &str) -> Option<String> {
    let Value::Array(items) = fields else { return None };
    let mut pairs = items.chunks_exact(2);
    let pair = pairs.find(|pair| pair[0].as_bytes().is_some_and(|field| field == name))?;
    pair[1].as_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// Why there is no primary, by what this Sentinel says.
fn lacking(sentinel: &(String, u16), reason: String) -> LinkError {
    LinkError::NoPrimary {
        asked: format!("Sentinel {}:{}", sentinel.0, sentinel.1).into(),
        reason: reason.trim_start_matches('-').into(),
    }
}

fn told(sentinel: &(String, u16), fields: &Value) -> Option<Told> {
    Some(Told {
        sentinel: sentinel.clone(),
        host: text(fields, "ip")?,
        port: text(fields, "port")?.parse().ok()?,
        epoch: text(fields, "config-epoch")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sentinel_says_is_read() {
        let reply = b"*8\r\n$4\r\nname\r\n$2\r\nmy\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n$4\r\nport\r\n$4\r\n7001\r\n$12\r\nconfig-epoch\r\n$2\r\n12\r\n";
        let sentinel = ("h".to_owned(), 1);
        let read = |reply: &[u8]| value(reply).and_then(|fields| told(&sentinel, &fields));
        let wanted = Told { sentinel: sentinel.clone(), host: "127.0.0.1".to_owned(), port: 7001, epoch: 12 };
        assert_eq!(read(reply), Some(wanted));
        assert_eq!(read(b"*2\r\n$2\r\nip\r\n"), None);
        assert_eq!(read(b"*2\r\n$2\r\nip\r\n$1\r\nx\r\n"), None);
    }
}
