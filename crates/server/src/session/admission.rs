//! What can refuse a command before it runs.

use resp::Protocol;
use store::command::Flags;
use store::{Args, CommandError, CommandResult, Compat};

use super::{Found, Refused, Session};
use crate::connection;
use crate::evicting::OOM;
use crate::options::DebugCommand;
use crate::scripts;

const NOAUTH: CommandError = CommandError::coded("NOAUTH Authentication required.");

impl Session {
    /// As [`check`](Self::check), with the command that it is about.
    pub(super) fn admit(&mut self, args: Args<'_>, executes: bool) -> Result<Found, Refused> {
        let compat = self.engine.compat();
        let named = if self.is_nameless && !executes { None } else { Found::named(compat, args) };
        let Some(found) = named else {
            let hidden = !self.authenticated && compat.differences().password_first;
            let error = if hidden { NOAUTH } else { connection::unknown(compat, args) };
            return Err(Refused { name: "", ran: false, error });
        };
        match self.check(&found, args, executes) {
            Ok(()) => Ok(found),
            Err(error) => Err(Refused { name: found.name(), ran: false, error }),
        }
    }

    /// Whether this client is one of those.
    pub(crate) fn may(&self, who: DebugCommand) -> bool {
        match who {
            DebugCommand::No => false,
            DebugCommand::Yes => true,
            DebugCommand::Local => self.record.lock().addr.is_local(),
        }
    }

    /// Makes room for a command; refuses it if there is none, and it needs some.
    fn check_room(&self, found: &Found) -> CommandResult {
        if self.engine.keyspace.limits().max_memory() <= 0 || self.engine.make_room() {
            return Ok(());
        }
        let compat = self.engine.compat();
        let needs_room = |found: &Found| found.flags().has(Flags::DENYOOM);
        let needs = needs_room(found)
            || self.transaction.as_ref().is_some_and(|transaction| {
                // Old servers let nothing be queued: that takes memory, too. WATCH they take for such a thing.
                let controls = found.flags().has(connection::CONTROLS_TRANSACTION) && found.name() != "watch";
                !controls && compat == Compat::Redis70
                    || found.name() == "exec" && !transaction.broken && transaction.any(compat, needs_room)
            });
        if needs { Err(OOM) } else { Ok(()) }
    }

    /// Everything that can refuse a command before it runs, in the order of the real server.
    fn check(&mut self, found: &Found, args: Args<'_>, executes: bool) -> CommandResult {
        let is_stranger = !self.authenticated && !found.flags().has(connection::NO_AUTH);
        if is_stranger && self.engine.compat().differences().password_first {
            return Err(NOAUTH);
        }
        found.check_arity(args)?;
        if is_stranger {
            return Err(NOAUTH);
        }
        // A transaction that runs has the data: a script that is about to run alone waits for it.
        if !executes && !found.is_heard_when_busy() {
            self.engine.check_busy()?;
        }
        if self.transaction.is_some() && found.flags().has(Flags::NO_MULTI) {
            return Err(match self.engine.compat().differences().multi_names_what_it_refuses {
                true => CommandError::Err(
                    format!("Command '{}' not allowed inside a transaction", found.name()).into(),
                ),
                false => CommandError::err("Command not allowed inside a transaction"),
            });
        }
        self.check_permissions(found.name(), args, executes)?;
        if !executes {
            self.check_room(found)?;
        }
        let (mut writes, mut may_be_stale) = (found.is_write(), found.flags().has(Flags::STALE));
        // What a script declares counts as if the row of its command said it; one that says nothing reads what is fresh.
        // Where it runs at once it says the same itself, and need not be looked up twice.
        if found.flags().has(connection::RUNS_SCRIPT)
            && (self.transaction.is_some() || self.engine.is_stale())
            && !self.engine.is_writable()
            && let Some(flags) = scripts::declared(&self.engine, found.name(), args)
        {
            writes = flags.declared && !flags.no_writes;
            may_be_stale = flags.allow_stale;
        }
        if writes && !self.engine.is_writable() && self.forwards().is_none() {
            return Err(CommandError::coded("READONLY You can't write against a read only replica."));
        }
        if !executes && self.protocol == Protocol::Resp2 && self.is_listening() && !found.is_for_listeners() {
            let text = format!(
                "Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
                found.name()
            );
            return Err(CommandError::Err(text.into()));
        }
        if !may_be_stale && self.engine.is_stale() {
            return Err(CommandError::coded(
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            ));
        }
        if (found.is_write() || found.name() == "ping") && self.engine.saving.refuses_writes() {
            self.engine.check_saved()?;
        }
        if found.is_write() && self.engine.lacks_replicas() {
            return Err(CommandError::coded("NOREPLICAS Not enough good replicas to write."));
        }
        let waits = !self.engine.is_loaded() && !self.engine.options.serve_while_loading;
        if waits && !found.flags().has(Flags::LOADING) {
            return Err(CommandError::coded("LOADING Redis is loading the dataset in memory"));
        }
        Ok(())
    }
}
