//! How a replica is doing: its state as it changes, how fresh the data are, and a recorder for a metrics system.
//!
//! `cargo run --example monitoring [-- --master redis://host:port]`

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use replica::{Bound, Phase, Recorder, Replica, cmd};

/// Counts what a metrics system would be told.
#[derive(Default)]
struct Figures {
    commands: AtomicU64,
    nanoseconds: AtomicU64,
    keys: AtomicU64,
}

struct Counting(Arc<Figures>);

impl Recorder for Counting {
    fn record_sync_duration(&self, took: Duration) {
        println!("  recorder: a full sync took {took:?}");
    }

    fn record_command_processed(&self, _: &str, took: Duration) {
        self.0.commands.fetch_add(1, Ordering::Relaxed);
        self.0.nanoseconds.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
    }

    fn record_key_count(&self, keys: u64) {
        self.0.keys.store(keys, Ordering::Relaxed);
    }

    fn record_error(&self, kind: &str) {
        println!("  recorder: a connection failed ({kind})");
    }
}

#[tokio::main]
async fn main() -> Result<(), replica::Error> {
    let primary = replica_examples::primary(&[&["SET", "greeting", "hello"]]).await?;
    let figures = Arc::<Figures>::default();
    let settings = Replica::builder().name("monitored").metrics(Counting(Arc::clone(&figures)));
    let replica = settings.master(primary.url()).start().await?;

    // Each state of the link, until the data are there and the stream flows.
    let mut states = replica.watch_status();
    while let Some(status) = states.next().await {
        match &status.phase {
            Phase::Transfer { received, .. } => {
                let part = status
                    .fraction()
                    .map_or(String::new(), |part| format!(", {:.0} % of it all", part * 100.0));
                println!("full sync: {received} bytes{part}");
            }
            Phase::Down { reason, retry_in } => println!("down: {reason}; again in {retry_in:?}"),
            phase => println!("{phase:?}"),
        }
        if status.synced() && status.is_connected() {
            break;
        }
    }

    for i in 0..1000 {
        let (_, at) = replica.write(cmd!("SET", format!("monitored:{}", i % 10), i)).await?;
        if i == 999 {
            replica.wait_for(at).await?;
        }
    }
    let (status, fresh) = (replica.status(), replica.freshness());
    let synced = status.last_sync.and_then(|moment| moment.elapsed().ok()).unwrap_or_default();
    println!("{} keys in {} bytes, last full sync {synced:?} ago", status.keys, status.memory);
    println!("{} bytes received, {} commands applied", status.bytes_received, status.commands_applied);
    println!("{} full and {} partial syncs", status.full_syncs, status.partial_syncs);
    println!("behind by {} bytes, level {:?} ago", fresh.behind_bytes, fresh.age.unwrap_or_default());
    let commands = figures.commands.load(Ordering::Relaxed).max(1);
    println!("a command takes {} ns to apply", figures.nanoseconds.load(Ordering::Relaxed) / commands);
    // What a health check asks.
    match replica.require(Bound::WithinTime(Duration::from_secs(30))) {
        Ok(_) => println!("healthy"),
        Err(error) => println!("unhealthy: {error}"),
    }
    replica.shutdown().await
}
