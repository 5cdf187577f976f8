//! Only a part of the primary's data: two databases, one prefix. The rest costs no memory.
//!
//! `cargo run --example database_filtering [-- --master redis://host:port]`

use replica::{Filter, Kind, Replica};

#[tokio::main]
async fn main() -> Result<(), replica::Error> {
    let primary = replica_examples::primary(&[
        &["MSET", "user:1", "Ada", "user:2", "Grace", "session:1", "x"],
        &["RPUSH", "user:log", "in", "out"],
    ])
    .await?;
    if let Some(own) = primary.own() {
        own.command_in(1, &["SET", "user:3", "Charles"])?;
        own.command_in(2, &["SET", "user:4", "nobody here will see"])?;
    }
    let everything = Replica::connect(primary.url()).await?;
    let filter = Filter::new().databases([0, 1]).prefixes(["user:"]).kinds([Kind::String]);
    let part = Replica::builder().master(primary.url()).filter(filter).start().await?;
    part.ready().await?;

    println!("the primary:");
    for database in everything.databases() {
        println!("  database {}: {} keys, {} bytes", database.index, database.keys, database.bytes);
    }
    println!("what is kept of it:");
    for database in part.databases() {
        println!("  database {}: {} keys, {} bytes", database.index, database.keys, database.bytes);
    }
    if let Some(status) = part.status().filter {
        println!("  the filter: {}", status.filter);
    }
    if primary.own().is_some() {
        assert!(part.db(0).exists("user:1") && !part.db(0).exists("session:1"));
        assert!(!part.db(0).exists("user:log") && !part.db(2).exists("user:4"));
    }
    part.shutdown().await?;
    everything.shutdown().await
}
