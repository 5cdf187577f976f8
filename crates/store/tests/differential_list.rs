//! List commands beside a real Redis 7.0.15.

mod support;

use rdb::Version;
use support::{Command, Pair, Random, for_seeds, words};
use testkit::Server;

const STEPS: usize = 4000;

fn key(random: &mut Random) -> &'static str {
    random.pick(&["l1", "l2", "l3", "l4", "l5", "string", "none"])
}

fn element(random: &mut Random) -> Vec<u8> {
    match random.below(30) {
        0..20 => format!("e{}", random.below(8)).into_bytes(),
        20..24 => random.within(-3, 300).to_string().into_bytes(),
        24 => vec![b'l'; 5000],
        25 => vec![b'x'; 9000],
        26 => Vec::new(),
        27 => vec![b'm'; 500 + random.below(3)],
        _ => random.pick(&["007", "-9223372036854775808", "e1", "-0"]).into(),
    }
}

fn index(random: &mut Random) -> Vec<u8> {
    match random.below(20) {
        0 => random
            .pick(&["x", "", "1.0", "9223372036854775807", "-9223372036854775808", "9223372036854775808"])
            .into(),
        1..4 => random.within(-40, 40).to_string().into_bytes(),
        _ => random.within(-9, 9).to_string().into_bytes(),
    }
}

fn side(random: &mut Random) -> &'static str {
    if random.one_in(30) { "MIDDLE" } else { random.pick(&["LEFT", "RIGHT", "left", "right"]) }
}

fn timeout(random: &mut Random) -> Vec<u8> {
    if random.one_in(10) {
        random.pick(&["x", "-1", "", "nan", "1e300", "-0.0001"])
    } else {
        random.pick(&["0", "0.01", "5"])
    }
    .into()
}

fn numkeys(random: &mut Random, c: &mut Command) {
    let n = 1 + random.below(3);
    let told =
        if random.one_in(10) { random.pick(&["0", "-1", "x", "9", ""]).to_owned() } else { n.to_string() };
    c.push(told.into_bytes());
    (0..n).for_each(|_| c.push(key(random).into()));
    c.push(side(random).into());
    let count = [
        "",
        "",
        "COUNT 1",
        "COUNT 3",
        "count 100",
        "COUNT 0",
        "COUNT x",
        "COUNT",
        "COUNT 1 COUNT 2",
        "BAD 1",
    ];
    c.extend(words(random.pick(&count)));
}

const NAMES: [&str; 33] = [
    "LPUSH",
    "LPUSH",
    "RPUSH",
    "RPUSH",
    "RPUSH",
    "RPUSH",
    "LPUSHX",
    "RPUSHX",
    "LPOP",
    "RPOP",
    "LLEN",
    "LINDEX",
    "LINDEX",
    "LSET",
    "LSET",
    "LINSERT",
    "LINSERT",
    "LREM",
    "LREM",
    "LTRIM",
    "LRANGE",
    "LRANGE",
    "LPOS",
    "LPOS",
    "LMOVE",
    "RPOPLPUSH",
    "LMPOP",
    "BLPOP",
    "BRPOP",
    "BLMOVE",
    "BRPOPLPUSH",
    "BLMPOP",
    "OTHER",
];

fn command(random: &mut Random) -> Command {
    let name = random.pick(&NAMES);
    let mut c: Command = vec![name.as_bytes().to_vec()];
    match name {
        "LPUSH" | "RPUSH" | "LPUSHX" | "RPUSHX" => {
            c.push(key(random).into());
            (0..1 + random.below(6)).for_each(|_| c.push(element(random)));
        }
        "LPOP" | "RPOP" => {
            c.push(key(random).into());
            c.extend(words(random.pick(&["", "", "0", "1", "3", "100", "-1", "x"])));
        }
        "LINDEX" => c.extend([key(random).into(), index(random)]),
        "LSET" => c.extend([key(random).into(), index(random), element(random)]),
        "LINSERT" => {
            c.extend([
                key(random).into(),
                random.pick(&["BEFORE", "AFTER", "after", "NEAR"]).into(),
                element(random),
                element(random),
            ]);
        }
        "LREM" => c.extend([key(random).into(), index(random), element(random)]),
        "LTRIM" => {
            let (from, to) = if random.one_in(3) {
                (index(random), index(random))
            } else {
                (b"0".to_vec(), b"60".to_vec())
            };
            c.extend([key(random).into(), from, to]);
        }
        "LRANGE" => c.extend([key(random).into(), index(random), index(random)]),
        "LPOS" => {
            c.extend([key(random).into(), element(random)]);
            let options = [
                "",
                "RANK 2",
                "RANK -1",
                "RANK -2",
                "RANK 0",
                "COUNT 0",
                "COUNT 2",
                "COUNT -1",
                "MAXLEN 3",
                "MAXLEN -1",
                "RANK -1 COUNT 0",
                "RANK 2 COUNT 2 MAXLEN 10",
                "RANK x",
                "RANK",
                "BAD 1",
                "RANK -2 COUNT 0 MAXLEN 4",
            ];
            c.extend(words(random.pick(&options)));
        }
        "LMOVE" => {
            c.extend([key(random).into(), key(random).into(), side(random).into(), side(random).into()])
        }
        "BLMOVE" => {
            c.extend([
                key(random).into(),
                key(random).into(),
                side(random).into(),
                side(random).into(),
                timeout(random),
            ]);
        }
        "RPOPLPUSH" => c.extend([key(random).into(), key(random).into()]),
        "BRPOPLPUSH" => c.extend([key(random).into(), key(random).into(), timeout(random)]),
        "BLPOP" | "BRPOP" => {
            (0..1 + random.below(3)).for_each(|_| c.push(key(random).into()));
            c.push(timeout(random));
        }
        "LMPOP" => numkeys(random, &mut c),
        "BLMPOP" => {
            c.push(timeout(random));
            numkeys(random, &mut c);
        }
        "LLEN" => c.push(key(random).into()),
        _ => {
            let other = random.pick(&["DEL", "OBJECT ENCODING", "PEXPIREAT", "PERSIST"]);
            c = words(other);
            c.push(key(random).into());
            if other == "PEXPIREAT" {
                c.push(random.pick(&["99999999999999", "99999999999999", "1"]).into());
            }
        }
    }
    if random.one_in(100) {
        c.push(b"extra".to_vec());
    }
    c
}

#[test]
fn lists_answer_and_hold_what_a_real_server_does() {
    let mut pair = Pair::start(Server::R7_0);
    for_seeds(&[1, 2, 3, 4], |seed, mut random| {
        let size = [-2, 4, -1, 1][(seed % 4) as usize];
        pair.reset(&format!("seed {seed}"), seed % 2 == 0, &[("list-max-listpack-size", size)]);
        pair.check(&words("SET string value"));
        for _ in 0..STEPS {
            pair.check(&command(&mut random));
            if random.one_in(50) {
                let all = format!("LRANGE {} 0 -1", random.pick(&["l1", "l2", "l3", "l4", "l5"]));
                pair.check(&words(&all));
            }
        }
        pair.check_contents();
        pair.check_saved(Server::R7_0, Version::REDIS_10);
    });
}
