//! What one server says about some keys, in a form that can be compared.

use std::collections::BTreeMap;

use super::EXPIRY_TOLERANCE_MS;
use crate::known::Known;
use crate::{Client, Reply};

/// All that is said about one key.
#[derive(Debug)]
pub(super) struct Facts {
    /// As `TYPE` says it; `none` when there is no such key.
    pub(super) kind: String,
    /// The members in an order that does not depend on the server.
    pub(super) value: Reply,
    pub(super) expiry: Expiry,
    /// Per field of a hash; `None` where the server cannot tell.
    pub(super) field_expiry: Option<Vec<(Vec<u8>, i64)>>,
    /// Counters and ids of a stream, by name.
    pub(super) stream: BTreeMap<String, String>,
    /// Groups, consumers and pending entries, by path.
    pub(super) groups: BTreeMap<String, String>,
}

/// When a key expires, in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expiry {
    Never,
    Exactly(i64),
    /// Worked out from the time that was left.
    About(i64),
}

impl Expiry {
    pub(super) fn agrees(self, other: Self) -> bool {
        match (self, other) {
            (Self::Never, Self::Never) => true,
            (Self::Exactly(a), Self::Exactly(b)) => a == b,
            (Self::Never, _) | (_, Self::Never) => false,
            (Self::About(a) | Self::Exactly(a), Self::About(b) | Self::Exactly(b)) => {
                a.abs_diff(b) <= EXPIRY_TOLERANCE_MS.unsigned_abs()
            }
        }
    }
}

/// Reads keys of the selected database: types first, then what each type asks for, in pipelines.
pub(super) fn read_keys(client: &mut Client, known: &Known, keys: &[Vec<u8>]) -> Vec<Facts> {
    let ask =
        |name: &str| keys.iter().map(|key| vec![name.as_bytes().to_vec(), key.clone()]).collect::<Vec<_>>();
    let kinds = client.pipeline(&ask("TYPE"));
    let exact = known.has("PEXPIRETIME");
    let expiries = client.pipeline(&ask(if exact { "PEXPIRETIME" } else { "PTTL" }));
    let now = if exact { 0 } else { server_time_ms(client) };
    let values: Vec<Vec<Vec<u8>>> =
        keys.iter().zip(&kinds).map(|(key, kind)| value_command(key, kind)).collect();
    let values = client.pipeline(&values);

    let mut all = Vec::new();
    for ((kind, expiry), value) in kinds.iter().zip(expiries).zip(values) {
        let kind = kind.as_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let expiry = match expiry.as_int() {
            None | Some(..0) => Expiry::Never,
            Some(at) if exact => Expiry::Exactly(at),
            Some(left) => Expiry::About(now + left),
        };
        let kind = kind.unwrap_or_else(|| "not said".to_owned());
        let value = in_order(&kind, value);
        let (stream, groups) = (BTreeMap::new(), BTreeMap::new());
        all.push(Facts { kind, value, expiry, field_expiry: None, stream, groups });
    }
    read_field_expiries(client, known, keys, &mut all);
    read_stream_details(client, keys, &mut all);
    all
}

/// The command that reads the whole value.
fn value_command(key: &[u8], kind: &Reply) -> Vec<Vec<u8>> {
    let (name, rest): (&str, &[&str]) = match kind.as_bytes().unwrap_or_default() {
        b"string" => ("GET", &[]),
        b"list" => ("LRANGE", &["0", "-1"]),
        b"set" => ("SMEMBERS", &[]),
        b"zset" => ("ZRANGE", &["0", "-1", "WITHSCORES"]),
        b"hash" => ("HGETALL", &[]),
        b"stream" => ("XRANGE", &["-", "+"]),
        // Gone meanwhile, or of a module: that it exists is all we can compare.
        _ => ("EXISTS", &[]),
    };
    let mut command = vec![name.as_bytes().to_vec(), key.to_vec()];
    command.extend(rest.iter().map(|word| word.as_bytes().to_vec()));
    command
}

/// Sorts what has no order, and makes scores comparable as numbers.
fn in_order(kind: &str, value: Reply) -> Reply {
    match (kind, value) {
        ("set", value @ (Reply::Array(_) | Reply::Set(_))) => {
            let mut members = value.array().to_vec();
            members.sort_by(|a, b| a.as_bytes().cmp(&b.as_bytes()));
            Reply::Array(members)
        }
        ("hash", value @ (Reply::Array(_) | Reply::Map(_))) => {
            let mut pairs = value.as_pairs().unwrap_or_default();
            pairs.sort_by(|a, b| a.0.as_bytes().cmp(&b.0.as_bytes()));
            Reply::Array(pairs.into_iter().map(|(field, value)| Reply::Array(vec![field, value])).collect())
        }
        ("zset", value @ Reply::Array(_)) => {
            // RESP3 nests the pairs, RESP2 does not.
            let flat: Vec<Reply> = value
                .array()
                .iter()
                .flat_map(|item| match item.as_array() {
                    Some(pair) => pair.to_vec(),
                    None => vec![item.clone()],
                })
                .collect();
            let pairs = flat.as_chunks::<2>().0.iter();
            Reply::Array(
                pairs.map(|[member, score]| Reply::Array(vec![member.clone(), number(score)])).collect(),
            )
        }
        (_, value) => value,
    }
}

/// 6.0 prints 17 digits, 8.2 as few as will do: the same number either way.
fn number(score: &Reply) -> Reply {
    let parsed = match score {
        Reply::Double(value) => Some(*value),
        other => other.as_bytes().and_then(|text| std::str::from_utf8(text).ok()?.parse().ok()),
    };
    parsed.map_or_else(|| score.clone(), |value: f64| Reply::Simple(format!("{value:?}").into_bytes()))
}

fn server_time_ms(client: &mut Client) -> i64 {
    let reply = client.call(&["TIME"]).ok();
    let [seconds, micros] = reply.array() else { panic!("not a reply to TIME: {reply:?}") };
    seconds.int() * 1000 + micros.int() / 1000
}

fn read_field_expiries(client: &mut Client, known: &Known, keys: &[Vec<u8>], all: &mut [Facts]) {
    if !known.has("HPEXPIRETIME") {
        return;
    }
    let mut commands = Vec::new();
    let mut asked = Vec::new();
    for (key, facts) in keys.iter().zip(all.iter_mut()).filter(|(_, facts)| facts.kind == "hash") {
        let pairs = facts.value.as_array().unwrap_or_default();
        let fields: Vec<Vec<u8>> =
            pairs.iter().filter_map(|pair| Some(pair.as_array()?.first()?.as_bytes()?.to_vec())).collect();
        if fields.is_empty() {
            continue;
        }
        let mut command = vec![
            b"HPEXPIRETIME".to_vec(),
            key.clone(),
            b"FIELDS".to_vec(),
            fields.len().to_string().into_bytes(),
        ];
        command.extend(fields.iter().cloned());
        commands.push(command);
        asked.push((facts, fields));
    }
    for ((facts, fields), reply) in asked.into_iter().zip(client.pipeline(&commands)) {
        let times = reply.as_array().unwrap_or_default().iter().map(|time| time.as_int().unwrap_or(-1));
        facts.field_expiry = Some(fields.into_iter().zip(times).filter(|(_, time)| *time >= 0).collect());
    }
}

fn read_stream_details(client: &mut Client, keys: &[Vec<u8>], all: &mut [Facts]) {
    let streams =
        || keys.iter().zip(0..).filter(|(_, at)| all.get::<usize>(*at).is_some_and(|f| f.kind == "stream"));
    let commands: Vec<Vec<Vec<u8>>> = streams()
        .map(|(key, _)| {
            let words = ["XINFO", "STREAM", "", "FULL", "COUNT", "0"];
            words.map(|word| if word.is_empty() { key.clone() } else { word.as_bytes().to_vec() }).to_vec()
        })
        .collect();
    let places: Vec<usize> = streams().map(|(_, at)| at).collect();
    for (at, reply) in places.into_iter().zip(client.pipeline(&commands)) {
        let Some(facts) = all.get_mut(at) else { continue };
        let names = ["length", "last-generated-id", "max-deleted-entry-id", "entries-added"];
        let Some(groups) = reply.field("groups") else {
            facts.stream.insert("XINFO STREAM FULL".to_owned(), format!("{reply:?}"));
            continue;
        };
        facts.stream.insert("XINFO STREAM FULL".to_owned(), "is answered".to_owned());
        add(&mut facts.stream, "", &reply, &names);
        for group in groups.as_array().unwrap_or_default() {
            read_group(&mut facts.groups, group);
        }
    }
}

fn read_group(facts: &mut BTreeMap<String, String>, group: &Reply) {
    let path = format!("group {}", name_of(group));
    facts.insert(format!("{path} exists"), String::new());
    add(facts, &path, group, &["last-delivered-id", "entries-read", "lag", "pel-count", "pel", "pending"]);
    let consumers = group.field("consumers").unwrap_or(Reply::Null);
    for consumer in consumers.as_array().unwrap_or_default() {
        let path = format!("{path} consumer {}", name_of(consumer));
        facts.insert(format!("{path} exists"), String::new());
        add(facts, &path, consumer, &["pel-count", "pel", "pending"]);
    }
}

fn add(facts: &mut BTreeMap<String, String>, path: &str, reply: &Reply, names: &[&str]) {
    for name in names {
        if let Some(value) = reply.field(name) {
            facts.insert(format!("{path} {name}").trim_start().to_owned(), format!("{value:?}"));
        }
    }
}

fn name_of(reply: &Reply) -> String {
    reply.field("name").and_then(|name| Some(name.as_bytes()?.escape_ascii().to_string())).unwrap_or_default()
}
