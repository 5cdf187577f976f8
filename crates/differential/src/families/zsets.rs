//! Sorted sets.

use crate::family::Family;

pub(super) static FAMILY: Family = Family {
    compare_encodings: true,
    name: "zsets",
    settings: &[
        ("zset-max-listpack-entries", &["128", "6", "0", "12"]),
        ("zset-max-listpack-value", &["64", "20"]),
    ],
    preamble: &["ZADD z2 1 a 2 b -1 7", "ZADD lex 0 a 0 b 0 c 0 1 0 12"],
    atoms: &[
        ("score", |random| match random.below(18) {
            0..8 => random.within(-4..=5).to_string().into_bytes(),
            8..12 => random
                .pick(&["0.1", "-2.5", "1e17", "1.5e300", "4503599627370497", "1e-7", "365634.1491904987"])
                .into(),
            12 => random.pick(&["inf", "-inf", "+Inf", "infinity"]).into(),
            13 if random.one_in(3) => random.pick(&["x", "", "nan", " 1", "1e999", "0x1p3"]).into(),
            14 => format!("{}e{}", random.next(), random.within(-40..=10)).into_bytes(),
            15 => format!("{}.{}", random.below(100_000_000), random.next()).into_bytes(),
            _ => format!("{}.25", random.within(-3..=4)).into_bytes(),
        }),
        ("end", |random| {
            let open = if random.one_in(3) { "(" } else { "" };
            let end = match random.below(8) {
                0 => random.pick(&["-inf", "+inf", "inf"]).to_owned(),
                1 if random.one_in(3) => random.pick(&["", "(", "nan", "1e999", " 2", "x"]).to_owned(),
                2 => format!("{}.5", random.within(-4..=4)),
                _ => random.within(-5..=6).to_string(),
            };
            format!("{open}{end}").into_bytes()
        }),
        ("lexend", |random| match random.below(10) {
            0 => b"-".to_vec(),
            1 => b"+".to_vec(),
            2 if random.one_in(3) => random.pick(&["", "x", "--", "+1", "5"]).into(),
            _ => format!(
                "{}{}",
                random.pick(&["[", "("]),
                random.pick(&["a", "b", "c", "m1", "7", "", "12", "m9"])
            )
            .into_bytes(),
        }),
        ("source", |random| match random.below(14) {
            0 => b"s1".to_vec(),
            1 | 2 => b"none".to_vec(),
            3..5 => b"t1".to_vec(),
            _ => format!("z{}", 1 + random.below(4)).into_bytes(),
        }),
        ("n", |random| match random.below(10) {
            0 => random.pick(&["0", "-1", "x", "9", "9223372036854775807"]).into(),
            _ => (1 + random.below(3)).to_string().into_bytes(),
        }),
        ("limit", |random| random.pick(&["0", "1", "2", "-1", "100", "x"]).into()),
    ],
    patterns: &[
        (30, "ZADD $zset (NX|XX|GT|LT|CH|INCR)? ($score $member)+"),
        (6, "ZADD $zset (NX|XX|GT|LT|CH|INCR|BAD)* $score $member"),
        // Two commands: these are never spoilt, and where scores differ nobody knows what BYLEX finds.
        (6, "ZADD lex 0 $member; ZADD lex 0 $member"),
        (8, "ZINCRBY $zset $score $member"),
        (10, "ZREM $zset $member+"),
        (3, "SADD t1 $member+"),
        (6, "ZSCORE $zset $member"),
        (3, "ZMSCORE $zset $member+"),
        (2, "ZCARD $zset"),
        (4, "ZCOUNT $zset $end $end"),
        (3, "ZLEXCOUNT lex $lexend $lexend"),
        (5, "ZRANK $zset $member (WITHSCORE|withscore|BAD)?"),
        (4, "ZREVRANK $zset $member WITHSCORE?"),
        (6, "ZRANGE $zset $int $int (WITHSCORES|REV)*"),
        (6, "ZRANGE $zset $end $end BYSCORE (REV|WITHSCORES|LIMIT $limit $limit)*"),
        (4, "ZRANGE lex $lexend $lexend BYLEX (REV|LIMIT $limit $limit)*"),
        (2, "ZRANGE $zset $int $int (BYSCORE|BYLEX|REV|LIMIT $limit $limit|WITHSCORES|BAD|LIMIT)*"),
        (4, "ZRANGESTORE $zset $zset $int $int REV?"),
        (4, "ZRANGESTORE $zset $zset $end $end BYSCORE (REV|LIMIT $limit $limit)*"),
        (2, "ZRANGESTORE $zset lex $lexend $lexend BYLEX (REV|LIMIT $limit $limit|WITHSCORES)*"),
        (4, "ZRANGEBYSCORE $zset $end $end (WITHSCORES|LIMIT $limit $limit|BAD)*"),
        (4, "ZREVRANGEBYSCORE $zset $end $end (WITHSCORES|LIMIT $limit $limit)*"),
        (3, "ZRANGEBYLEX lex $lexend $lexend (LIMIT $limit $limit|BAD)*"),
        (3, "ZREVRANGEBYLEX lex $lexend $lexend (LIMIT $limit $limit)*"),
        (3, "ZREVRANGE $zset $int $int (WITHSCORES|BAD)?"),
        (3, "ZREMRANGEBYRANK $zset $int $int"),
        (3, "ZREMRANGEBYSCORE $zset $end $end"),
        (3, "ZREMRANGEBYLEX lex $lexend $lexend"),
        (4, "(ZPOPMIN|ZPOPMAX) $zset $int?"),
        (4, "ZMPOP $n $zset+ (MIN|MAX|BAD) (COUNT $limit)*"),
        (3, "ZMPOP #($zset+) (MIN|max) (COUNT $limit)?"),
        (3, "(BZPOPMIN|BZPOPMAX) $zset+ $timeout"),
        (3, "BZMPOP $timeout #($zset+) (MIN|MAX) (COUNT $limit)?"),
        (4, "ZUNION #($source+) (WEIGHTS $score $score|AGGREGATE (SUM|MIN|MAX|BAD)|WITHSCORES)*"),
        (4, "ZINTER #($source $source) (WEIGHTS $score $score|AGGREGATE (SUM|MIN|MAX)|WITHSCORES)*"),
        (4, "ZDIFF #($source+) (WITHSCORES|WEIGHTS 1)?"),
        (2, "(ZUNION|ZINTER|ZDIFF) $n $source+ (WITHSCORES|BAD)*"),
        (5, "ZUNIONSTORE $zset #($source $source) (WEIGHTS $score $score|AGGREGATE (SUM|MIN|MAX|BAD))*"),
        (5, "ZINTERSTORE $zset #($source $source) (WEIGHTS $score $score|AGGREGATE (SUM|MIN|MAX))*"),
        (3, "ZDIFFSTORE $zset #($source+)"),
        (2, "(ZUNIONSTORE|ZINTERSTORE|ZDIFFSTORE) $zset $n $source+ (WITHSCORES|WEIGHTS $score)*"),
        (3, "ZINTERCARD #($source+) (LIMIT $limit|BAD)*"),
        (1, "ZINTERCARD $n $source+"),
        (4, "ZRANDMEMBER $zset ($int WITHSCORES?)?"),
        (2, "ZSCAN $zset 0 COUNT 7"),
        (2, "ZSCAN $zset $int (COUNT $int|MATCH $pattern|NOSCORES|NOVALUES|BAD)*"),
        (2, "DEL $zset"),
        (2, "COPY $zset $zset REPLACE?"),
        (1, "ZADD $any $score $member"),
        (1, "PEXPIREAT $zset 99999999999999"),
        // Not by numbers, and never spoilt: see the common arguments on those beyond the range of doubles.
        (1, "SORT $zset (BY nosort|ALPHA) (DESC|LIMIT $limit $limit)*; ZCARD $zset"),
    ],
    compare_streams: true,
};
