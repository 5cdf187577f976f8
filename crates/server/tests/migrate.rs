//! MIGRATE beside the real servers: the same steps towards targets of the same kind, the same replies, the same keys on
//! both sides afterwards.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::TcpListener;

use store::Compat;
use support::{JUDGES, ours, words};
use testkit::{Client, Server, eventually};

/// What is said to the source; `PORT` is its target's, `SILENT` that of one who never answers, `CLOSED` of nobody.
const STEPS: &[&str] = &[
    "MIGRATE HOST PORT k 0",
    "MIGRATE HOST PORT k 0 100 KEYS a",
    "MIGRATE HOST PORT k 0 100 WORD",
    "MIGRATE HOST PORT k 0 100 AUTH",
    "MIGRATE HOST PORT k 0 100 AUTH2 user",
    "MIGRATE HOST PORT k 0 x",
    "MIGRATE HOST PORT k x 100",
    "MIGRATE HOST PORT k 0 1000",
    "MIGRATE HOST PORT \"\" 0 1000",
    "MIGRATE HOST PORT \"\" 0 1000 KEYS",
    "SET k v EX 100000",
    // Nothing is selected on a new connection by -1, the number of none.
    "MIGRATE HOST PORT k -1 1000",
    "SET k v2",
    "MIGRATE HOST PORT k 99 1000",
    "MIGRATE HOST CLOSED k 0 1000",
    "MIGRATE HOST word k 0 1000",
    "MIGRATE HOST 99999 k 0 1000",
    "MIGRATE no.such.host.invalid PORT k 0 1000",
    "MIGRATE HOST SILENT k 0 50",
    "EXISTS k",
    "MIGRATE HOST PORT k 0 1000",
    "MIGRATE HOST PORT k 0 1000 COPY REPLACE",
    "EXISTS k",
    "MIGRATE HOST PORT k 0 1000 replace",
    "EXISTS k",
    "MSET a 1 b 2 c 3 k again",
    "RPUSH list x y z",
    "SADD set x y z",
    "ZADD zset 1 x 2.5 y",
    "HSET hash f v",
    "XADD stream 1-1 f v",
    "MIGRATE HOST PORT \"\" 0 1000 KEYS a none b k c list set zset hash stream",
    "DBSIZE",
    "GET k",
    "SET d 1",
    "MIGRATE HOST PORT d 0 1000 AUTH secret",
    "MIGRATE HOST PORT d 0 1000 AUTH2 nobody secret",
    "MIGRATE HOST PORT d 3 1000",
    "SET d 2",
    "MIGRATE HOST PORT d 3 1000",
    "MIGRATE HOST PORT d 4 1000",
    "SET d 3",
    "MULTI",
    "MIGRATE HOST PORT d 5 1000",
    "EXISTS d",
    "EXEC",
    "SET d 4",
    "EVAL \"return redis.call('MIGRATE', ARGV[1], ARGV[2], KEYS[1], '6', '1000')\" 1 d HOST PORT",
    "EXISTS d",
    "EVAL_RO \"return redis.call('MIGRATE', ARGV[1], ARGV[2], KEYS[1], '6', '1000')\" 1 d HOST PORT",
    "COMMAND GETKEYSANDFLAGS MIGRATE HOST 1 \"\" 0 1000 AUTH keys KEYS d e",
];

/// Runs the steps on one source; what it answered.
fn told(source: &mut Client, target: u16, silent: u16, closed: u16) -> Vec<String> {
    let mut told = Vec::new();
    for line in STEPS {
        let line = line
            .replace("HOST", "127.0.0.1")
            .replace("PORT", &target.to_string())
            .replace("SILENT", &silent.to_string())
            .replace("CLOSED", &closed.to_string());
        let reply = source.call_for_bytes(&words(&line)).unwrap();
        told.push(format!("{line}: {}", reply.escape_ascii()));
    }
    told
}

/// What the target has: keys with their values' forms, and whether they expire.
fn held(target: &mut Client) -> Vec<String> {
    let mut all = Vec::new();
    for db in ["0", "3", "4", "5", "6"] {
        target.call(&["SELECT", db]).ok();
        let mut keys = target.call(&["KEYS", "*"]).strings();
        keys.sort();
        for key in keys.iter().map(|key| String::from_utf8_lossy(key)) {
            let (value, ttl) = (target.call(&["DUMP", &*key]), target.call(&["TTL", &*key]).int() > 0);
            // The elements of a table have no order: the length tells.
            let value =
                if key == "set" { format!("{} bytes", value.bytes().len()) } else { format!("{value:?}") };
            all.push(format!("{db} {key} {value} {ttl}"));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_go_to_other_servers_as_from_the_real_ones() {
    for (judge, compat) in JUDGES {
        let (_engine, listener) = ours(compat).await;
        let addr = listener.local_addr();
        tokio::task::spawn_blocking(move || {
            let (real, targets) = (judge.start(), [judge.start(), judge.start()]);
            let silent = TcpListener::bind("127.0.0.1:0").unwrap();
            let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let silent = silent.local_addr().unwrap().port();
            // Both sides spell their own target's port.
            let mine = told(&mut Client::connect(addr).unwrap(), targets[0].port(), silent, closed);
            let theirs = told(&mut real.client(), targets[1].port(), silent, closed);
            let alike = |lines: Vec<String>, port: u16| lines.join("\n").replace(&port.to_string(), "PORT");
            assert_eq!(alike(mine, targets[0].port()), alike(theirs, targets[1].port()), "{compat:?}");
            let [mine, theirs] = targets.map(|target| held(&mut target.client()));
            assert!(mine.len() > 10, "{mine:?}");
            assert_eq!(mine, theirs, "{compat:?}");
        })
        .await
        .unwrap();
        listener.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_told_that_the_keys_have_gone() {
    let (_engine, listener) = ours(Compat::Redis70).await;
    let addr = listener.local_addr();
    tokio::task::spawn_blocking(move || {
        let (replica, target) = (Server::R7_0.start(), Server::R7_0.start());
        let mut source = Client::connect(addr).unwrap();
        source.call(&["MSET", "gone", "1", "stays", "2", "copied", "3"]).ok();
        let mut replica = replica.client();
        replica.call(&["REPLICAOF", "127.0.0.1", &addr.port().to_string()]).ok();
        eventually("the replica has the keys", || replica.call(&["DBSIZE"]).int() == 3);
        let port = target.port().to_string();
        let head = ["MIGRATE", "127.0.0.1", &port, "", "0", "1000"];
        source.call(&[&head[..], &["COPY", "KEYS", "copied"]].concat()).ok();
        source.call(&[&head[..], &["KEYS", "gone", "none"]].concat()).ok();
        eventually("the replica lets it go", || replica.call(&["EXISTS", "gone"]).int() == 0);
        assert_eq!(replica.call(&["DBSIZE"]).int(), 2);
        let mut target = target.client();
        assert_eq!(target.call(&["MGET", "gone", "copied"]).array().len(), 2);
        assert_eq!(target.call(&["DBSIZE"]).int(), 2);
        // A replica hands nothing away.
        let refused = replica.call_for_bytes(&[&head[..], &["KEYS", "stays"]].concat()).unwrap();
        assert!(refused.starts_with(b"-READONLY"), "{}", refused.escape_ascii());
    })
    .await
    .unwrap();
    listener.shutdown().await;
}
