//! HyperLogLogs: their bytes too.

use crate::family::Family;

pub(super) static FAMILY: Family = Family {
    name: "sketches",
    settings: &[("hll-sparse-max-bytes", &["3000", "100", "0", "500"])],
    preamble: &["SET s4 HYLL-but-not-really"],
    atoms: &[
        ("few", |random| random.below(50).to_string().into_bytes()),
        ("many", |random| random.below(100_000).to_string().into_bytes()),
        ("sketch", |random| match random.below(30) {
            0 => b"l1".to_vec(),
            1 => b"s4".to_vec(),
            2 => b"none".to_vec(),
            _ => format!("p{}", random.below(5)).into_bytes(),
        }),
    ],
    patterns: &[
        (8, "PFADD $sketch $few*"),
        (8, "PFADD $sketch $many*; GET p1"),
        (4, "PFADD $sketch $many+ $many+ $many+ $many+ $many+ $many+ $many+ $many+"),
        (6, "PFCOUNT $sketch"),
        (4, "PFCOUNT $sketch+"),
        (6, "PFMERGE $sketch $sketch*"),
        (6, "GET $sketch"),
        (1, "PFDEBUG ENCODING $sketch"),
        (1, "PFDEBUG DECODE $sketch"),
        (1, "PFDEBUG GETREG $sketch"),
        (1, "PFDEBUG TODENSE $sketch"),
        (1, "PFDEBUG BAD $sketch"),
        (1, "DEL $sketch"),
        (1, "SET $sketch (HYLL|x|)"),
    ],
    compare_streams: true,
    compare_encodings: true,
};
