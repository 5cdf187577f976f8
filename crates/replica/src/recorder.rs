//! Figures for a metrics system of the caller's.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use replication::LinkStatus;
use server::Engine;
use tokio::sync::watch;

/// Receives what a replica measures. Every method has an empty default: implement those that matter. Keys, memory and
/// bytes are told once a second, commands one by one from the thread that applies them: be brief.
///
/// ```
/// use replica::{Recorder, Replica};
/// use std::time::Duration;
///
/// struct Print;
///
/// impl Recorder for Print {
///     fn record_command_processed(&self, command: &str, took: Duration) {
///         println!("{command} took {took:?}");
///     }
/// }
///
/// let settings = Replica::builder().master("redis://cache.internal").metrics(Print);
/// # drop(settings);
/// ```
pub trait Recorder: Send + Sync + 'static {
    /// A full sync took so long.
    fn record_sync_duration(&self, took: Duration) {
        let _ = took;
    }
    /// A command of the stream was applied.
    fn record_command_processed(&self, command: &str, took: Duration) {
        let _ = (command, took);
    }
    /// So many bytes came from the primary since the last call.
    fn record_network_bytes(&self, bytes: u64) {
        let _ = bytes;
    }
    /// There are so many keys.
    fn record_key_count(&self, keys: u64) {
        let _ = keys;
    }
    /// The data take so many bytes.
    fn record_memory_usage(&self, bytes: u64) {
        let _ = bytes;
    }
    /// The link was made anew.
    fn record_reconnection(&self) {}
    /// A connection failed, for a reason of this sort; a command of the stream that could not be applied is `diverged`.
    fn record_error(&self, kind: &str) {
        let _ = kind;
    }
}

/// A recorder in a builder.
#[derive(Clone)]
pub(crate) struct Shared(pub(crate) Arc<dyn Recorder>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

/// Tells what the link and the data set have done, until one of them is gone.
pub(crate) async fn tell(
    recorder: Arc<dyn Recorder>,
    engine: Weak<Engine>,
    mut link: watch::Receiver<LinkStatus>,
) {
    let mut told = Told::default();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        let status = link.borrow_and_update().clone();
        told.link(&*recorder, &status);
        tokio::select! {
            changed = link.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            _ = second.tick() => {
                let Some(engine) = engine.upgrade() else { return };
                told.bytes(&*recorder, &status);
                let counts = engine.keyspace().counts();
                recorder.record_key_count(counts.keys as u64);
                recorder.record_memory_usage(engine.keyspace().payload() as u64);
                let diverged = engine.divergence().total();
                (told.diverged..diverged).for_each(|_| recorder.record_error("diverged"));
                told.diverged = diverged;
            }
        }
    }
}

#[derive(Default)]
struct Told {
    synced: Option<SystemTime>,
    bytes: u64,
    reconnects: u64,
    failures: replication::Failures,
    diverged: u64,
}

impl Told {
    fn link(&mut self, recorder: &dyn Recorder, status: &LinkStatus) {
        if status.last_sync != self.synced {
            self.synced = status.last_sync;
            let took = status
                .last_sync
                .zip(status.sync_began)
                .and_then(|(end, begin)| end.duration_since(begin).ok());
            recorder.record_sync_duration(took.unwrap_or_default());
        }
        (self.reconnects..status.reconnects()).for_each(|_| recorder.record_reconnection());
        self.reconnects = status.reconnects();
        for (kind, count) in status.failures.iter() {
            (self.failures.of(kind)..count).for_each(|_| recorder.record_error(kind.name()));
        }
        self.failures = status.failures;
    }

    fn bytes(&mut self, recorder: &dyn Recorder, status: &LinkStatus) {
        let bytes = status.counters.bytes_received;
        recorder.record_network_bytes(bytes - self.bytes);
        self.bytes = bytes;
    }
}
