//! A data set of another server, read by function calls.
//!
//! `cargo run --example basic` brings its own primary; `cargo run --example basic -- --master redis://host:port`
//! follows yours.

use replica::{Replica, Ttl};

#[tokio::main]
async fn main() -> Result<(), replica::Error> {
    // Without an address we need somebody to follow.
    let primary = replica_examples::primary(&[
        &["SET", "user:1:name", "Ada"],
        &["HSET", "user:1", "born", "1815", "field", "mathematics"],
        &["ZADD", "scores", "10", "ada", "7", "charles"],
    ])
    .await?;

    let replica = Replica::builder().master(primary.url()).listen("127.0.0.1:0").start().await?;
    replica.ready().await?;

    let db = replica.db(0);
    println!("{} keys", db.len());
    if let Some(name) = db.get("user:1:name")? {
        println!("user:1:name is {name}");
    }
    if let Some(user) = db.hash("user:1")? {
        println!("user:1 has {} fields", user.len());
    }
    if let Some(scores) = db.zset("scores")? {
        println!("ada has rank {:?}", scores.rank("ada"));
    }
    assert_eq!(db.ttl("no such key"), Ttl::Missing);
    if let Some(address) = replica.local_addr() {
        println!("redis-cli -p {} would read the same", address.port());
    }
    replica.shutdown().await
}
