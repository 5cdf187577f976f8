//! What `redis.call` needs from the world.

use crate::reply::ReplyBuilder;

/// Executes commands for a script.
///
/// One value serves one script run, from one thread. A command's error is an outcome like any other and
/// goes into the builder; there is nothing else to fail.
pub trait Call {
    /// Runs `args` (the command's name first; never empty) and writes exactly one reply to `out`.
    fn call(&mut self, args: &[&[u8]], out: &mut ReplyBuilder<'_>);
}

/// The errors that Redis 7.0 words differently inside a script; [`Call`] implementations answer with them.
pub mod refusal {
    /// No such command.
    pub const UNKNOWN_COMMAND: &[u8] = b"ERR Unknown Redis command called from script";
    /// The count of arguments does not fit the command.
    pub const WRONG_ARITY: &[u8] = b"ERR Wrong number of args calling Redis command from script";
    /// The command is flagged `noscript`.
    pub const NOT_ALLOWED: &[u8] = b"ERR This Redis command is not allowed from script";
    /// A write in a script with the flag `no-writes`, or under EVAL_RO.
    pub const READ_ONLY_SCRIPT: &[u8] = b"ERR Write commands are not allowed from read-only scripts.";
}
