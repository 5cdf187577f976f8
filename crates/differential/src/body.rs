//! Random scripts: Lua that calls the commands of all families, converts every kind of value, and fails in every way.

use std::sync::OnceLock;

use testkit::Random;

use crate::atoms::COMMON;
use crate::family::Family;
use crate::judge::Judge;
use crate::pattern::Pattern;
use crate::{Command, families};

/// Scripts that are known by their digests, too.
pub(crate) const KNOWN: &[&str] = &[
    "return redis.call('GET', KEYS[1])",
    "return {KEYS, ARGV}",
    "return redis.call('INCR', KEYS[1])",
    "#!lua flags=no-writes\nreturn redis.pcall('SET', KEYS[1], 'x')",
    "return redis.call('LPUSH', KEYS[1], unpack(ARGV))",
];

/// Names of functions, in scripts' libraries.
pub(crate) const FUNCTIONS: &[&str] = &["f1", "f2", "f3"];

/// A whole script.
pub(crate) fn script(random: &mut Random) -> Vec<u8> {
    let mut out = String::new();
    if random.one_in(8) {
        out += random.pick(&[
            "#!lua\n",
            "#!lua flags=\n",
            "#!lua flags=no-writes\n",
            "#!lua flags=no-writes,allow-stale\n",
            "#!lua flags=allow-oom\n",
            "#!lua flags=no-cluster,allow-cross-slot-keys\n",
            "#!lua flags=bad\n",
            "#!lua name=x\n",
            "#!nosuch\n",
            "#!lua",
            "#!LUA\n",
        ]);
    }
    out += &body(random);
    if random.one_in(30) {
        out += random.pick(&[" end", " (", " return 1", "\0", " goto x", "\n]]", " = 1"]);
    }
    out.into_bytes()
}

/// A library with one function.
pub(crate) fn library(random: &mut Random) -> Vec<u8> {
    let at = random.below(FUNCTIONS.len());
    let name = FUNCTIONS[at];
    let mut body = body(random);
    // In a library that is being loaded, it may end Redis 8.2.3 and Valkey 9.1.2.
    while body.contains("redis.log") {
        body = self::body(random);
    }
    let engine = if random.one_in(20) { random.pick(&["nosuch", "Lua", ""]) } else { "lua" };
    let title =
        if random.one_in(20) { random.pick(&["", " name=", " name=a-b", " name=l1 x=y"]) } else { "" };
    let title =
        if title.is_empty() && !random.one_in(40) { format!(" name=lib{at}") } else { title.to_owned() };
    let flags = random.pick(&["", "'no-writes'", "'allow-stale', 'no-cluster'", "'bad'", "1"]);
    let call = match random.below(12) {
        0 => "redis.register_function()".to_owned(),
        1 => format!("redis.register_function('{name}')"),
        2 => format!("redis.register_function('a b', function() {body} end)"),
        3 => format!("redis.register_function{{function_name='{name}', callback=1}}"),
        4 => format!("redis.register_function{{function_name='{name}', callback=function() end, more=1}}"),
        5 => format!("{body} redis.register_function('{name}', function() return 1 end)"),
        6 | 7 => format!(
            "redis.register_function{{function_name='{name}', flags={{{flags}}}, description='d',
             callback=function(KEYS, ARGV) {body} end}}"
        ),
        _ => format!("redis.register_function('{name}', function(KEYS, ARGV) {body} end)"),
    };
    format!("#!{engine}{title}\n{call}").into_bytes()
}

/// Statements, and what is returned.
fn body(random: &mut Random) -> String {
    let mut out = String::new();
    for _ in 0..random.below(4) {
        out += &statement(random);
        out += random.pick(&[" ", "\n"]);
    }
    if !random.one_in(10) {
        out += &format!("return {}", value(random, 3));
    }
    out
}

fn statement(random: &mut Random) -> String {
    match random.below(14) {
        0..5 => call(random),
        5 => format!("redis.setresp({})", random.pick(&["2", "3", "3", "3", "4", "'3'"])),
        6 => format!("if {} then {} end", value(random, 1), call(random)),
        7 => format!("for i = 1, {} do {} end", 1 + random.below(3), call(random)),
        8 => format!("local a = {}", value(random, 2)),
        9 => {
            format!("redis.set_repl({})", random.pick(&["redis.REPL_ALL", "redis.REPL_ALL", "3", "9", "4"]))
        }
        // A server of 7.0.15 dies of an error that is a table without a text.
        10 if random.one_in(3) => format!("error({})", scalar(random)),
        10 => format!("do local ok, e = pcall(function() {} end) end", call(random)),
        11 if random.one_in(3) => random
            .pick(&[
                "nosuch = 1",
                "nosuch()",
                "redis.nosuch()",
                "local x = nil + 1",
                "local x = {} .. ''",
                "redis.call = 1",
                "KEYS[1] = 'other'",
                "ARGV = {}",
                "redis.replicate_commands()",
                "redis.breakpoint()",
                "redis.debug('x')",
                "assert(false)",
                "assert(nil, 'text')",
                "local x = #5",
                "local x = KEYS[1].y.z",
            ])
            .to_owned(),
        12 => format!("redis.log({}, 'x')", random.pick(&["redis.LOG_DEBUG", "redis.LOG_NOTICE"])),
        _ => format!("local b = {}", call(random)),
    }
}

/// A call of a command from any family.
fn call(random: &mut Random) -> String {
    let how = random.pick(&["call", "call", "pcall"]);
    let mut args: Vec<String> = Vec::new();
    match random.below(30) {
        0 => args.extend(command(random).into_iter().map(|arg| quoted(&arg)).chain([value(random, 1)])),
        1 => {
            let name = random.pick(&[
                "EVAL",
                "MULTI",
                "SUBSCRIBE",
                "NOSUCH",
                "DEBUG",
                "AUTH",
                "HELLO",
                "REPLICAOF",
                "SHUTDOWN",
                "MONITOR",
                "PING",
                "ECHO",
                "CLIENT",
                "FUNCTION",
                "SCRIPT",
                "BGSAVE",
                "",
                "SYNC",
                "WATCH",
                "RESET",
            ]);
            args.push(quoted(name.as_bytes()));
            args.extend((0..random.below(4)).map(|_| value(random, 0)));
        }
        2 => args.extend((0..random.below(4)).map(|_| value(random, 1))),
        3..6 => {
            args.extend(command(random).into_iter().map(|arg| quoted(&arg)));
            let at = random.below(args.len());
            args[at] = value(random, 0);
        }
        6..9 => args.extend(["'GET'".to_owned(), "KEYS[1]".to_owned()]),
        9 | 10 => args.extend(["'SET'".to_owned(), "KEYS[1]".to_owned(), value(random, 0)]),
        11 => args.extend(["'RPUSH'".to_owned(), "KEYS[2]".to_owned(), "unpack(ARGV)".to_owned()]),
        _ => args.extend(command(random).into_iter().map(|arg| quoted(&arg))),
    }
    format!("redis.{how}({})", args.join(", "))
}

/// A command whose reply is the same on both sides to the byte, wherever it is called from.
fn command(random: &mut Random) -> Command {
    static PATTERNS: OnceLock<Vec<Pattern>> = OnceLock::new();
    let patterns = PATTERNS.get_or_init(|| {
        let of = |family: &&'static Family| {
            let atoms = [family.atoms, COMMON];
            family
                .patterns
                .iter()
                .map(move |(weight, text)| Pattern::new(*weight, text, &atoms))
                .collect::<Vec<_>>()
        };
        // What may differ elsewhere may differ in scripts, too.
        let comparable = |family: &&&'static Family| {
            family.compare_streams && family.compare_encodings && family.name != "scripts"
        };
        families::ALL.iter().filter(comparable).flat_map(of).collect()
    });
    loop {
        let pattern = &patterns[random.below(patterns.len())];
        for command in pattern.make(random) {
            // Nor a number beyond the range of doubles before a SORT: see the common arguments.
            if command.iter().any(|arg| arg.ends_with(b"1e999")) {
                continue;
            }
            let judged = matches!(Judge::of(&command), Judge::Exact | Judge::Blocking);
            let plain = !command[0].starts_with(b"@") && !command.iter().any(|arg| arg.starts_with(b"@dump"));
            if judged && plain && command.iter().map(Vec::len).sum::<usize>() < 1000 {
                return command;
            }
        }
    }
}

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "3",
    "10",
    "3.99",
    "-3.99",
    "1e15",
    "2^53",
    "2^63",
    "-2^63",
    "1e100",
    "0.1",
    "1/3",
    "-0.0",
    "1/0",
    "-1/0",
    "0/0",
    "123456789012",
    "1e-7",
];

/// What has one spelling, on one line.
fn scalar(random: &mut Random) -> String {
    if random.one_in(2) {
        return random.pick(NUMBERS).to_owned();
    }
    loop {
        let text = text(random);
        if !text.contains("\\013") {
            return text;
        }
    }
}

/// An expression.
fn value(random: &mut Random, depth: usize) -> String {
    let deeper = |random: &mut Random| value(random, depth - 1);
    match random.below(if depth == 0 { 8 } else { 34 }) {
        0 => random.pick(&["nil", "true", "false"]).to_owned(),
        1 | 2 => random.pick(NUMBERS).to_owned(),
        3 => format!("KEYS[{}]", random.below(4)),
        4 => format!("ARGV[{}]", random.below(4)),
        5 => random
            .pick(&["KEYS", "ARGV", "#KEYS", "#ARGV", "redis.REDIS_VERSION", "redis.REDIS_VERSION_NUM"])
            .to_owned(),
        6 | 7 => text(random),
        8..11 => {
            let items: Vec<_> = (0..random.below(5)).map(|_| deeper(random)).collect();
            format!("{{{}}}", items.join(", "))
        }
        11 => format!("{{ok = {}}}", deeper(random)),
        12 => format!("{{err = {}}}", deeper(random)),
        13 => format!("{{double = {}}}", deeper(random)),
        14 => format!("{{map = {{[{}] = {}}}}}", text(random), deeper(random)),
        // Lists, for Valkey 9 walks other tables in an order of its own.
        15 => format!("{{map = {}}}", random.pick(&["KEYS", "ARGV", "{1, {2}}", "1", "{}", "{KEYS}"])),
        16 => format!("{{set = {{[{}] = true}}}}", text(random)),
        17 => format!("{{big_number = {}}}", deeper(random)),
        18 => format!("{{verbatim_string = {{format = {}, string = {}}}}}", text(random), deeper(random)),
        19..24 => call(random),
        24 => {
            format!("redis.{}({})", random.pick(&["error_reply", "status_reply", "sha1hex"]), deeper(random))
        }
        25 if random.one_in(2) => format!("tostring({})", scalar(random)),
        25 => format!("{}({})", random.pick(&["type", "tonumber"]), deeper(random)),
        26 => format!(
            "{} {} {}",
            deeper(random),
            random.pick(&["..", "+", "<", "==", "and", "or", "%", "^"]),
            deeper(random)
        ),
        27 => format!("{{pcall(function() return {} end)}}", deeper(random)),
        // Tables with one field: Valkey 9 walks others in an order of its own.
        28 => {
            format!("cjson.encode({{{}, {{[{}] = {{{}}}}}}})", scalar(random), text(random), scalar(random))
        }
        29 => format!(
            "cjson.decode({})",
            random.pick(&["'[1, null, {\"a\": 1.5}]'", "'x'", "ARGV[1]", "'{}'", "'12'"])
        ),
        30 => format!("cmsgpack.unpack(cmsgpack.pack({}))", deeper(random)),
        31 => format!(
            "struct.{}",
            random.pick(&[
                "pack('>I2h', 1, -2)",
                "unpack('<i4', 'abcd')",
                "pack('d', ARGV[1])",
                "size('i8')",
                "unpack('s', ARGV[1])"
            ])
        ),
        32 => format!(
            "bit.{}({}, {})",
            random.pick(&["band", "lshift", "tohex", "rol"]),
            deeper(random),
            deeper(random)
        ),
        _ => format!(
            "redis.acl_check_cmd({})",
            random.pick(&[
                "'GET', 'k'",
                "'nosuch'",
                "'SET'",
                "",
                "'CONFIG', 'GET', 'x'",
                "'CONFIG', 'NOSUCH'"
            ])
        ),
    }
}

fn text(random: &mut Random) -> String {
    quoted(random.pick(&[
        &b"a"[..],
        b"text",
        b"",
        b"10",
        b"3.5",
        b"ERR",
        b"CODE and text",
        b"-CODE x",
        b"two\r\nlines",
        b"\0\xff",
        b"txt",
        b"+OK",
    ]))
}

/// A text as Lua's source has it.
fn quoted(bytes: &[u8]) -> String {
    let mut out = String::from("'");
    for byte in bytes {
        match byte {
            b' '..=b'~' if *byte != b'\'' && *byte != b'\\' => out.push(char::from(*byte)),
            _ => out += &format!("\\{byte:03}"),
        }
    }
    out + "'"
}
