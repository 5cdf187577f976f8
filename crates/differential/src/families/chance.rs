//! Sets, with SPOP: replicas are told whom chance chose, on each side another.

use crate::family::Family;

pub(super) static FAMILY: Family = Family {
    name: "chance",
    settings: &[
        ("set-max-intset-entries", &["512", "12", "24"]),
        ("set-max-listpack-entries", &["128", "0", "5", "12"]),
        ("set-max-listpack-value", &["64", "0", "5"]),
    ],
    preamble: &["SADD t2 a b c", "SADD t3 1 2 3 a"],
    atoms: &[],
    patterns: &[
        (20, "SADD $set $member+ $member*"),
        (4, "SREM $set $member+"),
        (4, "SCARD $set"),
        (4, "SMEMBERS $set"),
        (12, "SPOP $set (0|1|2|5|100|-1|x|2 more|)"),
        (6, "SRANDMEMBER $set (0|1|3|100|-1|-5|x|2 more|)"),
        (1, "SUNIONSTORE $set $set+"),
        (2, "OBJECT ENCODING $set"),
        (1, "DEL $set"),
        (1, "PEXPIREAT $set $atms"),
    ],
    compare_streams: false,
    compare_encodings: false,
};
