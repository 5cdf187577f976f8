//! What a server can do, by its own list of commands.

use std::collections::BTreeSet;

use crate::{Client, Reply};

/// The commands a server knows, in capitals.
#[derive(Debug, Clone)]
pub(crate) struct Known(BTreeSet<String>);

impl Known {
    #[track_caller]
    pub(crate) fn of(client: &mut Client) -> Self {
        let reply = client.call(&["COMMAND"]);
        let names = reply.as_array().unwrap_or_default().iter().filter_map(|row| {
            let name = row.as_array()?.first().and_then(Reply::as_bytes)?;
            Some(String::from_utf8_lossy(name).to_ascii_uppercase())
        });
        Self(names.collect())
    }

    pub(crate) fn has(&self, command: &str) -> bool {
        self.0.contains(command)
    }

    /// Options that came with 6.2: `SET ... GET`, `EXAT`, `ZADD GT`, `LPOP count`, `XADD MINID`, `XGROUP CREATECONSUMER`.
    pub(crate) fn is_6_2(&self) -> bool {
        self.has("GETEX")
    }

    /// Options that came with 7.0: `EXPIRE NX`, `SET NX GET`, `XADD 5-*`, `FUNCTION`.
    pub(crate) fn is_7_0(&self) -> bool {
        self.has("PEXPIRETIME")
    }
}
