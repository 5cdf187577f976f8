//! `replica rdb diff`: two dumps, key by key.
//!
//! ```text
//! left  --> a digest of each key's value, by a digest of its name    (about 80 bytes a key, whatever it holds)
//! right --> the same, looked up and taken away --> what differs, what is only here
//! left again, if anything is left over         --> its names
//! ```

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufWriter, Write as _};

use super::input::Input;
use crate::Failure;
use digest::{Digests, Found, Value};

mod digest;

/// Arguments of `replica rdb diff`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A dump; `-` is the standard input.
    left: Input,
    /// Another; one of the two can be `-`.
    right: Input,
    /// Do not name the keys, only count them.
    #[arg(long)]
    brief: bool,
    /// Look away from what a replica cannot know, or older versions of the format do not say: when consumers were last
    /// seen, counters of streams and groups, producers.
    #[arg(long)]
    ignore_bookkeeping: bool,
    #[command(flatten)]
    select: super::select::Args,
}

/// What is said of keys, and functions, that differ: one line each, fields parted by tabs.
const ONLY_LEFT: &str = "only-left";
const ONLY_RIGHT: &str = "only-right";

struct Report<W: io::Write> {
    to: W,
    brief: bool,
    counts: BTreeMap<&'static str, u64>,
    equal: u64,
}

impl<W: io::Write> Report<W> {
    fn differs(&mut self, what: &'static str, found: &Found<'_>) -> io::Result<()> {
        *self.counts.entry(what).or_default() += 1;
        if self.brief {
            return Ok(());
        }
        match found.db {
            Some(db) => writeln!(self.to, "{what}\t{db}\t{}", found.key.escape_ascii()),
            None => writeln!(self.to, "{what}\tfunction\t{}", found.key.escape_ascii()),
        }
    }
}

/// Compares and prints; false if they differ.
pub fn run(args: &Args) -> Result<bool, Failure> {
    if args.left == Input::Stdin && args.right == Input::Stdin {
        return Err("the standard input can be read once only".into());
    }
    // The one that is kept as digests is the one that can be read again for its names.
    let swapped = args.left == Input::Stdin;
    let (first, second) = if swapped { (&args.right, &args.left) } else { (&args.left, &args.right) };
    let (only_first, only_second) = if swapped { (ONLY_RIGHT, ONLY_LEFT) } else { (ONLY_LEFT, ONLY_RIGHT) };

    let mut known: HashMap<u128, Value> = HashMap::new();
    let digests = Digests::new(|found: Found<'_>| {
        known.insert(found.name, found.value);
        Ok(())
    });
    first.read(&mut args.select.around(digests), true)?;

    let to = BufWriter::new(io::stdout().lock());
    let mut report = Report { to, brief: args.brief, counts: BTreeMap::new(), equal: 0 };
    let mut failed = None;
    let digests = Digests::new(|found: Found<'_>| {
        let what = match known.remove(&found.name) {
            None => Some(only_second),
            Some(value) => value.difference(&found.value, args.ignore_bookkeeping),
        };
        match what {
            None => report.equal += 1,
            Some(what) => report.differs(what, &found).map_err(|error| {
                failed = Some(error);
                ::rdb::Reject("the output failed")
            })?,
        }
        Ok(())
    });
    let read = second.read(&mut args.select.around(digests), true);
    finish(read, &mut failed)?;
    if !known.is_empty() {
        let digests = Digests::names(|found: Found<'_>| {
            if known.remove(&found.name).is_some() {
                report.differs(only_first, &found).map_err(|error| {
                    failed = Some(error);
                    ::rdb::Reject("the output failed")
                })?;
            }
            Ok(())
        });
        let read = first.read(&mut args.select.around(digests), true);
        finish(read, &mut failed)?;
    }
    let Report { mut to, counts, equal, .. } = report;
    let total: u64 = counts.values().sum();
    let words: Vec<String> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    let words = if words.is_empty() { "no difference".to_owned() } else { words.join(", ") };
    super::told(writeln!(to, "{equal} equal, {words}").and_then(|()| to.flush()))?;
    Ok(total == 0)
}

/// An output that nobody reads any more is no error of the dump.
fn finish(read: Result<(), Failure>, failed: &mut Option<io::Error>) -> Result<(), Failure> {
    match failed.take() {
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Some(error) => Err(error.into()),
        None => read,
    }
}
