//! What clients may cost, beside the real servers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use server::{Endpoint, Listener, housekeeper};
use store::Compat;
use support::{JUDGES, ours};
use testkit::{Client, Server};

/// Calls `f` with the address of each real server and of one of ours, on a thread that may block; the answers must be
/// equal.
async fn same<T: PartialEq + std::fmt::Debug + Send + 'static>(
    judges: &[(Server, Compat)],
    f: impl Fn(SocketAddr, Compat) -> T + Clone + Send + 'static,
) {
    for &(judge, compat) in judges {
        let (engine, listener) = ours(compat).await;
        housekeeper::spawn(&engine).unwrap();
        let addr = listener.local_addr();
        let f = f.clone();
        tokio::task::spawn_blocking(move || {
            let real = judge.start();
            let (mine, theirs) = (f(addr, compat), f(real.addr().parse().unwrap(), compat));
            assert_eq!(mine, theirs, "{compat} (ours, theirs)");
        })
        .await
        .unwrap();
        listener.shutdown().await;
    }
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Everything up to the end of the connection; a connection that is cut off has ended, too.
fn until_end(stream: &mut TcpStream) -> String {
    let (mut all, mut piece) = (Vec::new(), [0; 1 << 16]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => all.extend_from_slice(&piece[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            // A machine that stood still for a while.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => panic!("the connection neither ends nor goes on: {error}"),
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// A counter of INFO; none if the server has no such field.
fn counter(client: &mut Client, name: &str) -> Option<u64> {
    let text = client.line("INFO stats").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned));
    line.map(|number| number.trim().parse().unwrap())
}

/// The same, for servers that count it.
fn told(client: &mut Client, name: &str, compat: Compat) -> Option<u64> {
    if compat == Compat::Redis70 { None } else { Some(counter(client, name).unwrap()) }
}

#[tokio::test]
async fn one_client_too_many_is_told_so() {
    same(&JUDGES, |addr, _| {
        let mut client = Client::connect(addr).unwrap();
        client.line("CONFIG SET maxclients 3").ok();
        let (_second, third) = (Client::connect(addr).unwrap(), Client::connect(addr).unwrap());
        let refused = until_end(&mut connect(addr));
        let rejected = counter(&mut client, "rejected_connections");
        // There is room again when somebody goes.
        drop(third);
        while counter(&mut client, "connected_clients").is_some_and(|n| n > 2) {}
        let text = loop {
            let mut stream = connect(addr);
            stream.write_all(b"PING\r\nQUIT\r\n").unwrap();
            let text = until_end(&mut stream);
            if text.starts_with('+') {
                break text;
            }
        };
        (refused, rejected, text, client.line("CONFIG GET maxclients").strings())
    })
    .await;
}

/// An address of this machine that is not its loopback, if it has a network.
fn another_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: this only finds out which of our addresses would be used.
    socket.connect("192.0.2.200:9").ok()?;
    socket.local_addr().ok().map(|addr| addr.ip()).filter(|ip| !ip.is_loopback())
}

/// Connects from this address.
fn connect_from(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn strangers_are_turned_away_while_nobody_needs_a_password() {
    for (judge, compat) in JUDGES {
        let (engine, first) = ours(compat).await;
        let listener =
            Listener::open(Arc::clone(&engine), &[Endpoint::Tcp("0.0.0.0:0".to_owned())]).await.unwrap();
        let port = listener.local_addr().port();
        tokio::task::spawn_blocking(move || {
            let real = judge.start_with(&["--protected-mode", "yes", "--bind", "0.0.0.0"]);
            let talk = |port: u16| {
                let home = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                let ask = |mut stream: TcpStream| {
                    // A server that has hung up may tell us so.
                    let _ = stream.shutdown(std::net::Shutdown::Write);
                    until_end(&mut stream)
                };
                let say = |mut stream: TcpStream, what: &str| {
                    let _ = stream.write_all(format!("{what}\r\nQUIT\r\n").as_bytes());
                    until_end(&mut stream)
                };
                let mut all = Vec::new();
                // All of 127.0.0.0/8 is this machine, but an old server takes one of them only for that.
                all.push(if compat == Compat::Redis70 {
                    ask(connect_from(Ipv4Addr::new(127, 0, 0, 2), home))
                } else {
                    say(connect_from(Ipv4Addr::new(127, 0, 0, 2), home), "PING")
                });
                let away = another_address().map(|ip| SocketAddr::from((ip, port)));
                all.extend(away.map(|away| ask(connect(away))));
                let mut client = Client::connect(home).unwrap();
                all.push(format!("{:?}", counter(&mut client, "rejected_connections")));
                for line in ["CONFIG SET protected-mode maybe", "CONFIG SET protected-mode no"] {
                    all.push(format!("{:?}", client.line(line)));
                }
                all.extend(away.map(|away| say(connect(away), "PING")));
                client.line("CONFIG SET protected-mode yes requirepass secret").ok();
                all.extend(away.map(|away| say(connect(away), "PING")));
                client.line("CONFIG SET requirepass \"\"");
                all
            };
            let (mine, theirs) = (talk(port), talk(real.port()));
            assert_eq!(mine, theirs, "{compat} (ours, theirs)");
        })
        .await
        .unwrap();
        listener.shutdown().await;
        first.shutdown().await;
    }
}

#[tokio::test]
async fn who_is_silent_goes_but_not_who_listens_or_waits() {
    same(&[(Server::R8_2, Compat::Redis82), (Server::V9_1, Compat::Valkey91)], |addr, _| {
        let mut keeper = Client::connect(addr).unwrap();
        let (mut listening, mut waiting) = (Client::connect(addr).unwrap(), Client::connect(addr).unwrap());
        listening.line("SUBSCRIBE c").ok();
        waiting.send(&["BLPOP", "l", "0"]);
        waiting.flush().unwrap();
        let mut silent = connect(addr);
        silent.write_all(b"PING\r\n").unwrap();
        keeper.line("CONFIG SET timeout 1").ok();
        let heard = until_end(&mut silent);
        keeper = Client::connect(addr).unwrap();
        keeper.line("CONFIG SET timeout 0").ok();
        let received = keeper.line("PUBLISH c m");
        keeper.line("RPUSH l x").ok();
        (heard, received, listening.receive().unwrap(), waiting.receive().unwrap())
    })
    .await;
}

#[tokio::test]
async fn too_much_output_ends_a_client() {
    same(&JUDGES, |addr, compat| {
        let mut client = Client::connect(addr).unwrap();
        client.line("CONFIG SET maxmemory-policy noeviction").ok();
        // Many small pieces: a large one is sent from where it lies, and not counted, by one of the servers.
        let elements = std::iter::repeat_n("an element", 20_000);
        client.call(&["RPUSH", "l"].into_iter().chain(elements).collect::<Vec<_>>()).ok();
        client.call(&["CONFIG", "SET", "client-output-buffer-limit", "normal 100000 0 0"]).ok();
        let mut greedy = connect(addr);
        greedy.write_all(b"LRANGE l 0 -1\r\n").unwrap();
        let heard = until_end(&mut greedy);
        let first = told(&mut client, "client_output_buffer_limit_disconnections", compat);
        // One who listens and does not read: at once beyond the hard limit.
        let limits = "normal 0 0 0 pubsub 2mb 0 0";
        client.call(&["CONFIG", "SET", "client-output-buffer-limit", limits]).ok();
        let mut deaf = connect(addr);
        deaf.write_all(b"SUBSCRIBE c\r\n").unwrap();
        while client.line("PUBSUB NUMSUB c").array()[1].int() == 0 {}
        let message = "m".repeat(1 << 13);
        let mut sent = 0_u64;
        while client.call(&["PUBLISH", "c", &message]).int() > 0 {
            sent += 1;
            assert!(sent < 100_000, "{compat}: nobody hangs up");
        }
        // And beyond the soft limit, for too long.
        client.call(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 100kb 1"]).ok();
        let mut slow = connect(addr);
        slow.write_all(b"SUBSCRIBE d\r\n").unwrap();
        while client.line("PUBSUB NUMSUB d").array()[1].int() == 0 {}
        // As much as the system takes, and more than the limit.
        for _ in 0..1500 {
            client.call(&["PUBLISH", "d", &message]).ok();
        }
        while client.line("PUBLISH d x").int() > 0 {
            std::thread::yield_now();
        }
        let limits = client.line("CONFIG GET client-output-buffer-limit").strings();
        (heard, first, told(&mut client, "client_output_buffer_limit_disconnections", compat), limits)
    })
    .await;
}

#[tokio::test]
async fn requests_that_are_too_large_end_without_a_word() {
    same(&JUDGES, |addr, compat| {
        let mut client = Client::connect(addr).unwrap();
        client.line("CONFIG SET client-query-buffer-limit 1mb").ok();
        let mut large = connect(addr);
        large.write_all(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3000000\r\n").unwrap();
        let piece = vec![b'x'; 1 << 16];
        // Until it hangs up on us.
        for _ in 0..46 {
            if large.write_all(&piece).is_err() {
                break;
            }
        }
        let heard = until_end(&mut large);
        let counted = told(&mut client, "client_query_buffer_limit_disconnections", compat);
        client.line("CONFIG SET client-query-buffer-limit 1gb proto-max-bulk-len 1mb").ok();
        let mut bulk = connect(addr);
        bulk.write_all(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048577\r\n").unwrap();
        (heard, counted, until_end(&mut bulk), client.line("EXISTS k"))
    })
    .await;
}

#[tokio::test]
async fn the_largest_client_goes_when_all_take_too_much() {
    same(&[(Server::R7_0, Compat::Redis70), (Server::V9_1, Compat::Valkey91)], |addr, _| {
        let mut client = Client::connect(addr).unwrap();
        let value = "v".repeat(1 << 20);
        let fill = |spared: bool| {
            let mut large = Client::connect(addr).unwrap();
            if spared {
                large.line("CLIENT NO-EVICT ON").ok();
            }
            large.line("MULTI").ok();
            for _ in 0..6 {
                large.call(&["SET", "k", &value]).ok();
            }
            large
        };
        let (mut spared, mut victim) = (fill(true), fill(false));
        client.line("CONFIG SET maxmemory-clients 9mb").ok();
        assert!(victim.at_end().unwrap());
        let evicted = counter(&mut client, "evicted_clients");
        (evicted, spared.line("EXEC").array().len(), client.line("CONFIG GET maxmemory-clients").strings())
    })
    .await;
}

/// The field of a client's line.
fn field(client: &mut Client, id: i64, name: &str) -> u64 {
    let text = client.line(&format!("CLIENT LIST ID {id}")).text();
    let word = text.split_ascii_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    word.unwrap_or_else(|| panic!("{text} has no {name}")).parse().unwrap()
}

#[tokio::test]
async fn one_who_never_reads_hurts_nobody() {
    let (engine, listener) = ours(Compat::Redis82).await;
    housekeeper::spawn(&engine).unwrap();
    let addr = listener.local_addr();
    tokio::task::spawn_blocking(move || {
        let mut client = Client::connect(addr).unwrap();
        client.call(&["SET", "big", &"v".repeat(1 << 20)]).ok();
        // It asks for 10 GB and reads nothing.
        let mut deaf = connect(addr);
        deaf.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        let id = {
            deaf.write_all(b"CLIENT ID\r\n").unwrap();
            let mut line = [0; 64];
            let n = deaf.read(&mut line).unwrap();
            std::str::from_utf8(&line[1..n]).unwrap().trim().parse::<i64>().unwrap()
        };
        let asks = b"GET big\r\n".repeat(10_000);
        let _ = deaf.write_all(&asks);
        while field(&mut client, id, "obl") == 0 {
            std::thread::yield_now();
        }
        // Others go on, and what waits for it stays small.
        for n in 0..2000 {
            client.call(&["SET", &format!("key:{n}"), "v"]).ok();
        }
        let waiting = field(&mut client, id, "tot-mem");
        assert!(waiting < 8 << 20, "{waiting} bytes for one who does not read");
        // It is not too late to end it, nor is it for the server.
        assert_eq!(client.line(&format!("CLIENT KILL ID {id}")).int(), 1);
        while client.line(&format!("CLIENT LIST ID {id}")).text().contains("id=") {
            std::thread::yield_now();
        }
        let mut again = connect(addr);
        again.write_all(b"GET big\r\n").unwrap();
        again
    })
    .await
    .unwrap();
    listener.shutdown().await;
}
