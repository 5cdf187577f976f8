//! The gate before all data: one writer, or readers to whom nothing must happen between two looks.
//!
//! It is a lock. While there is little to write, readers [sit](crate::seats) beside it instead, so that scripts on all
//! cores write nothing that they share.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::seats::Seats;

/// After so many readings under the lock, readers may sit: a writer's look at the seats costs about as much as all of
/// them have.
const OPENS_AFTER: u64 = 128;
/// How often a writer looks at the seats before it sleeps.
const LOOKS: usize = 100;

#[derive(Debug)]
pub(crate) struct Gate {
    lock: RwLock<()>,
    seats: Seats,
    /// Readings under the lock.
    locked: AtomicU64,
    /// A writer sleeps until nobody sits.
    is_awaited: AtomicBool,
    sleeping: Mutex<()>,
    stood_up: Condvar,
}

/// The number of this thread, from 1.
fn me() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local!(static ME: Cell<u64> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed)));
    ME.try_with(Cell::get).unwrap_or(0)
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self {
            lock: RwLock::new(()),
            seats: Seats::new(),
            locked: AtomicU64::new(0),
            is_awaited: AtomicBool::new(false),
            sleeping: Mutex::new(()),
            stood_up: Condvar::new(),
        }
    }

    /// Holds off the writer.
    #[inline]
    pub(crate) fn still(&self) -> Still<'_> {
        let me = me();
        if me != 0 && self.seats.sit(me) {
            return Still(How::Sitting(Sitting { gate: self, me, stays: PhantomData }));
        }
        let guard = self.lock.read();
        if self.locked.fetch_add(1, Ordering::Relaxed) % OPENS_AFTER == OPENS_AFTER - 1 {
            // No writer is there: this thread has the lock.
            self.seats.open();
        }
        Still(How::Locked(guard))
    }

    /// Holds off the writer, by who may do so already.
    pub(crate) fn still_again(&self) -> Again<'_> {
        if self.seats.sits(me()) { Again(None) } else { Again(Some(self.lock.read_recursive())) }
    }

    /// The same, but not beyond a moment.
    pub(crate) fn still_again_until(&self, end: Instant) -> Option<Again<'_>> {
        if self.seats.sits(me()) {
            return Some(Again(None));
        }
        self.lock.try_read_recursive_until(end).map(|guard| Again(Some(guard)))
    }

    /// Holds off everybody.
    #[inline]
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, ()> {
        let guard = self.lock.write();
        if self.seats.close() {
            self.wait();
        }
        guard
    }

    /// The same, unless readers are there for longer than this.
    #[inline]
    pub(crate) fn write_within(&self, patience: Duration) -> Option<RwLockWriteGuard<'_, ()>> {
        let guard = self.lock.try_write().or_else(|| self.lock.try_write_for(patience))?;
        if self.seats.close() && !self.wait_for(Some(patience)) {
            // The next writer has to know that somebody sits. No other is there: this thread has the lock.
            self.seats.open();
            return None;
        }
        Some(guard)
    }

    /// Whether a reader is there, or a writer.
    pub(crate) fn is_held(&self) -> bool {
        self.lock.is_locked() || self.seats.is_open() && !self.seats.is_empty()
    }

    /// Until nobody sits.
    #[cold]
    fn wait(&self) {
        self.wait_for(None);
    }

    /// The same; `false` if somebody still sits though nobody has stood up for so long.
    #[cold]
    fn wait_for(&self, patience: Option<Duration>) -> bool {
        for _ in 0..LOOKS {
            if self.seats.is_empty() {
                return true;
            }
            std::hint::spin_loop();
        }
        let mut sleeping = self.sleeping.lock();
        self.is_awaited.store(true, Ordering::SeqCst);
        let is_in_time = loop {
            if self.seats.is_empty() {
                break true;
            }
            match patience {
                None => self.stood_up.wait(&mut sleeping),
                Some(patience) if self.stood_up.wait_for(&mut sleeping, patience).timed_out() => {
                    break self.seats.is_empty();
                }
                Some(_) => {}
            }
        };
        self.is_awaited.store(false, Ordering::Relaxed);
        is_in_time
    }
}

#[derive(Debug)]
struct Sitting<'g> {
    gate: &'g Gate,
    me: u64,
    /// Who sits is known by the thread.
    stays: PhantomData<*const ()>,
}

impl Drop for Sitting<'_> {
    #[inline]
    fn drop(&mut self) {
        self.gate.seats.stand_up(self.me);
        if self.gate.is_awaited.load(Ordering::SeqCst) {
            // A writer that has looked at the seats, and does not sleep yet, has this lock.
            drop(self.gate.sleeping.lock());
            self.gate.stood_up.notify_all();
        }
    }
}

#[derive(Debug)]
#[expect(dead_code, reason = "held, not read")]
enum How<'g> {
    Sitting(Sitting<'g>),
    Locked(RwLockReadGuard<'g, ()>),
}

/// The gate, held by a reader: other readers go on, the writer waits.
#[derive(Debug)]
pub struct Still<'g>(#[expect(dead_code, reason = "held, not read")] How<'g>);

/// The gate, held by a reader that may hold it already.
#[derive(Debug)]
pub(crate) struct Again<'g>(#[expect(dead_code, reason = "held, not read")] Option<RwLockReadGuard<'g, ()>>);
