//! Ending a script from outside: by request, or by the clock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::error::Stop;

/// No deadline.
const NEVER: u64 = u64::MAX;

/// Time since any fixed moment. Time is the caller's: this crate reads no clock.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Ends the script that an engine is running (SCRIPT KILL). Cheap to clone, usable from any thread.
#[derive(Clone, Default)]
pub struct KillSwitch(Arc<State>);

struct State {
    /// The run that is going on, or was the last.
    run: AtomicU64,
    /// The run that is to end.
    killed: AtomicU64,
    marked: AtomicBool,
    deadline_nanos: AtomicU64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            run: AtomicU64::new(0),
            killed: AtomicU64::new(NEVER),
            marked: AtomicBool::new(false),
            deadline_nanos: AtomicU64::new(NEVER),
        }
    }
}

impl KillSwitch {
    /// The running script ends at its next look, whatever it catches. Without one, nothing happens.
    pub fn kill(&self) {
        self.kill_run(self.run());
    }

    /// Which run is going on, or was the last: each has its own number.
    pub fn run(&self) -> u64 {
        self.0.run.load(Ordering::Relaxed)
    }

    /// As [`kill`](Self::kill), but nothing happens if another run has begun since.
    pub fn kill_run(&self, run: u64) {
        self.0.killed.store(run, Ordering::Relaxed);
    }

    /// The run that is going on has done what its caller wants to remember: that it has written, say.
    pub fn mark(&self) {
        self.0.marked.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    pub fn is_marked(&self) -> bool {
        self.0.marked.load(Ordering::Relaxed)
    }

    /// A new run begins: forgets an old request, and ends at `deadline`.
    pub(crate) fn arm(&self, deadline: Option<Duration>) {
        // Only the interpreter's owner begins runs.
        self.0.run.store(self.run().wrapping_add(1), Ordering::Relaxed);
        self.0.marked.store(false, Ordering::Relaxed);
        let nanos = deadline.map_or(NEVER, |at| u64::try_from(at.as_nanos()).unwrap_or(NEVER));
        self.0.deadline_nanos.store(nanos, Ordering::Relaxed);
    }

    /// Whether the script has to end, and why. The error that follows passes through the sandbox's pcall, xpcall and
    /// coroutine.resume, which raise it again: `while true do pcall(f) end` ends.
    pub(crate) fn verdict(&self, clock: Option<&Clock>) -> Option<Stop> {
        if self.0.killed.load(Ordering::Relaxed) == self.run() {
            return Some(Stop::Killed);
        }
        let deadline = self.0.deadline_nanos.load(Ordering::Relaxed);
        if deadline != NEVER
            && let Some(clock) = clock
            && clock().as_nanos() >= u128::from(deadline)
        {
            return Some(Stop::TimeLimit);
        }
        None
    }
}

impl fmt::Debug for KillSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KillSwitch").field(&self.run()).finish()
    }
}
