//! Malformed requests, strangers' requests, and what clients get who want no replies: beside each real server.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use support::{JUDGES, ours};
use testkit::{Client, Random};

/// The last word of a client.
const LAST: &[u8] = b"*2\r\n$4\r\nECHO\r\n$3\r\nend\r\n";
const LAST_ANSWER: &[u8] = b"$3\r\nend\r\n";

/// What a new connection gets for these bytes and a last word, until the server has read that nothing more will come.
fn answer(addr: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(addr, bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut all = Vec::new();
    // A server that hangs up with something unread resets the connection.
    let _ = stream.read_to_end(&mut all);
    all.escape_ascii().to_string()
}

/// The same of a client that stays until it has the answer to its last word.
fn answer_in_time(addr: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(addr, bytes);
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    while !all.ends_with(LAST_ANSWER) {
        let n = match stream.read(&mut piece) {
            // A machine that stood still for a while.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read.unwrap(),
        };
        assert_ne!(n, 0, "hung up on after {}", all.escape_ascii());
        all.extend_from_slice(&piece[..n]);
    }
    all.escape_ascii().to_string()
}

fn connect(addr: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // At once, so that a server sees all of it when it begins.
    stream.write_all(&[bytes, LAST].concat()).unwrap();
    stream
}

const MALFORMED: &[&[u8]] = &[
    b"*1\r\n$4\r\nPINGxx",
    b"*1\r\n$4\r\nPING\n\r",
    b"*1\r\n$4\r\nPING\rx",
    b"*2\r\n$4\r\nECHO\r\n$0\r\nl1\r\n*1\r\n$4\r\nPING\r\n",
    b"*1\rx$4\r\nPING\r\n",
    b"*1\r\n$4\rxPING\r\n",
    b"*1\r\n$4\nPING\r\n*1\r\n$4\r\nPING\r\n",
    b"*1\r\r\n$4\r\nPING\r\n",
    b"*1\r\n$4\r\r\nPING\r\n",
    b"*abc\r\n",
    b"*1\r\n$abc\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n:4\r\nPING\r\n",
    b"*-1\r\n+PING\r\n",
    b"*2147483648\r\n",
    b"*1\r\n$536870913\r\n",
    b"\0PING\r\n",
    b"PING\0x\r\nPING\r\n",
    b"*1\r\n$4\0\r\nPING\r\n",
    b"PING \"a\"b\r\n",
    b"PING \"a\r\n",
    b"ECHO 'a''b'\r\n",
    b"ECHO \"\\\"\r\n",
    b"ECHO a\xffb\r\n",
    b"ECHO \"\\xff\xff\"\r\n",
    b"\xff\xfe\r\n",
    b"*1\r\n$0\r\n\r\n",
    b"$4\r\nPING\r\n",
    b"NOSUCH a\r\n",
    b"GET\r\n",
    b"CLIENT\r\n",
    b"CLIENT NOSUCH\r\n",
    b"AUTH\r\n",
    b"EXEC\r\n",
    // A browser: nothing that waits to be sent is sent.
    b"PING\r\nPOST / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\nPING\r\n",
];

/// Requests with a few bytes changed, gone, or added.
fn spoilt(random: &mut Random) -> Vec<u8> {
    const GOOD: [&[u8]; 5] = [
        b"*1\r\n$4\r\nPING\r\n",
        b"*2\r\n$4\r\nECHO\r\n$2\r\nab\r\n",
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nval\r\n",
        b"PING\r\n",
        b"ECHO \"a b\"\r\n",
    ];
    const BYTES: &[u8] = b"\r\n$*0123456789-+ \"'\\x\0\xff";
    let mut bytes = Vec::new();
    for _ in 0..1 + random.below(4) {
        bytes.extend_from_slice(GOOD[random.below(GOOD.len())]);
    }
    for _ in 0..1 + random.below(3) {
        let (at, byte) = (random.below(bytes.len()), BYTES[random.below(BYTES.len())]);
        match random.below(3) {
            0 => bytes[at] = byte,
            1 => _ = bytes.remove(at),
            _ => bytes.insert(at, byte),
        }
    }
    bytes
}

/// Compares the answers of our server and each real one, of clients with and without a password to give.
async fn compare(inputs: Vec<Vec<u8>>, answer: fn(SocketAddr, &[u8]) -> String, with_strangers: bool) {
    for (judge, compat) in JUDGES {
        let (_engine, listener) = ours(compat).await;
        let (addr, inputs) = (listener.local_addr(), inputs.clone());
        tokio::task::spawn_blocking(move || {
            let real = judge.start();
            let theirs: SocketAddr = real.addr().parse().unwrap();
            let compare = |who: &str| {
                for input in &inputs {
                    let (mine, wanted) = (answer(addr, input), answer(theirs, input));
                    assert_eq!(mine, wanted, "{compat}, {who}: {} (ours, theirs)", input.escape_ascii());
                }
            };
            compare("anybody");
            if with_strangers {
                for client in [&mut real.client(), &mut Client::connect(addr).unwrap()] {
                    client.line("CONFIG SET requirepass secret").ok();
                }
                compare("a stranger");
            }
        })
        .await
        .unwrap();
        listener.shutdown().await;
    }
}

#[tokio::test]
async fn malformed_requests() {
    compare(MALFORMED.iter().map(|bytes| bytes.to_vec()).collect(), answer, true).await;
}

#[tokio::test]
async fn spoilt_requests() {
    let chosen =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as u64;
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(chosen);
    for seed in [1, seed] {
        println!("SEED={seed}");
        let mut random = Random::new(seed);
        compare((0..150).map(|_| spoilt(&mut random)).collect(), answer, true).await;
    }
}

/// Each is a list of requests of a client that wants no replies for a while.
const SILENT: &[&[&str]] = &[
    &["CLIENT REPLY OFF", "PING", "GET", "NOSUCH", "CLIENT REPLY ON", "PING"],
    &["CLIENT REPLY SKIP", "PING", "PING"],
    &["CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "PING", "PING"],
    // Also to what waits.
    &["CLIENT REPLY OFF", "BLPOP nosuch 0.01", "PING", "CLIENT REPLY ON", "PING"],
    &["CLIENT REPLY SKIP", "BLPOP nosuch 0.01", "PING"],
    &["CLIENT REPLY SKIP", "WAIT 1 1", "PING"],
    &["CLIENT REPLY OFF", "PING", "RESET", "PING"],
    &["CLIENT REPLY SKIP", "RESET", "PING"],
    &["CLIENT REPLY SKIP", "SUBSCRIBE a", "UNSUBSCRIBE a", "PING"],
    // A transaction says what belongs to the moments in which there are replies.
    &["MULTI", "PING", "CLIENT REPLY OFF", "PING", "CLIENT REPLY ON", "PING", "EXEC", "PING"],
    &["CLIENT REPLY OFF", "MULTI", "PING", "CLIENT REPLY ON", "PING", "EXEC", "CLIENT REPLY ON", "PING"],
    &["MULTI", "PING", "CLIENT REPLY SKIP", "PING", "EXEC", "PING", "PING"],
    &["CLIENT REPLY OFF", "EXEC", "MULTI", "NOSUCH", "EXEC", "CLIENT REPLY ON"],
    &["CLIENT REPLY OFF", "WATCH a", "SET a 1", "MULTI", "PING", "EXEC", "CLIENT REPLY ON"],
    &["MULTI", "CLIENT REPLY OFF", "PING", "EXEC", "CLIENT REPLY ON"],
];

#[tokio::test]
async fn clients_that_want_no_replies() {
    let lines =
        |script: &[&str]| script.iter().flat_map(|line| [line.as_bytes(), b"\r\n"].concat()).collect();
    compare(SILENT.iter().map(|script| lines(script)).collect(), answer_in_time, false).await;
}

#[tokio::test]
async fn clients_that_want_no_replies_get_no_errors_either() {
    let inputs: [&[u8]; 3] = [
        b"CLIENT REPLY OFF\r\n*1\r\n:1\r\n",
        b"CLIENT REPLY SKIP\r\n*1\r\n:1\r\n",
        b"CLIENT REPLY OFF\r\nQUIT\r\nPING\r\n",
    ];
    compare(inputs.map(<[u8]>::to_vec).to_vec(), answer, false).await;
}
