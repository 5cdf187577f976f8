//! docs/compatibility.md, made by trying: which servers are followed, follow us, and load what we write.
//!
//! `UPDATE=1` writes the page anew; otherwise the page has to say what was found.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use rdb::{Decoder, EncodeOptions, Transcoder, Version};
use support::Ours;
use testkit::{Server, differences, eventually, fill_every_type, random_writes, wait_until_caught_up};

const HEAD: &str = "\
# What goes with what

Made by `crates/cli/tests/compatibility.rs`, which tries every cell; a cell that changes fails the test.
Which commands each personality has: [commands.md](commands.md).
";

/// Every version of the format that a magic can name today.
fn versions() -> Vec<Version> {
    let redis = (1..=17).map(|number| format!("REDIS{number:04}"));
    let valkey = (80..=82).map(|number| format!("VALKEY{number:03}"));
    redis
        .chain(valkey)
        .map(|magic| Version::from_magic(magic.as_bytes().try_into().unwrap()).unwrap())
        .collect()
}

fn word(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// The version of a dump of this server.
fn written_by(server: Server) -> Version {
    let running = server.start();
    running.client().call(&["SAVE"]).ok();
    let dump = std::fs::read(running.dir().join("dump.rdb")).unwrap();
    Version::from_magic(dump.get(..9).unwrap().try_into().unwrap()).unwrap()
}

/// Whether a copy of ours is equal after a full sync and a stream of writes of every type.
fn is_followed(server: Server) -> bool {
    let primary = server.start();
    let mut at_primary = primary.client();
    fill_every_type(&mut at_primary, 21, 300);
    let ours = Ours::serve(&["--master", &primary.url()]);
    ours.until("/readyz", 200);
    random_writes(&mut at_primary, 22, 500);
    let mut client = ours.client();
    wait_until_caught_up(&mut at_primary, &mut client);
    differences(&mut at_primary, &mut client).is_empty()
}

/// Whether a real replica of a standalone server of ours is equal to it, in the personality that fits.
fn follows_us(server: Server) -> bool {
    let compat = match server {
        Server::R6_0 | Server::R6_2 | Server::R7_0 => "redis-7.0",
        Server::R8_2 => "redis-8.2",
        Server::V8_1 => "valkey-8.1",
        Server::V9_1 => "valkey-9.1",
    };
    let ours = Ours::serve(&["--standalone", "--compat", compat]);
    let mut client = ours.client();
    client.call(&["MSET", "a", "1", "b", "2"]).ok();
    client.call(&["RPUSH", "list", "x", "y"]).ok();
    let (host, port) = ours.addr.split_once(':').unwrap();
    let replica = server.start_with(&["--replicaof", host, port]);
    let mut at_replica = replica.client();
    // One that cannot read our dump says so in its log again and again.
    let mut is_up = false;
    eventually("it follows, or says why not", || {
        is_up = at_replica.call(&["INFO", "replication"]).text().contains("master_link_status:up");
        is_up || replica.log().contains("Can't handle RDB format version")
    });
    if !is_up {
        return false;
    }
    random_writes(&mut client, 23, 300);
    wait_until_caught_up(&mut client, &mut at_replica);
    differences(&mut client, &mut at_replica).is_empty()
}

/// A data set of every type, without what some versions have no word for.
fn plain_dump() -> Vec<u8> {
    let running = Server::R7_0.start();
    let mut client = running.client();
    fill_every_type(&mut client, 24, 200);
    client.call(&["FUNCTION", "FLUSH"]).ok();
    client.call(&["SAVE"]).ok();
    std::fs::read(running.dir().join("dump.rdb")).unwrap()
}

fn loads(server: Server, dump: &[u8]) -> bool {
    let Ok(running) = server.builder().dump(dump).try_start() else { return false };
    running.client().call(&["DBSIZE"]).int() > 0
}

fn page() -> String {
    let mut out = String::from(HEAD);
    let written: Vec<(Server, Version)> = Server::ALL.map(|server| (server, written_by(server))).to_vec();
    writeln!(out, "\n## Servers\n").unwrap();
    writeln!(out, "*Followed*: a copy of ours is equal after a full sync and a stream of writes. *Follows us*: a replica of that").unwrap();
    writeln!(out, "version is equal to a standalone server of ours, in the personality that is nearest.\n")
        .unwrap();
    writeln!(out, "| server | writes RDB | followed | follows us |\n| --- | --- | --- | --- |").unwrap();
    for (server, version) in &written {
        let name = format!("{} {}", server.family(), server.version());
        let (followed, follows) = (word(is_followed(*server)), word(follows_us(*server)));
        writeln!(out, "| {name} | {} | {followed} | {follows} |", version.number).unwrap();
    }
    writeln!(out, "\n## Versions of the dump format\n").unwrap();
    writeln!(out, "*Read* and *written* are what the decoder and `replica rdb convert` take. The servers' columns: whether that server loads a dump").unwrap();
    writeln!(
        out,
        "of every type that was written in that version (without functions and fields that expire).\n"
    )
    .unwrap();
    write!(out, "| version | read | written |").unwrap();
    Server::ALL.iter().for_each(|server| write!(out, " {} {} |", server.family(), server.version()).unwrap());
    writeln!(out, "\n| --- | --- | --- |{}", " --- |".repeat(Server::ALL.len())).unwrap();
    let plain = plain_dump();
    for version in versions() {
        let transcoder = Transcoder::new(version, EncodeOptions::default());
        write!(out, "| {version} | {} | {} |", word(version.is_readable()), word(transcoder.is_ok()))
            .unwrap();
        let dump = transcoder.ok().map(|mut to| {
            Decoder::default().feed(&plain, &mut to).unwrap();
            to.finish()
        });
        for server in Server::ALL {
            let cell = dump.as_ref().map_or("–", |dump| word(loads(server, dump)));
            write!(out, " {cell} |").unwrap();
        }
        writeln!(out).unwrap();
    }
    out
}

#[test]
fn the_page_says_what_was_found() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/compatibility.md");
    let found = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let said = std::fs::read_to_string(&path).unwrap();
    assert!(said == found, "docs/compatibility.md is not what was found (UPDATE=1 writes it):\n{found}");
}

/// What else the pages promise to be complete about.
#[test]
fn the_pages_name_every_dependency_and_every_command_of_the_binary() {
    let read = |name: &str| {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)).unwrap()
    };
    let (manifest, dependencies) = (read("Cargo.toml"), read("docs/dependencies.md"));
    let table = manifest.split("[workspace.dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    for line in table.lines().filter(|line| !line.starts_with('#') && !line.starts_with("replica")) {
        let Some((name, _)) = line.split_once(" = ") else { continue };
        assert!(dependencies.contains(&format!("`{name}`")), "docs/dependencies.md does not tell why {name}");
    }
    let tools = read("docs/tools.md");
    let help = Command::new(env!("CARGO_BIN_EXE_replica")).arg("--help").output().unwrap().stdout;
    let help = String::from_utf8(help).unwrap();
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    for line in commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let name = line.split_whitespace().next().unwrap();
        assert!(
            name == "help" || tools.contains(&format!("`{name}")),
            "docs/tools.md does not tell of {name}"
        );
    }
}
