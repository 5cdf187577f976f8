//! The allocator of the binary: mimalloc, asked so that it wastes nothing.
//!
//! Its own `GlobalAlloc` asks for every block by alignment, and is then given room to align it in: 96 bytes take
//! 112, which is a seventh of the memory of small keys. Blocks of `mi_malloc` stand at multiples of 8 anyway.
#![expect(unsafe_code, reason = "an allocator is unsafe by its trait; see docs/unsafe.md")]

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc, mi_zalloc_aligned,
};

/// What every block is aligned to.
const NATURAL: usize = 8;

/// See above.
#[derive(Debug)]
pub struct Allocator;

// SAFETY: mimalloc's blocks are of the size asked for at least, and aligned to 8, or as asked for where that is more.
// None of its functions unwinds.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= NATURAL {
            // SAFETY: any size may be asked for.
            unsafe { mi_malloc(layout.size()) }.cast()
        } else {
            // SAFETY: a layout's alignment is a power of two.
            unsafe { mi_malloc_aligned(layout.size(), layout.align()) }.cast()
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= NATURAL {
            // SAFETY: any size may be asked for.
            unsafe { mi_zalloc(layout.size()) }.cast()
        } else {
            // SAFETY: a layout's alignment is a power of two.
            unsafe { mi_zalloc_aligned(layout.size(), layout.align()) }.cast()
        }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, _: Layout) {
        // SAFETY: the caller's promise: it is one of ours, and not used again.
        unsafe { mi_free(ptr.cast()) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= NATURAL {
            // SAFETY: the caller's promise: it is one of ours.
            unsafe { mi_realloc(ptr.cast(), size) }.cast()
        } else {
            // SAFETY: as above; a layout's alignment is a power of two.
            unsafe { mi_realloc_aligned(ptr.cast(), size, layout.align()) }.cast()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_as_asked_keep_their_bytes_and_waste_little() {
        for align in [1, 2, 4, 8, 16, 64, 4096] {
            for size in (1..300).chain([3072, 100_000]) {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: no layout here is empty.
                let block = unsafe { Allocator.alloc(layout) };
                assert!(!block.is_null() && block.addr().is_multiple_of(align), "{layout:?}");
                // SAFETY: it is so long.
                unsafe { block.write_bytes(7, size) };
                // SAFETY: from `alloc` with this layout.
                let block = unsafe { Allocator.realloc(block, layout, size * 2) };
                assert!(!block.is_null() && block.addr().is_multiple_of(align), "{layout:?}");
                // SAFETY: it is longer, and its beginning was written.
                assert!(unsafe { std::slice::from_raw_parts(block, size) }.iter().all(|byte| *byte == 7));
                // SAFETY: from `realloc` with this size.
                unsafe { Allocator.dealloc(block, Layout::from_size_align(size * 2, align).unwrap()) };
                // SAFETY: no layout here is empty.
                let block = unsafe { Allocator.alloc_zeroed(layout) };
                assert!(!block.is_null() && block.addr().is_multiple_of(align), "{layout:?}");
                // SAFETY: it is so long, and zeroed.
                assert!(unsafe { std::slice::from_raw_parts(block, size) }.iter().all(|byte| *byte == 0));
                // SAFETY: from `alloc_zeroed` with this layout.
                unsafe { Allocator.dealloc(block, layout) };
            }
        }
    }
}
