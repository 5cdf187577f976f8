//! Geo commands beside a real Redis 7.0.15: scores to the bit, results in the same order.

mod support;

use support::{Command, Pair, Random, for_these_seeds, words};
use testkit::Server;

const STEPS: usize = 3000;

fn key(random: &mut Random) -> Vec<u8> {
    random.pick(&["g1", "g1", "g1", "g2", "g2", "g3", "string", "none"]).into()
}

fn target(random: &mut Random) -> Vec<u8> {
    random.pick(&["g3", "g3", "g4", "none2"]).into()
}

fn member(random: &mut Random) -> Vec<u8> {
    if random.one_in(60) { b"nobody".to_vec() } else { format!("m{}", random.below(60)).into_bytes() }
}

/// Anywhere, or near a home.
fn degrees(random: &mut Random, most: i64, home: i64) -> Vec<u8> {
    let whole = if random.one_in(3) { random.within(-most, most) } else { home };
    format!("{whole}.{:06}", random.within(0, 999_999)).into_bytes()
}

/// Longitude and latitude. No two places are equal: the order of those that are equally far is nobody's promise.
fn place(random: &mut Random) -> [Vec<u8>; 2] {
    let mut place = [degrees(random, 179, 13), degrees(random, 84, 38)];
    match random.below(30) {
        0 => place[0] = random.pick(&["180", "-180", "0", "1e1"]).into(),
        1 => place[1] = random.pick(&["85.05112878", "-85.05112878", "0"]).into(),
        2 => place[random.below(2)] = random.pick(&["x", "", "999", "85.1", "inf", "nan", "-180.1"]).into(),
        _ => {}
    }
    place
}

fn unit(random: &mut Random) -> Vec<u8> {
    if random.one_in(40) { b"yd".to_vec() } else { random.pick(&["m", "km", "KM", "ft", "mi"]).into() }
}

fn length(random: &mut Random) -> Vec<u8> {
    match random.below(12) {
        0 if random.one_in(4) => random.pick(&["x", "-1", ""]).into(),
        0 => b"0".to_vec(),
        1..5 => random.within(1, 100).to_string().into_bytes(),
        5..9 => random.within(100, 5000).to_string().into_bytes(),
        9..11 => random.within(5000, 300_000).to_string().into_bytes(),
        _ => random.pick(&["0.5", "20000000", "1e9", "12345.678"]).into(),
    }
}

fn options(random: &mut Random, c: &mut Command) {
    c.extend(words(random.pick(&["", "", "ASC", "DESC", "asc"])));
    c.extend(words(random.pick(&[
        "",
        "",
        "COUNT 3",
        "COUNT 10",
        "COUNT 4 ANY",
        "COUNT 0",
        "ANY",
        "COUNT x",
    ])));
    if random.one_in(3) {
        c.extend(words(random.pick(&["WITHDIST", "WITHHASH", "WITHCOORD", "WITHDIST WITHCOORD WITHHASH"])));
    }
}

fn from_and_by(random: &mut Random, c: &mut Command) {
    for _ in 0..if random.one_in(30) { 2 } else { 1 } {
        if random.one_in(2) {
            c.extend([b"FROMMEMBER".to_vec(), member(random)]);
        } else {
            c.push(b"FROMLONLAT".to_vec());
            c.extend(place(random));
        }
    }
    if random.one_in(2) {
        c.extend([b"BYRADIUS".to_vec(), length(random), unit(random)]);
    } else {
        c.extend([b"BYBOX".to_vec(), length(random), length(random), unit(random)]);
    }
    if random.one_in(40) {
        c.extend([b"BYRADIUS".to_vec(), length(random), unit(random)]);
    }
}

fn command(random: &mut Random) -> Command {
    let name = random.pick(&[
        "GEOADD",
        "GEOADD",
        "GEOADD",
        "GEOADD",
        "GEOPOS",
        "GEODIST",
        "GEOHASH",
        "GEOSEARCH",
        "GEOSEARCH",
        "GEOSEARCH",
        "GEOSEARCHSTORE",
        "GEORADIUS",
        "GEORADIUS",
        "GEORADIUS_RO",
        "GEORADIUSBYMEMBER",
        "GEORADIUSBYMEMBER_RO",
        "ZREM",
        "DEL",
        "ZRANGE",
        "ZADD",
    ]);
    let mut c: Command = vec![name.as_bytes().to_vec()];
    match name {
        "GEOADD" => {
            c.push(key(random));
            c.extend(words(random.pick(&["", "", "", "", "NX", "XX", "CH", "NX CH", "NX XX"])));
            for _ in 0..1 + random.below(3) {
                c.extend(place(random));
                c.push(member(random));
            }
            if random.one_in(40) {
                c.pop();
            }
        }
        // Any score is a place.
        "ZADD" => c.extend([b"g2".to_vec(), (random.next() >> 12).to_string().into_bytes(), member(random)]),
        "GEOPOS" | "GEOHASH" => {
            c.push(key(random));
            (0..random.below(4)).for_each(|_| c.push(member(random)));
        }
        "GEODIST" => {
            c.extend([key(random), member(random), member(random)]);
            if random.one_in(2) {
                c.push(unit(random));
            }
        }
        "GEOSEARCH" => {
            c.push(key(random));
            from_and_by(random, &mut c);
            options(random, &mut c);
        }
        "GEOSEARCHSTORE" => {
            c.extend([target(random), key(random)]);
            from_and_by(random, &mut c);
            options(random, &mut c);
            c.extend(words(random.pick(&["", "STOREDIST"])));
        }
        "GEORADIUS" | "GEORADIUS_RO" | "GEORADIUSBYMEMBER" | "GEORADIUSBYMEMBER_RO" => {
            c.push(key(random));
            if name.contains("MEMBER") {
                c.push(member(random));
            } else {
                c.extend(place(random));
            }
            c.extend([length(random), unit(random)]);
            options(random, &mut c);
            if random.one_in(4) {
                c.extend([random.pick(&["STORE", "STOREDIST"]).into(), target(random)]);
            }
        }
        "ZREM" => c.extend([key(random), member(random)]),
        "ZRANGE" => c.extend([key(random), b"0".to_vec(), b"-1".to_vec(), b"WITHSCORES".to_vec()]),
        _ => c.push(random.pick(&["g2", "g3", "g4"]).into()),
    }
    c
}

#[test]
fn places_are_found_as_a_real_server_finds_them() {
    let mut pair = Pair::start(Server::R7_0);
    // Places at the same distance come out of the real server's unstable sort in an order that nobody can
    // repeat, so the seeds are those in which no two are compared.
    for_these_seeds(&[1, 2, 3, 4], |seed, mut random| {
        let entries = [128, 10][(seed % 2) as usize];
        pair.reset(&format!("seed {seed}"), false, &[("zset-max-listpack-entries", entries)]);
        pair.check(&words("SET string value"));
        for _ in 0..STEPS {
            pair.check(&command(&mut random));
        }
        pair.check_contents();
    });
}
