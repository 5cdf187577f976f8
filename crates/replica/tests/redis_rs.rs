//! redis-rs against a replica of ours that follows a real primary: what its users do, in their words.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::streams::{StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands as _, AsyncIter, Client, ErrorKind, PushInfo, PushKind, ServerErrorKind};
use replica::Replica;
use testkit::{Running, Server};

async fn both() -> (Running, Replica, Client, Client) {
    let primary = Server::R8_2.start_with(&["--repl-diskless-sync-delay", "0"]);
    let replica = Replica::builder().master(primary.url()).listen("127.0.0.1:0").start().await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), replica.ready()).await.unwrap().unwrap();
    let master = Client::open(primary.url()).unwrap();
    let port = replica.local_addr().unwrap().port();
    let ours = Client::open(format!("redis://127.0.0.1:{port}/?protocol=resp3")).unwrap();
    (primary, replica, master, ours)
}

/// Everything that the primary has written until now can be read from the replica.
async fn caught_up(master: &mut redis::aio::MultiplexedConnection, replica: &Replica) {
    let info: redis::InfoDict = redis::cmd("INFO").arg("replication").query_async(master).await.unwrap();
    let offset = info.get("master_repl_offset").unwrap();
    replica.wait_for_offset(offset, Duration::from_secs(30)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_pipelines_transactions_scans_and_scripts() {
    let (_primary, replica, master, ours) = both().await;
    let mut master = master.get_multiplexed_async_connection().await.unwrap();
    let mut ours = ours.get_multiplexed_async_connection().await.unwrap();
    let _: () = master.set("text", "hello").await.unwrap();
    let _: () = master.set("bytes", &[0_u8, 255, 10][..]).await.unwrap();
    let _: () = master.hset_multiple("hash", &[("a", 1), ("b", 2)]).await.unwrap();
    let _: () = master.rpush("list", (0..100).collect::<Vec<i32>>()).await.unwrap();
    let _: () = master.zadd_multiple("zset", &[(1.5, "one"), (f64::INFINITY, "inf")]).await.unwrap();
    caught_up(&mut master, &replica).await;
    assert_eq!(ours.get::<_, String>("text").await.unwrap(), "hello");
    assert_eq!(ours.get::<_, Vec<u8>>("bytes").await.unwrap(), [0, 255, 10]);
    assert_eq!(ours.get::<_, Option<String>>("none").await.unwrap(), None);
    let hash: HashMap<String, i64> = ours.hgetall("hash").await.unwrap();
    assert_eq!(hash, HashMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]));
    assert_eq!(ours.lrange::<_, Vec<i32>>("list", -2, -1).await.unwrap(), [98, 99]);
    let zset: Vec<(String, f64)> = ours.zrange_withscores("zset", 0, -1).await.unwrap();
    assert_eq!(zset, [("one".to_owned(), 1.5), ("inf".to_owned(), f64::INFINITY)]);

    let (text, length, missing): (String, i64, Option<i64>) =
        redis::pipe().get("text").llen("list").get("none").query_async(&mut ours).await.unwrap();
    assert_eq!((text.as_str(), length, missing), ("hello", 100, None));
    let (first, second): (i32, i32) =
        redis::pipe().atomic().lindex("list", 3).hget("hash", "b").query_async(&mut ours).await.unwrap();
    assert_eq!((first, second), (3, 2));
    // Many tasks share the connection.
    let tasks: Vec<_> = (0..200)
        .map(|index| {
            let mut ours = ours.clone();
            tokio::spawn(async move { ours.lindex::<_, i32>("list", index % 100).await.unwrap() })
        })
        .collect();
    for (index, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap(), i32::try_from(index % 100).unwrap());
    }

    let mut found = HashSet::new();
    let mut keys: AsyncIter<'_, String> = ours.scan_match("*").await.unwrap();
    while let Some(key) = keys.next_item().await {
        found.insert(key.unwrap());
    }
    drop(keys);
    assert_eq!(found, ["text", "bytes", "hash", "list", "zset"].map(str::to_owned).into());

    let script = redis::Script::new("return {KEYS[1], redis.call('LLEN', KEYS[1]), ARGV[1] + 1}");
    let told: (String, i64, i64) = script.key("list").arg(41).invoke_async(&mut ours).await.unwrap();
    assert_eq!(told, ("list".to_owned(), 100, 42));

    let refused = ours.set::<_, _, ()>("text", "x").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly));
    let wrong = ours.get::<_, String>("list").await.unwrap_err();
    assert_eq!(wrong.code(), Some("WRONGTYPE"));

    // Woken by a replicated write.
    let mut waiting = ours.clone();
    waiting.set_response_timeout(Duration::from_secs(60));
    let options = StreamReadOptions::default().block(30_000);
    let waiter = tokio::spawn(async move {
        waiting.xread_options::<_, _, StreamReadReply>(&["stream"], &["$"], &options).await.unwrap()
    });
    while !replica.engine().call(&[b"INFO", b"clients"]).is_ok_and(|info| {
        info.as_bytes().is_some_and(|text| text.windows(17).any(|line| line == b"blocked_clients:1"))
    }) {
        tokio::task::yield_now().await;
    }
    let _: String = master.xadd("stream", "3-1", &[("job", "1")]).await.unwrap();
    assert_eq!(waiter.await.unwrap().keys[0].ids[0].id, "3-1");
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_invalidations_and_reconnection() {
    let (_primary, replica, master_client, ours) = both().await;
    let mut master = master_client.get_multiplexed_async_connection().await.unwrap();
    let (pushes, mut pushed) = tokio::sync::mpsc::unbounded_channel();
    let config = redis::AsyncConnectionConfig::new().set_push_sender(pushes);
    let mut listener = ours.get_multiplexed_async_connection_with_config(&config).await.unwrap();
    listener.subscribe("news").await.unwrap();
    let mut next = async |kind: PushKind| -> PushInfo {
        loop {
            let push = tokio::time::timeout(Duration::from_secs(30), pushed.recv()).await.unwrap().unwrap();
            if push.kind == kind {
                return push;
            }
        }
    };
    next(PushKind::Subscribe).await;
    let _: () = master.publish("news", "hello").await.unwrap();
    let message = next(PushKind::Message).await;
    assert_eq!(redis::from_redis_value::<String>(message.data[1].clone()).unwrap(), "hello");
    // Tracking: a write on the primary is told to the client of the replica.
    let _: () = master.set("tracked", 1).await.unwrap();
    caught_up(&mut master, &replica).await;
    let _: () = redis::cmd("CLIENT").arg("TRACKING").arg("ON").query_async(&mut listener).await.unwrap();
    assert_eq!(listener.get::<_, i64>("tracked").await.unwrap(), 1);
    let _: () = master.set("tracked", 2).await.unwrap();
    next(PushKind::Invalidate).await;
    assert_eq!(listener.get::<_, i64>("tracked").await.unwrap(), 2);

    // Client-side caching: never a value older than what was waited for.
    let cache = redis::caching::CacheConfig::new();
    let config = redis::AsyncConnectionConfig::new().set_cache_config(cache);
    let mut cached = ours.get_multiplexed_async_connection_with_config(&config).await.unwrap();
    for n in 0..50 {
        let _: () = master.set("cached", n).await.unwrap();
        caught_up(&mut master, &replica).await;
        let read = async {
            while cached.get::<_, i64>("cached").await.unwrap() != n {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), read).await.unwrap();
        assert_eq!(cached.get::<_, i64>("cached").await.unwrap(), n);
    }
    assert!(cached.get_cache_statistics().unwrap().hit > 0);

    // The connection is killed: the manager makes a new one.
    let mut manager = ConnectionManager::new_with_config(
        ours.clone(),
        ConnectionManagerConfig::new().set_min_delay(Duration::from_millis(1)),
    )
    .await
    .unwrap();
    let id = async |manager: &mut ConnectionManager| {
        redis::cmd("CLIENT").arg("ID").query_async::<i64>(manager).await
    };
    let before = id(&mut manager).await.unwrap();
    let killed =
        redis::cmd("CLIENT").arg("KILL").arg("ID").arg(before).query_async::<i64>(&mut listener).await;
    assert_eq!(killed.unwrap(), 1);
    let again = async {
        loop {
            match id(&mut manager).await {
                Ok(after) if after != before => return,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), again).await.unwrap();
    replica.shutdown().await.unwrap();
}
