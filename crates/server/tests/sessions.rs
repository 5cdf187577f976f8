//! The same bytes to a real server and to ours: the same bytes back.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use server::{Engine, Listener, Options, Role, housekeeper};
use store::Compat;
use testkit::Server;

/// A writable server of ours.
async fn ours(password: Option<&str>) -> (Arc<Engine>, Listener) {
    let mut options = Options::default();
    options.password = password.map(str::to_owned);
    options.compat = Some(Compat::Redis70);
    let engine = Engine::new(Role::Primary, options);
    housekeeper::spawn(&engine).unwrap();
    let listener = Listener::bind(Arc::clone(&engine), "127.0.0.1:0").await.unwrap();
    (engine, listener)
}

/// Sends bytes on a new connection and reads until the answer to a last, unmistakable PING has come or the
/// server has hung up.
fn answer(addr: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    const MARK: &[u8] = b"$13\r\nend-of-script\r\n";
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(bytes).unwrap();
    // The server may have hung up already; then this fails, and reading tells the rest.
    let _ = stream.write_all(b"*2\r\n$4\r\nECHO\r\n$13\r\nend-of-script\r\n");
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            // A machine that stood still for a while.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return all,
            Ok(n) => all.extend_from_slice(&piece[..n]),
        }
        if all.ends_with(MARK) {
            all.truncate(all.len() - MARK.len());
            return all;
        }
    }
}

fn inline(lines: &[&str]) -> Vec<u8> {
    lines.iter().flat_map(|line| format!("{line}\r\n").into_bytes()).collect()
}

/// Scripts of inline commands; each runs on a connection of its own, on data that the ones before left.
const SCRIPTS: &[&[&str]] = &[
    &["PING", "PING hello", "PING a b", "ECHO x", "ECHO"],
    &[
        "NOSUCH",
        "NOSUCH a b c",
        "nosuch 'quoted arg' \"\\x00\"",
        "GET",
        "GET a b",
        "OBJECT",
        "OBJECT NOSUCH x",
        "OBJECT HELP",
    ],
    &["SELECT 3", "SET k v", "SELECT 0", "GET k", "SELECT 16", "SELECT -1", "SELECT x", "SELECT 3", "GET k"],
    &["MULTI", "SET a 1", "INCR a", "GET a", "EXEC", "EXEC", "DISCARD"],
    &["MULTI", "SET a 1", "NOSUCH", "EXEC", "GET a"],
    &["MULTI", "SET a x", "INCR a", "GET a", "EXEC"],
    &["MULTI", "MULTI", "EXEC", "WATCH a", "MULTI", "WATCH b", "DISCARD", "UNWATCH"],
    &["WATCH w", "SET w 1", "MULTI", "GET w", "EXEC"],
    &["WATCH w2", "MULTI", "SET w2 2", "EXEC", "GET w2"],
    &[
        "SET t v EX 100",
        "TTL t",
        "PERSIST t",
        "TTL t",
        "TYPE t",
        "TYPE nosuch",
        "DBSIZE",
        "EXISTS t t nosuch",
    ],
    &[
        "EVAL \"return 1\" 0",
        "EVAL \"return {1,2,{3,'x'}}\" 0",
        "EVAL \"return redis.call('SET',KEYS[1],ARGV[1])\" 1 ek ev",
        "GET ek",
    ],
    &[
        "EVAL \"return redis.call('GET','ek')\" 0",
        "EVAL \"return redis.call('INCR','ek')\" 0",
        "EVAL \"return redis.pcall('INCR','ek')\" 0",
    ],
    &[
        "EVAL \"return 1\" x",
        "EVAL \"return 1\" -1",
        "EVAL \"return 1\" 2 a",
        "EVAL \"return (\" 0",
        "EVALSHA ffffffffffffffffffffffffffffffffffffffff 0",
    ],
    &[
        "EVAL_RO \"return redis.call('SET','x','y')\" 0",
        "EVAL \"return redis.call('NOSUCH')\" 0",
        "EVAL \"return redis.call('GET')\" 0",
        "EVAL \"return redis.call('MULTI')\" 0",
    ],
    &[
        "SCRIPT LOAD \"return 7\"",
        "EVALSHA d1d2e7bc95d8ce50b5bd6e0ee3a2c8d0b8a0a9c9 0",
        "SCRIPT EXISTS abc",
        "SCRIPT FLUSH",
        "SCRIPT NOSUCH",
    ],
    &["MULTI", "EVAL \"redis.call('SET','m','1') return redis.call('GET','m')\" 0", "GET m", "EXEC"],
    &[
        "CLIENT GETNAME",
        "CLIENT SETNAME me",
        "CLIENT GETNAME",
        "CLIENT SETNAME \"a b\"",
        "CLIENT NOSUCH",
        "CLIENT KILL nowhere:1",
    ],
    &[
        "CONFIG GET hash-max-listpack-entries",
        "CONFIG SET hash-max-listpack-entries 77",
        "CONFIG GET hash-max-ziplist-entries",
        "CONFIG SET hash-max-listpack-entries 512",
        "CONFIG SET nosuch 1",
        "CONFIG GET nosuch",
        "CONFIG SET a",
    ],
    &[
        "COMMAND GETKEYS SET k v",
        "COMMAND GETKEYS MSET a 1 b 2",
        "COMMAND GETKEYS PING",
        "COMMAND GETKEYS NOSUCH x",
        "COMMAND GETKEYS GET a b",
        "COMMAND GETKEYS PING x",
    ],
    &["HELLO 4", "HELLO x", "HELLO 2 SETNAME", "HELLO 3 NOSUCH"],
    &["AUTH x", "AUTH default x", "AUTH nobody x", "AUTH a b c"],
    &["RESET", "QUIT", "PING"],
    &[
        "FLUSHALL NOW",
        "FLUSHALL SYNC",
        "FLUSHDB ASYNC",
        "DBSIZE",
        "SWAPDB 0 99",
        "SWAPDB x 1",
        "SWAPDB 0 1",
        "RANDOMKEY",
    ],
    &["SCAN x", "SCAN 0 COUNT 0", "SCAN 0 COUNT x", "SCAN 0 NOSUCH 1", "SCAN 0 MATCH", "KEYS"],
];

#[tokio::test(flavor = "multi_thread")]
async fn scripted_sessions_are_answered_byte_for_byte() {
    let real = Server::R7_0.start();
    let real_addr: SocketAddr = real.addr().parse().unwrap();
    let (_engine, listener) = ours(None).await;
    let ours_addr = listener.local_addr();
    tokio::task::spawn_blocking(move || {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string().replace("\\r\\n", "\n");
        let mut differing = String::new();
        for script in SCRIPTS {
            let bytes = inline(script);
            let (theirs, mine) = (text(&answer(real_addr, &bytes)), text(&answer(ours_addr, &bytes)));
            if theirs != mine {
                differing += &format!("{script:?}\n--- real\n{theirs}--- ours\n{mine}\n");
            }
        }
        assert!(differing.is_empty(), "{differing}");
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_requests_get_the_real_error_and_only_their_connection_ends() {
    let real = Server::R7_0.start();
    let real_addr: SocketAddr = real.addr().parse().unwrap();
    let (_engine, listener) = ours(None).await;
    let ours_addr = listener.local_addr();
    tokio::task::spawn_blocking(move || {
        for bytes in [
            &b"*1\r\n:4\r\nPING\r\n"[..],
            b"*x\r\n",
            b"*1\r\n$x\r\n",
            b"*1\r\n$-2\r\nPING\r\n",
            b"*1\r\n$999999999999\r\n",
            b"*99999999999\r\n",
            b"SET \"unbalanced\r\n",
            b"POST / HTTP/1.1\r\n",
            b"host: example\r\nPING\r\n",
            b"\r\n\r\nPING\r\n",
            b"*0\r\nPING\r\n",
            b"*-1\r\nPING\r\n",
            b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
        ] {
            let (theirs, mine) = (answer(real_addr, bytes), answer(ours_addr, bytes));
            assert_eq!(
                mine.escape_ascii().to_string(),
                theirs.escape_ascii().to_string(),
                "{}",
                bytes.escape_ascii()
            );
        }
        assert_eq!(answer(ours_addr, b"PING\r\n"), b"+PONG\r\n");
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn before_auth_everything_but_greetings_is_refused() {
    let real = Server::R7_0.start_with(&["--requirepass", "secret"]);
    let real_addr: SocketAddr = real.addr().parse().unwrap();
    let (_engine, listener) = ours(Some("secret")).await;
    let ours_addr = listener.local_addr();
    tokio::task::spawn_blocking(move || {
        for script in [
            &["PING", "GET a", "NOSUCH", "GET", "AUTH wrong", "AUTH secret", "GET a"][..],
            &["HELLO 3", "AUTH default secret", "PING"],
            &["AUTH nobody secret", "AUTH default wrong", "MULTI", "AUTH secret"],
        ] {
            let bytes = inline(script);
            let (theirs, mine) = (answer(real_addr, &bytes), answer(ours_addr, &bytes));
            assert_eq!(mine.escape_ascii().to_string(), theirs.escape_ascii().to_string(), "{script:?}");
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_answers_loading_before_its_first_sync_and_readonly_to_writes() {
    let role = Role::Replica { host: "127.0.0.1".to_owned(), port: 1 };
    let engine = Engine::new(role, Options::default());
    let listener = Listener::bind(Arc::clone(&engine), "127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr();
    let got =
        tokio::task::spawn_blocking(move || answer(addr, &inline(&["GET a", "PING", "SET a 1", "SELECT 1"])))
            .await
            .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&got),
        "-LOADING Redis is loading the dataset in memory\r\n-LOADING Redis is loading the dataset in memory\r\n\
         -READONLY You can't write against a read only replica.\r\n+OK\r\n"
    );
    listener.shutdown().await;
}
