//! The driver against real servers.

use replication::testing::{Call, Recorder};
use replication::{
    Backoff, Credentials, Driver, DriverConfig, Handle, LinkError, LinkStatus, Phase, Recovery, Step,
};
use std::time::Duration;
use testkit::{Client, Running, Server};

/// Ends a test that hangs; nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(60);

fn config(primary: &Running) -> DriverConfig {
    let mut config = DriverConfig::new("localhost", primary.port());
    config.backoff = Backoff { base: Duration::from_millis(10), cap: Duration::from_millis(100) };
    config.link.listening_port = 7777;
    config
}

fn follow(primary: &Running) -> Handle<Recorder> {
    Driver::spawn(config(primary), Recorder::default()).expect("a thread")
}

async fn until(handle: &Handle<Recorder>, what: &str, holds: impl Fn(&LinkStatus) -> bool) -> LinkStatus {
    let mut watch = handle.watch();
    let found = tokio::time::timeout(PATIENCE, watch.wait_for(|status| holds(status))).await;
    match found {
        Ok(Ok(status)) => status.clone(),
        Ok(Err(_)) => panic!("the driver ended while waiting for {what}"),
        Err(_) => panic!("{what} never came: {handle:?}"),
    }
}

/// Waits until everything that the primary has written is applied.
async fn caught_up(handle: &Handle<Recorder>, client: &mut Client) {
    let info = client.call(&["INFO", "replication"]).text();
    let offset: u64 = field(&info, "master_repl_offset").parse().expect("a number");
    until(handle, "the primary's offset", |status| {
        status.phase.is_streaming() && status.position.is_some_and(|position| position.offset.0 >= offset)
    })
    .await;
}

fn field(info: &str, name: &str) -> String {
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("{name} is not in {info}")).to_owned()
}

async fn end(handle: Handle<Recorder>) -> Recorder {
    handle.shutdown().await.expect("the target did not panic")
}

fn keys(call: &Call) -> Vec<String> {
    let Call::FullSync { keys, .. } = call else { panic!("not a full sync: {call:?}") };
    let mut keys: Vec<String> = keys
        .iter()
        .map(|(db, key, value)| format!("{db}/{}={}", key.escape_ascii(), value.escape_ascii()))
        .collect();
    keys.sort();
    keys
}

/// Syncs, follows, and is counted by WAIT.
async fn sync_and_follow(primary: &Running) {
    let mut client = primary.client();
    client.call(&["SET", "before", "1"]).ok();
    client.line("SELECT 3");
    client.call(&["SET", "other", "2"]).ok();
    let handle = follow(primary);
    let status = until(&handle, "the stream", |status| status.phase.is_streaming()).await;
    assert_eq!((status.counters.full_syncs, status.counters.partial_syncs), (1, 0));
    client.call(&["SET", "after", "3"]).ok();
    assert_eq!(client.line("WAIT 1 60000").int(), 1, "WAIT must count us");
    client.line("MULTI").ok();
    client.line("SET a 1");
    client.line("SELECT 0");
    client.line("SET b 2");
    client.line("EXEC");
    client.line("DEL before");
    caught_up(&handle, &mut client).await;
    let info = client.call(&["INFO", "replication"]).text();
    assert!(field(&info, "slave0").contains("port=7777,state=online"), "{info}");
    let recorder = end(handle).await;
    assert_eq!(keys(&recorder.calls[0]), ["0/before=1", "3/other=2"]);
    let data: Vec<String> = recorder.commands();
    assert_eq!(data, ["3 SET after 3", "3 SET a 1", "3 SELECT 0", "3 SET b 2", "0 DEL before"]);
    let transactions = recorder.lines().iter().filter(|line| line.starts_with("transaction")).count();
    assert_eq!(transactions, 1);
}

#[tokio::test]
async fn a_dump_with_a_length_and_the_stream_behind_it() {
    sync_and_follow(&Server::R7_0.start_with(&["--repl-diskless-sync", "no"])).await;
}

#[tokio::test]
async fn a_dump_with_a_mark_and_the_stream_behind_it() {
    let diskless = ["--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"];
    sync_and_follow(&Server::R7_0.start_with(&diskless)).await;
}

#[tokio::test]
async fn a_broken_connection_is_continued_without_a_dump() {
    let primary = Server::R7_0.start();
    let mut client = primary.client();
    client.line("SET before 1").ok();
    let handle = follow(&primary);
    until(&handle, "the stream", |status| status.phase.is_streaming()).await;
    client.line("SELECT 5").ok();
    for round in 0..5_u64 {
        for number in 0..100 {
            client.line(&format!("SET k{round} {number}")).ok();
        }
        assert_eq!(client.line("CLIENT KILL TYPE replica").int(), 1);
        client.line(&format!("SET gap {round}")).ok();
        until(&handle, "a partial resync", |status| status.counters.partial_syncs == round + 1).await;
    }
    caught_up(&handle, &mut client).await;
    let status = handle.status();
    assert_eq!((status.counters.full_syncs, status.reconnects()), (1, 5));
    assert_eq!(status.stream_db, Some(5));
    let info = client.call(&["INFO", "stats"]).text();
    assert_eq!((field(&info, "sync_full").as_str(), field(&info, "sync_partial_ok").as_str()), ("1", "5"));
    let mut wanted = Vec::new();
    for round in 0..5 {
        wanted.extend((0..100).map(|number| format!("5 SET k{round} {number}")));
        wanted.push(format!("5 SET gap {round}"));
    }
    assert_eq!(end(handle).await.commands(), wanted, "every write once, in order");
}

#[tokio::test]
async fn a_restarted_primary_is_synced_in_full() {
    let mut primary = Server::R7_0.start();
    primary.client().line("SET old 1").ok();
    let handle = follow(&primary);
    until(&handle, "the stream", |status| status.phase.is_streaming()).await;
    primary.kill();
    until(&handle, "the failure", |status| matches!(status.phase, Phase::Down { .. })).await;
    primary.restart();
    let mut client = primary.client();
    until(&handle, "a second full sync", |status| status.counters.full_syncs == 2).await;
    client.line("SET new 2").ok();
    caught_up(&handle, &mut client).await;
    let recorder = end(handle).await;
    let syncs: Vec<Vec<String>> =
        recorder.calls.iter().filter(|call| matches!(call, Call::FullSync { .. })).map(keys).collect();
    assert_eq!(syncs, [vec!["0/old=1".to_owned()], vec![]]);
    assert_eq!(recorder.commands(), ["0 SET new 2"]);
}

#[tokio::test]
async fn user_and_password_open_the_link_and_a_wrong_one_is_told() {
    let primary = Server::R7_0.start();
    let mut client = primary.client();
    client.line("ACL SETUSER default off").ok();
    client.line("ACL SETUSER link on >s3cret +psync +replconf +ping").ok();
    let with = |password: &str| {
        let mut config = config(&primary);
        let (user, password) = (Some("link".to_owned()), password.to_owned());
        config.link.credentials = Some(Credentials { user, password });
        Driver::spawn(config, Recorder::default()).expect("a thread")
    };
    let right = with("s3cret");
    until(&right, "the stream", |status| status.phase.is_streaming()).await;
    let wrong = with("guess");
    let status = until(&wrong, "the refusal", |status| matches!(status.phase, Phase::Down { .. })).await;
    assert!(status.needs_help(), "{status:?}");
    let reason = status.down_reason().expect("down");
    assert_eq!(reason.recovery(), Recovery::GiveUp);
    assert!(
        matches!(reason, LinkError::Refused { step: Step::Auth, reply } if reply.starts_with("WRONGPASS"))
    );
    let without = follow(&primary);
    let status = until(&without, "the refusal", |status| matches!(status.phase, Phase::Down { .. })).await;
    assert!(status.needs_help(), "{status:?}");
    for handle in [right, wrong, without] {
        end(handle).await;
    }
}

#[tokio::test]
async fn an_absent_primary_is_waited_for() {
    let port = testkit::free_port();
    let mut config = DriverConfig::new("127.0.0.1", port);
    config.backoff = Backoff { base: Duration::from_millis(10), cap: Duration::from_millis(20) };
    let handle = Driver::spawn(config, Recorder::default()).expect("a thread");
    let status = until(&handle, "the failure", |status| matches!(status.phase, Phase::Down { .. })).await;
    assert!(matches!(status.down_reason(), Some(LinkError::Unreachable { .. })), "{status:?}");
    let primary = Server::R7_0.builder().port(port).start();
    until(&handle, "the stream", |status| status.phase.is_streaming()).await;
    end(handle).await;
    drop(primary);
}

#[tokio::test]
async fn a_valkey_nine_primary_sends_its_own_dump_version() {
    let primary = Server::V9_1.start();
    let mut client = primary.client();
    assert_eq!(client.line("HSET h f v g w").int(), 2);
    client.line("HPEXPIREAT h 9999999999999 FIELDS 1 f");
    let handle = follow(&primary);
    until(&handle, "the stream", |status| status.phase.is_streaming()).await;
    client.line("SET k v").ok();
    caught_up(&handle, &mut client).await;
    let recorder = end(handle).await;
    assert_eq!(keys(&recorder.calls[0]), ["0/h="]);
    assert_eq!(recorder.commands(), ["0 SET k v"]);
}
