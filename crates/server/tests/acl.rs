//! Users: what they may do, and what the server says about it, as the real servers have it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use server::{Engine, Listener, Options, Role};
use store::Compat;
use testkit::Client;

use support::words;

/// `a: command` says it on that connection, which is made when it is first named.
const RULES: &[&str] = &[
    "a: ACL WHOAMI",
    "a: ACL USERS",
    "a: ACL LIST",
    "a: ACL GETUSER default",
    "a: ACL GETUSER nosuch",
    "a: ACL CAT",
    "a: ACL CAT geo",
    "a: ACL CAT nosuch",
    "a: ACL CAT foo bar",
    "a: ACL SETUSER u",
    "a: ACL GETUSER u",
    "a: ACL SETUSER u on >p1 >p2 ~a* %R~r* %W~w* &c* +get +set -@dangerous +config|get -config|set +@string",
    "a: ACL GETUSER u",
    "a: ACL SETUSER u <p1",
    "a: ACL SETUSER u <nosuch",
    "a: ACL SETUSER u foo",
    "a: ACL SETUSER u +nosuch",
    "a: ACL SETUSER u +@nosuch",
    "a: ACL SETUSER u +config|nosuch",
    "a: ACL SETUSER u -config|nosuch",
    "a: ACL SETUSER u +get|x",
    "a: ACL SETUSER u #abc",
    "a: ACL SETUSER u !abc",
    "a: ACL SETUSER u %X~a",
    "a: ACL SETUSER u %~a",
    "a: ACL SETUSER u allkeys ~a",
    "a: ACL SETUSER u allchannels &x",
    "a: ACL SETUSER u resetkeys resetchannels",
    "a: ACL SETUSER u nopass",
    "a: ACL GETUSER u",
    "a: ACL SETUSER v \"(+get ~x)\" \"(+set %R~y)\"",
    "a: ACL GETUSER v",
    "a: ACL SETUSER v (+get ~x ~y)",
    "a: ACL SETUSER v (+get",
    "a: ACL SETUSER v +get)",
    "a: ACL SETUSER v (on)",
    "a: ACL SETUSER \"v v\" on",
    "a: ACL GETUSER v",
    "a: ACL SETUSER v clearselectors",
    "a: ACL SETUSER v reset",
    "a: ACL GETUSER v",
    "a: ACL SETUSER v allcommands -get",
    "a: ACL GETUSER v",
    "a: ACL SETUSER v +select|0",
    "a: ACL SETUSER v >",
    "a: ACL SETUSER v %RW~q %WR~z ~",
    "a: ACL GETUSER v",
    "a: ACL SETUSER v +@read|x",
    "a: ACL SETUSER",
    "a: ACL DELUSER nosuch v",
    "a: ACL DELUSER default",
    "a: ACL GENPASS 0",
    "a: ACL GENPASS 5000",
    "a: ACL GENPASS x",
    "a: ACL LOAD",
    "a: ACL SAVE",
    "a: ACL LOG x",
    "a: ACL LOG",
    "a: ACL HELP",
    "a: ACL NOSUCH",
    "a: ACL",
];

/// What is refused, where, and how it is kept in the log.
const RIGHTS: &[&str] = &[
    "a: ACL SETUSER w on nopass +get ~a",
    "a: ACL DRYRUN nosuch get a",
    "a: ACL DRYRUN w get a",
    "a: ACL DRYRUN w get b",
    "a: ACL DRYRUN w set a b",
    "a: ACL DRYRUN w nosuch",
    "a: ACL DRYRUN w get",
    "b: AUTH w x",
    "b: ACL WHOAMI",
    "b: GET a",
    "b: GET b",
    "b: SET a 1",
    "b: CONFIG GET x",
    "b: SUBSCRIBE c",
    "b: PING",
    "b: MULTI",
    "b: RESET",
    "b: ACL WHOAMI",
    "b: AUTH u bad",
    "b: AUTH nosuch x",
    "b: AUTH default x",
    "a: ACL LOG 4",
    "a: ACL LOG RESET",
    "a: ACL LOG",
    // Selectors.
    "a: ACL SETUSER s on nopass \"(~a +get)\" \"(%W~w* +set)\" \"(&ch* +publish +subscribe +psubscribe)\" +acl",
    "b: AUTH s x",
    "b: GET a",
    "b: GET w",
    "b: SET w 1",
    "b: SET a 1",
    "b: SET w1 1 GET",
    "b: PUBLISH chx 1",
    "b: PUBLISH no 1",
    "b: PSUBSCRIBE c*",
    "b: SUBSCRIBE no",
    "b: DEL a",
    "a: ACL SETUSER s +mget %R~r",
    "b: MGET r a",
    "b: MGET r",
    "a: ACL LOG 1",
    "a: ACL DRYRUN s mget r a",
    "a: ACL DRYRUN s publish no 1",
    "a: ACL GETUSER s",
    "a: ACL LIST",
    // Transactions and scripts.
    "a: ACL SETUSER t reset on nopass allkeys allchannels +@all",
    "b: AUTH t x",
    "b: EVAL \"return redis.call('get', 'a')\" 0",
    "b: MULTI",
    "b: GET a",
    "a: ACL SETUSER t -get",
    "b: EXEC",
    "a: ACL LOG 1",
    "b: EVAL \"return redis.call('get', 'a')\" 0",
    "b: EVAL \"return redis.acl_check_cmd('get', 'a')\" 0",
    "b: EVAL \"return redis.acl_check_cmd('set', 'a', 'b')\" 0",
    "b: EVAL \"return redis.pcall('nosuch')\" 0",
    "a: ACL LOG 1",
    "b: MULTI",
    "b: GET a",
    "b: EXEC",
    "a: ACL SETUSER t resetkeys ~x +get",
    "b: EVAL \"return redis.call('get', 'a')\" 0",
    "b: EVAL \"return redis.call('get', 'x')\" 0",
    "b: EVAL \"return redis.call('set', 'y', '1')\" 0",
    "a: ACL DELUSER t",
    // Without a password, nobody.
    "a: ACL SETUSER default off",
    "c: PING",
    "c: ACL WHOAMI",
    "c: HELLO 3",
    "c: AUTH default x",
    "c: AUTH x",
    "a: ACL SETUSER default on >p",
    "a: ACL LIST",
    "c: PING",
    "c: AUTH p",
    "c: PING",
    "d: PING",
    "d: AUTH default p",
    "a: CONFIG GET requirepass",
    "a: CONFIG SET requirepass other",
    "a: ACL LIST",
    "d: AUTH p",
    "d: AUTH other",
    "a: CONFIG SET requirepass \"\"",
    "a: ACL LIST",
    "e: PING",
    "e: AUTH any",
    "e: AUTH default any",
];

/// Where users may be kept to databases.
const DATABASES: &[&str] = &[
    "a: ACL SETUSER s resetdbs",
    "a: ACL SETUSER s db=0",
    "a: ACL SETUSER s db=1,2",
    "a: ACL SETUSER s alldbs",
    "a: ACL SETUSER s db=x",
    "a: ACL GETUSER s",
    "a: ACL SETUSER s on nopass +@all allkeys db=1",
    "a: ACL LIST",
    "b: AUTH s x",
    "b: GET a",
    "b: SELECT 0",
    "b: SELECT 1",
    "b: GET a",
    "b: COPY a b DB 0",
    "b: PING",
    "b: FLUSHALL",
    "b: SWAPDB 0 1",
    "b: MOVE a 0",
    "b: KEYS *",
    "b: DBSIZE",
    "b: FLUSHDB",
    "a: ACL LOG 1",
    "a: ACL DRYRUN s get a",
];

/// Files of users, good and bad.
const FILES: &[&str] = &[
    "user alice on >x ~* +@all\n",
    "user alice on\nuser alice off\n",
    "foo\n",
    "user\n",
    "user x +nosuch\nuser y foo\n",
    "user x (+get ~a\n",
    "user x on (+get ~a) >p\n\nuser default on nopass +@all ~* &*\n",
    "# comment\nuser z on\n",
    "user default off +@all\n",
];

/// What is told when each of the files is loaded, and what is saved.
fn tell_of_files(addr: SocketAddr, path: &std::path::Path) -> Vec<String> {
    let mut told = Vec::new();
    for file in FILES {
        std::fs::write(path, file).unwrap();
        told.extend(tell(addr, &["a: ACL LOAD", "a: ACL LIST"]));
        std::fs::write(path, "").unwrap();
        told.extend(tell(addr, &["a: ACL SAVE"]));
        told.push(std::fs::read_to_string(path).unwrap());
    }
    let name = path.file_name().unwrap().to_str().unwrap();
    told.iter().map(|line| line.replace(&path.display().to_string(), "FILE").replace(name, "FILE")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_users_are_read_and_written() {
    for (judge, compat) in support::JUDGES {
        let real = judge.builder().file("theirs.acl", b"").args(&["--aclfile", "theirs.acl"]).start();
        let [theirs, ours] = ["theirs.acl", "ours.acl"].map(|name| real.dir().join(name));
        std::fs::write(&ours, "user bob on nopass +get\n").unwrap();
        let mut options = Options::default();
        options.compat = Some(compat);
        options.acl_file = Some(ours.clone());
        let engine = Engine::new(Role::Primary, options);
        engine.load_users().unwrap();
        let listener = Listener::bind(Arc::clone(&engine), "127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr();
        let (theirs, ours) = tokio::task::spawn_blocking(move || {
            assert!(tell(addr, &["a: ACL LIST"])[0].contains("user bob on nopass"));
            (tell_of_files(real.addr().parse().unwrap(), &theirs), tell_of_files(addr, &ours))
        })
        .await
        .unwrap();
        assert_eq!(theirs, ours, "{compat}");
        listener.shutdown().await;
    }
}

/// Both servers' answers, without what differs by the hour.
fn tell(addr: SocketAddr, lines: &[&str]) -> Vec<String> {
    let mut clients: Vec<(char, Client)> = Vec::new();
    let mut told = Vec::new();
    for line in lines {
        let name = line.chars().next().unwrap();
        if !clients.iter().any(|(n, _)| *n == name) {
            clients.push((name, Client::connect(addr).unwrap()));
        }
        let client = &mut clients.iter_mut().find(|(n, _)| *n == name).unwrap().1;
        let answer = client.call_for_bytes(&words(&line[3..])).unwrap().escape_ascii().to_string();
        let mut answer = masked(&answer);
        if line.contains("ACL CAT ") {
            answer = sorted(&answer);
        }
        told.push(format!("{line}  =>  {answer}"));
    }
    told
}

/// Ids, ages, times and whole lines of CLIENT LIST say nothing about the server.
fn masked(answer: &str) -> String {
    let mut parts: Vec<String> = answer.split("\\r\\n").map(str::to_owned).collect();
    for at in 0..parts.len() {
        match parts[at].as_str() {
            "age-seconds" | "client-info" => {
                parts[at + 1].clear();
                parts[at + 2].clear();
            }
            "timestamp-created" | "timestamp-last-updated" | "id" => parts[at + 1].clear(),
            _ => {}
        }
    }
    parts.join(" ")
}

fn sorted(answer: &str) -> String {
    let mut parts: Vec<&str> = answer.split(' ').collect();
    parts.sort_unstable();
    parts.join(" ")
}

/// Redis 7.0 tells rules not as they were given, but makes them up from the commands that they come to.
fn is_made_up(compat: Compat, line: &str) -> bool {
    let tells_rules = ["ACL LIST", "ACL GETUSER u", "ACL GETUSER v", "ACL GETUSER s"];
    compat == Compat::Redis70 && tells_rules.iter().any(|tells| line.contains(tells))
}

async fn beside(which: &[Compat], lines: &'static [&'static str]) {
    for (judge, compat) in support::JUDGES.into_iter().filter(|(_, compat)| which.contains(compat)) {
        let (_engine, listener) = support::ours(compat).await;
        let addr = listener.local_addr();
        let (theirs, ours) = tokio::task::spawn_blocking(move || {
            let real = judge.start();
            (tell(real.addr().parse().unwrap(), lines), tell(addr, lines))
        })
        .await
        .unwrap();
        let differ: Vec<String> = theirs
            .iter()
            .zip(&ours)
            .filter(|(theirs, ours)| theirs != ours && !is_made_up(compat, theirs))
            .map(|(theirs, ours)| {
                format!("{theirs}\n      ours  =>  {}", ours.split_once("  =>  ").unwrap().1)
            })
            .collect();
        assert!(differ.is_empty(), "{compat}: {} differ\n{}", differ.len(), differ.join("\n"));
        listener.shutdown().await;
    }
}

const ALL: &[Compat] = &[Compat::Redis70, Compat::Redis82, Compat::Valkey81, Compat::Valkey91];

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_the_servers() {
    beside(ALL, RULES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_the_servers() {
    beside(ALL, RIGHTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_are_valkeys() {
    beside(&[Compat::Valkey91], DATABASES).await;
}
