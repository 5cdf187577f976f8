//! Set commands beside a real Redis 7.0.15.

mod support;

use rdb::Version;
use store::Recorded;
use support::{Command, Pair, Random, for_seeds, strings, words};
use testkit::Server;

const STEPS: usize = 4000;

fn key(random: &mut Random) -> &'static str {
    random.pick(&["s1", "s2", "s3", "s4", "s5", "string", "none"])
}

fn source(random: &mut Random) -> Vec<u8> {
    if random.one_in(12) {
        b"string".to_vec()
    } else {
        random.pick(&["s1", "s2", "s3", "s4", "s5", "none"]).into()
    }
}

fn member(random: &mut Random) -> Vec<u8> {
    match random.below(20) {
        0..12 => random.within(-8, 12).to_string().into_bytes(),
        12 => random
            .pick(&["70000", "-70000", "5000000000", "-9223372036854775808", "9223372036854775807"])
            .into(),
        13 => vec![b'm'; 70],
        14 => random.pick(&["007", "", "-0", "+1", "9223372036854775808"]).into(),
        _ => format!("m{}", random.below(15)).into_bytes(),
    }
}

fn command(random: &mut Random) -> Command {
    let name = random.pick(&[
        "SADD",
        "SADD",
        "SADD",
        "SADD",
        "SADD",
        "SREM",
        "SREM",
        "SREM",
        "SISMEMBER",
        "SMISMEMBER",
        "SMEMBERS",
        "SCARD",
        "SMOVE",
        "SMOVE",
        "SINTER",
        "SUNION",
        "SDIFF",
        "SINTERSTORE",
        "SUNIONSTORE",
        "SDIFFSTORE",
        "SINTERCARD",
        "SSCAN",
        "OBJECT",
        "DEL",
        "PEXPIREAT",
    ]);
    let mut c: Command = vec![name.as_bytes().to_vec()];
    match name {
        "OBJECT" => c.extend([b"ENCODING".to_vec(), key(random).into()]),
        "SADD" | "SREM" | "SMISMEMBER" => {
            c.push(key(random).into());
            (0..1 + random.below(4)).for_each(|_| c.push(member(random)));
        }
        "SISMEMBER" => c.extend([key(random).into(), member(random)]),
        "SMOVE" => c.extend([key(random).into(), key(random).into(), member(random)]),
        "SINTER" | "SUNION" | "SDIFF" => (0..1 + random.below(3)).for_each(|_| c.push(source(random))),
        "SINTERSTORE" | "SUNIONSTORE" | "SDIFFSTORE" => {
            c.push(random.pick(&["s1", "s2", "s3", "s4", "s5"]).into());
            (0..1 + random.below(3)).for_each(|_| c.push(source(random)));
        }
        "SINTERCARD" => {
            let n = 1 + random.below(3);
            let told = if random.one_in(8) {
                random.pick(&["0", "-1", "x", "9", ""]).to_owned()
            } else {
                n.to_string()
            };
            c.push(told.into_bytes());
            (0..n).for_each(|_| c.push(source(random)));
            c.extend(words(random.pick(&[
                "",
                "",
                "LIMIT 0",
                "LIMIT 2",
                "limit 1",
                "LIMIT -1",
                "LIMIT x",
                "LIMIT",
                "BAD 1",
                "LIMIT 3 LIMIT 1",
            ])));
        }
        "SSCAN" => {
            c.push(key(random).into());
            c.extend(words(random.pick(&["x", "0 COUNT 0", "0 COUNT x", "0 MATCH", "0 COUNT 5 BAD y"])));
        }
        "PEXPIREAT" => {
            c.extend([key(random).into(), random.pick(&["99999999999999", "99999999999999", "1"]).into()])
        }
        _ => c.push(key(random).into()),
    }
    if random.one_in(100) && !c[0].ends_with(b"SCAN") {
        c.push(b"extra".to_vec());
    }
    c
}

/// SRANDMEMBER: the shape as theirs, the members among those that are there.
fn random_members(pair: &mut Pair, random: &mut Random) {
    let count = random.pick(&[
        "",
        "0",
        "1",
        "3",
        "100",
        "-1",
        "-5",
        "x",
        "2 more",
        "-9223372036854775808",
        "9223372036854775807",
    ]);
    let key = key(random);
    let found = strings(&pair.check_shape(&words(&format!("SRANDMEMBER {key} {count}"))));
    let distinct: std::collections::BTreeSet<_> = found.iter().collect();
    assert!(count.starts_with('-') || distinct.len() == found.len(), "{found:?}");
    for member in found {
        assert_eq!(pair.check(&vec![b"SISMEMBER".to_vec(), key.into(), member]), Recorded::Integer(1));
    }
}

/// SPOP: who goes on our side must go on theirs, and be as many as asked for.
fn pop(pair: &mut Pair, random: &mut Random) {
    let count = random.pick(&["", "0", "1", "2", "5", "100", "-1", "x", "2 more"]);
    let key = key(random);
    let command = words(&format!("SPOP {key} {count}"));
    let card = pair.check(&words(&format!("SCARD {key}")));
    let ours = pair.ours(&command);
    let popped = strings(&ours);
    if popped.is_empty() {
        assert_eq!(ours, pair.real(&command), "{}", support::shown(&command));
        return;
    }
    let Recorded::Integer(card) = card else { panic!("members of no set") };
    let wanted = count.parse().unwrap_or(1);
    assert_eq!(popped.len() as i64, card.min(wanted), "{}", support::shown(&command));
    let mut remove = words(&format!("SREM {key}"));
    remove.extend(popped.iter().cloned());
    assert_eq!(pair.real(&remove), Recorded::Integer(popped.len() as i64));
    pair.check(&words(&format!("SCARD {key}")));
}

fn walk(pair: &mut Pair, random: &mut Random, steps: usize, compare_encoding: bool) {
    pair.check(&words("SET string value"));
    for _ in 0..steps {
        if random.one_in(25) {
            random_members(pair, random);
        } else if random.one_in(25) {
            pop(pair, random);
        } else if random.one_in(40) {
            let count = 1 + random.below(20);
            pair.check_scan("SSCAN", key(random), count);
        } else {
            let command = command(random);
            if compare_encoding || command[0] != b"OBJECT" {
                pair.check(&command);
            }
        }
    }
    pair.check_contents();
    pair.check_saved(Server::R7_0, Version::REDIS_10);
}

#[test]
fn sets_answer_and_hold_what_a_real_server_does() {
    let mut pair = Pair::start(Server::R7_0);
    for_seeds(&[1, 2, 3, 4], |seed, mut random| {
        // Redis 7.0 knows no listpack sets.
        let ints = [512, 6, 0, 12][(seed % 4) as usize];
        let settings = [("set-max-intset-entries", ints), ("set-max-listpack-entries", 0)];
        pair.reset(&format!("seed {seed}"), seed % 2 == 0, &settings);
        walk(&mut pair, &mut random, STEPS, true);
    });
}

#[test]
fn listpack_sets_answer_and_hold_what_table_sets_do() {
    let mut pair = Pair::start(Server::R7_0);
    for_seeds(&[11, 12], |seed, mut random| {
        let settings = [("set-max-intset-entries", 8), ("set-max-listpack-entries", 12)];
        pair.reset(&format!("seed {seed}"), seed % 2 == 0, &settings);
        walk(&mut pair, &mut random, STEPS, false);
    });
}

#[test]
fn large_sets_combine_and_are_walked_beside_the_real_ones() {
    let mut pair = Pair::start(Server::R7_0);
    pair.reset("large", false, &[("set-max-listpack-entries", 0)]);
    for n in 0..3000 {
        pair.check(&words(&format!("SADD a m{n} m{}", n * 2)));
        pair.check(&words(&format!("SADD b m{} {n}", n * 3)));
    }
    for line in [
        "SINTER a b",
        "SUNION a b",
        "SDIFF a b",
        "SDIFF b a",
        "SINTERCARD 2 a b LIMIT 500",
        "SUNIONSTORE c a b",
    ] {
        pair.check(&words(line));
    }
    pair.check_scan("SSCAN", "c", 7);
    let popped = strings(&pair.ours(&words("SPOP c 6000")));
    let mut remove = words("SREM c");
    remove.extend(popped.iter().cloned());
    assert_eq!(pair.real(&remove), Recorded::Integer(popped.len() as i64));
    pair.check_scan("SSCAN", "c", 7);
    pair.check_contents();
}
