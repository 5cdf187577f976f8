//! The scripts that are running: who is alone, since when, and how to end them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lua::KillSwitch;
use parking_lot::{Condvar, Mutex};
use store::CommandError;

/// All running scripts.
#[derive(Debug)]
pub(crate) struct Running {
    /// How long others wait for a script that runs alone, before they are told that the server is busy.
    patience: Mutex<Duration>,
    alone: AtomicUsize,
    turns: Mutex<Turns>,
    /// Somebody who was alone has finished.
    done: Condvar,
}

#[derive(Debug, Default)]
struct Turns {
    next: u64,
    by_number: HashMap<u64, Entry>,
    alone_since: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    switch: KillSwitch,
    wrote: Arc<AtomicBool>,
    since: Instant,
    /// A function's whole command; none for a script.
    function: Option<Vec<Vec<u8>>>,
}

/// A running function, as FUNCTION STATS shows it.
#[derive(Debug)]
pub(crate) struct RunningFunction {
    pub(crate) command: Vec<Vec<u8>>,
    pub(crate) millis: u64,
}

/// The end of a running script, by whoever drops it.
#[derive(Debug)]
pub(crate) struct Turn<'r> {
    running: &'r Running,
    number: u64,
    wrote: Arc<AtomicBool>,
}

impl Turn<'_> {
    /// The script writes: it cannot be killed any more.
    pub(crate) fn writes(&self) {
        self.wrote.store(true, Ordering::Relaxed);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.running.turns.lock().by_number.remove(&self.number);
    }
}

/// While it lives, a script holds all data for itself.
#[derive(Debug)]
pub(crate) struct Alone<'r>(&'r Running);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        // Counted under the lock: the next one's beginning must not be wiped out.
        let mut turns = self.0.turns.lock();
        if self.0.alone.fetch_sub(1, Ordering::AcqRel) == 1 {
            turns.alone_since = None;
            self.0.done.notify_all();
        }
    }
}

impl Running {
    pub(crate) fn new(patience: Duration) -> Self {
        let turns = Mutex::default();
        Self { patience: Mutex::new(patience), alone: AtomicUsize::new(0), turns, done: Condvar::new() }
    }

    pub(crate) fn patience(&self) -> Duration {
        *self.patience.lock()
    }

    pub(crate) fn set_patience(&self, patience: Duration) {
        *self.patience.lock() = patience;
    }

    pub(crate) fn begin(&self, switch: KillSwitch, function: Option<&[&[u8]]>) -> Turn<'_> {
        let wrote = Arc::new(AtomicBool::new(false));
        let function = function.map(|command| command.iter().map(|word| word.to_vec()).collect());
        let mut turns = self.turns.lock();
        let number = turns.next;
        turns.next += 1;
        let entry = Entry { switch, wrote: Arc::clone(&wrote), since: Instant::now(), function };
        turns.by_number.insert(number, entry);
        Turn { running: self, number, wrote }
    }

    /// A script that may write begins to wait for the data.
    pub(crate) fn alone(&self) -> Alone<'_> {
        let mut turns = self.turns.lock();
        if self.alone.fetch_add(1, Ordering::AcqRel) == 0 {
            turns.alone_since = Some(Instant::now());
        }
        drop(turns);
        Alone(self)
    }

    /// Whether a script has the data for itself, or is about to.
    pub(crate) fn is_somebody_alone(&self) -> bool {
        self.alone.load(Ordering::Acquire) > 0
    }

    /// Waits until no script has the data for itself, but not for ever; false if one still has.
    pub(crate) fn wait(&self) -> bool {
        let patience = self.patience();
        let mut turns = self.turns.lock();
        loop {
            let Some(since) = turns.alone_since else { return true };
            let Some(left) = patience.checked_sub(since.elapsed()).filter(|left| !left.is_zero()) else {
                return false;
            };
            self.done.wait_for(&mut turns, left);
        }
    }

    /// Whether what has the data for itself is a script, and not a function.
    pub(crate) fn is_script_alone(&self) -> bool {
        let script = || self.turns.lock().by_number.values().any(|entry| entry.function.is_none());
        self.is_somebody_alone() && script()
    }

    /// What a client is told whose command would have to wait for a script for long.
    pub(crate) fn busy(&self, server: &str) -> CommandError {
        let function = self.turns.lock().by_number.values().any(|entry| entry.function.is_some());
        let kill = if function { "FUNCTION" } else { "SCRIPT" };
        let text = format!(
            "BUSY {server} is busy running a script. You can only call {kill} KILL or SHUTDOWN NOSAVE."
        );
        CommandError::Coded(text.into())
    }

    /// SCRIPT KILL and FUNCTION KILL: ends the running scripts, or functions.
    pub(crate) fn kill(&self, functions: bool, server: &str) -> Result<(), CommandError> {
        let turns = self.turns.lock();
        if turns.by_number.is_empty() {
            return Err(CommandError::coded("NOTBUSY No scripts in execution right now."));
        }
        let of_kind = || turns.by_number.values().filter(|entry| entry.function.is_some() == functions);
        if of_kind().next().is_none() {
            drop(turns);
            return Err(self.busy(server));
        }
        if of_kind().all(|entry| entry.wrote.load(Ordering::Relaxed)) {
            return Err(CommandError::coded(
                "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
            ));
        }
        for entry in of_kind().filter(|entry| !entry.wrote.load(Ordering::Relaxed)) {
            entry.switch.kill();
        }
        Ok(())
    }

    /// The function that has been running for the longest.
    pub(crate) fn function(&self) -> Option<RunningFunction> {
        let turns = self.turns.lock();
        let oldest = turns.by_number.values().filter(|e| e.function.is_some()).min_by_key(|e| e.since)?;
        let millis = u64::try_from(oldest.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        Some(RunningFunction { command: oldest.function.clone()?, millis })
    }
}
