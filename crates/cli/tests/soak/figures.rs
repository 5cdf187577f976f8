//! What a server says of itself, and what the system says of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use testkit::rss_bytes_of;

use crate::support::Ours;

/// A moment of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Resident memory, in bytes.
    pub(crate) resident: u64,
    pub(crate) tasks: u64,
    pub(crate) clients: u64,
    /// Blocked clients, those that listen, those that track, and those that watch.
    pub(crate) others: [u64; 4],
}

impl Figures {
    /// As of now. Who asks is not counted.
    pub(crate) fn of(ours: &Ours) -> Self {
        let (_, metrics) = ours.get("/metrics");
        let mut client = ours.client();
        let text = client.line("INFO").text();
        let of = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            found.and_then(|number| number.trim().parse().ok()).unwrap_or_default()
        };
        let tasks = metrics.lines().find_map(|line| line.strip_prefix("replica_tasks "));
        Self {
            resident: rss_bytes_of(ours.pid()).unwrap_or_else(|| panic!("the server has ended")),
            tasks: tasks.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("{metrics}")),
            clients: of("connected_clients") - 1,
            others: ["blocked_clients", "pubsub_clients", "tracking_clients", "watching_clients"].map(of),
        }
    }
}

/// The most resident memory of a process until then, in bytes.
pub(crate) fn peak_of(pid: u32, until: &AtomicBool) -> u64 {
    let mut peak = 0;
    while !until.load(Ordering::Relaxed) {
        peak = peak.max(rss_bytes_of(pid).unwrap_or_default());
        thread::sleep(Duration::from_millis(50));
    }
    peak
}
