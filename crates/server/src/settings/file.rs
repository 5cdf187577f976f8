//! The configuration file, in the grammar of `redis.conf`, and what the command line says over it.
//!
//! A line is a name and its words; `#` begins a comment, quotes hold words together and know the escapes of redis-cli.
//! `include` reads another file in its place. The last one of several lines about the same thing holds.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use resp::{Limits, RequestDecoder};

use super::renames::Renames;
use super::{Checked, Found};
use crate::engine::Engine;
use crate::listener::Endpoint;
use crate::options::{DebugCommand, Options};

/// Settings of the real servers that mean nothing here: a configuration that has them is fine.
const PASSED_OVER: &str = "activerehashing activedefrag always-show-logo aof-load-truncated \
    aof-rewrite-incremental-fsync aof-timestamp-enabled aof-use-rdb-preamble appenddirname appendfilename appendfsync \
    auto-aof-rewrite-min-size auto-aof-rewrite-percentage crash-log-enabled crash-memcheck-enabled daemonize \
    dynamic-hz extended-redis-compatibility io-threads io-threads-do-reads jemalloc-bg-thread \
    lazyfree-lazy-user-flush locale-collate logfile loglevel \
    no-appendfsync-on-rewrite oom-score-adj oom-score-adj-values pidfile proc-title-template \
    rdb-del-sync-files rdb-key-save-delay rdb-save-incremental-fsync rdb-version-check repl-disable-tcp-nodelay \
    repl-diskless-load repl-diskless-sync-max-replicas replicaof-read-only sanitize-dump-payload \
    set-proc-title socket-mark-id supervised syslog-enabled syslog-facility syslog-ident \
    tls-ciphers tls-ciphersuites tls-cluster tls-prefer-server-ciphers tls-session-cache-size \
    tls-session-cache-timeout tls-session-caching";
const INCLUDES: usize = 16;

/// A line about one setting.
#[derive(Debug, Clone)]
pub struct Directive {
    /// Its name, in lower case.
    pub name: String,
    /// What follows.
    pub words: Vec<Vec<u8>>,
    /// The file, none for the command line.
    file: Option<PathBuf>,
    line: usize,
    text: String,
}

impl Directive {
    fn wrong(&self, why: impl Into<String>) -> ConfigurationError {
        ConfigurationError {
            file: self.file.clone(),
            line: self.line,
            text: self.text.clone(),
            why: why.into(),
        }
    }

    fn word(&self) -> Result<String, ConfigurationError> {
        match self.words.as_slice() {
            [word] => Ok(String::from_utf8_lossy(word).into_owned()),
            _ => Err(self.wrong("wrong number of arguments")),
        }
    }

    fn number<T: std::str::FromStr + fmt::Display + PartialOrd>(
        &self,
        least: T,
        most: T,
    ) -> Result<T, ConfigurationError> {
        let word = self.word()?;
        if word.parse::<i64>().is_err() {
            return Err(self.wrong("argument couldn't be parsed into an integer"));
        }
        let number = word.parse::<T>().ok().filter(|number| (&least..=&most).contains(&number));
        number.ok_or_else(|| self.wrong(format!("argument must be between {least} and {most} inclusive")))
    }
}

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigurationError {
    file: Option<PathBuf>,
    line: usize,
    text: String,
    why: String,
}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, text, why } = self;
        writeln!(f, "*** FATAL CONFIG FILE ERROR (replica {}) ***", env!("CARGO_PKG_VERSION"))?;
        match file {
            Some(file) => writeln!(f, "Reading the configuration file {}, at line {line}", file.display())?,
            None => writeln!(f, "Reading the command line")?,
        }
        if !text.is_empty() {
            writeln!(f, ">>> '{text}'")?;
        }
        f.write_str(why)
    }
}

/// Why a configuration's endpoints cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointsError {
    /// TLS cannot be had.
    #[cfg(feature = "tls")]
    #[error("tls-port: {0}")]
    Tls(#[source] crate::tls_settings::TlsSettingsError),
    /// This build has none.
    #[error("tls-port: this build has no TLS (feature `tls`)")]
    NoTls,
}

/// A configuration: the lines of a file, and what the command line says.
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    file: Option<PathBuf>,
    lines: Vec<Directive>,
}

/// What has to be known before the server is there.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Startup {
    /// `bind`
    pub bind: Vec<String>,
    /// `port`, if it is given.
    pub port: Option<u16>,
    /// `tls-port`; 0: none.
    pub tls_port: u16,
    /// `unixsocket`
    pub unix_socket: Option<PathBuf>,
    /// `unixsocketperm`
    pub unix_permissions: u32,
    /// `replicaof`
    pub primary: Option<(String, u16)>,
    /// `tls-replication`: the link to the primary is encrypted.
    pub tls_replication: bool,
}

impl Configuration {
    /// Reads a file, and what it includes.
    ///
    /// # Errors
    /// A file that cannot be read, or a line that is none.
    pub fn read(path: &Path) -> Result<Self, ConfigurationError> {
        let mut lines = Vec::new();
        include(path, 0, &mut lines)?;
        let file = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        Ok(Self { file: Some(file), lines })
    }

    /// Adds what the command line says; it holds over the lines before it.
    pub fn push<W: AsRef<[u8]>>(&mut self, name: &str, words: impl IntoIterator<Item = W>) {
        let words: Vec<Vec<u8>> = words.into_iter().map(|word| word.as_ref().to_vec()).collect();
        let shown: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
        let text = format!("{name} {}", shown.join(" "));
        self.lines.push(Directive { name: name.to_ascii_lowercase(), words, file: None, line: 0, text });
    }

    /// The lines in their order.
    #[must_use]
    pub fn lines(&self) -> &[Directive] {
        &self.lines
    }

    /// What the last line about a setting says.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<String> {
        let line = self.lines.iter().rev().find(|line| line.name == name)?;
        let words: Vec<_> = line.words.iter().map(|word| String::from_utf8_lossy(word)).collect();
        Some(words.join(" "))
    }

    /// Takes out what has to be known before the server is there.
    ///
    /// # Errors
    /// A value that is none.
    pub fn startup(&self, options: &mut Options) -> Result<Startup, ConfigurationError> {
        let mut startup = Startup::default();
        for line in &self.lines {
            let who = || match line.word()?.to_ascii_lowercase().as_str() {
                "no" => Ok(DebugCommand::No),
                "yes" => Ok(DebugCommand::Yes),
                "local" => Ok(DebugCommand::Local),
                _ => Err(line.wrong("argument(s) must be one of the following: no, yes, local")),
            };
            let yes = || match line.word()?.to_ascii_lowercase().as_str() {
                "yes" => Ok(true),
                "no" => Ok(false),
                _ => Err(line.wrong("argument must be 'yes' or 'no'")),
            };
            match line.name.as_str() {
                "bind" => {
                    startup.bind =
                        line.words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
                }
                "port" => startup.port = Some(line.number(0, u16::MAX)?),
                "tls-port" => startup.tls_port = line.number(0, u16::MAX)?,
                "unixsocket" => {
                    startup.unix_socket =
                        Some(line.word()?).filter(|path| !path.is_empty()).map(PathBuf::from);
                }
                "unixsocketperm" => {
                    let octal = u32::from_str_radix(&line.word()?, 8).ok().filter(|mode| *mode <= 0o777);
                    startup.unix_permissions =
                        octal.ok_or_else(|| line.wrong("argument couldn't be parsed as an octal number"))?;
                }
                "tcp-backlog" => options.tcp_backlog = line.number(0, i32::MAX.unsigned_abs())?,
                "disable-thp" => options.disable_huge_pages = Some(yes()?),
                "databases" => options.databases = line.number(1, i32::MAX.unsigned_abs())?,
                "aclfile" => {
                    options.acl_file = Some(line.word()?).filter(|path| !path.is_empty()).map(PathBuf::from);
                }
                "enable-debug-command" => options.debug_command = who()?,
                "enable-protected-configs" => options.protected_configs = who()?,
                "rdbchecksum" => options.rdb_checksum = yes()?,
                "tls-replication" => startup.tls_replication = yes()?,
                "replicaof" | "slaveof" => startup.primary = primary(line)?,
                _ => {}
            }
        }
        Ok(startup)
    }
}

fn primary(line: &Directive) -> Result<Option<(String, u16)>, ConfigurationError> {
    let [host, port] = line.words.as_slice() else { return Err(line.wrong("wrong number of arguments")) };
    if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
        return Ok(None);
    }
    let port = std::str::from_utf8(port).ok().and_then(|port| port.parse().ok());
    let port = port.ok_or_else(|| line.wrong("Invalid master port"))?;
    Ok(Some((String::from_utf8_lossy(host).into_owned(), port)))
}

/// Whether [`Configuration::startup`] has taken it.
fn is_startup(name: &str) -> bool {
    matches!(
        name,
        "bind"
            | "port"
            | "tls-port"
            | "unixsocket"
            | "unixsocketperm"
            | "tcp-backlog"
            | "disable-thp"
            | "databases"
            | "aclfile"
            | "enable-debug-command"
            | "enable-protected-configs"
            | "rdbchecksum"
            | "tls-replication"
            | "replicaof"
            | "slaveof"
    )
}

/// The lines of a file, in place of the line that includes it.
fn include(path: &Path, depth: usize, lines: &mut Vec<Directive>) -> Result<(), ConfigurationError> {
    let failed = |why: String| ConfigurationError { file: None, line: 0, text: String::new(), why };
    let cannot = |error: &dyn fmt::Display| {
        failed(format!("Fatal error, can't open config file '{}': {error}", path.display()))
    };
    if depth > INCLUDES {
        return Err(cannot(&"files that include each other"));
    }
    let bytes = std::fs::read(path).map_err(|error| cannot(&error))?;
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        let text = String::from_utf8_lossy(line).into_owned();
        let mut directive = Directive {
            name: String::new(),
            words: Vec::new(),
            file: Some(path.to_owned()),
            line: number + 1,
            text,
        };
        let mut words =
            split(line).ok_or_else(|| directive.wrong("Unbalanced quotes in configuration line"))?;
        if words.is_empty() {
            continue;
        }
        directive.name = String::from_utf8_lossy(&words.remove(0)).to_ascii_lowercase();
        directive.words = words;
        if directive.name == "include" {
            let wanted = directive.word()?;
            for file in matching(&wanted) {
                include(&file, depth + 1, lines)?;
            }
        } else {
            lines.push(directive);
        }
    }
    Ok(())
}

/// The files of a name whose last part may be a pattern.
fn matching(wanted: &str) -> Vec<PathBuf> {
    let path = Path::new(wanted);
    let pattern = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !pattern.contains(['*', '?', '[']) {
        return vec![path.to_owned()];
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let found = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let fits =
        |name: &std::ffi::OsStr| store::glob::matches(pattern.as_bytes(), name.to_string_lossy().as_bytes());
    let mut files: Vec<PathBuf> =
        found.filter(|entry| fits(&entry.file_name())).map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// The words of a line, by the grammar of inline commands; none if a quote stays open.
pub(super) fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    if line.first() == Some(&b'*') {
        return Some(vec![line.to_vec()]);
    }
    let mut decoder = RequestDecoder::new(Limits { line_len: usize::MAX / 2, ..Limits::requests() });
    decoder.feed(line);
    decoder.feed(b"\n");
    let request = decoder.next_ref().ok()?;
    Some(request.map(|request| request.iter().map(<[u8]>::to_vec).collect()).unwrap_or_default())
}

/// What a configuration leaves behind.
#[derive(Debug, Default)]
pub(crate) struct Configured {
    /// The file, for CONFIG REWRITE.
    pub(crate) file: Option<PathBuf>,
    pub(crate) renames: Renames,
}

impl Engine {
    /// Takes over a configuration, but for what [`Configuration::startup`] is about. Once, before anybody comes.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn configure(&self, configuration: &Configuration) -> Result<(), ConfigurationError> {
        let compat = self.compat();
        let (mut renames, mut users) = (Renames::default(), HashSet::new());
        let mut points: Option<String> = None;
        for line in &configuration.lines {
            match line.name.as_str() {
                name if is_startup(name) => {}
                "rename-command" => {
                    let [from, to] = line.words.as_slice() else {
                        return Err(line.wrong("Bad directive or wrong number of arguments"));
                    };
                    renames.add(compat, from, to).map_err(|why| line.wrong(why))?;
                }
                "user" => self.declare(line, &mut users)?,
                "save" => {
                    let words: Vec<_> = line.words.iter().map(|word| String::from_utf8_lossy(word)).collect();
                    let more = words.join(" ");
                    if server_points(&more).is_none() || words.is_empty() {
                        return Err(line.wrong("Invalid save parameters"));
                    }
                    // Lines add up; an empty one begins anew.
                    let all = match points.take() {
                        Some(before) if !more.is_empty() && !before.is_empty() => format!("{before} {more}"),
                        _ => more,
                    };
                    points = Some(all);
                }
                name => match Found::named(name, compat) {
                    Some(setting) => self.take_over(line, setting)?,
                    None if PASSED_OVER.split_ascii_whitespace().any(|known| known == name) => {
                        tracing::warn!(setting = name, "means nothing here");
                    }
                    None => return Err(line.wrong("Bad directive or wrong number of arguments")),
                },
            }
        }
        if let (Some(points), Some(setting)) = (points, Found::named("save", compat)) {
            setting.set(self, &Checked::Text(points));
        }
        if !users.is_empty() && self.acl.file().is_some() {
            let why = "Configuring users in the configuration and at the same time setting an ACL file path is invalid: \
                please define either an ACL file or declare users directly, but not both.";
            return Err(ConfigurationError {
                file: configuration.file.clone(),
                line: 0,
                text: String::new(),
                why: why.to_owned(),
            });
        }
        let _ = self.configured.set(Configured { file: configuration.file.clone(), renames });
        Ok(())
    }

    /// Sets what a line is about.
    fn take_over(&self, line: &Directive, setting: Found) -> Result<(), ConfigurationError> {
        let value = match line.words.as_slice() {
            [word] => word.clone(),
            words if setting.has_words() => words.join(&b' '),
            _ => return Err(line.wrong("wrong number of arguments")),
        };
        let checked = setting.check(&value, self).map_err(|why| line.wrong(why))?;
        setting.set(self, &checked);
        Ok(())
    }

    fn declare(&self, line: &Directive, users: &mut HashSet<Vec<u8>>) -> Result<(), ConfigurationError> {
        let Some((name, rules)) = line.words.split_first() else {
            return Err(line.wrong("Bad directive or wrong number of arguments"));
        };
        let shown = String::from_utf8_lossy(name).into_owned();
        if !users.insert(name.clone()) {
            return Err(line.wrong(format!(
                "Error in user declaration '{shown}': Duplicate user found. A user can only be defined once in config files"
            )));
        }
        let rules: Vec<&[u8]> = rules.iter().map(Vec::as_slice).collect();
        let mut rules = crate::acl::merged(&rules).map_err(|rule| {
            line.wrong(format!("Unmatched parenthesis in {}", String::from_utf8_lossy(&rule)))
        })?;
        // The one that is there already begins anew.
        if name == b"default" {
            rules.insert(0, b"reset".to_vec());
        }
        self.acl.set(name, &rules, self.compat()).map_err(|(rule, why)| {
            let rule = String::from_utf8_lossy(&rule).into_owned();
            line.wrong(format!("Error loading ACL rule '{rule}' for the user named '{shown}': {why}"))
        })
    }

    /// Where a configuration wants clients to be accepted: every host of `bind` with `port` and with `tls-port`, and
    /// the Unix socket.
    ///
    /// # Errors
    /// `tls-port` is given, but TLS cannot be had.
    pub fn endpoints(&self, startup: &Startup) -> Result<Vec<Endpoint>, EndpointsError> {
        let mut all = Vec::new();
        let places = |port: u16| {
            startup.bind.iter().map(move |host| match host.contains(':') && !host.ends_with("::*") {
                true => format!(
                    "{}[{}]:{port}",
                    if host.starts_with('-') { "-" } else { "" },
                    host.trim_start_matches('-')
                ),
                false => format!("{host}:{port}"),
            })
        };
        if let Some(port) = startup.port.filter(|port| *port > 0) {
            all.extend(places(port).map(Endpoint::Tcp));
        }
        if startup.tls_port > 0 {
            #[cfg(feature = "tls")]
            {
                let tls = self.server_tls().map_err(EndpointsError::Tls)?;
                all.extend(places(startup.tls_port).map(|place| Endpoint::Tls(place, tls.clone())));
            }
            #[cfg(not(feature = "tls"))]
            return Err(EndpointsError::NoTls);
        }
        all.extend(startup.unix_socket.clone().map(|path| Endpoint::Unix(path, startup.unix_permissions)));
        Ok(all)
    }

    /// The file that this server was configured by.
    pub(crate) fn configuration_file(&self) -> Option<&Path> {
        self.configured.get().and_then(|configured| configured.file.as_deref())
    }

    /// What commands are called, where somebody has renamed any.
    pub(crate) fn renames(&self) -> Option<&Renames> {
        self.configured.get().map(|configured| &configured.renames).filter(|renames| !renames.is_empty())
    }
}

fn server_points(text: &str) -> Option<()> {
    crate::saving::parse_points(text).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Option<Vec<String>> {
        Some(split(line.as_bytes())?.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect())
    }

    #[test]
    fn lines_are_split_as_redis_cli_splits_them() {
        assert_eq!(words("a b  c").unwrap(), ["a", "b", "c"]);
        assert_eq!(words(r#"a "b c" 'd e' "\x41\n""#).unwrap(), ["a", "b c", "d e", "A\n"]);
        assert_eq!(words(r#"save """#).unwrap(), ["save", ""]);
        assert_eq!(words("a \"b"), None);
        assert_eq!(words("*3 x").unwrap(), ["*3 x"]);
    }
}
