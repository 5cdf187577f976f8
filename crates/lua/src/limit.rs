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
    killed: AtomicBool,
    marked: AtomicBool,
    deadline_nanos: AtomicU64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            killed: AtomicBool::new(false),
            marked: AtomicBool::new(false),
            deadline_nanos: AtomicU64::new(NEVER),
        }
    }
}

impl KillSwitch {
    /// The running script ends at its next look, whatever it catches. Without one, nothing happens.
    pub fn kill(&self) {
        self.0.killed.store(true, Ordering::Relaxed);
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
        self.0.killed.store(false, Ordering::Relaxed);
        self.0.marked.store(false, Ordering::Relaxed);
        let nanos = deadline.map_or(NEVER, |at| u64::try_from(at.as_nanos()).unwrap_or(NEVER));
        self.0.deadline_nanos.store(nanos, Ordering::Relaxed);
    }

    /// Whether the script has to end, and why. The error that follows passes through the sandbox's pcall, xpcall and
    /// coroutine.resume, which raise it again: `while true do pcall(f) end` ends.
    pub(crate) fn verdict(&self, clock: Option<&Clock>) -> Option<Stop> {
        if self.0.killed.load(Ordering::Relaxed) {
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
        f.debug_tuple("KillSwitch").field(&self.0.killed.load(Ordering::Relaxed)).finish()
    }
}
