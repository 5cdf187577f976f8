//! An index kept from events equals the data set, whatever happens to the link and to the primary's history.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use replica::{Change, Contents, Event, EventFilter, Events, Kind, Position, Standalone};
use testkit::{Server, fill_every_type, random_writes};

#[path = "support/index.rs"]
mod index;
mod support;
use index::{Index, equal, keep};
use support::{PATIENCE, builder, caught_up, cut, start, until};

async fn an_index(server: Server) {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(5);
    println!("{server:?}: seed {seed}");
    let builder_of =
        server.builder().config("repl-diskless-sync-delay", "0").config("repl-backlog-size", "64mb");
    let primary = builder_of.config("enable-debug-command", "yes").start();
    let mut real = primary.client();
    fill_every_type(&mut real, seed, 300);
    let replica = start(builder(primary.url())).await;
    let everything = EventFilter::new().with_before();
    let lists = EventFilter::new().kind(Kind::List).database(0).prefix("w:");
    let (all, some) = (Arc::<Mutex<Index>>::default(), Arc::<Mutex<Index>>::default());
    let tasks = [
        keep(&all, replica.events(everything.clone().with_after())),
        keep(&some, replica.events(lists.clone().with_before().with_after())),
    ];
    let write = |real: &mut _, seed| tokio::task::block_in_place(|| drop(random_writes(real, seed, 600)));
    write(&mut real, seed);
    cut(&primary, &replica).await;
    write(&mut real, seed + 1);
    // Another history: a full sync, with writes while it runs.
    real.line("DEBUG CHANGE-REPL-ID").ok();
    real.line("CLIENT KILL TYPE replica").ok();
    write(&mut real, seed + 2);
    until(&replica, "a full sync", |status| status.full_syncs == 2 && status.is_connected()).await;
    write(&mut real, seed + 3);
    real.line("SWAPDB 0 1").ok();
    write(&mut real, seed + 4);
    real.line("SELECT 3").ok();
    real.line("SET alone 1").ok();
    real.line("FLUSHDB").ok();
    real.line("SELECT 0").ok();
    real.line("PFADD counted a b c").ok();
    real.line("PFCOUNT counted").ok();
    caught_up(&mut real, &replica).await;
    equal(&all, &replica, &everything).await;
    {
        let all = all.lock().unwrap();
        assert!(
            all.values.len() > 300 && all.commits > 1000,
            "{} keys, {} commits",
            all.values.len(),
            all.commits
        );
        assert!(all.brackets >= 4 && all.downs >= 1, "{} brackets, {} downs", all.brackets, all.downs);
        assert_eq!(all.missed, 0);
    }
    // The same with a filter, which lets the ends of other kinds of values pass.
    some.lock().unwrap().values.retain(|_, value| value.kind() == Kind::List);
    equal(&some, &replica, &lists).await;
    assert!(!some.lock().unwrap().values.is_empty());
    replica.shutdown().await.unwrap();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_from_events_equals_the_data_of_redis() {
    an_index(Server::R8_2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_from_events_equals_the_data_of_valkey() {
    an_index(Server::V9_1).await;
}

/// The next event that is about data.
async fn next(events: &mut Events) -> Event {
    loop {
        let event = tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap();
        if !matches!(event, Event::LinkUp { .. } | Event::LinkDown { .. }) {
            return event;
        }
    }
}

async fn change(events: &mut Events) -> Change {
    match next(events).await {
        Event::Change(change) => change,
        other => panic!("{other:?}"),
    }
}

async fn commit(events: &mut Events) -> Position {
    match next(events).await {
        Event::Commit { position } => position,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_one_commit_and_a_subscriber_goes_on_where_it_was() {
    let primary = Server::R7_0.start();
    let mut real = primary.client();
    let replica = start(builder(primary.url()).keep_events(1000)).await;
    let mut events = replica.events(EventFilter::new().without_snapshot().with_before().with_after());
    for line in ["MULTI", "SET a 1", "RPUSH l x y", "EXEC"] {
        real.line(line).ok();
    }
    let (a, l) = (change(&mut events).await, change(&mut events).await);
    assert_eq!((&a.key[..], a.what, a.command, a.kind), (&b"a"[..], "set", Some("set"), Some(Kind::String)));
    assert_eq!(
        (&l.key[..], l.what, l.command, l.kind),
        (&b"l"[..], "rpush", Some("rpush"), Some(Kind::List))
    );
    assert_eq!(a.before, None);
    assert_eq!(l.after.as_deref(), Some(&Contents::List(vec!["x".into(), "y".into()])));
    let first = commit(&mut events).await;
    assert_eq!((a.position, l.position), (first, first));
    real.line("DEL l").ok();
    let gone = change(&mut events).await;
    assert!(gone.is_removal() && gone.after.is_none());
    assert_eq!(gone.before.as_deref(), Some(&Contents::List(vec!["x".into(), "y".into()])));
    let second = commit(&mut events).await;
    assert!(second.offset > first.offset);
    drop(events);
    real.line("SET b 2").ok();
    caught_up(&mut real, &replica).await;
    // Nobody listened meanwhile, but events are kept.
    let mut events = replica.events(EventFilter::new().since(first));
    assert_eq!(&change(&mut events).await.key[..], b"l");
    assert_eq!(commit(&mut events).await, second);
    assert_eq!(&change(&mut events).await.key[..], b"b");
    commit(&mut events).await;
    // A position that nobody knows: told, and then a bracket.
    let unknown = Position { replid: replica::ReplId::random(), ..first };
    let mut events = replica.events(EventFilter::new().since(unknown));
    assert!(matches!(next(&mut events).await, Event::Lagged { missed: 0 }));
    assert!(matches!(next(&mut events).await, Event::SyncStarted { .. }));
    for _ in 0..2 {
        assert!(matches!(next(&mut events).await, Event::SnapshotKey(_)));
    }
    assert!(matches!(next(&mut events).await, Event::SyncFinished { .. }));
    assert!(events.try_next().is_none());
    replica.shutdown().await.unwrap();
    // What has happened is told to the end, and then nothing more.
    while let Some(event) = events.next().await {
        assert!(matches!(event, Event::LinkUp { .. } | Event::LinkDown { .. }), "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_too_slow_is_told_what_was_missed() {
    let primary = Standalone::start("127.0.0.1:0").await.unwrap();
    let replica = start(builder(primary.url())).await;
    let mut slow = replica.events(EventFilter::new().without_snapshot());
    let mut whole = replica.events(EventFilter::new());
    for i in 0..70_000_u32 {
        primary.command(&["SET", "k", &i.to_string()]).unwrap();
    }
    let end = primary.engine().position().unwrap();
    replica.wait_for(end).await.unwrap();
    let Event::Lagged { missed } = next(&mut slow).await else { panic!("not told") };
    assert!(missed > 1000, "{missed}");
    // The last event comes all the same.
    let mut last = None;
    while let Some(event) = slow.try_next() {
        last = Some(event);
    }
    assert!(matches!(last, Some(Event::Commit { position }) if position == end), "{last:?}");
    // The other one gets a bracket for it.
    let mut told = Vec::new();
    while let Some(event) = whole.try_next() {
        told.push(event);
    }
    let lagged = told.iter().position(|event| matches!(event, Event::Lagged { .. })).unwrap();
    let rest = &told[lagged + 1..];
    assert!(rest.iter().any(|event| matches!(event, Event::SnapshotKey(change) if &change.key[..] == b"k")));
    assert!(rest.iter().any(|event| matches!(event, Event::SyncFinished { .. })));
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_can_be_watched() {
    let primary = Server::V8_1.start();
    let mut real = primary.client();
    let replica = start(builder(primary.url())).await;
    let mut watched = replica.watch(0, "k");
    let mut other = replica.watch(1, "k");
    for i in 1..=20 {
        real.line(&format!("SET k {i}")).ok();
        loop {
            assert!(tokio::time::timeout(PATIENCE, watched.changed()).await.unwrap());
            if replica.db(0).get("k").unwrap().unwrap() == i.to_string() {
                break;
            }
        }
    }
    assert_eq!(other.version(), 0);
    real.line("SWAPDB 0 1").ok();
    assert!(tokio::time::timeout(PATIENCE, other.changed()).await.unwrap());
    assert!(replica.db(1).exists("k"));
    let waiting = tokio::spawn(async move { other.changed().await });
    replica.shutdown().await.unwrap();
    assert!(!waiting.await.unwrap());
}
