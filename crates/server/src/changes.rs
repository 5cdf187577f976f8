//! What happened to keys, told to everybody who waits for that: WATCH, keyspace notifications, blocked clients.

use replication::{Offset, Position};
use store::command::Command;
use store::{Args, Change, Class, ShardSet, Sweep, Txn, View, Viewer};

use crate::engine::Engine;
use crate::events::Cause;
use crate::pubsub::Kind;
use crate::session::Ground;
use crate::watch::{Held, Watch};

/// Events of what stands beside a stream's entries. With the real servers they are no change of the value: nobody's copy
/// of it is outdated, and no WATCH fails.
const BESIDE_VALUES: [&str; 6] = [
    "xsetid",
    "xgroup-create",
    "xgroup-setid",
    "xgroup-destroy",
    "xgroup-createconsumer",
    "xgroup-delconsumer",
];

/// Whether the value of the key of one of these is another now.
fn is_another_value(change: &Change, all: &[Change]) -> bool {
    let is_new = || {
        all.iter()
            .any(|other| other.class == Class::New && (other.db, &other.key) == (change.db, &change.key))
    };
    change.class.is_change() && (!BESIDE_VALUES.contains(&change.event) || is_new())
}

impl Engine {
    /// Runs writes and tells of them before anybody can see them.
    pub(crate) fn observe<R>(&self, txn: &mut Txn<'_>, f: impl FnOnce(&mut Txn<'_>) -> R) -> R {
        if !self.is_observed() {
            return f(txn);
        }
        txn.collect_changes();
        let mut asides = self.notifications.asides(&self.pubsub);
        // To tell a stream that came to be with its group.
        asides.new |= self.watchers.any() || self.tracking.any();
        txn.tell_asides(asides);
        let result = f(txn);
        self.settle(txn);
        result
    }

    /// Tells of what the transaction has done so far, so that what is said next comes after it.
    pub(crate) fn settle(&self, txn: &mut Txn<'_>) {
        self.tell_of_unnamed(txn);
        let changes = txn.take_changes();
        self.tell(txn, changes);
    }

    /// Tells of what one command has done, if anybody listens to events: those name it. `dirty` is what the
    /// transaction had counted before.
    pub(crate) fn settle_command(&self, txn: &mut Txn<'_>, row: &Command, args: Args<'_>, dirty: u64) {
        self.tell_of_unnamed(txn);
        let changes = txn.take_changes();
        if changes.is_empty() && txn.dirty() != dirty {
            // No notification tells of it (XACK, the cache of PFCOUNT), but the value is another.
            self.events.quietly(txn, row, args, self.cause());
        }
        self.tell(txn, changes);
    }

    fn cause(&self) -> Cause {
        if self.is_writable() { Cause::Client } else { Cause::Primary }
    }

    /// What was noted for subscribers stands at this position. To be called before the locks are released.
    pub(crate) fn commit_events(&self, offset: Offset) {
        if self.events.is_pending()
            && let Some(held) = self.position()
        {
            self.events.commit(Position { offset, ..held });
        }
    }

    /// Tells of what no change names: whole databases, and values that change without an event.
    fn tell_of_unnamed(&self, txn: &mut Txn<'_>) {
        for sweep in txn.take_sweeps() {
            match sweep {
                Sweep::Flushed(db) => self.watchers.flushed(Some(db)),
                Sweep::FlushedAll => self.watchers.flushed(None),
                Sweep::Swapped(a, b) if a == b => continue,
                Sweep::Swapped(a, b) => self.watchers.swapped(a, b, |db, key| Held::of(txn, db, key)),
            }
            self.blocked.touch_all();
            // The real servers leave copies of what was read from another database to those who have them.
            if !matches!(sweep, Sweep::Swapped(..)) {
                self.tracking.tell_everything(&self.clients);
            }
            self.events.anew();
        }
        for (db, key) in txn.take_outdated() {
            self.watchers.touch(db, &key, false);
            let change = Change { db, key, class: Class::String, event: "" };
            self.tracking.tell(&[&change], &self.clients);
        }
    }

    /// Another data set took the place of the old one.
    pub(crate) fn everything_changed(&self) {
        self.watchers.touch_all();
        self.blocked.touch_all();
        self.tracking.tell_everything(&self.clients);
        self.events.anew();
    }

    /// What there is of a key, for who begins to watch it. Who does while a script has the data for itself, for long,
    /// is told of more than had to be.
    pub(crate) fn held(&self, db: u32, key: &[u8]) -> Held {
        let mut set = ShardSet::none();
        set.add(&self.keyspace, db, key);
        let end = Some(std::time::Instant::now() + crate::yielding::PATIENCE);
        let view = View::until(&self.keyspace, &set, Viewer::Client, db, end);
        view.map_or(Held::Value, |view| Held::of(&view, db, key))
    }

    /// Whether the time of a watched key is over since its client began to watch. Call it while no write can happen.
    pub(crate) fn is_overdue(&self, watch: &Watch) -> bool {
        let mut set = ShardSet::none();
        watch.keys().for_each(|(db, key)| set.add(&self.keyspace, db, key));
        let view = View::new(&self.keyspace, &set, Viewer::Client, 0);
        watch.is_overdue(|db, key| Held::of(&view, db, key))
    }

    /// A message from a client: told here, handed on to replicas, in its place among the writes around it.
    pub(crate) fn publish_from(
        &self,
        kind: Kind,
        args: Args<'_>,
        db: u32,
        ground: &mut Ground<'_, '_>,
    ) -> usize {
        match ground {
            Ground::Txn(txn) => {
                self.settle(txn);
                txn.rewrite(args.all());
            }
            _ if self.is_writable() && !self.replicas.is_empty() => {
                let mut writing = self.writing.lock();
                writing.primary.command(db, args.all());
                self.publish_offset(writing.primary.position().offset);
            }
            _ => {}
        }
        self.publish(kind, args)
    }

    /// A message by its command, told to those who listen here.
    pub(crate) fn publish(&self, kind: Kind, args: Args<'_>) -> usize {
        match kind {
            Kind::Shard => self.pubsub.publish_shard(args.at(1), args.at(2)),
            _ => self.pubsub.publish(args.at(1), args.at(2)),
        }
    }

    /// A client is to be told when what this command has read changes.
    pub(crate) fn remember_reads(&self, client: u64, name: &str, args: Args<'_>) {
        for key in store::command::description::keys(self.compat(), name, args).unwrap_or_default() {
            self.tracking.remember(client, args.at(key.at), &self.clients);
        }
    }

    fn is_observed(&self) -> bool {
        self.watchers.any()
            || self.blocked.any()
            || self.tracking.any()
            || self.notifications.wanted(&self.pubsub)
            || self.events.any()
    }

    /// Whether anybody is to be told of keys that are looked for in vain.
    pub(crate) fn tells_misses(&self) -> bool {
        self.notifications.asides(&self.pubsub).misses
    }

    /// Tells of the keys that a reading command has looked for in vain.
    pub(crate) fn tell_misses(&self, row: &Command, view: &View<'_>, args: Args<'_>) {
        if self.tells_misses() {
            let db = view.db();
            row.misses(view, args, |key| {
                let miss = Change { db, key: key.into(), class: Class::Miss, event: "keymiss" };
                self.notifications.tell(&self.pubsub, &miss);
            });
        }
    }

    fn tell(&self, txn: &Txn<'_>, mut changes: Vec<Change>) {
        for change in &changes {
            self.notifications.tell(&self.pubsub, change);
        }
        let other_values: Vec<&Change> =
            changes.iter().filter(|change| is_another_value(change, &changes)).collect();
        for change in &other_values {
            let goes = matches!(change.event, "expired" | "evicted" | "del");
            self.watchers.touch(change.db, &change.key, goes);
        }
        self.tracking.tell(&other_values, &self.clients);
        changes.retain(|change| change.class.is_change());
        for change in &changes {
            self.blocked.touch(change.db, &change.key);
        }
        if self.events.any() {
            self.events.note(txn, &changes, self.cause());
        }
    }
}
