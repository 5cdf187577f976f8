//! Dumps by real servers, and what those servers say about them.
#![cfg(feature = "json")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod feeding;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use feeding::{Recorder, corpus, every_way, feed, specimens};
use rdb::json::JsonLines;
use rdb::{EncodeOptions, EntryMeta, Part, Reject, Transcoder, Version, Visitor, Want};
use serde_json::Value;
use testkit::Server;

#[test]
fn every_feeding_gives_the_same_calls() {
    for (name, dump) in specimens() {
        for want in [Want::Skip, Want::Packed, Want::Elements] {
            let calls = every_way(&dump, want);
            assert!(calls.len() > 2, "{name}");
        }
    }
}

#[test]
fn json_is_what_the_server_says() {
    for (name, dump) in specimens() {
        let mut json = JsonLines::new(Vec::new());
        feed([&dump[..]], &mut json).unwrap_or_else(|error| panic!("{name}: {error}"));
        let ours = by_key(&json.finish().unwrap());
        let theirs = by_key(&std::fs::read(corpus().join(name.clone() + ".json")).unwrap());
        assert_same(&name, &ours, &theirs);
    }
}

#[test]
fn json_does_not_depend_on_chunks() {
    for (name, dump) in specimens() {
        let print = |size| {
            let mut json = JsonLines::new(Vec::new());
            feed(dump.chunks(size), &mut json).unwrap();
            json.finish().unwrap()
        };
        assert!(print(usize::MAX) == print(1), "{name}");
    }
}

#[test]
fn a_dump_written_again_says_the_same() {
    for (name, dump) in specimens() {
        let theirs = by_key(&std::fs::read(corpus().join(name.clone() + ".json")).unwrap());
        for version in
            [Version::REDIS_9, Version::REDIS_10, Version::REDIS_11, Version::REDIS_12, Version::VALKEY_80]
        {
            let mut to = Transcoder::new(version, EncodeOptions::default()).unwrap();
            if let Err(error) = feed([&dump[..]], &mut to) {
                // Fields that expire, and functions, are not for every version.
                assert!(to.refused().is_some(), "{name} to {version}: {error}");
                assert!(name.starts_with("hashttl") || name.starts_with("function"), "{name} to {version}");
                assert!(version.number < 12, "{name} to {version}");
                continue;
            }
            let again = to.finish();
            let mut recorder = Recorder::new(Want::Packed);
            assert_eq!(feed([&again[..]], &mut recorder).unwrap(), Some(again.len()), "{name} to {version}");
            let mut json = JsonLines::new(Vec::new());
            feed([&again[..]], &mut json).unwrap();
            let mut ours = by_key(&json.finish().unwrap());
            if version.number < 11 {
                // What version 9 cannot say of a stream is not compared.
                let forget =
                    |lines: &mut BTreeMap<_, Value>| lines.values_mut().for_each(forget_late_figures);
                let mut theirs = theirs.clone();
                forget(&mut ours);
                forget(&mut theirs);
                assert_same(&name, &ours, &theirs);
            } else {
                assert_same(&name, &ours, &theirs);
            }
        }
    }
}

#[test]
fn servers_load_the_dumps_that_we_write() {
    for server in Server::ALL {
        let version = match server {
            Server::R6_0 | Server::R6_2 => Version::REDIS_9,
            Server::R7_0 => Version::REDIS_10,
            Server::V8_1 => Version::REDIS_11,
            Server::R8_2 => Version::REDIS_12,
            Server::V9_1 => Version::VALKEY_80,
        };
        // All specimens in one dump, each database of each under a number of its own.
        let to = Transcoder::new(version, EncodeOptions::default()).unwrap();
        let mut all = Renumbered { to, next: 0 };
        for (name, dump) in specimens() {
            let expires = name.starts_with("hashttl") && version.number < 12;
            // Libraries may not be there twice; functions have tests of their own.
            if !expires && !name.starts_with("function") && !name.starts_with("module") {
                // Database 0 is implied.
                all.select_db(0);
                feed([&dump[..]], &mut all).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
        let ours = all.to.finish();
        let running = server.builder().config("databases", "1000").dump(&ours).start();
        assert_eq!(running.client().line("SAVE").ok().text(), "OK");
        let theirs = std::fs::read(running.dir().join("dump.rdb")).unwrap();
        let json = |dump: &[u8]| {
            let mut json = JsonLines::new(Vec::new());
            feed([dump], &mut json).unwrap();
            by_key(&json.finish().unwrap())
        };
        let (ours, theirs) = (json(&ours), json(&theirs));
        assert!(ours.len() > 300);
        assert_same(&format!("{server:?}"), &ours, &theirs);
    }
}

/// Gives every database that is selected the next number.
struct Renumbered {
    to: Transcoder,
    next: u64,
}

impl Visitor for Renumbered {
    fn select_db(&mut self, _: u64) {
        self.to.select_db(self.next);
        self.next += 1;
    }
    fn entry(&mut self, key: &[u8], meta: &EntryMeta) -> Result<Want, Reject> {
        self.to.entry(key, meta)
    }
    fn part(&mut self, part: Part<'_>) -> Result<(), Reject> {
        self.to.part(part)
    }
    fn entry_end(&mut self) -> Result<(), Reject> {
        self.to.entry_end()
    }
}

fn forget_late_figures(line: &mut Value) {
    if line["type"] == "stream" {
        let value = &mut line["value"];
        value["max_deleted_id"] = "unknown".into();
        value["entries_added"] = "unknown".into();
        for group in value["groups"].as_array_mut().unwrap() {
            group["entries_read"] = "unknown".into();
            for consumer in group["consumers"].as_array_mut().unwrap() {
                consumer["active_ms"] = "unknown".into();
            }
        }
    }
}

type Lines = BTreeMap<(i64, Vec<u8>), Value>;

fn by_key(lines: &[u8]) -> Lines {
    let mut all = BTreeMap::new();
    for line in std::str::from_utf8(lines).unwrap().lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        expand(&mut line);
        let key = (line["db"].as_i64().unwrap(), line["key"].as_str().unwrap().as_bytes().to_vec());
        assert!(all.insert(key, line).is_none(), "a key twice");
    }
    all
}

/// {"repeat": [unit, n]} stands for a long string, as the script that makes the corpus writes it.
fn expand(value: &mut Value) {
    if let Some([unit, n]) = value.get("repeat").and_then(Value::as_array).map(Vec::as_slice) {
        let unit = STANDARD.decode(unit.as_str().unwrap()).unwrap();
        let long = unit.repeat(usize::try_from(n.as_u64().unwrap()).unwrap());
        *value = STANDARD.encode(long).into();
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(expand),
        Value::Object(items) => items.values_mut().for_each(expand),
        _ => {}
    }
}

fn assert_same(name: &str, ours: &Lines, theirs: &Lines) {
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{name}: the keys differ");
    for (key, theirs) in theirs {
        let (mut ours, mut theirs) = (ours[key].clone(), theirs.clone());
        normal(&mut ours);
        normal(&mut theirs);
        if theirs["type"] == "module" {
            // No command shows the raw value.
            assert!(STANDARD.decode(ours["value"].as_str().unwrap()).unwrap().ends_with(b"\0"));
            theirs["value"] = ours["value"].clone();
        }
        agree(&ours, &theirs, &format!("{name}, {}", String::from_utf8_lossy(&key.1)));
    }
}

/// Sets, sorted sets and hashes have no order that counts, nor have groups and consumers.
fn normal(line: &mut Value) {
    let kind = line["type"].as_str().unwrap().to_owned();
    let by_text = |items: &mut Vec<Value>| items.sort_by_key(Value::to_string);
    if kind == "stream" {
        let groups = line["value"]["groups"].as_array_mut().unwrap();
        by_text_name(groups);
        groups.iter_mut().for_each(|group| by_text_name(group["consumers"].as_array_mut().unwrap()));
    } else if kind == "zset" {
        line["value"].as_array_mut().unwrap().sort_by_key(|pair| pair[0].to_string());
    } else if kind == "set" || kind == "hash" {
        by_text(line["value"].as_array_mut().unwrap());
    }
}

fn by_text_name(items: &mut [Value]) {
    items.sort_by_key(|item| item["name"].to_string());
}

/// Equal, but for what the server could not tell ("unknown"), and for the many ways to print a score.
fn agree(ours: &Value, theirs: &Value, place: &str) {
    match (ours, theirs) {
        (_, Value::String(theirs)) if theirs == "unknown" => {}
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{place}");
            let score = a.len() == 2 && a.iter().chain(b).all(Value::is_string);
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                let (x, y) = (a.as_str().unwrap_or("-"), b.as_str().unwrap_or("-"));
                match (x.parse::<f64>(), y.parse::<f64>()) {
                    (Ok(x), Ok(y)) if score && index == 1 => assert!(x == y, "{place}: {x} {y}"),
                    _ => agree(a, b, place),
                }
            }
        }
        (Value::Object(a), Value::Object(b)) => {
            assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{place}");
            a.iter().for_each(|(name, a)| agree(a, &b[name], &format!("{place}, {name}")));
        }
        _ => assert!(ours == theirs, "{place}: we say {ours}, the server {theirs}"),
    }
}
