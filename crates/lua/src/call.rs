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
