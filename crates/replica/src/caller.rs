//! A conversation without a socket.

use resp::Value;

use crate::error::Error;

/// Runs any command as a client would, one after the other: scripts, transactions, INFO. It is a client's whole state:
/// SELECT holds for what comes after it, and MULTI, WATCH and EXEC do what they do.
///
/// A thread that runs many commands keeps one: that costs less than [`Replica::call`](crate::Replica::call) for each,
/// and threads that run read-only scripts side by side share next to nothing. What INFO counts of it may be late by
/// some calls until it is dropped.
///
/// ```
/// use replica::Standalone;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let primary = Standalone::start("127.0.0.1:0").await?;
/// let mut caller = primary.caller();
/// caller.call(&["SET", "n", "40"])?;
/// let sum = caller.call(&["EVAL_RO", "return redis.call('GET', KEYS[1]) + ARGV[1]", "1", "n", "2"])?;
/// assert_eq!(sum, replica::Value::Integer(42));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Caller(server::Caller);

impl Caller {
    pub(crate) fn new(caller: server::Caller) -> Self {
        Self(caller)
    }

    /// Runs one command; the reply is as RESP3 has it.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::Command`]: the command's own, or that it would wait.
    pub fn call(&mut self, args: &[impl AsRef<[u8]>]) -> Result<Value, Error> {
        let parts: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        self.0.call(&parts).map_err(Error::of_command)
    }
}
