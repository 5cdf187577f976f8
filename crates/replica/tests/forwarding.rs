//! Writes that clients send to a replica of ours, and that a real primary runs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use replica::{Replica, Writes, WritesAs};
use testkit::{Client, Reply, Running, Server, assert_equal, random_writes};

async fn forwarding(primary: &Running, writes: Writes) -> Replica {
    let replica =
        Replica::builder().master(primary.url()).listen("127.0.0.1:0").writes(writes).start().await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), replica.ready()).await.unwrap().unwrap();
    replica
}

fn client_of(replica: &Replica) -> Client {
    Client::connect(replica.local_addr().unwrap()).unwrap()
}

fn primary(server: Server, more: &[&str]) -> Running {
    server.start_with(&[&["--repl-diskless-sync-delay", "0"], more].concat())
}

/// A field of INFO replication.
fn told(client: &mut Client, name: &str) -> String {
    let info = client.call(&["INFO", "replication"]).text();
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {info}")).trim().to_owned()
}

/// Everybody reads what they have just written, however the others write meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn clients_read_their_own_writes() {
    for server in [Server::R7_0, Server::V9_1] {
        let primary = primary(server, &[]);
        let replica = forwarding(&primary, Writes::ForwardAndWait).await;
        std::thread::scope(|scope| {
            for who in 0..3 {
                let mut client = client_of(&replica);
                scope.spawn(move || {
                    let (counter, key) = (format!("counter:{who}"), format!("key:{who}"));
                    for n in 1..=150 {
                        assert_eq!(client.call(&["INCR", &counter]), Reply::Int(n));
                        assert_eq!(client.call(&["GET", &counter]).text(), n.to_string());
                        client.call(&["SELECT", if n % 2 == 0 { "0" } else { "3" }]).ok();
                        client.call(&["RPUSH", &key, &n.to_string()]).ok();
                        assert_eq!(client.call(&["LINDEX", &key, "-1"]).text(), n.to_string());
                        assert_eq!(client.call(&["LRANGE", &key, "-1", "-1"]).array().len(), 1);
                        client.call(&["SELECT", "0"]).ok();
                    }
                });
            }
        });
        let mut ours = client_of(&replica);
        assert_eq!(told(&mut ours, "replica_writes_forwarded"), "900");
        assert_eq!(told(&mut ours, "replica_writes_unseen"), "0");
        assert_equal(&mut primary.client(), &mut ours);
        replica.shutdown().await.unwrap();
    }
}

/// A workload of every write command goes through the replica: the primary has run it, and both are equal.
#[tokio::test(flavor = "multi_thread")]
async fn every_write_can_be_forwarded() {
    let seed = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(11);
    println!("seed {seed}");
    let primary = primary(Server::R7_0, &[]);
    let replica = forwarding(&primary, Writes::ForwardAndWait).await;
    let mut ours = client_of(&replica);
    random_writes(&mut ours, seed, 2000);
    let mut real = primary.client();
    assert!(real.call(&["DBSIZE"]) != Reply::Int(0));
    assert_equal(&mut real, &mut ours);
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_whole_and_watch_guards_what_was_read() {
    let primary = primary(Server::R7_0, &[]);
    let replica = forwarding(&primary, Writes::ForwardAndWait).await;
    let (mut ours, mut real) = (client_of(&replica), primary.client());
    ours.call(&["SET", "balance", "10"]).ok();

    // Nobody interferes: it is done, and its replies are the primary's.
    ours.call(&["WATCH", "balance"]).ok();
    assert_eq!(ours.call(&["GET", "balance"]).text(), "10");
    ours.call(&["MULTI"]).ok();
    assert_eq!(ours.call(&["DECRBY", "balance", "3"]).text(), "QUEUED");
    assert_eq!(ours.call(&["GET", "balance"]).text(), "QUEUED");
    let done = ours.call(&["EXEC"]);
    let done = done.array();
    assert_eq!(done[0], Reply::Int(7));
    assert_eq!(done[1].text(), "7");
    assert_eq!(ours.call(&["GET", "balance"]).text(), "7");

    // Somebody writes on the primary meanwhile, whether or not it has come here yet: nothing is done.
    ours.call(&["WATCH", "balance"]).ok();
    real.call(&["SET", "balance", "100"]).ok();
    ours.call(&["MULTI"]).ok();
    ours.call(&["DECRBY", "balance", "3"]);
    assert!(ours.call(&["EXEC"]).is_null());
    assert_eq!(real.call(&["GET", "balance"]).text(), "100");

    // What was unwatched does not count.
    ours.call(&["WATCH", "balance"]).ok();
    ours.call(&["UNWATCH"]).ok();
    real.call(&["SET", "balance", "50"]).ok();
    ours.call(&["MULTI"]).ok();
    ours.call(&["DECRBY", "balance", "3"]);
    assert_eq!(ours.call(&["EXEC"]).array(), &[Reply::Int(47)]);

    // Without a write it runs here.
    let before = told(&mut ours, "replica_writes_forwarded");
    ours.call(&["MULTI"]).ok();
    ours.call(&["GET", "balance"]);
    assert_eq!(ours.call(&["EXEC"]).array()[0].text(), "47");
    assert_eq!(told(&mut ours, "replica_writes_forwarded"), before);

    // A change of the connection cannot go along.
    ours.call(&["MULTI"]).ok();
    ours.call(&["SELECT", "1"]);
    ours.call(&["SET", "k", "v"]);
    let error = ours.call(&["EXEC"]).error().to_owned();
    assert!(error.starts_with("EXECABORT"), "{error}");
    assert_eq!(real.call(&["EXISTS", "k"]), Reply::Int(0));
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_may_write_run_on_the_primary() {
    let primary = primary(Server::R7_0, &[]);
    let replica = forwarding(&primary, Writes::ForwardAndWait).await;
    let (mut ours, mut real) = (client_of(&replica), primary.client());
    let script = "return redis.call('INCRBY', KEYS[1], ARGV[1])";
    assert_eq!(ours.call(&["EVAL", script, "1", "n", "5"]), Reply::Int(5));
    // Loaded here alone, and run there.
    let digest = ours.call(&["SCRIPT", "LOAD", "return redis.call('INCRBY', KEYS[1], 2)"]).text();
    assert_eq!(ours.call(&["EVALSHA", &digest, "1", "n"]), Reply::Int(7));
    assert_eq!(ours.call(&["GET", "n"]).text(), "7");
    // One that says that it does not write runs here.
    let before = told(&mut ours, "replica_writes_forwarded");
    let reading = "#!lua flags=no-writes\nreturn redis.call('GET', KEYS[1])";
    assert_eq!(ours.call(&["EVAL", reading, "1", "n"]).text(), "7");
    assert_eq!(ours.call(&["EVAL_RO", "return redis.call('GET', KEYS[1])", "1", "n"]).text(), "7");
    assert_eq!(told(&mut ours, "replica_writes_forwarded"), before);
    let library = "#!lua name=mine\nredis.register_function('add', function(k, a) return redis.call('INCRBY', k[1], a[1]) end)";
    assert_eq!(ours.call(&["FUNCTION", "LOAD", library]).text(), "mine");
    assert_eq!(ours.call(&["FCALL", "add", "1", "n", "3"]), Reply::Int(10));
    assert_eq!(ours.call(&["GET", "n"]).text(), "10");
    assert!(real.call(&["FUNCTION", "LIST"]).array().len() == 1);
    replica.shutdown().await.unwrap();
}

/// The primary judges by the client's own name, and so do we.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_has_the_rights_of_its_user() {
    let primary = primary(Server::R7_0, &["--requirepass", "root"]);
    let mut real = primary.client();
    real.call(&["AUTH", "root"]).ok();
    real.call(&["ACL", "SETUSER", "ann", "on", ">pear", "~ann:*", "+@all"]).ok();
    real.call(&["ACL", "SETUSER", "bob", "on", ">plum", "~*", "+@all"]).ok();
    let master = format!("redis://:root@127.0.0.1:{}", primary.port());
    let replica = Replica::builder()
        .master(&master)
        .listen("127.0.0.1:0")
        .writes(Writes::Forward)
        .start()
        .await
        .unwrap();
    tokio::time::timeout(Duration::from_secs(60), replica.ready()).await.unwrap().unwrap();
    let mut ours = client_of(&replica);
    // Has said nothing here: nobody to the primary.
    let nobody = ours.call(&["SET", "k", "v"]).error().to_owned();
    assert_eq!(nobody, "NOAUTH Authentication required.");
    ours.call(&["ACL", "SETUSER", "ann", "on", ">pear", "~*", "+@all"]).ok();
    ours.call(&["ACL", "SETUSER", "bob", "on", ">plum", "~*", "+@all", "-set"]).ok();
    ours.call(&["AUTH", "ann", "pear"]).ok();
    ours.call(&["SET", "ann:k", "v"]).ok();
    let there = ours.call(&["SET", "bob:k", "v"]).error().to_owned();
    assert!(there.starts_with("NOPERM"), "{there}");
    ours.call(&["AUTH", "bob", "plum"]).ok();
    let here = ours.call(&["SET", "bob:k", "v"]).error().to_owned();
    assert!(here.starts_with("NOPERM"), "{here}");
    ours.call(&["LPUSH", "bob:l", "v"]).ok();
    // One whom the primary does not know.
    ours.call(&["ACL", "SETUSER", "eve", "on", ">fig", "~*", "+@all"]).ok();
    ours.call(&["AUTH", "eve", "fig"]).ok();
    let stranger = ours.call(&["SET", "k", "v"]).error().to_owned();
    assert!(stranger.starts_with("WRONGPASS"), "{stranger}");
    assert_eq!(real.call(&["EXISTS", "k", "bob:k", "ann:k", "bob:l"]), Reply::Int(2));

    // Or everybody writes as the link does.
    assert_eq!(ours.call(&["CONFIG", "SET", "replica-writes-as", WritesAs::Link.name()]).text(), "OK");
    ours.call(&["SET", "k", "v"]).ok();
    // And it can be switched off.
    ours.call(&["CONFIG", "SET", "replica-writes", "reject"]).ok();
    assert!(ours.call(&["SET", "k", "v"]).error().starts_with("READONLY"));
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_write_waits_on_the_primary() {
    let primary = primary(Server::R7_0, &[]);
    let replica = forwarding(&primary, Writes::ForwardAndWait).await;
    let (mut ours, mut real) = (client_of(&replica), primary.client());
    assert!(ours.call(&["BLPOP", "queue", "0.05"]).is_null());
    ours.send(&["BLPOP", "queue", "0"]);
    ours.flush().unwrap();
    while told(&mut real, "connected_slaves") != "1" || !blocked(&mut real) {
        std::thread::yield_now();
    }
    real.call(&["RPUSH", "queue", "job"]).ok();
    assert_eq!(ours.receive().unwrap().array()[1].text(), "job");
    assert_eq!(ours.call(&["EXISTS", "queue"]), Reply::Int(0));
    replica.shutdown().await.unwrap();
}

fn blocked(client: &mut Client) -> bool {
    client.call(&["INFO", "clients"]).text().contains("blocked_clients:1")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_primary_a_write_says_so_and_works_again_later() {
    let mut primary = primary(Server::R7_0, &[]);
    let replica = forwarding(&primary, Writes::Forward).await;
    let mut ours = client_of(&replica);
    ours.call(&["SET", "k", "1"]).ok();
    primary.kill();
    let error = ours.call(&["SET", "k", "2"]).error().to_owned();
    assert!(error.starts_with("MASTERDOWN The write could not be forwarded"), "{error}");
    primary.restart();
    ours.call(&["SET", "k", "3"]).ok();
    assert_eq!(primary.client().call(&["GET", "k"]).text(), "3");
    replica.shutdown().await.unwrap();
}

/// In process: the reply, and the position from which on it can be read here.
#[tokio::test(flavor = "multi_thread")]
async fn writes_from_inside_the_process_can_be_waited_for() {
    let primary = primary(Server::V9_1, &[]);
    let replica = forwarding(&primary, Writes::Reject).await;
    for n in 0..200 {
        let value = n.to_string();
        let (reply, at) = replica.engine().write_through(2, &["SET", "k", &value]).await.unwrap();
        assert_eq!(reply, replica::Value::Simple("OK".into()));
        replica.engine().reach(at).await.unwrap();
        assert_eq!(replica.db(2).get("k").unwrap().unwrap(), value.as_bytes());
    }
    replica.shutdown().await.unwrap();
}
