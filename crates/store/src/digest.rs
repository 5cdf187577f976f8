//! DEBUG DIGEST: a data set as twenty bytes that do not depend on order or encoding.
//!
//! ```text
//! stir(d, bytes)  d ^= SHA1(bytes)                      order does not matter: members, fields, keys
//! chain(d, bytes) stir(d, bytes), then d = SHA1(d)      order matters: elements of a list, of a stream
//! ```
//!
//! Found by asking Redis 7.0.15 and 8.2.3, and Valkey 8.1.8 and 9.1.2: equal data sets have equal digests there and
//! here. Versions differ in how a score is spelled, and in whether a field's expiry counts.

use std::fmt;

use resp::{DoubleFormat, format_f64};
use sha1::{Digest as _, Sha1};

use crate::compat::Family;
use crate::entry::{EntryRef, ValueRef};
use crate::shard::SHARDS;
use crate::value::{Hash, Kind, List, Set, Stream, Value, Zset};
use crate::view::View;

/// Twenty bytes that stand for a value or a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Digest([u8; 20]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Digest {
    fn stir(&mut self, bytes: &[u8]) {
        let hash: [u8; 20] = Sha1::digest(bytes).into();
        for (byte, other) in self.0.iter_mut().zip(hash) {
            *byte ^= other;
        }
    }

    fn chain(&mut self, bytes: &[u8]) {
        self.stir(bytes);
        self.0 = Sha1::digest(self.0).into();
    }
}

/// The digest of everything that `view` can reach, expired keys included. The caller keeps writers away.
#[must_use]
pub fn of_everything(view: &View<'_>) -> Digest {
    let mut all = Digest::default();
    for (index, db) in view.keyspace().existing() {
        let (mut keys, mut of_db) = (0, Digest::default());
        let mut sum = |entry: EntryRef<'_>| {
            let mut digest = Digest::default();
            digest.chain(entry.key());
            add_value(&mut digest, entry, view);
            of_db.stir(&digest.0);
            keys += 1;
        };
        for shard in 0..db.shards().len().min(SHARDS) {
            view.with_shard(index, shard, |shard| shard.iter().for_each(&mut sum));
        }
        if keys > 0 {
            all.chain(&index.to_be_bytes());
            for (byte, other) in all.0.iter_mut().zip(of_db.0) {
                *byte ^= other;
            }
        }
    }
    all
}

/// The digest of the value at `key` with its expiry but without its name; zeros if there is none.
#[must_use]
pub fn of_key(view: &View<'_>, key: &[u8]) -> Digest {
    let mut digest = Digest::default();
    if let Some(entry) = view.entry_even_expired(view.db(), key) {
        add_value(&mut digest, entry, view);
    }
    digest
}

fn add_value(digest: &mut Digest, entry: EntryRef<'_>, view: &View<'_>) {
    let difference = view.differences();
    match entry.value() {
        ValueRef::Inline(bytes) => add_string(digest, bytes),
        ValueRef::Owned(Value::Raw(bytes)) => add_string(digest, bytes),
        ValueRef::Owned(Value::List(list)) => add_list(digest, list),
        ValueRef::Owned(Value::Set(set)) => add_set(digest, set),
        ValueRef::Owned(Value::Zset(zset)) => add_zset(digest, zset, spelling(difference.doubles)),
        ValueRef::Owned(Value::Hash(hash)) => add_hash(digest, hash, difference.family == Family::Redis),
        ValueRef::Owned(Value::Stream(stream)) => add_stream(digest, stream),
        ValueRef::Owned(Value::Module(bytes)) => {
            digest.chain(&type_number(Kind::Module));
            digest.chain(bytes);
        }
    }
    if entry.expire().is_some() {
        digest.stir(b"!!expire!!");
    }
}

/// What begins a value.
fn type_number(kind: Kind) -> [u8; 4] {
    let n: u32 = match kind {
        Kind::List => 1,
        Kind::Set => 2,
        Kind::Zset => 3,
        Kind::Hash => 4,
        Kind::Module => 5,
        Kind::Stream => 6,
        _ => 0,
    };
    n.to_be_bytes()
}

/// How a score is spelled where it is hashed: not quite as it is printed.
fn spelling(printed: DoubleFormat) -> DoubleFormat {
    match printed {
        DoubleFormat::Shortest => DoubleFormat::ShortestOfAll,
        other => other,
    }
}

fn add_string(digest: &mut Digest, bytes: &[u8]) {
    digest.chain(&type_number(Kind::String));
    digest.chain(bytes);
}

fn add_list(digest: &mut Digest, list: &List) {
    digest.chain(&type_number(Kind::List));
    let mut text = [0; 20];
    list.iter().for_each(|element| digest.chain(element.to_bytes(&mut text)));
}

fn add_set(digest: &mut Digest, set: &Set) {
    digest.chain(&type_number(Kind::Set));
    let mut text = [0; 20];
    set.iter().for_each(|member| digest.stir(member.to_bytes(&mut text)));
}

fn add_zset(digest: &mut Digest, zset: &Zset, doubles: DoubleFormat) {
    digest.chain(&type_number(Kind::Zset));
    let (mut text, mut score_text) = ([0; 20], Vec::new());
    for (member, score) in zset.iter() {
        score_text.clear();
        format_f64(&mut score_text, score, doubles);
        let mut pair = Digest::default();
        pair.chain(member.to_bytes(&mut text));
        pair.chain(&score_text);
        digest.stir(&pair.0);
    }
}

fn add_hash(digest: &mut Digest, hash: &Hash, expiry_counts: bool) {
    digest.chain(&type_number(Kind::Hash));
    let mut text = [0; 20];
    for (name, field) in hash.iter(i64::MIN) {
        let mut pair = Digest::default();
        pair.chain(name.to_bytes(&mut text));
        pair.chain(field.value.to_bytes(&mut text));
        if expiry_counts && field.expire_ms.is_some() {
            pair.stir(b"!!hexpire!!");
        }
        digest.stir(&pair.0);
    }
}

fn add_stream(digest: &mut Digest, stream: &Stream) {
    digest.chain(&type_number(Kind::Stream));
    let mut text = [0; 20];
    for entry in stream.log.iter() {
        digest.chain(format!("{}.{}", entry.id().ms, entry.id().seq).as_bytes());
        for (name, value) in entry.fields() {
            digest.chain(name.to_bytes(&mut text));
            digest.chain(value.to_bytes(&mut text));
        }
    }
}
