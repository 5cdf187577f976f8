//! What the real servers say of their commands, beside `src/command/description/servers.txt`: the file holds exactly that.
//!
//! After a server's version has changed: `WRITE_DESCRIPTIONS=1 cargo test -p replica-store --test descriptions`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use store::command::description;
use store::{Args, Compat};
use testkit::{Client, Reply, Server};

/// The servers, each with its letter in the file.
const SERVERS: [(char, Server); 4] =
    [('7', Server::R7_0), ('8', Server::R8_2), ('v', Server::V8_1), ('V', Server::V9_1)];

/// Commands by name, each with the lines that describe it.
type Told = BTreeMap<String, Vec<String>>;

fn list(reply: &Reply) -> &[Reply] {
    match reply {
        Reply::Set(items) | Reply::Array(items) => items,
        other => panic!("no list: {other:?}"),
    }
}

fn joined(reply: &Reply) -> String {
    list(reply).iter().map(Reply::text).collect::<Vec<_>>().join(" ")
}

/// A command as COMMAND tells it, and its subcommands.
fn take_info(reply: &Reply, told: &mut Told) {
    let parts = reply.array();
    let name = parts[0].text();
    // The vector sets of Redis 8 are a module.
    if joined(&parts[2]).split(' ').any(|flag| flag == "module") {
        return;
    }
    let mut lines = vec![format!("arity {}", parts[1].int())];
    let mut line = |keyword: &str, text: String| {
        if !text.is_empty() {
            lines.push(format!("{keyword} {text}"));
        }
    };
    line("flags", joined(&parts[2]));
    if parts[3].int() != 0 {
        line("range", format!("{} {} {}", parts[3].int(), parts[4].int(), parts[5].int()));
    }
    line("acl", joined(&parts[6]).replace('@', ""));
    list(&parts[7]).iter().for_each(|tip| line("tip", tip.text()));
    list(&parts[8]).iter().for_each(|key| line("key", key_spec(key)));
    told.insert(name, lines);
    list(&parts[9]).iter().for_each(|sub| take_info(sub, told));
}

/// `flags; how the search begins; how the keys are found; notes`.
fn key_spec(reply: &Reply) -> String {
    let step = |name| {
        let step: Reply = reply.field(name).unwrap();
        let spec = step.field("spec").unwrap().as_pairs().unwrap();
        let numbers: Vec<_> = spec.iter().map(|(_, value)| shown(value)).collect();
        format!("{} {}", step.field("type").unwrap().text(), numbers.join(" ")).trim_end().to_owned()
    };
    let mut text = format!(
        "{}; {}; {}",
        joined(&reply.field("flags").unwrap()),
        step("begin_search"),
        step("find_keys")
    );
    if let Some(notes) = reply.field("notes") {
        write!(text, "; {}", notes.text()).unwrap();
    }
    text
}

fn shown(reply: &Reply) -> String {
    match reply {
        Reply::Int(n) => n.to_string(),
        other => other.text(),
    }
}

/// A command as COMMAND DOCS tells it, and its subcommands.
fn take_docs(name: &str, docs: &Reply, told: &mut Told) {
    let Some(lines) = told.get_mut(name) else { return };
    for (field, value) in docs.as_pairs().unwrap() {
        match field.text().as_str() {
            "doc_flags" => lines.push(format!("doc_flags {}", joined(&value))),
            "history" => {
                let entries = list(&value).iter();
                lines.extend(entries.map(|entry| format!("history {}", joined(entry))));
            }
            "arguments" => list(&value).iter().for_each(|argument| take_argument(argument, 1, lines)),
            "subcommands" => {}
            other => lines.push(format!("{other} {}", value.text())),
        }
    }
    for (sub, docs) in docs.field("subcommands").and_then(|subs| subs.as_pairs()).unwrap_or_default() {
        take_docs(&sub.text(), &docs, told);
    }
}

/// `name type attributes`, those inside it one deeper.
fn take_argument(reply: &Reply, depth: usize, lines: &mut Vec<String>) {
    let text = |field| reply.field(field).map(|value: Reply| shown(&value));
    let name = text("name").unwrap();
    let mut line = format!("{}{name} {}", " ".repeat(depth), text("type").unwrap());
    for (field, value) in reply.as_pairs().unwrap() {
        match field.text().as_str() {
            "name" | "type" | "arguments" | "summary" => {}
            "display_text" if value.text() == name => {}
            "display_text" => write!(line, " display:{}", value.text()).unwrap(),
            "key_spec_index" => write!(line, " key:{}", value.int()).unwrap(),
            "flags" => write!(line, " {}", joined(&value)).unwrap(),
            other => write!(line, " {other}:{}", value.text()).unwrap(),
        }
    }
    // Has spaces: the last.
    if let Some(summary) = text("summary") {
        write!(line, " summary:{summary}").unwrap();
    }
    lines.push(line);
    for inner in reply.field("arguments").as_ref().map(list).unwrap_or_default() {
        take_argument(inner, depth + 1, lines);
    }
}

/// Everything that a server says.
fn told_by(server: Server) -> Told {
    let running = server.start();
    let mut client = running.client();
    client.line("HELLO 3").ok();
    let mut told = Told::new();
    client.line("COMMAND").array().iter().for_each(|info| take_info(info, &mut told));
    for (name, docs) in client.line("COMMAND DOCS").as_pairs().unwrap() {
        take_docs(&name.text(), &docs, &mut told);
    }
    let helpful: Vec<String> =
        told.keys().filter_map(|name| name.strip_suffix("|help")).map(str::to_owned).collect();
    helpful
        .iter()
        .map(String::as_str)
        .chain(["debug"])
        .for_each(|name| take_help(&mut client, name, &mut told));
    told
}

fn take_help(client: &mut Client, name: &str, told: &mut Told) {
    let reply = client.call(&[name, "HELP"]);
    if reply.is_error() {
        // CLUSTER, where there is none.
        return;
    }
    told.get_mut(name).unwrap().extend(reply.array().iter().map(|line| format!("help {}", line.text())));
}

/// Lines that several servers have, in an order that is right for each, with the letters of those that have them.
fn merge(merged: Vec<(String, String)>, letter: char, lines: &[String]) -> Vec<(String, String)> {
    // Longest common part, from the end: `common[i][j]` of what begins at `i` here and at `j` there.
    let mut common = vec![vec![0_usize; lines.len() + 1]; merged.len() + 1];
    for i in (0..merged.len()).rev() {
        for j in (0..lines.len()).rev() {
            common[i][j] = if merged[i].1 == lines[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < merged.len() || j < lines.len() {
        if i < merged.len() && j < lines.len() && merged[i].1 == lines[j] {
            out.push((format!("{}{letter}", merged[i].0), lines[j].clone()));
            (i, j) = (i + 1, j + 1);
        } else if j == lines.len() || i < merged.len() && common[i + 1][j] >= common[i][j + 1] {
            out.push(merged[i].clone());
            i += 1;
        } else {
            out.push((letter.to_string(), lines[j].clone()));
            j += 1;
        }
    }
    out
}

/// The file that says all of it.
fn file(all: &[(char, Told)]) -> String {
    let everybody: String = SERVERS.iter().map(|(letter, _)| letter).collect();
    let mut names: Vec<&String> = all.iter().flat_map(|(_, told)| told.keys()).collect();
    names.sort();
    names.dedup();
    let mut text = String::new();
    for name in names {
        let mut merged = Vec::new();
        for (letter, told) in all {
            let Some(lines) = told.get(name) else { continue };
            let mut whole = vec![name.clone()];
            whole.extend(lines.iter().map(|line| format!(" {line}")));
            merged = merge(merged, *letter, &whole);
        }
        for (letters, line) in merged {
            let letters = if letters == everybody { "*" } else { &letters };
            writeln!(text, "{letters} {line}").unwrap();
        }
    }
    text
}

#[test]
fn the_file_holds_what_every_server_says() {
    let all: Vec<(char, Told)> = SERVERS.iter().map(|(letter, server)| (*letter, told_by(*server))).collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/command/description/servers.txt");
    let wanted = file(&all);
    if std::env::var_os("WRITE_DESCRIPTIONS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    let held = std::fs::read_to_string(path).unwrap();
    let first = held.lines().zip(wanted.lines()).position(|(held, wanted)| held != wanted);
    if let Some(line) = first.or_else(|| (held.len() != wanted.len()).then(|| held.lines().count())) {
        panic!(
            "{path}:{} is not what the servers say now: {:?}; write it again with WRITE_DESCRIPTIONS=1",
            line + 1,
            wanted.lines().nth(line)
        );
    }
}

/// Calls whose keys are worth asking for, of commands that all or some servers have.
const CALLS: &str = r#"
GET a|GET|EVAL x 0|EVAL x 1|EVAL x 2 a b c|EVAL x -1 a|EVAL x nan a|EVAL x 01 a|EVALSHA x 1 a|EVAL_RO x 1 a|FCALL x 1 a|FCALL_RO f 0
SORT a BY x GET y STORE z|SORT a STORE|SORT a LIMIT STORE 1 STORE z|SORT a STORE z STORE w|SORT a STORE b STORE
SORT a BY STORE STORE z|SORT a GET STORE z|SORT a LIMIT 1|SORT_RO a BY x|SORT_RO a STORE b|SORT a STORE STORE b|SORT a STORE LIMIT STORE b|SORT a STORE STORE
SET a b|SET a b GET|SET a b EX GET|SET a b EX GET get|SET a b IFEQ GET|SET a GET|SET a b c GETX get
BITFIELD a|BITFIELD a GET u8 1|BITFIELD a GET u8 1 SET u8 1 1|BITFIELD a OVERFLOW SAT GET u8 0|BITFIELD a INCRBY u8 1 1
BITFIELD a GET u8|BITFIELD a NOSUCH u8 1 1|BITFIELD a OVERFLOW|BITFIELD a GET SET 1 1|BITFIELD_RO a GET u8 0
GEORADIUS k 1 2 3 km|GEORADIUS k 1 2 3 km STORE x|GEORADIUS k 1 2 3 km STORE x STOREDIST y|GEORADIUS k 1 2 3 km STORE
GEORADIUS k 1 2 3 km ASC COUNT STORE STORE|GEORADIUS k 1 2 3 km STOREDIST y STORE x|GEORADIUS k 1 2 3 km STORE x STORE y
GEORADIUS k 1 2 3 STORE STORE x|GEORADIUS k 1 2 STORE x y z|GEORADIUS_RO k 1 2 3 km STORE x|GEOSEARCHSTORE a b FROMMEMBER m
GEORADIUSBYMEMBER k m 3 km STORE x STOREDIST y|GEORADIUSBYMEMBER k m 3 km STORE|GEORADIUSBYMEMBER k m 3 STORE STORE x
MIGRATE h 1 k 0 10|MIGRATE h 1 '' 0 10 KEYS a b c|MIGRATE h 1 '' 0 10 AUTH KEYS KEYS a b|MIGRATE h 1 k 0 10 KEYS a b
MIGRATE h 1 '' 0 10|MIGRATE h 1 '' 0 10 KEYS|MIGRATE h 1 '' 0 10 COPY REPLACE AUTH2 u p KEYS a b
MIGRATE h 1 '' 0 10 AUTH2 KEYS KEYS KEYS a b|MIGRATE h 1 '' 0 10 NOSUCH KEYS a b|MIGRATE h 1 '' 0 10 AUTH KEYS
ZUNIONSTORE d 2 a b|ZUNIONSTORE d 3 a b|ZUNIONSTORE d 0 a b|ZUNIONSTORE d x a b|ZUNION 1 a WEIGHTS 1|ZDIFF 1 a|ZINTERCARD 2 a b
LMPOP 2 a b LEFT|LMPOP 0 a LEFT|LMPOP -1 a LEFT|LMPOP 99999999999999999999 a LEFT|LMPOP 2147483648 a LEFT|LMPOP 01 a LEFT
LMPOP 1x a LEFT|LMPOP 2 a LEFT|LMPOP 3 a LEFT|LMPOP 4 a LEFT|BLMPOP 0 2 a b LEFT|ZMPOP 01 a MIN|SINTERCARD 01 a|ZUNIONSTORE d 01 a
BLPOP a b 0|BZPOPMIN a 0|XREAD COUNT 2 STREAMS a b 0 0|XREAD COUNT 2 STREAMS a b 0|XREAD COUNT 2 a b 0|XREAD STREAMS STREAMS a 0 0
XREAD STREAMS a|XREAD STREAMS a b c d e|XREAD COUNT 1 STREAMS|XREAD BLOCK STREAMS STREAMS a 0|XREADGROUP GROUP g c STREAMS a b > >
XREADGROUP GROUP STREAMS c STREAMS a b > >|XREADGROUP GROUP STREAMS x y z a|MSET a 1 b 2|MSET a 1 b|MSETNX a 1|MGET a b c
MSETEX 2 a 1 b 2 EX 10|MSETEX 2 a 1 b|MSETEX 3 a 1 b 2|OBJECT ENCODING x|XGROUP CREATE k g 0|XINFO STREAM k|MEMORY USAGE k
SPUBLISH c m|WATCH a b|COPY a b|RESTORE-ASKING a 0 x|RESTORE a 0 x|PFCOUNT a b|PFMERGE d a b|PFMERGE d|PFDEBUG x k|LCS a b
BITOP AND d a b|DEL a b|RENAME a b|SMOVE a b m|LMOVE a b LEFT LEFT|SUNIONSTORE d a b|EXISTS a|DEBUG OBJECT a|PING x
CONFIG GET x|HEXPIRE h 1 FIELDS 1 f|HSETEX h FIELDS 1 f v|XACKDEL k g IDS 1 0-1|DELIFEQ a b|FLUSHALL|SELECT 1
"#;

#[test]
fn keys_are_found_where_every_server_finds_them() {
    for (server, compat) in [
        (Server::R7_0, Compat::Redis70),
        (Server::R8_2, Compat::Redis82),
        (Server::V8_1, Compat::Valkey81),
        (Server::V9_1, Compat::Valkey91),
    ] {
        let running = server.start();
        let mut client = running.client();
        for call in CALLS.lines().flat_map(|line| line.split('|')).filter(|call| !call.is_empty()) {
            let parts: Vec<&str> = call.split(' ').map(|part| if part == "''" { "" } else { part }).collect();
            let theirs = client.call(&[&["COMMAND", "GETKEYSANDFLAGS"], &parts[..]].concat());
            let args: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
            let mut name = parts[0].to_ascii_lowercase();
            if description::describe(compat, &format!("{name}|help")).is_some() {
                name = format!("{name}|{}", parts[1].to_ascii_lowercase());
            }
            let ours = description::keys(compat, &name, Args::new(&args));
            let theirs = match theirs {
                Reply::Error(text) if text.contains("no key arguments") => Err(description::KeyError::NoKeys),
                Reply::Error(text) if text.contains("Invalid arguments") => {
                    Err(description::KeyError::Invalid)
                }
                // Found before anybody looks for keys.
                Reply::Error(_) => continue,
                keys => Ok(keys
                    .array()
                    .iter()
                    .map(|key| (key.array()[0].text(), joined(&key.array()[1])))
                    .collect::<Vec<_>>()),
            };
            let ours = ours.map(|keys| {
                keys.iter().map(|key| (parts[key.at].to_owned(), key.flags.to_owned())).collect::<Vec<_>>()
            });
            assert_eq!(ours, theirs, "{compat}: {call}");
        }
    }
}
