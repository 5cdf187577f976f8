//! A real server and ours, each with replicas, given the same commands.
//!
//! ```text
//!            .--> ours (in this process) --stream--> a replica of ours, a tap
//! commands --|
//!            '--> the real server --------stream--> a replica of ours, a tap
//! ```
//!
//! Replies are compared one by one; at the end the two streams, and then the four data sets.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use rdb::Version;
use replica::{Replica, Standalone};
use server::{DebugCommand, Engine, Options, Role};
use store::Compat;
use testkit::{Running, Server};
use tokio::runtime::Runtime;

use crate::command::{shown, words};
use crate::contents::{self, Contents, Depth};
use crate::judge::Judge;
use crate::tap::{self, Tap};
use crate::tree::Tree;
use crate::wire::Wire;
use crate::{Command, Difference, Round};

/// Commands sent before their replies are read.
const BATCH: usize = 100;
/// The key that marks the end of a round in the streams.
const MARKER: &str = "\x01end of round";
/// A replica that has not caught up by then never will.
const CATCH_UP: Duration = Duration::from_secs(60);

/// Our personality beside a real server.
#[must_use]
pub fn compat_of(server: Server) -> Compat {
    match server {
        Server::R6_0 | Server::R6_2 | Server::R7_0 => Compat::Redis70,
        Server::R8_2 => Compat::Redis82,
        Server::V8_1 => Compat::Valkey81,
        Server::V9_1 => Compat::Valkey91,
    }
}

/// The server whose personality has this name.
#[must_use]
pub fn server_of(name: &str) -> Option<Server> {
    let all = [Server::R7_0, Server::R8_2, Server::V8_1, Server::V9_1];
    all.into_iter().find(|server| compat_of(*server).name() == name)
}

/// The two sides.
#[derive(Debug)]
pub struct Pair {
    // In this order they are dropped: replicas first.
    follower_of_ours: Replica,
    follower_of_theirs: Replica,
    ours: Standalone,
    theirs: Running,
    taps: [Tap; 2],
    known: BTreeSet<String>,
    /// Commands that the two replicas could not apply before this round.
    lost: [Vec<(String, u64)>; 2],
    runtime: Runtime,
}

impl Pair {
    /// Starts both sides, empty, and their replicas.
    ///
    /// # Errors
    /// A socket or thread that cannot be had.
    ///
    /// # Panics
    /// When the real server does not come up.
    pub fn start(server: Server) -> io::Result<Self> {
        let theirs = server.start();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let mut options = Options::default();
        options.debug_command = DebugCommand::Local;
        let engine = Engine::new(Role::Primary, options);
        engine.set_compat(compat_of(server));
        let ours =
            runtime.block_on(Standalone::start_with(engine, "127.0.0.1:0")).map_err(io::Error::other)?;
        let follow = |url: String| {
            runtime
                .block_on(async {
                    let replica = Replica::builder().master(url).listen("127.0.0.1:0").start().await?;
                    replica.ready().await.map(|()| replica)
                })
                .map_err(io::Error::other)
        };
        let follower_of_ours = follow(ours.url())?;
        let follower_of_theirs = follow(theirs.url())?;
        let taps = [Tap::attach(&ours.local_addr().to_string())?, Tap::attach(&theirs.addr())?];
        let names = Wire::connect(&theirs.addr(), false)?.ask(&words("COMMAND LIST"))?;
        let known = Tree::parse(&names).strings();
        let known = known.iter().map(|name| String::from_utf8_lossy(name).to_ascii_lowercase()).collect();
        Ok(Self {
            follower_of_ours,
            follower_of_theirs,
            ours,
            theirs,
            taps,
            known,
            lost: Default::default(),
            runtime,
        })
    }

    /// The names of the commands that the real server has.
    #[must_use]
    pub fn known(&self) -> &BTreeSet<String> {
        &self.known
    }

    /// Runs a round from an empty data set.
    ///
    /// # Errors
    /// The first difference.
    pub fn run(&mut self, round: &Round) -> Result<(), Box<Difference>> {
        let end = round.commands.len();
        let mut walk = self.reset(round).map_err(|error| Difference::broken(end, &error))?;
        for (index, command) in round.commands.iter().enumerate() {
            walk.step(index, command)?;
        }
        walk.settle()?;
        self.compare_ends(round).map_err(|error| Difference::broken(end, &error))?
    }

    /// Writes a dump of what our side holds, and compares it with what a real server makes of it.
    ///
    /// # Errors
    /// The difference.
    ///
    /// # Panics
    /// When the real server does not take it.
    pub fn check_saved(&mut self) -> Result<(), Box<Difference>> {
        let broken = |error: io::Error| Difference::broken(0, &error);
        let server = self.theirs.server();
        let version = match server {
            Server::R6_0 | Server::R6_2 | Server::R7_0 => Version::REDIS_10,
            Server::R8_2 => Version::REDIS_12,
            Server::V8_1 => Version::REDIS_11,
            Server::V9_1 => Version::VALKEY_80,
        };
        let mut dump = Vec::new();
        let saved =
            store::save::save(self.ours.engine().keyspace(), version, &[], |piece| dump.extend(piece));
        saved.map_err(|error| broken(io::Error::other(error)))?;
        let loaded = server.builder().dump(&dump).start();
        let read = |addr: &str| contents::read(&mut Wire::connect(addr, false)?);
        let ours = read(&self.ours.local_addr().to_string()).map_err(broken)?;
        let theirs = read(&loaded.addr()).map_err(broken)?;
        match contents::difference(&ours, &theirs, Depth::Saved) {
            Some([what, ours, theirs]) => {
                let what = format!("our dump, loaded there: {what}");
                Err(Box::new(Difference { index: 0, what, ours, theirs }))
            }
            None => Ok(()),
        }
    }

    fn reset(&mut self, round: &Round) -> io::Result<Walk> {
        let mut walk = Walk {
            ours: Wire::connect(&self.ours.local_addr().to_string(), round.resp3)?,
            theirs: Wire::connect(&self.theirs.addr(), round.resp3)?,
            waiting: Vec::new(),
            last_key: Vec::new(),
        };
        for (name, value) in &round.settings {
            let get = vec![b"CONFIG".to_vec(), b"GET".to_vec(), name.as_bytes().to_vec()];
            // A setting that the real server does not know is not set on our side either.
            if Tree::parse(&walk.theirs.ask(&get)?).items.is_empty() {
                continue;
            }
            let set = words(&format!("CONFIG SET {name} {value}"));
            for wire in [&mut walk.ours, &mut walk.theirs] {
                let reply = wire.ask(&set)?;
                if reply != b"+OK\r\n" {
                    return Err(io::Error::other(format!("{name} {value}: {}", reply.escape_ascii())));
                }
            }
            for replica in [&self.follower_of_ours, &self.follower_of_theirs] {
                if let Ok(value) = value.parse() {
                    replica.engine().keyspace().limits().set(name, value);
                }
            }
        }
        for wire in [&mut walk.ours, &mut walk.theirs] {
            // What has expired goes when it is met, at the same command on both sides.
            for line in ["DEBUG SET-ACTIVE-EXPIRE 0", "FLUSHALL SYNC"] {
                let reply = wire.ask(&words(line))?;
                if reply != b"+OK\r\n" {
                    return Err(io::Error::other(format!("{line}: {}", reply.escape_ascii())));
                }
            }
        }
        self.streams()?;
        self.lost = [&self.follower_of_ours, &self.follower_of_theirs]
            .map(|replica| replica.engine().divergence().by_name());
        Ok(walk)
    }

    /// What the two primaries have told their replicas since the last asking.
    fn streams(&mut self) -> io::Result<[Vec<Command>; 2]> {
        let mark = vec![b"SET".to_vec(), MARKER.into(), b"x".to_vec()];
        Wire::connect(&self.ours.local_addr().to_string(), false)?.ask(&mark)?;
        Wire::connect(&self.theirs.addr(), false)?.ask(&mark)?;
        let [ours, theirs] = &mut self.taps;
        let side =
            |side, error: io::Error| io::Error::new(error.kind(), format!("the stream of {side}: {error}"));
        let ours = ours.read_until(MARKER.as_bytes()).map_err(|error| side("ours", error))?;
        let theirs = theirs.read_until(MARKER.as_bytes()).map_err(|error| side("theirs", error))?;
        Ok([ours, theirs])
    }

    fn compare_ends(&mut self, round: &Round) -> io::Result<Result<(), Box<Difference>>> {
        let differ = |what: String, ours: String, theirs: String| {
            Ok(Err(Box::new(Difference { index: round.commands.len(), what, ours, theirs })))
        };
        let [ours, theirs] = self.streams()?;
        if round.compare_streams
            && let Some([ours, theirs]) = tap::difference(&ours, &theirs)
        {
            return differ("what replicas are told".to_owned(), ours, theirs);
        }
        let read = |addr: &str| contents::read(&mut Wire::connect(addr, round.resp3)?);
        let ours = read(&self.ours.local_addr().to_string())?;
        let theirs = read(&self.theirs.addr())?;
        let depth = if round.compare_encodings { Depth::Whole } else { Depth::Values };
        if let Some([what, a, b]) = contents::difference(&ours, &theirs, depth) {
            return differ(what, a, b);
        }
        let offset = self.ours.engine().position().map_or(0, |position| position.offset.0);
        let (held, lost) = self.follow(&self.follower_of_ours, offset, round.resp3)?;
        if let Some([what, a, b]) = contents::difference(&held, &ours, Depth::Told) {
            return differ(format!("our replica of ours: {what}"), a, b);
        }
        if lost != self.lost[0] {
            return differ("our replica of ours: not applied".to_owned(), format!("{lost:?}"), String::new());
        }
        // Where the streams may differ the real server's replicas may lack something.
        if !round.compare_streams {
            return Ok(Ok(()));
        }
        let info = Wire::connect(&self.theirs.addr(), false)?.ask(&words("INFO replication"))?;
        let info = String::from_utf8_lossy(&info).into_owned();
        let offset = info.lines().find_map(|line| line.strip_prefix("master_repl_offset:"));
        let offset = offset.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let (held, lost) = self.follow(&self.follower_of_theirs, offset, round.resp3)?;
        if let Some([what, a, b]) = contents::difference(&held, &theirs, Depth::Told) {
            return differ(format!("our replica of theirs: {what}"), a, b);
        }
        if lost != self.lost[1] {
            return differ(
                "our replica of theirs: not applied".to_owned(),
                format!("{lost:?}"),
                String::new(),
            );
        }
        Ok(Ok(()))
    }

    /// What a replica holds once it is there, and the commands that it could not apply.
    fn follow(
        &self,
        replica: &Replica,
        offset: u64,
        resp3: bool,
    ) -> io::Result<(Contents, Vec<(String, u64)>)> {
        self.runtime.block_on(replica.wait_for_offset(offset, CATCH_UP)).map_err(io::Error::other)?;
        let addr = replica.local_addr().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let held = contents::read(&mut Wire::connect(&addr.to_string(), resp3)?)?;
        Ok((held, replica.engine().divergence().by_name()))
    }
}

/// A round in progress.
#[derive(Debug)]
struct Walk {
    ours: Wire,
    theirs: Wire,
    /// Sent, and not yet compared: which command, what was sent, how it is judged.
    waiting: Vec<(usize, Command, Judge)>,
    /// The key of the command before.
    last_key: Vec<u8>,
}

type Step = Result<(), Box<Difference>>;

impl Walk {
    fn step(&mut self, index: usize, command: &Command) -> Step {
        let judge = Judge::of(command);
        if command[0] == b"@gone" {
            self.settle()?;
            return self.wait_until_gone().map_err(|error| Difference::broken(index, &error));
        }
        self.last_key = command.get(1).cloned().unwrap_or_default();
        let broken = |error: io::Error| Difference::broken(index, &error);
        if command.iter().any(|arg| arg.starts_with(b"@dump:")) {
            self.settle()?;
            let command = self.with_payloads(command).map_err(broken)?;
            self.put(index, command, Judge::Exact);
            return self.settle();
        }
        match judge {
            Judge::Blocking => {
                for line in ["MULTI", "", "EXEC"] {
                    let part = if line.is_empty() { command.clone() } else { words(line) };
                    self.put(index, part, Judge::Exact);
                }
            }
            Judge::Walk => {
                self.settle()?;
                let (a, b) = (walk(&mut self.ours, command), walk(&mut self.theirs, command));
                let (a, b) = (a.map_err(broken)?, b.map_err(broken)?);
                if a != b {
                    return Err(Difference::reply(index, command, format!("{a:?}"), format!("{b:?}")));
                }
            }
            Judge::Pop => {
                self.settle()?;
                self.pop(index, command).map_err(broken)??;
            }
            judge => self.put(index, command.clone(), judge),
        }
        if self.waiting.len() >= BATCH { self.settle() } else { Ok(()) }
    }

    fn put(&mut self, index: usize, command: Command, judge: Judge) {
        self.ours.send(&command);
        self.theirs.send(&command);
        self.waiting.push((index, command, judge));
    }

    /// Reads and compares all replies that are under way.
    fn settle(&mut self) -> Step {
        let Some((first, ..)) = self.waiting.first() else { return Ok(()) };
        let first = *first;
        self.ours.flush().and_then(|()| self.theirs.flush()).map_err(|e| Difference::broken(first, &e))?;
        for (index, command, judge) in std::mem::take(&mut self.waiting) {
            let at = |side: &str, error: io::Error| {
                Difference::reply(index, &command, format!("{side}: {error}"), String::new())
            };
            let ours = self.ours.receive().map_err(|error| at("ours", error))?;
            let theirs = self.theirs.receive().map_err(|error| at("theirs", error))?;
            if !judge.agree(&ours, &theirs) {
                let text = |bytes: &[u8]| format!("{}", bytes.escape_ascii());
                return Err(Difference::reply(index, &command, text(&ours), text(&theirs)));
            }
        }
        Ok(())
    }

    /// `@gone`: both sides go on when the key of the command before has no time left.
    fn wait_until_gone(&mut self) -> io::Result<()> {
        let ask = [b"PTTL".to_vec(), self.last_key.clone()];
        for wire in [&mut self.ours, &mut self.theirs] {
            while Tree::parse(&wire.ask(&ask)?).integer().is_some_and(|left| (0..1000).contains(&left)) {
                std::thread::yield_now();
            }
        }
        Ok(())
    }

    /// SPOP: whom ours takes must be there on the other side, and be as many as theirs would be.
    fn pop(&mut self, index: usize, command: &Command) -> io::Result<Step> {
        let taken = self.ours.ask(command)?;
        let tree = Tree::parse(&taken);
        let mut remove = vec![b"SREM".to_vec(), command.get(1).cloned().unwrap_or_default()];
        remove.extend(tree.strings());
        let differ = |theirs: &[u8]| {
            let text = |bytes: &[u8]| format!("{}", bytes.escape_ascii());
            Ok(Err(Difference::reply(index, command, text(&taken), text(theirs))))
        };
        if remove.len() == 2 {
            let theirs = self.theirs.ask(command)?;
            return if theirs == taken { Ok(Ok(())) } else { differ(&theirs) };
        }
        let there =
            Tree::parse(&self.theirs.ask(&[b"SCARD".to_vec(), remove[1].clone()])?).integer().unwrap_or(0);
        let wanted = command.get(2).and_then(|n| String::from_utf8_lossy(n).parse().ok()).unwrap_or(1);
        let removed = self.theirs.ask(&remove)?;
        let ok = Tree::parse(&removed).integer() == Some(there.min(wanted))
            && there.min(wanted) == remove.len() as i64 - 2;
        if ok { Ok(Ok(())) } else { differ(&removed) }
    }

    /// `@dump:ours:KEY` becomes that key's payload from our side; `@dump:theirs:KEY:flip:N` theirs, with a bit
    /// changed; `:cut:N` shorter.
    fn with_payloads(&mut self, command: &Command) -> io::Result<Command> {
        let mut out = Vec::new();
        for arg in command {
            let Some(rest) = arg.strip_prefix(b"@dump:") else {
                out.push(arg.clone());
                continue;
            };
            let text = String::from_utf8_lossy(rest).into_owned();
            let mut parts = text.split(':');
            let wire = if parts.next() == Some("ours") { &mut self.ours } else { &mut self.theirs };
            let reply =
                wire.ask(&[b"DUMP".to_vec(), parts.next().unwrap_or_default().as_bytes().to_vec()])?;
            let mut payload = Tree::parse(&reply).text;
            let change = parts.next();
            let place = parts.next().and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
            match change {
                Some("flip") if !payload.is_empty() => {
                    let at = place / 8 % payload.len();
                    payload[at] ^= 1 << (place % 8);
                }
                Some("cut") if !payload.is_empty() => payload.truncate(place % payload.len()),
                _ => {}
            }
            out.push(payload);
        }
        Ok(out)
    }
}

/// What a whole walk finds, in order; or the one reply, where it is none or begins in the middle.
fn walk(wire: &mut Wire, command: &Command) -> io::Result<Vec<Tree>> {
    let place =
        if Judge::of(command) == Judge::Walk && command[0].eq_ignore_ascii_case(b"SCAN") { 1 } else { 2 };
    let mut command = command.clone();
    let whole = command.get(place).is_some_and(|cursor| cursor == b"0");
    let group = if command[0].eq_ignore_ascii_case(b"SSCAN") || place == 1 { 1 } else { 2 };
    let names_only =
        |arg: &Vec<u8>| [&b"NOVALUES"[..], b"NOSCORES"].iter().any(|w| arg.eq_ignore_ascii_case(w));
    let group = if command.iter().any(names_only) { 1 } else { group };
    let mut found = BTreeSet::new();
    loop {
        let tree = Tree::parse(&wire.ask(&command)?);
        let [next, items] = &tree.items[..] else { return Ok(vec![tree]) };
        if !whole {
            return Ok(Vec::new());
        }
        found.extend(items.items.chunks(group).map(|part| Tree {
            kind: b'*',
            text: Vec::new(),
            items: part.to_vec(),
        }));
        if next.text == b"0" {
            return Ok(found.into_iter().collect());
        }
        command[place] = next.text.clone();
    }
}

impl Difference {
    fn reply(index: usize, command: &[Vec<u8>], ours: String, theirs: String) -> Box<Self> {
        Box::new(Self { index, what: shown(command), ours, theirs })
    }

    fn broken(index: usize, error: &io::Error) -> Box<Self> {
        Box::new(Self {
            index,
            what: "the comparison broke".to_owned(),
            ours: error.to_string(),
            theirs: String::new(),
        })
    }
}
