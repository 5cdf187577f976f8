//! Waiting for a replica, by what both sides say in `INFO replication`.

use std::thread;
use std::time::{Duration, Instant};

use crate::{Client, Running};

/// A replica that has not caught up by then will not.
const DEADLINE: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(5);

impl Running {
    /// Starts a replica of this server, of the same version, and waits until it has all that was written before.
    ///
    /// # Panics
    /// When it does not come up or does not catch up.
    #[must_use]
    #[track_caller]
    pub fn start_replica(&self) -> Self {
        let replica = self.server().start_with(&["--replicaof", "127.0.0.1", &self.port().to_string()]);
        wait_until_caught_up(&mut self.client(), &mut replica.client());
        replica
    }
}

/// Waits until a replica, a real one or ours, has applied everything its primary has sent until now.
///
/// `WAIT` does not do: Valkey 9.1 counts a replica that is still loading.
///
/// # Panics
/// When that takes longer than five minutes, or the connection to the primary fails.
#[track_caller]
pub fn wait_until_caught_up(primary: &mut Client, replica: &mut Client) {
    let offset = info(primary, "master_repl_offset").and_then(|text| text.parse::<i64>().ok());
    let offset = offset.unwrap_or_else(|| panic!("the primary does not tell its offset"));
    let deadline = Instant::now() + DEADLINE;
    loop {
        let up = info(replica, "master_link_status").is_some_and(|status| status == "up");
        let applied = info(replica, "slave_repl_offset").and_then(|text| text.parse::<i64>().ok());
        if up && applied.is_some_and(|applied| applied >= offset) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "the replica has not caught up: link up: {up}, applied {applied:?} of {offset}"
        );
        thread::sleep(POLL);
    }
}

/// One line of `INFO replication`.
fn info(client: &mut Client, name: &str) -> Option<String> {
    let reply = client.try_call(&["INFO", "replication"]).ok()?;
    let text = String::from_utf8_lossy(reply.as_bytes()?).into_owned();
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.to_owned()))
}
