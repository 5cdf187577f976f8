//! A link that breaks goes on where it was: nothing is sent twice, and nothing is lost.
//!
//! `cargo run --example psync [-- --master redis://host:port]`

use std::time::Duration;

use replica::{Backoff, Event, EventFilter, Replica, cmd};

#[tokio::main]
async fn main() -> Result<(), replica::Error> {
    let primary = replica_examples::primary(&[&["SET", "counter", "0"]]).await?;
    let backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_secs(1) };
    let replica = Replica::builder().master(primary.url()).reconnect(backoff).start().await?;
    replica.ready().await?;
    let mut events = replica.events(EventFilter::new().without_snapshot());
    if let Some(at) = replica.position() {
        println!("at {at}");
    }

    for round in 1..=3 {
        // The primary hangs up on its replicas, and something is written meanwhile.
        replica.write(cmd!("CLIENT", "KILL", "TYPE", "replica")).await?;
        let (_, at) = replica.write(cmd!("INCR", "counter")).await?;
        replica.wait_for(at).await?;
        let status = replica.status();
        println!(
            "round {round}: at {at}, {} full and {} partial syncs",
            status.full_syncs, status.partial_syncs
        );
    }
    println!("counter is {}", replica.db(0).get_as::<u64>("counter")?.unwrap_or_default());
    replica.shutdown().await?;
    // What a subscriber saw of it.
    while let Some(event) = events.next().await {
        match event {
            Event::LinkUp { resumed } => println!("up, resumed: {resumed}"),
            Event::LinkDown { reason } => println!("down: {reason}"),
            Event::Change(change) => println!("{} of {}", change.what, change.key.escape_ascii()),
            _ => {}
        }
    }
    Ok(())
}
