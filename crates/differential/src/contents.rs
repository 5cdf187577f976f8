//! Everything that a server holds, read by the commands of each type.

use std::collections::BTreeMap;
use std::io;

use crate::Command;
use crate::command::words;
use crate::judge::Judge;
use crate::tree::Tree;
use crate::wire::Wire;

/// The databases that commands of the families reach.
const DATABASES: u32 = 3;
/// How far apart deadlines may lie that were given as a time from now.
const EXPIRY_TOLERANCE: u64 = 3000;

/// How each type is read; the key takes the place of the dot.
const READS: &[(&str, &[&str])] = &[
    ("string", &["GET ."]),
    ("list", &["LRANGE . 0 -1"]),
    ("set", &["SMEMBERS ."]),
    ("zset", &["ZRANGE . 0 -1 WITHSCORES"]),
    ("hash", &["HGETALL .", "HPEXPIRETIME . FIELDS 12 f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11"]),
    ("stream", &["XRANGE . - +", "XINFO GROUPS .", "XINFO STREAM . FULL COUNT 0"]),
];

/// What is known of one key.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    kind: String,
    encoding: Tree,
    expiry: i64,
    values: Vec<Tree>,
}

/// How much of two data sets must be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// All of it.
    Whole,
    /// All but the encodings, which are each side's own matter.
    Values,
    /// The same of what a dump brought to a server with other settings: a packed set knows no -0.
    Saved,
    /// What primaries tell their replicas.
    Told,
}

/// Database and key.
type Place = (u32, Vec<u8>);

/// A whole data set.
pub(crate) type Contents = BTreeMap<Place, Facts>;

/// Reads everything. The connection is left in database 0.
pub(crate) fn read(wire: &mut Wire) -> io::Result<Contents> {
    let mut all = Contents::new();
    for db in 0..DATABASES {
        wire.ask(&words(&format!("SELECT {db}")))?;
        let keys = Tree::parse(&wire.ask(&words("KEYS *"))?).strings();
        let about: Vec<Command> = keys
            .iter()
            .flat_map(|key| ["TYPE .", "OBJECT ENCODING .", "PEXPIRETIME ."].map(|line| with_key(line, key)))
            .collect();
        let about = wire.ask_all(&about)?;
        let mut reads = Vec::new();
        let kinds = about
            .chunks_exact(3)
            .map(|part| String::from_utf8_lossy(&Tree::parse(&part[0]).text).into_owned());
        let kinds: Vec<String> = kinds.collect();
        for (key, kind) in keys.iter().zip(&kinds) {
            reads.extend(reads_of(kind).iter().map(|line| with_key(line, key)));
        }
        let mut values = wire.ask_all(&reads)?.into_iter().zip(&reads).map(|(reply, command)| {
            let mut tree = Tree::parse(&reply);
            match Judge::of(command) {
                Judge::Unordered(group) => tree.sort(group),
                Judge::Moments => tree.forget_moments(),
                // Deadlines that were given as a time from now lie a little apart.
                Judge::EachNear(_) => tree.round(1_000_000),
                _ => {}
            }
            tree
        });
        for ((key, kind), part) in keys.into_iter().zip(kinds).zip(about.chunks_exact(3)) {
            let values = values.by_ref().take(reads_of(&kind).len()).collect();
            let expiry = Tree::parse(&part[2]).integer().unwrap_or(-2);
            all.insert((db, key), Facts { kind, encoding: Tree::parse(&part[1]), expiry, values });
        }
    }
    wire.ask(&words("SELECT 0"))?;
    Ok(all)
}

fn reads_of(kind: &str) -> &'static [&'static str] {
    READS.iter().find(|(known, _)| *known == kind).map_or(&[], |(_, reads)| *reads)
}

fn with_key(line: &str, key: &[u8]) -> Command {
    let mut command = words(line);
    command.iter_mut().filter(|arg| *arg == b".").for_each(|arg| *arg = key.to_vec());
    command
}

/// The first thing on which two data sets differ: what, in the first, in the second.
pub(crate) fn difference(a: &Contents, b: &Contents, how: Depth) -> Option<[String; 3]> {
    let name = |place: &Place| format!("db {} \"{}\"", place.0, place.1.escape_ascii());
    for place in a.keys().chain(b.keys()) {
        let (x, y) = match (a.get(place), b.get(place)) {
            (Some(x), Some(y)) => (x, y),
            (x, y) => {
                let shown =
                    |facts: Option<&Facts>| facts.map_or_else(|| "missing".to_owned(), |f| format!("{f:?}"));
                return Some([name(place), shown(x), shown(y)]);
            }
        };
        let differ = |what: &str, x: String, y: String| Some([format!("{} {what}", name(place)), x, y]);
        if x.kind != y.kind {
            return differ("type", x.kind.clone(), y.kind.clone());
        }
        let called = |x_name: &[u8], y_name: &[u8]| x.encoding.text == x_name && y.encoding.text == y_name;
        // A number that INCRBYFLOAT wrote; and what Redis 8.2 does with long keys depends on what was there before.
        let forgiven = called(b"int", b"embstr") || place.1.len() > 32 && called(b"raw", b"embstr");
        if how == Depth::Whole && x.encoding != y.encoding && !forgiven {
            return differ("encoding", format!("{:?}", x.encoding), format!("{:?}", y.encoding));
        }
        let near = x.expiry > 0 && y.expiry > 0 && x.expiry.abs_diff(y.expiry) <= EXPIRY_TOLERANCE;
        if x.expiry != y.expiry && !near {
            return differ("expiry", x.expiry.to_string(), y.expiry.to_string());
        }
        let seen = |values: &[Tree]| {
            let mut values = values.to_vec();
            match how {
                // A large set keeps a -0, and replicas are not told that SORT has made it large.
                Depth::Told => values.iter_mut().for_each(|tree| {
                    tree.forget_untold();
                    tree.forget_negative_zeros();
                }),
                Depth::Saved => values.iter_mut().for_each(Tree::forget_negative_zeros),
                Depth::Whole | Depth::Values => {}
            }
            values
        };
        if x.values != y.values && seen(&x.values) != seen(&y.values) {
            return differ("value", format!("{:?}", x.values), format!("{:?}", y.values));
        }
    }
    None
}
