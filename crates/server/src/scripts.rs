//! Scripts on this engine's data: a pool of interpreters, and what `redis.call` reaches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lua::{Call, Flavour, KillSwitch, Refusal, ReplyBuilder, ScriptReply};
use parking_lot::{Mutex, RwLock};
use resp::{DoubleFormat, format_f64};
use store::command::{self, Command, Flags};
use store::{Aggregate, Args, CommandError, Compat, Null, Release, Reply, ShardSet};

use crate::engine::Engine;
use crate::reply::RespReply;
use crate::session::Ground;

/// Interpreters that wait for work, and the scripts that they share.
#[derive(Debug)]
pub(crate) struct Scripts {
    known: Arc<lua::Scripts>,
    idle: Mutex<Vec<lua::Engine>>,
    running: Mutex<Vec<KillSwitch>>,
    options: RwLock<lua::Options>,
}

/// Interpreters kept for the next script.
const IDLE: usize = 16;

impl Scripts {
    pub(crate) fn new(limit: Duration, compat: Compat) -> Self {
        let mut options = lua::Options::default();
        describe(&mut options, compat);
        let start = Instant::now();
        options.time_limit = Some((limit, Arc::new(move || start.elapsed())));
        options.log = Some(Arc::new(|level, text| {
            tracing::info!(?level, text = %String::from_utf8_lossy(text), "script log");
        }));
        let known = Arc::new(lua::Scripts::new());
        Self { known, idle: Mutex::default(), running: Mutex::default(), options: RwLock::new(options) }
    }

    /// Interpreters made from now on show this version; those made before go.
    pub(crate) fn set_compat(&self, compat: Compat) {
        describe(&mut self.options.write(), compat);
        self.idle.lock().clear();
    }

    pub(crate) fn known(&self) -> &lua::Scripts {
        &self.known
    }

    /// Ends every running script; how many there were.
    pub(crate) fn kill(&self) -> usize {
        let running = self.running.lock();
        running.iter().for_each(KillSwitch::kill);
        running.len()
    }

    /// Runs `f` with an interpreter of the pool.
    pub(crate) fn with<R>(
        &self,
        f: impl FnOnce(&mut lua::Engine) -> Result<R, lua::Error>,
    ) -> Result<R, lua::Error> {
        let idle = self.idle.lock().pop();
        let mut engine = match idle {
            Some(engine) => engine,
            None => lua::Engine::with_scripts(self.options.read().clone(), Arc::clone(&self.known))?,
        };
        let result = f(&mut engine);
        let mut idle = self.idle.lock();
        if idle.len() < IDLE {
            idle.push(engine);
        }
        result
    }
}

/// What scripts can see of a personality.
fn describe(options: &mut lua::Options, compat: Compat) {
    options.flavour = match compat {
        Compat::Redis70 => Flavour::REDIS_7_0,
        Compat::Redis72 => Flavour::REDIS_7_2,
        Compat::Redis74 => Flavour::REDIS_7_4,
        Compat::Redis82 => Flavour::REDIS_8_2,
        Compat::Valkey81 => Flavour::VALKEY_8_1,
        Compat::Valkey91 => Flavour::VALKEY_9_1,
    };
    options.flavour.redis_version = Release::parse(compat.differences().redis_version).parts();
}

/// How a script was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// EVAL, EVALSHA.
    May,
    /// EVAL_RO, EVALSHA_RO, or the flag `no-writes`.
    ReadOnly,
}

/// Which script.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    Source(&'a [u8]),
    Digest(&'a [u8]),
}

/// A script's call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script<'a> {
    pub(crate) which: Which<'a>,
    pub(crate) keys: &'a [&'a [u8]],
    pub(crate) argv: &'a [&'a [u8]],
    pub(crate) mode: Mode,
}

/// Runs a script on the data of `engine`, on ground that is held already or that is taken here: a still
/// keyspace for a replica, everything for a primary (a script's keys cannot be known for sure).
pub(crate) fn run(
    engine: &Engine,
    script: Script<'_>,
    db: u32,
    out: &mut RespReply<'_>,
    ground: &mut Ground<'_, '_>,
) -> Result<(), lua::Error> {
    let Script { which, keys, argv, mode } = script;
    let go = |out: &mut RespReply<'_>, ground: &mut Ground<'_, '_>| {
        engine.scripts.with(|interpreter| {
            let mode = match which {
                Which::Source(source) if interpreter.script(source)?.flags().no_writes => Mode::ReadOnly,
                _ => mode,
            };
            engine.scripts.running.lock().push(interpreter.kill_switch());
            let mut call = DataCall { engine, db, mode, ground };
            let mut reply = Answer(out);
            let result = match which {
                Which::Source(source) => interpreter.eval(source, keys, argv, &mut call, &mut reply),
                Which::Digest(hex) => interpreter.eval_sha(hex, keys, argv, &mut call, &mut reply),
            };
            engine.scripts.running.lock().pop();
            result
        })
    };
    match ground {
        Ground::Free if engine.is_writable() => {
            engine.transact(&ShardSet::everything(), db, |txn| go(out, &mut Ground::Txn(txn)))
        }
        Ground::Free => {
            let _still = engine.keyspace.still();
            go(out, &mut Ground::Still)
        }
        held => go(out, held),
    }
}

/// `redis.call`, by the same rows that clients use.
struct DataCall<'c, 'a, 'k> {
    engine: &'c Engine,
    db: u32,
    mode: Mode,
    ground: &'c mut Ground<'a, 'k>,
}

impl DataCall<'_, '_, '_> {
    fn run(&mut self, row: &Command, args: Args<'_>, out: &mut ReplyBuilder<'_>) {
        let mut reply = LuaReply(out, self.engine.compat().differences().doubles);
        let result = match self.ground {
            Ground::Txn(txn) => {
                txn.select(self.db);
                row.write(txn, args, &mut reply)
            }
            Ground::Free | Ground::Still => self.engine.read(row, self.db, args, &mut reply),
        };
        if let Err(error) = result {
            reply.error(&error);
        }
    }

    /// Commands of the connection that a script may use.
    fn connection(&mut self, args: Args<'_>, out: &mut ReplyBuilder<'_>) {
        if args.is(0, "select") && args.len() == 2 {
            let known = self.engine.keyspace.databases();
            match args.int(1).ok().and_then(|n| u32::try_from(n).ok()).filter(|n| *n < known) {
                Some(db) => {
                    self.db = db;
                    out.simple(b"OK");
                }
                None => out.error(b"ERR DB index is out of range"),
            }
        } else if args.is(0, "ping") {
            match args.get(1) {
                None => out.simple(b"PONG"),
                Some(text) => out.bulk(text),
            }
        } else if args.is(0, "echo") && args.len() == 2 {
            out.bulk(args.at(1));
        } else if args.is(0, "time") {
            let micros = self.engine.keyspace.clock().now() * 1000;
            out.array(2);
            out.bulk((micros / 1_000_000).to_string().as_bytes());
            out.bulk((micros % 1_000_000).to_string().as_bytes());
        } else if crate::connection::find_for(self.engine.compat(), args).is_some() {
            out.refuse(Refusal::NotAllowed);
        } else {
            out.refuse(Refusal::UnknownCommand);
        }
    }
}

impl Call for DataCall<'_, '_, '_> {
    fn call(&mut self, args: &[&[u8]], out: &mut ReplyBuilder<'_>) {
        let args = Args::new(args);
        let Some(row) = command::find_for(self.engine.compat(), args) else {
            return self.connection(args, out);
        };
        if row.check_arity(args).is_err() {
            out.refuse(Refusal::WrongArity);
        } else if row.flags.has(Flags::NOSCRIPT) {
            out.refuse(Refusal::NotAllowed);
        } else if row.is_write() && self.mode == Mode::ReadOnly {
            out.refuse(Refusal::ReadOnlyScript);
        } else if row.is_write() && !matches!(self.ground, Ground::Txn(_)) {
            out.error(b"READONLY You can't write against a read only replica.");
        } else {
            self.run(row, args, out);
        }
    }
}

/// A command's reply on its way into Lua.
struct LuaReply<'a, 'lua>(&'a mut ReplyBuilder<'lua>, DoubleFormat);

impl Reply for LuaReply<'_, '_> {
    fn null(&mut self, _: Null) {
        self.0.null();
    }
    fn simple(&mut self, status: &str) {
        self.0.simple(status.as_bytes());
    }
    fn bulk(&mut self, bytes: &[u8]) {
        self.0.bulk(bytes);
    }
    fn integer(&mut self, n: i64) {
        self.0.integer(n);
    }
    fn double(&mut self, n: f64) {
        let mut text = Vec::with_capacity(24);
        format_f64(&mut text, n, self.1);
        self.0.double_as(n, &text);
    }
    fn boolean(&mut self, b: bool) {
        self.0.boolean(b);
    }
    fn aggregate(&mut self, kind: Aggregate, len: usize) {
        match kind {
            Aggregate::Array => self.0.array(len),
            Aggregate::Map => self.0.map(len),
            Aggregate::Set => self.0.set(len),
        }
    }
    fn error(&mut self, error: &CommandError) {
        self.0.error_display(error);
    }
    fn verbatim(&mut self, format: &str, text: &[u8]) {
        self.0.verbatim(format.as_bytes(), text);
    }
    fn is_resp3(&self) -> bool {
        self.0.is_resp3()
    }
}

/// A script's result on its way to the client.
struct Answer<'a, 'o>(&'a mut RespReply<'o>);

impl ScriptReply for Answer<'_, '_> {
    fn null(&mut self) {
        self.0.encoder().null();
    }
    fn simple(&mut self, status: &[u8]) {
        self.0.encoder().simple(status);
    }
    fn error(&mut self, line: &[u8]) {
        self.0.encoder().error(line);
    }
    fn bulk(&mut self, bytes: &[u8]) {
        self.0.encoder().bulk(bytes);
    }
    fn integer(&mut self, n: i64) {
        self.0.encoder().integer(n);
    }
    fn double(&mut self, n: f64) {
        self.0.encoder().double(n);
    }
    fn boolean(&mut self, b: bool) {
        self.0.encoder().boolean(b);
    }
    fn aggregate(&mut self, shape: lua::Aggregate, len: usize) {
        match shape {
            lua::Aggregate::Array => self.0.encoder().array(len),
            lua::Aggregate::Map => self.0.encoder().map(len),
            lua::Aggregate::Set => self.0.encoder().set(len),
        }
    }
    fn big_number(&mut self, digits: &[u8]) {
        self.0.encoder().big_number(digits);
    }
    fn verbatim(&mut self, format: &[u8], text: &[u8]) {
        self.0.encoder().verbatim(format.try_into().unwrap_or(*b"txt"), text);
    }
}
