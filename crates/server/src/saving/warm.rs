//! What a replica needs to go on where it was: told in the dump, read at the start.
//!
//! | field of the dump | what it says |
//! | --- | --- |
//! | `repl-id`, `repl-offset`, `repl-stream-db` | where the data stand (real servers write these, too) |
//! | `replica-format` | which form the fields below have |
//! | `replica-previous` | the history before: id and offset |
//! | `replica-filter` | what is kept of the primary's data |
//! | `replica-lost` | a key of a filtered copy whose value cannot be known |
//! | `replica-diverged` | commands that could not be applied: nobody goes on from such a copy |
//!
//! A dump without the fields of ours may be continued from as well: that of the primary itself, say.

use std::sync::Arc;

use replication::{Offset, Position, Primary, ReplId};
use store::{Loaded, Loader};

use super::file::{self, LoadError};
use crate::cluster::SavedCluster;
use crate::engine::{Engine, Writing};
use crate::functions;

const FORMAT: &str = "1";
/// With a position for each shard: see `cluster/saved.rs`.
const FORMAT_OF_CLUSTER: &str = "cluster-1";

/// How a replica began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WarmStart {
    /// Nothing was to be loaded: no file was named, or there was none yet.
    #[default]
    None,
    /// With a saved data set.
    Restored {
        /// Where it stood.
        position: Position,
        /// How many keys it had.
        keys: u64,
    },
    /// The file was refused, for this reason; a full sync follows.
    Refused(String),
}

/// What a dump says of a replica, besides what every dump says.
pub(super) fn notes(engine: &Engine, writing: &Writing) -> Vec<(&'static str, String)> {
    if engine.is_writable() && !engine.options.persist {
        return Vec::new();
    }
    let sieve = &engine.sieve;
    let format = if engine.cluster().is_some() { FORMAT_OF_CLUSTER } else { FORMAT };
    let mut notes = vec![("replica-format", format.to_owned()), ("replica-filter", sieve.filter.to_string())];
    notes.extend(writing.primary.previous().map(|previous| ("replica-previous", previous.to_string())));
    let diverged = engine.divergence.total() + u64::from(sieve.is_overtaken());
    if diverged > 0 {
        notes.push(("replica-diverged", diverged.to_string()));
    }
    notes.extend(sieve.lost_keys().iter().map(|(db, key)| {
        let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        ("replica-lost", format!("{db}:{digits}"))
    }));
    notes
}

/// What a dump says of where it stands.
#[derive(Debug, Default)]
struct Told {
    position: Option<Position>,
    previous: Option<Position>,
    filter: String,
    lost: Vec<(u32, Box<[u8]>)>,
    /// It is the copy of a cluster.
    of_cluster: bool,
}

impl Told {
    /// Reads the fields; an error says why nobody can go on from there.
    fn of(loader: &Loader) -> Result<Self, String> {
        let (mut told, mut replid, mut offset) = (Self::default(), None, None);
        for (name, value) in loader.notes() {
            let text = String::from_utf8_lossy(value);
            let wrong = || format!("its field {} makes no sense", String::from_utf8_lossy(name));
            match &**name {
                b"repl-id" => replid = Some(text.parse::<ReplId>().map_err(|_| wrong())?),
                b"repl-offset" => offset = Some(text.parse::<u64>().map_err(|_| wrong())?),
                b"replica-format" if text == FORMAT_OF_CLUSTER => told.of_cluster = true,
                b"replica-format" if text != FORMAT => {
                    return Err(format!("its format is {text}, that of this version is {FORMAT}"));
                }
                b"replica-filter" => told.filter = text.into_owned(),
                b"replica-previous" => told.previous = Some(position(&text).ok_or_else(wrong)?),
                b"replica-lost" => told.lost.push(lost(&text).ok_or_else(wrong)?),
                b"replica-diverged" => {
                    return Err(format!("{text} commands could not be applied to this copy"));
                }
                _ => {}
            }
        }
        let offset = offset.filter(|offset| i64::try_from(*offset).is_ok());
        told.position =
            replid.zip(offset).map(|(replid, offset)| Position { replid, offset: Offset(offset) });
        Ok(told)
    }
}

fn position(text: &str) -> Option<Position> {
    let (replid, offset) = text.split_once(':')?;
    Some(Position { replid: replid.parse().ok()?, offset: Offset(offset.parse().ok()?) })
}

fn lost(text: &str) -> Option<(u32, Box<[u8]>)> {
    let (db, digits) = text.split_once(':')?;
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    Some((db.parse().ok()?, pairs.map(byte).collect::<Option<_>>()?))
}

/// A saved data set, looked at and not yet served.
struct SavedFile {
    loader: Loader,
    told: Told,
    position: Position,
}

impl Engine {
    /// Loads the data set that an earlier run of this replica has saved, to be served until the primary is there.
    /// Answers where it stands and which database the stream has selected there, for
    /// [`DriverConfig::resume`](replication::DriverConfig::resume). `None` if there is no such file, or it is
    /// refused: then a full sync has to follow.
    pub fn restore(self: &Arc<Self>) -> Option<(Position, u32)> {
        self.restore_by(|file| {
            if file.told.of_cluster {
                return Err("it is the copy of a cluster, and this replica follows one primary".to_owned());
            }
            Ok(file.loader.stream_db().unwrap_or(0))
        })
    }

    /// The same of the copy of a cluster, for [`follow_cluster`](Self::follow_cluster): it stands at a position of each
    /// shard.
    pub fn restore_cluster(self: &Arc<Self>) -> Option<SavedCluster> {
        let (_, saved) = self.restore_by(|file| {
            if !file.told.of_cluster {
                return Err("it is the copy of one primary, and this replica follows a cluster".to_owned());
            }
            let mut saved = SavedCluster::new(file.position);
            for (name, value) in file.loader.notes() {
                let taken = saved.take(name, &String::from_utf8_lossy(value));
                taken.ok_or_else(|| format!("its field {} makes no sense", String::from_utf8_lossy(name)))?;
            }
            let is_whole = saved.is_whole();
            is_whole.then_some(saved).ok_or_else(|| "what it says of its shards makes no sense".to_owned())
        })?;
        Some(saved)
    }

    /// Loads what an earlier run has saved, if `check` finds in it what it needs.
    fn restore_by<T>(&self, check: impl FnOnce(&SavedFile) -> Result<T, String>) -> Option<(Position, T)> {
        let path = self.saving.settings.read().path()?;
        if !path.exists() {
            return None;
        }
        let restored = self.read_saved(&path).and_then(|file| {
            let foreign = |reason| LoadError::Foreign { path: path.clone(), reason };
            let found = check(&file).map_err(foreign)?;
            Ok((self.take_saved(file), found))
        });
        match restored {
            Ok(((position, keys), found)) => {
                tracing::info!(%position, keys, path = %path.display(), "restored");
                *self.saving.warm.write() = WarmStart::Restored { position, keys };
                Some((position, found))
            }
            Err(error) => {
                tracing::warn!(%error, "the saved data set is refused: a full sync has to follow");
                self.refuse_saved(&error.to_string());
                None
            }
        }
    }

    /// What was saved is nothing to go on from.
    pub(crate) fn refuse_saved(&self, reason: &str) {
        *self.saving.warm.write() = WarmStart::Refused(reason.to_owned());
    }

    /// How this replica began.
    #[must_use]
    pub fn warm_start(&self) -> WarmStart {
        self.saving.warm.read().clone()
    }

    fn read_saved(&self, path: &std::path::Path) -> Result<SavedFile, LoadError> {
        let foreign = |reason: String| LoadError::Foreign { path: path.to_owned(), reason };
        // Whose file it is is looked at afterwards.
        let mut loader = Loader::new(&self.keyspace).keeping_notes().taking_asides();
        file::read(path, &mut loader, true)?;
        let told = Told::of(&loader).map_err(foreign)?;
        let position = told.position.ok_or_else(|| foreign("it does not say where it stands".to_owned()))?;
        let filter = self.sieve.filter.to_string();
        if told.filter != filter {
            let named = |filter: &str| if filter.is_empty() { "everything" } else { filter }.to_owned();
            return Err(foreign(format!(
                "it keeps {}, and this replica {}",
                named(&told.filter),
                named(&filter)
            )));
        }
        Ok(SavedFile { loader, told, position })
    }

    /// Serves it. Answers where it stands, and how many keys there are.
    fn take_saved(&self, file: SavedFile) -> (Position, u64) {
        let SavedFile { loader, told, position } = file;
        let (db, keys) = (loader.stream_db().unwrap_or(0), loader.keys());
        self.follow_compat(loader.origin());
        let mut writing = self.writing.lock();
        let old = self.keyspace.swap_contents(loader.finish(), || {
            self.sieve.forget();
            self.sieve.lose_again(told.lost);
            self.everything_changed();
            // Of the stream before nothing is left: replicas of ours go on from here, or ask for everything.
            writing.primary.restart(position, Some(db));
            if let Some(previous) = told.previous {
                writing.primary.set_previous(previous);
            }
            self.publish_position(position);
        });
        functions::adopt(self);
        drop(writing);
        drop(old);
        let mut state = self.saving.state.lock();
        state.keys_loaded = keys;
        state.saved = Some(position.replid);
        (position, keys)
    }

    /// Loads a dump as the data set of a primary, at its start. The history goes on under a new id, and replicas
    /// that hold what the dump holds can continue. Answers how many keys there are.
    ///
    /// # Errors
    /// [`LoadError`]
    pub fn load_file(&self, path: &std::path::Path) -> Result<u64, LoadError> {
        let mut loader = Loader::new(&self.keyspace).keeping_notes();
        file::read(path, &mut loader, false)?;
        let saved =
            Told::of(&loader).ok().filter(|told| told.filter.is_empty()).and_then(|told| told.position);
        let keys = loader.keys();
        self.begin_with(loader.finish(), saved);
        self.saving.state.lock().keys_loaded = keys;
        Ok(keys)
    }

    /// Replaces the data set of a primary by a loaded one. Replicas must resync.
    pub fn load(&self, loaded: Loaded) {
        self.begin_with(loaded, None);
    }

    /// `saved` is where the data stood when they were saved.
    fn begin_with(&self, loaded: Loaded, saved: Option<Position>) {
        let mut writing = self.writing.lock();
        let old = self.keyspace.swap_contents(loaded, || {
            self.everything_changed();
            let offset = saved.map_or_else(|| writing.primary.position().offset, |saved| saved.offset);
            let position = Position { replid: ReplId::random(), offset };
            if saved.is_none() && writing.primary.is_dormant() {
                writing.primary = Primary::dormant(position, writing.primary.limits());
            } else {
                writing.primary.restart(position, None);
            }
            if let Some(saved) = saved {
                writing.primary.set_previous(saved);
            }
            self.publish_position(position);
        });
        functions::adopt(self);
        drop(writing);
        drop(old);
    }
}
