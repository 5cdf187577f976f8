//! `replica rdb` as people and scripts use it: dumps of real servers, exit codes, pipes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use testkit::{Client, Difference, Running, Server, Tool, differences_after_full_sync, fill_every_type};

/// Runs `replica rdb` with these arguments and this standard input.
fn run(args: &[&str], input: Option<&[u8]>) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_replica"))
        .arg("rdb")
        .args(args)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let writer = input.map(|bytes| {
        let (mut stdin, bytes) = (child.stdin.take().unwrap(), bytes.to_vec());
        // It may have seen enough before we are done.
        std::thread::spawn(move || drop(stdin.write_all(&bytes)))
    });
    let output = child.wait_with_output().unwrap();
    if let Some(writer) = writer {
        writer.join().unwrap();
    }
    output
}

/// Its output; it has to end with this code.
#[track_caller]
fn text(args: &[&str], code: i32) -> String {
    let output = run(args, None);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}: {out}{err}");
    out.into_owned() + &err
}

/// A directory of this test's own.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("replica-rdb-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A filled server and its dump.
fn filled(server: Server, count: usize) -> (Running, Vec<u8>) {
    let running = server.start();
    let mut client = running.client();
    fill_every_type(&mut client, 11, count);
    let dump = save(&mut client, running.dir());
    (running, dump)
}

fn save(client: &mut Client, dir: &Path) -> Vec<u8> {
    client.call(&["SAVE"]).ok();
    fs::read(dir.join("dump.rdb")).unwrap()
}

fn shown(found: &[Difference]) -> String {
    found.iter().take(20).map(|difference| format!("{difference}\n")).collect()
}

/// A small dump whose records are known to the byte.
fn small() -> (Vec<u8>, Vec<(&'static str, u64)>) {
    let mut to =
        rdb::Encoder::new(rdb::Version::REDIS_11, rdb::EncodeOptions::default().without_compression())
            .unwrap();
    to.aux(b"redis-ver", b"7.2.6");
    to.select_db(0);
    let mut sizes = Vec::new();
    let mut at = to.buffered();
    let mut done = |to: &rdb::Encoder, name| {
        sizes.push((name, (to.buffered() - at) as u64));
        at = to.buffered();
    };
    to.entry(b"user:1", rdb::KeyMeta::expiring(Some(4_102_444_800_000))).string(&[b'x'; 300]);
    done(&to, "user:1");
    to.entry(b"user:2", rdb::KeyMeta::default()).set(2, [&b"red"[..], b"blue"]);
    done(&to, "user:2");
    to.entry(b"page:a:1", rdb::KeyMeta::expiring(Some(1))).string(b"gone");
    done(&to, "page:a:1");
    (to.finish(), sizes)
}

#[test]
fn top_knows_the_bytes_of_each_key_in_the_dump() {
    let (dir, (dump, sizes)) = (Dir::new("sizes"), small());
    let file = dir.file("a.rdb");
    fs::write(&file, &dump).unwrap();
    let table = text(&["top", &file], 0);
    for (key, size) in &sizes {
        let line = table.lines().find(|line| line.ends_with(&format!(" {key}"))).unwrap();
        assert_eq!(line.split_whitespace().nth(1), Some(size.to_string().as_str()), "{table}");
    }
    let total: u64 = sizes.iter().map(|(_, size)| size).sum();
    assert!(table.starts_with(&format!("3 keys, {total} bytes in the dump, ")), "{table}");
    // What a filter passes over counts for nobody.
    let table = text(&["top", &file, "--type", "set", "--by", "serialized"], 0);
    assert!(table.starts_with(&format!("1 keys, {} bytes in the dump, ", sizes[1].1)), "{table}");
    let table = text(&["top", &file, "--depth", "2", "-n", "1", "--by", "elements"], 0);
    assert!(table.ends_with("user:\n"), "{table}");
}

#[test]
fn top_tells_the_memory_that_a_server_of_ours_would_tell() {
    let (_primary, dump) = filled(Server::R8_2, 600);
    let dir = Dir::new("memory");
    let file = dir.file("a.rdb");
    fs::write(&file, &dump).unwrap();
    let output = run(&["top", "-", "-n", "1000000"], Some(&dump));
    assert!(output.status.success());
    let table = String::from_utf8(output.stdout).unwrap();
    let rows = table.lines().skip(4).take_while(|line| !line.is_empty());
    let mut child = Command::new(env!("CARGO_BIN_EXE_replica"))
        .args(["serve", "--standalone", "--listen", "127.0.0.1:0", "--load", &file])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line)
        .unwrap();
    let mut client = Client::connect(line.trim().strip_prefix("serving on ").unwrap()).unwrap();
    let (mut compared, mut exact) = (0, 0);
    for row in rows {
        let words: Vec<&str> = row.split_whitespace().collect();
        let [memory, _, _, _, db, key] = words[..] else { continue };
        if key.contains('\\') {
            continue;
        }
        client.call(&["SELECT", db]).ok();
        let told = client.call(&["MEMORY", "USAGE", key]).int();
        // How far a hash table has grown depends on the process's own hash function: only nearly the same then.
        let memory: i64 = memory.parse().unwrap();
        exact += usize::from(memory == told);
        assert!((memory - told).abs() * 3 <= told, "{row}: {told}");
        compared += 1;
    }
    assert!(exact * 10 > compared * 9, "{exact} of {compared}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(compared > 500, "{compared} keys compared");
}

#[test]
fn filters_choose_by_database_name_type_and_expiry() {
    let (dir, (dump, _)) = (Dir::new("filters"), small());
    let file = dir.file("a.rdb");
    fs::write(&file, &dump).unwrap();
    for (filter, keys) in [
        (&["--db", "1"][..], 0),
        (&["--db", "0"], 3),
        (&["--prefix", "user:", "--pattern", "pa?e:*"], 3),
        (&["--prefix", "user:", "--type", "set"], 1),
        (&["--expiry", "none"], 1),
        (&["--expiry", "past"], 1),
        (&["--expiry", "future"], 1),
        (&["--expiry", "any"], 2),
        (&["--expires-within", "60"], 1),
    ] {
        let lines = text(&[&["json", &file][..], filter].concat(), 0);
        assert_eq!(lines.lines().count(), keys, "{filter:?}: {lines}");
    }
    assert!(text(&["check", &file, "--type", "set"], 0).ends_with(": valid\n"));
}

#[test]
fn diff_names_what_differs_and_says_so_by_its_exit_code() {
    let (mut server, dump) = filled(Server::R8_2, 400);
    let dir = Dir::new("diff");
    let (left, right) = (dir.file("left.rdb"), dir.file("right.rdb"));
    fs::write(&left, &dump).unwrap();
    let mut client = server.client();
    client.call(&["SELECT", "3"]).ok();
    client.call(&["MSET", "changed", "1", "gone", "1", "typed", "1", "kept", "1"]).ok();
    client.call(&["SET", "timed", "1", "PXAT", "4102444800000"]).ok();
    client.call(&["HSET", "fields", "a", "1", "b", "2"]).ok();
    client.call(&["SADD", "set", "a", "b", "c"]).ok();
    let before = save(&mut client, server.dir());
    fs::write(&left, &before).unwrap();
    client.call(&["SET", "changed", "2"]).ok();
    client.call(&["DEL", "gone", "typed", "set"]).ok();
    client.call(&["RPUSH", "typed", "1"]).ok();
    client.call(&["PEXPIREAT", "timed", "4102444800001"]).ok();
    client.call(&["HPEXPIREAT", "fields", "4102444800000", "FIELDS", "1", "a"]).ok();
    // The same members in another order, and another encoding.
    client.call(&["SADD", "set", "c", "b", "a", &"x".repeat(100)]).ok();
    client.call(&["SREM", "set", &"x".repeat(100)]).ok();
    client.call(&["SET", "new", "1"]).ok();
    let after = save(&mut client, server.dir());
    fs::write(&right, &after).unwrap();

    assert!(text(&["diff", &left, &left], 0).ends_with(" equal, no difference\n"));
    let mut lines: Vec<String> = text(&["diff", &left, &right], 1).lines().map(str::to_owned).collect();
    let summary = lines.pop().unwrap();
    lines.sort_unstable();
    let expected = [
        "expiry\t3\ttimed",
        "field-expiry\t3\tfields",
        "only-left\t3\tgone",
        "only-right\t3\tnew",
        "type\t3\ttyped",
        "value\t3\tchanged",
    ];
    assert_eq!(lines, expected);
    let counts = " equal, 1 expiry, 1 field-expiry, 1 only-left, 1 only-right, 1 type, 1 value";
    assert!(summary.ends_with(counts), "{summary}");
    // Either side may come through a pipe.
    for (args, input) in [(["diff", "-", &right], &before), (["diff", &left, "-"], &after)] {
        let output = run(&args, Some(input));
        assert_eq!(output.status.code(), Some(1));
        let mut lines: Vec<String> =
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        lines.pop();
        lines.sort_unstable();
        assert_eq!(lines, expected);
    }
    assert_eq!(text(&["diff", &left, &right, "--brief", "--type", "set"], 0).lines().count(), 1);
    assert!(text(&["diff", "-", "-"], 2).contains("once only"));
    assert!(text(&["diff", &left, "/nowhere/x.rdb"], 2).contains("/nowhere/x.rdb"));
    server.kill();
}

/// A server that begins with this dump.
fn begun_with(server: Server, dump: &[u8]) -> Running {
    server.builder().dump(dump).start()
}

#[test]
fn converted_dumps_load_in_the_servers_that_they_are_for() {
    let dir = Dir::new("convert");
    // Functions and fields that expire are left out where the target has none.
    let without = &["--no-functions"][..];
    for (source, version, target, options) in [
        (Server::R7_0, "9", Server::R6_0, without),
        (Server::V8_1, "9", Server::R6_2, without),
        (Server::V8_1, "10", Server::R7_0, &[]),
        (Server::R8_2, "80", Server::V9_1, &[]),
        (Server::V9_1, "12", Server::R8_2, &[]),
        (Server::R6_0, "11", Server::V8_1, &[]),
    ] {
        let (running, dump) = filled(source, 500);
        let (from, to) = (dir.file("from.rdb"), dir.file("to.rdb"));
        fs::write(&from, &dump).unwrap();
        let args = [&["convert", &from, "-o", &to, "--to-version", version][..], options].concat();
        assert_eq!(text(&args, 0), "");
        let loaded = begun_with(target, &fs::read(&to).unwrap());
        let mut found = differences_after_full_sync(&mut running.client(), &mut loaded.client());
        // What the older form does not say.
        found.retain(|difference| {
            version != "9" || !matches!(difference.what, "code" | "counters" | "stream" | "groups")
        });
        assert!(found.is_empty(), "{source:?} as {version} in {target:?}:\n{}", shown(&found));
        let options = [&["diff", &from, &to][..], options, &["--ignore-bookkeeping"]].concat();
        text(&options, 0);
        fs::remove_file(&to).unwrap();
    }
    // The other way round: through pipes, and what cannot be said is an error that names key and reason.
    let (_, dump) = filled(Server::R8_2, 300);
    let output = run(&["convert", "-", "--to-version", "11"], Some(&dump));
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("has no hash fields that expire") && err.contains("key"), "{err}");
    let to = dir.file("never.rdb");
    text(&["convert", "/dev/null", "-o", &to, "--to-version", "11"], 2);
    assert!(!Path::new(&to).exists() && !Path::new(&format!("{to}.part")).exists());
    assert!(text(&["convert", "/dev/null"], 2).contains("--to-version"));
    assert!(text(&["convert", "/dev/null", "--to-version", "8"], 2).contains("9 to 13 and 80"));
}

/// Sends commands as `redis-cli --pipe` does, and answers the errors among the replies.
fn pipe(client: &mut Client, commands: &[u8]) -> Vec<String> {
    let mut at = 0;
    let mut count = 0;
    while at < commands.len() {
        let line = |at: usize| at + commands[at..].windows(2).position(|end| end == b"\r\n").unwrap() + 2;
        let number = |from: usize, to: usize| -> usize {
            std::str::from_utf8(&commands[from + 1..to - 2]).unwrap().parse().unwrap()
        };
        let end = line(at);
        let mut next = end;
        for _ in 0..number(at, end) {
            let end = line(next);
            next = end + number(next, end) + 2;
        }
        at = next;
        count += 1;
    }
    let replies = client.pipeline_bytes(commands, count).unwrap();
    replies.iter().filter(|reply| reply.is_error()).map(|reply| reply.error().to_owned()).collect()
}

#[test]
fn commands_make_the_same_data_set() {
    for (source, version, target, options) in [
        (Server::R8_2, "12", Server::R8_2, &[][..]),
        (Server::V9_1, "80", Server::V9_1, &[]),
        (Server::R7_0, "10", Server::R7_0, &[]),
        (Server::R6_0, "9", Server::R6_0, &[]),
        (Server::R8_2, "12", Server::V9_1, &[]),
    ] {
        let running = source.start();
        let mut client = running.client();
        fill_every_type(&mut client, 11, 500);
        // Servers since Redis 7 refuse to claim pending messages that are deleted.
        client.call(&["XACK", "spec:stream:groups", "all", "4-4", "22-22"]).ok();
        let dump = save(&mut client, running.dir());
        let args = [&["convert", "-", "--to", "resp", "--to-version", version][..], options].concat();
        let output = run(&args, Some(&dump));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let loaded = target.start();
        let errors = pipe(&mut loaded.client(), &output.stdout);
        assert!(errors.is_empty(), "{errors:?}");
        let found = differences_after_full_sync(&mut running.client(), &mut loaded.client());
        assert!(found.is_empty(), "{source:?} for {version} into {target:?}:\n{}", shown(&found));
        // A second time: only with --replace.
        let again = run(&[&args[..], &["--replace"]].concat(), Some(&dump));
        let errors = pipe(&mut loaded.client(), &again.stdout);
        assert!(errors.is_empty(), "{errors:?}");
        let found = differences_after_full_sync(&mut running.client(), &mut loaded.client());
        assert!(found.is_empty(), "{source:?} replaced in {target:?}:\n{}", shown(&found));
    }
}

/// By the tool that people use for it.
#[test]
fn redis_cli_pipes_the_commands_into_a_server() {
    let cli = Tool::Cli.fetch().unwrap_or_else(|error| panic!("{error}"));
    let running = Server::V8_1.start();
    let mut client = running.client();
    fill_every_type(&mut client, 12, 400);
    client.call(&["XACK", "spec:stream:groups", "all", "4-4", "22-22"]).ok();
    let dump = save(&mut client, running.dir());
    let loaded = Server::V9_1.start();
    let mut target = loaded.client();
    let port = loaded.port().to_string();
    let output = run(&["convert", "-", "--to", "resp"], Some(&dump));
    let mut child = Command::new(cli)
        .args(["-p", &port, "--pipe"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&output.stdout).unwrap());
    let said = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("errors: 0, replies: "), "{said}");
    let found = differences_after_full_sync(&mut client, &mut target);
    assert!(found.is_empty(), "{}", shown(&found));
}

#[test]
fn restore_commands_keep_everything() {
    for (source, version, target) in [
        (Server::R8_2, "12", Server::R8_2),
        (Server::R8_2, "80", Server::V9_1),
        (Server::V8_1, "10", Server::R7_0),
    ] {
        let (running, dump) = filled(source, 500);
        let output = run(&["convert", "-", "--to", "restore", "--to-version", version], Some(&dump));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let loaded = target.start();
        let errors = pipe(&mut loaded.client(), &output.stdout);
        assert!(errors.is_empty(), "{errors:?}");
        let found = differences_after_full_sync(&mut running.client(), &mut loaded.client());
        assert!(found.is_empty(), "{source:?} as {version} in {target:?}:\n{}", shown(&found));
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (dir, (dump, _)) = (Dir::new("pipe"), small());
    let file = dir.file("a.rdb");
    fs::write(&file, &dump).unwrap();
    for args in [&["json", &file][..], &["stat", &file], &["top", &file], &["diff", &file, &file]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_replica"))
            .arg("rdb")
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn shells_get_their_completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_replica")).args(["completions", shell]).output().unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{shell}");
    }
}
