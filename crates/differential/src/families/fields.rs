//! Fields that must not overflow. One that fails still makes its string grow, of which the real servers tell their
//! replicas nothing (ours do): so replicas are not compared.

use crate::family::Family;

use super::bits;

pub(super) static FAMILY: Family = Family {
    name: "fields",
    settings: &[],
    preamble: &["SET s2 10"],
    atoms: bits::ATOMS,
    patterns: &[
        (
            20,
            "BITFIELD $string (GET $kind $place|SET $kind $place $number|INCRBY $kind $place $number|OVERFLOW (WRAP|SAT|FAIL|FAIL|BAD))*",
        ),
        (2, "SET $string $bytes"),
        (2, "MGET s1 s2 s3 s4"),
        (1, "DEL $string"),
    ],
    compare_streams: false,
    compare_encodings: true,
};
