//! `verify`, `bench` and `top` as scripts run them: what they print without a terminal, and how they end.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::{Command, Output, Stdio};

use support::Ours;
use testkit::{Cluster, Server, eventually, fill_every_type};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_replica")).args(args).output().unwrap()
}

#[track_caller]
fn text(args: &[&str], code: i32) -> String {
    let output = run(args);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}: {out}{err}");
    assert!(!out.contains('\x1b') && !err.contains('\x1b'), "colours or bars without a terminal: {out}{err}");
    out.into_owned() + &err
}

#[test]
fn verify_ends_with_0_1_or_2() {
    let primary = Server::R7_0.start();
    fill_every_type(&mut primary.client(), 5, 300);
    let ours = Ours::serve(&["--master", &primary.url()]);
    ours.until("/readyz", 200);
    let copy = format!("redis://{}", ours.addr);
    let told = text(&["verify", "--master", &primary.url(), "--replica", &copy], 0);
    assert!(told.ends_with(" compared: 0 differences\n"), "{told}");
    let other = Server::R7_0.start();
    other.client().call(&["SET", "only here", "1"]).ok();
    let told = text(&["verify", "--retries", "0", "--master", &primary.url(), "--replica", &other.url()], 1);
    assert!(told.contains("x missing in the copy") && told.contains("1 x only in the copy"), "{told}");
    let nobody = format!("127.0.0.1:{}", testkit::free_port());
    let told = text(&["verify", "--master", &primary.url(), "--replica", &nobody], 2);
    assert!(told.starts_with("replica: ") && told.contains(&nobody), "{told}");
}

#[test]
fn verify_compares_a_copy_without_some_commands_by_its_keys() {
    let primary = Server::R7_0.start();
    let ours = Ours::serve(&["--master", &primary.url(), "--filter-block-command", "incr"]);
    ours.until("/readyz", 200);
    let mut at_primary = primary.client();
    for command in [&["INCR", "counter"][..], &["SET", "name", "Ada"]] {
        at_primary.call(command).ok();
    }
    eventually("the second command", || ours.client().call(&["EXISTS", "name"]).int() == 1);
    let copy = format!("redis://{}", ours.addr);
    let both = ["verify", "--retries", "0", "--master", &primary.url(), "--replica", &copy];
    let told = text(&both, 1);
    assert!(told.contains("db 0, key counter: missing in the copy\n"), "{told}");
    assert!(
        told.contains("of what this filter keeps: block=incr\nthe copy applies only some commands"),
        "{told}"
    );
    assert!(told.ends_with(" compared: 1 differences\n"), "{told}");
    // No option narrows the comparison to commands.
    let told = text(&[&both[..], &["--filter-block-command", "incr"]].concat(), 2);
    assert!(told.contains("unexpected argument '--filter-block-command'"), "{told}");
}

#[test]
fn verify_sees_when_keys_and_fields_expire() {
    let primary = Server::V9_1.start();
    let mut at_primary = primary.client();
    at_primary.call(&["HSET", "h", "f", "1", "g", "2"]).ok();
    at_primary.call(&["HPEXPIREAT", "h", "9999999999999", "FIELDS", "1", "f"]).ok();
    at_primary.call(&["SET", "s", "1", "PXAT", "9999999999999"]).ok();
    let ours = Ours::serve(&["--master", &primary.url()]);
    ours.until("/readyz", 200);
    let copy = format!("redis://{}", ours.addr);
    text(&["verify", "--master", &primary.url(), "--replica", &copy], 0);
    // A server that was given the same but for the two deadlines.
    let other = Server::V9_1.start();
    other.client().call(&["HSET", "h", "f", "1", "g", "2"]).ok();
    other.client().call(&["SET", "s", "1", "PXAT", "9999999999998"]).ok();
    let told = text(&["verify", "--retries", "0", "--master", &primary.url(), "--replica", &other.url()], 1);
    assert!(told.contains("db 0, key h: another expiry of a field\n"), "{told}");
    assert!(told.contains("db 0, key s: another expiry\n") && told.contains(": 2 differences"), "{told}");
}

#[test]
fn verify_takes_a_primary_that_tells_no_moments() {
    let primary = Server::R6_2.start();
    fill_every_type(&mut primary.client(), 5, 300);
    primary.client().call(&["SET", "expires", "1", "EX", "100000"]).ok();
    let ours = Ours::serve(&["--master", &primary.url()]);
    ours.until("/readyz", 200);
    let copy = format!("redis://{}", ours.addr);
    text(&["verify", "--master", &primary.url(), "--replica", &copy], 0);
    let other = Server::R6_2.start();
    other.client().call(&["SET", "expires", "1", "EX", "50000"]).ok();
    let told = text(&["verify", "--retries", "0", "--master", &other.url(), "--replica", &copy], 1);
    assert!(told.contains("1 x another expiry\n"), "{told}");
}

#[test]
fn top_looks_once_where_there_is_no_terminal() {
    let primary = Server::V9_1.start();
    let mut at_primary = primary.client();
    at_primary.call(&["MSET", "a", "1", "b", "2"]).ok();
    let ours = Ours::serve(&["--master", &primary.url()]);
    ours.until("/readyz", 200);
    let mut client = ours.client();
    client.call(&["GET", "a"]).ok();
    drop(client);
    let told = text(&["top", &ours.addr, "--interval", "0.1"], 0);
    for words in ["as valkey 9.1.2", "link     up to 127.0.0.1:", "db0 2 (0 expire)", "\nget ", "stream "] {
        assert!(told.contains(words), "{words:?} is missing: {told}");
    }
    // A real server as well.
    let told = text(&["top", &primary.url(), "--interval", "0.1", "-n", "3"], 0);
    for words in ["valkey 9.1.2  up", "role     master", "replicas 1", "db0 2 (0 expire)"] {
        assert!(told.contains(words), "{words:?} is missing: {told}");
    }
    text(&["top", &format!("127.0.0.1:{}", testkit::free_port())], 2);
}

#[test]
fn bench_measures_the_three_ways_to_read() {
    let primary = Server::R8_2.start();
    let mut client = primary.client();
    for n in 0..500 {
        client.call(&["SET", &format!("key:{n}"), "value"]).ok();
    }
    let short = ["--seconds", "0.1", "--connections", "2"];
    for args in [&["bench", "--keys", "1000"][..], &["bench", "--master", &primary.url()]] {
        let told = text(&[args, &short].concat(), 0);
        for row in [
            "in process, 1 thread ",
            "copy, 2 connections ",
            "copy, 2 connections, 16 at a time",
            "primary, 2 conn",
        ] {
            let line =
                told.lines().find(|line| line.starts_with(row)).unwrap_or_else(|| panic!("no {row}: {told}"));
            let reads: f64 = line[44..].split_whitespace().next().unwrap().parse().unwrap();
            assert!(reads > 0.0, "{line}");
        }
    }
    let told = text(&[&["bench", "--master", &primary.url(), "--db", "3"][..], &short].concat(), 2);
    assert!(told.contains("database 3 has no strings"), "{told}");
}

#[test]
fn verify_compares_with_all_primaries_of_a_cluster() {
    let cluster = Cluster::start(Server::V9_1, 3, false);
    let mut client = cluster.client();
    for n in 0..300 {
        assert!(client.call(&["SET", &format!("k{n}"), &n.to_string()]).is_some());
    }
    let url = format!("redis-cluster://{}", cluster.nodes[1].addr());
    let ours = Ours::serve(&["--master", &url, "--replica-writes", "forward"]);
    let copy = format!("redis://{}", ours.addr);
    eventually("all keys", || {
        let reply = ours.client().call(&["DBSIZE"]);
        // It is loading at first.
        !reply.is_error() && reply.int() == 300
    });
    let told = text(&["verify", "--master", &url, "--replica", &copy], 0);
    assert!(told.contains("300 keys in 1 databases compared: 0 differences"), "{told}");
    cluster.move_slot(0, &cluster.nodes[0], &cluster.nodes[2]);
    let told = text(&["verify", "--master", &url, "--replica", &copy], 0);
    assert!(told.contains("0 differences"), "{told}");
    let other = Server::V9_1.start();
    other.client().call(&["SET", "k1", "other"]).ok();
    other.client().call(&["SET", "more", "1"]).ok();
    let told = text(&["verify", "--retries", "0", "--master", &url, "--replica", &other.url()], 1);
    assert!(told.contains("301 keys in 1 databases compared: 301 differences"), "{told}");
    // A copy of one shard is compared with that shard alone, by what it says of itself.
    let part = Ours::serve(&["--master", &url, "--filter-shard", &cluster.nodes[1].addr()]);
    part.until("/readyz", 200);
    let told = text(&["verify", "--master", &url, "--replica", &part.addr], 0);
    assert!(told.contains("of what this filter keeps: shard=127.0.0.1:"), "{told}");
    assert!(!told.contains("300 keys") && told.contains("in 1 databases compared: 0 differences"), "{told}");
    // Each shard is told of by itself.
    let (_, metrics) = ours.get("/metrics");
    let of_shards = |name: &str| metrics.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!(of_shards("replica_shard_up{shard="), 3, "{metrics}");
    let info = ours.client().call(&["INFO", "cluster"]).text();
    assert_eq!(info.matches("link=streaming").count(), 3, "{info}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let (left, right) = (Server::R7_0.start(), Server::R7_0.start());
    let (same, other) = (left.url(), right.url());
    left.client().call(&["SET", "k", "1"]).ok();
    let cases: [(&[&str], i32); 7] = [
        (&["commands"], 0),
        (&["completions", "bash"], 0),
        (&["demo", "--once", "--keys", "100", "--seconds", "1"], 0),
        (&["bench", "--keys", "100", "--seconds", "0.01"], 0),
        (&["top", &same, "--interval", "0.1"], 0),
        (&["verify", "--master", &same, "--replica", &same], 0),
        // What it found is still the exit code.
        (&["verify", "--retries", "0", "--master", &same, "--replica", &other], 1),
    ];
    for (args, code) in cases {
        let mut command = Command::new(env!("CARGO_BIN_EXE_replica"));
        let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), err.as_ref()), (Some(code), ""), "{args:?}");
    }
}

#[test]
fn top_says_that_a_primary_was_never_heard_of() {
    let nobody = format!("127.0.0.1:{}", testkit::free_port());
    let ours = Ours::serve(&["--master", &nobody]);
    let told = text(&["top", &ours.addr, "--interval", "0.1"], 0);
    let link = format!("link     down to {nobody}  offset 0  not applied 0 B  not heard\n");
    assert!(told.contains(&link), "{told}");
}
