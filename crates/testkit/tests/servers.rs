//! The kit against the six real servers.

use testkit::{Client, Reply, Server, Tool};

#[test]
fn every_server_is_fetched_and_says_its_version() {
    for server in Server::ALL {
        let running = server.start();
        let mut client = running.client();
        let info = client.call(&["INFO", "server"]).text();
        let name = if server.family() == "Redis" { "redis_version" } else { "valkey_version" };
        assert!(info.contains(&format!("{name}:{}\r\n", server.version())), "{info}");
        assert_eq!(client.call(&["PING"]), Reply::Simple(b"PONG".to_vec()));
    }
}

#[test]
fn a_dropped_server_is_gone_with_its_directory() {
    let running = Server::R7_0.start();
    let (pid, dir, addr) = (running.pid(), running.dir().to_owned(), running.addr());
    assert!(dir.is_dir());
    drop(running);
    assert_eq!(testkit::rss_bytes_of(pid), None);
    assert!(!dir.exists());
    assert!(Client::connect(addr).is_err());
}

#[test]
fn a_killed_server_comes_back_on_its_port_with_what_it_saved() {
    let mut running = Server::R7_0.start();
    let (pid, port) = (running.pid(), running.port());
    running.client().call(&["SET", "saved", "1"]).ok();
    running.client().call(&["SAVE"]).ok();
    running.client().call(&["SET", "lost", "1"]).ok();
    running.kill();
    assert!(Client::connect(running.addr()).is_err());
    running.restart();
    assert_eq!(running.port(), port);
    assert_ne!(running.pid(), pid);
    assert_eq!(running.client().call(&["MGET", "saved", "lost"]), {
        Reply::Array(vec![Reply::Bulk(b"1".to_vec()), Reply::Null])
    });
}

#[test]
fn a_shutdown_that_saves_keeps_the_data_for_a_restart() {
    let mut running = Server::R7_0.start();
    running.client().call(&["SET", "kept", "1"]).ok();
    running.shutdown(true);
    running.restart();
    assert_eq!(running.client().call(&["GET", "kept"]).bytes(), b"1");
}

#[test]
fn a_dump_given_to_the_builder_is_loaded() {
    let first = Server::R7_0.start();
    first.client().call(&["SET", "k", "v"]).ok();
    first.client().call(&["SAVE"]).ok();
    let dump = std::fs::read(first.dir().join("dump.rdb")).expect("SAVE wrote it");
    let second = Server::R7_0.builder().dump(&dump).start();
    assert_eq!(second.client().call(&["GET", "k"]).bytes(), b"v");
}

#[test]
fn a_server_with_a_password_is_waited_for_and_logged_into() {
    let running = Server::R7_0.start_with(&["--requirepass", "open sesame"]);
    assert_eq!(running.client().call(&["GET", "k"]), Reply::Null);
    let mut stranger = Client::connect(running.addr()).expect("it listens");
    assert!(stranger.call(&["GET", "k"]).error().starts_with("NOAUTH"));
}

#[test]
fn a_server_that_cannot_start_shows_its_log() {
    let failed = Server::R7_0.builder().config("maxmemory-policy", "whatever").try_start();
    let text = failed.expect_err("there is no such policy");
    assert!(text.contains("maxmemory-policy"), "{text}");
}

#[test]
fn a_taken_port_is_reported_and_never_mistaken_for_our_server() {
    let first = Server::R7_0.start();
    let second = Server::R7_0.builder().port(first.port()).try_start();
    assert!(second.expect_err("the port is taken").contains("taken"));
}

#[test]
fn servers_die_with_the_process_that_started_them() {
    if std::env::var_os(HOLD).is_some() {
        hold_a_server();
    }
    // The same test, in a process of its own that is killed while its server runs.
    let mut child = std::process::Command::new(std::env::current_exe().expect("we run"))
        .args(["--exact", "servers_die_with_the_process_that_started_them", "--nocapture"])
        .env(HOLD, "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("we can start ourselves");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("piped")));
    let line = lines.find_map(|line| line.ok()?.split_once("server at ").map(|(_, rest)| rest.to_owned()));
    let addr = line.expect("it says where its server is");
    let mut client = Client::connect(&*addr).expect("it runs");
    client.call(&["PING"]).ok();
    child.kill().expect("it runs");
    child.wait().expect("it was killed");
    // Ends when the server closes our connection: on its death. A living one would let us wait in vain.
    assert!(client.at_end().expect("the server dies"));
}

const HOLD: &str = "REPLICA_TEST_HOLD_A_SERVER";

fn hold_a_server() -> ! {
    let running = Server::R7_0.start();
    println!("server at {}", running.addr());
    loop {
        std::thread::park();
    }
}

#[test]
fn memory_and_processor_time_of_a_server_can_be_read() {
    let running = Server::R7_0.start();
    let before = running.rss_bytes();
    running.client().call(&["SETRANGE", "big", "50000000", "x"]).ok();
    running.client().call(&["GETRANGE", "big", "0", "50000000"]).ok();
    assert!(running.rss_bytes() > before);
    let _ = running.cpu_time();
}

#[test]
fn the_tools_talk_to_a_server() {
    let running = Server::R7_0.start();
    let port = running.port().to_string();
    let run = |tool: Tool, args: &[&str]| {
        let program = tool.fetch().unwrap_or_else(|error| panic!("{error}"));
        let output = std::process::Command::new(program).args(["-p", &port]).args(args).output();
        String::from_utf8(output.expect("it runs").stdout).expect("text")
    };
    assert_eq!(run(Tool::Cli, &["PING"]), "PONG\n");
    assert!(run(Tool::Benchmark, &["-t", "set", "-n", "100", "-q"]).contains("SET"));
}
