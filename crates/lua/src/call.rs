//! What `redis.call` needs from the world.

use crate::ReplyBuilder;

/// Executes commands for a script.
///
/// One value serves one script run, from one thread. A command's error is an outcome like any other and
/// goes into the builder; there is nothing else to fail.
pub trait Call {
    /// Runs `args` (the command's name first; never empty) and writes exactly one reply to `out`.
    fn call(&mut self, args: &[&[u8]], out: &mut ReplyBuilder<'_>);

    /// `redis.set_repl`: whether replicas are told of the writes to come. They are by default.
    fn set_replication(&mut self, to_replicas: bool) {
        let _ = to_replicas;
    }

    /// Asked before a run does something that nobody can take back, and that is no command (a line for the log): `false`
    /// ends it with [`Error::GivenUp`](crate::Error::GivenUp).
    fn may_be_seen(&mut self) -> bool {
        true
    }

    /// `redis.acl_check_cmd`: whether the caller of the script may run `args`.
    fn may_call(&mut self, args: &[&[u8]]) -> Verdict {
        let _ = args;
        Verdict::Yes
    }
}

/// An answer about a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The user may run it.
    Yes,
    /// The user may not.
    No,
    /// There is no such command.
    Unknown,
}
