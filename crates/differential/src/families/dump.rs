//! DUMP and RESTORE: each side takes what the other has dumped, whole, broken, and with every option.

use testkit::Random;

use crate::family::Family;

fn key(random: &mut Random) -> String {
    let letter = random.pick(&["s", "l", "t", "z", "h"]);
    format!("{letter}{}", 1 + random.below(4))
}

pub(super) static FAMILY: Family = Family {
    name: "dump",
    settings: &[],
    preamble: &[],
    atoms: &[
        ("payload", |random| {
            let (side, key) = (random.pick(&["ours", "theirs"]), key(random));
            match random.below(12) {
                0 | 1 => format!("@dump:{side}:{key}:flip:{}", random.below(100_000)),
                2 => format!("@dump:{side}:{key}:cut:{}", random.below(100_000)),
                _ => format!("@dump:{side}:{key}"),
            }
            .into_bytes()
        }),
        ("ttl", |random| random.pick(&["0", "0", "0", "1000000000000", "-1", "x"]).into()),
        ("ms", |random| random.pick(&["99999999999999", "88888888888888", "0"]).into()),
    ],
    patterns: &[
        (8, "RESTORE $any $ttl $payload (REPLACE|replace|IDLETIME $int|FREQ $int|BAD|IDLETIME|FREQ 7)*"),
        (8, "RESTORE $any $ms $payload ABSTTL (REPLACE|IDLETIME 5|FREQ 256)*"),
        (8, "RESTORE $any 0 $payload REPLACE"),
        (2, "RESTORE-ASKING $any 0 $payload REPLACE"),
        (2, "RESTORE $any 0 $value (REPLACE)?"),
        (4, "OBJECT ENCODING $any"),
        (2, "DEL $any"),
        (1, "DUMP missing"),
        (6, "DUMP $any"),
        (6, "SET $string $value"),
        (8, "RPUSH $list $element+ $element+ $element+"),
        (8, "SADD $set $member+ $member+ $member+"),
        (8, "ZADD $zset ($int $member)+ ($int $member)+"),
        (8, "HSET $hash ($field $value)+ ($field $value)+"),
        (1, "LTRIM $list 0 30"),
    ],
    compare_streams: true,
    compare_encodings: true,
};
