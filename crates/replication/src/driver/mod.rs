//! The link on a real socket and a real clock.
//!
//! A driver owns one operating system thread with a current-thread tokio runtime on it. Loading a dump
//! and applying the stream are plain work that may take the thread for seconds; on a thread of their
//! own they cannot hold up a task of the host's runtime, and the host needs no runtime at all.
//!
//! ```text
//! Driver::spawn --> thread { connect -> Link <-> socket -> wait (backoff) -> connect .. }
//!       |                       |                              ^
//!       `-> Handle <- status ---'                              |
//!              `----- stop: last ACK, close, hand the target back
//! ```

mod backoff;
mod config;
mod handle;
mod run;
mod status;

pub use backoff::Backoff;
pub use config::DriverConfig;
pub use handle::{Driver, Handle};
pub use status::{LinkStatus, Phase};
