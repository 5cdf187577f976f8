//! Where and when to save, by the usual names.

use std::path::PathBuf;
use std::time::Duration;

use store::Differences;

use crate::options::Options;

/// Settings of saving. All but those that are marked can be changed by CONFIG SET.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// `dir` (protected); none: this server saves nothing.
    pub(crate) dir: Option<PathBuf>,
    /// `dbfilename` (protected).
    pub(crate) file_name: String,
    /// `save`: so many seconds and changes.
    pub(crate) points: Vec<(u64, u64)>,
    /// `rdbcompression`.
    pub(crate) compression: bool,
    /// `rdbchecksum` (cannot be changed).
    pub(crate) checksum: bool,
    /// `stop-writes-on-bgsave-error`.
    pub(crate) stop_writes: bool,
    /// `shutdown-timeout`: how long replicas may take to catch up at the end.
    pub(crate) shutdown_timeout: Duration,
}

impl Settings {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            dir: options.dir.clone(),
            file_name: options.dbfilename.clone(),
            points: options.save_points.clone(),
            compression: options.rdb_compression,
            // What is to be continued from must be known to be whole.
            checksum: options.rdb_checksum || options.persist,
            stop_writes: true,
            shutdown_timeout: Duration::from_secs(10),
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.dir.as_ref().map(|dir| dir.join(&self.file_name))
    }

    /// Whether only those may change it who may change protected settings.
    pub(crate) fn is_protected(name: &str) -> bool {
        matches!(name, "dir" | "dbfilename")
    }

    /// Names and values, as CONFIG GET shows them.
    pub(crate) fn list(&self) -> Vec<(&'static str, String)> {
        let yes = |b: bool| if b { "yes" } else { "no" }.to_owned();
        let points: Vec<String> =
            self.points.iter().map(|(time, changes)| format!("{time} {changes}")).collect();
        vec![
            ("dir", self.dir.as_ref().map(|dir| dir.display().to_string()).unwrap_or_default()),
            ("dbfilename", self.file_name.clone()),
            ("save", points.join(" ")),
            ("rdbcompression", yes(self.compression)),
            ("rdbchecksum", yes(self.checksum)),
            ("stop-writes-on-bgsave-error", yes(self.stop_writes)),
            ("shutdown-timeout", self.shutdown_timeout.as_secs().to_string()),
        ]
    }

    /// Sets one of them; `None` if the name is not one of them.
    pub(crate) fn set(&mut self, name: &str, value: &[u8], like: &Differences) -> Option<Result<(), String>> {
        let text = String::from_utf8_lossy(value).into_owned();
        let yes = || match value.to_ascii_lowercase().as_slice() {
            b"yes" => Ok(true),
            b"no" => Ok(false),
            _ => Err("argument must be 'yes' or 'no'".to_owned()),
        };
        Some(match name {
            "dir" => match std::fs::canonicalize(&text) {
                Ok(dir) if dir.is_dir() => {
                    self.dir = Some(dir);
                    Ok(())
                }
                Ok(_) => Err("Not a directory".to_owned()),
                Err(error) => {
                    let error = error.to_string();
                    Err(error.split(" (os error").next().unwrap_or(&error).to_owned())
                }
            },
            "dbfilename" if text.contains('/') => {
                Err("dbfilename can't be a path, just a filename".to_owned())
            }
            "dbfilename" if text.is_empty() && like.dumps_need_a_name => {
                Err("dbfilename can't be empty".to_owned())
            }
            "dbfilename" => {
                self.file_name = text;
                Ok(())
            }
            "save" => match parse_points(&text) {
                Some(points) => {
                    self.points = points;
                    Ok(())
                }
                None => Err("Invalid save parameters".to_owned()),
            },
            "rdbcompression" => yes().map(|b| self.compression = b),
            "rdbchecksum" => Err("can't set immutable config".to_owned()),
            "stop-writes-on-bgsave-error" => yes().map(|b| self.stop_writes = b),
            "shutdown-timeout" => match store::number::parse_i64(value).map(u32::try_from) {
                Some(Ok(seconds)) if i32::try_from(seconds).is_ok() => {
                    self.shutdown_timeout = Duration::from_secs(seconds.into());
                    Ok(())
                }
                Some(_) => Err(format!("argument must be between 0 and {} inclusive", i32::MAX)),
                None => Err("argument couldn't be parsed into an integer".to_owned()),
            },
            _ => return None,
        })
    }
}

/// Save points as text: pairs of seconds and changes, with one space between two numbers; nothing at all is no pair.
#[must_use]
pub fn parse_points(text: &str) -> Option<Vec<(u64, u64)>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let numbers: Option<Vec<u64>> = text.split(' ').map(|word| word.parse::<u64>().ok()).collect();
    let numbers = numbers?;
    let pairs = numbers.chunks_exact(2);
    if !pairs.remainder().is_empty() || pairs.clone().any(|pair| pair[0] == 0) {
        return None;
    }
    Some(pairs.map(|pair| (pair[0], pair[1])).collect())
}
