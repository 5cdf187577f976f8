//! The interpreters that run scripts: one a thread, as far as the seats go, so that scripts which run side by side on
//! all cores write nothing that they share. Functions have one for all: what a library keeps between calls is there for
//! every client.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use lua::Flavour;
use parking_lot::{Mutex, RwLock};
use store::{Compat, Release};

use crate::running::{Running, Seat};
use crate::yielding;

/// Threads that have an interpreter of their own.
const SEATS: usize = 16;
/// Interpreters kept for the next thread that finds its seat taken: by a script that calls a script, say.
const SPARE: usize = 16;

/// An interpreter, and where it says what it does.
#[derive(Debug)]
pub(crate) struct Interpreter {
    pub(crate) lua: lua::Engine,
    pub(crate) seat: Arc<Seat>,
    /// Of which epoch it is: after a flush, or with another personality, those made before go.
    epoch: u64,
}

/// All of them, what they are doing, and the scripts and functions that they share.
#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) running: Running,
    known: Arc<lua::Scripts>,
    functions: Arc<lua::Functions>,
    seats: Box<[CachePadded<Mutex<Option<Interpreter>>>]>,
    spare: Mutex<Vec<Interpreter>>,
    /// The one of functions. To be locked by who holds the data already, for reading or for writing: then nobody who
    /// holds it waits for data.
    libraries: Mutex<Option<Interpreter>>,
    epoch: AtomicU64,
    options: RwLock<lua::Options>,
}

/// The seat of this thread.
fn place() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static PLACE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % SEATS));
    PLACE.get()
}

impl Scripts {
    /// `patience`: how long others wait for a script that runs alone.
    pub(crate) fn new(patience: Duration, compat: Compat) -> Self {
        let mut options = lua::Options::default();
        describe(&mut options, compat);
        let start = Instant::now();
        options.clock = Some(Arc::new(move || start.elapsed()));
        options.log = Some(Arc::new(|level, text| {
            tracing::info!(?level, text = %String::from_utf8_lossy(text), "script log");
        }));
        options.pulse = Some(Arc::new(yielding::pulse));
        Self {
            running: Running::new(patience),
            known: Arc::default(),
            functions: Arc::default(),
            seats: (0..SEATS).map(|_| CachePadded::default()).collect(),
            spare: Mutex::default(),
            libraries: Mutex::default(),
            epoch: AtomicU64::new(0),
            options: RwLock::new(options),
        }
    }

    /// The scripts by their digests.
    pub(crate) fn known(&self) -> &lua::Scripts {
        &self.known
    }

    /// The libraries of functions.
    pub(crate) fn functions(&self) -> &lua::Functions {
        &self.functions
    }

    /// Interpreters made from now on show this version; those made before go.
    pub(crate) fn set_compat(&self, compat: Compat) {
        describe(&mut self.options.write(), compat);
        self.renew();
    }

    /// SCRIPT FLUSH: the interpreters' memory goes too.
    pub(crate) fn flush(&self) {
        self.known.flush();
        self.renew();
    }

    /// FUNCTION FLUSH: the interpreters' memory goes too. One that runs now lets go of it when it next needs a function.
    pub(crate) fn flush_functions(&self) {
        self.functions.flush();
        self.each_idle(|interpreter| interpreter.lua.release_functions());
    }

    /// Those that wait go at once, those that run when they have finished.
    fn renew(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        for seat in &self.seats {
            if let Some(mut seat) = seat.try_lock() {
                *seat = None;
            }
        }
        self.spare.lock().clear();
        if let Some(mut libraries) = self.libraries.try_lock() {
            *libraries = None;
        }
    }

    fn each_idle(&self, mut f: impl FnMut(&mut Interpreter)) {
        for seat in &self.seats {
            if let Some(mut seat) = seat.try_lock() {
                seat.as_mut().into_iter().for_each(&mut f);
            }
        }
        if let Some(mut libraries) = self.libraries.try_lock() {
            libraries.as_mut().into_iter().for_each(&mut f);
        }
        self.spare.lock().iter_mut().for_each(f);
    }

    /// Whether few of the scripts that came by EVAL are kept.
    pub(crate) fn evicts(&self) -> bool {
        self.options.read().flavour.kept_evals.is_some()
    }

    /// Bytes that the waiting interpreters hold: those of scripts, and those of functions.
    pub(crate) fn memory(&self) -> (usize, usize) {
        let (mut scripts, mut functions) = (0, 0);
        self.each_idle(|interpreter| {
            scripts += interpreter.lua.used_memory();
            functions += interpreter.lua.used_by_functions();
        });
        (scripts, functions)
    }

    /// What EVALSHA says to a digest that is not known.
    pub(crate) fn no_script(&self) -> &'static str {
        self.options.read().flavour.no_script
    }

    /// Runs `f` with the Lua of this thread's interpreter, or of another one while that is busy.
    pub(crate) fn with<R, E: From<lua::Error>>(
        &self,
        f: impl FnOnce(&mut lua::Engine) -> Result<R, E>,
    ) -> Result<R, E> {
        self.with_interpreter(|interpreter| f(&mut interpreter.lua))
    }

    /// The same, for who says what it does.
    pub(crate) fn with_interpreter<R, E: From<lua::Error>>(
        &self,
        f: impl FnOnce(&mut Interpreter) -> Result<R, E>,
    ) -> Result<R, E> {
        let Some(mut seat) = self.seats[place()].try_lock() else { return self.with_spare(f) };
        self.seated(&mut seat, f)
    }

    /// Runs `f` with the interpreter of functions; `None` if another function has it for longer than one waits.
    pub(crate) fn with_libraries<R, E: From<lua::Error>>(
        &self,
        f: impl FnOnce(&mut Interpreter) -> Result<R, E>,
    ) -> Option<Result<R, E>> {
        let mut libraries = self.libraries.try_lock().or_else(|| {
            yielding::leave();
            self.libraries.try_lock_for(self.running.patience().max(Duration::from_millis(1)))
        })?;
        Some(self.seated(&mut libraries, f))
    }

    fn seated<R, E: From<lua::Error>>(
        &self,
        seat: &mut Option<Interpreter>,
        f: impl FnOnce(&mut Interpreter) -> Result<R, E>,
    ) -> Result<R, E> {
        match seat {
            Some(interpreter) if self.is_current(interpreter) => f(interpreter),
            old => f(old.insert(self.make()?)),
        }
    }

    fn with_spare<R, E: From<lua::Error>>(
        &self,
        f: impl FnOnce(&mut Interpreter) -> Result<R, E>,
    ) -> Result<R, E> {
        let idle = self.spare.lock().pop();
        let mut interpreter = match idle.filter(|interpreter| self.is_current(interpreter)) {
            Some(interpreter) => interpreter,
            None => self.make()?,
        };
        let result = f(&mut interpreter);
        let mut spare = self.spare.lock();
        if spare.len() < SPARE {
            spare.push(interpreter);
        }
        result
    }

    #[inline]
    fn is_current(&self, interpreter: &Interpreter) -> bool {
        interpreter.epoch == self.epoch.load(Ordering::Acquire)
    }

    #[cold]
    fn make(&self) -> Result<Interpreter, lua::Error> {
        // Before the options are read: what changes in between makes it old.
        let epoch = self.epoch.load(Ordering::Acquire);
        let options = self.options.read().clone();
        let lua = lua::Engine::with_shared(options, Arc::clone(&self.known), Arc::clone(&self.functions))?;
        let seat = self.running.enter(lua.kill_switch());
        Ok(Interpreter { lua, seat, epoch })
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
