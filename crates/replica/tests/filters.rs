//! Copies of a part: what is kept equals the primary's, what is not costs nothing, and what cannot be known
//! is absent and counted.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;

use replica::{FailureKind, Filter, Kind, Replica, Scan};
use testkit::{Client, Server, fill_every_type, random_writes};

mod support;
use support::{assert_equal, builder, caught_up, client_of, info, start};

/// What the filter keeps must be equal but for what is lost; nothing else may be there.
fn check(real: &mut Client, replica: &Replica, filter: &Filter) -> (usize, usize) {
    let mut ours = client_of(replica);
    let lost: HashSet<(u32, Vec<u8>)> = replica.engine().lost_keys().into_iter().collect();
    let found = testkit::differences(real, &mut ours);
    let mut kept = 0;
    for db in 0..16 {
        real.call(&["SELECT", &db.to_string()]).ok();
        for key in replica.db(db).scan(Scan::all()) {
            kept += 1;
            let kind = real.call(&[&b"TYPE"[..], &key]).text();
            assert!(
                filter.keeps_key(db, &key) && (kind == "none" || filter.keeps_type(&kind)),
                "{filter}: db {db} key {} is no business of this copy",
                key.escape_ascii()
            );
        }
    }
    for difference in found {
        let Some(db) = difference.db else { continue };
        let id = (u32::try_from(db).unwrap(), difference.key.clone());
        if difference.what == "idle consumer" || !filter.keeps_key(id.0, &id.1) {
            continue;
        }
        real.call(&["SELECT", &db.to_string()]).ok();
        let kind = real.call(&[&b"TYPE"[..], &difference.key]).text();
        // It may have expired since.
        if kind != "none" && filter.keeps_type(&kind) {
            assert!(lost.contains(&id), "{filter}: {difference}");
            // Lost means absent, never another value.
            assert!(
                replica.db(id.0).scan(Scan::all()).all(|key| key[..] != id.1[..]),
                "{filter}: {difference}"
            );
        }
    }
    real.call(&["SELECT", "0"]).ok();
    (kept, lost.len())
}

async fn parts_of(server: Server) {
    let primary = server.builder().config("repl-diskless-sync-delay", "0").start();
    let mut real = primary.client();
    fill_every_type(&mut real, 1, 800);
    random_writes(&mut real, 1, 1500);
    let texts = [
        "db=0",
        "pattern=w:*[02468]",
        "prefix=w:text:,w:list:1,w:set:,w:sorted: slot=0-9000",
        "type=hash,zset",
        "type=string",
        "type=list,set db=0,1",
        "type=stream pattern=*1,*2,*3",
    ];
    let mut copies = Vec::new();
    for text in texts {
        let filter: Filter = text.parse().unwrap();
        copies.push((start(builder(primary.url()).filter(filter.clone())).await, filter));
    }
    for round in 0..3 {
        random_writes(&mut real, 10 + round, 1500);
        if round == 1 {
            assert_eq!(real.call(&["CLIENT", "KILL", "TYPE", "replica"]).int(), texts.len() as i64);
        }
        for (replica, filter) in &copies {
            caught_up(&mut real, replica).await;
            let (kept, lost) = check(&mut real, replica, filter);
            let status = replica.status();
            if round == 2 {
                println!("{server:?}, {filter}: {kept} keys kept, {:?}", status.filter);
            }
            assert_eq!(status.filter.as_ref().unwrap().keys_lost, lost);
            assert_eq!(status.diverged, 0, "{filter}: {:?}", replica.engine().divergence().by_name());
        }
    }
    let names = copies.iter().find(|(_, filter)| filter.to_string().starts_with("pattern=w")).unwrap();
    let status = names.0.status().filter.unwrap();
    assert!(status.keys_lost > 0 && status.commands_changed > 0 && status.commands_dropped > 0, "{status:?}");
    let mut ours = client_of(&names.0);
    assert_eq!(info(&mut ours, "replication", "replica_filter"), names.1.to_string());
    for (replica, _) in copies {
        replica.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_redis_7() {
    parts_of(Server::R7_0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_valkey_9() {
    parts_of(Server::V9_1).await;
}

/// One command after the other, with what must be there afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn commands_that_touch_both_sides() {
    let primary = Server::R7_0.builder().config("repl-diskless-sync-delay", "0").start();
    let mut real = primary.client();
    let filter = Filter::new().prefixes(["in:"]).databases([0, 1]);
    let replica = start(builder(primary.url()).filter(filter)).await;
    // Commands, then the keys that ours holds in database 0, then those that are lost.
    let script: [(&str, &str, &str); 22] = [
        ("MSET in:a 1 out:a 1 in:b 1", "in:a in:b", ""),
        ("DEL in:a out:a", "in:b", ""),
        ("RENAME in:b out:b", "", ""),
        ("RENAME out:b in:c", "", "in:c"),
        ("APPEND in:c more", "", "in:c"),
        ("SET in:c whole", "in:c", ""),
        ("SADD out:s a b", "in:c", ""),
        ("SADD in:s x", "in:c in:s", ""),
        ("SMOVE out:s in:s a", "in:c in:s", ""),
        ("SMOVE in:s out:s x", "in:c in:s", ""),
        ("SUNIONSTORE in:u in:s out:s", "in:c in:s", "in:u"),
        ("SUNIONSTORE in:u in:s", "in:c in:s in:u", ""),
        ("RPUSH out:l 1 2 3", "in:c in:s in:u", ""),
        ("RPUSH in:l 1 2 3", "in:c in:l in:s in:u", ""),
        ("LMOVE in:l out:l LEFT RIGHT", "in:c in:l in:s in:u", ""),
        ("LMOVE out:l in:l LEFT RIGHT", "in:c in:s in:u", "in:l"),
        ("COPY out:l in:k", "in:c in:s in:u", "in:k in:l"),
        ("DEL in:k in:l", "in:c in:s in:u", ""),
        ("COPY in:c in:d", "in:c in:d in:s in:u", ""),
        ("MOVE in:d 5", "in:c in:s in:u", ""),
        ("BITOP OR in:bits in:c out:none", "in:c in:s in:u", "in:bits"),
        ("FLUSHDB", "", ""),
    ];
    for (command, kept, lost) in script {
        assert!(!real.line(command).is_error(), "{command}");
        caught_up(&mut real, &replica).await;
        let mut keys: Vec<String> =
            replica.db(0).scan(Scan::all()).map(|key| String::from_utf8_lossy(&key).into_owned()).collect();
        keys.sort();
        assert_eq!(keys.join(" "), kept, "after {command}");
        let mut absent: Vec<String> = replica
            .engine()
            .lost_keys()
            .iter()
            .map(|(_, key)| String::from_utf8_lossy(key).into_owned())
            .collect();
        absent.sort();
        assert_eq!(absent.join(" "), lost, "after {command}");
        let mut found = testkit::differences(&mut real, &mut client_of(&replica));
        found.retain(|difference| keys.iter().any(|key| key.as_bytes() == difference.key));
        assert!(found.is_empty(), "after {command}: {found:?}");
    }
    // Two databases change places, one of them ours: nothing but a dump tells what is in it now.
    assert!(!real.line("SELECT 7").is_error() && !real.line("SET in:seven 7").is_error());
    assert!(!real.line("SWAPDB 0 7").is_error() && !real.line("SELECT 0").is_error());
    caught_up(&mut real, &replica).await;
    support::until(&replica, "a full sync", |status| status.full_syncs == 2 && status.is_connected()).await;
    assert_eq!(replica.db(0).get("in:seven").unwrap().unwrap(), b"7");
    assert_eq!(replica.status().failures.of(FailureKind::Overtaken), 1);
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_that_of_what_is_kept() {
    let primary = Server::R7_0.builder().config("repl-diskless-sync-delay", "0").start();
    let mut real = primary.client();
    real.call(&["DEBUG", "POPULATE", "20000", "rest", "100"]).ok();
    real.call(&["DEBUG", "POPULATE", "1000", "part", "100"]).ok();
    let whole = start(builder(primary.url())).await;
    let part = start(builder(primary.url()).filter(Filter::new().prefixes(["part"]))).await;
    let none = start(builder(primary.url()).filter(Filter::new().kinds([Kind::List]))).await;
    for n in 0..2000 {
        real.call(&["SET", &format!("rest:new:{n}"), &"x".repeat(100)]).ok();
    }
    for replica in [&whole, &part, &none] {
        caught_up(&mut real, replica).await;
    }
    let bytes = |replica: &Replica| replica.engine().keyspace().counts().bytes;
    println!(
        "payload: whole {} bytes, a 23rd part {}, nothing {}",
        bytes(&whole),
        bytes(&part),
        bytes(&none)
    );
    assert_eq!((whole.db(0).len(), part.db(0).len(), none.db(0).len()), (23_000, 1000, 0));
    assert!(bytes(&part) * 20 < bytes(&whole) && bytes(&none) == 0);
    // The offset counts what is not kept, too: the stream goes on without a dump.
    for replica in [&part, &none] {
        assert_eq!(replica.position().unwrap(), whole.position().unwrap());
    }
    assert_equal(&mut real, &mut client_of(&whole));
    for replica in [whole, part, none] {
        replica.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_can_be_chosen() {
    let primary = Server::R7_0.builder().config("repl-diskless-sync-delay", "0").start();
    let mut real = primary.client();
    let only = start(builder(primary.url()).filter(Filter::new().commands(["SET"]))).await;
    let all_but = start(builder(primary.url()).filter(Filter::new().block_commands(["del"]))).await;
    for command in ["SET a 1", "SET b 1", "DEL a", "RPUSH l 1"] {
        assert!(!real.line(command).is_error());
    }
    for (replica, keys) in [(&only, 2), (&all_but, 3)] {
        caught_up(&mut real, replica).await;
        assert_eq!(replica.db(0).len(), keys);
    }
    for replica in [only, all_but] {
        replica.shutdown().await.unwrap();
    }
}
