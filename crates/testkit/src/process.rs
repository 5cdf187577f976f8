//! What `/proc` says about a process.

use std::fs;
use std::time::Duration;

/// Linux reports processor time in hundredths of a second to programs, whatever its own tick is.
const TICKS_PER_SECOND: u64 = 100;

/// Resident memory of a process, or `None` when there is no such process.
#[must_use]
pub fn rss_bytes_of(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Processor time a process has used in user and kernel mode, all threads, or `None` when there is no such process.
#[must_use]
pub fn cpu_time_of(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets and may hold spaces and brackets itself.
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * (1000 / TICKS_PER_SECOND)))
}

/// Processor time that the threads of a process have used that live now, to the nanosecond, or `None` when there is no
/// such process or the kernel does not count it. Threads that have ended are not in it: for what lasts as long as its
/// threads.
#[must_use]
pub fn thread_time_of(pid: u32) -> Option<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        // One that ends meanwhile is no longer asked for.
        let Ok(line) = fs::read_to_string(thread.ok()?.path().join("schedstat")) else { continue };
        nanoseconds += line.split(' ').next()?.parse::<u64>().ok()?;
    }
    (nanoseconds > 0).then(|| Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_process_has_memory_and_time() {
        let pid = std::process::id();
        assert!(rss_bytes_of(pid).expect("we exist") > 100_000);
        assert!(cpu_time_of(pid).is_some());
        assert!(thread_time_of(pid).is_some());
    }

    #[test]
    fn a_process_that_is_not_there_has_none() {
        assert_eq!(rss_bytes_of(u32::MAX), None);
        assert_eq!(cpu_time_of(u32::MAX), None);
        assert_eq!(thread_time_of(u32::MAX), None);
    }
}
