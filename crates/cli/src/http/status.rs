//! What the HTTP port tells: readiness, figures, and everything that the page shows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use replica::{LinkStatus, Phase};
use serde_json::{Map, Value, json};
use server::{Census, Engine, Role};
use std::sync::Mutex;

/// How many keys and slow commands the page shows.
const ROWS: usize = 10;
/// The keyspace is walked again after this time, or after so many times what the last walk took.
const CENSUS_AGE: Duration = Duration::from_secs(10);
const CENSUS_REST: u32 = 50;

/// The engine, seen from the HTTP port.
pub struct Status {
    engine: Arc<Engine>,
    ready_within: Duration,
    census: Mutex<Walks>,
}

/// What a link does in words, and how far a full sync has come.
fn described(link: &LinkStatus) -> (String, Option<(u64, Option<u64>)>) {
    match &link.phase {
        Phase::Connecting => ("connecting".to_owned(), None),
        Phase::Handshake => ("handshake".to_owned(), None),
        &Phase::Transfer { received, total } => {
            let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
            (format!("full sync, {received}{of} bytes"), Some((received, total)))
        }
        Phase::Streaming => ("streaming".to_owned(), None),
        Phase::Down { reason, retry_in } => {
            let next = retry_in.saturating_sub(link.phase_since.elapsed()).as_secs_f64();
            (format!("down: {reason}; next try in {next:.0} s"), None)
        }
        Phase::Idle => ("following nobody".to_owned(), None),
        _ => ("stopped".to_owned(), None),
    }
}

/// The last walk over the keyspace, and whether one is on its way.
#[derive(Default)]
struct Walks {
    last: Option<(Instant, Arc<Census>)>,
    running: bool,
}

impl Status {
    pub fn new(engine: Arc<Engine>, ready_within: Duration) -> Self {
        Self { engine, ready_within, census: Mutex::default() }
    }

    /// Whether reads are as fresh as was asked for, or why not.
    pub fn ready(&self) -> Result<(), String> {
        if !self.engine.is_loaded() {
            return Err(format!("not synced: {}", self.link().0));
        }
        match self.engine.staleness() {
            Some(age) if age > self.ready_within => {
                let (age, bound) = (age.as_secs_f64(), self.ready_within.as_secs_f64());
                Err(format!(
                    "stale: nothing from the primary for {age:.1} s, the bound is {bound} s; {}",
                    self.link().0
                ))
            }
            _ => Ok(()),
        }
    }

    /// What the link does in words, and how far a full sync has come.
    fn link(&self) -> (String, Option<(u64, Option<u64>)>) {
        self.engine.link_status().map_or_else(|| ("no primary".to_owned(), None), |link| described(&link))
    }

    /// Each shard of a cluster that is followed.
    fn shards(&self) -> Vec<Value> {
        let shards = self.engine.shards().into_iter().map(|shard| {
            let slots: Vec<[u16; 2]> =
                shard.slots.iter().map(|range| [*range.start(), *range.end()]).collect();
            json!({
                "slots": slots,
                "primary": format!("{}:{}", shard.primary.0, shard.primary.1),
                "link": described(&shard.link).0,
                "position": shard.position.map(|held| held.to_string()),
                "behind": shard.behind_bytes,
                "lag": shard.lag().map(|lag| lag.as_secs_f64()),
                "aside": shard.keys_aside,
            })
        });
        shards.collect()
    }

    /// The text for Prometheus.
    pub fn metrics(&self) -> String {
        self.engine.metrics().to_string()
    }

    /// Everything that the page shows.
    pub fn json(self: Arc<Self>) -> Value {
        let (link, sync) = self.link();
        let primary = match self.engine.role() {
            // A Unix socket has a path alone.
            Role::Replica { host, port: 0 } => Some(host),
            Role::Replica { host, port } => Some(format!("{host}:{port}")),
            Role::Primary => None,
        };
        let ready = self.ready();
        let slow: Vec<Value> = self.engine.slow_commands(ROWS).into_iter().map(|slow| {
            let words: Vec<String> = slow.args.iter().map(|arg| arg.escape_ascii().to_string()).collect();
            json!({ "at": slow.at, "micros": slow.micros, "command": words.join(" "), "client": slow.client })
        }).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "compat": self.engine.compat().to_string(),
            "primary": primary,
            "link": link,
            "ready": ready.is_ok(),
            "reason": ready.err(),
            "sync": sync.map(|(received, total)| json!({ "received": received, "total": total })),
            "shards": self.shards(),
            "metrics": self.figures(),
            "slow": slow,
            "census": self.census().map(|census| json!({
                "seconds": census.took.as_secs_f64(),
                "types": census.types.iter().map(|of| json!({
                    "type": of.name, "keys": of.keys, "bytes": of.bytes,
                })).collect::<Vec<_>>(),
                "biggest": census.biggest.iter().map(|big| json!({
                    "key": big.key.escape_ascii().to_string(), "db": big.db, "type": big.name, "bytes": big.bytes,
                })).collect::<Vec<_>>(),
            })),
        })
    }

    /// Each metric: a number, or an object of numbers by the value of its label.
    fn figures(&self) -> Value {
        let mut all = Map::new();
        for metric in self.engine.metrics().all() {
            let mut by_label = Map::new();
            for sample in &metric.samples {
                let labels: Vec<&str> = sample.labels.iter().map(|(_, value)| value.as_str()).collect();
                by_label.insert(labels.join(" ") + sample.suffix, json!(sample.value));
            }
            let value = match by_label.remove("") {
                Some(value) if by_label.is_empty() => value,
                _ => Value::Object(by_label),
            };
            all.insert(metric.name.to_owned(), value);
        }
        Value::Object(all)
    }

    /// The last walk; begins another if that one is old. Nobody walks while nobody looks.
    fn census(self: &Arc<Self>) -> Option<Arc<Census>> {
        let mut walks = self.census.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let old = walks
            .last
            .as_ref()
            .is_none_or(|(at, census)| at.elapsed() > CENSUS_AGE.max(census.took * CENSUS_REST));
        if old && !walks.running && self.engine.is_loaded() {
            walks.running = true;
            let status = Arc::clone(self);
            std::thread::spawn(move || {
                let census = Arc::new(status.engine.census(ROWS));
                let mut walks = status.census.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                *walks = Walks { last: Some((Instant::now(), census)), running: false };
            });
        }
        walks.last.as_ref().map(|(_, census)| Arc::clone(census))
    }
}
