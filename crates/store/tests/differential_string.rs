//! Commands on strings, bits, HyperLogLogs, expiry and keys of any type beside a real Redis 7.0.15.

mod support;

use rdb::Version;
use store::Recorded;
use support::{Command, Pair, Random, for_seeds, words};
use testkit::Server;

const STEPS: usize = 4000;
/// The smallest that servers take: strings at the limit stay cheap.
const MAX_BULK: i64 = 1 << 20;

fn key(random: &mut Random) -> &'static str {
    random.pick(&["a", "a", "b", "b", "c", "d", "list", "none"])
}

fn value(random: &mut Random) -> Vec<u8> {
    match random.below(16) {
        0..5 => random.within(-200, 200).to_string().into_bytes(),
        5..8 => random.pick(&["1.5", "-0.25", "3.0e3", "0", "10", "1e-5", "0x10", "1.", ".5"]).into(),
        8 => random
            .pick(&[
                "9223372036854775807",
                "-9223372036854775808",
                "9223372036854775808",
                "007",
                " 1",
                "1 ",
                "+1",
                "-0",
            ])
            .into(),
        9 => random.pick(&["nan", "inf", "-inf", "1e4000", "1e18", "123456789012345678901234567890"]).into(),
        10 => vec![b'x'; 40 + random.below(10)],
        11 => Vec::new(),
        12 => (0..random.below(70)).map(|_| random.below(256) as u8).collect(),
        _ => (0..random.below(12)).map(|_| b'a' + random.below(4) as u8).collect(),
    }
}

fn integer(random: &mut Random) -> Vec<u8> {
    match random.below(24) {
        0 => random
            .pick(&[
                "x",
                "",
                "1.0",
                "9223372036854775807",
                "-9223372036854775808",
                "9223372036854775808",
                "+3",
            ])
            .into(),
        1..4 => random.within(-100, 100).to_string().into_bytes(),
        _ => random.within(-14, 14).to_string().into_bytes(),
    }
}

fn bit(random: &mut Random) -> Vec<u8> {
    match random.below(30) {
        0 => random.pick(&["-1", "x", "", "8388607", "8388608", "9223372036854775807", "#1"]).into(),
        _ => random.below(120).to_string().into_bytes(),
    }
}

/// Absolute times: both sides agree on them whatever their clocks do meanwhile.
fn time(random: &mut Random, ms: bool) -> Vec<u8> {
    let far = if ms {
        ["99999999999999", "88888888888888", "77777777777499"]
    } else {
        ["99999999999", "88888888888", "7777777777"]
    };
    match random.below(20) {
        0 => random.pick(&["0", "-1", "x", "", "9223372036854775807", "-9223372036854775808", "1.5"]).into(),
        1 => random.pick(&["1", "1000"]).into(),
        _ => random.pick(&far).into(),
    }
}

fn any_of(random: &mut Random, c: &mut Command, n: usize, options: &[&str]) {
    (0..random.below(n + 1)).for_each(|_| c.extend(words(random.pick(options))));
}

fn field_kind(random: &mut Random) -> Vec<u8> {
    if random.one_in(40) {
        return random.pick(&["u64", "i65", "u0", "x8", "i", "", "i8x", "I8", "u-1"]).into();
    }
    random
        .pick(&[
            "u1", "u2", "u5", "u8", "u16", "u32", "u63", "i1", "i2", "i5", "i8", "i16", "i33", "i64", "i63",
        ])
        .into()
}

fn field_number(random: &mut Random) -> Vec<u8> {
    match random.below(12) {
        0 => random
            .pick(&["9223372036854775807", "-9223372036854775808", "4294967296", "-2147483649", "x", ""])
            .into(),
        1..4 => random.within(-40000, 40000).to_string().into_bytes(),
        _ => random.within(-40, 300).to_string().into_bytes(),
    }
}

fn fields(random: &mut Random, c: &mut Command) {
    for _ in 0..random.below(4) {
        if random.one_in(3) {
            c.extend(words(random.pick(&[
                "OVERFLOW WRAP",
                "OVERFLOW SAT",
                "OVERFLOW FAIL",
                "overflow sat",
                "OVERFLOW FAIL",
                "OVERFLOW BAD",
            ])));
        }
        let name = random.pick(&["GET", "SET", "INCRBY", "get", "INCRBY"]);
        c.push(name.into());
        c.push(field_kind(random));
        c.push(match random.below(12) {
            0 => bit(random),
            1..4 => format!("#{}", random.below(6)).into_bytes(),
            _ => random.below(100).to_string().into_bytes(),
        });
        if !name.eq_ignore_ascii_case("GET") {
            c.push(field_number(random));
        }
    }
    if random.one_in(40) {
        c.extend(words(random.pick(&["GET", "GET u8", "SET u8 0", "OVERFLOW", "BAD u8 0"])));
    }
}

const STRINGS: [&str; 26] = [
    "SET", "SET", "SET", "SET", "GET", "GETSET", "GETDEL", "GETEX", "GETEX", "SETNX", "SETEX", "PSETEX",
    "APPEND", "APPEND", "INCR", "DECR", "INCRBY", "DECRBY", "STRLEN", "SETRANGE", "SETRANGE", "GETRANGE",
    "SUBSTR", "MGET", "MSET", "MSETNX",
];

fn string_command(random: &mut Random) -> Command {
    let name = random.pick(&STRINGS);
    let mut c: Command = vec![name.as_bytes().to_vec()];
    match name {
        "SET" => {
            c.extend([key(random).into(), value(random)]);
            for _ in 0..random.below(4) {
                match random.below(10) {
                    0 => c.extend([b"EXAT".to_vec(), time(random, false)]),
                    1 | 2 => c.extend([b"pxat".to_vec(), time(random, true)]),
                    3 => c.extend(words(random.pick(&[
                        "EX 0",
                        "PX -5",
                        "EX x",
                        "EX",
                        "PX 9223372036854775807",
                    ]))),
                    4 if random.one_in(3) => {
                        c.extend(words(random.pick(&["PERSIST", "BAD", "EXAT 5 EXAT 5"])))
                    }
                    _ => c.push(random.pick(&["NX", "XX", "GET", "KEEPTTL", "get", "nx"]).into()),
                }
            }
        }
        "GETEX" => {
            c.push(key(random).into());
            match random.below(8) {
                0 => {}
                1 | 2 => c.push(b"PERSIST".to_vec()),
                3 => c.extend([b"EXAT".to_vec(), time(random, false)]),
                4 | 5 => c.extend([b"PXAT".to_vec(), time(random, true)]),
                6 => c.extend(words(random.pick(&[
                    "EX 0",
                    "PX -5",
                    "EX x",
                    "EX",
                    "PX 9223372036854775807",
                    "KEEPTTL",
                    "NX",
                    "GET",
                ]))),
                _ => c.extend(words(random.pick(&[
                    "PERSIST PERSIST",
                    "PERSIST EXAT 5",
                    "PXAT 5 PERSIST",
                    "EXAT 5 PXAT 5",
                ]))),
            }
        }
        // Good times are relative here: another test has them.
        "SETEX" | "PSETEX" => {
            let bad = random.pick(&["0", "-1", "x", "", "9223372036854775807"]);
            c.extend([key(random).into(), bad.into(), value(random)]);
        }
        "GETSET" | "SETNX" | "APPEND" => c.extend([key(random).into(), value(random)]),
        "INCRBY" | "DECRBY" => {
            c.push(key(random).into());
            c.push(if random.one_in(5) { value(random) } else { integer(random) });
        }
        "SETRANGE" => {
            let at = match random.below(30) {
                0 => random.pick(&["1048576", "1048575", "-1", "x", "9223372036854775807"]).into(),
                _ => random.below(20).to_string().into_bytes(),
            };
            c.extend([key(random).into(), at, value(random)]);
        }
        "GETRANGE" | "SUBSTR" => c.extend([key(random).into(), integer(random), integer(random)]),
        "MGET" => (0..1 + random.below(4)).for_each(|_| c.push(key(random).into())),
        "MSET" | "MSETNX" => {
            for _ in 0..1 + random.below(3) {
                // A list would be overwritten, and seldom come back.
                c.extend([random.pick(&["a", "b", "c", "d", "none2"]).into(), value(random)]);
            }
            if random.one_in(20) {
                c.push(b"odd".to_vec());
            }
        }
        _ => c.push(key(random).into()),
    }
    c
}

fn bit_command(random: &mut Random) -> Command {
    let name = random.pick(&[
        "SETBIT",
        "SETBIT",
        "SETBIT",
        "GETBIT",
        "BITCOUNT",
        "BITCOUNT",
        "BITPOS",
        "BITPOS",
        "BITOP",
        "BITFIELD",
        "BITFIELD",
        "BITFIELD",
        "BITFIELD_RO",
    ]);
    let mut c: Command = vec![name.as_bytes().to_vec()];
    match name {
        "SETBIT" => {
            let on = random.pick(&["0", "1", "1", "0", "1", "2", "x"]);
            c.extend([key(random).into(), bit(random), on.into()]);
        }
        "GETBIT" => c.extend([key(random).into(), bit(random)]),
        "BITCOUNT" => {
            c.push(key(random).into());
            if !random.one_in(4) {
                c.extend([integer(random), integer(random)]);
                c.extend(words(random.pick(&["", "", "BIT", "BYTE", "bit", "BAD", "BIT x"])));
            } else if random.one_in(8) {
                c.push(integer(random));
            }
        }
        "BITPOS" => {
            let wanted = random.pick(&["0", "1", "0", "1", "0", "1", "2", "x", "-1"]);
            c.extend([key(random).into(), wanted.into()]);
            (0..random.below(3)).for_each(|_| c.push(integer(random)));
            if c.len() == 5 {
                c.extend(words(random.pick(&["", "", "BIT", "BYTE", "bit", "BAD", "BIT x"])));
            }
        }
        "BITOP" => {
            c.push(random.pick(&["AND", "OR", "XOR", "NOT", "and", "BAD"]).into());
            c.push(random.pick(&["a", "b", "c", "none2"]).into());
            (0..1 + random.below(3)).for_each(|_| c.push(key(random).into()));
        }
        _ => {
            c.push(key(random).into());
            fields(random, &mut c);
        }
    }
    c
}

fn expiry_command(random: &mut Random) -> Command {
    let name = random.pick(&[
        "EXPIREAT",
        "PEXPIREAT",
        "PEXPIREAT",
        "PERSIST",
        "TTL",
        "PTTL",
        "EXPIRETIME",
        "PEXPIRETIME",
        "EXPIRE",
        "PEXPIRE",
    ]);
    let mut c: Command = vec![name.as_bytes().to_vec(), key(random).into()];
    match name {
        "EXPIREAT" | "PEXPIREAT" => {
            c.push(time(random, name == "PEXPIREAT"));
            any_of(random, &mut c, 2, &["NX", "XX", "GT", "LT", "lt", "gt", "BAD"]);
        }
        "EXPIRE" | "PEXPIRE" => {
            c.push(
                random
                    .pick(&[
                        "0",
                        "-1",
                        "x",
                        "9223372036854775807",
                        "-9223372036854775808",
                        "-9223372036854775",
                    ])
                    .into(),
            );
            any_of(random, &mut c, 1, &["NX", "XX", "GT", "LT"]);
        }
        // Seconds left can change between the two askings where a deadline is near; these are years away.
        "TTL" | "PTTL" => c[0] = b"EXISTS".to_vec(),
        _ => {}
    }
    c
}

fn generic_command(random: &mut Random) -> Command {
    let name = random.pick(&[
        "DEL", "UNLINK", "EXISTS", "TOUCH", "TYPE", "RENAME", "RENAME", "RENAMENX", "COPY", "COPY", "MOVE",
        "SWAPDB", "EXISTS", "KEYS", "OBJECT", "OBJECT", "SCAN", "RPUSH", "RPUSH",
    ]);
    let mut c: Command = vec![name.as_bytes().to_vec()];
    match name {
        "DEL" | "UNLINK" | "EXISTS" | "TOUCH" => {
            (0..1 + random.below(3)).for_each(|_| c.push(key(random).into()))
        }
        "RENAME" | "RENAMENX" => c.extend([key(random).into(), key(random).into()]),
        "COPY" => {
            c.extend([key(random).into(), key(random).into()]);
            any_of(
                random,
                &mut c,
                2,
                &["REPLACE", "REPLACE", "DB 0", "DB 1", "DB 1", "DB x", "DB 16", "DB -1", "DB", "BAD"],
            );
        }
        "MOVE" => {
            c.push(key(random).into());
            c.push(random.pick(&["1", "1", "1", "0", "16", "-1", "x", ""]).into());
        }
        "SWAPDB" => {
            c.push(random.pick(&["0", "0", "1", "x", "16", "-1"]).into());
            c.push(random.pick(&["1", "1", "0", "x", "16", "-1"]).into());
        }
        "KEYS" => c.push(random.pick(&["*", "a*", "?", "[a-b]", "[^a]*", "l\\ist", "", "n*e*"]).into()),
        "OBJECT" => {
            let sub = random.pick(&["ENCODING", "ENCODING", "ENCODING", "REFCOUNT", "HELP", "BAD", "FREQ"]);
            c.push(sub.into());
            if sub != "HELP" {
                let key = if sub == "REFCOUNT" { "nowhere" } else { key(random) };
                c.push(key.into());
            }
        }
        "SCAN" => {
            let bad = [
                "x",
                "0 COUNT 0",
                "0 COUNT x",
                "0 MATCH",
                "0 COUNT 5 BAD y",
                "0 TYPE",
                "0 COUNT 1000 MATCH z*",
                "0 COUNT 1000 TYPE zset",
                "0 COUNT 1000 TYPE nosuch",
            ];
            c.extend(words(random.pick(&bad)));
        }
        "RPUSH" => c.extend(words("list x y")),
        _ => c.push(key(random).into()),
    }
    c
}

fn settings() -> [(&'static str, i64); 1] {
    [("proto-max-bulk-len", MAX_BULK)]
}

fn walk(name: &str, seeds: &[u64], step: fn(&mut Random) -> Command) {
    let mut pair = Pair::start(Server::R7_0);
    for_seeds(seeds, |seed, mut random| {
        pair.reset(&format!("{name}, seed {seed}"), seed % 2 == 0, &settings());
        for _ in 0..STEPS {
            if random.one_in(60) {
                pair.check(&words("RPUSH list x"));
            }
            let mut command = step(&mut random);
            if random.one_in(150) {
                command.push(b"extra".to_vec());
            }
            pair.check(&command);
            // Bits that no reply tells show at once.
            if name == "bits" {
                pair.check(&words("MGET a b c d none none2"));
            }
        }
        pair.check_contents();
        pair.check(&words("SWAPDB 0 1"));
        pair.check_contents();
        pair.check_saved(Server::R7_0, Version::REDIS_10);
    });
}

#[test]
fn strings_answer_and_hold_what_a_real_server_does() {
    walk("strings", &[1, 2, 3, 4], |random| match random.below(12) {
        0 => expiry_command(random),
        1 => vec![b"OBJECT".to_vec(), b"ENCODING".to_vec(), key(random).into()],
        _ => string_command(random),
    });
}

#[test]
fn bits_answer_and_hold_what_a_real_server_does() {
    walk("bits", &[1, 2, 3, 4], |random| match random.below(12) {
        0 => string_command(random),
        1 => generic_command(random),
        _ => bit_command(random),
    });
}

#[test]
fn keys_and_their_expiry_answer_and_hold_what_a_real_server_does() {
    walk("keys", &[1, 2, 3, 4], |random| match random.below(10) {
        0..2 => string_command(random),
        2..5 => expiry_command(random),
        _ => generic_command(random),
    });
}

#[test]
fn decimals_add_up_to_the_same_text() {
    let mut pair = Pair::start(Server::R7_0);
    for_seeds(&[1, 2, 3], |seed, mut random| {
        pair.reset(&format!("decimals, seed {seed}"), seed % 2 == 0, &[]);
        for _ in 0..STEPS {
            let number = |random: &mut Random| match random.below(8) {
                0 => value(random),
                1 => format!("{}e{}", random.within(-9999, 9999), random.within(-30, 30)).into_bytes(),
                2 => format!("{}e{}", random.next(), random.within(-60, 20)).into_bytes(),
                3 => format!("{}.{}", random.next(), random.next()).into_bytes(),
                4 => random
                    .pick(&[
                        "1e4931",
                        "-1e4931",
                        "1.18e4932",
                        "1.19e4932",
                        "3e-4951",
                        "0x1.8p3",
                        "1e-4940",
                        "0.1",
                        "1e17",
                        "9007199254740993",
                    ])
                    .into(),
                _ => format!(
                    "{}.{:0width$}",
                    random.within(-300, 300),
                    random.below(1000),
                    width = 1 + random.below(5)
                )
                .into_bytes(),
            };
            if random.one_in(3) {
                let first = number(&mut random);
                pair.check(&vec![b"SET".to_vec(), b"f".to_vec(), first.clone()]);
                pair.check(&vec![b"HSET".to_vec(), b"h".to_vec(), b"f".to_vec(), first]);
            }
            let by = number(&mut random);
            pair.check(&vec![b"INCRBYFLOAT".to_vec(), b"f".to_vec(), by.clone()]);
            pair.check(&vec![b"HINCRBYFLOAT".to_vec(), b"h".to_vec(), b"f".to_vec(), by]);
        }
        pair.check_contents();
    });
}

#[test]
fn common_subsequences_are_those_of_the_real_server() {
    let mut pair = Pair::start(Server::R7_0);
    for_seeds(&[1, 2, 3], |seed, mut random| {
        pair.reset(&format!("lcs, seed {seed}"), seed % 2 == 0, &settings());
        pair.check(&words("RPUSH list x"));
        for _ in 0..STEPS / 4 {
            for key in ["a", "b"] {
                let length = if random.one_in(40) { 700 } else { 25 };
                let text = (0..random.below(length)).map(|_| b'a' + random.below(4) as u8).collect();
                pair.check(&vec![b"SET".to_vec(), key.into(), text]);
            }
            for _ in 0..4 {
                let mut c = words("LCS");
                c.extend([key(&mut random).into(), key(&mut random).into()]);
                any_of(
                    &mut random,
                    &mut c,
                    3,
                    &[
                        "LEN",
                        "IDX",
                        "IDX",
                        "MINMATCHLEN 2",
                        "MINMATCHLEN 0",
                        "WITHMATCHLEN",
                        "MINMATCHLEN x",
                        "MINMATCHLEN",
                        "MINMATCHLEN -3",
                        "BAD",
                    ],
                );
                pair.check(&c);
            }
        }
    });
}

/// Times from now on: ours must be exact by our clock, theirs between the askings before and after.
#[test]
fn relative_times_count_from_the_clock() {
    let mut pair = Pair::start(Server::R7_0);
    pair.reset("relative", false, &[]);
    for (line, ttl) in [
        ("SET k v EX 5000", 5_000_000),
        ("SET k v PX 5000001", 5_000_001),
        ("SETEX k 6000 v", 6_000_000),
        ("PSETEX k 6000001 v", 6_000_001),
        ("GETEX k EX 7000", 7_000_000),
        ("GETEX k PX 7000001", 7_000_001),
        ("EXPIRE k 8000", 8_000_000),
        ("PEXPIRE k 8000001", 8_000_001),
        ("EXPIRE k 9000 GT", 9_000_000),
        ("PEXPIRE k 4000001 LT", 4_000_001),
        ("EXPIRE k 4001 XX", 4_001_000),
    ] {
        let before = pair.tick();
        pair.check(&words(line));
        let (ours, theirs) = pair.both(&words("PEXPIRETIME k"));
        assert_eq!(ours, Recorded::Integer(before + ttl), "{line}");
        pair.check_at_follower(&words("PEXPIRETIME k"));
        let after = pair.tick();
        let Recorded::Integer(theirs) = theirs else { panic!("{line}: {theirs:?}") };
        assert!((before + ttl..=after + ttl).contains(&theirs), "{line}: {theirs}");
    }
}

#[test]
fn seconds_left_are_rounded_as_the_real_server_does() {
    let mut pair = Pair::start(Server::R7_0);
    pair.reset("rounding", false, &[]);
    pair.check(&words("SET k v"));
    for ms in [0, 1, 499, 500, 501, 999] {
        let at = 99_999_999_000_i64 * 1000 + ms;
        pair.check(&words(&format!("PEXPIREAT k {at}")));
        pair.check(&words("EXPIRETIME k"));
        pair.check(&words("PEXPIRETIME k"));
        // What is left depends on the moment: ours by our clock, theirs by the askings before and after.
        let before = pair.tick();
        let (ours, theirs) = pair.both(&words("TTL k"));
        let after = pair.tick();
        let left = |now: i64| (at - now + 500) / 1000;
        assert_eq!(ours, Recorded::Integer(left(before)));
        let Recorded::Integer(theirs) = theirs else { panic!("{theirs:?}") };
        assert!((left(after)..=left(before)).contains(&theirs), "{theirs}");
    }
}

#[test]
fn keys_are_walked_whole() {
    let mut pair = Pair::start(Server::R7_0);
    pair.reset("scan", false, &[]);
    for n in 0..3000 {
        pair.check(&words(&format!("SET key:{n} {n}")));
    }
    for count in [1, 10, 100, 10_000] {
        pair.check_scan("SCAN", "", count);
    }
    for n in 0..2990 {
        pair.check(&words(&format!("UNLINK key:{n}")));
    }
    pair.check_scan("SCAN", "", 10);
}

fn sketch(random: &mut Random) -> &'static str {
    random.pick(&["p1", "p2", "p3", "p4", "p5", "list", "text", "none"])
}

#[test]
fn sketches_have_the_same_bytes_as_the_real_server_s() {
    let mut pair = Pair::start(Server::R7_0);
    for_seeds(&[1, 2, 3, 4], |seed, mut random| {
        let limit = [3000, 100, 0, 500][(seed % 4) as usize];
        pair.reset(&format!("sketches, seed {seed}"), seed % 2 == 0, &[("hll-sparse-max-bytes", limit)]);
        for line in ["RPUSH list x", "SET text HYLL-but-not-really", "SET short x"] {
            pair.check(&words(line));
        }
        let universe = random.pick(&[50, 1000, 100_000]);
        for _ in 0..STEPS / 2 {
            let name = random
                .pick(&["PFADD", "PFADD", "PFADD", "PFADD", "PFCOUNT", "PFCOUNT", "PFMERGE", "DEL", "GET"]);
            let mut c = words(name);
            c.push(sketch(&mut random).into());
            match name {
                "PFADD" => {
                    let n = random.pick(&[0, 1, 1, 2, 5, 30]);
                    (0..n).for_each(|_| c.push(random.below(universe).to_string().into_bytes()));
                }
                "PFCOUNT" | "PFMERGE" => {
                    (0..random.below(3)).for_each(|_| c.push(sketch(&mut random).into()))
                }
                "DEL" if !random.one_in(6) || matches!(&c[1][..], b"list" | b"text") => {
                    c = words("EXISTS p1")
                }
                _ => {}
            }
            pair.check(&c);
            if c.len() > 1 && !matches!(&c[1][..], b"list") {
                pair.check(&vec![b"GET".to_vec(), c[1].clone()]);
            }
        }
        pair.check_contents();
        pair.check_saved(Server::R7_0, Version::REDIS_10);
    });
}

fn sort_command(random: &mut Random) -> Command {
    let name = random.pick(&["SORT", "SORT", "SORT", "SORT_RO"]);
    let mut c = words(name);
    c.push(random.pick(&["list", "list2", "set", "zset", "a", "none", "out"]).into());
    for _ in 0..random.below(5) {
        c.extend(words(random.pick(&[
            "ASC",
            "DESC",
            "ALPHA",
            "ALPHA",
            "desc",
            "BY w_*",
            "BY w_*",
            "BY nosort",
            "BY h_*->n",
            "GET #",
            "GET w_*",
            "GET h_*->n",
            "GET h_*->",
            "GET nostar",
            "GET list*",
            "STORE out",
            "STORE out",
            "STORE list2",
            "BAD",
            "GET",
            "BY",
            "LIMIT 0",
            "LIMIT x 1",
        ])));
    }
    if random.one_in(2) {
        let (start, count) = (random.within(-2, 8), random.within(-2, 8));
        c.extend(words(&format!("LIMIT {start} {count}")));
    }
    // The order of a set that nothing sorts is nobody's promise.
    if c[1] == b"set" && c.windows(2).any(|two| two[0].eq_ignore_ascii_case(b"BY") && !two[1].contains(&b'*'))
    {
        c[1] = b"zset".to_vec();
    }
    // Equal texts that lead the order leave it open which come first.
    let has = |c: &Command, word: &[u8]| c.iter().any(|w| w.eq_ignore_ascii_case(word));
    if has(&c, b"ALPHA") && has(&c, b"BY") {
        c.retain(|word| !word.eq_ignore_ascii_case(b"ALPHA"));
    }
    c
}

#[test]
fn sorting_answers_and_stores_what_a_real_server_does() {
    let mut pair = Pair::start(Server::R7_0);
    for_seeds(&[1, 2, 3, 4], |seed, mut random| {
        pair.reset(&format!("sort, seed {seed}"), seed % 2 == 0, &[("set-max-listpack-entries", 0)]);
        for _ in 0..STEPS / 2 {
            if random.one_in(4) {
                let n = random.within(-5, 12);
                let weight = random.pick(&["1", "-3", "2.5", "0", "100", "1e3"]);
                let line = match random.below(7) {
                    0 => format!("RPUSH list {n}"),
                    1 => format!("RPUSH list2 {n} {weight}"),
                    2 => format!("SADD set {n}"),
                    3 => format!("ZADD zset {weight} {n}"),
                    4 => format!("SET w_{n} {weight}"),
                    5 => format!("HSET h_{n} n {weight}"),
                    _ => random
                        .pick(&[
                            "DEL list",
                            "DEL list2",
                            "RPUSH list word",
                            "SADD set word",
                            "SET a b",
                            "SET w_1 x",
                            "SET w_1 3",
                        ])
                        .to_owned(),
                };
                pair.check(&words(&line));
            }
            pair.check(&sort_command(&mut random));
        }
        pair.check_contents();
    });
}
