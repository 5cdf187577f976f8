//! What replicas are told of fields that expire.

use crate::args::Args;
use crate::compat::Fields;
use crate::event::Class;
use crate::txn::Txn;
use crate::value::Hash;
use crate::view::Viewer;

/// Removes those of the named fields whose time has come, before a command that would meet them on a replica, where
/// they are still there.
pub(super) fn reap(txn: &mut Txn<'_>, key: &[u8], fields: impl Iterator<Item = impl AsRef<[u8]>>) {
    if txn.viewer() == Viewer::Stream {
        return;
    }
    txn.reap(key);
    let time = txn.field_time();
    let Ok(Some(hash)) = txn.typed::<Hash>(key) else { return };
    if !hash.may_hide(time) {
        return;
    }
    let past: Vec<Vec<u8>> = fields
        .map(|field| field.as_ref().to_vec())
        .filter(|field| hash.get(field, i64::MIN).is_some() && hash.get(field, time).is_none())
        .collect();
    if past.is_empty() {
        return;
    }
    if let Ok(Some(mut hash)) = txn.typed_mut::<Hash>(key) {
        for field in &past {
            hash.remove(field);
        }
    }
    let mut parts: Vec<&[u8]> = vec![b"HDEL", key];
    parts.extend(past.iter().map(Vec::as_slice));
    txn.precede(&parts);
    txn.notify(Class::Hash, "hexpired", key);
}

/// Tells of fields that are gone since their time had passed when it was set: by HDEL, which needs no clock.
pub(super) fn gone(txn: &mut Txn<'_>, key: &[u8], fields: &[&[u8]], vanishes: bool) {
    txn.changed(Class::Hash, "hdel", key);
    if vanishes {
        txn.notify(Class::Generic, "del", key);
    }
    if txn.differences().fields == Fields::Valkey {
        deleted(txn, key, fields);
    } else {
        fields.iter().for_each(|field| txn.rewrite(&[b"HDEL", key, field]));
    }
}

/// One HDEL for all of them.
pub(super) fn deleted(txn: &mut Txn<'_>, key: &[u8], fields: &[&[u8]]) {
    let mut parts: Vec<&[u8]> = vec![b"HDEL", key];
    parts.extend(fields);
    txn.rewrite(&parts);
}

/// `name key [deadline] [condition ...] FIELDS n field ...`
pub(super) fn rewrite(
    txn: &mut Txn<'_>,
    name: &[u8],
    key: &[u8],
    at: Option<i64>,
    conditions: &[&[u8]],
    fields: &[&[u8]],
) {
    let (mut at_text, mut count) = (itoa::Buffer::new(), itoa::Buffer::new());
    let mut parts: Vec<&[u8]> = vec![name, key];
    parts.extend(at.map(|at| at_text.format(at).as_bytes()));
    parts.extend(conditions);
    parts.extend([b"FIELDS", count.format(fields.len()).as_bytes()]);
    parts.extend(fields);
    txn.rewrite(&parts);
}

/// Tells the result of HINCRBYFLOAT instead of the command, lest their arithmetic differ; and the deadline with it
/// where HSET alone would take it away.
pub(super) fn result(txn: &mut Txn<'_>, args: Args<'_>, value: &[u8], expires: Option<i64>) {
    let (key, field) = (args.at(1), args.at(2));
    let mut text = itoa::Buffer::new();
    match (txn.differences().fields, expires) {
        (Fields::Redis8, _) => txn.rewrite(&[b"HSETEX", key, b"KEEPTTL", b"FIELDS", b"1", field, value]),
        (_, None) => txn.rewrite(&[b"HSET", key, field, value]),
        (Fields::Valkey, Some(at)) => {
            let at = text.format(at).as_bytes();
            txn.rewrite(&[b"HSETEX", key, b"PXAT", at, b"FIELDS", b"1", field, value]);
        }
        // Redis 7.4 leaves the deadline out, and its replicas lose it.
        (Fields::Redis74, Some(at)) => {
            txn.rewrite(&[b"HSET", key, field, value]);
            rewrite(txn, b"HPEXPIREAT", key, Some(at), &[], &[field]);
        }
    }
}
