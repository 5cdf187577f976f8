//! `replica rdb`: what a dump file holds.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use ::rdb::{Decoder, Progress, Visitor};
use indicatif::{ProgressBar, ProgressStyle};

use crate::Failure;

mod stat;

/// Subcommands of `replica rdb`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Print the data set as JSON lines, one a key.
    Json {
        /// The dump.
        file: PathBuf,
    },
    /// Say whether a dump is valid, or where it is not. Ends with 1 if it is not.
    Check {
        /// The dump.
        file: PathBuf,
    },
    /// Count keys by type, encoding, size and expiry.
    Stat {
        /// The dump.
        file: PathBuf,
    },
}

/// Bytes read at a time.
const CHUNK: usize = 256 * 1024;
/// Pieces read before they are needed.
const AHEAD: usize = 4;
/// Files below this size are read without a progress bar.
const LARGE: u64 = 32 << 20;

/// Runs a subcommand; false if a check did not pass.
pub fn run(command: Command) -> Result<bool, Failure> {
    match command {
        Command::Json { file } => {
            let stdout = io::stdout().lock();
            let mut json = ::rdb::json::JsonLines::new(io::BufWriter::with_capacity(1 << 20, stdout));
            match read(&file, &mut json, false) {
                // Whoever reads us has seen enough.
                Err(error) if json.broken_pipe() => {
                    drop(error);
                    return Ok(true);
                }
                result => result?,
            }
            json.finish()?.flush()?;
            Ok(true)
        }
        Command::Check { file } => match read(&file, &mut Nothing, true) {
            Ok(()) => {
                println!("{}: valid", file.display());
                Ok(true)
            }
            Err(error) if error.is::<io::Error>() => Err(error),
            Err(error) => {
                println!("{error}");
                Ok(false)
            }
        },
        Command::Stat { file } => {
            let mut stat = ::rdb::stat::Stat::default();
            read(&file, &mut stat, true)?;
            print!("{}", stat::table(&stat));
            Ok(true)
        }
    }
}

/// Feeds a file to a visitor; the error names the file and the place in it.
pub fn read<V: Visitor>(path: &Path, visitor: &mut V, progress: bool) -> Result<(), Failure> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(named)?;
    let size = file.metadata().map_err(named)?.len();
    let bar = if progress && size >= LARGE && io::stderr().is_terminal() {
        let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}")?;
        ProgressBar::new(size).with_style(style)
    } else {
        ProgressBar::hidden()
    };
    let mut decoder = Decoder::default();
    let mut total = 0;
    let done = ahead(file, |chunk| match chunk.map_err(named)? {
        [] => Err(format!("{}: the dump breaks off after {total} bytes", path.display()).into()),
        bytes => match decoder.feed(bytes, visitor) {
            Ok(Progress::NeedMore) => {
                total += bytes.len() as u64;
                bar.set_position(total);
                Ok(false)
            }
            Ok(Progress::Done { .. }) => Ok(true),
            Err(error) => Err(format!("{}: {error}", path.display()).into()),
        },
    });
    bar.finish_and_clear();
    done
}

/// Gives `take` a file chunk by chunk, empty at the end, until it says that it is done. A thread reads ahead:
/// a large dump is decoded as fast as it is copied from the system's cache.
fn ahead(
    mut file: File,
    mut take: impl FnMut(io::Result<&[u8]>) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    std::thread::scope(|scope| {
        let (full_to, full) = sync_channel::<io::Result<(Vec<u8>, usize)>>(AHEAD);
        let (empty_to, empty) = sync_channel::<Vec<u8>>(AHEAD);
        for _ in 0..AHEAD {
            empty_to.send(vec![0; CHUNK])?;
        }
        scope.spawn(move || {
            // Ends when one of the channels does: the other side has what it wants.
            while let Ok(mut buffer) = empty.recv() {
                let chunk = file.read(&mut buffer).map(|n| (buffer, n));
                let last = chunk.as_ref().map_or(true, |(_, n)| *n == 0);
                if full_to.send(chunk).is_err() || last {
                    break;
                }
            }
        });
        loop {
            let (buffer, n) = match full.recv()? {
                Ok(chunk) => chunk,
                Err(error) => return take(Err(error)).map(drop),
            };
            if take(Ok(&buffer[..n]))? {
                return Ok(());
            }
            // It has read all that there is and told so, or takes it.
            let _ = empty_to.send(buffer);
        }
    })
}

/// Looks at every value and keeps none.
struct Nothing;

impl Visitor for Nothing {
    fn entry(&mut self, _: &[u8], _: &::rdb::EntryMeta) -> Result<::rdb::Want, ::rdb::Reject> {
        Ok(::rdb::Want::Elements)
    }
}
