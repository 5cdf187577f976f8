//! The configuration file: the binary beside real servers, by the same file.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(unix)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::Server;

const JUDGES: [(Server, &str); 3] =
    [(Server::R7_0, "redis-7.0"), (Server::R8_2, "redis-8.2"), (Server::V9_1, "valkey-9.1")];

/// A directory that goes with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("replica-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server that goes with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One of ours, with this file and arguments behind it.
fn our_command(compat: &str, file: &Path, dir: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_replica"));
    command.args(["serve", "--compat", compat]).arg(file).args(more).current_dir(dir);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn their_command(server: Server, file: &Path, dir: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(server.fetch().unwrap());
    command.arg(file).args(more).current_dir(dir);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it until its Unix socket is there.
fn start(mut command: Command, socket: &Path) -> (Process, UnixStream) {
    let mut process = Process(command.spawn().unwrap());
    // What it says must not fill the pipe.
    let streams: [Box<dyn std::io::Read + Send>; 2] =
        [Box::new(process.0.stdout.take().unwrap()), Box::new(process.0.stderr.take().unwrap())];
    for mut stream in streams {
        std::thread::spawn(move || std::io::copy(&mut stream, &mut std::io::stderr()));
    }
    let begin = Instant::now();
    loop {
        if let Ok(stream) = UnixStream::connect(socket) {
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            return (process, stream);
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "{command:?} does not come up");
        assert!(process.0.try_wait().unwrap().is_none(), "{command:?} has ended");
        std::thread::yield_now();
    }
}

/// What comes back for inline commands.
fn converse(stream: &mut UnixStream, lines: &[&str]) -> String {
    for line in lines {
        stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
    }
    stream.write_all(b"ECHO that-is-all\r\n").unwrap();
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    while !all.ends_with(b"that-is-all\r\n") {
        let n = match stream.read(&mut piece) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read.unwrap(),
        };
        assert!(n > 0, "the server hung up: {}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&piece[..n]);
    }
    String::from_utf8(all).unwrap()
}

const FILE: &str = r#"# The first line.
port 0
unixsocket SOCKET
dir DIR
Timeout 100   
	maxmemory 1gb

# later lines win
maxmemory 100MB
maxmemory-policy "allkeys-lru"
save 900 1
save 300 10
client-output-buffer-limit normal 10mb 5mb 60
client-output-buffer-limit pubsub 64mb 16mb 90
hash-max-ziplist-entries 100
notify-keyspace-events "Ex\x4b"
rename-command FLUSHALL "wipe"
rename-command KEYS ""
rename-command GET fetch
user alice on >pw ~a* +@read (+set ~b*)
user bob off nopass
include INCLUDED
# The last line.
slowlog-max-len 5"#;

/// Told in the same words by both.
const ASKED: &[&str] = &[
    "CONFIG GET timeout",
    "CONFIG GET maxmemory",
    "CONFIG GET maxmemory-policy",
    "CONFIG GET save",
    "CONFIG GET client-output-buffer-limit",
    "CONFIG GET hash-max-listpack-entries",
    "CONFIG GET notify-keyspace-events",
    "CONFIG GET slowlog-max-len",
    "CONFIG GET repl-timeout",
    "CONFIG GET lfu-log-factor",
    "CONFIG GET port",
    "CONFIG GET dir",
    "ACL LIST",
    "SET a 1",
    "FETCH a",
    "GET a",
    "FETCH",
    "FLUSHALL",
    "KEYS *",
    "COMMAND INFO wipe",
    "COMMAND INFO flushall keys get",
    "COMMAND GETKEYS fetch a",
    "MULTI\nFETCH a\nKEYS *\nEXEC",
    "MULTI\nFETCH a\nWIPE\nFETCH a\nEXEC",
    "WIPE ASYNC x",
    "ACL SETUSER carol +fetch",
    "ACL SETUSER carol +get",
    "ACL DELUSER carol",
    "CONFIG SET timeout 1 maxmemory x",
    "CONFIG GET timeout",
    "CONFIG SET timeout 5 maxmemory 70mb repl-timeout 61",
    "CONFIG SET save \"60 5\" notify-keyspace-events \"\"",
    "CONFIG SET maxmemory-policy noeviction slowlog-max-len 128",
    "CONFIG SET client-output-buffer-limit \"normal 0 0 0\"",
    "CONFIG SET masterauth \"a \\\"quoted\\\" one\"",
    "ACL SETUSER bob on",
    "ACL DELUSER alice",
    "ACL SETUSER dora on >x +ping",
    "CONFIG REWRITE",
];

/// What a rewritten file must keep as it is, in its order.
fn kept(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let is_kept = |line: &&str| {
        let line = line.to_ascii_lowercase();
        line.starts_with('#') && !line.starts_with("# generated")
            || ["rename-command", "include", "port"].iter().any(|name| line.starts_with(name))
    };
    text.lines().filter(is_kept).map(str::to_owned).collect()
}

#[test]
fn a_file_means_what_it_means_there_and_is_rewritten_as_there() {
    for (judge, compat) in JUDGES {
        let run = |ours: bool| {
            let dir = Dir::new(&format!("conf-{compat}-{ours}"));
            let name = |path: &Path| path.display().to_string();
            let socket = dir.0.join("socket");
            let included = dir.write("included.conf", "repl-timeout 33\n\nlfu-log-factor 7\n");
            let text = FILE.replace("SOCKET", &name(&socket)).replace("DIR", &name(&dir.0));
            let file = dir.write("server.conf", &text.replace("INCLUDED", &name(&included)));
            let command = |more: &[&str]| match ours {
                true => our_command(compat, &file, &dir.0, more),
                false => their_command(judge, &file, &dir.0, more),
            };
            let hidden = |text: String| {
                let length = format!("${}\r\nHERE", name(&dir.0).len());
                text.replace(&name(&dir.0), "HERE").replace(&length, "$N\r\nHERE")
            };
            // Theirs takes any setting as an argument.
            let over: &[&str] =
                if ours { &["--set", "slowlog-max-len 7"] } else { &["--slowlog-max-len", "7"] };
            let (process, mut stream) = start(command(over), &socket);
            let told: Vec<String> = ASKED
                .iter()
                .map(|line| format!("{line}: {}", hidden(converse(&mut stream, &[line]))))
                .collect();
            drop((stream, process));
            let _ = std::fs::remove_file(&socket);
            let kept: Vec<String> = kept(&file).into_iter().map(hidden).collect();
            // What was written can be read by both, and says the same to both.
            let again = [our_command(compat, &file, &dir.0, &[]), their_command(judge, &file, &dir.0, &[])]
                .map(|command| {
                    let (_process, mut stream) = start(command, &socket);
                    let told = converse(&mut stream, AFTERWARDS);
                    let _ = std::fs::remove_file(&socket);
                    hidden(told)
                });
            (told, kept, again)
        };
        let (mine, theirs) = (run(true), run(false));
        for (mine, theirs) in mine.0.iter().zip(&theirs.0) {
            assert_eq!(mine, theirs, "{compat} (ours, theirs)");
        }
        assert_eq!(mine.1, theirs.1, "{compat}: the file (ours, theirs)");
        let [ours_by_us, ours_by_them] = mine.2;
        let [theirs_by_us, theirs_by_them] = theirs.2;
        assert_eq!(theirs_by_us, theirs_by_them, "{compat}: their file, read by us and by them");
        assert_eq!(ours_by_us, theirs_by_them, "{compat}: our file, read by us");
        assert_eq!(ours_by_them, theirs_by_them, "{compat}: our file, read by them");
    }
}

/// What was changed before the file was written anew.
const AFTERWARDS: &[&str] = &[
    "CONFIG GET timeout",
    "CONFIG GET maxmemory",
    "CONFIG GET maxmemory-policy",
    "CONFIG GET save",
    "CONFIG GET client-output-buffer-limit",
    "CONFIG GET hash-max-listpack-entries",
    "CONFIG GET notify-keyspace-events",
    "CONFIG GET slowlog-max-len",
    "CONFIG GET repl-timeout",
    "CONFIG GET lfu-log-factor",
    "CONFIG GET masterauth",
    "ACL LIST",
    "FETCH a",
    "KEYS *",
];

/// Files that no server takes: the lines, and which of them is at fault.
const BAD: &[&str] = &[
    "\n\nmaxmemory abc",
    "maxmemory",
    "maxmemory 1 2",
    "maxmemory \"1",
    "port 99999",
    "port x",
    "timeout -1",
    "rename-command nosuch x",
    "rename-command get set",
    "rename-command get",
    "user alice on\nuser alice off",
    "save 1",
    "save 1 a",
    "unixsocketperm 999",
    "client-output-buffer-limit normal 1",
    "client-output-buffer-limit foo 1 1 1",
    "replicaof a",
    "protected-mode maybe",
    "maxmemory-policy sometimes",
    "tls-auth-clients sometimes",
];

#[test]
fn a_bad_line_is_named_as_there() {
    let dir = Dir::new("bad");
    for text in BAD {
        let file = dir.write("bad.conf", &format!("{text}\n"));
        let said = |mut command: Command| {
            let process = Process(command.spawn().unwrap());
            let mut process = process;
            let mut text = String::new();
            process.0.stderr.take().unwrap().read_to_string(&mut text).unwrap();
            assert!(!process.0.wait().unwrap().success());
            text
        };
        let theirs = said(their_command(Server::R7_0, &file, &dir.0, &["--port", "0"]));
        let ours = said(our_command("redis-7.0", &file, &dir.0, &["--port", "0"]));
        let at_fault = theirs.find(">>> ").unwrap_or_else(|| panic!("{text:?}: {theirs}"));
        let line = theirs.split("at line ").nth(1).unwrap().lines().next().unwrap();
        assert!(ours.contains(&theirs[at_fault..]), "{text:?}: ours says {ours}\ntheirs {theirs}");
        assert!(ours.contains(&format!("{}, at line {line}\n", file.display())), "{text:?}: {ours}");
    }
    // What they leave to a module that may come, and what they do not know: a name of nobody's.
    let file = dir.write("bad.conf", "maxclients 5\nno-such-thing 1\n");
    let output = our_command("redis-8.2", &file, &dir.0, &[]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("at line 2\n>>> 'no-such-thing 1'\nBad directive or wrong number of arguments"),
        "{said}"
    );
    let output = our_command("redis-8.2", &dir.0.join("nowhere.conf"), &dir.0, &[]).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("can't open config file"));
}

#[test]
fn the_command_line_holds_over_the_file_and_replicaof_makes_a_replica() {
    let dir = Dir::new("replicaof");
    let primary = Server::R8_2.start();
    primary.client().line("SET k v").ok();
    let text = format!("replicaof 127.0.0.1 {}\nport 0\nbind 127.0.0.1\nmaxclients 77\n", primary.port());
    let file = dir.write("replica.conf", &text);
    let mut command =
        our_command("redis-8.2", &file, &dir.0, &["--listen", "127.0.0.1:0", "--maxclients", "78"]);
    let mut process = Process(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(process.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let addr =
        line.strip_prefix("serving on ").unwrap_or_else(|| panic!("it said {line:?}")).trim().to_owned();
    let mut client = testkit::Client::connect(addr.as_str()).unwrap();
    testkit::wait_until_caught_up(&mut primary.client(), &mut client);
    assert_eq!(client.line("GET k").bytes(), b"v");
    assert_eq!(client.line("CONFIG GET maxclients").strings()[1], b"78");
    client.line("CONFIG REWRITE").ok();
    let rewritten = std::fs::read_to_string(&file).unwrap();
    assert!(rewritten.starts_with(&text.replace("77", "78")), "{rewritten}");
    client.line("REPLICAOF NO ONE").ok();
    client.line("CONFIG REWRITE").ok();
    assert!(!std::fs::read_to_string(&file).unwrap().contains("replicaof"));
}

/// Whether the system may give a process pages of 2 MiB.
#[cfg(target_os = "linux")]
fn may_have_huge_pages(process: &Process) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.0.id())).unwrap();
    status.lines().find_map(|line| line.strip_prefix("THP_enabled:")).unwrap().trim() == "1"
}

#[test]
#[cfg(target_os = "linux")]
fn pages_of_two_megabytes_are_left_alone_unless_somebody_wants_them() {
    let dir = Dir::new("thp");
    for (line, huge) in [("", false), ("disable-thp yes", false), ("disable-thp no", true)] {
        let mut told = Vec::new();
        for server in [None, Some(Server::R7_0)] {
            let socket = dir.0.join("thp.sock");
            let file = dir.write("thp.conf", &format!("port 0\nunixsocket {}\n{line}\n", socket.display()));
            let command = match server {
                None => our_command("redis-7.0", &file, &dir.0, &[]),
                Some(server) => their_command(server, &file, &dir.0, &[]),
            };
            let (process, mut stream) = start(command, &socket);
            told.push(converse(&mut stream, &["CONFIG GET disable-thp", "CONFIG SET disable-thp no"]));
            if server.is_none() {
                assert_eq!(may_have_huge_pages(&process), huge, "{line}");
            }
            drop((process, stream));
            let _ = std::fs::remove_file(&socket);
        }
        assert_eq!(told[0], told[1], "{line} (ours, theirs)");
    }
}
