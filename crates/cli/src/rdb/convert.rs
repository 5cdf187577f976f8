//! `replica rdb convert`: a dump in another form.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use ::rdb::{Commands, EncodeError, EncodeOptions, Restores, Transcoder, Version, Visitor};

use crate::Failure;

/// Arguments of `replica rdb convert`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: super::Common,
    /// Where to write; it is there when it is complete. Default: the standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What to write.
    #[arg(long, value_enum, default_value_t = Form::Rdb)]
    to: Form,
    /// The version of the format that the servers to load it read: 9 (Redis 5 to 6.2), 10 (Redis 7.0), 11 (Redis 7.2,
    /// Valkey 7.2 to 8.1), 12 (Redis 7.4 to 8.4), 13 (Redis 8.6), 80 (Valkey 9). Commands: default 12, which stands for
    /// Valkey 9 as well.
    #[arg(long, value_name = "N", value_parser = version)]
    to_version: Option<Version>,
    /// Commands remove keys and functions of the same name first.
    #[arg(long)]
    replace: bool,
    /// Leave strings uncompressed.
    #[arg(long)]
    no_compression: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// A dump.
    Rdb,
    /// Commands (SET, RPUSH ...), as redis-cli --pipe takes them.
    Resp,
    /// RESTORE commands: exact, for servers that read values of that version.
    Restore,
}

fn version(text: &str) -> Result<Version, String> {
    let number = text.parse().map_err(|_| "a number is wanted".to_owned())?;
    let version = Version::from_footer(number);
    match Transcoder::new(version, EncodeOptions::default()) {
        Ok(_) => Ok(version),
        Err(error) => Err(format!("{error}: 9 to 13 and 80 can")),
    }
}

/// Converts.
pub fn run(args: &Args) -> Result<(), Failure> {
    if args.replace && args.to == Form::Rdb {
        return Err("--replace is for commands (--to resp, --to restore)".into());
    }
    match (args.to, args.to_version) {
        (Form::Rdb, Some(version)) => {
            let mut options = EncodeOptions::default();
            options.compress = !args.no_compression;
            write(args, Transcoder::new(version, options)?)
        }
        (Form::Resp, version) => {
            let commands = Commands::new(version.unwrap_or(Version::REDIS_12));
            write(args, if args.replace { commands.replacing() } else { commands })
        }
        (Form::Restore, Some(version)) => {
            let restores = Restores::new(version)?;
            write(args, if args.replace { restores.replacing() } else { restores })
        }
        (Form::Rdb | Form::Restore, None) => Err("--to-version says which servers are to read it".into()),
    }
}

/// Whoever turns a dump into bytes.
trait Writer: Visitor {
    fn take(&mut self) -> Vec<u8>;
    fn finish(self) -> Vec<u8>;
    fn refused(&self) -> Option<EncodeError>;
}

macro_rules! writer {
    ($name:ident, $finish:expr) => {
        impl Writer for $name {
            fn take(&mut self) -> Vec<u8> {
                self.take()
            }
            fn finish(self) -> Vec<u8> {
                $finish(self)
            }
            fn refused(&self) -> Option<EncodeError> {
                self.refused()
            }
        }
    };
}

writer!(Transcoder, |it: Transcoder| it.finish());
writer!(Commands, |mut it: Commands| it.take());
writer!(Restores, |mut it: Restores| it.take());

fn write(args: &Args, writer: impl Writer) -> Result<(), Failure> {
    match &args.output {
        Some(path) => {
            // Nobody finds half a file under its name.
            let part = part_of(path);
            let named =
                |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", part.display()));
            let mut file = File::create_new(&part).map_err(named)?;
            let done = fill(args, writer, &mut file, true).and_then(|()| {
                file.sync_all().map_err(named)?;
                Ok(std::fs::rename(&part, path)?)
            });
            if done.is_err() {
                let _ = std::fs::remove_file(&part);
            }
            done
        }
        None if io::stdout().is_terminal() && args.to != Form::Resp => {
            Err("this is not for a terminal: --output FILE, or a pipe".into())
        }
        None => match fill(args, writer, &mut io::stdout().lock(), false) {
            Err(error) if is_broken_pipe(&error) => Ok(()),
            done => done,
        },
    }
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn is_broken_pipe(error: &Failure) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn fill(args: &Args, writer: impl Writer, to: &mut impl Write, progress: bool) -> Result<(), Failure> {
    let mut to = BufWriter::with_capacity(1 << 20, to);
    let mut visitor = args.common.select.around(writer);
    let read = args.common.file.read_and(&mut visitor, progress, |visitor| {
        to.write_all(&visitor.inner_mut().take())?;
        Ok(())
    });
    if let (Err(error), Some(refused)) = (&read, visitor.inner().refused()) {
        return Err(format!("{error}: {refused}").into());
    }
    read?;
    to.write_all(&visitor.into_inner().finish())?;
    Ok(to.flush()?)
}
