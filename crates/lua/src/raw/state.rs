//! An interpreter, owned.

use std::any::Any;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::rc::Rc;
use std::time::Duration;

use mlua::ffi;

use super::frame::{Frame, Raise};
use super::{Body, Memory, lua, memory};
use crate::error::Stop;
use crate::host::Host;

/// Instructions between two looks at the clock: some 50 us of work, unless each takes long (strings that Lua's hash does
/// not tell apart make it compare thousands for a single one). Then there are fewer.
const STRIDE: c_int = 10_000;
/// Between two looks should be no more than this.
const SELDOM: Duration = Duration::from_millis(2);

/// Garbage is looked for when so many hundredths are held of what was left the last time: an interpreter holds little,
/// and scripts leave much.
const PAUSE: c_int = 300;

/// What belongs to an interpreter on Rust's side. The allocator finds the [`Memory`] at its front.
#[repr(C)]
pub(super) struct Ground {
    pub(super) memory: Memory,
    pub(super) host: Host,
    pub(super) stopped: Cell<Option<Stop>>,
    panic: Cell<Option<Box<dyn Any + Send>>>,
    stride: Cell<c_int>,
    /// When the run was last looked at.
    looked: Cell<Option<Duration>>,
}

/// A Lua interpreter.
pub(crate) struct State {
    lua: NonNull<ffi::lua_State>,
    ground: Rc<Ground>,
}

// SAFETY: the interpreter is only reached through this owner, `ground` only through it too, and neither cares which
// thread that is; everything that its functions captured is `Send`.
unsafe impl Send for State {}

/// A value that the interpreter keeps for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept(pub(super) c_int);

/// How a run ended that did not end well: the error's value is on top of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed;

impl State {
    /// A bare interpreter: no library is open.
    pub(crate) fn new(host: Host) -> Option<Self> {
        let ground = Rc::new(Ground {
            memory: Memory::new(host.options.memory_limit),
            host,
            stopped: Cell::new(None),
            panic: Cell::new(None),
            stride: Cell::new(STRIDE),
            looked: Cell::new(None),
        });
        let data = Rc::as_ptr(&ground).cast_mut().cast::<c_void>();
        // SAFETY: the allocator is one, and `data` is what it expects and outlives the interpreter.
        let lua = NonNull::new(unsafe { ffi::lua_newstate(memory::allocate, data) })?;
        let state = Self { lua, ground };
        lua!(lua_gc(lua.as_ptr(), ffi::LUA_GCSETPAUSE, PAUSE));
        lua!(lua_sethook(lua.as_ptr(), Some(look), ffi::LUA_MASKCOUNT, STRIDE));
        Some(state)
    }

    /// Opens the libraries that cannot reach out: base, coroutine, table, string and math.
    pub(crate) fn open_libraries(&mut self) -> Result<(), Vec<u8>> {
        let openers: [(ffi::lua_CFunction, &str); 4] = [
            (ffi::luaopen_base, ""),
            (ffi::luaopen_table, "table"),
            (ffi::luaopen_string, "string"),
            (ffi::luaopen_math, "math"),
        ];
        for (open, name) in openers {
            lua!(lua_pushcclosure(self.lua.as_ptr(), open, 0));
            self.frame().push_bytes(name.as_bytes());
            self.run(1, 0, None).map_err(|Failed| self.frame().text(-1).unwrap_or_default().to_vec())?;
        }
        Ok(())
    }

    /// The stack, outside of any call.
    #[allow(clippy::needless_pass_by_ref_mut, reason = "a frame changes the stack: there is one at a time")]
    pub(crate) fn frame(&mut self) -> Frame<'_> {
        Frame::new(self.lua.as_ptr(), &self.ground, 0, PhantomData)
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.ground.memory
    }

    /// Keeps the value on top of the stack, which goes.
    pub(crate) fn keep(&mut self) -> Kept {
        Kept(lua!(luaL_ref(self.lua.as_ptr(), ffi::LUA_REGISTRYINDEX)))
    }

    /// Lets go of a kept value.
    pub(crate) fn forget(&mut self, kept: Kept) {
        lua!(luaL_unref(self.lua.as_ptr(), ffi::LUA_REGISTRYINDEX, kept.0));
    }

    /// Pushes a kept value.
    pub(crate) fn push_kept(&mut self, kept: Kept) {
        lua!(lua_rawgeti_(self.lua.as_ptr(), ffi::LUA_REGISTRYINDEX, kept.0));
    }

    /// Calls the function below `args` values on top of the stack. `handler`, a kept function, sees an error while
    /// the frames that raised it are still there.
    pub(crate) fn run(&mut self, args: usize, results: usize, handler: Option<Kept>) -> Result<(), Failed> {
        let lua = self.lua.as_ptr();
        let base = lua!(lua_gettop(lua)) - args as c_int;
        let mut handler_at = 0;
        if let Some(handler) = handler {
            self.push_kept(handler);
            lua!(lua_insert(lua, base));
            handler_at = base;
        }
        self.ground.looked.set(None);
        if self.ground.stride.replace(STRIDE) != STRIDE {
            lua!(lua_sethook(lua, Some(look), ffi::LUA_MASKCOUNT, STRIDE));
        }
        self.ground.memory.enforce();
        let status = lua!(lua_pcall(lua, args as c_int, results as c_int, handler_at));
        self.ground.memory.lift();
        if handler_at != 0 {
            lua!(lua_remove(lua, handler_at));
        }
        if let Some(panic) = self.ground.panic.take() {
            resume_unwind(panic);
        }
        if status == 0 { Ok(()) } else { Err(Failed) }
    }

    /// Why the last run was stopped, if it was; asked once.
    pub(crate) fn take_stop(&self) -> Option<Stop> {
        self.ground.stopped.take()
    }

    /// Compiles text and pushes the function, or the message.
    pub(crate) fn compile(&mut self, source: &[u8], name: &[u8]) -> Result<(), Failed> {
        self.frame().compile(source, name).map_err(|()| Failed)
    }

    /// Frees what nobody reaches any more.
    pub(crate) fn collect(&mut self) {
        lua!(lua_gc(self.lua.as_ptr(), ffi::LUA_GCCOLLECT, 0));
        self.ground.memory.release();
    }
}

impl Drop for State {
    fn drop(&mut self) {
        lua!(lua_close(self.lua.as_ptr()));
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("memory", &self.ground.memory).finish_non_exhaustive()
    }
}

/// What belongs to an interpreter.
fn ground<'a>(state: *mut ffi::lua_State) -> &'a Ground {
    let mut data = std::ptr::null_mut();
    lua!(lua_getallocf(state, &mut data));
    // SAFETY: `State::new` is the only maker of interpreters here, and keeps the host as long as its interpreter.
    unsafe { &*data.cast::<Ground>() }
}

/// What a stopped script raises; no script ever holds it (see the prelude).
static STOP: u8 = 0;

/// Its address.
pub(super) fn stop_mark() -> *mut c_void {
    (&raw const STOP).cast_mut().cast()
}

/// Called now and then while Lua code runs.
unsafe extern "C-unwind" fn look(state: *mut ffi::lua_State, _: *mut ffi::lua_Debug) {
    let ground = ground(state);
    look_more_often(state, ground);
    if let Some(stop) = ground.host.verdict() {
        ground.stopped.set(Some(stop));
        lua!(lua_pushlightuserdata(state, stop_mark()));
        lua!(lua_error(state));
    }
}

/// Has the next look come after fewer instructions, where they took long.
fn look_more_often(state: *mut ffi::lua_State, ground: &Ground) {
    let Some(clock) = ground.host.options.clock() else { return };
    let now = clock();
    let before = ground.looked.replace(Some(now));
    let stride = ground.stride.get();
    if stride > 1 && before.is_some_and(|before| now.saturating_sub(before) > SELDOM) {
        let stride = (stride / 10).max(1);
        ground.stride.set(stride);
        lua!(lua_sethook(state, Some(look), ffi::LUA_MASKCOUNT, stride));
    }
}

/// The C function around every [`Body`], which is its upvalue.
pub(super) unsafe extern "C-unwind" fn enter(state: *mut ffi::lua_State) -> c_int {
    let ground = ground(state);
    ground.memory.lift();
    let answer = answer(state, ground);
    ground.memory.enforce();
    match answer {
        Some(count) => count,
        None => lua!(lua_error(state)),
    }
}

/// Runs the body; `None` with the error's value on top. Apart, so that nothing of Rust's lives when `enter` raises.
#[inline]
fn answer(state: *mut ffi::lua_State, ground: &Ground) -> Option<c_int> {
    let body = lua!(lua_touserdata(state, ffi::lua_upvalueindex(1)));
    // SAFETY: `Frame::push_function` stored a `Body` there.
    let body = unsafe { std::mem::transmute::<*mut c_void, Body>(body) };
    let args = lua!(lua_gettop(state));
    let mut frame = Frame::new(state, ground, args, PhantomData);
    match catch_unwind(AssertUnwindSafe(|| body(&mut frame))) {
        Ok(Ok(count)) => Some(count as c_int),
        Ok(Err(raise)) => {
            frame.push_raised(raise);
            None
        }
        Err(panic) => {
            ground.panic.set(Some(panic));
            ground.stopped.set(Some(Stop::Killed));
            frame.push_raised(Raise::Stop);
            None
        }
    }
}

/// `pcall` with a function and its arguments. Lua's own asks for no room for what it puts before the results, which a
/// Lua that checks its interface ends the process for.
pub(super) unsafe extern "C-unwind" fn pcall(state: *mut ffi::lua_State) -> c_int {
    let args = lua!(lua_gettop(state)) - 1;
    let status = lua!(lua_pcall(state, args, ffi::LUA_MULTRET, 0));
    told(state, status)
}

/// `xpcall` with a function and a handler; see [`pcall`].
pub(super) unsafe extern "C-unwind" fn xpcall(state: *mut ffi::lua_State) -> c_int {
    lua!(lua_settop(state, 2));
    lua!(lua_insert(state, 1));
    let status = lua!(lua_pcall(state, 0, ffi::LUA_MULTRET, 1));
    lua!(lua_remove(state, 1));
    told(state, status)
}

/// The results of a protected call, behind whether it went well.
fn told(state: *mut ffi::lua_State, status: c_int) -> c_int {
    let mut good = status == 0;
    if lua!(lua_checkstack(state, 1)) == 0 {
        good = false;
        lua!(lua_settop(state, 0));
        lua!(lua_pushlstring_(state, c"stack overflow".as_ptr(), 14));
    }
    lua!(lua_pushboolean(state, c_int::from(good)));
    lua!(lua_insert(state, 1));
    lua!(lua_gettop(state))
}
