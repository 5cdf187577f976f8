//! A data set of another server, read by function calls.
//!
//! `cargo run --example basic` brings its own primary; `cargo run --example basic -- redis://host:port`
//! follows yours.

use replica::{Replica, Standalone, Ttl};

#[tokio::main]
async fn main() -> Result<(), replica::Error> {
    // Without an address we need somebody to follow.
    let mut embedded = None;
    let master = match std::env::args().nth(1) {
        Some(address) => address,
        None => {
            let primary = Standalone::start("127.0.0.1:0").await?;
            primary.command(&["SET", "user:1:name", "Ada"])?;
            primary.command(&["HSET", "user:1", "born", "1815", "field", "mathematics"])?;
            primary.command(&["ZADD", "scores", "10", "ada", "7", "charles"])?;
            embedded.insert(primary).url()
        }
    };

    let replica = Replica::builder().master(master).listen("127.0.0.1:0").start().await?;
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
