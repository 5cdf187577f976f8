//! The twin without async, from a thread that knows no runtime.

use std::sync::mpsc;
use std::time::Duration;

use replica::blocking::Replica;
use replica::{Error, Event, EventFilter, Value, cmd};
use testkit::{Server, TempDir};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn everything_that_waits_has_its_twin() {
    let primary = Server::V8_1.start();
    let mut real = primary.client();
    real.line("SET k 1").ok();
    let replica = Replica::builder().master(primary.url()).start_blocking().unwrap();
    let (told, tells) = mpsc::channel();
    let first = told.clone();
    replica.on_ready(move |ready| first.send(ready.is_ok()).unwrap());
    replica.on_sync(move |_| told.send(true).unwrap());
    replica.ready_within(PATIENCE).unwrap();
    assert!(tells.recv_timeout(PATIENCE).unwrap());
    assert!(replica.watch_status().any(|status| status.synced() && status.is_connected()));

    let mut flag = replica.watch(0, "flag");
    let mut events = replica.events(EventFilter::new().prefix("flag").without_snapshot());
    let (reply, at) = replica.write(cmd!("SET", "flag", "on")).unwrap();
    assert_eq!(reply, Value::Simple("OK".into()));
    replica.wait_for(at, PATIENCE).unwrap();
    replica.wait_for_offset(at.offset.0, PATIENCE).unwrap();
    assert!(flag.changed() && flag.version() > 0);
    assert!(events.any(|event| matches!(event, Event::Change(change) if &change.key[..] == b"flag")));
    assert_eq!(replica.db(0).get("flag").unwrap().unwrap(), b"on");
    assert_eq!(
        replica.script("return redis.call('GET', KEYS[1])").unwrap().key("k").eval::<i64>().unwrap(),
        1
    );
    assert_eq!(replica.verify().unwrap().total(), 0);

    let dir = TempDir::new("blocking");
    let (sent, heard) = mpsc::channel();
    let saved = replica.save_to_with(dir.file("a.rdb"), move |now| sent.send(now.bytes).unwrap()).unwrap();
    assert!(saved.offset >= at.offset);
    assert_eq!(heard.iter().last().unwrap(), std::fs::metadata(dir.file("a.rdb")).unwrap().len());
    replica.save_to(dir.file("a.rdb")).unwrap();
    assert!(matches!(replica.save(), Err(Error::Save(_))), "it was given no file");

    replica.shutdown().unwrap();
    // They end with it.
    events.for_each(drop);
    let store = replica.into_store();
    assert_eq!(store.db(0).get_as::<u8>("k").unwrap(), Some(1));
}
