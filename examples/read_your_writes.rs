//! Writes go to the primary, reads stay here, and whoever has written sees it: two lines.
//!
//! `cargo run --example read_your_writes [-- --master redis://host:port]`

use std::time::Instant;

use replica::{Bound, Replica, cmd};

#[tokio::main]
async fn main() -> Result<(), replica::Error> {
    let primary = replica_examples::primary(&[]).await?;
    let replica = Replica::connect(primary.url()).await?;
    let db = replica.db(0);

    // The two lines.
    let (reply, at) = replica.write(cmd!("SET", "user:1:name", "Ada")).await?;
    replica.wait_for(at).await?;
    let name = db.get_as::<String>("user:1:name")?.unwrap_or_default();
    println!("{reply:?}, and here it reads {name}");

    // A thousand times, and never an old value.
    let begun = Instant::now();
    for i in 0..1000_u32 {
        let (_, at) = replica.write(cmd!("SET", "counter", i)).await?;
        replica.wait_for(at).await?;
        assert_eq!(db.get_as::<u32>("counter")?, Some(i));
    }
    println!("1000 writes read back in {:?}", begun.elapsed());

    // Another part of the program knows the position, and asks instead of waiting.
    let (_, at) = replica.write(cmd!("INCRBY", "counter", 5)).await?;
    match replica.require(Bound::AtLeast(at)) {
        Ok(fresh) => println!("already here: {:?}", fresh.get_as::<u32>("counter")?),
        Err(error) => println!("not yet: {error}"),
    }
    replica.wait_for(at).await?;
    println!("now it is: {:?}", replica.require(Bound::AtLeast(at))?.get_as::<u32>("counter")?);
    replica.write(cmd!("DEL", "counter", "user:1:name")).await?;
    replica.shutdown().await
}
