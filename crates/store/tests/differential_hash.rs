//! Hash commands beside a real Redis 7.0.15.

mod support;

use rdb::Version;
use support::{Command, Pair, Random, for_seeds, strings, words};
use testkit::Server;

const STEPS: usize = 4000;

fn key(random: &mut Random) -> &'static str {
    random.pick(&["h1", "h2", "h3", "h4", "string", "list", "none"])
}

fn field(random: &mut Random) -> Vec<u8> {
    match random.below(12) {
        0 => random.within(-3, 3).to_string().into_bytes(),
        1 => vec![b'f'; 70],
        2 => Vec::new(),
        _ => format!("field{}", random.below(14)).into_bytes(),
    }
}

fn value(random: &mut Random) -> Vec<u8> {
    match random.below(16) {
        0..5 => random.within(-50, 50).to_string().into_bytes(),
        5 => (random.next().cast_signed() >> random.below(64)).to_string().into_bytes(),
        6 => vec![b'v'; 60 + random.below(10)],
        7 => format!("{}.5", random.within(-9, 9)).into_bytes(),
        8 => random.pick(&["9223372036854775807", "-9223372036854775808", "007", " 1", "1e3", "inf"]).into(),
        9 => vec![b'x'; 20_000],
        10 => Vec::new(),
        _ => format!("value{}", random.below(100)).into_bytes(),
    }
}

fn command(random: &mut Random) -> Command {
    let mut c = Vec::new();
    let name = random.pick(&[
        "HSET",
        "HSET",
        "HSET",
        "HSET",
        "HMSET",
        "HSETNX",
        "HGET",
        "HMGET",
        "HGETALL",
        "HKEYS",
        "HVALS",
        "HLEN",
        "HSTRLEN",
        "HEXISTS",
        "HDEL",
        "HDEL",
        "HINCRBY",
        "HINCRBYFLOAT",
        "HINCRBYFLOAT",
        "FLOAT",
        "OBJECT",
        "DEL",
        "HSCAN",
        "PEXPIREAT",
    ]);
    c.push(name.as_bytes().to_vec());
    if name == "OBJECT" {
        c.push(b"ENCODING".to_vec());
    }
    c.push(key(random).into());
    match name {
        "HSET" | "HMSET" => {
            for _ in 0..1 + random.below(4) {
                c.push(field(random));
                c.push(value(random));
            }
            if random.one_in(40) {
                c.pop();
            }
        }
        "HSETNX" => c.extend([field(random), value(random)]),
        "HGET" | "HSTRLEN" | "HEXISTS" => c.push(field(random)),
        "HMGET" | "HDEL" => (0..1 + random.below(5)).for_each(|_| c.push(field(random))),
        "HINCRBY" => {
            let by =
                random.pick(&["1", "-1", "5", "9223372036854775807", "-9223372036854775808", "x", "1.0", ""]);
            c.extend([field(random), by.into()]);
        }
        "HINCRBYFLOAT" => {
            let by = random.pick(&["1", "-0.5", "2.25", "1e2", "x", "", "nan", " 1", "inf", "-inf"]);
            c.extend([format!("float{}", random.below(4)).into_bytes(), by.into()]);
        }
        "FLOAT" => {
            // Sums of these are exact in a double; the real server has 64 bits of mantissa.
            let value = random.pick(&["1.5", "-3", "1e3", " 1", "abc", "", "0.0625", "inf", "007"]);
            c[0] = b"HSET".to_vec();
            c.extend([format!("float{}", random.below(4)).into_bytes(), value.into()]);
        }
        "HSCAN" => {
            let rest =
                random.pick(&["x", "0 COUNT 0", "0 COUNT x", "0 MATCH", "0 COUNT 5 BAD y", "0 TYPE hash"]);
            c.extend(words(rest));
        }
        "PEXPIREAT" => c.push(random.pick(&["99999999999999", "99999999999999", "1"]).into()),
        _ => {}
    }
    if random.one_in(100) && !c[0].ends_with(b"SCAN") {
        c.push(b"extra".to_vec());
    }
    c
}

/// HRANDFIELD: the shape as theirs, the fields among those that are there.
fn random_fields(pair: &mut Pair, random: &mut Random) {
    let line = random.pick(&[
        "",
        "0",
        "1",
        "3",
        "100",
        "-1",
        "-5",
        "x",
        "2 WITHVALUES",
        "100 WITHVALUES",
        "-4 WITHVALUES",
        "2 BAD",
        "2 WITHVALUES more",
        "-9223372036854775808",
        "9223372036854775807 WITHVALUES",
        "4611686018427387903 WITHVALUES",
    ]);
    let key = key(random);
    let mut found = strings(&pair.check_shape(&words(&format!("HRANDFIELD {key} {line}"))));
    if line.contains("WITHVALUES") {
        found = found.iter().step_by(2).cloned().collect();
    }
    let distinct: std::collections::BTreeSet<_> = found.iter().collect();
    assert!(line.starts_with('-') || distinct.len() == found.len(), "{found:?}");
    for field in found {
        let there = pair.check(&vec![b"HEXISTS".to_vec(), key.into(), field]);
        assert_eq!(there, store::Recorded::Integer(1));
    }
}

#[test]
fn hashes_answer_and_hold_what_a_real_server_does() {
    let mut pair = Pair::start(Server::R7_0);
    for_seeds(&[1, 2, 3, 4], |seed, mut random| {
        let settings: [(&str, i64); 2] = match seed % 4 {
            0 => [("hash-max-listpack-entries", 512), ("hash-max-listpack-value", 64)],
            1 => [("hash-max-listpack-entries", 8), ("hash-max-listpack-value", 64)],
            2 => [("hash-max-listpack-entries", 0), ("hash-max-listpack-value", 64)],
            _ => [("hash-max-listpack-entries", 16), ("hash-max-listpack-value", 8)],
        };
        pair.reset(&format!("seed {seed}"), seed % 2 == 0, &settings);
        pair.check(&words("SET string value"));
        pair.check(&words("RPUSH list a b"));
        for _ in 0..STEPS {
            if random.one_in(25) {
                random_fields(&mut pair, &mut random);
            } else if random.one_in(40) {
                let count = 1 + random.below(20);
                pair.check_scan("HSCAN", key(&mut random), count);
            } else {
                pair.check(&command(&mut random));
            }
        }
        pair.check_contents();
        pair.check_saved(Server::R7_0, Version::REDIS_10);
    });
}

fn expiring_command(random: &mut Random, now: i64) -> Command {
    let name = random.pick(&[
        "HSET",
        "HSET",
        "HSET",
        "HDEL",
        "HGET",
        "HGETALL",
        "HMGET",
        "HLEN",
        "HEXISTS",
        "HINCRBY",
        "HINCRBYFLOAT",
        "HSETNX",
        "HEXPIRE",
        "HPEXPIRE",
        "HEXPIREAT",
        "HPEXPIREAT",
        "HPEXPIREAT",
        "HPERSIST",
        "HPERSIST",
        "HEXPIRETIME",
        "HPEXPIRETIME",
        "HPEXPIRETIME",
        "HSETEX",
        "HSETEX",
        "HSETEX",
        "HGETEX",
        "HGETEX",
        "HGETDEL",
        "HTTL",
        "OBJECT",
    ]);
    let mut c = words(if name == "OBJECT" { "OBJECT ENCODING" } else { name });
    c.push(key(random).into());
    let short = |random: &mut Random| format!("f{}", random.below(12)).into_bytes();
    let odd = |random: &mut Random| {
        random.pick(&["x", "-1", "70368744177664", "9223372036854775807", "0"]).to_owned()
    };
    // Far in the future, or long past; a time in between would be met differently.
    let time = |random: &mut Random, seconds: bool| {
        let ms = if random.one_in(6) { 1000 } else { now + 3_600_000 * random.within(1, 9) };
        if random.one_in(20) {
            odd(random)
        } else if seconds {
            (ms / 1000).to_string()
        } else {
            ms.to_string()
        }
    };
    match name {
        "HSET" => (0..1 + random.below(3)).for_each(|_| c.extend([short(random), value(random)])),
        "HSETNX" => c.extend([short(random), value(random)]),
        "HINCRBY" => c.extend([short(random), b"3".to_vec()]),
        "HINCRBYFLOAT" => c.extend([format!("float{}", random.below(3)).into_bytes(), b"0.5".to_vec()]),
        "HGET" | "HEXISTS" => c.push(short(random)),
        "HDEL" | "HMGET" => (0..1 + random.below(3)).for_each(|_| c.push(short(random))),
        "HGETALL" | "HLEN" | "OBJECT" => {}
        _ => {
            match name {
                "HEXPIREAT" => c.push(time(random, true).into()),
                "HPEXPIREAT" => c.push(time(random, false).into()),
                // What these set differs by the milliseconds between the two servers: only their refusals are compared.
                "HEXPIRE" | "HPEXPIRE" => {
                    c.push(random.pick(&["0", "x", "-1", "9223372036854775807"]).into())
                }
                "HGETEX" | "HSETEX" => {
                    let option = random.pick(&["", "EXAT", "PXAT", "PXAT", "PERSIST", "KEEPTTL", "BAD"]);
                    c.extend(words(option));
                    if option.ends_with("AT") {
                        c.push(time(random, option == "EXAT").into());
                    }
                    if name == "HSETEX" {
                        c.extend(words(random.pick(&["", "", "FNX", "FXX", "FNX FXX", "KEEPTTL"])));
                    }
                }
                _ => {}
            }
            if name.contains("EXPIRE") && !name.ends_with("TIME") {
                c.extend(words(random.pick(&["", "", "", "NX", "XX", "GT", "LT", "lt", "NX XX", "BAD"])));
            }
            c.push(
                random
                    .pick(&["FIELDS", "FIELDS", "FIELDS", "FIELDS", "FIELDS", "FIELDS", "fields", "FIELD"])
                    .into(),
            );
            let n = 1 + random.below(3);
            let told = if random.one_in(15) {
                random.pick(&["0", "-1", "x", "2"]).to_owned()
            } else {
                n.to_string()
            };
            c.push(told.into_bytes());
            for _ in 0..n {
                c.push(short(random));
                if name == "HSETEX" {
                    c.push(value(random));
                }
            }
        }
    }
    c
}

#[test]
fn expiring_fields_answer_and_stay_as_in_redis_8() {
    let mut pair = Pair::start(Server::R8_2);
    for_seeds(&[21, 22, 23], |seed, mut random| {
        let entries = [512, 8, 0][(seed % 3) as usize];
        let settings = [("hash-max-listpack-entries", entries), ("hash-max-listpack-value", 64)];
        pair.reset(&format!("seed {seed}"), seed % 2 == 0, &settings);
        let now = pair.tick();
        pair.check(&words("SET string value"));
        pair.check(&words("RPUSH list a b"));
        for _ in 0..STEPS {
            let mut command = expiring_command(&mut random, now);
            if command[0] == b"OBJECT" {
                // Redis shortens a table that never held a deadline to other names; only tables are told apart.
                command = words(&format!("HLEN {}", String::from_utf8_lossy(&command[2])));
            }
            if command[0] == b"HTTL" {
                pair.check_shape(&command);
            } else {
                pair.check(&command);
            }
        }
        for key in ["h1", "h2", "h3", "h4"] {
            let mut command = words(&format!("HPEXPIRETIME {key} FIELDS 12"));
            command.extend((0..12).map(|n| format!("f{n}").into_bytes()));
            pair.check(&command);
            pair.check_at_follower(&command);
        }
        pair.check_contents();
        pair.check_saved(Server::R8_2, Version::REDIS_12);
    });
}

#[test]
fn a_large_hash_is_walked_whole_while_it_grows_beside_the_real_one() {
    let mut pair = Pair::start(Server::R7_0);
    pair.reset("large", false, &[]);
    for n in 0..5000 {
        pair.check(&words(&format!("HSET h field{n} {n}")));
    }
    pair.check_scan("HSCAN", "h", 10);
    pair.check(&words("HLEN h"));
    for n in 0..4990 {
        pair.check(&words(&format!("HDEL h field{n}")));
    }
    pair.check_scan("HSCAN", "h", 10);
    pair.check_contents();
}
