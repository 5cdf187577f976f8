//! A full sync, told as it goes: the link's log, and each key as it comes into the data set.
//!
//! `cargo run --example rdb_logging [-- --master redis://host:port]`

use replica::{Event, EventFilter, Replica};

#[tokio::main]
async fn main() -> Result<(), replica::Error> {
    let primary = replica_examples::primary(&[
        &["SET", "string", "some text"],
        &["RPUSH", "list", "a", "b"],
        &["HSET", "hash", "field", "value"],
        &["ZADD", "zset", "1.5", "member"],
        &["XADD", "stream", "*", "field", "value"],
    ])
    .await?;
    // Programs with a `tracing` subscriber need no `on_log`.
    let settings = Replica::builder().master(primary.url()).on_log(|line| println!("log: {line}"));
    let replica = settings.start().await?;
    let mut events = replica.events(EventFilter::new().with_after());
    let mut keys = 0;
    while let Some(event) = events.next().await {
        match event {
            Event::LinkUp { resumed } => println!("the stream flows, resumed: {resumed}"),
            Event::SyncStarted { position } => println!("a data set at {position}"),
            Event::SnapshotKey(change) => {
                keys += 1;
                if keys <= 100 {
                    println!("  database {}: {:?} holds {:?}", change.db, change.key, change.after);
                }
            }
            Event::SyncFinished { position } => {
                println!("{keys} keys, at {position}");
                break;
            }
            other => println!("  {other:?}"),
        }
    }
    let status = replica.status();
    if let (Some(began), Some(ended)) = (status.sync_began, status.last_sync) {
        let took = ended.duration_since(began).unwrap_or_default();
        println!("{} bytes came, the sync took {took:?}", status.bytes_received);
    }
    replica.shutdown().await
}
