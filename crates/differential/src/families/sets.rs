//! Sets.

use crate::family::Family;

pub(super) static FAMILY: Family = Family {
    name: "sets",
    settings: &[
        // Not below the number of members that one SADD brings: newer servers then guess how large a set will be.
        ("set-max-intset-entries", &["512", "12", "24"]),
        ("set-max-listpack-entries", &["128", "0", "5", "12"]),
        ("set-max-listpack-value", &["64", "0", "5"]),
    ],
    preamble: &["SADD t2 a b c", "SADD t3 1 2 3 a"],
    atoms: &[],
    patterns: &[
        (20, "SADD $set $member+ $member*"),
        (12, "SREM $set $member+"),
        (4, "SISMEMBER $set $member"),
        (4, "SMISMEMBER $set $member+"),
        (4, "SMEMBERS $set"),
        (4, "SCARD $set"),
        (8, "SMOVE $set $set $member"),
        (4, "SINTER $set+"),
        (4, "SUNION $set+"),
        (4, "SDIFF $set+"),
        (3, "SINTERSTORE $set $set+"),
        (3, "SUNIONSTORE $set $set+"),
        (3, "SDIFFSTORE $set $set+"),
        (6, "SINTERCARD #($set+) (LIMIT $int|LIMIT 2|limit 1|LIMIT|BAD 1)*"),
        (2, "SINTERCARD $count $set+ (LIMIT $int)?"),
        (6, "SRANDMEMBER $set (0|1|3|100|-1|-5|x|2 more|)"),
        (
            4,
            "SSCAN $set (0|0|0|0|x|-1|18446744073709551616) (COUNT $count|MATCH $pattern|MATCH m*|BAD y|COUNT)*",
        ),
        (6, "OBJECT ENCODING $set"),
        (2, "DEL $any"),
        (1, "PEXPIREAT $set $atms"),
    ],
    compare_streams: true,
    compare_encodings: true,
};
