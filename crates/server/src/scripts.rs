//! Scripts on this engine's data: how they are run, and what `redis.call` reaches.

use std::sync::Arc;
use std::time::Instant;

use lua::{Call, Habit, Refusal, ReplyBuilder, ScriptReply, StoreReply, Verdict};
use store::command::{self, Command, Flags};
use store::{Args, CommandError, CommandResult, Reply, ShardSet, Txn};

use crate::acl::User;
use crate::connection;
use crate::engine::Engine;
use crate::evicting::OOM;
use crate::functions;
use crate::interpreters::Interpreter;
use crate::observed::{self, Teller};
use crate::reply::RespReply;
use crate::running::Turn;
use crate::scripted;
use crate::session::{Found, Ground};
use crate::yielding;

/// How a script was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// EVAL, EVALSHA.
    May,
    /// EVAL_RO, EVALSHA_RO, or the flag `no-writes`.
    ReadOnly,
}

/// Which script, or function.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    Source(&'a [u8]),
    /// `None`: forty letters that no script has.
    Digest(Option<lua::Digest>),
    Function(&'a [u8]),
}

/// A script's call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script<'a> {
    pub(crate) which: Which<'a>,
    pub(crate) keys: &'a [&'a [u8]],
    pub(crate) argv: &'a [&'a [u8]],
    pub(crate) mode: Mode,
    /// Whose rights it has; `None`: those of the primary, which are all.
    pub(crate) user: Option<&'a User>,
    /// The client that called it; 0 if none did.
    pub(crate) client: u64,
    /// Whether that client is told of changes of what it reads.
    pub(crate) tracks: bool,
    /// When its command began.
    pub(crate) start: Instant,
    /// The whole command, as FUNCTION STATS shows it.
    pub(crate) command: &'a [&'a [u8]],
    /// Whether it is given up where it does more than read, to be run once more.
    pub(crate) rehearses: bool,
}

/// Runs a script on the data of `engine`, on ground that is held already or that is taken here: a still
/// keyspace where nothing is written, everything for a script that may write (its keys cannot be known for sure).
pub(crate) fn run(
    engine: &Arc<Engine>,
    script: Script<'_>,
    db: u32,
    out: &mut RespReply<'_>,
    ground: &mut Ground<'_, '_>,
) -> Result<(), Refused> {
    if let Which::Function(name) = script.which {
        let (_, function) = engine.scripts.functions().find(name).ok_or(lua::Error::NoFunction)?;
        let flags = function.flags;
        let mode = admit(engine, flags, script.mode, ground)?;
        return on_ground(engine, Script { mode, ..script }, db, out, ground, |script, out, ground| {
            let run =
                |interpreter: &mut Interpreter| run_in(interpreter, engine, flags, script, db, out, ground);
            engine.scripts.with_libraries(run).unwrap_or(Err(Refused::Busy))
        });
    }
    engine.scripts.with_interpreter(|interpreter| {
        let (flags, habit) = known_in(&mut interpreter.lua, script.which)?;
        let mode = admit(engine, flags, script.mode, ground)?;
        let script = Script { mode, ..script };
        if habit == Habit::Reads && may_begin_again(engine, &script, ground) {
            let _still = engine.keyspace.still();
            let ground = &mut Ground::Still(engine.keyspace.clock().now());
            let script = Script { rehearses: true, ..script };
            match run_in(interpreter, engine, flags, script, db, &mut Answer(out), ground) {
                Err(Refused::Script(lua::Error::GivenUp)) => {}
                done => return done,
            }
        }
        on_ground(engine, script, db, out, ground, |script, out, ground| {
            run_in(interpreter, engine, flags, script, db, out, ground)
        })
    })
}

/// Whether a script that has only read so far can run as a reader, beside others, and once more from its beginning if it
/// then wants to write: nobody may have seen anything of the first run.
fn may_begin_again(engine: &Engine, script: &Script<'_>, ground: &Ground<'_, '_>) -> bool {
    matches!(ground, Ground::Free)
        && script.mode == Mode::May
        && engine.is_writable()
        // What they lack is logged.
        && script.user.is_none_or(User::is_unlimited)
        && !engine.observed.monitors.any()
}

/// Has an admitted script go on ground that is held, or on such that it needs.
fn on_ground<'s>(
    engine: &Arc<Engine>,
    script: Script<'s>,
    db: u32,
    out: &mut RespReply<'_>,
    ground: &mut Ground<'_, '_>,
    go: impl FnOnce(Script<'s>, &mut dyn ScriptReply, &mut Ground<'_, '_>) -> Result<(), Refused>,
) -> Result<(), Refused> {
    match ground {
        Ground::Free if engine.is_writable() && script.mode == Mode::May => {
            let mut writing = engine.lock_writing().map_err(Refused::Command)?;
            let result = engine.transact_in(&mut writing, &ShardSet::none(), db, |txn| {
                go(script, &mut Answer(out), &mut Ground::Txn(txn))
            });
            engine.serve_blocked(&mut writing);
            result
        }
        Ground::Free => {
            let _still = engine.keyspace.still();
            go(script, &mut Answer(out), &mut Ground::Still(engine.keyspace.clock().now()))
        }
        held => go(script, &mut Answer(out), held),
    }
}

/// Why a script was not run, or failed.
#[derive(Debug)]
pub(crate) enum Refused {
    Script(lua::Error),
    /// The whole line.
    Line(&'static str),
    /// As any command would be.
    Command(CommandError),
    /// Another function does not end.
    Busy,
}

impl From<lua::Error> for Refused {
    fn from(error: lua::Error) -> Self {
        Self::Script(error)
    }
}

/// What the script says about itself.
pub(crate) fn flags(engine: &Engine, which: Which<'_>) -> Result<lua::Flags, lua::Error> {
    engine.scripts.with(|interpreter| Ok(known_in(interpreter, which)?.0))
}

/// The same, of the script or function that a command names; `None` if there is none, or it does not compile.
pub(crate) fn declared(engine: &Engine, command: &str, args: Args<'_>) -> Option<lua::Flags> {
    let which = match command {
        "eval" | "eval_ro" => Which::Source(args.at(1)),
        "evalsha" | "evalsha_ro" => Which::Digest(lua::Digest::from_hex(args.at(1))),
        _ => Which::Function(args.at(1)),
    };
    flags(engine, which).ok()
}

/// The same, and what it has done so far.
fn known_in(interpreter: &mut lua::Engine, which: Which<'_>) -> Result<(lua::Flags, Habit), lua::Error> {
    match which {
        Which::Function(name) => {
            let (_, function) = interpreter.functions().find(name).ok_or(lua::Error::NoFunction)?;
            Ok((function.flags, Habit::Unknown))
        }
        Which::Digest(digest) => interpreter.known(digest.ok_or(lua::Error::NoScript)?),
        // Most scripts say nothing, and need not be looked at twice.
        Which::Source(source) if !source.starts_with(b"#!") => Ok(Default::default()),
        Which::Source(source) => Ok((interpreter.script(source)?.flags(), Habit::Unknown)),
    }
}

/// Whether a script with these flags may run here, and whether it may write.
fn admit(engine: &Engine, flags: lua::Flags, mode: Mode, ground: &Ground<'_, '_>) -> Result<Mode, Refused> {
    if !flags.declared {
        return Ok(mode);
    }
    if flags.no_writes {
        return Ok(Mode::ReadOnly);
    }
    if !engine.is_writable() && !matches!(ground, Ground::Txn(_)) {
        return Err(Refused::Line("READONLY You can't write against a read only replica."));
    }
    if mode == Mode::ReadOnly {
        return Err(Refused::Line("ERR Can not execute a script with write flag using *_ro command."));
    }
    if !flags.allow_oom && engine.is_writable() && engine.is_over_limit() {
        return Err(Refused::Line("OOM command not allowed when used memory > 'maxmemory'."));
    }
    Ok(mode)
}

/// Runs an admitted script on ground that is held.
fn run_in(
    interpreter: &mut Interpreter,
    engine: &Arc<Engine>,
    flags: lua::Flags,
    script: Script<'_>,
    db: u32,
    out: &mut dyn ScriptReply,
    ground: &mut Ground<'_, '_>,
) -> Result<(), Refused> {
    // Commands that need room are refused then.
    let is_full = !flags.allow_oom && engine.is_writable() && engine.is_over_limit();
    Ok(run_with(interpreter, engine, script, db, out, ground, is_full)?)
}

fn run_with(
    interpreter: &mut Interpreter,
    engine: &Arc<Engine>,
    script: Script<'_>,
    db: u32,
    out: &mut dyn ScriptReply,
    ground: &mut Ground<'_, '_>,
    is_full: bool,
) -> Result<(), lua::Error> {
    let Script { which, keys, argv, mode, user, client, tracks, command, start, rehearses } = script;
    let Interpreter { lua, seat, .. } = interpreter;
    let function = matches!(which, Which::Function(_)).then_some(command);
    yielding::begin();
    let turn = &seat.begin(function);
    // Who comes now learns that he has to wait, and for how long already.
    let _alone = matches!(ground, Ground::Txn(_)).then(|| engine.scripts.running.alone(start));
    let user = user.filter(|user| !user.is_unlimited());
    let (now, dirty) = match &ground {
        Ground::Txn(txn) => (txn.now(), txn.dirty()),
        Ground::Still(now) => (*now, 0),
        Ground::Free => (engine.keyspace.clock().now(), 0),
    };
    let mut call = DataCall {
        engine,
        db,
        mode,
        user,
        client,
        tracks,
        ground,
        turn,
        now,
        rehearses,
        acts: false,
        told: true,
        is_full,
        dirty,
    };
    match which {
        Which::Source(source) => lua.eval(source, keys, argv, &mut call, out),
        Which::Digest(digest) => {
            let digest = digest.ok_or(lua::Error::NoScript)?;
            let result = lua.eval_digest(digest, keys, argv, &mut call, out);
            // A reader that stays one has nothing new to say.
            if call.acts || !rehearses && result.is_ok() {
                let only_read = !call.acts;
                lua.note(digest, only_read);
            }
            result
        }
        Which::Function(name) => lua.fcall(name, keys, argv, &mut call, out),
    }
}

/// For scripts whose result nobody waits for: those of a primary's stream.
struct Nobody;

impl ScriptReply for Nobody {
    fn null(&mut self) {}
    fn simple(&mut self, _: &[u8]) {}
    fn error(&mut self, _: &[u8]) {}
    fn bulk(&mut self, _: &[u8]) {}
    fn integer(&mut self, _: i64) {}
    fn double(&mut self, _: f64) {}
    fn boolean(&mut self, _: bool) {}
    fn aggregate(&mut self, _: lua::Aggregate, _: usize) {}
}

/// Whether a command of the stream is for scripts and functions: it may touch any key.
pub(crate) fn is_of_stream(args: Args<'_>) -> bool {
    ["eval", "evalsha", "fcall", "script", "function"].iter().any(|name| args.is(0, name))
}

/// Applies what a primary says about scripts: those that it passes on as they are (6.x with
/// `lua-replicate-commands no`), and libraries of functions.
pub(crate) fn apply(engine: &Arc<Engine>, txn: &mut Txn<'_>, db: u32, args: Args<'_>) -> CommandResult {
    let failed =
        |error: lua::Error| CommandError::Coded(String::from_utf8_lossy(&error.line()).into_owned().into());
    if args.is(0, "function") {
        return functions::apply(engine, args);
    }
    if args.is(0, "script") {
        if args.is(1, "load") && args.len() == 3 {
            engine.scripts.with(|interpreter| interpreter.load(args.at(2))).map_err(failed)?;
        } else if args.is(1, "flush") {
            engine.scripts.flush();
        }
        return Ok(());
    }
    let count = usize::try_from(args.int(2)?).ok().filter(|count| *count <= args.len() - 3);
    let count =
        count.ok_or_else(|| CommandError::err("Number of keys can't be greater than number of args"))?;
    let (keys, argv) = args.from(3).split_at(count);
    let which = match () {
        () if args.is(0, "eval") => {
            // It may come again by its digest alone: it stays.
            engine.scripts.with(|interpreter| interpreter.load(args.at(1))).map_err(failed)?;
            Which::Source(args.at(1))
        }
        () if args.is(0, "evalsha") => Which::Digest(lua::Digest::from_hex(args.at(1))),
        () => Which::Function(args.at(1)),
    };
    let script = Script {
        which,
        keys,
        argv,
        mode: Mode::May,
        user: None,
        client: 0,
        tracks: false,
        start: Instant::now(),
        command: args.all(),
        rehearses: false,
    };
    let ground = &mut Ground::Txn(txn);
    let run =
        |interpreter: &mut Interpreter| run_with(interpreter, engine, script, db, &mut Nobody, ground, false);
    let result = match which {
        // Nobody else can have it: who runs a function holds the data, and here that is the stream.
        Which::Function(_) => engine.scripts.with_libraries(run).unwrap_or(Err(lua::Error::NoFunction)),
        _ => engine.scripts.with_interpreter(run),
    };
    match result {
        // It failed at the primary too, at the same place.
        Ok(()) | Err(lua::Error::Script(_)) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// `redis.call`, by the same rows that clients use.
struct DataCall<'c, 'a, 'k> {
    engine: &'c Arc<Engine>,
    db: u32,
    mode: Mode,
    /// Whose rights it has, if not all.
    user: Option<&'c User>,
    client: u64,
    tracks: bool,
    ground: &'c mut Ground<'a, 'k>,
    turn: &'c Turn<'c>,
    /// The time that the script sees, which stands still.
    now: i64,
    rehearses: bool,
    /// Whether it has done so, or would have.
    acts: bool,
    /// Whether replicas are told of writes.
    told: bool,
    /// Whether there was no room when the script began, and what had been changed then.
    is_full: bool,
    dirty: u64,
}

impl DataCall<'_, '_, '_> {
    /// Whether the script has changed anything: then it may as well finish.
    fn has_written(&self) -> bool {
        matches!(&self.ground, Ground::Txn(txn) if txn.dirty() != self.dirty)
    }

    fn run(&mut self, row: &Command, args: Args<'_>, out: &mut ReplyBuilder<'_>) {
        let mut reply = StoreReply::new(out, self.engine.compat().differences().doubles);
        let result = match self.ground {
            Ground::Txn(txn) => {
                if row.is_write() {
                    self.turn.writes();
                }
                let mut set = ShardSet::none();
                row.add_shards(&self.engine.keyspace, self.db, args, &mut set);
                txn.hold(&set);
                txn.select(self.db);
                let before = txn.effects();
                let result = row.write(txn, args, &mut reply);
                if !self.told {
                    txn.forget_effects(before);
                }
                result
            }
            Ground::Free | Ground::Still(_) => {
                let (result, met) = self.engine.read_at(row, self.db, args, &mut reply, Some(self.now));
                if met && self.rehearses {
                    // It is to go, which is a write.
                    return out.give_up();
                }
                result
            }
        };
        if let Err(error) = result {
            reply.error(&error);
        }
        if self.tracks && !row.is_write() {
            self.engine.remember_reads(self.client, row.name, args);
        }
    }

    /// Commands of the connection that a script may use.
    fn connection(&mut self, args: Args<'_>, out: &mut ReplyBuilder<'_>) {
        if args.is(0, "ping") && args.len() <= 2 {
            match args.get(1) {
                None => out.simple(b"PONG"),
                Some(text) => out.bulk(text),
            }
        } else if args.is(0, "echo") && args.len() == 2 {
            out.bulk(args.at(1));
        } else if args.is(0, "time") && args.len() == 1 {
            let keyspace = &self.engine.keyspace;
            let goes_on = keyspace.compat().differences().scripts_see_time;
            let micros = if goes_on { keyspace.clock().now() } else { self.now } * 1000;
            out.array(2);
            out.bulk((micros / 1_000_000).to_string().as_bytes());
            out.bulk((micros % 1_000_000).to_string().as_bytes());
        } else if self.may_act() {
            let before = if let Ground::Txn(txn) = self.ground { Some(txn.effects()) } else { None };
            let may_write = self.mode == Mode::May;
            scripted::call(self.engine, &mut self.db, args, out, self.ground, may_write);
            if let (false, Ground::Txn(txn), Some(before)) = (self.told, &mut *self.ground, before) {
                txn.forget_effects(before);
            }
        } else {
            out.give_up();
        }
    }
}

impl DataCall<'_, '_, '_> {
    /// Whether the script may go on and do more than read.
    fn may_act(&mut self) -> bool {
        self.acts = true;
        !self.rehearses
    }

    /// Whether the user may run this; the refusal goes to `out`.
    fn permits(&self, args: Args<'_>, out: &mut ReplyBuilder<'_>) -> bool {
        let Some(user) = self.user else { return true };
        let compat = self.engine.compat();
        let Some(found) = Found::named(compat, args) else { return true };
        if found.check_arity(args).is_err() || found.flags().has(Flags::NOSCRIPT) {
            return true;
        }
        let Err(denied) = user.check(compat, found.name(), args, self.db) else { return true };
        self.engine.log_refusal(self.client, "lua", user, found.name(), args, denied);
        let text = connection::acl::script_denial(compat, user, found.name(), denied);
        out.error(text.as_bytes());
        false
    }
}

impl Call for DataCall<'_, '_, '_> {
    fn call(&mut self, args: &[&[u8]], out: &mut ReplyBuilder<'_>) {
        let args = Args::new(args);
        if !self.permits(args, out) {
            return;
        }
        let monitors = &self.engine.observed.monitors;
        if monitors.any() {
            monitors.tell(&observed::monitor_line(self.db, Teller::Script, args));
        }
        let Some(row) = command::find_for(self.engine.compat(), args) else {
            return self.connection(args, out);
        };
        let lacks_room = self.is_full && row.flags.has(Flags::DENYOOM) && !self.has_written();
        if row.check_arity(args).is_err() {
            out.refuse(Refusal::WrongArity);
        } else if row.flags.has(Flags::NOSCRIPT) {
            out.refuse(Refusal::NotAllowed);
        } else if lacks_room && self.engine.compat().differences().scripts_need_room_first {
            out.error_display(&OOM);
        } else if (row.is_write() || row.flags.has(Flags::MAY_REPLICATE)) && self.mode == Mode::ReadOnly {
            out.refuse(Refusal::ReadOnlyScript);
        } else if (row.is_write() || row.flags.has(Flags::MAY_REPLICATE)) && !self.may_act() {
            out.give_up();
        } else if row.is_write() && !matches!(self.ground, Ground::Txn(_)) {
            out.error(b"READONLY You can't write against a read only replica.");
        } else if !matches!(self.ground, Ground::Txn(_))
            && !row.flags.has(Flags::STALE)
            && self.engine.is_stale()
        {
            out.error(b"ERR Can not execute the command on a stale replica");
        } else if lacks_room {
            out.error_display(&OOM);
        } else {
            self.run(row, args, out);
        }
    }

    fn set_replication(&mut self, to_replicas: bool) {
        self.told = to_replicas;
    }

    fn may_be_seen(&mut self) -> bool {
        self.may_act()
    }

    fn may_call(&mut self, args: &[&[u8]]) -> Verdict {
        let (compat, args) = (self.engine.compat(), Args::new(args));
        let Some(found) = Found::named(compat, args) else {
            // What only the real servers have.
            let known = scripted::description_of(compat, args).is_some();
            return if known { Verdict::Yes } else { Verdict::Unknown };
        };
        let denied = self.user.is_some_and(|user| user.check(compat, found.name(), args, self.db).is_err());
        if denied { Verdict::No } else { Verdict::Yes }
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
