//! What stands for the interpreter in a build without it: the same names, which keep what they are given and run
//! nothing.

use std::convert::Infallible;
use std::fmt::Display;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::answer::ScriptReply;
use crate::call::Call;
use crate::error::Error;
use crate::flavour::Refusal;
use crate::functions::{self, Functions, Library, Policy};
use crate::limit::KillSwitch;
use crate::options::Options;
use crate::script::{Digest, Habit, Origin, Script, Scripts, Stats};
use crate::shebang::Flags;

/// Keeps scripts and libraries, and runs none: this build has no interpreter (feature `vm`).
#[derive(Debug)]
pub struct Engine {
    options: Options,
    scripts: Arc<Scripts>,
    functions: Arc<Functions>,
    switch: KillSwitch,
}

impl Engine {
    /// An engine with sources of its own.
    pub fn new(options: Options) -> Result<Self, Error> {
        let scripts = options.max_scripts.map_or_else(Scripts::new, Scripts::bounded);
        Self::with_scripts(options, Arc::new(scripts))
    }

    /// An engine of a pool: what one loads, all have.
    pub fn with_scripts(options: Options, scripts: Arc<Scripts>) -> Result<Self, Error> {
        Self::with_shared(options, scripts, Arc::default())
    }

    /// As [`Engine::with_scripts`], with shared libraries of functions.
    pub fn with_shared(
        options: Options,
        scripts: Arc<Scripts>,
        functions: Arc<Functions>,
    ) -> Result<Self, Error> {
        Ok(Self { options, scripts, functions, switch: KillSwitch::default() })
    }

    /// Nothing runs that it could end.
    pub fn kill_switch(&self) -> KillSwitch {
        self.switch.clone()
    }

    /// The libraries of functions.
    pub fn functions(&self) -> &Arc<Functions> {
        &self.functions
    }

    /// The sources.
    pub fn scripts(&self) -> &Arc<Scripts> {
        &self.scripts
    }

    /// EVAL: an error.
    pub fn eval(
        &mut self,
        _: &[u8],
        _: &[&[u8]],
        _: &[&[u8]],
        _: &mut dyn Call,
        _: &mut dyn ScriptReply,
    ) -> Result<(), Error> {
        Err(absent())
    }

    /// EVALSHA: an error, of which there are two.
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

    /// As [`Engine::eval_sha`], by the digest itself.
    pub fn eval_digest(
        &mut self,
        digest: Digest,
        _: &[&[u8]],
        _: &[&[u8]],
        _: &mut dyn Call,
        _: &mut dyn ScriptReply,
    ) -> Result<(), Error> {
        self.known(digest)?;
        Err(absent())
    }

    /// What the known script of this digest declares, and has done so far: nothing.
    pub fn known(&mut self, digest: Digest) -> Result<(Flags, Habit), Error> {
        let script = self.scripts.find(digest).ok_or(Error::NoScript)?;
        Ok((script.flags(), script.habit()))
    }

    /// There is no run to be noted.
    pub fn note(&mut self, _: Digest, _: bool) {}

    /// The script of `source`, kept.
    pub fn script(&mut self, source: &[u8]) -> Result<Arc<Script>, Error> {
        self.scripts.insert(Digest::of(source), source, Origin::Eval, &self.options.flavour)
    }

    /// SCRIPT LOAD: keeps `source`, whatever it says; answers its digest in hexadecimal.
    pub fn load(&mut self, source: &[u8]) -> Result<String, Error> {
        let digest = Digest::of(source);
        let script = self.scripts.insert(digest, source, Origin::Load, &self.options.flavour)?;
        Ok(script.digest().to_hex())
    }

    /// SCRIPT EXISTS, for one digest.
    pub fn exists(&self, hex: &[u8]) -> bool {
        self.scripts.exists(hex)
    }

    /// SCRIPT FLUSH.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.scripts.flush();
        Ok(())
    }

    /// Counters of the sources.
    pub fn stats(&self) -> Stats {
        self.scripts.stats()
    }

    /// 0
    pub fn used_memory(&self) -> usize {
        0
    }

    /// 0
    pub fn used_by_functions(&self) -> usize {
        0
    }

    /// There is nothing to let go of.
    pub fn release_functions(&mut self) {}

    /// FUNCTION LOAD: keeps the library, of which only the first line is understood; answers its name.
    ///
    /// # Errors
    /// What is wrong with that line. Nothing has changed then.
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
        let keep = |code: &&[u8]| {
            let (name, _) = functions::parse(code, &self.options.flavour)?;
            let id = self.functions.next_id();
            Ok(Arc::new(Library { name, code: (*code).into(), functions: Vec::new(), id }))
        };
        self.functions.add(codes.iter().map(keep).collect::<Result<_, Error>>()?, policy)
    }

    /// FCALL: an error.
    ///
    /// # Errors
    /// Always.
    pub fn fcall(
        &mut self,
        _: &[u8],
        _: &[&[u8]],
        _: &[&[u8]],
        _: &mut dyn Call,
        _: &mut dyn ScriptReply,
    ) -> Result<(), Error> {
        Err(absent())
    }
}

fn absent() -> Error {
    Error::Interpreter("this build runs no scripts".to_owned())
}

/// Takes the reply of a command that a script has called. No script does, so there is never one.
#[derive(Debug)]
pub struct ReplyBuilder<'lua>(Infallible, PhantomData<&'lua ()>);

macro_rules! never {
    ($($(#[$doc:meta])* $name:ident($($type:ty),*);)*) => {$(
        $(#[$doc])*
        pub fn $name(&mut self, $(_: $type),*) {
            match self.0 {}
        }
    )*};
}

impl ReplyBuilder<'_> {
    /// Whether the script asked for RESP3.
    pub fn is_resp3(&self) -> bool {
        match self.0 {}
    }

    never! {
        /// The end of the run.
        give_up();
        /// Nothing.
        null();
        /// A status.
        simple(&[u8]);
        /// An error line.
        error(&[u8]);
        /// The error for a command that is not run.
        refuse(Refusal);
        /// An error line, from anything that displays as it.
        error_display(&dyn Display);
        /// A byte string.
        bulk(&[u8]);
        /// An integer.
        integer(i64);
        /// A double.
        double(f64);
        /// A double with its text.
        double_as(f64, &[u8]);
        /// A truth value.
        boolean(bool);
        /// A number of any size in decimal.
        big_number(&[u8]);
        /// Text with its format.
        verbatim(&[u8], &[u8]);
        /// The header of an array.
        array(usize);
        /// The header of a map.
        map(usize);
        /// The header of a set.
        set(usize);
    }
}
