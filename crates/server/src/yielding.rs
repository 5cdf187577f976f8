//! A script that takes long gives the runtime its thread back: whoever comes to kill it is heard, however few threads
//! serve.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};

/// So many looks at the clock are some milliseconds of a script.
const LONG: u32 = 100;
/// Another thread has the work by then, or will not have it.
const PATIENCE: Duration = Duration::from_millis(10);

thread_local! {
    static LOOKS: Cell<u32> = const { Cell::new(0) };
}

/// A script begins on this thread.
pub(crate) fn begin() {
    LOOKS.set(0);
}

/// Called now and then while a script runs.
pub(crate) fn pulse() {
    let looks = LOOKS.get().wrapping_add(1);
    LOOKS.set(looks);
    if looks.is_multiple_of(LONG) {
        leave();
    }
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
