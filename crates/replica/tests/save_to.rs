//! A dump of the copy, anywhere: what real servers load, and nothing half.

use std::fs;
use std::sync::mpsc;

use replica::{Error, SaveError};
use testkit::{Server, TempDir, fill_every_type, random_writes};

mod support;
use support::{assert_equal, builder, caught_up, client_of, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_loads_what_is_saved() {
    for server in [Server::R7_0, Server::R8_2, Server::V8_1, Server::V9_1] {
        let dir = TempDir::new(&format!("save-to-{server:?}"));
        let primary = server.start();
        let mut real = primary.client();
        fill_every_type(&mut real, 3, 500);
        random_writes(&mut real, 3, 500);
        let replica = start(builder(primary.url())).await;
        caught_up(&mut real, &replica).await;
        let path = dir.file("export.rdb");
        fs::write(&path, "an old file").unwrap();
        let (sent, heard) = mpsc::channel();
        let before = replica.status().keys;
        let position = replica.save_to_with(&path, move |now| sent.send(now).unwrap()).await.unwrap();
        assert_eq!(position.replid, replica.position().unwrap().replid);
        let bytes = fs::read(&path).unwrap();
        let steps: Vec<_> = heard.iter().collect();
        assert!(steps.is_sorted_by_key(|step| step.bytes));
        assert_eq!(steps.last().unwrap().bytes, bytes.len() as u64);
        // Keys go meanwhile, for some expire; none come.
        let cut = steps.last().unwrap().keys;
        assert!((replica.status().keys..=before).contains(&cut), "{cut} of {before}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        let loaded = server.builder().dump(&bytes).start();
        assert_equal(&mut loaded.client(), &mut client_of(&replica));
        // Saving elsewhere is not the save that a restart goes on from.
        assert!(matches!(replica.save().await, Err(Error::Save(SaveError::NoPlace))));
        replica.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_saved_leaves_the_old_file() {
    let dir = TempDir::new("save-to-fails");
    let primary = Server::R7_0.builder().config("enable-debug-command", "yes").start();
    let mut real = primary.client();
    real.line("DEBUG POPULATE 50000 key 200").ok();
    let waiting = builder("127.0.0.1:1").start().await.unwrap();
    let error = waiting.save_to(dir.file("none.rdb")).await.unwrap_err();
    assert!(matches!(error, Error::Save(SaveError::Empty)), "{error:?}");
    let replica = start(builder(primary.url())).await;
    let nowhere = dir.path().join("no-such-directory").join("copy.rdb");
    let error = replica.save_to(&nowhere).await.unwrap_err();
    assert!(error.to_string().contains("no-such-directory"), "{error}");
    // Whoever waits goes away in the middle: the thread stops, and the next can begin.
    let path = dir.file("copy.rdb");
    fs::write(&path, "old").unwrap();
    let (begun, begins) = mpsc::channel();
    let (goes, went) = mpsc::channel::<()>();
    let saving = replica.save_to_with(&path, move |_| {
        begun.send(()).unwrap();
        // Held up until the future has gone.
        let _ = went.recv();
    });
    let mut saving = Box::pin(saving);
    tokio::select! {
        biased;
        _ = &mut saving => panic!("it is held up"),
        () = async { tokio::task::block_in_place(|| begins.recv().unwrap()) } => {}
    }
    drop(saving);
    drop(goes);
    let after = dir.file("after.rdb");
    replica.save_to(&after).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    replica.shutdown().await.unwrap();
}
