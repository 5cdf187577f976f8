//! What the interpreter holds, and how much it may.

use std::alloc::{self, Layout};
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

/// The alignment of everything that Lua allocates: its own types ask for no more, and allocators give more at a cost.
const ALIGN: usize = 8;

/// Counts an interpreter's bytes.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    used: Cell<usize>,
    /// 0: none.
    limit: Cell<usize>,
    /// What is in force while Lua code runs.
    configured: Cell<usize>,
}

impl Memory {
    pub(crate) fn new(limit: usize) -> Self {
        Self { configured: Cell::new(limit), ..Self::default() }
    }

    pub(crate) fn used(&self) -> usize {
        self.used.get()
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
        let Ok(layout) = Layout::from_size_align(new, ALIGN) else { return ptr::null_mut() };
        // SAFETY: the size is not zero.
        let block = unsafe { alloc::alloc(layout) };
        if block.is_null() {
            alloc::handle_alloc_error(layout);
        }
        memory.used.set(memory.used.get() + new);
        return block.cast();
    }
    let Ok(layout) = Layout::from_size_align(old, ALIGN) else { return ptr::null_mut() };
    if new == 0 {
        // SAFETY: Lua gives back what it got here, with the size it asked for.
        unsafe { alloc::dealloc(block.cast(), layout) };
        memory.used.set(memory.used.get() - old);
        return ptr::null_mut();
    }
    if new > old && !memory.admits(new - old) || new > isize::MAX as usize - ALIGN {
        return ptr::null_mut();
    }
    // SAFETY: as above, and the new size is neither zero nor too large.
    let block = unsafe { alloc::realloc(block.cast(), layout, new) };
    if block.is_null() {
        alloc::handle_alloc_error(layout);
    }
    memory.used.set(memory.used.get() - old + new);
    block.cast()
}
