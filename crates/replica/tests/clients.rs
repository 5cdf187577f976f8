//! The clients that people use, in their own languages, against a replica of ours that follows a real primary.
//!
//! The scripts are in `clients/`, one for each language; they check what they read against the primary.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use replica::{Configuration, Replica, Writes};
use testkit::{Cluster, Library, Running, Server, Tool, eventually};

async fn both(server: Server) -> (Running, Replica) {
    let primary = server.start_with(&["--repl-diskless-sync-delay", "0"]);
    let replica = Replica::builder().master(primary.url()).listen("127.0.0.1:0").start().await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), replica.ready()).await.unwrap().unwrap();
    (primary, replica)
}

/// Runs a script, which must end well.
async fn speak(library: Library, script: &str, server: Server) {
    let (primary, replica) = both(server).await;
    run(library, script, primary.port(), &replica).await;
    replica.shutdown().await.unwrap();
}

async fn run(library: Library, script: &str, primary: u16, replica: &Replica) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
    let mut command = library.run(&script).unwrap_or_else(|error| panic!("{error}"));
    command.env("MASTER_PORT", primary.to_string());
    command.env("REPLICA_PORT", replica.local_addr().unwrap().port().to_string());
    let output = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output()).await.unwrap();
    let output = output.unwrap();
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    println!("{said}");
}

/// A cluster, and a copy of it that shows itself to clients as one node with every slot.
async fn cluster(server: Server) -> (Cluster, Replica) {
    let cluster = tokio::task::block_in_place(|| Cluster::start(server, 3, false));
    let mut configuration = Configuration::default();
    configuration.push("cluster-topology", ["copy"]);
    let url = format!("redis-cluster://{}", cluster.nodes[0].addr());
    let builder = Replica::builder().master(url).listen("127.0.0.1:0").writes(Writes::Forward);
    let replica = builder.configuration(configuration).start().await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), replica.ready()).await.unwrap().unwrap();
    (cluster, replica)
}

async fn speak_as_cluster(library: Library, script: &str, server: Server) {
    let (cluster, replica) = cluster(server).await;
    run(library, script, cluster.nodes[0].port(), &replica).await;
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_py_reads_a_cluster_from_its_copy() {
    speak_as_cluster(Library::RedisPy, "cluster_py.py", Server::R8_2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_py_reads_a_cluster_of_valkey_from_its_copy() {
    speak_as_cluster(Library::RedisPy, "cluster_py.py", Server::V9_1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ioredis_and_node_redis_read_a_cluster_from_its_copy() {
    speak_as_cluster(Library::Node, "cluster_node.js", Server::R7_0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_cli_reads_a_cluster_from_its_copy() {
    let (cluster, replica) = cluster(Server::R7_0).await;
    let port = replica.local_addr().unwrap().port();
    let cli = Tool::Cli.fetch().unwrap_or_else(|error| panic!("{error}"));
    let say = |port: u16, args: &[&str]| {
        let output = Command::new(&cli)
            .args(["-c", "-p", &port.to_string()])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let real = cluster.nodes[0].port();
    tokio::task::block_in_place(|| {
        for n in 0..20 {
            assert_eq!(say(real, &["set", &format!("k{n}"), "v"]), "OK\n");
            eventually("a read here", || say(port, &["get", &format!("k{n}")]) == "v\n");
        }
        assert_eq!(say(port, &["set", "mine", "1"]), "OK\n");
        assert_eq!(say(real, &["get", "mine"]), "1\n");
        assert_eq!(say(port, &["cluster", "keyslot", "mine"]), say(real, &["cluster", "keyslot", "mine"]));
        // The tool that looks after clusters finds this one in order.
        let output = Command::new(&cli)
            .args(["--cluster", "check", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("All 16384 slots covered"), "{said}");
        let info = say(port, &["info", "cluster"]);
        assert!(info.contains("cluster_enabled:1") && info.matches("link=streaming").count() == 3, "{info}");
        assert_eq!(say(port, &["config", "set", "cluster-topology", "off"]), "OK\n");
        assert!(say(port, &["cluster", "slots"]).contains("cluster support disabled"));
    });
    replica.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_py() {
    speak(Library::RedisPy, "redis_py.py", Server::R8_2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_py_with_valkey() {
    speak(Library::RedisPy, "redis_py.py", Server::V9_1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ioredis_and_node_redis() {
    speak(Library::Node, "node.js", Server::R8_2).await;
}

/// Lines for redis-cli as a person types them, and as a pipe of raw RESP; the replies are those of the real server.
#[tokio::test(flavor = "multi_thread")]
async fn redis_cli() {
    let (primary, replica) = both(Server::R7_0).await;
    let mut real = primary.client();
    for n in 0..300 {
        real.call(&["RPUSH", "list", &n.to_string()]).ok();
        real.call(&["SET", &format!("key:{n}"), "value"]).ok();
    }
    real.call(&["HSET", "hash", "a", "1"]).ok();
    testkit::wait_until_caught_up(
        &mut real,
        &mut testkit::Client::connect(replica.local_addr().unwrap()).unwrap(),
    );
    let ours = replica.local_addr().unwrap().port();
    let cli = Tool::Cli.fetch().unwrap_or_else(|error| panic!("{error}"));
    let run = |port: u16, args: &[&str]| {
        let mut command = Command::new(&cli);
        command.args(["-p", &port.to_string()]).args(args).stdin(Stdio::null());
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    for args in [
        &["get", "key:7"][..],
        &["-3", "hgetall", "hash"],
        &["--json", "lrange", "list", "0", "3"],
        &["--csv", "lrange", "list", "0", "3"],
        &["-n", "3", "dbsize"],
        &["eval", "return {KEYS[1], ARGV[1], 1.9, false}", "1", "k", "a"],
        &["get", "list"],
        &["nonsense", "1"],
        &["command", "docs", "get"],
        &["object", "encoding", "list"],
    ] {
        assert_eq!(run(ours, args), run(primary.port(), args), "{args:?}");
    }
    let mut keys: Vec<String> =
        run(ours, &["--scan", "--pattern", "key:*"]).lines().map(str::to_owned).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 300);
    assert!(run(ours, &["--bigkeys", "-i", "0"]).contains("Biggest   list found '\"list\"' has 300 items"));
    assert!(run(ours, &["--memkeys", "-i", "0"]).contains("Biggest   list found"));
    assert!(run(ours, &["--hotkeys"]).contains("maxmemory policy"));
    assert!(run(ours, &["set", "k", "v"]).starts_with("READONLY"));
    // A dump that redis-cli takes as a replica would.
    let dir = std::env::temp_dir().join(format!("replica-cli-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("dump.rdb");
    let said = run(ours, &["--rdb", file.to_str().unwrap()]);
    assert!(std::fs::read(&file).unwrap().starts_with(b"REDIS"), "{said}");
    std::fs::remove_dir_all(&dir).unwrap();
    replica.shutdown().await.unwrap();
}
