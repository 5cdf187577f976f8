//! Where and when to save, by the usual names.

use std::path::PathBuf;
use std::time::Duration;

use store::Differences;

use crate::options::Options;
use crate::settings::{INT, Row};

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
}

fn check_dir(text: &str, _: &Differences) -> Result<(), String> {
    match std::fs::canonicalize(text) {
        Ok(dir) if dir.is_dir() => Ok(()),
        Ok(_) => Err("Not a directory".to_owned()),
        Err(error) => {
            let error = error.to_string();
            Err(error.split(" (os error").next().unwrap_or(&error).to_owned())
        }
    }
}

fn check_name(text: &str, like: &Differences) -> Result<(), String> {
    match text {
        name if name.contains('/') => Err("dbfilename can't be a path, just a filename".to_owned()),
        "" if like.dumps_need_a_name => Err("dbfilename can't be empty".to_owned()),
        _ => Ok(()),
    }
}

/// Saving, for CONFIG.
pub(crate) const SETTINGS: &[Row] = &[
    Row::text(
        "dir",
        |engine| {
            let dir = &engine.saving.settings.read().dir;
            dir.as_ref().map(|dir| dir.display().to_string()).unwrap_or_default()
        },
        check_dir,
        |engine, text| engine.saving.settings.write().dir = std::fs::canonicalize(text).ok(),
    )
    .protected(),
    Row::text(
        "dbfilename",
        |engine| engine.saving.settings.read().file_name.clone(),
        check_name,
        |engine, text| text.clone_into(&mut engine.saving.settings.write().file_name),
    )
    .protected(),
    Row::text(
        "save",
        |engine| {
            let points = &engine.saving.settings.read().points;
            let points: Vec<String> =
                points.iter().map(|(time, changes)| format!("{time} {changes}")).collect();
            points.join(" ")
        },
        |text, _| parse_points(text).map(|_| ()).ok_or_else(|| "Invalid save parameters".to_owned()),
        |engine, text| engine.saving.settings.write().points = parse_points(text).unwrap_or_default(),
    )
    .of_words(),
    Row::switch(
        "rdbcompression",
        |engine| engine.saving.settings.read().compression.into(),
        |engine, on| engine.saving.settings.write().compression = on != 0,
    ),
    Row::immutable("rdbchecksum", |engine| {
        if engine.saving.settings.read().checksum { "yes" } else { "no" }.to_owned()
    }),
    Row::switch(
        "stop-writes-on-bgsave-error",
        |engine| engine.saving.settings.read().stop_writes.into(),
        |engine, on| engine.saving.settings.write().stop_writes = on != 0,
    ),
    Row::number(
        "shutdown-timeout",
        INT,
        |engine| i64::try_from(engine.saving.settings.read().shutdown_timeout.as_secs()).unwrap_or(i64::MAX),
        |engine, n| {
            engine.saving.settings.write().shutdown_timeout = Duration::from_secs(n.unsigned_abs());
        },
    ),
];

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
