//! Benchmarks live beside this file, one per layer. Here is what those share that measure whole processes, and the
//! allocator: the binary's, so that what is measured is what runs.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use testkit::{Client, Server, cpu_time_of, rss_bytes_of, thread_time_of};

#[path = "../crates/cli/src/allocator.rs"]
mod allocator;

pub use allocator::Allocator;

/// An environment variable that is a number.
#[must_use]
pub fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The one in the middle.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What was asked for by name on the command line; with no names, everything.
#[must_use]
pub fn wants(name: &str) -> bool {
    let mut wanted = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).peekable();
    wanted.peek().is_none() || wanted.any(|wanted| wanted == name)
}

/// Builds the binary as users do, and says where it is; `BINARY` names another.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("BINARY") {
        return path.into();
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let built = Command::new(cargo).args(["build", "--release", "-p", "replica-cli"]).status();
    assert!(built.is_ok_and(|status| status.success()), "the binary does not build");
    let here = std::env::current_exe().unwrap();
    here.ancestors().nth(2).unwrap().join("replica")
}

/// A server process, killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    address: String,
    /// Goes with it.
    dir: Option<PathBuf>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(dir) = &self.dir {
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}

impl Process {
    /// `replica serve` with more arguments; it listens when this returns.
    #[must_use]
    pub fn ours<A: AsRef<OsStr>>(binary: &Path, args: &[A]) -> Self {
        let mut command = Command::new(binary);
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(args).env("RUST_LOG", "warn");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self { child, address, dir: None }
    }

    /// A real server that writes nothing, with a dump to begin with.
    #[must_use]
    pub fn theirs(server: Server, dump: Option<&Path>) -> Self {
        for _ in 0..5 {
            let port = testkit::free_port().to_string();
            let mut command = Command::new(server.fetch().unwrap());
            command.args(["--port", &port, "--save", "", "--bind", "127.0.0.1", "--loglevel", "warning"]);
            // As a replica it writes a dump before it loads it, which the next server must not find.
            let dir = if let Some(dump) = dump {
                command.arg("--dir").arg(dump.parent().unwrap());
                command.arg("--dbfilename").arg(dump.file_name().unwrap());
                None
            } else {
                let dir = std::env::temp_dir().join(format!("replica-bench-{port}"));
                std::fs::create_dir_all(&dir).unwrap();
                command.arg("--dir").arg(&dir);
                Some(dir)
            };
            let mut child = command.stdout(Stdio::null()).spawn().unwrap();
            let address = format!("127.0.0.1:{port}");
            while child.try_wait().unwrap().is_none() {
                if Client::connect(address.as_str()).is_ok() {
                    return Self { child, address, dir };
                }
                sleep(Duration::from_millis(1));
            }
            // Somebody was faster at that port.
        }
        panic!("{server:?} does not start");
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> &str {
        self.address.rsplit(':').next().unwrap()
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Connected, and done with loading.
    #[must_use]
    pub fn client(&self) -> Client {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(120) {
            if let Ok(mut client) = Client::connect(self.address.as_str())
                && client.try_call(&["PING"]).is_ok_and(|reply| !reply.is_error())
            {
                return client;
            }
            sleep(Duration::from_millis(1));
        }
        panic!("{} does not answer", self.address);
    }

    /// Processor time used so far, user and system.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        cpu_time_of(self.pid()).unwrap()
    }

    /// The same of its threads that live now, finer: in nanoseconds instead of hundredths of a second.
    #[must_use]
    pub fn thread_time(&self) -> Duration {
        thread_time_of(self.pid()).unwrap()
    }

    /// Resident bytes.
    #[must_use]
    pub fn resident(&self) -> u64 {
        rss_bytes_of(self.pid()).unwrap()
    }
}

/// A replica of `server` that asks for everything, reads what comes and says each second how far it is: it keeps nothing.
pub fn sub_replica(server: &Process) {
    let mut socket = TcpStream::connect(server.address()).unwrap();
    let mut acks = socket.try_clone().unwrap();
    socket.write_all(b"REPLCONF capa eof capa psync2\r\nPSYNC ? -1\r\n").unwrap();
    let mut chunk = vec![0; 1 << 18];
    // +OK, the header and the small dump are few bytes: what is acknowledged is near enough.
    let read = Arc::new(AtomicU64::new(0));
    let so_far = Arc::clone(&read);
    spawn(move || {
        while let Ok(n) = socket.read(&mut chunk)
            && n > 0
        {
            read.fetch_add(n as u64, Ordering::Relaxed);
        }
    });
    spawn(move || {
        loop {
            sleep(Duration::from_secs(1));
            let ack = format!("REPLCONF ACK {}\r\n", so_far.load(Ordering::Relaxed).saturating_sub(500));
            if acks.write_all(ack.as_bytes()).is_err() {
                return;
            }
        }
    });
}
