//! Moments in which something took longer than `latency-monitor-threshold`: LATENCY.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;
use store::Compat;
use store::command::description;

use super::Threshold;

/// Moments kept of each kind.
const MOST: usize = 160;

/// What is known of one kind of moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Event {
    /// Seconds since 1970, and milliseconds that it took; the oldest first.
    pub(crate) moments: VecDeque<(i64, u64)>,
    /// The longest ever.
    pub(crate) most: u64,
}

/// All of them, by kind.
#[derive(Debug)]
pub(crate) struct Latency {
    /// Milliseconds; 0: nothing is kept.
    pub(crate) threshold: Threshold,
    events: Mutex<BTreeMap<&'static str, Event>>,
}

impl Default for Latency {
    fn default() -> Self {
        Self { threshold: Threshold::new(0), events: Mutex::default() }
    }
}

impl Latency {
    /// A command took so many milliseconds.
    #[inline]
    pub(crate) fn note(&self, command: &str, compat: Compat, millis: u64) {
        let threshold = self.threshold.get();
        if threshold > 0 && u64::try_from(threshold).is_ok_and(|least| millis >= least) {
            let is_fast = description::describe(compat, command)
                .is_some_and(|d| d.words("flags").any(|flag| flag == "fast"));
            self.add(if is_fast { "fast-command" } else { "command" }, millis);
        }
    }

    fn add(&self, kind: &'static str, millis: u64) {
        let now = crate::engine::unix_ms() / 1000;
        let mut events = self.events.lock();
        let event = events.entry(kind).or_default();
        event.most = event.most.max(millis);
        match event.moments.back_mut() {
            // Of one second the worst is kept.
            Some((at, longest)) if *at == now => *longest = (*longest).max(millis),
            _ => event.moments.push_back((now, millis)),
        }
        if event.moments.len() > MOST {
            event.moments.pop_front();
        }
    }

    pub(crate) fn all(&self) -> BTreeMap<&'static str, Event> {
        self.events.lock().clone()
    }

    /// Forgets one kind, or all; how many kinds went.
    pub(crate) fn forget(&self, kind: Option<&[u8]>) -> usize {
        let mut events = self.events.lock();
        let before = events.len();
        events.retain(|known, _| kind.is_some_and(|kind| !kind.eq_ignore_ascii_case(known.as_bytes())));
        before - events.len()
    }
}
