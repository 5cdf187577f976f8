//! Places. No two are equally far from a third by chance: their order is nobody's promise.

use testkit::Random;

use crate::family::Family;

/// Anywhere, or near a home.
fn degrees(random: &mut Random, most: i64, home: i64) -> Vec<u8> {
    let whole = if random.one_in(3) { random.within(-most..=most) } else { home };
    format!("{whole}.{:06}", random.below(1_000_000)).into_bytes()
}

pub(super) static FAMILY: Family = Family {
    compare_encodings: true,
    name: "geo",
    settings: &[("zset-max-listpack-entries", &["128", "10"])],
    preamble: &[
        "GEOADD z2 13.361389 38.115556 m0 15.087269 37.502669 m1 2.349014 48.864716 m2",
        "GEOADD z3 13.5 38.2 m0 13.7 38.9 m3",
    ],
    atoms: &[
        ("lon", |random| match random.below(40) {
            0 => random.pick(&["180", "-180", "0", "1e1", "x", "", "999", "-180.1", "nan"]).into(),
            _ => degrees(random, 179, 13),
        }),
        ("lat", |random| match random.below(40) {
            0 => random.pick(&["85.05112878", "-85.05112878", "0", "85.1", "inf", "nan"]).into(),
            _ => degrees(random, 84, 38),
        }),
        // Polygons around half the globe are covered by cells in each server's own way.
        ("plon", |random| format!("{}.{:06}", 8 + random.below(12), random.below(1_000_000)).into_bytes()),
        ("plat", |random| format!("{}.{:06}", 33 + random.below(12), random.below(1_000_000)).into_bytes()),
        ("place", |random| format!("m{}", random.below(60)).into_bytes()),
        ("geo", |random| match random.below(16) {
            0 => b"s1".to_vec(),
            1 => b"none".to_vec(),
            _ => random.pick(&["z2", "z2", "z3"]).into(),
        }),
        // Never searched: distances as scores are places side by side.
        ("target", |random| random.pick(&["z4", "none2"]).into()),
        ("unit", |random| random.pick(&["m", "km", "KM", "ft", "mi", "km", "km", "yd"]).into()),
        ("length", |random| match random.below(12) {
            0 => random.pick(&["x", "-1", "", "0", "0"]).into(),
            1..5 => (1 + random.below(100)).to_string().into_bytes(),
            5..9 => (100 + random.below(4900)).to_string().into_bytes(),
            9..11 => (5000 + random.below(295_000)).to_string().into_bytes(),
            _ => random.pick(&["0.5", "20000000", "1e9", "12345.678"]).into(),
        }),
        ("many", |random| random.pick(&["3", "10", "1", "4", "0", "-1", "x"]).into()),
        // Any score is a place.
        ("scorebits", |random| (random.next() >> 12).to_string().into_bytes()),
        ("corners", |random| random.pick(&["3", "4", "4", "2", "5", "x", "0", "-3", "2147483648"]).into()),
    ],
    patterns: &[
        (30, "GEOADD $geo (NX|XX|CH)? ($lon $lat $place)+"),
        (3, "GEOADD $geo (NX|XX|CH|BAD)* $lon $lat $place"),
        (2, "ZADD z2 $scorebits $place"),
        (6, "GEOPOS $geo $place*"),
        (5, "GEODIST $geo $place $place $unit?"),
        (4, "GEOHASH $geo $place*"),
        (
            10,
            "GEOSEARCH $geo (FROMLONLAT $lon $lat|FROMMEMBER $place) (BYRADIUS $length $unit|BYBOX $length $length $unit) (ASC|DESC)? (COUNT $many ANY?)? (WITHDIST|WITHHASH|WITHCOORD)*",
        ),
        (
            3,
            "GEOSEARCH $geo (FROMLONLAT $lon $lat|FROMMEMBER $place|BYRADIUS $length $unit|BYBOX $length $length $unit|BYPOLYGON 3 $plon $plat $plon $plat $plon $plat|ASC|ANY|COUNT $many|STOREDIST|BAD)+",
        ),
        (
            8,
            "GEOSEARCH $geo BYPOLYGON 4 $plon $plat $plon $plat $plon $plat $plon $plat (ASC|DESC)? (COUNT $many ANY?)? (WITHDIST|WITHHASH|WITHCOORD)*",
        ),
        (3, "GEOSEARCH $geo BYPOLYGON $corners ($plon $plat)+ (ASC|DESC|WITHDIST|FROMMEMBER m0)*"),
        (3, "GEOSEARCHSTORE $target $geo BYPOLYGON 3 $plon $plat $plon $plat $plon $plat STOREDIST?"),
        (
            6,
            "GEOSEARCHSTORE $target $geo (FROMLONLAT $lon $lat|FROMMEMBER $place) (BYRADIUS $length $unit|BYBOX $length $length $unit) (STOREDIST|ASC|COUNT $many ANY?|WITHDIST)*",
        ),
        (
            6,
            "GEORADIUS $geo $lon $lat $length $unit (WITHDIST|WITHCOORD|WITHHASH|ASC|DESC|COUNT $many ANY?)*",
        ),
        (3, "GEORADIUS $geo $lon $lat $length $unit (STORE $target|STOREDIST $target|COUNT $many|WITHDIST)*"),
        (3, "GEORADIUS_RO $geo $lon $lat $length $unit (ASC|COUNT $many ANY?|STORE $target)*"),
        (
            4,
            "GEORADIUSBYMEMBER $geo $place $length $unit (WITHDIST|WITHCOORD|ASC|DESC|COUNT $many|STORE $target)*",
        ),
        (3, "GEORADIUSBYMEMBER_RO $geo $place $length $unit (ASC|WITHHASH|COUNT $many)*"),
        (2, "ZREM $geo $place"),
        (2, "ZRANGE $target 0 -1 WITHSCORES"),
        (1, "DEL $target"),
        (1, "GEOADD $any $lon $lat $place"),
    ],
    compare_streams: true,
};
