//! A script that takes long gives the runtime its thread back: whoever comes to kill it is heard, however few threads
//! serve.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::runtime::{Handle, RuntimeFlavor};

/// A script that has been running for so long gives the runtime its thread back.
const LONG: Duration = Duration::from_millis(5);
/// Another thread has the work by then, or will not have it; and a write is over.
pub(crate) const PATIENCE: Duration = Duration::from_millis(10);

/// A lock that a script may hold without end. Who waits for it longer than a write takes gives the runtime its thread
/// back.
#[derive(Debug)]
pub(crate) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.try_lock().unwrap_or_else(|| {
            leave();
            self.0.lock()
        })
    }

    /// `None` if somebody has it for longer than a write takes.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().or_else(|| self.0.try_lock_for(PATIENCE))
    }

    /// `None` if somebody still has it after so long.
    pub(crate) fn try_lock_for(&self, patience: Duration) -> Option<MutexGuard<'_, T>> {
        self.try_lock().or_else(|| {
            leave();
            self.0.try_lock_for(patience)
        })
    }
}

thread_local! {
    /// When the script was first looked at, or last gave its thread back.
    static SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// A script begins on this thread.
pub(crate) fn begin() {
    SINCE.set(None);
}

/// Called now and then while a script runs.
pub(crate) fn pulse() {
    match SINCE.get() {
        Some(since) if since.elapsed() < LONG => return,
        Some(_) => leave(),
        // The clock is not read for those that are over soon.
        None => {}
    }
    SINCE.set(Some(Instant::now()));
}

/// This thread is about to wait for something else than its clients.
pub(crate) fn leave() {
    // Where the runtime cannot do without this thread (it says so by a panic), others wait.
    let _ = catch_unwind(AssertUnwindSafe(let_others_go_on));
}

fn let_others_go_on() {
    let Ok(runtime) = Handle::try_current() else { return };
    if runtime.runtime_flavor() != RuntimeFlavor::MultiThread {
        return;
    }
    tokio::task::block_in_place(|| {
        // What this thread was for is taken over when somebody runs this.
        let (begun, has_begun) = sync_channel(1);
        runtime.spawn(async move {
            let _ = begun.try_send(());
        });
        let _ = has_begun.recv_timeout(PATIENCE);
    });
}
