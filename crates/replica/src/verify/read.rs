//! What a client can read of a key, brought into a form that can be compared.

use std::collections::BTreeMap;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use resp::Value;

use super::wire::Wire;
use crate::Filter;

/// Everything about one key.
#[derive(Debug, PartialEq)]
pub(super) struct Key {
    kind: Vec<u8>,
    expire: Expire,
    value: Value,
    /// When the fields of a hash expire, in their order; `None` where the server knows no such thing.
    fields: Option<Value>,
}

/// When a key expires.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Expire {
    /// To the millisecond; -1: never.
    At(i64),
    /// As far as a server before 7.0 tells: reckoned from what is left.
    About(i64),
}

impl Expire {
    fn differs(self, other: Self) -> bool {
        match (self, other) {
            (Self::At(a), Self::At(b)) => a != b,
            (Self::At(a) | Self::About(a), Self::At(b) | Self::About(b)) => {
                (a < 0) != (b < 0) || a.abs_diff(b) > ROUGHLY
            }
        }
    }
}

/// Milliseconds that may pass while one is asked what is left.
const ROUGHLY: u64 = 5000;

impl Key {
    /// Of a key that is not there.
    pub(super) fn none() -> Self {
        Self {
            kind: b"none".to_vec(),
            expire: Expire::At(-2),
            value: Value::Simple(b"none".as_slice().into()),
            fields: None,
        }
    }

    /// What TYPE says.
    pub(super) fn kind(&self) -> &str {
        std::str::from_utf8(&self.kind).unwrap_or_default()
    }

    fn holds_the_same(&self, other: &Self) -> bool {
        self.value == other.value || self.kind == b"stream" && told_by_both(&self.value, &other.value)
    }

    /// What differs, if anything.
    pub(super) fn difference(&self, other: &Self) -> Option<&'static str> {
        match () {
            () if self.kind == other.kind && self.kind == b"none" => None,
            () if self.kind == b"none" => Some("only in the copy"),
            () if other.kind == b"none" => Some("missing in the copy"),
            () if self.kind != other.kind => Some("another type"),
            () if !self.holds_the_same(other) => Some("another value"),
            () if self.expire.differs(other.expire) => Some("another expiry"),
            () => match (&self.fields, &other.fields) {
                (Some(a), Some(b)) if a != b => Some("another expiry of a field"),
                _ => None,
            },
        }
    }
}

/// Whether all that two servers tell of a stream is the same: older ones tell less.
fn told_by_both(a: &Value, b: &Value) -> bool {
    let (Value::Array(a), Value::Array(b)) = (a, b) else { return false };
    let get = |name: &Value| b.chunks(2).find(|pair| pair.first() == Some(name)).and_then(|pair| pair.get(1));
    a.chunks(2).all(|pair| match pair {
        [name, value] => get(name).is_none_or(|other| value == other),
        _ => false,
    })
}

fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Bulk(b) | Value::Simple(b) | Value::Error(b) => b.to_vec(),
        Value::Integer(n) => n.to_string().into_bytes(),
        Value::Verbatim { text, .. } => text.to_vec(),
        _ => Vec::new(),
    }
}

/// Databases with how many keys each.
pub(super) fn databases(connection: &mut Wire) -> io::Result<BTreeMap<u32, u64>> {
    let info = bytes(&connection.ask(&["INFO", "keyspace"])?);
    let info = String::from_utf8_lossy(&info).into_owned();
    let line = |line: &str| {
        let (db, rest) = line.strip_prefix("db")?.split_once(':')?;
        let keys = rest.split(',').next()?.strip_prefix("keys=")?;
        Some((db.parse().ok()?, keys.parse().ok()?))
    };
    Ok(info.lines().filter_map(line).collect())
}

/// What a copy of ours says that it keeps.
pub(super) fn filter(connection: &mut Wire) -> io::Result<Filter> {
    let info = bytes(&connection.ask(&["INFO", "replication"])?);
    let info = String::from_utf8_lossy(&info).into_owned();
    let line = info.lines().find_map(|line| line.strip_prefix("replica_filter:"));
    line.unwrap_or_default().parse().map_err(io::Error::other)
}

pub(super) fn select(connection: &mut Wire, db: u32) -> io::Result<()> {
    connection.ask(&["SELECT", &db.to_string()]).map(|_| ())
}

/// Every key of the selected database.
pub(super) fn keys(connection: &mut Wire) -> io::Result<Vec<Vec<u8>>> {
    let (mut keys, mut cursor) = (Vec::new(), b"0".to_vec());
    loop {
        let reply = connection.ask(&[b"SCAN".as_slice(), &cursor, b"COUNT", b"1000"])?;
        let Value::Array(parts) = reply else { return Err(io::Error::other("SCAN did not answer an array")) };
        let [next, Value::Array(found)] = parts.as_slice() else {
            return Err(io::Error::other("SCAN answered another shape"));
        };
        keys.extend(found.iter().map(bytes));
        cursor = bytes(next);
        if cursor == b"0" {
            break;
        }
    }
    // A real server may tell a key twice while its table grows.
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// What stands at each of these keys.
pub(super) fn values(connection: &mut Wire, keys: &[Vec<u8>]) -> io::Result<Vec<Key>> {
    for key in keys {
        connection.push(&[b"TYPE", key.as_slice()]);
    }
    let kinds: Vec<Vec<u8>> = connection.flush()?.iter().map(bytes).collect();
    for (key, kind) in keys.iter().zip(&kinds) {
        connection.push(&[b"PEXPIRETIME", key.as_slice()]);
        let key = key.as_slice();
        match kind.as_slice() {
            b"string" => connection.push(&[b"GET", key]),
            b"list" => connection.push(&[b"LRANGE", key, b"0", b"-1"]),
            b"set" => connection.push(&[b"SMEMBERS", key]),
            b"zset" => connection.push(&[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]),
            b"hash" => connection.push(&[b"HGETALL", key]),
            b"stream" => connection.push(&[&b"XINFO"[..], b"STREAM", key, b"FULL", b"COUNT", b"0"]),
            _ => connection.push(&[b"TYPE", key]),
        }
    }
    let mut replies = connection.flush()?.into_iter();
    let mut found = Vec::with_capacity(keys.len());
    let mut without_moment = Vec::new();
    for (kind, key) in kinds.into_iter().zip(keys) {
        let (Some(expire), Some(value)) = (replies.next(), replies.next()) else {
            return Err(io::Error::other("a reply is missing"));
        };
        let expire = match expire {
            Value::Integer(at) => Expire::At(at),
            _ => {
                without_moment.push((found.len(), key));
                Expire::About(-1)
            }
        };
        let value = match kind.as_slice() {
            b"set" => sorted(value, 1),
            b"hash" => sorted(value, 2),
            b"stream" => without_clocks(value),
            _ => value,
        };
        found.push(Key { kind, expire, value, fields: None });
    }
    reckon(connection, &without_moment, &mut found)?;
    ask_for_fields(connection, keys, &mut found)?;
    Ok(found)
}

/// When those keys expire whose server has no PEXPIRETIME.
fn reckon(connection: &mut Wire, keys: &[(usize, &Vec<u8>)], found: &mut [Key]) -> io::Result<()> {
    for (_, key) in keys {
        connection.push(&[b"PTTL", key.as_slice()]);
    }
    let replies = connection.flush()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    let now = i64::try_from(now.as_millis()).map_err(io::Error::other)?;
    for ((at, _), left) in keys.iter().zip(replies) {
        if let Value::Integer(left) = left {
            found[*at].expire = Expire::About(if left < 0 { left } else { now + left });
        }
    }
    Ok(())
}

/// When the fields of the hashes among these keys expire.
fn ask_for_fields(connection: &mut Wire, keys: &[Vec<u8>], found: &mut [Key]) -> io::Result<()> {
    let mut asked = Vec::new();
    for (at, (key, known)) in keys.iter().zip(&*found).enumerate() {
        let Value::Array(pairs) = &known.value else { continue };
        if known.kind != b"hash" || pairs.is_empty() {
            continue;
        }
        let fields: Vec<Vec<u8>> = pairs.iter().step_by(2).map(bytes).collect();
        let count = fields.len().to_string();
        let mut command = vec![b"HPEXPIRETIME", key.as_slice(), b"FIELDS", count.as_bytes()];
        command.extend(fields.iter().map(Vec::as_slice));
        connection.push(&command);
        asked.push(at);
    }
    for (at, reply) in asked.into_iter().zip(connection.flush()?) {
        found[at].fields = Some(reply).filter(|reply| matches!(reply, Value::Array(_)));
    }
    Ok(())
}

/// The elements of an array in groups of `width`, sorted by their first.
fn sorted(value: Value, width: usize) -> Value {
    let Value::Array(items) = value else { return value };
    let mut groups: Vec<Vec<Value>> = items.chunks(width).map(<[Value]>::to_vec).collect();
    groups.sort_by_cached_key(|group| group.first().map(bytes));
    Value::Array(groups.into_iter().flatten().collect())
}

/// Fields of XINFO STREAM that a replica cannot know from the stream of commands, real ones included: how the
/// nodes lie in memory, when a consumer was last seen, and (XREADGROUP travels as XCLAIM) how many entries a
/// group has read.
const CLOCKS: [&[u8]; 7] =
    [b"radix-tree-keys", b"radix-tree-nodes", b"seen-time", b"active-time", b"idle", b"entries-read", b"lag"];

fn without_clocks(value: Value) -> Value {
    let Value::Array(items) = value else { return value };
    let mut kept = Vec::with_capacity(items.len());
    let mut items = items.into_iter();
    while let Some(item) = items.next() {
        if matches!(&item, Value::Bulk(name) if CLOCKS.contains(&&name[..])) {
            items.next();
        } else {
            kept.push(without_clocks(item));
        }
    }
    Value::Array(kept)
}
