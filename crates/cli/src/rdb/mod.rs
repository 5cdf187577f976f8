//! `replica rdb`: what dump files hold.

use std::io::{self, Write as _};

use crate::Failure;
use input::Input;

mod convert;
mod diff;
mod input;
mod select;
mod stat;
mod top;

/// Subcommands of `replica rdb`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Print the data set as JSON lines, one a key; keys and values are base64.
    Json(Common),
    /// Say whether a dump is valid, or where it is not. Ends with 1 if it is not.
    Check(Common),
    /// Count keys by type, encoding, size and expiry.
    Stat(Common),
    /// The biggest keys and prefixes, in bytes of the dump and of memory.
    Top(top::Args),
    /// Compare two dumps key by key. Ends with 1 if they differ.
    Diff(diff::Args),
    /// Write a dump in another version of the format, or as commands.
    Convert(convert::Args),
}

/// What every subcommand takes.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// The dump; `-` is the standard input.
    file: Input,
    #[command(flatten)]
    select: select::Args,
}

/// Shown below the help of `replica rdb`.
pub const EXIT_CODES: &str = "Ends with 0 if all is well, 1 if a dump is not valid (check) or two differ (diff), 2 if something failed.";

/// Runs a subcommand; false if a check did not pass.
pub fn run(command: Command) -> Result<bool, Failure> {
    match command {
        Command::Json(args) => {
            let stdout = io::stdout().lock();
            let json = ::rdb::json::JsonLines::new(io::BufWriter::with_capacity(1 << 20, stdout));
            let mut json = args.select.around(json);
            match args.file.read(&mut json, false) {
                // Whoever reads us has seen enough.
                Err(error) if json.inner().broken_pipe() => {
                    drop(error);
                    return Ok(true);
                }
                result => result?,
            }
            told(json.into_inner().finish().and_then(|mut to| to.flush()))?;
            Ok(true)
        }
        Command::Check(args) => match args.file.read(&mut args.select.around(Nothing), true) {
            Ok(()) => {
                say!("{}: valid", args.file);
                Ok(true)
            }
            Err(error) if error.is::<io::Error>() => Err(error),
            Err(error) => {
                say!("{error}");
                Ok(false)
            }
        },
        Command::Stat(args) => {
            let mut stat = args.select.around(::rdb::stat::Stat::default());
            args.file.read(&mut stat, true)?;
            print(&stat::table(stat.inner()))?;
            Ok(true)
        }
        Command::Top(args) => top::run(&args).map(|()| true),
        Command::Diff(args) => diff::run(&args),
        Command::Convert(args) => convert::run(&args).map(|()| true),
    }
}

/// Prints; whoever has stopped reading has seen enough.
fn print(text: &str) -> Result<(), Failure> {
    told(io::stdout().lock().write_all(text.as_bytes()))
}

/// What became of an output: that nobody reads it any more is no error.
fn told(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Looks at every value and keeps none.
struct Nothing;

impl ::rdb::Visitor for Nothing {
    fn entry(&mut self, _: &[u8], _: &::rdb::EntryMeta) -> Result<::rdb::Want, ::rdb::Reject> {
        Ok(::rdb::Want::Elements)
    }
}
