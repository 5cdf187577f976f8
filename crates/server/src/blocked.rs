//! Clients that wait for a key: BLPOP and its relatives, XREAD and XREADGROUP with BLOCK.
//!
//! A command that found nothing leaves a [`Waiter`] behind each of its keys. Whoever writes next marks the keys that
//! changed, and, before any other client can write, serves those who wait for them, longest wait first: it runs their
//! commands again, until one finds nothing. So an element goes to exactly one of them, in order, and replicas get the
//! pop right behind the push.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use resp::{Encoder, Protocol};
use store::command::{Command, Handler};
use store::value::Stream;
use store::{Args, CommandError, ShardSet, View, Viewer};
use tokio::sync::oneshot;

use crate::engine::{Engine, Writing};
use crate::reply::RespReply;

type Key = (u32, Box<[u8]>);

/// A command that waits.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) client: u64,
    pub(crate) db: u32,
    pub(crate) protocol: Protocol,
    pub(crate) row: &'static Command,
    pub(crate) args: Vec<Box<[u8]>>,
    /// What it answers when its time is over.
    pub(crate) nothing: Vec<u8>,
    /// Whether it has one, or waits for ever.
    pub(crate) is_timed: bool,
}

#[derive(Debug)]
struct Waiting {
    waiter: Waiter,
    keys: Vec<Key>,
    done: oneshot::Sender<Vec<u8>>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
    by_key: HashMap<Key, BTreeSet<u64>>,
    ready: Vec<Key>,
}

impl State {
    fn remove(&mut self, ticket: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&ticket)?;
        for key in &waiting.keys {
            if let Some(tickets) = self.by_key.get_mut(key) {
                tickets.remove(&ticket);
                if tickets.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
        Some(waiting)
    }
}

/// Everybody who waits.
#[derive(Debug, Default)]
pub(crate) struct Blocked {
    count: AtomicUsize,
    state: Mutex<State>,
}

/// One client's wait. Dropping it takes the client out of every queue.
#[derive(Debug)]
pub(crate) struct Ticket {
    engine: Arc<Engine>,
    number: u64,
}

impl Ticket {
    /// For the number that [`Blocked::enter`] gave.
    pub(crate) fn new(engine: Arc<Engine>, number: u64) -> Self {
        Self { engine, number }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.engine.blocked.take(self.number);
    }
}

impl Blocked {
    /// Whether anybody waits.
    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::Acquire) != 0
    }

    /// How many clients wait, and for how many keys.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.count.load(Ordering::Acquire), self.state.lock().by_key.len())
    }

    /// How many clients wait with an end in sight, and for how many keys commands wait that the end of a key would
    /// wake.
    pub(crate) fn details(&self) -> (usize, usize) {
        let state = self.state.lock();
        let timed = state.waiting.values().filter(|waiting| waiting.waiter.is_timed).count();
        let groups = state.waiting.values().filter(|waiting| waiting.waiter.row.name == "xreadgroup");
        let keys: BTreeSet<&Key> = groups.flat_map(|waiting| &waiting.keys).collect();
        (timed, keys.len())
    }

    /// Puts a command in the queues of its keys. Call it while no write can happen.
    pub(crate) fn enter(&self, waiter: Waiter) -> (u64, oneshot::Receiver<Vec<u8>>) {
        let parts: Vec<&[u8]> = waiter.args.iter().map(AsRef::as_ref).collect();
        let mut keys: Vec<Key> = Vec::new();
        waiter.row.keys.each(Args::new(&parts), |key| {
            let key = (waiter.db, key.into());
            if !keys.contains(&key) {
                keys.push(key);
            }
        });
        let (done, answer) = oneshot::channel();
        let mut state = self.state.lock();
        let number = state.next;
        state.next += 1;
        for key in &keys {
            state.by_key.entry(key.clone()).or_default().insert(number);
        }
        state.waiting.insert(number, Waiting { waiter, keys, done });
        self.count.fetch_add(1, Ordering::AcqRel);
        (number, answer)
    }

    fn take(&self, number: u64) -> Option<Waiting> {
        let waiting = self.state.lock().remove(number)?;
        self.count.fetch_sub(1, Ordering::AcqRel);
        Some(waiting)
    }

    /// A key changed.
    pub(crate) fn touch(&self, db: u32, key: &[u8]) {
        if !self.any() {
            return;
        }
        let mut state = self.state.lock();
        let key: Key = (db, key.into());
        if state.by_key.contains_key(&key) && !state.ready.contains(&key) {
            state.ready.push(key);
        }
    }

    /// Any key may have changed.
    pub(crate) fn touch_all(&self) {
        if self.any() {
            let mut state = self.state.lock();
            state.ready = state.by_key.keys().cloned().collect();
        }
    }

    /// CLIENT UNBLOCK: ends a client's wait, as if its time were over or with an error; false if it does not wait.
    pub(crate) fn unblock(&self, client: u64, error: Option<&str>) -> bool {
        let number = {
            let state = self.state.lock();
            state.waiting.iter().find(|(_, w)| w.waiter.client == client).map(|(number, _)| *number)
        };
        number.and_then(|number| self.take(number)).is_some_and(|waiting| {
            let reply =
                error.map_or(waiting.waiter.nothing, |text| error_line(text, waiting.waiter.protocol));
            waiting.done.send(reply).is_ok()
        })
    }

    /// This is a replica now: writes that wait can no longer happen here.
    pub(crate) fn unblock_writes(&self) {
        let clients: Vec<u64> = {
            let state = self.state.lock();
            state.waiting.values().filter(|w| w.waiter.row.is_write()).map(|w| w.waiter.client).collect()
        };
        for client in clients {
            self.unblock(
                client,
                Some(
                    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
                ),
            );
        }
    }

    /// Whether this client waits.
    pub(crate) fn has(&self, client: u64) -> bool {
        self.any() && self.state.lock().waiting.values().any(|w| w.waiter.client == client)
    }
}

fn error_line(text: &str, protocol: Protocol) -> Vec<u8> {
    let mut line = Vec::new();
    Encoder::new(&mut line, protocol).error(text.as_bytes());
    line
}

/// Whether a reply says that there was nothing.
pub(crate) fn is_nothing(reply: &[u8]) -> bool {
    matches!(reply, b"$-1\r\n" | b"*-1\r\n" | b"_\r\n")
}

impl Engine {
    /// Serves those who wait for keys that have changed, before anybody else writes.
    pub(crate) fn serve_blocked(&self, writing: &mut Writing) {
        if !self.blocked.any() {
            return;
        }
        loop {
            let ready = std::mem::take(&mut self.blocked.state.lock().ready);
            if ready.is_empty() {
                return;
            }
            for key in ready {
                self.serve_key(writing, &key);
            }
        }
    }

    fn serve_key(&self, writing: &mut Writing, key: &Key) {
        let tickets: Vec<u64> = {
            let state = self.blocked.state.lock();
            state.by_key.get(key).into_iter().flatten().copied().collect()
        };
        for number in tickets {
            let Some((row, protocol, db, args)) = self.blocked.state.lock().waiting.get(&number).map(|w| {
                let waiter = &w.waiter;
                (waiter.row, waiter.protocol, waiter.db, waiter.args.clone())
            }) else {
                continue;
            };
            let args =
                if self.compat().differences().waits_run_again { args } else { of_key(row, args, &key.1) };
            if let Some(reply) = self.try_again(writing, row, protocol, db, &args)
                && let Some(waiting) = self.blocked.take(number)
            {
                let _ = waiting.done.send(reply);
            }
        }
    }

    /// Runs a waiting command; `None` if it goes on waiting.
    fn try_again(
        &self,
        writing: &mut Writing,
        row: &'static Command,
        protocol: Protocol,
        db: u32,
        args: &[Box<[u8]>],
    ) -> Option<Vec<u8>> {
        let parts: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        let args = Args::new(&parts);
        let mut bytes = Vec::new();
        let differences = self.compat().differences();
        let mut out = RespReply::new(&mut bytes, protocol, differences.doubles);
        let result = if matches!(row.handler, Handler::Read(_)) {
            self.read(row, db, args, &mut out)
        } else if self.is_writable() {
            let mut set = ShardSet::none();
            row.add_shards(&self.keyspace, db, args, &mut set);
            self.transact_in(writing, &set, db, |txn| row.write(txn, args, &mut out))
        } else {
            return None;
        };
        match result {
            Ok(()) => (!is_nothing(&bytes)).then_some(bytes),
            // A key of another kind, or too late for a list that moves: it waits for better times.
            Err(_) if row.name != "xreadgroup" => None,
            Err(error) => {
                let is_there = error != CommandError::WrongType && row_keys_exist(self, row, db, args);
                let text = gone(&error, differences.waits_run_again, is_there);
                Some(error_line(&text, protocol))
            }
        }
    }
}

/// A command that waits for several keys, as if it had named this one alone.
fn of_key(row: &Command, args: Vec<Box<[u8]>>, key: &[u8]) -> Vec<Box<[u8]>> {
    let parts: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
    let named = Args::new(&parts);
    let (head, tail): (&[&[u8]], &[&[u8]]) = match row.name {
        "blpop" | "brpop" | "bzpopmin" | "bzpopmax" => (&parts[..1], &parts[parts.len() - 1..]),
        "blmpop" | "bzmpop" => {
            let end =
                named.int(2).ok().and_then(|keys| usize::try_from(keys).ok()).map_or(3, |keys| 3 + keys);
            (&[parts[0], parts[1], b"1"], &parts[end..])
        }
        "xread" | "xreadgroup" => {
            let first = (1..named.len()).find(|at| named.is(*at, "streams")).map_or(named.len(), |at| at + 1);
            let streams = (named.len() - first) / 2;
            let at = parts[first..first + streams].iter().position(|stream| *stream == key).unwrap_or(0);
            (&parts[..first], &parts[first + streams + at..=first + streams + at])
        }
        _ => return args,
    };
    [head, &[key], tail].concat().into_iter().map(Into::into).collect()
}

/// What XREADGROUP is told when its stream or group went away: what it would be told if it came now, or, by older
/// servers, just that.
fn gone(error: &CommandError, runs_again: bool, is_there: bool) -> String {
    match (runs_again, is_there) {
        (true, _) => error.to_string(),
        (false, true) => "NOGROUP the consumer group this client was blocked on no longer exists".to_owned(),
        (false, false) => "UNBLOCKED the stream key no longer exists".to_owned(),
    }
}

fn row_keys_exist(engine: &Engine, row: &Command, db: u32, args: Args<'_>) -> bool {
    let mut set = ShardSet::none();
    row.add_shards(&engine.keyspace, db, args, &mut set);
    let view = View::new(&engine.keyspace, &set, Viewer::Client, db);
    let mut all = true;
    row.keys.each(args, |key| all &= view.exists(key));
    all
}

/// The last id of a stream, as text; of one that is not there too.
fn last_id(engine: &Engine, db: u32, key: &[u8]) -> String {
    let mut set = ShardSet::none();
    set.add(&engine.keyspace, db, key);
    let view = View::new(&engine.keyspace, &set, Viewer::Client, db);
    let id = view.typed::<Stream>(key).ok().flatten().map_or(store::value::stream::MIN_ID, |s| s.log.last_id);
    format!("{}-{}", id.ms, id.seq)
}

/// How long a blocking command waits: `None` for ever, and whether it waits at all.
pub(crate) fn patience(row: &Command, args: Args<'_>) -> Option<Option<std::time::Duration>> {
    let millis = match row.name {
        "xread" | "xreadgroup" => {
            let block =
                (1..args.len()).take_while(|i| !args.is(*i, "streams")).find(|i| args.is(*i, "block"))?;
            args.int(block + 1).ok()? as f64
        }
        _ => {
            let at = if matches!(row.name, "blmpop" | "bzmpop") { 1 } else { args.len() - 1 };
            (store::number::parse_f64(args.at(at))? * 1000.0).ceil()
        }
    };
    Some((millis > 0.0).then(|| std::time::Duration::from_millis(millis as u64)))
}

/// The command as it waits: what `$` means is settled now.
pub(crate) fn settled(engine: &Engine, row: &Command, db: u32, args: Args<'_>) -> Vec<Box<[u8]>> {
    let mut parts: Vec<Box<[u8]>> = args.all().iter().map(|part| (*part).into()).collect();
    if row.name == "xread" {
        let first = (1..args.len()).find(|i| args.is(*i, "streams")).map_or(args.len(), |i| i + 1);
        let streams = (args.len() - first) / 2;
        for i in first..first + streams {
            if matches!(args.at(i + streams), b"$" | b"+") {
                parts[i + streams] = last_id(engine, db, args.at(i)).into_bytes().into();
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use crate::role::Role;
    use crate::session::{After, Session};

    #[test]
    fn a_wait_that_never_begins_leaves_no_queue_behind() {
        let engine = Engine::new(Role::Primary, Options::default());
        let mut session = Session::of_the_house(&engine);
        session.execute(&[b"BLPOP", b"list", b"other", b"0"], &mut Vec::new());
        assert!(matches!(session.after, After::Wait(_)));
        assert_eq!(engine.blocked.counts(), (1, 2));
        // As when its client is found to be gone while replies before this one are sent.
        drop(session);
        assert_eq!(engine.blocked.counts(), (0, 0));
    }
}
