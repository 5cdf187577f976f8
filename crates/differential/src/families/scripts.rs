//! Scripts and functions, with bodies that [`crate::body`] makes up.

use testkit::Random;

use crate::body::{FUNCTIONS, KNOWN, library, script};
use crate::family::Family;

fn digest(random: &mut Random) -> Vec<u8> {
    let hex = lua::Digest::of(random.pick(KNOWN).as_bytes()).to_hex();
    match random.below(12) {
        0 => hex.to_uppercase(),
        1 => hex[1..].to_owned(),
        2 => format!("{}z", &hex[1..]),
        _ => hex,
    }
    .into_bytes()
}

pub(super) static FAMILY: Family = Family {
    name: "scripts",
    settings: &[],
    // FUNCTION FLUSH now and then ends Redis 8.2.3.
    preamble: &["SCRIPT FLUSH", "FUNCTION DELETE lib0", "FUNCTION DELETE lib1", "FUNCTION DELETE lib2"],
    atoms: &[
        ("script", script),
        ("library", library),
        ("known", |random| random.pick(KNOWN).into()),
        ("digest", digest),
        ("function", |random| random.pick(FUNCTIONS).into()),
        ("lib", |random| random.pick(&["lib0", "lib1", "lib2", "none"]).into()),
    ],
    patterns: &[
        (60, "EVAL $script #($any $any?) $value*"),
        (8, "EVAL $script #($any*) $value*"),
        (8, "EVAL_RO $script #($any $any?) $value*"),
        (1, "EVAL $script $int $any"),
        (6, "EVAL $known #($any) $value*"),
        (4, "SCRIPT LOAD $known"),
        (8, "EVALSHA $digest #($any) $value*"),
        (4, "EVALSHA_RO $digest #($any) $value*"),
        (4, "SCRIPT EXISTS $digest+"),
        (1, "SCRIPT FLUSH (ASYNC|SYNC|BAD|)"),
        (1, "SCRIPT (KILL|DEBUG|SHOW $digest|SHOW|NOSUCH|LOAD|EXISTS|HELP)"),
        (16, "FUNCTION LOAD REPLACE $library"),
        (2, "FUNCTION LOAD $library"),
        (1, "FUNCTION LOAD (REPLACE|BAD $library|REPLACE $library x)"),
        (2, "FUNCTION DELETE $lib"),
        (4, "FUNCTION LIST (LIBRARYNAME $lib) (WITHCODE|)"),
        (1, "FUNCTION LIST (LIBRARYNAME|BAD|WITHCODE WITHCODE)"),
        (1, "FUNCTION (KILL|NOSUCH|RESTORE x|RESTORE|DELETE|LOAD|HELP)"),
        (20, "FCALL $function #($any $any?) $value*"),
        (6, "FCALL_RO $function #($any) $value*"),
        (1, "FCALL (nosuch|f1) $int $any"),
        (2, "MULTI; EVAL $script #($any) $value; FCALL $function #($any); EVALSHA $digest 1 $any; EXEC"),
        (6, "SET $string $value"),
        (3, "RPUSH $list $element"),
        (3, "HSET $hash $field $value"),
        (3, "ZADD $zset $int $member"),
        (2, "GET $string"),
        (1, "DEL $any"),
    ],
    compare_streams: true,
    compare_encodings: true,
};
