//! Arguments that every family can use.

use testkit::Random;

use crate::pattern::Atoms;

/// Keys of each type; now and then a key of another one, one that does not exist, or the empty key.
fn key(random: &mut Random, letter: char) -> Vec<u8> {
    if random.one_in(14) {
        return any_key(random);
    }
    format!("{letter}{}", 1 + random.below(4)).into_bytes()
}

fn any_key(random: &mut Random) -> Vec<u8> {
    match random.below(30) {
        0 => Vec::new(),
        1 => b"\x00\xff\r\n key".to_vec(),
        2 | 3 => b"none".to_vec(),
        _ => format!("{}{}", random.pick(&["s", "l", "t", "z", "h", "x"]), 1 + random.below(4)).into_bytes(),
    }
}

fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// Any string that servers keep or read in a way of its own.
pub(crate) fn value(random: &mut Random) -> Vec<u8> {
    match random.below(18) {
        0..5 => random.within(-200..=200).to_string().into_bytes(),
        5..8 => text(random.pick(&["1.5", "-0.25", "3.0e3", "0", "10", "1e-5", "0x10", "1.", ".5"])),
        8 => text(random.pick(NASTY)),
        9 => text(random.pick(&["nan", "inf", "-inf", "1e4000", "1e18", "123456789012345678901234567890"])),
        10 => vec![b'x'; 40 + random.below(10)],
        11 => Vec::new(),
        12 => (0..random.below(70)).map(|_| random.below(256) as u8).collect(),
        13 if random.one_in(4) => vec![b'v'; 8100 + random.below(200)],
        _ => (0..random.below(12)).map(|_| b'a' + random.below(4) as u8).collect(),
    }
}

/// What no command likes everywhere: put in the place of any argument. No number out of a double's range is among
/// them: after one, SORT of Redis 7.0 refuses every number until something else resets errno.
pub(crate) const NASTY: &[&str] = &[
    "",
    "x",
    "-1",
    "0",
    "1.0",
    "007",
    " 1",
    "1 ",
    "+1",
    "-0",
    "nan",
    "inf",
    "-inf",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551616",
    "281474976710656",
    "\x00",
    "%s\r\n",
    "*",
    "#",
];

fn element(random: &mut Random) -> Vec<u8> {
    match random.below(30) {
        0..20 => format!("e{}", random.below(8)).into_bytes(),
        20..24 => random.within(-3..=300).to_string().into_bytes(),
        24 => vec![b'l'; 5000],
        25 => vec![b'x'; 9000],
        26 => Vec::new(),
        27 => vec![b'm'; 500 + random.below(3)],
        _ => text(random.pick(&["007", "-9223372036854775808", "e1", "-0"])),
    }
}

fn member(random: &mut Random) -> Vec<u8> {
    match random.below(20) {
        0..12 => random.within(-8..=12).to_string().into_bytes(),
        12 => text(random.pick(&[
            "70000",
            "-70000",
            "5000000000",
            "-9223372036854775808",
            "9223372036854775807",
        ])),
        13 => vec![b'm'; 70],
        14 => text(random.pick(&["007", "", "-0", "+1", "9223372036854775808"])),
        _ => format!("m{}", random.below(15)).into_bytes(),
    }
}

fn integer(random: &mut Random) -> Vec<u8> {
    match random.below(24) {
        0 => text(random.pick(NASTY)),
        1..4 => random.within(-100..=100).to_string().into_bytes(),
        _ => random.within(-14..=14).to_string().into_bytes(),
    }
}

fn float(random: &mut Random) -> Vec<u8> {
    match random.below(10) {
        0 => value(random),
        1 => format!("{}e{}", random.within(-9999..=9999), random.within(-30..=30)).into_bytes(),
        2 => format!("{}e{}", random.next(), random.within(-60..=20)).into_bytes(),
        3 => format!("{}.{}", random.next(), random.next()).into_bytes(),
        4 => text(random.pick(&[
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
        ])),
        _ => format!(
            "{}.{:0width$}",
            random.within(-300..=300),
            random.below(1000),
            width = 1 + random.below(5)
        )
        .into_bytes(),
    }
}

/// Absolute times, so far off that both sides agree on them whatever their clocks do meanwhile. None has passed: a
/// key that has expired goes on the real server when somebody reads it, on ours when somebody writes or its turn
/// comes, and the streams would differ.
fn at(random: &mut Random) -> Vec<u8> {
    match random.below(20) {
        0 => text(random.pick(NASTY)),
        _ => text(random.pick(&["99999999999", "88888888888", "7777777777"])),
    }
}

fn at_ms(random: &mut Random) -> Vec<u8> {
    match random.below(20) {
        0 => text(random.pick(NASTY)),
        _ => text(random.pick(&["99999999999999", "88888888888888", "77777777777499"])),
    }
}

/// Relative times: years, or what is refused. Near ones would race, and so would two alike under GT and LT: how much
/// time has passed in between decides then.
fn seconds(random: &mut Random) -> Vec<u8> {
    match random.below(8) {
        0 => text(random.pick(&[
            "0",
            "-1",
            "x",
            "9223372036854775807",
            "-9223372036854775",
            "9223372036854775",
        ])),
        _ => (1_000_000_000 + 100 * random.below(1_000_000)).to_string().into_bytes(),
    }
}

fn milliseconds(random: &mut Random) -> Vec<u8> {
    match random.below(8) {
        0 => text(random.pick(&["0", "-1", "x", "9223372036854775807", "-9223372036854775808"])),
        _ => (1_000_000_050_000 + 100_000 * random.below(1_000_000) as u64).to_string().into_bytes(),
    }
}

fn pattern(random: &mut Random) -> Vec<u8> {
    text(random.pick(&[
        "*", "s*", "?1", "[lt]?", "[^s]*", "s\\1", "", "n*e*", "*1", "[a-m]*", "[m-a]?", "**", "[", "\\",
        "[^", "z[1-", "h?*",
    ]))
}

/// The atoms of all families.
pub(crate) const COMMON: Atoms = &[
    ("string", |r| key(r, 's')),
    ("list", |r| key(r, 'l')),
    ("set", |r| key(r, 't')),
    ("zset", |r| key(r, 'z')),
    ("hash", |r| key(r, 'h')),
    ("stream", |r| key(r, 'x')),
    ("any", any_key),
    ("value", value),
    ("element", element),
    ("member", member),
    ("field", |r| format!("f{}", r.below(12)).into_bytes()),
    ("int", integer),
    ("float", float),
    ("at", at),
    ("atms", at_ms),
    ("ex", seconds),
    ("px", milliseconds),
    ("pattern", pattern),
    ("nasty", |r| text(r.pick(NASTY))),
    ("count", |r| text(r.pick(&["0", "1", "1", "2", "3", "5", "100", "-1", "x", "9223372036854775807"]))),
    ("db", |r| text(r.pick(&["0", "1", "1", "1", "2", "15", "16", "-1", "x"]))),
    ("timeout", |r| match r.below(10) {
        0 => text(r.pick(&["x", "-1", "", "nan", "1e300", "-0.0001", "inf"])),
        _ => text(r.pick(&["0", "0.01", "5"])),
    }),
];
