//! Sorted set commands beside a real Redis 7.0.15.

mod support;

use rdb::Version;
use store::Recorded;
use support::{Command, Pair, Random, for_seeds, strings, words};
use testkit::Server;

const STEPS: usize = 4000;
const KEYS: [&str; 5] = ["z1", "z2", "z3", "z4", "lex"];

/// `lex` holds members of one score only: ranges of members mean nothing elsewhere.
fn key(random: &mut Random) -> &'static str {
    random.pick(&["z1", "z2", "z3", "z4", "string", "none"])
}

fn source(random: &mut Random) -> Vec<u8> {
    if random.one_in(15) {
        b"string".to_vec()
    } else {
        random.pick(&["z1", "z2", "z3", "lex", "set", "none"]).into()
    }
}

fn member(random: &mut Random) -> Vec<u8> {
    match random.below(20) {
        0..8 => random.within(-8, 12).to_string().into_bytes(),
        8 => vec![b'm'; 70],
        9 => random.pick(&["007", "", "-0", "9223372036854775808", "\0", "9223372036854775807"]).into(),
        _ => format!("m{}", random.below(15)).into_bytes(),
    }
}

fn score(random: &mut Random) -> Vec<u8> {
    match random.below(16) {
        0..8 => random.within(-4, 5).to_string().into_bytes(),
        8..12 => random.pick(&["0.1", "-2.5", "1e17", "1.5e300", "-0", "4503599627370497", "1e-7"]).into(),
        12 => random.pick(&["inf", "-inf", "+Inf", "infinity"]).into(),
        13 if random.one_in(3) => random.pick(&["x", "", "nan", " 1", "1e999"]).into(),
        _ => format!("{}.25", random.within(-3, 4)).into_bytes(),
    }
}

fn score_end(random: &mut Random) -> Vec<u8> {
    let mut end = if random.one_in(3) { b"(".to_vec() } else { Vec::new() };
    end.extend(match random.below(8) {
        0 => random.pick(&["-inf", "+inf", "inf"]).into(),
        1 if random.one_in(3) => random.pick(&["", "(", "nan", "1e999", " 2", "x"]).into(),
        _ => score(random),
    });
    end
}

fn lex_end(random: &mut Random) -> Vec<u8> {
    match random.below(10) {
        0 => b"-".to_vec(),
        1 => b"+".to_vec(),
        2 if random.one_in(3) => random.pick(&["", "x", "--", "+1", "5"]).into(),
        _ => [random.pick(&["[", "("]).as_bytes(), &member(random)].concat(),
    }
}

fn rank(random: &mut Random) -> Vec<u8> {
    if random.one_in(30) { b"x".to_vec() } else { random.within(-12, 13).to_string().into_bytes() }
}

fn ends(random: &mut Random, by: &str) -> [Vec<u8>; 2] {
    match by {
        "rank" => [rank(random), rank(random)],
        "score" => [score_end(random), score_end(random)],
        _ => [lex_end(random), lex_end(random)],
    }
}

fn limit(random: &mut Random) -> &'static str {
    random.pick(&[
        "",
        "",
        "",
        "LIMIT 0 3",
        "LIMIT 2 -1",
        "limit 1 2",
        "LIMIT -1 2",
        "LIMIT 0 0",
        "LIMIT x 1",
        "LIMIT 1",
    ])
}

fn zadd(random: &mut Random, c: &mut Command) {
    c.push(key(random).into());
    c.extend(words(random.pick(&[
        "", "", "", "", "", "NX", "XX", "GT", "LT", "CH", "XX CH", "GT CH", "LT XX", "INCR", "NX INCR",
        "XX INCR", "GT INCR", "NX XX", "GT LT", "NX GT",
    ])));
    let pairs = if random.one_in(3) { 1 + random.below(4) } else { 1 };
    for _ in 0..pairs {
        c.extend([score(random), member(random)]);
    }
    if random.one_in(40) {
        c.pop();
    }
}

fn combine(random: &mut Random, c: &mut Command, name: &str) {
    if name.ends_with("STORE") {
        c.push(random.pick(&["z1", "z2", "z3", "z4"]).into());
    }
    let n = 1 + random.below(3);
    let told = if random.one_in(20) { random.pick(&["0", "-1", "x", "9"]).to_owned() } else { n.to_string() };
    c.push(told.into_bytes());
    (0..n).for_each(|_| c.push(source(random)));
    if random.one_in(3) {
        c.push(b"WEIGHTS".to_vec());
        (0..n).for_each(|_| c.push(score(random)));
    }
    c.extend(words(random.pick(&[
        "",
        "",
        "",
        "AGGREGATE SUM",
        "AGGREGATE MIN",
        "aggregate max",
        "AGGREGATE x",
        "WITHSCORES",
        "WITHSCORES",
        "LIMIT 2",
        "LIMIT 0",
        "LIMIT -1",
    ])));
}

fn command(random: &mut Random) -> Command {
    let name = random.pick(&[
        "ZADD",
        "ZADD",
        "ZADD",
        "ZADD",
        "ZADD",
        "ZADD",
        "ZINCRBY",
        "ZINCRBY",
        "ZREM",
        "ZREM",
        "ZSCORE",
        "ZMSCORE",
        "ZCARD",
        "ZCOUNT",
        "ZLEXCOUNT",
        "ZRANK",
        "ZREVRANK",
        "ZRANGE",
        "ZRANGE",
        "ZRANGE",
        "ZRANGESTORE",
        "ZRANGEBYSCORE",
        "ZREVRANGEBYSCORE",
        "ZRANGEBYLEX",
        "ZREVRANGEBYLEX",
        "ZREVRANGE",
        "ZREMRANGEBYRANK",
        "ZREMRANGEBYSCORE",
        "ZREMRANGEBYLEX",
        "ZPOPMIN",
        "ZPOPMAX",
        "ZMPOP",
        "BZPOPMIN",
        "BZPOPMAX",
        "BZMPOP",
        "ZUNION",
        "ZINTER",
        "ZDIFF",
        "ZUNIONSTORE",
        "ZINTERSTORE",
        "ZDIFFSTORE",
        "ZINTERCARD",
        "ZSCAN",
        "OBJECT",
        "DEL",
        "PEXPIREAT",
        "LEXADD",
        "SADD",
    ]);
    let mut c: Command = vec![name.as_bytes().to_vec()];
    match name {
        "ZADD" => zadd(random, &mut c),
        "LEXADD" => {
            c[0] = b"ZADD".to_vec();
            c.extend([b"lex".to_vec(), b"0".to_vec(), member(random), b"0".to_vec(), member(random)]);
        }
        "SADD" => c.extend([b"set".to_vec(), member(random)]),
        "ZINCRBY" => c.extend([key(random).into(), score(random), member(random)]),
        "ZREM" | "ZMSCORE" => {
            c.push(key(random).into());
            (0..1 + random.below(4)).for_each(|_| c.push(member(random)));
        }
        "ZSCORE" | "ZRANK" | "ZREVRANK" => c.extend([key(random).into(), member(random)]),
        "ZCOUNT" => {
            c.push(key(random).into());
            c.extend(ends(random, "score"));
        }
        "ZLEXCOUNT" => {
            c.push(random.pick(&["lex", "lex", "string", "absent"]).into());
            c.extend(ends(random, "lex"));
        }
        "ZRANGE" | "ZRANGESTORE" => {
            let by = random.pick(&["rank", "score", "lex"]);
            if name == "ZRANGESTORE" {
                c.push(random.pick(&["z1", "z2", "z3", "z4"]).into());
            }
            c.push(if by == "lex" { b"lex".to_vec() } else { key(random).into() });
            c.extend(ends(random, by));
            c.extend(words(match by {
                "rank" => "",
                "score" => "BYSCORE",
                _ => "BYLEX",
            }));
            c.extend(words(random.pick(&["", "", "REV"])));
            c.extend(words(limit(random)));
            c.extend(words(random.pick(&["", "", "WITHSCORES"])));
        }
        "ZREVRANGE" | "ZREMRANGEBYRANK" => {
            c.push(key(random).into());
            c.extend(ends(random, "rank"));
            c.extend(words(if name == "ZREVRANGE" { random.pick(&["", "WITHSCORES", "REV"]) } else { "" }));
        }
        "ZRANGEBYSCORE" | "ZREVRANGEBYSCORE" | "ZREMRANGEBYSCORE" => {
            c.push(key(random).into());
            c.extend(ends(random, "score"));
            if name != "ZREMRANGEBYSCORE" {
                c.extend(words(random.pick(&["", "WITHSCORES"])));
                c.extend(words(limit(random)));
            }
        }
        "ZRANGEBYLEX" | "ZREVRANGEBYLEX" | "ZREMRANGEBYLEX" => {
            c.push(random.pick(&["lex", "lex", "lex", "string", "absent"]).into());
            c.extend(ends(random, "lex"));
            if name != "ZREMRANGEBYLEX" {
                c.extend(words(limit(random)));
            }
        }
        "ZPOPMIN" | "ZPOPMAX" => {
            c.push(key(random).into());
            c.extend(words(random.pick(&["", "", "1", "2", "0", "-1", "x", "1 2", "50"])));
        }
        "ZMPOP" | "BZMPOP" => {
            if name == "BZMPOP" {
                c.push(random.pick(&["0", "0.01", "-1", "x", "1"]).into());
            }
            c.extend(words(random.pick(&[
                "1 z1",
                "2 none z2",
                "2 none string",
                "3 none z3 z4",
                "0 z1",
                "x z1",
                "9 z1",
            ])));
            c.extend(words(random.pick(&["MIN", "MAX", "min", "MID", ""])));
            c.extend(words(random.pick(&[
                "",
                "",
                "COUNT 2",
                "COUNT 0",
                "COUNT x",
                "COUNT",
                "COUNT 1 COUNT 2",
            ])));
        }
        "BZPOPMIN" | "BZPOPMAX" => {
            (0..1 + random.below(3)).for_each(|_| c.push(key(random).into()));
            c.push(random.pick(&["0", "0", "0.5", "-1", "x", "1e300"]).into());
        }
        "ZUNION" | "ZINTER" | "ZDIFF" | "ZUNIONSTORE" | "ZINTERSTORE" | "ZDIFFSTORE" | "ZINTERCARD" => {
            combine(random, &mut c, name)
        }
        "ZSCAN" => {
            c.push(key(random).into());
            c.extend(words(random.pick(&["x", "0 COUNT 0", "0 COUNT x", "0 MATCH", "0 COUNT 5 BAD y"])));
        }
        "OBJECT" => c.extend([b"ENCODING".to_vec(), random.pick(&KEYS).into()]),
        "PEXPIREAT" => {
            c.extend([
                random.pick(&KEYS).into(),
                random.pick(&["99999999999999", "99999999999999", "1"]).into(),
            ]);
        }
        "DEL" => c.push(random.pick(&KEYS).into()),
        _ => c.push(key(random).into()),
    }
    // ZRANK takes WITHSCORE since 7.2.
    if random.one_in(100) && !matches!(name, "ZSCAN" | "ZRANK" | "ZREVRANK") {
        c.push(b"extra".to_vec());
    }
    c
}

/// ZRANDMEMBER: the shape as theirs, the members among those that are there.
fn random_members(pair: &mut Pair, random: &mut Random) {
    let count = random.pick(&["", "0", "1", "3", "100", "-1", "-5", "x", "2 more", "-9223372036854775808"]);
    let key = key(random);
    let found = strings(&pair.check_shape(&words(&format!("ZRANDMEMBER {key} {count}"))));
    let distinct: std::collections::BTreeSet<_> = found.iter().collect();
    assert!(count.starts_with('-') || distinct.len() == found.len(), "{found:?}");
    for member in found {
        let reply = pair.check(&vec![b"ZSCORE".to_vec(), key.into(), member]);
        assert!(!matches!(reply, Recorded::Null(_)));
    }
    pair.check_shape(&words(&format!("ZRANDMEMBER {key} 3 WITHSCORES")));
    pair.check_shape(&words(&format!("ZRANDMEMBER {key} -3 withscores")));
}

#[test]
fn sorted_sets_answer_and_hold_what_a_real_server_does() {
    let mut pair = Pair::start(Server::R7_0);
    for_seeds(&[1, 2, 3, 4, 5, 6], |seed, mut random| {
        let entries = [128, 6, 0, 12][(seed % 4) as usize];
        let settings = [("zset-max-listpack-entries", entries), ("zset-max-listpack-value", 64)];
        pair.reset(&format!("seed {seed}"), seed % 2 == 0, &settings);
        pair.check(&words("SET string value"));
        for _ in 0..STEPS {
            if random.one_in(30) {
                random_members(&mut pair, &mut random);
            } else if random.one_in(40) {
                let count = 1 + random.below(20);
                pair.check_scan("ZSCAN", key(&mut random), count);
            } else {
                pair.check(&command(&mut random));
            }
        }
        pair.check_contents();
        if entries == 128 {
            // A server with other limits would make listpacks, where -0 is 0.
            pair.check_saved(Server::R7_0, Version::REDIS_10);
        }
    });
}

#[test]
fn large_sorted_sets_rank_and_are_walked_beside_the_real_ones() {
    let mut pair = Pair::start(Server::R7_0);
    pair.reset("large", false, &[]);
    for n in 0..3000_i32 {
        pair.check(&words(&format!("ZADD a {} m{n} {} m{}", n % 97, -n, n * 2)));
        pair.check(&words(&format!("ZADD b {}.5 m{} {n} {n}", n % 7, n * 3)));
    }
    for n in (0..6000).step_by(83) {
        pair.check(&words(&format!("ZRANK a m{n}")));
        pair.check(&words(&format!("ZRANGE a {n} {} WITHSCORES", n + 9)));
        pair.check(&words(&format!("ZREVRANGE a {n} {}", n + 9)));
        pair.check(&words(&format!("ZCOUNT a {} ({}", n % 100 - 50, n % 91)));
        pair.check(&words(&format!("ZRANGE b {} +inf BYSCORE LIMIT {n} 20", n % 5)));
    }
    for line in
        ["ZUNIONSTORE c 2 a b WEIGHTS 2 -1", "ZINTERSTORE d 2 a b AGGREGATE MIN", "ZDIFFSTORE e 2 a b"]
    {
        pair.check(&words(line));
    }
    pair.check_scan("ZSCAN", "c", 7);
    for line in
        ["ZREMRANGEBYSCORE a -1000 30", "ZREMRANGEBYRANK b 100 -100", "ZPOPMAX c 2000", "ZPOPMIN c 900"]
    {
        pair.check(&words(line));
    }
    pair.check_scan("ZSCAN", "a", 100);
    pair.check_contents();
    pair.check_saved(Server::R7_0, Version::REDIS_10);
}
