//! One interpreter and the scripts it has compiled.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mlua::{Function, Value};

use crate::answer::{self, ScriptReply};
use crate::call::Call;
use crate::current::{self, Current, Fault, Run};
use crate::error::{Error, Stop, one_line};
use crate::limit::KillSwitch;
use crate::options::Options;
use crate::sandbox::{self, Sandbox};
use crate::script::{Digest, DigestHasher, Script, Scripts, Stats};

/// Runs scripts, one at a time. `Send`, so that a pool can hand it around.
///
/// Building one costs a few hundred microseconds; a cached script runs in well under one.
pub struct Engine {
    options: Options,
    scripts: Arc<Scripts>,
    compiled: HashMap<Digest, Compiled, DigestHasher>,
    generation: u64,
    switch: KillSwitch,
    sandbox: Sandbox,
    state: Run,
}

struct Compiled {
    script: Arc<Script>,
    function: Function,
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
        let switch = KillSwitch::default();
        let sandbox = sandbox::build(&options, &switch)?;
        Ok(Self {
            generation: scripts.generation(),
            options,
            scripts,
            compiled: HashMap::default(),
            switch,
            sandbox,
            state: Run::default(),
        })
    }

    /// Ends the running script from another thread.
    pub fn kill_switch(&self) -> KillSwitch {
        self.switch.clone()
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
        let digest = self.prepare(source)?;
        self.run_compiled(digest, keys, args, call, out)
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
        let digest = Digest::from_hex(hex).ok_or(Error::NoScript)?;
        self.drop_dead_scripts();
        if !self.compiled.contains_key(&digest) {
            let script = self.scripts.find(digest).ok_or(Error::NoScript)?;
            self.compile(script)?;
        }
        self.run_compiled(digest, keys, args, call, out)
    }

    /// The script of `source`, compiled; for callers that look at its [`Script::flags`] before they run it.
    pub fn script(&mut self, source: &[u8]) -> Result<Arc<Script>, Error> {
        let digest = self.prepare(source)?;
        self.compiled.get(&digest).map(|compiled| Arc::clone(&compiled.script)).ok_or(Error::NoScript)
    }

    /// SCRIPT LOAD: compiles and keeps `source`; answers its digest in hexadecimal.
    pub fn load(&mut self, source: &[u8]) -> Result<String, Error> {
        Ok(self.prepare(source)?.to_hex())
    }

    /// SCRIPT EXISTS, for one digest.
    pub fn exists(&self, hex: &[u8]) -> bool {
        self.scripts.exists(hex)
    }

    /// SCRIPT FLUSH: forgets all scripts and frees their memory.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.scripts.flush();
        self.drop_dead_scripts();
        Ok(self.sandbox.lua.gc_collect()?)
    }

    /// Counters of the cache.
    pub fn stats(&self) -> Stats {
        self.scripts.stats()
    }

    /// Bytes that the interpreter holds.
    pub fn used_memory(&self) -> usize {
        self.sandbox.lua.used_memory()
    }

    fn prepare(&mut self, source: &[u8]) -> Result<Digest, Error> {
        self.drop_dead_scripts();
        let digest = Digest::of(source);
        if !self.compiled.contains_key(&digest) {
            let script = self.scripts.insert(digest, source)?;
            self.compile(script)?;
            // The insertion may have evicted what another of ours stood for.
            self.drop_dead_scripts();
        }
        Ok(digest)
    }

    fn compile(&mut self, script: Arc<Script>) -> Result<(), Error> {
        match sandbox::compile(&self.sandbox.lua, script.body(), "@user_script") {
            Ok(function) => {
                self.compiled.insert(script.digest(), Compiled { script, function });
                Ok(())
            }
            Err(error) => {
                self.scripts.forget(&script);
                Err(Error::Compile(sandbox::syntax_message(&error)))
            }
        }
    }

    fn drop_dead_scripts(&mut self) {
        let generation = self.scripts.generation();
        if generation != self.generation {
            self.generation = generation;
            self.compiled.retain(|_, compiled| compiled.script.alive.load(Ordering::Relaxed));
        }
    }

    fn run_compiled(
        &mut self,
        digest: Digest,
        keys: &[&[u8]],
        args: &[&[u8]],
        call: &mut dyn Call,
        out: &mut dyn ScriptReply,
    ) -> Result<(), Error> {
        let Some(compiled) = self.compiled.get(&digest) else { return Err(Error::NoScript) };
        self.scripts.touch(&compiled.script);
        let keys = self.sandbox.lua.create_sequence_from(keys.iter().map(|key| sandbox::argument(key)))?;
        let argv = self.sandbox.lua.create_sequence_from(args.iter().map(|arg| sandbox::argument(arg)))?;
        self.sandbox.set_arguments(keys, argv)?;
        let function = &compiled.function;
        self.state.resp3 = false;
        self.state.fault = None;
        self.switch
            .arm(self.options.time_limit.as_ref().map(|(limit, clock)| clock().saturating_add(*limit)));
        if self.options.memory_limit > 0 {
            self.sandbox.lua.set_memory_limit(self.options.memory_limit)?;
        }
        let (sandbox, run) = (&self.sandbox, &mut self.state);
        let ended = current::enter(Current { call, run }, || sandbox.run(function));
        self.lift_limit()?;
        match ended {
            Ok((true, value)) => {
                answer::write(&value, self.state.resp3, out)?;
                Ok(())
            }
            Ok((false, value)) => Err(self.failure(digest, Some(&value))),
            Err(error) => Err(self.failure(digest, Some(&Value::Error(Box::new(error))))),
        }
    }

    /// What the handler saw, as the line for the client.
    fn failure(&mut self, digest: Digest, bare: Option<&Value>) -> Error {
        let name = digest.to_hex();
        match self.state.fault.take() {
            Some(Fault::Stopped(Stop::Killed)) => Error::Killed(format!("f_{name}")),
            Some(Fault::Stopped(Stop::TimeLimit)) => Error::TimeLimit(format!("f_{name}")),
            Some(Fault::Message(mut line, place)) => {
                if let Some((source, at)) = place {
                    line.extend_from_slice(format!(" script: {name}, on {source}:{at}.").as_bytes());
                }
                one_line(&mut line);
                Error::Script(line)
            }
            None => {
                let mut line = bare.map_or_else(|| b"ERR unknown error".to_vec(), sandbox::bare_text);
                line.extend_from_slice(format!(" script: {name}").as_bytes());
                one_line(&mut line);
                // Most likely memory: make room, or begin anew if what is held cannot be collected.
                self.recover();
                Error::Script(line)
            }
        }
    }

    fn recover(&mut self) {
        let limit = self.options.memory_limit;
        let collected = self.sandbox.lua.gc_collect().is_ok();
        if collected && (limit == 0 || self.sandbox.lua.used_memory() < limit / 2) {
            return;
        }
        if let Ok(sandbox) = sandbox::build(&self.options, &self.switch) {
            self.compiled.clear();
            self.sandbox = sandbox;
        }
    }

    /// Between runs Rust allocates in the interpreter without Lua's protection, so no limit may fail it.
    fn lift_limit(&self) -> Result<(), Error> {
        if self.options.memory_limit > 0 {
            self.sandbox.lua.set_memory_limit(0)?;
        }
        Ok(())
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
