//! Positions, waiting for them, and refusing what is too old.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use replica::{Bound, Error, Offset, Position, Replica, Value, cmd};
use testkit::{Client, Server};

mod support;
use support::{PATIENCE, builder, caught_up, info, start, until};

fn end_of(real: &mut Client) -> Position {
    let offset = info(real, "replication", "master_repl_offset").parse().unwrap();
    Position { replid: info(real, "replication", "master_replid").parse().unwrap(), offset: Offset(offset) }
}

async fn arrives(replica: &Replica, at: Position) {
    tokio::time::timeout(PATIENCE, replica.wait_for(at)).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_is_waited_for_and_what_is_too_old_is_refused() {
    let primary = Server::R7_0.builder().config("enable-debug-command", "yes").start();
    let mut real = primary.client();
    let unsynced = builder("127.0.0.1:1").start().await.unwrap();
    assert!(matches!(unsynced.require(Bound::Synced), Err(Error::NotSynced)));
    assert_eq!(unsynced.freshness().age, None);
    let replica = start(builder(primary.url())).await;
    for i in 0..200 {
        real.line(&format!("SET k {i}")).ok();
        let at = end_of(&mut real);
        arrives(&replica, at).await;
        let fresh = replica.require(Bound::AtLeast(at)).unwrap();
        assert_eq!(fresh.get("k").unwrap().unwrap(), i.to_string());
        assert!(fresh.freshness().position.unwrap().offset >= at.offset);
    }
    let now = replica.freshness();
    assert!(now.connected && now.behind_bytes == 0 && now.age.is_some() && now.silence.is_some(), "{now:?}");
    replica.require(Bound::WithinTime(PATIENCE)).unwrap();
    replica.require(Bound::WithinBytes(0)).unwrap();
    let held = replica.position().unwrap();
    let ahead = Position { offset: held.offset.after(1_000_000), ..held };
    let error = replica.require(Bound::AtLeast(ahead)).unwrap_err();
    assert!(matches!(error, Error::TooStale { .. }) && error.is_retryable(), "{error}");
    let waited = tokio::time::timeout(Duration::from_millis(20), replica.wait_for(ahead)).await;
    assert!(waited.is_err());
    // Another history: what was is held still, what was to come never comes.
    let waiting = tokio::spawn({
        let replica = replica.clone();
        async move { replica.wait_for(ahead).await }
    });
    real.line("DEBUG CHANGE-REPL-ID").ok();
    real.line("CLIENT KILL TYPE replica").ok();
    let error = tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, Error::HistoryEnded { position } if position == ahead), "{error}");
    until(&replica, "the stream", |status| status.is_connected()).await;
    real.line("SET k last").ok();
    arrives(&replica, end_of(&mut real)).await;
    // Without a primary there is no telling how old they are.
    drop(primary);
    until(&replica, "the end of the link", |status| !status.is_connected()).await;
    assert!(replica.require(Bound::WithinTime(PATIENCE)).is_err());
    assert!(replica.require(Bound::WithinBytes(u64::MAX)).is_err());
    assert_eq!(replica.require(Bound::Synced).unwrap().get("k").unwrap().unwrap(), b"last");
    let waiting = tokio::spawn({
        let replica = replica.clone();
        let ahead =
            Position { offset: replica.position().unwrap().offset.after(1), ..replica.position().unwrap() };
        async move { replica.wait_for(ahead).await }
    });
    replica.shutdown().await.unwrap();
    assert!(matches!(waiting.await.unwrap(), Err(Error::Closed)));
}

/// A position of a history that was continued under another name is held as far as both are the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_keeps_the_positions_before_it() {
    let top = Server::R7_0.start();
    let mut real = top.client();
    let middle =
        Server::R7_0.start_with(&["--replicaof", "127.0.0.1", &top.port().to_string(), "--save", ""]);
    let mut next = middle.client();
    real.line("SET k v").ok();
    testkit::wait_until_caught_up(&mut real, &mut next);
    let replica = start(builder(middle.url())).await;
    caught_up(&mut real, &replica).await;
    let before = end_of(&mut real);
    arrives(&replica, before).await;
    next.line("REPLICAOF NO ONE").ok();
    next.line("SET k w").ok();
    let after = end_of(&mut next);
    assert_ne!(before.replid, after.replid);
    arrives(&replica, after).await;
    replica.require(Bound::AtLeast(before)).unwrap();
    let never = Position { offset: after.offset.after(1), ..before };
    assert!(matches!(replica.wait_for(never).await, Err(Error::HistoryEnded { .. })));
    replica.shutdown().await.unwrap();
}

/// Whoever has written reads it here, whatever the link does: several tasks at once, with the link cut meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_reads_it_here() {
    let primary = Server::R8_2.builder().config("repl-backlog-size", "64mb").start();
    let mut real = primary.client();
    let replica = start(builder(primary.url())).await;
    let writers: Vec<_> = (0..4_u32)
        .map(|writer| {
            let replica = replica.clone();
            tokio::spawn(async move {
                let key = format!("counter:{writer}");
                for i in 1..=400_u32 {
                    // Two lines.
                    let (reply, at) = replica.write(cmd!("INCR", &key).in_db(writer % 2)).await.unwrap();
                    replica.wait_for(at).await.unwrap();
                    assert_eq!(reply, Value::Integer(i64::from(i)));
                    assert_eq!(replica.db(writer % 2).get_as::<u32>(&key).unwrap(), Some(i));
                    assert!(replica.require(Bound::AtLeast(at)).is_ok());
                }
            })
        })
        .collect();
    for cuts in 1..=3 {
        real.line("CLIENT KILL TYPE replica").ok();
        let again = |status: &replica::Status| status.partial_syncs >= cuts && status.is_connected();
        until(&replica, "the stream again", again).await;
    }
    for writer in writers {
        tokio::time::timeout(PATIENCE, writer).await.unwrap().unwrap();
    }
    let error = replica.write(cmd!("LPUSH", "counter:0", "x")).await.unwrap_err();
    assert!(
        matches!(&error, Error::Server { code, .. } if code == "WRONGTYPE") && !error.is_retryable(),
        "{error}"
    );
    drop(primary);
    until(&replica, "the end of the link", |status| !status.is_connected()).await;
    let error = replica.write(cmd!("SET", "k", "v")).await.unwrap_err();
    assert!(matches!(error, Error::Upstream(_)), "{error}");
    replica.shutdown().await.unwrap();
}
