//! The driver against a listener that plays the primary.

use replication::testing::Recorder;
use replication::{Driver, DriverConfig, Offset, Phase, Position, ReplId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Answers the handshake up to PSYNC, which it returns.
async fn greet(socket: &mut TcpStream) -> String {
    let mut asked = Vec::new();
    for (until, answer) in [("PING\r\n", "+PONG\r\n"), ("9.1.2\r\n", "+OK\r\n+OK\r\n+OK\r\n")] {
        read_until(socket, &mut asked, until).await;
        socket.write_all(answer.as_bytes()).await.expect("it listens");
        asked.clear();
    }
    read_until(socket, &mut asked, "\r\n1043\r\n").await;
    String::from_utf8(asked).expect("ASCII")
}

async fn read_until(socket: &mut TcpStream, read: &mut Vec<u8>, end: &str) {
    while !read.ends_with(end.as_bytes()) {
        let count = socket.read_buf(read).await.expect("it sends");
        assert_ne!(count, 0, "closed too early, after {:?}", read.escape_ascii().to_string());
    }
}

#[tokio::test]
async fn stopping_sends_a_last_ack_and_hands_the_target_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut config = DriverConfig::new("127.0.0.1", listener.local_addr().expect("bound").port());
    let replid = ReplId::random();
    config.resume = Some((Position { replid, offset: Offset(1042) }, 4));
    let handle = Driver::spawn(config, Recorder::default()).expect("a thread");

    let (mut socket, _) = listener.accept().await.expect("it connects");
    assert!(greet(&mut socket).await.contains(&replid.to_string()));
    let stream = "+CONTINUE\r\n*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n*1\r\n$4\r\nPI";
    socket.write_all(stream.as_bytes()).await.expect("it listens");
    let mut watch = handle.watch();
    let applied = watch.wait_for(|status| status.read_offset == Some(Offset(1072))).await;
    let status = applied.expect("the driver runs").clone();
    assert!(status.phase.is_streaming());
    assert_eq!(status.position, Some(Position { replid, offset: Offset(1062) }), "PI is not a command");
    assert_eq!(status.stream_db, Some(4));

    let recorder = handle.shutdown().await.expect("the target did not panic");
    assert_eq!(recorder.lines(), ["apply db=4 end=1062 DEL k"]);
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).await.expect("it closes");
    let text = String::from_utf8(rest).expect("ASCII");
    assert!(text.ends_with("ACK\r\n$4\r\n1062\r\n"), "{text:?}");
    assert!(matches!(watch.borrow().phase, Phase::Stopped));
}

#[tokio::test]
async fn dropping_the_handle_closes_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let config = DriverConfig::new("127.0.0.1", listener.local_addr().expect("bound").port());
    let handle = Driver::spawn(config, Recorder::default()).expect("a thread");
    let (mut socket, _) = listener.accept().await.expect("it connects");
    drop(handle);
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).await.expect("it closes");
    assert!(rest.is_empty() || rest == b"*1\r\n$4\r\nPING\r\n", "{rest:?}");
}

#[tokio::test]
async fn a_target_that_panics_ends_the_driver_and_is_told() {
    struct Bomb;
    impl replication::Target for Bomb {
        type Loader = replication::testing::RecordedDump;
        fn begin_full_sync(&mut self) -> Self::Loader {
            Self::Loader::default()
        }
        fn finish_full_sync(&mut self, _: Self::Loader, _: ReplId, _: Offset) {}
        fn apply(&mut self, _: replication::Batch<'_>) {
            panic!("this target always panics");
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut config = DriverConfig::new("127.0.0.1", listener.local_addr().expect("bound").port());
    config.resume = Some((Position { replid: ReplId::random(), offset: Offset(1042) }, 0));
    let handle = Driver::spawn(config, Bomb).expect("a thread");
    let (mut socket, _) = listener.accept().await.expect("it connects");
    greet(&mut socket).await;
    socket.write_all(b"+CONTINUE\r\n*1\r\n$7\r\nFLUSHDB\r\n").await.expect("it listens");
    let mut watch = handle.watch();
    while watch.changed().await.is_ok() {}
    assert!(handle.shutdown().await.is_none());
}
