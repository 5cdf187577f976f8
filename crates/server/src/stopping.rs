//! The end, on purpose: SHUTDOWN, and a program that ends.
//!
//! ```text
//!  no more writes --> save --> replicas catch up --> whoever waits for the end is told
//!        ^                |              |
//!        `--- writes again: it failed, or SHUTDOWN ABORT came
//! ```
//!
//! A client ends nothing by itself: it asks, and the program that has this server ends it, if it listens
//! ([`Engine::watch_stop`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use store::CommandError;
use tokio::sync::watch;

use crate::engine::Engine;
use crate::saving::SaveError;

/// How to end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Close {
    /// Saves, or does not; `None`: if there are save points, or a replica is to go on from there.
    pub save: Option<bool>,
    /// Does not wait for replicas that lag.
    pub now: bool,
    /// Ends even if saving fails.
    pub force: bool,
}

/// Why the end does not come.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// The data set could not be saved.
    #[error("not saved: {0}")]
    Save(#[from] SaveError),
    /// SHUTDOWN ABORT came.
    #[error("the shutdown was aborted")]
    Aborted,
    /// Somebody else is ending it.
    #[error("a shutdown is in progress")]
    InProgress,
}

/// The state of the end.
#[derive(Debug)]
pub(crate) struct Stopping {
    wanted: watch::Sender<bool>,
    in_progress: AtomicBool,
    /// Grows with each SHUTDOWN ABORT.
    aborts: watch::Sender<u64>,
    /// Clients' writes are refused: they would be lost.
    refuses_writes: AtomicBool,
    /// The data set is saved, or is not to be.
    settled: AtomicBool,
}

impl Default for Stopping {
    fn default() -> Self {
        Self {
            wanted: watch::Sender::new(false),
            in_progress: AtomicBool::new(false),
            aborts: watch::Sender::new(0),
            refuses_writes: AtomicBool::new(false),
            settled: AtomicBool::new(false),
        }
    }
}

impl Stopping {
    /// An error if what a client writes now would not be saved any more.
    pub(crate) fn check(&self) -> Result<(), CommandError> {
        if self.refuses_writes.load(Ordering::Relaxed) {
            return Err(CommandError::err("this server is shutting down"));
        }
        Ok(())
    }

    /// Whether somebody ends the program when he is asked to.
    pub(crate) fn is_possible(&self) -> bool {
        self.wanted.receiver_count() > 0
    }

    /// Whether the end has begun.
    pub(crate) fn is_in_progress(&self) -> bool {
        self.in_progress.load(Ordering::Acquire)
    }

    /// Tells whoever ends the program.
    pub(crate) fn tell(&self) {
        self.wanted.send_replace(true);
    }

    /// SHUTDOWN ABORT; false if there was nothing to abort.
    pub(crate) fn abort(&self) -> bool {
        let in_progress = self.is_in_progress();
        if in_progress {
            self.aborts.send_modify(|count| *count += 1);
        }
        in_progress
    }
}

impl Engine {
    /// Becomes true when a client has ended this server by SHUTDOWN: everything that was to be saved is saved then.
    /// While nobody watches, SHUTDOWN is refused.
    #[must_use]
    pub fn watch_stop(&self) -> watch::Receiver<bool> {
        self.stopping.wanted.subscribe()
    }

    /// Whether the data set has still to be saved at the end: neither has [`close`](Self::close) done it, nor did
    /// SHUTDOWN NOSAVE want it lost.
    #[must_use]
    pub fn is_unsaved(&self) -> bool {
        self.options.persist && !self.stopping.settled.load(Ordering::Acquire)
    }

    /// Prepares the end: refuses writes, saves, lets replicas catch up. After an error everything goes on.
    ///
    /// # Errors
    /// [`CloseError`]
    pub async fn close(self: &Arc<Self>, how: Close) -> Result<(), CloseError> {
        let stopping = &self.stopping;
        if stopping.in_progress.swap(true, Ordering::AcqRel) {
            return Err(CloseError::InProgress);
        }
        let done = self.try_close(how).await;
        if done.is_err() {
            stopping.refuses_writes.store(false, Ordering::Relaxed);
        }
        stopping.settled.store(done.is_ok(), Ordering::Release);
        stopping.in_progress.store(false, Ordering::Release);
        done
    }

    async fn try_close(self: &Arc<Self>, how: Close) -> Result<(), CloseError> {
        let (has_points, timeout) = {
            let settings = self.saving.settings.read();
            (!settings.points.is_empty(), settings.shutdown_timeout)
        };
        let mut aborts = self.stopping.aborts.subscribe();
        // A script without an end has the writer: nothing can be saved then, and nobody else writes.
        let can_save = self.is_loaded() && !self.scripts.running.is_somebody_alone();
        let save = can_save && how.save.unwrap_or(has_points || self.options.persist);
        if can_save {
            let _writing = self.writing.lock();
            self.stopping.refuses_writes.store(true, Ordering::Relaxed);
        }
        if save {
            let saved = tokio::select! {
                saved = self.save() => saved,
                _ = aborts.changed() => return Err(CloseError::Aborted),
            };
            match saved {
                Err(error) if how.force => tracing::error!(%error, "not saved, but told to end all the same"),
                saved => saved?,
            }
        }
        if self.is_writable() && !how.now {
            tokio::select! {
                () = self.replicas_have_all(timeout) => {}
                _ = aborts.changed() => return Err(CloseError::Aborted),
            }
        }
        Ok(())
    }

    /// Waits until every replica has acknowledged everything, but not for ever.
    async fn replicas_have_all(&self, timeout: Duration) {
        let offset = self.stream_offset();
        let mut acks = self.acks.subscribe();
        let all = async {
            loop {
                acks.borrow_and_update();
                let lagging = self.replicas.iter().filter(|r| r.is_online() && r.acked < offset).count();
                if lagging == 0 || acks.changed().await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(timeout, all).await.is_err() {
            tracing::warn!("replicas lag: the end comes without them");
        }
    }
}
