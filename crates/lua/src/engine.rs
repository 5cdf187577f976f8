//! One interpreter and the scripts it has compiled.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::answer::ScriptReply;
use crate::call::Call;
use crate::current::{self, Current, Run};
use crate::error::{Error, Stop, one_line};
use crate::fcall::Loaded;
use crate::functions::Functions;
use crate::host::Host;
use crate::limit::KillSwitch;
use crate::options::Options;
use crate::raw::{Failed, Frame, Kept, State};
use crate::result;
use crate::sandbox::{self, Sandbox, World};
use crate::script::{Digest, DigestHasher, Habit, Origin, Script, Scripts, Stats};
use crate::shebang::Flags;

/// Runs scripts, one at a time. `Send`, so that a pool can hand it around.
///
/// Building one costs a few hundred microseconds; a cached script runs in well under one.
pub struct Engine {
    pub(crate) options: Options,
    scripts: Arc<Scripts>,
    pub(crate) functions: Arc<Functions>,
    pub(crate) loaded: Option<Loaded>,
    compiled: HashMap<Digest, Compiled, DigestHasher>,
    /// The one that was asked for last: most are asked for again.
    recent: Option<Compiled>,
    generation: u64,
    switch: KillSwitch,
    sandbox: Sandbox,
    pub(crate) run: Run,
}

#[derive(Clone)]
struct Compiled {
    script: Arc<Script>,
    function: Kept,
}

impl Engine {
    /// An engine with a script cache of its own.
    pub fn new(options: Options) -> Result<Self, Error> {
        let scripts = match options.max_scripts {
            Some(bound) => Scripts::bounded(bound),
            None => Scripts::new(),
        };
        Self::with_scripts(options, Arc::new(scripts))
    }

    /// An engine of a pool: what one loads, all can run.
    pub fn with_scripts(options: Options, scripts: Arc<Scripts>) -> Result<Self, Error> {
        Self::with_shared(options, scripts, Arc::default())
    }

    /// As [`Engine::with_scripts`], with shared libraries of functions.
    pub fn with_shared(
        options: Options,
        scripts: Arc<Scripts>,
        functions: Arc<Functions>,
    ) -> Result<Self, Error> {
        let switch = KillSwitch::default();
        let host = Host::new(options.clone(), switch.clone(), Arc::clone(&scripts.cjson));
        let sandbox = sandbox::build(host, World::Scripts)?;
        Ok(Self {
            functions,
            loaded: None,
            generation: scripts.generation(),
            options,
            scripts,
            compiled: HashMap::default(),
            recent: None,
            switch,
            sandbox,
            run: Run::default(),
        })
    }

    /// Ends the running script from another thread.
    pub fn kill_switch(&self) -> KillSwitch {
        self.switch.clone()
    }

    /// The libraries of functions.
    pub fn functions(&self) -> &Arc<Functions> {
        &self.functions
    }

    /// The sources, for SCRIPT EXISTS and FLUSH from elsewhere.
    pub fn scripts(&self) -> &Arc<Scripts> {
        &self.scripts
    }

    /// EVAL: compiles `source` unless it is known, and runs it. On `Err` nothing was written to `out`; the
    /// answer to the client is [`Error::line`].
    pub fn eval(
        &mut self,
        source: &[u8],
        keys: &[&[u8]],
        args: &[&[u8]],
        call: &mut dyn Call,
        out: &mut dyn ScriptReply,
    ) -> Result<(), Error> {
        let digest = self.prepare(source, Origin::Eval)?;
        self.eval_digest(digest, keys, args, call, out)
    }

    /// EVALSHA: as [`Engine::eval`], by the 40 hexadecimal digits that [`Engine::load`] answers.
    pub fn eval_sha(
        &mut self,
        hex: &[u8],
        keys: &[&[u8]],
        args: &[&[u8]],
        call: &mut dyn Call,
        out: &mut dyn ScriptReply,
    ) -> Result<(), Error> {
        self.eval_digest(Digest::from_hex(hex).ok_or(Error::NoScript)?, keys, args, call, out)
    }

    /// What the known script of this digest declares, and what it has done so far, for callers that look before they run
    /// it.
    pub fn known(&mut self, digest: Digest) -> Result<(Flags, Habit), Error> {
        let script = &self.ready(digest)?.script;
        Ok((script.flags(), script.habit()))
    }

    /// Notes for [`known`](Self::known) what a run of this script has done.
    pub fn note(&mut self, digest: Digest, only_read: bool) {
        if let Ok(compiled) = self.ready(digest) {
            compiled.script.note(only_read);
        }
    }

    /// The script of `source`, compiled; for callers that look at its [`Script::flags`] before they run it.
    pub fn script(&mut self, source: &[u8]) -> Result<Arc<Script>, Error> {
        let digest = self.prepare(source, Origin::Eval)?;
        self.compiled.get(&digest).map(|compiled| Arc::clone(&compiled.script)).ok_or(Error::NoScript)
    }

    /// SCRIPT LOAD: compiles and keeps `source`; answers its digest in hexadecimal.
    pub fn load(&mut self, source: &[u8]) -> Result<String, Error> {
        Ok(self.prepare(source, Origin::Load)?.to_hex())
    }

    /// SCRIPT EXISTS, for one digest.
    pub fn exists(&self, hex: &[u8]) -> bool {
        self.scripts.exists(hex)
    }

    /// SCRIPT FLUSH: forgets all scripts and frees their memory.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.scripts.flush();
        self.drop_dead_scripts();
        self.sandbox.state.collect();
        Ok(())
    }

    /// Counters of the cache.
    pub fn stats(&self) -> Stats {
        self.scripts.stats()
    }

    /// Bytes that the interpreter of scripts holds.
    pub fn used_memory(&self) -> usize {
        self.sandbox.state.memory().used()
    }

    /// Bytes that the interpreter of functions holds; there is none until a function is first needed.
    pub fn used_by_functions(&self) -> usize {
        self.loaded.as_ref().map_or(0, |loaded| loaded.sandbox.state.memory().used())
    }

    /// Lets go of the interpreter of functions, for instance after FUNCTION FLUSH: the next call makes another.
    pub fn release_functions(&mut self) {
        self.loaded = None;
    }

    fn prepare(&mut self, source: &[u8], origin: Origin) -> Result<Digest, Error> {
        self.drop_dead_scripts();
        let digest = Digest::of(source);
        if let Some(compiled) = self.compiled.get(&digest) {
            if origin == Origin::Load {
                self.scripts.hold(&compiled.script);
            }
        } else {
            let script = self.scripts.insert(digest, source, origin, &self.options.flavour)?;
            self.compile(script)?;
            // The insertion may have evicted what another of ours stood for.
            self.drop_dead_scripts();
        }
        Ok(digest)
    }

    /// A known script, compiled.
    #[inline]
    fn ready(&mut self, digest: Digest) -> Result<&Compiled, Error> {
        self.drop_dead_scripts();
        if self.recent.as_ref().is_none_or(|recent| recent.script.digest() != digest) {
            if !self.compiled.contains_key(&digest) {
                let script = self.scripts.find(digest).ok_or(Error::NoScript)?;
                self.compile(script)?;
            }
            self.recent = self.compiled.get(&digest).cloned();
        }
        self.recent.as_ref().ok_or(Error::NoScript)
    }

    fn compile(&mut self, script: Arc<Script>) -> Result<(), Error> {
        let state = &mut self.sandbox.state;
        if state.compile(script.body(), b"@user_script").is_ok() {
            let function = state.keep();
            self.compiled.insert(script.digest(), Compiled { script, function });
            return Ok(());
        }
        let mut frame = state.frame();
        let message = String::from_utf8_lossy(frame.text(-1).unwrap_or_default()).into_owned();
        frame.pop(1);
        self.scripts.forget(&script);
        Err(Error::Compile(message))
    }

    fn drop_dead_scripts(&mut self) {
        let generation = self.scripts.generation();
        if generation != self.generation {
            self.generation = generation;
            self.recent = None;
            let state = &mut self.sandbox.state;
            self.compiled.retain(|_, compiled| {
                let alive = compiled.script.alive.load(Ordering::Relaxed);
                if !alive {
                    state.forget(compiled.function);
                }
                alive
            });
        }
    }

    /// As [`Engine::eval_sha`], by the digest itself.
    pub fn eval_digest(
        &mut self,
        digest: Digest,
        keys: &[&[u8]],
        args: &[&[u8]],
        call: &mut dyn Call,
        out: &mut dyn ScriptReply,
    ) -> Result<(), Error> {
        let compiled = self.ready(digest)?;
        let function = compiled.function;
        if let Some(recent) = &self.recent {
            self.scripts.touch(&recent.script);
        }
        let Sandbox { state, globals, lists, .. } = &mut self.sandbox;
        state.push_kept(*globals);
        for (name, list) in lists.iter().zip([keys, args]) {
            state.push_kept(*name);
            let mut frame = state.frame();
            push_list(&mut frame, list);
            frame.set_pair(-3);
        }
        state.frame().cut(0);
        self.arm(None);
        let Sandbox { state, handler, .. } = &mut self.sandbox;
        state.push_kept(function);
        let run = &mut self.run;
        let random = run.random;
        let ended = current::enter(Current { call, run }, || state.run(0, 1, Some(*handler)));
        match finish(state, ended, run.resp3, out) {
            Ok(()) => {
                self.make_room(World::Scripts);
                Ok(())
            }
            Err(End { stopped: Some(Stop::GivenUp), .. }) => {
                // As if it had never begun.
                run.random = random;
                run.fault = None;
                self.make_room(World::Scripts);
                Err(Error::GivenUp)
            }
            Err(end) => Err(self.failure(&digest.to_hex(), end, World::Scripts)),
        }
    }

    /// Runs a function's callback; as [`Engine::eval`] does a script.
    pub(crate) fn call_function(
        &mut self,
        name: &str,
        callback: Kept,
        lists: [&[&[u8]]; 2],
        call: &mut dyn Call,
        out: &mut dyn ScriptReply,
    ) -> Result<(), Error> {
        self.arm(None);
        let Some(loaded) = &mut self.loaded else { return Err(Error::NoFunction) };
        let Sandbox { state, handler, .. } = &mut loaded.sandbox;
        state.push_kept(callback);
        let mut frame = state.frame();
        lists.iter().for_each(|list| push_list(&mut frame, list));
        let run = &mut self.run;
        let ended = current::enter(Current { call, run }, || state.run(2, 1, Some(*handler)));
        match finish(state, ended, run.resp3, out) {
            Ok(()) => {
                self.make_room(World::Functions);
                Ok(())
            }
            Err(end) => Err(self.failure(name, end, World::Functions)),
        }
    }

    /// A run begins, which may take the time that the options say, and at most `most`.
    pub(crate) fn arm(&mut self, most: Option<Duration>) {
        self.run.resp3 = false;
        self.run.fault = None;
        let limit = self.options.time_limit.as_ref().map(|(limit, _)| *limit).into_iter().chain(most).min();
        let deadline = limit.zip(self.options.clock()).map(|(limit, clock)| clock().saturating_add(limit));
        self.switch.arm(deadline);
    }

    /// What the handler saw, as the line for the client.
    fn failure(&mut self, name: &str, End { stopped, bare }: End, world: World) -> Error {
        self.make_room(world);
        let flavour = &self.options.flavour;
        let named = if flavour.named_errors { format!(" {name},") } else { String::new() };
        let Some(fault) = self.run.fault.take() else {
            let mut line = bare.unwrap_or_else(|| b"ERR error in error handling".to_vec());
            line.extend_from_slice(format!(" script: {name}").as_bytes());
            one_line(&mut line);
            return Error::Script(line);
        };
        let mut line = match stopped {
            Some(Stop::Killed) => {
                format!("ERR {}", flavour.killed[usize::from(world == World::Functions)]).into_bytes()
            }
            Some(Stop::TimeLimit) => b"ERR Script ran longer than the time limit.".to_vec(),
            Some(Stop::GivenUp) => Error::GivenUp.line().into_owned(),
            None => fault.line,
        };
        if let Some((source, at)) = fault.place {
            line.extend_from_slice(format!(" script:{named} on {source}:{at}.").as_bytes());
        }
        one_line(&mut line);
        match stopped {
            Some(Stop::Killed) => Error::Killed(line),
            Some(Stop::TimeLimit) => Error::TimeLimit(line),
            Some(Stop::GivenUp) => Error::GivenUp,
            None => Error::Script(line),
        }
    }

    /// Lua 5.1 does not collect when an allocation fails, so garbage must not come near the limit: makes room, or
    /// begins anew if what is held cannot be collected.
    fn make_room(&mut self, world: World) {
        let half = self.options.memory_limit / 2;
        let is_full = |sandbox: &Sandbox| half > 0 && sandbox.state.memory().used() > half;
        let stays_full = |sandbox: &mut Sandbox| {
            is_full(sandbox) && {
                sandbox.state.collect();
                is_full(sandbox)
            }
        };
        match world {
            World::Functions => {
                if self.loaded.as_mut().is_some_and(|loaded| stays_full(&mut loaded.sandbox)) {
                    self.loaded = None;
                }
            }
            World::Scripts => {
                if stays_full(&mut self.sandbox)
                    && let Ok(sandbox) = self.new_sandbox(World::Scripts)
                {
                    self.compiled.clear();
                    self.recent = None;
                    self.sandbox = sandbox;
                }
            }
        }
    }

    pub(crate) fn new_sandbox(&self, world: World) -> Result<Sandbox, Error> {
        let host = Host::new(self.options.clone(), self.switch.clone(), Arc::clone(&self.scripts.cjson));
        sandbox::build(host, world)
    }
}

/// How a run ended that has no result.
struct End {
    stopped: Option<Stop>,
    /// The error's text, for the case that no handler saw it.
    bare: Option<Vec<u8>>,
}

/// Writes the result of a run, if it has one, and leaves an empty stack.
fn finish(
    state: &mut State,
    ended: Result<(), Failed>,
    resp3: bool,
    out: &mut dyn ScriptReply,
) -> Result<(), End> {
    let stopped = state.take_stop();
    let mut frame = state.frame();
    let end = match ended {
        Ok(()) => {
            result::write(&mut frame, resp3, out);
            Ok(())
        }
        Err(Failed) => {
            let bare = frame.to_text(-1).map(|text| [b"ERR ", &text[..]].concat());
            Err(End { stopped, bare })
        }
    };
    frame.cut(0);
    end
}

/// Pushes texts as a list.
fn push_list(frame: &mut Frame<'_>, list: &[&[u8]]) {
    frame.push_table(list.len(), 0);
    for (index, bytes) in list.iter().enumerate() {
        frame.push_bytes(bytes);
        frame.set_index(-2, index + 1);
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("options", &self.options)
            .field("compiled", &self.compiled.len())
            .finish_non_exhaustive()
    }
}
