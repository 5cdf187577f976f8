//! An independent judge: do two servers hold the same data?
//!
//! Every key of every database is read by the commands of its type from both, and the answers are compared. What a
//! server may choose for itself (order of a set, text of a score, encodings, node counts) does not count.

mod read;

use std::collections::BTreeSet;
use std::fmt;
use std::thread;

use crate::known::Known;
use crate::{Client, Reply};
use read::{Facts, read_keys};

/// Servers have 16 databases unless told otherwise.
const DATABASES: usize = 16;
/// Keys read in one pipeline.
const CHUNK: usize = 500;
/// How far apart expiry times may lie if one side can only tell the time that is left.
const EXPIRY_TOLERANCE_MS: i64 = 2_000;

/// Something that two servers do not agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Number of the database; `None` for functions.
    pub db: Option<usize>,
    /// The key, or the name of the function library.
    pub key: Vec<u8>,
    /// What differs: `type`, `value`, `expiry`, `field expiry`, `stream`, `groups`, `counters`,
    /// `idle consumer` (known to one side only, with nothing pending), `code`.
    pub what: &'static str,
    /// What the first server says.
    pub a: String,
    /// What the second server says.
    pub b: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = |text: &str| text.chars().take(300).collect::<String>();
        match self.db {
            Some(db) => write!(f, "db {db} ")?,
            None => f.write_str("function ")?,
        }
        write!(f, "{}: {}: {} <> {}", self.key.escape_ascii(), self.what, cut(&self.a), cut(&self.b))
    }
}

/// All on which two servers differ, in order of database and key; empty when they are equal.
///
/// Nobody should write meanwhile. A key that differs is read again once, since it may have expired between the two
/// readings. Both connections are left in database 0.
///
/// Not compared is what even a real replica does not learn from the stream of commands: when consumers of streams
/// were last seen, and how many entries a group has read (`entries-read`, and `lag`, which follows from it:
/// `XREADGROUP` travels as `XCLAIM`, which does not carry the count). Redis 6.0 and 8.2 and Valkey also keep some
/// consumers that have nothing pending from their replicas; that is compared, as `idle consumer`.
///
/// # Panics
/// When a connection fails.
#[must_use]
#[track_caller]
pub fn differences(a: &mut Client, b: &mut Client) -> Vec<Difference> {
    let mut found = differences_after_full_sync(a, b);
    found.retain(|difference| difference.what != "counters");
    found
}

/// As [`differences`], with the number of entries that groups have read (`counters`): a full sync does carry it.
///
/// # Panics
/// When a connection fails.
#[must_use]
#[track_caller]
pub fn differences_after_full_sync(a: &mut Client, b: &mut Client) -> Vec<Difference> {
    let (known_a, known_b) = (Known::of(a), Known::of(b));
    let mut all = Vec::new();
    for db in 0..DATABASES {
        let selected = both(a, b, |client| client.call(&["SELECT", &db.to_string()]));
        if selected.0.is_error() && selected.1.is_error() {
            break;
        }
        let (keys_a, keys_b) = both(a, b, scan);
        let keys: Vec<Vec<u8>> = keys_a.union(&keys_b).cloned().collect();
        for chunk in keys.chunks(CHUNK) {
            let mut unequal = chunk.to_vec();
            let mut found = Vec::new();
            for _ in 0..2 {
                let facts = thread::scope(|scope| {
                    let other = scope.spawn(|| read_keys(b, &known_b, &unequal));
                    let one = read_keys(a, &known_a, &unequal);
                    (one, joined(other.join()))
                });
                found.clear();
                let mut still = Vec::new();
                for ((key, one), other) in unequal.into_iter().zip(facts.0).zip(facts.1) {
                    let before = found.len();
                    compare(db, &key, &one, &other, &mut found);
                    if found.len() > before {
                        still.push(key);
                    }
                }
                unequal = still;
                if unequal.is_empty() {
                    break;
                }
            }
            all.append(&mut found);
        }
    }
    both(a, b, |client| client.call(&["SELECT", "0"]).ok());
    if known_a.has("FUNCTION") && known_b.has("FUNCTION") {
        compare_functions(a, b, &mut all);
    }
    all
}

/// Asserts that two servers hold the same, and shows the first differences when they do not.
///
/// # Panics
/// When they differ.
#[track_caller]
pub fn assert_equal(a: &mut Client, b: &mut Client) {
    let found = differences(a, b);
    let first: Vec<String> = found.iter().take(20).map(Difference::to_string).collect();
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), first.join("\n"));
}

/// Asks both at the same time.
fn both<T: Send>(a: &mut Client, b: &mut Client, ask: impl Fn(&mut Client) -> T + Sync) -> (T, T) {
    thread::scope(|scope| {
        let other = scope.spawn(|| ask(b));
        (ask(a), joined(other.join()))
    })
}

/// Hands a panic of a reading thread on to the test.
fn joined<T>(result: thread::Result<T>) -> T {
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Every key of the selected database.
fn scan(client: &mut Client) -> BTreeSet<Vec<u8>> {
    let mut keys = BTreeSet::new();
    let mut cursor = b"0".to_vec();
    loop {
        let reply = client.call(&[b"SCAN".as_slice(), &cursor, b"COUNT", b"2000"]).ok();
        let [next, found] = reply.array() else { panic!("not a reply to SCAN: {reply:?}") };
        keys.extend(found.strings());
        cursor = next.bytes().to_vec();
        if cursor == b"0" {
            return keys;
        }
    }
}

fn compare(db: usize, key: &[u8], a: &Facts, b: &Facts, found: &mut Vec<Difference>) {
    let mut differ = |what, a: String, b: String| {
        found.push(Difference { db: Some(db), key: key.to_vec(), what, a, b });
    };
    if a.kind != b.kind {
        return differ("type", a.kind.clone(), b.kind.clone());
    }
    if a.value != b.value {
        let (one, other) = first_unequal(&a.value, &b.value);
        differ("value", one, other);
    }
    if !a.expiry.agrees(b.expiry) {
        differ("expiry", format!("{:?}", a.expiry), format!("{:?}", b.expiry));
    }
    if let (Some(one), Some(other)) = (&a.field_expiry, &b.field_expiry)
        && one != other
    {
        differ("field expiry", format!("{one:?}"), format!("{other:?}"));
    }
    for (what, one, other) in [("stream", &a.stream, &b.stream), ("groups", &a.groups, &b.groups)] {
        // Servers of different age tell different things; what both tell must be equal.
        for (name, value) in one {
            if let Some(theirs) = other.get(name)
                && value != theirs
            {
                let counts = name.ends_with(" entries-read") || name.ends_with(" lag");
                let what = if counts { "counters" } else { what };
                differ(what, format!("{name} {value}"), format!("{name} {theirs}"));
            }
        }
        for (mine, theirs, mine_is_first) in [(one, other, true), (other, one, false)] {
            for name in mine.keys().filter(|name| !theirs.contains_key(*name)) {
                let Some(path) = name.strip_suffix(" exists") else { continue };
                let idle = path.contains(" consumer ")
                    && mine.get(&format!("{path} pel-count")).is_some_and(|count| count == "0");
                let what = if idle { "idle consumer" } else { what };
                let (here, missing) = (name.clone(), "missing".to_owned());
                if mine_is_first { differ(what, here, missing) } else { differ(what, missing, here) }
            }
        }
    }
}

/// The first element two readings differ in, so that a message about a long list stays readable.
fn first_unequal(a: &Reply, b: &Reply) -> (String, String) {
    let (Some(one), Some(other)) = (a.as_array(), b.as_array()) else {
        return (format!("{a:?}"), format!("{b:?}"));
    };
    let at = one.iter().zip(other).take_while(|(x, y)| x == y).count();
    let show = |items: &[Reply]| format!("{} elements, [{at}] is {:?}", items.len(), items.get(at));
    (show(one), show(other))
}

fn compare_functions(a: &mut Client, b: &mut Client, found: &mut Vec<Difference>) {
    let list = |client: &mut Client| -> Vec<(Vec<u8>, String)> {
        let reply = client.call(&["FUNCTION", "LIST", "WITHCODE"]);
        let libraries = reply.as_array().unwrap_or_default().iter().filter_map(|library| {
            let name = library.field("library_name")?.as_bytes()?.to_vec();
            Some((name, format!("{:?}", library.field("library_code"))))
        });
        libraries.collect()
    };
    let (one, other) = both(a, b, list);
    let names: BTreeSet<Vec<u8>> = one.iter().chain(&other).map(|(name, _)| name.clone()).collect();
    for key in names {
        let code = |list: &[(Vec<u8>, String)]| match list.iter().find(|(name, _)| *name == key) {
            Some((_, code)) => code.clone(),
            None => "missing".to_owned(),
        };
        let (a, b) = (code(&one), code(&other));
        if a != b {
            found.push(Difference { db: None, key, what: "code", a, b });
        }
    }
}
