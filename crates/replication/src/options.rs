//! What a link says about itself, and how patient it is.

use std::fmt;
use std::time::Duration;

/// Settings of a [`Link`](crate::Link). The defaults are those of real replicas.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LinkOptions {
    /// Who we are to the primary, if it asks for a password.
    pub credentials: Option<Credentials>,
    /// The port to announce: where clients, Sentinel and FAILOVER reach this replica. 0 when it
    /// serves none.
    pub listening_port: u16,
    /// The address to announce, where the peer address of the connection is not the right one.
    pub ip_address: Option<String>,
    /// The server version to announce. Valkey 9 chooses the dump's version by it and assumes an old
    /// Redis without it, so below 9.0.0 a dump from there would lack the expiry of hash fields.
    pub version: String,
    /// The connection's name, as CLIENT LIST of the primary shows it. A primary that refuses the name is
    /// followed without one.
    pub client_name: Option<String>,
    /// The word for PSYNC, where the primary's configuration has renamed the command.
    pub psync_command: String,
    /// Whether whoever drives the link can open a second connection for the dump (Redis 8's rdb channel,
    /// Valkey's dual channel). The stream then comes here at once instead of waiting at the primary. See
    /// [`Link::wants_dump_channel`](crate::Link::wants_dump_channel).
    pub two_channels: bool,
    /// How long a reply of the handshake may take.
    pub handshake_timeout: Duration,
    /// How long the primary may be silent between PSYNC and the end of the dump. Primaries send a
    /// newline every second while they prepare one, so this bounds silence, not the whole sync.
    pub sync_timeout: Duration,
    /// How long a command of the stream that has begun may wait for its next byte.
    pub read_timeout: Duration,
    /// How long the stream may be silent between two commands. Primaries send a PING every ten seconds.
    pub idle_timeout: Duration,
    /// Time between two `REPLCONF ACK`, and between two newlines while the dump is loaded.
    pub ack_interval: Duration,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            credentials: None,
            listening_port: 0,
            ip_address: None,
            version: "9.1.2".to_owned(),
            client_name: None,
            psync_command: "PSYNC".to_owned(),
            two_channels: false,
            handshake_timeout: Duration::from_secs(5),
            sync_timeout: Duration::from_secs(60),
            read_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            ack_interval: Duration::from_secs(1),
        }
    }
}

/// User and password for AUTH. Printing it with `Debug` shows the user alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The ACL user; without one, `AUTH password` speaks for the user `default`.
    pub user: Option<String>,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_the_password() {
        let credentials = Credentials { user: Some("ann".to_owned()), password: "s3cret".to_owned() };
        let options = LinkOptions { credentials: Some(credentials), ..LinkOptions::default() };
        let text = format!("{options:?}");
        assert!(text.contains("ann") && !text.contains("s3cret"), "{text}");
    }
}
