//! Four ways to compare keys with a pattern: the same answers, at different speeds.
//!
//! `cargo run --example pattern_matching [-- --master redis://host:port]`; `--release` for speeds that mean something.

use std::time::Instant;

use replica::{Matching, Replica, Scan};

#[tokio::main]
async fn main() -> Result<(), replica::Error> {
    let primary = replica_examples::primary(&[]).await?;
    if let Some(own) = primary.own() {
        for i in 0..50_000 {
            own.command(&["SET", &format!("user:{i}:{}", ["name", "mail", "born"][i % 3]), "x"])?;
        }
    }
    let replica = Replica::connect(primary.url()).await?;
    let db = replica.db(0);
    println!("{} keys", db.len());
    for pattern in ["user:1*", "*:mail", "*99*", "user:[0-4]?:*", "u*r:*1*:n*e"] {
        println!("{pattern}");
        let ways = [Matching::Glob, Matching::Simple, Matching::Regex, Matching::Automaton];
        let counts = ways.map(|way| {
            let begun = Instant::now();
            let count = db.scan(Scan::all().matching(pattern).by(way)).count();
            println!("  {:10} {count:6} keys in {:?}", format!("{way:?}"), begun.elapsed());
            count
        });
        // Every write to the primary may come in between, so this holds for our own only.
        if primary.own().is_some() {
            assert!(counts.iter().all(|count| *count == counts[0]));
        }
    }
    replica.shutdown().await
}
