//! Commands of a `store`, for scripts.

use resp::{DoubleFormat, format_f64};
use store::command::{self, Flags};
use store::{Aggregate, Args, CommandError, Null, Reply, ShardSet, Txn, Viewer, Writer};

use crate::ReplyBuilder;
use crate::call::{Call, Verdict};
use crate::flavour::Refusal;

/// What a script calls, on the data of a [`Writer`].
///
/// While it lives, nobody else writes, and whatever its commands have touched is held: the script sees a still
/// keyspace, and others see all of its writes at once.
#[derive(Debug)]
pub struct StoreCall<'w> {
    txn: Txn<'w>,
    db: u32,
}

impl<'w> StoreCall<'w> {
    /// Waits until nobody else writes. Commands run in database `db`.
    #[must_use]
    pub fn new(writer: &'w mut Writer, db: u32) -> Self {
        Self { txn: writer.begin(&ShardSet::none(), Viewer::Client, db), db }
    }
}

impl Call for StoreCall<'_> {
    fn call(&mut self, args: &[&[u8]], out: &mut ReplyBuilder<'_>) {
        let args = Args::new(args);
        let compat = self.txn.keyspace().compat();
        let Some(row) = command::find_for(compat, args) else {
            return out.refuse(Refusal::UnknownCommand);
        };
        if row.check_arity(args).is_err() {
            return out.refuse(Refusal::WrongArity);
        }
        if row.flags.has(Flags::NOSCRIPT) {
            return out.refuse(Refusal::NotAllowed);
        }
        let mut set = ShardSet::none();
        row.add_shards(self.txn.keyspace(), self.db, args, &mut set);
        self.txn.hold(&set);
        self.txn.select(self.db);
        let mut reply = StoreReply::new(out, compat.differences().doubles);
        if let Err(error) = row.write(&mut self.txn, args, &mut reply) {
            reply.error(&error);
        }
    }

    fn may_call(&mut self, args: &[&[u8]]) -> Verdict {
        match command::find_for(self.txn.keyspace().compat(), Args::new(args)) {
            Some(_) => Verdict::Yes,
            None => Verdict::Unknown,
        }
    }
}

/// The reply of a command of the store, on its way into Lua.
#[derive(Debug)]
pub struct StoreReply<'a, 'lua> {
    out: &'a mut ReplyBuilder<'lua>,
    doubles: DoubleFormat,
}

impl<'a, 'lua> StoreReply<'a, 'lua> {
    /// Writes to `out`; doubles are printed as `doubles` says.
    pub fn new(out: &'a mut ReplyBuilder<'lua>, doubles: DoubleFormat) -> Self {
        Self { out, doubles }
    }
}

impl Reply for StoreReply<'_, '_> {
    fn null(&mut self, _: Null) {
        self.out.null();
    }

    fn simple(&mut self, status: &str) {
        self.out.simple(status.as_bytes());
    }

    #[inline]
    fn bulk(&mut self, bytes: &[u8]) {
        self.out.bulk(bytes);
    }

    fn integer(&mut self, n: i64) {
        self.out.integer(n);
    }

    fn double(&mut self, n: f64) {
        let mut text = Vec::with_capacity(24);
        format_f64(&mut text, n, self.doubles);
        self.out.double_as(n, &text);
    }

    fn boolean(&mut self, b: bool) {
        self.out.boolean(b);
    }

    fn aggregate(&mut self, kind: Aggregate, len: usize) {
        match kind {
            Aggregate::Array => self.out.array(len),
            Aggregate::Map => self.out.map(len),
            Aggregate::Set => self.out.set(len),
        }
    }

    fn error(&mut self, error: &CommandError) {
        self.out.error(&error.bytes());
    }

    fn verbatim(&mut self, format: &str, text: &[u8]) {
        self.out.verbatim(format.as_bytes(), text);
    }

    fn is_resp3(&self) -> bool {
        self.out.is_resp3()
    }
}
