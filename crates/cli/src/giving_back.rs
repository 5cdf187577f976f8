//! Memory that was freed goes back to the system: mimalloc has to be asked.
#![expect(unsafe_code, reason = "a function of mimalloc's is declared; see docs/unsafe.md")]

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// How servers are told of it.
pub const ITSELF: server::Allocator = server::Allocator { name: "mimalloc", give_back };

/// How often all threads were asked to give back what they have.
static ASKED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// How often this one has.
    static DONE: Cell<u64> = const { Cell::new(0) };
}

unsafe extern "C" {
    /// Collects what this thread has freed and what others have freed of its own, and gives back to the system what has
    /// been free for a second; with `true`, at once. It may be called anywhere.
    safe fn mi_collect(force: bool);
}

/// mimalloc looks at what it could give back only when it is asked for more: a server that has fallen silent would keep
/// what its busiest moment took. What a thread has freed only that thread can give back; so all are asked.
fn give_back(all: bool) {
    if all {
        ASKED.fetch_add(1, Ordering::Relaxed);
    }
    mi_collect(all);
}

/// A thread has nothing to do: it gives back what it was asked for.
pub fn before_sleep() {
    let asked = ASKED.load(Ordering::Relaxed);
    if DONE.replace(asked) != asked {
        mi_collect(true);
    }
}
