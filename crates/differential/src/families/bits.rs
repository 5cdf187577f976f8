//! Bits and fields of bits in strings.

use testkit::Random;

use crate::family::Family;
use crate::pattern::Atoms;

fn bit(random: &mut Random) -> Vec<u8> {
    match random.below(30) {
        0 => random.pick(&["-1", "x", "", "8388607", "8388608", "9223372036854775807", "#1"]).into(),
        _ => random.below(120).to_string().into_bytes(),
    }
}

pub(super) const ATOMS: Atoms = &[
    ("bit", bit),
    ("place", |random| match random.below(12) {
        0 => bit(random),
        1..4 => format!("#{}", random.below(6)).into_bytes(),
        _ => random.below(100).to_string().into_bytes(),
    }),
    ("kind", |random| {
        let odd = ["u64", "i65", "u0", "x8", "i", "", "i8x", "I8", "u-1"];
        let good =
            ["u1", "u2", "u5", "u8", "u16", "u32", "u63", "i1", "i2", "i5", "i8", "i16", "i33", "i64", "i63"];
        if random.one_in(40) { random.pick(&odd) } else { random.pick(&good) }.into()
    }),
    ("number", |random| match random.below(12) {
        0 => random
            .pick(&["9223372036854775807", "-9223372036854775808", "4294967296", "-2147483649", "x", ""])
            .into(),
        1..4 => random.within(-40000..=40000).to_string().into_bytes(),
        _ => random.within(-40..=300).to_string().into_bytes(),
    }),
    ("bytes", |random| (0..random.below(40)).map(|_| random.pick(&[0_u8, 255, 1, 128, 85])).collect()),
];

pub(super) static FAMILY: Family = Family {
    name: "bits",
    settings: &[],
    preamble: &["SET s2 10"],
    atoms: ATOMS,
    patterns: &[
        (12, "SETBIT $string $bit (0|1|1|0|1|2|x)"),
        (4, "GETBIT $string $bit"),
        (6, "SET $string $bytes"),
        (2, "SET $string $value"),
        (8, "BITCOUNT $string ($int $int (BIT|BYTE|bit|BAD|BIT x|)|$int|)"),
        (8, "BITPOS $string (0|1|0|1|0|1|2|x|-1) ($int $int (BIT|BYTE|bit|BAD|)|$int|)"),
        (6, "BITOP (AND|OR|XOR|and|BAD) $string $string+"),
        (2, "BITOP NOT $string $string (|$string)"),
        (6, "BITOP (DIFF|DIFF1|ANDOR|ONE|diff|one) $string $string+"),
        (
            20,
            "BITFIELD $string (GET $kind $place|SET $kind $place $number|INCRBY $kind $place $number|OVERFLOW (WRAP|SAT|sat|BAD))*",
        ),
        (2, "BITFIELD $string (GET|GET u8|SET u8 0|OVERFLOW|BAD u8 0)"),
        (6, "BITFIELD_RO $string (GET $kind $place|GET $kind $place|SET $kind $place $number|OVERFLOW SAT)*"),
        (6, "MGET s1 s2 s3 s4"),
        (3, "OBJECT ENCODING $string"),
        (2, "PEXPIREAT $string $atms"),
        (2, "DEL $string"),
        (2, "APPEND $string $bytes"),
        (2, "SETRANGE $string $int $bytes"),
    ],
    compare_streams: true,
    compare_encodings: true,
};
