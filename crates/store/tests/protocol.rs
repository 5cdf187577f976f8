//! Every interleaving of reads without a lock and a writer, by a model checker: the store's own file, built on the
//! checker's atomics.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

/// What `src/sync.rs` is to the store. Both barriers are full fences, which is what the kernel's make of them.
mod sync {
    pub(crate) use loom::sync::Arc;
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};

    pub(crate) fn in_one_order() {
        fence(Ordering::SeqCst);
    }

    pub(crate) fn light_barrier() {
        fence(Ordering::SeqCst);
    }

    pub(crate) fn heavy_barrier() -> bool {
        fence(Ordering::SeqCst);
        true
    }
}

#[path = "../src/shard/protocol.rs"]
mod protocol;
#[path = "../src/seats.rs"]
mod seats;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;
use protocol::{Grace, Reader, Version};
use seats::Seats;

/// Two slots that lead to one of three entries each; an entry holds a number until it is freed.
struct Table {
    version: Version,
    lock: Mutex<()>,
    slots: [AtomicUsize; 2],
    entries: [UnsafeCell<u64>; 3],
}

const FREED: u64 = u64::MAX;

impl Table {
    fn new() -> Self {
        Self {
            version: Version::new(),
            lock: Mutex::new(()),
            slots: [AtomicUsize::new(0), AtomicUsize::new(0)],
            entries: [UnsafeCell::new(10), UnsafeCell::new(11), UnsafeCell::new(12)],
        }
    }

    fn number(&self, entry: usize) -> u64 {
        #[expect(unsafe_code, reason = "the checker's cell hands out pointers")]
        // SAFETY: the checker itself reports whoever reads while another writes.
        let number = self.entries[entry].with(|number| unsafe { *number });
        assert_ne!(number, FREED, "read after it was freed");
        number
    }

    /// What both slots lead to, and what a reader without luck is told under the lock.
    fn read(&self, reader: &Reader) -> (u64, u64) {
        let inside = reader.enter();
        let look = || {
            let slots = [&self.slots[0], &self.slots[1]].map(|slot| slot.load(Ordering::Acquire));
            // As the key is compared: before the version is looked at again.
            (self.number(slots[0]), self.number(slots[1]))
        };
        let found = self.version.read(look);
        if let Some(found) = found {
            return found;
        }
        drop(inside);
        let _held = self.lock.lock().unwrap();
        look()
    }

    /// Both slots lead to another entry, in two steps that belong together.
    fn write(&self, entry: usize) {
        let _held = self.lock.lock().unwrap();
        self.version.begin();
        self.slots[0].store(entry, Ordering::Release);
        self.slots[1].store(entry, Ordering::Release);
        self.version.end();
    }

    fn free(&self, entry: usize) {
        #[expect(unsafe_code, reason = "the checker's cell hands out pointers")]
        // SAFETY: the checker itself reports whoever else is there.
        self.entries[entry].with_mut(|number| unsafe { *number = FREED });
    }
}

/// One writer replaces what both slots lead to, and frees the old entry when the grace is over.
#[test]
fn a_reader_sees_all_or_nothing_and_nothing_that_was_freed() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let table = Arc::new(Table::new());
        let reader = Arc::new(Reader::new());
        let reading = {
            let (table, reader) = (Arc::clone(&table), Arc::clone(&reader));
            thread::spawn(move || {
                let first = table.read(&reader);
                assert_eq!(first.0, first.1, "half of a write");
                let second = table.read(&reader);
                assert_eq!(second.0, second.1, "half of a write");
                assert!(second.0 >= first.0, "an older state after a newer one");
            })
        };
        table.write(1);
        let mut grace = Grace::begin(|| vec![Arc::clone(&reader)]).unwrap();
        if grace.is_over() {
            table.free(0);
        }
        reading.join().unwrap();
        assert!(grace.is_over(), "whoever was inside has left");
    });
}

/// Two writes in a row: an entry that was freed and put in again under the same slot is met whole.
#[test]
fn two_writes_and_a_reused_entry() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let table = Arc::new(Table::new());
        let reader = Arc::new(Reader::new());
        let reading = {
            let (table, reader) = (Arc::clone(&table), Arc::clone(&reader));
            thread::spawn(move || {
                let found = table.read(&reader);
                assert_eq!(found.0, found.1, "half of a write");
            })
        };
        table.write(1);
        let mut first = Grace::begin(|| vec![Arc::clone(&reader)]).unwrap();
        table.write(2);
        let mut second = Grace::begin(|| vec![Arc::clone(&reader)]).unwrap();
        if first.is_over() {
            table.free(0);
        }
        if second.is_over() {
            table.free(1);
        }
        reading.join().unwrap();
    });
}

/// Readers that sit where they can and take the lock where not, and a writer: nobody reads while it writes, and what was
/// written before it was opened again is seen.
#[test]
fn a_writer_waits_for_those_who_sit() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let gate = Arc::new((Seats::new(), Mutex::new(()), UnsafeCell::new(0_u64)));
        gate.0.open();
        let reader = |me: u64| {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                let (seats, lock, number) = &*gate;
                let mut last = 0;
                for _ in 0..2 {
                    #[expect(unsafe_code, reason = "the checker's cell hands out pointers")]
                    // SAFETY: the checker itself reports whoever reads while another writes.
                    let read = || number.with(|number| unsafe { *number });
                    let found = if seats.sit(me) {
                        assert!(seats.sits(me));
                        let found = read();
                        seats.stand_up(me);
                        found
                    } else {
                        let _held = lock.lock().unwrap();
                        seats.open();
                        read()
                    };
                    assert!(found >= last, "an older state after a newer one");
                    last = found;
                }
            })
        };
        // Two that share a seat.
        let readers = [reader(1), reader(1 + seats::SEATS as u64)];
        {
            let _held = gate.1.lock().unwrap();
            if gate.0.close() {
                while !gate.0.is_empty() {
                    thread::yield_now();
                }
            }
            #[expect(unsafe_code, reason = "the checker's cell hands out pointers")]
            // SAFETY: the checker itself reports whoever else is there.
            gate.2.with_mut(|number| unsafe { *number = 1 });
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert!(gate.0.is_empty());
    });
}
