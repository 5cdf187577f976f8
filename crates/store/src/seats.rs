//! The protocol by which many readers hold off a writer without writing to what they share. `tests/protocol.rs` has
//! every interleaving of it tried by a model checker.
//!
//! ```text
//! reader                                   writer, one at a time
//!   open? else it takes the lock             closes
//!   sits down: its own seat has its name     are all seats empty? else it waits
//!   still open? else it stands up again      writes
//!   reads
//!   stands up                                whoever comes to the lock often enough opens again
//! ```
//!
//! Either the reader sees that it is closed, or the writer sees that it sits: both write first and look then, in the
//! one order that all threads agree on.

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicU64, Ordering, in_one_order};

/// So many readers can sit at once.
pub(crate) const SEATS: usize = 16;
/// Nobody.
const FREE: u64 = 0;

/// Seats for readers.
#[derive(Debug)]
pub(crate) struct Seats {
    open: AtomicU64,
    seats: [CachePadded<AtomicU64>; SEATS],
}

impl Seats {
    pub(crate) fn new() -> Self {
        Self {
            open: AtomicU64::new(0),
            seats: std::array::from_fn(|_| CachePadded::new(AtomicU64::new(FREE))),
        }
    }

    /// The seat of reader `me`, who is not 0; several share it.
    fn seat_of(&self, me: u64) -> &AtomicU64 {
        &self.seats[me as usize % SEATS]
    }

    /// Whether the reader holds off the writer from now on. `false` if it is closed, or the seat taken.
    #[inline]
    pub(crate) fn sit(&self, me: u64) -> bool {
        if self.open.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let seat = self.seat_of(me);
        if seat.compare_exchange(FREE, me, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return false;
        }
        in_one_order();
        let stays = self.open.load(Ordering::SeqCst) != 0;
        if !stays {
            self.stand_up(me);
        }
        stays
    }

    /// Whether this reader sits.
    #[inline]
    pub(crate) fn sits(&self, me: u64) -> bool {
        me != FREE && self.seat_of(me).load(Ordering::Relaxed) == me
    }

    /// The end of a reader's sitting.
    #[inline]
    pub(crate) fn stand_up(&self, me: u64) {
        self.seat_of(me).store(FREE, Ordering::SeqCst);
    }

    /// Lets readers sit down. To be called while no writer can be there.
    pub(crate) fn open(&self) {
        self.open.store(1, Ordering::SeqCst);
    }

    /// Whether readers may sit down.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed) != 0
    }

    /// Lets nobody sit down any more; `false` if nobody could. To be called by a writer, before it looks whether
    /// [all are gone](Self::is_empty).
    #[inline]
    pub(crate) fn close(&self) -> bool {
        if !self.is_open() {
            return false;
        }
        self.open.store(0, Ordering::SeqCst);
        in_one_order();
        true
    }

    /// Whether nobody sits.
    pub(crate) fn is_empty(&self) -> bool {
        self.seats.iter().all(|seat| seat.load(Ordering::SeqCst) == FREE)
    }
}
