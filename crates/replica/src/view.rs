//! One state of the whole data set, held still.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use ::store::Still;
use replication::Position;
use server::Engine;

use crate::db::Db;

/// The data set at one moment: several databases and keys, and no transaction half seen. While it lives the writer
/// waits, so the replica falls behind: read what belongs together and drop it. It stays on its thread, and a second
/// one on the same thread may wait for a writer that waits for the first.
///
/// Time goes on: a key that expires meanwhile is no longer shown.
///
/// ```compile_fail
/// # fn run(replica: replica::Replica) {
/// let view = replica.view();
/// std::thread::scope(|scope| {
///     scope.spawn(move || view.position()); // it is not Send
/// });
/// # }
/// ```
///
/// The same without the thread compiles:
///
/// ```no_run
/// # fn run(replica: replica::Replica) {
/// let view = replica.view();
/// view.position();
/// # }
/// ```
#[derive(Debug)]
pub struct View<'r> {
    engine: &'r Arc<Engine>,
    _still: Still<'r>,
    stays: PhantomData<*const ()>,
}

impl<'r> View<'r> {
    pub(crate) fn new(engine: &'r Arc<Engine>) -> Self {
        Self { engine, _still: engine.keyspace().still(), stays: PhantomData }
    }

    /// A read handle for a database, while the view lives.
    #[must_use]
    pub fn db(&self, index: u32) -> ViewDb<'_> {
        ViewDb { db: Db::new(Arc::clone(self.engine.keyspace()), index), view: PhantomData }
    }

    /// Where exactly the data set stands. `None` before the first sync.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.engine.position()
    }
}

/// A database of a [`View`], with the methods of [`Db`].
#[derive(Debug)]
pub struct ViewDb<'v> {
    db: Db,
    view: PhantomData<&'v View<'v>>,
}

impl Deref for ViewDb<'_> {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.db
    }
}
