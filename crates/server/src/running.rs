//! The scripts that are running: who is alone, since when, and how to end them.

use std::sync::atomic::{AtomicUsize, Ordering};
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
    /// Few at any time, in no order.
    all: Vec<Entry>,
    alone_since: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    /// Marked when it has written.
    switch: KillSwitch,
    /// Since when, and the whole command, of a function; none for a script.
    function: Option<(Instant, Vec<Vec<u8>>)>,
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
    switch: KillSwitch,
}

impl Turn<'_> {
    /// The script writes: it cannot be killed any more.
    pub(crate) fn writes(&self) {
        self.switch.mark();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = self.running.turns.lock();
        if let Some(at) = turns.all.iter().position(|entry| entry.number == self.number) {
            turns.all.swap_remove(at);
        }
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
        let function = function.map(|command| {
            let words = command.iter().map(|word| word.to_vec()).collect();
            (Instant::now(), words)
        });
        let mut turns = self.turns.lock();
        let number = turns.next;
        turns.next += 1;
        turns.all.push(Entry { number, switch: switch.clone(), function });
        Turn { running: self, number, switch }
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
        let script = || self.turns.lock().all.iter().any(|entry| entry.function.is_none());
        self.is_somebody_alone() && script()
    }

    /// What a client is told whose command would have to wait for a script for long.
    pub(crate) fn busy(&self, server: &str) -> CommandError {
        let function = self.turns.lock().all.iter().any(|entry| entry.function.is_some());
        let kill = if function { "FUNCTION" } else { "SCRIPT" };
        let text = format!(
            "BUSY {server} is busy running a script. You can only call {kill} KILL or SHUTDOWN NOSAVE."
        );
        CommandError::Coded(text.into())
    }

    /// SCRIPT KILL and FUNCTION KILL: ends the running scripts, or functions.
    pub(crate) fn kill(&self, functions: bool, server: &str) -> Result<(), CommandError> {
        let turns = self.turns.lock();
        if turns.all.is_empty() {
            return Err(CommandError::coded("NOTBUSY No scripts in execution right now."));
        }
        let of_kind = || turns.all.iter().filter(|entry| entry.function.is_some() == functions);
        if of_kind().next().is_none() {
            drop(turns);
            return Err(self.busy(server));
        }
        if of_kind().all(|entry| entry.switch.is_marked()) {
            return Err(CommandError::coded(
                "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
            ));
        }
        for entry in of_kind().filter(|entry| !entry.switch.is_marked()) {
            entry.switch.kill();
        }
        Ok(())
    }

    /// The function that has been running for the longest.
    pub(crate) fn function(&self) -> Option<RunningFunction> {
        let turns = self.turns.lock();
        let (since, command) = turns.all.iter().filter_map(|e| e.function.as_ref()).min_by_key(|f| f.0)?;
        let millis = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        Some(RunningFunction { command: command.clone(), millis })
    }
}
