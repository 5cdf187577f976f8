//! Pages of 2 MiB (transparent huge pages), which a process can do without.
//!
//! They make reads of random keys cheaper and the process larger: what stands beside the last byte that is used of
//! each is resident, too. docs/performance.md has figures.

/// Lets this process do without them from now on, or with them again, as the system otherwise decides: it concerns what
/// memory is asked for later, by anybody in the process. Nothing happens where there are none.
pub fn disable(disabled: bool) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(disabled) {
        tracing::warn!(%error, "disable-thp: the system does not take it");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = disabled;
}
