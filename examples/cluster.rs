//! A copy of a whole cluster: every shard's keys in one keyspace, writes through to the shard of the key, and clients of
//! clusters who read the copy instead of the shards.
//!
//! ```sh
//! cargo run --example cluster -- --master redis-cluster://host:port,host:port   # yours
//! cargo run --example cluster -- --fetch      # three shards of Valkey on this machine, fetched if need be
//! cargo run --example cluster                 # no cluster: one primary in this process stands for it
//! ```

use replica::{Configuration, Error, Replica, Writes, cmd};

const KEYS: u32 = 300;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let fetches = std::env::args().any(|arg| arg == "--fetch");
    // It lives as long as this does.
    let fetched = tokio::task::block_in_place(|| {
        fetches.then(|| testkit::Cluster::start(testkit::Server::V9_1, 3, false))
    });
    let mut own = None;
    let url = match &fetched {
        Some(cluster) => format!("redis-cluster://{}", cluster.nodes[0].addr()),
        None => own.insert(replica_examples::primary(&[]).await?).url().to_owned(),
    };
    if own.as_ref().is_some_and(|primary| primary.own().is_some()) {
        println!("no cluster was named: one primary in this process stands for it");
    }

    // Clients of clusters are told that this copy is the one node, with every slot.
    let mut configuration = Configuration::default();
    configuration.push("cluster-topology", ["copy"]);
    let replica = Replica::builder()
        .master(url)
        .listen("127.0.0.1:0")
        .writes(Writes::Forward)
        .configuration(configuration)
        .start()
        .await?;
    replica.ready().await?;
    println!("{} keys at first", replica.db(0).len());

    // Each write goes to the shard of its key, and is read here at once.
    for n in 0..KEYS {
        let key = format!("example:{n}");
        let (_, at) = replica.write(cmd!("SET", &key, n, "EX", 60)).await?;
        if n % 100 == 0 {
            replica.wait_for(at).await?;
            assert_eq!(replica.db(0).get_as::<u32>(&key)?, Some(n));
        }
    }
    println!("{KEYS} keys written through, some of them read back at once");

    for shard in replica.shards() {
        let slots: usize = shard.slots.iter().map(ExactSizeIterator::len).sum();
        let (host, port) = &shard.primary;
        let held = shard.position.map_or(0, |position| position.offset.0);
        println!("shard {}: {host}:{port}, {slots} slots, held up to byte {held}", shard.number);
    }

    // What redis-py's RedisCluster, ioredis and others ask first.
    let nodes = replica.call(&["CLUSTER", "NODES"])?;
    let nodes = nodes.as_bytes().map(|text| String::from_utf8_lossy(text)).unwrap_or_default();
    println!("a client of clusters is told: {}", nodes.trim_end());
    if let Some(address) = replica.local_addr() {
        println!("redis-cli -c -p {} would read all of it here", address.port());
    }
    replica.shutdown().await
}
