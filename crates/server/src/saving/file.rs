//! Dump files: written so that there is the old one or the new one and nothing between, read to the last byte.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use rdb::{Decoder, EncodeError, Progress, Visitor};

/// Bytes read at a time.
const CHUNK: usize = 256 * 1024;
/// The disk gets its work in portions, so that the last wait is short.
const SYNC_EVERY: usize = 32 << 20;

/// Why a data set has not been saved. The file, if there was one, is the old one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// No directory was configured.
    #[error("this server was given no directory to save to")]
    NoPlace,
    /// Another snapshot is being taken.
    #[error("another snapshot is being taken")]
    Busy,
    /// A replica before its first sync.
    #[error("there is no data set yet")]
    Empty,
    /// It was told to stop.
    #[error("saving was cancelled")]
    Cancelled,
    /// The file system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The version of the dump cannot say something.
    #[error("the dump cannot say something: {0}")]
    Encode(EncodeError),
}

/// Why a file has not been loaded. The data set is what it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes are no dump, or a damaged one.
    #[error("{}: {error}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        error: rdb::Error,
    },
    /// The end is missing.
    #[error("{}: the dump breaks off after {bytes} bytes", path.display())]
    BreaksOff {
        /// The file.
        path: PathBuf,
        /// How many there are.
        bytes: u64,
    },
    /// It is a dump, but not one from which this replica can go on.
    #[error("{}: {reason}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// Replaces the file at `path` by what `fill` writes: a new file beside it, made durable, then renamed. One process a
/// file: the name of the new one is always the same, so that none is left behind by a crash.
pub(crate) fn replace(
    path: &Path,
    fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), SaveError>,
) -> Result<(), SaveError> {
    let failed = |source| SaveError::Io { path: path.to_owned(), source };
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = PathBuf::from(name);
    let write = || {
        let mut file = File::create(&temporary).map_err(failed)?;
        let mut waiting = 0;
        fill(&mut |bytes| {
            file.write_all(bytes)?;
            waiting += bytes.len();
            if waiting >= SYNC_EVERY {
                waiting = 0;
                file.sync_data()?;
            }
            Ok(())
        })?;
        file.sync_all().map_err(failed)?;
        drop(file);
        fs::rename(&temporary, path).map_err(failed)?;
        sync_directory(path).map_err(failed)
    };
    let written = write();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// The rename itself is to outlive a crash of the machine.
fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Feeds a file to `visitor`. With `whole`, nothing may follow the dump, and it must have a checksum.
pub(crate) fn read<V: Visitor>(path: &Path, visitor: &mut V, whole: bool) -> Result<(), LoadError> {
    let failed = |source| LoadError::Io { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let (mut decoder, mut buffer) = (Decoder::default(), vec![0; CHUNK]);
    let (mut bytes, mut end) = (0, [0_u8; 8]);
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        let piece = buffer.get(..read).unwrap_or_default();
        if piece.is_empty() {
            return Err(LoadError::BreaksOff { path: path.to_owned(), bytes });
        }
        bytes += read as u64;
        let progress = decoder.feed(piece, visitor);
        match progress.map_err(|error| LoadError::Damaged { path: path.to_owned(), error })? {
            Progress::NeedMore => remember_end(&mut end, piece),
            Progress::Done { consumed } if whole => {
                remember_end(&mut end, piece.get(..consumed).unwrap_or_default());
                let foreign =
                    |reason: &str| LoadError::Foreign { path: path.to_owned(), reason: reason.to_owned() };
                if consumed < read || file.read(&mut buffer).map_err(failed)? > 0 {
                    return Err(foreign("there are bytes behind the dump"));
                }
                if end == [0; 8] {
                    return Err(foreign(
                        "the dump has no checksum, so that nobody can say whether it is whole",
                    ));
                }
                return Ok(());
            }
            Progress::Done { .. } => return Ok(()),
        }
    }
}

/// Keeps the last eight bytes of all: the checksum, in the end.
fn remember_end(end: &mut [u8; 8], piece: &[u8]) {
    let tail = piece.get(piece.len().saturating_sub(8)..).unwrap_or_default();
    end.rotate_left(tail.len());
    let keep = 8 - tail.len();
    if let Some(place) = end.get_mut(keep..) {
        place.copy_from_slice(tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_eight_bytes_are_found_in_pieces_of_any_size() {
        let all: Vec<u8> = (0..40).collect();
        for size in 1..20 {
            let mut end = [0; 8];
            all.chunks(size).for_each(|piece| remember_end(&mut end, piece));
            assert_eq!(end, [32, 33, 34, 35, 36, 37, 38, 39], "{size}");
        }
    }

    #[test]
    fn what_fails_leaves_the_old_file_and_no_other() {
        let dir = std::env::temp_dir().join(format!("replica-replace-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("dump.rdb");
        replace(&path, |sink| sink(b"old").map_err(|_| SaveError::Cancelled)).unwrap();
        let failed = replace(&path, |sink| {
            sink(b"half of the new").unwrap();
            Err(SaveError::Cancelled)
        });
        assert!(matches!(failed, Err(SaveError::Cancelled)));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::remove_dir_all(&dir).unwrap();
    }

    /// What the guide shows of each error. A new one does not compile without.
    fn in_the_guide(error: &SaveError) -> &'static str {
        match error {
            SaveError::NoPlace => "this server was given no directory to save to",
            SaveError::Busy => "another snapshot is being taken",
            SaveError::Empty => "there is no data set yet",
            SaveError::Cancelled => "saving was cancelled",
            SaveError::Io { .. } => "PATH: ",
            SaveError::Encode(_) => "the dump cannot say something: ",
        }
    }

    #[test]
    fn the_guide_tells_of_every_error() {
        let guide = include_str!("../../../../docs/troubleshooting.md");
        for error in [
            SaveError::NoPlace,
            SaveError::Busy,
            SaveError::Empty,
            SaveError::Cancelled,
            SaveError::Io { path: "PATH".into(), source: io::Error::other("full") },
            SaveError::Encode(EncodeError::Kind),
        ] {
            let words = in_the_guide(&error);
            assert!(guide.contains(&format!("`{words}")), "{words}");
            assert!(error.to_string().starts_with(words), "{words}: {error}");
        }
    }
}
