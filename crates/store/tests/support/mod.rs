//! Two sides, one command: ours and a real server. What they answer and what they hold must be equal.
//!
//! ```text
//! Random --args--> Pair --> real server        --reply--> compare
//!                    |----> our keyspace       --reply-->
//!                              '-- effects --> our follower, as a replica would apply them
//! end: real contents == ours == the follower's
//! ```
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod random;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use rdb::Version;
use store::command::{self, Flags};
use store::{Aggregate, Args, Compat, Keyspace, Loader, Recorded, ShardSet, Viewer, Writer};
use testkit::{Client, Running, Server};

pub use random::{Random, for_seeds, for_these_seeds};

use self::wire::{Shaped, parse};

pub type Command = Vec<Vec<u8>>;

/// A command from words that contain no space.
pub fn words(line: &str) -> Command {
    line.split_ascii_whitespace().map(|word| word.as_bytes().to_vec()).collect()
}

pub fn shown(command: &Command) -> String {
    command.iter().map(|arg| format!("\"{}\"", arg.escape_ascii())).collect::<Vec<_>>().join(" ")
}

/// One of our keyspaces.
struct Side {
    keyspace: Arc<Keyspace>,
    writer: Writer,
    viewer: Viewer,
}

impl Side {
    fn new(viewer: Viewer, compat: Compat) -> Self {
        let (keyspace, writer) = Keyspace::new(16);
        keyspace.set_compat(compat);
        Self { keyspace, writer, viewer }
    }

    /// The reply, and what replicas get.
    fn run(&mut self, command: &[&[u8]], resp3: bool) -> (Recorded, Vec<store::Effect>) {
        let args = Args::new(command);
        let failed = |error: store::CommandError| (Recorded::Error(error.to_string()), Vec::new());
        let row = match self.viewer {
            Viewer::Client => command::find_for(self.keyspace.compat(), args),
            Viewer::Stream => command::find(args),
        };
        let Some(row) = row else { return failed(command::unknown(args)) };
        if let Err(error) = row.check_arity(args) {
            return failed(error);
        }
        let mut set = ShardSet::none();
        row.add_shards(&self.keyspace, 0, args, &mut set);
        let mut out = Shaped::new(resp3, self.keyspace.compat().differences().doubles);
        let mut txn = self.writer.begin(&set, self.viewer, 0);
        txn.collect_effects();
        let result = row.write(&mut txn, args, &mut out);
        let effects = txn.take_effects();
        drop(txn);
        match result {
            Ok(()) => (out.finish(), effects),
            Err(error) => {
                assert!(out.is_untouched(), "an error after a part of a reply");
                // What had expired may have gone before the refusal; nothing else may have.
                let gone = effects.iter().all(|effect| matches!(&*effect.args[0], b"DEL" | b"HDEL"));
                assert!(gone, "an error, and something for replicas: {effects:?}");
                (failed(error).0, effects)
            }
        }
    }
}

/// The personality that a real server is compared with.
pub fn compat_of(server: Server) -> Compat {
    match server {
        Server::R6_0 | Server::R6_2 | Server::R7_0 => Compat::Redis70,
        Server::R8_2 => Compat::Redis82,
        Server::V8_1 => Compat::Valkey81,
        Server::V9_1 => Compat::Valkey91,
    }
}

/// A real server and our keyspace, given the same commands.
pub struct Pair {
    real: Running,
    client: Client,
    ours: Side,
    follower: Side,
    settings: Vec<(String, i64)>,
    resp3: bool,
    /// What to print when they disagree.
    context: String,
    steps: usize,
}

impl Pair {
    pub fn start(server: Server) -> Self {
        let real = server.start();
        let client = real.client();
        Self {
            real,
            client,
            ours: Side::new(Viewer::Client, compat_of(server)),
            follower: Side::new(Viewer::Stream, compat_of(server)),
            settings: Vec::new(),
            resp3: false,
            context: String::new(),
            steps: 0,
        }
    }

    /// Starts anew, empty, with these settings on both sides (names that the server does not know are ours alone).
    pub fn reset(&mut self, context: &str, resp3: bool, settings: &[(&str, i64)]) {
        self.client = self.real.client();
        self.client.line(if resp3 { "HELLO 3" } else { "HELLO 2" }).ok();
        self.client.line("FLUSHALL").ok();
        self.ours = Side::new(Viewer::Client, self.ours.keyspace.compat());
        self.follower = Side::new(Viewer::Stream, self.ours.keyspace.compat());
        for (name, value) in settings {
            self.client.call(&["CONFIG", "SET", name, &value.to_string()]);
            for side in [&self.ours, &self.follower] {
                assert!(side.keyspace.limits().set(name, *value), "no setting {name}");
            }
        }
        (self.resp3, self.steps) = (resp3, 0);
        self.context = format!("{context}, resp3 {resp3}, {settings:?}");
        self.tick();
    }

    /// Sets our clocks by the real server's.
    pub fn tick(&mut self) -> i64 {
        let time = self.client.line("TIME").strings();
        let number = |text: &[u8]| String::from_utf8_lossy(text).parse::<i64>().unwrap();
        let now = number(&time[0]) * 1000 + number(&time[1]) / 1000;
        self.ours.keyspace.clock().set(now);
        self.follower.keyspace.clock().set(now);
        now
    }

    /// Runs a command on both sides without comparing.
    pub fn both(&mut self, command: &Command) -> (Recorded, Recorded) {
        (self.ours(command), self.real(command))
    }

    /// Runs a command on our side; its effects reach the follower.
    pub fn ours(&mut self, command: &Command) -> Recorded {
        self.steps += 1;
        let parts: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
        let (reply, effects) = self.ours.run(&parts, self.resp3);
        for effect in effects {
            let parts: Vec<&[u8]> = effect.args.iter().map(|arg| &**arg).collect();
            let (reply, _) = self.follower.run(&parts, self.resp3);
            let told = parts.iter().map(|p| p.escape_ascii().to_string()).collect::<Vec<_>>().join(" ");
            assert!(
                !matches!(reply, Recorded::Error(_)),
                "{}: {told} at the follower: {reply:?}",
                self.place(command)
            );
        }
        reply
    }

    /// Runs a command on the real server; one that would wait, in a transaction.
    pub fn real(&mut self, command: &Command) -> Recorded {
        let parts: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
        let waits = command::find(Args::new(&parts)).is_some_and(|row| row.flags.has(Flags::BLOCKING));
        if !waits {
            return self.ask(command);
        }
        self.ask(&words("MULTI"));
        match self.ask(command) {
            Recorded::Simple(_) => match self.ask(&words("EXEC")) {
                Recorded::Aggregate(_, mut replies) if replies.len() == 1 => replies.remove(0),
                other => panic!("EXEC answered {other:?}"),
            },
            refused => {
                self.ask(&words("DISCARD"));
                refused
            }
        }
    }

    fn ask(&mut self, command: &Command) -> Recorded {
        let bytes = self.client.call_for_bytes(command).unwrap();
        parse(&bytes)
    }

    /// Both must answer the same (in any order, where the order is nobody's promise).
    pub fn check(&mut self, command: &Command) -> Recorded {
        let (ours, theirs) = self.both(command);
        let (ours, theirs) = (sorted(command, ours), sorted(command, theirs));
        assert_eq!(ours, theirs, "{} (ours, theirs)", self.place(command));
        theirs
    }

    /// Both must answer with the same shape: for commands that choose by chance. Answers ours.
    pub fn check_shape(&mut self, command: &Command) -> Recorded {
        let (ours, theirs) = self.both(command);
        let same = match (&ours, &theirs) {
            (Recorded::Bulk(_), Recorded::Bulk(_)) => true,
            (Recorded::Aggregate(a, x), Recorded::Aggregate(b, y)) => a == b && x.len() == y.len(),
            (a, b) => a == b,
        };
        assert!(same, "{}: {ours:?}, {theirs:?}", self.place(command));
        ours
    }

    /// A whole walk by HSCAN, SSCAN or ZSCAN on each side must find the same.
    pub fn check_scan(&mut self, name: &str, key: &str, count: usize) {
        let walk = |run: &mut dyn FnMut(&Command) -> Recorded| {
            let (mut cursor, mut found) = (b"0".to_vec(), Vec::new());
            loop {
                let mut command = words(&format!("{name} {key}"));
                command.extend([cursor.clone(), b"COUNT".to_vec(), count.to_string().into_bytes()]);
                let Recorded::Aggregate(_, parts) = run(&command) else { return found };
                let [Recorded::Bulk(next), Recorded::Aggregate(_, items)] = &parts[..] else { return found };
                found.extend(items.iter().map(|item| format!("{item:?}")));
                if next == b"0" {
                    break;
                }
                cursor.clone_from(next);
            }
            found.sort();
            found
        };
        let (ours, theirs) = (walk(&mut |c| self.ours(c)), walk(&mut |c| self.real(c)));
        assert_eq!(ours, theirs, "{}: {name} {key} (ours, theirs)", self.context);
    }

    /// A reading command must answer the same on our side and at the follower.
    pub fn check_at_follower(&mut self, command: &Command) {
        let ours = self.ours(command);
        let parts: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
        assert_eq!(
            self.follower.run(&parts, self.resp3).0,
            ours,
            "{} (the follower, ours)",
            self.place(command)
        );
    }

    /// A dump of ours, loaded by a real server and by a keyspace of ours, must give the contents back.
    pub fn check_saved(&mut self, server: Server, version: Version) {
        let mut dump = Vec::new();
        store::save::save(&self.ours.keyspace, version, &[], |piece| dump.extend(piece)).unwrap();
        let ours = contents(&mut |c| self.ours(c));
        let mut client = server.builder().dump(&dump).start();
        let context = &self.context;
        let mut other = client.client();
        if self.resp3 {
            other.line("HELLO 3").ok();
        }
        let theirs = contents(&mut |c| parse(&other.call_for_bytes(c).unwrap()));
        assert_eq!(theirs, ours, "{context} (a real server loaded, ours)");
        client.kill();
        let mut again = Side::new(Viewer::Client, self.ours.keyspace.compat());
        again.keyspace.clock().set(self.ours.keyspace.clock().now());
        let mut loader = Loader::new(&again.keyspace);
        let progress = rdb::Decoder::default().feed(&dump, &mut loader).unwrap();
        assert_eq!(progress, rdb::Progress::Done { consumed: dump.len() });
        again.keyspace.swap_contents(loader.finish(), || ());
        let loaded = contents(&mut |c| {
            let parts: Vec<&[u8]> = c.iter().map(Vec::as_slice).collect();
            again.run(&parts, self.resp3).0
        });
        assert_eq!(loaded, ours, "{context} (loaded, ours)");
    }

    /// At the end all three must hold the same.
    pub fn check_contents(&mut self) {
        let resp3 = self.resp3;
        let theirs = contents(&mut |c| self.real(c));
        let ours = contents(&mut |c| self.ours(c));
        assert_eq!(ours, theirs, "{} (ours, theirs)", self.context);
        let follower = &mut self.follower;
        let follower = contents(&mut |c| {
            let parts: Vec<&[u8]> = c.iter().map(Vec::as_slice).collect();
            follower.run(&parts, resp3).0
        });
        assert_eq!(follower, ours, "{} (the follower, ours)", self.context);
    }

    fn place(&self, command: &Command) -> String {
        format!("{}, step {}: {}", self.context, self.steps, shown(command))
    }
}

/// Every key with its type, expiry and elements.
fn contents(run: &mut dyn FnMut(&Command) -> Recorded) -> BTreeMap<Vec<u8>, (String, Recorded, Recorded)> {
    let Recorded::Aggregate(_, keys) = run(&words("KEYS *")) else { panic!("KEYS answers keys") };
    let mut found = BTreeMap::new();
    for key in keys {
        let Recorded::Bulk(key) = key else { panic!("a key is a string") };
        let mut of = |line: &str, rest: &str| {
            let mut command = words(line);
            command.push(key.clone());
            command.extend(words(rest));
            let reply = run(&command);
            sorted(&command, reply)
        };
        let Recorded::Simple(kind) = of("TYPE", "") else { panic!("TYPE answers a status") };
        let elements = match kind.as_str() {
            "string" => of("GET", ""),
            "list" => of("LRANGE", "0 -1"),
            "set" => of("SMEMBERS", ""),
            "zset" => of("ZRANGE", "0 -1 WITHSCORES"),
            "hash" => of("HGETALL", ""),
            "stream" => of("XRANGE", "- +"),
            _ => Recorded::Integer(0),
        };
        let expire = of("PEXPIRETIME", "");
        found.insert(key, (kind, expire, elements));
    }
    found
}

/// A reply with what has no order put in order.
fn sorted(command: &Command, reply: Recorded) -> Recorded {
    let name = command[0].to_ascii_uppercase();
    let pairs = name == b"HGETALL";
    let unordered: [&[u8]; 9] =
        [b"HKEYS", b"HVALS", b"SMEMBERS", b"SINTER", b"SUNION", b"SDIFF", b"KEYS", b"HGETALL", b"SPOP"];
    match reply {
        Recorded::Aggregate(kind, items) if unordered.contains(&name.as_slice()) => {
            let mut groups: Vec<Vec<Recorded>> =
                items.chunks(if pairs { 2 } else { 1 }).map(<[Recorded]>::to_vec).collect();
            groups.sort_by_cached_key(|group| format!("{group:?}"));
            Recorded::Aggregate(kind, groups.concat())
        }
        other => other,
    }
}

/// The byte strings of an aggregate (or of a single string).
pub fn strings(reply: &Recorded) -> Vec<Vec<u8>> {
    match reply {
        Recorded::Bulk(text) => vec![text.clone()],
        Recorded::Aggregate(Aggregate::Array | Aggregate::Set | Aggregate::Map, items) => {
            items.iter().flat_map(strings).collect()
        }
        _ => Vec::new(),
    }
}
