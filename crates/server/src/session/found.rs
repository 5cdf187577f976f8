//! A command's row, whichever table it stands in.

use store::command::{self, Command, Flags};
use store::{Args, CommandResult, Compat};

use crate::connection::{self, Row};

/// A row of either table.
pub(crate) enum Found {
    Data(&'static Command),
    Connection(&'static Row),
}

impl Found {
    pub(crate) fn named(compat: Compat, args: Args<'_>) -> Option<Self> {
        let connection = || connection::find_for(compat, args).map(Self::Connection);
        command::find_for(compat, args).map(Self::Data).or_else(connection)
    }

    pub(crate) fn flags(&self) -> Flags {
        match self {
            Self::Data(row) => row.flags,
            Self::Connection(row) => row.flags,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Data(row) => row.name,
            Self::Connection(row) => row.name,
        }
    }

    pub(crate) fn check_arity(&self, args: Args<'_>) -> CommandResult {
        match self {
            Self::Data(row) => row.check_arity(args),
            Self::Connection(row) => row.check_arity(args),
        }
    }

    /// Whether a RESP2 client that listens may still say it.
    pub(super) fn is_for_listeners(&self) -> bool {
        self.flags().has(connection::LISTENS) || matches!(self.name(), "ping" | "quit" | "reset")
    }

    /// Whether it is run while a script has the data for itself.
    pub(super) fn is_heard_when_busy(&self) -> bool {
        self.flags().has(connection::HEARD_WHEN_BUSY)
    }

    pub(crate) fn is_write(&self) -> bool {
        match self {
            Self::Data(row) => row.is_write(),
            Self::Connection(row) => row.flags.has(connection::WRITES),
        }
    }
}
