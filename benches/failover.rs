//! Failovers by Sentinels, followed by `replica serve` and, in the same run, by a real Redis 7.0.15 that is never
//! promoted: how long until each follows again, and how often without a full sync.
//!
//! `cargo bench -p replica-benches --bench failover` asks for failovers (`-- forced`), then kills primaries
//! (`-- killed`); `ROUNDS` (default 10) of each. A client writes all the while.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use measure::{Process, binary, median, number, wants};
use testkit::{Client, Running, Server, eventually};

#[global_allocator]
static ALLOCATOR: measure::Allocator = measure::Allocator;

const NAME: &str = "service";
const LOOK: Duration = Duration::from_millis(1);

/// A client that may be hung up on: Sentinels do that to all clients of a server that they turn.
struct Observer {
    address: String,
    client: Option<Client>,
}

impl Observer {
    fn new(address: &str) -> Self {
        Self { address: address.to_owned(), client: None }
    }

    fn info(&mut self) -> Option<String> {
        if self.client.is_none() {
            self.client = Client::connect(self.address.as_str()).ok();
        }
        let reply = self.client.as_mut()?.try_call(&["INFO"]);
        if reply.is_err() {
            self.client = None;
        }
        reply.ok().filter(|reply| !reply.is_error()).map(|reply| reply.text())
    }

    /// The port of the primary whose stream flows here.
    fn follows(&mut self) -> Option<u16> {
        let info = self.info()?;
        let is_up = field(&info, "master_link_status") == Some("up");
        field(&info, "master_port").filter(|_| is_up)?.parse().ok()
    }

    fn is_primary(&mut self) -> bool {
        self.info().is_some_and(|info| field(&info, "role") == Some("master"))
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

struct Group {
    servers: Vec<Running>,
    sentinels: Vec<Running>,
    /// A real replica that is never promoted, as ours.
    sibling: Running,
    ours: Process,
}

/// Full and partial syncs.
type Syncs = (u64, u64);

impl Group {
    fn start() -> Self {
        let primary = Server::R7_0.start();
        let follow = format!("127.0.0.1 {}", primary.port());
        let replicas = [0, 1].map(|_| Server::R7_0.builder().config("replicaof", &follow).start());
        let sibling = Server::R7_0.builder().config("replicaof", &follow).config("replica-priority", "0");
        let sibling = sibling.start();
        let timeout = format!("sentinel failover-timeout {NAME} 3000");
        let sentinel = || Server::R7_0.builder().watching_at(NAME, primary.port(), &[&timeout]).start();
        let sentinels: Vec<Running> = (0..3).map(|_| sentinel()).collect();
        let places: Vec<String> = sentinels.iter().map(Running::addr).collect();
        let url = format!("redis-sentinel://{}/{NAME}", places.join(","));
        let ours = Process::ours(&binary(), &["--master", &url]);
        let [first, second] = replicas;
        let group = Self { servers: vec![primary, first, second], sentinels, sibling, ours };
        for sentinel in &group.sentinels {
            let mut client = sentinel.client();
            eventually("everybody is known", || {
                let master = client.call(&["SENTINEL", "MASTER", NAME]);
                let says = |name: &str| master.field(name).unwrap().text();
                // Two, the sibling, and ours.
                says("num-slaves") == "4" && says("num-other-sentinels") == "2"
            });
        }
        group
    }

    fn primary(&self) -> u16 {
        let reply = self.sentinels[0].client().call(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]);
        reply.array()[1].text().parse().unwrap()
    }

    fn syncs_of_ours(&self) -> Syncs {
        let info = Observer::new(self.ours.address()).info().unwrap();
        let count = |name| field(&info, name).unwrap().parse().unwrap();
        (count("replication_full_syncs"), count("replication_partial_syncs"))
    }

    fn syncs_of_sibling(&self) -> Syncs {
        let log = self.sibling.log();
        let count = |text| log.matches(text).count() as u64;
        (count("Finished with success"), count("Successful partial resynchronization with master"))
    }

    /// Until everybody follows the primary, and no Sentinel has a hand in anything.
    fn settle(&self) {
        let primary = self.primary();
        let mut followers: Vec<Observer> = self
            .servers
            .iter()
            .filter(|server| server.port() != primary)
            .map(|s| Observer::new(&s.addr()))
            .collect();
        followers.push(Observer::new(&self.sibling.addr()));
        followers.push(Observer::new(self.ours.address()));
        // Sentinels may have turned the real ones to the server that was killed, and take their time to see it.
        let begun = Instant::now();
        while !followers.iter_mut().all(|follower| follower.follows() == Some(primary)) {
            assert!(begun.elapsed() < Duration::from_secs(240), "not all follow one primary");
            sleep(LOOK * 100);
        }
        eventually("the Sentinels are done", || {
            self.sentinels.iter().all(|sentinel| {
                let flags =
                    sentinel.client().call(&["SENTINEL", "MASTER", NAME]).field("flags").unwrap().text();
                flags == "master"
            })
        });
    }
}

/// Writes a thousand times a second to whoever is the primary.
fn write(primary: &Arc<AtomicU16>, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (primary, stop) = (Arc::clone(primary), Arc::clone(stop));
    spawn(move || {
        let mut client: Option<(u16, Client)> = None;
        let mut n = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            let port = primary.load(Ordering::Relaxed);
            if client.as_ref().is_none_or(|(known, _)| *known != port) {
                client = Client::connect(("127.0.0.1", port)).ok().map(|client| (port, client));
            }
            n += 1;
            let written = client
                .as_mut()
                .map(|(_, client)| client.try_call(&["SET", &format!("key:{}", n % 10_000), &n.to_string()]));
            if !matches!(written, Some(Ok(_))) {
                client = None;
            }
            sleep(Duration::from_millis(1));
        }
    })
}

/// Milliseconds until there is another primary, until ours follows it, and until the real one does.
fn until_followed(group: &Group, left: u16) -> [f64; 3] {
    let begun = Instant::now();
    let mut candidates: Vec<Observer> =
        group.servers.iter().filter(|s| s.port() != left).map(|s| Observer::new(&s.addr())).collect();
    let mut ours = Observer::new(group.ours.address());
    let mut sibling = Observer::new(&group.sibling.addr());
    let mut found = [None; 3];
    while found.iter().any(Option::is_none) {
        assert!(begun.elapsed() < Duration::from_secs(120), "it is not followed");
        let follows = |port: Option<u16>| port.is_some_and(|port| port != left);
        let now = [
            found[0].is_some() || candidates.iter_mut().any(Observer::is_primary),
            found[1].is_some() || follows(ours.follows()),
            found[2].is_some() || follows(sibling.follows()),
        ];
        for (at, is_so) in found.iter_mut().zip(now) {
            if is_so && at.is_none() {
                *at = Some(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
        sleep(LOOK);
    }
    found.map(Option::unwrap)
}

fn rounds(what: &str, group: &mut Group, rounds: usize, turn: fn(&mut Group, u16)) {
    let (port, stop) = (Arc::new(AtomicU16::new(group.primary())), Arc::new(AtomicBool::new(false)));
    let writer = write(&port, &stop);
    let mut all: [Vec<f64>; 3] = Default::default();
    let before = (group.syncs_of_ours(), group.syncs_of_sibling());
    for _ in 0..rounds {
        group.settle();
        let left = group.primary();
        port.store(left, Ordering::Relaxed);
        turn(group, left);
        let times = until_followed(group, left);
        for (all, time) in all.iter_mut().zip(times) {
            all.push(time);
        }
        eventually("the Sentinels name another", || group.primary() != left);
        port.store(group.primary(), Ordering::Relaxed);
        for server in group.servers.iter_mut().filter(|server| !server.runs()) {
            server.restart();
            // The Sentinels would come to it in some ten seconds.
            let primary = port.load(Ordering::Relaxed).to_string();
            server.client().call(&["REPLICAOF", "127.0.0.1", &primary]).ok();
        }
    }
    group.settle();
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    let after = (group.syncs_of_ours(), group.syncs_of_sibling());
    let [promoted, ours, theirs] = all;
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    println!("{rounds} failovers, {what}; another primary after {:.0} ms (median)", median(promoted));
    for (name, times, (full, partial), (full_now, partial_now)) in
        [("replica serve", ours, before.0, after.0), ("Redis 7.0.15", theirs, before.1, after.1)]
    {
        println!(
            "{name:14} follows again after {:.0} ms (median; most {:.0}): {} partial syncs, {} full",
            median(times.clone()),
            most(&times),
            partial_now - partial,
            full_now - full
        );
    }
}

fn main() {
    let mut group = Group::start();
    let count = number("ROUNDS", 10);
    if wants("forced") {
        rounds("asked for", &mut group, count, |group, _| {
            let mut sentinel = group.sentinels[0].client();
            eventually("a Sentinel is ready", || !sentinel.call(&["SENTINEL", "FAILOVER", NAME]).is_error());
        });
    }
    if wants("killed") {
        rounds("the primary killed", &mut group, count, |group, left| {
            group.servers.iter_mut().find(|server| server.port() == left).unwrap().kill();
        });
    }
}
