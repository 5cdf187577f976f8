//! The scripts that are running: who is alone, since when, and how to end them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lua::KillSwitch;
use parking_lot::{Condvar, Mutex, RwLock};
use store::CommandError;

/// All running scripts.
#[derive(Debug)]
pub(crate) struct Running {
    /// How long others wait for a script that runs alone, before they are told that the server is busy.
    patience: Mutex<Duration>,
    /// What times are counted from.
    epoch: Instant,
    /// Since when a script has had the data for itself: nanoseconds after `epoch`; 0 if none has it.
    alone_since: AtomicU64,
    /// How many wait for its end, and where they sleep.
    waiters: AtomicUsize,
    sleeping: Mutex<()>,
    done: Condvar,
    /// One for each interpreter: a script that begins or ends touches its own alone.
    seats: RwLock<Vec<Arc<Seat>>>,
}

/// What an interpreter is doing.
#[derive(Debug)]
pub(crate) struct Seat {
    state: AtomicU8,
    /// Marked when the script has written.
    switch: KillSwitch,
    /// Since when, and the whole command, of a function.
    function: Mutex<Option<(Instant, Vec<Vec<u8>>)>>,
}

const IDLE: u8 = 0;
const SCRIPT: u8 = 1;
const FUNCTION: u8 = 2;

/// A running function, as FUNCTION STATS shows it.
#[derive(Debug)]
pub(crate) struct RunningFunction {
    pub(crate) command: Vec<Vec<u8>>,
    pub(crate) millis: u64,
}

/// The end of a running script, by whoever drops it.
#[derive(Debug)]
pub(crate) struct Turn<'s>(&'s Seat);

impl Turn<'_> {
    /// The script writes: it cannot be killed any more.
    pub(crate) fn writes(&self) {
        self.0.switch.mark();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Only the interpreter's owner begins and ends here.
        let was = self.0.state();
        self.0.state.store(IDLE, Ordering::Release);
        if was == FUNCTION {
            *self.0.function.lock() = None;
        }
    }
}

impl Seat {
    /// The interpreter runs a script from now on; a function if its command is given.
    pub(crate) fn begin(&self, function: Option<&[&[u8]]>) -> Turn<'_> {
        let kind = match function {
            None => SCRIPT,
            Some(command) => {
                let words = command.iter().map(|word| word.to_vec()).collect();
                *self.function.lock() = Some((Instant::now(), words));
                FUNCTION
            }
        };
        self.state.store(kind, Ordering::Release);
        Turn(self)
    }

    fn state(&self) -> u8 {
        self.state.load(Ordering::Acquire)
    }

    /// Ends what runs here, if that is of this kind; not what may begin in the meantime.
    fn kill(&self, kind: u8) {
        let run = self.switch.run();
        if self.state() == kind {
            self.switch.kill_run(run);
        }
    }
}

/// While it lives, a script holds all data for itself.
#[derive(Debug)]
pub(crate) struct Alone<'r>(&'r Running);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        // In one order with a waiter's words: it sees this, or is seen here.
        self.0.alone_since.store(0, Ordering::SeqCst);
        if self.0.waiters.load(Ordering::SeqCst) > 0 {
            drop(self.0.sleeping.lock());
            self.0.done.notify_all();
        }
    }
}

impl Running {
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            patience: Mutex::new(patience),
            epoch: Instant::now(),
            alone_since: AtomicU64::new(0),
            waiters: AtomicUsize::new(0),
            sleeping: Mutex::default(),
            done: Condvar::new(),
            seats: RwLock::default(),
        }
    }

    pub(crate) fn patience(&self) -> Duration {
        *self.patience.lock()
    }

    pub(crate) fn set_patience(&self, patience: Duration) {
        *self.patience.lock() = patience;
    }

    /// A new interpreter, which `switch` stops. It is known until nobody holds its seat.
    pub(crate) fn enter(&self, switch: KillSwitch) -> Arc<Seat> {
        let seat = Arc::new(Seat { state: AtomicU8::new(IDLE), switch, function: Mutex::default() });
        let mut seats = self.seats.write();
        seats.retain(|seat| Arc::strong_count(seat) > 1);
        seats.push(Arc::clone(&seat));
        seat
    }

    /// A script that has the data for itself began at `start`. For the writer only, of whom there is one at a time.
    pub(crate) fn alone(&self, start: Instant) -> Alone<'_> {
        let nanos = start.saturating_duration_since(self.epoch).as_nanos();
        self.alone_since.store(u64::try_from(nanos).unwrap_or(u64::MAX).max(1), Ordering::Release);
        Alone(self)
    }

    /// Whether a script has the data for itself.
    #[inline]
    pub(crate) fn is_somebody_alone(&self) -> bool {
        self.alone_since.load(Ordering::Acquire) != 0
    }

    /// Waits until no script has the data for itself, but not for ever; false if one still has.
    pub(crate) fn wait(&self) -> bool {
        let patience = self.patience();
        let mut sleeping = self.sleeping.lock();
        self.waiters.fetch_add(1, Ordering::SeqCst);
        let is_over = loop {
            let since = self.alone_since.load(Ordering::SeqCst);
            if since == 0 {
                break true;
            }
            let gone_by = self.epoch.elapsed().saturating_sub(Duration::from_nanos(since));
            match patience.checked_sub(gone_by).filter(|left| !left.is_zero()) {
                None => break false,
                Some(left) => self.done.wait_for(&mut sleeping, left),
            };
        };
        self.waiters.fetch_sub(1, Ordering::Relaxed);
        is_over
    }

    fn any(&self, kind: u8) -> bool {
        self.seats.read().iter().any(|seat| seat.state() == kind)
    }

    /// Whether anything runs.
    pub(crate) fn is_anybody_there(&self) -> bool {
        self.any(SCRIPT) || self.any(FUNCTION)
    }

    /// Whether what has the data for itself is a script, and not a function.
    pub(crate) fn is_script_alone(&self) -> bool {
        self.is_somebody_alone() && self.any(SCRIPT)
    }

    /// What a client is told whose command would have to wait for a script for long.
    pub(crate) fn busy(&self, server: &str) -> CommandError {
        let kill = if self.any(FUNCTION) { "FUNCTION" } else { "SCRIPT" };
        let text = format!(
            "BUSY {server} is busy running a script. You can only call {kill} KILL or SHUTDOWN NOSAVE."
        );
        CommandError::Coded(text.into())
    }

    /// SCRIPT KILL and FUNCTION KILL: ends the running scripts, or functions.
    pub(crate) fn kill(&self, functions: bool, server: &str) -> Result<(), CommandError> {
        let kind = if functions { FUNCTION } else { SCRIPT };
        let seats = self.seats.read();
        let of_kind = || seats.iter().filter(|seat| seat.state() == kind);
        if of_kind().next().is_none() {
            drop(seats);
            if self.is_anybody_there() {
                return Err(self.busy(server));
            }
            return Err(CommandError::coded("NOTBUSY No scripts in execution right now."));
        }
        if of_kind().all(|seat| seat.switch.is_marked()) {
            return Err(CommandError::coded(
                "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
            ));
        }
        for seat in of_kind().filter(|seat| !seat.switch.is_marked()) {
            seat.kill(kind);
        }
        Ok(())
    }

    /// The function that has been running for the longest.
    pub(crate) fn function(&self) -> Option<RunningFunction> {
        let of = |seat: &Arc<Seat>| seat.function.lock().clone();
        let (since, command) = self.seats.read().iter().filter_map(of).min_by_key(|f| f.0)?;
        let millis = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        Some(RunningFunction { command, millis })
    }
}
