//! The data set in a file that somebody names, beside the one that is kept.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use replication::Position;
use tokio::sync::oneshot;

use super::SaveError;
use crate::engine::Engine;

/// How far a dump is. How large it will be is known when it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SaveProgress {
    /// Bytes in the file.
    pub bytes: u64,
    /// Keys that the whole dump has.
    pub keys: usize,
}

/// Whoever waited has gone: the thread need not go on.
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Engine {
    /// Saves the data set as it is now to a file of the caller's, and answers where that stands in its history. Others
    /// go on reading and writing meanwhile. `progress` is called on the thread that writes, after each piece. Nothing
    /// else about saving changes: save points, the last save, the file that is kept. If the future is dropped, the
    /// file stays what it was.
    ///
    /// # Errors
    /// [`SaveError`]; the file is what it was then.
    pub async fn save_to(
        self: &Arc<Self>,
        path: PathBuf,
        mut progress: impl FnMut(SaveProgress) + Send + 'static,
    ) -> Result<Position, SaveError> {
        let turn = Arc::clone(&self.syncs.turn).acquire_owned().await.map_err(|_| SaveError::Busy)?;
        let (done, result) = oneshot::channel();
        let (engine, cancelled) = (Arc::clone(self), Arc::new(AtomicBool::new(false)));
        let _abandon = Abandon(Arc::clone(&cancelled));
        let mut write = move || {
            let settings = engine.saving.settings.read().clone();
            let begun = Instant::now();
            let held = {
                let mut writing = engine.writing.lock();
                engine.hold(&mut writing, &settings)?
            };
            let (keys, position) = (held.cut.snapshot.keys(), held.cut.position);
            let mut bytes = 0;
            engine.write_file(held, &path, &cancelled, |piece| {
                bytes += piece as u64;
                progress(SaveProgress { bytes, keys });
            })?;
            tracing::info!(keys, %position, path = %path.display(), took = ?begun.elapsed(), "exported");
            Ok(position)
        };
        let spawned = std::thread::Builder::new().name("saving".to_owned()).spawn(move || {
            let saved = write();
            drop(turn);
            let _ = done.send(saved);
        });
        spawned.map_err(|source| SaveError::Io { path: "a thread".into(), source })?;
        result.await.unwrap_or(Err(SaveError::Cancelled))
    }
}
