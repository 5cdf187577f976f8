//! The script run that is going on, for the functions that Lua calls.
//!
//! A [`Call`] is borrowed for one run, but functions inside the interpreter live as long as it does. A scoped
//! thread-local slot bridges that for a few nanoseconds.

use scoped_tls_hkt::{ReborrowMut, scoped_thread_local};

use crate::call::Call;
use crate::flavour::Refusal;
use crate::random::Random;
use crate::raw::Raise;
use crate::reply::ReplyBuilder;

/// What one run carries besides its [`Call`].
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) resp3: bool,
    pub(crate) random: Random,
    pub(crate) fault: Option<Fault>,
}

/// What the message handler saw: the message, and the source and line it came from.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) line: Vec<u8>,
    pub(crate) place: Option<(String, i64)>,
}

pub(crate) struct Current<'run> {
    pub(crate) call: &'run mut (dyn Call + 'run),
    pub(crate) run: &'run mut Run,
}

impl<'short, 'run: 'short> ReborrowMut<'short> for Current<'run> {
    type Result = Current<'short>;

    fn reborrow_mut(&'short mut self) -> Current<'short> {
        Current { call: &mut *self.call, run: &mut *self.run }
    }
}

/// For code that runs no commands: libraries being loaded.
#[derive(Debug)]
pub(crate) struct NoCall;

impl Call for NoCall {
    fn call(&mut self, _: &[&[u8]], out: &mut ReplyBuilder<'_>) {
        out.refuse(Refusal::NotAllowed);
    }
}

scoped_thread_local!(static mut CURRENT: for<'run> Current<'run>);

/// Runs `script` with `current` in place.
pub(crate) fn enter<R>(current: Current<'_>, script: impl FnOnce() -> R) -> R {
    CURRENT.set(current, script)
}

/// Hands the current run to `use_it`; an error outside of any, or when a command calls back into its own script.
pub(crate) fn with<R>(use_it: impl FnOnce(Current<'_>) -> Result<R, Raise>) -> Result<R, Raise> {
    if !CURRENT.is_set() {
        return Err(Raise::text("no script is running"));
    }
    CURRENT.with(use_it)
}
