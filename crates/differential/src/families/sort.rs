//! SORT and `SORT_RO`. The real servers turn a sorted set that they sort into a skiplist; we leave it as it is.

use crate::family::Family;

pub(super) static FAMILY: Family = Family {
    name: "sort",
    settings: &[],
    preamble: &["RPUSH l2 3 1 2", "SET w_1 3", "SET w_2 1", "HSET h_1 n 2"],
    atoms: &[
        ("n", |random| random.within(-5..=12).to_string().into_bytes()),
        ("weight", |random| random.pick(&["1", "-3", "2.5", "0", "100", "1e3"]).into()),
        ("limit", |random| random.within(-2..=8).to_string().into_bytes()),
        ("w", |random| format!("w_{}", random.within(-5..=12)).into_bytes()),
        ("h", |random| format!("h_{}", random.within(-5..=12)).into_bytes()),
        // The order of a set that nothing sorts is nobody's promise, so those that may lack one sort other types.
        ("ordered", |random| random.pick(&["l1", "l2", "l3", "z2", "z3", "none", "s1"]).into()),
        ("sorted", |random| random.pick(&["l1", "l2", "t2", "t3", "z2", "l3", "none", "s1"]).into()),
    ],
    patterns: &[
        (6, "RPUSH l2 $n"),
        (4, "RPUSH l3 $n $weight"),
        (4, "SADD t2 $n"),
        (4, "SADD t3 $n"),
        (6, "ZADD z2 $weight $n"),
        (8, "SET $w $weight"),
        (8, "HSET $h n $weight"),
        (2, "RPUSH l3 word; SORT l3"),
        (3, "DEL (l2|l3|$w|$h)"),
        (2, "SET $w x"),
        (
            10,
            "SORT $sorted (ASC|DESC|desc|GET #|GET w_*|GET h_*->n|GET h_*->|GET nostar|GET nostar2|LIMIT $limit $limit|STORE l3|STORE l2)*",
        ),
        (6, "SORT $sorted ALPHA (ASC|DESC|GET #|GET w_*|LIMIT $limit $limit|STORE l3)*"),
        (
            8,
            "SORT $ordered BY (w_*|h_*->n|h_*->|nosort|*) (ASC|DESC|GET #|GET w_*|LIMIT $limit $limit|STORE l4)*",
        ),
        (6, "SORT $ordered BY nosort (ASC|DESC|GET #|GET w_*|LIMIT $limit $limit|STORE l4)*"),
        (4, "SORT $ordered (BAD|GET|BY|LIMIT 0|LIMIT x 1|STORE|ALPHA|DESC)*"),
        (6, "SORT_RO $sorted (ASC|DESC|GET #|GET w_*|GET h_*->n|LIMIT $limit $limit|STORE l3)*"),
        (4, "LRANGE (l2|l3|l4) 0 -1"),
        (1, "PEXPIREAT $ordered $atms"),
    ],
    compare_streams: true,
    compare_encodings: false,
};
