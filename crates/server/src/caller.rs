//! A conversation with an engine from inside the process.

use std::sync::Arc;

use resp::{Limits, Protocol, Value, ValueDecoder};
use store::CommandError;

use crate::engine::Engine;
use crate::session::{After, Session};

/// Calls after which what was counted can be seen by all.
const HANDFUL: u64 = 64;

/// Runs commands as a client without a connection would, scripts included, one after the other; replies are RESP3.
///
/// It is a client's whole state: SELECT holds for what comes after it, and MULTI, WATCH and EXEC do what they do. A
/// thread that runs many commands keeps one, which costs less than [`Engine::call`] and writes next to nothing that
/// threads share. What INFO counts of it may be late by some calls until it is dropped.
#[derive(Debug)]
pub struct Caller {
    session: Session,
    bytes: Vec<u8>,
    decoder: ValueDecoder,
    calls: u64,
}

impl Caller {
    /// A conversation with every right, in database 0.
    #[must_use]
    pub fn new(engine: &Arc<Engine>) -> Self {
        let mut session = Session::of_the_house(engine);
        session.protocol = Protocol::Resp3;
        Self { session, bytes: Vec::new(), decoder: ValueDecoder::new(Limits::replies()), calls: 0 }
    }

    /// Runs one command.
    ///
    /// # Errors
    /// The command's own, or that it would wait or go on talking: that needs a connection.
    pub fn call(&mut self, args: &[&[u8]]) -> Result<Value, CommandError> {
        if args.is_empty() {
            return Err(CommandError::Syntax);
        }
        self.calls += 1;
        if self.calls.is_multiple_of(HANDFUL) {
            self.session.hand_over();
        }
        self.session.begin_alone();
        self.session.execute(args, &mut self.bytes);
        self.session.after = After::Nothing;
        self.decoder.feed(&self.bytes);
        self.bytes.clear();
        let reply = self.decoder.next();
        if self.decoder.buffered() > 0 || reply.is_err() {
            self.decoder = ValueDecoder::new(Limits::replies());
        }
        match reply {
            Ok(Some(Value::Error(line))) => Err(CommandError::Raw(line.as_ref().into())),
            Ok(Some(value)) => Ok(value),
            _ => Err(CommandError::err("a command that waits, or talks on, needs a connection")),
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.session.settle();
    }
}
