//! One interpreter and the scripts it has compiled.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::answer::{self, ScriptReply};
use crate::call::Call;
use crate::current::{self, Current, Run};
use crate::error::{Error, Stop, one_line};
use crate::host::Host;
use crate::limit::KillSwitch;
use crate::options::Options;
use crate::raw::Kept;
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
    run: Run,
}

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
        let switch = KillSwitch::default();
        let host = Host::new(options.clone(), switch.clone(), Arc::clone(&scripts.cjson));
        let sandbox = sandbox::build(host)?;
        Ok(Self {
            generation: scripts.generation(),
            options,
            scripts,
            compiled: HashMap::default(),
            switch,
            sandbox,
            run: Run::default(),
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
        self.ready(digest)?;
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
        self.sandbox.state.collect();
        Ok(())
    }

    /// Counters of the cache.
    pub fn stats(&self) -> Stats {
        self.scripts.stats()
    }

    /// Bytes that the interpreter holds.
    pub fn used_memory(&self) -> usize {
        self.sandbox.state.memory().used()
    }

    fn prepare(&mut self, source: &[u8]) -> Result<Digest, Error> {
        self.drop_dead_scripts();
        let digest = Digest::of(source);
        if !self.compiled.contains_key(&digest) {
            let script = self.scripts.insert(digest, source, &self.options.flavour)?;
            self.compile(script)?;
            // The insertion may have evicted what another of ours stood for.
            self.drop_dead_scripts();
        }
        Ok(digest)
    }

    /// Makes sure that a known script is compiled here.
    fn ready(&mut self, digest: Digest) -> Result<(), Error> {
        self.drop_dead_scripts();
        if !self.compiled.contains_key(&digest) {
            let script = self.scripts.find(digest).ok_or(Error::NoScript)?;
            self.compile(script)?;
        }
        Ok(())
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
        let Sandbox { state, handler, globals } = &mut self.sandbox;
        state.push_kept(*globals);
        let mut frame = state.frame();
        for (name, list) in [(&b"KEYS"[..], keys), (b"ARGV", args)] {
            frame.push_table(list.len(), 0);
            for (index, bytes) in list.iter().enumerate() {
                frame.push_bytes(bytes);
                frame.set_index(-2, index + 1);
            }
            frame.set_field(-2, name);
        }
        frame.cut(0);
        self.run.resp3 = false;
        self.run.fault = None;
        let deadline = self.options.time_limit.as_ref().map(|(limit, clock)| clock().saturating_add(*limit));
        self.switch.arm(deadline);
        state.push_kept(compiled.function);
        let run = &mut self.run;
        let ended = current::enter(Current { call, run }, || state.run(0, 1, Some(*handler)));
        let stopped = state.take_stop();
        let mut frame = state.frame();
        if ended.is_ok() {
            answer::write(&mut frame, self.run.resp3, out);
            frame.cut(0);
            return Ok(());
        }
        let bare = frame.to_text(-1).map(|text| [b"ERR ", &text[..]].concat());
        frame.cut(0);
        Err(self.failure(digest, stopped, bare))
    }

    /// What the handler saw, as the line for the client.
    fn failure(&mut self, digest: Digest, stopped: Option<Stop>, bare: Option<Vec<u8>>) -> Error {
        let name = digest.to_hex();
        match stopped {
            Some(Stop::Killed) => return Error::Killed(format!("f_{name}")),
            Some(Stop::TimeLimit) => return Error::TimeLimit(format!("f_{name}")),
            None => {}
        }
        let named = if self.options.flavour.named_errors { format!(" {name},") } else { String::new() };
        let mut line = match self.run.fault.take() {
            Some(fault) => {
                let mut line = fault.line;
                if let Some((source, at)) = fault.place {
                    line.extend_from_slice(format!(" script:{named} on {source}:{at}.").as_bytes());
                }
                line
            }
            None => {
                // Most likely memory: make room, or begin anew if what is held cannot be collected.
                self.recover();
                let mut line = bare.unwrap_or_else(|| b"ERR error in error handling".to_vec());
                line.extend_from_slice(format!(" script: {name}").as_bytes());
                line
            }
        };
        one_line(&mut line);
        Error::Script(line)
    }

    fn recover(&mut self) {
        let limit = self.options.memory_limit;
        self.sandbox.state.collect();
        if limit == 0 || self.used_memory() < limit / 2 {
            return;
        }
        let host = Host::new(self.options.clone(), self.switch.clone(), Arc::clone(&self.scripts.cjson));
        if let Ok(sandbox) = sandbox::build(host) {
            self.compiled.clear();
            self.sandbox = sandbox;
        }
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
