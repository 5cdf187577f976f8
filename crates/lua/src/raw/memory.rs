//! What the interpreter holds, how much it may, and small blocks for it to use again.
//!
//! A script makes some small things (tables, strings) and leaves them to the collector; the next makes the same again.
//! Blocks that are given back are kept here by size, so that most are a few instructions away instead of two calls.

use std::alloc::{self, Layout};
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

/// The alignment of everything that Lua allocates: its own types ask for no more, and allocators give more at a cost.
const ALIGN: usize = 8;

/// Blocks are kept in sizes that are multiples of this.
const STEP: usize = 16;
/// The largest block that is kept: tables have 64 bytes, most strings fewer.
const SMALL: usize = 128;
/// So many bytes are kept at most: what is left by the collector at once.
const KEPT: usize = 256 * 1024;

/// Counts an interpreter's bytes.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    used: Cell<usize>,
    /// 0: none.
    limit: Cell<usize>,
    /// What is in force while Lua code runs.
    configured: Cell<usize>,
    kept: Kept,
}

/// Small blocks that were given back, each with the address of the next of its size in it.
#[derive(Debug)]
struct Kept {
    first: [Cell<*mut u8>; SMALL / STEP],
    bytes: Cell<usize>,
}

impl Default for Kept {
    fn default() -> Self {
        Self { first: std::array::from_fn(|_| Cell::new(ptr::null_mut())), bytes: Cell::new(0) }
    }
}

/// The class of a size, which is not zero.
fn class_of(size: usize) -> usize {
    (size - 1) / STEP
}

/// What is really asked for.
fn layout_of(size: usize) -> Option<Layout> {
    let size = if size <= SMALL { size.next_multiple_of(STEP) } else { size };
    Layout::from_size_align(size, ALIGN).ok()
}

impl Kept {
    /// A block of the class of this size, if one is there.
    #[inline]
    fn take(&self, size: usize) -> Option<*mut u8> {
        let first = self.first.get(class_of(size))?;
        let block = first.get();
        if block.is_null() {
            return None;
        }
        // SAFETY: `give` wrote it there.
        first.set(unsafe { block.cast::<*mut u8>().read() });
        self.bytes.set(self.bytes.get() - (class_of(size) + 1) * STEP);
        Some(block)
    }

    /// Keeps a block of this size, unless it is large or enough are kept.
    ///
    /// # Safety
    /// The block was allocated for this size, and nobody uses it any more.
    #[inline]
    unsafe fn give(&self, block: *mut u8, size: usize) -> bool {
        let Some(first) = self.first.get(class_of(size)) else { return false };
        let bytes = self.bytes.get() + (class_of(size) + 1) * STEP;
        if bytes > KEPT {
            return false;
        }
        // SAFETY: a block has at least 16 bytes and stands at a multiple of 8; the caller's promise.
        unsafe { block.cast::<*mut u8>().write(first.get()) };
        first.set(block);
        self.bytes.set(bytes);
        true
    }

    /// Gives all back.
    fn clear(&self) {
        for (size, first) in (1..).map(|n| n * STEP).zip(&self.first) {
            while let (Some(block), Some(layout)) = (self.take(size), layout_of(size)) {
                // SAFETY: it was allocated so.
                unsafe { alloc::dealloc(block, layout) };
            }
            debug_assert!(first.get().is_null());
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Memory {
    pub(crate) fn new(limit: usize) -> Self {
        Self { configured: Cell::new(limit), ..Self::default() }
    }

    pub(crate) fn used(&self) -> usize {
        self.used.get()
    }

    /// Gives the blocks back that are kept for later.
    pub(super) fn release(&self) {
        self.kept.clear();
    }

    /// Rust code begins: nothing fails.
    pub(super) fn lift(&self) {
        self.limit.set(0);
    }

    /// Lua code begins.
    pub(super) fn enforce(&self) {
        self.limit.set(self.configured.get());
    }

    /// Whether more is held than Lua code may hold: Rust code looks here now and then.
    pub(crate) fn is_over(&self) -> bool {
        let limit = self.configured.get();
        limit > 0 && self.used.get() > limit
    }

    /// Whether `more` bytes would be too much.
    pub(crate) fn would_exceed(&self, more: usize) -> bool {
        let limit = self.configured.get();
        limit > 0 && self.used.get().saturating_add(more) > limit
    }

    fn admits(&self, more: usize) -> bool {
        let limit = self.limit.get();
        limit == 0 || self.used.get().saturating_add(more) <= limit
    }
}

/// Lua's allocator: Rust's, counted. Null only where the limit forbids; if the system has no memory, the process ends.
pub(super) unsafe extern "C" fn allocate(
    data: *mut c_void,
    block: *mut c_void,
    old: usize,
    new: usize,
) -> *mut c_void {
    // SAFETY: `State::new` passed a `Ground`, which begins with its `Memory` and lives longer than the interpreter.
    let memory = unsafe { &*data.cast::<Memory>() };
    if block.is_null() {
        if new == 0 || !memory.admits(new) {
            return ptr::null_mut();
        }
        return memory.block(new).cast();
    }
    if new == 0 {
        // SAFETY: Lua gives back what it got here, with the size it asked for.
        unsafe { memory.free(block.cast(), old) };
        return ptr::null_mut();
    }
    if new > old && !memory.admits(new - old) {
        return ptr::null_mut();
    }
    // SAFETY: as above, and the new size is not zero.
    unsafe { memory.resize(block.cast(), old, new) }.cast()
}

impl Memory {
    /// A block of so many bytes, which are not none; null if there can be none so large.
    #[inline]
    fn block(&self, size: usize) -> *mut u8 {
        let block = match self.kept.take(size) {
            Some(block) => block,
            None => {
                let Some(layout) = layout_of(size) else { return ptr::null_mut() };
                // SAFETY: the size is not zero.
                let block = unsafe { alloc::alloc(layout) };
                if block.is_null() {
                    alloc::handle_alloc_error(layout);
                }
                block
            }
        };
        self.used.set(self.used.get() + size);
        block
    }

    /// # Safety
    /// The block is from [`block`](Self::block) or [`resize`](Self::resize), of this size, and not used any more.
    #[inline]
    unsafe fn free(&self, block: *mut u8, size: usize) {
        // SAFETY: the caller's promise.
        if !unsafe { self.kept.give(block, size) }
            && let Some(layout) = layout_of(size)
        {
            // SAFETY: the caller's promise.
            unsafe { alloc::dealloc(block, layout) };
        }
        self.used.set(self.used.get() - size);
    }

    /// # Safety
    /// As for [`free`](Self::free); neither size is zero.
    unsafe fn resize(&self, block: *mut u8, old: usize, new: usize) -> *mut u8 {
        let (Some(before), Some(after)) = (layout_of(old), layout_of(new)) else { return ptr::null_mut() };
        if before.size() == after.size() {
            self.used.set(self.used.get() - old + new);
            return block;
        }
        if old.min(new) <= SMALL {
            let other = self.block(new);
            // SAFETY: both are so long, and one is new.
            unsafe { ptr::copy_nonoverlapping(block, other, old.min(new)) };
            // SAFETY: the caller's promise.
            unsafe { self.free(block, old) };
            return other;
        }
        // SAFETY: the caller's promise; the new size is neither zero nor, as a layout of it exists, too large.
        let block = unsafe { alloc::realloc(block, before, after.size()) };
        if block.is_null() {
            alloc::handle_alloc_error(after);
        }
        self.used.set(self.used.get() - old + new);
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block as Lua holds it: its address, its size, and the byte that it is filled with.
    struct Held(*mut u8, usize, u8);

    fn is_filled(block: &Held, size: usize) -> bool {
        // SAFETY: it was filled over its whole length, and is no shorter.
        unsafe { std::slice::from_raw_parts(block.0, size) }.iter().all(|byte| *byte == block.2)
    }

    #[test]
    fn blocks_keep_what_is_in_them_and_all_is_given_back() {
        let memory = Memory::new(0);
        let call = |block: *mut u8, old: usize, new: usize| -> *mut u8 {
            let data = (&raw const memory).cast_mut().cast();
            // SAFETY: as Lua calls it: blocks that came from here, with their sizes.
            unsafe { allocate(data, block.cast(), old, new) }.cast()
        };
        let mut held: Vec<Held> = Vec::new();
        let mut state = 7_u64;
        let mut below = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((u128::from(state) * n as u128) >> 64) as usize
        };
        for round in 0..if cfg!(miri) { 600 } else { 60_000 } {
            let size = 1 + [below(16), below(SMALL), below(300)][below(3)];
            let fill = round as u8;
            let place = below(40);
            let block = match held.get(place) {
                None => call(ptr::null_mut(), 0, size),
                Some(old) if below(2) == 0 => {
                    let block = call(old.0, old.1, size);
                    assert!(is_filled(&Held(block, size, old.2), old.1.min(size)));
                    held.swap_remove(place);
                    block
                }
                Some(old) => {
                    assert!(is_filled(old, old.1) && call(old.0, old.1, 0).is_null());
                    held.swap_remove(place);
                    continue;
                }
            };
            assert!(!block.is_null() && block.addr().is_multiple_of(ALIGN));
            // SAFETY: it is so long.
            unsafe { block.write_bytes(fill, size) };
            held.push(Held(block, size, fill));
            assert_eq!(memory.used(), held.iter().map(|block| block.1).sum::<usize>());
            if round % 1000 == 999 {
                memory.release();
                assert_eq!(memory.kept.bytes.get(), 0);
            }
        }
        for block in held {
            assert!(is_filled(&block, block.1));
            call(block.0, block.1, 0);
        }
        assert_eq!(memory.used(), 0);
        assert!(memory.kept.bytes.get() > 0, "nothing is kept for later");
    }

    #[test]
    fn no_more_is_kept_than_is_said() {
        let memory = Memory::new(0);
        let blocks: Vec<*mut u8> = (0..2 * KEPT / SMALL).map(|_| memory.block(SMALL)).collect();
        for block in blocks {
            // SAFETY: it is from `block`, of this size.
            unsafe { memory.free(block, SMALL) };
        }
        assert_eq!((memory.used(), memory.kept.bytes.get()), (0, KEPT));
    }
}
