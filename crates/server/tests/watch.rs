//! WATCH beside the real servers: which changes make an EXEC fail, of a key in any state.

mod support;

use support::{JUDGES, ours, words};
use testkit::Client;

/// What there is before somebody watches `k`; commands after semicolons.
const BEFORE: &[&str] = &[
    "",
    "SET k v",
    "SET o v",
    "PFADD k a b",
    "PFADD k a; PFCOUNT k",
    "SELECT 1; SET k v; SELECT 0",
    "SET k v; SELECT 1; SET k v; SELECT 0",
    // Its time is over when it is watched.
    "SET k v PX 1; DEBUG SLEEP 0.05",
    "SELECT 1; SET k v PX 1; DEBUG SLEEP 0.05; SELECT 0",
    "SET k v EX 1000",
];

/// What happens then.
const THEN: &[&str] = &[
    "FLUSHDB",
    "FLUSHALL",
    "FLUSHALL ASYNC",
    "SELECT 1; FLUSHDB; SELECT 0",
    "SWAPDB 0 1",
    "SWAPDB 0 0",
    "SWAPDB 1 2",
    "SWAPDB 0 1; SWAPDB 0 1",
    "SWAPDB 0 1; GET k",
    "PFCOUNT k",
    "PFCOUNT k o",
    "PFADD k a",
    "GET k",
    "DEL k",
    "GET k; SET k w",
    "SET k w",
    "SET k w NX",
    "EXPIRE k 100",
    "PEXPIRE k 1; DEBUG SLEEP 0.05",
    "PERSIST k",
    "GETDEL k",
    "COPY o k",
    "RENAME o k",
    "SORT nosuch STORE k",
    "EVAL \"return redis.call('FLUSHDB')\" 0",
    "EVAL \"return redis.call('PFCOUNT', 'k')\" 1 k",
];

fn say(client: &mut Client, lines: &str) {
    for line in lines.split(';').map(str::trim).filter(|line| !line.is_empty()) {
        let _ = client.call(&words(line));
    }
}

#[tokio::test]
async fn what_makes_an_exec_fail_is_the_same() {
    for (judge, compat) in JUDGES {
        let (engine, listener) = ours(compat).await;
        // Its clock goes on.
        server::housekeeper::spawn(&engine).unwrap();
        let addr = listener.local_addr();
        let compare = move || {
            let real = judge.start();
            compare(compat, &mut real.client(), &mut Client::connect(addr).unwrap());
        };
        tokio::task::spawn_blocking(compare).await.unwrap();
        listener.shutdown().await;
    }
}

fn compare(compat: store::Compat, theirs: &mut Client, mine: &mut Client) {
    for client in [&mut *theirs, &mut *mine] {
        client.line("DEBUG SET-ACTIVE-EXPIRE 0").ok();
    }
    for before in BEFORE {
        for then in THEN {
            let [real, ours] = [&mut *theirs, &mut *mine].map(|client| {
                say(client, "UNWATCH; FLUSHALL");
                say(client, before);
                say(client, "WATCH k");
                say(client, then);
                say(client, "MULTI; PING");
                client.line("EXEC")
            });
            assert_eq!(ours, real, "{compat}: {before}, watched, {then} (ours, theirs)");
        }
    }
}
