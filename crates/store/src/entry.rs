//! One key: a single allocation behind an eight-byte pointer.
//!
//! ```text
//!  0        4          8            12         16             16 (or 24)   then
//! | refs u32 | word u32 | access u32 | length u32 | expire i64, if E | pointer, if O | key bytes | string bytes |
//!             \ key length, 29 bits | spare | O E   the flags below
//! ```
//!
//! A key costs one cache miss besides its slot, and a short string is read from the same lines as its
//! key. With separate boxes for key and value the same data cost 74 bytes more a key (`docs/unsafe.md`).
//!
//! [`Entry`] owns one that no table has shown to readers yet; [`EntryRef`] is one in a table, for as long as a
//! lock or a read protects it; [`Gone`](crate::graveyard::Gone) is one taken out of a table, which readers
//! without a lock may still see.
//!
//! Invariants, kept by this file alone:
//! 1. `ptr` was made by `allocate` with the layout that `layout` computes from the header, and lives until
//!    `refs` reaches 0.
//! 2. Header fields, expiry, key and string bytes are written once, before the pointer is shared; afterwards
//!    only `refs` and `access` (atomics) change, and the boxed value through `&mut`, which a lock makes
//!    exclusive. Readers without a lock never look at a boxed value.
//! 3. An entry with flag O owns the `Box<Value>` behind its pointer, unless that is null because the value has
//!    been taken, and is never shared by count (`refs == 1`).
#![expect(
    unsafe_code,
    reason = "a header, a key and a value of two lengths in one allocation; see docs/unsafe.md"
)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use crate::value::{Kind, Value};

/// Flag O: the value is a `Box<Value>`, not string bytes in place.
const OWNED: u32 = 1 << 31;
/// Flag E: an expiry stands in the entry.
const EXPIRES: u32 = 1 << 30;
const LENGTH: u32 = (1 << 29) - 1;
/// The longest key, in bytes.
pub const MAX_KEY: usize = LENGTH as usize;
/// The longest string kept in place, in bytes; longer ones live in a [`Value::Raw`].
pub const MAX_INLINE: usize = 16 * 1024;

#[repr(C)]
struct Header {
    refs: AtomicU32,
    word: u32,
    /// When or how often the key was used, as its keyspace counts that.
    access: AtomicU32,
    /// Of a string in place.
    length: u32,
}

/// A key with its value and expiry, which no table holds.
pub struct Entry {
    ptr: NonNull<Header>,
}

// SAFETY: the allocation is plain bytes, atomics and a `Box<Value>`, and `Value` is Send and Sync.
unsafe impl Send for Entry {}
// SAFETY: as above; `&Entry` gives no way to write but the atomics.
unsafe impl Sync for Entry {}

/// An entry of a table, to read.
#[derive(Clone, Copy)]
pub struct EntryRef<'a> {
    ptr: NonNull<Header>,
    of: PhantomData<&'a Entry>,
}

// SAFETY: it is a `&Entry`, and `Entry` is Sync.
unsafe impl Send for EntryRef<'_> {}
// SAFETY: as above.
unsafe impl Sync for EntryRef<'_> {}

/// What an entry holds.
#[derive(Debug, Clone, Copy)]
pub enum ValueRef<'a> {
    /// A string kept in place.
    Inline(&'a [u8]),
    /// Anything else.
    Owned(&'a Value),
}

impl<'a> EntryRef<'a> {
    /// The name of its type, as TYPE tells it.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self.value() {
            ValueRef::Inline(_) => Kind::String.name(),
            ValueRef::Owned(value) => value.kind().name(),
        }
    }

    /// The key.
    #[must_use]
    #[inline]
    pub fn key(self) -> &'a [u8] {
        let word = self.header().word;
        // SAFETY: invariant 1 and 2: `key length` bytes were written there and do not change.
        unsafe { bytes(self.ptr, key_at(word), (word & LENGTH) as usize) }
    }

    /// Unix milliseconds at which the key expires.
    #[must_use]
    #[inline]
    pub fn expire(self) -> Option<i64> {
        if self.header().word & EXPIRES == 0 {
            return None;
        }
        // SAFETY: flag E says that an i64 stands behind the header (invariant 1); no one writes it while
        // this lives (invariant 2).
        Some(unsafe { at(self.ptr, size_of::<Header>()).cast::<i64>().read() })
    }

    /// The value.
    #[must_use]
    #[inline]
    pub fn value(self) -> ValueRef<'a> {
        static TAKEN: Value = Value::EMPTY;
        if self.is_in_place() {
            return ValueRef::Inline(self.in_place());
        }
        // SAFETY: flag O: a pointer stands there (invariant 3), which only `&mut` changes.
        let value = unsafe { boxed_at(self.ptr).read() };
        // SAFETY: from `Box::into_raw`, or null; the entry owns the box and outlives the reference; writers
        // need `&mut`.
        ValueRef::Owned(unsafe { value.as_ref() }.unwrap_or(&TAKEN))
    }

    /// Whether it is a string kept in place, which never changes.
    #[must_use]
    #[inline]
    pub fn is_in_place(self) -> bool {
        self.header().word & OWNED == 0
    }

    /// The 32 bits that tell of its use; eviction and OBJECT give them a meaning.
    #[must_use]
    #[inline]
    pub fn access(self) -> u32 {
        self.header().access.load(Ordering::Relaxed)
    }

    /// Notes its use. Readers do it too: no order is promised.
    #[inline]
    pub fn set_access(self, access: u32) {
        self.header().access.store(access, Ordering::Relaxed);
    }

    /// Heap bytes of the entry and its value.
    #[inline]
    #[must_use]
    pub fn weight(self) -> usize {
        self.allocated()
            + match self.value() {
                ValueRef::Inline(_) => 0,
                ValueRef::Owned(value) => value.allocated(),
            }
    }

    /// Bytes that the entry occupies on the heap, without what an owned value points to.
    #[must_use]
    #[inline]
    pub fn allocated(self) -> usize {
        let header = self.header();
        key_at(header.word) + (header.word & LENGTH) as usize + header.length as usize
    }

    /// A counted reference to a string kept in place; `None` for anything else.
    #[must_use]
    pub(crate) fn share(self) -> Option<InlineStr> {
        if !self.is_in_place() {
            return None;
        }
        let before = self.header().refs.fetch_add(1, Ordering::Relaxed);
        assert!(before < u32::MAX / 2, "two thousand million references to one string");
        Some(InlineStr(Entry { ptr: self.ptr }))
    }

    #[inline]
    fn in_place(self) -> &'a [u8] {
        let Header { word, length, .. } = self.header();
        // SAFETY: `length` string bytes follow the key and do not change (invariants 1 and 2).
        unsafe { bytes(self.ptr, key_at(*word) + (word & LENGTH) as usize, *length as usize) }
    }

    #[inline]
    fn header(self) -> &'a Header {
        // SAFETY: invariant 1: a Header stands at the start; only its atomics change.
        unsafe { self.ptr.as_ref() }
    }

    /// The value of the entry behind a pointer of [`Entry::into_raw`], unless it is a string kept in place.
    ///
    /// # Safety
    /// The entry lives during `'a`, and nobody else looks at its value.
    #[inline]
    pub(crate) unsafe fn value_mut(raw: NonNull<()>) -> Option<&'a mut Value> {
        // SAFETY: the caller's promise.
        let entry = unsafe { Self::from_raw(raw) };
        if entry.is_in_place() {
            return None;
        }
        // SAFETY: flag O: a pointer stands there (invariant 3).
        let value = unsafe { boxed_at(entry.ptr).read() };
        // SAFETY: from `Box::into_raw`, or null; the entry owns the box; exclusive by the caller's promise.
        unsafe { value.as_mut() }
    }

    /// The entry behind a pointer of [`Entry::into_raw`].
    ///
    /// # Safety
    /// The entry lives during `'a`, and nobody changes its value.
    #[inline]
    pub(crate) unsafe fn from_raw(raw: NonNull<()>) -> Self {
        Self { ptr: raw.cast(), of: PhantomData }
    }
}

impl fmt::Debug for EntryRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key().escape_ascii().to_string())
            .field("expire", &self.expire())
            .finish()
    }
}

impl Entry {
    /// A string in place.
    ///
    /// # Panics
    /// If `key` is longer than [`MAX_KEY`] or `value` than [`MAX_INLINE`].
    #[must_use]
    pub fn inline(key: &[u8], value: &[u8], expire: Option<i64>) -> Self {
        assert!(value.len() <= MAX_INLINE, "callers send long strings through Value::Raw");
        let (ptr, key_end) = allocate(key, Some(value.len()), expire);
        write_bytes(ptr, key_end, value);
        Self { ptr }
    }

    /// Any other value.
    ///
    /// # Panics
    /// If `key` is longer than [`MAX_KEY`].
    #[must_use]
    pub fn owned(key: &[u8], value: Box<Value>, expire: Option<i64>) -> Self {
        let (ptr, _) = allocate(key, None, expire);
        // SAFETY: invariant 1: the layout has room for a pointer there; invariant 3: we now own the box.
        unsafe { boxed_at(ptr).write(Box::into_raw(value)) };
        Self { ptr }
    }

    /// It, to read.
    #[inline]
    #[must_use]
    pub fn as_ref(&self) -> EntryRef<'_> {
        EntryRef { ptr: self.ptr, of: PhantomData }
    }

    /// The key.
    #[inline]
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.as_ref().key()
    }

    /// Unix milliseconds at which the key expires.
    #[inline]
    #[must_use]
    pub fn expire(&self) -> Option<i64> {
        self.as_ref().expire()
    }

    /// The value.
    #[inline]
    #[must_use]
    pub fn value(&self) -> ValueRef<'_> {
        self.as_ref().value()
    }

    /// Heap bytes of the entry and its value.
    #[inline]
    #[must_use]
    pub fn weight(&self) -> usize {
        self.as_ref().weight()
    }

    /// The value, unless it is a string kept in place.
    pub(crate) fn value_mut(&mut self) -> Option<&mut Value> {
        // SAFETY: we own the entry, and `&mut self` is exclusive.
        unsafe { EntryRef::value_mut(self.ptr.cast()) }
    }

    fn take_value(&mut self) -> Option<Box<Value>> {
        if self.as_ref().is_in_place() {
            return None;
        }
        // SAFETY: flag O: a pointer stands there (invariant 3); `&mut self` is exclusive, and readers without
        // a lock do not look at it (invariant 2).
        let value = unsafe { boxed_at(self.ptr).replace(std::ptr::null_mut()) };
        // SAFETY: from `Box::into_raw`; null stands in its place now, so nobody else gives it back.
        NonNull::new(value).map(|value| unsafe { Box::from_raw(value.as_ptr()) })
    }

    /// The same value, moved or copied, under another key and expiry. What is left may only be dropped.
    #[must_use]
    pub(crate) fn moved_to(&mut self, key: &[u8], expire: Option<i64>) -> Self {
        let value = self.take_value();
        self.with_value(value, key, expire)
    }

    fn with_value(&self, value: Option<Box<Value>>, key: &[u8], expire: Option<i64>) -> Self {
        let new = match value {
            Some(value) => Self::owned(key, value, expire),
            None => match self.value() {
                ValueRef::Inline(value) => Self::inline(key, value, expire),
                // It has been moved before.
                ValueRef::Owned(_) => Self::owned(key, Box::new(Value::EMPTY), expire),
            },
        };
        new.as_ref().set_access(self.as_ref().access());
        new
    }

    /// The same under another expiry. What is left may only be dropped.
    #[must_use]
    pub(crate) fn with_expire(&mut self, expire: Option<i64>) -> Self {
        let value = self.take_value();
        self.with_value(value, self.key(), expire)
    }

    pub(crate) fn into_raw(self) -> NonNull<()> {
        ManuallyDrop::new(self).ptr.cast()
    }

    /// # Safety
    /// `raw` comes from [`Self::into_raw`], and this is the only `Entry` made of it.
    pub(crate) unsafe fn from_raw(raw: NonNull<()>) -> Self {
        Self { ptr: raw.cast() }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.as_ref().header().refs.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        drop(self.take_value());
        let layout = layout(self.as_ref().allocated());
        // SAFETY: invariant 1: made with this layout, and this was the last reference.
        unsafe { dealloc(self.ptr.as_ptr().cast(), layout) };
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// A counted reference to a string kept in place; it outlives the key.
pub(crate) struct InlineStr(Entry);

impl InlineStr {
    /// The entry as it was when it was shared.
    pub(crate) fn entry(&self) -> EntryRef<'_> {
        self.0.as_ref()
    }
}

impl Deref for InlineStr {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_ref().in_place()
    }
}

impl Clone for InlineStr {
    fn clone(&self) -> Self {
        self.0.as_ref().share().unwrap_or_else(|| unreachable!("only strings in place are shared"))
    }
}

/// Where the key begins.
#[inline]
fn key_at(word: u32) -> usize {
    let words = (word >> 31) as usize + (word >> 30 & 1) as usize;
    size_of::<Header>() + words * 8
}

/// Where the pointer to a value stands.
#[inline]
fn boxed_at(ptr: NonNull<Header>) -> *mut *mut Value {
    // SAFETY: invariant 1: a Header stands at the start.
    let word = unsafe { ptr.as_ref() }.word;
    at(ptr, key_at(word) - size_of::<*mut Value>()).cast()
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, align_of::<u64>()).unwrap_or_else(|_| unreachable!("two bounded lengths"))
}

/// An entry with its key; answers where the string begins, if there is to be one in place.
fn allocate(key: &[u8], inline: Option<usize>, expire: Option<i64>) -> (NonNull<Header>, usize) {
    assert!(key.len() <= MAX_KEY, "callers refuse longer keys");
    let flags = if inline.is_none() { OWNED } else { 0 } | if expire.is_some() { EXPIRES } else { 0 };
    let word = key.len() as u32 | flags;
    let length = inline.unwrap_or(0);
    let key_end = key_at(word) + key.len();
    let layout = layout(key_end + length);
    // SAFETY: the layout is never empty: it holds a Header at least.
    let raw = unsafe { alloc(layout) };
    let Some(ptr) = NonNull::new(raw.cast::<Header>()) else { handle_alloc_error(layout) };
    let header = Header { refs: AtomicU32::new(1), word, access: AtomicU32::new(0), length: length as u32 };
    // SAFETY: fresh memory of at least a Header, aligned to 8.
    unsafe { ptr.write(header) };
    if let Some(expire) = expire {
        // SAFETY: flag E made room for it; a Header's end is aligned.
        unsafe { at(ptr, size_of::<Header>()).cast::<i64>().write(expire) };
    }
    write_bytes(ptr, key_at(word), key);
    (ptr, key_end)
}

/// A pointer `offset` bytes into the allocation.
#[inline]
fn at(ptr: NonNull<Header>, offset: usize) -> *mut u8 {
    ptr.as_ptr().cast::<u8>().wrapping_add(offset)
}

fn write_bytes(ptr: NonNull<Header>, offset: usize, source: &[u8]) {
    // SAFETY: called by the constructors only, on fresh memory that `allocate` made long enough.
    unsafe { std::ptr::copy_nonoverlapping(source.as_ptr(), at(ptr, offset), source.len()) };
}

/// # Safety
/// `length` initialised bytes that nobody writes during `'a` stand at `offset`.
#[inline]
unsafe fn bytes<'a>(ptr: NonNull<Header>, offset: usize, length: usize) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(at(ptr, offset), length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_keeps_key_value_and_expiry() {
        for expire in [None, Some(i64::MIN), Some(0), Some(1_795_377_529_140)] {
            for key in [&b""[..], b"k", &[7; 300]] {
                for value in [&b""[..], b"v", &[9; MAX_INLINE]] {
                    let mut e = Entry::inline(key, value, expire);
                    e.as_ref().set_access(77);
                    assert_eq!((e.key(), e.expire()), (key, expire));
                    assert!(matches!(e.value(), ValueRef::Inline(v) if v == value));
                    for next in [Some(5), Some(6), None, Some(7)] {
                        e = e.with_expire(next);
                        assert_eq!((e.key(), e.expire(), e.as_ref().access()), (key, next, 77));
                        assert!(matches!(e.value(), ValueRef::Inline(v) if v == value));
                    }
                }
            }
        }
    }

    #[test]
    fn a_shared_string_outlives_its_key_and_ignores_later_changes() {
        let mut e = Entry::inline(b"key", b"value", Some(1));
        let blob = e.as_ref().share().unwrap();
        let second = blob.clone();
        e = e.with_expire(Some(2));
        assert_eq!(e.expire(), Some(2));
        drop(e);
        assert_eq!(&*blob, b"value");
        drop(blob);
        let thread = std::thread::spawn(move || second.to_vec());
        assert_eq!(thread.join().unwrap(), b"value");
    }

    #[test]
    fn an_owned_value_moves_with_its_entry() {
        let value = || Box::new(Value::Raw(std::sync::Arc::new(b"long".to_vec())));
        let mut e = Entry::owned(b"k", value(), None);
        assert!(e.as_ref().share().is_none());
        e = e.with_expire(Some(3));
        if let Some(Value::Raw(v)) = e.value_mut() {
            std::sync::Arc::make_mut(v).push(b'!');
        }
        let mut left = e;
        let e = left.moved_to(b"other", Some(9));
        assert!(left.value_mut().is_none() && matches!(left.value(), ValueRef::Owned(v) if v.is_vacant()));
        assert_eq!(left.key(), b"k");
        assert_eq!((e.key(), e.expire()), (&b"other"[..], Some(9)));
        assert!(matches!(e.value(), ValueRef::Owned(Value::Raw(v)) if v.as_slice() == b"long!"));
        let e = Entry::inline(b"a", b"b", None).moved_to(b"c", None);
        assert!(matches!(e.value(), ValueRef::Inline(b"b")));
    }

    #[test]
    fn a_16_byte_key_with_a_64_byte_value_takes_96_bytes() {
        assert_eq!(Entry::inline(&[0; 16], &[0; 64], None).as_ref().allocated(), 96);
        assert_eq!(size_of::<Option<Entry>>(), 8);
    }
}
