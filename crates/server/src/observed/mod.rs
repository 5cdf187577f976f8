//! What the server remembers of commands that it ran: how often, how long, the slow ones, and who wants to see them all.

mod latency;
mod monitor;
mod percentiles;
mod slowlog;
pub(crate) mod stream;
mod tally;

use std::sync::atomic::{AtomicI64, Ordering};

use store::command::description;
use store::{Args, Compat};

pub(crate) use latency::{Event, Latency};
pub(crate) use monitor::{Monitors, Teller, line as monitor_line};
pub(crate) use percentiles::{Percentiles, spelled as spelled_percentile};
pub(crate) use slowlog::{Kind as LogKind, Log, Logged};
pub(crate) use tally::{Errors, Tallies, Tally};

/// Everything that is remembered of commands.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) tallies: Tallies,
    pub(crate) percentiles: Percentiles,
    pub(crate) errors: Errors,
    pub(crate) logs: [Log; 3],
    pub(crate) latency: Latency,
    pub(crate) monitors: Monitors,
}

impl Default for Observed {
    fn default() -> Self {
        Self {
            tallies: Tallies::default(),
            percentiles: Percentiles::default(),
            errors: Errors::default(),
            // 10 ms; 1 MiB.
            logs: [Log::new(10_000), Log::new(1 << 20), Log::new(1 << 20)],
            latency: Latency::default(),
            monitors: Monitors::default(),
        }
    }
}

/// A number that CONFIG changes.
#[derive(Debug)]
pub(crate) struct Threshold(AtomicI64);

impl Threshold {
    pub(crate) const fn new(value: i64) -> Self {
        Self(AtomicI64::new(value))
    }

    #[inline]
    pub(crate) fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// A command that has run.
pub(crate) struct Ran<'a> {
    pub(crate) name: &'static str,
    pub(crate) args: Args<'a>,
    pub(crate) nanos: u64,
    /// Bytes of the request, and of the reply.
    pub(crate) sizes: (usize, usize),
}

impl Observed {
    /// Keeps the command in the logs that it belongs in; `who` is its client.
    pub(crate) fn log(&self, ran: &Ran<'_>, compat: Compat, who: impl Fn() -> (String, Vec<u8>)) {
        let micros = ran.nanos / 1000;
        self.latency.note(ran.name, compat, ran.nanos / 1_000_000);
        let sizes = [Some(micros), u64::try_from(ran.sizes.0).ok(), u64::try_from(ran.sizes.1).ok()];
        for (log, amount) in self.logs.iter().zip(sizes) {
            let amount = amount.unwrap_or(u64::MAX);
            if log.wants(amount) && !is(compat, ran.name, "skip_slowlog") {
                log.add(amount, ran.args, who());
            }
        }
    }

    /// Forgets counts and times (CONFIG RESETSTAT).
    pub(crate) fn reset_counts(&self) {
        self.tallies.clear();
        self.errors.clear();
    }
}

/// Arguments as others may see them: without secrets.
fn redacted<'a>(args: Args<'a>) -> Vec<&'a [u8]> {
    const HIDDEN: &[u8] = b"(redacted)";
    let mut all = args.all().to_vec();
    let hide = |range: std::ops::Range<usize>, all: &mut Vec<&'a [u8]>| {
        let end = range.end.min(all.len());
        all[range.start.min(end)..end].fill(HIDDEN);
    };
    if args.is(0, "auth") {
        hide(1..all.len(), &mut all);
    } else if args.is(0, "hello") {
        let auth = (2..args.len()).find(|at| args.is(*at, "auth"));
        if let Some(auth) = auth {
            hide(auth + 1..auth + 3, &mut all);
        }
    } else if args.is(0, "acl") && args.is(1, "setuser") {
        hide(2..all.len(), &mut all);
    } else if args.is(0, "config") && args.is(1, "set") {
        for at in (2..args.len()).step_by(2) {
            let secret = ["requirepass", "masterauth", "primaryauth", "masteruser", "primaryuser"];
            if secret.iter().any(|name| args.is(at, name)) {
                hide(at + 1..at + 2, &mut all);
            }
        }
    }
    all
}

/// Whether the servers give a command this flag.
fn is(compat: Compat, name: &str, flag: &str) -> bool {
    description::describe(compat, name).is_some_and(|d| d.words("flags").any(|known| known == flag))
}

/// Whether MONITOR shows a command.
pub(crate) fn is_shown(compat: Compat, name: &str) -> bool {
    !is(compat, name, "admin") && !is(compat, name, "skip_monitor")
}
