//! DEBUG RELOAD: the data set through a dump and back, with no write in between.

use std::sync::atomic::AtomicBool;

use rdb::{Decoder, Progress};
use replication::{Position, ReplId};
use store::Loader;

use super::file::{self, LoadError, SaveError};
use crate::engine::{Engine, Writing};
use crate::functions;

/// How to reload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reload {
    /// Saves first; otherwise the file as it is.
    pub(crate) save: bool,
    /// Drops what is there; otherwise what is loaded comes to it.
    pub(crate) flush: bool,
    /// A key that is there already takes the loaded value; otherwise that is an error.
    pub(crate) merge: bool,
}

/// What went wrong; the data are as they were.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    #[error("{0}")]
    Save(#[from] SaveError),
    #[error("{0}")]
    Load(#[from] LoadError),
    #[error("{0}")]
    Decode(#[from] rdb::Error),
}

impl Engine {
    /// Reloads. The caller has the right to take a snapshot. Where there is no directory the dump stays in memory.
    pub(crate) fn reload(&self, how: Reload) -> Result<(), ReloadError> {
        let settings = self.saving.settings.read().clone();
        let path = settings.path();
        let mut writing = self.writing.lock();
        let mut loader = Loader::new(&self.keyspace);
        if how.merge {
            loader = loader.merging();
        }
        let in_memory = !how.flush || path.is_none();
        if in_memory {
            let dump = self.dump_to_memory(&mut writing)?;
            feed(&dump, &mut loader)?;
        }
        match path {
            Some(path) => {
                if how.save {
                    let held = self.hold(&mut writing, &settings)?;
                    self.write_held(held, &path, &AtomicBool::new(false))?;
                }
                file::read(&path, &mut loader, false)?;
            }
            None if how.save => {}
            None => return Err(SaveError::NoPlace.into()),
        }
        let old = self.keyspace.swap_contents(loader.finish(), || {
            self.everything_changed();
            if !how.save && self.is_writable() {
                // Other data than replicas have: they must ask anew.
                let position = Position { replid: ReplId::random(), ..writing.primary.position() };
                writing.primary.restart(position, None);
                self.publish_position(position);
            } else {
                self.commit_events(replication::Offset(self.stream_offset()));
            }
        });
        functions::adopt(self);
        self.serve_blocked(&mut writing);
        drop(writing);
        drop(old);
        Ok(())
    }

    fn dump_to_memory(&self, writing: &mut Writing) -> Result<Vec<u8>, SaveError> {
        let held = self.hold(writing, &self.saving.settings.read().clone())?;
        let mut dump = Vec::new();
        let written = held.cut.write(&self.keyspace, &[], |piece| {
            dump.extend_from_slice(&piece);
            Ok::<_, std::convert::Infallible>(())
        });
        written.map(|()| dump).map_err(|error| match error {
            store::snapshot::SnapshotError::Encode(why) => SaveError::Encode(why),
            _ => SaveError::Busy,
        })
    }
}

fn feed(dump: &[u8], loader: &mut Loader) -> Result<(), ReloadError> {
    match Decoder::default().feed(dump, loader)? {
        Progress::Done { .. } => Ok(()),
        Progress::NeedMore => {
            let bytes = dump.len() as u64;
            Err(LoadError::BreaksOff { path: "memory".into(), bytes }.into())
        }
    }
}
