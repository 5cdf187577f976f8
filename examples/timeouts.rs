//! What happens when a primary does not answer, cannot be reached, or will not have us; and what each setting bounds.
//!
//! `cargo run --example timeouts [-- --master redis://host:port]`

use std::time::Duration;

use replica::{Backoff, Credentials, Error, FailureKind, Replica};
use tokio::net::TcpListener;
use tokio::time::timeout;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let soon = Backoff { base: Duration::from_millis(20), cap: Duration::from_millis(100) };

    // A primary that cannot be reached is waited for: whoever waits says how long.
    let nobody = Replica::builder().master("127.0.0.1:1").reconnect(soon).start().await?;
    let waited = timeout(Duration::from_millis(200), nobody.ready()).await;
    println!("nobody there: ready within 200 ms? {}", waited.is_ok());
    println!("  {} attempts failed", nobody.status().failures.of(FailureKind::Unreachable));
    nobody.shutdown().await?;

    // One that takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await;
    let silent = silent.map_err(|source| Error::Io { what: "listening", source })?;
    let address = silent.local_addr().map(|at| at.to_string()).unwrap_or_default();
    let settings = Replica::builder().master(address).reconnect(soon);
    let replica = settings.handshake_timeout(Duration::from_millis(100)).start().await?;
    let mut states = replica.watch_status();
    while let Some(status) = states.next().await {
        if status.failures.of(FailureKind::Silent) > 0 {
            println!("a silent primary: {:?}", status.phase);
            break;
        }
    }
    replica.shutdown().await?;

    // One that refuses us: no amount of waiting helps, so `ready` says so at once.
    let primary = replica_examples::primary(&[&["CONFIG", "SET", "requirepass", "secret"]]).await?;
    if primary.own().is_some() {
        let settings = Replica::builder().master(primary.url()).credentials(Credentials::password("guess"));
        let replica = settings.start().await?;
        if let Err(error) = replica.ready().await {
            println!("refused while {:?}: {error}; worth a retry: {}", error.phase(), error.is_retryable());
        }
        replica.shutdown().await?;
    }

    // And with every bound in its place.
    let mut settings = Replica::builder()
        .master(primary.url())
        .connect_timeout(Duration::from_secs(2)) // name and connection
        .handshake_timeout(Duration::from_secs(5)) // each answer before the dump
        .sync_timeout(Duration::from_secs(30)) // silence, not the whole of a full sync
        .read_timeout(Duration::from_secs(30)) // within a command
        .idle_timeout(Duration::from_secs(60)) // between commands; primaries ping every 10 s
        .write_timeout(Duration::from_secs(10)) // our acknowledgements
        .ack_interval(Duration::from_secs(1));
    if primary.own().is_some() {
        settings = settings.credentials(Credentials::password("secret"));
    }
    let replica = settings.start().await?;
    timeout(Duration::from_secs(60), replica.ready())
        .await
        .map_err(|_| Error::Timeout { what: "the sync" })??;
    println!("synced: {} keys", replica.status().keys);
    replica.shutdown().await
}
