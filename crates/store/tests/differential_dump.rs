//! DUMP and RESTORE beside a real Redis 7.0.15: each side restores what the other has dumped.

mod support;

use store::Recorded;
use support::{Command, Pair, Random, for_seeds, words};
use testkit::Server;

fn fill(pair: &mut Pair, random: &mut Random) {
    for line in [
        "SET s text",
        "SET n 12345",
        "SET e x",
        "RPUSH l a b 3 -70000",
        "SADD i 1 2 3",
        "SADD t a b c",
        "ZADD z 1 a 2.5 b inf c",
        "HSET h f v g 2",
    ] {
        pair.check(&words(line));
    }
    pair.check(&vec![b"SET".to_vec(), b"long".to_vec(), vec![b'x'; 100 + random.below(20_000)]]);
    for n in 0..random.below(700) {
        pair.check(&words(&format!("RPUSH big:l {n}")));
        pair.check(&words(&format!("SADD big:t m{n}")));
        pair.check(&words(&format!("ZADD big:z {n} m{n}")));
        pair.check(&words(&format!("HSET big:h f{n} v{n}")));
    }
}

const KEYS: [&str; 13] = ["s", "n", "e", "l", "i", "t", "z", "h", "long", "big:l", "big:t", "big:z", "big:h"];

fn restore(pair: &mut Pair, payload: &[u8], to: &str, ttl: &str, options: &str) {
    let mut command: Command = words(&format!("RESTORE {to} {ttl}"));
    command.push(payload.to_vec());
    command.extend(words(options));
    pair.check(&command);
}

#[test]
fn each_side_restores_what_the_other_dumped() {
    let mut pair = Pair::start(Server::R7_0);
    for_seeds(&[1, 2], |seed, mut random| {
        pair.reset(&format!("dump, seed {seed}"), seed % 2 == 0, &[("set-max-listpack-entries", 0)]);
        fill(&mut pair, &mut random);
        for key in KEYS {
            let (ours, theirs) = pair.both(&words(&format!("DUMP {key}")));
            for (from, dump) in [("ours", ours), ("theirs", theirs)] {
                let Recorded::Bulk(payload) = dump else {
                    assert_eq!(pair.check(&words(&format!("EXISTS {key}"))), Recorded::Integer(0));
                    continue;
                };
                restore(&mut pair, &payload, &format!("{from}:{key}"), "0", "");
                pair.check(&words(&format!("OBJECT ENCODING {from}:{key}")));
                restore(&mut pair, &payload, "target", "99999999999999", "ABSTTL REPLACE");
                pair.check(&words("PEXPIRETIME target"));
                // One byte changed anywhere is noticed.
                let mut broken = payload.clone();
                let place = random.below(broken.len());
                broken[place] ^= 1 << random.below(8);
                restore(&mut pair, &broken, "broken", "0", "");
                restore(&mut pair, &payload[..random.below(payload.len())], "broken", "0", "");
            }
        }
        pair.check_contents();
    });
}

#[test]
fn options_of_restore_are_judged_in_the_order_of_the_real_server() {
    let mut pair = Pair::start(Server::R7_0);
    for_seeds(&[1, 2], |seed, mut random| {
        pair.reset(&format!("restore, seed {seed}"), seed % 2 == 0, &[]);
        pair.check(&words("SET s text"));
        let Recorded::Bulk(good) = pair.real(&words("DUMP s")) else { panic!("no payload") };
        for _ in 0..2000 {
            let payload = random.pick(&[&good[..], &good[..], &good[..], &good[1..], b"", b"x"]);
            let (key, ttl) =
                (random.pick(&["k", "s", "m"]), random.pick(&["0", "0", "99999999999999", "1", "-1", "x"]));
            let mut options = String::new();
            for _ in 0..random.below(4) {
                options += random.pick(&[
                    "REPLACE ",
                    "REPLACE ",
                    "absttl ",
                    "IDLETIME 5 ",
                    "FREQ 7 ",
                    "IDLETIME -1 ",
                    "FREQ 256 ",
                    "FREQ x ",
                    "BAD ",
                    "IDLETIME ",
                ]);
            }
            // Without it the deadline depends on the moment.
            if ttl != "0" {
                options += "ABSTTL";
            }
            restore(&mut pair, payload, key, ttl, &options);
            if random.one_in(5) {
                pair.check(&words("DEL k m"));
            }
            pair.check(&words("DUMP none"));
        }
        pair.check_contents();
    });
}

#[test]
fn a_relative_time_reaches_replicas_as_a_deadline() {
    let mut pair = Pair::start(Server::R7_0);
    pair.reset("relative", false, &[]);
    pair.check(&words("SET s text"));
    let Recorded::Bulk(payload) = pair.real(&words("DUMP s")) else { panic!("no payload") };
    let now = pair.tick();
    restore(&mut pair, &payload, "k", "5000000", "");
    assert_eq!(pair.ours(&words("PEXPIRETIME k")), Recorded::Integer(now + 5_000_000));
    pair.check_at_follower(&words("PEXPIRETIME k"));
}
