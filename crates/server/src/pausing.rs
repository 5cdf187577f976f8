//! CLIENT PAUSE: clients wait, all of them or those that would write.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

/// Until when who has to wait.
#[derive(Debug, Clone, Copy)]
struct Pause {
    end: Instant,
    all: bool,
}

/// The pause that holds, if one does.
#[derive(Debug, Default)]
pub(crate) struct Pausing {
    holds: AtomicBool,
    pause: Mutex<Option<Pause>>,
    ended: Notify,
}

impl Pausing {
    /// Begins one, or makes it longer; never shorter, nor milder.
    pub(crate) fn begin(&self, time: Duration, all: bool) {
        let now = Instant::now();
        // So long that nobody sees its end.
        let end = now.checked_add(time).unwrap_or(now + Duration::from_secs(86_400 * 365));
        let mut pause = self.pause.lock();
        let before = pause.filter(|pause| pause.end > now);
        let end = before.map_or(end, |pause| pause.end.max(end));
        *pause = Some(Pause { end, all: all || before.is_some_and(|pause| pause.all) });
        self.holds.store(true, Ordering::Release);
    }

    /// Ends it.
    pub(crate) fn end(&self) {
        self.finish(self.pause.lock());
    }

    /// Both facts change under the lock: another pause may be about to begin.
    fn finish(&self, mut pause: MutexGuard<'_, Option<Pause>>) {
        *pause = None;
        self.holds.store(false, Ordering::Release);
        drop(pause);
        self.ended.notify_waiters();
    }

    /// Until when a client has to wait, given whether it would write.
    #[inline]
    pub(crate) fn until(&self, writes: impl FnOnce() -> bool) -> Option<Instant> {
        if !self.holds.load(Ordering::Acquire) {
            return None;
        }
        let held = self.pause.lock();
        let pause = (*held)?;
        if pause.end <= Instant::now() {
            self.finish(held);
            return None;
        }
        drop(held);
        (pause.all || writes()).then_some(pause.end)
    }

    /// Whether all wait, and how much longer, if anybody does.
    pub(crate) fn state(&self) -> Option<(bool, Duration)> {
        let pause = (*self.pause.lock())?;
        let left = pause.end.checked_duration_since(Instant::now())?;
        Some((pause.all, left))
    }

    /// Returns when the pause may be over.
    pub(crate) async fn over(&self, end: Instant) {
        let ended = self.ended.notified();
        // It may have ended before we began to listen.
        if self.holds.load(Ordering::Acquire) {
            let _ = tokio::time::timeout_at(end.into(), ended).await;
        }
    }
}
