//! What the protocol of reads without a lock is built on: atomics, and a barrier whose cost the readers do not
//! pay. The model checker puts its own in place of these (`tests/protocol.rs`).

pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Stands between two accesses that are `SeqCst`, as those of the other side are: that alone puts them in one order.
/// The model checker knows that order of fences only.
#[inline]
pub(crate) fn in_one_order() {}

pub(crate) use barrier::{heavy_barrier, light_barrier, prepare};

#[cfg(all(target_os = "linux", not(miri)))]
mod barrier {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering, compiler_fence, fence};

    /// Whether readers may leave their half to the kernel. Set before the first reader is listed.
    static KERNEL: AtomicBool = AtomicBool::new(false);

    /// Between a reader's mark and its first look. With the kernel's help it costs nothing.
    #[inline]
    pub(crate) fn light_barrier() {
        if KERNEL.load(Ordering::Relaxed) {
            compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
    }

    /// Between what a writer took out and its look at the readers' marks: every thread that runs now passes a full
    /// barrier before this returns. False if that cannot be had just now.
    pub(crate) fn heavy_barrier() -> bool {
        fence(Ordering::SeqCst);
        !registered() || membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED)
    }

    /// To be called before a thread's first light barrier.
    pub(crate) fn prepare() {
        registered();
    }

    /// Once a process: asks for the kernel's help. A writer that got it uses it ever after, whatever readers do.
    fn registered() -> bool {
        static REGISTERED: OnceLock<bool> = OnceLock::new();
        *REGISTERED.get_or_init(|| {
            let done = membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
            KERNEL.store(done, Ordering::SeqCst);
            done
        })
    }

    #[expect(unsafe_code, reason = "a system call that std does not offer; see docs/unsafe.md")]
    fn membarrier(command: libc::c_int) -> bool {
        // SAFETY: the call reads no memory of ours and takes plain numbers.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod barrier {
    use std::sync::atomic::{Ordering, fence};

    /// To be called before a thread's first light barrier.
    pub(crate) fn prepare() {}

    /// Between a reader's mark and its first look.
    #[inline]
    pub(crate) fn light_barrier() {
        fence(Ordering::SeqCst);
    }

    /// Between what a writer took out and its look at the readers' marks.
    pub(crate) fn heavy_barrier() -> bool {
        fence(Ordering::SeqCst);
        true
    }
}
