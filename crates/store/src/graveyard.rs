//! Where what was taken out of tables waits until no reader can see it, and is freed: small things by the writer,
//! some hundreds at a time, large ones by a thread of their own.
//!
//! Readers without a lock may hold an entry that has just been replaced. So nothing that a published shard let go
//! of is freed at once: it becomes a [`Gone`] (or a whole shard's contents), and dropping that brings it here.

use std::any::Any;
use std::cell::OnceCell;
use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::entry::{Entry, EntryRef};
use crate::shard::protocol::{Grace, Reader};

/// So many pieces, or so many bytes, are freed together.
const PIECES: usize = 512;
const WEIGHT: usize = 512 * 1024;

// ---- who reads

static READERS: Mutex<Vec<Arc<Reader>>> = Mutex::new(Vec::new());

/// This thread among the readers; it leaves the list when the thread ends.
struct Listed(OnceCell<Arc<Reader>>);

impl Drop for Listed {
    fn drop(&mut self) {
        if let Some(mine) = self.0.get() {
            READERS.lock().retain(|reader| !Arc::ptr_eq(reader, mine));
        }
    }
}

fn listed() -> Arc<Reader> {
    crate::sync::prepare();
    let reader = Arc::new(Reader::new());
    READERS.lock().push(Arc::clone(&reader));
    reader
}

/// Runs `f`; what it finds in tables is not freed before it returns. `None` while this thread is being torn down.
#[inline]
pub(crate) fn inside<R>(f: impl FnOnce() -> R) -> Option<R> {
    thread_local! {
        static MINE: Listed = const { Listed(OnceCell::new()) };
    }
    MINE.try_with(|mine| {
        let _inside = mine.0.get_or_init(listed).enter();
        f()
    })
    .ok()
}

// ---- what waits

/// An entry that was taken out of a table. Dropping it frees it when no reader can see it any more.
pub struct Gone(ManuallyDrop<Entry>);

impl Gone {
    pub(crate) fn new(entry: Entry) -> Self {
        Self(ManuallyDrop::new(entry))
    }

    /// It, to read.
    #[must_use]
    pub fn as_ref(&self) -> EntryRef<'_> {
        self.0.as_ref()
    }

    /// The same under another expiry.
    #[must_use]
    pub(crate) fn with_expire(&mut self, expire: Option<i64>) -> Entry {
        self.0.with_expire(expire)
    }

    /// The same value under another key and expiry.
    #[must_use]
    pub fn renamed(mut self, key: &[u8], expire: Option<i64>) -> Entry {
        self.0.moved_to(key, expire)
    }

    /// The same in all, to put it elsewhere.
    #[must_use]
    pub(crate) fn again(self) -> Entry {
        let (key, expire): (Box<[u8]>, _) = (self.as_ref().key().into(), self.as_ref().expire());
        self.renamed(&key, expire)
    }
}

impl Drop for Gone {
    fn drop(&mut self) {
        let entry = self.take();
        let free = LIMBO.lock().take_in(std::iter::once(entry));
        free.into_iter().for_each(Heap::free);
    }
}

impl std::fmt::Debug for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl Gone {
    #[expect(unsafe_code, reason = "the one owner gives it away as it is dropped; see docs/unsafe.md")]
    fn take(&mut self) -> Entry {
        // SAFETY: called by `Drop` and `bury` only, after which nobody touches it again.
        unsafe { ManuallyDrop::take(&mut self.0) }
    }
}

/// Frees entries when no reader can see them: as dropping each does, at the cost of one.
pub(crate) fn bury(gone: impl Iterator<Item = Gone>) {
    let entries = gone.map(|gone| ManuallyDrop::new(gone).take());
    let free = LIMBO.lock().take_in(entries);
    free.into_iter().for_each(Heap::free);
}

/// Frees anything that readers may see through a table, when none can any more.
pub(crate) fn retire(thing: Box<dyn Any + Send>, weight: usize) {
    let free = {
        let mut limbo = LIMBO.lock();
        limbo.open.things.push(thing);
        limbo.open.weight += weight;
        limbo.settle()
    };
    free.into_iter().for_each(Heap::free);
}

/// Frees all that can be freed now. Writes do it by the way, some hundreds of pieces at a time; this is for those
/// who wish to see the memory back.
pub fn sweep() {
    let free = {
        let mut limbo = LIMBO.lock();
        limbo.seal();
        limbo.ready()
    };
    free.into_iter().for_each(Heap::free);
}

#[derive(Default)]
struct Heap {
    entries: Vec<Entry>,
    things: Vec<Box<dyn Any + Send>>,
    weight: usize,
}

static LIMBO: Mutex<Limbo> = Mutex::new(Limbo {
    open: Heap { entries: Vec::new(), things: Vec::new(), weight: 0 },
    sealed: VecDeque::new(),
});

struct Limbo {
    open: Heap,
    /// Heaps, each with those who may still see into it.
    sealed: VecDeque<(Grace, Heap)>,
}

impl Limbo {
    /// Answers what is to be freed, as do those below: by the caller, after the lock.
    fn take_in(&mut self, entries: impl Iterator<Item = Entry>) -> Vec<Heap> {
        for entry in entries {
            self.open.weight += entry.weight();
            self.open.entries.push(entry);
        }
        self.settle()
    }

    fn settle(&mut self) -> Vec<Heap> {
        if self.open.entries.len() + self.open.things.len() < PIECES && self.open.weight < WEIGHT {
            return Vec::new();
        }
        self.seal();
        self.ready()
    }

    fn seal(&mut self) {
        // Without a barrier it waits for the next time.
        if let Some(grace) = Grace::begin(|| READERS.lock().clone()) {
            self.sealed.push_back((grace, std::mem::take(&mut self.open)));
        }
    }

    fn ready(&mut self) -> Vec<Heap> {
        let mut free = Vec::new();
        while self.sealed.front_mut().is_some_and(|(grace, _)| grace.is_over()) {
            free.extend(self.sealed.pop_front().map(|(_, heap)| heap));
        }
        free
    }
}

impl Heap {
    /// Small things here, large ones by the graveyard's thread.
    fn free(self) {
        static THREAD: OnceLock<Option<Sender<Heap>>> = OnceLock::new();
        if self.weight < WEIGHT {
            return;
        }
        let thread = THREAD.get_or_init(|| {
            let (sender, heaps) = channel::<Self>();
            let thread = std::thread::Builder::new().name("graveyard".to_owned());
            thread.spawn(move || heaps.into_iter().for_each(drop)).is_ok().then_some(sender)
        });
        // Without a thread it is freed here.
        if let Some(thread) = thread {
            let _ = thread.send(self);
        }
    }
}
