//! Functions on an [`Engine`]: loading libraries, calling what they registered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::ScriptReply;
use crate::call::Call;
use crate::current::{self, Current, NoCall};
use crate::engine::Engine;
use crate::error::{Error, Stop};
use crate::functions::{self, Library, Policy, Registered};
use crate::raw::{Kept, State};
use crate::sandbox::{Sandbox, World};

/// A library may take this long to load, as in Redis.
const LOAD_LIMIT: Duration = Duration::from_millis(500);

/// The interpreter of an engine's functions: apart from that of its scripts, as in Redis.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) sandbox: Sandbox,
    /// The callbacks of each library that has run here, by its id.
    libraries: HashMap<u64, Vec<Kept>>,
    generation: u64,
}

impl Engine {
    /// FUNCTION LOAD: runs the library's source and keeps what it registered; answers its name.
    ///
    /// # Errors
    /// What is wrong with it. Nothing has changed then.
    pub fn load_library(&mut self, code: &[u8], replace: bool) -> Result<String, Error> {
        let (name, _) = functions::parse(code, &self.options.flavour)?;
        if !replace && self.functions.has_library(&name) {
            return Err(Error::Function(format!("Library '{name}' already exists")));
        }
        self.load_libraries(&[code], if replace { Policy::Replace } else { Policy::Append })?;
        Ok(name)
    }

    /// FUNCTION RESTORE: as [`Engine::load_library`] with many, which are all there afterwards, or none.
    ///
    /// # Errors
    /// What is wrong with one of them, or what is there already.
    pub fn load_libraries(&mut self, codes: &[&[u8]], policy: Policy) -> Result<(), Error> {
        let mut libraries = Vec::with_capacity(codes.len());
        for code in codes {
            let (name, _) = functions::parse(code, &self.options.flavour)?;
            let id = self.functions.next_id();
            let registered = self.run_library(code)?;
            if registered.is_empty() {
                return Err(Error::Function("No functions registered".to_owned()));
            }
            let (found, callbacks) = registered.into_iter().map(|r| (r.function, r.callback)).unzip();
            self.loaded()?.libraries.insert(id, callbacks);
            libraries.push(Arc::new(Library { name, code: (*code).into(), functions: found, id }));
        }
        // What was loaded in vain goes when the generation is next looked at.
        let functions = Arc::clone(&self.functions);
        functions.add(libraries, policy)
    }

    /// FCALL: runs the function with this name. On `Err` nothing was written to `out`.
    ///
    /// # Errors
    /// There is no such function, or it failed.
    pub fn fcall(
        &mut self,
        name: &[u8],
        keys: &[&[u8]],
        args: &[&[u8]],
        call: &mut dyn Call,
        out: &mut dyn ScriptReply,
    ) -> Result<(), Error> {
        let (library, function) = self.functions.find(name).ok_or(Error::NoFunction)?;
        let index = library.functions.iter().position(|known| known.name == function.name).unwrap_or(0);
        self.drop_dead_libraries();
        if !self.loaded()?.libraries.contains_key(&library.id) {
            let registered = self.run_library(&library.code)?;
            let callbacks = registered.into_iter().map(|registered| registered.callback).collect();
            self.loaded()?.libraries.insert(library.id, callbacks);
        }
        let callback = self.loaded()?.libraries.get(&library.id).and_then(|all| all.get(index)).copied();
        let callback = callback.ok_or(Error::NoFunction)?;
        self.call_function(&function.name, callback, [keys, args], call, out)
    }

    /// The interpreter of functions, made when it is first needed.
    pub(crate) fn loaded(&mut self) -> Result<&mut Loaded, Error> {
        if self.loaded.is_none() {
            let sandbox = self.new_sandbox(World::Functions)?;
            let generation = self.functions.generation();
            self.loaded = Some(Loaded { sandbox, libraries: HashMap::new(), generation });
        }
        self.loaded.as_mut().ok_or(Error::NoFunction)
    }

    /// Lets go of the callbacks of libraries that are gone.
    fn drop_dead_libraries(&mut self) {
        let generation = self.functions.generation();
        let Some(loaded) = &mut self.loaded else { return };
        if loaded.generation == generation {
            return;
        }
        loaded.generation = generation;
        let Loaded { sandbox, libraries, .. } = loaded;
        let functions = &self.functions;
        libraries.retain(|id, callbacks| {
            let alive = functions.is_loaded(*id);
            if !alive {
                callbacks.iter().for_each(|callback| sandbox.state.forget(*callback));
            }
            alive
        });
        sandbox.state.collect();
    }

    /// Runs a library's source in the little world of loading; what it registered.
    fn run_library(&mut self, code: &[u8]) -> Result<Vec<Registered>, Error> {
        let (_, body) = functions::parse(code, &self.options.flavour)?;
        self.drop_dead_libraries();
        self.arm(Some(LOAD_LIMIT));
        self.loaded()?;
        let (run, loaded) = (&mut self.run, self.loaded.as_mut().ok_or(Error::NoFunction)?);
        let Sandbox { state, handler, loading, .. } = &mut loaded.sandbox;
        if state.compile(body, b"@user_function").is_err() {
            let mut frame = state.frame();
            let message = String::from_utf8_lossy(frame.text(-1).unwrap_or_default()).into_owned();
            frame.cut(0);
            return Err(Error::Function(format!("Error compiling function: {message}")));
        }
        let source = state.keep();
        state.frame().host().registered.replace(Some(Vec::new()));
        state.frame().host().whole.replace(None);
        in_world_of_loading(state, *loading, true);
        state.push_kept(source);
        let ended = current::enter(Current { call: &mut NoCall, run }, || state.run(0, 0, Some(*handler)));
        let stopped = state.take_stop();
        let bare = if ended.is_err() { state.frame().text(-1).map(<[u8]>::to_vec) } else { None };
        state.frame().cut(0);
        in_world_of_loading(state, *loading, false);
        state.forget(source);
        let registered = state.frame().host().registered.take().unwrap_or_default();
        if ended.is_ok() {
            return Ok(registered);
        }
        registered.iter().for_each(|r| state.forget(r.callback));
        let whole = state.frame().host().whole.take();
        let fault = run.fault.take().map(|fault| fault.line);
        if let Some(text) = whole {
            return Err(Error::Function(String::from_utf8_lossy(&text).into_owned()));
        }
        let text = match stopped {
            Some(Stop::TimeLimit) => b"ERR FUNCTION LOAD timeout".to_vec(),
            Some(Stop::Killed) => b"ERR Script killed by user with FUNCTION KILL.".to_vec(),
            Some(Stop::GivenUp) | None => fault.or(bare).unwrap_or_default(),
        };
        Err(Error::Function(format!("Error registering functions: {}", String::from_utf8_lossy(&text))))
    }
}

/// Libraries see little while they are loaded; then the globals come back.
fn in_world_of_loading(state: &mut State, switch: Kept, on: bool) {
    state.push_kept(switch);
    state.frame().push_bool(on);
    let switched = state.run(1, 0, None);
    debug_assert!(switched.is_ok(), "the prelude's function only sets a field");
    state.frame().cut(0);
}
