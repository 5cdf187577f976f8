//! Full syncs for replicas: one snapshot at a time, shared by all who wait for the same one.
//!
//! ```text
//!  feeds  --Wanted-->  queue  --(repl-diskless-sync-delay)-->  cut: a Join for each, one dump
//!    ^                                                            |  thread
//!    `----------------- Start, then pieces, then End <------------'
//! ```

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rdb::Version;
use replication::{Filter, Join};
use store::SnapshotOptions;
use store::snapshot::SnapshotError;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::engine::Engine;
use crate::snapshot::Cut;

/// Pieces of a dump that wait for a replica's socket; a piece is 256 KiB.
const AHEAD: usize = 8;

/// A piece of a dump on its way to a replica.
#[derive(Debug)]
pub(crate) enum Piece {
    Bytes(Bytes),
    /// It was the last one, or there will be no more.
    End(Result<(), Arc<str>>),
}

/// A full sync begins: the replica's place in the history, and the dump.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) join: Join,
    pub(crate) pieces: mpsc::Receiver<Piece>,
}

/// What a replica waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) version: Version,
    pub(crate) filter: Option<Filter>,
}

#[derive(Debug)]
struct Waiting {
    wanted: Wanted,
    start: oneshot::Sender<Start>,
}

/// The replicas that wait for a dump, and the right to take a snapshot.
#[derive(Debug)]
pub(crate) struct Syncs {
    queue: Mutex<Queue>,
    /// One snapshot at a time, for replicas and for files.
    pub(crate) turn: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// Somebody takes care of them.
    tended: bool,
}

impl Default for Syncs {
    fn default() -> Self {
        Self { queue: Mutex::default(), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Engine {
    /// Asks for a dump. The answer never comes if the engine ends, or the snapshot cannot be begun.
    pub(crate) fn want_dump(self: &Arc<Self>, wanted: Wanted) -> oneshot::Receiver<Start> {
        let (start, receiver) = oneshot::channel();
        let mut queue = self.syncs.queue.lock();
        queue.waiting.push(Waiting { wanted, start });
        if !std::mem::replace(&mut queue.tended, true) {
            tokio::spawn(tend(Arc::clone(self)));
        }
        receiver
    }

    /// Takes those out who can share the first one's dump; ends the tending if nobody is left.
    fn next_group(&self) -> Option<(Wanted, Vec<Waiting>)> {
        let mut queue = self.syncs.queue.lock();
        queue.waiting.retain(|waiting| !waiting.start.is_closed());
        let Some(wanted) = queue.waiting.first().map(|first| first.wanted) else {
            queue.tended = false;
            return None;
        };
        let (group, rest) = queue.waiting.drain(..).partition(|waiting| waiting.wanted == wanted);
        queue.waiting = rest;
        Some((wanted, group))
    }

    fn sync_delay(&self) -> Duration {
        self.serving.read().sync_delay
    }
}

/// Serves everybody who waits, group by group.
async fn tend(engine: Arc<Engine>) {
    loop {
        tokio::time::sleep(engine.sync_delay()).await;
        let turn = Arc::clone(&engine.syncs.turn);
        let Ok(turn) = turn.acquire_owned().await else { return };
        let Some((wanted, group)) = engine.next_group() else { return };
        let writing = Arc::clone(&engine);
        let spawned = std::thread::Builder::new().name("snapshot".to_owned()).spawn(move || {
            serve(&writing, wanted, group);
            drop(turn);
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread for a replica's snapshot");
        }
    }
}

/// Cuts a snapshot for a group and sends it to all of them.
fn serve(engine: &Arc<Engine>, wanted: Wanted, group: Vec<Waiting>) {
    if wanted.filter.is_some() {
        return serve_filtered(engine, wanted, group);
    }
    let limit = engine.serving.read().output_hard_limit();
    let options = SnapshotOptions::new(wanted.version).giving_up_at(limit);
    let (cut, joins) = {
        let mut writing = engine.writing.lock();
        let cut = Cut::make(&mut writing, options);
        // The dump selects no database for the stream of a top primary; that of a replica goes on as it was.
        if engine.is_writable() {
            writing.primary.forget_stream_db();
        }
        let joins: Vec<Join> = group.iter().map(|_| writing.primary.join()).collect();
        (cut, joins)
    };
    let Some(cut) = cut else {
        let mut writing = engine.writing.lock();
        joins.iter().for_each(|join| writing.primary.abandon(join));
        return;
    };
    tracing::info!(position = %cut.position, replicas = group.len(), version = %wanted.version, "full sync of replicas");
    let mut receivers = begin(engine, group, joins);
    let result = cut.write(&engine.keyspace, &[], |piece| {
        if engine.stopping.is_in_progress() {
            // The last save wants its turn.
            return Err("the server is shutting down");
        }
        receivers.retain(|receiver| receiver.blocking_send(Piece::Bytes(piece.clone())).is_ok());
        if receivers.is_empty() { Err("every replica has left") } else { Ok(()) }
    });
    if let Err(error) = &result {
        tracing::warn!(%error, "the snapshot for replicas was given up");
    }
    finish(&receivers, result.map_err(|error: SnapshotError<_>| error.to_string()));
}

/// Function libraries alone, or nothing at all: no snapshot is needed for so little.
fn serve_filtered(engine: &Arc<Engine>, wanted: Wanted, group: Vec<Waiting>) {
    let (joins, functions) = {
        let mut writing = engine.writing.lock();
        let joins: Vec<Join> = group.iter().map(|_| writing.primary.join()).collect();
        (joins, engine.keyspace.functions())
    };
    let dump = rdb::Encoder::new(wanted.version, rdb::EncodeOptions::default()).and_then(|mut dump| {
        if wanted.filter == Some(Filter::Functions) {
            functions.iter().try_for_each(|code| dump.function(code))?;
        }
        Ok(Bytes::from(dump.finish()))
    });
    let receivers = begin(engine, group, joins);
    let result = dump.map_err(|error| error.to_string()).map(|dump| {
        for receiver in &receivers {
            let _ = receiver.blocking_send(Piece::Bytes(dump.clone()));
        }
    });
    finish(&receivers, result);
}

fn begin(engine: &Engine, group: Vec<Waiting>, joins: Vec<Join>) -> Vec<mpsc::Sender<Piece>> {
    let mut receivers = Vec::with_capacity(group.len());
    for (waiting, join) in group.into_iter().zip(joins) {
        let (sender, pieces) = mpsc::channel(AHEAD);
        match waiting.start.send(Start { join, pieces }) {
            Ok(()) => receivers.push(sender),
            Err(start) => engine.writing.lock().primary.abandon(&start.join),
        }
    }
    receivers
}

fn finish(receivers: &[mpsc::Sender<Piece>], result: Result<(), String>) {
    let result = result.map_err(Arc::from);
    for receiver in receivers {
        let _ = receiver.blocking_send(Piece::End(result.clone()));
    }
}
