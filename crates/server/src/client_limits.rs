//! What clients may cost: how many they are, how long they may be silent, and what may wait for them. All of it can
//! be changed by CONFIG SET.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::clients::Client;
use crate::engine::Engine;
use crate::listener::Address;
use crate::observed::Threshold;
use crate::options::Options;
use crate::outbox::{OutputLimit, OutputLimits};

/// Who is told so is too many.
const FULL: &str = "-ERR max number of clients reached\r\n";

/// The limits, and how often each was reached.
#[derive(Debug)]
pub(crate) struct ClientLimits {
    /// `protected-mode`.
    pub(crate) protected: AtomicBool,
    /// `maxclients`.
    pub(crate) clients: Threshold,
    /// `timeout`, in seconds; 0: none.
    pub(crate) idle: Threshold,
    /// `tcp-keepalive`, in seconds; 0: the system does not look.
    pub(crate) keepalive: Threshold,
    /// `client-query-buffer-limit`, in bytes.
    pub(crate) query: Threshold,
    /// `maxmemory-clients`: bytes, or as a negative number the percentage of `maxmemory`; 0: no limit.
    pub(crate) memory: Threshold,
    /// `client-output-buffer-limit`, but for replicas.
    pub(crate) output: Arc<OutputLimits>,
    /// Connections that were refused.
    pub(crate) rejected: AtomicU64,
    /// Requests that were too large.
    pub(crate) query_exceeded: AtomicU64,
    /// Clients hung up on because all of them took too much.
    pub(crate) evicted: AtomicU64,
}

impl ClientLimits {
    pub(crate) fn new(options: &Options) -> Self {
        let seconds = |time: Duration| Threshold::new(i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
        Self {
            protected: AtomicBool::new(options.protected_mode),
            clients: Threshold::new(options.max_clients.into()),
            idle: seconds(options.idle_timeout),
            keepalive: seconds(options.tcp_keepalive),
            query: Threshold::new(1 << 30),
            memory: Threshold::new(0),
            output: Arc::default(),
            rejected: AtomicU64::new(0),
            query_exceeded: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }
    }

    /// How often somebody looks after the clients.
    pub(crate) fn period(&self) -> Duration {
        Duration::from_millis(if self.memory.get() == 0 { 1000 } else { 100 })
    }

    pub(crate) fn reset_counts(&self) {
        for counter in [&self.rejected, &self.query_exceeded, &self.evicted, &self.output.exceeded] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

/// `client-output-buffer-limit`, all classes.
pub(crate) fn output_limits(engine: &Engine) -> String {
    let output = &engine.client_limits.output;
    let classes = [
        ("normal", output.normal.get()),
        ("slave", engine.serving.read().output()),
        ("pubsub", output.pubsub.get()),
    ];
    let spelled = classes
        .map(|(class, limit)| format!("{class} {} {} {}", limit.hard, limit.soft, limit.patience.as_secs()));
    spelled.join(" ")
}

/// Limits by class, from quadruples of class, hard limit, soft limit and seconds.
pub(crate) fn parse_output_limits(text: &str) -> Result<Vec<(Class, OutputLimit)>, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let quads = words.chunks_exact(4);
    if !quads.remainder().is_empty() {
        return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
    }
    quads
        .map(|quad| {
            let class = match quad[0].to_ascii_lowercase().as_str() {
                "normal" => Class::Normal,
                "slave" | "replica" => Class::Replica,
                "pubsub" => Class::PubSub,
                _ => return Err("Invalid client class specified in buffer limit configuration.".to_owned()),
            };
            let size = |text: &str| {
                crate::settings::memory_value(text.as_bytes()).and_then(|n| u64::try_from(n).ok())
            };
            match (size(quad[1]), size(quad[2]), quad[3].parse().map(Duration::from_secs)) {
                (Some(hard), Some(soft), Ok(patience)) => Ok((class, OutputLimit { hard, soft, patience })),
                _ => {
                    Err("Error in hard, soft or soft_seconds setting in buffer limit configuration."
                        .to_owned())
                }
            }
        })
        .collect()
}

/// Sets those limits that the text names.
pub(crate) fn set_output_limits(engine: &Engine, text: &str) {
    for (class, limit) in parse_output_limits(text).unwrap_or_default() {
        match class {
            Class::Normal => engine.client_limits.output.normal.set(limit),
            Class::Replica => engine.change_serving(|serving| serving.set_output(limit)),
            Class::PubSub => engine.client_limits.output.pubsub.set(limit),
        }
    }
}

/// Clients that have limits of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Normal,
    Replica,
    PubSub,
}

impl Engine {
    /// What to tell somebody at the door who must not come in.
    pub(crate) fn refusal(&self, peer: &Address) -> Option<String> {
        let most = usize::try_from(self.client_limits.clients.get()).unwrap_or(usize::MAX);
        if self.clients.len() >= most {
            return Some(FULL.to_owned());
        }
        let differences = self.compat().differences();
        let closed = self.client_limits.protected.load(Ordering::Relaxed)
            && self.acl.default_user().is_open()
            && !peer.is_trusted(self.compat());
        closed.then(|| format!("{}\r\n", differences.protected_mode))
    }

    /// Bytes that all clients may take; none if there is no limit.
    fn client_memory(&self) -> Option<u64> {
        let limit = self.client_limits.memory.get();
        match u64::try_from(limit) {
            Ok(0) => None,
            Ok(bytes) => Some(bytes),
            Err(_) => {
                let all = u64::try_from(self.keyspace.limits().max_memory()).unwrap_or(0);
                (all > 0).then(|| all / 100 * limit.unsigned_abs().min(100))
            }
        }
    }

    /// Hangs up on those who have been silent for too long, who have not read for too long, and on the largest while
    /// all of them are too large. The housekeeper calls it.
    pub(crate) fn look_after_clients(&self) {
        let idle = u64::try_from(self.client_limits.idle.get()).unwrap_or(0);
        let room = self.client_memory();
        let (mut all, mut large) = (0, Vec::new());
        self.clients.each(|client| {
            if idle > 0
                && client.active.elapsed() >= Duration::from_secs(idle)
                && self.may_be_held_to_speak(client)
            {
                tracing::debug!(client = client.id, "silent for too long: hung up");
                client.stop.cancel();
            }
            if let Some(outbox) = &client.outbox {
                outbox.look(Instant::now());
            }
            if room.is_some() && !client.is_replica {
                let size = client.memory();
                all += size;
                if !client.no_evict {
                    large.push((size, client.id, client.stop.clone()));
                }
            }
        });
        let Some(room) = room.filter(|room| all > *room) else { return };
        large.sort_unstable_by_key(|(size, id, _)| (std::cmp::Reverse(*size), *id));
        for (size, id, stop) in large {
            if all <= room {
                break;
            }
            tracing::warn!(client = id, size, "clients take too much memory: hung up on the largest");
            stop.cancel();
            self.client_limits.evicted.fetch_add(1, Ordering::Relaxed);
            all -= size;
        }
    }

    /// Whether silence is held against a client: those who wait, or only listen, have nothing to say.
    fn may_be_held_to_speak(&self, client: &Client) -> bool {
        !client.is_replica
            && !client.is_monitor
            && client.listens == (0, 0, 0)
            && !self.blocked.has(client.id)
    }
}
