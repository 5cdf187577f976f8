//! A dump to be read: a file, or the standard input.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::mpsc::sync_channel;

use ::rdb::{Decoder, Progress, Visitor};
use indicatif::{ProgressBar, ProgressStyle};

use crate::Failure;

/// Bytes read at a time.
const CHUNK: usize = 256 * 1024;
/// Pieces read before they are needed.
const AHEAD: usize = 4;
/// Below this size no progress is shown.
const LARGE: u64 = 32 << 20;

/// Where a dump comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    File(PathBuf),
    Stdin,
}

impl FromStr for Input {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "-" { Self::Stdin } else { Self::File(text.into()) })
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Stdin => f.write_str("standard input"),
        }
    }
}

impl Input {
    /// Feeds it to a visitor; the error names the file and the place in it.
    pub fn read<V: Visitor>(&self, visitor: &mut V, progress: bool) -> Result<(), Failure> {
        self.read_and(visitor, progress, |_| Ok(()))
    }

    /// As [`read`](Self::read), and calls `after` for the visitor after each piece.
    pub fn read_and<V: Visitor>(
        &self,
        visitor: &mut V,
        progress: bool,
        mut after: impl FnMut(&mut V) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{self}: {error}"));
        let (reader, size): (Box<dyn Read + Send>, Option<u64>) = match self {
            Self::File(path) => {
                let file = File::open(path).map_err(named)?;
                let meta = file.metadata().map_err(named)?;
                // A pipe has no size.
                (Box::new(file), meta.is_file().then_some(meta.len()))
            }
            Self::Stdin => (Box::new(io::stdin()), None),
        };
        let bar = if progress && size.is_none_or(|size| size >= LARGE) {
            bar(size)?
        } else {
            ProgressBar::hidden()
        };
        let mut decoder = Decoder::default();
        let mut total = 0;
        let done = ahead(reader, |chunk| match chunk.map_err(named)? {
            [] => Err(format!("{self}: the dump breaks off after {total} bytes").into()),
            bytes => {
                let fed = decoder.feed(bytes, visitor).map_err(|error| format!("{self}: {error}"));
                // What has been made of the pieces before is of use to somebody, or says what went wrong.
                after(visitor)?;
                total += bytes.len() as u64;
                bar.set_position(total);
                Ok(matches!(fed?, Progress::Done { .. }))
            }
        });
        bar.finish_and_clear();
        done
    }
}

/// A bar on the terminal, if there is one.
fn bar(size: Option<u64>) -> Result<ProgressBar, Failure> {
    Ok(match size {
        _ if !io::stderr().is_terminal() => ProgressBar::hidden(),
        Some(size) => {
            let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}")?;
            ProgressBar::new(size).with_style(style)
        }
        None => ProgressBar::no_length()
            .with_style(ProgressStyle::with_template("{spinner} {bytes} {bytes_per_sec}")?),
    })
}

/// Gives `take` the bytes chunk by chunk, empty at the end, until it says that it is done. A thread reads ahead:
/// a large dump is decoded as fast as it is copied from the system's cache.
fn ahead(
    mut reader: Box<dyn Read + Send>,
    mut take: impl FnMut(io::Result<&[u8]>) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let (full_to, full) = sync_channel::<io::Result<(Vec<u8>, usize)>>(AHEAD);
    let (empty_to, empty) = sync_channel::<Vec<u8>>(AHEAD);
    for _ in 0..AHEAD {
        empty_to.send(vec![0; CHUNK])?;
    }
    // Nobody waits for it: it may be reading from a pipe into which nobody writes any more.
    std::thread::spawn(move || {
        // Ends when one of the channels does: the other side has what it wants.
        while let Ok(mut buffer) = empty.recv() {
            let chunk = reader.read(&mut buffer).map(|n| (buffer, n));
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
}
