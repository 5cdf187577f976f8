//! The same scripts on real servers and here; `redis.call` goes to that same server, replies are compared
//! as bytes.

#![cfg(feature = "vm")]

use lua::testing::Recorder;
use lua::{Call, Engine, Flavour, Options, Refusal, ReplyBuilder, Verdict};
use testkit::{Client, Running, Server};

/// Scripts between lines of dashes. `# resp3` on the first line: the client speaks RESP3.
const CORPORA: [(&str, &str); 5] = [
    ("conversions", include_str!("corpus/conversions.txt")),
    ("errors", include_str!("corpus/errors.txt")),
    ("sandbox", include_str!("corpus/sandbox.txt")),
    ("programs", include_str!("corpus/programs.txt")),
    ("libraries", include_str!("corpus/libraries.txt")),
];

const SERVERS: [(Server, Flavour); 4] = [
    (Server::R7_0, Flavour::REDIS_7_0),
    (Server::R8_2, Flavour::REDIS_8_2),
    (Server::V8_1, Flavour::VALKEY_8_1),
    (Server::V9_1, Flavour::VALKEY_9_1),
];

#[test]
fn conversions_equal_those_of_the_servers() {
    compare("conversions");
}

#[test]
fn error_texts_equal_those_of_the_servers() {
    compare("errors");
}

#[test]
fn the_sandbox_refuses_as_the_servers_do() {
    compare("sandbox");
}

#[test]
fn programs_answer_as_on_the_servers() {
    compare("programs");
}

#[test]
fn the_libraries_answer_as_on_the_servers() {
    compare("libraries");
}

fn compare(name: &str) {
    let corpus = CORPORA.iter().find(|(known, _)| *known == name).expect("a corpus").1;
    let mut differences = Vec::new();
    for (server, flavour) in SERVERS {
        let running = server.start();
        let mut world = World::new(&running, flavour);
        let mut count = 0;
        for script in corpus.split("\n---\n") {
            let script = script.trim_matches('\n');
            // A server whose reply breaks the protocol cannot be compared with.
            if script.starts_with(&format!("# not {}\n", server.version())) {
                continue;
            }
            let script = match script.split_once('\n') {
                Some((first, rest)) if first.starts_with("# not ") => rest,
                _ => script,
            };
            let (resp3, script) = match script.strip_prefix("# resp3\n") {
                Some(rest) => (true, rest),
                None => (false, script),
            };
            count += 1;
            let (theirs, ours) = (world.theirs(script, resp3), world.ours(script, resp3));
            if theirs != ours {
                differences.push(format!("{script}\n  {}: {theirs}\n  ours:   {ours}", server.version()));
            }
        }
        assert!(count >= 20, "only {count} scripts");
    }
    assert!(differences.is_empty(), "{} differ\n{}", differences.len(), differences.join("\n"));
}

const KEYS: [&[u8]; 3] = [b"key:1", b"key:2", b"key:3"];
const ARGS: [&[u8]; 4] = [b"token", b"10", b"3", b"\x00\xff\r\n"];

struct World {
    clients: [Client; 2],
    calls: Connections,
    engine: Engine,
    flavour: Flavour,
}

impl World {
    fn new(server: &Running, flavour: Flavour) -> Self {
        let pair = || {
            let (plain, mut third) = (server.client(), server.client());
            third.call_for_bytes(&["HELLO", "3"]).expect("hello");
            [plain, third]
        };
        let mut options = Options::default();
        options.flavour = flavour;
        let engine = Engine::new(options).expect("an engine");
        Self { clients: pair(), calls: Connections(pair()), engine, flavour }
    }

    fn reset(&mut self) {
        for setup in [
            "FLUSHALL",
            "SET string value",
            "RPUSH list a b c",
            "HSET hash f v",
            "SADD set a",
            "ZADD zset 1.5 m",
            "SET number 41",
            "SCRIPT FLUSH",
        ] {
            assert!(!self.clients[0].line(setup).is_error(), "{setup}");
        }
    }

    fn theirs(&mut self, script: &str, resp3: bool) -> String {
        self.reset();
        let count = KEYS.len().to_string();
        let mut command: Vec<&[u8]> = vec![b"EVAL", script.as_bytes(), count.as_bytes()];
        command.extend(KEYS);
        command.extend(ARGS);
        let bytes = self.clients[usize::from(resp3)].call_for_bytes(&command).expect("an answer");
        bytes.escape_ascii().to_string()
    }

    fn ours(&mut self, script: &str, resp3: bool) -> String {
        self.reset();
        let out = if resp3 { Recorder::resp3() } else { Recorder::default() };
        let mut out = out.flavour(self.flavour);
        match self.engine.eval(script.as_bytes(), &KEYS, &ARGS, &mut self.calls, &mut out) {
            Ok(()) => out.bytes().escape_ascii().to_string(),
            Err(error) => format!("-{}\\r\\n", error.line().escape_ascii()),
        }
    }
}

/// `redis.call` over real connections, one of each protocol.
struct Connections([Client; 2]);

impl Call for Connections {
    fn call(&mut self, args: &[&[u8]], out: &mut ReplyBuilder<'_>) {
        let name = args[0].to_ascii_lowercase();
        if [&b"eval"[..], b"hello", b"subscribe", b"multi", b"auth"].contains(&name.as_slice()) {
            return out.refuse(Refusal::NotAllowed);
        }
        let bytes = self.0[usize::from(out.is_resp3())].call_for_bytes(args).expect("an answer");
        let rest = forward(&bytes, out);
        assert!(rest.is_empty(), "one reply");
    }

    fn may_call(&mut self, args: &[&[u8]]) -> Verdict {
        let info = self.0[0].call(&[&b"COMMAND"[..], b"INFO", args[0]]);
        if info.array()[0].is_null() { Verdict::Unknown } else { Verdict::Yes }
    }
}

/// Writes the first reply of `bytes` to `out`; answers what follows.
fn forward<'a>(bytes: &'a [u8], out: &mut ReplyBuilder<'_>) -> &'a [u8] {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n").expect("a line");
    let (line, mut rest) = (&bytes[1..end], &bytes[end + 2..]);
    let number = || std::str::from_utf8(line).expect("ascii").parse::<i64>().expect("a number");
    match bytes[0] {
        b'+' => out.simple(line),
        b'-' if line.starts_with(b"ERR unknown command") => out.refuse(Refusal::UnknownCommand),
        b'-' if line.starts_with(b"ERR wrong number of arguments") => out.refuse(Refusal::WrongArity),
        b'-' => out.error(line),
        b':' => out.integer(number()),
        b'_' => out.null(),
        b'#' => out.boolean(line == b"t"),
        b',' => out.double(std::str::from_utf8(line).expect("ascii").parse().expect("a double")),
        b'(' => out.big_number(line),
        b'$' | b'*' if line == b"-1" => out.null(),
        mark @ (b'$' | b'=') => {
            let text = &rest[..number() as usize];
            rest = &rest[text.len() + 2..];
            if mark == b'$' { out.bulk(text) } else { out.verbatim(&text[..3], &text[4..]) }
        }
        mark @ (b'*' | b'~' | b'%') => {
            let len = number() as usize;
            match mark {
                b'*' => out.array(len),
                b'~' => out.set(len),
                _ => out.map(len),
            }
            for _ in 0..if mark == b'%' { len * 2 } else { len } {
                rest = forward(rest, out);
            }
        }
        other => panic!("mark {other}"),
    }
    rest
}
