//! What a driver tells about its link.

use crate::error::{Failures, LinkError, Recovery};
use crate::link::Counters;
use crate::position::{Offset, Position};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A picture of the link, taken after every read from the socket.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LinkStatus {
    /// What the link is doing.
    pub phase: Phase,
    /// Since when it has been in this phase (a transfer's progress is not a new phase).
    pub phase_since: Instant,
    /// What the target holds: `None` before the first full sync, and after a corrupt stream.
    pub position: Option<Position>,
    /// How far the stream has been received.
    pub read_offset: Option<Offset>,
    /// The database that the stream has selected.
    pub stream_db: Option<u32>,
    /// Bytes, commands, syncs and connections since the driver began.
    pub counters: Counters,
    /// When the last byte came from the primary.
    pub last_io: Option<Instant>,
    /// Everything received by then is applied; `None` before the first time.
    pub level_at: Option<Instant>,
    /// Since when the stream has flowed, of this connection or the last one that came so far.
    pub connected_at: Option<SystemTime>,
    /// When it last ceased to flow.
    pub disconnected_at: Option<SystemTime>,
    /// When the last full sync began.
    pub sync_began: Option<SystemTime>,
    /// When the last full sync was complete.
    pub last_sync: Option<SystemTime>,
    /// Host and port of the primary; of the last one while there is none.
    pub primary: (Arc<str>, u16),
    /// What has been received and not yet applied.
    pub buffered: Buffered,
    /// How often a connection failed, by reason.
    pub failures: Failures,
}

/// Bytes between the socket and the data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Buffered {
    /// Now.
    pub bytes: usize,
    /// The most there ever were.
    pub peak: usize,
    /// Beyond them the socket is not read.
    pub limit: usize,
}

impl LinkStatus {
    /// A link that is about to connect, of whoever keeps one from several.
    #[expect(clippy::disallowed_methods, reason = "the driver is the side that has a clock")]
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            phase: Phase::Connecting,
            phase_since: Instant::now(),
            position: None,
            read_offset: None,
            stream_db: None,
            counters: Counters::default(),
            last_io: None,
            level_at: None,
            connected_at: None,
            disconnected_at: None,
            sync_began: None,
            last_sync: None,
            primary: (host.into(), port),
            buffered: Buffered::default(),
            failures: Failures::default(),
        }
    }

    /// Enters a phase, and notes since when it is in it.
    #[expect(clippy::disallowed_methods, reason = "the driver is the side that has a clock")]
    pub fn set_phase(&mut self, phase: Phase) {
        if std::mem::discriminant(&self.phase) != std::mem::discriminant(&phase) {
            self.phase_since = Instant::now();
        }
        self.phase = phase;
    }

    /// Notes the moments at which the link passes from one phase to another.
    #[expect(clippy::disallowed_methods, reason = "the driver is the side that has a clock")]
    pub(crate) fn enter(&mut self, phase: Phase, counters: Counters) {
        let now = SystemTime::now();
        // A small dump comes and is loaded in one piece: then nobody sees the phase of its transfer.
        let synced = counters.full_syncs > self.counters.full_syncs;
        let transfers = |phase: &Phase| matches!(phase, Phase::Transfer { .. });
        if transfers(&phase) && !transfers(&self.phase) || synced && !transfers(&self.phase) {
            self.sync_began = Some(now);
        }
        if synced {
            self.last_sync = Some(now);
        }
        if phase.is_streaming() && !self.phase.is_streaming() {
            self.connected_at = Some(now);
        }
        if self.phase.is_streaming() && !phase.is_streaming() {
            self.disconnected_at = Some(now);
        }
        self.set_phase(phase);
        self.counters = counters;
    }

    /// Connections after the first.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.counters.connections.saturating_sub(1)
    }

    /// Why the link is down, if it is.
    #[must_use]
    pub fn down_reason(&self) -> Option<&LinkError> {
        match &self.phase {
            Phase::Down { reason, .. } => Some(reason),
            _ => None,
        }
    }

    /// Whether the link is down for a reason that waiting will not cure, such as a wrong password.
    #[must_use]
    pub fn needs_help(&self) -> bool {
        self.down_reason().is_some_and(|reason| reason.recovery() == Recovery::GiveUp)
    }
}

/// What a driver is doing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Phase {
    /// Resolving the primary's name, or connecting.
    Connecting,
    /// Greeting the primary, or waiting for its answer to PSYNC.
    Handshake,
    /// A full sync. The dump is loaded while it arrives, so there is no separate time of loading.
    Transfer {
        /// Bytes of the dump so far.
        received: u64,
        /// Its length, where the primary told.
        total: Option<u64>,
    },
    /// Following the stream.
    Streaming,
    /// Waiting for the next attempt.
    Down {
        /// What ended the last one.
        reason: LinkError,
        /// How long the wait is, counted from `phase_since`.
        retry_in: Duration,
    },
    /// Following nobody, until the handle names a primary.
    Idle,
    /// The driver has ended.
    Stopped,
}

impl Phase {
    /// Whether a connection to the primary is open and the stream flows.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        matches!(self, Self::Streaming)
    }
}
