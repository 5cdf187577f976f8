//! SAVE, BGSAVE, LASTSAVE, SHUTDOWN, DEBUG RELOAD and their settings beside the real servers, and files that each
//! side loads from the other.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::sync::Arc;

use server::{Close, CloseError, DebugCommand, Engine, Listener, Options, Role, housekeeper};
use store::Compat;
use support::JUDGES;
use testkit::{Client, Server, TempDir};

fn engine(compat: Compat, dir: &Path) -> Arc<Engine> {
    let mut options = Options::default();
    options.compat = Some(compat);
    options.debug_command = DebugCommand::Local;
    options.protected_configs = DebugCommand::Local;
    options.dir = Some(dir.to_owned());
    let engine = Engine::new(Role::Primary, options);
    engine.tick();
    housekeeper::spawn(&engine).unwrap();
    engine
}

async fn serve(engine: &Arc<Engine>) -> (Listener, Client) {
    let listener = Listener::bind(Arc::clone(engine), "127.0.0.1:0").await.unwrap();
    let client = Client::connect(listener.local_addr()).unwrap();
    (listener, client)
}

/// Sent to both; replies must be equal. `~` waits until no save is in progress on either side, `+` until there
/// was one since `#`.
const EXACT: &[&str] = &[
    "SAVE",
    "SAVE x",
    "BGSAVE x",
    "BGSAVE SCHEDULE x",
    "BGSAVE CANCEL",
    "SET k1 v",
    "SET k2 v EX 1000",
    "RPUSH l a b c",
    "BGSAVE",
    "~",
    "BGSAVE SCHEDULE",
    "~",
    "MULTI",
    "SAVE",
    "BGSAVE",
    "EXEC",
    "MULTI",
    "SHUTDOWN NOSAVE",
    "EXEC",
    "#",
    "MULTI",
    "BGSAVE",
    "BGSAVE",
    "EXEC",
    "+",
    "~",
    "LASTSAVE x",
    "DEBUG RELOAD",
    "DBSIZE",
    "LRANGE l 0 -1",
    "DEBUG RELOAD NOSAVE",
    "DBSIZE",
    "DEBUG RELOAD MERGE NOFLUSH",
    "DBSIZE",
    "DEBUG DIGEST",
    "DEBUG RELOAD bogus",
    "CONFIG GET dbfilename",
    "CONFIG SET dbfilename nope.rdb",
    "DEBUG RELOAD NOSAVE",
    // Some have nothing now; we keep what there was.
    "SET k1 v",
    "CONFIG SET dbfilename a/b",
    "CONFIG SET dir /nonexistent",
    "CONFIG SET dbfilename dump.rdb",
    "CONFIG GET save",
    "CONFIG SET save 10",
    "CONFIG SET save 'a b'",
    "CONFIG SET save '0 1'",
    "CONFIG SET save '10 -1'",
    "CONFIG SET save '10 0'",
    "CONFIG GET save",
    "CONFIG SET save '3600 1  300 100'",
    "CONFIG SET save '3600 1 300 100'",
    "CONFIG GET save",
    "CONFIG GET rdbc*n",
    "CONFIG GET rdbchecksum",
    "CONFIG GET stop-writes*",
    "CONFIG GET shutdown-timeout",
    "CONFIG GET enable-protected-configs",
    "CONFIG SET rdbchecksum no",
    "CONFIG SET rdbcompression maybe",
    "CONFIG SET rdbcompression no",
    "SAVE",
    "CONFIG SET shutdown-timeout -1",
    "CONFIG SET shutdown-timeout x",
    "CONFIG SET shutdown-timeout 2147483648",
    "CONFIG SET shutdown-timeout 0",
    "SHUTDOWN ABORT",
    "SHUTDOWN foo",
    "SHUTDOWN SAVE NOSAVE",
    "SHUTDOWN ABORT NOW",
    "SHUTDOWN ABORT SAVE",
    "SHUTDOWN NOW NOW x",
    // A directory of that name is there: nothing can be renamed to it.
    "CONFIG SET dbfilename taken",
    "SAVE",
    "BGSAVE",
    "~",
    "SET a b",
    "PING",
    "DEL k1",
    "GET k1",
    "SHUTDOWN",
    "SHUTDOWN SAVE",
    "CONFIG SET stop-writes-on-bgsave-error no",
    "SET a b",
    "CONFIG SET stop-writes-on-bgsave-error yes",
    "SET a b",
    "CONFIG SET dbfilename dump.rdb",
    "SAVE",
    "SET a b",
    "BGSAVE",
    "~",
    "SET a b",
];

/// Words, of which those in quotes may have spaces.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    parts
        .flat_map(|(i, part)| match i % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

fn settle(client: &mut Client) {
    while persistence(client, "rdb_bgsave_in_progress") != "0" {
        std::thread::yield_now();
    }
}

fn persistence(client: &mut Client, name: &str) -> String {
    let text = client.call(&["INFO", "persistence"]).text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned));
    line.unwrap_or_else(|| panic!("{name} is not in {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_are_those_of_the_real_servers() {
    for (judge, compat) in JUDGES {
        let dir = TempDir::new(&format!("replies-{compat}"));
        std::fs::create_dir(dir.file("taken")).unwrap();
        let engine = engine(compat, dir.path());
        let _stop = engine.watch_stop();
        let (listener, mut ours) = serve(&engine).await;
        tokio::task::spawn_blocking(move || {
            let real = judge.start_with(&["--enable-protected-configs", "local"]);
            std::fs::create_dir(real.dir().join("taken")).unwrap();
            let mut theirs = real.client();
            let (mut differences, mut saves) = (Vec::new(), [0; 2]);
            for line in EXACT {
                let mut clients = [&mut theirs, &mut ours];
                let count = |client: &mut Client| persistence(client, "rdb_saves").parse::<u64>().unwrap();
                match *line {
                    "#" => saves = clients.map(count),
                    "+" => {
                        for (client, before) in clients.into_iter().zip(saves) {
                            while count(client) == before {
                                std::thread::yield_now();
                            }
                        }
                    }
                    "~" => clients.iter_mut().for_each(|client| settle(client)),
                    _ => {}
                }
                if ["#", "+", "~"].contains(line) {
                    continue;
                }
                let words = words(line);
                let (real, own) = (theirs.call(&words), ours.call(&words));
                if real != own {
                    differences.push(format!("{line}: {real:?} there, {own:?} here"));
                }
            }
            assert!(differences.is_empty(), "{compat}:\n{}", differences.join("\n"));
            let names = |client: &mut Client| -> Vec<String> {
                let text = client.call(&["INFO", "persistence"]).text();
                text.lines().filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect()
            };
            assert_eq!(names(&mut theirs), names(&mut ours), "{compat}");
        })
        .await
        .unwrap();
        listener.shutdown().await;
    }
}

/// What the dump of one server is loaded by: our personality, and the real server.
#[tokio::test(flavor = "multi_thread")]
async fn real_servers_load_our_dumps_and_we_load_theirs() {
    for (judge, compat) in [JUDGES[0], JUDGES[1], JUDGES[3]] {
        let dir = TempDir::new(&format!("files-{compat}"));
        let ours = engine(compat, dir.path());
        let (listener, client) = serve(&ours).await;
        let source = tokio::task::spawn_blocking(move || {
            let real = judge.start();
            let mut theirs = real.client();
            testkit::fill_every_type(&mut theirs, 7, 2000);
            theirs.call(&["SAVE"]).ok();
            (std::fs::read(real.dir().join("dump.rdb")).unwrap(), theirs.call(&["DEBUG", "DIGEST"]).text())
        });
        let (theirs, digest) = source.await.unwrap();
        std::fs::write(dir.file("theirs.rdb"), theirs).unwrap();
        // Ours begins from theirs ..
        let keys = ours.load_file(&dir.file("theirs.rdb")).unwrap();
        assert!(keys > 0);
        let dump = dir.file("dump.rdb");
        tokio::task::spawn_blocking(move || {
            let mut client = client;
            assert_eq!(client.call(&["DEBUG", "DIGEST"]).text(), digest, "{compat}: we load theirs");
            // .. writes on while the dump is made ..
            client.call(&["SET", "after", "the load"]).ok();
            let digest = client.call(&["DEBUG", "DIGEST"]).text();
            for (compression, command) in [("yes", "SAVE"), ("no", "BGSAVE")] {
                client.call(&["CONFIG", "SET", "rdbcompression", compression]).ok();
                assert!(client.call(&[command]).text().starts_with(if command == "SAVE" {
                    "OK"
                } else {
                    "Back"
                }));
                settle(&mut client);
                assert_eq!(persistence(&mut client, "rdb_changes_since_last_save"), "0");
                // .. and a real server begins from ours.
                let real = judge.builder().dump(&std::fs::read(&dump).unwrap()).start();
                assert_eq!(
                    real.client().call(&["DEBUG", "DIGEST"]).text(),
                    digest,
                    "{compat}: they load ours"
                );
            }
            client.call(&["DEBUG", "RELOAD"]).ok();
            assert_eq!(client.call(&["DEBUG", "DIGEST"]).text(), digest, "{compat}: we load ours");
        })
        .await
        .unwrap();
        listener.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_point_saves_by_itself_and_a_dump_holds_one_moment() {
    let dir = TempDir::new("points");
    let engine = engine(Compat::Redis82, dir.path());
    let (listener, mut client) = serve(&engine).await;
    let dump = dir.file("dump.rdb");
    tokio::task::spawn_blocking(move || {
        client.call(&["CONFIG", "SET", "save", "1 3"]).ok();
        // Two keys that are written together are equal in every dump.
        client.call(&["MSET", "a", "0", "b", "0"]).ok();
        let mut n = 0_u32;
        while !dump.exists() {
            n += 1;
            let n = n.to_string();
            client.call(&["MSET", "a", &n, "b", &n]).ok();
        }
        settle(&mut client);
        assert_eq!(persistence(&mut client, "rdb_last_bgsave_status"), "ok");
        let real = Server::R8_2.builder().dump(&std::fs::read(&dump).unwrap()).start();
        let mut real = real.client();
        let (a, b) = (real.call(&["GET", "a"]).text(), real.call(&["GET", "b"]).text());
        assert_eq!(a, b);
        assert!(a.parse::<u32>().unwrap() <= n);
    })
    .await
    .unwrap();
    listener.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_saves_refuses_writes_and_waits_for_replicas() {
    let dir = TempDir::new("shutdown");
    let engine = engine(Compat::Valkey91, dir.path());
    let mut stop = engine.watch_stop();
    let (listener, mut client) = serve(&engine).await;
    let addr = listener.local_addr();
    let end = tokio::task::spawn_blocking(move || {
        client.call(&["SET", "k", "v"]).ok();
        client.send(&["SHUTDOWN", "SAVE"]);
        client.flush().unwrap();
        client.at_end().unwrap()
    });
    stop.wait_for(|stop| *stop).await.unwrap();
    let refused = tokio::task::spawn_blocking(move || {
        Client::connect(addr).unwrap().call(&["SET", "k", "lost"]).error().to_owned()
    });
    assert_eq!(refused.await.unwrap(), "ERR this server is shutting down");
    listener.shutdown().await;
    assert!(end.await.unwrap(), "there is no reply to a shutdown");
    let next = self::engine(Compat::Valkey91, dir.path());
    assert_eq!(next.load_file(&dir.file("dump.rdb")).unwrap(), 1);
    // The history goes on under a new id, after what the dump holds.
    assert_eq!(next.position().unwrap().offset, engine.position().unwrap().offset);
    assert_ne!(next.position().unwrap().replid, engine.position().unwrap().replid);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_saved_does_not_end_and_goes_on_taking_writes() {
    let dir = TempDir::new("unsaved");
    std::fs::create_dir(dir.file("dump.rdb")).unwrap();
    let engine = engine(Compat::Redis70, dir.path());
    let mut how = Close::default();
    how.save = Some(true);
    assert!(matches!(engine.close(how).await, Err(CloseError::Save(_))));
    let (listener, mut client) = serve(&engine).await;
    tokio::task::spawn_blocking(move || {
        client.call(&["SET", "k", "v"]).ok();
        assert!(client.call(&["SHUTDOWN"]).error().starts_with("ERR this server is a part of a program"));
    })
    .await
    .unwrap();
    how.force = true;
    engine.close(how).await.unwrap();
    listener.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_replica_continues_with_a_primary_that_was_restarted() {
    let dir = TempDir::new("restarted");
    let first = engine(Compat::Redis82, dir.path());
    let (listener, mut client) = serve(&first).await;
    let addr = listener.local_addr();
    let replica = tokio::task::spawn_blocking(move || {
        client.call(&["SET", "k", "v"]).ok();
        let replica = Server::R8_2.start_with(&["--replicaof", "127.0.0.1", &addr.port().to_string()]);
        testkit::wait_until_caught_up(&mut client, &mut replica.client());
        client.call(&["SET", "k2", "v"]).ok();
        replica
    });
    let replica = replica.await.unwrap();
    let mut how = Close::default();
    how.save = Some(true);
    first.close(how).await.unwrap();
    listener.shutdown().await;
    drop(listener);
    let second = engine(Compat::Redis82, dir.path());
    second.load_file(&dir.file("dump.rdb")).unwrap();
    let listener = Listener::bind(Arc::clone(&second), addr).await.unwrap();
    let mut client = Client::connect(addr).unwrap();
    tokio::task::spawn_blocking(move || {
        client.call(&["SET", "k3", "v"]).ok();
        let mut theirs = replica.client();
        testkit::wait_until_caught_up(&mut client, &mut theirs);
        testkit::assert_equal(&mut client, &mut theirs);
        let text = client.call(&["INFO", "stats"]).text();
        assert!(text.contains("sync_full:0\r\n") && text.contains("sync_partial_ok:1\r\n"), "{text}");
    })
    .await
    .unwrap();
    listener.shutdown().await;
}

/// While a save is in progress. Ours waits for somebody who reads the pipe that stands where its file would be; theirs
/// is told to be slow.
#[tokio::test(flavor = "multi_thread")]
async fn a_save_in_progress_is_told_of_and_can_be_cancelled() {
    for (judge, compat) in JUDGES {
        let dir = TempDir::new(&format!("cancel-{compat}"));
        let pipe = dir.file("slow.rdb.tmp");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let engine = engine(compat, dir.path());
        let (listener, mut ours) = serve(&engine).await;
        tokio::task::spawn_blocking(move || {
            let real =
                judge.start_with(&["--enable-protected-configs", "yes", "--rdb-key-save-delay", "100000000"]);
            let mut theirs = real.client();
            let mut both = |line: &str| {
                let words = words(line);
                let (real, own) = (theirs.call(&words), ours.call(&words));
                assert_eq!(real, own, "{compat}: {line}");
                real
            };
            both("MSET a 1 b 2 c 3 d 4");
            for line in ["MULTI", "BGSAVE", "BGSAVE CANCEL", "BGSAVE CANCEL", "EXEC"] {
                both(line);
            }
            both("CONFIG SET dbfilename slow.rdb");
            for line in
                ["BGSAVE", "BGSAVE", "BGSAVE SCHEDULE", "SAVE", "MULTI", "BGSAVE", "EXEC", "DEL a", "GET b"]
            {
                both(line);
            }
            let cancelled = !both("BGSAVE CANCEL").is_error();
            assert_eq!(cancelled, compat.to_string().starts_with("valkey"));
            if !cancelled {
                // The only way there: it cannot go on, for a pipe cannot be made durable.
                assert_eq!(persistence(&mut ours, "rdb_bgsave_in_progress"), "1");
            }
            let _reader = std::fs::File::open(&pipe).unwrap();
            settle(&mut ours);
            let status = if cancelled { "ok" } else { "err" };
            assert_eq!(persistence(&mut ours, "rdb_last_bgsave_status"), status);
        })
        .await
        .unwrap();
        listener.shutdown().await;
    }
}

/// A replica that never says how far it is holds up a shutdown, until somebody changes his mind.
fn shutdown_with_a_deaf_replica(addr: std::net::SocketAddr) -> [String; 4] {
    let mut deaf = Client::connect(addr).unwrap();
    deaf.line("REPLCONF capa eof capa psync2").ok();
    deaf.send(&["PSYNC", "?", "-1"]);
    deaf.send(&["REPLCONF", "ACK", "1"]);
    deaf.flush().unwrap();
    let mut client = Client::connect(addr).unwrap();
    // Online with its first acknowledgement, once it has the dump.
    loop {
        deaf.send(&["REPLCONF", "ACK", "1"]);
        deaf.flush().unwrap();
        let text = client.call(&["INFO", "replication"]).text();
        if text.contains("state=online") {
            break;
        }
        std::thread::yield_now();
    }
    client.call(&["SET", "k", "v"]).ok();
    client.send(&["SHUTDOWN", "NOSAVE"]);
    client.flush().unwrap();
    let mut other = Client::connect(addr).unwrap();
    let abort = loop {
        let reply = other.call(&["SHUTDOWN", "ABORT"]);
        if !reply.is_error() {
            break reply;
        }
        std::thread::yield_now();
    };
    let first = client.receive().unwrap();
    let again = other.call(&["SHUTDOWN", "ABORT"]);
    let write = other.call(&["SET", "k", "w"]);
    [first, abort, again, write].map(|reply| format!("{reply:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_waits_for_replicas_and_can_be_aborted() {
    for (judge, compat) in [JUDGES[1], JUDGES[3]] {
        let dir = TempDir::new(&format!("abort-{compat}"));
        let engine = engine(compat, dir.path());
        let _stop = engine.watch_stop();
        let (listener, _client) = serve(&engine).await;
        let addr = listener.local_addr();
        tokio::task::spawn_blocking(move || {
            let real = judge.start_with(&["--repl-diskless-sync-delay", "0"]);
            let theirs = shutdown_with_a_deaf_replica(real.addr().parse().unwrap());
            assert_eq!(theirs, shutdown_with_a_deaf_replica(addr), "{compat}");
        })
        .await
        .unwrap();
        listener.shutdown().await;
    }
}
