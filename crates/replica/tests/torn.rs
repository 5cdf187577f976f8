//! A hunt for torn views: readers in this process and through sockets, while one client writes groups of keys and
//! moves tokens from place to place, and the whole data set is replaced again and again. What belongs together must
//! be seen together, a token in exactly one place, and nothing goes back in time.
//!
//! `REPLICA_TORN=120` hunts for so many seconds in each test, `SEED=n` takes another course.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use replica::{Db, Replica, Standalone};
use server::{DebugCommand, Engine, Options, Role};
use testkit::{Client, Random, Reply, Server};

mod support;
use support::{assert_equal, builder, caught_up, client_of, start};

/// Keys of a group, which always hold the same number.
const GROUP: usize = 12;
/// Places of a token.
const PLACES: usize = 5;
/// So many writes between two replacements of the whole.
const CALM: u64 = 200;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}:{n}")).collect()
}

fn line(word: &str, keys: &[String]) -> String {
    format!("{word} {}", keys.join(" "))
}

/// What all who take part share.
struct Hunt {
    seed: u64,
    end: Instant,
    over: AtomicBool,
    writes: AtomicU64,
    views: AtomicU64,
    upheavals: AtomicU64,
}

/// Ends the hunt for all when one fails.
struct Alarm<'h>(&'h Hunt);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.over.store(true, Ordering::Relaxed);
        }
    }
}

impl Hunt {
    fn new() -> Self {
        let seed = variable("SEED").unwrap_or(5);
        let end = Instant::now() + Duration::from_secs(variable("REPLICA_TORN").unwrap_or(2));
        let [writes, views, upheavals] = [0; 3].map(AtomicU64::new);
        Self { seed, end, over: AtomicBool::new(false), writes, views, upheavals }
    }

    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed) && Instant::now() < self.end
    }

    fn report(&self, what: &str) {
        let [writes, views, upheavals] =
            [&self.writes, &self.views, &self.upheavals].map(|count| count.load(Ordering::Relaxed));
        println!(
            "{what}: seed {}, {writes} writes, {views} views, {upheavals} times all replaced",
            self.seed
        );
        assert!(writes > 0 && views > 0 && upheavals > 0, "nothing was hunted");
    }
}

/// The only one who writes.
struct Author {
    client: Client,
    random: Random,
    number: u64,
    /// Where the tokens are.
    at: [usize; 4],
    /// The database of the one that is moved between databases.
    db: usize,
}

impl Author {
    fn new(client: Client, seed: u64) -> Self {
        Self { client, random: Random::new(seed), number: 1, at: [0; 4], db: 1 }
    }

    fn all(&mut self, lines: &[String]) -> Vec<Reply> {
        let lines: Vec<Vec<&str>> = lines.iter().map(|line| line.split(' ').collect()).collect();
        let replies = self.client.pipeline(&lines);
        for (reply, line) in replies.iter().zip(&lines) {
            assert!(!reply.is_error(), "{line:?}: {reply:?}");
        }
        replies
    }

    fn transaction(&mut self, lines: Vec<String>) {
        let lines: Vec<String> =
            std::iter::once("MULTI".to_owned()).chain(lines).chain(["EXEC".to_owned()]).collect();
        self.all(&lines);
    }

    /// What readers rely on from the first moment.
    fn begin(&mut self) {
        self.all(&[
            "FLUSHALL".to_owned(),
            line("MSET", &["m", "e", "s"].map(|group| names(group, GROUP).join(" 1 ") + " 1")),
            "MSET t:0 token c:0 token count 1".to_owned(),
            "SADD places:0 token".to_owned(),
            "RPUSH queue:0 token".to_owned(),
            "HSET h a 1 b 1 c 1".to_owned(),
            "RPUSH l 1 1 1".to_owned(),
            "SELECT 1".to_owned(),
            "SET moved token".to_owned(),
            line("MSET", &[names("w", PLACES).join(" 1 ") + " 1"]),
            "SELECT 2".to_owned(),
            line("MSET", &[names("w", PLACES).join(" 2 ") + " 2"]),
            "SELECT 0".to_owned(),
        ]);
    }

    /// The next place of a token.
    fn step(&mut self, token: usize) -> (usize, usize) {
        let from = self.at[token];
        let to = (from + 1 + self.random.below(PLACES - 1)) % PLACES;
        self.at[token] = to;
        (from, to)
    }

    fn write(&mut self) {
        self.number += 1;
        // Short ones lie in the table, long ones beside it.
        let n =
            if self.random.one_in(3) { format!("{:0>120}", self.number) } else { self.number.to_string() };
        match self.random.below(13) {
            0..2 => drop(self.all(&[line("MSET", &names("m", GROUP).map_each(|key| format!("{key} {n}")))])),
            2 => self.transaction(names("e", GROUP).map_each(|key| format!("SET {key} {n}"))),
            3 => {
                let script = "for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1]) end";
                let (keys, count) = (names("s", GROUP), GROUP.to_string());
                let mut call = vec!["EVAL", script, &count];
                call.extend(keys.iter().map(String::as_str));
                call.push(&n);
                self.client.call(&call).ok();
            }
            4 => {
                // Keys that nobody was told of.
                let script = "for i = 0, ARGV[2] - 1 do redis.call('SET', 's:' .. i, ARGV[1]) end";
                self.client.call(&["EVAL", script, "0", &n, &GROUP.to_string()]).ok();
            }
            5 => {
                let (from, to) = self.step(0);
                self.all(&[format!("RENAME t:{from} t:{to}")]);
            }
            6 => {
                let (from, to) = self.step(1);
                self.transaction(vec![format!("COPY c:{from} c:{to}"), format!("DEL c:{from}")]);
            }
            7 => {
                let (from, to) = self.step(2);
                self.all(&[format!("SMOVE places:{from} places:{to} token")]);
            }
            8 => {
                let (from, to) = self.step(3);
                self.all(&[format!("LMOVE queue:{from} queue:{to} LEFT RIGHT")]);
            }
            9 => {
                self.all(&["SWAPDB 1 2".to_owned()]);
                self.db = 3 - self.db;
            }
            10 => {
                let (from, to) = (self.db, 3 - self.db);
                self.all(&[format!("SELECT {from}"), format!("MOVE moved {to}"), "SELECT 0".to_owned()]);
                self.db = to;
            }
            11 => drop(self.all(&["INCR count".to_owned(), format!("HSET h a {n} b {n} c {n}")])),
            _ => self.transaction(vec!["DEL l".to_owned(), format!("RPUSH l {n} {n} {n}")]),
        }
    }

    fn run(&mut self, hunt: &Hunt, upheaval: &mpsc::SyncSender<()>) {
        while hunt.goes_on() {
            self.write();
            if hunt.writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(CALM) {
                // If the last one still goes on, that is enough.
                let _ = upheaval.try_send(());
            }
        }
    }
}

trait MapEach {
    fn map_each(self, f: impl Fn(String) -> String) -> Vec<String>;
}

impl MapEach for Vec<String> {
    fn map_each(self, f: impl Fn(String) -> String) -> Vec<String> {
        self.into_iter().map(f).collect()
    }
}

/// What one reader has seen so far.
struct Seen {
    who: String,
    last: HashMap<&'static str, u64>,
}

impl Seen {
    fn new(hunt: &Hunt, who: &str, which: u64) -> Self {
        Self { who: format!("seed {}, {who} {which}", hunt.seed), last: HashMap::new() }
    }

    fn number(&self, what: &str, bytes: Option<&[u8]>) -> u64 {
        let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{}: {what} is {text:?}", self.who))
    }

    /// All hold the same number, and not one of the past.
    fn group<'v>(&mut self, what: &'static str, values: impl IntoIterator<Item = Option<&'v [u8]>>) -> u64 {
        let found: Vec<u64> = values.into_iter().map(|value| self.number(what, value)).collect();
        assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "{}: {what} is torn: {found:?}", self.who);
        self.no_past(what, found[0])
    }

    fn no_past(&mut self, what: &'static str, now: u64) -> u64 {
        let last = self.last.insert(what, now).unwrap_or(0);
        assert!(now >= last, "{}: {what} was {last}, is {now}", self.who);
        now
    }

    fn one_place(&self, what: &str, held: &[bool]) {
        let count = held.iter().filter(|held| **held).count();
        assert!(count == 1, "{}: {what} is in {count} places: {held:?}", self.who);
    }
}

/// Everything there is to see, as commands.
fn everything() -> Vec<String> {
    let of_each = |word: &str, prefix: &str, rest: &str| -> Vec<String> {
        names(prefix, PLACES).map_each(|key| format!("{word} {key}{rest}"))
    };
    let mut lines: Vec<String> = ["m", "e", "s"].map(|group| line("MGET", &names(group, GROUP))).to_vec();
    lines.extend(["t", "c"].map(|token| line("MGET", &names(token, PLACES))));
    lines.extend(["HVALS h", "LRANGE l 0 -1", "GET count"].map(str::to_owned));
    lines.extend(of_each("SISMEMBER", "places", " token"));
    lines.extend(of_each("LLEN", "queue", ""));
    for db in ["SELECT 1", "SELECT 2"] {
        lines.extend([db.to_owned(), line("MGET", &names("w", PLACES)), "EXISTS moved".to_owned()]);
    }
    lines.extend(["SELECT 0".to_owned(), line("MGET", &names("m", GROUP))]);
    lines
}

/// Runs its arguments as commands.
const RUN_LINES: &str = "
local out = {}
for i, line in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(line, '%S+') do words[#words + 1] = word end
  out[i] = redis.call(unpack(words))
end
return out";

fn check_everything(seen: &mut Seen, replies: &[Reply]) {
    let strings = |reply: &'_ Reply| -> Vec<Option<Vec<u8>>> {
        reply.array().iter().map(|item| item.as_bytes().map(<[u8]>::to_vec)).collect()
    };
    let group = |seen: &mut Seen, what, reply| {
        let values = strings(reply);
        seen.group(what, values.iter().map(Option::as_deref))
    };
    let m = group(seen, "MSET's group", &replies[0]);
    group(seen, "the transaction's group", &replies[1]);
    group(seen, "the script's group", &replies[2]);
    for (what, reply) in [("RENAME's token", &replies[3]), ("COPY's token", &replies[4])] {
        let held: Vec<bool> = reply.array().iter().map(|item| !item.is_null()).collect();
        seen.one_place(what, &held);
    }
    group(seen, "the hash", &replies[5]);
    group(seen, "the list", &replies[6]);
    let count = seen.number("count", replies[7].as_bytes());
    seen.no_past("count", count);
    let (places, rest) = replies[8..].split_at(PLACES);
    let (queues, rest) = rest.split_at(PLACES);
    for (what, replies) in [("SMOVE's token", places), ("LMOVE's token", queues)] {
        seen.one_place(what, &replies.iter().map(|reply| reply.int() == 1).collect::<Vec<_>>());
    }
    let swapped = [&rest[1], &rest[4]].map(|reply| {
        let values = strings(reply);
        let first = seen.number("SWAPDB's group", values[0].as_deref());
        assert!(values.iter().all(|value| *value == values[0]), "{}: SWAPDB is torn: {values:?}", seen.who);
        first
    });
    assert_eq!(swapped[0] + swapped[1], 3, "{}: SWAPDB is half done: {swapped:?}", seen.who);
    seen.one_place("MOVE's token", &[&rest[2], &rest[5]].map(|reply| reply.int() == 1));
    let again = group(seen, "MSET's group", &rest[7]);
    assert_eq!(m, again, "{}: a write came between the reads of one transaction", seen.who);
}

fn read_by_socket(hunt: &Hunt, mut client: Client, which: u64) {
    let _alarm = Alarm(hunt);
    let mut random = Random::new(hunt.seed * 1000 + which);
    let lines = everything();
    let declared: Vec<String> = [names("m", GROUP), names("e", GROUP), names("s", GROUP)].concat();
    let mut seen = Seen::new(hunt, "socket", which);
    while hunt.goes_on() {
        match random.below(4) {
            0 => {
                let mut all: Vec<Vec<&str>> = vec![vec!["MULTI"]];
                all.extend(lines.iter().map(|line| line.split(' ').collect()));
                all.push(vec!["EXEC"]);
                let replies = client.pipeline(&all);
                let exec = replies.last().unwrap();
                assert!(!exec.is_error(), "{}: {exec:?}", seen.who);
                check_everything(&mut seen, exec.array());
            }
            1 => {
                let keys = if random.one_in(2) { &declared[..] } else { &[] };
                let count = keys.len().to_string();
                let mut call = vec!["EVAL_RO", RUN_LINES, &count];
                call.extend(keys.iter().chain(&lines).map(String::as_str));
                let reply = client.call(&call).ok();
                check_everything(&mut seen, reply.array());
            }
            2 => {
                for (at, what) in
                    ["MSET's group", "the transaction's group", "the script's group"].into_iter().enumerate()
                {
                    let reply = client.line(&lines[at]).ok();
                    seen.group(what, reply.array().iter().map(Reply::as_bytes));
                }
                let reply = client.line(&lines[3]).ok();
                let held: Vec<bool> = reply.array().iter().map(|item| !item.is_null()).collect();
                seen.one_place("RENAME's token", &held);
            }
            _ => {
                // One after the other: never back.
                for (group, what) in
                    [("m", "MSET's group"), ("e", "the transaction's group"), ("s", "the script's group")]
                {
                    let gets: Vec<Vec<String>> =
                        names(group, GROUP).into_iter().map(|key| vec!["GET".to_owned(), key]).collect();
                    for reply in client.pipeline(&gets) {
                        let now = seen.number(what, reply.as_bytes());
                        seen.no_past(what, now);
                    }
                }
            }
        }
        hunt.views.fetch_add(1, Ordering::Relaxed);
    }
}

fn read_in_process(hunt: &Hunt, dbs: &[Db; 3], which: u64) {
    let _alarm = Alarm(hunt);
    let mut random = Random::new(hunt.seed * 1000 + 500 + which);
    let mut seen = Seen::new(hunt, "in process", which);
    let groups = [("m", "MSET's group"), ("e", "the transaction's group"), ("s", "the script's group")]
        .map(|(prefix, what)| (names(prefix, GROUP), what));
    let tokens = [("t", "RENAME's token"), ("c", "COPY's token")].map(|(p, what)| (names(p, PLACES), what));
    let swapped = names("w", PLACES);
    while hunt.goes_on() {
        match random.below(3) {
            0 => {
                for (keys, what) in &groups {
                    let found = dbs[0].get_many(keys);
                    seen.group(what, found.iter().map(|blob| blob.as_deref()));
                }
                for (keys, what) in &tokens {
                    let held: Vec<bool> = dbs[0].get_many(keys).iter().map(Option::is_some).collect();
                    seen.one_place(what, &held);
                }
            }
            1 => {
                for (keys, what) in &groups {
                    for key in keys {
                        let now = dbs[0].get(key).unwrap();
                        let now = seen.number(what, now.as_deref());
                        seen.no_past(what, now);
                    }
                }
            }
            _ => {
                let hash = dbs[0].hash("h").unwrap().unwrap().to_vec();
                seen.group("the hash", hash.iter().map(|(_, value)| Some(&value[..])));
                let list = dbs[0].list("l").unwrap().unwrap().range(0, -1);
                seen.group("the list", list.iter().map(|item| Some(&item[..])));
                let count = dbs[0].with("count", |bytes| seen.number("count", bytes));
                seen.no_past("count", count);
                for db in &dbs[1..] {
                    let found = db.get_many(&swapped);
                    let _ = seen.number("SWAPDB's group", found[0].as_deref());
                    assert!(found.iter().all(|b| *b == found[0]), "{}: SWAPDB is torn: {found:?}", seen.who);
                }
            }
        }
        hunt.views.fetch_add(1, Ordering::Relaxed);
    }
}

/// Readers of `dbs` and of `reader`'s sockets, one author, and `upheaval`, which replaces everything.
fn hunt(
    author: &mut Author,
    dbs: &[Db; 3],
    reader: impl Fn() -> Client,
    mut upheaval: impl FnMut() + Send,
) -> Hunt {
    let hunt = Hunt::new();
    let (sender, receiver) = mpsc::sync_channel(0);
    std::thread::scope(|scope| {
        for which in 0..2 {
            let (client, hunt) = (reader(), &hunt);
            scope.spawn(move || read_by_socket(hunt, client, which));
            scope.spawn(move || read_in_process(hunt, dbs, which));
        }
        scope.spawn(|| {
            let _alarm = Alarm(&hunt);
            for () in receiver {
                upheaval();
                hunt.upheavals.fetch_add(1, Ordering::Relaxed);
            }
        });
        let sender = sender;
        let _alarm = Alarm(&hunt);
        author.run(&hunt, &sender);
    });
    hunt
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standalone_server_that_reloads_shows_nothing_torn() {
    let dir = std::env::temp_dir().join(format!("replica-torn-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let mut options = Options::default();
    options.debug_command = DebugCommand::Local;
    options.dir = Some(dir.clone());
    let server = Standalone::start_with(Engine::new(Role::Primary, options), "127.0.0.1:0").await.unwrap();
    let client = || Client::connect(server.local_addr()).unwrap();
    tokio::task::block_in_place(|| {
        let mut author = Author::new(client(), variable("SEED").unwrap_or(5));
        author.begin();
        let mut reloading = client();
        let reload = || drop(reloading.line("DEBUG RELOAD").ok());
        hunt(&mut author, &[0, 1, 2].map(|db| server.db(db)), client, reload).report("standalone");
    });
    std::fs::remove_dir_all(&dir).unwrap();
    server.shutdown().await;
}

/// A replica that is sent everything anew, again and again.
async fn behind(what: &str, url: String, primary: impl Fn() -> Client) {
    let mut author = Author::new(primary(), variable("SEED").unwrap_or(5));
    tokio::task::block_in_place(|| author.begin());
    let replica = start(builder(url)).await;
    caught_up(&mut primary(), &replica).await;
    tokio::task::block_in_place(|| {
        let mut cutting = primary();
        let mut link = replica.watch_link();
        let handle = tokio::runtime::Handle::current();
        let replica: &Replica = &replica;
        let sync = || {
            let before = replica.status().full_syncs;
            cutting.line("DEBUG CHANGE-REPL-ID").ok();
            cutting.line("CLIENT KILL TYPE replica").ok();
            let again = async {
                while replica.status().full_syncs == before {
                    link.changed().await.unwrap();
                }
            };
            handle.block_on(async { tokio::time::timeout(support::PATIENCE, again).await }).unwrap();
        };
        let dbs = [0, 1, 2].map(|db| replica.db(db));
        hunt(&mut author, &dbs, || client_of(replica), sync).report(what);
    });
    let mut real = primary();
    caught_up(&mut real, &replica).await;
    tokio::task::block_in_place(|| assert_equal(&mut real, &mut client_of(&replica)));
    assert_eq!(replica.status().diverged, 0);
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_of_ours_that_is_synced_anew_shows_nothing_torn() {
    let mut options = Options::default();
    options.debug_command = DebugCommand::Local;
    let server = Standalone::start_with(Engine::new(Role::Primary, options), "127.0.0.1:0").await.unwrap();
    behind("behind ours", server.url(), || Client::connect(server.local_addr()).unwrap()).await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_of_a_real_primary_that_is_synced_anew_shows_nothing_torn() {
    let settings = ["--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes"];
    let real = Server::V9_1.start_with(&settings);
    behind("behind Valkey 9.1", real.url(), || real.client()).await;
}
