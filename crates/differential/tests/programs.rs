//! Scripts as people write them, run on our server and on real ones: what they answer, and what they leave.
//!
//! ```text
//! ## name of the program
//! < SET stock:1 5              what is there before
//! > stock:1 user:1 | 2 now     a call: its keys and its arguments; the first by EVAL, the others by EVALSHA
//! redis.call(...)              the source, to the next program
//! ```
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use differential::compat_of;
use replica::Standalone;
use server::{DebugCommand, Engine, Options, Role};
use testkit::{Client, Server};

const FILES: [&str; 5] = [
    include_str!("programs/limits.txt"),
    include_str!("programs/locks_and_queues.txt"),
    include_str!("programs/structures.txt"),
    include_str!("programs/text_and_codecs.txt"),
    include_str!("programs/sketches_and_streams.txt"),
];

#[derive(Debug, Default)]
struct Program {
    name: String,
    before: Vec<Vec<String>>,
    calls: Vec<[Vec<String>; 2]>,
    source: String,
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

fn programs() -> Vec<Program> {
    let mut all: Vec<Program> = Vec::new();
    for line in FILES.iter().flat_map(|file| file.lines()) {
        if let Some(name) = line.strip_prefix("## ") {
            all.push(Program { name: name.to_owned(), ..Program::default() });
            continue;
        }
        let Some(program) = all.last_mut() else { continue };
        if let Some(command) = line.strip_prefix("< ") {
            program.before.push(words(command));
        } else if let Some(call) = line.strip_prefix("> ") {
            let (keys, args) = call.split_once('|').unwrap_or((call, ""));
            program.calls.push([words(keys), words(args)]);
        } else {
            program.source += line;
            program.source.push('\n');
        }
    }
    all
}

/// What the calls answer, and the digest of what they leave.
fn run(client: &mut Client, program: &Program) -> Vec<String> {
    client.call(&["FLUSHALL"]).ok();
    for command in &program.before {
        assert!(!client.call(command).is_error(), "{}: {command:?}", program.name);
    }
    let mut answers = Vec::new();
    let sha = client.call(&["SCRIPT", "LOAD", program.source.as_str()]);
    assert!(!sha.is_error(), "{}: {sha:?}", program.name);
    client.call(&["SCRIPT", "FLUSH"]).ok();
    for (n, [keys, args]) in program.calls.iter().enumerate() {
        let (name, script) = if n == 0 { ("EVAL", program.source.clone()) } else { ("EVALSHA", sha.text()) };
        let mut command = vec![name.to_owned(), script, keys.len().to_string()];
        command.extend(keys.iter().chain(args).cloned());
        answers.push(client.call_for_bytes(&command).unwrap().escape_ascii().to_string());
    }
    answers.push(client.call(&["DEBUG", "DIGEST"]).text());
    answers
}

fn compare(server: Server) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut options = Options::default();
    options.debug_command = DebugCommand::Local;
    let engine = Engine::new(Role::Primary, options);
    engine.set_compat(compat_of(server));
    let ours = runtime.block_on(Standalone::start_with(engine, "127.0.0.1:0")).unwrap();
    let theirs = server.start();
    let programs = programs();
    assert!(programs.len() >= 200, "{} programs", programs.len());
    let mut differences = String::new();
    for version in ["2", "3"] {
        let mut sides = [Client::connect(ours.local_addr()).unwrap(), theirs.client()];
        for side in &mut sides {
            assert!(!side.call(&["HELLO", version]).is_error());
        }
        for program in &programs {
            assert!(!program.calls.is_empty(), "{} is never called", program.name);
            let [ours, theirs] = sides.each_mut().map(|side| run(side, program));
            for (n, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
                if ours != theirs {
                    let name = &program.name;
                    differences +=
                        &format!("{name}, call {n}, RESP{version}\n  ours:   {ours}\n  theirs: {theirs}\n");
                }
            }
            // A program that fails everywhere in the same way shows little.
            let failed = |answer: &String| answer.contains("user_script:") && answer.starts_with('-');
            assert!(!theirs.iter().any(failed), "{}: {theirs:?}", program.name);
        }
    }
    assert!(differences.is_empty(), "{}\n{differences}", theirs.server().version());
}

#[test]
fn programs_do_the_same_on_redis_7_0() {
    compare(Server::R7_0);
}

#[test]
fn programs_do_the_same_on_redis_8_2() {
    compare(Server::R8_2);
}

#[test]
fn programs_do_the_same_on_valkey_9_1() {
    compare(Server::V9_1);
}
