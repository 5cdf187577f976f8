//! A server that runs, and surely stops.
//!
//! ```text
//! test process --spawns--> server, in a process group of its own
//!      |  `------spawns--> sh: read a word from the pipe; kill the server's group; unless told to keep it,
//!      `====pipe=========> remove the directory
//! ```
//!
//! The shell's `read` ends when the pipe closes: on drop, or when the test process dies in whatever way. The parent
//! death signal of Linux would need unsafe code, and goes off when the *thread* that started the server ends.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Client, Server, process};

/// A server that has not come up by then never will. A large dump may have to be loaded first.
const START_DEADLINE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(5);
/// Another process may take a chosen port first.
const PORT_TRIES: u32 = 20;
/// A Sentinel writes down what it learns, so it must have a file.
const SENTINEL_FILE: &str = "sentinel.conf";
/// Lines of the log that a failing test shows.
const LOG_TAIL: usize = 30;

const WATCH: &str = r#"
trap '' INT TERM HUP QUIT
word=
read -r word
kill -s KILL -- "-$1" 2>/dev/null
[ "$word" = keep ] || rm -rf -- "$2"
"#;

static STARTED: AtomicU32 = AtomicU32::new(0);

/// Settings of a server to be started.
///
/// Unless told otherwise it listens on a free port of 127.0.0.1, writes no dump and no append-only file, works in
/// a directory of its own, allows `DEBUG` from this machine and begins a full sync without the usual wait.
#[derive(Debug, Clone)]
pub struct Builder {
    server: Server,
    args: Vec<String>,
    port: Option<u16>,
    files: Vec<(String, Vec<u8>)>,
    is_sentinel: bool,
}

impl Builder {
    pub(crate) fn new(server: Server) -> Self {
        Self { server, args: Vec::new(), port: None, files: Vec::new(), is_sentinel: false }
    }

    /// Further arguments; they win over the kit's.
    #[must_use]
    pub fn args<S: AsRef<str>>(mut self, args: &[S]) -> Self {
        self.args.extend(args.iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// One setting, as in the configuration file.
    #[must_use]
    pub fn config(self, name: &str, value: &str) -> Self {
        self.args(&[&format!("--{name}"), value])
    }

    /// Listens on this port instead of a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Copies the server's data from one of our own: `bytes` become `dump.rdb`, loaded before it is ready.
    #[must_use]
    pub fn dump(self, bytes: &[u8]) -> Self {
        self.file("dump.rdb", bytes)
    }

    /// Puts a file into the server's directory before it starts.
    #[must_use]
    pub fn file(mut self, name: &str, bytes: &[u8]) -> Self {
        self.files.push((name.to_owned(), bytes.to_vec()));
        self
    }

    /// Runs it as a Sentinel that watches this primary: one vote finds it down, after a second, and a failover may be
    /// tried again after ten.
    #[must_use]
    pub fn watching(self, name: &str, primary: &Running) -> Self {
        self.watching_at(name, primary.port(), &[])
    }

    /// The same by the primary's port alone, with more lines for the Sentinel's file.
    #[must_use]
    pub fn watching_at(mut self, name: &str, port: u16, more: &[&str]) -> Self {
        self.is_sentinel = true;
        let lines = [
            format!("sentinel monitor {name} 127.0.0.1 {port} 1"),
            format!("sentinel down-after-milliseconds {name} 1000"),
            format!("sentinel failover-timeout {name} 10000"),
        ];
        let lines: Vec<&str> = lines.iter().map(String::as_str).chain(more.iter().copied()).collect();
        self.file(SENTINEL_FILE, lines.join("\n").as_bytes())
    }

    /// Starts it and waits until it has loaded its data and answers.
    ///
    /// # Panics
    /// When it cannot be fetched or does not come up; the text holds the end of its log.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Running {
        match self.try_start() {
            Ok(running) => running,
            Err(text) => panic!("{text}"),
        }
    }

    /// As [`Builder::start`], for tests that want a server to fail.
    ///
    /// # Errors
    /// Why it did not come up, with the end of its log.
    pub fn try_start(self) -> Result<Running, String> {
        let program = self.server.fetch().map_err(|error| error.to_string())?;
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("replica-test-{}-{number}", std::process::id()));
        // A process of the same id may have been here before.
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).map_err(|error| format!("cannot create {}: {error}", dir.display()))?;
        for (name, bytes) in &self.files {
            fs::write(dir.join(name), bytes).map_err(|error| format!("cannot write {name}: {error}"))?;
        }
        let mut running = Running {
            server: self.server,
            program,
            args: self.args,
            port: self.port.unwrap_or_else(crate::free_port),
            dir,
            is_sentinel: self.is_sentinel,
            life: None,
        };
        let mut tries = 0;
        loop {
            match running.launch() {
                Ok(()) => return Ok(running),
                Err(Trouble::PortTaken) if self.port.is_none() && tries < PORT_TRIES => {
                    tries += 1;
                    running.port = crate::free_port();
                }
                Err(Trouble::PortTaken) => return Err(format!("port {} is taken", running.port)),
                Err(Trouble::Other(text)) => return Err(text),
            }
        }
    }
}

/// A server of ours that runs. It is killed, and its directory removed, when this is dropped.
#[derive(Debug)]
pub struct Running {
    server: Server,
    program: PathBuf,
    args: Vec<String>,
    port: u16,
    dir: PathBuf,
    is_sentinel: bool,
    life: Option<Life>,
}

/// The two processes of a running server.
#[derive(Debug)]
struct Life {
    server: Child,
    watch: Child,
}

enum Trouble {
    PortTaken,
    Other(String),
}

impl Running {
    /// Which server this is.
    #[must_use]
    pub fn server(&self) -> Server {
        self.server
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`
    #[must_use]
    pub fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port for TLS, if `tls-port` was set.
    #[must_use]
    pub fn tls_port(&self) -> Option<u16> {
        self.set("--tls-port")?.parse().ok()
    }

    /// `redis://127.0.0.1:PORT`
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr())
    }

    /// The directory it works in; its dumps are there.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its process.
    ///
    /// # Panics
    /// After [`Running::kill`].
    #[must_use]
    #[track_caller]
    pub fn pid(&self) -> u32 {
        match &self.life {
            Some(life) => life.server.id(),
            None => panic!("{:?} on port {} does not run", self.server, self.port),
        }
    }

    /// Whether it was not killed.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.life.is_some()
    }

    /// A new connection, logged in if a password was set by `--requirepass`.
    ///
    /// # Panics
    /// When the server does not answer.
    #[must_use]
    #[track_caller]
    pub fn client(&self) -> Client {
        let connected = Client::connect(self.addr()).and_then(|mut client| {
            if let Some(password) = self.password() {
                client.try_call(&["AUTH", password])?;
            }
            Ok(client)
        });
        match connected {
            Ok(client) => client,
            Err(error) => {
                panic!("cannot reach {:?} at {}: {error}\n{}", self.server, self.addr(), self.log_tail())
            }
        }
    }

    /// Kills it at once, as a crash would, with all it has forked. Its directory stays, so that it can come back by
    /// [`Running::restart`].
    pub fn kill(&mut self) {
        if let Some(life) = self.life.take() {
            life.end(false);
        }
    }

    /// Lets it end by itself: `SHUTDOWN NOSAVE`, or `SHUTDOWN SAVE` to keep the data for [`Running::restart`].
    ///
    /// # Panics
    /// When it refuses.
    #[track_caller]
    pub fn shutdown(&mut self, save: bool) {
        let how = if save { "SAVE" } else { "NOSAVE" };
        if let Ok(reply) = self.client().try_call(&["SHUTDOWN", how]) {
            panic!("{:?} does not want to end: {reply:?}", self.server);
        }
        if let Some(mut life) = self.life.take() {
            // The connection has ended, so the process is about to.
            let _ = life.server.wait();
            life.end(false);
        }
    }

    /// Starts it again on the same port, in the same directory, with the same arguments, and waits until it answers.
    /// Kills it first if it runs.
    ///
    /// # Panics
    /// When it does not come up again.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill();
        match self.launch() {
            Ok(()) => {}
            Err(Trouble::PortTaken) => panic!("somebody took port {} of a stopped server", self.port),
            Err(Trouble::Other(text)) => panic!("{text}"),
        }
    }

    /// As [`restart`](Self::restart), on another port.
    ///
    /// # Panics
    /// When it does not come up again.
    #[track_caller]
    pub fn restart_elsewhere(&mut self) {
        self.kill();
        for _ in 0..PORT_TRIES {
            self.port = crate::free_port();
            match self.launch() {
                Ok(()) => return,
                // Or the port of its cluster bus, 10000 above.
                Err(Trouble::PortTaken) => {}
                Err(Trouble::Other(text)) => panic!("{text}"),
            }
        }
        panic!("{:?} finds no free port", self.server);
    }

    /// All it has logged, over restarts.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.log_path())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The end of its log, for failure messages.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.split_at(lines.len().saturating_sub(LOG_TAIL)).1;
        format!("--- log of {:?} on port {} ---\n{}", self.server, self.port, tail.join("\n"))
    }

    /// Resident memory.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    #[track_caller]
    pub fn rss_bytes(&self) -> u64 {
        process::rss_bytes_of(self.pid())
            .unwrap_or_else(|| panic!("{:?} has ended\n{}", self.server, self.log_tail()))
    }

    /// Processor time used since it was last started.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    #[track_caller]
    pub fn cpu_time(&self) -> Duration {
        process::cpu_time_of(self.pid())
            .unwrap_or_else(|| panic!("{:?} has ended\n{}", self.server, self.log_tail()))
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    fn password(&self) -> Option<&str> {
        self.set("--requirepass")
    }

    /// What an argument was set to.
    fn set(&self, name: &str) -> Option<&str> {
        let at = self.args.iter().rposition(|arg| arg == name)?;
        self.args.get(at + 1).map(String::as_str)
    }

    fn launch(&mut self) -> Result<(), Trouble> {
        let other = |what: &str, error: std::io::Error| Trouble::Other(format!("{what}: {error}"));
        let log = File::options().create(true).append(true).open(self.log_path());
        let log = log.map_err(|e| other("cannot open the log", e))?;
        let log_start = log.metadata().map_or(0, |m| m.len());
        let errors = log.try_clone().map_err(|e| other("cannot open the log", e))?;
        let port = self.port.to_string();
        let mut command = Command::new(&self.program);
        if self.is_sentinel {
            command.args([SENTINEL_FILE, "--sentinel"]);
        }
        command.args(["--port", &port, "--bind", "127.0.0.1", "--dir"]).arg(&self.dir);
        command.args(["--daemonize", "no"]);
        if !self.is_sentinel {
            command.args(["--save", "", "--appendonly", "no"]);
            command.args(["--repl-diskless-sync-delay", "0"]);
            if self.server.is_7_or_later() {
                command.args(["--enable-debug-command", "local"]);
            }
        }
        command.args(&self.args).current_dir(&self.dir).process_group(0);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let mut server = command.spawn().map_err(|e| other("cannot start the server", e))?;
        let watch = Command::new("sh")
            .args(["-c", WATCH, "watch", &server.id().to_string()])
            .arg(&self.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let watch = watch.map_err(|error| {
            let _ = server.kill();
            let _ = server.wait();
            other("cannot start the shell that watches the server", error)
        })?;
        self.life = Some(Life { server, watch });
        self.wait_until_ready(log_start)
    }

    /// Polls until the process that answers on our port is ours and has loaded its data.
    fn wait_until_ready(&mut self, log_start: u64) -> Result<(), Trouble> {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            if let Some(life) = &mut self.life
                && let Ok(Some(status)) = life.server.try_wait()
            {
                self.kill();
                let log = self.log();
                let new = log.get(usize::try_from(log_start).unwrap_or(0)..).unwrap_or(&log);
                if new.contains("Address already in use") {
                    return Err(Trouble::PortTaken);
                }
                return Err(Trouble::Other(format!(
                    "{:?} ended with {status}\n{}",
                    self.server,
                    self.log_tail()
                )));
            }
            if self.answers() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let text = format!("{:?} does not come up\n{}", self.server, self.log_tail());
                self.kill();
                return Err(Trouble::Other(text));
            }
            thread::sleep(POLL);
        }
    }

    fn answers(&self) -> bool {
        let Ok(mut client) = Client::connect(self.addr()) else { return false };
        if let Some(password) = self.password()
            && client.try_call(&["AUTH", password]).is_err()
        {
            return false;
        }
        let Ok(info) = client.try_call(&["INFO"]) else { return false };
        // A server with access rules may not tell us; then its answer must do.
        let Some(text) = info.as_bytes().map(String::from_utf8_lossy) else { return info.is_error() };
        let says = |wanted: String| text.lines().any(|line| line == wanted);
        says(format!("process_id:{}", self.pid())) && (self.is_sentinel || says("loading:0".to_owned()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.log_tail());
        }
        match self.life.take() {
            Some(life) => life.end(true),
            // Best effort: a directory left behind harms nobody.
            None => drop(fs::remove_dir_all(&self.dir)),
        }
    }
}

impl Life {
    /// Kills the server and waits until it is gone.
    fn end(mut self, remove_dir: bool) {
        // Closing the pipe is the signal; should the shell be gone, the second kill does it.
        if let Some(mut pipe) = self.watch.stdin.take()
            && !remove_dir
        {
            let _ = pipe.write_all(b"keep\n");
        }
        let _ = self.watch.wait();
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
