//! One key: a single allocation behind an eight-byte pointer.
//!
//! ```text
//!  0        4          8                16 (or 8)                  16 + n
//! | refs u32 | word u32 | expire i64, if E | length u32 or pointer | key bytes | string bytes |
//!             \ key length, 29 bits | K O E   the flags below
//! ```
//!
//! A key costs one cache miss besides its slot, and a short string is read from the same lines as its
//! key. With separate boxes for key and value the same data cost 74 bytes more a key (`docs/unsafe.md`).
//!
//! Invariants, kept by this file alone:
//! 1. `ptr` was made by `allocate` with the layout that `layout` computes from the header, and lives until
//!    `refs` reaches 0.
//! 2. Header fields, key and string bytes are written once, before the pointer is shared; afterwards only
//!    `refs` (atomic), and `expire` and the boxed value (through `&mut Entry` with `refs == 1`) change.
//! 3. An entry with flag O owns the `Box<Value>` behind its pointer and is never shared (`refs == 1`).
#![expect(
    unsafe_code,
    reason = "a header, a key and a value of two lengths in one allocation; see docs/unsafe.md"
)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use crate::value::Value;

/// Flag O: the value is a `Box<Value>`, not string bytes in place.
const OWNED: u32 = 1 << 31;
/// Flag E: an expiry stands in the entry.
const EXPIRES: u32 = 1 << 30;
/// Flag K: spare, always 0.
const LENGTH: u32 = (1 << 29) - 1;
/// The longest key, in bytes.
pub const MAX_KEY: usize = LENGTH as usize;
/// The longest string kept in place, in bytes; longer ones live in a [`Value::Raw`].
pub const MAX_INLINE: usize = 16 * 1024;

#[repr(C)]
struct Header {
    refs: AtomicU32,
    word: u32,
}

/// A key with its value and expiry.
pub struct Entry {
    ptr: NonNull<Header>,
}

// SAFETY: the allocation is plain bytes, an atomic count and a `Box<Value>`, and `Value` is Send and Sync.
unsafe impl Send for Entry {}
// SAFETY: as above; `&Entry` gives no way to write but the atomic count.
unsafe impl Sync for Entry {}

/// What an entry holds.
#[derive(Debug, Clone, Copy)]
pub enum ValueRef<'a> {
    /// A string kept in place.
    Inline(&'a [u8]),
    /// Anything else.
    Owned(&'a Value),
}

impl Entry {
    /// A string in place.
    ///
    /// # Panics
    /// If `key` is longer than [`MAX_KEY`] or `value` than [`MAX_INLINE`].
    #[must_use]
    pub fn inline(key: &[u8], value: &[u8], expire: Option<i64>) -> Self {
        assert!(value.len() <= MAX_INLINE, "callers send long strings through Value::Raw");
        let (ptr, parts) = allocate(key.len(), Some(value.len()), expire);
        // SAFETY: invariant 1: the layout has room for a u32 at `body`, written before sharing.
        unsafe { at(ptr, parts.body).cast::<u32>().write(value.len() as u32) };
        write_bytes(ptr, parts.key, key);
        write_bytes(ptr, parts.key + key.len(), value);
        Self { ptr }
    }

    /// Any other value.
    ///
    /// # Panics
    /// If `key` is longer than [`MAX_KEY`].
    #[must_use]
    pub fn owned(key: &[u8], value: Box<Value>, expire: Option<i64>) -> Self {
        let (ptr, parts) = allocate(key.len(), None, expire);
        // SAFETY: invariant 1: the layout has room for a pointer at `body`; invariant 3: we now own the box.
        unsafe { at(ptr, parts.body).cast::<*mut Value>().write(Box::into_raw(value)) };
        write_bytes(ptr, parts.key, key);
        Self { ptr }
    }

    /// The key.
    #[must_use]
    #[inline]
    pub fn key(&self) -> &[u8] {
        let word = self.word();
        // SAFETY: invariant 1 and 2: `key length` bytes were written there and do not change.
        unsafe { bytes(self.ptr, Parts::of(word).key, (word & LENGTH) as usize) }
    }

    /// Unix milliseconds at which the key expires.
    #[must_use]
    #[inline]
    pub fn expire(&self) -> Option<i64> {
        if self.word() & EXPIRES == 0 {
            return None;
        }
        // SAFETY: flag E says that an i64 stands behind the header (invariant 1); no one writes it while
        // `&self` lives (invariant 2).
        Some(unsafe { at(self.ptr, size_of::<Header>()).cast::<i64>().read() })
    }

    /// Sets or clears the expiry: in place where possible, else by a new allocation.
    pub fn set_expire(&mut self, expire: Option<i64>) {
        if self.expire() == expire {
            return;
        }
        match expire {
            Some(at_ms) if self.word() & EXPIRES != 0 && self.is_unique() => {
                // SAFETY: flag E: the place exists; `&mut self` and `refs == 1`: nobody reads it (invariant 2).
                unsafe { at(self.ptr, size_of::<Header>()).cast::<i64>().write(at_ms) };
            }
            _ => {
                let moved = match self.value() {
                    ValueRef::Inline(value) => Self::inline(self.key(), value, expire),
                    ValueRef::Owned(_) => {
                        let empty = Box::new(Value::EMPTY);
                        let value =
                            std::mem::replace(self.value_mut().unwrap_or_else(|| unreachable!()), *empty);
                        Self::owned(self.key(), Box::new(value), expire)
                    }
                };
                *self = moved;
            }
        }
    }

    /// The value.
    #[must_use]
    #[inline]
    pub fn value(&self) -> ValueRef<'_> {
        let word = self.word();
        let parts = Parts::of(word);
        if word & OWNED == 0 {
            ValueRef::Inline(self.inline_bytes(parts, word))
        } else {
            // SAFETY: flag O: a pointer from `Box::into_raw` stands there (invariant 3).
            let value = unsafe { at(self.ptr, parts.body).cast::<*mut Value>().read() };
            // SAFETY: we own the box and `&self` outlives the reference; writers need `&mut self`.
            ValueRef::Owned(unsafe { &*value })
        }
    }

    /// The value, unless it is a string kept in place.
    #[inline]
    pub fn value_mut(&mut self) -> Option<&mut Value> {
        let word = self.word();
        if word & OWNED == 0 {
            return None;
        }
        // SAFETY: flag O: a pointer from `Box::into_raw` stands there (invariant 3).
        let value = unsafe { at(self.ptr, Parts::of(word).body).cast::<*mut Value>().read() };
        // SAFETY: we own the box, it is never shared (invariant 3), and `&mut self` is exclusive.
        Some(unsafe { &mut *value })
    }

    /// The same value under another key and expiry.
    #[must_use]
    pub fn renamed(mut self, key: &[u8], expire: Option<i64>) -> Self {
        match self.value_mut() {
            Some(value) => Self::owned(key, Box::new(std::mem::replace(value, Value::EMPTY)), expire),
            None => match self.value() {
                ValueRef::Inline(value) => Self::inline(key, value, expire),
                ValueRef::Owned(_) => unreachable!("value_mut answered None"),
            },
        }
    }

    /// A counted reference to a string kept in place; `None` for anything else.
    #[must_use]
    pub(crate) fn share(&self) -> Option<InlineStr> {
        if self.word() & OWNED != 0 {
            return None;
        }
        let before = self.header().refs.fetch_add(1, Ordering::Relaxed);
        assert!(before < u32::MAX / 2, "two thousand million references to one string");
        Some(InlineStr(Self { ptr: self.ptr }))
    }

    /// Bytes that the entry occupies on the heap, without what an owned value points to.
    #[must_use]
    #[inline]
    pub fn allocated(&self) -> usize {
        self.layout().size()
    }

    fn is_unique(&self) -> bool {
        self.header().refs.load(Ordering::Acquire) == 1
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: invariant 1: a Header stands at the start; only its atomic changes.
        unsafe { self.ptr.as_ref() }
    }

    #[inline]
    fn word(&self) -> u32 {
        self.header().word
    }

    #[inline]
    fn inline_bytes(&self, parts: Parts, word: u32) -> &[u8] {
        // SAFETY: flag O is clear: a u32 stands at `body` (invariant 1).
        let length = unsafe { at(self.ptr, parts.body).cast::<u32>().read() } as usize;
        // SAFETY: `length` string bytes follow the key and do not change (invariants 1 and 2).
        unsafe { bytes(self.ptr, parts.key + (word & LENGTH) as usize, length) }
    }

    fn layout(&self) -> Layout {
        let word = self.word();
        let parts = Parts::of(word);
        let inline = if word & OWNED == 0 { self.inline_bytes(parts, word).len() } else { 0 };
        layout(parts.key + (word & LENGTH) as usize + inline)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.header().refs.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        let layout = self.layout();
        if self.word() & OWNED != 0 {
            // SAFETY: flag O: the pointer came from `Box::into_raw` (invariant 3).
            let value = unsafe { at(self.ptr, Parts::of(self.word()).body).cast::<*mut Value>().read() };
            // SAFETY: the last owner gives the box back, once.
            drop(unsafe { Box::from_raw(value) });
        }
        // SAFETY: invariant 1: made with this layout, and this was the last reference.
        unsafe { dealloc(self.ptr.as_ptr().cast(), layout) };
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key().escape_ascii().to_string())
            .field("expire", &self.expire())
            .finish()
    }
}

/// A counted reference to a string kept in place; it outlives the key.
pub(crate) struct InlineStr(Entry);

impl InlineStr {
    /// The entry as it was when it was shared.
    pub(crate) fn entry(&self) -> &Entry {
        &self.0
    }
}

impl Deref for InlineStr {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let word = self.0.word();
        self.0.inline_bytes(Parts::of(word), word)
    }
}

impl Clone for InlineStr {
    fn clone(&self) -> Self {
        self.0.share().unwrap_or_else(|| unreachable!("only strings in place are shared"))
    }
}

/// Offsets that follow from the flags.
#[derive(Clone, Copy)]
struct Parts {
    body: usize,
    key: usize,
}

impl Parts {
    #[inline]
    fn of(word: u32) -> Self {
        let body = size_of::<Header>() + if word & EXPIRES != 0 { size_of::<i64>() } else { 0 };
        Self { body, key: body + if word & OWNED != 0 { size_of::<*mut Value>() } else { size_of::<u32>() } }
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, align_of::<u64>()).unwrap_or_else(|_| unreachable!("two bounded lengths"))
}

fn allocate(key: usize, inline: Option<usize>, expire: Option<i64>) -> (NonNull<Header>, Parts) {
    assert!(key <= MAX_KEY, "callers refuse longer keys");
    let flags = if inline.is_none() { OWNED } else { 0 } | if expire.is_some() { EXPIRES } else { 0 };
    let word = key as u32 | flags;
    let parts = Parts::of(word);
    let layout = layout(parts.key + key + inline.unwrap_or(0));
    // SAFETY: the layout is never empty: it holds a Header at least.
    let raw = unsafe { alloc(layout) };
    let Some(ptr) = NonNull::new(raw.cast::<Header>()) else { handle_alloc_error(layout) };
    // SAFETY: fresh memory of at least a Header, aligned to 8.
    unsafe { ptr.write(Header { refs: AtomicU32::new(1), word }) };
    if let Some(expire) = expire {
        // SAFETY: flag E made room for it; offset 8 is aligned.
        unsafe { at(ptr, size_of::<Header>()).cast::<i64>().write(expire) };
    }
    (ptr, parts)
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
                    assert_eq!((e.key(), e.expire()), (key, expire));
                    assert!(matches!(e.value(), ValueRef::Inline(v) if v == value));
                    for next in [Some(5), Some(6), None, Some(7)] {
                        e.set_expire(next);
                        assert_eq!((e.key(), e.expire()), (key, next));
                        assert!(matches!(e.value(), ValueRef::Inline(v) if v == value));
                    }
                }
            }
        }
    }

    #[test]
    fn a_shared_string_outlives_its_key_and_ignores_later_changes() {
        let mut e = Entry::inline(b"key", b"value", Some(1));
        let blob = e.share().unwrap();
        let second = blob.clone();
        e.set_expire(Some(2));
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
        assert!(e.share().is_none());
        e.set_expire(Some(3));
        if let Some(Value::Raw(v)) = e.value_mut() {
            std::sync::Arc::make_mut(v).push(b'!');
        }
        let e = e.renamed(b"other", Some(9));
        assert_eq!((e.key(), e.expire()), (&b"other"[..], Some(9)));
        assert!(matches!(e.value(), ValueRef::Owned(Value::Raw(v)) if v.as_slice() == b"long!"));
        let e = Entry::inline(b"a", b"b", None).renamed(b"c", None);
        assert!(matches!(e.value(), ValueRef::Inline(b"b")));
    }

    #[test]
    fn a_16_byte_key_with_a_64_byte_value_takes_92_bytes() {
        assert_eq!(Entry::inline(&[0; 16], &[0; 64], None).allocated(), 92);
        assert_eq!(size_of::<Option<Entry>>(), 8);
    }
}
