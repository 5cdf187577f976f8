//! Library calls with generated arguments, on real servers and here.
//!
//! A program of Lua makes the values from a seed and calls the libraries; only what it answers is compared. `SEED`
//! and `ROUNDS` choose others.

#![cfg(feature = "vm")]

use std::hash::{BuildHasher as _, Hasher as _};

use lua::testing::{MapCall, Recorder};
use lua::{Engine, Flavour, Options};
use testkit::{Random, Server};

/// Bytes that mean something to one of the decoders, often.
fn bytes(random: &mut Random, alphabet: &[u8]) -> Vec<u8> {
    let len = random.below(24);
    (0..len)
        .map(
            |_| {
                if random.one_in(8) {
                    random.below(256) as u8
                } else {
                    alphabet[random.below(alphabet.len())]
                }
            },
        )
        .collect()
}

/// A value as Lua source.
fn value(random: &mut Random, depth: usize) -> String {
    const NUMBERS: &[&str] = &[
        "0",
        "1",
        "-1",
        "127",
        "128",
        "255",
        "256",
        "-32",
        "-33",
        "-129",
        "65535",
        "65536",
        "4294967296",
        "-2147483649",
        "2^53",
        "-2^63",
        "2^63",
        "2^64",
        "1e15",
        "1e100",
        "0.1",
        "-0.5",
        "1.5",
        "1/3",
        "1e-7",
        "123456.789",
        "1/0",
        "-1/0",
        "0/0",
        "-0.0",
    ];
    match random.below(if depth == 0 { 7 } else { 10 }) {
        0 => "nil".into(),
        1 => "true".into(),
        2 => "cjson.null".into(),
        3..=4 => random.pick(NUMBERS).to_owned(),
        5..=6 => {
            let text = bytes(random, b"ab\"\\/\n\t\0\x7f\x80");
            format!("'{}'", text.iter().map(|b| format!("\\{b:03}")).collect::<String>())
        }
        7 => {
            let items: Vec<_> = (0..random.below(5)).map(|_| value(random, depth - 1)).collect();
            format!("{{{}}}", items.join(","))
        }
        8 => {
            let items: Vec<_> =
                (0..random.below(4)).map(|i| format!("['k{i}']={}", value(random, depth - 1))).collect();
            format!("{{{}}}", items.join(","))
        }
        _ => {
            const KEYS: &[&str] = &["1", "2", "3", "4", "12", "13", "-1", "0", "1.5", "'1'", "true", "2^31"];
            // In one order of insertion, the same traversal.
            let mut items = Vec::new();
            for key in KEYS {
                if random.one_in(4) {
                    items.push(format!("[{key}]={}", value(random, depth - 1)));
                }
            }
            format!("{{{}}}", items.join(","))
        }
    }
}

fn quoted(bytes: &[u8]) -> String {
    format!("'{}'", bytes.iter().map(|b| format!("\\{b:03}")).collect::<String>())
}

/// One call of a library.
fn call(random: &mut Random) -> String {
    const JSON: &[u8] = b"[[]]{}{}::,,\"\"\"0123456789.eE+-truefalsenullinfnaxX\\u00dD8 \n";
    const PACKED: &[u8] = &[
        0x91, 0x92, 0x81, 0x82, 0xa1, 0xa2, 0xc0, 0xc2, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xd0, 0xd1, 0xd2,
        0xd3, 0xd9, 0xda, 0xdc, 0xde, 1, 2, 0x7f, 0xff, 0xe0,
    ];
    const FORMATS: &[u8] = b"bBhHlLTiIfdsxcc0124388<>! !";
    match random.below(9) {
        0..=1 => format!("cjson.decode({})", quoted(&bytes(random, JSON))),
        2 => format!("cjson.encode({})", value(random, 3)),
        3 => format!("cmsgpack.unpack({})", quoted(&bytes(random, PACKED))),
        4 => format!("cmsgpack.pack({})", value(random, 3)),
        5 => format!(
            "struct.unpack({}, {})",
            quoted(&bytes(random, FORMATS)),
            quoted(&bytes(random, b"\0\x01\xff"))
        ),
        6 => {
            let args: Vec<_> = (0..random.below(5)).map(|_| value(random, 0)).collect();
            let comma = if args.is_empty() { "" } else { ", " };
            format!("struct.pack({}{comma}{})", quoted(&bytes(random, FORMATS)), args.join(", "))
        }
        7 => {
            const NAMES: &[&str] = &[
                "tobit", "bnot", "band", "bor", "bxor", "lshift", "rshift", "arshift", "rol", "ror", "bswap",
                "tohex",
            ];
            let args: Vec<_> = (0..random.below(4)).map(|_| value(random, 0)).collect();
            format!("bit.{}({})", random.pick(NAMES), args.join(", "))
        }
        _ => {
            const PATTERN: &[u8] = b"ab.%wads()[]^$*+-?x0123f";
            let name = random.pick(&["find", "match"]);
            format!(
                "string.{name}({}, {})",
                quoted(&bytes(random, b"aabbx01 .")),
                quoted(&bytes(random, PATTERN))
            )
        }
    }
}

/// Shows any value with its exact numbers, tables by sorted keys.
const SHOW: &str = "
local function show(v, depth)
  local kind = type(v)
  if kind == 'number' then
    -- Whether a NaN prints a sign is the business of the machine that made it.
    return v ~= v and 'nan' or string.format('%.17g', v)
  end
  if kind == 'string' then return (v:gsub('[^%w%p ]', function(c) return '\\\\' .. c:byte() end)) end
  if kind ~= 'table' then return tostring(v) end
  if depth > 6 then return '...' end
  local parts = {}
  for k, x in pairs(v) do parts[#parts + 1] = kind .. show(k, depth + 1) .. '=' .. show(x, depth + 1) end
  table.sort(parts)
  return '{' .. table.concat(parts, ',') .. '}'
end
local function all(...)
  local parts = {}
  for i = 1, select('#', ...) do parts[i] = show((select(i, ...)), 0) end
  return table.concat(parts, ';')
end
local lines = {}
local function try(f) lines[#lines + 1] = all(pcall(f)) end
";

#[test]
fn generated_calls_answer_as_on_the_servers() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let random = || std::hash::RandomState::new().build_hasher().finish();
    let is_random = std::env::var("SEED").is_ok_and(|seed| seed == "random");
    let seed = number("SEED").unwrap_or_else(|| if is_random { random() } else { 20_261_125 });
    let rounds = number("ROUNDS").unwrap_or(30);
    println!("SEED={seed}");
    let servers = [
        (Server::R7_0, Flavour::REDIS_7_0),
        (Server::R8_2, Flavour::REDIS_8_2),
        (Server::V9_1, Flavour::VALKEY_9_1),
    ];
    let mut differences = Vec::new();
    for (server, flavour) in servers {
        let running = server.start();
        let mut client = running.client();
        let mut options = Options::default();
        options.flavour = flavour;
        let mut engine = Engine::new(options).expect("an engine");
        let mut random = Random::new(seed);
        for _ in 0..rounds {
            let calls: Vec<String> = (0..100).map(|_| call(&mut random)).collect();
            let tries: String =
                calls.iter().map(|call| format!("try(function() return {call} end)\n")).collect();
            let source = format!("{SHOW}{tries}return lines");
            let theirs = client.call(&["EVAL", &source, "0"]);
            let theirs = theirs.strings();
            let mut out = Recorder::default();
            let ran = engine.eval(source.as_bytes(), &[], &[], &mut MapCall::default(), &mut out);
            assert_eq!(ran, Ok(()), "{source}");
            let ours = lines(out.bytes());
            assert_eq!(theirs.len(), ours.len());
            for ((call, theirs), ours) in calls.iter().zip(&theirs).zip(&ours) {
                if theirs != ours && !(flavour == Flavour::VALKEY_9_1 && differ_by_order(call, theirs, ours))
                {
                    let (theirs, ours) = (theirs.escape_ascii(), ours.escape_ascii());
                    differences.push(format!("{call}\n  {}: {theirs}\n  ours: {ours}", server.version()));
                }
            }
        }
    }
    let shown = differences.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "SEED={seed}: {} differ\n{shown}", differences.len());
}

/// Valkey 9 walks tables in an order that changes from start to start, so another of several faults may come first, and
/// what no `int` holds (2^31) may or may not be the last word on an array's length.
fn differ_by_order(call: &str, theirs: &[u8], ours: &[u8]) -> bool {
    let sorted = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes.sort_unstable();
        bytes
    };
    let both_failed = theirs.starts_with(b"false") && ours.starts_with(b"false");
    call.starts_with("cjson.encode") && both_failed || call.contains("2^31") || sorted(theirs) == sorted(ours)
}

/// The strings of an array in RESP2.
fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    fn header(bytes: &[u8]) -> (usize, &[u8]) {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n").expect("a line");
        let number = std::str::from_utf8(&bytes[1..end]).expect("digits").parse().expect("a number");
        (number, &bytes[end + 2..])
    }
    let (count, mut rest) = header(bytes);
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let (len, text) = header(rest);
        all.push(text[..len].to_vec());
        rest = &text[len + 2..];
    }
    all
}
