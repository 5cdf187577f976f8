//! What must happen though nobody asks: the clock, expiry, PINGs, saves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::engine::Engine;

/// Ticks the engine's clock each millisecond, removes expired keys and pings replicas of a primary. Runs
/// on a thread of its own until the engine is dropped.
///
/// # Errors
/// The thread cannot be made.
pub fn spawn(engine: &Arc<Engine>) -> std::io::Result<()> {
    let engine: Weak<Engine> = Arc::downgrade(engine);
    std::thread::Builder::new().name("housekeeper".to_owned()).spawn(move || {
        let (mut expired, mut pinged, mut looked) = (Instant::now(), Instant::now(), Instant::now());
        let (mut met, mut gave_back) = (Instant::now(), Instant::now());
        while let Some(engine) = engine.upgrade() {
            engine.tick();
            // What happened to keys though no client spoke: a stream, expiry.
            engine.tracking.broadcast(&engine.clients);
            engine.rates.look(Instant::now(), || {
                let stats = &engine.stats;
                let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
                [
                    read(&stats.commands) + read(&stats.applied),
                    read(&stats.bytes_in),
                    read(&stats.bytes_out),
                    engine.link_bytes(),
                    read(&stats.replication_bytes_out),
                ]
            });
            let paused = engine.paused.load(Ordering::Relaxed);
            let hz = u64::try_from(engine.keyspace.limits().hz()).unwrap_or(10).clamp(1, 500);
            let period = Duration::from_millis(1000 / hz);
            if !paused && expired.elapsed() >= period {
                expired = Instant::now();
                engine.expire_some(period);
                engine.watch_memory(period);
            }
            if !paused && pinged.elapsed() >= engine.ping_interval() {
                engine.ping_replicas();
                pinged = Instant::now();
            }
            if !paused && looked.elapsed() >= Duration::from_millis(50) {
                engine.save_if_due();
                looked = Instant::now();
            }
            if met.elapsed() >= engine.client_limits.period() {
                engine.look_after_clients();
                met = Instant::now();
            }
            // An allocator that is not asked for memory does not look at what it has.
            if gave_back.elapsed() >= Duration::from_secs(1) {
                (engine.options.allocator.give_back)(false);
                gave_back = Instant::now();
            }
            drop(engine);
            std::thread::sleep(Duration::from_millis(1));
        }
    })?;
    Ok(())
}
