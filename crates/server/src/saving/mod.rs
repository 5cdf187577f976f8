//! The data set in a file: SAVE and BGSAVE, by themselves after so many changes, at the end.
//!
//! ```text
//!  SAVE, BGSAVE, save points, interval, end --> turn (one snapshot at a time) --> cut, with its position
//!                                                                                   | thread, no lock held
//!                                          dump.rdb <-- rename <-- fsync <-- dump.rdb.tmp
//! ```
//!
//! The file is a plain dump, which real servers load; where it stands in its history is in the fields that they
//! write too (`repl-id`, `repl-offset`, `repl-stream-db`), and what only a replica of ours needs is in fields that
//! they pass over ([`warm`]).

mod export;
mod file;
mod reload;
mod settings;
mod warm;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use rdb::EncodeOptions;
use replication::ReplId;
use store::snapshot::SnapshotError;
use store::{CommandError, CommandResult, Family, SnapshotOptions};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::engine::{Engine, Writing, unix_ms};
use crate::options::Options;
use crate::snapshot::Cut;

pub use export::SaveProgress;
pub use file::{LoadError, SaveError};
pub(crate) use reload::{Reload, ReloadError};
pub use settings::parse_points;
pub(crate) use settings::{SETTINGS, Settings};
pub use warm::WarmStart;

/// After a failure, save points wait so long.
const RETRY: Duration = Duration::from_secs(5);

/// Everything about saving.
#[derive(Debug)]
pub(crate) struct Saving {
    pub(crate) settings: RwLock<Settings>,
    /// Writes since the last save.
    changes: AtomicU64,
    state: Mutex<State>,
    /// The last save in the background has failed.
    failed: AtomicBool,
    pub(crate) warm: RwLock<WarmStart>,
}

#[derive(Debug)]
struct State {
    background: Option<Background>,
    scheduled: bool,
    /// Unix seconds.
    last_save: i64,
    last_try: Option<Instant>,
    /// How long the last one in the background took.
    last_took: Option<Duration>,
    saves: u64,
    keys_loaded: u64,
    /// The history of what was saved last.
    saved: Option<ReplId>,
}

#[derive(Debug)]
struct Background {
    since: Instant,
    cancelled: Arc<AtomicBool>,
}

/// What INFO tells of saving.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) changes: u64,
    pub(crate) background: Option<Duration>,
    pub(crate) last_save: i64,
    pub(crate) last_good: bool,
    pub(crate) last_took: Option<Duration>,
    pub(crate) saves: u64,
    pub(crate) keys_loaded: u64,
}

/// What became of a wish to save in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Started {
    Now,
    /// Another snapshot is being taken.
    Busy,
}

impl Engine {
    /// Where the data set is saved (`dir` and `dbfilename`), if it is.
    #[must_use]
    pub fn dump_file(&self) -> Option<std::path::PathBuf> {
        self.saving.settings.read().path()
    }
}

impl Saving {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            settings: RwLock::new(Settings::new(options)),
            changes: AtomicU64::new(0),
            state: Mutex::new(State {
                background: None,
                scheduled: false,
                last_save: unix_ms() / 1000,
                last_try: None,
                last_took: None,
                saves: 0,
                keys_loaded: 0,
                saved: None,
            }),
            failed: AtomicBool::new(false),
            warm: RwLock::default(),
        }
    }

    /// Counts writes, for save points. The writer calls it.
    pub(crate) fn changed(&self, count: usize) {
        self.changes.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn figures(&self) -> Figures {
        let state = self.state.lock();
        Figures {
            changes: self.changes.load(Ordering::Relaxed),
            background: state.background.as_ref().map(|background| background.since.elapsed()),
            last_save: state.last_save,
            last_good: !self.failed.load(Ordering::Relaxed),
            last_took: state.last_took,
            saves: state.saves,
            keys_loaded: state.keys_loaded,
        }
    }

    /// Whether writes have to be refused: what is written could not be saved.
    pub(crate) fn refuses_writes(&self) -> bool {
        self.failed.load(Ordering::Relaxed) && {
            let settings = self.settings.read();
            settings.stop_writes && !settings.points.is_empty()
        }
    }

    /// A save in the background as soon as one can begin.
    pub(crate) fn schedule(&self) {
        self.state.lock().scheduled = true;
    }

    /// BGSAVE CANCEL. Answers what was cancelled: one that runs, or one that was to.
    pub(crate) fn cancel(&self) -> Option<bool> {
        let mut state = self.state.lock();
        if let Some(background) = &state.background {
            background.cancelled.store(true, Ordering::Relaxed);
            return Some(true);
        }
        std::mem::take(&mut state.scheduled).then_some(false)
    }

    /// Whether there is other to save than the last time. A primary's PINGs alone are not worth it.
    fn is_outdated(&self, replid: Option<ReplId>) -> bool {
        self.changes.load(Ordering::Relaxed) > 0 || self.state.lock().saved != replid
    }
}

impl Engine {
    /// The right to take a snapshot, if nobody has it.
    pub(crate) fn snapshot_turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.syncs.turn).try_acquire_owned().ok()
    }

    /// Saves the data set as it is now to the configured file. Others go on reading and writing meanwhile.
    ///
    /// # Errors
    /// [`SaveError`]; the file is what it was then.
    pub async fn save(self: &Arc<Self>) -> Result<(), SaveError> {
        // One that began earlier would not hold what is there now.
        self.saving.cancel();
        let turn = Arc::clone(&self.syncs.turn).acquire_owned().await.map_err(|_| SaveError::Busy)?;
        self.save_in_turn(turn).await
    }

    pub(crate) async fn save_in_turn(self: &Arc<Self>, turn: OwnedSemaphorePermit) -> Result<(), SaveError> {
        let (done, result) = oneshot::channel();
        let engine = Arc::clone(self);
        let spawned = std::thread::Builder::new().name("saving".to_owned()).spawn(move || {
            let saved = engine.write_dump(&AtomicBool::new(false));
            drop(turn);
            let _ = done.send(saved);
        });
        spawned.map_err(|source| SaveError::Io { path: "a thread".into(), source })?;
        result.await.unwrap_or(Err(SaveError::Cancelled))
    }

    /// Saves on a thread of its own.
    pub(crate) fn save_in_background(self: &Arc<Self>) -> Started {
        let mut state = self.saving.state.lock();
        let Some(turn) = self.snapshot_turn() else { return Started::Busy };
        let cancelled = Arc::new(AtomicBool::new(false));
        let since = Instant::now();
        state.background = Some(Background { since, cancelled: Arc::clone(&cancelled) });
        state.last_try = Some(since);
        state.scheduled = false;
        drop(state);
        let engine = Arc::clone(self);
        let work = move || {
            let saved = engine.write_dump(&cancelled);
            // The figures are true before the next snapshot can begin.
            engine.background_ended(since, &saved);
            drop(turn);
        };
        if let Err(source) = std::thread::Builder::new().name("saving".to_owned()).spawn(work) {
            self.background_ended(since, &Err(SaveError::Io { path: "a thread".into(), source }));
        }
        Started::Now
    }

    fn background_ended(&self, since: Instant, result: &Result<(), SaveError>) {
        let mut state = self.saving.state.lock();
        state.background = None;
        state.last_took = Some(since.elapsed());
        match result {
            Ok(()) => self.saving.failed.store(false, Ordering::Relaxed),
            Err(SaveError::Cancelled) => tracing::info!("saving was cancelled"),
            Err(error) => {
                self.saving.failed.store(true, Ordering::Relaxed);
                tracing::error!(%error, "not saved");
            }
        }
    }

    /// What a primary's clients are told whose writes could not be saved.
    pub(crate) fn check_saved(&self) -> CommandResult {
        if !self.is_writable() {
            return Ok(());
        }
        let server = match self.compat().family() {
            Family::Redis => "Redis",
            Family::Valkey => "Valkey",
        };
        Err(CommandError::Coded(
            format!(
                "MISCONF {server} is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the {server} logs for details about the RDB error."
            )
            .into(),
        ))
    }

    /// What happens by itself: a save that was put off, or that the save points or the interval want.
    pub(crate) fn save_if_due(self: &Arc<Self>) {
        if !self.is_loaded() || self.saving.settings.read().dir.is_none() {
            return;
        }
        let now = unix_ms() / 1000;
        let (scheduled, last_try, last_save) = {
            let state = self.saving.state.lock();
            if state.background.is_some() {
                return;
            }
            (state.scheduled, state.last_try, state.last_save)
        };
        let rested = |time: Duration| last_try.is_none_or(|at| at.elapsed() >= time);
        let changes = self.saving.changes.load(Ordering::Relaxed);
        let of_points = || {
            let age = u64::try_from(now - last_save).unwrap_or(0);
            let reached = |(time, most): &(u64, u64)| changes >= *most && age > *time;
            let good = !self.saving.failed.load(Ordering::Relaxed);
            changes > 0 && (good || rested(RETRY)) && self.saving.settings.read().points.iter().any(reached)
        };
        let of_interval = || {
            let interval = self.options.persist_every.filter(|_| self.options.persist);
            interval.is_some_and(|interval| {
                rested(interval) && self.saving.is_outdated(self.position().map(|p| p.replid))
            })
        };
        if scheduled || of_points() || of_interval() {
            self.save_in_background();
        }
    }

    /// Cuts and writes. The caller has the turn.
    fn write_dump(&self, cancelled: &AtomicBool) -> Result<(), SaveError> {
        let settings = self.saving.settings.read().clone();
        let path = settings.path().ok_or(SaveError::NoPlace)?;
        let begun = Instant::now();
        let held = {
            let mut writing = self.writing.lock();
            self.hold(&mut writing, &settings)?
        };
        let (keys, position) = (held.cut.snapshot.keys(), held.cut.position);
        self.write_held(held, &path, cancelled)?;
        tracing::info!(keys, %position, path = %path.display(), took = ?begun.elapsed(), "saved");
        Ok(())
    }

    /// The data set as it stands, with the writer in hand.
    fn hold(&self, writing: &mut Writing, settings: &Settings) -> Result<Held, SaveError> {
        if !self.is_loaded() {
            return Err(SaveError::Empty);
        }
        let mut encode = EncodeOptions::default();
        encode.compress = settings.compression;
        encode.checksum = settings.checksum;
        let cluster = self.cluster();
        let asides = cluster.is_some();
        let options =
            SnapshotOptions { encode, asides, ..SnapshotOptions::new(self.compat().dump_version()) };
        let mut cut = Cut::make(writing, options).ok_or(SaveError::Busy)?;
        let mut notes = warm::notes(self, writing);
        if let Some(cluster) = cluster {
            cut.position = cluster.whole();
            notes.extend(cluster.notes());
        }
        let changes = self.saving.changes.load(Ordering::Relaxed);
        Ok(Held { cut, notes, changes })
    }

    fn write_held(
        &self,
        held: Held,
        path: &std::path::Path,
        cancelled: &AtomicBool,
    ) -> Result<(), SaveError> {
        let (changes, replid) = (held.changes, held.cut.position.replid);
        self.write_file(held, path, cancelled, |_| {})?;
        self.saving.changes.fetch_sub(changes, Ordering::Relaxed);
        let mut state = self.saving.state.lock();
        state.last_save = unix_ms() / 1000;
        state.saved = Some(replid);
        state.saves += 1;
        self.saving.failed.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Writes the file, and tells of each piece how many bytes it has.
    fn write_file(
        &self,
        held: Held,
        path: &std::path::Path,
        cancelled: &AtomicBool,
        mut written: impl FnMut(usize),
    ) -> Result<(), SaveError> {
        let Held { cut, notes, .. } = held;
        file::replace(path, |sink| {
            let done = cut.write(&self.keyspace, &notes, |piece| {
                if cancelled.load(Ordering::Relaxed) {
                    return Err(SaveError::Cancelled);
                }
                sink(&piece).map_err(|source| SaveError::Io { path: path.to_owned(), source })?;
                written(piece.len());
                Ok(())
            });
            done.map_err(|error| match error {
                SnapshotError::Encode(why) => SaveError::Encode(why),
                SnapshotError::Overflow => SaveError::Busy,
                SnapshotError::Sink(error) => error,
            })
        })
    }
}

/// A snapshot with what is told of it.
struct Held {
    cut: Cut,
    notes: Vec<(&'static str, String)>,
    /// Writes that it holds and the last save did not.
    changes: u64,
}
