//! Ports for servers that may be stopped and started again on the same one.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::TcpListener;
use std::ops::Range;

/// Below the range from which Linux takes the ports of outgoing connections: while a server is down, nobody's
/// connection can take its port away.
const PORTS: Range<u16> = 12_000..32_000;

/// A port of 127.0.0.1 on which nobody listens at this moment.
///
/// Another process may choose the same: whoever starts a server must look whether the one that answers is its own,
/// as [`crate::Builder::start`] does.
///
/// # Panics
/// When a thousand random ports are all taken.
#[must_use]
pub fn free_port() -> u16 {
    let span = u64::from(PORTS.end - PORTS.start);
    for _ in 0..1000 {
        // Each RandomState has its own key, seeded by the system for the first one of a thread.
        let random = RandomState::new().build_hasher().finish();
        let port = PORTS.start + u16::try_from(random % span).unwrap_or_default();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port in {PORTS:?} on 127.0.0.1");
}
