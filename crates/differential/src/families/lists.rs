//! Lists.

use crate::family::Family;

pub(super) static FAMILY: Family = Family {
    name: "lists",
    settings: &[("list-max-listpack-size", &["-2", "4", "-1", "1", "128"])],
    preamble: &["RPUSH l2 e1 e2 e3 e1 e2 e3"],
    atoms: &[("side", |random| {
        if random.one_in(30) { "MIDDLE" } else { random.pick(&["LEFT", "RIGHT", "left", "right"]) }.into()
    })],
    patterns: &[
        (10, "LPUSH $list $element+"),
        (20, "RPUSH $list $element+ $element*"),
        (4, "LPUSHX $list $element+"),
        (4, "RPUSHX $list $element+"),
        (4, "LPOP $list $count?"),
        (4, "RPOP $list $count?"),
        (3, "LLEN $list"),
        (6, "LINDEX $list $int"),
        (6, "LSET $list $int $element"),
        (6, "LINSERT $list (BEFORE|AFTER|after|NEAR) $element $element"),
        (6, "LREM $list $int $element"),
        (6, "LTRIM $list 0 60"),
        (2, "LTRIM $list $int $int"),
        (8, "LRANGE $list $int $int"),
        (4, "LRANGE $list 0 -1"),
        (8, "LPOS $list $element (RANK $int|RANK 1|RANK -1|COUNT $int|COUNT 0|MAXLEN $int|BAD 1|RANK)*"),
        (8, "LMOVE $list $list $side $side"),
        (4, "RPOPLPUSH $list $list"),
        (6, "LMPOP #($list+) $side (COUNT $count|count 2|BAD 1|COUNT)?"),
        (2, "LMPOP $count $list+ $side (COUNT $count)*"),
        (4, "BLPOP $list+ $timeout"),
        (4, "BRPOP $list+ $timeout"),
        (4, "BLMOVE $list $list $side $side $timeout"),
        (3, "BRPOPLPUSH $list $list $timeout"),
        (4, "BLMPOP $timeout #($list+) $side (COUNT $count)?"),
        (4, "OBJECT ENCODING $list"),
        (2, "DEL $any"),
        (1, "PEXPIREAT $list $atms"),
        (1, "PERSIST $list"),
    ],
    compare_streams: true,
    compare_encodings: true,
};
