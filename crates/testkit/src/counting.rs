//! An allocator that counts.
#![expect(unsafe_code, reason = "an allocator is unsafe by its trait; this one only passes on")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // At the end of a thread its locals may be gone.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

/// Passes on to another allocator, and counts what each thread asks for.
#[derive(Debug)]
pub struct Counting<A>(pub A);

impl<A> Counting<A> {
    /// How often this thread has asked for memory, or for more of it.
    pub fn count() -> u64 {
        COUNT.with(Cell::get)
    }
}

// SAFETY: every call goes to the other allocator as it came.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.0.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { self.0.realloc(ptr, layout, size) }
    }
}
