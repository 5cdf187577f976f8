//! Reads of strings take no memory.

use std::alloc::System;
use std::hint::black_box;

use replica::{Replica, Standalone};
use testkit::Counting;

#[global_allocator]
static ALLOCATOR: Counting<System> = Counting(System);

fn counted(f: impl FnOnce()) -> u64 {
    let before = Counting::<System>::count();
    f();
    Counting::<System>::count() - before
}

#[tokio::test(flavor = "multi_thread")]
async fn a_string_is_read_without_an_allocation() {
    let primary = Standalone::start("127.0.0.1:0").await.unwrap();
    let keys: Vec<String> = (0..2000).map(|n| format!("key:{n}")).collect();
    for (n, key) in keys.iter().enumerate() {
        // Short ones stand beside their keys, long ones elsewhere, numbers as text.
        let value = if n % 3 == 0 { n.to_string() } else { "x".repeat(n * 3) };
        primary.command(&["SET", key, &value]).unwrap();
    }
    primary.command(&["EXPIRE", "key:3", "1000"]).unwrap();
    let replica = Replica::connect(&primary.url()).await.unwrap();
    let db = replica.db(0);
    let read = || {
        for key in &keys {
            let blob = db.get(key).unwrap().unwrap();
            black_box(blob.clone().len());
            assert!(black_box(db.exists(key)));
        }
        assert!(db.get("none").unwrap().is_none());
        assert_eq!(db.get_as::<u64>("key:1998").unwrap(), Some(1998));
        assert!(db.with("key:4", |value| value.is_some()));
    };
    // What a thread has of its own is made at its first read.
    read();
    assert_eq!(counted(read), 0);
    assert!(counted(|| drop(black_box(vec![1]))) > 0, "the counting counts");
    replica.shutdown().await.unwrap();
}
