//! The protocol of reads without a lock, apart from what is read. `tests/protocol.rs` has every interleaving of it
//! tried by a model checker.
//!
//! ```text
//! reader                                  writer
//!   enter: its turn becomes odd             begin: the version becomes odd
//!   version: odd? take the lock             changes slots, keeps what it takes out
//!   looks, in memory that lives             end: the version becomes even
//!   version moved? again                    grace: a barrier through all threads,
//!   uses what it found                             then whose turn is odd?
//!   leave: its turn becomes even            when those have moved on: frees
//! ```
//!
//! Two promises. *Whole*: what a look answered was so at a moment when nobody was writing, since the version was
//! even and the same before and after. *Alive*: what a reader may still see is not freed. Either its mark is seen
//! after the barrier, and the grace waits for it; or it entered after the barrier, and then sees what the writer
//! did before: a version that sends it to the lock, or slots that no longer lead there.

use crate::sync::{Arc, AtomicU64, Ordering, fence, heavy_barrier, light_barrier};

/// How often a look is tried before the lock.
const TRIES: u32 = 3;

/// Counts the beginnings and ends of writing: odd while somebody writes.
#[derive(Debug)]
pub(crate) struct Version(AtomicU64);

impl Version {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Before the first change. The caller holds the lock alone.
    pub(crate) fn begin(&self) {
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        // No change becomes visible before the odd version.
        fence(Ordering::Release);
    }

    /// After the last change.
    pub(crate) fn end(&self) {
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// What `look` found at a moment without writing; `None` if somebody writes, or wrote in each try. `look` runs
    /// inside an [`Inside`], reads atomics only, and may be wrong when a writer meets it.
    #[inline]
    pub(crate) fn read<R>(&self, mut look: impl FnMut() -> R) -> Option<R> {
        for _ in 0..TRIES {
            let before = self.now()?;
            let found = look();
            if self.is_still(before) {
                return Some(found);
            }
        }
        None
    }

    /// The version, unless somebody writes.
    #[inline]
    pub(crate) fn now(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Acquire)).filter(|version| version % 2 == 0)
    }

    /// Whether nobody has written since.
    #[inline]
    pub(crate) fn is_still(&self, before: u64) -> bool {
        // What was looked at is read before the version is.
        fence(Ordering::Acquire);
        self.0.load(Ordering::Relaxed) == before
    }
}

/// A thread that reads. Its mark stands on cache lines of its own, which only a grace looks at.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Reader {
    /// Odd while it is inside.
    turn: AtomicU64,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { turn: AtomicU64::new(0) }
    }

    /// What is found until this is dropped is not freed. May be entered again inside.
    #[inline]
    pub(crate) fn enter(&self) -> Inside<'_> {
        let turn = self.turn.load(Ordering::Relaxed);
        if turn % 2 == 1 {
            return Inside { reader: None };
        }
        // Release, so that a grace that meets this turn knows that the one before is over.
        self.turn.store(turn + 1, Ordering::Release);
        light_barrier();
        Inside { reader: Some((self, turn + 2)) }
    }
}

/// A read that is going on.
#[derive(Debug)]
pub(crate) struct Inside<'r> {
    /// The outermost of nested reads, and its next turn.
    reader: Option<(&'r Reader, u64)>,
}

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some((reader, next)) = self.reader {
            reader.turn.store(next, Ordering::Release);
        }
    }
}

/// Those who were reading when something had been taken out.
#[derive(Debug)]
pub(crate) struct Grace(Vec<(Arc<Reader>, u64)>);

impl Grace {
    /// To be called after the taking out. `list` answers the readers there are and is called after the barrier, so
    /// that whoever is not listed yet enters later. `None` if there is no barrier to be had.
    pub(crate) fn begin(list: impl FnOnce() -> Vec<Arc<Reader>>) -> Option<Self> {
        heavy_barrier().then(|| {
            let inside = |reader: Arc<Reader>| {
                let turn = reader.turn.load(Ordering::Acquire);
                (turn % 2 == 1).then_some((reader, turn))
            };
            Self(list().into_iter().filter_map(inside).collect())
        })
    }

    /// Whether all of them have left since.
    pub(crate) fn is_over(&mut self) -> bool {
        self.0.retain(|(reader, turn)| reader.turn.load(Ordering::Acquire) == *turn);
        self.0.is_empty()
    }
}
