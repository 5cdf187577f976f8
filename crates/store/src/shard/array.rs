//! An array that its owner shares with readers by a pointer and a length in one word.
//!
//! ```text
//! | 16: length, coded | 48: address |
//! ```
#![expect(unsafe_code, reason = "a box whose contents others see while it moves; see docs/unsafe.md")]

use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

const CODE_AT: u32 = 48;

/// Owned, never moved, changed through shared references only.
pub(crate) struct Array<T> {
    ptr: NonNull<T>,
    len: usize,
    owns: PhantomData<T>,
}

// SAFETY: it is a box of Ts, of which it gives shared references only.
unsafe impl<T: Send + Sync> Send for Array<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Array<T> {}

impl<T> Array<T> {
    pub(crate) fn new(len: usize, item: impl FnMut(usize) -> T) -> Self {
        let items: Box<[T]> = (0..len).map(item).collect();
        let ptr = NonNull::from(Box::leak(items)).cast();
        Self { ptr, len, owns: PhantomData }
    }

    /// Nothing, without an allocation.
    pub(crate) fn none() -> Self {
        Self { ptr: NonNull::dangling(), len: 0, owns: PhantomData }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[T] {
        // SAFETY: `new` leaked a slice of this length, or the length is 0; it lives until `drop`.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }

    /// The pointer for readers, with a code of the length; null if there is nothing.
    pub(crate) fn shown(&self, code: usize) -> *mut T {
        if self.len == 0 {
            return std::ptr::null_mut();
        }
        let ptr = self.ptr.as_ptr();
        assert!(ptr.addr() >> CODE_AT == 0 && code >> 16 == 0, "an address that leaves no room for a length");
        ptr.map_addr(|at| at | code << CODE_AT)
    }
}

/// What a pointer of [`Array::shown`] leads to, by the length that `len` makes of its code.
///
/// # Safety
/// The array lives during `'a`, and `len` answers its length.
#[inline]
pub(crate) unsafe fn seen<'a, T>(shown: *mut T, len: impl FnOnce(usize) -> usize) -> &'a [T] {
    let code = shown.addr() >> CODE_AT;
    let Some(ptr) = NonNull::new(shown.map_addr(|at| at & ((1 << CODE_AT) - 1))) else { return &[] };
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(ptr.as_ptr(), len(code)) }
}

impl<T> Drop for Array<T> {
    fn drop(&mut self) {
        if self.len > 0 {
            let slice = NonNull::slice_from_raw_parts(self.ptr, self.len);
            // SAFETY: `new` leaked this box, and its one owner gives it back.
            drop(unsafe { Box::from_raw(slice.as_ptr()) });
        }
    }
}

impl<T> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Array of {}", self.len)
    }
}
