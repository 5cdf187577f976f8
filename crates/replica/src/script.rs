//! Lua scripts on the data set of this process.

use std::sync::Arc;

use bytes::Bytes;
use server::Engine;

use crate::cmd::ToArg;
use crate::convert::FromReply;
use crate::error::Error;

/// A script that is compiled and kept; made by [`Replica::script`](crate::Replica::script). Cheap to clone, and any thread
/// runs it: read-only scripts side by side.
///
/// ```
/// use replica::Standalone;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), replica::Error> {
/// let primary = Standalone::start("127.0.0.1:0").await?;
/// let add = primary.script("return redis.call('INCRBY', KEYS[1], ARGV[1])")?;
/// assert_eq!(add.key("n").arg(40).eval::<i64>()?, 40);
/// let all = primary.script("return redis.call('MGET', unpack(KEYS))")?;
/// assert_eq!(all.keys(["n", "none"]).eval_ro::<Vec<Option<i64>>>()?, [Some(40), None]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Script {
    engine: Arc<Engine>,
    source: Bytes,
    sha: Arc<str>,
}

impl Script {
    pub(crate) fn load(engine: &Arc<Engine>, source: &[u8]) -> Result<Self, Error> {
        let loaded = engine.call(&[b"SCRIPT", b"LOAD", source]).map_err(Error::of_command)?;
        let sha = String::from_reply(loaded)?.into();
        Ok(Self { engine: Arc::clone(engine), source: Bytes::copy_from_slice(source), sha })
    }

    /// Its SHA-1 in hexadecimal digits: what EVALSHA of any client takes.
    #[must_use]
    pub fn sha(&self) -> &str {
        &self.sha
    }

    /// A call of it without keys and arguments so far, in database 0.
    #[must_use]
    pub fn call(&self) -> ScriptCall {
        ScriptCall { script: self.clone(), keys: Vec::new(), args: Vec::new(), db: 0 }
    }

    /// A call of it with one key so far.
    #[must_use]
    pub fn key(&self, key: impl ToArg) -> ScriptCall {
        self.call().key(key)
    }

    /// A call of it with these keys.
    #[must_use]
    pub fn keys<K: ToArg>(&self, keys: impl IntoIterator<Item = K>) -> ScriptCall {
        self.call().keys(keys)
    }

    /// A call of it with one argument so far.
    #[must_use]
    pub fn arg(&self, arg: impl ToArg) -> ScriptCall {
        self.call().arg(arg)
    }

    /// Runs it without keys and arguments.
    ///
    /// # Errors
    /// As [`ScriptCall::eval`].
    pub fn eval<T: FromReply>(&self) -> Result<T, Error> {
        self.call().eval()
    }
}

/// A call of a [`Script`].
#[derive(Debug, Clone)]
pub struct ScriptCall {
    script: Script,
    keys: Vec<Vec<u8>>,
    args: Vec<Vec<u8>>,
    db: u32,
}

impl ScriptCall {
    /// With one more key.
    #[must_use]
    pub fn key(mut self, key: impl ToArg) -> Self {
        self.keys.push(key.to_arg());
        self
    }

    /// With more keys.
    #[must_use]
    pub fn keys<K: ToArg>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.keys.extend(keys.into_iter().map(|key| key.to_arg()));
        self
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl ToArg) -> Self {
        self.args.push(arg.to_arg());
        self
    }

    /// With more arguments.
    #[must_use]
    pub fn args<A: ToArg>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.to_arg()));
        self
    }

    /// In another database.
    #[must_use]
    pub fn in_db(mut self, db: u32) -> Self {
        self.db = db;
        self
    }

    /// Runs the script, and reads its reply. On a replica the first command that writes ends it; what is to be
    /// written goes to the primary by [`Replica::write`](crate::Replica::write), scripts too.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::Command`], [`Error::Convert`] if the reply is not what was asked for.
    pub fn eval<T: FromReply>(&self) -> Result<T, Error> {
        self.run(b"EVALSHA", b"EVAL")
    }

    /// The same for scripts that only read: whatever writes is an error, wherever this runs.
    ///
    /// # Errors
    /// As [`eval`](Self::eval).
    pub fn eval_ro<T: FromReply>(&self) -> Result<T, Error> {
        self.run(b"EVALSHA_RO", b"EVAL_RO")
    }

    fn run<T: FromReply>(&self, by_sha: &[u8], whole: &[u8]) -> Result<T, Error> {
        let mut caller = server::Caller::new(&self.script.engine);
        if self.db != 0 {
            caller.call(&[b"SELECT", self.db.to_string().as_bytes()]).map_err(Error::of_command)?;
        }
        let count = self.keys.len().to_string();
        let mut words: Vec<&[u8]> = vec![by_sha, self.script.sha.as_bytes(), count.as_bytes()];
        words.extend(self.keys.iter().chain(&self.args).map(Vec::as_slice));
        let reply = caller.call(&words).or_else(|error| {
            // A SCRIPT FLUSH, here or where it was passed on to.
            if !error.bytes().starts_with(b"NOSCRIPT ") {
                return Err(error);
            }
            if let [command, script, ..] = words.as_mut_slice() {
                (*command, *script) = (whole, &self.script.source);
            }
            caller.call(&words)
        });
        Ok(T::from_reply(reply.map_err(Error::of_command)?)?)
    }
}
