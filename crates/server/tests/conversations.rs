//! Several connections, interleaved: the same steps at a real server and at ours, the same bytes on every connection.
//!
//! After each step every connection is read until the server has nothing more to say: a marker of its own, sent
//! through a channel that it listens to where it can, or by an ECHO where it may speak. A connection that waits in a
//! blocking command is marked as waiting by the real server's CLIENT LIST, not by a clock.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use server::{Engine, Listener, Options, Role, housekeeper};
use store::Compat;
use testkit::Server;

/// `NAME: command` says it on that connection; `NAME< ` expects that something arrives there; `NAME~ command` says
/// something that leaves the connection waiting.
type Script = &'static [&'static str];

const SCRIPTS: &[Script] = &[
    // Channels and patterns.
    &[
        "a: SUBSCRIBE one two",
        "b: PUBLISH one hello",
        "a<",
        "b: PUBLISH three nobody",
        "a: UNSUBSCRIBE one",
        "b: PUBLISH one gone",
        "a: PSUBSCRIBE t*",
        "b: PUBLISH two both",
        "a<",
        "a<",
        "b: PUBSUB NUMSUB one two",
        "b: PUBSUB NUMPAT",
        "b: PUBSUB CHANNELS",
        "b: PUBSUB CHANNELS x*",
        "b: PUBSUB CHANNELS a b",
        "b: PUBSUB NOSUCH",
        "a: GET x",
        "a: PING",
        "a: PING hi",
        "a: UNSUBSCRIBE two",
        "a: PUNSUBSCRIBE",
        "a: GET x",
        "a: UNSUBSCRIBE",
        "a: PING",
    ],
    // What is beside a stream's entries is no change of its value; a new stream is.
    &[
        "b: XADD x 1-1 f v",
        "a: WATCH x",
        "b: XGROUP CREATE x g 0",
        "b: XGROUP SETID x g 0",
        "b: XSETID x 5-5",
        "b: XGROUP CREATECONSUMER x g c",
        "b: XGROUP DELCONSUMER x g c",
        "b: XGROUP DESTROY x g",
        "a: MULTI",
        "a: PING",
        "a: EXEC",
        "a: WATCH y",
        "b: XGROUP CREATE y g 0 MKSTREAM",
        "a: MULTI",
        "a: PING",
        "a: EXEC",
    ],
    // Prefixes of tracking: those of before, and each once.
    &[
        "a: CLIENT TRACKING ON BCAST PREFIX b",
        "a: CLIENT TRACKING ON BCAST PREFIX b",
        "a: CLIENT TRACKING ON BCAST PREFIX a PREFIX c",
        "a: CLIENT TRACKINGINFO",
        "a: CLIENT TRACKING ON BCAST",
        "a: CLIENT TRACKING ON BCAST",
        "a: CLIENT TRACKINGINFO",
        "a: CLIENT TRACKING OFF",
    ],
    // Shard channels.
    &[
        "a: SSUBSCRIBE s1",
        "b: SPUBLISH s1 x",
        "a<",
        "b: PUBLISH s1 x",
        "b: PUBSUB SHARDCHANNELS",
        "b: PUBSUB SHARDNUMSUB s1 s2",
        "a: SUNSUBSCRIBE s1 s2",
        "a: PING",
        "b: SPUBLISH s1 x",
    ],
    // RESP3: pushes, also among one's own replies.
    &[
        "a: HELLO 3 SETNAME x",
        "a: SUBSCRIBE c",
        "a: PUBLISH c self",
        "a: GET k",
        "b: PUBLISH c other",
        "a<",
        "a: MULTI",
        "a: PUBLISH c q1",
        "a: PUBLISH c q2",
        "a: EXEC",
        "a: RESET",
        "b: PUBSUB CHANNELS",
        "a: PING",
    ],
    &["a: MULTI", "a: SUBSCRIBE m", "a: PING", "a: EXEC", "b: PUBLISH m x", "a<", "a: QUIT"],
    // Keyspace notifications of several classes.
    &[
        "b: CONFIG SET notify-keyspace-events KEA",
        "b: CONFIG GET notify-keyspace-events",
        "a: PSUBSCRIBE __key*__:*",
        "b: SET k v",
        "a<",
        "a<",
        "b: LPUSH l a b",
        "a<",
        "a<",
        "b: LPOP l 2",
        "a<",
        "a<",
        "a<",
        "a<",
        "b: HSET h f v",
        "a<",
        "a<",
        "b: SADD s m",
        "a<",
        "a<",
        "b: ZADD z 1 m",
        "a<",
        "a<",
        "b: XADD x 1-1 f v",
        "a<",
        "a<",
        "b: EXPIRE k 100",
        "a<",
        "a<",
        "b: DEL k",
        "a<",
        "a<",
        "b: RENAME h h2",
        "a<",
        "a<",
        "a<",
        "a<",
        "b: MULTI",
        "b: SET m 1",
        "b: PUBLISH __key__:x between",
        "b: INCR m",
        "b: EXEC",
        "a<",
        "a<",
        "a<",
        "a<",
        "a<",
        "b: CONFIG SET notify-keyspace-events Kl",
        "b: SET k v",
        "b: RPUSH l x",
        "a<",
        "b: CONFIG SET notify-keyspace-events K?",
        "b: CONFIG SET notify-keyspace-events \"\"",
        "b: RPUSH l y",
        "a: PUNSUBSCRIBE",
    ],
    // Blocking pops: order, rejection, several keys, several waiters.
    &[
        "a~ BLPOP l 0",
        "b: RPUSH l 1 2 3",
        "a<",
        "b: LRANGE l 0 -1",
        "a: BLPOP l 0",
        "a: BRPOP nosuch l 0",
        "a~ BLPOP p q 0",
        "c~ BLPOP q 0",
        "b: RPUSH q 1 2 3",
        "a<",
        "c<",
        "b: LRANGE q 0 -1",
        "b: DEL q",
        "a~ BRPOP q 0",
        "b: SET q string",
        "b: DEL q",
        "b: MULTI",
        "b: RPUSH q x",
        "b: RPUSH q y",
        "b: EXEC",
        "a<",
        "b: LRANGE q 0 -1",
    ],
    &[
        "a~ BLMOVE src dst LEFT RIGHT 0",
        "c~ BLPOP dst 0",
        "b: RPUSH src e",
        "a<",
        "c<",
        "b: EXISTS src dst",
        "a~ BRPOPLPUSH src dst 0",
        "b: LPUSH src f",
        "a<",
        "b: LRANGE dst 0 -1",
        "a~ BLMPOP 0 2 k1 k2 RIGHT COUNT 2",
        "b: RPUSH k2 a b c",
        "a<",
        "b: LRANGE k2 0 -1",
        "a~ BZPOPMIN z 0",
        "b: ZADD z 2 b 1 a",
        "a<",
        "a~ BZPOPMAX y 0",
        "b: ZADD y 2 b 1 a",
        "a<",
        "a~ BZMPOP 0 1 w MIN COUNT 5",
        "b: ZADD w 3 c",
        "a<",
        "b: EXISTS z y w",
    ],
    &[
        "a: BLPOP l -1",
        "a: BLPOP l x",
        "a: BLPOP l",
        "b: SET str v",
        "a: BLPOP str 0",
        "a: BLPOP l 0.01",
        "a: BLMOVE s d LEFT RIGHT 0.01",
        "a: BRPOPLPUSH s d 0.01",
        "a: BZPOPMIN z 0.01",
        "a: BLMPOP 0.01 1 z LEFT",
        "a: HELLO 3",
        "a: BLPOP l 0.01",
        "a: BLMOVE s d LEFT RIGHT 0.01",
        "a: XREAD BLOCK 10 STREAMS x $",
        "a: MULTI",
        "a: BLPOP l 0",
        "a: EXEC",
    ],
    // The rest of a pipeline waits its turn.
    &["a~ BLPOP l 0", "a~ PING", "b: RPUSH l x", "a<", "a<", "a: PING"],
    // Streams.
    &[
        "a~ XREAD BLOCK 0 STREAMS x $",
        "b: XADD x 1-1 f v",
        "a<",
        "a~ XREAD BLOCK 0 COUNT 1 STREAMS x y 1-1 0",
        "b: XADD x 1-2 f v",
        "a<",
        "b: XGROUP CREATE x g $",
        "a~ XREADGROUP GROUP g c BLOCK 0 STREAMS x >",
        "c~ XREADGROUP GROUP g d BLOCK 0 STREAMS x >",
        "b: XADD x 1-3 f v",
        "a<",
        "b: XADD x 1-4 f v",
        "c<",
        "a~ XREADGROUP GROUP g c BLOCK 0 STREAMS x >",
        "b: XGROUP DESTROY x g",
        "a<",
        "b: XGROUP CREATE x g $",
        "a~ XREADGROUP GROUP g c BLOCK 0 STREAMS x >",
        "b: DEL x",
        "a<",
        "b: XGROUP CREATE x g $ MKSTREAM",
        "a~ XREADGROUP GROUP g c BLOCK 0 STREAMS x >",
        "b: SET x v",
        "a<",
    ],
    // Other ways in which a key comes to be.
    &[
        "b: RPUSH l a",
        "a~ BLPOP m 0",
        "b: RENAME l m",
        "a<",
        "b: RPUSH l a",
        "a~ BLPOP m 0",
        "b: COPY l m",
        "a<",
        "a~ BLPOP s 0",
        "b: SORT l ALPHA STORE s",
        "a<",
        "a~ BZPOPMIN z 0",
        "b: ZADD y 1 m",
        "b: ZUNIONSTORE z 1 y",
        "a<",
        "a~ BLPOP n 0",
        "b: EVAL \"redis.call('RPUSH','n','x') return redis.call('LLEN','n')\" 0",
        "a<",
        "b: EXISTS n",
        "b: SELECT 1",
        "b: RPUSH t x",
        "b: SELECT 0",
        "a~ BLPOP t 0",
        "b: SWAPDB 0 1",
        "a<",
    ],
    &[
        "a~ BLPOP u 0",
        "b: CLIENT UNBLOCK 999",
        "b: CLIENT UNBLOCK x",
        "b: CLIENT UNBLOCK 1 NOSUCH",
        "b: RPUSH u x",
        "a<",
    ],
    // CLIENT TRACKING: what was read is told once when it changes.
    &[
        "a: CLIENT TRACKINGINFO",
        "a: CLIENT GETREDIR",
        "a: CLIENT TRACKING",
        "a: CLIENT TRACKING FOO",
        "a: HELLO 3",
        "a: CLIENT TRACKING ON",
        "a: CLIENT TRACKINGINFO",
        "a: CLIENT GETREDIR",
        "a: GET t",
        "b: SET t 1",
        "a<",
        "b: SET t 2",
        "a: GET t",
        "a: SET t 5",
        "a: MGET t t2",
        "b: DEL t2",
        "b: DEL t",
        "a<",
        "a: GET q",
        "b: EVAL \"return redis.call('set', 'q', 9)\" 0",
        "a<",
        "a: EVAL \"return redis.call('get', 'q')\" 1 q",
        "b: SET q 10",
        "a<",
        "a: HGETALL h",
        "a: LRANGE l 0 -1",
        "b: MULTI",
        "b: HSET h f v",
        "b: RPUSH l x",
        "b: EXEC",
        "a<",
        "a<",
        "a: GET q",
        "b: FLUSHALL",
        "a<",
        "a: CLIENT TRACKING ON OPTIN",
        "a: CLIENT TRACKING ON BCAST",
        "a: CLIENT TRACKING OFF",
        "a: CLIENT TRACKINGINFO",
        "b: SET q 1",
    ],
    // Broadcasts.
    &[
        "a: HELLO 3",
        "a: CLIENT TRACKING ON BCAST PREFIX u: PREFIX v:",
        "a: CLIENT TRACKING ON BCAST PREFIX u:x",
        "a: CLIENT TRACKING ON BCAST PREFIX w",
        "a: CLIENT TRACKINGINFO",
        "a: CLIENT TRACKING ON",
        "b: MSET u:2 x u:3 z x:1 y",
        "a<",
        "a: SET u:1 x",
        "b: FLUSHDB",
        "a<",
        "a: CLIENT TRACKING OFF",
        "a: CLIENT TRACKING ON BCAST PREFIX a PREFIX ab",
        "a: CLIENT TRACKING ON BCAST OPTIN",
        "a: CLIENT TRACKING ON PREFIX x",
        "a: CLIENT TRACKING ON BCAST NOLOOP",
        "a: SET mine 1",
        "b: SET others 1",
        "a<",
        "a: RESET",
        "a: CLIENT TRACKINGINFO",
        "b: SET others 2",
    ],
    // Only what one asks for, or all but that.
    &[
        "a: HELLO 3",
        "a: CLIENT CACHING YES",
        "a: CLIENT TRACKING ON OPTIN OPTOUT",
        "a: CLIENT TRACKING ON OPTIN",
        "a: CLIENT TRACKING ON OPTOUT",
        "a: CLIENT CACHING NO",
        "a: CLIENT CACHING X",
        "a: CLIENT CACHING YES",
        "a: CLIENT TRACKINGINFO",
        "a: GET k1",
        "a: CLIENT TRACKINGINFO",
        "a: GET k2",
        "b: SET k2 1",
        "b: SET k1 1",
        "a<",
        "a: CLIENT CACHING YES",
        "a: MULTI",
        "a: GET k1",
        "a: GET k2",
        "a: EXEC",
        "b: SET k1 2",
        "a<",
        "b: SET k2 2",
        "a<",
        "a: CLIENT TRACKING OFF",
        "a: CLIENT TRACKING ON OPTOUT NOLOOP",
        "a: CLIENT CACHING NO",
        "a: GET k1",
        "a: GET k2",
        "a: SET k2 x",
        "a: GET k2",
        "b: SET k1 3",
        "b: SET k2 3",
        "a<",
    ],
    // Others are told: of RESP2 by a channel, of RESP3 by a push.
    &[
        "a: CLIENT TRACKING ON REDIRECT 9999",
        "a: CLIENT TRACKING ON REDIRECT x",
        "b: SUBSCRIBE __redis__:invalidate",
        "a: CLIENT TRACKING ON REDIRECT {b}",
        "a: CLIENT GETREDIR",
        "a: CLIENT TRACKINGINFO",
        "a: GET z",
        "a: SET z 1",
        "b<",
        "a: GET z",
        "a: FLUSHALL",
        "b<",
        "c: HELLO 3",
        "a: CLIENT TRACKING ON REDIRECT {c}",
        "a: GET z",
        "a: SET z 1",
        "c<",
    ],
];

/// A server's side of a conversation.
struct Side {
    addr: SocketAddr,
    connections: Vec<(char, Connection)>,
    ids: Vec<(char, String)>,
}

struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    fn new(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { stream, unread: Vec::new() }
    }

    /// One whole reply or push.
    fn read(&mut self) -> Vec<u8> {
        loop {
            if let Some(length) = length_of_value(&self.unread) {
                return self.unread.drain(..length).collect();
            }
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece) {
                Ok(0) => return b"<end>".to_vec(),
                Ok(n) => self.unread.extend_from_slice(&piece[..n]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return format!("<nothing: {error}>, {:?}", self.unread).into_bytes(),
            }
        }
    }

    /// Everything up to the answer to an ECHO that only we would ask for.
    fn read_all(&mut self, command: &[u8]) -> Vec<u8> {
        self.stream.write_all(command).unwrap();
        let mut all = self.read();
        while !self.unread.is_empty() {
            all.extend(self.read());
        }
        all
    }
}

/// The length of the value at the start of `bytes`, once it is there.
fn length_of_value(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(2).position(|w| w == b"\r\n")? + 2;
    let number = || std::str::from_utf8(&bytes[1..end - 2]).unwrap().parse::<i64>().unwrap();
    let items =
        |count: i64| (0..count.max(0)).try_fold(end, |at, _| Some(at + length_of_value(&bytes[at..])?));
    match bytes[0] {
        b'$' | b'=' => {
            let whole = number().try_into().map_or(end, |length: usize| end + length + 2);
            (bytes.len() >= whole).then_some(whole)
        }
        b'*' | b'>' | b'~' => items(number()),
        b'%' => items(2 * number()),
        _ => Some(end),
    }
}

fn encoded(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let words = support::words(line);
    let mut encoder = resp::Encoder::new(&mut bytes, resp::Protocol::Resp2);
    encoder.array(words.len());
    words.iter().for_each(|word| encoder.bulk(word));
    bytes
}

impl Side {
    fn new(addr: SocketAddr) -> Self {
        Self { addr, connections: Vec::new(), ids: Vec::new() }
    }

    fn connection(&mut self, name: char) -> &mut Connection {
        let at = self.connections.iter().position(|(n, _)| *n == name).unwrap_or_else(|| {
            self.connections.push((name, Connection::new(self.addr)));
            self.connections.len() - 1
        });
        &mut self.connections[at].1
    }

    /// Waits until so many clients are blocked.
    fn wait_for_blocked(&self, wanted: usize) {
        let mut observer = Connection::new(self.addr);
        loop {
            let list = observer.read_all(&encoded("CLIENT LIST"));
            let list = String::from_utf8_lossy(&list).into_owned();
            if list.matches("flags=b").count() >= wanted {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// `{b}` is the id of connection b.
    fn with_ids(&mut self, text: &str) -> String {
        let Some((before, after)) = text.split_once('{') else { return text.to_owned() };
        let (name, after) = after.split_once('}').unwrap();
        let name = name.chars().next().unwrap();
        let id = match self.ids.iter().find(|(n, _)| *n == name) {
            Some((_, id)) => id.clone(),
            None => {
                let mut observer = Connection::new(self.addr);
                let local = self.connection(name).stream.local_addr().unwrap();
                let list = observer.read_all(&encoded("CLIENT LIST"));
                let list = String::from_utf8_lossy(&list).into_owned();
                let line = list.lines().find(|line| line.contains(&format!(" addr={local} "))).unwrap();
                let id = line.split_once("id=").unwrap().1.split(' ').next().unwrap().to_owned();
                self.ids.push((name, id.clone()));
                id
            }
        };
        format!("{before}{id}{after}")
    }

    fn without_ids(&self, text: String) -> String {
        self.ids.iter().fold(text, |text, (name, id)| {
            text.replace(&format!(":{id}\\r\\n"), &format!(":{{{name}}}\\r\\n"))
        })
    }

    fn run(&mut self, script: Script) -> Vec<String> {
        let mut told = Vec::new();
        let mut waiting: Vec<char> = Vec::new();
        for step in script {
            let (name, rest) = (step.chars().next().unwrap(), &*self.with_ids(&step[2..]));
            let answer = match step.as_bytes()[1] {
                b':' => {
                    let command = encoded(rest.trim());
                    self.connection(name).read_all(&command)
                }
                b'<' => {
                    waiting.retain(|n| *n != name);
                    self.connection(name).read()
                }
                _ => {
                    let command = encoded(rest.trim());
                    self.connection(name).stream.write_all(&command).unwrap();
                    if !waiting.contains(&name) {
                        waiting.push(name);
                    }
                    self.wait_for_blocked(waiting.len());
                    Vec::new()
                }
            };
            told.push(format!("{step}  =>  {}", self.without_ids(answer.escape_ascii().to_string())));
        }
        told
    }
}

fn compare(server: Server, compat: Compat) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for script in SCRIPTS {
        let real = server.start();
        let theirs = Side::new(real.addr().parse().unwrap()).run(script);
        assert!(!theirs.iter().any(|told| told.contains("<nothing")), "{theirs:#?}");
        let mut options = Options::default();
        options.compat = Some(compat);
        let engine = Engine::new(Role::Primary, options);
        housekeeper::spawn(&engine).unwrap();
        let listener = runtime.block_on(Listener::bind(Arc::clone(&engine), "127.0.0.1:0")).unwrap();
        let ours = Side::new(listener.local_addr()).run(script);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            // The id of a connection is nobody's business.
            if !ours.contains("HELLO") {
                assert_eq!(ours, theirs, "{script:#?} (ours, {server:?})");
            }
        }
        runtime.block_on(listener.shutdown());
    }
}

#[test]
fn as_redis_7_0() {
    compare(Server::R7_0, Compat::Redis70);
}

#[test]
fn as_redis_8_2() {
    compare(Server::R8_2, Compat::Redis82);
}

#[test]
fn as_valkey_9_1() {
    compare(Server::V9_1, Compat::Valkey91);
}
