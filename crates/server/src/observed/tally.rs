//! Calls and times of each command, and errors by their code: INFO commandstats, latencystats and errorstats, LATENCY
//! HISTOGRAM.
//!
//! A session counts for itself and hands over now and then, so that a pipeline of one command touches what all share
//! once in a while only.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use hdrhistogram::Histogram;
use parking_lot::Mutex;

use super::Threshold;

/// Times above this are counted as this long, in nanoseconds.
const LONGEST: u64 = 1_000_000_000;
/// A session hands over after so many calls.
const HANDFUL: usize = 64;
/// Kinds of errors that are counted each for itself.
const MOST_ERRORS: usize = 128;

/// What is known of one command.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) calls: AtomicU64,
    pub(crate) nanos: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) failed: AtomicU64,
    times: Mutex<Option<Histogram<u32>>>,
}

impl Counts {
    fn new() -> Self {
        // Two digits are what the real servers keep; the bounds are valid, so this is never `None`.
        let times = Histogram::new_with_bounds(1, LONGEST, 2).ok();
        let zero = || AtomicU64::new(0);
        Self { calls: zero(), nanos: zero(), rejected: zero(), failed: zero(), times: Mutex::new(times) }
    }

    /// Upper bounds of times in microseconds, each twice the one before, with the calls that took no longer.
    pub(crate) fn histogram(&self) -> Vec<(u64, u64)> {
        let times = self.times.lock();
        let Some(times) = times.as_ref() else { return Vec::new() };
        let (mut sum, mut all) = (0, Vec::new());
        for step in times.iter_log(1024, 2.0) {
            let here = step.count_since_last_iteration();
            if here > 0 {
                sum += here;
                all.push((times.highest_equivalent(step.value_iterated_to()) / 1000, sum));
            }
        }
        all
    }

    /// Whether any call's time was kept.
    pub(crate) fn has_times(&self) -> bool {
        self.times.lock().as_ref().is_some_and(|times| !times.is_empty())
    }

    /// The time in microseconds that so many of a hundred calls did not exceed.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        let times = self.times.lock();
        times.as_ref().map_or(0.0, |times| times.value_at_percentile(percent) as f64 / 1000.0)
    }
}

/// All commands that were called.
#[derive(Debug)]
pub(crate) struct Tallies {
    /// Whether times are kept (`latency-tracking`), or calls and their sum alone.
    pub(crate) keeps_times: Threshold,
    counts: DashMap<&'static str, Arc<Counts>>,
}

impl Default for Tallies {
    fn default() -> Self {
        Self { keeps_times: Threshold::new(1), counts: DashMap::new() }
    }
}

impl Tallies {
    pub(crate) fn of(&self, name: &'static str) -> Arc<Counts> {
        if let Some(counts) = self.counts.get(name) {
            return Arc::clone(&counts);
        }
        Arc::clone(&self.counts.entry(name).or_insert_with(|| Arc::new(Counts::new())))
    }

    /// In order of their names.
    pub(crate) fn all(&self) -> BTreeMap<&'static str, Arc<Counts>> {
        self.counts.iter().map(|entry| (*entry.key(), Arc::clone(entry.value()))).collect()
    }

    pub(crate) fn clear(&self) {
        self.counts.clear();
    }
}

/// What one session has counted and not handed over.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Commands, whether or not they ran.
    pub(crate) commands: u64,
    /// Calls with their nanoseconds, at most [`HANDFUL`].
    calls: Vec<(&'static str, u64)>,
}

thread_local! {
    /// Sessions that rest hold no memory for this: the thread keeps it for the next one that runs here.
    static LENT: Cell<Vec<(&'static str, u64)>> = const { Cell::new(Vec::new()) };
}

impl Tally {
    /// One more call.
    #[inline]
    pub(crate) fn count(&mut self, tallies: &Tallies, name: &'static str, nanos: u64) {
        if self.calls.len() == self.calls.capacity() {
            self.make_room(tallies);
        }
        self.calls.push((name, nanos));
    }

    #[cold]
    fn make_room(&mut self, tallies: &Tallies) {
        if self.calls.is_empty() {
            self.calls = LENT.take();
            self.calls.reserve_exact(HANDFUL);
        } else {
            self.hand_over(tallies);
        }
    }

    /// Adds what was counted to what all see.
    pub(crate) fn hand_over(&mut self, tallies: &Tallies) {
        // Names are where their rows are: one command has one.
        let place = |call: &(&'static str, u64)| call.0.as_ptr();
        if !self.calls.is_sorted_by_key(place) {
            self.calls.sort_unstable_by_key(place);
        }
        let keeps_times = tallies.keeps_times.get() != 0;
        for calls in self.calls.chunk_by(|a, b| std::ptr::eq(a.0, b.0)) {
            let counts = tallies.of(calls[0].0);
            counts.calls.fetch_add(calls.len() as u64, Ordering::Relaxed);
            counts.nanos.fetch_add(calls.iter().map(|call| call.1).sum(), Ordering::Relaxed);
            if keeps_times && let Some(times) = counts.times.lock().as_mut() {
                calls.iter().for_each(|call| times.saturating_record(call.1.clamp(1, LONGEST)));
            }
        }
        self.calls.clear();
    }

    /// Gives its memory back, after it has handed over.
    pub(crate) fn rest(&mut self) {
        if self.calls.is_empty() && self.calls.capacity() > 0 {
            LENT.set(std::mem::take(&mut self.calls));
        }
    }
}

/// Errors that clients were told, by their first word.
#[derive(Debug, Default)]
pub(crate) struct Errors(DashMap<String, u64>);

impl Errors {
    /// One more, given its line.
    pub(crate) fn count(&self, line: &[u8]) {
        let word = line.split(|byte| *byte == b' ').next().unwrap_or_default();
        let word = String::from_utf8_lossy(word).into_owned();
        if self.0.len() < MOST_ERRORS || self.0.contains_key(&word) {
            *self.0.entry(word).or_default() += 1;
        }
    }

    /// In order of their words.
    pub(crate) fn all(&self) -> BTreeMap<String, u64> {
        self.0.iter().map(|entry| (entry.key().clone(), *entry.value())).collect()
    }

    /// How many in all.
    pub(crate) fn sum(&self) -> u64 {
        self.0.iter().map(|entry| *entry.value()).sum()
    }

    pub(crate) fn clear(&self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_when_they_are_handed_over() {
        let (tallies, mut tally) = (Tallies::default(), Tally::default());
        (0..100).for_each(|_| tally.count(&tallies, "get", 5_000));
        assert_eq!(tallies.of("get").calls.load(Ordering::Relaxed), 64);
        tally.count(&tallies, "set", 2_000_000_000_000);
        tally.count(&tallies, "get", 5_000);
        tally.hand_over(&tallies);
        tally.rest();
        tally.count(&tallies, "set", 1);
        let get = tallies.of("get");
        assert_eq!(get.calls.load(Ordering::Relaxed), 101);
        assert_eq!(get.nanos.load(Ordering::Relaxed), 505_000);
        assert_eq!(get.histogram(), [(8, 101)]);
        assert!((4.9..5.1).contains(&get.percentile(50.0)));
        tally.hand_over(&tallies);
        tallies.keeps_times.set(0);
        (0..9).for_each(|_| tally.count(&tallies, "ping", 1_000));
        tally.hand_over(&tallies);
        let ping = tallies.of("ping");
        assert_eq!((ping.calls.load(Ordering::Relaxed), ping.has_times()), (9, false));
        assert_eq!(tallies.all().keys().copied().collect::<Vec<_>>(), ["get", "ping", "set"]);
    }
}
