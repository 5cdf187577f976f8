//! A shard with its lock, and beside it what readers without a lock need: a cache line that only writers write.
#![expect(
    unsafe_code,
    reason = "pointers that outlive what they lead to only as the protocol allows; see docs/unsafe.md"
)]

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Instant;

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::array::seen;
use super::protocol::Version;
use super::table::{Bucket, fetch_bucket, fetch_entry, find};
use super::{Shard, prefix};
use crate::entry::EntryRef;
use crate::graveyard::inside;

/// The place of a shard's contents.
#[derive(Debug)]
pub(crate) struct Cell {
    shown: Shown,
    lock: RwLock<Shard>,
}

#[derive(Debug)]
#[repr(align(64))]
struct Shown {
    version: Version,
    /// The shard's directory, its bits beside the address.
    directory: AtomicPtr<AtomicPtr<Bucket>>,
}

impl Default for Cell {
    fn default() -> Self {
        let shown = Shown { version: Version::new(), directory: AtomicPtr::default() };
        Self { shown, lock: RwLock::default() }
    }
}

impl Cell {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Shard> {
        loop {
            let shard = self.lock.read();
            if shard.pending.is_none() {
                return shard;
            }
            drop(shard);
            drop(self.write());
        }
    }

    /// As [`read`](Self::read), but not beyond a moment, if one is given, nor at all if somebody writes and none is.
    pub(crate) fn read_until(&self, end: Option<Instant>) -> Option<RwLockReadGuard<'_, Shard>> {
        loop {
            let shard = match end {
                None => self.lock.try_read(),
                Some(end) => self.lock.try_read_until(end),
            }?;
            if shard.pending.is_none() {
                return Some(shard);
            }
            drop(shard);
            let shard = match end {
                None => self.lock.try_write(),
                Some(end) => self.lock.try_write_until(end),
            };
            drop(self.exclusive(shard?));
        }
    }

    pub(crate) fn write(&self) -> Exclusive<'_> {
        self.exclusive(self.lock.write())
    }

    /// Does what was left to be done.
    fn exclusive<'c>(&'c self, mut shard: RwLockWriteGuard<'c, Shard>) -> Exclusive<'c> {
        match shard.pending.take() {
            // The version is odd since that was left.
            Some(pending) => pending.settle(&mut shard),
            None => self.shown.version.begin(),
        }
        Exclusive { shown: &self.shown, shard }
    }

    /// Calls `f` with the entry of `key`: without the lock if it is a string in place or not there, and nobody
    /// writes; else under it.
    #[inline]
    pub(crate) fn with<R>(&self, hash: u64, key: &[u8], f: impl FnOnce(Option<EntryRef<'_>>) -> R) -> R {
        self.glance(hash, key, f).unwrap_or_else(|f| f(self.read().get(hash, key)))
    }

    /// The same, but gives `f` back where it takes the lock.
    #[inline]
    pub(crate) fn glance<R, F>(&self, hash: u64, key: &[u8], f: F) -> Result<R, F>
    where
        F: FnOnce(Option<EntryRef<'_>>) -> R,
    {
        let mut f = Some(f);
        let done = inside(|| {
            // SAFETY: inside, and forgotten before this closure ends.
            let found = self.shown.version.read(|| unsafe { self.shown.look(hash, key) })?;
            // Values that change in place are for those who hold the lock.
            if found.is_none_or(EntryRef::is_in_place) { f.take().map(|f| f(found)) } else { None }
        });
        match (done.flatten(), f) {
            (Some(done), _) => Ok(done),
            (None, Some(f)) => Err(f),
            (None, None) => unreachable!("what took `f` has answered"),
        }
    }
}

/// Has come what lookups of these hashes will need, so that their cache misses overlap: first all buckets, then all
/// entries. Takes no lock; where somebody writes, nothing is done.
pub(crate) fn approach<'c>(hashes: impl Iterator<Item = (&'c Cell, u64)> + Clone) {
    inside(|| {
        for (cell, hash) in hashes.clone() {
            // SAFETY: inside, and forgotten at once.
            cell.shown.version.read(|| fetch_bucket(unsafe { cell.shown.buckets(hash) }, hash));
        }
        for (cell, hash) in hashes {
            // SAFETY: as above.
            cell.shown.version.read(|| fetch_entry(unsafe { cell.shown.buckets(hash) }, hash));
        }
    });
}

impl Shown {
    /// The buckets for a hash just now, none if there are none.
    ///
    /// # Safety
    /// To be called inside a read (`graveyard::inside`), which `'a` must not outlive.
    #[inline]
    unsafe fn buckets<'a>(&self, hash: u64) -> &'a [Bucket] {
        let shown = self.directory.load(Ordering::Acquire);
        let mut bits = 0;
        let of_bits = |code: usize| {
            bits = code as u32;
            1 << code
        };
        // SAFETY: a shard's directory, shown with its bits; it is retired, not freed, while anybody is inside.
        let directory: &[AtomicPtr<Bucket>] = unsafe { seen(shown, of_bits) };
        let Some(buckets) = directory.get(prefix(hash, bits)) else { return &[] };
        // SAFETY: a table's buckets, shown with their number less one; retired as the directory is.
        unsafe { seen(buckets.load(Ordering::Acquire), |code| code + 1) }
    }

    /// What the tables say just now, which means something only if nobody was writing.
    ///
    /// # Safety
    /// To be called inside a read (`graveyard::inside`), which `'a` must not outlive. Where the entry is no string
    /// in place, its value must not be looked at.
    #[inline]
    unsafe fn look<'a>(&self, hash: u64, key: &[u8]) -> Option<EntryRef<'a>> {
        // SAFETY: the caller's promise.
        let buckets = unsafe { self.buckets(hash) };
        // SAFETY: entries in slots are retired as the tables are, and the caller keeps to strings.
        unsafe { find(buckets, hash, key) }.map(|(_, entry)| entry)
    }
}

/// A shard to oneself. Readers without a lock see the changes when it is dropped, or, if something is left to be done, when
/// that has been.
#[derive(Debug)]
pub(crate) struct Exclusive<'c> {
    shown: &'c Shown,
    shard: RwLockWriteGuard<'c, Shard>,
}

impl Deref for Exclusive<'_> {
    type Target = Shard;

    fn deref(&self) -> &Shard {
        &self.shard
    }
}

impl DerefMut for Exclusive<'_> {
    fn deref_mut(&mut self) -> &mut Shard {
        &mut self.shard
    }
}

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        self.shard.shown = true;
        if self.shard.pending.is_some() {
            return;
        }
        let directory = self.shard.directory.shown(self.shard.bits.into());
        self.shown.directory.store(directory, Ordering::Release);
        self.shown.version.end();
    }
}
