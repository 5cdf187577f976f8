//! The binary as a process, and an HTTP client that is none of ours.
#![allow(dead_code, clippy::unwrap_used, reason = "each test binary uses its part, and fails by panicking")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::Client;

/// `replica serve`, killed with its handle.
pub(crate) struct Ours {
    child: Child,
    pub(crate) addr: String,
    pub(crate) http: String,
}

impl Ours {
    /// Serves RESP and HTTP at free ports.
    pub(crate) fn serve(args: &[&str]) -> Self {
        Self::serve_logging(args, Stdio::null())
    }

    /// The same, with its log in a file or at another place.
    pub(crate) fn serve_logging(args: &[&str], log: impl Into<Stdio>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_replica"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]).args(args).stderr(log);
        Self::of(command)
    }

    /// What a command starts, which must serve RESP at one place and HTTP.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap());
        let mut after = |prefix: &str| {
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            line.strip_prefix(prefix).unwrap_or_else(|| panic!("it said {line:?}")).trim().to_owned()
        };
        let (addr, http) = (after("serving on "), after("http on "));
        Self { child, addr, http }
    }

    /// Asks it to end, as a service manager does.
    pub(crate) fn terminate(&self) {
        assert!(Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap().success());
    }

    /// Waits for its end; whether that was a good one.
    pub(crate) fn has_ended_well(mut self) -> bool {
        self.child.wait().unwrap().success()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.addr.as_str()).unwrap()
    }

    /// Code, head and body.
    pub(crate) fn request(&self, method: &str, path: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.http)
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let code = head.split_whitespace().nth(1).unwrap().parse().unwrap();
        (code, head.to_ascii_lowercase(), body.to_owned())
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let (code, _, body) = self.request("GET", path);
        (code, body)
    }

    /// Until the path answers with this code; what it says then.
    pub(crate) fn until(&self, path: &str, wanted: u16) -> String {
        let began = Instant::now();
        loop {
            let (code, body) = self.get(path);
            if code == wanted {
                return body;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{path} still answers {code}: {body}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
