//! Real servers as replicas of our primary.

use bytes::Bytes;
use replication::{
    BacklogLimits, Feed, FeedEvent, FeedOptions, FeedState, Offset, Position, Primary, ReplId,
};
use resp::{Limits, RequestDecoder};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use testkit::{Client, Reply, Running, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// Key k = old in database 2, under a checksum of zero.
const DUMP: &[u8] = b"REDIS0009\xfe\x02\x00\x01k\x03old\xff\0\0\0\0\0\0\0\0";

/// What every connection shares.
struct Shared {
    primary: Mutex<Primary>,
    /// Wakes the connections when the stream grows, and tests when a feed changes.
    changed: watch::Sender<Vec<(FeedState, Offset)>>,
    started: Instant,
}

impl Shared {
    async fn start() -> (Arc<Self>, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let position = Position { replid: ReplId::random(), offset: Offset(0) };
        let shared = Arc::new(Self {
            primary: Mutex::new(Primary::new(position, BacklogLimits::default())),
            changed: watch::channel(Vec::new()).0,
            started: Instant::now(),
        });
        let accepting = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&accepting).serve(socket));
            }
        });
        (shared, port)
    }

    fn lock(&self) -> MutexGuard<'_, Primary> {
        self.primary.lock().expect("nobody panics with it")
    }

    fn write(&self, db: u32, words: &str) {
        let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        self.lock().command(db, &args);
        self.changed.send_modify(|_| {});
    }

    async fn until_acked(&self, states: usize) {
        let wanted = self.lock().position().offset;
        let mut changes = self.changed.subscribe();
        let online = changes.wait_for(|all| {
            let good =
                |(state, acked): &&(FeedState, Offset)| *state == FeedState::Online && *acked >= wanted;
            all.iter().filter(good).count() >= states
        });
        let found = tokio::time::timeout(PATIENCE, online).await.is_ok();
        assert!(found, "no ACK of {wanted}: {:?}", self.changed.borrow());
    }

    async fn serve(self: Arc<Self>, mut socket: TcpStream) {
        let mut feed = Feed::new(self.started.elapsed(), FeedOptions::default());
        let place = {
            let mut place = 0;
            self.changed.send_modify(|all| {
                place = all.len();
                all.push((FeedState::Handshake, Offset(0)));
            });
            place
        };
        let mut requests = RequestDecoder::stream(Limits::requests());
        let mut changes = self.changed.subscribe();
        let mut buffer = Vec::with_capacity(4096);
        let end = async {
            loop {
                loop {
                    let next = feed.poll_transmit(&mut self.lock());
                    let Ok(Some(bytes)) = next else { break };
                    socket.write_all(&bytes).await?;
                }
                while let Some(event) = feed.poll_event() {
                    if event == FeedEvent::SnapshotWanted {
                        feed.begin_snapshot(&mut self.lock());
                        feed.announce(None).map_err(std::io::Error::other)?;
                        feed.snapshot_bytes(Bytes::from_static(DUMP));
                        feed.end_snapshot();
                        changes.mark_changed();
                    }
                }
                let state = (feed.state(), feed.acked().map_or(Offset(0), |(offset, _)| offset));
                self.changed.send_if_modified(|all| std::mem::replace(&mut all[place], state) != state);
                let alarm = feed.poll_timeout().unwrap_or(Duration::from_secs(3600));
                tokio::select! {
                    read = socket.read_buf(&mut buffer) => {
                        if read? == 0 {
                            return Ok::<(), std::io::Error>(());
                        }
                    }
                    _ = changes.changed() => {}
                    () = sleep_until(self.started + alarm) => {}
                }
                requests.feed(&buffer);
                buffer.clear();
                feed.handle_timeout(self.started.elapsed()).map_err(std::io::Error::other)?;
                while let Some(request) = requests.next_ref().map_err(std::io::Error::other)? {
                    let args: Vec<&[u8]> = request.iter().collect();
                    let (now, mut primary) = (self.started.elapsed(), self.lock());
                    match args.first() {
                        None => feed.handle_sign_of_life(now),
                        Some(name) if name.eq_ignore_ascii_case(b"PING") => {
                            drop(primary);
                            socket.write_all(b"+PONG\r\n").await?;
                        }
                        Some(_) => {
                            feed.handle_request(now, &args, &mut primary).map_err(std::io::Error::other)?
                        }
                    }
                }
            }
        };
        let _ = end.await;
        feed.detach(&mut self.lock());
        self.changed.send_modify(|all| all[place] = (FeedState::Handshake, Offset(0)));
    }
}

fn attach(replica: &Running, port: u16) -> Client {
    let mut client = replica.client();
    client.call(&["REPLICAOF", "127.0.0.1", &port.to_string()]).ok();
    client
}

fn get(client: &mut Client, db: u32, key: &str) -> Reply {
    client.call(&["SELECT", &db.to_string()]).ok();
    client.call(&["GET", key])
}

fn bulk(text: &str) -> Reply {
    Reply::Bulk(text.as_bytes().to_vec())
}

async fn replicates(server: Server) {
    let (shared, port) = Shared::start().await;
    shared.write(0, "SET in-the-dump-only no");
    let replica = server.start();
    let mut client = attach(&replica, port);
    shared.until_acked(1).await;
    assert_eq!(get(&mut client, 2, "k"), bulk("old"));
    shared.write(2, "SET k new");
    shared.write(7, "SET other 1");
    shared.lock().transaction(|writer| {
        writer.command(7, &[b"INCR", b"other"]);
        writer.command(0, &[b"SET", b"zero", b"0"]);
    });
    shared.lock().getack();
    shared.write(0, "APPEND zero 1");
    shared.until_acked(1).await;
    assert_eq!(get(&mut client, 2, "k"), bulk("new"));
    assert_eq!(get(&mut client, 7, "other"), bulk("2"));
    assert_eq!(get(&mut client, 0, "zero"), bulk("01"));

    // The connection breaks: the replica is continued, under a new id.
    assert_eq!(client.line("CLIENT KILL TYPE master").int(), 1);
    let promoted = ReplId::random();
    shared.lock().change_id(promoted);
    shared.write(0, "SET after 1");
    shared.until_acked(1).await;
    assert_eq!(get(&mut client, 0, "after"), bulk("1"));
    assert_eq!(get(&mut client, 2, "k"), bulk("new"), "a second dump would have brought the old one back");
    let info = client.call(&["INFO", "replication"]).text();
    assert!(info.contains(&format!("master_replid:{promoted}")), "{info}");
    let offset = shared.lock().position().offset;
    assert!(info.contains(&format!("slave_repl_offset:{offset}")), "{info}");
}

#[tokio::test]
async fn a_redis_seven_replicates_from_our_primary() {
    replicates(Server::R7_0).await;
}

#[tokio::test]
async fn a_redis_six_replicates_from_our_primary() {
    replicates(Server::R6_2).await;
}

#[tokio::test]
async fn a_valkey_nine_replicates_from_our_primary() {
    replicates(Server::V9_1).await;
}
