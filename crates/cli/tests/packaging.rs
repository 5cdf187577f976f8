//! What `packaging/` says of the binary is true: its arguments, its variables, its files. No image is built and no
//! service installed here: the commands of both are run as they stand, at other addresses.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::Ours;
use testkit::{Server, TempDir};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn file(name: &str) -> String {
    std::fs::read_to_string(root().join("packaging").join(name)).unwrap()
}

/// What stands behind the last line that begins so.
fn last<'t>(text: &'t str, word: &str) -> &'t str {
    let found = text.lines().rev().find_map(|line| line.strip_prefix(word));
    found.unwrap_or_else(|| panic!("no {word}")).trim()
}

/// The words of `["a", "b"]`.
fn words(list: &str) -> Vec<String> {
    serde_json::from_str(list).unwrap()
}

/// A copy with a password: it is ready, and its end leaves the file.
fn works(command: Command, saved: &Path) {
    let ours = Ours::of(command);
    ours.until("/readyz", 200);
    let mut client = ours.client();
    assert!(client.call(&["GET", "k"]).error().starts_with("NOAUTH"));
    client.call(&["AUTH", "secret"]).ok();
    assert_eq!(client.call(&["GET", "k"]).bytes(), b"v");
    ours.terminate();
    assert!(ours.has_ended_well());
    assert!(saved.exists(), "{}", saved.display());
}

#[test]
fn the_image_starts_what_the_binary_understands() {
    let text = file("Containerfile");
    let context = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    // What is copied from the build is what the build makes, under a name that the entry point has.
    let build = text.lines().find_map(|line| line.strip_prefix("RUN cargo ")).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    // It would take minutes; whether cargo understands it, and what it would make, takes none.
    cargo.args(["metadata", "--no-deps", "--format-version=1", "--locked", "--offline"]).current_dir(root());
    let metadata: serde_json::Value = serde_json::from_slice(&cargo.output().unwrap().stdout).unwrap();
    let package = build.rsplit_once("--package ").unwrap().1;
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|one| one["name"] == package).unwrap();
    let binaries: Vec<&str> = package["targets"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|target| target["kind"][0] == "bin")
        .map(|target| target["name"].as_str().unwrap())
        .collect();
    assert!(build.starts_with("build --release --locked "), "{build}");
    let copied = context(last(&text, "COPY --from=build "));
    let [from, to] = copied.as_slice() else { panic!("{copied:?}") };
    assert_eq!(binaries, [from.strip_prefix("/src/target/release/").unwrap()]);
    assert_eq!(to.strip_prefix("/usr/local/bin/").unwrap(), words(last(&text, "ENTRYPOINT "))[0]);
    // The Rust of the image is one that the workspace takes.
    let image = text.lines().find_map(|line| line.strip_prefix("FROM rust:")).unwrap();
    let number = |text: &str| text.split(['-', '.']).map_while(|n| n.parse().ok()).collect::<Vec<u32>>();
    assert!(number(image) >= number(package["rust_version"].as_str().unwrap()), "{image}");
    // Nothing that the build needs is kept from it.
    for line in file("Containerfile.dockerignore").lines() {
        let ignored = line.trim_start_matches("**/");
        for needed in ["crates", "benches", "examples", "Cargo.toml", "Cargo.lock"] {
            assert!(!needed.starts_with(ignored), "{line} keeps {needed} away");
        }
    }

    let primary = Server::R7_0.start();
    primary.client().call(&["SET", "k", "v"]).ok();
    let dir = TempDir::new("image");
    let saved = dir.file("copy.rdb");
    let mut command = Command::new(env!("CARGO_BIN_EXE_replica"));
    for word in words(last(&text, "CMD ")) {
        command.arg(match word.as_str() {
            "0.0.0.0:6380" | "0.0.0.0:9121" => "127.0.0.1:0".to_owned(),
            "/data/copy.rdb" => saved.display().to_string(),
            _ => word,
        });
    }
    command.env("REPLICA_MASTER", primary.url()).env("REPLICA_PASSWORD", "secret").env("RUST_LOG", "warn");
    works(command, &saved);
}

#[test]
fn the_service_starts_what_the_binary_understands() {
    let unit = file("replica.service");
    let settings = file("replica.env");
    let settings: HashMap<&str, &str> = settings
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .collect();
    let primary = Server::V8_1.start();
    primary.client().call(&["SET", "k", "v"]).ok();
    let dir = TempDir::new("service");
    let mut line =
        last(&unit, "ExecStart=/usr/local/bin/").replace("%S/replica", &dir.path().display().to_string());
    for (name, value) in &settings {
        let value = value.replace(":6380", ":0").replace(":9121", ":0");
        line = line.replace(&format!("${{{name}}}"), &value);
    }
    assert!(!line.contains(['$', '%']), "a variable that nobody sets: {line}");
    let mut words = line.split(' ');
    assert_eq!(words.next(), Some("replica"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_replica"));
    command
        .args(words)
        .envs(&settings)
        .env("REPLICA_MASTER", primary.url())
        .env("REPLICA_PASSWORD", "secret");
    works(command, &dir.file("copy.rdb"));
    // What is not to be tried again ends with the code that the unit names.
    let code = last(&unit, "RestartPreventExitStatus=").parse().unwrap();
    let mut wrong = Command::new(env!("CARGO_BIN_EXE_replica"));
    wrong.args(["serve", "--listen", "127.0.0.1:0", "--master", &format!("redis://:no@{}", primary.addr())]);
    assert_eq!(wrong.output().unwrap().status.code(), Some(code));
    // Where systemd is, it says whether it understands the rest.
    if let Ok(output) =
        Command::new("systemd-analyze").arg("verify").arg(root().join("packaging/replica.service")).output()
    {
        let said = String::from_utf8_lossy(&output.stderr);
        let ours = said
            .lines()
            .filter(|line| line.contains("replica.service") && !line.contains("is not executable"));
        assert_eq!(ours.collect::<Vec<_>>(), Vec::<&str>::new());
    }
}
